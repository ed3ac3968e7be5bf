//! A query as a tree. Other modules read it to make a plan of it.

use super::amount::Amounts;
use super::words::Words;
use super::{Has, Is, Pattern, SinkState};
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
    /// A label of a resource fits one of the patterns.
    Label(LabelField, Vec<Pattern>),
    /// A value at a path of the payload fits one of the patterns; lists on the way stand for each of their items.
    Payload(Vec<String>, Vec<Pattern>),
    /// A number at a path of the payload lies in the range.
    Amount(Vec<String>, Amounts),
    /// A header of the request, by its lower-case name, fits one of the patterns.
    Header(String, Vec<Pattern>),
    /// Words, one behind the other, are in a value of the event.
    Words(Words),
    /// The status of the answer is in one of the ranges.
    Status(Vec<Range>),
    /// It has one of these.
    Has(Vec<Has>),
    /// It is one of these.
    Is(Vec<Is>),
    /// A sink (none: any of them) has got one of these far with it.
    Sink(Option<String>, Vec<SinkState>),
}

/// Which labels a term looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LabelField {
    /// The label of that name of the event's own resource.
    Resource(String),
    /// `prefect.resource.id` of any related resource.
    Related,
    /// `prefect.resource.id` of a related resource in that role.
    Role(String),
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
    /// Method of the request.
    Method,
    /// Address of the client.
    Ip,
}

/// What an id term looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UuidField {
    /// Id of the event.
    Event,
    /// Id of the delivery.
    Delivery,
    /// Id of the event that this one follows.
    Follows,
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
            Self::Method => "method",
            Self::Ip => "ip",
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
            Self::Follows => "follows",
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
    /// The first part of its key in the grammar; empty: words without a key.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Text(field, _) => field.key(),
            Self::Outcome(_) => "outcome",
            Self::Uuid(field, _) => field.key(),
            Self::Seq(_) => "seq",
            Self::Time(field, _) => field.key(),
            Self::Label(LabelField::Resource(_), _) => "resource",
            Self::Label(LabelField::Related | LabelField::Role(_), _) => "related",
            Self::Payload(..) | Self::Amount(..) => "payload",
            Self::Header(..) => "header",
            Self::Words(_) => "",
            Self::Status(_) => "status",
            Self::Has(_) => "has",
            Self::Is(_) => "is",
            Self::Sink(..) => "sink",
        }
    }

    /// How many values it has.
    #[must_use]
    pub fn values(&self) -> usize {
        match self {
            Self::Text(_, any)
            | Self::Label(_, any)
            | Self::Payload(_, any)
            | Self::Header(_, any) => any.len(),
            Self::Outcome(any) => any.len(),
            Self::Uuid(_, any) => any.len(),
            Self::Seq(any) | Self::Status(any) => any.len(),
            Self::Has(any) => any.len(),
            Self::Is(any) => any.len(),
            Self::Sink(_, any) => any.len(),
            Self::Words(words) => words.len(),
            Self::Time(..) | Self::Amount(..) => 1,
        }
    }

    /// Whether an event can be asked without its delivery's request or the sinks: what a sink's own filter may hold.
    #[must_use]
    pub fn is_of_event(&self) -> bool {
        match self {
            Self::Sink(..) | Self::Seq(_) => false,
            Self::Header(name, _) => super::matcher::SUMMARY_HEADERS.contains(&name.as_str()),
            _ => true,
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
