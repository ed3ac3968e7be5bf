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
