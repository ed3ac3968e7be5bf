//! Retention, the snapshot of keys, and the warning that the store fills: once a minute, beside the writer.
//!
//! This thread finds what may go; the writer deletes it, one small transaction between two commits.

use super::shared::{Shared, signed, unsigned};
use crate::log::retention::{Clock, TrustedClock, last_old, micros};
use crate::log::{own_event, record};
use crate::model::Seq;
use crate::model::event::{Labels, RESOURCE_ID};
use rusqlite::Connection;
use std::sync::atomic::Ordering;
use std::sync::{PoisonError, mpsc};
use std::time::Duration;

/// How often it goes round by itself.
pub(super) const EVERY: Duration = Duration::from_secs(60);
/// Rows in one step at most: some milliseconds of the writer's time.
const STEP_ROWS: usize = 500;
/// New deliveries after which the snapshot is written: a start reads no more than these, and what a minute brings.
const SNAPSHOT_AFTER: u64 = 20_000;
/// Hundredths of `max_size` at which an own event warns, and below which it may warn again.
const FILLING: (u64, u64) = (80, 70);

/// One step for the writer; `done` gets the number of rows.
#[derive(Debug)]
pub(crate) enum Work {
    /// Delete all up to a delivery.
    Delete {
        /// The last one to delete.
        to: Seq,
        /// Told when it is on disk.
        done: mpsc::Sender<usize>,
    },
    /// Delete the requests of these deliveries.
    ClearRequests {
        /// Which.
        seqs: Vec<Seq>,
        /// Told when it is on disk.
        done: mpsc::Sender<usize>,
    },
}

/// What is remembered from round to round.
#[derive(Debug)]
pub(super) struct Memory {
    clock: TrustedClock,
    filling_told: bool,
}

impl Memory {
    /// At the moment of opening, since that is what later moments are compared with.
    pub(super) fn new(clock: &Clock, newest_received: Option<i64>) -> Self {
        Self {
            clock: TrustedClock::new(clock, newest_received),
            filling_told: false,
        }
    }
}

/// Goes round until the queue is closed.
pub(super) fn run(shared: &Shared) {
    while !shared.queue.is_closed() {
        pass(shared);
        std::thread::park_timeout(shared.options.maintenance_every);
    }
}

/// One round.
pub(super) fn pass(shared: &Shared) {
    let mut memory = shared.memory.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(memory) = memory.as_mut() else {
        return;
    };
    let now = memory.clock.now(&shared.options.clock);
    if let Err(error) = retain(shared, now) {
        tracing::warn!(%error, "retention could not read the log");
    }
    let window = micros(shared.settings.dedup);
    shared.keys.forget(now.saturating_sub(window));
    tell_filling(shared, memory);
    let head = *shared.head.borrow();
    if head >= shared.snapshot_head.load(Ordering::Relaxed) + SNAPSHOT_AFTER {
        shared.write_snapshot();
    }
}

fn retain(shared: &Shared, now: i64) -> rusqlite::Result<()> {
    let floor = shared
        .floor
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    // Nobody has said yet what sinks still need.
    let Some(floor) = floor else {
        return Ok(());
    };
    // The newest row always stays: it says where the numbers go on after a restart.
    let mut last = shared.head.borrow().saturating_sub(1);
    if let Some(floor) = floor() {
        last = last.min(floor);
    }
    let conn = crate::log::stores::schema::open_to_read(&shared.path)?;
    while delete_step(shared, &conn, now, last)? {}
    if shared.settings.requests < shared.settings.retention {
        while clear_step(shared, &conn, now, last)? {}
    }
    Ok(())
}

/// Deletes what is past retention, one step; true when there may be more.
fn delete_step(shared: &Shared, conn: &Connection, now: i64, last: Seq) -> rusqlite::Result<bool> {
    let sql = "SELECT seq, head FROM deliveries WHERE seq <= ? ORDER BY seq LIMIT ?";
    let mut statement = conn.prepare_cached(sql)?;
    let limit = i64::try_from(STEP_ROWS).unwrap_or(i64::MAX);
    let mut rows = statement.query((signed(last), limit))?;
    let mut ages = Vec::with_capacity(STEP_ROWS);
    while let Some(row) = rows.next()? {
        let head = row.get_ref(1)?.as_blob()?;
        let seq: Seq = unsigned(row.get(0)?);
        ages.push((seq, received(head, seq)));
    }
    drop(rows);
    let full = ages.len() == STEP_ROWS;
    let end = ages.last().map(|(seq, _)| *seq);
    let Some(to) = last_old(ages, now, shared.settings.retention) else {
        return Ok(false);
    };
    let done = hand_over(shared, |done| Work::Delete { to, done });
    Ok(done && full && end == Some(to))
}

/// Deletes requests that are past their own age, one step; true when there may be more.
fn clear_step(shared: &Shared, conn: &Connection, now: i64, last: Seq) -> rusqlite::Result<bool> {
    let sql = "SELECT seq, head, request IS NOT NULL FROM deliveries \
               WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?";
    let mut statement = conn.prepare_cached(sql)?;
    let cleared = shared.cleared.load(Ordering::Relaxed);
    let limit = i64::try_from(STEP_ROWS).unwrap_or(i64::MAX);
    let mut rows = statement.query((signed(cleared), signed(last), limit))?;
    let mut ages = Vec::with_capacity(STEP_ROWS);
    let mut seqs = Vec::new();
    while let Some(row) = rows.next()? {
        let seq: Seq = unsigned(row.get(0)?);
        let head = row.get_ref(1)?.as_blob()?;
        // A damaged head says not whether it is parked: its request stays, it may be all that is left.
        let parked =
            !record::is_whole(head, seq) || record::peek(head).is_ok_and(|peek| peek.parked);
        if row.get(2)? && !parked {
            seqs.push(seq);
        }
        ages.push((seq, received(head, seq)));
    }
    drop(rows);
    let full = ages.len() == STEP_ROWS;
    let end = ages.last().map(|(seq, _)| *seq);
    let Some(to) = last_old(ages, now, shared.settings.requests) else {
        return Ok(false);
    };
    seqs.retain(|seq| *seq <= to);
    if !seqs.is_empty() && !hand_over(shared, |done| Work::ClearRequests { seqs, done }) {
        return Ok(false);
    }
    shared.cleared.store(to, Ordering::Relaxed);
    Ok(full && end == Some(to))
}

fn received(head: &[u8], seq: Seq) -> Option<i64> {
    if !record::is_whole(head, seq) {
        return None;
    }
    record::peek(head).ok().map(|peek| peek.received)
}

/// Gives a step to the writer and waits for it; false when it was not done.
fn hand_over(shared: &Shared, work: impl FnOnce(mpsc::Sender<usize>) -> Work) -> bool {
    let (done, wait) = mpsc::channel();
    // The writer drops the sender when it fails or closes, so this never waits for nothing.
    shared.queue.push_work(work(done)) && wait.recv().is_ok()
}

fn tell_filling(shared: &Shared, memory: &mut Memory) {
    let Some(max) = shared.settings.max_size else {
        return;
    };
    let bytes = shared.bytes.load(Ordering::Relaxed);
    let above =
        |hundredths: u64| u128::from(bytes) * 100 >= u128::from(max) * u128::from(hundredths);
    if !above(FILLING.1) {
        memory.filling_told = false;
    }
    if memory.filling_told || !above(FILLING.0) {
        return;
    }
    memory.filling_told = true;
    tracing::warn!(
        size_bytes = bytes,
        size_bytes_max = max,
        "the store is filling"
    );
    let resource = Labels::from_iter([(RESOURCE_ID.to_owned(), "hookgate.store".to_owned())]);
    let mut payload = serde_json::Map::new();
    payload.insert("size_bytes".to_owned(), bytes.into());
    payload.insert("size_bytes_max".to_owned(), max.into());
    let event = own_event("hookgate.store.filling", resource, &payload);
    if let Err(error) = shared.append(event) {
        tracing::warn!(%error, "the warning that the store is filling was not recorded");
        memory.filling_told = false;
    }
}
