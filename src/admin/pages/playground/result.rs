//! What a template makes of a request: events or the error with its place, what was read, how it was verified.

use super::sample::Sample;
use super::{Bench, Written};
use crate::admin::pages::delivery::request::{ErrorPart, error_part};
use crate::admin::pages::show::{cut, millis, plural};
use crate::admin::pages::tree::{self, Paths, Tree};
use crate::admin::problem::ApiError;
use crate::engine::{self, Translation};
use crate::model::delivery::Check;
use crate::model::{Event, Problem, Request};
use serde::Serialize;
use std::time::Instant;

/// Events that are drawn.
const EVENTS: usize = 10;
/// Values that are listed as read.
const READS: usize = 200;

#[derive(Debug, Serialize)]
pub(super) struct ResultPart {
    /// `accepted`, `ignored`, `failed`.
    state: &'static str,
    words: String,
    took: String,
    fault: Option<ErrorPart>,
    /// Where the fault is in the template that is edited: line, first and last column, from 1.
    mark: Option<(u32, u32, u32)>,
    events: Vec<EventPart>,
    more: usize,
    notes: Vec<NotePart>,
    reads: Vec<ReadPart>,
    scheme: String,
    checks: Vec<Check>,
    /// What to know about the verification.
    verified_note: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct EventPart {
    name: String,
    tree: Option<Tree>,
}

#[derive(Debug, Serialize)]
struct NotePart {
    code: String,
    message: String,
}

#[derive(Debug, Serialize)]
struct ReadPart {
    path: String,
    value: String,
    is_there: bool,
}

/// Renders a sample by what was written; blocks.
///
/// # Errors
/// Where the request is not one that the webhook could receive.
pub(super) fn of(
    bench: &Bench,
    written: &Written,
    sample: &Sample,
) -> Result<ResultPart, ApiError> {
    let (scheme, checks, verified_note) = verification(bench, sample)?;
    let request = bench.received(sample.subject.clone())?;
    let start = Instant::now();
    let made = written
        .translator(bench)
        .map(|by| engine::translate_by(&bench.webhook, by.get(), &request));
    let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    let reads = reads(bench, written, &request);
    let mut part = match made {
        Ok(made) => of_translation(bench, made),
        Err(problem) => failed(bench, &problem),
    };
    part.took = millis(micros);
    part.reads = reads;
    (part.scheme, part.checks, part.verified_note) = (scheme, checks, verified_note);
    Ok(part)
}

fn empty(state: &'static str, words: String) -> ResultPart {
    ResultPart {
        state,
        words,
        took: String::new(),
        fault: None,
        mark: None,
        events: Vec::new(),
        more: 0,
        notes: Vec::new(),
        reads: Vec::new(),
        scheme: String::new(),
        checks: Vec::new(),
        verified_note: None,
    }
}

fn of_translation(bench: &Bench, made: Translation) -> ResultPart {
    if let Some(problem) = &made.error {
        return failed(bench, problem);
    }
    let mut part = match made.events.len() {
        0 => empty("ignored", "Ignored: no event is made of it".to_owned()),
        n => empty("accepted", format!("{}, valid", plural(n, "event"))),
    };
    part.more = made.events.len().saturating_sub(EVENTS);
    part.events = made.events.iter().take(EVENTS).map(event_part).collect();
    let notes = made.notes.into_iter().map(|note| NotePart {
        code: note.code.map_or_else(String::new, |code| code.to_string()),
        message: cut(&note.message, 400),
    });
    part.notes = notes.collect();
    part
}

fn event_part(event: &Event) -> EventPart {
    let text = serde_json::to_vec(event).unwrap_or_default();
    EventPart {
        name: cut(&event.event, 200),
        tree: tree::of_json(&text, Paths::Event),
    }
}

fn failed(bench: &Bench, problem: &Problem) -> ResultPart {
    let place = problem.place.as_ref();
    let words = match place {
        Some(place) => format!("No event: line {}, column {}", place.line, place.column),
        None => "No event".to_owned(),
    };
    let mut part = empty("failed", words);
    part.mark = place
        .filter(|place| place.file == bench.file_name())
        .map(|place| {
            let end = place.end_column.unwrap_or(place.column.saturating_add(1));
            (place.line, place.column, end)
        });
    part.fault = Some(error_part(problem));
    part
}

fn reads(bench: &Bench, written: &Written, request: &Request) -> Vec<ReadPart> {
    let Ok(by) = written.translator(bench) else {
        return Vec::new();
    };
    let traced = engine::trace_by(&bench.webhook, by.get(), request);
    let traced = traced.into_iter().take(READS);
    traced
        .map(|traced| ReadPart {
            is_there: !traced.value.starts_with("undefined"),
            path: cut(&traced.path, 200),
            value: cut(&traced.value, 300),
        })
        .collect()
}

type Verified = (String, Vec<Check>, Option<&'static str>);

/// What the record says where the request is a delivery as it came; else what its webhook would say of it now.
fn verification(bench: &Bench, sample: &Sample) -> Result<Verified, ApiError> {
    let delivery = sample.row.as_ref().map(|row| &row.delivery);
    if let Some(record) = delivery.and_then(|delivery| delivery.verification.as_ref())
        && !sample.edited
    {
        return Ok((record.scheme.clone(), record.checks.clone(), None));
    }
    if bench.webhook.verifier.is_open() {
        let note = "The webhook accepts anyone who knows its URL.";
        return Ok(("none".to_owned(), Vec::new(), Some(note)));
    }
    let request = bench.received(sample.subject.clone())?;
    let verdict = engine::explain(&bench.webhook, &request, request.received);
    let note = if sample.edited && sample.row.is_some() {
        "Who changes a request breaks its signature; what is kept of one has its credentials masked."
    } else {
        "Samples are not signed with your secret: `hookgate send` signs them."
    };
    let note = verdict.failure.is_some().then_some(note);
    Ok((verdict.record.scheme, verdict.record.checks, note))
}
