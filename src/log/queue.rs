//! What waits for the writer: bounded by count and bytes, taken all at once.

use super::{Appended, LogError};
use crate::model::limits::{COMMIT_BYTES_MAX, COMMIT_DELIVERIES_MAX, LOG_QUEUE_BYTES};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// What a hint to come again says at least and at most, in seconds.
const RETRY_SECONDS: std::ops::RangeInclusive<u64> = 1..=30;

/// One delivery, encoded, on its way to a commit.
#[derive(Debug)]
pub(crate) struct Job {
    /// The encoded head.
    pub(crate) head: Vec<u8>,
    /// The compressed request.
    pub(crate) request: Option<Vec<u8>>,
    /// What to look up.
    pub(crate) prints: Prints,
    /// When it was received, in microseconds since the epoch.
    pub(crate) received: i64,
    /// Its outcome and number of events, should it be no duplicate.
    pub(crate) appended: Appended,
    /// Who waits.
    pub(crate) done: oneshot::Sender<Result<Appended, LogError>>,
}

/// Fingerprints of a delivery's keys.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Prints {
    /// None: never a duplicate.
    None,
    /// One for the delivery.
    Delivery(u64),
    /// One for each item.
    PerEvent(Vec<u64>),
}

impl Job {
    fn bytes(&self) -> usize {
        self.head.len() + self.request.as_ref().map_or(0, Vec::len) + size_of::<Self>()
    }
}

/// What the writer is to do next.
#[derive(Debug)]
pub(crate) enum Next<W> {
    /// Commit what was put into the batch.
    Commit,
    /// A step of maintenance; deliveries may wait too.
    Work(W),
    /// Nothing came within the time given.
    Idle,
    /// The queue is closed and empty.
    Closed,
}

#[derive(Debug)]
enum Gate {
    Open,
    Failed(Arc<str>),
    Closed,
}

#[derive(Debug)]
struct Inner<W> {
    jobs: VecDeque<Job>,
    bytes: usize,
    work: VecDeque<W>,
    work_is_next: bool,
    gate: Gate,
    writer_waits: bool,
    /// Deliveries of the commit that is under way.
    committing: usize,
}

impl<W> Inner<W> {
    fn unfinished(&self) -> usize {
        self.jobs.len() + self.committing
    }
}

/// The queue. `W` is what else the writer does between commits.
#[derive(Debug)]
pub(crate) struct Queue<W> {
    inner: Mutex<Inner<W>>,
    ready: Condvar,
    queued: AtomicUsize,
    jobs_max: usize,
    /// Deliveries committed a second lately.
    rate: AtomicU64,
}

impl<W> Queue<W> {
    pub(crate) fn new(jobs_max: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                jobs: VecDeque::new(),
                bytes: 0,
                work: VecDeque::new(),
                work_is_next: false,
                gate: Gate::Open,
                writer_waits: false,
                committing: 0,
            }),
            ready: Condvar::new(),
            queued: AtomicUsize::new(0),
            jobs_max: jobs_max.max(1),
            rate: AtomicU64::new(1_000),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<W>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deliveries that wait, those of the commit under way among them.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Whether deliveries are taken.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.lock().gate, Gate::Open)
    }

    /// Refuses a delivery for which there is no room, before work is spent on it.
    pub(crate) fn check(&self) -> Result<(), LogError> {
        self.admits(&self.lock(), 0)
    }

    fn admits(&self, inner: &Inner<W>, bytes: usize) -> Result<(), LogError> {
        match &inner.gate {
            Gate::Closed => Err(LogError::Closed),
            Gate::Failed(reason) => Err(LogError::Failed(Arc::clone(reason))),
            // One that is larger than all room still gets its turn when it is alone.
            Gate::Open
                if inner.jobs.len() >= self.jobs_max
                    || (inner.bytes + bytes > LOG_QUEUE_BYTES && !inner.jobs.is_empty()) =>
            {
                Err(LogError::Full {
                    retry_after: self.retry_after(inner.jobs.len()),
                })
            }
            Gate::Open => Ok(()),
        }
    }

    /// Takes a delivery in.
    pub(crate) fn push(&self, job: Job) -> Result<(), LogError> {
        let bytes = job.bytes();
        let mut inner = self.lock();
        self.admits(&inner, bytes)?;
        inner.bytes += bytes;
        inner.jobs.push_back(job);
        self.queued.store(inner.unfinished(), Ordering::Relaxed);
        self.wake(inner);
        Ok(())
    }

    /// Takes a step of maintenance in; false when the queue is closed.
    pub(crate) fn push_work(&self, work: W) -> bool {
        let mut inner = self.lock();
        if matches!(inner.gate, Gate::Closed) {
            return false;
        }
        inner.work.push_back(work);
        self.wake(inner);
        true
    }

    fn wake(&self, mut inner: MutexGuard<'_, Inner<W>>) {
        // A wake-up is a system call: only when somebody sleeps.
        if std::mem::take(&mut inner.writer_waits) {
            drop(inner);
            self.ready.notify_one();
        }
    }

    /// Waits for something to do. Work and commits take turns, so that neither starves.
    pub(crate) fn next(&self, batch: &mut Vec<Job>, wait: Duration) -> Next<W> {
        let mut inner = self.lock();
        inner.committing = 0;
        self.queued.store(inner.unfinished(), Ordering::Relaxed);
        loop {
            if (inner.work_is_next || inner.jobs.is_empty())
                && let Some(work) = inner.work.pop_front()
            {
                inner.work_is_next = false;
                return Next::Work(work);
            }
            if !inner.jobs.is_empty() {
                self.fill(&mut inner, batch);
                inner.work_is_next = true;
                return Next::Commit;
            }
            if matches!(inner.gate, Gate::Closed) {
                return Next::Closed;
            }
            inner.writer_waits = true;
            let (guard, timeout) = self
                .ready
                .wait_timeout(inner, wait)
                .unwrap_or_else(PoisonError::into_inner);
            inner = guard;
            inner.writer_waits = false;
            if timeout.timed_out() && inner.jobs.is_empty() && inner.work.is_empty() {
                return match inner.gate {
                    Gate::Closed => Next::Closed,
                    Gate::Open | Gate::Failed(_) => Next::Idle,
                };
            }
        }
    }

    fn fill(&self, inner: &mut Inner<W>, batch: &mut Vec<Job>) {
        let mut bytes = 0;
        while batch.len() < COMMIT_DELIVERIES_MAX
            && let Some(job) = inner.jobs.front()
            && (batch.is_empty() || bytes + job.bytes() <= COMMIT_BYTES_MAX)
        {
            bytes += job.bytes();
            batch.extend(inner.jobs.pop_front());
        }
        inner.bytes = inner.bytes.saturating_sub(bytes);
        inner.committing = batch.len();
        self.queued.store(inner.unfinished(), Ordering::Relaxed);
    }

    /// Stops taking deliveries and tells all that wait; nothing of theirs was written.
    pub(crate) fn fail(&self, reason: &Arc<str>) {
        let mut inner = self.lock();
        if !matches!(inner.gate, Gate::Closed) {
            inner.gate = Gate::Failed(Arc::clone(reason));
        }
        inner.work.clear();
        self.refuse_all(inner, &LogError::Failed(Arc::clone(reason)));
    }

    /// Takes deliveries again.
    pub(crate) fn reopen(&self) {
        let mut inner = self.lock();
        if matches!(inner.gate, Gate::Failed(_)) {
            inner.gate = Gate::Open;
        }
    }

    /// Takes nothing more; what waits is still given out.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.gate = Gate::Closed;
        inner.writer_waits = false;
        drop(inner);
        self.ready.notify_all();
    }

    /// Whether it was closed.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.lock().gate, Gate::Closed)
    }

    /// Closes, and tells all that wait so: for when the writer is gone.
    pub(crate) fn abandon(&self) {
        let mut inner = self.lock();
        inner.gate = Gate::Closed;
        inner.work.clear();
        self.refuse_all(inner, &LogError::Closed);
    }

    /// Sleeps until the queue is closed, at most `wait`; true when it is closed.
    pub(crate) fn wait_closed(&self, wait: Duration) -> bool {
        let guard = self.lock();
        let (guard, _) = self
            .ready
            .wait_timeout_while(guard, wait, |inner| !matches!(inner.gate, Gate::Closed))
            .unwrap_or_else(PoisonError::into_inner);
        matches!(guard.gate, Gate::Closed)
    }

    fn refuse_all(&self, mut inner: MutexGuard<'_, Inner<W>>, error: &LogError) {
        let jobs = std::mem::take(&mut inner.jobs);
        inner.bytes = 0;
        self.queued.store(0, Ordering::Relaxed);
        drop(inner);
        for job in jobs {
            // Whoever has gone needs no answer.
            drop(job.done.send(Err(error.clone())));
        }
    }

    /// Notes how fast deliveries are committed, for the hint of a full queue.
    pub(crate) fn note_rate(&self, deliveries: usize, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let now = (deliveries as u64).saturating_mul(1_000_000) / micros;
        let old = self.rate.load(Ordering::Relaxed);
        self.rate.store((old * 7 + now) / 8, Ordering::Relaxed);
    }

    fn retry_after(&self, waiting: usize) -> Duration {
        let seconds = waiting as u64 / self.rate.load(Ordering::Relaxed).max(1);
        Duration::from_secs(seconds.clamp(*RETRY_SECONDS.start(), *RETRY_SECONDS.end()))
    }
}
