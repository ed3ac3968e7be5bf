//! A request's body as a value: JSON, a form, parts of a form, or text.
//!
//! Nothing is refused here: what is not JSON is text, what is not UTF-8 is read leniently, and notes say so.

use super::json::{Doc, string_into};
use super::value;
use crate::codes;
use crate::model::request::is_json_type;
use crate::model::{Note, Request, multipart};
use minijinja::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// A body as a value, and what was odd about it.
#[derive(Debug)]
pub(crate) struct Body {
    /// The value.
    pub(crate) content: Content,
    /// What is worth knowing.
    pub(crate) notes: Vec<Note>,
}

/// The value of a body.
#[derive(Debug)]
pub(crate) enum Content {
    /// JSON, or a form as a flat object.
    Json(Arc<Doc>),
    /// Anything else; empty where there is no body.
    Text(String),
}

impl Content {
    /// As a template value.
    pub(crate) fn value(&self) -> Value {
        match self {
            Self::Json(doc) => value::to_value(doc, doc.root()),
            Self::Text(text) => Value::from(text.as_str()),
        }
    }

    /// Appends it as JSON.
    pub(crate) fn json_into(&self, out: &mut String) {
        match self {
            Self::Json(doc) => doc.root().write_compact(out),
            Self::Text(text) => string_into(out, text),
        }
    }

    /// How deep it is nested.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::Json(doc) => doc.depth(),
            Self::Text(_) => 0,
        }
    }
}

/// Reads the body of a request by its content type.
pub(crate) fn read(request: &Request) -> Body {
    let mut notes = Vec::new();
    let media_type = request.media_type();
    let content = match media_type.as_str() {
        "application/x-www-form-urlencoded" => form(&request.body),
        "multipart/form-data" => match request.content_type_parameter("boundary") {
            Some(boundary) => multipart(&request.body, &boundary),
            None => Content::Text(decode(request, &mut notes)),
        },
        _ => json_or_text(request, &media_type, &mut notes),
    };
    Body { content, notes }
}

fn json_or_text(request: &Request, media_type: &str, notes: &mut Vec<Note>) -> Content {
    let text = decode(request, notes);
    if text.is_empty() {
        return Content::Text(text);
    }
    match Doc::parse(text) {
        Ok(doc) => Content::Json(Arc::new(doc)),
        Err((text, invalid)) => {
            if is_json_type(media_type) {
                notes.push(Note::new(
                    codes::BODY_IS_TEXT,
                    format!("The body is sent as {media_type} but is no JSON: at byte {}, {}. Templates see it as text.", invalid.at, invalid.what),
                ));
            }
            Content::Text(text)
        }
    }
}

/// The body as text by its charset.
fn decode(request: &Request, notes: &mut Vec<Note>) -> String {
    let bytes: &[u8] = &request.body;
    let charset = request
        .content_type_parameter("charset")
        .unwrap_or_default()
        .to_ascii_lowercase();
    match charset.as_str() {
        "iso-8859-1" | "latin1" | "latin-1" => bytes.iter().map(|b| char::from(*b)).collect(),
        "" | "utf-8" | "utf8" | "us-ascii" | "ascii" => {
            lenient(bytes, "The body is not UTF-8", notes)
        }
        _ => {
            notes.push(Note::new(
                codes::CHARSET_UNKNOWN,
                "The body's charset is unknown; it was read as UTF-8, leniently.",
            ));
            String::from_utf8_lossy(bytes).into_owned()
        }
    }
}

fn lenient(bytes: &[u8], what: &str, notes: &mut Vec<Note>) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(error) => {
            notes.push(Note::new(
                codes::CHARSET_UNKNOWN,
                format!(
                    "{what} from byte {} on; it was read leniently.",
                    error.valid_up_to()
                ),
            ));
            String::from_utf8_lossy(bytes).into_owned()
        }
    }
}

/// Pairs as a flat object, which the last of a name wins.
fn object<'a>(pairs: impl Iterator<Item = (Cow<'a, str>, String)>) -> Content {
    let mut out = String::from("{");
    for (i, (name, json)) in pairs.enumerate() {
        if i > 0 {
            out.push(',');
        }
        string_into(&mut out, &name);
        out.push(':');
        out.push_str(&json);
    }
    out.push('}');
    match Doc::parse(out) {
        Ok(doc) => Content::Json(Arc::new(doc)),
        Err((text, _)) => Content::Text(text),
    }
}

fn text_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    string_into(&mut out, text);
    out
}

fn form(bytes: &[u8]) -> Content {
    object(form_urlencoded::parse(bytes).map(|(name, value)| (name, text_json(&value))))
}

/// Parts of `multipart/form-data`: text fields by name, files as what they are called and how large.
fn multipart(bytes: &[u8], boundary: &str) -> Content {
    let parts = multipart::parts(bytes, boundary).into_iter();
    object(parts.map(|part| {
        let json = match part.filename {
            None => text_json(&String::from_utf8_lossy(part.body)),
            Some(file) => {
                let kind = part
                    .content_type
                    .map_or_else(|| "null".to_owned(), |kind| text_json(&kind));
                format!(
                    "{{\"filename\":{},\"content_type\":{kind},\"size\":{}}}",
                    text_json(&file),
                    part.body.len()
                )
            }
        };
        (Cow::Owned(part.name), json)
    }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::request;
    use super::*;
    use proptest::prelude::*;

    fn json(content_type: &str, body: &[u8]) -> (String, Vec<String>) {
        let body = read(&request(&[("content-type", content_type)], body));
        let mut out = String::new();
        body.content.json_into(&mut out);
        (
            out,
            body.notes
                .iter()
                .map(|n| n.code.unwrap().to_string())
                .collect(),
        )
    }

    #[test]
    fn bodies_by_type() {
        for (kind, body, want, code) in [
            ("application/json", &b"{\"a\": 1}"[..], "{\"a\":1}", None),
            (
                "application/json",
                b"{\"a\": ",
                "\"{\\\"a\\\": \"",
                Some("HG0309"),
            ),
            ("application/json", b"", "\"\"", None),
            (
                "text/plain",
                b"\xef\xbb\xbf[1, 2]",
                "\"\u{feff}[1, 2]\"",
                None,
            ),
            ("text/plain", b"hello", "\"hello\"", None),
            (
                "text/plain; charset=iso-8859-1",
                b"caf\xe9",
                "\"caf\u{e9}\"",
                None,
            ),
            ("text/plain; charset=klingon", b"a", "\"a\"", Some("HG0310")),
            ("text/plain", b"a\xff", "\"a\u{fffd}\"", Some("HG0310")),
            (
                "application/x-www-form-urlencoded",
                b"a=1&b=&a=x+y%22",
                "{\"a\":\"x y\\\"\",\"b\":\"\"}",
                None,
            ),
            (
                "application/x-www-form-urlencoded",
                b"{\"a\":1}",
                "{\"{\\\"a\\\":1}\":\"\"}",
                None,
            ),
        ] {
            let (out, codes) = json(kind, body);
            assert_eq!(out, want, "{kind}");
            assert_eq!(codes.first().map(String::as_str), code, "{kind}");
        }
    }

    #[test]
    fn parts_of_a_form() {
        let body = b"preamble\r\n--x1\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nA \"b\"\r\nline\r\n--x1\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a%22.png\"\r\nContent-Type: image/png\r\n\r\n\x00\x01\x02\r\n--x1--\r\n";
        let (out, _) = json("multipart/form-data; boundary=x1", body);
        assert_eq!(
            out,
            r#"{"title":"A \"b\"\r\nline","f":{"filename":"a\".png","content_type":"image/png","size":3}}"#
        );
        assert_eq!(json("multipart/form-data; boundary=x1", b"nothing").0, "{}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_body(body in proptest::collection::vec(any::<u8>(), 0..200), kind in "(application/json|text/plain|multipart/form-data; boundary=a|application/x-www-form-urlencoded|.{0,20})") {
            let _ = json(&kind, &body);
        }

        #[test]
        fn any_parts_are_read(body in "(--a|\r\n|\n|Content-Disposition: form-data; name=|\"|x|;|filename=|--){0,30}") {
            let _ = json("multipart/form-data; boundary=a", body.as_bytes());
        }
    }
}
