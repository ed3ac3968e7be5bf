//! Requests a second, per webhook: a token bucket each, kept over reloads as long as its settings stay.

use super::answer::Refusal;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Handshakes that one webhook answers: senders repeat them every hour at most.
const HANDSHAKES_PER_SECOND: f64 = 10.0;

/// A rate as configured, checked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    per_second: f64,
    burst: NonZeroU32,
    period: Duration,
}

impl Rate {
    /// Requests at once where none are configured: those of a second, at least one.
    #[must_use]
    pub fn burst_default(per_second: f64) -> u32 {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast from a float saturates"
        )]
        let burst = per_second.ceil() as u32;
        burst.max(1)
    }

    /// A rate; none where it is not above zero, below one a day, or above a thousand million a second.
    #[must_use]
    pub fn new(per_second: f64, burst: u32) -> Option<Self> {
        let possible = (1.0 / 86_400.0..=1e9).contains(&per_second);
        let period = Duration::try_from_secs_f64(1.0 / per_second).ok()?;
        (possible && !period.is_zero()).then_some(Self {
            per_second,
            burst: NonZeroU32::new(burst)?,
            period,
        })
    }
}

/// The bucket of one webhook.
#[derive(Debug)]
pub struct Limiter {
    rate: Rate,
    bucket: DefaultDirectRateLimiter,
    clock: DefaultClock,
}

impl Limiter {
    fn new(rate: Rate) -> Option<Self> {
        let quota = Quota::with_period(rate.period)?.allow_burst(rate.burst);
        Some(Self {
            rate,
            bucket: RateLimiter::direct(quota),
            clock: DefaultClock::default(),
        })
    }

    /// Takes one request from the bucket.
    ///
    /// # Errors
    /// `RateLimited` with the time until there is one again.
    pub fn check(&self) -> Result<(), Refusal> {
        self.bucket.check().map_err(|until| Refusal::RateLimited {
            retry_after: until.wait_time_from(self.clock.now()),
        })
    }
}

/// The buckets of all webhooks, by name.
#[derive(Debug, Default)]
pub struct RateLimiters {
    by_webhook: Buckets,
    handshakes: Buckets,
}

type Buckets = Mutex<HashMap<String, Arc<Limiter>>>;

impl RateLimiters {
    /// The bucket of a webhook: the one it has, if its rate is the same as before. Asked when a configuration is
    /// taken, not for every request.
    #[must_use]
    pub fn limiter(&self, webhook: &str, rate: Rate) -> Option<Arc<Limiter>> {
        Self::bucket(&self.by_webhook, webhook, rate)
    }

    /// The bucket of a webhook's handshakes, which no flood of deliveries empties.
    #[must_use]
    pub fn handshakes(&self, webhook: &str) -> Option<Arc<Limiter>> {
        let burst = Rate::burst_default(HANDSHAKES_PER_SECOND);
        let rate = Rate::new(HANDSHAKES_PER_SECOND, burst)?;
        Self::bucket(&self.handshakes, webhook, rate)
    }

    fn bucket(buckets: &Buckets, webhook: &str, rate: Rate) -> Option<Arc<Limiter>> {
        let mut map = buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(limiter) = map.get(webhook).filter(|limiter| limiter.rate == rate) {
            return Some(Arc::clone(limiter));
        }
        let limiter = Arc::new(Limiter::new(rate)?);
        map.insert(webhook.to_owned(), Arc::clone(&limiter));
        Some(limiter)
    }

    /// Forgets the buckets of webhooks that are gone.
    pub fn retain(&self, is_there: impl Fn(&str) -> bool) {
        for buckets in [&self.by_webhook, &self.handshakes] {
            let mut map = buckets.lock().unwrap_or_else(PoisonError::into_inner);
            map.retain(|name, _| is_there(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(limiter: &Limiter) -> usize {
        (0..10).take_while(|_| limiter.check().is_ok()).count()
    }

    #[test]
    fn bucket_and_wait() {
        let limiter = Limiter::new(Rate::new(0.5, 3).unwrap()).unwrap();
        assert_eq!(passed(&limiter), 3);
        let Err(Refusal::RateLimited { retry_after }) = limiter.check() else {
            panic!("the bucket is empty");
        };
        assert!(retry_after > Duration::from_millis(1_500));
        assert!(retry_after <= Duration::from_secs(2));
    }

    #[test]
    fn kept_over_a_reload() {
        let all = RateLimiters::default();
        let rate = Rate::new(0.01, 2).unwrap();
        let get = |rate| all.limiter("orders", rate).unwrap();
        assert_eq!(passed(&get(rate)), 2);
        assert_eq!(passed(&get(rate)), 0);
        let other = all.limiter("other", rate).unwrap();
        assert_eq!(passed(&other), 2);
        all.retain(|name| name == "orders");
        assert_eq!(passed(&get(rate)), 0);
        assert_eq!(passed(&get(Rate::new(0.01, 4).unwrap())), 4);
        all.retain(|name| name == "other");
        assert_eq!(passed(&get(rate)), 2);
    }

    #[test]
    fn handshakes_have_a_bucket_of_their_own() {
        let all = RateLimiters::default();
        let deliveries = all.limiter("orders", Rate::new(0.01, 1).unwrap()).unwrap();
        assert_eq!(passed(&deliveries), 1);
        assert_eq!(passed(&all.handshakes("orders").unwrap()), 10);
        // Ten are there at once, then ten come in a second: a hundred at once are too many.
        let refused = |limiter: &Limiter| (0..100).any(|_| limiter.check().is_err());
        let shakes = all.handshakes("orders").unwrap();
        assert!((0..1_000).any(|_| refused(&shakes)));
        assert_eq!(passed(&all.handshakes("other").unwrap()), 10);
        assert_eq!(passed(&deliveries), 0);
    }

    #[test]
    fn possible_rates() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-9, 1e10] {
            assert_eq!(Rate::new(bad, 1), None, "{bad}");
        }
        assert_eq!(Rate::new(1.0, 0), None);
        for (per_second, burst) in [(0.1, 1), (1.0, 1), (2.5, 3), (1e12, u32::MAX)] {
            assert_eq!(Rate::burst_default(per_second), burst);
        }
    }
}
