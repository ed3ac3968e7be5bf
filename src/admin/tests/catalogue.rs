//! The catalogue: every sender has a page, and can be found.

use super::model::{config, world_of};
use super::{get, html, send};

const USED: &str = r#"
[[webhook]]
name = "mine"
slug = "fake-slug-of-22-chars-01"
provider = "github"
secret = { file = "token" }
"#;

#[actix_web::test]
async fn senders_are_found_by_name_header_and_event() {
    let world = world_of(config(None, USED), Vec::new(), Vec::new());
    let page = html::page(&world.admin, "/catalogue").await;
    let all = page.all(".cards > li").len();
    assert!(all > 150, "{all}");
    // What is in use comes first.
    assert!(
        page.text(".cards > li:first-child h2")
            .contains("GitHub in use")
    );
    for (q, found) in [
        ("GITHUB", "GitHub"),
        ("x-hub-signature-256", "GitHub"),
        ("workflow_run", "GitHub"),
        ("stripe", "Stripe"),
    ] {
        let page = html::page(&world.admin, &format!("/catalogue?q={q}")).await;
        let titles = page.text(".cards h2");
        assert!(titles.contains(found), "{q}: {titles}");
        assert!(page.all(".cards > li").len() < all);
    }
    let page = html::page(&world.admin, "/catalogue?q=%3Cscript%3E").await;
    assert!(page.says("None has all of that"));
}

#[actix_web::test]
async fn every_sender_has_a_page() {
    let world = world_of(config(None, USED), Vec::new(), Vec::new());
    let page = html::page(&world.admin, "/catalogue/github").await;
    assert!(
        page.text("[aria-labelledby=how]")
            .contains("x-github-delivery")
    );
    assert!(
        page.text("[aria-labelledby=add]")
            .contains("GITHUB_WEBHOOK_SECRET")
    );
    assert!(page.says("Payload URL"));
    html::links_work(&world.admin, &page).await;
    let page = html::page(&world.admin, "/catalogue/github?sample=push").await;
    assert!(
        page.text("[aria-labelledby=smp] h3")
            .contains("github.push")
    );
    for provider in crate::providers::names(None) {
        let path = format!("/catalogue/{provider}");
        let answer = send(&world.admin, get(&path)).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    send(&world.admin, get("/catalogue/githup"))
        .await
        .problem(404, "HG0801");
    send(&world.admin, get("/catalogue/github?sample=none"))
        .await
        .problem(404, "HG0801");
}

#[actix_web::test]
async fn the_api_has_the_catalogue_too() {
    let world = world_of(config(None, USED), Vec::new(), Vec::new());
    let list = send(&world.admin, get("/api/v1/providers")).await.json();
    let all = list["data"].as_array().unwrap();
    let github = all.iter().find(|p| p["name"] == "github").unwrap();
    assert_eq!(github["signs"], true);
    assert!(
        github["samples"]
            .as_array()
            .unwrap()
            .contains(&"push".into())
    );
    let one = send(&world.admin, get("/api/v1/providers/github"))
        .await
        .json();
    assert_eq!(one["title"], "GitHub");
    assert!(one["template_text"].as_str().unwrap().contains("github."));
    let push = one["samples"].as_array().unwrap();
    let push = push.iter().find(|s| s["name"] == "push").unwrap();
    assert!(push["request"].as_str().unwrap().starts_with("POST "));
    assert!(push["events"].is_array());
    let missing = send(&world.admin, get("/api/v1/providers/githup")).await;
    missing.problem(404, "HG0801");
}
