//! Times of the loops, in one place, so that tests run the same code with short ones.

use std::time::Duration;

/// How long things wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tuning {
    /// First wait after a failure; doubles with each further one.
    pub(crate) backoff_base: Duration,
    /// Longest wait after a failure.
    pub(crate) backoff_cap: Duration,
    /// Shortest wait of a misconfigured sink; the longest is twice that.
    pub(crate) misconfigured: Duration,
    /// How long a sink has failed when `hookgate.sink.failing` is written.
    pub(crate) failing_after: Duration,
    /// The cursor is stored at most this often while events are sent.
    pub(crate) cursor_busy: Duration,
    /// The cursor is stored at most this often while no event is for the sink.
    pub(crate) cursor_idle: Duration,
    /// First and longest wait between two questions whether events are shown.
    pub(crate) poll: (Duration, Duration),
    /// How long a sent event may stay unconfirmed before it is sent again.
    pub(crate) stale: Duration,
    /// The same while the events are sent apart to find one that is dropped in silence.
    pub(crate) stale_apart: Duration,
    /// How long a removed sink's cursor is kept.
    pub(crate) removed: Duration,
    /// How often gauges are refreshed and removed cursors looked at.
    pub(crate) housekeeping: Duration,
    /// How long a changed or removed sink's batch may take to end.
    pub(crate) restart: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            backoff_base: Duration::from_millis(500),
            backoff_cap: Duration::from_secs(60),
            misconfigured: Duration::from_secs(30),
            failing_after: Duration::from_secs(60),
            // A sync of the state competes with the log's; events sent twice after a crash keep their ids.
            cursor_busy: Duration::from_millis(200),
            cursor_idle: Duration::from_secs(1),
            // Prefect writes what it took at the latest 5 s later.
            poll: (Duration::from_millis(100), Duration::from_secs(1)),
            stale: Duration::from_secs(30),
            stale_apart: Duration::from_secs(12),
            removed: Duration::from_secs(24 * 3600),
            housekeeping: Duration::from_secs(5),
            restart: Duration::from_secs(5),
        }
    }
}

impl Tuning {
    /// Wait after the `failures`-th failure in a row (from 1): anything up to the doubled base (full jitter),
    /// so that many gateways do not come back to a sink in step.
    pub(crate) fn backoff(&self, failures: u32) -> Duration {
        let doubled = self
            .backoff_base
            .saturating_mul(1 << failures.saturating_sub(1).min(20));
        jitter(Duration::ZERO, doubled.min(self.backoff_cap))
    }

    /// Wait of a misconfigured sink.
    pub(crate) fn misconfigured(&self) -> Duration {
        jitter(self.misconfigured, self.misconfigured.saturating_mul(2))
    }

    /// Short times for tests.
    #[cfg(test)]
    pub(crate) fn fast() -> Self {
        let millis = Duration::from_millis;
        Self {
            backoff_base: millis(1),
            backoff_cap: millis(4),
            misconfigured: millis(2),
            failing_after: millis(20),
            cursor_busy: millis(2),
            cursor_idle: millis(5),
            poll: (millis(1), millis(4)),
            stale: millis(60),
            stale_apart: millis(30),
            removed: Duration::from_secs(24 * 3600),
            housekeeping: millis(10),
            restart: Duration::from_secs(5),
        }
    }
}

fn jitter(from: Duration, to: Duration) -> Duration {
    from + to.saturating_sub(from).mul_f64(rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_its_cap() {
        let tuning = Tuning::default();
        for (failures, most) in [
            (1, 500),
            (2, 1_000),
            (5, 8_000),
            (8, 60_000),
            (u32::MAX, 60_000),
        ] {
            let waits: Vec<_> = (0..200).map(|_| tuning.backoff(failures)).collect();
            let most = Duration::from_millis(most);
            assert!(waits.iter().all(|wait| *wait <= most));
            assert!(
                waits.iter().any(|wait| *wait > most / 2),
                "full range is used"
            );
        }
        assert!((0..100).all(|_| (30..=60).contains(&tuning.misconfigured().as_secs())));
    }
}
