use super::*;

#[test]
fn ring_entries_stand_between_deliveries() {
    let setup = Setup::new(2);
    let feed = setup.open();
    feed.keep(rejected(1, "github", "HG0503"));
    feed.keep(rejected(2, "github", "HG0501"));
    assert_eq!(
        feed.deliveries(&query(""), paging(9, false))
            .unwrap()
            .rows
            .len(),
        4
    );
    setup.log.push(delivery(3));
    feed.keep(rejected(3, "stripe", "HG0503"));
    let all = ["1.0", "2.0", "2.1", "2.2", "3.0", "3.1"];
    for limit in 1..7 {
        assert_eq!(walk_deliveries(&*feed, &query(""), limit, true), all);
        let mut back = walk_deliveries(&*feed, &query(""), limit, false);
        back.reverse();
        assert_eq!(back, all);
    }
    assert_eq!(
        walk_deliveries(&*feed, &query("outcome:rejected webhook:github"), 1, true),
        ["2.1", "2.2"]
    );
    assert_eq!(
        walk_deliveries(&*feed, &query("code:HG0503"), 1, true),
        ["2.1", "3.1"]
    );
    assert_eq!(walk_deliveries(&*feed, &query("seq:2"), 1, true), ["2.0"]);
    let entry = rejected(3, "stripe", "HG0503");
    let row = feed.delivery(entry.delivery.id).unwrap().unwrap();
    assert_eq!((row.seq, row.position.to_string()), (None, "3.1".into()));
    assert_eq!(
        feed.ring_request(entry.delivery.id).unwrap(),
        Some(entry.request)
    );
    assert_eq!(feed.ring_request(Uuid::from_u128(1)).unwrap(), None);
    assert!(walk(&*feed, "outcome:rejected", 5, true).is_empty());
}

#[test]
fn the_ring_is_bounded_and_keeps_the_first_and_last_of_each_reason() {
    let setup = Setup::new(0);
    let feed = setup.open();
    feed.keep(rejected(1, "github", "HG0501"));
    feed.keep(rejected(2, "stripe", "HG0501"));
    for n in 3..260 {
        feed.keep(rejected(n, "github", "HG0503"));
        // The queue is bounded too: wait for it now and then.
        if n % 50 == 0 {
            feed.deliveries(&query(""), paging(1, true)).unwrap();
        }
    }
    let q = query("webhook:github");
    let mut codes = Vec::new();
    let mut keys = Vec::new();
    for row in feed.deliveries(&q, paging(1_000, true)).unwrap().rows {
        codes.push(row.delivery.code.unwrap().to_string());
        keys.push(row.delivery.key.unwrap());
    }
    assert_eq!(codes.len(), 100);
    assert_eq!(codes[0], "HG0501");
    assert_eq!(keys[..2], ["key-1", "key-3"]);
    assert_eq!(keys.last().unwrap(), "key-259");
    assert_eq!(
        walk_deliveries(&*feed, &query("webhook:stripe"), 9, true).len(),
        1
    );
}

#[test]
fn keeping_never_blocks() {
    let setup = Setup::new(1);
    let feed = setup.open();
    for n in 0..10_000 {
        feed.keep(rejected(n, "github", "HG0503"));
    }
    let rows = feed
        .deliveries(&query("outcome:rejected"), paging(1_000, true))
        .unwrap()
        .rows;
    assert!((1..=100).contains(&rows.len()));
    feed.close();
    feed.keep(rejected(1, "github", "HG0503"));
}
