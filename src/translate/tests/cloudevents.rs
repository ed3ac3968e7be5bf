//! The cases of `tests/cases/cloudevents.json` and `cloudevents-more.json`, as far as they are about decoding and not about HTTP answers.

use super::request;
use crate::model::http_file::Masking;
use crate::translate::{
    CloudEventsOptions, Failure, Keys, ParsedBody, Scope, Translated, Translator,
};
use base64::Engine;
use serde_json::Value as Json;

fn cases() -> Vec<Json> {
    let files = [
        include_str!("../../../tests/cases/cloudevents.json"),
        include_str!("../../../tests/cases/cloudevents-more.json"),
    ];
    let read = |text| serde_json::from_str::<Vec<Json>>(text).unwrap();
    files.into_iter().flat_map(read).collect()
}

/// Cases that the gateway answers: handshakes, methods, credentials.
fn is_http(case: &Json) -> bool {
    let status = case["expect"]["status"].as_u64().unwrap();
    ["OPTIONS", "GET"].contains(&case["method"].as_str().unwrap()) || status == 401
}

fn body(case: &Json) -> Vec<u8> {
    match case.get("body_base64") {
        Some(text) => base64::engine::general_purpose::STANDARD
            .decode(text.as_str().unwrap())
            .unwrap(),
        None => case["body"].as_str().unwrap_or("").as_bytes().to_vec(),
    }
}

fn run(case: &Json) -> Result<Translated, Failure> {
    let headers: Vec<(String, String)> = serde_json::from_value(case["headers"].clone()).unwrap();
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    let request = request(&headers, &body(case));
    let percent_decode = case["webhook"]["cloudevents"]["percent_decode"]
        .as_bool()
        .unwrap_or(true);
    let masking = Masking::default();
    let scope = Scope {
        request: &request,
        webhook: "cloudevents",
        masking: &masking,
        keys: &Keys::None,
        own_keys: true,
        default_payload: true,
        body: &ParsedBody::default(),
    };
    Translator::CloudEvents(CloudEventsOptions {
        percent_decode,
        ..CloudEventsOptions::default()
    })
    .translate(&scope)
}

/// Numbers by value: `1.0` and `1` are equal.
pub(super) fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        _ => a == b,
    }
}

fn difference(case: &Json) -> Option<String> {
    let want = &case["expect"];
    match (want["status"].as_u64().unwrap(), run(case)) {
        (204, Ok(translated)) => {
            let got = serde_json::to_value(&translated.events).unwrap();
            let (got, want) = (got.as_array().unwrap(), want["events"].as_array().unwrap());
            if case.get("then").is_none() && got.len() != want.len() {
                return Some(format!("{} events", got.len()));
            }
            for (got, want) in got.iter().zip(want) {
                for field in ["event", "resource", "payload"] {
                    if !same(&got[field], &want[field]) {
                        return Some(format!("{field}: {}", got[field]));
                    }
                }
                let occurred = want["occurred"].as_str().unwrap();
                let occurred = if occurred == "<received>" {
                    "2026-11-01T10:00:00Z"
                } else {
                    occurred
                };
                let instant = |t: &str| {
                    t.to_uppercase()
                        .parse::<jiff::Timestamp>()
                        .unwrap()
                        .as_microsecond()
                };
                if instant(occurred) != instant(got["occurred"].as_str().unwrap()) {
                    return Some(format!("occurred: {}", got["occurred"]));
                }
            }
            None
        }
        (400, Err(failure)) if !failure.unsupported_type => None,
        (415, Err(failure)) if failure.unsupported_type => None,
        (status, got) => Some(format!("{status} expected: {got:?}")),
    }
}

#[test]
fn cases_agree() {
    let cases = cases();
    let decoded: Vec<&Json> = cases.iter().filter(|case| !is_http(case)).collect();
    let bad: Vec<String> = decoded
        .iter()
        .filter_map(|case| Some(format!("{}: {}", case["name"], difference(case)?)))
        .collect();
    assert!(
        bad.is_empty(),
        "{} of {} differ:\n{}",
        bad.len(),
        decoded.len(),
        bad.join("\n")
    );
    assert!(decoded.len() > 300);
}

#[test]
fn ids_follow_from_webhook_source_and_id() {
    let case = serde_json::json!({"method": "POST", "headers": [["content-type", "application/cloudevents-batch+json"]], "expect": {"status": 204},
        "body": r#"[{"specversion":"1.0","type":"t","source":"/mycontext/subcontext","id":"1234-1234-1234"},{"specversion":"1.0","type":"t","source":"/other","id":"1234-1234-1234"}]"#});
    let translated = run(&case).unwrap();
    let ids: Vec<String> = translated.events.iter().map(|e| e.id.to_string()).collect();
    assert_eq!(
        ids,
        [
            "189f58e0-0df7-5ad9-a209-c1f33e48080f",
            "be22ef11-d339-502b-9460-8065cf5d665c"
        ]
    );
    assert_eq!(
        translated.keys,
        Keys::PerEvent(vec![
            "/mycontext/subcontext\n1234-1234-1234".into(),
            "/other\n1234-1234-1234".into()
        ])
    );
}

#[test]
fn header_bytes_that_are_not_utf8_are_refused() {
    let mut request = request(
        &[
            ("ce-id", "1"),
            ("ce-source", "/s"),
            ("ce-type", "t"),
            ("ce-specversion", "1.0"),
        ],
        b"{}",
    );
    request.headers.push("ce-subject", vec![b'a', 0xe9]);
    let masking = Masking::default();
    let scope = Scope {
        request: &request,
        webhook: "w",
        masking: &masking,
        keys: &Keys::None,
        own_keys: true,
        default_payload: true,
        body: &ParsedBody::default(),
    };
    let failure = Translator::CloudEvents(CloudEventsOptions::default())
        .translate(&scope)
        .unwrap_err();
    assert!(
        failure.problem.message.contains("`subject` is not UTF-8"),
        "{:?}",
        failure.problem
    );
}

/// Where the reference SDK agrees with a case, its own `Event` of a structured body holds what ours does.
#[test]
fn the_sdk_agrees_where_it_is_said_to() {
    use cloudevents::AttributesReader;
    let mut compared = 0;
    for case in cases() {
        let structured = case["headers"].as_array().unwrap().iter().any(|h| {
            h[1].as_str()
                .unwrap()
                .starts_with("application/cloudevents+json")
        });
        if is_http(&case)
            || !structured
            || case["oracles"]["rust"] != "agrees"
            || case["expect"]["status"] != 204
        {
            continue;
        }
        let theirs: cloudevents::Event = serde_json::from_slice(&body(&case)).unwrap();
        let ours = &run(&case).unwrap().events[0];
        let payload: Json = serde_json::from_str(ours.payload.get()).unwrap();
        let attributes = &payload["cloudevents"];
        assert_eq!(attributes["id"], theirs.id(), "{}", case["name"]);
        assert_eq!(attributes["source"], theirs.source().as_str());
        assert_eq!(ours.event, theirs.ty());
        assert_eq!(attributes["subject"].as_str(), theirs.subject());
        if let Some(time) = theirs.time() {
            assert_eq!(ours.occurred.as_microsecond(), time.timestamp_micros());
        }
        // It forgets 0.3's `datacontentencoding` once it has undone it.
        let forgotten = usize::from(attributes.get("datacontentencoding").is_some());
        let count = theirs.iter().count() + forgotten;
        assert_eq!(
            attributes.as_object().unwrap().len(),
            count,
            "{}",
            case["name"]
        );
        compared += 1;
    }
    assert!(compared > 20, "{compared}");
}
