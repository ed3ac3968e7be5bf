//! What the configuration's file says of a webhook: its text, and where its secrets are.

use crate::config::{Config, Webhook};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use toml_edit::{DocumentMut, Item, TableLike, Value};

/// Lines of a webhook that are shown.
const LINES_MAX: usize = 200;
/// Secrets of a webhook that are listed.
const SECRETS_MAX: usize = 10;

/// The webhook's own lines of the file.
#[derive(Debug, Serialize)]
pub(super) struct Source {
    /// Name of the file.
    file: String,
    /// Number of the first line.
    from: u32,
    /// What is written, for copying.
    text: String,
    /// The same for the eye: without the middle of its slug.
    lines: Vec<String>,
    is_cut: bool,
}

/// Where one secret comes from, and until when it counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct SecretPart {
    /// `env`, `file`.
    kind: &'static str,
    /// Name of the variable, or path.
    pub(super) name: String,
    /// Its end, as written.
    until: Option<String>,
}

impl SecretPart {
    /// What to write where the sender asks for it.
    pub(super) fn in_words(&self) -> String {
        match self.kind {
            "env" => format!("the value of {}", self.name),
            _ => format!("what is in {}", self.name),
        }
    }
}

/// Reads a webhook's lines; none where the file is not the one that runs, or has none of it. Blocks.
pub(super) fn read(config: &Config, webhook: &Webhook) -> Option<Source> {
    let max = crate::config::CONFIG_FILE_BYTES_MAX;
    let text = crate::config::read_text(&config.file, max).ok()?;
    if hex::encode(Sha256::digest(text.as_bytes())) != config.hash {
        return None;
    }
    let start = usize::try_from(webhook.line).ok()?.checked_sub(1)?;
    let mut lines: Vec<&str> = text.lines().skip(start).collect();
    if lines.first()?.trim_start().get(..1) != Some("[") {
        return None;
    }
    lines.truncate(length(&lines));
    let is_cut = lines.len() > LINES_MAX;
    let slug = webhook.slug.expose();
    let shown = lines.iter().take(LINES_MAX);
    Some(Source {
        file: config
            .file
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        from: webhook.line,
        lines: shown
            .map(|line| line.replace(slug, &short_slug(slug)))
            .collect(),
        text: lines.join("\n"),
        is_cut,
    })
}

/// How many lines belong to the webhook that the first one begins: to the next table that is not its own, without what
/// is said about that one.
fn length(lines: &[&str]) -> usize {
    let own = |line: &str| {
        let name = line.trim_start_matches('[').trim_start();
        name.starts_with("webhook.")
    };
    let next = lines
        .iter()
        .skip(1)
        .position(|line| line.starts_with('[') && !own(line));
    let end = next.map_or(lines.len(), |at| at + 1);
    let blank = |line: &&&str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let trailing = lines.iter().take(end).rev().take_while(blank).count();
    end.saturating_sub(trailing).max(1)
}

impl Source {
    /// The webhook's secrets, as the file writes them.
    pub(super) fn secrets(&self) -> Vec<SecretPart> {
        let Ok(document) = self.text.parse::<DocumentMut>() else {
            return Vec::new();
        };
        let webhooks = document.get("webhook").and_then(Item::as_array_of_tables);
        let Some(table) = webhooks.and_then(|tables| tables.get(0)) else {
            return Vec::new();
        };
        let verify = table.get("verify").and_then(Item::as_table_like);
        let nested = verify.and_then(|verify| verify.get("secret").or_else(|| verify.get("token")));
        let item = nested.or_else(|| table.get("secret"));
        let Some(item) = item else {
            return Vec::new();
        };
        let list = item.as_array().into_iter().flat_map(|list| list.iter());
        let listed = list.filter_map(Value::as_inline_table);
        let listed = listed.filter_map(|table| secret(table));
        let one = item.as_table_like().and_then(secret);
        one.into_iter().chain(listed).take(SECRETS_MAX).collect()
    }
}

fn secret(table: &dyn TableLike) -> Option<SecretPart> {
    let text = |key: &str| Some(table.get(key)?.as_str()?.to_owned());
    let (kind, name) = text("env")
        .map(|name| ("env", name))
        .or_else(|| text("file").map(|name| ("file", name)))?;
    let until = table.get("until").and_then(Item::as_value);
    let until = until.map(|value| match value {
        Value::String(text) => text.value().clone(),
        other => other.to_string().trim().to_owned(),
    });
    Some(SecretPart { kind, name, until })
}

/// A slug with its middle left out: who looks over a shoulder cannot call it.
pub(super) fn short_slug(slug: &str) -> String {
    let chars: Vec<char> = slug.chars().collect();
    let count = chars.len();
    if count < 12 {
        return slug.to_owned();
    }
    let head: String = chars.iter().take(4).collect();
    let tail: String = chars.iter().skip(count - 3).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source {
            file: "webhooks.toml".to_owned(),
            from: 1,
            text: text.to_owned(),
            lines: Vec::new(),
            is_cut: false,
        }
    }

    #[test]
    fn a_webhook_ends_where_the_next_begins() {
        let text = "[[webhook]]\nname = \"a\"\n\n[[webhook.test]]\nname = \"t\"\n[webhook.verify]\n\n# next\n[[webhook]]\n";
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(length(&lines), 6);
        assert_eq!(length(&["[[webhook]]", "name = \"a\"", ""]), 2);
        assert_eq!(length(&["[[webhook]]", "[store]"]), 1);
    }

    #[test]
    fn secrets_are_named_and_dated() {
        let found = source(
            "[[webhook]]\nsecret = [{ env = \"NEW\" }, { file = \"old\", until = 2026-12-01T00:00:00Z }]",
        )
        .secrets();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].in_words(), "the value of NEW");
        assert_eq!(found[1].in_words(), "what is in old");
        assert_eq!(found[1].until.as_deref(), Some("2026-12-01T00:00:00Z"));
        let found =
            source("[[webhook]]\nverify = { scheme = \"bearer\", token = { env = \"T\" } }")
                .secrets();
        assert_eq!(found[0].name, "T");
        assert!(source("[[webhook]]\nname = 1").secrets().is_empty());
        assert!(source("no toml").secrets().is_empty());
    }

    #[test]
    fn slugs_are_not_shown_whole() {
        assert_eq!(short_slug("fake-slug-of-22-chars-01"), "fake…-01");
        assert_eq!(short_slug("try"), "try");
    }
}
