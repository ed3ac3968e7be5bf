//! Signs as the senders do, with keys that are visibly fake.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};

pub const GITHUB_SECRET: &str = "fake-github-secret-0001";
pub const STRIPE_SECRET: &str = "whsec_fakeStripeSecret0001";
pub const SLACK_SECRET: &str = "fake-slack-secret-0001";
pub const STANDARD_SECRET: &str = "whsec_aG9va2dhdGUtZmFrZS1rZXktbm90LWEtc2VjcmV0LTAx";

pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).expect("any key length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

pub fn now() -> String {
    jiff::Timestamp::now().as_second().to_string()
}

/// `X-Hub-Signature-256`.
pub fn github(body: &[u8]) -> String {
    format!(
        "sha256={}",
        hex::encode(hmac_sha256(GITHUB_SECRET.as_bytes(), &[body]))
    )
}

/// `Stripe-Signature`.
pub fn stripe(time: &str, body: &[u8]) -> String {
    let signature = hmac_sha256(STRIPE_SECRET.as_bytes(), &[time.as_bytes(), b".", body]);
    format!("t={time},v1={}", hex::encode(signature))
}

/// `X-Slack-Signature`.
pub fn slack(time: &str, body: &[u8]) -> String {
    let signature = hmac_sha256(
        SLACK_SECRET.as_bytes(),
        &[b"v0:", time.as_bytes(), b":", body],
    );
    format!("v0={}", hex::encode(signature))
}

/// `webhook-signature`.
pub fn standard(id: &str, time: &str, body: &[u8]) -> String {
    let key = STANDARD
        .decode(STANDARD_SECRET.trim_start_matches("whsec_"))
        .expect("base64");
    let signature = hmac_sha256(&key, &[id.as_bytes(), b".", time.as_bytes(), b".", body]);
    format!("v1,{}", STANDARD.encode(signature))
}
