//! The one connection that writes: batches of records, in one transaction each.

use super::StoreError;
use crate::feed::rows::{self, Kind, Row};
use crate::feed::text::Document;
use crate::log::Record;
use crate::model::{Delivery, Event, Seq};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use uuid::Uuid;

/// Entries of each cache at most; a full one is emptied.
const CACHE_ENTRIES_MAX: usize = 32_768;
/// Bytes of a resource's id that wildcards can see.
pub(super) const RESOURCE_BYTES_MAX: usize = 1_024;
/// Microseconds of a part of time, for each of which the first and last row are known: short enough that what is
/// read in vain at a range's edge is little (50,000 rows at 5,000 a second).
pub(super) const SPAN_MICROS: i64 = 10_000_000;
/// Microseconds of a minute, by which counters go.
pub(super) const MINUTE_MICROS: i64 = 60_000_000;

/// Which log a feed was made of: a delivery and where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::feed) struct Identity {
    pub(in crate::feed) seq: Seq,
    pub(in crate::feed) delivery: Uuid,
}

/// Writes the feed.
#[derive(Debug)]
pub(in crate::feed) struct Writer {
    pub(super) connection: Connection,
    pub(super) known: Known,
    document: Document,
}

/// What is in the dictionaries already, as far as remembered.
#[derive(Debug, Default)]
pub(super) struct Known {
    kinds: HashMap<u64, i64>,
    /// Of one epoch.
    resources: HashSet<i64>,
    epoch: i64,
    hasher: RandomState,
}

/// What a batch adds up before it is written.
#[derive(Debug, Default)]
struct Sums {
    rows_of_kinds: HashMap<i64, i64>,
    /// Rows and first rows of a minute and kind.
    minutes: HashMap<(i64, i64), (i64, i64)>,
    spans: HashMap<(i64, i64), (i64, i64)>,
}

impl Sums {
    fn span(&mut self, field: i64, micros: i64, number: i64) {
        let part = micros.div_euclid(SPAN_MICROS);
        let span = self.spans.entry((field, part)).or_insert((number, number));
        *span = (span.0.min(number), span.1.max(number));
    }
}

impl Writer {
    pub(super) fn new(connection: Connection) -> Result<Self, StoreError> {
        let writer = Self {
            connection,
            known: Known::default(),
            document: Document::default(),
        };
        writer.indexed_to()?;
        Ok(writer)
    }

    /// The newest delivery that is indexed.
    pub(in crate::feed) fn indexed_to(&self) -> Result<Seq, StoreError> {
        let seq: i64 = self
            .connection
            .query_row("SELECT indexed_to FROM meta", [], |row| row.get(0))?;
        Ok(Seq::try_from(seq).unwrap_or(0))
    }

    /// A delivery of the log that this feed was made of; none: nothing is indexed yet.
    pub(in crate::feed) fn identity(&self) -> Result<Option<Identity>, StoreError> {
        let sql = "SELECT identity_seq, identity FROM meta WHERE identity IS NOT NULL";
        let found = self
            .connection
            .query_row(sql, [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .optional()?;
        let Some((seq, id)) = found else {
            return Ok(None);
        };
        let delivery = Uuid::from_slice(&id).map_err(|e| StoreError::Damaged(e.to_string()))?;
        let seq = Seq::try_from(seq).unwrap_or(0);
        Ok(Some(Identity { seq, delivery }))
    }

    /// Adds records and remembers that everything up to `indexed_to` is in.
    pub(in crate::feed) fn index(
        &mut self,
        records: &[Record],
        indexed_to: Seq,
    ) -> Result<(), StoreError> {
        let result = self.index_batch(records, indexed_to);
        if result.is_err() {
            // The dictionaries may not hold what was remembered.
            self.known = Known::default();
        }
        result
    }

    fn index_batch(&mut self, records: &[Record], indexed_to: Seq) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        let mut sums = Sums::default();
        self.document.clear();
        for record in records {
            insert(&transaction, &mut self.known, &mut sums, record)?;
            if !self.document.is_empty() && self.document.is_full() {
                write_document(&transaction, &mut self.document)?;
            }
            self.document.add(record.seq, &record.delivery);
        }
        write_document(&transaction, &mut self.document)?;
        write_sums(&transaction, &sums)?;
        let seq = i64::try_from(indexed_to).unwrap_or(rows::SEQ_MAX);
        transaction.execute("UPDATE meta SET indexed_to = ?1", [seq])?;
        if let Some(last) = records.last() {
            let seq = i64::try_from(last.seq).unwrap_or(rows::SEQ_MAX);
            let id = last.delivery.id.as_bytes().as_slice();
            let sql = "UPDATE meta SET identity_seq = ?1, identity = ?2";
            transaction.execute(sql, params![seq, id])?;
        }
        transaction.commit()?;
        Ok(())
    }
}

fn write_document(
    transaction: &Transaction<'_>,
    document: &mut Document,
) -> Result<(), StoreError> {
    if document.is_empty() {
        return Ok(());
    }
    let number = |seq: Seq| i64::try_from(seq).unwrap_or(rows::SEQ_MAX);
    let (first, last) = (number(document.first), number(document.last));
    let sql = "INSERT INTO texts (rowid, words) VALUES (?1, ?2)";
    transaction
        .prepare_cached(sql)?
        .execute(params![first, document.words])?;
    let sql = "INSERT INTO documents VALUES (?1, ?2)";
    transaction.prepare_cached(sql)?.execute([first, last])?;
    document.clear();
    Ok(())
}

fn insert(
    transaction: &Transaction<'_>,
    known: &mut Known,
    sums: &mut Sums,
    record: &Record,
) -> Result<(), StoreError> {
    let delivery = &record.delivery;
    let key = delivery.key.as_deref().map(rows::fingerprint);
    let peer = rows::peer(delivery);
    if delivery.events.is_empty() {
        let row = Row::new(record.seq, 0, delivery, None, key, peer);
        insert_row(transaction, known, sums, delivery, None, row)?;
    }
    for (index, event) in delivery.events.iter().enumerate() {
        let row = Row::new(record.seq, index, delivery, Some(event), key, peer);
        insert_row(transaction, known, sums, delivery, Some(event), row)?;
    }
    if let Some(original) = delivery.duplicate_of {
        let sql =
            "INSERT INTO duplicates VALUES (?1, 1) ON CONFLICT DO UPDATE SET count = count + 1";
        let seq = i64::try_from(original).unwrap_or(rows::SEQ_MAX);
        transaction.prepare_cached(sql)?.execute([seq])?;
    }
    if let Some(original) = delivery.replay_of {
        let seq = i64::try_from(record.seq).unwrap_or(rows::SEQ_MAX);
        let values = params![original.as_bytes().as_slice(), seq];
        transaction
            .prepare_cached("INSERT OR IGNORE INTO replays VALUES (?1, ?2)")?
            .execute(values)?;
    }
    Ok(())
}

fn insert_row(
    transaction: &Transaction<'_>,
    known: &mut Known,
    sums: &mut Sums,
    delivery: &Delivery,
    event: Option<&Event>,
    row: Row,
) -> Result<(), StoreError> {
    let number = row.number();
    let kind = known.kind(transaction, delivery, event)?;
    *sums.rows_of_kinds.entry(kind).or_insert(0) += 1;
    let minute = row.received.div_euclid(MINUTE_MICROS);
    let counts = sums.minutes.entry((minute, kind)).or_insert((0, 0));
    counts.0 += 1;
    counts.1 += i64::from(row.position.index == 0);
    sums.span(0, row.received, number);
    if let Some(occurred) = row.occurred {
        sums.span(1, occurred, number);
    }
    if let (Some(event), Some(print)) = (event, row.resource) {
        known.resource(transaction, rows::epoch(number), event.resource_id(), print)?;
    }
    let sql = "INSERT OR REPLACE INTO rows VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    transaction.prepare_cached(sql)?.execute(params![
        number,
        kind,
        row.resource,
        row.received,
        row.occurred,
        row.event,
        row.delivery,
        row.key,
        row.peer
    ])?;
    Ok(())
}

fn write_sums(transaction: &Transaction<'_>, sums: &Sums) -> Result<(), StoreError> {
    let mut statement =
        transaction.prepare_cached("UPDATE kinds SET rows = rows + ?2 WHERE id = ?1")?;
    for (kind, rows) in &sums.rows_of_kinds {
        statement.execute([kind, rows])?;
    }
    let mut statement = transaction.prepare_cached(
        "INSERT INTO spans VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE
         SET first = min(first, excluded.first), last = max(last, excluded.last)",
    )?;
    for ((field, part), (first, last)) in &sums.spans {
        statement.execute([field, part, first, last])?;
    }
    for ((minute, kind), (rows, firsts)) in &sums.minutes {
        add_to_minute(transaction, *minute, *kind, *rows, *firsts)?;
    }
    Ok(())
}

pub(super) fn add_to_minute(
    transaction: &Transaction<'_>,
    minute: i64,
    kind: i64,
    rows: i64,
    firsts: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO minutes VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE
               SET rows = rows + excluded.rows, firsts = firsts + excluded.firsts";
    let mut statement = transaction.prepare_cached(sql)?;
    statement.execute([minute, kind, rows, firsts])?;
    Ok(())
}

impl Known {
    /// Number of a kind, made if it is new.
    pub(super) fn kind(
        &mut self,
        transaction: &Transaction<'_>,
        delivery: &Delivery,
        event: Option<&Event>,
    ) -> Result<i64, StoreError> {
        let (roles, flags) = (rows::roles(event), rows::flags(delivery, event));
        let print = self.hasher.hash_one((
            event.map(|e| e.event.as_str()),
            delivery.webhook.as_deref(),
            delivery.provider.as_deref(),
            delivery.outcome,
            delivery.code,
            delivery.status,
            delivery.request.as_ref().map(|r| r.method.as_str()),
            roles.as_str(),
            flags,
        ));
        if let Some(id) = self.kinds.get(&print) {
            return Ok(*id);
        }
        let kind = Kind::new(delivery, event, &roles, flags);
        let values = params![
            kind.event,
            kind.webhook,
            kind.provider,
            kind.outcome.as_str(),
            kind.code,
            kind.status,
            kind.method,
            kind.roles,
            kind.flags
        ];
        let sql = "SELECT id FROM kinds WHERE event = ?1 AND webhook = ?2 AND provider = ?3
                   AND outcome = ?4 AND code = ?5 AND status = ?6 AND method = ?7 AND roles = ?8
                   AND flags = ?9";
        let found: Option<i64> = transaction
            .prepare_cached(sql)?
            .query_row(values, |row| row.get(0))
            .optional()?;
        let id = match found {
            Some(id) => id,
            None => {
                let sql =
                    "INSERT INTO kinds (event, webhook, provider, outcome, code, status, method,
                     roles, flags) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
                transaction.prepare_cached(sql)?.execute(values)?;
                transaction.last_insert_rowid()
            }
        };
        if self.kinds.len() >= CACHE_ENTRIES_MAX {
            self.kinds.clear();
        }
        self.kinds.insert(print, id);
        Ok(id)
    }

    fn resource(
        &mut self,
        transaction: &Transaction<'_>,
        epoch: i64,
        text: &str,
        print: i64,
    ) -> Result<(), StoreError> {
        if self.epoch != epoch {
            self.resources.clear();
            self.epoch = epoch;
        }
        if self.resources.contains(&print) {
            return Ok(());
        }
        let cut = (0..=RESOURCE_BYTES_MAX.min(text.len()))
            .rev()
            .find_map(|end| text.get(..end))
            .unwrap_or("");
        let sql = "INSERT OR IGNORE INTO resources VALUES (?1, ?2, ?3, ?4)";
        transaction.prepare_cached(sql)?.execute(params![
            epoch,
            cut,
            print,
            cut.len() == text.len()
        ])?;
        if self.resources.len() >= CACHE_ENTRIES_MAX {
            self.resources.clear();
        }
        self.resources.insert(print);
        Ok(())
    }
}
