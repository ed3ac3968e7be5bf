//! Tokens and passwords: what the request carries must equal the secret.

use super::encoding::Encoding;
use super::report::{self, Report};
use super::signature::required;
use super::spec::{SchemeName, TokenSpec};
use super::value::Source;
use super::wording::moment;
use super::{DatedSecret, SchemeError, Verdict, secret_form};
use crate::codes;
use crate::model::Request;
use crate::model::http_file::Masking;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::hint::black_box;
use subtle::{Choice, ConstantTimeEq};

/// Whether a text equals a secret, in the same time whatever the two are.
pub(crate) fn equal_secret(text: &str, secret: &crate::model::Secret) -> bool {
    let digest = |text: &str| -> [u8; 32] { Sha256::digest(text.as_bytes()).into() };
    bool::from(digest(text).ct_eq(&digest(secret.expose())))
}

/// A token scheme with the digests of its secrets: comparing digests takes the same time whatever the
/// lengths, and the secrets themselves need not be kept.
pub(super) struct TokenVerifier {
    spec: TokenSpec,
    secrets: Vec<DatedDigest>,
}

type Digest32 = [u8; 32];

fn digest(received: &[u8]) -> Digest32 {
    Sha256::digest(received).into()
}

struct DatedDigest {
    digest: Digest32,
    bytes: usize,
    until: Option<Timestamp>,
}

impl DatedDigest {
    fn counts(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl TokenVerifier {
    pub(super) fn compile(spec: &TokenSpec, secrets: &[DatedSecret]) -> Result<Self, SchemeError> {
        let mut digests = Vec::with_capacity(secrets.len());
        for (index, secret) in (1..).zip(secrets) {
            let text = secret.secret.expose();
            if spec.name == SchemeName::Basic {
                let (user, password) = text
                    .split_once(':')
                    .ok_or_else(|| secret_form(index, "is not `user:password`"))?;
                if user.is_empty() && password.is_empty() {
                    return Err(secret_form(index, "has neither user nor password"));
                }
            }
            digests.push(DatedDigest {
                digest: Sha256::digest(text.as_bytes()).into(),
                bytes: text.len(),
                until: secret.until,
            });
        }
        Ok(Self {
            spec: spec.clone(),
            secrets: digests,
        })
    }

    pub(super) fn scheme(&self) -> &'static str {
        self.spec.name.as_str()
    }

    pub(super) fn masking(&self, masking: &mut Masking) {
        for source in self.spec.places.iter().flat_map(|place| place.sources()) {
            match source {
                Source::Header(name) => masking.headers.push(name.clone()),
                Source::Query(name) => masking.query.push(name.clone()),
                Source::Path => masking.path = true,
                _ => {}
            }
        }
    }

    pub(super) fn verify(&self, request: &Request, now: Timestamp) -> Verdict {
        let mut report = Report::new(self.scheme());
        let (label, received) = match self.received(&mut report, request) {
            Ok(received) => received,
            Err((code, message)) => {
                // The work of a comparison, in all that takes time.
                let digest = digest(b"");
                black_box(self.matching(&digest, now));
                black_box(self.wrong("", 0, &digest, now));
                let help = if code == codes::CREDENTIAL_MISSING {
                    report::HELP_MISSING
                } else {
                    report::HELP_MALFORMED
                };
                return report.refused(code, message, help);
            }
        };
        let digest = digest(&received);
        let total = self.secrets.len();
        if let Some(number) = self.matching(&digest, now) {
            report.pass(self.what(), format!("equals secret {number} of {total}"));
            return report.verified();
        }
        let (detail, message) = self.wrong(&label, received.len(), &digest, now);
        report.fail(self.what(), detail);
        report.refused(codes::TOKEN_MISMATCH, message, report::HELP_TOKEN)
    }

    /// What is wrong with a credential, for the record and in a sentence.
    fn wrong(
        &self,
        label: &str,
        bytes: usize,
        digest: &Digest32,
        now: Timestamp,
    ) -> (String, String) {
        let live = self.secrets.iter().filter(|secret| secret.counts(now));
        let tried: Vec<_> = live.map(|secret| secret.bytes.to_string()).collect();
        let (what, late) = (self.what(), self.run_out(digest, now));
        if tried.is_empty() {
            let text = format!("no {what} can match: every secret's `until` has passed");
            return (text.clone(), text);
        }
        let tried = tried.join(" or ");
        let detail = format!("{bytes} bytes received, {tried} expected{late}");
        let message = format!("the {what} in {label} is not the configured one{late}");
        (detail, message)
    }

    /// Whether it is a secret that no longer counts, and what to say of that.
    fn run_out(&self, digest: &Digest32, now: Timestamp) -> String {
        let mut late = String::new();
        for (number, secret) in (1..).zip(&self.secrets) {
            let Some(until) = secret.until.filter(|until| now >= *until) else {
                continue;
            };
            // Written whether it is that one or not: an old secret is refused as fast as any other text.
            let until = moment(until);
            let text = format!("; it is secret {number}, which no longer counts since {until}");
            if bool::from(secret.digest.ct_eq(digest)) && late.is_empty() {
                late = text;
            }
        }
        late
    }

    /// Which secret it is, from 1. Every secret is compared, whatever was found.
    fn matching(&self, digest: &Digest32, now: Timestamp) -> Option<usize> {
        let mut found = None;
        for (number, secret) in (1..).zip(&self.secrets) {
            let right = secret.digest.ct_eq(digest) & Choice::from(u8::from(secret.counts(now)));
            if bool::from(right) {
                found = found.or(Some(number));
            }
        }
        found
    }

    /// The one credential of the request and where it is.
    fn received(
        &self,
        report: &mut Report,
        request: &Request,
    ) -> Result<(String, Vec<u8>), (codes::Code, String)> {
        let mut found: Option<(String, Vec<u8>)> = None;
        let mut failure = None;
        for place in &self.spec.places {
            let present = place.pieces(request).map_or(true, |pieces| pieces.present);
            if !present && self.spec.places.len() > 1 {
                continue;
            }
            match required(report, place, request) {
                Err(error) => failure = failure.or(Some(error)),
                Ok(pieces) => {
                    for piece in pieces {
                        let bytes = self.decode(&piece);
                        match (&found, bytes) {
                            (_, None) => {
                                let message =
                                    format!("{} is not base64 of `user:password`", place.label());
                                report.fail(self.what(), message.as_str());
                                return Err((codes::CREDENTIAL_MALFORMED, message));
                            }
                            (Some((_, first)), Some(bytes)) if *first != bytes => {
                                let message =
                                    format!("the request carries two different {}s", self.what());
                                report.fail(self.what(), message.as_str());
                                return Err((codes::CREDENTIAL_MALFORMED, message));
                            }
                            (Some(_), Some(_)) => {}
                            (None, Some(bytes)) => found = Some((place.label(), bytes)),
                        }
                    }
                }
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        found.ok_or_else(|| {
            let labels: Vec<_> = self.spec.places.iter().map(|p| p.label()).collect();
            let labels = labels.join(" nor ");
            report.fail(labels.as_str(), "absent");
            (
                codes::CREDENTIAL_MISSING,
                format!("the request has neither {labels}"),
            )
        })
    }

    fn decode(&self, piece: &str) -> Option<Vec<u8>> {
        if self.spec.name == SchemeName::Basic {
            return Encoding::Base64.decode(piece);
        }
        Some(piece.as_bytes().to_vec())
    }

    fn what(&self) -> &'static str {
        if self.spec.name == SchemeName::Basic {
            "password"
        } else {
            "token"
        }
    }
}
