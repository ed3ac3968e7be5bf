//! Does it: translates, appends, says what became of each delivery.

use super::{Candidate, Reason, ReplayError, Stores};
use crate::codes::{self, Code};
use crate::config::Webhook;
use crate::engine::{self, Translation};
use crate::log::{Append, AppendKeys, Appended, LogError, Record, compress_request, own_event};
use crate::model::delivery::{Timing, Verification};
use crate::model::{Delivery, Labels, Note, Outcome as Became, Problem, event, http_file};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use uuid::Uuid;

/// Replays that are handed to the log before the first is waited for: one commit takes them all.
const APPENDS_AT_ONCE: usize = 64;
/// How long a replay waits for room in the log's queue, step by step.
const ROOM_STEP: Duration = Duration::from_millis(100);
/// How often it does.
const ROOM_STEPS: u32 = 100;

/// What became of a delivery that was replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It gave events.
    Accepted,
    /// The webhook emits nothing for it.
    Ignored,
    /// Its events were forwarded again.
    Forwarded,
    /// Nothing was changed.
    Failed,
}

/// One delivery's result.
#[derive(Debug, Clone, Serialize)]
pub struct Done {
    /// The delivery that was to be replayed.
    pub delivery: Uuid,
    /// Name of its webhook.
    pub webhook: Option<String>,
    /// What became of it.
    pub result: Outcome,
    /// The new delivery.
    pub replay: Option<Uuid>,
    /// Its place in the log.
    pub seq: Option<u64>,
    /// How many events were recorded, or forwarded to each sink.
    pub events: usize,
    /// Why it failed.
    pub code: Option<Code>,
    /// The same in words.
    pub detail: Option<String>,
    /// What to do.
    pub help: Option<String>,
}

impl Done {
    /// Nothing was done.
    #[must_use]
    pub fn failed(delivery: Uuid, webhook: Option<&str>, problem: Problem) -> Self {
        let place = problem
            .place
            .as_ref()
            .map(|place| format!(" ({}:{}:{})", place.file, place.line, place.column));
        Self {
            delivery,
            webhook: webhook.map(str::to_owned),
            result: Outcome::Failed,
            replay: None,
            seq: None,
            events: 0,
            code: Some(problem.code),
            detail: Some(format!("{}{}", problem.message, place.unwrap_or_default())),
            help: problem.help,
        }
    }

    /// It is none that can be replayed.
    #[must_use]
    pub fn refused(delivery: Uuid, reason: Reason) -> Self {
        Self::failed(
            delivery,
            None,
            Problem::new(codes::API_CONFLICT, reason.message()),
        )
    }

    /// Its events have gone to the sinks again.
    #[must_use]
    pub fn forwarded(candidate: &Candidate, events: usize) -> Self {
        Self {
            delivery: candidate.id,
            webhook: Some(candidate.webhook.clone()),
            result: Outcome::Forwarded,
            replay: None,
            seq: None,
            events,
            code: None,
            detail: None,
            help: None,
        }
    }
}

/// A request translated again, not yet kept.
pub(super) struct Prepared {
    pub(super) translation: Translation,
    delivery: Delivery,
    provider: Option<String>,
    request: Vec<u8>,
    took: Duration,
}

/// Translates the kept request of a delivery with the present configuration; the problem where that does not work.
pub(super) fn prepare(
    stores: Stores<'_>,
    candidate: &Candidate,
) -> Result<Result<Prepared, Problem>, ReplayError> {
    let record = match stores.log.get(candidate.seq) {
        Ok(Some(record)) => record,
        Ok(None) => return Ok(Err(gone())),
        Err(error @ LogError::Damaged { .. }) => {
            return Ok(Err(Problem::new(codes::RECORD_DAMAGED, error.to_string())));
        }
        Err(error) => return Err(error.into()),
    };
    let request = match stores.log.request(candidate.seq) {
        Ok(Some(request)) => request,
        Ok(None) => return Ok(Err(gone())),
        Err(error @ LogError::Damaged { .. }) => {
            return Ok(Err(Problem::new(codes::RECORD_DAMAGED, error.to_string())));
        }
        Err(error) => return Err(error.into()),
    };
    let name = &candidate.webhook;
    let mut webhooks = stores.config.webhooks.iter();
    let Some(webhook) = webhooks.find(|webhook| webhook.name == *name) else {
        let message = format!("the webhook `{name}` is not configured any more");
        return Ok(Err(Problem::new(codes::API_NOT_FOUND, message)));
    };
    Ok(translate(stores, webhook, record, request))
}

fn gone() -> Problem {
    let message = "the request is no longer kept";
    Problem::new(codes::API_NOT_FOUND, message)
        .help("`requests` and `retention` in [store] say for how long")
}

fn translate(
    stores: Stores<'_>,
    webhook: &Webhook,
    record: Record,
    bytes: Vec<u8>,
) -> Result<Prepared, Problem> {
    let delivery = record.delivery;
    // Its own time: an event without `occurred` happened when the request came, not now.
    let mut request = http_file::parse(&bytes, delivery.received)
        .map_err(|error| Problem::new(codes::RECORD_DAMAGED, error.to_string()))?;
    if let Some(summary) = &delivery.request {
        request.peer = summary.peer;
    }
    engine::receive(&mut request, webhook, Some(&stores.config.edge))?;
    let begun = Instant::now();
    let translation = engine::translate(webhook, &request);
    match translation.error {
        Some(problem) => Err(problem),
        None => Ok(Prepared {
            translation,
            provider: webhook.provider.clone(),
            request: bytes,
            delivery,
            took: begun.elapsed(),
        }),
    }
}

impl Prepared {
    /// The record of the replay. Its keys are not looked up: the original has them, and would make it a duplicate.
    fn append(self) -> Append {
        let (request, sha256) = compress_request(&self.request);
        let old = self.delivery;
        let mut summary = old.request;
        if let Some(summary) = &mut summary {
            summary.sha256 = sha256;
        }
        let translate_micros = u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX);
        let mut notes = self.translation.notes;
        notes.push(Note {
            code: None,
            message: format!("the request of delivery {}, translated again", old.id),
        });
        let delivery = Delivery {
            id: Uuid::now_v7(),
            received: Timestamp::now(),
            webhook: old.webhook,
            provider: self.provider,
            outcome: self.translation.outcome,
            code: None,
            // Nobody was answered.
            status: 0,
            key: self.translation.key,
            error: None,
            events: self.translation.events,
            notes,
            duplicate_of: None,
            replay_of: Some(old.id),
            request: summary,
            verification: old.verification.map(verified_then),
            masked: old.masked,
            timing: Some(Timing {
                read_micros: 0,
                verify_micros: 0,
                translate_micros,
            }),
            trace: old.trace,
        };
        Append {
            delivery,
            request: Some(request),
            keys: AppendKeys::None,
            // Only keys are looked up with them.
            contents: Vec::new(),
        }
    }
}

/// The checks of then, as what they are.
fn verified_then(mut record: Verification) -> Verification {
    for check in &mut record.checks {
        check.detail = format!("when it came: {}", check.detail);
    }
    record
}

/// A replay on its way to the log.
struct Waiting {
    id: Uuid,
    done: Result<oneshot::Receiver<Result<Appended, LogError>>, LogError>,
}

/// Translates each again and appends what that gives; one result for each, in their order. Blocks.
///
/// # Errors
/// A store does not answer. What was appended by then stays.
pub fn translate_again(
    stores: Stores<'_>,
    candidates: &[Candidate],
) -> Result<Vec<Done>, ReplayError> {
    let mut all = Vec::with_capacity(candidates.len());
    for some in candidates.chunks(APPENDS_AT_ONCE) {
        let mut under_way = Vec::with_capacity(some.len());
        for candidate in some {
            under_way.push(match prepare(stores, candidate)? {
                Err(problem) => Err(problem),
                Ok(prepared) => {
                    let append = prepared.append();
                    let id = append.delivery.id;
                    let done = hand_over(stores, append);
                    Ok(Waiting { id, done })
                }
            });
        }
        for (candidate, waiting) in some.iter().zip(under_way) {
            all.push(finish(candidate, waiting));
        }
    }
    Ok(all)
}

/// Hands it to the log; waits for room where its queue is full. Intake has the queue for itself meanwhile.
fn hand_over(
    stores: Stores<'_>,
    append: Append,
) -> Result<oneshot::Receiver<Result<Appended, LogError>>, LogError> {
    for _ in 0..ROOM_STEPS {
        let again = Append {
            delivery: append.delivery.clone(),
            request: append.request.clone(),
            keys: AppendKeys::None,
            contents: Vec::new(),
        };
        match stores.log.append(again) {
            Err(LogError::Full { .. }) => std::thread::park_timeout(ROOM_STEP),
            other => return other,
        }
    }
    stores.log.append(append)
}

fn finish(candidate: &Candidate, waiting: Result<Waiting, Problem>) -> Done {
    let failed = |problem| Done::failed(candidate.id, Some(&candidate.webhook), problem);
    let waiting = match waiting {
        Ok(waiting) => waiting,
        Err(problem) => return failed(problem),
    };
    let appended = match waiting.done {
        Ok(receiver) => receiver.blocking_recv().unwrap_or(Err(LogError::Closed)),
        Err(error) => Err(error),
    };
    match appended {
        Err(error) => failed(Problem::new(error.code(), error.to_string())),
        Ok(appended) => Done {
            delivery: candidate.id,
            webhook: Some(candidate.webhook.clone()),
            result: match appended.outcome {
                Became::Ignored => Outcome::Ignored,
                _ => Outcome::Accepted,
            },
            replay: Some(waiting.id),
            seq: Some(appended.seq),
            events: appended.events,
            code: None,
            detail: None,
            help: None,
        },
    }
}

/// hookgate's own event about a replay: `hookgate.delivery.replayed`, about the delivery, or about all of them.
#[must_use]
pub fn audit(query: Option<&str>, to: &[String], done: &[Done]) -> Append {
    let id = match done {
        [only] => format!("hookgate.delivery.{}", only.delivery),
        _ => "hookgate.deliveries".to_owned(),
    };
    let resource = Labels::from_iter([(event::RESOURCE_ID.to_owned(), id)]);
    let count = |result| done.iter().filter(|one| one.result == result).count();
    let mut payload = Map::from_iter([
        ("deliveries".to_owned(), Value::from(done.len())),
        ("accepted".to_owned(), count(Outcome::Accepted).into()),
        ("ignored".to_owned(), count(Outcome::Ignored).into()),
        ("forwarded".to_owned(), count(Outcome::Forwarded).into()),
        ("failed".to_owned(), count(Outcome::Failed).into()),
    ]);
    if let [only] = done
        && let Some(replay) = only.replay
    {
        payload.insert("replay".to_owned(), replay.to_string().into());
    }
    if let Some(query) = query {
        payload.insert("query".to_owned(), query.into());
    }
    if !to.is_empty() {
        payload.insert("sinks".to_owned(), to.into());
    }
    own_event("hookgate.delivery.replayed", resource, &payload)
}
