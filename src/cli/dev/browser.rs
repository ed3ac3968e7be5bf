//! Opens a page in the browser of the desktop. Best effort: it never fails, and nothing waits for it.

use std::process::{Command, Stdio};

/// Whether a page is to be opened: somebody looks, here, and there is a desktop to open it on. Without one, Linux
/// would open a browser of the terminal, over what is shown there.
pub(super) fn is_wanted() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let desktop =
        cfg!(any(windows, target_os = "macos")) || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
    super::is_terminal() && desktop && !is_set("SSH_CONNECTION") && !is_set("CI")
}

/// Opens a page; a thread waits for the opener, so that it is not left behind as a zombie.
pub(super) fn open(url: &str) {
    let mut command = if cfg!(windows) {
        let mut command = Command::new("cmd");
        // The empty text is the title of the window, which `start` takes first.
        command.args(["/c", "start", "", url]);
        command
    } else {
        let name = if cfg!(target_os = "macos") {
            "open"
        } else {
            "xdg-open"
        };
        let mut command = Command::new(name);
        command.arg(url);
        command
    };
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let thread = std::thread::Builder::new().name("browser".to_owned());
    // A desktop without an opener still has the URL on the screen.
    thread
        .spawn(move || command.status().map(drop).unwrap_or_default())
        .map(drop)
        .unwrap_or_default();
}
