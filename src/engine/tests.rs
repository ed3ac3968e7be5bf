mod clouds;

use super::*;
use crate::config::{Config, Overrides, load};
use crate::model::http_file;
use sha2::{Digest, Sha256};

pub(super) fn config(toml: &str, files: &[(&str, &str)]) -> (Config, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files.iter().chain(&[("webhooks.toml", toml)]) {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let loaded = load(
        &folder.path().join("webhooks.toml"),
        &Overrides {
            no_secrets: true,
            ..Overrides::default()
        },
    );
    let said = format!("{:?}", loaded.findings);
    (loaded.config.unwrap_or_else(|| panic!("{said}")), folder)
}

pub(super) fn webhook(lines: &str) -> String {
    format!("[[webhook]]\nname = \"w\"\nslug = \"fakeslug00000000000001\"\n{lines}\n")
}

const LIST: &str = "template = { inline = \"\"\"[{% for x in body.items_ %}{\"event\": \"e\", \"resource\": \
    {\"prefect.resource.id\": \"{{ x }}\"}}{% if not loop.last %},{% endif %}{% endfor %}]\"\"\" }\n";
const EVENT: &str =
    "event = { event = \"e\", resource = { \"prefect.resource.id\" = \"r\" }, payload = {} }\n";

fn request(body: &str) -> Request {
    let text =
        format!("POST /hooks/x HTTP/1.1\nContent-Type: application/json\nX-Id: d-1\n\n{body}");
    http_file::parse(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap()
}

fn run(lines: &str, body: &str) -> Translation {
    let (config, _folder) = config(&webhook(lines), &[]);
    translate(&config.webhooks[0], &request(body))
}

#[test]
fn outcomes() {
    let accepted = run(EVENT, "{}");
    assert_eq!(accepted.outcome, Outcome::Accepted);
    assert_eq!((accepted.events.len(), accepted.keys), (1, Keys::None));
    let ignored = run(&format!("{EVENT}when = \"body.go\""), "{\"go\": false}");
    assert_eq!(
        (ignored.outcome, ignored.events.len()),
        (Outcome::Ignored, 0)
    );
    let ignored = run("template = { inline = \"null\" }", "{}");
    assert_eq!(ignored.outcome, Outcome::Ignored);
    let parked = run("template = { inline = \"not json\" }", "{}");
    assert_eq!(parked.outcome, Outcome::Parked);
    assert!(parked.error.is_some() && !parked.unsupported_type);
    let parked = run("cloudevents = true", "1");
    assert!(parked.unsupported_type && parked.outcome == Outcome::Parked);
}

#[test]
fn a_failed_expression_parks() {
    for key in ["when", "delivery_key"] {
        let parked = run(&format!("{EVENT}{key} = \"body.n / 0\""), "{\"n\": 1}");
        assert_eq!(parked.outcome, Outcome::Parked, "{key}");
        let problem = parked.error.unwrap();
        assert_eq!(problem.code, codes::EXPRESSION_FAILED);
        assert_eq!(problem.place.unwrap().file, "webhooks.toml");
        assert!(
            problem.message.starts_with(&format!("`{key}` failed: ")),
            "{}",
            problem.message
        );
    }
    let ignored = run(
        &format!("{EVENT}when = \"false\"\ndelivery_key = \"body.n / 0\""),
        "{\"n\": 1}",
    );
    assert_eq!(
        ignored.outcome,
        Outcome::Ignored,
        "what is ignored needs no key"
    );
}

#[test]
fn delivery_keys() {
    let key = |expression: &str, body: &str| {
        let lines = format!("{EVENT}delivery_key = \"{expression}\"");
        let translation = run(&lines, body);
        assert_eq!(
            translation.outcome,
            Outcome::Accepted,
            "{:?}",
            translation.error
        );
        (translation.keys, translation.key)
    };
    let delivery = |text: &str| (Keys::Delivery(text.to_owned()), Some(text.to_owned()));
    assert_eq!(key("body.id", "{\"id\": \"a\"}"), delivery("a"));
    assert_eq!(key("body.id", "{\"id\": 17}"), delivery("17"));
    assert_eq!(key("body.id", "{\"id\": true}"), delivery("true"));
    assert_eq!(key("headers['X-Id']", "{}"), delivery("d-1"));
    for nothing in ["{}", "{\"id\": null}", "{\"id\": \" \"}"] {
        assert_eq!(key("body.id", nothing), (Keys::None, None), "{nothing}");
    }
    let long = "x".repeat(513);
    let (Keys::Delivery(hash), _) = key("body.id", &format!("{{\"id\": \"{long}\"}}")) else {
        panic!()
    };
    assert_eq!(hash, hex::encode(Sha256::digest(long.as_bytes())));
    let longest = "x".repeat(512);
    assert_eq!(
        key("body.id", &format!("{{\"id\": \"{longest}\"}}")),
        delivery(&longest)
    );
}

#[test]
fn a_list_of_keys_is_as_long_as_the_events() {
    let lines = format!("{LIST}delivery_key = \"body.ids\"");
    let good = run(&lines, r#"{"items_": ["a", "b"], "ids": ["1", 2]}"#);
    assert_eq!(good.outcome, Outcome::Accepted, "{:?}", good.error);
    assert_eq!(good.keys, Keys::PerEvent(vec!["1".into(), "2".into()]));
    assert_eq!(good.key, None);
    assert_ne!(good.events[0].id, good.events[1].id);
    for bad in [
        r#"{"items_": ["a", "b"], "ids": ["1"]}"#,
        r#"{"items_": ["a"], "ids": []}"#,
        r#"{"items_": ["a"], "ids": [null]}"#,
    ] {
        let parked = run(&lines, bad);
        assert_eq!(parked.outcome, Outcome::Parked, "{bad}");
        assert_eq!(parked.keys, Keys::None);
        assert_eq!(
            parked.error.unwrap().code,
            codes::EXPRESSION_FAILED,
            "{bad}"
        );
    }
    let none = run(&lines, r#"{"items_": [], "ids": []}"#);
    assert_eq!(none.outcome, Outcome::Ignored);
}

#[test]
fn keys_of_cloudevents_are_each_events_own() {
    let text = "POST / HTTP/1.1\nContent-Type: application/cloudevents+json\n\n\
                {\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}";
    let request = http_file::parse(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
    let (config, _folder) = config(&webhook("cloudevents = true"), &[]);
    let translation = translate(&config.webhooks[0], &request);
    assert!(matches!(&translation.keys, Keys::PerEvent(keys) if keys.len() == 1));
    assert!(translation.key.is_some());
    let (config, _folder) =
        self::config(&webhook("cloudevents = true\ndelivery_key = \"none\""), &[]);
    assert_eq!(translate(&config.webhooks[0], &request).keys, Keys::None);
}

#[test]
fn a_providers_key_is_used() {
    let lines = format!("provider = \"github\"\nsecret = {{ env = \"X\" }}\n{EVENT}");
    let (config, _folder) = config(&webhook(&lines), &[]);
    let mut request = request("{}");
    request
        .headers
        .push("X-GitHub-Delivery", "fake-delivery-0001");
    let translation = translate(&config.webhooks[0], &request);
    assert_eq!(translation.key.as_deref(), Some("fake-delivery-0001"));
    let verdict = verify(&config.webhooks[0], &request, Timestamp::UNIX_EPOCH);
    assert_eq!(
        verdict.failure.map(|p| p.code),
        Some(codes::CREDENTIAL_MISSING)
    );
}

fn shown(result: &TestResult) -> String {
    match &result.failure {
        None => format!("{} passed", result.name),
        Some(TestFailure::Events { expected, found }) => {
            format!("{}:\n{expected}\n{found}", result.name)
        }
        Some(TestFailure::Request(p)) => format!("{} request {}", result.name, p.code),
        Some(TestFailure::Unverified(p)) => format!("{} unverified {}", result.name, p.code),
        Some(TestFailure::Failed(p)) => format!("{} failed {}", result.name, p.code),
        Some(TestFailure::OtherError { expected, found }) => {
            format!(
                "{} error {expected} {:?}",
                result.name,
                found.as_ref().map(|p| p.code)
            )
        }
    }
}

#[test]
fn tests_of_webhooks_run() {
    let test = |name: &str, lines: &str| {
        format!("[[webhook.test]]\nname = \"{name}\"\nrequest = \"r.http\"\n{lines}\n")
    };
    let toml = [
        webhook(&format!(
            "provider = \"github\"\nsecret = {{ env = \"X\" }}\nwhen = \"body.n != 0\"\n{EVENT}"
        )),
        test("passes", "expect = [{ event = \"e\" }]"),
        test("says nothing", ""),
        test("other event", "expect = [{ event = \"f\", payload = {} }]"),
        test("more events", "expect = []"),
        test("no error", "expect_error = \"HG0303\""),
        test("signed", "verify = true"),
        test(
            "unsigned as expected",
            "verify = true\nexpect_error = \"HG0501\"",
        ),
        test("gone", "").replace("r.http", "none.http"),
    ]
    .concat();
    let (config, _folder) = config(&toml, &[("r.http", "POST / HTTP/1.1\n\n{\"n\": 1}")]);
    let results = check_tests(&config, None);
    let said: Vec<_> = results.iter().map(shown).collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    passes passed
    says nothing passed
    other event:
    [
      {
        "event": "f",
        "payload": {}
      }
    ]
    [
      {
        "event": "e",
        "payload": {}
      }
    ]
    more events:
    []
    [
      {
        "event": "e",
        "resource": {
          "prefect.resource.id": "r"
        }
      }
    ]
    no error error HG0303 None
    signed unverified HG0501
    unsigned as expected passed
    gone request HG0101
    "#);
    assert_eq!(check_tests(&config, Some("signed")).len(), 1);
    assert!(check_tests(&config, Some("nothing")).is_empty());
}

/// What `when` and `delivery_key` cost beside the event, where all three read the body. Run with
/// `cargo test --release … -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn cost_of_expressions() {
    let filler: Vec<String> = (0..100)
        .map(|i| format!("\"url_{i}\": \"https://api.github.com/repos/octo/hello\""))
        .collect();
    let body = format!("{{\"id\": \"d-1\", \"go\": true, {}}}", filler.join(", "));
    let event =
        "event = { event = \"e.{{ body.id }}\", resource = { \"prefect.resource.id\" = \"r\" } }\n";
    let rounds = 20_000;
    for more in [
        "",
        "when = \"body.go\"\n",
        "when = \"body.go\"\ndelivery_key = \"body.id\"\n",
    ] {
        let (config, _folder) = config(&webhook(&format!("{event}{more}")), &[]);
        let request = request(&body);
        let started = std::time::Instant::now();
        for _ in 0..rounds {
            let made = translate(&config.webhooks[0], &request);
            assert_eq!(std::hint::black_box(made).events.len(), 1);
        }
        println!(
            "{} bytes, {more:?}: {:?} each",
            body.len(),
            started.elapsed() / rounds
        );
    }
}

const ALERTS: &str = r#"each = "body.alerts"
event = { event = "alert.{{ item.status }}", resource = { "prefect.resource.id" = "alert.{{ item.id }}", host = "{{ item.host }}" }, payload = { all = "{{ body.alerts|length }}", alert = "{{ item }}" } }
"#;

#[test]
fn each_item_of_a_list_gives_an_event() {
    let made = run(
        ALERTS,
        r#"{"alerts": [{"id": 1, "status": "firing", "host": "a"}, {"id": 2, "status": "resolved", "host": "b"}]}"#,
    );
    let events: Vec<serde_json::Value> = made
        .events
        .iter()
        .map(|event| serde_json::to_value(event).unwrap())
        .collect();
    assert_eq!(events.len(), 2, "{:?}", made.error);
    assert_eq!(events[1]["event"], "alert.resolved");
    assert_eq!(events[1]["resource"]["prefect.resource.id"], "alert.2");
    assert_eq!(events[1]["payload"]["all"], 2);
    assert_eq!(events[1]["payload"]["alert"]["host"], "b");
    for none in [r#"{"alerts": []}"#, "{}", r#"{"alerts": null}"#] {
        assert_eq!(run(ALERTS, none).outcome, Outcome::Ignored, "{none}");
    }
    let wrong = run(ALERTS, r#"{"alerts": {"id": 1}}"#).error.unwrap();
    assert_eq!(wrong.code, codes::EXPRESSION_FAILED);
    assert!(
        wrong.message.contains("`each` gives no list: {'id': 1}"),
        "{wrong:?}"
    );
    let keyed = format!("{ALERTS}delivery_key = \"body.alerts|map(attribute='id')|list\"\n");
    let made = run(
        &keyed,
        r#"{"alerts": [{"id": 7, "status": "s"}, {"id": 8, "status": "s"}]}"#,
    );
    assert_eq!(made.keys, Keys::PerEvent(vec!["7".into(), "8".into()]));
}

#[test]
fn an_undefined_value_is_noted_or_parks() {
    let body = r#"{"alerts": [{"id": 1, "status": "firing", "hst": "a"}]}"#;
    let noted = run(ALERTS, body);
    assert_eq!(noted.outcome, Outcome::Accepted);
    let note = noted
        .notes
        .first()
        .map(|n| n.message.as_str())
        .unwrap_or_default();
    assert!(
        note.contains("`resource.host`: The template reads `item.host`")
            && note.contains("`item.hst`"),
        "{note}"
    );
    let strict = run(&format!("{ALERTS}undefined = \"error\"\n"), body);
    assert_eq!(strict.outcome, Outcome::Parked);
    let problem = strict.error.unwrap();
    assert_eq!(problem.code, codes::UNDEFINED_VALUE);
    assert_eq!(problem.place.map(|place| place.line > 1), Some(true));
    assert_eq!(problem.help.as_deref(), Some("Did you mean `item.hst`?"));
    let good = r#"{"alerts": [{"id": 1, "status": "firing", "host": "a"}]}"#;
    let fine = run(&format!("{ALERTS}undefined = \"error\"\n"), good);
    assert_eq!(fine.outcome, Outcome::Accepted, "{:?}", fine.error);
}
