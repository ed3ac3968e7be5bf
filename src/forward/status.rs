//! What a sink's loop is doing, shared with the API and the metrics.

use super::{SinkFailure, SinkStatus};
use crate::model::Seq;
use crate::telemetry::{MetricLabels, Metrics};
use jiff::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Locks, also after a panic of another holder: what is kept here is only shown.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the sink takes what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Condition {
    #[default]
    Working,
    Failing,
    Misconfigured,
}

/// Figures of one sink.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    /// Whether there is a cursor yet; until then it holds nothing back.
    pub(super) started: bool,
    /// The cursor as stored.
    pub(super) cursor: Seq,
    /// The cursor as it will be stored next.
    pub(super) frontier: Seq,
    /// When the oldest delivery after the frontier was received, as far as known.
    pub(super) oldest: Option<Timestamp>,
    pub(super) condition: Condition,
    pub(super) delivered: u64,
    pub(super) rate: Rate,
    pub(super) last_success: Option<Timestamp>,
    pub(super) last_error: Option<SinkFailure>,
}

/// How many a second, over about a minute: what is older counts less and less.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rate {
    /// Of the last minute, as of `since`.
    count: f64,
    since: Option<Timestamp>,
}

impl Rate {
    const SECONDS: f64 = 60.0;

    pub(super) fn add(&mut self, n: u64, now: Timestamp) {
        #[allow(
            clippy::cast_precision_loss,
            reason = "a count of events is far below what a float holds exactly"
        )]
        let n = n as f64;
        self.count = self.left(now) + n;
        self.since = Some(now);
    }

    fn left(&self, now: Timestamp) -> f64 {
        let age = self
            .since
            .map_or(0.0, |since| now.duration_since(since).as_secs_f64());
        self.count * (-age.max(0.0) / Self::SECONDS).exp()
    }

    pub(super) fn at(&self, now: Timestamp) -> f64 {
        self.left(now) / Self::SECONDS
    }
}

/// One sink's board: its loop writes, everybody reads.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) enabled: bool,
    pub(super) paused: watch::Sender<bool>,
    figures: Mutex<Figures>,
}

impl Board {
    pub(super) fn new(name: &str, kind: &'static str, enabled: bool) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            enabled,
            paused: watch::Sender::new(false),
            figures: Mutex::default(),
        }
    }

    pub(super) fn figures(&self) -> Figures {
        lock(&self.figures).clone()
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Figures)) {
        change(&mut lock(&self.figures));
    }

    pub(super) fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// What the API shows.
    pub(super) fn status(&self, head: Seq, now: Timestamp, dead_letters: u64) -> SinkStatus {
        let figures = self.figures();
        let state = match figures.condition {
            _ if !self.enabled => "disabled",
            _ if self.is_paused() => "paused",
            Condition::Working => "running",
            Condition::Failing => "failing",
            Condition::Misconfigured => "misconfigured",
        };
        SinkStatus {
            name: self.name.clone(),
            kind: self.kind,
            state,
            cursor: figures.cursor,
            lag: head.saturating_sub(figures.frontier),
            lag_seconds: lag_seconds(&figures, head, now),
            delivered: figures.delivered,
            rate: figures.rate.at(now),
            last_success: figures.last_success,
            last_error: figures.last_error,
            dead_letters,
        }
    }

    /// The only label of most sink metrics.
    pub(super) fn labels(&self) -> MetricLabels {
        vec![("sink", self.name.clone())]
    }

    /// Refreshes the gauges.
    pub(super) fn export(&self, metrics: &Metrics, head: Seq, now: Timestamp) {
        let figures = self.figures();
        let labels = self.labels();
        let lag = i64::try_from(head.saturating_sub(figures.frontier)).unwrap_or(i64::MAX);
        metrics.sink_lag_events.get_or_create(&labels).set(lag);
        let seconds = lag_seconds(&figures, head, now);
        metrics.sink_lag_seconds.get_or_create(&labels).set(seconds);
        let up = self.enabled && figures.condition == Condition::Working;
        metrics.sink_up.get_or_create(&labels).set(i64::from(up));
        let paused = i64::from(self.is_paused());
        metrics.sink_paused.get_or_create(&labels).set(paused);
    }
}

fn lag_seconds(figures: &Figures, head: Seq, now: Timestamp) -> f64 {
    let oldest = figures.oldest.filter(|_| head > figures.frontier);
    oldest.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_fades() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut rate = Rate::default();
        assert!(rate.at(at(0)).abs() < 1e-9);
        for second in 0..600 {
            rate.add(10, at(second));
        }
        assert!(
            (rate.at(at(600)) - 10.0).abs() < 0.5,
            "{}",
            rate.at(at(600))
        );
        assert!(rate.at(at(1_200)) < 0.01);
        // A clock that was set back.
        assert!(rate.at(at(0)).is_finite());
    }
}
