//! `/`: what came, newest first: events, and deliveries that need a look.
//!
//! The address is the state: `q` (the search), `range` (how far back), `show` (which rows), `after` (which page).

mod chart;
mod empty;
mod facets;
mod rows;
mod terms;

use self::chart::Chart;
use self::empty::{FirstRequest, TermRow};
use self::facets::Column;
use self::rows::{Row, Rows};
use super::Ask;
use super::show::{counted, thousands};
use crate::admin::problem::ApiError;
use crate::feed::{Budget, Counted, Over, Paging, What};
use crate::query::{Query, QueryError};
use actix_web::HttpResponse;
use jiff::Timestamp;
use serde::Serialize;
use std::time::Duration;

/// Deliveries on one page.
const ROWS: usize = 50;
/// What the feed shows besides events: what went wrong.
const FAILURES_TOO: [&str; 3] = ["accepted", "parked", "rejected"];
/// How long the page waits for each of its counts.
const COUNTING: Duration = Duration::from_millis(80);
/// How far back one can look, as in the address, and in words; empty: as far as there is anything.
const RANGES: [(&str, &str); 6] = [
    ("", "Any time"),
    ("15m", "15 min"),
    ("1h", "1 h"),
    ("24h", "24 h"),
    ("7d", "7 d"),
    ("30d", "30 d"),
];

#[derive(Debug, Serialize)]
struct FeedPage {
    /// `events` (and failures) or `deliveries` (all of them).
    show: &'static str,
    ranges: Vec<RangeChoice>,
    rows: Vec<Row>,
    /// `1,239 events and failures in 24 h`.
    count: Option<String>,
    /// Address of the next page.
    older: Option<String>,
    /// Address of the newest page, where this is not it.
    newest: Option<String>,
    events_url: String,
    deliveries_url: String,
    wrong: Option<WrongQuery>,
    /// What each term finds, where all together find nothing.
    terms: Vec<TermRow>,
    /// Address without any term and range.
    everything: Option<String>,
    chart: Option<Chart>,
    facets: Vec<Column>,
    /// How to send a first request; empty when there is something.
    first: Vec<FirstRequest>,
    /// Whether there is nothing in the log at all.
    is_new: bool,
    head: u64,
    /// How far the feed has read, where that is not the head.
    searchable: Option<String>,
}

#[derive(Debug, Serialize)]
struct RangeChoice {
    value: &'static str,
    words: &'static str,
    is_chosen: bool,
}

#[derive(Debug, Serialize)]
struct WrongQuery {
    before: String,
    at: String,
    column: usize,
    message: String,
    help: Option<String>,
}

/// What the address asks for.
#[derive(Debug, Clone)]
struct Asked {
    q: String,
    show: &'static str,
    /// One of [`RANGES`].
    range: (&'static str, &'static str),
    after: Option<String>,
}

impl Asked {
    /// The address that asks for this.
    fn address(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !self.q.is_empty() {
            query.append_pair("q", &self.q);
        }
        if !self.range.0.is_empty() {
            query.append_pair("range", self.range.0);
        }
        if self.show != "events" {
            query.append_pair("show", self.show);
        }
        if let Some(after) = &self.after {
            query.append_pair("after", after);
        }
        let query = query.finish();
        if query.is_empty() {
            "/".to_owned()
        } else {
            format!("/?{query}")
        }
    }

    fn searching(&self, q: impl Into<String>) -> Self {
        Self {
            q: q.into(),
            after: None,
            ..self.clone()
        }
    }

    fn showing(&self, show: &'static str) -> Self {
        Self {
            show,
            after: None,
            ..self.clone()
        }
    }

    fn newest(&self) -> Self {
        self.searching(self.q.as_str())
    }

    fn everything(&self) -> Self {
        Self {
            q: String::new(),
            range: RANGES[0],
            after: None,
            show: self.show,
        }
    }

    /// Whether rows are asked for by more than their kind.
    fn is_narrow(&self) -> bool {
        !self.q.is_empty() || !self.range.0.is_empty()
    }

    /// What is counted: where failures stand between the events, deliveries are.
    fn what(&self) -> What {
        What::Deliveries
    }

    /// The search, and the range, without what only events are shown for.
    fn query(&self, q: &str, now: Timestamp) -> Result<Query, QueryError> {
        let given = Query::parse(q, now)?;
        if self.range.0.is_empty() {
            return Ok(given);
        }
        Ok(given.and(Query::parse(&format!("received:>=-{}", self.range.0), now)?))
    }

    /// What the rows are found by; for events, failures are added unless the search names outcomes.
    fn row_query(&self, now: Timestamp) -> Result<Query, QueryError> {
        let given = self.query(&self.q, now)?;
        if self.show == "deliveries" || self.q.contains("outcome:") {
            return Ok(given);
        }
        Ok(given.and(Query::parameter("outcome", &FAILURES_TOO, now)?))
    }
}

/// `GET /`.
pub(super) async fn page(ask: Ask) -> Result<HttpResponse, ApiError> {
    let parameters = ask.parameters(&["q", "show", "range", "after"])?;
    let mut paging = parameters.paging()?;
    paging.limit = ROWS;
    let range = parameters.get("range").unwrap_or("");
    let asked = Asked {
        q: parameters.get("q").unwrap_or("").to_owned(),
        show: match parameters.get("show") {
            Some("deliveries") => "deliveries",
            _ => "events",
        },
        range: RANGES
            .into_iter()
            .find(|(value, _)| *value == range)
            .unwrap_or(RANGES[0]),
        after: parameters.get("after").map(str::to_owned),
    };
    ask.searching(asked.q.clone())
        .answer("feed.html", "feed", move |ask| gather(ask, &asked, paging))
        .await
}

fn gather(ask: &Ask, asked: &Asked, paging: Paging) -> Result<FeedPage, ApiError> {
    let now = Timestamp::now();
    let head = ask.admin.log.stats().head;
    let mut page = FeedPage {
        show: asked.show,
        ranges: RANGES
            .map(|(value, words)| RangeChoice {
                value,
                words,
                is_chosen: value == asked.range.0,
            })
            .into(),
        rows: Vec::new(),
        count: None,
        older: None,
        newest: paging.after.map(|_| asked.newest().address()),
        events_url: asked.showing("events").address(),
        deliveries_url: asked.showing("deliveries").address(),
        wrong: None,
        terms: Vec::new(),
        everything: asked.is_narrow().then(|| asked.everything().address()),
        chart: None,
        facets: Vec::new(),
        first: Vec::new(),
        is_new: false,
        head,
        searchable: None,
    };
    let query = match asked.row_query(now) {
        Ok(query) => query,
        Err(error) => {
            page.wrong = Some(wrong(&asked.q, error));
            return Ok(page);
        }
    };
    let found = ask.admin.feed.deliveries(&query, paging)?;
    page.searchable = (found.indexed_to < head)
        .then(|| format!("{} of {}", thousands(found.indexed_to), thousands(head)));
    page.older = found.next.map(|next| {
        let after = Some(next.to_string());
        Asked {
            after,
            ..asked.clone()
        }
        .address()
    });
    page.rows = Rows::new(ask, &query, asked.show, now).of(&found.rows);
    if !page.rows.is_empty() || paging.after.is_some() {
        counts(ask, asked, now, &mut page)?;
    } else if asked.is_narrow() {
        page.terms = empty::terms(ask, asked, now)?;
    } else {
        page.is_new = true;
        page.first = empty::first_requests(ask);
    }
    Ok(page)
}

/// Chart, facets and number of what the search finds.
fn counts(ask: &Ask, asked: &Asked, now: Timestamp, page: &mut FeedPage) -> Result<(), ApiError> {
    let Ok(query) = asked.query(&asked.q, now) else {
        return Ok(());
    };
    let budget = Budget {
        time: COUNTING,
        after: None,
    };
    let feed = &ask.admin.feed;
    let over = Over {
        buckets: chart::BUCKETS,
        now,
    };
    let histogram = feed.histogram(asked.what(), &query, over, budget)?;
    page.count = (histogram.matches > 0).then(|| count_line(&histogram, asked));
    page.chart = chart::draw(&histogram, now);
    page.facets = facets::columns(ask, asked, &query, budget)?;
    Ok(())
}

/// `1,239 deliveries in 24 h`.
fn count_line<T>(found: &Counted<T>, asked: &Asked) -> String {
    let least = if found.at_least || !found.complete {
        "at least "
    } else {
        ""
    };
    let range = match asked.range {
        ("", _) => String::new(),
        (_, words) => format!(" in {words}"),
    };
    format!("{least}{}{range}", counted(found.matches, "delivery"))
}

fn wrong(q: &str, error: QueryError) -> WrongQuery {
    let split = q
        .char_indices()
        .nth(error.column.saturating_sub(1))
        .map_or(q.len(), |(at, _)| at);
    let (before, at) = q.split_at(split);
    WrongQuery {
        before: before.to_owned(),
        at: if at.is_empty() { " " } else { at }.to_owned(),
        column: error.column,
        message: error.message,
        help: error.help,
    }
}
