//! Forms of pages: what they send, and that they are ours.
//!
//! A form cannot send JSON, which is what keeps other sites from changing anything through the API. So each
//! of our forms holds a token that only our pages know, besides coming from our own origin (see `guard`).

use crate::admin::api::body;
use crate::admin::problem::ApiError;
use crate::codes;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Bytes of a form at most.
const FORM_BYTES_MAX: usize = 1024 * 1024;
/// Name of the field with the token.
pub(super) const TOKEN_FIELD: &str = "form_token";

/// The token of this process's pages.
pub(super) struct FormToken(String);

impl std::fmt::Debug for FormToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FormToken(***)")
    }
}

impl FormToken {
    pub(super) fn new() -> Self {
        Self(hex::encode(rand::random::<[u8; 16]>()))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    fn is(&self, given: &str) -> bool {
        let (known, given) = (Sha256::digest(&self.0), Sha256::digest(given));
        known.ct_eq(&given).into()
    }
}

/// The fields of a form that was one of ours.
#[derive(Debug)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a form.
    ///
    /// # Errors
    /// 415 for what is no form, 413 and 408 past the limits, 403 `HG0805` without the token.
    pub(super) async fn read(
        request: &HttpRequest,
        payload: web::Payload,
        token: &FormToken,
    ) -> Result<Self, ApiError> {
        let sent = request.headers().get(header::CONTENT_TYPE);
        let media_type = sent.and_then(|value| value.to_str().ok()).unwrap_or("");
        if crate::model::request::media_type(media_type) != "application/x-www-form-urlencoded" {
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                codes::API_INVALID,
                "this address takes the form of a page; programs use /api/v1",
            ));
        }
        let bytes = body::bytes(payload, FORM_BYTES_MAX).await?;
        let fields: Vec<(String, String)> = form_urlencoded::parse(&bytes).into_owned().collect();
        let form = Self(fields);
        if form.get(TOKEN_FIELD).is_some_and(|given| token.is(given)) {
            return Ok(form);
        }
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            codes::API_CROSS_SITE,
            "the form is not of a page of this process: hookgate may have been restarted since; go back, \
             reload the page and send it again",
        ))
    }

    /// A field that holds something.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter();
        let (_, value) = fields.find(|(given, _)| given == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// All values of a field.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.0.iter().filter(|(given, _)| given == name);
        fields.map(|(_, value)| value.as_str()).collect()
    }
}

/// 303: after a form, a browser goes to a page with GET. Only addresses here are gone to.
pub(super) fn see_other(address: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, local(address)))
        .finish()
}

/// The address, if it is one of ours; else that of the feed.
pub(super) fn local(address: &str) -> &str {
    let ours = address.starts_with('/')
        && !address.starts_with("//")
        && address.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if ours { address } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_here() {
        assert_eq!(local("/?q=a%20b"), "/?q=a%20b");
        for away in [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "",
            "/a\r\nb",
            "/ä",
        ] {
            assert_eq!(local(away), "/");
        }
    }

    #[test]
    fn tokens_differ_and_do_not_print() {
        let (one, two) = (FormToken::new(), FormToken::new());
        assert!(one.is(one.text()) && !one.is(two.text()) && !one.is(""));
        assert!(!format!("{one:?}").contains(one.text()));
    }
}
