//! `--watch`: the same work again whenever one of its files has changed, until Ctrl-C.

use super::{Exit, Global, output};
use crate::config::reload::Watcher;
use jiff::Timestamp;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Files in the order of their paths, each once.
fn sorted(mut files: Vec<PathBuf>) -> Vec<PathBuf> {
    files.sort();
    files.dedup();
    files
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is done again and again.
struct Run<W> {
    work: W,
    number: usize,
    quiet: bool,
}

impl<W: FnMut() -> Exit> Run<W> {
    /// Does it once more. What tells the runs apart is on stderr: stdout has what the work writes, as without
    /// `--watch`.
    fn again(&mut self, files: usize) {
        self.number += 1;
        if self.number > 1 && !self.quiet {
            let time = Timestamp::now().strftime("%H:%M:%SZ");
            let rule = "─".repeat(48);
            output::err(&format!("\n── run {} at {time} {rule}\n", self.number));
        }
        let exit = (self.work)();
        if !self.quiet {
            let verdict = match exit {
                Exit::Done => output::green("ok"),
                other => output::red(&format!("exit code {}", other as u8)),
            };
            let s = if files == 1 { "" } else { "s" };
            output::err(&format!(
                "run {}: {verdict}; watching {files} file{s}, Ctrl-C ends\n",
                self.number
            ));
        }
    }
}

/// Works now, and again after each change of the files. `files` names them; it is asked before each run, and reads
/// nothing but what the work reads too.
pub(super) fn watch(
    global: &Global,
    files: impl Fn() -> Vec<PathBuf> + Send + 'static,
    work: impl FnMut() -> Exit + Send + 'static,
) -> Exit {
    // Looked at before the first run, so that a change during it is followed by another.
    let list = sorted(files());
    let count = list.len();
    let list = Arc::new(Mutex::new(list));
    let run = Arc::new(Mutex::new(Run {
        work,
        number: 0,
        quiet: global.quiet(),
    }));
    let (watched, changed) = (Arc::clone(&list), Arc::clone(&run));
    let mut first = lock(&run);
    let watcher = Watcher::start(
        move || lock(&watched).clone(),
        move || {
            let now = sorted(files());
            let count = now.len();
            *lock(&list) = now;
            lock(&changed).again(count);
        },
    );
    let watcher = match watcher {
        Ok(watcher) => watcher,
        Err(error) => {
            super::fail(global, &format!("files cannot be watched: {error}"), None);
            return Exit::Bug;
        }
    };
    // Listened to from here on: a signal during the first run ends it all after that.
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            super::fail(global, &format!("signals cannot be heard: {error}"), None);
            return Exit::Bug;
        }
    };
    first.again(count);
    drop(first);
    let exit = signals.wait();
    // Ends its thread, after the run that goes on.
    drop(watcher);
    exit
}

/// Ctrl-C and SIGTERM.
struct Signals {
    runtime: tokio::runtime::Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let entered = runtime.enter();
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        drop(entered);
        Ok(Self {
            runtime,
            interrupt,
            terminate,
        })
    }

    fn wait(&mut self) -> Exit {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.interrupt.recv() => Exit::Interrupted,
                _ = self.terminate.recv() => Exit::Terminated,
            }
        })
    }
}
