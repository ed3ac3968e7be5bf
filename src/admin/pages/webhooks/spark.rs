//! A spark line: a bar an hour; what went wrong hangs below the axis.

use super::super::show::thousands;
use crate::feed::Bucket;
use crate::model::Outcome;
use serde::Serialize;

/// Width of an hour, with the gap behind it.
const STEP: u64 = 6;
/// Where the axis is, of a height of 28.
const AXIS: u64 = 19;
/// How high bars rise, and how low they hang.
const UP: u64 = 17;
const DOWN: u64 = 8;

/// What stands in it, from the axis: two go up, two hang.
const KINDS: [&str; 4] = ["accepted", "ignored", "parked", "rejected"];

/// The drawing.
#[derive(Debug, Serialize)]
pub(super) struct Spark {
    /// What it shows, in words.
    label: String,
    width: u64,
    bars: Vec<Bar>,
}

#[derive(Debug, Serialize)]
struct Bar {
    class: &'static str,
    x: u64,
    y: u64,
    height: u64,
}

/// How many of each kind came in an hour; what is neither accepted nor wrong counts as ignored.
pub(super) fn kinds(bucket: &Bucket) -> [u64; 4] {
    let quiet = [Outcome::Ignored, Outcome::Duplicate, Outcome::Handshake];
    [
        bucket.of(Outcome::Accepted),
        quiet.iter().map(|outcome| bucket.of(*outcome)).sum(),
        bucket.of(Outcome::Parked),
        bucket.of(Outcome::Rejected),
    ]
}

/// Draws hours, oldest first.
pub(super) fn draw(hours: &[[u64; 4]]) -> Spark {
    let most = |of: fn(&[u64; 4]) -> u64| hours.iter().map(of).max().unwrap_or(0).max(1);
    let up = most(|[accepted, ignored, ..]| accepted + ignored);
    let down = most(|[.., parked, rejected]| parked + rejected);
    let mut bars = Vec::new();
    for (n, hour) in (0..).zip(hours) {
        let (mut top, mut bottom) = (AXIS, AXIS + 1);
        for (class, count) in KINDS.into_iter().zip(*hour) {
            let hangs = matches!(class, "parked" | "rejected");
            let (most, room) = if hangs { (down, DOWN) } else { (up, UP) };
            // What is there is seen, however little it is.
            let height = match count {
                0 => continue,
                _ => (count * room / most).max(1),
            };
            let y = if hangs {
                bottom
            } else {
                top.saturating_sub(height)
            };
            if hangs {
                bottom += height;
            } else {
                top = y;
            }
            bars.push(Bar {
                class,
                x: n * STEP,
                y,
                height,
            });
        }
    }
    Spark {
        label: label(hours),
        width: (hours.len() as u64).max(1) * STEP,
        bars,
    }
}

fn label(hours: &[[u64; 4]]) -> String {
    let totals = hours.iter().fold([0; 4], |sums: [u64; 4], hour| {
        let mut of = hour.iter();
        sums.map(|sum| sum + of.next().unwrap_or(&0))
    });
    let named = KINDS.iter().zip(totals).filter(|(_, n)| *n > 0);
    let words: Vec<String> = named
        .map(|(kind, n)| format!("{} {kind}", thousands(n)))
        .collect();
    match words.as_slice() {
        [] => "nothing in 24 hours".to_owned(),
        words => format!("in 24 hours: {}", words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_hang_and_little_is_seen() {
        let spark = draw(&[[1_000_000, 1, 0, 0], [0, 0, 3, 1], [0; 4]]);
        assert_eq!(spark.width, 18);
        let shown: Vec<_> = spark.bars.iter().map(|bar| (bar.class, bar.x)).collect();
        assert_eq!(
            shown,
            [
                ("accepted", 0),
                ("ignored", 0),
                ("parked", 6),
                ("rejected", 6)
            ]
        );
        for bar in &spark.bars {
            assert!(bar.height > 0 && bar.y + bar.height <= 28, "{bar:?}");
        }
        assert_eq!(
            spark.label,
            "in 24 hours: 1,000,000 accepted, 1 ignored, 3 parked, 1 rejected"
        );
        assert_eq!(draw(&[]).label, "nothing in 24 hours");
    }
}
