//! `hookgate dev`: from nothing to the first event, with no file.

use crate::harness::http::{self, Reply, Target};
use crate::harness::{hookgate, wait_for};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

/// A running `dev` and everything it has printed.
struct Dev {
    child: Child,
    printed: Arc<Mutex<Vec<String>>>,
}

impl Dev {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = hookgate(folder)
            .args([
                "dev",
                "--no-open",
                "--listen",
                "127.0.0.1:0",
                "--admin",
                "127.0.0.1:0",
            ])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let printed = Arc::new(Mutex::new(Vec::new()));
        let stdout = child.stdout.take().unwrap();
        let lines = Arc::clone(&printed);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        Self { child, printed }
    }

    /// The first line printed that fits, once it is there.
    fn line(&self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        wait_for(what, || {
            let printed = self.printed.lock().unwrap();
            printed.iter().find(|line| fits(line)).cloned()
        })
    }

    fn address(&self, name: &str) -> SocketAddr {
        let line = self.line(name, |line| line.trim_start().starts_with(name));
        let url = line.split("http://").nth(1).unwrap();
        url.split('/').next().unwrap().parse().unwrap()
    }

    fn call(
        &self,
        name: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let target = Target {
            address: self.address(name),
            tls: false,
        };
        http::send(target, method, path, headers, body)
    }

    fn send(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.call("webhook", "POST", path, headers, body)
    }

    fn api(&self, path: &str) -> Value {
        let reply = self.call("feed", "GET", path, &[], b"");
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

#[test]
fn one_command_and_one_curl() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &[]);
    let public = dev.address("webhook");
    let curl = dev.line("the curl line", |line| line.contains("curl -d"));
    assert!(
        curl.contains(&format!("http://{public}/hooks/try")),
        "{curl}"
    );
    dev.line("what is watched", |line| {
        line.contains("watching") && line.contains("not there yet")
    });

    let reply = dev.send("/hooks/try", &[FORM], b"model=recommendations");
    assert_eq!(reply.status, 204);
    let line = dev.line("the delivery", |line| line.contains("http.post"));
    let id = reply.header("hookgate-delivery").unwrap();
    for part in [
        "204",
        "try",
        "POST form 21 B",
        "→",
        "webhook.try",
        " ms",
        id,
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let event = dev.api("/api/v1/events");
    let event = &event["data"][0];
    assert_eq!(event["event"], "http.post");
    assert_eq!(event["resource"]["prefect.resource.id"], "webhook.try");
    assert_eq!(event["payload"]["body"]["model"], "recommendations");
    assert_eq!(
        dev.call("feed", "GET", "/", &[("Accept", "text/html")], b"")
            .status,
        200
    );

    // Anything is taken, whatever a terminal would make of it.
    let reply = dev.call(
        "webhook",
        "PUT",
        "/hooks/try/a/b?x=1",
        &[("Content-Type", "x/\x07\x1b[2J")],
        b"\xff\0",
    );
    assert!(
        reply.status == 204 || reply.status == 400,
        "{}",
        reply.text()
    );
    assert!(
        dev.printed
            .lock()
            .unwrap()
            .iter()
            .all(|line| !line.contains('\u{1b}'))
    );
    // Nothing else was written.
    let written = std::fs::read_dir(folder.path()).unwrap();
    let names: Vec<_> = written.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [".hookgate"]);
    assert!(folder.path().join(".hookgate/.gitignore").exists());
}

#[test]
fn the_file_is_taken_when_it_comes_and_errors_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &[]);
    dev.address("webhook");
    let write = |text: &str| {
        let new = folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, folder.path().join("webhooks.toml")).unwrap();
    };
    let shop = r#"
[[webhook]]
name = "shop"
slug = "fakeslug00000000000001"
verify = { scheme = "bearer", token = { file = "token" } }
undefined = "error"
event = { event = "shop.{{ body.kind }}", resource = { "prefect.resource.id" = "shop" } }
"#;
    std::fs::write(folder.path().join("token"), "fake-token-0001").unwrap();
    write(shop);
    dev.line("the new file", |line| line.contains("was taken"));
    let path = "/hooks/fakeslug00000000000001";
    let bearer = ("Authorization", "Bearer fake-token-0001");
    // Both sides are told what is wrong.
    let parked = dev.send(path, &[bearer], b"{}");
    assert_eq!(parked.status, 400);
    let told = parked.text();
    assert!(
        told.contains("HG0312") && told.contains("kind") && !told.contains('\u{1b}'),
        "{told}"
    );
    dev.line("the parked one", |line| {
        line.contains("parked") && line.contains("HG0312")
    });
    let rejected = dev.send(path, &[("Authorization", "Bearer fake-wrong")], b"{}");
    assert_eq!(rejected.status, 401);
    assert!(rejected.text().contains("HG0505"), "{}", rejected.text());
    dev.line("the rejected one", |line| line.contains("not verified"));
    assert_eq!(dev.send("/hooks/nowhere", &[], b"").status, 404);
    dev.line("the lost one", |line| {
        line.contains("there is no such webhook")
    });
    // `try` stays beside it.
    assert_eq!(dev.send("/hooks/try", &[FORM], b"a=1").status, 204);

    write("[[webhook]]\nname = 7\n");
    dev.line("the finding", |line| line.contains("HG0202"));
    dev.line("the refusal", |line| {
        line.contains("the running configuration stays")
    });
    let ok = dev.send(
        path,
        &[bearer, ("Content-Type", "application/json")],
        b"{\"kind\": \"paid\"}",
    );
    assert_eq!(ok.status, 204);
    dev.line("the event", |line| line.contains("shop.paid"));
}

#[test]
fn scripts_read_lines_of_json() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path(), &["--json"]);
    let ready = dev.line("ready", |line| line.contains("\"public\""));
    let ready: Value = serde_json::from_str(&ready).unwrap();
    let webhook = ready["webhook"].as_str().unwrap();
    let address = webhook.split('/').nth(2).unwrap().parse().unwrap();
    let target = Target {
        address,
        tls: false,
    };
    let reply = http::send(target, "DELETE", "/hooks/try", &[], b"");
    assert_eq!(reply.status, 204);
    let line = dev.line("the delivery", |line| line.contains("\"http.delete\""));
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["outcome"], "accepted");
    assert_eq!(line["delivery"].as_str(), reply.header("hookgate-delivery"));
    // A stop is no failure.
    let pid = dev.child.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let status = wait_for("the end", || dev.child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn the_playground_writes_the_template() {
    let folder = tempfile::tempdir().unwrap();
    let webhooks = "[[webhook]]\nname = \"mine\"\nslug = \"fake-slug-of-22-chars-01\"\nverify = \"none\"\n\
                    template = \"mine.json.j2\"\n";
    let template = |name: &str| {
        format!("{{\"event\": \"{name}\", \"resource\": {{\"prefect.resource.id\": \"r\"}}}}\n")
    };
    let file = folder.path().join("templates/mine.json.j2");
    std::fs::create_dir(folder.path().join("templates")).unwrap();
    std::fs::write(folder.path().join("webhooks.toml"), webhooks).unwrap();
    std::fs::write(&file, template("before")).unwrap();
    let dev = Dev::start(folder.path(), &[]);
    let path = "/webhooks/mine/playground";
    let page = dev.call("feed", "GET", path, &[], b"");
    let page = String::from_utf8_lossy(&page.body).into_owned();
    let field = |name: &str| {
        let rest = page
            .split(&format!("name=\"{name}\" value=\""))
            .nth(1)
            .unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let save = |text: &str| {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("form_token", &field("form_token"))
            .append_pair("base", &field("base"))
            .append_pair("template", text)
            .append_pair("do", "save")
            .finish();
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("sec-fetch-site", "same-origin"),
            ("accept", "text/html"),
        ];
        let reply = dev.call("feed", "POST", path, &headers, form.as_bytes());
        String::from_utf8_lossy(&reply.body).into_owned()
    };
    let saved = save(&template("after"));
    assert!(saved.contains("is written, and in use"), "{saved}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), template("after"));
    let reply = dev.send("/hooks/fake-slug-of-22-chars-01", &[], b"{}");
    assert_eq!(reply.status, 204);
    let events = dev.api("/api/v1/events?q=webhook:mine");
    assert_eq!(events["data"][0]["event"], "after");
    // The page still knows the text of before: what was written meanwhile is not lost.
    let refused = save(&template("late"));
    assert!(refused.contains("changed by someone else"), "{refused}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), template("after"));
}
