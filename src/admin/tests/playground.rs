//! The playground without a script: what its forms give.

use super::html::{self, Page};
use super::model::{HOSTILE, World, config, delivery, id, world_of};
use super::{Answer, get, send};
use crate::admin::configure;
use crate::model::Outcome;
use actix_web::{App, test};
use scraper::Html;

const TEMPLATED: &str = r#"
[[webhook]]
name = "github"
slug = "fake-slug-of-22-chars-01"
verify = { scheme = "bearer", token = { file = "token" } }
template = { inline = '''{"event": "github.push",
 "resource": {"prefect.resource.id": "github.{{ body.repository.full_name }}"}}''' }

[[webhook]]
name = "plain"
slug = "fake-slug-of-22-chars-02"
verify = "none"
event = { event = "plain.came", resource = { "prefect.resource.id" = "r" } }
"#;

const GITHUB: &str = "/webhooks/github/playground";

fn world_with_deliveries() -> World {
    let rows = (1..=6).map(|n| {
        delivery(
            n,
            if n == 5 {
                Outcome::Parked
            } else {
                Outcome::Accepted
            },
        )
    });
    world_of(config(None, TEMPLATED), rows.collect(), Vec::new())
}

/// Sends the page's form with some fields changed, by one of its buttons. Each listener has its own token, so the page
/// is asked for again.
async fn submit(world: &World, page: &Page, to: &str, fields: &[(&str, &str)]) -> Answer {
    let app = test::init_service(App::new().configure(configure(world.admin.clone()))).await;
    let call = async |request: test::TestRequest| {
        let request = request.peer_addr("127.0.0.1:50000".parse().unwrap());
        test::call_service(&app, request.to_request()).await
    };
    let again = test::read_body(call(get(&page.path)).await).await;
    let again = String::from_utf8(again.to_vec()).unwrap();
    let token = again.split("name=\"form_token\" value=\"").nth(1).unwrap();
    let token = token.split('"').next().unwrap();
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("form_token", token);
    for input in page.all("form[data-playground] > input[type=hidden]") {
        let (name, value) = (input.attr("name").unwrap(), input.attr("value").unwrap());
        if name != "form_token" {
            form.append_pair(name, value);
        }
    }
    for (name, value) in fields {
        form.append_pair(name, value);
    }
    let request = test::TestRequest::post()
        .uri(to)
        .insert_header(("host", "127.0.0.1:8081"))
        .insert_header(("origin", "http://127.0.0.1:8081"))
        .insert_header(("accept", "text/html"))
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .set_payload(form.finish());
    let response = call(request).await;
    Answer {
        status: response.status(),
        headers: response.headers().clone(),
        body: test::read_body(response).await.to_vec(),
    }
}

async fn submitted(world: &World, page: &Page, fields: &[(&str, &str)]) -> Page {
    let answer = submit(world, page, &page.path, fields).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    Page {
        document: Html::parse_document(&answer.text()),
        path: page.path.clone(),
    }
}

#[actix_web::test]
async fn a_captured_request_a_template_and_its_event() {
    let world = world_with_deliveries();
    let page = html::page(&world.admin, GITHUB).await;
    assert!(page.text("[data-part=result]").contains("1 event, valid"));
    assert!(page.text("[data-part=result]").contains("github.acme/api"));
    let read = page.text("[data-part=result] dl");
    assert!(
        read.contains("body.repository.full_name") && read.contains("acme/api"),
        "{read}"
    );
    // The record of the delivery, since the request is as it came.
    assert!(
        page.text("[data-part=result] .checks")
            .contains("signature")
    );
    assert!(
        page.one("textarea[name=template]")
            .text()
            .collect::<String>()
            .contains("github.push")
    );
    assert_eq!(page.all("[aria-labelledby=pk1] [aria-current]").len(), 1);
    let fifth = format!("{GITHUB}?delivery={}", id(5));
    let other = html::page(&world.admin, &fifth).await;
    assert_eq!(
        other.one("input[name=delivery]").attr("value"),
        Some(id(5).to_string().as_str())
    );
    send(&world.admin, get(&format!("{GITHUB}?delivery=none")))
        .await
        .problem(404, "HG0801");
}

#[actix_web::test]
async fn an_error_has_its_place_and_nothing_is_lost() {
    let world = world_with_deliveries();
    let page = html::page(&world.admin, GITHUB).await;
    let text = "{\n \"event\": \"{{ body.reff[:3] }}\"}";
    let failed = submitted(&world, &page, &[("template", text)]).await;
    let fault = failed.one("p.fault");
    assert_eq!(
        (fault.attr("data-line"), fault.attr("data-column")),
        (Some("2"), Some("15"))
    );
    assert!(html::text(fault).contains("ref"), "{}", html::text(fault));
    assert_eq!(
        html::text(failed.one("[data-part=fault] mark")),
        "body.reff"
    );
    let kept: String = failed.one("textarea[name=template]").text().collect();
    assert_eq!(kept.trim_start_matches('\n'), text);
    // An edited request is what is translated then.
    let request =
        "POST /hooks/x HTTP/1.1\r\ncontent-type: application/json\r\n\r\n{\"reff\": \"main\"}";
    let made = submitted(
        &world,
        &page,
        &[
            ("request", request),
            (
                "template",
                "{\"event\": \"{{ body.reff }}\", \"resource\": {\"prefect.resource.id\": \"r\"}}",
            ),
        ],
    )
    .await;
    assert!(made.text("[data-part=result] h3").contains("main"));
    let curl = "curl -H 'content-type: application/json' -d '{\"reff\":\"dev\"}' http://x/hooks/y";
    let made = submitted(
        &world,
        &page,
        &[
            ("request", curl),
            (
                "template",
                "{\"event\": \"{{ body.reff }}\", \"resource\": {\"prefect.resource.id\": \"r\"}}",
            ),
        ],
    )
    .await;
    assert!(made.text("[data-part=result] h3").contains("dev"));
    for wrong in ["nonsense", "curl -d @/etc/passwd x"] {
        let refused = submitted(&world, &page, &[("request", wrong), ("template", "x")]).await;
        assert!(refused.text("p.fault").starts_with("Request"), "{wrong}");
        let kept: String = refused.one("textarea[name=request]").text().collect();
        assert_eq!(kept.trim_start_matches('\n'), wrong);
    }
    // `< file` is a file of who writes tests, never of the server.
    let file = "POST /hooks/x HTTP/1.1\n\n< /etc/hostname";
    let made = submitted(
        &world,
        &page,
        &[
            ("request", file),
            (
                "template",
                "{\"event\": \"{{ body }}\", \"resource\": {\"prefect.resource.id\": \"r\"}}",
            ),
        ],
    )
    .await;
    assert!(
        made.text("[data-part=result] h3")
            .contains("< /etc/hostname")
    );
}

#[actix_web::test]
async fn the_last_deliveries_are_compared() {
    let world = world_with_deliveries();
    let page = html::page(&world.admin, GITHUB).await;
    let text = "{\"event\": \"other\", \"resource\": {\"prefect.resource.id\": \"r\"}}";
    let run = submitted(&world, &page, &[("template", text), ("do", "against")]).await;
    let counts = run.text("[data-part=against] > ul.acts");
    // The first one's request is no longer kept.
    assert!(
        counts.contains("changed 5") && counts.contains("no longer kept 1"),
        "{counts}"
    );
    let rows = run.text("[data-part=against] .picks");
    assert!(
        rows.contains("event: github.push before, other now"),
        "{rows}"
    );
    assert!(
        rows.contains("it was parked, and becomes 1 event"),
        "{rows}"
    );
    let run = submitted(&world, &page, &[("template", "no json"), ("do", "against")]).await;
    assert!(
        run.text("[data-part=against] > ul.acts")
            .contains("fails 5")
    );
}

#[actix_web::test]
async fn serve_gives_a_patch_and_a_test() {
    let world = world_with_deliveries();
    let page = html::page(&world.admin, GITHUB).await;
    let nothing: String = page.one("textarea[name=template]").text().collect();
    let same = submitted(
        &world,
        &page,
        &[("template", nothing.trim()), ("do", "save")],
    )
    .await;
    assert!(
        same.text("[data-part=saved]")
            .contains("Nothing was changed")
    );
    let text = "{\"event\": \"other\",\n \"resource\": {\"prefect.resource.id\": \"r\"}}";
    let saved = submitted(&world, &page, &[("template", text), ("do", "save")]).await;
    let patch = saved.text("[data-part=saved] pre");
    assert!(
        patch.contains("-{\"event\": \"github.push\",")
            && patch.contains("+{\"event\": \"other\","),
        "{patch}"
    );
    assert!(
        patch.contains("[[webhook.test]]") && patch.contains("expect = [{ event = \"other\""),
        "{patch}"
    );
    let broken = submitted(&world, &page, &[("template", "{{ x"), ("do", "save")]).await;
    assert!(broken.text("[data-part=saved]").contains("not saved"));
}

#[actix_web::test]
async fn a_definition_is_tried_against_a_template() {
    let world = world_with_deliveries();
    let path = "/webhooks/plain/playground";
    let page = html::page(&world.admin, path).await;
    assert!(page.says("makes its events by the definition"));
    assert!(page.text("[data-part=result] h3").contains("plain.came"));
    let text = "{\"event\": \"mine\", \"resource\": {\"prefect.resource.id\": \"r\"}}";
    let saved = submitted(&world, &page, &[("template", text), ("do", "save")]).await;
    assert!(saved.text("[data-part=result] h3").contains("mine"));
    assert!(
        saved
            .text("[data-part=saved]")
            .contains("template = \"plain.json.j2\"")
    );
}

#[actix_web::test]
async fn parts_for_the_script_and_forms_that_are_not_ours() {
    let world = world_with_deliveries();
    let page = html::page(&world.admin, GITHUB).await;
    let parts = "/ui/playground/github";
    let answer = submit(&world, &page, parts, &[("template", HOSTILE)]).await;
    let html = answer.text();
    assert_eq!(answer.status, 200, "{html}");
    assert!(!html.contains("<main") && html.contains("data-part=\"result\""));
    assert!(
        !html.contains("<script>") && !html.contains("<img"),
        "{html}"
    );
    // That of another process is not ours.
    let foreign = test::TestRequest::post()
        .uri(parts)
        .insert_header(("host", "127.0.0.1:8081"))
        .insert_header(("sec-fetch-site", "same-origin"))
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .set_payload("template=x&form_token=0123");
    send(&world.admin, foreign).await.problem(403, "HG0805");
    let removed = super::model::world(None, 7);
    let page = html::page(&removed.admin, GITHUB).await;
    assert!(page.says("not in the configuration any more"));
}
