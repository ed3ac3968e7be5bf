//! Which dead letters are meant, and what they have in common.

use super::Fields;
use crate::admin::Admin;
use crate::admin::problem::ApiError;
use crate::codes::Code;
use crate::query::{Query, QueryError};
use crate::state::DeadLetter;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Dead letters that are looked at: each is read with its event.
pub(super) const LETTERS_MAX: usize = 10_000;
/// Read at once.
const LETTERS_AT_ONCE: usize = 200;
/// Examples of a group.
const EXAMPLES_MAX: usize = 3;

/// What is asked for; empty: all.
#[derive(Debug, Clone, Default)]
pub(super) struct Selection {
    pub(super) q: String,
    pub(super) sink: Option<String>,
    pub(super) code: Option<String>,
    pub(super) reason: Option<String>,
    /// Number of the newest that is meant.
    pub(super) until: Option<i64>,
}

/// Sink, code, reason.
pub(super) type Key = (String, Code, String);

/// What was refused by one sink for one reason.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) count: usize,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// Of the newest one.
    pub(super) answer: String,
    pub(super) attempts: u32,
    pub(super) newest: i64,
    pub(super) examples: Vec<DeadLetter>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Selected {
    pub(super) groups: BTreeMap<Key, Group>,
    /// Newest first.
    pub(super) ids: Vec<i64>,
    pub(super) newest: i64,
    pub(super) more: bool,
}

/// Why nothing could be selected.
#[derive(Debug)]
pub(super) enum Failure {
    Query(QueryError),
    Other(ApiError),
}

impl Selection {
    /// From the fields of a form, or the parameters of an address.
    pub(super) fn of<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Self {
        let owned = |name| get(name).filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            q: get("q").unwrap_or("").to_owned(),
            sink: owned("sink"),
            code: owned("code"),
            reason: owned("reason"),
            until: get("until").and_then(|text| text.parse().ok()),
        }
    }

    pub(super) fn is_narrow(&self) -> bool {
        !self.q.trim().is_empty()
            || self.sink.is_some()
            || self.code.is_some()
            || self.reason.is_some()
    }

    pub(super) fn fields(&self, newest: i64) -> Fields {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Fields {
            q: self.q.clone(),
            sink: text(&self.sink),
            code: text(&self.code),
            reason: text(&self.reason),
            until: newest,
        }
    }

    /// The page of it, with the plan of a retry or without.
    pub(super) fn url(&self, plan: bool) -> String {
        let mut query = self.pairs();
        if plan {
            query.append_pair("plan", "retry");
        }
        address(&query.finish())
    }

    /// The page of it, with what was done.
    pub(super) fn url_with(&self, done: &[(&str, usize)]) -> String {
        let mut query = self.pairs();
        for (name, number) in done {
            query.append_pair(name, &number.to_string());
        }
        address(&query.finish())
    }

    fn pairs(&self) -> form_urlencoded::Serializer<'static, String> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let q = Some(&self.q).filter(|q| !q.trim().is_empty());
        let fields = [
            ("q", q),
            ("sink", self.sink.as_ref()),
            ("code", self.code.as_ref()),
            ("reason", self.reason.as_ref()),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query
    }

    fn has(&self, letter: &DeadLetter) -> bool {
        let same = |wanted: &Option<String>, text: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == text)
        };
        self.until.is_none_or(|until| letter.id <= until)
            && same(&self.code, &letter.code.to_string())
            && same(&self.reason, &letter.reason)
    }
}

fn address(query: &str) -> String {
    if query.is_empty() {
        "/dead-letters".to_owned()
    } else {
        format!("/dead-letters?{query}")
    }
}

/// Finds them, newest first. Blocks.
pub(super) fn letters(
    admin: &Admin,
    selection: &Selection,
    now: Timestamp,
) -> Result<Selected, Failure> {
    let query = Query::parse(&selection.q, now).map_err(Failure::Query)?;
    let query = Some(query).filter(|_| !selection.q.trim().is_empty());
    let mut selected = Selected::default();
    let mut before = selection.until.map(|until| until.saturating_add(1));
    let mut seen = 0;
    loop {
        let page = admin
            .state
            .dead_letters(selection.sink.as_deref(), before, LETTERS_AT_ONCE)
            .map_err(|error| Failure::Other(error.into()))?;
        let is_last = page.len() < LETTERS_AT_ONCE;
        before = page.last().map(|letter| letter.id);
        seen += page.len();
        for letter in page {
            if selection.has(&letter) && matches(admin, query.as_ref(), &letter) {
                selected.take(letter);
            }
        }
        if is_last {
            return Ok(selected);
        }
        if seen >= LETTERS_MAX {
            selected.more = true;
            return Ok(selected);
        }
    }
}

/// Whether a query finds it. One whose delivery is gone by now is found by none.
fn matches(admin: &Admin, query: Option<&Query>, letter: &DeadLetter) -> bool {
    let Some(query) = query else {
        return true;
    };
    let record = admin.log.get(letter.seq).ok().flatten();
    record.is_some_and(|record| {
        query.matches(Some(&letter.event), &record.delivery, Some(letter.seq))
    })
}

impl Selected {
    fn take(&mut self, letter: DeadLetter) {
        self.ids.push(letter.id);
        self.newest = self.newest.max(letter.id);
        let key = (letter.sink.clone(), letter.code, letter.reason.clone());
        let group = self.groups.entry(key).or_insert_with(|| Group {
            count: 0,
            first: letter.refused,
            last: letter.refused,
            answer: letter.answer.clone(),
            attempts: letter.attempts,
            newest: letter.id,
            examples: Vec::new(),
        });
        group.count += 1;
        group.first = group.first.min(letter.refused);
        group.last = group.last.max(letter.refused);
        group.newest = group.newest.max(letter.id);
        if group.examples.len() < EXAMPLES_MAX {
            group.examples.push(letter);
        }
    }
}
