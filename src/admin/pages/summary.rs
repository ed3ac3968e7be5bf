//! An event in a line: the first texts of its payload, where nothing better is known.

use super::show::cut;
use serde_json::Value;

/// Payloads beyond this are not read for a line.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// Texts that make a summary.
const TEXTS: usize = 3;
/// Levels below the top that are looked at.
const DEPTH_MAX: usize = 2;
/// Characters of a summary.
const CHARS_MAX: usize = 160;

/// A line about a payload; none where it has no texts that a person would read.
pub(super) fn of_payload(payload: &str) -> Option<String> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return None;
    }
    let value: Value = serde_json::from_str(payload).ok()?;
    // Without a payload of its own an event has the request as one, and of that the body is what it is about.
    let about = match (value.get("method"), value.get("headers"), value.get("body")) {
        (Some(_), Some(Value::Object(_)), Some(body)) => body,
        _ => &value,
    };
    let mut texts = Vec::new();
    collect(about, 0, &mut texts);
    (!texts.is_empty()).then(|| cut(&texts.join(", "), CHARS_MAX))
}

/// Breadth first: what stands at the top says most.
fn collect(value: &Value, depth: usize, texts: &mut Vec<String>) {
    let parts: Vec<&Value> = match value {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    };
    for part in &parts {
        if texts.len() >= TEXTS {
            return;
        }
        match part {
            Value::String(text) if is_readable(text) => texts.push(cut(text.trim(), 80)),
            Value::Number(number) => texts.push(number.to_string()),
            _ => {}
        }
    }
    for part in parts {
        if depth < DEPTH_MAX && matches!(part, Value::Object(_) | Value::Array(_)) {
            collect(part, depth + 1, texts);
        }
    }
}

/// Neither an address nor a hash nor an id: those say nothing to a person.
fn is_readable(text: &str) -> bool {
    let text = text.trim();
    let long_hex = text.len() >= 16 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    !text.is_empty() && !long_hex && !text.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_texts() {
        let line = |text| of_payload(text);
        assert_eq!(
            line(r#"{"id": "59b20b8d5c6ff8d09518454d", "n": {"a": "deep"}, "text": "top", "x": 12.50}"#).as_deref(),
            Some("top, 12.50, deep")
        );
        assert_eq!(line(r#"["https://a.example", null, {}]"#), None);
        assert_eq!(line("\"word\"").as_deref(), Some("word"));
        assert_eq!(line("{"), None);
        assert_eq!(
            line(r#"{"method": "POST", "headers": {"accept": "*/*"}, "body": {"model": "m1"}}"#)
                .as_deref(),
            Some("m1")
        );
    }
}
