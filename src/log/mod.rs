//! The event log: append-only, ordered, durable. It is what a 2xx means.
//!
//! One writer thread owns the store and commits many deliveries at once; an answer goes out only after
//! the commit that holds its delivery. The writer also decides duplicates, so copies that arrive at the
//! same instant are caught. No SQL and no path outside `stores/`.

mod content;
mod keys;
#[cfg(test)]
pub mod memory;
mod own;
mod queue;
pub(crate) mod record;
mod retention;
pub(crate) mod stores;

use crate::codes::{self, Code};
use crate::model::{Delivery, Outcome, Seq};
pub use own::own_event;
pub use record::compress_request;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
pub use stores::sqlite::ReadOnlyLog;
use thiserror::Error;
use tokio::sync::{oneshot, watch};

/// Settings of the log and its retention, from `[store]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// Folder that holds the store, absolute.
    pub path: std::path::PathBuf,
    /// Age past which deliveries and events (and requests of parked deliveries) are deleted.
    pub retention: Duration,
    /// Age past which the raw requests of all others are deleted.
    pub requests: Duration,
    /// Bytes on disk past which intake answers 503; none: no limit.
    pub max_size: Option<u64>,
    /// How long a delivery key is remembered.
    pub dedup: Duration,
    /// Requests that may wait for the writer.
    pub queue: usize,
}

/// One delivery on its way to the log.
#[derive(Debug)]
pub struct Append {
    /// The record. Its `outcome`, `status` and `events` are what they are if no key is a duplicate.
    pub delivery: Delivery,
    /// The raw request in `.http` form, masked, already compressed by [`compress_request`].
    pub request: Option<Vec<u8>>,
    /// What to look up and to remember for duplicates.
    pub keys: AppendKeys,
    /// What each of the events (by its key) was made of, where the events do not show it.
    pub contents: Vec<EventContent>,
}

/// What an event was made of, where it was mapped in a way of the webhook's own: kept beside its key, so that a
/// duplicate with other content is told apart. Each is the beginning of a SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventContent {
    /// Of `type`.
    #[serde(rename = "t")]
    pub kind: u64,
    /// Of the data.
    #[serde(rename = "d")]
    pub data: u64,
}

impl EventContent {
    /// Of a CloudEvent's `type` and data.
    #[must_use]
    pub fn new(kind: &str, data: &str) -> Self {
        Self {
            kind: keys::print(&[kind]),
            data: keys::print(&[data]),
        }
    }
}

/// Delivery keys of one append.
///
/// A key is remembered when the outcome is accepted, ignored or parked: a redelivery of an ignored request is
/// its duplicate too, since the webhook has decided about it. It is remembered for the window `dedup`, by time
/// of receipt; when retention has taken the delivery before, its fingerprint decides alone, as long as the
/// window lasts (to two hours). A duplicate keeps its request and the status it came with, has no events, no
/// code and no error, and names what it repeats. Where its content is another than that of the first, its code is
/// `HG0610`, and a note says what differs; the same where a batch brings a known event with other content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendKeys {
    /// Never a duplicate.
    None,
    /// One key for the delivery (`delivery.key` holds its text).
    Delivery(String),
    /// One key for each event: known ones are left out; when all are, the delivery is a duplicate.
    PerEvent(Vec<String>),
}

/// What the writer did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Where it is.
    pub seq: Seq,
    /// The outcome as recorded: the given one, or duplicate.
    pub outcome: Outcome,
    /// The delivery that this one repeats.
    pub duplicate_of: Option<Seq>,
    /// How many events were recorded.
    pub events: usize,
    /// Whether something in it was known by its key, but with other content. The record says what.
    pub other_content: bool,
}

/// One stored delivery.
#[derive(Debug, Clone)]
pub struct Record {
    /// Where it is.
    pub seq: Seq,
    /// The delivery.
    pub delivery: Delivery,
}

/// Why the log did not do what was asked.
#[derive(Debug, Clone, Error)]
pub enum LogError {
    /// The queue is full: nothing was written. Ask again after about `retry_after`.
    #[error("the log's queue is full")]
    Full {
        /// A guess at when there is room.
        retry_after: Duration,
    },
    /// The store has reached `max_size` and nothing may be deleted.
    #[error("the store has reached its size limit")]
    OverSize,
    /// A write or sync failed, or failed before and the store has not been read back yet. Nothing is promised.
    #[error("writing the log failed: {0}")]
    Failed(Arc<str>),
    /// A stored record does not match its checksum.
    #[error("record {seq} is damaged: {reason}")]
    Damaged {
        /// Which record.
        seq: Seq,
        /// What is wrong.
        reason: String,
    },
    /// The log is closing.
    #[error("the log is closed")]
    Closed,
}

impl LogError {
    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Full { .. } => codes::LOG_FULL,
            Self::OverSize => codes::STORE_OVER_SIZE,
            // A log that closes takes no more, as one that failed.
            Self::Failed(_) | Self::Closed => codes::LOG_FAILED,
            Self::Damaged { .. } => codes::RECORD_DAMAGED,
        }
    }
}

/// Why a store cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process holds its lock.
    #[error("{0} is open in another process")]
    Locked(String),
    /// A newer version wrote it; it was not touched.
    #[error("{path} was written by a newer version (schema {found}, this version knows {known})")]
    Newer {
        /// Which file.
        path: String,
        /// Its schema version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Anything else.
    #[error("{path} cannot be opened: {reason}")]
    Failed {
        /// Which file or folder.
        path: String,
        /// Why.
        reason: String,
    },
}

impl OpenError {
    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Locked(_) => codes::STORE_LOCKED,
            Self::Newer { .. } => codes::STORE_NEWER,
            Self::Failed { .. } => codes::FILE_UNREADABLE,
        }
    }
}

/// Figures about the log, for metrics, readiness and pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Newest sequence number on disk; 0: none.
    pub head: Seq,
    /// Oldest one still there; 0: none.
    pub oldest: Seq,
    /// When the oldest was received.
    pub oldest_received: Option<jiff::Timestamp>,
    /// Bytes of the log that hold something. Pages that retention freed are used again before the file grows,
    /// and are not counted; nor is the WAL, which stays below some tens of megabytes.
    pub bytes: u64,
    /// Deliveries waiting for the writer, those of the commit under way among them.
    pub queued: usize,
    /// Whether the last write worked (false: 503 until it is reopened).
    pub writable: bool,
    /// Whether `max_size` is reached.
    pub over_size: bool,
}

/// Says how far retention may go: nothing above the number may be deleted; none: nothing holds it back.
pub type RetentionFloor = Arc<dyn Fn() -> Option<Seq> + Send + Sync>;

/// The append-only log. Calls that touch the disk block; call them from a thread that may.
pub trait EventLog: Send + Sync {
    /// Hands a delivery to the writer. The receiver gets the result after the commit that holds it.
    ///
    /// # Errors
    /// `Full`, `OverSize`, `Failed`, `Closed`: nothing was written and nothing will be.
    fn append(
        &self,
        append: Append,
    ) -> Result<oneshot::Receiver<Result<Appended, LogError>>, LogError>;

    /// At most `records_max` stored deliveries with `seq > after`, in order, up to about `bytes_max` of heads (at least one).
    ///
    /// # Errors
    /// `Damaged` names the first record that cannot be read, or is missing; those before it were given by
    /// earlier calls, and those behind it can be read from its number on.
    fn read(
        &self,
        after: Seq,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Record>, LogError>;

    /// One delivery.
    ///
    /// # Errors
    /// `Damaged`, `Failed`.
    fn get(&self, seq: Seq) -> Result<Option<Record>, LogError>;

    /// The raw request of a delivery in `.http` form; `None` where retention took it or there was none.
    ///
    /// # Errors
    /// `Damaged` (also when it does not match the SHA-256 in the head), `Failed`.
    fn request(&self, seq: Seq) -> Result<Option<Vec<u8>>, LogError>;

    /// The newest sequence number on disk, and a way to wait for the next.
    fn head(&self) -> watch::Receiver<Seq>;

    /// Deliveries waiting for the writer, those of the commit under way among them: readers yield while it is not zero.
    fn queued(&self) -> usize;

    /// Says how far retention may go. Until this has been called once, nothing is deleted.
    fn set_retention_floor(&self, floor: RetentionFloor);

    /// Figures.
    fn stats(&self) -> LogStats;

    /// Commits what is queued, writes the key snapshot, and closes; further appends get `Closed`.
    fn close(&self);
}

/// The two halves of an open store.
pub type Opened = (Arc<dyn EventLog>, Arc<dyn crate::state::State>);

/// Opens (or makes) the log and the state in a folder, with a lock against a second process.
///
/// # Errors
/// Locked, newer, or not readable; an existing store is then untouched.
pub fn open(
    settings: &StoreSettings,
    metrics: &crate::telemetry::Metrics,
) -> Result<Opened, OpenError> {
    let options = stores::sqlite::Options::default();
    let (log, state) = stores::sqlite::open(settings, metrics, options)?;
    Ok((log, state))
}

/// The state of a store that no gateway has open, locked against one as long as this is kept.
pub struct OfflineState {
    /// The state.
    pub state: std::sync::Arc<dyn crate::state::State>,
    _lock: std::fs::File,
}

impl std::fmt::Debug for OfflineState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OfflineState").finish_non_exhaustive()
    }
}

/// Opens the state alone; the folder is made if it is missing.
///
/// # Errors
/// A gateway runs on it; it is newer, or not readable.
pub fn open_state(folder: &std::path::Path) -> Result<OfflineState, OpenError> {
    let (state, lock) = stores::sqlite::open_state(folder)?;
    Ok(OfflineState { state, _lock: lock })
}
