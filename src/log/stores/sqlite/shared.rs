//! What the log's threads share, and what tests may put in the place of clock and disk.

use super::maintenance::{Memory, Work};
use crate::log::keys::{Keys, snapshot::Covered};
use crate::log::queue::Queue;
use crate::log::retention::Clock;
use crate::log::{LogStats, RetentionFloor, StoreSettings};
use crate::model::Seq;
use crate::telemetry::Metrics;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge, histogram::Histogram};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Duration;
use tokio::sync::watch;

/// Where a test may make the log fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailurePoint {
    /// Before a batch's transaction begins.
    Begin,
    /// Before a row is written.
    Insert,
    /// Before the commit: as if its write or sync had failed.
    Commit,
    /// After the commit, before the answers: as if it had said it failed, but had not.
    Committed,
    /// When the store is opened again after a failure.
    Reopen,
    /// When the snapshot of keys is written.
    Snapshot,
}

/// A reason to fail at a point, or none. It may also block there.
pub(crate) type FailureHook = Arc<dyn Fn(FailurePoint) -> Option<String> + Send + Sync>;

/// What tests set, and nobody else.
#[derive(Clone)]
pub(crate) struct Options {
    /// The clock of retention.
    pub(crate) clock: Clock,
    /// Failures.
    pub(crate) failures: Option<FailureHook>,
    /// Bytes written to the WAL past which it is copied into the file.
    pub(crate) checkpoint_bytes: u64,
    /// How often the maintenance thread goes round by itself.
    pub(crate) maintenance_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            failures: None,
            checkpoint_bytes: super::checkpoint::CHECKPOINT_BYTES,
            maintenance_every: super::maintenance::EVERY,
        }
    }
}

/// Handles of the log's metrics.
#[derive(Debug, Clone)]
pub(super) struct LogMetrics {
    pub(super) commits: Counter,
    pub(super) commit_duration: Histogram,
    pub(super) batch: Histogram,
    pub(super) size: Gauge,
    pub(super) oldest: Gauge<f64, AtomicU64>,
    pub(super) head: Gauge,
}

/// What was found when the log was opened.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) head: Seq,
    pub(super) oldest: Seq,
    pub(super) oldest_received: i64,
    pub(super) newest_received: Option<i64>,
    pub(super) keys: Keys,
    pub(super) covered: Covered,
    pub(super) bytes: u64,
}

/// What the threads share.
pub(super) struct Shared {
    pub(super) settings: StoreSettings,
    pub(super) options: Options,
    pub(super) path: PathBuf,
    pub(super) queue: Queue<Work>,
    pub(super) head: watch::Sender<Seq>,
    pub(super) keys: Keys,
    pub(super) oldest: AtomicU64,
    /// Microseconds since the epoch.
    pub(super) oldest_received: AtomicI64,
    pub(super) bytes: AtomicU64,
    pub(super) over_size: AtomicBool,
    /// Requests up to here were deleted, or stay.
    pub(super) cleared: AtomicU64,
    /// The newest delivery whose key is in the snapshot.
    pub(super) snapshot_head: AtomicU64,
    pub(super) floor: Mutex<Option<RetentionFloor>>,
    pub(super) metrics: LogMetrics,
    /// Bytes written to the WAL since it was last copied.
    pub(super) wal_bytes: AtomicU64,
    /// Whether the writer is to copy the rest of the WAL itself.
    pub(super) finish_wal: AtomicBool,
    /// What the maintenance thread remembers.
    pub(super) memory: Mutex<Option<Memory>>,
    /// Retention deletes, or has deleted, up to here: only there may numbers be missing.
    pub(super) deleted_to: AtomicU64,
    readers: Mutex<Vec<Connection>>,
    threads: Mutex<Vec<(String, Thread)>>,
}

impl Shared {
    pub(super) fn new(
        settings: &StoreSettings,
        metrics: &Metrics,
        options: Options,
        path: PathBuf,
    ) -> Self {
        Self {
            settings: settings.clone(),
            options,
            path,
            queue: Queue::new(settings.queue),
            head: watch::Sender::new(0),
            keys: Keys::new(),
            oldest: AtomicU64::new(0),
            oldest_received: AtomicI64::new(0),
            bytes: AtomicU64::new(0),
            over_size: AtomicBool::new(false),
            cleared: AtomicU64::new(0),
            snapshot_head: AtomicU64::new(0),
            floor: Mutex::new(None),
            metrics: LogMetrics {
                commits: metrics.log_commits.clone(),
                commit_duration: metrics.log_commit_duration.clone(),
                batch: metrics.log_batch_deliveries.clone(),
                size: metrics.log_size.clone(),
                oldest: metrics.log_oldest.clone(),
                head: metrics.log_head.clone(),
            },
            wal_bytes: AtomicU64::new(0),
            finish_wal: AtomicBool::new(false),
            memory: Mutex::default(),
            deleted_to: AtomicU64::new(0),
            readers: Mutex::default(),
            threads: Mutex::default(),
        }
    }

    /// With what was found at the start.
    pub(super) fn started(mut self, start: Start) -> Self {
        self.head.send_replace(start.head);
        self.keys = start.keys;
        let memory = Memory::new(&self.options.clock, start.newest_received);
        self.memory = Mutex::new(Some(memory));
        self.cleared.store(start.covered.cleared, Ordering::Relaxed);
        self.snapshot_head
            .store(start.covered.head, Ordering::Relaxed);
        self.deleted_to
            .store(start.oldest.saturating_sub(1), Ordering::Relaxed);
        self.note_oldest(start.oldest, start.oldest_received);
        self.note_bytes(start.bytes);
        self.metrics.head.set(signed(start.head));
        self
    }

    pub(super) fn note_oldest(&self, oldest: Seq, received: i64) {
        self.oldest_received.store(received, Ordering::Relaxed);
        self.oldest.store(oldest, Ordering::Relaxed);
        #[allow(
            clippy::cast_precision_loss,
            reason = "microseconds of today fit a double"
        )]
        self.metrics.oldest.set(received as f64 / 1e6);
    }

    /// Notes the size, and whether it is too large.
    pub(super) fn note_bytes(&self, bytes: u64) {
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        self.metrics.size.set(signed(bytes));
        let over = self.settings.max_size.is_some_and(|max| bytes >= max);
        let filling = self.settings.max_size.map_or(u64::MAX, |max| max / 5 * 4);
        if before < filling && bytes >= filling {
            self.unpark("log-maintenance");
        }
        if over != self.over_size.swap(over, Ordering::Relaxed) {
            if over {
                self.unpark("log-maintenance");
                tracing::error!(
                    size_bytes = bytes,
                    "the store has reached max_size: 503 until there is space"
                );
            } else {
                tracing::info!(size_bytes = bytes, "the store is below max_size again");
            }
        }
    }

    pub(super) fn stats(&self) -> LogStats {
        let oldest = self.oldest.load(Ordering::Relaxed);
        let received = self.oldest_received.load(Ordering::Relaxed);
        LogStats {
            head: *self.head.borrow(),
            oldest,
            oldest_received: (oldest != 0)
                .then(|| jiff::Timestamp::from_microsecond(received).ok())
                .flatten(),
            bytes: self.bytes.load(Ordering::Relaxed),
            queued: self.queue.queued(),
            writable: self.queue.is_open(),
            over_size: self.over_size.load(Ordering::Relaxed),
        }
    }

    /// Whether a test wants a failure here.
    pub(super) fn fails(&self, point: FailurePoint) -> Option<String> {
        self.options.failures.as_ref().and_then(|hook| hook(point))
    }

    pub(super) fn readers(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn register(&self, name: &str, thread: Thread) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.push((name.to_owned(), thread));
    }

    pub(super) fn unpark_all(&self) {
        for (_, thread) in &*self.threads.lock().unwrap_or_else(PoisonError::into_inner) {
            thread.unpark();
        }
    }

    pub(super) fn unpark(&self, name: &str) {
        for (other, thread) in &*self.threads.lock().unwrap_or_else(PoisonError::into_inner) {
            if other == name {
                thread.unpark();
            }
        }
    }
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
