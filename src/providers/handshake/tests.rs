//! Handshakes: what is answered, and what is not.

use super::*;
use crate::model::http_file;
use jiff::Timestamp;

fn handshake(toml: &str) -> Handshake {
    toml::from_str(toml).unwrap()
}

fn request(text: &str) -> Request {
    http_file::parse(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap()
}

fn challenge(value: &str) -> Request {
    let body = serde_json::json!({"type": "check", "challenge": value});
    request(&format!("POST /hooks/x HTTP/1.1\n\n{body}"))
}

#[test]
fn reflects_a_challenge_and_nothing_dangerous() {
    let plain = handshake(
        "title = 'x'\nmatch = { method = 'POST', json = { '/type' = 'check' } }\nanswer = { content_type = 'text/plain', body = '{json:/challenge}' }",
    );
    let body = |value: &str| plain.answer(&challenge(value), &[]).map(|a| a.body);
    assert_eq!(body("abc<é>").as_deref(), Some("abc<é>"));
    assert_eq!(body(&"a".repeat(1024)).map(|b| b.len()), Some(1024));
    assert_eq!(body(&"a".repeat(1025)), None);
    assert_eq!(body("a\r\nb"), None);
    let other = request("POST /hooks/x HTTP/1.1\n\n{\"type\":\"other\"}");
    assert_eq!(plain.answer(&other, &[]), None);

    let json = handshake(
        "title = 'x'\nmatch = { json = '/challenge' }\nanswer = { content_type = 'application/json', body = '{\"c\":\"{json:/challenge}\"}' }",
    );
    let answer = json.answer(&challenge("a\"},{\"b\u{1}"), &[]).unwrap();
    let value: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(value, serde_json::json!({"c": "a\"},{\"b\u{1}"}));

    let header = handshake(
        "title = 'x'\nmatch = { header = 'X-Hook-Secret' }\nanswer = { status = 204, headers = { 'X-Hook-Secret' = '{header:X-Hook-Secret}' } }",
    );
    let with = |value: &str| {
        let text = format!("POST /hooks/x HTTP/1.1\nX-Hook-Secret: {value}\n\n");
        header.answer(&request(&text), &[])
    };
    assert_eq!(with("abc").unwrap().headers[0].1, "abc");
    assert_eq!(with("äbc"), None);
    assert_eq!(with("a\tb"), None);
}

#[test]
fn computes_with_the_secret() {
    let crc = handshake(
        "title = 'x'\nmatch = { method = 'GET', query = 'crc_token' }\nanswer = { content_type = 'application/json', body = '{\"response_token\":\"sha256={hmac(sha256,base64,query:crc_token)}\"}' }",
    );
    let get = request("GET /hooks/x?crc_token=challenge HTTP/1.1\n\n");
    let secrets = [Secret::new("fake-secret-0001".into())];
    let answer = crc.answer(&get, &secrets).unwrap();
    assert!(answer.body.starts_with("{\"response_token\":\"sha256="));
    assert_eq!(crc.answer(&get, &[]), None);
    assert_eq!(crc.methods(), ["GET"]);
    // No oracle: what could be a body is not signed for anyone.
    for value in ["%7B%22a%22:1%7D", "v0:1:x", "a%20b", "", &"a".repeat(300)] {
        let text = format!("GET /hooks/x?crc_token={value} HTTP/1.1\n\n");
        assert_eq!(crc.answer(&request(&text), &secrets), None, "{value}");
    }
}

#[test]
fn a_verify_token_must_be_configured_and_equal() {
    let mut hub = handshake(
        "title = 'x'\nmatch = { method = 'GET', query = { 'hub.mode' = 'subscribe' } }\nverify_token = 'query:hub.verify_token'\nanswer = { content_type = 'text/plain', body = '{query:hub.challenge}' }",
    );
    let ask = |hub: &Handshake, token: &str| {
        let text = format!("GET /hooks/x?hub.mode=subscribe&hub.challenge=17{token} HTTP/1.1\n\n");
        hub.answer(&request(&text), &[]).map(|a| a.body)
    };
    assert_eq!(ask(&hub, "&hub.verify_token=fake-0001"), None);
    assert_eq!(ask(&hub, "&hub.verify_token="), None);
    assert!(hub.asks_for_token());
    let mut masking = Masking::default();
    hub.mask(&mut masking);
    assert_eq!(masking.query, ["hub.verify_token"]);
    hub.set_token(Secret::new("fake-0001".into()));
    assert_eq!(
        ask(&hub, "&hub.verify_token=fake-0001").as_deref(),
        Some("17")
    );
    assert_eq!(ask(&hub, "&hub.verify_token=fake-0002"), None);
    assert_eq!(
        ask(
            &hub,
            "&hub.verify_token=fake-0001&hub.verify_token=fake-0001"
        ),
        None
    );
    assert_eq!(ask(&hub, ""), None);
}

#[test]
fn wrong_data_are_refused() {
    for bad in [
        "title = 'x'\nmatch = {}",
        "title = 'x'\nmatch = { json = 'type' }",
        "title = 'x'\nmatch = { method = 'GET' }\nanswer = { status = 302 }",
        "title = 'x'\nmatch = { method = 'GET' }\nanswer = { content_type = 'text/html', body = '{query:a}' }",
        "title = 'x'\nmatch = { method = 'GET' }\nanswer = { content_type = 'text/plain', body = '{hmac(md5,hex,query:a)}' }",
        "title = 'x'\nmatch = { method = 'POST' }\nteaches = 'path'",
        "title = 'x'\nmatch = { method = 'POST' }\nteaches = 'header:X-S'\nsigned = true",
        "title = 'x'\nmatch = { method = 'GET' }\nanswer = { headers = { 'X-A: b' = 'c' } }",
    ] {
        assert!(toml::from_str::<Handshake>(bad).is_err(), "{bad}");
    }
}
