//! Twilio: HMAC-SHA1 over the URL and the form's fields sorted by name, the values of a repeated name unique
//! and sorted; a body of another type is bound by `bodySHA256` in the signed query (Twilio's own libraries).

use super::encoding::Encoding;
use super::signature::Failure;
use super::special::{Claim, Claims};
use crate::codes;
use crate::model::Request;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeSet;
use subtle::ConstantTimeEq;

/// What Node's `querystring` escapes, with which Twilio's library writes a query anew.
const ESCAPED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*');

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
    let mut contents: Vec<Vec<Cow<'a, [u8]>>> = urls(&request.url)
        .into_iter()
        .map(|url| vec![Cow::Owned(url.into_bytes())])
        .collect();
    // All but the last get a copy.
    if let Some((last, others)) = contents.split_last_mut().filter(|_| !fields.is_empty()) {
        for content in others {
            content.push(Cow::Owned(fields.clone()));
        }
        last.push(Cow::Owned(fields));
    }
    let claims = vec![Claim {
        signatures,
        contents,
    }];
    Ok(Claims { claims, failure })
}

fn sorted_fields(body: &[u8]) -> Vec<u8> {
    let mut fields: Vec<_> = form_urlencoded::parse(body).collect();
    fields.sort_unstable();
    fields.dedup();
    let mut out = Vec::with_capacity(body.len());
    for (name, value) in &fields {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    out
}

/// What Twilio's servers may have signed, as its library tries: the URL as it is, then as a browser would write
/// it, then with its query encoded anew; each as it is, and without or with its port.
fn urls(url: &str) -> Vec<String> {
    let urls = with_and_without_port(url);
    if is_plain(url) {
        return urls;
    }
    all_forms(url, urls)
}

/// Whether a URL is written as a browser would write it, and its query as if encoded anew, so that there is no other
/// form of it. False for some that are.
fn is_plain(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://") else {
        return false;
    };
    let (head, query) = rest
        .split_once('?')
        .map_or((rest, None), |(head, query)| (head, Some(query)));
    let Some((host, path)) = head.split_once('/') else {
        return false;
    };
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let plain_label = |label: &str| {
        label.starts_with(|c: char| c.is_ascii_lowercase())
            && !label.starts_with("xn--")
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    // A segment that begins with a dot may be one that goes up.
    let plain_path = path.bytes().all(|b| unreserved(b) || b == b'/')
        && !path.contains("/.")
        && !path.starts_with('.');
    host.split('.').all(plain_label)
        && plain_path
        && query.is_none_or(|query| {
            let pair = query.split_once('=');
            // One pair: of several, those of one name would be put side by side.
            pair.is_some_and(|(name, value)| name.bytes().chain(value.bytes()).all(unreserved))
        })
}

/// `urls`, and those of the other forms.
fn all_forms(url: &str, mut urls: Vec<String>) -> Vec<String> {
    if let Ok(parsed) = url::Url::parse(url) {
        let normal = parsed.to_string();
        let more = [re_encoded(&normal), Some(normal)];
        urls.extend(
            more.into_iter()
                .flatten()
                .flat_map(|url| with_and_without_port(&url)),
        );
    }
    let mut seen = BTreeSet::new();
    urls.retain(|url| seen.insert(url.clone()));
    urls
}

/// As it is, without its port, and with the one that its scheme implies.
fn with_and_without_port(url: &str) -> Vec<String> {
    let mut urls = vec![url.to_owned()];
    let Some((scheme, rest)) = url.split_once("://") else {
        return urls;
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let host_start = authority.rfind('@').map_or(0, |at| at + 1);
    let host_end = authority.rfind(']').map_or(host_start, |at| at + 1);
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

/// The URL with its query decoded and encoded again, values of one name side by side.
fn re_encoded(url: &str) -> Option<String> {
    let (head, query) = url.split_once('?').filter(|(_, q)| !q.is_empty())?;
    let mut fields: indexmap::IndexMap<Cow<'_, str>, Vec<Cow<'_, str>>> = indexmap::IndexMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        fields.entry(name).or_default().push(value);
    }
    let escape = |text: &str| percent_encoding::utf8_percent_encode(text, ESCAPED).to_string();
    let pairs: Vec<_> = fields
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |value| (name, value)))
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect();
    Some(format!("{head}?{}", pairs.join("&")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_url_with_and_without_its_port() {
        for (url, other) in [
            ("https://a.example/x?y=1", "https://a.example:443/x?y=1"),
            ("http://a.example", "http://a.example:80"),
            ("https://a.example:8443/x", "https://a.example/x"),
            ("https://[::1]/x", "https://[::1]:443/x"),
            ("https://[::1]:8443/x", "https://[::1]/x"),
        ] {
            assert_eq!(with_and_without_port(url), [url, other]);
        }
        assert_eq!(urls("x"), ["x"]);
        assert_eq!(urls("https://a.example/x?y=1").len(), 2);
        let more = urls("https://u:p@a.example/x?y='a b'&z=%2a&y=+");
        assert!(more.contains(&"https://u:p@a.example:443/x?y='a b'&z=%2a&y=+".to_owned()));
        assert!(more.contains(&"https://u:p@a.example/x?y=%27a%20b%27&z=%2a&y=+".to_owned()));
        assert!(more.contains(&"https://u:p@a.example/x?y='a%20b'&y=%20&z=*".to_owned()));
        assert_eq!(more.len(), 6);
    }

    #[test]
    fn a_plain_url_has_no_other_form() {
        let hook = "https://hooks.example.com/hooks/x_Y-1.z";
        assert!(is_plain(hook));
        assert!(is_plain(&format!("{hook}?bodySHA256=0a1b")));
        for other in [
            "http://a.example/x",
            "https://a.example",
            "https://A.example/x",
            "https://a.example:443/x",
            "https://u@a.example/x",
            "https://1.2/x",
            "https://a.0x1/x",
            "https://xn--a.example/x",
            "https://a.example/x/../y",
            "https://a.example/.",
            "https://a.example/%41",
            "https://a.example/x?",
            "https://a.example/x?a",
            "https://a.example/x?a=b+c",
            "https://a.example/x?a=1&b=2",
            "https://a.example/x?a=b=c",
            "https://a.example/x#y",
        ] {
            assert!(!is_plain(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn the_short_way_leads_where_the_long_one_does(
            url in "https://[a-z0-9.-]{1,6}(/[a-z.~_]{0,3}){0,3}(\\?[a-c=&.~'%+]{0,6})?"
        ) {
            let short = with_and_without_port(&url);
            if is_plain(&url) {
                prop_assert_eq!(all_forms(&url, short.clone()), short);
            }
        }
    }

    #[test]
    fn fields_sorted_and_unique() {
        let bytes = sorted_fields(b"b=2&a=z&a=1&a=z&B=+&c=");
        assert_eq!(bytes, b"B a1azb2c");
    }
}
