//! What becomes of a template that was changed: a file in `dev`, else a patch with a test.

use super::sample::Sample;
use super::{Bench, Written};
use crate::admin::Admin;
use crate::admin::pages::show::{cut, plural};
use crate::admin::problem::ApiError;
use crate::engine;
use crate::model::Outcome;
use crate::translate::Template;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use similar::TextDiff;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Events that a test expects by name.
const EXPECTED_MAX: usize = 10;

#[derive(Debug, Serialize)]
pub(super) struct SavedPart {
    /// `done`, `failed`, `pending` (a patch that waits for its owner).
    state: &'static str,
    words: String,
    diff: Option<String>,
    test: Option<String>,
    findings: Vec<String>,
    /// Hash of what is on disk now, where it was written.
    pub(super) base: Option<String>,
}

fn refused(words: impl Into<String>) -> SavedPart {
    SavedPart {
        state: "failed",
        words: words.into(),
        diff: None,
        test: None,
        findings: Vec::new(),
        base: None,
    }
}

/// By what a text is told from another.
pub(super) fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// Whether the page may write this template: only in `dev`, only a file in `templates/`.
pub(super) fn writes(admin: &Admin, bench: &Bench) -> bool {
    admin.config.is_dev() && target(bench).is_some()
}

/// Where the template is, below the configuration's folder.
fn target(bench: &Bench) -> Option<PathBuf> {
    bench.template()?;
    let name = bench.path().strip_prefix("templates/")?;
    let path = Path::new(name);
    let plain = path
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)));
    let known = plain && path.extension().is_some();
    known.then(|| PathBuf::from("templates").join(path))
}

/// Saves, or gives what is to be saved; blocks.
///
/// # Errors
/// Where a store does not answer.
pub(super) fn save(
    admin: &Admin,
    bench: &Bench,
    written: &Written,
    sample: Option<&Sample>,
    base: Option<&str>,
) -> Result<SavedPart, ApiError> {
    let Some(text) = written.changed() else {
        return Ok(refused("Nothing was changed."));
    };
    if let Err(problem) = Template::compile(bench.file_name(), text.to_owned()) {
        return Ok(refused(format!(
            "It does not compile, so it is not saved. {}: {}",
            problem.code, problem.message
        )));
    }
    let folder = bench.config.file.parent().unwrap_or(Path::new("."));
    match target(bench).filter(|_| admin.config.is_dev()) {
        Some(path) => Ok(write(admin, bench, folder, &path, text, base)),
        None => Ok(patch(bench, written, text, sample)),
    }
}

fn write(
    admin: &Admin,
    bench: &Bench,
    folder: &Path,
    path: &Path,
    text: &str,
    base: Option<&str>,
) -> SavedPart {
    let shown = path.display();
    if let Err(why) = replace(folder, path, text, bench.source(), base) {
        return refused(format!("{shown} was not written: {why}."));
    }
    let report = (admin.reload)();
    let mut part = refused(format!("{shown} is written, and in use."));
    part.base = Some(hash(text));
    part.state = "done";
    if !report.ok {
        part.state = "failed";
        part.words =
            format!("{shown} is written, but the configuration was refused: the old one runs.");
        let findings = report.findings.iter().take(10);
        part.findings = findings
            .map(|finding| {
                let problem = &finding.problem;
                cut(&format!("{}: {}", problem.code, problem.message), 300)
            })
            .collect();
    }
    part
}

/// Writes a file beside, then puts it in the old one's place: who reads it finds the one or the other.
fn replace(
    folder: &Path,
    path: &Path,
    text: &str,
    running: &str,
    base: Option<&str>,
) -> Result<(), String> {
    let why = |error: std::io::Error| error.to_string();
    let root = folder.join("templates");
    let full = folder.join(path);
    let parent = full.parent().ok_or("it has no folder")?;
    std::fs::create_dir_all(parent).map_err(why)?;
    let (root, parent) = (
        std::fs::canonicalize(root).map_err(why)?,
        std::fs::canonicalize(parent).map_err(why)?,
    );
    if !parent.starts_with(&root) {
        return Err("a link leads out of templates/".to_owned());
    }
    let name = full.file_name().ok_or("it has no name")?;
    let full = parent.join(name);
    if full.is_symlink() {
        return Err("it is a link: change what it leads to".to_owned());
    }
    // What somebody else wrote meanwhile, in an editor perhaps, is not written over.
    let there = match std::fs::read_to_string(&full) {
        Ok(there) => there,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => running.to_owned(),
        Err(error) => return Err(why(error)),
    };
    if base.is_some_and(|base| base != hash(&there)) {
        return Err("it was changed by someone else meanwhile; reload the page".to_owned());
    }
    let new = parent.join(format!(".template-{}.tmp", uuid::Uuid::now_v7().simple()));
    let done = write_new(&new, &full, text).and_then(|()| {
        std::fs::rename(&new, &full)?;
        std::fs::File::open(&parent)?.sync_all()
    });
    if done.is_err() {
        std::fs::remove_file(&new).ok();
    }
    done.map_err(why)
}

fn write_new(new: &Path, old: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(new)?;
    if let Ok(old) = std::fs::metadata(old) {
        file.set_permissions(old.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// What an owner applies: the difference as `git apply` and `patch -p1` take it, and a test for the sample.
fn patch(bench: &Bench, written: &Written, new: &str, sample: Option<&Sample>) -> SavedPart {
    let name = bench.path();
    // What is built in is no file of the owner's: a new one takes its place.
    let is_there = bench.template().is_some() && !bench.is_built_in();
    let (from, old) = match is_there {
        true => (format!("a/{name}"), bench.source()),
        false => ("/dev/null".to_owned(), ""),
    };
    let diff = TextDiff::from_lines(old, new)
        .unified_diff()
        .context_radius(3)
        .header(&from, &format!("b/{name}"))
        .to_string();
    let words = match bench.template() {
        Some(_) if bench.is_built_in() => format!(
            "A file for your repository: {name} beside webhooks.toml replaces the built-in one for all webhooks of \
             the provider."
        ),
        Some(_) => {
            "A patch for your repository. `hookgate check` runs the tests before you deploy it."
                .to_owned()
        }
        None => format!(
            "A file for your repository. In the webhook's table write `template = \"{}\"` for what makes its events now.",
            name.trim_start_matches("templates/")
        ),
    };
    SavedPart {
        state: "pending",
        words,
        diff: Some(diff),
        test: sample.and_then(|sample| test(bench, written, sample)),
        findings: Vec::new(),
        base: None,
    }
}

/// A test that asks for what the sample becomes now.
fn test(bench: &Bench, written: &Written, sample: &Sample) -> Option<String> {
    let request = bench.received(sample.subject.clone()).ok()?;
    let by = written.translator(bench).ok()?;
    let made = engine::translate_by(&bench.webhook, by.get(), &request);
    let text = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let expectation = match (made.outcome, &made.error) {
        (Outcome::Parked, Some(problem)) => format!("expect_error = \"{}\"", problem.code),
        _ => {
            let events = made.events.iter().take(EXPECTED_MAX);
            let events: Vec<String> = events
                .map(|event| {
                    let (name, id) = (text(&event.event), text(event.resource_id()));
                    format!("{{ event = {name}, resource = {{ \"prefect.resource.id\" = {id} }} }}")
                })
                .collect();
            format!("expect = [{}]", events.join(", "))
        }
    };
    let (_, value) = sample.reference.pair();
    let word: String = value
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(60)
        .collect();
    Some(format!(
        "[[webhook.test]]\nname = {}\nrequest = \"requests/{word}.http\"   # the request of the left pane, {}\n{expectation}\n",
        text(&cut(&sample.title, 80)),
        plural(made.events.len(), "event"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = Path::new("templates/a/b.json.j2");
        let replace =
            |text: &str, base: &str| replace(folder.path(), path, text, "old", Some(&hash(base)));
        // What runs comes from elsewhere: there is no file yet.
        assert_eq!(replace("new", "old"), Ok(()));
        let there = || std::fs::read_to_string(folder.path().join(path)).unwrap();
        assert_eq!(there(), "new");
        assert!(
            replace("newer", "old")
                .unwrap_err()
                .contains("someone else")
        );
        assert_eq!((there().as_str(), replace("newer", "new")), ("new", Ok(())));
        let left = std::fs::read_dir(folder.path().join("templates/a")).unwrap();
        assert_eq!(left.count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_out_of_the_folder_are_not_followed() {
        let (folder, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.path().join("templates")).unwrap();
        std::os::unix::fs::symlink(away.path(), folder.path().join("templates/out")).unwrap();
        let path = Path::new("templates/out/x.j2");
        let refused = replace(folder.path(), path, "t", "", None).unwrap_err();
        assert!(refused.contains("leads out"), "{refused}");
        std::fs::write(away.path().join("y"), "y").unwrap();
        let link = folder.path().join("templates/y.j2");
        std::os::unix::fs::symlink(away.path().join("y"), link).unwrap();
        let refused = replace(folder.path(), Path::new("templates/y.j2"), "t", "", None);
        assert!(refused.unwrap_err().contains("is a link"));
        assert_eq!(std::fs::read_dir(away.path()).unwrap().count(), 1);
    }
}
