//! What is neither derivable from the log nor a delivery: sinks' cursors, dead letters, holds, learned secrets,
//! API tokens.
//! Fully synchronous.

mod secrets;
pub(crate) mod stores;
pub mod tokens;
mod vault;

pub use secrets::{LearnedRow, SecretStore};
pub use tokens::{Scope, TokenRow, TokenStore};
pub use vault::{KEY_FILE, KeyId, Sealed, Vault, VaultError};

use crate::codes::Code;
use crate::model::{Event, Position, Seq};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How far a sink has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Everything up to and including this delivery was delivered, dead-lettered or not for this sink.
    pub seq: Seq,
    /// When it moved last.
    pub moved: Timestamp,
    /// When the sink left the configuration; the cursor is dropped 24 h later.
    #[serde(default)]
    pub removed: Option<Timestamp>,
}

/// An event that a sink refused for good, with its own copy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Number of this dead letter, given by the store.
    pub id: i64,
    /// Name of the sink.
    pub sink: String,
    /// Where the event is in the log.
    pub seq: Seq,
    /// Its index there.
    pub index: u32,
    /// Name of its webhook.
    pub webhook: Option<String>,
    /// The event.
    pub event: Event,
    /// Why.
    pub code: Code,
    /// One sentence with the sink's status.
    pub reason: String,
    /// The sink's answer, cut to 4 KiB.
    pub answer: String,
    /// When it was refused last.
    pub refused: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
}

/// A range of the log that a sink was cut off from by `max_lag`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedRange {
    /// Name of the sink.
    pub sink: String,
    /// First skipped delivery.
    pub from: Seq,
    /// Last skipped delivery.
    pub to: Seq,
    /// When.
    pub at: Timestamp,
}

/// Why the state did not do what was asked.
#[derive(Debug, Clone, Error)]
#[error("the state store failed: {0}")]
pub struct StateError(pub std::sync::Arc<str>);

/// The state. Every call is on disk when it returns; calls block.
pub trait State: SecretStore + TokenStore {
    /// A sink's cursor.
    ///
    /// # Errors
    /// When the store fails.
    fn cursor(&self, sink: &str) -> Result<Option<Cursor>, StateError>;

    /// All cursors by sink.
    ///
    /// # Errors
    /// When the store fails.
    fn cursors(&self) -> Result<Vec<(String, Cursor)>, StateError>;

    /// Moves a sink's cursor forward (never back) and adds dead letters, in one transaction.
    ///
    /// # Errors
    /// When the store fails; then neither is done.
    fn advance(
        &self,
        sink: &str,
        seq: Seq,
        now: Timestamp,
        dead: &[NewDeadLetter],
    ) -> Result<(), StateError>;

    /// Marks a sink as removed from, or back in, the configuration.
    ///
    /// # Errors
    /// When the store fails.
    fn set_removed(&self, sink: &str, removed: Option<Timestamp>) -> Result<(), StateError>;

    /// Forgets a sink's cursor.
    ///
    /// # Errors
    /// When the store fails.
    fn drop_cursor(&self, sink: &str) -> Result<(), StateError>;

    /// Records a range that `max_lag` skipped, and moves the cursor past it, in one transaction.
    ///
    /// # Errors
    /// When the store fails.
    fn skip(&self, range: &SkippedRange) -> Result<(), StateError>;

    /// All skipped ranges.
    ///
    /// # Errors
    /// When the store fails.
    fn skipped(&self) -> Result<Vec<SkippedRange>, StateError>;

    /// Dead letters, newest first, of one sink or all, with `id < before`.
    ///
    /// # Errors
    /// When the store fails.
    fn dead_letters(
        &self,
        sink: Option<&str>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StateError>;

    /// One dead letter.
    ///
    /// # Errors
    /// When the store fails.
    fn dead_letter(&self, id: i64) -> Result<Option<DeadLetter>, StateError>;

    /// How many dead letters each sink has.
    ///
    /// # Errors
    /// When the store fails.
    fn dead_letter_counts(&self) -> Result<Vec<(String, u64)>, StateError>;

    /// Removes a dead letter that was delivered or discarded.
    ///
    /// # Errors
    /// When the store fails.
    fn remove_dead_letter(&self, id: i64) -> Result<(), StateError>;

    /// Records that a retry of a dead letter was refused again.
    ///
    /// # Errors
    /// When the store fails.
    fn refuse_dead_letter_again(
        &self,
        id: i64,
        reason: &str,
        answer: &str,
        now: Timestamp,
    ) -> Result<(), StateError>;

    /// Holds or lets go a sink.
    ///
    /// # Errors
    /// When the store fails.
    fn set_paused(&self, sink: &str, paused: bool) -> Result<(), StateError>;

    /// Whether a sink is held.
    ///
    /// # Errors
    /// When the store fails.
    fn is_paused(&self, sink: &str) -> Result<bool, StateError>;
}

/// A dead letter before the store has numbered it.
#[derive(Debug, Clone)]
pub struct NewDeadLetter {
    /// Where the event is.
    pub position: Position,
    /// Name of its webhook.
    pub webhook: Option<String>,
    /// The event.
    pub event: Event,
    /// Why.
    pub code: Code,
    /// One sentence with the sink's status.
    pub reason: String,
    /// The sink's answer, cut to 4 KiB.
    pub answer: String,
    /// How often it was tried.
    pub attempts: u32,
}
