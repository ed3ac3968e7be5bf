//! The events between a sink's cursor and what was read: what is sent, shown, refused, and how far the
//! cursor may move. Pure; the loop around it does the waiting and the sending.
//!
//! Invariants: events leave in order; the frontier never goes back and never passes an event that is not
//! settled; a dead letter is handed out only once the frontier has passed its delivery, so that a crash
//! cannot make two of it.

use crate::codes::Code;
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
    /// The event as JSON on one line.
    pub(crate) json: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Unsent,
    /// Taken by the sink, not shown by it yet.
    Sent(Instant),
    Settled,
}

#[derive(Debug)]
struct Slot {
    item: Arc<Item>,
    progress: Progress,
    attempts: u32,
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
    /// Bytes of everything that is kept.
    bytes: usize,
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
                item: Arc::new(item),
                progress: Progress::Unsent,
                attempts: 0,
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

    /// Bytes of all events that are kept, also of those that wait behind an unsettled one.
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
        self.slots.front().map(|slot| slot.item.received)
    }

    /// The next unsent events within both limits (at least one, if there is any).
    pub(crate) fn next_batch(&mut self, events_max: usize, bytes_max: usize) -> Batch {
        let events_max = self.split.last().map_or(events_max, |n| events_max.min(*n));
        let mut items = Vec::new();
        let mut bytes = 1;
        for slot in &mut self.slots {
            if slot.progress != Progress::Unsent {
                continue;
            }
            bytes += slot.item.json.len() + 1;
            if items.len() >= events_max.max(1) || (bytes > bytes_max && !items.is_empty()) {
                break;
            }
            slot.attempts = slot.attempts.saturating_add(1);
            items.push(Arc::clone(&slot.item));
        }
        Batch { items }
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
        self.settle();
        true
    }

    fn bury(&mut self, batch: &Batch, verdict: &Verdict) {
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
    }

    /// Everything unconfirmed is sent again; a split under way starts anew.
    pub(crate) fn reset(&mut self) {
        for slot in &mut self.slots {
            if matches!(slot.progress, Progress::Sent(_)) {
                slot.progress = Progress::Unsent;
                self.sent -= 1;
                self.unsent += 1;
                self.unsent_bytes += slot.item.json.len() + 1;
            }
        }
        self.split.clear();
    }

    /// Unconfirmed events, in order.
    pub(crate) fn unconfirmed(&self) -> Vec<Arc<Item>> {
        let sent = |slot: &&Slot| matches!(slot.progress, Progress::Sent(_));
        let slots = self.slots.iter().filter(sent);
        slots.map(|slot| Arc::clone(&slot.item)).collect()
    }

    /// When the oldest unconfirmed event was sent.
    pub(crate) fn unconfirmed_since(&self) -> Option<Instant> {
        let sent = self.slots.iter().filter_map(|slot| match slot.progress {
            Progress::Sent(at) => Some(at),
            Progress::Unsent | Progress::Settled => None,
        });
        sent.min()
    }

    /// The sink shows these ids: how many unconfirmed events that settles.
    pub(crate) fn shown(&mut self, ids: &HashSet<Uuid>) -> usize {
        let mut settled = 0;
        for slot in &mut self.slots {
            if matches!(slot.progress, Progress::Sent(_)) && ids.contains(&slot.item.event.id) {
                slot.progress = Progress::Settled;
                settled += 1;
            }
        }
        self.sent -= settled;
        self.settle();
        settled
    }

    /// Everything up to and including this delivery is settled or not for this sink.
    pub(crate) fn frontier(&self) -> Seq {
        self.slots.front().map_or(self.scanned, |slot| {
            slot.item.position.seq.saturating_sub(1)
        })
    }

    /// The oldest event that is not settled.
    pub(crate) fn front(&self) -> Option<Position> {
        self.slots.front().map(|slot| slot.item.position)
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
            .is_some_and(|slot| slot.item.position.seq <= seq)
        {
            self.pop_front();
        }
        self.settle();
        self.scanned = self.scanned.max(seq);
    }

    fn mark(&mut self, batch: &Batch, to: Progress) {
        for item in &batch.items {
            let bytes = item.json.len() + 1;
            let Some(slot) = self.slot(item.position) else {
                continue;
            };
            let from = std::mem::replace(&mut slot.progress, to);
            self.count(from, bytes, false);
            self.count(to, bytes, true);
        }
    }

    fn count(&mut self, progress: Progress, bytes: usize, more: bool) {
        let step = |n: usize, by: usize| if more { n + by } else { n.saturating_sub(by) };
        match progress {
            Progress::Unsent => {
                self.unsent = step(self.unsent, 1);
                self.unsent_bytes = step(self.unsent_bytes, bytes);
            }
            Progress::Sent(_) => self.sent = step(self.sent, 1),
            Progress::Settled => {}
        }
    }

    fn slot(&mut self, position: Position) -> Option<&mut Slot> {
        let at = self
            .slots
            .binary_search_by_key(&position, |slot| slot.item.position)
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
            let bytes = slot.item.json.len() + 1;
            self.count(slot.progress, bytes, false);
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::event;
    use super::*;
    use crate::codes;
    use proptest::prelude::*;

    fn item(seq: Seq, index: u32, n: u64) -> Item {
        Item {
            position: Position { seq, index },
            webhook: None,
            received: Timestamp::now(),
            event: event("x", n),
            json: "x".repeat(9),
        }
    }

    fn verdict() -> Verdict {
        Verdict {
            code: codes::SINK_REFUSED,
            reason: "no".into(),
            answer: String::new(),
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Read { deliveries: u64, events: u32 },
        Deliver(usize),
        Refuse(usize),
        Take(usize),
        Show(usize),
        Reset,
        Store,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..3_u64, 0..5_u32).prop_map(|(deliveries, events)| Step::Read { deliveries, events }),
            (1..6_usize).prop_map(Step::Deliver),
            (1..6_usize).prop_map(Step::Refuse),
            (1..6_usize).prop_map(Step::Take),
            (0..12_usize).prop_map(Step::Show),
            Just(Step::Reset),
            Just(Step::Store),
        ]
    }

    /// What a sink and a store would hold.
    #[derive(Default)]
    struct Books {
        scanned: Seq,
        numbers: u64,
        all: Vec<Position>,
        settled: HashSet<Position>,
        dead: HashSet<Position>,
        stored_dead: Vec<Position>,
        frontier: Seq,
    }

    impl Books {
        fn apply(&mut self, window: &mut Window, step: &Step) {
            let places = |batch: &Batch| batch.items.iter().map(|i| i.position).collect::<Vec<_>>();
            match *step {
                Step::Read { deliveries, events } => {
                    let mut items = Vec::new();
                    for seq in self.scanned + 1..=self.scanned + deliveries {
                        for index in 0..events {
                            items.push(item(seq, index, self.numbers));
                            self.all.push(Position { seq, index });
                            self.numbers += 1;
                        }
                    }
                    self.scanned += deliveries;
                    window.extend(items, self.scanned);
                }
                Step::Deliver(n) => {
                    let batch = window.next_batch(n, 1_000);
                    self.settled.extend(places(&batch));
                    window.delivered(&batch);
                }
                Step::Refuse(n) => {
                    let batch = window.next_batch(n, 1_000);
                    if !batch.items.is_empty() && window.refused(&batch, &verdict()) {
                        self.dead.extend(places(&batch));
                    }
                }
                Step::Take(n) => {
                    let batch = window.next_batch(n, 1_000);
                    window.taken(&batch, Instant::now());
                    window.pass(batch.items.len());
                }
                Step::Show(n) => {
                    let shown: Vec<_> = window.unconfirmed().into_iter().take(n).collect();
                    self.settled.extend(shown.iter().map(|i| i.position));
                    window.shown(&shown.iter().map(|i| i.event.id).collect());
                }
                Step::Reset => window.reset(),
                Step::Store => {
                    let stored = window.dead_letters().into_iter().map(|d| d.position);
                    self.stored_dead.extend(stored);
                    window.stored(window.frontier());
                }
            }
        }

        fn check(&mut self, window: &Window) {
            let frontier = window.frontier();
            assert!(frontier >= self.frontier, "the frontier went back");
            self.frontier = frontier;
            let open = |p: &&Position| !self.settled.contains(p) && !self.dead.contains(p);
            let first_open = self.all.iter().find(open);
            let expected = first_open.map_or(self.scanned, |p| p.seq - 1);
            assert_eq!(frontier, expected, "neither skips nor lags");
            let unsettled = self.all.iter().filter(open).count();
            assert_eq!(window.unsent() + window.sent(), unsettled);
            assert_eq!(window.unsent_bytes(), window.unsent() * 10);
            assert_eq!(window.bytes(), window.slots.len() * 10);
        }
    }

    proptest! {
        #[test]
        fn the_frontier_follows_exactly_what_is_settled(steps in prop::collection::vec(step(), 0..80)) {
            let mut window = Window::new(0);
            let mut books = Books::default();
            for step in &steps {
                books.apply(&mut window, step);
                books.check(&window);
            }
            // Whatever happened, delivering the rest settles everything, and each dead letter is kept once.
            window.reset();
            while window.unsent() > 0 {
                books.apply(&mut window, &Step::Deliver(3));
            }
            books.apply(&mut window, &Step::Store);
            books.check(&window);
            let kept: HashSet<_> = books.stored_dead.iter().copied().collect();
            prop_assert_eq!(kept.len(), books.stored_dead.len());
            prop_assert_eq!(kept, books.dead);
        }

        #[test]
        fn halving_finds_every_poison_event(poison in prop::collection::hash_set(0..200_u64, 0..12)) {
            let mut window = Window::new(0);
            window.extend((0..200).map(|n| item(n + 1, 0, n)).collect(), 200);
            let mut delivered = Vec::new();
            let mut tries = 0;
            while window.unsent() > 0 {
                let batch = window.next_batch(200, 1_000_000);
                let numbers: Vec<_> = batch.items.iter().map(|i| i.position.seq - 1).collect();
                tries += 1;
                if numbers.iter().any(|n| poison.contains(n)) {
                    window.refused(&batch, &verdict());
                } else {
                    delivered.extend(numbers);
                    window.delivered(&batch);
                }
            }
            let fine: Vec<_> = (0..200).filter(|n| !poison.contains(n)).collect();
            prop_assert_eq!(delivered, fine);
            prop_assert_eq!(window.dead_letters().len(), poison.len());
            prop_assert!(tries <= 1 + 17 * poison.len());
            prop_assert!(!window.is_split());
        }
    }

    #[test]
    fn batches_keep_both_limits() {
        let mut window = Window::new(0);
        window.extend((0..10).map(|n| item(n + 1, 0, n)).collect(), 10);
        assert_eq!(window.next_batch(3, 1_000).items.len(), 3);
        assert_eq!(window.next_batch(100, 1 + 40).items.len(), 4);
        assert_eq!(
            window.next_batch(100, 1).items.len(),
            1,
            "one that is too large goes alone"
        );
    }
}
