//! Python's methods of strings, lists, dicts and numbers that people write in Jinja, beside those of `minijinja-contrib`.

use super::args::{WIDTH_MAX, bind_values, failed, width};
use super::codec::charge;
use super::words::center;
use super::{numbers, pyformat};
use crate::translate::text;
use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

/// The callback for methods that a value itself has not.
///
/// # Errors
/// Unknown methods, and arguments that do not fit.
pub(super) fn call(
    state: &mut State,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let own = match value.kind() {
        ValueKind::String => match value.as_str() {
            Some(text) => string(state, text, method, args)?,
            None => None,
        },
        ValueKind::Seq => list(state, value, method, args)?,
        ValueKind::Map if method == "copy" => Some(value.clone()),
        ValueKind::Number => number(value, method, args)?,
        _ => None,
    };
    match own {
        Some(value) => Ok(value),
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args),
    }
}

fn string(state: &State, text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    charge(state, text.len())?;
    Ok(Some(match method {
        "format" => Value::from(pyformat::format(state, text, args)?),
        "split" => split(text, args)?,
        "rsplit" => rsplit(text, args)?,
        "partition" | "rpartition" => partition(text, method == "rpartition", args)?,
        "removeprefix" | "removesuffix" => {
            let part = bind_values(args, &["part"])?.text(0, "");
            let rest = if method == "removeprefix" {
                text.strip_prefix(&*part)
            } else {
                text.strip_suffix(&*part)
            };
            Value::from(rest.unwrap_or(text))
        }
        "zfill" => {
            let wide = width(bind_values(args, &["width"])?.int(0, 0)?, WIDTH_MAX)?;
            let sign = text
                .get(..1)
                .filter(|s| *s == "-" || *s == "+")
                .unwrap_or("");
            let digits = text.strip_prefix(sign).unwrap_or(text);
            let missing = wide.saturating_sub(text.chars().count());
            Value::from(format!("{sign}{}{digits}", "0".repeat(missing)))
        }
        "ljust" | "rjust" | "center" => pad(state, text, method, args)?,
        "swapcase" => text
            .chars()
            .map(|c| {
                if c.is_uppercase() {
                    c.to_lowercase().to_string()
                } else {
                    c.to_uppercase().to_string()
                }
            })
            .collect::<String>()
            .into(),
        "casefold" => Value::from(text.to_lowercase().replace('ß', "ss")),
        "index" | "rindex" => {
            let part = bind_values(args, &["sub"])?.text(0, "");
            let at = if method == "index" {
                text.find(&*part)
            } else {
                text.rfind(&*part)
            };
            let at = at.ok_or_else(|| failed("substring not found"))?;
            Value::from(text.get(..at).unwrap_or("").chars().count())
        }
        "expandtabs" => expand_tabs(state, text, bind_values(args, &["tabsize"])?.int(0, 8)?)?,
        // There are no bytes in a template; what follows is nearly always a hash or base64 of the text.
        "encode" | "decode" => Value::from(text),
        "startswith" | "endswith" if args.len() > 1 => with_bounds(text, method, args)?,
        _ => return Ok(judge(text, method)),
    }))
}

fn with_bounds(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let args = bind_values(args, &["part", "start", "end"])?;
    let length = text.chars().count();
    let at = |n: i64| {
        usize::try_from(if n < 0 {
            n + i64::try_from(length).unwrap_or(0)
        } else {
            n
        })
        .unwrap_or(0)
        .min(length)
    };
    let (start, end) = (at(args.int(1, 0)?), at(args.int(2, i64::MAX)?));
    let slice: String = text.chars().take(end).skip(start).collect();
    let part = args.text(0, "");
    Ok(Value::from(if method == "startswith" {
        slice.starts_with(&part)
    } else {
        slice.ends_with(&part)
    }))
}

/// Methods that say yes or no about a text.
fn judge(text: &str, method: &str) -> Option<Value> {
    let flat = |f: fn(char) -> bool| Value::from(!text.is_empty() && text.chars().all(f));
    Some(match method {
        "isdecimal" => flat(|c| {
            c.is_numeric() && c.is_ascii_digit()
                || (c.is_numeric() && !c.is_ascii() && !c.is_alphabetic())
        }),
        "isidentifier" => Value::from(
            text.chars()
                .next()
                .is_some_and(|c| c.is_alphabetic() || c == '_')
                && text.chars().all(|c| c.is_alphanumeric() || c == '_'),
        ),
        "istitle" => Value::from(is_title(text)),
        _ => return None,
    })
}

fn texts<'t>(parts: impl Iterator<Item = &'t str>) -> Value {
    parts.map(Value::from).collect()
}

/// The separator, none for white space; and how often to split, none for always.
fn split_arguments(args: &[Value]) -> Result<(Option<String>, Option<usize>), Error> {
    let args = bind_values(args, &["sep", "maxsplit"])?;
    let separator = args.value(0).filter(|v| !v.is_none()).map(text::printed);
    if separator.as_deref() == Some("") {
        return Err(failed("empty separator"));
    }
    Ok((separator, usize::try_from(args.int(1, -1)?).ok()))
}

fn split(text: &str, args: &[Value]) -> Result<Value, Error> {
    Ok(match split_arguments(args)? {
        (Some(separator), None) => texts(text.split(&*separator)),
        (Some(separator), Some(max)) => texts(text.splitn(max.saturating_add(1), &*separator)),
        (None, None) => texts(text.split_whitespace()),
        (None, Some(max)) => {
            let mut parts = Vec::new();
            let mut rest = text.trim_start();
            while parts.len() < max && !rest.is_empty() {
                let (word, tail) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                parts.push(word);
                rest = tail.trim_start();
            }
            if !rest.is_empty() {
                parts.push(rest.trim_end());
            }
            texts(parts.into_iter())
        }
    })
}

fn rsplit(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (separator, max) = split_arguments(args)?;
    let limit = max.map_or(usize::MAX, |max| max.saturating_add(1));
    let mut parts: Vec<&str> = match &separator {
        Some(separator) => text.rsplitn(limit, &**separator).collect(),
        None => {
            let mut parts = Vec::new();
            let mut rest = text.trim_end();
            while parts.len() + 1 < limit && !rest.is_empty() {
                let (head, word) = rest.rsplit_once(char::is_whitespace).unwrap_or(("", rest));
                parts.push(word);
                rest = head.trim_end();
            }
            if !rest.is_empty() {
                parts.push(rest.trim_start());
            }
            parts
        }
    };
    parts.reverse();
    Ok(texts(parts.into_iter()))
}

fn partition(text: &str, from_right: bool, args: &[Value]) -> Result<Value, Error> {
    let separator = bind_values(args, &["sep"])?.text(0, "");
    if separator.is_empty() {
        return Err(failed("empty separator"));
    }
    let found = if from_right {
        text.rsplit_once(&*separator)
    } else {
        text.split_once(&*separator)
    };
    Ok(match found {
        Some((before, after)) => Value::from((before, separator, after)),
        None if from_right => Value::from(("", "", text)),
        None => Value::from((text, "", "")),
    })
}

fn pad(state: &State, text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let args = bind_values(args, &["width", "fillchar"])?;
    let fill = args.text(1, " ").chars().next().unwrap_or(' ');
    let wide = args.int(0, 0)?;
    if method == "center" {
        return center(state, text, wide, fill).map(Value::from);
    }
    let missing = width(wide, WIDTH_MAX)?.saturating_sub(text.chars().count());
    charge(state, missing)?;
    let padding: String = std::iter::repeat_n(fill, missing).collect();
    Ok(Value::from(if method == "ljust" {
        format!("{text}{padding}")
    } else {
        format!("{padding}{text}")
    }))
}

fn is_title(text: &str) -> bool {
    let (mut cased, mut before) = (false, false);
    for c in text.chars() {
        if c.is_uppercase() {
            if before {
                return false;
            }
            (cased, before) = (true, true);
        } else if c.is_lowercase() {
            if !before {
                return false;
            }
            before = true;
        } else {
            before = false;
        }
    }
    cased
}

fn expand_tabs(state: &State, text: &str, size: i64) -> Result<Value, Error> {
    let size = width(size, 100)?;
    charge(state, text.matches('\t').count().saturating_mul(size))?;
    let mut out = String::with_capacity(text.len());
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' => {
                let missing = if size == 0 { 0 } else { size - column % size };
                out.extend(std::iter::repeat_n(' ', missing));
                column += missing;
            }
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            c => {
                out.push(c);
                column += 1;
            }
        }
    }
    Ok(Value::from(out))
}

fn list(
    state: &State,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Option<Value>, Error> {
    match method {
        "copy" => Ok(Some(value.clone())),
        "index" => {
            let args = bind_values(args, &["value"])?;
            let wanted = args.value(0).cloned().unwrap_or_default();
            charge(state, value.len().unwrap_or(0).saturating_mul(16))?;
            let at = value.try_iter()?.position(|item| item == wanted);
            at.map(|at| Some(Value::from(at)))
                .ok_or_else(|| failed("the value is not in the list"))
        }
        _ => Ok(None),
    }
}

fn number(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    bind_values(args, &[])?;
    let float = numbers::float_of(value).unwrap_or(f64::NAN);
    Ok(match method {
        "is_integer" => Some(Value::from(value.is_integer() || float.fract() == 0.0)),
        "bit_length" if value.is_integer() => {
            let size = numbers::int_of(value)
                .ok_or_else(|| Error::from(ErrorKind::InvalidOperation))?
                .unsigned_abs();
            Some(Value::from(u128::BITS - size.leading_zeros()))
        }
        "as_integer_ratio" if value.is_integer() => Some(Value::from((value.clone(), 1))),
        _ => None,
    })
}
