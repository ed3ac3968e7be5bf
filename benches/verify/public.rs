//! Signatures that a public key checks, and JSON Web Tokens.

use crate::families::{Family, KEY, NOW, Signed, family, json, mac};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::Signer as _;
use hmac::{Hmac, KeyInit, Mac};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{self, EcdsaKeyPair, KeyPair, RsaKeyPair, UnparsedPublicKey};
use sha2::{Digest, Sha256};
use std::rc::Rc;
use subtle::ConstantTimeEq;

const RSA: &[u8] = include_bytes!("../../tests/fixtures/keys/fake-rsa-2048.pk8");

/// Signs as an algorithm of JSON Web Tokens does.
type SignToken = Rc<dyn Fn(&[u8]) -> Vec<u8>>;
/// Checks a signature.
type Check = Rc<dyn Fn(&[u8], &[u8]) -> bool>;

pub(crate) fn all() -> Vec<Family> {
    let mut all = rsa();
    all.extend(curves());
    all.push(hs256());
    all
}

fn ring(algorithm: &'static dyn signature::VerificationAlgorithm, key: &[u8]) -> Check {
    let key = key.to_vec();
    Rc::new(move |message, received| {
        let key = UnparsedPublicKey::new(algorithm, &key);
        key.verify(message, received).is_ok()
    })
}

fn rsa() -> Vec<Family> {
    let pair = Rc::new(RsaKeyPair::from_pkcs8(RSA).unwrap());
    let public = pair.public().as_ref().to_vec();
    let parts = PublicKeyComponents::<Vec<u8>>::from(pair.public());
    let (n, e) = (&parts.n, &parts.e);
    let (n, e) = (
        BASE64_URL_SAFE_NO_PAD.encode(n),
        BASE64_URL_SAFE_NO_PAD.encode(e),
    );
    let sign: SignToken = Rc::new(move |message| {
        let mut out = vec![0; pair.public().modulus_len()];
        let random = SystemRandom::new();
        pair.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut out)
            .unwrap();
        out
    });
    let check = ring(&signature::RSA_PKCS1_2048_8192_SHA256, &public);
    let secret = BASE64_STANDARD.encode(&public);
    let mut of_set = jwt(
        "jwt RS256 of a set of keys",
        "scheme = 'jwt', header = 'X-Token', algorithms = ['RS256'], body_hash = { claim = 'h' }, jwks = { url = 'https://keys.example.com/jwks' }",
        "RS256",
        secret.clone(),
        Rc::clone(&sign),
        Rc::clone(&check),
    );
    of_set.jwks = Some(format!(
        r#"{{"keys":[{{"kty":"RSA","alg":"RS256","kid":"fake-1","n":"{n}","e":"{e}"}}]}}"#
    ));
    vec![
        over_body(
            "rsa-sha256",
            "scheme = 'rsa-sha256', header = 'X-Signature'",
            secret.clone(),
            Rc::clone(&sign),
            Rc::clone(&check),
        ),
        jwt(
            "jwt RS256 with the body's hash",
            "scheme = 'jwt', header = 'X-Token', algorithms = ['RS256'], body_hash = { claim = 'h' }",
            "RS256",
            secret,
            sign,
            check,
        ),
        of_set,
    ]
}

fn curves() -> Vec<Family> {
    let ed = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let ed_public = ed.verifying_key();
    let random = SystemRandom::new();
    let pair = |algorithm| {
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Rc::new(EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap())
    };
    let ec = pair(&signature::ECDSA_P256_SHA256_ASN1_SIGNING);
    let fixed = pair(&signature::ECDSA_P256_SHA256_FIXED_SIGNING);
    let sign_ec = |pair: &Rc<EcdsaKeyPair>| -> SignToken {
        let pair = Rc::clone(pair);
        Rc::new(move |message| {
            let signature = pair.sign(&SystemRandom::new(), message).unwrap();
            signature.as_ref().to_vec()
        })
    };
    let ed_text = hex::encode(ed_public.as_bytes());
    let sign_ed: SignToken = Rc::new(move |message| ed.sign(message).to_bytes().to_vec());
    let check_ed: Check = Rc::new(move |message, received| {
        let received = ed25519_dalek::Signature::from_slice(received).unwrap();
        ed_public.verify_strict(message, &received).is_ok()
    });
    let key = |pair: &EcdsaKeyPair| hex::encode(pair.public_key().as_ref());
    let (point, other) = (ec.public_key().as_ref(), fixed.public_key().as_ref());
    vec![
        over_body(
            "ed25519",
            "scheme = 'ed25519', header = 'X-Signature'",
            ed_text,
            sign_ed,
            check_ed,
        ),
        over_body(
            "ecdsa-p256-sha256",
            "scheme = 'ecdsa-p256-sha256', header = 'X-Signature'",
            key(&ec),
            sign_ec(&ec),
            ring(&signature::ECDSA_P256_SHA256_ASN1, point),
        ),
        jwt(
            "jwt ES256 with the body's hash",
            "scheme = 'jwt', header = 'X-Token', algorithms = ['ES256'], body_hash = { claim = 'h' }",
            "ES256",
            key(&fixed),
            sign_ec(&fixed),
            ring(&signature::ECDSA_P256_SHA256_FIXED, other),
        ),
    ]
}

fn hs256() -> Family {
    let hs: SignToken = Rc::new(|message| mac::<Hmac<Sha256>>(&[message]).0);
    let key = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    let check: Check = Rc::new(move |message, received| {
        let mut mac = key.clone();
        mac.update(message);
        bool::from(mac.finalize().into_bytes().ct_eq(received))
    });
    jwt(
        "jwt HS256 with the body's hash",
        "scheme = 'jwt', header = 'X-Token', algorithms = ['HS256'], body_hash = { claim = 'h' }",
        "HS256",
        KEY.to_owned(),
        hs,
        check,
    )
}

fn over_body(
    name: &'static str,
    verify: &'static str,
    secret: String,
    sign: SignToken,
    check: Check,
) -> Family {
    let mut made = family(name, verify, "x-signature", move |size| {
        let (body, check) = (json(size), Rc::clone(&check));
        let (copy, tag) = (body.clone(), sign(&body));
        let text = hex::encode(&tag);
        Signed::new(body, move || check(&copy, &tag)).header("x-signature", text)
    });
    made.secret = secret;
    made
}

/// A token that names the hash of the body. The primitive: its signature, and the hash.
fn jwt(
    name: &'static str,
    verify: &'static str,
    algorithm: &'static str,
    secret: String,
    sign: SignToken,
    check: Check,
) -> Family {
    let mut made = family(name, verify, "x-token", move |size| {
        let (body, check) = (json(size), Rc::clone(&check));
        let hash = Sha256::digest(&body).to_vec();
        let header = format!(r#"{{"alg":"{algorithm}","kid":"fake-1","typ":"JWT"}}"#);
        let claims = format!(
            r#"{{"iss":"sender","iat":{NOW},"exp":{},"h":"{}"}}"#,
            NOW + 600,
            hex::encode(&hash)
        );
        let engine = BASE64_URL_SAFE_NO_PAD;
        let head = format!("{}.{}", engine.encode(header), engine.encode(claims));
        let tag = sign(head.as_bytes());
        let token = format!("{head}.{}", engine.encode(&tag));
        let copy = body.clone();
        let bare = move || {
            let bound = bool::from(Sha256::digest(&copy).as_slice().ct_eq(&hash));
            check(head.as_bytes(), &tag) & bound
        };
        Signed::new(body, bare).header("x-token", token)
    });
    made.secret = secret;
    made
}
