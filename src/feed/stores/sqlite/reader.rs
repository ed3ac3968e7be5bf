//! Connections that read, and what they are asked. Every statement is fixed; values are bound.

use super::writer::{RESOURCE_BYTES_MAX, SPAN_MICROS};
use super::{READER_CACHE_KIB, StoreError};
use crate::feed::plan::{Arm, Plan, Prints};
use crate::feed::rows::{self, Kind, Row};
use crate::model::{Delivery, Outcome, Position, Seq};
use crate::query::{Pattern, Range, TimeField};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row as SqlRow, Statement, params};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Queries that run at once.
const READERS_MAX: usize = 3;
/// How long a query waits for its turn.
const TURN: Duration = Duration::from_secs(5);
/// Resources that one wildcard stands for at most; with more, records decide.
const RESOURCES_MAX: usize = 100_000;

/// Columns of a log row, in the order of [`log_row`].
macro_rules! log_rows {
    ($ascending:expr, $index:literal, $condition:literal) => {
        if $ascending {
            log_rows!(@ $index, $condition, "ASC")
        } else {
            log_rows!(@ $index, $condition, "DESC")
        }
    };
    (@ $index:literal, $condition:literal, $order:literal) => {
        concat!(
            "SELECT number, kind, resource, received, occurred, event, delivery, key, peer FROM rows ",
            $index,
            " WHERE ",
            $condition,
            "number BETWEEN ?1 AND ?2 ORDER BY number ",
            $order,
            " LIMIT ?3"
        )
    };
}

/// A pool of connections.
#[derive(Debug)]
pub(in crate::feed) struct Readers {
    path: PathBuf,
    pool: Mutex<Pool>,
    free: Condvar,
}

#[derive(Debug, Default)]
struct Pool {
    idle: Vec<Connection>,
    busy: usize,
    /// Counts rebuilds: a connection to a file that is gone must not come back.
    generation: u64,
}

/// A connection for one query, which sees the feed as it was when the query began.
#[derive(Debug)]
pub(in crate::feed) struct Reader<'p> {
    readers: &'p Readers,
    connection: Option<Connection>,
    generation: u64,
    /// When it fails.
    deadline: Instant,
    /// When it gives what it has.
    late: Instant,
    /// First and last number of a row.
    span: (i64, i64),
}

impl Readers {
    pub(in crate::feed) fn new(path: PathBuf) -> Self {
        Self {
            path,
            pool: Mutex::default(),
            free: Condvar::new(),
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader for a query that ends by `deadline`.
    pub(in crate::feed) fn begin(&self, deadline: Instant) -> Result<Reader<'_>, StoreError> {
        let until = Instant::now() + TURN;
        let mut pool = self.pool();
        while pool.busy >= READERS_MAX {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(StoreError::Busy);
            }
            pool = self
                .free
                .wait_timeout(pool, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        pool.busy += 1;
        let idle = pool.idle.pop();
        let mut reader = Reader {
            readers: self,
            connection: idle,
            generation: pool.generation,
            deadline,
            late: deadline,
            span: (0, -1),
        };
        drop(pool);
        if reader.connection.is_none() {
            reader.connection = Some(self.connect()?);
        }
        reader.connection()?.execute_batch("BEGIN")?;
        reader.span = reader.read_span()?;
        Ok(reader)
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if !self.path.exists() {
            return Err(StoreError::Damaged("the file is gone".into()));
        }
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(Duration::from_secs(2))?;
        connection.execute_batch(&format!(
            "PRAGMA query_only = ON; PRAGMA cache_size = -{READER_CACHE_KIB};"
        ))?;
        connection.set_prepared_statement_cache_capacity(24);
        Ok(connection)
    }

    /// Closes every connection: the file was, or is about to be, replaced.
    pub(in crate::feed) fn renew(&self) {
        let mut pool = self.pool();
        pool.generation += 1;
        pool.idle.clear();
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let ended = self
            .connection
            .take()
            .filter(|connection| connection.execute_batch("ROLLBACK").is_ok());
        let mut pool = self.readers.pool();
        pool.busy = pool.busy.saturating_sub(1);
        if pool.generation == self.generation {
            pool.idle.extend(ended);
        }
        drop(pool);
        self.readers.free.notify_one();
    }
}

impl Reader<'_> {
    pub(super) fn connection(&self) -> Result<&Connection, StoreError> {
        self.connection.as_ref().ok_or(StoreError::Busy)
    }

    fn read_span(&self) -> Result<(i64, i64), StoreError> {
        let sql = "SELECT (SELECT min(number) FROM rows), (SELECT max(number) FROM rows)";
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let (first, last): (Option<i64>, Option<i64>) =
            statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((first.unwrap_or(0), last.unwrap_or(-1)))
    }

    /// The part of a range of rows in which there are rows.
    pub(super) fn within(&self, bounds: (i64, i64)) -> (i64, i64) {
        (bounds.0.max(self.span.0), bounds.1.min(self.span.1))
    }

    /// How many epochs a lookup asks.
    pub(in crate::feed) fn epochs(&self) -> i64 {
        rows::epoch(self.span.1) - rows::epoch(self.span.0) + 1
    }

    /// Whether the query's time is up.
    pub(in crate::feed) fn is_late(&self) -> bool {
        Instant::now() >= self.late
    }

    /// Gives what it has after so long.
    pub(in crate::feed) fn hurry(&mut self, time: Duration) {
        self.late = self.deadline.min(Instant::now() + time);
    }

    /// # Errors
    /// When the query's time is up.
    pub(in crate::feed) fn check_time(&self) -> Result<(), StoreError> {
        if Instant::now() >= self.deadline {
            return Err(StoreError::Slow);
        }
        Ok(())
    }

    /// The newest delivery that this reader sees.
    pub(in crate::feed) fn indexed_to(&self) -> Result<Seq, StoreError> {
        let sql = "SELECT indexed_to FROM meta";
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let seq: i64 = statement.query_row([], |row| row.get(0))?;
        Ok(Seq::try_from(seq).unwrap_or(0))
    }

    /// How many later deliveries repeated one.
    pub(in crate::feed) fn duplicates(&self, seq: Seq) -> Result<u64, StoreError> {
        let sql = "SELECT count FROM duplicates WHERE seq = ?1";
        let seq = i64::try_from(seq).unwrap_or(rows::SEQ_MAX);
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let count: Option<i64> = statement.query_row([seq], |row| row.get(0)).optional()?;
        Ok(count.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
    }

    /// Sequence numbers of a delivery's replays, newest first, at most so many.
    pub(in crate::feed) fn replays(&self, id: Uuid, limit: u32) -> Result<Vec<Seq>, StoreError> {
        let sql = "SELECT seq FROM replays WHERE original = ?1 ORDER BY seq DESC LIMIT ?2";
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let values = (id.as_bytes().as_slice(), limit);
        let found = statement.query_map(values, |row| row.get::<_, i64>(0))?;
        let seqs = found.map(|seq| Ok(Seq::try_from(seq?).unwrap_or(0)));
        seqs.collect()
    }

    /// Shows every kind with its number and how many rows it has.
    pub(in crate::feed) fn each_kind(
        &self,
        mut see: impl FnMut(i64, Kind, i64),
    ) -> Result<(), StoreError> {
        let sql =
            "SELECT id, event, webhook, provider, outcome, code, status, method, roles, flags,
                   rows FROM kinds";
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let mut found = statement.query([])?;
        let mut seen = 0_u32;
        while let Some(row) = found.next()? {
            let outcome: String = row.get(4)?;
            let kind = Kind {
                event: row.get(1)?,
                webhook: row.get(2)?,
                provider: row.get(3)?,
                outcome: Outcome::parse(&outcome)
                    .ok_or_else(|| StoreError::Damaged(format!("outcome `{outcome}`")))?,
                code: row.get(5)?,
                status: row.get(6)?,
                method: row.get(7)?,
                roles: row.get(8)?,
                flags: row.get(9)?,
            };
            see(row.get(0)?, kind, row.get(10)?);
            seen = seen.wrapping_add(1);
            if seen.is_multiple_of(4_096) {
                self.check_time()?;
            }
        }
        Ok(())
    }

    /// Adds the fingerprints of resources that fit a pattern.
    pub(in crate::feed) fn resources(
        &self,
        pattern: &Pattern,
        prints: &mut Prints,
    ) -> Result<(), StoreError> {
        if pattern.prefix().len() > RESOURCE_BYTES_MAX {
            prints.complete = false;
            return Ok(());
        }
        let sql = "SELECT text, print, whole FROM resources
                   WHERE epoch = ?1 AND text >= ?2 ORDER BY text";
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let mut seen = 0_u32;
        for epoch in rows::epoch(self.span.0)..=rows::epoch(self.span.1) {
            let mut found = statement.query(params![epoch, pattern.prefix()])?;
            while let Some(row) = found.next()? {
                let text = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
                let whole: bool = row.get(2)?;
                if !text.starts_with(pattern.prefix()) {
                    break;
                }
                if !whole {
                    // What was cut off may fit.
                    prints.complete = false;
                } else if pattern.matches(text) {
                    prints.set.insert(row.get(1)?);
                }
                if prints.set.len() > RESOURCES_MAX {
                    prints.complete = false;
                    return Ok(());
                }
                seen = seen.wrapping_add(1);
                if seen.is_multiple_of(4_096) {
                    self.check_time()?;
                }
            }
        }
        Ok(())
    }

    /// First and last row whose time can lie in a range; empty: the first is after the last.
    pub(in crate::feed) fn rows_of_time(
        &self,
        field: TimeField,
        range: Range,
    ) -> Result<(i64, i64), StoreError> {
        let field = match field {
            TimeField::Received => 0,
            TimeField::Occurred => 1,
        };
        let from = range.from.map_or(i64::MIN, |t| t.div_euclid(SPAN_MICROS));
        let to = range.to.map_or(i64::MAX, |t| t.div_euclid(SPAN_MICROS));
        let sql =
            "SELECT min(first), max(last) FROM spans WHERE field = ?1 AND part BETWEEN ?2 AND ?3";
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let found: (Option<i64>, Option<i64>) =
            statement.query_row([field, from, to], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((found.0.unwrap_or(1), found.1.unwrap_or(0)))
    }

    /// At most `limit` log rows of an index range with numbers in `bounds`, in order.
    pub(in crate::feed) fn log_rows(
        &self,
        arm: Arm,
        bounds: (i64, i64),
        ascending: bool,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let asc = ascending;
        // Which index is ours to say: SQLite has no statistics about a feed that changes all the time.
        let (sql, by_epoch, values) = match arm {
            Arm::Ring | Arm::Words => return Ok(Vec::new()),
            Arm::All => (log_rows!(asc, "NOT INDEXED", ""), false, [None, None]),
            Arm::Kind(kind) => (
                log_rows!(asc, "INDEXED BY rows_kind", "kind = ?4 AND "),
                false,
                [Some(kind), None],
            ),
            Arm::Delivery(half) => (
                log_rows!(asc, "INDEXED BY rows_delivery", "delivery = ?4 AND "),
                false,
                [Some(half), None],
            ),
            Arm::Resource { resource, kind } => (
                log_rows!(
                    asc,
                    "INDEXED BY rows_resource",
                    "number >> 29 = ?4 AND resource = ?5 AND kind = ?6 AND "
                ),
                true,
                [Some(resource), Some(kind)],
            ),
            Arm::Event(half) => (
                log_rows!(
                    asc,
                    "INDEXED BY rows_event",
                    "number >> 29 = ?4 AND event = ?5 AND "
                ),
                true,
                [Some(half), None],
            ),
            Arm::Key(print) => (
                log_rows!(
                    asc,
                    "INDEXED BY rows_key",
                    "number >> 29 = ?4 AND key = ?5 AND "
                ),
                true,
                [Some(print), None],
            ),
        };
        let bounds = self.within(bounds);
        let mut rows = Vec::new();
        if bounds.0 > bounds.1 {
            return Ok(rows);
        }
        let mut statement = self.connection()?.prepare_cached(sql)?;
        if !by_epoch {
            fetch(&mut statement, bounds, limit, values, &mut rows)?;
            return Ok(rows);
        }
        let (first, last) = (rows::epoch(bounds.0), rows::epoch(bounds.1));
        for step in 0..=last - first {
            let epoch = if ascending { first + step } else { last - step };
            let [a, b] = values;
            fetch(
                &mut statement,
                bounds,
                limit,
                [Some(epoch), a, b],
                &mut rows,
            )?;
            if rows.len() >= limit {
                break;
            }
        }
        Ok(rows)
    }

    /// At most `limit` ring entries after a position, in order.
    pub(in crate::feed) fn ring_rows(
        &self,
        after: Option<Position>,
        ascending: bool,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let sql = if ascending {
            "SELECT seq, idx, kind, received, delivery, key, peer FROM ring
             WHERE (seq, idx) > (?1, ?2) ORDER BY seq, idx LIMIT ?3"
        } else {
            "SELECT seq, idx, kind, received, delivery, key, peer FROM ring
             WHERE (seq, idx) < (?1, ?2) ORDER BY seq DESC, idx DESC LIMIT ?3"
        };
        let (seq, index) = match after {
            Some(after) => (
                i64::try_from(after.seq).unwrap_or(i64::MAX),
                i64::from(after.index),
            ),
            None if ascending => (-1, 0),
            None => (i64::MAX, 0),
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let found = statement.query_map(params![seq, index, limit], |row| {
            Ok(Row {
                position: ring_place(row)?,
                ring: true,
                kind: row.get(2)?,
                resource: None,
                received: row.get(3)?,
                occurred: None,
                event: None,
                delivery: row.get(4)?,
                key: row.get(5)?,
                peer: row.get(6)?,
            })
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// The delivery of a ring entry.
    pub(in crate::feed) fn ring_delivery(
        &self,
        position: Position,
    ) -> Result<Option<Delivery>, StoreError> {
        let sql = "SELECT head FROM ring WHERE seq = ?1 AND idx = ?2";
        let seq = i64::try_from(position.seq).unwrap_or(i64::MAX);
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let head: Option<Vec<u8>> = statement
            .query_row([seq, i64::from(position.index)], |row| row.get(0))
            .optional()?;
        head.map(|head| parse_head(&head)).transpose()
    }

    /// The request of a ring entry.
    pub(in crate::feed) fn ring_request(
        &self,
        position: Position,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT request FROM ring WHERE seq = ?1 AND idx = ?2";
        let seq = i64::try_from(position.seq).unwrap_or(i64::MAX);
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let found = statement.query_row([seq, i64::from(position.index)], |row| row.get(0));
        Ok(found.optional()?)
    }

    /// The ring entries whose delivery's id starts with this half: place, delivery, request.
    pub(in crate::feed) fn ring_by_delivery(
        &self,
        half: i64,
    ) -> Result<Vec<(Position, Delivery, Vec<u8>)>, StoreError> {
        let sql = "SELECT seq, idx, head, request FROM ring WHERE delivery = ?1 LIMIT 100";
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let mut found = statement.query([half])?;
        let mut entries = Vec::new();
        while let Some(row) = found.next()? {
            let position = ring_place(row)?;
            let head: Vec<u8> = row.get(2)?;
            entries.push((position, parse_head(&head)?, row.get(3)?));
        }
        Ok(entries)
    }

    /// The next rows of an arm of a plan, after those read before.
    pub(in crate::feed) fn arm_rows(
        &self,
        plan: &Plan<'_>,
        arm: Arm,
        last: Option<&Row>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        if arm == Arm::Ring {
            let after = last.map_or(plan.after, |row| Some(row.position));
            return self.ring_rows(after, plan.ascending, limit);
        }
        let mut bounds = plan.bounds;
        if let Some(last) = last {
            let number = last.number();
            if plan.ascending {
                bounds.0 = number.saturating_add(1);
            } else {
                bounds.1 = number - 1;
            }
        }
        if let (Arm::Words, Some(wanted)) = (arm, &plan.clue) {
            return self.worded_rows(wanted, bounds, plan.ascending, limit);
        }
        self.log_rows(arm, bounds, plan.ascending, limit)
    }
}

/// Adds rows until there are `limit`.
fn fetch<const N: usize>(
    statement: &mut Statement<'_>,
    bounds: (i64, i64),
    limit: usize,
    values: [Option<i64>; N],
    rows: &mut Vec<Row>,
) -> Result<(), rusqlite::Error> {
    let left = i64::try_from(limit.saturating_sub(rows.len())).unwrap_or(i64::MAX);
    let first = [bounds.0, bounds.1, left];
    let all = first.into_iter().chain(values.into_iter().flatten());
    for (i, value) in all.enumerate() {
        statement.raw_bind_parameter(i + 1, value)?;
    }
    let mut found = statement.raw_query();
    while let Some(row) = found.next()? {
        rows.push(log_row(row)?);
    }
    Ok(())
}

fn log_row(row: &SqlRow<'_>) -> Result<Row, rusqlite::Error> {
    Ok(Row {
        position: rows::position(row.get(0)?),
        ring: false,
        kind: row.get(1)?,
        resource: row.get(2)?,
        received: row.get(3)?,
        occurred: row.get(4)?,
        event: row.get(5)?,
        delivery: row.get(6)?,
        key: row.get(7)?,
        peer: row.get(8)?,
    })
}

/// The place of a ring entry, from the first two columns.
fn ring_place(row: &SqlRow<'_>) -> Result<Position, rusqlite::Error> {
    let seq: i64 = row.get(0)?;
    Ok(Position {
        seq: Seq::try_from(seq).unwrap_or(0),
        index: row.get(1)?,
    })
}

fn parse_head(head: &[u8]) -> Result<Delivery, StoreError> {
    serde_json::from_slice(head).map_err(|e| StoreError::Damaged(e.to_string()))
}
