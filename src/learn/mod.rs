//! Secrets that senders deliver themselves: when a webhook may learn one, and what becomes of it.
//!
//! A webhook whose provider delivers the secret, and that has none in the configuration, *waits* for one for 15
//! minutes from its first start on, or from when its owner says so. The first secret that comes then is kept,
//! sealed, and is *pending* until the owner confirms it. A pending secret verifies deliveries like any other, since
//! senders give a webhook up whose first deliveries fail, but everything that shows such a delivery says so. No
//! other secret is taken while one is known; to forget it opens no new time to learn.
//!
//! Invariants: what is said to be learned is on disk, and so is the record of the handshake before its answer goes
//! out; a secret leaves this part only into its webhook's verifier, and, while it is pending, to the owner who asks.
//! Every call blocks (it writes to the state) but [`Learner::status`] and [`Learner::pending`]: pages show what was so
//! last, however long the state takes.

mod audit;
#[cfg(test)]
mod tests;

use crate::codes::{self, Code};
use crate::config::Config;
use crate::log::EventLog;
use crate::model::{Problem, Secret};
use crate::state::{LearnedRow, SecretStore, StateError, Vault, VaultError};
use crate::telemetry::Metrics;
use crate::verify::LearnedVerifier;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use thiserror::Error;
use uuid::Uuid;

/// How long a webhook waits for its secret.
const WAIT: SignedDuration = SignedDuration::from_mins(15);
/// A clock may be set back by so much while a webhook waits; by more, and the time to learn is over.
const CLOCK_BACK: SignedDuration = SignedDuration::from_mins(1);

/// Learned secrets of all webhooks. One for the process.
pub struct Learner {
    store: Arc<dyn SecretStore>,
    vault: Vault,
    log: Arc<dyn EventLog>,
    metrics: Arc<Metrics>,
    /// The webhooks of the running configuration that learn. Held while the store changes, so that what is stored
    /// and what verifies stay one.
    webhooks: Mutex<HashMap<String, Entry>>,
    /// The same as it was when last nobody changed it: to be looked at while somebody does.
    shown: Mutex<HashMap<String, Entry>>,
}

/// The webhooks while they change; what has become of them is shown when it is let go.
struct Held<'a> {
    webhooks: MutexGuard<'a, HashMap<String, Entry>>,
    shown: &'a Mutex<HashMap<String, Entry>>,
}

impl Deref for Held<'_> {
    type Target = HashMap<String, Entry>;

    fn deref(&self) -> &Self::Target {
        &self.webhooks
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.webhooks
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.clone_from(&self.webhooks);
    }
}

#[derive(Clone)]
struct Entry {
    slot: Arc<LearnedVerifier>,
    /// Since when it waits; none: that could not be read.
    since: Option<Timestamp>,
    known: Known,
}

#[derive(Clone)]
enum Known {
    Nothing,
    Secret(Facts),
    /// One is stored that does not open.
    Unreadable,
}

/// What is told of a learned secret.
#[derive(Debug, Clone)]
struct Facts {
    learned: Timestamp,
    delivery: Uuid,
    from: IpAddr,
    confirmed: Option<Timestamp>,
}

/// A request that brings a secret.
#[derive(Debug, Clone)]
pub struct Lesson {
    /// The delivery that it becomes.
    pub delivery: Uuid,
    /// Where it came from.
    pub from: IpAddr,
    /// When.
    pub received: Timestamp,
}

/// What became of a secret that arrived.
#[derive(Debug)]
pub enum Taught {
    /// It is kept, and pending.
    Learned,
    /// It is the one that is known already: its sender did not hear the answer.
    Again,
    /// It is not taken; why, for the record.
    Refused(Problem),
}

/// How a webhook stands with its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretState {
    /// The first one that comes is learned.
    Waiting,
    /// There is none, and none is learned.
    Missing,
    /// Learned, and not confirmed.
    Pending,
    /// Learned and confirmed.
    Confirmed,
    /// Learned, and it cannot be opened.
    Unreadable,
}

/// What the owner sees of a webhook's learned secret; never the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// How it stands.
    pub state: SecretState,
    /// Until when the first secret that comes is learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// When it arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learned: Option<Timestamp>,
    /// The delivery that brought it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Uuid>,
    /// The address which that came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
    /// When the owner confirmed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Timestamp>,
}

/// Why something about a learned secret was not done.
#[derive(Debug, Clone, Error)]
pub enum LearnError {
    /// The state failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The secret cannot be sealed or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The webhook does not learn its secret.
    #[error(
        "the webhook `{0}` does not learn a secret: its provider delivers none, one is configured, or the webhook is disabled"
    )]
    LearnsNothing(String),
    /// It does not fit what is there.
    #[error("{0}")]
    Conflict(String),
}

impl LearnError {
    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::State(_) => codes::API_UNAVAILABLE,
            Self::Vault(error) => error.code(),
            Self::LearnsNothing(_) | Self::Conflict(_) => codes::API_CONFLICT,
        }
    }
}

impl std::fmt::Debug for Learner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Learner").finish_non_exhaustive()
    }
}

impl Learner {
    /// Over a store and its vault; nothing is learned before [`Learner::apply`].
    #[must_use]
    pub fn new(
        store: Arc<dyn SecretStore>,
        vault: Vault,
        log: Arc<dyn EventLog>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            store,
            vault,
            log,
            metrics,
            webhooks: Mutex::default(),
            shown: Mutex::default(),
        }
    }

    /// Takes a configuration: hands its webhooks the secrets that were learned, and lets those that never waited
    /// wait from `now` on. Gives the webhooks whose secret, or time to learn, could not be had; they verify nobody.
    pub fn apply(&self, config: &Config, now: Timestamp) -> Vec<(String, LearnError)> {
        let mut webhooks = self.lock();
        let before = std::mem::take(&mut *webhooks);
        let mut failed = Vec::new();
        let mut rows = None;
        for webhook in config.webhooks.iter().filter(|webhook| webhook.enabled) {
            let (name, Some(slot)) = (&webhook.name, webhook.verifier.learned()) else {
                continue;
            };
            let mut entry = Entry {
                slot: Arc::clone(slot),
                since: None,
                known: Known::Nothing,
            };
            let done = match before.get(name) {
                Some(old) if entry.take_over(old) => Ok(()),
                Some(_) | None => self.read(name, &mut entry, &mut rows, now),
            };
            if let Err(error) = done {
                failed.push((name.clone(), error));
            }
            if entry.is_pending() {
                tracing::warn!(
                    code = %codes::SECRET_PENDING, webhook = name,
                    "a learned secret is pending: `hookgate webhooks confirm {name}`, or `forget`"
                );
            }
            webhooks.insert(name.clone(), entry);
        }
        self.metrics.secret_pending.clear();
        webhooks
            .iter()
            .for_each(|(name, entry)| self.count(name, entry));
        failed
    }

    /// What the store knows of a webhook.
    fn read(
        &self,
        name: &str,
        entry: &mut Entry,
        rows: &mut Option<Vec<LearnedRow>>,
        now: Timestamp,
    ) -> Result<(), LearnError> {
        entry.since = Some(self.store.waiting_since(name, now)?);
        let rows = match rows {
            Some(rows) => rows,
            None => rows.insert(self.store.learned()?),
        };
        let Some(row) = rows.iter().find(|row| row.webhook == name) else {
            return Ok(());
        };
        entry.known = Known::Unreadable;
        let secret = self.vault.open(name, &row.sealed)?;
        let pending = row.confirmed.is_none();
        let set = entry.slot.set(&secret, row.learned, pending);
        set.map_err(|_| VaultError::Damaged(name.to_owned()))?;
        entry.known = Known::Secret(Facts::of(row));
        Ok(())
    }

    /// A secret arrived for a webhook; `slot` is that of the configuration which served the request.
    ///
    /// # Errors
    /// It could not be kept: the sender must try again.
    pub fn teach(
        &self,
        name: &str,
        slot: &Arc<LearnedVerifier>,
        secret: &Secret,
        lesson: &Lesson,
    ) -> Result<Taught, LearnError> {
        let mut webhooks = self.lock();
        if slot.knows(secret) {
            return Ok(Taught::Again);
        }
        let refused = |message: &str| Ok(Taught::Refused(refusal(message)));
        let Some(entry) = webhooks.get_mut(name) else {
            return refused("the webhook has just left the configuration");
        };
        match &entry.known {
            Known::Nothing => {}
            Known::Secret(_) | Known::Unreadable => {
                return refused("the webhook has learned a secret already");
            }
        }
        if entry.until(lesson.received).is_none() {
            return refused("the time in which the webhook learns a secret is over");
        }
        if !entry.slot.fits(secret) {
            return refused("the secret has not the form that the webhook's scheme needs");
        }
        let rows = self.store.learned()?;
        let keys: Vec<_> = rows.iter().map(|row| row.sealed.key).collect();
        let row = LearnedRow {
            webhook: name.to_owned(),
            sealed: self.vault.seal(name, secret, &keys)?,
            learned: lesson.received,
            delivery: lesson.delivery,
            peer: lesson.from,
            confirmed: None,
        };
        if !self.store.learn(&row)? {
            return refused("the webhook has learned a secret already");
        }
        for slot in [slot, &entry.slot] {
            // It fits: that was asked before it was kept.
            if slot.set(secret, row.learned, true).is_err() {
                tracing::error!(webhook = name, "the learned secret does not fit its scheme");
            }
        }
        entry.known = Known::Secret(Facts::of(&row));
        self.count(name, entry);
        tracing::warn!(
            code = %codes::SECRET_PENDING, webhook = name, delivery = %lesson.delivery, from = %lesson.from,
            "a secret was learned and is pending: `hookgate webhooks confirm {name}`, or `forget`"
        );
        self.record(audit::learned(name, lesson));
        Ok(Taught::Learned)
    }

    /// How a webhook stands with its secret; none where it does not learn one.
    #[must_use]
    pub fn status(&self, name: &str, now: Timestamp) -> Option<Status> {
        self.shown().get(name).map(|entry| entry.status(now))
    }

    /// The webhooks whose secret is pending, sorted.
    #[must_use]
    pub fn pending(&self) -> Vec<String> {
        let webhooks = self.shown();
        let pending = webhooks.iter().filter(|(_, entry)| entry.is_pending());
        let mut names: Vec<_> = pending.map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    }

    /// Lets a webhook wait for a secret from `now` on.
    ///
    /// # Errors
    /// It learns none, or knows one.
    pub fn wait(&self, name: &str, now: Timestamp) -> Result<Status, LearnError> {
        let mut webhooks = self.lock();
        let entry = find(&mut webhooks, name)?;
        match &entry.known {
            Known::Nothing => {}
            Known::Secret(_) | Known::Unreadable => {
                return Err(LearnError::Conflict(format!(
                    "the webhook `{name}` has learned a secret: `hookgate webhooks forget {name}` first"
                )));
            }
        }
        self.store.wait_again(name, now)?;
        entry.since = Some(now);
        tracing::info!(webhook = name, "the webhook waits for a secret");
        self.record(audit::event("awaited", name));
        Ok(entry.status(now))
    }

    /// The owner says that a webhook's secret is its sender's. To confirm it again changes nothing.
    ///
    /// # Errors
    /// There is none.
    pub fn confirm(&self, name: &str, now: Timestamp) -> Result<Status, LearnError> {
        let mut webhooks = self.lock();
        let entry = find(&mut webhooks, name)?;
        let (Known::Secret(facts), Some(secret)) = (&mut entry.known, entry.slot.secret()) else {
            return Err(nothing_learned(name));
        };
        if facts.confirmed.is_none() {
            self.store.confirm(name, now)?;
            facts.confirmed = Some(now);
            let set = entry.slot.set(&secret, facts.learned, false);
            set.map_err(|error| LearnError::Conflict(error.to_string()))?;
            self.count(name, entry);
            tracing::info!(webhook = name, "the learned secret was confirmed");
            self.record(audit::event("confirmed", name));
        }
        Ok(entry.status(now))
    }

    /// Forgets a webhook's secret: from now on it verifies nobody. It does not wait for another one.
    ///
    /// # Errors
    /// There is none.
    pub fn forget(&self, name: &str) -> Result<(), LearnError> {
        let mut webhooks = self.lock();
        if !self.store.learned()?.iter().any(|row| row.webhook == name) {
            return Err(nothing_learned(name));
        }
        self.store.forget(name)?;
        if let Some(entry) = webhooks.get_mut(name) {
            entry.slot.clear();
            entry.known = Known::Nothing;
            entry.since = None;
            self.count(name, entry);
        }
        tracing::info!(webhook = name, "the learned secret was forgotten");
        self.record(audit::event("forgotten", name));
        Ok(())
    }

    /// The secret itself, for an owner who must copy it into a form of the sender; only while it is pending.
    ///
    /// # Errors
    /// There is none, or it is confirmed.
    pub fn reveal(&self, name: &str) -> Result<Secret, LearnError> {
        let mut webhooks = self.lock();
        let entry = find(&mut webhooks, name)?;
        match (&entry.known, entry.slot.secret()) {
            (Known::Secret(facts), Some(secret)) if facts.confirmed.is_none() => {
                tracing::info!(webhook = name, "the pending secret was shown");
                self.record(audit::event("revealed", name));
                Ok(secret)
            }
            (Known::Secret(_), Some(_)) => Err(LearnError::Conflict(format!(
                "the secret of `{name}` is confirmed: it is shown only while it is pending"
            ))),
            _ => Err(nothing_learned(name)),
        }
    }

    fn count(&self, name: &str, entry: &Entry) {
        let labels = vec![("webhook", name.to_owned())];
        let gauge = self.metrics.secret_pending.get_or_create_owned(&labels);
        gauge.set(i64::from(entry.is_pending()));
    }

    /// Keeps an own event. What was done stands where the log cannot take it.
    fn record(&self, event: crate::log::Append) {
        if let Err(error) = self.log.append(event) {
            tracing::warn!(code = %error.code(), %error, "what was done with a secret is not recorded as an event");
        }
    }

    fn lock(&self) -> Held<'_> {
        Held {
            webhooks: self.webhooks.lock().unwrap_or_else(PoisonError::into_inner),
            shown: &self.shown,
        }
    }

    fn shown(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Takes over what is known of the same webhook in the configuration before; not where something was wrong.
    fn take_over(&mut self, old: &Self) -> bool {
        let taken = match (&old.known, old.slot.secret()) {
            (Known::Secret(facts), Some(secret)) => {
                let pending = facts.confirmed.is_none();
                self.slot.set(&secret, facts.learned, pending).is_ok()
            }
            (Known::Nothing, _) => old.since.is_some(),
            (Known::Secret(_), None) | (Known::Unreadable, _) => false,
        };
        if taken {
            self.since = old.since;
            self.known = old.known.clone();
        }
        taken
    }

    fn is_pending(&self) -> bool {
        matches!(&self.known, Known::Secret(facts) if facts.confirmed.is_none())
    }

    /// Until when it waits; none: it does not.
    fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let since = self.since?;
        let waited = now.duration_since(since);
        (-CLOCK_BACK..WAIT)
            .contains(&waited)
            .then(|| since.saturating_add(WAIT).unwrap_or(since))
    }

    fn status(&self, now: Timestamp) -> Status {
        let until = self.until(now);
        let (state, facts) = match &self.known {
            Known::Nothing if until.is_some() => (SecretState::Waiting, None),
            Known::Nothing => (SecretState::Missing, None),
            Known::Unreadable => (SecretState::Unreadable, None),
            Known::Secret(facts) if facts.confirmed.is_none() => {
                (SecretState::Pending, Some(facts))
            }
            Known::Secret(facts) => (SecretState::Confirmed, Some(facts)),
        };
        Status {
            state,
            until: until.filter(|_| state == SecretState::Waiting),
            learned: facts.map(|facts| facts.learned),
            delivery: facts.map(|facts| facts.delivery),
            from: facts.map(|facts| facts.from),
            confirmed: facts.and_then(|facts| facts.confirmed),
        }
    }
}

impl Facts {
    fn of(row: &LearnedRow) -> Self {
        Self {
            learned: row.learned,
            delivery: row.delivery,
            from: row.peer,
            confirmed: row.confirmed,
        }
    }
}

/// Why a secret that arrived is not taken, for the record.
#[must_use]
pub fn refusal(message: &str) -> Problem {
    Problem::new(
        codes::SECRET_REFUSED,
        format!("a secret was sent, and not taken: {message}"),
    )
    .help(
        "If you have just registered the webhook: `hookgate webhooks forget NAME` (where it has learned one), `hookgate webhooks learn NAME`, and register it again. If not, somebody knows its URL.",
    )
}

fn nothing_learned(name: &str) -> LearnError {
    LearnError::Conflict(format!("the webhook `{name}` has learned no secret"))
}

fn find<'a>(
    webhooks: &'a mut HashMap<String, Entry>,
    name: &str,
) -> Result<&'a mut Entry, LearnError> {
    let entry = webhooks.get_mut(name);
    entry.ok_or_else(|| LearnError::LearnsNothing(name.to_owned()))
}
