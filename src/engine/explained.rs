//! The explained record, as an owner reads it at night: what was found, what was expected, why it may be.

use super::*;
use crate::config::{Config, Overrides, load};
use crate::model::http_file;
use crate::verify::hmac_text;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use std::fmt::Write as _;

const NOW: i64 = 1_767_225_600;
const SECRET: &str = "fake-secret-0001";
const OLD: &str = "fake-old-secret-0000";
const SLUG: &str = "fakeslug00000000000001";

fn config(lines: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[[webhook]]\nname = \"w\"\nslug = \"{SLUG}\"\n\
         event = {{ event = \"e\", resource = {{ \"prefect.resource.id\" = \"r\" }} }}\n{lines}\n"
    );
    for (name, text) in [
        ("webhooks.toml", text.as_str()),
        ("s", SECRET),
        ("old", OLD),
        ("user", "ada:fake-pass-0001"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let loaded = load(&folder.path().join("webhooks.toml"), &Overrides::default());
    let said = format!("{:?}", loaded.findings);
    loaded.config.unwrap_or_else(|| panic!("{said}"))
}

fn mac(secret: &str, algorithm: &str, encoding: &str, text: &str) -> String {
    hmac_text(algorithm, encoding, secret.as_bytes(), text).unwrap()
}

fn hex(text: &str) -> String {
    mac(SECRET, "sha256", "hex", text)
}

/// A token whose header and claims are these.
fn jwt(header: &str, claims: &str) -> String {
    let text = format!(
        "{}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(header),
        BASE64_URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = mac(SECRET, "sha256", "base64url", &text);
    format!("{text}.{}", signature.trim_end_matches('='))
}

/// Name, lines of the webhook, lines of the request's head, its body.
type Case = (&'static str, String, String, &'static str);

const GITHUB: &str = "provider = \"github\"\nsecret = { file = \"s\" }";
const STRIPE: &str = "provider = \"stripe\"\nsecret = { file = \"s\" }";
const ROTATING: &str = "provider = \"github\"\nsecret = [{ file = \"s\" }, { file = \"old\", until = 2026-01-01T00:00:00Z }]";
const TOKEN: &str = "verify = { scheme = \"header-token\", header = \"X-Token\", token = [{ file = \"s\" }, { file = \"old\", until = 2026-01-01T00:00:00Z }] }";
const JWT: &str = "verify = { scheme = \"jwt\", header = \"Authorization\", prefix = \"Bearer \", algorithms = [\"HS256\"], issuer = \"shop.example\", audience = \"hooks\", secret = { file = \"s\" } }";
const BODY: &str = r#"{"zen":"a/b é","n":[1,2]}"#;

#[allow(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    let github = |value: String| format!("X-Hub-Signature-256: {value}\n");
    let stripe = |time: i64| {
        let time = time.to_string();
        format!(
            "Stripe-Signature: t={time},v1={}\n",
            hex(&format!("{time}.{BODY}"))
        )
    };
    let hs = r#"{"alg":"HS256","typ":"JWT"}"#;
    let claims = |exp: i64, aud: &str| {
        format!(
            r#"{{"iss":"shop.example","aud":"{aud}","iat":{},"exp":{exp}}}"#,
            NOW - 60
        )
    };
    let bearer = |token: String| format!("Authorization: Bearer {token}\n");
    let case = |name, webhook: &str, head: String, body| (name, webhook.to_owned(), head, body);
    vec![
        case(
            "right, by the first of two secrets",
            ROTATING,
            github(format!("sha256={}", hex(BODY))),
            BODY,
        ),
        case(
            "header missing, an older one is there",
            GITHUB,
            format!(
                "X-Hub-Signature: sha1={}\nX-GitHub-Event: push\n",
                "0".repeat(40)
            ),
            BODY,
        ),
        case(
            "wrong prefix",
            GITHUB,
            github(format!("sha1={}", "0".repeat(40))),
            BODY,
        ),
        case(
            "undecodable: base64 in place of hex",
            GITHUB,
            github(format!("sha256={}", mac(SECRET, "sha256", "base64", BODY))),
            BODY,
        ),
        case(
            "another hash",
            GITHUB,
            github(format!("sha256={}", mac(SECRET, "sha1", "hex", BODY))),
            BODY,
        ),
        case(
            "mismatch",
            GITHUB,
            github(format!(
                "sha256={}",
                mac("fake-other-0009", "sha256", "hex", BODY)
            )),
            BODY,
        ),
        case(
            "a secret past its until",
            ROTATING,
            github(format!("sha256={}", mac(OLD, "sha256", "hex", BODY))),
            BODY,
        ),
        case(
            "every secret past its until",
            "provider = \"github\"\nsecret = { file = \"s\", until = 2026-01-01T00:00:00Z }",
            github(format!("sha256={}", hex(BODY))),
            BODY,
        ),
        case(
            "header twice",
            GITHUB,
            format!(
                "{}{}",
                github(format!("sha256={}", hex(BODY))),
                github("sha256=00".to_owned())
            ),
            BODY,
        ),
        case("too old", STRIPE, stripe(NOW - 4_000), BODY),
        case(
            "from the future",
            "verify = { scheme = \"hmac-sha256\", header = \"X-Sig\", signed = \"{ts}.{body}\", timestamp = \"header:X-Time\", secret = { file = \"s\" } }",
            format!(
                "X-Time: {}\nX-Sig: {}\n",
                NOW + 900,
                hex(&format!("{}.{BODY}", NOW + 900))
            ),
            BODY,
        ),
        case(
            "milliseconds in place of seconds",
            STRIPE,
            stripe(NOW * 1_000),
            BODY,
        ),
        case(
            "a time that is none",
            STRIPE,
            "Stripe-Signature: t=soon,v1=00\n".to_owned(),
            BODY,
        ),
        case(
            "another URL",
            "verify = { scheme = \"hmac-sha256\", header = \"X-Sig\", signed = \"{url}{body}\", secret = { file = \"s\" } }",
            format!(
                "X-Sig: {}\n",
                hex(&format!("https://hooks.example.com/hooks/{SLUG}?a=1{BODY}"))
            ),
            BODY,
        ),
        case(
            "a line end added to the body",
            GITHUB,
            github(format!("sha256={}", hex(BODY))),
            "{\"zen\":\"a/b é\",\"n\":[1,2]}\n",
        ),
        case(
            "JSON written again, from Python",
            GITHUB,
            github(format!(
                "sha256={}",
                hex("{\"zen\": \"a/b \\u00e9\", \"n\": [1, 2]}")
            )),
            BODY,
        ),
        case(
            "JSON written again, from PHP",
            GITHUB,
            github(format!(
                "sha256={}",
                hex("{\"zen\":\"a\\/b \\u00e9\",\"n\":[1,2]}")
            )),
            BODY,
        ),
        case(
            "the value of a form's field",
            GITHUB,
            format!(
                "Content-Type: application/x-www-form-urlencoded\n{}",
                github(format!("sha256={}", hex("{\"a\":1}")))
            ),
            "payload=%7B%22a%22%3A1%7D",
        ),
        case(
            "token, wrong",
            TOKEN,
            "X-Token: fake-guess\n".to_owned(),
            "",
        ),
        case(
            "token, past its until",
            TOKEN,
            format!("X-Token: {OLD}\n"),
            "",
        ),
        case(
            "token, in quotes",
            TOKEN,
            format!("X-Token: \"{SECRET}\"\n"),
            "",
        ),
        case(
            "bearer, absent",
            "verify = { scheme = \"bearer\", token = { file = \"s\" } }",
            "X-Api-Token: fake-guess\n".to_owned(),
            "",
        ),
        case(
            "bearer, twice the word",
            "verify = { scheme = \"bearer\", token = { file = \"s\" } }",
            format!("Authorization: Bearer Bearer {SECRET}\n"),
            "",
        ),
        case(
            "basic, wrong",
            "verify = { scheme = \"basic\", secret = { file = \"user\" } }",
            format!(
                "Authorization: Basic {}\n",
                BASE64_STANDARD.encode("ada:fake-pass")
            ),
            "",
        ),
        case(
            "a signature where a password may be",
            "verify = { scheme = \"hmac-sha256\", header = \"Authorization\", secret = { file = \"s\" } }",
            "Authorization: Bearer fake-guess\n".to_owned(),
            "",
        ),
        case(
            "Graph, one of two tokens",
            "provider = \"microsoft-graph\"\nsecret = { file = \"s\" }",
            "Content-Type: application/json\n".to_owned(),
            "{\"value\":[{\"clientState\":\"fake-secret-0001\"},{\"clientState\":\"fake-guess\"}]}",
        ),
        case(
            "JWT, right",
            JWT,
            bearer(jwt(hs, &claims(NOW + 60, "hooks"))),
            "",
        ),
        case(
            "JWT, expired",
            JWT,
            bearer(jwt(hs, &claims(NOW - 7_260, "hooks"))),
            "",
        ),
        case(
            "JWT, for another",
            JWT,
            bearer(jwt(hs, &claims(NOW + 60, "others"))),
            "",
        ),
        case(
            "JWT, another algorithm",
            JWT,
            bearer(jwt(
                r#"{"alg":"HS512","typ":"JWT"}"#,
                &claims(NOW + 60, "hooks"),
            )),
            "",
        ),
        case(
            "JWT, not signed by us",
            JWT,
            bearer(jwt(hs, &claims(NOW + 60, "hooks")) + "x"),
            "",
        ),
        case(
            "two schemes, neither",
            "verify = { any = [{ scheme = \"hmac-sha256\", header = \"X-Sig\", secret = { file = \"s\" } }, { scheme = \"address\", networks = [\"192.0.2.0/24\"] }] }",
            "X-Sig: 00\n".to_owned(),
            "x",
        ),
        case(
            "all, and the address is another",
            "verify = { all = [{ scheme = \"header-token\", header = \"X-Token\", token = { file = \"s\" } }, { scheme = \"address\", networks = [\"192.0.2.0/24\"] }] }",
            format!("X-Token: {SECRET}\n"),
            "",
        ),
    ]
}

#[test]
fn records_as_their_owner_reads_them() {
    let mut out = String::new();
    for (name, lines, head, body) in cases() {
        let config = config(&lines);
        let text =
            format!("POST /hooks/{SLUG}?a=1 HTTP/1.1\nHost: hooks.example.com\n{head}\n{body}");
        let request = http_file::parse(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
        let now = Timestamp::from_second(NOW + 3).unwrap();
        let verdict = explain(&config.webhooks[0], &request, now);
        // What intake keeps is the same but for the hints.
        let plain = verify(&config.webhooks[0], &request, now);
        let told = verdict
            .record
            .checks
            .iter()
            .filter(|check| check.name != "hint");
        assert!(told.eq(plain.record.checks.iter()), "{name}");
        let said = format!("{verdict:?}");
        let right = [
            hex(body),
            mac(SECRET, "sha256", "base64", body),
            hex(&format!("{}{body}", request.url)),
        ];
        assert!(
            right
                .iter()
                .all(|tag| head.contains(tag) || !said.contains(tag)),
            "{name}"
        );
        writeln!(out, "## {name}\n{}", verdict.record.scheme).unwrap();
        for check in &verdict.record.checks {
            let mark = if check.passed { "ok" } else { "no" };
            writeln!(out, "  {mark} {}: {}", check.name, check.detail).unwrap();
        }
        match verdict.failure {
            None => writeln!(out, "verified\n").unwrap(),
            Some(problem) => {
                let help = problem.help.unwrap_or_default();
                assert!(help.starts_with("Usual causes"), "{name}: {help}");
                writeln!(out, "{} {}\n  {help}\n", problem.code, problem.message).unwrap();
            }
        }
    }
    for secret in [SECRET, OLD, SLUG, "fake-guess", "fake-pass", "fake-other"] {
        assert!(!out.contains(secret), "{secret}");
    }
    insta::with_settings!({ snapshot_path => "../../tests/cases/verify", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("explained", out);
    });
}
