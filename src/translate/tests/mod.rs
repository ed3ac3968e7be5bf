//! Translation as a whole: definitions, templates, the cases of `tests/cases`.

mod cloudevents;
mod templates;

use super::*;
use crate::model::Headers;
use serde_json::{Value as Json, json};

/// A request with these headers and this body.
pub(crate) fn request(headers: &[(&str, &str)], body: &[u8]) -> Request {
    let mut lines = Headers::new();
    for (name, value) in headers {
        lines.push(name, value.as_bytes());
    }
    Request {
        method: "POST".into(),
        path: String::new(),
        query: String::new(),
        headers: lines,
        wire_body: bytes::Bytes::copy_from_slice(body),
        body: bytes::Bytes::copy_from_slice(body),
        peer: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        received: "2026-11-01T10:00:00Z".parse().unwrap(),
        url: String::new(),
    }
}

/// Translates with a delivery key `k1`, for a webhook named `shop`.
pub(crate) fn translate(translator: &Translator, request: &Request) -> Result<Translated, Failure> {
    let masking = Masking {
        headers: vec!["x-shop-token".into()],
        query: vec![],
    };
    let keys = Keys::Delivery("k1".into());
    translator.translate(&Scope {
        request,
        webhook: "shop",
        masking: &masking,
        keys: &keys,
        default_payload: true,
    })
}

pub(crate) fn template(source: &str) -> Translator {
    Translator::Template(Template::compile("t.json.j2", source.to_owned()).unwrap())
}

pub(crate) fn events(translator: &Translator, body: &str) -> Json {
    let request = request(
        &[
            ("content-type", "application/json"),
            ("x-github-event", "push"),
            ("authorization", "Bearer fake-0001"),
            ("x-shop-token", "fake-0002"),
        ],
        body.as_bytes(),
    );
    match translate(translator, &request) {
        Ok(translated) => serde_json::to_value(&translated.events).unwrap(),
        Err(failure) => panic!("{:?}", failure.problem),
    }
}

#[test]
fn a_template_gives_an_event() {
    let got = events(
        &template(
            r#"{"event": "gh.{{ headers['X-GitHub-Event'] }}", "resource": {"prefect.resource.id": "r.{{ body.id }}"}}"#,
        ),
        r#"{"id": 7, "big": 123456789012345678901234567890}"#,
    );
    let event = &got[0];
    assert_eq!(event["event"], "gh.push");
    assert_eq!(event["occurred"], "2026-11-01T10:00:00Z");
    assert_eq!(event["resource"], json!({"prefect.resource.id": "r.7"}));
    assert_eq!(
        event["related"],
        json!([{"prefect.resource.id": "hookgate.webhook.shop", "prefect.resource.role": "webhook", "prefect.resource.name": "shop"}])
    );
    assert_eq!(event["payload"]["method"], "POST");
    assert_eq!(
        event["payload"]["headers"],
        json!({"content-type": "application/json", "x-github-event": "push"})
    );
    assert_eq!(
        event["payload"]["body"]["big"].to_string(),
        "123456789012345678901234567890"
    );
    assert_eq!(
        event["id"],
        schema::derived_id(&["shop", "k1", "0"]).to_string()
    );
}

#[test]
fn a_definition_gives_values() {
    let table = json!({"event": "shop.{{ body.type }}", "resource": {"prefect.resource.id": "order.{{ body.id }}", "n": "{{ body.n }}", "none": "{{ body.missing }}"}, "payload": "{{ body }}"});
    let definition = Definition::compile(table.as_object().unwrap(), &|_| None).unwrap();
    let got = events(
        &Translator::Definition(definition),
        r#"{"type": "a\"b\\", "id": 7, "n": 1.50, "big": 12345678901234567890123}"#,
    );
    assert_eq!(got[0]["event"], "shop.a\"b\\");
    assert_eq!(
        got[0]["resource"],
        json!({"prefect.resource.id": "order.7", "n": "1.5"})
    );
    assert_eq!(
        got[0]["payload"]["big"].to_string(),
        "12345678901234567890123"
    );
}

#[test]
fn a_static_definition_is_checked_at_once() {
    let table = json!({"event": "nightly", "resource": {"prefect.resource.id": "job"}});
    assert!(Definition::compile(table.as_object().unwrap(), &|_| None).is_ok());
    let table = json!({"event": "", "resorce": {"prefect.resource.id": "{{ body. }}"}});
    let problems = Definition::compile(table.as_object().unwrap(), &|_| None).unwrap_err();
    let text: Vec<String> = problems
        .iter()
        .map(|p| format!("{} {}", p.code, p.message))
        .collect();
    assert!(
        text.iter().any(|t| t.contains("HG0201"))
            && text.iter().any(|t| t.contains("HG0301"))
            && text.iter().any(|t| t.contains("no `resource`")),
        "{text:?}"
    );
}
