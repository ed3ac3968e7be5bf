//! Watching and counting: streams that resume without loss, histograms, facets, completion, saved views.

use crate::harness::{Gateway, PATIENCE, Setup, http, slug, wait_for};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

fn webhooks() -> String {
    format!(
        "[[webhook]]\nname = \"shop\"\nslug = \"{}\"\nevent = {{ event = \"shop.{{{{ body.kind }}}}\", resource = {{ \"prefect.resource.id\" = \"order.{{{{ body.n }}}}\" }}, payload = \"{{{{ body }}}}\" }}\n[[webhook]]\nname = \"shut\"\nslug = \"{}\"\nverify = {{ scheme = \"header-token\", header = \"X-Token\", secret = {{ env = \"TOKEN\" }} }}\nevent = {{ event = \"e\", resource = {{ \"prefect.resource.id\" = \"r\" }} }}\n[[view]]\nname = \"rejected today\"\nquery = \"outcome:rejected received:>-24h\"\n",
        slug(1),
        slug(2)
    )
}

fn start() -> Gateway {
    Setup::new(webhooks())
        .env("TOKEN", "fake-token-0001")
        .start()
}

fn post(gateway: &Gateway, n: u64, kind: &str) {
    let body = json!({"n": n, "kind": kind, "total": n * 10, "note": "Hello World"});
    let reply = gateway.post_json(&slug(1), &body);
    assert!(reply.status < 300, "{} {}", reply.status, reply.text());
}

/// One message of a stream.
#[derive(Debug, Default, Clone)]
struct Message {
    id: String,
    event: String,
    data: String,
}

impl Message {
    fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// An open stream.
struct Watch {
    lines: std::io::Lines<BufReader<TcpStream>>,
    head: Vec<String>,
}

impl Watch {
    fn open(gateway: &Gateway, path: &str, headers: &str) -> Self {
        let mut stream = http::connect(gateway.admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream).lines();
        let mut head = Vec::new();
        loop {
            let line = lines.next().unwrap().unwrap();
            if line.is_empty() {
                break;
            }
            head.push(line.to_ascii_lowercase());
        }
        let mut watch = Self { lines, head };
        // The first sign of life: from now on everything is seen.
        watch.line_with(": alive");
        watch
    }

    fn line_with(&mut self, text: &str) -> String {
        loop {
            let line = self.lines.next().expect("the stream ended").unwrap();
            if line.contains(text) {
                return line;
            }
        }
    }

    fn next(&mut self) -> Message {
        let mut message = Message::default();
        loop {
            let line = self.lines.next().expect("the stream ended").unwrap();
            if let Some(id) = line.strip_prefix("id: ") {
                message.id = id.to_owned();
            } else if let Some(event) = line.strip_prefix("event: ") {
                message.event = event.to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                message.data.push_str(data);
            } else if line.is_empty() && !message.event.is_empty() {
                return message;
            }
        }
    }
}

#[test]
fn events_are_watched_and_resumed_without_loss() {
    let gateway = start();
    post(&gateway, 1, "early");
    let mut watch = Watch::open(&gateway, "/api/v1/events/stream?q=event:shop.paid", "");
    assert!(watch.head[0].contains(" 200 "), "{:?}", watch.head);
    for header in [
        "content-type: text/event-stream",
        "cache-control: no-store",
        "x-accel-buffering: no",
    ] {
        assert!(watch.head.contains(&header.to_owned()), "{:?}", watch.head);
    }
    for n in 2..12 {
        post(&gateway, n, if n % 2 == 0 { "paid" } else { "other" });
    }
    let seen: Vec<Message> = (0..5).map(|_| watch.next()).collect();
    for (message, n) in seen.iter().zip([2, 4, 6, 8, 10]) {
        assert_eq!(message.event, "event");
        let event = message.json();
        assert_eq!(
            event["resource"]["prefect.resource.id"],
            format!("order.{n}")
        );
        let id = format!("{}.{}", event["seq"], event["index"]);
        assert_eq!(message.id, id);
    }
    assert!(
        gateway
            .admin("GET", "/metrics", &[], b"")
            .text()
            .contains("hookgate_sse_clients 1")
    );
    drop(watch);
    wait_for("the client to be forgotten", || {
        post(&gateway, 100, "paid");
        let text = gateway.admin("GET", "/metrics", &[], b"").text();
        text.contains("hookgate_sse_clients 0").then_some(())
    });
    // From the third one on, by header and by parameter.
    let last = format!("Last-Event-ID: {}\r\n", seen[2].id);
    let path = "/api/v1/events/stream?q=event:shop.paid";
    let mut again = Watch::open(&gateway, path, &last);
    assert_eq!(again.next().id, seen[3].id);
    let mut again = Watch::open(&gateway, &format!("{path}&after={}", seen[3].id), "");
    assert_eq!(again.next().id, seen[4].id);
    let mut all = Watch::open(&gateway, "/api/v1/events/stream?after=0", "");
    assert_eq!(all.next().json()["event"], "shop.early");
    let reply = gateway.admin("GET", "/api/v1/events/stream?after=x", &[], b"");
    assert_eq!(reply.status, 400, "{}", reply.text());
}

#[test]
fn deliveries_are_watched_rejected_ones_too() {
    let gateway = start();
    post(&gateway, 1, "a");
    assert_eq!(
        gateway
            .post(&slug(2), &[("X-Token", "wrong-0001")], b"{}")
            .status,
        401
    );
    // What was rejected comes to the feed a little later than its answer to the sender.
    wait_for("the rejected request", || {
        let found = gateway.api("/api/v1/deliveries?q=outcome:rejected");
        found["data"].get(0).map(|_| ())
    });
    let mut watch = Watch::open(&gateway, "/api/v1/deliveries/stream", "");
    post(&gateway, 2, "b");
    let first = watch.next();
    assert_eq!(
        (first.event.as_str(), &first.json()["outcome"]),
        ("delivery", &json!("accepted"))
    );
    assert_eq!(first.json()["events"][0]["event"], "shop.b");
    assert_eq!(
        gateway
            .post(&slug(2), &[("X-Token", "wrong-0002")], b"{}")
            .status,
        401
    );
    let second = watch.next();
    assert_eq!(second.json()["outcome"], "rejected");
    assert_eq!(second.json()["seq"], Value::Null);
    post(&gateway, 3, "c");
    assert_eq!(watch.next().json()["events"][0]["event"], "shop.c");
    // Behind the first: the rejected one stands in its place.
    let path = format!("/api/v1/deliveries/stream?after={}", first.id);
    let mut again = Watch::open(&gateway, &path, "");
    assert_eq!(
        (
            again.next().id,
            again.next().json()["events"][0]["event"].clone()
        ),
        (second.id, json!("shop.c"))
    );
}

#[test]
fn heads_tell_that_there_is_news() {
    let gateway = start();
    let mut stream = http::connect(gateway.admin).unwrap();
    let request = "GET /api/v1/events/stream?heads=1 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let lines = BufReader::new(stream).lines();
    let mut watch = Watch {
        lines,
        head: Vec::new(),
    };
    let first = watch.next();
    assert_eq!(first.event, "head");
    post(&gateway, 1, "a");
    let second = watch.next();
    assert!(second.json()["seq"].as_u64() > first.json()["seq"].as_u64());
    gateway.post(&slug(2), &[("X-Token", "wrong-0001")], b"{}");
    let third = watch.next();
    assert_eq!(third.json()["kept"], 1);
}

/// A gateway with six orders and one request that was rejected.
fn sold() -> Gateway {
    let gateway = start();
    for n in 1..=6 {
        post(&gateway, n, if n < 5 { "paid" } else { "refunded" });
    }
    gateway.post(&slug(2), &[("X-Token", "wrong-0001")], b"{}");
    gateway
}

#[test]
fn what_is_found_is_counted() {
    let gateway = sold();
    let facets = gateway.api("/api/v1/deliveries/facets?keys=outcome,webhook,event,resource");
    let values = |facets: &Value, key: &str| -> Vec<(String, u64)> {
        let data = facets["data"].as_array().unwrap();
        let facet = data.iter().find(|facet| facet["key"] == key).unwrap();
        let values = facet["values"].as_array().unwrap().iter();
        let pair = |v: &Value| {
            (
                v["value"].as_str().unwrap().to_owned(),
                v["count"].as_u64().unwrap(),
            )
        };
        values.map(pair).collect()
    };
    assert_eq!(
        values(&facets, "outcome"),
        [("accepted".into(), 6), ("rejected".into(), 1)]
    );
    assert_eq!(
        values(&facets, "event"),
        [("shop.paid".into(), 4), ("shop.refunded".into(), 2)]
    );
    assert_eq!(values(&facets, "resource").len(), 6);
    assert_eq!(
        (&facets["complete"], &facets["at_least"]),
        (&json!(true), &json!(false))
    );
    let found = gateway.api("/api/v1/events/facets?q=payload.total:%3E20&keys=event");
    assert_eq!(found["matches"], 4);
    let histogram = gateway.api("/api/v1/deliveries/histogram?q=received:%3E-1h&buckets=10");
    let buckets = histogram["buckets"].as_array().unwrap();
    let total: u64 = buckets
        .iter()
        .map(|bucket| bucket["total"].as_u64().unwrap())
        .sum();
    assert_eq!(
        (total, &histogram["matches"], &histogram["width"]),
        (7, &json!(7), &json!("600s"))
    );
    let terms = gateway.api("/api/v1/events/terms?q=event:shop.paid+nowhere");
    assert_eq!(
        (&terms["data"][0]["matches"], &terms["data"][1]["matches"]),
        (&json!(4), &json!(0))
    );
    assert_eq!(terms["data"][1]["without"], "event:shop.paid");
    let reply = gateway.admin("GET", "/api/v1/events/facets?keys=colour", &[], b"");
    assert_eq!(reply.status, 400);
}

#[test]
fn searches_are_completed_named_and_explained() {
    let gateway = sold();
    let complete = |q: &str| gateway.api(&format!("/api/v1/complete?q={q}"));
    assert_eq!(complete("outc")["data"][0]["text"], "outcome:");
    let found = complete("webhook:shop+event:");
    assert_eq!(
        (
            &found["from"],
            &found["data"][0]["text"],
            &found["data"][0]["count"]
        ),
        (&json!(19), &json!("shop.paid"), &json!(4))
    );
    assert_eq!(complete("event:refun")["data"][0]["text"], "shop.refunded");
    assert_eq!(complete("payload.to")["data"][0]["text"], "payload.total:");
    assert_eq!(
        complete("payload.total:5")["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let view = &gateway.api("/api/v1/views")["data"][0];
    assert_eq!(
        (&view["name"], &view["query"]),
        (
            &json!("rejected today"),
            &json!("outcome:rejected received:>-24h")
        )
    );
    let guide = gateway
        .admin("GET", "/docs/search", &[("Accept", "text/markdown")], b"")
        .text();
    assert!(guide.starts_with("# Search") && guide.contains("`payload.<path>:`"));
    let page = gateway.admin("GET", "/docs/search", &[("Accept", "text/html")], b"");
    assert!(
        page.status == 200 && page.text().contains("<h1>Search</h1>"),
        "{}",
        page.text()
    );
}

#[test]
fn searches_look_into_events() {
    let gateway = start();
    for n in 1..=4 {
        post(&gateway, n, "paid");
    }
    gateway.post(
        &slug(2),
        &[("X-Token", "wrong-0001"), ("X-Trace", "abc")],
        b"{}",
    );
    for (q, found) in [
        ("hello", 4),
        ("%22hello+world%22", 4),
        ("%22world+hello%22", 0),
        ("payload.total:20", 1),
        ("payload.total:20..30", 2),
        ("-payload.total:%3E10", 1),
        ("method:post+status:204", 4),
        ("header.content-type:application/*", 4),
        ("has:related", 0),
    ] {
        let events = gateway.api(&format!("/api/v1/events?q={q}"));
        assert_eq!(events["data"].as_array().unwrap().len(), found, "{q}");
    }
    let rejected = gateway.api("/api/v1/deliveries?q=header.x-trace:abc");
    assert_eq!(rejected["data"][0]["outcome"], "rejected");
    let error = gateway.admin("GET", "/api/v1/events?q=resouce:x", &[], b"");
    assert_eq!(error.json()["errors"][0]["column"], 1);
    assert_eq!(error.json()["errors"][0]["help"], "did you mean resource:?");
}
