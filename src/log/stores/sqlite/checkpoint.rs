//! Copying the WAL into the file, away from the writer.
//!
//! A commit that had to do it would stall for tens of milliseconds. But while deliveries keep coming, a
//! copy from another connection never reaches the end of the WAL, so it would never be used again from its
//! start and grow without bound: when little is left the writer copies that rest itself, between two commits.
//! The WAL is not cut: writing over old bytes makes a sync cheaper, since the file's length stays.

use super::shared::{Shared, unsigned};
use crate::log::stores::schema;
use rusqlite::Connection;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Bytes of deliveries after which the WAL is copied.
pub(super) const CHECKPOINT_BYTES: u64 = 16 * 1024 * 1024;
/// What the writer may copy itself, in bytes: some milliseconds.
const REST_BYTES: u64 = 4 * 1024 * 1024;
/// Times `checkpoint_bytes` after which the writer copies all itself: the thread had no time to.
const OVERDUE: u64 = 8;
/// Copies in a row after which the writer does what is left, however much that is.
const PASSES_MAX: u32 = 4;
/// The thread looks by itself this often.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Notes bytes that were written, and wakes the thread when there are many.
pub(super) fn note_written(shared: &Shared, bytes: u64) {
    let limit = shared.options.checkpoint_bytes;
    let before = shared.wal_bytes.fetch_add(bytes, Ordering::Relaxed);
    if before < limit && before + bytes >= limit {
        shared.unpark("log-checkpoint");
    }
    let total = shared.wal_total.fetch_add(bytes, Ordering::Relaxed) + bytes;
    if total >= limit.saturating_mul(OVERDUE) {
        shared.finish_wal.store(true, Ordering::Relaxed);
    }
}

/// Copies whenever there is enough, until the queue is closed.
pub(super) fn run(shared: &Shared) {
    let mut conn = None;
    while !shared.queue.is_closed() {
        std::thread::park_timeout(LOOK_EVERY);
        let written = shared.wal_bytes.load(Ordering::Relaxed);
        if written == 0 || shared.queue.is_closed() {
            continue;
        }
        if conn.is_none() {
            conn = schema::reopen(&shared.path).ok();
        }
        if let Some(open) = &conn
            && let Err(error) = copy(shared, open)
        {
            tracing::warn!(%error, "the WAL of the log could not be copied");
            conn = None;
        }
    }
}

fn copy(shared: &Shared, conn: &Connection) -> rusqlite::Result<()> {
    for _ in 0..PASSES_MAX {
        // Counted anew from here: what comes while it copies is the rest.
        shared.wal_bytes.store(0, Ordering::Relaxed);
        let rest = passive(conn)?;
        if rest == 0 {
            shared.wal_total.store(0, Ordering::Relaxed);
            return Ok(());
        }
        if rest <= REST_BYTES {
            break;
        }
    }
    shared.finish_wal.store(true, Ordering::Relaxed);
    Ok(())
}

/// Copies the rest, on the writer's thread. A reader in the way is no error: the next time will do.
pub(super) fn finish(shared: &Shared, conn: &Connection) {
    match passive(conn) {
        Ok(_) => {
            shared.wal_bytes.store(0, Ordering::Relaxed);
            shared.wal_total.store(0, Ordering::Relaxed);
        }
        Err(error) => tracing::warn!(%error, "the WAL of the log could not be copied"),
    }
}

/// Copies what can be copied without waiting for anybody; gives the bytes that are left.
fn passive(conn: &Connection) -> rusqlite::Result<u64> {
    let (pages, copied): (i64, i64) =
        conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok((row.get(1)?, row.get(2)?))
        })?;
    let page: i64 = conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
    Ok(unsigned((pages - copied) * page))
}

/// Copies all and cuts the WAL, when nothing else is open.
pub(super) fn truncate(conn: &Connection) -> rusqlite::Result<()> {
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}
