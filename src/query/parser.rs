//! Tokens to a tree, by recursive descent over the grammar.

use super::keys::Key;
use super::lexer::{Comparison, Placed, Token, tokens};
use super::values::{self, Scalar};
use super::{DEPTH_MAX, Expr, QueryError, Term, VALUES_MAX};
use jiff::Timestamp;

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Placed>>,
    /// Column after the last character, for what is missing at the end.
    end: usize,
    now: Timestamp,
    depth: usize,
    values: usize,
}

/// Parses a query; blank gives none.
pub(super) fn parse(text: &str, now: Timestamp) -> Result<Option<Expr>, QueryError> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Ok(None);
    }
    let mut parser = Parser {
        tokens: tokens.into_iter().peekable(),
        end: text.trim_end().chars().count() + 1,
        now,
        depth: 0,
        values: 0,
    };
    let root = parser.any()?;
    match parser.tokens.next() {
        None => Ok(Some(root)),
        Some(extra) => Err(unexpected(&extra)),
    }
}

impl Parser {
    fn peek(&mut self) -> Option<&Token> {
        self.tokens.peek().map(|placed| &placed.token)
    }

    fn missing(&self, what: &str) -> QueryError {
        QueryError::new(self.end, format!("{what} is missing"))
    }

    fn any(&mut self) -> Result<Expr, QueryError> {
        let mut parts = vec![self.all()?];
        while self.peek() == Some(&Token::Or) {
            self.tokens.next();
            parts.push(self.all()?);
        }
        Ok(Expr::any(parts))
    }

    fn all(&mut self) -> Result<Expr, QueryError> {
        let mut parts = vec![self.not()?];
        loop {
            match self.peek() {
                Some(Token::And) => {
                    self.tokens.next();
                }
                None | Some(Token::Or | Token::Close | Token::Comma) => break,
                Some(_) => {}
            }
            parts.push(self.not()?);
        }
        Ok(Expr::all(parts))
    }

    fn not(&mut self) -> Result<Expr, QueryError> {
        if self.peek() == Some(&Token::Not) {
            self.tokens.next();
            return Ok(Expr::Not(Box::new(self.atom()?)));
        }
        self.atom()
    }

    fn atom(&mut self) -> Result<Expr, QueryError> {
        let Some(placed) = self.tokens.next() else {
            return Err(self.missing("a term"));
        };
        match placed.token {
            Token::Open => self.group(placed.column),
            Token::Key(parts) => self.term(&parts, placed.column).map(Expr::Term),
            Token::Word(text) => self.words(text, false, placed.column),
            Token::Quoted(text) => self.words(text, true, placed.column),
            Token::Close
            | Token::Comma
            | Token::Not
            | Token::And
            | Token::Or
            | Token::Compare(_) => Err(unexpected(&placed)),
        }
    }

    fn group(&mut self, column: usize) -> Result<Expr, QueryError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!("parentheses go at most {DEPTH_MAX} deep");
            return Err(QueryError::new(column, message));
        }
        let inner = self.any()?;
        self.depth -= 1;
        match self.tokens.next() {
            Some(placed) if placed.token == Token::Close => Ok(inner),
            Some(placed) => Err(unexpected(&placed)),
            None => Err(QueryError::new(column, "this parenthesis is never closed")),
        }
    }

    fn words(&mut self, text: String, quoted: bool, column: usize) -> Result<Expr, QueryError> {
        let term = values::words(&Scalar {
            text,
            quoted,
            column,
        })?;
        self.count(&term, column)?;
        Ok(Expr::Term(term))
    }

    fn count(&mut self, term: &Term, column: usize) -> Result<(), QueryError> {
        self.values += term.values();
        if self.values > VALUES_MAX {
            let message = format!("a query has at most {VALUES_MAX} values");
            return Err(QueryError::new(column, message));
        }
        Ok(())
    }

    fn term(&mut self, key: &[String], column: usize) -> Result<Term, QueryError> {
        let name = &Key::new(key, column)?;
        let after_key = column + key.iter().map(|p| p.chars().count() + 1).sum::<usize>();
        let comparison = self.comparison();
        let term = match self.peek() {
            Some(Token::Open) => {
                let list = self.list()?;
                if comparison.is_some() {
                    let message = "a list cannot be compared with > or <";
                    return Err(QueryError::new(after_key, message));
                }
                values::list(name, &list, self.now)?
            }
            Some(Token::Word(_) | Token::Quoted(_)) => {
                let scalar = self.scalar()?;
                values::scalar(name, comparison, &scalar, self.now)?
            }
            _ => return Err(QueryError::new(after_key, "a value is missing")),
        };
        self.count(&term, column)?;
        Ok(term)
    }

    fn comparison(&mut self) -> Option<Comparison> {
        match self.peek() {
            Some(Token::Compare(comparison)) => {
                let comparison = *comparison;
                self.tokens.next();
                Some(comparison)
            }
            _ => None,
        }
    }

    fn scalar(&mut self) -> Result<Scalar, QueryError> {
        match self.tokens.next() {
            Some(Placed {
                token: Token::Word(text),
                column,
            }) => Ok(Scalar {
                text,
                quoted: false,
                column,
            }),
            Some(Placed {
                token: Token::Quoted(text),
                column,
            }) => Ok(Scalar {
                text,
                quoted: true,
                column,
            }),
            Some(placed) => Err(unexpected(&placed)),
            None => Err(self.missing("a value")),
        }
    }

    fn list(&mut self) -> Result<Vec<Scalar>, QueryError> {
        self.tokens.next();
        let mut scalars = Vec::new();
        loop {
            scalars.push(self.scalar()?);
            match self.tokens.next() {
                Some(placed) if placed.token == Token::Comma => {}
                Some(placed) if placed.token == Token::Close => return Ok(scalars),
                Some(placed) => {
                    return Err(
                        unexpected(&placed).help("values of a list are separated by commas")
                    );
                }
                None => return Err(self.missing("the list's `)`")),
            }
        }
    }
}

fn unexpected(placed: &Placed) -> QueryError {
    let (what, help) = match &placed.token {
        Token::Open => ("(".to_owned(), None),
        Token::Close => (
            ")".to_owned(),
            Some("there is no open parenthesis to close here"),
        ),
        Token::Comma => (
            ",".to_owned(),
            Some("write a list in parentheses, event:(a,b), or quote a value that holds a comma"),
        ),
        Token::Not => (
            "a second negation".to_owned(),
            Some("one of -, ! and NOT is enough"),
        ),
        Token::And => ("AND".to_owned(), Some("AND stands between two terms")),
        Token::Or => ("OR".to_owned(), Some("OR stands between two terms")),
        Token::Key(parts) => (format!("{}:", parts.join(".")), None),
        Token::Compare(_) => ("a comparison".to_owned(), None),
        Token::Word(text) | Token::Quoted(text) => (text.chars().take(40).collect(), None),
    };
    let error = QueryError::new(placed.column, format!("`{what}` is not expected here"));
    match help {
        Some(help) => error.help(help),
        None => error,
    }
}
