//! Public keys, plain digests, tokens and the senders with code of their own.

use super::*;
use crate::model::http_file;
use base64::Engine as _;
use proptest::prelude::*;

#[derive(serde::Deserialize)]
struct File {
    verify: VerifySpec,
}

fn now() -> Timestamp {
    Timestamp::from_second(1_767_225_600).unwrap()
}

fn compile(verify: &str, secret: &str) -> Result<Verifier, String> {
    let file: File =
        toml::from_str(&format!("verify = {{ {verify} }}")).map_err(|e| e.to_string())?;
    let secret = DatedSecret {
        secret: Secret::new(secret.to_owned()),
        until: None,
    };
    Verifier::compile(&file.verify, &[secret]).map_err(|e| e.to_string())
}

fn request(head: &str, body: &str) -> Request {
    let text = format!("POST /hooks/x HTTP/1.1\nHost: h.example\n{head}\n\n{body}");
    http_file::parse(text.as_bytes(), now()).unwrap()
}

fn failure(verifier: &Verifier, request: &Request) -> Option<Code> {
    verifier.verify(request, now()).failure.map(|p| p.code)
}

fn token(header: &str, claims: &str, key: &str) -> String {
    let engine = base64::prelude::BASE64_URL_SAFE_NO_PAD;
    let head = format!("{}.{}", engine.encode(header), engine.encode(claims));
    let mac = hmac_text("sha256", "base64url", key.as_bytes(), &head).unwrap();
    format!("{head}.{}", mac.trim_end_matches('='))
}

const JWT: &str = r#"scheme = "jwt", header = "X-Token", algorithms = ["HS256"], issuer = "me", body_hash = { claim = "h" }, max_age = "5m""#;
const KEY: &str = "fake-jwt-secret-0001";
/// Of the body `body`.
const HASH: &str = "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5";

#[test]
fn a_token_must_be_signed_by_the_schemes_algorithm_and_bind_the_body() {
    let verifier = compile(JWT, KEY).unwrap();
    let hs = r#"{"alg":"HS256","typ":"JWT"}"#;
    let claims = |more: &str| format!(r#"{{"iss":"me","iat":1767225600,"h":"{HASH}"{more}}}"#);
    let good = claims("");
    let check =
        |token: &str, body: &str| failure(&verifier, &request(&format!("X-Token: {token}"), body));
    let made = |header: &str, claims: &str| check(&token(header, claims, KEY), "body");
    assert_eq!(made(hs, &good), None);
    assert_eq!(
        made(hs, &claims(r#","exp":1767225601,"nbf":1767225605"#)),
        None
    );
    let malformed = Some(codes::CREDENTIAL_MALFORMED);
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"NONE"}"#,
        r#"{"alg":"HS512"}"#,
        r#"{"alg":"RS256"}"#,
        "{}",
        "",
    ] {
        assert_eq!(made(header, &good), malformed, "{header}");
    }
    let unsigned = token(r#"{"alg":"none"}"#, &good, KEY);
    let unsigned = unsigned
        .rsplit_once('.')
        .map(|(head, _)| format!("{head}."));
    assert_eq!(check(&unsigned.unwrap(), "body"), malformed);
    assert_eq!(check("a.b", "body"), malformed);
    assert_eq!(
        check(&token(hs, &good, "other"), "body"),
        Some(codes::SIGNATURE_MISMATCH)
    );
    assert_eq!(
        check(&token(hs, &good, KEY), "bodz"),
        Some(codes::SIGNATURE_MISMATCH)
    );
    let outside = Some(codes::TIMESTAMP_OUTSIDE);
    for more in [r#","exp":1767225595"#, r#","nbf":1767225606"#] {
        assert_eq!(made(hs, &claims(more)), outside, "{more}");
    }
    assert_eq!(made(hs, &claims(r#","exp":"soon""#)), malformed);
    assert_eq!(made(hs, &good.replace("1767225600", "1767225299")), outside);
    assert_eq!(
        made(hs, &good.replace(r#""iat":1767225600,"#, "")),
        malformed
    );
    assert_eq!(made(hs, &good.replace("\"h\"", "\"g\"")), malformed);
    let other = Some(codes::TOKEN_MISMATCH);
    assert_eq!(made(hs, &good.replace("\"me\"", "\"you\"")), other);
    assert_eq!(made(hs, &good.replace(r#""iss":"me","#, "")), other);
}

#[test]
fn keys_and_data_that_cannot_be_meant_are_refused() {
    let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n";
    for (verify, secret) in [
        (JWT, pem),
        (JWT, "  "),
        (
            r#"scheme = "jwt", header = "X", algorithms = ["HS256", "RS256"]"#,
            KEY,
        ),
        (
            r#"scheme = "jwt", header = "X", algorithms = ["none"]"#,
            KEY,
        ),
        (r#"scheme = "jwt", header = "X", algorithms = []"#, KEY),
        (r#"scheme = "jwt", header = "X""#, KEY),
        (
            r#"scheme = "jwt", header = "X", algorithms = ["RS256"]"#,
            KEY,
        ),
        (
            r#"scheme = "jwt", header = "X", algorithms = ["HS256"], body_hash = { claim = "h", of = "atlassian-qsh" }"#,
            KEY,
        ),
        (
            r#"scheme = "jwt", header = "X", algorithms = ["HS256"], url_hash = { claim = "h", of = "qsh" }"#,
            KEY,
        ),
        (r#"scheme = "sha1", header = "X", signed = "{body}""#, KEY),
        (
            r#"scheme = "hmac-sha1", header = "X", signed = "{secret}{body}""#,
            KEY,
        ),
        (r#"scheme = "ed25519", header = "X""#, KEY),
        (r#"scheme = "ecdsa-p256-sha256", header = "X""#, KEY),
        (r#"scheme = "rsa-sha256", header = "X""#, KEY),
        (r#"scheme = "adyen-items""#, KEY),
        (r#"scheme = "adyen-items""#, "0000"),
        (r#"scheme = "braintree""#, "public:"),
        (r#"scheme = "twilio", header = "X""#, KEY),
        (r#"scheme = "body-token", json = "a""#, KEY),
        (r#"scheme = "body-token""#, KEY),
        (r#"scheme = "bearer", json = "/a""#, KEY),
    ] {
        assert!(compile(verify, secret).is_err(), "{verify}");
    }
}

#[test]
fn hook0_signs_the_headers_that_it_names() {
    let verifier = compile(r#"scheme = "hook0""#, KEY).unwrap();
    let sign = |text: &str| hmac_text("sha256", "hex", KEY.as_bytes(), text).unwrap();
    let v1 = sign("1767225600.x-b x-a.2.1.body");
    let v0 = sign("1767225600.body");
    let check = |signature: &str, a: &str| {
        let head = format!("X-A: {a}\nX-B: 2\nX-Hook0-Signature: {signature}");
        failure(&verifier, &request(&head, "body"))
    };
    let mismatch = Some(codes::SIGNATURE_MISMATCH);
    let whole = format!("t=1767225600,v0={v0},h=x-b x-a,v1={v1}");
    assert_eq!(check(&whole, "1"), None);
    assert_eq!(check(&whole, "9"), mismatch);
    assert_eq!(check(&format!("t=1767225600,v0={v0}"), "9"), None);
    assert_eq!(
        check(&format!("t=1767225600,v1={v1}"), "1"),
        Some(codes::CREDENTIAL_MALFORMED)
    );
    assert_eq!(check(&format!("t=1767225601,v0={v0}"), "1"), mismatch);
    let old = sign("1767225000.body");
    assert_eq!(
        check(&format!("t=1767225000,v0={old}"), "1"),
        Some(codes::TIMESTAMP_OUTSIDE)
    );
    assert_eq!(check("", "1"), Some(codes::CREDENTIAL_MALFORMED));
}

#[test]
fn a_token_in_every_item_of_the_body() {
    let verifier = compile(r#"scheme = "body-token", json = "/v/*/t""#, KEY).unwrap();
    let check = |body: &str| failure(&verifier, &request("X-A: 1", &body.replace('K', KEY)));
    assert_eq!(check(r#"{"v":[{"t":"K"},{"t":"K"}]}"#), None);
    assert_eq!(
        check(r#"{"v":[{"t":"K"},{"t":"k"}]}"#),
        Some(codes::TOKEN_MISMATCH)
    );
    let missing = Some(codes::CREDENTIAL_MISSING);
    for body in [
        r#"{"v":[{"t":"K"},{}]}"#,
        r#"{"v":[{"t":"K"},{"t":""}]}"#,
        r#"{"v":[{"t":"K"},{"t":1}]}"#,
        r#"{"v":[]}"#,
        r#"{"v":{"t":"K"}}"#,
        "{}",
        "K",
        "",
    ] {
        assert_eq!(check(body), missing, "{body}");
    }
}

proptest! {
    #[test]
    fn one_changed_bit_is_refused_by_a_public_key(
        body in proptest::collection::vec(any::<u8>(), 1..60),
        at in any::<proptest::sample::Index>(),
        bit in 0_u8..8,
    ) {
        use ed25519_dalek::Signer as _;
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let public = hex::encode(key.verifying_key().as_bytes());
        let verify = r#"scheme = "ed25519", header = "X-S", key = "hex""#;
        let verifier = compile(verify, &public).unwrap();
        let signature = hex::encode(key.sign(&body).to_bytes());
        let mut request = request(&format!("X-S: {signature}"), "");
        request.wire_body = body.clone().into();
        prop_assert_eq!(failure(&verifier, &request), None);
        let mut changed = body;
        let at = at.index(changed.len());
        changed[at] ^= 1 << bit;
        request.wire_body = changed.into();
        prop_assert_eq!(failure(&verifier, &request), Some(codes::SIGNATURE_MISMATCH));
    }
}
