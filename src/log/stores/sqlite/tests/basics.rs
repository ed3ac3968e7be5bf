use super::*;
use crate::log::OpenError;
use rusqlite::Connection;

#[test]
fn what_is_appended_is_read_back_after_a_reopen() {
    let folder = tempfile::tempdir().unwrap();
    let log = start(folder.path());
    let sent: Vec<Append> = (0..5).map(delivery).collect();
    let ids: Vec<Uuid> = sent.iter().map(|a| a.delivery.id).collect();
    for (index, append) in sent.into_iter().enumerate() {
        let done = put(&*log, append).unwrap();
        assert_eq!((done.seq, done.events), (index as u64 + 1, index));
        assert_eq!(*log.head().borrow(), done.seq);
    }
    let check = |log: &SqliteLog| {
        let records = log.read(0, 100, usize::MAX).unwrap();
        assert_eq!(
            records.iter().map(|r| r.seq).collect::<Vec<_>>(),
            [1, 2, 3, 4, 5]
        );
        assert_eq!(
            records.iter().map(|r| r.delivery.id).collect::<Vec<_>>(),
            ids
        );
        let event = &records[1].delivery.events[0];
        assert_eq!(event.payload.get(), r#"{"exact":1.0000000000000000001}"#);
        let request = log.request(3).unwrap().unwrap();
        assert!(request.ends_with(ids[2].to_string().as_bytes()));
        assert_eq!(log.read(3, 1, usize::MAX).unwrap()[0].seq, 4);
        assert_eq!(log.read(2, 100, 0).unwrap().len(), 1, "at least one");
        assert!(log.read(5, 100, usize::MAX).unwrap().is_empty());
        assert!(log.get(6).unwrap().is_none());
        assert!(log.request(6).unwrap().is_none());
    };
    check(&log);
    log.close();
    assert!(matches!(log.append(delivery(0)), Err(LogError::Closed)));
    let log = start(folder.path());
    check(&log);
    let stats = log.stats();
    assert_eq!((stats.head, stats.oldest, stats.writable), (5, 1, true));
    assert_eq!(put(&*log, delivery(0)).unwrap().seq, 6);
}

#[cfg(unix)]
#[test]
fn a_new_folder_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let mode = || std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777;
    start(&folder).close();
    assert_eq!(mode(), 0o700);
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o750)).unwrap();
    start(&folder).close();
    assert_eq!(mode(), 0o750, "the owner's choice");
}

#[test]
fn many_callers_share_commits() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let (log, _state) = open(&settings(folder.path()), &metrics, Options::default()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..25 {
                    put(&*log, delivery(1)).unwrap();
                }
            });
        }
    });
    assert_eq!(log.stats().head, 400);
    assert!(metrics.log_commits.get() <= 400);
    assert_eq!(log.read(0, 1_000, usize::MAX).unwrap().len(), 400);
}

#[test]
fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = start(folder.path());
    let second = open(
        &settings(folder.path()),
        &Metrics::new(),
        Options::default(),
    );
    assert!(matches!(second, Err(OpenError::Locked(_))));
    drop(log);
    start(folder.path());
}

#[test]
fn a_newer_store_is_refused_untouched() {
    for (file, newest) in [("log.db", 1), ("state.db", 3)] {
        let folder = tempfile::tempdir().unwrap();
        let log = start(folder.path());
        put(&*log, delivery(1)).unwrap();
        drop(log);
        let path = folder.path().join(file);
        let conn = Connection::open(&path).unwrap();
        conn.pragma_update(None, "user_version", 99).unwrap();
        drop(conn);
        let listing = || {
            let entries = std::fs::read_dir(folder.path()).unwrap();
            let mut all: Vec<_> = entries
                .map(|e| e.unwrap().path())
                .filter(|p| p.file_name().unwrap().to_str().unwrap().starts_with(file))
                .map(|p| (std::fs::read(&p).unwrap(), p))
                .collect();
            all.sort();
            all
        };
        let before = listing();
        let refused = open(
            &settings(folder.path()),
            &Metrics::new(),
            Options::default(),
        );
        match refused {
            Err(OpenError::Newer { found, known, path }) => {
                assert_eq!((found, known), (99, newest));
                assert!(path.ends_with(file));
            }
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("{file} was opened"),
        }
        assert_eq!(before, listing(), "{file}");
    }
}

#[test]
fn foreign_and_damaged_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = || {
        let result = open(
            &settings(folder.path()),
            &Metrics::new(),
            Options::default(),
        );
        result.err().unwrap().to_string()
    };
    let path = folder.path().join("log.db");
    std::fs::write(
        &path,
        "not a database, but long enough to have a header ".repeat(4),
    )
    .unwrap();
    assert!(refused().contains("not a SQLite file"), "{}", refused());
    std::fs::remove_file(&path).unwrap();
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch("CREATE TABLE t(x); PRAGMA application_id = 7")
        .unwrap();
    drop(conn);
    assert!(refused().contains("another program"), "{}", refused());
}

#[test]
fn durability_settings_are_what_they_must_be() {
    let folder = tempfile::tempdir().unwrap();
    drop(start(folder.path()));
    let conn = crate::log::stores::schema::reopen(&folder.path().join("log.db")).unwrap();
    let value = |name: &str| -> String {
        conn.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
            .map(|value| format!("{value:?}"))
            .unwrap()
    };
    assert_eq!(value("journal_mode"), r#"Text("wal")"#);
    assert_eq!(value("synchronous"), "Integer(2)");
    assert_eq!(value("wal_autocheckpoint"), "Integer(0)");
    assert_eq!(value("page_size"), "Integer(16384)");
    assert_eq!(value("user_version"), "Integer(1)");
}
