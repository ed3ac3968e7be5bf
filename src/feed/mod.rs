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

mod clues;
mod counting;
mod counts;
mod indexer;
mod known;
mod merge;
mod plan;
mod progress;
mod rows;
mod stores;
mod tally;
mod text;
mod view;

pub use counts::{
    BUCKETS_MAX, Bucket, Budget, Counted, FACET_VALUES_MAX, Facet, FacetKey, FacetValue, Histogram,
    MATCHES_MAX, Over, TermCount, What, count_terms,
};
pub(crate) use known::Knowledge;

use crate::log::EventLog;
use crate::model::trace::Trace;
use crate::model::{Delivery, Event, Position, Seq};
use crate::query::{Query, SinkView};
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
    /// Rows that were looked at.
    pub scanned: u64,
    /// Whether the page is full or there are no more; else its time was up, and `next` says where to go on.
    pub complete: bool,
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
    /// The place in a trace that its delivery came with.
    pub trace: Option<Trace>,
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

/// The sinks as they are now, for `sink:` terms; blocks.
pub type SinksNow = Arc<dyn Fn() -> Vec<SinkView> + Send + Sync>;

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

    /// How many match. Counters know where the query asks only for what they go by, else rows are counted.
    ///
    /// # Errors
    /// When the store fails.
    fn count(&self, what: What, query: &Query, budget: Budget) -> Result<Counted<()>, FeedError>;

    /// Matches over the time of receipt, by outcome.
    ///
    /// # Errors
    /// When the store fails.
    fn histogram(
        &self,
        what: What,
        query: &Query,
        over: Over,
        budget: Budget,
    ) -> Result<Counted<Histogram>, FeedError>;

    /// The most frequent values among matches, for each key.
    ///
    /// # Errors
    /// When the store fails.
    fn facets(
        &self,
        what: What,
        query: &Query,
        keys: &[FacetKey],
        budget: Budget,
    ) -> Result<Counted<Vec<Facet>>, FeedError>;

    /// Who tells how far the sinks are; until then no sink is known.
    fn set_sinks(&self, sinks: SinksNow);

    /// The sinks as they are now; asked only where a query has `sink:` terms.
    fn sinks(&self) -> Vec<SinkView>;

    /// How many requests were kept since the start, and a way to wait for the next.
    fn kept(&self) -> tokio::sync::watch::Receiver<u64>;

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
