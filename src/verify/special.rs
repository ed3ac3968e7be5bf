//! Senders whose signed content is no list of parts: a small file each says what is claimed to be signed; the
//! keys, the comparison and the report are the same for all.

use super::fresh::{Freshness, TimeSpec};
use super::mac::{Algorithm, Key};
use super::report::{self, Report};
use super::signature::{refuse, required, url_note};
use super::spec::SpecialSpec;
use super::{
    DatedSecret, SchemeError, Verdict, adyen, braintree, contentful, hook0, secret_form, twilio,
};
use crate::codes::{self, Code};
use crate::model::Request;
use jiff::Timestamp;
use std::borrow::Cow;
use subtle::{Choice, ConstantTimeEq};

/// Which sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    Twilio,
    AdyenItems,
    Braintree,
    Contentful,
    Hook0,
}

/// Something that must be signed.
pub(super) struct Claim<'a> {
    /// Received signatures, perhaps with the name of the key that made each.
    pub(super) signatures: Vec<(Option<String>, Vec<u8>)>,
    /// What they may be over: one of these, each in pieces.
    pub(super) contents: Vec<Vec<Cow<'a, [u8]>>>,
}

/// All of these must be signed.
pub(super) struct Claims<'a> {
    pub(super) claims: Vec<Claim<'a>>,
    pub(super) age: Option<Freshness>,
}

/// Why nothing can be compared.
pub(super) type Failure = (Code, String);

impl<'a> Claims<'a> {
    pub(super) fn one(claim: Claim<'a>) -> Self {
        Self {
            claims: vec![claim],
            age: None,
        }
    }
}

/// A sender's scheme with its keys.
pub(super) struct SpecialVerifier {
    spec: SpecialSpec,
    keys: Vec<SpecialKey>,
}

struct SpecialKey {
    key: Key,
    name: Option<String>,
    until: Option<Timestamp>,
}

impl Special {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::AdyenItems => "adyen-items",
            Self::Braintree => "braintree",
            Self::Contentful => "contentful",
            Self::Hook0 => "hook0",
        }
    }

    pub(super) fn key(self, secret: &str) -> Result<(Option<String>, Key), &'static str> {
        let wrong = "has a length that no key has";
        let (algorithm, bytes) = match self {
            Self::Twilio => (Algorithm::Sha1, secret.as_bytes().to_vec()),
            Self::Contentful | Self::Hook0 => (Algorithm::Sha256, secret.as_bytes().to_vec()),
            Self::AdyenItems => {
                let bytes = hex::decode(secret.trim()).map_err(|_| "is not hex")?;
                if bytes.iter().all(|b| *b == 0) {
                    return Err("decodes to nothing");
                }
                (Algorithm::Sha256, bytes)
            }
            Self::Braintree => {
                let pair = braintree::key(secret);
                let (public, key) = pair.ok_or("is not `public key:private key`")?;
                return Ok((Some(public), key));
            }
        };
        Ok((None, Key::new(algorithm, &bytes).ok_or(wrong)?))
    }
}

impl SpecialVerifier {
    pub(super) fn compile(
        spec: &SpecialSpec,
        secrets: &[DatedSecret],
    ) -> Result<Self, SchemeError> {
        let mut keys = Vec::with_capacity(secrets.len());
        for (index, secret) in (1..).zip(secrets) {
            let key = spec.sender.key(secret.secret.expose());
            let (name, key) = key.map_err(|reason| secret_form(index, reason))?;
            keys.push(SpecialKey {
                key,
                name,
                until: secret.until,
            });
        }
        Ok(Self {
            spec: spec.clone(),
            keys,
        })
    }

    pub(super) fn scheme(&self) -> &'static str {
        self.spec.sender.name()
    }

    pub(super) fn verify(&self, request: &Request, now: Timestamp) -> Verdict {
        let mut report = Report::new(self.scheme());
        let claims = match self.claims(&mut report, request, now) {
            Ok(claims) => claims,
            Err((code, message)) => {
                report.fail("signed content", message.as_str());
                return refuse(report, code, message);
            }
        };
        if let Err(message) = self.compare(&mut report, request, &claims.claims, now) {
            return report.refused(codes::SIGNATURE_MISMATCH, message, report::HELP_MISMATCH);
        }
        if let Some(Freshness::Outside(text)) = claims.age {
            let message = format!("the signature is right, but its timestamp is {text}");
            return report.refused(codes::TIMESTAMP_OUTSIDE, message, report::HELP_TIME);
        }
        report.verified()
    }

    fn claims<'a>(
        &'a self,
        report: &mut Report,
        request: &'a Request,
        now: Timestamp,
    ) -> Result<Claims<'a>, Failure> {
        let signature = match &self.spec.signature {
            Some(value) => required(report, value, request)?,
            None => Vec::new(),
        };
        let age = match &self.spec.time {
            Some(time) => Some(age(report, time, request, now)?),
            None => None,
        };
        let mut claims = match self.spec.sender {
            Special::Twilio => twilio::claims(request, &signature),
            Special::AdyenItems => adyen::claims(request),
            Special::Braintree => braintree::claims(request, &signature),
            Special::Contentful => contentful::claims(request, &signature),
            Special::Hook0 => hook0::claims(request, &signature),
        }?;
        claims.age = age;
        Ok(claims)
    }

    /// Whether every claim is signed by a secret that counts; says so in the report.
    fn compare(
        &self,
        report: &mut Report,
        request: &Request,
        claims: &[Claim<'_>],
        now: Timestamp,
    ) -> Result<(), String> {
        let counts = |key: &&SpecialKey| key.until.is_none_or(|until| now < until);
        let live = self.keys.iter().filter(counts).count();
        if live == 0 {
            report.fail("signature", "every secret has run out");
            return Err("no signature can match: every secret's `until` has passed".to_owned());
        }
        let mut wrong = None;
        for (number, claim) in (1..).zip(claims) {
            let mut right = Choice::from(0);
            for key in self.keys.iter().filter(counts) {
                for content in &claim.contents {
                    let mac = key.key.mac(content);
                    for (name, signature) in &claim.signatures {
                        let ours = name.is_none() || *name == key.name;
                        right |= signature.as_slice().ct_eq(&mac) & Choice::from(u8::from(ours));
                    }
                }
            }
            if !bool::from(right) && wrong.is_none() {
                wrong = Some(number);
            }
        }
        let scheme = self.scheme();
        let Some(number) = wrong else {
            report.pass(
                "signature",
                format!("{scheme}, {} signed, {live} secrets", claims.len()),
            );
            return Ok(());
        };
        let mut message = if claims.len() > 1 {
            format!(
                "the signature of item {number} of {} does not match",
                claims.len()
            )
        } else {
            format!("no signature matches: {scheme}, {live} secrets tried")
        };
        if matches!(self.spec.sender, Special::Twilio | Special::Contentful) {
            message.push_str(&url_note(request));
        }
        report.fail("signature", message.as_str());
        Err(message)
    }
}

/// How old the request is; what is no time at all is refused at once.
fn age(
    report: &mut Report,
    time: &TimeSpec,
    request: &Request,
    now: Timestamp,
) -> Result<Freshness, Failure> {
    let pieces = required(report, &time.value, request)?;
    let text = pieces.first().map_or("", |text| text.as_ref());
    let freshness = time.check(text, now);
    match &freshness {
        Freshness::Fresh(text) => report.pass("timestamp", text.as_str()),
        Freshness::Outside(text) => report.fail("timestamp", text.as_str()),
        Freshness::NoTime => {
            let message = format!("the timestamp is not {}", time.unit_name());
            return Err((codes::CREDENTIAL_MALFORMED, message));
        }
    }
    Ok(freshness)
}
