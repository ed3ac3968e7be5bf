//! Whether a delivery repeats one that was there before, and what is then recorded.

use super::shared::{Shared, signed};
use crate::codes;
use crate::log::queue::{Job, Prints};
use crate::log::record::{self, Head};
use crate::model::{Note, Outcome, Seq};
use rusqlite::{OptionalExtension, Statement};
use std::collections::HashMap;

/// A key to remember once the batch is on disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Learned {
    pub(super) print: u64,
    pub(super) seq: Seq,
    /// Another key has the same fingerprint, and counts still.
    pub(super) keep_old: bool,
}

/// Decides for one batch. Sees the rows of its own transaction, so copies in one batch are caught.
pub(super) struct Decider<'s, 'c> {
    shared: &'s Shared,
    /// `SELECT head FROM deliveries WHERE seq = ?` on the writer's connection.
    get: Statement<'c>,
    window_micros: i64,
    /// Keys of this batch.
    pending: HashMap<u64, Seq>,
    learned: Vec<Learned>,
}

/// What is known of a key's holder.
enum Holder {
    None,
    /// It is another key with the same fingerprint.
    Other,
    Same(Seq),
}

impl<'s, 'c> Decider<'s, 'c> {
    pub(super) fn new(shared: &'s Shared, get: Statement<'c>) -> Self {
        let window = shared.settings.dedup.as_micros();
        Self {
            shared,
            get,
            window_micros: i64::try_from(window).unwrap_or(i64::MAX),
            pending: HashMap::new(),
            learned: Vec::new(),
        }
    }

    /// Changes a job to what is to be recorded under `seq`.
    pub(super) fn decide(&mut self, job: &mut Job, seq: Seq) -> Result<(), String> {
        job.appended.seq = seq;
        match std::mem::replace(&mut job.prints, Prints::None) {
            Prints::None => Ok(()),
            Prints::Delivery(print) => self.decide_one(job, seq, print),
            Prints::PerEvent(prints) => self.decide_each(job, seq, &prints),
        }
    }

    /// The batch is on disk: its keys are remembered.
    pub(super) fn committed(&mut self) {
        for key in self.learned.drain(..) {
            self.shared.keys.insert(key.print, key.seq, key.keep_old);
        }
        self.pending.clear();
    }

    /// The batch is not on disk.
    pub(super) fn discarded(&mut self) {
        self.learned.clear();
        self.pending.clear();
    }

    fn newest(&self, print: u64) -> Option<Seq> {
        let pending = self.pending.get(&print).copied();
        pending.or_else(|| self.shared.keys.get(print))
    }

    fn remember(&mut self, print: u64, seq: Seq, keep_old: bool) {
        self.pending.insert(print, seq);
        self.learned.push(Learned {
            print,
            seq,
            keep_old,
        });
    }

    fn decide_one(&mut self, job: &mut Job, seq: Seq, print: u64) -> Result<(), String> {
        if self.newest(print).is_none() {
            self.remember(print, seq, false);
            return Ok(());
        }
        let head = record::decode(&job.head, 0)?;
        let key = head.item_keys.first().or(head.delivery.key.as_ref());
        let key = key.cloned().unwrap_or_default();
        match self.holder(print, &key, &head, job.received) {
            Holder::Same(of) => record_duplicate(job, head, of),
            found @ (Holder::None | Holder::Other) => {
                self.remember(print, seq, matches!(found, Holder::Other));
                Ok(())
            }
        }
    }

    fn decide_each(&mut self, job: &mut Job, seq: Seq, prints: &[u64]) -> Result<(), String> {
        if prints.iter().all(|print| self.newest(*print).is_none()) {
            for print in prints {
                self.remember(*print, seq, false);
            }
            return Ok(());
        }
        let head = record::decode(&job.head, 0)?;
        let mut fresh = Vec::new();
        let mut known = Vec::new();
        for (print, key) in prints.iter().zip(&head.item_keys) {
            let holder = match self.newest(*print) {
                Some(_) => self.holder(*print, key, &head, job.received),
                None => Holder::None,
            };
            known.push(match holder {
                Holder::Same(of) => Some(of),
                Holder::Other | Holder::None => {
                    fresh.push((*print, matches!(holder, Holder::Other)));
                    None
                }
            });
        }
        match known.iter().flatten().next() {
            Some(of) if fresh.is_empty() => return record_duplicate(job, head, *of),
            Some(_) => leave_out(job, head, &known, &fresh)?,
            None => {}
        }
        for (print, keep_old) in fresh {
            self.remember(print, seq, keep_old);
        }
        Ok(())
    }

    /// Who holds a key, confirmed by the record.
    fn holder(&mut self, print: u64, key: &str, head: &Head, received: i64) -> Holder {
        let mut found = Holder::None;
        let pending = self.pending.get(&print).copied();
        let older = self.shared.keys.get(print);
        let collided = self.shared.keys.collided(print);
        for seq in pending.into_iter().chain(older).chain(collided) {
            match self.confirm(seq, key, head, received) {
                Holder::None => {}
                Holder::Other => found = Holder::Other,
                Holder::Same(seq) => return Holder::Same(seq),
            }
        }
        found
    }

    /// Retention took the record: the fingerprint's word has to do, but not beyond the window.
    fn of_gone(&self, seq: Seq, now: i64) -> Holder {
        let past = |at: i64| now.saturating_sub(at) >= self.window_micros;
        let settings = &self.shared.settings;
        let is_past = match self.shared.keys.received_between(seq) {
            Some((_, latest)) if past(latest) => true,
            Some((earliest, _)) if !past(earliest) => false,
            // What was kept for the window and longer is gone, so the window is over.
            _ => settings.retention >= settings.dedup,
        };
        if is_past {
            Holder::None
        } else {
            Holder::Same(seq)
        }
    }

    fn confirm(&mut self, seq: Seq, key: &str, head: &Head, received: i64) -> Holder {
        let stored = self
            .get
            .query_row([signed(seq)], |row| {
                Ok(record::decode(row.get_ref(0)?.as_blob()?, seq))
            })
            .optional();
        let stored = match stored {
            Ok(Some(Ok(stored))) => stored,
            Ok(None) => return self.of_gone(seq, received),
            // The first copy cannot be read: then this one is better kept than dropped.
            Ok(Some(Err(reason))) => {
                tracing::error!(seq, code = %codes::RECORD_DAMAGED, %reason, "the record that holds a delivery key is damaged");
                return Holder::None;
            }
            Err(error) => {
                tracing::error!(seq, %error, "the record that holds a delivery key cannot be read");
                return Holder::None;
            }
        };
        let own = stored.delivery.key.as_deref() == Some(key);
        if stored.delivery.webhook != head.delivery.webhook
            || !(own || stored.item_keys.iter().any(|other| other == key))
        {
            return Holder::Other;
        }
        let age = received.saturating_sub(stored.delivery.received.as_microsecond());
        // A clock that was put back makes a negative age: within the window.
        if age < self.window_micros {
            Holder::Same(seq)
        } else {
            Holder::None
        }
    }
}

/// The delivery is recorded as one that repeats another: its request is kept, its events are not.
fn record_duplicate(job: &mut Job, head: Head, of: Seq) -> Result<(), String> {
    let Head {
        mut delivery,
        item_keys,
    } = head;
    delivery.outcome = Outcome::Duplicate;
    delivery.duplicate_of = Some(of);
    delivery.events.clear();
    delivery.code = None;
    delivery.error = None;
    // What was parked is safe: sent again, it is answered as a success (`gateway`).
    if delivery.status >= 400 {
        delivery.status = 204;
    }
    job.head = record::encode(&delivery, &item_keys, &[])?;
    job.appended.outcome = Outcome::Duplicate;
    job.appended.duplicate_of = Some(of);
    job.appended.events = 0;
    Ok(())
}

/// The delivery is recorded without the events whose keys are known.
fn leave_out(
    job: &mut Job,
    head: Head,
    known: &[Option<Seq>],
    fresh: &[(u64, bool)],
) -> Result<(), String> {
    let Head {
        mut delivery,
        item_keys,
    } = head;
    let before = delivery.events.len();
    // Where keys and events do not pair up, nothing says which event is the known one.
    if before == known.len() {
        let mut is_known = known.iter();
        delivery
            .events
            .retain(|_| is_known.next().is_none_or(Option::is_none));
    }
    let left_out = before - delivery.events.len();
    if left_out > 0 {
        delivery.notes.push(Note {
            code: None,
            message: format!(
                "{left_out} of {before} events were left out: deliveries before this one brought them"
            ),
        });
    }
    let prints: Vec<u64> = fresh.iter().map(|(print, _)| *print).collect();
    job.head = record::encode(&delivery, &item_keys, &prints)?;
    job.appended.events = delivery.events.len();
    Ok(())
}
