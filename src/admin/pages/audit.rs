//! `/audit`: who or what did what, when, from where: hookgate's own events, which are in the same log.

use super::Ask;
use super::show::{cut, in_path, moment, row_time};
use crate::admin::problem::ApiError;
use crate::feed::{EventRow, Paging};
use crate::model::Position;
use crate::query::Query;
use actix_web::HttpResponse;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

/// Rows of a page.
const ROWS: usize = 50;
/// Characters of the details of a row.
const DETAIL_CHARS_MAX: usize = 300;

/// What can be asked for: its value, its words, its part of the query.
type Choice = (&'static str, &'static str, &'static str);

const WHAT: [Choice; 7] = [
    ("", "Everything", "event:hookgate.*"),
    ("replays", "Replays", "event:hookgate.delivery.*"),
    (
        "dead-letters",
        "Dead letters",
        "event:hookgate.dead_letters.*",
    ),
    ("sinks", "Sinks", "event:hookgate.sink.*"),
    ("config", "Configuration", "event:hookgate.config.*"),
    ("tokens", "Tokens", "event:hookgate.token.*"),
    ("sign-ins", "Sign-in and out", "event:hookgate.signed*"),
];

const WHO: [Choice; 5] = [
    ("", "Anyone, and itself", ""),
    ("someone", "Anyone", "payload.by.kind:*"),
    ("loopback", "Without a token", "payload.by.kind:loopback"),
    (
        "admin_token",
        "The admin_token",
        "payload.by.kind:admin_token",
    ),
    ("token", "A stored token", "payload.by.kind:token"),
];

const SINCE: [Choice; 4] = [
    ("", "Any time", ""),
    ("1d", "Last 24 h", "received:>-24h"),
    ("7d", "Last 7 days", "received:>-7d"),
    ("30d", "Last 30 days", "received:>-30d"),
];

#[derive(Debug, Serialize)]
struct AuditPage {
    selects: Vec<Select>,
    is_narrowed: bool,
    rows: Vec<AuditRow>,
    older: Option<String>,
    is_first: bool,
    feed: String,
}

#[derive(Debug, Serialize)]
struct Select {
    name: &'static str,
    label: &'static str,
    options: Vec<(&'static str, &'static str, bool)>,
}

#[derive(Debug, Serialize)]
struct AuditRow {
    at: String,
    at_full: String,
    /// The event's name without `hookgate.`.
    what: String,
    event: String,
    who: String,
    from: Option<String>,
    about: String,
    /// Where that is shown.
    url: Option<String>,
    detail: String,
}

/// `GET /audit`.
pub(super) async fn page(ask: Ask) -> Result<HttpResponse, ApiError> {
    let parameters = ask.parameters(&["what", "who", "since", "after"])?;
    let paging = Paging {
        limit: ROWS,
        ascending: false,
        ..parameters.paging()?
    };
    let is_first = parameters.get("after").is_none();
    let chosen = |name: &str, choices: &'static [Choice]| -> &'static Choice {
        let given = parameters.get(name).unwrap_or("");
        let found = choices.iter().find(|(value, ..)| *value == given);
        found.or(choices.first()).unwrap_or(&WHAT[0])
    };
    let choices = [
        chosen("what", &WHAT),
        chosen("who", &WHO),
        chosen("since", &SINCE),
    ];
    ask.answer("audit.html", "audit", move |ask| {
        gather(ask, choices, paging, is_first)
    })
    .await
}

fn gather(
    ask: &Ask,
    choices: [&'static Choice; 3],
    paging: Paging,
    is_first: bool,
) -> Result<AuditPage, ApiError> {
    let now = Timestamp::now();
    let terms: Vec<&str> = choices
        .iter()
        .map(|(.., term)| *term)
        .filter(|t| !t.is_empty())
        .collect();
    let text = terms.join(" ");
    let query = Query::parse(&text, now).map_err(|error| ApiError::query("q", error))?;
    let found = ask.admin.feed.events(&query, paging)?;
    let names = [
        ("what", "What", &WHAT[..]),
        ("who", "Who", &WHO[..]),
        ("since", "When", &SINCE[..]),
    ];
    let selects = names
        .into_iter()
        .zip(choices)
        .map(|((name, label, all), (chosen, ..))| Select {
            name,
            label,
            options: all
                .iter()
                .map(|(value, words, _)| (*value, *words, value == chosen))
                .collect(),
        });
    Ok(AuditPage {
        selects: selects.collect(),
        is_narrowed: choices.iter().any(|(value, ..)| !value.is_empty()),
        rows: found.rows.iter().map(|row| audit_row(row, now)).collect(),
        older: found.next.map(|next| older(choices, next)),
        is_first,
        feed: format!(
            "/?{}",
            form_urlencoded::Serializer::new(String::new())
                .append_pair("q", &text)
                .finish()
        ),
    })
}

fn older(choices: [&Choice; 3], next: Position) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, (value, ..)) in ["what", "who", "since"].into_iter().zip(choices) {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    format!(
        "/audit?{}",
        query.append_pair("after", &next.to_string()).finish()
    )
}

fn audit_row(row: &EventRow, now: Timestamp) -> AuditRow {
    let event = &row.event;
    let payload: Map<String, Value> = serde_json::from_str(event.payload.get()).unwrap_or_default();
    let id = event.resource_id();
    let name = event.resource.get(crate::model::event::RESOURCE_NAME);
    AuditRow {
        at: row_time(row.received, now),
        at_full: moment(row.received),
        what: event
            .event
            .strip_prefix("hookgate.")
            .unwrap_or(&event.event)
            .replace(['_', '.'], " "),
        event: event.id.to_string(),
        who: who(payload.get("by")),
        from: payload
            .get("from")
            .and_then(Value::as_str)
            .map(str::to_owned),
        about: cut(name.map_or(id, String::as_str), 120),
        url: url(id),
        detail: detail(&payload),
    }
}

fn who(by: Option<&Value>) -> String {
    let text = |name: &str| {
        by.and_then(|by| by.get(name))
            .and_then(Value::as_str)
            .unwrap_or("")
    };
    match text("kind") {
        "loopback" => "someone on this machine".to_owned(),
        "admin_token" => "admin_token".to_owned(),
        "token" => format!("token {} ({})", cut(text("name"), 80), cut(text("id"), 20)),
        _ => "hookgate".to_owned(),
    }
}

/// The page of what an own event is about.
fn url(resource: &str) -> Option<String> {
    let about = resource.strip_prefix("hookgate.")?;
    Some(match about.split_once('.') {
        Some(("sink", name)) => format!("/sinks/{}", in_path(name)),
        Some(("delivery", id)) if uuid::Uuid::try_parse(id).is_ok() => format!("/deliveries/{id}"),
        Some(("token", _)) => "/settings?tab=tokens".to_owned(),
        None if about == "dead_letters" => "/dead-letters".to_owned(),
        None if about == "config" => "/settings".to_owned(),
        _ => return None,
    })
}

/// The rest of the payload in a line: `count 3, reason old ones`.
fn detail(payload: &Map<String, Value>) -> String {
    let shown = payload.iter().filter(|(name, value)| {
        !matches!(name.as_str(), "by" | "from" | "hash") && !value.is_null()
    });
    let parts = shown.map(|(name, value)| match value {
        Value::String(text) => format!("{name} {text}"),
        other => format!("{name} {other}"),
    });
    cut(&parts.collect::<Vec<_>>().join(", "), DETAIL_CHARS_MAX)
}
