//! The thread that reads the log, as a sink does, and writes the feed.
//!
//! It yields: while deliveries wait for the log's writer it does nothing, but never for longer than
//! [`YIELD_MAX`]. A waiting query ends the yielding.

use super::progress::Progress;
use super::stores::sqlite::{self, Kept, Readers, StoreError, Writer};
use crate::log::{EventLog, LogError, Record};
use crate::model::Seq;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Deliveries in one batch at most.
const BATCH_RECORDS: usize = 2_000;
/// Bytes of heads in one batch at most.
const BATCH_BYTES: usize = 2 * 1024 * 1024;
/// Deliveries that are indexed then: 2,500 a second. What a minute of saturation leaves is indexed within seconds;
/// at a rate that leaves the writer moments of rest, every such moment ends the yielding.
const BATCH_RECORDS_BUSY: usize = 500;
/// How long the indexer yields before it goes on all the same.
const YIELD_MAX: Duration = Duration::from_millis(200);
/// How long it looks away while it yields.
const YIELD_STEP: Duration = Duration::from_millis(3);
/// Between two batches if nobody waits: a transaction costs as much as some ten rows.
const BATCH_EVERY: Duration = Duration::from_millis(50);
/// Between two batches of ring entries if nobody waits: bounds what rejected requests can write.
const RING_EVERY: Duration = Duration::from_millis(250);
/// Between two looks at what the log has forgotten.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);
/// Before trying again what failed.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// The indexer's own.
pub(super) struct Indexer {
    pub(super) log: Arc<dyn EventLog>,
    pub(super) path: PathBuf,
    pub(super) writer: Writer,
    pub(super) readers: Arc<Readers>,
    pub(super) progress: Arc<Progress>,
    pub(super) ring: mpsc::Receiver<Kept>,
    pub(super) clocks: Clocks,
}

/// When things were done last.
#[derive(Debug)]
pub(super) struct Clocks {
    batch: Instant,
    ring: Instant,
    yielding: Option<Instant>,
    /// Deliveries that may still be indexed before it yields again.
    allowance: usize,
    expire: Instant,
    /// Set while there is more to delete.
    expire_below: Option<Seq>,
    /// Damage reported by readers that has been dealt with.
    damaged: u64,
}

impl Default for Clocks {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            batch: now,
            ring: now,
            yielding: None,
            allowance: 0,
            expire: now,
            expire_below: None,
            damaged: 0,
        }
    }
}

/// Why a step was not done.
enum Trouble {
    Store(StoreError),
    Log(LogError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Indexer {
    /// Runs until stopped.
    pub(super) async fn run(mut self) {
        let mut head = self.log.head();
        while !self.progress.get().stopped {
            let newest = *head.borrow_and_update();
            let pause = match self.step(newest) {
                Ok(pause) => pause,
                Err(trouble) => self.recover(trouble),
            };
            if !pause.is_zero() {
                self.rest(&mut head, newest, pause).await;
            }
        }
    }

    /// Waits for `pause`, or less if there is a reason.
    async fn rest(&self, head: &mut watch::Receiver<Seq>, newest: Seq, pause: Duration) {
        let progress = self.progress.get();
        // With nothing to do, the next delivery ends the pause; else only a query does.
        let idle = progress.indexed >= newest && progress.kept == progress.stored;
        let news = async {
            // A log that is gone has no news.
            if !idle || head.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = news => {}
            () = self.progress.wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    /// Does what is due; how long to rest then.
    fn step(&mut self, newest: Seq) -> Result<Duration, Trouble> {
        let progress = self.progress.get();
        if progress.damaged > self.clocks.damaged {
            self.clocks.damaged = progress.damaged;
            return Err(StoreError::Damaged("found by a query".into()).into());
        }
        let urgent = progress.waiting > 0;
        let mut pause = EXPIRE_EVERY;
        if progress.kept > progress.stored {
            pause = pause.min(self.keep(urgent)?);
        }
        if newest > progress.indexed {
            pause = pause.min(self.index(newest, progress.indexed, urgent)?);
        }
        Ok(pause.min(self.expire()?))
    }

    fn index(&mut self, newest: Seq, indexed: Seq, urgent: bool) -> Result<Duration, Trouble> {
        let busy = !urgent && self.log.queued() > 0;
        if !busy {
            self.clocks.yielding = None;
            self.clocks.allowance = 0;
        } else if self.clocks.allowance == 0 {
            let since = *self.clocks.yielding.get_or_insert_with(Instant::now);
            if since.elapsed() < YIELD_MAX {
                return Ok(YIELD_STEP);
            }
            self.clocks.yielding = None;
            self.clocks.allowance = BATCH_RECORDS_BUSY;
        }
        let early = BATCH_EVERY.saturating_sub(self.clocks.batch.elapsed());
        let many = newest - indexed >= BATCH_RECORDS as u64;
        if !urgent && !busy && !many && !early.is_zero() {
            return Ok(early);
        }
        let records_max = if busy {
            self.clocks.allowance
        } else {
            BATCH_RECORDS
        };
        let (records, to) = self.read(newest, indexed, records_max)?;
        self.writer.index(&records, to)?;
        self.clocks.batch = Instant::now();
        // Bytes may have cut the batch short: the rest of the allowance follows at once.
        let rest = self.clocks.allowance.saturating_sub(records.len());
        self.clocks.allowance = if records.is_empty() { 0 } else { rest };
        self.progress.set(|state| state.indexed = to);
        Ok(Duration::ZERO)
    }

    /// The next records, and how far that is.
    fn read(
        &self,
        newest: Seq,
        indexed: Seq,
        records_max: usize,
    ) -> Result<(Vec<Record>, Seq), Trouble> {
        match self.log.read(indexed, records_max, BATCH_BYTES) {
            Ok(records) => {
                // Nothing there: what was there has been deleted.
                let to = records.last().map_or(newest, |last| last.seq);
                Ok((records, to))
            }
            Err(LogError::Damaged { seq, reason }) => {
                tracing::warn!(seq, reason, "a damaged record is left out of the feed");
                Ok((Vec::new(), seq.max(indexed + 1)))
            }
            Err(error) => Err(Trouble::Log(error)),
        }
    }

    /// Stores ring entries that have come.
    fn keep(&mut self, urgent: bool) -> Result<Duration, Trouble> {
        let early = RING_EVERY.saturating_sub(self.clocks.ring.elapsed());
        if !urgent && !early.is_zero() {
            return Ok(early);
        }
        let mut entries = Vec::new();
        while let Ok(entry) = self.ring.try_recv() {
            entries.push(entry);
            if entries.len() >= super::RING_QUEUE {
                break;
            }
        }
        self.clocks.ring = Instant::now();
        let result = self.writer.keep(&entries);
        // Best effort: what could not be stored is lost, and nobody waits for it.
        self.progress
            .set(|state| state.stored += entries.len() as u64);
        result?;
        Ok(Duration::ZERO)
    }

    /// Deletes what the log has no more, one step at a time.
    fn expire(&mut self) -> Result<Duration, Trouble> {
        if let Some(oldest) = self.clocks.expire_below {
            if !self.writer.expire(oldest)? {
                self.clocks.expire_below = None;
            }
            return Ok(YIELD_STEP);
        }
        let early = EXPIRE_EVERY.saturating_sub(self.clocks.expire.elapsed());
        if !early.is_zero() {
            return Ok(early);
        }
        self.clocks.expire = Instant::now();
        let newest = *self.log.head().borrow();
        self.clocks.expire_below = match self.log.read(0, 1, 1) {
            Ok(records) => Some(records.first().map_or(newest + 1, |first| first.seq)),
            Err(LogError::Damaged { .. }) => None,
            Err(error) => return Err(Trouble::Log(error)),
        };
        Ok(Duration::ZERO)
    }

    /// Makes the feed again where it is damaged; anything else is tried again later.
    fn recover(&mut self, trouble: Trouble) -> Duration {
        match trouble {
            Trouble::Log(LogError::Closed) => RETRY_AFTER,
            Trouble::Log(error) => {
                tracing::warn!(%error, "the feed cannot read the log; it tries again");
                RETRY_AFTER
            }
            Trouble::Store(StoreError::Damaged(reason)) => {
                tracing::warn!(reason, "feed.db is damaged and is rebuilt from the log");
                self.rebuild()
            }
            Trouble::Store(error) => {
                tracing::warn!(%error, "the feed cannot be written; it tries again");
                RETRY_AFTER
            }
        }
    }

    fn rebuild(&mut self) -> Duration {
        self.progress.set(|state| state.indexed = 0);
        match sqlite::create(&self.path) {
            Ok(writer) => {
                self.writer = writer;
                self.readers.renew();
                self.clocks.damaged = self.progress.get().damaged;
                self.clocks.expire_below = None;
                Duration::ZERO
            }
            Err(error) => {
                tracing::warn!(%error, "feed.db cannot be rebuilt; it is tried again");
                // What is open now is not to be written to.
                self.progress.set(|state| state.damaged += 1);
                RETRY_AFTER
            }
        }
    }
}
