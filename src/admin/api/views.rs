//! What the API gives, as types: the names and their order are promises.

use crate::codes::Code;
use crate::feed::{DeliveryRow, EventRow};
use crate::model::delivery::{Check, RequestSummary, Timing, Verification};
use crate::model::trace::Hop;
use crate::model::{Delivery, Event, Note, Outcome, Position, Problem, Seq, time};
use serde::Serialize;
use std::borrow::Cow;
use uuid::Uuid;

/// A delivery. What is absent is `null`, so that readers need not ask whether a name is there.
#[derive(Debug, Serialize)]
pub(crate) struct DeliveryView<'a> {
    id: Uuid,
    /// Place in the log; `null` for what was not logged (rejected).
    seq: Option<Seq>,
    received: String,
    webhook: Option<&'a str>,
    provider: Option<&'a str>,
    outcome: Outcome,
    code: Option<Code>,
    status: u16,
    key: Option<&'a str>,
    error: Option<&'a Problem>,
    duplicates: u64,
    events: &'a [Event],
    notes: &'a [Note],
    verification: Option<Cow<'a, Verification>>,
    request: Option<&'a RequestSummary>,
    masked: &'a [String],
    timing: Option<Timing>,
    replay_of: Option<Uuid>,
    duplicate_of: Option<Seq>,
    trace: Option<&'a Hop>,
    /// Ids of its replays, newest first; only where one delivery was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    replays: Option<Vec<Uuid>>,
}

impl<'a> From<&'a DeliveryRow> for DeliveryView<'a> {
    fn from(row: &'a DeliveryRow) -> Self {
        let delivery = &row.delivery;
        Self {
            id: delivery.id,
            seq: row.seq,
            received: time::to_rfc3339(delivery.received),
            webhook: delivery.webhook.as_deref(),
            provider: delivery.provider.as_deref(),
            outcome: delivery.outcome,
            code: delivery.code,
            status: delivery.status,
            key: delivery.key.as_deref(),
            error: delivery.error.as_ref(),
            duplicates: row.duplicates,
            events: &delivery.events,
            notes: &delivery.notes,
            verification: delivery.verification.as_ref().map(Cow::Borrowed),
            request: delivery.request.as_ref(),
            masked: &delivery.masked,
            timing: delivery.timing,
            replay_of: delivery.replay_of,
            duplicate_of: delivery.duplicate_of,
            trace: delivery.trace.as_ref(),
            replays: None,
        }
    }
}

impl DeliveryView<'_> {
    /// With the ids of its replays.
    pub(crate) fn with_replays(mut self, replays: Vec<Uuid>) -> Self {
        self.replays = Some(replays);
        self
    }

    /// With hints among its checks.
    pub(crate) fn with_hints(mut self, hints: Vec<Check>) -> Self {
        if let Some(record) = self.verification.as_mut().filter(|_| !hints.is_empty()) {
            record.to_mut().checks.extend(hints);
        }
        self
    }
}

/// An event with where it came from.
#[derive(Debug, Serialize)]
pub(crate) struct EventView<'a> {
    seq: Seq,
    index: u32,
    delivery: Uuid,
    received: String,
    webhook: Option<&'a str>,
    #[serde(flatten)]
    event: &'a Event,
}

impl<'a> EventView<'a> {
    /// An event of a record.
    pub(crate) fn of(position: Position, delivery: &'a Delivery, event: &'a Event) -> Self {
        Self {
            seq: position.seq,
            index: position.index,
            delivery: delivery.id,
            received: time::to_rfc3339(delivery.received),
            webhook: delivery.webhook.as_deref(),
            event,
        }
    }
}

impl<'a> From<&'a EventRow> for EventView<'a> {
    fn from(row: &'a EventRow) -> Self {
        Self {
            seq: row.position.seq,
            index: row.position.index,
            delivery: row.delivery,
            received: time::to_rfc3339(row.received),
            webhook: row.webhook.as_deref(),
            event: &row.event,
        }
    }
}
