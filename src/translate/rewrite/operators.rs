//! Operators as Python has them: `a + b` becomes `(a)|__add(b)`.
//!
//! The engine's own stop at 128 bits, order values of any two types, know no `%` of text, and write floats in their way.
//! Expressions are read by Jinja2's grammar; what cannot be read is left alone, so that the engine says what is wrong.
//! A lone `==`, `and`, `or` and `not` stay the engine's.

mod compare;
mod literals;

use super::Edit;
use crate::translate::tokens::{Segment, SegmentKind, Token, TokenKind, closing};
use std::ops::Range;

/// How deep brackets and unary operators nest; past it an expression is left alone.
const DEPTH_MAX: usize = 60;
/// Order of edits at one position: what closes, then what opens, then what replaces.
pub(super) const CLOSE_LAST: i64 = 10_000_000;
pub(super) const OPEN_FIRST: i64 = 20_000_000;
const OPEN_LAST: i64 = 30_000_000;
const REPLACE: i64 = OPEN_LAST + 1;

/// Adds the edits for a segment.
///
/// Also gives where each operator's whole expression stands, by the operator's position.
pub(super) fn rewrite(
    edits: &mut Vec<Edit>,
    spans: &mut Vec<(usize, Range<usize>)>,
    source: &str,
    segment: &Segment,
) {
    if !matches!(segment.kind, SegmentKind::Print | SegmentKind::Block) {
        return;
    }
    let mut reader = Reader {
        source,
        tokens: &segment.tokens,
        at: 0,
        depth: 0,
        edits: Vec::new(),
        spans: Vec::new(),
    };
    if reader.segment(segment).is_some() {
        edits.append(&mut reader.edits);
        spans.append(&mut reader.spans);
    }
}

struct Reader<'s> {
    source: &'s str,
    tokens: &'s [Token],
    at: usize,
    depth: usize,
    edits: Vec<Edit>,
    spans: Vec<(usize, Range<usize>)>,
}

/// None: this is no expression that is understood.
type Read = Option<()>;

impl<'s> Reader<'s> {
    fn segment(&mut self, segment: &Segment) -> Read {
        if segment.kind == SegmentKind::Print {
            self.bare_tuple()?;
            return self.end();
        }
        match segment.keyword(self.source) {
            "if" | "elif" | "autoescape" => {
                self.at = 1;
                self.bare_tuple()?;
                self.end()
            }
            "for" => self.loop_head(),
            "set" => self.assignment(),
            "with" => self.with(),
            "macro" => {
                self.at = 2;
                self.arguments()
            }
            "call" => {
                self.at = 1;
                if self.is(b'(') {
                    self.arguments()?;
                }
                self.condition()
            }
            "filter" => {
                self.at = 1;
                self.filter()?;
                self.filters()
            }
            _ => Some(()),
        }
    }

    fn loop_head(&mut self) -> Read {
        self.at = 1
            + self
                .tokens
                .iter()
                .skip(1)
                .position(|t| self.text_of(t) == "in")?
            + 1;
        let from = self.at;
        self.or()?;
        if self.is(b',') {
            // Several values without brackets.
            while self.take(b',') {
                if !self.ends() {
                    self.or()?;
                }
            }
            self.wrap(from, "(", ")");
        }
        if self.take_word("if") {
            self.condition()?;
        }
        self.take_word("recursive");
        self.end()
    }

    fn assignment(&mut self) -> Read {
        match self.tokens.iter().position(|t| t.is(b'=')) {
            Some(equals) => {
                self.at = equals + 1;
                self.tuple()?;
                self.end()
            }
            None => {
                self.at = self
                    .tokens
                    .iter()
                    .position(|t| t.is(b'|'))
                    .unwrap_or(self.tokens.len());
                self.filters()
            }
        }
    }

    /// `with a = 1, b = a`: values are read before a name is set, so names come last.
    fn with(&mut self) -> Read {
        self.at = 1;
        let mut names: Vec<usize> = Vec::new();
        let mut depends = false;
        while !self.ends() {
            let name = self.at;
            self.at += 1;
            if !self.take(b'=') {
                return None;
            }
            let from = self.at;
            self.condition()?;
            let value = self.tokens.get(from..self.at).unwrap_or(&[]);
            depends |= names.iter().any(|earlier| {
                let earlier = self.tokens.get(*earlier).map(|t| self.text_of(t));
                value.iter().any(|t| Some(self.text_of(t)) == earlier)
            });
            names.push(name);
            self.take(b',');
        }
        if depends {
            let mut last = String::new();
            for (i, name) in names.into_iter().enumerate() {
                let Some(token) = self.tokens.get(name) else {
                    continue;
                };
                let text = self.text_of(token);
                last.push_str(&format!(", {text} = __with{i}"));
                self.edit(token.span.start, text.len(), &format!("__with{i}"), REPLACE);
            }
            self.edit(self.end_before(), 0, &last, CLOSE_LAST);
        }
        Some(())
    }

    fn end(&self) -> Read {
        self.ends().then_some(())
    }

    fn ends(&self) -> bool {
        self.at >= self.tokens.len()
    }

    fn token(&self) -> Option<&'s Token> {
        self.tokens.get(self.at)
    }

    fn text_of(&self, token: &Token) -> &'s str {
        token.text(self.source)
    }

    fn is(&self, sign: u8) -> bool {
        self.token().is_some_and(|t| t.is(sign))
    }

    fn take(&mut self, sign: u8) -> bool {
        let found = self.is(sign);
        self.at += usize::from(found);
        found
    }

    fn is_word(&self, word: &str) -> bool {
        self.token()
            .is_some_and(|t| t.kind == TokenKind::Name && self.text_of(t) == word)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    /// The operator at this token: one or two signs without space between.
    fn operator(&self) -> (&'s str, usize) {
        let Some(token) = self
            .token()
            .filter(|t| matches!(t.kind, TokenKind::Sign(_)))
        else {
            return ("", 0);
        };
        if let Some(next) = self.tokens.get(self.at + 1)
            && matches!(next.kind, TokenKind::Sign(_))
            && next.span.start == token.span.end
        {
            let both = self
                .source
                .get(token.span.start..next.span.end)
                .unwrap_or("");
            if matches!(both, "**" | "//" | "==" | "!=" | "<=" | ">=") {
                return (both, 2);
            }
        }
        (self.text_of(token), 1)
    }

    fn edit(&mut self, at: usize, removed: usize, text: &str, order: i64) {
        self.edits.push(Edit {
            at,
            removed,
            text: text.to_owned(),
            order,
        });
    }

    fn start_of(&self, token: usize) -> usize {
        self.tokens.get(token).map_or(0, |t| t.span.start)
    }

    fn end_before(&self) -> usize {
        self.at
            .checked_sub(1)
            .and_then(|last| self.tokens.get(last))
            .map_or(0, |t| t.span.end)
    }

    /// Puts text around what was read since `from`: inside of what is put there later.
    fn wrap(&mut self, from: usize, open: &str, close: &str) {
        let sequence = i64::try_from(self.edits.len()).unwrap_or(0);
        self.edit(self.start_of(from), 0, open, OPEN_LAST - sequence);
        self.edit(self.end_before(), 0, close, 1 + sequence);
    }

    /// As [`Self::wrap`], for the operands of an operator that was replaced at a position.
    fn operands(&mut self, from: usize, operator: usize) {
        self.wrap(from, "(", ")");
        let whole = self.start_of(from)..self.end_before();
        self.spans.push((operator, whole));
    }

    /// Replaces the operator of `signs` tokens here by the end of its left side and a filter's name. Gives its position.
    fn replace(&mut self, signs: usize, text: &str) -> usize {
        let from = self.start_of(self.at);
        self.at += signs;
        let to = self.end_before();
        self.edit(from, to.saturating_sub(from), text, REPLACE);
        from
    }

    /// Several values without brackets get them.
    fn bare_tuple(&mut self) -> Read {
        let from = self.at;
        self.condition()?;
        if self.is(b',') {
            self.at = from;
            self.edits.clear();
            self.spans.clear();
            self.tuple()?;
            self.wrap(from, "(", ")");
        }
        Some(())
    }

    fn tuple(&mut self) -> Read {
        self.condition()?;
        while self.take(b',') {
            if !self.ends() && !self.is(b')') {
                self.condition()?;
            }
        }
        Some(())
    }

    fn condition(&mut self) -> Read {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        self.or()?;
        while self.take_word("if") {
            self.or()?;
            if self.take_word("else") {
                self.condition()?;
            }
        }
        self.depth -= 1;
        Some(())
    }

    fn or(&mut self) -> Read {
        self.not()?;
        while self.take_word("or") || self.take_word("and") {
            self.not()?;
        }
        Some(())
    }

    fn not(&mut self) -> Read {
        while self.take_word("not") {}
        self.comparison()
    }

    fn sum(&mut self) -> Read {
        let from = self.at;
        self.concat()?;
        loop {
            let name = match self.operator().0 {
                "+" => "__add",
                "-" => "__sub",
                _ => return Some(()),
            };
            let operator = self.replace(1, &format!(")|{name}("));
            self.concat()?;
            self.operands(from, operator);
        }
    }

    fn concat(&mut self) -> Read {
        let from = self.at;
        self.product()?;
        let mut first = None;
        while self.is(b'~') {
            let operator = self.replace(1, if first.is_none() { ")|__cat(" } else { "," });
            first = first.or(Some(operator));
            self.product()?;
        }
        if let Some(operator) = first {
            self.operands(from, operator);
        }
        Some(())
    }

    fn product(&mut self) -> Read {
        let from = self.at;
        self.power()?;
        loop {
            let (operator, signs) = self.operator();
            let name = match operator {
                "*" => "__mul",
                "/" => "__div",
                "//" => "__floordiv",
                "%" => "__mod",
                _ => return Some(()),
            };
            let operator = self.replace(signs, &format!(")|{name}("));
            self.power()?;
            self.operands(from, operator);
        }
    }

    fn power(&mut self) -> Read {
        let from = self.at;
        self.unary(true)?;
        while self.operator().0 == "**" {
            let operator = self.replace(2, ")|__pow(");
            self.unary(true)?;
            self.operands(from, operator);
        }
        Some(())
    }

    fn unary(&mut self, filters: bool) -> Read {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let from = self.at;
        let sign = self.operator().0;
        if sign == "-" || sign == "+" {
            self.at += 1;
            let number = self.token().is_some_and(|t| t.kind == TokenKind::Number);
            self.unary(false)?;
            if sign == "+" || !number {
                let name = if sign == "-" { ")|__neg" } else { ")|__pos" };
                let after = std::mem::replace(&mut self.at, from);
                self.replace(1, "(");
                self.at = after;
                let sequence = i64::try_from(self.edits.len()).unwrap_or(0);
                let end = self.end_before();
                self.edit(end, 0, name, 1 + sequence);
                self.spans.push((end, self.start_of(from)..end));
            }
        } else {
            self.primary()?;
        }
        self.postfix(from)?;
        if filters {
            self.filters()?;
        }
        self.depth -= 1;
        Some(())
    }

    fn primary(&mut self) -> Read {
        let token = self.token()?;
        match token.kind {
            TokenKind::Name
                if !matches!(
                    self.text_of(token),
                    "if" | "else" | "in" | "is" | "and" | "or" | "not"
                ) =>
            {
                self.at += 1;
            }
            TokenKind::Name => return None,
            TokenKind::Number => self.number(),
            TokenKind::Text => {
                while let Some(token) = self.token().filter(|t| t.kind == TokenKind::Text) {
                    self.literal(token);
                    self.at += 1;
                }
            }
            TokenKind::Sign(b'(') => {
                self.at += 1;
                if !self.is(b')') {
                    self.tuple()?;
                }
                self.closed(b')')?;
            }
            TokenKind::Sign(b'[') => {
                self.at += 1;
                while !self.is(b']') {
                    self.condition()?;
                    if !self.take(b',') {
                        break;
                    }
                }
                self.closed(b']')?;
            }
            TokenKind::Sign(b'{') => {
                self.at += 1;
                while !self.is(b'}') {
                    self.condition()?;
                    self.closed(b':')?;
                    self.condition()?;
                    if !self.take(b',') {
                        break;
                    }
                }
                self.closed(b'}')?;
            }
            TokenKind::Sign(_) => return None,
        }
        Some(())
    }

    fn closed(&mut self, sign: u8) -> Read {
        self.take(sign).then_some(())
    }

    fn end_of_here(&self) -> usize {
        self.token().map_or(0, |t| t.span.end)
    }

    /// `[x]` stays; `[a:b]` becomes a filter, since the engine makes a list of what is undefined.
    fn subscript(&mut self, from: usize) -> Read {
        let open = self.at;
        self.at += 1;
        let mut colons = Vec::new();
        let mut empty = true;
        let mut missing = Vec::new();
        loop {
            if self.is(b':') || self.is(b']') {
                if empty {
                    missing.push(self.at);
                }
                if self.is(b']') {
                    break;
                }
                colons.push(self.at);
                self.at += 1;
                empty = true;
            } else {
                self.take(b',');
                self.condition()?;
                empty = false;
            }
        }
        let close = self.at;
        self.at += 1;
        if colons.is_empty() {
            return Some(());
        }
        for at in missing {
            self.edit(self.start_of(at), 0, "none", OPEN_LAST);
        }
        for at in colons {
            self.edit(self.start_of(at), 1, ",", REPLACE);
        }
        self.edit(self.start_of(open), 1, "|__slice(", REPLACE);
        self.edit(self.start_of(close), 1, ")", REPLACE);
        self.wrap(from, "(", ")");
        Some(())
    }

    fn postfix(&mut self, from: usize) -> Read {
        loop {
            if self.is(b'.') {
                self.at += 1;
                let name = self.token()?;
                if !matches!(name.kind, TokenKind::Name | TokenKind::Number) {
                    return None;
                }
                self.at += 1;
                // The engine's own divides by the number of arguments, none too.
                if self.text_of(name) == "cycle" && self.is(b'(') {
                    self.edit(name.span.start, 0, "__", REPLACE);
                }
            } else if self.is(b'[') {
                self.subscript(from)?;
            } else if self.is(b'(') {
                self.arguments()?;
            } else {
                return Some(());
            }
        }
    }

    fn arguments(&mut self) -> Read {
        self.closed(b'(')?;
        while !self.is(b')') {
            if self.is(b'*') {
                self.at += self.operator().1;
            }
            let named = self.token()?.kind == TokenKind::Name
                && self.tokens.get(self.at + 1).is_some_and(|t| t.is(b'='))
                && !self
                    .tokens
                    .get(self.at + 2)
                    .is_some_and(|t| t.is(b'=') && t.span.start == self.start_of(self.at + 1) + 1);
            if named {
                self.at += 2;
            }
            self.condition()?;
            if !self.take(b',') {
                break;
            }
        }
        self.closed(b')')
    }

    fn filter(&mut self) -> Read {
        if self.token()?.kind != TokenKind::Name {
            return None;
        }
        self.at += 1;
        if self.is(b'(') {
            self.arguments()
        } else {
            Some(())
        }
    }

    fn filters(&mut self) -> Read {
        loop {
            if self.take(b'|') {
                self.filter()?;
            } else if self.take_word("is") {
                self.test()?;
            } else if self.is(b'(') {
                self.arguments()?;
            } else {
                return Some(());
            }
        }
    }

    fn test(&mut self) -> Read {
        self.take_word("not");
        let (operator, signs) = self.operator();
        if matches!(operator, "==" | "!=" | "<" | "<=" | ">" | ">=") {
            self.at += signs;
            return self.sum();
        }
        if self.token()?.kind != TokenKind::Name {
            return None;
        }
        self.at += 1;
        let Some(next) = self.token() else {
            return Some(());
        };
        match next.kind {
            TokenKind::Sign(b'(') => {
                closing(self.tokens, self.at)?;
                self.arguments()
            }
            TokenKind::Name
                if matches!(
                    self.text_of(next),
                    "else" | "or" | "and" | "is" | "if" | "in" | "not" | "recursive"
                ) =>
            {
                Some(())
            }
            TokenKind::Name
            | TokenKind::Number
            | TokenKind::Text
            | TokenKind::Sign(b'[' | b'{') => {
                let from = self.at;
                self.primary()?;
                self.postfix(from)
            }
            TokenKind::Sign(_) => Some(()),
        }
    }
}
