//! The feed over a log in memory.

mod counts;
mod paging;
mod real_log;
mod rebuild;
mod ring;
mod search;

use super::{Feed, Paging, RingEntry, open};
use crate::log::{Append, Appended, EventLog, LogError, LogStats, Record};
use crate::model::event::{RESOURCE_ID, RESOURCE_ROLE};
use crate::model::{Delivery, Event, Outcome, Seq};
use crate::query::Query;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

/// A log in memory.
pub(super) struct FakeLog {
    records: Mutex<BTreeMap<Seq, Delivery>>,
    damaged: Mutex<BTreeSet<Seq>>,
    head: watch::Sender<Seq>,
    queued: AtomicUsize,
}

impl FakeLog {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            records: Mutex::default(),
            damaged: Mutex::default(),
            head: watch::Sender::new(0),
            queued: AtomicUsize::new(0),
        })
    }

    /// As one whose first deliveries retention took.
    pub(super) fn starting_after(seq: Seq) -> Arc<Self> {
        let log = Self::new();
        log.head.send_replace(seq);
        log
    }

    pub(super) fn push(&self, delivery: Delivery) -> Seq {
        let seq = *self.head.borrow() + 1;
        self.records.lock().unwrap().insert(seq, delivery);
        self.head.send_replace(seq);
        seq
    }

    pub(super) fn damage(&self, seq: Seq) {
        self.damaged.lock().unwrap().insert(seq);
    }

    pub(super) fn records(&self) -> BTreeMap<Seq, Delivery> {
        self.records.lock().unwrap().clone()
    }

    fn check(&self, seq: Seq) -> Result<(), LogError> {
        if self.damaged.lock().unwrap().contains(&seq) {
            let reason = "a bit is wrong".into();
            return Err(LogError::Damaged { seq, reason });
        }
        Ok(())
    }
}

impl EventLog for FakeLog {
    fn append(&self, _: Append) -> Result<oneshot::Receiver<Result<Appended, LogError>>, LogError> {
        Err(LogError::Closed)
    }

    fn read(&self, after: Seq, records_max: usize, _: usize) -> Result<Vec<Record>, LogError> {
        let records = self.records.lock().unwrap();
        let mut found = Vec::new();
        for (seq, delivery) in records.range(after + 1..).take(records_max) {
            match self.check(*seq) {
                Err(error) if found.is_empty() => return Err(error),
                Err(_) => break,
                Ok(()) => found.push(Record {
                    seq: *seq,
                    delivery: delivery.clone(),
                }),
            }
        }
        Ok(found)
    }

    fn get(&self, seq: Seq) -> Result<Option<Record>, LogError> {
        self.check(seq)?;
        let delivery = self.records.lock().unwrap().get(&seq).cloned();
        Ok(delivery.map(|delivery| Record { seq, delivery }))
    }

    fn request(&self, _: Seq) -> Result<Option<Vec<u8>>, LogError> {
        Ok(None)
    }

    fn head(&self) -> watch::Receiver<Seq> {
        self.head.subscribe()
    }

    fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    fn stats(&self) -> LogStats {
        LogStats::default()
    }

    fn set_retention_floor(&self, _: crate::log::RetentionFloor) {}

    fn close(&self) {}
}

/// The `n`-th delivery of a made-up stream: two webhooks, a few names, some resources, some without events.
pub(super) fn delivery(n: u64) -> Delivery {
    let second = 1_790_000_000 + i64::try_from(n).unwrap() * 7;
    let webhook = ["github", "stripe", "alerts"][usize::try_from(n % 7 % 3).unwrap()];
    let outcome = match n % 11 {
        3 => Outcome::Ignored,
        5 => Outcome::Parked,
        8 => Outcome::Duplicate,
        _ => Outcome::Accepted,
    };
    let mut made: Delivery = serde_json::from_value(serde_json::json!({
        "id": Uuid::from_u128((0x0193_0000_0000_7000 << 64) + (u128::from(n) << 70) + u128::from(n)),
        "received": jiff::Timestamp::from_second(second).unwrap().to_string(),
        "webhook": webhook,
        "outcome": outcome,
        "status": 204,
        "key": format!("key-{n}"),
    }))
    .unwrap();
    if outcome == Outcome::Parked {
        made.code = crate::codes::Code::parse("HG0303");
    }
    if outcome == Outcome::Duplicate {
        made.duplicate_of = Some(n - 3);
    }
    made.request = serde_json::from_value(serde_json::json!({
        "method": if n.is_multiple_of(5) { "PUT" } else { "POST" }, "peer": format!("203.0.113.{}", n % 4),
        "user_agent": if n.is_multiple_of(6) { "hookgate-send" } else { "x" }, "body_bytes": 2, "sha256": "",
    }))
    .unwrap();
    if n % 11 == 9 {
        made.provider = Some("github".into());
    }
    if outcome == Outcome::Accepted {
        for index in 0..(n % 4).max(1) {
            made.events.push(event(n, index));
        }
    }
    made
}

pub(super) fn event(n: u64, index: u64) -> Event {
    let second = 1_790_000_000 + i64::try_from(n * 5 + index).unwrap();
    let name = ["github.push", "github.issues", "stripe.charge", "alert"]
        [usize::try_from((n + index) % 4).unwrap()];
    let resource = format!("repo.{}", (n * 3 + index) % 13);
    let payload = if n.is_multiple_of(3) {
        serde_json::json!({})
    } else {
        let items = [
            serde_json::json!({"sku": format!("SKU-{}", n % 5)}),
            serde_json::json!({"n": [n, null]}),
        ];
        serde_json::json!({"total": n as f64 / 2.0, "text": format!("Order {n} of Ada-{index}"), "items": items,
                           "ok": n.is_multiple_of(2)})
    };
    let role = ["actor", "owner"][usize::try_from(n % 2).unwrap()];
    let labels = [
        (RESOURCE_ID, format!("user.{}", n % 4)),
        (RESOURCE_ROLE, role.to_owned()),
    ];
    let labels: crate::model::Labels = labels.map(|(k, v)| (k.to_owned(), v)).into();
    let named = [
        (RESOURCE_ID.to_owned(), resource),
        ("name".to_owned(), format!("The {role} {}", n % 3)),
    ];
    Event {
        occurred: jiff::Timestamp::from_second(second).unwrap(),
        event: name.into(),
        resource: named.into(),
        related: if n % 4 == 2 { Vec::new() } else { vec![labels] },
        payload: serde_json::value::to_raw_value(&payload).unwrap(),
        id: Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{n}.{index}").as_bytes()),
        follows: (index > 0)
            .then(|| Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{n}.0").as_bytes())),
    }
}

/// hookgate's own record.
pub(super) fn own(n: u64) -> Delivery {
    let mut made = delivery(n);
    made.webhook = None;
    made.events = vec![event(n, 0)];
    made.events[0].event = "hookgate.config.reloaded".into();
    made
}

pub(super) fn query(text: &str) -> Query {
    Query::parse(text, jiff::Timestamp::from_second(1_790_000_700).unwrap()).unwrap()
}

pub(super) fn paging(limit: usize, ascending: bool) -> Paging {
    Paging {
        limit,
        after: None,
        ascending,
    }
}

pub(super) struct Setup {
    pub(super) folder: tempfile::TempDir,
    pub(super) log: Arc<FakeLog>,
}

impl Setup {
    pub(super) fn new(deliveries: u64) -> Self {
        Self::with(FakeLog::new(), deliveries)
    }

    pub(super) fn with(log: Arc<FakeLog>, deliveries: u64) -> Self {
        for n in 1..=deliveries {
            log.push(delivery(n));
        }
        let folder = tempfile::tempdir().unwrap();
        Self { folder, log }
    }

    pub(super) fn open(&self) -> Arc<dyn Feed> {
        open(
            self.folder.path(),
            Arc::clone(&self.log) as Arc<dyn EventLog>,
        )
        .unwrap()
    }
}

/// Positions of all events that match, walked page by page.
pub(super) fn walk(feed: &dyn Feed, text: &str, limit: usize, ascending: bool) -> Vec<String> {
    walk_query(feed, &query(text), limit, ascending)
}

pub(super) fn walk_query(
    feed: &dyn Feed,
    query: &Query,
    limit: usize,
    ascending: bool,
) -> Vec<String> {
    let mut paging = paging(limit, ascending);
    let mut found = Vec::new();
    loop {
        let page = feed.events(query, paging).unwrap();
        assert!(page.rows.len() <= limit);
        found.extend(page.rows.iter().map(|row| row.position.to_string()));
        let Some(next) = page.next else { return found };
        paging.after = Some(next);
    }
}

pub(super) fn walk_deliveries(
    feed: &dyn Feed,
    query: &Query,
    limit: usize,
    ascending: bool,
) -> Vec<String> {
    let mut paging = paging(limit, ascending);
    let mut found = Vec::new();
    loop {
        let page = feed.deliveries(query, paging).unwrap();
        assert!(page.rows.len() <= limit);
        found.extend(page.rows.iter().map(|row| row.position.to_string()));
        let Some(next) = page.next else { return found };
        paging.after = Some(next);
    }
}

/// What a filter without an index finds.
pub(super) fn naive(log: &FakeLog, query: &Query, ascending: bool) -> (Vec<String>, Vec<String>) {
    let (mut events, mut deliveries) = (Vec::new(), Vec::new());
    for (seq, delivery) in log.records() {
        for (index, event) in delivery.events.iter().enumerate() {
            if query.matches(Some(event), &delivery, Some(seq)) {
                events.push(format!("{seq}.{index}"));
            }
        }
        if query.matches_delivery(&delivery, Some(seq)) {
            deliveries.push(format!("{seq}.0"));
        }
    }
    if !ascending {
        events.reverse();
        deliveries.reverse();
    }
    (events, deliveries)
}

pub(super) fn rejected(n: u64, webhook: &str, code: &str) -> RingEntry {
    let mut made = delivery(n);
    made.id = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{webhook} {n}").as_bytes());
    made.outcome = Outcome::Rejected;
    made.webhook = Some(webhook.into());
    made.code = crate::codes::Code::parse(code);
    made.events.clear();
    made.duplicate_of = None;
    RingEntry {
        delivery: made,
        request: format!("POST /hooks/{{slug}} HTTP/1.1\r\n\r\nbody {n}").into_bytes(),
    }
}

/// Waits for something that another thread does.
pub(super) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed().as_secs() < 60, "{what}");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
}
