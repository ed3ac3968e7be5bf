//! Filters that change a text's letters and ends, as Python does. What is not text is printed first.

use super::args::{Args, bind, failed};
use super::cost::{charge, printed, printed_for};
use crate::translate::sink;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, State};

/// What a filter makes of a text.
type Change = fn(&str) -> String;

/// What a byte costs where each letter is looked up.
const LETTERS: usize = 3;

/// Registers them.
pub(super) fn register(env: &mut Environment<'static>) {
    let changes: [(&'static str, Change); 4] = [
        ("upper", str::to_uppercase),
        ("lower", str::to_lowercase),
        ("title", title_filter),
        ("capitalize", capitalize),
    ];
    for (name, change) in changes {
        env.add_filter(name, move |s: &State, v: &Value| {
            Ok::<_, Error>(like(v, change(&printed_for(s, v, LETTERS)?)))
        });
    }
    env.add_filter("trim", |s: &State, v: &Value, args: Args| {
        let args = bind(args, &["chars"])?.pay(s)?;
        Ok::<_, Error>(like(
            v,
            strip(&printed(s, v)?, args.string(0)?, true, true).to_owned(),
        ))
    });
    env.add_filter("replace", replace);
    env.add_filter("safe", |s: &State, v: &Value| {
        Ok::<_, Error>(Value::from_safe_string(printed(s, v)?.into_owned()))
    });
    for name in ["escape", "e"] {
        env.add_filter(name, |s: &State, v: &Value| {
            Ok::<_, Error>(if v.is_safe() {
                v.clone()
            } else {
                Value::from_safe_string(sink::html(&printed_for(s, v, LETTERS)?))
            })
        });
    }
    env.add_filter("forceescape", |s: &State, v: &Value| {
        Ok::<_, Error>(Value::from_safe_string(sink::html(&printed_for(
            s, v, LETTERS,
        )?)))
    });
}

/// A text that is as safe as the value it was made from.
pub(super) fn like(value: &Value, text: String) -> Value {
    if value.is_safe() {
        Value::from_safe_string(text)
    } else {
        Value::from(text)
    }
}

/// White space in Python's sense.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Takes characters off the ends of a text; white space where none are named.
pub(super) fn strip<'t>(text: &'t str, chars: Option<&str>, left: bool, right: bool) -> &'t str {
    let off = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
    let text = if left {
        text.trim_start_matches(off)
    } else {
        text
    };
    if right {
        text.trim_end_matches(off)
    } else {
        text
    }
}

/// A character as it begins a word: `ǆ` becomes `ǅ`, `ß` becomes `Ss`.
fn push_title(out: &mut String, c: char) {
    match c {
        'Ǆ' | 'ǅ' | 'ǆ' => out.push('ǅ'),
        'Ǉ' | 'ǈ' | 'ǉ' => out.push('ǈ'),
        'Ǌ' | 'ǋ' | 'ǌ' => out.push('ǋ'),
        'Ǳ' | 'ǲ' | 'ǳ' => out.push('ǲ'),
        'ŉ' => out.push_str("ʼN"),
        c => {
            let mut upper = c.to_uppercase();
            out.extend(upper.next());
            upper.for_each(|c| out.extend(c.to_lowercase()));
        }
    }
}

/// Python's `str.capitalize`. The rest is made small as a part of the whole, since a final `Σ` looks back.
pub(super) fn capitalize(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let Some(first) = text.chars().next() else {
        return out;
    };
    push_title(&mut out, first);
    let small = text.to_lowercase();
    let own: usize = first.to_lowercase().map(char::len_utf8).sum();
    out.push_str(small.get(own..).unwrap_or(""));
    out
}

/// The methods that change nothing but the case.
pub(super) fn cased(text: &str, method: &str) -> String {
    match method {
        "title" => title_method(text),
        "capitalize" => capitalize(text),
        "upper" => text.to_uppercase(),
        "lower" => text.to_lowercase(),
        "casefold" => casefold(text),
        _ => swapcase(text),
    }
}

/// Letters that become several when they are made large are compared by those.
fn casefold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'ς' => out.push('σ'),
            'ſ' => out.push('s'),
            'µ' => out.push('μ'),
            'ẞ' => out.push_str("ss"),
            c if c.to_uppercase().len() > 1 => {
                c.to_uppercase().for_each(|c| out.extend(c.to_lowercase()));
            }
            c => out.extend(c.to_lowercase()),
        }
    }
    out
}

fn swapcase(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if c == 'Σ' {
            // Its small form is another one at the end of a word.
            let end = at + c.len_utf8();
            let before = text.get(..at).unwrap_or("").to_lowercase();
            let with = text.get(..end).unwrap_or("").to_lowercase();
            let follows = text
                .get(end..)
                .is_some_and(|t| t.starts_with(char::is_alphabetic));
            let small = with.get(before.len()..).unwrap_or("σ");
            out.push_str(if follows { "σ" } else { small });
        } else if c.is_uppercase() {
            out.extend(c.to_lowercase());
        } else if c.is_lowercase() {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
    }
    out
}

/// Python's `str.title`: a letter after anything but a letter begins a word.
pub(super) fn title_method(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        let cased = c.is_lowercase() || c.is_uppercase() || matches!(c, 'ǅ' | 'ǈ' | 'ǋ' | 'ǲ');
        if cased && inside {
            out.extend(c.to_lowercase());
        } else if cased {
            push_title(&mut out, c);
        } else {
            out.push(c);
        }
        inside = cased;
    }
    out
}

/// Jinja2's `title`: words begin behind white space, `-` and opening brackets.
fn title_filter(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(|c: char| is_space(c) || "-({[<".contains(c)) {
        let mut chars = word.chars();
        if let Some(first) = chars.next() {
            out.extend(first.to_uppercase());
            out.push_str(&chars.as_str().to_lowercase());
        }
    }
    out
}

fn replace(state: &State, value: &Value, args: Args) -> Result<Value, Error> {
    let args = bind(args, &["old", "new", "count"])?;
    let (Some(old), Some(new)) = (args.value(0), args.value(1)) else {
        return Err(failed("replace needs what to replace, and by what"));
    };
    let escapes = matches!(state.auto_escape(), AutoEscape::Html);
    let safe = escapes && (value.is_safe() || old.is_safe() || new.is_safe());
    let escaped = |v: &Value| {
        let text = printed(state, v)?;
        Ok::<_, Error>(if safe && !v.is_safe() {
            sink::html(&text)
        } else {
            text.into_owned()
        })
    };
    let count = match args.value(2) {
        Some(count) if !count.is_none() => args.int(2, -1)?,
        _ => -1,
    };
    let out = replaced(
        state,
        &escaped(value)?,
        &escaped(old)?,
        &escaped(new)?,
        count,
    )?;
    Ok(if safe {
        Value::from_safe_string(out)
    } else {
        Value::from(out)
    })
}

/// Python's `str.replace`; a negative count is all.
pub(super) fn replaced(
    state: &State,
    text: &str,
    old: &str,
    new: &str,
    count: i64,
) -> Result<String, Error> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    charge(state, text.len() + old.len())?;
    let found = if old.is_empty() {
        text.chars().count() + 1
    } else {
        text.matches(old).take(count).count()
    };
    charge(
        state,
        text.len() + found.min(count).saturating_mul(new.len() + 16),
    )?;
    Ok(text.replacen(old, new, count))
}
