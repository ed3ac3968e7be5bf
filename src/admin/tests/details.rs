//! What the pages of a feed, a delivery and an event say, as a reader sees it.

use super::html::{self, Page};
use super::model::{HOSTILE, WEBHOOKS, config, delivery, id, world, world_of};
use crate::model::Outcome;

/// Addresses that elements of a kind lead to.
fn hrefs(page: &Page, selector: &str) -> Vec<String> {
    let found = page.all(selector);
    found
        .iter()
        .map(|a| a.attr("href").unwrap().to_owned())
        .collect()
}

#[actix_web::test]
async fn rows_say_what_became_of_requests() {
    let world = world(None, 12);
    let page = html::page(&world.admin, "/").await;
    let states: Vec<_> = page
        .all("li.row")
        .iter()
        .map(|row| row.attr("data-state").unwrap())
        .collect();
    assert_eq!(states.len(), 12);
    assert_eq!(states.iter().filter(|state| **state == "parked").count(), 2);
    let rejected = page.text("li.row[data-state=rejected]");
    assert!(
        rejected.contains("stopped at verify") && rejected.contains("HG0503"),
        "{rejected}"
    );
    assert!(
        rejected.contains("from 203.0.113.9, answered 401"),
        "{rejected}"
    );
    let accepted = page.text("li.row[data-state=accepted]");
    assert!(accepted.contains("github.push github.acme/api") && accepted.contains("1 related"));
    for time in page.all("li.row time") {
        assert!(time.attr("datetime").unwrap().ends_with('Z'));
    }
    let page = html::page(&world.admin, "/?show=deliveries").await;
    let accepted = page.text("li.row[data-state=accepted]");
    assert!(
        accepted.contains("POST 7,412 B → github.push"),
        "{accepted}"
    );
    assert!(accepted.contains("204 in 0.79 ms"), "{accepted}");
    assert_eq!(
        page.one("form[role=search] [name=show]").attr("value"),
        Some("deliveries")
    );
}

#[actix_web::test]
async fn a_search_keeps_its_range_and_finds_its_way_back() {
    let world = world(None, 120);
    let page = html::page(&world.admin, "/?q=webhook:github&show=deliveries").await;
    assert_eq!(
        page.one("input[name=q]").attr("value"),
        Some("webhook:github")
    );
    let older = hrefs(&page, "[data-older]");
    assert!(
        older[0].starts_with("/?q=webhook%3Agithub&show=deliveries&after="),
        "{older:?}"
    );
    let second = html::page(&world.admin, &older[0]).await;
    assert!(second.says("Newest"));
    html::links_work(&world.admin, &second).await;
    // Long ago by any clock that runs these tests.
    let page = html::page(&world.admin, "/?q=webhook:github&range=15m").await;
    let terms = page.text("tbody tr");
    assert!(terms.contains("webhook:github"), "{terms}");
    assert!(terms.contains("the last 15 min"), "{terms}");
    assert_eq!(hrefs(&page, "tbody a.main"), ["/?q=webhook%3Agithub"]);
    assert_eq!(page.one("option[selected]").attr("value"), Some("15m"));
    html::links_work(&world.admin, &page).await;
}

#[actix_web::test]
async fn each_term_that_finds_nothing_can_be_dropped() {
    let world = world(None, 12);
    let page = html::page(&world.admin, "/?q=webhook:github+event:none").await;
    let rows = page.text("tbody tr");
    assert!(rows.contains("webhook:github 12 0 Drop it"), "{rows}");
    assert!(rows.contains("event:none 0 12 Drop it, show 12"), "{rows}");
    assert_eq!(hrefs(&page, "tbody a.main"), ["/?q=webhook%3Agithub"]);
    let page = html::page(&world.admin, "/?q=webhook:github+resouce:x").await;
    assert!(page.text("h1").contains("cannot be read"));
    assert_eq!(page.text(".here mark"), "resouce:x");
    assert!(page.text(".lead").contains("Column 16") && page.text(".lead").contains("resource"));
}

#[actix_web::test]
async fn a_parked_delivery_says_where_and_what_helps() {
    let world = world(None, 12);
    let page = html::page(&world.admin, &format!("/deliveries/{}", id(5))).await;
    assert!(
        page.text("h1")
            .starts_with("Parked body.after is not in the request")
    );
    assert_eq!(page.text(".here mark"), "body.after");
    assert_eq!(page.one(".code .here").attr("data-n"), Some("9"));
    assert!(
        page.text(".alert")
            .contains("give it a default: {{ body.after")
    );
    assert!(
        page.text("#translated header")
            .contains("templates/github.json.j2, line 9, column 17")
    );
    let way: Vec<_> = page
        .all(".way li")
        .iter()
        .map(|li| li.attr("data-state").unwrap())
        .collect();
    assert_eq!(way, ["done", "done", "parked", "done", "done", "unreached"]);
    assert!(page.says("The request is safe here") && page.says("expect_error = \"HG0312\""));
    assert_eq!(hrefs(&page, "[aria-labelledby=same] a").len(), 1);
    assert_eq!(
        hrefs(&page, ".head .button"),
        [
            format!("/deliveries/{}", id(6)),
            format!("/deliveries/{}", id(4))
        ]
    );
}

#[actix_web::test]
async fn a_request_can_be_looked_at_in_every_form() {
    let world = world(None, 3);
    let path = format!("/deliveries/{}", id(2));
    let page = html::page(&world.admin, &path).await;
    assert_eq!(page.text("#received .tabs [aria-current]"), "Pretty");
    let names: Vec<_> = page
        .all(".json [data-path]")
        .iter()
        .map(|li| li.attr("data-path").unwrap().to_owned())
        .collect();
    assert!(names.contains(&"body.commits.0.id".to_owned()), "{names:?}");
    let raw = html::page(&world.admin, &format!("{path}?request=raw")).await;
    assert!(raw.text("#received pre").starts_with("{\"ref\":"));
    let headers = html::page(&world.admin, &format!("{path}?request=headers")).await;
    assert!(headers.text("#received dl").contains("authorization ***"));
    let query = html::page(&world.admin, &format!("{path}?request=query")).await;
    assert!(query.says("has no query"));
    for page in [&page, &raw, &headers, &query] {
        html::links_work(&world.admin, page).await;
        assert!(page.says("authorization"), "what was masked is told");
    }
    let test = page.text("details pre");
    assert!(
        test.contains("event = \"github.push\"") && test.contains("request = \"requests/"),
        "{test}"
    );
}

#[actix_web::test]
async fn repetitions_and_replays_lead_to_each_other() {
    let mut rows: Vec<_> = (1..=3).map(|n| delivery(n, Outcome::Accepted)).collect();
    rows[0].duplicates = 2;
    rows[1] = delivery(2, Outcome::Duplicate);
    rows[2].delivery.replay_of = Some(id(1));
    let world = world_of(config(None, WEBHOOKS), rows, Vec::new());
    let page = html::page(&world.admin, &format!("/deliveries/{}", id(2))).await;
    assert!(hrefs(&page, "#logged a").contains(&format!("/deliveries/{}", id(1))));
    let page = html::page(&world.admin, &format!("/deliveries/{}", id(3))).await;
    assert!(page.text("#logged").contains("It is a replay of"));
    let page = html::page(&world.admin, &format!("/deliveries/{}", id(1))).await;
    assert!(page.text("#logged").contains("repeated 2 times"));
}

#[actix_web::test]
async fn an_event_shows_what_it_follows_and_what_follows_it() {
    let mut rows: Vec<_> = (1..=4).map(|n| delivery(n, Outcome::Accepted)).collect();
    // 1 follows one that is not here; 2 follows 1, 3 and 4 follow 2.
    for (n, follows) in [(0, 9_999), (1, 1_001), (2, 1_002), (3, 1_002)] {
        rows[n].delivery.events[0].follows = Some(id(follows));
    }
    let world = world_of(config(None, WEBHOOKS), rows, Vec::new());
    let page = html::page(&world.admin, &format!("/events/{}", id(1_002))).await;
    let links = hrefs(&page, ".chain a");
    assert_eq!(
        links,
        [1_001, 1_003, 1_004].map(|n| format!("/events/{}", id(n)))
    );
    assert!(page.text(".chain .gone").contains("not here (yet)"));
    assert!(
        page.text(".chain [aria-current]")
            .starts_with("github.push")
    );
    assert!(
        page.text(".chain").contains("1 s before") && page.text(".chain").contains("2 s after")
    );
    assert_eq!(page.all("[aria-labelledby=near] li").len(), 3);
    assert!(hrefs(&page, ".head .button").contains(&format!("/deliveries/{}", id(2))));
    html::links_work(&world.admin, &page).await;
}

#[actix_web::test]
async fn an_event_can_be_seen_as_programs_see_it() {
    let world = world(None, 3);
    let path = format!("/events/{}", id(1_002));
    let text = async |form: &str| {
        let page = html::page(&world.admin, &format!("{path}?as={form}")).await;
        html::links_work(&world.admin, &page).await;
        let text: String = page.one("pre").text().collect();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    assert_eq!(text("json").await["seq"], 2);
    let prefect = text("prefect").await;
    assert!(prefect.get("seq").is_none());
    assert_eq!(prefect["payload"]["text"], HOSTILE);
    let cloud = text("cloudevent").await;
    assert_eq!(cloud["specversion"], "1.0");
    assert_eq!(cloud["type"], "github.push");
}

#[actix_web::test]
async fn what_senders_wrote_is_text_wherever_it_stands() {
    let mut rows: Vec<_> = (1..=2).map(|n| delivery(n, Outcome::Accepted)).collect();
    let hostile = format!("{HOSTILE}\u{202e}\u{1b}[31m");
    for row in &mut rows {
        row.delivery.key = Some(hostile.clone());
        let event = &mut row.delivery.events[0];
        event.event.clone_from(&hostile);
        event
            .resource
            .insert("prefect.resource.id".to_owned(), hostile.clone());
        event.resource.insert(hostile.clone(), hostile.clone());
        event.related[0].insert("prefect.resource.role".to_owned(), hostile.clone());
        let payload = serde_json::json!({ hostile.as_str(): [hostile.as_str()] }).to_string();
        event.payload = serde_json::value::RawValue::from_string(payload).unwrap();
    }
    let world = world_of(config(None, ""), rows, Vec::new());
    let paths = [
        "/".to_owned(),
        "/?show=deliveries".to_owned(),
        format!(
            "/?q={}",
            form_urlencoded::byte_serialize(hostile.as_bytes()).collect::<String>()
        ),
        format!("/deliveries/{}", id(2)),
        format!("/events/{}", id(1_002)),
        format!("/events/{}?as=cloudevent", id(1_002)),
    ];
    for path in paths {
        // `html::page` refuses elements and attributes that are not ours.
        let page = html::page(&world.admin, &path).await;
        assert!(
            page.says("<script>alert(1)</script>") || path.contains("?q="),
            "{path}"
        );
        html::links_work(&world.admin, &page).await;
    }
}
