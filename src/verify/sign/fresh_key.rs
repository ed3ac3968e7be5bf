//! A delivery key of its own for a sample request, so that it is no duplicate of the last one.

use super::place;
use crate::model::Request;
use crate::verify::value::{Kind, ValueSpec};
use crate::verify::{Source, value::Cut};
use jiff::Timestamp;
use rand::Rng as _;
use uuid::Uuid;

/// Query parameter that makes a request differ whose key is a hash of it.
const PARAMETER: &str = "hookgate-send";
/// Field that makes an item differ whose key is a hash of it.
const FIELD: &str = "hookgate_send";
/// Digits of a number that is new.
const DIGITS: std::ops::RangeInclusive<usize> = 9..=15;

/// Text that nobody has used before.
pub(super) fn new_id(prefix: &str) -> String {
    format!("{prefix}{}", Uuid::now_v7().simple())
}

/// Gives a request a delivery key that no other has, written where one of these values is read: the first that
/// is there, else the first that can be. A request without any such place stays as it is.
pub(crate) fn freshen(request: &mut Request, keys: &[ValueSpec], now: Timestamp) {
    let there = keys.iter().find(|key| !key.read(request).is_empty());
    let tried = there.into_iter().chain(keys);
    for key in tried {
        if freshen_one(request, key, now) {
            return;
        }
    }
}

fn freshen_one(request: &mut Request, key: &ValueSpec, now: Timestamp) -> bool {
    match &key.0 {
        Kind::Cut(cut) => freshen_cut(request, cut, now),
        Kind::Join { values, .. } => {
            let there = values.iter().filter(|v| !v.read(request).is_empty());
            let mut there: Vec<&ValueSpec> = there.collect();
            if there.len() < values.len() {
                return false;
            }
            there.sort_by_key(|value| rank(&value.label()));
            there.iter().any(|value| freshen_one(request, value, now))
        }
        Kind::Each(each) => {
            if let Some(items) = each.hashed() {
                let field = || (FIELD.to_owned(), new_id(""));
                return place::add_to_items(request, items, &field).is_ok();
            }
            let values = each.sources().iter().cloned().map(ValueSpec::of);
            let mut values: Vec<_> = values.collect();
            values.sort_by_key(|value| rank(&value.label()));
            values.iter().any(|value| freshen_one(request, value, now))
        }
    }
}

/// What of a joined key is made new first: an id, then a time, then whatever it is.
fn rank(label: &str) -> u8 {
    let last = label.rsplit(['/', ' ', '.']).next().unwrap_or(label);
    let lower = last.to_ascii_lowercase();
    let is_id = [
        "id", "uuid", "sid", "token", "number", "sequence", "uri", "ok",
    ];
    if is_time(last) {
        2
    } else if label.starts_with("body /webhook_id") || label.starts_with("body /subscriptionId") {
        // Names the webhook at the sender, not the delivery.
        4
    } else if is_id.iter().any(|end| lower.ends_with(end)) {
        1
    } else {
        3
    }
}

fn is_time(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.contains("time")
        || ["_at", "created", "updated"]
            .iter()
            .any(|end| lower.ends_with(end))
        || name.ends_with("At")
}

fn freshen_cut(request: &mut Request, cut: &Cut, now: Timestamp) -> bool {
    let hash = cut.from.contains(&Source::Hash) && cut.from.len() == 1;
    if hash {
        let place = Source::Query(PARAMETER.to_owned());
        return place::edit(request, &place, &mut |_| new_id("")).is_ok();
    }
    let source = place::choose(request, cut).filter(|source| **source != Source::Path);
    let Some(source) = source else {
        return false;
    };
    // A body that has no such value is of an event that has none.
    let header = matches!(source, Source::Header(_));
    if source.read(request).is_empty() && !header {
        return false;
    }
    let time = is_time(source.to_string().rsplit('/').next().unwrap_or_default());
    place::edit(request, source, &mut |old| like(old, now, time)).is_ok()
}

/// A new value that looks like the old one.
fn like(old: Option<&str>, now: Timestamp, time: bool) -> String {
    let Some(old) = old.filter(|old| !old.is_empty()) else {
        return Uuid::now_v7().to_string();
    };
    if Uuid::parse_str(old).is_ok() && old.contains('-') {
        return Uuid::now_v7().to_string();
    }
    if old.bytes().all(|b| b.is_ascii_digit()) {
        return number_like(old, now, time);
    }
    if old.contains(':') && old.parse::<Timestamp>().is_ok() {
        return crate::model::time::to_rfc3339(now);
    }
    if old.len() >= 16 && old.bytes().all(|b| b.is_ascii_hexdigit()) {
        let mut bytes = vec![0; old.len().div_ceil(2)];
        rand::rng().fill_bytes(&mut bytes);
        return hex::encode(bytes).chars().take(old.len()).collect();
    }
    let end = old.rfind(['_', '-', ':', '/', '.']).map_or(0, |at| at + 1);
    let kept = old.get(..end).unwrap_or("");
    new_id(kept)
}

fn number_like(old: &str, now: Timestamp, time: bool) -> String {
    match (time, old.len()) {
        // Two of one second must differ too: some time of the last day.
        (true, ..=10) => (now.as_second() - rand::random_range(0..86_400)).to_string(),
        (true, _) => now.as_millisecond().to_string(),
        (false, length) => {
            let digits = length.clamp(*DIGITS.start(), *DIGITS.end());
            let from = 10_u64.pow(u32::try_from(digits - 1).unwrap_or(8));
            let number = rand::random::<u64>() % (from * 9) + from;
            number.to_string()
        }
    }
}
