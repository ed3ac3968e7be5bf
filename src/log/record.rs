//! How a delivery and its request lie in a store: versioned, checksummed, compressed where that helps.
//!
//! A head is `version u8 · flags u8 · crc32 u32 · received i64 (µs) · outcome u8 · keys u16 · keys × u64 ·
//! length u32 · JSON`, little-endian, the JSON as lz4 when flag 1 is set. The checksum is over all but itself,
//! xored with the sequence number.
//! What retention and the key memory need stands before the JSON, so that they need not parse it.
//! A request is `version u8 · flags u8 · crc32 u32 · length u32 · bytes`.

use super::EventContent;
use crate::model::limits::{BODY_BYTES_MAX, EVENTS_BYTES_MAX};
use crate::model::{Delivery, Seq};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const VERSION: u8 = 1;
const FLAG_LZ4: u8 = 1;
const PREFIX_BYTES: usize = 6;
const FIXED_BYTES: usize = PREFIX_BYTES + 8 + 1 + 2;
/// Nothing we write is longer when unpacked: events, or a body with its head, and some room for JSON.
const UNPACKED_BYTES_MAX: usize = 2 * (BODY_BYTES_MAX + EVENTS_BYTES_MAX);
/// Fingerprints kept in one head; a delivery with more keys is looked up by the first ones only on replay.
const PRINTS_MAX: usize = u16::MAX as usize;

/// What a head holds: the delivery, and its events' own keys where it has such.
#[derive(Debug, Deserialize)]
pub(crate) struct Head {
    /// The delivery.
    #[serde(rename = "d")]
    pub(crate) delivery: Delivery,
    /// Keys of its items, in order. Those of events that were left out are not among them, where keys and events pair up.
    #[serde(rename = "k", default)]
    pub(crate) item_keys: Vec<String>,
    /// What each of the items was made of, where the events do not show it; else empty.
    #[serde(rename = "c", default)]
    pub(crate) contents: Vec<EventContent>,
}

#[derive(Serialize)]
struct HeadRef<'a> {
    d: &'a Delivery,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    k: &'a [String],
    #[serde(skip_serializing_if = "<[EventContent]>::is_empty")]
    c: &'a [EventContent],
}

/// What stands before the JSON of a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peek {
    /// Microseconds since the epoch.
    pub(crate) received: i64,
    /// Whether it is parked: its request stays as long as the delivery.
    pub(crate) parked: bool,
    /// Fingerprints to remember.
    pub(crate) prints: Vec<u64>,
}

/// Encodes a delivery; `prints` are the fingerprints to remember for it.
pub(crate) fn encode(
    delivery: &Delivery,
    item_keys: &[String],
    contents: &[EventContent],
    prints: &[u64],
) -> Result<Vec<u8>, String> {
    let prints = prints.get(..PRINTS_MAX).unwrap_or(prints);
    let json = serde_json::to_vec(&HeadRef {
        d: delivery,
        k: item_keys,
        c: contents,
    })
    .map_err(|error| error.to_string())?;
    let mut out = Vec::with_capacity(
        FIXED_BYTES + prints.len() * 8 + 4 + lz4_flex::block::get_maximum_output_size(json.len()),
    );
    out.extend_from_slice(&[VERSION, 0, 0, 0, 0, 0]);
    out.extend_from_slice(&delivery.received.as_microsecond().to_le_bytes());
    out.push(outcome_number(delivery.outcome));
    out.extend_from_slice(
        &u16::try_from(prints.len())
            .unwrap_or(u16::MAX)
            .to_le_bytes(),
    );
    for print in prints {
        out.extend_from_slice(&print.to_le_bytes());
    }
    pack(out, &json).ok_or_else(|| "the record is too large".to_owned())
}

/// Binds an encoded head to its place: under another sequence number its checksum does not match.
pub(crate) fn seal(head: &mut [u8], seq: Seq) {
    if let Some(crc) = head.get_mut(2..PREFIX_BYTES) {
        for (byte, key) in crc.iter_mut().zip(seal_key(seq).to_le_bytes()) {
            *byte ^= key;
        }
    }
}

/// What is mixed into the checksum; nothing for 0, a head that has no place yet.
#[allow(clippy::cast_possible_truncation, reason = "both halves are used")]
fn seal_key(seq: Seq) -> u32 {
    (seq as u32) ^ ((seq >> 32) as u32)
}

/// Reads a head (of place `seq`; 0: it has none yet), with version and checksum checked.
pub(crate) fn decode(bytes: &[u8], seq: Seq) -> Result<Head, String> {
    let flags = check(bytes, seq)?;
    let start = FIXED_BYTES + 8 * usize::from(prints_count(bytes)?);
    let json = unpack(flags, bytes.get(start..).ok_or("it is cut off")?)?;
    serde_json::from_slice(&json).map_err(|error| format!("its JSON is malformed: {error}"))
}

/// Reads what stands before the JSON. The checksum is not looked at.
pub(crate) fn peek(bytes: &[u8]) -> Result<Peek, String> {
    if bytes.first() != Some(&VERSION) {
        return Err(version_text(bytes));
    }
    let received: [u8; 8] = array(bytes, PREFIX_BYTES)?;
    let [outcome] = array(bytes, PREFIX_BYTES + 8)?;
    let prints = (0..usize::from(prints_count(bytes)?))
        .map(|i| array(bytes, FIXED_BYTES + 8 * i).map(u64::from_le_bytes))
        .collect::<Result<_, _>>()?;
    Ok(Peek {
        received: i64::from_le_bytes(received),
        parked: outcome == outcome_number(crate::model::Outcome::Parked),
        prints,
    })
}

/// Whether a head is whole, by its checksum.
pub(crate) fn is_whole(bytes: &[u8], seq: Seq) -> bool {
    check(bytes, seq).is_ok()
}

/// Compresses a request for the log, before the writer (lz4; SHA-256 of the plain bytes in lower-case hex).
#[must_use]
pub fn compress_request(http: &[u8]) -> (Vec<u8>, String) {
    let sha256 = hex::encode(Sha256::digest(http));
    let mut out =
        Vec::with_capacity(PREFIX_BYTES + 4 + lz4_flex::block::get_maximum_output_size(http.len()));
    out.extend_from_slice(&[VERSION, 0, 0, 0, 0, 0]);
    // Requests are capped far below 4 GiB; an empty record reads back as damaged, never as something else.
    (pack(out, http).unwrap_or_default(), sha256)
}

/// The plain bytes of a stored request, with version, checksum and SHA-256 checked.
pub(crate) fn decompress_request(bytes: &[u8], sha256: Option<&str>) -> Result<Vec<u8>, String> {
    let flags = check(bytes, 0)?;
    let plain = unpack(flags, bytes.get(PREFIX_BYTES..).ok_or("it is cut off")?)?;
    match sha256 {
        Some(want) if hex::encode(Sha256::digest(&plain)) != want => {
            Err("its request does not match the SHA-256 in its head".to_owned())
        }
        _ => Ok(plain),
    }
}

/// Appends length and bytes, compressed where that is smaller, and fills in flags and checksum.
fn pack(mut out: Vec<u8>, plain: &[u8]) -> Option<Vec<u8>> {
    out.extend_from_slice(&u32::try_from(plain.len()).ok()?.to_le_bytes());
    let start = out.len();
    out.resize(
        start + lz4_flex::block::get_maximum_output_size(plain.len()),
        0,
    );
    let compressed = out
        .get_mut(start..)
        .and_then(|room| lz4_flex::block::compress_into(plain, room).ok());
    match compressed {
        Some(length) if length < plain.len() => {
            out.truncate(start + length);
            *out.get_mut(1)? = FLAG_LZ4;
        }
        _ => {
            out.truncate(start);
            out.extend_from_slice(plain);
        }
    }
    let crc = checksum(&out)?;
    out.get_mut(2..PREFIX_BYTES)?
        .copy_from_slice(&crc.to_le_bytes());
    // What waits in the queue is counted by length, so it must not hold much more. A copy of a few
    // kilobytes costs less than the pages kept.
    if out.capacity() > 2 * out.len() {
        out.shrink_to_fit();
    }
    Some(out)
}

fn unpack(flags: u8, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let length = u32::from_le_bytes(array(bytes, 0)?) as usize;
    let rest = bytes.get(4..).ok_or("it is cut off")?;
    if length > UNPACKED_BYTES_MAX {
        return Err(format!("it says it has {length} bytes"));
    }
    let plain = if flags & FLAG_LZ4 == 0 {
        rest.to_vec()
    } else {
        lz4_flex::block::decompress(rest, length)
            .map_err(|error| format!("it cannot be decompressed: {error}"))?
    };
    if plain.len() == length {
        Ok(plain)
    } else {
        Err("its length is wrong".to_owned())
    }
}

/// Checks version and checksum, and gives the flags.
fn check(bytes: &[u8], seq: Seq) -> Result<u8, String> {
    if bytes.first() != Some(&VERSION) {
        return Err(version_text(bytes));
    }
    let [flags, crc @ ..]: [u8; 5] = array(bytes, 1)?;
    if checksum(bytes) != Some(u32::from_le_bytes(crc) ^ seal_key(seq)) {
        return Err("its checksum does not match".to_owned());
    }
    Ok(flags)
}

fn checksum(bytes: &[u8]) -> Option<u32> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(bytes.get(..2)?);
    hasher.update(bytes.get(PREFIX_BYTES..)?);
    Some(hasher.finalize())
}

fn prints_count(bytes: &[u8]) -> Result<u16, String> {
    array(bytes, FIXED_BYTES - 2).map(u16::from_le_bytes)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], String> {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
        .ok_or_else(|| "it is cut off".to_owned())
}

fn version_text(bytes: &[u8]) -> String {
    match bytes.first() {
        Some(version) => format!("its record version is {version}, this program knows {VERSION}"),
        None => "it is empty".to_owned(),
    }
}

fn outcome_number(outcome: crate::model::Outcome) -> u8 {
    use crate::model::Outcome as O;
    match outcome {
        O::Accepted => 0,
        O::Ignored => 1,
        O::Duplicate => 2,
        O::Parked => 3,
        O::Rejected => 4,
        O::Handshake => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Outcome;
    use proptest::prelude::*;

    fn delivery(key: &str, outcome: Outcome) -> Delivery {
        Delivery {
            id: uuid::Uuid::nil(),
            received: jiff::Timestamp::from_microsecond(1_800_000_000_123_456).unwrap(),
            webhook: Some("w".to_owned()),
            provider: None,
            outcome,
            code: Some(crate::codes::LOG_FULL),
            status: 204,
            key: Some(key.to_owned()),
            error: Some(crate::model::Problem::new(crate::codes::LOG_FULL, "m").help("h")),
            events: Vec::new(),
            notes: Vec::new(),
            duplicate_of: None,
            replay_of: None,
            request: None,
            verification: None,
            masked: Vec::new(),
            timing: None,
            trace: None,
        }
    }

    #[test]
    fn a_long_head_is_compressed_and_its_front_can_be_peeked_at() {
        let long = "abc".repeat(10_000);
        let head = encode(
            &delivery(&long, Outcome::Parked),
            &["i".to_owned()],
            &[EventContent {
                kind: 1,
                data: u64::MAX,
            }],
            &[7, 8],
        )
        .unwrap();
        assert!(head.len() < 1_000 && head.capacity() <= 2 * head.len());
        let want = Peek {
            received: 1_800_000_000_123_456,
            parked: true,
            prints: vec![7, 8],
        };
        assert_eq!(peek(&head).unwrap(), want);
        assert_eq!(peek(head.get(..40).unwrap()).unwrap(), want);
        let read = decode(&head, 0).unwrap();
        assert_eq!(read.delivery.key.as_ref(), Some(&long));
        assert_eq!(read.item_keys, ["i"]);
        assert_eq!(read.contents[0].data, u64::MAX);
    }

    #[test]
    fn a_newer_version_is_named() {
        let mut head = encode(&delivery("k", Outcome::Accepted), &[], &[], &[]).unwrap();
        head[0] = 2;
        let want = "its record version is 2, this program knows 1";
        assert_eq!(decode(&head, 0).unwrap_err(), want);
        assert_eq!(peek(&head).unwrap_err(), want);
        assert_eq!(decode(&[], 0).unwrap_err(), "it is empty");
    }

    #[test]
    fn the_format_of_version_1_stays_readable() {
        let head = hex::decode(VERSION_1).unwrap();
        let read = decode(&head, 5).unwrap();
        assert_eq!(read.delivery.key.as_deref(), Some("k"));
        assert_eq!(peek(&head).unwrap().prints, [0x0807_0605_0403_0201]);
    }

    const VERSION_1: &str = "0101c4d45eef40629a28176506000001000102030405060708d9000000d37b2264223a7b226964223a223001\
        00102d08000b0500040200a0222c22726563656976653200f035323032372d30312d31355430383a30303a30\
        302e3132333435365a222c22776562686f6f6b223a2277222c226f7574636f6d65223a226163636570746564\
        222c22636f641200fd19484730363031222c22737461747573223a3230342c226b6579223a226b222c226572\
        726f72223a7b3000606d65737361674300f0016d222c2268656c70223a2268227d7d7d";

    #[test]
    fn an_error_with_its_place_comes_back() {
        let mut delivery = delivery("k", Outcome::Parked);
        let place = crate::model::Place {
            file: "a.json.j2".to_owned(),
            line: 3,
            column: 14,
            end_column: Some(20),
            source: Some("{{ body.x }}".to_owned()),
        };
        delivery.error = delivery.error.map(|error| error.at(place));
        let head = encode(&delivery, &[], &[], &[]).unwrap();
        assert_eq!(decode(&head, 0).unwrap().delivery.error, delivery.error);
    }

    proptest! {
        #[test]
        fn heads_and_requests_come_back_as_they_were(
            key in ".{0,200}", prints in proptest::collection::vec(any::<u64>(), 0..20), seq: u64,
            body in proptest::collection::vec(any::<u8>(), 0..2_000),
        ) {
            let mut head = encode(&delivery(&key, Outcome::Accepted), &[], &[], &prints).unwrap();
            seal(&mut head, seq);
            prop_assert_eq!(decode(&head, seq).unwrap().delivery.key.unwrap(), key);
            prop_assert_eq!(peek(&head).unwrap().prints, prints);
            prop_assert!(decode(&head, seq ^ 4).is_err());
            let (packed, sha256) = compress_request(&body);
            prop_assert_eq!(decompress_request(&packed, Some(&sha256)).unwrap(), body);
            prop_assert!(decompress_request(&packed, Some("00")).is_err());
        }

        #[test]
        fn any_bytes_are_an_error_at_worst(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = bytes;
            decode(&bytes, 1).ok();
            peek(&bytes).ok();
            decompress_request(&bytes, None).ok();
            if bytes.len() > 10 {
                bytes[0] = VERSION;
                let crc = checksum(&bytes).unwrap();
                bytes[2..6].copy_from_slice(&crc.to_le_bytes());
                decode(&bytes, 0).ok();
                peek(&bytes).ok();
                decompress_request(&bytes, None).ok();
            }
        }
    }
}
