//! What others make of the bodies that `benches/translate.rs` translates: readers of JSON alone, and the obvious way
//! of body to event with `serde_json` as it comes.
//!
//! `taskset -c 0 cargo run --release --manifest-path benches/readers/Cargo.toml -- BODY.json [TEMPLATE.j2]`. Each
//! figure is the best of several rounds. It also says what each reader makes of what decides before speed: exact
//! numbers, repeated keys, depth.

use minijinja::value::{Serde, Value as Jinja};
use serde_json::Value;
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUND: Duration = Duration::from_millis(300);
const ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1).peekable();
    if args.next_if(|arg| arg == "--deep").is_some() {
        read_deep(&args.next().unwrap_or_default());
        return Ok(());
    }
    let body = std::fs::read(
        args.next()
            .ok_or("usage: readers BODY.json [TEMPLATE.j2]")?,
    )?;
    show("serde_json::Value", || {
        black_box(serde_json::from_slice::<Value>(&body).is_ok());
    });
    show("jiter::JsonValue", || {
        black_box(jiter::JsonValue::parse(&body, false).is_ok());
    });
    show("sonic_rs::Value", || {
        black_box(sonic_rs::from_slice::<sonic_rs::Value>(&body).is_ok());
    });
    let mut scratch = body.clone();
    show("simd_json tape (on a copy)", || {
        scratch.copy_from_slice(&body);
        black_box(simd_json::to_tape(&mut scratch).is_ok());
    });
    if let Some(file) = args.next() {
        let template = std::fs::read_to_string(file)?;
        let mut env = minijinja::Environment::new();
        env.add_template("t", &template)?;
        show("serde_json, minijinja, serde_json", || {
            black_box(event(&env, &body).is_ok());
        });
    }
    judge();
    Ok(())
}

/// The obvious way.
fn event(
    env: &minijinja::Environment<'_>,
    body: &[u8],
) -> Result<Value, Box<dyn std::error::Error>> {
    let body: Value = serde_json::from_slice(body)?;
    let headers = std::collections::BTreeMap::from([("x-github-event", "push")]);
    let context = minijinja::context! { body => Jinja::from(Serde(&body)), headers => headers };
    let text = env.get_template("t")?.render(context)?;
    Ok(serde_json::from_str(&text)?)
}

/// What each reader makes of texts on which they differ.
fn judge() {
    for (what, text) in [
        ("an integer past 64 bits", "123456789012345678901234567890"),
        ("minus zero", "-0"),
        ("a fraction's text", "1.10"),
        ("a repeated key", r#"{"a":1,"a":2}"#),
        ("half a surrogate pair", r#""\ud800""#),
    ] {
        let serde = serde_json::from_str::<Value>(text).map(|v| v.to_string());
        let sonic = sonic_rs::from_str::<sonic_rs::Value>(text).map(|v| v.to_string());
        let jiter = jiter::JsonValue::parse(text.as_bytes(), false).map(|v| format!("{v:?}"));
        let mut bytes = text.as_bytes().to_vec();
        let simd = simd_json::to_owned_value(&mut bytes).map(|v| format!("{v:?}"));
        println!("{what}:");
        println!("  serde_json {}", short(serde));
        println!("  sonic-rs   {}", short(sonic));
        println!("  jiter      {}", short(jiter));
        println!("  simd-json  {}", short(simd));
    }
    println!("100,000 brackets:");
    for name in ["serde_json", "sonic-rs", "jiter", "simd-json"] {
        let child = std::env::current_exe()
            .and_then(|exe| Command::new(exe).args(["--deep", name]).output());
        let said = child.map_or_else(
            |error| error.to_string(),
            |out| match out.status.success() {
                true => String::from_utf8_lossy(&out.stdout).trim().to_owned(),
                false => format!("the process ended: {}", out.status),
            },
        );
        println!("  {name:<10} {said}");
    }
}

/// Reads a hostile text, in a process of its own: some overflow their stack.
fn read_deep(name: &str) {
    let text = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let ok = match name {
        "serde_json" => serde_json::from_str::<Value>(&text).is_ok(),
        "sonic-rs" => sonic_rs::from_str::<sonic_rs::Value>(&text).is_ok(),
        "jiter" => jiter::JsonValue::parse(text.as_bytes(), false).is_ok(),
        _ => simd_json::to_owned_value(&mut text.into_bytes()).is_ok(),
    };
    println!("{}", if ok { "read" } else { "error" });
}

fn short<E: std::fmt::Display>(result: Result<String, E>) -> String {
    let text = result.unwrap_or_else(|error| format!("error: {error}"));
    text.chars().take(90).collect()
}

fn show(name: &str, mut call: impl FnMut()) {
    let begun = Instant::now();
    call();
    let once = begun.elapsed().max(Duration::from_nanos(100));
    let calls = u32::try_from((ROUND.as_nanos() / once.as_nanos()).clamp(3, 100_000)).unwrap_or(3);
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..calls {
            call();
        }
        best = best.min(begun.elapsed() / calls);
    }
    println!("{name:>36} {:9.1} µs", best.as_secs_f64() * 1e6);
}
