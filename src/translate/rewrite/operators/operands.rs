//! What operators work on: names, literals, brackets, and what follows them: subscripts, calls, filters, tests.

use super::{OPEN_LAST, REPLACE, Read, Reader};
use crate::translate::rewrite::literals;
use crate::translate::tokens::{Token, TokenKind, closing};

impl Reader<'_> {
    pub(super) fn primary(&mut self) -> Read {
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

    /// A number, also one that is written `1e-5`.
    fn number(&mut self) {
        let text = self.token().map_or("", |t| self.text_of(t));
        let end = self.end_of_here();
        self.at += 1;
        let exponent =
            text.ends_with(['e', 'E']) && !text.starts_with("0x") && !text.starts_with("0X");
        let (Some(sign), Some(digits)) = (self.token(), self.tokens.get(self.at + 1)) else {
            return;
        };
        if exponent
            && (sign.is(b'-') || sign.is(b'+'))
            && sign.span.start == end
            && digits.kind == TokenKind::Number
            && digits.span.start == sign.span.end
        {
            self.at += 2;
        }
    }

    fn end_of_here(&self) -> usize {
        self.token().map_or(0, |t| t.span.end)
    }

    /// A literal with escapes that the engine does not know gets those it knows.
    fn literal(&mut self, token: &Token) {
        let text = self.text_of(token);
        if let Some(known) = literals::known(text) {
            self.edit(token.span.start, text.len(), &known, REPLACE);
        }
    }

    /// Whether a subscript is a literal text, a small number, or a slice: it costs nothing, or pays itself.
    fn is_plain_subscript(&self, open: usize) -> bool {
        let inside = closing(self.tokens, open).and_then(|end| self.tokens.get(open + 1..end - 1));
        match inside {
            Some([only]) => match only.kind {
                TokenKind::Text => true,
                TokenKind::Number => only.span.len() <= 3,
                _ => false,
            },
            Some(several) => several.iter().any(|t| t.is(b':')),
            None => true,
        }
    }

    /// `[x]` stays; `[a:b]` becomes a filter, since the engine makes a list of what is undefined.
    fn subscript(&mut self, from: usize) -> Read {
        let open = self.at;
        if !self.is_plain_subscript(open) {
            self.wrap(from, "((", ")|__counting)");
        }
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

    pub(super) fn postfix(&mut self, from: usize) -> Read {
        loop {
            if self.is(b'.') {
                let literal = self.is_text(from) == Some(true);
                let dot = self.at;
                self.at += 1;
                let name = self.token()?;
                if !matches!(name.kind, TokenKind::Name | TokenKind::Number) {
                    return None;
                }
                let (at, length) = (name.span.start, name.span.len());
                let formats = literal && self.text_of(name) == "format";
                self.at += 1;
                // The engine's own divides by the number of arguments, none too.
                if self.text_of(name) == "cycle" && self.is(b'(') {
                    self.edit(name.span.start, 0, "__", REPLACE);
                }
                if formats && self.is(b'(') {
                    self.edit(self.start_of(dot), 1, "|", REPLACE);
                    self.edit(at, length, "__formatq", REPLACE);
                    self.arguments()?;
                    self.wrap(from, "(", ")");
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

    pub(super) fn arguments(&mut self) -> Read {
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

    pub(super) fn filter(&mut self) -> Read {
        let name = self.token()?;
        if name.kind != TokenKind::Name {
            return None;
        }
        let separator = self.tokens.get(self.at + 2);
        if self.text_of(name) == "join"
            && separator
                .is_some_and(|t| t.kind == TokenKind::Text && literals::quotes(self.text_of(t)))
        {
            self.edit(name.span.start, name.span.len(), "__join", REPLACE);
        }
        self.at += 1;
        if self.is(b'(') {
            self.arguments()
        } else {
            Some(())
        }
    }

    pub(super) fn filters(&mut self) -> Read {
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
