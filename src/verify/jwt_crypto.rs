//! The cryptography that `jsonwebtoken` calls: the HMAC that every other scheme uses, ring for RSA and ECDSA,
//! ed25519-dalek. Nothing is signed here.

use super::mac::{Algorithm as MacAlgorithm, Key};
use super::public::PublicKey;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, EcdsaVerificationAlgorithm,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
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
    let check = match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, e } => {
            rsa(algorithm).map(|parameters| Check::RsaComponents(parameters, n.clone(), e.clone()))
        }
        DecodingKeyKind::SecretOrDer(bytes) => by_bytes(algorithm, bytes),
    };
    check.ok_or_else(|| ErrorKind::UnsupportedAlgorithm.into())
}

/// A token of nobody, whose head takes time to read as any does.
const NOBODYS: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImZha2UtMSIsInR5cCI6IkpXVCJ9.e30.AAAA";

/// Takes the time of a check where there is no signature to check.
pub(super) fn work_for_nothing(algorithm: Algorithm, key: &DecodingKey, message: &[u8]) {
    black_box(jsonwebtoken::decode_header(NOBODYS).is_ok());
    match check(algorithm, key) {
        Ok(Check::Mac(key)) => {
            black_box(key.mac(&[Cow::Borrowed(message)]));
        }
        Ok(Check::Public(key)) => key.work_for_nothing(message),
        Ok(Check::EcdsaFixed(curve, point)) => {
            // r and s are 1: a signature of the right form that nobody made.
            let half = point.len() / 2;
            let mut ones = vec![0; half * 2];
            let ends = ones.iter_mut().skip(half.saturating_sub(1));
            ends.step_by(half.max(1)).for_each(|b| *b = 1);
            let key = UnparsedPublicKey::new(curve, point);
            black_box(key.verify(message, &ones).is_ok());
        }
        Ok(Check::Rsa(parameters, der)) => {
            let key = UnparsedPublicKey::new(parameters, &der);
            black_box(key.verify(message, &rsa_ones(der.len())).is_ok());
        }
        Ok(Check::RsaComponents(parameters, n, e)) => {
            let ones = rsa_ones(n.len());
            let key = RsaPublicKeyComponents { n, e };
            black_box(key.verify(parameters, message, &ones).is_ok());
        }
        Err(_) => {}
    }
}

/// Bytes as long as a signature of a key, of which `bytes` is the length of the modulus, or somewhat more.
fn rsa_ones(bytes: usize) -> Vec<u8> {
    vec![1; bytes & !0xf]
}

fn by_bytes(algorithm: Algorithm, bytes: &[u8]) -> Option<Check> {
    let mac = |algorithm| Key::new(algorithm, bytes).map(|key| Check::Mac(Box::new(key)));
    match algorithm {
        Algorithm::HS256 => mac(MacAlgorithm::Sha256),
        Algorithm::HS384 => mac(MacAlgorithm::Sha384),
        Algorithm::HS512 => mac(MacAlgorithm::Sha512),
        Algorithm::ES256 => Some(Check::EcdsaFixed(&ECDSA_P256_SHA256_FIXED, bytes.to_vec())),
        Algorithm::ES384 => Some(Check::EcdsaFixed(&ECDSA_P384_SHA384_FIXED, bytes.to_vec())),
        Algorithm::EdDSA => {
            let array = <[u8; 32]>::try_from(bytes).ok();
            let key = array.and_then(|b| ed25519_dalek::VerifyingKey::from_bytes(&b).ok());
            key.map(|key| Check::Public(PublicKey::Ed25519(Box::new(key))))
        }
        _ => rsa(algorithm).map(|parameters| Check::Rsa(parameters, bytes.to_vec())),
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&RSA_PSS_2048_8192_SHA512),
        _ => None,
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
    EcdsaFixed(&'static EcdsaVerificationAlgorithm, Vec<u8>),
    /// `RSAPublicKey` in DER.
    Rsa(&'static RsaParameters, Vec<u8>),
    /// Modulus and exponent.
    RsaComponents(&'static RsaParameters, Vec<u8>, Vec<u8>),
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
            Check::EcdsaFixed(curve, point) => {
                let key = UnparsedPublicKey::new(*curve, point);
                key.verify(message, received).is_ok()
            }
            Check::Rsa(parameters, der) => {
                let key = UnparsedPublicKey::new(*parameters, der);
                key.verify(message, received).is_ok()
            }
            Check::RsaComponents(parameters, n, e) => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(parameters, message, received).is_ok()
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
