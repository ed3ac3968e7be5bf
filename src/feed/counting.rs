//! Counts of the feed over a log.

use super::known::Knowledge;
use super::merge::{Merge, place};
use super::plan::Plan;
use super::rows::{Kind, Row};
use super::stores::sqlite::{Reader, StoreError};
use super::tally::{self, Place, Tally};
use super::view::{LogFeed, Records, Stop, failed};
use super::{Budget, Counted, Facet, FacetKey, FacetValue, FeedError, Histogram, MATCHES_MAX};
use super::{Over, What};
use crate::model::Outcome;
use crate::query::{Query, SinkView, Subject, Truth};
use std::collections::HashMap;

/// How many values a facet reads records for: a few more than it lists.
const TEXTS_MAX: usize = super::FACET_VALUES_MAX;

impl LogFeed {
    pub(super) fn count_matches(
        &self,
        what: What,
        query: &Query,
        budget: Budget,
    ) -> Result<Counted<()>, FeedError> {
        let sinks = self.sinks_for(query);
        let reader = self.begin_count(budget.time)?;
        self.answer((|| {
            if budget.after.is_none()
                && let Some(kinds) = tally::certain_kinds(query, what, &reader)?
            {
                let mut matches = 0;
                let time = tally::required_time(query);
                let width = 60_000_000;
                let complete =
                    tally::by_counters(&reader, what, time, width, &mut |_, kind, count| {
                        matches += if kinds.contains_key(&kind) { count } else { 0 };
                    })?;
                return Ok(tally::known(matches, complete, reader.indexed_to()?));
            }
            self.tally(&reader, &sinks, what, query, budget, 0, MATCHES_MAX)
                .map(|counted| counted.map(|_| ()))
        })())
    }

    pub(super) fn count_over_time(
        &self,
        what: What,
        query: &Query,
        over: Over,
        budget: Budget,
    ) -> Result<Counted<Histogram>, FeedError> {
        let sinks = self.sinks_for(query);
        let reader = self.begin_count(budget.time)?;
        self.answer((|| {
            let span = tally::span(query, over, &reader)?;
            let mut parts: HashMap<(i64, Outcome), u64> = HashMap::new();
            if budget.after.is_none()
                && let Some(kinds) = tally::certain_kinds(query, what, &reader)?
            {
                let mut matches = 0;
                let mut time = tally::required_time(query);
                time.from = time.from.max(Some(span.0));
                time.to = Some(span.1);
                let complete =
                    tally::by_counters(&reader, what, time, span.2, &mut |part, kind, count| {
                        if let Some(kind) = kinds.get(&kind) {
                            matches += count;
                            *parts.entry((part, kind.outcome)).or_insert(0) += count;
                        }
                    })?;
                let known = tally::known(matches, complete, reader.indexed_to()?);
                return Ok(known.map(|()| tally::histogram(span, &parts)));
            }
            let counted = self.tally(&reader, &sinks, what, query, budget, span.2, u64::MAX)?;
            let kinds = kinds_of(&reader, &counted.value.kinds())?;
            for ((part, kind), count) in &counted.value.parts {
                if let Some(kind) = kinds.get(kind) {
                    *parts.entry((*part, kind.outcome)).or_insert(0) += count;
                }
            }
            Ok(counted.map(|_| tally::histogram(span, &parts)))
        })())
    }

    pub(super) fn count_values(
        &self,
        what: What,
        query: &Query,
        keys: &[FacetKey],
        budget: Budget,
    ) -> Result<Counted<Vec<Facet>>, FeedError> {
        let sinks = self.sinks_for(query);
        let reader = self.begin_count(budget.time)?;
        self.answer((|| {
            let by_row = |key: &FacetKey| matches!(key, FacetKey::Resource | FacetKey::Ip);
            let certain = match budget.after {
                None => tally::certain_kinds(query, what, &reader)?,
                Some(_) => None,
            };
            let Some(kinds) = certain else {
                let counted = self.tally(&reader, &sinks, what, query, budget, 0, MATCHES_MAX)?;
                let counts = counted.value.kinds();
                let kinds = kinds_of(&reader, &counts)?;
                let at_least = counted.at_least;
                let facets = keys.iter().map(|key| {
                    if by_row(key) {
                        self.texts(&reader, *key, &counted.value, at_least)
                    } else {
                        Ok(tally::kind_facet(*key, &kinds, &counts, at_least))
                    }
                });
                let facets = facets.collect::<Result<Vec<_>, Stop>>()?;
                return Ok(counted.map(|_| facets));
            };
            let mut counts: HashMap<i64, u64> = HashMap::new();
            let time = tally::required_time(query);
            let known =
                tally::by_counters(&reader, what, time, 60_000_000, &mut |_, kind, count| {
                    if kinds.contains_key(&kind) {
                        *counts.entry(kind).or_insert(0) += count;
                    }
                })?;
            let mut counted = tally::known(counts.values().sum(), known, reader.indexed_to()?);
            let rows = if keys.iter().any(by_row) {
                let rows = self.tally(&reader, &sinks, what, query, budget, 0, MATCHES_MAX)?;
                counted.scanned = rows.scanned;
                Some(rows)
            } else {
                None
            };
            let facets = keys.iter().map(|key| match &rows {
                Some(rows) if by_row(key) => self.texts(&reader, *key, &rows.value, rows.at_least),
                _ => Ok(tally::kind_facet(*key, &kinds, &counts, !known)),
            });
            let facets = facets.collect::<Result<Vec<_>, Stop>>()?;
            Ok(counted.map(|()| facets))
        })())
    }

    fn answer<T>(&self, result: Result<T, Stop>) -> Result<T, FeedError> {
        result.map_err(|stop| match stop {
            Stop::Store(error) => self.report(&error),
            Stop::Log(error) => failed(&error),
        })
    }

    /// Counts row by row, newest first.
    #[expect(clippy::too_many_arguments, reason = "one caller's values, handed on")]
    fn tally(
        &self,
        reader: &Reader<'_>,
        sinks: &[SinkView],
        what: What,
        query: &Query,
        budget: Budget,
        width: i64,
        matches_max: u64,
    ) -> Result<Counted<Tally>, Stop> {
        let mut counted = tally::known(0, true, reader.indexed_to()?).map(|()| Tally::default());
        let plan = Plan::new(query, what, budget.after, false, sinks, reader)?;
        let mut merge = Merge::new(&plan, 1_000, reader)?;
        let mut records = Records::new(&*self.log);
        let (mut here, mut settled) = (None, false);
        while let Some(row) = merge.next(reader)? {
            counted.scanned += 1;
            let at = place(what, &row);
            if here != Some(at) {
                let done = here;
                (here, settled) = (Some(at), false);
                let full = counted.matches >= matches_max;
                if done.is_some()
                    && (full || (counted.scanned.is_multiple_of(64) && reader.is_late()))
                {
                    counted.at_least = true;
                    counted.complete = full;
                    counted.next = done;
                    break;
                }
            }
            if settled {
                continue;
            }
            settled = match plan.truth(&row) {
                Truth::Yes => true,
                Truth::No => false,
                Truth::Maybe => {
                    if reader.is_late() {
                        // The next place ends it.
                        counted.scanned = counted.scanned.next_multiple_of(64) - 1;
                    }
                    self.matches(reader, &mut records, sinks, query, &row)?
                }
            };
            if settled {
                counted.matches += 1;
                add(&mut counted.value, &row, width);
            }
        }
        Ok(counted)
    }

    /// Whether the record of a row matches.
    fn matches(
        &self,
        reader: &Reader<'_>,
        records: &mut Records<'_>,
        sinks: &[SinkView],
        query: &Query,
        row: &Row,
    ) -> Result<bool, Stop> {
        if row.ring {
            let Some(delivery) = reader.ring_delivery(row.position)? else {
                return Ok(false);
            };
            let known = Knowledge::new(&*self.log, None, sinks).of_ring(reader, row.position);
            return Ok(query.matches_delivery_with(&delivery, None, &known));
        }
        let seq = row.position.seq;
        let Some(record) = records.get(seq)? else {
            return Ok(false);
        };
        let known = Knowledge::new(&*self.log, Some(seq), sinks);
        let index = usize::try_from(row.position.index).unwrap_or(usize::MAX);
        let event = record.delivery.events.get(index);
        let subject = Subject::new(event, &record.delivery, Some(seq));
        Ok(query.matches_subject(&subject.with(row.position.index, &known)))
    }

    /// A facet whose texts are in records.
    fn texts(
        &self,
        reader: &Reader<'_>,
        key: FacetKey,
        tally: &Tally,
        at_least: bool,
    ) -> Result<Facet, Stop> {
        let counts = match key {
            FacetKey::Ip => &tally.peers,
            _ => &tally.resources,
        };
        let mut most: Vec<(u64, i64, Place)> = counts
            .iter()
            .map(|(print, (n, at))| (*n, *print, *at))
            .collect();
        most.sort_unstable_by_key(|(n, print, _)| (std::cmp::Reverse(*n), *print));
        let mut records = Records::new(&*self.log);
        let mut values = Vec::new();
        for (count, _, at) in most.iter().take(TEXTS_MAX) {
            let delivery = if at.ring {
                reader.ring_delivery(at.position)?
            } else {
                records
                    .get(at.position.seq)?
                    .map(|record| record.delivery.clone())
            };
            let value = delivery.and_then(|delivery| match key {
                FacetKey::Ip => delivery.request.map(|request| request.peer.to_string()),
                _ => {
                    let index = usize::try_from(at.position.index).unwrap_or(usize::MAX);
                    let event = delivery.events.get(index);
                    event.map(|event| event.resource_id().to_owned())
                }
            });
            values.extend(value.map(|value| FacetValue {
                value,
                count: *count,
            }));
        }
        let mut facet = tally::facet(key, values, at_least);
        facet.more = most.len().saturating_sub(TEXTS_MAX) as u64;
        Ok(facet)
    }
}

fn add(tally: &mut Tally, row: &Row, width: i64) {
    let part = if width > 0 {
        row.received.div_euclid(width)
    } else {
        0
    };
    *tally.parts.entry((part, row.kind)).or_insert(0) += 1;
    let at = Place {
        position: row.position,
        ring: row.ring,
    };
    if let Some(print) = row.resource {
        tally.resources.entry(print).or_insert((0, at)).0 += 1;
    }
    if let Some(print) = row.peer {
        tally.peers.entry(print).or_insert((0, at)).0 += 1;
    }
}

/// The kinds of some counts.
fn kinds_of(
    reader: &Reader<'_>,
    counts: &HashMap<i64, u64>,
) -> Result<HashMap<i64, Kind>, StoreError> {
    let mut kinds = HashMap::new();
    reader.each_kind(|id, kind, _| {
        if counts.contains_key(&id) {
            kinds.insert(id, kind);
        }
    })?;
    Ok(kinds)
}
