use super::*;
use crate::feed::{Budget, FacetKey, Over, What, count_terms};
use crate::query::{SinkState, SinkView};
use std::time::Duration;

fn budget() -> Budget {
    Budget {
        time: Duration::from_secs(30),
        after: None,
    }
}

#[test]
fn what_a_query_dies_of() {
    let setup = Setup::new(60);
    let feed = setup.open();
    let query = query("webhook:github nowhere -outcome:parked");
    let terms = count_terms(&*feed, What::Events, &query, budget()).unwrap();
    let shown: Vec<_> = terms
        .iter()
        .map(|t| (t.term.as_str(), t.without.as_str(), t.alone.matches > 0))
        .collect();
    assert_eq!(
        shown,
        [
            ("webhook:github", "nowhere -outcome:parked", true),
            ("nowhere", "webhook:github -outcome:parked", false),
            ("-outcome:parked", "webhook:github nowhere", true),
        ]
    );
}

#[test]
fn a_count_goes_on_where_it_stopped() {
    let setup = Setup::new(300);
    let feed = setup.open();
    let query = query("payload.total:>1");
    let whole = feed.count(What::Events, &query, budget()).unwrap();
    assert!(whole.complete && whole.scanned > 0 && whole.next.is_none());
    let mut at = Budget {
        time: Duration::ZERO,
        after: None,
    };
    let (mut matches, mut parts) = (0, 0);
    loop {
        let part = feed.count(What::Events, &query, at).unwrap();
        matches += part.matches;
        parts += 1;
        let Some(next) = part.next else {
            break;
        };
        assert!(!part.complete && part.at_least && at.after.is_none_or(|after| next < after));
        at.after = Some(next);
    }
    assert_eq!(matches, whole.matches);
    assert!(parts > 1);
}

#[test]
fn rejected_requests_are_counted_after_they_are_gone() {
    let setup = Setup::new(1);
    let feed = setup.open();
    let many = u64::try_from(crate::model::limits::RING_ENTRIES).unwrap() + 60;
    for n in 0..many {
        feed.keep(rejected(n, "github", "HG0503"));
        // The queue to the indexer is short.
        feed.deliveries(&query("seq:1"), paging(1, false)).unwrap();
    }
    let rejected = query("outcome:rejected");
    let counted = feed.count(What::Deliveries, &rejected, budget()).unwrap();
    assert_eq!(counted.matches, many);
    assert_eq!(
        feed.count(What::Events, &rejected, budget())
            .unwrap()
            .matches,
        0
    );
    let facets = feed.facets(What::Deliveries, &query(""), &[FacetKey::Code], budget());
    let facet = facets.unwrap().value.remove(0);
    assert_eq!(
        (facet.values[0].value.as_str(), facet.values[0].count),
        ("HG0503", many)
    );
}

#[test]
fn buckets_are_as_asked_for() {
    let setup = Setup::new(200);
    let feed = setup.open();
    let now = jiff::Timestamp::from_second(1_790_000_700).unwrap();
    for (text, buckets, width) in [
        ("received:>=-5m received:<=-0s", 30, 15),
        ("received:>=-5m received:<=-0s", 5, 120),
        ("received:>=-5m event:github.* received:<=-0s", 300, 2),
    ] {
        let over = Over { buckets, now };
        let found = feed.histogram(What::Events, &query(text), over, budget());
        let found = found.unwrap().value;
        assert_eq!(found.width_seconds, width, "{text}");
        assert!(
            found.buckets.len() <= buckets + 1,
            "{text}: {}",
            found.buckets.len()
        );
        assert_eq!(found.from, now - jiff::SignedDuration::from_mins(5));
    }
}

#[test]
fn sinks_can_be_asked_for() {
    let setup = Setup::new(120);
    let feed = setup.open();
    let place = |seq, index| crate::model::Position { seq, index };
    feed.set_sinks(Arc::new(move || {
        vec![SinkView {
            name: "a".into(),
            cursor: 100,
            filter: Some(query("event:github.*")),
            failing: true,
            dead: [place(7, 1), place(40, 0)].into(),
        }]
    }));
    let all = |text: &str| walk(&*feed, text, 50, true);
    assert_eq!(all("sink.a:dead"), ["7.1", "40.0"]);
    assert_eq!(all("sink.a:pending"), all("event:github.* seq:>100"));
    assert_eq!(all("sink:failed"), all("sink.a:pending"));
    assert_eq!(all("sink.b:pending"), Vec::<String>::new());
    assert_eq!(
        all("sink.a:delivered sink:(delivered,dead)"),
        all("event:github.* seq:..100 -sink.a:dead")
    );
    assert_eq!(SinkState::ALL.len(), 4);
}
