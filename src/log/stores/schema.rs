//! Opening one of our SQLite files: refuses what it does not know, untouched; migrates forward; syncs fully.

use crate::log::OpenError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// How long a connection waits for another's lock; ours hold them for milliseconds.
const BUSY: Duration = Duration::from_secs(5);

/// One kind of file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schema {
    /// Marks the file as ours, in its header.
    pub(crate) application_id: i32,
    /// Bytes of a page of a new file.
    pub(crate) page_bytes: u32,
    /// Statements from each version to the next; the version is how many have been run.
    pub(crate) migrations: &'static [&'static str],
}

impl Schema {
    fn version(&self) -> i64 {
        self.migrations.len() as i64
    }
}

/// Opens a file for reading and writing, made if it is missing, brought to the newest version,
/// in WAL mode with `synchronous=FULL` (read back) and no automatic checkpoint.
pub(crate) fn open(path: &Path, schema: &Schema) -> Result<Connection, OpenError> {
    check(path, schema)?;
    let failed = |error: rusqlite::Error| failed(path, &error);
    let is_new = !path.exists();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(failed)?;
    prepare(&conn).map_err(failed)?;
    let found = version(&conn).map_err(failed)?;
    refuse_newer(path, found, schema)?;
    if is_new || found == 0 {
        conn.pragma_update(None, "page_size", schema.page_bytes)
            .map_err(failed)?;
    }
    make_durable(&conn).map_err(failed)?;
    migrate(&conn, found, schema).map_err(failed)?;
    if is_new && let Some(folder) = path.parent() {
        // Or the file itself could be missing after a power loss.
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| io_failed(path, &error))?;
    }
    Ok(conn)
}

/// Opens a file that must be there, for reading alone.
pub(crate) fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    prepare(&conn)?;
    // Readers walk through the log once: what they have read is of no use in a cache.
    conn.pragma_update(None, "cache_size", -256)?;
    Ok(conn)
}

/// Opens a file that must be there, for writing, with the settings of [`open`].
pub(crate) fn reopen(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    prepare(&conn)?;
    make_durable(&conn)?;
    Ok(conn)
}

fn prepare(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY)?;
    // The last connection would otherwise checkpoint while it closes, at a moment nobody chose.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(())
}

fn make_durable(conn: &Connection) -> rusqlite::Result<()> {
    let mode: String =
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    let sync: i64 = conn.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    // 2 is FULL. A file system or a build that cannot do it must not look durable.
    if mode != "wal" || sync != 2 {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_MISUSE),
            Some(format!("journal mode {mode}, synchronous {sync}")),
        ));
    }
    Ok(())
}

fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn migrate(conn: &Connection, found: i64, schema: &Schema) -> rusqlite::Result<()> {
    let done = usize::try_from(found).unwrap_or(0);
    for (index, sql) in schema.migrations.iter().enumerate().skip(done) {
        conn.execute_batch(&format!(
            "BEGIN IMMEDIATE; {sql}; PRAGMA application_id = {}; PRAGMA user_version = {}; COMMIT;",
            schema.application_id,
            index + 1,
        ))?;
    }
    Ok(())
}

/// Refuses a file that is newer or not ours, by its first bytes: opening it would already make files beside it.
/// Offsets: https://sqlite.org/fileformat2.html, section 1.3.
pub(crate) fn check(path: &Path, schema: &Schema) -> Result<(), OpenError> {
    let mut header = Vec::new();
    match File::open(path) {
        Ok(file) => {
            let read = file.take(100).read_to_end(&mut header);
            read.map_err(|error| io_failed(path, &error))?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_failed(path, &error)),
    };
    if header.is_empty() {
        return Ok(());
    }
    let word = |at: usize| {
        let bytes = header.get(at..)?.first_chunk::<4>()?;
        Some(i32::from_be_bytes(*bytes))
    };
    let (true, Some(found), Some(id)) =
        (header.starts_with(b"SQLite format 3\0"), word(60), word(68))
    else {
        return Err(OpenError::Failed {
            path: path.display().to_string(),
            reason: "it is not a SQLite file".to_owned(),
        });
    };
    if id != schema.application_id && (id != 0 || found != 0) {
        return Err(OpenError::Failed {
            path: path.display().to_string(),
            reason: "it belongs to another program".to_owned(),
        });
    }
    refuse_newer(path, found.into(), schema)
}

fn refuse_newer(path: &Path, found: i64, schema: &Schema) -> Result<(), OpenError> {
    if found <= schema.version() {
        return Ok(());
    }
    Err(OpenError::Newer {
        path: path.display().to_string(),
        found,
        known: schema.version(),
    })
}

/// The error of a path, from SQLite's.
pub(crate) fn failed(path: &Path, error: &rusqlite::Error) -> OpenError {
    OpenError::Failed {
        path: path.display().to_string(),
        reason: error.to_string(),
    }
}

/// The error of a path, from the system's.
pub(crate) fn io_failed(path: &Path, error: &std::io::Error) -> OpenError {
    OpenError::Failed {
        path: path.display().to_string(),
        reason: error.to_string(),
    }
}
