//! The column of values with their counts: a link adds one to the search, or takes it away again.

use super::{Asked, terms};
use crate::admin::pages::Ask;
use crate::admin::pages::show::{cut, thousands};
use crate::admin::problem::ApiError;
use crate::feed::{Budget, Facet, FacetKey};
use crate::query::Query;
use serde::Serialize;

/// Values of one facet that are listed.
const VALUES_SHOWN: usize = 8;

/// One facet.
#[derive(Debug, Serialize)]
pub(super) struct Column {
    name: &'static str,
    key: &'static str,
    values: Vec<Value>,
    more: Option<String>,
}

#[derive(Debug, Serialize)]
struct Value {
    text: String,
    /// The outcome that it is, which has an icon.
    state: Option<String>,
    count: String,
    /// With it in the search, or without it where it is there.
    url: String,
    is_asked: bool,
}

/// What the page counts by, and how it calls that.
const KEYS: [(FacetKey, &str); 4] = [
    (FacetKey::Outcome, "Outcome"),
    (FacetKey::Webhook, "Webhook"),
    (FacetKey::Event, "Event"),
    (FacetKey::Code, "Error"),
];

/// The facets of what a search finds; those without values are left out.
pub(super) fn columns(
    ask: &Ask,
    asked: &Asked,
    query: &Query,
    budget: Budget,
) -> Result<Vec<Column>, ApiError> {
    let keys = KEYS.map(|(key, _)| key);
    let found = ask.admin.feed.facets(asked.what(), query, &keys, budget)?;
    let least = found.at_least || !found.complete;
    let columns = KEYS.iter().zip(&found.value);
    Ok(columns
        .map(|((_, name), facet)| column(asked, name, facet, least))
        .filter(|column| !column.values.is_empty())
        .collect())
}

fn column(asked: &Asked, name: &'static str, facet: &Facet, least: bool) -> Column {
    let key = facet.key.as_str();
    let sign = if least || facet.at_least { "≥ " } else { "" };
    // What has none of it is no value to search for.
    let named = facet.values.iter().filter(|value| !value.value.is_empty());
    let values: Vec<Value> = named
        .clone()
        .take(VALUES_SHOWN)
        .map(|value| {
            let less = terms::without(&asked.q, key, &value.value);
            let is_asked = less.is_some();
            let q = less.unwrap_or_else(|| terms::with(&asked.q, &terms::term(key, &value.value)));
            Value {
                text: cut(&value.value, 80),
                state: (facet.key == FacetKey::Outcome).then(|| value.value.clone()),
                count: format!("{sign}{}", thousands(value.count)),
                url: asked.searching(q).address(),
                is_asked,
            }
        })
        .collect();
    let hidden = named.count().saturating_sub(values.len()) as u64 + facet.more;
    Column {
        name,
        key,
        values,
        more: (hidden > 0).then(|| format!("and {} more", thousands(hidden))),
    }
}
