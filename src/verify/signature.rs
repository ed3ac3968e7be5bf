//! Keyed hashes: every received signature against every secret that counts.

use super::fresh::{Freshness, TimeSpec};
use super::jwt_keys::not_at_hand;
use super::keyed::AnyKey;
use super::keys::{Content, Document, KeySource, KeysAtHand};
use super::report::{self, Report, shown};
use super::spec::HmacSpec;
use super::value::ValueSpec;
use super::{DatedSecret, SchemeError, Verdict, wording};
use crate::codes::{self, Code};
use crate::model::{Problem, Request};
use jiff::Timestamp;
use std::borrow::Cow;
use std::hint::black_box;

/// A keyed hash with its keys.
pub(super) struct HmacVerifier {
    spec: HmacSpec,
    keys: Vec<DatedKey>,
}

struct DatedKey {
    key: AnyKey,
    until: Option<Timestamp>,
}

/// Why nothing can be compared.
pub(super) type Failure = (Code, String);

/// What a request says that somebody signed.
struct Claim<'a> {
    received: Vec<Cow<'a, str>>,
    ts: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    freshness: Option<Freshness>,
}

/// What trying the secrets gave; numbers count from 1.
#[derive(Default)]
struct Checked {
    tried: usize,
    matched: Option<usize>,
    expected: Vec<(usize, Vec<u8>)>,
    /// Those whose `until` has passed.
    run_out: Vec<usize>,
    /// The one of these whose signature it is.
    late: Option<usize>,
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

    /// Whatever is missing or malformed, a tag is computed with every secret, and over what would be signed:
    /// how long a refusal takes does not tell why.
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
        let claim = match self.claim(&mut report, request, now) {
            Ok(claim) => claim,
            Err(failure) => return self.refuse(report, request, failure, now),
        };
        let (ts, id) = (claim.ts.as_deref(), claim.id.as_deref());
        let signed = match self.spec.signed.resolve(request, ts, id) {
            Ok(signed) => signed,
            Err(part) => {
                report.fail(part.as_str(), "absent, and part of what is signed");
                let message = format!("the request has no {part}, which is part of what is signed");
                let failure = (codes::CREDENTIAL_MISSING, message);
                return self.refuse(report, request, failure, now);
            }
        };
        let checked = match self.compare(&mut report, request, &claim.received, &signed, now) {
            Ok(checked) => checked,
            Err(message) => {
                return report.refused(codes::SIGNATURE_MISMATCH, message, report::HELP_MISMATCH);
            }
        };
        if let Some(Freshness::Outside(text)) = claim.freshness {
            // Saying what does not match takes time too.
            black_box(self.mismatch(request, &claim.received, &checked));
            let message = format!("the signature is right, but its timestamp is {text}");
            return report.refused(codes::TIMESTAMP_OUTSIDE, message, report::HELP_TIME);
        }
        report.verified()
    }

    /// Refuses what cannot be compared, after the work of a comparison and of telling that nothing matches.
    fn refuse(
        &self,
        report: Report,
        request: &Request,
        (code, message): Failure,
        now: Timestamp,
    ) -> Verdict {
        let signed = self.spec.signed.resolve(request, Some(""), Some(""));
        let body = || vec![Cow::Borrowed(request.wire_body.as_ref())];
        let signed = signed.unwrap_or_else(|_| body());
        let mut unread = Report::new(self.scheme());
        if let Some(time) = &self.spec.time {
            black_box(judge(&mut unread, time, &time.text(now), now)).ok();
        }
        let nobodys = Cow::Owned(self.spec.encoding.encode(&[0; 32]));
        black_box(self.compare(&mut unread, request, &[nobodys], &signed, now)).ok();
        refuse(report, code, message)
    }

    /// What the request says of its signature; says in the report what was found. Everything is read, whatever is
    /// missing.
    fn claim<'a>(
        &'a self,
        report: &mut Report,
        request: &'a Request,
        now: Timestamp,
    ) -> Result<Claim<'a>, Failure> {
        let spec = &self.spec;
        let received = required(report, &spec.signature, request);
        if matches!(received, Err((codes::CREDENTIAL_MALFORMED, _)))
            && let Some(values) = wording::uncut(request, &spec.signature)
        {
            report.fail("received", values);
        }
        let mut first = |value: Option<&'a ValueSpec>| -> Result<_, Failure> {
            let Some(value) = value else { return Ok(None) };
            Ok(required(report, value, request)?.into_iter().next())
        };
        let ts = first(spec.time.as_ref().map(|time| &time.value));
        let id = first(spec.id.as_ref());
        let (received, ts, id) = (received?, ts?, id?);
        let freshness = match spec.time.as_ref().zip(ts.as_deref()) {
            Some((time, text)) => Some(judge(report, time, text, now)?),
            None => None,
        };
        Ok(Claim {
            received,
            ts,
            id,
            freshness,
        })
    }

    /// Computes with every key, those that have run out too, and tells which one's the signature is.
    fn check(
        &self,
        decoded: &[Option<Vec<u8>>],
        signed: &[Cow<'_, [u8]>],
        now: Timestamp,
    ) -> Checked {
        let mut checked = Checked::default();
        for (number, key) in (1..).zip(&self.keys) {
            let (right, tag) = key.key.check(decoded, signed);
            if key.until.is_some_and(|until| now >= until) {
                checked.run_out.push(number);
                if right {
                    checked.late = checked.late.or(Some(number));
                }
                continue;
            }
            checked.tried += 1;
            if right {
                checked.matched = checked.matched.or(Some(number));
            }
            // What a private key would have made is not known here.
            checked.expected.extend(tag.map(|tag| (number, tag)));
        }
        checked
    }

    /// Whether a received signature is that of one of the secrets; says so in the report.
    fn compare(
        &self,
        report: &mut Report,
        request: &Request,
        received: &[Cow<'_, str>],
        signed: &[Cow<'_, [u8]>],
        now: Timestamp,
    ) -> Result<Checked, String> {
        let (recipe, scheme) = (self.spec.signed.as_str(), self.scheme());
        let decoded: Vec<_> = received
            .iter()
            .map(|text| self.spec.encoding.decode(text))
            .collect();
        let checked = self.check(&decoded, signed, now);
        let total = self.keys.len();
        if let Some(number) = checked.matched {
            report.pass(
                "signature",
                format!("{scheme} over {recipe}, secret {number} of {total}"),
            );
            return Ok(checked);
        }
        let (detail, message) = self.mismatch(request, received, &checked);
        report.fail("signature", detail);
        Err(message)
    }

    /// What does not match, for the record and in a sentence.
    fn mismatch(
        &self,
        request: &Request,
        received: &[Cow<'_, str>],
        checked: &Checked,
    ) -> (String, String) {
        let (recipe, scheme) = (self.spec.signed.as_str(), self.scheme());
        let (tried, total) = (checked.tried, self.keys.len());
        let run_out = self.run_out(checked);
        let mut detail = format!(
            "{scheme} over {recipe}: received {}",
            wording::received(received, &self.spec.signature)
        );
        let expected = checked.expected.iter().map(|(number, tag)| {
            let text = self.spec.encoding.encode(tag);
            let text: String = text.chars().take(EXPECTED_CHARS).collect();
            format!("{text}… with secret {number} of {total}")
        });
        let expected: Vec<_> = expected.collect();
        if !expected.is_empty() {
            detail.push_str(", expected ");
            detail.push_str(&expected.join(" or "));
        }
        let bytes = checked.expected.first().map(|(_, tag)| tag.len());
        let url = match self.spec.signed.uses_url() {
            true => url_note(request),
            false => String::new(),
        };
        let notes = format!(
            "{}{url}{run_out}",
            wording::form_note(received, self.spec.encoding, bytes)
        );
        detail.push_str(&notes);
        let tried = match (tried, total) {
            (1, 1) => "the secret was tried".to_owned(),
            _ => format!("{tried} of {total} secrets were tried"),
        };
        let message = format!("no signature matches: {scheme} over {recipe}, {tried}{notes}");
        // Last, so that it takes as long.
        if checked.tried == 0 {
            let message = "no signature can match: every secret's `until` has passed";
            return (
                format!("every secret has run out{run_out}"),
                format!("{message}{run_out}"),
            );
        }
        (detail, message)
    }

    /// Secrets that no longer count, and whether the signature is that of one.
    fn run_out(&self, checked: &Checked) -> String {
        let times = (1..)
            .zip(&self.keys)
            .filter(|(n, _)| checked.run_out.contains(n));
        let times = times.filter_map(|(number, key)| {
            let until = wording::moment(key.until?);
            Some(match checked.late {
                Some(late) if late == number => {
                    format!("; it is that of secret {number}, which no longer counts since {until}")
                }
                _ => format!("; secret {number} no longer counts since {until}"),
            })
        });
        times.collect()
    }
}

/// How old a request is by its timestamp; says so in the report.
///
/// # Errors
/// The text is no time.
pub(super) fn judge(
    report: &mut Report,
    time: &TimeSpec,
    text: &str,
    now: Timestamp,
) -> Result<Freshness, Failure> {
    let freshness = time.check(text, now);
    match &freshness {
        Freshness::Fresh(text) => report.pass("timestamp", text.as_str()),
        Freshness::Outside(text) => report.fail("timestamp", text.as_str()),
        Freshness::NoTime => {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let long = match digits && text.len() > 12 {
                true => ": so many digits look like milliseconds",
                false => "",
            };
            let wrong = format!("`{}` is not {}{long}", shown(text), time.unit_name());
            report.fail("timestamp", wrong.as_str());
            return Err((
                codes::CREDENTIAL_MALFORMED,
                format!("the timestamp {wrong}"),
            ));
        }
    }
    Ok(freshness)
}

/// Which URL was taken, for a message.
pub(super) fn url_note(request: &Request) -> String {
    let url = wording::url_shown(&request.url);
    format!("; the URL signed here is {url}")
}

pub(super) fn refuse(report: Report, code: Code, message: String) -> Verdict {
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
) -> Result<Vec<Cow<'a, str>>, Failure> {
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
        let similar = wording::similar_headers(request, value);
        report.fail(label.as_str(), format!("absent{similar}"));
        let message = format!("the request has no {label}{similar}");
        return Err((codes::CREDENTIAL_MISSING, message));
    }
    let wrong = match value.prefix() {
        Some(prefix) => format!("has no value that begins with `{prefix}`"),
        None => "is empty".to_owned(),
    };
    report.fail(label.as_str(), wrong.as_str());
    Err((codes::CREDENTIAL_MALFORMED, format!("{label} {wrong}")))
}
