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

/// A path that begins here, and the index behind it.
fn read(source: &str, tokens: &[Token], at: usize) -> Option<(Read, usize)> {
    let root = tokens.get(at).filter(|t| t.kind == TokenKind::Name)?;
    let name = root.text(source);
    let before = at.checked_sub(1).and_then(|at| tokens.get(at));
    if !(NAMES.contains(&name) || name == "item")
        || before.is_some_and(|b| b.is(b'.') || b.is(b'|') || b.text(source) == "is")
    {
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

/// As [`problems`], where something undefined was printed `printed` times: at least one.
pub(crate) fn printed(
    context: &Value,
    reads: &[Read],
    printed: usize,
    file: &str,
    source: &str,
) -> Vec<Problem> {
    let found = problems(context, reads, file, source);
    if !found.is_empty() {
        return found;
    }
    let times = match printed {
        1 => "once".to_owned(),
        n => format!("{n} times"),
    };
    vec![Problem::new(
        codes::UNDEFINED_VALUE,
        format!("The template printed an undefined value as nothing, {times}."),
    )]
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

fn step(current: &Value, name: &str) -> Value {
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

fn missing(context: &Value, path: &[String]) -> Option<Problem> {
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
