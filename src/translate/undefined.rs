//! Which values that a template reads the request has not, where it reads them, and what the request has instead.
//! Looked at only when something undefined was printed.

use super::input::NAMES;
use super::tokens::{self, Token, TokenKind};
use super::{env, text};
use crate::codes;
use crate::model::{Note, Place, Problem};
use minijinja::Value;
use std::ops::Range;

/// Problems of one delivery.
const PROBLEMS_MAX: usize = 10;
/// Names that are compared.
const NAMES_MAX: usize = 1_000;

/// A path that a template reads, such as `body.pull_request.number`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    path: Vec<String>,
    span: Range<usize>,
}

impl Read {
    /// As a template writes it.
    pub(crate) fn shown(&self) -> String {
        shown(&self.path)
    }

    /// Its names, from the root on.
    pub(crate) fn path(&self) -> &[String] {
        &self.path
    }

    /// Its root, and the names behind that.
    pub(crate) fn split(&self) -> Option<(&str, &[String])> {
        let (root, rest) = self.path.split_first()?;
        Some((root, rest))
    }

    /// Where it stands, in bytes.
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// What it is in a context: the beginning of its text, or what the context has instead.
    pub(crate) fn value(&self, context: &Value) -> String {
        if let Some(problem) = missing(context, &self.path) {
            return format!("undefined. {}", problem.help.unwrap_or_default());
        }
        let mut current = context.clone();
        for name in &self.path {
            current = step(&current, name);
        }
        if current.is_undefined() {
            "undefined".into()
        } else {
            text::glance(&current)
        }
    }
}

/// The paths that a text reads and prints as they are: those with a default, and those that are only asked for, are none.
pub(crate) fn reads(source: &str) -> Vec<Read> {
    find(source, false)
}

/// Filters that make a text or a list of what they are given, undefined or not: what they give is no longer undefined
/// where it is printed.
const SILENT_FILTERS: [&str; 15] = [
    "upper",
    "lower",
    "trim",
    "title",
    "capitalize",
    "string",
    "e",
    "escape",
    "striptags",
    "urlencode",
    "list",
    "unique",
    "reverse",
    "first",
    "last",
];

/// The paths that a template certainly reads, outside of all blocks, in a way that hides that they are undefined: those
/// it joins by `~`, those behind a filter that makes a text of anything, those it loops over.
pub(crate) fn hidden_reads(source: &str) -> Vec<Read> {
    let mut out = Vec::new();
    let mut depth = 0_usize;
    for segment in tokens::segments(source).unwrap_or_default() {
        let tokens = &segment.tokens;
        let keyword = segment.keyword(source);
        if keyword.starts_with("end") {
            depth = depth.saturating_sub(1);
        }
        let sure = depth == 0;
        let assigns = keyword == "set" && tokens.iter().any(|token| token.is(b'='));
        if super::blocks::opens(keyword) && !assigns {
            depth += 1;
        }
        if !sure {
            continue;
        }
        if keyword == "for" {
            let list = tokens.iter().position(|t| t.text(source) == "in");
            let list = list.and_then(|at| read(source, tokens, at + 1));
            out.extend(
                list.filter(|(_, end)| *end == tokens.len())
                    .map(|(read, _)| read),
            );
        } else if segment.kind == tokens::SegmentKind::Print && hides(source, tokens) {
            let paths = (0..tokens.len()).filter_map(|at| Some(read(source, tokens, at)?.0));
            out.extend(paths);
        }
    }
    out.retain(|read| read.path.len() > 1);
    out
}

/// Whether an expression is paths, texts, `~` and such filters, and nothing that chooses or asks.
fn hides(source: &str, tokens: &[Token]) -> bool {
    let plain = tokens.iter().enumerate().all(|(at, token)| {
        let before = at.checked_sub(1).and_then(|at| tokens.get(at));
        match token.kind {
            TokenKind::Sign(sign) => matches!(sign, b'~' | b'|' | b'.' | b'[' | b']'),
            TokenKind::Name if before.is_some_and(|b| b.is(b'|')) => {
                SILENT_FILTERS.contains(&token.text(source))
            }
            TokenKind::Name => !matches!(
                token.text(source),
                "if" | "else" | "or" | "and" | "not" | "is" | "in"
            ),
            TokenKind::Text | TokenKind::Number => true,
        }
    });
    plain && tokens.iter().any(|token| token.is(b'~') || token.is(b'|'))
}

/// All paths that a text reads.
pub(crate) fn all_reads(source: &str) -> Vec<Read> {
    find(source, true)
}

fn find(source: &str, all: bool) -> Vec<Read> {
    let mut out: Vec<Read> = Vec::new();
    for segment in tokens::segments(source).unwrap_or_default() {
        let tokens = &segment.tokens;
        let mut at = 0;
        while at < tokens.len() {
            match read(source, tokens, at) {
                Some((found, end)) => {
                    at = end;
                    if all || (found.path.len() > 1 && !is_guarded(source, tokens, end)) {
                        out.push(found);
                    }
                }
                None => at += 1,
            }
        }
    }
    out
}

/// A path into the request that begins here, and the index behind it.
fn read(source: &str, tokens: &[Token], at: usize) -> Option<(Read, usize)> {
    let name = tokens.get(at).map_or("", |token| token.text(source));
    if !(NAMES.contains(&name) || name == "item") {
        return None;
    }
    path(source, tokens, at)
}

/// A path with any root that begins here, and the index behind it.
pub(crate) fn path(source: &str, tokens: &[Token], at: usize) -> Option<(Read, usize)> {
    let root = tokens.get(at).filter(|t| t.kind == TokenKind::Name)?;
    let name = root.text(source);
    let before = at.checked_sub(1).and_then(|at| tokens.get(at));
    if before.is_some_and(|b| b.is(b'.') || b.is(b'|') || b.text(source) == "is") {
        return None;
    }
    let mut path = vec![name.to_owned()];
    let (mut at, mut end) = (at + 1, root.span.end);
    loop {
        let step = match (tokens.get(at), tokens.get(at + 1), tokens.get(at + 2)) {
            (Some(dot), Some(name), next) if dot.is(b'.') => {
                let called = next.is_some_and(|n| n.is(b'('));
                (!called).then(|| (name.text(source).to_owned(), 2, name.span.end))
            }
            (Some(open), Some(key), Some(close)) if open.is(b'[') && close.is(b']') => {
                let text = key.text(source);
                match key.kind {
                    TokenKind::Text if !text.contains('\\') => {
                        let key = text.get(1..text.len().saturating_sub(1)).unwrap_or("");
                        Some((key.to_owned(), 3, close.span.end))
                    }
                    TokenKind::Number => Some((text.to_owned(), 3, close.span.end)),
                    _ => None,
                }
            }
            _ => None,
        };
        let Some((name, length, until)) = step else {
            break;
        };
        path.push(name);
        (at, end) = (at + length, until);
    }
    let span = root.span.start..end;
    Some((Read { path, span }, at))
}

/// Whether what follows a path catches that it is undefined.
fn is_guarded(source: &str, tokens: &[Token], at: usize) -> bool {
    let word = |at: usize| tokens.get(at).map_or("", |t| t.text(source));
    match word(at) {
        "|" => matches!(
            word(at + 1),
            "default" | "d" | "flow_run_id" | "length" | "count"
        ),
        "is" | "or" | "if" | "and" | "in" | "==" | "=" | "!" => true,
        _ => tokens.first().is_some_and(|first| {
            matches!(first.text(source), "if" | "elif" | "for" | "set" | "with")
        }),
    }
}

/// What is undefined of the paths that a text reads.
pub(crate) fn problems(context: &Value, reads: &[Read], file: &str, source: &str) -> Vec<Problem> {
    let mut seen: Vec<&Read> = Vec::new();
    let mut out = Vec::new();
    for read in reads {
        if seen.iter().any(|other| other.path == read.path) || out.len() >= PROBLEMS_MAX {
            continue;
        }
        if let Some(mut problem) = missing(context, &read.path) {
            problem.place = Some(Place::of_span(file, source, read.span.clone()));
            out.push(problem);
        }
        seen.push(read);
    }
    out
}

/// What some of the paths that something reads are, in sentences; none where it reads none.
pub(crate) fn values<'r>(context: &Value, reads: impl Iterator<Item = &'r Read>) -> Option<String> {
    const SHOWN_MAX: usize = 3;
    let shown: Vec<String> = reads
        .take(SHOWN_MAX)
        .map(|read| {
            let value = read.value(context);
            let stop = if value.ends_with(['.', '?']) { "" } else { "." };
            format!("`{}` is {value}{stop}", read.shown())
        })
        .collect();
    (!shown.is_empty()).then(|| shown.join(" "))
}

/// A problem of something that failed with what its paths were.
pub(crate) fn with_values(mut problem: Problem, values: Option<String>) -> Problem {
    if let Some(values) = values {
        problem.help = Some(match problem.help.take() {
            Some(help) => format!("{values} {help}"),
            None => values,
        });
    }
    problem
}

/// A problem as a note of a delivery that went through.
pub(crate) fn note(problem: &Problem) -> Note {
    let mut message = problem.message.clone();
    if let Some(place) = &problem.place {
        message.push_str(&format!(
            " It is read in {} line {}, column {}.",
            if place.file.is_empty() {
                "the definition"
            } else {
                &place.file
            },
            place.line,
            place.column
        ));
    }
    if let Some(help) = &problem.help {
        message.push(' ');
        message.push_str(help);
    }
    Note::new(problem.code, message)
}

/// A member of a value, or an item of it where the name is a number.
pub(crate) fn step(current: &Value, name: &str) -> Value {
    match name.parse::<usize>() {
        Ok(index) => current.get_item(&Value::from(index)).unwrap_or_default(),
        Err(_) => current.get_attr(name).unwrap_or_default(),
    }
}

fn shown(path: &[String]) -> String {
    let mut out = String::new();
    for (i, name) in path.iter().enumerate() {
        let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        match (i, plain) {
            (0, _) => out.push_str(name),
            (_, true) => out.push_str(&format!(".{name}")),
            (_, false) => out.push_str(&format!("['{name}']")),
        }
    }
    out
}

/// The first name of a path that a context has not.
pub(crate) fn missing(context: &Value, path: &[String]) -> Option<Problem> {
    let mut current = context.clone();
    for (i, name) in path.iter().enumerate() {
        let next = step(&current, name);
        if next.is_undefined() {
            let reached = path.get(..i).filter(|reached| !reached.is_empty())?;
            let names: Vec<String> = text::pairs(&current)
                .take(NAMES_MAX)
                .map(|(key, _)| text::printed(&key))
                .collect();
            let near = env::nearest(name, names.iter().map(String::as_str));
            let mut problem = Problem::new(
                codes::UNDEFINED_VALUE,
                format!(
                    "The template reads `{}`, which the request has not.",
                    shown(path)
                ),
            );
            problem.help = Some(match near {
                Some(near) => {
                    let mut there = reached.to_vec();
                    there.push(near.to_owned());
                    format!("Did you mean `{}`?", shown(&there))
                }
                None if names.is_empty() => {
                    format!("`{}` is {}.", shown(reached), text::glance(&current))
                }
                None => {
                    let some: Vec<&str> = names.iter().take(12).map(String::as_str).collect();
                    format!("`{}` has {}.", shown(reached), some.join(", "))
                }
            });
            return Some(problem);
        }
        current = next;
    }
    None
}
