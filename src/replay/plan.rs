//! What a replay would do.

use super::run::prepare;
use super::{Candidate, DELIVERIES_MAX, ReplayError, Stores};
use crate::feed::{DeliveryRow, Paging};
use crate::model::{Outcome, time};
use crate::query::Query;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Deliveries read at once.
const ROWS_AT_ONCE: usize = 200;

/// What is to be replayed, and how.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// What a query finds; none: the ids alone.
    pub query: Option<Query>,
    /// Deliveries by their ids.
    pub ids: Vec<Uuid>,
    /// Sinks that kept events are forwarded to again; none: requests are translated again.
    pub to: Vec<String>,
    /// Also what a query finds that was replayed with success before, and replays themselves.
    pub again: bool,
    /// Deliveries at most, up to [`DELIVERIES_MAX`].
    pub limit: Option<usize>,
}

/// Why a delivery is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It was rejected: nobody knows who sent it.
    NotVerified,
    /// A registration or challenge.
    Handshake,
    /// Its original is the one to replay.
    Duplicate,
    /// hookgate's own record: it has no request.
    Own,
    /// It was parked, and a replay has repaired it.
    Repaired,
    /// It is a replay itself.
    Replay,
    /// It has no event that could be forwarded.
    NoEvents,
}

impl Reason {
    /// One sentence.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::NotVerified => {
                "it was not verified, and what is kept of it cannot be verified now"
            }
            Self::Handshake => "it is a handshake, not a delivery",
            Self::Duplicate => "it is a duplicate: replay its original",
            Self::Own => "it is hookgate's own record, and has no request",
            Self::Repaired => "a replay has repaired it already",
            Self::Replay => "it is a replay itself",
            Self::NoEvents => "it has no event that could be forwarded",
        }
    }
}

/// What a replay would do.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Plan {
    /// Deliveries that would be replayed.
    pub count: usize,
    /// Whether there are more that match than may be replayed at once.
    pub more: bool,
    /// How many the query finds that are left out, by reason.
    pub left_out: BTreeMap<Reason, usize>,
    /// How many deliveries of each webhook.
    pub webhooks: BTreeMap<String, usize>,
    /// Sinks that would get the events.
    pub sinks: Vec<String>,
    /// When the oldest was received.
    pub oldest: Option<String>,
    /// When the newest was received.
    pub newest: Option<String>,
    /// Deliveries that would give events.
    pub accepted: usize,
    /// Deliveries that would give none.
    pub ignored: usize,
    /// Deliveries that cannot be translated now either.
    pub failed: usize,
    /// Events in all.
    pub events: usize,
    /// Events with an id that an event has already.
    pub existing_ids: usize,
    /// Stands for the deliveries and the configuration: a replay that sends it back does what the plan says.
    pub etag: String,
}

/// What was found for a wish.
#[derive(Debug, Clone, Default)]
pub struct Selected {
    /// What is to be replayed, oldest first.
    pub candidates: Vec<Candidate>,
    /// What was named and is not replayed.
    pub refused: Vec<(Uuid, Reason)>,
    /// What a query found and is not replayed.
    pub left_out: BTreeMap<Reason, usize>,
    /// Whether the query finds more.
    pub more: bool,
}

/// Finds the deliveries that are meant. Blocks.
///
/// # Errors
/// A named delivery is not there, or a store does not answer.
pub fn select(stores: Stores<'_>, wish: &Wish) -> Result<Selected, ReplayError> {
    let mut selected = Selected::default();
    for id in &wish.ids {
        let row = stores.feed.delivery(*id)?;
        let row = row.ok_or(ReplayError::Unknown(*id))?;
        match candidate(stores, &row, wish, true)? {
            Ok(candidate) => selected.candidates.push(candidate),
            Err(reason) => selected.refused.push((*id, reason)),
        }
    }
    if let Some(query) = &wish.query {
        search(stores, query, wish, &mut selected)?;
    }
    selected.candidates.sort_by_key(|candidate| candidate.seq);
    selected.candidates.dedup_by_key(|candidate| candidate.seq);
    Ok(selected)
}

fn search(
    stores: Stores<'_>,
    query: &Query,
    wish: &Wish,
    selected: &mut Selected,
) -> Result<(), ReplayError> {
    let limit = wish.limit.unwrap_or(DELIVERIES_MAX).min(DELIVERIES_MAX);
    let mut after = None;
    loop {
        let paging = Paging {
            limit: ROWS_AT_ONCE,
            after,
            ascending: true,
        };
        let page = stores.feed.deliveries(query, paging)?;
        for row in &page.rows {
            match candidate(stores, row, wish, false)? {
                Err(reason) => *selected.left_out.entry(reason).or_insert(0) += 1,
                Ok(_) if selected.candidates.len() >= limit => {
                    selected.more = true;
                    return Ok(());
                }
                Ok(candidate) => selected.candidates.push(candidate),
            }
        }
        after = match page.next {
            Some(next) => Some(next),
            None => return Ok(()),
        };
    }
}

/// A delivery as one to replay, or why it is none. `named`: its owner wants this very one.
fn candidate(
    stores: Stores<'_>,
    row: &DeliveryRow,
    wish: &Wish,
    named: bool,
) -> Result<Result<Candidate, Reason>, ReplayError> {
    let delivery = &row.delivery;
    let (Some(seq), Some(webhook)) = (row.seq, &delivery.webhook) else {
        return Ok(Err(match delivery.outcome {
            Outcome::Rejected => Reason::NotVerified,
            Outcome::Handshake => Reason::Handshake,
            _ => Reason::Own,
        }));
    };
    let forwards = !wish.to.is_empty();
    let reason = match delivery.outcome {
        Outcome::Rejected => Some(Reason::NotVerified),
        Outcome::Handshake => Some(Reason::Handshake),
        Outcome::Duplicate => Some(Reason::Duplicate),
        _ if forwards && delivery.events.is_empty() => Some(Reason::NoEvents),
        _ if forwards || named || wish.again => None,
        _ if delivery.replay_of.is_some() => Some(Reason::Replay),
        // A replay that failed again is not in the log: whichever there is has repaired it.
        Outcome::Parked if !stores.feed.replays(delivery.id)?.is_empty() => Some(Reason::Repaired),
        Outcome::Accepted | Outcome::Ignored | Outcome::Parked => None,
    };
    Ok(match reason {
        Some(reason) => Err(reason),
        None => Ok(Candidate {
            id: delivery.id,
            seq,
            webhook: webhook.clone(),
            received: delivery.received,
            outcome: delivery.outcome,
        }),
    })
}

/// What would happen. Translates every request, and keeps nothing of it. Blocks.
///
/// # Errors
/// A store does not answer.
pub fn plan(stores: Stores<'_>, wish: &Wish, selected: &Selected) -> Result<Plan, ReplayError> {
    let candidates = &selected.candidates;
    let enabled = stores.config.sinks.iter().filter(|sink| sink.enabled);
    let mut plan = Plan {
        count: candidates.len(),
        more: selected.more,
        left_out: selected.left_out.clone(),
        sinks: if wish.to.is_empty() {
            enabled.map(|sink| sink.name.clone()).collect()
        } else {
            wish.to.clone()
        },
        oldest: times(candidates).min().map(time::to_rfc3339),
        newest: times(candidates).max().map(time::to_rfc3339),
        etag: etag(stores, wish, candidates),
        ..Plan::default()
    };
    for (_, reason) in &selected.refused {
        *plan.left_out.entry(*reason).or_insert(0) += 1;
    }
    for candidate in candidates {
        *plan.webhooks.entry(candidate.webhook.clone()).or_insert(0) += 1;
        let events = if wish.to.is_empty() {
            match prepare(stores, candidate)? {
                Ok(prepared) => prepared.translation.events,
                Err(_) => {
                    plan.failed += 1;
                    continue;
                }
            }
        } else {
            let record = stores.log.get(candidate.seq)?;
            record
                .map(|record| record.delivery.events)
                .unwrap_or_default()
        };
        if events.is_empty() {
            plan.ignored += 1;
            continue;
        }
        plan.accepted += 1;
        plan.events += events.len();
        for event in &events {
            plan.existing_ids += usize::from(stores.feed.event(event.id)?.is_some());
        }
    }
    Ok(plan)
}

fn times(candidates: &[Candidate]) -> impl Iterator<Item = jiff::Timestamp> {
    candidates.iter().map(|candidate| candidate.received)
}

/// Stands for what would be done: which deliveries, by which configuration, where to.
#[must_use]
pub fn etag(stores: Stores<'_>, wish: &Wish, candidates: &[Candidate]) -> String {
    let mut hash = Sha256::new();
    hash.update(&stores.config.hash);
    for file in &stores.config.files {
        // A template that was changed makes another plan.
        let written = std::fs::metadata(file).and_then(|metadata| metadata.modified());
        hash.update(format!("{written:?}"));
    }
    for sink in &wish.to {
        hash.update(sink);
        hash.update([0]);
    }
    for candidate in candidates {
        hash.update(candidate.id.as_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    hex::encode(digest).chars().take(32).collect()
}
