//! The histogram: a bar for each stretch of time; what went wrong hangs below the axis.

use crate::admin::pages::show::{counted, span, thousands};
use crate::feed::{Bucket, Counted, Histogram};
use crate::model::Outcome;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// About how many bars.
pub(super) const BUCKETS: usize = 48;
/// Bars that are drawn at most.
const BARS_MAX: usize = 200;
/// Width and the axis' place in the drawing, whose height is 100.
const WIDTH: u64 = 960;
const AXIS: u64 = 74;
/// How high the highest bar is, and how low the lowest hangs.
const UP: u64 = 70;
const DOWN: u64 = 24;

/// The drawing, and the same as a table.
#[derive(Debug, Serialize)]
pub(super) struct Chart {
    /// What it shows, in a sentence.
    label: String,
    axis: u64,
    bars: Vec<Bar>,
    /// Words below the axis, evenly spaced.
    marks: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Bar {
    x: u64,
    /// Width of the bar; that of its stretch is `step`.
    width: u64,
    step: u64,
    parts: Vec<Part>,
    /// When it begins.
    at: String,
    start: String,
    title: String,
    /// Accepted, others, parked, rejected.
    numbers: [String; 4],
}

#[derive(Debug, Serialize)]
struct Part {
    class: &'static str,
    y: u64,
    height: u64,
}

/// What stands in the chart, from the axis: two go up, two hang.
const KINDS: [&str; 4] = ["accepted", "ignored", "parked", "rejected"];

/// How many of each kind; what is neither accepted nor wrong counts as ignored.
fn kinds(bucket: &Bucket) -> [u64; 4] {
    let quiet = [Outcome::Ignored, Outcome::Duplicate, Outcome::Handshake];
    [
        bucket.of(Outcome::Accepted),
        quiet.iter().map(|outcome| bucket.of(*outcome)).sum(),
        bucket.of(Outcome::Parked),
        bucket.of(Outcome::Rejected),
    ]
}

/// Draws it; none where nothing was counted.
pub(super) fn draw(found: &Counted<Histogram>, now: Timestamp) -> Option<Chart> {
    let histogram = &found.value;
    let skipped = histogram.buckets.len().saturating_sub(BARS_MAX);
    let buckets: Vec<&Bucket> = histogram.buckets.iter().skip(skipped).collect();
    let totals = buckets.iter().fold([0; 4], |sums: [u64; 4], bucket| {
        let mut of = kinds(bucket).into_iter();
        sums.map(|sum| sum + of.next().unwrap_or(0))
    });
    if totals.iter().sum::<u64>() == 0 {
        return None;
    }
    let most = |of: fn([u64; 4]) -> u64| {
        buckets
            .iter()
            .map(|b| of(kinds(b)))
            .max()
            .unwrap_or(0)
            .max(1)
    };
    let (up, down) = (most(|k| k[0] + k[1]), most(|k| k[2] + k[3]));
    let step = (WIDTH / (buckets.len() as u64).max(1)).max(1);
    let width = histogram.width_seconds;
    let bars = (0..).zip(&buckets);
    let bars: Vec<Bar> = bars
        .map(|(n, bucket)| bar(n, bucket, step, width, (up, down)))
        .collect();
    let from = buckets
        .first()
        .map_or(histogram.from, |bucket| bucket.start);
    let until = if now.duration_since(histogram.to).as_secs() < width.max(60) {
        "until now".to_owned()
    } else {
        format!("until {}", mark(histogram.to, width))
    };
    let least = if found.at_least || !found.complete {
        "At least these: "
    } else {
        ""
    };
    Some(Chart {
        label: format!(
            "{least}Deliveries from {} {until}, by {}: {}. Failures hang below the axis.",
            mark(from, width),
            words_of_width(width),
            words(totals)
        ),
        axis: AXIS,
        marks: marks(&buckets, width, &until),
        bars,
    })
}

fn bar(n: u64, bucket: &Bucket, step: u64, width: i64, (up, down): (u64, u64)) -> Bar {
    let numbers = kinds(bucket);
    // What is there is seen, however little it is.
    let high = |count: u64, most: u64, room: u64| match count {
        0 => 0,
        _ => (count * room / most).max(1),
    };
    let mut parts = Vec::new();
    let (mut top, mut bottom) = (AXIS, AXIS + 1);
    for (class, count) in KINDS.into_iter().zip(numbers) {
        let hangs = matches!(class, "parked" | "rejected");
        let height = if hangs {
            high(count, down, DOWN)
        } else {
            high(count, up, UP)
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
        if height > 0 {
            parts.push(Part { class, y, height });
        }
    }
    let at = mark(bucket.start, width);
    Bar {
        x: n * step,
        width: step.saturating_sub(step.div_ceil(8)).max(1),
        step,
        parts,
        title: format!("{at}, {}: {}", words_of_width(width), words(numbers)),
        at,
        start: crate::model::time::to_rfc3339(bucket.start),
        numbers: numbers.map(thousands),
    }
}

fn words(numbers: [u64; 4]) -> String {
    let each = KINDS.iter().zip(numbers);
    let each: Vec<String> = each
        .map(|(kind, n)| format!("{} {kind}", thousands(n)))
        .collect();
    each.join(", ")
}

fn words_of_width(seconds: i64) -> String {
    match seconds {
        ..60 => counted(seconds.unsigned_abs(), "second"),
        _ => span(SignedDuration::from_secs(seconds)),
    }
}

/// A moment as its stretch deserves: with the day where a stretch is hours or more.
fn mark(at: Timestamp, width: i64) -> String {
    let form = match width {
        ..60 => "%H:%M:%S",
        60..3_600 => "%H:%M",
        3_600..86_400 => "%-d %b %H:%M",
        _ => "%-d %b",
    };
    at.strftime(form).to_string()
}

/// Five words below the axis.
fn marks(buckets: &[&Bucket], width: i64, until: &str) -> Vec<String> {
    let quarter = (buckets.len() / 4).max(1);
    let starts = buckets.iter().step_by(quarter).take(4);
    let mut marks: Vec<String> = starts.map(|bucket| mark(bucket.start, width)).collect();
    marks.push(until.trim_start_matches("until ").to_owned());
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(counts: &[[u64; 6]]) -> Counted<Histogram> {
        let at = |n: i64| Timestamp::from_second(1_795_000_000 + n * 60).unwrap();
        let buckets = (0..).zip(counts).map(|(n, counts)| Bucket {
            start: at(n),
            counts: *counts,
        });
        Counted {
            value: Histogram {
                width_seconds: 60,
                from: at(0),
                to: at(i64::try_from(counts.len()).unwrap()),
                buckets: buckets.collect(),
            },
            matches: 0,
            at_least: false,
            scanned: 0,
            complete: true,
            next: None,
            indexed_to: 0,
        }
    }

    #[test]
    fn failures_hang_and_little_is_seen() {
        let found = histogram(&[[1_000_000, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6], [0; 6]]);
        let now = found.value.to;
        let chart = draw(&found, now).unwrap();
        assert_eq!(chart.bars.len(), 3);
        assert_eq!(
            chart.bars[1].numbers,
            ["1", "11", "4", "5"].map(str::to_owned)
        );
        assert!(chart.bars[1].parts.iter().all(|part| part.height > 0));
        assert!(chart.bars[0].parts[0].y + chart.bars[0].parts[0].height == AXIS);
        assert!(chart.bars[2].parts.is_empty());
        assert!(chart.label.contains("1,000,001 accepted") && chart.label.contains("until now"));
        assert!(draw(&histogram(&[[0; 6]]), now).is_none());
        for bar in &chart.bars {
            assert!(bar.parts.iter().all(|part| part.y + part.height <= 100));
        }
    }
}
