//! Whether something matches, also where not all of it is known.

use super::{Expr, Has, Is, LabelField, Number, Pattern, SinkState, SinkView, Term};
use super::{TextField, TimeField, UuidField, Words};
use crate::model::event::{RESOURCE_ID, RESOURCE_ROLE};
use crate::model::{Delivery, Event, Headers, Labels, Outcome, Position, Seq};
use jiff::Timestamp;
use serde_json::Value;
use std::cell::OnceCell;

/// Headers that a delivery's own record holds: no request is read for them.
pub(crate) const SUMMARY_HEADERS: &[&str] = &["content-type", "user-agent"];
/// What the request of `hookgate send` says of its sender.
const TEST_SENDER: &str = "hookgate-send";
/// Values of one payload that free text looks at.
const SCALARS_MAX: usize = 100_000;

/// What records do not hold.
pub trait Known {
    /// The headers of the delivery's request; none: they are not known (any more).
    fn headers(&self) -> Option<Headers>;
    /// The sinks as they are now.
    fn sinks(&self) -> &[SinkView];
}

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

/// What a query looks at.
pub struct Subject<'a> {
    event: Option<&'a Event>,
    delivery: &'a Delivery,
    seq: Option<Seq>,
    index: u32,
    known: Option<&'a dyn Known>,
    payload: OnceCell<Option<Value>>,
    headers: OnceCell<Option<Headers>>,
}

impl<'a> Subject<'a> {
    /// An event, or a delivery without events, and its place in the log, if it has one.
    #[must_use]
    pub fn new(event: Option<&'a Event>, delivery: &'a Delivery, seq: Option<Seq>) -> Self {
        Self {
            event,
            delivery,
            seq,
            index: 0,
            known: None,
            payload: OnceCell::new(),
            headers: OnceCell::new(),
        }
    }

    /// With the event's index in its delivery and what records do not hold.
    #[must_use]
    pub fn with(mut self, index: u32, known: &'a dyn Known) -> Self {
        self.index = index;
        self.known = Some(known);
        self
    }

    pub(super) fn delivery(&self) -> &Delivery {
        self.delivery
    }

    fn payload(&self) -> Option<&Value> {
        let read = || serde_json::from_str(self.event?.payload.get()).ok();
        self.payload.get_or_init(read).as_ref()
    }

    fn text(&self, field: TextField, fits: impl Fn(&str) -> bool) -> bool {
        let delivery = self.delivery;
        let request = delivery.request.as_ref();
        match field {
            TextField::Event => self.event.is_some_and(|e| fits(&e.event)),
            TextField::Resource => self.event.is_some_and(|e| fits(e.resource_id())),
            TextField::Webhook => delivery.webhook.as_deref().is_some_and(fits),
            TextField::Provider => delivery.provider.as_deref().is_some_and(fits),
            TextField::Key => delivery.key.as_deref().is_some_and(fits),
            TextField::Code => delivery.code.is_some_and(|c| fits(&c.to_string())),
            TextField::Method => request.is_some_and(|r| fits(&r.method)),
            TextField::Ip => request.is_some_and(|r| fits(&r.peer.to_string())),
        }
    }

    fn label(&self, field: &LabelField, fits: impl Fn(&str) -> bool) -> bool {
        let Some(event) = self.event else {
            return false;
        };
        let id = |labels: &Labels| labels.get(RESOURCE_ID).is_some_and(|id| fits(id));
        match field {
            LabelField::Resource(name) => event.resource.get(name).is_some_and(|v| fits(v)),
            LabelField::Related => event.related.iter().any(id),
            LabelField::Role(role) => {
                let mut related = event.related.iter();
                related.any(|labels| labels.get(RESOURCE_ROLE) == Some(role) && id(labels))
            }
        }
    }

    fn header(&self, name: &str, fits: impl Fn(&str) -> bool) -> bool {
        let request = self.delivery.request.as_ref();
        match name {
            "content-type" => request
                .and_then(|r| r.content_type.as_deref())
                .is_some_and(fits),
            "user-agent" => request
                .and_then(|r| r.user_agent.as_deref())
                .is_some_and(fits),
            _ => {
                let read = || self.known.and_then(Known::headers);
                self.headers
                    .get_or_init(read)
                    .as_ref()
                    .is_some_and(|headers| {
                        let mut values = headers.all(name);
                        values.any(|value| fits(&crate::model::request::header_text(value)))
                    })
            }
        }
    }

    fn words(&self, words: &Words) -> bool {
        let mut found = false;
        each_text(self.event, self.delivery, self.payload(), &mut |text| {
            found = words.are_in(text);
            !found
        });
        found
    }

    /// Whether it has a part.
    pub(crate) fn has(&self, part: Has) -> bool {
        let delivery = self.delivery;
        match part {
            Has::Follows => self.event.is_some_and(|e| e.follows.is_some()),
            Has::Related => self.event.is_some_and(|event| {
                let mut roles = event.related.iter().map(|labels| labels.get(RESOURCE_ROLE));
                roles.any(|role| role.is_some_and(|role| role != "webhook"))
            }),
            Has::Key => delivery.key.is_some(),
            Has::Error => delivery.code.is_some() || delivery.error.is_some(),
            Has::Notes => !delivery.notes.is_empty(),
            Has::Payload => self.event.is_some_and(|event| {
                let text = event.payload.get();
                text.chars().filter(|c| !c.is_whitespace()).nth(2).is_some()
            }),
        }
    }

    /// Whether it is such.
    pub(crate) fn is(&self, what: Is) -> bool {
        let request = self.delivery.request.as_ref();
        match what {
            Is::Duplicate => self.delivery.outcome == Outcome::Duplicate,
            Is::Replayed => self.delivery.replay_of.is_some(),
            Is::Test => request
                .and_then(|request| request.user_agent.as_deref())
                .is_some_and(|agent| agent.starts_with(TEST_SENDER)),
        }
    }

    fn sink(&self, name: Option<&str>, any: &[SinkState]) -> bool {
        let (Some(event), Some(seq), Some(known)) = (self.event, self.seq, self.known) else {
            return false;
        };
        let position = Position {
            seq,
            index: self.index,
        };
        let mut sinks = known.sinks().iter();
        sinks.any(|sink| {
            name.is_none_or(|name| name == sink.name)
                && any
                    .iter()
                    .any(|state| sink.is(*state, event, self.delivery, position))
        })
    }
}

impl Term {
    pub(super) fn matches(&self, subject: &Subject<'_>) -> bool {
        let (event, delivery) = (subject.event, subject.delivery);
        let fits = |any: &[Pattern], text: &str| any.iter().any(|pattern| pattern.matches(text));
        match self {
            Self::Text(field, any) => subject.text(*field, |text| fits(any, text)),
            Self::Label(field, any) => subject.label(field, |text| fits(any, text)),
            Self::Header(name, any) => subject.header(name, |text| fits(any, text)),
            Self::Payload(path, any) => subject.payload().is_some_and(|payload| {
                each_at(payload, path, &mut |value| {
                    any.iter().any(|p| value_fits(p, value))
                })
            }),
            Self::Amount(path, range) => subject.payload().is_some_and(|payload| {
                let within = |value: &Value| value.as_f64().is_some_and(|n| range.contains(n));
                each_at(payload, path, &mut { within })
            }),
            Self::Words(words) => subject.words(words),
            Self::Outcome(any) => any.contains(&delivery.outcome),
            Self::Uuid(UuidField::Event, any) => event.is_some_and(|e| any.contains(&e.id)),
            Self::Uuid(UuidField::Delivery, any) => any.contains(&delivery.id),
            Self::Uuid(UuidField::Follows, any) => event
                .and_then(|e| e.follows)
                .is_some_and(|id| any.contains(&id)),
            Self::Seq(any) => subject
                .seq
                .and_then(|seq| i64::try_from(seq).ok())
                .is_some_and(|seq| any.iter().any(|range| range.contains(seq))),
            Self::Status(any) => any.iter().any(|r| r.contains(i64::from(delivery.status))),
            Self::Time(TimeField::Received, range) => range.contains(micros(delivery.received)),
            Self::Time(TimeField::Occurred, range) => {
                event.is_some_and(|e| range.contains(micros(e.occurred)))
            }
            Self::Has(any) => any.iter().any(|part| subject.has(*part)),
            Self::Is(any) => any.iter().any(|what| subject.is(*what)),
            Self::Sink(name, any) => subject.sink(name.as_deref(), any),
        }
    }
}

/// A scalar of a payload as the text that a pattern is compared with.
pub(crate) fn scalar_text(value: &Value) -> Option<std::borrow::Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.into()),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(true) => Some("true".into()),
        Value::Bool(false) => Some("false".into()),
        Value::Null => Some("null".into()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn value_fits(pattern: &Pattern, value: &Value) -> bool {
    if let (Value::Number(number), Some(text)) = (value, pattern.as_exact())
        && let (Some(found), Some(want)) = (number.as_f64(), Number::parse(text))
    {
        // 5 is 5.0; numbers that a float cannot tell apart are told apart by their text.
        return text == number.to_string() || (found - want.get() == 0.0 && found.abs() < 9e15);
    }
    scalar_text(value).is_some_and(|text| pattern.matches(&text))
}

/// Whether `test` holds for a scalar at a path; a list stands for each of its items.
pub(crate) fn each_at(
    value: &Value,
    path: &[String],
    test: &mut impl FnMut(&Value) -> bool,
) -> bool {
    match (value, path.split_first()) {
        (Value::Object(map), Some((key, rest))) => {
            map.get(key).is_some_and(|inner| each_at(inner, rest, test))
        }
        (Value::Array(items), Some((key, rest))) => match key.parse::<usize>() {
            Ok(index) => items
                .get(index)
                .is_some_and(|inner| each_at(inner, rest, test)),
            Err(_) => items.iter().any(|inner| each_at(inner, path, test)),
        },
        (Value::Array(items), None) => items.iter().any(|inner| each_at(inner, path, test)),
        (Value::Object(_), None) => false,
        (_, Some(_)) => false,
        (scalar, None) => test(scalar),
    }
}

/// Shows every text that free text looks at, until `see` says false: an event's name, the labels of its resource and
/// the values of its payload; of a delivery without events its webhook, key and error.
pub(crate) fn each_text(
    event: Option<&Event>,
    delivery: &Delivery,
    payload: Option<&Value>,
    see: &mut dyn FnMut(&str) -> bool,
) {
    let Some(event) = event else {
        let error = delivery.error.as_ref().map(|error| error.message.as_str());
        let texts = [delivery.webhook.as_deref(), delivery.key.as_deref(), error];
        let _ = texts.into_iter().flatten().all(see);
        return;
    };
    let labels = event.resource.values().map(String::as_str);
    if !std::iter::once(event.event.as_str())
        .chain(labels)
        .all(&mut *see)
    {
        return;
    }
    if let Some(payload) = payload {
        let mut left = SCALARS_MAX;
        each_scalar(payload, &mut left, see);
    }
}

fn each_scalar(value: &Value, left: &mut usize, see: &mut dyn FnMut(&str) -> bool) -> bool {
    match value {
        Value::Object(map) => map.values().all(|inner| each_scalar(inner, left, see)),
        Value::Array(items) => items.iter().all(|inner| each_scalar(inner, left, see)),
        Value::Null => true,
        scalar => {
            *left = left.saturating_sub(1);
            *left > 0 && scalar_text(scalar).is_none_or(|text| see(&text))
        }
    }
}
