//! `[[sink]]`: where events go.

use super::document::Context;
use super::secrets;
use super::table::Table;
use super::value::Value;
use crate::codes;
use crate::forward::{
    HttpOptions, HttpTarget, NdjsonTarget, PrefectOptions, SinkKind, SinkSettings, StartFrom,
};
use crate::model::Secret;
use crate::query::Query;
use jiff::Timestamp;
use std::collections::HashMap;
use std::time::Duration;

/// Prefect takes at most this many events at once.
const BATCH_EVENTS_DEFAULT: u64 = 200;
const BATCH_EVENTS_MAX: u64 = 10_000;
const BATCH_BYTES_DEFAULT: u64 = 4_000_000;
const BATCH_BYTES_MAX: u64 = 64 << 20;

/// Reads every `[[sink]]`.
pub(super) fn read_all(
    cx: &Context,
    value: Option<&Value<'_, '_>>,
    now: Timestamp,
) -> Vec<SinkSettings> {
    let items = value.map_or_else(Vec::new, |v| v.tables(cx));
    let mut names = HashMap::new();
    let mut sinks = Vec::new();
    for item in items {
        let Some(table) = item.table(cx) else {
            continue;
        };
        if let Some(name) = table.get("name")
            && let Some(text) = name.value.as_str()
            && let Some(line) = names.insert(text.to_owned(), cx.line(name.span.start))
        {
            cx.error_help(
                codes::DUPLICATE_NAME,
                name.span.clone(),
                format!("the sink `{text}` stands in line {line} already"),
                "a sink's name is its cursor's: choose another",
            );
        }
        sinks.extend(read(cx, &table, now));
        table.finish();
    }
    sinks
}

fn read(cx: &Context, table: &Table<'_, '_, '_>, now: Timestamp) -> Option<SinkSettings> {
    let name = table.require("name", "name = \"prefect\", for example");
    let name = name.and_then(|v| super::webhooks::entry_name(cx, &v));
    let kind = kind(cx, table);
    let filter = table.get("match").map(|value| filter(cx, &value, now));
    let batch = table.get("batch").and_then(|v| v.table(cx));
    let batch_key = |key| batch.as_ref().and_then(|t| t.get(key));
    let settings = SinkSettings {
        batch_events: to_usize(
            batch_key("events")
                .and_then(|v| v.integer(cx, 1..=BATCH_EVENTS_MAX))
                .unwrap_or(BATCH_EVENTS_DEFAULT),
        ),
        batch_bytes: to_usize(
            batch_key("bytes")
                .and_then(|v| v.size(cx, 1, BATCH_BYTES_MAX))
                .unwrap_or(BATCH_BYTES_DEFAULT),
        ),
        batch_wait: batch_key("wait")
            .and_then(|v| v.duration(cx))
            .unwrap_or(Duration::from_millis(50)),
        from: match table
            .get("from")
            .and_then(|v| v.choice(cx, &["now", "oldest"]))
        {
            Some("oldest") => StartFrom::Oldest,
            _ => StartFrom::Now,
        },
        max_lag: table.get("max_lag").and_then(|v| v.period(cx)),
        enabled: table
            .get("enabled")
            .and_then(|v| v.bool(cx))
            .unwrap_or(true),
        name: name.unwrap_or_default(),
        kind: match kind {
            Some(kind) => kind,
            None => return finish_batch(batch),
        },
        filter: match filter {
            Some(query) => Some(query?),
            None => None,
        },
    };
    finish_batch(batch);
    Some(settings)
}

fn finish_batch(batch: Option<Table<'_, '_, '_>>) -> Option<SinkSettings> {
    if let Some(batch) = batch {
        batch.finish();
    }
    None
}

fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn kind(cx: &Context, table: &Table<'_, '_, '_>) -> Option<SinkKind> {
    let kinds = ["prefect", "http", "ndjson"];
    let value = table.require("kind", "kind = \"prefect\", \"http\" or \"ndjson\"")?;
    match value.choice(cx, &kinds)? {
        "prefect" => {
            let target = target(cx, table);
            let confirm = table.get("confirm").and_then(|v| v.bool(cx));
            no_effect(cx, table, "prefect", &["single", "sign", "path"]);
            Some(SinkKind::Prefect(
                target?,
                PrefectOptions {
                    confirm: confirm.unwrap_or(true),
                },
            ))
        }
        "http" => {
            let target = target(cx, table);
            let single = table.get("single").and_then(|v| v.bool(cx));
            let sign = table.get("sign").map(|v| secrets::read(cx, &v));
            no_effect(cx, table, "http", &["confirm", "path"]);
            let options = HttpOptions {
                single: single.unwrap_or(false),
                sign: match sign {
                    Some(sign) => Some(sign?),
                    None => None,
                },
            };
            Some(SinkKind::Http(target?, options))
        }
        _ => {
            let others = [
                "url", "token", "headers", "auth", "confirm", "single", "sign",
            ];
            no_effect(cx, table, "ndjson", &others);
            let help = "path = \"events.ndjson\", or \"-\" for standard output";
            let path = table.require("path", help)?.filled(cx)?;
            Some(SinkKind::Ndjson(if path == "-" {
                NdjsonTarget::Stdout
            } else {
                NdjsonTarget::File(cx.folder.join(path))
            }))
        }
    }
}

fn no_effect(cx: &Context, table: &Table<'_, '_, '_>, kind: &str, keys: &[&'static str]) {
    for key in keys {
        if let Some(value) = table.get(key) {
            cx.warning(
                codes::NO_EFFECT,
                value.key_span,
                format!("`{key}` has no effect on a sink of kind {kind}"),
                "remove it",
            );
        }
    }
}

fn target(cx: &Context, table: &Table<'_, '_, '_>) -> Option<HttpTarget> {
    let url = table
        .require("url", "url = \"http://127.0.0.1:4200/api\", for example")
        .and_then(|v| sink_url(cx, &v));
    let token_value = table.get("token");
    let token = token_value.as_ref().map(|v| secrets::read(cx, v));
    let auth_value = table.get("auth");
    let auth = auth_value.as_ref().map(|v| auth_of(cx, v));
    if let (Some(_), Some(auth)) = (&token_value, &auth_value) {
        auth.invalid_help(
            cx,
            "there is a `token` too",
            "keep one of them: both set Authorization",
        );
    }
    let headers = table
        .get("headers")
        .map_or(Some(Vec::new()), |v| headers(cx, &v));
    Some(HttpTarget {
        url: url?,
        token: match token {
            Some(token) => Some(token?),
            None => None,
        },
        auth: match auth {
            Some(auth) => Some(auth?),
            None => None,
        },
        headers: headers?,
    })
}

/// Link-local addresses hold cloud metadata services: no event belongs there.
fn sink_url(cx: &Context, value: &Value<'_, '_>) -> Option<String> {
    let url = value.base_url(cx)?;
    let parsed = reqwest::Url::parse(&url).ok()?;
    let host = parsed
        .host_str()
        .unwrap_or("")
        .trim_matches(['[', ']'])
        .to_owned();
    let link_local = match host.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(v4)) => v4.is_link_local(),
        Ok(std::net::IpAddr::V6(v6)) => {
            v6.is_unicast_link_local() || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_link_local())
        }
        Err(_) => false,
    };
    if link_local {
        value.invalid(cx, "a link-local address is no place for events");
        return None;
    }
    Some(url)
}

fn auth_of(cx: &Context, value: &Value<'_, '_>) -> Option<(String, Secret)> {
    let table = value.table(cx)?;
    let help = "auth = { user = \"name\", password = { env = \"NAME\" } }";
    let user = table.require("user", help).and_then(|v| v.text(cx));
    let password = table
        .require("password", help)
        .and_then(|v| secrets::read(cx, &v));
    table.finish();
    let user = user?;
    if user.contains(':') {
        value.invalid(cx, "a user name cannot hold a colon");
        return None;
    }
    Some((user.to_owned(), password?))
}

/// Headers whose value is a credential by their name.
fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "authorization",
        "cookie",
        "token",
        "secret",
        "password",
        "api-key",
        "apikey",
    ]
    .iter()
    .any(|word| name.contains(word))
}

fn headers(cx: &Context, value: &Value<'_, '_>) -> Option<Vec<(String, Secret)>> {
    let table = value.table(cx)?;
    let one = |(name, value): &(&str, Value<'_, '_>)| {
        if reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
            value.invalid(cx, "is no header name");
            return None;
        }
        let secret = match value.value.as_str() {
            Some(text) if !is_credential(name) => Secret::new(text.to_owned()),
            _ => secrets::read(cx, value)?,
        };
        if reqwest::header::HeaderValue::from_str(secret.expose()).is_err() {
            value.invalid(cx, "the value holds characters that a header cannot have");
            return None;
        }
        Some(((*name).to_owned(), secret))
    };
    let all: Vec<_> = table.entries().iter().map(one).collect();
    all.into_iter().collect()
}

fn filter(cx: &Context, value: &Value<'_, '_>, now: Timestamp) -> Option<Query> {
    let text = value.text(cx)?;
    match Query::parse(text, now) {
        Ok(query) => {
            let Some(term) = query.not_of_event() else {
                return Some(query);
            };
            let message = format!("`match`: `{}:` cannot be asked of an event", term.key());
            let help = "a sink chooses by what is in the event and its delivery: event, resource, payload, webhook …";
            cx.error_help(codes::INVALID_VALUE, value.span.clone(), message, help);
            None
        }
        Err(error) => {
            let span = value.column_span(cx, text, error.column);
            let message = format!("`match`: {}", error.message);
            match error.help {
                Some(help) => cx.error_help(codes::INVALID_VALUE, span, message, help),
                None => cx.error(codes::INVALID_VALUE, span, message),
            }
            None
        }
    }
}
