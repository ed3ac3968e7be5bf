//! What the dearest templates cost: every line of `tests/cases/bombs.txt`, once and until the budget is used up. Prints
//! the slowest, and fails where one takes longer than it may.
//!
//! `taskset -c 0 cargo bench --bench budget [-- WORD]`; with a word only the lines that hold it, each of them printed.
//! The body is read before: what that costs does not depend on the template.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    missing_docs,
    reason = "a measuring program stops at the first surprise"
)]

#[path = "../tests/fixtures/bombs.rs"]
mod bombs;

use hookgate::model::http_file::{self, Masking};
use hookgate::translate::{Keys, ParsedBody, Scope, Template, Translator};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The longest that a render may take.
const MOST: Duration = Duration::from_millis(50);
/// Of several tries the quickest counts.
const TRIES: usize = 3;
/// The slowest that are printed.
const SHOWN: usize = 40;

fn main() {
    let word = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let body = bombs::body(1);
    let http = format!(
        "POST /hooks/bench?q=1 HTTP/1.1\nHost: localhost\nContent-Type: application/json\n\n{body}"
    );
    let request = http_file::parse(http.as_bytes(), jiff::Timestamp::UNIX_EPOCH).unwrap();
    let masking = Masking::default();
    let read = ParsedBody::default();
    let scope = Scope {
        request: &request,
        webhook: "bench",
        masking: &masking,
        keys: &Keys::None,
        own_keys: false,
        default_payload: false,
        body: &read,
    };
    let warm = Template::compile("warm", "{{ body.n }}".into()).unwrap();
    drop(Translator::Template(warm).translate(&scope));
    let mut costs: Vec<(Duration, String, String)> = Vec::new();
    for (line, templates) in bombs::templates() {
        if word
            .as_ref()
            .is_some_and(|word| !line.contains(word.as_str()))
        {
            continue;
        }
        for (way, source) in ["once", "on and on"].into_iter().zip(templates) {
            let (cost, outcome) = measure(&scope, source);
            costs.push((cost, format!("{way}: {line}"), outcome));
        }
    }
    costs.sort_by_key(|(cost, ..)| std::cmp::Reverse(*cost));
    let shown = if word.is_some() { costs.len() } else { SHOWN };
    for (cost, line, outcome) in costs.iter().take(shown) {
        println!("{cost:>12.1?}  {line}   {outcome}");
    }
    let (worst, line, _) = costs.first().unwrap();
    println!(
        "{} templates; the slowest takes {worst:.1?}: {line}",
        costs.len()
    );
    assert!(*worst < MOST, "{line} takes {worst:?}");
}

/// Time of a processor that this thread has had, which does not depend on what else is running; none where the system
/// does not tell.
fn processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}

fn measure(scope: &Scope<'_>, source: String) -> (Duration, String) {
    let template = match Template::compile("bomb", source) {
        Ok(template) => Translator::Template(template),
        Err(problem) => return (Duration::ZERO, problem.message),
    };
    let mut best = Duration::MAX;
    let mut outcome = String::new();
    for _ in 0..TRIES {
        let (started, spent) = (Instant::now(), processor());
        let result = template.translate(scope);
        best = best.min(match (spent, processor()) {
            (Some(before), Some(after)) => after.saturating_sub(before),
            _ => started.elapsed(),
        });
        outcome = match result {
            Ok(translated) => format!("{} events", translated.events.len()),
            Err(failure) => {
                let message: String = failure.problem.message.chars().take(90).collect();
                format!("{} {message}", failure.problem.code)
            }
        };
        if best > 20 * MOST {
            break;
        }
    }
    (best, outcome)
}
