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
    let value = |name: &str| -> Vec<&str> {
        let pairs = text
            .split(',')
            .filter_map(|pair| pair.trim().split_once('='));
        let found = pairs.filter(|(key, _)| *key == name);
        found.map(|(_, value)| value).take(SIGNATURES_MAX).collect()
    };
    let malformed = |message: &str| (codes::CREDENTIAL_MALFORMED, message.to_owned());
    let (times, names) = (value("t"), value("h"));
    let [time] = times.as_slice() else {
        return Err(malformed("the signature header has not one t="));
    };
    let (version, middle) = match names.as_slice() {
        [] => ("v0", String::new()),
        [names] => ("v1", header_values(request, names)?),
        _ => return Err(malformed("the signature header has more than one h=")),
    };
    let received = value(version);
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
            Cow::Owned(format!("{time}.{middle}").into_bytes()),
            Cow::Borrowed(request.wire_body.as_ref()),
        ]],
    }))
}

/// `names.values.`, the values of the headers in the order of their names, joined by dots.
fn header_values(request: &Request, names: &str) -> Result<String, Failure> {
    let list: Vec<&str> = names.split(' ').collect();
    let malformed = |message: &str| (codes::CREDENTIAL_MALFORMED, message.to_owned());
    if list.len() > HEADERS_MAX {
        return Err(malformed("h= names too many headers"));
    }
    let mut values = Vec::with_capacity(list.len());
    for name in &list {
        let name = name.to_ascii_lowercase();
        let mut found = request.headers.all(&name);
        let value = found.next().ok_or_else(|| {
            let message = format!("the request has no header {name}, which h= names");
            (codes::CREDENTIAL_MISSING, message)
        })?;
        if found.next().is_some() {
            return Err(malformed("a signed header arrives more than once"));
        }
        values.push(crate::model::request::header_text(value).into_owned());
    }
    Ok(format!("{names}.{}.", values.join(".")))
}
