//! What hookgate tells of itself: own events, figures, health.

use crate::harness::{Gateway, Setup, hookgate, slug, wait_for};
use serde_json::Value;

const PARKS: &str = "template = { inline = \"no json\" }";

fn webhook(lines: &str) -> String {
    let slug = slug(1);
    format!("[[webhook]]\nname = \"w\"\nslug = \"{slug}\"\nverify = \"none\"\n{lines}\n")
}

/// Own events of one name, newest first.
fn own_events(gateway: &Gateway, name: &str) -> Vec<Value> {
    let found = gateway.api(&format!("/api/v1/events?q=event:{name}"));
    found["data"].as_array().unwrap().clone()
}

#[test]
fn a_webhook_that_fails_is_told_once_and_counted_over_restarts() {
    let mut gateway = Setup::new(webhook(PARKS)).start();
    let first = gateway.post(&slug(1), &[], b"fake-canary-0001");
    assert_eq!(first.status, 400);
    for _ in 0..4 {
        assert_eq!(gateway.post(&slug(1), &[], b"x").status, 400);
    }
    let told = wait_for("the event", || {
        let told = own_events(&gateway, "hookgate.webhook.failed");
        (!told.is_empty()).then_some(told)
    });
    assert_eq!(told.len(), 1, "{told:#?}");
    let payload = &told[0]["payload"];
    assert_eq!(
        told[0]["resource"]["prefect.resource.id"],
        "hookgate.webhook.w"
    );
    assert_eq!(
        payload["delivery"],
        first.header("hookgate-delivery").unwrap()
    );
    assert_eq!(payload["code"], "HG0306");
    assert!(!told[0].to_string().contains("canary"));
    // The feed leaves it out unless it is asked for.
    assert!(gateway.all_events(100).is_empty());
    gateway.restart_after_kill9();
    wait_for("the figure", || {
        let metrics = gateway.admin("GET", "/metrics", &[], b"").text();
        metrics
            .contains("hookgate_parked_deliveries{webhook=\"w\"} 5\n")
            .then_some(())
    });
}

#[test]
fn reloads_are_events() {
    let event = "event = { event = \"e\", resource = { \"prefect.resource.id\" = \"r\" } }";
    let gateway = Setup::new(webhook(event)).start();
    gateway.write_config(&Setup::new(webhook("evnt = \"fake-canary-0001\"")));
    let told = |name: &str| {
        wait_for(name, || {
            let told = own_events(&gateway, name);
            told.into_iter().next()
        })
    };
    let refused = told("hookgate.config.refused");
    assert_eq!(
        refused["payload"]["errors"][1]["code"], "HG0201",
        "{refused}"
    );
    assert!(!refused.to_string().contains("canary"), "{refused}");
    gateway.write_config(&Setup::new(String::new()));
    let reloaded = told("hookgate.config.reloaded");
    assert_eq!(reloaded["payload"]["webhooks"], 0, "{reloaded}");
}

#[test]
fn health_and_a_second_process() {
    let gateway = Setup::new("").start();
    let url = format!("http://{}", gateway.admin);
    let health = |url: &str| {
        let mut command = hookgate(gateway.folder.path());
        let output = command.args(["health", "--url", url]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text)
    };
    assert_eq!(health(&url), (Some(0), format!("ready: {url}\n")));
    // The public listener has no /readyz.
    let (code, _) = health(&format!("http://{}", gateway.public));
    assert_eq!(code, Some(1));
    let mut second = hookgate(gateway.folder.path());
    let output = second.arg("serve").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(said.contains("error[HG0604]: "), "{said}");
}

#[test]
fn a_full_store_is_told_by_its_code() {
    let event = "event = { event = \"e\", resource = { \"prefect.resource.id\" = \"r\" } }";
    let gateway = Setup::new(webhook(event))
        .store("max_size = \"1 MiB\"")
        .start();
    // Does not compress.
    let mut seed = 1_u64;
    let body: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        seed.to_be_bytes()[0]
    })
    .take(200_000)
    .collect();
    let full = wait_for("the limit", || {
        let reply = gateway.post(&slug(1), &[], &body);
        (reply.status != 204).then_some(reply)
    });
    assert_eq!(full.status, 503);
    assert!(full.header("retry-after").is_some());
    for _ in 0..20 {
        gateway.post(&slug(1), &[], &body);
    }
    let ready = gateway.admin("GET", "/readyz?verbose", &[], b"");
    assert_eq!(ready.status, 503);
    assert!(
        ready.text().contains("[-] size failed: HG0606 "),
        "{}",
        ready.text()
    );
    let url = format!("http://{}", gateway.admin);
    let mut health = hookgate(gateway.folder.path());
    let output = health.args(["health", "--url", &url]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1) && said.contains("HG0606"),
        "{said}"
    );
    let lines = wait_for("the line", || {
        let lines = gateway.stderr();
        lines.contains("the log refuses requests").then_some(lines)
    });
    let refusals = lines.matches("the log refuses requests").count();
    assert!(lines.contains("HG0606") && refusals < 10, "{lines}");
}
