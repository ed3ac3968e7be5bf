//! CloudEvents beside the same data by a template, in process on one core: a request that was read to its events.
//!
//! `taskset -c 0 cargo bench --bench cloudevents`. Requests and events a second, the best of several rounds:
//!
//! - `binary`: attributes in headers, 1 KB of JSON data;
//! - `structured`: one envelope of 8 KB;
//! - `batch`: a hundred envelopes of 1 KB;
//! - each with `cloudevents = true`, with `body|from_cloud_event(headers)` in a template, and with a plain template
//!   over the same body that makes as many events with the data as payload, which is what other senders cost;
//! - `out`: the events of the batch as CloudEvents again.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a measuring program stops at the first surprise"
)]

use hookgate::config::{self, Overrides, Webhook};
use hookgate::engine;
use hookgate::model::{Outcome, Request, cloud_event, http_file};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A round lasts about this long.
const ROUND: Duration = Duration::from_millis(300);
const ROUNDS: usize = 7;

const MODE: &str = "cloudevents = true";
const FILTER: &str = "template = { inline = \"{{ body|from_cloud_event(headers) }}\" }";
const BINARY: &str = r#"template = { inline = '''{"event": "{{ headers['ce-type'] }}", "resource": {"prefect.resource.id": "{{ headers['ce-subject'] }}"}, "payload": {"data": {{ body }}}}''' }"#;
const STRUCTURED: &str = r#"template = { inline = '''{"event": "{{ body.type }}", "resource": {"prefect.resource.id": "{{ body.subject }}"}, "occurred": "{{ body.time }}", "payload": {"data": {{ body.data }}}}''' }"#;
const BATCH: &str = r#"template = { inline = '''[{% for e in body %}{"event": "{{ e.type }}", "resource": {"prefect.resource.id": "{{ e.subject }}"}, "occurred": "{{ e.time }}", "payload": {"data": {{ e.data }}}}{% if not loop.last %},{% endif %}{% endfor %}]''' }"#;

fn main() {
    let batch: Vec<String> = (0..100).map(|n| envelope(n, 1_000)).collect();
    let batch = format!("[{}]", batch.join(","));
    let attributes = "ce-specversion: 1.0\nce-id: 7\nce-source: /orders/eu%20west\nce-type: com.example.order\nce-subject: order.7\nce-time: 2026-01-02T03:04:05.678Z\n";
    let cases = [
        (
            "binary",
            http(
                &format!("{attributes}Content-Type: application/json\n"),
                &data(1_000),
            ),
            BINARY,
        ),
        (
            "structured",
            http(
                "Content-Type: application/cloudevents+json\n",
                &envelope(1, 8_000),
            ),
            STRUCTURED,
        ),
        (
            "batch",
            http("Content-Type: application/cloudevents-batch+json\n", &batch),
            BATCH,
        ),
    ];
    for (name, request, template) in &cases {
        for (way, lines) in [("mode", MODE), ("filter", FILTER), ("template", template)] {
            let webhook = webhook(lines);
            let made = engine::translate(&webhook, request);
            assert_eq!(
                made.outcome,
                Outcome::Accepted,
                "{name} {way}: {:?}",
                made.error
            );
            let time = best(|| {
                black_box(engine::translate(&webhook, request));
            });
            say(name, way, request.body.len(), made.events.len(), time);
        }
    }
    let (_, request, _) = &cases[2];
    let events = engine::translate(&webhook(MODE), request).events;
    let time = best(|| {
        for event in &events {
            black_box(cloud_event::to_json(event, Some("bench"), None));
        }
    });
    say("batch", "out", request.body.len(), events.len(), time);
}

fn say(name: &str, way: &str, bytes: usize, events: usize, time: Duration) {
    let requests = 1.0 / time.as_secs_f64();
    println!(
        "{name:>10} {way:<9} {bytes:>7} bytes {:>9.1} µs {requests:>10.0} requests/s {:>10.0} events/s",
        time.as_secs_f64() * 1e6,
        requests * events as f64
    );
}

/// An object of about so many bytes.
fn data(bytes: usize) -> String {
    let item = |n: usize| {
        format!(r#"{{"sku":"a-{n}","count":{n},"price":{n}.50,"note":"grün \"x\"","open":true}}"#)
    };
    let mut items = String::new();
    let mut n = 0;
    while items.len() + 30 < bytes {
        if n > 0 {
            items.push(',');
        }
        items.push_str(&item(n));
        n += 1;
    }
    format!(r#"{{"order":7,"items":[{items}]}}"#)
}

fn envelope(n: usize, bytes: usize) -> String {
    let head = format!(
        r#""specversion":"1.0","id":"{n}","source":"/orders/eu","type":"com.example.order","subject":"order.{n}","time":"2026-01-02T03:04:05.678Z","datacontenttype":"application/json","partitionkey":"p{n}""#
    );
    let data = data(bytes - head.len());
    format!(r#"{{{head},"data":{data}}}"#)
}

fn http(headers: &str, body: &str) -> Request {
    let text = format!("POST /hooks/bench HTTP/1.1\nHost: localhost\n{headers}\n{body}");
    http_file::parse(text.as_bytes(), jiff::Timestamp::UNIX_EPOCH).unwrap()
}

fn webhook(lines: &str) -> Arc<Webhook> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("webhooks.toml");
    let text =
        format!("[[webhook]]\nname = \"bench\"\nslug = \"benchbenchbenchbenchbe\"\n{lines}\n");
    std::fs::write(&file, text).unwrap();
    let config = config::load(&file, &Overrides::default()).config.unwrap();
    Arc::clone(config.webhooks.first().unwrap())
}

/// The shortest mean time of one call over some rounds.
fn best(mut call: impl FnMut()) -> Duration {
    let begun = Instant::now();
    call();
    let once = begun.elapsed().max(Duration::from_nanos(100));
    let calls = (ROUND.as_nanos() / once.as_nanos()).clamp(3, 100_000);
    let calls = u32::try_from(calls).unwrap();
    (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            for _ in 0..calls {
                call();
            }
            begun.elapsed() / calls
        })
        .min()
        .unwrap()
}
