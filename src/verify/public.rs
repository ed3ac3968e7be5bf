//! Signatures that a public key checks: Ed25519 (RFC 8032, strict), ECDSA P-256 (FIPS 186-5, DER), RSA PKCS #1
//! v1.5 (RFC 8017).

use super::encoding::{Encoding, KeyEncoding};
use ring::signature::{self, UnparsedPublicKey};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use spki::SubjectPublicKeyInfoRef;
use spki::der::asn1::UintRef;
use spki::der::{Decode, Reader, SliceReader};
use std::hint::black_box;

/// The algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PublicAlgorithm {
    Ed25519,
    EcdsaP256,
    RsaSha1,
    RsaSha256,
}

impl PublicAlgorithm {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-p256-sha256",
            Self::RsaSha1 => "rsa-sha1",
            Self::RsaSha256 => "rsa-sha256",
        }
    }

    /// OID of its keys.
    fn oid(self) -> &'static str {
        match self {
            Self::Ed25519 => "1.3.101.112",
            Self::EcdsaP256 => "1.2.840.10045.2.1",
            Self::RsaSha1 | Self::RsaSha256 => "1.2.840.113549.1.1.1",
        }
    }
}

const DER_SEQUENCE: u8 = 0x30;
/// A signature of the right form that nobody made: the base point (RFC 8032, section 5.1) and 1.
const ED25519_R: [u8; 32] = {
    let mut point = [0x66; 32];
    point[0] = 0x58;
    point
};
const ED25519_S: [u8; 32] = {
    let mut one = [0; 32];
    one[0] = 1;
    one
};
/// The same for ECDSA, in DER: r and s are 1.
const ECDSA_ONES: [u8; 8] = [DER_SEQUENCE, 6, 2, 1, 1, 2, 1, 1];

/// Bytes of the modulus in an `RSAPublicKey`, whose frame and exponent are some 14 bytes.
fn modulus_bytes(key: &[u8]) -> usize {
    key.len().saturating_sub(12) / 8 * 8
}

/// A public key.
#[derive(Clone)]
pub(super) enum PublicKey {
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
    /// The uncompressed point.
    EcdsaP256(Vec<u8>),
    /// `RSAPublicKey` in DER.
    Rsa(Vec<u8>, PublicAlgorithm),
}

impl PublicKey {
    /// Reads PEM, `SubjectPublicKeyInfo`, or the bare key, as base64 or hex. `None`: it is none, or one that
    /// verifies what nobody signed.
    pub(super) fn parse(
        algorithm: PublicAlgorithm,
        encoding: KeyEncoding,
        text: &str,
    ) -> Option<Self> {
        let bytes = bare(algorithm, encoding, text)?;
        match algorithm {
            PublicAlgorithm::Ed25519 => {
                let bytes: [u8; 32] = bytes.try_into().ok()?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes).ok()?;
                (!key.is_weak()).then(|| Self::Ed25519(Box::new(key)))
            }
            PublicAlgorithm::EcdsaP256 => is_on_curve(&bytes).then_some(Self::EcdsaP256(bytes)),
            PublicAlgorithm::RsaSha1 | PublicAlgorithm::RsaSha256 => {
                let bits = rsa_bits(&bytes)?;
                RSA_BITS
                    .contains(&bits)
                    .then_some(Self::Rsa(bytes, algorithm))
            }
        }
    }

    /// What is wrong with a text that [`PublicKey::parse`] does not take, to follow "secret 1".
    pub(super) fn why_not(algorithm: PublicAlgorithm, encoding: KeyEncoding, text: &str) -> String {
        let name = algorithm.name();
        if text.contains("PRIVATE KEY-----") {
            return "is a private key: it stays at the sender, who has a public key to it"
                .to_owned();
        }
        if text.contains("-----BEGIN CERTIFICATE") {
            return "is a certificate: take the public key out of it (openssl x509 -pubkey -noout)"
                .to_owned();
        }
        let Some(bytes) = bare(algorithm, encoding, text) else {
            return format!(
                "is no public key for {name}: expected PEM, or base64 or hex of one, of this algorithm"
            );
        };
        match algorithm {
            PublicAlgorithm::Ed25519 if bytes.len() != 32 => {
                format!("is no ed25519 key: it has {} bytes, not 32", bytes.len())
            }
            PublicAlgorithm::Ed25519 => {
                "is an ed25519 key that verifies what nobody signed (a point of low order, or none)"
                    .to_owned()
            }
            PublicAlgorithm::EcdsaP256 => {
                "is no point of the curve P-256: the key is of another curve, or damaged".to_owned()
            }
            PublicAlgorithm::RsaSha1 | PublicAlgorithm::RsaSha256 => match rsa_bits(&bytes) {
                Some(bits) => format!(
                    "is an RSA key of {bits} bits: {} to {} are accepted",
                    RSA_BITS.start(),
                    RSA_BITS.end()
                ),
                None => format!("is no public key for {name}"),
            },
        }
    }

    /// The bare key, as ring and `jsonwebtoken` take it.
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.as_bytes().to_vec(),
            Self::EcdsaP256(bytes) | Self::Rsa(bytes, _) => bytes.clone(),
        }
    }

    /// Whether a signature has the outer form of this key's: any other is refused before the message is read.
    pub(super) fn may_have_made(&self, signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(_) => signature.len() == ed25519_dalek::SIGNATURE_LENGTH,
            // r and s in DER are a sequence.
            Self::EcdsaP256(_) => signature.first() == Some(&DER_SEQUENCE),
            Self::Rsa(key, _) => signature.len() == modulus_bytes(key),
        }
    }

    /// Takes the time of a check where there is no signature. There is no secret that time could tell of; a refusal
    /// just looks like any other.
    pub(super) fn work_for_nothing(&self, message: &[u8]) {
        let signature = match self {
            Self::Ed25519(_) => [ED25519_R, ED25519_S].concat(),
            Self::EcdsaP256(_) => ECDSA_ONES.to_vec(),
            // Below every modulus of that length.
            Self::Rsa(key, _) => {
                let mut number = vec![1; modulus_bytes(key)];
                number.iter_mut().take(1).for_each(|first| *first = 0);
                number
            }
        };
        black_box(self.verify(message, &signature));
    }

    pub(super) fn verify(&self, message: &[u8], received: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(received)
                .is_ok_and(|received| key.verify_strict(message, &received).is_ok()),
            Self::EcdsaP256(point) => {
                let key = UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, point);
                key.verify(message, received).is_ok()
            }
            Self::Rsa(key, PublicAlgorithm::RsaSha1) => {
                let algorithm = &signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY;
                let key = UnparsedPublicKey::new(algorithm, key);
                key.verify(message, received).is_ok()
            }
            Self::Rsa(key, _) => {
                let key = UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, key);
                key.verify(message, received).is_ok()
            }
        }
    }
}

/// Sizes of RSA keys that ring verifies with; smaller ones can be factored.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Bits of the modulus of an `RSAPublicKey` (RFC 8017, appendix A.1.1).
fn rsa_bits(bytes: &[u8]) -> Option<usize> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let modulus = reader.sequence(|inner| {
        let modulus = UintRef::decode(inner)?;
        UintRef::decode(inner)?;
        Ok::<_, spki::der::Error>(modulus)
    });
    let modulus = modulus.ok()?.as_bytes();
    let first = modulus.first()?;
    Some(modulus.len() * 8 - first.leading_zeros() as usize)
}

/// Whether these bytes are an uncompressed point of P-256: ring says so when it is asked to agree on a key.
fn is_on_curve(bytes: &[u8]) -> bool {
    use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
    if bytes.len() != 65 || bytes.first() != Some(&4) {
        return false;
    }
    let random = ring::rand::SystemRandom::new();
    EphemeralPrivateKey::generate(&ECDH_P256, &random).is_ok_and(|private| {
        agree_ephemeral(private, &UnparsedPublicKey::new(&ECDH_P256, bytes), |_| ()).is_ok()
    })
}

fn bare(algorithm: PublicAlgorithm, encoding: KeyEncoding, text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if text.starts_with('{') {
        return jwk(algorithm, text);
    }
    let bytes = if text.contains("-----BEGIN") {
        let key = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()).ok()?;
        key.as_ref().to_vec()
    } else {
        match encoding {
            // Hex is longer than base64 of the same key, and base64 that is all hex digits is hardly a key.
            KeyEncoding::Text | KeyEncoding::TextNfkd => Encoding::Hex
                .decode(text)
                .or_else(|| KeyEncoding::Base64.decode(text))?,
            KeyEncoding::Base64 | KeyEncoding::Hex => encoding.decode(text)?,
        }
    };
    let Ok(info) = SubjectPublicKeyInfoRef::from_der(&bytes) else {
        return Some(bytes);
    };
    if info.algorithm.oid.to_string() != algorithm.oid() {
        return None;
    }
    info.subject_public_key.as_bytes().map(<[u8]>::to_vec)
}

/// A JSON Web Key (RFC 7517; curves of RFC 7518, section 6.2, and RFC 8037); RSA keys are given as PEM.
#[derive(serde::Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    y: Option<String>,
}

fn jwk(algorithm: PublicAlgorithm, text: &str) -> Option<Vec<u8>> {
    const COORDINATE_BYTES: usize = 32;
    let key: Jwk = serde_json::from_str(text).ok()?;
    let coordinate = |text: &str| {
        let bytes = Encoding::Base64Url.decode(text)?;
        (bytes.len() == COORDINATE_BYTES).then_some(bytes)
    };
    let x = coordinate(&key.x)?;
    match (algorithm, key.kty.as_str(), key.crv.as_str(), key.y) {
        (PublicAlgorithm::Ed25519, "OKP", "Ed25519", None) => Some(x),
        (PublicAlgorithm::EcdsaP256, "EC", "P-256", Some(y)) => {
            let y = coordinate(&y)?;
            // The mark of an uncompressed point (SEC 1, section 2.3.3).
            Some([[4].as_slice(), &x, &y].concat())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_web_keys() {
        // RFC 8037, appendix A.2, and RFC 7515, appendix A.3.1.
        let okp =
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let ec = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
        let parse = |algorithm, text: &str| PublicKey::parse(algorithm, KeyEncoding::Text, text);
        assert!(parse(PublicAlgorithm::Ed25519, okp).is_some());
        let point = parse(PublicAlgorithm::EcdsaP256, ec).unwrap().bytes();
        assert_eq!((point.len(), point[0]), (65, 4));
        for (algorithm, text) in [
            (PublicAlgorithm::EcdsaP256, okp),
            (PublicAlgorithm::Ed25519, ec),
            (PublicAlgorithm::RsaSha256, ec),
            (PublicAlgorithm::Ed25519, "{}"),
            (
                PublicAlgorithm::Ed25519,
                r#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#,
            ),
            (
                PublicAlgorithm::EcdsaP256,
                r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#,
            ),
        ] {
            assert!(parse(algorithm, text).is_none(), "{text}");
        }
    }

    #[test]
    fn keys_in_every_form() {
        // RFC 8032, section 7.1, test 2.
        let hex = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        let signature = hex::decode("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00").unwrap();
        let raw = hex::decode(hex).unwrap();
        let base64 = Encoding::Base64.encode(&raw);
        let mut info = hex::decode("302a300506032b6570032100").unwrap();
        info.extend(&raw);
        let info = Encoding::Base64.encode(&info);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{info}\n-----END PUBLIC KEY-----\n");
        let algorithm = PublicAlgorithm::Ed25519;
        for text in [hex, &base64, &info, &pem] {
            let key = PublicKey::parse(algorithm, KeyEncoding::Text, text).unwrap();
            assert!(key.verify(&[0x72], &signature), "{text}");
            assert!(!key.verify(&[0x73], &signature), "{text}");
            assert!(!key.verify(&[0x72], &signature[..63]), "{text}");
            assert!(
                PublicKey::parse(PublicAlgorithm::RsaSha256, KeyEncoding::Text, text).is_none()
            );
        }
        assert!(PublicKey::parse(algorithm, KeyEncoding::Hex, &base64).is_none());
    }

    #[test]
    fn weak_keys_are_none() {
        for text in [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "00",
            "",
            "fake",
        ] {
            let key = PublicKey::parse(PublicAlgorithm::Ed25519, KeyEncoding::Text, text);
            assert!(key.is_none(), "{text}");
        }
    }
}
