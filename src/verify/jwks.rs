//! A set of JSON Web Keys (RFC 7517): public signing keys by name. Shared secrets in it are left out, since whoever
//! reads a public document could sign with them.

use super::encoding::{Encoding, KeyEncoding};
use super::public::{PublicAlgorithm, PublicKey};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Keys of one set at most. The largest known has about thirty.
const KEYS_MAX: usize = 100;
/// Bytes of an RSA modulus that ring takes.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// Keys that check signatures.
#[derive(Clone)]
pub(super) struct Jwks {
    keys: Vec<Jwk>,
}

/// One of them.
#[derive(Clone)]
pub(super) struct Jwk {
    pub(super) kid: Option<String>,
    /// The only algorithm that it is for, where the set says so.
    algorithm: Option<Algorithm>,
    /// The one that its form implies (the curve's).
    curve: Option<Algorithm>,
    pub(super) key: DecodingKey,
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl Jwks {
    /// Reads a set, or one key alone. Keys of unknown kinds are left out.
    ///
    /// # Errors
    /// It is no set, or none of its keys can check a signature.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(bytes).map_err(|_| "it is no JSON".to_owned())?;
        let raw = if value.get("kty").is_some() {
            vec![value]
        } else {
            let set = RawSet::deserialize(value);
            set.map_err(|_| "it is no set of JSON Web Keys".to_owned())?
                .keys
        };
        if raw.len() > KEYS_MAX {
            return Err(format!("it has more than {KEYS_MAX} keys"));
        }
        let keys: Vec<Jwk> = raw.into_iter().filter_map(Jwk::read).collect();
        if keys.is_empty() {
            return Err("it has no key that could check a signature".to_owned());
        }
        Ok(Self { keys })
    }

    /// Whether a key of this name is there, of whatever kind.
    pub(super) fn has(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// Keys that may have made a signature: of that name, or all where the token names none.
    pub(super) fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &Jwk> {
        self.keys.iter().filter(move |key| {
            (kid.is_none() || key.kid.as_deref() == kid)
                && key.key.family() == algorithm.family()
                && key.algorithm.is_none_or(|only| only == algorithm)
                && key.curve.is_none_or(|only| only == algorithm)
        })
    }
}

impl Jwk {
    fn read(value: Value) -> Option<Self> {
        let text = value.to_string();
        let raw = RawKey::deserialize(value).ok()?;
        let signs = raw.usage.as_deref().is_none_or(|usage| usage == "sig");
        let verifies = raw
            .key_ops
            .as_ref()
            .is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !signs || !verifies {
            return None;
        }
        let algorithm = match raw.alg.as_deref() {
            None => None,
            // A key for an algorithm that nobody here knows checks nothing.
            Some(name) => Some(name.parse().ok()?),
        };
        let (key, curve) = match (raw.kty.as_str(), raw.crv.as_deref()) {
            ("RSA", None) => (rsa(&raw)?, None),
            ("EC", Some("P-256")) => {
                let point = PublicKey::parse(PublicAlgorithm::EcdsaP256, KeyEncoding::Text, &text)?;
                let key = DecodingKey::from_ec_der(&point.bytes());
                (key, Some(Algorithm::ES256))
            }
            ("EC", Some("P-384")) => (p384(&raw)?, Some(Algorithm::ES384)),
            ("OKP", Some("Ed25519")) => {
                let key = PublicKey::parse(PublicAlgorithm::Ed25519, KeyEncoding::Text, &text)?;
                let key = DecodingKey::from_ed_der(&key.bytes());
                (key, Some(Algorithm::EdDSA))
            }
            _ => return None,
        };
        if algorithm.is_some_and(|algorithm: Algorithm| algorithm.family() != key.family()) {
            return None;
        }
        Some(Self {
            kid: raw.kid,
            algorithm,
            curve,
            key,
        })
    }
}

fn rsa(raw: &RawKey) -> Option<DecodingKey> {
    let decode = |text: &Option<String>| Encoding::Base64Url.decode(text.as_deref()?);
    let (modulus, exponent) = (decode(&raw.n)?, decode(&raw.e)?);
    // Some write a leading zero, which is no digit of the number.
    let modulus = modulus.strip_prefix(&[0]).unwrap_or(&modulus);
    let fits = MODULUS_BYTES.contains(&modulus.len()) && (1..=8).contains(&exponent.len());
    fits.then(|| DecodingKey::from_rsa_raw_components(modulus, &exponent))
}

fn p384(raw: &RawKey) -> Option<DecodingKey> {
    const COORDINATE_BYTES: usize = 48;
    let coordinate = |text: &Option<String>| {
        let bytes = Encoding::Base64Url.decode(text.as_deref()?)?;
        (bytes.len() == COORDINATE_BYTES).then_some(bytes)
    };
    let (x, y) = (coordinate(&raw.x)?, coordinate(&raw.y)?);
    // The mark of an uncompressed point (SEC 1, section 2.3.3).
    Some(DecodingKey::from_ec_der(&[[4].as_slice(), &x, &y].concat()))
}

/// Algorithms of which a set holds the keys: never those with a shared secret.
pub(super) fn is_public(algorithm: Algorithm) -> bool {
    algorithm.family() != AlgorithmFamily::Hmac
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7515, appendix A.3.1.
    const EC: &str = r#"{"kty":"EC","crv":"P-256","kid":"e1","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

    fn rsa_key(kid: &str, more: &str) -> String {
        let modulus = Encoding::Base64Url.encode(&[0xc5; 256]);
        let modulus = modulus.trim_end_matches('=');
        format!(r#"{{"kty":"RSA","kid":"{kid}","n":"{modulus}","e":"AQAB"{more}}}"#)
    }

    fn set(keys: &[&str]) -> Result<Jwks, String> {
        Jwks::read(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes())
    }

    #[test]
    fn keys_by_name_and_algorithm() {
        let (a, b) = (
            rsa_key("a", ""),
            rsa_key("b", r#","alg":"RS256","use":"sig""#),
        );
        let jwks = set(&[&a, &b, EC]).unwrap();
        let count = |kid, algorithm| jwks.candidates(kid, algorithm).count();
        assert_eq!(count(Some("a"), Algorithm::RS256), 1);
        assert_eq!(count(Some("a"), Algorithm::RS512), 1);
        assert_eq!(count(Some("b"), Algorithm::RS512), 0);
        assert_eq!(count(None, Algorithm::RS256), 2);
        assert_eq!(count(Some("e1"), Algorithm::ES256), 1);
        assert_eq!(count(Some("e1"), Algorithm::ES384), 0);
        assert_eq!(count(Some("e1"), Algorithm::RS256), 0);
        assert_eq!(count(Some("c"), Algorithm::RS256), 0);
        assert!(jwks.has("e1") && !jwks.has("c"));
        assert_eq!(Jwks::read(EC.as_bytes()).unwrap().keys.len(), 1);
    }

    #[test]
    fn what_checks_no_signature_is_left_out() {
        let oct = r#"{"kty":"oct","kid":"s","k":"ZmFrZS1zZWNyZXQtMDAwMQ","alg":"HS256"}"#;
        let small = r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#;
        let weak =
            r#"{"kty":"OKP","crv":"Ed25519","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
        let enc = rsa_key("x", r#","use":"enc""#);
        let encrypts = rsa_key("x", r#","key_ops":["encrypt"]"#);
        let shared = rsa_key("x", r#","alg":"HS256""#);
        let unknown = rsa_key("x", r#","alg":"RSA-OAEP""#);
        for key in [
            oct, small, weak, &enc, &encrypts, &shared, &unknown, "{}", "1", "null",
        ] {
            assert!(set(&[key]).is_err(), "{key}");
            assert_eq!(set(&[key, EC]).unwrap().keys.len(), 1, "{key}");
        }
        for bad in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]}"#, "<html>"] {
            assert!(Jwks::read(bad.as_bytes()).is_err(), "{bad}");
        }
        let many = vec![EC; KEYS_MAX + 1];
        assert!(set(&many).is_err());
    }
}
