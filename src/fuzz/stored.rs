//! Records of the log, as a disk may give them back.

use crate::log::EventContent;
use crate::log::record::{
    Head, compress_request, decode, decompress_request, encode, is_whole, peek, seal,
};
use crate::model::Delivery;

/// Where version, flags and checksum of a record end.
const PREFIX_BYTES: usize = 6;

/// A record of any bytes is read or refused; one that is read, and any delivery, comes back as it was.
///
/// # Panics
/// When it does not.
pub fn record(bytes: &[u8]) {
    check_read(bytes, 0);
    check_read(bytes, u64::MAX / 3);
    // What a checksum would keep out, read as if a disk had damaged both.
    let mut forged = bytes.to_vec();
    if forged.len() >= PREFIX_BYTES {
        forged[0] = 1;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&forged[..2]);
        hasher.update(&forged[PREFIX_BYTES..]);
        forged[2..PREFIX_BYTES].copy_from_slice(&hasher.finalize().to_le_bytes());
        assert!(is_whole(&forged, 0));
        check_read(&forged, 0);
    }
    if let Ok(delivery) = serde_json::from_slice::<Delivery>(bytes) {
        check_round(&delivery, &[], &[], &[]);
    }
    let (packed, sha256) = compress_request(bytes);
    let plain = decompress_request(&packed, Some(&sha256)).expect("a request comes back");
    assert_eq!(plain, bytes);
    damaged(&packed, |packed| decompress_request(packed, None).is_err());
}

fn check_read(bytes: &[u8], seq: u64) {
    let peeked = peek(bytes);
    if let Ok(plain) = decompress_request(bytes, None) {
        let (packed, sha256) = compress_request(&plain);
        let again = decompress_request(&packed, Some(&sha256));
        assert_eq!(again.as_ref(), Ok(&plain));
    }
    if let Ok(Head {
        delivery,
        item_keys,
        contents,
    }) = decode(bytes, seq)
    {
        let peeked = peeked.expect("what is read can be peeked at");
        check_round(&delivery, &item_keys, &contents, &peeked.prints);
    }
}

/// A delivery comes back as it was, under its own number alone.
fn check_round(
    delivery: &Delivery,
    item_keys: &[String],
    contents: &[EventContent],
    prints: &[u64],
) {
    let json = serde_json::to_string(delivery).expect("a delivery has JSON");
    let mut head = encode(delivery, item_keys, contents, prints).expect("a delivery is encoded");
    let seq = 0x0123_4567_89ab_cdef;
    seal(&mut head, seq);
    let read = decode(&head, seq).unwrap_or_else(|error| panic!("{error}: {json}"));
    let again = serde_json::to_string(&read.delivery).expect("a delivery has JSON");
    assert_eq!(again, json);
    assert_eq!(read.item_keys, item_keys);
    assert_eq!(read.contents, contents);
    let peeked = peek(&head).expect("what was written can be peeked at");
    assert_eq!(peeked.prints, prints);
    assert_eq!(peeked.received, delivery.received.as_microsecond());
    assert_eq!(
        peeked.parked,
        delivery.outcome == crate::model::Outcome::Parked
    );
    assert!(
        decode(&head, seq + 1).is_err(),
        "it is read under another number"
    );
    damaged(&head, |head| decode(head, seq).is_err());
}

/// One changed byte, wherever it is, is noticed.
fn damaged(record: &[u8], refused: impl Fn(&[u8]) -> bool) {
    let mut changed = record.to_vec();
    for at in [0, 1, 2, record.len() / 2, record.len().saturating_sub(1)] {
        if let Some(byte) = changed.get_mut(at) {
            *byte ^= 0x10;
            assert!(refused(&changed), "a changed byte at {at} is not noticed");
            changed[at] ^= 0x10;
        }
    }
}
