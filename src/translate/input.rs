//! What a template has in scope: the request, as far as the template names it.

use super::body::{self, Body};
use super::hidden;
use super::json::string_into;
use super::{Keys, Scope};
use crate::model::request::header_text;
use crate::model::{Note, time};
use bytes::Bytes;
use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use std::cell::OnceCell;
use std::collections::HashSet;
use std::sync::Arc;

/// Names in scope, for suggestions and checks.
pub(crate) const NAMES: [&str; 8] = [
    "method",
    "headers",
    "body",
    "query",
    "path",
    "webhook",
    "received",
    "delivery_key",
];
/// Where [`Original`] lies: no name of a template.
pub(crate) const ORIGINAL: &str = "\0request";

/// A request's body as a value, read when it is first asked for. Belongs to one request.
#[derive(Debug, Default)]
pub struct ParsedBody(OnceCell<Body>);

/// One request as templates see it.
pub(crate) struct Input<'a> {
    /// What it was made of.
    pub(crate) scope: &'a Scope<'a>,
}

impl<'a> Input<'a> {
    /// Nothing is read yet.
    pub(crate) fn new(scope: &'a Scope<'a>) -> Self {
        Self { scope }
    }

    /// The body, read now if it was not before.
    pub(crate) fn body(&self) -> &Body {
        self.scope.body.0.get_or_init(|| {
            let request = self.scope.request;
            let mut read = body::read(request);
            let tokens = &self.scope.masking.body;
            read.content = hidden::hide(read.content, tokens, &request.body);
            read
        })
    }

    /// Notes about the body, if it was read.
    pub(crate) fn notes(&self) -> Vec<Note> {
        self.scope
            .body
            .0
            .get()
            .map_or_else(Vec::new, |body| body.notes.clone())
    }

    /// The values of the names that are used.
    pub(crate) fn context(&self, used: &HashSet<String>) -> Context {
        let mut values: Vec<(&'static str, Value)> = NAMES
            .into_iter()
            .filter(|name| used.contains(*name))
            .map(|name| (name, self.value(name)))
            .collect();
        if used.contains(ORIGINAL) {
            let original = Original {
                body: self.scope.request.body.clone(),
                value: self.body().content.value(),
            };
            values.push((ORIGINAL, Value::from_object(original)));
        }
        Context { values }
    }

    fn value(&self, name: &str) -> Value {
        let request = self.scope.request;
        match name {
            "method" => Value::from(request.method.as_str()),
            "headers" => self.headers(),
            "body" => self.body().content.value(),
            "query" => self.query(),
            "path" => Value::from(self.scope.masking.path(&request.path)),
            "webhook" => Value::from_pairs([("name", self.scope.webhook)]),
            "received" => Value::from(time::to_rfc3339(request.received)),
            "delivery_key" => match self.scope.keys {
                Keys::None => Value::from(()),
                Keys::Delivery(key) => Value::from(key.as_str()),
                Keys::PerEvent(keys) => keys.iter().map(|k| Value::from(k.as_str())).collect(),
                Keys::PerItem(items) => items.iter().map(|i| Value::from(i.key.as_str())).collect(),
            },
            _ => Value::UNDEFINED,
        }
    }

    fn headers(&self) -> Value {
        let masking = self.scope.masking;
        let mut pairs: Vec<(String, Value)> = Vec::new();
        for (name, value) in self.scope.request.headers.iter() {
            // Of repeated lines the first counts, as in Starlette.
            if !masking.hides_header(name) && !pairs.iter().any(|(n, _)| n == name) {
                let value = masking.without_slugs(value);
                pairs.push((name.to_owned(), Value::from(header_text(&value))));
            }
        }
        Value::from_object(Headers(pairs))
    }

    fn query(&self) -> Value {
        let pairs = self.scope.request.query_pairs();
        Value::from_pairs(
            pairs
                .filter(|(name, _)| !self.scope.masking.hides_query(name))
                .map(|(name, value)| (Value::from(name), Value::from(value))),
        )
    }

    /// `{method, headers, body}` as JSON: what an event without payload gets.
    pub(crate) fn default_payload(&self) -> String {
        let request = self.scope.request;
        let mut out = String::with_capacity(request.body.len() + 1024);
        out.push_str("{\"method\":");
        string_into(&mut out, &request.method);
        out.push_str(",\"headers\":{");
        let mut seen: HashSet<&str> = HashSet::new();
        for (name, value) in request.headers.iter() {
            if self.scope.masking.hides_header(name) || !seen.insert(name) {
                continue;
            }
            if seen.len() > 1 {
                out.push(',');
            }
            string_into(&mut out, name);
            out.push(':');
            let value = self.scope.masking.without_slugs(value);
            string_into(&mut out, &header_text(&value));
        }
        out.push_str("},\"body\":");
        self.body().content.json_into(&mut out);
        out.push('}');
        out
    }
}

/// The names in scope as the root of a template's context.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    values: Vec<(&'static str, Value)>,
}

impl Context {
    /// Adds a name.
    pub(crate) fn with(mut self, name: &'static str, value: Value) -> Self {
        self.values.push((name, value));
        self
    }
}

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.values
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value.clone())
    }
}

/// Header lines: names in any case, iterated as received.
#[derive(Debug)]
struct Headers(Vec<(String, Value)>);

impl Object for Headers {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.0
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key))
            .map(|(_, value)| value.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(
            self.0
                .iter()
                .map(|(name, _)| Value::from(name.as_str()))
                .collect(),
        )
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.0.len())
    }
}

/// The request's body before it was parsed, for filters that decode it themselves.
#[derive(Debug)]
pub(crate) struct Original {
    /// The bytes.
    pub(crate) body: Bytes,
    /// What `body` is in the template.
    pub(crate) value: Value,
}

impl Object for Original {}
