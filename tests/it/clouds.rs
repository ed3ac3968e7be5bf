//! Every CloudEvent of the cases, in and out again: nothing of it is lost, whichever way it is read.

use crate::harness::{Gateway, Setup, hookgate, slug};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

const BATCH: &str = "application/cloudevents-batch+json";
const SINGLE: &str = "application/cloudevents+json";

/// Cases whose events are taken.
fn cases() -> Vec<Value> {
    let files = [
        include_str!("../cases/cloudevents.json"),
        include_str!("../cases/cloudevents-more.json"),
    ];
    let all = files.map(|text| serde_json::from_str::<Vec<Value>>(text).unwrap());
    let taken = |case: &Value| {
        let events = case["expect"]["events"].as_array();
        case["expect"]["status"] == 204 && events.is_some_and(|events| !events.is_empty())
    };
    let open = |case: &Value| case["webhook"]["verify"].is_null() && case["query"].is_null();
    let all = all.into_iter().flatten();
    all.filter(|case| taken(case) && open(case)).collect()
}

fn body(case: &Value) -> Vec<u8> {
    match case["body_base64"].as_str() {
        Some(text) => BASE64_STANDARD.decode(text).unwrap(),
        None => case["body"].as_str().unwrap_or("").as_bytes().to_vec(),
    }
}

fn webhooks(cases: &[Value]) -> Setup {
    let one = |(i, case): (usize, &Value)| {
        let how = match case["webhook"]["cloudevents"]["percent_decode"].as_bool() {
            Some(false) => "{ percent_decode = false }",
            _ => "true",
        };
        format!(
            "[[webhook]]\nname = \"w{i}\"\nslug = \"{}\"\nverify = \"none\"\ncloudevents = {how}\n",
            slug(i)
        )
    };
    Setup::new(cases.iter().enumerate().map(one).collect::<String>())
}

/// All events as CloudEvents, page by page, oldest first.
fn out(gateway: &Gateway) -> Vec<Value> {
    let mut events = Vec::new();
    let mut path = "/api/v1/events?order=asc&limit=17".to_owned();
    loop {
        let reply = gateway.admin("GET", &path, &[("Accept", BATCH)], b"");
        assert_eq!(reply.header("content-type"), Some(BATCH));
        events.extend(reply.json().as_array().unwrap().iter().cloned());
        match reply.header("link") {
            Some(link) => path = link[1..link.find('>').unwrap()].to_owned(),
            None => return events,
        }
    }
}

fn exported(gateway: &Gateway, from: &[&str]) -> Vec<Value> {
    let output = hookgate(gateway.folder.path())
        .args(["export", "--format", "cloudevents"])
        .args(from)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

/// Whether a CloudEvent says what the payload of an event says.
fn says(event: &Value, payload: &Value) {
    let mut attributes = event.as_object().unwrap().clone();
    let data = attributes.shift_remove("data");
    let packed = attributes.shift_remove("data_base64");
    let mut want = payload["cloudevents"].as_object().unwrap().clone();
    let is_old = want["specversion"] == "0.3";
    if is_old && payload.get("data_base64").is_some() {
        want.entry("datacontentencoding")
            .or_insert_with(|| json!("base64"));
    }
    let is_coded = is_old
        && want
            .get("datacontentencoding")
            .and_then(Value::as_str)
            .is_some_and(|coding| coding.eq_ignore_ascii_case("base64"));
    // In their order too.
    assert_eq!(
        attributes.iter().collect::<Vec<_>>(),
        want.iter().collect::<Vec<_>>(),
        "{event}"
    );
    if !is_coded {
        assert_eq!(data.as_ref(), payload.get("data"), "{event}");
        assert_eq!(packed.as_ref(), payload.get("data_base64"), "{event}");
        return;
    }
    assert_eq!(packed, None);
    let Some(data) = data else {
        assert!(payload.get("data").is_none() && payload.get("data_base64").is_none());
        return;
    };
    let bytes = BASE64_STANDARD.decode(data.as_str().unwrap()).unwrap();
    let is_text = payload["data"].as_str().map(str::as_bytes) == Some(&bytes);
    let is_json = serde_json::from_slice(&bytes).ok().as_ref() == payload.get("data");
    assert!(
        is_text || is_json || payload["data_base64"] == data,
        "{event}"
    );
}

#[test]
fn nothing_of_any_case_is_lost() {
    let cases = cases();
    assert!(cases.len() > 180, "{}", cases.len());
    let gateway = webhooks(&cases).start();
    for (i, case) in cases.iter().enumerate() {
        let headers: Vec<(String, String)> =
            serde_json::from_value(case["headers"].clone()).unwrap();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (&**n, &**v)).collect();
        let path = format!("/hooks/{}", slug(i));
        let method = case["method"].as_str().unwrap();
        let reply = gateway.send(method, &path, &headers, &body(case));
        assert_eq!(reply.status, 204, "{}: {}", case["name"], reply.text());
    }
    let rows = gateway.all_events(100);
    let clouds = out(&gateway);
    assert_eq!(rows.len(), clouds.len());
    for (row, cloud) in rows.iter().zip(&clouds) {
        says(cloud, &row["payload"]);
    }
    let url = format!("http://{}", gateway.admin);
    assert_eq!(exported(&gateway, &["--url", &url]), clouds);
    assert_eq!(exported(&gateway, &["--store", "data"]), clouds);
    // What went out comes in and goes out as it is.
    let again = webhooks(&vec![json!({}); clouds.len()]).start();
    for (i, cloud) in clouds.iter().enumerate() {
        let kind = [("Content-Type", SINGLE)];
        let reply = again.post(&slug(i), &kind, cloud.to_string().as_bytes());
        assert_eq!(reply.status, 204, "{cloud}: {}", reply.text());
    }
    assert_eq!(out(&again), clouds);
    let occurred = |row: &Value| row["occurred"].clone();
    let timed = |row: &&Value| row["payload"]["cloudevents"]["time"].is_string();
    let second = again.all_events(100);
    assert!(
        rows.iter()
            .filter(timed)
            .map(occurred)
            .eq(second.iter().filter(timed).map(occurred))
    );
}
