//! Blocks whose output is captured (macro, call, filter, set) and whose own text holds a quote, or is an object around
//! what is printed: fragments of JSON.

use super::{Edit, insert};
use crate::codes;
use crate::model::{self, Problem};
use crate::translate::sink::{Lexer, Place};
use crate::translate::tokens::{Segment, SegmentKind, TokenKind, closing};
use std::collections::{HashMap, HashSet};

/// What was found about a template.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    /// Places of the prints inside fragments, by segment.
    places: HashMap<usize, Place>,
    /// Names whose call gives a fragment.
    callables: HashSet<String>,
    /// Beginning and end of fragments by segment.
    opens: HashSet<usize>,
    closes: HashMap<usize, usize>,
    /// Names of set blocks by segment.
    names: HashMap<usize, String>,
    /// Segments in loops whose `loop(…)` gives a fragment.
    loops: HashSet<usize>,
    /// Calls whose output is a fragment, by segment of beginning and end.
    wrapped: HashSet<usize>,
}

/// A block that captures.
struct Capture {
    open: usize,
    close: usize,
    /// Segments that are its own, nested captures left out.
    own: Vec<usize>,
    has_quote: bool,
}

/// A block that is open while reading.
struct Open {
    keyword: String,
    segment: usize,
    captures: bool,
    own: Vec<usize>,
    has_quote: bool,
}

fn captures(source: &str, segment: &Segment) -> bool {
    match segment.keyword(source) {
        "macro" | "call" | "filter" => true,
        "set" => !segment.tokens.iter().any(|t| t.is(b'=')),
        _ => false,
    }
}

/// Whether a loop's own output is captured: `loop(…)` is a part of an expression in it, and not all that is printed.
fn recurses(source: &str, segments: &[Segment], at: usize) -> bool {
    let recursive = segments.get(at).is_some_and(|head| {
        let last = head.tokens.last().map(|t| t.text(source));
        head.keyword(source) == "for" && last == Some("recursive")
    });
    if !recursive {
        return false;
    }
    let mut depth = 0_usize;
    for segment in segments.iter().skip(at + 1) {
        match segment.keyword(source) {
            "for" => depth += 1,
            "endfor" if depth == 0 => return false,
            "endfor" => depth -= 1,
            _ => {}
        }
        let tokens = &segment.tokens;
        let calls = |i: usize| {
            tokens.get(i).is_some_and(|t| t.text(source) == "loop")
                && tokens.get(i + 1).is_some_and(|t| t.is(b'('))
        };
        let whole = segment.kind == SegmentKind::Print
            && calls(0)
            && closing(tokens, 1) == Some(tokens.len());
        if !whole && (0..tokens.len()).any(calls) {
            return true;
        }
    }
    false
}

fn find_captures(source: &str, segments: &[Segment]) -> Vec<Capture> {
    let mut stack: Vec<Open> = Vec::new();
    let mut found = Vec::new();
    for (i, segment) in segments.iter().enumerate() {
        let keyword = segment.keyword(source);
        if let Some(name) = keyword.strip_prefix("end")
            && stack.iter().any(|open| open.keyword == name)
        {
            while let Some(open) = stack.pop() {
                let done = open.keyword == name;
                if open.captures {
                    found.push(Capture {
                        open: open.segment,
                        close: i,
                        own: open.own,
                        has_quote: open.has_quote,
                    });
                }
                if done {
                    break;
                }
            }
        }
        if let Some(owner) = stack.iter_mut().rev().find(|open| open.captures) {
            owner.own.push(i);
            owner.has_quote |= segment.kind == SegmentKind::Text
                && source
                    .get(segment.span.clone())
                    .is_some_and(|text| text.contains('"'));
        }
        let captures = captures(source, segment) || recurses(source, segments, i);
        if captures || matches!(keyword, "if" | "for" | "with" | "block" | "autoescape") {
            stack.push(Open {
                keyword: keyword.to_owned(),
                segment: i,
                captures,
                own: Vec::new(),
                has_quote: false,
            });
        }
    }
    found
}

/// Whether the own text of a capture is an object whose keys are printed: `{ {{ key|tojson }}: {{ value }} }`.
fn is_object(source: &str, segments: &[Segment], capture: &Capture) -> bool {
    let text = |i: &usize| {
        let segment = segments.get(*i)?;
        let text = source.get(segment.span.clone())?.trim();
        (segment.kind != SegmentKind::Text || !text.is_empty())
            .then_some((segment.kind == SegmentKind::Text, text))
    };
    let own: Vec<(bool, &str)> = capture.own.iter().filter_map(text).collect();
    let opens = own
        .first()
        .is_some_and(|(is_text, text)| *is_text && text.starts_with('{'));
    let closes = own
        .last()
        .is_some_and(|(is_text, text)| *is_text && text.ends_with('}'));
    opens
        && closes
        && own
            .iter()
            .any(|(is_text, text)| *is_text && text.contains(':'))
}

impl Fragments {
    /// Looks through a template.
    ///
    /// # Errors
    /// When branches inside a fragment end in different states.
    pub(super) fn find(file: &str, source: &str, segments: &[Segment]) -> Result<Self, Problem> {
        let captures = find_captures(source, segments);
        let mut out = Self::default();
        for capture in captures
            .iter()
            .filter(|capture| capture.has_quote || is_object(source, segments, capture))
        {
            if let Some(open) = segments.get(capture.open) {
                harmless_filters(file, source, open)?;
            }
            out.read(file, source, segments, capture)?;
            out.opens.insert(capture.open);
            out.closes.insert(capture.close, capture.open);
            let Some(open) = segments.get(capture.open) else {
                continue;
            };
            match open.keyword(source) {
                "macro" => {
                    if let Some(name) = open.tokens.get(1) {
                        out.callables.insert(name.text(source).to_owned());
                    }
                }
                "call" => {
                    out.callables.insert("caller".to_owned());
                }
                "for" => out.loops.extend(&capture.own),
                "set" => {
                    let name = open
                        .tokens
                        .iter()
                        .skip(1)
                        .take_while(|t| !t.is(b'|'))
                        .map(|t| t.text(source));
                    out.names.insert(capture.open, name.collect());
                }
                _ => {}
            }
        }
        for capture in &captures {
            let call = segments
                .get(capture.open)
                .filter(|open| open.keyword(source) == "call");
            if call.is_some_and(|call| {
                capture.has_quote
                    || call
                        .tokens
                        .iter()
                        .any(|t| out.callables.contains(t.text(source)))
            }) {
                out.wrapped.insert(capture.open);
                out.wrapped.insert(capture.close);
            }
        }
        Ok(out)
    }

    /// Runs the lexer over a fragment's own text, and notes where its values stand.
    fn read(
        &mut self,
        file: &str,
        source: &str,
        segments: &[Segment],
        capture: &Capture,
    ) -> Result<(), Problem> {
        let mut lexer = Lexer::default();
        // For each open `if` or `for`: the state at its beginning, whether it has an `else`, and how its branches ended.
        let mut branches: Vec<(Lexer, bool, Vec<bool>)> = Vec::new();
        for (i, segment) in capture
            .own
            .iter()
            .filter_map(|i| Some((*i, segments.get(*i)?)))
        {
            match segment.kind {
                SegmentKind::Text => {
                    lexer.feed(source.get(segment.span.clone()).unwrap_or("").as_bytes())
                }
                SegmentKind::Print => {
                    let place = lexer.place();
                    self.places.insert(i, place);
                    if !place.in_string {
                        lexer.feed(b"0");
                    }
                }
                SegmentKind::Comment => {}
                SegmentKind::Block => match segment.keyword(source) {
                    "if" | "for" => branches.push((lexer.clone(), false, Vec::new())),
                    word @ ("elif" | "else") => {
                        if let Some((start, has_else, ends)) = branches.last_mut() {
                            ends.push(lexer.place().in_string);
                            *has_else |= word == "else";
                            lexer = start.clone();
                        }
                    }
                    word @ ("endif" | "endfor") => {
                        if let Some((start, has_else, mut ends)) = branches.pop() {
                            let end = lexer.place().in_string;
                            if !has_else || word == "endfor" {
                                ends.push(start.place().in_string);
                            }
                            if ends.iter().any(|other| *other != end) {
                                return Err(uneven(file, source, segment));
                            }
                        }
                    }
                    _ => {}
                },
            }
        }
        Ok(())
    }

    /// Where a print inside a fragment stands.
    pub(super) fn place(&self, segment: usize) -> Option<Place> {
        self.places.get(&segment).copied()
    }

    /// Marks what calls of fragments give.
    pub(super) fn calls(&self, edits: &mut Vec<Edit>, source: &str, i: usize, segment: &Segment) {
        let recursion = self.loops.contains(&i);
        if (self.callables.is_empty() && !recursion)
            || matches!(segment.keyword(source), "macro" | "call")
        {
            return;
        }
        let tokens = &segment.tokens;
        for (i, token) in tokens.iter().enumerate() {
            let called = token.kind == TokenKind::Name
                && tokens.get(i + 1).is_some_and(|next| next.is(b'('));
            let member = i
                .checked_sub(1)
                .and_then(|at| tokens.get(at))
                .is_some_and(|before| before.is(b'.') || before.is(b'|'));
            let name = token.text(source);
            let known = self.callables.contains(name) || (recursion && name == "loop");
            if !called || member || !known {
                continue;
            }
            if let Some(last) = closing(tokens, i + 1).and_then(|end| tokens.get(end - 1)) {
                insert(edits, last.span.end, "|__fragment");
            }
        }
    }

    /// Marks what a block gives.
    pub(super) fn block(&self, edits: &mut Vec<Edit>, source: &str, i: usize, segment: &Segment) {
        let text = source.get(segment.span.clone()).unwrap_or("");
        let before = if text.starts_with("{%-") { "{%-" } else { "{%" };
        let after = if text.ends_with("-%}") { "-%}" } else { "%}" };
        match segment.keyword(source) {
            "filter" if self.opens.contains(&i) => {
                if let Some(last) = segment.tokens.last() {
                    insert(edits, last.span.end, "|__fragment");
                }
            }
            "endset" if self.closes.contains_key(&i) => {
                if let Some(name) = self.closes.get(&i).and_then(|open| self.names.get(open)) {
                    insert(
                        edits,
                        segment.span.end,
                        format!("{{% set {name} = {name}|__fragment {after}"),
                    );
                }
            }
            "call" if self.wrapped.contains(&i) => insert(
                edits,
                segment.span.start,
                format!("{before} filter __fragment %}}"),
            ),
            "endcall" if self.wrapped.contains(&i) => {
                insert(edits, segment.span.end, format!("{{% endfilter {after}"))
            }
            _ => {}
        }
    }
}

/// Filters that leave JSON what it is, or make no JSON of it.
const HARMLESS: [&str; 8] = [
    "trim", "indent", "safe", "string", "tojson", "length", "count", "sha256",
];

/// Refuses filters that would change the JSON which a block prints: its quotes, and what values were escaped with.
fn harmless_filters(file: &str, source: &str, open: &Segment) -> Result<(), Problem> {
    let from = match open.keyword(source) {
        "filter" => 1,
        "set" => match open.tokens.iter().position(|t| t.is(b'|')) {
            Some(bar) => bar + 1,
            None => return Ok(()),
        },
        _ => return Ok(()),
    };
    let tokens = open.tokens.get(from..).unwrap_or(&[]);
    for (i, token) in tokens.iter().enumerate() {
        let first = i == 0
            || i.checked_sub(1)
                .and_then(|at| tokens.get(at))
                .is_some_and(|t| t.is(b'|'));
        let name = token.text(source);
        if (first && !HARMLESS.contains(&name)) || token.kind == TokenKind::Text {
            let problem = Problem::new(
                codes::TEMPLATE_SYNTAX,
                format!(
                    "The filter `{name}` would change the JSON that this block prints, quotes and escapes too."
                ),
            );
            return Err(problem
                .at(model::Place::of_span(file, source, open.span.clone()))
                .help("Apply it to the values, `\"{{ x|upper }}\"`, or put the block inside of the quotes."));
        }
    }
    Ok(())
}

fn uneven(file: &str, source: &str, segment: &Segment) -> Problem {
    Problem::new(codes::TEMPLATE_SYNTAX, "One branch leaves a JSON string open and another does not, so what follows cannot be escaped rightly.")
        .at(model::Place::of_span(file, source, segment.span.clone()))
        .help("Write the quotes so that each branch opens and closes the same ones.")
}
