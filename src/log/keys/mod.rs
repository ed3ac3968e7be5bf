//! Delivery keys in memory: a fingerprint to the sequence number of the delivery that had it first.
//!
//! Only the writer decides with it; the snapshot thread reads it shard by shard. A hit is confirmed by
//! reading the record, so a collision of fingerprints never makes a duplicate while the record is there.
//! About 20 bytes a key, growing shard by shard.

pub(crate) mod snapshot;
mod table;

use crate::model::Seq;
use sha2::{Digest, Sha256};
use std::sync::{Mutex, MutexGuard, PoisonError};
use table::Table;

/// Shards, so that growing moves a thousandth of all keys at once.
const SHARDS: usize = 1_024;
/// Keys with one fingerprint that are remembered beside the table: with honest senders there is none.
const COLLIDED_MAX: usize = 1_024;
/// Deliveries between two marks of the time index.
const MARK_EVERY: u64 = 1_024;
/// Microseconds after which a mark is set however few deliveries there were: 1 hour.
const MARK_AFTER: i64 = 3_600_000_000;

/// The fingerprint of a webhook's delivery key: the first 8 bytes of SHA-256 over webhook, LF, key.
/// Not a faster hash, since a sender must not be able to make another's key collide.
pub(crate) fn fingerprint(webhook: Option<&str>, key: &str) -> u64 {
    print(&[webhook.unwrap_or_default(), "\n", key])
}

/// The first 8 bytes of SHA-256 over texts, one after the other.
pub(crate) fn print(texts: &[&str]) -> u64 {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update(text);
    }
    let digest: [u8; 32] = hasher.finalize().into();
    digest
        .first_chunk()
        .map_or(0, |head| u64::from_le_bytes(*head))
}

/// The memory of keys.
#[derive(Debug)]
pub(crate) struct Keys {
    shards: Vec<Mutex<Table>>,
    rest: Mutex<Rest>,
}

#[derive(Debug, Default)]
struct Rest {
    /// Older holders of a fingerprint that another key has taken.
    collided: Vec<(u64, Seq)>,
    /// Sequence number and time of receipt, now and then: what is older than the window is found by it.
    marks: Vec<(Seq, i64)>,
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self::with_room(0)
    }

    /// With room for so many keys, that they need not be moved while they come.
    pub(crate) fn with_room(keys: usize) -> Self {
        // A little more than the mean, since shards are not filled alike.
        let each = keys / SHARDS + keys / SHARDS / 8;
        Self {
            shards: (0..SHARDS)
                .map(|_| Mutex::new(Table::with_room(each)))
                .collect(),
            rest: Mutex::default(),
        }
    }

    fn shard(&self, print: u64) -> Option<MutexGuard<'_, Table>> {
        // The table uses the high bits; the shard the low ones.
        let shard = self
            .shards
            .get(usize::try_from(print % SHARDS as u64).ok()?)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest delivery that had a fingerprint.
    pub(crate) fn get(&self, print: u64) -> Option<Seq> {
        self.shard(print)?.get(print)
    }

    /// Older deliveries with the same fingerprint and another key, newest first.
    pub(crate) fn collided(&self, print: u64) -> Vec<Seq> {
        let rest = self.rest();
        let with = rest.collided.iter().filter(|(other, _)| *other == print);
        with.map(|(_, seq)| *seq).rev().collect()
    }

    /// Remembers a key. `keep_old`: the one before is another key's, and counts still.
    pub(crate) fn insert(&self, print: u64, seq: Seq, keep_old: bool) {
        let Some(old) = self
            .shard(print)
            .and_then(|mut shard| shard.insert(print, seq))
        else {
            return;
        };
        if keep_old && old != seq {
            let mut rest = self.rest();
            if rest.collided.len() >= COLLIDED_MAX {
                rest.collided.remove(0);
            }
            rest.collided.push((print, old));
        }
    }

    /// Whether a delivery's time of receipt is kept.
    pub(crate) fn is_mark(seq: Seq) -> bool {
        seq % MARK_EVERY == 1
    }

    /// Whether marks that are `later` and `earlier` leave a gap that wants another one. For readers that go
    /// backwards; half of what `mark` takes, since they see only where the gap begins.
    pub(crate) fn is_gap(later: i64, earlier: i64) -> bool {
        later.saturating_sub(earlier) >= MARK_AFTER / 2
    }

    /// Notes when a delivery was received, where it is a mark, or the last mark is long ago.
    pub(crate) fn mark(&self, seq: Seq, received: i64) {
        let mut rest = self.rest();
        let wanted = rest.marks.last().is_none_or(|(last, at)| {
            let due = Self::is_mark(seq) || received.saturating_sub(*at) >= MARK_AFTER;
            *last < seq && due
        });
        if wanted {
            rest.marks.push((seq, received));
        }
    }

    /// The earliest and the latest time at which a delivery can have been received, as the marks tell it, for
    /// one whose record is gone.
    pub(crate) fn received_between(&self, seq: Seq) -> Option<(i64, i64)> {
        let rest = self.rest();
        let after = rest.marks.partition_point(|(mark, _)| *mark <= seq);
        let (_, earliest) = *rest.marks.get(after.checked_sub(1)?)?;
        // Twice: a mark that was set while the log was read backwards may be late by half of the gap.
        let latest = earliest.saturating_add(2 * MARK_AFTER);
        let next = rest.marks.get(after).map_or(latest, |(_, at)| *at);
        Some((earliest, latest.min(next).max(earliest)))
    }

    /// Forgets what was received before `before` (in microseconds): all up to the last mark before which nothing is newer.
    pub(crate) fn forget(&self, before: i64) {
        let first = {
            let mut rest = self.rest();
            // A mark older than the window says that all before it were old, unless the clock jumped back:
            // so stop at the first mark that is not old.
            let old = rest.marks.iter().take_while(|(_, at)| *at < before).count();
            let Some((first, _)) = old.checked_sub(1).and_then(|i| rest.marks.get(i)).copied()
            else {
                return;
            };
            rest.marks.drain(..old.saturating_sub(1));
            rest.collided.retain(|(_, seq)| *seq >= first);
            first
        };
        for shard in &self.shards {
            shard
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain_from(first);
        }
    }

    /// How many keys are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let lens = self.shards.iter().map(|shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.len()
        });
        lens.sum()
    }

    /// Bytes that the tables hold.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let bytes = self.shards.iter().map(|shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.bytes()
        });
        bytes.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_keys_are_found_in_little_memory() {
        let keys = Keys::new();
        let print = |n: u64| fingerprint(Some("w"), &n.to_string());
        for n in 1..=200_000 {
            keys.insert(print(n), n, false);
        }
        assert_eq!(keys.len(), 200_000);
        assert!((1..=200_000).all(|n| keys.get(print(n)) == Some(n)));
        assert_eq!(keys.get(print(0)), None);
        assert!(keys.bytes() < 200_000 * 27, "{}", keys.bytes());
    }

    #[test]
    fn webhook_and_key_are_kept_apart() {
        assert_ne!(fingerprint(Some("a"), "bc"), fingerprint(Some("ab"), "c"));
        assert_ne!(fingerprint(Some("a"), "b"), fingerprint(None, "b"));
    }

    #[test]
    fn old_keys_are_forgotten_and_collisions_kept() {
        let keys = Keys::new();
        for seq in 1..=4_000_u64 {
            keys.insert(fingerprint(None, &seq.to_string()), seq, false);
            keys.mark(seq, i64::try_from(seq).unwrap() * 10);
        }
        keys.insert(7, 3_000, true);
        keys.insert(7, 3_500, true);
        assert_eq!((keys.get(7), keys.collided(7)), (Some(3_500), vec![3_000]));
        keys.forget(20_600);
        // Marks are at 1, 1025, 2049, 3073: all before 2049 is gone.
        assert_eq!(keys.get(fingerprint(None, "2048")), None);
        assert_eq!(keys.get(fingerprint(None, "2049")), Some(2_049));
        assert_eq!(keys.len(), 4_000 - 2_048 + 1);
        keys.forget(0);
        assert_eq!(keys.len(), 4_000 - 2_048 + 1);
    }
}
