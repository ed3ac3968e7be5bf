//! The pages: what they show, and that what senders sent is text alone.

use super::model::{HOSTILE, WEBHOOKS, config, id, world, world_of};
use super::{get, send};

fn is_inert(html: &str) -> bool {
    !html.contains("<script>") && !html.contains("<img") && !html.contains("style=")
}

#[actix_web::test]
async fn feed_and_its_pages() {
    let world = world(None, 120);
    let answer = send(&world.admin, get("/")).await;
    let html = answer.text();
    assert_eq!(answer.status, 200, "{html}");
    assert!(answer.header("content-type").starts_with("text/html"));
    assert!(html.contains(&format!("/events/{}", id(1_118))), "{html}");
    assert!(html.contains(&format!("/deliveries/{}", id(120))));
    assert!(html.contains("HG0312") && html.contains("stopped at verify"));
    assert!(is_inert(&html));
    let older = html.split("href=\"/?after=").nth(1).unwrap();
    let older = older.split('"').next().unwrap();
    let html = send(&world.admin, get(&format!("/?after={older}")))
        .await
        .text();
    assert!(html.contains("Newest") && !html.contains(&format!("/events/{}", id(1_118))));
    let html = send(&world.admin, get("/?q=outcome:rejected&show=deliveries"))
        .await
        .text();
    assert!(!html.contains("github.push") && html.contains("rejected"));
    let html = send(&world.admin, get("/?q=webhook:none")).await.text();
    assert!(html.contains("Nothing matches"));
    let html = send(&world.admin, get("/?q=event:a+resouce:%3Cb%3E"))
        .await
        .text();
    assert!(
        html.contains("<mark>resouce:") && html.contains("resource"),
        "{html}"
    );
    assert!(!html.contains("<b>") || html.contains("&lt;b&gt;"));
    let html = send(
        &world.admin,
        get("/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E"),
    )
    .await
    .text();
    assert!(is_inert(&html));
}

#[actix_web::test]
async fn delivery_pages() {
    let world = world(None, 7);
    for (n, words) in [
        (
            2,
            vec![
                "Accepted",
                "1 event: github.push",
                "hmac-sha256",
                "12345678901234567890.10",
            ],
        ),
        (
            5,
            vec![
                "Parked",
                "templates/github.json.j2",
                "<mark>body.after</mark>",
                "data-n=\"9\"",
                "What would help",
            ],
        ),
        (
            7,
            vec!["Rejected", "expected 1a2b3c4d", "HG0503", "not logged"],
        ),
    ] {
        let path = format!("/deliveries/{}", id(n));
        let answer = send(&world.admin, get(&path)).await;
        let html = answer.text();
        assert_eq!(answer.status, 200, "{html}");
        for word in words.iter().filter(|w| !w.contains("1234567")) {
            assert!(html.contains(word), "{word}: {html}");
        }
        assert!(is_inert(&html), "{html}");
        assert!(
            html.contains("&lt;script&gt;"),
            "the hostile text is shown as text"
        );
    }
    let gone = send(&world.admin, get(&format!("/deliveries/{}", id(1))))
        .await
        .text();
    assert!(gone.contains("no longer kept"));
}

#[actix_web::test]
async fn event_pages() {
    let world = world(None, 3);
    let path = format!("/events/{}", id(1_002));
    let html = send(&world.admin, get(&path)).await.text();
    assert!(
        html.contains("12345678901234567890.10") && is_inert(&html),
        "{html}"
    );
    assert!(html.contains("&lt;script&gt;"));
    let html = send(&world.admin, get(&format!("{path}?as=json")))
        .await
        .text();
    assert!(html.contains("<pre") && is_inert(&html));
    assert!(!html.contains(HOSTILE));
}

#[actix_web::test]
async fn documents_and_assets() {
    let world = world(None, 0);
    for (code, title) in crate::codes::ALL {
        let html = send(&world.admin, get(&format!("/docs/errors/{code}")))
            .await
            .text();
        assert!(
            html.contains(&code.to_string()) && html.contains("<h1>"),
            "{title}: {html}"
        );
    }
    let html = send(&world.admin, get("/docs/errors")).await.text();
    assert!(html.contains("HG0101") && html.contains("HG0807"));
    send(&world.admin, get("/docs/errors/HG9999"))
        .await
        .problem(404, "HG0801");
    send(&world.admin, get("/ui/base.html"))
        .await
        .problem(404, "HG0801");
}

#[actix_web::test]
async fn nothing_yet() {
    let world = world_of(config(None, ""), Vec::new(), Vec::new());
    let html = send(&world.admin, get("/")).await.text();
    assert!(html.contains("No webhook yet"), "{html}");
    let world = world_of(config(None, WEBHOOKS), Vec::new(), Vec::new());
    let html = send(&world.admin, get("/")).await.text();
    assert!(html.contains("Waiting for the first request"), "{html}");
    assert!(
        html.contains("http://127.0.0.1:8080/hooks/fake-slug-of-22-chars-02"),
        "{html}"
    );
}
