//! Values of terms: texts, outcomes, ids, numbers, times.

use super::lexer::{Comparison, ends_word};
use super::{Pattern, QueryError, Range, Term, TextField, TimeField, UuidField, WILDCARDS_MAX};
use crate::model::{Outcome, time};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// One value as written.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Then `*` means itself.
    pub(super) quoted: bool,
    /// Its first character, from 1.
    pub(super) column: usize,
}

/// Times outside these years are refused: nothing was received there, and they would not print.
const YEARS: std::ops::RangeInclusive<i16> = 1..=9998;

/// A key with one value, compared or not.
pub(super) fn scalar(
    key: &str,
    comparison: Option<Comparison>,
    value: &Scalar,
    now: Timestamp,
) -> Result<Term, QueryError> {
    match key {
        "received" => Ok(Term::Time(
            TimeField::Received,
            times(comparison, value, now)?,
        )),
        "occurred" => Ok(Term::Time(
            TimeField::Occurred,
            times(comparison, value, now)?,
        )),
        "seq" => Ok(Term::Seq(vec![numbers(comparison, value)?])),
        _ if comparison.is_some() => {
            let message = format!("`{key}:` has no order, so > and < do not apply");
            let column = value.column.saturating_sub(1).max(1);
            Err(QueryError::new(column, message)
                .help("only received:, occurred: and seq: have one"))
        }
        _ => list(key, std::slice::from_ref(value), now),
    }
}

/// A key with any of several values.
pub(super) fn list(key: &str, values: &[Scalar], now: Timestamp) -> Result<Term, QueryError> {
    let texts = |field| {
        let patterns = values.iter().map(|value| pattern(field, value));
        Ok(Term::Text(field, patterns.collect::<Result<_, _>>()?))
    };
    let ids = |field| {
        let ids = values.iter().map(uuid);
        Ok(Term::Uuid(field, ids.collect::<Result<_, _>>()?))
    };
    match key {
        "event" => texts(TextField::Event),
        "resource" => texts(TextField::Resource),
        "webhook" => texts(TextField::Webhook),
        "provider" => texts(TextField::Provider),
        "code" => texts(TextField::Code),
        "key" => texts(TextField::Key),
        "id" => ids(UuidField::Event),
        "delivery" => ids(UuidField::Delivery),
        "outcome" => outcomes(values),
        "seq" => {
            let ranges = values.iter().map(|value| numbers(None, value));
            Ok(Term::Seq(ranges.collect::<Result<_, _>>()?))
        }
        _ => match values {
            [only] => scalar(key, None, only, now),
            _ => {
                let column = values.get(1).map_or(1, |second| second.column);
                let message = format!("`{key}:` takes one time or range, not a list");
                Err(QueryError::new(column, message))
            }
        },
    }
}

/// A parameter of the API.
pub(super) fn parameter(name: &str, texts: &[&str], now: Timestamp) -> Result<Term, QueryError> {
    if texts.is_empty() || texts.len() > super::VALUES_MAX {
        let message = format!("`{name}` takes 1 to {} values", super::VALUES_MAX);
        return Err(QueryError::new(1, message));
    }
    let mut scalars = Vec::with_capacity(texts.len());
    for text in texts {
        if text.chars().count() > super::CHARS_MAX {
            let message = format!("a value has at most {} characters", super::CHARS_MAX);
            return Err(QueryError::new(super::CHARS_MAX + 1, message));
        }
        let wild = text.contains('*');
        if let Some(at) = text.chars().position(|c| wild && ends_word(c)) {
            let message = "a value with * can hold no blank, comma, quote or parenthesis";
            return Err(QueryError::new(at + 1, message));
        }
        scalars.push(Scalar {
            text: (*text).to_owned(),
            quoted: !wild,
            column: 1,
        });
    }
    match (name, scalars.as_slice()) {
        ("since", [value]) => {
            let range = times(Some(Comparison::GreaterOrEqual), value, now)?;
            Ok(Term::Time(TimeField::Received, range))
        }
        ("until", [value]) => {
            let range = times(Some(Comparison::LessOrEqual), value, now)?;
            Ok(Term::Time(TimeField::Received, range))
        }
        ("since" | "until", _) => Err(QueryError::new(1, format!("`{name}` takes one time"))),
        _ if super::KEYS.contains(&name) => list(name, &scalars, now),
        _ => Err(QueryError::new(1, format!("there is no filter `{name}`"))),
    }
}

fn pattern(field: TextField, value: &Scalar) -> Result<Pattern, QueryError> {
    let text = match field {
        TextField::Code => value.text.to_uppercase(),
        TextField::Event
        | TextField::Resource
        | TextField::Webhook
        | TextField::Provider
        | TextField::Key => value.text.clone(),
    };
    if value.quoted {
        return Ok(Pattern::exact(text));
    }
    let pattern = Pattern::word(&text);
    if pattern.wildcards() > WILDCARDS_MAX {
        let message = format!("a word has at most {WILDCARDS_MAX} `*`");
        return Err(QueryError::new(value.column, message));
    }
    Ok(pattern)
}

fn outcomes(values: &[Scalar]) -> Result<Term, QueryError> {
    let mut any: Vec<Outcome> = Vec::new();
    for value in values {
        let pattern = if value.quoted {
            Pattern::exact(value.text.as_str())
        } else {
            Pattern::word(&value.text)
        };
        let before = any.len();
        let fitting = Outcome::ALL
            .into_iter()
            .filter(|o| pattern.matches(o.as_str()));
        any.extend(fitting);
        if any.len() == before {
            let names: Vec<&str> = Outcome::ALL.into_iter().map(Outcome::as_str).collect();
            let message = format!("there is no outcome `{}`", shorten(&value.text));
            return Err(QueryError::new(value.column, message)
                .help(format!("outcomes are {}", names.join(", "))));
        }
    }
    any.sort_unstable();
    any.dedup();
    Ok(Term::Outcome(any))
}

fn uuid(value: &Scalar) -> Result<uuid::Uuid, QueryError> {
    uuid::Uuid::try_parse(&value.text).map_err(|_| {
        let message = format!("`{}` is no UUID", shorten(&value.text));
        QueryError::new(value.column, message)
    })
}

fn numbers(comparison: Option<Comparison>, value: &Scalar) -> Result<Range, QueryError> {
    range(comparison, value, |text| {
        let number: i64 = text.parse().ok().filter(|n| *n >= 0)?;
        Some((number, number))
    })
    .ok_or_else(|| {
        let message = format!("`{}` is no sequence number", shorten(&value.text));
        QueryError::new(value.column, message).help("write seq:12, seq:>=12 or seq:12..40")
    })
}

fn times(
    comparison: Option<Comparison>,
    value: &Scalar,
    now: Timestamp,
) -> Result<Range, QueryError> {
    range(comparison, value, |text| moment(text, now)).ok_or_else(|| {
        let message = format!("`{}` is no time", shorten(&value.text));
        QueryError::new(value.column, message).help(
            "write >-15m (s, m, h, d, w), >=2026-11-01, 2026-11-01..2026-11-02 or an RFC 3339 time",
        )
    })
}

/// `a..b`, `a..`, `..b`, or one value with its comparison; `parse` gives a value's first and last number.
fn range(
    comparison: Option<Comparison>,
    value: &Scalar,
    parse: impl Fn(&str) -> Option<(i64, i64)>,
) -> Option<Range> {
    if let Some((a, b)) = value.text.split_once("..") {
        if comparison.is_some() || (a.is_empty() && b.is_empty()) {
            return None;
        }
        let from = if a.is_empty() {
            None
        } else {
            Some(parse(a)?.0)
        };
        let to = if b.is_empty() {
            None
        } else {
            Some(parse(b)?.1)
        };
        return Some(Range { from, to });
    }
    let (first, last) = parse(&value.text)?;
    let (from, to) = match comparison {
        None => (Some(first), Some(last)),
        Some(Comparison::GreaterOrEqual) => (Some(first), None),
        Some(Comparison::Greater) => (Some(last.checked_add(1)?), None),
        Some(Comparison::LessOrEqual) => (None, Some(last)),
        Some(Comparison::Less) => (None, Some(first.checked_sub(1)?)),
    };
    Some(Range { from, to })
}

/// The first and last microsecond of a time: a date is a whole day (UTC), anything else one instant.
fn moment(text: &str, now: Timestamp) -> Option<(i64, i64)> {
    let text = text.trim();
    if let Some(ago) = text.strip_prefix('-') {
        let instant = now.checked_sub(duration(ago)?).ok()?;
        return in_years(instant).map(|micros| (micros, micros));
    }
    if let Ok(date) = text.parse::<Date>()
        && text.len() == "2026-11-01".len()
    {
        let start = TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
        let first = in_years(start)?;
        return Some((first, first + 86_400_000_000 - 1));
    }
    in_years(time::parse(text)?).map(|micros| (micros, micros))
}

fn in_years(instant: Timestamp) -> Option<i64> {
    let year = TimeZone::UTC.to_datetime(instant).year();
    YEARS.contains(&year).then(|| super::micros(instant))
}

fn duration(text: &str) -> Option<SignedDuration> {
    let (unit, seconds) = [
        ('s', 1),
        ('m', 60),
        ('h', 3_600),
        ('d', 86_400),
        ('w', 604_800),
    ]
    .into_iter()
    .find(|(unit, _)| text.ends_with(*unit))?;
    let number = text.strip_suffix(unit)?;
    if !number.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let total = number.parse::<i64>().ok()?.checked_mul(seconds)?;
    Some(SignedDuration::from_secs(total))
}

fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}
