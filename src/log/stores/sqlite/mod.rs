//! The log in SQLite: `log.db`, one table in sequence order, no secondary index.
//!
//! Threads: `log-writer` owns the only connection that writes; `log-checkpoint` copies the WAL into the
//! file on its own connection; `log-maintenance` finds what retention may take (the writer deletes it, in
//! small steps between commits), and writes the snapshot of delivery keys. Readers have a small pool.
//!
//! Invariants: an answer goes out only after `COMMIT` returned under `synchronous=FULL`; sequence numbers
//! have no gap but at the start; after a failed write nothing is retried in place.

mod checkpoint;
mod decide;
mod holders;
mod learn;
mod maintenance;
mod reader;
mod shared;
#[cfg(test)]
mod tests;
mod writer;

use super::schema::{self, Schema};
use crate::codes;
use crate::log::keys::snapshot;
use crate::log::queue::{Job, Prints};
use crate::log::{
    Append, AppendKeys, Appended, EventLog, LogError, LogStats, OpenError, Record, RetentionFloor,
    StoreSettings, keys, record,
};
use crate::model::{Outcome, Seq};
use crate::state::{State, stores::sqlite::SqliteState};
use crate::telemetry::Metrics;
pub use reader::ReadOnlyLog;
use shared::Shared;
pub(crate) use shared::{FailurePoint, Options};
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{oneshot, watch};

/// Measured with 5 KB rows (benches/append.rs): larger pages mean fewer writes to the WAL for a batch,
/// smaller ones less to write for a single delivery.
const PAGE_BYTES: u32 = 16 * 1024;

/// `log.db`.
pub(crate) const SCHEMA: Schema = Schema {
    application_id: 0x6867_6C67, // "hglg"
    page_bytes: PAGE_BYTES,
    migrations: &[
        "CREATE TABLE deliveries(seq INTEGER PRIMARY KEY, head BLOB NOT NULL, request BLOB)",
    ],
};

/// The log in a folder.
pub(crate) struct SqliteLog {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held as long as the log is open.
    lock: Mutex<Option<File>>,
}

/// Makes the folder, for its owner alone: it holds what senders send. One that is there keeps its mode.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Opens log and state in a folder, and starts the log's threads.
pub(crate) fn open(
    settings: &StoreSettings,
    metrics: &Metrics,
    options: Options,
) -> Result<(Arc<SqliteLog>, Arc<dyn State>), OpenError> {
    let folder = &settings.path;
    make_folder(folder).map_err(|error| schema::io_failed(folder, &error))?;
    let lock = lock(folder)?;
    let path = folder.join("log.db");
    let state_path = folder.join("state.db");
    // Both are looked at before either is touched.
    schema::check(&path, &SCHEMA)?;
    schema::check(&state_path, &SqliteState::SCHEMA)?;
    let conn = schema::open(&path, &SCHEMA)?;
    let state: Arc<dyn State> = Arc::new(SqliteState::open(&state_path)?);
    let shared = Shared::new(settings, metrics, options, path.clone());
    let start = learn::start(&shared, &conn).map_err(|error| schema::failed(&path, &error))?;
    let shared = Arc::new(shared.started(start));
    let log = Arc::new(SqliteLog {
        shared: Arc::clone(&shared),
        threads: Mutex::default(),
        lock: Mutex::new(Some(lock)),
    });
    // In the order in which they are joined: the writer last gives the others their work back.
    let writer = Arc::clone(&shared);
    log.spawn("log-writer", move || writer::run(&writer, conn))?;
    let other = Arc::clone(&shared);
    log.spawn("log-checkpoint", move || checkpoint::run(&other))?;
    log.spawn("log-maintenance", move || maintenance::run(&shared))?;
    Ok((log, state))
}

/// Opens the state alone, while no gateway runs on the folder; the lock is held as long as the file is kept.
pub(crate) fn open_state(folder: &Path) -> Result<(Arc<dyn State>, File), OpenError> {
    make_folder(folder).map_err(|error| schema::io_failed(folder, &error))?;
    let lock = lock(folder)?;
    let path = folder.join("state.db");
    schema::check(&path, &SqliteState::SCHEMA)?;
    Ok((Arc::new(SqliteState::open(&path)?), lock))
}

/// Takes the lock of a folder. The system lets it go when the process ends, however it ends.
fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| schema::io_failed(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(folder.display().to_string())),
        Err(TryLockError::Error(error)) => Err(schema::io_failed(&path, &error)),
    }
}

impl SqliteLog {
    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(|error| schema::io_failed(&self.shared.path, &error))?;
        self.shared.register(name, thread.thread().clone());
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.push(thread);
        Ok(())
    }

    /// Goes round once, as the maintenance thread does.
    #[cfg(test)]
    pub(crate) fn maintain(&self) {
        maintenance::pass(&self.shared);
    }
}

/// Fingerprints and own keys of a delivery, as they are stored.
fn prints_of(append: &Append) -> (Prints, Vec<u64>, &[String]) {
    let webhook = append.delivery.webhook.as_deref();
    let remembers = matches!(
        append.delivery.outcome,
        Outcome::Accepted | Outcome::Ignored | Outcome::Parked
    );
    match &append.keys {
        AppendKeys::Delivery(key) if remembers => {
            let print = keys::fingerprint(webhook, key);
            // Its text is in the delivery, unless the caller left it out there.
            let own = if append.delivery.key.as_ref() == Some(key) {
                &[]
            } else {
                std::slice::from_ref(key)
            };
            (Prints::Delivery(print), vec![print], own)
        }
        AppendKeys::PerEvent(list) if remembers && !list.is_empty() => {
            let prints: Vec<u64> = list.iter().map(|k| keys::fingerprint(webhook, k)).collect();
            (Prints::PerEvent(prints.clone()), prints, list)
        }
        AppendKeys::None | AppendKeys::Delivery(_) | AppendKeys::PerEvent(_) => {
            (Prints::None, Vec::new(), &[])
        }
    }
}

impl EventLog for SqliteLog {
    fn append(
        &self,
        append: Append,
    ) -> Result<oneshot::Receiver<Result<Appended, LogError>>, LogError> {
        self.shared.append(append)
    }

    fn read(
        &self,
        after: Seq,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Record>, LogError> {
        reader::read(&self.shared, after, records_max, bytes_max)
    }

    fn get(&self, seq: Seq) -> Result<Option<Record>, LogError> {
        reader::get(&self.shared, seq)
    }

    fn request(&self, seq: Seq) -> Result<Option<Vec<u8>>, LogError> {
        reader::request(&self.shared, seq)
    }

    fn head(&self) -> watch::Receiver<Seq> {
        self.shared.head.subscribe()
    }

    fn queued(&self) -> usize {
        self.shared.queue.queued()
    }

    fn set_retention_floor(&self, floor: RetentionFloor) {
        let mut slot = self
            .shared
            .floor
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *slot = Some(floor);
    }

    fn stats(&self) -> LogStats {
        self.shared.stats()
    }

    fn close(&self) {
        self.shared.queue.close();
        let threads = {
            let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *threads)
        };
        if threads.is_empty() {
            return;
        }
        self.shared.unpark_all();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the log ended by a panic");
            }
        }
        self.shared.finish();
        drop(
            self.lock
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }
}

impl Drop for SqliteLog {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// Encodes a delivery, on the caller's thread, and hands it to the writer.
    fn append(
        &self,
        append: Append,
    ) -> Result<oneshot::Receiver<Result<Appended, LogError>>, LogError> {
        self.queue.check()?;
        // hookgate's own events are few, and say what is the matter.
        if self.over_size.load(Ordering::Relaxed) && append.delivery.webhook.is_some() {
            return Err(LogError::OverSize);
        }
        let (prints, remembered, own) = prints_of(&append);
        let head = record::encode(&append.delivery, own, &append.contents, &remembered)
            .map_err(|reason| LogError::Failed(reason.into()))?;
        let (done, wait) = oneshot::channel();
        self.queue.push(Job {
            head,
            request: append.request,
            prints,
            received: append.delivery.received.as_microsecond(),
            appended: Appended {
                seq: 0,
                outcome: append.delivery.outcome,
                duplicate_of: None,
                events: append.delivery.events.len(),
                other_content: append.delivery.code == Some(codes::OTHER_CONTENT),
            },
            done,
        })?;
        Ok(wait)
    }

    /// The last things to do, when no thread runs any more: the WAL into the file, the keys to disk.
    fn finish(&self) {
        self.readers().clear();
        if let Err(error) = schema::reopen(&self.path).and_then(|conn| checkpoint::truncate(&conn))
        {
            tracing::warn!(%error, "the log could not be folded up; its WAL is read at the next start");
        }
        self.write_snapshot();
    }

    /// Writes the keys to disk; a failure costs only time at the next start.
    fn write_snapshot(&self) {
        let covered = snapshot::Covered {
            head: *self.head.borrow(),
            cleared: self.cleared.load(Ordering::Relaxed),
        };
        let Some(folder) = self.path.parent() else {
            return;
        };
        let written = match self.fails(FailurePoint::Snapshot) {
            Some(reason) => Err(std::io::Error::other(reason)),
            None => snapshot::write(&self.keys, folder, covered),
        };
        match written {
            Ok(()) => self.snapshot_head.store(covered.head, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, "the snapshot of delivery keys was not written"),
        }
    }
}
