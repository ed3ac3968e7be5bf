use super::*;
use crate::log::retention::Clock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};

pub(super) const START: i64 = 1_800_000_000;

/// A clock that a test moves; both hands go together unless it says otherwise.
#[derive(Clone)]
pub(super) struct Hands {
    pub(super) wall: Arc<AtomicI64>,
    pub(super) steady: Arc<AtomicU64>,
}

impl Hands {
    pub(super) fn new() -> Self {
        Self {
            wall: Arc::new(AtomicI64::new(START)),
            steady: Arc::default(),
        }
    }

    pub(super) fn pass(&self, time: Duration) {
        self.wall
            .fetch_add(i64::try_from(time.as_secs()).unwrap(), SeqCst);
        self.steady.fetch_add(time.as_secs(), SeqCst);
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_second(self.wall.load(SeqCst)).unwrap()
    }

    pub(super) fn options(&self) -> Options {
        let (wall, steady) = (self.clone(), self.clone());
        Options {
            clock: Clock {
                wall: Arc::new(move || wall.now()),
                steady: Arc::new(move || Duration::from_secs(steady.steady.load(SeqCst))),
            },
            maintenance_every: DAY,
            ..Options::default()
        }
    }
}

fn with(folder: &Path, hands: &Hands, change: impl FnOnce(&mut StoreSettings)) -> Arc<SqliteLog> {
    let mut settings = settings(folder);
    change(&mut settings);
    start_with(&settings, hands.options())
}

fn put_now(log: &SqliteLog, hands: &Hands, outcome: Outcome) -> Appended {
    let mut append = delivery(1);
    append.delivery.received = hands.now();
    append.delivery.outcome = outcome;
    put(log, append).unwrap()
}

fn stored(log: &SqliteLog) -> Vec<u64> {
    log.read(0, 10_000, usize::MAX)
        .unwrap()
        .iter()
        .map(|r| r.seq)
        .collect()
}

#[test]
fn deliveries_past_retention_go_but_never_past_the_floor() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::new();
    let log = with(folder.path(), &hands, |_| {});
    for _ in 0..1_200 {
        put_now(&log, &hands, Outcome::Accepted);
    }
    hands.pass(DAY * 15);
    for _ in 0..3 {
        put_now(&log, &hands, Outcome::Accepted);
    }
    hands.pass(DAY * 16);
    log.maintain();
    assert_eq!(stored(&log).len(), 1_203, "nobody has said what sinks need");
    log.set_retention_floor(Arc::new(|| Some(700)));
    log.maintain();
    assert_eq!(stored(&log).first(), Some(&701));
    assert_eq!(log.stats().oldest, 701);
    log.set_retention_floor(Arc::new(|| None));
    log.maintain();
    assert_eq!(stored(&log), [1_201, 1_202, 1_203]);
    let stats = log.stats();
    assert_eq!(
        stats.oldest_received.unwrap().as_second(),
        START + 15 * 86_400
    );
    hands.pass(DAY * 90);
    log.maintain();
    assert_eq!(stored(&log), [1_203], "the newest stays");
    drop(log);
    let log = with(folder.path(), &hands, |_| {});
    assert_eq!(stored(&log), [1_203]);
    assert_eq!(put_now(&log, &hands, Outcome::Accepted).seq, 1_204);
}

#[test]
fn requests_go_earlier_but_those_of_parked_deliveries_stay() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::new();
    let log = with(folder.path(), &hands, |s| s.requests = DAY * 7);
    log.set_retention_floor(Arc::new(|| Some(4)));
    for outcome in [
        Outcome::Accepted,
        Outcome::Parked,
        Outcome::Ignored,
        Outcome::Duplicate,
    ] {
        put_now(&log, &hands, outcome);
    }
    hands.pass(DAY * 8);
    put_now(&log, &hands, Outcome::Accepted);
    log.maintain();
    let kept = |log: &SqliteLog| -> Vec<bool> {
        (1..=5)
            .map(|seq| log.request(seq).unwrap().is_some())
            .collect()
    };
    assert_eq!(kept(&log), [false, true, false, false, true]);
    hands.pass(DAY * 8);
    put_now(&log, &hands, Outcome::Accepted);
    log.maintain();
    assert_eq!(
        kept(&log),
        [false, true, false, false, true],
        "5 is past the floor"
    );
    log.set_retention_floor(Arc::new(|| None));
    log.maintain();
    assert_eq!(kept(&log), [false, true, false, false, false]);
    assert_eq!(stored(&log).len(), 6);
}

#[test]
fn a_clock_that_jumps_deletes_nothing_fresh() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::new();
    let log = with(folder.path(), &hands, |_| {});
    log.set_retention_floor(Arc::new(|| None));
    for _ in 0..3 {
        put_now(&log, &hands, Outcome::Accepted);
    }
    for second in [0, 4_070_908_800] {
        hands.wall.store(second, SeqCst);
        put_now(&log, &hands, Outcome::Accepted);
        log.maintain();
        assert_eq!(stored(&log).first(), Some(&1), "at {second}");
    }
    hands.wall.store(START, SeqCst);
    hands.pass(DAY);
    put_now(&log, &hands, Outcome::Accepted);
    log.maintain();
    assert_eq!(stored(&log), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn keys_outlive_their_deliveries_and_end_with_the_window() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::new();
    let log = with(folder.path(), &hands, |s| s.retention = DAY);
    log.set_retention_floor(Arc::new(|| None));
    let put_key = |key: &str| {
        let mut append = keyed(key);
        append.delivery.received = hands.now();
        put(&*log, append).unwrap()
    };
    put_key("k");
    hands.pass(DAY * 2);
    put_now(&log, &hands, Outcome::Accepted);
    log.maintain();
    assert_eq!(stored(&log), [2]);
    assert_eq!(put_key("k").duplicate_of, Some(1));
    for n in 0..1_100 {
        put_key(&n.to_string());
    }
    hands.pass(DAY * 2);
    log.maintain();
    assert!(log.shared.keys.len() > 1_000);
    hands.pass(DAY * 2);
    log.maintain();
    assert!(log.shared.keys.len() < 100, "{}", log.shared.keys.len());
    assert_eq!(put_key("k").outcome, Outcome::Accepted);
}

#[test]
fn keys_end_with_the_window_where_little_comes_in_and_the_record_is_gone() {
    for (retention, dedup) in [(DAY, DAY * 3), (DAY * 30, DAY * 3), (DAY, DAY)] {
        let folder = tempfile::tempdir().unwrap();
        let hands = Hands::new();
        let set = |s: &mut StoreSettings| (s.retention, s.dedup) = (retention, dedup);
        let log = with(folder.path(), &hands, set);
        log.set_retention_floor(Arc::new(|| None));
        let put_key = |log: &SqliteLog, key: &str| {
            let mut append = keyed(key);
            append.delivery.received = hands.now();
            put(log, append).unwrap()
        };
        put_key(&log, "before");
        hands.pass(DAY / 2);
        put_key(&log, "k");
        hands.pass(retention.max(dedup) + DAY);
        put_key(&log, "other");
        log.maintain();
        assert_eq!(stored(&log), [3]);
        assert_eq!(put_key(&log, "k").outcome, Outcome::Accepted);
        // And after a restart, from the snapshot.
        hands.pass(retention.max(dedup) + DAY);
        put_key(&log, "another");
        log.maintain();
        drop(log);
        let log = with(folder.path(), &hands, set);
        assert_eq!(put_key(&log, "k").outcome, Outcome::Accepted);
    }
}

#[test]
fn a_full_store_warns_refuses_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::new();
    let log = with(folder.path(), &hands, |s| {
        s.max_size = Some(4 * 1024 * 1024)
    });
    log.set_retention_floor(Arc::new(|| None));
    let big = |log: &SqliteLog| {
        let mut append = delivery(1);
        append.delivery.received = hands.now();
        append.request = Some(vec![7; 300_000]);
        put(log, append)
    };
    let mut taken = 0;
    while big(&log).is_ok() {
        taken += 1;
        assert!(taken < 30);
        eventually("the size is looked at", || {
            log.maintain();
            log.stats().bytes > taken * 200_000
        });
    }
    assert!(matches!(big(&log), Err(LogError::OverSize)));
    assert!(log.stats().over_size && log.stats().writable);
    let warned = || {
        let records = log.read(0, 100, usize::MAX).unwrap();
        let names = records.iter().flat_map(|r| &r.delivery.events);
        names
            .filter(|e| e.event == "hookgate.store.filling")
            .count()
    };
    eventually("the warning is recorded", || warned() == 1);
    log.maintain();
    assert_eq!(warned(), 1, "once");
    hands.pass(DAY * 31);
    log.maintain();
    assert!(!log.stats().over_size);
    big(&log).unwrap();
}

#[test]
fn space_that_retention_freed_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::new();
    let log = with(folder.path(), &hands, |_| {});
    log.set_retention_floor(Arc::new(|| None));
    let round = || {
        for _ in 0..100 {
            let mut append = delivery(1);
            append.delivery.received = hands.now();
            append.request = Some(vec![7; 30_000]);
            put(&*log, append).unwrap();
        }
        hands.pass(DAY * 31);
        log.maintain();
        let conn = crate::log::stores::schema::reopen(&log.shared.path).unwrap();
        conn.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let first = round();
    round();
    assert!(round() <= first + first / 10);
}
