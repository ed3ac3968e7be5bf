//! `dev`: the gateway with a webhook that takes anything, for the first five minutes and for writing templates.

mod browser;
mod screen;

use super::{Global, output, serve};
use crate::config::{self, Config, Overrides};
use crate::server::{self, Bound, Options};
use screen::Screen;
use std::io::IsTerminal as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Folder of the store, where no variable names one.
const STORE: &str = ".hookgate";
/// What is logged where `HOOKGATE_LOG` says nothing: deliveries and findings are shown by us.
const LOG_FILTER: &str = "warn";
/// Ports that are tried after one that is taken, two apart, so that both listeners keep theirs side by side.
const PORTS_TRIED: u16 = 20;

/// What `dev` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where senders call, such as 127.0.0.1:8080; without it a free port near it is taken
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where the pages are, such as 127.0.0.1:8081; without it a free port near it is taken
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// Do not open the feed in the browser
    #[arg(long)]
    no_open: bool,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> ExitCode {
    let file = global.config();
    let mut overrides = overrides(arguments);
    let loaded = config::load(&file, &overrides);
    let Some(config) = loaded.config else {
        return serve::ended(Err(server::ServeError::Config(loaded.findings))).into();
    };
    let mut moved = find_ports(&config, &mut overrides);
    let listen = config.edge.listen;
    if !listen.ip().is_loopback() {
        moved.push(format!(
            "{listen} is reachable from elsewhere: whoever sends is told why a request failed"
        ));
    }
    let store = config.store.path;
    let screen = Screen::start(global);
    let options = Options {
        file: file.clone(),
        overrides,
        log_filter: Some(log_filter()),
        observer: Some(Arc::clone(&screen) as _),
    };
    let open = !arguments.no_open && browser::is_wanted();
    let ready = |bound: &Bound| {
        keep_out_of_git(&store);
        let bound = Bound {
            public: for_here(&bound.public),
            admin: for_here(&bound.admin),
        };
        screen.begin(&banner(global, &bound, &file, &moved, open), &bound.admin);
        if open {
            browser::open(&format!("{}/", bound.admin));
        }
    };
    let done = server::run(&options, ready);
    screen.end();
    serve::ended(done).into()
}

fn overrides(arguments: &Arguments) -> Overrides {
    let from_env = Overrides::from_env();
    Overrides {
        listen: arguments.listen.clone().or(from_env.listen),
        admin: arguments.admin.clone().or(from_env.admin),
        store_path: from_env.store_path.or_else(|| Some(PathBuf::from(STORE))),
        dev: true,
        ..Overrides::default()
    }
}

fn log_filter() -> String {
    let named = std::env::var("HOOKGATE_LOG").ok();
    named
        .filter(|filter| !filter.trim().is_empty())
        .unwrap_or_else(|| LOG_FILTER.to_owned())
}

/// Puts free ports in place of those that are taken, unless they were asked for by a flag or variable. Gives what is
/// to be said about it.
fn find_ports(config: &Config, overrides: &mut Overrides) -> Vec<String> {
    let mut said = Vec::new();
    let mut find = |asked: &mut Option<String>, address: SocketAddr, other: u16| {
        if asked.is_some() || is_free(address) {
            return address.port();
        }
        let near = (1..=PORTS_TRIED).filter_map(|n| address.port().checked_add(n * 2));
        let mut free = near.map(|port| SocketAddr::new(address.ip(), port));
        let found = free.find(|address| address.port() != other && is_free(*address));
        // None near it: any.
        let found = found.unwrap_or_else(|| SocketAddr::new(address.ip(), 0));
        *asked = Some(found.to_string());
        said.push(format!("{address} is taken by another program"));
        found.port()
    };
    let admin = config.admin.listen;
    let public = find(&mut overrides.listen, config.edge.listen, admin.port());
    find(&mut overrides.admin, admin, public);
    said
}

fn is_free(address: SocketAddr) -> bool {
    address.port() == 0 || TcpListener::bind(address).is_ok()
}

/// A store that was made by trying things out is nothing to commit.
fn keep_out_of_git(store: &Path) {
    let file = store.join(".gitignore");
    if store.file_name().is_some_and(|name| name == STORE) && !file.exists() {
        // It only saves a line of the owner's own; without it everything works as well.
        std::fs::write(file, "*\n").ok();
    }
}

/// A URL that leads here from this machine, also where the listener takes what comes from anywhere.
fn for_here(url: &str) -> String {
    url.replacen("//0.0.0.0:", "//127.0.0.1:", 1)
        .replacen("//[::]:", "//[::1]:", 1)
}

fn banner(global: &Global, bound: &Bound, file: &Path, moved: &[String], open: bool) -> String {
    let (public, admin) = (&bound.public, &bound.admin);
    if global.json() {
        let line = serde_json::json!({
            "public": public, "admin": admin, "webhook": format!("{public}/hooks/try"),
        });
        return format!("{line}\n");
    }
    let feed = format!("{admin}/");
    let opened = if open {
        "   (opened in your browser; --no-open to stop that)"
    } else {
        ""
    };
    let there = if file.exists() {
        "(reloaded when it or its templates change)"
    } else {
        "(not there yet; `hookgate add github` writes one)"
    };
    let title = output::bold("hookgate");
    let version = env!("CARGO_PKG_VERSION");
    let taken: String = moved
        .iter()
        .map(|line| format!("            {line}\n"))
        .collect();
    format!(
        "  {title} {version}   dev mode\n\n  feed      {feed}{opened}\n  webhook   {public}/hooks/try   \
         accepts anything, keeps body and headers\n{taken}\n  try it    \
         {}\n\n  watching  {}  {there}\n",
        output::bold(&format!("curl -d model=recommendations {public}/hooks/try")),
        file.display(),
    )
}

/// Whether somebody looks at stdout.
fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_no_end() {
        let folder = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let text = format!("[server]\nlisten = \"{address}\"\nadmin = \"127.0.0.1:0\"\n");
        let file = folder.path().join("webhooks.toml");
        let load = |text: &str| config::load_text(&file, text.to_owned(), &Overrides::default());
        let config = load(&text).config.unwrap();
        let mut overrides = Overrides::default();
        let said = find_ports(&config, &mut overrides);
        assert!(said.len() == 1 && said[0].contains("is taken"), "{said:?}");
        let found = overrides.listen.unwrap();
        assert!(found.starts_with("127.0.0.1:") && found != address.to_string());
        assert_eq!(overrides.admin, None);
        // What was asked for is not changed: the start then says that it is taken.
        let mut asked = Overrides {
            listen: Some(address.to_string()),
            ..Overrides::default()
        };
        assert!(find_ports(&config, &mut asked).is_empty());
        assert_eq!(asked.listen, Some(address.to_string()));
    }

    #[test]
    fn urls_that_work_here() {
        assert_eq!(for_here("http://0.0.0.0:1"), "http://127.0.0.1:1");
        assert_eq!(for_here("http://[::]:1"), "http://[::1]:1");
        assert_eq!(for_here("http://127.0.0.1:1"), "http://127.0.0.1:1");
    }
}
