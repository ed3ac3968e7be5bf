//! Sinks whose yes is no proof.

use super::*;

#[tokio::test]
async fn the_cursor_waits_until_events_are_shown() {
    let bench = Bench::new();
    let sink = ScriptedSink::forgetful();
    // What is sent is lost in the sink's memory until the test says otherwise.
    let keeps = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&keeps);
    sink.store(move |_| asked.load(Ordering::Relaxed));
    bench.log.add_events(0..5_000);
    bench.start(&sink);
    until("the limit of unconfirmed events", || {
        sink.taken().len() >= 2_000
    })
    .await;
    // Sent again after a while, and still no more of them.
    until("a second round", || sink.taken().len() >= 4_000).await;
    assert_eq!(sink.unconfirmed_max(), 2_000);
    assert_eq!(bench.state.seq("out"), Some(0));
    // From now on those are known to be lost where a later event is shown: they wait for their test beside others.
    keeps.store(true, Ordering::Relaxed);
    bench.until_cursor(5_000).await;
    assert!(sink.has_stored(0..5_000));
    assert!(bench.state.letters().is_empty());
}

#[tokio::test]
async fn an_event_that_is_dropped_in_silence_becomes_a_dead_letter() {
    let bench = Bench::new();
    let sink = ScriptedSink::forgetful();
    sink.store(|n| n != 42);
    bench.log.add_events(0..300);
    bench.start(&sink);
    bench.until_cursor(300).await;
    let letters = bench.state.letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].seq, letters[0].code.to_string().as_str()),
        (43, "HG0704")
    );
    assert!(sink.has_stored(0..42) && sink.has_stored(43..300));
    // The probe, which has no number.
    assert!(sink.taken().contains(&u64::MAX));
}

#[tokio::test]
async fn a_sink_that_stores_nothing_at_all_makes_no_dead_letters() {
    let bench = Bench::new();
    let sink = ScriptedSink::forgetful();
    sink.store(|_| false);
    bench.log.add_events(0..3);
    bench.start(&sink);
    until("a probe", || sink.taken().contains(&u64::MAX)).await;
    until("told", || {
        bench.log.own_events() == ["hookgate.sink.failing"]
    })
    .await;
    assert!(bench.state.letters().is_empty());
    assert_eq!(bench.state_of(), "failing");
    sink.store(|_| true);
    until("delivered", || bench.state.seq("out") >= Some(3)).await;
    assert!(sink.has_stored(0..3));
}

#[tokio::test]
async fn dropped_events_are_found_while_others_keep_coming() {
    let bench = Bench::new();
    let sink = ScriptedSink::forgetful();
    sink.store(|n| n % 100 != 42);
    bench.start(&sink);
    for n in 0..30 {
        bench.log.add_events(n * 10..n * 10 + 10);
        until("some more", || sink.taken().len() as u64 > n * 10).await;
    }
    until("three", || bench.state.letters().len() == 3).await;
    let dead: Vec<_> = bench
        .state
        .letters()
        .iter()
        .map(|l| l.event.id.as_u128() - 1)
        .collect();
    assert_eq!(dead, [42, 142, 242]);
    bench.until_cursor(300).await;
}

#[tokio::test]
async fn one_event_that_spoils_all_that_are_written_with_it() {
    let bench = Bench::new();
    let sink = ScriptedSink::forgetful();
    // What is sent together with number 17 is not written either.
    let together = Arc::new(std::sync::Mutex::new(Vec::new()));
    let batch_now = together.clone();
    sink.script(move |batch| {
        *batch_now.lock().unwrap() = batch.to_vec();
        Ok(())
    });
    sink.store(move |_| !together.lock().unwrap().contains(&17));
    bench.log.add_events(0..40);
    bench.start(&sink);
    bench.until_cursor(40).await;
    let letters = bench.state.letters();
    assert_eq!((letters.len(), letters[0].seq), (1, 18));
    assert!(sink.has_stored(0..17) && sink.has_stored(18..40));
}

#[tokio::test]
async fn a_sink_that_ignores_ids_it_saw_lately_makes_no_innocent_dead_letter() {
    let bench = Bench::new();
    let sink = ScriptedSink::forgetful();
    let together = Arc::new(std::sync::Mutex::new(Vec::new()));
    let batch_now = together.clone();
    sink.script(move |batch| {
        *batch_now.lock().unwrap() = batch.to_vec();
        Ok(())
    });
    let seen = std::sync::Mutex::new(std::collections::HashMap::new());
    let remembers = Duration::from_millis(60);
    sink.store(move |n| {
        let mut seen = seen.lock().unwrap();
        let now = std::time::Instant::now();
        let is_probe = n == u64::MAX;
        if !is_probe && seen.get(&n).is_some_and(|at| now - *at < remembers) {
            return false;
        }
        seen.insert(n, now);
        !together.lock().unwrap().contains(&5)
    });
    bench.log.add_events(0..12);
    bench.start(&sink);
    bench.until_cursor(12).await;
    let letters = bench.state.letters();
    assert_eq!((letters.len(), letters[0].seq), (1, 6));
    assert!(sink.has_stored(0..5) && sink.has_stored(6..12));
}

#[tokio::test]
async fn what_the_sink_has_from_before_a_restart_is_not_sent_again() {
    let bench = Bench::new();
    let sink = ScriptedSink::forgetful();
    bench.log.add_events(0..300);
    bench.start(&sink);
    bench.until_cursor(300).await;
    bench.forwarders.stop(Duration::from_secs(5)).await;
    // As after a crash: the cursor was not stored, and the log went on.
    let state = MemoryState::new();
    state.put_cursor("out", 100, None);
    bench.log.add_events(300..310);
    let again = Bench::over(bench.log.clone(), state, Tuning::fast());
    again.start(&sink);
    again.until_cursor(310).await;
    assert_eq!(sink.taken(), (0..310).collect::<Vec<_>>());
}
