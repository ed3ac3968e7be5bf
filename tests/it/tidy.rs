//! The house's own rules, checked on the source: which part imports which, how long files are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each part may import beside `model` and `codes`.
const IMPORTS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("codes", &[]),
    ("query", &[]),
    ("verify", &[]),
    ("translate", &[]),
    ("intake", &[]),
    ("telemetry", &[]),
    ("log", &["telemetry", "state"]),
    ("state", &["log"]),
    ("feed", &["log", "query", "telemetry"]),
    ("forward", &["log", "query", "state", "telemetry"]),
    ("keyring", &["verify", "telemetry"]),
    ("providers", &["verify", "translate", "intake"]),
    (
        "config",
        &[
            "verify",
            "translate",
            "intake",
            "log",
            "query",
            "forward",
            "providers",
            "telemetry",
        ],
    ),
    ("learn", &["config", "log", "state", "telemetry", "verify"]),
    ("replay", &["config", "engine", "feed", "log", "query"]),
    (
        "engine",
        &["verify", "translate", "intake", "config", "log"],
    ),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The text without its unit tests: they may use any part.
fn product(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]").next().unwrap_or("").to_owned()
}

#[test]
fn parts_import_only_what_they_may() {
    let mut wrong = Vec::new();
    for path in sources(&root().join("src")) {
        let inside = path.strip_prefix(root().join("src")).unwrap();
        let part = inside
            .iter()
            .next()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned();
        let Some((_, allowed)) = IMPORTS.iter().find(|(name, _)| *name == part) else {
            continue;
        };
        if inside
            .file_name()
            .is_some_and(|name| name == "tests.rs" || name == "testing.rs")
        {
            continue;
        }
        let text = product(&path);
        let used: BTreeSet<&str> = text
            .match_indices("crate::")
            .filter_map(|(at, _)| {
                text[at + 7..]
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .next()
            })
            .collect();
        for name in used {
            let known = IMPORTS.iter().any(|(part, _)| *part == name)
                || ["gateway", "server", "admin", "cli"].contains(&name);
            if known
                && name != part
                && !["model", "codes"].contains(&name)
                && !allowed.contains(&name)
            {
                wrong.push(format!("{}: imports {name}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn sql_stays_in_stores() {
    for path in sources(&root().join("src")) {
        let text = product(&path);
        if path
            .file_name()
            .is_some_and(|name| name == "tests.rs" || name == "testing.rs")
        {
            continue;
        }
        let in_store = path.components().any(|c| c.as_os_str() == "stores");
        assert!(
            in_store || !text.contains("rusqlite"),
            "{}: SQL belongs into a `stores/` folder",
            path.display()
        );
    }
}

#[test]
fn files_stay_small() {
    for path in sources(&root().join("src")) {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(
            lines <= 700,
            "{}: {lines} lines; two ideas live in it",
            path.display()
        );
    }
}

#[test]
fn every_code_is_used() {
    let table = fs::read_to_string(root().join("src/codes/mod.rs")).unwrap();
    let all: String = sources(&root().join("src"))
        .iter()
        .filter(|p| !p.ends_with("codes/mod.rs"))
        .map(|p| fs::read_to_string(p).unwrap())
        .collect();
    for line in table.lines() {
        let Some((name, rest)) = line.trim().split_once(" = ") else {
            continue;
        };
        if rest.ends_with("\";") && name.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
            assert!(all.contains(name), "{name} is used nowhere");
        }
    }
}
