//! The log and the state in memory, and a sink that does what a test tells it.

use super::error::SinkError;
use super::sinks::{Proof, Sink};
use super::window::Item;
use super::{NdjsonTarget, SinkKind, SinkSettings, StartFrom};
use crate::log::{Append, Appended, EventLog, LogError, LogStats, Record};
use crate::model::{Delivery, Event, Outcome, Seq};
use crate::state::{
    Cursor, DeadLetter, LearnedRow, NewDeadLetter, SecretStore, SkippedRange, State, StateError,
    TokenRow, TokenStore,
};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// Waits until something holds, at most a minute: the machine may have other work.
pub(super) async fn until(what: &str, holds: impl Fn() -> bool) {
    until_within(Duration::from_secs(60), what, holds).await;
}

/// The same with another deadline.
pub(super) async fn until_within(limit: Duration, what: &str, holds: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + limit;
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// An event with a number as its payload.
pub(super) fn event(name: &str, n: u64) -> Event {
    let mut resource = crate::model::Labels::new();
    resource.insert("prefect.resource.id".into(), format!("thing.{n}"));
    Event {
        occurred: Timestamp::now(),
        event: name.into(),
        resource,
        related: Vec::new(),
        payload: serde_json::value::to_raw_value(&serde_json::json!({ "n": n })).unwrap(),
        id: Uuid::from_u128(u128::from(n) + 1),
        follows: None,
    }
}

/// A delivery of a webhook with these events.
pub(super) fn delivery(events: Vec<Event>) -> Delivery {
    Delivery {
        id: Uuid::now_v7(),
        received: Timestamp::now(),
        webhook: Some("shop".into()),
        provider: None,
        outcome: Outcome::Accepted,
        code: None,
        status: 204,
        key: None,
        error: None,
        events,
        notes: Vec::new(),
        duplicate_of: None,
        replay_of: None,
        request: None,
        verification: None,
        masked: Vec::new(),
        timing: None,
        trace: None,
    }
}

/// Settings of a sink of which tests replace the destination.
pub(super) fn settings(name: &str) -> SinkSettings {
    SinkSettings {
        name: name.into(),
        kind: SinkKind::Ndjson(NdjsonTarget::Stdout),
        filter: None,
        batch_events: 200,
        batch_bytes: 4_000_000,
        batch_wait: Duration::ZERO,
        from: StartFrom::Oldest,
        max_lag: None,
        enabled: true,
    }
}

/// The log in memory.
pub(super) struct MemoryLog {
    records: Mutex<Vec<Record>>,
    damaged: Mutex<HashSet<Seq>>,
    head: watch::Sender<Seq>,
}

impl MemoryLog {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            records: Mutex::default(),
            damaged: Mutex::default(),
            head: watch::Sender::new(0),
        })
    }

    pub(super) fn add(&self, delivery: Delivery) -> Seq {
        let mut records = lock(&self.records);
        let seq = *self.head.borrow() + 1;
        records.push(Record { seq, delivery });
        self.head.send_replace(seq);
        seq
    }

    /// One delivery with one event for each number.
    pub(super) fn add_events(&self, numbers: std::ops::Range<u64>) {
        for n in numbers {
            self.add(delivery(vec![event("order.created", n)]));
        }
    }

    pub(super) fn damage(&self, seq: Seq) {
        lock(&self.damaged).insert(seq);
    }

    pub(super) fn forget_before(&self, seq: Seq) {
        lock(&self.records).retain(|record| record.seq >= seq);
    }

    /// Names of hookgate's own events, in order.
    pub(super) fn own_events(&self) -> Vec<String> {
        let records = lock(&self.records);
        let own = records.iter().filter(|r| r.delivery.webhook.is_none());
        own.flat_map(|r| r.delivery.events.iter().map(|e| e.event.clone()))
            .collect()
    }
}

impl EventLog for MemoryLog {
    fn append(
        &self,
        append: Append,
    ) -> Result<oneshot::Receiver<Result<Appended, LogError>>, LogError> {
        let (done, wait) = oneshot::channel();
        let events = append.delivery.events.len();
        let outcome = append.delivery.outcome;
        let seq = self.add(append.delivery);
        let appended = Appended {
            seq,
            outcome,
            duplicate_of: None,
            events,
            other_content: false,
        };
        done.send(Ok(appended)).unwrap();
        Ok(wait)
    }

    fn read(&self, after: Seq, records_max: usize, _: usize) -> Result<Vec<Record>, LogError> {
        let damaged = lock(&self.damaged);
        let records = lock(&self.records);
        let mut found = Vec::new();
        for record in records.iter().filter(|r| r.seq > after).take(records_max) {
            if damaged.contains(&record.seq) {
                if found.is_empty() {
                    return Err(LogError::Damaged {
                        seq: record.seq,
                        reason: "checksum".into(),
                    });
                }
                break;
            }
            found.push(record.clone());
        }
        Ok(found)
    }

    fn get(&self, seq: Seq) -> Result<Option<Record>, LogError> {
        let records = lock(&self.records);
        Ok(records.iter().find(|r| r.seq == seq).cloned())
    }

    fn request(&self, _: Seq) -> Result<Option<Vec<u8>>, LogError> {
        Ok(None)
    }

    fn head(&self) -> watch::Receiver<Seq> {
        self.head.subscribe()
    }

    fn queued(&self) -> usize {
        0
    }

    fn stats(&self) -> LogStats {
        let records = lock(&self.records);
        LogStats {
            head: *self.head.borrow(),
            oldest: records.first().map_or(0, |r| r.seq),
            ..LogStats::default()
        }
    }

    fn set_retention_floor(&self, _: crate::log::RetentionFloor) {}

    fn close(&self) {}
}

#[derive(Default)]
struct Kept {
    cursors: HashMap<String, Cursor>,
    letters: Vec<DeadLetter>,
    skipped: Vec<SkippedRange>,
    paused: HashSet<String>,
    advances: usize,
}

/// The state in memory.
#[derive(Default)]
pub(super) struct MemoryState {
    kept: Mutex<Kept>,
    failing: Mutex<bool>,
}

impl MemoryState {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn fail(&self, failing: bool) {
        *lock(&self.failing) = failing;
    }

    pub(super) fn seq(&self, sink: &str) -> Option<Seq> {
        lock(&self.kept).cursors.get(sink).map(|c| c.seq)
    }

    pub(super) fn advances(&self) -> usize {
        lock(&self.kept).advances
    }

    pub(super) fn letters(&self) -> Vec<DeadLetter> {
        lock(&self.kept).letters.clone()
    }

    pub(super) fn put_cursor(&self, sink: &str, seq: Seq, removed: Option<Timestamp>) {
        let moved = Timestamp::now();
        let cursor = Cursor {
            seq,
            moved,
            removed,
        };
        lock(&self.kept).cursors.insert(sink.into(), cursor);
    }

    pub(super) fn has_cursor(&self, sink: &str) -> bool {
        lock(&self.kept).cursors.contains_key(sink)
    }

    fn ask<T>(&self, call: impl FnOnce(&mut Kept) -> T) -> Result<T, StateError> {
        if *lock(&self.failing) {
            return Err(StateError("disk I/O error".into()));
        }
        Ok(call(&mut lock(&self.kept)))
    }
}

fn forward(kept: &mut Kept, sink: &str, seq: Seq, moved: Timestamp) {
    let cursor = kept.cursors.entry(sink.into()).or_insert(Cursor {
        seq,
        moved,
        removed: None,
    });
    assert!(cursor.seq <= seq, "the cursor of {sink} went back");
    cursor.seq = seq;
}

/// Learns nothing.
impl SecretStore for MemoryState {
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

/// Keeps none.
impl TokenStore for MemoryState {
    fn tokens(&self) -> Result<Vec<TokenRow>, StateError> {
        Ok(Vec::new())
    }
    fn add_token(&self, _: &TokenRow) -> Result<bool, StateError> {
        Ok(false)
    }
    fn remove_token(&self, _: &str) -> Result<bool, StateError> {
        Ok(false)
    }
    fn note_use(&self, _: &str, _: Timestamp) -> Result<(), StateError> {
        Ok(())
    }
}

impl State for MemoryState {
    fn cursor(&self, sink: &str) -> Result<Option<Cursor>, StateError> {
        self.ask(|kept| kept.cursors.get(sink).cloned())
    }

    fn cursors(&self) -> Result<Vec<(String, Cursor)>, StateError> {
        self.ask(|kept| {
            let cursors = kept.cursors.iter();
            cursors.map(|(k, v)| (k.clone(), v.clone())).collect()
        })
    }

    fn advance(
        &self,
        sink: &str,
        seq: Seq,
        now: Timestamp,
        dead: &[NewDeadLetter],
    ) -> Result<(), StateError> {
        self.ask(|kept| {
            forward(kept, sink, seq, now);
            kept.advances += 1;
            for letter in dead {
                let id = i64::try_from(kept.letters.len()).unwrap() + 1;
                kept.letters.push(DeadLetter {
                    id,
                    sink: sink.into(),
                    seq: letter.position.seq,
                    index: letter.position.index,
                    webhook: letter.webhook.clone(),
                    event: letter.event.clone(),
                    code: letter.code,
                    reason: letter.reason.clone(),
                    answer: letter.answer.clone(),
                    refused: now,
                    attempts: letter.attempts,
                });
            }
        })
    }

    fn set_removed(&self, sink: &str, removed: Option<Timestamp>) -> Result<(), StateError> {
        self.ask(|kept| {
            if let Some(cursor) = kept.cursors.get_mut(sink) {
                cursor.removed = removed;
            }
        })
    }

    fn drop_cursor(&self, sink: &str) -> Result<(), StateError> {
        self.ask(|kept| {
            kept.cursors.remove(sink);
        })
    }

    fn skip(&self, range: &SkippedRange) -> Result<(), StateError> {
        self.ask(|kept| {
            forward(kept, &range.sink, range.to, range.at);
            kept.skipped.push(range.clone());
        })
    }

    fn skipped(&self) -> Result<Vec<SkippedRange>, StateError> {
        self.ask(|kept| kept.skipped.clone())
    }

    fn dead_letters(
        &self,
        _: Option<&str>,
        _: Option<i64>,
        _: usize,
    ) -> Result<Vec<DeadLetter>, StateError> {
        self.ask(|kept| kept.letters.clone())
    }

    fn dead_letter(&self, id: i64) -> Result<Option<DeadLetter>, StateError> {
        self.ask(|kept| kept.letters.iter().find(|l| l.id == id).cloned())
    }

    fn dead_letter_counts(&self) -> Result<Vec<(String, u64)>, StateError> {
        self.ask(|kept| {
            let mut counts = HashMap::<String, u64>::new();
            for letter in &kept.letters {
                *counts.entry(letter.sink.clone()).or_default() += 1;
            }
            counts.into_iter().collect()
        })
    }

    fn remove_dead_letter(&self, id: i64) -> Result<(), StateError> {
        self.ask(|kept| kept.letters.retain(|l| l.id != id))
    }

    fn refuse_dead_letter_again(
        &self,
        id: i64,
        reason: &str,
        answer: &str,
        now: Timestamp,
    ) -> Result<(), StateError> {
        self.ask(|kept| {
            for letter in kept.letters.iter_mut().filter(|l| l.id == id) {
                letter.reason = reason.into();
                letter.answer = answer.into();
                letter.refused = now;
                letter.attempts += 1;
            }
        })
    }

    fn set_paused(&self, sink: &str, paused: bool) -> Result<(), StateError> {
        self.ask(|kept| {
            if paused {
                kept.paused.insert(sink.into());
            } else {
                kept.paused.remove(sink);
            }
        })
    }

    fn is_paused(&self, sink: &str) -> Result<bool, StateError> {
        self.ask(|kept| kept.paused.contains(sink))
    }
}

/// What a scripted sink makes of a batch, given the numbers of its events.
pub(super) type Script = dyn Fn(&[u64]) -> Result<(), SinkError> + Send + Sync;

/// A sink in memory.
pub(super) struct ScriptedSink {
    script: Mutex<Box<Script>>,
    /// Every batch that came, also the refused.
    pub(super) tried: Mutex<Vec<Vec<u64>>>,
    /// Numbers of what was taken, in order.
    pub(super) taken: Mutex<Vec<u64>>,
    /// Whether what was taken must be asked for.
    confirm: bool,
    /// Ids that are shown.
    stored: Mutex<HashSet<Uuid>>,
    /// Whether an event of this number is stored when it is taken.
    stores: Mutex<Box<dyn Fn(u64) -> bool + Send + Sync>>,
    /// Ids that were taken and not shown yet, and how many there ever were at once.
    unconfirmed: Mutex<(HashSet<Uuid>, usize)>,
}

impl ScriptedSink {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self::made(false))
    }

    /// One whose yes is no proof.
    pub(super) fn forgetful() -> Arc<Self> {
        Arc::new(Self::made(true))
    }

    fn made(confirm: bool) -> Self {
        Self {
            script: Mutex::new(Box::new(|_| Ok(()))),
            tried: Mutex::default(),
            taken: Mutex::default(),
            confirm,
            stored: Mutex::default(),
            stores: Mutex::new(Box::new(|_| true)),
            unconfirmed: Mutex::default(),
        }
    }

    pub(super) fn script(
        &self,
        script: impl Fn(&[u64]) -> Result<(), SinkError> + Send + Sync + 'static,
    ) {
        *lock(&self.script) = Box::new(script);
    }

    pub(super) fn store(&self, stores: impl Fn(u64) -> bool + Send + Sync + 'static) {
        *lock(&self.stores) = Box::new(stores);
    }

    pub(super) fn taken(&self) -> Vec<u64> {
        lock(&self.taken).clone()
    }

    pub(super) fn tries(&self) -> usize {
        lock(&self.tried).len()
    }

    pub(super) fn unconfirmed_max(&self) -> usize {
        lock(&self.unconfirmed).1
    }

    pub(super) fn has_stored(&self, numbers: std::ops::Range<u64>) -> bool {
        let stored = lock(&self.stored);
        let mut ids = numbers.map(|n| Uuid::from_u128(u128::from(n) + 1));
        ids.all(|id| stored.contains(&id))
    }
}

/// The number in an event of [`event`]; an own event has none.
pub(super) fn number(item: &Item) -> u64 {
    let payload: serde_json::Value = serde_json::from_str(item.event.payload.get()).unwrap();
    payload["n"].as_u64().unwrap_or(u64::MAX)
}

impl Sink for ScriptedSink {
    fn events_max(&self) -> usize {
        usize::MAX
    }

    fn confirms(&self) -> bool {
        self.confirm
    }

    fn send<'a>(&'a self, batch: &'a [Arc<Item>]) -> BoxFuture<'a, Result<Proof, SinkError>> {
        let numbers: Vec<_> = batch.iter().map(|item| number(item)).collect();
        let answer = lock(&self.script)(&numbers);
        lock(&self.tried).push(numbers.clone());
        if answer.is_ok() {
            lock(&self.taken).extend(&numbers);
            let (under_way, most) = &mut *lock(&self.unconfirmed);
            // Probes are not counted: they have no number.
            let counted = batch.iter().zip(&numbers).filter(|(_, n)| **n != u64::MAX);
            under_way.extend(counted.map(|(item, _)| item.event.id));
            *most = under_way.len().max(*most);
            let stores = lock(&self.stores);
            let kept = batch.iter().zip(&numbers).filter(|(_, n)| stores(**n));
            lock(&self.stored).extend(kept.map(|(item, _)| item.event.id));
        }
        let proof = if self.confirm {
            Proof::Taken
        } else {
            Proof::Delivered
        };
        Box::pin(async move { answer.map(|()| proof) })
    }

    fn shown<'a>(
        &'a self,
        batch: &'a [Arc<Item>],
    ) -> BoxFuture<'a, Result<HashSet<Uuid>, SinkError>> {
        let stored = lock(&self.stored);
        let ids = batch.iter().map(|item| item.event.id);
        let shown: HashSet<_> = ids.filter(|id| stored.contains(id)).collect();
        lock(&self.unconfirmed).0.retain(|id| !shown.contains(id));
        Box::pin(async move { Ok(shown) })
    }
}
