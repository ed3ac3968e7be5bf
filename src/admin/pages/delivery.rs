//! `/deliveries/{id}`: the request and all that came of it, step by step.

use super::Ask;
use super::parts::{ErrorPart, RequestPart, error_part, request_part};
use super::show::{clock, cut, millis, moment, plural, thousands};
use crate::admin::Admin;
use crate::admin::api::{deliveries, id_segment, requests};
use crate::admin::problem::ApiError;
use crate::feed::DeliveryRow;
use crate::model::delivery::{Check, Timing};
use crate::model::{Delivery, Note, Outcome, http_file};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

/// Events that are listed with a link each.
const EVENTS_SHOWN: usize = 100;
/// Dead letters of a sink that are looked through for this delivery.
const DEAD_LETTERS_SEEN: usize = 200;

#[derive(Debug, Serialize)]
struct DeliveryPage {
    id: String,
    outcome: &'static str,
    finding: String,
    webhook: Option<String>,
    provider: Option<String>,
    key: Option<String>,
    received: String,
    clock: String,
    peer: Option<String>,
    agent: Option<String>,
    status: u16,
    seq: Option<String>,
    duplicates: u64,
    duplicate_of: Option<String>,
    replay_of: Option<String>,
    trace: Option<String>,
    steps: Vec<Step>,
    request: Option<RequestPart>,
    request_note: String,
    masked: Vec<String>,
    scheme: Option<String>,
    checks: Vec<Check>,
    error: Option<ErrorPart>,
    notes: Vec<Note>,
    events: Vec<EventPart>,
    events_more: usize,
    sinks: Vec<SinkPart>,
}

/// One of the six stages.
#[derive(Debug, Serialize)]
struct Step {
    id: &'static str,
    name: &'static str,
    state: &'static str,
    note: String,
}

#[derive(Debug, Serialize)]
struct EventPart {
    id: String,
    name: String,
    resource: String,
}

#[derive(Debug, Serialize)]
struct SinkPart {
    name: String,
    state: &'static str,
    word: String,
    detail: String,
}

/// `GET /deliveries/{id}`.
pub(super) async fn page(ask: Ask, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    ask.parameters(&[])?;
    let id = id_segment(&request, "delivery")?;
    ask.answer("delivery.html", "feed", move |ask| {
        let row = deliveries::find(&ask.admin, id)?;
        gather(ask, &row)
    })
    .await
}

fn gather(ask: &Ask, row: &DeliveryRow) -> Result<DeliveryPage, ApiError> {
    let delivery = &row.delivery;
    let stored = requests::stored(&ask.admin, row);
    let checks = checks(ask, row, stored.as_ref().ok().and_then(Option::as_deref));
    let (request, request_note) = match (&delivery.request, stored) {
        (None, _) => (
            None,
            "hookgate's own record: there is no request".to_owned(),
        ),
        (Some(_), Ok(Some(bytes))) => (
            http_file::parse(&bytes, delivery.received)
                .ok()
                .map(|request| request_part(&request)),
            "the kept request cannot be read".to_owned(),
        ),
        (Some(_), Ok(None)) => (None, "the request is no longer kept".to_owned()),
        (Some(_), Err(error)) => (None, error.detail),
    };
    let sinks = sinks(ask, row)?;
    let summary = delivery.request.as_ref();
    Ok(DeliveryPage {
        id: delivery.id.to_string(),
        outcome: delivery.outcome.as_str(),
        finding: finding(delivery),
        webhook: delivery.webhook.clone(),
        provider: delivery.provider.clone(),
        key: delivery.key.clone(),
        received: moment(delivery.received),
        clock: clock(delivery.received),
        peer: summary.map(|summary| summary.peer.to_string()),
        agent: summary.and_then(|summary| summary.user_agent.clone()),
        status: delivery.status,
        seq: row.seq.map(thousands),
        duplicates: row.duplicates,
        duplicate_of: repeated(ask, delivery)?,
        replay_of: delivery.replay_of.map(|id| id.to_string()),
        trace: delivery.trace.as_ref().map(|hop| hop.trace.parent.clone()),
        steps: steps(row, &sinks),
        request,
        request_note,
        masked: delivery.masked.clone(),
        scheme: delivery.verification.as_ref().map(|verification| {
            if is_open(delivery) {
                "the webhook accepts anyone who knows its URL".to_owned()
            } else {
                verification.scheme.clone()
            }
        }),
        checks,
        error: delivery.error.as_ref().map(error_part),
        notes: delivery.notes.clone(),
        events: delivery
            .events
            .iter()
            .take(EVENTS_SHOWN)
            .map(|event| EventPart {
                id: event.id.to_string(),
                name: cut(&event.event, 200),
                resource: cut(event.resource_id(), 300),
            })
            .collect(),
        events_more: delivery.events.len().saturating_sub(EVENTS_SHOWN),
        sinks,
    })
}

/// The id of the delivery that one repeats.
fn repeated(ask: &Ask, delivery: &Delivery) -> Result<Option<String>, ApiError> {
    let record = match delivery.duplicate_of {
        Some(seq) => ask.admin.log.get(seq)?,
        None => None,
    };
    Ok(record.map(|record| record.delivery.id.to_string()))
}

/// The checks of the record, and what may explain a refusal.
fn checks(ask: &Ask, row: &DeliveryRow, kept: Option<&[u8]>) -> Vec<Check> {
    let Some(record) = &row.delivery.verification else {
        return Vec::new();
    };
    let hints = requests::hints(&ask.config(), row, kept);
    [record.checks.as_slice(), &hints].concat()
}

/// The page's heading after the outcome: what came of it, or what is wrong.
fn finding(delivery: &Delivery) -> String {
    if let Some(error) = &delivery.error {
        return cut(&error.message, 200);
    }
    let webhook = delivery.webhook.as_deref().unwrap_or("hookgate");
    match delivery.outcome {
        Outcome::Accepted => match delivery.events.as_slice() {
            [event] => format!("1 event: {}", cut(&event.event, 120)),
            events => plural(events.len(), "event"),
        },
        Outcome::Ignored => format!("{webhook} chose to emit nothing"),
        Outcome::Duplicate if delivery.code.is_some() => {
            "this delivery key came before, with other content".to_owned()
        }
        Outcome::Duplicate => "this delivery key came before".to_owned(),
        Outcome::Parked => format!("not translatable by {webhook}"),
        Outcome::Rejected => "not verified".to_owned(),
        Outcome::Handshake => format!("{webhook} was registered or challenged"),
    }
}

fn steps(row: &DeliveryRow, sinks: &[SinkPart]) -> Vec<Step> {
    let delivery = &row.delivery;
    let timing = delivery.timing;
    let took = |part: fn(&Timing) -> u64| timing.as_ref().map(|t| millis(part(t)));
    let step = |id, name, state, note: Option<String>| Step {
        id,
        name,
        state,
        note: note.unwrap_or_default(),
    };
    let bytes = delivery.request.as_ref().map(|r| r.body_bytes);
    let received = bytes.map(|bytes| {
        let time = took(|t| t.read_micros).map_or_else(String::new, |time| format!(" in {time}"));
        format!("{} B{time}", thousands(bytes))
    });
    let rejected = delivery.outcome == Outcome::Rejected;
    let code = delivery.code.map(|code| code.to_string());
    let open = is_open(delivery);
    let verified = match (rejected, open) {
        (true, _) => "failed",
        (false, true) => "skipped",
        (false, false) => "done",
    };
    let (translated, translation) = match delivery.outcome {
        Outcome::Rejected | Outcome::Handshake => ("unreached", None),
        Outcome::Parked => ("parked", code.clone()),
        Outcome::Ignored => ("ignored", Some("no event".to_owned())),
        Outcome::Duplicate => ("duplicate", Some("seen before".to_owned())),
        Outcome::Accepted => ("done", Some(plural(delivery.events.len(), "event"))),
    };
    let translation = match (translation, took(|t| t.translate_micros)) {
        (Some(what), Some(time)) => Some(format!("{what}, {time}")),
        (what, _) => what,
    };
    let logged = row.seq.map(|seq| format!("seq {}", thousands(seq)));
    let done = |there: bool| if there { "done" } else { "unreached" };
    let verification = match (rejected, open) {
        (true, _) => code,
        (false, true) => Some("not asked for".to_owned()),
        (false, false) => took(|t| t.verify_micros),
    };
    vec![
        step("received", "Received", "done", received),
        step("verified", "Verified", verified, verification),
        step("translated", "Translated", translated, translation),
        step(
            "logged",
            "Logged",
            done(row.seq.is_some()),
            logged.or_else(|| Some("kept in a ring".to_owned())),
        ),
        step(
            "answered",
            "Answered",
            "done",
            Some(delivery.status.to_string()),
        ),
        forwarded(delivery, sinks),
    ]
}

/// Whether the webhook asked for no verification.
fn is_open(delivery: &Delivery) -> bool {
    let record = delivery.verification.as_ref();
    record.is_some_and(|record| record.scheme == "none" && record.verified)
}

fn forwarded(delivery: &Delivery, sinks: &[SinkPart]) -> Step {
    let through = sinks.iter().filter(|s| s.state == "delivered").count();
    let wanted = sinks.iter().filter(|s| s.state != "skipped").count();
    let worst = ["dead", "failing", "misconfigured", "held", "pending"]
        .into_iter()
        .find(|state| sinks.iter().any(|sink| sink.state == *state));
    let (state, note) = if delivery.events.is_empty() {
        ("unreached", "no event".to_owned())
    } else if sinks.is_empty() {
        ("skipped", "no sink".to_owned())
    } else {
        let note = format!("{through} of {}", plural(wanted, "sink"));
        (worst.unwrap_or("done"), note)
    };
    Step {
        id: "forwarded",
        name: "Forwarded",
        state,
        note,
    }
}

/// What each configured sink has done with the delivery's events, as far as cursors and dead letters tell.
fn sinks(ask: &Ask, row: &DeliveryRow) -> Result<Vec<SinkPart>, ApiError> {
    let delivery = &row.delivery;
    let Some(seq) = row.seq.filter(|_| !delivery.events.is_empty()) else {
        return Ok(Vec::new());
    };
    let config = ask.config();
    let skipped = ask.admin.state.skipped()?;
    let mut parts = Vec::new();
    for status in ask.admin.forwarders.status() {
        let settings = config.sinks.iter().find(|sink| sink.name == status.name);
        let filter = settings.and_then(|sink| sink.filter.as_ref());
        let matches = |event| filter.is_none_or(|filter| filter.matches_event(event, delivery));
        let cut_off = skipped
            .iter()
            .any(|range| range.sink == status.name && (range.from..=range.to).contains(&seq));
        let dead = if status.dead_letters > 0 {
            dead_letter(ask.admin.as_ref(), &status.name, seq)?
        } else {
            None
        };
        let (state, word, detail) = if delivery.webhook.is_none() && filter.is_none()
            || !delivery.events.iter().any(matches)
        {
            (
                "skipped",
                "not wanted",
                "no event matches its `match`".to_owned(),
            )
        } else if let Some(reason) = dead {
            ("dead", "dead letter", reason)
        } else if cut_off {
            ("skipped", "cut off", "it was skipped by max_lag".to_owned())
        } else if status.cursor >= seq {
            ("delivered", "delivered", String::new())
        } else {
            waiting(&status, seq)
        };
        parts.push(SinkPart {
            name: status.name,
            state,
            word: word.to_owned(),
            detail,
        });
    }
    Ok(parts)
}

fn waiting(status: &crate::forward::SinkStatus, seq: u64) -> (&'static str, &'static str, String) {
    let ahead = seq.saturating_sub(status.cursor).saturating_sub(1);
    let queue = format!(
        "{} before it",
        plural(usize::try_from(ahead).unwrap_or(usize::MAX), "delivery")
            .replace("deliverys", "deliveries")
    );
    let failure = status.last_error.as_ref().map(|e| cut(&e.message, 300));
    match status.state {
        "paused" => ("held", "held", queue),
        "failing" => ("failing", "failing", failure.unwrap_or(queue)),
        "misconfigured" => ("misconfigured", "misconfigured", failure.unwrap_or(queue)),
        "disabled" => ("off", "off", queue),
        _ => ("pending", "pending", queue),
    }
}

fn dead_letter(admin: &Admin, sink: &str, seq: u64) -> Result<Option<String>, ApiError> {
    let dead = admin
        .state
        .dead_letters(Some(sink), None, DEAD_LETTERS_SEEN)?;
    let found = dead.into_iter().find(|letter| letter.seq == seq);
    Ok(found.map(|letter| cut(&letter.reason, 300)))
}
