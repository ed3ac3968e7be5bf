//! Signature schemes as data: a scheme says algorithm, where the signature is, what is signed, how
//! old it may be; secrets come from the owner. Sync, pure (the clock is handed in), constant-time.
//!
//! A provider adds no code here, only data; a new primitive is one file and one enum variant.

use crate::codes::Code;
use crate::model::{Problem, Request, Secret, delivery::Verification, http_file::Masking};
use jiff::Timestamp;
use thiserror::Error;

/// What `verify = …` of a webhook or `[verify]` of a provider says, before secrets are known.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct VerifySpec {}

impl VerifySpec {
    /// Every key that one scheme's table may have (secrets apart), for suggestions.
    pub const KEYS: &'static [&'static str] = &[];
}

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

/// A scheme with its secrets, ready to check requests.
#[derive(Debug, Clone)]
pub struct Verifier {}

/// What verification found.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// For the delivery's record.
    pub record: Verification,
    /// Why the sender is not verified; `None` when it is. `HG05xx`.
    pub failure: Option<Problem>,
}

impl Verifier {
    /// Accepts anyone: `verify = "none"`, or a webhook without verification.
    #[must_use]
    pub fn open() -> Self {
        unimplemented!()
    }

    /// Compiles a scheme with its secrets.
    ///
    /// # Errors
    /// A missing, blank or malformed secret, or data that contradict each other.
    pub fn compile(_spec: &VerifySpec, _secrets: &[DatedSecret]) -> Result<Self, SchemeError> {
        unimplemented!()
    }

    /// Whether it accepts anyone.
    #[must_use]
    pub fn is_open(&self) -> bool {
        unimplemented!()
    }

    /// Checks a request. Every received signature is tried against every secret that counts at `now`.
    #[must_use]
    pub fn verify(&self, _request: &Request, _now: Timestamp) -> Verdict {
        unimplemented!()
    }

    /// Which headers and query parameters carry the credential itself (tokens, passwords; not signatures).
    #[must_use]
    pub fn masking(&self) -> Masking {
        unimplemented!()
    }
}

/// Where a value is in a request and how to cut it out: `{ from = "header:X-Sig", split = ",", prefix = "v1=" }`.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct ValueSpec {}

impl ValueSpec {
    /// All pieces found, in order; empty when the value is absent.
    #[must_use]
    pub fn read(&self, _request: &Request) -> Vec<String> {
        unimplemented!()
    }
}

/// Codes that verification gives.
pub const CODES: &[Code] = &[];
