//! Forgetting what the log has forgotten, in small steps.

use super::writer::Known;
use super::{StoreError, Writer};
use crate::feed::rows;
use crate::model::Seq;
use rusqlite::{OptionalExtension, Transaction};

/// Rows deleted in one step: some milliseconds.
const STEP_ROWS: i64 = 2_000;

impl Writer {
    /// Deletes rows of deliveries below `oldest`; true: there may be more.
    pub(in crate::feed) fn expire(&mut self, oldest: Seq) -> Result<bool, StoreError> {
        let end = rows::number(oldest, 0);
        let transaction = self.connection.transaction()?;
        let sql = "SELECT number FROM rows WHERE number < ?1 ORDER BY number LIMIT 1 OFFSET ?2";
        let last: Option<i64> = transaction
            .prepare_cached(sql)?
            .query_row([end, STEP_ROWS], |row| row.get(0))
            .optional()?;
        let end_of_step = last.unwrap_or(end);
        transaction.execute(
            "UPDATE kinds SET rows = rows - gone.n FROM
             (SELECT kind, count(*) AS n FROM rows WHERE number < ?1 GROUP BY kind) AS gone
             WHERE kinds.id = gone.kind",
            [end_of_step],
        )?;
        transaction.execute(
            "UPDATE minutes SET rows = minutes.rows - gone.n, firsts = firsts - gone.f FROM
             (SELECT received / 60000000 AS minute, kind, count(*) AS n, sum(number & 16383 = 0) AS f
              FROM rows WHERE number < ?1 GROUP BY 1, 2) AS gone
             WHERE minutes.minute = gone.minute AND minutes.kind = gone.kind",
            [end_of_step],
        )?;
        transaction.execute("DELETE FROM rows WHERE number < ?1", [end_of_step])?;
        forget_texts(&transaction, rows::position(end_of_step).seq)?;
        let epoch = rows::epoch(end_of_step);
        transaction.execute("DELETE FROM resources WHERE epoch < ?1", [epoch])?;
        if last.is_none() {
            let seq = i64::try_from(oldest).unwrap_or(rows::SEQ_MAX);
            transaction.execute("DELETE FROM spans WHERE last < ?1", [end])?;
            transaction.execute("DELETE FROM duplicates WHERE seq < ?1", [seq])?;
            transaction.execute("DELETE FROM replays WHERE seq < ?1", [seq])?;
            // A ring entry bears the number of the delivery before it.
            transaction.execute("DELETE FROM ring WHERE seq < ?1 - 1", [seq])?;
            transaction.execute(
                "DELETE FROM minutes WHERE rows <= 0
                 OR minute < (SELECT received FROM rows ORDER BY number LIMIT 1) / 60000000",
                [],
            )?;
            transaction.execute(
                "DELETE FROM kinds WHERE rows <= 0 AND id NOT IN (SELECT kind FROM ring)
                 AND id NOT IN (SELECT kind FROM minutes)",
                [],
            )?;
        }
        transaction.commit()?;
        self.known = Known::default();
        Ok(last.is_some())
    }
}

/// Deletes the documents of deliveries below `oldest`.
fn forget_texts(transaction: &Transaction<'_>, oldest: Seq) -> Result<(), StoreError> {
    let oldest = i64::try_from(oldest).unwrap_or(rows::SEQ_MAX);
    let mut select =
        transaction.prepare_cached("SELECT first FROM documents WHERE first < ?1 AND last < ?1")?;
    let gone: Vec<i64> = select
        .query_map([oldest], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for first in gone {
        transaction.execute("DELETE FROM texts WHERE rowid = ?1", [first])?;
        transaction.execute("DELETE FROM documents WHERE first = ?1", [first])?;
    }
    Ok(())
}
