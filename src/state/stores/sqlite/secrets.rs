//! Learned secrets in `state.db`.

use super::{SqliteState, malformed, parsed};
use crate::state::{LearnedRow, Sealed, SecretStore, StateError};
use jiff::Timestamp;
use rusqlite::{Row, params};

/// From version 1 to 2.
pub(super) const TABLES: &str =
    "CREATE TABLE learned_secrets(webhook TEXT PRIMARY KEY, key BLOB NOT NULL, \
       sealed BLOB NOT NULL, learned TEXT NOT NULL, delivery TEXT NOT NULL, peer TEXT NOT NULL, \
       confirmed TEXT) WITHOUT ROWID;
     CREATE TABLE waiting(webhook TEXT PRIMARY KEY, since TEXT NOT NULL) WITHOUT ROWID";

impl SecretStore for SqliteState {
    fn learned(&self) -> Result<Vec<LearnedRow>, StateError> {
        self.with(|conn| {
            let sql = "SELECT webhook, key, sealed, learned, delivery, peer, confirmed \
                       FROM learned_secrets ORDER BY webhook";
            conn.prepare_cached(sql)?.query_map([], row)?.collect()
        })
    }

    fn learn(&self, row: &LearnedRow) -> Result<bool, StateError> {
        self.with(|conn| {
            let sql = "INSERT OR IGNORE INTO learned_secrets(webhook, key, sealed, learned, delivery, \
                       peer, confirmed) VALUES(?, ?, ?, ?, ?, ?, ?)";
            let kept = conn.execute(
                sql,
                params![
                    row.webhook,
                    row.sealed.key.as_slice(),
                    row.sealed.bytes,
                    row.learned.to_string(),
                    row.delivery.to_string(),
                    row.peer.to_string(),
                    row.confirmed.map(|at| at.to_string()),
                ],
            )?;
            Ok(kept == 1)
        })
    }

    fn confirm(&self, webhook: &str, now: Timestamp) -> Result<(), StateError> {
        self.with(|conn| {
            let sql = "UPDATE learned_secrets SET confirmed = ? WHERE webhook = ?";
            conn.execute(sql, params![now.to_string(), webhook])?;
            Ok(())
        })
    }

    fn forget(&self, webhook: &str) -> Result<(), StateError> {
        self.with(|conn| {
            let tx = conn.transaction()?;
            tx.execute("DELETE FROM learned_secrets WHERE webhook = ?", [webhook])?;
            let sql = "UPDATE waiting SET since = ? WHERE webhook = ?";
            tx.execute(sql, params![Timestamp::UNIX_EPOCH.to_string(), webhook])?;
            tx.commit()
        })
    }

    fn waiting_since(&self, webhook: &str, now: Timestamp) -> Result<Timestamp, StateError> {
        self.with(|conn| {
            conn.execute(
                "INSERT OR IGNORE INTO waiting(webhook, since) VALUES(?, ?)",
                params![webhook, now.to_string()],
            )?;
            let sql = "SELECT since FROM waiting WHERE webhook = ?";
            conn.query_row(sql, [webhook], |row| parsed(row, 0))
        })
    }

    fn wait_again(&self, webhook: &str, now: Timestamp) -> Result<(), StateError> {
        self.with(|conn| {
            let sql = "INSERT INTO waiting(webhook, since) VALUES(?, ?) \
                       ON CONFLICT(webhook) DO UPDATE SET since = excluded.since";
            conn.execute(sql, params![webhook, now.to_string()])?;
            Ok(())
        })
    }
}

fn row(row: &Row<'_>) -> rusqlite::Result<LearnedRow> {
    let (delivery, peer): (String, String) = (row.get(4)?, row.get(5)?);
    let confirmed: Option<String> = row.get(6)?;
    Ok(LearnedRow {
        webhook: row.get(0)?,
        sealed: Sealed {
            key: row.get(1)?,
            bytes: row.get(2)?,
        },
        learned: parsed(row, 3)?,
        delivery: delivery.parse().map_err(|error| malformed(4, error))?,
        peer: peer.parse().map_err(|error| malformed(5, error))?,
        confirmed: match confirmed {
            Some(_) => Some(parsed(row, 6)?),
            None => None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn kept_once_confirmed_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let state = SqliteState::open(&path).unwrap();
        let row = LearnedRow {
            webhook: "w".to_owned(),
            sealed: Sealed {
                key: [7; 8],
                bytes: vec![1, 2, 3],
            },
            learned: at(1),
            delivery: Uuid::nil(),
            peer: "2001:db8::1".parse().unwrap(),
            confirmed: None,
        };
        assert!(state.learn(&row).unwrap());
        let other = LearnedRow {
            learned: at(2),
            ..row.clone()
        };
        assert!(!state.learn(&other).unwrap(), "the first one stays");
        drop(state);
        let state = SqliteState::open(&path).unwrap();
        assert_eq!(state.learned().unwrap(), std::slice::from_ref(&row));
        state.confirm("w", at(9)).unwrap();
        state.confirm("another", at(9)).unwrap();
        let confirmed = Some(at(9));
        assert_eq!(state.learned().unwrap(), [LearnedRow { confirmed, ..row }]);
        state.forget("w").unwrap();
        assert_eq!(state.learned().unwrap(), []);
    }

    #[test]
    fn a_webhook_waits_from_its_first_start_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let state = SqliteState::open(&path).unwrap();
        assert_eq!(state.waiting_since("w", at(1)).unwrap(), at(1));
        drop(state);
        let state = SqliteState::open(&path).unwrap();
        assert_eq!(state.waiting_since("w", at(2)).unwrap(), at(1));
        state.wait_again("w", at(3)).unwrap();
        state.wait_again("v", at(4)).unwrap();
        assert_eq!(state.waiting_since("w", at(5)).unwrap(), at(3));
        assert_eq!(state.waiting_since("v", at(5)).unwrap(), at(4));
        state.forget("w").unwrap();
        assert_eq!(state.waiting_since("w", at(5)).unwrap(), at(0));
        assert_eq!(state.waiting_since("v", at(5)).unwrap(), at(4));
    }
}
