//! Whether a delivery repeats one that was there before, and what is then recorded.

use super::holders::{Holders, Stored};
use super::shared::Shared;
use crate::codes;
use crate::log::content::{self, Piece};
use crate::log::queue::{Job, Prints};
use crate::log::record::{self, Head};
use crate::model::{Note, Outcome, Seq};
use rusqlite::Connection;
use std::collections::HashMap;

/// Events of a batch with other content that a note names.
const DIFFERING_SHOWN: usize = 5;

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
    /// Earlier records, by the writer's connection.
    holders: Holders<'c>,
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
    pub(super) fn new(shared: &'s Shared, conn: &'c Connection) -> rusqlite::Result<Self> {
        let window = shared.settings.dedup.as_micros();
        Ok(Self {
            shared,
            holders: Holders::new(conn)?,
            window_micros: i64::try_from(window).unwrap_or(i64::MAX),
            pending: HashMap::new(),
            learned: Vec::new(),
        })
    }

    /// Changes a job to what is to be recorded under `seq`.
    pub(super) fn decide(&mut self, job: &mut Job, seq: Seq) -> Result<(), String> {
        job.appended.seq = seq;
        let decided = match std::mem::replace(&mut job.prints, Prints::None) {
            Prints::None => Ok(()),
            Prints::Delivery(print) => self.decide_one(job, seq, print),
            Prints::PerEvent(prints) => self.decide_each(job, seq, &prints),
        };
        self.holders.forget();
        decided
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
            Holder::Same(of) => {
                let difference = self.difference_of_one(job, &head, of);
                record_duplicate(job, head, of, difference)
            }
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
        let mut differing = Vec::new();
        for (i, (print, key)) in prints.iter().zip(&head.item_keys).enumerate() {
            let holder = match self.newest(*print) {
                Some(_) => self.holder(*print, key, &head, job.received),
                None => Holder::None,
            };
            known.push(match holder {
                Holder::Same(of) => {
                    let parts = self.differences_of_event(&head, i, key, of);
                    if !parts.is_empty() {
                        differing.push((i, of, parts));
                    }
                    Some(of)
                }
                Holder::Other | Holder::None => {
                    fresh.push((*print, matches!(holder, Holder::Other)));
                    None
                }
            });
        }
        let difference = difference_of_events(&differing, known.len());
        match known.iter().flatten().next() {
            Some(of) if fresh.is_empty() => return record_duplicate(job, head, *of, difference),
            Some(_) => leave_out(job, head, &known, &fresh, difference)?,
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
        let stored = match self.holders.get(seq) {
            Ok(Some(stored)) => stored,
            Ok(None) => return self.of_gone(seq, received),
            // The first copy cannot be read: then this one is better kept than dropped.
            Err(()) => return Holder::None,
        };
        let delivery = &stored.head.delivery;
        if delivery.webhook != head.delivery.webhook || !stored.has(key) {
            return Holder::Other;
        }
        let age = received.saturating_sub(delivery.received.as_microsecond());
        // A clock that was put back makes a negative age: within the window.
        if age < self.window_micros {
            Holder::Same(seq)
        } else {
            Holder::None
        }
    }

    /// What differs between an event and the one that brought its key.
    fn differences_of_event(
        &mut self,
        head: &Head,
        place: usize,
        key: &str,
        of: Seq,
    ) -> Vec<&'static str> {
        let Ok(Some(stored)) = self.holders.get(of) else {
            return Vec::new();
        };
        let Some(first) = stored.place(key) else {
            return Vec::new();
        };
        content::differences(piece(head, place), piece(&stored.head, first))
    }

    /// What a note says where a delivery with one key differs from the one that brought it.
    fn difference_of_one(&mut self, job: &Job, head: &Head, of: Seq) -> Option<String> {
        let Ok(Some(stored)) = self.holders.get(of) else {
            return None;
        };
        let sha256 = |head: &Head| head.delivery.request.as_ref().map(|r| r.sha256.clone());
        if sha256(head) == sha256(&stored.head) {
            return None;
        }
        if let Some(differs) = clouds_differ(head, &stored) {
            return differs
                .then(|| format!("its `type` or data differs from what delivery {of} brought"));
        }
        let new = record::decompress_request(job.request.as_deref()?, None).ok()?;
        let old = self.holders.request(of)?;
        (content::is_same_body(&new, &old) == Some(false))
            .then(|| format!("its body differs from what delivery {of} brought"))
    }
}

/// Whether the CloudEvents of two deliveries differ; none where they are not such.
fn clouds_differ(head: &Head, stored: &Stored) -> Option<bool> {
    let count = head.delivery.events.len();
    let had = stored.head.delivery.events.len();
    let are_clouds = |head: &Head| {
        let events = &head.delivery.events;
        !events.is_empty()
            && (head.contents.len() == events.len()
                || events
                    .iter()
                    .all(|e| crate::model::cloud_event::Content::of(e).is_some()))
    };
    if !are_clouds(head) || !are_clouds(&stored.head) {
        return None;
    }
    let differs = |i| !content::differences(piece(head, i), piece(&stored.head, i)).is_empty();
    Some(count != had || (0..count).any(differs))
}

/// The event at a place, where events and keys pair up.
fn piece(head: &Head, place: usize) -> Piece<'_> {
    let events = &head.delivery.events;
    let paired = head.item_keys.len() <= 1 || head.item_keys.len() == events.len();
    Piece {
        event: events.get(place).filter(|_| paired),
        content: head.contents.get(place),
    }
}

/// What a note says of events that were known by their keys, but not with this content.
fn difference_of_events(
    differing: &[(usize, Seq, Vec<&'static str>)],
    count: usize,
) -> Option<String> {
    if differing.is_empty() {
        return None;
    }
    let shown = differing.iter().take(DIFFERING_SHOWN);
    let mut said: Vec<String> = shown
        .map(|(i, of, parts)| {
            let parts: Vec<String> = parts.iter().map(|part| format!("`{part}`")).collect();
            let of_which = match count {
                1 => String::new(),
                _ => format!(" of event {} of {count}", i + 1),
            };
            let verb = if parts.len() == 1 {
                "differs"
            } else {
                "differ"
            };
            format!(
                "{}{of_which} {verb} from what delivery {of} brought",
                parts.join(" and ")
            )
        })
        .collect();
    if differing.len() > DIFFERING_SHOWN {
        said.push(format!("and {} more", differing.len() - DIFFERING_SHOWN));
    }
    Some(said.join("; "))
}

/// Marks a record that has something known with other content.
fn mark(job: &mut Job, delivery: &mut crate::model::Delivery, difference: Option<String>) {
    let Some(what) = difference else {
        return;
    };
    job.appended.other_content = true;
    delivery.code = Some(codes::OTHER_CONTENT);
    delivery.notes.push(Note {
        code: Some(codes::OTHER_CONTENT),
        message: format!("duplicate, other content: {what}"),
    });
}

/// The delivery is recorded as one that repeats another: its request is kept, its events are not.
fn record_duplicate(
    job: &mut Job,
    head: Head,
    of: Seq,
    difference: Option<String>,
) -> Result<(), String> {
    let Head {
        mut delivery,
        item_keys,
        ..
    } = head;
    delivery.outcome = Outcome::Duplicate;
    delivery.duplicate_of = Some(of);
    delivery.events.clear();
    // Unless the delivery itself has something twice, and not the same.
    delivery.code = delivery.code.filter(|code| *code == codes::OTHER_CONTENT);
    delivery.error = None;
    mark(job, &mut delivery, difference);
    // What was parked is safe: sent again, it is answered as a success (`gateway`).
    if delivery.status >= 400 {
        delivery.status = 204;
    }
    job.head = record::encode(&delivery, &item_keys, &[], &[])?;
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
    difference: Option<String>,
) -> Result<(), String> {
    let Head {
        mut delivery,
        mut item_keys,
        mut contents,
    } = head;
    let before = delivery.events.len();
    // Where keys and events do not pair up, nothing says which event is the known one.
    if before == known.len() {
        retain_fresh(&mut delivery.events, known);
        retain_fresh(&mut item_keys, known);
        retain_fresh(&mut contents, known);
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
    mark(job, &mut delivery, difference);
    let prints: Vec<u64> = fresh.iter().map(|(print, _)| *print).collect();
    job.head = record::encode(&delivery, &item_keys, &contents, &prints)?;
    job.appended.events = delivery.events.len();
    Ok(())
}

/// Keeps what stands where no key is known.
fn retain_fresh<T>(items: &mut Vec<T>, known: &[Option<Seq>]) {
    let mut known = known.iter();
    items.retain(|_| known.next().is_none_or(Option::is_none));
}
