//! What a template's own text tells about its expressions, put into the template before it is compiled.
//!
//! The formatter sees values, not where they came from. So expressions that print literals of the template, escape by
//! hand, or join with quotes get a filter that marks their value; and blocks whose output is captured, and whose own text holds a
//! quote, are fragments of JSON: a lexer runs over their text here, and their values are escaped where they are
//! printed. Only insertions are made, lines stay the same, and positions are mapped back for errors.

mod fragments;
mod macros;
mod operators;

use super::json;
use super::marks;
use super::tokens::{self, Segment, SegmentKind, Token, TokenKind, closing};
use crate::model::Problem;
use fragments::Fragments;
use macros::Macros;
use std::ops::Range;

/// A template as it is compiled.
#[derive(Debug)]
pub(crate) struct Rewritten {
    /// The text.
    pub(crate) source: String,
    /// Where it is longer than the original: position in the new text, bytes added.
    added: Vec<(usize, usize)>,
    /// Whole expressions by the position of their operator, both in the original.
    operators: Vec<(usize, Range<usize>)>,
}

/// One change: bytes `at .. at + removed` become `text`.
struct Edit {
    at: usize,
    removed: usize,
    text: String,
    /// Order among the edits at one position.
    order: i64,
}

impl Rewritten {
    /// The position in the original of a position in the new text.
    pub(crate) fn original(&self, position: usize) -> usize {
        let mut shift = 0;
        for (at, length) in &self.added {
            if position <= *at {
                break;
            }
            shift += (*length).min(position - at);
        }
        position - shift
    }

    /// The place in the original of a place in the new text; an operator's is its whole expression's.
    pub(crate) fn original_span(&self, range: Range<usize>) -> Range<usize> {
        let (start, end) = (self.original(range.start), self.original(range.end));
        let operator = self.operators.iter().find(|(at, _)| *at == start);
        operator.map_or(start..end, |(_, whole)| whole.clone())
    }
}

/// Rewrites a template.
///
/// # Errors
/// When a fragment's branches leave a JSON string open differently, so that no one can say what is inside it.
pub(crate) fn rewrite(file: &str, source: &str) -> Result<Rewritten, Problem> {
    let Some(segments) = tokens::segments(source) else {
        return Ok(Rewritten {
            source: source.to_owned(),
            added: Vec::new(),
            operators: Vec::new(),
        });
    };
    let fragments = Fragments::find(file, source, &segments)?;
    let macros = Macros::find(source, &segments);
    let (mut edits, mut spans) = (Vec::new(), Vec::new());
    for (i, segment) in segments.iter().enumerate() {
        macros.edit(&mut edits, source, i, segment);
        if !macros.has(i) {
            operators::rewrite(&mut edits, &mut spans, source, segment);
        }
        fragments.calls(&mut edits, source, segment);
        match segment.kind {
            SegmentKind::Print => print(&mut edits, source, segment, fragments.place(i)),
            SegmentKind::Block => {
                set_value(&mut edits, source, segment);
                fragments.block(&mut edits, source, i, segment);
            }
            SegmentKind::Text | SegmentKind::Comment => {}
        }
    }
    Ok(apply(source, edits, spans))
}

/// As [`rewrite`], for what gives text or a value and no JSON: only what the engine lacks is put in.
pub(crate) fn operators_of(source: &str) -> Rewritten {
    let (mut edits, mut spans) = (Vec::new(), Vec::new());
    let segments = tokens::segments(source).unwrap_or_default();
    let macros = Macros::find(source, &segments);
    for (i, segment) in segments.iter().enumerate() {
        macros.edit(&mut edits, source, i, segment);
        if !macros.has(i) {
            operators::rewrite(&mut edits, &mut spans, source, segment);
        }
        set_value(&mut edits, source, segment);
    }
    apply(source, edits, spans)
}

/// A single expression as it is compiled.
#[derive(Debug)]
pub(crate) struct RewrittenExpression(Rewritten);

/// As [`operators_of`], for a single expression.
pub(crate) fn operators_of_expression(source: &str) -> RewrittenExpression {
    RewrittenExpression(operators_of(&format!("{OPEN}{source} }}}}")))
}

/// What is put before an expression, so that it is read as one of a template.
const OPEN: &str = "{{ ";

impl RewrittenExpression {
    /// The text to compile.
    pub(crate) fn text(&self) -> &str {
        let text = self.0.source.strip_prefix(OPEN).unwrap_or("");
        text.strip_suffix(" }}").unwrap_or(text)
    }

    /// The place in the original of a place in the new text.
    pub(crate) fn original_span(&self, range: Range<usize>) -> Range<usize> {
        let there = range.start + OPEN.len()..range.end + OPEN.len();
        let here = self.0.original_span(there);
        here.start.saturating_sub(OPEN.len())..here.end.saturating_sub(OPEN.len())
    }
}

fn apply(source: &str, mut edits: Vec<Edit>, operators: Vec<(usize, Range<usize>)>) -> Rewritten {
    edits.sort_by_key(|edit| (edit.at, edit.order));
    let mut out = String::with_capacity(source.len() + 256);
    let mut added = Vec::new();
    let mut from = 0;
    for edit in edits {
        out.push_str(source.get(from..edit.at).unwrap_or(""));
        if edit.text.len() > edit.removed {
            added.push((out.len(), edit.text.len() - edit.removed));
        }
        out.push_str(&edit.text);
        from = edit.at + edit.removed;
    }
    out.push_str(source.get(from..).unwrap_or(""));
    Rewritten {
        source: out,
        added,
        operators,
    }
}

fn insert(edits: &mut Vec<Edit>, at: usize, text: impl Into<String>) {
    edits.push(Edit {
        at,
        removed: 0,
        text: text.into(),
        order: 0,
    });
}

/// Puts text around a whole expression, outside of all that is put inside it.
fn surround(edits: &mut Vec<Edit>, range: Range<usize>, open: String, close: String) {
    edits.push(Edit {
        at: range.start,
        removed: 0,
        text: open,
        order: operators::OPEN_FIRST,
    });
    edits.push(Edit {
        at: range.end,
        removed: 0,
        text: close,
        order: operators::CLOSE_LAST,
    });
}

/// Marks what `{{ … }}` prints.
fn print(
    edits: &mut Vec<Edit>,
    source: &str,
    segment: &Segment,
    place: Option<super::sink::Place>,
) {
    let tokens = &segment.tokens;
    let mut suffix = String::new();
    if let Some(literals) = literal_result(tokens, source) {
        if literals.iter().any(|text| is_structure(text)) {
            suffix.push_str(")|__literal");
        } else if literals.iter().any(|text| text.contains('\\')) {
            suffix.push_str(")|__kept");
        }
    } else if let Some(join) = quoting_join(tokens, source) {
        insert(edits, join.span.start, "__");
    } else if ends_in_safe(tokens, source) {
        // The author's word: printed as it is.
        suffix.push_str(")|__fragment");
    } else if escapes_by_hand(tokens, source) {
        suffix.push_str(")|__kept");
    }
    if let Some(place) = place {
        suffix.push_str(&format!(
            ")|__place({}, {}, {})",
            place.in_string, place.after_colon, place.in_list
        ));
    }
    if chooses_nothing(tokens, source)
        && let Some(last) = tokens.last()
    {
        // What is not chosen is no value that is missing.
        edits.push(Edit {
            at: last.span.end,
            removed: 0,
            text: format!(" else {}", marks::NOTHING),
            order: operators::CLOSE_LAST,
        });
    }
    if !suffix.is_empty() {
        let open = "(".repeat(suffix.matches(")|__").count());
        surround(edits, segment.inner.clone(), open, suffix);
    }
}

/// Whether an expression is `x if y` without an `else`.
fn chooses_nothing(tokens: &[Token], source: &str) -> bool {
    let (mut depth, mut chooses) = (0_usize, false);
    for token in tokens {
        match token.kind {
            TokenKind::Sign(b'(' | b'[' | b'{') => depth += 1,
            TokenKind::Sign(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            // The items of a tuple choose for themselves.
            TokenKind::Sign(b',') if depth == 0 => return false,
            TokenKind::Name if depth == 0 => match token.text(source) {
                "if" => chooses = true,
                "else" => chooses = false,
                _ => {}
            },
            _ => {}
        }
    }
    chooses
}

/// Whether the last filter of an expression is `safe`.
fn ends_in_safe(tokens: &[Token], source: &str) -> bool {
    let end = match tokens {
        // `safe()` is the same.
        [.., open, close] if open.is(b'(') && close.is(b')') => tokens.len() - 2,
        _ => tokens.len(),
    };
    match tokens.get(..end) {
        Some([.., bar, name]) => bar.is(b'|') && name.text(source) == "safe",
        _ => false,
    }
}

/// Whether a literal is a part of JSON's structure and no mere word or separator.
fn is_structure(text: &str) -> bool {
    let structural = text.contains(['"', '{', '}', '[', ']', ':']);
    structural || (text.contains(',') && !text.chars().all(|c| c == ',' || c.is_whitespace()))
}

/// A literal's text between its quotes, escapes left as they are but quotes.
fn literal_text(token: &Token, source: &str) -> String {
    let text = token.text(source);
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or("");
    inner.replace("\\\"", "\"").replace("\\'", "'")
}

/// The literals of an expression that gives nothing else: `'x'`, `'x' if … else 'y'`.
fn literal_result(tokens: &[Token], source: &str) -> Option<Vec<String>> {
    let (first, rest) = tokens.split_first()?;
    if first.is(b'(') && closing(tokens, 0) == Some(tokens.len()) {
        return literal_result(tokens.get(1..tokens.len() - 1)?, source);
    }
    if first.kind != TokenKind::Text {
        return None;
    }
    let mut literals = vec![literal_text(first, source)];
    let Some((condition, rest)) = rest.split_first() else {
        return Some(literals);
    };
    if condition.text(source) != "if" {
        return None;
    }
    let mut depth = 0_usize;
    for (i, token) in rest.iter().enumerate() {
        match token.kind {
            TokenKind::Sign(b'(' | b'[' | b'{') => depth += 1,
            TokenKind::Sign(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            TokenKind::Name if depth == 0 && token.text(source) == "else" => {
                literals.extend(literal_result(rest.get(i + 1..)?, source)?);
                return Some(literals);
            }
            _ => {}
        }
    }
    Some(literals)
}

/// The name of a `join` that comes last and whose separator holds a quote.
fn quoting_join<'t>(tokens: &'t [Token], source: &str) -> Option<&'t Token> {
    let at = tokens.iter().rposition(|t| t.is(b'|'))?;
    let name = tokens.get(at + 1)?;
    let separator = tokens.get(at + 3)?;
    let last = tokens.get(at + 2)?.is(b'(') && closing(tokens, at + 2) == Some(tokens.len());
    (name.text(source) == "join"
        && last
        && separator.kind == TokenKind::Text
        && literal_text(separator, source).contains('"'))
    .then_some(name)
}

/// Whether an expression escapes by hand: a literal with a backslash, or `tojson` that is not the last word.
fn escapes_by_hand(tokens: &[Token], source: &str) -> bool {
    let backslash = tokens
        .iter()
        .any(|t| t.kind == TokenKind::Text && t.text(source).contains('\\'));
    let json_inside = tokens.windows(2).enumerate().any(|(i, pair)| {
        let [bar, name] = pair else { return false };
        if !bar.is(b'|') || name.text(source) != "tojson" {
            return false;
        }
        let end = match tokens.get(i + 2) {
            Some(open) if open.is(b'(') => closing(tokens, i + 2).unwrap_or(tokens.len()),
            _ => i + 2,
        };
        end < tokens.len()
    });
    backslash || json_inside
}

/// Marks what `{% set … %}` sets. `{% set x = ', "a": 1' %}`: a literal that holds a quote and is no JSON by itself stays a piece of the template.
fn set_value(edits: &mut Vec<Edit>, source: &str, segment: &Segment) {
    if segment.keyword(source) != "set" {
        return;
    }
    let Some(equals) = segment.tokens.iter().position(|t| t.is(b'=')) else {
        return;
    };
    let value = segment.tokens.get(equals + 1..).unwrap_or(&[]);
    let (Some(first), Some(last)) = (value.first(), value.last()) else {
        return;
    };
    let range = first.span.start..last.span.end;
    if literal_result(value, source).is_some_and(|literals| {
        literals
            .iter()
            .any(|text| text.contains('"') && !json::is_json(text))
    }) {
        surround(edits, range, "(".into(), ")|__literal".into());
    } else if ends_in_safe(value, source) {
        surround(edits, range, "(".into(), ")|__fragment".into());
    } else if segment.tokens.iter().take(equals).any(|t| t.is(b'.')) {
        // A namespace can nest a list in itself without end; see the filter.
        surround(edits, range, "(".into(), ")|__counted".into());
    }
}
