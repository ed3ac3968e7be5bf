//! Signatures: what a stranger may write into headers, query and body without knowing a secret.

use super::{check_shown, now, request_of};
use crate::model::{Request, Secret};
use crate::providers;
use crate::verify::{DatedSecret, SignOptions, Signer, Verifier, VerifySpec};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use std::sync::OnceLock;

/// Every scheme in the ways in which it can be written, beside those of the catalogue.
const SPECS: &str = include_str!("schemes.toml");

/// A scheme whose secret nobody knows.
struct Lock {
    verifier: Verifier,
    signer: Signer,
    /// Whether every byte of the body is signed as it is.
    whole: bool,
}

#[derive(Deserialize)]
struct Schemes {
    scheme: Vec<Scheme>,
}

#[derive(Deserialize)]
struct Scheme {
    verify: VerifySpec,
    /// A public key, of which nobody here has the private half; else the secret is drawn.
    key: Option<String>,
    #[serde(default)]
    whole: bool,
}

/// Which scheme (the first two bytes) and a request: it is never verified; once it is signed it is, and no longer when
/// what was signed is another.
///
/// # Panics
/// When it is not so.
pub fn signature(bytes: &[u8]) {
    let Some(([low, high], rest)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let locks = locks();
    let which = usize::from(u16::from_le_bytes([*low, *high]));
    let lock = &locks[which % locks.len()];
    let request = request_of(rest);
    check_refused(&lock.verifier, &request);
    for source in lock.verifier.key_sources() {
        if let Err(why) = source.read(&request.body, now(), &[]) {
            assert!(!why.is_empty());
        }
    }
    let mut signed = request;
    let right = SignOptions::right(now());
    if lock.signer.sign(&mut signed, &right).is_err() {
        return;
    }
    // What was in the way is still there: another signature, a second value.
    let verdict = lock.verifier.verify(&signed, now());
    if verdict.failure.is_none() && lock.whole {
        let mut changed = signed.body.to_vec();
        changed.push(b' ');
        check_refused(&lock.verifier, &with_body(&signed, changed));
    }
}

fn check_refused(verifier: &Verifier, request: &Request) {
    let verdict = verifier.verify(request, now());
    let scheme = verifier.scheme();
    assert!(!verdict.record.verified, "{scheme} verifies {request:?}");
    let failure = verdict
        .failure
        .unwrap_or_else(|| panic!("{scheme} verifies {request:?}"));
    check_shown(&failure);
}

fn with_body(request: &Request, body: Vec<u8>) -> Request {
    let body = Bytes::from(body);
    Request {
        wire_body: body.clone(),
        body,
        ..request.clone()
    }
}

fn locks() -> &'static [Lock] {
    static LOCKS: OnceLock<Vec<Lock>> = OnceLock::new();
    LOCKS.get_or_init(|| {
        let schemes: Schemes = toml::from_str(SPECS).expect("the schemes are read");
        let mut locks: Vec<Lock> = Vec::new();
        for scheme in schemes.scheme {
            let name = scheme.verify.summary();
            let made = lock(&scheme.verify, scheme.key.as_deref());
            let made = made.unwrap_or_else(|| panic!("no secret fits {name}"));
            locks.push(Lock {
                whole: scheme.whole,
                ..made
            });
        }
        for name in providers::names(None) {
            let provider = providers::load(&name, None);
            let spec = provider.ok().and_then(|provider| provider.verify);
            locks.extend(spec.and_then(|spec| lock(&spec, None)));
        }
        locks
    })
}

/// The first of the forms of a secret that fits.
fn lock(spec: &VerifySpec, key: Option<&str>) -> Option<Lock> {
    let bytes: [u8; 32] = rand::random();
    let forms = match key {
        Some(key) => vec![key.to_owned()],
        None => vec![
            hex::encode(bytes),
            BASE64_STANDARD.encode(bytes),
            format!("whsec_{}", BASE64_STANDARD.encode(bytes)),
            format!("fake-user:{}", hex::encode(bytes)),
        ],
    };
    let secret = |text: String| DatedSecret {
        secret: Secret::new(text),
        until: None,
    };
    let mut given: Vec<Vec<DatedSecret>> = Vec::new();
    if spec.takes_secret() {
        given.extend(forms.into_iter().map(|text| vec![secret(text)]));
    }
    // Keys that are fetched.
    given.push(Vec::new());
    given.into_iter().find_map(|secrets| {
        let verifier = Verifier::compile(spec, &secrets).ok()?;
        let signer = Signer::new(spec, &secrets);
        (!verifier.is_open()).then_some(Lock {
            verifier,
            signer,
            whole: false,
        })
    })
}
