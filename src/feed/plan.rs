//! How a query is answered: which index ranges are read, and which of their rows can match.
//!
//! A plan may let a row through that does not match, since fingerprints and unresolved wildcards are not
//! certain; it never leaves one out that does. The record from the log has the last word.

use super::What;
use super::clues;
use super::rows::{self, Kind, Row, half};
use super::stores::sqlite::{Reader, StoreError};
use crate::model::Position;
use crate::query::{
    Expr, Has, Pattern, Query, Range, SinkState, SinkView, Term, TextField, TimeField,
};
use crate::query::{Truth, UuidField};
use std::collections::{HashMap, HashSet};

/// Index ranges that one query merges at most; each costs a seek of some microseconds.
const ARMS_MAX: usize = 2_048;
/// Kinds that are read range by range at most; with more the rows are read in order.
const KIND_ARMS_MAX: usize = 256;
/// Kinds that a plan holds in memory at most; with more every row is checked by its record.
const KINDS_MAX: usize = 50_000;
/// Below this many rows the kinds' ranges are read even where another index could be used.
const FEW_ROWS: i64 = 5_000;

/// Rows that could be read in the time of one seek.
const SEEK_ROWS: i64 = 8;

/// An index range, read in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arm {
    /// Every row.
    All,
    Kind(i64),
    Resource {
        resource: i64,
        kind: i64,
    },
    Event(i64),
    Delivery(i64),
    Key(i64),
    /// Rows of documents that have the words.
    Words,
    /// Every ring entry.
    Ring,
}

/// Fingerprints that a term stands for.
#[derive(Debug, Default)]
pub(super) struct Prints {
    pub(super) set: HashSet<i64>,
    /// Whether nothing else can match.
    pub(super) complete: bool,
}

/// Where to look and what to let through.
#[derive(Debug)]
pub(super) struct Plan<'q> {
    query: &'q Query,
    /// Kinds that can match, with whether they match whatever the rest of the row is; none: too many.
    kinds: Option<HashMap<i64, (Kind, Truth)>>,
    prints: Vec<(&'q Term, Prints)>,
    /// What the text index is asked.
    pub(super) clue: Option<String>,
    pub(super) arms: Vec<Arm>,
    /// First and last number of log rows.
    pub(super) bounds: (i64, i64),
    pub(super) after: Option<Position>,
    pub(super) ascending: bool,
    pub(super) what: What,
}

impl<'q> Plan<'q> {
    pub(super) fn new(
        query: &'q Query,
        what: What,
        after: Option<Position>,
        ascending: bool,
        sinks: &[SinkView],
        reader: &Reader<'_>,
    ) -> Result<Self, StoreError> {
        let mut plan = Self {
            query,
            kinds: None,
            prints: Vec::new(),
            clue: clues::of(query),
            arms: Vec::new(),
            bounds: bounds_after(what, after, ascending),
            after,
            ascending,
            what,
        };
        for term in query.terms() {
            if let Some(prints) = prints(term, reader)? {
                plan.prints.push((term, prints));
            }
        }
        plan.narrow(sinks, reader)?;
        let counted = plan.choose_kinds(reader)?;
        plan.choose_arms(&counted, reader.epochs());
        if what == What::Deliveries {
            plan.arms.push(Arm::Ring);
        }
        Ok(plan)
    }

    /// Whether a row matches, as far as it can say.
    pub(super) fn truth(&self, row: &Row) -> Truth {
        let kind = match &self.kinds {
            None => None,
            Some(kinds) => match kinds.get(&row.kind) {
                None => return Truth::No,
                Some((_, Truth::Yes)) => return Truth::Yes,
                Some((kind, _)) => Some(kind),
            },
        };
        let test = |term: &Term| self.test(term, row, kind);
        match self.query.root() {
            Some(root) => root.evaluate(&test),
            // Without the kinds nobody knows whether it is one of hookgate's own.
            None => Truth::Maybe,
        }
    }

    fn test(&self, term: &Term, row: &Row, kind: Option<&Kind>) -> Truth {
        let print = |value: Option<i64>| {
            let Some(value) = value else { return Truth::No };
            match self.prints.iter().find(|(t, _)| std::ptr::eq(*t, term)) {
                Some((_, prints)) if prints.set.contains(&value) => Truth::Yes,
                Some((_, prints)) if prints.complete => Truth::No,
                _ => Truth::Maybe,
            }
        };
        match term {
            Term::Text(TextField::Resource, _) => print(row.resource),
            Term::Text(TextField::Key, _) => print(row.key),
            Term::Text(TextField::Ip, _) => print(row.peer),
            // Half of an id is not all of it: ids of one millisecond share much.
            Term::Uuid(UuidField::Event, _) => maybe(print(row.event)),
            Term::Uuid(UuidField::Delivery, _) => maybe(print(Some(row.delivery))),
            Term::Sink(..) if row.ring => Truth::No,
            Term::Text(..)
            | Term::Outcome(_)
            | Term::Status(_)
            | Term::Has(_)
            | Term::Is(_)
            | Term::Uuid(UuidField::Follows, _)
            | Term::Label(..)
            | Term::Payload(..)
            | Term::Amount(..)
            | Term::Header(..)
            | Term::Words(_)
            | Term::Sink(..) => kind.map_or(Truth::Maybe, |kind| of_kind(term, kind)),
            Term::Seq(_) if row.ring => Truth::No,
            Term::Seq(any) => i64::try_from(row.position.seq)
                .is_ok_and(|seq| any.iter().any(|range| range.contains(seq)))
                .into(),
            Term::Time(TimeField::Received, range) => range.contains(row.received).into(),
            Term::Time(TimeField::Occurred, range) => {
                row.occurred.is_some_and(|o| range.contains(o)).into()
            }
        }
    }

    /// Terms that every match must fulfil.
    fn required(&self) -> Vec<&'q Term> {
        let parts = match self.query.root() {
            Some(Expr::All(parts)) => parts.as_slice(),
            Some(only) => std::slice::from_ref(only),
            None => &[],
        };
        let terms = parts.iter().filter_map(|part| match part {
            Expr::Term(term) => Some(term),
            Expr::All(_) | Expr::Any(_) | Expr::Not(_) => None,
        });
        terms.collect()
    }

    /// Narrows the bounds by required times, sequence numbers and states of sinks.
    fn narrow(&mut self, sinks: &[SinkView], reader: &Reader<'_>) -> Result<(), StoreError> {
        for term in self.required() {
            let (first, last) = match term {
                Term::Time(field, range) => reader.rows_of_time(*field, *range)?,
                Term::Seq(any) => rows_of_seqs(any),
                Term::Sink(name, any) => rows_of_sinks(name.as_deref(), any, sinks),
                _ => continue,
            };
            self.bounds = (self.bounds.0.max(first), self.bounds.1.min(last));
        }
        Ok(())
    }

    /// Finds the kinds that can match, with how many rows each has.
    fn choose_kinds(&mut self, reader: &Reader<'_>) -> Result<Kinds, StoreError> {
        let own = self.query.names_own_events();
        let mut found = Kinds::default();
        let mut kept = Some(HashMap::new());
        reader.each_kind(|id, kind, rows| {
            found.total += rows;
            let visible = (own || !kind.webhook.is_empty())
                && (self.what == What::Deliveries || !kind.event.is_empty());
            let truth = match self.query.root() {
                _ if !visible => Truth::No,
                None => Truth::Yes,
                Some(root) => root.evaluate(&|term| of_kind(term, &kind)),
            };
            if truth == Truth::No {
                return;
            }
            found.rows += rows;
            if rows > 0 && found.ids.len() <= ARMS_MAX {
                found.ids.push(id);
            }
            if let Some(map) = &mut kept {
                map.insert(id, (kind, truth));
                if map.len() > KINDS_MAX {
                    kept = None;
                }
            }
        })?;
        self.kinds = kept;
        Ok(found)
    }

    fn choose_arms(&mut self, kinds: &Kinds, epochs: i64) {
        if kinds.rows == 0 || self.bounds.0 > self.bounds.1 {
            return;
        }
        let few = kinds.rows < FEW_ROWS && kinds.ids.len() <= KIND_ARMS_MAX;
        // Reading a range costs a seek in each epoch, as much as reading some rows.
        let worth_it = |arms: usize| {
            let seeks = i64::try_from(arms)
                .unwrap_or(i64::MAX)
                .saturating_mul(epochs);
            arms <= ARMS_MAX && seeks.saturating_mul(SEEK_ROWS) <= kinds.rows
        };
        let required = self.required();
        let mut best: Option<Vec<Arm>> = None;
        for (term, prints) in &self.prints {
            let usable = prints.complete && required.iter().any(|r| std::ptr::eq(*r, *term));
            if !usable || prints.set.len() > ARMS_MAX {
                continue;
            }
            let set = prints.set.iter().copied();
            let arms: Vec<Arm> = match term {
                Term::Uuid(UuidField::Event, _) => set.map(Arm::Event).collect(),
                Term::Uuid(UuidField::Delivery, _) => set.map(Arm::Delivery).collect(),
                Term::Text(TextField::Key, _) => set.map(Arm::Key).collect(),
                Term::Text(TextField::Ip, _) => continue,
                _ if few || !worth_it(prints.set.len() * kinds.ids.len()) => continue,
                _ => set
                    .flat_map(|resource| {
                        let each = kinds.ids.iter();
                        each.map(move |kind| Arm::Resource {
                            resource,
                            kind: *kind,
                        })
                    })
                    .collect(),
            };
            // Ids and keys first: a resource can have very many rows.
            let better = best.as_ref().is_none_or(|best| arms.len() < best.len());
            if better {
                best = Some(arms);
            }
        }
        // Reading the records that the words are not in costs more than asking where they are.
        if best.is_none() && self.clue.is_some() {
            best = Some(vec![Arm::Words]);
        }
        self.arms = best.unwrap_or_else(|| {
            // Where nearly every row is of these kinds, reading in order wastes little.
            let dense = kinds.rows >= kinds.total - kinds.total / 10;
            if dense || kinds.ids.len() > KIND_ARMS_MAX {
                vec![Arm::All]
            } else {
                kinds.ids.iter().copied().map(Arm::Kind).collect()
            }
        });
    }
}

/// Kinds that can match.
#[derive(Debug, Default)]
struct Kinds {
    /// Those with rows in the log.
    ids: Vec<i64>,
    /// How many rows they have.
    rows: i64,
    /// How many rows there are.
    total: i64,
}

/// First and last row after a position.
fn bounds_after(what: What, after: Option<Position>, ascending: bool) -> (i64, i64) {
    let Some(after) = after else {
        return (0, i64::MAX);
    };
    let index = usize::try_from(after.index).unwrap_or(usize::MAX);
    let of_delivery = rows::number(after.seq, 0);
    let last_of_delivery = rows::number(after.seq, usize::MAX);
    match (what, ascending) {
        (What::Events, true) => (rows::number(after.seq, index).saturating_add(1), i64::MAX),
        (What::Events, false) => (0, rows::number(after.seq, index) - 1),
        (What::Deliveries, true) => (last_of_delivery.saturating_add(1), i64::MAX),
        // A ring entry comes after the delivery whose number it bears.
        (What::Deliveries, false) if after.index > 0 => (0, last_of_delivery),
        (What::Deliveries, false) => (0, of_delivery - 1),
    }
}

fn rows_of_seqs(any: &[Range]) -> (i64, i64) {
    let row = |seq: i64, index| rows::number(u64::try_from(seq).unwrap_or(0), index);
    let first = any.iter().map(|r| r.from.unwrap_or(0)).min().unwrap_or(0);
    let last = any.iter().map(|r| r.to.unwrap_or(i64::MAX)).max();
    (row(first, 0), row(last.unwrap_or(i64::MAX), usize::MAX))
}

/// First and last row that can be in such a state.
fn rows_of_sinks(name: Option<&str>, any: &[SinkState], sinks: &[SinkView]) -> (i64, i64) {
    let sinks = sinks
        .iter()
        .filter(|sink| name.is_none_or(|name| name == sink.name));
    let all = sinks.map(|sink| {
        let cursor = rows::number(sink.cursor, usize::MAX);
        let each = any.iter().map(move |state| match state {
            SinkState::Pending | SinkState::Failed => (cursor.saturating_add(1), i64::MAX),
            SinkState::Delivered => (0, cursor),
            SinkState::Dead => {
                let row = |position: &Position| rows::number(position.seq, usize::MAX);
                let (first, last) = (sink.dead.first(), sink.dead.last());
                let first = first.map_or(1, |first| rows::number(first.seq, 0));
                (first, last.map_or(0, row))
            }
        });
        each.reduce(around).unwrap_or((1, 0))
    });
    all.reduce(around).unwrap_or((1, 0))
}

/// The range around two; an empty one adds nothing.
fn around(a: (i64, i64), b: (i64, i64)) -> (i64, i64) {
    match (a.0 <= a.1, b.0 <= b.1) {
        (true, true) => (a.0.min(b.0), a.1.max(b.1)),
        (true, false) => a,
        (false, _) => b,
    }
}

fn maybe(truth: Truth) -> Truth {
    match truth {
        Truth::Yes => Truth::Maybe,
        Truth::No | Truth::Maybe => truth,
    }
}

/// What a kind says of a term.
pub(super) fn of_kind(term: &Term, kind: &Kind) -> Truth {
    let fits = |any: &[Pattern], text: &str| {
        Truth::from(!text.is_empty() && any.iter().any(|pattern| pattern.matches(text)))
    };
    match term {
        Term::Text(TextField::Event, any) => fits(any, &kind.event),
        Term::Text(TextField::Webhook, any) => fits(any, &kind.webhook),
        Term::Text(TextField::Provider, any) => fits(any, &kind.provider),
        Term::Text(TextField::Code, any) => fits(any, &kind.code),
        Term::Outcome(any) => any.contains(&kind.outcome).into(),
        Term::Text(TextField::Method, any) => fits(any, &kind.method),
        Term::Status(any) => any.iter().any(|range| range.contains(kind.status)).into(),
        Term::Has(any) => any.iter().any(|part| kind.has(*part)).into(),
        Term::Is(any) => any.iter().any(|what| kind.is(*what)).into(),
        Term::Uuid(UuidField::Follows, _) if !kind.has(Has::Follows) => Truth::No,
        // A delivery without events has none of them.
        Term::Text(TextField::Resource, _)
        | Term::Uuid(UuidField::Event, _)
        | Term::Time(TimeField::Occurred, _)
        | Term::Label(..)
        | Term::Payload(..)
        | Term::Amount(..)
        | Term::Sink(..)
            if kind.event.is_empty() =>
        {
            Truth::No
        }
        Term::Text(TextField::Resource | TextField::Key | TextField::Ip, _)
        | Term::Uuid(..)
        | Term::Seq(_)
        | Term::Time(..)
        | Term::Label(..)
        | Term::Payload(..)
        | Term::Amount(..)
        | Term::Header(..)
        | Term::Words(_)
        | Term::Sink(..) => Truth::Maybe,
    }
}

/// The fingerprints of a term that is looked up by them.
fn prints(term: &Term, reader: &Reader<'_>) -> Result<Option<Prints>, StoreError> {
    let prints = match term {
        Term::Uuid(UuidField::Event | UuidField::Delivery, any) => Prints {
            set: any.iter().copied().map(half).collect(),
            complete: true,
        },
        Term::Text(field @ (TextField::Resource | TextField::Key | TextField::Ip), any) => {
            let exact = any.iter().filter_map(Pattern::as_exact);
            let mut prints = Prints {
                set: exact.map(rows::fingerprint).collect(),
                complete: true,
            };
            for pattern in any.iter().filter(|p| p.as_exact().is_none()) {
                if *field == TextField::Resource {
                    reader.resources(pattern, &mut prints)?;
                } else {
                    prints.complete = false;
                }
            }
            prints
        }
        _ => return Ok(None),
    };
    Ok(Some(prints))
}
