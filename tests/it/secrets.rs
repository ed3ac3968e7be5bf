//! No secret and no slug appears in anything that hookgate writes.

use crate::harness::http::Reply;
use crate::harness::{Gateway, Setup, sign, slug};

const CANARIES: [&str; 5] = [
    "fake-canary-bearer-0001",
    "fake-canary-cookie-0002",
    "fake-canary-query-0003",
    sign::GITHUB_SECRET,
    // In a body, which is kept byte for byte: nothing else shows it.
    IN_BODY,
];
const IN_BODY: &str = "fake-canary-body-0004";

#[test]
fn canaries_stay_hidden() {
    let toml = format!(
        "[[webhook]]\nname = \"github\"\nslug = \"{}\"\nprovider = \"github\"\nsecret = {{ env = \"S\" }}\n[[webhook]]\nname = \"ce\"\nslug = \"{}\"\ncloudevents = true\nverify = {{ scheme = \"bearer\", token = {{ env = \"T\" }} }}\n[[webhook]]\nname = \"open\"\nslug = \"{}\"\nevent = {{ event = \"e\", resource = {{ \"prefect.resource.id\" = \"r\" }} }}\n[[webhook]]\nname = \"body\"\nslug = \"{}\"\nevent = {{ event = \"e\", resource = {{ \"prefect.resource.id\" = \"r\" }}, payload = {{ said = \"{{{{ body.token }}}}\", heard = \"{{{{ headers }}}}\", all = \"{{{{ body }}}}\" }} }}\nverify = {{ scheme = \"body-token\", json = \"/token\", token = {{ env = \"B\" }} }}\n",
        slug(1),
        slug(2),
        slug(3),
        slug(4)
    );
    let mut gateway = Setup::new(toml)
        .env("S", sign::GITHUB_SECRET)
        .env("T", CANARIES[0])
        .env("B", IN_BODY)
        .env("HOOKGATE_LOG", "trace")
        .start();
    let reply = send_canaries(&gateway);
    let outputs = everything_written(&mut gateway, &reply);
    for (number, output) in outputs.iter().enumerate() {
        for canary in CANARIES
            .iter()
            .copied()
            .chain([&*slug(1), &*slug(2), &*slug(3), &*slug(4)])
        {
            // The feed page tells the owner the URLs of webhooks; nothing else may hold a slug.
            if number == 0 && canary.starts_with("it") {
                continue;
            }
            if canary == IN_BODY && !output.starts_with(['{', '<', '#']) {
                continue;
            }
            assert!(
                !output.contains(canary),
                "output {number} holds {canary}: {output:.2000}"
            );
        }
    }
}

/// Sends requests that carry them wherever a sender could put one; gives the answer to the one that is accepted.
fn send_canaries(gateway: &Gateway) -> Reply {
    let bearer = format!("Bearer {}", CANARIES[0]);
    let cookie = format!("session={}", CANARIES[1]);
    let proxied = format!("https://hooks.example.com/hooks/{}", slug(3));
    let headers = [
        ("Authorization", &*bearer),
        ("Cookie", &*cookie),
        ("Content-Type", "text/plain"),
        ("X-Original-URL", &*proxied),
    ];
    for kind in ["application/json", "application/x-www-form-urlencoded"] {
        let body = format!("{{\"token\": \"{IN_BODY}\", \"n\": 1}}");
        let headers = [("Content-Type", kind), ("X-Original-URL", &*slug(4))];
        let reply = gateway.post(&slug(4), &headers, body.as_bytes());
        assert_eq!(reply.status, 204);
    }
    let query = format!("/hooks/{}?access_token={}&keep=1", slug(3), CANARIES[2]);
    let reply = gateway.send("POST", &query, &headers, b"hello");
    assert_eq!(reply.status, 204);
    let record = gateway.delivery(&reply);
    assert!(
        record["masked"].to_string().contains("authorization"),
        "{record}"
    );
    let [credentials @ .., _] = &headers;
    gateway.post(&slug(1), credentials, b"forged");
    gateway.send(
        "POST",
        &format!("/hooks/{}", slug(2)),
        &[("Authorization", "Bearer wrong")],
        b"forged",
    );
    reply
}

/// Pages, API, metrics, log and every file of the store.
fn everything_written(gateway: &mut Gateway, reply: &Reply) -> Vec<String> {
    let mut outputs = Vec::new();
    for path in [
        "/",
        "/metrics",
        "/readyz?verbose",
        "/api/v1/events",
        "/api/v1/deliveries",
        "/api/v1/sinks",
    ] {
        outputs.push(gateway.admin("GET", path, &[], b"").text());
    }
    let id = reply.header("hookgate-delivery").unwrap();
    outputs.push(
        gateway
            .admin("GET", &format!("/deliveries/{id}"), &[], b"")
            .text(),
    );
    outputs.push(
        gateway
            .admin(
                "GET",
                &format!("/api/v1/deliveries/{id}/request"),
                &[("Accept", "message/http")],
                b"",
            )
            .text(),
    );
    gateway.terminate();
    outputs.push(gateway.stderr());
    for entry in std::fs::read_dir(gateway.folder.path().join("data")).unwrap() {
        outputs.push(
            String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()).into_owned(),
        );
    }
    outputs
}
