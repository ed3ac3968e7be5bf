//! Every provider of the catalogue whose scheme can be signed, through the configuration as it is loaded.

use super::*;
use crate::codes::{self, Code};
use crate::engine;
use crate::model::Request;
use crate::providers;
use clap::Parser;
use reqwest::Url;
use std::collections::BTreeMap;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn arguments(more: &[&str]) -> Arguments {
    let words = ["send", "w"].iter().chain(more);
    Line::try_parse_from(words).unwrap().arguments
}

/// Secrets of every form, tried until one is taken.
const SECRETS: [&str; 4] = [
    "fake-secret-0001",
    "whsec_aG9va2dhdGUtZmFrZS1rZXktbm90LWEtc2VjcmV0LTAx",
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
    "fake-user:fake-password-0001",
];

/// Those that only the sender can sign, and why.
const UNSIGNED: &[(&str, &str)] = &[
    ("aws-sns", "aws-sns"),
    ("discord", "ed25519"),
    ("google-chat", "RS256"),
    ("google-chat-project", "RS256"),
    ("google-pubsub", "RS256"),
    ("paypal", "paypal"),
    ("plaid", "ES256"),
    ("sendgrid", "ecdsa-p256-sha256"),
    ("standard-webhooks-ed25519", "ed25519"),
    ("telnyx", "ed25519"),
    ("travis", "rsa-sha1"),
    ("wise", "rsa-sha256"),
];

fn config(provider: &str, secret: &str, extra: &str) -> (tempfile::TempDir, Option<Config>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), secret).unwrap();
    let file = folder.path().join("webhooks.toml");
    let key = if secret.is_empty() {
        ""
    } else {
        "secret = { file = \"secret\" }"
    };
    let text = format!(
        "[[webhook]]\nname = \"w\"\nslug = \"fakeslug00000000000001\"\nprovider = \"{provider}\"\n{key}\n{extra}\n\
         event = {{ event = \"e\", resource = {{ \"prefect.resource.id\" = \"r\" }} }}\n"
    );
    std::fs::write(&file, text).unwrap();
    let loaded = config::load(&file, &Overrides::default());
    (folder, loaded.config)
}

/// The provider's webhook with the first secret whose form it takes.
fn configured(provider: &str) -> Option<Config> {
    SECRETS
        .iter()
        .find_map(|secret| config(provider, secret, "").1)
}

fn target() -> Url {
    Url::parse("http://127.0.0.1:8080/hooks/fakeslug00000000000001").unwrap()
}

/// A request of a sample, made as the command line says.
fn made(config: &Config, sample: &str, flags: &[&str]) -> Result<Request, Stop> {
    let webhook = &config.webhooks[0];
    let found = prepare::sample(webhook, None, Some(sample), None)?;
    let arguments = arguments(flags);
    let prepared = Prepared {
        sample: prepare::received(found, webhook, config)?,
        options: options(&arguments),
        arguments: &arguments,
        config,
        webhook,
    };
    prepared.made(&target(), None).map(|(request, _)| request)
}

fn code(config: &Config, request: &Request) -> Option<Code> {
    let verdict = engine::verify(&config.webhooks[0], request, Timestamp::now());
    verdict.failure.map(|problem| problem.code)
}

#[test]
fn every_symmetric_provider_is_signed_and_verifies() {
    let mut unsigned = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut signed = 0;
    for provider in providers::names(None) {
        let spec = providers::load(&provider, None).unwrap().verify;
        let scheme = spec.as_ref().map_or_else(String::new, |s| s.summary());
        let Some(config) = configured(&provider) else {
            unsigned.insert(provider, scheme);
            continue;
        };
        for sample in providers::samples(&provider, None).unwrap() {
            let label = format!("{provider}/{}: {scheme}", sample.name);
            let request = match made(&config, &sample.name, &[]) {
                Ok(request) => request,
                Err(stop) if stop.message.contains("only the sender") => {
                    unsigned.insert(provider.clone(), scheme.clone());
                    continue;
                }
                Err(stop) => {
                    wrong.push(format!("{label}: {}", stop.message));
                    continue;
                }
            };
            signed += 1;
            if let Some(code) = code(&config, &request) {
                wrong.push(format!("{label}: {code}"));
            }
            let bad = made(&config, &sample.name, &["--bad-signature"]);
            let open = config.webhooks[0].verifier.is_open();
            let forged = bad.ok().and_then(|request| code(&config, &request));
            let fitting = [codes::SIGNATURE_MISMATCH, codes::TOKEN_MISMATCH];
            if !open && !forged.is_some_and(|code| fitting.contains(&code)) {
                wrong.push(format!("{label}: forged, and {forged:?}"));
            }
            match made(&config, &sample.name, &["--old-timestamp"]) {
                Ok(request) => {
                    let code = code(&config, &request);
                    if code != Some(codes::TIMESTAMP_OUTSIDE) {
                        wrong.push(format!("{label}: old, and {code:?}"));
                    }
                }
                Err(stop) => {
                    let none = ["signs no time", "sets no limit"];
                    let said = none.iter().any(|text| stop.message.contains(text));
                    if !said || (scheme.contains("{ts}") && !stop.message.contains("no limit")) {
                        wrong.push(format!("{label}: old: {}", stop.message));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(signed > 300, "{signed}");
    let expected: Vec<&str> = UNSIGNED.iter().map(|(name, _)| *name).collect();
    let found: Vec<&str> = unsigned.keys().map(String::as_str).collect();
    assert_eq!(found, expected, "{unsigned:#?}");
    for (name, scheme) in UNSIGNED {
        assert!(unsigned[*name].contains(scheme), "{name}: {unsigned:?}");
    }
}

#[test]
fn every_request_has_a_key_of_its_own() {
    let mut wrong = Vec::new();
    for provider in providers::names(None) {
        let secrets = SECRETS.iter().copied().chain([""]);
        let found = secrets
            .filter_map(|s| config(&provider, s, "verify = \"none\"").1)
            .next();
        let config = found.unwrap();
        for sample in providers::samples(&provider, None).unwrap() {
            let key = |request: &Request| {
                let translation = engine::translate(&config.webhooks[0], request);
                assert!(
                    translation.error.is_none(),
                    "{provider}/{}: {translation:?}",
                    sample.name
                );
                translation.key
            };
            let [one, two] = [0, 1].map(|_| made(&config, &sample.name, &[]));
            let (Ok(one), Ok(two)) = (one, two) else {
                wrong.push(format!("{provider}/{}: not made", sample.name));
                continue;
            };
            let (one, two) = (key(&one), key(&two));
            // Their keys are times: of the second, and of the millisecond. Two of the same one are one.
            let timed = ["dropbox-sign", "npm"].contains(&&*provider);
            if one.is_some() && one == two && !timed {
                wrong.push(format!("{provider}/{}: {one:?}", sample.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn lists_of_schemes_are_signed_so_that_they_pass() {
    let own = |verify: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "fake-secret-000a").unwrap();
        std::fs::write(folder.path().join("b"), "fake-secret-000b").unwrap();
        std::fs::write(folder.path().join("p"), "00".repeat(32)).unwrap();
        let file = folder.path().join("webhooks.toml");
        let text = format!(
            "[[webhook]]\nname = \"w\"\nslug = \"fakeslug00000000000001\"\nverify = {{ {verify} }}\n\
             event = {{ event = \"e\", resource = {{ \"prefect.resource.id\" = \"r\" }} }}\n"
        );
        std::fs::write(&file, text).unwrap();
        let loaded = config::load(&file, &Overrides::default());
        loaded
            .config
            .unwrap_or_else(|| panic!("{:?}", loaded.findings))
    };
    let hmac = r#"{ scheme = "hmac-sha256", header = "X-Sig", signed = "{header:X-Key}.{body}", secret = { file = "a" } }"#;
    let plain = r#"{ scheme = "hmac-sha256", header = "X-Sig", secret = { file = "a" } }"#;
    let body = r#"{ scheme = "body-token", json = "/token", secret = { file = "b" } }"#;
    let query = r#"{ scheme = "query-token", query = "t", secret = { file = "b" } }"#;
    for (verify, scheme) in [
        (
            format!("all = [{plain}, {body}, {query}]"),
            "body-token and query-token and hmac-sha256",
        ),
        (format!("any = [{hmac}, {query}]"), "query-token"),
        (format!("first = [{hmac}, {plain}]"), "hmac-sha256"),
    ] {
        let config = own(&verify);
        let webhook = &config.webhooks[0];
        let sample =
            prepare::sample(webhook, None, None, None).unwrap_or_else(|s| panic!("{}", s.message));
        let arguments = arguments(&[]);
        let prepared = Prepared {
            sample: prepare::received(sample, webhook, &config)
                .unwrap_or_else(|s| panic!("{}", s.message)),
            options: options(&arguments),
            arguments: &arguments,
            config: &config,
            webhook,
        };
        let (mut request, _) = prepared
            .made(&target(), None)
            .unwrap_or_else(|s| panic!("{}", s.message));
        assert_eq!(code(&config, &request), None, "{verify}");
        let again = webhook
            .signer
            .sign(&mut request, &SignOptions::right(Timestamp::now()));
        assert_eq!(again.unwrap().as_deref(), Some(scheme));
        assert_eq!(code(&config, &request), None, "signed twice: {verify}");
        let forged = SignOptions {
            bad: true,
            ..SignOptions::right(Timestamp::now())
        };
        webhook.signer.sign(&mut request, &forged).unwrap();
        assert!(code(&config, &request).is_some(), "{verify}");
    }
}

#[test]
fn rates() {
    assert_eq!(rate("10/s"), Ok(Duration::from_millis(100)));
    assert_eq!(rate("30/m"), Ok(Duration::from_secs(2)));
    for wrong in ["", "10", "0/s", "-1/s", "x/s", "1/y", "inf/s", "nan/s"] {
        assert!(rate(wrong).is_err(), "{wrong}");
    }
}
