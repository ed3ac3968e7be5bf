//! Verify and translate, for `serve`, `render`, `check` and replay alike. Pure and sync: the clock is
//! handed in, nothing is written.

mod expectation;
mod prepare;

pub use expectation::{
    TestFailure, TestResult, check_tests, check_webhook, parse_request, read_request,
    request_files, test_files,
};
pub use prepare::{receive, undo_coding};

use crate::codes;
use crate::config::{KeyRule, Webhook};
use crate::model::delivery::Check;
use crate::model::{Event, Note, Outcome, Problem, Request};
use crate::translate::{
    Content, Failure, ItemKey, Keys, ParsedBody, Scope, Traced, Translator, bounded, whole,
};
use crate::verify::{KeysAtHand, ValueSpec, Verdict};
use jiff::Timestamp;

/// What translation made of a verified request.
#[derive(Debug, Clone)]
pub struct Translation {
    /// Accepted, ignored or parked; whether it is a duplicate is the log's to say.
    pub outcome: Outcome,
    /// Its events, in order; none unless accepted.
    pub events: Vec<Event>,
    /// What the log looks up and remembers; none where nothing is to be remembered.
    pub keys: Keys,
    /// What each event was made of, where the event does not show it.
    pub contents: Vec<Content>,
    /// The delivery key as text, for the record.
    pub key: Option<String>,
    /// What is worth knowing.
    pub notes: Vec<Note>,
    /// What was read that the request has not, with its place; the notes tell of it too.
    pub undefined: Vec<Problem>,
    /// Why it was parked.
    pub error: Option<Problem>,
    /// Whether the answer is 415 (the request is no CloudEvent) instead of 400.
    pub unsupported_type: bool,
}

impl Translation {
    /// What could not be translated, or was not verified in a test.
    fn failed(problem: Problem) -> Self {
        parked(&Keys::None, failure(problem))
    }
}

/// Checks who sent a request, with no keys but those of the configuration.
#[must_use]
pub fn verify(webhook: &Webhook, request: &Request, now: Timestamp) -> Verdict {
    webhook.verifier.verify(request, now)
}

/// The same with fetched keys: those of the running gateway.
#[must_use]
pub fn verify_with(
    webhook: &Webhook,
    request: &Request,
    now: Timestamp,
    keys: &dyn KeysAtHand,
) -> Verdict {
    webhook.verifier.verify_with(request, now, keys)
}

/// Checks who sent a request, for its owner: where it is refused, the record has hints beside its checks. It
/// costs more than [`verify`], and is not for intake.
#[must_use]
pub fn explain(webhook: &Webhook, request: &Request, now: Timestamp) -> Verdict {
    let mut verdict = webhook.verifier.verify(request, now);
    if verdict.failure.is_some() {
        let hints = webhook.verifier.hints(request, now).into_iter();
        verdict.record.checks.extend(hints.map(hint));
    }
    verdict
}

/// A hint as a check of the record.
#[must_use]
pub fn hint(detail: String) -> Check {
    Check {
        name: "hint".to_owned(),
        passed: false,
        detail,
    }
}

/// Makes events of a request that was verified.
#[must_use]
pub fn translate(webhook: &Webhook, request: &Request) -> Translation {
    translate_by(webhook, &webhook.translator, request)
}

/// Makes events as [`translate`] does, but by another template or definition than the webhook's.
#[must_use]
pub fn translate_by(webhook: &Webhook, translator: &Translator, request: &Request) -> Translation {
    let (none, body) = (Keys::None, ParsedBody::default());
    let found = keys(webhook, &scope(webhook, request, &none, &body));
    let keys = found.as_ref().unwrap_or(&none);
    let scope = scope(webhook, request, keys, &body);
    if let Some(when) = &webhook.when {
        match when.is_true(&scope) {
            // A misspelt name makes it false forever, so that is told; one that is not there at all is what it asks for.
            Ok(false) => return unwanted(keys, when.slips(&scope)),
            Err(problem) => return parked(keys, failure(expression(problem, "when"))),
            Ok(true) => {}
        }
    }
    // A key that cannot be found matters only now: what is ignored needs none.
    let keys = match &found {
        Ok(keys) => keys,
        Err(problem) => return parked(&none, failure(problem.clone())),
    };
    let translated = match translator.translate(&scope) {
        Ok(translated) => translated,
        Err(failure) => return parked(keys, failure),
    };
    if webhook.undefined_fails
        && let Some(problem) = translated.undefined.first()
    {
        return parked(keys, failure(problem.clone()));
    }
    if translated.events.is_empty() {
        let mut ignored = ignored(keys, translated.notes);
        ignored.undefined = translated.undefined;
        return ignored;
    }
    Translation {
        outcome: Outcome::Accepted,
        events: translated.events,
        key: key_text(&translated.keys),
        keys: translated.keys,
        contents: translated.contents,
        notes: translated.notes,
        undefined: translated.undefined,
        error: None,
        unsupported_type: false,
    }
}

/// What a webhook's translation reads of a request, and what that was.
#[must_use]
pub fn trace(webhook: &Webhook, request: &Request) -> Vec<Traced> {
    trace_by(webhook, &webhook.translator, request)
}

/// The same of another template or definition than the webhook's.
#[must_use]
pub fn trace_by(webhook: &Webhook, translator: &Translator, request: &Request) -> Vec<Traced> {
    let (none, body) = (Keys::None, ParsedBody::default());
    let found = keys(webhook, &scope(webhook, request, &none, &body));
    let keys = found.as_ref().unwrap_or(&none);
    translator.trace(&scope(webhook, request, keys, &body))
}

fn scope<'a>(
    webhook: &'a Webhook,
    request: &'a Request,
    keys: &'a Keys,
    body: &'a ParsedBody,
) -> Scope<'a> {
    Scope {
        request,
        webhook: &webhook.name,
        masking: &webhook.masking,
        keys,
        own_keys: match &webhook.key {
            KeyRule::None => false,
            KeyRule::Values(_) => true,
            // What the owner says of the webhook wins over what its provider's template says of an event.
            KeyRule::Expression(_) => *keys == Keys::None,
        },
        default_payload: webhook.default_payload,
        body,
    }
}

/// The delivery's key or keys by the webhook's rule.
fn keys(webhook: &Webhook, scope: &Scope<'_>) -> Result<Keys, Problem> {
    let expression = match &webhook.key {
        KeyRule::None => return Ok(Keys::None),
        KeyRule::Values(specs) => return Ok(from_values(specs, scope.request)),
        KeyRule::Expression(expression) => expression,
    };
    let value = expression
        .evaluate(scope)
        .map_err(|problem| self::expression(problem, "delivery_key"))?;
    Ok(match value {
        None => Keys::None,
        Some(serde_json::Value::Array(items)) => {
            let keys: Option<Vec<_>> = items.iter().map(text_of).collect();
            Keys::PerEvent(keys.ok_or_else(|| {
                Problem::new(
                    codes::EXPRESSION_FAILED,
                    "`delivery_key` gave a list in which a key is empty",
                )
                .help("every event needs its own key; or let the expression give one for all")
            })?)
        }
        Some(value) => text_of(&value).map_or(Keys::None, Keys::Delivery),
    })
}

/// The first value that is present. What it holds of several pieces is one key, unless it is a rule for items:
/// then each item has its own, and all must.
fn from_values(specs: &[ValueSpec], request: &Request) -> Keys {
    for spec in specs {
        if spec.is_each() {
            // Where an item has none, the keys of its neighbours say nothing of it: the next rule is asked.
            let items = spec.items(request).unwrap_or_default().into_iter();
            let keys: Option<Vec<ItemKey>> = items.map(item_key).collect();
            if let Some(keys) = keys.filter(|keys| !keys.is_empty()) {
                return Keys::PerItem(keys);
            }
            continue;
        }
        let text = spec.read(request).join(",");
        if !text.trim().is_empty() {
            return Keys::Delivery(bounded(&text));
        }
    }
    Keys::None
}

fn item_key(key: Option<crate::verify::ItemKey>) -> Option<ItemKey> {
    key.map(|crate::verify::ItemKey { key, witness }| ItemKey { key, witness })
}

/// A key as text; what is empty is no key.
fn text_of(value: &serde_json::Value) -> Option<String> {
    let text = match value {
        serde_json::Value::Null => return None,
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    (!text.trim().is_empty()).then(|| bounded(&text))
}

fn key_text(keys: &Keys) -> Option<String> {
    match keys {
        Keys::None => None,
        Keys::Delivery(key) => Some(key.clone()),
        // A batch has no key of its own.
        Keys::PerEvent(list) => list.first().filter(|_| list.len() == 1).cloned(),
        Keys::PerItem(list) => list
            .first()
            .filter(|_| list.len() == 1)
            .map(|i| i.key.clone()),
    }
}

fn ignored(keys: &Keys, notes: Vec<Note>) -> Translation {
    Translation {
        outcome: Outcome::Ignored,
        events: Vec::new(),
        // What was ignored may come again: another configuration may want it.
        keys: Keys::None,
        contents: Vec::new(),
        key: key_text(keys),
        notes,
        undefined: Vec::new(),
        error: None,
        unsupported_type: false,
    }
}

/// Ignored by `when`, which may have read what it did not mean.
fn unwanted(keys: &Keys, undefined: Vec<Problem>) -> Translation {
    let note = |problem: &Problem| {
        let help = problem.help.as_deref().unwrap_or("");
        Note::new(
            problem.code,
            format!("`when` is false. {} {help}", problem.message),
        )
    };
    let notes = undefined.iter().map(note).collect();
    Translation {
        undefined,
        ..ignored(keys, notes)
    }
}

fn parked(keys: &Keys, failure: Failure) -> Translation {
    Translation {
        outcome: Outcome::Parked,
        events: Vec::new(),
        keys: match keys {
            // There are no events whose own these could be.
            Keys::PerEvent(_) => Keys::None,
            // Sent again as it is, it is this delivery's double.
            Keys::PerItem(items) => Keys::Delivery(whole(items)),
            Keys::None | Keys::Delivery(_) => keys.clone(),
        },
        contents: Vec::new(),
        key: key_text(keys),
        notes: Vec::new(),
        undefined: Vec::new(),
        error: Some(failure.problem),
        unsupported_type: failure.unsupported_type,
    }
}

fn failure(problem: Problem) -> Failure {
    Failure {
        problem,
        unsupported_type: false,
    }
}

/// A failed expression is one kind of error, whatever failed in it.
fn expression(problem: Problem, key: &str) -> Problem {
    Problem {
        code: codes::EXPRESSION_FAILED,
        message: format!("`{key}` failed: {}", problem.message),
        ..problem
    }
}

#[cfg(test)]
mod batches;
#[cfg(test)]
mod explained;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod tests;
