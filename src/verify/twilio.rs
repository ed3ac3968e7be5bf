//! Twilio: HMAC-SHA1 over the URL and the form's fields sorted by name, the values of a repeated name unique
//! and sorted; a body of another type is bound by `bodySHA256` in the signed query (Twilio's own libraries).

use super::encoding::Encoding;
use super::signature::Failure;
use super::special::{Claim, Claims};
use crate::codes;
use crate::model::Request;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use subtle::ConstantTimeEq;

const FORM: &str = "application/x-www-form-urlencoded";

/// `signature`: the header's values.
pub(super) fn claims<'a>(
    request: &'a Request,
    signature: &[Cow<'a, str>],
) -> Result<Claims<'a>, Failure> {
    let hashes: Vec<_> = request
        .query_pairs()
        .filter(|(name, _)| name == "bodySHA256")
        .map(|(_, value)| value)
        .collect();
    let mut failure = None;
    let fields = match hashes.as_slice() {
        [] if request.wire_body.is_empty() => Vec::new(),
        [] if request.media_type() == FORM => sorted_fields(&request.wire_body),
        [] => {
            let message =
                "the body is no form, and the URL has no bodySHA256 that would cover it".to_owned();
            return Err((codes::CREDENTIAL_MISSING, message));
        }
        [hash] => {
            let right = Encoding::Hex.decode(hash).is_some_and(|hash| {
                bool::from(hash.as_slice().ct_eq(&Sha256::digest(&request.wire_body)))
            });
            if !right {
                let message = "the body does not have the hash that bodySHA256 names".to_owned();
                failure = Some((codes::SIGNATURE_MISMATCH, message));
            }
            Vec::new()
        }
        _ => {
            let message = "query bodySHA256 arrives more than once".to_owned();
            return Err((codes::CREDENTIAL_MALFORMED, message));
        }
    };
    let signatures = signature
        .iter()
        .filter_map(|text| Some((None, Encoding::Base64.decode(text)?)))
        .collect();
    let contents = urls(&request.url)
        .into_iter()
        .map(|url| vec![Cow::Owned(url.into_bytes()), Cow::Owned(fields.clone())])
        .collect();
    let claims = vec![Claim {
        signatures,
        contents,
    }];
    Ok(Claims { claims, failure })
}

fn sorted_fields(body: &[u8]) -> Vec<u8> {
    let mut fields: BTreeMap<Cow<'_, str>, BTreeSet<Cow<'_, str>>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(body) {
        fields.entry(name).or_default().insert(value);
    }
    let mut out = Vec::with_capacity(body.len());
    for (name, values) in &fields {
        for value in values {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(value.as_bytes());
        }
    }
    out
}

/// The URL as it is, without its port, and with the one that its scheme implies: Twilio does either.
fn urls(url: &str) -> Vec<String> {
    let mut urls = vec![url.to_owned()];
    let Some((scheme, rest)) = url.split_once("://") else {
        return urls;
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let host_end = authority.rfind(']').map_or(0, |at| at + 1);
    let port_at = authority.get(host_end..).and_then(|rest| rest.find(':'));
    match port_at.and_then(|at| authority.get(..host_end + at)) {
        Some(host) => urls.push(format!("{scheme}://{host}{tail}")),
        None => {
            let port = if scheme == "https" { 443 } else { 80 };
            urls.push(format!("{scheme}://{authority}:{port}{tail}"));
        }
    }
    urls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_and_without_its_port() {
        for (url, other) in [
            ("https://a.example/x?y=1", "https://a.example:443/x?y=1"),
            ("http://a.example", "http://a.example:80"),
            ("https://a.example:8443/x", "https://a.example/x"),
            ("https://[::1]/x", "https://[::1]:443/x"),
            ("https://[::1]:8443/x", "https://[::1]/x"),
        ] {
            assert_eq!(urls(url), [url, other]);
        }
        assert_eq!(urls("x"), ["x"]);
    }

    #[test]
    fn fields_sorted_and_unique() {
        let bytes = sorted_fields(b"b=2&a=z&a=1&a=z&B=+&c=");
        assert_eq!(bytes, b"B a1azb2c");
    }
}
