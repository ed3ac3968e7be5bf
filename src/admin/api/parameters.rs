//! Query parameters: known names only, and the search they add up to.

use crate::admin::problem::{ApiError, Item};
use crate::feed::Paging;
use crate::model::{Position, limits, time};
use crate::query::Query;
use jiff::Timestamp;

/// Rows of a page where `limit` is not given.
const ROWS_DEFAULT: usize = 50;

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
            if pairs.iter().any(|(given, _)| *given == name) {
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

    /// `q` together with the filters that are parameters of their own.
    pub(crate) fn search(&self, now: Timestamp) -> Result<Query, ApiError> {
        let text = self.get("q").unwrap_or("");
        let mut terms = Vec::new();
        for key in ["event", "resource", "webhook", "outcome"] {
            if let Some(value) = self.get(key) {
                // Each alone first, so that an error names its parameter.
                let term = format!("{key}:{}", scalar(value));
                parse(&term, now).map_err(|error| {
                    let message = error.message;
                    ApiError::parameter(key, message, error.help)
                })?;
                terms.push(term);
            }
        }
        for (key, sign) in [("since", ">="), ("until", "<=")] {
            if let Some(value) = self.get(key) {
                terms.push(format!("received:{sign}{}", moment(key, value)?));
            }
        }
        let query = parse(text, now).map_err(|error| ApiError::query("q", error))?;
        if terms.is_empty() {
            return Ok(query);
        }
        let all = format!("{text} {}", terms.join(" "));
        parse(&all, now).map_err(|error| ApiError::query("q", error))
    }
}

fn parse(text: &str, now: Timestamp) -> Result<Query, crate::query::QueryError> {
    if text.trim().is_empty() {
        return Ok(Query::default());
    }
    Query::parse(text, now)
}

/// A value as the search grammar wants it: bare where that is safe (so that `*` is a wildcard), a
/// comma makes a list, anything else in quotes.
fn scalar(value: &str) -> String {
    let bare = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_alphanumeric() || "._-*/:@#+".contains(c))
            && !text.starts_with(['>', '<', '-'])
    };
    let one = |text: &str| {
        if bare(text) {
            text.to_owned()
        } else {
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        }
    };
    if value.contains(',') {
        let items: Vec<String> = value.split(',').map(|item| one(item.trim())).collect();
        return format!("({})", items.join(","));
    }
    one(value)
}

/// A time, or an age such as `15m`, as the search grammar wants it.
fn moment(key: &str, value: &str) -> Result<String, ApiError> {
    if let Some(at) = time::parse(value) {
        return Ok(time::to_rfc3339(at));
    }
    let age = value.strip_prefix('-').unwrap_or(value);
    let unit = age.trim_start_matches(|c: char| c.is_ascii_digit());
    if unit.len() < age.len() && matches!(unit, "s" | "m" | "h" | "d") {
        return Ok(format!("-{age}"));
    }
    Err(ApiError::parameter(
        key,
        "must be a time such as 2026-11-01T10:00:00Z, or an age such as 15m, 24h or 7d",
        None,
    ))
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
    fn values_as_terms() {
        assert_eq!(scalar("github.*"), "github.*");
        assert_eq!(scalar("a b"), "\"a b\"");
        assert_eq!(scalar("say \"hi\"\\"), r#""say \"hi\"\\""#);
        assert_eq!(scalar("parked, rejected"), "(parked,rejected)");
        assert_eq!(scalar("-x"), "\"-x\"");
    }

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
    fn times_and_ages() {
        assert_eq!(moment("since", "15m").unwrap(), "-15m");
        assert_eq!(
            moment("since", "2026-11-01").unwrap(),
            "2026-11-01T00:00:00Z"
        );
        assert!(moment("since", "soon").is_err());
    }
}
