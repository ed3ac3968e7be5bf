//! CloudEvents in, kept, and out again: by the API, by `export`, by the SDKs that others use, and to sinks.

use crate::harness::fake_sink::{FakeSink, Reply, Seen};
use crate::harness::{Gateway, Setup, hookgate, outside, slug, wait_for};
use serde_json::{Value, json};
use std::process::Command;

const BATCH: &str = "application/cloudevents-batch+json";
const SINGLE: &str = "application/cloudevents+json";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn webhook(n: usize, name: &str, lines: &str) -> String {
    format!(
        "[[webhook]]\nname = \"{name}\"\nslug = \"{}\"\nverify = \"none\"\n{lines}\n",
        slug(n)
    )
}

fn both() -> Setup {
    let shop = r#"event = { event = "shop.{{ body.kind }}", resource = { "prefect.resource.id" = "order.{{ body.id }}", "shop.region" = "eu" }, payload = "{{ body }}", follows = "{{ body.after }}" }"#;
    Setup::new(webhook(1, "ce", "cloudevents = true") + &webhook(2, "shop", shop))
}

/// Events as CloudEvents, through all pages.
fn read_back(gateway: &Gateway, query: &str) -> Vec<Value> {
    let mut events = Vec::new();
    let mut path = format!("/api/v1/events?order=asc&limit=2&q={query}");
    loop {
        let reply = gateway.admin("GET", &path, &[("Accept", BATCH)], b"");
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.header("content-type"), Some(BATCH));
        events.extend(reply.json().as_array().unwrap().iter().cloned());
        match reply.header("link") {
            Some(link) => path = link[1..link.find('>').unwrap()].to_owned(),
            None => return events,
        }
    }
}

fn structured() -> Value {
    json!({"specversion": "1.0", "id": "a-1 é", "source": "//x.example/a b?c", "type": "com.example.é", "subject": "s/1",
        "time": "2026-01-02t03:04:05.1234567+02:00", "datacontenttype": "Application/vnd.x+JSON;v=2", "dataschema": "http://s.example",
        "n": -7, "yes": true, "empty": "", "traceparent": PARENT, "data": {"n": [1, 2.5, null, "\u{7}"]}})
}

fn send(gateway: &Gateway, kind: &str, body: &Value) {
    let reply = gateway.post(
        &slug(1),
        &[("Content-Type", kind)],
        body.to_string().as_bytes(),
    );
    assert_eq!(reply.status, 204, "{}", reply.text());
}

#[test]
fn what_came_in_goes_out() {
    let gateway = both().start();
    let packed = json!({"specversion": "1.0", "id": "2", "source": "/s", "type": "t", "data_base64": "AP8="});
    let bare = json!({"specversion": "1.0", "id": "3", "source": "/s", "type": "t"});
    send(&gateway, SINGLE, &structured());
    send(&gateway, BATCH, &json!([packed, bare]));
    let binary = [
        ("ce-id", "4"),
        ("ce-source", "/caf%C3%A9"),
        ("ce-type", "t"),
        ("ce-specversion", "1.0"),
        ("ce-sequence", "0017"),
        ("Content-Type", "text/plain; charset=utf-8"),
    ];
    assert_eq!(
        gateway.post(&slug(1), &binary, "42 ü".as_bytes()).status,
        204
    );
    let from_binary = json!({"id": "4", "source": "/café", "type": "t", "specversion": "1.0", "sequence": "0017",
        "datacontenttype": "text/plain; charset=utf-8", "data": "42 ü"});
    let want = vec![structured(), packed, bare, from_binary];
    assert_eq!(read_back(&gateway, "webhook:ce"), want);
    // One by one, by the UUIDs of our own form.
    for (row, want) in gateway.all_events(9).iter().zip(&want) {
        let path = format!("/api/v1/events/{}", row["id"].as_str().unwrap());
        let reply = gateway.admin("GET", &path, &[("Accept", SINGLE)], b"");
        assert_eq!(reply.header("content-type"), Some(SINGLE));
        assert_eq!(&reply.json(), want);
    }
    // Sent again, they are known.
    send(
        &gateway,
        BATCH,
        &Value::from(read_back(&gateway, "webhook:ce")),
    );
    assert_eq!(read_back(&gateway, "webhook:ce").len(), 4);
}

#[test]
fn any_event_goes_out_and_comes_back() {
    let back = r#"cloudevents = { id = "{{ cloudevent.id }}", payload = "{{ cloudevent.data }}", follows = "{{ cloudevent.hookgatefollows }}", event = "{{ cloudevent.hookgateevent|fromjson if cloudevent.hookgateevent else none }}", resource = "{{ cloudevent.hookgateresource|fromjson if cloudevent.hookgateresource else none }}", related = "{{ cloudevent.hookgaterelated|fromjson if cloudevent.hookgaterelated else none }}" }"#;
    let gateway = both().start();
    let follows = "0193c7d0-0000-7000-8000-000000000001";
    let body = json!({"kind": "paid\u{1}", "id": "7\u{85}", "after": follows, "amount": 12});
    assert_eq!(gateway.post_json(&slug(2), &body).status, 204);
    let sent = read_back(&gateway, "webhook:shop");
    assert_eq!(sent[0]["source"], "urn:hookgate:webhook:shop");
    assert_eq!(sent[0]["data"], body);
    // Another gateway, whose webhook has the same name.
    let other = Setup::new(webhook(1, "shop", back)).start();
    send(&other, BATCH, &Value::from(sent));
    let (from, to) = (gateway.all_events(9), other.all_events(9));
    for field in [
        "id", "occurred", "event", "resource", "related", "payload", "follows",
    ] {
        assert_eq!(from[0][field], to[0][field], "{field}");
    }
}

#[test]
fn export() {
    let mut gateway = both().start();
    send(&gateway, SINGLE, &structured());
    for n in 0..3 {
        gateway.post_json(&slug(2), &json!({"kind": "paid", "id": n}));
    }
    let url = format!("http://{}", gateway.admin);
    let run = |arguments: &[&str]| {
        let output = hookgate(gateway.folder.path())
            .arg("export")
            .args(arguments)
            .output()
            .unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (output.status.code().unwrap(), lines)
    };
    let ours = gateway.all_events(9);
    assert_eq!(run(&["--url", &url]), (0, ours.clone()));
    assert_eq!(run(&["--store", "data"]), (0, ours.clone()));
    let clouds = read_back(&gateway, "");
    for from in [["--url", &*url], ["--store", "data"]] {
        let all = run(&[&from[..], &["--format", "cloudevents"]].concat());
        assert_eq!(all, (0, clouds.clone()), "{from:?}");
        assert_eq!(all.1[0], structured());
        let some = [
            "webhook:shop",
            "--format",
            "cloudevents",
            "--limit",
            "2",
            "--since",
            "1h",
        ];
        let some = run(&[&from[..], &some].concat());
        assert_eq!(some, (0, clouds[1..3].to_vec()), "{from:?}");
        let none = run(&[&from[..], &["event:nothing"]].concat());
        assert_eq!(none, (0, Vec::new()));
        assert_eq!(run(&[&from[..], &["evnt:x"]].concat()).0, 2);
        assert_eq!(run(&[&from[..], &["--since", "soon"]].concat()).0, 2);
    }
    assert_eq!(run(&["--format", "xml"]).0, 2);
    assert_eq!(run(&["--store", "nowhere"]).0, 3);
    let folder = gateway.folder.path().to_owned();
    gateway.kill9();
    let output = hookgate(&folder)
        .args(["export", "--store", "data"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 4);
    let output = hookgate(&folder)
        .args(["export", "--url", &url])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
}

#[test]
fn a_trace_is_handed_on() {
    let sink = FakeSink::start(|_, _| Reply::status(204));
    let setup = Setup::new(format!(
        "[[sink]]\nname = \"s\"\nkind = \"http\"\nurl = \"{}\"\nfrom = \"oldest\"\nsingle = true\n{}",
        sink.url("/in"),
        webhook(1, "ce", "cloudevents = true")
    ));
    let gateway = setup.start();
    let mut event = structured();
    event["tracestate"] = json!("congo=t61rcWkgMzE");
    send(&gateway, SINGLE, &event);
    let plain = json!({"specversion": "1.0", "id": "3", "source": "/s", "type": "t", "traceparent": "nonsense"});
    send(&gateway, SINGLE, &plain);
    let requests = wait_for("two requests", || {
        Some(sink.taken()).filter(|requests| requests.len() >= 2)
    });
    assert_eq!(requests[0].header("traceparent"), PARENT);
    assert_eq!(requests[0].header("tracestate"), "congo=t61rcWkgMzE");
    assert_eq!(requests[1].header("traceparent"), "");
    assert_eq!(read_back(&gateway, "")[0]["traceparent"], PARENT);
}

/// What a sink is sent with: `traceparent`, `tracestate`.
fn places(sink: &FakeSink, count: usize) -> Vec<(String, String)> {
    let requests = wait_for("the requests", || {
        Some(sink.taken()).filter(|requests| requests.len() >= count)
    });
    let of = |request: &Seen, name: &str| request.header(name).to_owned();
    let place = |request| (of(request, "traceparent"), of(request, "tracestate"));
    requests.iter().map(place).collect()
}

/// The place of the hop and that of the event stay apart, and each webhook says what is done with the hop's.
#[test]
fn a_requests_place_in_a_trace() {
    const HOP: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let sink = FakeSink::start(|_, _| Reply::status(204));
    let shop = |n: usize, trace: &str| {
        let event = r#"event = { event = "shop", resource = { "prefect.resource.id" = "order" } }"#;
        webhook(n, &format!("shop-{n}"), &format!("{event}\n{trace}"))
    };
    let setup = Setup::new(format!(
        "[[sink]]\nname = \"s\"\nkind = \"http\"\nurl = \"{}\"\nfrom = \"oldest\"\nsingle = true\n{}{}{}{}",
        sink.url("/in"),
        webhook(1, "ce", "cloudevents = true\ntrace = \"continue\""),
        shop(2, ""),
        shop(3, "trace = \"continue\""),
        shop(4, "trace = \"ignore\""),
    ));
    let mut gateway = setup.start();
    let headers = [
        ("Traceparent", HOP),
        ("tracestate", "a=1"),
        ("tracestate", "b=2"),
    ];
    let post = |gateway: &Gateway, n: usize, headers: &[(&str, &str)], body: &Value| {
        let reply = gateway.post(&slug(n), headers, body.to_string().as_bytes());
        assert_eq!(reply.status, 204, "{}", reply.text());
        gateway.delivery(&reply)["trace"].clone()
    };
    let none = Value::Null;
    let kept = json!({"traceparent": HOP, "tracestate": "a=1,b=2"});
    let continued = json!({"traceparent": HOP, "tracestate": "a=1,b=2", "continued": true});
    let (empty, own) = (String::new(), (HOP.to_owned(), "a=1,b=2".to_owned()));
    let nowhere = (empty.clone(), empty.clone());
    assert_eq!(post(&gateway, 2, &headers, &json!({})), kept);
    assert_eq!(post(&gateway, 3, &headers, &json!({})), continued);
    assert_eq!(post(&gateway, 4, &headers, &json!({})), none);
    // What is no place in a trace is none.
    for bad in ["", "nonsense", &HOP.to_uppercase()] {
        assert_eq!(post(&gateway, 3, &[("traceparent", bad)], &json!({})), none);
    }
    let want = [&nowhere, &own, &nowhere, &nowhere, &nowhere, &nowhere];
    assert_eq!(places(&sink, 6).iter().collect::<Vec<_>>(), want);
    // An event with its own: the hop goes on as the hop, the event's stays in the event.
    let kind = [headers.to_vec(), vec![("Content-Type", SINGLE)]].concat();
    assert_eq!(post(&gateway, 1, &kind, &structured()), continued);
    let mut other = structured();
    other["id"] = json!("other");
    assert_eq!(post(&gateway, 1, &kind[3..], &other), none);
    let places = places(&sink, 8);
    assert_eq!(places[6..], [own, (PARENT.to_owned(), empty)]);
    // Out as CloudEvents, now and after a restart: an event of ours has the request's, one that came has its own.
    for _ in 0..2 {
        let out = read_back(&gateway, "");
        let parents: Vec<&Value> = out.iter().map(|event| &event["traceparent"]).collect();
        let (hop, own) = (json!(HOP), json!(PARENT));
        let want = [&hop, &hop, &none, &none, &none, &none, &own, &own];
        assert_eq!(parents, want);
        assert_eq!(out[0]["tracestate"], "a=1,b=2");
        assert_eq!(out[6], structured());
        gateway.restart_after_kill9();
    }
}

/// A mapping that makes no event says what it read of the request that is not there, and at which place.
#[test]
fn a_mapping_that_fails_teaches() {
    let lines = r#"cloudevents = { resource = { "prefect.resource.id" = "{{ body.data.url }}" } }"#;
    let gateway = Setup::new(webhook(1, "ce", lines)).start();
    let event = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": {}});
    let body = event.to_string();
    let reply = gateway.post(&slug(1), &[("Content-Type", SINGLE)], body.as_bytes());
    assert_eq!(reply.status, 400);
    let error = &gateway.delivery(&reply)["error"];
    assert!(
        error["help"].as_str().unwrap().contains("body.data.url"),
        "{error}"
    );
    assert_eq!(error["file"], "webhooks.toml", "{error}");
}

/// A script that sends with an SDK and reads back; it fails by itself.
fn sdk(mut command: Command) {
    let gateway = both().start();
    let output = command
        .arg(format!("http://{}/hooks/{}", gateway.public, slug(1)))
        .arg(format!("http://{}/api/v1/events", gateway.admin))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let count: usize = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .unwrap();
    assert!(count >= 10, "{count} events");
    assert_eq!(gateway.all_events(500).len(), count);
}

/// The package `cloudevents` of npm; the variable names its folder.
#[test]
fn the_sdk_of_javascript() {
    let Some(package) = outside("HOOKGATE_TEST_CLOUDEVENTS_JS") else {
        return;
    };
    let mut command = Command::new("node");
    command
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/sdk/js/round-trip.js"
        ))
        .arg(package);
    sdk(command);
}

/// The package `cloudevents` of PyPI; the variable names a Python that has it.
#[test]
fn the_sdk_of_python() {
    let Some(python) = outside("HOOKGATE_TEST_CLOUDEVENTS_PY") else {
        return;
    };
    let mut command = Command::new(python);
    command.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/sdk/python/round_trip.py"
    ));
    sdk(command);
}
