//! What is at hand of each source and when it is asked again. Pure: the clock is handed in.

use crate::verify::{Document, Found, KeySource};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Times and bounds, in one place, so that tests run the same code with short ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tuning {
    /// Fetches of one URL are at least this far apart.
    pub(crate) spacing: Duration,
    /// The pause after a failure doubles up to this.
    pub(crate) pause_max: Duration,
    /// Keys are fetched again after this.
    pub(crate) refresh: Duration,
    /// Keys count no longer than this after they came.
    pub(crate) stale: Duration,
    /// A fetch that has not ended after this is lost.
    pub(crate) lost: Duration,
    /// How often the task looks what is due.
    pub(crate) tick: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            spacing: Duration::from_secs(60),
            pause_max: Duration::from_secs(300),
            // A key that the sender took back counts up to an hour more.
            refresh: Duration::from_secs(3_600),
            stale: Duration::from_secs(24 * 3_600),
            lost: Duration::from_secs(60),
            tick: Duration::from_secs(5),
        }
    }
}

/// Sources of which nothing is at hand that requests may name: strangers can make up as many as they like.
const EMPTY_MAX: usize = 32;
/// Sources with a document that requests may name. Amazon SNS has a few certificates in each of about forty regions.
const NAMED_MAX: usize = 256;
/// Fetches under way at once.
const FETCHES_MAX: usize = 8;

/// Whether a source can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// It is being asked, or will be at once.
    Pending,
    /// Not before this has passed.
    Later(Duration),
}

pub(super) struct Table {
    tuning: Tuning,
    entries: HashMap<KeySource, Entry>,
}

struct Entry {
    /// By the configuration, as against by a request.
    configured: bool,
    document: Option<(Arc<Document>, Instant)>,
    /// When it was asked last.
    asked: Option<Instant>,
    /// Failures in a row.
    failures: u32,
    in_flight: bool,
    /// Somebody waits for it.
    wanted: bool,
    /// When somebody looked for it last.
    used: Instant,
}

impl Entry {
    fn new(configured: bool, now: Instant) -> Self {
        Self {
            configured,
            document: None,
            asked: None,
            failures: 0,
            in_flight: false,
            wanted: false,
            used: now,
        }
    }

    /// How long it must not be asked yet.
    fn rest(&self, tuning: &Tuning, now: Instant) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(16);
        let pause = tuning.spacing.saturating_mul(1 << doublings);
        let pause = pause.min(tuning.pause_max).max(tuning.spacing);
        let passed = self.asked.map(|asked| now.saturating_duration_since(asked));
        passed.map_or(Duration::ZERO, |passed| pause.saturating_sub(passed))
    }

    fn is_in_flight(&self, tuning: &Tuning, now: Instant) -> bool {
        let begun = self.asked.map(|asked| now.saturating_duration_since(asked));
        self.in_flight && begun.is_some_and(|passed| passed < tuning.lost)
    }

    /// Whether it is time to fetch it again though nobody waits. What only requests name is fetched again only while
    /// they do.
    fn is_old(&self, tuning: &Tuning, now: Instant) -> bool {
        match &self.document {
            None => self.configured,
            Some((_, fetched)) => {
                now.saturating_duration_since(*fetched) >= tuning.refresh
                    && (self.configured || self.used > *fetched)
            }
        }
    }
}

impl Table {
    pub(super) fn new(tuning: Tuning) -> Self {
        let entries = HashMap::new();
        Self { tuning, entries }
    }

    /// Sources that a configuration names; those that it no longer names are as if a request had named them.
    pub(super) fn configure(&mut self, sources: impl IntoIterator<Item = KeySource>, now: Instant) {
        let sources: HashSet<KeySource> = sources.into_iter().collect();
        for (source, entry) in &mut self.entries {
            entry.configured = sources.contains(source);
        }
        for source in sources {
            let new = || Entry::new(true, now);
            self.entries.entry(source).or_insert_with(new);
        }
    }

    pub(super) fn find(&mut self, source: &KeySource, now: Instant) -> Option<Found> {
        let tuning = self.tuning;
        let entry = self.entries.get_mut(source)?;
        entry.used = now;
        let (document, fetched) = entry.document.as_ref()?;
        let age = now.saturating_duration_since(*fetched);
        (age < tuning.stale).then(|| Found {
            document: Arc::clone(document),
            fresh: age < tuning.spacing,
            asked: !entry.is_in_flight(&tuning, now) && !entry.rest(&tuning, now).is_zero(),
        })
    }

    /// Lets a source be asked, for somebody who waits.
    pub(super) fn want(&mut self, source: &KeySource, now: Instant) -> Want {
        let tuning = self.tuning;
        if !self.entries.contains_key(source) && !self.has_room(now) {
            return Want::Later(tuning.spacing);
        }
        let rest = self.rest_of_url(source, now);
        let new = || Entry::new(false, now);
        let entry = self.entries.entry(source.clone()).or_insert_with(new);
        entry.used = now;
        if entry.is_in_flight(&tuning, now) {
            return Want::Pending;
        }
        let rest = rest.max(entry.rest(&tuning, now));
        if !rest.is_zero() {
            return Want::Later(rest);
        }
        entry.wanted = true;
        Want::Pending
    }

    pub(super) fn is_pending(&self, source: &KeySource) -> bool {
        let entry = self.entries.get(source);
        entry.is_some_and(|entry| entry.wanted || entry.in_flight)
    }

    /// What is to be asked now; it is under way from here on.
    pub(super) fn due(&mut self, now: Instant) -> Vec<KeySource> {
        let tuning = self.tuning;
        self.forget(now);
        let busy = self.entries.values();
        let busy = busy
            .filter(|entry| entry.is_in_flight(&tuning, now))
            .count();
        let ready = |entry: &Entry| {
            !entry.is_in_flight(&tuning, now)
                && entry.rest(&tuning, now).is_zero()
                && (entry.wanted || entry.is_old(&tuning, now))
        };
        let mut due: Vec<KeySource> = self
            .entries
            .iter()
            .filter(|(_, entry)| ready(entry))
            .map(|(source, _)| source.clone())
            .collect();
        // Those for whom somebody waits, first; then those that the owner named.
        due.sort_by_key(|source| {
            let entry = self.entries.get(source);
            entry.map(|entry| (!entry.wanted, !entry.configured, entry.used))
        });
        due.truncate(FETCHES_MAX.saturating_sub(busy));
        let mut begun = Vec::with_capacity(due.len());
        for source in due {
            if !self.rest_of_url(&source, now).is_zero() {
                continue;
            }
            if let Some(entry) = self.entries.get_mut(&source) {
                entry.in_flight = true;
                entry.asked = Some(now);
                begun.push(source);
            }
        }
        begun
    }

    /// A fetch has ended: with a document, or without.
    pub(super) fn settle(
        &mut self,
        source: &KeySource,
        document: Option<Arc<Document>>,
        now: Instant,
    ) {
        let Some(entry) = self.entries.get_mut(source) else {
            return;
        };
        entry.in_flight = false;
        entry.wanted = false;
        match document {
            Some(document) => {
                entry.document = Some((document, now));
                entry.failures = 0;
            }
            None => entry.failures = entry.failures.saturating_add(1),
        }
    }

    /// How long the URL must not be asked because it was for a source of another form.
    fn rest_of_url(&self, source: &KeySource, now: Instant) -> Duration {
        let same = self
            .entries
            .iter()
            .filter(|(other, _)| other.url() == source.url());
        let rests = same.map(|(_, entry)| entry.rest(&self.tuning, now));
        rests.max().unwrap_or_default()
    }

    /// Whether a request may name one more source.
    fn has_room(&mut self, now: Instant) -> bool {
        self.forget(now);
        let named = || self.entries.values().filter(|entry| !entry.configured);
        let empty = named().filter(|entry| entry.document.is_none()).count();
        empty < EMPTY_MAX && named().count() < NAMED_MAX
    }

    /// Drops documents that count no longer, and sources that only requests named once they may be asked again:
    /// before that, they are remembered for the sake of the pause.
    fn forget(&mut self, now: Instant) {
        let tuning = self.tuning;
        self.entries.retain(|_, entry| {
            let old = |at: &Instant| now.saturating_duration_since(*at) >= tuning.stale;
            entry.document.take_if(|(_, fetched)| old(fetched));
            let idle = !entry.wanted
                && !entry.is_in_flight(&tuning, now)
                && entry.rest(&tuning, now).is_zero();
            let unused = entry.document.is_none() || old(&entry.used);
            entry.configured || !(idle && unused)
        });
    }
}
