//! `replay`: kept requests are translated again, or kept events forwarded again: the plan, a question, the results.

use super::client::{Failure, Server};
use super::table::{self, Cell, Column};
use super::{Exit, Global, confirm, listing, output, text};
use serde_json::{Value, json};
use std::time::Duration;

/// A thousand requests, or sinks that are slow, take longer than an answer does otherwise.
const PATIENCE: Duration = Duration::from_secs(600);

/// What `replay` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Which deliveries, such as 'outcome:parked webhook:shop', or their ids
    #[arg(value_name = "QUERY|ID", required = true)]
    what: Vec<String>,
    /// Forward the kept events to this sink again, without translating; may be given more than once
    #[arg(long, value_name = "NAME")]
    to_sink: Vec<String>,
    /// Also what was replayed with success before, and replays themselves
    #[arg(long)]
    again: bool,
    /// Deliveries at most, oldest first; a replay takes 1,000 at most
    #[arg(long, visible_alias = "at-most", value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    times: listing::Times,
    /// Say what would be done, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Exit {
    match replay(global, arguments) {
        Ok(exit) => exit,
        Err(failure) => failure.report(global),
    }
}

fn replay(global: &Global, arguments: &Arguments) -> Result<Exit, Failure> {
    let server = arguments.server.patient(PATIENCE);
    let mut call = call(arguments)?;
    let plan = server.send(&["replays"], &with(&call, "dry_run", true.into()))?;
    let count = plan.get("count").and_then(Value::as_u64).unwrap_or(0);
    if arguments.dry_run {
        if global.json() {
            output::json_line(&plan);
        } else {
            output::out(&describe(&plan, &arguments.to_sink));
        }
        return Ok(Exit::Done);
    }
    if !global.json() && !global.quiet() {
        output::err(&describe(&plan, &arguments.to_sink));
    }
    // Named deliveries that cannot be replayed are among the results, and so not nothing.
    if count == 0 && call.get("ids").is_none() {
        return Err(Failure::new(Exit::No, "there is nothing to replay"));
    }
    let question = if arguments.to_sink.is_empty() {
        format!("Translate {} again?", listing::plural(count, "request"))
    } else {
        let sinks = arguments.to_sink.join(", ");
        format!(
            "Forward the events of {} to {sinks} again?",
            listing::plural(count, "delivery")
        )
    };
    confirm::ask(&question, arguments.yes)?;
    // What is done is what was shown.
    call = with(&call, "etag", plan.get("etag").cloned().unwrap_or_default());
    let done = server.send(&["replays"], &call)?;
    Ok(report(global, &done))
}

fn with(call: &Value, name: &str, value: Value) -> Value {
    let mut call = call.clone();
    if let Some(fields) = call.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
    call
}

fn call(arguments: &Arguments) -> Result<Value, Failure> {
    let is_id = |text: &String| uuid::Uuid::try_parse(text.trim()).is_ok();
    let mut call = json!({ "to": arguments.to_sink, "again": arguments.again });
    if arguments.what.iter().all(is_id) {
        let ids: Vec<&str> = arguments.what.iter().map(|id| id.trim()).collect();
        return Ok(with(&call, "ids", ids.into()));
    }
    let query = arguments.times.query(&arguments.what.join(" "))?;
    call = with(&call, "q", query.into());
    if let Some(limit) = arguments.limit {
        call = with(&call, "limit", limit.into());
    }
    Ok(call)
}

/// The plan for people.
fn describe(plan: &Value, to: &[String]) -> String {
    let number = |name: &str| plan.get(name).and_then(Value::as_u64).unwrap_or(0);
    let texts = |name: &str| plan.get(name).and_then(Value::as_str).unwrap_or("");
    let counted = |name: &str| -> String {
        let object = plan.get(name).and_then(Value::as_object);
        let pairs = object.into_iter().flatten();
        let pairs = pairs.map(|(name, n)| format!("{} {n}", text::shown(&name.replace('_', " "))));
        pairs.collect::<Vec<_>>().join(", ")
    };
    let sinks = plan.get("sinks").and_then(Value::as_array);
    let sinks: Vec<&str> = sinks
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let more = if plan.get("more").and_then(Value::as_bool) == Some(true) {
        ", and there are more"
    } else {
        ""
    };
    let span = match (texts("oldest"), texts("newest")) {
        ("", _) => String::new(),
        (oldest, newest) => format!("{} to {}", listing::local(oldest), listing::local(newest)),
    };
    let result = if to.is_empty() {
        format!(
            "{} give {}, {} nothing, {} fail",
            number("accepted"),
            listing::plural(number("events"), "event"),
            number("ignored"),
            number("failed")
        )
    } else {
        listing::plural(number("events"), "event")
    };
    let existing = match number("existing_ids") {
        0 => String::new(),
        n => format!(
            "{n} have an id that an event has already: a sink that knows it takes it for the same"
        ),
    };
    let title = format!("{}{more}", listing::plural(number("count"), "delivery"));
    table::facts(
        &title,
        &[
            ("webhooks", counted("webhooks")),
            ("received", span),
            ("now", result),
            ("ids", existing),
            ("sinks", text::shown(&sinks.join(", ")).into_owned()),
            ("left out", counted("left_out")),
        ],
    )
}

/// The results; says which failed.
fn report(global: &Global, done: &Value) -> Exit {
    let rows = done.get("data").and_then(Value::as_array);
    let rows = rows.map_or(&[][..], Vec::as_slice);
    if global.json() {
        rows.iter().for_each(output::json_line);
    } else {
        print(global, rows);
    }
    let number = |name: &str| done.get(name).and_then(Value::as_u64).unwrap_or(0);
    let (good, failed) = (number("done"), number("failed"));
    if !global.quiet() && !global.json() {
        output::err(&format!("{good} replayed, {failed} failed\n"));
    }
    match (good, failed) {
        (_, 0) => Exit::Done,
        (0, _) => Exit::No,
        _ => Exit::InPart,
    }
}

fn print(global: &Global, rows: &[Value]) {
    let columns = [
        Column("delivery", true),
        Column("webhook", false),
        Column("result", true),
        Column("events", true),
        Column("replay", true),
        Column("why", false),
    ];
    let text = |row: &Value, name: &str| match row.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let cells = rows.iter().map(|row| {
        let result = text(row, "result");
        let style: table::Style = if result == "failed" {
            output::red
        } else {
            output::green
        };
        let why = [text(row, "code"), text(row, "detail"), text(row, "help")];
        let why: Vec<&str> = why
            .iter()
            .map(String::as_str)
            .filter(|t| !t.is_empty())
            .collect();
        vec![
            Cell::new(text(row, "delivery")),
            Cell::new(text(row, "webhook")),
            Cell::styled(result, Some(style)),
            Cell::new(text(row, "events")),
            Cell::new(text(row, "replay")),
            Cell::new(why.join(": ")),
        ]
    });
    table::print(global, &columns, &cells.collect::<Vec<_>>());
}
