//! Asking a sink whether it has what it took.
//!
//! The cursor moves only over what is shown. What stays away for long is sent again. What stays away then
//! too, while a probe is shown that was sent later, is suspect: it is tested in groups and halves of groups,
//! beside the other traffic, until an event is alone that the sink drops in silence; others may only have
//! been written together with it. Before each test the sink must have forgotten the id: Prefect ignores ids
//! that it saw in the last minutes, also when it lost the event since.

use super::super::window::Item;
use super::{Batch, CONFIRM_IDS, Instant, Lane, Proof, SinkError, Stopped, Verdict, codes, own};
use crate::model::Position;
use jiff::Timestamp;
use serde_json::json;
use std::sync::Arc;

/// Rounds without anything shown after which events are suspect.
const SILENT_ROUNDS: u32 = 2;

/// The search for events that are dropped in silence.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// How often the oldest unconfirmed event stayed away, and which one that is.
    rounds: u32,
    oldest: Option<Position>,
    /// Groups to test; the last one is next.
    groups: Vec<Vec<Position>>,
    /// The group that was sent, and when.
    tested: Option<(Vec<Position>, Instant)>,
}

impl Search {
    /// What was sent may be lost: its test starts anew.
    pub(super) fn interrupted(&mut self) {
        self.groups
            .extend(self.tested.take().map(|(group, _)| group));
    }

    fn push_halves(&mut self, group: &[Position]) {
        let (first, second) = group.split_at(group.len() / 2);
        for half in [second, first] {
            if !half.is_empty() {
                self.groups.push(half.to_vec());
            }
        }
    }

    fn round(&mut self, oldest: Option<Position>) -> u32 {
        let is_same = oldest == self.oldest;
        self.rounds = if is_same {
            self.rounds.saturating_add(1)
        } else {
            1
        };
        self.oldest = oldest;
        self.rounds
    }
}

impl Lane {
    /// Asks once; decides what is late.
    pub(super) async fn confirm(&mut self) -> Result<(), Stopped> {
        let stale = self.deps.tuning.stale;
        let is_late = |since: Option<Instant>| since.is_some_and(|at| at.elapsed() >= stale);
        let sent_late = is_late(self.window.unconfirmed_since());
        let test_late = is_late(self.search.tested.as_ref().map(|(_, at)| *at));
        let shown = match self.ask(sent_late || test_late).await {
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
        self.end_test(test_late).await?;
        if sent_late {
            self.late(shown).await?;
        }
        Ok(())
    }

    /// The next question comes soon if nothing was to be asked before.
    pub(super) fn poll_soon(&mut self) {
        if self.window.sent() == 0 {
            self.poll_wait = self.deps.tuning.poll.0;
            self.poll_at = Instant::now() + self.poll_wait;
        }
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

    /// Whether the sink already has some of a batch that it may know from before, which settles those.
    ///
    /// Prefect 3.9 on SQLite fails to write a batch in which it knows every id, and after five such failures
    /// drops what else waits to be written.
    pub(super) async fn is_known(&mut self, batch: &Batch) -> Result<bool, Stopped> {
        let is_doubtful = self.doubtful > 0 || self.window.was_sent(batch);
        if !is_doubtful || !self.sink.confirms() {
            return Ok(false);
        }
        let mut known = 0;
        for chunk in batch.items.chunks(CONFIRM_IDS) {
            match self.sink.shown(chunk).await {
                Ok(ids) => known += self.window.shown(&ids),
                Err(error) => {
                    self.count_attempt(error.result());
                    self.failed(&error).await?;
                    return Ok(true);
                }
            }
        }
        self.doubtful = self.doubtful.saturating_sub(batch.items.len());
        if known > 0 {
            self.worked(known).await;
        }
        Ok(known > 0)
    }

    /// What was taken is not shown in time.
    async fn late(&mut self, shown: usize) -> Result<(), Stopped> {
        let time = Instant::now();
        let limit = time.checked_sub(self.deps.tuning.stale).unwrap_or(time);
        let missing = self.window.unconfirmed_before(limit);
        if missing.is_empty() {
            return Ok(());
        }
        self.count_attempt("unconfirmed");
        let rounds = self.search.round(missing.first().copied());
        if rounds >= SILENT_ROUNDS && self.probe().await? {
            self.window.suspect(&missing);
            let size = self.events_max().min(super::UNCONFIRMED_EVENTS_MAX);
            let groups = missing.chunks(size).map(<[Position]>::to_vec);
            self.search.groups.splice(0..0, groups.rev());
            return Ok(());
        }
        if shown > 0 {
            // The sink writes; the rest was lost on its way, or is dropped: the next round tells.
            let message = SinkError::Silent.to_string();
            self.note_failure(codes::SINK_UNCONFIRMED, &message, None);
            self.window.reset();
            self.search.interrupted();
            return Ok(());
        }
        self.failed(&SinkError::Silent).await
    }

    /// When the next group of suspects may be tested.
    pub(super) fn next_test_at(&self) -> Option<Instant> {
        let group = self.search.groups.last()?;
        if self.search.tested.is_some() {
            return None;
        }
        let last = self.window.last_sent(group);
        Some(last.map_or_else(Instant::now, |at| at + self.deps.tuning.forgets))
    }

    /// Sends the next group of suspects, if its time has come.
    pub(super) async fn test_suspects(&mut self) -> Result<(), Stopped> {
        if self.next_test_at().is_none_or(|at| Instant::now() < at) {
            return Ok(());
        }
        let group = self.search.groups.pop().unwrap_or_default();
        let batch = self.window.suspects(&group);
        let bytes: usize = batch.items.iter().map(|item| item.json.len() + 1).sum();
        if batch.items.len() > 1 && bytes >= self.bytes_max() {
            self.search.push_halves(&group);
            return Ok(());
        }
        if batch.items.is_empty() {
            return Ok(());
        }
        if self.is_known(&batch).await? {
            // The rest of it is next.
            self.search.groups.push(group);
            return Ok(());
        }
        self.window.sending(&batch, Instant::now());
        match self.sink.send(&batch.items).await {
            Ok(_) => {
                self.count_attempt("ok");
                self.poll_soon();
                self.window.tested(&batch);
                self.search.tested = Some((group, Instant::now()));
                Ok(())
            }
            Err(SinkError::Refused { status, answer }) => {
                self.count_attempt("refused");
                if batch.items.len() > 1 {
                    self.search.push_halves(&group);
                    return Ok(());
                }
                let verdict = Verdict {
                    code: codes::SINK_REFUSED,
                    reason: format!("the sink answered {status}"),
                    answer,
                };
                self.window.bury(&batch, &verdict);
                self.buried(&batch, &verdict).await;
                Ok(())
            }
            Err(error) => {
                self.count_attempt(error.result());
                self.search.groups.push(group);
                self.failed(&error).await
            }
        }
    }

    /// Ends the test of a group: it is shown whole, or late.
    async fn end_test(&mut self, is_late: bool) -> Result<(), Stopped> {
        let Some((group, at)) = self.search.tested.take() else {
            return Ok(());
        };
        let missing = self.window.suspects(&group);
        if missing.items.is_empty() {
            return Ok(());
        }
        if !is_late {
            self.search.tested = Some((group, at));
            return Ok(());
        }
        self.count_attempt("unconfirmed");
        let positions: Vec<_> = missing.items.iter().map(|item| item.position).collect();
        self.window.suspect(&positions);
        if positions.len() > 1 {
            self.search.push_halves(&positions);
            return Ok(());
        }
        if !self.probe().await? {
            self.search.groups.push(positions);
            return self.failed(&SinkError::Silent).await;
        }
        let verdict = Verdict {
            code: codes::SINK_UNCONFIRMED,
            reason: "the sink took it several times, but does not show it".to_owned(),
            answer: String::new(),
        };
        self.note_failure(verdict.code, &verdict.reason, None);
        self.window.bury(&missing, &verdict);
        self.buried(&missing, &verdict).await;
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
            trace: None,
            json,
        })];
        if !matches!(self.sink.send(&probe).await, Ok(Proof::Taken)) {
            return Ok(false);
        }
        let until = Instant::now() + self.deps.tuning.probe;
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
