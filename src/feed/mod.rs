//! The feed: the searchable view of the log. Derived, rebuildable, never part of a promise to a sender.
//!
//! An indexer thread reads the log in large batches and yields to intake while the writer's queue is not
//! empty. A query sees everything acknowledged before it began: it waits (at most 2 s) until the indexer
//! has passed that point, else it says how far it got (`indexed_to`).
//!
//! The store holds numbers to filter and sort by; records are read back from the log, which also has the
//! last word on whether they match. A query on deliveries finds those of which an event matches, and those
//! without events that match themselves. hookgate's own records are left out of both unless the query names
//! them (`event:hookgate.*`).

mod indexer;
mod merge;
mod plan;
mod progress;
mod rows;
mod stores;
mod view;

use crate::log::EventLog;
use crate::model::{Delivery, Event, Position, Seq};
use crate::query::Query;
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;

/// Ring entries that may wait for the indexer; more are dropped.
const RING_QUEUE: usize = 64;

/// One page of a query.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// Rows in the order asked for.
    pub rows: Vec<T>,
    /// Where the next page starts (`after`); none: this was the last.
    pub next: Option<Position>,
    /// The newest delivery that was searched.
    pub indexed_to: Seq,
}

/// How to page.
#[derive(Debug, Clone, Copy)]
pub struct Paging {
    /// Rows at most (1 to 1,000).
    pub limit: usize,
    /// Start after this position in the order asked for.
    pub after: Option<Position>,
    /// Oldest first, instead of newest first.
    pub ascending: bool,
}

/// An event with where it came from.
#[derive(Debug, Clone)]
pub struct EventRow {
    /// Where it is.
    pub position: Position,
    /// Id of its delivery.
    pub delivery: uuid::Uuid,
    /// When the delivery was received.
    pub received: jiff::Timestamp,
    /// Name of the webhook.
    pub webhook: Option<String>,
    /// The event.
    pub event: Event,
}

/// A delivery with its place. Rejected requests and unsigned handshakes (from the ring) have no place in the log:
/// theirs is that of the newest delivery when they came, with an index above 0, and `seq` is `None`.
#[derive(Debug, Clone)]
pub struct DeliveryRow {
    /// Order among rows.
    pub position: Position,
    /// Place in the log.
    pub seq: Option<Seq>,
    /// The delivery.
    pub delivery: Delivery,
    /// How many later deliveries repeated it.
    pub duplicates: u64,
}

/// What is kept of a request that is not logged (rejected, or an unsigned handshake).
#[derive(Debug, Clone)]
pub struct RingEntry {
    /// The delivery, outcome rejected or handshake.
    pub delivery: Delivery,
    /// The request in `.http` form, masked, body cut to 16 KiB.
    pub request: Vec<u8>,
}

/// Why the feed did not answer.
#[derive(Debug, Clone, Error)]
#[error("the feed cannot answer: {0}")]
pub struct FeedError(pub Arc<str>);

/// The searchable view. Calls block.
pub trait Feed: Send + Sync {
    /// Events that match.
    ///
    /// # Errors
    /// When the store fails.
    fn events(&self, query: &Query, paging: Paging) -> Result<Page<EventRow>, FeedError>;

    /// Deliveries that match, ring entries among them.
    ///
    /// # Errors
    /// When the store fails.
    fn deliveries(&self, query: &Query, paging: Paging) -> Result<Page<DeliveryRow>, FeedError>;

    /// One event by its id (the newest, should there be several).
    ///
    /// # Errors
    /// When the store fails.
    fn event(&self, id: uuid::Uuid) -> Result<Option<EventRow>, FeedError>;

    /// One delivery by its id, from the log or the ring.
    ///
    /// # Errors
    /// When the store fails.
    fn delivery(&self, id: uuid::Uuid) -> Result<Option<DeliveryRow>, FeedError>;

    /// Ids of a delivery's replays, newest first; of the newest 100.
    ///
    /// # Errors
    /// When the store fails.
    fn replays(&self, id: uuid::Uuid) -> Result<Vec<uuid::Uuid>, FeedError>;

    /// The request of a ring entry in `.http` form.
    ///
    /// # Errors
    /// When the store fails.
    fn ring_request(&self, id: uuid::Uuid) -> Result<Option<Vec<u8>>, FeedError>;

    /// How many deliveries of each webhook are parked and still there, as far as the feed has read the log; it
    /// waits for the rest but a moment.
    ///
    /// # Errors
    /// When the store fails.
    fn parked(&self) -> Result<BTreeMap<String, u64>, FeedError>;

    /// Keeps a request that is not logged. Best effort: never blocks, drops when busy.
    fn keep(&self, entry: RingEntry);

    /// The newest delivery that is indexed.
    fn indexed_to(&self) -> Seq;

    /// Stops the indexer and closes.
    fn close(&self);
}

/// Opens the feed beside the log and starts its indexer; a missing, damaged or older one is rebuilt from the log.
///
/// # Errors
/// When not even an empty one can be made.
pub fn open(folder: &std::path::Path, log: Arc<dyn EventLog>) -> Result<Arc<dyn Feed>, FeedError> {
    Ok(Arc::new(view::LogFeed::start(folder, log)?))
}

#[cfg(test)]
mod tests;
