//! What counters and the text index are asked.

use super::writer::MINUTE_MICROS;
use super::{Reader, StoreError};
use crate::feed::plan::Arm;
use crate::feed::rows::{self, Row};
use rusqlite::{OptionalExtension, params};

/// Deliveries of one piece when rows are counted without counters: some milliseconds.
const PIECE_DELIVERIES: i64 = 20_000;
/// Documents that are asked for at once.
const DOCUMENTS: i64 = 64;

/// One count: the part of time, the kind, rows and first rows.
#[derive(Debug, Clone, Copy)]
pub(in crate::feed) struct Count {
    pub(in crate::feed) part: i64,
    pub(in crate::feed) kind: i64,
    pub(in crate::feed) rows: i64,
    pub(in crate::feed) firsts: i64,
}

impl Reader<'_> {
    /// Counts of whole minutes, by parts of `width` microseconds (a multiple of a minute).
    pub(in crate::feed) fn minute_counts(
        &self,
        minutes: (i64, i64),
        width: i64,
        see: &mut impl FnMut(Count),
    ) -> Result<(), StoreError> {
        let sql = "SELECT minute / ?3, kind, sum(rows), sum(firsts) FROM minutes
                   WHERE minute BETWEEN ?1 AND ?2 GROUP BY 1, 2";
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let minutes_of_part = (width / MINUTE_MICROS).max(1);
        let mut found = statement.query([minutes.0, minutes.1, minutes_of_part])?;
        while let Some(row) = found.next()? {
            see(Count {
                part: row.get(0)?,
                kind: row.get(1)?,
                rows: row.get(2)?,
                firsts: row.get(3)?,
            });
        }
        Ok(())
    }

    /// Counts of rows received in a range of microseconds, by parts of `width`; false: the time was up before all
    /// were counted.
    pub(in crate::feed) fn row_counts(
        &self,
        received: (i64, i64),
        width: i64,
        see: &mut impl FnMut(Count),
    ) -> Result<bool, StoreError> {
        if received.0 > received.1 {
            return Ok(true);
        }
        let range = crate::query::Range {
            from: Some(received.0),
            to: Some(received.1),
        };
        let (first, last) = self.rows_of_time(crate::query::TimeField::Received, range)?;
        let step = rows::number(u64::try_from(PIECE_DELIVERIES).unwrap_or(1), 0);
        let sql = "SELECT received / ?5, kind, count(*), sum(number & 16383 = 0)
                   FROM rows NOT INDEXED
                   WHERE number BETWEEN ?1 AND ?2 AND received BETWEEN ?3 AND ?4 GROUP BY 1, 2";
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let mut to = last;
        while to >= first {
            let from = first.max(to.saturating_sub(step));
            let mut found = statement.query([from, to, received.0, received.1, width])?;
            while let Some(row) = found.next()? {
                see(Count {
                    part: row.get(0)?,
                    kind: row.get(1)?,
                    rows: row.get(2)?,
                    firsts: row.get(3)?,
                });
            }
            to = from - 1;
            if self.is_late() {
                return Ok(to < first);
            }
        }
        Ok(true)
    }

    /// Counts of ring entries received in a range of microseconds.
    pub(in crate::feed) fn ring_counts(
        &self,
        received: (i64, i64),
        width: i64,
        see: &mut impl FnMut(Count),
    ) -> Result<(), StoreError> {
        let sql = "SELECT received / ?3, kind, count(*) FROM ring
                   WHERE received BETWEEN ?1 AND ?2 GROUP BY 1, 2";
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let mut found = statement.query([received.0, received.1, width])?;
        while let Some(row) = found.next()? {
            let rows: i64 = row.get(2)?;
            see(Count {
                part: row.get(0)?,
                kind: row.get(1)?,
                rows,
                firsts: rows,
            });
        }
        Ok(())
    }

    /// First and last minute that has counts.
    pub(in crate::feed) fn minutes(&self) -> Result<Option<(i64, i64)>, StoreError> {
        let sql = "SELECT (SELECT min(minute) FROM minutes), (SELECT max(minute) FROM minutes)";
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let ends: (Option<i64>, Option<i64>) =
            statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(ends.0.zip(ends.1))
    }

    /// At least `limit` rows, unless there are no more, of documents that fulfil an expression, in order.
    pub(in crate::feed) fn worded_rows(
        &self,
        wanted: &str,
        bounds: (i64, i64),
        ascending: bool,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let sql = if ascending {
            "SELECT t.rowid, d.last FROM texts AS t CROSS JOIN documents AS d ON d.first = t.rowid
             WHERE texts MATCH ?1 AND t.rowid BETWEEN ?2 AND ?3 ORDER BY t.rowid LIMIT ?4"
        } else {
            "SELECT t.rowid, d.last FROM texts AS t CROSS JOIN documents AS d ON d.first = t.rowid
             WHERE texts MATCH ?1 AND t.rowid BETWEEN ?2 AND ?3 ORDER BY t.rowid DESC LIMIT ?4"
        };
        let seq = |number: i64| i64::try_from(rows::position(number).seq).unwrap_or(rows::SEQ_MAX);
        let number = |seq: i64, index| rows::number(u64::try_from(seq).unwrap_or(0), index);
        let (mut bounds, mut rows) = (self.within(bounds), Vec::new());
        let mut statement = self.connection()?.prepare_cached(sql)?;
        while bounds.0 <= bounds.1 && rows.len() < limit {
            let from = self.document_of(seq(bounds.0))?;
            let values = params![wanted, from, seq(bounds.1), DOCUMENTS];
            let found = statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
            let found: Vec<(i64, i64)> = found.collect::<Result<_, _>>()?;
            for (first, last) in &found {
                let own = (
                    number(*first, 0).max(bounds.0),
                    number(*last, usize::MAX).min(bounds.1),
                );
                if ascending {
                    bounds.0 = own.1.saturating_add(1);
                } else {
                    bounds.1 = own.0 - 1;
                }
                rows.extend(self.log_rows(Arm::All, own, ascending, usize::MAX)?);
                if rows.len() >= limit {
                    return Ok(rows);
                }
            }
            if i64::try_from(found.len()).unwrap_or(i64::MAX) < DOCUMENTS {
                break;
            }
        }
        Ok(rows)
    }

    /// The document that holds a delivery, or the one before it.
    fn document_of(&self, seq: i64) -> Result<i64, StoreError> {
        let sql = "SELECT first FROM documents WHERE first <= ?1 ORDER BY first DESC LIMIT 1";
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let first: Option<i64> = statement.query_row([seq], |row| row.get(0)).optional()?;
        Ok(first.unwrap_or(seq))
    }
}
