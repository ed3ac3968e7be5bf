//! `deliveries`: everything that came to a webhook, or one, step by step.

use super::client::{Failure, Server};
use super::listing::{self, Narrow, part, text};
use super::table::{self, Cell, Column, Style};
use super::{Exit, Global, output};
use crate::admin::DeliveryView;
use crate::feed::DeliveryRow;
use crate::log::{ReadOnlyLog, Record};
use crate::model::{Position, http_file};
use crate::query::Query;
use serde_json::Value;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

/// What `deliveries` takes.
#[derive(Debug, clap::Args)]
#[command(subcommand_precedence_over_arg = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Which deliveries, such as 'outcome:(parked,rejected) webhook:shop' [default: all]
    #[arg(value_name = "QUERY", default_value = "", hide_default_value = true)]
    query: String,
    #[command(flatten)]
    narrow: Narrow,
    /// Read this store (the folder with log.db) instead of asking a gateway; what was rejected is not in it
    #[arg(long, value_name = "PATH", global = true)]
    store: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// One delivery: its request, how it was verified, what became of it
    Show {
        /// Its id
        id: uuid::Uuid,
        /// Its request in `.http` form instead
        #[arg(long, conflicts_with = "raw")]
        http: bool,
        /// The body of its request, byte for byte, instead
        #[arg(long)]
        raw: bool,
    },
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Exit {
    let done = match &arguments.action {
        None => list(global, arguments),
        Some(Action::Show { id, http, raw }) if *http || *raw => request(arguments, *id, *raw),
        Some(Action::Show { id, .. }) => show(global, arguments, *id),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(failure) => failure.report(global),
    }
}

fn list(global: &Global, arguments: &Arguments) -> Result<(), Failure> {
    let (rows, more) = find(arguments)?;
    if global.json() {
        rows.iter().for_each(output::json_line);
        return Ok(());
    }
    if rows.is_empty() {
        listing::say_none(global, "no delivery matches");
        return Ok(());
    }
    let columns = [
        Column("received", true),
        Column("status", true),
        Column("outcome", true),
        Column("webhook", false),
        Column("request", true),
        Column("result", false),
        Column("id", true),
    ];
    let cells: Vec<_> = rows.iter().map(cells).collect();
    table::print(global, &columns, &cells);
    listing::say_more(global, rows.len(), more);
    Ok(())
}

fn find(arguments: &Arguments) -> Result<(Vec<Value>, bool), Failure> {
    let (times, limit) = (&arguments.narrow.times, arguments.narrow.rows());
    let query = times.narrow(&arguments.query)?;
    if let Some(folder) = &arguments.store {
        return from_store(folder, &query, limit);
    }
    listing::rows(
        &arguments.server,
        "deliveries",
        times,
        &arguments.query,
        limit,
    )
}

fn from_store(folder: &Path, query: &Query, limit: usize) -> Result<(Vec<Value>, bool), Failure> {
    let (records, more) = listing::newest(folder, limit, |record| {
        let found = query.matches_delivery(&record.delivery, Some(record.seq));
        found.then_some(record)
    })?;
    let rows = records.into_iter().map(to_json);
    Ok((rows.collect::<Result<_, _>>()?, more))
}

fn to_json(record: Record) -> Result<Value, Failure> {
    let row = DeliveryRow {
        position: Position {
            seq: record.seq,
            index: 0,
        },
        seq: Some(record.seq),
        delivery: record.delivery,
        // Only the feed counts them.
        duplicates: 0,
    };
    serde_json::to_value(DeliveryView::from(&row))
        .map_err(|error| Failure::new(Exit::Bug, error.to_string()))
}

fn cells(row: &Value) -> Vec<Cell> {
    let received = text(row, "/received");
    let outcome = text(row, "/outcome");
    let style = style_of(&outcome);
    let status = match text(row, "/status").as_str() {
        // Nobody was answered.
        "0" => "-".to_owned(),
        status => status.to_owned(),
    };
    vec![
        Cell::new(listing::local(&received)).or_plain(received),
        Cell::new(status),
        Cell::styled(outcome, style),
        Cell::new(text(row, "/webhook")),
        Cell::new(request_of(row)),
        Cell::new(result(row)),
        Cell::new(text(row, "/id")),
    ]
}

fn style_of(outcome: &str) -> Option<Style> {
    match outcome {
        "accepted" => Some(output::green),
        "parked" => Some(output::yellow),
        "rejected" => Some(output::red),
        _ => None,
    }
}

/// `POST json 1.5 KiB`.
pub(super) fn request_of(row: &Value) -> String {
    if part(row, "/request").is_null() {
        return String::new();
    }
    let kind = super::text::kind(part(row, "/request/content_type").as_str());
    let size = part(row, "/request/body_bytes").as_u64().unwrap_or(0);
    let words = [text(row, "/request/method"), kind, super::text::bytes(size)];
    let words: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|w| !w.is_empty())
        .collect();
    words.join(" ")
}

/// What it became, or why it became nothing.
pub(super) fn result(row: &Value) -> String {
    let message = text(row, "/error/message");
    if !message.is_empty() {
        return format!("{}: {message}", text(row, "/code"));
    }
    let events = part(row, "/events").as_array().map_or(0, Vec::len);
    match events {
        0 => String::new(),
        1 => text(row, "/events/0/event"),
        n => format!("{} and {} more", text(row, "/events/0/event"), n - 1),
    }
}

fn show(global: &Global, arguments: &Arguments, id: uuid::Uuid) -> Result<(), Failure> {
    let delivery = match &arguments.store {
        None => arguments.server.get(&["deliveries", &id.to_string()])?,
        Some(folder) => to_json(stored(folder, id)?)?,
    };
    if global.json() {
        output::json_line(&delivery);
    } else {
        output::out(&describe(&delivery));
    }
    Ok(())
}

/// A delivery of a store.
fn stored(folder: &Path, id: uuid::Uuid) -> Result<Record, Failure> {
    let mut found = None;
    listing::records(folder, |record| {
        if record.delivery.id == id {
            found = Some(record);
        }
        Ok(found.is_none())
    })?;
    found.ok_or_else(|| Failure::new(Exit::Missing, format!("there is no delivery {id}")))
}

/// A delivery for people.
fn describe(delivery: &Value) -> String {
    let shown = |pointer: &str| super::text::shown(&text(delivery, pointer)).into_owned();
    let outcome = shown("/outcome");
    let title = match style_of(&outcome) {
        Some(style) => style(&outcome),
        None => outcome,
    };
    let replays = part(delivery, "/replays").as_array();
    let replays: Vec<&str> = replays
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut out = table::facts(
        &format!("{title} {}", super::text::shown(&result(delivery))),
        &[
            ("webhook", shown("/webhook")),
            ("provider", shown("/provider")),
            ("received", shown("/received")),
            (
                "request",
                super::text::shown(&request_of(delivery)).into_owned(),
            ),
            ("from", shown("/request/peer")),
            ("agent", shown("/request/user_agent")),
            (
                "answered",
                shown("/status").trim_start_matches('0').to_owned(),
            ),
            ("key", shown("/key")),
            (
                "duplicates",
                shown("/duplicates").trim_start_matches('0').to_owned(),
            ),
            ("replay of", shown("/replay_of")),
            ("replayed as", replays.join(", ")),
            ("place", shown("/seq")),
            ("id", shown("/id")),
        ],
    );
    checks(&mut out, delivery);
    error(&mut out, delivery);
    let events = part(delivery, "/events").as_array();
    for event in events.into_iter().flatten() {
        let resource = super::events::resource(event);
        out.push_str(&format!(
            "  event  {}  {}  {}\n",
            output::bold(&super::text::shown(&text(event, "/event"))),
            super::text::shown(&resource),
            text(event, "/id"),
        ));
    }
    let notes = part(delivery, "/notes").as_array();
    for note in notes.into_iter().flatten() {
        let message = text(note, "/message");
        out.push_str(&format!("  note   {}\n", super::text::shown(&message)));
    }
    out
}

fn checks(out: &mut String, delivery: &Value) {
    let checks = part(delivery, "/verification/checks").as_array();
    for check in checks.into_iter().flatten() {
        let word = match (
            text(check, "/name").as_str(),
            part(check, "/passed").as_bool(),
        ) {
            ("hint", _) => output::yellow("hint  "),
            (_, Some(true)) => output::green("passed"),
            _ => output::red("failed"),
        };
        out.push_str(&format!(
            "  {word}  {}: {}\n",
            super::text::shown(&text(check, "/name")),
            super::text::shown(&text(check, "/detail")),
        ));
    }
}

/// The error with its place, and what to do.
fn error(out: &mut String, delivery: &Value) {
    let problem = part(delivery, "/error");
    if problem.is_null() {
        return;
    }
    let parsed = serde_json::from_value::<crate::model::Problem>(problem.clone());
    if let Ok(problem) = parsed {
        let rendered = crate::config::findings::render_problem(
            crate::config::Severity::Error,
            &super::text::harmless(&problem),
        );
        out.push_str(&format!("\n{rendered}\n"));
    }
}

/// Writes the request, or its body alone, as it is kept.
fn request(arguments: &Arguments, id: uuid::Uuid, raw: bool) -> Result<(), Failure> {
    let bytes = match &arguments.store {
        None => {
            let id = id.to_string();
            arguments
                .server
                .fetch(&["deliveries", &id, "request"], "message/http")?
        }
        Some(folder) => {
            let seq = stored(folder, id)?.seq;
            let failed =
                |error: &dyn std::fmt::Display| Failure::new(Exit::Invalid, error.to_string());
            let log = ReadOnlyLog::open(folder).map_err(|error| failed(&error))?;
            let request = log.request(seq).map_err(|error| failed(&error))?;
            let gone = || {
                Failure::new(
                    Exit::Missing,
                    format!("the request of {id} is no longer kept"),
                )
            };
            request.ok_or_else(gone)?
        }
    };
    let bytes = if raw {
        let request = http_file::parse(&bytes, jiff::Timestamp::UNIX_EPOCH)
            .map_err(|error| Failure::new(Exit::Invalid, error.to_string()))?;
        request.wire_body.to_vec()
    } else {
        bytes
    };
    let mut stdout = std::io::stdout().lock();
    if stdout.is_terminal() {
        // A terminal would obey what is in it.
        drop(stdout);
        output::out(&format!(
            "{}\n",
            super::text::shown_lines(&String::from_utf8_lossy(&bytes))
        ));
        return Ok(());
    }
    // A reader that went away is no error.
    stdout
        .write_all(&bytes)
        .and_then(|()| stdout.flush())
        .unwrap_or_default();
    Ok(())
}
