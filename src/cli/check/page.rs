//! What `check` found, for people: one line an item, then the failures in full.

use super::{Arguments, Checked, SLOW, rerun};
use crate::cli::{Global, output};
use crate::codes;
use crate::config::findings::render;
use crate::config::{Config, Finding, Loaded, Severity};
use crate::engine::{TestFailure, TestResult};
use crate::model::Problem;
use similar::{ChangeTag, TextDiff};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Lines that differ, with three lines around each.
pub(super) fn diff(expected: &str, found: &str, colours: bool) -> String {
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

pub(super) fn text(checked: &Checked, arguments: &Arguments, global: &Global) -> String {
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

pub(super) fn is_secret(finding: &Finding) -> bool {
    matches!(
        finding.problem.code,
        codes::SECRET_UNREADABLE | codes::SECRET_BLANK
    )
}

pub(super) fn plural(count: usize, what: &str) -> String {
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

/// The templates beside the file, as its messages name them.
pub(super) fn templates(config: &Config) -> Vec<String> {
    let folder = config.file.parent().unwrap_or(Path::new("/"));
    let name = |path: &PathBuf| {
        let inside = path.strip_prefix(folder).ok()?.to_str()?;
        (inside.starts_with("templates/") && !path.is_dir()).then(|| inside.to_owned())
    };
    config.files.iter().filter_map(name).collect()
}

fn template_rows(config: &Config, findings: &[Finding]) -> Vec<Row> {
    let row = |name: String| {
        let here = |f: &&Finding| f.problem.place.as_ref().is_some_and(|p| p.file == name);
        let found: Vec<&Finding> = findings.iter().filter(here).collect();
        let detail = found
            .first()
            .and_then(|finding| finding.problem.place.as_ref())
            .map_or_else(String::new, |p| {
                format!("line {}, column {}", p.line, p.column)
            });
        (name, state(found.into_iter()), detail)
    };
    templates(config).into_iter().map(row).collect()
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

pub(super) fn test_text(result: &TestResult, checked: &Checked) -> String {
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
