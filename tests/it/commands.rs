//! The commands that ask a running gateway, as scripts and people see them.

use crate::harness::fake_sink::{FakeSink, Reply as Answer};
use crate::harness::{Gateway, Setup, slug, wait_for};
use serde_json::{Value, json};

/// What a hostile sender puts into every field.
const HOSTILE: &str = "\u{1b}]0;x\u{7}\u{1b}[31m\u{9b}2J\u{202e}txt\r\nnext\tcell";

fn setup(more: &str) -> Setup {
    Setup::new(format!(
        "[[webhook]]\nname = \"shop\"\nslug = \"{}\"\nverify = \"none\"\nundefined = \"error\"\n\
         event = {{ event = \"shop.{{{{ body.kind }}}}\", resource = {{ \"prefect.resource.id\" = \"order.{{{{ body.id }}}}\" }}, payload = \"{{{{ body }}}}\" }}\n{more}",
        slug(1)
    ))
}

fn post(gateway: &Gateway, body: &Value) -> Value {
    gateway.delivery(&gateway.post_json(&slug(1), body))
}

fn names(row: &Value) -> Vec<&str> {
    row.as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// A gateway with a paid, a sent and a parked delivery.
fn three() -> (Gateway, [Value; 3]) {
    let gateway = setup("").start();
    let bodies = [
        json!({"kind": "paid", "id": "日本"}),
        json!({"kind": "sent", "id": 2}),
        json!({"id": 3}),
    ];
    let deliveries = bodies.map(|body| post(&gateway, &body));
    (gateway, deliveries)
}

#[test]
fn events_are_listed_and_found() {
    let (gateway, [paid, ..]) = three();

    let all = gateway.command(&["events", "--json"]);
    assert_eq!((all.code, all.json().len()), (0, 2));
    assert_eq!(
        names(&all.json()[0]),
        [
            "seq", "index", "delivery", "received", "webhook", "occurred", "event", "resource",
            "related", "payload", "id", "follows"
        ]
    );
    let one = gateway.command(&["events", "event:shop.paid", "--since", "1h", "--json"]);
    assert_eq!(one.json()[0]["id"], paid["events"][0]["id"]);
    let few = gateway.command(&["events", "--limit", "1"]);
    assert!(
        few.out.contains("shop.sent") && few.err.contains("there are more"),
        "{few:?}"
    );
    // Aligned, also where a character takes two columns.
    let table = gateway.command(&["events"]).out;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    let plain = gateway.command(&["events", "--plain"]).out;
    assert!(
        plain.lines().all(|line| line.split('\t').count() == 5),
        "{plain}"
    );

    assert_eq!(
        gateway
            .command(&["events", "event:shop.paid", "--exists"])
            .code,
        0
    );
    let none = gateway.command(&["events", "event:nothing", "--exists"]);
    assert_eq!(
        (none.code, none.out.as_str(), none.err.as_str()),
        (1, "", "")
    );
    let wrong = gateway.command(&["events", "evnt:x"]);
    assert!(wrong.code == 2 && wrong.err.contains("column"), "{wrong:?}");
}

#[test]
fn one_event_or_delivery_is_shown() {
    let (gateway, [paid, _, parked]) = three();
    let id = paid["events"][0]["id"].as_str().unwrap();
    let shown = gateway.command(&["events", "show", id]);
    assert!(
        shown.code == 0 && shown.out.contains("order.日本") && shown.out.contains("payload"),
        "{shown:?}"
    );
    assert_eq!(
        gateway.command(&["events", "show", id, "--json"]).json()[0]["event"],
        "shop.paid"
    );
    let nil = "00000000-0000-4000-8000-000000000000";
    assert_eq!(gateway.command(&["events", "show", nil]).code, 6);
    assert_eq!(gateway.command(&["deliveries", "show", nil]).code, 6);

    let id = parked["id"].as_str().unwrap();
    let shown = gateway.command(&["deliveries", "show", id]).out;
    assert!(
        shown.contains("HG0312") && shown.contains("kind"),
        "{shown}"
    );
    let http = gateway.command(&["deliveries", "show", id, "--http"]).out;
    assert!(
        http.starts_with("POST /hooks/{slug} HTTP/1.1\r\n") && http.ends_with("{\"id\":3}"),
        "{http}"
    );
    assert_eq!(
        gateway.command(&["deliveries", "show", id, "--raw"]).out,
        "{\"id\":3}"
    );
}

#[test]
fn deliveries_are_listed_and_the_store_says_the_same() {
    let (gateway, [_, sent, _]) = three();
    let all = gateway.command(&["events", "--json"]);
    let deliveries = gateway.command(&["deliveries", "--json"]).json();
    assert_eq!(deliveries.len(), 3);
    assert_eq!(
        names(&deliveries[0]),
        [
            "id",
            "seq",
            "received",
            "webhook",
            "provider",
            "outcome",
            "code",
            "status",
            "key",
            "error",
            "duplicates",
            "events",
            "notes",
            "verification",
            "request",
            "masked",
            "timing",
            "replay_of",
            "duplicate_of",
            "trace"
        ]
    );
    let table = gateway.command(&["deliveries", "outcome:parked"]).out;
    assert!(
        table.contains("POST json") && table.contains("HG0312"),
        "{table}"
    );
    // The store alone says the same, also while the gateway runs.
    let same = gateway.command(&["events", "--store", "data", "--json"]);
    assert_eq!(same.json(), all.json());
    let same = gateway.command(&["deliveries", "--store", "data", "--json"]);
    assert_eq!(same.json().len(), 3);
    let sent = sent["id"].as_str().unwrap();
    let event = all.json()[0].clone();
    let id = event["id"].as_str().unwrap();
    let shown = gateway.command(&["events", "show", id, "--store", "data", "--json"]);
    assert_eq!(shown.json(), [event]);
    let raw = gateway.command(&["deliveries", "show", sent, "--store", "data", "--raw"]);
    assert_eq!(raw.out, "{\"kind\":\"sent\",\"id\":2}");
    // Nobody listens there.
    assert_eq!(
        gateway
            .command(&["events", "--url", "http://127.0.0.1:1"])
            .code,
        4
    );
}

#[test]
fn what_a_sender_writes_is_text() {
    let gateway = setup("").start();
    post(
        &gateway,
        &json!({"kind": HOSTILE, "id": HOSTILE, HOSTILE: HOSTILE}),
    );
    let headers = [
        ("Content-Type", "application/json"),
        ("User-Agent", "\u{9b}2J\u{202e}agent"),
    ];
    let parked = gateway.post(
        &slug(1),
        &headers,
        json!({"id": HOSTILE}).to_string().as_bytes(),
    );
    let id = gateway.delivery(&parked)["id"].as_str().unwrap().to_owned();
    let event = gateway.all_events(1)[0]["id"].as_str().unwrap().to_owned();
    for arguments in [
        &["events"][..],
        &["events", "--plain"],
        &["events", "show", &event],
        &["deliveries"],
        &["deliveries", "--plain"],
        &["deliveries", "show", &id],
        &["events", "--color", "always"],
        &["webhooks", "show", "shop"],
    ] {
        let ran = gateway.command(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
        let told = ran.out.replace("\u{1b}[", "");
        let harmful = |c: char| matches!(c, '\u{1b}' | '\u{7}' | '\u{9b}' | '\u{202e}' | '\r');
        assert!(!told.contains(harmful), "{arguments:?}: {told:?}");
        assert!(
            !ran.out.contains("\u{1b}[2J") && !ran.out.contains("\u{1b}]0"),
            "{arguments:?}"
        );
    }
}

fn with_sink(sink: &FakeSink) -> Gateway {
    let url = sink.url("/in");
    let more = format!(
        "[[sink]]\nname = \"store\"\nkind = \"http\"\nurl = \"{url}\"\nbatch = {{ events = 1 }}\n"
    );
    setup(&more).start()
}

#[test]
fn dead_letters_are_retried_and_discarded() {
    let sink = FakeSink::start(|_, _| Answer::text(422, "not like this"));
    let gateway = with_sink(&sink);
    for id in 1..4 {
        post(&gateway, &json!({"kind": "paid", "id": id}));
    }
    let letters = || gateway.command(&["dead-letters", "--json"]).json();
    wait_for("the dead letters", || (letters().len() == 3).then_some(()));
    let rows = letters();
    assert_eq!(
        names(&rows[0]),
        [
            "id", "sink", "seq", "index", "webhook", "event", "code", "reason", "answer",
            "refused", "attempts"
        ]
    );
    let table = gateway.command(&["dead-letters", "--sink", "store"]).out;
    assert!(
        table.contains("shop.paid") && table.contains("HG0702"),
        "{table}"
    );
    let ids: Vec<String> = rows.iter().map(|row| row["id"].to_string()).collect();
    let shown = gateway.command(&["dead-letters", "show", &ids[0]]).out;
    assert!(shown.contains("not like this"), "{shown}");

    retry_and_discard(&gateway, &sink, &ids);
}

fn retry_and_discard(gateway: &Gateway, sink: &FakeSink, ids: &[String]) {
    let refused = gateway.command(&["dead-letters", "retry", &ids[0], "--json"]);
    assert!(
        refused.code == 1 && refused.json()[0]["result"] == "failed",
        "{refused:?}"
    );
    sink.change(|_, _| Answer::status(204));
    assert_eq!(
        gateway
            .command(&["dead-letters", "retry", "--all", "--dry-run"])
            .code,
        0
    );
    let retried = gateway.command(&["dead-letters", "retry", &ids[0], "99999", "--json"]);
    assert_eq!(retried.code, 7, "{retried:?}");
    assert_eq!(
        gateway.command(&["dead-letters", "discard", &ids[1]]).code,
        2
    );
    assert_eq!(
        gateway
            .command(&["dead-letters", "discard", &ids[1], "--yes"])
            .code,
        0
    );
    assert_eq!(
        gateway
            .command(&["dead-letters", "retry", "--sink", "store"])
            .code,
        0
    );
    assert_eq!(gateway.command(&["dead-letters", "--json"]).out, "");
}

#[test]
fn sinks_are_held_and_let_go() {
    let sink = FakeSink::start(|_, _| Answer::status(204));
    let gateway = with_sink(&sink);
    let rows = gateway.command(&["sinks", "--json"]).json();
    assert_eq!(
        names(&rows[0]),
        [
            "name",
            "kind",
            "state",
            "cursor",
            "lag",
            "lag_seconds",
            "delivered",
            "rate",
            "last_success",
            "last_error",
            "dead_letters"
        ]
    );
    assert_eq!(gateway.command(&["sinks", "pause", "store"]).code, 0);
    assert!(gateway.command(&["sinks"]).out.contains("paused"));
    assert_eq!(
        gateway
            .command(&["sinks", "show", "store", "--json"])
            .json()[0]["state"],
        "paused"
    );
    assert_eq!(
        gateway
            .command(&["sinks", "resume", "store", "--dry-run"])
            .code,
        0
    );
    assert_eq!(gateway.command(&["sinks", "resume", "store"]).code, 0);
    assert_eq!(gateway.command(&["sinks", "pause", "nowhere"]).code, 6);
}

#[test]
fn webhooks_and_health() {
    let gateway = setup("").start();
    let rows = gateway.command(&["webhooks", "--json"]).json();
    assert_eq!(
        names(&rows[0]),
        [
            "name",
            "description",
            "provider",
            "enabled",
            "methods",
            "url",
            "local_url",
            "verified_by",
            "learned_secret",
            "translation",
            "tests",
            "line",
            "health"
        ]
    );
    let plain = gateway.command(&["webhooks", "--plain"]).out;
    assert!(
        plain.starts_with("shop\thttp://") && plain.lines().count() == 1,
        "{plain}"
    );
    assert!(plain.trim_end().ends_with("\tnever called"), "{plain}");
    assert!(gateway.command(&["webhooks"]).out.contains("verified by"));
    let shown = gateway.command(&["webhooks", "show", "shop", "--json"]);
    assert!(shown.json()[0]["last_delivery"].is_null(), "{shown:?}");
    assert_eq!(gateway.command(&["webhooks", "show", "nothing"]).code, 6);
    let health = gateway.command(&["health", "--json"]);
    assert_eq!((health.code, &health.json()[0]["ready"]), (0, &json!(true)));
}

#[test]
fn help_completions_and_pages() {
    let gateway = setup("").start();
    let bare = gateway.command(&[]);
    for name in [
        "dev", "add", "send", "check", "serve", "tail", "events", "replay",
    ] {
        assert!(
            bare.out.contains(&format!("\n  {name} ")),
            "{name}: {}",
            bare.out
        );
    }
    assert!(gateway.command(&["help"]).out.contains("dead-letters"));
    assert!(
        gateway
            .command(&["help", "replay"])
            .out
            .contains("--to-sink")
    );
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = gateway.command(&["completions", shell]);
        assert!(
            script.code == 0 && script.out.contains("dead-letters"),
            "{shell}"
        );
    }
    let page = gateway.command(&["man"]);
    assert!(page.code == 0 && page.out.contains(".TH"), "{page:?}");
    let page = gateway.command(&["man", "sinks", "pause"]);
    assert!(
        page.out.contains("hookgate\\-sinks\\-pause"),
        "{}",
        page.out
    );
    assert_eq!(gateway.command(&["man", "nothing"]).code, 2);
    assert_eq!(gateway.command(&["event"]).code, 2);
    let schema: Value = serde_json::from_str(&gateway.command(&["schema"]).out).unwrap();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-04/schema#");
    assert_eq!(gateway.api("/api/v1/schema/webhooks.json"), schema);
    let event = &gateway.command(&["schema", "event", "--json"]).json()[0];
    assert_eq!(&gateway.api("/api/v1/schema/event.json"), event);
    assert_eq!(event["title"], "Event");
}
