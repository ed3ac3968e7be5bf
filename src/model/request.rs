//! One inbound HTTP request as received.

use bytes::Bytes;
use jiff::Timestamp;
use std::borrow::Cow;
use std::net::IpAddr;

/// Header lines in the order received, names in lower case. A name may occur more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// No headers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line; the name is folded to lower case.
    pub fn push(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.0.push((name.to_ascii_lowercase(), value.into()));
    }

    /// All lines in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// All values of a lower-case name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter()
            .filter(move |(n, _)| *n == name)
            .map(|(_, value)| value)
    }

    /// The first value of a lower-case name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| value)
    }

    /// The first value of a lower-case name as text: UTF-8, else Latin-1 (as WSGI and ASGI do).
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(header_text)
    }

    /// How many lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A header value as text: UTF-8, else Latin-1.
#[must_use]
pub fn header_text(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(value.iter().map(|b| char::from(*b)).collect()),
    }
}

/// One inbound request, read within limits, before anything has looked at it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method, upper case.
    pub method: String,
    /// What follows the slug in the path: empty, or begins with `/`.
    pub path: String,
    /// The query as sent, without `?`; empty where there is none.
    pub query: String,
    /// Header lines as received.
    pub headers: Headers,
    /// The body as it was on the wire: what signatures are over, and what is kept.
    pub wire_body: Bytes,
    /// The body after `Content-Encoding` was undone; the same bytes where there was none.
    pub body: Bytes,
    /// Address of the client (of the proxy's client, behind trusted proxies).
    pub peer: IpAddr,
    /// When the request's head had been read.
    pub received: Timestamp,
    /// The URL that the sender called, as far as known: the configured public URL, else from the
    /// `Host` header; with the query. Some senders sign it.
    pub url: String,
}

/// The media type of a `Content-Type`: before the first `;`, trimmed, lower case.
#[must_use]
pub fn media_type(content_type: &str) -> String {
    content_type
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase()
}

/// Whether a media type (lower case, without parameters) is JSON: subtype `json` or ending in `+json`.
#[must_use]
pub fn is_json_type(media_type: &str) -> bool {
    media_type
        .split_once('/')
        .is_some_and(|(_, subtype)| subtype == "json" || subtype.ends_with("+json"))
}

/// A parameter of a `Content-Type`, unquoted (RFC 9110 5.6.6). A `;` inside a quoted string separates nothing.
#[must_use]
pub fn parameter(content_type: &str, name: &str) -> Option<String> {
    let (mut quoted, mut escaped) = (false, false);
    let separates = |c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ';' => return !quoted,
            _ => {}
        }
        false
    };
    content_type.split(separates).skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| unquoted(value.trim()))
    })
}

fn unquoted(value: &str) -> String {
    let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    let Some(inner) = inner else {
        return value.trim_matches('"').to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

impl Request {
    /// The media type of the body, lower case, without parameters; empty where none is sent.
    #[must_use]
    pub fn media_type(&self) -> String {
        self.headers
            .text("content-type")
            .map_or_else(String::new, |value| media_type(&value))
    }

    /// A parameter of the content type, such as `charset`, unquoted.
    #[must_use]
    pub fn content_type_parameter(&self, name: &str) -> Option<String> {
        let value = self.headers.text("content-type")?;
        parameter(&value, name)
    }

    /// The pairs of the query, decoded, in order.
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        form_urlencoded::parse(self.query.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters() {
        for (value, want) in [
            ("text/plain; charset=utf-8", Some("utf-8")),
            ("text/plain;CHARSET = \"UTF-8\" ;x=1", Some("UTF-8")),
            ("text/plain; x=\"a;charset=utf-16\"", None),
            (
                "text/plain; x=\"\\\";charset=1\"; charset=\"a\\\"b\"",
                Some("a\"b"),
            ),
            ("text/plain; charset=\"open", Some("open")),
            ("text/plain; charset", None),
            ("charset=utf-8", None),
            ("", None),
        ] {
            assert_eq!(parameter(value, "charset").as_deref(), want, "{value}");
        }
    }
}
