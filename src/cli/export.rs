//! `export`: events as lines of JSON or as CloudEvents, oldest first, from the running gateway or from its store.

use super::client::{Failure, Server};
use super::listing::{self, Times};
use super::{Exit, Global, output};
use crate::admin::EventView;
use crate::feed::EventRow;
use crate::log::Record;
use crate::model::{Position, cloud_event};
use crate::query::Query;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Rows asked for at once, as long as the answers are not too large.
const ROWS_AT_ONCE: usize = 500;

/// What `export` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Which events, such as `webhook:shop received:>-1d` [default: all]
    #[arg(value_name = "QUERY", default_value = "", hide_default_value = true)]
    query: String,
    /// One event as the API gives it, or one CloudEvent, a line
    #[arg(long, value_enum, default_value_t = Format::Ndjson, value_name = "FORMAT")]
    format: Format,
    /// Events at most
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    times: Times,
    /// Read this store (the folder with log.db) instead of asking a gateway; it may be running
    #[arg(long, value_name = "PATH")]
    store: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Ndjson,
    #[value(name = "cloudevents")]
    CloudEvents,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Exit {
    let done = match &arguments.store {
        Some(path) => from_store(arguments, path),
        None => from_server(arguments),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(failure) => failure.report(global),
    }
}

fn from_server(arguments: &Arguments) -> Result<(), Failure> {
    // Found out here, where the message can point at the query.
    arguments.times.narrow(&arguments.query)?;
    let (mut rows, mut after) = (ROWS_AT_ONCE, None::<String>);
    let mut left = arguments.limit.unwrap_or(usize::MAX);
    while left > 0 {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("q", &arguments.query)
            .append_pair("order", "asc")
            .append_pair("limit", &rows.min(left).to_string())
            .extend_pairs(arguments.times.pairs());
        if let Some(after) = &after {
            query.append_pair("after", after);
        }
        let media_type = match arguments.format {
            Format::Ndjson => "application/json",
            Format::CloudEvents => cloud_event::BATCH_MEDIA_TYPE,
        };
        let asked = arguments
            .server
            .page(&["events"], &query.finish(), media_type)?;
        let Some(page) = asked else {
            if rows == 1 {
                let message = "one event is larger than an answer may be";
                return Err(Failure::new(Exit::Unreachable, message));
            }
            rows = (rows / 8).max(1);
            continue;
        };
        let list = page.rows.get("data").unwrap_or(&page.rows);
        let list = list.as_array().map_or(&[][..], Vec::as_slice);
        write(list);
        left = left.saturating_sub(list.len());
        after = match page.next {
            Some(next) => Some(next),
            None => break,
        };
    }
    Ok(())
}

fn write(rows: &[Value]) {
    let mut text = String::new();
    for row in rows {
        text.push_str(&row.to_string());
        text.push('\n');
    }
    output::out(&text);
}

fn from_store(arguments: &Arguments, folder: &Path) -> Result<(), Failure> {
    let query = arguments.times.narrow(&arguments.query)?;
    let mut left = arguments.limit.unwrap_or(usize::MAX);
    listing::records(folder, |record| {
        let mut text = String::new();
        left -= lines(&mut text, record, &query, arguments.format, left)?;
        output::out(&text);
        Ok(left > 0)
    })
}

/// Appends a delivery's events that match, at most `left`; gives how many.
fn lines(
    out: &mut String,
    mut record: Record,
    query: &Query,
    format: Format,
    left: usize,
) -> Result<usize, Failure> {
    let events = std::mem::take(&mut record.delivery.events);
    let mut written = 0;
    for (index, event) in (0..).zip(events) {
        if written == left {
            break;
        }
        if !query.matches(Some(&event), &record.delivery, Some(record.seq)) {
            continue;
        }
        let webhook = record.delivery.webhook.clone();
        let line = match format {
            Format::CloudEvents => {
                let hop = record.delivery.trace.as_ref();
                cloud_event::to_json(&event, webhook.as_deref(), hop.map(|hop| &hop.trace))
            }
            Format::Ndjson => {
                let row = EventRow {
                    position: Position {
                        seq: record.seq,
                        index,
                    },
                    delivery: record.delivery.id,
                    received: record.delivery.received,
                    webhook,
                    event,
                    trace: None,
                };
                serde_json::to_string(&EventView::from(&row))
                    .map_err(|error| Failure::new(Exit::Bug, error.to_string()))?
            }
        };
        out.push_str(&line);
        out.push('\n');
        written += 1;
    }
    Ok(written)
}
