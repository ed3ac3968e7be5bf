//! What the feed keeps of each event: numbers to filter and sort by. The records themselves stay in the log.

use crate::model::event::RESOURCE_ROLE;
use crate::model::{Delivery, Event, Outcome, Position, Seq, limits};
use crate::query::{Has, Is, Subject, micros};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Bits of a row's number that hold the index of the event; above them is the sequence number, so that
/// rows are numbered in the log's order and inserting one appends.
const INDEX_BITS: u32 = 14;
/// Largest index that a row's number can hold.
pub(super) const INDEX_MAX: i64 = (1 << INDEX_BITS) - 1;
/// Largest sequence number that a row's number can hold.
pub(super) const SEQ_MAX: i64 = i64::MAX >> INDEX_BITS;

/// Bits of a row's number below its epoch (32,768 deliveries). Indexes of what comes in no order are kept
/// epoch by epoch: inserting touches only the newest epoch's pages, a megabyte or so that stays in memory,
/// instead of one page of a large index for every row. A lookup asks each epoch.
pub(super) const EPOCH_BITS: u32 = 15 + INDEX_BITS;

const _: () = assert!(limits::EVENTS_PER_REQUEST_MAX <= 1 << INDEX_BITS);

/// Number of the row of an event, or, with index 0, of a delivery.
pub(super) fn number(seq: Seq, index: usize) -> i64 {
    let seq = i64::try_from(seq).unwrap_or(SEQ_MAX).min(SEQ_MAX);
    let index = i64::try_from(index).unwrap_or(INDEX_MAX).min(INDEX_MAX);
    (seq << INDEX_BITS) | index
}

/// The epoch of a row's number.
pub(super) fn epoch(number: i64) -> i64 {
    number >> EPOCH_BITS
}

/// The place that a row's number stands for.
pub(super) fn position(number: i64) -> Position {
    Position {
        seq: Seq::try_from(number >> INDEX_BITS).unwrap_or(0),
        index: u32::try_from(number & INDEX_MAX).unwrap_or(0),
    }
}

/// 64 bits that stand for a text in an index. What an index finds is confirmed by the record.
pub(super) fn fingerprint(text: &str) -> i64 {
    let digest = Sha256::digest(text.as_bytes());
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(digest) {
        *to = from;
    }
    i64::from_be_bytes(bytes)
}

/// The first half of an id: of a UUIDv7 it grows with time, so an index of it is appended to.
pub(super) fn half(id: Uuid) -> i64 {
    id.as_u64_pair().0.cast_signed()
}

/// What many rows have in common: a dictionary of these is small, and every filter on them is answered there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    /// Name of the event; empty: a delivery without events.
    pub(super) event: String,
    /// Name of the webhook; empty: hookgate itself.
    pub(super) webhook: String,
    /// Name of the provider; empty: none.
    pub(super) provider: String,
    pub(super) outcome: Outcome,
    /// Error code; empty: none.
    pub(super) code: String,
    /// Status of the answer.
    pub(super) status: i64,
    /// Method of the request; empty: none.
    pub(super) method: String,
    /// Roles of related resources but the webhook's, in order, a line each.
    pub(super) roles: String,
    /// What it has and is, a bit each ([`flags`]).
    pub(super) flags: i64,
}

impl Kind {
    pub(super) fn new(delivery: &Delivery, event: Option<&Event>, roles: &str, flags: i64) -> Self {
        let method = delivery.request.as_ref().map(|r| r.method.clone());
        Self {
            event: event.map_or_else(String::new, |e| e.event.clone()),
            webhook: delivery.webhook.clone().unwrap_or_default(),
            provider: delivery.provider.clone().unwrap_or_default(),
            outcome: delivery.outcome,
            code: delivery.code.map_or_else(String::new, |c| c.to_string()),
            status: i64::from(delivery.status),
            method: method.unwrap_or_default(),
            roles: roles.to_owned(),
            flags,
        }
    }

    /// Whether it has a part.
    pub(super) fn has(&self, part: Has) -> bool {
        self.flags & has_bit(part) != 0
    }

    /// Whether it is such.
    pub(super) fn is(&self, what: Is) -> bool {
        self.flags & is_bit(what) != 0
    }
}

fn has_bit(part: Has) -> i64 {
    1 << (part as i64)
}

fn is_bit(what: Is) -> i64 {
    1 << (16 + what as i64)
}

/// What an event, or a delivery without events, has and is.
pub(super) fn flags(delivery: &Delivery, event: Option<&Event>) -> i64 {
    let subject = Subject::new(event, delivery, None);
    let has = Has::ALL.iter().filter(|part| subject.has(**part));
    let is = Is::ALL.iter().filter(|what| subject.is(**what));
    has.map(|part| has_bit(*part)).sum::<i64>() | is.map(|what| is_bit(*what)).sum::<i64>()
}

/// Roles of a kind at most, and bytes of each: what is beyond is not counted.
const ROLES_MAX: usize = 16;
const ROLE_BYTES_MAX: usize = 64;

/// The roles of an event's related resources but the webhook's, in order, a line each.
pub(super) fn roles(event: Option<&Event>) -> String {
    let labels = event.into_iter().flat_map(|event| &event.related);
    let mut roles: Vec<&str> = labels
        .filter_map(|labels| labels.get(RESOURCE_ROLE).map(String::as_str))
        .filter(|role| *role != "webhook" && role.len() <= ROLE_BYTES_MAX && !role.contains('\n'))
        .collect();
    roles.sort_unstable();
    roles.dedup();
    roles.truncate(ROLES_MAX);
    roles.join("\n")
}

/// One row: an event, a delivery without events, or a ring entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) position: Position,
    /// Not in the log.
    pub(super) ring: bool,
    pub(super) kind: i64,
    /// Fingerprint of the resource's id.
    pub(super) resource: Option<i64>,
    pub(super) received: i64,
    pub(super) occurred: Option<i64>,
    /// Half of the event's id.
    pub(super) event: Option<i64>,
    /// Half of the delivery's id.
    pub(super) delivery: i64,
    /// Fingerprint of the delivery key.
    pub(super) key: Option<i64>,
    /// Fingerprint of the client's address.
    pub(super) peer: Option<i64>,
}

impl Row {
    pub(super) fn new(
        seq: Seq,
        index: usize,
        delivery: &Delivery,
        event: Option<&Event>,
        key: Option<i64>,
        peer: Option<i64>,
    ) -> Self {
        Self {
            position: position(number(seq, index)),
            ring: false,
            kind: 0,
            resource: event.map(|e| fingerprint(e.resource_id())),
            received: micros(delivery.received),
            occurred: event.map(|e| micros(e.occurred)),
            event: event.map(|e| half(e.id)),
            delivery: half(delivery.id),
            key,
            peer,
        }
    }

    pub(super) fn number(&self) -> i64 {
        number(
            self.position.seq,
            usize::try_from(self.position.index).unwrap_or(usize::MAX),
        )
    }
}

/// Fingerprint of the address of a delivery's client.
pub(super) fn peer(delivery: &Delivery) -> Option<i64> {
    let request = delivery.request.as_ref()?;
    Some(fingerprint(&request.peer.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_as_positions() {
        let a = number(1, 9_999);
        let b = number(2, 0);
        assert!(a < b);
        assert_eq!(
            position(a),
            Position {
                seq: 1,
                index: 9_999
            }
        );
        assert_eq!(position(b), Position { seq: 2, index: 0 });
        assert_eq!(position(number(u64::MAX, usize::MAX)).index, 16_383);
    }
}
