//! `dead-letters`: what sinks refused for good: list, try again, give up on purpose.

use super::client::{Failure, Server};
use super::listing::{self, Ask, text};
use super::table::{self, Cell, Column};
use super::{Exit, Global, confirm, output};
use serde_json::{Value, json};
use std::time::Duration;

/// Rows of a list where `--limit` says nothing.
const ROWS_DEFAULT: usize = 50;
/// Dead letters that are retried or discarded by one call of the API.
const RETRIES_AT_ONCE: usize = 20;
const DISCARDS_AT_ONCE: usize = 1_000;
/// Each retry is an attempt at a sink.
const PATIENCE: Duration = Duration::from_secs(600);

/// What `dead-letters` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Only those of this sink
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// Rows at most, newest first [default: 50]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// One dead letter, with its event and what the sink said
    Show {
        /// Its number
        id: i64,
    },
    /// Send them again now; what is refused again stays
    Retry(Which),
    /// Forget them for good
    Discard(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Their numbers
    #[arg(value_name = "ID", required_unless_present_any = ["all", "sink"])]
    ids: Vec<i64>,
    /// All of this sink
    #[arg(long, value_name = "NAME", conflicts_with = "ids")]
    sink: Option<String>,
    /// All of every sink
    #[arg(long, conflicts_with_all = ["ids", "sink"])]
    all: bool,
    /// Say what would be done, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Exit {
    let server = &arguments.server;
    let done = match &arguments.action {
        None => list(global, arguments).map(|()| Exit::Done),
        Some(Action::Show { id }) => show(global, server, *id).map(|()| Exit::Done),
        Some(Action::Retry(which)) => change(global, server, which, "retry"),
        Some(Action::Discard(which)) => change(global, server, which, "discard"),
    };
    done.unwrap_or_else(|failure| failure.report(global))
}

fn find(server: &Server, sink: Option<&str>, limit: usize) -> Result<(Vec<Value>, bool), Failure> {
    let ask = Ask {
        path: &["dead-letters"],
        pairs: sink
            .map(|sink| ("sink", sink.to_owned()))
            .into_iter()
            .collect(),
        limit,
    };
    let mut rows = Vec::new();
    let more = listing::pages(server, ask, |page| rows.extend_from_slice(page))?;
    Ok((rows, more))
}

fn list(global: &Global, arguments: &Arguments) -> Result<(), Failure> {
    let limit = arguments.limit.unwrap_or(ROWS_DEFAULT);
    let (rows, more) = find(&arguments.server, arguments.sink.as_deref(), limit)?;
    if global.json() {
        rows.iter().for_each(output::json_line);
        return Ok(());
    }
    if rows.is_empty() {
        listing::say_none(global, "there is no dead letter");
        return Ok(());
    }
    print(global, &rows);
    listing::say_more(global, rows.len(), more);
    Ok(())
}

fn print(global: &Global, rows: &[Value]) {
    let columns = [
        Column("id", true),
        Column("refused", true),
        Column("sink", false),
        Column("event", false),
        Column("attempts", true),
        Column("why", false),
    ];
    let cells = rows.iter().map(|row| {
        let refused = text(row, "/refused");
        vec![
            Cell::new(text(row, "/id")),
            Cell::new(listing::local(&refused)).or_plain(refused),
            Cell::new(text(row, "/sink")),
            Cell::new(text(row, "/event/event")),
            Cell::new(text(row, "/attempts")),
            Cell::new(format!("{}: {}", text(row, "/code"), text(row, "/reason"))),
        ]
    });
    table::print(global, &columns, &cells.collect::<Vec<_>>());
}

fn show(global: &Global, server: &Server, id: i64) -> Result<(), Failure> {
    let letter = server.get(&["dead-letters", &id.to_string()])?;
    if global.json() {
        output::json_line(&letter);
        return Ok(());
    }
    let shown = |pointer: &str| super::text::shown(&text(&letter, pointer)).into_owned();
    let event = listing::part(&letter, "/event");
    let mut out = table::facts(
        &format!("dead letter {id}"),
        &[
            ("sink", shown("/sink")),
            ("why", format!("{}: {}", shown("/code"), shown("/reason"))),
            ("it said", shown("/answer")),
            ("refused", shown("/refused")),
            ("attempts", shown("/attempts")),
            ("webhook", shown("/webhook")),
            ("event", shown("/event/event")),
            ("place", format!("{}.{}", shown("/seq"), shown("/index"))),
        ],
    );
    let json = serde_json::to_string_pretty(event).unwrap_or_default();
    out.push_str(&format!("\n{}\n", super::text::shown_lines(&json)));
    output::out(&out);
    Ok(())
}

/// Retries or discards: each has its result.
fn change(global: &Global, server: &Server, which: &Which, what: &str) -> Result<Exit, Failure> {
    let ids = ids(server, which)?;
    let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
    if count == 0 {
        return Err(Failure::new(Exit::No, "there is no dead letter"));
    }
    let letters = listing::plural(count, "dead letter");
    if which.dry_run {
        if global.json() {
            ids.iter()
                .for_each(|id| output::json_line(&json!({ "id": id, "dry_run": true })));
        } else {
            output::out(&format!("would {what} {letters}\n"));
        }
        return Ok(Exit::Done);
    }
    if what == "discard" {
        confirm::ask(&format!("Discard {letters} for good?"), which.yes)?;
    }
    let server = server.patient(PATIENCE);
    let at_once = if what == "discard" {
        DISCARDS_AT_ONCE
    } else {
        RETRIES_AT_ONCE
    };
    let (mut good, mut bad) = (0, 0);
    for some in ids.chunks(at_once) {
        let done = server.send(&["dead-letters", what], &json!({ "ids": some }))?;
        let results = done.get("data").and_then(Value::as_array);
        for result in results.into_iter().flatten() {
            let failed = text(result, "/result") == "failed";
            *(if failed { &mut bad } else { &mut good }) += 1;
            say(global, result, failed);
        }
    }
    Ok(match (good, bad) {
        (_, 0) => Exit::Done,
        (0, _) => Exit::No,
        _ => Exit::InPart,
    })
}

fn say(global: &Global, result: &Value, failed: bool) {
    if global.json() {
        output::json_line(result);
        return;
    }
    let id = text(result, "/id");
    if failed {
        let why = format!("{}: {}", text(result, "/code"), text(result, "/detail"));
        output::err(&format!(
            "{id}  {}  {}\n",
            output::red("failed"),
            super::text::shown(&why)
        ));
    } else {
        output::out(&format!(
            "{id}  {}\n",
            output::green(&text(result, "/result"))
        ));
    }
}

fn ids(server: &Server, which: &Which) -> Result<Vec<i64>, Failure> {
    if !which.all && which.sink.is_none() {
        return Ok(which.ids.clone());
    }
    let (rows, _) = find(server, which.sink.as_deref(), usize::MAX)?;
    // Oldest first: a sink gets them in the order in which they were.
    let ids = rows.iter().rev();
    Ok(ids.filter_map(|row| row.get("id")?.as_i64()).collect())
}
