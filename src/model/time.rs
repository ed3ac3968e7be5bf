//! Times: one type, one way out, several ways in.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use std::time::Duration;

/// Numbers above this many are milliseconds since the epoch, below it seconds (pydantic's rule).
const MILLIS_ABOVE: f64 = 2e10;

/// RFC 3339 in UTC with at most microseconds (Prefect's servers read no more digits).
#[must_use]
pub fn to_rfc3339(time: Timestamp) -> String {
    let micros = Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time);
    micros.to_string()
}

/// A time in any accepted form: RFC 3339, ISO 8601 without zone (taken as UTC), or the text of a
/// number of seconds or milliseconds since the epoch.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    if let Ok(number) = text.parse::<f64>() {
        return from_number(number);
    }
    // jiff takes `2026-11-01`, `2026-11-01T10:00` and fractions; no zone means UTC.
    TimeZone::UTC
        .to_timestamp(text.parse::<DateTime>().ok()?)
        .ok()
}

/// A number of seconds since the epoch, or of milliseconds when above 2e10.
#[must_use]
pub fn from_number(number: f64) -> Option<Timestamp> {
    if !number.is_finite() {
        return None;
    }
    let seconds = if number.abs() > MILLIS_ABOVE {
        number / 1e3
    } else {
        number
    };
    let magnitude = Duration::try_from_secs_f64(seconds.abs()).ok()?;
    // Microseconds: a double holds no more at today's dates.
    let micros = i64::try_from((magnitude.as_nanos() + 500) / 1_000).ok()?;
    Timestamp::from_microsecond(if seconds < 0.0 { -micros } else { micros }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_forms() {
        let text = |t: &str| parse(t).map(to_rfc3339);
        for (input, want) in [
            ("2026-11-01T10:00:00Z", "2026-11-01T10:00:00Z"),
            (
                "2026-11-01T10:00:00.123456789+01:00",
                "2026-11-01T09:00:00.123456Z",
            ),
            ("2026-11-01T10:00:00", "2026-11-01T10:00:00Z"),
            ("2026-11-01 10:00", "2026-11-01T10:00:00Z"),
            ("2026-11-01", "2026-11-01T00:00:00Z"),
            ("1767225600", "2026-01-01T00:00:00Z"),
            ("1767225600123", "2026-01-01T00:00:00.123Z"),
            ("1767225600.5", "2026-01-01T00:00:00.5Z"),
        ] {
            assert_eq!(text(input).as_deref(), Some(want), "{input}");
        }
        for bad in ["", "soon", "1e400", "NaN", "2026-13-01", "9e99"] {
            assert_eq!(text(bad), None, "{bad}");
        }
    }
}
