//! How old a signed request may be.

use super::value::{OneOrMany, ValueSpec};
use jiff::{SignedDuration, Timestamp};
use serde::de::{self, Deserialize, Deserializer, value::MapAccessDeserializer};
use std::fmt;

/// Limit where neither provider nor owner says one, both ways: what most senders name.
const LIMIT_DEFAULT: SignedDuration = SignedDuration::from_mins(5);

/// A timestamp: where it is, its unit, how far from now it may be.
#[derive(Debug, Clone)]
pub(super) struct TimeSpec {
    pub(super) value: ValueSpec,
    unit: Unit,
    /// None: any age.
    past: Option<SignedDuration>,
    /// None: any time ahead.
    future: Option<SignedDuration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Unit {
    #[default]
    S,
    Ms,
    Rfc3339,
    HttpDate,
}

/// Whether a time is within the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Freshness {
    /// With what to say of it: `3 s old (limit 300 s)`.
    Fresh(String),
    Outside(String),
    /// The text is no time of the unit.
    NoTime,
}

impl TimeSpec {
    /// A time that must not be older, or farther ahead, than so many seconds.
    pub(super) fn fixed(value: ValueSpec, millis: bool, past: i64, future: i64) -> Self {
        Self {
            value,
            unit: if millis { Unit::Ms } else { Unit::S },
            past: Some(SignedDuration::from_secs(past)),
            future: Some(SignedDuration::from_secs(future)),
        }
    }

    /// The same of an RFC 3339 time.
    pub(super) fn rfc3339(value: ValueSpec, past: i64, future: i64) -> Self {
        Self {
            unit: Unit::Rfc3339,
            ..Self::fixed(value, false, past, future)
        }
    }

    /// Sets the limit both ways, as the owner's `tolerance` does.
    pub(super) fn limit(&mut self, limit: Limit) {
        self.past = limit.0;
        self.future = limit.0;
    }

    /// How old it may be; none: any age.
    pub(super) fn past(&self) -> Option<SignedDuration> {
        self.past
    }

    /// A time as the sender writes it.
    pub(super) fn text(&self, time: Timestamp) -> String {
        match self.unit {
            Unit::S => time.as_second().to_string(),
            Unit::Ms => time.as_millisecond().to_string(),
            Unit::Rfc3339 => crate::model::time::to_rfc3339(time),
            Unit::HttpDate => time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(),
        }
    }

    pub(super) fn unit_name(&self) -> &'static str {
        match self.unit {
            Unit::S => "a number of seconds",
            Unit::Ms => "a number of milliseconds",
            Unit::Rfc3339 => "an RFC 3339 time",
            Unit::HttpDate => "an HTTP date",
        }
    }

    pub(super) fn check(&self, text: &str, now: Timestamp) -> Freshness {
        let Some(time) = self.parse(text) else {
            return Freshness::NoTime;
        };
        let age = now.duration_since(time);
        let (distance, word, limit) = if age.is_negative() {
            (age.abs(), "ahead", self.future)
        } else {
            (age, "old", self.past)
        };
        // Every request pays for this text: it is written in one piece.
        let mut text = String::with_capacity(48);
        push_seconds(&mut text, distance);
        text.extend([" ", word, " ("]);
        match limit {
            None => text.push_str("no limit"),
            Some(limit) => {
                text.push_str("limit ");
                push_seconds(&mut text, limit);
            }
        }
        text.push(')');
        if distance >= SignedDuration::from_mins(10) {
            text.push_str(&format!(", that is {}", span(distance.as_secs_f64())));
        }
        if distance > SignedDuration::from_hours(20 * 365 * 24) {
            text.push_str(match self.unit {
                Unit::S => "; it looks like milliseconds, and `unit` is \"s\"",
                Unit::Ms => "; it looks like seconds, and `unit` is \"ms\"",
                Unit::Rfc3339 | Unit::HttpDate => "",
            });
        }
        if limit.is_some_and(|limit| distance > limit) {
            Freshness::Outside(text)
        } else {
            Freshness::Fresh(text)
        }
    }

    /// How old, and how far ahead.
    #[cfg(test)]
    pub(super) fn limits(&self) -> (Option<SignedDuration>, Option<SignedDuration>) {
        (self.past, self.future)
    }

    pub(super) fn parse(&self, text: &str) -> Option<Timestamp> {
        let digits = || {
            let only = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            only.then(|| text.parse::<i64>().ok()).flatten()
        };
        match self.unit {
            Unit::S => Timestamp::from_second(digits()?).ok(),
            Unit::Ms => Timestamp::from_millisecond(digits()?).ok(),
            // A bare number is a time elsewhere, but not here.
            Unit::Rfc3339 if text.contains(':') => crate::model::time::parse(text),
            Unit::Rfc3339 => None,
            Unit::HttpDate => jiff::fmt::rfc2822::parse(text).ok().map(|z| z.timestamp()),
        }
    }
}

/// `3 s`, `0.250 s`.
fn push_seconds(text: &mut String, duration: SignedDuration) {
    text.push_str(&duration.as_secs().to_string());
    let millis = duration.subsec_millis();
    if millis != 0 {
        text.push_str(&format!(".{millis:03}"));
    }
    text.push_str(" s");
}

/// A number of seconds as people say it: `45 s`, `12 min`, `5 h 20 min`, `3 days`.
pub(super) fn span(seconds: f64) -> String {
    let seconds = SignedDuration::try_from_secs_f64(seconds.abs())
        .map_or(i64::MAX, |duration| duration.as_secs());
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        ..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{minutes} min"),
        7_200..=172_799 => match minutes % 60 {
            0 => format!("{hours} h"),
            rest => format!("{hours} h {rest} min"),
        },
        172_800..=63_072_000 => format!("{days} days"),
        _ => format!("{} years", days / 365),
    }
}

/// A limit: `"5m"`, `"300s"`, a number of seconds, or `"any"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit(Option<SignedDuration>);

impl Limit {
    /// None: no limit.
    pub(super) fn get(self) -> Option<SignedDuration> {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "any" {
            return Some(Self(None));
        }
        let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(unit_at);
        let number: i64 = number.parse().ok()?;
        let scale = match unit.trim() {
            "ms" => return Some(Self(Some(SignedDuration::from_millis(number)))),
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return None,
        };
        let seconds = number.checked_mul(scale)?;
        Some(Self(Some(SignedDuration::from_secs(seconds))))
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Limit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"5m\", a number of seconds, or \"any\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Limit, E> {
                Limit::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Limit, E> {
                if seconds < 0 {
                    return Err(E::invalid_value(de::Unexpected::Signed(seconds), &self));
                }
                Ok(Limit(Some(SignedDuration::from_secs(seconds))))
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Limit, E> {
                let signed = i64::try_from(seconds).map_err(E::custom)?;
                self.visit_i64(signed)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTimeSpec {
    from: Option<OneOrMany>,
    header: Option<String>,
    split: Option<String>,
    prefix: Option<String>,
    #[serde(default)]
    unit: Unit,
    past: Option<Limit>,
    future: Option<Limit>,
}

impl RawTimeSpec {
    fn check(self) -> Result<TimeSpec, String> {
        let from = match (self.from, self.header) {
            (Some(from), None) => from,
            (None, Some(name)) => OneOrMany::One(format!("header:{name}")),
            _ => return Err("a timestamp has either `from` or `header`".to_owned()),
        };
        if self.split.as_deref() == Some("") {
            return Err("`split` is empty".to_owned());
        }
        Ok(TimeSpec {
            value: ValueSpec::cut(from.sources()?, self.split, self.prefix),
            unit: self.unit,
            past: self.past.map_or(Some(LIMIT_DEFAULT), |l| l.0),
            future: self.future.map_or(Some(LIMIT_DEFAULT), |l| l.0),
        })
    }
}

impl<'de> Deserialize<'de> for TimeSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = TimeSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a place such as \"header:X-Timestamp\", or a table with `from`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<TimeSpec, E> {
                let raw = RawTimeSpec {
                    from: Some(OneOrMany::One(text.to_owned())),
                    header: None,
                    split: None,
                    prefix: None,
                    unit: Unit::S,
                    past: None,
                    future: None,
                };
                raw.check().map_err(E::custom)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<TimeSpec, A::Error> {
                let raw = RawTimeSpec::deserialize(MapAccessDeserializer::new(map))?;
                raw.check().map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: &str) -> TimeSpec {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn limits_both_ways() {
        let now = Timestamp::from_second(1_767_225_600).unwrap();
        let five = spec(r#""header:t""#);
        let fresh = |spec: &TimeSpec, text: &str| match spec.check(text, now) {
            Freshness::Fresh(_) => 'y',
            Freshness::Outside(_) => 'n',
            Freshness::NoTime => '?',
        };
        for (text, want) in [
            ("1767225600", 'y'),
            ("1767225300", 'y'),
            ("1767225299", 'n'),
            ("1767225900", 'y'),
            ("1767225901", 'n'),
            ("soon", '?'),
            ("", '?'),
            ("+1767225600", '?'),
            ("-1", '?'),
            ("1767225600.0", '?'),
            ("99999999999999999999", '?'),
            ("9999999999999999", '?'),
        ] {
            assert_eq!(fresh(&five, text), want, "{text}");
        }
        let old = spec(r#"{"from":"header:t","future":"any","past":60}"#);
        assert_eq!(fresh(&old, "9767225600"), 'y');
        assert_eq!(fresh(&old, "1767225539"), 'n');
        let ms = spec(r#"{"header":"t","unit":"ms"}"#);
        assert_eq!(fresh(&ms, "1767225600500"), 'y');
        assert_eq!(fresh(&ms, "1767225600"), 'n');
        let rfc = spec(r#"{"from":"header:t","unit":"rfc3339"}"#);
        assert_eq!(fresh(&rfc, "2026-01-01T00:00:00.123456789Z"), 'y');
        assert_eq!(fresh(&rfc, "2026-01-01T00:00:00"), 'y');
        assert_eq!(fresh(&rfc, "2026-01-01T01:00:00"), 'n');
        assert_eq!(fresh(&rfc, "1767225600"), '?');
        let date = spec(r#"{"from":"header:t","unit":"http-date"}"#);
        assert_eq!(fresh(&date, "Thu, 01 Jan 2026 00:00:00 GMT"), 'y');
        assert_eq!(
            five.check("1767225597", now),
            Freshness::Fresh("3 s old (limit 300 s)".into())
        );
    }

    #[test]
    fn wrong_limits_are_named() {
        for bad in [
            r#""5""#,
            r#""5 weeks""#,
            r#""m""#,
            "-1",
            r#""99999999999999999d""#,
        ] {
            assert!(serde_json::from_str::<Limit>(bad).is_err(), "{bad}");
        }
        let both = r#"{"from":"header:t","header":"t"}"#;
        assert!(serde_json::from_str::<TimeSpec>(both).is_err());
    }
}
