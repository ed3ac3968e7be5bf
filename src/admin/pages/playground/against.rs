//! A template against the newest deliveries: which would come out the same, which otherwise, which not at all.

use super::{Bench, Written};
use crate::admin::Admin;
use crate::admin::api::{render::Subject, requests};
use crate::admin::pages::show::{cut, moment, row_time};
use crate::admin::pages::webhooks::one::what;
use crate::admin::problem::ApiError;
use crate::admin::vitals;
use crate::engine;
use crate::feed::DeliveryRow;
use crate::model::{Event, Outcome, Problem};
use crate::query::Query;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Deliveries at most.
pub(super) const DELIVERIES_MAX: usize = 50;
/// How long it may take in all.
const TIME: Duration = Duration::from_secs(5);

#[derive(Debug, Default, Serialize)]
pub(super) struct AgainstPart {
    same: usize,
    changed: usize,
    fails: usize,
    /// Their requests are no longer kept.
    gone: usize,
    tried: usize,
    /// Whether the time was up before all were tried.
    is_cut: bool,
    /// Those that are not the same.
    rows: Vec<AgainstRow>,
}

#[derive(Debug, Serialize)]
struct AgainstRow {
    id: String,
    /// `changed` or `fails`.
    kind: &'static str,
    title: String,
    difference: String,
    time: String,
    moment: String,
}

/// What became of one.
enum Found {
    Same,
    Changed(String),
    Fails(Problem),
    Gone,
}

/// Tries the newest `n` that were translated; blocks.
///
/// # Errors
/// Where a store does not answer.
pub(super) fn run(
    admin: &Admin,
    bench: &Bench,
    written: &Written,
    n: usize,
) -> Result<AgainstPart, ApiError> {
    let now = Timestamp::now();
    let translated = [Outcome::Accepted, Outcome::Ignored, Outcome::Parked].map(Outcome::as_str);
    let translated = Query::parameter("outcome", &translated, now)
        .map_err(|error| ApiError::query("outcome", error))?;
    let query = vitals::query_of(&bench.webhook.name, now)?.and(translated);
    let rows = vitals::newest(admin, &query, n.clamp(1, DELIVERIES_MAX))?;
    let mut part = AgainstPart::default();
    let start = Instant::now();
    for row in &rows {
        if start.elapsed() > TIME {
            part.is_cut = true;
            break;
        }
        part.tried += 1;
        let found = one(admin, bench, written, row)?;
        let (kind, difference) = match found {
            Found::Same => {
                part.same += 1;
                continue;
            }
            Found::Gone => {
                part.gone += 1;
                continue;
            }
            Found::Changed(difference) => {
                part.changed += 1;
                ("changed", difference)
            }
            Found::Fails(problem) => {
                part.fails += 1;
                ("fails", format!("{}: {}", problem.code, problem.message))
            }
        };
        part.rows.push(AgainstRow {
            id: row.delivery.id.to_string(),
            kind,
            title: what(row),
            difference: cut(&difference, 300),
            time: row_time(row.delivery.received, now),
            moment: moment(row.delivery.received),
        });
    }
    Ok(part)
}

fn one(
    admin: &Admin,
    bench: &Bench,
    written: &Written,
    row: &DeliveryRow,
) -> Result<Found, ApiError> {
    let Some(bytes) = requests::stored(admin, row)? else {
        return Ok(Found::Gone);
    };
    let Ok(request) = Subject::kept(row, &bytes).and_then(|subject| bench.received(subject)) else {
        return Ok(Found::Gone);
    };
    let made = match written.translator(bench) {
        Ok(by) => engine::translate_by(&bench.webhook, by.get(), &request),
        Err(problem) => return Ok(Found::Fails(problem)),
    };
    if let Some(problem) = made.error {
        return Ok(Found::Fails(problem));
    }
    let before = &row.delivery;
    if before.outcome == Outcome::Parked {
        return Ok(Found::Changed(format!(
            "it was parked, and becomes {}",
            count(&made.events)
        )));
    }
    Ok(match difference(&before.events, &made.events) {
        Some(difference) => Found::Changed(difference),
        None => Found::Same,
    })
}

fn count(events: &[Event]) -> String {
    match events.len() {
        0 => "ignored".to_owned(),
        n => crate::admin::pages::show::plural(n, "event"),
    }
}

/// The first difference between two lists of events. Ids are left out: where the request brings no key of its own,
/// each translation makes new ones.
fn difference(old: &[Event], new: &[Event]) -> Option<String> {
    if old.len() != new.len() {
        return Some(format!("{} before, {} now", count(old), count(new)));
    }
    for (old, new) in old.iter().zip(new) {
        if old.event != new.event {
            return Some(format!("event: {} before, {} now", old.event, new.event));
        }
        if old.resource != new.resource {
            let (old, new) = (old.resource_id(), new.resource_id());
            return Some(if old == new {
                "other labels of its resource".to_owned()
            } else {
                format!("resource: {old} before, {new} now")
            });
        }
        if old.related != new.related {
            return Some("other related resources".to_owned());
        }
        if old.occurred != new.occurred {
            return Some(format!(
                "occurred: {} before, {} now",
                old.occurred, new.occurred
            ));
        }
        if old.follows != new.follows {
            return Some("it follows another event".to_owned());
        }
        let value = |event: &Event| serde_json::from_str::<Value>(event.payload.get()).ok();
        if value(old) != value(new) {
            return Some("another payload".to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, payload: &str) -> Event {
        Event {
            occurred: Timestamp::UNIX_EPOCH,
            event: name.to_owned(),
            resource: [("prefect.resource.id".to_owned(), "r".to_owned())]
                .into_iter()
                .collect(),
            related: Vec::new(),
            payload: serde_json::value::RawValue::from_string(payload.to_owned()).unwrap(),
            id: uuid::Uuid::now_v7(),
            follows: None,
        }
    }

    #[test]
    fn the_first_difference_is_named() {
        let of = |old: Vec<Event>, new: Vec<Event>| difference(&old, &new);
        let (a, b) = (event("a", r#"{"x": 1}"#), event("b", "{}"));
        let again = event("a", r#"{ "x":1 }"#);
        assert_eq!(
            of(vec![a.clone()], vec![again]),
            None,
            "ids and blanks are none"
        );
        let said = |old: Vec<Event>, new: Vec<Event>| of(old, new).unwrap();
        assert_eq!(
            said(vec![a.clone()], vec![b.clone()]),
            "event: a before, b now"
        );
        assert_eq!(
            said(vec![a.clone()], Vec::new()),
            "1 event before, ignored now"
        );
        assert_eq!(said(vec![a], vec![event("a", "{}")]), "another payload");
        let mut other = b.clone();
        other.resource[0] = "s".to_owned();
        assert_eq!(said(vec![b], vec![other]), "resource: r before, s now");
    }
}
