//! `[[view]]`: searches with a name, so that a team shares them.

use super::document::Context;
use super::value::Value;
use crate::codes;
use crate::query::Query;
use jiff::Timestamp;
use std::collections::HashMap;

/// Views of one file at most.
const VIEWS_MAX: usize = 200;
/// Characters of a view's name at most.
const NAME_CHARS_MAX: usize = 80;

/// A search with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedView {
    /// Its name, which may have blanks.
    pub name: String,
    /// The query as written: relative times stay relative.
    pub query: String,
}

/// Reads every `[[view]]`.
pub(super) fn read_all(
    cx: &Context,
    value: Option<&Value<'_, '_>>,
    now: Timestamp,
) -> Vec<SavedView> {
    let items = value.map_or_else(Vec::new, |v| v.tables(cx));
    let mut names = HashMap::new();
    let mut views = Vec::new();
    for item in items {
        let Some(table) = item.table(cx) else {
            continue;
        };
        let name = table.require("name", "name = \"rejected today\", for example");
        let text = name.as_ref().and_then(|name| name.text(cx));
        if let (Some(name), Some(text)) = (&name, text) {
            let length = text.chars().count();
            if text.trim().is_empty() || length > NAME_CHARS_MAX || text.contains(char::is_control)
            {
                let message =
                    format!("a view's name has 1 to {NAME_CHARS_MAX} characters, on one line");
                cx.error(codes::INVALID_VALUE, name.span.clone(), message);
            } else if let Some(line) = names.insert(text.to_owned(), cx.line(name.span.start)) {
                let message = format!("the view `{text}` stands in line {line} already");
                let help = "give every view a name of its own";
                cx.error_help(codes::DUPLICATE_NAME, name.span.clone(), message, help);
            }
        }
        let query = table.require(
            "query",
            "query = \"outcome:rejected received:>-24h\", for example",
        );
        let query = query.and_then(|value| checked(cx, &value, now));
        if let (Some(name), Some(query)) = (text, query)
            && views.len() < VIEWS_MAX
        {
            views.push(SavedView {
                name: name.to_owned(),
                query,
            });
        }
        table.finish();
    }
    views
}

fn checked(cx: &Context, value: &Value<'_, '_>, now: Timestamp) -> Option<String> {
    let text = value.text(cx)?;
    let Err(error) = Query::parse(text, now) else {
        return Some(text.to_owned());
    };
    let span = value.column_span(cx, text, error.column);
    let message = format!("`query`: {}", error.message);
    match error.help {
        Some(help) => cx.error_help(codes::INVALID_VALUE, span, message, help),
        None => cx.error(codes::INVALID_VALUE, span, message),
    }
    None
}
