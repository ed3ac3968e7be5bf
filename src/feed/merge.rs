//! Several index ranges as one ordered stream of rows, read in small pieces.

use super::What;
use super::plan::{Arm, Plan};
use super::rows::Row;
use super::stores::sqlite::{Reader, StoreError};
use crate::model::Position;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Rows of one piece at most: some milliseconds, after which the time is looked at.
const PIECE_ROWS_MAX: usize = 2_048;
/// Rows of the first piece of an arm at least.
const PIECE_ROWS_MIN: usize = 4;

/// Rows of all arms of a plan, in the order asked for.
#[derive(Debug)]
pub(super) struct Merge<'p, 'q> {
    plan: &'p Plan<'q>,
    arms: Vec<Reading>,
    heads: BinaryHeap<Head>,
}

#[derive(Debug)]
struct Reading {
    arm: Arm,
    buffer: VecDeque<Row>,
    last: Option<Row>,
    piece: usize,
    ended: bool,
}

/// Where an arm stands. The greatest comes first: descending as it is, ascending reversed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Head {
    Ascending(Reverse<Position>, usize),
    Descending(Position, usize),
}

impl<'p, 'q> Merge<'p, 'q> {
    pub(super) fn new(
        plan: &'p Plan<'q>,
        limit: usize,
        reader: &Reader<'_>,
    ) -> Result<Self, StoreError> {
        let count = plan.arms.len().max(1);
        let piece = (2 * limit / count).clamp(PIECE_ROWS_MIN, limit.max(PIECE_ROWS_MIN) + 1);
        let reading = |arm: &Arm| Reading {
            arm: *arm,
            buffer: VecDeque::new(),
            last: None,
            piece,
            ended: false,
        };
        let mut merge = Self {
            plan,
            arms: plan.arms.iter().map(reading).collect(),
            heads: BinaryHeap::with_capacity(count),
        };
        for arm in 0..merge.arms.len() {
            merge.advance(arm, reader)?;
            reader.check_time()?;
        }
        Ok(merge)
    }

    /// The next row.
    pub(super) fn next(&mut self, reader: &Reader<'_>) -> Result<Option<Row>, StoreError> {
        let Some(Head::Ascending(_, arm) | Head::Descending(_, arm)) = self.heads.pop() else {
            return Ok(None);
        };
        let row = self.arms.get_mut(arm).and_then(|a| a.buffer.pop_front());
        self.advance(arm, reader)?;
        Ok(row)
    }

    /// Reads more of an arm where needed, and says where it stands.
    fn advance(&mut self, index: usize, reader: &Reader<'_>) -> Result<(), StoreError> {
        let Some(arm) = self.arms.get_mut(index) else {
            return Ok(());
        };
        if arm.buffer.is_empty() && !arm.ended {
            let rows = reader.arm_rows(self.plan, arm.arm, arm.last.as_ref(), arm.piece)?;
            arm.ended = rows.len() < arm.piece;
            arm.last = rows.last().copied();
            arm.buffer.extend(rows);
            arm.piece = (arm.piece * 2).min(PIECE_ROWS_MAX);
        }
        if let Some(row) = arm.buffer.front() {
            let place = place(self.plan.what, row);
            self.heads.push(if self.plan.ascending {
                Head::Ascending(Reverse(place), index)
            } else {
                Head::Descending(place, index)
            });
        }
        Ok(())
    }
}

/// Where a row stands: rows of one delivery stand together when deliveries are asked for.
pub(super) fn place(what: What, row: &Row) -> Position {
    match what {
        What::Deliveries if !row.ring => Position {
            seq: row.position.seq,
            index: 0,
        },
        What::Events | What::Deliveries => row.position,
    }
}
