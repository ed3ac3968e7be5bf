//! Values of terms: texts, outcomes, ids, numbers, times.

use super::keys::Key;
use super::lexer::{Comparison, ends_word};
use super::{Amounts, Has, Is, Pattern, QueryError, Range, SinkState, Term, TextField};
use super::{WILDCARDS_MAX, Words};
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
    key: &Key,
    comparison: Option<Comparison>,
    value: &Scalar,
    now: Timestamp,
) -> Result<Term, QueryError> {
    match key {
        Key::Time(field) => Ok(Term::Time(*field, times(comparison, value, now)?)),
        Key::Seq => Ok(Term::Seq(vec![numbers(
            comparison,
            value,
            "sequence number",
        )?])),
        Key::Status => Ok(Term::Status(vec![numbers(comparison, value, "status")?])),
        Key::Payload(path) => {
            let between = || {
                (!value.quoted)
                    .then(|| Amounts::between(&value.text))
                    .flatten()
            };
            let range = match comparison {
                Some(comparison) => Some(amount(comparison, value)?),
                None => between(),
            };
            match range {
                Some(range) => Ok(Term::Amount(path.clone(), range)),
                None => list(key, std::slice::from_ref(value), now),
            }
        }
        _ if comparison.is_some() => {
            let column = value.column.saturating_sub(1).max(1);
            let message = "this key has no order, so > and < do not apply";
            Err(QueryError::new(column, message)
                .help("received:, occurred:, seq:, status: and payload.<path>: have one"))
        }
        _ => list(key, std::slice::from_ref(value), now),
    }
}

/// A key with any of several values.
pub(super) fn list(key: &Key, values: &[Scalar], now: Timestamp) -> Result<Term, QueryError> {
    let patterns = |upper| {
        let patterns = values.iter().map(|value| pattern(upper, value));
        patterns.collect::<Result<Vec<_>, _>>()
    };
    let ranges = |what| {
        let ranges = values.iter().map(|value| numbers(None, value, what));
        ranges.collect::<Result<Vec<_>, _>>()
    };
    match key {
        Key::Text(field) => {
            let upper = matches!(field, TextField::Code | TextField::Method);
            Ok(Term::Text(*field, patterns(upper)?))
        }
        Key::Label(field) => Ok(Term::Label(field.clone(), patterns(false)?)),
        Key::Payload(path) => Ok(Term::Payload(path.clone(), patterns(false)?)),
        Key::Header(name) => Ok(Term::Header(name.clone(), patterns(false)?)),
        Key::Uuid(field) => {
            let ids = values.iter().map(uuid);
            Ok(Term::Uuid(*field, ids.collect::<Result<_, _>>()?))
        }
        Key::Outcome => {
            let all = Outcome::ALL.map(|outcome| (outcome, outcome.as_str()));
            words_of("outcome", &all, values).map(Term::Outcome)
        }
        Key::Has => words_of("part", &named(Has::ALL, Has::as_str), values).map(Term::Has),
        Key::Is => words_of("state", &named(Is::ALL, Is::as_str), values).map(Term::Is),
        Key::Sink(name) => {
            let all = named(SinkState::ALL, SinkState::as_str);
            words_of("sink state", &all, values).map(|any| Term::Sink(name.clone(), any))
        }
        Key::Seq => ranges("sequence number").map(Term::Seq),
        Key::Status => ranges("status").map(Term::Status),
        Key::Time(_) => match values {
            [only] => scalar(key, None, only, now),
            _ => {
                let column = values.get(1).map_or(1, |second| second.column);
                let message = "this key takes one time or range, not a list";
                Err(QueryError::new(column, message))
            }
        },
    }
}

fn amount(comparison: Comparison, value: &Scalar) -> Result<Amounts, QueryError> {
    Amounts::compared(comparison, &value.text).ok_or_else(|| {
        let message = format!("`{}` is no number", shorten(&value.text));
        QueryError::new(value.column, message)
            .help("values of a payload are compared as numbers: payload.total:>100")
    })
}

/// Free text.
pub(super) fn words(value: &Scalar) -> Result<Term, QueryError> {
    let text = value.text.as_str();
    let (text, prefix) = match text.strip_suffix('*') {
        Some(text) if !value.quoted => (text, true),
        _ => (text, false),
    };
    if !value.quoted && text.contains('*') {
        let message = "in free text `*` stands at the end of a word only";
        return Err(QueryError::new(value.column, message)
            .help("write deplo*, or name a key: event:*deploy*"));
    }
    // A `*` behind a comma would be the beginning of anything.
    let open = prefix && !text.ends_with(char::is_alphanumeric);
    let words = (!open).then(|| Words::new(text, prefix)).flatten();
    words.map(Term::Words).ok_or_else(|| {
        let message = format!(
            "`{}` has no word to search, or too many",
            shorten(&value.text)
        );
        QueryError::new(value.column, message)
            .help("free text is made of letters and digits; for signs name a key: event:\"a-b\"")
    })
}

fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> Vec<(T, &'static str)> {
    all.iter().map(|each| (*each, name(*each))).collect()
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
            Ok(Term::Time(super::TimeField::Received, range))
        }
        ("until", [value]) => {
            let range = times(Some(Comparison::LessOrEqual), value, now)?;
            Ok(Term::Time(super::TimeField::Received, range))
        }
        ("since" | "until", _) => Err(QueryError::new(1, format!("`{name}` takes one time"))),
        _ => match Key::of_name(name) {
            Some(key) => list(&key, &scalars, now),
            None => Err(QueryError::new(1, format!("there is no filter `{name}`"))),
        },
    }
}

fn pattern(upper: bool, value: &Scalar) -> Result<Pattern, QueryError> {
    let text = if upper {
        value.text.to_uppercase()
    } else {
        value.text.clone()
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

/// Those of a fixed set of words that fit, in the set's order.
fn words_of<T: Copy + Ord>(
    what: &str,
    all: &[(T, &'static str)],
    values: &[Scalar],
) -> Result<Vec<T>, QueryError> {
    let mut any: Vec<T> = Vec::new();
    for value in values {
        let pattern = if value.quoted {
            Pattern::exact(value.text.as_str())
        } else {
            Pattern::word(&value.text)
        };
        let before = any.len();
        let fitting = all.iter().filter(|(_, name)| pattern.matches(name));
        any.extend(fitting.map(|(each, _)| *each));
        if any.len() == before {
            let names: Vec<&str> = all.iter().map(|(_, name)| *name).collect();
            let message = format!("there is no {what} `{}`", shorten(&value.text));
            return Err(QueryError::new(value.column, message)
                .help(format!("{what}s are {}", names.join(", "))));
        }
    }
    any.sort_unstable();
    any.dedup();
    Ok(any)
}

fn uuid(value: &Scalar) -> Result<uuid::Uuid, QueryError> {
    uuid::Uuid::try_parse(&value.text).map_err(|_| {
        let message = format!("`{}` is no UUID", shorten(&value.text));
        QueryError::new(value.column, message)
    })
}

fn numbers(
    comparison: Option<Comparison>,
    value: &Scalar,
    what: &str,
) -> Result<Range, QueryError> {
    range(comparison, value, |text| {
        let number: i64 = text.parse().ok().filter(|n| *n >= 0)?;
        Some((number, number))
    })
    .ok_or_else(|| {
        let message = format!("`{}` is no {what}", shorten(&value.text));
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
