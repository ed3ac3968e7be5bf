//! The sink against a real Prefect server: every event once, over a kill of the server half-way.

use crate::harness::http::{self, Reply, Target};
use crate::harness::{Setup, outside, slug, wait_for};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const EVENTS: u64 = 3_000;
/// A Prefect server takes tens of seconds to start and to write what it took.
const PATIENCE: Duration = Duration::from_secs(240);

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(prefect: &str, home: &Path, port: u16) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let log = std::fs::File::create(home.join("server.log")).unwrap();
        let child = Command::new(prefect)
            .args([
                "server",
                "start",
                "--host",
                "127.0.0.1",
                "--port",
                &port.to_string(),
            ])
            .env("PREFECT_HOME", home)
            .env(
                "PREFECT_API_DATABASE_CONNECTION_URL",
                format!("sqlite+aiosqlite:///{}/prefect.db", home.display()),
            )
            .env("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
            .env("DO_NOT_TRACK", "1")
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .expect("the Prefect server starts");
        let server = Self { child, address };
        patiently("Prefect's health", || {
            server
                .call("GET", "/api/health", &Value::Null)
                .filter(|reply| reply.status == 200)
                .map(drop)
        });
        server
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Option<Reply> {
        let target = Target {
            address: self.address,
            tls: false,
        };
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        http::try_send(
            target,
            method,
            path,
            &[("Content-Type", "application/json")],
            &body,
        )
        .ok()
    }

    /// How often each name is there, over all pages.
    fn names(&self) -> HashMap<String, u64> {
        let mut found = HashMap::new();
        let filter = json!({"filter": {"event": {"prefix": ["n."]}, "order": "ASC"}, "limit": 50});
        let mut page = self
            .call("POST", "/api/events/filter", &filter)
            .map(|reply| reply.json());
        while let Some(rows) = page {
            for event in rows["events"].as_array().into_iter().flatten() {
                *found
                    .entry(event["event"].as_str().unwrap_or("").to_owned())
                    .or_default() += 1;
            }
            let next = rows["next_page"]
                .as_str()
                .and_then(|url| url.find("/api/").map(|at| url[at..].to_owned()));
            page = next
                .and_then(|path| self.call("GET", &path, &Value::Null))
                .map(|reply| reply.json());
        }
        found
    }

    fn count(&self) -> u64 {
        let filter = json!({"filter": {"event": {"prefix": ["n."]}}, "limit": 1});
        let reply = self.call("POST", "/api/events/filter", &filter);
        reply
            .and_then(|reply| reply.json()["total"].as_u64())
            .unwrap_or(0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn patiently<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < end, "gave up waiting for {what}");
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

#[test]
fn every_event_once_over_a_kill_of_the_server() {
    let Some(prefect) = outside("HOOKGATE_TEST_PREFECT") else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let server = Server::start(&prefect, home.path(), port);
    let toml = format!(
        "[[sink]]\nname = \"prefect\"\nkind = \"prefect\"\nurl = \"http://127.0.0.1:{port}/api\"\nfrom = \"oldest\"\n[[webhook]]\nname = \"w\"\nslug = \"{}\"\nevent = {{ event = \"n.{{{{ body.n }}}}\", resource = {{ \"prefect.resource.id\" = \"r\" }} }}\n",
        slug(1)
    );
    let gateway = Setup::new(toml).start();
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let gateway = &gateway;
            scope.spawn(move || {
                for n in (worker..EVENTS).step_by(8) {
                    assert_eq!(gateway.post_json(&slug(1), &json!({"n": n})).status, 204);
                }
            });
        }
    });
    patiently("part of the backlog", || {
        (server.count() > EVENTS / 10).then_some(())
    });
    drop(server);
    let server = Server::start(&prefect, home.path(), port);
    patiently("the whole backlog", || {
        (server.count() >= EVENTS).then_some(())
    });
    let names = server.names();
    let missing: Vec<u64> = (0..EVENTS)
        .filter(|n| !names.contains_key(&format!("n.{n}")))
        .collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
    let twice: Vec<_> = names.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "more than once: {twice:?}");
    wait_for("the cursor", || {
        (gateway.api("/api/v1/sinks")["data"][0]["lag"] == 0).then_some(())
    });
    assert_eq!(gateway.api("/api/v1/dead-letters")["data"], json!([]));
}
