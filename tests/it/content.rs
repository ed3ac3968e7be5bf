//! A key that came before, but with other content: answered as a duplicate, and marked.

use crate::harness::{Gateway, Setup, slug};
use serde_json::{Value, json};

const CODE: &str = "HG0610";
const SINGLE: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

fn setup() -> Setup {
    let webhook = |n: usize, name: &str, lines: &str| {
        format!(
            "[[webhook]]\nname = \"{name}\"\nslug = \"{}\"\nverify = \"none\"\n{lines}\n",
            slug(n)
        )
    };
    let event = r#"event = { event = "order", resource = { "prefect.resource.id" = "order" } }"#;
    Setup::new(
        webhook(1, "ce", "cloudevents = true")
            + &webhook(
                2,
                "shop",
                &format!("{event}\ndelivery_key = \"headers['x-id']\""),
            )
            + &webhook(
                3,
                "own",
                r#"cloudevents = { payload = "{{ cloudevent }}", event = "own" }"#,
            )
            + &webhook(
                4,
                "bad",
                "template = { inline = \"{}\" }\ndelivery_key = \"headers['x-id']\"",
            ),
    )
}

fn post(gateway: &Gateway, n: usize, headers: &[(&str, &str)], body: &str) -> Value {
    let reply = gateway.post(&slug(n), headers, body.as_bytes());
    assert_eq!(reply.status, 204, "{}", reply.text());
    gateway.delivery(&reply)
}

fn cloud(gateway: &Gateway, body: &Value) -> Value {
    let kind = if body.is_array() { BATCH } else { SINGLE };
    post(gateway, 1, &[("Content-Type", kind)], &body.to_string())
}

fn binary(gateway: &Gateway, id: &str, kind: &str, trace: &str, body: &str) -> Value {
    let headers = [
        ("ce-id", id),
        ("ce-source", "/s"),
        ("ce-type", kind),
        ("ce-specversion", "1.0"),
        ("ce-traceparent", trace),
        ("Content-Type", "application/json"),
    ];
    post(gateway, 1, &headers, body)
}

fn event(id: &str, data: Value) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "/s", "type": "t", "data": data})
}

/// A duplicate with nothing to say.
fn is_plain(delivery: &Value) {
    assert_eq!(delivery["outcome"], "duplicate", "{delivery}");
    assert_eq!(delivery["code"], Value::Null, "{delivery}");
    assert_eq!(delivery["notes"], json!([]));
}

/// What the note of a marked delivery says.
fn marked<'d>(delivery: &'d Value, outcome: &str) -> &'d str {
    assert_eq!(delivery["outcome"], outcome, "{delivery}");
    assert_eq!(
        (&delivery["code"], &delivery["error"]),
        (&json!(CODE), &Value::Null),
        "{delivery}"
    );
    let notes = delivery["notes"].as_array().unwrap();
    let note = notes.iter().find(|note| note["code"] == CODE).unwrap();
    let text = note["message"].as_str().unwrap();
    text.strip_prefix("duplicate, other content: ").unwrap()
}

fn counted(gateway: &Gateway, webhook: &str) -> bool {
    let text = gateway.admin("GET", "/metrics", &[], b"").text();
    text.contains(&format!(
        "hookgate_duplicates_other_content_total{{webhook=\"{webhook}\"}} "
    ))
}

#[test]
fn the_same_event_in_another_mode_is_a_plain_duplicate() {
    let gateway = setup().start();
    let first = binary(&gateway, "1", "t", "a", r#"{"a": 1, "b": "é"}"#);
    assert_eq!(first["outcome"], "accepted");
    // Another trace, another mode, members in another order, other escapes.
    is_plain(&binary(&gateway, "1", "t", "b", r#"{"b":"\u00e9","a":1}"#));
    let mut again = event("1", json!({"b": "é", "a": 1}));
    again["datacontenttype"] = json!("application/json");
    again["time"] = json!("2026-01-02T03:04:05Z");
    is_plain(&cloud(&gateway, &again));
    again["data"] = Value::Null;
    again.as_object_mut().unwrap().remove("data");
    again["data_base64"] = json!("eyJhIjoxLCJiIjoiw6kifQ==");
    is_plain(&cloud(&gateway, &again));
    is_plain(&cloud(&gateway, &json!([again])));
    assert_eq!(gateway.all_events(9).len(), 1);
}

#[test]
fn other_data_or_another_type_is_marked() {
    let mut gateway = setup().start();
    binary(&gateway, "1", "t", "a", r#"{"a":1}"#);
    let said = binary(&gateway, "1", "t", "a", r#"{"a":2}"#);
    assert_eq!(
        marked(&said, "duplicate"),
        "`data` differs from what delivery 1 brought"
    );
    let said = cloud(&gateway, &event("1", json!({"a": 1.5})));
    assert_eq!(
        marked(&said, "duplicate"),
        "`data` differs from what delivery 1 brought"
    );
    gateway.restart_after_kill9();
    let said = binary(&gateway, "1", "u", "a", "");
    assert_eq!(
        marked(&said, "duplicate"),
        "`type` and `data` differ from what delivery 1 brought"
    );
    is_plain(&binary(&gateway, "1", "t", "a", r#"{"a":1}"#));
    // Seen by whoever looks for it.
    assert_eq!(said["duplicate_of"], 1);
    let found = gateway.api("/api/v1/deliveries?q=code:HG0610");
    assert_eq!(found["data"].as_array().unwrap().len(), 3, "{found}");
    let page = format!("/deliveries/{}", said["id"].as_str().unwrap());
    let page = gateway.admin("GET", &page, &[], b"").text();
    assert!(
        page.contains("with other content") && page.contains("differ from what delivery 1 brought")
    );
    let feed = gateway.admin("GET", "/?show=deliveries", &[], b"").text();
    assert!(feed.contains("with other content") && feed.contains(CODE));
    assert!(counted(&gateway, "ce"));
}

#[test]
fn batches_overlap_event_by_event() {
    let mut gateway = setup().start();
    let batch = |ids: &[(&str, i64)]| {
        let events = ids.iter().map(|(id, n)| event(id, json!({"n": n})));
        Value::from_iter(events)
    };
    cloud(&gateway, &batch(&[("a", 1), ("b", 1), ("c", 1)]));
    let plain = cloud(&gateway, &batch(&[("b", 1), ("c", 1), ("d", 1)]));
    assert_eq!(
        (&plain["outcome"], &plain["code"]),
        (&json!("accepted"), &Value::Null)
    );
    let said = cloud(&gateway, &batch(&[("c", 2), ("d", 1), ("e", 1), ("b", 3)]));
    assert_eq!(
        marked(&said, "accepted"),
        "`data` of event 1 of 4 differs from what delivery 1 brought; `data` of event 4 of 4 differs from what delivery 1 brought"
    );
    assert_eq!(said["events"].as_array().unwrap().len(), 1);
    gateway.restart_after_kill9();
    // `d` came with a batch of which others were left out.
    let said = cloud(&gateway, &batch(&[("a", 1), ("d", 9), ("e", 1)]));
    assert_eq!(
        marked(&said, "duplicate"),
        "`data` of event 2 of 3 differs from what delivery 2 brought"
    );
    is_plain(&cloud(&gateway, &batch(&[("a", 1), ("d", 1), ("e", 1)])));
    assert_eq!(gateway.all_events(9).len(), 5);
}

#[test]
fn a_batch_that_has_one_id_twice() {
    let gateway = setup().start();
    let batch = json!([
        event("1", json!(1)),
        event("1", json!(1)),
        event("2", json!(1))
    ]);
    let said = cloud(&gateway, &batch);
    assert_eq!((&said["code"], &said["notes"]), (&Value::Null, &json!([])));
    let batch = json!([
        event("3", json!(1)),
        event("3", json!(2)),
        event("3", json!(3))
    ]);
    let said = cloud(&gateway, &batch);
    assert_eq!(
        marked(&said, "accepted"),
        "event 2 was left out, since event 1 of the batch has its `source` and `id`, but another `type` or data, and 1 more like it"
    );
    assert_eq!(said["events"].as_array().unwrap().len(), 1);
    assert!(counted(&gateway, "ce"));
    // Again it is a duplicate, and is said to be the same kind of one.
    marked(&cloud(&gateway, &batch), "duplicate");
}

#[test]
fn a_mapping_of_the_webhooks_own_hides_nothing() {
    let mut gateway = setup().start();
    let send = |gateway: &Gateway, data: i64, trace: &str| {
        let mut event = event("1", json!({"n": data}));
        event["traceparent"] = json!(trace);
        post(gateway, 3, &[("Content-Type", SINGLE)], &event.to_string())
    };
    assert_eq!(send(&gateway, 1, "a")["outcome"], "accepted");
    is_plain(&send(&gateway, 1, "b"));
    gateway.restart_after_kill9();
    is_plain(&send(&gateway, 1, "c"));
    let said = send(&gateway, 2, "a");
    assert_eq!(
        marked(&said, "duplicate"),
        "`data` differs from what delivery 1 brought"
    );
}

#[test]
fn other_webhooks_are_compared_by_the_body() {
    let mut gateway = setup().start();
    let send = |gateway: &Gateway, n: usize, attempt: &str, body: &str| {
        let headers = [("X-Id", "7"), ("X-Attempt", attempt)];
        gateway.post(&slug(n), &headers, body.as_bytes())
    };
    send(&gateway, 2, "1", r#"{"total": 1}"#);
    is_plain(&gateway.delivery(&send(&gateway, 2, "2", r#"{"total": 1}"#)));
    gateway.restart_after_kill9();
    let said = gateway.delivery(&send(&gateway, 2, "3", r#"{"total": 2}"#));
    assert_eq!(
        marked(&said, "duplicate"),
        "its body differs from what delivery 1 brought"
    );
    is_plain(&gateway.delivery(&send(&gateway, 2, "4", r#"{"total": 1}"#)));
    assert!(counted(&gateway, "shop"));
    // What was parked is compared too.
    assert_eq!(send(&gateway, 4, "1", "[1]").status, 400);
    is_plain(&gateway.delivery(&send(&gateway, 4, "2", "[1]")));
    let said = gateway.delivery(&send(&gateway, 4, "2", "[2]"));
    assert!(marked(&said, "duplicate").starts_with("its body"));
}
