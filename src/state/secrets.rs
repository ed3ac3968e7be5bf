//! Secrets that senders delivered, and when a webhook may learn one: what the state keeps of them.

use super::{Sealed, StateError};
use jiff::Timestamp;
use std::net::IpAddr;
use uuid::Uuid;

/// A learned secret as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearnedRow {
    /// Name of its webhook.
    pub webhook: String,
    /// The secret.
    pub sealed: Sealed,
    /// When it arrived.
    pub learned: Timestamp,
    /// The delivery that brought it.
    pub delivery: Uuid,
    /// Where that came from.
    pub peer: IpAddr,
    /// When the owner confirmed it; none: it is pending.
    pub confirmed: Option<Timestamp>,
}

/// Where learned secrets are kept. Every call is on disk when it returns; calls block.
pub trait SecretStore: Send + Sync {
    /// Every learned secret, by webhook.
    ///
    /// # Errors
    /// When the store fails.
    fn learned(&self) -> Result<Vec<LearnedRow>, StateError>;

    /// Keeps a webhook's secret, unless it has one; whether it was kept.
    ///
    /// # Errors
    /// When the store fails.
    fn learn(&self, row: &LearnedRow) -> Result<bool, StateError>;

    /// Marks a webhook's secret as confirmed.
    ///
    /// # Errors
    /// When the store fails.
    fn confirm(&self, webhook: &str, now: Timestamp) -> Result<(), StateError>;

    /// Forgets a webhook's secret, and lets it wait no longer (since 1970): another one is not learned unasked.
    ///
    /// # Errors
    /// When the store fails.
    fn forget(&self, webhook: &str) -> Result<(), StateError>;

    /// When a webhook began to wait for a secret. Where it never did, it begins `now`.
    ///
    /// # Errors
    /// When the store fails.
    fn waiting_since(&self, webhook: &str, now: Timestamp) -> Result<Timestamp, StateError>;

    /// Lets a webhook wait from `now` on, also where it waited before.
    ///
    /// # Errors
    /// When the store fails.
    fn wait_again(&self, webhook: &str, now: Timestamp) -> Result<(), StateError>;
}
