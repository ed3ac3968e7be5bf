//! `hookgate serve`: runs the gateway until it is told to stop.

use super::{Exit, print_findings};
use crate::server::{self, Options, ServeError};
use std::io::Write as _;

/// Runs the gateway. Prints a line for each listener once both are bound.
pub(super) fn run(options: &Options) -> Exit {
    let ready = |bound: &server::Bound| {
        let mut out = std::io::stdout().lock();
        // Nobody may be reading: that is no reason not to serve.
        writeln!(out, "public {}\nadmin {}", bound.public, bound.admin).and_then(|()| out.flush()).ok();
    };
    match server::run(options, ready) {
        Ok(()) => Exit::Done,
        Err(ServeError::Config(findings)) => {
            print_findings(&findings);
            Exit::Invalid
        }
        Err(error) => {
            super::print_error(&error);
            Exit::Invalid
        }
    }
}
