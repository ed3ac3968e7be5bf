//! What an attempt can end with, and what that means for the events.

use crate::codes::{self, Code};
use jiff::Timestamp;
use std::time::Duration;
use thiserror::Error;

/// Longest `Retry-After` that is honoured: a slip of a digit must not stop a sink for days.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// Characters of an answer that go into a message; the dead letter keeps more.
const EXCERPT_CHARS_MAX: usize = 300;

/// Why a batch was not delivered. Messages hold no secret and no control character.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum SinkError {
    /// It may work later.
    #[error("{message}")]
    Retry {
        /// What happened.
        message: String,
        /// What the sink asked for.
        after: Option<Duration>,
    },
    /// The sink will never take this batch as it is.
    #[error("the sink answered {status}: {excerpt}", excerpt = printable(answer))]
    Refused {
        /// Status of the answer.
        status: u16,
        /// The answer, cut.
        answer: String,
    },
    /// The sink took events and does not show them.
    #[error("the sink took events, but does not show them; they are sent again")]
    Silent,
    /// Whatever is sent, the sink will not take it until someone changes something.
    #[error("{message}")]
    Misconfigured {
        /// What is wrong.
        message: String,
    },
}

impl SinkError {
    /// One that may pass.
    pub(crate) fn retry(message: impl Into<String>) -> Self {
        Self::Retry {
            message: message.into(),
            after: None,
        }
    }

    /// One that needs a person.
    pub(crate) fn misconfigured(message: impl Into<String>) -> Self {
        Self::Misconfigured {
            message: message.into(),
        }
    }

    /// Its error code.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Retry { .. } => codes::SINK_UNREACHABLE,
            Self::Refused { .. } => codes::SINK_REFUSED,
            Self::Silent => codes::SINK_UNCONFIRMED,
            Self::Misconfigured { .. } => codes::SINK_MISCONFIGURED,
        }
    }

    /// Value of the metric label `result`.
    pub(crate) fn result(&self) -> &'static str {
        match self {
            Self::Retry { .. } => "retry",
            Self::Refused { .. } => "refused",
            Self::Silent => "unconfirmed",
            Self::Misconfigured { .. } => "misconfigured",
        }
    }

    /// What an HTTP status means; none: the batch was taken.
    pub(crate) fn of_status(status: u16, answer: String, after: Option<Duration>) -> Option<Self> {
        let excerpt = || printable(&answer);
        match status {
            200..=299 => None,
            408 | 425 | 429 | 500..=599 => Some(Self::Retry {
                message: format!("the sink answered {status}: {}", excerpt()),
                after,
            }),
            300..=399 => Some(Self::misconfigured(format!(
                "the sink answered {status}; redirects are not followed: set `url` to where it really is"
            ))),
            // None of these depends on what an event holds: a dead letter would blame the wrong thing.
            401 | 403 | 404 | 405 | 406 | 407 | 410 | 411 | 415 | 426 | 431 => {
                Some(Self::misconfigured(format!(
                    "the sink answered {status}: {}; check its `url` and credentials",
                    excerpt()
                )))
            }
            _ => Some(Self::Refused { status, answer }),
        }
    }
}

/// Reads a `Retry-After`: seconds, or an HTTP date; at most an hour.
pub(crate) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = if value.bytes().all(|b| b.is_ascii_digit()) && !value.is_empty() {
        // More digits than fit are a very long time.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let at = jiff::fmt::rfc2822::DateTimeParser::new()
            .parse_timestamp(value)
            .ok()?;
        Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// A foreign text on one line: without control and direction characters, cut.
pub(crate) fn printable(text: &str) -> String {
    let mut line: String = text
        .chars()
        .take(EXCERPT_CHARS_MAX)
        .map(|c| if is_unprintable(c) { ' ' } else { c })
        .collect();
    if text.chars().nth(EXCERPT_CHARS_MAX).is_some() {
        line.push('…');
    }
    line.trim().to_owned()
}

fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        let result =
            |status| SinkError::of_status(status, String::new(), None).map_or("ok", |e| e.result());
        for (statuses, want) in [
            (&[200, 201, 204][..], "ok"),
            (&[408, 425, 429, 500, 502, 503, 599], "retry"),
            (&[301, 307, 401, 403, 404, 405], "misconfigured"),
            (&[400, 409, 413, 422, 451, 600], "refused"),
        ] {
            for status in statuses {
                assert_eq!(result(*status), want, "{status}");
            }
        }
    }

    #[test]
    fn retry_after_forms() {
        let now: Timestamp = "1994-11-06T08:49:07Z".parse().unwrap();
        let seconds = |text| retry_after(text, now).map(|d| d.as_secs());
        assert_eq!(seconds("7"), Some(7));
        assert_eq!(seconds(" 99999999999999999999999 "), Some(3600));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(30));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0));
        for bad in ["", "soon", "-3", "1.5"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn foreign_text_stays_on_its_line() {
        assert_eq!(printable("a\r\nb\u{1b}[31mc\u{202e}d\0"), "a  b [31mc d");
        assert_eq!(printable(&"é".repeat(400)).chars().count(), 301);
    }
}
