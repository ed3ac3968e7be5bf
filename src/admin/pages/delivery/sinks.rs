//! What each sink has done with a delivery, as far as cursors, dead letters and last attempts tell.

use crate::admin::Admin;
use crate::admin::pages::Ask;
use crate::admin::pages::show::{clock, counted, cut};
use crate::admin::problem::ApiError;
use crate::feed::DeliveryRow;
use crate::forward::SinkStatus;
use crate::state::DeadLetter;
use jiff::Timestamp;
use serde::Serialize;

/// Dead letters of a sink that are looked through for this delivery.
const DEAD_LETTERS_SEEN: usize = 200;
/// Characters of a sink's answer that are shown: its first 4 KB.
const ANSWER_CHARS_MAX: usize = 4_096;

/// A sink.
#[derive(Debug, Default, Serialize)]
pub(super) struct SinkPart {
    name: String,
    kind: &'static str,
    pub(super) state: &'static str,
    word: &'static str,
    detail: String,
    /// Of the last attempt that failed.
    code: Option<String>,
    tried: Option<String>,
    again: Option<String>,
    attempts: Option<u64>,
    /// The beginning of what it answered.
    answer: Option<String>,
}

/// All of them; none for what has no events.
pub(super) fn sinks(ask: &Ask, row: &DeliveryRow) -> Result<Vec<SinkPart>, ApiError> {
    let delivery = &row.delivery;
    let Some(seq) = row.seq.filter(|_| !delivery.events.is_empty()) else {
        return Ok(Vec::new());
    };
    let config = ask.config();
    let skipped = ask.admin.state.skipped()?;
    let mut parts = Vec::new();
    for status in ask.admin.forwarders.status() {
        let settings = config.sinks.iter().find(|sink| sink.name == status.name);
        let filter = settings.and_then(|sink| sink.filter.as_ref());
        let matches = |event| filter.is_none_or(|filter| filter.matches_event(event, delivery));
        let unwanted =
            delivery.webhook.is_none() && filter.is_none() || !delivery.events.iter().any(matches);
        let mut ranges = skipped.iter().filter(|range| range.sink == status.name);
        let cut_off = ranges.any(|range| (range.from..=range.to).contains(&seq));
        let dead = match status.dead_letters {
            0 => None,
            _ => dead_letter(ask.admin.as_ref(), &status.name, seq)?,
        };
        let part = if unwanted {
            SinkPart {
                state: "skipped",
                word: "not wanted",
                detail: "no event matches its `match`".to_owned(),
                ..SinkPart::default()
            }
        } else if let Some(dead) = dead {
            of_dead(&dead)
        } else if cut_off {
            SinkPart {
                state: "skipped",
                word: "cut off",
                detail: "it was skipped by `max_lag`".to_owned(),
                ..SinkPart::default()
            }
        } else if status.cursor >= seq {
            SinkPart {
                state: "delivered",
                word: "delivered",
                ..SinkPart::default()
            }
        } else {
            waiting(&status, seq)
        };
        parts.push(SinkPart {
            name: status.name,
            kind: status.kind,
            ..part
        });
    }
    Ok(parts)
}

fn of_dead(dead: &DeadLetter) -> SinkPart {
    SinkPart {
        state: "dead",
        word: "dead letter",
        detail: cut(&dead.reason, ANSWER_CHARS_MAX),
        code: Some(dead.code.to_string()),
        tried: Some(clock(dead.refused)),
        answer: (!dead.answer.is_empty()).then(|| cut(&dead.answer, ANSWER_CHARS_MAX)),
        attempts: Some(u64::from(dead.attempts)),
        ..SinkPart::default()
    }
}

fn waiting(status: &SinkStatus, seq: u64) -> SinkPart {
    let ahead = seq.saturating_sub(status.cursor).saturating_sub(1);
    let queue = format!("{} before it", counted(ahead, "delivery"));
    let failure = status.last_error.as_ref();
    let part = SinkPart {
        detail: queue.clone(),
        ..SinkPart::default()
    };
    let failed = |state, word| SinkPart {
        state,
        word,
        detail: failure.map_or_else(
            || queue.clone(),
            |failure| cut(&failure.message, ANSWER_CHARS_MAX),
        ),
        code: failure.map(|failure| failure.code.to_string()),
        tried: failure.map(|failure| clock(failure.at)),
        again: failure.and_then(|failure| failure.retry_at).map(until),
        ..SinkPart::default()
    };
    match status.state {
        "paused" => SinkPart {
            state: "held",
            word: "held",
            ..part
        },
        "failing" => failed("failing", "failing"),
        "misconfigured" => failed("misconfigured", "misconfigured"),
        "disabled" => SinkPart {
            state: "off",
            word: "off",
            ..part
        },
        _ => SinkPart {
            state: "pending",
            word: "pending",
            ..part
        },
    }
}

/// `in 8 s`, or a time of day where that is past.
fn until(at: Timestamp) -> String {
    let seconds = at.duration_since(Timestamp::now()).as_secs();
    if seconds > 0 {
        format!(
            "again in {}",
            crate::admin::pages::show::span(at.duration_since(Timestamp::now()))
        )
    } else {
        format!("again at {}", clock(at))
    }
}

fn dead_letter(admin: &Admin, sink: &str, seq: u64) -> Result<Option<DeadLetter>, ApiError> {
    let dead = admin
        .state
        .dead_letters(Some(sink), None, DEAD_LETTERS_SEEN)?;
    Ok(dead.into_iter().find(|letter| letter.seq == seq))
}
