//! What the bodies of all requests together may hold in memory.

use super::answer::Refusal;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Bodies up to this many bytes find room in a reserve of their own, so that a few large and slow ones cannot
/// keep the many small ones out.
const SMALL_BYTES: usize = 64 * 1024;
/// The reserve: this part of the budget, on top of it.
const RESERVE_DIVISOR: usize = 8;
/// When to come again: bodies come and go within milliseconds.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A counter of bytes with a limit. Clones share it.
#[derive(Debug, Clone)]
pub struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    held: AtomicUsize,
    limit: usize,
}

impl Budget {
    /// A budget of `limit` bytes (and an eighth more that only small bodies get).
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let held = AtomicUsize::new(0);
        Self {
            shared: Arc::new(Shared { held, limit }),
        }
    }

    /// Bytes held now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.shared.held.load(Ordering::Relaxed)
    }

    /// A permit that holds nothing yet.
    #[must_use]
    pub fn permit(&self) -> Permit {
        Permit {
            shared: Arc::clone(&self.shared),
            bytes: 0,
        }
    }
}

/// Bytes that one request holds; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Permit {
    /// Holds `bytes` in all, unless it holds as many already.
    ///
    /// # Errors
    /// `Busy` when that is more than the budget has; what was held stays held.
    pub fn hold(&mut self, bytes: usize) -> Result<(), Refusal> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let limit = if bytes <= SMALL_BYTES {
            self.shared.limit + self.shared.limit / RESERVE_DIVISOR
        } else {
            self.shared.limit
        };
        // A counter, ordering nothing else.
        let before = self.shared.held.fetch_add(more, Ordering::Relaxed);
        if before.saturating_add(more) > limit {
            self.shared.held.fetch_sub(more, Ordering::Relaxed);
            return Err(Refusal::Busy {
                retry_after: RETRY_AFTER,
            });
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Holds `more` bytes beside what it holds.
    ///
    /// # Errors
    /// `Busy` when that is more than the budget has; what was held stays held.
    pub fn hold_also(&mut self, more: usize) -> Result<(), Refusal> {
        self.hold(self.bytes.saturating_add(more))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shared.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_and_given_back() {
        let budget = Budget::new(1 << 20);
        let mut large = budget.permit();
        large.hold(1 << 20).unwrap();
        large.hold(5).unwrap();
        assert_eq!(budget.held(), 1 << 20);
        assert!(large.hold_also(1).is_err());
        let mut small = budget.permit();
        small.hold(SMALL_BYTES).unwrap();
        assert!(small.hold_also(1).is_err());
        assert!(budget.permit().hold(SMALL_BYTES + 1).is_err());
        drop(large);
        assert_eq!(budget.held(), SMALL_BYTES);
        drop(small);
        assert_eq!(budget.held(), 0);
    }
}
