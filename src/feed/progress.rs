//! How far the indexer is, and those who wait for it.

use crate::model::Seq;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Shared between queries and the indexer.
#[derive(Debug, Default)]
pub(super) struct Progress {
    state: Mutex<State>,
    changed: Condvar,
    /// Wakes the indexer.
    pub(super) wake: Notify,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct State {
    /// The newest delivery that is indexed.
    pub(super) indexed: Seq,
    /// Ring entries handed over since the start.
    pub(super) kept: u64,
    /// Of those, how many are in the store.
    pub(super) stored: u64,
    /// Queries that wait.
    pub(super) waiting: usize,
    /// Times that a reader found the store damaged.
    pub(super) damaged: u64,
    pub(super) stopped: bool,
}

impl Progress {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self) -> State {
        *self.lock()
    }

    /// Changes it and wakes those who wait for a change.
    pub(super) fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until deliveries up to `head` and what was kept before are in the store, or until the time is up.
    pub(super) fn wait_for(&self, head: Seq, at_most: Duration) {
        let until = Instant::now() + at_most;
        let mut state = self.lock();
        let kept = state.kept;
        if state.indexed >= head && state.stored >= kept {
            return;
        }
        state.waiting += 1;
        self.wake.notify_one();
        while !state.stopped && (state.indexed < head || state.stored < kept) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.waiting = state.waiting.saturating_sub(1);
    }
}
