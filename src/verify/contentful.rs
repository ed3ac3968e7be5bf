//! Contentful: HMAC-SHA256 over method, path, the headers that a header lists, and body, a line each
//! (@contentful/node-apps-toolkit). The list must name itself and the timestamp.

use super::encoding::Encoding;
use super::signature::Failure;
use super::special::{Claim, Claims};
use crate::codes;
use crate::model::Request;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::borrow::Cow;

/// The header with the list of signed headers.
pub(super) const LIST: &str = "x-contentful-signed-headers";
/// The header with the time, milliseconds.
pub(super) const TIME: &str = "x-contentful-timestamp";
/// Headers in the list at most.
const HEADERS_MAX: usize = 50;

/// What JavaScript's `encodeURIComponent` leaves alone.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// What its `encodeURI` leaves alone besides.
const URI: &AsciiSet = &COMPONENT
    .remove(b';')
    .remove(b',')
    .remove(b'/')
    .remove(b'?')
    .remove(b':')
    .remove(b'@')
    .remove(b'&')
    .remove(b'=')
    .remove(b'+')
    .remove(b'$')
    .remove(b'#');

/// `signature`: the header's values.
pub(super) fn claims<'a>(
    request: &'a Request,
    signature: &[Cow<'a, str>],
) -> Result<Claims<'a>, Failure> {
    let malformed = |message: &str| (codes::CREDENTIAL_MALFORMED, message.to_owned());
    let Some(list) = request.headers.text(LIST) else {
        let message = format!("the request has no header {LIST}");
        return Err((codes::CREDENTIAL_MISSING, message));
    };
    let mut names: Vec<String> = list
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    names.sort();
    if names.len() > HEADERS_MAX {
        return Err(malformed("the list of signed headers is too long"));
    }
    if ![LIST, TIME]
        .iter()
        .all(|must| names.iter().any(|name| name == must))
    {
        return Err(malformed(
            "the list of signed headers names not itself or not the timestamp",
        ));
    }
    let mut head = [request.method.as_str(), "\n", &path(&request.url), "\n"].concat();
    for (at, name) in names.iter().enumerate() {
        let mut values = request
            .headers
            .all(name)
            .map(crate::model::request::header_text);
        let value = values.next().unwrap_or_default();
        if values.next().is_some() {
            return Err(malformed("a signed header arrives more than once"));
        }
        let mark = if at > 0 { ";" } else { "" };
        head.extend([mark, name, ":", value.trim()]);
    }
    head.push('\n');
    let signatures = signature
        .iter()
        .filter_map(|text| Some((None, Encoding::Hex.decode(text)?)))
        .collect();
    Ok(Claims::one(Claim {
        signatures,
        contents: vec![vec![
            Cow::Owned(head.into_bytes()),
            Cow::Borrowed(request.wire_body.as_ref()),
        ]],
    }))
}

/// The path of a URL as the toolkit has it: the query escaped as one component, then all as a URI.
fn path(url: &str) -> Cow<'_, str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
    match path.split_once('?') {
        None | Some((_, "")) => utf8_percent_encode(path.trim_end_matches('?'), URI).into(),
        Some((path, query)) => {
            let query = utf8_percent_encode(query, COMPONENT);
            let whole = format!("{path}?{query}");
            Cow::Owned(utf8_percent_encode(&whole, URI).to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_query_is_escaped_once_more() {
        for (url, want) in [
            (
                "https://a.example/x?a=1&b=%20'",
                "/x?a%253D1%2526b%253D%252520'",
            ),
            ("https://a.example/x?", "/x"),
            ("https://a.example", "/"),
        ] {
            assert_eq!(super::path(url), want);
        }
    }
}
