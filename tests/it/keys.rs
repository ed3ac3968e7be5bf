//! Senders whose keys are in no configuration: waited for, pinned in a file, and subscriptions that ask for a call.

use crate::harness::{Gateway, Setup, hookgate, slug, wait_for};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const EVENT: &str = "event = { event = \"e\", resource = { \"prefect.resource.id\" = \"r\" } }\n";
const TOPIC: &str = "arn:aws:sns:xx-nowhere-1:000000000000:fake";
const RSA_PEM: &str = include_str!("../fixtures/fake-rsa-key.pem");

struct Sender(EcdsaKeyPair);

impl Sender {
    fn new() -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let der = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref(), &random).unwrap())
    }

    fn jwks(&self) -> String {
        let point = self.0.public_key().as_ref();
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
        json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k1", "x": x, "y": y}]}).to_string()
    }

    fn bearer(&self, kid: &str, audience: &str) -> String {
        let encode = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let head = encode(json!({"alg": "ES256", "kid": kid, "jku": "https://evil.invalid/"}));
        let exp = jiff::Timestamp::now().as_second() + 600;
        let claims = encode(json!({"aud": audience, "exp": exp}));
        let text = format!("{head}.{claims}");
        let signature = self.0.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref());
        format!("Bearer {text}.{signature}")
    }
}

fn webhook(jwks: &str) -> String {
    let slug = slug(1);
    format!(
        "[[webhook]]\nname = \"w\"\nslug = \"{slug}\"\n{EVENT}verify = {{ scheme = \"jwt\", header = \"Authorization\", prefix = \"Bearer \", algorithms = [\"ES256\"], audience = \"me\", jwks = {jwks} }}\n"
    )
}

fn metric(gateway: &Gateway, name: &str) -> Option<String> {
    let text = gateway.admin("GET", "/metrics", &[], b"").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map(|value| value.trim().to_owned())
}

#[test]
fn a_key_that_does_not_come_is_a_503_and_nothing_is_lost() {
    let gateway = Setup::new(webhook("{ url = \"https://keys.invalid/jwks\" }")).start();
    let bearer = Sender::new().bearer("k1", "me");
    let begun = Instant::now();
    let reply = gateway.post(&slug(1), &[("Authorization", &bearer)], b"{}");
    assert_eq!(reply.status, 503, "{}", reply.text());
    let after: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&after), "{after}");
    assert_eq!(reply.header("hookgate-delivery"), None);
    // Far below what a sender waits, however busy the machine is.
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    // What no key could verify is refused as ever.
    for wrong in ["", "Bearer a.b.c", "Bearer "] {
        let reply = gateway.post(&slug(1), &[("Authorization", wrong)], b"{}");
        assert_eq!(reply.status, 401, "{wrong}");
    }
    let waited = metric(
        &gateway,
        "hookgate_key_waits_total{webhook=\"w\",result=\"missing\"}",
    );
    assert_eq!(waited.as_deref(), Some("1"));
    assert!(gateway.all_events(100).is_empty());
    let said = wait_for("the line", || {
        let text = gateway.stderr();
        text.contains("HG0516").then_some(text)
    });
    assert!(said.contains("https://keys.invalid/jwks"), "{said}");
    assert!(!said.contains(&slug(1)) && !said.contains(&bearer[7..]));
}

#[test]
fn keys_in_a_file_let_their_sender_in_and_follow_the_file() {
    let (first, second) = (Sender::new(), Sender::new());
    let setup = || Setup::new(webhook("{ file = \"keys.json\" }"));
    let gateway = setup().file("keys.json", first.jwks()).start();
    let send = |sender: &Sender, kid: &str, audience: &str| {
        let bearer = sender.bearer(kid, audience);
        gateway
            .post(&slug(1), &[("Authorization", &bearer)], b"{}")
            .status
    };
    assert_eq!(send(&first, "k1", "me"), 204);
    assert_eq!(send(&first, "k1", "you"), 401);
    assert_eq!(send(&first, "k2", "me"), 401);
    assert_eq!(send(&second, "k1", "me"), 401);
    std::fs::write(gateway.folder.path().join("keys.json"), second.jwks()).unwrap();
    gateway.signal("-HUP");
    wait_for("the new keys", || {
        (send(&second, "k1", "me") == 204).then_some(())
    });
    assert_eq!(send(&first, "k1", "me"), 401);
}

#[test]
fn render_says_that_it_has_no_network() {
    let folder = tempfile::tempdir().unwrap();
    let toml = webhook("{ url = \"https://keys.invalid/jwks\" }");
    std::fs::write(folder.path().join("webhooks.toml"), toml).unwrap();
    let bearer = Sender::new().bearer("k1", "me");
    let request = format!("POST /hooks/x HTTP/1.1\nAuthorization: {bearer}\n\n{{}}");
    std::fs::write(folder.path().join("r.http"), request).unwrap();
    let output = hookgate(folder.path())
        .args(["render", "r.http", "-c", "webhooks.toml", "--verify"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(
        said.contains("HG0516") && said.contains("have no network"),
        "{said}"
    );
}

/// A message of SNS that the fake key signed.
fn message(kind: &str, topic: &str) -> String {
    let time = jiff::Timestamp::now().to_string();
    let url =
        "https://sns.xx-nowhere-1.amazonaws.com/?Action=ConfirmSubscription&Token=faketoken0001";
    let mut fields = vec![("Message", "m"), ("MessageId", "i")];
    if kind != "Notification" {
        fields.push(("SubscribeURL", url));
    }
    fields.push(("Timestamp", &time));
    if kind != "Notification" {
        fields.push(("Token", "faketoken0001"));
    }
    fields.extend([("TopicArn", topic), ("Type", kind)]);
    let text: String = fields.iter().map(|(n, v)| format!("{n}\n{v}\n")).collect();
    let der = PrivatePkcs8KeyDer::from_pem_slice(RSA_PEM.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        text.as_bytes(),
        &mut signature,
    )
    .unwrap();
    let mut body: serde_json::Map<String, Value> = fields
        .iter()
        .map(|(n, v)| ((*n).to_owned(), json!(v)))
        .collect();
    let certificate = "https://sns.xx-nowhere-1.amazonaws.com/SimpleNotificationService-fake.pem";
    body.insert("SigningCertURL".to_owned(), json!(certificate));
    body.insert("SignatureVersion".to_owned(), json!("2"));
    body.insert(
        "Signature".to_owned(),
        json!(BASE64_STANDARD.encode(signature)),
    );
    Value::Object(body).to_string()
}

fn sns(more: &str) -> Gateway {
    let key = rcgen::KeyPair::from_pkcs8_pem_and_sign_algo(RSA_PEM, &rcgen::PKCS_RSA_SHA256);
    let params = rcgen::CertificateParams::new(vec!["sns.invalid".to_owned()]).unwrap();
    let pem = params.self_signed(&key.unwrap()).unwrap().pem();
    let slug = slug(1);
    let toml = format!(
        "[[webhook]]\nname = \"w\"\nslug = \"{slug}\"\nprovider = \"aws-sns\"\nsecret = {{ file = \"cert.pem\" }}\n{more}\n"
    );
    Setup::new(toml).file("cert.pem", pem).start()
}

#[test]
fn a_subscription_is_confirmed_only_where_the_owner_said_so() {
    let gateway = sns("");
    let plain = ("Content-Type", "text/plain; charset=UTF-8");
    let send = |gateway: &Gateway, kind: &str, topic: &str| {
        gateway.post(&slug(1), &[plain], message(kind, topic).as_bytes())
    };
    let reply = send(&gateway, "SubscriptionConfirmation", TOPIC);
    assert_eq!(reply.status, 200);
    let record = gateway.delivery(&reply);
    assert_eq!(record["outcome"], "handshake");
    let notes = record["notes"].to_string();
    assert!(
        notes.contains("HG0515") && notes.contains("confirm_subscription = true"),
        "{record}"
    );
    assert_eq!(
        send(&gateway, "Notification", "arn:aws:sns:eu-central-1:1:any").status,
        200
    );
    drop(gateway);

    let gateway = sns(&format!(
        "topics = [\"{TOPIC}\"]\nconfirm_subscription = true"
    ));
    for kind in ["Notification", "SubscriptionConfirmation"] {
        let stranger = send(&gateway, kind, "arn:aws:sns:xx-nowhere-1:000000000001:fake");
        assert_eq!(stranger.status, 401, "{kind}");
    }
    let reply = send(&gateway, "SubscriptionConfirmation", TOPIC);
    assert_eq!(reply.status, 200);
    let record = gateway.delivery(&reply);
    assert!(
        record["notes"].to_string().contains("is being confirmed"),
        "{record}"
    );
    // There is no such region: the call fails, and the owner can see it.
    let event = wait_for("the outcome", || {
        let found = gateway.api("/api/v1/events?q=event%3Ahookgate.subscription.*");
        found["data"].as_array()?.first().cloned()
    });
    assert_eq!(event["event"], "hookgate.subscription.failed");
    assert_eq!(event["payload"]["topic"], TOPIC);
    assert_eq!(event["payload"]["delivery"], record["id"]);
    assert!(!event.to_string().contains("faketoken"), "{event}");
    let failed = metric(
        &gateway,
        "hookgate_subscription_confirmations_total{webhook=\"w\",result=\"failed\"}",
    );
    assert_eq!(failed.as_deref(), Some("1"));
    let reply = send(&gateway, "UnsubscribeConfirmation", TOPIC);
    let events = gateway.delivery(&reply)["events"].to_string();
    assert!(
        events.contains("aws-sns.unsubscribe-confirmation"),
        "{events}"
    );
    assert!(!events.contains("faketoken"), "{events}");
}
