//! Refused is refused: whoever is not the sender hears the same, byte for byte, whatever was wrong.

use crate::harness::http::Reply;
use crate::harness::{Setup, sign, slug};
use std::collections::BTreeMap;

type Lines = Vec<(&'static str, String)>;

const TOKEN: &str = "fake-token-0001";
const BODY: &[u8] = br#"{"token":"fake-token-0002","id":1}"#;
/// RFC 8032, section 7.1, test 2.
const ED25519: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";

/// What is heard, but for the time of day.
fn heard(reply: &Reply) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let headers = reply.headers.iter().filter(|(name, _)| name != "date");
    let mut headers: Vec<_> = headers.cloned().collect();
    // They are written in the order of a hash map, which is another one for each answer.
    headers.sort();
    (reply.status, headers, reply.body.clone())
}

/// `[[webhook]]` with its `verify` or provider, whose secret is in `S`.
fn webhook(number: usize, who: &str) -> String {
    let event = "event = { event = \"e\", resource = { \"prefect.resource.id\" = \"r\" } }";
    let slug = slug(number);
    format!("[[webhook]]\nname = \"w{number}\"\nslug = \"{slug}\"\n{event}\n{who}\n")
}

/// One header with each of the values that a forger may try, and without.
fn values(name: &'static str, right_form: &str) -> Vec<Lines> {
    let texts = [
        "",
        "x",
        "=",
        ",",
        "\u{e9}",
        &"f".repeat(64),
        &"A".repeat(5_000),
        right_form,
    ];
    let mut all = vec![Vec::new()];
    all.extend(texts.map(|text| vec![(name, text.to_owned())]));
    all.push(vec![(name, "a".to_owned()), (name, "b".to_owned())]);
    all.push(vec![("x-unrelated", "1".to_owned())]);
    all
}

/// Times as they are and are not.
fn timed(header: &'static str, signed: impl Fn(&str) -> String, time: &'static str) -> Vec<Lines> {
    let now: i64 = sign::now().parse().unwrap();
    let mut all = Vec::new();
    for text in [now, now - 301, now - 86_400, now + 302, 0, i64::MAX].map(|n| n.to_string()) {
        // The last digits of the signature are wrong, or it is right and too old.
        let right = signed(&text);
        let old = text.parse::<i64>().unwrap().abs_diff(now) > 300;
        if old {
            all.push(vec![(time, text.clone()), (header, right.clone())]);
        }
        all.push(vec![
            (time, text.clone()),
            (header, format!("{}00", &right[..right.len() - 2])),
        ]);
        all.push(vec![(time, text)]);
    }
    for text in ["", "now", "+1", "1e9", "-1", "99999999999999999999999"] {
        all.push(vec![(time, text.to_owned()), (header, signed(text))]);
    }
    all
}

/// Tokens of every kind of wrong.
fn tokens() -> Vec<Lines> {
    use base64::Engine as _;
    let engine = base64::prelude::BASE64_URL_SAFE_NO_PAD;
    let now: i64 = sign::now().parse().unwrap();
    let token = |header: &str, claims: &str, key: &str| {
        let head = format!("{}.{}", engine.encode(header), engine.encode(claims));
        let mac = sign::hmac_sha256(key.as_bytes(), &[head.as_bytes()]);
        vec![("x-token", format!("{head}.{}", engine.encode(mac)))]
    };
    let good = format!(r#"{{"iss":"me","iat":{now}}}"#);
    let hs = r#"{"alg":"HS256"}"#;
    let mut all = values("x-token", "a.b.c");
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":"HS512"}"#,
        "{}",
        "",
    ] {
        all.push(token(header, &good, TOKEN));
    }
    all.push(token(hs, &good, "fake-token-0009"));
    all.push(token(
        r#"{"alg":"HS256","kid":"unknown"}"#,
        &good,
        "fake-token-0009",
    ));
    for claims in [
        r#"{"iss":"you"}"#,
        r#"{"iss":"me","exp":1}"#,
        r#"{"iss":"me","nbf":9999999999}"#,
        "{}",
        "[]",
        "",
    ] {
        all.push(token(hs, claims, TOKEN));
    }
    all
}

/// Each scheme with what is sent to it.
#[allow(clippy::too_many_lines, reason = "a table")]
fn schemes() -> Vec<(&'static str, Vec<Lines>)> {
    let hex = |time: &str| {
        let parts = [time.as_bytes(), b".", BODY];
        hex::encode(sign::hmac_sha256(TOKEN.as_bytes(), &parts))
    };
    let sixty_four = "0".repeat(64);
    let mut timed_values = timed("x-s", hex, "x-t");
    timed_values.extend(values("x-s", &sixty_four));
    let stripe = |text: String| vec![("stripe-signature", text)];
    let now = sign::now();
    vec![
        (
            r#"verify = { scheme = "hmac-sha256", header = "X-S", secret = { env = "S" } }"#,
            values("x-s", &sixty_four),
        ),
        (
            r#"verify = { scheme = "hmac-sha256", header = "X-S", signed = "{ts}.{body}", timestamp = "header:X-T", secret = { env = "S" } }"#,
            timed_values,
        ),
        (
            r#"verify = { scheme = "sha256", header = "X-S", signed = "{secret}{body}", secret = { env = "S" } }"#,
            values("x-s", &sixty_four),
        ),
        (
            r#"verify = { scheme = "ed25519", header = "X-S", secret = { env = "P" } }"#,
            values("x-s", &"0".repeat(128)),
        ),
        (
            r#"verify = { scheme = "header-token", header = "X-S", secret = { env = "S" } }"#,
            values("x-s", "fake-token-0002"),
        ),
        (
            r#"verify = { scheme = "query-token", query = "key", secret = { env = "S" } }"#,
            values("x-s", "fake-token-0002"),
        ),
        (
            r#"verify = { scheme = "body-token", json = "/token", secret = { env = "S" } }"#,
            values("x-s", "x"),
        ),
        (
            r#"verify = { scheme = "body-token", json = "/absent", secret = { env = "S" } }"#,
            values("x-s", "x"),
        ),
        (
            r#"verify = { scheme = "bearer", secret = { env = "S" } }"#,
            values("authorization", "Bearer fake-token-0002"),
        ),
        (
            r#"verify = { scheme = "basic", secret = { env = "B" } }"#,
            values("authorization", "Basic dTpmYWtl"),
        ),
        (
            r#"verify = { scheme = "jwt", header = "X-Token", algorithms = ["HS256"], issuer = "me", secret = { env = "S" } }"#,
            tokens(),
        ),
        (
            r#"verify = { any = [{ scheme = "header-token", header = "X-S", secret = { env = "S" } }, { scheme = "bearer", secret = { env = "S" } }] }"#,
            values("x-s", "x"),
        ),
        (
            r#"verify = { all = [{ scheme = "header-token", header = "X-S", secret = { env = "S" } }, { scheme = "header-token", header = "X-U", secret = { env = "S" } }] }"#,
            {
                let mut all = values("x-s", TOKEN);
                all.extend(values("x-u", TOKEN));
                all
            },
        ),
        ("provider = \"stripe\"\nsecret = { env = \"S\" }", {
            let mut all = values("stripe-signature", &format!("t={now},v1={sixty_four}"));
            for text in ["t=1", "v1=0", "t=,v1=", "t=x,v1=y", "v0=0,t=1"] {
                all.push(stripe(text.to_owned()));
            }
            all.push(stripe(format!("t={now}{}", ",v1=00".repeat(11))));
            all
        }),
        (
            "provider = \"twilio\"\nsecret = { env = \"S\" }",
            values("x-twilio-signature", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ),
        (
            "provider = \"adyen\"\nsecret = { env = \"H\" }",
            values("x-s", "x"),
        ),
        (
            "provider = \"braintree\"\nsecret = { env = \"B\" }",
            values("x-s", "x"),
        ),
        (
            "provider = \"contentful\"\nsecret = { env = \"S\" }",
            values("x-contentful-signature", &sixty_four),
        ),
    ]
}

#[test]
fn every_refusal_sounds_the_same() {
    let schemes = schemes();
    let toml: String = (0..)
        .zip(&schemes)
        .map(|(n, (who, _))| webhook(n, who))
        .collect();
    let gateway = Setup::new(toml)
        .env("S", TOKEN)
        .env("B", "user:fake-token-0001")
        .env("H", "00ff00ff")
        .env("P", ED25519)
        .start();
    let mut heard_of_all = BTreeMap::new();
    for (number, (who, tries)) in schemes.iter().enumerate() {
        let mut first = None;
        for lines in tries {
            let lines: Vec<(&str, &str)> = lines.iter().map(|(n, v)| (*n, v.as_str())).collect();
            for (content_type, body) in [
                ("application/json", BODY),
                ("text/plain", b"x"),
                ("application/json", b""),
            ] {
                let mut headers = vec![("content-type", content_type)];
                headers.extend(&lines);
                let reply = gateway.post(&slug(number), &headers, body);
                assert_eq!(reply.status, 401, "{who} {lines:?}: {}", reply.text());
                let heard = heard(&reply);
                assert_eq!(
                    first.get_or_insert_with(|| heard.clone()),
                    &heard,
                    "{who} {lines:?}"
                );
            }
        }
        heard_of_all.insert(first.unwrap(), who);
    }
    // Basic and Bearer ask for what HTTP wants them to; all others sound the same too.
    let kinds: Vec<_> = heard_of_all.values().collect();
    assert_eq!(kinds.len(), 3, "{kinds:?}");
}
