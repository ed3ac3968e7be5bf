//! Tests of the log in SQLite.

mod basics;
mod duplicates;
mod faults;
mod model;
mod retention;
mod wal;

use super::{Options, SqliteLog, open};
use crate::log::{
    Append, AppendKeys, Appended, EventLog, LogError, StoreSettings, compress_request,
};
use crate::model::delivery::RequestSummary;
use crate::model::event::{Labels, RESOURCE_ID};
use crate::model::{Delivery, Event, Outcome};
use crate::telemetry::Metrics;
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn settings(path: &Path) -> StoreSettings {
    StoreSettings {
        path: path.to_owned(),
        retention: DAY * 30,
        requests: DAY * 30,
        max_size: None,
        dedup: DAY * 3,
        queue: 4_096,
    }
}

pub(super) fn start(path: &Path) -> Arc<SqliteLog> {
    start_with(&settings(path), Options::default())
}

pub(super) fn start_with(settings: &StoreSettings, options: Options) -> Arc<SqliteLog> {
    open(settings, &Metrics::new(), options).unwrap().0
}

pub(super) fn event(name: &str) -> Event {
    Event {
        occurred: Timestamp::from_second(1_800_000_000).unwrap(),
        event: name.to_owned(),
        resource: Labels::from_iter([(RESOURCE_ID.to_owned(), "thing.1".to_owned())]),
        related: Vec::new(),
        payload: serde_json::value::RawValue::from_string(
            r#"{"exact":1.0000000000000000001}"#.to_owned(),
        )
        .unwrap(),
        id: Uuid::now_v7(),
        follows: None,
    }
}

/// A delivery of webhook `w` with a request and `events` events.
pub(super) fn delivery(events: usize) -> Append {
    let id = Uuid::now_v7();
    let (request, sha256) =
        compress_request(format!("POST /hooks/{{slug}}\r\n\r\n{id}").as_bytes());
    Append {
        delivery: Delivery {
            id,
            received: Timestamp::now(),
            webhook: Some("w".to_owned()),
            provider: None,
            outcome: Outcome::Accepted,
            code: None,
            status: 204,
            key: None,
            error: None,
            events: (0..events).map(|i| event(&format!("e.{i}"))).collect(),
            notes: Vec::new(),
            duplicate_of: None,
            replay_of: None,
            request: Some(RequestSummary {
                method: "POST".to_owned(),
                path: String::new(),
                content_type: None,
                user_agent: None,
                peer: [127, 0, 0, 1].into(),
                body_bytes: 36,
                sha256,
            }),
            verification: None,
            masked: Vec::new(),
            timing: None,
            trace: None,
        },
        request: Some(request),
        keys: AppendKeys::None,
        contents: Vec::new(),
    }
}

pub(super) fn keyed(key: &str) -> Append {
    let mut append = delivery(1);
    append.delivery.key = Some(key.to_owned());
    append.keys = AppendKeys::Delivery(key.to_owned());
    append
}

pub(super) fn put(log: &dyn EventLog, append: Append) -> Result<Appended, LogError> {
    log.append(append)?
        .blocking_recv()
        .unwrap_or(Err(LogError::Closed))
}

/// Waits until something holds, at most a minute: the machine may have other work.
pub(super) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(std::time::Instant::now() < until, "{what}");
        std::thread::yield_now();
    }
}
