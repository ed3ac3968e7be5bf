//! A newcomer's first requests become events.

use crate::harness::{Gateway, Setup, hookgate, slug};
use serde_json::{Value, json};
use std::process::Command;

const STATIC: &str = r#"event = { event = "nightly.finished", resource = { "prefect.resource.id" = "job.nightly" } }"#;

fn webhook(n: usize, name: &str, lines: &str) -> String {
    format!(
        "[[webhook]]\nname = \"{name}\"\nslug = \"{}\"\n{lines}\n",
        slug(n)
    )
}

#[test]
fn a_static_event_by_any_method() {
    let gateway = Setup::new(webhook(1, "nightly-done", STATIC)).start();
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
        let reply = gateway.send(method, &format!("/hooks/{}", slug(1)), &[], b"");
        assert_eq!(reply.status, 204, "{method}");
        let delivery = gateway.delivery(&reply);
        assert_eq!(delivery["outcome"], "accepted");
        let event = &delivery["events"][0];
        assert_eq!(event["event"], "nightly.finished");
        assert_eq!(
            event["resource"],
            json!({"prefect.resource.id": "job.nightly"})
        );
        let webhook = json!({"prefect.resource.id": "hookgate.webhook.nightly-done", "prefect.resource.role": "webhook", "prefect.resource.name": "nightly-done"});
        assert_eq!(event["related"].as_array().unwrap().last(), Some(&webhook));
        assert_eq!(event["payload"]["method"], method);
        assert_eq!(event["occurred"], delivery["received"]);
    }
    assert_eq!(gateway.all_events(2).len(), 6);
}

#[test]
fn expressions_give_values_and_when_ignores() {
    let lines = r#"when = "body.type == 'order.created'"
event = { event = "shop.{{ body.type }}", resource = { "prefect.resource.id" = "order.{{ body.id }}" }, payload = "{{ body }}" }"#;
    let gateway = Setup::new(webhook(1, "orders", lines)).start();
    let body = json!({"type": "order.created", "id": 12345678901234567890_u64, "note": "say \"hi\"\\", "big": 1.5});
    let delivery = gateway.delivery(&gateway.post_json(&slug(1), &body));
    let event = &delivery["events"][0];
    assert_eq!(event["event"], "shop.order.created");
    assert_eq!(
        event["resource"]["prefect.resource.id"],
        "order.12345678901234567890"
    );
    assert_eq!(event["payload"], body);
    let ignored = gateway.post_json(&slug(1), &json!({"type": "order.paid", "id": 1}));
    assert_eq!(ignored.status, 204);
    assert_eq!(gateway.delivery(&ignored)["outcome"], "ignored");
}

#[test]
fn an_alertmanager_group_gives_an_event_each_and_cannot_take_the_template_over() {
    let template = r#"[{% for alert in body.alerts %}
      {"event": "alert.{{ alert.status }}", "resource": {"prefect.resource.id": "alert.{{ alert.fingerprint }}"},
       "payload": {"summary": "{{ alert.annotations.summary }}", "labels": {{ alert.labels|tojson }}}}{{ "," if not loop.last }}
    {% endfor %}]"#;
    let gateway = Setup::new(webhook(1, "alerts", "template = \"alerts.json.j2\""))
        .file("templates/alerts.json.j2", template)
        .start();
    let hostile = "\"}, \"event\": \"taken.over\", \"x\": {\"\\";
    // A group as Alertmanager posts it, version 4 of its webhook format.
    let alert = |status: &str, fingerprint: &str, summary: &str, labels: Value| {
        json!({"status": status, "labels": labels, "annotations": {"summary": summary}, "fingerprint": fingerprint,
            "startsAt": "2026-11-01T10:00:00.000Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://prometheus.example/graph"})
    };
    let body = json!({"version": "4", "groupKey": "{}:{alertname=\"Down\"}", "truncatedAlerts": 0, "status": "firing", "receiver": "hookgate",
    "groupLabels": {"alertname": "Down"}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alertmanager.example",
    "alerts": [
        alert("firing", "a1", hostile, json!({"sev": "page"})),
        alert("resolved", "b2", "two\nlines", json!({})),
    ]});
    let delivery = gateway.delivery(&gateway.post_json(&slug(1), &body));
    let events = delivery["events"].as_array().unwrap();
    assert_eq!(events.len(), 2, "{delivery}");
    assert_eq!(events[0]["event"], "alert.firing");
    assert_eq!(
        events[0]["payload"],
        json!({"summary": hostile, "labels": {"sev": "page"}})
    );
    assert_eq!(events[1]["payload"]["summary"], "two\nlines");
    assert_eq!(events[1]["resource"]["prefect.resource.id"], "alert.b2");
    // Blank output: ignored.
    assert_eq!(
        gateway.delivery(&gateway.post_json(&slug(1), &json!({"alerts": []})))["outcome"],
        "ignored"
    );
}

#[test]
fn a_redelivery_is_a_duplicate_also_after_a_crash_and_for_copies_at_once() {
    let lines = format!("delivery_key = \"headers['x-key']\"\n{STATIC}");
    let mut gateway = Setup::new(webhook(1, "w", &lines)).start();
    let first = gateway.post(&slug(1), &[("X-Key", "k1")], b"a");
    assert_eq!(gateway.delivery(&first)["outcome"], "accepted");
    let second = gateway.post(&slug(1), &[("X-Key", "k1")], b"a");
    assert_eq!(second.status, 204);
    let record = gateway.delivery(&second);
    assert_eq!(record["outcome"], "duplicate");
    assert_eq!(record["events"], json!([]));
    assert_eq!(gateway.delivery(&first)["duplicates"], 1);
    gateway.restart_after_kill9();
    let third = gateway.post(&slug(1), &[("X-Key", "k1")], b"a");
    assert_eq!(gateway.delivery(&third)["outcome"], "duplicate");
    let accepted = copies_at_once(&gateway, 64);
    assert_eq!(accepted, 1);
    assert_eq!(gateway.all_events(100).len(), 2);
}

fn copies_at_once(gateway: &Gateway, copies: usize) -> usize {
    let start = std::sync::Barrier::new(copies);
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..copies)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    let reply = gateway.post(&slug(1), &[("X-Key", "at once")], b"a");
                    assert_eq!(reply.status, 204);
                    usize::from(gateway.delivery(&reply)["outcome"] == "accepted")
                })
            })
            .collect();
        senders
            .into_iter()
            .map(|sender| sender.join().unwrap())
            .sum()
    })
}

#[test]
fn the_event_is_seen_in_a_browser_and_its_request_is_kept() {
    let gateway = Setup::new(webhook(1, "nightly-done", STATIC)).start();
    let body = b"model=<script>alert(1)</script>";
    let reply = gateway.post(
        &slug(1),
        &[("Content-Type", "text/plain"), ("X-Extra", "1")],
        body,
    );
    let id = reply.header("hookgate-delivery").unwrap().to_owned();
    let feed = gateway.admin("GET", "/", &[], b"");
    assert_eq!(feed.status, 200);
    let event = gateway.delivery(&reply)["events"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let text = feed.text();
    assert!(
        text.contains("nightly.finished") && text.contains(&format!("/events/{event}")),
        "{text}"
    );
    let page = gateway
        .admin("GET", &format!("/events/{event}"), &[], b"")
        .text();
    assert!(page.contains(&format!("/deliveries/{id}")), "{page}");
    let page = gateway
        .admin("GET", &format!("/deliveries/{id}"), &[], b"")
        .text();
    assert!(
        page.contains("&lt;script&gt;") && !page.contains("<script>alert"),
        "{page}"
    );
    let raw = gateway.admin(
        "GET",
        &format!("/api/v1/deliveries/{id}/request"),
        &[("Accept", "message/http")],
        b"",
    );
    let text = raw.text();
    assert!(
        text.starts_with("POST /hooks/{slug} HTTP/1.1\r\n") && text.ends_with("</script>"),
        "{text}"
    );
    assert!(!text.contains(&slug(1)), "the slug is masked");
}

#[test]
fn a_response_of_ones_own() {
    let lines = format!(
        "response = {{ status = 200, content_type = \"application/json\", body = \"{{\\\"got\\\": \\\"{{{{ body.n }}}}\\\"}}\" }}\n{STATIC}"
    );
    let gateway = Setup::new(webhook(1, "w", &lines)).start();
    let reply = gateway.post_json(&slug(1), &json!({"n": 7}));
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (200, "{\"got\": \"7\"}")
    );
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[test]
fn a_graceful_stop_finishes_what_is_under_way() {
    let mut gateway = Setup::new(webhook(1, "w", STATIC)).start();
    for _ in 0..20 {
        assert_eq!(gateway.post(&slug(1), &[], b"x").status, 204);
    }
    assert_eq!(gateway.terminate(), Some(0));
    gateway.start();
    assert_eq!(gateway.all_events(100).len(), 20);
}

#[test]
fn a_second_process_and_a_newer_store_are_refused() {
    let gateway = Setup::new(webhook(1, "w", STATIC)).start();
    let second = hookgate(gateway.folder.path())
        .args(["serve", "-c", "webhooks.toml"])
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(3));
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(text.contains("open in another process"), "{text}");
}

#[test]
fn the_demo_works_as_the_readme_says() {
    let folder = tempfile::tempdir().unwrap();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in ["webhooks.toml", "templates", "demo"] {
        let copied = Command::new("cp")
            .arg("-r")
            .arg(root.join(entry))
            .arg(folder.path())
            .status()
            .unwrap();
        assert!(copied.success());
    }
    let checked = hookgate(folder.path()).arg("check").output().unwrap();
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(
        checked.status.code(),
        Some(0),
        "{text}{}",
        String::from_utf8_lossy(&checked.stderr)
    );
}
