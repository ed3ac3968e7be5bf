//! Reading: a few connections of their own, so that readers and the writer never wait for each other.

use super::shared::{Shared, signed, unsigned};
use crate::log::stores::schema;
use crate::log::{LogError, OpenError, Record, record};
use crate::model::Seq;
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;
use std::sync::atomic::Ordering;

/// Connections kept open between reads.
const IDLE_MAX: usize = 4;

fn failed(error: &rusqlite::Error) -> LogError {
    LogError::Failed(error.to_string().into())
}

/// Runs `read` on a connection of the pool.
fn with<T>(
    shared: &Shared,
    read: impl FnOnce(&Connection) -> Result<T, LogError>,
) -> Result<T, LogError> {
    let idle = shared.readers().pop();
    let conn = match idle {
        Some(conn) => conn,
        None => schema::open_to_read(&shared.path).map_err(|error| failed(&error))?,
    };
    let result = read(&conn);
    // One that failed may be in a state nobody knows.
    if !matches!(result, Err(LogError::Failed(_))) {
        let mut idle = shared.readers();
        if idle.len() < IDLE_MAX {
            idle.push(conn);
        }
    }
    result
}

pub(super) fn read(
    shared: &Shared,
    after: Seq,
    records_max: usize,
    bytes_max: usize,
) -> Result<Vec<Record>, LogError> {
    if after >= *shared.head.borrow() || records_max == 0 {
        return Ok(Vec::new());
    }
    let found = with(shared, |conn| {
        rows(conn, after, records_max, bytes_max).map_err(|error| failed(&error))
    })?;
    let mut records = Vec::with_capacity(found.len());
    let mut want = after + 1;
    if found.is_empty() && want > shared.deleted_to.load(Ordering::Relaxed) {
        return Err(damaged(want, "it is missing".to_owned()));
    }
    for (seq, head) in found {
        // Only retention makes gaps, and only at the start. Asked after the read, since it may go on meanwhile.
        let gap = seq != want && seq - 1 > shared.deleted_to.load(Ordering::Relaxed);
        let record = if gap {
            Err(damaged(want, "it is missing".to_owned()))
        } else {
            decoded(seq, &head)
        };
        match record {
            Ok(record) => records.push(record),
            // What is whole before it is given first.
            Err(_) if !records.is_empty() => break,
            Err(error) => return Err(error),
        }
        want = seq + 1;
    }
    Ok(records)
}

/// Reads the log in a folder beside the process that has it open, or where there is none. Nothing is written.
#[derive(Debug)]
pub struct ReadOnlyLog(Connection);

impl ReadOnlyLog {
    /// Opens it.
    ///
    /// # Errors
    /// Newer, another program's, or not there.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join("log.db");
        schema::check(&path, &super::SCHEMA)?;
        let conn = schema::open_to_read(&path).map_err(|error| schema::failed(&path, &error))?;
        Ok(Self(conn))
    }

    /// As [`crate::log::EventLog::read`], but what is missing is passed over: retention may be at work.
    ///
    /// # Errors
    /// `Damaged`, `Failed`.
    pub fn read(
        &self,
        after: Seq,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Record>, LogError> {
        let found = rows(&self.0, after, records_max, bytes_max).map_err(|error| failed(&error))?;
        let records = found.into_iter();
        records.map(|(seq, head)| decoded(seq, &head)).collect()
    }

    /// As [`crate::log::EventLog::request`].
    ///
    /// # Errors
    /// `Damaged`, `Failed`.
    pub fn request(&self, seq: Seq) -> Result<Option<Vec<u8>>, LogError> {
        let row = request_row(&self.0, seq).map_err(|error| failed(&error))?;
        whole_request(seq, row)
    }
}

/// Head and request as they are stored.
type RequestRow = Option<(Vec<u8>, Option<Vec<u8>>)>;

fn request_row(conn: &Connection, seq: Seq) -> rusqlite::Result<RequestRow> {
    let sql = "SELECT head, request FROM deliveries WHERE seq = ?";
    let mut statement = conn.prepare_cached(sql)?;
    let row = statement.query_row([signed(seq)], |row| Ok((row.get(0)?, row.get(1)?)));
    row.optional()
}

fn whole_request(seq: Seq, row: RequestRow) -> Result<Option<Vec<u8>>, LogError> {
    let Some((head, Some(request))) = row else {
        return Ok(None);
    };
    let record = decoded(seq, &head)?;
    let sha256 = record.delivery.request.as_ref().map(|r| r.sha256.as_str());
    record::decompress_request(&request, sha256)
        .map(Some)
        .map_err(|reason| damaged(seq, reason))
}

fn rows(
    conn: &Connection,
    after: Seq,
    records_max: usize,
    bytes_max: usize,
) -> rusqlite::Result<Vec<(Seq, Vec<u8>)>> {
    let mut statement =
        conn.prepare_cached("SELECT seq, head FROM deliveries WHERE seq > ? ORDER BY seq LIMIT ?")?;
    let limit = i64::try_from(records_max).unwrap_or(i64::MAX);
    let mut rows = statement.query((signed(after), limit))?;
    let mut found = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let head: Vec<u8> = row.get(1)?;
        bytes += head.len();
        if bytes > bytes_max && !found.is_empty() {
            break;
        }
        found.push((unsigned(row.get(0)?), head));
    }
    Ok(found)
}

pub(super) fn get(shared: &Shared, seq: Seq) -> Result<Option<Record>, LogError> {
    let sql = "SELECT head FROM deliveries WHERE seq = ?";
    let head: Option<Vec<u8>> = with(shared, |conn| {
        conn.prepare_cached(sql)
            .and_then(|mut statement| {
                statement
                    .query_row([signed(seq)], |row| row.get(0))
                    .optional()
            })
            .map_err(|error| failed(&error))
    })?;
    head.map(|head| decoded(seq, &head)).transpose()
}

pub(super) fn request(shared: &Shared, seq: Seq) -> Result<Option<Vec<u8>>, LogError> {
    let row = with(shared, |conn| {
        request_row(conn, seq).map_err(|error| failed(&error))
    })?;
    whole_request(seq, row)
}

fn decoded(seq: Seq, head: &[u8]) -> Result<Record, LogError> {
    match record::decode(head, seq) {
        Ok(head) => Ok(Record {
            seq,
            delivery: head.delivery,
        }),
        Err(reason) => Err(damaged(seq, reason)),
    }
}

fn damaged(seq: Seq, reason: String) -> LogError {
    LogError::Damaged { seq, reason }
}
