//! Senders for tests: keys made on the spot, tokens and messages signed with them, and keys at hand.

use super::encoding::Encoding;
use super::{Document, Found, KeySource, KeysAtHand};
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use rustls_pki_types::TrustAnchor;
use std::collections::HashMap;
use std::sync::Arc;

/// A key in PEM that opens nothing.
const RSA_PEM: &str = include_str!("../../tests/fixtures/fake-rsa-key.pem");

pub(crate) fn base64url(bytes: &[u8]) -> String {
    Encoding::Base64Url
        .encode(bytes)
        .trim_end_matches('=')
        .to_owned()
}

/// A sender that signs tokens with a P-256 key.
pub(crate) struct EcSender {
    pub(crate) kid: &'static str,
    key: EcdsaKeyPair,
}

impl EcSender {
    pub(crate) fn new(kid: &'static str) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let der = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref(), &random).unwrap();
        Self { kid, key }
    }

    pub(crate) fn jwk(&self) -> String {
        let point = self.key.public_key().as_ref();
        let (x, y) = (base64url(&point[1..33]), base64url(&point[33..]));
        let kid = self.kid;
        format!(r#"{{"kty":"EC","crv":"P-256","kid":"{kid}","x":"{x}","y":"{y}"}}"#)
    }

    /// A token with more in its head, which begins with a comma.
    pub(crate) fn token_with(&self, head: &str, claims: &str) -> String {
        let head = format!(r#"{{"alg":"ES256"{head}}}"#);
        let text = format!(
            "{}.{}",
            base64url(head.as_bytes()),
            base64url(claims.as_bytes())
        );
        let signature = self
            .key
            .sign(&SystemRandom::new(), text.as_bytes())
            .unwrap();
        format!("{text}.{}", base64url(signature.as_ref()))
    }

    pub(crate) fn token(&self, claims: &str) -> String {
        self.token_with(&format!(r#","kid":"{}""#, self.kid), claims)
    }
}

/// The set of some senders' keys.
pub(crate) fn jwks(senders: &[&EcSender]) -> String {
    let keys: Vec<String> = senders.iter().map(|sender| sender.jwk()).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

fn rsa() -> RsaKeyPair {
    use rustls_pki_types::PrivatePkcs8KeyDer;
    use rustls_pki_types::pem::PemObject;
    let der = PrivatePkcs8KeyDer::from_pem_slice(RSA_PEM.as_bytes()).unwrap();
    RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap()
}

pub(crate) fn rsa_sign(bytes: &[u8]) -> Vec<u8> {
    rsa_sign_as(&RSA_PKCS1_SHA256, bytes)
}

fn rsa_sign_as(algorithm: &'static dyn RsaEncoding, bytes: &[u8]) -> Vec<u8> {
    let key = rsa();
    let mut signature = vec![0; key.public().modulus_len()];
    let random = SystemRandom::new();
    key.sign(algorithm, &random, bytes, &mut signature).unwrap();
    signature
}

/// A token that the RSA key signs by an algorithm.
pub(crate) fn rsa_token(algorithm: &str, kid: &str, claims: &str) -> String {
    let head = format!(r#"{{"alg":"{algorithm}","kid":"{kid}"}}"#);
    let text = format!(
        "{}.{}",
        base64url(head.as_bytes()),
        base64url(claims.as_bytes())
    );
    let encoding: &'static dyn RsaEncoding = match algorithm {
        "RS256" => &RSA_PKCS1_SHA256,
        "RS512" => &RSA_PKCS1_SHA512,
        _ => &RSA_PSS_SHA256,
    };
    let signature = rsa_sign_as(encoding, text.as_bytes());
    format!("{text}.{}", base64url(&signature))
}

pub(crate) fn rsa_jwk(kid: &str) -> String {
    let key = rsa();
    let components = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(key.public());
    let (n, e) = (base64url(&components.n), base64url(&components.e));
    format!(r#"{{"kty":"RSA","kid":"{kid}","use":"sig","n":"{n}","e":"{e}"}}"#)
}

/// Certificates for the RSA key.
pub(crate) struct Issued {
    /// In PEM.
    pub(crate) alone: String,
    /// With that of the authority that signed it.
    pub(crate) chain: String,
    /// The authority above that one.
    pub(crate) root: rcgen::Certificate,
}

fn rsa_for_certificates() -> rcgen::KeyPair {
    rcgen::KeyPair::from_pkcs8_pem_and_sign_algo(RSA_PEM, &rcgen::PKCS_RSA_SHA256).unwrap()
}

fn authority(name: &str) -> rcgen::CertificateParams {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params
}

/// A certificate for a name, good for the years 2025 and 2026.
pub(crate) fn certificate(name: &str) -> Issued {
    let (top_key, key) = (
        rcgen::KeyPair::generate().unwrap(),
        rcgen::KeyPair::generate().unwrap(),
    );
    let top = authority("fake root 0001");
    let root = top.self_signed(&top_key).unwrap();
    let top = rcgen::Issuer::new(top, top_key);
    let middle = authority("fake authority 0001");
    let issued = middle.signed_by(&key, &top).unwrap();
    let middle = rcgen::Issuer::new(middle, key);
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2026, 12, 31);
    let leaf = params.signed_by(&rsa_for_certificates(), &middle).unwrap();
    Issued {
        chain: format!("{}{}", leaf.pem(), issued.pem()),
        alone: leaf.pem(),
        root,
    }
}

/// A certificate with a key of another kind.
pub(crate) fn ec_certificate(name: &str) -> String {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    made.cert.pem()
}

/// Documents by URL, each fetched just now or a while ago.
#[derive(Default)]
pub(crate) struct FakeKeys {
    documents: HashMap<String, (String, bool, bool)>,
    pub(crate) roots: Vec<TrustAnchor<'static>>,
    pub(crate) now: Timestamp,
}

impl FakeKeys {
    pub(crate) fn put(&mut self, url: &str, text: &str, (fresh, asked): (bool, bool)) {
        let entry = (text.to_owned(), fresh, asked);
        self.documents.insert(url.to_owned(), entry);
    }
}

impl KeysAtHand for FakeKeys {
    fn find(&self, source: &KeySource) -> Option<Found> {
        let (text, fresh, asked) = self.documents.get(source.url().as_str())?;
        let document: Document = source.read(text.as_bytes(), self.now, &self.roots).ok()?;
        Some(Found {
            document: Arc::new(document),
            fresh: *fresh,
            asked: *asked,
        })
    }
}
