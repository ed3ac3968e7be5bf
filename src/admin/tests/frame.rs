//! What stands around every page: navigation, notices, theme, assets, forms.

use super::html::{self, Page};
use super::model::{WEBHOOKS, config, id, world, world_of};
use super::{get, send};
use actix_web::test::TestRequest;

fn asset_addresses(page: &Page) -> Vec<String> {
    let of = |selector, name| {
        page.all(selector)
            .into_iter()
            .filter_map(move |element| element.attr(name))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    [of("link[rel=stylesheet]", "href"), of("script", "src")].concat()
}

#[actix_web::test]
async fn every_page_is_sound_and_its_links_work() {
    let world = world(None, 12);
    let event = format!("/events/{}", id(1_002));
    let accepted = format!("/deliveries/{}", id(2));
    let parked = format!("/deliveries/{}", id(5));
    let rejected = format!("/deliveries/{}", id(7));
    for path in [
        "/",
        "/?show=deliveries",
        "/?range=7d&q=outcome:parked",
        "/?q=webhook:github+event:none",
        "/?q=resouce:x",
        "/docs/errors",
        "/docs/errors/HG0312",
        &event,
        &accepted,
        &parked,
        &rejected,
    ] {
        let page = html::page(&world.admin, path).await;
        html::links_work(&world.admin, &page).await;
    }
}

#[actix_web::test]
async fn the_navigation_says_what_needs_a_person() {
    let world = world(None, 12);
    let page = html::page(&world.admin, "/").await;
    let current = html::text(page.one("#nav ul [aria-current=page]"));
    assert!(current.starts_with("Feed"), "{current}");
    assert!(
        page.text("#nav").contains("2 parked deliveries"),
        "{}",
        page.text("#nav")
    );
    assert!(page.text(".foot").contains("log at 12") && page.says("http://127.0.0.1:8080"));
    assert!(page.one(".notices").attr("hidden").is_some());
}

#[actix_web::test]
async fn a_refused_configuration_stands_above_every_page() {
    let world = world_of(config(None, WEBHOOKS), Vec::new(), Vec::new());
    // Its file is gone by now.
    assert!(!world.admin.config.reload().ok);
    let page = html::page(&world.admin, "/docs/errors").await;
    let notice = page.text(".notices .notice");
    assert!(notice.contains("was refused 0 s ago"), "{notice}");
    assert!(
        notice.contains("UTC is running") && notice.contains("HG01"),
        "{notice}"
    );
}

#[actix_web::test]
async fn assets_have_one_address_for_good() {
    let world = world(None, 0);
    let page = html::page(&world.admin, "/docs/errors").await;
    let addresses = asset_addresses(&page);
    assert!(addresses[0].ends_with("/style.css"), "{addresses:?}");
    for address in &addresses {
        let answer = send(&world.admin, get(address)).await;
        assert_eq!(answer.status, 200);
        assert!(answer.header("cache-control").contains("immutable"));
    }
    let folder = addresses[0].strip_suffix("/style.css").unwrap();
    let style = send(&world.admin, get(&addresses[0])).await;
    assert!(style.header("content-type").starts_with("text/css"));
    assert!(style.text().contains("url(sprite.svg)"));
    let sprite = send(&world.admin, get(&format!("{folder}/sprite.svg"))).await;
    assert_eq!(sprite.header("content-type"), "image/svg+xml");
    for gone in [
        "/ui/000000000000/style.css",
        &format!("{folder}/base.html"),
        &format!("{folder}/x.js"),
    ] {
        assert_eq!(send(&world.admin, get(gone)).await.status, 404, "{gone}");
    }
}

#[actix_web::test]
async fn a_folder_of_pages_is_read_at_every_request() {
    let mut world = world(None, 0);
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(folder.path().join("codes.html"), text).unwrap();
    std::sync::Arc::get_mut(&mut world.admin).unwrap().ui_dir = Some(folder.path().to_owned());
    for text in ["one {{ ui }}", "two {{ ui }}"] {
        write(text);
        std::fs::write(folder.path().join("live.js"), text).unwrap();
        let page = send(&world.admin, get("/docs/errors")).await.text();
        let (word, base) = page.split_once(' ').unwrap();
        assert!(text.starts_with(word), "{page}");
        let live = send(&world.admin, get(&format!("{base}/live.js"))).await;
        assert_eq!(live.text(), text);
        assert!(live.header("content-type").starts_with("text/javascript"));
    }
}

fn choose(fields: &str) -> TestRequest {
    TestRequest::post()
        .uri("/theme")
        .insert_header(("host", "127.0.0.1:8081"))
        .insert_header(("sec-fetch-site", "same-origin"))
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .set_payload(fields.to_owned())
}

#[actix_web::test]
async fn a_form_that_is_not_ours_is_refused() {
    // Another app instance has another token, as another process has.
    let world = world(None, 0);
    let page = html::page(&world.admin, "/docs/errors").await;
    let token = page
        .one(".theme [name=form_token]")
        .attr("value")
        .unwrap()
        .to_owned();
    assert_eq!(token.len(), 32);
    let answer = send(&world.admin, choose("theme=dark")).await;
    answer.problem(403, "HG0805");
    let answer = send(
        &world.admin,
        choose(&format!("theme=dark&form_token={token}")),
    )
    .await;
    answer.problem(403, "HG0805");
    let stranger = choose("theme=dark").insert_header(("sec-fetch-site", "cross-site"));
    send(&world.admin, stranger).await.problem(403, "HG0805");
    let api = choose("x=y").uri("/api/v1/config/reload");
    send(&world.admin, api).await.problem(403, "HG0805");
}

#[actix_web::test]
async fn a_theme_is_kept_by_a_cookie() {
    let world = world(None, 0);
    let app = actix_web::test::init_service(
        actix_web::App::new().configure(crate::admin::configure(world.admin.clone())),
    )
    .await;
    let call = async |request: TestRequest| {
        let request = request.peer_addr("127.0.0.1:50000".parse().unwrap());
        actix_web::test::call_service(&app, request.to_request()).await
    };
    let body = async |request: TestRequest| {
        let bytes = actix_web::test::read_body(call(request).await).await;
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    let page = body(get("/docs/errors")).await;
    assert!(page.contains("<html lang=\"en\">"));
    let token = page.split("name=\"form_token\" value=\"").nth(1).unwrap();
    let token = token.split('"').next().unwrap();
    let answer = call(choose(&format!(
        "form_token={token}&theme=dark&back=/docs/errors%3Fa=b"
    )))
    .await;
    assert_eq!(answer.status(), 303);
    assert_eq!(
        answer.headers().get("location").unwrap(),
        "/docs/errors?a=b"
    );
    let cookie = answer
        .headers()
        .get("set-cookie")
        .unwrap()
        .to_str()
        .unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let page = body(get("/docs/errors").insert_header(("cookie", cookie))).await;
    assert!(page.contains("<html lang=\"en\" data-theme=\"dark\">"));
    let away = call(choose(&format!("form_token={token}&back=//evil.example"))).await;
    assert_eq!(away.headers().get("location").unwrap(), "/");
}
