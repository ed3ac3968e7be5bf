//! Translation beside the obvious way to write it, in one run on one core: body to event, in microseconds.
//!
//! `taskset -c 0 cargo bench --bench translate [-- FILE]`; the large body is written to FILE. The obvious way parses the body into `serde_json::Value`, hands it
//! to minijinja, and parses what was printed; ours looks values up in the body where it lies, prints them safely,
//! counts instructions, and makes checked events with ids. Both are the best of several rounds.
//!
//! - `push`: a GitHub push of 7.7 KB, a template of twelve lines;
//! - `large`: a body of 1 MB of which three fields are read.
//!
//! serde_json keeps the text of numbers in this build, which makes it slower; `benches/readers` measures it, and
//! other readers, as they come.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a measuring program stops at the first surprise"
)]

use hookgate::config::{self, Overrides, Webhook};
use hookgate::engine;
use hookgate::model::{Request, http_file};
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PUSH: &str = include_str!("../tests/fixtures/github/push.json");
const PUSH_TEMPLATE: &str = include_str!("push-twelve-lines.json.j2");
const LARGE_TEMPLATE: &str = r#"{
  "event": "report.{{ body.kind }}",
  "resource": {"prefect.resource.id": "report.{{ body.id }}"},
  "payload": {"rows": {{ body.count }}}
}"#;

/// A round lasts about this long.
const ROUND: Duration = Duration::from_millis(300);
const ROUNDS: usize = 7;

fn main() {
    let large = large_body();
    if let Some(file) = std::env::args().skip(1).find(|arg| !arg.starts_with("--")) {
        // For `benches/readers`.
        std::fs::write(file, &large).unwrap();
    }
    for (name, body, template) in [
        ("push", PUSH, PUSH_TEMPLATE),
        ("large", large.as_str(), LARGE_TEMPLATE),
    ] {
        let case = Case::new(body, template);
        assert_eq!(case.ours(), case.naive(), "both make the same event");
        let naive = best(|| {
            black_box(case.naive());
        });
        let ours = best(|| {
            black_box(engine::translate(&case.webhook, &case.request));
        });
        let ratio = naive.as_secs_f64() / ours.as_secs_f64();
        println!(
            "{name:>6} {:>8} bytes   serde_json, minijinja, serde_json {}   hookgate {}   {ratio:.1} times as fast",
            body.len(),
            micros(naive),
            micros(ours)
        );
    }
}

/// One template and one request, ready for both ways.
struct Case {
    webhook: Arc<Webhook>,
    request: Request,
    env: minijinja::Environment<'static>,
}

impl Case {
    fn new(body: &str, template: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.json.j2"), template).unwrap();
        let file = folder.path().join("webhooks.toml");
        let text = "[[webhook]]\nname = \"bench\"\nslug = \"benchbenchbenchbenchbe\"\ntemplate = \"t.json.j2\"\n";
        std::fs::create_dir(folder.path().join("templates")).unwrap();
        std::fs::rename(
            folder.path().join("t.json.j2"),
            folder.path().join("templates/t.json.j2"),
        )
        .unwrap();
        std::fs::write(&file, text).unwrap();
        let config = config::load(&file, &Overrides::default()).config.unwrap();
        let http = format!(
            "POST /hooks/bench HTTP/1.1\nHost: localhost\nContent-Type: application/json\nX-GitHub-Event: push\n\n{body}"
        );
        let mut env = minijinja::Environment::new();
        env.add_template("t", template).unwrap();
        Self {
            webhook: Arc::clone(config.webhooks.first().unwrap()),
            request: http_file::parse(http.as_bytes(), jiff::Timestamp::UNIX_EPOCH).unwrap(),
            env,
        }
    }

    /// What is printed, as JSON.
    fn naive(&self) -> serde_json::Value {
        let body: serde_json::Value = serde_json::from_slice(&self.request.body).unwrap();
        let context = minijinja::context! {
            body => engine_value(&body),
            headers => std::collections::BTreeMap::from([("x-github-event", "push")]),
        };
        let text = self.env.get_template("t").unwrap().render(context).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// The same members of our event.
    fn ours(&self) -> serde_json::Value {
        let translation = engine::translate(&self.webhook, &self.request);
        let event = serde_json::to_value(translation.events.first().unwrap()).unwrap();
        let naive = self.naive();
        let mut kept = serde_json::Map::new();
        for key in naive.as_object().unwrap().keys() {
            let mut value = event.get(key).unwrap().clone();
            if let (Some(items), Some(wanted)) =
                (value.as_array_mut(), naive.get(key).unwrap().as_array())
            {
                // The webhook itself is added to the related resources.
                items.truncate(wanted.len());
            }
            kept.insert(key.clone(), value);
        }
        serde_json::Value::Object(kept)
    }
}

/// A body as the engine's value. (serde's way makes maps of numbers where their text is kept, as in this build.)
fn engine_value(json: &serde_json::Value) -> minijinja::Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => minijinja::Value::from(()),
        Json::Bool(is) => minijinja::Value::from(*is),
        Json::Number(number) => number.as_i64().map_or_else(
            || minijinja::Value::from(number.as_f64().unwrap()),
            minijinja::Value::from,
        ),
        Json::String(text) => minijinja::Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(engine_value).collect(),
        Json::Object(members) => {
            let members = members.iter().map(|(k, v)| (k.as_str(), engine_value(v)));
            minijinja::Value::from_pairs(members)
        }
    }
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

fn micros(time: Duration) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1e6)
}

/// A report of a thousand rows and more, 1 MB.
fn large_body() -> String {
    let mut rows = String::new();
    let mut count = 0;
    while rows.len() < 1_000_000 {
        let comma = if count == 0 { "" } else { "," };
        write!(
            rows,
            r#"{comma}{{"number":{count},"name":"row {count}","score":{}.25,"tags":["a","b\u00e9","c"],"open":true,"owner":{{"login":"user{}","id":{}}}}}"#,
            count % 97,
            count % 13,
            count * 7
        )
        .unwrap();
        count += 1;
    }
    format!(r#"{{"kind":"daily","id":"r-17","rows":[{rows}],"count":{count}}}"#)
}
