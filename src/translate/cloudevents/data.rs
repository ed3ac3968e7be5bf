//! The data of an event: JSON, text or bytes, by its type alone and never by looking at the bytes.

use super::mode::charset;
use crate::model::request::{is_json_type, media_type};
use crate::translate::json::{Doc, Kind, Ref, string_into};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Types beside `text/*` and `*+xml`, `*+yaml` that are text.
const TEXT_TYPES: [&str; 7] = [
    "application/xml",
    "application/yaml",
    "application/x-yaml",
    "application/x-ndjson",
    "application/javascript",
    "application/graphql",
    "application/x-www-form-urlencoded",
];

/// Beginnings of charsets in which ASCII is not one byte.
const WIDE: [&str; 4] = ["utf-16", "utf-32", "iso-10646-ucs", "utf-7"];

/// Data of an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// JSON text of the value.
    Json(String),
    /// Base64 of bytes.
    Base64(String),
}

fn text(text: &str) -> Data {
    let mut json = String::with_capacity(text.len() + 2);
    string_into(&mut json, text);
    Data::Json(json)
}

fn json(bytes: &[u8]) -> Option<Data> {
    let doc = Doc::parse(std::str::from_utf8(bytes).ok()?.to_owned()).ok()?;
    Some(Data::Json(doc.root().to_compact()))
}

fn is_text(media: &str) -> bool {
    media.starts_with("text/")
        || media.ends_with("+xml")
        || media.ends_with("+yaml")
        || TEXT_TYPES.contains(&media)
}

/// Bytes of a text type as text, if they are.
fn decoded(bytes: &[u8], content_type: &str) -> Option<Data> {
    match charset(content_type).as_deref() {
        Some("iso-8859-1") => {
            let chars: String = bytes.iter().map(|b| char::from(*b)).collect();
            Some(text(&chars))
        }
        // Their bytes may be UTF-8 by chance, but never the same text.
        Some(other) if WIDE.iter().any(|wide| other.starts_with(wide)) => None,
        _ => std::str::from_utf8(bytes).ok().map(text),
    }
}

/// Data of a binary event.
///
/// # Errors
/// When the type is JSON and the body is not.
pub(super) fn of_body(body: &[u8], content_type: Option<&str>) -> Result<Option<Data>, String> {
    if body.is_empty() {
        return Ok(None);
    }
    let found = match content_type {
        None => json(body).or_else(|| std::str::from_utf8(body).ok().map(text)),
        Some(content_type) => {
            let media = media_type(content_type);
            if is_json_type(&media) {
                return json(body)
                    .map(Some)
                    .ok_or_else(|| format!("the data is sent as {media} but is no JSON"));
            }
            if is_text(&media) {
                decoded(body, content_type)
            } else {
                None
            }
        }
    };
    Ok(Some(
        found.unwrap_or_else(|| Data::Base64(STANDARD.encode(body))),
    ))
}

/// Data that came as base64 in JSON.
///
/// # Errors
/// When it is no string, or no base64 by the standard alphabet with padding.
pub(super) fn of_base64(value: Ref<'_>, content_type: Option<&str>) -> Result<Data, String> {
    if !matches!(value.kind(), Kind::Plain | Kind::Escaped) {
        return Err("base64 data is not a string".into());
    }
    let bytes = STANDARD
        .decode(value.text().as_bytes())
        .map_err(|_| "base64 data has wrong characters or padding")?;
    let found = content_type.and_then(|content_type| {
        let media = media_type(content_type);
        if is_json_type(&media) {
            json(&bytes)
        } else if is_text(&media) {
            decoded(&bytes, content_type)
        } else {
            None
        }
    });
    Ok(found.unwrap_or_else(|| Data::Base64(STANDARD.encode(&bytes))))
}
