//! Macros as Python calls them: defaults that read earlier parameters, `varargs`, `kwargs`, arguments that are undefined.
//!
//! `{% macro m(a, b=a) %}…{% endmacro %}` becomes a macro without defaults, which sets what was not given in its body,
//! and `{% set m = m|__macro(…) %}` behind it, which binds the arguments.

use super::{Edit, operators_of_expression};
use crate::translate::tokens::{Segment, SegmentKind, Token, TokenKind, closing};
use std::collections::HashMap;

/// What is put in place of a macro's parameters, and behind its tags, by segment.
#[derive(Debug, Default)]
pub(super) struct Macros {
    heads: HashMap<usize, Head>,
    ends: HashMap<usize, String>,
}

#[derive(Debug)]
struct Head {
    /// The brackets of the parameters, in bytes.
    at: usize,
    length: usize,
    /// The parameters without defaults.
    parameters: String,
    /// What sets the defaults.
    defaults: String,
}

impl Macros {
    /// Looks through a template. What is not understood is left to the engine.
    pub(super) fn find(source: &str, segments: &[Segment]) -> Self {
        let mut out = Self::default();
        let mut open: Vec<usize> = Vec::new();
        let asked = source.contains(".arguments") || source.contains(".catch_");
        for (i, segment) in segments.iter().enumerate() {
            match segment.keyword(source) {
                "macro" => open.push(i),
                "endmacro" => {
                    let Some(start) = open.pop() else { continue };
                    let Some(body) = segments.get(start..i) else {
                        continue;
                    };
                    if let Some((head, behind)) = read(source, body, asked) {
                        out.heads.insert(start, head);
                        out.ends.insert(i, behind);
                    }
                }
                _ => {}
            }
        }
        out
    }

    /// Whether a segment is the head of a macro that is put in other words.
    pub(super) fn has(&self, segment: usize) -> bool {
        self.heads.contains_key(&segment)
    }

    /// Adds the edits for a segment.
    pub(super) fn edit(&self, edits: &mut Vec<Edit>, source: &str, i: usize, segment: &Segment) {
        let trims = source
            .get(segment.span.clone())
            .is_some_and(|text| text.ends_with("-%}"));
        let end = if trims { "-%}" } else { "%}" };
        let behind = |edits: &mut Vec<Edit>, text: &str| {
            edits.push(Edit {
                at: segment.span.end,
                removed: 0,
                text: format!("{text}{end}"),
                order: -1,
            });
        };
        if let Some(head) = self.heads.get(&i) {
            edits.push(Edit {
                at: head.at,
                removed: head.length,
                text: head.parameters.clone(),
                order: 0,
            });
            if let Some(text) = head.defaults.strip_suffix("%}") {
                behind(edits, text);
            }
        }
        if let Some(text) = self.ends.get(&i) {
            behind(edits, text);
        }
    }
}

/// A macro's head in other words, and what follows its end without the tag's own end; none where it may stay as it is,
/// which it may not where its signature is asked for.
fn read(source: &str, segments: &[Segment], asked: bool) -> Option<(Head, String)> {
    let (tag, body) = segments.split_first()?;
    let name = tag.tokens.get(1).filter(|t| t.kind == TokenKind::Name)?;
    let open = tag.tokens.get(2).filter(|t| t.is(b'('))?;
    if closing(&tag.tokens, 2) != Some(tag.tokens.len()) {
        return None;
    }
    let close = tag.tokens.last()?;
    let mut names: Vec<&str> = Vec::new();
    let mut defaults = String::new();
    let mut required = 0;
    for parameter in parameters(tag.tokens.get(3..tag.tokens.len() - 1)?) {
        let (name, value) = match parameter {
            [name] if defaults.is_empty() => (name, None),
            [name, equals, value @ ..] if equals.is(b'=') => (name, Some(value)),
            _ => return None,
        };
        let text = name.text(source);
        if name.kind != TokenKind::Name || names.contains(&text) {
            return None;
        }
        names.push(text);
        let Some(value) = value else {
            required += 1;
            continue;
        };
        let value = source.get(value.first()?.span.start..value.last()?.span.end)?;
        // Lines stay where they are: a default over several is left to the engine.
        if value.contains(['\n', '\r']) {
            return None;
        }
        let value = operators_of_expression(value);
        defaults.push_str(&format!(
            "{{% if {text} is __absent %}}{{% set {text} = {} %}}{{% endif %}}",
            value.text()
        ));
    }
    let mentions = |word: &str| {
        let mut tokens = body
            .iter()
            .filter(|s| matches!(s.kind, SegmentKind::Print | SegmentKind::Block))
            .flat_map(|s| &s.tokens);
        tokens.any(|t| t.kind == TokenKind::Name && t.text(source) == word)
    };
    let (varargs, kwargs) = (mentions("varargs"), mentions("kwargs"));
    if defaults.is_empty() && !varargs && !kwargs && !asked {
        return None;
    }
    let listed: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    let behind = format!(
        "{{% set {0} = {0}|__macro([{1}], {required}, {varargs}, {kwargs}) ",
        name.text(source),
        listed.join(",")
    );
    names.extend(varargs.then_some("varargs"));
    names.extend(kwargs.then_some("kwargs"));
    let (from, to) = (open.span.start, close.span.end);
    let lines = source.get(from..to)?.matches('\n').count();
    let parameters = format!("({}{})", names.join(", "), "\n".repeat(lines));
    let head = Head {
        at: from,
        length: to - from,
        parameters,
        defaults,
    };
    Some((head, behind))
}

/// Tokens between commas that no bracket holds.
fn parameters(tokens: &[Token]) -> Vec<&[Token]> {
    let mut out = Vec::new();
    let (mut from, mut depth) = (0, 0_usize);
    for (i, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Sign(b'(' | b'[' | b'{') => depth += 1,
            TokenKind::Sign(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            TokenKind::Sign(b',') if depth == 0 => {
                out.extend(tokens.get(from..i));
                from = i + 1;
            }
            _ => {}
        }
    }
    out.extend(tokens.get(from..).filter(|rest| !rest.is_empty()));
    out
}
