//! `webhooks`: those of the running gateway, and what its owner does with secrets that senders deliver.

use super::client::{Failure, Server};
use super::table::{self, Cell, Column};
use super::{Exit, Global, output};
use serde_json::{Value, json};
use std::io::{BufRead as _, IsTerminal as _};

/// What `webhooks` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// One webhook: its URL, how it verifies, its learned secret, its last delivery
    Show {
        /// Name of the webhook
        name: String,
        /// Print its pending secret too, to be copied into a form of the sender
        #[arg(long)]
        reveal: bool,
    },
    /// Wait 15 minutes for the secret that the sender delivers when it is registered
    Learn(Change),
    /// Say that a learned secret is the sender's
    Confirm(Change),
    /// Forget a learned secret: the webhook's deliveries get 401 from then on
    Forget {
        #[command(flatten)]
        change: Change,
        /// Do not ask, though the secret is confirmed
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Change {
    /// Name of the webhook
    name: String,
    /// Say what would be done, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Exit {
    let server = &arguments.server;
    let done = match &arguments.action {
        None => list(global, server),
        Some(Action::Show { name, reveal }) => show(global, server, name, *reveal),
        Some(Action::Learn(change)) => learn(global, server, change),
        Some(Action::Confirm(change)) => confirm(global, server, change),
        Some(Action::Forget { change, yes }) => forget(global, server, change, *yes),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(failure) => failure.report(global),
    }
}

fn list(global: &Global, server: &Server) -> Result<(), Failure> {
    let answer = server.get(&["webhooks"])?;
    let webhooks = part(&answer, "data")
        .as_array()
        .cloned()
        .unwrap_or_default();
    if global.json() {
        webhooks.iter().for_each(output::json_line);
        return Ok(());
    }
    let columns = [
        Column("name", true),
        Column("url", true),
        Column("verified by", false),
        Column("secret", false),
        Column("health", true),
    ];
    let cells = webhooks.iter().map(|webhook| {
        let secret = secret_line(webhook).unwrap_or_default();
        let style: Option<table::Style> = is_pending(webhook).then_some(output::yellow);
        vec![
            Cell::new(text(webhook, "name")),
            Cell::new(text(webhook, "url")),
            Cell::new(text(webhook, "verified_by")),
            Cell::styled(secret, style),
            Cell::new(health(webhook)),
        ]
    });
    table::print(global, &columns, &cells.collect::<Vec<_>>());
    if webhooks.is_empty() && !global.quiet() {
        output::err("no webhook is configured\n");
    }
    Ok(())
}

/// How a webhook is doing, in words.
fn health(webhook: &Value) -> String {
    let health = part(webhook, "health");
    match text(health, "state") {
        "failing" => format!(
            "failing, {} of {}",
            part(health, "failed"),
            part(health, "of")
        ),
        "misconfigured" => "misconfigured: its secret is missing".to_owned(),
        state => state.replace('_', " "),
    }
}

fn show(global: &Global, server: &Server, name: &str, reveal: bool) -> Result<(), Failure> {
    let mut webhook = server.get(&["webhooks", name])?;
    let secret = if reveal {
        let revealed = server.post(&["webhooks", name, "secret", "reveal"])?;
        Some(text(&revealed, "secret").to_owned())
    } else {
        None
    };
    if global.json() {
        if let (Some(secret), Some(fields)) = (secret, webhook.as_object_mut()) {
            fields.insert("secret".to_owned(), secret.into());
        }
        output::json_line(&webhook);
        return Ok(());
    }
    let mut lines = vec![output::bold(text(&webhook, "name"))];
    lines.push(format!("  URL            {}", text(&webhook, "url")));
    lines.push(format!(
        "  verified by    {}",
        text(&webhook, "verified_by")
    ));
    lines.push(format!("  health         {}", health(&webhook)));
    if let Some(line) = secret_line(&webhook) {
        lines.push(format!("  secret         {line}"));
    }
    let learned = part(&webhook, "learned_secret");
    if let (Some(from), Some(delivery)) = (
        part(learned, "from").as_str(),
        part(learned, "delivery").as_str(),
    ) {
        lines.push(format!("  it came from   {from}, in delivery {delivery}"));
    }
    if let Some(provider) = part(&webhook, "provider").as_str() {
        lines.push(format!("  provider       {provider}"));
    }
    let last = part(&webhook, "last_delivery");
    let last = match (
        part(last, "received").as_str(),
        part(last, "outcome").as_str(),
    ) {
        (Some(received), Some(outcome)) => format!("{received}, {outcome}"),
        _ => "none".to_owned(),
    };
    lines.push(format!("  last delivery  {last}"));
    if let Some(secret) = secret {
        lines.push(format!("  the secret is  {secret}"));
    }
    output::out(&format!("{}\n", lines.join("\n")));
    Ok(())
}

fn learn(global: &Global, server: &Server, change: &Change) -> Result<(), Failure> {
    let name = &change.name;
    if change.dry_run {
        return would(global, server, name, "would wait 15 minutes for a secret");
    }
    let answer = server.post(&["webhooks", name, "secret", "learn"])?;
    let until = second(part(&answer, "learned_secret"), "until");
    let line = format!(
        "{name} waits for its secret until {until}: register it at the sender now\n  then: hookgate webhooks show {name}"
    );
    say(global, &answer, &line);
    Ok(())
}

fn confirm(global: &Global, server: &Server, change: &Change) -> Result<(), Failure> {
    let name = &change.name;
    if change.dry_run {
        return would(global, server, name, "would be confirmed");
    }
    let answer = server.post(&["webhooks", name, "secret", "confirm"])?;
    let learned = part(&answer, "learned_secret");
    let line = format!(
        "{name} is verified with the secret that came from {} at {}: confirmed",
        text(learned, "from"),
        second(learned, "learned"),
    );
    say(global, &answer, &line);
    Ok(())
}

fn forget(global: &Global, server: &Server, change: &Change, yes: bool) -> Result<(), Failure> {
    let name = &change.name;
    if change.dry_run {
        return would(global, server, name, "would be forgotten");
    }
    // A pending secret may be a stranger's, and is forgotten at once; a confirmed one takes deliveries with it.
    let webhook = match server.get(&["webhooks", name]) {
        Ok(webhook) => webhook,
        // One that has left the configuration may have left its secret behind.
        Err(failure) if failure.exit == Exit::Missing => Value::Null,
        Err(failure) => return Err(failure),
    };
    if !yes && state(&webhook) == "confirmed" {
        ask(name)?;
    }
    let answer = server.post(&["webhooks", name, "secret", "forget"])?;
    let line = format!(
        "{name} has forgotten its secret: its deliveries get 401\n  to learn another: hookgate webhooks learn {name}"
    );
    say(global, &answer, &line);
    Ok(())
}

/// Asks whether a confirmed secret is to go.
fn ask(name: &str) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            format!(
                "the secret of {name} is confirmed, and without it its deliveries get 401: say --yes"
            ),
        ));
    }
    output::err(&format!(
        "The secret of {name} is confirmed; without it its deliveries get 401. Forget it? [y/N] "
    ));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    match (read, answer.trim()) {
        (Ok(_), "y" | "Y" | "yes") => Ok(()),
        _ => Err(Failure::new(Exit::No, "nothing was changed")),
    }
}

fn would(global: &Global, server: &Server, name: &str, what: &str) -> Result<(), Failure> {
    let webhook = server.get(&["webhooks", name])?;
    let secret = secret_line(&webhook).unwrap_or_else(|| "it learns none".to_owned());
    let line = format!("{name} (secret: {secret}) {what}");
    say(global, &json!({"name": name, "dry_run": true}), &line);
    Ok(())
}

/// The answer as it is, or a line for people.
fn say(global: &Global, answer: &Value, line: &str) {
    if global.json() {
        output::json_line(answer);
    } else if !global.quiet() {
        output::out(&format!("{line}\n"));
    }
}

/// How it stands with a learned secret.
fn secret_line(webhook: &Value) -> Option<String> {
    let learned = part(webhook, "learned_secret");
    let name = text(webhook, "name");
    Some(match part(learned, "state").as_str()? {
        "waiting" => format!(
            "none yet: the first one until {} is learned",
            second(learned, "until")
        ),
        "missing" => format!("none, and none is learned: hookgate webhooks learn {name}"),
        "pending" => format!(
            "pending since {}: hookgate webhooks confirm {name}, or forget",
            second(learned, "learned")
        ),
        "confirmed" => format!("learned {}, confirmed", second(learned, "learned")),
        other => other.to_owned(),
    })
}

fn is_pending(webhook: &Value) -> bool {
    state(webhook) == "pending"
}

fn state(webhook: &Value) -> &str {
    text(part(webhook, "learned_secret"), "state")
}

fn part<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// A time without the fraction of its second, which nobody reads.
fn second(value: &Value, name: &str) -> String {
    let time = text(value, name);
    match time.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => time.to_owned(),
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    part(value, name).as_str().unwrap_or("")
}
