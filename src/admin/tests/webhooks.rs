//! Pages of webhooks: the list, one, and what is not in the configuration.

use super::model::{HOSTILE, WEBHOOKS, config, delivery, id, world, world_of};
use super::{get, html, send};
use crate::feed::DeliveryRow;
use crate::model::Outcome;

/// Deliveries to `github`: one parked, one rejected, the rest accepted.
fn rows() -> Vec<DeliveryRow> {
    (1..=12)
        .map(|n| {
            let outcome = match n {
                5 => Outcome::Parked,
                7 => Outcome::Rejected,
                _ => Outcome::Accepted,
            };
            delivery(n, outcome)
        })
        .collect()
}

#[actix_web::test]
async fn the_list_says_how_each_is_doing() {
    let world = world_of(config(None, WEBHOOKS), rows(), Vec::new());
    let page = html::page(&world.admin, "/webhooks").await;
    let health = page.text("td[data-label=Health]");
    assert_eq!(health, "failing, 2 of 10 | never called");
    assert!(
        page.text("main .lead")
            .contains("2 in webhooks.toml, 1 needs you")
    );
    assert!(
        page.text("#nav [aria-current=page]")
            .starts_with("Webhooks")
    );
    assert_eq!(page.all("svg.spark[aria-label]").len(), 2);
    // The address is shown without the middle of its slug, and whole in the button that copies it.
    assert!(page.says("/hooks/fake…-01"));
    let copied = page.all("button[data-copy]");
    let copied: Vec<_> = copied.iter().filter_map(|b| b.attr("data-copy")).collect();
    assert!(copied.contains(&"http://127.0.0.1:8080/hooks/fake-slug-of-22-chars-01"));
    html::links_work(&world.admin, &page).await;
}

#[actix_web::test]
async fn a_page_of_one_groups_what_goes_wrong() {
    let world = world_of(config(None, WEBHOOKS), rows(), Vec::new());
    let page = html::page(&world.admin, "/webhooks/github").await;
    let faults = page.text("section[aria-labelledby=errs] tbody th");
    assert!(
        faults.contains("HG0312") && faults.contains("HG0503"),
        "{faults}"
    );
    assert!(faults.contains("templates/github.json.j2:9:17"), "{faults}");
    assert!(faults.contains(HOSTILE), "shown, as text: {faults}");
    assert!(page.text("section[aria-labelledby=tst]").contains("none"));
    html::links_work(&world.admin, &page).await;
    let page = html::page(&world.admin, "/webhooks/nightly").await;
    assert!(page.says("Nothing that is still kept was parked or rejected."));
    assert!(page.says("None yet."));
}

#[actix_web::test]
async fn one_that_was_removed_still_has_its_deliveries() {
    let world = world(None, 7);
    let page = html::page(&world.admin, "/webhooks/github").await;
    assert!(page.says("not in the configuration any more"));
    assert!(page.links().contains(&format!("/deliveries/{}", id(7))));
    send(&world.admin, get("/webhooks/none"))
        .await
        .problem(404, "HG0801");
}

#[actix_web::test]
async fn the_api_tells_the_health_too() {
    let world = world_of(config(None, WEBHOOKS), rows(), Vec::new());
    let list = send(&world.admin, get("/api/v1/webhooks")).await.json();
    assert_eq!(list["data"][0]["health"]["state"], "failing");
    assert_eq!(list["data"][0]["health"]["failed"], 2);
    assert_eq!(list["data"][0]["health"]["of"], 10);
    assert_eq!(list["data"][1]["health"]["state"], "never_called");
    let one = send(&world.admin, get("/api/v1/webhooks/github"))
        .await
        .json();
    assert_eq!(one["health"], list["data"][0]["health"]);
    assert_eq!(one["last_delivery"]["id"], id(12).to_string());
}
