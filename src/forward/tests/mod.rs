//! The loop against a log and a sink in memory.

use super::Forwarders;
use super::error::SinkError;
use super::sinks::Sink;
use super::testing::*;
use super::tuning::Tuning;
use crate::log::EventLog as _;
use crate::state::State as _;
use crate::telemetry::Metrics;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

#[path = "../../../tests/it/harness/fake_sink.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with the integration tests"
)]
mod fake_sink;
mod http;
mod silent;
mod store;

struct Bench {
    log: Arc<MemoryLog>,
    state: Arc<MemoryState>,
    metrics: Arc<Metrics>,
    forwarders: Forwarders,
}

impl Bench {
    fn new() -> Self {
        Self::over(MemoryLog::new(), MemoryState::new(), Tuning::fast())
    }

    fn over(log: Arc<MemoryLog>, state: Arc<MemoryState>, tuning: Tuning) -> Self {
        let metrics = Arc::new(Metrics::new());
        let forwarders =
            Forwarders::with_tuning(log.clone(), state.clone(), metrics.clone(), tuning);
        Self {
            log,
            state,
            metrics,
            forwarders,
        }
    }

    fn start(&self, sink: &Arc<ScriptedSink>) {
        self.start_as(&settings("out"), sink);
    }

    fn start_as(&self, settings: &super::SinkSettings, sink: &Arc<ScriptedSink>) {
        let sink: Arc<dyn Sink> = sink.clone();
        self.forwarders.start_with(settings, &sink);
    }

    /// Waits until the cursor is stored and shown: the figures are shown a moment after it is stored.
    /// Own events of the sinks come into the log too, so the cursor may be further.
    async fn until_cursor(&self, seq: u64) {
        let is_shown = || self.forwarders.status().iter().any(|s| s.cursor >= seq);
        let there = || self.state.seq("out") >= Some(seq) && is_shown();
        until(&format!("cursor {seq}"), there).await;
    }

    fn state_of(&self) -> &'static str {
        self.forwarders.status()[0].state
    }
}

fn refused(status: u16) -> SinkError {
    SinkError::Refused {
        status,
        answer: "no\u{1b}[31m thanks".into(),
    }
}

#[tokio::test]
async fn delivers_in_order_and_moves_the_cursor() {
    let bench = Bench::new();
    assert_eq!(
        bench.forwarders.retention_floor(),
        Some(0),
        "before the settings are known"
    );
    let sink = ScriptedSink::new();
    bench.log.add_events(0..500);
    bench.start(&sink);
    bench.until_cursor(500).await;
    bench.log.add_events(500..1_000);
    bench.until_cursor(1_000).await;
    assert_eq!(sink.taken(), (0..1_000).collect::<Vec<_>>());
    assert!(sink.tried.lock().unwrap().iter().all(|b| b.len() <= 200));
    let status = &bench.forwarders.status()[0];
    assert_eq!(
        (status.state, status.lag, status.delivered),
        ("running", 0, 1_000)
    );
    assert_eq!(bench.forwarders.retention_floor(), Some(1_000));
    assert!(
        bench
            .metrics
            .encode()
            .contains("hookgate_sink_delivered_total{sink=\"out\"} 1000")
    );
    bench.forwarders.stop(Duration::from_secs(5)).await;
    assert_eq!(
        bench.forwarders.retention_floor(),
        Some(1_000),
        "after the stop"
    );
}

#[tokio::test]
async fn comes_back_after_errors_with_the_same_events_in_order() {
    let bench = Bench::new();
    let sink = ScriptedSink::new();
    let calls = AtomicUsize::new(0);
    sink.script(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Err(SinkError::retry("the sink answered 500")),
        2 => Err(SinkError::misconfigured("the sink answered 401")),
        _ => Ok(()),
    });
    bench.log.add_events(0..10);
    bench.start(&sink);
    bench.until_cursor(10).await;
    assert_eq!(sink.taken(), (0..10).collect::<Vec<_>>());
    assert_eq!(sink.tries(), 4);
    assert!(bench.state.letters().is_empty());
    assert_eq!(bench.state_of(), "running");
}

#[tokio::test]
async fn honours_retry_after() {
    let bench = Bench::new();
    let sink = ScriptedSink::new();
    let calls = AtomicUsize::new(0);
    sink.script(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => Err(SinkError::Retry {
            message: "the sink answered 429".into(),
            after: Some(Duration::from_millis(150)),
        }),
        _ => Ok(()),
    });
    bench.log.add_events(0..1);
    let started = std::time::Instant::now();
    bench.start(&sink);
    bench.until_cursor(1).await;
    assert!(started.elapsed() >= Duration::from_millis(150));
    assert_eq!(sink.tries(), 2);
}

#[tokio::test]
async fn one_poison_event_among_200_is_a_dead_letter_and_the_rest_goes_on() {
    let bench = Bench::new();
    let sink = ScriptedSink::new();
    let heals = Arc::new(AtomicBool::new(false));
    let is_healed = heals.clone();
    sink.script(move |batch| {
        let is_poisoned = batch.contains(&137) && !is_healed.load(Ordering::Relaxed);
        if is_poisoned {
            Err(refused(422))
        } else {
            Ok(())
        }
    });
    bench.log.add_events(0..200);
    bench.log.add_events(200..230);
    bench.start(&sink);
    bench.until_cursor(230).await;
    let expected: Vec<u64> = (0..230).filter(|n| *n != 137).collect();
    assert_eq!(sink.taken(), expected);
    assert!(
        sink.tries() < 25,
        "halves, not one by one: {}",
        sink.tries()
    );
    let letters = bench.state.letters();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].seq, letters[0].index), (138, 0));
    assert_eq!(letters[0].reason, "the sink answered 422");
    assert_eq!(letters[0].code.to_string(), "HG0702");
    let attempts = letters[0].attempts;
    assert!((8..=9).contains(&attempts), "log2 of 200: {attempts}");
    let status = &bench.forwarders.status()[0];
    assert_eq!((status.state, status.dead_letters), ("running", 1));
    assert!(
        !status
            .last_error
            .as_ref()
            .unwrap()
            .message
            .contains('\u{1b}')
    );

    // A retry is refused again, then works.
    let id = letters[0].id;
    assert!(bench.forwarders.retry(id).await.is_err());
    assert_eq!(bench.state.letters()[0].attempts, attempts + 1);
    heals.store(true, Ordering::Relaxed);
    bench.forwarders.retry(id).await.unwrap();
    assert!(bench.state.letters().is_empty());
    assert_eq!(sink.taken().last(), Some(&137));
    assert!(bench.forwarders.retry(id).await.is_err());
}

#[tokio::test]
async fn many_poison_events_in_one_delivery() {
    let bench = Bench::new();
    let sink = ScriptedSink::new();
    sink.script(|batch| {
        let is_poisoned = batch.iter().any(|n| n % 7 == 0);
        if is_poisoned {
            Err(refused(400))
        } else {
            Ok(())
        }
    });
    let events = (0..300).map(|n| event("bulk", n)).collect();
    bench.log.add(delivery(events));
    bench.start(&sink);
    bench.until_cursor(1).await;
    let expected: Vec<u64> = (0..300).filter(|n| n % 7 != 0).collect();
    assert_eq!(sink.taken(), expected);
    let dead: Vec<u32> = bench.state.letters().iter().map(|l| l.index).collect();
    assert_eq!(dead, (0..300).filter(|n| n % 7 == 0).collect::<Vec<u32>>());
}

#[tokio::test]
async fn a_delivery_of_many_events_moves_the_cursor_only_when_it_is_whole() {
    let bench = Bench::new();
    let sink = ScriptedSink::new();
    let is_open = Arc::new(AtomicBool::new(false));
    let open = is_open.clone();
    sink.script(move |batch| {
        let is_late = batch.contains(&450) && !open.load(Ordering::Relaxed);
        if is_late {
            Err(SinkError::retry("503"))
        } else {
            Ok(())
        }
    });
    bench.log.add_events(1_000..1_001);
    let events = (0..500).map(|n| event("bulk", n)).collect();
    bench.log.add(delivery(events));
    bench.start(&sink);
    bench.until_cursor(1).await;
    until("two batches", || sink.taken().len() >= 400).await;
    until("some failures", || sink.tries() > 6).await;
    assert_eq!(bench.state.seq("out"), Some(1));
    is_open.store(true, Ordering::Relaxed);
    bench.until_cursor(2).await;
    assert_eq!(sink.taken().len(), 501);
}

#[tokio::test]
async fn goes_on_from_the_cursor_after_a_restart() {
    let bench = Bench::new();
    let sink = ScriptedSink::new();
    bench.log.add_events(0..50);
    bench.start(&sink);
    bench.until_cursor(50).await;
    bench.forwarders.stop(Duration::from_secs(5)).await;
    bench.log.add_events(50..90);
    let again = Bench::over(bench.log.clone(), bench.state.clone(), Tuning::fast());
    again.start(&sink);
    again.until_cursor(90).await;
    assert_eq!(sink.taken(), (0..90).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_sink_that_is_down_is_told_about_once_and_catches_up() {
    let bench = Bench::new();
    let sink = ScriptedSink::new();
    let is_up = Arc::new(AtomicBool::new(false));
    let up = is_up.clone();
    sink.script(move |_| {
        if up.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err(SinkError::retry("connection refused"))
        }
    });
    bench.start(&sink);
    for n in 0..20 {
        bench.log.add_events(n * 10..n * 10 + 10);
        tokio::task::yield_now().await;
    }
    until("told", || !bench.log.own_events().is_empty()).await;
    assert_eq!(bench.state_of(), "failing");
    let tries = sink.tries();
    until("more failures", || sink.tries() > tries + 5).await;
    assert_eq!(bench.log.own_events(), ["hookgate.sink.failing"]);
    is_up.store(true, Ordering::Relaxed);
    until("recovered", || bench.log.own_events().len() == 2).await;
    assert_eq!(bench.log.own_events()[1], "hookgate.sink.recovered");
    // 200 events and two own ones, which are not for the sink.
    bench.until_cursor(202).await;
    assert_eq!(sink.taken(), (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_misconfigured_sink_makes_no_dead_letters() {
    let bench = Bench::new();
    let sink = ScriptedSink::new();
    sink.script(|_| {
        Err(SinkError::misconfigured(
            "the sink answered 401: who are you",
        ))
    });
    bench.log.add_events(0..3);
    bench.start(&sink);
    until("tries", || sink.tries() > 3).await;
    let status = &bench.forwarders.status()[0];
    assert_eq!(status.state, "misconfigured");
    assert!(status.lag >= 3);
    assert_eq!(
        status.last_error.as_ref().unwrap().code.to_string(),
        "HG0703"
    );
    assert!(bench.state.letters().is_empty());
    assert_eq!(bench.forwarders.retention_floor(), Some(0));
}

#[tokio::test]
async fn paused_and_let_go() {
    let bench = Bench::new();
    let sink = ScriptedSink::new();
    bench.start(&sink);
    bench.log.add_events(0..5);
    bench.until_cursor(5).await;
    bench.forwarders.set_paused("out", true).await.unwrap();
    assert_eq!(bench.state_of(), "paused");
    until("held", || sink.tries() > 0).await;
    bench.log.add_events(5..9);
    until("lag is shown", || bench.forwarders.status()[0].lag == 4).await;
    assert_eq!(sink.taken().len(), 5);
    // Held over a restart.
    bench.forwarders.stop(Duration::from_secs(5)).await;
    bench.start(&sink);
    until("still held", || bench.state_of() == "paused").await;
    bench.forwarders.set_paused("out", false).await.unwrap();
    bench.until_cursor(9).await;
    assert_eq!(sink.taken(), (0..9).collect::<Vec<_>>());
    assert!(bench.forwarders.set_paused("other", true).await.is_err());
}

#[tokio::test]
async fn own_events_are_left_out_and_the_cursor_moves_over_them() {
    let bench = Bench::new();
    let sink = ScriptedSink::new();
    bench.start(&sink);
    for n in 0..2_000 {
        let mut own = delivery(vec![event("hookgate.config.reloaded", n)]);
        own.webhook = None;
        bench.log.add(own);
        bench.log.add(delivery(Vec::new()));
    }
    bench.until_cursor(4_000).await;
    assert_eq!(sink.tries(), 0);
    assert!(
        bench.state.advances() < 100,
        "not a sync for each: {}",
        bench.state.advances()
    );
    // A webhook's own event of such a name is a webhook's event.
    bench.log.add(delivery(vec![event("hookgate.mine", 7)]));
    bench.until_cursor(4_001).await;
    assert_eq!(sink.taken(), [7]);
}

/// Its loop may run later than the first request comes.
#[tokio::test]
async fn a_new_sink_starts_at_the_moment_it_is_made() {
    let bench = Bench::new();
    let sink = ScriptedSink::new();
    bench.log.add_events(0..5);
    let mut from_now = settings("out");
    from_now.from = super::StartFrom::Now;
    bench.start_as(&from_now, &sink);
    bench.log.add_events(5..8);
    bench.until_cursor(8).await;
    assert_eq!(sink.taken(), [5, 6, 7]);
}

#[tokio::test]
async fn a_new_sink_starts_now_and_remembers_it() {
    let bench = Bench::new();
    let sink = ScriptedSink::new();
    bench.log.add_events(0..5);
    let mut from_now = settings("out");
    from_now.from = super::StartFrom::Now;
    bench.start_as(&from_now, &sink);
    bench.until_cursor(5).await;
    bench.forwarders.stop(Duration::from_secs(5)).await;
    bench.log.add_events(5..8);
    bench.start_as(&from_now, &sink);
    bench.until_cursor(8).await;
    assert_eq!(sink.taken(), [5, 6, 7]);
}

#[tokio::test]
async fn a_damaged_record_is_recorded_and_passed_over() {
    let bench = Bench::new();
    let sink = ScriptedSink::new();
    bench.log.add_events(0..6);
    bench.log.damage(3);
    bench.start(&sink);
    bench.until_cursor(7).await;
    assert_eq!(sink.taken(), [0, 1, 3, 4, 5]);
    let skipped = bench.state.skipped().unwrap();
    assert_eq!((skipped[0].from, skipped[0].to), (3, 3));
    assert_eq!(bench.log.own_events(), ["hookgate.sink.skipped"]);
}

#[tokio::test]
async fn past_max_lag_the_sink_is_cut_off() {
    let bench = Bench::new();
    let sink = ScriptedSink::new();
    let old = Timestamp::now() - SignedDuration::from_hours(3);
    for n in 0..300 {
        let mut late = delivery(vec![event("old", n)]);
        late.received = old;
        bench.log.add(late);
    }
    bench.log.add_events(300..310);
    let mut limited = settings("out");
    limited.max_lag = Some(Duration::from_secs(3_600));
    bench.start_as(&limited, &sink);
    bench.until_cursor(311).await;
    let skipped = bench.state.skipped().unwrap();
    assert_eq!((skipped[0].from, skipped[0].to, skipped.len()), (1, 300, 1));
    assert_eq!(sink.taken().len(), 10);
    assert_eq!(bench.log.own_events(), ["hookgate.sink.skipped"]);
}

#[tokio::test]
async fn what_retention_took_before_delivery_is_recorded() {
    let bench = Bench::new();
    let sink = ScriptedSink::new();
    bench.state.put_cursor("out", 2, None);
    bench.log.add_events(0..10);
    bench.log.forget_before(6);
    bench.start(&sink);
    bench.until_cursor(11).await;
    let skipped = bench.state.skipped().unwrap();
    assert_eq!((skipped[0].from, skipped[0].to), (3, 5));
    assert_eq!(sink.taken(), [5, 6, 7, 8, 9]);
}

#[tokio::test]
async fn a_cursor_of_another_log_is_forgotten() {
    let bench = Bench::new();
    let sink = ScriptedSink::new();
    bench.state.put_cursor("out", 5_000, None);
    bench.log.add_events(0..3);
    bench.start(&sink);
    until("all three", || sink.taken().len() == 3).await;
    assert_eq!(sink.taken(), [0, 1, 2]);
    until("its cursor", || bench.state.seq("out") == Some(3)).await;
}

#[tokio::test]
async fn a_state_that_fails_stops_sending_and_loses_nothing() {
    let bench = Bench::new();
    let sink = ScriptedSink::new();
    bench.start(&sink);
    bench.log.add_events(0..5);
    bench.until_cursor(5).await;
    bench.state.fail(true);
    sink.script(|batch| {
        if batch.contains(&6) {
            Err(refused(422))
        } else {
            Ok(())
        }
    });
    bench.log.add_events(5..8);
    until("tried", || sink.taken().contains(&5)).await;
    bench.state.fail(false);
    bench.until_cursor(8).await;
    assert_eq!(bench.state.letters().len(), 1);
    assert_eq!(sink.taken(), [0, 1, 2, 3, 4, 5, 7]);
}

#[tokio::test]
async fn a_removed_sink_keeps_its_cursor_for_a_day() {
    let mut tuning = Tuning::fast();
    tuning.removed = Duration::from_secs(24 * 3600);
    let bench = Bench::over(MemoryLog::new(), MemoryState::new(), tuning);
    let day_ago = Timestamp::now() - SignedDuration::from_hours(25);
    bench.state.put_cursor("long-gone", 3, Some(day_ago));
    bench.state.put_cursor("left", 3, None);
    bench.forwarders.apply(&[]).await;
    until("dropped", || !bench.state.has_cursor("long-gone")).await;
    until("told", || {
        bench.log.own_events() == ["hookgate.sink.removed"]
    })
    .await;
    assert!(
        bench
            .state
            .cursor("left")
            .unwrap()
            .unwrap()
            .removed
            .is_some()
    );
    assert_eq!(bench.forwarders.retention_floor(), None);
    // It comes back within the day.
    bench.log.add_events(0..5);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("left.ndjson");
    let mut left = settings("left");
    left.kind = super::SinkKind::Ndjson(super::NdjsonTarget::File(path.clone()));
    bench.forwarders.apply(std::slice::from_ref(&left)).await;
    until("lines", || {
        std::fs::read_to_string(&path).is_ok_and(|t| t.lines().count() == 3)
    })
    .await;
    assert!(
        bench
            .state
            .cursor("left")
            .unwrap()
            .unwrap()
            .removed
            .is_none()
    );

    // Unchanged settings keep the loop; changed ones restart it; a disabled sink has none.
    bench.forwarders.apply(std::slice::from_ref(&left)).await;
    let delivered = || bench.forwarders.status()[0].delivered;
    until("three", || delivered() == 3).await;
    left.batch_events = 7;
    bench.forwarders.apply(std::slice::from_ref(&left)).await;
    assert_eq!(bench.forwarders.status()[0].delivered, 0);
    left.enabled = false;
    bench.forwarders.apply(std::slice::from_ref(&left)).await;
    assert_eq!(bench.forwarders.status()[0].state, "disabled");
    assert_eq!(bench.forwarders.retention_floor(), None);
    assert_eq!(bench.log.head().borrow().to_owned(), 6);
    bench.forwarders.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_filter_leaves_the_rest_out() {
    let bench = Bench::new();
    let sink = ScriptedSink::new();
    for n in 0..100 {
        let name = if n % 3 == 0 {
            "github.push"
        } else {
            "order.created"
        };
        bench.log.add(delivery(vec![event(name, n)]));
    }
    let mut filtered = settings("out");
    filtered.filter = Some(crate::query::Query::parse("event:github.*", Timestamp::now()).unwrap());
    bench.start_as(&filtered, &sink);
    bench.until_cursor(100).await;
    assert_eq!(
        sink.taken(),
        (0..100).filter(|n| n % 3 == 0).collect::<Vec<_>>()
    );
}
