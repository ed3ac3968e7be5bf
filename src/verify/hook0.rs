//! Hook0 (Coinbase's developer platform among its senders): `X-Hook0-Signature: t=…[,v0=…][,h=names,v1=…]`;
//! v1 covers the values of the headers that `h` names, v0 none (Hook0's output worker).

use super::encoding::Encoding;
use super::signature::Failure;
use super::special::{Claim, Claims};
use crate::codes;
use crate::model::Request;
use crate::model::limits::SIGNATURES_MAX;
use std::borrow::Cow;

/// Headers that `h` names at most.
const HEADERS_MAX: usize = 50;

/// `signature`: the header's values, uncut.
pub(super) fn claims<'a>(
    request: &'a Request,
    signature: &[Cow<'a, str>],
) -> Result<Claims<'a>, Failure> {
    let text = signature.first().map_or("", |text| text.as_ref());
    let (mut times, mut names) = (Vec::with_capacity(1), Vec::with_capacity(1));
    let (mut v0, mut v1) = (Vec::new(), Vec::new());
    for pair in text.split(',') {
        let (key, value) = pair.trim().split_once('=').unwrap_or_default();
        let values = match key {
            "t" => &mut times,
            "h" => &mut names,
            "v0" => &mut v0,
            "v1" => &mut v1,
            _ => continue,
        };
        if values.len() < SIGNATURES_MAX {
            values.push(value);
        }
    }
    let malformed = |message: &str| (codes::CREDENTIAL_MALFORMED, message.to_owned());
    let [time] = times.as_slice() else {
        return Err(malformed("the signature header has not one t="));
    };
    let (received, middle) = match names.as_slice() {
        [] => (v0, String::new()),
        [names] => (v1, header_values(request, names)?),
        _ => return Err(malformed("the signature header has more than one h=")),
    };
    if received.is_empty() {
        return Err(malformed(
            "the signature header has neither v0= nor h= with v1=",
        ));
    }
    let signatures = received
        .iter()
        .filter_map(|text| Some((None, Encoding::Hex.decode(text)?)))
        .collect();
    Ok(Claims::one(Claim {
        signatures,
        contents: vec![vec![
            Cow::Owned([time, ".", &middle].concat().into_bytes()),
            Cow::Borrowed(request.wire_body.as_ref()),
        ]],
    }))
}

/// `names.values.`, the values of the headers in the order of their names, joined by dots.
fn header_values(request: &Request, names: &str) -> Result<String, Failure> {
    let malformed = |message: &str| (codes::CREDENTIAL_MALFORMED, message.to_owned());
    if names.split(' ').count() > HEADERS_MAX {
        return Err(malformed("h= names too many headers"));
    }
    let mut out = [names, "."].concat();
    for name in names.split(' ') {
        let name = name.to_ascii_lowercase();
        let mut found = request.headers.all(&name);
        let value = found.next().ok_or_else(|| {
            let message = format!("the request has no header {name}, which h= names");
            (codes::CREDENTIAL_MISSING, message)
        })?;
        if found.next().is_some() {
            return Err(malformed("a signed header arrives more than once"));
        }
        out.extend([&crate::model::request::header_text(value), "."]);
    }
    Ok(out)
}
