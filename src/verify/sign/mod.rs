//! Signing: the inverse of verification, by the same data. For requests that hookgate makes itself, so that
//! an owner sees whether a webhook takes what its sender will send.
//!
//! - [`place`] writes a value where `value.rs` reads it; [`schemes`] and [`special`] make the credential;
//!   [`freshen`] gives the request a delivery key of its own.
//! - A scheme with a public key cannot be signed here: who verifies has no private key.
//! - Of `any` and `first` the first scheme that can be signed is; of `all` every one.
//! - The order is fixed: what changes body or query first, what signs them last.

mod fresh_key;
mod place;
mod schemes;
mod special;

pub(crate) use fresh_key::freshen;

use super::spec::{LIST_MAX, Scheme};
use super::{DatedSecret, SchemeError, VerifySpec};
use crate::model::Request;
use jiff::{SignedDuration, Timestamp};
use std::fmt;
use thiserror::Error;

/// A scheme with its secrets, ready to sign requests.
#[derive(Clone)]
pub struct Signer(Node);

#[derive(Clone)]
enum Node {
    Open,
    One(Box<Scheme>, Vec<DatedSecret>),
    Any(Vec<Signer>),
    All(Vec<Signer>),
    First(Vec<Signer>),
}

impl fmt::Debug for Signer {
    /// Keys never print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

/// Why a request cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignError {
    /// Only the sender has the key that signs.
    #[error("{0} is checked with a public key: only the sender, who has the private one, can sign")]
    PublicKey(String),
    /// The sender delivers the secret, and the running gateway keeps it.
    #[error("no secret is configured: the sender delivers it, and only the running gateway has it")]
    Learned,
    /// No secret counts any more.
    #[error("every secret's `until` has passed")]
    Expired,
    /// The value has no place in this request.
    #[error("{0} cannot be written into this request")]
    Place(String),
    /// The scheme signs something that the request lacks.
    #[error("the request has no {0}, which is part of what is signed")]
    Lacks(String),
    /// The scheme has no timestamp.
    #[error("{0} signs no time: an old request is as good as a new one")]
    NoTime(String),
    /// The scheme takes a request of any age.
    #[error("{0} signs a time, but sets no limit to its age")]
    AnyAge(String),
    /// A scheme needs something else of the request.
    #[error("{0}")]
    Other(String),
}

impl SignError {
    fn place(label: &str) -> Self {
        Self::Place(label.to_owned())
    }
}

/// How old a signed time shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// The age.
    pub age: SignedDuration,
    /// Whether it grows to just past what the scheme allows, where that is longer.
    pub past_the_limit: bool,
}

/// How to sign.
#[derive(Debug, Clone)]
pub struct SignOptions {
    /// What time it is: for the timestamp, and for secrets that end.
    pub now: Timestamp,
    /// An older time is signed. An error where the scheme has none, or takes any.
    pub age: Option<Age>,
    /// The credential is made wrong on purpose.
    pub bad: bool,
    /// Stands for the secret where the credential is the secret itself.
    pub mark: Option<String>,
}

impl SignOptions {
    /// A right credential of now.
    #[must_use]
    pub fn right(now: Timestamp) -> Self {
        Self {
            now,
            age: None,
            bad: false,
            mark: None,
        }
    }
}

/// Around what shall stand for a secret: base64 of it where the scheme is `basic`.
pub(crate) const BASIC_MARK: &str = "basic:";

impl Signer {
    /// Nothing to sign: anyone is accepted.
    #[must_use]
    pub fn open() -> Self {
        Self(Node::Open)
    }

    /// A scheme with its secrets, which are those that [`super::Verifier::compile`] takes.
    #[must_use]
    pub fn new(spec: &VerifySpec, secrets: &[DatedSecret]) -> Self {
        let list = |specs: &[VerifySpec]| specs.iter().map(|s| Self::new(s, secrets)).collect();
        Self(match spec {
            VerifySpec::None => Node::Open,
            VerifySpec::One(scheme) => Node::One(Box::new(scheme.0.clone()), secrets.to_vec()),
            VerifySpec::Any(specs) => Node::Any(list(specs)),
            VerifySpec::All(specs) => Node::All(list(specs)),
            VerifySpec::First(specs) => Node::First(list(specs)),
        })
    }

    /// Combines the items of a list, each with its own secrets; `key` is one of [`VerifySpec::LISTS`].
    ///
    /// # Errors
    /// Another key, or a list of a wrong length.
    pub fn list(key: &str, signers: Vec<Self>) -> Result<Self, SchemeError> {
        if signers.is_empty() || signers.len() > LIST_MAX {
            return Err(SchemeError::Spec(format!(
                "`{key}` lists 1 to {LIST_MAX} schemes"
            )));
        }
        match key {
            "any" => Ok(Self(Node::Any(signers))),
            "all" => Ok(Self(Node::All(signers))),
            "first" => Ok(Self(Node::First(signers))),
            _ => Err(SchemeError::Spec(format!("`{key}` is no list of schemes"))),
        }
    }

    /// Signs a request: writes time, id and credential where the scheme has them. Gives the scheme's name;
    /// none where nothing is asked for.
    ///
    /// # Errors
    /// See [`SignError`]; the request may then be half changed.
    pub fn sign(
        &self,
        request: &mut Request,
        options: &SignOptions,
    ) -> Result<Option<String>, SignError> {
        match &self.0 {
            Node::Open if options.bad => Err(SignError::Other(
                "the webhook accepts anyone: there is no signature that could be wrong".to_owned(),
            )),
            Node::Open if options.age.is_some() => {
                Err(SignError::NoTime("a webhook without verification".into()))
            }
            Node::Open => Ok(None),
            Node::One(scheme, secrets) => {
                schemes::sign(scheme, secrets, request, options)?;
                Ok(Some(schemes::name(scheme)))
            }
            Node::Any(list) | Node::First(list) => sign_one_of(list, request, options),
            Node::All(list) => {
                let mut names = Vec::new();
                let mut timed = None;
                for late in [false, true] {
                    for signer in list.iter().filter(|signer| signer.is_late() == late) {
                        match signer.sign(request, options) {
                            Ok(name) => names.extend(name),
                            // It is enough that one of them signs a time.
                            Err(SignError::NoTime(name)) => {
                                let plain = SignOptions {
                                    age: None,
                                    ..options.clone()
                                };
                                signer.sign(request, &plain)?;
                                timed = timed.or(Some(Err(SignError::NoTime(name.clone()))));
                                names.push(name);
                                continue;
                            }
                            Err(error) => return Err(error),
                        }
                        timed = Some(Ok(()));
                    }
                }
                match timed {
                    Some(Err(error)) => Err(error),
                    _ => Ok((!names.is_empty()).then(|| names.join(" and "))),
                }
            }
        }
    }

    /// Whether it signs body or query, and so must come after what changes them.
    fn is_late(&self) -> bool {
        match &self.0 {
            Node::Open => false,
            Node::One(scheme, _) => schemes::is_late(scheme),
            Node::Any(list) | Node::All(list) | Node::First(list) => list.iter().any(Self::is_late),
        }
    }
}

/// Signs with the first of a list that can; the request is as it was for the next one where one cannot.
fn sign_one_of(
    list: &[Signer],
    request: &mut Request,
    options: &SignOptions,
) -> Result<Option<String>, SignError> {
    let mut failure = None;
    for signer in list {
        let mut copy = request.clone();
        match signer.sign(&mut copy, options) {
            Ok(name) => {
                *request = copy;
                return Ok(name);
            }
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(failure.unwrap_or_else(|| SignError::Other("the list of schemes is empty".to_owned())))
}

/// The text of the first secret that counts now.
fn live(secrets: &[DatedSecret], now: Timestamp) -> Result<&DatedSecret, SignError> {
    if secrets.is_empty() {
        return Err(SignError::Learned);
    }
    let counts = |secret: &&DatedSecret| secret.until.is_none_or(|until| now < until);
    secrets.iter().find(counts).ok_or(SignError::Expired)
}
