//! What the forms of pages do: dead letters, sinks, replays; and what is kept of who did it.

use super::html;
use super::model::{HOSTILE, World, config, dead_letter, world, world_of};
use super::{Answer, get, send};
use crate::admin::{Admin, configure};
use actix_web::test::TestRequest;
use actix_web::{App, test};
use serde_json::Value;
use std::sync::Arc;

const SINKS: &str = r#"
[[sink]]
name = "prefect"
kind = "http"
url = "http://127.0.0.1:9/"
token = { file = "token" }

[[sink]]
name = "file"
kind = "ndjson"
path = "events.ndjson"
"#;

/// Loads a page, and sends the form that it holds for this address with further fields.
pub(super) async fn submit(admin: &Arc<Admin>, page: &str, action: &str, fields: &str) -> Answer {
    let app = test::init_service(App::new().configure(configure(Arc::clone(admin)))).await;
    let peer = "127.0.0.1:50000".parse().unwrap();
    let shown = get(page)
        .insert_header(("accept", "text/html"))
        .peer_addr(peer);
    let shown = test::call_service(&app, shown.to_request()).await;
    let shown = test::read_body(shown).await;
    let shown = String::from_utf8(shown.to_vec()).unwrap();
    assert!(
        shown.contains(&format!("action=\"{action}\"")),
        "{action}: {shown}"
    );
    let token = shown.split("name=\"form_token\" value=\"").nth(1).unwrap();
    let token = token.split('"').next().unwrap();
    let request = TestRequest::post()
        .uri(action)
        .insert_header(("host", "127.0.0.1:8081"))
        .insert_header(("sec-fetch-site", "same-origin"))
        .insert_header(("accept", "text/html"))
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .set_payload(format!("form_token={token}&{fields}"))
        .peer_addr(peer);
    let response = test::call_service(&app, request.to_request()).await;
    Answer {
        status: response.status(),
        headers: response.headers().clone(),
        body: test::read_body(response).await.to_vec(),
    }
}

/// Own events that were recorded: name and payload.
pub(super) fn recorded(world: &World) -> Vec<(String, Value)> {
    let appended = world.log.appended.lock().unwrap();
    let events = appended.iter().flat_map(|append| &append.delivery.events);
    let payload = |event: &crate::model::Event| serde_json::from_str(event.payload.get()).unwrap();
    events
        .map(|event| (event.event.clone(), payload(event)))
        .collect()
}

async fn with_sinks(letters: i64) -> World {
    let world = world_of(
        config(None, SINKS),
        super::model::world(None, 7).feed.rows.clone(),
        Vec::new(),
    );
    world
        .state
        .dead
        .lock()
        .unwrap()
        .extend((1..=letters).map(dead_letter));
    let config = world.admin.config.current();
    world.admin.forwarders.apply(&config.sinks[..1]).await;
    world
}

#[actix_web::test]
async fn dead_letters_are_grouped_and_say_what_would_help() {
    let world = with_sinks(4).await;
    {
        let mut dead = world.state.dead.lock().unwrap();
        dead[0].reason = "the sink answered 401".to_owned();
        dead[1].reason = HOSTILE.to_owned();
    }
    let page = html::page(&world.admin, "/dead-letters").await;
    html::links_work(&world.admin, &page).await;
    assert_eq!(page.all("section[aria-labelledby^=g]").len(), 3);
    assert!(
        page.says("token") && page.says("{ file = \"token\" }"),
        "{}",
        page.text("main")
    );
    assert!(page.says(HOSTILE) && page.all("main script, main img").is_empty());
    assert!(
        page.text("h1").contains("Dead letters") && page.says("4 events were refused for good")
    );
    let page = html::page(
        &world.admin,
        "/dead-letters?reason=the+sink+answered+401&plan=retry",
    )
    .await;
    assert!(
        page.text("[aria-labelledby=plan]")
            .contains("send 1 event again")
    );
    let page = html::page(&world.admin, "/dead-letters?q=webhook:nobody").await;
    assert!(page.says("None of this kind"));
    let page = html::page(&world.admin, "/dead-letters?q=webhok:x").await;
    assert!(page.says("cannot be read"));
    let calm = super::model::world(None, 3);
    let page = html::page(&calm.admin, "/dead-letters").await;
    assert!(page.says("Nothing is stuck"), "{}", page.text("main"));
}

#[actix_web::test]
async fn a_retry_is_planned_and_a_discard_is_typed() {
    let world = with_sinks(3).await;
    let admin = &world.admin;
    let fields = "sink=prefect&until=3";
    let discard = "/dead-letters/discard";
    for (more, why) in [
        ("", "needs a reason"),
        ("&why=old", "is not the number"),
        ("&why=old&count=2", "is not the number"),
    ] {
        let answer = submit(admin, "/dead-letters", discard, &format!("{fields}{more}")).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains(why), "{}", answer.text());
    }
    assert_eq!(world.state.dead.lock().unwrap().len(), 3);
    let plan = "/dead-letters?plan=retry";
    let answer = submit(admin, plan, "/dead-letters/retry", "sink=prefect&until=1").await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    // Nobody listens there.
    assert_eq!(
        answer.header("location"),
        "/dead-letters?sink=prefect&delivered=0&failed=1&left=0"
    );
    let page = html::page(admin, answer.header("location")).await;
    assert!(page.says("1 refused again"));
    // A fourth comes while the reader looks at three.
    world.state.dead.lock().unwrap().push(dead_letter(4));
    let answer = submit(
        admin,
        "/dead-letters",
        discard,
        &format!("{fields}&why=old+ones&count=3"),
    )
    .await;
    assert_eq!(
        answer.header("location"),
        "/dead-letters?discarded=3",
        "{}",
        answer.text()
    );
    assert_eq!(world.state.dead.lock().unwrap()[0].id, 4);
    let recorded = recorded(&world);
    let names: Vec<_> = recorded.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "hookgate.dead_letters.retried",
            "hookgate.dead_letters.discarded"
        ]
    );
    let payload = &recorded[1].1;
    assert_eq!(
        (&payload["count"], &payload["reason"]),
        (&3.into(), &"old ones".into())
    );
    assert_eq!(
        (&payload["by"]["kind"], &payload["from"]),
        (&"loopback".into(), &"127.0.0.1".into())
    );
}

#[actix_web::test]
async fn sinks_are_held_and_let_go() {
    let world = with_sinks(2).await;
    let admin = &world.admin;
    let page = html::page(admin, "/sinks").await;
    html::links_work(admin, &page).await;
    assert!(
        page.says("prefect") && page.says("2 dead letters"),
        "{}",
        page.text("main")
    );
    let answer = submit(admin, "/sinks", "/sinks/prefect/hold", "back=/sinks").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (303, "/sinks")
    );
    let page = html::page(admin, "/sinks/prefect").await;
    html::links_work(admin, &page).await;
    assert!(page.text("h1").contains("Held") && page.text(".notices").contains("prefect is held"));
    assert!(page.says("http://127.0.0.1:9/") && !page.says(super::model::TOKEN));
    let away = submit(
        admin,
        "/sinks",
        "/sinks/prefect/resume",
        "back=//evil.example",
    )
    .await;
    assert_eq!(away.header("location"), "/");
    assert!(
        html::page(admin, "/sinks/prefect")
            .await
            .all("form[action$=hold]")
            .len()
            == 1
    );
    send(admin, get("/sinks/none")).await.problem(404, "HG0801");
    let answer = submit(admin, "/sinks", "/sinks/prefect/test", "").await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    let names: Vec<_> = recorded(&world).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["hookgate.sink.held", "hookgate.sink.resumed"]);
}

#[actix_web::test]
async fn no_sink_and_no_letter_have_their_words() {
    let world = world(None, 1);
    let page = html::page(&world.admin, "/sinks").await;
    assert!(page.says("No sink is configured"));
}

#[actix_web::test]
async fn the_page_of_a_delivery_offers_what_can_be_done() {
    let world = with_sinks(1).await;
    let path = |n| format!("/deliveries/{}", super::model::id(n));
    let page = html::page(&world.admin, &path(1)).await;
    let forms = page.all("form[action$=replay]");
    assert!(!forms.is_empty() && page.says("Replay"));
    assert!(
        page.says("Retry now") && page.says("Hold prefect"),
        "{}",
        page.text("#forwarded")
    );
    // Nobody knows who sent this one.
    let page = html::page(&world.admin, &path(7)).await;
    assert!(page.all("form[action$=replay]").is_empty());
}

#[actix_web::test]
async fn settings_show_what_runs_and_no_secret() {
    let world = world_of(
        config(Some(super::model::TOKEN), SINKS),
        Vec::new(),
        Vec::new(),
    );
    let admin = &world.admin;
    let bearer = ("authorization", format!("Bearer {}", super::model::TOKEN));
    for tab in ["config", "tokens", "storage", "about"] {
        let path = format!("/settings?tab={tab}");
        let answer = send(admin, get(&path).insert_header(bearer.clone())).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = answer.text();
        assert!(!text.contains(super::model::TOKEN), "{text}");
        if tab == "config" {
            assert!(
                text.contains("sink.prefect.token") && text.contains("file = &quot;token&quot;"),
                "{text}"
            );
        }
    }
}

#[actix_web::test]
async fn the_audit_page_links_to_what_was_done() {
    let sinks = world(None, 0);
    for (n, name) in ["hookgate.sink.held", "hookgate.dead_letters.discarded"]
        .into_iter()
        .enumerate()
    {
        let admin = &sinks.admin;
        let actor = crate::admin::actor::Actor {
            who: crate::admin::actor::Who::Token {
                id: "abc".to_owned(),
                name: HOSTILE.to_owned(),
            },
            from: Some("192.0.2.7".parse().unwrap()),
        };
        let id = ["hookgate.sink.prefect", "hookgate.dead_letters"][n];
        actor.record(
            admin,
            name,
            (id, HOSTILE),
            serde_json::json!({ "reason": HOSTILE }),
        );
    }
    let appended = std::mem::take(&mut *sinks.log.appended.lock().unwrap());
    let rows = appended.into_iter().enumerate().map(|(n, append)| {
        let mut row = super::model::delivery(n as u64 + 1, crate::model::Outcome::Accepted);
        row.delivery = append.delivery;
        row
    });
    let world = world_of(config(None, ""), rows.collect(), Vec::new());
    let page = html::page(&world.admin, "/audit").await;
    assert_eq!(page.all("tbody tr").len(), 2, "{}", page.text("main"));
    assert!(page.says("192.0.2.7") && page.says("sink held") && page.says(HOSTILE));
    assert!(page.links().contains(&"/sinks/prefect".to_owned()));
    let page = html::page(&world.admin, "/audit?what=sinks&who=token").await;
    assert_eq!(page.all("tbody tr").len(), 1, "{}", page.text("main"));
    let page = html::page(&world.admin, "/audit?who=someone").await;
    assert_eq!(page.all("tbody tr").len(), 2, "{}", page.text("main"));
    let page = html::page(&world.admin, "/audit?who=loopback&since=7d").await;
    assert!(page.says("Nothing of this kind"));
}
