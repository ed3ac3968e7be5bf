//! A template's text as segments and tokens: as much of Jinja's lexer as is needed to look at a template before it is compiled.

use std::ops::Range;

/// What a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SegmentKind {
    /// Text that is printed as it is.
    Text,
    /// `{{ … }}`.
    Print,
    /// `{% … %}`.
    Block,
    /// `{# … #}`.
    Comment,
}

/// A piece of a template.
#[derive(Debug)]
pub(crate) struct Segment {
    /// What it is.
    pub(crate) kind: SegmentKind,
    /// Bytes of the whole piece.
    pub(crate) span: Range<usize>,
    /// Bytes between the delimiters (of text: all of it).
    pub(crate) inner: Range<usize>,
    /// Tokens between the delimiters.
    pub(crate) tokens: Vec<Token>,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A name or keyword.
    Name,
    /// A string literal with its quotes.
    Text,
    /// A number.
    Number,
    /// One character of an operator or bracket.
    Sign(u8),
}

/// A token.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// What it is.
    pub(crate) kind: TokenKind,
    /// Its bytes.
    pub(crate) span: Range<usize>,
}

impl Token {
    /// Its text.
    pub(crate) fn text<'s>(&self, source: &'s str) -> &'s str {
        source.get(self.span.clone()).unwrap_or("")
    }

    /// Whether it is this character.
    pub(crate) fn is(&self, sign: u8) -> bool {
        self.kind == TokenKind::Sign(sign)
    }
}

impl Segment {
    /// The first name of a block: `set`, `macro` …
    pub(crate) fn keyword<'s>(&self, source: &'s str) -> &'s str {
        match self.tokens.first() {
            Some(token) if self.kind == SegmentKind::Block && token.kind == TokenKind::Name => {
                token.text(source)
            }
            _ => "",
        }
    }
}

/// The segments of a template; none where it is not closed properly (the engine then says where).
pub(crate) fn segments(source: &str) -> Option<Vec<Segment>> {
    let bytes = source.as_bytes();
    let mut segments = Vec::new();
    let (mut at, mut text_from) = (0, 0);
    while let Some(offset) = source.get(at..)?.find('{') {
        let open = at + offset;
        let kind = match bytes.get(open + 1) {
            Some(b'{') => SegmentKind::Print,
            Some(b'%') => SegmentKind::Block,
            Some(b'#') => SegmentKind::Comment,
            _ => {
                at = open + 1;
                continue;
            }
        };
        push_text(&mut segments, text_from..open);
        let segment = if kind == SegmentKind::Comment {
            let end = open + source.get(open..)?.find("#}")? + 2;
            Segment {
                kind,
                span: open..end,
                inner: open + 2..end - 2,
                tokens: Vec::new(),
            }
        } else {
            inside(source, open, kind)?
        };
        at = segment.span.end;
        text_from = at;
        let raw = segment.keyword(source) == "raw";
        segments.push(segment);
        if raw {
            let close = at + source.get(at..)?.find("endraw")?;
            let open = source.get(..close)?.rfind("{%")?;
            push_text(&mut segments, at..open);
            at = close + source.get(close..)?.find("%}")? + 2;
            text_from = at;
        }
    }
    push_text(&mut segments, text_from..source.len());
    Some(segments)
}

fn push_text(segments: &mut Vec<Segment>, span: Range<usize>) {
    if !span.is_empty() {
        segments.push(Segment {
            kind: SegmentKind::Text,
            span: span.clone(),
            inner: span,
            tokens: Vec::new(),
        });
    }
}

/// Reads from `{{` or `{%` to its end.
fn inside(source: &str, open: usize, kind: SegmentKind) -> Option<Segment> {
    let bytes = source.as_bytes();
    let close: &[u8] = if kind == SegmentKind::Print {
        b"}}"
    } else {
        b"%}"
    };
    let mut at = open + 2;
    if matches!(bytes.get(at), Some(b'-' | b'+')) {
        at += 1;
    }
    let from = at;
    let mut tokens = Vec::new();
    let mut depth = 0_usize;
    loop {
        let byte = *bytes.get(at)?;
        let rest = bytes.get(at..)?;
        if depth == 0 {
            let marked = matches!(byte, b'-' | b'+') && rest.get(1..)?.starts_with(close);
            if marked || rest.starts_with(close) {
                let end = at + close.len() + usize::from(marked);
                return Some(Segment {
                    kind,
                    span: open..end,
                    inner: from..at,
                    tokens,
                });
            }
        }
        let start = at;
        let token = match byte {
            b'\'' | b'"' => {
                at = string_end(bytes, at)?;
                TokenKind::Text
            }
            b'0'..=b'9' => {
                at += rest
                    .iter()
                    .enumerate()
                    .take_while(|(i, b)| {
                        b.is_ascii_alphanumeric()
                            || **b == b'_'
                            || (**b == b'.' && rest.get(i + 1).is_some_and(u8::is_ascii_digit))
                    })
                    .count();
                TokenKind::Number
            }
            _ if byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii() => {
                at += rest
                    .iter()
                    .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_' || !b.is_ascii())
                    .count();
                TokenKind::Name
            }
            _ => {
                at += 1;
                match byte {
                    b'(' | b'[' | b'{' => depth += 1,
                    b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                    b' ' | b'\n' | b'\r' | b'\t' => continue,
                    _ => {}
                }
                TokenKind::Sign(byte)
            }
        };
        tokens.push(Token {
            kind: token,
            span: start..at,
        });
    }
}

fn string_end(bytes: &[u8], open: usize) -> Option<usize> {
    let quote = *bytes.get(open)?;
    let mut at = open + 1;
    loop {
        match *bytes.get(at)? {
            b'\\' => at += 2,
            byte if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// The index behind the bracket that closes the one at `open`.
pub(crate) fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            TokenKind::Sign(b'(' | b'[' | b'{') => depth += 1,
            TokenKind::Sign(b')' | b']' | b'}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(i + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pieces() {
        let source =
            r#"a{{- x|f("}}", {"k": 1}) -}} {# {{ #}{% raw %}{{ no }}{% endraw %}b{ {% if 1.5 %}"#;
        let found: Vec<_> = segments(source)
            .unwrap()
            .iter()
            .map(|s| (s.kind, source.get(s.inner.clone()).unwrap().to_owned()))
            .collect();
        use SegmentKind::*;
        let want = [
            (Text, "a"),
            (Print, " x|f(\"}}\", {\"k\": 1}) "),
            (Text, " "),
            (Comment, " {{ "),
            (Block, " raw "),
            (Text, "{{ no }}"),
            (Text, "b{ "),
            (Block, " if 1.5 "),
        ];
        assert_eq!(found, want.map(|(k, t)| (k, t.to_owned())));
        assert!(segments("{{ 'a }}").is_none() && segments("{% if").is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_read(source in r#"(\{\{|\}\}|\{%|%\}|\{#|#\}|raw|endraw|"|'|\\|é|\||[a-z(){}\[\] .0-9-]){0,40}"#) {
            let _ = segments(&source);
        }
    }
}
