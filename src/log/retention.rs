//! What is old: pure rules, with a clock that does not believe every jump.

use crate::model::Seq;
use jiff::Timestamp;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A wall clock that is ahead of where it should be by more than this has jumped.
const SLACK: Duration = Duration::from_secs(600);
/// A jump forward is believed once it has lasted this long: a wrong clock must not delete fresh records.
const BELIEVED_AFTER: Duration = Duration::from_secs(24 * 3600);
/// At the start the clock may be ahead of the newest record by this much without doubt; a record may be
/// ahead of the clock by this much and still be dated by it.
const PLAUSIBLE: Duration = Duration::from_secs(24 * 3600);

/// The clocks of the log; tests put their own here.
#[derive(Clone)]
pub(crate) struct Clock {
    /// Time of day.
    pub(crate) wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Time since some moment; never jumps.
    pub(crate) steady: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl Clock {
    /// The system's.
    pub(crate) fn system() -> Self {
        let start = Instant::now();
        Self {
            wall: Arc::new(Timestamp::now),
            steady: Arc::new(move || start.elapsed()),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// A time for retention: the wall clock's, held back where that jumped forward.
#[derive(Debug)]
pub(crate) struct TrustedClock {
    anchor: i64,
    anchored: Duration,
    doubted_since: Option<Duration>,
}

impl TrustedClock {
    /// Starts at the wall clock's time, or near the newest record if the clock is far ahead of it.
    pub(crate) fn new(clock: &Clock, newest_received: Option<i64>) -> Self {
        let wall = (clock.wall)().as_microsecond();
        let near = newest_received.map_or(i64::MAX, |at| at.saturating_add(micros(PLAUSIBLE)));
        Self {
            anchor: wall.min(near),
            anchored: (clock.steady)(),
            doubted_since: None,
        }
    }

    /// Microseconds since the epoch.
    pub(crate) fn now(&mut self, clock: &Clock) -> i64 {
        let wall = (clock.wall)().as_microsecond();
        let steady = (clock.steady)();
        let passed = steady.saturating_sub(self.anchored);
        let expected = self.anchor.saturating_add(micros(passed));
        if wall > expected.saturating_add(micros(SLACK)) {
            let since = *self.doubted_since.get_or_insert_with(|| {
                tracing::warn!(
                    "the clock is far ahead; retention waits a day before it believes it"
                );
                steady
            });
            if steady.saturating_sub(since) < BELIEVED_AFTER {
                return expected;
            }
        }
        self.anchor = wall;
        self.anchored = steady;
        self.doubted_since = None;
        wall
    }
}

/// The last of the leading rows that are all older than `age`.
///
/// Stops at the first row that is not old. A row without a credible time (damaged, or from the future of a
/// clock that was wrong) is as old as those around it.
pub(crate) fn last_old(
    rows: impl IntoIterator<Item = (Seq, Option<i64>)>,
    now: i64,
    age: Duration,
) -> Option<Seq> {
    let mut last = None;
    for (seq, received) in rows {
        match received.filter(|at| *at <= now.saturating_add(micros(PLAUSIBLE))) {
            Some(at) if now.saturating_sub(at) > micros(age) => last = Some(seq),
            Some(_) => break,
            None => {}
        }
    }
    last
}

/// Microseconds of a duration.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};

    const HOUR: i64 = 3_600_000_000;

    fn clock() -> (Clock, Arc<AtomicI64>, Arc<AtomicU64>) {
        let wall = Arc::new(AtomicI64::new(1_000_000 * HOUR));
        let steady = Arc::new(AtomicU64::new(0));
        let (w, s) = (Arc::clone(&wall), Arc::clone(&steady));
        let clock = Clock {
            wall: Arc::new(move || Timestamp::from_microsecond(w.load(SeqCst)).unwrap()),
            steady: Arc::new(move || Duration::from_secs(s.load(SeqCst))),
        };
        (clock, wall, steady)
    }

    #[test]
    fn a_jump_forward_is_believed_after_a_day() {
        let (clock, wall, steady) = clock();
        let start = wall.load(SeqCst);
        let mut trusted = TrustedClock::new(&clock, None);
        wall.fetch_add(HOUR, SeqCst);
        steady.fetch_add(3_600, SeqCst);
        assert_eq!(trusted.now(&clock), start + HOUR);
        wall.fetch_add(600_000 * HOUR, SeqCst);
        assert_eq!(trusted.now(&clock), start + HOUR);
        steady.fetch_add(23 * 3_600, SeqCst);
        wall.fetch_add(23 * HOUR, SeqCst);
        assert_eq!(trusted.now(&clock), start + 24 * HOUR);
        steady.fetch_add(3_600, SeqCst);
        assert_eq!(trusted.now(&clock), wall.load(SeqCst));
    }

    #[test]
    fn a_jump_back_is_taken_and_a_start_far_ahead_is_doubted() {
        let (clock, wall, _) = clock();
        let start = wall.load(SeqCst);
        let mut trusted = TrustedClock::new(&clock, None);
        wall.fetch_sub(24 * HOUR, SeqCst);
        assert_eq!(trusted.now(&clock), start - 24 * HOUR);
        let mut trusted = TrustedClock::new(&clock, Some(0));
        assert_eq!(trusted.now(&clock), 24 * HOUR);
    }

    #[test]
    fn only_leading_old_rows_are_old() {
        let day = Duration::from_secs(24 * 3600);
        let at = |hour: i64| Some(hour * HOUR);
        let now = 1_000 * HOUR;
        let last = |rows: &[Option<i64>]| last_old((1..).zip(rows.iter().copied()), now, day);
        assert_eq!(last(&[]), None);
        assert_eq!(last(&[at(990)]), None);
        assert_eq!(last(&[at(1), at(2), at(990), at(3)]), Some(2));
        assert_eq!(last(&[at(976)]), None, "exactly a day is not past it");
        assert_eq!(last(&[None, at(2), at(990)]), Some(2));
        assert_eq!(last(&[at(1), None, at(990)]), Some(1));
        assert_eq!(
            last(&[at(999_999), at(2), at(990)]),
            Some(2),
            "from a wrong clock"
        );
        assert_eq!(last(&[at(999_999), at(990)]), None);
    }
}
