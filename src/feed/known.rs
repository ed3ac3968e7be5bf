//! What a query asks and no record holds: headers of the stored request, and how far sinks are.

use super::stores::sqlite::Reader;
use crate::log::EventLog;
use crate::model::{Headers, Position, Seq, http_file};
use crate::query::{Known, SinkView};
use jiff::Timestamp;

/// Reads what is asked, when it is asked.
pub(crate) struct Knowledge<'a> {
    log: &'a dyn EventLog,
    seq: Option<Seq>,
    ring: Option<(&'a Reader<'a>, Position)>,
    sinks: &'a [SinkView],
}

impl<'a> Knowledge<'a> {
    pub(crate) fn new(log: &'a dyn EventLog, seq: Option<Seq>, sinks: &'a [SinkView]) -> Self {
        Self {
            log,
            seq,
            ring: None,
            sinks,
        }
    }

    pub(super) fn of_ring(mut self, reader: &'a Reader<'a>, position: Position) -> Self {
        self.ring = Some((reader, position));
        self
    }
}

impl Known for Knowledge<'_> {
    fn headers(&self) -> Option<Headers> {
        let bytes = match (self.ring, self.seq) {
            (Some((reader, position)), _) => reader.ring_request(position).ok().flatten()?,
            (None, Some(seq)) => self.log.request(seq).ok().flatten()?,
            (None, None) => return None,
        };
        let request = http_file::parse(&bytes, Timestamp::UNIX_EPOCH).ok()?;
        Some(request.headers)
    }

    fn sinks(&self) -> &[SinkView] {
        self.sinks
    }
}
