//! Requests a second and latency, side by side in one run: server on one core, load on another.
//!
//! `cargo bench --bench gateway [-- SECONDS [NAME…]]`; names:
//! - `read`: reads the body, answers 204 (actix-web alone);
//! - `hmac`: the same, and checks an HMAC-SHA256;
//! - `append`: the same, and has the compressed body in a plain file under `fdatasync`, many requests a sync, before
//!   it answers: the floor for anything that promises durability;
//! - `hookgate`: the whole way of the release binary: verification, template, durable commit;
//! - `watched`: the same, while one client takes every event from `/api/v1/events/stream`.
//!
//! 64 connections send a real GitHub push of 7.7 KB with a fresh delivery id each. What counts is the ratio to
//! `append` within one run; figures of one machine say little about another.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a measuring program stops at the first surprise"
)]

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use hmac::{Hmac, KeyInit, Mac};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

const SECRET: &str = "fake-bench-secret-0001";
const SLUG: &str = "benchbenchbenchbenchbe";
const CONNECTIONS: usize = 64;
/// A rate that one core handles with room to spare.
const STEADY_PER_SECOND: u32 = 5_000;
const BODY: &str = include_str!("../tests/fixtures/github/push.json");

type Job = (Vec<u8>, oneshot::Sender<()>);

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    if args.first().is_some_and(|a| a == "--serve") {
        return serve_floor(&args[1]);
    }
    let seconds = args.first().and_then(|a| a.parse().ok()).unwrap_or(10);
    let all = ["read", "hmac", "append", "hookgate", "watched"].map(str::to_owned);
    let names = if args.len() > 1 {
        args[1..].to_vec()
    } else {
        all.to_vec()
    };
    println!(
        "{CONNECTIONS} connections, {} byte GitHub push, {seconds} s each",
        BODY.len()
    );
    let (mut floor, mut alone) = (None, None);
    for name in &names {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::start(name, folder.path());
        let watched = server.admin.filter(|_| name == "watched").map(watch);
        load(server.address, Duration::from_secs(1), None);
        let found = load(server.address, Duration::from_secs(seconds), None);
        let rate = found.latencies.len() as f64 / found.took.as_secs_f64();
        if name == "append" {
            floor = Some(rate);
        }
        let ratio = floor.map_or(String::new(), |floor| {
            format!("   {:.2} of append", rate / floor)
        });
        println!(
            "{name:>9} {rate:>8.0}/s   p50 {:>6.2} ms   p99 {:>6.2} ms   errors {}   peak memory {} MB{ratio}",
            found.quantile(0.50),
            found.quantile(0.99),
            found.errors,
            server.peak_megabytes(),
        );
        if name == "hookgate" {
            alone = Some(rate);
        }
        if let Some(events) = watched {
            let seen = events.load(std::sync::atomic::Ordering::Relaxed);
            let ratio = alone.map_or(String::new(), |alone| {
                format!(", {:.2} of hookgate alone", rate / alone)
            });
            println!("          the watcher has seen {seen} events{ratio}");
        }
        if let Some(admin) = server.admin {
            report_feed(admin);
            report_steady(&server, admin);
        }
        server.stop();
    }
}

/// How long the feed takes to show everything after the load has ended.
fn report_feed(admin: SocketAddr) {
    let ended = Instant::now();
    let last = get(admin, "/api/v1/deliveries?limit=1");
    let head = number_after(&last, "\"seq\":").unwrap_or(0);
    loop {
        let page = get(admin, "/api/v1/events?limit=1");
        if number_after(&page, "\"indexed_to\":").unwrap_or(0) >= head {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    println!(
        "          feed shows all {head} deliveries {:.2} s after the load",
        ended.elapsed().as_secs_f64()
    );
}

/// How far the feed is behind at a rate that leaves the core room.
fn report_steady(server: &Server, admin: SocketAddr) {
    let how_long = Duration::from_secs(5);
    let done = std::sync::atomic::AtomicBool::new(false);
    let lag = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let metrics = get(admin, "/metrics");
                most = most
                    .max(number_after(&metrics, "\nhookgate_feed_lag_deliveries ").unwrap_or(0));
                std::thread::sleep(Duration::from_millis(100));
            }
            most
        });
        let found = load(server.address, how_long, Some(STEADY_PER_SECOND));
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        (watcher.join().unwrap(), found)
    });
    let (most, found) = lag;
    println!(
        "          at {STEADY_PER_SECOND}/s: {:.0}/s   p50 {:.2} ms   p99 {:.2} ms   feed at most {:.2} s behind",
        found.latencies.len() as f64 / found.took.as_secs_f64(),
        found.quantile(0.50),
        found.quantile(0.99),
        most as f64 / f64::from(STEADY_PER_SECOND)
    );
}

/// Takes every event of a stream, and counts them.
fn watch(admin: SocketAddr) -> std::sync::Arc<std::sync::atomic::AtomicU64> {
    let events = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let seen = std::sync::Arc::clone(&events);
    let mut stream = TcpStream::connect(admin).unwrap();
    write!(
        stream,
        "GET /api/v1/events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    .unwrap();
    std::thread::spawn(move || {
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        for _ in lines.filter(|line| line == "event: event") {
            seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    });
    events
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn number_after(text: &str, key: &str) -> Option<u64> {
    let rest = text.split_once(key)?.1;
    rest.trim_start()
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

// ── servers ──────────────────────────────────────────────────────────────────────────────────────────────────────

struct Server {
    child: Child,
    address: SocketAddr,
    admin: Option<SocketAddr>,
}

impl Server {
    fn start(name: &str, folder: &std::path::Path) -> Self {
        let mut command = pinned("0");
        let gateway = matches!(name, "hookgate" | "watched");
        if gateway {
            write_config(folder);
            command
                .arg(env!("CARGO_BIN_EXE_hookgate"))
                .args(["serve", "-c", "webhooks.toml"]);
            command
                .env("BENCH_SECRET", SECRET)
                .env("HOOKGATE_LOG", "warn");
        } else {
            command
                .arg(std::env::current_exe().unwrap())
                .args(["--serve", name]);
        }
        command.current_dir(folder).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = || lines.next().expect("a ready line").expect("text");
        let address = |line: &str| line.rsplit('/').next().unwrap().parse().unwrap();
        let public = address(&line());
        let admin = gateway.then(|| address(&line()));
        Self {
            child,
            address: public,
            admin,
        }
    }

    fn peak_megabytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .unwrap_or_default();
        number_after(&status, "VmHWM:").unwrap_or(0) / 1024
    }

    fn stop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A command on one core, where the machine has `taskset` (Linux).
fn pinned(core: &str) -> Command {
    let found = Command::new("taskset")
        .arg("-V")
        .stdout(Stdio::null())
        .status()
        .is_ok();
    let mut command = Command::new(if found { "taskset" } else { "env" });
    if found {
        command.args(["-c", core]);
    }
    command
}

fn write_config(folder: &std::path::Path) {
    std::fs::create_dir(folder.join("templates")).unwrap();
    std::fs::write(
        folder.join("templates/push.json.j2"),
        include_str!("push.json.j2"),
    )
    .unwrap();
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[store]\nkind = \"sqlite\"\npath = \"data\"\n[[webhook]]\nname = \"bench\"\nslug = \"{SLUG}\"\nprovider = \"github\"\nsecret = {{ env = \"BENCH_SECRET\" }}\ntemplate = \"push.json.j2\"\non_error = \"refuse\"\n"
    );
    std::fs::write(folder.join("webhooks.toml"), toml).unwrap();
}

fn writer(jobs: &mpsc::Receiver<Job>) {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open("floor.log")
        .unwrap();
    while let Ok(first) = jobs.recv() {
        let (mut bytes, mut waiting) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some((body, done)) = next.take() {
            bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&body);
            waiting.push(done);
            if waiting.len() < 512 {
                next = jobs.try_recv().ok();
            }
        }
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
        for done in waiting {
            done.send(()).ok();
        }
    }
}

#[derive(Clone)]
struct Floor {
    hmac: bool,
    jobs: Option<mpsc::Sender<Job>>,
}

async fn floor(request: HttpRequest, body: web::Bytes, floor: web::Data<Floor>) -> HttpResponse {
    if floor.hmac {
        let want = format!("sha256={}", signature(&body));
        let got = request
            .headers()
            .get("x-hub-signature-256")
            .and_then(|v| v.to_str().ok());
        if got != Some(&*want) {
            return HttpResponse::Unauthorized().finish();
        }
    }
    if let Some(jobs) = &floor.jobs {
        let (done, wait) = oneshot::channel();
        jobs.send((lz4_flex::compress(&body), done)).unwrap();
        wait.await.unwrap();
    }
    HttpResponse::NoContent().finish()
}

fn serve_floor(name: &str) {
    let jobs = (name == "append").then(|| {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || writer(&receiver));
        sender
    });
    let state = web::Data::new(Floor {
        hmac: name != "read",
        jobs,
    });
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            App::new()
                .app_data(state.clone())
                .app_data(web::PayloadConfig::new(8 << 20))
                .route("/hooks/{slug}", web::post().to(floor))
        });
        let server = server.workers(1).bind("127.0.0.1:0").unwrap();
        println!("public http://{}", server.addrs()[0]);
        server.run().await.unwrap();
    });
}

fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

// ── load ─────────────────────────────────────────────────────────────────────────────────────────────────────────

struct Found {
    latencies: Vec<u32>,
    errors: u64,
    took: Duration,
}

impl Found {
    /// Milliseconds.
    fn quantile(&self, q: f64) -> f64 {
        let at = ((self.latencies.len() as f64 - 1.0) * q).max(0.0) as usize;
        self.latencies
            .get(at)
            .map_or(0.0, |micros| f64::from(*micros) / 1e3)
    }
}

/// Loads a server for a while; `rate`: requests a second of all connections, none: as many as it takes.
fn load(address: SocketAddr, how_long: Duration, rate: Option<u32>) -> Found {
    let thread = std::thread::spawn(move || {
        pin_this_thread();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let local = tokio::task::LocalSet::new();
        runtime.block_on(local.run_until(async move {
            let begun = Instant::now();
            let tasks: Vec<_> = (0..CONNECTIONS)
                .map(|n| tokio::task::spawn_local(connection(address, n, begun + how_long, rate)))
                .collect();
            let mut found = Found {
                latencies: Vec::new(),
                errors: 0,
                took: Duration::ZERO,
            };
            for task in tasks {
                let (latencies, errors) = task.await.unwrap();
                found.latencies.extend(latencies);
                found.errors += errors;
            }
            found.took = begun.elapsed();
            found.latencies.sort_unstable();
            found
        }))
    });
    thread.join().unwrap()
}

/// Moves the calling thread's process share of load to core 1, as `taskset` does.
fn pin_this_thread() {
    let thread = std::fs::read_link("/proc/thread-self").ok();
    let id = thread
        .as_deref()
        .and_then(|path| path.file_name())
        .and_then(|name| name.to_str());
    if let Some(id) = id {
        Command::new("taskset")
            .args(["-cp", "1", id])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .ok();
    }
}

async fn connection(
    address: SocketAddr,
    number: usize,
    end: Instant,
    rate: Option<u32>,
) -> (Vec<u32>, u64) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let stamp = jiff::Timestamp::now().as_microsecond();
    let (mut latencies, mut errors, mut buffer) = (Vec::new(), 0, vec![0; 4096]);
    let signature = signature(BODY.as_bytes());
    let mut count = 0_u64;
    let pause = rate.map(|rate| Duration::from_secs(CONNECTIONS as u64) / rate);
    let mut due = Instant::now() + pause.unwrap_or_default() * number as u32 / CONNECTIONS as u32;
    while Instant::now() < end {
        // Paced, the time counts from when the request was due: waiting for the one before is latency too.
        let mut begun = None;
        if let Some(pause) = pause {
            tokio::time::sleep_until(due.into()).await;
            begun = Some(due);
            due += pause;
        }
        count += 1;
        let request = format!(
            "POST /hooks/{SLUG} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-GitHub-Event: push\r\nX-Hub-Signature-256: sha256={signature}\r\nX-GitHub-Delivery: {stamp:x}-{number}-{count}\r\nContent-Length: {}\r\n\r\n{BODY}",
            BODY.len()
        );
        let begun = begun.unwrap_or_else(Instant::now);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut read = 0;
        while !buffer[..read].windows(4).any(|w| w == b"\r\n\r\n") {
            let n = stream.read(&mut buffer[read..]).await.unwrap();
            assert!(
                n > 0,
                "the server closed: {}",
                String::from_utf8_lossy(&buffer[..read])
            );
            read += n;
        }
        latencies.push(begun.elapsed().as_micros() as u32);
        errors += u64::from(!buffer.starts_with(b"HTTP/1.1 204"));
    }
    (latencies, errors)
}
