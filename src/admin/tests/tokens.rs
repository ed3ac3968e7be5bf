//! Tokens, scopes and sessions: who may do what.

use super::acts::{recorded, submit};
use super::html;
use super::model::{TOKEN, WEBHOOKS, World, config, id, world, world_of};
use super::{get, post, send, send_from};
use crate::admin::configure;
use crate::state::Scope;
use actix_web::dev::ServiceResponse;
use actix_web::test::{self, TestRequest};
use actix_web::{App, http::Method};

fn bearer(request: TestRequest, token: &str) -> TestRequest {
    request.insert_header(("authorization", format!("Bearer {token}")))
}

/// Makes a token with these scopes; gives its id and itself.
fn token_of(world: &World, scopes: &[Scope]) -> (String, String) {
    let made = world.admin.access.create("test", scopes.to_vec(), None);
    let (row, token) = made.unwrap();
    (row.id, token.expose().to_owned())
}

#[actix_web::test]
async fn every_scope_opens_its_own_doors_and_no_others() {
    let world = world(Some(TOKEN), 3);
    let delivery = id(2);
    let calls = [
        ("GET", "/api/v1/events".to_owned(), Scope::EventsRead),
        ("GET", "/api/v1/events/facets".to_owned(), Scope::EventsRead),
        (
            "GET",
            "/api/v1/deliveries".to_owned(),
            Scope::DeliveriesRead,
        ),
        (
            "GET",
            format!("/api/v1/deliveries/{delivery}"),
            Scope::DeliveriesRead,
        ),
        (
            "GET",
            format!("/api/v1/deliveries/{delivery}/request"),
            Scope::DeliveriesRaw,
        ),
        (
            "POST",
            format!("/api/v1/deliveries/{delivery}/replay"),
            Scope::Replay,
        ),
        ("POST", "/api/v1/replays".to_owned(), Scope::Replay),
        ("POST", "/api/v1/render".to_owned(), Scope::Render),
        ("GET", "/api/v1/dead-letters".to_owned(), Scope::DeadLetters),
        (
            "POST",
            "/api/v1/dead-letters/retry".to_owned(),
            Scope::DeadLetters,
        ),
        (
            "POST",
            "/api/v1/dead-letters/discard".to_owned(),
            Scope::DeadLetters,
        ),
        ("GET", "/api/v1/sinks".to_owned(), Scope::Sinks),
        ("POST", "/api/v1/sinks/none/pause".to_owned(), Scope::Sinks),
        ("GET", "/api/v1/webhooks".to_owned(), Scope::ConfigRead),
        (
            "POST",
            "/api/v1/webhooks/none/secret/reveal".to_owned(),
            Scope::ConfigWrite,
        ),
        (
            "POST",
            "/api/v1/config/reload".to_owned(),
            Scope::ConfigWrite,
        ),
        ("GET", "/api/v1/tokens".to_owned(), Scope::Admin),
        ("POST", "/api/v1/tokens".to_owned(), Scope::Admin),
        ("DELETE", "/api/v1/tokens/none".to_owned(), Scope::Admin),
        ("GET", "/dead-letters".to_owned(), Scope::DeadLetters),
        (
            "POST",
            "/dead-letters/discard".to_owned(),
            Scope::DeadLetters,
        ),
        ("GET", "/sinks".to_owned(), Scope::Sinks),
        ("GET", "/settings".to_owned(), Scope::ConfigRead),
        ("POST", "/settings/tokens".to_owned(), Scope::Admin),
        ("POST", "/settings/reload".to_owned(), Scope::ConfigWrite),
        ("GET", "/audit".to_owned(), Scope::EventsRead),
    ];
    for (method, path, needed) in calls {
        for scope in Scope::ALL {
            let (_, token) = token_of(&world, &[scope]);
            let request = TestRequest::with_uri(&path)
                .method(Method::from_bytes(method.as_bytes()).unwrap())
                .insert_header(("host", "127.0.0.1:8081"))
                .insert_header(("content-type", "application/json"))
                .set_payload("{}");
            let answer = send(&world.admin, bearer(request, &token)).await;
            if scope == needed || scope == Scope::Admin {
                assert!(
                    !matches!(answer.status.as_u16(), 401 | 403),
                    "{method} {path} {scope:?}: {}",
                    answer.text()
                )
            } else {
                let problem = answer.problem(403, "HG0808");
                let detail = problem["detail"].as_str().unwrap();
                assert!(
                    detail.contains(&format!("`{}`", needed.as_str())),
                    "{detail}"
                );
            }
        }
    }
    // What is for everyone who has a token, and what needs two scopes.
    let (_, render) = token_of(&world, &[Scope::Render]);
    for (path, status) in [
        ("/api/v1/schema/event.json", 200),
        ("/docs/errors", 200),
        ("/", 403),
        ("/metrics", 200),
    ] {
        let answer = send(&world.admin, bearer(get(path), &render)).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
    // A route that nobody put into the table is closed.
    let answer = send(&world.admin, bearer(get("/api/v1/nothing"), &render)).await;
    answer.problem(403, "HG0808");
}

#[actix_web::test]
async fn tokens_are_made_shown_once_and_revoked() {
    let world = world(None, 1);
    let admin = &world.admin;
    for (body, why) in [
        (r#"{"name": "a", "scopes": ["event:read"]}"#, "no scope"),
        (r#"{"name": "a", "scopes": []}"#, "needs scopes"),
        (r#"{"name": "", "scopes": ["sinks"]}"#, "characters"),
        (
            r#"{"name": "a", "scopes": ["sinks"], "expires_in": "soon"}"#,
            "length of time",
        ),
    ] {
        let problem = send(admin, post("/api/v1/tokens", body))
            .await
            .problem(400, "HG0803");
        assert!(
            problem["detail"].as_str().unwrap().contains(why),
            "{problem}"
        );
    }
    let body = r#"{"name": "nightly", "scopes": ["sinks"], "expires_in": "90d"}"#;
    let keyed = || post("/api/v1/tokens", body).insert_header(("idempotency-key", "once"));
    let answer = send(admin, keyed()).await;
    assert_eq!(answer.status, 201);
    let made = answer.json();
    let (id, token) = (
        made["id"].as_str().unwrap(),
        made["token"].as_str().unwrap(),
    );
    assert!(token.starts_with(&format!("hg_{id}_")), "{made}");
    // A token that is limited does not close the door to who is on this machine; it is held to what it may do.
    assert_eq!(send(admin, get("/api/v1/events")).await.status, 200);
    let limited = || bearer(get("/api/v1/events"), token);
    send(admin, limited()).await.problem(403, "HG0808");
    let sinks = send_from(admin, bearer(get("/api/v1/sinks"), token), "192.0.2.1:1").await;
    assert_eq!(sinks.status, 200);
    let listed = send(admin, get("/api/v1/tokens")).await.text();
    assert!(
        listed.contains("nightly")
            && listed.contains("last_used\":\"20")
            && !listed.contains(token)
    );
    let (last, mut other) = (token.chars().last(), token.to_owned());
    other.pop();
    other.push(if last == Some('0') { '1' } else { '0' });
    send(admin, bearer(get("/api/v1/sinks"), &other))
        .await
        .problem(401, "HG0804");
    let delete = |id: &str| post(&format!("/api/v1/tokens/{id}"), "{}").method(Method::DELETE);
    let foreign = delete(id).insert_header(("origin", "http://evil.example"));
    send(admin, foreign).await.problem(403, "HG0805");
    assert_eq!(send(admin, delete(id)).await.status, 200);
    send(admin, delete(id)).await.problem(404, "HG0801");
    // It was revoked: who shows it hears of that, also where none is needed.
    send(admin, limited()).await.problem(401, "HG0804");
    let recorded = recorded(&world);
    let names: Vec<_> = recorded.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["hookgate.token.created", "hookgate.token.revoked"]);
    let secret = token.rsplit('_').next().unwrap();
    assert!(!format!("{recorded:?}").contains(secret));
}

#[actix_web::test]
async fn a_stored_token_for_everything_closes_the_door_of_loopback() {
    let world = world(None, 1);
    let (id, token) = token_of(&world, &[Scope::Admin]);
    send(&world.admin, get("/api/v1/events"))
        .await
        .problem(401, "HG0804");
    let answer = send(&world.admin, bearer(get("/api/v1/events"), &token)).await;
    assert_eq!(answer.status, 200);
    world.admin.access.revoke(&id).unwrap();
    assert_eq!(send(&world.admin, get("/api/v1/events")).await.status, 200);
    // One that has ended opens nothing.
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(30);
    let made = world
        .admin
        .access
        .create("short", vec![Scope::Sinks], Some(soon));
    let (_, token) = made.unwrap();
    while jiff::Timestamp::now() <= soon {
        std::thread::yield_now();
    }
    let request = bearer(get("/api/v1/sinks"), token.expose());
    send(&world.admin, request).await.problem(401, "HG0804");
}

fn cookie_in(answer: &ServiceResponse) -> Option<String> {
    let set = answer.headers().get("set-cookie")?;
    Some(set.to_str().unwrap().to_owned())
}

#[actix_web::test]
async fn people_sign_in_with_a_token_and_out_again() {
    let world = world_of(config(Some(TOKEN), WEBHOOKS), Vec::new(), Vec::new());
    let app = test::init_service(App::new().configure(configure(world.admin.clone()))).await;
    let call = async |request: TestRequest, peer: &str| {
        let request = request
            .peer_addr(peer.parse().unwrap())
            .insert_header(("accept", "text/html"));
        test::call_service(&app, request.to_request()).await
    };
    let here = "127.0.0.1:50000";
    let answer = call(get("/sinks?x=1"), here).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(
        answer.headers().get("location").unwrap(),
        "/sign-in?back=%2Fsinks%3Fx%3D1"
    );
    // A stranger is shown the form and nothing of the gateway.
    let page = test::read_body(call(get("/sign-in?back=/sinks"), "192.0.2.1:1").await).await;
    let page = String::from_utf8(page.to_vec()).unwrap();
    assert!(page.contains("type=\"password\"") && !page.contains("http://127.0.0.1:8080"));
    let form_token = page.split("name=\"form_token\" value=\"").nth(1).unwrap();
    let form_token = form_token.split('"').next().unwrap().to_owned();
    let form = |path: &str, fields: &str| {
        TestRequest::post()
            .uri(path)
            .insert_header(("host", "127.0.0.1:8081"))
            .insert_header(("sec-fetch-site", "same-origin"))
            .insert_header(("content-type", "application/x-www-form-urlencoded"))
            .set_payload(format!("form_token={form_token}&{fields}"))
    };
    let right = format!("token={TOKEN}&back=/sinks");
    let wrong = call(form("/sign-in", "token=fake-wrong-token-0001"), here).await;
    assert_eq!(
        wrong.headers().get("location").unwrap(),
        "/sign-in?wrong=1&back=%2F"
    );
    assert!(cookie_in(&wrong).is_none());
    let foreign = form("/sign-in", &right).insert_header(("sec-fetch-site", "cross-site"));
    assert_eq!(call(foreign, here).await.status(), 403);
    // From elsewhere without TLS it is not done.
    assert_eq!(
        call(form("/sign-in", &right), "192.0.2.1:1").await.status(),
        403
    );
    let secure = form("/sign-in", &right).insert_header(("origin", "https://127.0.0.1:8081"));
    let secure = cookie_in(&call(secure, "192.0.2.1:1").await).unwrap();
    assert!(
        secure.starts_with("__Host-hookgate=") && secure.contains("; Secure"),
        "{secure}"
    );
    let plain = call(form("/sign-in", &right), here).await;
    assert_eq!(plain.headers().get("location").unwrap(), "/sinks");
    let plain = cookie_in(&plain).unwrap();
    assert!(plain.starts_with("hookgate=") && plain.contains("; HttpOnly; SameSite=Strict"));
    assert!(!plain.contains(TOKEN));
    let pair = |cookie: &str| cookie.split(';').next().unwrap().to_owned();
    let with = |request: TestRequest, cookie: &str| request.insert_header(("cookie", pair(cookie)));
    let page = test::read_body(call(with(get("/sinks"), &plain), here).await).await;
    let page = String::from_utf8(page.to_vec()).unwrap();
    assert!(page.contains("Sign out") && !page.contains(TOKEN), "{page}");
    // The cookie without TLS is for this machine alone; the other one for anywhere.
    assert_eq!(
        call(with(get("/sinks"), &plain), "192.0.2.1:1")
            .await
            .status(),
        303
    );
    assert_eq!(
        call(with(get("/sinks"), &secure), "192.0.2.1:1")
            .await
            .status(),
        200
    );
    // A cookie is not enough for a change: another site's form has it, where a browser is old.
    let change = with(form("/sinks/none/hold", ""), &plain);
    assert_eq!(
        call(change.insert_header(("sec-fetch-site", "cross-site")), here)
            .await
            .status(),
        403
    );
    assert_eq!(
        call(with(form("/sinks/none/hold", ""), &plain), here)
            .await
            .status(),
        404
    );
    assert_eq!(
        call(with(form("/sign-out", ""), &plain), here)
            .await
            .status(),
        303
    );
    assert_eq!(call(with(get("/sinks"), &plain), here).await.status(), 303);
    let recorded = recorded(&world);
    let names: Vec<_> = recorded.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "hookgate.signed_in",
            "hookgate.signed_in",
            "hookgate.signed_out"
        ]
    );
    assert!(!format!("{recorded:?}").contains(TOKEN));
}

#[actix_web::test]
async fn a_session_ends_with_its_token_and_has_its_scopes() {
    let world = world(Some(TOKEN), 1);
    let access = &world.admin.access;
    let (id, token) = token_of(&world, &[Scope::Sinks]);
    let settings = world.admin.config.current();
    let identity = access.identify(&settings.admin, &token).unwrap();
    let cookie = access.sign_in(&identity);
    let with = |path: &str| {
        let cookie = format!("hookgate={}", cookie.expose());
        get(path).insert_header(("cookie", cookie))
    };
    assert_eq!(send(&world.admin, with("/sinks")).await.status, 200);
    send(&world.admin, with("/api/v1/tokens"))
        .await
        .problem(403, "HG0808");
    access.revoke(&id).unwrap();
    send(&world.admin, with("/api/v1/sinks"))
        .await
        .problem(401, "HG0804");
    assert!(access.session(&settings.admin, cookie.expose()).is_none());
}

#[actix_web::test]
async fn settings_make_and_revoke_tokens() {
    let world = world(None, 1);
    let admin = &world.admin;
    let fields = "name=nightly&scope=sinks&scope=events:read&expires_in=90d";
    let answer = submit(admin, "/settings?tab=tokens", "/settings/tokens", fields).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    let token = text.split("hg_").nth(1).unwrap();
    let token = format!(
        "hg_{}",
        token
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .next()
            .unwrap()
    );
    assert_eq!(
        send(admin, bearer(get("/api/v1/sinks"), &token))
            .await
            .status,
        200
    );
    let page = html::page(admin, "/settings?tab=tokens").await;
    assert!(
        page.says("nightly") && page.says("events:read") && !page.document.html().contains(&token)
    );
    let id = &admin.access.all()[0].id;
    let revoke = format!("/settings/tokens/{id}/revoke");
    let answer = submit(admin, "/settings?tab=tokens", &revoke, "").await;
    assert_eq!(
        answer.header("location"),
        "/settings?tab=tokens",
        "{}",
        answer.text()
    );
    assert!(admin.access.all().is_empty());
}
