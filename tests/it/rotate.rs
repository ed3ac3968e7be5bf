//! `add` and `rotate`: a file that commands change, and a gateway that takes it up while it runs.

use crate::harness::http::Reply;
use crate::harness::{Gateway, Setup, hookgate, sign, slug, wait_for};
use serde_json::Value;
use std::path::Path;
use std::process::Output;

fn run(folder: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Output {
    hookgate(folder)
        .args(arguments)
        .envs(env.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn done(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// The webhook's part of a file.
fn webhook<'t>(file: &'t toml::Table, name: &str) -> &'t toml::Value {
    let list = file["webhook"].as_array().unwrap();
    list.iter()
        .find(|w| w["name"].as_str() == Some(name))
        .unwrap()
}

fn file(folder: &Path) -> toml::Table {
    let text = std::fs::read_to_string(folder.join("webhooks.toml")).unwrap();
    text.parse().unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn a_newcomer_adds_serves_and_sends() {
    let folder = tempfile::tempdir().unwrap();
    let out = done(&run(folder.path(), &["add", "github"], &[]));
    for said in [
        "added webhook",
        "GITHUB_WEBHOOK_SECRET",
        "http://127.0.0.1:8080/hooks/",
        "Payload URL",
        "confirmed by the sender's own library",
        "next: hookgate send github push",
    ] {
        assert!(out.contains(said), "{said}: {out}");
    }
    let added = file(folder.path());
    let made = webhook(&added, "github")["slug"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(made.len(), 22);
    let secret = ("GITHUB_WEBHOOK_SECRET", sign::GITHUB_SECRET);
    assert_eq!(
        webhook(&added, "github")["undefined"].as_str(),
        Some("error")
    );
    done(&run(
        folder.path(),
        &["check", "--deny-warnings"],
        &[secret],
    ));
    let text_of_file = std::fs::read_to_string(folder.path().join("webhooks.toml")).unwrap();
    let gateway = Setup::new(text_of_file).env(secret.0, secret.1).start();
    let url = format!("http://{}", gateway.admin);
    let sent = ["send", "github", "push", "--url", &url];
    let out = done(&run(gateway.folder.path(), &sent, &[secret]));
    assert!(
        out.contains("accepted   github push  →  github.push"),
        "{out}"
    );
    let events = gateway.all_events(10);
    assert_eq!(events[0]["event"], "github.push", "{events:?}");
}

#[test]
fn add_keeps_the_file_and_refuses_what_would_not_load() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("webhooks.toml");
    let before = format!(
        "# mine\n[server]\nlisten = \"127.0.0.1:9999\" # odd\npublic_url = \"https://hooks.example.com\"\n\n[[webhook]]\nname = \"w\"\nslug   = \"{}\"\nverify = \"none\"\nevent = {{ event = \"e\", resource = {{ \"prefect.resource.id\" = \"r\" }} }}\n\n[[webhook.test]]\nname = \"t\"\nrequest = \"t.http\"\n\n[[sink]]\nname = \"file\"\nkind = \"ndjson\"\npath = \"events.ndjson\"\n",
        slug(1)
    );
    std::fs::write(&path, &before).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    let now = || std::fs::read_to_string(&path).unwrap();
    let diff = done(&run(folder.path(), &["add", "stripe", "--dry-run"], &[]));
    assert!(
        diff.contains("+provider = \"stripe\"") && now() == before,
        "{diff}"
    );
    let out = done(&run(
        folder.path(),
        &["add", "meta", "--name", "shop", "--json"],
        &[],
    ));
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        told["variables"],
        serde_json::json!(["SHOP_WEBHOOK_SECRET", "SHOP_VERIFY_TOKEN"])
    );
    let url = told["url"].as_str().unwrap();
    assert!(
        url.starts_with("https://hooks.example.com/hooks/"),
        "{told}"
    );
    let out = done(&run(
        folder.path(),
        &["add", "asana", "--name", "learns"],
        &[],
    ));
    assert!(
        out.contains("Asana sends it in its first request") && !out.contains("variable"),
        "{out}"
    );
    let after = now();
    let kept: Vec<&str> = after
        .lines()
        .filter(|l| before.lines().any(|b| b == *l))
        .collect();
    assert!(before.lines().all(|line| kept.contains(&line)), "{after}");
    assert!(
        after.find("\"shop\"").unwrap() < after.find("[[sink]]").unwrap(),
        "{after}"
    );
    assert!(
        after.find("[[webhook.test]]").unwrap() < after.find("\"shop\"").unwrap(),
        "{after}"
    );
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions())
            & 0o777,
        0o640
    );
    refused(folder.path(), &after);
}

/// What does not work leaves the file as it is, and nothing beside it.
fn refused(folder: &Path, after: &str) {
    for (arguments, exit, said) in [
        (
            &["add", "meta", "--name", "shop"][..],
            2,
            "--name shop-2 is free",
        ),
        (&["add", "gihub"], 6, "Did you mean `github`"),
        (&["send", "learns"], 1, "only the running gateway has it"),
        (&["add"], 2, "hookgate add PROVIDER"),
        (
            &["add", "github", "--name", "No Good"],
            3,
            "nothing was written",
        ),
        (&["rotate", "shop"], 2, "--slug, --secret or both"),
        (&["rotate", "shp", "--slug"], 6, "did you mean `shop`?"),
        (&["rotate", "w", "--secret"], 3, "the webhook has no secret"),
    ] {
        let output = run(folder, arguments, &[]);
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {err}");
        assert!(err.contains(said), "{arguments:?}: {err}");
        let now = std::fs::read_to_string(folder.join("webhooks.toml")).unwrap();
        assert_eq!(now, after, "{arguments:?}");
    }
    let left: Vec<_> = folder.read_dir().unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

const OLD: &str = "fake-old-secret-0001";
const NEW: &str = "fake-new-secret-0002";

fn start() -> Gateway {
    Setup::new(format!(
        "[[webhook]]\nname = \"github\"\nslug = \"{}\"   # the first\nprovider = \"github\"\nsecret = {{ file = \"secret\" }}\n",
        slug(1)
    ))
    .file("secret", OLD)
    .start()
}

fn push(gateway: &Gateway, slug: &str, secret: &str, n: u32) -> Reply {
    let body = b"{\"zen\":\"fake\",\"hook_id\":1}";
    let signature = hex::encode(sign::hmac_sha256(secret.as_bytes(), &[body]));
    let (signature, key) = (format!("sha256={signature}"), format!("key-{n}"));
    let headers = [
        ("Content-Type", "application/json"),
        ("X-GitHub-Event", "ping"),
        ("X-GitHub-Delivery", &*key),
        ("X-Hub-Signature-256", &*signature),
        ("X-Original-URL", &*format!("/hooks/{slug}")),
    ];
    gateway.post(slug, &headers, body)
}

#[test]
fn a_new_slug_is_taken_up_and_the_old_one_ends() {
    let gateway = start();
    let rotate = ["rotate", "github", "--slug", "--grace", "1h"];
    let out = done(&run(gateway.folder.path(), &rotate, &[]));
    assert!(
        out.contains("Payload URL") && !out.contains("Content type"),
        "{out}"
    );
    let rotated = file(gateway.folder.path());
    let entry = webhook(&rotated, "github");
    let new = entry["slug"].as_str().unwrap().to_owned();
    assert_eq!(entry["old_slugs"][0]["slug"].as_str(), Some(&*slug(1)));
    let written = std::fs::read_to_string(gateway.folder.path().join("webhooks.toml")).unwrap();
    assert!(written.contains("# the first"), "{written}");
    let reply = wait_for("the new slug", || {
        let reply = push(&gateway, &new, OLD, 1);
        (reply.status != 404).then_some(reply)
    });
    assert_eq!(
        gateway.delivery(&reply)["notes"].as_array().unwrap().len(),
        0
    );
    // The old one works as before, and the record says that it was used; it does not hold it.
    let reply = push(&gateway, &slug(1), OLD, 2);
    assert_eq!(reply.status, 204);
    let record = gateway.delivery(&reply);
    assert!(
        record["notes"][0]["message"]
            .as_str()
            .unwrap()
            .contains("old slug"),
        "{record}"
    );
    let id = record["id"].as_str().unwrap();
    let kept = gateway.admin(
        "GET",
        &format!("/api/v1/deliveries/{id}/request"),
        &[("Accept", "message/http")],
        b"",
    );
    assert!(
        kept.text().contains("x-original-url: /hooks/{slug}"),
        "{}",
        kept.text()
    );
    assert!(!kept.text().contains(&slug(1)), "{}", kept.text());
    assert_eq!(push(&gateway, &slug(1), NEW, 3).status, 401);
    assert_eq!(push(&gateway, &slug(9), OLD, 4).status, 404);
    let metrics = gateway.admin("GET", "/metrics", &[], b"").text();
    assert!(
        metrics.contains("hookgate_old_slug_total{webhook=\"github\"} 2"),
        "{metrics}"
    );
    // Its time is over.
    let past = written
        .lines()
        .map(|line| match line.split_once("until = ") {
            Some((head, _)) => format!("{head}until = 2026-01-01T00:00:00Z }}]"),
            None => line.to_owned(),
        });
    let past: Vec<String> = past.collect();
    std::fs::write(gateway.folder.path().join("webhooks.toml"), past.join("\n")).unwrap();
    wait_for("the end of the old slug", || {
        (push(&gateway, &slug(1), OLD, 5).status == 404).then_some(())
    });
    assert_eq!(push(&gateway, &new, OLD, 6).status, 204);
    let checked = run(gateway.folder.path(), &["check"], &[]);
    let all = text(&checked.stdout) + &text(&checked.stderr);
    assert!(all.contains("the old slug's time has passed"), "{all}");
}

#[test]
fn a_signature_over_the_url_is_over_the_one_that_was_called() {
    let toml = format!(
        "[[webhook]]\nname = \"own\"\nslug = \"{}\"\nold_slugs = [{{ slug = \"{}\", until = 2126-01-01T00:00:00Z }}]\nverify = {{ scheme = \"hmac-sha256\", header = \"X-Sig\", signed = \"{{url}}{{body}}\", secret = {{ env = \"S\" }} }}\nevent = {{ event = \"e\", resource = {{ \"prefect.resource.id\" = \"r\" }} }}\n",
        slug(1),
        slug(2)
    );
    let gateway = Setup::new(toml)
        .server("public_url = \"https://hooks.example.com\"")
        .env("S", OLD)
        .start();
    for (called, signed, status) in [(1, 1, 204), (2, 2, 204), (2, 1, 401), (1, 2, 401)] {
        let url = format!("https://hooks.example.com/hooks/{}", slug(signed));
        let signature = hex::encode(sign::hmac_sha256(OLD.as_bytes(), &[url.as_bytes(), b"x"]));
        let reply = gateway.post(&slug(called), &[("X-Sig", &signature)], b"x");
        assert_eq!(reply.status, status, "{called} {signed}");
    }
}

#[test]
fn a_new_secret_is_taken_up_and_both_count() {
    let gateway = start();
    std::fs::write(gateway.folder.path().join("secret-2"), NEW).unwrap();
    assert_eq!(push(&gateway, &slug(1), NEW, 1).status, 401);
    let out = done(&run(
        gateway.folder.path(),
        &["rotate", "github", "--secret"],
        &[],
    ));
    assert!(
        out.contains("file secret-2: put the new one there"),
        "{out}"
    );
    assert!(
        out.contains("Secret") && !out.contains("Payload URL"),
        "{out}"
    );
    wait_for("the new secret", || {
        (push(&gateway, &slug(1), NEW, 2).status == 204).then_some(())
    });
    assert_eq!(push(&gateway, &slug(1), OLD, 3).status, 204);
    assert_eq!(push(&gateway, &slug(1), "fake-third-0003", 4).status, 401);
    let url = format!("http://{}", gateway.admin);
    let sent = ["send", "github", "ping", "--url", &url, "--json"];
    let out = done(&run(gateway.folder.path(), &sent, &[]));
    let line: Value = serde_json::from_str(&out).unwrap();
    let record = gateway.api(&format!(
        "/api/v1/deliveries/{}",
        line["delivery"].as_str().unwrap()
    ));
    assert!(
        record["verification"].to_string().contains("secret 1 of 2"),
        "{record}"
    );
    // The sender's own time counts as well: Stripe repeats for 72 h.
    let folder = tempfile::tempdir().unwrap();
    done(&run(folder.path(), &["add", "stripe"], &[]));
    let short = run(
        folder.path(),
        &["rotate", "stripe", "--secret", "--grace", "1h"],
        &[],
    );
    assert!(
        text(&short.stderr).contains("repeats a failed delivery for 72h"),
        "{}",
        text(&short.stderr)
    );
    let entry = file(folder.path());
    let secret = &webhook(&entry, "stripe")["secret"];
    assert_eq!(secret[0]["env"].as_str(), Some("STRIPE_WEBHOOK_SECRET_2"));
    assert_eq!(secret[1]["env"].as_str(), Some("STRIPE_WEBHOOK_SECRET"));
    assert!(secret[1]["until"].is_datetime() && secret[0].get("until").is_none());
}
