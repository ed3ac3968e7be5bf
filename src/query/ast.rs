//! A query as a tree. Other modules read it to make a plan of it.

use super::Pattern;
use crate::model::Outcome;
use uuid::Uuid;

/// An expression. `All` and `Any` have two parts or more and none of their own kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// Every part matches.
    All(Vec<Expr>),
    /// At least one part matches.
    Any(Vec<Expr>),
    /// The part does not match.
    Not(Box<Expr>),
    /// One test.
    Term(Term),
}

/// One test of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// A text equals or fits one of the patterns.
    Text(TextField, Vec<Pattern>),
    /// The outcome is one of these.
    Outcome(Vec<Outcome>),
    /// An id is one of these.
    Uuid(UuidField, Vec<Uuid>),
    /// The sequence number is in one of the ranges.
    Seq(Vec<Range>),
    /// A time, in microseconds since the epoch, is in the range.
    Time(TimeField, Range),
}

/// What a text term looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextField {
    /// Name of the event.
    Event,
    /// `prefect.resource.id` of the event.
    Resource,
    /// Name of the webhook.
    Webhook,
    /// Name of the provider.
    Provider,
    /// Error code, `HG0312`.
    Code,
    /// The sender's delivery key.
    Key,
}

/// What an id term looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UuidField {
    /// Id of the event.
    Event,
    /// Id of the delivery.
    Delivery,
}

/// What a time term looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeField {
    /// When the delivery was received.
    Received,
    /// When the event occurred.
    Occurred,
}

/// A range; both ends belong to it, a missing end is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First value in it.
    pub from: Option<i64>,
    /// Last value in it.
    pub to: Option<i64>,
}

impl Range {
    /// Whether a value lies in it.
    #[must_use]
    pub fn contains(&self, value: i64) -> bool {
        self.from.is_none_or(|from| from <= value) && self.to.is_none_or(|to| value <= to)
    }
}

impl TextField {
    /// Its key in the grammar.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Resource => "resource",
            Self::Webhook => "webhook",
            Self::Provider => "provider",
            Self::Code => "code",
            Self::Key => "key",
        }
    }
}

impl UuidField {
    /// Its key in the grammar.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Event => "id",
            Self::Delivery => "delivery",
        }
    }
}

impl TimeField {
    /// Its key in the grammar.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Occurred => "occurred",
        }
    }
}

impl Term {
    /// Its key in the grammar.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Text(field, _) => field.key(),
            Self::Outcome(_) => "outcome",
            Self::Uuid(field, _) => field.key(),
            Self::Seq(_) => "seq",
            Self::Time(field, _) => field.key(),
        }
    }

    /// How many values it has.
    #[must_use]
    pub fn values(&self) -> usize {
        match self {
            Self::Text(_, any) => any.len(),
            Self::Outcome(any) => any.len(),
            Self::Uuid(_, any) => any.len(),
            Self::Seq(any) => any.len(),
            Self::Time(..) => 1,
        }
    }
}

impl Expr {
    /// All of the parts; one part is itself.
    #[must_use]
    pub fn all(parts: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::All(inner) => flat.extend(inner),
                Self::Any(_) | Self::Not(_) | Self::Term(_) => flat.push(part),
            }
        }
        single(flat, Self::All)
    }

    /// Any of the parts; one part is itself.
    #[must_use]
    pub fn any(parts: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::Any(inner) => flat.extend(inner),
                Self::All(_) | Self::Not(_) | Self::Term(_) => flat.push(part),
            }
        }
        single(flat, Self::Any)
    }

    pub(super) fn collect_terms<'a>(&'a self, into: &mut Vec<&'a Term>) {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                for part in parts {
                    part.collect_terms(into);
                }
            }
            Self::Not(part) => part.collect_terms(into),
            Self::Term(term) => into.push(term),
        }
    }

    pub(super) fn names_own(&self, positive: bool) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|p| p.names_own(positive)),
            Self::Not(part) => part.names_own(!positive),
            Self::Term(Term::Text(TextField::Event, any)) => {
                positive && any.iter().any(|p| p.prefix().starts_with("hookgate"))
            }
            Self::Term(_) => false,
        }
    }
}

fn single(mut parts: Vec<Expr>, make: fn(Vec<Expr>) -> Expr) -> Expr {
    if parts.len() == 1
        && let Some(only) = parts.pop()
    {
        return only;
    }
    make(parts)
}
