use super::*;
use std::fs;

fn everything(feed: &dyn Feed) -> Vec<String> {
    walk(feed, "", 50, true)
}

#[test]
fn continues_where_it_was() {
    let setup = Setup::new(100);
    let feed = setup.open();
    let all = everything(&*feed);
    feed.keep(rejected(1, "github", "HG0503"));
    assert_eq!(
        feed.deliveries(&query("outcome:rejected"), paging(9, true))
            .unwrap()
            .rows
            .len(),
        1
    );
    feed.close();
    setup.log.push(delivery(101));
    let feed = setup.open();
    assert_eq!(
        everything(&*feed).len(),
        all.len() + setup.log.records()[&101].events.len()
    );
    // Not rebuilt: the ring is still there.
    assert_eq!(
        feed.deliveries(&query("outcome:rejected"), paging(9, true))
            .unwrap()
            .rows
            .len(),
        1
    );
}

#[test]
fn a_missing_or_damaged_file_is_rebuilt() {
    let setup = Setup::new(100);
    let path = setup.folder.path().join("feed.db");
    let want = naive(&setup.log, &query(""), true).0;
    for damage in 0..4 {
        let feed = setup.open();
        assert_eq!(everything(&*feed), want, "damage {damage}");
        feed.close();
        drop(feed);
        match damage {
            0 => fs::remove_file(&path).unwrap(),
            1 => fs::write(
                &path,
                "no database at all, but long enough to have a header".repeat(50),
            )
            .unwrap(),
            2 => fs::write(&path, "").unwrap(),
            _ => {
                let mut bytes = fs::read(&path).unwrap();
                bytes[100..].fill(0xa5);
                fs::write(&path, bytes).unwrap();
            }
        }
    }
    let feed = setup.open();
    until("rebuilt", || {
        feed.events(&query(""), paging(1, true)).is_ok()
    });
    assert_eq!(everything(&*feed), want);
}

#[test]
fn damage_that_a_query_finds_is_mended() {
    let setup = Setup::new(2_000);
    let path = setup.folder.path().join("feed.db");
    let want = naive(&setup.log, &query("event:alert"), true).0;
    let feed = setup.open();
    everything(&*feed);
    feed.close();
    drop(feed);
    // All pages but the first three: the file opens well.
    let mut bytes = fs::read(&path).unwrap();
    bytes[3 * 4096..].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let feed = setup.open();
    let text = query("event:alert");
    until("mended", || feed.events(&text, paging(1, true)).is_ok());
    assert_eq!(walk(&*feed, "event:alert", 100, true), want);
}

#[test]
fn another_version_is_rebuilt() {
    let setup = Setup::new(30);
    let feed = setup.open();
    let want = everything(&*feed);
    feed.close();
    let path = setup.folder.path().join("feed.db");
    for version in [0, 999] {
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection
            .execute_batch(&format!(
                "PRAGMA user_version = {version}; DELETE FROM rows WHERE number > 0;"
            ))
            .unwrap();
        drop(connection);
        let feed = setup.open();
        assert_eq!(everything(&*feed), want);
        feed.close();
    }
}

#[test]
fn another_log_is_noticed() {
    let setup = Setup::new(50);
    let feed = setup.open();
    everything(&*feed);
    feed.close();
    // As long as before, with other deliveries in it.
    let other = Setup {
        log: FakeLog::new(),
        ..setup
    };
    for n in 1_000..1_050 {
        other.log.push(delivery(n));
    }
    let feed = other.open();
    assert_eq!(everything(&*feed), naive(&other.log, &query(""), true).0);
    feed.close();
    // Shorter than before.
    let other = Setup {
        log: FakeLog::new(),
        ..other
    };
    other.log.push(delivery(1));
    assert_eq!(everything(&*other.open()), ["1.0"]);
}

#[test]
fn damaged_records_are_left_out() {
    let setup = Setup::new(40);
    for seq in [1, 17, 18, 40] {
        setup.log.damage(seq);
    }
    let feed = setup.open();
    let found = walk_deliveries(&*feed, &query(""), 7, true);
    assert_eq!(found.len(), 36);
    assert_eq!(feed.indexed_to(), 40);
}

#[test]
fn rows_of_deleted_deliveries_are_deleted() {
    use crate::feed::stores::sqlite;
    let setup = Setup::new(3_000);
    let feed = setup.open();
    everything(&*feed);
    feed.close();
    drop(feed);
    let path = sqlite::file(setup.folder.path());
    let mut writer = sqlite::open_existing(&path).unwrap().unwrap();
    let mut steps = 0;
    while writer.expire(2_901).unwrap() {
        steps += 1;
    }
    assert!(steps > 0);
    drop(writer);
    let connection = rusqlite::Connection::open(&path).unwrap();
    let count = |sql: &str| {
        connection
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let left = count("SELECT count(*) FROM rows");
    assert_eq!(count("SELECT min(number) >> 14 FROM rows"), 2_901);
    assert_eq!(count("SELECT sum(rows) FROM kinds"), left);
    assert_eq!(count("SELECT sum(rows) FROM minutes"), left);
    assert_eq!(count("SELECT count(*) FROM resources"), 13);
    let documents = count("SELECT count(*) FROM documents");
    assert!((1..=2).contains(&documents));
    let words = count("SELECT count(*) FROM texts WHERE texts MATCH 'order'");
    assert!(words > 0 && words <= documents);
    assert!(count("SELECT count(*) FROM spans WHERE field = 0") < 100);
    drop(connection);
    setup
        .log
        .records
        .lock()
        .unwrap()
        .retain(|seq, _| *seq > 2_900);
    let feed = setup.open();
    assert_eq!(everything(&*feed), naive(&setup.log, &query(""), true).0);
}

/// Parked deliveries are counted from what is there, so they are known after a restart, and a rebuild.
#[test]
fn parked_deliveries_are_counted() {
    let setup = Setup::new(100);
    let naive = |setup: &Setup| {
        let mut parked = std::collections::BTreeMap::new();
        for record in setup.log.read(0, 1_000, usize::MAX).unwrap() {
            if record.delivery.outcome == crate::model::Outcome::Parked {
                *parked
                    .entry(record.delivery.webhook.unwrap())
                    .or_insert(0_u64) += 1;
            }
        }
        parked
    };
    for _ in 0..2 {
        let feed = setup.open();
        until("all is counted", || feed.parked().unwrap() == naive(&setup));
        feed.close();
    }
    assert_eq!(naive(&setup).values().sum::<u64>(), 9);
}
