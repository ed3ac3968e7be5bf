//! Who is not the sender gets 401 and no reason; the owner gets the reason.

use crate::harness::{Setup, sign, slug};
use serde_json::json;

fn provider(name: &str) -> String {
    format!(
        "[[webhook]]\nname = \"w\"\nslug = \"{}\"\nprovider = \"{name}\"\nsecret = {{ env = \"S\" }}\n",
        slug(1)
    )
}

fn own(verify: &str) -> String {
    format!(
        "[[webhook]]\nname = \"w\"\nslug = \"{}\"\nverify = {verify}\nevent = {{ event = \"e\", resource = {{ \"prefect.resource.id\" = \"r\" }} }}\n",
        slug(1)
    )
}

#[test]
fn forged_github_requests_are_refused_and_told_to_the_owner() {
    let gateway = Setup::new(provider("github"))
        .env("S", sign::GITHUB_SECRET)
        .start();
    let body = br#"{"zen":"Keep it logically awesome.","hook_id":1}"#;
    let good = sign::github(body);
    let send = |signature: Option<&str>| {
        let mut headers = vec![
            ("Content-Type", "application/json"),
            ("X-GitHub-Event", "ping"),
            ("X-GitHub-Delivery", "d-1"),
        ];
        headers.extend(signature.map(|s| ("X-Hub-Signature-256", s)));
        gateway.post(&slug(1), &headers, body)
    };
    let flipped = if good.ends_with('0') { "1" } else { "0" };
    let wrong = format!("{}{flipped}", &good[..good.len() - 1]);
    let mut answers = Vec::new();
    for forged in [
        None,
        Some(""),
        Some("sha256="),
        Some(&*wrong),
        Some(&good[..20]),
        Some("sha256=zz"),
        Some(&good[7..]),
    ] {
        let reply = send(forged);
        assert_eq!(reply.status, 401, "{forged:?}");
        assert_eq!(reply.header("hookgate-delivery"), None);
        answers.push(reply.text());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "one answer for every reason: {answers:?}");
    assert_eq!(send(Some(&good)).status, 204);
    let rejected = gateway.api("/api/v1/deliveries?outcome=rejected");
    let rows = rejected["data"].as_array().unwrap();
    assert_eq!(rows.len(), 7);
    let codes: Vec<&str> = rows
        .iter()
        .map(|row| row["code"].as_str().unwrap())
        .collect();
    assert!(
        codes.contains(&"HG0501") && codes.contains(&"HG0503"),
        "{codes:?}"
    );
    assert!(
        gateway.all_events(10).len() == 1,
        "nothing of a forged request is an event"
    );
}

#[test]
fn own_schemes() {
    let header = r#"{ scheme = "header-token", header = "X-Token", secret = { env = "S" } }"#;
    let query = r#"{ scheme = "query-token", query = "key", secret = { env = "S" } }"#;
    let basic = r#"{ scheme = "basic", secret = { env = "B" } }"#;
    let bearer = r#"{ scheme = "bearer", token = { env = "S" } }"#;
    let path = format!("/hooks/{}", slug(1));
    let cases = [
        (
            header,
            "",
            ("X-Token", "fake-token-0001"),
            "",
            ("X-Token", "fake-token-0002"),
        ),
        (
            query,
            "?key=fake-token-0001",
            ("X-A", "a"),
            "?key=fake-token-0002",
            ("X-A", "a"),
        ),
        (
            basic,
            "",
            ("Authorization", "Basic dTpmYWtlLXRva2VuLTAwMDE="),
            "",
            ("Authorization", "Basic dTp4"),
        ),
        (
            bearer,
            "",
            ("Authorization", "Bearer fake-token-0001"),
            "",
            ("Authorization", "Bearer fake-token-0001x"),
        ),
    ];
    for (verify, right_query, right, wrong_query, wrong) in cases {
        let gateway = Setup::new(own(verify))
            .env("S", "fake-token-0001")
            .env("B", "u:fake-token-0001")
            .start();
        let reply = gateway.send("POST", &format!("{path}{right_query}"), &[right], b"x");
        assert_eq!(reply.status, 204, "{verify}");
        let id = reply.header("hookgate-delivery").unwrap();
        let kept = gateway.admin(
            "GET",
            &format!("/api/v1/deliveries/{id}/request"),
            &[("Accept", "message/http")],
            b"",
        );
        assert!(
            kept.text().contains("***") && !kept.text().contains("fake-token"),
            "{}",
            kept.text()
        );
        assert!(!gateway.delivery(&reply).to_string().contains("fake-token"));
        assert_eq!(
            gateway
                .send("POST", &format!("{path}{wrong_query}"), &[wrong], b"x")
                .status,
            401,
            "{verify}"
        );
        assert_eq!(
            gateway.send("POST", &path, &[], b"x").status,
            401,
            "{verify}"
        );
    }
}

#[test]
fn rotation_takes_both_secrets() {
    let toml =
        provider("github").replace("{ env = \"S\" }", "[{ env = \"NEW\" }, { env = \"S\" }]");
    let gateway = Setup::new(toml)
        .env("S", sign::GITHUB_SECRET)
        .env("NEW", "fake-github-secret-0002")
        .start();
    let body = br#"{"zen":"x"}"#;
    let signature = sign::github(body);
    let headers = [
        ("Content-Type", "application/json"),
        ("X-GitHub-Event", "ping"),
        ("X-Hub-Signature-256", &*signature),
    ];
    assert_eq!(gateway.post(&slug(1), &headers, body).status, 204);
}

#[test]
fn slack_shakes_hands_only_when_signed() {
    let gateway = Setup::new(provider("slack"))
        .env("S", sign::SLACK_SECRET)
        .start();
    let body = json!({"token": "fake", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P", "type": "url_verification"}).to_string();
    let time = sign::now();
    let signature = sign::slack(&time, body.as_bytes());
    let send = |signature: &str| {
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Slack-Request-Timestamp", &*time),
            ("X-Slack-Signature", signature),
        ];
        gateway.post(&slug(1), &headers, body.as_bytes())
    };
    let reply = send(&signature);
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (200, "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P")
    );
    assert!(
        reply
            .header("content-type")
            .is_some_and(|t| t.starts_with("text/plain"))
    );
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(send(&signature.replace("v0=", "v0=00")).status, 401);
    assert!(gateway.all_events(10).is_empty());
}

#[test]
fn a_refusal_is_explained_everywhere_and_a_path_token_is_kept_nowhere() {
    let token = "fake-path-token-0001";
    let webhooks = format!(
        "{}\n[[webhook]]\nname = \"p\"\nslug = \"{}\"\nsubpaths = true\n\
         verify = {{ scheme = \"path-token\", token = {{ env = \"T\" }} }}\n\
         event = {{ event = \"e\", resource = {{ \"prefect.resource.id\" = \"r\" }}, payload = {{ path = \"{{{{ path }}}}\" }} }}\n",
        provider("github"),
        slug(2)
    );
    let gateway = Setup::new(webhooks)
        .env("S", sign::GITHUB_SECRET)
        .env("T", token)
        .start();
    let signature = sign::github(b"{\"zen\":\"x\"}");
    let headers = [
        ("Content-Type", "application/json"),
        ("X-GitHub-Event", "ping"),
        ("X-Hub-Signature-256", &*signature),
    ];
    let reply = gateway.post(&slug(1), &headers, b"{\"zen\":\"x\"}\n");
    assert_eq!(reply.status, 401);
    let rejected = gateway.api("/api/v1/deliveries?outcome=rejected");
    let id = rejected["data"][0]["id"].as_str().unwrap();
    let one = gateway.api(&format!("/api/v1/deliveries/{id}")).to_string();
    let page = gateway
        .admin("GET", &format!("/deliveries/{id}"), &[], b"")
        .text();
    for shown in [&one, &page] {
        assert!(shown.contains("without the line end behind it"), "{shown}");
        assert!(shown.contains("expected "), "{shown}");
    }

    let path = format!("/hooks/{}/{token}", slug(2));
    let reply = gateway.send("POST", &path, &[], b"x");
    assert_eq!(reply.status, 204, "{}", reply.text());
    let delivery = gateway.delivery(&reply);
    assert_eq!(delivery["events"][0]["payload"]["path"], "/***");
    assert!(!delivery.to_string().contains(token), "{delivery}");
    let id = delivery["id"].as_str().unwrap();
    let kept = format!("/api/v1/deliveries/{id}/request");
    let kept = gateway.admin("GET", &kept, &[], b"").text();
    assert!(
        kept.starts_with("POST /hooks/{slug}/*** HTTP/1.1"),
        "{kept}"
    );
    let wrong = format!("/hooks/{}/fake-path-token-0002", slug(2));
    assert_eq!(gateway.send("POST", &wrong, &[], b"x").status, 401);
}
