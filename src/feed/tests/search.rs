use super::*;
use crate::feed::{Bucket, Budget, FacetKey, Over, What};
use crate::query::{Expr, Pattern, Range, Term, TextField, TimeField, UuidField};
use proptest::prelude::*;

/// So that what is pushed next lies in two epochs of the index.
const START: Seq = 32_768 - 100;

#[test]
fn a_query_sees_what_was_appended_before() {
    let setup = Setup::new(0);
    let feed = setup.open();
    for n in 1..=20 {
        let seq = setup.log.push(delivery(n));
        let page = feed.deliveries(&query(""), paging(5, false)).unwrap();
        assert_eq!(page.rows[0].seq, Some(seq));
        assert_eq!(page.indexed_to, seq);
    }
}

#[test]
fn a_query_does_not_wait_for_a_busy_writer() {
    let setup = Setup::new(10);
    setup.log.queued.store(5, Ordering::Relaxed);
    let feed = setup.open();
    assert_eq!(
        feed.events(&query(""), paging(1, false))
            .unwrap()
            .indexed_to,
        10
    );
    setup.log.push(delivery(11));
    // Nobody asks, and the writer stays busy: the feed follows all the same.
    until("indexed while busy", || feed.indexed_to() == 11);
}

#[test]
fn filters() {
    let setup = Setup::with(FakeLog::starting_after(START), 300);
    setup.log.push(own(400));
    setup.log.push(delivery(401));
    let feed = setup.open();
    for text in [
        "",
        "event:github.*",
        "event:github.push webhook:github",
        "event:github.push webhook:none",
        "resource:repo.3",
        "resource:repo.1*",
        "resource:*.1 event:alert",
        "-resource:repo.3 -event:alert",
        "resource:repo.3 OR webhook:stripe",
        "outcome:(parked,duplicate)",
        "outcome:accepted provider:github",
        "code:HG03*",
        "-code:*",
        "key:key-17",
        "key:key-1*",
        "-key:key-1*",
        "seq:(32700,32765..32775)",
        "received:>-15m",
        "received:<-15m event:alert",
        "occurred:>=-10m",
        "event:hookgate.*",
        "event:hookgate.* OR webhook:stripe",
        "id:8b7a2f6e-0000-5000-8000-000000000000",
        "-(event:alert OR resource:repo.5) webhook:(github,alerts)",
    ] {
        let q = query(text);
        for ascending in [false, true] {
            let (events, deliveries) = naive(&setup.log, &q, ascending);
            assert_eq!(walk(&*feed, text, 7, ascending), events, "{text}");
            assert_eq!(
                walk_deliveries(&*feed, &q, 7, ascending),
                deliveries,
                "{text}"
            );
        }
    }
}

#[test]
fn by_id() {
    let setup = Setup::new(50);
    let seq = setup.log.push(own(51));
    let feed = setup.open();
    let records = setup.log.records();
    let with = records.iter().find(|(_, d)| d.events.len() > 2).unwrap();
    let row = feed.event(with.1.events[2].id).unwrap().unwrap();
    assert_eq!(row.position.to_string(), format!("{}.2", with.0));
    assert_eq!(row.delivery, with.1.id);
    let row = feed.delivery(with.1.id).unwrap().unwrap();
    assert_eq!(row.seq, Some(*with.0));
    assert_eq!(
        feed.delivery(records[&seq].id).unwrap().unwrap().seq,
        Some(seq)
    );
    assert!(feed.event(Uuid::from_u128(1)).unwrap().is_none());
    assert!(feed.delivery(Uuid::from_u128(1)).unwrap().is_none());
    // The newest of several events with one id.
    let again = setup.log.push(with.1.clone());
    let row = feed.event(with.1.events[0].id).unwrap().unwrap();
    assert_eq!(row.position.seq, again);
}

#[test]
fn duplicates_are_counted() {
    let setup = Setup::new(30);
    let feed = setup.open();
    let mut again = delivery(8);
    again.duplicate_of = Some(5);
    setup.log.push(again);
    let id = setup.log.records()[&5].id;
    assert_eq!(feed.delivery(id).unwrap().unwrap().duplicates, 2);
    let page = feed.deliveries(&query("seq:5"), paging(1, false)).unwrap();
    assert_eq!(page.rows[0].duplicates, 2);
}

#[test]
fn long_resources() {
    let setup = Setup::new(3);
    let long = "é".repeat(2_000);
    let mut made = delivery(4);
    made.events = vec![event(4, 0)];
    made.events[0]
        .resource
        .insert(RESOURCE_ID.into(), format!("{long}.end"));
    setup.log.push(made);
    let feed = setup.open();
    for text in ["resource:é*.end", "resource:*.end", "-resource:*.end"] {
        let (events, _) = naive(&setup.log, &query(text), true);
        assert_eq!(walk(&*feed, text, 2, true), events, "{text}");
    }
    let exact = Query::from(Expr::Term(Term::Text(
        TextField::Resource,
        vec![Pattern::exact(format!("{long}.end"))],
    )));
    assert_eq!(walk_query(&*feed, &exact, 2, true), ["4.0"]);
}

fn term() -> impl Strategy<Value = Term> {
    let pick = |field, words: &'static [&'static str]| {
        prop::collection::vec(prop::sample::select(words), 1..3)
            .prop_map(move |any| Term::Text(field, any.into_iter().map(Pattern::word).collect()))
    };
    let time = (0..1_500_i64, 0..1_500_i64).prop_map(|(from, length)| Range {
        from: (from > 100).then_some((1_790_000_000 + from) * 1_000_000),
        to: (length > 100).then_some((1_790_000_000 + from + length) * 1_000_000),
    });
    prop_oneof![
        pick(
            TextField::Event,
            &[
                "github.push",
                "github.*",
                "*",
                "alert",
                "none",
                "hookgate.*"
            ]
        ),
        pick(
            TextField::Resource,
            &["repo.3", "repo.1*", "*", "repo.*2", "none"]
        ),
        pick(TextField::Webhook, &["github", "stripe", "*s", "none"]),
        pick(TextField::Key, &["key-3", "key-1*", "none"]),
        pick(TextField::Code, &["HG0303", "HG*"]),
        prop::sample::subsequence(Outcome::ALL.to_vec(), 1..4).prop_map(Term::Outcome),
        (1..200_u64).prop_map(|n| Term::Uuid(UuidField::Event, vec![event(n, 0).id])),
        (1..200_u64).prop_map(|n| Term::Uuid(UuidField::Delivery, vec![delivery(n).id])),
        (0..200_i64, 0..50_i64).prop_map(|(from, n)| Term::Seq(vec![Range {
            from: Some(32_668 + from),
            to: Some(32_668 + from + n)
        }])),
        time.clone()
            .prop_map(|range| Term::Time(TimeField::Received, range)),
        time.prop_map(|range| Term::Time(TimeField::Occurred, range)),
        prop::sample::select(TEXTS).prop_map(|text| match query(text).root() {
            Some(Expr::Term(term)) => term.clone(),
            _ => unreachable!("{text} is one term"),
        }),
    ]
}

/// Terms that look into records.
const TEXTS: &[&str] = &[
    "order",
    "ord*",
    "ada",
    "\"order 20\"",
    "\"of Ada 1\"",
    "of.ad*",
    "actor",
    "repo",
    "nowhere",
    "key",
    "payload.total:10",
    "payload.total:10.5",
    "payload.total:>30",
    "payload.total:5..20",
    "payload.items.sku:SKU-3",
    "payload.items.sku:SKU*",
    "payload.items.sku:*-3",
    "payload.items.1.n:16",
    "payload.items.n:(16,null)",
    "payload.ok:true",
    "payload.text:\"Order 20 of Ada-0\"",
    "payload.text:Order*Ada*",
    "payload.none:x",
    "resource.name:\"The actor 1\"",
    "resource.name:The*",
    "resource.name:*1",
    "related:user.1",
    "related:us*.2",
    "related:(user.1,user.3)",
    "related.actor:user.2",
    "related.owner:*",
    "method:put",
    "status:204",
    "status:>=400",
    "ip:203.0.113.2",
    "ip:203.*",
    "has:related",
    "has:(follows,error)",
    "has:payload",
    "is:test",
    "is:duplicate",
    "is:replayed",
    "header.user-agent:hookgate*",
    "follows:00000000-0000-0000-0000-000000000001",
];

/// Counts are what a walk finds.
pub(super) fn check_counts(
    feed: &dyn Feed,
    query: &Query,
    what: What,
    found: usize,
) -> Result<(), TestCaseError> {
    let budget = Budget {
        time: std::time::Duration::from_secs(30),
        after: None,
    };
    let counted = feed.count(what, query, budget).unwrap();
    prop_assert_eq!(counted.matches, found as u64, "{:?} {}", what, query);
    prop_assert!(counted.complete && !counted.at_least);
    for buckets in [5, 400] {
        let now = jiff::Timestamp::from_second(1_790_002_000).unwrap();
        let over = Over { buckets, now };
        let histogram = feed.histogram(what, query, over, budget).unwrap();
        let total: u64 = histogram.value.buckets.iter().map(Bucket::total).sum();
        prop_assert_eq!(total, found as u64, "{:?} {}: {:?}", what, query, histogram);
    }
    let facets = feed.facets(what, query, &FacetKey::ALL, budget).unwrap();
    for facet in facets.value {
        let total: u64 = facet.values.iter().map(|value| value.count).sum();
        match facet.key {
            FacetKey::Outcome | FacetKey::Method | FacetKey::Ip => {
                prop_assert_eq!(total, found as u64, "{:?} {}: {:?}", what, query, facet);
            }
            _ => prop_assert!(facet.key == FacetKey::Role || total <= found as u64),
        }
    }
    Ok(())
}

fn expr() -> impl Strategy<Value = Expr> {
    term()
        .prop_map(Expr::Term)
        .prop_recursive(3, 10, 3, |inner| {
            prop_oneof![
                3 => prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::all),
                1 => prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::any),
                1 => inner.prop_map(|part| Expr::Not(Box::new(part))),
            ]
        })
}

#[test]
fn any_query_finds_what_a_filter_finds() {
    let setup = Setup::with(FakeLog::starting_after(START), 150);
    setup.log.push(own(151));
    for n in 152..200 {
        setup.log.push(delivery(n));
    }
    let feed = setup.open();
    let strategy = (expr(), 1..40_usize, any::<bool>());
    proptest!(ProptestConfig::with_cases(300), |((root, limit, ascending) in strategy)| {
        let query = Query::from(root);
        let (events, deliveries) = naive(&setup.log, &query, ascending);
        prop_assert_eq!(walk_query(&*feed, &query, limit, ascending), &*events, "{}", query);
        prop_assert_eq!(walk_deliveries(&*feed, &query, limit, ascending), &*deliveries, "{}", query);
        check_counts(&*feed, &query, What::Events, events.len())?;
        check_counts(&*feed, &query, What::Deliveries, deliveries.len())?;
    });
}
