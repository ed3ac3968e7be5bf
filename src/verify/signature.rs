//! Keyed hashes: every received signature against every secret that counts.

use super::fresh::Freshness;
use super::jwt_keys::not_at_hand;
use super::keyed::AnyKey;
use super::keys::{Content, Document, KeySource, KeysAtHand};
use super::report::{self, Report, shown};
use super::spec::HmacSpec;
use super::value::ValueSpec;
use super::{DatedSecret, SchemeError, Verdict};
use crate::codes;
use crate::model::{Problem, Request};
use jiff::Timestamp;
use std::borrow::Cow;

/// A keyed hash with its keys.
pub(super) struct HmacVerifier {
    spec: HmacSpec,
    keys: Vec<DatedKey>,
}

struct DatedKey {
    key: AnyKey,
    until: Option<Timestamp>,
}

/// Characters of the right signature that the owner sees when none matches.
const EXPECTED_CHARS: usize = 8;

impl HmacVerifier {
    pub(super) fn compile(spec: &HmacSpec, secrets: &[DatedSecret]) -> Result<Self, SchemeError> {
        let mut keys = Vec::with_capacity(secrets.len());
        for (index, secret) in (1..).zip(secrets) {
            let key = AnyKey::new(spec, index, secret.secret.expose())?;
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
        self.spec.method.name()
    }

    /// Where its key is fetched from: only where the owner gave none.
    pub(super) fn source(&self) -> Option<&KeySource> {
        self.spec.source.as_ref().filter(|_| self.keys.is_empty())
    }

    /// As [`Self::verify`], with the key from its source.
    fn verify_fetched(
        &self,
        source: &KeySource,
        request: &Request,
        now: Timestamp,
        keys: &dyn KeysAtHand,
    ) -> Verdict {
        let found = keys.find(source);
        let key = match found.as_ref().map(|found| &*found.document) {
            Some(Document(Content::PublicKey(key))) => key.clone(),
            _ => {
                let (_, message) = not_at_hand(source);
                return Report::new(self.scheme()).wanting(Some(source), message);
            }
        };
        let verifier = Self {
            spec: self.spec.clone(),
            keys: vec![DatedKey {
                key: AnyKey::Public(key),
                until: None,
            }],
        };
        let verdict = verifier.verify(request, now, keys);
        let mismatch = |problem: &Problem| problem.code == codes::SIGNATURE_MISMATCH;
        // The key may be another since: the source is asked before the sender is refused.
        if verdict.failure.as_ref().is_some_and(mismatch) && found.is_some_and(|found| !found.asked)
        {
            let message = format!("the key may have changed: {}", source.label());
            return Report::new(self.scheme()).wanting(Some(source), message);
        }
        verdict
    }

    pub(super) fn verify(
        &self,
        request: &Request,
        now: Timestamp,
        keys: &dyn KeysAtHand,
    ) -> Verdict {
        if let Some(source) = self.source() {
            return self.verify_fetched(source, request, now, keys);
        }
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
        let mut tried = 0;
        let total = self.keys.len();
        for (number, key) in (1..).zip(&self.keys) {
            if key.until.is_some_and(|until| now >= until) {
                continue;
            }
            tried += 1;
            let (right, tag) = key.key.check(&decoded, signed);
            if right {
                let scheme = self.scheme();
                report.pass(
                    "signature",
                    format!("{scheme} over {recipe}, secret {number} of {total}"),
                );
                return Ok(());
            }
            // What a private key would have made is not known here.
            let Some(tag) = tag else { continue };
            let text = self.spec.encoding.encode(&tag);
            let text: String = text.chars().take(EXPECTED_CHARS).collect();
            expected.push(format!("{text}… with secret {number} of {total}"));
        }
        if tried == 0 {
            report.fail("signature", "every secret has run out");
            return Err("no signature can match: every secret's `until` has passed".to_owned());
        }
        let texts: Vec<_> = received.iter().map(|text| shown(text)).collect();
        let mut detail = format!(
            "{} over {recipe}: received {}",
            self.scheme(),
            texts.join(", ")
        );
        if !expected.is_empty() {
            detail.push_str(", expected ");
            detail.push_str(&expected.join(" or "));
        }
        let mut message = format!(
            "no signature matches: {} over {recipe}, {tried} of {total} secrets tried",
            self.scheme()
        );
        if decoded.iter().all(Option::is_none) {
            let note = format!("; what was received is not {}", self.spec.encoding.name());
            detail.push_str(&note);
            message.push_str(&note);
        }
        if self.spec.signed.uses_url() {
            let note = url_note(request);
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

/// Which URL was taken, for a message.
pub(super) fn url_note(request: &Request) -> String {
    let url = url_shown(&request.url);
    format!("; the URL signed here is that of {url}")
}

pub(super) fn refuse(report: Report, code: codes::Code, message: String) -> Verdict {
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
