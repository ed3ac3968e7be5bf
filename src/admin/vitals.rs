//! How a webhook is doing: its health by what came lately, its last day, its last delivery, what it makes.

use super::Admin;
use super::problem::ApiError;
use crate::config::Webhook;
use crate::feed::{Bucket, Budget, DeliveryRow, FacetKey, Over, Paging, What};
use crate::learn::SecretState;
use crate::model::Outcome;
use crate::query::Query;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::time::Duration;

/// Deliveries that are looked at for the health.
const RECENT: usize = 20;
/// Of how many one that failed makes a webhook a failing one.
const FAILING_OF: usize = 10;
/// Gaps that make a rhythm.
const RHYTHM_GAPS: usize = 6;
/// By how many usual gaps a delivery is late.
const LATE: i32 = 3;
/// What was over sooner is a burst and no rhythm, whatever its gaps.
const RHYTHM_LASTS: SignedDuration = SignedDuration::from_mins(10);
/// Hours that are drawn.
pub(crate) const HOURS: usize = 24;
/// In how many of them something came where it comes all the time, and the gap that is usual there.
const BUSY_HOURS: usize = 20;
const BUSY_GAP: SignedDuration = SignedDuration::from_mins(20);
/// How long the counts of one webhook may take.
const BUDGET: Budget = Budget {
    time: Duration::from_millis(100),
    after: None,
};

/// In which state a webhook is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Health {
    /// It is disabled.
    Off,
    /// It has no secret, and none is coming.
    Misconfigured,
    /// Nothing has ever come.
    NeverCalled,
    /// Of the last 10 deliveries one or more were parked or rejected.
    Failing,
    /// It had a rhythm, and has missed it.
    Quiet,
    /// All is well.
    Ok,
}

impl Health {
    /// Whether a person should look at it.
    pub(crate) fn needs_someone(self) -> bool {
        matches!(self, Self::Misconfigured | Self::Failing | Self::Quiet)
    }
}

/// What the health is told by.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// Whether it is enabled.
    pub(crate) enabled: bool,
    /// How it stands with a secret that its sender delivers.
    pub(crate) secret: Option<SecretState>,
    /// When deliveries came and what became of them, newest first.
    pub(crate) recent: Vec<(Timestamp, Outcome)>,
    /// In how many hours of the last day something came.
    pub(crate) busy_hours: usize,
}

/// A state, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Assessment {
    /// The state.
    pub(crate) state: Health,
    /// Of the last deliveries, how many failed.
    pub(crate) failed: usize,
    /// Of how many.
    pub(crate) of: usize,
    /// Seconds between two deliveries, where there is a rhythm.
    pub(crate) usual_gap_s: Option<i64>,
}

/// The health by the facts, at a moment.
pub(crate) fn assess(facts: &Facts, now: Timestamp) -> Assessment {
    let last = facts.recent.iter().take(FAILING_OF);
    let of = last.len();
    let failed = last
        .filter(|(_, outcome)| matches!(outcome, Outcome::Parked | Outcome::Rejected))
        .count();
    let gap = usual_gap(facts);
    let since = facts
        .recent
        .first()
        .map_or(SignedDuration::ZERO, |(at, _)| now.duration_since(*at));
    let no_secret = matches!(
        facts.secret,
        Some(SecretState::Missing | SecretState::Unreadable)
    );
    let state = if !facts.enabled {
        Health::Off
    } else if no_secret {
        Health::Misconfigured
    } else if of == 0 {
        Health::NeverCalled
    } else if failed > 0 {
        Health::Failing
    } else if gap.is_some_and(|gap| since > gap * LATE) {
        Health::Quiet
    } else {
        Health::Ok
    };
    Assessment {
        state,
        failed,
        of,
        usual_gap_s: gap.map(|gap| gap.as_secs()),
    }
}

/// The usual time between two deliveries: the middle one of the gaps, if hardly any gap is so long that it would have
/// been noticed. Where that happens again and again there is no rhythm.
fn usual_gap(facts: &Facts) -> Option<SignedDuration> {
    let recent = &facts.recent;
    let pairs = recent.iter().zip(recent.iter().skip(1));
    let mut gaps: Vec<SignedDuration> = pairs
        .map(|((later, _), (earlier, _))| later.duration_since(*earlier))
        .collect();
    if gaps.len() < RHYTHM_GAPS {
        return None;
    }
    if gaps.iter().copied().sum::<SignedDuration>() < RHYTHM_LASTS {
        return (facts.busy_hours >= BUSY_HOURS).then_some(BUSY_GAP);
    }
    gaps.sort_unstable();
    let usual = gaps.get(gaps.len() / 2).copied()?;
    let missed = gaps.iter().filter(|gap| **gap > usual * LATE).count();
    (missed * 10 <= gaps.len()).then_some(usual)
}

/// What pages and the API show of a webhook.
#[derive(Debug)]
pub(crate) struct Vitals {
    pub(crate) health: Assessment,
    /// The newest delivery.
    pub(crate) last: Option<DeliveryRow>,
    /// Hours of the last day, oldest first.
    pub(crate) hours: Vec<Bucket>,
}

impl Vitals {
    /// Deliveries of the last day.
    pub(crate) fn day(&self) -> u64 {
        self.hours.iter().map(Bucket::total).sum()
    }
}

/// The query of a webhook's deliveries.
///
/// # Errors
/// When its name is none.
pub(crate) fn query_of(name: &str, now: Timestamp) -> Result<Query, ApiError> {
    Query::parameter("webhook", &[name], now).map_err(|error| ApiError::query("webhook", error))
}

/// The newest deliveries of a webhook.
///
/// # Errors
/// When the feed does not answer.
pub(crate) fn newest(
    admin: &Admin,
    query: &Query,
    limit: usize,
) -> Result<Vec<DeliveryRow>, ApiError> {
    let paging = Paging {
        limit,
        after: None,
        ascending: false,
    };
    Ok(admin.feed.deliveries(query, paging)?.rows)
}

/// Everything but what it makes; blocks.
///
/// # Errors
/// When the feed does not answer.
pub(crate) fn health(admin: &Admin, webhook: &Webhook, now: Timestamp) -> Result<Vitals, ApiError> {
    let all = query_of(&webhook.name, now)?;
    let rows = newest(admin, &all, RECENT)?;
    let hours = hours(admin, all, now)?;
    let facts = Facts {
        enabled: webhook.enabled,
        secret: admin
            .learner
            .status(&webhook.name, now)
            .map(|status| status.state),
        recent: rows
            .iter()
            .map(|row| (row.delivery.received, row.delivery.outcome))
            .collect(),
        busy_hours: hours.iter().filter(|hour| hour.total() > 0).count(),
    };
    Ok(Vitals {
        health: assess(&facts, now),
        last: rows.into_iter().next(),
        hours,
    })
}

/// Counts of the last day by the hour.
fn hours(admin: &Admin, all: Query, now: Timestamp) -> Result<Vec<Bucket>, ApiError> {
    let day = Query::parse("received:>-24h", now).map_err(|error| ApiError::query("q", error))?;
    let over = Over {
        // One more than is drawn: the day begins within an hour.
        buckets: HOURS + 1,
        now,
    };
    let query = all.and(day);
    let counted = admin
        .feed
        .histogram(What::Deliveries, &query, over, BUDGET)?;
    let buckets = counted.value.buckets;
    let skipped = buckets.len().saturating_sub(HOURS);
    Ok(buckets.into_iter().skip(skipped).collect())
}

/// The most frequent events of a webhook; blocks.
///
/// # Errors
/// When the feed does not answer.
pub(crate) fn events(
    admin: &Admin,
    webhook: &Webhook,
    now: Timestamp,
    names: usize,
) -> Result<Vec<(String, u64)>, ApiError> {
    let all = query_of(&webhook.name, now)?;
    let facets = admin
        .feed
        .facets(What::Events, &all, &[FacetKey::Event], BUDGET)?;
    let values = facets.value.into_iter().flat_map(|facet| facet.values);
    Ok(values
        .take(names)
        .map(|value| (value.value, value.count))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{Accepted, Handshake, Ignored, Parked, Rejected};

    fn now() -> Timestamp {
        Timestamp::from_second(1_795_000_000).unwrap()
    }

    /// Deliveries so many seconds ago.
    fn facts(recent: &[(i64, Outcome)]) -> Facts {
        let ago = |(seconds, outcome): &(i64, Outcome)| {
            (now() - SignedDuration::from_secs(*seconds), *outcome)
        };
        Facts {
            enabled: true,
            secret: None,
            recent: recent.iter().map(ago).collect(),
            busy_hours: 1,
        }
    }

    fn state(facts: &Facts) -> Health {
        assess(facts, now()).state
    }

    /// `n` accepted deliveries, one every `gap` seconds, the newest `ago`.
    fn rhythm(n: i64, gap: i64, ago: i64) -> Vec<(i64, Outcome)> {
        (0..n).map(|i| (ago + i * gap, Accepted)).collect()
    }

    #[test]
    fn off_and_misconfigured_come_first() {
        let mut facts = facts(&[(1, Rejected)]);
        facts.secret = Some(SecretState::Missing);
        assert_eq!(state(&facts), Health::Misconfigured);
        facts.secret = Some(SecretState::Unreadable);
        assert_eq!(state(&facts), Health::Misconfigured);
        facts.secret = Some(SecretState::Waiting);
        assert_eq!(state(&facts), Health::Failing);
        facts.enabled = false;
        assert_eq!(state(&facts), Health::Off);
    }

    #[test]
    fn one_failure_in_ten() {
        assert_eq!(state(&facts(&[])), Health::NeverCalled);
        assert_eq!(
            state(&facts(&[(5, Accepted), (9, Ignored), (10, Handshake)])),
            Health::Ok
        );
        for failure in [Parked, Rejected] {
            let mut recent = rhythm(9, 1, 1);
            recent.push((20, failure));
            let found = assess(&facts(&recent), now());
            assert_eq!(
                (found.state, found.failed, found.of),
                (Health::Failing, 1, 10)
            );
            recent.insert(0, (0, Accepted));
            assert_eq!(state(&facts(&recent)), Health::Ok, "it is the eleventh now");
        }
    }

    #[test]
    fn quiet_is_a_rhythm_that_was_missed() {
        let hourly = |ago| facts(&rhythm(20, 3_600, ago));
        assert_eq!(state(&hourly(3_600)), Health::Ok);
        assert_eq!(state(&hourly(3 * 3_600)), Health::Ok);
        assert_eq!(state(&hourly(3 * 3_600 + 1)), Health::Quiet);
        assert_eq!(assess(&hourly(60), now()).usual_gap_s, Some(3_600));
        // Too few to be a rhythm.
        assert_eq!(state(&facts(&rhythm(6, 60, 86_400))), Health::Ok);
        // One outage does not end it.
        let mut once = rhythm(20, 60, 600);
        once[19].0 += 100_000;
        assert_eq!(state(&facts(&once)), Health::Quiet);
        // Bursts by day with nights between them are none.
        let days: Vec<_> = (0..20)
            .map(|n| (90_000 + n / 5 * 86_400 + n % 5 * 60, Accepted))
            .collect();
        assert_eq!(state(&facts(&days)), Health::Ok);
        // Neither is a burst alone, but one without end is.
        let mut burst = facts(&rhythm(20, 1, 3_601));
        assert_eq!(state(&burst), Health::Ok);
        burst.busy_hours = BUSY_HOURS;
        assert_eq!(state(&burst), Health::Quiet);
        burst = facts(&rhythm(20, 1, 3_600));
        burst.busy_hours = BUSY_HOURS;
        assert_eq!(state(&burst), Health::Ok);
    }
}
