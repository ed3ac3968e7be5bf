//! Plivo, version 3: HMAC-SHA256 over the URL with its query decoded and sorted, the form's fields sorted by name,
//! and a nonce (Plivo's own libraries). The values of one name are sorted, not made unique.

use super::encoding::Encoding;
use super::signature::Failure;
use super::special::{Claim, Claims};
use crate::codes;
use crate::model::Request;
use crate::verify::Source;
use std::borrow::Cow;

const FORM: &str = "application/x-www-form-urlencoded";
pub(super) const NONCE: &str = "x-plivo-signature-v3-nonce";
const NONCE_MAIN: &str = "x-plivo-signature-ma-v3-nonce";

/// `signature`: the values of the header's list.
pub(super) fn claims<'a>(
    request: &'a Request,
    signature: &[Cow<'a, str>],
) -> Result<Claims<'a>, Failure> {
    let nonce = [NONCE, NONCE_MAIN]
        .into_iter()
        .map(|name| Source::Header(name.to_owned()).read(request))
        .find(|values| !values.is_empty())
        .ok_or_else(|| {
            let message = format!("the request has no header {NONCE}");
            (codes::CREDENTIAL_MISSING, message)
        })?;
    if nonce.windows(2).any(|pair| pair.first() != pair.last()) {
        let message = format!("header {NONCE} arrives more than once with different values");
        return Err((codes::CREDENTIAL_MALFORMED, message));
    }
    let fields = match request.wire_body.as_ref() {
        [] => Vec::new(),
        body if request.media_type() == FORM => form_urlencoded::parse(body).collect(),
        _ => {
            let message = "the body is no form, which is all that Plivo signs".to_owned();
            return Err((codes::CREDENTIAL_MISSING, message));
        }
    };
    let signatures = signature
        .iter()
        .filter_map(|text| Some((None, Encoding::Base64.decode(text)?)))
        .collect();
    let url = signed_url(&request.url, fields);
    let nonce = nonce.into_iter().next().unwrap_or_default().into_owned();
    let content: Vec<Cow<'a, [u8]>> = vec![
        Cow::Owned(url.into_bytes()),
        Cow::Borrowed(b"."),
        Cow::Owned(nonce.into_bytes()),
    ];
    Ok(Claims::one(Claim {
        signatures,
        contents: vec![content],
    }))
}

type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// `URL?a=1&b=2.` and the fields, without the stop where there is no query; the question mark alone where there are
/// fields and no query.
fn signed_url(url: &str, mut fields: Pairs<'_>) -> String {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let query = query.split('#').next().unwrap_or("");
    let mut pairs: Pairs<'_> = form_urlencoded::parse(query.as_bytes()).collect();
    pairs.sort();
    fields.sort();
    let mut out = base.to_owned();
    if !pairs.is_empty() || !fields.is_empty() {
        out.push('?');
    }
    let query: Vec<_> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
    out.push_str(&query.join("&"));
    if !pairs.is_empty() && !fields.is_empty() {
        out.push('.');
    }
    for (name, value) in &fields {
        out.push_str(name);
        out.push_str(value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_and_the_fields() {
        let pairs = |text: &'static str| form_urlencoded::parse(text.as_bytes()).collect();
        for (url, form, want) in [
            ("https://h/x", "", "https://h/x"),
            ("https://h/x?b=%20&a=2", "", "https://h/x?a=2&b= "),
            ("https://h/x", "B=1&a=2", "https://h/x?B1a2"),
            ("https://h/x?q=1", "a=2&a=1&a=2", "https://h/x?q=1.a1a2a2"),
        ] {
            assert_eq!(signed_url(url, pairs(form)), want);
        }
    }
}
