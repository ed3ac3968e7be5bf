//! `events`: those that a query finds, or one.

use super::client::{Failure, Server};
use super::listing::{self, Narrow, part, text};
use super::table::{self, Cell, Column};
use super::{Exit, Global, output};
use crate::admin::EventView;
use crate::feed::EventRow;
use crate::log::Record;
use crate::model::{Position, event::RESOURCE_ID};
use crate::query::Query;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What `events` takes.
#[derive(Debug, clap::Args)]
#[command(subcommand_precedence_over_arg = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Which events, such as 'event:github.* received:>-1d' [default: all]
    #[arg(value_name = "QUERY", default_value = "", hide_default_value = true)]
    query: String,
    #[command(flatten)]
    narrow: Narrow,
    /// Print nothing; exits 0 if there is such an event, else 1
    #[arg(long)]
    exists: bool,
    /// Read this store (the folder with log.db) instead of asking a gateway; it may be running
    #[arg(long, value_name = "PATH", global = true)]
    store: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// One event, with its payload
    Show {
        /// Its id
        id: uuid::Uuid,
    },
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Exit {
    let done = match &arguments.action {
        Some(Action::Show { id }) => show(global, arguments, *id).map(|()| Exit::Done),
        None if arguments.exists => exists(arguments),
        None => list(global, arguments).map(|()| Exit::Done),
    };
    done.unwrap_or_else(|failure| failure.report(global))
}

fn exists(arguments: &Arguments) -> Result<Exit, Failure> {
    let (rows, _) = find(arguments, 1)?;
    Ok(if rows.is_empty() {
        Exit::No
    } else {
        Exit::Done
    })
}

/// Rows that match, newest first, and whether there are more.
fn find(arguments: &Arguments, limit: usize) -> Result<(Vec<Value>, bool), Failure> {
    let times = &arguments.narrow.times;
    let query = times.narrow(&arguments.query)?;
    if let Some(folder) = &arguments.store {
        return from_store(folder, &query, limit);
    }
    listing::rows(&arguments.server, "events", times, &arguments.query, limit)
}

fn from_store(folder: &Path, query: &Query, limit: usize) -> Result<(Vec<Value>, bool), Failure> {
    let (rows, more) = listing::newest(folder, limit, |record| matching(record, query))?;
    let rows = rows.iter().map(to_json);
    Ok((rows.collect::<Result<_, _>>()?, more))
}

/// A record's events that match.
fn matching(mut record: Record, query: &Query) -> Vec<EventRow> {
    let events = std::mem::take(&mut record.delivery.events);
    let rows = (0..)
        .zip(events)
        .filter(|(_, event)| query.matches(Some(event), &record.delivery, Some(record.seq)));
    rows.map(|(index, event)| EventRow {
        position: Position {
            seq: record.seq,
            index,
        },
        delivery: record.delivery.id,
        received: record.delivery.received,
        webhook: record.delivery.webhook.clone(),
        event,
        // The view has none.
        trace: None,
    })
    .collect()
}

fn to_json(row: &EventRow) -> Result<Value, Failure> {
    serde_json::to_value(EventView::from(row))
        .map_err(|error| Failure::new(Exit::Bug, error.to_string()))
}

fn list(global: &Global, arguments: &Arguments) -> Result<(), Failure> {
    let (rows, more) = find(arguments, arguments.narrow.rows())?;
    if global.json() {
        rows.iter().for_each(output::json_line);
        return Ok(());
    }
    if rows.is_empty() {
        listing::say_none(global, "no event matches");
        return Ok(());
    }
    let columns = [
        Column("received", true),
        Column("event", false),
        Column("resource", false),
        Column("webhook", false),
        Column("id", true),
    ];
    let cells: Vec<_> = rows.iter().map(cells).collect();
    table::print(global, &columns, &cells);
    listing::say_more(global, rows.len(), more);
    Ok(())
}

fn cells(row: &Value) -> Vec<Cell> {
    let received = text(row, "/received");
    vec![
        Cell::new(listing::local(&received)).or_plain(received),
        Cell::styled(text(row, "/event"), Some(output::bold)),
        Cell::new(resource(row)),
        Cell::new(text(row, "/webhook")),
        Cell::new(text(row, "/id")),
    ]
}

/// The id of an event's resource.
pub(super) fn resource(event: &Value) -> String {
    let labels = event.get("resource").and_then(Value::as_object);
    let id = labels.and_then(|labels| labels.get(RESOURCE_ID));
    id.and_then(Value::as_str).unwrap_or("").to_owned()
}

fn show(global: &Global, arguments: &Arguments, id: uuid::Uuid) -> Result<(), Failure> {
    let event = match &arguments.store {
        None => arguments.server.get(&["events", &id.to_string()])?,
        Some(folder) => {
            let query = Query::parse(
                &format!("id:{id} OR (id:{id} event:hookgate.*)"),
                jiff::Timestamp::now(),
            );
            let query = query.map_err(|error| Failure::new(Exit::Bug, error.to_string()))?;
            let (rows, _) = from_store(folder, &query, 1)?;
            let found = rows.into_iter().next();
            found.ok_or_else(|| Failure::new(Exit::Missing, format!("there is no event {id}")))?
        }
    };
    if global.json() {
        output::json_line(&event);
    } else {
        output::out(&describe(&event));
    }
    Ok(())
}

/// An event for people.
fn describe(event: &Value) -> String {
    let shown = |pointer: &str| super::text::shown(&text(event, pointer)).into_owned();
    let mut out = table::facts(
        &shown("/event"),
        &[
            (
                "resource",
                super::text::shown(&resource(event)).into_owned(),
            ),
            ("occurred", shown("/occurred")),
            ("received", shown("/received")),
            ("webhook", shown("/webhook")),
            ("id", shown("/id")),
            ("follows", shown("/follows")),
            ("delivery", shown("/delivery")),
            ("place", format!("{}.{}", shown("/seq"), shown("/index"))),
        ],
    );
    for name in ["resource", "related", "payload"] {
        let value = part(event, &format!("/{name}"));
        let json = serde_json::to_string_pretty(value).unwrap_or_default();
        out.push_str(&format!(
            "\n{}\n{}\n",
            output::bold(name),
            super::text::shown_lines(&json)
        ));
    }
    out
}
