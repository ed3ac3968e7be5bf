//! What stands in the file, value by value: for pages that show the running configuration.

use super::document::Context;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Values that are kept of a file.
const VALUES_MAX: usize = 20_000;
/// Characters that are kept of a value.
const VALUE_CHARS_MAX: usize = 400;
/// How deep tables are followed.
const DEPTH_MAX: usize = 8;

/// One value of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its path: `sink.prefect.token`; where a table of a list has a name, that stands for its place.
    pub key: String,
    /// As written, with credentials masked and long ones cut.
    pub value: String,
    /// Its line, from 1.
    pub line: u32,
}

/// Every value, in the order of the file.
pub(super) fn of(cx: &Context, root: &DeTable<'_>) -> Vec<Written> {
    let mut values = Vec::new();
    table(cx, "", root, 0, &mut values);
    values.sort_by_key(|value| value.line);
    values
}

fn table(cx: &Context, path: &str, table: &DeTable<'_>, depth: usize, values: &mut Vec<Written>) {
    for (key, value) in table {
        let dot = if path.is_empty() { "" } else { "." };
        let path = format!("{path}{dot}{}", key.get_ref());
        walk(cx, &path, value, depth, values);
    }
}

fn walk(
    cx: &Context,
    path: &str,
    value: &Spanned<DeValue<'_>>,
    depth: usize,
    values: &mut Vec<Written>,
) {
    if values.len() >= VALUES_MAX {
        return;
    }
    let shown = cx.shown(value.span());
    match value.get_ref() {
        DeValue::Table(inner) if !shown.starts_with('{') && depth < DEPTH_MAX => {
            table(cx, path, inner, depth + 1, values);
        }
        DeValue::Array(items) if !shown.starts_with('[') || shown.starts_with("[[") => {
            for (n, item) in items.iter().enumerate() {
                let name = item
                    .get_ref()
                    .as_table()
                    .and_then(|table| table.get("name"));
                let name = name.and_then(|name| name.get_ref().as_str());
                let name = name.map_or_else(|| (n + 1).to_string(), str::to_owned);
                walk(cx, &format!("{path}.{name}"), item, depth + 1, values);
            }
        }
        _ => values.push(Written {
            key: path.to_owned(),
            value: cut(&shown),
            line: cx.line(value.span().start),
        }),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or("")),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Overrides, load_text};
    use std::path::Path;

    #[test]
    fn values_with_their_lines_and_no_secret() {
        let text = "[server]\nadmin_hosts = [\"a\", \"b\"]\n\n[[webhook]]\nname = \"w\"\n\
                    slug = \"fake-slug-0000000000000001\"\nevent = { event = \"e\", resource = { \"prefect.resource.id\" = \"r\" } }\n\
                    [[sink]]\nname = \"s\"\nkind = \"http\"\nurl = \"https://example.com\"\ntoken = { env = \"PATH\" }\n";
        let loaded = load_text(
            Path::new("/x/webhooks.toml"),
            text.to_owned(),
            &Overrides::default(),
        );
        let config = loaded
            .config
            .unwrap_or_else(|| panic!("{:?}", loaded.findings));
        let found = |key: &str| {
            let value = config.outline.iter().find(|value| value.key == key);
            value.map(|value| (value.value.as_str(), value.line))
        };
        assert_eq!(found("server.admin_hosts"), Some(("[\"a\", \"b\"]", 2)));
        assert_eq!(found("webhook.w.name"), Some(("\"w\"", 5)));
        assert_eq!(found("sink.s.token"), Some(("{ env = \"PATH\" }", 12)));
        assert!(found("webhook.w.event").unwrap().0.starts_with("{ event"));
        assert!(!format!("{:?}", config.outline).contains("fake-slug"));
        let lines: Vec<u32> = config.outline.iter().map(|value| value.line).collect();
        assert!(lines.is_sorted());
    }
}
