//! The six stages of a request's way: which it reached, how long each took, what each says in a word.

use super::sinks::SinkPart;
use crate::admin::pages::show::{clock, cut, millis, plural, size, thousands};
use crate::feed::DeliveryRow;
use crate::model::delivery::Timing;
use crate::model::{Delivery, Outcome};
use actix_web::http::StatusCode;
use serde::Serialize;

/// One of the six stages.
#[derive(Debug, Default, Serialize)]
pub(super) struct Step {
    pub(super) id: &'static str,
    name: &'static str,
    pub(super) state: &'static str,
    /// The word for the state.
    word: &'static str,
    /// A few words above the page.
    note: String,
    /// A line beside the stage's name.
    what: String,
    /// How long it took.
    took: Option<String>,
}

/// The page's heading after the outcome: what came of it, or what is wrong.
pub(super) fn finding(delivery: &Delivery) -> String {
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

/// Whether the webhook asked for no verification.
pub(super) fn is_open(delivery: &Delivery) -> bool {
    let record = delivery.verification.as_ref();
    record.is_some_and(|record| record.scheme == "none" && record.verified)
}

/// All six, in order. `by` says what translates.
pub(super) fn steps(row: &DeliveryRow, sinks: &[SinkPart], by: Option<&str>) -> [Step; 6] {
    let delivery = &row.delivery;
    [
        received(delivery),
        verified(delivery),
        translated(delivery, by),
        logged(row),
        answered(delivery),
        forwarded(delivery, sinks),
    ]
    .map(|step| Step {
        word: match step.state {
            "unreached" => "not reached",
            state => state,
        },
        ..step
    })
}

fn took(delivery: &Delivery, part: fn(&Timing) -> u64) -> Option<String> {
    delivery.timing.as_ref().map(|timing| millis(part(timing)))
}

fn received(delivery: &Delivery) -> Step {
    let request = delivery.request.as_ref();
    let took = took(delivery, |t| t.read_micros);
    let at = clock(delivery.received);
    Step {
        id: "received",
        name: "Received",
        state: "done",
        note: match (request, &took) {
            (Some(request), Some(took)) => format!("{} in {took}", size(request.body_bytes)),
            (Some(request), None) => size(request.body_bytes),
            (None, _) => String::new(),
        },
        what: request.map_or_else(
            || format!("{at} UTC"),
            |r| {
                format!(
                    "{at} UTC from {}, {} bytes",
                    r.peer,
                    thousands(r.body_bytes)
                )
            },
        ),
        took,
        ..Step::default()
    }
}

fn verified(delivery: &Delivery) -> Step {
    let record = delivery.verification.as_ref();
    let took = took(delivery, |t| t.verify_micros);
    let rejected = delivery.outcome == Outcome::Rejected;
    let open = is_open(delivery);
    let by = match (&delivery.provider, record) {
        _ if open => "the webhook accepts anyone who knows its URL".to_owned(),
        (Some(provider), Some(record)) => format!("{provider}: {}", record.scheme),
        (None, Some(record)) => record.scheme.clone(),
        (_, None) => String::new(),
    };
    let code = delivery.code.map(|code| code.to_string());
    Step {
        id: "verified",
        name: "Verified",
        state: match (rejected, open, record) {
            (true, ..) => "failed",
            (_, true, _) | (_, _, None) => "skipped",
            _ => "done",
        },
        note: match (rejected, open) {
            (true, _) => code.unwrap_or_default(),
            (false, true) => "not asked for".to_owned(),
            (false, false) => took.clone().unwrap_or_default(),
        },
        what: by,
        took,
        ..Step::default()
    }
}

fn translated(delivery: &Delivery, by: Option<&str>) -> Step {
    let by = by.unwrap_or("");
    let events = plural(delivery.events.len(), "event");
    let code = delivery.code.map(|code| code.to_string());
    let place = delivery.error.as_ref().and_then(|e| e.place.as_ref());
    let (state, note, what) = match delivery.outcome {
        Outcome::Rejected | Outcome::Handshake => (
            "unreached",
            "not reached".to_owned(),
            "Not reached.".to_owned(),
        ),
        Outcome::Parked => {
            let code = code.unwrap_or_default();
            match place {
                Some(place) => (
                    "parked",
                    format!("{code}, line {}", place.line),
                    format!(
                        "{}, line {}, column {}",
                        place.file, place.line, place.column
                    ),
                ),
                None => ("parked", code, by.to_owned()),
            }
        }
        Outcome::Ignored => ("ignored", "no event".to_owned(), by.to_owned()),
        Outcome::Duplicate => ("duplicate", "seen before".to_owned(), by.to_owned()),
        Outcome::Accepted => ("done", events, by.to_owned()),
    };
    let took = took(delivery, |t| t.translate_micros).filter(|_| state != "unreached");
    Step {
        id: "translated",
        name: "Translated",
        state,
        note: match &took {
            Some(took) if state != "parked" => format!("{took}, {note}"),
            _ => note,
        },
        what,
        took,
        ..Step::default()
    }
}

fn logged(row: &DeliveryRow) -> Step {
    let (state, note, what) = match row.seq {
        Some(seq) => {
            let seq = thousands(seq);
            let what = match row.delivery.events.len() {
                0 => format!("sequence {seq}: the request, without events"),
                n => format!("sequence {seq}, with {}", plural(n, "event")),
            };
            ("done", format!("seq {seq}"), what)
        }
        None => (
            "unreached",
            "kept in a ring".to_owned(),
            "not logged: the last 100 of a webhook are kept, and do not survive a rebuild of the feed"
                .to_owned(),
        ),
    };
    Step {
        id: "logged",
        name: "Logged",
        state,
        note,
        what,
        ..Step::default()
    }
}

fn answered(delivery: &Delivery) -> Step {
    let status = StatusCode::from_u16(delivery.status).ok();
    let reason = status.and_then(|status| status.canonical_reason());
    let took = took(delivery, |t| {
        t.read_micros + t.verify_micros + t.translate_micros
    });
    Step {
        id: "answered",
        name: "Answered",
        state: "done",
        note: match &took {
            Some(took) => format!("{} in {took}", delivery.status),
            None => delivery.status.to_string(),
        },
        what: format!("{} {}", delivery.status, reason.unwrap_or("")),
        took: took.map(|took| format!("{took} before the log")),
        ..Step::default()
    }
}

fn forwarded(delivery: &Delivery, sinks: &[SinkPart]) -> Step {
    let through = sinks.iter().filter(|s| s.state == "delivered").count();
    let wanted = sinks.iter().filter(|s| s.state != "skipped").count();
    let worst = ["dead", "failing", "misconfigured", "held", "off", "pending"]
        .into_iter()
        .find(|state| sinks.iter().any(|sink| sink.state == *state));
    let (state, note, what) = if delivery.events.is_empty() {
        let what = match delivery.outcome {
            Outcome::Parked => "Nothing to forward until it is translated.",
            Outcome::Rejected => "Not reached.",
            _ => "Nothing to forward.",
        };
        ("unreached", "no event".to_owned(), what.to_owned())
    } else if sinks.is_empty() {
        let what = "No sink is configured: the events stay in the log.".to_owned();
        ("skipped", "no sink".to_owned(), what)
    } else {
        let note = format!("{through} of {}", plural(wanted, "sink"));
        (worst.unwrap_or("done"), note.clone(), note)
    };
    Step {
        id: "forwarded",
        name: "Forwarded",
        state,
        note,
        what,
        ..Step::default()
    }
}
