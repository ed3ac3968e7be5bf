//! Schemes as an owner writes them, over requests right and wrong.

use super::*;
use crate::model::http_file;
use proptest::prelude::*;

fn spec(toml: &str) -> VerifySpec {
    #[derive(serde::Deserialize)]
    struct File {
        verify: VerifySpec,
    }
    toml::from_str::<File>(toml)
        .unwrap_or_else(|e| panic!("{toml}: {e}"))
        .verify
}

fn spec_error(toml: &str) -> String {
    #[derive(Debug, serde::Deserialize)]
    struct File {
        #[allow(dead_code, reason = "only its errors matter")]
        verify: VerifySpec,
    }
    toml::from_str::<File>(toml).unwrap_err().to_string()
}

fn secret(text: &str, until: Option<i64>) -> DatedSecret {
    DatedSecret {
        secret: Secret::new(text.to_owned()),
        until: until.map(|s| Timestamp::from_second(s).unwrap()),
    }
}

fn verifier(toml: &str, text: &str) -> Verifier {
    Verifier::compile(&spec(toml), &[secret(text, None)]).unwrap()
}

fn request(text: &str) -> Request {
    http_file::parse(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap()
}

fn code(verdict: &Verdict) -> Option<Code> {
    verdict.failure.as_ref().map(|p| p.code)
}

fn now() -> Timestamp {
    Timestamp::from_second(1_767_225_600).unwrap()
}

const OK: Option<Code> = None;
const MISSING: Option<Code> = Some(codes::CREDENTIAL_MISSING);
const MALFORMED: Option<Code> = Some(codes::CREDENTIAL_MALFORMED);
const WRONG: Option<Code> = Some(codes::TOKEN_MISMATCH);

const BEARER: &str = "verify = { scheme = 'bearer' }";
const QUERY: &str = "verify = { scheme = 'bearer', query = true }";
const BASIC: &str = "verify = { scheme = 'basic' }";
const HEADER: &str = "verify = { scheme = 'header-token', header = 'X-Token' }";
const PREFIXED: &str =
    "verify = { scheme = 'header-token', header = 'Authorization', prefix = 'Token ' }";
const PARAMETER: &str = "verify = { scheme = 'query-token', query = 'key' }";
const TOKEN: &str = "fake-token-0001";
const USER: &str = "user:fake:pass-0001";

const TOKEN_ROWS: &[(&str, &str, &str, Option<Code>)] = &[
    (
        BEARER,
        TOKEN,
        " HTTP/1.1\nAuthorization: Bearer fake-token-0001",
        OK,
    ),
    (
        BEARER,
        TOKEN,
        " HTTP/1.1\nAuthorization: bearer   fake-token-0001",
        OK,
    ),
    (
        BEARER,
        TOKEN,
        " HTTP/1.1\nAuthorization: Bearer fake-token-0002",
        WRONG,
    ),
    (
        BEARER,
        TOKEN,
        " HTTP/1.1\nAuthorization: Bearer fake-token-00011",
        WRONG,
    ),
    (BEARER, TOKEN, " HTTP/1.1\nAuthorization: Bearer", MALFORMED),
    (
        BEARER,
        TOKEN,
        " HTTP/1.1\nAuthorization: fake-token-0001",
        MALFORMED,
    ),
    (
        BEARER,
        TOKEN,
        " HTTP/1.1\nAuthorization: Bearer a\nAuthorization: Bearer b",
        MALFORMED,
    ),
    (
        BEARER,
        TOKEN,
        "?access_token=fake-token-0001 HTTP/1.1",
        MISSING,
    ),
    (QUERY, TOKEN, "?access_token=fake-token-0001 HTTP/1.1", OK),
    (QUERY, TOKEN, "?access_token=fake%2Dtoken-0001 HTTP/1.1", OK),
    (
        QUERY,
        TOKEN,
        "?access_token=a&access_token=b HTTP/1.1",
        MALFORMED,
    ),
    (
        QUERY,
        TOKEN,
        "?access_token=x HTTP/1.1\nAuthorization: Bearer fake-token-0001",
        MALFORMED,
    ),
    (
        QUERY,
        TOKEN,
        " HTTP/1.1\nAuthorization: Bearer fake-token-0001",
        OK,
    ),
    (QUERY, TOKEN, " HTTP/1.1", MISSING),
    (QUERY, TOKEN, "?access_token= HTTP/1.1", MALFORMED),
    (
        BASIC,
        USER,
        " HTTP/1.1\nAuthorization: Basic dXNlcjpmYWtlOnBhc3MtMDAwMQ==",
        OK,
    ),
    (
        BASIC,
        USER,
        " HTTP/1.1\nAuthorization: Basic dXNlcjpmYWtlOnBhc3MtMDAwMg==",
        WRONG,
    ),
    (
        BASIC,
        USER,
        " HTTP/1.1\nAuthorization: Basic ???",
        MALFORMED,
    ),
    (BASIC, USER, " HTTP/1.1\nAuthorization: Bearer x", MALFORMED),
    (BASIC, USER, " HTTP/1.1", MISSING),
    (HEADER, TOKEN, " HTTP/1.1\nx-token: fake-token-0001", OK),
    (HEADER, TOKEN, " HTTP/1.1\nx-token: FAKE-token-0001", WRONG),
    (HEADER, TOKEN, " HTTP/1.1\nx-token:", MALFORMED),
    (HEADER, TOKEN, " HTTP/1.1", MISSING),
    (
        PREFIXED,
        TOKEN,
        " HTTP/1.1\nAuthorization: Token fake-token-0001",
        OK,
    ),
    (PARAMETER, TOKEN, "?key=fake-token-0001 HTTP/1.1", OK),
    (PARAMETER, TOKEN, "?key=no HTTP/1.1", WRONG),
];

#[test]
fn tokens_and_passwords() {
    for (scheme, secret, head, want) in TOKEN_ROWS {
        let (scheme, secret, head, want) = (*scheme, *secret, *head, *want);
        let verdict =
            verifier(scheme, secret).verify(&request(&format!("POST /hooks/x{head}\n\n")), now());
        assert_eq!(code(&verdict), want, "{scheme} {head}: {verdict:?}");
        assert!(!format!("{verdict:?}").contains("fake"), "{verdict:?}");
    }
    let masking = verifier(PARAMETER, TOKEN).masking();
    assert!(masking.hides_query("key"));
    assert!(verifier(HEADER, TOKEN).masking().hides_header("x-token"));
}

#[test]
fn an_owners_short_forms() {
    let secret = b"fake-shop-secret-0001";
    let sign = |encoding: &str, algorithm: &str, text: &str| {
        hmac_text(algorithm, encoding, secret, text).unwrap()
    };
    for (toml, head) in [
        (
            "verify = { scheme = 'hmac-sha256', header = 'X-Shop-Signature', encoding = 'base64' }",
            format!("X-Shop-Signature: {}", sign("base64", "sha256", "body")),
        ),
        (
            "verify = { scheme = 'hmac-sha1', header = 'X-Sig', prefix = 'sha1=' }",
            format!("X-Sig: sha1={}", sign("hex", "sha1", "body")),
        ),
        (
            "verify = { scheme = 'hmac-sha512', header = 'X-Sig', encoding = 'base64url', signed = '{ts}.{body}', timestamp = 'header:X-Ts', tolerance = '5m' }",
            format!(
                "X-Ts: 1767225500\nX-Sig: {}",
                sign("base64url", "sha512", "1767225500.body")
            ),
        ),
        (
            "verify = { scheme = 'hmac-sha256', header = 'X-Sig', split = ',', prefix = 'v1=', signed = ['{header:X-Id}', ':', '{body}'] }",
            format!(
                "X-Id: a\nX-Sig: v1=00,v1={}",
                sign("hex", "sha256", "a:body")
            ),
        ),
    ] {
        let good = request(&format!("POST /hooks/x HTTP/1.1\n{head}\n\nbody"));
        let bad = request(&format!("POST /hooks/x HTTP/1.1\n{head}\n\nbodx"));
        let verifier = verifier(toml, "fake-shop-secret-0001");
        let verdict = verifier.verify(&good, now());
        assert_eq!(code(&verdict), OK, "{toml}: {verdict:?}");
        assert_eq!(
            code(&verifier.verify(&bad, now())),
            Some(codes::SIGNATURE_MISMATCH),
            "{toml}"
        );
    }
    let unverified = Verifier::compile(&spec("verify = 'none'"), &[]).unwrap();
    assert!(unverified.is_open());
    assert_eq!(
        code(&unverified.verify(&request("GET / HTTP/1.1\n\n"), now())),
        OK
    );
}

#[test]
fn a_record_shows_every_check_and_which_secret() {
    let spec = spec(
        "verify = { scheme = 'hmac-sha256', header = 'X-Sig', signed = '{ts}.{body}', timestamp = 'header:X-Ts' }",
    );
    let secrets = [secret("fake-old-0001", None), secret("fake-new-0002", None)];
    let verifier = Verifier::compile(&spec, &secrets).unwrap();
    let sign =
        |ts: &str| hmac_text("sha256", "hex", b"fake-new-0002", &format!("{ts}.body")).unwrap();
    let with = |ts: &str| {
        let text = format!(
            "POST /hooks/x HTTP/1.1\nX-Ts: {ts}\nX-Sig: {}\n\nbody",
            sign(ts)
        );
        verifier.verify(&request(&text), now())
    };
    let good = with("1767225597");
    let lines: Vec<_> = good
        .record
        .checks
        .iter()
        .map(|c| format!("{}: {}", c.name, c.detail))
        .collect();
    assert_eq!(
        lines,
        [
            "header x-sig: present",
            "header x-ts: present",
            "timestamp: 3 s old (limit 300 s)",
            "signature: hmac-sha256 over {ts}.{body}, secret 2 of 2",
        ]
    );
    let old = with("1767225188");
    assert_eq!(code(&old), Some(codes::TIMESTAMP_OUTSIDE));
    assert_eq!(
        old.failure.unwrap().message,
        "the signature is right, but its timestamp is 412 s old (limit 300 s)"
    );
}

#[test]
fn a_secret_counts_until_its_date() {
    let spec = spec("verify = { scheme = 'header-token', header = 'X-Token' }");
    let until = now().as_second();
    let secrets = [
        secret("fake-old-0001", Some(until)),
        secret("fake-new-0002", None),
    ];
    let verifier = Verifier::compile(&spec, &secrets).unwrap();
    let old = request("POST /hooks/x HTTP/1.1\nX-Token: fake-old-0001\n\n");
    let before = Timestamp::from_second(until - 1).unwrap();
    assert_eq!(code(&verifier.verify(&old, before)), OK);
    assert_eq!(code(&verifier.verify(&old, now())), WRONG);
}

#[test]
fn secrets_of_the_wrong_form_are_refused() {
    let error = |toml: &str, text: &str| {
        Verifier::compile(&spec(toml), &[secret(text, None)])
            .unwrap_err()
            .to_string()
    };
    let hmac =
        "verify = { scheme = 'hmac-sha256', header = 'X', key = 'base64', key_prefix = 'whsec_' }";
    assert_eq!(error(hmac, " \n"), "secret 1 is blank");
    assert_eq!(error(hmac, "whsec_!!"), "secret 1 is not base64");
    assert_eq!(error(hmac, "whsec_"), "secret 1 decodes to nothing");
    assert_eq!(error(hmac, "whsec_AAAA"), "secret 1 decodes to nothing");
    assert_eq!(
        error("verify = { scheme = 'basic' }", "fake-0001"),
        "secret 1 is not `user:password`"
    );
    let bearer = spec("verify = { scheme = 'bearer' }");
    assert!(matches!(
        Verifier::compile(&bearer, &[]),
        Err(SchemeError::SecretMissing)
    ));
}

#[test]
fn lists_of_schemes() {
    let header = |name: &str, text: &str| {
        verifier(
            &format!("verify = {{ scheme = 'header-token', header = '{name}' }}"),
            text,
        )
    };
    let parts = || vec![header("X-A", "fake-a-0001"), header("X-B", "fake-b-0001")];
    let with = |verifier: &Verifier, head: &str| {
        code(&verifier.verify(
            &request(&format!("POST /hooks/x HTTP/1.1\n{head}\n\n")),
            now(),
        ))
    };
    let a = "X-A: fake-a-0001";
    let b = "X-B: fake-b-0001";
    let (both, wrong) = (format!("{a}\n{b}"), format!("X-A: no\n{b}"));
    let any = Verifier::any(parts());
    let all = Verifier::all(parts());
    let first = Verifier::first(parts());
    for (verifier, on_a, on_b, on_both, on_wrong, on_none) in [
        (&any, OK, OK, OK, OK, MISSING),
        (&all, MISSING, MISSING, OK, WRONG, MISSING),
        (&first, OK, OK, OK, WRONG, MISSING),
    ] {
        assert_eq!(with(verifier, a), on_a, "{verifier:?}");
        assert_eq!(with(verifier, b), on_b, "{verifier:?}");
        assert_eq!(with(verifier, &both), on_both, "{verifier:?}");
        assert_eq!(with(verifier, &wrong), on_wrong, "{verifier:?}");
        assert_eq!(with(verifier, "X-C: 1"), on_none, "{verifier:?}");
    }
    assert_eq!(with(&any, "X-B: no"), WRONG);
    assert!(
        !any.is_open() && Verifier::any(vec![Verifier::open(), header("X", "fake-1")]).is_open()
    );
    for empty in [
        Verifier::any(vec![]),
        Verifier::all(vec![]),
        Verifier::first(vec![]),
    ] {
        assert_eq!(with(&empty, a), MISSING);
        assert!(!empty.is_open());
    }
    for key in VerifySpec::LISTS {
        assert!(Verifier::list(key, parts()).is_ok() && Verifier::list(key, vec![]).is_err());
    }
    assert!(Verifier::list("none", parts()).is_err());
    let nested = spec(
        "verify = { any = [{ scheme = 'bearer' }, { all = [{ scheme = 'basic' }, 'none'] }] }",
    );
    assert!(nested.needs_secret());
    assert_eq!(
        nested.summary(),
        "bearer in header authorization, or basic in header authorization, and none"
    );
}

#[test]
fn contradicting_data_are_refused_with_a_reason() {
    for (toml, reason) in [
        (
            "verify = { scheme = 'hmac-md5', header = 'X' }",
            "hmac-sha256",
        ),
        (
            "verify = { scheme = 'hmac-sha256' }",
            "where the signature is",
        ),
        (
            "verify = { scheme = 'hmac-sha256', header = 'X', query = 'y' }",
            "once",
        ),
        (
            "verify = { scheme = 'hmac-sha256', header = 'X', signed = '{ts}' }",
            "`timestamp`",
        ),
        (
            "verify = { scheme = 'hmac-sha256', header = 'X', timestamp = 'header:T' }",
            "{ts}",
        ),
        (
            "verify = { scheme = 'hmac-sha256', header = 'X', signed = '{id}' }",
            "`id`",
        ),
        (
            "verify = { scheme = 'hmac-sha256', header = 'X', tolerance = '5m' }",
            "`tolerance`",
        ),
        (
            "verify = { scheme = 'hmac-sha256', header = 'X', hedaer = 'y' }",
            "hedaer",
        ),
        (
            "verify = { scheme = 'bearer', signed = '{body}' }",
            "`signed` has no effect",
        ),
        (
            "verify = { scheme = 'header-token' }",
            "`header` is missing",
        ),
        ("verify = { any = [] }", "1 to"),
        (
            "verify = { any = ['none'], header = 'X' }",
            "`header` has no effect",
        ),
        ("verify = { header = 'X' }", "one of"),
        ("verify = 'nothing'", "none"),
    ] {
        let error = spec_error(toml);
        assert!(error.contains(reason), "{toml}: {error}");
    }
    // A time in the body is covered by a signature over the body.
    spec(
        "verify = { scheme = 'hmac-sha256', header = 'X', timestamp = { from = 'json:/time', unit = 'rfc3339' } }",
    );
    for key in VerifySpec::KEYS {
        assert!(
            !spec_error(&format!("verify = {{ {key} = [[]] }}")).contains("unknown field"),
            "{key}"
        );
    }
}

#[test]
fn values_for_delivery_keys() {
    let read = |json: &str, text: &str| {
        serde_json::from_str::<ValueSpec>(json)
            .unwrap()
            .read(&request(text))
    };
    let text = "POST /hooks/x/tail?q=1&q=1 HTTP/1.1\nX-Id: a\nX-Many: 1\nX-Many: 2\nX-N-1: one\nX-N-3: three\n\n{\"id\":7,\"l\":[{\"k\":\"x\"},{\"k\":\"y\"}]}";
    assert_eq!(read(r#""header:X-Id""#, text), ["a"]);
    assert_eq!(read(r#""query:q""#, text), ["1"]);
    assert_eq!(read(r#""json:/id""#, text), ["7"]);
    assert_eq!(read(r#""json:/l/*/k""#, text), ["x", "y"]);
    assert_eq!(read(r#""path""#, text), ["/tail"]);
    assert_eq!(read(r#""header:X-N-{1..3}""#, text), ["one", "three"]);
    assert_eq!(read(r#""header:X-Many""#, text).len(), 0);
    assert_eq!(
        read(r#"{"from":"header:X-Many","repeat":true}"#, text),
        ["1", "2"]
    );
    let join = r#"{"join":["header:X-Id","json:/id"]}"#;
    assert_eq!(read(join, text), ["a:7"]);
    assert_eq!(
        read(r#"{"join":["header:X-Id","json:/no"]}"#, text).len(),
        0
    );
    assert_eq!(read(r#""hash""#, text)[0].len(), 64);
    for bad in [
        r#""headr:x""#,
        r#""header:""#,
        r#""json:id""#,
        r#"{"from":"path","with":":"}"#,
        r#"{"split":","}"#,
        "[]",
        r#""header:X-{3..1}""#,
    ] {
        assert!(serde_json::from_str::<ValueSpec>(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn any_flipped_bit_is_refused(body in proptest::collection::vec(any::<u8>(), 1..64), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let verifier = verifier("verify = { scheme = 'hmac-sha256', header = 'X-Sig' }", "fake-secret-0001");
        let key = mac::Key::new(mac::Algorithm::Sha256, b"fake-secret-0001").unwrap();
        let sign = key.mac(&[std::borrow::Cow::Borrowed(body.as_slice())]);
        let mut request = request(&format!("POST /hooks/x HTTP/1.1\nX-Sig: {}\n\n", hex::encode(&sign)));
        request.wire_body = body.clone().into();
        prop_assert!(verifier.verify(&request, now()).failure.is_none());
        let mut changed = body;
        let index = at.index(changed.len());
        changed[index] ^= 1 << bit;
        request.wire_body = changed.into();
        prop_assert_eq!(code(&verifier.verify(&request, now())), Some(codes::SIGNATURE_MISMATCH));
    }

    #[test]
    fn a_flipped_bit_of_the_signature_is_refused(index in 0_usize..32, bit in 0_u8..8) {
        let verifier = verifier("verify = { scheme = 'hmac-sha256', header = 'X-Sig' }", "fake-secret-0001");
        let mut sign = hex::decode(hmac_text("sha256", "hex", b"fake-secret-0001", "body").unwrap()).unwrap();
        sign[index] ^= 1 << bit;
        let request = request(&format!("POST /hooks/x HTTP/1.1\nX-Sig: {}\n\nbody", hex::encode(&sign)));
        prop_assert_eq!(code(&verifier.verify(&request, now())), Some(codes::SIGNATURE_MISMATCH));
    }

    #[test]
    fn no_header_text_panics_or_verifies(value in "[ -~]{0,200}") {
        for toml in [
            "verify = { scheme = 'hmac-sha256', signature = { from = 'header:X', split = ',', prefix = 'v1=' } }",
            "verify = { scheme = 'basic' }",
            "verify = { scheme = 'header-token', header = 'X', prefix = 'T ' }",
        ] {
            let mut request = request("POST /hooks/x HTTP/1.1\n\nbody");
            request.headers.push("X", value.as_str());
            request.headers.push("Authorization", value.as_str());
            let secret = "fake:secret-0001-that-no-random-text-hits";
            prop_assert!(verifier(toml, secret).verify(&request, now()).failure.is_some());
        }
    }
}

/// A multipart form with these fields.
fn multipart(fields: &[(&str, &str)]) -> Request {
    let mut text =
        "POST /hooks/x HTTP/1.1\nContent-Type: multipart/form-data; boundary=b\n\n".to_owned();
    for (name, value) in fields {
        text.push_str(&format!(
            "--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    request(&(text + "--b--\r\n"))
}

#[test]
fn fields_of_a_multipart_form_are_read_and_signed() {
    let whole = "verify = { scheme = 'hmac-sha384', signature = { from = 'form:sig', prefix = 'sha384:' }, signed = '{form:data}' }";
    let inside = "verify = { scheme = 'hmac-sha256', signature = 'form:data#/e/hash', timestamp = { from = 'form:data#/e/time', past = 'any' }, id = 'form:data#/e/type', signed = '{ts}{id}' }";
    let data = "{\"a\":1}";
    let mac = hmac_text("sha384", "hex", TOKEN.as_bytes(), data).unwrap();
    let sig = format!("sha384:{mac}");
    let hash = hmac_text("sha256", "hex", TOKEN.as_bytes(), "1767225600x").unwrap();
    let event = |kind: &str| {
        format!("{{\"e\":{{\"type\":\"{kind}\",\"time\":\"1767225600\",\"hash\":\"{hash}\"}}}}")
    };
    let (right, wrong) = (event("x"), event("y"));
    let mismatch = Some(codes::SIGNATURE_MISMATCH);
    for (toml, fields, want) in [
        (whole, vec![("data", data), ("sig", sig.as_str())], OK),
        (whole, vec![("data", "{\"a\":2}"), ("sig", &sig)], mismatch),
        (whole, vec![("data", data)], MISSING),
        (
            whole,
            vec![("data", data), ("sig", &sig), ("sig", "sha384:00")],
            MALFORMED,
        ),
        (inside, vec![("data", right.as_str())], OK),
        (inside, vec![("data", wrong.as_str())], mismatch),
        (inside, vec![("data", &right), ("data", &wrong)], MALFORMED),
        (inside, vec![("data", "no json")], MISSING),
        (inside, vec![("other", right.as_str())], MISSING),
    ] {
        let verdict = verifier(toml, TOKEN).verify(&multipart(&fields), now());
        assert_eq!(code(&verdict), want, "{toml} {fields:?}: {verdict:?}");
    }
    assert!(
        spec_error("verify = { scheme = 'hmac-sha256', signature = 'form:a#b' }")
            .contains("JSON pointer")
    );
}

#[test]
fn a_token_for_another_url_is_refused() {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as URL};
    let toml = "verify = { scheme = 'jwt', header = 'Authorization', algorithms = ['HS256'], audience = '{url}' }";
    for (audience, want) in [
        ("http://h/hooks/x", OK),
        ("http://h/hooks/y", WRONG),
        ("{url}", WRONG),
    ] {
        let head = URL.encode("{\"alg\":\"HS256\",\"typ\":\"JWT\"}");
        let claims = URL.encode(format!("{{\"aud\":\"{audience}\",\"exp\":1767225700}}"));
        let signed = format!("{head}.{claims}");
        let mac = hmac_text("sha256", "base64url", TOKEN.as_bytes(), &signed).unwrap();
        let token = format!("{signed}.{}", mac.trim_end_matches('='));
        let text = format!("POST /hooks/x HTTP/1.1\nHost: h\nAuthorization: {token}\n\n{{}}");
        let verdict = verifier(toml, TOKEN).verify(&request(&text), now());
        assert_eq!(code(&verdict), want, "{audience}: {verdict:?}");
        // The path of a URL holds the slug.
        assert!(!format!("{verdict:?}").contains("hooks/x"), "{verdict:?}");
    }
}
