//! The running configuration and its successor: a file that loads is swapped in whole, one that does
//! not leaves the running one and is reported.

use super::{Config, Finding, Loaded, Overrides, Severity, load};
use crate::codes;
use crate::model::Problem;
use arc_swap::{ArcSwap, Guard};
use jiff::Timestamp;
use notify::{RecursiveMode, Watcher as _};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Quiet time after a change before files are read: editors write in several steps.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// A folder that never gets quiet is looked at all the same after this time.
const DEBOUNCE_MAX: Duration = Duration::from_secs(2);
/// How often files are looked at where the system cannot tell of changes.
const POLL: Duration = Duration::from_secs(2);
/// How often they are looked at besides: some file systems tell of nothing and say not so.
const POLL_BESIDES: Duration = Duration::from_secs(30);

/// What the last load or reload gave.
#[derive(Debug, Clone, Serialize)]
pub struct ReloadReport {
    /// When.
    pub time: Timestamp,
    /// Whether the file was taken.
    pub ok: bool,
    /// Hash of the configuration that runs since.
    pub hash: String,
    /// Errors and warnings of the file that was read.
    pub findings: Vec<Finding>,
}

/// The running configuration.
#[derive(Debug)]
pub struct ConfigHandle {
    current: ArcSwap<Config>,
    overrides: Overrides,
    /// Held while a reload runs, so that one ends before the next begins.
    last: Mutex<Last>,
}

#[derive(Debug)]
struct Last {
    report: ReloadReport,
    /// When the running configuration was taken.
    since: Timestamp,
    /// Files that were read or looked for.
    files: Vec<PathBuf>,
}

impl ConfigHandle {
    /// Starts with a loaded configuration and what was found in it.
    #[must_use]
    pub fn new(config: Config, findings: Vec<Finding>, overrides: Overrides) -> Self {
        let report = ReloadReport {
            time: Timestamp::now(),
            ok: true,
            hash: config.hash.clone(),
            findings,
        };
        let files = config.files.clone();
        Self {
            current: ArcSwap::from_pointee(config),
            overrides,
            last: Mutex::new(Last {
                since: report.time,
                report,
                files,
            }),
        }
    }

    /// The running configuration, to keep.
    #[must_use]
    pub fn current(&self) -> Arc<Config> {
        self.current.load_full()
    }

    /// The running configuration, for a short look on the hot path.
    #[must_use]
    pub fn peek(&self) -> Guard<Arc<Config>> {
        self.current.load()
    }

    /// Whether the gateway was started by `dev`: then pages may write templates.
    #[must_use]
    pub fn is_dev(&self) -> bool {
        self.overrides.dev
    }

    /// What the last load or reload gave.
    #[must_use]
    pub fn last(&self) -> ReloadReport {
        self.lock().report.clone()
    }

    /// Since when the running configuration runs.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.lock().since
    }

    /// What to watch: the files of the running configuration and those that a refused one wanted. A
    /// template that was missing comes later.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = self.lock().files.clone();
        for file in &self.peek().files {
            if !files.contains(file) {
                files.push(file.clone());
            }
        }
        files
    }

    /// What the file on disk holds now, value by value, where that is another text than the one that runs. Reads
    /// the file and compiles it: blocks. Empty where it is the same, or is refused.
    #[must_use]
    pub fn on_disk(&self) -> Vec<super::Written> {
        let running = self.current();
        let config = load(&running.file, &self.overrides).config;
        let other = config.filter(|config| config.hash != running.hash);
        other.map_or_else(Vec::new, |config| config.outline)
    }

    fn lock(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the file again. Blocking: reads files. On success the whole configuration is swapped; what
    /// needs a restart keeps its running value and is found as `HG0220`. On failure nothing changes.
    pub fn reload(&self) -> ReloadReport {
        let mut last = self.lock();
        let running = self.current();
        let Loaded {
            mut config,
            mut findings,
            files,
            ..
        } = load(&running.file, &self.overrides);
        let written = running.webhooks.iter().any(|webhook| webhook.line > 0);
        if written && config.as_ref().is_some_and(Config::is_of_nothing) {
            config = None;
            findings.push(emptied(&running));
        }
        let mut report = ReloadReport {
            time: Timestamp::now(),
            ok: config.is_some(),
            hash: running.hash.clone(),
            findings,
        };
        if let Some(mut config) = config {
            let changed = keep_running(&mut config, &running);
            report.findings.extend(changed);
            report.hash.clone_from(&config.hash);
            last.since = report.time;
            self.current.store(Arc::new(config));
        }
        last.report.clone_from(&report);
        last.files = files;
        report
    }
}

/// A file without a byte is an editor's half-way state, or what a full disk left of it: nobody means that all
/// senders get 404.
fn emptied(running: &Config) -> Finding {
    let name = running.file.display();
    let problem = Problem::new(codes::FILE_UNREADABLE, format!("{name} is empty"))
        .help("write it again; a comment alone is enough to say that there are to be no webhooks");
    Finding {
        severity: Severity::Error,
        problem,
        webhook: None,
    }
}

/// Puts the running values of what cannot change in a running process into the new configuration.
fn keep_running(new: &mut Config, running: &Config) -> Vec<Finding> {
    let mut changed = Vec::new();
    if new.edge.listen != running.edge.listen {
        changed.push(("listen", "[server]"));
        new.edge.listen = running.edge.listen;
    }
    if new.edge.tls.is_some() != running.edge.tls.is_some() {
        changed.push(("tls", "[server]"));
        new.edge.tls.clone_from(&running.edge.tls);
    }
    if new.admin.listen != running.admin.listen {
        changed.push(("admin", "[server]"));
        new.admin.listen = running.admin.listen;
    }
    if new.log_format != running.log_format {
        changed.push(("log_format", "[server]"));
        new.log_format = running.log_format;
    }
    let (next, now) = (&new.store, &running.store);
    let store = [
        ("path", next.path != now.path),
        ("retention", next.retention != now.retention),
        ("requests", next.requests != now.requests),
        ("max_size", next.max_size != now.max_size),
        ("dedup", next.dedup != now.dedup),
    ];
    changed.extend(
        store
            .iter()
            .filter(|(_, c)| *c)
            .map(|(key, _)| (*key, "[store]")),
    );
    if next.queue != now.queue {
        changed.push(("queue", "[server]"));
    }
    new.store = running.store.clone();
    let finding = |(key, table): (&str, &str)| Finding {
        severity: Severity::Warning,
        problem: Problem::new(
            codes::NEEDS_RESTART,
            format!("`{key}` in {table} has changed; the running value stays"),
        )
        .help("restart hookgate for it to take effect"),
        webhook: None,
    };
    changed.into_iter().map(finding).collect()
}

/// Watches files from a thread of its own; dropping it ends the thread.
#[derive(Debug)]
pub struct Watcher {
    stop: Arc<AtomicBool>,
    wake: SyncSender<()>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Watcher {
    /// Calls `on_change` after one of the files has changed: written, replaced by renaming, or swapped
    /// through a link in its path. `files` is asked again after every call.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        files: impl Fn() -> Vec<PathBuf> + Send + 'static,
        on_change: impl FnMut() + Send + 'static,
    ) -> std::io::Result<Self> {
        // One place in the channel: that something happened is all that is told.
        let (wake, woken) = sync_channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        // Before the thread starts: a change that follows this call must be seen.
        let list = files();
        let seen = fingerprint(&list);
        let folders = Folders::watch(folders(&list), wake.clone());
        // A change between the two is looked at now.
        self::wake(&wake);
        let mut watching = Watching {
            files,
            on_change,
            woken,
            wake: wake.clone(),
            stop: Arc::clone(&stop),
            seen,
            folders,
        };
        let thread = std::thread::Builder::new()
            .name("config-watch".to_owned())
            .spawn(move || watching.run())?;
        Ok(Self {
            stop,
            wake,
            thread: Some(thread),
        })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        wake(&self.wake);
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there.
            drop(thread.join());
        }
    }
}

/// A full channel means that the thread wakes anyway, a closed one that it has ended.
fn wake(channel: &SyncSender<()>) {
    if channel.try_send(()).is_err() {}
}

struct Watching<F, C> {
    files: F,
    on_change: C,
    woken: Receiver<()>,
    wake: SyncSender<()>,
    stop: Arc<AtomicBool>,
    seen: Fingerprint,
    folders: Folders,
}

impl<F: Fn() -> Vec<PathBuf>, C: FnMut()> Watching<F, C> {
    fn run(&mut self) {
        while !self.stop.load(Ordering::Acquire) {
            let interval = if self.folders.complete {
                POLL_BESIDES
            } else {
                POLL
            };
            match self.woken.recv_timeout(interval) {
                Ok(()) => self.debounce(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            let mut list = (self.files)();
            let now = fingerprint(&list);
            if now != self.seen {
                (self.on_change)();
                // What the files were before the call: a change during it is seen in the next round.
                list = (self.files)();
                let added = list.iter().any(|f| !now.iter().any(|(path, _)| path == f));
                self.seen = if added { fingerprint(&list) } else { now };
            }
            self.follow(folders(&list));
        }
    }

    /// Watches other folders, if they are others: a folder may come after the file that names it.
    fn follow(&mut self, set: BTreeSet<PathBuf>) {
        if set != self.folders.set {
            self.folders = Folders::watch(set, self.wake.clone());
            // What happened before the new folders were watched is looked at once more.
            wake(&self.wake);
        }
    }

    fn debounce(&self) {
        let end = Instant::now() + DEBOUNCE_MAX;
        while Instant::now() < end && !self.stop.load(Ordering::Acquire) {
            if self.woken.recv_timeout(DEBOUNCE).is_err() {
                return;
            }
        }
    }
}

/// What tells one state of a file from another: where its links lead, when it was written, how long it is.
type Fingerprint = Vec<(PathBuf, Option<(PathBuf, Option<SystemTime>, u64)>)>;

fn fingerprint(files: &[PathBuf]) -> Fingerprint {
    let one = |path: &PathBuf| {
        let state = path.canonicalize().ok().and_then(|real| {
            let metadata = std::fs::metadata(&real).ok()?;
            Some((real, metadata.modified().ok(), metadata.len()))
        });
        (path.clone(), state)
    };
    files.iter().map(one).collect()
}

/// The folders that are watched. Folders, since a file that is replaced is another file.
struct Folders {
    set: BTreeSet<PathBuf>,
    _watcher: Option<notify::RecommendedWatcher>,
    /// Whether the system tells of changes in all of them.
    complete: bool,
}

impl Folders {
    fn watch(set: BTreeSet<PathBuf>, wake: SyncSender<()>) -> Self {
        let told = move |event: notify::Result<notify::Event>| {
            // Reading a file is an event too, and would wake us by our own reading.
            if !event.is_ok_and(|e| e.kind.is_access()) {
                self::wake(&wake);
            }
        };
        let mut watcher = notify::recommended_watcher(told).ok();
        let mut complete = watcher.is_some();
        if let Some(watcher) = &mut watcher {
            for folder in &set {
                complete &= watcher.watch(folder, RecursiveMode::NonRecursive).is_ok();
            }
        }
        Self {
            set,
            _watcher: watcher,
            complete,
        }
    }
}

/// The folder of each file, and of what a link leads to; the nearest that exists.
fn folders(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    for file in files {
        let real = file.canonicalize().ok();
        for path in [Some(file), real.as_ref()].into_iter().flatten() {
            if let Some(folder) = path.ancestors().find(|folder| folder.is_dir()) {
                folders.insert(folder.to_path_buf());
            }
        }
    }
    folders
}

#[cfg(test)]
mod tests;
