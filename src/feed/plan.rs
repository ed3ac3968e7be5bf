//! How a query is answered: which index ranges are read, and which of their rows can match.
//!
//! A plan may let a row through that does not match, since fingerprints and unresolved wildcards are not
//! certain; it never leaves one out that does. The record from the log has the last word.

use super::rows::{self, Kind, Row, half};
use super::stores::sqlite::{Reader, StoreError};
use crate::model::Position;
use crate::query::{Expr, Pattern, Query, Range, Term, TextField, TimeField, Truth, UuidField};
use std::collections::{HashMap, HashSet};

/// Index ranges that one query merges at most; each costs a seek of some microseconds.
const ARMS_MAX: usize = 2_048;
/// Kinds that are read range by range at most; with more the rows are read in order.
const KIND_ARMS_MAX: usize = 256;
/// Kinds that a plan holds in memory at most; with more every row is checked by its record.
const KINDS_MAX: usize = 50_000;
/// Below this many rows the kinds' ranges are read even where another index could be used.
const FEW_ROWS: i64 = 5_000;

/// What a query is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Events,
    Deliveries,
}

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
        reader: &Reader<'_>,
    ) -> Result<Self, StoreError> {
        let mut plan = Self {
            query,
            kinds: None,
            prints: Vec::new(),
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
        plan.narrow(reader)?;
        let counted = plan.choose_kinds(reader)?;
        plan.choose_arms(&counted);
        if what == What::Deliveries {
            plan.arms.push(Arm::Ring);
        }
        Ok(plan)
    }

    /// Whether a row can match.
    pub(super) fn accepts(&self, row: &Row) -> bool {
        let kind = match &self.kinds {
            None => None,
            Some(kinds) => match kinds.get(&row.kind) {
                None => return false,
                Some((_, Truth::Yes)) => return true,
                Some((kind, _)) => Some(kind),
            },
        };
        let test = |term: &Term| self.test(term, row, kind);
        let root = self.query.root();
        root.is_none_or(|root| root.evaluate(&test) != Truth::No)
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
            Term::Uuid(UuidField::Event, _) => print(row.event),
            Term::Uuid(UuidField::Delivery, _) => print(Some(row.delivery)),
            Term::Text(..) | Term::Outcome(_) => {
                kind.map_or(Truth::Maybe, |kind| of_kind(term, kind))
            }
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

    /// Narrows the bounds by required times and sequence numbers.
    fn narrow(&mut self, reader: &Reader<'_>) -> Result<(), StoreError> {
        for term in self.required() {
            let (first, last) = match term {
                Term::Time(field, range) => reader.rows_of_time(*field, *range)?,
                Term::Seq(any) => rows_of_seqs(any),
                Term::Text(..) | Term::Outcome(_) | Term::Uuid(..) => continue,
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

    fn choose_arms(&mut self, kinds: &Kinds) {
        if kinds.rows == 0 || self.bounds.0 > self.bounds.1 {
            return;
        }
        let few = kinds.rows < FEW_ROWS && kinds.ids.len() <= KIND_ARMS_MAX;
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
                _ if few || prints.set.len() * kinds.ids.len() > ARMS_MAX => continue,
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

/// What a kind says of a term.
fn of_kind(term: &Term, kind: &Kind) -> Truth {
    let fits = |any: &[Pattern], text: &str| {
        Truth::from(!text.is_empty() && any.iter().any(|pattern| pattern.matches(text)))
    };
    match term {
        Term::Text(TextField::Event, any) => fits(any, &kind.event),
        Term::Text(TextField::Webhook, any) => fits(any, &kind.webhook),
        Term::Text(TextField::Provider, any) => fits(any, &kind.provider),
        Term::Text(TextField::Code, any) => fits(any, &kind.code),
        Term::Outcome(any) => any.contains(&kind.outcome).into(),
        // A delivery without events has neither.
        Term::Text(TextField::Resource, _)
        | Term::Uuid(UuidField::Event, _)
        | Term::Time(TimeField::Occurred, _)
            if kind.event.is_empty() =>
        {
            Truth::No
        }
        Term::Text(TextField::Resource | TextField::Key, _)
        | Term::Uuid(..)
        | Term::Seq(_)
        | Term::Time(..) => Truth::Maybe,
    }
}

/// The fingerprints of a term that is looked up by them.
fn prints(term: &Term, reader: &Reader<'_>) -> Result<Option<Prints>, StoreError> {
    let prints = match term {
        Term::Uuid(_, any) => Prints {
            set: any.iter().copied().map(half).collect(),
            complete: true,
        },
        Term::Text(field @ (TextField::Resource | TextField::Key), any) => {
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
        Term::Text(..) | Term::Outcome(_) | Term::Seq(_) | Term::Time(..) => return Ok(None),
    };
    Ok(Some(prints))
}
