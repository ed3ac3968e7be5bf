//! What the API says, and in which shape.

use super::model::{TOKEN, dead_letter, id, request_bytes, world};
use super::model::{WEBHOOKS, config, delivery, world_of};
use super::{get, post, send};
use crate::codes;
use crate::config::reload::ConfigHandle;
use crate::config::{Finding, Overrides, Severity};
use crate::model::Outcome;
use crate::model::{Place, Problem};
use actix_web::test::TestRequest;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[actix_web::test]
async fn errors_are_problems() {
    let world = world(None, 3);
    let a = &world.admin;
    send(a, get("/api/v1/nothing")).await.problem(404, "HG0801");
    send(a, get("/nothing")).await.problem(404, "HG0801");
    send(a, get("/api/v1/events/x"))
        .await
        .problem(404, "HG0801");
    let unknown = format!("/api/v1/deliveries/{}", id(99));
    send(a, get(&unknown)).await.problem(404, "HG0801");
    let answer = send(a, post("/api/v1/events", "{}")).await;
    answer.problem(405, "HG0802");
    assert!(
        answer.header("allow").contains("GET"),
        "{}",
        answer.header("allow")
    );
    let answer = send(a, get("/api/v1/dead-letters/discard")).await;
    answer.problem(405, "HG0802");
    assert!(answer.header("allow").contains("POST"));
    let delete = TestRequest::delete()
        .uri("/api/v1/events")
        .insert_header(("host", "localhost"))
        .insert_header(("origin", "http://localhost"))
        .insert_header(("content-type", "application/json"));
    send(a, delete).await.problem(405, "HG0802");
    let problem = send(a, get("/api/v1/events?limt=3"))
        .await
        .problem(400, "HG0803");
    assert_eq!(problem["errors"][0]["help"], "did you mean `limit`?");
    let problem = send(a, get("/api/v1/events?q=event:a%20resouce:x")).await;
    let problem = problem.problem(400, "HG0803");
    assert_eq!(problem["errors"][0]["column"], 9, "{problem}");
    assert_eq!(problem["errors"][0]["parameter"], "q");
    assert!(
        problem["errors"][0]["help"]
            .as_str()
            .unwrap()
            .contains("resource")
    );
    send(a, get("/api/v1/events?outcome=fine"))
        .await
        .problem(400, "HG0803");
    let discard = "/api/v1/dead-letters/discard";
    let problem = send(a, post(discard, "{\"ids\": [1,}"))
        .await
        .problem(400, "HG0803");
    assert_eq!(problem["errors"][0]["line"], 1, "{problem}");
    let problem = send(a, post(discard, r#"{"idz": [1]}"#))
        .await
        .problem(400, "HG0803");
    assert!(
        problem["detail"].as_str().unwrap().contains("`ids`"),
        "{problem}"
    );
    send(a, post(discard, r#"{"ids": []}"#))
        .await
        .problem(400, "HG0803");
    let large = format!("{{\"ids\": [{}1]}}", "1,".repeat(8_000_000));
    send(a, post(discard, &large)).await.problem(413, "HG0803");
    world.feed.down.store(true, Ordering::Relaxed);
    let answer = send(a, get("/api/v1/events")).await;
    answer.problem(503, "HG0807");
    assert_eq!(answer.header("retry-after"), "1");
}

#[actix_web::test]
async fn a_page_for_browsers() {
    let world = world(None, 1);
    let html = |path: &str| get(path).insert_header(("accept", "text/html,*/*;q=0.8"));
    let answer = send(&world.admin, html("/nothing%3Cb%3E")).await;
    assert_eq!(answer.status, 404);
    assert!(answer.header("content-type").starts_with("text/html"));
    assert!(answer.text().contains("HG0801") && !answer.text().contains("<b>"));
    send(&world.admin, html("/api/v1/nothing"))
        .await
        .problem(404, "HG0801");
}

#[actix_web::test]
async fn deliveries() {
    let world = world(None, 7);
    let path = format!("/api/v1/deliveries/{}", id(1));
    let answer = send(&world.admin, get(&path)).await;
    let json = answer.json();
    let names: Vec<&str> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        names,
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
            "trace",
            "replays"
        ]
    );
    assert_eq!(json["seq"], 1);
    assert_eq!(json["outcome"], "accepted");
    assert_eq!(
        (&json["code"], &json["error"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(json["events"][0]["event"], "github.push");
    assert!(
        answer.text().contains("12345678901234567890.10"),
        "numbers stay exact"
    );
    let json = send(&world.admin, get(&format!("/api/v1/deliveries/{}", id(5))))
        .await
        .json();
    assert_eq!(json["code"], "HG0312");
    assert_eq!(json["error"]["line"], 9);
    let json = send(&world.admin, get(&format!("/api/v1/deliveries/{}", id(7))))
        .await
        .json();
    assert_eq!((&json["seq"], &json["status"]), (&Value::Null, &401.into()));
    let json = send(
        &world.admin,
        get("/api/v1/deliveries?outcome=parked,rejected"),
    )
    .await
    .json();
    assert_eq!(json["data"].as_array().unwrap().len(), 2);
    let json = send(
        &world.admin,
        get("/api/v1/deliveries?q=outcome:accepted&webhook=gi*"),
    )
    .await;
    assert_eq!(json.json()["data"].as_array().unwrap().len(), 5);
    let json = send(&world.admin, get("/api/v1/deliveries?since=-15m"))
        .await
        .json();
    assert!(json["data"].is_array(), "{json}");
}

#[actix_web::test]
async fn requests() {
    let world = world(None, 7);
    let path = |n| format!("/api/v1/deliveries/{}/request", id(n));
    let answer = send(&world.admin, get(&path(2))).await;
    assert_eq!(answer.header("content-type"), "message/http");
    assert_eq!(answer.body, request_bytes());
    let request = get(&path(2)).insert_header(("accept", "application/json"));
    let json = send(&world.admin, request).await.json();
    assert_eq!(json["method"], "POST");
    assert_eq!(json["headers"][0][0], "content-type");
    assert!(json["body"].as_str().unwrap().contains("refs/heads/main"));
    send(&world.admin, get(&path(1)))
        .await
        .problem(410, "HG0801");
    assert_eq!(
        send(&world.admin, get(&path(7))).await.status,
        200,
        "from the ring"
    );
}

#[actix_web::test]
async fn paging_walks_everything_once() {
    let world = world(None, 40);
    for order in ["asc", "desc"] {
        let mut seen: Vec<(u64, u64)> = Vec::new();
        let mut path = format!("/api/v1/events?limit=7&order={order}");
        loop {
            let answer = send(&world.admin, get(&path)).await;
            let json = answer.json();
            assert_eq!(json["indexed_to"], 40);
            for row in json["data"].as_array().unwrap() {
                let keys: Vec<&str> = row
                    .as_object()
                    .unwrap()
                    .keys()
                    .map(String::as_str)
                    .collect();
                assert_eq!(&keys[..4], ["seq", "index", "delivery", "received"]);
                assert_eq!(
                    &keys[5..],
                    [
                        "occurred", "event", "resource", "related", "payload", "id", "follows"
                    ]
                );
                seen.push((row["seq"].as_u64().unwrap(), row["index"].as_u64().unwrap()));
            }
            let Some(next) = json["next"].as_str() else {
                assert_eq!(answer.header("link"), "");
                break;
            };
            let link = answer.header("link").to_owned();
            assert!(
                link.ends_with("rel=\"next\"") && link.contains(next),
                "{link}"
            );
            path = link.split(['<', '>']).nth(1).unwrap().to_owned();
        }
        // 40 deliveries: 8 parked, 4 rejected beside those.
        assert_eq!(seen.len(), 28, "{order}");
        let mut sorted = seen.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 28);
        if order == "desc" {
            sorted.reverse();
        }
        assert_eq!(seen, sorted);
    }
    let lines = |path: &str| get(path).insert_header(("accept", "application/x-ndjson"));
    let answer = send(&world.admin, lines("/api/v1/events?order=asc")).await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    assert_eq!(answer.text().lines().count(), 28);
    let first: Value = serde_json::from_str(answer.text().lines().next().unwrap()).unwrap();
    assert_eq!(first["seq"], 1);
    let answer = send(&world.admin, lines("/api/v1/deliveries?limit=3")).await;
    assert_eq!(answer.text().lines().count(), 3);
}

#[actix_web::test]
async fn lines_cross_pages() {
    let world = world(None, 450);
    let request = get("/api/v1/deliveries").insert_header(("accept", "application/x-ndjson"));
    let answer = send(&world.admin, request).await;
    assert_eq!(answer.text().lines().count(), 450);
}

#[actix_web::test]
async fn dead_letters() {
    let world = world(None, 1);
    world
        .state
        .dead
        .lock()
        .unwrap()
        .extend((1..=3).map(dead_letter));
    let json = send(&world.admin, get("/api/v1/dead-letters?limit=2"))
        .await
        .json();
    assert_eq!(
        (&json["data"][0]["id"], &json["next"]),
        (&3.into(), &"2".into())
    );
    let json = send(&world.admin, get("/api/v1/dead-letters?limit=2&after=2"))
        .await
        .json();
    assert_eq!(
        (&json["data"][0]["id"], &json["next"]),
        (&1.into(), &Value::Null)
    );
    let body = r#"{"ids": [2, 9]}"#;
    let json = send(&world.admin, post("/api/v1/dead-letters/discard", body))
        .await
        .json();
    assert_eq!(json["data"][0]["result"], "discarded");
    assert_eq!(json["data"][1]["code"], "HG0801");
    assert_eq!(world.state.dead.lock().unwrap().len(), 2);
    send(&world.admin, get("/api/v1/dead-letters/2"))
        .await
        .problem(404, "HG0801");
}

#[actix_web::test]
async fn readiness() {
    let world = world(Some(TOKEN), 1);
    let verbose =
        || get("/readyz?verbose").insert_header(("authorization", format!("Bearer {TOKEN}")));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("webhooks.toml");
    std::fs::write(&file, "").unwrap();
    let loaded = crate::config::load(&file, &Overrides::default());
    let mut config = loaded.config.unwrap();
    config.admin = world.admin.config.current().admin.clone();
    std::fs::write(&file, "\n[server]\nlistne = 1\nx = 1\n").unwrap();
    let handle = ConfigHandle::new(config, Vec::new(), Overrides::default());
    assert!(!handle.reload().ok);
    let mut admin = Arc::into_inner(world.admin).unwrap();
    admin.config = Arc::new(handle);
    let admin = Arc::new(admin);
    let answer = send(&admin, verbose()).await;
    assert_eq!(answer.status, 200, "still ready");
    let text = answer.text();
    assert!(
        text.contains("webhooks.toml:3:1: HG0201") && text.contains("(and 1 more)"),
        "{text}"
    );
    let page = send(
        &admin,
        get("/").insert_header(("authorization", format!("Bearer {TOKEN}"))),
    )
    .await;
    assert!(page.text().contains("was refused 0 s ago"));
    let stranger = send(&admin, get("/readyz?verbose")).await;
    assert!(!stranger.text().contains("slgu") && stranger.text().contains("configuration ok"));
    world.log.writable.store(false, Ordering::Relaxed);
    let answer = send(&admin, get("/readyz")).await;
    assert_eq!(answer.status, 503);
    assert!(
        answer.text().contains("[-] log failed"),
        "{}",
        answer.text()
    );
    assert!(
        send(&admin, verbose())
            .await
            .text()
            .contains("log failed: HG0602 ")
    );
    world.log.writable.store(true, Ordering::Relaxed);
    admin.readiness.drain();
    assert_eq!(send(&admin, get("/readyz")).await.status, 503);
    assert_eq!(send(&admin, get("/livez")).await.text(), "ok\n");
}

#[actix_web::test]
async fn metrics() {
    let world = world(None, 3);
    let answer = send(&world.admin, get("/metrics")).await;
    assert!(
        answer
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    assert!(
        answer.text().contains("hookgate_log_head_seq 3"),
        "{}",
        answer.text()
    );
    assert!(answer.text().ends_with("# EOF\n"));
}

#[actix_web::test]
async fn render() {
    let world = world(None, 3);
    let call = |body: Value| post("/api/v1/render", &body.to_string());
    let template = r#"{"event": "x.{{ body.ref }}", "resource": {"prefect.resource.id": "r"}, "payload": {"ua": {{ headers["User-Agent"] }}}}"#;
    let request = serde_json::json!({"headers": {"User-Agent": "curl"}, "body": {"ref": "a\"b"}});
    let answer = send(
        &world.admin,
        call(serde_json::json!({"template": template, "request": request})),
    )
    .await;
    let json = answer.json();
    assert_eq!(json["outcome"], "accepted", "{json}");
    assert_eq!(json["events"][0]["event"], "x.a\"b");
    let http =
        "POST /hooks/x HTTP/1.1\nContent-Type: application/json\nUser-Agent: t\n\n{\"ref\": 1}";
    let answer = send(
        &world.admin,
        call(serde_json::json!({"template": template, "request": http})),
    )
    .await;
    assert_eq!(answer.json()["events"][0]["payload"]["ua"], "t");
    let encoded = |body: &str| {
        let headers = serde_json::json!({
            "Content-Type": "application/json", "Content-Encoding": "gzip", "User-Agent": "z",
        });
        let request = serde_json::json!({"headers": headers, "body_base64": body});
        call(serde_json::json!({"template": template, "request": request}))
    };
    let gzip = "H4sIAAAAAAACA6tWKkpNU7JSMKwFAKaNQVwKAAAA";
    let answer = send(&world.admin, encoded(gzip)).await;
    assert_eq!(answer.json()["events"][0]["event"], "x.1");
    let answer = send(&world.admin, encoded("e30=")).await;
    assert_eq!(
        answer.problem(422, "HG0103")["errors"][0]["pointer"],
        "/request"
    );
    let answer = send(
        &world.admin,
        call(serde_json::json!({"template": "{% if %}", "request": http})),
    )
    .await;
    let problem = answer.problem(422, "HG0301");
    assert_eq!(problem["errors"][0]["pointer"], "/template");
    assert_eq!(problem["errors"][0]["line"], 1, "{problem}");
    let stored = serde_json::json!({"template": template, "delivery_id": id(2).to_string()});
    let refused = send(&world.admin, call(stored)).await;
    assert!(
        refused.status == 404,
        "the delivery's webhook is gone: {}",
        refused.text()
    );
    for wrong in [
        serde_json::json!({}),
        serde_json::json!({"template": "x"}),
        serde_json::json!({"template": "x", "request": http, "delivery_id": id(1).to_string()}),
        serde_json::json!({"request": http}),
        serde_json::json!({"template": "x", "request": "POST"}),
        serde_json::json!({"template": "x", "request": {"body": "a", "body_base64": "YQ=="}}),
        serde_json::json!({"templat": "x"}),
    ] {
        send(&world.admin, call(wrong)).await.problem(400, "HG0803");
    }
}

#[actix_web::test]
async fn webhooks_and_reload() {
    let rows = vec![delivery(1, Outcome::Accepted), delivery(2, Outcome::Parked)];
    let world = world_of(config(None, WEBHOOKS), rows.clone(), Vec::new());
    let json = send(&world.admin, get("/api/v1/webhooks")).await.json();
    assert_eq!(json["data"][0]["name"], "github");
    assert_eq!(json["data"][0]["verified_by"], "bearer", "{json}");
    assert_eq!(
        json["data"][1]["url"],
        "http://127.0.0.1:8080/hooks/fake-slug-of-22-chars-02"
    );
    assert_eq!(json["data"][1]["translation"], "definition");
    let json = send(&world.admin, get("/api/v1/webhooks/github"))
        .await
        .json();
    assert_eq!(json["last_delivery"]["seq"], 2, "{json}");
    let answer = send(&world.admin, get("/api/v1/webhooks/other")).await;
    let problem = answer.problem(404, "HG0801");
    assert!(problem["detail"].as_str().unwrap().contains("`nightly`"));
    let json = send(&world.admin, post("/api/v1/config/reload", ""))
        .await
        .json();
    assert_eq!(json["ok"], true);
    let finding = Finding {
        severity: Severity::Error,
        problem: Problem::new(codes::UNKNOWN_KEY, "unknown key `slgu`").at(Place {
            file: "webhooks.toml".into(),
            line: 14,
            column: 1,
            end_column: None,
            source: None,
        }),
        webhook: None,
    };
    let world = world_of(config(None, WEBHOOKS), rows, vec![finding]);
    let answer = send(&world.admin, post("/api/v1/config/reload", "{}")).await;
    assert_eq!(answer.problem(422, "HG0201")["errors"][0]["line"], 14);
    let call = serde_json::json!({"delivery_id": id(2).to_string()});
    let json = send(&world.admin, post("/api/v1/render", &call.to_string()))
        .await
        .json();
    assert_eq!(
        json["events"][0]["event"], "github.refs/heads/main",
        "{json}"
    );
    let template = r#"{"event": "other", "resource": {"prefect.resource.id": "r"}}"#;
    let call = serde_json::json!({"delivery_id": id(2).to_string(), "template": template});
    let other = send(&world.admin, post("/api/v1/render", &call.to_string()))
        .await
        .json();
    assert_eq!(other["events"][0]["event"], "other");
    assert_eq!(
        other["events"][0]["id"], json["events"][0]["id"],
        "the webhook's delivery key makes the id, whatever the template"
    );
    let call = serde_json::json!({"webhook": "nightly", "request": "GET /hooks/x\n\n"});
    let json = send(&world.admin, post("/api/v1/render", &call.to_string()))
        .await
        .json();
    assert_eq!(json["events"][0]["event"], "nightly.finished", "{json}");
}

#[actix_web::test]
async fn sinks() {
    let sink = "[[sink]]\nname = \"out\"\nkind = \"ndjson\"\npath = \"-\"\n";
    let world = world_of(
        config(None, sink),
        vec![delivery(1, Outcome::Accepted)],
        Vec::new(),
    );
    let config = world.admin.config.current();
    world.admin.forwarders.apply(&config.sinks).await;
    let json = send(&world.admin, get("/api/v1/sinks")).await.json();
    assert_eq!(
        (&json["data"][0]["name"], &json["data"][0]["kind"]),
        (&"out".into(), &"ndjson".into())
    );
    let json = send(&world.admin, post("/api/v1/sinks/out/pause", ""))
        .await
        .json();
    assert_eq!(json["name"], "out");
    send(&world.admin, post("/api/v1/sinks/none/pause", ""))
        .await
        .problem(404, "HG0801");
    send(&world.admin, post("/api/v1/dead-letters/9/retry", ""))
        .await
        .problem(404, "HG0801");
    let json = send(
        &world.admin,
        post("/api/v1/dead-letters/retry", r#"{"ids": [9]}"#),
    )
    .await
    .json();
    assert_eq!(json["data"][0]["code"], "HG0801");
    let html = send(&world.admin, get(&format!("/deliveries/{}", id(1))))
        .await
        .text();
    assert!(
        html.contains("id=\"forwarded\"") && html.contains(">out</a> <small>"),
        "{html}"
    );
    world
        .admin
        .forwarders
        .stop(std::time::Duration::from_secs(1))
        .await;
}
