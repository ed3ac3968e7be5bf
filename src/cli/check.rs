//! `check`: is the file right? One line an item, then the failures in full.

mod bless;
mod junit;
mod page;

use super::{Exit, Global, output, watch};
use crate::codes;
use crate::config::findings::github;
use crate::config::{self, Finding, Loaded, Overrides, Severity};
use crate::engine::{self, TestFailure, TestResult, check_tests};
use crate::model::{Place, Problem};
use page::{diff, plural, text};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Tests that take longer are named.
const SLOW: Duration = Duration::from_millis(100);

/// What `check` takes.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Arguments {
    /// The configuration, instead of --config
    file: Option<PathBuf>,
    /// Run only the tests of this name
    #[arg(long, value_name = "NAME")]
    test: Option<String>,
    /// Write the events that came into `expect`, after showing what differs
    #[arg(long, conflicts_with_all = ["json", "format"])]
    bless: bool,
    /// Warnings are errors
    #[arg(long)]
    deny_warnings: bool,
    /// Do not read secrets: a placeholder stands for each
    #[arg(long)]
    no_secrets: bool,
    /// How findings look
    #[arg(long, value_enum, value_name = "FORM", conflicts_with = "json")]
    format: Option<Format>,
    /// Check again whenever the file, a template or a test's request changes, until Ctrl-C
    #[arg(long, conflicts_with = "bless")]
    watch: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object a line, as --json
    Json,
    /// Annotations of GitHub Actions
    Github,
    /// XML of `JUnit`, as test dashboards read it
    Junit,
}

/// What was found.
struct Checked {
    /// Name of the file.
    name: String,
    /// What to write behind `hookgate check` to check it again.
    again: String,
    loaded: Loaded,
    results: Vec<TestResult>,
}

impl Checked {
    fn exit(&self) -> Exit {
        if self.loaded.has_errors() {
            Exit::Invalid
        } else if self.results.iter().any(|result| result.failure.is_some()) {
            Exit::No
        } else {
            Exit::Done
        }
    }
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Exit {
    if !arguments.watch {
        return once(global, arguments);
    }
    let (global_files, arguments_files) = (global.clone(), arguments.clone());
    let (global_run, arguments_run) = (global.clone(), arguments.clone());
    watch::watch(
        global,
        move || files(&global_files, &arguments_files),
        move || once(&global_run, &arguments_run),
    )
}

/// What is read: the configuration and what it names, and the requests of its tests.
fn files(global: &Global, arguments: &Arguments) -> Vec<PathBuf> {
    let file = file(global, arguments);
    let loaded = config::load(&file, &overrides(arguments));
    let mut files = loaded.files;
    files.push(file);
    if let Some(config) = &loaded.config {
        files.extend(engine::test_files(config));
    }
    files
}

fn once(global: &Global, arguments: &Arguments) -> Exit {
    let Some(checked) = examine(global, arguments) else {
        let name = arguments.test.as_deref().unwrap_or("");
        super::fail(global, &format!("there is no test {name:?}"), None);
        return Exit::Missing;
    };
    let format = match arguments.format {
        Some(format) => format,
        None if global.json() => Format::Json,
        None => Format::Text,
    };
    let folder = folder_prefix(&file(global, arguments));
    match format {
        Format::Text => output::out(&text(&checked, arguments, global)),
        Format::Json => all(&checked).iter().for_each(output::json_line),
        Format::Github => {
            for finding in all(&checked) {
                output::out(&format!("{}\n", github(&finding, &folder)));
            }
        }
        Format::Junit => output::out(&junit::xml(&checked, &folder, arguments.no_secrets)),
    }
    if arguments.bless && checked.exit() == Exit::No {
        return bless(global, arguments, &checked);
    }
    checked.exit()
}

fn overrides(arguments: &Arguments) -> Overrides {
    Overrides {
        no_secrets: arguments.no_secrets,
        ..Overrides::from_env()
    }
}

/// Makes what came what is expected, and checks again.
fn bless(global: &Global, arguments: &Arguments, checked: &Checked) -> Exit {
    let path = file(global, arguments);
    let failed = |why: String| {
        output::err(&format!("nothing was written: {why}\n"));
        Exit::No
    };
    let old = match config::read_text(&path, config::CONFIG_FILE_BYTES_MAX) {
        Ok(old) => old,
        Err(why) => return failed(why),
    };
    let (new, count) = match bless::blessed(&old, &checked.results) {
        Ok(blessed) => blessed,
        Err(test) => {
            return failed(format!(
                "the `expect` of test {test:?} must be changed by hand"
            ));
        }
    };
    if let Err(why) = std::fs::write(&path, new) {
        return failed(why.to_string());
    }
    match examine(global, arguments) {
        Some(again) if !again.loaded.has_errors() => {
            output::out(&format!("\n{} blessed\n", plural(count, "test")));
            again.exit()
        }
        _ => {
            let back = std::fs::write(&path, old);
            failed(match back {
                Ok(()) => "the file would not be valid any more".to_owned(),
                Err(why) => {
                    format!("the file is not valid any more, and cannot be restored: {why}")
                }
            })
        }
    }
}

fn file(global: &Global, arguments: &Arguments) -> PathBuf {
    arguments.file.clone().unwrap_or_else(|| global.config())
}

/// Loads the file and runs its tests. `None`: the test that was asked for is not there.
fn examine(global: &Global, arguments: &Arguments) -> Option<Checked> {
    let file = file(global, arguments);
    let mut loaded = config::load(&file, &overrides(arguments));
    let results = match &loaded.config {
        Some(config) => {
            let results = check_tests(config, arguments.test.as_deref());
            if arguments.test.is_some() && results.is_empty() {
                return None;
            }
            results
        }
        None => Vec::new(),
    };
    let name = file
        .file_name()
        .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let noted = results.iter().flat_map(|result| notes(result, &name));
    loaded.findings.extend(noted);
    if arguments.deny_warnings {
        for finding in &mut loaded.findings {
            finding.severity = Severity::Error;
        }
    }
    let again = match file.to_str() {
        Some("webhooks.toml") | None => String::new(),
        Some(path) => format!(" -c {path}"),
    };
    Some(Checked {
        name,
        again,
        loaded,
        results,
    })
}

/// Folder of the file as it was written, for annotations that start at the repository's root.
fn folder_prefix(file: &Path) -> String {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or_else(String::new, |folder| format!("{}/", folder.display()))
}

/// Findings of the file, then failed tests.
fn all(checked: &Checked) -> Vec<Finding> {
    let findings = checked.loaded.findings.iter().cloned();
    let failed = checked
        .results
        .iter()
        .filter_map(|result| failed(result, checked));
    findings.chain(failed).collect()
}

fn place(result: &TestResult, name: &str) -> Place {
    Place {
        file: name.to_owned(),
        line: result.line,
        column: 1,
        end_column: None,
        source: None,
    }
}

/// What a test's request was translated with, as warnings.
fn notes(result: &TestResult, name: &str) -> Vec<Finding> {
    let finding = |note: &crate::model::Note| {
        // These have a place of their own.
        if note.code == Some(codes::UNDEFINED_VALUE) {
            return None;
        }
        let message = format!("test \"{}\": {}", result.name, note.message);
        Some(Finding {
            severity: Severity::Warning,
            problem: Problem::new(note.code?, message).at(place(result, name)),
            webhook: Some(result.webhook.clone()),
        })
    };
    let undefined = result.undefined.iter().map(|problem| {
        let mut problem = problem.clone();
        let seen = format!("Seen with test \"{}\".", result.name);
        problem.help = Some(match problem.help.take() {
            Some(help) => format!("{help} {seen}"),
            None => seen,
        });
        if problem.place.is_none() {
            problem = problem.at(place(result, name));
        }
        Finding {
            severity: Severity::Warning,
            problem,
            webhook: Some(result.webhook.clone()),
        }
    });
    let notes = result.notes.iter().filter_map(finding);
    notes.chain(undefined).collect()
}

/// A failed test as one finding.
fn failed(result: &TestResult, checked: &Checked) -> Option<Finding> {
    let failure = result.failure.as_ref()?;
    let message = format!("test \"{}\" failed: {}", result.name, summary(failure));
    let mut problem = Problem::new(codes::TEST_FAILED, message)
        .at(place(result, &checked.name))
        .help(rerun(result, checked));
    if let TestFailure::Events { expected, found } = failure {
        problem.help = Some(diff(expected, found, false));
    }
    Some(Finding {
        severity: Severity::Error,
        problem,
        webhook: Some(result.webhook.clone()),
    })
}

fn rerun(result: &TestResult, checked: &Checked) -> String {
    format!(
        "rerun: hookgate check{} --test {:?}",
        checked.again, result.name
    )
}

fn summary(failure: &TestFailure) -> String {
    match failure {
        TestFailure::Request(problem) => problem.message.clone(),
        TestFailure::Unverified(problem) | TestFailure::Failed(problem) => {
            format!("{}: {}", problem.code, problem.message)
        }
        TestFailure::Events { .. } => "other events than expected".to_owned(),
        TestFailure::OtherError { expected, found } => match found {
            Some(problem) => format!(
                "{expected} was expected, {} came: {}",
                problem.code, problem.message
            ),
            None => format!("{expected} was expected, and there was no error"),
        },
    }
}

#[cfg(test)]
mod tests;
