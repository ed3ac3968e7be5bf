//! Schemes whose keys are handed in: found, not yet there, no longer there, and those that nobody asked for.

use super::testing::{
    EcSender, FakeKeys, certificate, ec_certificate, jwks, rsa_jwk, rsa_sign, rsa_token,
};
use super::*;
use crate::model::http_file;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

#[derive(serde::Deserialize)]
struct File {
    verify: VerifySpec,
}

const NOW: i64 = 1_767_225_600;
const SET: &str = "https://keys.example.com/jwks";
const OK: Option<Code> = None;
const MALFORMED: Option<Code> = Some(codes::CREDENTIAL_MALFORMED);
const MISSING: Option<Code> = Some(codes::CREDENTIAL_MISSING);
const MISMATCH: Option<Code> = Some(codes::SIGNATURE_MISMATCH);
const OTHER: Option<Code> = Some(codes::TOKEN_MISMATCH);
const OUTSIDE: Option<Code> = Some(codes::TIMESTAMP_OUTSIDE);
const AWAY: Option<Code> = Some(codes::KEY_NOT_AT_HAND);

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn spec(verify: &str) -> Result<VerifySpec, String> {
    let file: Result<File, _> = toml::from_str(&format!("[verify]\n{verify}"));
    file.map(|file| file.verify).map_err(|e| e.to_string())
}

fn secret(text: &str) -> DatedSecret {
    DatedSecret {
        secret: Secret::new(text.to_owned()),
        until: None,
    }
}

fn compile(verify: &str, secrets: &[&str]) -> Verifier {
    let secrets: Vec<_> = secrets.iter().map(|text| secret(text)).collect();
    Verifier::compile(&spec(verify).unwrap(), &secrets).unwrap()
}

fn request(head: &str, body: &str) -> Request {
    let text = format!("POST /hooks/x HTTP/1.1\nHost: h.example\n{head}\n\n{body}");
    http_file::parse(text.as_bytes(), now()).unwrap()
}

/// The code of a verdict; a key is named exactly where it is not at hand.
fn code(verdict: &Verdict) -> Option<Code> {
    let code = verdict.failure.as_ref().map(|problem| problem.code);
    assert_eq!(verdict.needs.is_some(), code == AWAY, "{verdict:?}");
    assert_eq!(verdict.record.verified, code.is_none());
    code
}

fn at(url: &str, text: &str, fresh: bool, asked: bool) -> FakeKeys {
    let mut keys = FakeKeys::default();
    keys.now = now();
    keys.put(url, text, (fresh, asked));
    keys
}

const JWT: &str = r#"
scheme = "jwt"
header = "Authorization"
prefix = "Bearer "
algorithms = ["ES256", "RS256", "RS512", "PS256"]
issuer = ["https://id.example", "id.example"]
audience = "{url}"
claims = { email = "{secret}", email_verified = true }
jwks = { url = "https://keys.example.com/jwks" }
"#;

const ACCOUNT: &str = "push@fake.example";

fn claims(more: &str) -> String {
    let exp = NOW + 60;
    format!(
        r#"{{"iss":"https://id.example","aud":"http://h.example/hooks/x","email":"{ACCOUNT}","email_verified":true,"exp":{exp}{more}}}"#
    )
}

fn bearer(token: &str) -> Request {
    request(&format!("Authorization: Bearer {token}"), "")
}

#[test]
fn a_token_by_the_key_that_it_names() {
    let (a, b) = (EcSender::new("a"), EcSender::new("b"));
    let stranger = EcSender::new("a");
    let verifier = compile(JWT, &[ACCOUNT]);
    let old = at(SET, &jwks(&[&a]), false, false);
    let new = at(SET, &jwks(&[&a, &b]), true, true);
    let check =
        |token: &str, keys: &FakeKeys| code(&verifier.verify_with(&bearer(token), now(), keys));
    let good = claims("");
    assert_eq!(check(&a.token(&good), &old), OK);
    assert_eq!(check(&a.token(&good), &new), OK);
    // Rotation: the name is unknown until the set was fetched again; then it is there, or nobody has it.
    assert_eq!(check(&b.token(&good), &old), AWAY);
    assert_eq!(check(&b.token(&good), &new), OK);
    assert_eq!(check(&EcSender::new("c").token(&good), &new), MISMATCH);
    // The right name and another key: nothing newer would change that.
    assert_eq!(check(&stranger.token(&good), &old), MISMATCH);
    // Without a name every key is tried, and the source asked once in a while.
    assert_eq!(check(&b.token_with("", &good), &new), OK);
    assert_eq!(check(&b.token_with("", &good), &old), AWAY);
    assert_eq!(check(&stranger.token_with("", &good), &new), MISMATCH);
    // Nothing was fetched yet.
    let verdict = verifier.verify(&bearer(&a.token(&good)), now());
    assert_eq!(code(&verdict), AWAY);
    let problem = verdict.failure.unwrap();
    assert!(problem.message.contains(SET), "{problem:?}");
    assert!(
        problem
            .help
            .unwrap()
            .contains("`render`, `check` and tests have no network")
    );
    let source = verdict.needs.unwrap();
    assert_eq!(verifier.key_sources(), [&source]);
}

#[test]
fn what_a_token_says_of_its_key_is_not_followed() {
    let (known, stranger) = (EcSender::new("a"), EcSender::new("a"));
    let verifier = compile(JWT, &[ACCOUNT]);
    let mut keys = at(SET, &jwks(&[&known]), true, true);
    let theirs = "https://evil.example/jwks";
    keys.put(theirs, &jwks(&[&stranger]), (true, true));
    let jwk = stranger.jwk();
    for more in [
        format!(r#","kid":"a","jku":"{theirs}""#),
        format!(r#","kid":"a","x5u":"{theirs}""#),
        format!(r#","kid":"{theirs}""#),
        format!(r#","jku":"{theirs}""#),
        format!(r#","kid":"a","jwk":{jwk}"#),
    ] {
        let token = stranger.token_with(&more, &claims(""));
        let verdict = verifier.verify_with(&bearer(&token), now(), &keys);
        let found = code(&verdict);
        assert!(
            found == MISMATCH || found == MALFORMED,
            "{more}: {verdict:?}"
        );
        let nothing = verifier.verify(&bearer(&token), now());
        let needed = nothing.needs.map(|source| source.url().to_string());
        assert!(needed.is_none_or(|url| url == SET), "{more}");
    }
    let critical = known.token_with(r#","kid":"a","crit":["b64"],"b64":false"#, &claims(""));
    let verdict = verifier.verify_with(&bearer(&critical), now(), &keys);
    assert_eq!(code(&verdict), MALFORMED);
}

#[test]
fn who_and_for_whom_are_checked() {
    let sender = EcSender::new("a");
    let verifier = compile(JWT, &[ACCOUNT]);
    let keys = at(SET, &jwks(&[&sender]), true, true);
    let check = |claims: &str| {
        let token = sender.token(claims);
        code(&verifier.verify_with(&bearer(&token), now(), &keys))
    };
    let good = claims("");
    assert_eq!(check(&good), OK);
    assert_eq!(check(&good.replace("https://id", "id")), OK);
    for (old, new, want) in [
        ("https://id.example", "https://evil.example", OTHER),
        ("/hooks/x", "/hooks/y", OTHER),
        (ACCOUNT, "other@fake.example", OTHER),
        ("true", "false", OTHER),
        (r#""email_verified":true,"#, "", OTHER),
        (r#""aud":"http://h.example/hooks/x","#, "", OTHER),
        ("1767225660", "1767225590", OUTSIDE),
        (r#","exp":1767225660"#, "", MALFORMED),
    ] {
        let changed = good.replace(old, new);
        assert_ne!(changed, good, "{old}");
        assert_eq!(check(&changed), want, "{old} {new}");
    }
    let text = format!("{:?}", verifier.verify_with(&bearer("x"), now(), &keys));
    assert!(!text.contains(ACCOUNT), "{text}");
}

#[test]
fn algorithms_are_the_schemes_and_the_keys() {
    let sender = EcSender::new("a");
    let verifier = compile(JWT, &[ACCOUNT]);
    let restricted = rsa_jwk("r").replace(r#""use":"sig""#, r#""alg":"RS512""#);
    let good = claims("");
    let set = |keys: &[&str]| {
        let text = format!(r#"{{"keys":[{}]}}"#, keys.join(","));
        at(SET, &text, true, true)
    };
    let check =
        |token: &str, keys: &FakeKeys| code(&verifier.verify_with(&bearer(token), now(), keys));
    let all = set(&[&rsa_jwk("r"), &sender.jwk()]);
    for algorithm in ["RS256", "RS512", "PS256"] {
        let token = rsa_token(algorithm, "r", &good);
        assert_eq!(check(&token, &all), OK, "{algorithm}");
        let only = set(&[&restricted]);
        let want = if algorithm == "RS512" { OK } else { MISMATCH };
        assert_eq!(check(&token, &only), want, "{algorithm}");
        assert_eq!(check(&rsa_token(algorithm, "a", &good), &all), MISMATCH);
    }
    // A public key as a shared secret, in each of its forms; and no signature at all.
    let head =
        |alg: &str| super::testing::base64url(format!(r#"{{"alg":"{alg}","kid":"r"}}"#).as_bytes());
    let text = |alg| {
        format!(
            "{}.{}",
            head(alg),
            super::testing::base64url(good.as_bytes())
        )
    };
    for key in [rsa_jwk("r"), sender.jwk(), String::new()] {
        let signed = text("HS256");
        let mac = hmac_text("sha256", "base64url", key.as_bytes(), &signed).unwrap();
        assert_eq!(
            check(&format!("{signed}.{}", mac.trim_end_matches('=')), &all),
            MALFORMED
        );
    }
    for alg in ["none", "NONE", "None"] {
        assert_eq!(check(&format!("{}.", text(alg)), &all), MALFORMED);
    }
    assert_eq!(check(&sender.token(&good), &all), OK);
    for broken in ["a.b", "", "a.b.c", "..", "🎉"] {
        let found = check(broken, &all);
        assert!(found == MALFORMED, "{broken} {found:?}");
    }
}

#[test]
fn data_that_cannot_be_meant_are_refused() {
    let with = |old: &str, new: &str| {
        let text = JWT.replace(old, new);
        assert_ne!(text, JWT, "{old}");
        spec(&text).unwrap_err()
    };
    for (old, new, said) in [
        (
            r#"["ES256", "RS256", "RS512", "PS256"]"#,
            r#"["HS256"]"#,
            "no HS",
        ),
        (
            r#"["ES256", "RS256", "RS512", "PS256"]"#,
            r#"["RS256", "HS256"]"#,
            "no HS",
        ),
        (
            r#"["ES256", "RS256", "RS512", "PS256"]"#,
            "[]",
            "algorithms",
        ),
        ("https://keys", "http://keys", "https://"),
        ("keys.example.com", "127.0.0.1", "host name"),
        ("keys.example.com", "[::1]", "host name"),
        ("url = \"https", "jku = \"https", "unknown field"),
        ("claims = { email", "claims = { iss", "`issuer`"),
        ("email_verified = true", "email_verified = 1", "text"),
        ("{ url =", "{ file = \"x\", url =", "once"),
        ("issuer =", "key = \"hex\"\nissuer =", "`key`"),
    ] {
        let error = with(old, new);
        assert!(error.contains(said), "{old} {new}: {error}");
    }
    let bare = JWT.replace("audience = \"{url}\"\n", "").replace(
        "claims = { email = \"{secret}\", email_verified = true }\n",
        "",
    );
    assert!(spec(&bare).unwrap_err().contains("for whom"));
    let error = spec("scheme = 'jwt'\nheader = 'X'\nalgorithms = ['HS256']\naudience = '{secret}'");
    assert!(error.unwrap_err().contains("jwks"));
    let file = JWT.replace(
        "url = \"https://keys.example.com/jwks\"",
        "file = \"keys.json\"",
    );
    let unread = Verifier::compile(&spec(&file).unwrap(), &[secret(ACCOUNT)]);
    assert!(unread.unwrap_err().to_string().contains("webhooks.toml"));
    let missing = Verifier::compile(&spec(JWT).unwrap(), &[]).unwrap_err();
    assert_eq!(missing, SchemeError::SecretMissing);
}

#[test]
fn a_set_in_a_file_needs_nothing() {
    let sender = EcSender::new("a");
    let file = JWT.replace(
        "url = \"https://keys.example.com/jwks\"",
        "file = \"keys.json\"",
    );
    let mut spec = spec(&file).unwrap();
    let text = jwks(&[&sender]);
    spec.read_files(&mut |path| {
        assert_eq!(path, "keys.json");
        Ok(text.clone())
    })
    .unwrap();
    let verifier = Verifier::compile(&spec, &[secret(ACCOUNT)]).unwrap();
    assert!(verifier.key_sources().is_empty());
    let check = |token: &str| code(&verifier.verify(&bearer(token), now()));
    assert_eq!(check(&sender.token(&claims(""))), OK);
    assert_eq!(check(&EcSender::new("b").token(&claims(""))), MISMATCH);
    assert_eq!(
        check(&EcSender::new("a").token_with("", &claims(""))),
        MISMATCH
    );
    let mut empty = super::tests_keys::spec(&file).unwrap();
    empty.read_files(&mut |_| Ok("{}".to_owned())).unwrap();
    assert!(Verifier::compile(&empty, &[secret(ACCOUNT)]).is_err());
}

const SNS: &str = r#"
scheme = "aws-sns"
origins = ["sns.{region}.amazonaws.com/SimpleNotificationService-"]
"#;
const CERTIFICATE: &str =
    "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-fake.pem";
const TOPIC: &str = "arn:aws:sns:eu-central-1:000000000000:fake";

/// A notification that the RSA key signed.
fn notification(url: &str) -> String {
    let text = format!(
        "Message\nm\nMessageId\ni\nTimestamp\n2026-01-01T00:00:00Z\nTopicArn\n{TOPIC}\nType\nNotification\n"
    );
    let signature = BASE64_STANDARD.encode(rsa_sign(text.as_bytes()));
    format!(
        r#"{{"Type":"Notification","Message":"m","MessageId":"i","Timestamp":"2026-01-01T00:00:00Z","TopicArn":"{TOPIC}","SignatureVersion":"2","Signature":"{signature}","SigningCertURL":"{url}"}}"#
    )
}

#[test]
fn a_message_by_a_certificate_of_the_service() {
    let verifier = compile(SNS, &[]);
    let pem = certificate("sns.amazonaws.com").alone;
    let mut keys = at(CERTIFICATE, &pem, false, false);
    keys.put(
        "https://evil.example/SimpleNotificationService-fake.pem",
        &pem,
        (true, true),
    );
    let good = notification(CERTIFICATE);
    let check = |body: &str, keys: &FakeKeys, seconds: i64| {
        let now = Timestamp::from_second(seconds).unwrap();
        code(&verifier.verify_with(&request("A: b", body), now, keys))
    };
    assert_eq!(check(&good, &keys, NOW), OK);
    assert_eq!(check(&good, &keys, NOW + 3_600), OK);
    assert_eq!(check(&good, &keys, NOW + 3_601), OUTSIDE);
    assert_eq!(check(&good, &keys, NOW - 301), OUTSIDE);
    assert_eq!(
        check(&good.replace(r#""m""#, r#""n""#), &keys, NOW),
        MISMATCH
    );
    assert_eq!(check(&good.replace(TOPIC, "x"), &keys, NOW), MISMATCH);
    // Past its period the certificate is not taken, whenever it was fetched.
    assert_eq!(check(&good, &keys, NOW + 366 * 86_400), MALFORMED);
    // One that is not there is needed; one that is elsewhere is not even fetched.
    let other = CERTIFICATE.replace("fake", "other");
    assert_eq!(check(&notification(&other), &keys, NOW), AWAY);
    for url in [
        "https://evil.example/SimpleNotificationService-fake.pem",
        "http://sns.eu-central-1.amazonaws.com/SimpleNotificationService-fake.pem",
        "https://sns.s3.amazonaws.com/SimpleNotificationService-fake.pem",
        &format!("{CERTIFICATE}?a=b"),
    ] {
        assert_eq!(check(&notification(url), &keys, NOW), MALFORMED, "{url}");
    }
    let verdict = verifier.verify(&request("A: b", &good), now());
    assert_eq!(code(&verdict), AWAY);
    assert!(verifier.key_sources().is_empty());
}

#[test]
fn a_pinned_certificate_is_taken_in_place_of_the_fetched() {
    let pem = certificate("x.example").alone;
    let verifier = compile(SNS, &[&pem]);
    let check = |body: &str| code(&verifier.verify(&request("A: b", body), now()));
    assert_eq!(check(&notification(CERTIFICATE)), OK);
    assert_eq!(
        check(&notification("https://evil.example/x.pem")),
        MALFORMED
    );
    for bad in [&ec_certificate("x.example"), "fake", pem.split_at(200).0] {
        let error = Verifier::compile(&spec(SNS).unwrap(), &[secret(bad)]).unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}

#[test]
fn topics_say_whose_messages_are_taken() {
    let pem = certificate("x.example").alone;
    let verifier = compile(SNS, &[&pem]);
    let body = notification(CERTIFICATE);
    let check = |topics: &[&str]| {
        let topics: Arc<[String]> = topics.iter().map(|t| (*t).to_owned()).collect();
        let limited = verifier.for_topics(&topics).unwrap();
        code(&limited.verify(&request("A: b", &body), now()))
    };
    assert_eq!(check(&[TOPIC]), OK);
    assert_eq!(
        check(&["arn:aws:sns:eu-central-1:000000000000:other", TOPIC]),
        OK
    );
    let refused = Some(codes::TOPIC_REFUSED);
    assert_eq!(
        check(&["arn:aws:sns:eu-central-1:000000000000:other"]),
        refused
    );
    assert_eq!(
        check(&["arn:aws:sns:eu-central-1:000000000000:fake2"]),
        refused
    );
    assert_eq!(check(&[]), refused);
    // In a list of schemes too; a scheme without topics has none.
    let topics: Arc<[String]> = Arc::from([]);
    let bearer = compile("scheme = 'bearer'", &["fake-token-0001"]);
    assert!(bearer.for_topics(&topics).is_none());
    let list = Verifier::any(vec![bearer.clone(), verifier.clone()]);
    let limited = list.for_topics(&topics).unwrap();
    assert_eq!(
        code(&limited.verify(&request("A: b", &body), now())),
        refused
    );
    assert_eq!(code(&list.verify(&request("A: b", &body), now())), OK);
}

const PAYPAL: &str = r#"
scheme = "paypal"
origins = ["api.paypal.com/v1/notifications/certs/"]
names = ["messageverificationcerts.paypal.com"]
"#;

fn paypal(webhook: &str, body: &str) -> Request {
    let crc = crc32fast::hash(body.as_bytes());
    let text = format!("id-1|2026-01-01T00:00:00Z|{webhook}|{crc}");
    let signature = BASE64_STANDARD.encode(rsa_sign(text.as_bytes()));
    let head = format!(
        "PAYPAL-TRANSMISSION-ID: id-1\nPAYPAL-TRANSMISSION-TIME: 2026-01-01T00:00:00Z\nPAYPAL-TRANSMISSION-SIG: {signature}\nPAYPAL-AUTH-ALGO: SHA256withRSA\nPAYPAL-CERT-URL: https://api.paypal.com/v1/notifications/certs/CERT-fake"
    );
    request(&head, body)
}

#[test]
fn paypals_webhook_by_a_certificate_of_its_name() {
    let url = "https://api.paypal.com/v1/notifications/certs/CERT-fake";
    let name = "messageverificationcerts.paypal.com";
    let webhook = "fake-webhook-0001";
    let verifier = compile(PAYPAL, &[webhook]);
    let good = certificate(name);
    let check = |request: &Request, text: &str, root: Option<&rcgen::Certificate>| {
        let mut keys = at(url, text, false, false);
        let anchor = root.map(|root| {
            webpki::anchor_from_trusted_cert(root.der())
                .unwrap()
                .to_owned()
        });
        keys.roots.extend(anchor);
        code(&verifier.verify_with(request, now(), &keys))
    };
    let right = paypal(webhook, "{}");
    assert_eq!(check(&right, &good.alone, None), OK);
    assert_eq!(check(&right, &good.chain, Some(&good.root)), OK);
    // A chain that leads nowhere, a name that is not PayPal's, no certificate: no key.
    let strange = certificate(name);
    assert_eq!(check(&right, &good.chain, None), AWAY);
    assert_eq!(check(&right, &good.chain, Some(&strange.root)), AWAY);
    assert_eq!(
        check(&right, &certificate("evil.example").alone, None),
        AWAY
    );
    assert_eq!(check(&right, &ec_certificate(name), None), AWAY);
    assert_eq!(check(&right, "<html>", None), AWAY);
    assert_eq!(
        check(&paypal("fake-webhook-0002", "{}"), &good.alone, None),
        MISMATCH
    );
    let mut changed = right.clone();
    changed.wire_body = bytes::Bytes::from_static(b"{} ");
    assert_eq!(check(&changed, &good.alone, None), MISMATCH);
    assert_eq!(check(&request("A: b", "{}"), &good.alone, None), MISSING);
    let none = Verifier::compile(&spec(PAYPAL).unwrap(), &[]).unwrap_err();
    assert_eq!(none, SchemeError::SecretMissing);
}

const PUBLIC: &str = r#"
scheme = "rsa-sha256"
header = "Signature"
encoding = "base64"
public_key = { url = "https://api.example.com/config", json = "/key" }
"#;

#[test]
fn a_public_key_that_is_published() {
    let url = "https://api.example.com/config";
    let key = {
        use rustls_pki_types::pem::PemObject;
        let pem = certificate("x.example").alone;
        let der = rustls_pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let leaf = webpki::EndEntityCert::try_from(&der).unwrap();
        BASE64_STANDARD.encode(leaf.subject_public_key_info())
    };
    let verifier = compile(PUBLIC, &[]);
    let signature = BASE64_STANDARD.encode(rsa_sign(b"body"));
    let check = |body: &str, asked: bool| {
        let text = serde_json::json!({"key": key}).to_string();
        let keys = at(url, &text, false, asked);
        let request = request(&format!("Signature: {signature}"), body);
        code(&verifier.verify_with(&request, now(), &keys))
    };
    assert_eq!(check("body", false), OK);
    // What does not match may be of a new key, once in a while.
    assert_eq!(check("bodz", false), AWAY);
    assert_eq!(check("bodz", true), MISMATCH);
    let request = request(&format!("Signature: {signature}"), "body");
    assert_eq!(code(&verifier.verify(&request, now())), AWAY);
    // The owner's own key comes first, and then nothing is fetched.
    let pinned = compile(PUBLIC, &[&key]);
    assert!(pinned.key_sources().is_empty());
    assert_eq!(code(&pinned.verify(&request, now())), OK);
    assert!(spec(&PUBLIC.replace("rsa-sha256", "hmac-sha256")).is_err());
    assert!(spec(&PUBLIC.replace("/key", "key")).is_err());
}

#[test]
fn lists_with_a_key_that_is_not_there() {
    let jwt = compile(JWT, &[ACCOUNT]);
    let token = compile(
        "scheme = 'header-token'\nheader = 'X-T'",
        &["fake-token-0001"],
    );
    let sender = EcSender::new("a");
    let authorization = format!("Authorization: Bearer {}", sender.token(&claims("")));
    let right = request(&format!("{authorization}\nX-T: fake-token-0001"), "");
    let wrong = request(&format!("{authorization}\nX-T: fake-token-0002"), "");
    let alone = request(&authorization, "");
    for list in [
        vec![jwt.clone(), token.clone()],
        vec![token.clone(), jwt.clone()],
    ] {
        let any = Verifier::any(list.clone());
        assert_eq!(code(&any.verify(&right, now())), OK);
        assert_eq!(code(&any.verify(&wrong, now())), AWAY);
        assert_eq!(code(&any.verify(&alone, now())), AWAY);
        assert_eq!(any.key_sources().len(), 1);
        let all = Verifier::all(list);
        assert_eq!(code(&all.verify(&right, now())), AWAY);
        assert_eq!(code(&all.verify(&wrong, now())), OTHER);
        assert_eq!(code(&all.verify(&alone, now())), MISSING);
    }
    let first = Verifier::first(vec![jwt, token]);
    assert_eq!(code(&first.verify(&right, now())), AWAY);
    let only = request("X-T: fake-token-0001", "");
    assert_eq!(code(&first.verify(&only, now())), OK);
}
