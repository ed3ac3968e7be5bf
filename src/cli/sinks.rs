//! `sinks`: how far each has got; a real round trip; hold and let go.

use super::client::{Failure, Server};
use super::listing::{self, part, text};
use super::table::{self, Cell, Column, Style};
use super::{Exit, Global, output};
use serde_json::Value;
use std::time::Duration;

/// A sink that confirms is asked until it shows the event.
const PATIENCE: Duration = Duration::from_secs(120);

/// What `sinks` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// One sink
    Show(Name),
    /// Send a test event to a sink, now, and wait until it has it
    Test(Name),
    /// Hold a sink: nothing is sent, and nothing is lost
    Pause(Name),
    /// Let a sink go on where it was held
    Resume(Name),
}

#[derive(Debug, clap::Args)]
struct Name {
    /// Name of the sink
    name: String,
    /// Say what would be done, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Exit {
    let server = &arguments.server;
    let done = match &arguments.action {
        None => list(global, server),
        Some(Action::Show(name)) => show(global, server, &name.name),
        Some(Action::Test(name)) => act(global, &server.patient(PATIENCE), name, "test"),
        Some(Action::Pause(name)) => act(global, server, name, "pause"),
        Some(Action::Resume(name)) => act(global, server, name, "resume"),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(failure) => failure.report(global),
    }
}

fn list(global: &Global, server: &Server) -> Result<(), Failure> {
    let answer = server.get(&["sinks"])?;
    let sinks = answer.get("data").and_then(Value::as_array);
    let sinks = sinks.map_or(&[][..], Vec::as_slice);
    if global.json() {
        sinks.iter().for_each(output::json_line);
        return Ok(());
    }
    if sinks.is_empty() {
        listing::say_none(global, "no sink is configured");
        return Ok(());
    }
    let columns = [
        Column("name", false),
        Column("kind", true),
        Column("state", true),
        Column("lag", true),
        Column("delivered", true),
        Column("dead", true),
        Column("last error", false),
    ];
    let cells = sinks.iter().map(|sink| {
        let state = text(sink, "/state");
        let style = style_of(&state);
        vec![
            Cell::new(text(sink, "/name")),
            Cell::new(text(sink, "/kind")),
            Cell::styled(state, style),
            Cell::new(text(sink, "/lag")),
            Cell::new(text(sink, "/delivered")),
            Cell::new(text(sink, "/dead_letters")),
            Cell::new(last_error(sink)),
        ]
    });
    table::print(global, &columns, &cells.collect::<Vec<_>>());
    Ok(())
}

fn style_of(state: &str) -> Option<Style> {
    match state {
        "running" => Some(output::green),
        "failing" | "misconfigured" => Some(output::red),
        "paused" => Some(output::yellow),
        _ => None,
    }
}

/// Told while it counts: what has worked since is over.
fn last_error(sink: &Value) -> String {
    let (failed, worked) = (text(sink, "/last_error/at"), text(sink, "/last_success"));
    if failed.is_empty() || worked > failed {
        return String::new();
    }
    format!(
        "{}: {}",
        text(sink, "/last_error/code"),
        text(sink, "/last_error/message")
    )
}

fn show(global: &Global, server: &Server, name: &str) -> Result<(), Failure> {
    let sink = server.get(&["sinks", name])?;
    if global.json() {
        output::json_line(&sink);
    } else {
        output::out(&describe(&sink));
    }
    Ok(())
}

fn describe(sink: &Value) -> String {
    let shown = |pointer: &str| super::text::shown(&text(sink, pointer)).into_owned();
    let state = shown("/state");
    let state = style_of(&state).map_or_else(|| state.clone(), |style| style(&state));
    let behind = part(sink, "/lag_seconds").as_f64().unwrap_or(0.0);
    let lag = match shown("/lag").as_str() {
        "0" => "nothing waits".to_owned(),
        lag => format!("{lag} deliveries, the oldest {behind:.0} s old"),
    };
    table::facts(
        &shown("/name"),
        &[
            ("kind", shown("/kind")),
            ("state", state),
            ("lag", lag),
            ("cursor", shown("/cursor")),
            ("delivered", shown("/delivered")),
            ("dead letters", shown("/dead_letters")),
            ("last success", shown("/last_success")),
            ("last failure", shown("/last_error/at")),
            ("why", super::text::shown(&last_error(sink)).into_owned()),
            ("next try", shown("/last_error/retry_at")),
        ],
    )
}

fn act(global: &Global, server: &Server, name: &Name, what: &str) -> Result<(), Failure> {
    let sink = &name.name;
    let answer = if name.dry_run {
        server.get(&["sinks", sink])?
    } else {
        server.post(&["sinks", sink, what])?
    };
    let line = match what {
        _ if name.dry_run => format!("{sink}: would {what}"),
        "test" => format!(
            "{sink} has the event {}, after {} ms",
            text(&answer, "/event"),
            text(&answer, "/took_ms")
        ),
        "pause" => format!("{sink} is held: hookgate sinks resume {sink}"),
        _ => format!("{sink} goes on"),
    };
    if global.json() {
        output::json_line(&answer);
    } else if !global.quiet() {
        output::out(&format!("{}\n", super::text::shown(&line)));
    }
    Ok(())
}
