//! `/deliveries/{id}`: the request and all that came of it, step by step.

use super::show::{clock, cut, millis, moment, plural, thousands};
use super::tree::{self, Tree};
use super::{Ask, Pages};
use crate::admin::Admin;
use crate::admin::api::parameters::Parameters;
use crate::admin::api::{deliveries, id_segment, requests};
use crate::admin::problem::ApiError;
use crate::feed::DeliveryRow;
use crate::model::delivery::{Check, Timing};
use crate::model::request::{header_text, is_json_type};
use crate::model::{Delivery, Note, Outcome, Place, Problem, Request, http_file};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

/// Bytes of a body that a page shows as text.
const BODY_BYTES_SHOWN: usize = 64 * 1024;
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
struct RequestPart {
    line: String,
    headers: Vec<(String, String)>,
    tree: Option<Tree>,
    text: Option<String>,
    hex: Option<String>,
    cut: bool,
    body_bytes: String,
    content_type: Option<String>,
}

#[derive(Debug, Serialize)]
struct ErrorPart {
    code: String,
    message: String,
    help: Option<String>,
    place: Option<PlacePart>,
}

#[derive(Debug, Serialize)]
struct PlacePart {
    file: String,
    line: u32,
    column: u32,
    before: String,
    marked: String,
    after: String,
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
pub(super) async fn page(
    request: HttpRequest,
    admin: web::Data<Admin>,
    pages: web::Data<Pages>,
) -> Result<HttpResponse, ApiError> {
    Parameters::read(request.query_string(), &[])?;
    let id = id_segment(&request, "delivery")?;
    Ask::new(&admin, &pages)
        .answer("delivery.html", "feed", String::new(), move |ask| {
            let row = deliveries::find(&ask.admin, id)?;
            gather(ask, &row)
        })
        .await
}

fn gather(ask: &Ask, row: &DeliveryRow) -> Result<DeliveryPage, ApiError> {
    let delivery = &row.delivery;
    let stored = requests::stored(&ask.admin, row);
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
    let duplicate_of = match delivery.duplicate_of {
        Some(seq) => ask
            .admin
            .log
            .get(seq)?
            .map(|record| record.delivery.id.to_string()),
        None => None,
    };
    let summary = delivery.request.as_ref();
    let verification = delivery.verification.as_ref();
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
        duplicate_of,
        replay_of: delivery.replay_of.map(|id| id.to_string()),
        steps: steps(row, &sinks),
        request,
        request_note,
        masked: delivery.masked.clone(),
        scheme: verification.map(|verification| verification.scheme.clone()),
        checks: verification.map_or_else(Vec::new, |verification| verification.checks.clone()),
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
    let verified = if rejected { "failed" } else { "done" };
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
    let verification = if rejected {
        code
    } else {
        took(|t| t.verify_micros)
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

fn request_part(request: &Request) -> RequestPart {
    let mark = if request.query.is_empty() { "" } else { "?" };
    let line = format!(
        "{} /hooks/{}{}{mark}{}",
        request.method,
        http_file::SLUG_MASK,
        request.path,
        request.query
    );
    let shown = request
        .wire_body
        .get(..BODY_BYTES_SHOWN)
        .unwrap_or(&request.wire_body);
    let content_type = request.headers.text("content-type").map(|t| t.into_owned());
    let json = content_type.is_none() || is_json_type(&request.media_type());
    let tree = (json && !request.wire_body.is_empty())
        .then(|| tree::of_json(&request.wire_body))
        .flatten();
    let text = text_of(shown);
    RequestPart {
        line,
        headers: request
            .headers
            .iter()
            .map(|(name, value)| (name.to_owned(), header_text(value).into_owned()))
            .collect(),
        hex: text.is_none().then(|| hex_dump(shown)),
        text: if tree.is_some() || shown.is_empty() {
            None
        } else {
            text
        },
        tree,
        cut: shown.len() < request.wire_body.len(),
        body_bytes: thousands(request.wire_body.len() as u64),
        content_type,
    }
}

/// The bytes as text, if they are; a character cut in two at the end does not count against it.
fn text_of(bytes: &[u8]) -> Option<String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.to_owned()),
        Err(error) if error.error_len().is_none() => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
        Err(_) => None,
    }
}

fn hex_dump(bytes: &[u8]) -> String {
    let lines = bytes.chunks(16).take(64);
    lines
        .map(|line| {
            let pairs: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            pairs.join(" ")
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn error_part(problem: &Problem) -> ErrorPart {
    ErrorPart {
        code: problem.code.to_string(),
        message: problem.message.clone(),
        help: problem.help.clone(),
        place: problem.place.as_ref().map(place_part),
    }
}

/// The source line in three pieces: what is at fault stands in the middle.
fn place_part(place: &Place) -> PlacePart {
    let source: Vec<char> = place
        .source
        .as_deref()
        .unwrap_or("")
        .chars()
        .take(2_000)
        .collect();
    let index = |column: u32| usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    let start = index(place.column).min(source.len());
    let end = place
        .end_column
        .map_or(start + 1, index)
        .clamp(start, source.len());
    let (before, rest) = source.split_at(start);
    let (marked, after) = rest.split_at(end - start);
    PlacePart {
        file: place.file.clone(),
        line: place.line,
        column: place.column,
        before: before.iter().collect(),
        marked: marked.iter().collect(),
        after: after.iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stays_in_the_line() {
        let place = |column, end_column| {
            place_part(&Place {
                file: "t".into(),
                line: 1,
                column,
                end_column,
                source: Some("aßc".into()),
            })
        };
        assert_eq!(place(2, Some(3)).marked, "ß");
        assert_eq!(place(3, None).marked, "c");
        assert_eq!(place(9, Some(2)).before, "aßc");
        assert_eq!(place(0, Some(0)).marked, "");
    }

    #[test]
    fn text_or_hex() {
        assert_eq!(text_of("aß".as_bytes()).as_deref(), Some("aß"));
        assert!(text_of(&[b'a', 0xc3]).is_some());
        assert!(text_of(&[0xff, 0x00]).is_none());
        assert_eq!(hex_dump(&[0xff, 0]), "ff 00");
    }
}
