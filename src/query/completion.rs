//! What stands at the cursor of a query that is being written: a key, or a value of one.

use super::lexer::ends_word;

/// What can be completed, and which characters it replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// What it is.
    pub what: Partial,
    /// First character that is replaced, from 0.
    pub from: usize,
    /// Character behind the last one that is replaced.
    pub to: usize,
    /// The query without the term that is being written.
    pub rest: String,
}

/// A part of a term, as far as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Partial {
    /// A key, or a word of free text.
    Key(String),
    /// A value.
    Value {
        /// The key in its dotted parts.
        key: Vec<String>,
        /// As far as it is written, without the quote it begins with.
        text: String,
    },
}

/// What stands at the cursor, a number of characters from 0.
#[must_use]
pub fn spot(text: &str, cursor: usize) -> Spot {
    let chars: Vec<char> = text.chars().take(super::CHARS_MAX).collect();
    let cursor = cursor.min(chars.len());
    let term = term_at(&chars, cursor);
    let slice = |from: usize, to: usize| -> String {
        chars
            .iter()
            .skip(from)
            .take(to.saturating_sub(from))
            .collect()
    };
    let (before, behind) = (slice(0, term.cut), slice(term.end, chars.len()));
    let rest = format!("{} {}", before.trim_end(), behind.trim_start());
    let rest = rest.trim().to_owned();
    match term.value {
        None => Spot {
            what: Partial::Key(slice(term.start, cursor)),
            from: term.start,
            to: term.end,
            rest,
        },
        Some(value) => {
            let quoted = chars.get(value.start) == Some(&'"');
            Spot {
                what: Partial::Value {
                    key: parts(&slice(term.start, value.colon)),
                    text: slice(value.start + usize::from(quoted), cursor),
                },
                from: value.start,
                to: value.end,
                rest,
            }
        }
    }
}

#[derive(Debug, Default)]
struct Term {
    /// Where it begins with its sign, and without.
    cut: usize,
    start: usize,
    end: usize,
    value: Option<Value>,
}

#[derive(Debug, Default)]
struct Value {
    colon: usize,
    start: usize,
    end: usize,
}

/// The term that holds the cursor, or an empty one there.
fn term_at(chars: &[char], cursor: usize) -> Term {
    let mut at = 0;
    while at < chars.len() {
        let Some(c) = chars.get(at) else { break };
        if c.is_whitespace() || matches!(c, '(' | ')' | ',') {
            if at >= cursor {
                break;
            }
            at += 1;
            continue;
        }
        let term = read_term(chars, at, cursor);
        if cursor >= term.cut && cursor <= term.end {
            return term;
        }
        if term.cut > cursor {
            break;
        }
        at = term.end.max(at + 1);
    }
    Term {
        cut: cursor,
        start: cursor,
        end: cursor,
        value: None,
    }
}

fn read_term(chars: &[char], cut: usize, cursor: usize) -> Term {
    let mut at = cut;
    while matches!(chars.get(at), Some('-' | '!')) {
        at += 1;
    }
    let start = at;
    let mut term = Term {
        cut,
        start,
        end: start,
        value: None,
    };
    while let Some(c) = chars.get(at) {
        match c {
            '"' => at = after_quote(chars, at),
            ':' => {
                let colon = at;
                return with_value(chars, term, colon, cursor);
            }
            c if ends_word(*c) => break,
            _ => at += 1,
        }
    }
    term.end = at;
    term
}

fn with_value(chars: &[char], mut term: Term, colon: usize, cursor: usize) -> Term {
    let mut at = colon + 1;
    while matches!(chars.get(at), Some('>' | '<' | '=')) {
        at += 1;
    }
    let list = chars.get(at) == Some(&'(');
    at += usize::from(list);
    let mut value = Value {
        colon,
        start: at,
        end: at,
    };
    loop {
        while list && chars.get(at).is_some_and(|c| c.is_whitespace()) {
            at += 1;
        }
        let start = at;
        if chars.get(at) == Some(&'"') {
            at = after_quote(chars, at);
        }
        while chars.get(at).is_some_and(|c| !ends_word(*c)) {
            at += 1;
        }
        if cursor >= start {
            (value.start, value.end) = (start, at);
        }
        if !list || chars.get(at) != Some(&',') {
            break;
        }
        at += 1;
    }
    term.end = at + usize::from(list && chars.get(at) == Some(&')') && cursor > at);
    if list && chars.get(at) == Some(&')') {
        term.end = at + 1;
    }
    // A cursor in the key completes the key.
    if cursor > colon {
        term.value = Some(value);
    } else {
        term.end = colon + 1;
    }
    term
}

fn after_quote(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(c) = chars.get(at) {
        at += 1;
        match c {
            '"' => return at,
            '\\' => at += 1,
            _ => {}
        }
    }
    at.min(chars.len())
}

/// A key as written in its parts.
fn parts(key: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = key.chars();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            '\\' if quoted => {
                if let (Some(last), Some(next)) = (parts.last_mut(), chars.next()) {
                    last.push(next);
                }
            }
            c => {
                if let Some(last) = parts.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> (String, String) {
        let cursor = text.chars().position(|c| c == '|').unwrap();
        let spot = spot(&text.replace('|', ""), cursor);
        let what = match spot.what {
            Partial::Key(text) => format!("key {text}"),
            Partial::Value { key, text } => format!("{} = {text}", key.join("/")),
        };
        (format!("{what} [{}..{}]", spot.from, spot.to), spot.rest)
    }

    #[test]
    fn what_stands_at_the_cursor() {
        for (text, what, rest) in [
            ("|", "key  [0..0]", ""),
            ("eve|", "key eve [0..3]", ""),
            ("event:a we|", "key we [8..10]", "event:a"),
            ("event:a -we|b event:c", "key we [9..12]", "event:a event:c"),
            ("event:|", "event =  [6..6]", ""),
            ("webhook:x event:git|", "event = git [16..19]", "webhook:x"),
            ("(event:gi|)", "event = gi [7..9]", "( )"),
            ("outcome:(parked,re|)", "outcome = re [16..18]", ""),
            ("outcome:(parked, |", "outcome =  [17..17]", ""),
            ("event:\"a b|", "event = a b [6..10]", ""),
            ("payload.\"a.b\".c:x|", "payload/a.b/c = x [16..17]", ""),
            ("received:>-1|", "received = -1 [10..12]", ""),
            ("ev|ent:a x", "key ev [0..6]", "a x"),
            ("event:a | b", "key  [8..8]", "event:a b"),
        ] {
            let found = shown(text);
            assert_eq!((found.0.as_str(), found.1.as_str()), (what, rest), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_a_spot(text in "([-!(),\"\\\\:.<> ]|event|é){0,16}", cursor in 0_usize..40) {
            let spot = spot(&text, cursor);
            prop_assert!(spot.from <= spot.to && spot.to <= text.chars().count());
        }
    }
}
