//! The loop over the real log and state.

use super::*;
use crate::log::{Append, AppendKeys, StoreSettings};

fn append(log: &dyn crate::log::EventLog, numbers: std::ops::Range<u64>) {
    let waits: Vec<_> = numbers
        .map(|n| Append {
            delivery: delivery(vec![event("order.created", n)]),
            request: None,
            keys: AppendKeys::None,
            contents: Vec::new(),
        })
        .map(|append| log.append(append).unwrap())
        .collect();
    for wait in waits {
        wait.blocking_recv().unwrap().unwrap();
    }
}

#[test]
fn goes_on_where_it_was_after_the_store_was_closed_and_opened() {
    let folder = tempfile::tempdir().unwrap();
    let day = Duration::from_secs(24 * 3600);
    let store = StoreSettings {
        path: folder.path().to_owned(),
        retention: 30 * day,
        requests: 30 * day,
        max_size: None,
        dedup: day,
        queue: 4_096,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    let sink = ScriptedSink::new();
    sink.script(|batch| {
        if batch.contains(&33) {
            Err(refused(422))
        } else {
            Ok(())
        }
    });
    for (round, numbers) in [0..2_000, 2_000..2_500].into_iter().enumerate() {
        let metrics = Arc::new(Metrics::new());
        let (log, state) = crate::log::open(&store, &metrics).unwrap();
        let last = numbers.end;
        append(log.as_ref(), numbers);
        runtime.block_on(async {
            let forwarders =
                Forwarders::with_tuning(log.clone(), state.clone(), metrics, Tuning::fast());
            let as_sink: Arc<dyn Sink> = sink.clone();
            forwarders.start_with(&settings("out"), &as_sink);
            let moved = || state.cursor("out").unwrap().is_some_and(|c| c.seq >= last);
            until("the cursor", moved).await;
            let floor = || forwarders.retention_floor() == Some(last);
            until("retention's floor", floor).await;
            assert_eq!(forwarders.status()[0].dead_letters, 1, "round {round}");
            forwarders.stop(Duration::from_secs(5)).await;
        });
        let letters = state.dead_letters(Some("out"), None, 10).unwrap();
        assert_eq!((letters.len(), letters[0].seq), (1, 34));
        log.close();
    }
    let expected: Vec<u64> = (0..2_500).filter(|n| *n != 33).collect();
    assert_eq!(sink.taken(), expected);
}
