//! Filters that change a text's letters and ends, as Python does. What is not text is printed first.

use super::args::{Args, bind, failed};
use super::codec::charge;
use crate::translate::{sink, text};
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, State};

/// Registers them.
pub(super) fn register(env: &mut Environment<'static>) {
    env.add_filter("upper", |v: &Value| {
        like(v, text::printed(v).to_uppercase())
    });
    env.add_filter("lower", |v: &Value| {
        like(v, text::printed(v).to_lowercase())
    });
    env.add_filter("title", |v: &Value| {
        like(v, title_filter(&text::printed(v)))
    });
    env.add_filter("capitalize", |v: &Value| {
        like(v, capitalize(&text::printed(v)))
    });
    env.add_filter("trim", |v: &Value, args: Args| {
        let args = bind(args, &["chars"])?;
        let text = text::printed(v);
        Ok::<_, Error>(like(
            v,
            strip(&text, args.string(0)?, true, true).to_owned(),
        ))
    });
    env.add_filter("replace", replace);
    env.add_filter("safe", |v: &Value| {
        Value::from_safe_string(text::printed(v))
    });
    for name in ["escape", "e"] {
        env.add_filter(name, |v: &Value| {
            if v.is_safe() {
                v.clone()
            } else {
                Value::from_safe_string(sink::html(&text::printed(v)))
            }
        });
    }
    env.add_filter("forceescape", |v: &Value| {
        Value::from_safe_string(sink::html(&text::printed(v)))
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
        let text = text::printed(v);
        if safe && !v.is_safe() {
            sink::html(&text)
        } else {
            text
        }
    };
    let count = match args.value(2) {
        Some(count) if !count.is_none() => args.int(2, -1)?,
        _ => -1,
    };
    let out = replaced(state, &escaped(value), &escaped(old), &escaped(new), count)?;
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
    let found = if old.is_empty() {
        text.chars().count() + 1
    } else {
        text.matches(old).take(count).count()
    };
    charge(
        state,
        text.len() + found.min(count).saturating_mul(new.len()),
    )?;
    Ok(text.replacen(old, new, count))
}
