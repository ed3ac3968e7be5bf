//! `/webhooks/{name}`: what to paste at its sender, its secrets, what goes wrong, its tests, its newest deliveries.

use super::source::{self, SecretPart, Source};
use super::spark::{self, Spark};
use super::{Address, HealthPart, LastPart};
use crate::admin::api::segment;
use crate::admin::pages::Ask;
use crate::admin::pages::show::{age, cut, moment, plural, row_time, thousands};
use crate::admin::problem::ApiError;
use crate::admin::vitals::{self, HOURS};
use crate::config::{Config, Webhook};
use crate::engine::{self, TestFailure, TestResult};
use crate::feed::DeliveryRow;
use crate::learn::{SecretState, Status};
use crate::model::Outcome;
use crate::providers::{self, Provider, SetupField};
use crate::query::Query;
use actix_web::{HttpRequest, HttpResponse};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::HashMap;

/// Failed deliveries that are grouped.
const FAILURES_READ: usize = 500;
/// Groups that are shown.
const GROUPS: usize = 20;
/// Tests that are run for the page.
const TESTS: usize = 30;
/// Newest deliveries that are listed.
const RECENT: usize = 10;
/// Names of events that are listed.
const EVENTS: usize = 10;

#[derive(Debug, Serialize)]
struct WebhookPage {
    name: String,
    /// None: it is not in the running configuration.
    about: Option<About>,
    day: String,
    last: Option<LastPart>,
    groups: Vec<Group>,
    groups_of: String,
    recent: Vec<Recent>,
    events: Vec<(String, String)>,
    all: String,
}

/// What the configuration has of it.
#[derive(Debug, Serialize)]
struct About {
    description: Option<String>,
    kind: String,
    provider: Option<ProviderPart>,
    address: Address,
    health: HealthPart,
    methods: String,
    verified_by: String,
    template: Option<String>,
    answers: &'static str,
    source: Option<Source>,
    secrets: Vec<SecretPart>,
    learned: Option<LearnedPart>,
    tests: Vec<TestPart>,
    tests_words: String,
    tests_state: &'static str,
    tests_more: usize,
}

#[derive(Debug, Serialize)]
struct ProviderPart {
    name: String,
    title: String,
    setup: Vec<Place>,
    next: String,
}

#[derive(Debug, Serialize)]
struct Place {
    place: String,
    fields: Vec<SetupField>,
}

#[derive(Debug, Serialize)]
struct LearnedPart {
    state: &'static str,
    words: String,
}

#[derive(Debug, Serialize)]
struct TestPart {
    name: String,
    line: u32,
    passed: bool,
    took: String,
    why: Option<String>,
}

/// Failures of one kind.
#[derive(Debug, Serialize)]
struct Group {
    outcome: &'static str,
    code: String,
    message: String,
    place: Option<String>,
    count: String,
    first: String,
    last: String,
    first_moment: String,
    last_moment: String,
    /// The newest of them.
    example: String,
    spark: Spark,
}

#[derive(Debug, Serialize)]
struct Recent {
    id: String,
    outcome: &'static str,
    what: String,
    time: String,
    at: String,
    moment: String,
}

/// `GET /webhooks/{name}`.
pub(in super::super) async fn page(
    ask: Ask,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    ask.parameters(&[])?;
    let name = segment(&request, "name").to_owned();
    ask.answer("webhook.html", "webhooks", move |ask| gather(ask, &name))
        .await
}

fn gather(ask: &Ask, name: &str) -> Result<WebhookPage, ApiError> {
    let (config, now) = (ask.config(), Timestamp::now());
    let webhook = super::find(&config, name);
    let query = vitals::query_of(name, now)?;
    let recent = vitals::newest(&ask.admin, &query, RECENT)?;
    // One that was removed still has its deliveries.
    if webhook.is_none() && recent.is_empty() {
        return Err(super::missing(&config, name));
    }
    let (groups, failures) = groups(ask, query, now)?;
    let mut page = WebhookPage {
        name: name.to_owned(),
        about: None,
        day: String::new(),
        last: recent.first().map(|row| super::last_part(row, now)),
        groups,
        groups_of: if failures == 0 {
            String::new()
        } else if failures < FAILURES_READ {
            plural(failures, "failure")
        } else {
            format!("of the newest {}", plural(failures, "failure"))
        },
        recent: recent.iter().map(|row| recent_part(row, now)).collect(),
        events: Vec::new(),
        all: format!("/?{}", searched(name)),
    };
    if let Some(webhook) = webhook {
        let found = vitals::health(&ask.admin, &webhook, now)?;
        let events = vitals::events(&ask.admin, &webhook, now, EVENTS)?;
        page.day = thousands(found.day());
        page.events = events
            .into_iter()
            .map(|(name, count)| (cut(&name, 120), thousands(count)))
            .collect();
        let health = super::health_part(&found.health, found.last.as_ref(), now);
        page.about = Some(about(ask, &config, &webhook, health, now));
    }
    Ok(page)
}

/// The feed's search for its deliveries.
fn searched(name: &str) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("q", &format!("webhook:\"{name}\""))
        .append_pair("show", "deliveries")
        .finish()
}

fn about(
    ask: &Ask,
    config: &Config,
    webhook: &Webhook,
    health: HealthPart,
    now: Timestamp,
) -> About {
    let source = source::read(config, webhook);
    let secrets = source.as_ref().map(Source::secrets).unwrap_or_default();
    let address = super::address(ask, config, webhook);
    let results = engine::check_webhook(config, webhook, TESTS);
    let failed = results.iter().filter(|r| r.failure.is_some()).count();
    About {
        description: webhook.description.clone(),
        kind: super::kind(config, webhook),
        provider: provider_part(config, webhook, &address.url, &secrets),
        health,
        methods: webhook.methods.join(", "),
        verified_by: super::verified_by(webhook),
        template: template_name(webhook),
        answers: if webhook.accept_parked {
            "parked ones are answered as accepted"
        } else {
            "parked ones are answered 400"
        },
        learned: ask
            .admin
            .learner
            .status(&webhook.name, now)
            .map(|status| learned_part(&webhook.name, &status, now)),
        source,
        secrets,
        address,
        tests_words: match (results.len(), failed) {
            (0, _) => "none".to_owned(),
            (all, 0) => format!("{all} passed"),
            (all, failed) => format!("{failed} of {all} failed"),
        },
        tests_state: match (results.len(), failed) {
            (0, _) => "never",
            (_, 0) => "ok",
            _ => "failed",
        },
        tests_more: webhook.tests.len().saturating_sub(results.len()),
        tests: results.iter().map(test_part).collect(),
    }
}

/// Name of the template that makes its events.
fn template_name(webhook: &Webhook) -> Option<String> {
    match &webhook.translator {
        crate::translate::Translator::Template(template) => Some(template.file().to_owned()),
        _ => None,
    }
}

fn provider_part(
    config: &Config,
    webhook: &Webhook,
    url: &str,
    secrets: &[SecretPart],
) -> Option<ProviderPart> {
    let beside = config.file.parent();
    let provider = providers::load(webhook.provider.as_ref()?, beside).ok()?;
    let secret = match secrets.first() {
        Some(secret) => secret.in_words(),
        None => "the secret".to_owned(),
    };
    Some(ProviderPart {
        setup: places(&provider, url, &secret),
        next: format!("hookgate send {}", webhook.name),
        title: provider.title,
        name: provider.name,
    })
}

fn places(provider: &Provider, url: &str, secret: &str) -> Vec<Place> {
    let places = provider.setup.iter().map(|place| Place {
        place: place.place.clone(),
        fields: place.filled(Some(url), Some(secret)),
    });
    places.collect()
}

fn learned_part(name: &str, status: &Status, now: Timestamp) -> LearnedPart {
    let since = status.learned.map(|at| format!("{} ago", age(at, now)));
    let since = since.unwrap_or_default();
    let (state, words) = match status.state {
        SecretState::Waiting => (
            "pending",
            "waits for the one that its sender delivers when it is registered".to_owned(),
        ),
        SecretState::Missing => (
            "misconfigured",
            format!("there is none, and none is learned: hookgate webhooks learn {name}"),
        ),
        SecretState::Pending => (
            "held",
            format!(
                "learned {since}, to be confirmed: hookgate webhooks confirm {name}, or forget {name}"
            ),
        ),
        SecretState::Confirmed => ("ok", format!("learned {since}, confirmed")),
        SecretState::Unreadable => (
            "misconfigured",
            "learned, and it cannot be opened: the key of the store is another".to_owned(),
        ),
    };
    LearnedPart { state, words }
}

fn test_part(result: &TestResult) -> TestPart {
    let why = result.failure.as_ref().map(|failure| match failure {
        TestFailure::Request(problem)
        | TestFailure::Unverified(problem)
        | TestFailure::Failed(problem) => format!("{}: {}", problem.code, problem.message),
        TestFailure::Events { .. } => "other events than expected".to_owned(),
        TestFailure::OtherError { expected, found } => match found {
            Some(problem) => format!("{expected} was expected, {} came", problem.code),
            None => format!("{expected} was expected, and there was no error"),
        },
    });
    let micros = u64::try_from(result.duration.as_micros()).unwrap_or(u64::MAX);
    TestPart {
        name: result.name.clone(),
        line: result.line,
        passed: why.is_none(),
        took: crate::admin::pages::show::millis(micros),
        why: why.map(|why| cut(&why, 300)),
    }
}

fn recent_part(row: &DeliveryRow, now: Timestamp) -> Recent {
    let delivery = &row.delivery;
    Recent {
        id: delivery.id.to_string(),
        outcome: delivery.outcome.as_str(),
        what: what(row),
        time: row_time(delivery.received, now),
        at: crate::model::time::to_rfc3339(delivery.received),
        moment: moment(delivery.received),
    }
}

/// A delivery in a few words: its events, its error, else its key.
pub(in super::super) fn what(row: &DeliveryRow) -> String {
    let delivery = &row.delivery;
    if let Some(error) = &delivery.error {
        return cut(&format!("{}: {}", error.code, error.message), 160);
    }
    match delivery.events.as_slice() {
        [] => match &delivery.key {
            Some(key) => cut(key, 80),
            None => delivery.outcome.as_str().to_owned(),
        },
        [event] => cut(&format!("{}, {}", event.event, event.resource_id()), 120),
        [event, rest @ ..] => format!("{} and {} more", cut(&event.event, 80), rest.len()),
    }
}

/// What failed, grouped by code and message, and how many failures were read.
fn groups(ask: &Ask, query: Query, now: Timestamp) -> Result<(Vec<Group>, usize), ApiError> {
    let failed = [Outcome::Parked.as_str(), Outcome::Rejected.as_str()];
    let failed = Query::parameter("outcome", &failed, now)
        .map_err(|error| ApiError::query("outcome", error))?;
    let rows = vitals::newest(&ask.admin, &query.and(failed), FAILURES_READ)?;
    let count = rows.len();
    let mut groups: Vec<Vec<DeliveryRow>> = Vec::new();
    let mut known: HashMap<(String, String), usize> = HashMap::new();
    for row in rows {
        let error = row.delivery.error.as_ref();
        let code = row
            .delivery
            .code
            .map_or_else(String::new, |code| code.to_string());
        let message = error.map_or_else(String::new, |error| error.message.clone());
        let at = *known.entry((code, message)).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    let groups = groups.iter().take(GROUPS);
    Ok((
        groups.filter_map(|group| group_part(group, now)).collect(),
        count,
    ))
}

/// Rows of one group, newest first.
fn group_part(rows: &[DeliveryRow], now: Timestamp) -> Option<Group> {
    let (last, first) = (rows.first()?, rows.last()?);
    let delivery = &last.delivery;
    let error = delivery.error.as_ref();
    let place = error.and_then(|error| error.place.as_ref());
    Some(Group {
        outcome: delivery.outcome.as_str(),
        code: delivery
            .code
            .map_or_else(String::new, |code| code.to_string()),
        message: error.map_or_else(
            || delivery.outcome.as_str().to_owned(),
            |error| cut(&error.message, 200),
        ),
        place: place.map(|place| format!("{}:{}:{}", place.file, place.line, place.column)),
        count: thousands(rows.len() as u64),
        first: row_time(first.delivery.received, now),
        last: row_time(delivery.received, now),
        first_moment: moment(first.delivery.received),
        last_moment: moment(delivery.received),
        example: delivery.id.to_string(),
        spark: spark::draw(&by_hour(rows, now)),
    })
}

fn by_hour(rows: &[DeliveryRow], now: Timestamp) -> Vec<[u64; 4]> {
    let mut hours = vec![[0; 4]; HOURS];
    for row in rows {
        let ago = now
            .duration_since(row.delivery.received)
            .max(SignedDuration::ZERO);
        let hour = usize::try_from(ago.as_hours()).unwrap_or(usize::MAX);
        let slot = (HOURS - 1)
            .checked_sub(hour)
            .and_then(|at| hours.get_mut(at));
        if let Some([_, _, parked, rejected]) = slot {
            if row.delivery.outcome == Outcome::Parked {
                *parked += 1;
            } else {
                *rejected += 1;
            }
        }
    }
    hours
}
