//! The cryptography that `jsonwebtoken` calls: the HMAC that every other scheme uses, ring for RSA and ECDSA,
//! ed25519-dalek. Nothing is signed here.

use super::mac::{Algorithm as MacAlgorithm, Key};
use super::public::{PublicAlgorithm, PublicKey};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use std::borrow::Cow;
use std::hint::black_box;
use subtle::ConstantTimeEq;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: no_signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes it the crate's, once.
pub(super) fn install() {
    // Whoever comes second finds the same provider.
    PROVIDER.install_default().ok();
}

fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    Ok(Box::new(Verifier {
        algorithm: *algorithm,
        check: check(*algorithm, key)?,
    }))
}

/// The check of an algorithm's signatures by a key.
fn check(algorithm: Algorithm, key: &DecodingKey) -> Result<Check> {
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let bytes = key.try_get_as_bytes()?;
    let mac = |algorithm| Key::new(algorithm, bytes).map(|key| Check::Mac(Box::new(key)));
    let check = match algorithm {
        Algorithm::HS256 => mac(MacAlgorithm::Sha256),
        Algorithm::HS384 => mac(MacAlgorithm::Sha384),
        Algorithm::HS512 => mac(MacAlgorithm::Sha512),
        Algorithm::RS256 => {
            let key = PublicKey::Rsa(bytes.to_vec(), PublicAlgorithm::RsaSha256);
            Some(Check::Public(key))
        }
        Algorithm::ES256 => Some(Check::EcdsaFixed(bytes.to_vec())),
        Algorithm::EdDSA => {
            let array = <[u8; 32]>::try_from(bytes).ok();
            let key = array.and_then(|b| ed25519_dalek::VerifyingKey::from_bytes(&b).ok());
            key.map(|key| Check::Public(PublicKey::Ed25519(Box::new(key))))
        }
        _ => None,
    };
    check.ok_or_else(|| ErrorKind::UnsupportedAlgorithm.into())
}

/// Takes the time of a check where there is no signature to check.
pub(super) fn work_for_nothing(algorithm: Algorithm, key: &DecodingKey, message: &[u8]) {
    match check(algorithm, key) {
        Ok(Check::Mac(key)) => {
            black_box(key.mac(&[Cow::Borrowed(message)]));
        }
        Ok(Check::Public(key)) => key.work_for_nothing(message),
        Ok(Check::EcdsaFixed(point)) => {
            // r and s are 1: a signature of the right form that nobody made.
            let mut ones = [0; 64];
            ones.iter_mut().skip(31).step_by(32).for_each(|b| *b = 1);
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
            black_box(key.verify(message, &ones).is_ok());
        }
        Err(_) => {}
    }
}

struct Verifier {
    algorithm: Algorithm,
    check: Check,
}

enum Check {
    Mac(Box<Key>),
    Public(PublicKey),
    /// The signature is r and s, not DER (RFC 7518, section 3.4).
    EcdsaFixed(Vec<u8>),
}

impl signature::Verifier<Vec<u8>> for Verifier {
    fn verify(
        &self,
        message: &[u8],
        received: &Vec<u8>,
    ) -> std::result::Result<(), signature::Error> {
        let right = match &self.check {
            Check::Mac(key) => {
                let mac = key.mac(&[Cow::Borrowed(message)]);
                bool::from(received.as_slice().ct_eq(&mac))
            }
            Check::Public(key) => key.verify(message, received),
            Check::EcdsaFixed(point) => {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                key.verify(message, received).is_ok()
            }
        };
        if right {
            Ok(())
        } else {
            Err(signature::Error::new())
        }
    }
}

impl JwtVerifier for Verifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
