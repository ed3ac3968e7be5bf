//! Against a real Prefect server: `HOOKGATE_TEST_PREFECT` names its executable (package `prefect`, 3.x).
//! Without it the test says so and passes.

use super::*;
use crate::forward::{HttpTarget, PrefectOptions, SinkKind, SinkSettings};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const EVENTS: u64 = 3_000;

struct Server {
    process: Child,
}

impl Server {
    fn start(executable: &str, home: &Path, port: u16) -> Self {
        let process = Command::new(executable)
            .args(["server", "start", "--port", &port.to_string()])
            .env("PREFECT_HOME", home)
            .env("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
            .env_remove("PREFECT_API_URL")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        Self { process }
    }

    fn kill(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn total(client: &reqwest::Client, url: &str) -> Option<u64> {
    let since = Timestamp::now() - SignedDuration::from_hours(1);
    let filter = serde_json::json!({
        "filter": {
            "event": { "name": ["order.created"] },
            "occurred": { "since": since, "until": Timestamp::now() + SignedDuration::from_hours(1) },
        },
        "limit": 1,
    });
    let call = client.post(format!("{url}/events/filter")).json(&filter);
    let answer: serde_json::Value = call.send().await.ok()?.json().await.ok()?;
    answer["total"].as_u64()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_once_though_the_server_is_killed() {
    let Ok(executable) = std::env::var("HOOKGATE_TEST_PREFECT") else {
        eprintln!("skipped: HOOKGATE_TEST_PREFECT is not set");
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut server = Server::start(&executable, home.path(), port);
    let url = format!("http://127.0.0.1:{port}/api");
    let tuning = Tuning {
        backoff_cap: Duration::from_secs(1),
        failing_after: Duration::from_secs(1),
        ..Tuning::default()
    };
    let bench = Bench::over(MemoryLog::new(), MemoryState::new(), tuning);
    bench.log.add_events(0..EVENTS);
    let target = HttpTarget {
        url: url.clone(),
        token: None,
        auth: None,
        headers: Vec::new(),
    };
    let kind = SinkKind::Prefect(target, PrefectOptions { confirm: true });
    let sink = SinkSettings {
        kind,
        ..settings("out")
    };
    bench.forwarders.apply(std::slice::from_ref(&sink)).await;

    // Half-way, with events in its memory, the server ends.
    let limit = Duration::from_secs(120);
    until_within(limit, "a third", || {
        bench.state.seq("out") >= Some(EVENTS / 3)
    })
    .await;
    server.kill();
    let status = format!("{:?}", bench.forwarders.status());
    until_within(limit, "failing", || {
        bench.forwarders.status()[0].state == "failing"
    })
    .await;
    let _server = Server::start(&executable, home.path(), port);
    until_within(limit, &status, || bench.state.seq("out") >= Some(EVENTS)).await;
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    assert_eq!(total(&client, &url).await, Some(EVENTS));
    assert!(bench.state.letters().is_empty());
}
