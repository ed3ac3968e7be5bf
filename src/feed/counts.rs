//! What can be counted: over time, by value, by term.

use crate::model::{Outcome, Position, Seq};
use crate::query::{Expr, Query};
use jiff::Timestamp;
use serde::Serialize;
use std::time::Duration;

/// Matches that are counted one by one at most; with more a count is `at_least`.
pub const MATCHES_MAX: u64 = 100_000;
/// Values that a facet lists at most.
pub const FACET_VALUES_MAX: usize = 20;
/// Buckets of a histogram at most.
pub const BUCKETS_MAX: usize = 500;
/// Terms of one query that are counted apart at most.
const TERMS_MAX: usize = 16;

/// What a query is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Events.
    Events,
    /// Deliveries, those that were not logged among them.
    Deliveries,
}

/// How long and how far to count.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Time at most.
    pub time: Duration,
    /// Go on behind this position, newest first: the `next` of an answer that was not complete.
    pub after: Option<Position>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            time: Duration::from_millis(250),
            after: None,
        }
    }
}

/// Something counted, and how far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted<T> {
    /// What was counted.
    pub value: T,
    /// How many match, as far as counted.
    pub matches: u64,
    /// Whether there may be more than `matches`.
    pub at_least: bool,
    /// Rows that were looked at one by one; 0: counters knew.
    pub scanned: u64,
    /// Whether all was counted; else `next` says where to go on.
    pub complete: bool,
    /// Where to go on, as [`Budget::after`]; what is counted then is to be added.
    pub next: Option<Position>,
    /// The newest delivery that was counted.
    pub indexed_to: Seq,
}

impl<T> Counted<T> {
    /// The same about another value.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Counted<U> {
        Counted {
            value: make(self.value),
            matches: self.matches,
            at_least: self.at_least,
            scanned: self.scanned,
            complete: self.complete,
            next: self.next,
            indexed_to: self.indexed_to,
        }
    }
}

/// What a histogram is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Over {
    /// About how many buckets (1 to [`BUCKETS_MAX`]); their width is the next larger of a fixed set, 1 s to 30 d.
    pub buckets: usize,
    /// Where the time ends if the query does not say; where it begins is then the oldest delivery.
    pub now: Timestamp,
}

/// Counts over the time of receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// Seconds of a bucket.
    pub width_seconds: i64,
    /// First moment of the time that was counted.
    pub from: Timestamp,
    /// Last moment of it.
    pub to: Timestamp,
    /// Every bucket in order, empty ones too. The first begins at or before `from`.
    pub buckets: Vec<Bucket>,
}

/// One bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Its first moment.
    pub start: Timestamp,
    /// How many of each outcome, in the order of [`Outcome::ALL`].
    pub counts: [u64; Outcome::ALL.len()],
}

impl Bucket {
    /// How many of one outcome.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> u64 {
        let mut both = Outcome::ALL.iter().zip(self.counts);
        both.find(|(each, _)| **each == outcome)
            .map_or(0, |(_, count)| count)
    }

    /// How many in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// What a facet goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FacetKey {
    /// What became of it.
    Outcome,
    /// Webhook.
    Webhook,
    /// Provider.
    Provider,
    /// Name of the event.
    Event,
    /// Error code.
    Code,
    /// Status of the answer.
    Status,
    /// Method of the request.
    Method,
    /// Roles of related resources; an event with several counts for each.
    Role,
    /// Id of the resource.
    Resource,
    /// Address of the client.
    Ip,
}

impl FacetKey {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::Outcome,
        Self::Webhook,
        Self::Provider,
        Self::Event,
        Self::Code,
        Self::Status,
        Self::Method,
        Self::Role,
        Self::Resource,
        Self::Ip,
    ];

    /// Its key in the grammar; of `role` there is none, since `related.<role>:` is one for each.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outcome => "outcome",
            Self::Webhook => "webhook",
            Self::Provider => "provider",
            Self::Event => "event",
            Self::Code => "code",
            Self::Status => "status",
            Self::Method => "method",
            Self::Role => "role",
            Self::Resource => "resource",
            Self::Ip => "ip",
        }
    }

    /// The facet of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.as_str() == text)
    }
}

/// The values of one facet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facet {
    /// What it goes by.
    pub key: FacetKey,
    /// The most frequent ones, most frequent first, then by name.
    pub values: Vec<FacetValue>,
    /// How many values are not listed.
    pub more: u64,
    /// Whether there may be more of each.
    pub at_least: bool,
}

/// One value of a facet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FacetValue {
    /// As it is; as a term `key:"value"`.
    pub value: String,
    /// How many have it.
    pub count: u64,
}

/// A term of a query, and what it would find alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermCount {
    /// The part of the query, printed.
    pub term: String,
    /// The query without it.
    pub without: String,
    /// How many match it alone.
    pub alone: Counted<()>,
}

/// Each part that must match, with how many match it alone: which of them finds nothing? A query of one part gives
/// that one.
///
/// # Errors
/// When the store fails.
pub fn count_terms(
    feed: &dyn super::Feed,
    what: What,
    query: &Query,
    budget: Budget,
) -> Result<Vec<TermCount>, super::FeedError> {
    let parts = match query.root() {
        Some(Expr::All(parts)) => parts.as_slice(),
        Some(only) => std::slice::from_ref(only),
        None => &[],
    };
    let mut counts = Vec::new();
    for (i, part) in parts.iter().enumerate().take(TERMS_MAX) {
        let others = parts.iter().enumerate().filter(|(j, _)| *j != i);
        let others: Vec<Expr> = others.map(|(_, other)| other.clone()).collect();
        let without = if others.is_empty() {
            String::new()
        } else {
            Query::from(Expr::all(others)).to_string()
        };
        let alone = Query::from(part.clone());
        counts.push(TermCount {
            term: alone.to_string(),
            without,
            alone: feed.count(what, &alone, budget)?,
        });
    }
    Ok(counts)
}
