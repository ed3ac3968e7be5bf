//! The check of a signature, whatever its kind: a keyed hash, a digest with the secret in it, a public key.

use super::digest::{DigestKey, Hash};
use super::mac::{Algorithm, Key};
use super::public::{PublicAlgorithm, PublicKey};
use super::spec::HmacSpec;
use super::{SchemeError, secret_form};
use std::borrow::Cow;
use subtle::{Choice, ConstantTimeEq};

/// How a signature is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Hmac(Algorithm),
    Digest(Hash),
    Public(PublicAlgorithm),
}

impl Method {
    /// Bytes of a signature; of a public key's, which differ, those of none.
    pub(super) fn tag_bytes(self) -> usize {
        match self {
            Self::Hmac(Algorithm::Sha1) | Self::Digest(Hash::Sha1) => 20,
            Self::Hmac(Algorithm::Sha256) | Self::Digest(Hash::Sha256) => 32,
            Self::Hmac(Algorithm::Sha384) => 48,
            Self::Hmac(Algorithm::Sha512) => 64,
            Self::Public(_) => 0,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hmac(algorithm) => algorithm.name(),
            Self::Digest(hash) => hash.name(),
            Self::Public(algorithm) => algorithm.name(),
        }
    }
}

/// A key of any kind.
#[derive(Clone)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly every key is of the large kind, and it is read for every delivery"
)]
pub(super) enum AnyKey {
    Hmac(Key),
    Digest(DigestKey),
    Public(PublicKey),
}

impl AnyKey {
    /// The key that secret number `index` is.
    pub(super) fn new(spec: &HmacSpec, index: usize, text: &str) -> Result<Self, SchemeError> {
        let stripped = spec
            .key_prefix
            .iter()
            .find_map(|p| text.strip_prefix(p.as_str()));
        let text = stripped.unwrap_or(text);
        if let Method::Public(algorithm) = spec.method {
            let key = PublicKey::parse(algorithm, spec.key, text);
            return key
                .map(Self::Public)
                .ok_or_else(|| secret_form(index, &PublicKey::why_not(algorithm, spec.key, text)));
        }
        let bytes = spec
            .key
            .decode(text)
            .ok_or_else(|| secret_form(index, &format!("is not {}", spec.key.name())))?;
        if bytes.iter().all(|b| *b == 0 || b.is_ascii_whitespace()) {
            return Err(secret_form(index, "decodes to nothing"));
        }
        match spec.method {
            Method::Digest(hash) => {
                let key = DigestKey::new(hash, bytes, spec.signed.secret_places());
                Ok(Self::Digest(key))
            }
            Method::Hmac(algorithm) => Key::new(algorithm, &bytes)
                .map(Self::Hmac)
                .ok_or_else(|| secret_form(index, "has a length that no key has")),
            Method::Public(_) => Err(secret_form(index, "is no public key")),
        }
    }

    /// The signature that this key makes; none where it is a public key, which makes none.
    pub(super) fn tag(&self, signed: &[Cow<'_, [u8]>]) -> Option<Vec<u8>> {
        match self {
            Self::Hmac(key) => Some(key.mac(signed)),
            Self::Digest(key) => Some(key.digest(signed)),
            Self::Public(_) => None,
        }
    }

    /// Whether one of the received signatures is this key's, and the right one where it can be known.
    pub(super) fn check(
        &self,
        received: &[Option<Vec<u8>>],
        signed: &[Cow<'_, [u8]>],
    ) -> (bool, Option<Vec<u8>>) {
        let tag = match self {
            Self::Hmac(key) => key.mac(signed),
            Self::Digest(key) => key.digest(signed),
            Self::Public(key) => {
                let message = match signed {
                    [one] => Cow::Borrowed(one.as_ref()),
                    pieces => Cow::Owned(pieces.concat()),
                };
                let mut right = false;
                let mut worked = false;
                // Of another form it is wrong, and the message would be hashed once more to say so.
                let formed = received.iter().flatten().filter(|s| key.may_have_made(s));
                for signature in formed {
                    right |= key.verify(&message, signature);
                    worked = true;
                }
                if !worked {
                    key.work_for_nothing(&message);
                }
                return (right, None);
            }
        };
        let mut right = Choice::from(0);
        for signature in received.iter().flatten() {
            right |= signature.as_slice().ct_eq(&tag);
        }
        (bool::from(right), Some(tag))
    }
}
