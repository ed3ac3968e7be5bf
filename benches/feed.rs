//! What the feed costs: microseconds an event to index, and to answer queries at a million events.
//!
//! `cargo bench --bench feed [events]`. The log is made up as it is read, so that nothing else is measured
//! (decoding a real log's records comes on top) and memory is the feed's alone.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a program for developers; it may stop at once"
)]

use hookgate::feed::{Budget, FacetKey, Feed, Over, Paging, What, open};
use hookgate::log::{Append, Appended, EventLog, LogError, LogStats, Record};
use hookgate::model::{Delivery, Event, Outcome, Seq, event::RESOURCE_ID, event::RESOURCE_ROLE};
use hookgate::query::Query;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

struct MadeLog(watch::Sender<Seq>);

fn labels(id: String, role: &str) -> hookgate::model::Labels {
    [
        (RESOURCE_ID.to_owned(), id),
        (RESOURCE_ROLE.to_owned(), role.to_owned()),
    ]
    .into()
}

const WORDS: [&str; 16] = [
    "deploy", "token", "cache", "fix", "order", "refund", "branch", "merge", "customer", "address",
    "shipping", "review", "build", "failed", "passed", "release",
];

/// About 350 bytes: some fields that repeat, some words, and things that no other event has.
fn payload(n: Seq) -> Box<serde_json::value::RawValue> {
    let word = |k: Seq| WORDS[usize::try_from(((n * k) >> 3) % 16).unwrap()];
    let rare = if n.is_multiple_of(100_003) {
        " needle"
    } else {
        ""
    };
    let text = format!(
        r#"{{"action":"{}","number":{n},"total":{}.5,"sha":"{:016x}","actor":{{"id":{},"login":"user-{}","admin":false}},"title":"{} the {} of {}{rare}","items":[{{"sku":"SKU-{}","quantity":{}}},{{"sku":"SKU-{}","quantity":1}}],"url":"https://shop.example/orders/{n}","state":"open","private":true}}"#,
        word(3),
        n % 9_000,
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        n % 500,
        n % 500,
        word(5),
        word(7),
        word(11),
        n % 2_000,
        n % 7,
        n % 313,
    );
    serde_json::value::RawValue::from_string(text).unwrap()
}

fn made(n: Seq) -> Record {
    let micros = 1_790_000_000_000_000 + i64::try_from(n).unwrap() * 200;
    let received = jiff::Timestamp::from_microsecond(micros).unwrap();
    let webhook = ["github", "stripe", "shop"][usize::try_from(n % 3).unwrap()];
    // Every webhook has its own 20 names; one name in a thousand is rare.
    let name = if n.is_multiple_of(1_000) {
        format!("{webhook}.rare")
    } else {
        format!("{webhook}.event-{}", n * 7 / 3 % 20)
    };
    // Half of the events are about one of 1,000 things, half about something new.
    let resource = if n.is_multiple_of(2) {
        format!("{webhook}.repository.{}", n * 31 % 1_000)
    } else {
        format!("{webhook}.order.{n}")
    };
    let event = Event {
        occurred: received,
        event: name,
        resource: [(RESOURCE_ID.to_owned(), resource)].into(),
        related: vec![labels(format!("user.{}", n % 500), "actor")],
        payload: payload(n),
        id: Uuid::from_u128(u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
        follows: None,
    };
    let time = u128::try_from(micros / 1_000).unwrap() << 80;
    let delivery = Delivery {
        id: Uuid::from_u128(time | (0x7000 << 64) | u128::from(n)),
        received,
        webhook: Some(webhook.into()),
        provider: Some(webhook.into()),
        outcome: Outcome::Accepted,
        code: None,
        status: 204,
        key: Some(format!("key-{n}")),
        error: None,
        events: vec![event],
        notes: Vec::new(),
        duplicate_of: None,
        replay_of: None,
        request: Some(hookgate::model::delivery::RequestSummary {
            method: "POST".into(),
            path: String::new(),
            content_type: Some("application/json".into()),
            user_agent: Some("fake".into()),
            peer: std::net::Ipv4Addr::new(203, 0, 113, u8::try_from(n % 20).unwrap()).into(),
            body_bytes: 350,
            sha256: String::new(),
        }),
        verification: None,
        masked: Vec::new(),
        timing: None,
        trace: None,
    };
    Record { seq: n, delivery }
}

impl EventLog for MadeLog {
    fn append(&self, _: Append) -> Result<oneshot::Receiver<Result<Appended, LogError>>, LogError> {
        Err(LogError::Closed)
    }
    fn read(&self, after: Seq, records_max: usize, _: usize) -> Result<Vec<Record>, LogError> {
        let head = *self.0.borrow();
        Ok((after + 1..=head).take(records_max).map(made).collect())
    }
    fn get(&self, seq: Seq) -> Result<Option<Record>, LogError> {
        Ok((1..=*self.0.borrow()).contains(&seq).then(|| made(seq)))
    }
    fn request(&self, _: Seq) -> Result<Option<Vec<u8>>, LogError> {
        Ok(None)
    }
    fn head(&self) -> watch::Receiver<Seq> {
        self.0.subscribe()
    }
    fn queued(&self) -> usize {
        0
    }
    fn set_retention_floor(&self, _floor: hookgate::log::RetentionFloor) {}

    fn stats(&self) -> LogStats {
        LogStats::default()
    }
    fn close(&self) {}
}

fn resident_kib() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    line.unwrap_or("VmRSS: unknown").to_owned()
}

fn main() {
    let count: Seq = std::env::args()
        .find_map(|a| a.parse().ok())
        .unwrap_or(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    for n in 1..=count {
        std::hint::black_box(made(n));
    }
    let making = start.elapsed();
    let log = Arc::new(MadeLog(watch::Sender::new(count)));
    let start = Instant::now();
    let feed = open(folder.path(), log).unwrap();
    while feed.indexed_to() < count {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let indexing = start.elapsed().saturating_sub(making);
    let bytes: u64 = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|f| f.unwrap().metadata().unwrap().len())
        .sum();
    let each = indexing.as_secs_f64() * 1e6 / f64::from(u32::try_from(count).unwrap());
    println!(
        "{count} events indexed: {each:.1} µs each, {} MB on disk",
        bytes >> 20
    );
    println!("{}", resident_kib());
    pages(&*feed, count);
    counts(&*feed, count);
    deep(&*feed);
    queries(&*feed, count);
    println!("{}", resident_kib());
}

/// How often each is asked: the first ones find nothing in memory.
const TIMES: usize = 40;

/// p50 and p95 of some calls, in milliseconds.
fn measure(what: &str, mut call: impl FnMut(usize) -> String) {
    let mut took = Vec::with_capacity(TIMES);
    let mut said = String::new();
    for i in 0..TIMES {
        let start = Instant::now();
        said = call(i);
        took.push(start.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    let (p50, p95) = (took[TIMES / 2], took[TIMES * 95 / 100]);
    println!("{p50:8.2} {p95:8.2} ms p50 p95  {what}  [{said}]");
}

fn query(text: &str, count: Seq) -> Query {
    Query::parse(text, made(count).delivery.received).unwrap()
}

fn pages(feed: &dyn Feed, count: Seq) {
    let paging = Paging {
        limit: 50,
        after: None,
        ascending: false,
    };
    for text in [
        "",
        "webhook:github",
        "event:github.event-3",
        "payload.number:777123",
        "payload.items.sku:SKU-77",
        "payload.title:*refund*",
        "payload.total:>8990",
        "needle",
        "deploy",
        "\"deploy the token\"",
        "ref*",
        "nowhere",
        "related.actor:user.77",
        "resource:github.repository.30",
        "ip:203.0.113.9",
        "webhook:shop needle",
    ] {
        let query = query(text, count);
        measure(&format!("first page  {text}"), |_| {
            let page = feed.events(&query, paging).unwrap();
            let more = if page.complete { "" } else { ", not all" };
            format!(
                "{} rows of {} looked at{more}",
                page.rows.len(),
                page.scanned
            )
        });
    }
    let query = query("", count);
    measure("first page of deliveries", |_| {
        format!(
            "{} rows",
            feed.deliveries(&query, paging).unwrap().rows.len()
        )
    });
}

fn counts(feed: &dyn Feed, count: Seq) {
    let keys = [
        FacetKey::Outcome,
        FacetKey::Webhook,
        FacetKey::Event,
        FacetKey::Resource,
    ];
    let now = made(count).delivery.received;
    for text in [
        "",
        "webhook:github",
        "event:github.event-3",
        "received:>-1m",
        "resource:github.repository.30",
        "needle",
        "deploy",
        "payload.total:>8990",
    ] {
        let query = query(text, count);
        let budget = Budget::default();
        measure(&format!("facets      {text}"), |_| {
            let found = feed.facets(What::Events, &query, &keys, budget).unwrap();
            let more = if found.complete { "" } else { ", not all" };
            format!(
                "{} matches of {} looked at{more}",
                found.matches, found.scanned
            )
        });
        measure(&format!("histogram   {text}"), |_| {
            let over = Over { buckets: 60, now };
            let found = feed.histogram(What::Events, &query, over, budget).unwrap();
            let more = if found.complete { "" } else { ", not all" };
            format!(
                "{} matches in {} buckets{more}",
                found.matches,
                found.value.buckets.len()
            )
        });
    }
}

/// Pages one behind the other, and from the middle on.
fn deep(feed: &dyn Feed) {
    for (text, start) in [
        ("", 500_000),
        ("webhook:github", 500_000),
        ("deploy", 500_000),
    ] {
        let query = Query::parse(text, jiff::Timestamp::now()).unwrap();
        let mut after = Some(hookgate::model::Position {
            seq: start,
            index: 0,
        });
        measure(&format!("deep page   {text}"), |_| {
            let paging = Paging {
                limit: 50,
                after,
                ascending: false,
            };
            let page = feed.events(&query, paging).unwrap();
            after = page.next;
            format!("{} rows", page.rows.len())
        });
    }
}

fn queries(feed: &dyn Feed, count: Seq) {
    let id = made(count / 2).delivery.events.first().unwrap().id;
    let now = made(count).delivery.received;
    for text in [
        "",
        "event:github.event-3",
        "event:github.*",
        "event:github.rare webhook:github",
        "event:github.event-3 webhook:stripe",
        "resource:github.repository.30",
        "resource:github.repository.30 event:github.rare",
        "resource:github.repository.3*",
        "resource:*.7",
        "resource:github.order.3 outcome:accepted",
        "-webhook:(github,stripe) event:shop.rare",
        "outcome:parked",
        "received:>-1m event:stripe.*",
        "occurred:<2026-09-22 event:*.rare",
        "key:key-777",
        "key:key-7777*",
        "event:github.event-3 OR resource:shop.order.*",
        &format!("id:{id}"),
    ] {
        let query = Query::parse(text, now).unwrap();
        for ascending in [false, true] {
            let paging = Paging {
                limit: 50,
                after: None,
                ascending,
            };
            let start = Instant::now();
            let page = feed.events(&query, paging).unwrap();
            let took = start.elapsed().as_secs_f64() * 1e3;
            let order = if ascending { "asc " } else { "desc" };
            println!("{took:8.2} ms {order} {:3} rows  {text}", page.rows.len());
        }
    }
}
