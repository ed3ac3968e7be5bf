//! Names that a template gives itself (`{% set repo = body.repository %}`, `{% for c in body.commits %}`), followed
//! back to what they name in the request. Looked at only when something undefined was printed that no path into the
//! request explains.

use super::tokens::{self, Segment, Token, TokenKind};
use super::undefined::{self, Read};
use super::{env, input::NAMES};
use crate::codes;
use crate::model::{Place, Problem};
use minijinja::Value;
use std::collections::BTreeMap;
use std::ops::Range;

/// Items of a loop that are looked at.
const ITEMS_MAX: usize = 100;
/// Names that name names.
const STEPS_MAX: usize = 8;
/// Characters of an expression that are shown.
const SHOWN_MAX: usize = 80;

/// What a name stands for.
enum Meaning {
    /// An item of this path.
    Item(Read),
    /// This path.
    Path(Read),
}

/// Explains an expression that printed an undefined value: the path in it that is not there, by its nearest name.
pub(crate) fn explain(context: &Value, file: &str, source: &str, span: Range<usize>) -> Problem {
    let segments = tokens::segments(source).unwrap_or_default();
    let tokens = segments
        .iter()
        .find(|s| s.span.contains(&span.start))
        .map_or(&[][..], |segment| &segment.tokens[..]);
    let inside = |token: &&Token| span.contains(&token.span.start);
    for (at, _) in tokens.iter().enumerate().filter(|(_, t)| inside(t)) {
        if let Some((read, _)) = undefined::path(source, tokens, at)
            && let Some(problem) = follow(context, file, source, &segments, &read, 0)
        {
            return problem;
        }
    }
    let written = source.get(span.clone()).unwrap_or("").trim();
    let mut shown: String = written.chars().take(SHOWN_MAX).collect();
    if shown.len() < written.len() {
        shown.push('…');
    }
    let place = Place::of_span(file, source, span);
    Problem::new(
        codes::UNDEFINED_VALUE,
        format!("The template prints `{shown}`, which is undefined."),
    )
    .help("Give it a value where it may be missing: `|default('…')`.")
    .at(place)
}

/// What is missing on the way that a path goes, if it is.
fn follow(
    context: &Value,
    file: &str,
    source: &str,
    segments: &[Segment],
    read: &Read,
    steps: usize,
) -> Option<Problem> {
    let at = |problem: Problem, read: &Read| problem.at(Place::of_span(file, source, read.span()));
    let (root, rest) = read.split()?;
    if NAMES.contains(&root) {
        return undefined::missing(context, read.path()).map(|problem| at(problem, read));
    }
    let meaning = meaning(source, segments, root, read.span().start);
    let Some(meaning) = meaning.filter(|_| steps < STEPS_MAX) else {
        return unknown(source, segments, root).map(|problem| at(problem, read));
    };
    let (of, items) = match &meaning {
        Meaning::Path(of) => (of, false),
        Meaning::Item(of) => (of, true),
    };
    // What it stands for is not there itself.
    if let Some(problem) = follow(context, file, source, segments, of, steps + 1) {
        return Some(problem);
    }
    let value = value(context, source, segments, of, steps)?;
    let candidates: Vec<Value> = if items {
        value.try_iter().ok()?.take(ITEMS_MAX).collect()
    } else {
        vec![value]
    };
    let (shown, word) = (of.shown(), if items { "an item of " } else { "" });
    candidates.into_iter().find_map(|candidate| {
        let own = Value::from(BTreeMap::from([(root.to_owned(), candidate)]));
        let mut problem = undefined::missing(&own, read.path()).filter(|_| !rest.is_empty())?;
        problem.message = format!(
            "The template reads `{}`, which {word}`{shown}` has not.",
            read.shown()
        );
        Some(at(problem, read))
    })
}

/// The value of a path that is there; of a loop's variable, that of the first item.
fn value(
    context: &Value,
    source: &str,
    segments: &[Segment],
    read: &Read,
    steps: usize,
) -> Option<Value> {
    let (root, rest) = read.split()?;
    let mut current = if NAMES.contains(&root) {
        undefined::step(context, root)
    } else {
        if steps >= STEPS_MAX {
            return None;
        }
        match meaning(source, segments, root, read.span().start)? {
            Meaning::Path(of) => value(context, source, segments, &of, steps + 1)?,
            Meaning::Item(of) => {
                let list = value(context, source, segments, &of, steps + 1)?;
                list.try_iter().ok()?.next()?
            }
        }
    };
    for name in rest {
        current = undefined::step(&current, name);
    }
    Some(current)
}

/// What the last `set` or `for` before a place says a name is, where that is one path.
fn meaning(source: &str, segments: &[Segment], name: &str, before: usize) -> Option<Meaning> {
    let earlier = segments.iter().filter(|s| s.span.start < before);
    earlier.rev().find_map(|segment| {
        let tokens = &segment.tokens;
        let word = |at: usize| tokens.get(at).map_or("", |token| token.text(source));
        let gives = match segment.keyword(source) {
            "set" => "=",
            "for" => "in",
            _ => return None,
        };
        if word(1) != name || word(2) != gives {
            return None;
        }
        let (read, _) = undefined::path(source, tokens, 3)?;
        Some(match gives {
            "=" => Meaning::Path(read),
            _ => Meaning::Item(read),
        })
    })
}

/// A name that the template has nowhere, nor the request.
fn unknown(source: &str, segments: &[Segment], root: &str) -> Option<Problem> {
    let given = super::names::given(source, segments);
    if given.contains(root) {
        return None;
    }
    let mut problem = Problem::new(
        codes::UNDEFINED_VALUE,
        format!("The template reads `{root}`, and nothing has that name."),
    );
    let known = NAMES.into_iter().chain(given.iter().copied());
    problem.help = Some(match env::nearest(root, known) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("A template has {}.", NAMES.join(", ")),
    });
    Some(problem)
}

/// Names that are read, that nothing gives, and that no test or default takes as missing: each once, where it is first.
pub(crate) fn unknown_names(file: &str, source: &str, also: &[&str]) -> Vec<Problem> {
    let segments = tokens::segments(source).unwrap_or_default();
    let mut seen: Vec<&str> = Vec::new();
    let mut problems = Vec::new();
    for segment in &segments {
        for (at, token) in segment.tokens.iter().enumerate() {
            let name = token.text(source);
            if token.kind != TokenKind::Name
                || !super::names::is_variable(source, segment, at)
                || also.contains(&name)
                || NAMES.contains(&name)
                || seen.contains(&name)
            {
                continue;
            }
            if let Some(problem) = unknown(source, &segments, name) {
                seen.push(name);
                problems.push(problem.at(Place::of_span(file, source, token.span.clone())));
            }
        }
    }
    problems
}
