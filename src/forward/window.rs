//! The events between a sink's cursor and what was read: what is sent, shown, refused, and how far the
//! cursor may move. Pure; the loop around it does the waiting and the sending.
//!
//! Invariants: events leave in order; the frontier never goes back and never passes an event that is not
//! settled; a dead letter is handed out only once the frontier has passed its delivery, so that a crash
//! cannot make two of it.

use crate::codes::Code;
use crate::model::trace::Trace;
use crate::model::{Event, Position, Seq};
use crate::state::NewDeadLetter;
use jiff::Timestamp;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use tokio::time::Instant;
use uuid::Uuid;

/// One event on its way to a sink.
#[derive(Debug)]
pub(crate) struct Item {
    /// Where it is in the log.
    pub(crate) position: Position,
    /// Name of its webhook.
    pub(crate) webhook: Option<String>,
    /// When its delivery was received.
    pub(crate) received: Timestamp,
    /// The event.
    pub(crate) event: Event,
    /// The place in a trace that its delivery came with, where that is the parent of what goes out.
    pub(crate) trace: Option<Trace>,
    /// The event as JSON on one line.
    pub(crate) json: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Unsent,
    /// Taken by the sink, not shown by it yet.
    Sent(Instant),
    /// Taken more than once and never shown: sent only when its turn to be tested comes.
    Suspect,
    /// A suspect that is being tested.
    Tested,
    Settled,
}

#[derive(Debug)]
struct Slot {
    position: Position,
    /// None once it is settled: only its place is kept until the frontier has passed it.
    item: Option<Arc<Item>>,
    progress: Progress,
    attempts: u32,
    last_sent: Option<Instant>,
}

/// Events to send in one attempt.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    /// The events, in order.
    pub(crate) items: Vec<Arc<Item>>,
}

/// Why an event is given up.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    /// `HG0702`, `HG0704`.
    pub(crate) code: Code,
    /// One sentence.
    pub(crate) reason: String,
    /// The sink's answer.
    pub(crate) answer: String,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Window {
    slots: VecDeque<Slot>,
    /// The log has been read up to here.
    scanned: Seq,
    unsent: usize,
    unsent_bytes: usize,
    /// Bytes of everything that is not settled.
    bytes: usize,
    /// Sent, suspects that are tested included.
    sent: usize,
    /// Sizes in which the next unsent events are tried after a refusal; the last one is next.
    split: Vec<usize>,
    dead: Vec<NewDeadLetter>,
}

impl Window {
    /// A window that starts after a delivery.
    pub(crate) fn new(cursor: Seq) -> Self {
        Self {
            slots: VecDeque::new(),
            scanned: cursor,
            unsent: 0,
            unsent_bytes: 0,
            bytes: 0,
            sent: 0,
            split: Vec::new(),
            dead: Vec::new(),
        }
    }

    /// How far the log has been read.
    pub(crate) fn scanned(&self) -> Seq {
        self.scanned
    }

    /// Adds what was read, up to and including `scanned`.
    pub(crate) fn extend(&mut self, items: Vec<Item>, scanned: Seq) {
        for item in items {
            self.unsent += 1;
            self.unsent_bytes += item.json.len() + 1;
            self.bytes += item.json.len() + 1;
            self.slots.push_back(Slot {
                position: item.position,
                item: Some(Arc::new(item)),
                progress: Progress::Unsent,
                attempts: 0,
                last_sent: None,
            });
        }
        self.scanned = self.scanned.max(scanned);
    }

    /// Events not sent yet.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent
    }

    /// Their bytes as JSON.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.unsent_bytes
    }

    /// Places that are kept: of events on their way, and of settled ones behind such.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Bytes of all events that are not settled.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Events sent and not shown yet.
    pub(crate) fn sent(&self) -> usize {
        self.sent
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether a refused batch is being taken apart.
    pub(crate) fn is_split(&self) -> bool {
        !self.split.is_empty()
    }

    /// When the oldest event that is not settled was received.
    pub(crate) fn oldest_received(&self) -> Option<Timestamp> {
        let item = self.slots.front()?.item.as_ref()?;
        Some(item.received)
    }

    /// The next unsent events within both limits (at least one, if there is any).
    pub(crate) fn next_batch(&mut self, events_max: usize, bytes_max: usize) -> Batch {
        let events_max = self.split.last().map_or(events_max, |n| events_max.min(*n));
        let mut items = Vec::new();
        let mut bytes = 1;
        for slot in &mut self.slots {
            let Some(item) = slot
                .item
                .as_ref()
                .filter(|_| slot.progress == Progress::Unsent)
            else {
                continue;
            };
            bytes += item.json.len() + 1;
            if items.len() >= events_max.max(1) || (bytes > bytes_max && !items.is_empty()) {
                break;
            }
            items.push(Arc::clone(item));
        }
        Batch { items }
    }

    /// The batch is sent now.
    pub(crate) fn sending(&mut self, batch: &Batch, at: Instant) {
        for item in &batch.items {
            if let Some(slot) = self.slot(item.position) {
                slot.attempts = slot.attempts.saturating_add(1);
                slot.last_sent = Some(at);
            }
        }
    }

    /// Whether any of these was sent before, so that the sink may have it.
    pub(crate) fn was_sent(&mut self, batch: &Batch) -> bool {
        let mut slots = batch.items.iter().map(|item| item.position);
        slots.any(|at| self.slot(at).is_some_and(|slot| slot.last_sent.is_some()))
    }

    /// The batch was delivered for certain.
    pub(crate) fn delivered(&mut self, batch: &Batch) {
        self.mark(batch, Progress::Settled);
        self.pass(batch.items.len());
        self.settle();
    }

    /// The batch was taken, but the sink has yet to show it.
    pub(crate) fn taken(&mut self, batch: &Batch, at: Instant) {
        // Its share of a split stays on the stack until it is shown, or split further.
        self.mark(batch, Progress::Sent(at));
    }

    /// A batch that the split stack is about was shown whole, or `n` events of it.
    pub(crate) fn pass(&mut self, n: usize) {
        let mut rest = n;
        while rest > 0
            && let Some(top) = self.split.pop()
        {
            if top > rest {
                self.split.push(top - rest);
            }
            rest = rest.saturating_sub(top);
        }
    }

    /// The batch was refused whole: a single event becomes a dead letter (true), more are split in halves.
    pub(crate) fn refused(&mut self, batch: &Batch, verdict: &Verdict) -> bool {
        let n = batch.items.len();
        self.pass(n);
        self.mark(batch, Progress::Unsent);
        if n > 1 {
            self.split.push(n - n / 2);
            self.split.push(n / 2);
            return false;
        }
        self.bury(batch, verdict);
        true
    }

    /// Makes dead letters of a batch.
    pub(crate) fn bury(&mut self, batch: &Batch, verdict: &Verdict) {
        for item in &batch.items {
            let attempts = self.slot(item.position).map_or(1, |slot| slot.attempts);
            self.dead.push(NewDeadLetter {
                position: item.position,
                webhook: item.webhook.clone(),
                event: item.event.clone(),
                code: verdict.code,
                reason: verdict.reason.clone(),
                answer: verdict.answer.clone(),
                attempts,
            });
        }
        self.mark(batch, Progress::Settled);
        self.settle();
    }

    /// Everything unconfirmed is sent again (suspects: tested again); a split under way starts anew.
    pub(crate) fn reset(&mut self) {
        self.change(|slot| match slot.progress {
            Progress::Sent(_) => Some(Progress::Unsent),
            Progress::Tested => Some(Progress::Suspect),
            Progress::Unsent | Progress::Suspect | Progress::Settled => None,
        });
        self.split.clear();
    }

    /// Unconfirmed events, in order.
    pub(crate) fn unconfirmed(&self) -> Vec<Arc<Item>> {
        let sent = |slot: &&Slot| matches!(slot.progress, Progress::Sent(_) | Progress::Tested);
        let slots = self.slots.iter().filter(sent);
        slots.filter_map(|slot| slot.item.clone()).collect()
    }

    /// When the oldest unconfirmed event that is no suspect was sent.
    pub(crate) fn unconfirmed_since(&self) -> Option<Instant> {
        let sent = self.slots.iter().filter_map(|slot| match slot.progress {
            Progress::Sent(at) => Some(at),
            Progress::Unsent | Progress::Suspect | Progress::Tested | Progress::Settled => None,
        });
        sent.min()
    }

    /// Unconfirmed events that are no suspects and were sent before a time.
    pub(crate) fn unconfirmed_before(&self, time: Instant) -> Vec<Position> {
        let late = |slot: &&Slot| matches!(slot.progress, Progress::Sent(at) if at <= time);
        self.slots
            .iter()
            .filter(late)
            .map(|slot| slot.position)
            .collect()
    }

    /// The sink shows these ids: how many events on their way that settles. Some may not even be sent.
    pub(crate) fn shown(&mut self, ids: &HashSet<Uuid>) -> usize {
        let settled = self.change(|slot| {
            let item = slot.item.as_ref()?;
            ids.contains(&item.event.id).then_some(Progress::Settled)
        });
        self.settle();
        settled
    }

    /// Holds events back until they are tested.
    pub(crate) fn suspect(&mut self, positions: &[Position]) {
        for at in positions {
            self.mark_one(*at, Progress::Suspect);
        }
    }

    /// Those of the suspects that are still on their way, as a batch.
    pub(crate) fn suspects(&mut self, positions: &[Position]) -> Batch {
        let held = positions.iter().filter_map(|at| {
            let slot = self.slot(*at)?;
            let is_held = matches!(slot.progress, Progress::Suspect | Progress::Tested);
            slot.item.clone().filter(|_| is_held)
        });
        Batch {
            items: held.collect(),
        }
    }

    /// The suspects were taken once more.
    pub(crate) fn tested(&mut self, batch: &Batch) {
        self.mark(batch, Progress::Tested);
    }

    /// When one of these was sent last.
    pub(crate) fn last_sent(&self, positions: &[Position]) -> Option<Instant> {
        let sent = positions.iter().filter_map(|at| {
            let place = self
                .slots
                .binary_search_by_key(at, |slot| slot.position)
                .ok()?;
            self.slots.get(place)?.last_sent
        });
        sent.max()
    }

    /// Everything up to and including this delivery is settled or not for this sink.
    pub(crate) fn frontier(&self) -> Seq {
        self.slots
            .front()
            .map_or(self.scanned, |slot| slot.position.seq.saturating_sub(1))
    }

    /// Whether there are dead letters to store.
    pub(crate) fn has_dead_letters(&self) -> bool {
        let frontier = self.frontier();
        self.dead.iter().any(|d| d.position.seq <= frontier)
    }

    /// Dead letters that may be stored with the cursor at the frontier.
    pub(crate) fn dead_letters(&self) -> Vec<NewDeadLetter> {
        let frontier = self.frontier();
        let passed = self.dead.iter().filter(|d| d.position.seq <= frontier);
        passed.cloned().collect()
    }

    /// The cursor is stored at `seq`, with the dead letters up to it.
    pub(crate) fn stored(&mut self, seq: Seq) {
        self.dead.retain(|d| d.position.seq > seq);
    }

    /// Leaves out everything up to and including `seq`.
    pub(crate) fn skip_to(&mut self, seq: Seq) {
        self.reset();
        while self
            .slots
            .front()
            .is_some_and(|slot| slot.position.seq <= seq)
        {
            self.pop_front();
        }
        self.settle();
        self.scanned = self.scanned.max(seq);
    }

    fn mark(&mut self, batch: &Batch, to: Progress) {
        for item in &batch.items {
            self.mark_one(item.position, to);
        }
    }

    fn mark_one(&mut self, position: Position, to: Progress) {
        let Some(slot) = self.slot(position) else {
            return;
        };
        let (from, bytes) = (slot.progress, slot.bytes());
        if from == Progress::Settled {
            return;
        }
        slot.turn(to);
        self.count(from, bytes, false);
        self.count(to, bytes, true);
    }

    /// Changes every slot for which there is a change; how many.
    fn change(&mut self, change: impl Fn(&Slot) -> Option<Progress>) -> usize {
        let changes: Vec<_> = self
            .slots
            .iter()
            .filter_map(|slot| Some((slot.position, change(slot)?)))
            .collect();
        for (position, to) in &changes {
            self.mark_one(*position, *to);
        }
        changes.len()
    }

    fn count(&mut self, progress: Progress, bytes: usize, more: bool) {
        let step = |n: usize, by: usize| if more { n + by } else { n.saturating_sub(by) };
        match progress {
            Progress::Unsent => {
                self.unsent = step(self.unsent, 1);
                self.unsent_bytes = step(self.unsent_bytes, bytes);
            }
            Progress::Sent(_) | Progress::Tested => self.sent = step(self.sent, 1),
            Progress::Suspect => {}
            Progress::Settled => return,
        }
        self.bytes = step(self.bytes, bytes);
    }

    fn slot(&mut self, position: Position) -> Option<&mut Slot> {
        let at = self
            .slots
            .binary_search_by_key(&position, |slot| slot.position)
            .ok()?;
        self.slots.get_mut(at)
    }

    fn settle(&mut self) {
        while self
            .slots
            .front()
            .is_some_and(|slot| slot.progress == Progress::Settled)
        {
            self.pop_front();
        }
    }

    fn pop_front(&mut self) {
        if let Some(slot) = self.slots.pop_front() {
            self.count(slot.progress, slot.bytes(), false);
        }
    }
}

impl Slot {
    fn bytes(&self) -> usize {
        self.item.as_ref().map_or(0, |item| item.json.len() + 1)
    }

    /// Lets go of an event that is settled.
    fn turn(&mut self, to: Progress) {
        self.progress = to;
        if to == Progress::Settled {
            self.item = None;
        }
    }
}

#[cfg(test)]
mod tests;
