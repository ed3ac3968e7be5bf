//! A Prefect server or Prefect Cloud.
//!
//! The server answers 204 once a batch is in its memory; it is written up to 5 s later, and lost in silence
//! when the queue overflows or the process ends. So the ids are asked for before the cursor moves. Ids that
//! it knows already are ignored, so sending again is harmless.

use super::super::error::SinkError;
use super::super::window::Item;
use super::super::{HttpTarget, PrefectOptions};
use super::client::{Caller, read_up_to};
use super::{Proof, Sink, json_array};
use crate::model::time::to_rfc3339;
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use uuid::Uuid;

/// Events in one request: what a server handles well within its time limits.
const EVENTS_MAX: usize = 200;
/// Bytes in one request.
const BYTES_MAX: usize = 4_000_000;
/// Bytes of events asked for at once: the answer holds them whole.
const ASKED_BYTES_MAX: usize = 8_000_000;
/// Bytes of an answer: the server's JSON of an event may be longer than ours (escaped, with more fields).
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A Prefect API.
#[derive(Debug)]
pub(super) struct Prefect {
    caller: Caller,
    confirm: bool,
}

#[derive(Deserialize)]
struct Page {
    events: Vec<Shown>,
}

#[derive(Deserialize)]
struct Shown {
    id: Uuid,
}

impl Prefect {
    /// Checks the target; its URL ends in `/api`, or in the workspace for Prefect Cloud.
    ///
    /// # Errors
    /// `Misconfigured`.
    pub(super) fn new(target: &HttpTarget, options: PrefectOptions) -> Result<Self, SinkError> {
        Ok(Self {
            caller: Caller::new(target)?,
            confirm: options.confirm,
        })
    }

    async fn post(&self, batch: &[Arc<Item>]) -> Result<Proof, SinkError> {
        let url = self.caller.join(&["events"])?;
        let body = json_array(batch);
        self.caller.hand_over(url, body, HeaderMap::new()).await?;
        Ok(if self.confirm {
            Proof::Taken
        } else {
            Proof::Delivered
        })
    }

    async fn ask(&self, batch: &[Arc<Item>]) -> Result<HashSet<Uuid>, SinkError> {
        let mut shown = HashSet::new();
        let mut rest = batch;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(fitting(rest));
            shown.extend(self.ask_page(now).await?);
            rest = later;
        }
        Ok(shown)
    }

    async fn ask_page(&self, batch: &[Arc<Item>]) -> Result<Vec<Uuid>, SinkError> {
        let url = self.caller.join(&["events", "filter"])?;
        let body = question(batch).to_string().into_bytes();
        let asked = self.caller.post(url, body, HeaderMap::new()).await;
        let response = asked.map_err(about_filter)?;
        let answer = read_up_to(response, ANSWER_BYTES_MAX).await;
        let answer = answer.map_err(|(_, error)| error)?;
        let page: Page = serde_json::from_slice(&answer).map_err(|_| {
            SinkError::misconfigured("what answers at events/filter is not a Prefect server")
        })?;
        Ok(page.events.into_iter().map(|event| event.id).collect())
    }
}

impl Sink for Prefect {
    fn events_max(&self) -> usize {
        EVENTS_MAX
    }

    fn bytes_max(&self) -> usize {
        BYTES_MAX
    }

    fn send<'a>(&'a self, batch: &'a [Arc<Item>]) -> BoxFuture<'a, Result<Proof, SinkError>> {
        Box::pin(self.post(batch))
    }

    fn shown<'a>(
        &'a self,
        batch: &'a [Arc<Item>],
    ) -> BoxFuture<'a, Result<HashSet<Uuid>, SinkError>> {
        Box::pin(self.ask(batch))
    }
}

/// How many of the first events are asked for at once (at least one).
fn fitting(batch: &[Arc<Item>]) -> usize {
    let mut bytes = 0;
    let fits = batch.iter().take(super::CONFIRM_IDS).take_while(|item| {
        bytes += item.json.len();
        bytes <= ASKED_BYTES_MAX
    });
    fits.count().max(1).min(batch.len())
}

/// The server looks at the last 180 days until now unless told otherwise, and both ends are inclusive; a
/// second on both sides stands for what it rounds.
fn question(batch: &[Arc<Item>]) -> serde_json::Value {
    let ids: Vec<_> = batch.iter().map(|item| item.event.id).collect();
    let times = || batch.iter().map(|item| item.event.occurred);
    let margin = SignedDuration::from_secs(1);
    let since = times().min().unwrap_or(Timestamp::UNIX_EPOCH);
    let until = times().max().unwrap_or(Timestamp::UNIX_EPOCH);
    json!({
        "filter": {
            "id": { "id": ids },
            "occurred": {
                "since": to_rfc3339(since.checked_sub(margin).unwrap_or(since)),
                "until": to_rfc3339(until.checked_add(margin).unwrap_or(until)),
            },
        },
        "limit": super::CONFIRM_IDS,
    })
}

/// A refusal of the question is not one of the events.
fn about_filter(error: SinkError) -> SinkError {
    match error {
        SinkError::Refused { .. } | SinkError::Misconfigured { .. } => {
            SinkError::misconfigured(format!(
                "asking the server whether it has the events failed: {error}; if it cannot be asked, set `confirm = false`"
            ))
        }
        SinkError::Retry { .. } | SinkError::Silent => error,
    }
}
