//! Asking a sink whether it has what it took.
//!
//! The cursor moves only over what is shown. What stays away for long is sent again; if that does not help
//! either, the batches go one at a time and in halves, until the event that the sink drops in silence is
//! alone. It is given up only on proof that the sink writes at all: a probe that was sent later is shown.

use super::super::window::Item;
use super::{Batch, CONFIRM_IDS, Instant, Lane, Proof, SinkError, Stopped, Verdict, codes, own};
use crate::model::Position;
use jiff::Timestamp;
use serde_json::json;
use std::sync::Arc;

/// Rounds without anything shown after which batches go one at a time.
const SILENT_ROUNDS: u32 = 2;

impl Lane {
    /// Asks once; decides what is late.
    pub(super) async fn confirm(&mut self) -> Result<(), Stopped> {
        let is_late = self.is_late();
        let shown = match self.ask(is_late).await {
            Ok(shown) => shown,
            Err(error) => {
                self.count_attempt(error.result());
                return self.failed(&error).await;
            }
        };
        let (first, longest) = self.deps.tuning.poll;
        self.poll_wait = if shown > 0 {
            first
        } else {
            (self.poll_wait * 2).min(longest)
        };
        self.poll_at = Instant::now() + self.poll_wait;
        if shown > 0 {
            self.worked(shown).await;
            self.store_if_due().await?;
        }
        self.end_of_batch_apart();
        if is_late && self.window.sent() > 0 {
            self.late(shown).await?;
        }
        Ok(())
    }

    fn is_late(&self) -> bool {
        let tuning = &self.deps.tuning;
        let limit = if self.apart.is_some() {
            tuning.stale_apart
        } else {
            tuning.stale
        };
        let since = self.window.unconfirmed_since();
        since.is_some_and(|at| at.elapsed() >= limit)
    }

    /// Asks for the unconfirmed in order. They are written about in that order, so an empty answer ends the
    /// round, unless it must be complete.
    async fn ask(&mut self, all: bool) -> Result<usize, SinkError> {
        let mut shown = 0;
        for chunk in self.window.unconfirmed().chunks(CONFIRM_IDS) {
            let ids = self.sink.shown(chunk).await?;
            let settled = self.window.shown(&ids);
            shown += settled;
            if settled == 0 && !all {
                break;
            }
        }
        Ok(shown)
    }

    /// A batch that was sent apart and is shown whole leaves the split.
    fn end_of_batch_apart(&mut self) {
        if self.window.sent() == 0
            && let Some(batch) = self.apart.take()
        {
            self.window.pass(batch.items.len());
            self.searching = self.window.is_split();
        }
    }

    async fn late(&mut self, shown: usize) -> Result<(), Stopped> {
        self.count_attempt("unconfirmed");
        let Some(batch) = self.apart.take() else {
            let front = self.window.front();
            let is_same = front == self.silent_front;
            self.silent_rounds = if is_same { self.silent_rounds + 1 } else { 1 };
            self.silent_front = front;
            self.searching = self.silent_rounds >= SILENT_ROUNDS;
            if shown > 0 {
                // The sink writes; the rest was lost on its way, or is dropped: the next round tells.
                let message = SinkError::Silent.to_string();
                self.note_failure(codes::SINK_UNCONFIRMED, &message, None);
                self.window.reset();
                return Ok(());
            }
            return self.failed(&SinkError::Silent).await;
        };
        let sent = batch.items.len();
        let missing = Batch {
            items: self.window.unconfirmed(),
        };
        self.window.pass(sent - missing.items.len().min(sent));
        if missing.items.len() == 1 && !self.probe().await? {
            return self.failed(&SinkError::Silent).await;
        }
        let verdict = Verdict {
            code: codes::SINK_UNCONFIRMED,
            reason: "the sink took it several times, but does not show it".to_owned(),
            answer: String::new(),
        };
        self.note_failure(verdict.code, &verdict.reason, None);
        self.give_up(&missing, &verdict).await;
        self.searching = self.window.is_split();
        Ok(())
    }

    /// Whether the sink shows an event of ours that was sent just now.
    async fn probe(&self) -> Result<bool, Stopped> {
        let payload = json!({ "reason": "an event before this one is not shown" });
        let event = own::sink_event("hookgate.sink.probe", &self.board.name, payload);
        let Some((event, json)) =
            event.and_then(|e| serde_json::to_string(&e).ok().map(|json| (e, json)))
        else {
            return Ok(false);
        };
        let probe = [Arc::new(Item {
            position: Position { seq: 0, index: 0 },
            webhook: None,
            received: Timestamp::now(),
            event,
            json,
        })];
        if !matches!(self.sink.send(&probe).await, Ok(Proof::Taken)) {
            return Ok(false);
        }
        let until = Instant::now() + self.deps.tuning.stale_apart;
        while Instant::now() < until {
            self.wait(self.deps.tuning.poll.1).await?;
            match self.sink.shown(&probe).await {
                Ok(ids) if ids.is_empty() => {}
                Ok(_) => return Ok(true),
                Err(_) => return Ok(false),
            }
        }
        Ok(false)
    }
}
