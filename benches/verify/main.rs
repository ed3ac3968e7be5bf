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
    clippy::string_slice,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measuring program stops at the first surprise"
)]

mod families;
mod public;
mod special;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use families::{Family, NOW, Signed};
use hookgate::model::{Headers, Problem, Request, Secret};
use hookgate::verify::{DatedSecret, Document, Found, KeySource, KeysAtHand, Verifier, VerifySpec};
use jiff::{SignedDuration, Timestamp};
use std::hint::black_box;
use std::sync::Arc;
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

/// A scheme with its keys, at some time.
struct Ready {
    verifier: Verifier,
    /// What would have been fetched.
    document: Option<Arc<Document>>,
}

impl KeysAtHand for Ready {
    fn find(&self, _: &KeySource) -> Option<Found> {
        Some(Found {
            document: Arc::clone(self.document.as_ref()?),
            fresh: true,
            asked: true,
        })
    }
}

impl Ready {
    fn new(family: &Family, until: Option<Timestamp>) -> Self {
        #[derive(serde::Deserialize)]
        struct File {
            verify: VerifySpec,
        }
        let file: File = toml::from_str(&format!("verify = {{ {} }}", family.verify)).unwrap();
        let secret = DatedSecret {
            secret: Secret::new(family.secret.clone()),
            until,
        };
        let secrets = match family.jwks {
            None => vec![secret],
            Some(_) => Vec::new(),
        };
        let verifier = Verifier::compile(&file.verify, &secrets).unwrap();
        let document = family.jwks.as_ref().map(|jwks| {
            let source = verifier.key_sources()[0];
            Arc::new(source.read(jwks.as_bytes(), now(), &[]).unwrap())
        });
        Self { verifier, document }
    }

    fn refusal(&self, request: &Request, at: Timestamp) -> Option<Problem> {
        self.verifier.verify_with(request, at, self).failure
    }
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
            let (request, ready) = (request(&signed), Ready::new(family, None));
            let refusal = ready.refusal(&request, now());
            assert!(refusal.is_none(), "{}: {refusal:?}", family.name);
            assert!(
                (signed.bare)(),
                "{}: the bare primitive disagrees",
                family.name
            );
            let (whole, bare) = race(
                || drop(black_box(ready.refusal(black_box(&request), now()))),
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

/// What is sent instead of the right request; the text is the name of the header with the credential, empty where it
/// is elsewhere.
type Spoil = fn(&mut Request, &str);

/// A kind of refusal.
struct Kind {
    name: &'static str,
    spoil: Spoil,
    /// Seconds from the time at which the request was signed.
    clock: i64,
    /// The secret no longer counts.
    run_out: bool,
}

const fn kind(name: &'static str, spoil: Spoil) -> Kind {
    Kind {
        name,
        spoil,
        clock: 0,
        run_out: false,
    }
}

const fn late(name: &'static str, clock: i64) -> Kind {
    let mut late = kind(name, |_, _| {});
    late.clock = clock;
    late
}

const KINDS: [Kind; 9] = [
    kind("verified", |_, _| {}),
    WRONG,
    kind("missing", |request, header| match header {
        "" => {
            request.query.clear();
            change(request, MISSING);
        }
        name => replace(request, name, |_| None),
    }),
    kind("malformed", |request, header| match header {
        "" => change(request, MALFORMED),
        name => replace(request, name, |_| Some("?".to_owned())),
    }),
    kind("twice", |request, header| {
        if !header.is_empty() {
            request.headers.push(header, "fake-other-0001");
        }
    }),
    late("old", 3_600),
    late("future", -3_600),
    kind("no key", |request, header| match header {
        "" => change(request, &[("bt_signature=public", "bt_signature=publik")]),
        name => replace(request, name, other_key),
    }),
    Kind {
        run_out: true,
        ..kind("run out", |_, _| {})
    },
];

/// What all others are compared with.
const WRONG: Kind = kind("wrong", |request, header| match header {
    "" => {
        request.query = request.query.replacen("fake-bench", "fakf-bench", 1);
        change(request, TURNED);
    }
    name => replace(request, name, wrong),
});

/// Texts of a body, and what stands there instead.
type Changes = &'static [(&'static str, &'static str)];

/// Another token, or something else in what is signed.
const TURNED: Changes = &[
    ("FAKE-bench", "FAKF-bench"),
    ("AUTHORISATION", "AUTHORISATIOM"),
    ("RkFLRS", "RkFLRT"),
];
const MISSING: Changes = &[
    (r#"{"token""#, r#"{"tokem""#),
    ("hmacSignature", "hmacSignaturf"),
    ("bt_signature=", "bt_signaturf="),
];
const MALFORMED: Changes = &[
    (r#""FAKE-bench-secret-0001""#, "123456789012345678901234"),
    (r#""hmacSignature":""#, r#""hmacSignature":"?"#),
    ("bt_signature=public", "bt_signature=?"),
];

fn change(request: &mut Request, changes: Changes) {
    let mut text = String::from_utf8(request.body.to_vec()).unwrap();
    for (right, wrong) in changes {
        text = text.replacen(right, wrong, 1);
    }
    request.body = text.into_bytes().into();
    request.wire_body = request.body.clone();
}

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

/// The same token, which names another key, if it is one.
fn other_key(value: &str) -> Option<String> {
    let Some((head, rest)) = value.split_once('.') else {
        return Some(value.to_owned());
    };
    let Ok(head) = BASE64_URL_SAFE_NO_PAD.decode(head) else {
        return Some(value.to_owned());
    };
    let head = String::from_utf8(head)
        .unwrap()
        .replacen("fake-1", "fake-9", 1);
    Some(format!("{}.{rest}", BASE64_URL_SAFE_NO_PAD.encode(head)))
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
        KINDS.map(|kind| format!("{:>11}", kind.name)).join("")
    );
    for family in families {
        let signed = (family.sign)(8 << 10);
        let made = |kind: &Kind| {
            let mut request = request(&signed);
            (kind.spoil)(&mut request, family.header);
            let before = now() - SignedDuration::from_hours(24);
            let ready = Ready::new(family, kind.run_out.then_some(before));
            (
                ready,
                request,
                now() + SignedDuration::from_secs(kind.clock),
            )
        };
        let base = made(&WRONG);
        assert!(base.0.refusal(&base.1, base.2).is_some(), "{}", family.name);
        print!("{:<34}", family.name);
        for kind in KINDS {
            let (ready, request, at) = made(&kind);
            let refused = ready.refusal(&request, at).is_some();
            if refused == (kind.name == "verified") {
                print!("{:>11}", "–");
                continue;
            }
            let (time, wrong) = race(
                || drop(black_box(ready.refusal(black_box(&request), at))),
                || drop(black_box(base.0.refusal(black_box(&base.1), base.2))),
            );
            print!("{:>11.2}", time / wrong);
        }
        println!();
    }
}
