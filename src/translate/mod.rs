//! From a request to events: static and expression definitions, templates, CloudEvents. Sync, pure, bounded.
//!
//! A template whose text is JSON cannot be broken or taken over by what is in a request: values are
//! escaped by where they are printed.

mod aliases;
mod blocks;
mod body;
mod cloudevents;
mod env;
mod expression;
mod faults;
mod filters;
mod fixed;
mod hidden;
mod input;
pub(crate) mod json;
mod keys;
mod marks;
mod names;
mod number;
mod problem;
mod rewrite;
mod schema;
mod sink;
mod template;
mod text;
mod tokens;
mod undefined;
mod value;

pub use expression::Expression;
pub use fixed::Definition;
pub use input::ParsedBody;
pub use keys::{bounded, whole};
pub use template::Template;

use crate::model::{Event, Note, Problem, Request, http_file::Masking};

/// What a request is translated in: its own data, and what the webhook says beside the template.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The request.
    pub request: &'a Request,
    /// Name of the webhook.
    pub webhook: &'a str,
    /// What must not be seen by templates and default payloads.
    pub masking: &'a Masking,
    /// The delivery's key by the webhook's rule.
    pub keys: &'a Keys,
    /// Whether an event may carry a key of its own, which wins then.
    pub own_keys: bool,
    /// Whether an event without payload gets `{method, headers, body}`.
    pub default_payload: bool,
    /// The request's body as a value. One for a request, so that its expressions and its template read it once.
    pub body: &'a ParsedBody,
}

/// Delivery keys of one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Keys {
    /// The sender has none.
    #[default]
    None,
    /// One for the whole delivery.
    Delivery(String),
    /// One for each event (batches, CloudEvents).
    PerEvent(Vec<String>),
    /// One for each item of the body, of which the events are still to be made.
    PerItem(Vec<ItemKey>),
}

/// The key of one item of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemKey {
    /// The key.
    pub key: String,
    /// A text of the item's own, which an event made of it may show.
    pub witness: String,
}

/// What a CloudEvent brought, where a mapping of the webhook's own may hide it: tells a duplicate with other content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// `type`.
    pub kind: String,
    /// The data as JSON text, or base64.
    pub data: String,
}

/// What translation made of a request.
#[derive(Debug, Clone, Default)]
pub struct Translated {
    /// Complete, valid events; none: ignored.
    pub events: Vec<Event>,
    /// The keys that count, now that the events are known: the scope's, or each event's own.
    pub keys: Keys,
    /// What each event was made of, where the event does not show it.
    pub contents: Vec<Content>,
    /// What is worth knowing.
    pub notes: Vec<Note>,
    /// What it read that the request has not; a note tells of each.
    pub undefined: Vec<Problem>,
}

/// Something that was read of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// Where it is read first.
    pub place: Option<crate::model::Place>,
    /// As it is written there, such as `body.repository.name`.
    pub path: String,
    /// The beginning of its text.
    pub value: String,
}

/// Why a request cannot be translated. The delivery is parked with it.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What, where, why, what to do.
    pub problem: Problem,
    /// Whether the answer is 415 (the request is no CloudEvent) instead of 400.
    pub unsupported_type: bool,
}

/// How a webhook's requests become events, compiled.
#[derive(Debug)]
pub enum Translator {
    /// A table of TOML with expressions in its strings.
    Definition(Definition),
    /// A Jinja template that prints JSON.
    Template(Template),
    /// CloudEvents decoding.
    CloudEvents(CloudEventsOptions),
}

impl Translator {
    /// Translates a request.
    ///
    /// # Errors
    /// What the template, the CloudEvent or the resulting event breaks, with its place.
    pub fn translate(&self, scope: &Scope<'_>) -> Result<Translated, Failure> {
        match self {
            Self::Definition(definition) => definition.translate(scope),
            Self::Template(template) => template.translate(scope),
            Self::CloudEvents(options) => cloudevents::translate(options, scope),
        }
    }
}

/// Options of `cloudevents = …`.
#[derive(Debug)]
pub struct CloudEventsOptions {
    /// Whether header values are percent-decoded, as the HTTP binding demands.
    pub percent_decode: bool,
    /// Fields of the event that are made another way than the mapping says. What gives nothing leaves it.
    pub overrides: Option<Definition>,
}

impl Default for CloudEventsOptions {
    fn default() -> Self {
        Self {
            percent_decode: true,
            overrides: None,
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            unsupported_type: false,
        }
    }
}

impl Translator {
    /// What it reads of a request, and what that was. Nothing for CloudEvents, which read all.
    #[must_use]
    pub fn trace(&self, scope: &Scope<'_>) -> Vec<Traced> {
        match self {
            Self::Definition(definition) => definition.trace(scope),
            Self::Template(template) => template.trace(scope),
            Self::CloudEvents(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
