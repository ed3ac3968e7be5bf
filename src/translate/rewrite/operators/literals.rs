//! Numbers and texts as they are written.

use super::{REPLACE, Reader};
use crate::translate::tokens::{Token, TokenKind};

impl Reader<'_> {
    /// A number, also one that is written `1e-5`.
    pub(super) fn number(&mut self) {
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

    /// A literal with escapes that the engine does not know gets those it knows.
    pub(super) fn literal(&mut self, token: &Token) {
        let text = self.text_of(token);
        if ["\\a", "\\v", "\\N{", "\\\n", "\\\r\n"]
            .iter()
            .any(|escape| text.contains(escape))
        {
            let known = known_escapes(text);
            if known != text {
                self.edit(token.span.start, text.len(), &known, REPLACE);
            }
        }
    }
}

/// A literal with `\a`, `\v`, `\N{…}` and line ends behind a backslash in other words.
fn known_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let mut chars = after.chars();
        match chars.next() {
            Some('a') => out.push_str("\\u0007"),
            Some('v') => out.push_str("\\u000b"),
            Some('\n') => {}
            Some('\r') if after.starts_with("\r\n") => {
                chars.next();
            }
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out
}
