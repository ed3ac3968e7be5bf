//! The feed over a log: waits for the indexer, makes a plan, reads pages, fetches records from the log.

use super::indexer::{Clocks, Indexer};
use super::known::Knowledge;
use super::merge::{Merge, place};
use super::plan::{Arm, Plan};
use super::progress::Progress;
use super::rows::{Row, half};
use super::stores::sqlite::{self, Kept, Reader, Readers, StoreError, Writer};
use super::{Budget, Counted, DeliveryRow, EventRow, Facet, FacetKey, Feed, FeedError, Histogram};
use super::{Over, Page, Paging, RING_QUEUE, RingEntry, SinksNow, What};
use crate::log::{EventLog, LogError, Record};
use crate::model::{Delivery, Event, Outcome, Position, Seq, limits};
use crate::query::{Query, SinkView, Subject, Truth};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

/// Whether tests run this code: they share the machine with other work, and ask what is found, not how soon.
const UNHURRIED: bool = cfg!(any(test, debug_assertions));
/// How long a query waits for the indexer.
const CATCH_UP: Duration = Duration::from_secs(if UNHURRIED { 25 } else { 2 });
/// How long a figure does.
const GLANCE: Duration = Duration::from_millis(100);
/// How long a query may run; a page that is not full by then says where the next one starts.
const QUERY_TIME: Duration = Duration::from_secs(5);
/// Bytes of one page at most (one larger row still gets its own), so that memory stays bounded.
const PAGE_BYTES: usize = 8 * 1024 * 1024;
/// Replays of one delivery that are found.
const REPLAYS_SHOWN: u32 = 100;
/// Bytes that a delivery or an event has beside its payload, roughly.
const ROW_BYTES: usize = 512;

/// The feed.
pub(super) struct LogFeed {
    pub(super) log: Arc<dyn EventLog>,
    readers: Arc<Readers>,
    progress: Arc<Progress>,
    ring: mpsc::Sender<Kept>,
    kept: watch::Sender<u64>,
    sinks: OnceLock<SinksNow>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The lowest of all priorities, 19 (setpriority(2)).
#[cfg(target_os = "linux")]
const LOWEST_PRIORITY: i32 = 19;

/// Gives the calling thread the lowest priority: on a busy core it gets what others leave, on an idle one all.
/// Measured: beside a saturated intake on one core it had a fifth of it before.
fn give_way() {
    #[cfg(target_os = "linux")]
    if !UNHURRIED {
        use rustix::{process::setpriority_process, thread::gettid};
        // On Linux a thread has a priority of its own (setpriority(2), "C library/kernel differences").
        if let Err(error) = setpriority_process(Some(gettid()), LOWEST_PRIORITY) {
            tracing::warn!(%error, "the indexer's priority cannot be lowered");
        }
    }
}

impl LogFeed {
    pub(super) fn start(folder: &Path, log: Arc<dyn EventLog>) -> Result<Self, FeedError> {
        let path = sqlite::file(folder);
        let writer = match usable(&path, &*log) {
            Some(writer) => writer,
            None => sqlite::create(&path).map_err(|e| failed(&e))?,
        };
        let progress = Arc::new(Progress::default());
        let indexed = writer.indexed_to().map_err(|e| failed(&e))?;
        progress.set(|state| state.indexed = indexed);
        let readers = Arc::new(Readers::new(path.clone()));
        let (sender, receiver) = mpsc::channel(RING_QUEUE);
        let indexer = Indexer {
            log: Arc::clone(&log),
            path,
            writer,
            readers: Arc::clone(&readers),
            progress: Arc::clone(&progress),
            ring: receiver,
            clocks: Clocks::default(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|e| failed(&e))?;
        let thread = std::thread::Builder::new()
            .name("feed-indexer".into())
            .spawn(move || {
                give_way();
                runtime.block_on(indexer.run());
            })
            .map_err(|e| failed(&e))?;
        Ok(Self {
            log,
            readers,
            progress,
            ring: sender,
            kept: watch::Sender::new(0),
            sinks: OnceLock::new(),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Begins a query: what was acknowledged before is in, if that takes no longer than it may.
    fn begin(&self) -> Result<Reader<'_>, FeedError> {
        self.begin_within(CATCH_UP)
    }

    /// Begins a count, which may take so long.
    pub(super) fn begin_count(&self, time: Duration) -> Result<Reader<'_>, FeedError> {
        let mut reader = self.begin_within(CATCH_UP)?;
        reader.hurry(time);
        Ok(reader)
    }

    fn begin_within(&self, patience: Duration) -> Result<Reader<'_>, FeedError> {
        let head = *self.log.head().borrow();
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            self.progress.wait_for(head, left);
            let reader = self
                .readers
                .begin(Instant::now() + QUERY_TIME)
                .map_err(|e| self.report(&e))?;
            let indexed = reader.indexed_to().map_err(|e| self.report(&e))?;
            // Behind what was waited for: the store is just being made again.
            if indexed >= head || left.is_zero() {
                return Ok(reader);
            }
        }
    }

    /// The error for the caller; a damaged store is made again by the indexer.
    pub(super) fn report(&self, error: &StoreError) -> FeedError {
        if let StoreError::Damaged(_) = error {
            self.progress.set(|state| state.damaged += 1);
            self.progress.wake.notify_one();
        }
        failed(error)
    }

    /// The sinks, where a query asks for them.
    pub(super) fn sinks_for(&self, query: &Query) -> Vec<SinkView> {
        if query.asks_sinks() {
            self.sinks()
        } else {
            Vec::new()
        }
    }

    fn page<T>(
        &self,
        query: &Query,
        paging: Paging,
        what: What,
        fetch: impl Fn(&Reader<'_>, &mut Records<'_>, &Row) -> Result<Option<(T, usize)>, Stop>,
    ) -> Result<Page<T>, FeedError> {
        let sinks = self.sinks_for(query);
        let reader = self.begin()?;
        let pager = Pager {
            reader: &reader,
            records: Records::new(&*self.log),
            sinks: &sinks,
            limit: paging.limit.clamp(1, limits::PAGE_ROWS_MAX),
            rows: Vec::new(),
            bytes: 0,
            scanned: 0,
        };
        match pager.run(query, paging, what, fetch) {
            Ok(page) => Ok(page),
            Err(Stop::Store(error)) => Err(self.report(&error)),
            Err(Stop::Log(error)) => Err(failed(&error)),
        }
    }

    /// Calls `find` until it has found something, for each log row of an index range, newest first.
    fn find<T>(
        &self,
        reader: &Reader<'_>,
        arm: Arm,
        find: impl Fn(Seq, &Record) -> Option<T>,
    ) -> Result<Option<T>, FeedError> {
        let mut records = Records::new(&*self.log);
        let mut bounds = (0, i64::MAX);
        loop {
            let rows = reader
                .log_rows(arm, bounds, false, 100)
                .map_err(|e| self.report(&e))?;
            for row in &rows {
                let record = records.get(row.position.seq).map_err(|e| failed(&e))?;
                if let Some(found) = record.and_then(|r| find(row.position.seq, r)) {
                    return Ok(Some(found));
                }
            }
            match rows.last() {
                Some(last) if rows.len() == 100 && !reader.is_late() => {
                    let index = usize::try_from(last.position.index).unwrap_or(0);
                    bounds.1 = super::rows::number(last.position.seq, index) - 1;
                }
                _ => return Ok(None),
            }
        }
    }
}

/// An existing feed of this very log.
fn usable(path: &Path, log: &dyn EventLog) -> Option<Writer> {
    let writer = match sqlite::open_existing(path) {
        Ok(writer) => writer?,
        Err(error) => {
            tracing::warn!(%error, "feed.db cannot be used and is rebuilt from the log");
            return None;
        }
    };
    let indexed = writer.indexed_to().ok()?;
    if indexed > *log.head().borrow() {
        tracing::warn!("feed.db is ahead of the log and is rebuilt from it");
        return None;
    }
    let Some(identity) = writer.identity().ok()? else {
        return (indexed == 0).then_some(writer);
    };
    match log.get(identity.seq) {
        Ok(Some(record)) if record.delivery.id == identity.delivery => Some(writer),
        // It was the right delivery once; a damaged record says nothing about the others.
        Err(LogError::Damaged { .. }) => Some(writer),
        Ok(_) | Err(_) => {
            tracing::warn!("feed.db belongs to another log and is rebuilt");
            None
        }
    }
}

pub(super) fn failed(error: &dyn std::fmt::Display) -> FeedError {
    FeedError(error.to_string().into())
}

/// Why a page was not made.
pub(super) enum Stop {
    Store(StoreError),
    Log(LogError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<LogError> for Stop {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

/// Records of the log, the last one at hand: rows of one delivery come together.
pub(super) struct Records<'l> {
    log: &'l dyn EventLog,
    last: Option<(Seq, Option<Record>)>,
}

impl<'l> Records<'l> {
    pub(super) fn new(log: &'l dyn EventLog) -> Self {
        Self { log, last: None }
    }

    /// A record; none where retention took it or it is damaged.
    pub(super) fn get(&mut self, seq: Seq) -> Result<Option<&Record>, LogError> {
        if self.last.as_ref().is_none_or(|(at, _)| *at != seq) {
            let record = match self.log.get(seq) {
                Ok(record) => record,
                Err(LogError::Damaged { seq, reason }) => {
                    tracing::warn!(seq, reason, "a damaged record is left out of a page");
                    None
                }
                Err(error) => return Err(error),
            };
            self.last = Some((seq, record));
        }
        Ok(self.last.as_ref().and_then(|(_, record)| record.as_ref()))
    }
}

/// One page in the making.
struct Pager<'r, 'l, T> {
    reader: &'r Reader<'r>,
    records: Records<'l>,
    sinks: &'r [SinkView],
    limit: usize,
    rows: Vec<T>,
    bytes: usize,
    scanned: u64,
}

impl<T> Pager<'_, '_, T> {
    fn run(
        mut self,
        query: &Query,
        paging: Paging,
        what: What,
        fetch: impl Fn(&Reader<'_>, &mut Records<'_>, &Row) -> Result<Option<(T, usize)>, Stop>,
    ) -> Result<Page<T>, Stop> {
        let indexed_to = self.reader.indexed_to()?;
        let (after, ascending) = (paging.after, paging.ascending);
        let plan = Plan::new(query, what, after, ascending, self.sinks, self.reader)?;
        let mut merge = Merge::new(&plan, self.limit, self.reader)?;
        // The place of the rows being looked at, whether it is on the page or surely not, and the place before it.
        let (mut here, mut settled, mut done) = (None, false, None);
        let (mut next, mut complete) = (None, true);
        while let Some(row) = merge.next(self.reader)? {
            self.scanned += 1;
            let place = place(what, &row);
            if here != Some(place) {
                done = here;
                here = Some(place);
                settled = false;
                if done.is_some() && self.reader.is_late() {
                    next = done;
                    complete = false;
                    break;
                }
            }
            if settled || plan.truth(&row) == Truth::No {
                continue;
            }
            if self.rows.len() >= self.limit {
                next = done;
                break;
            }
            settled = true;
            let Some((item, bytes)) = fetch(self.reader, &mut self.records, &row)? else {
                continue;
            };
            if !self.rows.is_empty() && self.bytes + bytes > PAGE_BYTES {
                next = done;
                break;
            }
            self.bytes += bytes;
            self.rows.push(item);
        }
        Ok(Page {
            rows: self.rows,
            next,
            indexed_to,
            scanned: self.scanned,
            complete,
        })
    }
}

fn event_row(position: Position, delivery: &Delivery, event: &Event) -> EventRow {
    EventRow {
        position,
        delivery: delivery.id,
        received: delivery.received,
        webhook: delivery.webhook.clone(),
        event: event.clone(),
        trace: delivery.trace.clone().map(|hop| hop.trace),
    }
}

fn event_bytes(event: &Event) -> usize {
    let labels = event.related.iter().chain([&event.resource]);
    let pairs = labels.flatten().map(|(k, v)| k.len() + v.len() + 64);
    ROW_BYTES + event.payload.get().len() + pairs.sum::<usize>()
}

fn delivery_row(
    reader: &Reader<'_>,
    seq: Seq,
    delivery: &Delivery,
) -> Result<DeliveryRow, StoreError> {
    Ok(DeliveryRow {
        position: Position { seq, index: 0 },
        seq: Some(seq),
        delivery: delivery.clone(),
        duplicates: reader.duplicates(seq)?,
    })
}

fn ring_row(position: Position, delivery: Delivery) -> DeliveryRow {
    DeliveryRow {
        position,
        seq: None,
        delivery,
        duplicates: 0,
    }
}

impl Feed for LogFeed {
    fn events(&self, query: &Query, paging: Paging) -> Result<Page<EventRow>, FeedError> {
        let sinks = self.sinks_for(query);
        self.page(query, paging, What::Events, |_, records, row| {
            let seq = row.position.seq;
            let Some(record) = records.get(seq)? else {
                return Ok(None);
            };
            let index = usize::try_from(row.position.index).unwrap_or(usize::MAX);
            let event = record.delivery.events.get(index);
            let known = Knowledge::new(&*self.log, Some(seq), &sinks);
            let event = event.filter(|event| {
                let subject = Subject::new(Some(event), &record.delivery, Some(seq));
                query.matches_subject(&subject.with(row.position.index, &known))
            });
            let found = event.map(|e| event_row(row.position, &record.delivery, e));
            Ok(found.map(|row| {
                let bytes = event_bytes(&row.event);
                (row, bytes)
            }))
        })
    }

    fn deliveries(&self, query: &Query, paging: Paging) -> Result<Page<DeliveryRow>, FeedError> {
        let sinks = self.sinks_for(query);
        self.page(query, paging, What::Deliveries, |reader, records, row| {
            let found = if row.ring {
                let delivery = reader.ring_delivery(row.position)?;
                delivery.map(|delivery| ring_row(row.position, delivery))
            } else {
                let seq = row.position.seq;
                let record = records.get(seq)?;
                record
                    .map(|record| delivery_row(reader, seq, &record.delivery))
                    .transpose()?
            };
            let found = found.filter(|found| {
                let known = Knowledge::new(&*self.log, found.seq, &sinks);
                let known = if row.ring {
                    known.of_ring(reader, row.position)
                } else {
                    known
                };
                query.matches_delivery_with(&found.delivery, found.seq, &known)
            });
            Ok(found.map(|row| {
                let events = row.delivery.events.iter().map(event_bytes);
                let bytes = ROW_BYTES + events.sum::<usize>();
                (row, bytes)
            }))
        })
    }

    fn event(&self, id: Uuid) -> Result<Option<EventRow>, FeedError> {
        let reader = self.begin()?;
        self.find(&reader, Arm::Event(half(id)), |seq, record| {
            let mut events = record.delivery.events.iter().enumerate();
            let (index, event) = events.find(|(_, event)| event.id == id)?;
            let index = u32::try_from(index).ok()?;
            Some(event_row(Position { seq, index }, &record.delivery, event))
        })
    }

    fn delivery(&self, id: Uuid) -> Result<Option<DeliveryRow>, FeedError> {
        let reader = self.begin()?;
        let found = self.find(&reader, Arm::Delivery(half(id)), |seq, record| {
            (record.delivery.id == id).then(|| (seq, record.delivery.clone()))
        })?;
        if let Some((seq, delivery)) = found {
            let row = delivery_row(&reader, seq, &delivery).map_err(|e| self.report(&e))?;
            return Ok(Some(row));
        }
        let entries = reader.ring_by_delivery(half(id));
        let mut entries = entries.map_err(|e| self.report(&e))?.into_iter();
        let entry = entries.find(|(_, delivery, _)| delivery.id == id);
        Ok(entry.map(|(position, delivery, _)| ring_row(position, delivery)))
    }

    fn replays(&self, id: Uuid) -> Result<Vec<Uuid>, FeedError> {
        let reader = self.begin()?;
        let seqs = reader.replays(id, REPLAYS_SHOWN);
        let mut records = Records::new(&*self.log);
        let mut ids = Vec::new();
        for seq in seqs.map_err(|e| self.report(&e))? {
            let record = records.get(seq).map_err(|e| failed(&e))?;
            let record = record.filter(|record| record.delivery.replay_of == Some(id));
            ids.extend(record.map(|record| record.delivery.id));
        }
        Ok(ids)
    }

    fn ring_request(&self, id: Uuid) -> Result<Option<Vec<u8>>, FeedError> {
        let reader = self.begin()?;
        let entries = reader.ring_by_delivery(half(id));
        let mut entries = entries.map_err(|e| self.report(&e))?.into_iter();
        let entry = entries.find(|(_, delivery, _)| delivery.id == id);
        Ok(entry.map(|(_, _, request)| request))
    }

    fn parked(&self) -> Result<BTreeMap<String, u64>, FeedError> {
        let reader = self.begin_within(GLANCE)?;
        let mut parked = BTreeMap::new();
        let counted = reader.each_kind(|_, kind, rows| {
            // A parked delivery has no events, and so one row.
            if kind.outcome == Outcome::Parked && rows > 0 {
                *parked.entry(kind.webhook).or_insert(0) += rows.unsigned_abs();
            }
        });
        counted.map_err(|e| self.report(&e))?;
        Ok(parked)
    }

    fn count(&self, what: What, query: &Query, budget: Budget) -> Result<Counted<()>, FeedError> {
        self.count_matches(what, query, budget)
    }

    fn histogram(
        &self,
        what: What,
        query: &Query,
        over: Over,
        budget: Budget,
    ) -> Result<Counted<Histogram>, FeedError> {
        self.count_over_time(what, query, over, budget)
    }

    fn facets(
        &self,
        what: What,
        query: &Query,
        keys: &[FacetKey],
        budget: Budget,
    ) -> Result<Counted<Vec<Facet>>, FeedError> {
        self.count_values(what, query, keys, budget)
    }

    fn set_sinks(&self, sinks: SinksNow) {
        if self.sinks.set(sinks).is_err() {
            tracing::warn!("the feed has been told of the sinks before");
        }
    }

    fn sinks(&self) -> Vec<SinkView> {
        self.sinks.get().map_or_else(Vec::new, |sinks| sinks())
    }

    fn kept(&self) -> watch::Receiver<u64> {
        self.kept.subscribe()
    }

    fn keep(&self, entry: RingEntry) {
        let log_head = self.log.head();
        // Counted under the lock, so that nobody waits for what was dropped. The head is read under it too: whoever
        // waited for all that was kept before has seen no delivery that this entry is to stand before.
        self.progress.set(|state| {
            let head = *log_head.borrow();
            if self.ring.try_send(Kept { entry, head }).is_ok() {
                state.kept += 1;
            }
        });
        self.progress.wake.notify_one();
        self.kept.send_modify(|kept| *kept += 1);
    }

    fn indexed_to(&self) -> Seq {
        self.progress.get().indexed
    }

    fn close(&self) {
        // The indexer's connection closes last, so that it puts everything into the one file.
        self.readers.renew();
        self.progress.set(|state| state.stopped = true);
        self.progress.wake.notify_one();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the indexer ended by a panic");
        }
    }
}

impl Drop for LogFeed {
    fn drop(&mut self) {
        self.close();
    }
}
