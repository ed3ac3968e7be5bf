//! `/webhooks`: all of them with their health; [`one`] is the page of one.

pub(super) mod one;
mod source;
mod spark;

use super::Ask;
use super::show::{age, cut, moment, thousands};
use crate::admin::api;
use crate::admin::problem::ApiError;
use crate::admin::vitals::{self, Assessment, Health, Vitals};
use crate::config::{Config, Webhook};
use crate::feed::DeliveryRow;
use crate::providers;
use crate::translate::Translator;
use actix_web::HttpResponse;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use source::short_slug;
use spark::Spark;

/// Webhooks on one page: each asks the feed.
const ROWS: usize = 50;
/// Names of events that are listed.
const EVENTS: usize = 3;

#[derive(Debug, Serialize)]
struct WebhooksPage {
    /// Name of the configuration's file.
    file: String,
    total: String,
    needy: Option<String>,
    rows: Vec<Row>,
    earlier: Option<usize>,
    later: Option<usize>,
    pages: usize,
    number: usize,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    kind: String,
    address: Address,
    health: HealthPart,
    spark: Spark,
    day: String,
    last: Option<LastPart>,
    verified_by: String,
    events: Vec<String>,
}

/// Where senders call a webhook.
#[derive(Debug, Serialize)]
struct Address {
    /// Whole, to be copied.
    url: String,
    /// Without host and the middle of the slug.
    path: String,
}

#[derive(Debug, Serialize)]
struct HealthPart {
    state: &'static str,
    words: String,
}

#[derive(Debug, Serialize)]
struct LastPart {
    id: String,
    outcome: &'static str,
    age: String,
    moment: String,
    at: String,
}

/// `GET /webhooks`.
pub(super) async fn page(ask: Ask) -> Result<HttpResponse, ApiError> {
    let parameters = ask.parameters(&["page"])?;
    let number = parameters.get("page").and_then(|text| text.parse().ok());
    let number: usize = number.filter(|n| (1..10_000).contains(n)).unwrap_or(1);
    ask.answer("webhooks.html", "webhooks", move |ask| gather(ask, number))
        .await
}

fn gather(ask: &Ask, number: usize) -> Result<WebhooksPage, ApiError> {
    let (config, now) = (ask.config(), Timestamp::now());
    let first = (number - 1) * ROWS;
    let mut rows = Vec::new();
    let mut needy = 0;
    for webhook in config.webhooks.iter().skip(first).take(ROWS) {
        let found = vitals::health(&ask.admin, webhook, now)?;
        needy += usize::from(found.health.state.needs_someone());
        let events = vitals::events(&ask.admin, webhook, now, EVENTS)?;
        rows.push(row(ask, &config, webhook, &found, events, now));
    }
    let total = config.webhooks.len();
    let pages = total.div_ceil(ROWS).max(1);
    let here = if pages > 1 { " on this page" } else { "" };
    Ok(WebhooksPage {
        file: file_name(&config),
        total: thousands(total as u64),
        needy: match needy {
            0 => None,
            1 => Some(format!("1{here} needs you")),
            n => Some(format!("{n}{here} need you")),
        },
        rows,
        earlier: number.checked_sub(1).filter(|n| *n > 0),
        later: (number < pages).then_some(number + 1),
        pages,
        number,
    })
}

fn row(
    ask: &Ask,
    config: &Config,
    webhook: &Webhook,
    found: &Vitals,
    events: Vec<(String, u64)>,
    now: Timestamp,
) -> Row {
    let hours: Vec<[u64; 4]> = found.hours.iter().map(spark::kinds).collect();
    Row {
        name: webhook.name.clone(),
        kind: kind(config, webhook),
        address: address(ask, config, webhook),
        health: health_part(&found.health, found.last.as_ref(), now),
        spark: spark::draw(&hours),
        day: thousands(found.day()),
        last: found.last.as_ref().map(|row| last_part(row, now)),
        verified_by: verified_by(webhook),
        events: events.into_iter().map(|(name, _)| cut(&name, 80)).collect(),
    }
}

fn file_name(config: &Config) -> String {
    let name = config.file.file_name();
    name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// The provider's title, or by what its requests become events.
pub(super) fn kind(config: &Config, webhook: &Webhook) -> String {
    if let Some(name) = &webhook.provider {
        let provider = providers::load(name, config.file.parent());
        return provider.map_or_else(|_| name.clone(), |provider| provider.title);
    }
    match webhook.translator {
        Translator::Definition(_) => "definition",
        Translator::Template(_) => "template",
        Translator::CloudEvents(_) => "CloudEvents",
    }
    .to_owned()
}

fn verified_by(webhook: &Webhook) -> String {
    match webhook.verifier.scheme() {
        none if none == "none" => "its URL alone".to_owned(),
        scheme => scheme,
    }
}

fn address(ask: &Ask, config: &Config, webhook: &Webhook) -> Address {
    let url = ask.admin.url_of(config, webhook);
    let slug = webhook.slug.expose();
    let path = url
        .find("/hooks/")
        .and_then(|at| url.get(at..))
        .unwrap_or(&url);
    Address {
        path: path.replace(slug, &short_slug(slug)),
        url,
    }
}

fn last_part(row: &DeliveryRow, now: Timestamp) -> LastPart {
    let delivery = &row.delivery;
    LastPart {
        id: delivery.id.to_string(),
        outcome: delivery.outcome.as_str(),
        age: age(delivery.received, now),
        moment: moment(delivery.received),
        at: crate::model::time::to_rfc3339(delivery.received),
    }
}

/// The state as the style sheet names it, and in words.
fn health_part(health: &Assessment, last: Option<&DeliveryRow>, now: Timestamp) -> HealthPart {
    let since = last.map(|row| age(row.delivery.received, now));
    let (state, words) = match health.state {
        Health::Off => ("off", "off".to_owned()),
        Health::Misconfigured => ("misconfigured", "its secret is missing".to_owned()),
        Health::NeverCalled => ("never", "never called".to_owned()),
        Health::Failing => (
            "failing",
            format!("failing, {} of {}", health.failed, health.of),
        ),
        Health::Quiet => {
            let usual = health.usual_gap_s.unwrap_or(0);
            let usual = super::show::span(SignedDuration::from_secs(usual));
            let since = since.unwrap_or_default();
            ("quiet", format!("quiet for {since}, usually {usual}"))
        }
        Health::Ok => ("ok", "ok".to_owned()),
    };
    HealthPart { state, words }
}

/// A webhook of the running configuration by its name in the path.
pub(super) fn find(config: &Config, name: &str) -> Option<std::sync::Arc<Webhook>> {
    let mut all = config.webhooks.iter();
    all.find(|webhook| webhook.name == name).cloned()
}

/// 404 with the names that there are.
pub(super) fn missing(config: &Config, name: &str) -> ApiError {
    match api::webhooks::find(config, name) {
        Err(error) => error,
        Ok(_) => ApiError::not_found("there is no such webhook"),
    }
}
