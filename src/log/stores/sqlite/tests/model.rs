//! The log against the model in memory.

use super::retention::Hands;
use super::*;
use crate::log::memory::MemoryLog;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Append(Append2),
    Read(u64, usize),
    Reopen { snapshot: bool },
    Pass(u64),
    Retain(u64),
}

#[derive(Debug, Clone)]
struct Append2 {
    webhook: bool,
    keys: Vec<u8>,
    each: bool,
    outcome: usize,
}

fn step() -> impl Strategy<Value = Step> {
    let keys = proptest::collection::btree_set(0..12_u8, 0..4);
    let append = (any::<bool>(), keys, any::<bool>(), 0..4_usize).prop_map(
        |(webhook, keys, each, outcome)| {
            Step::Append(Append2 {
                webhook,
                keys: keys.into_iter().collect(),
                each,
                outcome,
            })
        },
    );
    prop_oneof![
        8 => append,
        2 => (0..60_u64, 1..20_usize).prop_map(|(after, count)| Step::Read(after, count)),
        1 => any::<bool>().prop_map(|snapshot| Step::Reopen { snapshot }),
        2 => (1..40_u64).prop_map(Step::Pass),
        1 => (0..60_u64).prop_map(Step::Retain),
    ]
}

fn make(step: &Append2, hands: &Hands) -> [Append; 2] {
    let outcomes = [
        Outcome::Accepted,
        Outcome::Accepted,
        Outcome::Parked,
        Outcome::Ignored,
    ];
    let outcome = outcomes[step.outcome];
    let keys: Vec<String> = step.keys.iter().map(ToString::to_string).collect();
    let make = |id: Option<(Uuid, Vec<Event>)>| {
        let events = if outcome == Outcome::Accepted {
            keys.len().max(1)
        } else {
            0
        };
        let mut append = delivery(events);
        if let Some((id, events)) = id {
            append.delivery.id = id;
            append.delivery.events = events;
        }
        append.delivery.webhook = Some(step.webhook.to_string());
        append.delivery.received = hands.now();
        append.delivery.outcome = outcome;
        append.keys = match keys.first() {
            Some(_) if step.each => AppendKeys::PerEvent(keys.clone()),
            Some(key) => {
                append.delivery.key = Some(key.clone());
                AppendKeys::Delivery(key.clone())
            }
            None => AppendKeys::None,
        };
        append
    };
    let first = make(None);
    let mut second = make(Some((first.delivery.id, first.delivery.events.clone())));
    second.request.clone_from(&first.request);
    second.delivery.request.clone_from(&first.delivery.request);
    [first, second]
}

fn same(real: &dyn EventLog, model: &dyn EventLog, after: u64, count: usize) {
    let records = |log: &dyn EventLog| -> Vec<(u64, String)> {
        let records = log.read(after, count, usize::MAX).unwrap();
        let text = |d: &Delivery| {
            let mut d = d.clone();
            // The model's wording is its own.
            // So is what it takes for other content: nothing.
            d.notes.retain(|note| note.code.is_none());
            d.code = None;
            d.notes.iter_mut().for_each(|note| note.message.clear());
            serde_json::to_string(&d).unwrap()
        };
        records.iter().map(|r| (r.seq, text(&r.delivery))).collect()
    };
    assert_eq!(records(real), records(model));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_log_does_what_its_model_does(steps in proptest::collection::vec(step(), 1..80)) {
        let folder = tempfile::tempdir().unwrap();
        let hands = Hands::new();
        let mut settings = settings(folder.path());
        settings.requests = DAY * 10;
        let model = MemoryLog::new(settings.dedup);
        let mut log = start_with(&settings, hands.options());
        for step in steps {
            match step {
                Step::Append(append) => {
                    let [one, two] = make(&append, &hands);
                    let mut real = put(&*log, one).unwrap();
                    real.other_content = false;
                    prop_assert_eq!(real, put(&model, two).unwrap());
                }
                Step::Read(after, count) => same(&*log, &model, after, count),
                Step::Reopen { snapshot } => {
                    drop(log);
                    if !snapshot {
                        std::fs::remove_file(folder.path().join("keys.snap")).unwrap();
                    }
                    log = start_with(&settings, hands.options());
                    prop_assert_eq!(*log.head().borrow(), *model.head().borrow());
                }
                Step::Pass(hours) => {
                    hands.pass(Duration::from_secs(hours * 3_600));
                    // Or the clock of a reopened log could be far ahead of its newest record, which it doubts.
                    let none = Append2 { webhook: true, keys: Vec::new(), each: false, outcome: 0 };
                    let [one, two] = make(&none, &hands);
                    prop_assert_eq!(put(&*log, one).unwrap(), put(&model, two).unwrap());
                }
                Step::Retain(floor) => {
                    let head = *model.head().borrow();
                    let last = |age: Duration| {
                        let rows = model.read(0, usize::MAX, usize::MAX).unwrap();
                        let limit = hands.now() - jiff::SignedDuration::try_from(age).unwrap();
                        let old = rows.iter().take_while(|r| r.delivery.received < limit);
                        old.last().map_or(0, |r| r.seq).min(floor).min(head.saturating_sub(1))
                    };
                    let (deleted, cleared) = (last(settings.retention), last(settings.requests));
                    log.set_retention_floor(Arc::new(move || Some(floor)));
                    log.maintain();
                    model.delete_to(deleted);
                    model.clear_to(cleared);
                }
            }
        }
        same(&*log, &model, 0, 1_000);
        for seq in 1..=*model.head().borrow() {
            prop_assert_eq!(log.request(seq).unwrap(), model.request(seq).unwrap());
        }
    }
}
