//! The cursor: where it starts, when it is stored, what it skips.

use super::{Lane, Stopped, blocking};
use super::{StartFrom, own};
use crate::codes;
use crate::log::{EventLog, LogError};
use crate::model::Seq;
use crate::state::{SkippedRange, StateError};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::sync::Arc;
use tokio::time::Instant;

impl Lane {
    /// Finds the cursor, or makes it; says so if retention has taken what it stood before.
    pub(super) async fn start(&mut self) -> Result<(), Stopped> {
        let name = self.board.name.clone();
        let paused = self.with_state(move |state| state.is_paused(&name)).await?;
        self.board.paused.send_replace(paused);
        let name = self.board.name.clone();
        let found = self.with_state(move |state| state.cursor(&name)).await?;
        let log = Arc::clone(&self.deps.log);
        let stats = blocking(move || Ok(log.stats())).await;
        let stats = stats.map_err(|_: LogError| Stopped)?;
        let before_oldest = stats.oldest.saturating_sub(1);
        let head = stats.head.max(*self.head.borrow());
        let cursor = match (found, self.settings.from) {
            (Some(cursor), _) if cursor.seq > head => {
                self.forget_cursor(cursor.seq, head).await?;
                before_oldest
            }
            (Some(cursor), _) => cursor.seq,
            // What was accepted since is for it already.
            (None, StartFrom::Now) => self.made_at.min(head),
            (None, StartFrom::Oldest) => before_oldest,
        };
        self.reset_to(cursor).await?;
        if before_oldest > cursor {
            let range = self.range(cursor + 1, before_oldest);
            self.skip(range, "it was not delivered while the log kept it")
                .await?;
        }
        self.show();
        Ok(())
    }

    /// A cursor past the end belongs to another log: what comes into this one would be left out in silence.
    async fn forget_cursor(&self, cursor: Seq, head: Seq) -> Result<(), Stopped> {
        tracing::warn!(
            sink = %self.board.name, cursor, head,
            "the cursor is past the end of the log, which must have been replaced; starting with its oldest delivery"
        );
        let name = self.board.name.clone();
        self.with_state(move |state| state.drop_cursor(&name)).await
    }

    async fn reset_to(&mut self, cursor: Seq) -> Result<(), Stopped> {
        self.window = super::Window::new(cursor);
        self.stored = cursor;
        // A cursor that is not stored would start from a later "now" next time.
        self.store().await
    }

    /// Runs a call of the state until it works.
    pub(super) async fn with_state<T: Send + 'static>(
        &self,
        call: impl Fn(&dyn crate::state::State) -> Result<T, StateError> + Clone + Send + 'static,
    ) -> Result<T, Stopped> {
        let mut failures = 0;
        loop {
            match self.ask_state(call.clone()).await {
                Ok(value) => return Ok(value),
                Err(error) => {
                    failures += 1;
                    tracing::warn!(sink = %self.board.name, error = %error, "the state cannot be used, trying again");
                    self.wait(self.deps.tuning.backoff(failures)).await?;
                }
            }
        }
    }

    async fn ask_state<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn crate::state::State) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let state = Arc::clone(&self.deps.state);
        tokio::task::spawn_blocking(move || call(state.as_ref()))
            .await
            .unwrap_or_else(|_| Err(StateError("its thread ended".into())))
    }

    /// When the cursor is stored next.
    pub(super) fn store_at(&self) -> Instant {
        let tuning = &self.deps.tuning;
        let pause = if self.busy {
            tuning.cursor_busy
        } else {
            tuning.cursor_idle
        };
        self.stored_at + pause
    }

    pub(super) async fn store_if_due(&mut self) -> Result<(), Stopped> {
        let has_moved = self.window.frontier() > self.stored;
        if has_moved && (Instant::now() >= self.store_at() || self.window.has_dead_letters()) {
            self.store().await?;
        }
        Ok(())
    }

    /// Stores cursor and dead letters, as often as it takes: nothing is sent before.
    pub(super) async fn store(&mut self) -> Result<(), Stopped> {
        let mut failures = 0;
        while let Err(error) = self.try_store().await {
            failures += 1;
            tracing::warn!(sink = %self.board.name, error = %error, "the cursor cannot be stored, trying again");
            self.wait(self.deps.tuning.backoff(failures)).await?;
        }
        Ok(())
    }

    pub(super) async fn try_store(&mut self) -> Result<(), StateError> {
        let seq = self.window.frontier();
        let dead = self.window.dead_letters();
        let buried = dead.len();
        let name = self.board.name.clone();
        self.ask_state(move |state| state.advance(&name, seq, Timestamp::now(), &dead))
            .await?;
        self.window.stored(seq);
        self.stored = seq;
        self.stored_at = Instant::now();
        self.busy = false;
        self.show();
        if buried > 0 {
            tracing::debug!(sink = %self.board.name, dead_letters = buried, "dead letters kept");
        }
        Ok(())
    }

    /// A record that cannot be read is passed over once everything before it is settled; never in silence.
    pub(super) async fn skip_damaged(&mut self) -> Result<(), Stopped> {
        if !self.window.is_empty() {
            return Ok(());
        }
        let Some((seq, reason)) = self.damaged.take() else {
            return Ok(());
        };
        tracing::warn!(
            sink = %self.board.name, seq, code = %codes::RECORD_DAMAGED, reason,
            "a record of the log is damaged; the sink goes on behind it"
        );
        // Dead letters before it must not be lost with the jump.
        self.store().await?;
        let range = self.range(seq, seq);
        self.skip(range, "its record is damaged").await
    }

    /// Past `max_lag` the sink is cut off: what is older is recorded as skipped, and the rest goes on.
    pub(super) async fn cut_off(&mut self) -> Result<(), Stopped> {
        let Some(max_lag) = self.settings.max_lag else {
            return Ok(());
        };
        let limit = SignedDuration::try_from(max_lag).unwrap_or(SignedDuration::MAX);
        let Ok(horizon) = Timestamp::now().checked_sub(limit) else {
            return Ok(());
        };
        if self.window.oldest_received().is_none_or(|at| at >= horizon) {
            return Ok(());
        }
        let first = self.window.frontier() + 1;
        let log = Arc::clone(&self.deps.log);
        let head = *self.head.borrow();
        let Ok(last) = blocking(move || last_before(log.as_ref(), first, head, horizon)).await
        else {
            return Ok(());
        };
        tracing::warn!(
            sink = %self.board.name, code = %codes::SINK_CUT_OFF, from_seq = first, to_seq = last,
            "the sink fell behind its max_lag and is cut off"
        );
        self.store().await?;
        let range = self.range(first, last);
        self.skip(range, "the sink fell behind its max_lag").await
    }

    fn range(&self, from: Seq, to: Seq) -> SkippedRange {
        SkippedRange {
            sink: self.board.name.clone(),
            from,
            to,
            at: Timestamp::now(),
        }
    }

    async fn skip(&mut self, range: SkippedRange, reason: &'static str) -> Result<(), Stopped> {
        let (from, to) = (range.from, range.to);
        self.with_state(move |state| state.skip(&range)).await?;
        self.window.skip_to(to);
        self.search.interrupted();
        self.stored = self.stored.max(to);
        self.show();
        tracing::warn!(sink = %self.board.name, from_seq = from, to_seq = to, reason, "deliveries were skipped");
        let payload = json!({ "from": from, "to": to, "reason": reason });
        self.write_own("hookgate.sink.skipped", payload).await;
        Ok(())
    }

    /// Writes an own event; a log that does not take it leaves at least the line in the log file.
    pub(super) async fn write_own(&self, name: &str, payload: serde_json::Value) -> bool {
        let log = self.deps.log.as_ref();
        let written = own::write(log, name, &self.board.name, payload).await;
        if let Err(error) = &written {
            tracing::warn!(sink = %self.board.name, event = name, error = %error, "an own event was not kept");
        }
        written.is_ok()
    }
}

/// The last delivery from `first` to `head` that was received before a time; they are about in that order.
fn last_before(
    log: &dyn EventLog,
    first: Seq,
    head: Seq,
    horizon: Timestamp,
) -> Result<Seq, LogError> {
    // Invariant: `low` is old (or gone), everything above `high` is not.
    let (mut low, mut high) = (first, head.max(first));
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        let is_old = match log.get(middle) {
            Ok(record) => record.is_none_or(|r| r.delivery.received < horizon),
            Err(LogError::Damaged { .. }) => true,
            Err(error) => return Err(error),
        };
        if is_old {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Ok(low)
}
