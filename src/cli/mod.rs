//! The commands, a file each. The only part that prints.

mod add;
mod check;
mod client;
mod completions;
mod confirm;
mod dead_letters;
mod deliveries;
mod dev;
mod events;
mod explain;
mod export;
mod health;
mod listing;
mod output;
mod providers;
mod render;
mod replay;
mod request;
mod rotate;
mod schema;
mod send;
mod serve;
mod sinks;
mod table;
mod tail;
mod text;
mod token;
mod toml_file;
mod version;
mod watch;
mod webhooks;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit codes, as scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Ran well, and the answer is no.
    No = 1,
    /// Wrong usage.
    Usage = 2,
    /// The configuration or a template is not valid.
    Invalid = 3,
    /// The gateway is not reachable, or answers too late.
    Unreachable = 4,
    /// A token is needed, or has not the right.
    Denied = 5,
    /// There is no such thing.
    Missing = 6,
    /// A part of it is done; what failed is listed.
    InPart = 7,
    /// A bug in hookgate.
    Bug = 70,
    /// Stopped by Ctrl-C.
    Interrupted = 130,
    /// Stopped by SIGTERM.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        // The discriminants are the codes.
        Self::from(exit as u8)
    }
}

const EXAMPLES: &str = "\
Examples:
  hookgate dev                              try it: a webhook that takes anything, and the feed to watch
  hookgate add github                       a webhook for GitHub: writes it, says what to paste where
  hookgate send github push                 a signed request as GitHub makes it
  hookgate check                            is the file right? compiles everything, runs its tests";

const AFTER_LONG: &str = "\
Environment:
  HOOKGATE_CONFIG      default of --config
  HOOKGATE_LISTEN, HOOKGATE_ADMIN, HOOKGATE_STORE_PATH
                       win over [server] listen, admin and [store] path
  HOOKGATE_URL         default of --url
  HOOKGATE_TOKEN       admin token, where no --token-file names one
  HOOKGATE_LOG         what is logged, such as `debug` or `hookgate=trace`

Exit codes:
  0 done   1 the answer is no (a test failed)   2 wrong usage   3 invalid configuration or template
  4 the gateway is not reachable   5 not allowed   6 there is no such thing   7 done in part
  70 a bug in hookgate   130 ended by Ctrl-C   143 by SIGTERM";

/// A webhook translation gateway: verifies, translates, keeps on disk, answers, forwards.
#[derive(Debug, Parser)]
#[command(
    name = "hookgate",
    version,
    infer_subcommands = false,
    after_help = EXAMPLES,
    after_long_help = const_format(),
    max_term_width = 100
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

fn const_format() -> String {
    format!("{EXAMPLES}\n\n{AFTER_LONG}")
}

/// Flags that mean the same everywhere.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The configuration [default: ./webhooks.toml]
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Machine-readable output: one JSON object a line
    #[arg(long, global = true)]
    json: bool,
    /// Lists as tab-separated values, without header and colours
    #[arg(long, global = true, conflicts_with = "json")]
    plain: bool,
    /// Fewer messages on stderr
    #[arg(short, long, global = true)]
    quiet: bool,
    /// More messages on stderr; twice for all
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// When to colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    color: Color,
}

impl Global {
    /// The configuration's path: the flag, else `HOOKGATE_CONFIG`, else `webhooks.toml` here.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        // Not clap's `env`: it takes a variable that is set and empty for a flag without its value.
        let named = self.config.clone().map(PathBuf::into_os_string);
        named
            .or_else(|| std::env::var_os("HOOKGATE_CONFIG"))
            .filter(|path| !path.is_empty())
            .map_or_else(|| PathBuf::from("webhooks.toml"), PathBuf::from)
    }

    /// Whether messages on stderr are unwanted.
    #[must_use]
    pub fn quiet(&self) -> bool {
        self.quiet
    }

    /// How many `-v` there are.
    #[must_use]
    pub fn verbose(&self) -> u8 {
        self.verbose
    }

    /// Whether lists are for `cut` and `awk`.
    #[must_use]
    pub fn plain(&self) -> bool {
        self.plain
    }

    /// Whether output is for machines.
    #[must_use]
    pub fn json(&self) -> bool {
        self.json
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway; refuses to start on an invalid file
    Serve,
    /// Run the gateway to try things out: a webhook that takes anything, errors shown to the sender too
    Dev(dev::Arguments),
    /// Check the configuration: parse, compile every template, read secrets, run every test
    Check(check::Arguments),
    /// Show what one request becomes: its events, or the error
    Render(render::Arguments),
    /// Add a webhook for a known sender to the configuration, and say what to paste where
    Add(add::Arguments),
    /// Give a webhook a new slug or secret; the old one stays good for a while
    Rotate(rotate::Arguments),
    /// Make a request as the sender does, sign it with the webhook's secret, send it over HTTP
    Send(send::Arguments),
    /// List the known senders, or explain one
    Providers(providers::Arguments),
    /// Show events as they come
    Tail(tail::Arguments),
    /// List events, or show one
    Events(events::Arguments),
    /// List everything that came to a webhook, or show one request, step by step
    Deliveries(deliveries::Arguments),
    /// Translate kept requests again, or forward kept events again: a plan, a question, the results
    Replay(replay::Arguments),
    /// List what sinks refused for good; try again, or discard
    DeadLetters(dead_letters::Arguments),
    /// List sinks with their lag and last error; test, hold and let go
    Sinks(sinks::Arguments),
    /// List the running gateway's webhooks; learn, confirm and forget secrets that senders deliver
    Webhooks(webhooks::Arguments),
    /// Make, list and revoke tokens of the admin listener
    Token(token::Arguments),
    /// Is the running gateway ready? Exits 0 or 1; for container health checks
    Health(health::Arguments),
    /// Write events as lines of JSON or as CloudEvents, oldest first
    Export(export::Arguments),
    /// Print the JSON Schema of webhooks.toml, for editors, or of an event
    Schema(schema::Arguments),
    /// Explain an error code
    Explain(explain::Arguments),
    /// Print completions for a shell, such as `hookgate completions bash`
    Completions(completions::Shells),
    /// Print the manual page of hookgate, or of a command
    Man(completions::Pages),
    /// Show the version
    Version,
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap chooses the stream; a closed one is no reason to fail louder.
            let printed = error.print();
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            return ExitCode::from(if printed.is_ok() { code } else { 2 });
        }
    };
    match cli.global.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    let Some(command) = cli.command else {
        output::out(&first_screen());
        return Exit::Done.into();
    };
    let global = cli.global;
    match command {
        Command::Serve => serve::run(&global),
        Command::Dev(arguments) => dev::run(&global, &arguments),
        Command::Check(arguments) => guarded(|| check::run(&global, &arguments)),
        Command::Render(arguments) => guarded(|| render::run(&global, &arguments)),
        Command::Add(arguments) => guarded(|| add::run(&global, &arguments)),
        Command::Rotate(arguments) => guarded(|| rotate::run(&global, &arguments)),
        Command::Send(arguments) => guarded(|| send::run(&global, &arguments)),
        Command::Providers(arguments) => guarded(|| providers::run(&global, &arguments)),
        Command::Webhooks(arguments) => guarded(|| webhooks::run(&global, &arguments)),
        Command::Tail(arguments) => guarded(|| tail::run(&global, &arguments)),
        Command::Events(arguments) => guarded(|| events::run(&global, &arguments)),
        Command::Deliveries(arguments) => guarded(|| deliveries::run(&global, &arguments)),
        Command::Replay(arguments) => guarded(|| replay::run(&global, &arguments)),
        Command::DeadLetters(arguments) => guarded(|| dead_letters::run(&global, &arguments)),
        Command::Sinks(arguments) => guarded(|| sinks::run(&global, &arguments)),
        Command::Token(arguments) => guarded(|| token::run(&global, &arguments)),
        Command::Health(arguments) => guarded(|| health::run(&global, &arguments)),
        Command::Export(arguments) => guarded(|| export::run(&global, &arguments)),
        Command::Schema(arguments) => guarded(|| schema::run(&global, &arguments)),
        Command::Explain(arguments) => guarded(|| explain::run(&global, &arguments)),
        Command::Completions(shells) => guarded(|| completions::completions(&shells)),
        Command::Man(pages) => guarded(|| completions::man(&global, &pages)),
        Command::Version => guarded(|| version::run(&global)),
    }
}

/// What most begin with, in the order in which they need it.
const FIRST: [&str; 8] = [
    "dev", "add", "send", "check", "serve", "tail", "events", "replay",
];

/// What `hookgate` alone shows.
fn first_screen() -> String {
    let cli = Cli::command();
    let about = cli.get_about().map(ToString::to_string).unwrap_or_default();
    let mut out = format!("{about}\n\n{}\n", output::bold("Usage: hookgate <COMMAND>"));
    for name in FIRST {
        let command = cli.find_subcommand(name);
        let about = command.and_then(|command| command.get_about());
        let about = about.map(ToString::to_string).unwrap_or_default();
        out.push_str(&format!(
            "  {}  {about}\n",
            text::padded(&output::bold(name), 8)
        ));
    }
    out.push_str(&format!(
        "\n{EXAMPLES}\n\n`hookgate help` lists all commands, `hookgate help COMMAND` explains one. The pages of a \
         running gateway are at http://127.0.0.1:8081/.\n"
    ));
    out
}

/// Says on stderr why a command does not do what it was asked.
fn fail(global: &Global, message: &str, help: Option<&str>) {
    if global.json() {
        output::json_error(&serde_json::json!({
            "severity": "error", "message": message, "help": help,
        }));
        return;
    }
    let help = help.map_or_else(String::new, |help| format!("  = help: {help}\n"));
    output::err(&format!("{} {message}\n{help}", output::red("error:")));
}

/// Runs a command that must not panic. If it does, what it worked on is not printed: it may hold secrets.
fn guarded(command: impl FnOnce() -> Exit) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(String::new, |l| format!(" at {}:{}", l.file(), l.line()));
        output::err(&format!(
            "hookgate {} has a bug{place}. Please report this line.\n",
            env!("CARGO_PKG_VERSION")
        ));
    }));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(command))
        .unwrap_or(Exit::Bug)
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_hold() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_are_global() {
        let cli = Cli::try_parse_from(["hookgate", "check", "--json", "-c", "a.toml"]).unwrap();
        assert!(cli.global.json());
        assert_eq!(cli.global.config(), PathBuf::from("a.toml"));
        assert!(Cli::try_parse_from(["hookgate", "chec"]).is_err());
        assert!(Cli::try_parse_from(["hookgate", "check", "-q", "-v"]).is_err());
    }
}
