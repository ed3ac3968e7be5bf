//! The stores as lists in memory, and a listener over them.

use crate::admin::{Admin, Readiness};
use crate::config::reload::{ConfigHandle, ReloadReport};
use crate::config::{Config, Finding, Overrides};
use crate::feed::{
    Budget, Counted, DeliveryRow, EventRow, Facet, FacetKey, Feed, FeedError, Histogram, Over,
    Page, Paging, RingEntry, SinksNow, What,
};
use crate::forward::Forwarders;
use crate::learn::Learner;
use crate::log::{Append, Appended, EventLog, LogError, LogStats, Record, RetentionFloor};
use crate::model::delivery::{Check, RequestSummary, Timing, Verification};
use crate::model::{Delivery, Event, Labels, Outcome, Place, Position, Problem, Seq};
use crate::query::{Query, SinkView};
use crate::state::stores::sqlite::SqliteState;
use crate::state::{
    Cursor, DeadLetter, LearnedRow, NewDeadLetter, SecretStore, SkippedRange, State, StateError,
    TokenRow, TokenStore, Vault,
};
use crate::telemetry::Metrics;
use indexmap::IndexMap;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

/// Fake on sight; the token of the tests.
pub(super) const TOKEN: &str = "fake-admin-token-0001";
/// What a hostile sender sends in every field.
pub(super) const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror=alert(2)>";

pub(super) fn id(n: u64) -> Uuid {
    Uuid::from_u128(0x0193_c7d0_0000_7000_8000_0000_0000_0000 + u128::from(n))
}

pub(super) fn event(n: u64, name: &str, resource: &str) -> Event {
    let labels = |pairs: &[(&str, &str)]| -> Labels {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect::<IndexMap<_, _>>()
    };
    Event {
        occurred: time(n),
        event: name.to_owned(),
        resource: labels(&[
            ("prefect.resource.id", resource),
            ("prefect.resource.name", "acme/api"),
        ]),
        related: vec![labels(&[
            ("prefect.resource.id", "hookgate.webhook.github"),
            ("prefect.resource.role", "webhook"),
            ("prefect.resource.name", "github"),
        ])],
        payload: serde_json::value::RawValue::from_string(format!(
            r#"{{"ref": "refs/heads/main", "size": 12345678901234567890.10, "text": {}}}"#,
            serde_json::to_string(HOSTILE).unwrap()
        ))
        .unwrap(),
        id: id(1_000 + n),
        follows: None,
    }
}

pub(super) fn time(n: u64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + i64::try_from(n).unwrap()).unwrap()
}

pub(super) fn delivery(n: u64, outcome: Outcome) -> DeliveryRow {
    let accepted = outcome == Outcome::Accepted;
    let events = if accepted {
        vec![event(n, "github.push", "github.acme/api")]
    } else {
        Vec::new()
    };
    let logged = outcome != Outcome::Rejected;
    let code = match outcome {
        Outcome::Parked => Some(crate::codes::UNDEFINED_VALUE),
        Outcome::Rejected => Some(crate::codes::SIGNATURE_MISMATCH),
        _ => None,
    };
    let seq: Seq = n;
    DeliveryRow {
        position: Position {
            seq,
            index: u32::from(!logged),
        },
        seq: logged.then_some(seq),
        duplicates: 0,
        delivery: Delivery {
            id: id(n),
            received: time(n),
            webhook: Some("github".to_owned()),
            provider: Some("github".to_owned()),
            outcome,
            code,
            status: if logged { 204 } else { 401 },
            key: Some(format!("key-{n}")),
            error: code.map(|code| {
                Problem::new(
                    code,
                    format!("`body.after` is not in the request {HOSTILE}"),
                )
                .at(Place {
                    file: "templates/github.json.j2".to_owned(),
                    line: 9,
                    column: 17,
                    end_column: Some(27),
                    source: Some("    \"head\": \"{{ body.after[:12] }}\",".to_owned()),
                })
                .help("give it a default: `{{ body.after | default(\"\") }}`")
            }),
            events,
            notes: Vec::new(),
            duplicate_of: (outcome == Outcome::Duplicate).then_some(1),
            replay_of: None,
            request: Some(RequestSummary {
                method: "POST".to_owned(),
                path: String::new(),
                content_type: Some("application/json".to_owned()),
                user_agent: Some(HOSTILE.to_owned()),
                peer: "203.0.113.9".parse().unwrap(),
                body_bytes: 7_412,
                sha256: "0".repeat(64),
            }),
            verification: Some(verification(logged)),
            masked: vec!["header authorization".to_owned()],
            timing: Some(Timing {
                read_micros: 300,
                verify_micros: 80,
                translate_micros: 410,
            }),
            trace: None,
        },
    }
}

fn verification(verified: bool) -> Verification {
    Verification {
        scheme: "hmac-sha256".to_owned(),
        verified,
        checks: vec![
            Check {
                name: "header x-hub-signature-256".to_owned(),
                passed: true,
                detail: "is there, 1 signature".to_owned(),
            },
            Check {
                name: "signature".to_owned(),
                passed: verified,
                detail: "expected 1a2b3c4d…".to_owned(),
            },
        ],
    }
}

/// The request that every fake delivery was made from.
pub(super) fn request_bytes() -> Vec<u8> {
    let body = serde_json::to_string(&serde_json::json!({
        "ref": "refs/heads/main", "text": HOSTILE, "repository": {"full_name": "acme/api", "private": true},
        "commits": [{"id": "59b20b8d5c6f", "message": "Cache the token lookup"}]
    }))
    .unwrap();
    format!("POST /hooks/{{slug}} HTTP/1.1\r\ncontent-type: application/json\r\nx-evil: {HOSTILE}\r\nauthorization: ***\r\n\r\n{body}").into_bytes()
}

pub(super) struct FakeLog {
    pub(super) writable: AtomicBool,
    head: watch::Sender<Seq>,
    records: Vec<Record>,
    requests: HashMap<Seq, Vec<u8>>,
    /// hookgate's own events.
    pub(super) appended: Mutex<Vec<Append>>,
}

impl EventLog for FakeLog {
    fn append(
        &self,
        append: Append,
    ) -> Result<oneshot::Receiver<Result<Appended, LogError>>, LogError> {
        if append.delivery.webhook.is_none() {
            self.appended.lock().unwrap().push(append);
        }
        Err(LogError::Closed)
    }
    fn read(&self, _: Seq, _: usize, _: usize) -> Result<Vec<Record>, LogError> {
        Ok(Vec::new())
    }
    fn get(&self, seq: Seq) -> Result<Option<Record>, LogError> {
        Ok(self.records.iter().find(|r| r.seq == seq).cloned())
    }
    fn request(&self, seq: Seq) -> Result<Option<Vec<u8>>, LogError> {
        Ok(self.requests.get(&seq).cloned())
    }
    fn head(&self) -> watch::Receiver<Seq> {
        self.head.subscribe()
    }
    fn queued(&self) -> usize {
        0
    }
    fn set_retention_floor(&self, _: RetentionFloor) {}
    fn stats(&self) -> LogStats {
        LogStats {
            head: *self.head.borrow(),
            oldest: 1,
            oldest_received: Some(time(0)),
            bytes: 4_096,
            queued: 0,
            writable: self.writable.load(Ordering::Relaxed),
            over_size: false,
        }
    }
    fn close(&self) {}
}

pub(super) struct FakeFeed {
    pub(super) rows: Vec<DeliveryRow>,
    pub(super) down: AtomicBool,
}

impl FakeFeed {
    fn page<T: Clone>(
        &self,
        mut all: Vec<(Position, T)>,
        paging: Paging,
    ) -> Result<Page<T>, FeedError> {
        if self.down.load(Ordering::Relaxed) {
            return Err(FeedError("the disk is gone".into()));
        }
        all.sort_by_key(|(position, _)| *position);
        if !paging.ascending {
            all.reverse();
        }
        let after = |position: &Position| match paging.after {
            None => true,
            Some(after) if paging.ascending => *position > after,
            Some(after) => *position < after,
        };
        let mut rest = all.into_iter().filter(|(position, _)| after(position));
        let rows: Vec<(Position, T)> = rest.by_ref().take(paging.limit).collect();
        let next = rest.next().and_then(|_| rows.last().map(|(p, _)| *p));
        Ok(Page {
            rows: rows.into_iter().map(|(_, row)| row).collect(),
            next,
            indexed_to: self.rows.len() as Seq,
            scanned: self.rows.len() as u64,
            complete: true,
        })
    }

    fn counted<T>(&self, value: T, matches: u64) -> Counted<T> {
        Counted {
            value,
            matches,
            at_least: false,
            scanned: 0,
            complete: true,
            next: None,
            indexed_to: self.rows.len() as Seq,
        }
    }

    fn event_rows(&self) -> impl Iterator<Item = (&DeliveryRow, EventRow)> {
        self.rows.iter().flat_map(|row| {
            let rows = row.delivery.events.iter().enumerate();
            rows.map(move |(index, event)| {
                let event = EventRow {
                    position: Position {
                        seq: row.position.seq,
                        index: u32::try_from(index).unwrap(),
                    },
                    delivery: row.delivery.id,
                    received: row.delivery.received,
                    webhook: row.delivery.webhook.clone(),
                    event: event.clone(),
                    trace: row.delivery.trace.clone().map(|hop| hop.trace),
                };
                (row, event)
            })
        })
    }
}

impl Feed for FakeFeed {
    fn events(&self, query: &Query, paging: Paging) -> Result<Page<EventRow>, FeedError> {
        let all = self.event_rows();
        let found = all.filter(|(row, event)| query.matches_event(&event.event, &row.delivery));
        self.page(found.map(|(_, e)| (e.position, e)).collect(), paging)
    }
    fn deliveries(&self, query: &Query, paging: Paging) -> Result<Page<DeliveryRow>, FeedError> {
        let found = self
            .rows
            .iter()
            .filter(|row| query.matches_delivery(&row.delivery, row.seq));
        self.page(found.map(|r| (r.position, r.clone())).collect(), paging)
    }
    fn event(&self, id: Uuid) -> Result<Option<EventRow>, FeedError> {
        Ok(self.event_rows().map(|(_, e)| e).find(|e| e.event.id == id))
    }
    fn delivery(&self, id: Uuid) -> Result<Option<DeliveryRow>, FeedError> {
        Ok(self.rows.iter().find(|row| row.delivery.id == id).cloned())
    }
    fn replays(&self, id: Uuid) -> Result<Vec<Uuid>, FeedError> {
        let rows = self.rows.iter().map(|row| &row.delivery);
        let replays = rows.filter(|delivery| delivery.replay_of == Some(id));
        Ok(replays.map(|delivery| delivery.id).collect())
    }
    fn ring_request(&self, _: Uuid) -> Result<Option<Vec<u8>>, FeedError> {
        Ok(Some(request_bytes()))
    }
    fn parked(&self) -> Result<BTreeMap<String, u64>, FeedError> {
        let mut parked = BTreeMap::new();
        for row in self
            .rows
            .iter()
            .filter(|r| r.delivery.outcome == Outcome::Parked)
        {
            let webhook = row.delivery.webhook.clone().unwrap_or_default();
            *parked.entry(webhook).or_insert(0) += 1;
        }
        Ok(parked)
    }
    fn count(&self, _: What, query: &Query, _: Budget) -> Result<Counted<()>, FeedError> {
        let paging = Paging {
            limit: 1_000,
            after: None,
            ascending: false,
        };
        let found = self.deliveries(query, paging)?;
        Ok(self.counted((), found.rows.len() as u64))
    }
    fn histogram(
        &self,
        _: What,
        _: &Query,
        _: Over,
        _: Budget,
    ) -> Result<Counted<Histogram>, FeedError> {
        let histogram = Histogram {
            width_seconds: 60,
            from: time(0),
            to: time(0),
            buckets: Vec::new(),
        };
        Ok(self.counted(histogram, 0))
    }
    fn facets(
        &self,
        _: What,
        _: &Query,
        keys: &[FacetKey],
        _: Budget,
    ) -> Result<Counted<Vec<Facet>>, FeedError> {
        let facets = keys.iter().map(|key| Facet {
            key: *key,
            values: Vec::new(),
            more: 0,
            at_least: false,
        });
        Ok(self.counted(facets.collect(), 0))
    }
    fn set_sinks(&self, _: SinksNow) {}
    fn sinks(&self) -> Vec<SinkView> {
        Vec::new()
    }
    fn kept(&self) -> watch::Receiver<u64> {
        watch::Sender::new(0).subscribe()
    }
    fn keep(&self, _: RingEntry) {}
    fn indexed_to(&self) -> Seq {
        self.rows.len() as Seq
    }
    fn close(&self) {}
}

#[derive(Default)]
pub(super) struct FakeState {
    pub(super) dead: Mutex<Vec<DeadLetter>>,
    tokens: Mutex<Vec<TokenRow>>,
}

impl TokenStore for FakeState {
    fn tokens(&self) -> Result<Vec<TokenRow>, StateError> {
        Ok(self.tokens.lock().unwrap().clone())
    }
    fn add_token(&self, row: &TokenRow) -> Result<bool, StateError> {
        self.tokens.lock().unwrap().push(row.clone());
        Ok(true)
    }
    fn remove_token(&self, id: &str) -> Result<bool, StateError> {
        let mut tokens = self.tokens.lock().unwrap();
        let before = tokens.len();
        tokens.retain(|row| row.id != id);
        Ok(tokens.len() < before)
    }
    fn note_use(&self, id: &str, at: Timestamp) -> Result<(), StateError> {
        let mut tokens = self.tokens.lock().unwrap();
        let row = tokens.iter_mut().find(|row| row.id == id);
        row.unwrap().last_used = Some(at);
        Ok(())
    }
}

/// Learns nothing.
impl SecretStore for FakeState {
    fn learned(&self) -> Result<Vec<LearnedRow>, StateError> {
        Ok(Vec::new())
    }
    fn learn(&self, _: &LearnedRow) -> Result<bool, StateError> {
        Ok(false)
    }
    fn confirm(&self, _: &str, _: Timestamp) -> Result<(), StateError> {
        Ok(())
    }
    fn forget(&self, _: &str) -> Result<(), StateError> {
        Ok(())
    }
    fn waiting_since(&self, _: &str, now: Timestamp) -> Result<Timestamp, StateError> {
        Ok(now)
    }
    fn wait_again(&self, _: &str, _: Timestamp) -> Result<(), StateError> {
        Ok(())
    }
}

impl State for FakeState {
    fn cursor(&self, _: &str) -> Result<Option<Cursor>, StateError> {
        Ok(None)
    }
    fn cursors(&self) -> Result<Vec<(String, Cursor)>, StateError> {
        Ok(Vec::new())
    }
    fn advance(
        &self,
        _: &str,
        _: Seq,
        _: Timestamp,
        _: &[NewDeadLetter],
    ) -> Result<(), StateError> {
        Ok(())
    }
    fn set_removed(&self, _: &str, _: Option<Timestamp>) -> Result<(), StateError> {
        Ok(())
    }
    fn drop_cursor(&self, _: &str) -> Result<(), StateError> {
        Ok(())
    }
    fn skip(&self, _: &SkippedRange) -> Result<(), StateError> {
        Ok(())
    }
    fn skipped(&self) -> Result<Vec<SkippedRange>, StateError> {
        Ok(Vec::new())
    }
    fn dead_letters(
        &self,
        sink: Option<&str>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StateError> {
        let mut all = self.dead.lock().unwrap().clone();
        all.retain(|d| sink.is_none_or(|s| d.sink == s) && before.is_none_or(|b| d.id < b));
        all.sort_by_key(|d| -d.id);
        all.truncate(limit);
        Ok(all)
    }
    fn dead_letter(&self, id: i64) -> Result<Option<DeadLetter>, StateError> {
        Ok(self
            .dead
            .lock()
            .unwrap()
            .iter()
            .find(|d| d.id == id)
            .cloned())
    }
    fn dead_letter_counts(&self) -> Result<Vec<(String, u64)>, StateError> {
        let mut counts = BTreeMap::new();
        for dead in self.dead.lock().unwrap().iter() {
            *counts.entry(dead.sink.clone()).or_insert(0) += 1;
        }
        Ok(counts.into_iter().collect())
    }
    fn remove_dead_letter(&self, id: i64) -> Result<(), StateError> {
        self.dead.lock().unwrap().retain(|d| d.id != id);
        Ok(())
    }
    fn refuse_dead_letter_again(
        &self,
        _: i64,
        _: &str,
        _: &str,
        _: Timestamp,
    ) -> Result<(), StateError> {
        Ok(())
    }
    fn set_paused(&self, _: &str, _: bool) -> Result<(), StateError> {
        Ok(())
    }
    fn is_paused(&self, _: &str) -> Result<bool, StateError> {
        Ok(false)
    }
}

pub(super) fn dead_letter(id: i64) -> DeadLetter {
    DeadLetter {
        id,
        sink: "prefect".to_owned(),
        seq: 1,
        index: 0,
        webhook: Some("github".to_owned()),
        event: event(1, "github.push", "github.acme/api"),
        code: crate::codes::SINK_REFUSED,
        reason: "422 Unprocessable Entity".to_owned(),
        answer: HOSTILE.to_owned(),
        refused: time(0),
        attempts: 1,
    }
}

/// What a listener of the tests stands on.
pub(super) struct World {
    pub(super) admin: Arc<Admin>,
    pub(super) log: Arc<FakeLog>,
    pub(super) feed: Arc<FakeFeed>,
    pub(super) state: Arc<FakeState>,
    /// Holds what was learned.
    _folder: tempfile::TempDir,
}

pub(super) const WEBHOOKS: &str = r#"
[[webhook]]
name = "github"
slug = "fake-slug-of-22-chars-01"
verify = { scheme = "bearer", token = { file = "token" } }
event = { event = "github.{{ body.ref }}", resource = { "prefect.resource.id" = "r" } }
delivery_key = "body.ref"

[[webhook]]
name = "nightly"
slug = "fake-slug-of-22-chars-02"
event = { event = "nightly.finished", resource = { "prefect.resource.id" = "job.nightly" } }
"#;

/// A loaded configuration; its folder is kept until it is loaded.
pub(super) fn config(token: Option<&str>, webhooks: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), TOKEN).unwrap();
    let token = token.map_or("", |_| "admin_token = { file = \"token\" }");
    let text = format!("[server]\nadmin_hosts = [\"gate.example.com\"]\n{token}\n{webhooks}");
    let file = folder.path().join("webhooks.toml");
    std::fs::write(&file, text).unwrap();
    let loaded = crate::config::load(&file, &Overrides::default());
    loaded
        .config
        .unwrap_or_else(|| panic!("{:?}", loaded.findings))
}

/// A world of `n` deliveries: every fifth parked, every seventh rejected, the rest accepted.
pub(super) fn world(token: Option<&str>, n: u64) -> World {
    let rows: Vec<DeliveryRow> = (1..=n)
        .map(|n| {
            let outcome = match n {
                n if n % 5 == 0 => Outcome::Parked,
                n if n % 7 == 0 => Outcome::Rejected,
                _ => Outcome::Accepted,
            };
            delivery(n, outcome)
        })
        .collect();
    world_of(config(token, ""), rows, Vec::new())
}

pub(super) fn world_of(config: Config, rows: Vec<DeliveryRow>, findings: Vec<Finding>) -> World {
    let records = rows.iter().filter_map(|row| {
        row.seq.map(|seq| Record {
            seq,
            delivery: row.delivery.clone(),
        })
    });
    let records: Vec<Record> = records.collect();
    // The first delivery's request has been taken by retention.
    let requests = records.iter().skip(1).map(|r| (r.seq, request_bytes()));
    let log = Arc::new(FakeLog {
        writable: AtomicBool::new(true),
        head: watch::channel(rows.len() as Seq).0,
        requests: requests.collect(),
        records,
        appended: Mutex::default(),
    });
    let feed = Arc::new(FakeFeed {
        rows,
        down: AtomicBool::new(false),
    });
    let state = Arc::new(FakeState::default());
    let metrics = Arc::new(Metrics::new());
    let report = ReloadReport {
        time: time(0),
        ok: findings.is_empty(),
        hash: config.hash.clone(),
        findings,
    };
    let (log_again, state_again) = (log.clone(), state.clone());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let secrets = Arc::new(SqliteState::open(&path).unwrap());
    let vault = Vault::new(folder.path());
    let learner = Arc::new(Learner::new(secrets, vault, log.clone(), metrics.clone()));
    assert!(learner.apply(&config, time(0)).is_empty());
    let admin = Arc::new(Admin {
        config: Arc::new(ConfigHandle::new(config, Vec::new(), Overrides::default())),
        reload: Arc::new(move || report.clone()),
        forwarders: Arc::new(Forwarders::new(log_again, state_again, metrics.clone())),
        log: log.clone(),
        state: state.clone(),
        learner,
        access: Arc::new(crate::admin::Access::load(state.clone()).unwrap()),
        feed: feed.clone(),
        metrics,
        readiness: Arc::new(Readiness::new()),
        public: "http://127.0.0.1:8080".to_owned(),
        ui_dir: None,
    });
    World {
        admin,
        log,
        feed,
        state,
        _folder: folder,
    }
}
