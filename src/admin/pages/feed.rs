//! `/`: what came, newest first: events, and deliveries that need a look.

use super::Ask;
use super::show::{age, cut, moment, plural, row_time};
use crate::admin::problem::ApiError;
use crate::feed::{DeliveryRow, Paging};
use crate::model::event::{RESOURCE_NAME, RESOURCE_ROLE};
use crate::model::{Event, Outcome};
use crate::query::{Query, QueryError};
use actix_web::HttpResponse;
use jiff::Timestamp;
use serde::Serialize;

/// Deliveries on one page.
const ROWS: usize = 50;
/// Events of one delivery that get a row of their own; the rest is counted.
const EVENTS_EACH: usize = 5;
/// What the feed shows besides events: what went wrong.
const FAILURES_TOO: [&str; 3] = ["accepted", "parked", "rejected"];

#[derive(Debug, Serialize)]
struct FeedPage {
    /// `events` (and failures) or `deliveries` (all of them).
    show: &'static str,
    rows: Vec<Row>,
    /// Address of the next page.
    older: Option<String>,
    /// Address of the newest page, where this is not it.
    newest: Option<String>,
    events_url: String,
    deliveries_url: String,
    wrong: Option<WrongQuery>,
    /// Whether anything was asked for.
    asked: bool,
    /// How to send a first request; empty when there is something.
    first: Vec<FirstRequest>,
    head: u64,
    indexed_to: u64,
}

#[derive(Debug, Default, Serialize)]
struct Row {
    state: &'static str,
    time: String,
    moment: String,
    age: String,
    url: String,
    name: String,
    resource: Option<String>,
    /// What went wrong, after the state's name.
    fault: Option<String>,
    code: Option<String>,
    webhook: Option<String>,
    key: Option<String>,
    related: Option<String>,
    roles: String,
    summary: Option<String>,
    /// Where the request stopped: `verify`, `translate`.
    stop: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct WrongQuery {
    before: String,
    at: String,
    message: String,
    help: Option<String>,
}

#[derive(Debug, Serialize)]
struct FirstRequest {
    name: String,
    url: String,
    curl: String,
    verified: bool,
}

/// `GET /`.
pub(super) async fn page(ask: Ask) -> Result<HttpResponse, ApiError> {
    let parameters = ask.parameters(&["q", "show", "after"])?;
    let mut paging = parameters.paging()?;
    paging.limit = ROWS;
    let q = parameters.get("q").unwrap_or("").to_owned();
    let show = match parameters.get("show") {
        Some("deliveries") => "deliveries",
        _ => "events",
    };
    let text = q.clone();
    ask.searching(q)
        .answer("feed.html", "feed", move |ask| {
            gather(ask, &text, show, paging)
        })
        .await
}

fn gather(ask: &Ask, q: &str, show: &'static str, paging: Paging) -> Result<FeedPage, ApiError> {
    let now = Timestamp::now();
    let mut page = FeedPage {
        show,
        rows: Vec::new(),
        older: None,
        newest: paging.after.map(|_| address(q, show, None)),
        events_url: address(q, "events", None),
        deliveries_url: address(q, "deliveries", None),
        wrong: None,
        asked: !q.is_empty(),
        first: Vec::new(),
        head: ask.admin.log.stats().head,
        indexed_to: 0,
    };
    let query = match search(q, show, now) {
        Ok(query) => query,
        Err(error) => {
            page.wrong = Some(wrong(q, error));
            page.indexed_to = page.head;
            return Ok(page);
        }
    };
    let found = ask.admin.feed.deliveries(&query, paging)?;
    page.indexed_to = found.indexed_to;
    page.older = found
        .next
        .map(|next| address(q, show, Some(next.to_string())));
    for row in &found.rows {
        add_rows(&mut page.rows, row, &query, show, now);
    }
    if page.rows.is_empty() && !page.asked && paging.after.is_none() {
        page.first = first_requests(ask);
    }
    Ok(page)
}

fn address(q: &str, show: &str, after: Option<String>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if !q.is_empty() {
        query.append_pair("q", q);
    }
    if show != "events" {
        query.append_pair("show", show);
    }
    if let Some(after) = after {
        query.append_pair("after", &after);
    }
    let query = query.finish();
    if query.is_empty() {
        "/".to_owned()
    } else {
        format!("/?{query}")
    }
}

/// The query of the search field; for events, failures are added unless it says itself which outcomes.
fn search(q: &str, show: &str, now: Timestamp) -> Result<Query, QueryError> {
    let given = Query::parse(q, now)?;
    if show == "deliveries" || q.contains("outcome:") {
        return Ok(given);
    }
    let worth = FAILURES_TOO;
    Ok(given.and(Query::parameter("outcome", &worth, now)?))
}

fn wrong(q: &str, error: QueryError) -> WrongQuery {
    let split = q
        .char_indices()
        .nth(error.column.saturating_sub(1))
        .map_or(q.len(), |(at, _)| at);
    let (before, at) = q.split_at(split);
    WrongQuery {
        before: before.to_owned(),
        at: if at.is_empty() { " " } else { at }.to_owned(),
        message: error.message,
        help: error.help,
    }
}

fn add_rows(
    rows: &mut Vec<Row>,
    row: &DeliveryRow,
    query: &Query,
    show: &'static str,
    now: Timestamp,
) {
    let delivery = &row.delivery;
    if show == "deliveries" || delivery.outcome != Outcome::Accepted || delivery.events.is_empty() {
        rows.push(delivery_row(row, now));
        return;
    }
    let matching = delivery
        .events
        .iter()
        .filter(|event| query.matches_event(event, delivery));
    let mut more = 0;
    for (n, event) in matching.enumerate() {
        if n < EVENTS_EACH {
            rows.push(event_row(row, event, now));
        } else {
            more += 1;
        }
    }
    if more > 0 {
        rows.push(Row {
            name: format!("{} more of this delivery", plural(more, "event")),
            ..delivery_row(row, now)
        });
    }
}

fn common(row: &DeliveryRow, now: Timestamp) -> Row {
    let delivery = &row.delivery;
    Row {
        state: delivery.outcome.as_str(),
        time: row_time(delivery.received, now),
        moment: moment(delivery.received),
        age: age(delivery.received, now),
        webhook: delivery.webhook.clone(),
        key: delivery.key.clone(),
        ..Row::default()
    }
}

fn event_row(row: &DeliveryRow, event: &Event, now: Timestamp) -> Row {
    let roles: Vec<&str> = event
        .related
        .iter()
        .filter_map(|labels| labels.get(RESOURCE_ROLE))
        .map(String::as_str)
        .collect();
    let resource = event.resource_id();
    Row {
        url: format!("/events/{}", event.id),
        name: cut(&event.event, 120),
        resource: Some(cut(resource, 200)),
        related: Some(format!("{} related", roles.len())),
        roles: cut(&roles.join(", "), 200),
        summary: event
            .resource
            .get(RESOURCE_NAME)
            .filter(|name| *name != resource)
            .map(|name| cut(name, 200)),
        ..common(row, now)
    }
}

fn delivery_row(row: &DeliveryRow, now: Timestamp) -> Row {
    let delivery = &row.delivery;
    let (stop, fallback) = match delivery.outcome {
        Outcome::Rejected => (Some("verify"), "not verified"),
        Outcome::Parked => (Some("translate"), "not translatable"),
        Outcome::Accepted => (None, ""),
        Outcome::Ignored => (None, "the webhook chose to emit nothing"),
        Outcome::Duplicate if delivery.code.is_some() => {
            (None, "this delivery key came before, with other content")
        }
        Outcome::Duplicate => (None, "this delivery key came before"),
        Outcome::Handshake => (None, "a registration or challenge, answered"),
    };
    let error = delivery.error.as_ref();
    let fault = error.map_or(fallback, |problem| problem.message.as_str());
    let place = error.and_then(|problem| problem.place.as_ref());
    let events = plural(delivery.events.len(), "event");
    Row {
        url: format!("/deliveries/{}", delivery.id),
        name: delivery
            .webhook
            .clone()
            .unwrap_or_else(|| "hookgate".to_owned()),
        resource: (delivery.outcome == Outcome::Accepted).then_some(events),
        fault: (!fault.is_empty()).then(|| cut(fault, 300)),
        code: delivery.code.map(|code| code.to_string()),
        webhook: place.map(|place| format!("{}:{}:{}", place.file, place.line, place.column)),
        summary: delivery
            .request
            .as_ref()
            .map(|request| format!("{} from {}", request.method, request.peer)),
        stop,
        ..common(row, now)
    }
}

/// The curl lines of the enabled webhooks.
fn first_requests(ask: &Ask) -> Vec<FirstRequest> {
    let config = ask.config();
    let enabled = config.webhooks.iter().filter(|webhook| webhook.enabled);
    enabled
        .take(20)
        .map(|webhook| {
            let url = ask.admin.url_of(&config, webhook);
            let takes_post = webhook.methods.iter().any(|method| method == "POST");
            let curl = if takes_post {
                format!("curl --json '{{\"hello\": \"world\"}}' '{url}'")
            } else {
                format!("curl '{url}'")
            };
            FirstRequest {
                name: webhook.name.clone(),
                verified: !webhook.verifier.is_open(),
                url,
                curl,
            }
        })
        .collect()
}
