//! What verification tells the owner: checks for the record, a problem with the usual causes.

use super::Verdict;
use super::keys::KeySource;
use crate::codes::{self, Code};
use crate::model::Problem;
use crate::model::delivery::{Check, Verification};

/// Characters of a received value that are shown.
const SHOWN_CHARS: usize = 160;

/// Collects the checks of one scheme.
#[derive(Debug)]
pub(super) struct Report {
    scheme: String,
    checks: Vec<Check>,
}

impl Report {
    pub(super) fn new(scheme: &str) -> Self {
        Self {
            scheme: scheme.to_owned(),
            checks: Vec::with_capacity(4),
        }
    }

    pub(super) fn pass(&mut self, name: impl Into<String>, detail: impl Into<String>) {
        self.add(name.into(), true, detail.into());
    }

    pub(super) fn fail(&mut self, name: impl Into<String>, detail: impl Into<String>) {
        self.add(name.into(), false, detail.into());
    }

    fn add(&mut self, name: String, passed: bool, detail: String) {
        self.checks.push(Check {
            name,
            passed,
            detail,
        });
    }

    pub(super) fn verified(self) -> Verdict {
        self.finish(None)
    }

    pub(super) fn refused(self, code: Code, message: impl Into<String>, help: &str) -> Verdict {
        self.finish(Some(Problem::new(code, message).help(help)))
    }

    /// Nothing can be said before this source was asked.
    pub(super) fn wanting(mut self, source: Option<&KeySource>, message: String) -> Verdict {
        self.fail("key", message.as_str());
        let mut verdict = self.refused(codes::KEY_NOT_AT_HAND, message, HELP_KEY);
        verdict.needs = source.cloned();
        verdict
    }

    fn finish(self, failure: Option<Problem>) -> Verdict {
        Verdict {
            needs: None,
            record: Verification {
                scheme: self.scheme,
                verified: failure.is_none(),
                checks: self.checks,
            },
            failure,
        }
    }
}

/// A received value as it may be shown: printable, and not endless.
pub(super) fn shown(text: &str) -> String {
    if text.len() <= SHOWN_CHARS && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let mut out: String = text
        .chars()
        .take(SHOWN_CHARS)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        out.push('…');
    }
    out
}

/// What to do when the credential is missing.
pub(super) const HELP_MISSING: &str = "Usual causes: no secret is set at the sender, so it does not sign; a proxy removes the header; the request does not come from this sender.";
/// What to do when the credential is there, in a wrong form.
pub(super) const HELP_MALFORMED: &str = "Usual causes: the webhook's provider or scheme is not the sender's; a proxy adds, joins or rewrites headers; the request was made by hand, or by someone who guesses.";
/// What to do when no signature matches.
pub(super) const HELP_MISMATCH: &str = "Usual causes, in this order: the secret here is not the one at the sender; a proxy changes the body on its way; the scheme or what it signs is not the sender's.";
/// What to do when the time is too far off.
pub(super) const HELP_TIME: &str = "Usual causes, in this order: the clock of this machine is wrong; the request waited long on its way; someone sends an old request again.";
/// What to do when a token or password is wrong.
pub(super) const HELP_TOKEN: &str = "Usual causes: the secret here is not the one at the sender (look for blanks and quotes around it); the sender still uses an old one; the request does not come from this sender.";

/// What to do when a token says that it is for somebody else.
pub(super) const HELP_CLAIM: &str = "Usual causes: the token is for another receiver, or of another issuer; `audience` or `issuer` is not what the sender writes; `public_url` is not what the sender calls.";

/// What to do when a key is fetched by the running gateway alone.
pub(super) const HELP_KEY: &str = "The running gateway fetches it; `render`, `check` and tests have no network. Where the scheme takes one, pin the key as `secret` (or the set as `jwks = { file = … }`) to check without it.";

/// Codes that verification gives.
pub(super) const CODES: &[Code] = &[
    codes::CREDENTIAL_MISSING,
    codes::CREDENTIAL_MALFORMED,
    codes::SIGNATURE_MISMATCH,
    codes::TIMESTAMP_OUTSIDE,
    codes::TOKEN_MISMATCH,
    codes::KEY_NOT_AT_HAND,
    codes::TOPIC_REFUSED,
    codes::ADDRESS_OUTSIDE,
];
