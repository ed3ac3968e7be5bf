//! What a query can ask of sinks, and of an event's parts.

use super::Query;
use crate::model::{Delivery, Event, Position};
use std::collections::BTreeSet;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$each])* $variant,)* }

        impl $name {
            /// Every one, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its word in the grammar.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

words! {
    /// How far a sink has got with an event.
    SinkState {
        /// Still to be delivered.
        Pending = "pending",
        /// Still to be delivered by a sink whose last attempt failed.
        Failed = "failed",
        /// Refused for good, and kept as a dead letter.
        Dead = "dead",
        /// Delivered (or discarded).
        Delivered = "delivered",
    }
}

words! {
    /// A part that is there or not.
    Has {
        /// It follows another event.
        Follows = "follows",
        /// It has related resources beside its webhook.
        Related = "related",
        /// The sender gave its delivery a key.
        Key = "key",
        /// Something went wrong.
        Error = "error",
        /// Something is worth knowing besides.
        Notes = "notes",
        /// Its payload is not empty.
        Payload = "payload",
    }
}

words! {
    /// What a delivery can be.
    Is {
        /// It repeats another one.
        Duplicate = "duplicate",
        /// `hookgate send` made its request.
        Test = "test",
        /// It was translated again.
        Replayed = "replayed",
    }
}

/// A sink at one moment.
#[derive(Debug, Clone, Default)]
pub struct SinkView {
    /// Its name.
    pub name: String,
    /// Everything up to here is done.
    pub cursor: u64,
    /// Which events it takes; none: all but hookgate's own.
    pub filter: Option<Query>,
    /// Whether its last attempt failed.
    pub failing: bool,
    /// Its dead letters.
    pub dead: BTreeSet<Position>,
}

impl SinkView {
    /// Whether it has got this far with an event.
    #[must_use]
    pub fn is(
        &self,
        state: SinkState,
        event: &Event,
        delivery: &Delivery,
        position: Position,
    ) -> bool {
        if self.dead.contains(&position) {
            return state == SinkState::Dead;
        }
        let pending = position.seq > self.cursor;
        let fits = match state {
            SinkState::Pending => pending,
            SinkState::Failed => pending && self.failing,
            SinkState::Dead => false,
            SinkState::Delivered => !pending,
        };
        fits && match &self.filter {
            Some(filter) => filter.matches_event(event, delivery),
            None => delivery.webhook.is_some(),
        }
    }
}
