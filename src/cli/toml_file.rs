//! `webhooks.toml` as a text that is changed by commands: comments and order stay.

use std::path::Path;
use toml_edit::{DocumentMut, Item, TableLike};

/// Bytes of a file that is changed.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The first variable among a webhook's secrets.
pub(super) fn secret_variable(file: &Path, webhook: &str) -> Option<String> {
    let text = crate::config::read_text(file, FILE_BYTES_MAX).ok()?;
    let document: DocumentMut = text.parse().ok()?;
    let tables = document.get("webhook")?.as_array_of_tables()?;
    let table = tables
        .iter()
        .find(|t| t.get("name").and_then(Item::as_str) == Some(webhook))?;
    let verify = table.get("verify").and_then(Item::as_table_like);
    let nested = verify.and_then(|verify| verify.get("secret").or_else(|| verify.get("token")));
    variable_of(nested.or_else(|| table.get("secret"))?)
}

fn variable_of(secret: &Item) -> Option<String> {
    let env = |table: &dyn TableLike| Some(table.get("env")?.as_str()?.to_owned());
    if let Some(table) = secret.as_table_like() {
        return env(table);
    }
    let list = secret.as_array()?;
    list.iter().find_map(|value| env(value.as_inline_table()?))
}
