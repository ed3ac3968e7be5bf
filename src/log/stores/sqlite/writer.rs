//! The writer: one thread, one connection, as many deliveries in a commit as wait.

use super::checkpoint;
use super::decide::Decider;
use super::learn;
use super::maintenance::Work;
use super::shared::{FailurePoint, Shared, signed};
use crate::codes;
use crate::log::LogError;
use crate::log::queue::{Job, Next};
use crate::log::record;
use crate::log::stores::schema;
use crate::model::Seq;
use rusqlite::{Connection, OptionalExtension, Statement};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long the writer sleeps when nobody wakes it.
const IDLE: Duration = Duration::from_secs(60);
/// First and longest pause between two tries to open the store again.
const REOPEN_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// A guess at what one row of maintenance writes to the WAL, in bytes.
const STEP_ROW_BYTES: u64 = 4096;
/// How often the log's size is looked at.
const SIZE_EVERY: Duration = Duration::from_millis(250);
/// Bytes after which the log's size is looked at, so that `max_size` is not passed by far.
const SIZE_AFTER_BYTES: u64 = 1024 * 1024;

/// Writes until the queue is closed and empty.
pub(super) fn run(shared: &Shared, conn: Connection) {
    // A writer that panics must not leave senders waiting.
    let _abandon = Abandon(shared);
    let mut conn = conn;
    let mut pause = REOPEN_PAUSE.0;
    loop {
        let mut written = false;
        match session(shared, &conn, &mut written) {
            Ok(()) => return,
            Err(reason) => {
                tracing::error!(code = %codes::LOG_FAILED, %reason, "writing the log failed; it is opened again before it takes more");
                shared.queue.fail(&Arc::from(reason));
            }
        }
        // A pause that grew while the disk was full starts anew only after something could be written.
        if written {
            pause = REOPEN_PAUSE.0;
        }
        drop(conn);
        match recover(shared, &mut pause) {
            Some(reopened) => conn = reopened,
            None => return,
        }
    }
}

struct Abandon<'a>(&'a Shared);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.0.queue.abandon();
    }
}

/// Opens the store again, reads it back, and lets deliveries in. `None`: closed meanwhile.
fn recover(shared: &Shared, pause: &mut Duration) -> Option<Connection> {
    loop {
        if shared.queue.wait_closed(*pause) {
            return None;
        }
        *pause = (*pause * 2).min(REOPEN_PAUSE.1);
        match reopen(shared) {
            Ok(conn) => {
                tracing::info!(head = *shared.head.borrow(), "the log is open again");
                shared.queue.reopen();
                return Some(conn);
            }
            Err(reason) => {
                tracing::warn!(code = %codes::LOG_FAILED, %reason, "the log cannot be opened again yet")
            }
        }
    }
}

fn reopen(shared: &Shared) -> Result<Connection, String> {
    if let Some(reason) = shared.fails(FailurePoint::Reopen) {
        return Err(reason);
    }
    // Readers too start afresh.
    shared.readers().clear();
    let known = *shared.head.borrow();
    let text = |error: rusqlite::Error| error.to_string();
    let conn = schema::reopen(&shared.path).map_err(text)?;
    let head = learn::newest(&conn).map_err(text)?;
    if head < known {
        return Err(format!("it ends at {head}, but {known} was acknowledged"));
    }
    if head > 0 {
        let bytes: Option<Vec<u8>> = conn
            .query_row(
                "SELECT head FROM deliveries WHERE seq = ?",
                [signed(head)],
                |row| row.get(0),
            )
            .optional()
            .map_err(text)?;
        record::decode(&bytes.unwrap_or_default(), head)
            .map_err(|reason| format!("record {head} cannot be read back: {reason}"))?;
    }
    // A real write with its sync: reading alone says nothing about a full disk.
    let version: i64 = conn
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(text)?;
    conn.pragma_update(None, "user_version", version)
        .map_err(text)?;
    if head > known {
        // A commit that was said to have failed has not: its keys count.
        learn::learn_tail(&conn, &shared.keys, known, i64::MIN).map_err(text)?;
        publish(shared, head);
    }
    Ok(conn)
}

fn publish(shared: &Shared, head: Seq) {
    shared.head.send_replace(head);
    shared.metrics.head.set(signed(head));
}

/// The statements of one connection.
struct Session<'s, 'c> {
    shared: &'s Shared,
    begin: Statement<'c>,
    insert: Statement<'c>,
    commit: Statement<'c>,
    decider: Decider<'s, 'c>,
    conn: &'c Connection,
    next: Seq,
    size_seen: Instant,
    bytes_since: u64,
}

fn session(shared: &Shared, conn: &Connection, written: &mut bool) -> Result<(), String> {
    let mut session = Session::new(shared, conn).map_err(|error| error.to_string())?;
    let mut batch = Vec::new();
    loop {
        let dirty = session.bytes_since > 0;
        match shared
            .queue
            .next(&mut batch, if dirty { SIZE_EVERY } else { IDLE })
        {
            Next::Commit => {
                session.commit(&mut batch)?;
                *written = true;
            }
            Next::Work(work) => session.work(work).map_err(|error| error.to_string())?,
            Next::Idle => session.note_size(),
            Next::Closed => return Ok(()),
        }
        if shared.finish_wal.load(Ordering::Relaxed) {
            checkpoint::finish(shared, conn);
        }
    }
}

impl<'s, 'c> Session<'s, 'c> {
    fn new(shared: &'s Shared, conn: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            shared,
            begin: conn.prepare("BEGIN IMMEDIATE")?,
            insert: conn.prepare("INSERT INTO deliveries(seq, head, request) VALUES(?, ?, ?)")?,
            commit: conn.prepare("COMMIT")?,
            decider: Decider::new(shared, conn)?,
            conn,
            next: learn::newest(conn)? + 1,
            size_seen: Instant::now(),
            bytes_since: 0,
        })
    }

    /// Commits a batch, then answers. On an error all of it is told that it failed.
    fn commit(&mut self, batch: &mut Vec<Job>) -> Result<(), String> {
        let started = Instant::now();
        let first = self.next;
        let outcome = self.write(batch, first);
        if let Err(reason) = outcome {
            self.decider.discarded();
            if !self.conn.is_autocommit()
                && let Err(error) = self.conn.execute_batch("ROLLBACK")
            {
                tracing::warn!(%error, "rolling back failed; the connection is dropped");
            }
            let error = LogError::Failed(Arc::from(reason.as_str()));
            // First the gate, so that nobody is let in on the word of an answer.
            self.shared.queue.fail(&Arc::from(reason.as_str()));
            for job in batch.drain(..) {
                drop(job.done.send(Err(error.clone())));
            }
            return Err(reason);
        }
        self.next = first + batch.len() as u64;
        self.decider.committed();
        // Before the answers: what was acknowledged can be read.
        publish(self.shared, self.next - 1);
        self.note_first(first, batch);
        let count = batch.len();
        let mut bytes = 0;
        for job in batch.drain(..) {
            bytes += job.head.len() + job.request.as_ref().map_or(0, Vec::len);
            // Whoever has gone needs no answer; the delivery is kept all the same.
            drop(job.done.send(Ok(job.appended)));
        }
        self.note_commit(count, bytes as u64, started);
        Ok(())
    }

    fn write(&mut self, batch: &mut [Job], first: Seq) -> Result<(), String> {
        self.may_fail(FailurePoint::Begin)?;
        let text = |error: rusqlite::Error| error.to_string();
        // Paired with the check after reading: numbers go on where the last commit ended.
        if first != *self.shared.head.borrow() + 1 {
            return Err(format!("sequence number {first} is not the next one"));
        }
        self.begin.raw_execute().map_err(text)?;
        for (seq, job) in (first..).zip(batch) {
            self.may_fail(FailurePoint::Insert)?;
            self.decider.decide(job, seq)?;
            record::seal(&mut job.head, seq);
            self.insert
                .execute((signed(seq), &job.head, &job.request))
                .map_err(text)?;
        }
        self.may_fail(FailurePoint::Commit)?;
        self.commit.raw_execute().map_err(text)?;
        self.may_fail(FailurePoint::Committed)
    }

    fn may_fail(&self, point: FailurePoint) -> Result<(), String> {
        self.shared.fails(point).map_or(Ok(()), Err)
    }

    fn note_first(&self, first: Seq, batch: &[Job]) {
        if self.shared.oldest.load(Ordering::Relaxed) == 0
            && let Some(job) = batch.first()
        {
            self.shared.note_oldest(first, job.received);
        }
        for (seq, job) in (first..).zip(batch) {
            self.shared.keys.mark(seq, job.received);
        }
    }

    fn note_commit(&mut self, count: usize, bytes: u64, started: Instant) {
        let took = started.elapsed();
        let metrics = &self.shared.metrics;
        metrics.commits.inc();
        metrics.commit_duration.observe(took.as_secs_f64());
        #[allow(clippy::cast_precision_loss, reason = "at most COMMIT_DELIVERIES_MAX")]
        metrics.batch.observe(count as f64);
        self.shared.queue.note_rate(count, took);
        checkpoint::note_written(self.shared, bytes);
        self.bytes_since += bytes;
        if self.bytes_since >= SIZE_AFTER_BYTES || self.size_seen.elapsed() >= SIZE_EVERY {
            self.note_size();
        }
    }

    fn note_size(&mut self) {
        self.bytes_since = 0;
        self.size_seen = Instant::now();
        match learn::bytes(self.conn) {
            Ok(bytes) => self.shared.note_bytes(bytes),
            Err(error) => tracing::warn!(%error, "the log's size cannot be read"),
        }
    }

    /// One step of retention, in one transaction.
    fn work(&mut self, work: Work) -> rusqlite::Result<()> {
        let (changed, done) = match work {
            Work::Delete { to, done } => {
                // Said first, so that no reader takes the gap for damage.
                self.shared.deleted_to.fetch_max(to, Ordering::SeqCst);
                let sql = "DELETE FROM deliveries WHERE seq <= ?";
                let changed = self.conn.prepare_cached(sql)?.execute([signed(to)])?;
                let (oldest, received) = learn::oldest(self.conn)?;
                self.shared.note_oldest(oldest, received);
                (changed, done)
            }
            Work::ClearRequests { seqs, done } => {
                let tx = self.conn.unchecked_transaction()?;
                let sql = "UPDATE deliveries SET request = NULL WHERE seq = ?";
                let mut changed = 0;
                for seq in seqs {
                    changed += tx.prepare_cached(sql)?.execute([signed(seq)])?;
                }
                tx.commit()?;
                (changed, done)
            }
        };
        checkpoint::note_written(self.shared, changed as u64 * STEP_ROW_BYTES);
        self.note_size();
        // The maintenance thread may have gone.
        done.send(changed).ok();
        Ok(())
    }
}
