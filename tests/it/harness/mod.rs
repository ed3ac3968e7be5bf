//! Starts the real binary in a temporary folder, speaks HTTP to it, and leaves nothing behind.

pub mod cases;
pub mod clock;
pub mod command;
pub mod fake_sink;
pub mod http;
pub mod sign;

use http::{Reply, Target};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A slug of the length that hookgate makes.
pub fn slug(n: usize) -> String {
    format!("{:x<22}", format!("it{n:05}"))
}

/// Waits until `probe` gives something.
pub fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < end, "gave up waiting for {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A running gateway with its folder.
pub struct Gateway {
    pub folder: TempDir,
    env: Vec<(String, String)>,
    child: Option<Child>,
    pub public: SocketAddr,
    pub admin: SocketAddr,
    tls: bool,
}

/// What a gateway is started with.
#[derive(Default)]
pub struct Setup {
    pub server: String,
    pub store: String,
    pub rest: String,
    pub env: Vec<(String, String)>,
    pub files: Vec<(String, Vec<u8>)>,
}

impl Setup {
    pub fn new(rest: impl Into<String>) -> Self {
        Self {
            rest: rest.into(),
            ..Self::default()
        }
    }

    pub fn server(mut self, lines: &str) -> Self {
        self.server = lines.into();
        self
    }

    pub fn store(mut self, lines: &str) -> Self {
        self.store = lines.into();
        self
    }

    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    pub fn file(mut self, path: &str, text: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.into(), text.into()));
        self
    }

    pub fn toml(&self) -> String {
        format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n{}\n[store]\nkind = \"sqlite\"\npath = \"data\"\n{}\n{}",
            self.server, self.store, self.rest
        )
    }

    pub fn start(self) -> Gateway {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (path, text) in &self.files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            std::fs::write(path, text).expect("a file");
        }
        std::fs::write(folder.path().join("webhooks.toml"), self.toml()).expect("webhooks.toml");
        let tls = self.server.contains("tls =");
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut gateway = Gateway {
            folder,
            env: self.env,
            child: None,
            public: nowhere,
            admin: nowhere,
            tls,
        };
        gateway.start();
        gateway
    }
}

/// The binary, with nothing of the tester's environment that could change what it does.
pub fn hookgate(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookgate"));
    command
        .current_dir(folder)
        .env_remove("HOOKGATE_CONFIG")
        .env_remove("NO_COLOR");
    for name in [
        "HOOKGATE_LISTEN",
        "HOOKGATE_ADMIN",
        "HOOKGATE_STORE_PATH",
        "HOOKGATE_LOG",
    ] {
        command.env_remove(name);
    }
    command
}

impl Gateway {
    /// Starts the process and waits for its ready lines.
    pub fn start(&mut self) {
        let stderr = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.stderr_path());
        let mut child = hookgate(self.folder.path())
            .args(["serve", "-c", "webhooks.toml"])
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(stderr.expect("a log file"))
            .spawn()
            .expect("the binary starts");
        let stdout = child.stdout.take().expect("its stdout");
        self.child = Some(child);
        let (mut public, mut admin) = (None, None);
        let mut lines = BufReader::new(stdout).lines();
        while public.is_none() || admin.is_none() {
            let Some(Ok(line)) = lines.next() else {
                panic!("it does not start: {}", self.stderr())
            };
            let address = |url: &str| {
                url.rsplit('/')
                    .next()
                    .and_then(|a| a.parse::<SocketAddr>().ok())
            };
            if let Some(url) = line.strip_prefix("public ") {
                public = address(url);
            } else if let Some(url) = line.strip_prefix("admin ") {
                admin = address(url);
            }
        }
        // A thread reads on, so that a sink that prints to stdout is never held up.
        std::thread::spawn(move || lines.for_each(drop));
        (self.public, self.admin) = (public.expect("public"), admin.expect("admin"));
    }

    pub fn stderr_path(&self) -> PathBuf {
        self.folder.path().join("stderr.log")
    }

    /// Everything it has logged.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.stderr_path()).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("running").id()
    }

    /// kill -9, then what a supervisor does.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("kill -9");
            child.wait().expect("it is dead");
            clock::clean_up(child.id());
        }
    }

    pub fn restart_after_kill9(&mut self) {
        self.kill9();
        self.start();
    }

    pub fn signal(&self, name: &str) {
        let done = Command::new("kill")
            .args([name, &self.pid().to_string()])
            .status()
            .expect("kill");
        assert!(done.success());
    }

    /// SIGTERM; gives the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal("-TERM");
        let mut child = self.child.take().expect("running");
        let status = wait_for("the end of the process", || child.try_wait().expect("wait"));
        status.code()
    }

    /// A request to the public listener.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        http::send(self.target(), method, path, headers, body)
    }

    pub fn target(&self) -> Target {
        Target {
            address: self.public,
            tls: self.tls,
        }
    }

    pub fn post(&self, slug: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.send("POST", &format!("/hooks/{slug}"), headers, body)
    }

    pub fn post_json(&self, slug: &str, body: &Value) -> Reply {
        self.post(
            slug,
            &[("Content-Type", "application/json")],
            body.to_string().as_bytes(),
        )
    }

    /// A request to the admin listener.
    pub fn admin(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        http::send(
            Target {
                address: self.admin,
                tls: false,
            },
            method,
            path,
            headers,
            body,
        )
    }

    /// JSON from the API; anything but 200 fails the test.
    pub fn api(&self, path: &str) -> Value {
        let reply = self.admin("GET", path, &[], b"");
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()
    }

    /// The record of the delivery that an answer names.
    pub fn delivery(&self, reply: &Reply) -> Value {
        let id = reply
            .header("hookgate-delivery")
            .unwrap_or_else(|| panic!("no delivery: {} {}", reply.status, reply.text()));
        self.api(&format!("/api/v1/deliveries/{id}"))
    }

    /// Every event in the feed, oldest first, through all pages.
    pub fn all_events(&self, page: usize) -> Vec<Value> {
        let (mut rows, mut after) = (Vec::new(), String::new());
        loop {
            let found = self.api(&format!("/api/v1/events?order=asc&limit={page}{after}"));
            rows.extend(found["data"].as_array().expect("data").iter().cloned());
            match found["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return rows,
            }
        }
    }

    /// Replaces the configuration as an editor does: a new file, then a rename.
    pub fn write_config(&self, setup: &Setup) {
        let new = self.folder.path().join("webhooks.toml.new");
        std::fs::write(&new, setup.toml()).expect("write");
        std::fs::rename(new, self.folder.path().join("webhooks.toml")).expect("rename");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// A path or address from outside that a test needs. In CI it must be there; elsewhere the test says that it was not run.
pub fn outside(variable: &str) -> Option<String> {
    let found = std::env::var(variable)
        .ok()
        .filter(|value| !value.is_empty());
    assert!(
        found.is_some() || std::env::var_os("CI").is_none(),
        "{variable} must be set in CI"
    );
    if found.is_none() {
        eprintln!("not run: {variable} is not set (.ci/run sets it)");
    }
    found
}
