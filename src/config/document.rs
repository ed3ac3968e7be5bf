//! What all parts of reading a file share: its text, its places, the findings so far. Every mistake becomes
//! a finding and reading goes on, so that all mistakes of a file come at once.

use super::mask::{mask_lines, mask_slugs, mask_table};
use super::{Finding, Overrides, Severity};
use crate::codes::{self, Code};
use crate::model::{Place, Problem};
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::DeTable;

/// What all parts of reading share: the file's text, the findings so far, the files that were read.
pub(super) struct Context {
    /// The file's name, as findings show it.
    pub(super) name: String,
    /// Folder of the file: where relative paths start.
    pub(super) folder: PathBuf,
    /// Whether secrets are replaced by a placeholder.
    no_secrets: bool,
    /// The one webhook whose secrets are read.
    secrets_of: Option<String>,
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
    /// The text with credentials masked, byte for byte as long.
    shown: RefCell<String>,
    findings: RefCell<Vec<Finding>>,
    files: RefCell<Vec<PathBuf>>,
    webhook: RefCell<Option<String>>,
    secrets: Cell<usize>,
}

impl Context {
    pub(super) fn new(file: &Path, text: String, overrides: &Overrides) -> Self {
        let name = file
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        Self {
            name,
            folder: file.parent().unwrap_or(Path::new("/")).to_path_buf(),
            no_secrets: overrides.no_secrets,
            secrets_of: overrides.secrets_of.clone(),
            shown: RefCell::new(text.clone()),
            lines: std::iter::once(0)
                .chain(text.match_indices('\n').map(|(at, _)| at + 1))
                .collect(),
            text,
            findings: RefCell::default(),
            files: RefCell::new(vec![file.to_path_buf()]),
            webhook: RefCell::default(),
            secrets: Cell::default(),
        }
    }

    /// Whether a placeholder stands for the secrets of what is being read.
    pub(super) fn hides_secrets(&self) -> bool {
        let other = || match &self.secrets_of {
            Some(name) => self.webhook.borrow().as_ref() != Some(name),
            None => false,
        };
        self.no_secrets || other()
    }

    /// The file's text as written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What stands in a byte range, with credentials masked.
    pub(super) fn shown(&self, span: Range<usize>) -> String {
        self.shown.borrow().get(span).unwrap_or("").to_owned()
    }

    /// The place of a byte range, with credentials masked in its source line.
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        let line = self.lines.partition_point(|start| *start <= span.start);
        let begin = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let end = self.lines.get(line).copied().unwrap_or(self.text.len());
        let shown = self.shown.borrow();
        let inside = span.start.saturating_sub(begin)..span.end.saturating_sub(begin);
        let place = Place::of_span(&self.name, shown.get(begin..end).unwrap_or(""), inside);
        Place {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            ..place
        }
    }

    /// Line from 1 of a byte offset.
    pub(super) fn line(&self, offset: usize) -> u32 {
        let line = self.lines.partition_point(|start| *start <= offset);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    /// What a text in this file is called when it fails later, when its place in the file is not known.
    pub(super) fn text_name(&self, key: &str) -> String {
        match self.webhook.borrow().as_deref() {
            Some(webhook) => format!("{}, `{key}` of {webhook}", self.name),
            None => self.name.clone(),
        }
    }

    /// Later findings belong to this webhook.
    pub(super) fn enter_webhook(&self, name: Option<String>) {
        *self.webhook.borrow_mut() = name;
    }

    pub(super) fn report(&self, severity: Severity, problem: Problem) {
        let webhook = self.webhook.borrow().clone();
        self.findings.borrow_mut().push(Finding {
            severity,
            problem,
            webhook,
        });
    }

    /// An error at a byte range.
    pub(super) fn error(&self, code: Code, span: Range<usize>, message: impl Into<String>) {
        self.report(
            Severity::Error,
            Problem::new(code, message).at(self.place(span)),
        );
    }

    /// An error at a byte range, with what to do.
    pub(super) fn error_help(
        &self,
        code: Code,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let problem = Problem::new(code, message).at(self.place(span)).help(help);
        self.report(Severity::Error, problem);
    }

    /// A warning at a byte range, with what to do.
    pub(super) fn warning(
        &self,
        code: Code,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let problem = Problem::new(code, message).at(self.place(span)).help(help);
        self.report(Severity::Warning, problem);
    }

    /// One more secret was read.
    pub(super) fn count_secret(&self) {
        self.secrets.set(self.secrets.get() + 1);
    }

    /// A file that was read: a reload watches it.
    pub(super) fn note_file(&self, path: &Path) {
        let mut files = self.files.borrow_mut();
        if !files.iter().any(|known| known == path) {
            files.push(path.to_path_buf());
        }
    }

    /// Findings in file order (those without a place, or of other files, after what they follow), files, and
    /// the number of secrets.
    pub(super) fn finish(self) -> (Vec<Finding>, Vec<PathBuf>, usize) {
        let mut findings = self.findings.into_inner();
        let own = &self.name;
        let mut last = 0;
        let mut keyed: Vec<(u32, Finding)> = findings
            .drain(..)
            .map(|finding| {
                if let Some(place) = finding.problem.place.as_ref().filter(|p| p.file == *own) {
                    last = place.line;
                }
                (last, finding)
            })
            .collect();
        keyed.sort_by_key(|(line, _)| *line);
        (
            keyed.into_iter().map(|(_, finding)| finding).collect(),
            self.files.into_inner(),
            self.secrets.get(),
        )
    }

    /// Parses the text. `None`: there were syntax errors, all of them reported; what follows from
    /// half-read tables would only confuse.
    pub(super) fn parse<'t>(&self, text: &'t str) -> Option<Spanned<DeTable<'t>>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            let mut shown = self.shown.borrow_mut();
            mask_table(table.get_ref(), &mut shown);
            mask_slugs(table.get_ref(), &mut shown);
            return Some(table);
        }
        // Where strings may be unclosed, everything after the key of a credential is hidden.
        let masked = mask_lines(text);
        *self.shown.borrow_mut() = masked;
        let mut last_line = 0;
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let place = self.place(span);
            // One mistake often breaks the rest of its line too.
            if place.line != last_line {
                last_line = place.line;
                let problem = Problem::new(
                    codes::TOML_SYNTAX,
                    format!("not valid TOML: {}", error.message()),
                );
                self.report(Severity::Error, problem.at(place));
            }
        }
        None
    }
}

/// The nearest of `known` to `word`, if it is near.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // No known word is longer, and comparing costs the product of both lengths.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|k| {
            let plain = k.to_lowercase().replace('-', "_");
            (strsim::damerau_levenshtein(&word, &plain), k)
        })
        .filter(|(distance, k)| *distance <= 2.max(k.len() / 3) && *distance < word.len().max(2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}
