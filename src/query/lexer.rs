//! Text to tokens. Knows where a value starts: after a key's colon, a word may hold colons.

use super::{CHARS_MAX, QueryError};

/// A piece of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Open,
    Close,
    Comma,
    Not,
    And,
    Or,
    /// A key without its colon, in its dotted parts.
    Key(Vec<String>),
    Compare(Comparison),
    Word(String),
    Quoted(String),
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// A token and its first character, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) column: usize,
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    tokens: Vec<Placed>,
}

/// Splits a query.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, QueryError> {
    let chars: Vec<char> = text.chars().take(CHARS_MAX + 1).collect();
    if chars.len() > CHARS_MAX {
        let message = format!("a query has at most {CHARS_MAX} characters");
        return Err(QueryError::new(CHARS_MAX + 1, message));
    }
    let mut lexer = Lexer {
        chars,
        at: 0,
        tokens: Vec::new(),
    };
    while lexer.skip_blanks() {
        lexer.next()?;
    }
    Ok(lexer.tokens)
}

/// Whether a character cannot be in an unquoted word.
pub(super) fn ends_word(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '(' | ')' | ',' | '"')
}

impl Lexer {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn skip_blanks(&mut self) -> bool {
        while self
            .peek()
            .is_some_and(|c| c.is_whitespace() || c.is_control())
        {
            self.at += 1;
        }
        self.peek().is_some()
    }

    fn push(&mut self, token: Token, start: usize) {
        self.tokens.push(Placed {
            token,
            column: start + 1,
        });
    }

    fn one(&mut self, token: Token) {
        self.push(token, self.at);
        self.at += 1;
    }

    fn next(&mut self) -> Result<(), QueryError> {
        match self.peek() {
            Some('(') => self.one(Token::Open),
            Some(')') => self.one(Token::Close),
            Some(',') => self.one(Token::Comma),
            Some('-' | '!') => self.one(Token::Not),
            Some('"') => {
                let start = self.at;
                let text = self.quoted()?;
                self.push(Token::Quoted(text), start);
            }
            Some(_) => return self.word_or_key(),
            None => {}
        }
        Ok(())
    }

    /// A word, an operator in capitals, or a key with its value.
    fn word_or_key(&mut self) -> Result<(), QueryError> {
        let start = self.at;
        let mut parts = vec![String::new()];
        while let Some(c) = self.peek() {
            match c {
                ':' => {
                    self.at += 1;
                    self.push(Token::Key(parts), start);
                    return self.value();
                }
                '.' => {
                    self.at += 1;
                    parts.push(if self.peek() == Some('"') {
                        self.quoted()?
                    } else {
                        String::new()
                    });
                }
                c if ends_word(c) => break,
                c => {
                    self.at += 1;
                    if let Some(part) = parts.last_mut() {
                        part.push(c);
                    }
                }
            }
        }
        let word = parts.join(".");
        let token = match word.as_str() {
            "AND" => Token::And,
            "OR" => Token::Or,
            "NOT" => Token::Not,
            _ => Token::Word(word),
        };
        self.push(token, start);
        Ok(())
    }

    /// What follows a key's colon, without a blank between.
    fn value(&mut self) -> Result<(), QueryError> {
        let start = self.at;
        let comparison = match (self.peek(), self.chars.get(self.at + 1)) {
            (Some('>'), Some('=')) => Some((Comparison::GreaterOrEqual, 2)),
            (Some('<'), Some('=')) => Some((Comparison::LessOrEqual, 2)),
            (Some('>'), _) => Some((Comparison::Greater, 1)),
            (Some('<'), _) => Some((Comparison::Less, 1)),
            _ => None,
        };
        if let Some((comparison, length)) = comparison {
            self.at += length;
            self.push(Token::Compare(comparison), start);
        }
        match self.peek() {
            Some('(') => self.list(),
            Some(c) if c == '"' || !ends_word(c) => self.scalar(),
            _ => Err(
                QueryError::new(self.at + 1, "a key needs a value right after its colon")
                    .help("write event:value or event:\"a value with blanks\""),
            ),
        }
    }

    fn scalar(&mut self) -> Result<(), QueryError> {
        let start = self.at;
        if self.peek() == Some('"') {
            let text = self.quoted()?;
            self.push(Token::Quoted(text), start);
            return Ok(());
        }
        let mut word = String::new();
        while let Some(c) = self.peek().filter(|c| !ends_word(*c)) {
            word.push(c);
            self.at += 1;
        }
        if !word.is_empty() {
            self.push(Token::Word(word), start);
        }
        Ok(())
    }

    /// `(scalar, scalar …)`; what does not belong there is left to the parser, which knows the words for it.
    fn list(&mut self) -> Result<(), QueryError> {
        self.one(Token::Open);
        while self.skip_blanks() {
            match self.peek() {
                Some(')') => {
                    self.one(Token::Close);
                    return Ok(());
                }
                Some(',') => self.one(Token::Comma),
                Some('(') => self.one(Token::Open),
                _ => self.scalar()?,
            }
        }
        Ok(())
    }

    /// The text in quotes; `\"` and `\\` stand for `"` and `\`.
    fn quoted(&mut self) -> Result<String, QueryError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            match (c, self.peek()) {
                ('"', _) => return Ok(text),
                ('\\', Some(next @ ('"' | '\\'))) => {
                    self.at += 1;
                    text.push(next);
                }
                _ => text.push(c),
            }
        }
        Err(QueryError::new(start + 1, "this quote is never closed")
            .help("end the text with \"; inside it, write \\\" for a quote"))
    }
}
