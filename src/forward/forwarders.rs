//! The set of loops: what runs, what it shows, and what can be asked of it.

use super::error::SinkError;
use super::lane::{Deps, Lane};
use super::sinks::{self, Proof, Sink};
use super::status::{Board, lock};
use super::tuning::Tuning;
use super::window::Item;
use super::{HttpTarget, Parcel, RetryError, SinkKind, SinkSettings, SinkStatus, own};
use crate::log::EventLog;
use crate::model::{Position, Secret, Seq};
use crate::state::{DeadLetter, State, StateError};
use crate::telemetry::Metrics;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Events in a batch that is sent again: Prefect's API shows no more at once.
const AGAIN_EVENTS: usize = 50;
/// Bytes in a batch that is sent again, where it holds more than one event.
const AGAIN_BYTES: usize = 1024 * 1024;

/// All sinks' loops.
pub struct Forwarders {
    deps: Deps,
    /// In the order of the settings.
    running: Mutex<Vec<Running>>,
    /// What the sinks show, in the same order; kept while a set is changed and after the stop, since
    /// retention asks at any time. None: no settings came yet.
    boards: Arc<Mutex<Option<Vec<Arc<Board>>>>>,
    /// One change of the set at a time.
    changing: tokio::sync::Mutex<()>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

/// One sink of the settings.
struct Running {
    board: Arc<Board>,
    fingerprint: [u8; 32],
    /// None: it is not enabled.
    sink: Option<Arc<dyn Sink>>,
    cancel: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Forwarders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forwarders").finish_non_exhaustive()
    }
}

impl Forwarders {
    /// Makes the set, with no loop running yet. Must be called within a tokio runtime.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, state: Arc<dyn State>, metrics: Arc<Metrics>) -> Self {
        Self::with_tuning(log, state, metrics, Tuning::default())
    }

    pub(crate) fn with_tuning(
        log: Arc<dyn EventLog>,
        state: Arc<dyn State>,
        metrics: Arc<Metrics>,
        tuning: Tuning,
    ) -> Self {
        Self {
            deps: Deps {
                log,
                state,
                metrics,
                tuning,
            },
            running: Mutex::default(),
            boards: Arc::default(),
            changing: tokio::sync::Mutex::new(()),
            keeper: Mutex::new(None),
        }
    }

    /// Starts, stops and restarts loops so that they match the settings; cursors of removed sinks are kept 24 h.
    pub async fn apply(&self, settings: &[SinkSettings]) {
        let _changing = self.changing.lock().await;
        let mut before = std::mem::take(&mut *lock(&self.running));
        let mut kept = Vec::new();
        for sink in settings {
            let fingerprint = fingerprint(sink);
            let same = |r: &Running| r.board.name == sink.name && r.fingerprint == fingerprint;
            kept.push(
                before
                    .iter()
                    .position(same)
                    .map(|at| before.swap_remove(at)),
            );
        }
        end_all(before, self.deps.tuning.restart).await;
        let names = settings.iter().map(|sink| sink.name.clone()).collect();
        self.mark_removed(names).await;
        let now: Vec<_> = kept
            .into_iter()
            .zip(settings)
            .map(|(kept, sink)| kept.unwrap_or_else(|| self.start(sink, &sinks::build)))
            .collect();
        self.show(&now);
        *lock(&self.running) = now;
        self.keep_house();
    }

    fn show(&self, running: &[Running]) {
        let boards = running.iter().map(|r| Arc::clone(&r.board)).collect();
        *lock(&self.boards) = Some(boards);
    }

    /// Starts one loop; a sink that cannot be made gets one too, which says why.
    fn start(&self, settings: &SinkSettings, build: &Build) -> Running {
        let kind = sinks::kind_name(&settings.kind);
        let board = Arc::new(Board::new(&settings.name, kind, settings.enabled));
        let cancel = CancellationToken::new();
        let sink = settings
            .enabled
            .then(|| build(settings).unwrap_or_else(|error| Arc::new(sinks::Broken(error))));
        let task = sink.as_ref().map(|sink| {
            let lane = Lane::new(
                self.deps.clone(),
                settings.clone(),
                Arc::clone(sink),
                Arc::clone(&board),
                cancel.clone(),
            );
            tokio::spawn(lane.run())
        });
        Running {
            board,
            fingerprint: fingerprint(settings),
            sink,
            cancel,
            task,
        }
    }

    /// Marks cursors whose sinks left or came back; shows the cursors of those that are not enabled.
    async fn mark_removed(&self, names: Vec<String>) {
        let marked = self.with_state(move |state| {
            for (sink, cursor) in state.cursors()? {
                let is_there = names.contains(&sink);
                if is_there && cursor.removed.is_some() {
                    state.set_removed(&sink, None)?;
                } else if !is_there && cursor.removed.is_none() {
                    state.set_removed(&sink, Some(Timestamp::now()))?;
                }
            }
            Ok(())
        });
        if let Err(error) = marked.await {
            tracing::warn!(error = %error, "removed sinks cannot be marked");
        }
    }

    /// What each sink is doing.
    #[must_use]
    pub fn status(&self) -> Vec<SinkStatus> {
        let head = *self.deps.log.head().borrow();
        let now = Timestamp::now();
        let dead = self.deps.state.dead_letter_counts().unwrap_or_default();
        let boards = self.boards();
        let status = boards.iter().map(|board| {
            let count = dead.iter().find(|(sink, _)| *sink == board.name);
            board.status(head, now, count.map_or(0, |(_, n)| *n))
        });
        status.collect()
    }

    fn boards(&self) -> Vec<Arc<Board>> {
        lock(&self.boards).clone().unwrap_or_default()
    }

    /// The sequence number up to which every sink that holds retention back has read; none: nothing holds it.
    ///
    /// Sinks with `max_lag` count too: they are cut off before they hold anything back for longer. A removed
    /// sink, or one that is not enabled, holds nothing. Before the first settings everything is held.
    #[must_use]
    pub fn retention_floor(&self) -> Option<Seq> {
        let Some(boards) = lock(&self.boards).clone() else {
            return Some(0);
        };
        let enabled = boards.iter().filter(|board| board.enabled);
        let cursors = enabled.map(|board| board.figures()).map(|figures| {
            // Until its loop has found the cursor, nobody knows what it still needs.
            if figures.started { figures.cursor } else { 0 }
        });
        cursors.min()
    }

    /// Sends one dead letter again, now.
    ///
    /// # Errors
    /// When it was refused again; it then stays, with the new reason.
    pub async fn retry(&self, id: i64) -> Result<(), RetryError> {
        let found = self.with_state(move |state| state.dead_letter(id)).await?;
        let letter = found.ok_or(RetryError::Unknown(id))?;
        let sink = lock(&self.running)
            .iter()
            .find(|r| r.board.name == letter.sink)
            .and_then(|r| r.sink.clone())
            .ok_or_else(|| RetryError::NoSink(letter.sink.clone()))?;
        let name = letter.sink.clone();
        match self.send_again(sink.as_ref(), letter).await {
            Ok(()) => {
                self.with_state(move |state| state.remove_dead_letter(id))
                    .await?;
                let labels = vec![("sink", name)];
                let delivered = &self.deps.metrics.sink_delivered;
                delivered.get_or_create(&labels).inc();
                Ok(())
            }
            Err(error) => {
                let told = error.to_string();
                self.keep_reason(id, error).await?;
                Err(RetryError::Refused(told))
            }
        }
    }

    /// A sink that was not reached says nothing about the event: the dead letter keeps the reason it has.
    async fn keep_reason(&self, id: i64, error: SinkError) -> Result<(), StateError> {
        let (reason, answer) = match error {
            SinkError::Refused { status, answer } => {
                (format!("the sink answered {status}"), answer)
            }
            SinkError::Silent => (error.to_string(), String::new()),
            SinkError::Retry { .. } | SinkError::Misconfigured { .. } => return Ok(()),
        };
        let now = Timestamp::now();
        self.with_state(move |state| state.refuse_dead_letter_again(id, &reason, &answer, now))
            .await
    }

    async fn send_again(&self, sink: &dyn Sink, letter: DeadLetter) -> Result<(), SinkError> {
        let json = serde_json::to_string(&letter.event)
            .map_err(|_| SinkError::retry("the event cannot be written as JSON"))?;
        // Its delivery may be gone by now, and the trace with it.
        let (log, seq) = (Arc::clone(&self.deps.log), letter.seq);
        let record = tokio::task::spawn_blocking(move || log.get(seq).ok().flatten()).await;
        let hop = record.ok().flatten().and_then(|r| r.delivery.trace);
        let trace = hop.filter(|hop| hop.is_continued).map(|hop| hop.trace);
        let batch = [Arc::new(Item {
            position: Position {
                seq: letter.seq,
                index: letter.index,
            },
            webhook: letter.webhook,
            received: letter.refused,
            event: letter.event,
            trace,
            json,
        })];
        self.send_batch(sink, &batch).await
    }

    /// Sends kept events of a delivery again, now, whatever the sink's `match` says; its cursor stays where it is.
    ///
    /// # Errors
    /// The sink is not running, or refused them.
    pub async fn send_stored(&self, sink: &str, parcel: Parcel) -> Result<(), RetryError> {
        let name = sink;
        let sink = lock(&self.running)
            .iter()
            .find(|r| r.board.name == name)
            .and_then(|r| r.sink.clone())
            .ok_or_else(|| RetryError::NoSink(name.to_owned()))?;
        let count = u64::try_from(parcel.events.len()).unwrap_or(u64::MAX);
        let limits = (
            sink.events_max().clamp(1, AGAIN_EVENTS),
            sink.bytes_max().min(AGAIN_BYTES),
        );
        for batch in batches(parcel, limits) {
            let sent = self.send_batch(sink.as_ref(), &batch).await;
            sent.map_err(|error| RetryError::Refused(error.to_string()))?;
        }
        let labels = vec![("sink", name.to_owned())];
        let delivered = &self.deps.metrics.sink_delivered;
        delivered.get_or_create(&labels).inc_by(count);
        Ok(())
    }

    /// Sends a batch and waits until the sink has it.
    async fn send_batch(&self, sink: &dyn Sink, batch: &[Arc<Item>]) -> Result<(), SinkError> {
        if sink.send(batch).await? == Proof::Delivered {
            return Ok(());
        }
        let tuning = &self.deps.tuning;
        let mut left = batch.to_vec();
        let until = Instant::now() + tuning.probe;
        while Instant::now() < until {
            tokio::time::sleep(tuning.poll.1).await;
            // A sink may be asked for some of them at once only: the first that are left.
            let shown = sink.shown(&left).await?;
            left.retain(|item| !shown.contains(&item.event.id));
            if left.is_empty() {
                return Ok(());
            }
        }
        Err(SinkError::Silent)
    }

    /// Holds or lets go a sink.
    ///
    /// # Errors
    /// When there is no such sink, or the state fails.
    pub async fn set_paused(&self, sink: &str, paused: bool) -> Result<(), RetryError> {
        let boards = self.boards();
        let board = boards
            .iter()
            .find(|board| board.name == sink)
            .ok_or_else(|| RetryError::NoSink(sink.to_owned()))?;
        let name = sink.to_owned();
        self.with_state(move |state| state.set_paused(&name, paused))
            .await?;
        board.paused.send_replace(paused);
        tracing::info!(sink, paused, "the sink was held or let go");
        Ok(())
    }

    /// Stops all loops; a batch that is under way is finished or abandoned within `within` (it is sent again after the start).
    pub async fn stop(&self, within: Duration) {
        let _changing = self.changing.lock().await;
        if let Some(keeper) = lock(&self.keeper).take() {
            keeper.abort();
        }
        let all = std::mem::take(&mut *lock(&self.running));
        end_all(all, within).await;
    }

    /// Runs a call of the state in a thread that may block.
    async fn with_state<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn State) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let state = Arc::clone(&self.deps.state);
        tokio::task::spawn_blocking(move || call(state.as_ref()))
            .await
            .unwrap_or_else(|_| Err(StateError("its thread ended".into())))
    }

    /// Starts the task that refreshes gauges and drops the cursors of sinks that left long ago.
    fn keep_house(&self) {
        let mut keeper = lock(&self.keeper);
        if keeper.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let deps = self.deps.clone();
        let boards = Arc::clone(&self.boards);
        *keeper = Some(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(deps.tuning.housekeeping);
            loop {
                ticks.tick().await;
                let shown = lock(&boards).clone().unwrap_or_default();
                keep(&deps, &shown).await;
            }
        }));
    }
}

/// How a sink is made; tests bring their own.
type Build = dyn Fn(&SinkSettings) -> Result<Arc<dyn Sink>, SinkError>;

#[cfg(test)]
impl Forwarders {
    /// As `apply` for one new sink, with a sink of the test's.
    pub(super) fn start_with(&self, settings: &SinkSettings, sink: &Arc<dyn Sink>) {
        let sink = Arc::clone(sink);
        let running = self.start(settings, &move |_| Ok(Arc::clone(&sink)));
        let mut all = lock(&self.running);
        all.push(running);
        self.show(&all);
        self.keep_house();
    }
}

/// A parcel's events in batches of so many events and bytes.
fn batches(parcel: Parcel, (events_max, bytes_max): (usize, usize)) -> Vec<Vec<Arc<Item>>> {
    let mut batches: Vec<Vec<Arc<Item>>> = Vec::new();
    let mut bytes = 0;
    for (index, event) in (0..).zip(parcel.events) {
        let Ok(json) = serde_json::to_string(&event) else {
            // Strings, times and JSON text always serialise.
            continue;
        };
        let full = |batch: &Vec<_>| batch.len() >= events_max || bytes + json.len() > bytes_max;
        if batches.last().is_none_or(full) {
            batches.push(Vec::new());
            bytes = 0;
        }
        bytes += json.len();
        if let Some(batch) = batches.last_mut() {
            batch.push(Arc::new(Item {
                position: Position {
                    seq: parcel.seq,
                    index,
                },
                webhook: parcel.webhook.clone(),
                received: parcel.received,
                event,
                trace: parcel.trace.clone(),
                json,
            }));
        }
    }
    batches
}

async fn end_all(mut ending: Vec<Running>, within: Duration) {
    for running in &ending {
        running.cancel.cancel();
    }
    let until = Instant::now() + within;
    for running in &mut ending {
        let Some(task) = running.task.as_mut() else {
            continue;
        };
        if tokio::time::timeout_at(until, &mut *task).await.is_err() {
            task.abort();
            tracing::info!(sink = %running.board.name, "a batch under way was abandoned; it is sent again");
        }
    }
}

async fn keep(deps: &Deps, boards: &[Arc<Board>]) {
    let head = *deps.log.head().borrow();
    for board in boards {
        board.export(&deps.metrics, head, Timestamp::now());
    }
    let state = Arc::clone(&deps.state);
    let figures = tokio::task::spawn_blocking(move || {
        Ok::<_, StateError>((state.dead_letter_counts()?, state.cursors()?))
    });
    let Ok(Ok((dead, cursors))) = figures.await else {
        return;
    };
    for board in boards {
        let count = dead.iter().find(|(sink, _)| *sink == board.name);
        let count = i64::try_from(count.map_or(0, |(_, n)| *n)).unwrap_or(i64::MAX);
        let gauge = &deps.metrics.dead_letters;
        gauge.get_or_create(&board.labels()).set(count);
        if !board.enabled
            && let Some((_, cursor)) = cursors.iter().find(|(sink, _)| *sink == board.name)
        {
            board.update(|figures| {
                figures.cursor = cursor.seq;
                figures.frontier = cursor.seq;
            });
        }
    }
    for (sink, cursor) in cursors {
        let is_there = boards.iter().any(|board| board.name == sink);
        if let Some(removed) = cursor.removed.filter(|_| !is_there) {
            drop_removed(deps, sink, removed).await;
        }
    }
}

/// Drops the cursor of a sink that left long enough ago, with an own event.
async fn drop_removed(deps: &Deps, sink: String, removed: Timestamp) {
    let kept = SignedDuration::try_from(deps.tuning.removed).unwrap_or(SignedDuration::MAX);
    if Timestamp::now().duration_since(removed) < kept {
        return;
    }
    let state = Arc::clone(&deps.state);
    let name = sink.clone();
    let dropped = tokio::task::spawn_blocking(move || state.drop_cursor(&name)).await;
    if !matches!(dropped, Ok(Ok(()))) {
        return;
    }
    tracing::info!(sink, "the cursor of a removed sink was dropped");
    let payload = json!({ "removed": removed });
    let name = "hookgate.sink.removed";
    if let Err(error) = own::write(deps.log.as_ref(), name, &sink, payload).await {
        tracing::warn!(sink, event = name, error = %error, "an own event was not kept");
    }
}

/// Tells whether settings changed, secrets included, and gives none of them away.
fn fingerprint(settings: &SinkSettings) -> [u8; 32] {
    let mut hash = Sha256::new();
    // Secrets print as `***` there; their text follows, each with its length before it.
    hash.update(format!("{settings:?}"));
    for secret in secrets(&settings.kind) {
        hash.update(secret.expose().len().to_le_bytes());
        hash.update(secret.expose());
    }
    hash.finalize().into()
}

fn secrets(kind: &SinkKind) -> Vec<&Secret> {
    match kind {
        SinkKind::Prefect(target, _) => target_secrets(target).collect(),
        SinkKind::Http(target, options) => target_secrets(target).chain(&options.sign).collect(),
        SinkKind::Ndjson(_) => Vec::new(),
    }
}

fn target_secrets(target: &HttpTarget) -> impl Iterator<Item = &Secret> {
    let auth = target.auth.iter().map(|(_, password)| password);
    let headers = target.headers.iter().map(|(_, value)| value);
    target.token.iter().chain(auth).chain(headers)
}
