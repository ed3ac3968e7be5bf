use super::*;
use crate::log::EventContent;
use std::sync::Barrier;

#[test]
fn copies_that_arrive_at_once_are_accepted_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = start(folder.path());
    let barrier = Barrier::new(64);
    let all: Vec<Appended> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..64)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    put(&*log, keyed("same")).unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let accepted: Vec<_> = all
        .iter()
        .filter(|a| a.outcome == Outcome::Accepted)
        .collect();
    assert_eq!(accepted.len(), 1);
    assert_eq!(accepted[0].seq, 1);
    assert!(
        all.iter()
            .filter(|a| a.outcome == Outcome::Duplicate)
            .all(|a| a.duplicate_of == Some(1) && a.events == 0)
    );
    let records = log.read(0, 100, usize::MAX).unwrap();
    assert_eq!(
        records
            .iter()
            .map(|r| r.delivery.events.len())
            .sum::<usize>(),
        1
    );
    assert!(
        log.request(64).unwrap().is_some(),
        "a duplicate keeps its request"
    );
}

#[test]
fn keys_are_known_after_a_restart_with_and_without_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let log = start(folder.path());
    for n in 0..20 {
        put(&*log, keyed(&format!("key-{n}"))).unwrap();
    }
    drop(log);
    let snapshot = folder.path().join("keys.snap");
    assert!(snapshot.exists());
    let known = |log: &SqliteLog, n: u64| {
        let done = put(log, keyed(&format!("key-{n}"))).unwrap();
        assert_eq!(
            (done.outcome, done.duplicate_of),
            (Outcome::Duplicate, Some(n + 1))
        );
    };
    let log = start(folder.path());
    known(&log, 3);
    drop(log);
    std::fs::remove_file(&snapshot).unwrap();
    let log = start(folder.path());
    known(&log, 19);
    assert_eq!(
        put(&*log, keyed("key-20")).unwrap().outcome,
        Outcome::Accepted
    );
    let old = std::fs::read(&snapshot);
    assert!(old.is_err());
    drop(log);
    // A snapshot of before, and a log that went on: the tail is replayed.
    let early = std::fs::read(&snapshot).unwrap();
    let log = start(folder.path());
    assert_eq!(
        put(&*log, keyed("late")).unwrap().outcome,
        Outcome::Accepted
    );
    drop(log);
    std::fs::write(&snapshot, early).unwrap();
    let log = start(folder.path());
    assert_eq!(
        put(&*log, keyed("late")).unwrap().outcome,
        Outcome::Duplicate
    );
    known(&log, 7);
    drop(log);
    // A snapshot of another, longer log is not believed.
    let other = tempfile::tempdir().unwrap();
    let log = start(other.path());
    put(&*log, keyed("first")).unwrap();
    drop(log);
    std::fs::copy(&snapshot, other.path().join("keys.snap")).unwrap();
    let log = start(other.path());
    assert_eq!(
        put(&*log, keyed("key-3")).unwrap().outcome,
        Outcome::Accepted
    );
    assert_eq!(
        put(&*log, keyed("first")).unwrap().outcome,
        Outcome::Duplicate
    );
}

#[test]
fn the_window_is_by_time_of_receipt() {
    let folder = tempfile::tempdir().unwrap();
    let log = start(folder.path());
    let at = |hours: i64| {
        let mut append = keyed("k");
        append.delivery.received = Timestamp::from_second(1_800_000_000 + hours * 3600).unwrap();
        put(&*log, append).unwrap()
    };
    assert_eq!(at(0).outcome, Outcome::Accepted);
    assert_eq!(at(71).duplicate_of, Some(1));
    assert_eq!(at(-100).duplicate_of, Some(1), "a clock put back");
    assert_eq!(at(72).outcome, Outcome::Accepted);
    assert_eq!(at(73).duplicate_of, Some(4));
}

#[test]
fn a_key_belongs_to_its_webhook_and_to_outcomes_that_were_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log = start(folder.path());
    let with = |webhook: &str, outcome: Outcome| {
        let mut append = keyed("k");
        append.delivery.webhook = Some(webhook.to_owned());
        append.delivery.outcome = outcome;
        put(&*log, append).unwrap()
    };
    assert_eq!(with("a", Outcome::Rejected).outcome, Outcome::Rejected);
    assert_eq!(with("a", Outcome::Parked).outcome, Outcome::Parked);
    assert_eq!(with("a", Outcome::Accepted).duplicate_of, Some(2));
    assert_eq!(with("b", Outcome::Ignored).outcome, Outcome::Ignored);
    assert_eq!(with("b", Outcome::Parked).duplicate_of, Some(4));
    let stored = log.get(5).unwrap().unwrap().delivery;
    assert_eq!(
        (stored.outcome, stored.duplicate_of, stored.status),
        (Outcome::Duplicate, Some(4), 204)
    );
}

#[test]
fn known_items_of_a_batch_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let log = start(folder.path());
    let batch = |log: &SqliteLog, keys: &[&str]| {
        let mut append = delivery(keys.len());
        append.keys = AppendKeys::PerEvent(keys.iter().map(|k| (*k).to_owned()).collect());
        put(log, append).unwrap()
    };
    assert_eq!(batch(&log, &["a", "b"]).events, 2);
    let mixed = batch(&log, &["b", "c", "a"]);
    assert_eq!(
        (mixed.outcome, mixed.events, mixed.duplicate_of),
        (Outcome::Accepted, 1, None)
    );
    let stored = log.get(2).unwrap().unwrap().delivery;
    assert_eq!(stored.events[0].event, "e.1");
    assert_eq!(
        stored.notes[0].message,
        "2 of 3 events were left out: deliveries before this one brought them"
    );
    assert_eq!(batch(&log, &["c", "a"]).duplicate_of, Some(2));
    assert_eq!(batch(&log, &[]).outcome, Outcome::Accepted);
    drop(log);
    std::fs::remove_file(folder.path().join("keys.snap")).unwrap();
    let log = start(folder.path());
    assert_eq!(batch(&log, &["a"]).duplicate_of, Some(1));
    assert_eq!(batch(&log, &["c"]).duplicate_of, Some(2));
    assert_eq!(batch(&log, &["d"]).outcome, Outcome::Accepted);
}

#[test]
fn one_fingerprint_of_two_keys_makes_no_duplicate() {
    let folder = tempfile::tempdir().unwrap();
    let log = start(folder.path());
    put(&*log, keyed("one")).unwrap();
    // As if "two" had the fingerprint of "one".
    let print = crate::log::keys::fingerprint(Some("w"), "two");
    log.shared.keys.insert(print, 1, false);
    assert_eq!(put(&*log, keyed("two")).unwrap().outcome, Outcome::Accepted);
    assert_eq!(put(&*log, keyed("two")).unwrap().duplicate_of, Some(2));
    assert_eq!(log.shared.keys.collided(print), [1]);
    assert_eq!(put(&*log, keyed("one")).unwrap().duplicate_of, Some(1));
}

#[test]
fn a_damaged_holder_makes_no_duplicate() {
    let folder = tempfile::tempdir().unwrap();
    let log = start(folder.path());
    put(&*log, keyed("k")).unwrap();
    let conn = crate::log::stores::schema::reopen(&log.shared.path).unwrap();
    conn.execute("UPDATE deliveries SET head = zeroblob(40)", [])
        .unwrap();
    assert_eq!(put(&*log, keyed("k")).unwrap().outcome, Outcome::Accepted);
    assert_eq!(put(&*log, keyed("k")).unwrap().duplicate_of, Some(2));
}

#[test]
fn other_content_is_told_while_the_first_request_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log = start(folder.path());
    // Each has a body of its own.
    assert!(!put(&*log, keyed("k")).unwrap().other_content);
    let again = put(&*log, keyed("k")).unwrap();
    assert_eq!(
        (again.outcome, again.other_content),
        (Outcome::Duplicate, true)
    );
    let stored = log.get(2).unwrap().unwrap().delivery;
    assert_eq!(stored.code, Some(crate::codes::OTHER_CONTENT));
    let conn = crate::log::stores::schema::reopen(&log.shared.path).unwrap();
    conn.execute("UPDATE deliveries SET request = NULL WHERE seq = 1", [])
        .unwrap();
    let again = put(&*log, keyed("k")).unwrap();
    assert_eq!(
        (again.outcome, again.other_content),
        (Outcome::Duplicate, false)
    );
    assert_eq!(log.get(3).unwrap().unwrap().delivery.code, None);
}

#[test]
fn what_an_event_was_made_of_is_told_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let batch = |log: &SqliteLog, items: &[(&str, &str)]| {
        let mut append = delivery(items.len());
        append.keys = AppendKeys::PerEvent(items.iter().map(|(k, _)| (*k).to_owned()).collect());
        let contents = items.iter().map(|(_, data)| EventContent::new("t", data));
        append.contents = contents.collect();
        put(log, append).unwrap()
    };
    let log = start(folder.path());
    batch(&log, &[("a", "1"), ("b", "1")]);
    // `b` is left out: what is kept of the second delivery is `c` alone.
    assert!(!batch(&log, &[("b", "1"), ("c", "1")]).other_content);
    drop(log);
    let log = start(folder.path());
    assert!(!batch(&log, &[("c", "1"), ("a", "1")]).other_content);
    assert!(batch(&log, &[("c", "2"), ("a", "1")]).other_content);
    assert!(batch(&log, &[("d", "1"), ("a", "2")]).other_content);
}
