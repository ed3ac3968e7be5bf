//! What a verification costs beside the bare primitive of its crate, and whether refusals can be told apart by time.
//!
//! `cargo bench --bench verify [-- cost|refusals]`: for each scheme and bodies of 1 KB, 8 KB and 1 MB the time of
//! `Verifier::verify` and of the primitive alone, over the same bytes with a prepared key; then the time of each kind
//! of refusal beside that of a wrong signature. Both sides run in turns, many short rounds each, and the fastest round
//! counts: what else the machine does does not show. The ratio is what counts, not the time of one machine.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measuring program stops at the first surprise"
)]

mod families;

use families::{Family, NOW, Signed};
use hookgate::model::{Headers, Request, Secret};
use hookgate::verify::{DatedSecret, Verifier, VerifySpec};
use jiff::Timestamp;
use std::hint::black_box;
use std::time::{Duration, Instant};

const SIZES: [(&str, usize); 3] = [("1 KB", 1 << 10), ("8 KB", 8 << 10), ("1 MB", 1 << 20)];
/// One round takes about so long: short enough that most are not interrupted.
const ROUND: Duration = Duration::from_micros(300);
const ROUNDS: usize = 60;
/// At 8 KB, of the bare primitive.
const TARGET: f64 = 1.3;

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with("--"))
        .collect();
    let wants = |what: &str| wanted.is_empty() || wanted.iter().any(|w| w == what);
    let families = families::all();
    if wants("cost") {
        cost(&families);
    }
    if wants("refusals") {
        refusals(&families);
    }
}

fn verifier(verify: &str, secret: &str) -> Verifier {
    #[derive(serde::Deserialize)]
    struct File {
        verify: VerifySpec,
    }
    let file: File = toml::from_str(&format!("verify = {{ {verify} }}")).unwrap();
    let secret = DatedSecret {
        secret: Secret::new(secret.to_owned()),
        until: None,
    };
    Verifier::compile(&file.verify, &[secret]).unwrap()
}

/// A request as a busy sender's: some headers that nobody asks for stand before those of the signature.
fn request(signed: &Signed) -> Request {
    let mut headers = Headers::new();
    for (name, value) in [
        ("host", "hooks.example.com"),
        ("user-agent", "Sender-Hookshot/0000001"),
        ("accept", "*/*"),
        ("content-length", "8192"),
        ("x-sender-event", "order.created"),
        ("x-sender-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
    ] {
        headers.push(name, value);
    }
    for (name, value) in &signed.headers {
        headers.push(name, value.as_str());
    }
    let query = signed.query.clone();
    let url = format!(
        "https://hooks.example.com/hooks/x{}{query}",
        if query.is_empty() { "" } else { "?" }
    );
    Request {
        method: "POST".to_owned(),
        path: String::new(),
        query,
        headers,
        wire_body: signed.body.clone().into(),
        body: signed.body.clone().into(),
        peer: [127, 0, 0, 1].into(),
        received: now(),
        url,
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

/// Nanoseconds of one call, the fastest round of each of two that run in turns.
fn race(mut one: impl FnMut(), mut other: impl FnMut()) -> (f64, f64) {
    fn round(calls: u32, run: &mut impl FnMut()) -> f64 {
        let start = Instant::now();
        for _ in 0..calls {
            run();
        }
        start.elapsed().as_nanos() as f64 / f64::from(calls)
    }
    let mut calls = 1;
    while round(calls, &mut one) * f64::from(calls) < ROUND.as_nanos() as f64 {
        calls *= 2;
    }
    let mut best = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        best.0 = best.0.min(round(calls, &mut one));
        best.1 = best.1.min(round(calls, &mut other));
    }
    best
}

fn cost(families: &[Family]) {
    println!(
        "{:<34} {:>38} {:>38} {:>38}",
        "scheme", SIZES[0].0, SIZES[1].0, SIZES[2].0
    );
    let mut above = Vec::new();
    for family in families {
        print!("{:<34}", family.name);
        for (label, size) in SIZES {
            let signed = (family.sign)(size);
            let (request, verifier) = (request(&signed), verifier(family.verify, &family.secret));
            let verdict = verifier.verify(&request, now());
            assert!(verdict.failure.is_none(), "{}: {verdict:?}", family.name);
            assert!(
                (signed.bare)(),
                "{}: the bare primitive disagrees",
                family.name
            );
            let (whole, bare) = race(
                || drop(black_box(verifier.verify(black_box(&request), now()))),
                || {
                    black_box((signed.bare)());
                },
            );
            let ratio = whole / bare;
            print!(
                " {:>10.2} µs / {:>9.2} µs = {ratio:>6.2}",
                whole / 1e3,
                bare / 1e3
            );
            if label == "8 KB" && ratio > TARGET && family.over_body {
                above.push(format!("{} {ratio:.2}", family.name));
            }
        }
        println!(
            "{}",
            if family.over_body {
                ""
            } else {
                "   (no hash of the body)"
            }
        );
    }
    println!(
        "above {TARGET} at 8 KB: {}",
        if above.is_empty() {
            "none".to_owned()
        } else {
            above.join(", ")
        }
    );
}

/// What is sent instead of the right request.
type Spoil = fn(&mut Request, &str);

/// Kinds of refusal; the text is the name of the header with the credential, empty where it is elsewhere.
const KINDS: [(&str, Spoil); 5] = [
    ("verified", |_, _| {}),
    ("wrong", |request, header| match header {
        "" => {
            request.wire_body = turn(&request.wire_body).into();
            request.body = request.wire_body.clone();
            request.query = request.query.replacen("fake-bench", "fakf-bench", 1);
        }
        name => replace(request, name, wrong),
    }),
    ("missing", |request, header| match header {
        "" => {
            // A body without its token is another body; only a query can do without.
            request.query.clear();
        }
        name => replace(request, name, |_| None),
    }),
    ("malformed", |request, header| {
        if !header.is_empty() {
            replace(request, header, |_| Some("?".to_owned()));
        }
    }),
    ("twice", |request, header| {
        if !header.is_empty() {
            request.headers.push(header, "fake-other-0001");
        }
    }),
];

/// The same with another digit near its end.
fn wrong(value: &str) -> Option<String> {
    let at = value.len() - 6;
    let other = if value.as_bytes()[at] == b'1' {
        "2"
    } else {
        "1"
    };
    Some(format!("{}{other}{}", &value[..at], &value[at + 1..]))
}

/// The same body with another token, or something else in what is signed.
fn turn(body: &[u8]) -> Vec<u8> {
    let mut text = String::from_utf8(body.to_vec()).unwrap();
    for (right, wrong) in [
        ("FAKE-bench", "FAKF-bench"),
        ("AUTHORISATION", "AUTHORISATIOM"),
        ("RkFLRS", "RkFLRT"),
    ] {
        text = text.replacen(right, wrong, 1);
    }
    text.into_bytes()
}

fn replace(request: &mut Request, name: &str, with: fn(&str) -> Option<String>) {
    let mut headers = Headers::new();
    for (found, value) in request.headers.iter() {
        if found == name {
            let value = with(std::str::from_utf8(value).unwrap());
            value
                .into_iter()
                .for_each(|value| headers.push(found, value));
        } else {
            headers.push(found, value);
        }
    }
    request.headers = headers;
}

fn refusals(families: &[Family]) {
    println!("time of each kind of refusal of 8 KB, of that of a wrong credential");
    println!(
        "{:<34} {}",
        "scheme",
        KINDS.map(|(kind, _)| format!("{kind:>11}")).join("")
    );
    for family in families {
        let signed = (family.sign)(8 << 10);
        let verifier = verifier(family.verify, &family.secret);
        let made = |spoil: Spoil| {
            let mut request = request(&signed);
            spoil(&mut request, family.header);
            request
        };
        let base = made(KINDS[1].1);
        let refused = verifier.verify(&base, now()).failure;
        assert!(refused.is_some(), "{}", family.name);
        print!("{:<34}", family.name);
        for (kind, spoil) in KINDS {
            let request = made(spoil);
            let failed = verifier.verify(&request, now()).failure.is_some();
            if failed == (kind == "verified") {
                print!("{:>11}", "–");
                continue;
            }
            let (time, wrong) = race(
                || drop(black_box(verifier.verify(black_box(&request), now()))),
                || drop(black_box(verifier.verify(black_box(&base), now()))),
            );
            print!("{:>11.2}", time / wrong);
        }
        println!();
    }
}
