//! A scheme whose secret is not configured: the sender delivers it, and it comes and goes while we run.
//!
//! Until one is known nothing verifies: a request is then checked with a random secret, so that a refusal costs
//! what it always costs.

use super::keyed::Method;
use super::spec::Scheme;
use super::{DatedSecret, SchemeError, Verdict, Verifier, VerifySpec, equal_secret};
use crate::codes;
use crate::model::delivery::Check;
use crate::model::{Note, Problem, Request, Secret, http_file::Masking};
use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use ring::rand::SecureRandom;
use std::sync::Arc;

/// A scheme that waits for its secret, or has it. One for each webhook of a configuration.
pub struct LearnedVerifier {
    spec: VerifySpec,
    /// With a secret that nobody has.
    closed: Verifier,
    known: ArcSwapOption<Known>,
}

struct Known {
    verifier: Verifier,
    secret: Secret,
    learned: Timestamp,
    /// The owner has not said yet that it is the sender's.
    pending: bool,
}

impl std::fmt::Debug for LearnedVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LearnedVerifier({})", self.closed.scheme())
    }
}

impl LearnedVerifier {
    /// A scheme without its secret.
    ///
    /// # Errors
    /// A scheme whose secrets have a form that nothing but a right one has, such as a public key's.
    pub(super) fn new(spec: &VerifySpec) -> Result<Self, SchemeError> {
        let fixed = || {
            SchemeError::Spec("a key of a fixed form cannot be learned from a handshake".to_owned())
        };
        if has_public_key(spec) {
            return Err(fixed());
        }
        let mut random = [0; 32];
        let made = ring::rand::SystemRandom::new().fill(&mut random);
        made.map_err(|_| SchemeError::Spec("the system gives no random bytes".to_owned()))?;
        let closed = compile(spec, &Secret::new(hex::encode(random)));
        let closed = closed.map_err(|error| match error {
            SchemeError::SecretForm { .. } => fixed(),
            SchemeError::SecretMissing | SchemeError::Spec(_) => error,
        })?;
        Ok(Self {
            closed,
            spec: spec.clone(),
            known: ArcSwapOption::empty(),
        })
    }

    /// Takes a secret, in place of any other.
    ///
    /// # Errors
    /// It has not the form that the scheme needs; nothing is changed.
    pub fn set(
        &self,
        secret: &Secret,
        learned: Timestamp,
        pending: bool,
    ) -> Result<(), SchemeError> {
        let known = Known {
            verifier: compile(&self.spec, secret)?,
            secret: secret.clone(),
            learned,
            pending,
        };
        self.known.store(Some(Arc::new(known)));
        Ok(())
    }

    /// Whether a secret has the form that the scheme needs.
    #[must_use]
    pub fn fits(&self, secret: &Secret) -> bool {
        compile(&self.spec, secret).is_ok()
    }

    /// Forgets the secret.
    pub fn clear(&self) {
        self.known.store(None);
    }

    /// The secret, if one is known.
    #[must_use]
    pub fn secret(&self) -> Option<Secret> {
        self.known.load().as_ref().map(|known| known.secret.clone())
    }

    /// Whether this is the secret that is known; takes the same time whatever it is.
    #[must_use]
    pub fn knows(&self, secret: &Secret) -> bool {
        let known = self.known.load();
        known
            .as_ref()
            .is_some_and(|known| equal_secret(secret.expose(), &known.secret))
    }

    /// What the record of a verified delivery says while nobody has confirmed the secret.
    #[must_use]
    pub fn pending_note(&self) -> Option<Note> {
        let known = self.known.load();
        known.as_ref().filter(|known| known.pending).map(|_| {
            Note::new(
                codes::SECRET_PENDING,
                "the secret that this webhook learned is pending: confirm it, or forget it",
            )
        })
    }

    pub(super) fn verify(&self, request: &Request, now: Timestamp) -> Verdict {
        let known = self.known.load();
        let Some(known) = known.as_ref() else {
            let mut verdict = self.closed.verify(request, now);
            verdict.record.verified = false;
            verdict.record.checks = vec![Check {
                name: "secret".to_owned(),
                passed: false,
                detail: "none has been learned".to_owned(),
            }];
            verdict.failure = Some(
                Problem::new(
                    codes::SECRET_NOT_LEARNED,
                    "the sender delivers its secret when the webhook is registered, and none has come yet",
                )
                .help(
                    "Register the webhook at the sender; where the time to learn is over, `hookgate webhooks learn NAME` first.",
                ),
            );
            return verdict;
        };
        let mut verdict = known.verifier.verify(request, now);
        let state = if known.pending {
            "pending: nobody has confirmed it"
        } else {
            "confirmed"
        };
        verdict.record.checks.push(Check {
            name: "secret".to_owned(),
            passed: true,
            detail: format!("learned {}, {state}", known.learned),
        });
        verdict
    }

    pub(super) fn scheme(&self) -> String {
        self.closed.scheme()
    }

    pub(super) fn masking(&self, masking: &mut Masking) {
        self.closed.add_masking(masking);
    }
}

/// Whether the key is a public one: nobody signs with a secret then.
fn has_public_key(spec: &VerifySpec) -> bool {
    match spec {
        VerifySpec::None => false,
        VerifySpec::One(scheme) => {
            matches!(&scheme.0, Scheme::Hmac(hmac) if matches!(hmac.method, Method::Public(_)))
        }
        VerifySpec::Any(specs) | VerifySpec::All(specs) | VerifySpec::First(specs) => {
            specs.iter().any(has_public_key)
        }
    }
}

fn compile(spec: &VerifySpec, secret: &Secret) -> Result<Verifier, SchemeError> {
    let dated = DatedSecret {
        secret: secret.clone(),
        until: None,
    };
    Verifier::compile(spec, &[dated])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::http_file;

    fn learning() -> Verifier {
        #[derive(serde::Deserialize)]
        struct File {
            verify: VerifySpec,
        }
        let toml = "verify = { scheme = 'header-token', header = 'X-Token' }";
        Verifier::learning(&toml::from_str::<File>(toml).unwrap().verify).unwrap()
    }

    #[test]
    fn verifies_nobody_until_a_secret_is_known() {
        let verifier = learning();
        let slot = verifier.learned().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let verify = |token: &str| {
            let text = format!("POST /hooks/x HTTP/1.1\nX-Token: {token}\n\n");
            let verdict = verifier.verify(&http_file::parse(text.as_bytes(), now).unwrap(), now);
            assert_eq!(verdict.record.verified, verdict.failure.is_none());
            (
                verdict.failure.map(|problem| problem.code),
                verdict.record.checks.last().unwrap().detail.clone(),
            )
        };
        let (code, _) = verify("fake-0001");
        assert_eq!(code, Some(codes::SECRET_NOT_LEARNED));
        assert!(!verifier.is_open());
        assert_eq!(verifier.masking().headers, ["x-token"]);

        let secret = Secret::new("fake-0001".into());
        slot.set(&secret, now, true).unwrap();
        let (code, detail) = verify("fake-0001");
        assert!(code.is_none() && detail.contains("pending"), "{detail}");
        assert_eq!(verify("fake-0002").0, Some(codes::TOKEN_MISMATCH));
        assert!(slot.knows(&secret) && !slot.knows(&Secret::new("fake-0002".into())));
        assert!(slot.pending_note().is_some());
        // A clone is the same webhook's: `Verifier` is handed around.
        slot.set(&secret, now, false).unwrap();
        assert!(verifier.clone().learned().unwrap().pending_note().is_none());
        assert!(verify("fake-0001").1.contains("confirmed"));
        assert!(slot.set(&Secret::new(" ".into()), now, true).is_err());
        assert_eq!(verify("fake-0001").0, None);
        slot.clear();
        assert_eq!(verify("fake-0001").0, Some(codes::SECRET_NOT_LEARNED));
        assert!(slot.secret().is_none() && !slot.knows(&secret));
        assert!(!format!("{verifier:?}{slot:?}").contains("fake"));
    }
}
