//! Events reach their sinks, each at least once, in order, or become dead letters that can be retried.

use crate::harness::fake_sink::{FakeSink, Reply, Seen};
use crate::harness::{Gateway, Setup, slug, wait_for};
use serde_json::{Value, json};
use std::collections::HashSet;

fn numbered(sink: &str) -> String {
    format!(
        "{sink}\n[[webhook]]\nname = \"w\"\nslug = \"{}\"\nevent = {{ event = \"n.{{{{ body.n }}}}\", resource = {{ \"prefect.resource.id\" = \"r\" }}, payload = {{ n = \"{{{{ body.n }}}}\" }} }}\n",
        slug(1)
    )
}

fn http_sink(fake: &FakeSink, extra: &str) -> String {
    format!(
        "[[sink]]\nname = \"fake\"\nkind = \"http\"\nurl = \"{}\"\nfrom = \"oldest\"\n{extra}",
        fake.url("/in")
    )
}

fn send(gateway: &Gateway, numbers: std::ops::Range<u64>) {
    for n in numbers {
        assert_eq!(gateway.post_json(&slug(1), &json!({"n": n})).status, 204);
    }
}

/// The events of an array body.
fn events(seen: &Seen) -> Vec<Value> {
    seen.json().as_array().cloned().unwrap_or_default()
}

/// Numbers that the sink answered with success, in order of arrival, each event once by its id.
fn delivered(fake: &FakeSink) -> Vec<u64> {
    let mut seen = HashSet::new();
    fake.taken()
        .iter()
        .flat_map(events)
        .filter(|event| seen.insert(event["id"].as_str().unwrap().to_owned()))
        .map(|event| event["payload"]["n"].as_u64().unwrap())
        .collect()
}

#[test]
fn in_order_over_failures_and_a_crash() {
    let fake = FakeSink::start(|_, _| Reply::status(503));
    let mut gateway = Setup::new(numbered(&http_sink(&fake, ""))).start();
    send(&gateway, 0..20);
    wait_for("an attempt", || (!fake.seen().is_empty()).then_some(()));
    gateway.restart_after_kill9();
    fake.change(|_, _| Reply::status(204));
    send(&gateway, 20..40);
    wait_for("all events", || {
        (delivered(&fake).len() == 40).then_some(())
    });
    assert_eq!(delivered(&fake), (0..40).collect::<Vec<_>>());
}

#[test]
fn a_lost_answer_gives_the_same_ids_again() {
    let fake = FakeSink::start(|_, _| Reply::CutOff);
    let gateway = Setup::new(numbered(&http_sink(&fake, ""))).start();
    send(&gateway, 0..3);
    wait_for("an attempt", || (!fake.seen().is_empty()).then_some(()));
    fake.change(|_, _| Reply::status(200));
    wait_for("an empty backlog", || {
        (gateway.api("/api/v1/sinks")["data"][0]["lag"] == 0).then_some(())
    });
    assert_eq!(delivered(&fake), [0, 1, 2]);
}

#[test]
fn a_poison_event_is_a_dead_letter_and_the_rest_goes_on() {
    let poison = |_: usize, got: &Seen| {
        let bad = events(got).iter().any(|event| event["payload"]["n"] == 7);
        if bad {
            Reply::text(422, "no sevens here")
        } else {
            Reply::status(204)
        }
    };
    let fake = FakeSink::start(poison);
    let gateway = Setup::new(numbered(&http_sink(
        &fake,
        "batch = { events = 50, wait = \"300ms\" }",
    )))
    .start();
    send(&gateway, 0..15);
    let letters = wait_for("the dead letter", || {
        let found = gateway.api("/api/v1/dead-letters");
        found["data"]
            .as_array()
            .filter(|rows| !rows.is_empty())
            .cloned()
    });
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["event"]["payload"]["n"], 7);
    assert!(
        letters[0].to_string().contains("no sevens here") && letters[0].to_string().contains("422"),
        "{}",
        letters[0]
    );
    wait_for("the rest", || {
        (gateway.api("/api/v1/sinks")["data"][0]["lag"] == 0).then_some(())
    });
    fake.change(|_, _| Reply::status(204));
    let host = format!("http://{}", gateway.admin);
    let host_header = gateway.admin.to_string();
    let headers = [
        ("Content-Type", "application/json"),
        ("Origin", &*host),
        ("Host", &*host_header),
    ];
    let body = json!({"ids": [letters[0]["id"]]}).to_string();
    let retried = gateway.admin(
        "POST",
        "/api/v1/dead-letters/retry",
        &headers,
        body.as_bytes(),
    );
    assert_eq!(retried.status, 200, "{}", retried.text());
    assert_eq!(gateway.api("/api/v1/dead-letters")["data"], json!([]));
    assert!(delivered(&fake).contains(&7));
}

#[test]
fn a_match_an_own_header_and_our_signature() {
    let fake = FakeSink::start(|_, _| Reply::status(204));
    let extra = "match = \"event:n.1*\"\nheaders = { \"x-key\" = { env = \"K\" } }\nsign = { env = \"SIGN\" }\n";
    let gateway = Setup::new(numbered(&http_sink(&fake, extra)))
        .env("K", "fake-header-0001")
        .env("SIGN", crate::harness::sign::STANDARD_SECRET)
        .start();
    send(&gateway, 0..12);
    wait_for("the matching ones", || {
        (delivered(&fake).len() == 3).then_some(())
    });
    assert_eq!(delivered(&fake), [1, 10, 11]);
    let got = fake.seen();
    assert_eq!(got[0].header("x-key"), "fake-header-0001");
    let (id, time) = (
        got[0].header("webhook-id"),
        got[0].header("webhook-timestamp"),
    );
    let want = crate::harness::sign::standard(id, time, &got[0].body);
    assert_eq!(got[0].header("webhook-signature"), want);
}

#[test]
fn lines_in_a_file() {
    let sink = "[[sink]]\nname = \"lines\"\nkind = \"ndjson\"\npath = \"out/events.ndjson\"\nfrom = \"oldest\"\n";
    let gateway = Setup::new(numbered(sink)).start();
    std::fs::create_dir_all(gateway.folder.path().join("out")).unwrap();
    send(&gateway, 0..5);
    let lines = wait_for("five lines", || {
        let text = std::fs::read_to_string(gateway.folder.path().join("out/events.ndjson"))
            .unwrap_or_default();
        let lines: Vec<Value> = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        (lines.len() == 5).then_some(lines)
    });
    assert_eq!(lines[4]["event"], "n.4");
}

#[test]
fn a_dead_sink_costs_intake_nothing() {
    let sink = "[[sink]]\nname = \"dead\"\nkind = \"http\"\nurl = \"http://127.0.0.1:9/in\"\n";
    let gateway = Setup::new(numbered(sink)).start();
    send(&gateway, 0..50);
    assert_eq!(gateway.all_events(100).len(), 50);
    let sink = wait_for("its failure", || {
        let sinks = gateway.api("/api/v1/sinks");
        (sinks["data"][0]["state"] == "failing").then(|| sinks["data"][0].clone())
    });
    assert!(sink["last_error"]["code"] == "HG0701", "{sink}");
    assert_eq!(
        gateway.admin("GET", "/readyz", &[], b"").status,
        200,
        "a dead sink is no reason to refuse intake"
    );
}
