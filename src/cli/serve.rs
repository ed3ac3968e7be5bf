//! `hookgate serve`: runs the gateway until it is told to stop.

use super::{Exit, Global, output};
use crate::config::Overrides;
use crate::config::findings::render;
use crate::server::{self, Bound, Options, ServeError};
use std::process::ExitCode;

/// Runs the gateway. Prints a line for each listener once both are bound.
pub(super) fn run(global: &Global) -> ExitCode {
    let log_filter = std::env::var("HOOKGATE_LOG")
        .ok()
        .filter(|filter| !filter.trim().is_empty());
    let options = Options {
        file: global.config(),
        overrides: Overrides::from_env(),
        log_filter,
        observer: None,
    };
    let ready =
        |bound: &Bound| output::out(&format!("public {}\nadmin {}\n", bound.public, bound.admin));
    ended(server::run(&options, ready)).into()
}

/// What the end of a gateway means to a script; says why where it did not start.
pub(super) fn ended(done: Result<(), ServeError>) -> Exit {
    match done {
        Ok(()) => Exit::Done,
        Err(ServeError::Config(findings)) => {
            findings
                .iter()
                .for_each(|finding| output::err(&format!("{}\n", render(finding))));
            Exit::Invalid
        }
        Err(error) => {
            match error.code() {
                Some(code) => output::err(&format!(
                    "error[{code}]: {error}\n  = more: hookgate explain {code}\n"
                )),
                None => output::err(&format!("error: {error}\n")),
            }
            Exit::Invalid
        }
    }
}
