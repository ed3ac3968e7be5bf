//! `token`: make, list and revoke tokens of the admin listener, through its API or in a store at rest.

use super::client::{Failure, Server};
use super::listing::{self, text};
use super::table::{self, Cell, Column};
use super::{Exit, Global, confirm, output};
use crate::model::time;
use crate::state::tokens::{new_token, wrong_name};
use crate::state::{Scope, TokenRow};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What `token` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a token; it is printed once, and only a hash of it is kept
    Create(New),
    /// List the tokens: what they allow, when they were used last
    List {
        /// In the store of this folder, while no gateway runs on it
        #[arg(long, value_name = "PATH")]
        store: Option<PathBuf>,
    },
    /// Revoke a token: it opens nothing from then on
    Revoke {
        /// Its id
        id: String,
        /// In the store of this folder, while no gateway runs on it
        #[arg(long, value_name = "PATH")]
        store: Option<PathBuf>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
struct New {
    /// What it is called, such as what it is for
    name: String,
    /// What it allows: `events:read`, `deliveries:read`, `deliveries:raw`, `replay`, `render`, `dead-letters`,
    /// `sinks`, `config:read`, `config:write`; `admin` allows everything
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_delimiter = ',', value_parser = scope)]
    scopes: Vec<Scope>,
    /// When it ends, from now, such as `90d` [default: never]
    #[arg(long, value_name = "DURATION", value_parser = crate::config::parse_duration)]
    expires: Option<Duration>,
    /// In the store of this folder, while no gateway runs on it; made if it is missing
    #[arg(long, value_name = "PATH")]
    store: Option<PathBuf>,
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).ok_or_else(|| format!("there are {}", Scope::list()))
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Exit {
    let server = &arguments.server;
    let done = match &arguments.action {
        Action::Create(new) => create(global, server, new),
        Action::List { store } => list(global, server, store.as_deref()),
        Action::Revoke { id, store, yes } => revoke(global, server, id, store.as_deref(), *yes),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(failure) => failure.report(global),
    }
}

fn create(global: &Global, server: &Server, new: &New) -> Result<(), Failure> {
    let made = match &new.store {
        Some(folder) => create_offline(folder, new)?,
        None => {
            let expires = new.expires.map(|lasts| format!("{}s", lasts.as_secs()));
            let asked = json!({ "name": new.name, "scopes": new.scopes, "expires_in": expires });
            server.send(&["tokens"], &asked)?
        }
    };
    if global.json() {
        output::json_line(&made);
        return Ok(());
    }
    // Alone on stdout, for `> file`.
    output::out(&format!("{}\n", text(&made, "/token")));
    if !global.quiet() {
        let end = match text(&made, "/expires").as_str() {
            "" => "it does not end".to_owned(),
            end => format!("it ends {end}"),
        };
        output::err(&format!(
            "This is the only time it is shown; {end}. `hookgate token revoke {}` ends it at once.\n",
            text(&made, "/id")
        ));
    }
    Ok(())
}

fn create_offline(folder: &Path, new: &New) -> Result<Value, Failure> {
    if let Some(why) = wrong_name(&new.name) {
        return Err(Failure::new(Exit::Usage, why));
    }
    let now = Timestamp::now();
    let expires = new.expires.map(|lasts| {
        let lasts = SignedDuration::try_from(lasts).unwrap_or(SignedDuration::MAX);
        now.checked_add(lasts).unwrap_or(Timestamp::MAX)
    });
    let offline = open(folder)?;
    let (row, token) = new_token(new.name.clone(), new.scopes.clone(), expires, now);
    if !offline.state.add_token(&row).map_err(failed)? {
        let why = "there are too many tokens: revoke one";
        return Err(Failure::new(Exit::No, why));
    }
    let mut made = shown(&row);
    if let Some(fields) = made.as_object_mut() {
        fields.insert("token".to_owned(), token.expose().into());
    }
    Ok(made)
}

fn open(folder: &Path) -> Result<crate::log::OfflineState, Failure> {
    let opened = crate::log::open_state(folder);
    opened.map_err(|error| {
        let failure = Failure::new(Exit::No, error.to_string());
        match error {
            crate::log::OpenError::Locked(_) => {
                failure.help("the gateway runs: leave out --store, and it is asked")
            }
            _ => failure,
        }
    })
}

fn failed(error: crate::state::StateError) -> Failure {
    Failure::new(Exit::No, error.to_string())
}

/// As the API shows it.
fn shown(row: &TokenRow) -> Value {
    json!({
        "id": row.id, "name": row.name, "scopes": row.scopes,
        "created": time::to_rfc3339(row.created),
        "expires": row.expires.map(time::to_rfc3339),
        "last_used": row.last_used.map(time::to_rfc3339),
        "expired": row.is_over(Timestamp::now()),
    })
}

fn list(global: &Global, server: &Server, store: Option<&Path>) -> Result<(), Failure> {
    let tokens: Vec<Value> = match store {
        Some(folder) => {
            let rows = open(folder)?.state.tokens().map_err(failed)?;
            rows.iter().map(shown).collect()
        }
        None => {
            let answer = server.get(&["tokens"])?;
            let data = answer.get("data").and_then(Value::as_array);
            data.cloned().unwrap_or_default()
        }
    };
    if global.json() {
        tokens.iter().for_each(output::json_line);
        return Ok(());
    }
    if tokens.is_empty() {
        listing::say_none(
            global,
            "there is no token: hookgate token create NAME --scope SCOPE",
        );
        return Ok(());
    }
    let columns = [
        Column("id", true),
        Column("name", false),
        Column("scopes", false),
        Column("last used", true),
        Column("ends", true),
    ];
    let or = |given: String, otherwise: &str| {
        if given.is_empty() {
            otherwise.to_owned()
        } else {
            given
        }
    };
    let cells = tokens.iter().map(|token| {
        let scopes = token.get("scopes").and_then(Value::as_array);
        let scopes = scopes.into_iter().flatten().filter_map(Value::as_str);
        let over = token.get("expired").and_then(Value::as_bool) == Some(true);
        vec![
            Cell::new(text(token, "/id")),
            Cell::new(text(token, "/name")),
            Cell::new(scopes.collect::<Vec<_>>().join(",")),
            Cell::new(or(text(token, "/last_used"), "never")),
            Cell::styled(
                or(text(token, "/expires"), "never"),
                over.then_some(output::red as table::Style),
            ),
        ]
    });
    table::print(global, &columns, &cells.collect::<Vec<_>>());
    Ok(())
}

fn revoke(
    global: &Global,
    server: &Server,
    id: &str,
    store: Option<&Path>,
    yes: bool,
) -> Result<(), Failure> {
    let question = format!("Revoke the token {}?", super::text::shown(id));
    confirm::ask(&question, yes)?;
    let answer = match store {
        Some(folder) => {
            if !open(folder)?.state.remove_token(id).map_err(failed)? {
                let why = format!("there is no token `{id}`");
                return Err(Failure::new(Exit::Missing, why));
            }
            json!({ "id": id })
        }
        None => server.delete(&["tokens", id])?,
    };
    if global.json() {
        output::json_line(&answer);
    } else if !global.quiet() {
        output::out(&format!(
            "{} opens nothing any more\n",
            super::text::shown(id)
        ));
    }
    Ok(())
}
