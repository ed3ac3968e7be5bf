//! Signature schemes as data: a scheme says algorithm, where the signature is, what is signed, how
//! old it may be; secrets come from the owner. Sync, pure (the clock is handed in), constant-time.
//!
//! A provider adds no code here, only data; a new primitive is one file and one enum variant.
//!
//! - [`spec`] reads what the owner or a provider wrote; [`value`] cuts a value out of a request,
//!   [`recipe`] lists the signed bytes, [`fresh`] judges a timestamp; [`signature`] and [`token`] check.
//! - Every received signature is tried against every secret; at most ten are looked at.
//! - A refusal takes as long whatever its reason: where there is nothing to compare, the same work is done over
//!   what is there, and every secret and every scheme of a list has its turn.
//! - Bytes are compared after decoding, in constant time. What does not decode is a mismatch.
//! - Keys that are in no configuration are handed in ([`KeysAtHand`]); what is not at hand is named in the verdict.
//! - A blank secret verifies nothing: it is refused when it is compiled.
//! - The body is fed to the MAC where it lies; nothing copies it.

mod address;
mod adyen;
mod aws_sns;
mod body_token;
mod braintree;
mod certificate;
mod certified;
mod claims;
mod contentful;
mod digest;
mod digest_text;
mod encoding;
mod fresh;
mod hints;
mod hook0;
mod items;
mod json;
mod json_form;
mod jwks;
mod jwt;
mod jwt_crypto;
mod jwt_keys;
mod keyed;
mod keys;
mod learned;
mod mac;
mod origin;
mod paypal;
mod pick;
mod plivo;
mod public;
mod qsh;
mod recipe;
mod report;
mod sign;
mod signature;
mod spec;
mod spec_more;
mod spec_remote;
mod special;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_compare;
#[cfg(test)]
mod tests_forms;
#[cfg(test)]
mod tests_keys;
#[cfg(test)]
mod tests_more;
#[cfg(test)]
mod tests_senders;
mod token;
mod twilio;
mod value;
mod wording;

pub(crate) use braintree::braintree_answer;
pub use items::ItemKey;
pub use keys::{Document, Found, KeySource, KeysAtHand, NoKeys};
pub use learned::LearnedVerifier;
pub(crate) use mac::hmac_text;
pub(crate) use origin::{Origin, pinned};
pub use sign::{Age, SignError, SignOptions, Signer};
pub(crate) use sign::{BASIC_MARK, freshen};
pub use spec::{SchemeSpec, VerifySpec};
pub(crate) use token::equal_secret;
pub use value::ValueSpec;
pub(crate) use value::{OneOrMany, Source};

use crate::codes::{self, Code};
use crate::model::{Problem, Request, Secret, delivery::Verification, http_file::Masking};
use address::AddressSpec;
use body_token::BodyTokenVerifier;
use certified::CertifiedVerifier;
use jiff::Timestamp;
use jwt::JwtVerifier;
use signature::HmacVerifier;
use spec::Scheme;
use special::SpecialVerifier;
use std::fmt;
use std::hint::black_box;
use std::sync::Arc;
use thiserror::Error;
use token::TokenVerifier;

/// A secret with the moment from which it no longer counts.
#[derive(Debug, Clone)]
pub struct DatedSecret {
    /// The secret as configured.
    pub secret: Secret,
    /// Not accepted at or after this time.
    pub until: Option<Timestamp>,
}

/// Why a scheme cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SchemeError {
    /// The scheme signs, and there is no secret.
    #[error("the scheme needs a secret, and none is configured")]
    SecretMissing,
    /// Secret number `index` (from 1) has not the form that the scheme needs.
    #[error("secret {index} {reason}")]
    SecretForm {
        /// Which one, from 1.
        index: usize,
        /// What is wrong with it, such as `is blank` or `is not base64`.
        reason: String,
    },
    /// The data of the scheme contradict each other.
    #[error("{0}")]
    Spec(String),
}

fn secret_form(index: usize, reason: &str) -> SchemeError {
    SchemeError::SecretForm {
        index,
        reason: reason.to_owned(),
    }
}

/// A scheme with its secrets, ready to check requests. Cheap to clone.
#[derive(Clone)]
pub struct Verifier(Kind);

#[derive(Clone)]
enum Kind {
    Open,
    Address(Arc<AddressSpec>),
    Hmac(Arc<HmacVerifier>),
    Token(Arc<TokenVerifier>),
    BodyToken(Arc<BodyTokenVerifier>),
    Jwt(Arc<JwtVerifier>),
    Special(Arc<SpecialVerifier>),
    Certified(Arc<CertifiedVerifier>),
    Learned(Arc<LearnedVerifier>),
    Any(Arc<[Verifier]>),
    All(Arc<[Verifier]>),
    First(Arc<[Verifier]>),
}

impl fmt::Debug for Verifier {
    /// The scheme's name alone: keys never print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({})", self.scheme())
    }
}

/// What verification found.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// For the delivery's record.
    pub record: Verification,
    /// Why the sender is not verified; `None` when it is. `HG05xx`.
    pub failure: Option<Problem>,
    /// What must be at hand before anything can be said; then `failure` says that it is not (`HG0510`).
    pub needs: Option<KeySource>,
}

impl Verifier {
    /// Accepts anyone: `verify = "none"`, or a webhook without verification.
    #[must_use]
    pub fn open() -> Self {
        Self(Kind::Open)
    }

    /// Compiles a scheme with its secrets. Of a list of schemes each gets all of them; where each has its
    /// own, compile them one by one and combine them with [`Verifier::any`], [`Verifier::all`] or
    /// [`Verifier::first`].
    ///
    /// # Errors
    /// A missing, blank or malformed secret, or data that contradict each other.
    pub fn compile(spec: &VerifySpec, secrets: &[DatedSecret]) -> Result<Self, SchemeError> {
        let list = |specs: &[VerifySpec]| -> Result<Vec<Self>, SchemeError> {
            specs
                .iter()
                .map(|spec| Self::compile(spec, secrets))
                .collect()
        };
        match spec {
            VerifySpec::None => Ok(Self::open()),
            VerifySpec::Any(specs) => list(specs).map(Self::any),
            VerifySpec::All(specs) => list(specs).map(Self::all),
            VerifySpec::First(specs) => list(specs).map(Self::first),
            VerifySpec::One(SchemeSpec(Scheme::Address(spec))) => {
                Ok(Self(Kind::Address(Arc::new(spec.clone()))))
            }
            VerifySpec::One(scheme) => {
                if secrets.is_empty() && scheme.needs_secret() {
                    return Err(SchemeError::SecretMissing);
                }
                for (index, secret) in (1..).zip(secrets) {
                    if secret.secret.is_blank() {
                        return Err(secret_form(index, "is blank"));
                    }
                }
                let kind = match &scheme.0 {
                    Scheme::Address(spec) => Kind::Address(Arc::new(spec.clone())),
                    Scheme::Hmac(spec) => {
                        Kind::Hmac(Arc::new(HmacVerifier::compile(spec, secrets)?))
                    }
                    Scheme::Token(spec) => {
                        Kind::Token(Arc::new(TokenVerifier::compile(spec, secrets)?))
                    }
                    Scheme::BodyToken(spec) => {
                        Kind::BodyToken(Arc::new(BodyTokenVerifier::compile(spec, secrets)?))
                    }
                    Scheme::Jwt(spec) => Kind::Jwt(Arc::new(JwtVerifier::compile(spec, secrets)?)),
                    Scheme::Special(spec) => {
                        Kind::Special(Arc::new(SpecialVerifier::compile(spec, secrets)?))
                    }
                    Scheme::Certified(spec) => {
                        Kind::Certified(Arc::new(CertifiedVerifier::compile(spec, secrets)?))
                    }
                };
                Ok(Self(kind))
            }
        }
    }

    /// A scheme whose secret the sender delivers; see [`Verifier::learned`].
    ///
    /// # Errors
    /// The scheme cannot be one, or its data contradict each other.
    pub fn learning(spec: &VerifySpec) -> Result<Self, SchemeError> {
        let learned = LearnedVerifier::new(spec)?;
        Ok(Self(Kind::Learned(Arc::new(learned))))
    }

    /// Where the delivered secret is put, if the sender delivers it.
    #[must_use]
    pub fn learned(&self) -> Option<&Arc<LearnedVerifier>> {
        match &self.0 {
            Kind::Learned(learned) => Some(learned),
            _ => None,
        }
    }

    /// One of them must verify. None at all verifies nobody.
    #[must_use]
    pub fn any(verifiers: Vec<Self>) -> Self {
        Self(Kind::Any(verifiers.into()))
    }

    /// Every one must verify. None at all verifies nobody.
    #[must_use]
    pub fn all(verifiers: Vec<Self>) -> Self {
        Self(Kind::All(verifiers.into()))
    }

    /// The first whose credential is present decides. None at all verifies nobody.
    #[must_use]
    pub fn first(verifiers: Vec<Self>) -> Self {
        Self(Kind::First(verifiers.into()))
    }

    /// Combines what was compiled of the items of a list, each with its own secrets; `key` is one of
    /// [`VerifySpec::LISTS`].
    ///
    /// # Errors
    /// Another key, an empty list, or one so long that a request would buy too much CPU time.
    pub fn list(key: &str, verifiers: Vec<Self>) -> Result<Self, SchemeError> {
        if verifiers.is_empty() || verifiers.len() > spec::LIST_MAX {
            let limit = spec::LIST_MAX;
            return Err(SchemeError::Spec(format!(
                "`{key}` lists 1 to {limit} schemes"
            )));
        }
        match key {
            "any" => Ok(Self::any(verifiers)),
            "all" => Ok(Self::all(verifiers)),
            "first" => Ok(Self::first(verifiers)),
            _ => Err(SchemeError::Spec(format!("`{key}` is no list of schemes"))),
        }
    }

    /// Whether it accepts anyone.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match &self.0 {
            Kind::Open => true,
            Kind::Address(_)
            | Kind::Hmac(_)
            | Kind::Token(_)
            | Kind::BodyToken(_)
            | Kind::Jwt(_)
            | Kind::Special(_)
            | Kind::Certified(_)
            | Kind::Learned(_) => false,
            // Who sends no credential comes to the one that asks for none.
            Kind::Any(list) | Kind::First(list) => list.iter().any(Self::is_open),
            Kind::All(list) => !list.is_empty() && list.iter().all(Self::is_open),
        }
    }

    /// Its name: `hmac-sha256`, `none`, or those of a list.
    #[must_use]
    pub fn scheme(&self) -> String {
        let join = |list: &[Self], word: &str| {
            let names: Vec<_> = list.iter().map(Self::scheme).collect();
            names.join(word)
        };
        match &self.0 {
            Kind::Open => "none".to_owned(),
            Kind::Address(_) => "address".to_owned(),
            Kind::Hmac(hmac) => hmac.scheme().to_owned(),
            Kind::Token(token) => token.scheme().to_owned(),
            Kind::BodyToken(_) => "body-token".to_owned(),
            Kind::Jwt(_) => "jwt".to_owned(),
            Kind::Special(special) => special.scheme().to_owned(),
            Kind::Certified(certified) => certified.scheme().to_owned(),
            Kind::Learned(learned) => learned.scheme(),
            Kind::Any(list) => join(list, " or "),
            Kind::All(list) => join(list, " and "),
            Kind::First(list) => join(list, ", else "),
        }
    }

    /// Checks a request with no keys but the configured ones. Every received signature is tried against every
    /// secret that counts at `now`.
    #[must_use]
    pub fn verify(&self, request: &Request, now: Timestamp) -> Verdict {
        self.verify_with(request, now, &NoKeys)
    }

    /// The same, with fetched keys at hand.
    #[must_use]
    pub fn verify_with(&self, request: &Request, now: Timestamp, keys: &dyn KeysAtHand) -> Verdict {
        match &self.0 {
            Kind::Open => report::Report::new("none").verified(),
            Kind::Address(networks) => networks.verify(request),
            Kind::Hmac(hmac) => hmac.verify(request, now, keys),
            Kind::Token(token) => token.verify(request, now),
            Kind::BodyToken(token) => token.verify(request, now),
            Kind::Jwt(jwt) => jwt.verify(request, now, keys),
            Kind::Special(special) => special.verify(request, now),
            Kind::Certified(certified) => certified.verify(request, now, keys),
            Kind::Learned(learned) => learned.verify(request, now),
            Kind::Any(list) | Kind::All(list) | Kind::First(list) => {
                self.combine(list, |verifier| verifier.verify_with(request, now, keys))
            }
        }
    }

    /// Whether a verdict of one scheme of the list is that of the list. One that needs a key decides only where no
    /// later scheme is asked.
    fn decides(&self, verdict: &Verdict) -> bool {
        match &self.0 {
            Kind::All(_) => verdict.failure.is_some() && verdict.needs.is_none(),
            Kind::First(_) => !is_missing(verdict),
            _ => verdict.failure.is_none(),
        }
    }

    /// Goes through a list until a verdict decides. When none does, `All` has verified unless a key is needed; of
    /// the others the failure says most that needs a key, then one whose credential was there at all.
    fn combine(&self, list: &[Self], verify: impl Fn(&Self) -> Verdict) -> Verdict {
        let mut checks = Vec::new();
        let mut failure: Option<Problem> = None;
        let mut needs = None;
        let empty = list.is_empty();
        let mut list = list.iter();
        while let Some(verifier) = list.next() {
            let mut verdict = verify(verifier);
            if self.decides(&verdict) {
                if verdict.failure.is_some() {
                    // The rest is done for the time that it takes: a refusal does not tell by whom.
                    for verifier in list {
                        black_box(verify(verifier));
                    }
                }
                if !checks.is_empty() && matches!(self.0, Kind::All(_)) {
                    checks.append(&mut verdict.record.checks);
                    verdict.record.checks = checks;
                }
                return verdict;
            }
            checks.append(&mut verdict.record.checks);
            let first = needs.is_none() && verdict.needs.is_some();
            needs = needs.or(verdict.needs);
            failure = match (failure, verdict.failure) {
                (Some(_), Some(new)) if first => Some(new),
                (Some(old), Some(new)) if is_nothing(&old) => Some(new),
                (old, new) => old.or(new),
            };
        }
        let all = matches!(self.0, Kind::All(_));
        if failure.is_none() && (!all || empty) {
            failure = Some(Problem::new(
                codes::CREDENTIAL_MISSING,
                "no scheme is configured that could verify the request",
            ));
        }
        Verdict {
            record: Verification {
                scheme: self.scheme(),
                verified: failure.is_none(),
                checks,
            },
            failure,
            needs,
        }
    }

    /// Every source of keys that is known before a request comes.
    #[must_use]
    pub fn key_sources(&self) -> Vec<&KeySource> {
        match &self.0 {
            Kind::Hmac(hmac) => hmac.source().into_iter().collect(),
            Kind::Jwt(jwt) => jwt.source().into_iter().collect(),
            Kind::Any(list) | Kind::All(list) | Kind::First(list) => {
                list.iter().flat_map(Self::key_sources).collect()
            }
            Kind::Open
            | Kind::Address(_)
            | Kind::Token(_)
            | Kind::BodyToken(_)
            | Kind::Special(_)
            | Kind::Certified(_)
            | Kind::Learned(_) => Vec::new(),
        }
    }

    /// The same for messages of these topics alone, by whole name; none where no scheme of it knows topics.
    #[must_use]
    pub fn for_topics(&self, topics: &Arc<[String]>) -> Option<Self> {
        let list = |list: &Arc<[Self]>| -> Option<Arc<[Self]>> {
            let limited: Vec<_> = list.iter().map(|v| v.for_topics(topics)).collect();
            let any = limited.iter().any(Option::is_some);
            let items = limited.into_iter().zip(list.iter());
            any.then(|| {
                items
                    .map(|(new, old)| new.unwrap_or_else(|| old.clone()))
                    .collect()
            })
        };
        Some(Self(match &self.0 {
            Kind::Certified(certified) => Kind::Certified(Arc::new(certified.limited(topics)?)),
            Kind::Any(items) => Kind::Any(list(items)?),
            Kind::All(items) => Kind::All(list(items)?),
            Kind::First(items) => Kind::First(list(items)?),
            Kind::Open
            | Kind::Address(_)
            | Kind::Hmac(_)
            | Kind::Token(_)
            | Kind::BodyToken(_)
            | Kind::Jwt(_)
            | Kind::Special(_)
            | Kind::Learned(_) => return None,
        }))
    }

    /// Which headers and query parameters carry the credential itself (tokens, passwords; not signatures).
    #[must_use]
    pub fn masking(&self) -> Masking {
        let mut masking = Masking::default();
        self.add_masking(&mut masking);
        masking
    }

    fn add_masking(&self, masking: &mut Masking) {
        match &self.0 {
            Kind::Open
            | Kind::Address(_)
            | Kind::Hmac(_)
            | Kind::Special(_)
            | Kind::Certified(_) => {}
            Kind::BodyToken(token) => token.masking(masking),
            Kind::Jwt(jwt) => jwt.masking(masking),
            Kind::Token(token) => token.masking(masking),
            Kind::Learned(learned) => learned.masking(masking),
            Kind::Any(list) | Kind::All(list) | Kind::First(list) => {
                for verifier in list.iter() {
                    verifier.add_masking(masking);
                }
            }
        }
    }
}

fn is_missing(verdict: &Verdict) -> bool {
    verdict.failure.as_ref().is_some_and(is_nothing)
}

/// Whether a scheme found nothing that it could judge.
fn is_nothing(failure: &Problem) -> bool {
    matches!(
        failure.code,
        codes::CREDENTIAL_MISSING | codes::ADDRESS_OUTSIDE
    )
}

/// Codes that verification gives.
pub const CODES: &[Code] = report::CODES;
