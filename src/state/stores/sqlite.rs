//! The state in SQLite: `state.db`, one connection behind a mutex, every call its own synced transaction.

mod secrets;
mod tokens;

use crate::codes::Code;
use crate::log::OpenError;
use crate::log::stores::schema::{self, Schema};
use crate::model::limits::SINK_ANSWER_BYTES_MAX;
use crate::model::{Event, Seq};
use crate::state::{Cursor, DeadLetter, NewDeadLetter, SkippedRange, State, StateError};
use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Pages of the WAL after which SQLite copies it: here nobody waits for milliseconds.
const CHECKPOINT_PAGES: u32 = 256;
/// Columns of a dead letter, in the order of [`dead_letter`].
const DEAD_LETTER: &str = "SELECT id, sink, seq, position, webhook, event, code, reason, answer, \
                           refused, attempts FROM dead_letters";

/// The state in a file.
#[derive(Debug)]
pub(crate) struct SqliteState {
    path: PathBuf,
    /// None after a failure: a connection whose write failed is not used again.
    conn: Mutex<Option<Connection>>,
}

impl SqliteState {
    /// `state.db`.
    pub(crate) const SCHEMA: Schema = Schema {
        application_id: 0x6867_7374, // "hgst"
        page_bytes: 4096,
        migrations: &[
            "CREATE TABLE cursors(sink TEXT PRIMARY KEY, seq INTEGER NOT NULL, moved TEXT NOT NULL, \
               removed TEXT) WITHOUT ROWID;
             CREATE TABLE dead_letters(id INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, \
               seq INTEGER NOT NULL, position INTEGER NOT NULL, webhook TEXT, event TEXT NOT NULL, \
               code TEXT NOT NULL, reason TEXT NOT NULL, answer TEXT NOT NULL, refused TEXT NOT NULL, \
               attempts INTEGER NOT NULL);
             CREATE INDEX dead_letters_by_sink ON dead_letters(sink, id);
             CREATE TABLE skipped(id INTEGER PRIMARY KEY, sink TEXT NOT NULL, first INTEGER NOT NULL, \
               last INTEGER NOT NULL, at TEXT NOT NULL);
             CREATE TABLE holds(sink TEXT PRIMARY KEY) WITHOUT ROWID",
            secrets::TABLES,
            tokens::TABLES,
        ],
    };

    /// Opens the file, made if it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let conn = schema::open(path, &Self::SCHEMA)?;
        conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)
            .map_err(|error| schema::failed(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            conn: Mutex::new(Some(conn)),
        })
    }

    fn with<T>(
        &self,
        run: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        let failed = |error: rusqlite::Error| StateError(error.to_string().into());
        let mut slot = self.conn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut conn = match slot.take() {
            Some(conn) => conn,
            None => {
                let conn = schema::reopen(&self.path).map_err(failed)?;
                conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)
                    .map_err(failed)?;
                conn
            }
        };
        let done = run(&mut conn).map_err(failed)?;
        *slot = Some(conn);
        Ok(done)
    }
}

impl State for SqliteState {
    fn cursor(&self, sink: &str) -> Result<Option<Cursor>, StateError> {
        self.with(|conn| {
            conn.prepare_cached("SELECT sink, seq, moved, removed FROM cursors WHERE sink = ?")?
                .query_row([sink], |row| Ok(cursor(row)?.1))
                .optional()
        })
    }

    fn cursors(&self) -> Result<Vec<(String, Cursor)>, StateError> {
        self.with(|conn| {
            conn.prepare_cached("SELECT sink, seq, moved, removed FROM cursors ORDER BY sink")?
                .query_map([], cursor)?
                .collect()
        })
    }

    fn advance(
        &self,
        sink: &str,
        seq: Seq,
        now: Timestamp,
        dead: &[NewDeadLetter],
    ) -> Result<(), StateError> {
        self.with(|conn| {
            let tx = conn.transaction()?;
            move_cursor(&tx, sink, seq, now)?;
            for letter in dead {
                insert_dead_letter(&tx, sink, now, letter)?;
            }
            tx.commit()
        })
    }

    fn set_removed(&self, sink: &str, removed: Option<Timestamp>) -> Result<(), StateError> {
        self.with(|conn| {
            let sql = "UPDATE cursors SET removed = ? WHERE sink = ?";
            conn.execute(sql, params![removed.map(|at| at.to_string()), sink])?;
            Ok(())
        })
    }

    fn drop_cursor(&self, sink: &str) -> Result<(), StateError> {
        self.with(|conn| {
            conn.execute("DELETE FROM cursors WHERE sink = ?", [sink])?;
            Ok(())
        })
    }

    fn skip(&self, range: &SkippedRange) -> Result<(), StateError> {
        self.with(|conn| {
            let tx = conn.transaction()?;
            tx.execute(
                "INSERT INTO skipped(sink, first, last, at) VALUES(?, ?, ?, ?)",
                params![
                    range.sink,
                    signed(range.from),
                    signed(range.to),
                    range.at.to_string()
                ],
            )?;
            move_cursor(&tx, &range.sink, range.to, range.at)?;
            tx.commit()
        })
    }

    fn skipped(&self) -> Result<Vec<SkippedRange>, StateError> {
        self.with(|conn| {
            conn.prepare_cached("SELECT sink, first, last, at FROM skipped ORDER BY id")?
                .query_map([], |row| {
                    Ok(SkippedRange {
                        sink: row.get(0)?,
                        from: unsigned(row.get(1)?),
                        to: unsigned(row.get(2)?),
                        at: parsed(row, 3)?,
                    })
                })?
                .collect()
        })
    }

    fn dead_letters(
        &self,
        sink: Option<&str>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StateError> {
        let before = before.unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let tail = "ORDER BY id DESC LIMIT";
        self.with(|conn| match sink {
            Some(sink) => conn
                .prepare_cached(&format!("{DEAD_LETTER} WHERE sink = ? AND id < ? {tail} ?"))?
                .query_map(params![sink, before, limit], dead_letter)?
                .collect(),
            None => conn
                .prepare_cached(&format!("{DEAD_LETTER} WHERE id < ? {tail} ?"))?
                .query_map(params![before, limit], dead_letter)?
                .collect(),
        })
    }

    fn dead_letter(&self, id: i64) -> Result<Option<DeadLetter>, StateError> {
        self.with(|conn| {
            conn.prepare_cached(&format!("{DEAD_LETTER} WHERE id = ?"))?
                .query_row([id], dead_letter)
                .optional()
        })
    }

    fn dead_letter_counts(&self) -> Result<Vec<(String, u64)>, StateError> {
        self.with(|conn| {
            let sql = "SELECT sink, count(*) FROM dead_letters GROUP BY sink ORDER BY sink";
            conn.prepare_cached(sql)?
                .query_map([], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?
                .collect()
        })
    }

    fn remove_dead_letter(&self, id: i64) -> Result<(), StateError> {
        self.with(|conn| {
            conn.execute("DELETE FROM dead_letters WHERE id = ?", [id])?;
            Ok(())
        })
    }

    fn refuse_dead_letter_again(
        &self,
        id: i64,
        reason: &str,
        answer: &str,
        now: Timestamp,
    ) -> Result<(), StateError> {
        self.with(|conn| {
            let sql = "UPDATE dead_letters SET reason = ?, answer = ?, refused = ?, \
                       attempts = attempts + 1 WHERE id = ?";
            conn.execute(sql, params![reason, cut(answer), now.to_string(), id])?;
            Ok(())
        })
    }

    fn set_paused(&self, sink: &str, paused: bool) -> Result<(), StateError> {
        self.with(|conn| {
            let sql = if paused {
                "INSERT OR IGNORE INTO holds(sink) VALUES(?)"
            } else {
                "DELETE FROM holds WHERE sink = ?"
            };
            conn.execute(sql, [sink])?;
            Ok(())
        })
    }

    fn is_paused(&self, sink: &str) -> Result<bool, StateError> {
        self.with(|conn| {
            conn.prepare_cached("SELECT 1 FROM holds WHERE sink = ?")?
                .exists([sink])
        })
    }
}

fn move_cursor(conn: &Connection, sink: &str, seq: Seq, now: Timestamp) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO cursors(sink, seq, moved) VALUES(?, ?, ?) ON CONFLICT(sink) DO UPDATE \
         SET seq = excluded.seq, moved = excluded.moved WHERE excluded.seq > seq",
    )?
    .execute(params![sink, signed(seq), now.to_string()])?;
    Ok(())
}

fn insert_dead_letter(
    conn: &Connection,
    sink: &str,
    now: Timestamp,
    letter: &NewDeadLetter,
) -> rusqlite::Result<()> {
    let event = serde_json::to_string(&letter.event)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    conn.prepare_cached(
        "INSERT INTO dead_letters(sink, seq, position, webhook, event, code, reason, answer, \
         refused, attempts) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        sink,
        signed(letter.position.seq),
        letter.position.index,
        letter.webhook,
        event,
        letter.code.to_string(),
        letter.reason,
        cut(&letter.answer),
        now.to_string(),
        letter.attempts,
    ])?;
    Ok(())
}

fn cursor(row: &Row<'_>) -> rusqlite::Result<(String, Cursor)> {
    let removed: Option<String> = row.get(3)?;
    let cursor = Cursor {
        seq: unsigned(row.get(1)?),
        moved: parsed(row, 2)?,
        removed: match removed {
            Some(_) => Some(parsed(row, 3)?),
            None => None,
        },
    };
    Ok((row.get(0)?, cursor))
}

fn dead_letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    let event: String = row.get(5)?;
    let code: String = row.get(6)?;
    let event: Event = serde_json::from_str(&event).map_err(|error| malformed(5, error))?;
    let code: Code = serde_json::from_value(serde_json::Value::String(code))
        .map_err(|error| malformed(6, error))?;
    Ok(DeadLetter {
        id: row.get(0)?,
        sink: row.get(1)?,
        seq: unsigned(row.get(2)?),
        index: row.get(3)?,
        webhook: row.get(4)?,
        event,
        code,
        reason: row.get(7)?,
        answer: row.get(8)?,
        refused: parsed(row, 9)?,
        attempts: row.get(10)?,
    })
}

fn parsed(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let text: String = row.get(column)?;
    text.parse()
        .map_err(|error: jiff::Error| malformed(column, error))
}

fn malformed(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// The longest front of whole characters that may be kept.
fn cut(answer: &str) -> &str {
    let end = (0..=SINK_ANSWER_BYTES_MAX.min(answer.len())).rev();
    end.filter_map(|end| answer.get(..end))
        .next()
        .unwrap_or(answer)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes;
    use crate::model::event::{Labels, RESOURCE_ID};
    use crate::model::{Event, Position};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn letter(seq: u64, answer: &str) -> NewDeadLetter {
        NewDeadLetter {
            position: Position { seq, index: 2 },
            webhook: Some("w".to_owned()),
            event: Event {
                occurred: at(0),
                event: "e".to_owned(),
                resource: Labels::from_iter([(RESOURCE_ID.to_owned(), "r".to_owned())]),
                related: Vec::new(),
                payload: serde_json::value::RawValue::from_string("{\"n\":1.10}".to_owned())
                    .unwrap(),
                id: uuid::Uuid::nil(),
                follows: None,
            },
            code: codes::SINK_REFUSED,
            reason: "422".to_owned(),
            answer: answer.to_owned(),
            attempts: 3,
        }
    }

    #[test]
    fn cursors_move_forward_only_and_survive_a_reopen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let state = SqliteState::open(&path).unwrap();
        assert_eq!(state.cursor("a").unwrap(), None);
        state.advance("a", 5, at(1), &[]).unwrap();
        state.advance("a", 3, at(2), &[]).unwrap();
        state.advance("b", 9, at(3), &[]).unwrap();
        state.set_removed("b", Some(at(4))).unwrap();
        state.set_paused("a", true).unwrap();
        drop(state);
        let state = SqliteState::open(&path).unwrap();
        let a = Cursor {
            seq: 5,
            moved: at(1),
            removed: None,
        };
        assert_eq!(state.cursor("a").unwrap(), Some(a.clone()));
        let b = Cursor {
            seq: 9,
            moved: at(3),
            removed: Some(at(4)),
        };
        assert_eq!(
            state.cursors().unwrap(),
            [("a".to_owned(), a), ("b".to_owned(), b)]
        );
        assert!(state.is_paused("a").unwrap() && !state.is_paused("b").unwrap());
        state.set_paused("a", false).unwrap();
        state.set_removed("b", None).unwrap();
        assert_eq!(state.cursor("b").unwrap().unwrap().removed, None);
        state.drop_cursor("b").unwrap();
        assert_eq!(state.cursor("b").unwrap(), None);
        assert!(!state.is_paused("a").unwrap());
    }

    #[test]
    fn dead_letters_are_kept_listed_retried_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let state = SqliteState::open(&folder.path().join("state.db")).unwrap();
        let long = "é".repeat(5_000);
        state.advance("a", 1, at(1), &[letter(1, &long)]).unwrap();
        state
            .advance("b", 1, at(2), &[letter(1, "x"), letter(1, "y")])
            .unwrap();
        let ids = |sink, before, limit| -> Vec<i64> {
            let letters = state.dead_letters(sink, before, limit).unwrap();
            letters.iter().map(|l| l.id).collect()
        };
        assert_eq!(ids(None, None, 10), [3, 2, 1]);
        assert_eq!(ids(Some("b"), None, 1), [3]);
        assert_eq!(ids(None, Some(3), 10), [2, 1]);
        let first = state.dead_letter(1).unwrap().unwrap();
        assert_eq!((first.seq, first.index, first.attempts), (1, 2, 3));
        assert_eq!(first.event.payload.get(), "{\"n\":1.10}");
        assert_eq!(
            (first.code, first.answer.len()),
            (codes::SINK_REFUSED, 4_096)
        );
        let counts = state.dead_letter_counts().unwrap();
        assert_eq!(counts, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
        state
            .refuse_dead_letter_again(2, "503", "later", at(9))
            .unwrap();
        let second = state.dead_letter(2).unwrap().unwrap();
        assert_eq!(
            (second.attempts, second.refused, second.reason.as_str()),
            (4, at(9), "503")
        );
        state.remove_dead_letter(3).unwrap();
        assert!(state.dead_letter(3).unwrap().is_none());
        state.advance("b", 2, at(3), &[letter(2, "z")]).unwrap();
        assert_eq!(
            ids(Some("b"), None, 10),
            [4, 2],
            "numbers are not used again"
        );
    }

    #[test]
    fn a_skipped_range_moves_the_cursor() {
        let folder = tempfile::tempdir().unwrap();
        let state = SqliteState::open(&folder.path().join("state.db")).unwrap();
        let range = SkippedRange {
            sink: "a".to_owned(),
            from: 1,
            to: 40,
            at: at(7),
        };
        state.skip(&range).unwrap();
        assert_eq!(state.skipped().unwrap(), [range]);
        assert_eq!(state.cursor("a").unwrap().unwrap().seq, 40);
    }

    #[test]
    fn after_a_failure_it_opens_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let state = SqliteState::open(&path).unwrap();
        let failed = state.with(|conn| conn.execute("INSERT INTO nothing VALUES(1)", []));
        assert!(failed.is_err());
        assert!(state.conn.lock().unwrap().is_none());
        state.advance("a", 5, at(1), &[]).unwrap();
        assert_eq!(state.cursor("a").unwrap().unwrap().seq, 5);
    }
}
