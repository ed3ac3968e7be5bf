//! What the lists share: how they are narrowed, how they are asked for page by page, how times and numbers look.

use super::client::{Failure, Server};
use super::{Exit, Global, output};
use crate::log::{ReadOnlyLog, Record};
use crate::model::{Seq, time};
use crate::query::{Query, QueryError};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::collections::VecDeque;
use std::path::Path;

/// Rows of a list where `--limit` says nothing.
const ROWS_DEFAULT: usize = 50;
/// Rows asked for at once, as long as the answers are not too large.
const ROWS_AT_ONCE: usize = 500;
/// Records read at once, and bytes of them.
const RECORDS_AT_ONCE: usize = 1_000;
const BYTES_AT_ONCE: usize = 4 * 1024 * 1024;

/// `--since` and `--until`.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Times {
    /// Received since: `15m`, `2d`, `today`, a date or a time
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Received until
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl Times {
    /// With a beginning alone.
    pub(super) fn since(since: Option<String>) -> Self {
        Self { since, until: None }
    }

    /// Name and value of each that is given; a bare duration is one ago, `today` began at midnight here.
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        [("since", &self.since), ("until", &self.until)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, absolute(value.as_deref()?.trim()))))
            .collect()
    }

    /// A query with these times in it, checked here, where a message can point at what is wrong.
    pub(super) fn narrow(&self, text: &str) -> Result<Query, Failure> {
        let now = Timestamp::now();
        let mut query = Query::parse(text, now).map_err(|error| wrong("the query", &error))?;
        for (name, value) in self.pairs() {
            let term = Query::parameter(name, &[&value], now);
            query = query.and(term.map_err(|error| wrong(&format!("--{name}"), &error))?);
        }
        Ok(query)
    }

    /// The same as text.
    pub(super) fn query(&self, text: &str) -> Result<String, Failure> {
        Ok(self.narrow(text)?.to_string())
    }
}

fn absolute(value: &str) -> String {
    if value == "today" {
        let zone = TimeZone::system();
        let midnight = zone.to_datetime(Timestamp::now()).date().at(0, 0, 0, 0);
        if let Ok(begun) = zone.to_timestamp(midnight) {
            return time::to_rfc3339(begun);
        }
    }
    match crate::config::parse_duration(value) {
        Ok(_) => format!("-{value}"),
        Err(_) => value.to_owned(),
    }
}

/// A query that is wrong, with a caret under the place.
fn wrong(what: &str, error: &QueryError) -> Failure {
    let failure = Failure::new(Exit::Usage, format!("{what}: {error}"));
    match &error.help {
        Some(help) => failure.help(help),
        None => failure,
    }
}

/// What narrows a list.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Narrow {
    /// Rows at most, newest first [default: 50]
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<usize>,
    #[command(flatten)]
    pub(super) times: Times,
}

impl Narrow {
    pub(super) fn rows(&self) -> usize {
        self.limit.unwrap_or(ROWS_DEFAULT)
    }
}

/// How a list is asked for.
pub(super) struct Ask<'a> {
    pub(super) path: &'a [&'a str],
    /// Names and values of parameters.
    pub(super) pairs: Vec<(&'static str, String)>,
    /// Rows at most.
    pub(super) limit: usize,
}

/// Every row of a list up to the limit, page by page; whether there are more.
pub(super) fn pages(
    server: &Server,
    ask: Ask<'_>,
    mut see: impl FnMut(&[Value]),
) -> Result<bool, Failure> {
    let (mut rows, mut after) = (ROWS_AT_ONCE, None::<String>);
    let mut left = ask.limit;
    while left > 0 {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .extend_pairs(&ask.pairs)
            .append_pair("limit", &rows.min(left).to_string());
        if let Some(after) = &after {
            query.append_pair("after", after);
        }
        let Some(page) = server.page(ask.path, &query.finish(), "application/json")? else {
            if rows == 1 {
                let message = "one row is larger than an answer may be";
                return Err(Failure::new(Exit::Unreachable, message));
            }
            rows = (rows / 8).max(1);
            continue;
        };
        let list = page.rows.get("data").and_then(Value::as_array);
        let list = list.map_or(&[][..], Vec::as_slice);
        see(list);
        left = left.saturating_sub(list.len());
        after = match page.next {
            Some(next) => Some(next),
            None => return Ok(false),
        };
    }
    Ok(true)
}

/// Rows of a list that match, newest first, and whether there are more.
pub(super) fn rows(
    server: &Server,
    list: &str,
    times: &Times,
    query: &str,
    limit: usize,
) -> Result<(Vec<Value>, bool), Failure> {
    let mut pairs = times.pairs();
    pairs.push(("q", query.to_owned()));
    let ask = Ask {
        path: &[list],
        pairs,
        limit,
    };
    let mut rows = Vec::new();
    let more = pages(server, ask, |page| rows.extend_from_slice(page))?;
    Ok((rows, more))
}

/// The same of a store: what `find` gives for each record, newest first, and whether there is more.
pub(super) fn newest<T, I: IntoIterator<Item = T>>(
    folder: &Path,
    limit: usize,
    mut find: impl FnMut(Record) -> I,
) -> Result<(Vec<T>, bool), Failure> {
    let (mut newest, mut more) = (VecDeque::new(), false);
    records(folder, |record| {
        for row in find(record) {
            if newest.len() == limit {
                more = true;
                newest.pop_front();
            }
            newest.push_back(row);
        }
        Ok(true)
    })?;
    Ok((newest.into_iter().rev().collect(), more))
}

/// Every record of a store, oldest first, until told to stop.
pub(super) fn records(
    folder: &Path,
    mut see: impl FnMut(Record) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::Invalid, error.to_string());
    let log = ReadOnlyLog::open(folder).map_err(|error| failed(&error))?;
    let mut after: Seq = 0;
    loop {
        let read = log.read(after, RECORDS_AT_ONCE, BYTES_AT_ONCE);
        let records = read.map_err(|error| failed(&error))?;
        let Some(last) = records.last() else {
            return Ok(());
        };
        after = last.seq;
        for record in records {
            if !see(record)? {
                return Ok(());
            }
        }
    }
}

/// Says where a list was cut, to people.
pub(super) fn say_more(global: &Global, shown: usize, more: bool) {
    if more && !global.quiet() && !global.json() && !global.plain() {
        output::err(&format!(
            "{shown} shown, and there are more: --limit N, or a narrower query\n"
        ));
    }
}

/// Says that a list is empty, to people.
pub(super) fn say_none(global: &Global, what: &str) {
    if !global.quiet() && !global.json() && !global.plain() {
        output::err(&format!("{what}\n"));
    }
}

/// `1 request`, `2 requests`, `2 deliveries`.
pub(super) fn plural(count: u64, word: &str) -> String {
    match (count, word.strip_suffix('y')) {
        (1, _) => format!("1 {word}"),
        (n, Some(stem)) => format!("{n} {stem}ies"),
        (n, None) => format!("{n} {word}s"),
    }
}

/// A time here, without its day where that is today; what is no time as it is.
pub(super) fn local(rfc3339: &str) -> String {
    let Ok(time) = rfc3339.parse::<Timestamp>() else {
        return rfc3339.to_owned();
    };
    let zone = TimeZone::system();
    let (then, now) = (zone.to_datetime(time), zone.to_datetime(Timestamp::now()));
    let form = if then.date() == now.date() {
        "%H:%M:%S"
    } else {
        "%Y-%m-%d %H:%M:%S"
    };
    then.strftime(form).to_string()
}

/// A part of an answer.
pub(super) fn part<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

/// A part of an answer as text; numbers as they are written, nothing where there is nothing.
pub(super) fn text(value: &Value, pointer: &str) -> String {
    match part(value, pointer) {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        let times = |since: &str| Times {
            since: Some(since.to_owned()),
            until: None,
        };
        assert_eq!(times("15m").pairs(), [("since", "-15m".to_owned())]);
        assert_eq!(
            times(" 2026-11-01 ").pairs(),
            [("since", "2026-11-01".to_owned())]
        );
        assert!(times("today").narrow("event:a").is_ok());
        assert!(times("soon").narrow("").is_err());
        let text = times("2026-11-01").query("event:a OR event:b").unwrap();
        let now = Timestamp::now();
        assert_eq!(
            Query::parse(&text, now),
            times("2026-11-01")
                .narrow("event:a OR event:b")
                .map_err(|_| unreachable!())
        );
        assert_eq!(
            (plural(1, "delivery"), plural(2, "delivery")),
            ("1 delivery".into(), "2 deliveries".into())
        );
    }
}
