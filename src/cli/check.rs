//! `check`: is the file right? One line an item, then the failures in full.

mod bless;

use super::{Exit, Global, output};
use crate::codes;
use crate::config::findings::{github, render};
use crate::config::{self, Config, Finding, Loaded, Overrides, Severity};
use crate::engine::{TestFailure, TestResult, check_tests};
use crate::model::{Place, Problem};
use similar::{ChangeTag, TextDiff};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Tests that take longer are named.
const SLOW: Duration = Duration::from_millis(100);

/// What `check` takes.
#[derive(Debug, clap::Args)]
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object a line, as --json
    Json,
    /// Annotations of GitHub Actions
    Github,
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
    let Some(checked) = examine(global, arguments) else {
        let name = arguments.test.as_deref().unwrap_or("");
        output::err(&format!("there is no test {name:?}\n"));
        return Exit::Missing;
    };
    let format = match arguments.format {
        Some(format) => format,
        None if global.json() => Format::Json,
        None => Format::Text,
    };
    match format {
        Format::Text => output::out(&text(&checked, arguments, global)),
        Format::Json => all(&checked).iter().for_each(output::json_line),
        Format::Github => {
            let folder = folder_prefix(&file(global, arguments));
            for finding in all(&checked) {
                output::out(&format!("{}\n", github(&finding, &folder)));
            }
        }
    }
    if arguments.bless && checked.exit() == Exit::No {
        return bless(global, arguments, &checked);
    }
    checked.exit()
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
    let overrides = Overrides {
        no_secrets: arguments.no_secrets,
        ..Overrides::from_env()
    };
    let mut loaded = config::load(&file, &overrides);
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

/// Lines that differ, with three lines around each.
fn diff(expected: &str, found: &str, colours: bool) -> String {
    let diff = TextDiff::from_lines(expected, found);
    let mut text = String::new();
    for (number, group) in diff.grouped_ops(3).iter().enumerate() {
        if number > 0 {
            text.push_str("    …\n");
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let line = change.value().trim_end_matches('\n');
            let line = match change.tag() {
                ChangeTag::Delete => format!("  - {line}"),
                ChangeTag::Insert => format!("  + {line}"),
                ChangeTag::Equal => format!("    {line}"),
            };
            let line = match change.tag() {
                ChangeTag::Delete if colours => output::red(&line),
                ChangeTag::Insert if colours => output::green(&line),
                ChangeTag::Delete | ChangeTag::Insert | ChangeTag::Equal => line,
            };
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

fn text(checked: &Checked, arguments: &Arguments, global: &Global) -> String {
    let Checked {
        name,
        loaded,
        results,
        again: _,
    } = checked;
    let mut rows = vec![file_row(name, loaded), secrets_row(loaded, arguments)];
    if let Some(config) = &loaded.config {
        rows.extend(template_rows(config, &loaded.findings));
    }
    rows.push(tests_row(loaded, results));
    let width = rows
        .iter()
        .map(|(item, ..)| item.chars().count())
        .max()
        .unwrap_or(0);
    let mut page = String::new();
    for (item, state, detail) in rows {
        let pad = " ".repeat(width - item.chars().count());
        let gap = " ".repeat(7_usize.saturating_sub(state.len()));
        let state = match state {
            "ok" => output::green(state),
            "warn" => output::yellow(state),
            "error" => output::red(state),
            other => other.to_owned(),
        };
        let line = format!("{item}{pad}  {state}{gap} {detail}");
        page.push_str(line.trim_end());
        page.push('\n');
    }
    let hide = global.quiet() && !arguments.deny_warnings;
    for finding in &loaded.findings {
        if !(hide && finding.severity == Severity::Warning) {
            page.push('\n');
            page.push_str(&render(finding));
            page.push('\n');
        }
    }
    for result in results {
        page.push_str(&test_text(result, checked));
    }
    page
}

type Row = (String, &'static str, String);

fn state<'f>(findings: impl Iterator<Item = &'f Finding>) -> &'static str {
    let worst = findings
        .map(|finding| finding.severity)
        .min_by_key(|s| match s {
            Severity::Error => 0,
            Severity::Warning => 1,
        });
    match worst {
        Some(Severity::Error) => "error",
        Some(Severity::Warning) => "warn",
        None => "ok",
    }
}

fn is_secret(finding: &Finding) -> bool {
    matches!(
        finding.problem.code,
        codes::SECRET_UNREADABLE | codes::SECRET_BLANK
    )
}

fn plural(count: usize, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

fn file_row(name: &str, loaded: &Loaded) -> Row {
    let own = |finding: &&Finding| {
        let place = finding.problem.place.as_ref();
        !is_secret(finding) && place.is_none_or(|place| place.file == name)
    };
    let found: Vec<&Finding> = loaded.findings.iter().filter(own).collect();
    let errors = found
        .iter()
        .filter(|f| f.severity == Severity::Error)
        .count();
    let mut detail = match &loaded.config {
        Some(config) => format!(
            "{}, {}",
            plural(config.webhooks.len(), "webhook"),
            plural(config.sinks.len(), "sink")
        ),
        None if errors > 0 => plural(errors, "error"),
        None => String::new(),
    };
    let warnings = found.len() - errors;
    if warnings > 0 {
        let comma = if detail.is_empty() { "" } else { ", " };
        detail = format!("{detail}{comma}{}", plural(warnings, "warning"));
    }
    (name.to_owned(), state(found.into_iter()), detail)
}

fn secrets_row(loaded: &Loaded, arguments: &Arguments) -> Row {
    let bad = loaded.findings.iter().filter(|f| is_secret(f)).count();
    let all = loaded.secrets + bad;
    let detail = if arguments.no_secrets {
        "not read (--no-secrets)".to_owned()
    } else if all == 0 {
        "none".to_owned()
    } else if bad > 0 {
        format!(
            "{} of {all} can be read (--no-secrets goes without them)",
            loaded.secrets
        )
    } else {
        format!("{all} of {all} can be read")
    };
    let webhooks = loaded.config.iter().flat_map(|config| &config.webhooks);
    let learned = webhooks.filter(|webhook| webhook.verifier.learned().is_some());
    let detail = match learned.count() {
        0 => detail,
        1 => format!("{detail}; 1 webhook learns its own from the sender"),
        n => format!("{detail}; {n} webhooks learn theirs from the sender"),
    };
    let state = if bad > 0 { "error" } else { "ok" };
    (
        "secrets".to_owned(),
        if arguments.no_secrets { "" } else { state },
        detail,
    )
}

fn template_rows(config: &Config, findings: &[Finding]) -> Vec<Row> {
    let folder = config.file.parent().unwrap_or(Path::new("/"));
    let row = |path: &PathBuf| {
        let inside = path.strip_prefix(folder).ok()?.to_str()?;
        if !inside.starts_with("templates/") || path.is_dir() {
            return None;
        }
        let here = |f: &&Finding| f.problem.place.as_ref().is_some_and(|p| p.file == inside);
        let found: Vec<&Finding> = findings.iter().filter(here).collect();
        let detail = found
            .first()
            .and_then(|finding| finding.problem.place.as_ref())
            .map_or_else(String::new, |p| {
                format!("line {}, column {}", p.line, p.column)
            });
        Some((inside.to_owned(), state(found.into_iter()), detail))
    };
    config.files.iter().filter_map(row).collect()
}

fn tests_row(loaded: &Loaded, results: &[TestResult]) -> Row {
    if loaded.config.is_none() {
        return ("tests".to_owned(), "", "not run".to_owned());
    }
    let failed = results.iter().filter(|r| r.failure.is_some()).count();
    let passed = results.len() - failed;
    let mut detail = format!("{passed} passed, {failed} failed");
    for slow in results.iter().filter(|r| r.duration > SLOW) {
        // Writing to a String cannot fail.
        if write!(
            detail,
            "; \"{}\" took {} ms",
            slow.name,
            slow.duration.as_millis()
        )
        .is_err()
        {}
    }
    let state = if failed > 0 { "error" } else { "ok" };
    ("tests".to_owned(), state, detail)
}

fn test_text(result: &TestResult, checked: &Checked) -> String {
    let Some(failure) = &result.failure else {
        return String::new();
    };
    let head = format!(
        "\ntest \"{}\" … {}     {}:{}\n",
        result.name,
        output::red("FAILED"),
        checked.name,
        result.line
    );
    let body = match failure {
        TestFailure::Events { expected, found } => diff(expected, found, true),
        TestFailure::Request(problem)
        | TestFailure::Unverified(problem)
        | TestFailure::Failed(problem) => problem_text(result, problem),
        TestFailure::OtherError { expected, found } => match found {
            Some(problem) => format!(
                "    {expected} was expected\n{}",
                problem_text(result, problem)
            ),
            None => format!("    {expected} was expected, and there was no error\n"),
        },
    };
    format!("{head}{body}    {}\n", rerun(result, checked))
}

fn problem_text(result: &TestResult, problem: &Problem) -> String {
    let finding = Finding {
        severity: Severity::Error,
        problem: problem.clone(),
        webhook: Some(result.webhook.clone()),
    };
    format!("{}\n", render(&finding))
}

#[cfg(test)]
mod tests;
