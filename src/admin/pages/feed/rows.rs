//! Rows of the feed: an event with what became of it, or a delivery and where it stopped.

use crate::admin::pages::Ask;
use crate::admin::pages::show::{age, cut, millis, moment, plural, row_time, size};
use crate::admin::pages::summary;
use crate::feed::DeliveryRow;
use crate::model::delivery::Timing;
use crate::model::event::{RESOURCE_NAME, RESOURCE_ROLE};
use crate::model::{Delivery, Event, Outcome, Position, time};
use crate::query::{Query, SinkState, SinkView};
use jiff::Timestamp;
use serde::Serialize;

/// Events of one delivery that get a row of their own; the rest is counted.
const EVENTS_EACH: usize = 5;
/// Sinks that a row has room for.
const SINKS_SHOWN: usize = 4;

/// One row.
#[derive(Debug, Default, Serialize)]
pub(super) struct Row {
    state: &'static str,
    time: String,
    at: String,
    moment: String,
    age: String,
    url: String,
    name: String,
    resource: Option<String>,
    /// What went wrong, after the state's name.
    fault: Option<String>,
    code: Option<String>,
    /// Webhook, or the place of the fault.
    webhook: Option<String>,
    key: Option<String>,
    related: Option<String>,
    roles: String,
    summary: Option<String>,
    sinks: Vec<SinkPart>,
    /// Where the request stopped: `verify`, `translate`, `log`; empty: nowhere.
    stop: Option<&'static str>,
    /// What stands beside the way.
    end: String,
}

#[derive(Debug, Serialize)]
struct SinkPart {
    name: String,
    state: &'static str,
}

/// What rows are made with.
pub(super) struct Rows<'a> {
    query: &'a Query,
    show: &'static str,
    now: Timestamp,
    sinks: Vec<SinkView>,
    /// Sinks that are held.
    held: Vec<String>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(ask: &Ask, query: &'a Query, show: &'static str, now: Timestamp) -> Self {
        let status = ask.admin.forwarders.status();
        let held = status.into_iter().filter(|sink| sink.state == "paused");
        Self {
            query,
            show,
            now,
            sinks: ask.admin.feed.sinks(),
            held: held.map(|sink| sink.name).collect(),
        }
    }

    pub(super) fn of(&self, found: &[DeliveryRow]) -> Vec<Row> {
        let mut rows = Vec::new();
        for row in found {
            self.add(&mut rows, row);
        }
        rows
    }

    fn add(&self, rows: &mut Vec<Row>, row: &DeliveryRow) {
        let delivery = &row.delivery;
        if self.show == "deliveries" {
            rows.push(self.delivery(row));
            return;
        }
        if delivery.outcome != Outcome::Accepted || delivery.events.is_empty() {
            rows.push(self.failure(row));
            return;
        }
        let events = (0..).zip(&delivery.events);
        let matching =
            events.filter(|(_, event)| self.query.matches(Some(event), delivery, row.seq));
        let mut more = 0;
        for (n, (index, event)) in matching.enumerate() {
            if n < EVENTS_EACH {
                rows.push(self.event(row, index, event));
            } else {
                more += 1;
            }
        }
        if more > 0 {
            rows.push(Row {
                url: format!("/deliveries/{}", delivery.id),
                name: format!("{} more of this delivery", plural(more, "event")),
                ..self.common(row)
            });
        }
    }

    fn common(&self, row: &DeliveryRow) -> Row {
        let delivery = &row.delivery;
        Row {
            state: delivery.outcome.as_str(),
            time: row_time(delivery.received, self.now),
            at: time::to_rfc3339(delivery.received),
            moment: moment(delivery.received),
            age: age(delivery.received, self.now),
            webhook: delivery.webhook.clone(),
            key: delivery.key.clone(),
            ..Row::default()
        }
    }

    fn event(&self, row: &DeliveryRow, index: u32, event: &Event) -> Row {
        let roles: Vec<&str> = event
            .related
            .iter()
            .filter_map(|labels| labels.get(RESOURCE_ROLE))
            .map(String::as_str)
            .collect();
        let resource = event.resource_id();
        let name = event.resource.get(RESOURCE_NAME);
        let name = name.filter(|name| !resource.ends_with(name.as_str()));
        Row {
            url: format!("/events/{}", event.id),
            name: cut(&event.event, 120),
            resource: Some(cut(resource, 200)),
            related: Some(format!("{} related", roles.len())),
            roles: cut(&roles.join(", "), 200),
            summary: name
                .map(|name| cut(name, 200))
                .or_else(|| summary::of_payload(event.payload.get())),
            sinks: self.states(row, index, event),
            ..self.common(row)
        }
    }

    /// How far each sink is with an event.
    fn states(&self, row: &DeliveryRow, index: u32, event: &Event) -> Vec<SinkPart> {
        let Some(seq) = row.seq else {
            return Vec::new();
        };
        let position = Position { seq, index };
        let words = [
            (SinkState::Dead, "dead"),
            (SinkState::Failed, "retrying"),
            (SinkState::Pending, "pending"),
            (SinkState::Delivered, "delivered"),
        ];
        let state = |sink: &SinkView| {
            let mut words = words.into_iter();
            let found = words.find(|(state, _)| sink.is(*state, event, &row.delivery, position));
            found.map(|(_, word)| match word {
                "pending" | "retrying" if self.held.contains(&sink.name) => "held",
                word => word,
            })
        };
        let parts = self.sinks.iter().filter_map(|sink| {
            Some(SinkPart {
                state: state(sink)?,
                name: cut(&sink.name, 24),
            })
        });
        parts.take(SINKS_SHOWN).collect()
    }

    /// A delivery between events: what is wrong with it comes first.
    fn failure(&self, row: &DeliveryRow) -> Row {
        let delivery = &row.delivery;
        let webhook = delivery.webhook.clone();
        let request = delivery.request.as_ref();
        let summary = match delivery.outcome {
            Outcome::Rejected => request
                .map(|request| format!("from {}, answered {}", request.peer, delivery.status)),
            _ => request.map(|request| format!("{} from {}", request.method, request.peer)),
        };
        Row {
            name: webhook.unwrap_or_else(|| "hookgate".to_owned()),
            resource: (delivery.outcome == Outcome::Accepted)
                .then(|| plural(delivery.events.len(), "event")),
            summary,
            webhook: place(delivery),
            ..self.end(row)
        }
    }

    /// A delivery among deliveries: what came, and what was made of it.
    fn delivery(&self, row: &DeliveryRow) -> Row {
        let delivery = &row.delivery;
        let request = delivery.request.as_ref();
        let events = delivery.events.as_slice();
        let more = events.len().saturating_sub(1);
        Row {
            name: request.map_or_else(
                || "hookgate's own record".to_owned(),
                |request| format!("{} {}", request.method, size(request.body_bytes)),
            ),
            resource: events.first().map(|event| {
                let name = cut(&event.event, 120);
                if more > 0 {
                    format!("→ {name} and {} more", more)
                } else {
                    format!("→ {name}")
                }
            }),
            summary: place(delivery)
                .or_else(|| request.map(|request| format!("from {}", request.peer))),
            ..self.end(row)
        }
    }

    /// How a delivery ended, beside its way.
    fn end(&self, row: &DeliveryRow) -> Row {
        let delivery = &row.delivery;
        let took = |timing: &Timing| {
            millis(timing.read_micros + timing.verify_micros + timing.translate_micros)
        };
        let answer = match &delivery.timing {
            Some(timing) => format!("{} in {}", delivery.status, took(timing)),
            None => delivery.status.to_string(),
        };
        let (stop, fallback) = match delivery.outcome {
            Outcome::Rejected => ("verify", "not verified"),
            Outcome::Parked => ("translate", "not translatable"),
            Outcome::Accepted => ("", ""),
            Outcome::Ignored => ("translate", "the webhook chose to make no event"),
            Outcome::Duplicate if delivery.code.is_some() => {
                ("log", "this delivery key came before, with other content")
            }
            Outcome::Duplicate => ("log", "the sender tried again; nothing was added"),
            Outcome::Handshake => ("", "a registration or challenge, answered"),
        };
        let error = delivery.error.as_ref();
        let fault = error.map_or(fallback, |problem| problem.message.as_str());
        Row {
            url: format!("/deliveries/{}", delivery.id),
            fault: (!fault.is_empty()).then(|| cut(fault, 300)),
            code: delivery.code.map(|code| code.to_string()),
            stop: Some(stop),
            end: if stop.is_empty() {
                answer
            } else {
                format!("stopped at {stop}")
            },
            ..self.common(row)
        }
    }
}

/// Where the fault is: `github.json.j2:9:17`.
fn place(delivery: &Delivery) -> Option<String> {
    let place = delivery.error.as_ref()?.place.as_ref()?;
    Some(format!("{}:{}:{}", place.file, place.line, place.column))
}
