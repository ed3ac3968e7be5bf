//! The feed in SQLite: `feed.db`, derived from the log. Synced lazily; what is damaged is thrown away.

mod counters;
mod expiry;
mod reader;
mod ring;
mod writer;

pub(in crate::feed) use counters::Count;
pub(in crate::feed) use reader::{Reader, Readers};
pub(in crate::feed) use ring::Kept;
pub(in crate::feed) use writer::Writer;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Changes whenever the tables or what is in them do: another version is rebuilt.
const SCHEMA_VERSION: i64 = 3;
/// "hgfd": marks the file as a feed.
const APPLICATION_ID: i64 = 0x6867_6664;
/// KiB of pages that the indexer holds in memory.
const WRITER_CACHE_KIB: i64 = 6_000;
/// KiB of pages that each reader holds in memory.
const READER_CACHE_KIB: i64 = 2_000;
/// Pages in the write-ahead log before the indexer copies them back (32 MB). A batch rewrites much the same pages
/// as the one before, so the longer this waits, the less is written and synced.
const CHECKPOINT_PAGES: i64 = 8_000;
/// Bytes that the write-ahead log is cut to after a checkpoint.
const WAL_BYTES: i64 = 32 * 1024 * 1024;

/// Why the store did not do what was asked.
#[derive(Debug, Error)]
pub(in crate::feed) enum StoreError {
    /// The file is not what it should be: it must be made again.
    #[error("feed.db is damaged: {0}")]
    Damaged(String),
    /// The query took longer than it may.
    #[error("the query took too long")]
    Slow,
    /// Every reader is taken.
    #[error("too many queries at once")]
    Busy,
    /// Anything else, such as a full disk.
    #[error("{0}")]
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let damaged = match &error {
            rusqlite::Error::SqliteFailure(failure, _) => matches!(
                failure.code,
                // Unknown is SQLite's plain "error": our statements are fixed, so a table is not what it was.
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown
            ),
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::QueryReturnedNoRows => true,
            _ => false,
        };
        if damaged {
            Self::Damaged(error.to_string())
        } else {
            Self::Failed(error)
        }
    }
}

/// The feed's file in a folder.
pub(in crate::feed) fn file(folder: &Path) -> PathBuf {
    folder.join("feed.db")
}

/// Opens an existing feed for writing; none: there is none, or one of another version.
pub(in crate::feed) fn open_existing(path: &Path) -> Result<Option<Writer>, StoreError> {
    if !path.exists() {
        return Ok(None);
    }
    let connection = Connection::open_with_flags(path, flags(false))?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if version != SCHEMA_VERSION || application != APPLICATION_ID {
        return Ok(None);
    }
    Writer::new(settle(connection)?).map(Some)
}

/// Makes an empty feed in place of whatever is there.
pub(in crate::feed) fn create(path: &Path) -> Result<Writer, StoreError> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        // Opening says what is wrong, should the file still be there.
        if let Err(error) = std::fs::remove_file(Path::new(&name))
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "an old feed.db cannot be removed");
        }
    }
    let connection = settle(Connection::open_with_flags(path, flags(true))?)?;
    connection.execute_batch(&format!(
        "BEGIN; {} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;",
        include_str!("schema.sql")
    ))?;
    Writer::new(connection)
}

fn flags(create: bool) -> OpenFlags {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if create {
        flags | OpenFlags::SQLITE_OPEN_CREATE
    } else {
        flags
    }
}

fn settle(connection: Connection) -> Result<Connection, StoreError> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -{WRITER_CACHE_KIB};
         PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; PRAGMA journal_size_limit = {WAL_BYTES};"
    ))?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}
