//! Reading the log for one sink: which events are for it, as JSON.

use super::window::Item;
use crate::log::{EventLog, LogError, Record};
use crate::model::{Delivery, Event, Position, Seq};
use crate::query::Query;
use std::sync::Arc;

/// Records read at once.
const RECORDS_MAX: usize = 1_000;
/// Bytes of records read at once.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// What one read gave.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Events for the sink, in order.
    pub(super) items: Vec<Item>,
    /// The log was read up to here.
    pub(super) scanned: Seq,
}

/// Reads on from `after` in a thread that may block.
///
/// # Errors
/// As the log's.
pub(super) async fn read(
    log: &Arc<dyn EventLog>,
    after: Seq,
    filter: Option<&Arc<Query>>,
) -> Result<Chunk, LogError> {
    let log = Arc::clone(log);
    let filter = filter.map(Arc::clone);
    let read = move || {
        let records = log.read(after, RECORDS_MAX, BYTES_MAX)?;
        Ok(select(records, after, filter.as_deref()))
    };
    blocking(read).await
}

/// Runs a call of the log that blocks.
///
/// # Errors
/// As the call's; `Closed` when the runtime is going down.
pub(super) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    tokio::task::spawn_blocking(call)
        .await
        .unwrap_or(Err(LogError::Closed))
}

fn select(records: Vec<Record>, after: Seq, filter: Option<&Query>) -> Chunk {
    let mut chunk = Chunk {
        items: Vec::new(),
        scanned: after,
    };
    for record in records {
        chunk.scanned = chunk.scanned.max(record.seq);
        let mut delivery = record.delivery;
        let events = std::mem::take(&mut delivery.events);
        let hop = delivery.trace.take().filter(|hop| hop.is_continued);
        let parent = hop.map(|hop| hop.trace);
        for (index, event) in (0..).zip(events) {
            if !wanted(&event, &delivery, filter) {
                continue;
            }
            let Ok(json) = serde_json::to_string(&event) else {
                // Strings, times and JSON text always serialise.
                continue;
            };
            chunk.items.push(Item {
                position: Position {
                    seq: record.seq,
                    index,
                },
                webhook: delivery.webhook.clone(),
                received: delivery.received,
                event,
                trace: parent.clone(),
                json,
            });
        }
    }
    chunk
}

fn wanted(event: &Event, delivery: &Delivery, filter: Option<&Query>) -> bool {
    filter.map_or_else(
        || delivery.webhook.is_some() || !event.event.starts_with("hookgate."),
        |query| query.matches_event(event, delivery),
    )
}
