//! Typed reading of one value. What it is not becomes a finding at its place.

use super::document::{Context, nearest};
use super::table::Table;
use crate::codes;
use crate::model::{Place, Problem};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeValue};

/// A value with its key's name and places.
#[derive(Clone)]
pub(super) struct Value<'a, 't> {
    /// Name for messages, such as `listen` or `batch.events`.
    pub(super) name: String,
    /// Where the key stands (the value, for items of a list).
    pub(super) key_span: Range<usize>,
    /// Where the value stands.
    pub(super) span: Range<usize>,
    /// The value.
    pub(super) value: &'a DeValue<'t>,
}

impl<'a, 't> Value<'a, 't> {
    /// What kind of value it is, in plain words.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }

    pub(super) fn wrong_type(&self, cx: &Context, wanted: &str) {
        let message = format!("`{}` must be {wanted}, not {}", self.name, self.kind());
        cx.error(codes::WRONG_TYPE, self.span.clone(), message);
    }

    pub(super) fn invalid(&self, cx: &Context, why: impl std::fmt::Display) {
        let message = format!("`{}`: {why}", self.name);
        cx.error(codes::INVALID_VALUE, self.span.clone(), message);
    }

    pub(super) fn invalid_help(&self, cx: &Context, why: &str, help: impl Into<String>) {
        let message = format!("`{}`: {why}", self.name);
        cx.error_help(codes::INVALID_VALUE, self.span.clone(), message, help);
    }

    pub(super) fn text(&self, cx: &Context) -> Option<&'a str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.wrong_type(cx, "text");
        }
        text
    }

    /// Text that says something.
    pub(super) fn filled(&self, cx: &Context) -> Option<&'a str> {
        let text = self.text(cx)?;
        if text.trim().is_empty() {
            self.invalid(cx, "cannot be empty");
            return None;
        }
        Some(text)
    }

    pub(super) fn bool(&self, cx: &Context) -> Option<bool> {
        let value = self.value.as_bool();
        if value.is_none() {
            self.wrong_type(cx, "true or false");
        }
        value
    }

    /// A whole number within a range.
    pub(super) fn integer(
        &self,
        cx: &Context,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let Some(number) = self.value.as_integer() else {
            self.wrong_type(cx, "a whole number");
            return None;
        };
        let parsed = u64::from_str_radix(number.as_str(), number.radix()).ok();
        let within = parsed.filter(|n| range.contains(n));
        if within.is_none() {
            self.invalid(
                cx,
                format!("must be between {} and {}", range.start(), range.end()),
            );
        }
        within
    }

    /// A number, whole or not.
    pub(super) fn number(&self, cx: &Context) -> Option<f64> {
        let number = match self.value {
            DeValue::Integer(i) => i64::from_str_radix(i.as_str(), i.radix())
                .ok()
                .and_then(|n| i32::try_from(n).ok())
                .map(f64::from),
            DeValue::Float(f) => f.as_str().parse().ok(),
            DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.wrong_type(cx, "a number");
                return None;
            }
        };
        let number = number.filter(|n: &f64| n.is_finite());
        if number.is_none() {
            self.invalid(cx, "is out of range");
        }
        number
    }

    /// One of a few words.
    pub(super) fn choice(&self, cx: &Context, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text(cx)?;
        if let Some(word) = words.iter().find(|w| **w == text) {
            return Some(word);
        }
        let all = words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>();
        let why = format!("\"{text}\" is none of {}", all.join(", "));
        match nearest(text, words.iter().copied()) {
            Some(near) => self.invalid_help(cx, &why, format!("did you mean \"{near}\"?")),
            None => self.invalid(cx, why),
        }
        None
    }

    /// The items of a list.
    pub(super) fn items(&self, cx: &Context) -> Option<Vec<Value<'a, 't>>> {
        let Some(items) = self.value.as_array() else {
            self.wrong_type(cx, "a list");
            return None;
        };
        Some(self.list(items))
    }

    /// The tables of a list such as `[[webhook]]`.
    pub(super) fn tables(&self, cx: &Context) -> Vec<Value<'a, 't>> {
        if self.value.is_table() {
            let message = format!("`{}` is a list of tables", self.name);
            // `[[webhook.test]]` above the first `[[webhook]]` makes a table with nothing but `test`.
            let table = self.value.as_table();
            let only_tests = table.is_some_and(|t| t.len() == 1 && t.contains_key("test"));
            let help = if self.name == "webhook" && only_tests {
                "[[webhook.test]] belongs below the [[webhook]] that it tests".to_owned()
            } else {
                format!("write [[{}]], with two brackets on each side", self.name)
            };
            cx.error_help(codes::WRONG_TYPE, self.span.clone(), message, help);
            return Vec::new();
        }
        let mut items = self.items(cx).unwrap_or_default();
        for item in &mut items {
            item.name.clone_from(&self.name);
        }
        items
    }

    /// The items of a list, or the one value that is no list.
    pub(super) fn one_or_many(&self) -> Vec<Value<'a, 't>> {
        match self.value.as_array() {
            Some(items) => self.list(items),
            None => vec![self.clone()],
        }
    }

    fn list(&self, items: &'a DeArray<'t>) -> Vec<Value<'a, 't>> {
        let item = |(i, item): (usize, &'a Spanned<DeValue<'t>>)| Value {
            name: format!("{}[{i}]", self.name),
            key_span: item.span(),
            span: item.span(),
            value: item.get_ref(),
        };
        items.iter().enumerate().map(item).collect()
    }

    pub(super) fn table<'c>(&self, cx: &'c Context) -> Option<Table<'a, 't, 'c>> {
        let Some(table) = self.value.as_table() else {
            self.wrong_type(cx, "a table");
            return None;
        };
        Some(Table::new(cx, self.name.clone(), table, self.span.clone()))
    }

    /// Where a byte range of the value's text stands in the file; `None` where escapes make it differ.
    pub(super) fn inner_span(&self, cx: &Context, range: Range<usize>) -> Option<Range<usize>> {
        let text = self.value.as_str()?;
        let raw = cx.text().get(self.span.clone())?;
        let quote = ["\"\"\"", "'''", "\"", "'"]
            .into_iter()
            .find(|quote| raw.starts_with(quote))?;
        let content = raw.strip_prefix(quote)?.strip_suffix(quote)?;
        // A newline right after the opening quotes is not part of the text.
        let trimmed = match content.strip_prefix("\r\n").or(content.strip_prefix('\n')) {
            Some(trimmed) if quote.len() == 3 => trimmed,
            _ => content,
        };
        let start = self.span.start + quote.len() + (content.len() - trimmed.len());
        (trimmed == text).then(|| start + range.start..start + range.end)
    }

    /// Where the value's text begins in the file; `None` where escapes make the two differ.
    pub(super) fn origin(&self, cx: &Context) -> Option<Place> {
        let span = self.inner_span(cx, 0..1)?;
        Some(cx.place(span))
    }

    /// The character at `column` (from 1) of a one-line text; the whole value where escapes hide it.
    pub(super) fn column_span(&self, cx: &Context, text: &str, column: usize) -> Range<usize> {
        let at = text
            .char_indices()
            .nth(column.saturating_sub(1))
            .map_or(text.len(), |(at, _)| at);
        self.inner_span(cx, at..(at + 1).min(text.len()).max(at))
            .unwrap_or_else(|| self.span.clone())
    }

    /// Moves a problem in the value's text to its place in the file.
    pub(super) fn relocate(&self, cx: &Context, mut problem: Problem) -> Problem {
        let text = self.value.as_str().unwrap_or("");
        let inner = problem.place.as_ref().and_then(|place| {
            let start = offset(text, place.line, place.column)?;
            let end = offset(
                text,
                place.line,
                place.end_column.unwrap_or(place.column + 1),
            );
            self.inner_span(cx, start..end.unwrap_or(start + 1))
        });
        if let (None, Some(place)) = (&inner, &problem.place) {
            problem.message = format!(
                "{} (line {}, column {} of the text)",
                problem.message, place.line, place.column
            );
        }
        problem.at(cx.place(inner.unwrap_or_else(|| self.span.clone())))
    }

    /// The value as JSON. Times become text; numbers keep their digits.
    pub(super) fn json(&self, cx: &Context) -> Option<serde_json::Value> {
        let json = to_json(self.value);
        if json.is_none() {
            self.invalid(cx, "holds a number that JSON cannot hold");
        }
        json
    }
}

/// Byte offset of a line and column, both from 1.
fn offset(text: &str, line: u32, column: u32) -> Option<usize> {
    let line = usize::try_from(line).ok()?.checked_sub(1)?;
    let column = usize::try_from(column).ok()?.checked_sub(1)?;
    let mut start = 0;
    for _ in 0..line {
        start += text.get(start..)?.find('\n')? + 1;
    }
    let rest = text.get(start..)?;
    let at = rest.char_indices().nth(column).map(|(at, _)| at);
    Some(start + at.unwrap_or(rest.len()))
}

fn to_json(value: &DeValue<'_>) -> Option<serde_json::Value> {
    Some(match value {
        DeValue::String(text) => serde_json::Value::String(text.to_string()),
        DeValue::Integer(i) => i64::from_str_radix(i.as_str(), i.radix()).ok()?.into(),
        DeValue::Float(f) => serde_json::Number::from_f64(f.as_str().parse::<f64>().ok()?)?.into(),
        DeValue::Boolean(b) => (*b).into(),
        DeValue::Datetime(time) => serde_json::Value::String(time.to_string()),
        DeValue::Array(items) => items
            .iter()
            .map(|item| to_json(item.get_ref()))
            .collect::<Option<Vec<_>>>()?
            .into(),
        DeValue::Table(table) => {
            let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
                let key: &std::borrow::Cow<'_, str> = key.get_ref();
                Some((key.to_string(), to_json(value.get_ref())?))
            };
            let map = table
                .iter()
                .map(entry)
                .collect::<Option<serde_json::Map<_, _>>>()?;
            map.into()
        }
    })
}
