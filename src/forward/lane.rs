//! One sink's loop: read the log, send, confirm, move the cursor; wait, and try again.

use super::error::{SinkError, printable};
use super::read::{self, blocking};
use super::sinks::{CONFIRM_IDS, Proof, Sink};
use super::status::{Board, Condition};
use super::tuning::Tuning;
use super::window::{Batch, Verdict, Window};
use super::{SinkFailure, SinkSettings, StartFrom, own};
use crate::codes;
use crate::log::{EventLog, LogError};
use crate::model::limits::UNCONFIRMED_EVENTS_MAX;
use crate::model::{Seq, event::Event};
use crate::query::Query;
use crate::state::State;
use crate::telemetry::{MetricLabels, Metrics};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Bytes of events kept beside the next batch: unconfirmed ones, and those that wait behind one.
const WINDOW_BYTES: usize = 16 * 1024 * 1024;

/// Places kept of events that are settled, behind one that is not.
const PLACES_MAX: usize = 200_000;

/// What all loops share.
#[derive(Clone)]
pub(super) struct Deps {
    pub(super) log: Arc<dyn EventLog>,
    pub(super) state: Arc<dyn State>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) tuning: Tuning,
}

/// The loop was told to end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopped;

/// How it went lately.
#[derive(Debug, Default)]
struct Health {
    failures: u32,
    failing_since: Option<Instant>,
    /// `hookgate.sink.failing` is in the log.
    announced: bool,
}

/// One sink's loop.
pub(super) struct Lane {
    deps: Deps,
    settings: SinkSettings,
    filter: Option<Arc<Query>>,
    sink: Arc<dyn Sink>,
    board: Arc<Board>,
    cancel: CancellationToken,
    paused: watch::Receiver<bool>,
    head: watch::Receiver<Seq>,
    /// The log's end when this was made: what "from now on" means.
    made_at: Seq,
    window: Window,
    health: Health,
    stored: Seq,
    stored_at: Instant,
    /// Events were settled since the cursor was stored.
    busy: bool,
    poll_wait: Duration,
    poll_at: Instant,
    /// What was taken more than once and never shown.
    search: confirm::Search,
    /// Events after the start that the sink may have from before it.
    doubtful: usize,
    /// The next record of the log cannot be read.
    damaged: Option<(Seq, String)>,
}

mod confirm;
mod cursor;
mod failure;

impl Lane {
    pub(super) fn new(
        deps: Deps,
        settings: SinkSettings,
        sink: Arc<dyn Sink>,
        board: Arc<Board>,
        cancel: CancellationToken,
    ) -> Self {
        let now = Instant::now();
        Self {
            filter: settings.filter.clone().map(Arc::new),
            paused: board.paused.subscribe(),
            made_at: *deps.log.head().borrow(),
            head: deps.log.head(),
            window: Window::new(0),
            health: Health::default(),
            stored: 0,
            stored_at: now,
            busy: false,
            poll_wait: deps.tuning.poll.0,
            poll_at: now,
            search: confirm::Search::default(),
            doubtful: UNCONFIRMED_EVENTS_MAX,
            damaged: None,
            deps,
            settings,
            sink,
            board,
            cancel,
        }
    }

    /// Runs until it is told to end; then stores the cursor once more.
    pub(super) async fn run(mut self) {
        let Err(Stopped) = self.work().await;
        if self.window.frontier() > self.stored {
            // What is not stored now is sent again after the start.
            self.try_store().await.ok();
        }
    }

    async fn work(&mut self) -> Result<std::convert::Infallible, Stopped> {
        self.start().await?;
        loop {
            self.hold_while_paused().await?;
            self.fill().await?;
            self.cut_off().await?;
            self.skip_damaged().await?;
            self.store_if_due().await?;
            self.test_suspects().await?;
            if self.window.sent() > 0 && Instant::now() >= self.poll_at {
                self.confirm().await?;
            } else if self.window.unsent() > 0 && self.has_room() {
                self.gather().await?;
                self.send().await?;
            } else {
                self.idle().await?;
            }
        }
    }

    fn events_max(&self) -> usize {
        let settings = self.settings.batch_events.max(1);
        settings.min(self.sink.events_max())
    }

    fn bytes_max(&self) -> usize {
        self.settings.batch_bytes.min(self.sink.bytes_max())
    }

    /// Whether another batch may be under way beside those that are not confirmed.
    fn has_room(&self) -> bool {
        let next = self.events_max().min(self.window.unsent());
        self.window.sent() == 0 || self.window.sent() + next <= UNCONFIRMED_EVENTS_MAX
    }

    /// Whether the next batch is not full yet and there is more in the log.
    fn wants_more(&self) -> bool {
        self.damaged.is_none()
            && self.window.scanned() < *self.head.borrow()
            && self.window.unsent() < self.events_max()
            && self.window.unsent_bytes() < self.bytes_max()
            && self.window.len() < PLACES_MAX
            && self.window.bytes() < self.bytes_max().saturating_add(WINDOW_BYTES)
    }

    /// Reads on until a batch is full, or the log is at its end, or what was found has waited long enough.
    async fn fill(&mut self) -> Result<(), Stopped> {
        let mut found_at = None;
        self.head.borrow_and_update();
        while self.wants_more() {
            if self.deps.log.queued() > 0 {
                // Whoever waits for the log's writer goes first.
                self.wait(Duration::from_millis(1)).await?;
            }
            let after = self.window.scanned();
            match read::read(&self.deps.log, after, self.filter.as_ref()).await {
                Ok(chunk) if chunk.scanned > after => {
                    self.window.extend(chunk.items, chunk.scanned);
                }
                // The head may be ahead of what a reader sees.
                Ok(_) => break,
                Err(error) => self.read_failed(error).await?,
            }
            self.show();
            self.store_if_due().await?;
            if self.window.unsent() > 0 {
                let since = *found_at.get_or_insert_with(Instant::now);
                if since.elapsed() >= self.settings.batch_wait {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn read_failed(&mut self, error: LogError) -> Result<(), Stopped> {
        match error {
            LogError::Damaged { seq, reason } => {
                // It is skipped once everything before it is settled.
                self.damaged = Some((seq.max(self.window.scanned() + 1), reason));
                Ok(())
            }
            LogError::Closed => Err(Stopped),
            LogError::Full { .. } | LogError::OverSize | LogError::Failed(_) => {
                tracing::warn!(sink = %self.board.name, error = %error, "the log cannot be read, trying again");
                self.wait(self.deps.tuning.backoff(4)).await
            }
        }
    }

    /// Waits a little for a batch to fill.
    async fn gather(&mut self) -> Result<(), Stopped> {
        let until = Instant::now() + self.settings.batch_wait;
        while !self.window.is_split()
            && self.window.unsent() < self.events_max()
            && self.window.unsent_bytes() < self.bytes_max()
            && self.damaged.is_none()
            && Instant::now() < until
        {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(Stopped),
                () = tokio::time::sleep_until(until) => break,
                changed = self.head.changed() => if changed.is_err() { break },
            }
            self.fill().await?;
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Stopped> {
        let batch = self.window.next_batch(self.events_max(), self.bytes_max());
        if batch.items.is_empty() || self.is_known(&batch).await? {
            return Ok(());
        }
        self.window.sending(&batch, Instant::now());
        let started = Instant::now();
        let result = self.sink.send(&batch.items).await;
        self.observe(started.elapsed());
        self.count_attempt(result.as_ref().map_or_else(SinkError::result, |_| "ok"));
        match result {
            Ok(Proof::Delivered) => {
                self.window.delivered(&batch);
                self.worked(batch.items.len()).await;
            }
            Ok(Proof::Taken) => {
                self.poll_soon();
                self.window.taken(&batch, Instant::now());
                self.window.pass(batch.items.len());
            }
            Err(SinkError::Refused { status, answer }) => {
                self.refused(&batch, status, answer).await;
            }
            Err(error) => self.failed(&error).await?,
        }
        Ok(())
    }

    fn observe(&self, time: Duration) {
        let durations = &self.deps.metrics.sink_attempt_duration;
        let duration = durations.get_or_create(&self.board.labels());
        duration.observe(time.as_secs_f64());
    }

    fn count_attempt(&self, result: &'static str) {
        let mut labels: MetricLabels = self.board.labels();
        labels.push(("result", result.to_owned()));
        self.deps.metrics.sink_attempts.get_or_create(&labels).inc();
    }

    /// Nothing to send: waits for the log, for the time of the next question, or to store the cursor.
    async fn idle(&mut self) -> Result<(), Stopped> {
        self.show();
        // What the log announced and did not give yet is asked for again soon.
        let patience = if self.wants_more() { 50 } else { 60_000 };
        let mut until = Instant::now() + Duration::from_millis(patience);
        if self.window.sent() > 0 {
            until = until.min(self.poll_at);
        }
        if self.window.frontier() > self.stored {
            until = until.min(self.store_at());
        }
        if let Some(at) = self.next_test_at() {
            until = until.min(at);
        }
        // While nothing more may be sent, what comes into the log changes nothing.
        let listens = self.window.unsent() == 0 && self.damaged.is_none();
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Stopped),
            _ = self.paused.changed() => Ok(()),
            changed = self.head.changed(), if listens => changed.map_err(|_| Stopped),
            () = tokio::time::sleep_until(until) => Ok(()),
        }
    }

    /// Waits; ends early when the loop is to end.
    async fn wait(&self, time: Duration) -> Result<(), Stopped> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Stopped),
            () = tokio::time::sleep(time) => Ok(()),
        }
    }

    /// While the sink is held nothing is sent; what it falls behind is still shown, and cut off by `max_lag`.
    async fn hold_while_paused(&mut self) -> Result<(), Stopped> {
        while *self.paused.borrow_and_update() {
            if self.window.frontier() > self.stored {
                self.store().await?;
            }
            if self.window.is_empty() {
                self.fill().await?;
            }
            self.show();
            self.cut_off().await?;
            let tick = self.deps.tuning.housekeeping;
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(Stopped),
                _ = self.paused.changed() => {}
                () = tokio::time::sleep(tick) => {}
            }
        }
        Ok(())
    }

    /// Tells the board where the loop is.
    fn show(&self) {
        let frontier = self.window.frontier();
        let oldest = self.window.oldest_received();
        let stored = self.stored;
        self.board.update(|figures| {
            figures.started = true;
            figures.cursor = stored;
            figures.frontier = frontier;
            figures.oldest = oldest;
        });
    }
}
