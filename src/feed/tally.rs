//! Counting: by counters where the query asks only for what they go by, else row by row within a budget.

use super::counts::{BUCKETS_MAX, Bucket, Counted, FACET_VALUES_MAX, Facet, FacetKey, FacetValue};
use super::counts::{Histogram, Over, What};
use super::plan::of_kind;
use super::rows::Kind;
use super::stores::sqlite::{Count, Reader, StoreError};
use crate::model::{Outcome, Position};
use crate::query::{Expr, Has, Query, Range, Term, TextField, TimeField, Truth};
use jiff::Timestamp;
use std::collections::HashMap;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;

/// Seconds of a bucket.
const WIDTHS: [i64; 21] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200,
    86_400, 604_800, 2_592_000, 31_104_000,
];

/// What was counted row by row.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// By part of time and kind.
    pub(super) parts: HashMap<(i64, i64), u64>,
    /// By fingerprint, with a place where the text can be found.
    pub(super) resources: HashMap<i64, (u64, Place)>,
    pub(super) peers: HashMap<i64, (u64, Place)>,
}

/// Where a record is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) position: Position,
    pub(super) ring: bool,
}

impl Tally {
    /// Counts of each kind.
    pub(super) fn kinds(&self) -> HashMap<i64, u64> {
        let mut kinds = HashMap::new();
        for ((_, kind), count) in &self.parts {
            *kinds.entry(*kind).or_insert(0) += count;
        }
        kinds
    }
}

/// The range of time of receipt that every match lies in.
pub(super) fn required_time(query: &Query) -> Range {
    let parts = match query.root() {
        Some(Expr::All(parts)) => parts.as_slice(),
        Some(only) => std::slice::from_ref(only),
        None => &[],
    };
    let mut all = Range {
        from: None,
        to: None,
    };
    for part in parts {
        if let Expr::Term(Term::Time(TimeField::Received, range)) = part {
            all.from = all.from.max(range.from);
            all.to = match (all.to, range.to) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
    }
    all
}

/// The kinds that match whatever else is in the row; none: the kind alone does not tell.
pub(super) fn certain_kinds(
    query: &Query,
    what: What,
    reader: &Reader<'_>,
) -> Result<Option<HashMap<i64, Kind>>, StoreError> {
    let deliveries = what == What::Deliveries;
    if deliveries && query.terms().into_iter().any(is_of_one_event) {
        return Ok(None);
    }
    let parts = match query.root() {
        Some(Expr::All(parts)) => parts.as_slice(),
        Some(only) => std::slice::from_ref(only),
        None => &[],
    };
    let time = |part: &Expr| matches!(part, Expr::Term(Term::Time(TimeField::Received, _)));
    let own = query.names_own_events();
    let mut kinds = HashMap::new();
    let mut certain = true;
    reader.each_kind(|id, kind, _| {
        if !certain || (kind.webhook.is_empty() && !own) || (!deliveries && kind.event.is_empty()) {
            return;
        }
        let parts = parts.iter().filter(|part| !time(part));
        let truths = parts.map(|part| part.evaluate(&|term| of_kind(term, &kind)));
        let truth = truths.fold(Truth::Yes, |all, truth| match (all, truth) {
            (Truth::No, _) | (_, Truth::No) => Truth::No,
            (Truth::Maybe, _) | (_, Truth::Maybe) => Truth::Maybe,
            (Truth::Yes, Truth::Yes) => Truth::Yes,
        });
        match truth {
            Truth::Yes => {
                kinds.insert(id, kind);
            }
            Truth::Maybe => certain = false,
            Truth::No => {}
        }
    })?;
    Ok(certain.then_some(kinds))
}

/// Whether a term may match one event of a delivery and not another: first rows are then not enough.
fn is_of_one_event(term: &Term) -> bool {
    match term {
        Term::Text(TextField::Event, _) => true,
        Term::Has(any) => any
            .iter()
            .any(|part| matches!(part, Has::Follows | Has::Related | Has::Payload)),
        _ => false,
    }
}

/// Counts by part of time and kind, from counters; false: the time was up.
pub(super) fn by_counters(
    reader: &Reader<'_>,
    what: What,
    time: Range,
    width: i64,
    see: &mut impl FnMut(i64, i64, u64),
) -> Result<bool, StoreError> {
    let Some((first, last)) = reader.minutes()? else {
        return Ok(true);
    };
    let from = time.from.unwrap_or(i64::MIN).max(first * MINUTE);
    let to = time.to.unwrap_or(i64::MAX).min(last * MINUTE + MINUTE - 1);
    if from > to {
        return Ok(true);
    }
    let mut count = |count: Count| {
        let number = if what == What::Events {
            count.rows
        } else {
            count.firsts
        };
        if number > 0 {
            see(count.part, count.kind, number.unsigned_abs());
        }
    };
    // Minutes that lie wholly within.
    let whole = (
        (from + MINUTE - 1).div_euclid(MINUTE),
        (to + 1).div_euclid(MINUTE) - 1,
    );
    let edges = if width % MINUTE == 0 && whole.0 <= whole.1 {
        reader.minute_counts(whole, width, &mut count)?;
        [(from, whole.0 * MINUTE - 1), ((whole.1 + 1) * MINUTE, to)]
    } else {
        [(from, to), (1, 0)]
    };
    let mut complete = true;
    for edge in edges.into_iter().filter(|edge| edge.0 <= edge.1) {
        complete &= reader.row_counts(edge, width, &mut count)?;
        if what == What::Deliveries {
            reader.ring_counts(edge, width, &mut count)?;
        }
    }
    Ok(complete)
}

/// First and last moment of a histogram, and the microseconds of a bucket.
pub(super) fn span(
    query: &Query,
    over: Over,
    reader: &Reader<'_>,
) -> Result<(i64, i64, i64), StoreError> {
    let time = required_time(query);
    let now = crate::query::micros(over.now);
    let known = reader.minutes()?;
    let from = time
        .from
        .or(known.map(|(first, _)| first * MINUTE))
        .unwrap_or(now)
        .min(now);
    // Times are the gateway's own; where its clock went back, what is there is shown all the same.
    let ahead = known.filter(|(_, last)| last * MINUTE > now);
    let newest = ahead.map_or(now, |(_, last)| last * MINUTE + MINUTE - 1);
    let to = time.to.unwrap_or(newest).min(newest).max(from);
    let buckets = i64::try_from(over.buckets.clamp(1, BUCKETS_MAX)).unwrap_or(1);
    let fits = |seconds: &i64| (to - from) / (seconds * SECOND) < buckets;
    let seconds = WIDTHS.into_iter().find(fits).unwrap_or(31_104_000);
    Ok((from, to, seconds * SECOND))
}

/// A histogram of counts by part and outcome.
pub(super) fn histogram(
    (from, to, width): (i64, i64, i64),
    counts: &HashMap<(i64, Outcome), u64>,
) -> Histogram {
    let moment = |micros: i64| Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH);
    let parts = from.div_euclid(width)..=to.div_euclid(width);
    let buckets = parts.take(2 * BUCKETS_MAX).map(|part| Bucket {
        start: moment(part * width),
        counts: Outcome::ALL.map(|o| counts.get(&(part, o)).copied().unwrap_or(0)),
    });
    Histogram {
        width_seconds: width / SECOND,
        from: moment(from),
        to: moment(to),
        buckets: buckets.collect(),
    }
}

/// The values of a key that a kind knows, with their counts.
pub(super) fn kind_facet(
    key: FacetKey,
    kinds: &HashMap<i64, Kind>,
    counts: &HashMap<i64, u64>,
    at_least: bool,
) -> Facet {
    let mut values: HashMap<String, u64> = HashMap::new();
    for (id, count) in counts {
        let Some(kind) = kinds.get(id) else {
            continue;
        };
        let mut add = |value: &str| {
            if !value.is_empty() {
                *values.entry(value.to_owned()).or_insert(0) += count;
            }
        };
        match key {
            FacetKey::Outcome => add(kind.outcome.as_str()),
            FacetKey::Webhook => add(&kind.webhook),
            FacetKey::Provider => add(&kind.provider),
            FacetKey::Event => add(&kind.event),
            FacetKey::Code => add(&kind.code),
            FacetKey::Method => add(&kind.method),
            FacetKey::Status if kind.status > 0 => add(&kind.status.to_string()),
            FacetKey::Role => kind.roles.split('\n').for_each(add),
            FacetKey::Status | FacetKey::Resource | FacetKey::Ip => {}
        }
    }
    let values = values
        .into_iter()
        .map(|(value, count)| FacetValue { value, count });
    facet(key, values.collect(), at_least)
}

/// The most frequent values.
pub(super) fn facet(key: FacetKey, mut values: Vec<FacetValue>, at_least: bool) -> Facet {
    values.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    let more = values.len().saturating_sub(FACET_VALUES_MAX);
    values.truncate(FACET_VALUES_MAX);
    Facet {
        key,
        values,
        more: more as u64,
        at_least,
    }
}

/// What counters knew.
pub(super) fn known(matches: u64, complete: bool, indexed_to: u64) -> Counted<()> {
    Counted {
        value: (),
        matches,
        at_least: !complete,
        scanned: 0,
        complete,
        next: None,
        indexed_to,
    }
}
