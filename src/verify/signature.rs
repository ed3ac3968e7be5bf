//! Keyed hashes: every received signature against every secret that counts.

use super::fresh::Freshness;
use super::mac::Key;
use super::report::{self, Report, shown};
use super::spec::HmacSpec;
use super::value::ValueSpec;
use super::{DatedSecret, SchemeError, Verdict, secret_form};
use crate::codes;
use crate::model::Request;
use jiff::Timestamp;
use std::borrow::Cow;
use subtle::{Choice, ConstantTimeEq};

/// A keyed hash with its keys.
pub(super) struct HmacVerifier {
    spec: HmacSpec,
    keys: Vec<DatedKey>,
}

struct DatedKey {
    key: Key,
    until: Option<Timestamp>,
}

/// Characters of the right signature that the owner sees when none matches.
const EXPECTED_CHARS: usize = 8;

impl HmacVerifier {
    pub(super) fn compile(spec: &HmacSpec, secrets: &[DatedSecret]) -> Result<Self, SchemeError> {
        let mut keys = Vec::with_capacity(secrets.len());
        for (index, secret) in (1..).zip(secrets) {
            let text = secret.secret.expose();
            let stripped = spec
                .key_prefix
                .iter()
                .find_map(|p| text.strip_prefix(p.as_str()));
            let bytes = spec
                .key
                .decode(stripped.unwrap_or(text))
                .ok_or_else(|| secret_form(index, &format!("is not {}", spec.key.name())))?;
            if bytes.iter().all(|b| *b == 0 || b.is_ascii_whitespace()) {
                return Err(secret_form(index, "decodes to nothing"));
            }
            let key = Key::new(spec.algorithm, &bytes)
                .ok_or_else(|| secret_form(index, "has a length that no key has"))?;
            keys.push(DatedKey {
                key,
                until: secret.until,
            });
        }
        Ok(Self {
            spec: spec.clone(),
            keys,
        })
    }

    pub(super) fn scheme(&self) -> &'static str {
        self.spec.algorithm.name()
    }

    pub(super) fn verify(&self, request: &Request, now: Timestamp) -> Verdict {
        let mut report = Report::new(self.scheme());
        let received = match required(&mut report, &self.spec.signature, request) {
            Ok(pieces) => pieces,
            Err((code, message)) => return refuse(report, code, message),
        };
        let mut ts = None;
        let mut id = None;
        let values = [
            (self.spec.time.as_ref().map(|t| &t.value), &mut ts),
            (self.spec.id.as_ref(), &mut id),
        ];
        for (value, slot) in values {
            let Some(value) = value else { continue };
            match required(&mut report, value, request) {
                Ok(pieces) => *slot = pieces.into_iter().next(),
                Err((code, message)) => return refuse(report, code, message),
            }
        }
        let freshness = self
            .spec
            .time
            .as_ref()
            .zip(ts.as_deref())
            .map(|(time, text)| (time.check(text, now), time.unit_name()));
        match &freshness {
            Some((Freshness::NoTime, unit)) => {
                let text = shown(ts.as_deref().unwrap_or(""));
                report.fail("timestamp", format!("`{text}` is not {unit}"));
                let message = format!("the timestamp `{text}` is not {unit}");
                return refuse(report, codes::CREDENTIAL_MALFORMED, message);
            }
            Some((Freshness::Fresh(text), _)) => report.pass("timestamp", text.as_str()),
            Some((Freshness::Outside(text), _)) => report.fail("timestamp", text.as_str()),
            None => {}
        }
        let signed = match self
            .spec
            .signed
            .resolve(request, ts.as_deref(), id.as_deref())
        {
            Ok(signed) => signed,
            Err(part) => {
                report.fail(part.as_str(), "absent, and part of what is signed");
                let message = format!("the request has no {part}, which is part of what is signed");
                return refuse(report, codes::CREDENTIAL_MISSING, message);
            }
        };
        if let Err(message) = self.compare(&mut report, request, &received, &signed, now) {
            return report.refused(codes::SIGNATURE_MISMATCH, message, report::HELP_MISMATCH);
        }
        if let Some((Freshness::Outside(text), _)) = freshness {
            let message = format!("the signature is right, but its timestamp is {text}");
            return report.refused(codes::TIMESTAMP_OUTSIDE, message, report::HELP_TIME);
        }
        report.verified()
    }

    /// Whether a received signature is that of one of the secrets; says so in the report.
    fn compare(
        &self,
        report: &mut Report,
        request: &Request,
        received: &[Cow<'_, str>],
        signed: &[Cow<'_, [u8]>],
        now: Timestamp,
    ) -> Result<(), String> {
        let recipe = self.spec.signed.as_str();
        let decoded: Vec<_> = received
            .iter()
            .map(|text| self.spec.encoding.decode(text))
            .collect();
        let mut expected = Vec::new();
        let total = self.keys.len();
        for (number, key) in (1..).zip(&self.keys) {
            if key.until.is_some_and(|until| now >= until) {
                continue;
            }
            let mac = key.key.mac(signed);
            let mut right = Choice::from(0);
            for signature in decoded.iter().flatten() {
                right |= signature.as_slice().ct_eq(&mac);
            }
            if bool::from(right) {
                let scheme = self.scheme();
                report.pass(
                    "signature",
                    format!("{scheme} over {recipe}, secret {number} of {total}"),
                );
                return Ok(());
            }
            let text: String = self
                .spec
                .encoding
                .encode(&mac)
                .chars()
                .take(EXPECTED_CHARS)
                .collect();
            expected.push(format!("{text}… with secret {number} of {total}"));
        }
        if expected.is_empty() {
            report.fail("signature", "every secret has run out");
            return Err("no signature can match: every secret's `until` has passed".to_owned());
        }
        let texts: Vec<_> = received.iter().map(|text| shown(text)).collect();
        let mut detail = format!(
            "{} over {recipe}: received {}, expected {}",
            self.scheme(),
            texts.join(", "),
            expected.join(" or ")
        );
        let mut message = format!(
            "no signature matches: {} over {recipe}, {} of {total} secrets tried",
            self.scheme(),
            expected.len()
        );
        if decoded.iter().all(Option::is_none) {
            let note = format!("; what was received is not {}", self.spec.encoding.name());
            detail.push_str(&note);
            message.push_str(&note);
        }
        if self.spec.signed.uses_url() {
            let note = format!(
                "; the URL signed here is that of {}",
                url_shown(&request.url)
            );
            detail.push_str(&note);
            message.push_str(&note);
        }
        report.fail("signature", detail);
        Err(message)
    }
}

/// Scheme and host of a URL: its path holds the slug, which is a secret.
fn url_shown(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url
        .get(host..)
        .and_then(|rest| rest.find('/'))
        .map_or(url.len(), |at| host + at);
    url.get(..end).unwrap_or("")
}

fn refuse(report: Report, code: codes::Code, message: String) -> Verdict {
    let help = if code == codes::CREDENTIAL_MISSING {
        report::HELP_MISSING
    } else {
        report::HELP_MALFORMED
    };
    report.refused(code, message, help)
}

/// The pieces of a value that must be there; says in the report what was found.
pub(super) fn required<'a>(
    report: &mut Report,
    value: &'a ValueSpec,
    request: &'a Request,
) -> Result<Vec<Cow<'a, str>>, (codes::Code, String)> {
    let label = value.label();
    let found = match value.pieces(request) {
        Ok(found) => found,
        Err(error) => {
            report.fail(label, error.to_string());
            return Err((codes::CREDENTIAL_MALFORMED, error.to_string()));
        }
    };
    if !found.pieces.is_empty() {
        let detail = match found.pieces.len() {
            1 => "present".to_owned(),
            n => format!("{n} values"),
        };
        report.pass(label, detail);
        return Ok(found.pieces);
    }
    if !found.present {
        report.fail(label.as_str(), "absent");
        let message = format!("the request has no {label}");
        return Err((codes::CREDENTIAL_MISSING, message));
    }
    let wrong = match value.prefix() {
        Some(prefix) => format!("has no value that begins with `{prefix}`"),
        None => "is empty".to_owned(),
    };
    report.fail(label.as_str(), wrong.as_str());
    Err((codes::CREDENTIAL_MALFORMED, format!("{label} {wrong}")))
}
