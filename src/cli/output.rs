//! Writing to stdout and stderr. Colours are taken out where they are not wanted; a reader that went
//! away (`| head`) is no error.

use std::io::Write;

/// Writes to stdout.
pub(super) fn out(text: &str) {
    let mut stream = anstream::stdout().lock();
    let written = stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.flush());
    gone(written);
}

/// Writes to stdout; false: nobody reads any more.
pub(super) fn try_out(text: &str) -> bool {
    let mut stream = anstream::stdout().lock();
    let written = stream.write_all(text.as_bytes());
    written.and_then(|()| stream.flush()).is_ok()
}

/// Writes to stderr.
pub(super) fn err(text: &str) {
    let mut stream = anstream::stderr().lock();
    let written = stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.flush());
    gone(written);
}

/// Writes a line of JSON to stdout.
pub(super) fn json_line(value: &impl serde::Serialize) {
    out(&format!("{}\n", to_json(value)));
}

/// Writes a line of JSON to stderr.
pub(super) fn json_error(value: &impl serde::Serialize) {
    err(&format!("{}\n", to_json(value)));
}

fn to_json(value: &impl serde::Serialize) -> String {
    // Only maps with keys that are no text can fail; nothing here has them.
    serde_json::to_string(value).unwrap_or_else(|e| format!("{{\"message\":\"{e}\"}}"))
}

/// Nobody reads any more: there is nobody to tell either.
fn gone(_written: std::io::Result<()>) {}

/// Bold.
pub(super) fn bold(text: &str) -> String {
    format!("\u{1b}[1m{text}\u{1b}[0m")
}

/// Green, for what is right.
pub(super) fn green(text: &str) -> String {
    format!("\u{1b}[32m{text}\u{1b}[0m")
}

/// Yellow, for what is worth a look.
pub(super) fn yellow(text: &str) -> String {
    format!("\u{1b}[33m{text}\u{1b}[0m")
}

/// Red, for what is wrong.
pub(super) fn red(text: &str) -> String {
    format!("\u{1b}[31m{text}\u{1b}[0m")
}
