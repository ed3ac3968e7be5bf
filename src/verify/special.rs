//! Senders whose signed content is no list of parts: a small file each says what is claimed to be signed; the
//! keys, the comparison and the report are the same for all.

use super::fresh::{Freshness, TimeSpec};
use super::mac::{Algorithm, Key};
use super::report::{self, Report};
use super::signature::{Failure, judge, refuse, required, url_note};
use super::spec::SpecialSpec;
use super::{
    DatedSecret, SchemeError, Verdict, adyen, braintree, contentful, hook0, plivo, secret_form,
    twilio,
};
use crate::codes;
use crate::model::Request;
use jiff::Timestamp;
use std::borrow::Cow;
use std::hint::black_box;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// Which sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    Twilio,
    /// The same with SHA-256, as accounts with a shared key of their own have it.
    TwilioSha256,
    AdyenItems,
    Braintree,
    Contentful,
    Hook0,
    Plivo,
}

/// Something that must be signed.
pub(super) struct Claim<'a> {
    /// Received signatures, perhaps with the name of the key that made each.
    pub(super) signatures: Vec<(Option<String>, Vec<u8>)>,
    /// What they may be over: one of these, each in pieces.
    pub(super) contents: Vec<Vec<Cow<'a, [u8]>>>,
}

/// A claim of nobody over the body, for the work alone.
fn dummy(request: &Request) -> Claim<'_> {
    Claim {
        signatures: Vec::new(),
        contents: vec![vec![Cow::Borrowed(request.wire_body.as_ref())]],
    }
}

/// All of these must be signed.
pub(super) struct Claims<'a> {
    pub(super) claims: Vec<Claim<'a>>,
    /// Why they are refused, right or not.
    pub(super) failure: Option<Failure>,
}

impl<'a> Claims<'a> {
    pub(super) fn one(claim: Claim<'a>) -> Self {
        Self {
            claims: vec![claim],
            failure: None,
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
            Self::TwilioSha256 => "twilio-sha256",
            Self::AdyenItems => "adyen-items",
            Self::Braintree => "braintree",
            Self::Contentful => "contentful",
            Self::Hook0 => "hook0",
            Self::Plivo => "plivo",
        }
    }

    pub(super) fn key(self, secret: &str) -> Result<(Option<String>, Key), &'static str> {
        let wrong = "has a length that no key has";
        let (algorithm, bytes) = match self {
            Self::Twilio => (Algorithm::Sha1, secret.as_bytes().to_vec()),
            Self::TwilioSha256 | Self::Contentful | Self::Hook0 | Self::Plivo => {
                (Algorithm::Sha256, secret.as_bytes().to_vec())
            }
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

    /// Whatever is missing or malformed, everything is read, and tags are computed with every secret.
    pub(super) fn verify(&self, request: &Request, now: Timestamp) -> Verdict {
        let mut report = Report::new(self.scheme());
        let signature = match &self.spec.signature {
            Some(value) => required(&mut report, value, request),
            None => Ok(Vec::new()),
        };
        let age = match &self.spec.time {
            Some(time) => age(&mut report, time, request, now).map(Some),
            None => Ok(None),
        };
        let received = signature.as_ref().map_or(&[][..], Vec::as_slice);
        let claims = match self.spec.sender {
            Special::Twilio | Special::TwilioSha256 => twilio::claims(request, received),
            Special::AdyenItems => adyen::claims(request),
            Special::Braintree => braintree::claims(request, received),
            Special::Contentful => contentful::claims(request, received),
            Special::Hook0 => hook0::claims(request, received),
            Special::Plivo => plivo::claims(request, received),
        };
        let (claims, failure) = match claims {
            Ok(claims) => (claims.claims, claims.failure),
            Err(failure) => (vec![dummy(request)], Some(failure)),
        };
        let right = self.check(&claims, now);
        let (age, failure) = match (signature, age, failure) {
            (Err(failure), ..) | (_, Err(failure), _) | (.., Some(failure)) => {
                (None, Some(failure))
            }
            (Ok(_), Ok(age), None) => (age, None),
        };
        if let Some((code, message)) = failure {
            // Saying what does not match takes time too.
            black_box(self.mismatch(request, &right, now));
            report.fail("signed content", message.as_str());
            return refuse(report, code, message);
        }
        if let Err(message) = self.tell(&mut report, request, &right, now) {
            return report.refused(codes::SIGNATURE_MISMATCH, message, report::HELP_MISMATCH);
        }
        if let Some(Freshness::Outside(text)) = age {
            black_box(self.mismatch(request, &right, now));
            let message = format!("the signature is right, but its timestamp is {text}");
            return report.refused(codes::TIMESTAMP_OUTSIDE, message, report::HELP_TIME);
        }
        report.verified()
    }

    fn live(&self, now: Timestamp) -> usize {
        let live = |key: &&SpecialKey| key.until.is_none_or(|until| now < until);
        self.keys.iter().filter(live).count()
    }

    /// For each claim, the secret that counts and has signed it, from 1; 0 for none. Every key is tried, those that
    /// have run out too.
    fn check(&self, claims: &[Claim<'_>], now: Timestamp) -> Vec<u32> {
        let which = |claim: &Claim<'_>| {
            let mut which = 0_u32;
            for (number, key) in (1_u32..).zip(&self.keys) {
                let mut right = Choice::from(0);
                let counts = key.until.is_none_or(|until| now < until);
                for content in &claim.contents {
                    let mac = key.key.mac(content);
                    for (name, signature) in &claim.signatures {
                        let ours = counts && (name.is_none() || *name == key.name);
                        right |= signature.as_slice().ct_eq(&mac) & Choice::from(u8::from(ours));
                    }
                }
                which.conditional_assign(&number, right);
            }
            which
        };
        claims.iter().map(which).collect()
    }

    /// Whether every claim is right; says so in the report.
    fn tell(
        &self,
        report: &mut Report,
        request: &Request,
        right: &[u32],
        now: Timestamp,
    ) -> Result<(), String> {
        let (scheme, total) = (self.scheme(), right.len());
        if total > 0 && right.iter().all(|number| *number > 0) {
            let mut numbers = right.to_vec();
            numbers.sort_unstable();
            numbers.dedup();
            let numbers: Vec<_> = numbers.iter().map(u32::to_string).collect();
            let (numbers, of) = (numbers.join(" and "), self.keys.len());
            let items = match total {
                1 => String::new(),
                _ => format!(" of {total} items"),
            };
            report.pass(
                "signature",
                format!("{scheme}{items}, secret {numbers} of {of}"),
            );
            return Ok(());
        }
        let (detail, message) = self.mismatch(request, right, now);
        report.fail("signature", detail);
        Err(message)
    }

    /// What does not match, for the record and in a sentence.
    fn mismatch(&self, request: &Request, right: &[u32], now: Timestamp) -> (String, String) {
        let (scheme, live, total) = (self.scheme(), self.live(now), right.len());
        let wrong = right.iter().position(|number| *number == 0).unwrap_or(0);
        let mut message = if total > 1 {
            let number = wrong + 1;
            format!("the signature of item {number} of {total} does not match")
        } else {
            format!("no signature matches: {scheme}, {live} secrets tried")
        };
        let over_url = [
            Special::Twilio,
            Special::TwilioSha256,
            Special::Contentful,
            Special::Plivo,
        ];
        if over_url.contains(&self.spec.sender) {
            message.push_str(&url_note(request));
        }
        if live == 0 {
            let message = "no signature can match: every secret's `until` has passed";
            return ("every secret has run out".to_owned(), message.to_owned());
        }
        (message.clone(), message)
    }
}

/// How old the request is.
fn age(
    report: &mut Report,
    time: &TimeSpec,
    request: &Request,
    now: Timestamp,
) -> Result<Freshness, Failure> {
    let pieces = required(report, &time.value, request)?;
    let text = pieces.first().map_or("", |text| text.as_ref());
    judge(report, time, text, now)
}
