//! Which of the modes a request is in, by its content type before any `ce-` header (HTTP binding 3).

use super::Refusal;
use crate::model::Headers;
use crate::model::request::{is_json_type, media_type, parameter};
use crate::translate::json::{Doc, Kind};

/// Headers that make a request a CloudEvent in binary mode.
const REQUIRED: [&str; 4] = ["ce-id", "ce-source", "ce-type", "ce-specversion"];

/// How the event comes.
#[derive(Debug)]
pub(super) enum Mode {
    /// Attributes in headers, data in the body.
    Binary,
    /// The body is the event.
    Structured(Doc),
    /// The body is an array of events.
    Batch(Doc),
}

/// The mode of a request.
pub(super) fn of(headers: &Headers, body: &[u8]) -> Result<Mode, Refusal> {
    if headers.all("content-type").nth(1).is_some() {
        return Err(Refusal::Malformed(
            "the header `Content-Type` comes twice".into(),
        ));
    }
    let content_type = headers.text("content-type").unwrap_or_default();
    let media = media_type(&content_type);
    match media.as_str() {
        "application/cloudevents+json" => return envelope(&content_type, body, Mode::Structured),
        "application/cloudevents-batch+json" => return envelope(&content_type, body, Mode::Batch),
        other if other.starts_with("application/cloudevents") => {
            return Err(Refusal::Unsupported(format!(
                "the format {other} is not supported"
            )));
        }
        _ => {}
    }
    if headers.iter().any(|(name, _)| REQUIRED.contains(&name)) {
        return Ok(Mode::Binary);
    }
    // Python's SDK and some event streams send the envelope under an ordinary JSON type, or none.
    if (media.is_empty() || is_json_type(&media))
        && let Some(doc) = text(body).and_then(|text| Doc::parse(text).ok())
    {
        if doc.root().get("specversion").is_some() {
            return Ok(Mode::Structured(doc));
        }
        if doc
            .root()
            .item(0)
            .is_some_and(|first| first.kind() == Kind::Object && first.get("specversion").is_some())
        {
            return Ok(Mode::Batch(doc));
        }
    }
    Err(Refusal::Unsupported(
        "it has neither `ce-` headers nor a CloudEvents content type".into(),
    ))
}

fn text(body: &[u8]) -> Option<String> {
    std::str::from_utf8(body).ok().map(str::to_owned)
}

fn envelope(content_type: &str, body: &[u8], mode: fn(Doc) -> Mode) -> Result<Mode, Refusal> {
    if let Some(charset) = charset(content_type)
        && !["utf-8", "us-ascii"].contains(&charset.as_str())
    {
        return Err(Refusal::Unsupported(
            "JSON is UTF-8; its charset is another".into(),
        ));
    }
    let text = text(body).ok_or_else(|| Refusal::Malformed("the body is not UTF-8".into()))?;
    Doc::parse(text).map(mode).map_err(|(_, invalid)| {
        Refusal::Malformed(format!(
            "the body is no JSON: at byte {}, {}",
            invalid.at, invalid.what
        ))
    })
}

/// The charset of a content type, lower case.
pub(super) fn charset(content_type: &str) -> Option<String> {
    parameter(content_type, "charset").map(|charset| charset.to_ascii_lowercase())
}
