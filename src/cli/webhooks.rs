//! `webhooks`: those of the running gateway, and what its owner does with secrets that senders deliver.

use super::api::{self, Api, Failure, ServerArguments};
use super::{Exit, Global, output};
use crate::config::{self, Overrides};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::io::{BufRead as _, IsTerminal as _};

/// What `webhooks` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    server: ServerArguments,
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

/// Why a command did not do what it was asked for.
enum Stop {
    Api(Failure),
    /// For a reason of its own.
    Own(Exit, String),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Api(failure)
    }
}

impl Stop {
    fn is_missing(&self) -> bool {
        matches!(self, Self::Api(Failure::Refused(404, _)))
    }

    /// Says it on stderr.
    fn report(self, global: &Global) -> Exit {
        let (exit, code, message) = match self {
            Self::Own(exit, message) => (exit, None, message),
            Self::Api(failure) => {
                let exit = failure.exit();
                match failure {
                    Failure::Refused(401, reason) => {
                        let by = "from here by --token-file FILE or the variable HOOKGATE_TOKEN";
                        (exit, reason.code, format!("{}; {by}", reason.detail))
                    }
                    Failure::Refused(_, reason) => (exit, reason.code, reason.detail),
                    Failure::Unreachable(_) | Failure::Usage(_) => {
                        (exit, None, failure.to_string())
                    }
                }
            }
        };
        if global.json() {
            output::json_error(&json!({"code": code, "message": message}));
        } else {
            let code = code.map_or_else(String::new, |code| format!("[{code}]"));
            output::err(&format!("error{code}: {message}\n"));
        }
        exit
    }
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Exit {
    let done = api(global, &arguments.server).and_then(|api| {
        let done = api::block_on(act(global, &api, arguments.action.as_ref()));
        done.unwrap_or_else(|failure| Err(failure.into()))
    });
    match done {
        Ok(()) => Exit::Done,
        Err(stop) => stop.report(global),
    }
}

/// The gateway that is meant: by URL, else the one that runs on the configuration.
fn api(global: &Global, server: &ServerArguments) -> Result<Api, Stop> {
    let overrides = Overrides {
        no_secrets: true,
        ..Overrides::from_env()
    };
    let admin = if server.name_a_url() {
        None
    } else {
        let loaded = config::load(&global.config(), &overrides);
        let by_file = loaded.config.map(|config| config.admin.listen);
        by_file.or_else(|| overrides.admin.as_ref()?.trim().parse().ok())
    };
    Ok(Api::new(server, admin)?)
}

async fn act(global: &Global, api: &Api, action: Option<&Action>) -> Result<(), Stop> {
    match action {
        None => list(global, api).await,
        Some(Action::Show { name, reveal }) => show(global, api, name, *reveal).await,
        Some(Action::Learn(change)) => learn(global, api, change).await,
        Some(Action::Confirm(change)) => confirm(global, api, change).await,
        Some(Action::Forget { change, yes }) => forget(global, api, change, *yes).await,
    }
}

/// The path of a webhook, or of something about its secret.
fn path(name: &str, action: Option<&str>) -> String {
    let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
    let action = action.map_or_else(String::new, |action| format!("/secret/{action}"));
    format!("/api/v1/webhooks/{name}{action}")
}

async fn list(global: &Global, api: &Api) -> Result<(), Stop> {
    let answer = api.get("/api/v1/webhooks").await?;
    let webhooks = part(&answer, "data")
        .as_array()
        .cloned()
        .unwrap_or_default();
    let name = |webhook: &Value| text(webhook, "name").chars().count();
    let width = webhooks.iter().map(name).max().unwrap_or(0);
    for webhook in &webhooks {
        if global.json() {
            output::json_line(webhook);
            continue;
        }
        let off = if part(webhook, "enabled").as_bool() == Some(false) {
            "  disabled"
        } else {
            ""
        };
        let secret = match secret_line(webhook) {
            Some(line) if is_pending(webhook) => format!("  {}", output::yellow(&line)),
            Some(line) => format!("  {line}"),
            None => String::new(),
        };
        output::out(&format!(
            "{:width$}  {}  {}{secret}{off}\n",
            text(webhook, "name"),
            text(webhook, "url"),
            text(webhook, "verified_by"),
        ));
    }
    if webhooks.is_empty() && !global.json() && !global.quiet() {
        output::err("no webhook is configured\n");
    }
    Ok(())
}

async fn show(global: &Global, api: &Api, name: &str, reveal: bool) -> Result<(), Stop> {
    let mut webhook = api.get(&path(name, None)).await?;
    let secret = if reveal {
        let revealed = api.post(&path(name, Some("reveal"))).await?;
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
        (Some(_), Some(outcome)) => format!("{}, {outcome}", moment(last, "received")),
        _ => "none".to_owned(),
    };
    lines.push(format!("  last delivery  {last}"));
    if let Some(secret) = secret {
        lines.push(format!("  the secret is  {secret}"));
    }
    output::out(&format!("{}\n", lines.join("\n")));
    Ok(())
}

async fn learn(global: &Global, api: &Api, change: &Change) -> Result<(), Stop> {
    let name = &change.name;
    if change.dry_run {
        return would(global, api, name, "would wait 15 minutes for a secret").await;
    }
    let answer = api.post(&path(name, Some("learn"))).await?;
    let until = moment(part(&answer, "learned_secret"), "until");
    let line = format!(
        "{name} waits for its secret until {until}: register it at the sender now\n  then: hookgate webhooks show {name}"
    );
    say(global, &answer, &line);
    Ok(())
}

async fn confirm(global: &Global, api: &Api, change: &Change) -> Result<(), Stop> {
    let name = &change.name;
    if change.dry_run {
        return would(global, api, name, "would be confirmed").await;
    }
    let answer = api.post(&path(name, Some("confirm"))).await?;
    let learned = part(&answer, "learned_secret");
    let line = format!(
        "{name} is verified with the secret that came from {} at {}: confirmed",
        text(learned, "from"),
        moment(learned, "learned"),
    );
    say(global, &answer, &line);
    Ok(())
}

async fn forget(global: &Global, api: &Api, change: &Change, yes: bool) -> Result<(), Stop> {
    let name = &change.name;
    if change.dry_run {
        return would(global, api, name, "would be forgotten").await;
    }
    // A pending secret may be a stranger's, and is forgotten at once; a confirmed one takes deliveries with it.
    let webhook = match api.get(&path(name, None)).await.map_err(Stop::from) {
        Ok(webhook) => webhook,
        // One that has left the configuration may have left its secret behind.
        Err(stop) if stop.is_missing() => Value::Null,
        Err(stop) => return Err(stop),
    };
    if !yes && state(&webhook) == "confirmed" {
        ask(name)?;
    }
    let answer = api.post(&path(name, Some("forget"))).await?;
    let line = format!(
        "{name} has forgotten its secret: its deliveries get 401\n  to learn another: hookgate webhooks learn {name}"
    );
    say(global, &answer, &line);
    Ok(())
}

/// Asks whether a confirmed secret is to go.
fn ask(name: &str) -> Result<(), Stop> {
    if !std::io::stdin().is_terminal() {
        return Err(Stop::Own(
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
        _ => Err(Stop::Own(Exit::No, "nothing was changed".to_owned())),
    }
}

async fn would(global: &Global, api: &Api, name: &str, what: &str) -> Result<(), Stop> {
    let webhook = api.get(&path(name, None)).await?;
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
            moment(learned, "until")
        ),
        "missing" => format!("none, and none is learned: hookgate webhooks learn {name}"),
        "pending" => format!(
            "pending since {}: hookgate webhooks confirm {name}, or forget",
            moment(learned, "learned")
        ),
        "confirmed" => format!("learned {}, confirmed", moment(learned, "learned")),
        other => other.to_owned(),
    })
}

fn is_pending(webhook: &Value) -> bool {
    state(webhook) == "pending"
}

/// A time for people: to the second.
fn moment(value: &Value, name: &str) -> String {
    let text = text(value, name);
    let time = text.parse::<jiff::Timestamp>();
    time.map_or_else(|_| text.to_owned(), |time| format!("{time:.0}"))
}

fn state(webhook: &Value) -> &str {
    text(part(webhook, "learned_secret"), "state")
}

fn part<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    part(value, name).as_str().unwrap_or("")
}
