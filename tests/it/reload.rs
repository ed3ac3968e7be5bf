//! A changed file is taken whole or not at all, while requests go on.

use crate::harness::{Setup, slug, wait_for};

fn webhook(name: &str, lines: &str) -> String {
    format!(
        "[[webhook]]\nname = \"{name}\"\nslug = \"{}\"\n{lines}\n",
        slug(1)
    )
}

fn event(name: &str) -> String {
    format!("event = {{ event = \"{name}\", resource = {{ \"prefect.resource.id\" = \"r\" }} }}")
}

#[test]
fn a_changed_file_is_taken_and_a_broken_one_is_refused() {
    let gateway = Setup::new(webhook("w", &event("before"))).start();
    let now = || {
        let reply = gateway.post(&slug(1), &[], b"");
        gateway.delivery(&reply)["events"][0]["event"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(now(), "before");
    gateway.write_config(&Setup::new(webhook("w", &event("after"))));
    wait_for("the new configuration", || (now() == "after").then_some(()));

    gateway.write_config(&Setup::new(webhook("w", "evnt = 1")));
    let refused = wait_for("the refusal", || {
        let text = gateway.admin("GET", "/readyz?verbose", &[], b"").text();
        text.contains("webhooks.toml").then_some(text)
    });
    assert!(refused.contains("HG02"), "{refused}");
    assert_eq!(now(), "after");
    let metrics = gateway.admin("GET", "/metrics", &[], b"").text();
    assert!(
        metrics.contains("hookgate_config_last_reload_success 0"),
        "{metrics}"
    );
    assert!(gateway.stderr().contains("HG0201"), "{}", gateway.stderr());

    gateway.write_config(&Setup::new(webhook("w", &event("mended"))));
    gateway.signal("-HUP");
    wait_for("the mended configuration", || {
        (now() == "mended").then_some(())
    });
    let metrics = gateway.admin("GET", "/metrics", &[], b"").text();
    assert!(
        metrics.contains("hookgate_config_last_reload_success 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("hookgate_config_info{hash=\""),
        "{metrics}"
    );
}

#[test]
fn a_changed_template_is_taken() {
    let text = |name: &str| {
        format!("{{\"event\": \"{name}\", \"resource\": {{\"prefect.resource.id\": \"r\"}}}}")
    };
    let gateway = Setup::new(webhook("w", "template = \"t.json.j2\""))
        .file("templates/t.json.j2", text("one"))
        .start();
    std::fs::write(
        gateway.folder.path().join("templates/t.json.j2"),
        text("two"),
    )
    .unwrap();
    wait_for("the new template", || {
        let reply = gateway.post(&slug(1), &[], b"");
        (gateway.delivery(&reply)["events"][0]["event"] == "two").then_some(())
    });
}
