//! `/deliveries/{id}`: the request and all that came of it, step by step.

mod acts;
mod export;
pub(super) mod request;
mod sinks;
mod steps;

pub(super) use acts::replay;

use self::request::{ErrorPart, RequestPart, TABS, error_part, request_part};
use self::sinks::SinkPart;
use self::steps::Step;
use super::Ask;
use super::show::{cut, moment, thousands};
use crate::admin::api::{deliveries, id_segment, requests};
use crate::admin::problem::ApiError;
use crate::config::{Config, Webhook};
use crate::engine;
use crate::feed::{Budget, DeliveryRow, Paging, What};
use crate::model::delivery::Check;
use crate::model::{Delivery, Note, Outcome, Request, http_file, time};
use crate::query::Query;
use crate::translate::Translator;
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;

/// Events that are listed with a link each.
const EVENTS_SHOWN: usize = 100;
/// Replays that are listed with a link each.
const REPLAYS_SHOWN: usize = 10;
/// Values that a template read, which are listed.
const READS_SHOWN: usize = 30;

#[derive(Debug, Serialize)]
struct DeliveryPage {
    id: String,
    outcome: &'static str,
    finding: String,
    webhook: Option<String>,
    provider: Option<String>,
    key: Option<String>,
    received: String,
    received_at: String,
    agent: Option<String>,
    duplicates: u64,
    duplicate_of: Option<String>,
    replay_of: Option<String>,
    /// Its replays.
    replays: Vec<String>,
    /// Whether it can be translated again.
    is_replayable: bool,
    /// What a form has just done.
    done: Option<&'static str>,
    trace: Option<String>,
    steps: [Step; 6],
    request: Option<RequestPart>,
    request_note: String,
    /// Whether the request folds away, since what went wrong comes first.
    folds: bool,
    masked: Vec<String>,
    checks: Vec<Check>,
    error: Option<ErrorPart>,
    notes: Vec<Note>,
    /// What the configuration of now reads of the request.
    reads: Vec<(String, String)>,
    events: Vec<EventPart>,
    events_more: usize,
    sinks: Vec<SinkPart>,
    /// Whether the sender was told that all is well although nothing came of it.
    is_kept_safe: bool,
    curl: Option<String>,
    test: Option<String>,
    /// Others with the same fault.
    same: Option<SameFault>,
    /// Addresses of the deliveries beside this one.
    newer: Option<String>,
    older: Option<String>,
}

#[derive(Debug, Serialize)]
struct EventPart {
    id: String,
    name: String,
    resource: String,
    occurred: String,
    related: usize,
    payload_bytes: u64,
}

#[derive(Debug, Serialize)]
struct SameFault {
    count: String,
    code: String,
    url: String,
}

/// `GET /deliveries/{id}`.
pub(super) async fn page(ask: Ask, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let parameters = ask.parameters(&["request", "done"])?;
    let done = acts::said(parameters.get("done"));
    let tab = parameters.get("request");
    let tab = tab.and_then(|tab| TABS.into_iter().find(|known| *known == tab));
    let id = id_segment(&request, "delivery")?;
    ask.answer("delivery.html", "feed", move |ask| {
        let row = deliveries::find(&ask.admin, id)?;
        Ok(DeliveryPage {
            done,
            ..gather(ask, &row, tab)?
        })
    })
    .await
}

fn gather(
    ask: &Ask,
    row: &DeliveryRow,
    tab: Option<&'static str>,
) -> Result<DeliveryPage, ApiError> {
    let delivery = &row.delivery;
    let config = ask.config();
    let webhook = webhook_of(&config, delivery);
    let stored = requests::stored(&ask.admin, row);
    let checks = checks(
        &config,
        row,
        stored.as_ref().ok().and_then(Option::as_deref),
    );
    let (request, request_note) = kept(delivery, stored);
    let sent = delivery.request.as_ref().map_or(0, |r| r.body_bytes);
    let reads = match (webhook, &request) {
        (Some(webhook), Some(request)) => reads(&config, webhook, delivery, request),
        _ => Vec::new(),
    };
    // The slug is a secret, and this page is one that people send each other.
    let url = webhook.map(|webhook| {
        let url = ask.admin.url_of(&config, webhook);
        url.replace(webhook.slug.expose(), "{slug}")
    });
    let curl = request.as_ref().zip(url);
    let sinks = sinks::sinks(ask, row)?;
    let (newer, older) = neighbours(ask, row)?;
    let events = delivery.events.iter().take(EVENTS_SHOWN);
    Ok(DeliveryPage {
        id: delivery.id.to_string(),
        outcome: delivery.outcome.as_str(),
        finding: steps::finding(delivery),
        webhook: delivery.webhook.clone(),
        provider: delivery.provider.clone(),
        key: delivery.key.clone(),
        received: moment(delivery.received),
        received_at: time::to_rfc3339(delivery.received),
        agent: delivery.request.as_ref().and_then(|r| r.user_agent.clone()),
        duplicates: row.duplicates,
        duplicate_of: repeated(ask, delivery)?,
        replay_of: delivery.replay_of.map(|id| id.to_string()),
        replays: replays(ask, delivery)?,
        is_replayable: acts::is_replayable(delivery),
        done: None,
        trace: delivery.trace.as_ref().map(|hop| hop.trace.parent.clone()),
        steps: steps::steps(row, &sinks, webhook.and_then(|w| translator(w)).as_deref()),
        curl: curl.and_then(|(request, url)| export::curl(request, &url)),
        request: request.map(|request| request_part(&request, tab.unwrap_or(TABS[0]), sent)),
        request_note,
        folds: tab.is_none() && matches!(delivery.outcome, Outcome::Parked | Outcome::Rejected),
        masked: delivery.masked.clone(),
        checks,
        error: delivery.error.as_ref().map(error_part),
        notes: delivery.notes.clone(),
        reads,
        events: events.map(event_part).collect(),
        events_more: delivery.events.len().saturating_sub(EVENTS_SHOWN),
        sinks,
        is_kept_safe: delivery.outcome == Outcome::Parked && (200..300).contains(&delivery.status),
        test: export::test(delivery),
        same: same_fault(ask, delivery)?,
        newer,
        older,
    })
}

fn event_part(event: &crate::model::Event) -> EventPart {
    EventPart {
        id: event.id.to_string(),
        name: cut(&event.event, 200),
        resource: cut(event.resource_id(), 300),
        occurred: moment(event.occurred),
        related: event.related.len(),
        payload_bytes: event.payload.get().len() as u64,
    }
}

/// The webhook that the delivery came to, as it is configured now.
fn webhook_of<'a>(config: &'a Config, delivery: &Delivery) -> Option<&'a Arc<Webhook>> {
    let name = delivery.webhook.as_deref()?;
    config.webhooks.iter().find(|webhook| webhook.name == name)
}

/// The kept request, or why there is none.
fn kept(
    delivery: &Delivery,
    stored: Result<Option<Vec<u8>>, ApiError>,
) -> (Option<Request>, String) {
    match (&delivery.request, stored) {
        (None, _) => (
            None,
            "hookgate's own record: there is no request".to_owned(),
        ),
        (Some(summary), Ok(Some(bytes))) => {
            let parsed = http_file::parse(&bytes, delivery.received).ok();
            let parsed = parsed.map(|request| Request {
                peer: summary.peer,
                ..request
            });
            (parsed, "the kept request cannot be read".to_owned())
        }
        (Some(_), Ok(None)) => (None, "the request is no longer kept".to_owned()),
        (Some(_), Err(error)) => (None, error.detail),
    }
}

/// What translates the webhook's requests, in words.
fn translator(webhook: &Webhook) -> Option<String> {
    Some(match &webhook.translator {
        Translator::Template(template) => {
            let lines = template.source().lines().count() as u64;
            format!(
                "{}, {}",
                template.file(),
                super::show::counted(lines, "line")
            )
        }
        Translator::Definition(_) => format!("the `event` table of {}", webhook.name),
        Translator::CloudEvents(_) => "CloudEvents".to_owned(),
    })
}

/// What translation reads of the request; only of one that was translated, and is kept whole.
fn reads(
    config: &Config,
    webhook: &Webhook,
    delivery: &Delivery,
    request: &Request,
) -> Vec<(String, String)> {
    let translated = matches!(delivery.outcome, Outcome::Accepted | Outcome::Parked);
    let sent = delivery.request.as_ref().map_or(0, |r| r.body_bytes);
    if !translated || sent != request.wire_body.len() as u64 {
        return Vec::new();
    }
    let mut request = request.clone();
    if engine::receive(&mut request, webhook, Some(&config.edge)).is_err() {
        return Vec::new();
    }
    let traced = engine::trace(webhook, &request).into_iter();
    traced
        .take(READS_SHOWN)
        .map(|read| (cut(&read.path, 200), cut(&read.value, 200)))
        .collect()
}

/// The ids of its replays.
fn replays(ask: &Ask, delivery: &Delivery) -> Result<Vec<String>, ApiError> {
    let ids = ask.admin.feed.replays(delivery.id)?;
    let shown = ids.iter().take(REPLAYS_SHOWN);
    Ok(shown.map(ToString::to_string).collect())
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
fn checks(config: &Config, row: &DeliveryRow, kept: Option<&[u8]>) -> Vec<Check> {
    let Some(record) = &row.delivery.verification else {
        return Vec::new();
    };
    [
        record.checks.as_slice(),
        &requests::hints(config, row, kept),
    ]
    .concat()
}

/// How many deliveries of the webhook have the same fault.
fn same_fault(ask: &Ask, delivery: &Delivery) -> Result<Option<SameFault>, ApiError> {
    let (Some(code), Some(webhook)) = (delivery.code, &delivery.webhook) else {
        return Ok(None);
    };
    let (code, now) = (code.to_string(), Timestamp::now());
    let terms = [("webhook", webhook.as_str()), ("code", code.as_str())];
    let query = terms
        .into_iter()
        .try_fold(Query::default(), |query, (key, value)| {
            Ok::<_, crate::query::QueryError>(query.and(Query::parameter(key, &[value], now)?))
        });
    let Ok(query) = query else {
        return Ok(None);
    };
    let found = ask
        .admin
        .feed
        .count(What::Deliveries, &query, Budget::default())?;
    if found.matches < 2 {
        return Ok(None);
    }
    let least = if found.at_least { "≥ " } else { "" };
    let address = form_urlencoded::Serializer::new(String::new())
        .append_pair("q", &format!("webhook:{webhook} code:{code}"))
        .append_pair("show", "deliveries")
        .finish();
    Ok(Some(SameFault {
        count: format!("{least}{}", thousands(found.matches)),
        url: format!("/?{address}"),
        code,
    }))
}

/// Addresses of the next newer and the next older delivery.
fn neighbours(ask: &Ask, row: &DeliveryRow) -> Result<(Option<String>, Option<String>), ApiError> {
    let beside = |ascending| -> Result<Option<String>, ApiError> {
        let paging = Paging {
            limit: 1,
            after: Some(row.position),
            ascending,
        };
        let found = ask.admin.feed.deliveries(&Query::default(), paging)?;
        let next = found.rows.first();
        Ok(next.map(|next| format!("/deliveries/{}", next.delivery.id)))
    };
    Ok((beside(true)?, beside(false)?))
}
