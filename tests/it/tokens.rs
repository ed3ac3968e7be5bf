//! Tokens: made at rest and through the API, held to their scopes, revoked; and where one is needed.

use crate::harness::{Gateway, Setup, hookgate, slug, wait_for};
use serde_json::Value;
use std::path::Path;

const ADMIN: &str = "fake-admin-token-0001";

fn toml() -> String {
    let slug = slug(1);
    format!(
        "[[webhook]]\nname = \"w\"\nslug = \"{slug}\"\nverify = \"none\"\n\
         event = {{ event = \"e\", resource = {{ \"prefect.resource.id\" = \"r\" }} }}\n"
    )
}

/// Runs a command; gives its exit code, what it said on stdout and on stderr.
fn run(folder: &Path, arguments: &[&str], env: &[(&str, &str)]) -> (i32, String, String) {
    let ran = hookgate(folder)
        .args(arguments)
        .envs(env.iter().copied())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        ran.status.code().unwrap(),
        text(ran.stdout),
        text(ran.stderr),
    )
}

fn of(gateway: &Gateway, token: &str, arguments: &[&str]) -> (i32, String, String) {
    let url = format!("http://{}", gateway.admin);
    let env = [("HOOKGATE_URL", url.as_str()), ("HOOKGATE_TOKEN", token)];
    run(gateway.folder.path(), arguments, &env)
}

#[test]
fn a_token_does_what_its_scopes_say_until_it_is_revoked() {
    let gateway = Setup::new(toml())
        .server("admin_token = { env = \"T\" }")
        .env("T", ADMIN)
        .start();
    let create = [
        "token",
        "create",
        "nightly",
        "--scope",
        "events:read,sinks",
        "--expires",
        "30d",
    ];
    let (code, out, err) = of(&gateway, ADMIN, &create);
    assert_eq!(code, 0, "{err}");
    let token = out.trim().to_owned();
    assert!(token.starts_with("hg_") && err.contains("only time") && !err.contains(&token));
    let (code, _, err) = of(&gateway, &token, &["events"]);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = of(&gateway, &token, &["dead-letters"]);
    assert_eq!(code, 5, "{err}");
    assert!(
        err.contains("HG0808") && err.contains("`dead-letters`"),
        "{err}"
    );
    // It cannot make others.
    let (code, _, err) = of(
        &gateway,
        &token,
        &["token", "create", "more", "--scope", "admin"],
    );
    assert_eq!(code, 5, "{err}");
    let (code, out, err) = of(&gateway, ADMIN, &["token", "list", "--json"]);
    assert_eq!(code, 0, "{err}");
    let listed: Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!(
        (&listed["name"], &listed["scopes"][0]),
        (&"nightly".into(), &"events:read".into())
    );
    assert!(
        listed["last_used"].is_string() && !out.contains(&token),
        "{out}"
    );
    let id = listed["id"].as_str().unwrap();
    let (code, _, err) = of(&gateway, ADMIN, &["token", "revoke", id]);
    assert_eq!(code, 2, "nobody is there to be asked: {err}");
    let (code, out, err) = of(&gateway, ADMIN, &["token", "revoke", id, "--yes"]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, ..) = of(&gateway, &token, &["events"]);
    assert_eq!(code, 5);
    let (code, ..) = of(&gateway, ADMIN, &["token", "revoke", id, "--yes"]);
    assert_eq!(code, 6);

    kept_nowhere(&gateway, &token);
}

/// Who made and revoked a token is an event, and no token is in one, in a log line, or on disk.
fn kept_nowhere(gateway: &Gateway, token: &str) {
    let bearer = format!("Bearer {ADMIN}");
    let events = wait_for("the events", || {
        let query = "/api/v1/events?q=event:hookgate.token.*";
        let reply = gateway.admin("GET", query, &[("Authorization", &bearer)], b"");
        let text = reply.text();
        text.contains("hookgate.token.revoked").then_some(text)
    });
    assert!(
        events.contains("\"kind\":\"admin_token\"") && events.contains("127.0.0.1"),
        "{events}"
    );
    let secret = token.rsplit('_').next().unwrap();
    let mut texts = vec![events, gateway.stderr()];
    for entry in std::fs::read_dir(gateway.folder.path().join("data"))
        .unwrap()
        .flatten()
    {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        texts.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    for text in texts {
        assert!(!text.contains(secret) && !text.contains(ADMIN));
    }
}

#[test]
fn off_loopback_it_starts_only_with_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let config =
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"0.0.0.0:0\"\n[store]\npath = \"data\"\n";
    std::fs::write(
        folder.path().join("webhooks.toml"),
        config.to_owned() + &toml(),
    )
    .unwrap();
    let (code, _, err) = run(folder.path(), &["serve"], &[]);
    assert_eq!(code, 3, "{err}");
    assert!(
        err.contains("HG0218") && err.contains("hookgate token create"),
        "{err}"
    );
    // `check` does not know the store: it warns.
    let (code, out, err) = run(folder.path(), &["check"], &[]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(format!("{out}{err}").contains("HG0218"), "{out}{err}");
    let create = [
        "token", "create", "owner", "--scope", "admin", "--store", "data",
    ];
    let (code, out, err) = run(folder.path(), &create, &[]);
    assert_eq!(code, 0, "{err}");
    let token = out.trim().to_owned();
    let (_, out, _) = run(
        folder.path(),
        &["token", "list", "--store", "data", "--plain"],
        &[],
    );
    assert!(out.contains("owner\tadmin\tnever\tnever"), "{out}");

    let mut gateway = Setup::new(toml()).start();
    // At rest the store's token is made; a running gateway keeps its store locked.
    let (code, _, err) = run(gateway.folder.path(), &create, &[]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("leave out --store"), "{err}");
    assert_eq!(gateway.terminate(), Some(0));
    let (code, out, err) = run(gateway.folder.path(), &create, &[]);
    assert_eq!(code, 0, "{err}");
    gateway.start();
    let (code, ..) = of(&gateway, "", &["events"]);
    assert_eq!(code, 5, "a token for everything closes the door");
    let (code, _, err) = of(&gateway, out.trim(), &["events"]);
    assert_eq!(code, 0, "{err}");
    assert!(!gateway.stderr().contains(&token[10..]));
}
