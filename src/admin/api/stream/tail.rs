//! The newest records of the log, read once for all who watch.

use crate::log::{EventLog, LogError, Record};
use crate::model::Seq;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Records that are read at once.
const RECORDS: usize = 500;
/// Bytes that are read at once.
const BYTES: usize = 1024 * 1024;
/// Bytes of records that are kept at most.
const KEPT_BYTES: usize = 8 * 1024 * 1024;
/// Records that are kept at most.
const KEPT_RECORDS: usize = 4_096;

/// Records one behind the other, up to the newest that was read.
#[derive(Debug, Default)]
pub(crate) struct Tail(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    records: VecDeque<(usize, Arc<Record>)>,
    bytes: usize,
}

impl Tail {
    /// The next records after a place; blocks.
    ///
    /// # Errors
    /// As [`EventLog::read`].
    pub(super) fn read(
        &self,
        log: &dyn EventLog,
        after: Seq,
    ) -> Result<Vec<Arc<Record>>, LogError> {
        // Whoever comes while another reads the newest ones waits, and then has them.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept.records.front().map(|(_, record)| record.seq);
        let last = kept.records.back().map(|(_, record)| record.seq);
        if let (Some(first), Some(last)) = (first, last) {
            if first <= after + 1 && after < last {
                let from = kept
                    .records
                    .partition_point(|(_, record)| record.seq <= after);
                let found = kept.records.iter().skip(from).take(RECORDS);
                return Ok(found.map(|(_, record)| Arc::clone(record)).collect());
            }
            if after < first {
                // Far behind: read for this one alone, and let the others go on.
                drop(kept);
                let records = log.read(after, RECORDS, BYTES)?;
                return Ok(records.into_iter().map(Arc::new).collect());
            }
        }
        let records = log.read(after, RECORDS, BYTES)?;
        let records: Vec<Arc<Record>> = records.into_iter().map(Arc::new).collect();
        if last.is_some_and(|last| last != after) {
            *kept = Kept::default();
        }
        for record in &records {
            kept.push(Arc::clone(record));
        }
        Ok(records)
    }
}

impl Kept {
    fn push(&mut self, record: Arc<Record>) {
        let events = record.delivery.events.iter();
        let bytes = 512 + events.map(|e| 512 + e.payload.get().len()).sum::<usize>();
        self.bytes += bytes;
        self.records.push_back((bytes, record));
        while self.bytes > KEPT_BYTES || self.records.len() > KEPT_RECORDS {
            let Some((bytes, _)) = self.records.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }
}
