//! What a duplicate brings beside its key: whether it is what was brought before.
//!
//! Only a delivery whose key is known is looked at, after its decision: nothing here is on the way of a new one.
//! A delivery with one key is compared by its body, a batch event by event. Of CloudEvents `type` and `data` count
//! alone: traces and times of arrival differ between two attempts of one event.

use super::EventContent;
use crate::model::cloud_event::{self, Content};
use crate::model::{Event, http_file};
use serde_json::Value;
use serde_json::value::RawValue;

/// Members of the payload that an event has by default: the request itself, which differs with every attempt.
const REQUEST_MEMBERS: [&str; 3] = ["method", "headers", "body"];

/// One event, and what it was made of where the webhook has a mapping of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) event: Option<&'a Event>,
    pub(crate) content: Option<&'a EventContent>,
}

/// What differs between an event and the one with its key; nothing where that cannot be told.
pub(crate) fn differences(new: Piece<'_>, old: Piece<'_>) -> Vec<&'static str> {
    if let (Some(new), Some(old)) = (new.content, old.content) {
        let parts = [
            ("type", new.kind != old.kind),
            ("data", new.data != old.data),
        ];
        return names(parts);
    }
    // The mapping came or went between the two: what it made says nothing.
    if new.content.is_some() || old.content.is_some() {
        return Vec::new();
    }
    let (Some(new), Some(old)) = (new.event, old.event) else {
        return Vec::new();
    };
    match (Content::of(new), Content::of(old)) {
        (Some(new), Some(old)) => names([
            ("type", new.kind != old.kind),
            ("data", !cloud_event::is_same_data(&new, &old)),
        ]),
        (None, None) => names([
            ("event", new.event != old.event),
            ("resource", new.resource != old.resource),
            ("payload", !is_same_payload(&new.payload, &old.payload)),
        ]),
        _ => Vec::new(),
    }
}

fn names<const N: usize>(parts: [(&'static str, bool); N]) -> Vec<&'static str> {
    let differing = parts.into_iter().filter(|(_, differs)| *differs);
    differing.map(|(name, _)| name).collect()
}

fn is_same_payload(new: &RawValue, old: &RawValue) -> bool {
    if new.get() == old.get() {
        return true;
    }
    let parse = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).ok();
    match (parse(new), parse(old)) {
        (Some(new), Some(old)) => new == old || (is_request(&new) && is_request(&old)),
        _ => false,
    }
}

fn is_request(payload: &Value) -> bool {
    payload.as_object().is_some_and(|members| {
        members.len() == REQUEST_MEMBERS.len()
            && REQUEST_MEMBERS
                .iter()
                .all(|name| members.contains_key(*name))
    })
}

/// Whether two kept requests have the same body; none where that cannot be told.
pub(crate) fn is_same_body(new: &[u8], old: &[u8]) -> Option<bool> {
    let parse = |http| http_file::parse(http, jiff::Timestamp::UNIX_EPOCH).ok();
    let (new, old) = (parse(new)?, parse(old)?);
    if new.wire_body == old.wire_body {
        return Some(true);
    }
    // A coded body may differ though it holds the same: gzip writes a time.
    let is_coded = |headers: &crate::model::Headers| headers.get("content-encoding").is_some();
    if is_coded(&new.headers) || is_coded(&old.headers) {
        return None;
    }
    // Each attempt has a boundary of its own.
    match (boundary(&new), boundary(&old)) {
        (Some(one), Some(other)) => {
            Some(pieces(&new.wire_body, &one).eq(pieces(&old.wire_body, &other)))
        }
        _ => Some(false),
    }
}

fn boundary(request: &crate::model::Request) -> Option<String> {
    let multipart = request.media_type().starts_with("multipart/");
    request
        .content_type_parameter("boundary")
        .filter(|text| multipart && !text.is_empty())
}

/// What stands between the occurrences of a boundary.
fn pieces<'b>(body: &'b [u8], boundary: &'b str) -> impl Iterator<Item = &'b [u8]> {
    let mut rest = Some(body);
    std::iter::from_fn(move || {
        let all = rest?;
        let found = all
            .windows(boundary.len())
            .position(|window| window == boundary.as_bytes());
        let Some((before, after)) =
            found.and_then(|at| Some((all.get(..at)?, all.get(at + boundary.len()..)?)))
        else {
            rest = None;
            return Some(all);
        };
        rest = Some(after);
        Some(before)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(kind: &str, body: &str) -> Vec<u8> {
        format!("POST /hooks/x HTTP/1.1\r\nx-try: 1\r\n{kind}\r\n\r\n{body}").into_bytes()
    }

    #[test]
    fn bodies() {
        let json = "content-type: application/json";
        let other = "content-type: text/plain";
        assert_eq!(
            is_same_body(&http(json, "{}"), &http(other, "{}")),
            Some(true)
        );
        assert_eq!(
            is_same_body(&http(json, "{}"), &http(json, "{ }")),
            Some(false)
        );
        let gzip = "content-encoding: gzip";
        assert_eq!(is_same_body(&http(gzip, "a"), &http(gzip, "b")), None);
        assert_eq!(is_same_body(&http(gzip, "a"), &http(gzip, "a")), Some(true));
    }

    #[test]
    fn a_boundary_is_no_content() {
        let form = |boundary: &str, value: &str| {
            let kind = format!("content-type: multipart/form-data; boundary=\"{boundary}\"");
            http(
                &kind,
                &format!("--{boundary}\r\n\r\n{value}\r\n--{boundary}--\r\n"),
            )
        };
        assert_eq!(is_same_body(&form("aa", "1"), &form("b", "1")), Some(true));
        assert_eq!(is_same_body(&form("aa", "1"), &form("b", "2")), Some(false));
    }
}
