//! The window against books that are kept beside it.

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
        trace: None,
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
        assert_eq!(window.bytes(), unsettled * 10);
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
