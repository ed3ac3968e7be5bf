//! What a forger tries: tokens that choose their own algorithm or key, signatures in other forms or without end,
//! times that are no times.

#![allow(clippy::string_slice, reason = "a test that slices wrongly fails")]

use super::*;
use crate::model::Headers;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use proptest::prelude::*;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RsaKeyPair};

const NOW: i64 = 1_767_225_600;
const KEY: &str = "fake-forms-secret-0001";
const RSA: &[u8] = include_bytes!("../../tests/fixtures/keys/fake-rsa-2048.pk8");

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn compile(verify: &str, secret: &str) -> Result<Verifier, SchemeError> {
    #[derive(serde::Deserialize)]
    struct File {
        verify: VerifySpec,
    }
    let file: File = toml::from_str(&format!("verify = {{ {verify} }}")).unwrap();
    let secret = DatedSecret {
        secret: Secret::new(secret.to_owned()),
        until: None,
    };
    Verifier::compile(&file.verify, &[secret])
}

fn request(lines: &[(&str, &[u8])], body: &[u8]) -> Request {
    let mut headers = Headers::new();
    for (name, value) in lines {
        headers.push(name, *value);
    }
    Request {
        method: "POST".to_owned(),
        path: String::new(),
        query: String::new(),
        headers,
        wire_body: body.to_vec().into(),
        body: body.to_vec().into(),
        peer: [127, 0, 0, 1].into(),
        received: now(),
        url: "https://hooks.example.com/hooks/x".to_owned(),
    }
}

fn failure(verifier: &Verifier, lines: &[(&str, &[u8])], body: &[u8]) -> Option<Code> {
    let verdict = verifier.verify(&request(lines, body), now());
    verdict.failure.map(|problem| problem.code)
}

/// `header.claims`, in base64url.
fn head(header: &str, claims: &str) -> String {
    let engine = BASE64_URL_SAFE_NO_PAD;
    format!("{}.{}", engine.encode(header), engine.encode(claims))
}

fn with(head: &str, signature: &[u8]) -> String {
    format!("{head}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn hmac(algorithm: mac::Algorithm, key: &[u8], text: &str) -> Vec<u8> {
    let key = mac::Key::new(algorithm, key).unwrap();
    key.mac(&[std::borrow::Cow::Borrowed(text.as_bytes())])
}

fn rsa() -> RsaKeyPair {
    RsaKeyPair::from_pkcs8(RSA).unwrap()
}

fn sign_rsa(text: &str) -> Vec<u8> {
    let pair = rsa();
    let mut out = vec![0; pair.public().modulus_len()];
    let padding = &ring::signature::RSA_PKCS1_SHA256;
    pair.sign(padding, &SystemRandom::new(), text.as_bytes(), &mut out)
        .unwrap();
    out
}

fn pem(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
}

/// The RSA key as `SubjectPublicKeyInfo`.
fn rsa_info() -> Vec<u8> {
    let bare = rsa().public().as_ref().to_vec();
    // RFC 3279, section 2.3.1: rsaEncryption without parameters, then the key as a bit string.
    let mut info = hex::decode("30820122300d06092a864886f70d01010105000382010f00").unwrap();
    info.extend(bare);
    info
}

const CLAIMS: &str = r#"{"iss":"sender","iat":1767225600}"#;
const RS256: &str = "scheme = 'jwt', header = 'X-Token', algorithms = ['RS256']";
const HS256: &str = "scheme = 'jwt', header = 'X-Token', algorithms = ['HS256']";

#[test]
fn a_public_key_is_no_shared_secret() {
    let (info, bare) = (rsa_info(), rsa().public().as_ref().to_vec());
    let text = pem(&info);
    let verifier = compile(RS256, &text).unwrap();
    let check = |token: &str| failure(&verifier, &[("x-token", token.as_bytes())], b"");
    let right = head(r#"{"alg":"RS256","typ":"JWT"}"#, CLAIMS);
    assert_eq!(check(&with(&right, &sign_rsa(&right))), None);
    let hexadecimal = hex::encode(&bare);
    for key in [
        text.as_bytes(),
        text.trim().as_bytes(),
        &info,
        &bare,
        hexadecimal.as_bytes(),
        b"",
    ] {
        for (name, algorithm) in [
            ("HS256", mac::Algorithm::Sha256),
            ("HS384", mac::Algorithm::Sha384),
            ("HS512", mac::Algorithm::Sha512),
            // It claims what the scheme wants, and is signed otherwise.
            ("RS256", mac::Algorithm::Sha256),
        ] {
            let head = head(&format!(r#"{{"alg":"{name}"}}"#), CLAIMS);
            let token = with(&head, &hmac(algorithm, key, &head));
            assert!(check(&token).is_some(), "{name}");
        }
    }
    // Nor can such a key be configured where a shared secret belongs.
    assert!(compile(HS256, &text).is_err());
}

#[test]
fn a_token_does_not_choose_its_algorithm_or_its_key() {
    let verifiers = [
        compile(RS256, &pem(&rsa_info())).unwrap(),
        compile(HS256, KEY).unwrap(),
    ];
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let own = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
    let point = own.public_key().as_ref();
    let coordinate = |range: std::ops::Range<usize>| BASE64_URL_SAFE_NO_PAD.encode(&point[range]);
    let jwk = format!(
        r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}"#,
        coordinate(1..33),
        coordinate(33..65)
    );
    let own_mac = BASE64_URL_SAFE_NO_PAD.encode("fake-forgers-secret-0001");
    for verifier in &verifiers {
        let check = |token: &str| failure(verifier, &[("x-token", token.as_bytes())], b"");
        for name in [
            "none", "None", "NONE", "nOnE", "", "HS255", "RS512", "PS256", "ES256", "EdDSA",
        ] {
            let head = head(&format!(r#"{{"alg":"{name}"}}"#), CLAIMS);
            for token in [
                format!("{head}."),
                head.clone(),
                with(&head, b"x"),
                with(&head, &sign_rsa(&head)),
            ] {
                assert!(check(&token).is_some(), "{name} {token}");
            }
            let signed = own.sign(&random, head.as_bytes()).unwrap();
            assert!(check(&with(&head, signed.as_ref())).is_some(), "{name}");
        }
        // Keys that the token brings along, or says where to find: the address would not even be asked.
        for more in [
            format!(r#""jwk":{jwk}"#),
            format!(r#""jwk":{{"kty":"oct","k":"{own_mac}"}}"#),
            r#""jku":"http://127.0.0.1:9/keys.json","kid":"1""#.to_owned(),
            r#""x5u":"http://127.0.0.1:9/cert.pem""#.to_owned(),
            r#""x5c":["AA=="],"kid":"../../../../dev/null""#.to_owned(),
        ] {
            for name in ["ES256", "HS256", "RS256"] {
                let head = head(&format!(r#"{{"alg":"{name}",{more}}}"#), CLAIMS);
                let elliptic = own.sign(&random, head.as_bytes()).unwrap();
                let mac = hmac(mac::Algorithm::Sha256, b"fake-forgers-secret-0001", &head);
                let empty = hmac(mac::Algorithm::Sha256, b"", &head);
                for signature in [elliptic.as_ref(), &mac, &empty] {
                    assert!(check(&with(&head, signature)).is_some(), "{name} {more}");
                }
            }
        }
    }
}

#[test]
fn keys_that_a_rightly_signed_token_names_are_ignored_and_critical_extensions_refused() {
    let verifier = compile(HS256, KEY).unwrap();
    let check = |header: &str| {
        let head = head(header, CLAIMS);
        let token = with(&head, &hmac(mac::Algorithm::Sha256, KEY.as_bytes(), &head));
        failure(&verifier, &[("x-token", token.as_bytes())], b"")
    };
    assert_eq!(check(r#"{"alg":"HS256"}"#), None);
    assert_eq!(
        check(
            r#"{"alg":"HS256","kid":"any","jku":"http://127.0.0.1:9/","x5u":"http://127.0.0.1:9/"}"#
        ),
        None
    );
    // RFC 7515, section 4.1.11: what must be understood and is not makes the token invalid.
    for header in [
        r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
        r#"{"alg":"HS256","crit":["exp"],"exp":1}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","crit":"x"}"#,
    ] {
        assert!(check(header).is_some(), "{header}");
    }
}

const LIST: &str = "scheme = 'hmac-sha256', signature = { from = 'header:X-S', split = ',', prefix = 'v1=' }, signed = '{ts}.{body}', timestamp = { from = 'header:X-S', split = ',', prefix = 't=' }";

#[test]
fn a_list_of_signatures_is_bounded() {
    let verifier = compile(LIST, KEY).unwrap();
    let right = hex::encode(hmac(
        mac::Algorithm::Sha256,
        KEY.as_bytes(),
        "1767225600.body",
    ));
    let check = |others: usize, first: bool| {
        let others = vec![format!("v1={:064}", 0); others].join(",");
        let text = match first {
            true => format!("t=1767225600,v1={right},{others}"),
            false => format!("t=1767225600,{others},v1={right}"),
        };
        failure(&verifier, &[("x-s", text.as_bytes())], b"body")
    };
    for first in [true, false] {
        assert_eq!(check(9, first), None);
        for others in [10, 11, 100, 100_000] {
            assert_eq!(
                check(others, first),
                Some(codes::CREDENTIAL_MALFORMED),
                "{others}"
            );
        }
    }
}

#[test]
fn signatures_in_other_forms() {
    let hex_scheme = compile("scheme = 'hmac-sha256', header = 'X-S'", KEY).unwrap();
    let base64 = compile(
        "scheme = 'hmac-sha256', header = 'X-S', encoding = 'base64'",
        KEY,
    )
    .unwrap();
    let url = compile(
        "scheme = 'hmac-sha256', header = 'X-S', encoding = 'base64url'",
        KEY,
    )
    .unwrap();
    let tag = hmac(mac::Algorithm::Sha256, KEY.as_bytes(), "body");
    let lower = hex::encode(&tag);
    let padded = BASE64_STANDARD.encode(&tag);
    let bare = padded.trim_end_matches('=').to_owned();
    // The last character of 43 has two bits that say nothing: they must be 0.
    let last = bare.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let at = alphabet.find(last).unwrap();
    let surplus = format!("{}{}", &bare[..42], &alphabet[at + 1..at + 2]);
    let long = "ab".repeat(50_000);
    for (verifier, text, verified) in [
        (&hex_scheme, lower.clone(), true),
        (&hex_scheme, lower.to_uppercase(), true),
        (&hex_scheme, format!("0x{lower}"), false),
        (&hex_scheme, format!("{lower}00"), false),
        (&hex_scheme, lower[..62].to_owned(), false),
        (&hex_scheme, format!("{lower} {lower}"), false),
        (&hex_scheme, format!("{lower},{lower}"), false),
        (&hex_scheme, format!("{lower}\0"), false),
        (&hex_scheme, format!("\0{lower}"), false),
        (&hex_scheme, lower.replacen(&lower[..1], "ａ", 1), false),
        (&hex_scheme, format!("{lower}\u{200b}"), false),
        (&hex_scheme, long.clone(), false),
        (&hex_scheme, padded.clone(), false),
        (&base64, padded.clone(), true),
        (&base64, bare.clone(), true),
        (&base64, surplus, false),
        (&base64, format!("{padded}="), false),
        (&base64, format!("={bare}"), false),
        (&base64, lower.clone(), false),
        (&base64, padded.replace(&padded[..1], "é"), false),
        (&base64, long, false),
        (&url, BASE64_URL_SAFE_NO_PAD.encode(&tag), true),
    ] {
        let found = failure(verifier, &[("x-s", text.as_bytes())], b"body");
        assert_eq!(found.is_none(), verified, "{text:.100}");
    }
    for bytes in [&b"\xff\xfe\x00"[..], b"\xc3", b"\x00"] {
        assert!(failure(&hex_scheme, &[("x-s", bytes)], b"body").is_some());
    }
}

#[test]
fn times_in_other_forms() {
    let text =
        "scheme = 'hmac-sha256', header = 'X-S', signed = '{ts}.{body}', timestamp = 'header:X-T'";
    let any = format!("{text}, tolerance = 'any'");
    let (limited, any) = (compile(text, KEY).unwrap(), compile(&any, KEY).unwrap());
    for time in [
        "+1767225600",
        "-1767225600",
        "1767225600.0",
        "1767225600,0",
        "1_767_225_600",
        "1.7672256e9",
        "1e9",
        "0x69560d00",
        "1767225600s",
        "17672256 00",
        "१७६७२२५६००",
        "١٧٦٧٢٢٥٦٠٠",
        "２０２６",
        "NaN",
        "Infinity",
        "null",
        "99999999999999999999",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "253402300800",
        "340282366920938463463374607431768211456",
        "2026-01-01T00:00:00Z",
        "now",
        "0-0",
    ] {
        let tag = hex::encode(hmac(
            mac::Algorithm::Sha256,
            KEY.as_bytes(),
            &format!("{time}.body"),
        ));
        // Rightly signed, so that only its form can be the reason.
        for verifier in [&limited, &any] {
            let found = failure(
                verifier,
                &[("x-t", time.as_bytes()), ("x-s", tag.as_bytes())],
                b"body",
            );
            assert_eq!(found, Some(codes::CREDENTIAL_MALFORMED), "{time}");
        }
    }
    // White space around a header's value is none of it; a zero before a number changes nothing but what is signed.
    for (sent, signed, verified) in [
        (" 1767225600 ", "1767225600", true),
        (" 1767225600", " 1767225600", false),
        ("01767225600", "01767225600", true),
        ("01767225600", "1767225600", false),
        ("1767225600", "01767225600", false),
    ] {
        let tag = hex::encode(hmac(
            mac::Algorithm::Sha256,
            KEY.as_bytes(),
            &format!("{signed}.body"),
        ));
        let found = failure(
            &limited,
            &[("x-t", sent.as_bytes()), ("x-s", tag.as_bytes())],
            b"body",
        );
        assert_eq!(found.is_none(), verified, "`{sent}`");
    }
}

proptest! {
    #[test]
    fn the_limit_holds_to_the_second_in_both_directions(age in -700_i64..700, limit in 0_i64..400) {
        let text = format!("scheme = 'hmac-sha256', header = 'X-S', signed = '{{ts}}.{{body}}', timestamp = 'header:X-T', tolerance = {limit}");
        let verifier = compile(&text, KEY).unwrap();
        let time = (NOW - age).to_string();
        let tag = hex::encode(hmac(mac::Algorithm::Sha256, KEY.as_bytes(), &format!("{time}.body")));
        let found = failure(&verifier, &[("x-t", time.as_bytes()), ("x-s", tag.as_bytes())], b"body");
        let want = (age.abs() > limit).then_some(codes::TIMESTAMP_OUTSIDE);
        prop_assert_eq!(found, want);
    }

    #[test]
    fn nothing_that_is_sent_as_a_signature_is_taken_or_panics(
        value in proptest::collection::vec(any::<u8>(), 0..200),
        scheme in 0_usize..9,
    ) {
        let schemes = [
            "scheme = 'hmac-sha256', header = 'X-S'",
            "scheme = 'hmac-sha1', header = 'X-S', encoding = 'base64'",
            LIST,
            "scheme = 'sha256', header = 'X-S', signed = '{secret}{body}'",
            "scheme = 'header-token', header = 'X-S'",
            "scheme = 'jwt', header = 'X-S', algorithms = ['HS256']",
            "scheme = 'twilio'",
            "scheme = 'hook0'",
            "scheme = 'contentful'",
        ];
        let verifier = compile(schemes[scheme], KEY).unwrap();
        let lines = [
            "x-s", "x-twilio-signature", "x-hook0-signature", "x-contentful-signature",
            "x-contentful-signed-headers", "x-contentful-timestamp",
        ];
        let lines = lines.map(|name| (name, value.as_slice()));
        prop_assert!(failure(&verifier, &lines, b"body").is_some());
    }
}
