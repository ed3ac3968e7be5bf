//! What must hold whatever bytes come: a function for each reader of what strangers or owners write.
//!
//! libFuzzer calls them (`fuzz/`), and so does the test that replays `fuzz/corpus/`: the same code, built without any
//! feature of its own. A broken promise panics. Nothing of the product calls this.
//!
//! An input that has two parts (a template and the request that it translates) is cut at the first line that is
//! [`CUT`] alone, so that an input can be read and written by hand.

#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a broken promise ends the run, by whatever panics"
)]

mod cloud;
mod corpus;
mod leaves;
mod query;
mod reader;
mod receiving;
mod settings;
mod signing;
mod stored;
mod translation;

pub use cloud::cloudevents;
pub use corpus::template_safe;
pub use query::query;
pub use reader::json;
pub use receiving::request;
pub use settings::config;
pub use signing::signature;
pub use stored::record;
pub use translation::{definition, template};

use crate::codes::Code;
use crate::config::{Severity, findings};
use crate::model::event::{RESOURCE_ID, RESOURCE_ROLE};
use crate::model::http_file::{self, Masking};
use crate::model::{Event, Headers, Place, Problem, Request, limits};
use crate::translate::{Failure, Keys, ParsedBody, Scope, Translated};
use bytes::Bytes;
use jiff::Timestamp;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};

/// One function with its name, which is that of its folder in `fuzz/corpus/`.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Name.
    pub name: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]),
}

/// All of them, by name.
pub const TARGETS: [Target; 10] = [
    target("cloudevents", cloudevents),
    target("config", config),
    target("definition", definition),
    target("json", json),
    target("query", query),
    target("record", record),
    target("request", request),
    target("signature", signature),
    target("template", template),
    target("template_safe", template_safe),
];

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// The line between two parts of an input.
const CUT: &[u8] = b"----";
/// Longer texts of owners find nothing that shorter ones do not.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// The parts of an input; the second is empty where nothing is cut.
fn cut(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if line.trim_ascii_end() == CUT {
            return (&bytes[..at], &bytes[at + line.len()..]);
        }
        at += line.len();
    }
    (bytes, &[])
}

/// The first part of an input where it is a text that is not too long, and the second.
fn text_and_rest(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (text, rest) = cut(bytes);
    let text = std::str::from_utf8(text).ok()?;
    (text.len() <= TEXT_BYTES_MAX).then_some((text, rest))
}

/// A fixed moment.
fn now() -> Timestamp {
    Timestamp::from_second(1_795_000_000).expect("in range")
}

/// A request in the form of `.http` files; what is none is the JSON body of one.
fn request_of(bytes: &[u8]) -> Request {
    if let Ok(request) = http_file::parse(bytes, now()) {
        return request;
    }
    let mut headers = Headers::new();
    headers.push("content-type", "application/json");
    headers.push("x-h", "fake-header-0001");
    let body = Bytes::copy_from_slice(bytes);
    Request {
        method: "POST".to_owned(),
        path: String::new(),
        query: "q=1".to_owned(),
        headers,
        wire_body: body.clone(),
        body,
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        received: now(),
        url: "http://localhost/hooks/x".to_owned(),
    }
}

/// Calls with the scope in which a request is translated for a webhook of no special kind.
fn in_scope<T>(request: &Request, keys: &Keys, own_keys: bool, f: impl Fn(&Scope<'_>) -> T) -> T {
    f(&Scope {
        request,
        webhook: "fuzz",
        masking: &Masking::default(),
        keys,
        own_keys,
        default_payload: true,
        body: &ParsedBody::default(),
    })
}

/// What a translation promises of its result.
fn check_translation(result: &Result<Translated, Failure>) {
    match result {
        Ok(translated) => check_events(&translated.events),
        Err(failure) => check_shown(&failure.problem),
    }
}

/// Every event obeys the schema, can be written and read again, and has an id of its own.
fn check_events(events: &[Event]) {
    assert!(events.len() <= limits::EVENTS_PER_REQUEST_MAX);
    let mut ids = HashSet::new();
    let mut bytes = 0;
    for event in events {
        let json = serde_json::to_string(event).expect("an event has JSON");
        assert!(
            json.len() <= limits::EVENT_BYTES_MAX,
            "{} bytes",
            json.len()
        );
        bytes += event.payload.get().len();
        let name = event.event.chars().count();
        assert!((1..=limits::EVENT_NAME_CHARS_MAX).contains(&name), "{json}");
        assert!(!event.resource_id().is_empty(), "{json}");
        assert!(event.resource.len() <= limits::LABELS_MAX, "{json}");
        assert!(event.related.len() <= limits::RELATED_MAX, "{json}");
        for related in &event.related {
            for label in [RESOURCE_ID, RESOURCE_ROLE] {
                assert!(related.get(label).is_some_and(|l| !l.is_empty()), "{json}");
            }
        }
        assert!(event.payload.get().starts_with('{'), "{json}");
        assert!(ids.insert(event.id), "two events have one id: {json}");
        let again: Event = serde_json::from_str(&json).expect("an event that was written is read");
        let again = serde_json::to_string(&again).expect("an event has JSON");
        assert_eq!(again, json, "an event changes when it is written and read");
    }
    assert!(bytes <= limits::EVENTS_BYTES_MAX);
}

/// A problem has a text, and every way to show it shows it.
fn check_shown(problem: &Problem) {
    assert!(!problem.message.trim().is_empty(), "{problem:?}");
    assert!(
        Code::parse(&problem.code.to_string()).is_some(),
        "{problem:?}"
    );
    let shown = findings::render_problem(Severity::Error, problem);
    assert!(shown.contains(&problem.code.to_string()), "{shown}");
    serde_json::to_string(problem).expect("a problem has JSON");
}

/// A problem tells where in `text`, which is that of `file`, it is.
fn check_place(problem: &Problem, file: &str, text: &str) {
    check_shown(problem);
    let place = problem.place.as_ref();
    let place = place.unwrap_or_else(|| panic!("no place: {problem:?} in {text:?}"));
    check_inside(place, file, text);
}

/// A place is one in `text`.
fn check_inside(place: &Place, file: &str, text: &str) {
    assert_eq!(place.file, file);
    let line = usize::try_from(place.line).expect("fits");
    let column = usize::try_from(place.column).expect("fits");
    let mut lines = text.split('\n');
    let source = lines.nth(line.saturating_sub(1));
    let source = source.unwrap_or_else(|| panic!("no such line: {place:?} in {text:?}"));
    assert!(line >= 1 && column >= 1, "{place:?}");
    let characters = source.chars().count();
    assert!(column <= characters + 1, "{place:?} in {text:?}");
    if let Some(end) = place.end_column {
        let end = usize::try_from(end).expect("fits");
        assert!(
            end > column && end <= characters.max(column) + 1,
            "{place:?} in {text:?}"
        );
    }
}
