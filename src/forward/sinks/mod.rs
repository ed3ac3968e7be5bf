//! The kinds of sinks, a file each. A sink sends and says what it can prove; it never waits between attempts.

mod address;
mod client;
mod http;
mod ndjson;
mod prefect;

use super::error::SinkError;
use super::window::Item;
use super::{SinkKind, SinkSettings};
use futures_util::future::BoxFuture;
use std::collections::HashSet;
use std::sync::Arc;
use uuid::Uuid;

/// What an attempt that worked proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// The batch is where it belongs.
    Delivered,
    /// The sink took it, and must be asked whether it has it.
    Taken,
}

/// A destination of events.
pub(super) trait Sink: Send + Sync {
    /// Events in one batch at most, whatever the settings say.
    fn events_max(&self) -> usize;

    /// Bytes in one batch at most, whatever the settings say.
    fn bytes_max(&self) -> usize {
        usize::MAX
    }

    /// Sends a batch, in order, whole or not at all.
    fn send<'a>(&'a self, batch: &'a [Arc<Item>]) -> BoxFuture<'a, Result<Proof, SinkError>>;

    /// Which of these events (at most [`CONFIRM_IDS`]) the sink shows.
    fn shown<'a>(
        &'a self,
        batch: &'a [Arc<Item>],
    ) -> BoxFuture<'a, Result<HashSet<Uuid>, SinkError>> {
        let ids = batch.iter().map(|item| item.event.id).collect();
        Box::pin(async move { Ok(ids) })
    }
}

/// Events asked for at once: what Prefect's server shows on one page.
pub(super) const CONFIRM_IDS: usize = 50;

/// Makes a sink from its settings.
///
/// # Errors
/// `Misconfigured`: its URL or key cannot be used.
pub(super) fn build(settings: &SinkSettings) -> Result<Arc<dyn Sink>, SinkError> {
    Ok(match &settings.kind {
        SinkKind::Prefect(target, options) => Arc::new(prefect::Prefect::new(target, *options)?),
        SinkKind::Http(target, options) => Arc::new(http::Http::new(target, options)?),
        SinkKind::Ndjson(target) => Arc::new(ndjson::Ndjson::new(target)),
    })
}

/// Stands for a sink that cannot be made: its loop runs, and says why nothing is delivered.
pub(super) struct Broken(pub(super) SinkError);

impl Sink for Broken {
    fn events_max(&self) -> usize {
        1
    }

    fn send<'a>(&'a self, _: &'a [Arc<Item>]) -> BoxFuture<'a, Result<Proof, SinkError>> {
        let error = self.0.clone();
        Box::pin(async move { Err(error) })
    }
}

/// The name of a kind.
pub(super) fn kind_name(kind: &SinkKind) -> &'static str {
    match kind {
        SinkKind::Prefect(..) => "prefect",
        SinkKind::Http(..) => "http",
        SinkKind::Ndjson(_) => "ndjson",
    }
}

/// A batch as a JSON array.
fn json_array(batch: &[Arc<Item>]) -> Vec<u8> {
    let bytes = batch.iter().map(|item| item.json.len() + 1).sum::<usize>();
    let mut array = Vec::with_capacity(bytes + 1);
    array.push(b'[');
    for (n, item) in batch.iter().enumerate() {
        if n > 0 {
            array.push(b',');
        }
        array.extend_from_slice(item.json.as_bytes());
    }
    array.push(b']');
    array
}
