//! What a failed attempt does: wait, tell once, split, give up one event.

use super::{
    Batch, Condition, Event, Instant, Lane, SinkError, SinkFailure, Stopped, Verdict, codes, own,
    printable,
};
use crate::codes::Code;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::time::Duration;

impl Lane {
    /// Events reached the sink for certain.
    pub(super) async fn worked(&mut self, events: usize) {
        self.busy = true;
        let count = events as u64;
        let labels = self.board.labels();
        let metrics = &self.deps.metrics;
        metrics.sink_delivered.get_or_create(&labels).inc_by(count);
        self.board.update(|figures| {
            figures.delivered = figures.delivered.saturating_add(count);
            figures.rate.add(count, Timestamp::now());
            figures.last_success = Some(Timestamp::now());
        });
        self.recovered().await;
        self.show();
    }

    /// The sink answers: whatever it was that failed is over.
    async fn recovered(&mut self) {
        self.board
            .update(|figures| figures.condition = Condition::Working);
        let was = std::mem::take(&mut self.health);
        if was.failures > 0 {
            tracing::info!(sink = %self.board.name, failures = was.failures, "the sink works again");
        }
        if let Some(since) = was.failing_since.filter(|_| was.announced) {
            let seconds = since.elapsed().as_secs();
            let payload = json!({ "failed_seconds": seconds });
            self.write_own("hookgate.sink.recovered", payload).await;
        }
    }

    /// An attempt failed for reasons that are not the events': everything unconfirmed is sent again later.
    pub(super) async fn failed(&mut self, error: &SinkError) -> Result<(), Stopped> {
        self.window.reset();
        self.search.interrupted();
        self.health.failures = self.health.failures.saturating_add(1);
        self.health.failing_since.get_or_insert_with(Instant::now);
        let (condition, wait) = match error {
            SinkError::Misconfigured { .. } => {
                (Condition::Misconfigured, self.deps.tuning.misconfigured())
            }
            SinkError::Retry { after, .. } => {
                let backoff = self.deps.tuning.backoff(self.health.failures);
                (
                    Condition::Failing,
                    after.map_or(backoff, |a| a.max(backoff)),
                )
            }
            SinkError::Refused { .. } | SinkError::Silent => {
                let backoff = self.deps.tuning.backoff(self.health.failures);
                (Condition::Failing, backoff)
            }
        };
        let message = error.to_string();
        self.board.update(|figures| figures.condition = condition);
        self.note_failure(error.code(), &message, Some(wait));
        if self.health.failures == 1 {
            tracing::warn!(sink = %self.board.name, code = %error.code(), error = %message, retry_ms = wait.as_millis(), "delivery failed");
        }
        self.show();
        self.wait_failing(wait, error.code(), &message).await
    }

    /// Keeps a failure for the API and the pages.
    pub(super) fn note_failure(&self, code: Code, message: &str, wait: Option<Duration>) {
        let at = Timestamp::now();
        let retry_at = wait
            .and_then(|wait| SignedDuration::try_from(wait).ok())
            .and_then(|wait| at.checked_add(wait).ok());
        let failure = SinkFailure {
            at,
            code,
            message: message.to_owned(),
            retry_at,
        };
        self.board
            .update(|figures| figures.last_error = Some(failure));
    }

    /// Waits until the next attempt; on the way tells, once, that the sink has been failing for a while, and
    /// keeps `max_lag`. Ends early when the sink is held.
    async fn wait_failing(
        &mut self,
        wait: Duration,
        code: Code,
        message: &str,
    ) -> Result<(), Stopped> {
        let until = Instant::now() + wait;
        loop {
            let since = self.health.failing_since.unwrap_or(until);
            let mut announce_at = since + self.deps.tuning.failing_after;
            if !self.health.announced && Instant::now() >= announce_at {
                tracing::warn!(sink = %self.board.name, code = %code, error = message, "the sink has been failing for a while");
                let payload = own::failure_payload(code, message);
                self.health.announced = self.write_own("hookgate.sink.failing", payload).await;
            }
            if self.health.announced || Instant::now() >= announce_at {
                announce_at = until;
            }
            // A wait of an hour must not hide that events grow too old.
            let tick = Instant::now() + self.deps.tuning.failing_after;
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(Stopped),
                _ = self.paused.changed() => return Ok(()),
                () = tokio::time::sleep_until(until.min(announce_at).min(tick)) => {}
            }
            if Instant::now() >= until {
                return Ok(());
            }
            self.cut_off().await?;
        }
    }

    /// The sink will not take this batch as it is: it is taken apart until the event that it is about is found.
    pub(super) async fn refused(&mut self, batch: &Batch, status: u16, answer: String) {
        let verdict = Verdict {
            code: codes::SINK_REFUSED,
            reason: format!("the sink answered {status}"),
            answer,
        };
        self.note_failure(
            verdict.code,
            &format!("{}: {}", verdict.reason, printable(&verdict.answer)),
            None,
        );
        self.give_up(batch, &verdict).await;
    }

    /// Splits a batch, or makes a dead letter of its only event.
    pub(super) async fn give_up(&mut self, batch: &Batch, verdict: &Verdict) {
        if self.window.refused(batch, verdict) {
            self.buried(batch, verdict).await;
        }
    }

    /// An event was made a dead letter.
    pub(super) async fn buried(&mut self, batch: &Batch, verdict: &Verdict) {
        self.busy = true;
        let mut labels = self.board.labels();
        labels.push(("reason", verdict.code.to_string()));
        let total = &self.deps.metrics.dead_letters_total;
        total.get_or_create(&labels).inc();
        let event: Option<&Event> = batch.items.first().map(|item| &item.event);
        let id = event.map(|e| e.id.to_string()).unwrap_or_default();
        let seq = batch.items.first().map_or(0, |item| item.position.seq);
        tracing::warn!(
            sink = %self.board.name, seq, event = %id, code = %verdict.code,
            answer = %printable(&verdict.answer), "{}; the event is a dead letter now", verdict.reason
        );
        self.recovered().await;
        self.show();
    }
}
