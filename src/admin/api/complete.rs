//! `GET /complete`: what may stand at the cursor of a search, keys first, then real values with their counts.

use super::parameters::Parameters;
use super::{block, json, shared};
use crate::admin::Admin;
use crate::admin::problem::ApiError;
use crate::feed::{Budget, FacetKey, Feed, Paging, What};
use crate::model::event::{RESOURCE_ID, RESOURCE_ROLE};
use crate::query::completion::{Partial, spot};
use crate::query::{Expr, Has, Is, KEYS, Pattern, Query, SinkState, Term, TextField};
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Suggestions at most.
const SUGGESTIONS_MAX: usize = 20;
/// Events whose payload and labels are looked at.
const SAMPLE: usize = 100;
/// Different names that are collected from them at most.
const NAMES_MAX: usize = 2_000;
/// How long counting may take: someone is typing.
const TIME: Duration = Duration::from_millis(120);

/// One suggestion.
#[derive(Debug, Serialize)]
struct Suggestion {
    /// What replaces the characters from `from` to `to`.
    text: String,
    /// What it means.
    about: Option<&'static str>,
    /// How many have it, as far as counted.
    count: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Completion {
    /// `key` or `value`.
    what: &'static str,
    /// First character that is replaced, from 0.
    from: usize,
    /// Character behind the last one.
    to: usize,
    data: Vec<Suggestion>,
}

/// `GET /complete`.
pub(super) async fn complete(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    let parameters = Parameters::read(request.query_string(), &["q", "cursor", "what"])?;
    let text = parameters.raw("q").unwrap_or("").to_owned();
    let cursor = match parameters.get("cursor") {
        None => usize::MAX,
        Some(number) => number
            .parse()
            .map_err(|_| ApiError::parameter("cursor", "must be a number of characters", None))?,
    };
    let what = match parameters.get("what") {
        None | Some("events") => What::Events,
        Some("deliveries") => What::Deliveries,
        Some(_) => {
            return Err(ApiError::parameter(
                "what",
                "must be `events` or `deliveries`",
                None,
            ));
        }
    };
    let admin = shared(&admin);
    let completion = block(move || suggest(&admin, &text, cursor, what)).await?;
    json(&completion)
}

fn suggest(admin: &Admin, text: &str, cursor: usize, what: What) -> Result<Completion, ApiError> {
    let spot = spot(text, cursor);
    let rest = Query::parse(&spot.rest, Timestamp::now()).unwrap_or_default();
    let feed = &*admin.feed;
    let (kind, mut data) = match &spot.what {
        Partial::Key(text) => ("key", keys(feed, &rest, text)?),
        Partial::Value { key, text } => ("value", values(feed, what, &rest, key, text)?),
    };
    data.truncate(SUGGESTIONS_MAX);
    Ok(Completion {
        what: kind,
        from: spot.from,
        to: spot.to,
        data,
    })
}

fn about(key: &str) -> &'static str {
    match key {
        "event" => "name of the event",
        "resource" => "id of its resource, or .label",
        "related" => "id of a related resource, or .role",
        "payload" => ".path: a value in the payload",
        "webhook" => "which webhook received it",
        "provider" => "of which provider that is",
        "outcome" => "what became of it",
        "code" => "error code",
        "sink" => "how far sinks are with it, or .name",
        "id" => "id of the event",
        "delivery" => "id of the delivery",
        "key" => "the sender's id of the delivery",
        "follows" => "id of the event it follows",
        "seq" => "place in the log",
        "method" => "method of the request",
        "status" => "status of the answer",
        "ip" => "address of the client",
        "header" => ".name: a header of the request",
        "received" => "when it was received",
        "occurred" => "when it happened",
        "has" => "what it has",
        _ => "what it is",
    }
}

fn keys(feed: &dyn Feed, rest: &Query, text: &str) -> Result<Vec<Suggestion>, ApiError> {
    let plain = |text: String, about| Suggestion {
        text,
        about: Some(about),
        count: None,
    };
    let Some((first, behind)) = text.split_once('.') else {
        let keys = KEYS.into_iter().filter(|key| key.starts_with(text));
        let whole = |key: &str| !matches!(key, "payload" | "header");
        let written = keys.map(|key| {
            let end = if whole(key) { ':' } else { '.' };
            plain(format!("{key}{end}"), about(key))
        });
        return Ok(written.collect());
    };
    let behind = behind.replace('"', "");
    let names: BTreeMap<String, u64> = match first {
        "payload" => sample(feed, rest, |event, add| {
            let payload: Option<Value> = serde_json::from_str(event.payload.get()).ok();
            if let Some(payload) = payload {
                paths(&payload, &mut Vec::new(), add);
            }
        })?,
        "resource" => sample(feed, rest, |event, add| {
            let labels = event.resource.keys().filter(|name| *name != RESOURCE_ID);
            labels.for_each(|name| add(vec![name.clone()]));
        })?,
        "related" => sample(feed, rest, |event, add| {
            let roles = event
                .related
                .iter()
                .filter_map(|labels| labels.get(RESOURCE_ROLE));
            roles.for_each(|role| add(vec![role.clone()]));
        })?,
        "sink" => {
            let sinks = feed.sinks().into_iter();
            sinks.map(|sink| (join(&[sink.name]), 0)).collect()
        }
        "header" => ["content-type", "user-agent"]
            .into_iter()
            .map(|name| (format!("{name}:"), 0))
            .collect(),
        _ => BTreeMap::new(),
    };
    let fits = |(name, _): &(String, u64)| name.replace('"', "").starts_with(&behind);
    let mut names: Vec<(String, u64)> = names.into_iter().filter(fits).collect();
    names.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let names = names.into_iter().map(|(name, count)| Suggestion {
        text: format!("{first}.{name}"),
        about: None,
        count: (count > 0).then_some(count),
    });
    Ok(names.collect())
}

/// Counts what newest events have.
fn sample(
    feed: &dyn Feed,
    rest: &Query,
    names: impl Fn(&crate::model::Event, &mut dyn FnMut(Vec<String>)),
) -> Result<BTreeMap<String, u64>, ApiError> {
    let mut found: BTreeMap<Vec<String>, u64> = BTreeMap::new();
    let paging = Paging {
        limit: SAMPLE,
        after: None,
        ascending: false,
    };
    for row in feed.events(rest, paging)?.rows {
        names(&row.event, &mut |parts| {
            if found.len() < NAMES_MAX {
                *found.entry(parts).or_insert(0) += 1;
            }
        });
    }
    let texts = found
        .into_iter()
        .map(|(parts, count)| (join(&parts), count));
    Ok(texts.collect())
}

/// Parts of a key as they are written behind its first, with the colon.
fn join(parts: &[String]) -> String {
    let text = Term::Payload(parts.to_vec(), vec![Pattern::exact("x")]).to_string();
    let text = text.strip_suffix('x').unwrap_or(&text);
    text.strip_prefix("payload.").unwrap_or("").to_owned()
}

/// The paths of all values of a payload; lists are passed through.
fn paths(value: &Value, path: &mut Vec<String>, add: &mut dyn FnMut(Vec<String>)) {
    match value {
        Value::Object(map) if path.len() < crate::query::PATH_PARTS_MAX => {
            for (name, inner) in map.iter().filter(|(name, _)| !name.is_empty()) {
                path.push(name.clone());
                paths(inner, path, add);
                path.pop();
            }
        }
        Value::Array(items) => items
            .iter()
            .take(10)
            .for_each(|inner| paths(inner, path, add)),
        Value::Object(_) => {}
        _ if path.is_empty() => {}
        _ => add(path.clone()),
    }
}

fn values(
    feed: &dyn Feed,
    what: What,
    rest: &Query,
    key: &[String],
    text: &str,
) -> Result<Vec<Suggestion>, ApiError> {
    let (first, parts) = key
        .split_first()
        .map_or(("", key), |(f, p)| (f.as_str(), p));
    let words = |words: Vec<&'static str>| {
        let fit = words.into_iter().filter(|word| word.starts_with(text));
        let all = fit.map(|word| Suggestion {
            text: word.to_owned(),
            about: None,
            count: None,
        });
        Ok(all.collect())
    };
    match (first, parts) {
        ("has", []) => return words(Has::ALL.iter().map(|each| each.as_str()).collect()),
        ("is", []) => return words(Is::ALL.iter().map(|each| each.as_str()).collect()),
        ("sink", _) => return words(SinkState::ALL.iter().map(|each| each.as_str()).collect()),
        ("received" | "occurred", []) => {
            return words(vec!["-15m", "-1h", "-24h", "-7d", "-30d"]);
        }
        ("resource", []) => {
            return facet(
                feed,
                what,
                rest,
                FacetKey::Resource,
                Some(TextField::Resource),
                text,
            );
        }
        ("payload" | "resource" | "related", parts) => {
            return sampled(feed, rest, first, parts, text);
        }
        _ => {}
    }
    let field = match first {
        "event" => Some(TextField::Event),
        "webhook" => Some(TextField::Webhook),
        "provider" => Some(TextField::Provider),
        "code" => Some(TextField::Code),
        "method" => Some(TextField::Method),
        "ip" => Some(TextField::Ip),
        _ => None,
    };
    match FacetKey::parse(first) {
        Some(key) if parts.is_empty() => facet(feed, what, rest, key, field, text),
        _ => Ok(Vec::new()),
    }
}

/// Values that begin as written, or else hold it, with their counts.
fn facet(
    feed: &dyn Feed,
    what: What,
    rest: &Query,
    key: FacetKey,
    field: Option<TextField>,
    text: &str,
) -> Result<Vec<Suggestion>, ApiError> {
    let budget = Budget {
        time: TIME,
        ..Budget::default()
    };
    let plain = !text.contains('*');
    for pattern in [format!("{text}*"), format!("*{text}*")] {
        let mut query = rest.clone();
        if let Some(field) = field.filter(|_| plain && !text.is_empty()) {
            let term = Term::Text(field, vec![Pattern::word(&pattern)]);
            query = query.and(Query::from(Expr::Term(term)));
        }
        let found = feed.facets(what, &query, &[key], budget)?;
        let fits = Pattern::word(&pattern);
        let values = found.value.into_iter().flat_map(|facet| facet.values);
        let fitting = values.filter(|value| !plain || fits.matches(&value.value));
        let suggestions: Vec<Suggestion> = fitting
            .map(|value| Suggestion {
                text: Pattern::exact(value.value).to_string(),
                about: None,
                count: Some(value.count),
            })
            .collect();
        if !suggestions.is_empty() {
            return Ok(suggestions);
        }
    }
    Ok(Vec::new())
}

/// Values of newest events.
fn sampled(
    feed: &dyn Feed,
    rest: &Query,
    first: &str,
    parts: &[String],
    text: &str,
) -> Result<Vec<Suggestion>, ApiError> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let paging = Paging {
        limit: SAMPLE,
        after: None,
        ascending: false,
    };
    for row in feed.events(rest, paging)?.rows {
        let event = &row.event;
        let mut add = |value: &str| {
            if value.contains(text) && value.len() <= 200 && counts.len() < NAMES_MAX {
                *counts.entry(value.to_owned()).or_insert(0) += 1;
            }
        };
        match first {
            "payload" => {
                let payload: Option<Value> = serde_json::from_str(event.payload.get()).ok();
                if let Some(payload) = payload {
                    crate::query::each_at(&payload, parts, &mut |value| {
                        if let Some(text) = crate::query::scalar_text(value) {
                            add(&text);
                        }
                        false
                    });
                }
            }
            "resource" => event
                .resource
                .get(&parts.join("."))
                .into_iter()
                .for_each(|v| add(v)),
            _ => {
                let role = parts.join(".");
                let fits = |labels: &&crate::model::Labels| {
                    role.is_empty() || labels.get(RESOURCE_ROLE) == Some(&role)
                };
                let related = event.related.iter().filter(fits);
                related
                    .filter_map(|labels| labels.get(RESOURCE_ID))
                    .for_each(|id| add(id));
            }
        }
    }
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let suggestions = counts.into_iter().map(|(value, count)| Suggestion {
        text: Pattern::exact(value).to_string(),
        about: None,
        count: Some(count),
    });
    Ok(suggestions.collect())
}
