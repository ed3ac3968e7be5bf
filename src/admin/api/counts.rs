//! `…/histogram`, `…/facets` and `…/terms` of events and deliveries.

use super::parameters::Parameters;
use super::{block, json, shared};
use crate::admin::Admin;
use crate::admin::problem::ApiError;
use crate::feed::{self, BUCKETS_MAX, Budget, Counted, FacetKey, FacetValue, Over, What};
use crate::model::{Outcome, Position, Seq, time};
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

/// What all of them take, and what each does beside.
const TAKES: [&str; 13] = [
    "q", "event", "resource", "webhook", "provider", "outcome", "code", "key", "since", "until",
    "after", "buckets", "keys",
];
/// Buckets where none are asked for.
const BUCKETS: usize = 60;
/// Facets where none are asked for.
const KEYS: [FacetKey; 5] = [
    FacetKey::Outcome,
    FacetKey::Webhook,
    FacetKey::Event,
    FacetKey::Resource,
    FacetKey::Code,
];

/// How far something was counted.
#[derive(Debug, Serialize)]
pub(crate) struct CountView {
    matches: u64,
    /// There may be more.
    at_least: bool,
    /// Rows that were looked at one by one; 0: counters knew.
    scanned: u64,
    /// False: the time was up; asked again with `after`, it goes on at `next`, and the counts add up.
    complete: bool,
    next: Option<String>,
    indexed_to: Seq,
}

impl<T> From<&Counted<T>> for CountView {
    fn from(counted: &Counted<T>) -> Self {
        Self {
            matches: counted.matches,
            at_least: counted.at_least,
            scanned: counted.scanned,
            complete: counted.complete,
            next: counted.next.map(|next| next.to_string()),
            indexed_to: counted.indexed_to,
        }
    }
}

#[derive(Debug, Serialize)]
struct HistogramView {
    /// Of a bucket, `60s`.
    width: String,
    from: String,
    to: String,
    buckets: Vec<BucketView>,
    #[serde(flatten)]
    count: CountView,
}

#[derive(Debug, Serialize)]
struct BucketView {
    start: String,
    total: u64,
    /// Outcomes that are there, by name.
    outcomes: Map<String, Value>,
}

#[derive(Debug, Serialize)]
struct FacetsView {
    data: Vec<FacetView>,
    #[serde(flatten)]
    count: CountView,
}

#[derive(Debug, Serialize)]
struct FacetView {
    key: FacetKey,
    values: Vec<FacetValue>,
    /// Values that are not listed.
    more: u64,
    at_least: bool,
}

#[derive(Debug, Serialize)]
struct TermsView {
    data: Vec<TermView>,
}

#[derive(Debug, Serialize)]
struct TermView {
    term: String,
    without: String,
    #[serde(flatten)]
    count: CountView,
}

fn read(request: &HttpRequest) -> Result<(Parameters, Budget), ApiError> {
    let parameters = Parameters::read(request.query_string(), &TAKES)?;
    let after = parameters.get("after").map(|text| {
        text.parse::<Position>().map_err(|()| {
            ApiError::parameter("after", "must be the `next` of an earlier answer", None)
        })
    });
    let budget = Budget {
        after: after.transpose()?,
        ..Budget::default()
    };
    Ok((parameters, budget))
}

async fn histogram(
    request: HttpRequest,
    admin: web::Data<Admin>,
    what: What,
) -> Result<HttpResponse, ApiError> {
    let (parameters, budget) = read(&request)?;
    let now = Timestamp::now();
    let query = parameters.search(now)?;
    let buckets = match parameters.get("buckets") {
        None => BUCKETS,
        Some(text) => {
            let number = text.parse().ok().filter(|n| (1..=BUCKETS_MAX).contains(n));
            number.ok_or_else(|| {
                let message = format!("must be a number from 1 to {BUCKETS_MAX}");
                ApiError::parameter("buckets", message, None)
            })?
        }
    };
    let admin = shared(&admin);
    let over = Over { buckets, now };
    let found = block(move || Ok(admin.feed.histogram(what, &query, over, budget)?)).await?;
    let buckets = found.value.buckets.iter().map(|bucket| BucketView {
        start: time::to_rfc3339(bucket.start),
        total: bucket.total(),
        outcomes: Outcome::ALL
            .into_iter()
            .filter(|outcome| bucket.of(*outcome) > 0)
            .map(|outcome| (outcome.as_str().to_owned(), bucket.of(outcome).into()))
            .collect(),
    });
    json(&HistogramView {
        width: format!("{}s", found.value.width_seconds),
        from: time::to_rfc3339(found.value.from),
        to: time::to_rfc3339(found.value.to),
        buckets: buckets.collect(),
        count: CountView::from(&found),
    })
}

async fn facets(
    request: HttpRequest,
    admin: web::Data<Admin>,
    what: What,
) -> Result<HttpResponse, ApiError> {
    let (parameters, budget) = read(&request)?;
    let query = parameters.search(Timestamp::now())?;
    let keys = match parameters.get("keys") {
        None => KEYS.to_vec(),
        Some(text) => {
            let keys = text.split(',').map(|name| {
                FacetKey::parse(name.trim()).ok_or_else(|| {
                    let names = FacetKey::ALL.map(FacetKey::as_str).join(", ");
                    let message = format!("there is no facet `{}`", name.trim());
                    ApiError::parameter("keys", message, Some(format!("facets are {names}")))
                })
            });
            keys.collect::<Result<Vec<_>, _>>()?
        }
    };
    let admin = shared(&admin);
    let found = block(move || Ok(admin.feed.facets(what, &query, &keys, budget)?)).await?;
    let count = CountView::from(&found);
    let data = found.value.into_iter().map(|facet| FacetView {
        key: facet.key,
        values: facet.values,
        more: facet.more,
        at_least: facet.at_least,
    });
    json(&FacetsView {
        data: data.collect(),
        count,
    })
}

async fn terms(
    request: HttpRequest,
    admin: web::Data<Admin>,
    what: What,
) -> Result<HttpResponse, ApiError> {
    let (parameters, budget) = read(&request)?;
    let query = parameters.search(Timestamp::now())?;
    let admin = shared(&admin);
    let count = move || Ok(feed::count_terms(&*admin.feed, what, &query, budget)?);
    let data = block(count).await?.into_iter().map(|term| TermView {
        count: CountView::from(&term.alone),
        term: term.term,
        without: term.without,
    });
    json(&TermsView {
        data: data.collect(),
    })
}

macro_rules! handlers {
    ($($(#[$doc:meta])* $name:ident = $of:ident($what:expr);)*) => {
        $($(#[$doc])*
        pub(super) async fn $name(
            request: HttpRequest,
            admin: web::Data<Admin>,
        ) -> Result<HttpResponse, ApiError> {
            $of(request, admin, $what).await
        })*
    };
}

handlers! {
    /// `GET /events/histogram`.
    event_histogram = histogram(What::Events);
    /// `GET /deliveries/histogram`.
    delivery_histogram = histogram(What::Deliveries);
    /// `GET /events/facets`.
    event_facets = facets(What::Events);
    /// `GET /deliveries/facets`.
    delivery_facets = facets(What::Deliveries);
    /// `GET /events/terms`: each part of a query, and how many match it alone.
    event_terms = terms(What::Events);
    /// `GET /deliveries/terms`.
    delivery_terms = terms(What::Deliveries);
}
