//! A token in the JSON body: it must equal the secret, in every item where the pointer goes through a list.

use super::json::{NotEvery, every, string};
use super::report::{self, Report};
use super::signature::{Failure, refuse};
use super::spec::BodyTokenSpec;
use super::value::form_fields;
use super::{DatedSecret, SchemeError, Verdict};
use crate::codes;
use crate::model::Request;
use crate::model::http_file::Masking;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::hint::black_box;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

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

    /// What is made of the body must not show the token.
    pub(super) fn masking(&self, masking: &mut Masking) {
        let steps = match self.spec.tokens.is_empty() {
            true => vec![self.spec.text.clone()],
            false => self.spec.tokens.clone(),
        };
        masking.body.push(steps);
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
                black_box(self.which("", now));
                report.fail(label.as_str(), message.as_str());
                return refuse(report, code, message);
            }
        };
        let mut wrong = None;
        let mut numbers = Vec::new();
        for (place, text) in (1..).zip(&found) {
            match self.which(text, now) {
                0 => wrong = wrong.or(Some(place)),
                number if numbers.contains(&number) => {}
                number => numbers.push(number),
            }
        }
        let (count, total) = (found.len(), self.secrets.len());
        let Some(place) = wrong else {
            let numbers: Vec<_> = numbers.iter().map(u32::to_string).collect();
            let numbers = numbers.join(" and ");
            let tokens = match count {
                1 => "the token equals".to_owned(),
                _ => format!("all {count} tokens equal"),
            };
            report.pass("token", format!("{tokens} secret {numbers} of {total}"));
            return report.verified();
        };
        let which = match count {
            1 => String::new(),
            _ => format!(", {place} of {count},"),
        };
        let message = format!("the token in {label}{which} is not the configured one");
        let bytes = found.get(place - 1).map_or(0, |text| text.len());
        let none = self
            .secrets
            .iter()
            .all(|(_, until)| until.is_some_and(|until| now >= until));
        let detail = match none {
            true => "every secret's `until` has passed".to_owned(),
            false => format!("{bytes} bytes received, and no secret of {total} equals it"),
        };
        report.fail("token", detail);
        report.refused(codes::TOKEN_MISMATCH, message, report::HELP_TOKEN)
    }

    /// Every token in the body.
    fn found<'a>(&self, request: &'a Request, label: &str) -> Result<Vec<Cow<'a, str>>, Failure> {
        let missing = |message: String| (codes::CREDENTIAL_MISSING, message);
        let nowhere = || {
            let message = format!("{label} is absent, in the body or in one of its items");
            missing(message)
        };
        let too_many = || {
            let message = format!("{label} has more than {ITEMS_MAX} values");
            (codes::CREDENTIAL_MALFORMED, message)
        };
        let mut found = Vec::new();
        if self.spec.tokens.is_empty() {
            found = form_fields(request, &self.spec.text);
            if found.is_empty() || found.iter().any(|text| text.is_empty()) {
                return Err(missing(format!(
                    "{label} is absent or empty, or the body is no form"
                )));
            }
        } else {
            let values = every(&self.spec.tokens, &request.body).map_err(|why| match why {
                NotEvery::NoJson => missing(format!("{label} is absent: the body is not JSON")),
                NotEvery::Absent => nowhere(),
                NotEvery::TooMany => too_many(),
            })?;
            for value in values {
                let text = string(value.get()).filter(|text| !text.is_empty());
                found.push(text.ok_or_else(nowhere)?);
            }
        }
        if found.len() > ITEMS_MAX {
            return Err(too_many());
        }
        Ok(found)
    }

    /// Which of the secrets that count a token is, from 1; 0 for none. Every one is compared.
    fn which(&self, token: &str, now: Timestamp) -> u32 {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut which = 0_u32;
        for (number, (secret, until)) in (1_u32..).zip(&self.secrets) {
            let counts = until.is_none_or(|until| now < until);
            let right = secret.ct_eq(&digest) & Choice::from(u8::from(counts));
            which.conditional_assign(&number, right);
        }
        which
    }
}
