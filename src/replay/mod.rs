//! Replay: kept requests are translated again with the present configuration, or kept events are forwarded again.
//!
//! Duty: finds the deliveries that are meant, says what would happen, does it, says what became of each. The log is
//! only ever appended to: a replay is a new delivery with `replay_of`, and the old one stays as it was. A request that
//! fails again leaves nothing behind.
//!
//! Who sent a request was checked when it came. It is not checked again: what is kept has its credentials masked and
//! a timestamp that is long out of tolerance. So what was refused then is not translated now, whatever is asked.
//!
//! An event's id follows from the delivery key, so that a replay gives an event the id that it had, and a sink that
//! knows it takes it for the same; without a delivery key it is a new event.
//!
//! Invariants: at most [`DELIVERIES_MAX`] at once; one request in memory at a time; calls block.

mod plan;
mod run;

pub use plan::{Plan, Reason, Selected, Wish, etag, plan, select};
pub use run::{Done, Outcome as Became, audit, translate_again};

use crate::config::Config;
use crate::feed::{Feed, FeedError};
use crate::log::{EventLog, LogError};
use crate::model::{Outcome, Seq};
use crate::query::QueryError;
use jiff::Timestamp;
use thiserror::Error;
use uuid::Uuid;

/// Deliveries of one replay at most.
pub const DELIVERIES_MAX: usize = 1_000;

/// What a replay works with.
#[derive(Clone, Copy)]
pub struct Stores<'a> {
    /// The present configuration.
    pub config: &'a Config,
    /// Where requests are, and where replays go.
    pub log: &'a dyn EventLog,
    /// Finds deliveries.
    pub feed: &'a dyn Feed,
}

impl std::fmt::Debug for Stores<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stores").finish_non_exhaustive()
    }
}

/// A delivery that is to be replayed.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its id.
    pub id: Uuid,
    /// Its place in the log.
    pub seq: Seq,
    /// Name of its webhook.
    pub webhook: String,
    /// When it was received.
    pub received: Timestamp,
    /// What became of it.
    pub outcome: Outcome,
}

/// Why nothing can be replayed.
#[derive(Debug, Clone, Error)]
pub enum ReplayError {
    /// There is no such delivery.
    #[error("there is no delivery {0}")]
    Unknown(Uuid),
    /// The query cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The feed does not answer.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The log does not answer.
    #[error(transparent)]
    Log(#[from] LogError),
}
