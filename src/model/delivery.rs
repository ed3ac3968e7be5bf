//! The durable record of one request and what became of it.

use super::trace::Hop;
use super::{Event, Note, Problem};
use crate::codes::Code;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// Place of a delivery in the log. Opaque but ordered; starts at 1, and has no gap that is not retention's.
pub type Seq = u64;

/// Place of an event: its delivery's sequence number and its index there. Prints as `seq.index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The delivery's.
    pub seq: Seq,
    /// The event's place in it, from 0.
    pub index: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.seq, self.index)
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (seq, index) = text.split_once('.').ok_or(())?;
        Ok(Self {
            seq: seq.parse().map_err(|_| ())?,
            index: index.parse().map_err(|_| ())?,
        })
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Translated to its events.
    Accepted,
    /// The webhook chose to emit nothing.
    Ignored,
    /// This delivery key was accepted or parked before.
    Duplicate,
    /// Verified, but not translatable now.
    Parked,
    /// Not verified.
    Rejected,
    /// A registration or challenge, answered.
    Handshake,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 6] = [
        Self::Accepted,
        Self::Ignored,
        Self::Duplicate,
        Self::Parked,
        Self::Rejected,
        Self::Handshake,
    ];

    /// Its name, as in records, metrics and queries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Ignored => "ignored",
            Self::Duplicate => "duplicate",
            Self::Parked => "parked",
            Self::Rejected => "rejected",
            Self::Handshake => "handshake",
        }
    }

    /// The outcome of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
    }
}

/// The record of one request and what became of it. Its sequence number is the log's to give.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Delivery {
    /// UUIDv7 made at receipt.
    pub id: Uuid,
    /// When the request's head had been read.
    pub received: Timestamp,
    /// Name of the webhook; none on hookgate's own records.
    pub webhook: Option<String>,
    /// Name of its provider.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub provider: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// Code of the error, if it was parked or rejected.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<Code>,
    /// Status of the answer.
    pub status: u16,
    /// The sender's own identifier of the delivery.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// What went wrong, in full.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<Problem>,
    /// Its events, in order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub events: Vec<Event>,
    /// What is worth knowing besides.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<Note>,
    /// Sequence number of the delivery that this one repeats.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub duplicate_of: Option<Seq>,
    /// Id of the delivery that was translated again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replay_of: Option<Uuid>,
    /// The request at a glance; none on hookgate's own records.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request: Option<RequestSummary>,
    /// How the sender was verified, check by check.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verification: Option<Verification>,
    /// What was replaced by `***` before the request was kept, such as `header authorization`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub masked: Vec<String>,
    /// Microseconds spent before the log: reading, verifying, translating.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timing: Option<Timing>,
    /// The place in a trace that the request came with, where its webhook wants it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trace: Option<Hop>,
}

/// A request without its headers and body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestSummary {
    /// Method, upper case.
    pub method: String,
    /// What follows the slug in the path.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub path: String,
    /// `Content-Type` as sent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_type: Option<String>,
    /// `User-Agent` as sent, cut to 256 characters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user_agent: Option<String>,
    /// Address of the client.
    pub peer: std::net::IpAddr,
    /// Bytes of the body on the wire.
    pub body_bytes: u64,
    /// SHA-256 of the stored request, lower-case hex.
    pub sha256: String,
}

/// How a sender was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Name of the scheme, such as `hmac-sha256`; `none` where the webhook asks for nothing.
    pub scheme: String,
    /// Whether the sender is who it says.
    pub verified: bool,
    /// Every check in order. Never holds a secret.
    pub checks: Vec<Check>,
}

/// One check of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was checked, such as `header x-hub-signature-256`, `timestamp`, `signature`.
    pub name: String,
    /// Whether it passed.
    pub passed: bool,
    /// What was found: `3 s old (limit 300 s)`, `secret 2 of 2`, `expected 1a2b3c4d…`. Never a secret.
    pub detail: String,
}

/// Microseconds of each step before the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Reading the body, which is mostly waiting for the sender.
    pub read_micros: u64,
    /// Verifying.
    pub verify_micros: u64,
    /// Translating.
    pub translate_micros: u64,
}
