//! hookgate's own events about its sinks: records without a webhook.

use crate::log::{Append, AppendKeys, EventLog, LogError};
use crate::model::{Delivery, Event, Labels, Outcome, event};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

/// An own event about a sink.
pub(crate) fn sink_event(name: &str, sink: &str, payload: &serde_json::Value) -> Event {
    let mut resource = Labels::new();
    resource.insert(
        event::RESOURCE_ID.to_owned(),
        format!("hookgate.sink.{sink}"),
    );
    resource.insert(event::RESOURCE_NAME.to_owned(), sink.to_owned());
    Event {
        occurred: Timestamp::now(),
        event: name.to_owned(),
        resource,
        related: Vec::new(),
        payload: serde_json::value::to_raw_value(payload).unwrap_or_default(),
        id: Uuid::now_v7(),
        follows: None,
    }
}

/// Writes an own event about a sink to the log.
///
/// # Errors
/// When the log does not take it.
pub(crate) async fn write(
    log: &dyn EventLog,
    name: &str,
    sink: &str,
    payload: serde_json::Value,
) -> Result<(), LogError> {
    let event = sink_event(name, sink, &payload);
    let append = Append {
        delivery: delivery(event),
        request: None,
        keys: AppendKeys::None,
    };
    // A writer that went away is a log that is closed.
    let written = log.append(append)?;
    written.await.map_err(|_| LogError::Closed)?.map(|_| ())
}

fn delivery(event: Event) -> Delivery {
    Delivery {
        id: Uuid::now_v7(),
        received: event.occurred,
        webhook: None,
        provider: None,
        outcome: Outcome::Accepted,
        code: None,
        status: 204,
        key: None,
        error: None,
        events: vec![event],
        notes: Vec::new(),
        duplicate_of: None,
        replay_of: None,
        request: None,
        verification: None,
        masked: Vec::new(),
        timing: None,
    }
}

/// Payload of the events about a failing sink.
pub(crate) fn failure_payload(code: crate::codes::Code, message: &str) -> serde_json::Value {
    json!({ "code": code, "message": message })
}
