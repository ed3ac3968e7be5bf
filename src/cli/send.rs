//! `send WEBHOOK [EVENT]`: a request as the sender makes it, signed with the webhook's own secret, sent over
//! HTTP to the running gateway; or the `curl` that sends it.

mod curl;
mod deliver;
mod edit;
mod prepare;

use super::client::{self, Failure, Server};
use super::{Exit, Global, output};
use crate::config::findings::render_problem;
use crate::config::{self, Config, Overrides, Severity, Webhook, parse_duration};
use crate::model::Problem;
use crate::verify::{Age, SignOptions};
use jiff::{SignedDuration, Timestamp};
use prepare::Prepared;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Requests of one call at most.
const COUNT_MAX: i64 = 100_000;
/// Age of an old timestamp where nothing is said.
const AGE_DEFAULT: SignedDuration = SignedDuration::from_mins(10);

/// What `send` takes.
#[derive(Debug, clap::Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(super) struct Arguments {
    /// Webhook of the configuration
    webhook: String,
    /// Sample request of its provider, or name of a `[[webhook.test]]` [default: the first]
    event: Option<String>,
    /// Request in .http form in place of a sample, or `-` for stdin
    #[arg(long, value_name = "FILE", conflicts_with = "event")]
    request: Option<PathBuf>,
    /// Change the request first: header.x=…, query.x=…, body.a.b=…
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Open the request in `$EDITOR` first
    #[arg(long)]
    edit: bool,
    /// How many, each with a delivery key of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=COUNT_MAX))]
    count: u32,
    /// How many in a time at most: 10/s, 100/m
    #[arg(long, value_name = "N/TIME", value_parser = rate)]
    rate: Option<Duration>,
    /// The same request twice, as senders do that got no answer
    #[arg(long, conflicts_with = "count")]
    duplicate: bool,
    /// Sign wrongly: the answer must be 401
    #[arg(long, conflicts_with = "unsigned")]
    bad_signature: bool,
    /// Sign a time this long ago [default: 10m, or just past what the scheme allows]
    #[arg(long, value_name = "DURATION", num_args = 0..=1, value_parser = parse_duration, conflicts_with = "unsigned")]
    #[allow(
        clippy::option_option,
        reason = "a flag that may have a value is just that"
    )]
    old_timestamp: Option<Option<Duration>>,
    /// Send it as it is, without a signature
    #[arg(long)]
    unsigned: bool,
    /// Print the signed `curl` instead of sending
    #[arg(long, conflicts_with_all = ["count", "duplicate", "dry_run"])]
    as_curl: bool,
    /// Send to this URL: an endpoint, or a host on which the webhook's path is called
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Sign even towards a host that is not this machine
    #[arg(short, long)]
    yes: bool,
    /// Show the request instead of sending it, credentials masked
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    server: Server,
}

/// Why nothing is sent.
pub(super) struct Stop {
    exit: Exit,
    message: String,
    help: Option<String>,
}

impl Stop {
    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            help: None,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        let stop = Self::new(failure.exit, failure.message);
        match failure.exit {
            Exit::Unreachable => {
                stop.help("is `hookgate serve` running? --url names its admin listener")
            }
            _ => stop,
        }
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        let stop = Self::new(Exit::Usage, problem.message);
        match problem.help {
            Some(help) => stop.help(help),
            None => stop,
        }
    }
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Exit {
    send(global, arguments).unwrap_or_else(|stop| {
        super::fail(global, &stop.message, stop.help.as_deref());
        stop.exit
    })
}

fn send(global: &Global, arguments: &Arguments) -> Result<Exit, Stop> {
    let Some(config) = load(global, &arguments.webhook) else {
        return Ok(Exit::Invalid);
    };
    let webhook = choose(&config, &arguments.webhook)?;
    let beside = config.file.parent().map(std::path::Path::to_path_buf);
    let sample = prepare::sample(
        &webhook,
        beside.as_deref(),
        arguments.event.as_deref(),
        arguments.request.as_deref(),
    )?;
    let mut sample = prepare::received(sample, &webhook, &config)?;
    if arguments.edit {
        sample.request = edit::edit(&sample.request, &webhook.name)?;
    }
    if let (Some(others), false, false) = (&sample.others, global.quiet(), global.json()) {
        output::err(&format!("{}: {others}\n", sample.name));
    }
    let api = arguments.server.or_listener(config.admin.listen);
    let prepared = Prepared {
        config: &config,
        webhook: &webhook,
        arguments,
        sample,
        options: options(arguments),
    };
    client::block_on(work(global, &prepared, &api))?
}

async fn work(global: &Global, prepared: &Prepared<'_>, api: &Server) -> Result<Exit, Stop> {
    let arguments = prepared.arguments;
    let target = prepared.target(api).await?;
    prepared.guard(&target)?;
    if arguments.as_curl {
        let (request, url) = prepared.made(&target, Some(curl::MARK))?;
        let variable = prepared.variable();
        output::out(&curl::command(&request, &url, &variable));
        return Ok(Exit::Done);
    }
    if arguments.dry_run {
        let (request, _) = prepared.made(&target, None)?;
        let masked = prepared
            .webhook
            .masking
            .apply(&request, &prepared.webhook.slug);
        output::out(&String::from_utf8_lossy(&masked.bytes));
        return Ok(Exit::Done);
    }
    deliver::all(global, prepared, api, &target).await
}

fn options(arguments: &Arguments) -> SignOptions {
    let age = arguments.old_timestamp.map(|given| Age {
        age: given
            .and_then(|age| SignedDuration::try_from(age).ok())
            .unwrap_or(AGE_DEFAULT),
        past_the_limit: given.is_none(),
    });
    SignOptions {
        age,
        bad: arguments.bad_signature,
        ..SignOptions::right(Timestamp::now())
    }
}

/// The configuration with this webhook's secrets; none (and told) where it is refused.
fn load(global: &Global, webhook: &str) -> Option<Config> {
    let overrides = Overrides {
        secrets_of: Some(webhook.to_owned()),
        ..Overrides::from_env()
    };
    let loaded = config::load(&global.config(), &overrides);
    if loaded.config.is_none() {
        let errors = loaded.findings.iter();
        for finding in errors.filter(|f| f.severity == Severity::Error) {
            if global.json() {
                output::json_error(finding);
            } else {
                let text = render_problem(finding.severity, &finding.problem);
                output::err(&format!("{text}\n"));
            }
        }
    }
    loaded.config
}

fn choose(config: &Config, name: &str) -> Result<Arc<Webhook>, Stop> {
    if let Some(found) = config.webhooks.iter().find(|w| w.name == name) {
        return Ok(Arc::clone(found));
    }
    let names: Vec<&str> = config.webhooks.iter().map(|w| w.name.as_str()).collect();
    let help = match config::nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "`hookgate add github` writes one".to_owned(),
        None => format!("there are: {}", names.join(", ")),
    };
    Err(Stop::new(Exit::Missing, format!("there is no webhook `{name}`")).help(help))
}

/// The pause between two of `10/s`, `100/m`, `5000/h`.
fn rate(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no rate: write 10/s, 100/m or 5000/h");
    let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
    let seconds = match unit.trim() {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    if !(number > 0.0 && number <= 1e6) {
        return Err(wrong());
    }
    Duration::try_from_secs_f64(seconds / number).map_err(|_| wrong())
}

#[cfg(test)]
mod tests;
