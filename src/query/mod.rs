//! The search grammar, in one place: parse, print, match an event. Pure.
//!
//! Terms with the keys of [`KEYS`], `*` in unquoted words, lists, comparisons and ranges, and free text, joined by
//! blanks or `AND`, by `OR`, negated by `-`, `!` or `NOT`, grouped by parentheses. [`GUIDE`] tells it to people.
//!
//! Invariants: `Query::parse(query.to_string())` is the query again; a query is at most [`CHARS_MAX`]
//! characters, [`DEPTH_MAX`] deep and has at most [`VALUES_MAX`] values; no text makes the parser panic.

mod amount;
mod ast;
pub mod completion;
mod keys;
mod lexer;
mod matcher;
mod parser;
mod pattern;
mod printer;
mod sinks;
mod values;
pub(crate) mod words;

pub use amount::{Amounts, Bound, Number};
pub use ast::{Expr, LabelField, Range, Term, TextField, TimeField, UuidField};
pub use matcher::{Known, Subject, Truth, micros};
pub(crate) use matcher::{each_at, each_text, scalar_text};
pub use pattern::Pattern;
pub use sinks::{Has, Is, SinkState, SinkView};
pub use words::Words;

use crate::model::{Delivery, Event, Seq};
use thiserror::Error;

/// Characters of a query at most.
pub const CHARS_MAX: usize = 4_096;
/// Parentheses in one another at most.
pub const DEPTH_MAX: usize = 32;
/// Values of all terms of a query together at most, so that matching one event stays cheap.
pub const VALUES_MAX: usize = 512;
/// `*` in one word at most.
pub const WILDCARDS_MAX: usize = 8;

/// Parts of a path in a key at most.
pub const PATH_PARTS_MAX: usize = 32;

/// The grammar, told to people, as markdown.
pub const GUIDE: &str = include_str!("guide.md");

/// Keys that can be searched, by their first part.
pub const KEYS: [&str; 22] = [
    "event", "resource", "related", "payload", "webhook", "provider", "outcome", "code", "sink",
    "id", "delivery", "key", "follows", "seq", "method", "status", "ip", "header", "received",
    "occurred", "has", "is",
];

/// A parsed query. The default one is blank: everything but hookgate's own events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    root: Option<Expr>,
}

/// Why a text is no query.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("column {column}: {message}")]
pub struct QueryError {
    /// Character, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do, such as `did you mean resource:?`.
    pub help: Option<String>,
}

impl QueryError {
    fn new(column: usize, message: impl Into<String>) -> Self {
        Self {
            column,
            message: message.into(),
            help: None,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Query {
    /// Parses a query; relative times (`>-15m`) count from `now`. Blank: everything.
    ///
    /// # Errors
    /// With the column of the first thing that is wrong.
    pub fn parse(text: &str, now: jiff::Timestamp) -> Result<Self, QueryError> {
        let root = parser::parse(text, now)?;
        Ok(Self { root })
    }

    /// The query of one API parameter: `event`, `resource`, `webhook`, `provider`, `outcome`, `code`, `key`, `id`,
    /// `delivery`, `seq`, `since` or `until`. Several values: any of them. Values are as written: quotes mean
    /// themselves, `*` is a wildcard.
    ///
    /// # Errors
    /// With the column in the value that is wrong; an unknown name; `since` or `until` with several values.
    pub fn parameter(
        name: &str,
        values: &[&str],
        now: jiff::Timestamp,
    ) -> Result<Self, QueryError> {
        let term = values::parameter(name, values, now)?;
        Ok(Self::from(Expr::Term(term)))
    }

    /// Both must match.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self.root, other.root) {
            (None, root) | (root, None) => Self { root },
            (Some(a), Some(b)) => Self::from(Expr::all(vec![a, b])),
        }
    }

    /// The expression; none: everything.
    #[must_use]
    pub fn root(&self) -> Option<&Expr> {
        self.root.as_ref()
    }

    /// Every term, in the order written.
    #[must_use]
    pub fn terms(&self) -> Vec<&Term> {
        let mut terms = Vec::new();
        if let Some(root) = &self.root {
            root.collect_terms(&mut terms);
        }
        terms
    }

    /// Whether hookgate's own events are asked for: a term that is not negated names `event:hookgate…`.
    #[must_use]
    pub fn names_own_events(&self) -> bool {
        self.root.as_ref().is_some_and(|root| root.names_own(true))
    }

    /// Whether it has a term about sinks.
    #[must_use]
    pub fn asks_sinks(&self) -> bool {
        let mut terms = self.terms().into_iter();
        terms.any(|term| matches!(term, Term::Sink(..)))
    }

    /// The first term that cannot be asked of an event alone, as a sink's filter has to.
    #[must_use]
    pub fn not_of_event(&self) -> Option<&Term> {
        self.terms().into_iter().find(|term| !term.is_of_event())
    }

    /// Whether an event of a delivery matches. hookgate's own events match only queries that name them.
    /// A `seq:` term never matches here: a sink's filter has no sequence number to look at.
    #[must_use]
    pub fn matches_event(&self, event: &Event, delivery: &Delivery) -> bool {
        self.matches(Some(event), delivery, None)
    }

    /// Whether an event, or a delivery without events, matches; `seq`: its place in the log, if it has one.
    #[must_use]
    pub fn matches(&self, event: Option<&Event>, delivery: &Delivery, seq: Option<Seq>) -> bool {
        self.matches_subject(&Subject::new(event, delivery, seq))
    }

    /// Whether an event, or a delivery without events, matches. A term about what is not known
    /// (`header.x:a`, where the request is gone) does not match.
    #[must_use]
    pub fn matches_subject(&self, subject: &Subject<'_>) -> bool {
        if subject.delivery().webhook.is_none() && !self.names_own_events() {
            return false;
        }
        self.root
            .as_ref()
            .is_none_or(|root| root.evaluate(&|term| term.matches(subject).into()) == Truth::Yes)
    }

    /// Whether any event of a delivery matches, or, where it has none, the delivery itself.
    #[must_use]
    pub fn matches_delivery(&self, delivery: &Delivery, seq: Option<Seq>) -> bool {
        if delivery.events.is_empty() {
            return self.matches(None, delivery, seq);
        }
        let mut events = delivery.events.iter();
        events.any(|event| self.matches(Some(event), delivery, seq))
    }

    /// As [`Self::matches_delivery`], with what records do not hold.
    #[must_use]
    pub fn matches_delivery_with(
        &self,
        delivery: &Delivery,
        seq: Option<Seq>,
        known: &dyn Known,
    ) -> bool {
        if delivery.events.is_empty() {
            let subject = Subject::new(None, delivery, seq).with(0, known);
            return self.matches_subject(&subject);
        }
        let mut events = (0..).zip(&delivery.events);
        events.any(|(index, event)| {
            let subject = Subject::new(Some(event), delivery, seq).with(index, known);
            self.matches_subject(&subject)
        })
    }
}

impl From<Expr> for Query {
    fn from(root: Expr) -> Self {
        Self { root: Some(root) }
    }
}

#[cfg(test)]
mod tests;
