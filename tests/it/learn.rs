//! A sender delivers its secret itself: it is learned once, pending until its owner confirms it, and nowhere in clear.

use crate::harness::http::{self, Reply};
use crate::harness::{Gateway, Setup, hookgate, sign, slug, wait_for};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

const ASANA: &str = "fake-asana-hook-secret-0001-b537207f20cbfa02357cf448134da559";
const STRANGER: &str = "fake-asana-hook-secret-0002-00000000000000000000000000000000";
const NOTION: &str = "secret_fakeNotionVerificationToken0001";

fn toml(lines: &str) -> String {
    format!(
        "[[webhook]]\nname = \"asana\"\nslug = \"{}\"\nprovider = \"asana\"\n{lines}\n\
         [[webhook]]\nname = \"notion\"\nslug = \"{}\"\nprovider = \"notion\"\n",
        slug(1),
        slug(2)
    )
}

fn teach(gateway: &Gateway, secret: &str) -> Reply {
    gateway.post(&slug(1), &[("X-Hook-Secret", secret)], b"{}")
}

fn deliver(gateway: &Gateway, secret: &str, task: u32) -> Reply {
    let body = json!({"events": [{"user": {"gid": "1"}, "created_at": "2026-01-01T00:00:00.000Z", "action": "changed",
        "resource": {"gid": task.to_string(), "resource_type": "task"}, "parent": null}]})
    .to_string();
    let signature = hex::encode(sign::hmac_sha256(secret.as_bytes(), &[body.as_bytes()]));
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Hook-Signature", &*signature),
    ];
    gateway.post(&slug(1), &headers, body.as_bytes())
}

/// `learned_secret` of a webhook.
fn state(gateway: &Gateway, webhook: &str) -> Value {
    gateway.api(&format!("/api/v1/webhooks/{webhook}"))["learned_secret"].clone()
}

/// Runs `hookgate webhooks …` against a gateway: exit code, stdout, stderr.
fn owner(gateway: &Gateway, arguments: &[&str]) -> (i32, String, String) {
    let output = hookgate(gateway.folder.path())
        .arg("webhooks")
        .args(arguments)
        .args(["--url", &format!("http://{}", gateway.admin)])
        .env_remove("HOOKGATE_URL")
        .env_remove("HOOKGATE_TOKEN")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn done(ran: (i32, String, String)) -> String {
    assert_eq!(ran.0, 0, "{} {}", ran.1, ran.2);
    ran.1
}

/// Moves the start of every time to learn far into the past, while the gateway is down.
fn let_time_pass(gateway: &Gateway) {
    let path = gateway.folder.path().join("data/state.db");
    let state = rusqlite::Connection::open(path).unwrap();
    let moved = state.execute("UPDATE waiting SET since = '2020-01-01T00:00:00Z'", []);
    assert_eq!(moved.unwrap(), 2);
}

#[test]
fn a_secret_is_learned_once_and_stays() {
    let mut gateway = Setup::new(toml("")).start();
    assert_eq!(state(&gateway, "asana")["state"], "waiting");
    // Before it is known nothing is verified.
    assert_eq!(deliver(&gateway, ASANA, 1).status, 401);

    let reply = teach(&gateway, ASANA);
    assert_eq!(
        (reply.status, reply.header("x-hook-secret")),
        (200, Some(ASANA))
    );
    let record = gateway.delivery(&reply);
    assert_eq!(
        (&record["outcome"], &record["masked"]),
        (&json!("handshake"), &json!(["header x-hook-secret"]))
    );
    assert!(record["seq"].as_u64().unwrap() > 0, "{record}");
    assert_eq!(record["notes"][0]["code"], "HG0513", "{record}");
    let pending = state(&gateway, "asana");
    assert_eq!(pending["state"], "pending");
    assert_eq!(pending["delivery"], record["id"]);
    assert_eq!(pending["from"], "127.0.0.1");

    // A second one is refused; the first one again is answered, and is a handshake of its own.
    assert_eq!(teach(&gateway, STRANGER).status, 401);
    assert_eq!(deliver(&gateway, STRANGER, 1).status, 401);
    let again = teach(&gateway, ASANA);
    assert_eq!(again.status, 200);
    assert_eq!(gateway.delivery(&again)["outcome"], "handshake");

    let reply = deliver(&gateway, ASANA, 2);
    assert_eq!(reply.status, 200);
    let record = gateway.delivery(&reply);
    assert_eq!(record["outcome"], "accepted");
    assert_eq!(record["notes"][0]["code"], "HG0513", "{record}");
    assert!(
        record["verification"].to_string().contains("pending"),
        "{record}"
    );
    let page = gateway.admin("GET", "/", &[], b"").text();
    assert!(page.contains("The secret of asana is pending"), "{page}");

    gateway.restart_after_kill9();
    assert_eq!(state(&gateway, "asana")["state"], "pending");
    assert_eq!(deliver(&gateway, ASANA, 3).status, 200);
    assert_eq!(teach(&gateway, STRANGER).status, 401);

    let listed = done(owner(&gateway, &[]));
    assert!(
        listed.contains("asana") && listed.contains("pending since"),
        "{listed}"
    );
    done(owner(&gateway, &["confirm", "asana"]));
    assert_eq!(state(&gateway, "asana")["state"], "confirmed");
    let record = gateway.delivery(&deliver(&gateway, ASANA, 4));
    assert!(
        record
            .get("notes")
            .is_none_or(|n| n.as_array().unwrap().is_empty()),
        "{record}"
    );

    // Another configuration keeps it.
    gateway.write_config(&Setup::new(toml("description = \"changed\"")));
    wait_for("the new configuration", || {
        let webhook = gateway.api("/api/v1/webhooks/asana");
        (webhook["description"] == "changed").then_some(())
    });
    assert_eq!(deliver(&gateway, ASANA, 5).status, 200);
    assert_eq!(teach(&gateway, STRANGER).status, 401);
    let metrics = gateway.admin("GET", "/metrics", &[], b"").text();
    assert!(
        metrics.contains("hookgate_secret_pending{webhook=\"asana\"} 0"),
        "{metrics}"
    );
    assert!(metrics.contains("reason=\"HG0512\""), "{metrics}");
}

#[test]
fn the_time_to_learn_ends_and_the_owner_opens_it_again() {
    let mut gateway = Setup::new(toml("")).start();
    gateway.terminate();
    let_time_pass(&gateway);
    gateway.start();
    assert_eq!(state(&gateway, "asana")["state"], "missing");
    assert_eq!(teach(&gateway, ASANA).status, 401);
    let shown = done(owner(&gateway, &["show", "asana"]));
    assert!(shown.contains("hookgate webhooks learn asana"), "{shown}");

    assert_eq!(owner(&gateway, &["confirm", "asana"]).0, 1);
    assert_eq!(owner(&gateway, &["learn", "nobody"]).0, 6);
    done(owner(&gateway, &["learn", "asana", "--dry-run"]));
    assert_eq!(state(&gateway, "asana")["state"], "missing");
    done(owner(&gateway, &["learn", "asana"]));
    assert_eq!(state(&gateway, "asana")["state"], "waiting");
    assert_eq!(teach(&gateway, ASANA).status, 200);
    assert_eq!(owner(&gateway, &["learn", "asana"]).0, 1);
    done(owner(&gateway, &["confirm", "asana"]));
    // A confirmed one does not go by accident.
    let (code, _, err) = owner(&gateway, &["forget", "asana"]);
    assert!(code == 2 && err.contains("--yes"), "{code} {err}");
    let out = done(owner(&gateway, &["forget", "asana", "--yes", "--json"]));
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(out["learned_secret"]["state"], "missing");
    assert_eq!(deliver(&gateway, ASANA, 1).status, 401);
    assert_eq!(teach(&gateway, ASANA).status, 401);
}

#[test]
fn a_token_in_the_body_is_shown_to_its_owner_and_kept_nowhere() {
    let mut gateway = Setup::new(toml("")).env("HOOKGATE_LOG", "trace").start();
    let notion = |secret: &str| gateway.post_json(&slug(2), &json!({"verification_token": secret}));
    let reply = notion(NOTION);
    assert_eq!(reply.status, 200);
    let second = "secret_fakeNotionVerificationToken0002";
    assert_eq!(notion(second).status, 401);
    let escaped = b"{\"verification_token\":\"secret_fakeNotionVerificationToken\\u0030003\"}";
    let refused = gateway.post(&slug(2), &[("Content-Type", "application/json")], escaped);
    assert_eq!(refused.status, 401);
    assert_eq!(teach(&gateway, ASANA).status, 200);
    assert_eq!(teach(&gateway, STRANGER).status, 401);
    let record = gateway.delivery(&reply);
    assert_eq!(record["masked"], json!(["body /verification_token"]));
    let path = format!(
        "/api/v1/deliveries/{}/request",
        record["id"].as_str().unwrap()
    );
    let kept = gateway.admin("GET", &path, &[("Accept", "message/http")], b"");
    let kept = kept.text();
    assert!(
        kept.ends_with("\r\n\r\n{\"verification_token\":\"***\"}"),
        "{kept}"
    );

    let shown = done(owner(&gateway, &["show", "notion"]));
    assert!(!shown.contains(NOTION), "{shown}");
    let shown = done(owner(&gateway, &["show", "notion", "--reveal"]));
    assert!(shown.contains(NOTION), "{shown}");
    let body =
        json!({"id": "fake-0001", "type": "page.created", "timestamp": "2026-01-01T00:00:00.000Z",
        "entity": {"id": "p", "type": "page"}, "authors": []})
        .to_string();
    let signature = hex::encode(sign::hmac_sha256(NOTION.as_bytes(), &[body.as_bytes()]));
    let signature = format!("sha256={signature}");
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Notion-Signature", &*signature),
    ];
    assert_eq!(
        gateway.post(&slug(2), &headers, body.as_bytes()).status,
        200
    );
    done(owner(&gateway, &["confirm", "notion"]));
    assert_eq!(owner(&gateway, &["show", "notion", "--reveal"]).0, 1);

    let mut outputs: Vec<String> = [
        "/",
        "/?show=deliveries",
        "/metrics",
        "/api/v1/events",
        "/api/v1/events?q=event:hookgate.*",
        "/api/v1/deliveries",
        "/api/v1/webhooks",
    ]
    .iter()
    .map(|path| gateway.admin("GET", path, &[], b"").text())
    .collect();
    gateway.terminate();
    outputs.push(gateway.stderr());
    for entry in std::fs::read_dir(gateway.folder.path().join("data")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        outputs.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    for secret in [NOTION, second, "VerificationToken0003", ASANA, STRANGER] {
        for (number, output) in outputs.iter().enumerate() {
            assert!(!output.contains(secret), "output {number} holds {secret}");
        }
    }
    let key = gateway.folder.path().join("data/secrets.key");
    let mode = std::fs::metadata(key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn without_its_key_file_it_does_not_start() {
    let mut gateway = Setup::new(toml("")).start();
    assert_eq!(teach(&gateway, ASANA).status, 200);
    gateway.terminate();
    let key = gateway.folder.path().join("data/secrets.key");
    let text = std::fs::read(&key).unwrap();
    let fails = || {
        let output = hookgate(gateway.folder.path())
            .args(["serve", "-c", "webhooks.toml"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(3));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains("error[HG0609]") && said.contains("asana"),
            "{said}"
        );
        said
    };
    std::fs::remove_file(&key).unwrap();
    assert!(fails().contains("missing"));
    assert!(!key.exists());
    let other = format!("{}\n", "0f".repeat(32));
    std::fs::write(&key, other).unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    assert!(fails().contains("not the key"));
    std::fs::write(&key, text).unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    assert!(fails().contains("0644"));
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    gateway.start();
    assert_eq!(deliver(&gateway, ASANA, 1).status, 200);
}

#[test]
fn the_cases_of_the_senders_documents() {
    let cases = include_str!("../cases/handshakes/learned.json");
    let cases: Vec<Value> = serde_json::from_str(cases).unwrap();
    for case in cases {
        let label = format!("{}: {}", case["provider"], case["name"]);
        let provider = case["provider"].as_str().unwrap();
        let secret = case["secret"].as_str();
        let line = secret.map_or("", |_| "secret = { env = \"S\" }");
        let toml = format!(
            "[[webhook]]\nname = \"w\"\nslug = \"{}\"\nprovider = \"{provider}\"\n{line}\n",
            slug(1)
        );
        let gateway = Setup::new(toml).env("S", secret.unwrap_or("")).start();
        let headers: Vec<(&str, &str)> = case["request"]["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        let body = case["request"]["body"].as_str().unwrap();
        let reply = gateway.post(&slug(1), &headers, body.as_bytes());
        let want = &case["expect_response"];
        assert_eq!(json!(reply.status), want["status"], "{label}");
        for (name, value) in want["headers"].as_object().unwrap() {
            let found = reply.header(&name.to_ascii_lowercase());
            assert_eq!(found, value.as_str(), "{label}");
        }
    }
}

#[test]
fn who_verifies_nobody_answers_and_learns_nothing() {
    let gateway = Setup::new(toml("verify = \"none\"")).start();
    let reply = teach(&gateway, ASANA);
    assert_eq!(
        (reply.status, reply.header("x-hook-secret")),
        (200, Some(ASANA))
    );
    assert_eq!(state(&gateway, "asana"), Value::Null);
    assert!(!gateway.folder.path().join("data/secrets.key").exists());
}

#[test]
fn handshakes_pass_a_used_up_rate_and_have_their_own() {
    let toml = format!(
        "[[webhook]]\nname = \"x\"\nslug = \"{}\"\nprovider = \"x\"\nsecret = {{ env = \"S\" }}\nrate = {{ per_second = 0.001, burst = 1 }}\n",
        slug(1)
    );
    let gateway = Setup::new(toml).env("S", "fake-x-secret-0001").start();
    assert_eq!(gateway.post_json(&slug(1), &json!({})).status, 401);
    assert_eq!(gateway.post_json(&slug(1), &json!({})).status, 429);
    let path = format!("/hooks/{}?crc_token=fake-challenge", slug(1));
    assert_eq!(gateway.send("GET", &path, &[], b"").status, 200);
    assert_eq!(gateway.post_json(&slug(1), &json!({})).status, 429);
    // More than ten a second are too many, as soon as they come that fast.
    wait_for("a refused handshake", || {
        let senders: Vec<_> = (0..8)
            .map(|_| {
                let (target, path) = (gateway.target(), path.clone());
                std::thread::spawn(move || {
                    (0..20)
                        .map(|_| http::send(target, "GET", &path, &[], b"").status)
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let statuses: Vec<u16> = senders
            .into_iter()
            .flat_map(|sender| sender.join().unwrap())
            .collect();
        assert!(
            statuses.iter().all(|s| [200, 429].contains(s)),
            "{statuses:?}"
        );
        statuses.contains(&429).then_some(())
    });
}

#[test]
fn who_has_no_token_may_not_confirm() {
    let gateway = Setup::new(toml(""))
        .server("admin_token = { env = \"T\" }")
        .env("T", "fake-admin-token-0001")
        .file("token", "fake-admin-token-0001\n")
        .start();
    assert_eq!(teach(&gateway, ASANA).status, 200);
    let (code, out, err) = owner(&gateway, &["confirm", "asana"]);
    assert!(
        code == 5 && err.contains("HG0804") && out.is_empty(),
        "{code} {err}"
    );
    assert_eq!(owner(&gateway, &["show", "asana", "--reveal"]).0, 5);
    done(owner(
        &gateway,
        &["confirm", "asana", "--token-file", "token"],
    ));
    let listed = done(owner(&gateway, &["--token-file", "token", "--json"]));
    let first: Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    assert_eq!(first["learned_secret"]["state"], "confirmed");
}

#[test]
fn what_is_learned_is_not_asked_of_the_owner() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = hookgate(folder.path())
            .args(arguments)
            .env_remove("HOOKGATE_URL")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    std::fs::write(folder.path().join("webhooks.toml"), "").unwrap();
    let added = done(run(&["add", "asana", "--name", "tasks"]));
    assert!(added.contains("hookgate webhooks show tasks"), "{added}");
    let file = std::fs::read_to_string(folder.path().join("webhooks.toml")).unwrap();
    assert!(
        file.contains("provider = \"asana\"") && !file.contains("secret"),
        "{file}"
    );
    let checked = done(run(&["check"]));
    assert!(checked.contains("1 webhook learns its own"), "{checked}");
    let (code, _, err) = run(&["send", "tasks", "--dry-run"]);
    assert!(
        code == 1 && err.contains("only the running gateway has it"),
        "{code} {err}"
    );
    let (code, _, err) = run(&["webhooks", "--url", "http://127.0.0.1:1"]);
    assert!(code == 4 && err.contains("127.0.0.1:1"), "{code} {err}");
    assert_eq!(run(&["webhooks", "--url", "nowhere"]).0, 2);
}
