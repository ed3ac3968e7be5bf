//! Whether something matches, also where not all of it is known.

use super::{Expr, Term, TextField, TimeField, UuidField};
use crate::model::{Delivery, Event, Seq};
use jiff::Timestamp;

/// The unit in which times are compared: microseconds since the epoch.
#[must_use]
pub fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// What is known about a test: an index may not hold all that a term asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It does not match.
    No,
    /// Only the record itself can say.
    Maybe,
    /// It matches.
    Yes,
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }
}

impl Truth {
    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
            Self::Yes => Self::No,
        }
    }

    fn rank(self) -> u8 {
        match self {
            Self::No => 0,
            Self::Maybe => 1,
            Self::Yes => 2,
        }
    }
}

impl Expr {
    /// Joins what `test` says of each term.
    pub fn evaluate(&self, test: &impl Fn(&Term) -> Truth) -> Truth {
        match self {
            Self::All(parts) => {
                let mut least = Truth::Yes;
                for part in parts {
                    let truth = part.evaluate(test);
                    if truth == Truth::No {
                        return Truth::No;
                    }
                    least = if truth.rank() < least.rank() {
                        truth
                    } else {
                        least
                    };
                }
                least
            }
            Self::Any(parts) => {
                let mut most = Truth::No;
                for part in parts {
                    let truth = part.evaluate(test);
                    if truth == Truth::Yes {
                        return Truth::Yes;
                    }
                    most = if truth.rank() > most.rank() {
                        truth
                    } else {
                        most
                    };
                }
                most
            }
            Self::Not(part) => part.evaluate(test).not(),
            Self::Term(term) => test(term),
        }
    }
}

/// What a term looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) event: Option<&'a Event>,
    pub(super) delivery: &'a Delivery,
    pub(super) seq: Option<Seq>,
}

impl Term {
    pub(super) fn matches(&self, subject: &Subject<'_>) -> bool {
        let Subject {
            event,
            delivery,
            seq,
        } = subject;
        match self {
            Self::Text(field, any) => {
                let code;
                let text = match field {
                    TextField::Event => event.map(|e| e.event.as_str()),
                    TextField::Resource => event.map(Event::resource_id),
                    TextField::Webhook => delivery.webhook.as_deref(),
                    TextField::Provider => delivery.provider.as_deref(),
                    TextField::Key => delivery.key.as_deref(),
                    TextField::Code => {
                        code = delivery.code.map(|c| c.to_string());
                        code.as_deref()
                    }
                };
                text.is_some_and(|text| any.iter().any(|pattern| pattern.matches(text)))
            }
            Self::Outcome(any) => any.contains(&delivery.outcome),
            Self::Uuid(UuidField::Event, any) => event.is_some_and(|e| any.contains(&e.id)),
            Self::Uuid(UuidField::Delivery, any) => any.contains(&delivery.id),
            Self::Seq(any) => seq
                .and_then(|seq| i64::try_from(seq).ok())
                .is_some_and(|seq| any.iter().any(|range| range.contains(seq))),
            Self::Time(TimeField::Received, range) => range.contains(micros(delivery.received)),
            Self::Time(TimeField::Occurred, range) => {
                event.is_some_and(|e| range.contains(micros(e.occurred)))
            }
        }
    }
}
