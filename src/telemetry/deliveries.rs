//! One line a delivery; past 200 a second one summary line a second instead. Cheap when busy: a few atomics.

use crate::codes::Code;
use crate::model::{Outcome, Seq};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tracing::{Level, enabled, info};
use uuid::Uuid;

/// Target of these records: `HOOKGATE_LOG=info,hookgate::delivery=off` silences them alone.
const TARGET: &str = "hookgate::delivery";
/// Lines a second, past which a summary replaces them.
const LINES_PER_SECOND: u64 = 200;

/// What is said about a delivery.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryLine<'a> {
    /// Name of the webhook.
    pub webhook: &'a str,
    /// Id of the delivery.
    pub delivery: Uuid,
    /// What became of it.
    pub outcome: Outcome,
    /// Status of the answer.
    pub status: u16,
    /// How many events it became.
    pub events: usize,
    /// Where it is in the log; 0: nowhere.
    pub seq: Seq,
    /// Code of its error.
    pub code: Option<Code>,
    /// From the head to the answer.
    pub took: Duration,
}

/// Decides which deliveries get a line.
#[derive(Debug)]
pub struct DeliveryLog {
    start: Instant,
    /// The second that is being counted, from 1 at `start`.
    second: AtomicU64,
    /// Deliveries in that second.
    count: AtomicU64,
    /// Deliveries in the second before it.
    before: AtomicU64,
    /// Those without a line, by outcome.
    silent: [AtomicU64; Outcome::ALL.len()],
}

/// What happened without a line of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Summary([u64; Outcome::ALL.len()]);

impl Default for DeliveryLog {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            second: AtomicU64::new(1),
            count: AtomicU64::new(0),
            before: AtomicU64::new(0),
            silent: [const { AtomicU64::new(0) }; Outcome::ALL.len()],
        }
    }
}

impl DeliveryLog {
    /// Says a line about a delivery, or counts it for the summary.
    pub fn record(&self, line: &DeliveryLine<'_>) {
        if !enabled!(target: TARGET, Level::INFO) {
            return;
        }
        let second = self.now();
        if let Some(summary) = self.roll(second) {
            summary.say();
        }
        if self.admit(line.outcome) {
            line.say();
        }
    }

    /// Says the summary of a second that is over. Called now and then, so that the last one before silence is said.
    pub fn tick(&self) {
        if let Some(summary) = self.roll(self.now()) {
            summary.say();
        }
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_secs() + 1
    }

    /// Begins a second, if it has not begun yet; one caller gets the summary of what is over.
    fn roll(&self, second: u64) -> Option<Summary> {
        let current = self.second.load(Ordering::Acquire);
        if current >= second {
            return None;
        }
        let order = Ordering::AcqRel;
        self.second
            .compare_exchange(current, second, order, Ordering::Relaxed)
            .ok()?;
        let count = self.count.swap(0, order);
        let next_to_it = current + 1 == second;
        self.before
            .store(if next_to_it { count } else { 0 }, Ordering::Release);
        let summary = Summary(self.silent.each_ref().map(|n| n.swap(0, order)));
        summary.0.iter().any(|n| *n > 0).then_some(summary)
    }

    /// Whether a delivery gets its line: not past 200 in this second, nor when the one before had more.
    fn admit(&self, outcome: Outcome) -> bool {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let quiet = self.before.load(Ordering::Relaxed) <= LINES_PER_SECOND;
        if quiet && count < LINES_PER_SECOND {
            return true;
        }
        if let Some(silent) = self.silent.get(outcome as usize) {
            silent.fetch_add(1, Ordering::Relaxed);
        }
        false
    }
}

impl DeliveryLine<'_> {
    fn say(&self) {
        let delivery = tracing::field::display(self.delivery);
        info!(
            target: TARGET,
            webhook = self.webhook,
            delivery,
            seq = (self.seq > 0).then_some(self.seq),
            code = self.code.map(tracing::field::display),
            status = self.status,
            events = self.events,
            micros = u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX),
            "{}",
            self.outcome.as_str()
        );
    }
}

impl Summary {
    fn say(self) {
        let [accepted, ignored, duplicate, parked, rejected, handshake] = self.0;
        let deliveries: u64 = self.0.iter().sum();
        info!(
            target: TARGET,
            deliveries,
            accepted,
            ignored,
            duplicate,
            parked,
            rejected,
            handshake,
            "deliveries without a line of their own"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn burst(log: &DeliveryLog, count: usize) -> usize {
        (0..count).filter(|_| log.admit(Outcome::Accepted)).count()
    }

    #[test]
    fn outcomes_are_in_the_order_of_the_summary() {
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
        }
    }

    #[test]
    fn lines_until_it_is_busy() {
        let log = DeliveryLog::default();
        assert_eq!(log.roll(1), None);
        assert_eq!(burst(&log, 250), 200);
        assert!(!log.admit(Outcome::Parked));
        // The next second is silent from its start, and one caller gets the summary.
        assert_eq!(log.roll(2), Some(Summary([50, 0, 0, 1, 0, 0])));
        assert_eq!(log.roll(2), None);
        assert_eq!(burst(&log, 100), 0);
        // It was quiet, so lines are back.
        assert_eq!(log.roll(3), Some(Summary([100, 0, 0, 0, 0, 0])));
        assert_eq!(burst(&log, 100), 100);
        assert_eq!(log.roll(4), None);
        // After a pause nothing is held against anyone.
        burst(&log, 1_000);
        assert!(log.roll(60).is_some());
        assert_eq!(burst(&log, 5), 5);
    }
}
