//! Real requests of many kinds, signed as their senders sign, become events that read well.

use crate::harness::{Gateway, Setup, sign, slug};
use serde_json::{Value, json};

fn provider(n: usize, name: &str, variable: &str) -> String {
    format!(
        "[[webhook]]\nname = \"{name}\"\nslug = \"{}\"\nprovider = \"{name}\"\nsecret = {{ env = \"{variable}\" }}\n",
        slug(n)
    )
}

fn github() -> Gateway {
    Setup::new(provider(1, "github", "S"))
        .env("S", sign::GITHUB_SECRET)
        .start()
}

fn send_github(gateway: &Gateway, kind: &str, key: &str, payload: &Value) -> Value {
    let body = payload.to_string();
    let signature = sign::github(body.as_bytes());
    let headers = [
        ("Content-Type", "application/json"),
        ("X-GitHub-Event", kind),
        ("X-GitHub-Delivery", key),
        ("X-Hub-Signature-256", &*signature),
    ];
    let reply = gateway.post(&slug(1), &headers, body.as_bytes());
    assert_eq!(reply.status, 204, "{kind}: {}", reply.text());
    gateway.delivery(&reply)
}

#[test]
fn fifteen_kinds_of_github() {
    let gateway = github();
    let mut kinds = 0;
    for entry in std::fs::read_dir(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/github"
    ))
    .unwrap()
    {
        let path = entry.unwrap().path();
        let kind = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let payload: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let delivery = send_github(&gateway, &kind, &format!("key-{kind}"), &payload);
        assert_eq!(delivery["outcome"], "accepted", "{kind}: {delivery}");
        let event = &delivery["events"][0];
        let action = payload["action"].as_str();
        let name = action.map_or(format!("github.{kind}"), |action| {
            format!("github.{kind}.{action}")
        });
        assert_eq!(event["event"], name.as_str());
        assert!(
            event["resource"]["prefect.resource.id"]
                .as_str()
                .is_some_and(|id| id.starts_with("github.")),
            "{event}"
        );
        let again = send_github(&gateway, &kind, &format!("key-{kind}"), &payload);
        assert_eq!(again["outcome"], "duplicate", "{kind}");
        kinds += 1;
    }
    assert!(kinds >= 10);
    assert_eq!(gateway.all_events(7).len(), kinds);
}

/// Every payload of the package `@octokit/webhooks-examples`; the variable names its `index.json`.
#[test]
fn every_kind_of_github() {
    let Some(index) = crate::harness::outside("HOOKGATE_TEST_GITHUB_EXAMPLES") else {
        return;
    };
    let kinds: Vec<Value> = serde_json::from_slice(&std::fs::read(index).unwrap()).unwrap();
    let gateway = github();
    let mut sent = 0;
    for kind in &kinds {
        let name = kind["name"].as_str().unwrap();
        for payload in kind["examples"].as_array().unwrap() {
            sent += 1;
            let delivery = send_github(&gateway, name, &format!("k{sent}"), payload);
            assert!(
                ["accepted", "ignored"].contains(&delivery["outcome"].as_str().unwrap()),
                "{name}: {delivery}"
            );
            for event in delivery["events"].as_array().unwrap() {
                assert!(
                    event["event"]
                        .as_str()
                        .unwrap()
                        .starts_with(&format!("github.{name}")),
                    "{event}"
                );
            }
        }
    }
    assert!(sent > 200, "{sent} payloads");
}

#[test]
fn stripe() {
    let gateway = Setup::new(provider(1, "stripe", "S"))
        .env("S", sign::STRIPE_SECRET)
        .start();
    let body = json!({"id": "evt_1Fake", "object": "event", "type": "payment_intent.succeeded", "created": 1_767_225_600,
        "livemode": false, "data": {"object": {"id": "pi_3Fake", "object": "payment_intent", "amount": 2000, "currency": "eur", "customer": "cus_Fake"}}})
    .to_string();
    let time = sign::now();
    let signature = sign::stripe(&time, body.as_bytes());
    let headers = [
        ("Content-Type", "application/json; charset=utf-8"),
        ("Stripe-Signature", &*signature),
    ];
    let reply = gateway.post(&slug(1), &headers, body.as_bytes());
    assert!((200..300).contains(&reply.status));
    let delivery = gateway.delivery(&reply);
    assert_eq!(delivery["key"], "evt_1Fake");
    let event = &delivery["events"][0];
    assert_eq!(event["event"], "stripe.payment_intent.succeeded");
    assert!(
        event["resource"]["prefect.resource.id"]
            .as_str()
            .unwrap()
            .contains("pi_3Fake"),
        "{event}"
    );
    assert_eq!(event["occurred"], "2026-01-01T00:00:00Z");
    let old = sign::stripe("1767225600", body.as_bytes());
    let headers = [
        ("Content-Type", "application/json"),
        ("Stripe-Signature", &*old),
    ];
    assert_eq!(
        gateway.post(&slug(1), &headers, body.as_bytes()).status,
        401,
        "too old"
    );
}

#[test]
fn slack_event_and_slash_command() {
    let gateway = Setup::new(provider(1, "slack", "S"))
        .env("S", sign::SLACK_SECRET)
        .start();
    let send = |content_type: &str, body: &str| {
        let time = sign::now();
        let signature = sign::slack(&time, body.as_bytes());
        let headers = [
            ("Content-Type", content_type),
            ("X-Slack-Request-Timestamp", &*time),
            ("X-Slack-Signature", &*signature),
        ];
        let reply = gateway.post(&slug(1), &headers, body.as_bytes());
        assert_eq!(reply.status, 200, "Slack wants exactly 200");
        gateway.delivery(&reply)
    };
    let body = json!({"token": "fake", "team_id": "T1", "api_app_id": "A1", "type": "event_callback", "event_id": "Ev1", "event_time": 1_767_225_600,
        "event": {"type": "app_mention", "user": "U1", "text": "say \"hi\"", "ts": "1767225600.0001", "channel": "C1"}});
    let mention = send("application/json", &body.to_string());
    assert_eq!(
        mention["events"][0]["event"], "slack.app_mention",
        "{mention}"
    );
    assert_eq!(
        send("application/json", &body.to_string())["outcome"],
        "duplicate"
    );
    let command = send(
        "application/x-www-form-urlencoded",
        "token=fake&team_id=T1&channel_id=C1&user_id=U1&command=%2Fdeploy&text=api+now",
    );
    assert!(
        command["events"][0]["event"]
            .as_str()
            .unwrap()
            .starts_with("slack.command"),
        "{command}"
    );
}

#[test]
fn standard_webhooks() {
    let gateway = Setup::new(provider(1, "standard-webhooks", "S"))
        .env("S", sign::STANDARD_SECRET)
        .start();
    let body = json!({"type": "invoice.paid", "timestamp": "2026-11-01T10:00:00Z", "data": {"id": "in_1", "total": 12.50}}).to_string();
    let time = sign::now();
    let signature = sign::standard("msg_fake1", &time, body.as_bytes());
    let headers = [
        ("Content-Type", "application/json"),
        ("webhook-id", "msg_fake1"),
        ("webhook-timestamp", &*time),
        ("webhook-signature", &*signature),
    ];
    let reply = gateway.post(&slug(1), &headers, body.as_bytes());
    assert!((200..300).contains(&reply.status));
    let delivery = gateway.delivery(&reply);
    assert_eq!(delivery["key"], "msg_fake1");
    assert!(
        delivery["events"][0]["event"]
            .as_str()
            .unwrap()
            .ends_with("invoice.paid"),
        "{delivery}"
    );
}

#[test]
fn a_form() {
    let template = r#"{"event": "demo.{{ body.model }}", "resource": {"prefect.resource.id": "product.models.{{ body.model }}", "prefect.resource.name": "{{ body.friendly_name }}"}, "payload": {"ua": "{{ headers['User-Agent'] }}"}}"#;
    let toml = format!(
        "[[webhook]]\nname = \"form\"\nslug = \"{}\"\ntemplate = {{ inline = '''{template}''' }}\n",
        slug(1)
    );
    let gateway = Setup::new(toml).start();
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("User-Agent", "curl/8"),
    ];
    let reply = gateway.post(
        &slug(1),
        &headers,
        b"model=recommendations&friendly_name=Say+%22hi%22%5C",
    );
    let event = gateway.delivery(&reply)["events"][0].clone();
    assert_eq!(event["event"], "demo.recommendations");
    assert_eq!(event["resource"]["prefect.resource.name"], "Say \"hi\"\\");
    assert_eq!(event["payload"], json!({"ua": "curl/8"}));
}

#[test]
fn cloudevents_binary_structured_and_refused() {
    let toml = format!(
        "[[webhook]]\nname = \"ce\"\nslug = \"{}\"\ncloudevents = true\n",
        slug(1)
    );
    let gateway = Setup::new(toml).start();
    let binary = [
        ("ce-specversion", "1.0"),
        ("ce-id", "a-1"),
        ("ce-source", "/s"),
        ("ce-type", "t.x"),
        ("ce-subject", "caf%C3%A9"),
        ("Content-Type", "application/json"),
    ];
    let reply = gateway.post(&slug(1), &binary, br#"{"a":1}"#);
    assert_eq!(reply.status, 204, "{}", reply.text());
    let event = gateway.delivery(&reply)["events"][0].clone();
    assert_eq!(
        (
            event["event"].as_str(),
            event["resource"]["prefect.resource.id"].as_str()
        ),
        (Some("t.x"), Some("café"))
    );
    assert_eq!(event["payload"]["data"], json!({"a": 1}));
    // The same event, structured this time: a duplicate by source and id.
    let structured =
        json!({"specversion": "1.0", "id": "a-1", "source": "/s", "type": "t.x", "data": {"a": 1}})
            .to_string();
    let headers = [("Content-Type", "application/cloudevents+json")];
    let again = gateway.post(&slug(1), &headers, structured.as_bytes());
    assert_eq!(
        (again.status, gateway.delivery(&again)["outcome"].as_str()),
        (204, Some("duplicate"))
    );
    let no_type = json!({"specversion": "1.0", "id": "a-2", "source": "/s"}).to_string();
    let bad = gateway.post(&slug(1), &headers, no_type.as_bytes());
    assert_eq!(bad.status, 400);
    let record = gateway.delivery(&bad);
    assert_eq!(
        (record["outcome"].as_str(), record["code"].as_str()),
        (Some("parked"), Some("HG0320"))
    );
    assert!(
        record["error"]["message"]
            .as_str()
            .unwrap()
            .contains("type"),
        "{record}"
    );
    assert_eq!(
        gateway
            .post(&slug(1), &[("Content-Type", "text/plain")], b"hello")
            .status,
        415
    );
}
