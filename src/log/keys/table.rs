//! One shard: open addressing with linear probing, 16 bytes a slot, filled to 85 %, grown by a quarter.

use crate::model::Seq;

const SLOTS_MIN: usize = 16;

/// Fingerprints to sequence numbers. A sequence number is never 0, so 0 marks an empty slot.
#[derive(Debug, Default)]
pub(crate) struct Table {
    slots: Vec<(u64, Seq)>,
    used: usize,
}

impl Table {
    /// Place of a fingerprint: its own slot, or the empty one where it would go.
    fn place(&self, print: u64) -> Option<usize> {
        let count = self.slots.len();
        // Multiply-shift instead of a remainder: sizes need not be powers of two.
        let start = usize::try_from((u128::from(print) * count as u128) >> 64).ok()?;
        (start..count).chain(0..start).find(|i| {
            self.slots
                .get(*i)
                .is_some_and(|(p, seq)| *seq == 0 || *p == print)
        })
    }

    pub(crate) fn get(&self, print: u64) -> Option<Seq> {
        let (_, seq) = self.slots.get(self.place(print)?)?;
        (*seq != 0).then_some(*seq)
    }

    /// Sets, and gives what was there before.
    pub(crate) fn insert(&mut self, print: u64, seq: Seq) -> Option<Seq> {
        if self.used * 100 >= self.slots.len() * 85 {
            let grown = (self.slots.len() + self.slots.len() / 4).max(SLOTS_MIN);
            self.rebuild(grown, 0);
        }
        let place = self.place(print)?;
        let slot = self.slots.get_mut(place)?;
        let old = std::mem::replace(slot, (print, seq)).1;
        if old == 0 {
            self.used += 1;
            return None;
        }
        Some(old)
    }

    /// Forgets all with a lower sequence number.
    pub(crate) fn retain_from(&mut self, first: Seq) {
        let kept = self.slots.iter().filter(|(_, seq)| *seq >= first.max(1));
        let kept = kept.count();
        if kept < self.used {
            self.rebuild((kept * 4 / 3).max(SLOTS_MIN), first);
        }
    }

    fn rebuild(&mut self, count: usize, first: Seq) {
        let old = std::mem::replace(&mut self.slots, vec![(0, 0); count]);
        self.used = 0;
        for (print, seq) in old {
            if seq >= first.max(1)
                && let Some(place) = self.place(print)
                && let Some(slot) = self.slots.get_mut(place)
            {
                *slot = (print, seq);
                self.used += 1;
            }
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (u64, Seq)> {
        self.slots.iter().copied().filter(|(_, seq)| *seq != 0)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<(u64, Seq)>()
    }
}
