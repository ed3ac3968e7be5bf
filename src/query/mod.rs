//! The search grammar, in one place: parse, print, match an event. Pure.
//!
//! Now: terms `event:`, `resource:`, `webhook:`, `outcome:`, `received:`, `occurred:` with `*`, lists and
//! comparisons, joined by blanks (and), `-` negates. The rest of the grammar is added here.

use crate::model::{Delivery, Event};
use thiserror::Error;

/// A parsed query.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {}

/// Why a text is no query.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("column {column}: {message}")]
pub struct QueryError {
    /// Character, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do, such as `did you mean resource:?`.
    pub help: Option<String>,
}

impl Query {
    /// Parses a query; relative times (`>-15m`) count from `now`. Blank: everything.
    ///
    /// # Errors
    /// With the column of the first thing that is wrong.
    pub fn parse(_text: &str, _now: jiff::Timestamp) -> Result<Self, QueryError> {
        unimplemented!()
    }

    /// Whether an event of a delivery matches. hookgate's own events match only queries that name them.
    #[must_use]
    pub fn matches_event(&self, _event: &Event, _delivery: &Delivery) -> bool {
        unimplemented!()
    }
}
