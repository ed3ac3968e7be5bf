//! A table read key by key: keys that nobody asked for are unknown, those that are missed are named.

use super::document::{Context, nearest};
use super::value::Value;
use crate::codes;
use std::cell::RefCell;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A table that is read key by key; what nobody asked for is an unknown key.
pub(super) struct Table<'a, 't, 'c> {
    cx: &'c Context,
    /// Name for messages; empty at the top.
    name: String,
    table: &'a DeTable<'t>,
    /// Where the table stands.
    pub(super) span: Range<usize>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a, 't, 'c> Table<'a, 't, 'c> {
    pub(super) fn new(
        cx: &'c Context,
        name: String,
        table: &'a DeTable<'t>,
        span: Range<usize>,
    ) -> Self {
        Self {
            cx,
            name,
            table,
            span,
            asked: RefCell::default(),
        }
    }

    /// The value of a key, if it is there. The key is known from now on.
    pub(super) fn get(&self, key: &'static str) -> Option<Value<'a, 't>> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        let (k, v) = self.table.get_key_value(key)?;
        Some(self.value(key, k, v))
    }

    /// Every entry, for tables whose keys are the owner's.
    pub(super) fn entries(&self) -> Vec<(&'a str, Value<'a, 't>)> {
        self.table
            .iter()
            .map(|(k, v)| (k.get_ref().as_ref(), self.value(k.get_ref(), k, v)))
            .collect()
    }

    fn value(
        &self,
        key: &str,
        k: &Spanned<std::borrow::Cow<'t, str>>,
        v: &'a Spanned<DeValue<'t>>,
    ) -> Value<'a, 't> {
        let name = match self.name.as_str() {
            "" | "webhook" | "sink" | "view" | "server" | "store" | "webhook.test" => {
                key.to_owned()
            }
            parent => format!("{parent}.{key}"),
        };
        Value {
            name,
            key_span: k.span(),
            span: v.span(),
            value: v.get_ref(),
        }
    }

    /// The value of a key that must be there.
    pub(super) fn require(&self, key: &'static str, help: &str) -> Option<Value<'a, 't>> {
        let value = self.get(key);
        if value.is_none() {
            let what = match self.name.as_str() {
                "" => "the file".to_owned(),
                name @ ("webhook" | "sink" | "view" | "webhook.test") => format!("[[{name}]]"),
                name => format!("`{name}`"),
            };
            let message = format!("{what} lacks the key `{key}`");
            self.cx
                .error_help(codes::MISSING_KEY, self.head(), message, help);
        }
        value
    }

    /// A key that a later version may know: an error says so, instead of silence.
    pub(super) fn not_yet(&self, key: &'static str) {
        if let Some((k, _)) = self.table.get_key_value(key) {
            self.asked.borrow_mut().push(key);
            let message = format!("`{key}` is not supported yet in this version");
            self.cx.error_help(
                codes::UNKNOWN_KEY,
                k.span(),
                message,
                "remove it; nothing is read of it",
            );
        }
    }

    /// Reports what nobody asked for.
    pub(super) fn finish(self) {
        let asked = self.asked.borrow();
        for (key, _) in self.table {
            let name = key.get_ref().as_ref();
            if asked.contains(&name) {
                continue;
            }
            let place = match self.name.as_str() {
                "" => "in this file".to_owned(),
                table @ ("server" | "store") => format!("in [{table}]"),
                list @ ("sink" | "view" | "webhook" | "webhook.test") => format!("in [[{list}]]"),
                other => format!("in `{other}`"),
            };
            let message = format!("unknown key `{name}` {place}");
            let help = match nearest(name, asked.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", asked.join(", ")),
            };
            self.cx
                .error_help(codes::UNKNOWN_KEY, key.span(), message, help);
        }
    }

    /// The table's header or opening brace, for what is missing in it.
    fn head(&self) -> Range<usize> {
        self.span.clone()
    }
}
