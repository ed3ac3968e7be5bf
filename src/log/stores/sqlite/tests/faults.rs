use super::super::{FailurePoint, shared::FailureHook};
use super::*;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex};

fn failing(hook: impl Fn(FailurePoint) -> Option<String> + Send + Sync + 'static) -> Options {
    let hook: FailureHook = Arc::new(hook);
    Options {
        failures: Some(hook),
        ..Options::default()
    }
}

/// A gate at which the writer waits.
#[derive(Default)]
struct Gate {
    shut: Mutex<(bool, bool)>,
    moved: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut shut = self.shut.lock().unwrap();
        shut.1 |= shut.0;
        self.moved.notify_all();
        while shut.0 {
            shut = self.moved.wait(shut).unwrap();
        }
    }

    fn set(&self, to: bool) {
        *self.shut.lock().unwrap() = (to, false);
        self.moved.notify_all();
    }

    fn wait_until_reached(&self) {
        let mut shut = self.shut.lock().unwrap();
        while !shut.1 {
            shut = self.moved.wait(shut).unwrap();
        }
    }
}

fn gated(queue: usize, folder: &Path) -> (Arc<SqliteLog>, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let at_commit = Arc::clone(&gate);
    let options = failing(move |point| {
        if point == FailurePoint::Commit {
            at_commit.pass();
        }
        None
    });
    let mut settings = settings(folder);
    settings.queue = queue;
    (start_with(&settings, options), gate)
}

#[test]
fn a_full_queue_refuses_and_nothing_is_answered_early() {
    let folder = tempfile::tempdir().unwrap();
    let (log, gate) = gated(3, folder.path());
    gate.set(true);
    let mut first = log.append(delivery(1)).unwrap();
    gate.wait_until_reached();
    let waiting: Vec<_> = (0..3).map(|_| log.append(delivery(1)).unwrap()).collect();
    assert_eq!(log.queued(), 4);
    match log.append(delivery(1)) {
        Err(LogError::Full { retry_after }) => {
            assert!((1..=30).contains(&retry_after.as_secs()));
        }
        other => panic!("{other:?}"),
    }
    assert!(first.try_recv().is_err(), "no answer before the commit");
    assert_eq!(*log.head().borrow(), 0);
    gate.set(false);
    assert_eq!(first.blocking_recv().unwrap().unwrap().seq, 1);
    for wait in waiting {
        wait.blocking_recv().unwrap().unwrap();
    }
    assert_eq!(log.stats().head, 4);
}

#[test]
fn close_commits_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let (log, gate) = gated(100, folder.path());
    gate.set(true);
    let waiting: Vec<_> = (0..10).map(|_| log.append(delivery(1)).unwrap()).collect();
    let closer = Arc::clone(&log);
    let closing = std::thread::spawn(move || closer.close());
    eventually("closing", || !log.stats().writable);
    gate.set(false);
    closing.join().unwrap();
    for wait in waiting {
        wait.blocking_recv().unwrap().unwrap();
    }
    assert_eq!(start(folder.path()).stats().head, 10);
}

#[test]
fn a_failed_commit_answers_failed_and_the_log_recovers_by_itself() {
    for point in [
        FailurePoint::Begin,
        FailurePoint::Insert,
        FailurePoint::Commit,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let left = Arc::new(AtomicUsize::new(0));
        let hook = Arc::clone(&left);
        let log = start_with(
            &settings(folder.path()),
            failing(move |at| {
                let mine = at == point || at == FailurePoint::Reopen;
                let fails = mine
                    && hook
                        .fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1))
                        .is_ok();
                fails.then(|| "disk is full".to_owned())
            }),
        );
        put(&*log, keyed("before")).unwrap();
        // The append fails, and the first try to open again too.
        left.store(2, SeqCst);
        match put(&*log, keyed("lost")) {
            Err(LogError::Failed(reason)) => assert_eq!(&*reason, "disk is full"),
            other => panic!("{other:?}"),
        }
        assert!(!log.stats().writable);
        assert!(matches!(log.append(delivery(1)), Err(LogError::Failed(_))));
        eventually("writable again", || log.stats().writable);
        assert_eq!(left.load(SeqCst), 0);
        // Its key was not learned, its number is used again.
        let again = put(&*log, keyed("lost")).unwrap();
        assert_eq!((again.outcome, again.seq), (Outcome::Accepted, 2));
        assert_eq!(put(&*log, keyed("before")).unwrap().duplicate_of, Some(1));
        drop(log);
        let log = start(folder.path());
        assert_eq!(log.read(0, 10, usize::MAX).unwrap().len(), 3);
    }
}

#[test]
fn a_commit_that_only_seemed_to_fail_counts_as_there() {
    let folder = tempfile::tempdir().unwrap();
    let left = Arc::new(AtomicUsize::new(1));
    let log = start_with(
        &settings(folder.path()),
        failing(move |at| {
            let fails = at == FailurePoint::Committed
                && left
                    .fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1))
                    .is_ok();
            fails.then(|| "the answer of the disk was lost".to_owned())
        }),
    );
    assert!(matches!(put(&*log, keyed("k")), Err(LogError::Failed(_))));
    eventually("writable again", || log.stats().writable);
    assert_eq!(*log.head().borrow(), 1);
    assert_eq!(put(&*log, keyed("k")).unwrap().duplicate_of, Some(1));
}

#[test]
fn a_missing_file_keeps_the_log_shut() {
    let folder = tempfile::tempdir().unwrap();
    let fail = Arc::new(AtomicUsize::new(0));
    let (hook, tries) = (Arc::clone(&fail), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&tries);
    let log = start_with(
        &settings(folder.path()),
        failing(move |at| {
            if at == FailurePoint::Reopen {
                count.fetch_add(1, SeqCst);
            }
            (at == FailurePoint::Commit && hook.load(SeqCst) == 1).then(|| "io".to_owned())
        }),
    );
    put(&*log, delivery(1)).unwrap();
    fail.store(1, SeqCst);
    let path = folder.path().join("log.db");
    std::fs::rename(&path, folder.path().join("away")).unwrap();
    put(&*log, delivery(1)).unwrap_err();
    eventually("three tries", || tries.load(SeqCst) >= 3);
    assert!(!log.stats().writable);
    assert!(!path.exists(), "no empty log is made in its place");
    std::fs::rename(folder.path().join("away"), &path).unwrap();
    fail.store(0, SeqCst);
    eventually("writable again", || log.stats().writable);
    assert_eq!(put(&*log, delivery(1)).unwrap().seq, 2);
}

#[test]
fn a_copy_of_the_files_after_any_commit_holds_all_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let log = start(folder.path());
    for n in 1..=12_u64 {
        put(&*log, keyed(&n.to_string())).unwrap();
        let copy = tempfile::tempdir().unwrap();
        for name in ["log.db", "log.db-wal", "state.db", "state.db-wal"] {
            let from = folder.path().join(name);
            if from.exists() {
                std::fs::copy(from, copy.path().join(name)).unwrap();
            }
        }
        let copied = start(copy.path());
        let records = copied.read(0, 100, usize::MAX).unwrap();
        assert_eq!(records.len() as u64, n);
        assert_eq!(
            put(&*copied, keyed(&n.to_string())).unwrap().duplicate_of,
            Some(n)
        );
        assert!(copied.request(n).unwrap().is_some());
    }
}

#[test]
fn a_damaged_record_is_named_and_those_before_it_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let log = start(folder.path());
    for _ in 0..5 {
        put(&*log, delivery(1)).unwrap();
    }
    let conn = crate::log::stores::schema::reopen(&log.shared.path).unwrap();
    let head: Vec<u8> = conn
        .query_row("SELECT head FROM deliveries WHERE seq = 3", [], |row| {
            row.get(0)
        })
        .unwrap();
    let damaged_at = |bytes: &[u8]| {
        conn.execute("UPDATE deliveries SET head = ? WHERE seq = 3", [bytes])
            .unwrap();
        let before = log.read(0, 100, usize::MAX).unwrap();
        assert_eq!(before.iter().map(|r| r.seq).collect::<Vec<_>>(), [1, 2]);
        let named = log.read(2, 100, usize::MAX);
        assert!(
            matches!(named, Err(LogError::Damaged { seq: 3, .. })),
            "{named:?}"
        );
        assert!(matches!(log.get(3), Err(LogError::Damaged { seq: 3, .. })));
        assert_eq!(log.read(3, 100, usize::MAX).unwrap().len(), 2);
    };
    for at in 0..head.len() {
        let mut bad = head.clone();
        bad[at] ^= 1;
        damaged_at(&bad);
    }
    damaged_at(&head[..head.len() / 2]);
    damaged_at(&[]);
    conn.execute("DELETE FROM deliveries WHERE seq = 3", [])
        .unwrap();
    let missing = log.read(2, 100, usize::MAX).unwrap_err();
    assert_eq!(missing.to_string(), "record 3 is damaged: it is missing");
}

#[test]
fn a_damaged_request_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let log = start(folder.path());
    put(&*log, delivery(1)).unwrap();
    put(&*log, delivery(1)).unwrap();
    let conn = crate::log::stores::schema::reopen(&log.shared.path).unwrap();
    // Another delivery's request is whole, but not this one's.
    let sql = "UPDATE deliveries SET request = (SELECT request FROM deliveries WHERE seq = 2)";
    conn.execute(sql, []).unwrap();
    let swapped = log.request(1).unwrap_err().to_string();
    assert!(swapped.contains("SHA-256"), "{swapped}");
    assert!(log.request(2).unwrap().is_some());
    conn.execute("UPDATE deliveries SET request = x'01000000'", [])
        .unwrap();
    assert!(matches!(
        log.request(2),
        Err(LogError::Damaged { seq: 2, .. })
    ));
}

#[test]
fn any_flipped_page_is_an_error_or_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let log = start(folder.path());
    for _ in 0..3 {
        put(&*log, delivery(1)).unwrap();
    }
    let want: Vec<Uuid> = log
        .read(0, 9, usize::MAX)
        .unwrap()
        .iter()
        .map(|r| r.delivery.id)
        .collect();
    drop(log);
    let good = std::fs::read(folder.path().join("log.db")).unwrap();
    let copy = tempfile::tempdir().unwrap();
    let used: Vec<usize> = (0..good.len()).filter(|at| good[*at] != 0).collect();
    for at in used.into_iter().step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        std::fs::write(copy.path().join("log.db"), &bad).unwrap();
        std::fs::remove_file(copy.path().join("log.db-wal")).ok();
        let Ok((log, _)) = open(&settings(copy.path()), &Metrics::new(), Options::default()) else {
            continue;
        };
        let mut after = 0;
        while let Ok(records) = log.read(after, 9, usize::MAX) {
            let Some(last) = records.last() else { break };
            for record in &records {
                let index = usize::try_from(record.seq).unwrap() - 1;
                assert_eq!(want.get(index), Some(&record.delivery.id), "byte {at}");
            }
            after = last.seq;
        }
    }
}

#[test]
#[ignore = "needs a small disk of its own: HOOKGATE_SMALL_DISK=/mnt/small (a tmpfs of some megabytes)"]
fn a_full_disk_refuses_and_recovers_when_space_returns() {
    let disk = std::env::var("HOOKGATE_SMALL_DISK").unwrap();
    let folder = tempfile::tempdir_in(disk).unwrap();
    let log = start(&folder.path().join("data"));
    let big = || {
        let mut append = delivery(1);
        append.request = Some(vec![7; 50_000]);
        append
    };
    put(&*log, big()).unwrap();
    let filler = folder.path().join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
    drop(file);
    let mut acknowledged = 1;
    let refused = loop {
        match put(&*log, big()) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, LogError::Failed(_)), "{refused}");
    assert!(!log.stats().writable);
    assert_eq!(
        log.read(0, 1_000, usize::MAX).unwrap().len(),
        acknowledged,
        "reading goes on"
    );
    std::fs::remove_file(&filler).unwrap();
    eventually("writable again", || log.stats().writable);
    put(&*log, big()).unwrap();
    drop(log);
    let log = start(&folder.path().join("data"));
    assert_eq!(
        log.read(0, 1_000, usize::MAX).unwrap().len(),
        acknowledged + 1
    );
}
