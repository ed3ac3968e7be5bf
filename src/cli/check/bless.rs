//! `--bless`: what came is what is expected from now on. Only the values of `expect` are exchanged, all else stays as it
//! is written.

use crate::engine::{TestFailure, TestResult};
use serde_json::Value;
use std::ops::Range;

/// The text of the file with the events that came in `expect`, and how many tests were changed.
///
/// # Errors
/// The name of a test whose `expect` was not found, or whose events TOML cannot hold.
pub(super) fn blessed(text: &str, results: &[TestResult]) -> Result<(String, usize), String> {
    let mut changes = Vec::new();
    for result in results {
        let Some(TestFailure::Events { found, .. }) = &result.failure else {
            continue;
        };
        let events: Value = serde_json::from_str(found).map_err(|_| result.name.clone())?;
        let change = expectation(text, result.line).zip(list(&events));
        changes.push(change.ok_or_else(|| result.name.clone())?);
    }
    let count = changes.len();
    changes.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut out = text.to_owned();
    for (range, new) in changes {
        out.replace_range(range, &new);
    }
    Ok((out, count))
}

/// Where the value of `expect` stands in the `[[webhook.test]]` of a line.
fn expectation(text: &str, line: u32) -> Option<Range<usize>> {
    let mut at = 0;
    let mut number = 0;
    for content in text.split_inclusive('\n') {
        number += 1;
        let trimmed = content.trim_start();
        if number > line && trimmed.starts_with("[[") {
            return None;
        }
        let key = trimmed.strip_prefix("expect").map(str::trim_start);
        if number > line
            && let Some(value) = key.and_then(|rest| rest.strip_prefix('='))
        {
            let start = at + content.len() - value.trim_start().len();
            return Some(start..start + value_end(text.get(start..)?)?);
        }
        at += content.len();
    }
    None
}

/// How long the list is that a text begins with.
fn value_end(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote: Option<char> = None;
    let mut escaped = false;
    let mut comment = false;
    for (at, c) in text.char_indices() {
        match quote {
            _ if comment => comment = c != '\n',
            Some('"') if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(open) => {
                if c == open {
                    quote = None;
                }
            }
            None => match c {
                '"' | '\'' => quote = Some(c),
                '#' => comment = true,
                '[' | '{' => depth += 1,
                ']' | '}' => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            },
        }
    }
    None
}

/// A list of events, each on a line where there are several.
fn list(events: &Value) -> Option<String> {
    let items: Option<Vec<String>> = events.as_array()?.iter().map(toml).collect();
    let items = items?;
    Some(if items.len() > 1 {
        format!("[\n  {},\n]", items.join(",\n  "))
    } else {
        format!("[{}]", items.concat())
    })
}

/// A value on one line. TOML has no null: a member that is null is left out, in a list there is no way.
fn toml(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(toml).collect();
            format!("[{}]", items?.join(", "))
        }
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let mut shown = Vec::new();
            for (key, value) in members.iter().filter(|(_, value)| !value.is_null()) {
                let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                let key = if !key.is_empty() && key.chars().all(bare) {
                    key.clone()
                } else {
                    quoted(key)
                };
                shown.push(format!("{key} = {}", toml(value)?));
            }
            format!("{{ {} }}", shown.join(", "))
        }
    })
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn result(line: u32, found: &str) -> TestResult {
        TestResult {
            webhook: "w".into(),
            name: format!("line {line}"),
            line,
            notes: Vec::new(),
            undefined: Vec::new(),
            duration: Duration::ZERO,
            failure: Some(TestFailure::Events {
                expected: String::new(),
                found: found.into(),
            }),
        }
    }

    const FILE: &str = "# a file\n[[webhook.test]]\nname = \"a\"\nexpect = [{ event = \"x]\" }] # kept\nexpect_error = \"HG0303\"\n\n[[webhook.test]]\nexpect = [\n  { event = 'y' }, # lost\n]\nname = \"b\"\n";

    #[test]
    fn only_the_values_are_exchanged() {
        let results = [
            result(
                2,
                r#"[{"event": "a\"b", "resource": {"prefect.resource.id": "r", "n": null}}]"#,
            ),
            result(
                7,
                r#"[{"event": "c", "payload": {"l": [1, 2.5, true, {}]}}, {"event": "d"}]"#,
            ),
        ];
        let (text, count) = blessed(FILE, &results).unwrap();
        assert_eq!(count, 2);
        insta::assert_snapshot!(text, @r#"
        # a file
        [[webhook.test]]
        name = "a"
        expect = [{ event = "a\"b", resource = { "prefect.resource.id" = "r" } }] # kept
        expect_error = "HG0303"

        [[webhook.test]]
        expect = [
          { event = "c", payload = { l = [1, 2.5, true, {}] } },
          { event = "d" },
        ]
        name = "b"
        "#);
        assert_eq!(
            blessed(FILE, &[result(2, "[]")])
                .unwrap()
                .0
                .matches("expect = [] #")
                .count(),
            1
        );
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        assert_eq!(blessed(FILE, &[result(20, "[]")]), Err("line 20".into()));
        assert_eq!(
            blessed(FILE, &[result(2, r#"[{"a": [null]}]"#)]),
            Err("line 2".into())
        );
    }
}
