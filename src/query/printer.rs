//! A tree back to text that parses to the same tree.

use super::lexer::ends_word;
use super::{Amounts, Expr, LabelField, Pattern, Query, Range, SinkState, Term, Words};
use super::{Has, Is};
use crate::model::{Outcome, time};
use jiff::Timestamp;
use std::fmt::{self, Display, Formatter, Write};

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.root().map_or(Ok(()), |root| root.fmt(f))
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) => join(f, parts, " ", |f, part| match part {
                Self::Any(_) => write!(f, "({part})"),
                Self::All(_) | Self::Not(_) | Self::Term(_) => part.fmt(f),
            }),
            Self::Any(parts) => join(f, parts, " OR ", |f, part| part.fmt(f)),
            Self::Not(part) => match &**part {
                Self::Term(term) => write!(f, "-{term}"),
                Self::All(_) | Self::Any(_) | Self::Not(_) => write!(f, "-({part})"),
            },
            Self::Term(term) => term.fmt(f),
        }
    }
}

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Self::Words(words) = self {
            return words.fmt(f);
        }
        self.fmt_key(f)?;
        match self {
            Self::Text(_, any) | Self::Label(_, any) | Self::Header(_, any) => {
                values(f, any, |f, pattern| pattern.fmt(f))
            }
            Self::Payload(_, any) => values(f, any, |f, pattern| match pattern.as_exact() {
                // Without quotes it would be a range.
                Some(text) if Amounts::between(text).is_some() => quote(f, text),
                _ => pattern.fmt(f),
            }),
            Self::Amount(_, range) => range.fmt(f),
            Self::Words(_) => Ok(()),
            Self::Outcome(any) => {
                values(f, any, |f, outcome: &Outcome| f.write_str(outcome.as_str()))
            }
            Self::Has(any) => values(f, any, |f, has: &Has| f.write_str(has.as_str())),
            Self::Is(any) => values(f, any, |f, is: &Is| f.write_str(is.as_str())),
            Self::Sink(_, any) => {
                values(f, any, |f, state: &SinkState| f.write_str(state.as_str()))
            }
            Self::Uuid(_, any) => values(f, any, |f, id| id.fmt(f)),
            Self::Seq(any) | Self::Status(any) => {
                values(f, any, |f, range| span(f, *range, |n| n.to_string()))
            }
            Self::Time(_, range) => span(f, *range, |micros| {
                Timestamp::from_microsecond(micros).map_or_else(|_| String::new(), time::to_rfc3339)
            }),
        }
    }
}

impl Term {
    /// The key as written, with its colon.
    fn fmt_key(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())?;
        let parts = match self {
            Self::Label(LabelField::Resource(name) | LabelField::Role(name), _)
            | Self::Header(name, _)
            | Self::Sink(Some(name), _) => std::slice::from_ref(name),
            Self::Payload(path, _) | Self::Amount(path, _) => path.as_slice(),
            _ => &[],
        };
        for part in parts {
            f.write_char('.')?;
            let odd = |c: char| ends_word(c) || matches!(c, '.' | ':' | '\\');
            if part.is_empty() || part.chars().any(odd) {
                quote(f, part)?;
            } else {
                f.write_str(part)?;
            }
        }
        f.write_char(':')
    }
}

impl Display for Words {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.words() {
            [only] => {
                f.write_str(only)?;
                f.write_str(if self.is_prefix() { "*" } else { "" })
            }
            words if self.is_prefix() => write!(f, "{}*", words.join(".")),
            words => quote(f, &words.join(" ")),
        }
    }
}

impl Display for Amounts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sign = |inside: bool| if inside { "=" } else { "" };
        match (self.from, self.to) {
            (Some(from), Some(to)) => write!(f, "{}..{}", from.number.get(), to.number.get()),
            (Some(from), None) => write!(f, ">{}{}", sign(from.inside), from.number.get()),
            (None, Some(to)) => write!(f, "<{}{}", sign(to.inside), to.number.get()),
            (None, None) => Ok(()),
        }
    }
}

impl Display for Pattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.as_exact().is_some_and(|text| !is_word(text)) {
            return quote(f, self.prefix());
        }
        join(f, &self.parts().collect::<Vec<_>>(), "*", |f, part| {
            f.write_str(part)
        })
    }
}

/// Whether an exact text can stand without quotes.
fn is_word(text: &str) -> bool {
    let odd = |c: char| ends_word(c) || c == '*';
    !text.is_empty() && !text.starts_with(['>', '<']) && !text.chars().any(odd)
}

fn quote(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char('"')
}

fn span(f: &mut Formatter<'_>, range: Range, print: impl Fn(i64) -> String) -> fmt::Result {
    let end = |end: Option<i64>| end.map_or_else(String::new, &print);
    match (range.from, range.to) {
        (Some(from), Some(to)) if from == to => f.write_str(&print(from)),
        (from, to) => write!(f, "{}..{}", end(from), end(to)),
    }
}

fn values<T>(
    f: &mut Formatter<'_>,
    any: &[T],
    print: impl Fn(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    if let [only] = any {
        return print(f, only);
    }
    f.write_char('(')?;
    join(f, any, ",", print)?;
    f.write_char(')')
}

fn join<T>(
    f: &mut Formatter<'_>,
    parts: &[T],
    between: &str,
    print: impl Fn(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            f.write_str(between)?;
        }
        print(f, part)?;
    }
    Ok(())
}
