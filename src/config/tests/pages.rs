//! Every example of docs/verification.md compiles, takes what is signed right, and refuses what is not.

use super::*;
use crate::model::http_file;
use crate::verify::hmac_text;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use sha2::{Digest, Sha256};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/verification.md"));
/// Nothing here can make such a key.
const RSA: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/cases/verify/rsa.json"
));
const SECRET: &str = "fake-shop-secret-0001";
const TOKEN: &str = "fake-token-0001";
const NOW: i64 = 1_767_225_600;
const JSON: &str = "Content-Type: application/json\n";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\n";

fn blocks() -> Vec<&'static str> {
    let parts = PAGE.split("```toml\n").skip(1);
    parts
        .map(|part| part.split_once("```").unwrap().0)
        .collect()
}

/// What the signing side of the examples knows.
struct Sender {
    ed25519: Ed25519KeyPair,
    ecdsa: EcdsaKeyPair,
    rsa: serde_json::Value,
}

impl Sender {
    fn new() -> Self {
        let random = ring::rand::SystemRandom::new();
        let algorithm = &ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
        let ecdsa = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        Self {
            ed25519: Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).unwrap(),
            ecdsa: EcdsaKeyPair::from_pkcs8(algorithm, ecdsa.as_ref(), &random).unwrap(),
            rsa: serde_json::from_str(RSA).unwrap(),
        }
    }

    fn files(&self) -> Vec<(&'static str, String)> {
        vec![
            ("SHOP_SECRET", SECRET.into()),
            ("NEW_SECRET", "fake-new-secret-0002".into()),
            ("OLD_SECRET", SECRET.into()),
            (
                "PREFIXED_SECRET",
                format!("whsec_{}", BASE64_STANDARD.encode(SECRET)),
            ),
            ("HEX_SECRET", hex::encode(SECRET)),
            ("TOKEN", TOKEN.into()),
            ("USER_AND_PASSWORD", "ada:fake-pass-0001".into()),
            ("ED25519_KEY", hex::encode(self.ed25519.public_key())),
            ("ECDSA_KEY", BASE64_STANDARD.encode(self.ecdsa.public_key())),
            ("RSA_KEY", self.rsa["public_key"].as_str().unwrap().into()),
        ]
    }

    fn webhook(&self, block: &str) -> Arc<Webhook> {
        let toml = format!(
            "[[webhook]]\nname = \"w\"\nslug = \"fakeslug00000000000001\"\n\
             event = {{ event = \"e\", resource = {{ \"prefect.resource.id\" = \"r\" }} }}\n{}",
            block
                .replace("{ env = ", "{ file = ")
                .replace("env = ", "file = ")
        );
        let files = self.files();
        let files: Vec<_> = files.iter().map(|(n, t)| (*n, t.as_str())).collect();
        let loaded = load_text(&toml, &files);
        assert_eq!(lines(&loaded), "", "{block}");
        Arc::clone(&loaded.config.unwrap().webhooks[0])
    }

    /// For each example, in the page's order, a request that its sender would make.
    #[allow(clippy::too_many_lines, reason = "a table")]
    fn requests(&self) -> Vec<String> {
        let post =
            |head: String, body: &str| format!("POST /hooks/x HTTP/1.1\nHost: h\n{head}\n{body}");
        let mac = |algorithm: &str, encoding: &str, text: &str| {
            hmac_text(algorithm, encoding, SECRET.as_bytes(), text).unwrap()
        };
        let body = r#"{"id":1}"#;
        let hash = hex::encode(Sha256::digest(body));
        let plain = hex::encode(Sha256::digest(format!("{SECRET}{body}")));
        let random = ring::rand::SystemRandom::new();
        let ecdsa = self.ecdsa.sign(&random, body.as_bytes()).unwrap();
        let claims = serde_json::json!({"iss": "shop.example", "aud": ["hooks"], "sha256": hash, "iat": NOW - 9});
        let jwt = format!(
            "{}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#),
            BASE64_URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let jwt = format!(
            "{jwt}.{}",
            mac("sha256", "base64url", &jwt).trim_end_matches('=')
        );
        let in_body = format!(
            r#"{{"signature":{{"time":"{NOW}","nonce":"n1","value":"{}"}}}}"#,
            mac("sha256", "hex", &format!("{NOW}n1"))
        );
        let sig = format!("X-Sig: {}\n", mac("sha256", "hex", body));
        vec![
            post(
                format!("X-Shop-Signature: {}\n", mac("sha256", "base64", body)),
                body,
            ),
            post(format!("X-Sig: sha1={}\n", mac("sha1", "hex", body)), body),
            post(
                format!(
                    "X-Signature: t={NOW},v1=00,v1={}\n",
                    mac("sha256", "hex", &format!("{NOW}.{body}"))
                ),
                body,
            ),
            post(
                format!(
                    "webhook-id: msg_1\nwebhook-timestamp: {NOW}\nwebhook-signature: v2,xx v1,{}\n",
                    mac("sha256", "base64", &format!("msg_1.{NOW}.{body}"))
                ),
                body,
            ),
            post(
                format!(
                    "X-Request-Id: r1\nX-Sig: {}\n",
                    mac(
                        "sha512",
                        "base64url",
                        &format!("POST\n/hooks/x\nr1\n{hash}")
                    )
                ),
                body,
            ),
            post(
                format!(
                    "{FORM}X-Sig: {}\n",
                    mac("sha384", "hex", "http://h/hooks/xa1b2")
                ),
                "b=2&a=1",
            ),
            post(
                format!("X-Sig-1: 00\nX-Sig-3: {}\n", mac("sha256", "hex", body)),
                body,
            ),
            post(JSON.into(), &in_body),
            post(format!("X-Hash: {plain}\n"), body),
            post(
                format!(
                    "X-Time: {NOW}\nX-Signature: {}\n",
                    hex::encode(self.ed25519.sign(format!("{NOW}{body}").as_bytes()))
                ),
                body,
            ),
            post(
                format!("X-Signature: {}\n", BASE64_STANDARD.encode(ecdsa)),
                body,
            ),
            post(
                format!(
                    "X-Signature: {}\n",
                    self.rsa["rsa_sha256"].as_str().unwrap()
                ),
                self.rsa["body"].as_str().unwrap(),
            ),
            post(format!("Authorization: Bearer {jwt}\n"), body),
            post(format!("Authorization: Bearer {TOKEN}\n"), body),
            post(
                format!(
                    "Authorization: Basic {}\n",
                    BASE64_STANDARD.encode("ada:fake-pass-0001")
                ),
                body,
            ),
            post(format!("X-Token: {TOKEN}\n"), body),
            format!("GET /hooks/x?key={TOKEN} HTTP/1.1\nHost: h\n\n"),
            format!("POST /hooks/x/{TOKEN} HTTP/1.1\nHost: h\n\n{body}"),
            post(
                JSON.into(),
                &format!(r#"{{"items":[{{"token":"{TOKEN}"}},{{"token":"{TOKEN}"}}]}}"#),
            ),
            post(FORM.into(), &format!("a=1&token={TOKEN}")),
            post(format!("X-Token: {TOKEN}\n"), body),
            format!("POST /hooks/x HTTP/1.1\nHost: h\nAuthorization: Bearer {TOKEN}\n\n{body}"),
            post(sig, body),
            post(String::new(), body),
        ]
    }
}

/// The same request with one letter of a value changed where the scheme looks.
fn spoil(request: &str) -> String {
    for (mark, with) in [
        (TOKEN, "fake-token-0002"),
        (r#"{"id":1}"#, r#"{"id":2}"#),
        ("a=1", "a=2"),
        (r#""nonce":"n1""#, r#""nonce":"n2""#),
    ] {
        if let Some(at) = request.rfind(mark) {
            let (head, tail) = request.split_at(at);
            return format!("{head}{with}{}", tail.strip_prefix(mark).unwrap());
        }
    }
    format!("{request} ")
}

#[test]
fn every_example_takes_its_sender_and_nobody_else() {
    let sender = Sender::new();
    let requests = sender.requests();
    let blocks = blocks();
    assert_eq!(blocks.len(), requests.len());
    let now = Timestamp::from_second(NOW + 3).unwrap();
    for (block, text) in blocks.iter().zip(&requests) {
        let webhook = sender.webhook(block);
        let check = |text: &str, now: Timestamp| {
            let mut request = http_file::parse(text.as_bytes(), now).unwrap();
            request.peer = "192.0.2.7".parse().unwrap();
            webhook.verifier.verify(&request, now)
        };
        let verdict = check(text, now);
        assert!(verdict.failure.is_none(), "{block}\n{text}\n{verdict:?}");
        let shown = format!("{verdict:?}");
        assert!(!shown.contains("fake-"), "{shown}");
        if webhook.verifier.is_open() {
            continue;
        }
        let basic = text.contains("Authorization: Basic");
        let spoilt = if basic {
            text.replace("Basic YWRh", "Basic YWRi")
        } else {
            spoil(text)
        };
        let verdict = check(&spoilt, now);
        assert!(verdict.failure.is_some(), "{block}\n{spoilt}");
        assert!(!format!("{verdict:?}").contains("fake-"), "{verdict:?}");
        let bare = if text.starts_with("GET") {
            "GET /hooks/x HTTP/1.1\n\n"
        } else {
            "POST /hooks/x HTTP/1.1\n\n"
        };
        assert!(check(bare, now).failure.is_some(), "{block}");
        if block.contains("timestamp") || block.contains("max_age") {
            let late = Timestamp::from_second(NOW + 3_600).unwrap();
            assert!(check(text, late).failure.is_some(), "{block}");
        }
    }
}
