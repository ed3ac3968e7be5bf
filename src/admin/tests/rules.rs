//! Host, token, proxies, other sites: the table that curl would be asked with.

use super::model::{TOKEN, world};
use super::{get, post, send, send_from};
use actix_web::test::TestRequest;

fn with(request: TestRequest, headers: &[(&'static str, &str)]) -> TestRequest {
    headers.iter().fold(request, |request, (name, value)| {
        request.insert_header((*name, (*value).to_owned()))
    })
}

#[actix_web::test]
async fn hosts() {
    let world = world(None, 1);
    for host in [
        "127.0.0.1:8081",
        "10.1.2.3",
        "[::1]:8081",
        "localhost",
        "LocalHost:8081",
        "gate.example.com:8081",
        "Gate.Example.com",
    ] {
        let answer = send(&world.admin, with(get("/api/v1/events"), &[("host", host)])).await;
        assert_eq!(answer.status, 200, "{host}");
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.nip.io:8081",
        "0x7f.1",
        "[::1",
        "[evil]",
        "gate.example.com.evil.example",
        "",
        "localhost:8081@evil.example",
    ] {
        let answer = send(&world.admin, with(get("/api/v1/events"), &[("host", host)])).await;
        answer.problem(421, "HG0806");
    }
    let none = TestRequest::get().uri("/api/v1/events");
    send(&world.admin, none).await.problem(421, "HG0806");
    let twice = get("/livez").append_header(("host", "evil.example"));
    assert_eq!(send(&world.admin, twice).await.status, 421);
    let absolute = get("/").uri("http://evil.example/api/v1/events");
    send(&world.admin, absolute).await.problem(421, "HG0806");
}

#[actix_web::test]
async fn tokens() {
    let open = world(None, 1);
    let closed = world(Some(TOKEN), 1);
    let basic = |text: &str| {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(text);
        format!("Basic {text}")
    };
    let bearer = format!("Bearer {TOKEN}");
    // Without a token, direct requests from loopback are served, no others.
    for peer in [
        "127.0.0.1:1",
        "127.9.9.9:1",
        "[::1]:1",
        "[::ffff:127.0.0.1]:1",
    ] {
        assert_eq!(
            send_from(&open.admin, get("/api/v1/events"), peer)
                .await
                .status,
            200,
            "{peer}"
        );
    }
    let answer = send_from(&open.admin, get("/api/v1/events"), "192.0.2.1:1").await;
    let problem = answer.problem(401, "HG0804");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("set `admin_token`")
    );
    assert_eq!(
        answer.header("www-authenticate"),
        "Bearer realm=\"hookgate\""
    );
    for name in [
        "forwarded",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
    ] {
        let request = get("/api/v1/events").insert_header((name, "for=192.0.2.1"));
        let problem = send(&open.admin, request).await.problem(401, "HG0804");
        assert!(
            problem["detail"].as_str().unwrap().contains(name),
            "{problem}"
        );
        let request = get("/api/v1/events")
            .insert_header((name, "for=192.0.2.1"))
            .insert_header(("authorization", bearer.clone()));
        assert_eq!(send(&closed.admin, request).await.status, 200, "{name}");
    }
    // With one, it is needed everywhere, in either form.
    for (value, status) in [
        (bearer.clone(), 200),
        (format!("bearer  {TOKEN} "), 200),
        (basic(&format!("anyone:{TOKEN}")), 200),
        (basic(TOKEN), 401),
        (format!("Bearer {TOKEN}x"), 401),
        ("Bearer ".to_owned(), 401),
        ("Basic !!".to_owned(), 401),
        (TOKEN.to_owned(), 401),
    ] {
        let request = get("/api/v1/events").insert_header(("authorization", value.clone()));
        assert_eq!(send(&closed.admin, request).await.status, status, "{value}");
    }
    let answer = send(&closed.admin, get("/api/v1/events")).await;
    answer.problem(401, "HG0804");
    assert!(answer.header("www-authenticate").contains("Basic"));
    assert!(!answer.text().contains(TOKEN));
    let page = get("/").insert_header(("accept", "text/html"));
    let answer = send(&closed.admin, page).await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.header("location"), "/sign-in?back=%2F");
    let page = get("/").insert_header(("accept", "text/html"));
    let answer = send(
        &closed.admin,
        page.insert_header(("authorization", "Bearer x")),
    )
    .await;
    assert_eq!(answer.status, 401);
    assert!(answer.text().contains("Bearer"), "{}", answer.text());
    assert!(answer.header("content-type").starts_with("text/html"));
}

#[actix_web::test]
async fn health_needs_no_token() {
    let closed = world(Some(TOKEN), 1);
    for peer in ["127.0.0.1:1", "192.0.2.1:1"] {
        for path in ["/livez", "/readyz", "/livez?verbose", "/readyz?verbose"] {
            assert_eq!(
                send_from(&closed.admin, get(path), peer).await.status,
                200,
                "{path}"
            );
        }
    }
    let metrics = send_from(&closed.admin, get("/metrics"), "192.0.2.1:1").await;
    metrics.problem(401, "HG0804");
    let proxied = get("/metrics").insert_header(("via", "1.1 proxy"));
    assert_eq!(send(&closed.admin, proxied).await.status, 401);
    assert_eq!(send(&closed.admin, get("/metrics")).await.status, 200);
}

#[actix_web::test]
async fn changes_from_other_sites() {
    let open = world(None, 1);
    let body = r#"{"ids": [404]}"#;
    let path = "/api/v1/dead-letters/discard";
    let json = ("content-type", "application/json");
    let plain = || {
        TestRequest::post()
            .uri(path)
            .insert_header(("host", "127.0.0.1:8081"))
            .set_payload(body)
    };
    let own = ("origin", "http://127.0.0.1:8081");
    for headers in [
        vec![own, json],
        vec![("sec-fetch-site", "same-origin"), json],
        vec![
            ("sec-fetch-site", "same-origin"),
            own,
            ("content-type", "application/json; charset=utf-8"),
        ],
    ] {
        let answer = send(&open.admin, with(plain(), &headers)).await;
        assert_eq!(answer.status, 200, "{headers:?} {}", answer.text());
    }
    for headers in [
        vec![],
        vec![json],
        vec![own],
        vec![own, ("content-type", "text/plain")],
        vec![own, ("content-type", "application/x-www-form-urlencoded")],
        vec![("origin", "http://evil.example"), json],
        vec![("origin", "http://127.0.0.1:9999"), json],
        vec![("origin", "null"), json],
        vec![("sec-fetch-site", "cross-site"), own, json],
        vec![("sec-fetch-site", "same-site"), own, json],
        vec![("sec-fetch-site", "none"), own, json],
    ] {
        let answer = send(&open.admin, with(plain(), &headers)).await;
        let problem = answer.problem(403, "HG0805");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains("Content-Type: application/json"),
            "{detail}"
        );
    }
    // A bearer token cannot be added by another site, so it is enough; Basic is not: browsers add it.
    let closed = world(Some(TOKEN), 1);
    let bearer = ("authorization", format!("Bearer {TOKEN}"));
    assert_eq!(
        send(&closed.admin, plain().insert_header(bearer))
            .await
            .status,
        200
    );
    // The base64 of `u:` and the token of the tests.
    let basic = ("authorization", "Basic dTpmYWtlLWFkbWluLXRva2VuLTAwMDE=");
    let answer = send(&closed.admin, plain().insert_header(basic)).await;
    answer.problem(403, "HG0805");
    let answer = send(&closed.admin, post(path, body).insert_header(basic)).await;
    assert_eq!(answer.status, 200);
}

#[actix_web::test]
async fn every_answer_has_the_headers() {
    let open = world(None, 1);
    for path in [
        "/",
        "/livez",
        "/api/v1/events",
        "/api/v1/nothing",
        "/docs/errors/HG0312",
    ] {
        let answer = send(&open.admin, get(path)).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'"),
            "{path}"
        );
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}

#[actix_web::test]
async fn secrets_are_changed_and_shown_only_on_purpose() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("webhooks.toml");
    let toml = "[[webhook]]\nname = \"w\"\nslug = \"fakeslug00000000000001\"\nprovider = \"notion\"\n\
                [[webhook]]\nname = \"open\"\nslug = \"fakeslug00000000000002\"\nverify = \"none\"\nprovider = \"notion\"\n";
    std::fs::write(&file, toml).unwrap();
    let config = crate::config::load(&file, &crate::config::Overrides::default());
    let world = super::model::world_of(config.config.unwrap(), Vec::new(), Vec::new());
    let admin = &world.admin;
    let path = |name: &str, action: &str| format!("/api/v1/webhooks/{name}/secret/{action}");
    // Nothing is learned yet; what is no webhook, or learns nothing, is told apart.
    for action in ["confirm", "forget", "reveal"] {
        send(admin, post(&path("w", action), "{}"))
            .await
            .problem(409, "HG0811");
    }
    for action in ["learn", "confirm", "forget", "reveal"] {
        send(admin, post(&path("none", action), "{}"))
            .await
            .problem(404, "HG0801");
        send(admin, post(&path("open", action), "{}"))
            .await
            .problem(409, "HG0811");
        send(admin, get(&path("w", action)))
            .await
            .problem(405, "HG0802");
    }
    let json = send(admin, post(&path("w", "learn"), "{}")).await.json();
    assert_eq!(json["learned_secret"]["state"], "waiting", "{json}");

    let current = admin.config.current();
    let slot = current.webhooks[0].verifier.learned().unwrap();
    let lesson = crate::learn::Lesson {
        delivery: super::model::id(1),
        from: "192.0.2.1".parse().unwrap(),
        received: jiff::Timestamp::now(),
    };
    let secret = crate::model::Secret::new("secret_fake-0001".to_owned());
    let taught = admin.learner.teach("w", slot, &secret, &lesson);
    assert!(matches!(taught, Ok(crate::learn::Taught::Learned)));
    let shown = send(admin, get("/api/v1/webhooks")).await.text();
    assert!(
        shown.contains("\"state\":\"pending\"") && !shown.contains("secret_fake"),
        "{shown}"
    );
    let page = send(admin, get("/").insert_header(("accept", "text/html")))
        .await
        .text();
    assert!(page.contains("The secret of w is pending") && !page.contains("secret_fake"));
    // Another site's form cannot ask.
    let foreign = actix_web::test::TestRequest::post()
        .uri(&path("w", "reveal"))
        .insert_header(("host", "127.0.0.1:8081"))
        .insert_header(("origin", "https://evil.example"))
        .insert_header(("content-type", "application/json"));
    send(admin, foreign).await.problem(403, "HG0805");
    let revealed = send(admin, post(&path("w", "reveal"), "{}")).await;
    assert_eq!(revealed.json()["secret"], "secret_fake-0001");
    assert_eq!(revealed.header("cache-control"), "no-store");
    let json = send(admin, post(&path("w", "confirm"), "{}")).await.json();
    assert_eq!(json["learned_secret"]["state"], "confirmed", "{json}");
    send(admin, post(&path("w", "reveal"), "{}"))
        .await
        .problem(409, "HG0811");
    send(admin, post(&path("w", "forget"), "{}")).await.json();
    let shown = send(admin, get("/api/v1/webhooks/w")).await.json();
    assert_eq!(shown["learned_secret"]["state"], "missing", "{shown}");
}
