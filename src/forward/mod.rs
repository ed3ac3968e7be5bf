//! Forwarding: a loop per sink reads the log from the sink's cursor, sends batches, retries with
//! backoff, isolates and dead-letters what is refused for good. Nothing upstream waits for a sink.
//!
//! | file | duty |
//! | --- | --- |
//! | `forwarders` | the set of loops, as the settings want it; status, holds, retries of dead letters |
//! | `lane` | one sink's loop |
//! | `window` | which events are under way and how far the cursor may move; pure |
//! | `read` | the log's events that are for a sink |
//! | `sinks/` | a file per kind: send once, say what is proved |
//! | `error`, `tuning` | what a failure means, how long to wait |
//! | `own` | hookgate's own events about sinks |
//!
//! Invariants: a cursor moves only over what a sink proved to have, what is a dead letter, or what is
//! recorded as skipped; order is kept within a sink; an event may come twice, with the same id.
//! Limits: one read (4 MiB), one batch and 16 MiB of unconfirmed events in memory for each sink.

mod error;
mod forwarders;
mod lane;
mod own;
mod read;
mod sinks;
mod status;
mod tuning;
mod window;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use forwarders::Forwarders;

use crate::model::Secret;
use crate::query::Query;
use serde::Serialize;
use std::time::Duration;
use thiserror::Error;

/// Settings of one sink, from `[[sink]]`.
#[derive(Debug, Clone)]
pub struct SinkSettings {
    /// Name, unique.
    pub name: String,
    /// What kind, with its own settings.
    pub kind: SinkKind,
    /// Which events; none: all but hookgate's own.
    pub filter: Option<Query>,
    /// Events in one batch at most.
    pub batch_events: usize,
    /// Bytes in one batch at most.
    pub batch_bytes: usize,
    /// How long to wait for a batch to fill.
    pub batch_wait: Duration,
    /// Where a sink without a cursor starts.
    pub from: StartFrom,
    /// Age of an undelivered event past which the sink is cut off.
    pub max_lag: Option<Duration>,
    /// False: its loop does not run; its cursor stays.
    pub enabled: bool,
}

/// Where a new sink starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartFrom {
    /// With what comes from now on.
    Now,
    /// With the oldest retained event.
    Oldest,
}

/// Kinds of sinks with their settings.
#[derive(Debug, Clone)]
pub enum SinkKind {
    /// A Prefect server or Prefect Cloud.
    Prefect(HttpTarget, PrefectOptions),
    /// Any HTTP endpoint.
    Http(HttpTarget, HttpOptions),
    /// Lines of JSON to a file or stdout.
    Ndjson(NdjsonTarget),
}

/// Where and how to call.
#[derive(Debug, Clone)]
pub struct HttpTarget {
    /// Absolute `http` or `https` URL.
    pub url: String,
    /// Bearer token.
    pub token: Option<Secret>,
    /// User and password for Basic.
    pub auth: Option<(String, Secret)>,
    /// Own headers: name, value.
    pub headers: Vec<(String, Secret)>,
}

/// Options of a Prefect sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefectOptions {
    /// Ask the server for the ids before the cursor moves, since its 204 means "in memory".
    pub confirm: bool,
}

/// Options of an HTTP sink.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// One event a request, instead of an array.
    pub single: bool,
    /// Key of the Standard Webhooks signature of ours (`whsec_…`).
    pub sign: Option<Secret>,
}

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NdjsonTarget {
    /// Standard output.
    Stdout,
    /// Appended to this file, which is synced before the cursor moves.
    File(std::path::PathBuf),
}

/// What a sink is doing, for the API and pages.
#[derive(Debug, Clone, Serialize)]
pub struct SinkStatus {
    /// Name.
    pub name: String,
    /// `prefect`, `http`, `ndjson`.
    pub kind: &'static str,
    /// `running`, `failing`, `paused`, `misconfigured`, `disabled`.
    pub state: &'static str,
    /// Its cursor.
    pub cursor: u64,
    /// Deliveries in the log after the cursor.
    pub lag: u64,
    /// Age in seconds of the oldest delivery after the cursor.
    pub lag_seconds: f64,
    /// Events delivered since the start.
    pub delivered: u64,
    /// Events a second, over about the last minute.
    pub rate: f64,
    /// Last attempt that worked.
    pub last_success: Option<jiff::Timestamp>,
    /// Last attempt that failed, and why.
    pub last_error: Option<SinkFailure>,
    /// Dead letters now.
    pub dead_letters: u64,
}

/// A failed attempt.
#[derive(Debug, Clone, Serialize)]
pub struct SinkFailure {
    /// When.
    pub at: jiff::Timestamp,
    /// `HG07xx`.
    pub code: crate::codes::Code,
    /// What happened, with status and the answer's first bytes. No secret.
    pub message: String,
    /// When it is tried again.
    pub retry_at: Option<jiff::Timestamp>,
}

/// Kept events of one delivery that are to be sent again.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// Its place in the log.
    pub seq: crate::model::Seq,
    /// Name of its webhook.
    pub webhook: Option<String>,
    /// When it was received.
    pub received: jiff::Timestamp,
    /// Its events.
    pub events: Vec<crate::model::Event>,
    /// The place in a trace that it came with, where that is the parent of what goes out.
    pub trace: Option<crate::model::trace::Trace>,
}

/// Why a retry of a dead letter did not work.
#[derive(Debug, Clone, Error)]
pub enum RetryError {
    /// There is no such dead letter.
    #[error("there is no dead letter {0}")]
    Unknown(i64),
    /// Its sink is not in the configuration or not enabled.
    #[error("there is no running sink `{0}`")]
    NoSink(String),
    /// The sink refused it again, or could not be reached.
    #[error("{0}")]
    Refused(String),
    /// The state failed.
    #[error(transparent)]
    State(#[from] crate::state::StateError),
}
