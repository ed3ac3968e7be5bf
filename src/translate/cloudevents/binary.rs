//! Binary mode: attributes in `ce-` headers (HTTP binding 3.1).

use super::attributes::{check_complete, check_name, set_text};
use super::{CloudEvent, CloudEventsOptions, data};
use crate::model::Headers;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Reads one event.
///
/// # Errors
/// The first rule that is broken, naming the attribute.
pub(super) fn read(
    headers: &Headers,
    body: &[u8],
    options: &CloudEventsOptions,
) -> Result<CloudEvent, String> {
    let mut event = CloudEvent::default();
    let content_type = headers
        .get("content-type")
        .map(|value| value.trim_ascii())
        .filter(|value| !value.is_empty());
    let mut seen: Vec<&str> = Vec::new();
    let mut inner_type = None;
    for (header, value) in headers.iter() {
        let Some(name) = header.strip_prefix("ce-") else {
            continue;
        };
        check_name(name)?;
        if seen.contains(&name) {
            return Err(format!("the header `ce-{name}` comes twice"));
        }
        seen.push(name);
        if name == "data" {
            return Err("an attribute cannot be called `data`".into());
        }
        // It must not be there; Content-Type says the same and wins (3.1.1).
        if name == "datacontenttype" && content_type.is_some() {
            continue;
        }
        let text = decode(value, options.percent_decode)
            .ok_or_else(|| format!("`{name}` is not UTF-8"))?;
        set_text(&mut event, name, &text)?;
        if name == "datacontenttype" {
            inner_type = Some(text);
        }
    }
    if let Some(value) = content_type {
        let text = std::str::from_utf8(value).map_err(|_| "`Content-Type` is not UTF-8")?;
        set_text(&mut event, "datacontenttype", text)?;
        inner_type = Some(text.to_owned());
    }
    check_complete(&event)?;
    let inner_type = inner_type.as_deref().filter(|t| !t.is_empty());
    event.data = match decoded_body(&event, body) {
        Some(decoded) => data::of_body(&decoded, inner_type)?,
        None => data::of_body(body, inner_type)?,
    };
    Ok(event)
}

/// Version 0.3 may say that the body is base64. A body that is none is taken as it is: the mode needs no such coding,
/// and some senders copy the attribute all the same.
fn decoded_body(event: &CloudEvent, body: &[u8]) -> Option<Vec<u8>> {
    let is_base64 = event.specversion == "0.3"
        && event.attributes.iter().any(|(name, json)| {
            name == "datacontentencoding" && json.eq_ignore_ascii_case("\"base64\"")
        });
    is_base64
        .then(|| STANDARD.decode(body.trim_ascii()).ok())
        .flatten()
}

/// A header's value: trimmed, unquoted if it is one quoted string, one round of percent-decoding (3.1.3.2).
fn decode(value: &[u8], percent: bool) -> Option<String> {
    let value = value.trim_ascii();
    let value = unquote(value).unwrap_or_else(|| value.to_vec());
    let value = if percent {
        percent_decode(&value)
    } else {
        value
    };
    String::from_utf8(value).ok()
}

fn unquote(value: &[u8]) -> Option<Vec<u8>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => out.push(bytes.next()?),
            // The string ended before the value did.
            b'"' => return None,
            _ => out.push(byte),
        }
    }
    Some(out)
}

/// Escapes of two hex digits become bytes; any other `%` stays.
fn percent_decode(value: &[u8]) -> Vec<u8> {
    percent_encoding::percent_decode(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Encodes as the binding demands of senders: all outside printable ASCII, and space, quote, percent.
    fn encode(text: &str) -> String {
        text.bytes()
            .map(|b| {
                if (0x21..=0x7e).contains(&b) && b != b'"' && b != b'%' {
                    char::from(b).to_string()
                } else {
                    format!("%{b:02X}")
                }
            })
            .collect()
    }

    proptest! {
        #[test]
        fn what_was_encoded_comes_back(text in any::<String>()) {
            prop_assert_eq!(decode(encode(&text).as_bytes(), true), Some(text));
        }

        #[test]
        fn any_bytes_are_judged(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode(&value, true);
            let _ = decode(&value, false);
        }
    }
}
