//! What an open page asks for: the rows that came behind its place, and what is wrong with what one types.

use super::model::{HOSTILE, config, delivery, world, world_of};
use super::{get, send};
use crate::admin::Admin;
use crate::model::Outcome;
use scraper::{Html, Selector};
use std::sync::Arc;

/// Rows of `/ui/rows`: their places, newest first, and where to go on.
async fn rows(admin: &Arc<Admin>, query: &str) -> (Vec<String>, Html) {
    let answer = send(admin, get(&format!("/ui/rows?{query}"))).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    let html = Html::parse_document(&answer.text());
    let row = Selector::parse("ol > li.row").unwrap();
    let places = html.select(&row).map(|row| attribute(&row, "data-place"));
    (places.collect(), html)
}

fn attribute(element: &scraper::ElementRef<'_>, name: &str) -> String {
    element.attr(name).unwrap_or_default().to_owned()
}

fn of_list(html: &Html, name: &str) -> String {
    let list = Selector::parse("ol[data-place]").unwrap();
    attribute(&html.select(&list).next().unwrap(), name)
}

#[actix_web::test]
async fn what_came_behind_a_place() {
    let world = world(None, 12);
    let (places, html) = rows(&world.admin, "show=deliveries&after=9.0").await;
    assert_eq!(places, ["12.0", "11.0", "10.0"]);
    assert_eq!(of_list(&html, "data-place"), "12.0");
    assert!(!html.html().contains("data-more"));
    // What matches nothing moves the place too.
    let (places, html) = rows(&world.admin, "q=webhook:nobody&after=9.0").await;
    assert!(places.is_empty());
    assert_eq!(of_list(&html, "data-place"), "12.0");
    let (places, _) = rows(&world.admin, "after=12.0").await;
    assert!(places.is_empty());
}

#[actix_web::test]
async fn of_very_much_the_newest_page() {
    let world = world(None, 400);
    let (places, html) = rows(&world.admin, "show=deliveries&after=3.0").await;
    assert_eq!(places.len(), 50);
    assert_eq!(places[0], "400.0");
    assert!(html.html().contains("data-more"));
    assert_eq!(
        of_list(&html, "data-older"),
        "/?show=deliveries&after=351.0"
    );
}

#[actix_web::test]
async fn a_wrong_place_or_search_is_refused_and_what_senders_sent_is_text() {
    let mut row = delivery(1, Outcome::Accepted);
    row.delivery.events[0].event = HOSTILE.to_owned();
    let world = world_of(config(None, ""), vec![row], Vec::new());
    for wrong in ["after=x", "q=resouce:x", "limit=5"] {
        let answer = send(&world.admin, get(&format!("/ui/rows?{wrong}"))).await;
        assert_eq!(answer.status, 400, "{wrong}");
    }
    let text = send(&world.admin, get("/ui/rows")).await.text();
    assert!(!text.contains("<script>") && text.contains("&lt;script"));
}

#[actix_web::test]
async fn completion_says_what_is_wrong() {
    let world = world(None, 3);
    let ask = async |q: &str| {
        let answer = send(&world.admin, get(&format!("/api/v1/complete?q={q}"))).await;
        answer.json()["wrong"].clone()
    };
    let wrong = ask("webhook:a%20resouce:x").await;
    assert_eq!(wrong["column"], 11, "{wrong}");
    assert!(wrong["help"].as_str().unwrap().contains("resource"));
    assert!(ask("webhook:a").await.is_null());
}
