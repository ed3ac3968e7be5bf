use super::*;

#[test]
fn pages_walk_everything_once_while_appends_go_on() {
    for ascending in [false, true] {
        let setup = Setup::new(120);
        let feed = setup.open();
        let before = naive(&setup.log, &query(""), ascending).0;
        let first = feed.events(&query(""), paging(9, ascending)).unwrap();
        let mut found: Vec<String> = first.rows.iter().map(|r| r.position.to_string()).collect();
        let mut paging = Paging {
            after: first.next,
            ..paging(9, ascending)
        };
        let mut n = 200;
        loop {
            // Ascending, the end recedes with each delivery: stop appending at some point.
            if n < 230 {
                setup.log.push(delivery(n));
                n += 1;
            }
            let page = feed.events(&query(""), paging).unwrap();
            found.extend(page.rows.iter().map(|row| row.position.to_string()));
            let Some(next) = page.next else { break };
            paging.after = Some(next);
        }
        let all = naive(&setup.log, &query(""), ascending).0;
        let expected = if ascending { all } else { before };
        assert_eq!(found, expected);
    }
}

#[test]
fn the_last_page_has_no_next() {
    let setup = Setup::new(0);
    let feed = setup.open();
    assert!(
        feed.events(&query(""), paging(1, false))
            .unwrap()
            .next
            .is_none()
    );
    for _ in 0..4 {
        setup.log.push(delivery(1));
    }
    let page = feed.events(&query(""), paging(4, false)).unwrap();
    assert_eq!((page.rows.len(), page.next), (4, None));
    let page = feed.events(&query(""), paging(3, true)).unwrap();
    assert_eq!(page.next.map(|p| p.to_string()).as_deref(), Some("3.0"));
}

#[test]
fn a_page_is_bounded_in_bytes() {
    let setup = Setup::new(0);
    for _ in 0..12 {
        let mut made = delivery(1);
        let payload = format!("{{\"x\":\"{}\"}}", "y".repeat(1_400_000));
        made.events[0].payload = serde_json::value::RawValue::from_string(payload).unwrap();
        setup.log.push(made);
    }
    let feed = setup.open();
    let page = feed.events(&query(""), paging(12, true)).unwrap();
    assert!(page.rows.len() < 7 && page.next.is_some());
    assert_eq!(walk(&*feed, "", 12, true).len(), 12);
    assert_eq!(walk_deliveries(&*feed, &query(""), 12, false).len(), 12);
}

#[test]
fn what_the_log_has_lost_is_left_out() {
    let setup = Setup::new(20);
    let feed = setup.open();
    assert_eq!(
        feed.deliveries(&query(""), paging(50, false))
            .unwrap()
            .rows
            .len(),
        20
    );
    setup.log.records.lock().unwrap().retain(|seq, _| *seq > 10);
    setup.log.damage(15);
    let rows = feed.deliveries(&query(""), paging(50, false)).unwrap().rows;
    assert_eq!(rows.len(), 9);
}
