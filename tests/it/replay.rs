//! Replay: a template is fixed, and what was parked becomes events.

use crate::harness::fake_sink::{FakeSink, Reply as Answer};
use crate::harness::{Gateway, Setup, slug, wait_for};
use serde_json::{Value, json};

fn webhook(event: &str, more: &str) -> String {
    format!(
        "[[webhook]]\nname = \"shop\"\nslug = \"{}\"\nverify = {{ scheme = \"bearer\", token = {{ env = \"SHOP_TOKEN\" }} }}\n\
         undefined = \"error\"\ndelivery_key = \"body.id\"\n\
         event = {{ event = \"{event}\", resource = {{ \"prefect.resource.id\" = \"order.{{{{ body.id }}}}\" }} }}\n{more}",
        slug(1)
    )
}

fn setup(event: &str, more: &str) -> Setup {
    Setup::new(webhook(event, more)).env("SHOP_TOKEN", "fake-shop-token-0001")
}

const BROKEN: &str = "shop.{{ body.knid }}";
const FIXED: &str = "shop.{{ body.kind }}";

fn post(gateway: &Gateway, body: &Value) -> crate::harness::http::Reply {
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", "Bearer fake-shop-token-0001"),
    ];
    gateway.post(&slug(1), &headers, body.to_string().as_bytes())
}

fn take(gateway: &Gateway, setup: &Setup) {
    gateway.write_config(setup);
    let origin = format!("http://{}", gateway.admin);
    let host = gateway.admin.to_string();
    let headers = [
        ("Host", host.as_str()),
        ("Origin", origin.as_str()),
        ("Content-Type", "application/json"),
    ];
    let taken = gateway.admin("POST", "/api/v1/config/reload", &headers, b"{}");
    assert_eq!(taken.status, 200, "{}", taken.text());
}

#[test]
fn parked_deliveries_are_repaired() {
    let gateway = setup(BROKEN, "").start();
    let parked: Vec<_> = (1..4)
        .map(|id| post(&gateway, &json!({"id": id, "kind": "paid"})))
        .collect();
    assert!(parked.iter().all(|reply| reply.status == 400));
    // Nothing is appended by what fails again.
    let failing = gateway.command(&["replay", "outcome:parked", "--yes", "--json"]);
    assert_eq!(failing.code, 1, "{failing:?}");
    assert_eq!(failing.json().len(), 3);
    assert!(
        failing
            .json()
            .iter()
            .all(|row| row["result"] == "failed" && row["code"] == "HG0312")
    );
    let count = |q: &str| {
        gateway.api(&format!("/api/v1/deliveries?q={q}"))["data"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count("outcome:parked"), 3);

    take(&gateway, &setup(FIXED, ""));
    let plan = gateway.command(&["replay", "outcome:parked", "webhook:shop", "-n", "--json"]);
    let plan = &plan.json()[0];
    let wanted = json!({"shop": 3});
    assert_eq!(
        (&plan["count"], &plan["accepted"], &plan["webhooks"]),
        (&json!(3), &json!(3), &wanted)
    );
    assert_eq!(plan["existing_ids"], 0);
    assert_eq!(count("outcome:accepted"), 0);
    // Nobody is there to say yes.
    let asked = gateway.command(&["replay", "outcome:parked"]);
    assert!(
        asked.code == 2 && asked.err.contains("3 deliveries") && asked.err.contains("--yes"),
        "{asked:?}"
    );

    let done = gateway.command(&["replay", "outcome:parked", "--yes", "--json"]);
    assert_eq!(done.code, 0, "{done:?}");
    let rows = done.json();
    assert!(
        rows.len() == 3
            && rows
                .iter()
                .all(|row| row["result"] == "accepted" && row["events"] == 1)
    );
    for (row, reply) in rows.iter().zip(&parked) {
        let old = gateway.delivery(reply);
        assert_eq!(
            (&old["outcome"], &old["replays"]),
            (&json!("parked"), &json!([row["replay"]]))
        );
        let new = gateway.api(&format!(
            "/api/v1/deliveries/{}",
            row["replay"].as_str().unwrap()
        ));
        assert_eq!(
            (&new["replay_of"], &new["outcome"]),
            (&old["id"], &json!("accepted"))
        );
        assert_eq!(new["events"][0]["event"], "shop.paid");
        // It happened when it was received, not when it was repaired.
        assert_eq!(new["events"][0]["occurred"], old["received"]);
        assert!(
            new["verification"]["checks"][0]["detail"]
                .as_str()
                .unwrap()
                .starts_with("when it came")
        );
    }
    once_only(&gateway);
}

fn once_only(gateway: &Gateway) {
    // The sender may send it again: it is known.
    assert_eq!(post(gateway, &json!({"id": 1, "kind": "paid"})).status, 204);
    let again = gateway.command(&["replay", "outcome:parked", "--yes"]);
    assert!(
        again.code == 1 && again.err.contains("repaired 3"),
        "{again:?}"
    );
    let audit = gateway.api("/api/v1/events?q=event:hookgate.delivery.replayed");
    let payload = &audit["data"][0]["payload"];
    assert_eq!(
        (&payload["accepted"], &payload["query"]),
        (&json!(3), &json!("outcome:parked"))
    );
}

#[test]
fn one_by_its_id_and_some_that_fail() {
    let gateway = setup(FIXED, "").start();
    let good = gateway.delivery(&post(&gateway, &json!({"id": 1, "kind": "paid"})));
    let bad = gateway.delivery(&post(&gateway, &json!({"id": 2})));
    let (good_id, bad_id) = (good["id"].as_str().unwrap(), bad["id"].as_str().unwrap());
    let plan = gateway.command(&["replay", good_id, "--dry-run", "--json"]);
    assert_eq!(plan.json()[0]["existing_ids"], 1);
    let both = gateway.command(&["replay", good_id, bad_id, "-y", "--json"]);
    assert_eq!(both.code, 7, "{both:?}");
    let row = &both.json()[0];
    // The same delivery key, the same event.
    let event = gateway.api(&format!(
        "/api/v1/deliveries/{}",
        row["replay"].as_str().unwrap()
    ));
    assert_eq!(event["events"][0]["id"], good["events"][0]["id"]);

    // A refused sender stays refused.
    let refused = gateway.post(&slug(1), &[], b"{\"id\": 3, \"kind\": \"paid\"}");
    assert_eq!(refused.status, 401);
    let rejected = gateway.command(&["deliveries", "outcome:rejected", "--json"]);
    let rejected = rejected.json()[0]["id"].as_str().unwrap().to_owned();
    let ran = gateway.command(&["replay", &rejected, "--yes", "--json"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.json()[0]["detail"]
            .as_str()
            .unwrap()
            .contains("not verified")
    );
    let unknown = gateway.command(&["replay", "0193c7d0-0000-7000-8000-000000000000", "--yes"]);
    assert_eq!(unknown.code, 6, "{unknown:?}");
    assert_eq!(gateway.command(&["replay", "outcome:fine"]).code, 2);

    by_the_api(&gateway, good_id, bad_id, &rejected);
}

fn by_the_api(gateway: &Gateway, good_id: &str, bad_id: &str, rejected: &str) {
    // By the API, one at a time.
    let origin = format!("http://{}", gateway.admin);
    let host = gateway.admin.to_string();
    let headers = [
        ("Host", host.as_str()),
        ("Origin", origin.as_str()),
        ("Content-Type", "application/json"),
    ];
    let call = |id: &str| {
        gateway.admin(
            "POST",
            &format!("/api/v1/deliveries/{id}/replay"),
            &headers,
            b"{}",
        )
    };
    assert_eq!(call(good_id).json()["result"], "accepted");
    let failed = call(bad_id);
    assert_eq!(
        (failed.status, &failed.json()["code"]),
        (422, &json!("HG0312"))
    );
    assert_eq!(call(rejected).status, 409);

    // Asked for twice with one key, it is done once.
    let once = |key: &str, body: &str| {
        let mut headers = headers.to_vec();
        headers.push(("Idempotency-Key", key));
        gateway.admin("POST", "/api/v1/replays", &headers, body.as_bytes())
    };
    let body = json!({"ids": [good_id]}).to_string();
    let first = once("fake-key-0001", &body);
    let second = once("fake-key-0001", &body);
    assert_eq!((first.status, first.text()), (200, second.text()));
    assert_eq!(
        (
            first.header("idempotency-replayed"),
            second.header("idempotency-replayed")
        ),
        (None, Some("true"))
    );
    assert_eq!(
        once("fake-key-0001", "{\"q\": \"outcome:parked\"}").status,
        422
    );
    assert_ne!(once("fake-key-0002", &body).text(), first.text());
    assert_eq!(once("", &body).status, 400);
}

#[test]
fn kept_events_go_to_a_sink_again() {
    let sink = FakeSink::start(|_, _| Answer::status(200));
    let more = format!(
        "[[sink]]\nname = \"store\"\nkind = \"http\"\nurl = \"{}\"\n",
        sink.url("/in")
    );
    let gateway = setup(FIXED, &more).start();
    for id in 1..4 {
        assert_eq!(
            post(&gateway, &json!({"id": id, "kind": "paid"})).status,
            204
        );
    }
    let ids = || -> Vec<String> { sink.taken().iter().flat_map(|seen| seen.ids()).collect() };
    wait_for("the events", || (ids().len() == 3).then_some(()));
    let ran = gateway.command(&[
        "replay",
        "event:shop.*",
        "--to-sink",
        "store",
        "--yes",
        "--json",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.json().iter().all(|row| row["result"] == "forwarded"));
    let all = ids();
    assert_eq!((all.len(), &all[..3]), (6, &all[3..]));
    // Nothing was translated.
    assert_eq!(gateway.all_events(100).len(), 3);
    let unknown = gateway.command(&["replay", "event:shop.*", "--to-sink", "nowhere", "--yes"]);
    assert_eq!(unknown.code, 6, "{unknown:?}");

    let tested = gateway.command(&["sinks", "test", "store", "--json"]);
    assert_eq!(tested.code, 0, "{tested:?}");
    assert_eq!(
        Some(tested.json()[0]["event"].as_str().unwrap()),
        ids().last().map(String::as_str)
    );
    sink.change(|_, _| Answer::text(401, "who are you?"));
    let ran = gateway.command(&[
        "replay",
        "event:shop.*",
        "--to-sink",
        "store",
        "--yes",
        "--json",
    ]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.json()
            .iter()
            .all(|row| row["result"] == "failed" && row["code"] == "HG0702")
    );
    assert_ne!(gateway.command(&["sinks", "test", "store"]).code, 0);
}
