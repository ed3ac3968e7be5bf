//! What the feed says where it has no rows: how to send a first request, or which term finds nothing.

use super::{Asked, terms};
use crate::admin::pages::Ask;
use crate::admin::pages::show::thousands;
use crate::admin::problem::ApiError;
use crate::feed::{Budget, Counted};
use jiff::Timestamp;
use serde::Serialize;
use std::time::Duration;

/// Terms that are counted one by one.
const TERMS_MAX: usize = 8;
/// How long each count may take.
const COUNTING: Duration = Duration::from_millis(100);
/// Webhooks whose addresses are shown.
const FIRST_MAX: usize = 20;

/// A way to send a first request.
#[derive(Debug, Serialize)]
pub(super) struct FirstRequest {
    name: String,
    url: String,
    curl: String,
    /// Makes a request as its sender does.
    sample: Option<String>,
    verified: bool,
}

/// A term, or the range, and what it does.
#[derive(Debug, Serialize)]
pub(super) struct TermRow {
    term: String,
    alone: String,
    without: String,
    /// Address of the feed without it.
    url: String,
    /// Dropping it shows most.
    is_best: bool,
}

/// Every term of a search that finds nothing.
pub(super) fn terms(ask: &Ask, asked: &Asked, now: Timestamp) -> Result<Vec<TermRow>, ApiError> {
    let parts = match terms::split(&asked.q) {
        Some(parts) => parts,
        None => vec![asked.q.as_str()],
    };
    let budget = Budget {
        time: COUNTING,
        after: None,
    };
    let count = |asked: &Asked| -> Result<Option<Counted<()>>, ApiError> {
        let Ok(query) = asked.query(&asked.q, now) else {
            return Ok(None);
        };
        Ok(Some(ask.admin.feed.count(asked.what(), &query, budget)?))
    };
    let mut found = Vec::new();
    for (n, part) in parts.iter().enumerate().take(TERMS_MAX) {
        let others: Vec<&str> = parts
            .iter()
            .enumerate()
            .filter(|(m, _)| *m != n)
            .map(|(_, other)| *other)
            .collect();
        let alone = Asked {
            range: super::RANGES[0],
            ..asked.searching(*part)
        };
        found.push(((*part).to_owned(), alone, asked.searching(others.join(" "))));
    }
    if !asked.range.0.is_empty() {
        let without = Asked {
            range: super::RANGES[0],
            ..asked.clone()
        };
        let term = format!("the last {}", asked.range.1);
        found.push((term, asked.searching(""), without));
    }
    let mut rows = Vec::new();
    for (term, alone, without) in found {
        let (of_it, of_others) = (count(&alone)?, count(&without)?);
        let more = of_others.as_ref().map_or(0, |counted| counted.matches);
        let row = TermRow {
            term,
            alone: number(of_it),
            without: number(of_others),
            url: without.address(),
            is_best: false,
        };
        rows.push((more, row));
    }
    let most = rows.iter().map(|(more, _)| *more).max().unwrap_or(0);
    let best = rows.iter().position(|(more, _)| *more == most && most > 0);
    let marked = rows.into_iter().enumerate().map(|(n, (_, row))| TermRow {
        is_best: Some(n) == best,
        ..row
    });
    Ok(marked.collect())
}

fn number(found: Option<Counted<()>>) -> String {
    let Some(found) = found else {
        return "not a search".to_owned();
    };
    let least = if found.at_least || !found.complete {
        "≥ "
    } else {
        ""
    };
    format!("{least}{}", thousands(found.matches))
}

/// The curl lines of the enabled webhooks.
pub(super) fn first_requests(ask: &Ask) -> Vec<FirstRequest> {
    let config = ask.config();
    let enabled = config.webhooks.iter().filter(|webhook| webhook.enabled);
    enabled
        .take(FIRST_MAX)
        .map(|webhook| {
            let url = ask.admin.url_of(&config, webhook);
            let takes_post = webhook.methods.iter().any(|method| method == "POST");
            let curl = if takes_post {
                format!("curl --json '{{\"hello\": \"world\"}}' '{url}'")
            } else {
                format!("curl '{url}'")
            };
            let known = webhook.provider.is_some();
            FirstRequest {
                name: webhook.name.clone(),
                verified: !webhook.verifier.is_open(),
                sample: known.then(|| format!("hookgate send {}", webhook.name)),
                url,
                curl,
            }
        })
        .collect()
}
