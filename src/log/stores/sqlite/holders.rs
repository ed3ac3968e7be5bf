//! Records that hold a delivery key, read back by the writer to confirm it.

use super::shared::signed;
use crate::codes;
use crate::log::record::{self, Head};
use crate::model::Seq;
use rusqlite::{Connection, OptionalExtension, Statement};
use std::collections::HashMap;
use std::rc::Rc;

/// Reads earlier records. It keeps the last one at hand: the keys of a batch that comes again are all in one record,
/// and reading that for each of ten thousand keys would hold up everyone.
pub(super) struct Holders<'c> {
    head: Statement<'c>,
    request: Statement<'c>,
    last: Option<Rc<Stored>>,
}

/// A record that was read.
#[derive(Debug)]
pub(super) struct Stored {
    seq: Seq,
    pub(super) head: Head,
    places: HashMap<String, usize>,
}

impl Stored {
    fn new(seq: Seq, head: Head) -> Self {
        let items = head.item_keys.iter().cloned().zip(0..);
        let mut places: HashMap<String, usize> = items.collect();
        if let Some(key) = &head.delivery.key {
            places.entry(key.clone()).or_insert(0);
        }
        Self { seq, head, places }
    }

    /// Whether it was brought by this record.
    pub(super) fn has(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    /// The place of the event that has a key.
    pub(super) fn place(&self, key: &str) -> Option<usize> {
        self.places.get(key).copied()
    }
}

impl<'c> Holders<'c> {
    pub(super) fn new(conn: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            head: conn.prepare("SELECT head FROM deliveries WHERE seq = ?")?,
            request: conn.prepare("SELECT request FROM deliveries WHERE seq = ?")?,
            last: None,
        })
    }

    /// Lets go of what is at hand.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// A record; none where retention took it. An error where it cannot be read, which has then been logged.
    pub(super) fn get(&mut self, seq: Seq) -> Result<Option<Rc<Stored>>, ()> {
        if let Some(last) = self.last.as_ref().filter(|last| last.seq == seq) {
            return Ok(Some(Rc::clone(last)));
        }
        let stored = self
            .head
            .query_row([signed(seq)], |row| {
                Ok(record::decode(row.get_ref(0)?.as_blob()?, seq))
            })
            .optional();
        match stored {
            Ok(Some(Ok(head))) => {
                let stored = Rc::new(Stored::new(seq, head));
                self.last = Some(Rc::clone(&stored));
                Ok(Some(stored))
            }
            Ok(None) => Ok(None),
            Ok(Some(Err(reason))) => {
                tracing::error!(seq, code = %codes::RECORD_DAMAGED, %reason, "the record that holds a delivery key is damaged");
                Err(())
            }
            Err(error) => {
                tracing::error!(seq, %error, "the record that holds a delivery key cannot be read");
                Err(())
            }
        }
    }

    /// The request of a record, unpacked; none where it is not kept any more or cannot be read.
    pub(super) fn request(&mut self, seq: Seq) -> Option<Vec<u8>> {
        let found = self.request.query_row([signed(seq)], |row| {
            let kept = row.get_ref(0)?.as_blob_or_null()?;
            Ok(kept.and_then(|bytes| record::decompress_request(bytes, None).ok()))
        });
        found.ok().flatten()
    }
}
