//! Query parameters: known names only, and the search they add up to.

use crate::admin::problem::{ApiError, Item};
use crate::feed::Paging;
use crate::model::{Position, limits};
use crate::query::Query;
use jiff::Timestamp;

/// Rows of a page where `limit` is not given.
const ROWS_DEFAULT: usize = 50;

/// Parameters that narrow a search, each as in [`Query::parameter`]; they may be given more than once.
pub(crate) const FILTERS: &[&str] = &[
    "event", "resource", "webhook", "provider", "outcome", "code", "key", "since", "until",
];
/// What a list that can be searched takes.
pub(crate) const SEARCHABLE: &[&str] = &[
    "q", "event", "resource", "webhook", "provider", "outcome", "code", "key", "since", "until",
    "limit", "after", "order",
];

/// The query parameters of a request, all of them known and given once.
#[derive(Debug)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads them.
    ///
    /// # Errors
    /// 400 for an unknown one, with the nearest name, and for one that is given twice.
    pub(crate) fn read(query: &str, known: &[&str]) -> Result<Self, ApiError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !known.contains(&name.as_ref()) {
                return Err(unknown(&name, known));
            }
            let many = FILTERS.contains(&name.as_ref());
            if !many && pairs.iter().any(|(given, _)| *given == name) {
                return Err(ApiError::parameter(&name, "is given twice", None));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    /// A parameter's value; an empty one counts as absent, as forms send it.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        pairs
            .find(|(given, value)| given == name && !value.trim().is_empty())
            .map(|(_, value)| value.trim())
    }

    /// A parameter's value as it is, with its blanks.
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        let pair = pairs.find(|(given, _)| given == name);
        pair.map(|(_, value)| value.as_str())
    }

    /// `limit`, 1 to 1,000.
    pub(crate) fn limit(&self) -> Result<Option<usize>, ApiError> {
        let Some(text) = self.get("limit") else {
            return Ok(None);
        };
        let number = text.parse::<usize>().ok();
        let known = number.filter(|n| (1..=limits::PAGE_ROWS_MAX).contains(n));
        known.map(Some).ok_or_else(|| {
            ApiError::parameter(
                "limit",
                format!("must be a number from 1 to {}", limits::PAGE_ROWS_MAX),
                None,
            )
        })
    }

    /// `limit`, `after` and `order`.
    pub(crate) fn paging(&self) -> Result<Paging, ApiError> {
        let after = match self.get("after") {
            None => None,
            Some(text) => Some(text.parse::<Position>().map_err(|()| {
                ApiError::parameter("after", "must be the `next` of an earlier page", None)
            })?),
        };
        let ascending = match self.get("order") {
            None | Some("desc") => false,
            Some("asc") => true,
            Some(_) => {
                return Err(ApiError::parameter(
                    "order",
                    "must be `asc` or `desc`",
                    None,
                ));
            }
        };
        Ok(Paging {
            limit: self.limit()?.unwrap_or(ROWS_DEFAULT),
            after,
            ascending,
        })
    }

    /// `q` together with the filters that are parameters of their own; several values of one: any of them.
    pub(crate) fn search(&self, now: Timestamp) -> Result<Query, ApiError> {
        let text = self.get("q").unwrap_or("");
        let mut query = Query::parse(text, now).map_err(|error| ApiError::query("q", error))?;
        for name in FILTERS {
            let given = self.0.iter().filter(|(given, _)| given == name);
            let values: Vec<&str> = given
                .flat_map(|(_, value)| {
                    // Names hold no comma; ids of resources and keys may.
                    let whole = matches!(*name, "resource" | "key");
                    value.split(move |c| c == ',' && !whole)
                })
                .map(str::trim)
                .filter(|value| !value.is_empty())
                .collect();
            if values.is_empty() {
                continue;
            }
            let term = Query::parameter(name, &values, now)
                .map_err(|error| ApiError::parameter(name, error.message, error.help))?;
            query = query.and(term);
        }
        Ok(query)
    }
}

fn unknown(name: &str, known: &[&str]) -> ApiError {
    let nearest = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), *candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"));
    let names = known.join("`, `");
    let help = nearest.unwrap_or_else(|| {
        if known.is_empty() {
            "this call takes no parameters".to_owned()
        } else {
            format!("this call takes `{names}`")
        }
    });
    ApiError::invalid(format!("there is no parameter `{name}`: {help}")).with(Item {
        parameter: Some(name.to_owned()),
        detail: "unknown parameter".to_owned(),
        help: Some(help),
        ..Item::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_and_given_once() {
        let read = |query: &str| Parameters::read(query, &["limit", "order", "after"]);
        let error = read("limt=5").unwrap_err();
        assert_eq!(
            error.errors[0].help.as_deref(),
            Some("did you mean `limit`?")
        );
        assert!(read("zzz=1").unwrap_err().detail.contains("`limit`"));
        assert!(read("limit=1&limit=2").is_err());
        for bad in ["limit=0", "limit=1001", "limit=x", "order=up", "after=7"] {
            assert!(read(bad).unwrap().paging().is_err(), "{bad}");
        }
        let paging = read("limit=7&order=asc&after=12.3").unwrap().paging();
        let paging = paging.unwrap();
        assert_eq!((paging.limit, paging.ascending), (7, true));
        assert_eq!(paging.after, Some(Position { seq: 12, index: 3 }));
    }

    #[test]
    fn filters_narrow_the_search() {
        let now = Timestamp::UNIX_EPOCH;
        let search = |text: &str| Parameters::read(text, SEARCHABLE).unwrap().search(now);
        assert_eq!(search("").unwrap(), Query::default());
        assert_eq!(
            search("q=event:a&outcome=parked,rejected").unwrap(),
            Query::parse("event:a outcome:(parked,rejected)", now).unwrap()
        );
        assert!(search("since=-15m").is_ok() && search("since=2026-11-01").is_ok());
        let error = search("since=soon").unwrap_err();
        assert_eq!(error.errors[0].parameter.as_deref(), Some("since"));
        assert!(search("outcome=fine").is_err());
    }
}
