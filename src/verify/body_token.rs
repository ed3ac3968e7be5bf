//! A token in the JSON body: it must equal the secret, in every item where the pointer goes through a list.

use super::report::{self, Report};
use super::signature::{Failure, refuse};
use super::spec::BodyTokenSpec;
use super::value::form_fields;
use super::{DatedSecret, SchemeError, Verdict};
use crate::codes;
use crate::model::Request;
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::hint::black_box;
use subtle::{Choice, ConstantTimeEq};

/// The scheme with the digests of its secrets.
pub(super) struct BodyTokenVerifier {
    spec: BodyTokenSpec,
    secrets: Vec<([u8; 32], Option<Timestamp>)>,
}

/// Items that are looked at.
const ITEMS_MAX: usize = crate::model::limits::EVENTS_PER_REQUEST_MAX;

impl BodyTokenVerifier {
    #[allow(clippy::unnecessary_wraps, reason = "every scheme compiles alike")]
    pub(super) fn compile(
        spec: &BodyTokenSpec,
        secrets: &[DatedSecret],
    ) -> Result<Self, SchemeError> {
        let digest = |secret: &DatedSecret| {
            let digest = Sha256::digest(secret.secret.expose().as_bytes());
            (digest.into(), secret.until)
        };
        Ok(Self {
            spec: spec.clone(),
            secrets: secrets.iter().map(digest).collect(),
        })
    }

    /// Every token in the body.
    fn found(&self, request: &Request, label: &str) -> Result<Vec<String>, Failure> {
        let missing = |message: String| (codes::CREDENTIAL_MISSING, message);
        let found: Vec<String> = if self.spec.tokens.is_empty() {
            let fields = form_fields(request, &self.spec.text).into_iter();
            let found: Vec<_> = fields.map(std::borrow::Cow::into_owned).collect();
            if found.is_empty() || found.iter().any(String::is_empty) {
                let message = format!("{label} is absent or empty, or the body is no form");
                return Err(missing(message));
            }
            found
        } else {
            let body: Value = serde_json::from_slice(&request.body)
                .map_err(|_| missing(format!("{label} is absent: the body is not JSON")))?;
            let mut found = Vec::new();
            if !collect(&body, &self.spec.tokens, &mut found) || found.is_empty() {
                let message = format!("{label} is absent, in the body or in one of its items");
                return Err(missing(message));
            }
            found.into_iter().map(str::to_owned).collect()
        };
        if found.len() > ITEMS_MAX {
            let message = format!("{label} has more than {ITEMS_MAX} values");
            return Err((codes::CREDENTIAL_MALFORMED, message));
        }
        Ok(found)
    }

    pub(super) fn verify(&self, request: &Request, now: Timestamp) -> Verdict {
        let mut report = Report::new("body-token");
        let label = match self.spec.tokens.is_empty() {
            true => format!("form field {}", self.spec.text),
            false => format!("body {}", self.spec.text),
        };
        let found = match self.found(request, &label) {
            Ok(found) => found,
            Err((code, message)) => {
                black_box(self.is_right("", now));
                report.fail(label.as_str(), message.as_str());
                return refuse(report, code, message);
            }
        };
        let mut wrong = None;
        for (number, text) in (1..).zip(&found) {
            if !self.is_right(text, now) && wrong.is_none() {
                wrong = Some(number);
            }
        }
        let total = found.len();
        match wrong {
            None => {
                report.pass("token", format!("{total} of {total} equal the secret"));
                report.verified()
            }
            Some(number) => {
                let message =
                    format!("the token in {label}, {number} of {total}, is not the configured one");
                report.fail("token", message.as_str());
                report.refused(codes::TOKEN_MISMATCH, message, report::HELP_TOKEN)
            }
        }
    }
}

impl BodyTokenVerifier {
    /// Whether a token is one of the secrets that count; every one is compared.
    fn is_right(&self, token: &str, now: Timestamp) -> bool {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut right = Choice::from(0);
        for (secret, until) in &self.secrets {
            let counts = until.is_none_or(|until| now < until);
            right |= secret.ct_eq(&digest) & Choice::from(u8::from(counts));
        }
        bool::from(right)
    }
}

/// The strings at a pointer, `*` being every item; false where one is missing, no string, or empty.
fn collect<'a>(value: &'a Value, tokens: &[String], out: &mut Vec<&'a str>) -> bool {
    let Some((token, rest)) = tokens.split_first() else {
        let text = value.as_str().filter(|text| !text.is_empty());
        out.extend(text);
        return text.is_some();
    };
    match value {
        Value::Array(items) if token == "*" => items.iter().all(|item| collect(item, rest, out)),
        Value::Array(items) => {
            let item = token.parse().ok().and_then(|at: usize| items.get(at));
            item.is_some_and(|item| collect(item, rest, out))
        }
        Value::Object(fields) => fields
            .get(token)
            .is_some_and(|field| collect(field, rest, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
