//! kill -9 at random moments under load: every 2xx is in the log once.

use crate::harness::{Setup, http, slug};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

fn rounds() -> usize {
    std::env::var("HOOKGATE_TEST_CRASH_ROUNDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(10)
}

#[test]
fn kill_9_under_load_loses_nothing_acknowledged() {
    let toml = format!(
        "[[webhook]]\nname = \"w\"\nslug = \"{}\"\ndelivery_key = \"headers['x-key']\"\nevent = {{ event = \"e.{{{{ body.n }}}}\", resource = {{ \"prefect.resource.id\" = \"r.{{{{ body.n }}}}\" }} }}\n",
        slug(1)
    );
    let mut gateway = Setup::new(toml).start();
    let (acknowledged, next) = (Mutex::new(HashSet::new()), AtomicU64::new(1));
    for round in 0..rounds() {
        let target = gateway.target();
        let stop = AtomicBool::new(false);
        let wanted = acknowledged.lock().unwrap().len() + 40 + 37 * round;
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        let body = json!({"n": n, "pad": "x".repeat(usize::try_from(n * 131 % 4000).unwrap())}).to_string();
                        let headers = [("Content-Type", "application/json"), ("X-Key", &*format!("k{n}"))];
                        let path = format!("/hooks/{}", slug(1));
                        let reply = http::try_send(target, "POST", &path, &headers, body.as_bytes());
                        if reply.is_ok_and(|reply| (200..300).contains(&reply.status)) {
                            acknowledged.lock().unwrap().insert(n);
                        }
                    }
                });
            }
            let enough = || (acknowledged.lock().unwrap().len() >= wanted).then_some(());
            crate::harness::wait_for("acknowledged requests", enough);
            std::thread::park_timeout(Duration::from_micros(u64::try_from(round).unwrap() * 700));
            gateway.kill9();
            stop.store(true, Ordering::Relaxed);
        });
        gateway.start();
    }
    let events = gateway.all_events(1000);
    let numbers: Vec<u64> = events
        .iter()
        .map(|e| e["event"].as_str().unwrap()[2..].parse().unwrap())
        .collect();
    let places: HashSet<(u64, u64)> = events
        .iter()
        .map(|e| (e["seq"].as_u64().unwrap(), e["index"].as_u64().unwrap()))
        .collect();
    let unique: HashSet<u64> = numbers.iter().copied().collect();
    let lost: Vec<u64> = acknowledged
        .into_inner()
        .unwrap()
        .difference(&unique)
        .copied()
        .collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert_eq!(unique.len(), numbers.len(), "an event is there twice");
    assert_eq!(places.len(), events.len(), "a place is there twice");
}
