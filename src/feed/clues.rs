//! What the text index is asked for a query: an expression that every match fulfils, and others may too.

use super::text::{Place, UNWHOLE, canonical, token};
use crate::query::words::split;
use crate::query::{Expr, LabelField, Number, Pattern, Query, Term, TextField, UuidField, Words};

/// Characters of a word's beginning from which on the index is asked: shorter ones are nearly everywhere.
const PREFIX_CHARS_MIN: usize = 3;

/// The expression; none: the index cannot narrow it.
pub(super) fn of(query: &Query) -> Option<String> {
    let wanted = of_expr(query.root()?)?;
    Some(format!("({wanted}) OR {}", word(UNWHOLE)))
}

fn of_expr(expr: &Expr) -> Option<String> {
    match expr {
        Expr::All(parts) => {
            let parts: Vec<String> = parts.iter().filter_map(of_expr).collect();
            join(parts, " AND ")
        }
        Expr::Any(parts) => {
            let parts: Option<Vec<String>> = parts.iter().map(of_expr).collect();
            join(parts?, " OR ")
        }
        Expr::Not(_) => None,
        Expr::Term(term) => of_term(term),
    }
}

fn of_term(term: &Term) -> Option<String> {
    match term {
        Term::Words(words) => of_words(words),
        Term::Label(LabelField::Related, any) => any_of(any, Place::Related),
        Term::Label(LabelField::Role(role), any) => any_of(any, Place::Role(role)),
        Term::Label(LabelField::Resource(name), any) => any_of(any, Place::Label(name)),
        Term::Payload(path, any) => of_payload(path, any),
        Term::Text(TextField::Ip, any) => {
            let tokens = any
                .iter()
                .map(|p| p.as_exact().map(|ip| word(&token(Place::Ip, ip))));
            join(tokens.collect::<Option<Vec<_>>>()?, " OR ")
        }
        Term::Uuid(UuidField::Follows, any) => {
            let tokens = any
                .iter()
                .map(|id| word(&token(Place::Follows, &id.to_string())));
            join(tokens.collect(), " OR ")
        }
        Term::Text(..)
        | Term::Amount(..)
        | Term::Header(..)
        | Term::Outcome(_)
        | Term::Uuid(..)
        | Term::Seq(_)
        | Term::Status(_)
        | Term::Time(..)
        | Term::Has(_)
        | Term::Is(_)
        | Term::Sink(..) => None,
    }
}

fn of_words(words: &Words) -> Option<String> {
    let mut all = words.words().to_vec();
    let last = words.is_prefix().then(|| all.pop()).flatten();
    let mut parts: Vec<String> = all.iter().map(|each| word(each)).collect();
    parts.extend(last.and_then(|last| beginning(&last)));
    join(parts, " AND ")
}

fn any_of(any: &[Pattern], place: Place<'_>) -> Option<String> {
    let parts = any.iter().map(|pattern| match pattern.as_exact() {
        Some(text) => Some(word(&token(place, text))),
        None => of_pattern(pattern),
    });
    join(parts.collect::<Option<Vec<_>>>()?, " OR ")
}

fn of_payload(path: &[String], any: &[Pattern]) -> Option<String> {
    // A number may be an index, which tokens do not have.
    let indexed = path.iter().any(|part| part.parse::<usize>().is_ok());
    let place: String = path.iter().flat_map(|part| ["\n", part]).collect();
    let parts = any.iter().map(|pattern| match pattern.as_exact() {
        Some(text) if !indexed => {
            let exact = word(&token(Place::Payload(&place), text));
            let number = Number::parse(text).map(|n| canonical(n.get()));
            Some(match number.filter(|number| number != text) {
                Some(number) => {
                    let number = word(&token(Place::Payload(&place), &number));
                    format!("({exact} OR {number})")
                }
                None => exact,
            })
        }
        // 5 is 5.0 there, whose words are others; null is no word.
        Some(text) if Number::parse(text).is_some() => None,
        _ if pattern.matches("null") => None,
        _ => of_pattern(pattern),
    });
    join(parts.collect::<Option<Vec<_>>>()?, " OR ")
}

/// The words that every text has that fits.
fn of_pattern(pattern: &Pattern) -> Option<String> {
    let pieces: Vec<&str> = pattern.parts().collect();
    let mut parts = Vec::new();
    for (i, piece) in pieces.iter().enumerate() {
        let mut words: Vec<String> = split(piece).collect();
        let open_end = i + 1 < pieces.len() && piece.ends_with(char::is_alphanumeric);
        let last = open_end.then(|| words.pop()).flatten();
        let open_start = i > 0 && piece.starts_with(char::is_alphanumeric);
        if open_start && words.is_empty() {
            // One word, open at both ends.
            continue;
        }
        let words = words.iter().skip(usize::from(open_start));
        parts.extend(words.map(|each| word(each)));
        parts.extend(last.and_then(|last| beginning(&last)));
    }
    join(parts, " AND ")
}

fn beginning(text: &str) -> Option<String> {
    (text.chars().count() >= PREFIX_CHARS_MIN).then(|| format!("{} *", word(text)))
}

/// Words hold letters and digits, tokens `_` beside: nothing to escape.
fn word(text: &str) -> String {
    format!("\"{text}\"")
}

fn join(parts: Vec<String>, between: &str) -> Option<String> {
    match parts.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        _ => Some(format!("({})", parts.join(between))),
    }
}
