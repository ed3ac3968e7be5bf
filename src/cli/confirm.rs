//! Questions before what cannot be undone.

use super::client::Failure;
use super::{Exit, output};
use std::io::{BufRead as _, IsTerminal as _};

/// Asks on a terminal; elsewhere it must have been said.
///
/// # Errors
/// The answer is no, or there is nobody to ask.
pub(super) fn ask(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        let message = format!("{question} There is nobody to ask: say --yes");
        return Err(Failure::new(Exit::Usage, message));
    }
    output::err(&format!("{question} [y/N] "));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    match (read, answer.trim()) {
        (Ok(_), "y" | "Y" | "yes") => Ok(()),
        _ => Err(Failure::new(Exit::No, "nothing was changed")),
    }
}
