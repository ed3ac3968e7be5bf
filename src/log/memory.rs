//! The model of the log: in memory, as simple as can be. For tests of the log and of what reads it.

use super::{
    Append, AppendKeys, Appended, EventLog, LogError, LogStats, Record, RetentionFloor, record,
};
use crate::model::{Delivery, Note, Outcome, Seq};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// A log that forgets everything when it is dropped.
#[derive(Debug)]
pub struct MemoryLog {
    inner: Mutex<Inner>,
    head: watch::Sender<Seq>,
    window: Duration,
}

#[derive(Debug, Default)]
struct Inner {
    rows: BTreeMap<Seq, (Delivery, Option<Vec<u8>>)>,
    keys: HashMap<(Option<String>, String), (Seq, i64)>,
    closed: bool,
    failing: bool,
}

impl MemoryLog {
    /// An empty log that remembers keys for `window`.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self {
            inner: Mutex::default(),
            head: watch::Sender::new(0),
            window,
        }
    }

    /// Makes appends fail, or work again.
    pub fn set_failing(&self, failing: bool) {
        self.lock().failing = failing;
    }

    /// Deletes deliveries up to `to`.
    pub fn delete_to(&self, to: Seq) {
        self.lock().rows.retain(|seq, _| *seq > to);
    }

    /// Deletes the requests of deliveries up to `to` that are not parked.
    pub fn clear_to(&self, to: Seq) {
        for (_, (delivery, request)) in self.lock().rows.range_mut(..=to) {
            if delivery.outcome != Outcome::Parked {
                *request = None;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn holder(&self, webhook: Option<&String>, key: &str, at: i64, window: i64) -> Option<Seq> {
        let held = self.keys.get(&(webhook.cloned(), key.to_owned()))?;
        (at - held.1 < window).then_some(held.0)
    }

    fn decide(&mut self, delivery: &mut Delivery, keys: &AppendKeys, seq: Seq, window: i64) {
        let webhook = delivery.webhook.clone();
        let at = delivery.received.as_microsecond();
        let keys = match keys {
            AppendKeys::None => return,
            AppendKeys::Delivery(key) => vec![key.clone()],
            AppendKeys::PerEvent(keys) => keys.clone(),
        };
        let known: Vec<Option<Seq>> = keys
            .iter()
            .map(|key| self.holder(webhook.as_ref(), key, at, window))
            .collect();
        if let Some(of) = known.iter().flatten().next()
            && known.iter().all(Option::is_some)
        {
            delivery.outcome = Outcome::Duplicate;
            delivery.duplicate_of = Some(*of);
            delivery.events.clear();
            (delivery.code, delivery.error) = (None, None);
            return;
        }
        let before = delivery.events.len();
        if known.len() == before {
            let mut each = known.iter();
            delivery.events.retain(|_| each.next().unwrap().is_none());
        }
        if delivery.events.len() < before {
            delivery.notes.push(Note {
                code: None,
                message: "left out".to_owned(),
            });
        }
        for (key, known) in keys.into_iter().zip(known) {
            if known.is_none() {
                self.keys.insert((webhook.clone(), key), (seq, at));
            }
        }
    }
}

impl EventLog for MemoryLog {
    fn append(
        &self,
        append: Append,
    ) -> Result<oneshot::Receiver<Result<Appended, LogError>>, LogError> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(LogError::Closed);
        }
        if inner.failing {
            return Err(LogError::Failed("made to fail".into()));
        }
        let seq = *self.head.borrow() + 1;
        let mut delivery = append.delivery;
        let window = i64::try_from(self.window.as_micros()).unwrap_or(i64::MAX);
        inner.decide(&mut delivery, &append.keys, seq, window);
        let appended = Appended {
            seq,
            outcome: delivery.outcome,
            duplicate_of: delivery.duplicate_of,
            events: delivery.events.len(),
            other_content: false,
        };
        inner.rows.insert(seq, (delivery, append.request));
        drop(inner);
        self.head.send_replace(seq);
        let (done, wait) = oneshot::channel();
        done.send(Ok(appended)).unwrap();
        Ok(wait)
    }

    fn read(
        &self,
        after: Seq,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Record>, LogError> {
        let mut bytes = 0;
        let inner = self.lock();
        let rows = inner.rows.range(after + 1..).take(records_max);
        let fitting = rows.take_while(|(_, (delivery, _))| {
            let first = bytes == 0;
            bytes += serde_json::to_string(delivery).unwrap().len();
            first || bytes <= bytes_max
        });
        Ok(fitting
            .map(|(seq, (delivery, _))| Record {
                seq: *seq,
                delivery: delivery.clone(),
            })
            .collect())
    }

    fn get(&self, seq: Seq) -> Result<Option<Record>, LogError> {
        Ok(self.lock().rows.get(&seq).map(|(delivery, _)| Record {
            seq,
            delivery: delivery.clone(),
        }))
    }

    fn request(&self, seq: Seq) -> Result<Option<Vec<u8>>, LogError> {
        let inner = self.lock();
        let Some((_, Some(request))) = inner.rows.get(&seq) else {
            return Ok(None);
        };
        record::decompress_request(request, None)
            .map(Some)
            .map_err(|reason| LogError::Damaged { seq, reason })
    }

    fn head(&self) -> watch::Receiver<Seq> {
        self.head.subscribe()
    }

    fn queued(&self) -> usize {
        0
    }

    fn set_retention_floor(&self, _floor: RetentionFloor) {}

    fn stats(&self) -> LogStats {
        let inner = self.lock();
        let oldest = inner.rows.iter().next();
        LogStats {
            head: *self.head.borrow(),
            oldest: oldest.map_or(0, |(seq, _)| *seq),
            oldest_received: oldest.map(|(_, (delivery, _))| delivery.received),
            bytes: 0,
            queued: 0,
            writable: !inner.failing,
            over_size: false,
        }
    }

    fn close(&self) {
        self.lock().closed = true;
    }
}
