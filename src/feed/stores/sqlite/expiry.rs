//! Forgetting what the log has forgotten, in small steps.

use super::writer::Known;
use super::{StoreError, Writer};
use crate::feed::rows;
use crate::model::Seq;
use rusqlite::{OptionalExtension, params};

/// Rows deleted in one step: some milliseconds.
const STEP_ROWS: i64 = 2_000;
/// Resources looked at in one step.
const SWEEP_RESOURCES: i64 = 1_000;

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
        transaction.execute("DELETE FROM rows WHERE number < ?1", [end_of_step])?;
        if last.is_none() {
            let seq = i64::try_from(oldest).unwrap_or(rows::SEQ_MAX);
            transaction.execute("DELETE FROM minutes WHERE last < ?1", [end])?;
            transaction.execute("DELETE FROM duplicates WHERE seq < ?1", [seq])?;
            // A ring entry bears the number of the delivery before it.
            transaction.execute("DELETE FROM ring WHERE seq < ?1 - 1", [seq])?;
            transaction.execute(
                "DELETE FROM kinds WHERE rows <= 0 AND id NOT IN (SELECT kind FROM ring)",
                [],
            )?;
        }
        transaction.commit()?;
        self.known = Known::default();
        Ok(last.is_some())
    }

    /// Looks at some resources after `from` and deletes those without rows; the next place to look from.
    pub(in crate::feed) fn sweep_resources(&mut self, from: &str) -> Result<String, StoreError> {
        let transaction = self.connection.transaction()?;
        let found: Vec<(String, i64, bool)> = transaction
            .prepare_cached(
                "SELECT text, print, EXISTS (SELECT 1 FROM rows WHERE resource = print)
                 FROM resources WHERE text >= ?1 ORDER BY text LIMIT ?2",
            )?
            .query_map(params![from, SWEEP_RESOURCES], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect::<Result<_, _>>()?;
        for (text, print, _) in found.iter().filter(|(_, _, used)| !used) {
            let sql = "DELETE FROM resources WHERE text = ?1 AND print = ?2";
            transaction
                .prepare_cached(sql)?
                .execute(params![text, print])?;
        }
        transaction.commit()?;
        self.known = Known::default();
        let full = i64::try_from(found.len()).is_ok_and(|n| n == SWEEP_RESOURCES);
        let last = found.into_iter().next_back().map(|(text, ..)| text);
        // The same text as before would never end (more cut texts alike than one step sees).
        Ok(last.filter(|text| full && text != from).unwrap_or_default())
    }
}
