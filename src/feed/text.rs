//! The words and values of records, as the text index holds them: one document for some records one behind the other.
//!
//! A document holds every word once (lower case, letters and digits), and a token that starts with `_` for each value
//! that can be asked for whole. It may hold more than a record says, never less: where something was left out, it
//! has the token [`UNWHOLE`] and is looked through in every case.

use crate::model::event::{RESOURCE_ID, RESOURCE_ROLE};
use crate::model::{Delivery, Event};
use crate::query::{each_text, scalar_text, words};
use serde_json::Value;
use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// A document from which something was left out.
pub(super) const UNWHOLE: &str = "_";
/// Deliveries of a document at most; their numbers' distance then takes one byte.
pub(super) const DELIVERIES_MAX: u64 = 120;
/// Bytes of a document after which it is closed, and after which nothing more is added.
const BYTES_CLOSE: usize = 48 * 1024;
const BYTES_MAX: usize = 512 * 1024;
/// Values of one payload that become tokens at most.
const VALUES_MAX: usize = 4_000;

/// What a value is a value of, as a part of its token.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    Label(&'a str),
    Related,
    Role(&'a str),
    Follows,
    Ip,
    Payload(&'a str),
}

/// The token of a value.
pub(super) fn token(place: Place<'_>, value: &str) -> String {
    let (tag, name) = match place {
        Place::Label(name) => (b'l', name),
        Place::Related => (b'r', ""),
        Place::Role(role) => (b'o', role),
        Place::Follows => (b'f', ""),
        Place::Ip => (b'i', ""),
        Place::Payload(path) => (b'p', path),
    };
    // FNV-1a, 64 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>. Equal tokens only cost a look at the record.
    let bytes = [tag]
        .into_iter()
        .chain(name.bytes())
        .chain([0])
        .chain(value.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut token = String::with_capacity(11);
    token.push('_');
    for i in 0..10 {
        let digit = u32::try_from((hash >> (14 + 5 * i)) & 31).unwrap_or(0);
        token.push(char::from_digit(digit, 32).unwrap_or('0'));
    }
    token
}

/// A number as the token of its value holds it: 5.0 is 5.
pub(super) fn canonical(number: f64) -> String {
    (number + 0.0).to_string()
}

/// A document in the making.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) words: String,
    seen: HashSet<u64>,
    whole: bool,
    hasher: RandomState,
}

impl Document {
    pub(super) fn is_empty(&self) -> bool {
        self.first == 0
    }

    /// Whether the next delivery is to begin another one.
    pub(super) fn is_full(&self) -> bool {
        self.last - self.first + 1 >= DELIVERIES_MAX || self.words.len() >= BYTES_CLOSE
    }

    pub(super) fn clear(&mut self) {
        (self.first, self.last) = (0, 0);
        self.words.clear();
        self.seen.clear();
    }

    pub(super) fn add(&mut self, seq: u64, delivery: &Delivery) {
        if self.is_empty() {
            self.first = seq;
            self.whole = true;
        }
        self.last = seq;
        if let Some(request) = &delivery.request {
            self.token(&token(Place::Ip, &request.peer.to_string()));
        }
        if delivery.events.is_empty() {
            self.texts(None, delivery, None);
        }
        for event in &delivery.events {
            self.event(delivery, event);
        }
        if !self.whole {
            self.token(UNWHOLE);
        }
    }

    fn event(&mut self, delivery: &Delivery, event: &Event) {
        for (name, value) in &event.resource {
            if name != RESOURCE_ID {
                self.token(&token(Place::Label(name), value));
            }
        }
        for labels in &event.related {
            let Some(id) = labels.get(RESOURCE_ID) else {
                continue;
            };
            self.token(&token(Place::Related, id));
            if let Some(role) = labels.get(RESOURCE_ROLE) {
                self.token(&token(Place::Role(role), id));
            }
            // For ids that are asked for by a beginning.
            words::split(id).for_each(|word| self.token(&word));
        }
        if let Some(follows) = event.follows {
            self.token(&token(Place::Follows, &follows.to_string()));
        }
        let payload: Option<Value> = serde_json::from_str(event.payload.get()).ok();
        self.whole &= payload.is_some();
        self.texts(Some(event), delivery, payload.as_ref());
        if let Some(payload) = &payload {
            let mut left = VALUES_MAX;
            self.values(&mut String::new(), payload, &mut left);
            self.whole &= left > 0;
        }
    }

    fn texts(&mut self, event: Option<&Event>, delivery: &Delivery, payload: Option<&Value>) {
        let mut fits = true;
        each_text(event, delivery, payload, &mut |text| {
            words::split(text).for_each(|word| self.token(&word));
            fits = self.words.len() < BYTES_MAX;
            fits
        });
        self.whole &= fits;
    }

    fn values(&mut self, path: &mut String, value: &Value, left: &mut usize) {
        match value {
            Value::Object(map) => {
                let length = path.len();
                for (name, inner) in map {
                    path.push('\n');
                    path.push_str(name);
                    self.values(path, inner, left);
                    path.truncate(length);
                }
            }
            Value::Array(items) => {
                items
                    .iter()
                    .for_each(|inner| self.values(path, inner, left));
            }
            scalar => {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    return;
                }
                let number = scalar.as_f64().map(canonical);
                let text = number
                    .map(std::borrow::Cow::from)
                    .or_else(|| scalar_text(scalar));
                if let Some(text) = text {
                    self.token(&token(Place::Payload(path), &text));
                }
            }
        }
    }

    fn token(&mut self, token: &str) {
        if token.is_empty() || !self.seen.insert(self.hasher.hash_one(token)) {
            return;
        }
        if self.words.len() + token.len() > BYTES_MAX {
            self.whole = false;
            if token != UNWHOLE {
                return;
            }
        }
        self.words.push(' ');
        self.words.push_str(token);
    }
}
