use super::*;
use crate::log::{self, AppendKeys, StoreSettings};
use crate::telemetry::Metrics;
use std::time::Duration;

fn settings(folder: &std::path::Path) -> StoreSettings {
    StoreSettings {
        path: folder.to_owned(),
        retention: Duration::from_secs(86_400 * 36_500),
        requests: Duration::from_secs(86_400 * 36_500),
        max_size: None,
        dedup: Duration::from_secs(86_400),
        queue: 4_096,
    }
}

fn append(log: &dyn EventLog, delivery: Delivery) -> Appended {
    let keys = delivery
        .key
        .clone()
        .map_or(AppendKeys::None, AppendKeys::Delivery);
    let append = Append {
        delivery,
        request: None,
        keys,
        contents: Vec::new(),
    };
    log.append(append)
        .unwrap()
        .blocking_recv()
        .unwrap()
        .unwrap()
}

#[test]
fn the_feed_follows_the_log_on_disk_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let made = |n| {
        let mut made = delivery(n);
        made.outcome = Outcome::Accepted;
        made.duplicate_of = None;
        made
    };
    for round in 0..3_u64 {
        let (log, _state) = log::open(&settings(folder.path()), &metrics).unwrap();
        let feed = open(folder.path(), Arc::clone(&log)).unwrap();
        for n in 1..=40 {
            let n = round * 40 + n;
            append(&*log, made(n));
            let again = append(&*log, made(n));
            assert_eq!(again.outcome, Outcome::Duplicate);
            let page = feed.deliveries(&query(""), paging(2, false)).unwrap();
            assert_eq!(page.rows[0].seq, Some(again.seq));
            assert_eq!(page.rows[1].duplicates, 1);
        }
        let all = walk_deliveries(&*feed, &query("outcome:duplicate"), 7, true);
        assert_eq!(u64::try_from(all.len()).unwrap(), 40 * (round + 1));
        feed.close();
        log.close();
    }
}
