//! What the owner hears when requests fail, at a bounded rate: a line when the log refuses, an own event when a
//! webhook's delivery is parked.

use crate::codes::{self, Code};
use crate::log::{Append, LogError, own_event};
use crate::model::{Labels, event};
use crate::verify::KeySource;
use serde_json::{Map, json};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// One line a second says that the log refuses requests.
const REFUSED_EVERY: Duration = Duration::from_secs(1);
/// One event a minute says that a webhook's deliveries are parked: a broken template breaks on each of them.
const FAILED_EVERY: Duration = Duration::from_secs(60);

/// Lets one through in a while and counts the others. It outlives reloads of the configuration.
#[derive(Debug, Default)]
struct Throttle {
    last: Option<Instant>,
    held: u64,
}

impl Throttle {
    /// How many there were since the last that passed, this one included; none: it is held back.
    fn pass(&mut self, now: Instant, every: Duration) -> Option<u64> {
        self.held = self.held.saturating_add(1);
        if !self.is_due(now, every) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.held))
    }

    fn is_due(&self, now: Instant, every: Duration) -> bool {
        self.last
            .is_none_or(|last| now.saturating_duration_since(last) >= every)
    }
}

/// The gateway's alarms. One for the process.
#[derive(Debug, Default)]
pub struct Alarms {
    log: Mutex<Throttle>,
    webhooks: Mutex<HashMap<String, Throttle>>,
    keys: Mutex<Throttle>,
}

impl Alarms {
    /// The log did not take a request, which was answered with 503.
    pub(super) fn refused(&self, error: &LogError) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = log.pass(Instant::now(), REFUSED_EVERY);
        drop(log);
        if let Some(requests) = passed {
            tracing::warn!(
                code = %error.code(), %error, requests,
                "the log refuses requests: they were answered with 503"
            );
        }
    }

    /// A sender's key did not come in time, and the request was answered with 503.
    pub(super) fn key_missing(&self, webhook: &str, source: &KeySource) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = keys.pass(Instant::now(), REFUSED_EVERY);
        drop(keys);
        if let Some(requests) = passed {
            tracing::warn!(
                code = %codes::KEY_NOT_AT_HAND, webhook, source = source.label(), requests,
                "the sender's key is not at hand: requests were answered with 503"
            );
        }
    }

    /// A webhook's delivery was parked: the event to record, unless there was one a short while ago.
    pub(super) fn failed(&self, webhook: &str, delivery: Uuid, code: Code) -> Option<Append> {
        self.failed_at(Instant::now(), webhook, delivery, code)
    }

    fn failed_at(&self, now: Instant, webhook: &str, delivery: Uuid, code: Code) -> Option<Append> {
        let mut webhooks = self.webhooks.lock().unwrap_or_else(PoisonError::into_inner);
        if !webhooks.contains_key(webhook) {
            // Webhooks that are gone are forgotten.
            webhooks.retain(|_, throttle| !throttle.is_due(now, FAILED_EVERY));
            webhooks.insert(webhook.to_owned(), Throttle::default());
        }
        let failures = webhooks.get_mut(webhook)?.pass(now, FAILED_EVERY)?;
        drop(webhooks);
        let mut resource = Labels::new();
        let id = format!("hookgate.webhook.{webhook}");
        resource.insert(event::RESOURCE_ID.to_owned(), id);
        resource.insert(event::RESOURCE_NAME.to_owned(), webhook.to_owned());
        // No message: it may quote what was in the request, which belongs to the delivery's record.
        let payload = Map::from_iter([
            ("delivery".to_owned(), json!(delivery)),
            ("code".to_owned(), json!(code)),
            ("title".to_owned(), json!(code.title())),
            ("failures".to_owned(), json!(failures)),
        ]);
        Some(own_event("hookgate.webhook.failed", resource, &payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_a_minute_and_webhook() {
        let alarms = Alarms::default();
        let begun = Instant::now();
        let failed = |seconds, webhook| {
            let now = begun + Duration::from_secs(seconds);
            let append = alarms.failed_at(now, webhook, Uuid::nil(), codes::TEMPLATE_FAILED)?;
            let event = append.delivery.events.into_iter().next()?;
            Some((
                event.resource_id().to_owned(),
                event.payload.get().to_owned(),
            ))
        };
        let (id, payload) = failed(0, "a").unwrap();
        assert_eq!(id, "hookgate.webhook.a");
        for part in [
            "\"code\":\"HG0303\"",
            "\"failures\":1",
            "\"delivery\":\"00000000",
        ] {
            assert!(payload.contains(part), "{payload}");
        }
        assert!(failed(59, "a").is_none() && failed(59, "a").is_none());
        assert!(failed(1, "b").is_some());
        assert!(failed(60, "a").unwrap().1.contains("\"failures\":3"));
        // What is due is forgotten when another one comes.
        assert!(failed(600, "c").is_some());
        assert_eq!(alarms.webhooks.lock().unwrap().len(), 1);
    }

    #[test]
    fn one_line_a_second() {
        let mut throttle = Throttle::default();
        let begun = Instant::now();
        assert_eq!(throttle.pass(begun, REFUSED_EVERY), Some(1));
        for _ in 0..1_000 {
            assert_eq!(throttle.pass(begun, REFUSED_EVERY), None);
        }
        assert_eq!(
            throttle.pass(begun + REFUSED_EVERY, REFUSED_EVERY),
            Some(1_001)
        );
    }
}
