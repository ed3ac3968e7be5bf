//! hookgate's own events about its sinks: records without a webhook.

use crate::log::{Append, EventLog, LogError, own_event};
use crate::model::{Event, Labels, event};
use serde_json::{Value, json};

/// An own event about a sink, as a delivery for the log. The payload must be an object.
fn about(name: &str, sink: &str, payload: Value) -> Append {
    let mut resource = Labels::new();
    let id = format!("hookgate.sink.{sink}");
    resource.insert(event::RESOURCE_ID.to_owned(), id);
    resource.insert(event::RESOURCE_NAME.to_owned(), sink.to_owned());
    let payload = match payload {
        Value::Object(fields) => fields,
        other => [("value".to_owned(), other)].into_iter().collect(),
    };
    own_event(name, resource, &payload)
}

/// An own event about a sink that does not go through the log.
pub(super) fn sink_event(name: &str, sink: &str, payload: Value) -> Option<Event> {
    about(name, sink, payload).delivery.events.pop()
}

/// Writes an own event about a sink to the log.
///
/// # Errors
/// When the log does not take it.
pub(super) async fn write(
    log: &dyn EventLog,
    name: &str,
    sink: &str,
    payload: Value,
) -> Result<(), LogError> {
    let written = log.append(about(name, sink, payload))?;
    // A writer that went away is a log that is closed.
    written.await.map_err(|_| LogError::Closed)?.map(|_| ())
}

/// Payload of the events about a failing sink.
pub(super) fn failure_payload(code: crate::codes::Code, message: &str) -> Value {
    json!({ "code": code, "message": message })
}
