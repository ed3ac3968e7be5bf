//! Filters, tests and functions that a template names and nobody knows: told when it is loaded, not when it is first used.

use super::tokens::{self, Segment, SegmentKind, Token, TokenKind};
use super::{env, filters, undefined};
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

/// Names that a template gives itself.
pub(crate) fn given<'s>(source: &'s str, segments: &[Segment]) -> HashSet<&'s str> {
    let mut given = HashSet::new();
    for segment in segments {
        let tokens = &segment.tokens;
        let sign = |sign: u8| tokens.iter().position(|token| token.is(sign));
        let word = |word: &str| tokens.iter().position(|token| token.text(source) == word);
        let until = match segment.keyword(source) {
            "set" => sign(b'=').unwrap_or(2),
            "for" => word("in").unwrap_or(tokens.len()),
            "call" => sign(b')').unwrap_or(0),
            "macro" | "import" | "from" | "block" => tokens.len(),
            "with" => {
                let named = tokens
                    .windows(2)
                    .filter(|pair| pair.last().is_some_and(|t| t.is(b'=')));
                given.extend(named.filter_map(|pair| Some(pair.first()?.text(source))));
                0
            }
            _ => 0,
        };
        let names = tokens.iter().take(until).skip(1);
        let names = names.filter(|token| token.kind == TokenKind::Name);
        given.extend(names.map(|token| token.text(source)));
    }
    given
}

/// Whether the token at an index is a variable that is read, and not one of which it is asked whether it is there.
pub(crate) fn is_variable(source: &str, segment: &Segment, i: usize) -> bool {
    const CONSTANTS: [&str; 6] = ["true", "false", "none", "True", "False", "None"];
    let tokens = &segment.tokens;
    let Some((_, end)) = undefined::path(source, tokens, i) else {
        return false;
    };
    let word = |at: usize| tokens.get(at).map_or("", |token| token.text(source));
    let statement = segment.kind == SegmentKind::Block && (i == 0 || word(0) == "filter");
    let before = i.checked_sub(1).map_or("", word);
    let tested = before == "not" && i.checked_sub(2).map_or("", word) == "is";
    let named = word(i + 1) == "=" && word(i + 2) != "=";
    let asked = word(end) == "is" || (word(end) == "|" && matches!(word(end + 1), "default" | "d"));
    let name = word(i);
    let language = LANGUAGE.contains(&name) || CONSTANTS.contains(&name);
    let called = word(i + 1) == "(" || filters::FUNCTIONS.contains(&name);
    !(statement || tested || named || asked || language || called)
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
