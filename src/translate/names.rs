//! Filters, tests and functions that a template names and nobody knows: told when it is loaded, not when it is first used.

use super::tokens::{self, Segment, SegmentKind, Token, TokenKind};
use super::{env, filters};
use crate::codes;
use crate::model::{Place, Problem};
use std::collections::HashSet;
use std::ops::Range;

/// Names that the language itself calls or gives.
const LANGUAGE: [&str; 22] = [
    "if",
    "else",
    "elif",
    "in",
    "not",
    "and",
    "or",
    "is",
    "loop",
    "self",
    "super",
    "caller",
    "varargs",
    "kwargs",
    "macro",
    "call",
    "set",
    "for",
    "with",
    "filter",
    "block",
    "recursive",
];

/// Checks the names of a template.
///
/// # Errors
/// The first that is unknown, with its place and the nearest that exists.
pub(crate) fn check(file: &str, source: &str) -> Result<(), Problem> {
    match find(source) {
        None => Ok(()),
        Some((problem, span)) => Err(problem.at(Place::of_span(file, source, span))),
    }
}

/// Checks the names of a single expression.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_expression(file: &str, source: &str) -> Result<(), Problem> {
    const OPEN: &str = "{{ ";
    match find(&format!("{OPEN}{source} }}}}")) {
        None => Ok(()),
        Some((problem, span)) => {
            let back = |at: usize| at.saturating_sub(OPEN.len());
            Err(problem.at(Place::of_span(
                file,
                source,
                back(span.start)..back(span.end),
            )))
        }
    }
}

/// The first unknown name, and where it stands.
fn find(source: &str) -> Option<(Problem, Range<usize>)> {
    let segments = tokens::segments(source)?;
    let own: HashSet<&str> = segments
        .iter()
        .filter(|s| defines(s, source))
        .flat_map(|s| &s.tokens)
        .map(|t| t.text(source))
        .collect();
    for segment in &segments {
        for (i, token) in segment
            .tokens
            .iter()
            .enumerate()
            .filter(|(_, t)| t.kind == TokenKind::Name)
        {
            if let Some((kind, hint)) = unknown(source, segment, i, token, &own) {
                let name = token.text(source);
                let mut problem = Problem::new(
                    codes::TEMPLATE_UNKNOWN_NAME,
                    format!("There is no {kind} `{name}`."),
                );
                problem.help = hint;
                return Some((problem, token.span.clone()));
            }
        }
    }
    None
}

fn defines(segment: &Segment, source: &str) -> bool {
    matches!(
        segment.keyword(source),
        "macro" | "set" | "for" | "with" | "call" | "import" | "from" | "block"
    )
}

fn unknown(
    source: &str,
    segment: &Segment,
    i: usize,
    token: &Token,
    own: &HashSet<&str>,
) -> Option<(&'static str, Option<String>)> {
    let name = token.text(source);
    let before = i.checked_sub(1).and_then(|at| segment.tokens.get(at));
    let earlier = i.checked_sub(2).and_then(|at| segment.tokens.get(at));
    let next = segment.tokens.get(i + 1);
    let word = |t: Option<&Token>, text: &str| {
        t.is_some_and(|t| t.kind == TokenKind::Name && t.text(source) == text)
    };
    let filter_block =
        segment.kind == SegmentKind::Block && i == 1 && segment.keyword(source) == "filter";
    if filter_block || before.is_some_and(|b| b.is(b'|')) {
        return (!filters::filter_names().contains(&name))
            .then(|| ("filter", env::suggest_filter(name)));
    }
    if before.is_some_and(|b| b.is(b'.')) {
        return None;
    }
    let tested = word(before, "is") || (word(before, "not") && word(earlier, "is"));
    if tested && name != "not" {
        // The engine also takes names of several words.
        let longer =
            next.is_some_and(|n| n.kind == TokenKind::Name && !LANGUAGE.contains(&n.text(source)));
        return (!longer && !filters::TESTS.contains(&name))
            .then(|| ("test", env::suggest_test(name)));
    }
    let called = next.is_some_and(|n| n.is(b'('));
    let known = filters::FUNCTIONS.contains(&name)
        || LANGUAGE.contains(&name)
        || own.contains(name)
        || super::input::NAMES.contains(&name);
    (called && !known).then(|| ("function", env::suggest_function(name)))
}
