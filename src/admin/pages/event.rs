//! `/events/{id}`: one event, readable or as programs see it, and those around it.

use super::Ask;
use super::show::{clock, cut, millis, moment, row_time, span};
use super::tree::{self, Paths, Tree};
use crate::admin::api::{id_segment, views::EventView};
use crate::admin::problem::ApiError;
use crate::feed::{EventRow, Paging};
use crate::model::event::{RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE};
use crate::model::{Event, cloud_event, time};
use crate::query::{Query, SinkState};
use actix_web::{HttpRequest, HttpResponse};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use uuid::Uuid;

/// Characters of an event's text.
const TEXT_CHARS_MAX: usize = 200_000;
/// Events before this one in its chain, and after it.
const CHAIN_MAX: usize = 10;
/// Other events of the resource.
const NEAR_MAX: usize = 8;
/// How far those may be away.
const NEAR: SignedDuration = SignedDuration::from_mins(30);

/// Forms of an event: as in the address, and in words.
const FORMS: [(&str, &str); 4] = [
    ("readable", "Readable"),
    ("json", "JSON"),
    ("cloudevent", "CloudEvent"),
    ("prefect", "As Prefect's API sees it"),
];

#[derive(Debug, Serialize)]
struct EventPage {
    id: String,
    name: String,
    resource_id: String,
    resource_url: String,
    resource: Vec<(String, String)>,
    related: Vec<Related>,
    form: &'static str,
    forms: [(&'static str, &'static str); 4],
    payload: Option<Tree>,
    payload_bytes: u64,
    /// The whole event as text, in the forms that are.
    text: Option<String>,
    occurred: String,
    occurred_at: String,
    received: String,
    received_at: String,
    occurred_clock: String,
    received_clock: String,
    /// The gap between both.
    gap: Option<String>,
    webhook: Option<String>,
    delivery: String,
    place: String,
    sinks: Vec<(String, &'static str)>,
    chain: Vec<Link>,
    near: Vec<Near>,
}

#[derive(Debug, Serialize)]
struct Related {
    role: String,
    id: String,
    url: String,
    name: Option<String>,
    labels: Vec<(String, String)>,
}

/// One event of a chain.
#[derive(Debug, Serialize)]
struct Link {
    id: String,
    /// None: not here (yet).
    name: Option<String>,
    when: String,
    is_this: bool,
}

/// Another event of the resource.
#[derive(Debug, Serialize)]
struct Near {
    id: String,
    name: String,
    time: String,
    at: String,
}

/// `GET /events/{id}`.
pub(super) async fn page(ask: Ask, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let parameters = ask.parameters(&["as"])?;
    let form = parameters.get("as").unwrap_or("readable");
    let form = FORMS.into_iter().find(|(known, _)| *known == form);
    let form = form.unwrap_or(FORMS[0]).0;
    let id = id_segment(&request, "event")?;
    ask.answer("event.html", "feed", move |ask| {
        let found = ask.admin.feed.event(id)?;
        let row = found.ok_or_else(|| ApiError::not_found(format!("there is no event {id}")))?;
        gather(ask, &row, form)
    })
    .await
}

/// Address of the feed with what a term finds.
fn feed_of(key: &str, value: &str) -> String {
    let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("q", &format!("{key}:\"{quoted}\""))
        .finish();
    format!("/?{query}")
}

fn gather(ask: &Ask, row: &EventRow, form: &'static str) -> Result<EventPage, ApiError> {
    let event = &row.event;
    let readable = form == "readable";
    Ok(EventPage {
        id: event.id.to_string(),
        name: event.event.clone(),
        resource_id: event.resource_id().to_owned(),
        resource_url: feed_of("resource", event.resource_id()),
        resource: pairs(event.resource.iter()),
        related: event.related.iter().map(related).collect(),
        form,
        forms: FORMS,
        payload: readable
            .then(|| tree::of_json(event.payload.get().as_bytes(), Paths::Payload))
            .flatten(),
        payload_bytes: event.payload.get().len() as u64,
        text: text(row, form),
        occurred: moment(event.occurred),
        occurred_at: time::to_rfc3339(event.occurred),
        received: moment(row.received),
        received_at: time::to_rfc3339(row.received),
        occurred_clock: clock(event.occurred),
        received_clock: clock(row.received),
        gap: gap(event.occurred, row.received),
        webhook: row.webhook.clone(),
        delivery: row.delivery.to_string(),
        place: row.position.to_string(),
        sinks: sinks(ask, row)?,
        chain: if readable {
            chain(ask, row)?
        } else {
            Vec::new()
        },
        near: if readable {
            near(ask, row)?
        } else {
            Vec::new()
        },
    })
}

fn related(labels: &crate::model::Labels) -> Related {
    let id = labels.get(RESOURCE_ID).cloned().unwrap_or_default();
    let known = [RESOURCE_ID, RESOURCE_ROLE, RESOURCE_NAME];
    let others = labels
        .iter()
        .filter(|(name, _)| !known.contains(&name.as_str()));
    Related {
        role: labels.get(RESOURCE_ROLE).cloned().unwrap_or_default(),
        url: feed_of("related", &id),
        name: labels.get(RESOURCE_NAME).cloned(),
        labels: pairs(others),
        id,
    }
}

/// The event as programs see it.
fn text(row: &EventRow, form: &str) -> Option<String> {
    let event = &row.event;
    let text = match form {
        "json" => serde_json::to_string_pretty(&EventView::from(row)).unwrap_or_default(),
        // What a sink of that kind sends, which is what `POST /api/events` takes.
        "prefect" => serde_json::to_string_pretty(event).unwrap_or_default(),
        "cloudevent" => {
            let line = cloud_event::to_json(event, row.webhook.as_deref(), row.trace.as_ref());
            let value: Result<serde_json::Value, _> = serde_json::from_str(&line);
            let pretty = value.and_then(|value| serde_json::to_string_pretty(&value));
            pretty.unwrap_or(line)
        }
        _ => return None,
    };
    Some(cut(&text, TEXT_CHARS_MAX))
}

/// `2.5 s later`; nothing where both are one moment.
fn gap(occurred: Timestamp, received: Timestamp) -> Option<String> {
    let gap = received.duration_since(occurred);
    let word = if gap.is_negative() {
        "before it occurred"
    } else {
        "later"
    };
    let gap = gap.abs();
    let words = match gap.as_millis() {
        0 => return None,
        ms @ 1..1_000 => millis(u64::try_from(ms).unwrap_or(0) * 1_000),
        ms @ 1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => span(gap),
    };
    Some(format!("{words} {word}"))
}

/// How far each sink that wants the event is with it.
fn sinks(ask: &Ask, row: &EventRow) -> Result<Vec<(String, &'static str)>, ApiError> {
    let sinks = ask.admin.feed.sinks();
    if sinks.is_empty() {
        return Ok(Vec::new());
    }
    let Some(record) = ask.admin.log.get(row.position.seq)? else {
        return Ok(Vec::new());
    };
    let words = [
        (SinkState::Dead, "dead"),
        (SinkState::Failed, "retrying"),
        (SinkState::Pending, "pending"),
        (SinkState::Delivered, "delivered"),
    ];
    let state = |sink: &crate::query::SinkView| {
        let mut words = words.into_iter();
        let is = |state| sink.is(state, &row.event, &record.delivery, row.position);
        words.find(|(state, _)| is(*state)).map(|(_, word)| word)
    };
    let found = sinks
        .iter()
        .filter_map(|sink| Some((sink.name.clone(), state(sink)?)));
    Ok(found.collect())
}

/// What it follows, one after the other, itself, and what follows it; alone: nothing.
fn chain(ask: &Ask, row: &EventRow) -> Result<Vec<Link>, ApiError> {
    let this = &row.event;
    let mut before = Vec::new();
    let mut wanted = this.follows;
    let mut seen = vec![this.id];
    while let Some(id) = wanted.filter(|id| before.len() < CHAIN_MAX && !seen.contains(id)) {
        seen.push(id);
        let found = ask.admin.feed.event(id)?;
        before.push(link(id, found.as_ref().map(|row| &row.event), this));
        wanted = found.and_then(|row| row.event.follows);
    }
    before.reverse();
    let after = match Query::parse(&format!("follows:{}", this.id), Timestamp::now()) {
        Ok(query) => {
            let paging = Paging {
                limit: CHAIN_MAX,
                after: None,
                ascending: true,
            };
            ask.admin.feed.events(&query, paging)?.rows
        }
        Err(_) => Vec::new(),
    };
    if before.is_empty() && after.is_empty() {
        return Ok(Vec::new());
    }
    let after = after
        .iter()
        .map(|row| link(row.event.id, Some(&row.event), this));
    let middle = Link {
        is_this: true,
        ..link(this.id, Some(this), this)
    };
    Ok(before.into_iter().chain([middle]).chain(after).collect())
}

fn link(id: Uuid, event: Option<&Event>, this: &Event) -> Link {
    let when = |event: &Event| {
        let away = event.occurred.duration_since(this.occurred);
        let at = clock(event.occurred);
        match away.as_millis() {
            _ if id == this.id => at,
            0 => format!("{at}, at the same time"),
            ms if ms < 0 => format!("{at}, {} before", span(away.abs())),
            _ => format!("{at}, {} after", span(away)),
        }
    };
    Link {
        id: id.to_string(),
        name: event.map(|event| cut(&event.event, 200)),
        when: event.map(when).unwrap_or_default(),
        is_this: false,
    }
}

/// Other events of the resource around the time of this one.
fn near(ask: &Ask, row: &EventRow) -> Result<Vec<Near>, ApiError> {
    let now = Timestamp::now();
    let time = |at: Timestamp| time::to_rfc3339(at);
    let (from, to) = (
        row.received.saturating_sub(NEAR),
        row.received.saturating_add(NEAR),
    );
    let (Ok(from), Ok(to)) = (from, to) else {
        return Ok(Vec::new());
    };
    let resource = [row.event.resource_id()];
    let query = Query::parameter("resource", &resource, now).and_then(|query| {
        let range = format!("received:{}..{}", time(from), time(to));
        Ok(query.and(Query::parse(&range, now)?))
    });
    let Ok(query) = query else {
        return Ok(Vec::new());
    };
    let paging = Paging {
        limit: NEAR_MAX + 1,
        after: None,
        ascending: false,
    };
    let found = ask.admin.feed.events(&query, paging)?.rows;
    let others = found.iter().filter(|other| other.event.id != row.event.id);
    let others = others.take(NEAR_MAX).map(|other| Near {
        id: other.event.id.to_string(),
        name: cut(&other.event.event, 200),
        time: row_time(other.received, row.received),
        at: time(other.received),
    });
    Ok(others.collect())
}

fn pairs<'a>(labels: impl Iterator<Item = (&'a String, &'a String)>) -> Vec<(String, String)> {
    labels
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps() {
        let at = |ms: i64| Timestamp::from_millisecond(1_795_000_000_000 + ms).unwrap();
        let gap = |ms| gap(at(0), at(ms));
        assert_eq!(gap(0), None);
        assert_eq!(gap(2_500).as_deref(), Some("2.5 s later"));
        assert_eq!(gap(412).as_deref(), Some("412.00 ms later"));
        assert_eq!(gap(-120_000).as_deref(), Some("2 min before it occurred"));
    }
}
