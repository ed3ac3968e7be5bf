//! The author's tools: `check --watch`, `render --watch`, `render` of a kept delivery, what `check` prints for machines.

use crate::harness::{Gateway, Setup, hookgate, slug, wait_for};
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

const TEMPLATE: &str =
    r#"{"event": "shop.{{ body.kind }}", "resource": {"prefect.resource.id": "r"}}"#;
const REQUEST: &str =
    "POST /hooks/x HTTP/1.1\nContent-Type: application/json\n\n{\"kind\": \"paid\"}";

fn toml() -> String {
    format!(
        "[[webhook]]\nname = \"shop\"\nslug = \"{}\"\nverify = \"none\"\nundefined = \"error\"\ndelivery_key = \"headers['x-key']\"\ntemplate = \"shop.json.j2\"\n",
        slug(1)
    )
}

const TEST: &str = "[[webhook.test]]\nname = \"paid\"\nrequest = \"paid.http\"\nexpect = [{ event = \"shop.paid\" }]\n";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("templates")).unwrap();
    write(folder.path(), "webhooks.toml", &(toml() + TEST));
    write(folder.path(), "templates/shop.json.j2", TEMPLATE);
    write(folder.path(), "paid.http", REQUEST);
    folder
}

/// As an editor does: a new file, then a rename.
fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    let new = folder.join("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// A command that goes on, and what it has said so far.
struct Watching {
    child: Child,
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
}

fn collect(mut stream: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let all = Arc::clone(&text);
    std::thread::spawn(move || {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..n]);
            *all.lock().unwrap() = String::from_utf8_lossy(&bytes).into_owned();
        }
    });
    text
}

impl Watching {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = hookgate(folder)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = collect(child.stdout.take().unwrap());
        let err = collect(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    fn out(&self) -> String {
        self.out.lock().unwrap().clone()
    }

    /// Verdict of the last run that has ended.
    fn verdict(&self) -> Option<String> {
        let err = self.err.lock().unwrap().clone();
        let mut lines = err.lines().rev().filter(|line| line.starts_with("run "));
        let line = lines.find(|line| line.ends_with("Ctrl-C ends"))?;
        Some(line.split_once(": ")?.1.split(';').next()?.to_owned())
    }

    fn until(&self, verdict: &str) {
        wait_for(verdict, || (self.verdict()? == verdict).then_some(()));
    }

    fn signal(&mut self, name: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &id])
                .status()
                .unwrap()
                .success()
        );
        wait_for("its end", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn check_runs_again_when_something_has_changed() {
    let folder = folder();
    let mut watching = Watching::start(folder.path(), &["check", "--watch"]);
    watching.until("ok");
    assert!(
        watching.out().contains("1 passed, 0 failed"),
        "{}",
        watching.out()
    );
    // The template, the request of a test, the file itself.
    write(
        folder.path(),
        "templates/shop.json.j2",
        &TEMPLATE.replace("shop.", "store."),
    );
    watching.until("exit code 1");
    assert!(watching.out().contains("store.paid"), "{}", watching.out());
    write(folder.path(), "templates/shop.json.j2", TEMPLATE);
    watching.until("ok");
    write(folder.path(), "paid.http", &REQUEST.replace("paid", "sent"));
    watching.until("exit code 1");
    write(folder.path(), "paid.http", REQUEST);
    watching.until("ok");
    write(folder.path(), "webhooks.toml", &(toml() + "templat = 1\n"));
    watching.until("exit code 3");
    write(folder.path(), "webhooks.toml", &toml());
    watching.until("ok");
    // Each run but the first has a line above it.
    let err = watching.err.lock().unwrap().clone();
    let runs = err.matches("Ctrl-C ends").count();
    assert_eq!(err.matches("\n── run ").count(), runs - 1, "{err}");
    assert_eq!(watching.signal("-INT"), Some(130));
}

#[test]
fn check_watches_quietly_for_machines() {
    let folder = folder();
    write(
        folder.path(),
        "webhooks.toml",
        &(toml() + TEST).replace("verify = \"none\"\n", ""),
    );
    let mut watching = Watching::start(folder.path(), &["check", "--watch", "--json", "-q"]);
    wait_for("a finding", || {
        (watching.out().lines().count() == 1).then_some(())
    });
    write(folder.path(), "templates/shop.json.j2", "{{ body.");
    wait_for("another", || {
        watching.out().contains("HG0301").then_some(())
    });
    for line in watching.out().lines() {
        let finding: Value = serde_json::from_str(line).unwrap();
        assert!(finding["code"].is_string(), "{finding}");
    }
    assert_eq!(watching.err.lock().unwrap().as_str(), "");
    assert_eq!(watching.signal("-TERM"), Some(143));
}

#[test]
fn render_runs_again_when_something_has_changed() {
    let folder = folder();
    let template = folder.path().join("own.j2");
    std::fs::write(&template, TEMPLATE).unwrap();
    let arguments = [
        "render",
        "paid.http",
        "--template",
        "own.j2",
        "--watch",
        "--json",
    ];
    let mut watching = Watching::start(folder.path(), &arguments);
    watching.until("ok");
    write(folder.path(), "own.j2", "{{ body.");
    watching.until("exit code 3");
    write(folder.path(), "own.j2", &TEMPLATE.replace("shop.", "own."));
    watching.until("ok");
    write(folder.path(), "paid.http", &REQUEST.replace("paid", "sent"));
    wait_for("the other request", || {
        watching.out().contains("own.sent").then_some(())
    });
    let events: Vec<Value> = watching
        .out()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events[0]["event"], "shop.paid");
    assert_eq!(watching.signal("-INT"), Some(130));
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn run(folder: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Ran {
    let output = hookgate(folder)
        .args(arguments)
        .envs(env.iter().copied())
        .env_remove("HOOKGATE_URL")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

const TOKEN: &str = "fake-admin-token-0001";
const KNOWN: [(&str, &str); 1] = [("HOOKGATE_TOKEN", TOKEN)];

fn gateway() -> Gateway {
    Setup::new(toml())
        .server("admin_token = { env = \"T\" }")
        .env("T", TOKEN)
        .file("templates/shop.json.j2", TEMPLATE)
        .file("token", TOKEN)
        .start()
}

/// Sends a body; gives the status and the delivery's id.
fn post(gateway: &Gateway, key: &str, body: &str) -> (u16, String) {
    let headers = [("Content-Type", "application/json"), ("X-Key", key)];
    let reply = gateway.post(&slug(1), &headers, body.as_bytes());
    let id = reply.header("hookgate-delivery").unwrap().to_owned();
    (reply.status, id)
}

#[test]
fn a_parked_delivery_is_rendered_by_another_template() {
    let gateway = gateway();
    let (status, id) = post(&gateway, "k1", "{\"knd\": \"paid\"}");
    assert_eq!(status, 400);
    let folder = gateway.folder.path();
    let url = format!("http://{}", gateway.admin);
    let render = ["render", &id, "--url", &url, "--json"];
    let parked = run(folder, &render, &KNOWN);
    assert_eq!(
        (parked.code, parked.out.as_str()),
        (1, ""),
        "{}",
        parked.err
    );
    let error: Value = serde_json::from_str(parked.err.lines().last().unwrap()).unwrap();
    assert_eq!(error["code"], "HG0312", "{error}");

    std::fs::write(
        folder.join("new.j2"),
        TEMPLATE.replace("body.kind", "body.knd"),
    )
    .unwrap();
    let more = ["--template", "new.j2", "--token-file", "token"];
    let tried = run(folder, &[&render[..], &more].concat(), &[]);
    assert_eq!(tried.code, 0, "{}", tried.err);
    let event: Value = serde_json::from_str(&tried.out).unwrap();
    assert_eq!(event["event"], "shop.paid");
}

#[test]
fn an_accepted_delivery_gives_the_same_event_again() {
    let gateway = gateway();
    let (status, id) = post(&gateway, "k2", "{\"kind\": \"paid\"}");
    assert_eq!(status, 204);
    let folder = gateway.folder.path();
    let url = format!("http://{}", gateway.admin);
    let render = ["render", &id, "--url", &url, "--json"];
    let env = [KNOWN[0], ("T", TOKEN)];
    let again = run(folder, &[&render[..], &["--verify", "-q"]].concat(), &env);
    assert_eq!(again.code, 0, "{}", again.err);
    // Time and id too.
    let again: Value = serde_json::from_str(&again.out).unwrap();
    let path = format!("/api/v1/deliveries/{id}");
    let bearer = format!("Bearer {TOKEN}");
    let stored = gateway
        .admin("GET", &path, &[("Authorization", &bearer)], b"")
        .json();
    assert_eq!(again, stored["events"][0]);
    let changed = run(
        folder,
        &[&render[..], &["--set", "body.kind=sent"]].concat(),
        &KNOWN,
    );
    assert!(changed.out.contains("shop.sent"), "{}", changed.err);
}

#[test]
fn no_token_no_delivery_no_gateway() {
    let gateway = gateway();
    let folder = gateway.folder.path();
    let url = format!("http://{}", gateway.admin);
    let nobody = "00000000-0000-7000-8000-000000000000";
    assert_eq!(run(folder, &["render", nobody, "--url", &url], &[]).code, 5);
    let missing = run(folder, &["render", nobody, "--url", &url], &KNOWN);
    assert!(
        missing.code == 6 && missing.err.contains(nobody),
        "{}",
        missing.err
    );
    let away = run(
        folder,
        &["render", nobody, "--url", "http://127.0.0.1:1"],
        &KNOWN,
    );
    assert_eq!(away.code, 4, "{}", away.err);
    assert_eq!(run(folder, &["render", "none.http"], &[]).code, 2);
}

#[test]
fn what_check_prints_for_machines() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    for name in ["webhooks.toml", "templates", "paid.http"] {
        std::fs::rename(
            folder.path().join(name),
            folder.path().join("sub").join(name),
        )
        .unwrap();
    }
    let template = "{\n  \"event\": \"shop.{{ body.knd }}\", \"resource\": {\"prefect.resource.id\": \"100%\"}}";
    write(folder.path(), "sub/templates/shop.json.j2", template);
    let lenient = (toml() + TEST).replace("undefined = \"error\"\n", "");
    write(folder.path(), "sub/webhooks.toml", &lenient);
    let check = |form: &str| {
        let arguments = ["check", "-c", "sub/webhooks.toml", "--format", form];
        run(folder.path(), &arguments, &[])
    };
    let github = check("github");
    assert_eq!(github.code, 1, "{}", github.err);
    let lines: Vec<&str> = github.out.lines().collect();
    assert!(
        lines[0].starts_with(
            "::warning file=sub/templates/shop.json.j2,line=2,col=21,endColumn=29,title=HG0312::"
        ),
        "{}",
        github.out
    );
    assert!(
        lines[1].starts_with(
            "::error file=sub/webhooks.toml,line=7,col=1,title=HG0217::test \"paid\" failed"
        ),
        "{}",
        github.out
    );
    assert!(
        lines.len() == 2 && lines[1].contains("%0A"),
        "{}",
        github.out
    );
    let junit = check("junit");
    assert_eq!(junit.code, 1);
    assert!(
        junit.out.starts_with("<?xml version=\"1.0\""),
        "{}",
        junit.out
    );
    assert!(
        junit
            .out
            .contains("name=\"paid\" file=\"sub/webhooks.toml\" line=\"7\""),
        "{}",
        junit.out
    );
    let json = check("json");
    let findings: Vec<Value> = json
        .out
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(findings[1]["code"], json!("HG0217"));
    assert_eq!(check("text").code, 1);
    assert_eq!(check("yaml").code, 2);
}
