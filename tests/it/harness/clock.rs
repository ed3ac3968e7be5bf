//! A gateway whose wall clock stands still, by Debian's `faketime` alone: the product knows nothing of it.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Folders of libraries, which have one folder more for each architecture.
const LIBRARIES: [&str; 3] = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];
/// The variant for programs with threads.
const PRELOADED: &str = "faketime/libfaketimeMT.so.1";

/// Variables that freeze the wall clock of a process at this second; the monotonic clock runs on. `None` where
/// `faketime` is not installed, which is said aloud, and fails the test in CI.
pub fn frozen(second: i64) -> Option<Vec<(String, String)>> {
    let Some(library) = LIBRARIES.iter().find_map(|folder| find(Path::new(folder))) else {
        assert!(
            std::env::var_os("CI").is_none(),
            "faketime must be installed in CI (.ci/run does it: apt-get install faketime)"
        );
        // Not by a macro: what those print is kept back where a test passes.
        let told = writeln!(
            std::io::stderr(),
            "NOT RUN: cases with a clock of their own need faketime (Debian: apt-get install faketime)"
        );
        told.expect("stderr");
        return None;
    };
    let time = jiff::Timestamp::from_second(second).expect("a time");
    let variables = [
        ("LD_PRELOAD", library.to_string_lossy().into_owned()),
        ("TZ", "UTC".to_owned()),
        ("FAKETIME", time.strftime("%Y-%m-%d %H:%M:%S").to_string()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    let owned = variables.map(|(name, value)| (name.to_owned(), value));
    Some(owned.into())
}

/// Removes what `faketime` leaves behind in shared memory where a process is killed.
pub fn clean_up(pid: u32) {
    for name in ["faketime_shm_", "sem.faketime_sem_"] {
        // Most gateways have no such clock.
        std::fs::remove_file(format!("/dev/shm/{name}{pid}")).ok();
    }
}

fn find(folder: &Path) -> Option<PathBuf> {
    let here = folder.join(PRELOADED);
    if here.exists() {
        return Some(here);
    }
    let below = folder.read_dir().ok()?.flatten();
    let mut found = below.map(|entry| entry.path().join(PRELOADED));
    found.find(|path| path.exists())
}
