//! The `.http` form of a request: request line, headers, a blank line, then the body byte for byte.
//!
//! It is what samples and tests are written in, and what the log keeps (with credentials masked),
//! so that a stored request can be read by people and translated again.

use super::{Headers, Request, Slug};
use bytes::Bytes;
use jiff::Timestamp;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use thiserror::Error;

/// Stands for a masked value.
pub const MASK: &[u8] = b"***";
/// Stands for the slug.
pub const SLUG_MASK: &str = "{slug}";

/// Why bytes are no request, with the line from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HttpFileError {
    /// The first line is not `METHOD PATH`.
    #[error("line 1 must be a request line such as `POST /hooks/x HTTP/1.1`")]
    RequestLine,
    /// A header line without a colon.
    #[error(
        "line {0} must be a header such as `Content-Type: application/json`, or empty before the body"
    )]
    Header(usize),
}

/// What must not be kept of a request, beside `Authorization`, `Proxy-Authorization` and `Cookie`.
#[derive(Debug, Clone, Default)]
pub struct Masking {
    /// Lower-case names of headers that carry a configured credential.
    pub headers: Vec<String>,
    /// Names of query parameters that carry one, beside `access_token`.
    pub query: Vec<String>,
    /// Slugs of the webhook, besides the one that is given when it is applied.
    pub slugs: Vec<Slug>,
    /// Where tokens are in the body, as the steps of JSON pointers (`*`: every item) or names of form fields: what is
    /// made of the body does not show them. The body that is kept stays byte for byte.
    pub body: Vec<Vec<String>>,
    /// Whether what follows the slug in the path is one.
    pub path: bool,
}

/// Headers whose value is always masked.
const CREDENTIAL_HEADERS: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];

/// A request as it is kept, and what was masked in it.
#[derive(Debug, Clone)]
pub struct Masked {
    /// The `.http` form.
    pub bytes: Vec<u8>,
    /// `header authorization`, `query access_token`, …
    pub masked: Vec<String>,
}

impl Masking {
    /// Whether a header (lower-case name) is a credential.
    #[must_use]
    pub fn hides_header(&self, name: &str) -> bool {
        CREDENTIAL_HEADERS.contains(&name) || self.headers.iter().any(|h| h == name)
    }

    /// Whether a query parameter is a credential.
    #[must_use]
    pub fn hides_query(&self, name: &str) -> bool {
        name == "access_token" || self.query.iter().any(|q| q == name)
    }

    /// The path behind the slug, without a credential.
    #[must_use]
    pub fn path<'p>(&self, path: &'p str) -> &'p str {
        if self.path && !path.is_empty() {
            "/***"
        } else {
            path
        }
    }

    /// The query with credentials replaced by `***`, and their names. Pairs are otherwise as sent.
    #[must_use]
    pub fn query(&self, query: &str) -> (String, Vec<String>) {
        let mut hidden = Vec::new();
        let pairs = query.split('&').map(|pair| {
            let raw = pair.split('=').next().unwrap_or("");
            let name = form_urlencoded::parse(raw.as_bytes())
                .next()
                .map_or_else(String::new, |(n, _)| n.into_owned());
            if self.hides_query(&name) {
                hidden.push(format!("query {name}"));
                format!("{raw}=***")
            } else {
                pair.to_owned()
            }
        });
        let masked = pairs.collect::<Vec<_>>().join("&");
        (masked, hidden)
    }

    /// The `.http` form of a request with credentials masked; the slug becomes `{slug}` wherever it stands in
    /// the head. The body stays byte for byte.
    #[must_use]
    pub fn apply(&self, request: &Request, slug: &Slug) -> Masked {
        let (query, mut masked) = self.query(&request.query);
        let mut bytes = Vec::with_capacity(request.wire_body.len() + 1024);
        let mark = if query.is_empty() { "" } else { "?" };
        let line = format!(
            "{} /hooks/{SLUG_MASK}{}{mark}{query} HTTP/1.1\r\n",
            request.method,
            self.path(&request.path)
        );
        if self.path && !request.path.is_empty() {
            masked.push("path".to_owned());
        }
        self.extend_without_slugs(&mut bytes, line.as_bytes(), slug);
        for (name, value) in request.headers.iter() {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            if self.hides_header(name) {
                masked.push(format!("header {name}"));
                bytes.extend_from_slice(MASK);
            } else {
                self.extend_without_slugs(&mut bytes, value, slug);
            }
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&request.wire_body);
        masked.dedup();
        Masked { bytes, masked }
    }
}

impl Masking {
    /// A header's value with `{slug}` for the webhook's slugs: proxies put the URL into headers.
    #[must_use]
    pub fn without_slugs<'v>(&self, value: &'v [u8]) -> Cow<'v, [u8]> {
        let mut value = Cow::Borrowed(value);
        for slug in &self.slugs {
            if let Some(without) = without_slug(&value, slug.expose().as_bytes()) {
                value = Cow::Owned(without);
            }
        }
        value
    }

    fn extend_without_slugs(&self, out: &mut Vec<u8>, value: &[u8], slug: &Slug) {
        let value = self.without_slugs(value);
        match without_slug(&value, slug.expose().as_bytes()) {
            Some(without) => out.extend_from_slice(&without),
            None => out.extend_from_slice(&value),
        }
    }
}

/// A text with `{slug}` for a safe slug that occurs in it; none where none does.
fn without_slug(text: &[u8], slug: &[u8]) -> Option<Vec<u8>> {
    // A short slug may be an ordinary word, and is no secret worth the name.
    if slug.len() < super::limits::SLUG_CHARS_SAFE || text.len() < slug.len() {
        return None;
    }
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(slug.len()).position(|window| window == slug) {
        let (before, after) = rest.split_at(at);
        out.extend_from_slice(before);
        out.extend_from_slice(SLUG_MASK.as_bytes());
        rest = after.get(slug.len()..).unwrap_or(&[]);
    }
    if out.is_empty() {
        return None;
    }
    out.extend_from_slice(rest);
    Some(out)
}

/// Reads the `.http` form. Line ends may be LF or CRLF; the path may be `/hooks/<slug>/more?query` or a URL.
///
/// The result has no client address (127.0.0.1) and takes `received` as its time. `body` equals `wire_body`.
///
/// # Errors
/// Says which line is not what it must be.
pub fn parse(bytes: &[u8], received: Timestamp) -> Result<Request, HttpFileError> {
    let mut rest = bytes;
    let line = next_line(&mut rest);
    let line = std::str::from_utf8(line).map_err(|_| HttpFileError::RequestLine)?;
    let mut words = line.split_ascii_whitespace();
    let method = words
        .next()
        .filter(|m| m.chars().all(|c| c.is_ascii_alphabetic()))
        .ok_or(HttpFileError::RequestLine)?;
    let target = words.next().ok_or(HttpFileError::RequestLine)?;
    let mut headers = Headers::new();
    let mut number = 1;
    while !rest.is_empty() {
        number += 1;
        let line = next_line(&mut rest);
        if line.is_empty() {
            break;
        }
        let colon = line
            .iter()
            .position(|b| *b == b':')
            .ok_or(HttpFileError::Header(number))?;
        let (name, value) = line.split_at(colon);
        let name = std::str::from_utf8(name)
            .ok()
            .map(str::trim)
            .filter(|n| !n.is_empty() && !n.contains(' '));
        headers.push(
            name.ok_or(HttpFileError::Header(number))?,
            value.get(1..).unwrap_or(&[]).trim_ascii(),
        );
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let body = Bytes::copy_from_slice(rest);
    Ok(Request {
        method: method.to_ascii_uppercase(),
        path: after_slug(path),
        query: query.to_owned(),
        url: url_of(target, &headers),
        headers,
        wire_body: body.clone(),
        body,
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        received,
    })
}

/// What follows the slug in a path or URL.
fn after_slug(path: &str) -> String {
    let tail = path.split_once("/hooks/").map_or("", |(_, tail)| tail);
    tail.find('/')
        .and_then(|at| tail.get(at..))
        .unwrap_or("")
        .to_owned()
}

fn url_of(target: &str, headers: &Headers) -> String {
    if target.starts_with("http://") || target.starts_with("https://") {
        return target.to_owned();
    }
    let host = headers.text("host").unwrap_or_else(|| "localhost".into());
    format!("http://{host}{target}")
}

fn next_line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest.iter().position(|b| *b == b'\n');
    let (line, tail) = match end {
        Some(at) => (rest.get(..at), rest.get(at + 1..)),
        None => (Some(*rest), None),
    };
    *rest = tail.unwrap_or(&[]);
    let line = line.unwrap_or(&[]);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] =
        b"POST /hooks/AERylZuewzpDx8fcweHQ3k/more?a=1&access_token=fake&b=AERylZuewzpDx8fcweHQ3k HTTP/1.1\nAuthorization: Bearer fake\nX-Shop-Token: fake\nX-Original-URL: /hooks/AERylZuewzpDx8fcweHQ3k, /hooks/oldSlugOfTheSameWebhook\r\n\r\n\x00line\nline";

    #[test]
    fn read_and_kept_without_credentials() {
        let request = parse(FILE, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/more")
        );
        assert_eq!(&request.body[..], b"\x00line\nline");
        let slug = Slug::parse("AERylZuewzpDx8fcweHQ3k").unwrap();
        let masking = Masking {
            headers: vec!["x-shop-token".into()],
            slugs: vec![Slug::parse("oldSlugOfTheSameWebhook").unwrap()],
            ..Masking::default()
        };
        let kept = masking.apply(&request, &slug);
        let text = String::from_utf8_lossy(&kept.bytes);
        assert!(!text.contains("fake") && !text.contains("AERyl"), "{text}");
        assert!(!text.contains("oldSlug"), "{text}");
        assert!(
            text.starts_with("POST /hooks/{slug}/more?a=1&access_token=***&b={slug} HTTP/1.1\r\n"),
            "{text}"
        );
        assert_eq!(
            kept.masked,
            [
                "query access_token",
                "header authorization",
                "header x-shop-token"
            ]
        );
        let again = parse(&kept.bytes, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(
            (again.path, again.wire_body),
            (request.path, request.wire_body)
        );
    }

    #[test]
    fn wrong_lines_are_named() {
        let error = |bytes: &[u8]| parse(bytes, Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(error(b""), HttpFileError::RequestLine);
        assert_eq!(error(b"POST\n"), HttpFileError::RequestLine);
        assert_eq!(
            error(b"POST /x\nHost: a\nno colon\n\n"),
            HttpFileError::Header(3)
        );
    }
}
