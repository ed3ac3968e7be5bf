//! hookgate's own events about learned secrets: that something was done, never the secret.

use super::Lesson;
use crate::log::{Append, own_event};
use crate::model::{Labels, event};
use serde_json::{Map, Value, json};

/// `hookgate.secret.learned`: with the delivery that brought it, and where that came from.
pub(super) fn learned(webhook: &str, lesson: &Lesson) -> Append {
    let payload = Map::from_iter([
        ("delivery".to_owned(), json!(lesson.delivery)),
        ("from".to_owned(), json!(lesson.from)),
    ]);
    about("learned", webhook, &payload)
}

/// `hookgate.secret.confirmed`, `.forgotten`, `.revealed`, or `.awaited`.
pub(super) fn event(what: &str, webhook: &str) -> Append {
    about(what, webhook, &Map::new())
}

fn about(what: &str, webhook: &str, payload: &Map<String, Value>) -> Append {
    let mut resource = Labels::new();
    let id = format!("hookgate.webhook.{webhook}");
    resource.insert(event::RESOURCE_ID.to_owned(), id);
    resource.insert(event::RESOURCE_NAME.to_owned(), webhook.to_owned());
    own_event(&format!("hookgate.secret.{what}"), resource, payload)
}
