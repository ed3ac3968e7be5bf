//! Requests that are not logged: a bounded ring for each webhook and outcome, so that nobody can fill the disk
//! or push out what matters (the first and last of each reason).

use super::writer::{MINUTE_MICROS, add_to_minute};
use super::{StoreError, Writer};
use crate::feed::RingEntry;
use crate::feed::rows::{self, half};
use crate::model::{Seq, limits};
use crate::query::micros;
use rusqlite::{Transaction, params};
use std::collections::HashMap;

/// Bytes of a kept request at most: head and body within their own limits.
const REQUEST_BYTES_MAX: usize =
    limits::RING_BODY_BYTES + limits::HEADER_BYTES_MAX + limits::URL_BYTES_MAX;

/// A ring entry on its way to the store.
#[derive(Debug)]
pub(in crate::feed) struct Kept {
    pub(in crate::feed) entry: RingEntry,
    /// Newest delivery of the log when it came.
    pub(in crate::feed) head: Seq,
}

impl Writer {
    /// Adds entries and drops the oldest of those that are too many.
    pub(in crate::feed) fn keep(&mut self, entries: &[Kept]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        for kept in entries {
            let delivery = &kept.entry.delivery;
            let kind = self.known.kind(&transaction, delivery, None)?;
            let webhook = delivery.webhook.as_deref().unwrap_or("");
            let door = rows::fingerprint(&format!("{}\n{webhook}", delivery.outcome.as_str()));
            let head = serde_json::to_vec(delivery).map_err(|e| {
                StoreError::Failed(rusqlite::Error::ToSqlConversionFailure(e.into()))
            })?;
            let request = kept.entry.request.get(..REQUEST_BYTES_MAX);
            let sql =
                "INSERT INTO ring (seq, idx, kind, door, received, delivery, key, peer, head, request)
                VALUES (?1, (SELECT coalesce(max(idx), 0) + 1 FROM ring WHERE seq = ?1),
                        ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
            transaction.prepare_cached(sql)?.execute(params![
                i64::try_from(kept.head).unwrap_or(rows::SEQ_MAX),
                kind,
                door,
                micros(delivery.received),
                half(delivery.id),
                delivery.key.as_deref().map(rows::fingerprint),
                rows::peer(delivery),
                head,
                request.unwrap_or(&kept.entry.request),
            ])?;
            let minute = micros(delivery.received).div_euclid(MINUTE_MICROS);
            add_to_minute(&transaction, minute, kind, 1, 1)?;
            trim(&transaction, door)?;
        }
        transaction.commit()?;
        Ok(())
    }
}

fn trim(transaction: &Transaction<'_>, door: i64) -> Result<(), StoreError> {
    let entries: Vec<(i64, i64)> = transaction
        .prepare_cached("SELECT id, kind FROM ring WHERE door = ?1 ORDER BY seq, idx")?
        .query_map([door], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let excess = entries.len().saturating_sub(limits::RING_ENTRIES);
    if excess == 0 {
        return Ok(());
    }
    // Within one webhook and outcome, a kind is a reason.
    let mut ends: HashMap<i64, (usize, usize)> = HashMap::new();
    for (i, (_, kind)) in entries.iter().enumerate() {
        ends.entry(*kind).or_insert((i, i)).1 = i;
    }
    let is_end = |i: usize, kind: i64| ends.get(&kind).is_some_and(|e| e.0 == i || e.1 == i);
    let indexed = || entries.iter().enumerate();
    let inner = indexed().filter(|(i, (_, kind))| !is_end(*i, *kind));
    // Should there be more reasons than places, age decides.
    let outer = indexed().filter(|(i, (_, kind))| is_end(*i, *kind));
    for (_, (id, _)) in inner.chain(outer).take(excess) {
        transaction
            .prepare_cached("DELETE FROM ring WHERE id = ?1")?
            .execute([id])?;
    }
    Ok(())
}
