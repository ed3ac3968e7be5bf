//! `[[webhook]]`: one named URL, who may call it, how its requests become events.

use super::document::Context;
use super::table::Table;
use super::value::Value;
use super::{
    KeyRule, OldSlug, RateSettings, Response, Severity, Webhook, expectations, handshakes, secrets,
    server, subscriptions, translation, verify,
};
use crate::codes;
use crate::intake::rate::Rate;
use crate::model::Slug;
use crate::model::trace::TraceRule;
use crate::providers::{self, Evidence, Provider};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;

/// Methods that a webhook can take. OPTIONS comes as a handshake only.
pub(crate) const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
/// Characters of a name: it is part of resource ids and labels of metrics.
const NAME_CHARS_MAX: usize = 128;
/// Characters of a description.
const DESCRIPTION_CHARS_MAX: usize = 10_000;
/// Old slugs of one webhook: each is a way in that someone has to watch.
const OLD_SLUGS_MAX: usize = 20;

/// Names and slugs so far, with their line: each is given once.
#[derive(Default)]
struct Seen {
    names: HashMap<String, u32>,
    slugs: HashMap<String, (Option<String>, u32)>,
}

/// Reads every `[[webhook]]`. `body_bytes` is the server's limit.
pub(super) fn read_all(
    cx: &Context,
    value: Option<&Value<'_, '_>>,
    body_bytes: usize,
) -> Vec<Arc<Webhook>> {
    let items = value.map_or_else(Vec::new, |v| v.tables(cx));
    let mut seen = Seen::default();
    let mut webhooks = Vec::new();
    for item in items {
        let Some(table) = item.table(cx) else {
            continue;
        };
        let name = table.get("name").and_then(|v| v.value.as_str());
        cx.enter_webhook(name.map(str::to_owned));
        webhooks.extend(read(cx, &table, &mut seen, body_bytes).map(Arc::new));
        table.finish();
        cx.enter_webhook(None);
    }
    webhooks
}

fn read(
    cx: &Context,
    table: &Table<'_, '_, '_>,
    seen: &mut Seen,
    body_bytes: usize,
) -> Option<Webhook> {
    // Every key is read before the first `?`, so that every mistake is told.
    let name = name(cx, table, seen);
    let slug = slug(cx, table, seen, name.as_deref());
    let provider = provider(cx, table);
    let known = provider.as_ref().and_then(Option::as_ref);
    let guard = verify::read(cx, table, provider.as_ref());
    let translator = translation::read(cx, table, provider.as_ref());
    let cloudevents = table.get("cloudevents").is_some();
    let when = table.get("when").map(|v| translation::expression(cx, &v));
    let undefined_fails = undefined_fails(cx, table);
    let key = key_rule(cx, table, known);
    let description = description(cx, table);
    let methods = methods(cx, table, known, cloudevents);
    let public_url = table.get("public_url").and_then(|v| v.url(cx));
    let max_body = max_body(cx, table, body_bytes);
    let allow = table.get("allow").and_then(|v| v.networks(cx));
    let rate = table.get("rate").and_then(|v| rate(cx, &v));
    let mut shakes = handshakes::read(cx, table, known, cloudevents, &methods, rate);
    let response = response(cx, table, known);
    let accept_parked = accept_parked(cx, table, known);
    let default_payload = default_payload(cx, table, cloudevents);
    let flag = |key, default| table.get(key).and_then(|v| v.bool(cx)).unwrap_or(default);
    let (subpaths, enabled) = (flag("subpaths", false), flag("enabled", true));
    let tests = expectations::read(cx, table);
    let old_slugs = old_slugs(cx, table, seen, name.as_deref());
    let trace = trace(cx, table);
    let guard = guard.and_then(|guard| {
        let verifier = subscriptions::apply(cx, table, guard.verifier, &mut shakes)?;
        Some(verify::Guard { verifier, ..guard })
    });
    let guard = guard?;
    verify::check_path(cx, table, &guard, subpaths);
    Some(Webhook {
        name: name?,
        slug: slug.clone()?,
        masking: handshakes::masking(&shakes, &guard.verifier, slug.as_ref(), &old_slugs),
        old_slugs,
        description,
        provider: known.map(|p| p.name.clone()),
        handshakes: shakes,
        verifier: guard.verifier,
        signer: guard.signer,
        secrets: guard.secrets,
        methods,
        subpaths,
        public_url,
        max_body,
        allow: allow.unwrap_or_default(),
        rate,
        when: match when {
            Some(when) => Some(when?),
            None => None,
        },
        translator: translator?,
        undefined_fails,
        key: key?,
        response: response?,
        bare_refusals: known.is_some_and(|p| p.answer.bare_refusals),
        accept_parked,
        default_payload,
        trace,
        enabled,
        tests,
        line: cx.line(table.span.start),
    })
}

fn trace(cx: &Context, table: &Table<'_, '_, '_>) -> TraceRule {
    let trace = table.get("trace");
    match trace.and_then(|v| v.choice(cx, &["link", "continue", "ignore"])) {
        Some("continue") => TraceRule::Continue,
        Some("ignore") => TraceRule::Ignore,
        _ => TraceRule::Link,
    }
}

fn undefined_fails(cx: &Context, table: &Table<'_, '_, '_>) -> bool {
    let undefined = table.get("undefined");
    undefined.and_then(|v| v.choice(cx, &["empty", "error"])) == Some("error")
}

/// The name of a webhook or sink: it appears in ids, labels and paths.
pub(super) fn entry_name(cx: &Context, value: &Value<'_, '_>) -> Option<String> {
    let text = value.filled(cx)?;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.chars().all(allowed) || text.len() > NAME_CHARS_MAX {
        let proposal: String = text
            .to_lowercase()
            .chars()
            .map(|c| if allowed(c) { c } else { '-' })
            .take(NAME_CHARS_MAX)
            .collect();
        value.invalid_help(
            cx,
            &format!("a name is made of a-z, 0-9 and -, at most {NAME_CHARS_MAX} of them"),
            format!("\"{proposal}\" would do"),
        );
        return None;
    }
    Some(text.to_owned())
}

fn name(cx: &Context, table: &Table<'_, '_, '_>, seen: &mut Seen) -> Option<String> {
    let value = table.require("name", "name = \"github\", for example")?;
    let name = entry_name(cx, &value)?;
    if let Some(line) = seen.names.get(&name) {
        cx.error_help(
            codes::DUPLICATE_NAME,
            value.span,
            format!("the webhook `{name}` stands in line {line} already"),
            "a webhook's name is in its events' ids: choose another",
        );
    } else {
        seen.names.insert(name.clone(), cx.line(value.span.start));
    }
    Some(name)
}

fn slug(
    cx: &Context,
    table: &Table<'_, '_, '_>,
    seen: &mut Seen,
    webhook: Option<&str>,
) -> Option<Slug> {
    let help = "slug = 22 or more random characters of A-Z a-z 0-9, the last part of its URL";
    let value = table.require("slug", help)?;
    unique_slug(cx, &value, seen, webhook)
}

/// Slugs that the webhook had, each with the time from which it leads nowhere.
fn old_slugs(
    cx: &Context,
    table: &Table<'_, '_, '_>,
    seen: &mut Seen,
    webhook: Option<&str>,
) -> Vec<OldSlug> {
    let Some(value) = table.get("old_slugs") else {
        return Vec::new();
    };
    let items = value.items(cx).unwrap_or_default();
    if items.len() > OLD_SLUGS_MAX {
        value.invalid(cx, format!("lists more than {OLD_SLUGS_MAX} slugs"));
    }
    let mut old = Vec::new();
    for item in items {
        let Some(table) = item.table(cx) else {
            continue;
        };
        let help = "old_slugs = [{ slug = \"…\", until = 2026-12-01T00:00:00Z }]";
        let slug = table.require("slug", help);
        let slug = slug.and_then(|v| unique_slug(cx, &v, seen, webhook));
        let until_value = table.require("until", help);
        let until = until_value.as_ref().and_then(|v| secrets::time(cx, v));
        table.finish();
        let (Some(slug), Some(until)) = (slug, until) else {
            continue;
        };
        if let (true, Some(value)) = (until <= Timestamp::now(), &until_value) {
            cx.warning(
                codes::NO_EFFECT,
                value.span.clone(),
                "the old slug's time has passed: it leads nowhere any more",
                "remove it from `old_slugs`",
            );
        }
        old.push(OldSlug { slug, until });
    }
    old
}

/// A slug that no other webhook has, nor had.
fn unique_slug(
    cx: &Context,
    value: &Value<'_, '_>,
    seen: &mut Seen,
    webhook: Option<&str>,
) -> Option<Slug> {
    let text = value.text(cx)?;
    let slug = match Slug::parse(text) {
        Ok(slug) => slug,
        Err(error) => {
            value.invalid(cx, error);
            return None;
        }
    };
    let line = cx.line(value.span.start);
    if let Some((other, line)) = seen.slugs.get(text) {
        let other = other.as_deref().unwrap_or("another webhook");
        cx.error_help(
            codes::DUPLICATE_SLUG,
            value.span.clone(),
            format!("the webhook `{other}` (line {line}) has this slug already"),
            "a slug is one webhook's alone: make a new one",
        );
        return Some(slug);
    }
    seen.slugs
        .insert(text.to_owned(), (webhook.map(str::to_owned), line));
    if !slug.is_safe() {
        cx.warning(
            codes::SLUG_SHORT,
            value.span.clone(),
            format!("a slug of {} characters can be guessed", text.len()),
            "use 22 random characters or more",
        );
    }
    Some(slug)
}

/// `None`: no provider is named. `Some(None)`: one is, and it cannot be loaded (reported).
fn provider(cx: &Context, table: &Table<'_, '_, '_>) -> Option<Option<Provider>> {
    let value = table.get("provider")?;
    let Some(name) = value.filled(cx) else {
        return Some(None);
    };
    // A file that is added to an override counts too.
    let beside = cx.folder.join("templates").join("providers").join(name);
    if translation::is_plain_path(name) && beside.is_dir() {
        cx.note_file(&beside);
    }
    match providers::load(name, Some(&cx.folder)) {
        Ok(provider) => {
            provider.files.iter().for_each(|file| cx.note_file(file));
            if provider.evidence == Some(Evidence::Knowledge) {
                cx.warning(
                    codes::PROVIDER_UNCONFIRMED,
                    value.span,
                    format!("how {} signs has not been confirmed", provider.title),
                    "watch the first real delivery: the data are from knowledge alone",
                );
            }
            Some(Some(provider))
        }
        Err(problems) => {
            for mut problem in problems {
                // Data of a provider have a place of their own; an unknown name is here.
                if problem.place.is_none() {
                    problem = problem.at(cx.place(value.span.clone()));
                }
                cx.report(Severity::Error, problem);
            }
            Some(None)
        }
    }
}

fn description(cx: &Context, table: &Table<'_, '_, '_>) -> Option<String> {
    let value = table.get("description")?;
    let text = value.text(cx)?;
    if text.chars().count() > DESCRIPTION_CHARS_MAX {
        value.invalid(
            cx,
            format!("is longer than {DESCRIPTION_CHARS_MAX} characters"),
        );
    }
    Some(text.to_owned())
}

fn methods(
    cx: &Context,
    table: &Table<'_, '_, '_>,
    provider: Option<&Provider>,
    cloudevents: bool,
) -> Vec<String> {
    let default: Vec<String> = match provider {
        _ if cloudevents => ["POST", "PUT", "PATCH"].map(str::to_owned).to_vec(),
        Some(provider) if provider.methods.is_empty() => vec!["POST".to_owned()],
        Some(provider) => provider.methods.clone(),
        None => METHODS.map(str::to_owned).to_vec(),
    };
    let Some(value) = table.get("methods") else {
        return default;
    };
    let items = value.items(cx).unwrap_or_default();
    if items.is_empty() && value.value.is_array() {
        value.invalid(cx, "the list is empty: nothing could be sent");
    }
    let mut methods = Vec::new();
    for item in items {
        if let Some(method) = item.choice(cx, &METHODS)
            && !methods.iter().any(|m| m == method)
        {
            methods.push(method.to_owned());
        }
    }
    methods
}

fn max_body(cx: &Context, table: &Table<'_, '_, '_>, server: usize) -> usize {
    let Some(value) = table.get("max_body") else {
        return server;
    };
    let own = server::body_size(cx, &value);
    if own > server {
        cx.warning(
            codes::NO_EFFECT,
            value.span,
            "`max_body` is above the server's, which comes first",
            "raise `max_body` in [server]",
        );
    }
    own.min(server)
}

fn rate(cx: &Context, value: &Value<'_, '_>) -> Option<RateSettings> {
    let positive = |value: &Value<'_, '_>| {
        let number = value.number(cx)?;
        if number <= 0.0 || number > 1e6 {
            value.invalid(cx, "must be above 0 and at most 1000000 a second");
            return None;
        }
        Some(number)
    };
    if !value.value.is_table() {
        let per_second = positive(value)?;
        return Some(RateSettings {
            per_second,
            burst: Rate::burst_default(per_second),
        });
    }
    let table = value.table(cx)?;
    let per_second = table
        .require("per_second", "rate = { per_second = 10, burst = 20 }")
        .and_then(|v| positive(&v));
    let burst = table.get("burst").map(|v| v.integer(cx, 1..=1_000_000));
    table.finish();
    let per_second = per_second?;
    let burst = match burst {
        Some(burst) => u32::try_from(burst?).ok()?,
        None => Rate::burst_default(per_second),
    };
    Some(RateSettings { per_second, burst })
}

fn response(
    cx: &Context,
    table: &Table<'_, '_, '_>,
    provider: Option<&Provider>,
) -> Option<Response> {
    let Some(value) = table.get("response") else {
        return Some(provider.map_or(Response::NoContent, |p| {
            Response::Provider(p.answer.clone())
        }));
    };
    let table = value.table(cx)?;
    let status_value = table.get("status");
    let status = status_value.as_ref().map(|v| v.integer(cx, 200..=299));
    let content_type = table.get("content_type").map(|v| content_type(cx, &v));
    let body_value = table.get("body");
    let body = body_value
        .as_ref()
        .map(|v| translation::template_text(cx, v));
    table.finish();
    let status = match status {
        Some(status) => u16::try_from(status?).ok()?,
        None if body.is_some() => 200,
        None => 204,
    };
    if let (204 | 205, Some(body)) = (status, &body_value) {
        body.invalid_help(cx, "an answer 204 has no body", "write status = 200");
        return None;
    }
    Some(Response::Own {
        status,
        content_type: match content_type {
            Some(content_type) => Some(content_type?),
            None => None,
        },
        body: match body {
            Some(body) => Some(Box::new(body?)),
            None => None,
        },
    })
}

fn content_type(cx: &Context, value: &Value<'_, '_>) -> Option<String> {
    let text = value.filled(cx)?;
    if !text.contains('/') || reqwest::header::HeaderValue::from_str(text).is_err() {
        value.invalid(cx, "is no content type, such as \"text/plain\"");
        return None;
    }
    Some(text.to_owned())
}

fn accept_parked(cx: &Context, table: &Table<'_, '_, '_>, provider: Option<&Provider>) -> bool {
    match table
        .get("on_error")
        .and_then(|v| v.choice(cx, &["refuse", "accept"]))
    {
        Some(word) => word == "accept",
        None => provider.is_some(),
    }
}

fn default_payload(cx: &Context, table: &Table<'_, '_, '_>, cloudevents: bool) -> bool {
    let Some(value) = table.get("default_payload") else {
        return true;
    };
    if cloudevents {
        cx.warning(
            codes::NO_EFFECT,
            value.key_span.clone(),
            "`default_payload` has no effect with `cloudevents`",
            "remove it: every CloudEvent brings its own payload",
        );
    }
    value.choice(cx, &["request", "none"]) != Some("none")
}

fn key_rule(
    cx: &Context,
    table: &Table<'_, '_, '_>,
    provider: Option<&Provider>,
) -> Option<KeyRule> {
    let Some(value) = table.get("delivery_key") else {
        let values = provider.map_or_else(Vec::new, |p| p.delivery_key.clone());
        return Some(KeyRule::Values(values));
    };
    if value.filled(cx)? == "none" {
        return Some(KeyRule::None);
    }
    translation::expression(cx, &value).map(KeyRule::Expression)
}
