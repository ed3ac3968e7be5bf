//! What of a file is shown: source lines with slugs and secrets replaced by `*`, byte for byte and character for
//! character, so that columns stay.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Keys whose text is a credential: it is masked in every source line that is shown.
const SECRET_KEYS: [&str; 9] = [
    "slug",
    "secret",
    "token",
    "admin_token",
    "verify_token",
    "password",
    "auth",
    "sign",
    "headers",
];
/// What stands for a character: as long as it in bytes, for spans, and one character, for columns.
fn mark(c: char) -> char {
    match c.len_utf8() {
        1 => '*',
        2 => '\u{b7}',
        3 => '\u{2022}',
        _ => '\u{10101}',
    }
}

/// Replaces the text of every credential by `*`, so that columns stay.
pub(super) fn mask_table(table: &DeTable<'_>, shown: &mut String) {
    for (key, value) in table {
        if SECRET_KEYS.contains(&key.get_ref().as_ref()) {
            mask_value(value, shown);
        } else {
            mask_nested(value, shown);
        }
    }
}

/// Hides slugs wherever else they stand, such as in a `public_url`.
pub(super) fn mask_slugs(root: &DeTable<'_>, shown: &mut String) {
    let webhooks = root.get("webhook").and_then(|w| w.get_ref().as_array());
    let slugs: Vec<&str> = webhooks
        .into_iter()
        .flat_map(|list| list.iter())
        .filter_map(|webhook| webhook.get_ref().as_table())
        .flat_map(|webhook| {
            let old = webhook
                .get("old_slugs")
                .and_then(|v| v.get_ref().as_array());
            let old = old.into_iter().flat_map(|list| list.iter());
            let old = old.filter_map(|item| item.get_ref().as_table());
            old.chain([webhook])
        })
        .filter_map(|table| table.get("slug")?.get_ref().as_str())
        // A short one may be an ordinary word, and is no secret worth the name.
        .filter(|slug| slug.len() >= crate::model::limits::SLUG_CHARS_SAFE)
        .collect();
    // Looking for each slug in the whole text would take too long in a file of a thousand webhooks.
    let mut start = 0;
    while let Some(at) = shown.get(start..).and_then(|rest| rest.find("/hooks/")) {
        let from = start + at + "/hooks/".len();
        let rest = shown.get(from..).unwrap_or("");
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
        let to = from + end.unwrap_or(rest.len());
        if shown
            .get(from..to)
            .is_some_and(|word| slugs.contains(&word))
        {
            shown.replace_range(from..to, &"*".repeat(to - from));
        }
        start = to;
    }
}

fn mask_nested(value: &Spanned<DeValue<'_>>, shown: &mut String) {
    match value.get_ref() {
        DeValue::Table(table) => mask_table(table, shown),
        DeValue::Array(items) => items.iter().for_each(|item| mask_nested(item, shown)),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => {}
    }
}

/// Masks all there is but the names of variables and files, and times.
fn mask_value(value: &Spanned<DeValue<'_>>, shown: &mut String) {
    match value.get_ref() {
        DeValue::Table(table) => {
            for (key, value) in table {
                if !["env", "file", "until", "user"].contains(&key.get_ref().as_ref()) {
                    mask_value(value, shown);
                }
            }
        }
        DeValue::Array(items) => items.iter().for_each(|item| mask_value(item, shown)),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) => {
            let span = value.span();
            if let Some(text) = shown.get(span.clone()) {
                let quotes = text.len() - text.trim_start_matches(['"', '\'']).len();
                let end = text.len().saturating_sub(quotes);
                let masked: String = text
                    .char_indices()
                    .map(|(i, c)| match c {
                        '\n' | '\r' => c,
                        _ if i < quotes || i >= end => c,
                        _ => mark(c),
                    })
                    .collect();
                shown.replace_range(span, &masked);
            }
        }
        DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

/// Where strings may be unclosed: hides whatever follows the key of a credential on its line, and the
/// lines of a block of text that begins there.
pub(super) fn mask_lines(text: &str) -> String {
    let hide = |part: &str| -> String {
        let mask = |c: char| match c {
            '\n' | '\r' | ' ' | '=' => c,
            _ => mark(c),
        };
        part.chars().map(mask).collect()
    };
    let mut block: Option<&str> = None;
    let mut masked = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if let Some(end) = block {
            block = block.filter(|_| !line.contains(end));
            masked.push_str(&hide(line));
            continue;
        }
        let ends = SECRET_KEYS
            .iter()
            .filter_map(|key| Some(line.find(key)? + key.len()));
        let (head, tail) = ends
            .min()
            .and_then(|at| line.split_at_checked(at))
            .unwrap_or((line, ""));
        block = ["\"\"\"", "'''"]
            .into_iter()
            .find(|quotes| tail.matches(quotes).count() % 2 == 1);
        masked.push_str(head);
        masked.push_str(&hide(tail));
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_bytes_nor_characters_move() {
        let text = "slug = \"aä€🚀\" x";
        let table = DeTable::parse("token = \"aä€🚀\"").unwrap();
        let mut shown = "token = \"aä€🚀\"".to_owned();
        mask_table(table.get_ref(), &mut shown);
        assert_eq!(shown, "token = \"*·•𐄁\"");
        let masked = mask_lines(text);
        assert_eq!(masked.len(), text.len());
        assert_eq!(masked.chars().count(), text.chars().count());
        assert!(!masked.contains(['a', 'ä', '€', '🚀', 'x']), "{masked}");
    }
}
