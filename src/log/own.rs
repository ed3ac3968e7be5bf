//! hookgate's own events: records without a webhook, in the same log.

use super::{Append, AppendKeys};
use crate::model::{Delivery, Event, Labels, Outcome};
use jiff::Timestamp;
use serde_json::value::RawValue;
use uuid::Uuid;

/// An own event such as `hookgate.sink.failing`, ready to be appended.
///
/// `resource` must hold a non-empty `prefect.resource.id`, `payload` no secret and no slug.
#[must_use]
pub fn own_event(
    name: &str,
    resource: Labels,
    payload: &serde_json::Map<String, serde_json::Value>,
) -> Append {
    let now = Timestamp::now();
    // A map of JSON values always has a JSON text; the default is for the type's sake.
    let payload: Box<RawValue> =
        serde_json::value::to_raw_value(payload).unwrap_or_else(|_| RawValue::NULL.to_owned());
    let event = Event {
        occurred: now,
        event: name.to_owned(),
        resource,
        related: Vec::new(),
        payload,
        id: Uuid::now_v7(),
        follows: None,
    };
    let delivery = Delivery {
        id: Uuid::now_v7(),
        received: now,
        webhook: None,
        provider: None,
        outcome: Outcome::Accepted,
        code: None,
        // Nobody was answered.
        status: 0,
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
        trace: None,
    };
    Append {
        delivery,
        request: None,
        keys: AppendKeys::None,
        contents: Vec::new(),
    }
}
