//! Appends a second: the log against a plain file under fdatasync with group commit, in one run.
//!
//! `taskset -c 0 cargo bench --bench append -- [seconds] [callers] [folder]`: everything on one core, as the gateway is
//! measured. 64 callers wait, each with a 7.7 KB body that its event carries whole.
//! `cargo bench --bench append -- million [folder]`: memory and start-up with a million keyed deliveries.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a measurement: it stops at the first surprise, and prints"
)]

use hookgate::log::{Append, AppendKeys, EventLog, StoreSettings, compress_request, open};
use hookgate::model::delivery::RequestSummary;
use hookgate::model::{Delivery, Event, Labels, Outcome};
use hookgate::telemetry::Metrics;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use uuid::Uuid;

fn main() {
    let mut args = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"));
    if args.next().as_deref() == Some("million") {
        million(
            &args
                .next()
                .unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").to_owned()),
        );
    } else {
        compare();
    }
}

/// Resident memory of this process in megabytes (Linux).
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap_or_default();
    let kilobytes: f64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(0.0);
    kilobytes / 1e3
}

fn million(folder: &str) {
    const COUNT: usize = 1_000_000;
    let folder = tempfile::tempdir_in(folder).unwrap();
    let settings = settings(&folder.path().join("data"));
    let metrics = Metrics::new();
    let (log, _state) = open(&settings, &metrics).unwrap();
    println!("empty: {:.1} MB resident", resident());
    let started = Instant::now();
    let mut wal = 0;
    for _ in 0..COUNT / 1_000 {
        let waits: Vec<_> = (0..1_000)
            .map(|_| log.append(append("{}")).unwrap())
            .collect();
        for wait in waits {
            wait.blocking_recv().unwrap().unwrap();
        }
        let now = std::fs::metadata(settings.path.join("log.db-wal"))
            .unwrap()
            .len();
        wal = wal.max(now);
    }
    println!(
        "{COUNT} appended in {:?}: {:.1} MB resident",
        started.elapsed(),
        resident()
    );
    println!("WAL at most {:.1} MB", wal as f64 / 1e6);
    log.close();
    drop(log);
    for snapshot in [true, false] {
        if !snapshot {
            std::fs::remove_file(settings.path.join("keys.snap")).unwrap();
        }
        let started = Instant::now();
        let (log, _state) = open(&settings, &metrics).unwrap();
        println!(
            "opened, snapshot {snapshot}: {:?}, {:.1} MB resident",
            started.elapsed(),
            resident()
        );
        assert_eq!(*log.head().borrow(), COUNT as u64);
    }
}

fn settings(path: &Path) -> StoreSettings {
    StoreSettings {
        path: path.to_owned(),
        retention: Duration::from_secs(30 * 24 * 3600),
        requests: Duration::from_secs(30 * 24 * 3600),
        max_size: None,
        dedup: Duration::from_secs(72 * 3600),
        queue: 4096,
    }
}

fn compare() {
    let mut args = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"));
    let seconds = args.next().and_then(|s| s.parse().ok()).unwrap_or(3);
    let callers = args.next().and_then(|s| s.parse().ok()).unwrap_or(64);
    let folder = args
        .next()
        .unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").to_owned());
    let folder = tempfile::tempdir_in(folder).unwrap();
    let body = body();
    println!(
        "{callers} callers, {seconds} s each, {} byte bodies",
        body.len()
    );
    let before = cpu();
    let file = measure(seconds, callers, plain_file(folder.path(), &body));
    report("plain file", &file, cpu() - before);
    let metrics = Metrics::new();
    let settings = settings(&folder.path().join("data"));
    let (log, _state) = open(&settings, &metrics).unwrap();
    let before = cpu();
    let kept = measure(seconds, callers, the_log(Arc::clone(&log), body.clone()));
    report("log", &kept, cpu() - before);
    let rate = |all: &[Duration]| all.len() as f64 / seconds as f64;
    println!("log / plain file: {:.2}", rate(&kept) / rate(&file));
    println!(
        "deliveries a commit: {:.1}",
        kept.len() as f64 / metrics.log_commits.get() as f64
    );
    println!("{:.1} MB resident", resident());
    for name in ["log.db", "log.db-wal"] {
        let bytes = std::fs::metadata(settings.path.join(name)).unwrap().len();
        println!(
            "{name}: {:.1} MB, {} bytes a delivery",
            bytes as f64 / 1e6,
            bytes / kept.len() as u64
        );
    }
    encoding(&body);
    let head = *log.head().borrow();
    let started = Instant::now();
    log.close();
    println!("close: {:?} at {head} deliveries", started.elapsed());
    drop(log);
    let started = Instant::now();
    let (log, _state) = open(&settings, &Metrics::new()).unwrap();
    println!("open: {:?}", started.elapsed());
    assert_eq!(*log.head().borrow(), head);
}

/// A push as GitHub sends it: many addresses that are alike, some hashes that are not.
fn body() -> String {
    let mut text = String::from("{\"ref\":\"refs/heads/main\",\"repository\":{");
    let names = [
        "forks",
        "keys",
        "hooks",
        "issue_events",
        "events",
        "assignees",
        "branches",
        "tags",
    ];
    for i in 0.. {
        if text.len() > 7_600 {
            break;
        }
        let name = names[i % names.len()];
        let hash = Uuid::new_v5(&Uuid::NAMESPACE_URL, &i.to_le_bytes()).simple();
        write!(
            text,
            "\"{name}_url\":\"https://api.example.com/repos/octo/Hello-World/{name}{{/sha}}\","
        )
        .unwrap();
        if i % 4 == 0 {
            write!(text, "\"node_{i}\":\"{hash}\",").unwrap();
        }
    }
    text.push_str("\"id\":1}}");
    text
}

/// CPU time of the whole process so far (Linux: fields 14 and 15 of stat, in hundredths of a second).
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split(' ');
    let ticks: u64 = fields
        .skip(12)
        .take(2)
        .filter_map(|f| f.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

fn report(name: &str, all: &[Duration], cpu: Duration) {
    let mut all = all.to_vec();
    all.sort_unstable();
    let at = |hundredth: usize| all[(all.len() - 1) * hundredth / 100];
    println!(
        "{name}: {} appends, {:.1} µs of CPU each, p50 {:?}, p99 {:?}, max {:?}",
        all.len(),
        cpu.as_secs_f64() * 1e6 / all.len() as f64,
        at(50),
        at(99),
        at(100)
    );
}

/// Runs callers on one thread for so long; each append's time.
fn measure<F>(seconds: u64, callers: usize, append: impl Fn() -> F + 'static) -> Vec<Duration>
where
    F: Future<Output = ()> + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let append = Rc::new(append);
    let local = tokio::task::LocalSet::new();
    let end = Instant::now() + Duration::from_secs(seconds);
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let append = Rc::clone(&append);
            local.spawn_local(async move {
                let mut times = Vec::new();
                while Instant::now() < end {
                    let started = Instant::now();
                    append().await;
                    times.push(started.elapsed());
                }
                times
            })
        })
        .collect();
    local.block_on(&runtime, async {
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await.unwrap());
        }
        all
    })
}

type Job = (Vec<u8>, oneshot::Sender<()>);

fn plain_file(
    folder: &Path,
    body: &str,
) -> impl Fn() -> std::pin::Pin<Box<dyn Future<Output = ()>>> + 'static {
    let (sender, receiver) = mpsc::channel::<Job>();
    let path = folder.join("plain");
    std::thread::spawn(move || {
        let mut file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        let mut buffer = Vec::new();
        while let Ok(first) = receiver.recv() {
            let mut waiting = Vec::new();
            let mut next = Some(first);
            while let Some((bytes, done)) = next.take() {
                buffer.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_le_bytes());
                buffer.extend_from_slice(&bytes);
                waiting.push(done);
                if waiting.len() < 512 {
                    next = receiver.try_recv().ok();
                }
            }
            file.write_all(&buffer).unwrap();
            file.sync_data().unwrap();
            buffer.clear();
            for done in waiting {
                done.send(()).ok();
            }
        }
    });
    let body = body.to_owned();
    move || {
        let (done, wait) = oneshot::channel();
        sender
            .send((lz4_flex::compress(body.as_bytes()), done))
            .unwrap();
        Box::pin(async move { wait.await.unwrap() })
    }
}

fn append(body: &str) -> Append {
    let id = Uuid::now_v7();
    let http = format!(
        "POST /hooks/{{slug}} HTTP/1.1\r\nx-github-event: push\r\nx-github-delivery: {id}\r\n\r\n{body}"
    );
    let (request, sha256) = compress_request(http.as_bytes());
    let key = id.to_string();
    let event = Event {
        occurred: jiff::Timestamp::now(),
        event: "github.push".to_owned(),
        resource: Labels::from_iter([(
            "prefect.resource.id".to_owned(),
            "github.repository.1".to_owned(),
        )]),
        related: vec![Labels::from_iter([
            (
                "prefect.resource.id".to_owned(),
                "hookgate.webhook.github".to_owned(),
            ),
            ("prefect.resource.role".to_owned(), "webhook".to_owned()),
        ])],
        payload: serde_json::value::RawValue::from_string(body.to_owned()).unwrap(),
        id: Uuid::now_v7(),
        follows: None,
    };
    Append {
        delivery: Delivery {
            id,
            received: jiff::Timestamp::now(),
            webhook: Some("github".to_owned()),
            provider: Some("github".to_owned()),
            outcome: Outcome::Accepted,
            code: None,
            status: 204,
            key: Some(key.clone()),
            error: None,
            events: vec![event],
            notes: Vec::new(),
            duplicate_of: None,
            replay_of: None,
            request: Some(RequestSummary {
                method: "POST".to_owned(),
                path: String::new(),
                content_type: Some("application/json".to_owned()),
                user_agent: Some("GitHub-Hookshot/044aadd".to_owned()),
                peer: [127, 0, 0, 1].into(),
                body_bytes: body.len() as u64,
                sha256,
            }),
            verification: None,
            masked: Vec::new(),
            timing: None,
            trace: None,
        },
        request: Some(request),
        keys: AppendKeys::Delivery(key),
        contents: Vec::new(),
    }
}

fn the_log(
    log: Arc<dyn EventLog>,
    body: String,
) -> impl Fn() -> std::pin::Pin<Box<dyn Future<Output = ()>>> + 'static {
    move || {
        let wait = log.append(append(&body)).unwrap();
        Box::pin(async move {
            wait.await.unwrap().unwrap();
        })
    }
}

/// What a caller pays before the queue.
fn encoding(body: &str) {
    let count = 2_000_u32;
    let started = Instant::now();
    for _ in 0..count {
        std::hint::black_box(append(body));
    }
    println!(
        "making and compressing one append: {:?}",
        started.elapsed() / count
    );
    let started = Instant::now();
    for _ in 0..count {
        std::hint::black_box(lz4_flex::compress(body.as_bytes()));
    }
    let bytes = lz4_flex::compress(body.as_bytes()).len();
    println!(
        "lz4 of one body: {:?}, {bytes} bytes",
        started.elapsed() / count
    );
}
