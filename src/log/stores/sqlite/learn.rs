//! What the log learns of itself when it is opened: head, oldest, and the delivery keys.

use super::shared::{Shared, Start, signed, unsigned};
use crate::codes;
use crate::log::keys::{Keys, snapshot};
use crate::log::record;
use crate::model::Seq;
use rusqlite::{Connection, OptionalExtension};

/// Deliveries in a row that are older than the window, after which no younger one is looked for: the clock
/// may have jumped for a moment.
const OLD_IN_A_ROW: u32 = 4_096;

/// Reads head and oldest, and takes the keys from the snapshot and the log's tail.
pub(super) fn start(shared: &Shared, conn: &Connection) -> rusqlite::Result<Start> {
    let head = newest(conn)?;
    let (oldest, oldest_received) = oldest(conn)?;
    let newest_received = received(conn, head)?;
    let folder = shared.path.parent();
    let (keys, covered) = folder
        .and_then(snapshot::read)
        // One that is ahead belongs to a log that was put back from a copy: its numbers mean others now.
        .filter(|(_, covered)| covered.head <= head)
        .unwrap_or_else(|| {
            let none = snapshot::Covered {
                head: 0,
                cleared: 0,
            };
            (Keys::new(), none)
        });
    let window = i64::try_from(shared.settings.dedup.as_micros()).unwrap_or(i64::MAX);
    let before = newest_received.map_or(i64::MIN, |newest| newest.saturating_sub(window));
    learn_tail(conn, &keys, covered.head, before)?;
    Ok(Start {
        head,
        oldest,
        oldest_received,
        newest_received,
        keys,
        covered,
        bytes: bytes(conn)?,
    })
}

/// The newest sequence number; 0: none.
pub(super) fn newest(conn: &Connection) -> rusqlite::Result<Seq> {
    let max: Option<i64> =
        conn.query_row("SELECT max(seq) FROM deliveries", [], |row| row.get(0))?;
    Ok(unsigned(max.unwrap_or(0)))
}

/// The oldest sequence number and when it was received; zeros: none.
pub(super) fn oldest(conn: &Connection) -> rusqlite::Result<(Seq, i64)> {
    let min: Option<i64> =
        conn.query_row("SELECT min(seq) FROM deliveries", [], |row| row.get(0))?;
    let seq = unsigned(min.unwrap_or(0));
    Ok((seq, received(conn, seq)?.unwrap_or(0)))
}

fn received(conn: &Connection, seq: Seq) -> rusqlite::Result<Option<i64>> {
    let head: Option<Vec<u8>> = conn
        .query_row(
            "SELECT head FROM deliveries WHERE seq = ?",
            [signed(seq)],
            |row| row.get(0),
        )
        .optional()?;
    Ok(head
        .filter(|head| record::is_whole(head, seq))
        .and_then(|head| record::peek(&head).ok())
        .map(|peek| peek.received))
}

/// Bytes of the log that hold something; free pages are used again before the file grows.
pub(super) fn bytes(conn: &Connection) -> rusqlite::Result<u64> {
    let pages: i64 = conn.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let free: i64 = conn.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    let page: i64 = conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
    Ok(unsigned((pages - free) * page))
}

/// Learns the keys of all deliveries after `known` that were received at or after `before`, newest first.
pub(super) fn learn_tail(
    conn: &Connection,
    keys: &Keys,
    known: Seq,
    before: i64,
) -> rusqlite::Result<()> {
    let mut marks = Vec::new();
    let mut old = 0;
    let mut statement =
        conn.prepare("SELECT seq, head FROM deliveries WHERE seq > ? ORDER BY seq DESC")?;
    let mut rows = statement.query([signed(known)])?;
    while old < OLD_IN_A_ROW
        && let Some(row) = rows.next()?
    {
        let seq: Seq = unsigned(row.get(0)?);
        let head = row.get_ref(1)?.as_blob()?;
        let Some(peek) = record::peek(head)
            .ok()
            .filter(|_| record::is_whole(head, seq))
        else {
            tracing::error!(
                seq,
                code = %codes::RECORD_DAMAGED,
                "a stored record is damaged; its delivery key is not known"
            );
            continue;
        };
        old = if peek.received < before { old + 1 } else { 0 };
        let last = marks.last();
        let gap = last.is_none_or(|(_, later): &(_, i64)| Keys::is_gap(*later, peek.received));
        if gap || Keys::is_mark(seq) {
            marks.push((seq, peek.received));
        }
        for print in peek.prints {
            if keys.get(print).is_none_or(|other| other < seq) {
                keys.insert(print, seq, true);
            }
        }
    }
    for (seq, received) in marks.into_iter().rev() {
        keys.mark(seq, received);
    }
    Ok(())
}
