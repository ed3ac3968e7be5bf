//! From a request to events: static and expression definitions, templates, CloudEvents. Sync, pure, bounded.
//!
//! A template whose text is JSON cannot be broken or taken over by what is in a request: values are
//! escaped by where they are printed.

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
    /// Whether an event without payload gets `{method, headers, body}`.
    pub default_payload: bool,
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
}

/// What translation made of a request.
#[derive(Debug, Clone, Default)]
pub struct Translated {
    /// Complete, valid events; none: ignored.
    pub events: Vec<Event>,
    /// Each event's own key, where the mode has one (CloudEvents: source and id).
    pub item_keys: Option<Vec<String>>,
    /// What is worth knowing.
    pub notes: Vec<Note>,
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
    pub fn translate(&self, _scope: &Scope<'_>) -> Result<Translated, Failure> {
        unimplemented!()
    }
}

/// Options of `cloudevents = …`.
#[derive(Debug, Clone)]
pub struct CloudEventsOptions {
    /// Whether header values are percent-decoded, as the HTTP binding demands.
    pub percent_decode: bool,
}

/// A compiled template.
#[derive(Debug)]
pub struct Template {}

impl Template {
    /// Compiles the text of a template that prints events as JSON. `file` is its name in errors.
    ///
    /// # Errors
    /// Syntax, unknown filters, tests and functions, with line, column and the line's text.
    pub fn compile(_file: &str, _source: String) -> Result<Self, Problem> {
        unimplemented!()
    }

    /// Renders plain text (a webhook's `response.body`), nothing escaped.
    ///
    /// # Errors
    /// As a translation.
    pub fn render_text(&self, _scope: &Scope<'_>) -> Result<String, Problem> {
        unimplemented!()
    }
}

/// A compiled event definition.
#[derive(Debug)]
pub struct Definition {}

impl Definition {
    /// Compiles a table whose strings may hold expressions. `place` finds the place of a path such as
    /// `["resource", "prefect.resource.id"]` in the configuration, for errors.
    ///
    /// # Errors
    /// Every string that does not compile, and every field that cannot be one of an event.
    pub fn compile(
        _table: &serde_json::Map<String, serde_json::Value>,
        _place: &dyn Fn(&[&str]) -> Option<crate::model::Place>,
    ) -> Result<Self, Vec<Problem>> {
        unimplemented!()
    }
}

/// A compiled expression: `when`, `delivery_key`.
#[derive(Debug)]
pub struct Expression {}

impl Expression {
    /// Compiles an expression such as `body.type == 'order.created'`. `file` is its name in errors.
    ///
    /// # Errors
    /// Syntax, with the column in the expression's text.
    pub fn compile(_file: &str, _source: &str) -> Result<Self, Problem> {
        unimplemented!()
    }

    /// Its value; undefined is `None`.
    ///
    /// # Errors
    /// When it fails or uses up its budget.
    pub fn evaluate(&self, _scope: &Scope<'_>) -> Result<Option<serde_json::Value>, Problem> {
        unimplemented!()
    }

    /// Whether its value is true in Jinja's sense.
    ///
    /// # Errors
    /// When it fails or uses up its budget.
    pub fn is_true(&self, _scope: &Scope<'_>) -> Result<bool, Problem> {
        unimplemented!()
    }
}
