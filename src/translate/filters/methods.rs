//! Python's methods of strings, lists, dicts and numbers that people write in Jinja, beside those of `minijinja-contrib`.

use super::args::{WIDTH_MAX, bind_values, failed, integer, width};
use super::casing::{self, is_space};
use super::cost::{charge, equal, walk};
use super::operators::kind;
use super::words::{center, cut, splitlines};
use super::{View, pyformat};
use crate::translate::number::Number;
use crate::translate::{sink, text};
use minijinja::value::{Value, ValueKind};
use minijinja::{Error, State};

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
    if method == "__cycle" {
        return cycle(value, args);
    }
    let own = match value.kind() {
        ValueKind::String => match value.as_str() {
            Some(text) => string(state, text, method, args, value.is_safe())?,
            None => None,
        },
        ValueKind::Seq => list(state, value, method, args)?,
        ValueKind::Map => map(state, value, method, args)?,
        _ if Number::of(value).is_some() => number(value, method, args)?,
        // Of the function `dict`.
        _ if method == "fromkeys" => map(state, value, method, args)?,
        _ => None,
    };
    let made = match own {
        Some(made) => made,
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)?,
    };
    // What is made of safe text is safe, as in Python.
    Ok(match made.as_str() {
        Some(text) if value.is_safe() && !made.is_safe() => {
            Value::from_safe_string(text.to_owned())
        }
        _ => made,
    })
}

/// `loop.cycle(…)`: its arguments in turn.
fn cycle(value: &Value, args: &[Value]) -> Result<Value, Error> {
    let at = value.get_attr("index0").unwrap_or_default().as_usize();
    let at = at.ok_or_else(|| failed(format!("{} has no cycle", kind(value))))?;
    args.get(at.checked_rem(args.len()).unwrap_or(0))
        .cloned()
        .ok_or_else(|| failed("cycle needs at least one value"))
}

/// What a method of a text costs: its text and arguments, and what is made for each word, line or letter.
fn pay(state: &State, text: &str, method: &str, args: &[Value]) -> Result<(), Error> {
    const CALL: usize = 128;
    let weight = match method {
        "translate" => 64,
        "swapcase" | "casefold" => 24,
        "split" | "rsplit" | "splitlines" => 16,
        "startswith" | "endswith" | "removeprefix" | "removesuffix" | "encode" => 1,
        _ if method.starts_with("is") => 4,
        _ => 3,
    };
    charge(state, CALL + weight * text.len())?;
    args.iter().try_for_each(|arg| walk(state, arg))
}

fn string(
    state: &State,
    text: &str,
    method: &str,
    args: &[Value],
    safe: bool,
) -> Result<Option<Value>, Error> {
    pay(state, text, method, args)?;
    Ok(Some(match method {
        "format" => Value::from(pyformat::format(state, text, args, safe)?),
        "format_map" => {
            let args = bind_values(args, &[POSITIONAL])?;
            let map = args
                .value(0)
                .ok_or_else(|| failed("format_map needs a dict"))?;
            Value::from(pyformat::fill(state, text, &[], Some(map), safe)?)
        }
        "title" | "capitalize" | "swapcase" | "casefold" | "upper" | "lower" => {
            bind_values(args, &[])?;
            Value::from(casing::cased(text, method))
        }
        "strip" | "lstrip" | "rstrip" => {
            let args = bind_values(args, &[POSITIONAL])?;
            let (left, right) = (method != "rstrip", method != "lstrip");
            Value::from(casing::strip(text, args.string(0)?, left, right))
        }
        "replace" => {
            let args = bind_values(args, &[POSITIONAL; 3])?;
            let (old, new) = (args.needed(0)?, args.needed(1)?);
            let escaped = safe && !args.value(1).is_some_and(Value::is_safe);
            let html = if escaped {
                sink::html(new)
            } else {
                new.to_owned()
            };
            Value::from(casing::replaced(state, text, old, &html, args.int(2, -1)?)?)
        }
        "splitlines" => {
            let keep = bind_values(args, &["keepends"])?.switch(0)?;
            texts(split_lines(text, keep).into_iter())
        }
        "count" | "find" | "rfind" | "index" | "rindex" => search(text, method, args)?,
        "translate" => translate(text, args)?,
        "join" => join(state, text, args)?,
        "split" => split(text, args)?,
        "rsplit" => rsplit(text, args)?,
        "partition" | "rpartition" => partition(text, method == "rpartition", args)?,
        "removeprefix" | "removesuffix" => {
            let args = bind_values(args, &[POSITIONAL])?;
            let rest = if method == "removeprefix" {
                text.strip_prefix(args.needed(0)?)
            } else {
                text.strip_suffix(args.needed(0)?)
            };
            Value::from(rest.unwrap_or(text))
        }
        "zfill" => zfill(text, args)?,
        "ljust" | "rjust" | "center" => pad(state, text, method, args)?,
        "expandtabs" => expand_tabs(state, text, bind_values(args, &["tabsize"])?.int(0, 8)?)?,
        // There are no bytes in a template; what follows is nearly always a hash or base64 of the text.
        "encode" | "decode" => {
            let args = bind_values(args, &["encoding", "errors"])?;
            args.string(0)?;
            args.string(1)?;
            Value::from(text)
        }
        "startswith" | "endswith" => with_bounds(text, method, args)?,
        _ if method.starts_with("is") => {
            bind_values(args, &[])?;
            return Ok(judge(text, method));
        }
        _ => return Ok(None),
    }))
}

/// The name of a parameter that has none for the caller.
const POSITIONAL: &str = "";

/// The part of a text between two bounds in characters, and where it begins; none where the bounds cross.
fn bounded<'t>(
    text: &'t str,
    start: Option<&Value>,
    end: Option<&Value>,
) -> Result<Option<(&'t str, usize)>, Error> {
    let length = text.chars().count();
    let at = |bound: Option<&Value>, default: usize| -> Result<usize, Error> {
        let Some(bound) = bound.filter(|v| !v.is_none()) else {
            return Ok(default);
        };
        let bound = integer(bound)?;
        let bound = if bound < 0 {
            bound
                .saturating_add(i64::try_from(length).unwrap_or(i64::MAX))
                .max(0)
        } else {
            bound
        };
        Ok(usize::try_from(bound).unwrap_or(usize::MAX))
    };
    let (start, end) = (at(start, 0)?, at(end, length)?.min(length));
    if start > end {
        return Ok(None);
    }
    let (_, rest) = cut(text, start);
    Ok(Some((cut(rest, end - start).0, start)))
}

fn with_bounds(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let args = bind_values(args, &[POSITIONAL; 3])?;
    let wanted = args
        .value(0)
        .ok_or_else(|| failed(format!("{method} needs a text")))?;
    let slice = bounded(text, args.value(1), args.value(2))?.map(|(slice, _)| slice);
    let fits = |part: &Value| -> Result<bool, Error> {
        let part = part
            .as_str()
            .ok_or_else(|| failed(format!("{method} looks for text, not {}", kind(part))))?;
        Ok(slice.is_some_and(|slice| {
            if method == "startswith" {
                slice.starts_with(part)
            } else {
                slice.ends_with(part)
            }
        }))
    };
    if !wanted.is_tuple() {
        return fits(wanted).map(Value::from);
    }
    for part in wanted.try_iter()? {
        if fits(&part)? {
            return Ok(Value::from(true));
        }
    }
    Ok(Value::from(false))
}

/// `find`, `index` and `count`, with bounds.
fn search(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let args = bind_values(args, &[POSITIONAL; 3])?;
    let part = args
        .value(0)
        .ok_or_else(|| failed(format!("{method} needs a text to look for")))?;
    let part = part
        .as_str()
        .ok_or_else(|| failed(format!("{method} looks for text, not {}", kind(part))))?;
    let found = bounded(text, args.value(1), args.value(2))?;
    if method == "count" {
        return Ok(Value::from(
            found.map_or(0, |(slice, _)| slice.matches(part).count()),
        ));
    }
    let at = found.and_then(|(slice, start)| {
        let at = if method.starts_with('r') {
            slice.rfind(part)
        } else {
            slice.find(part)
        }?;
        Some(start + slice.get(..at)?.chars().count())
    });
    match at {
        Some(at) => Ok(Value::from(at)),
        None if method.ends_with("find") => Ok(Value::from(-1)),
        None => Err(failed("substring not found")),
    }
}

/// Characters exchanged by a dict from code points to text, code points or `None`.
fn translate(text: &str, args: &[Value]) -> Result<Value, Error> {
    let args = bind_values(args, &[POSITIONAL])?;
    let table = args.value(0).cloned().unwrap_or_default();
    if !matches!(
        table.kind(),
        ValueKind::Map | ValueKind::Seq | ValueKind::String
    ) {
        return Err(failed(format!(
            "translate needs a dict, not {}",
            kind(&table)
        )));
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let to = table
            .get_item(&Value::from(u32::from(c)))
            .unwrap_or_default();
        if to.is_undefined() {
            out.push(c);
        } else if let Some(text) = to.as_str() {
            out.push_str(text);
        } else if let Some(code) = to.as_usize() {
            out.extend(u32::try_from(code).ok().and_then(char::from_u32));
        }
    }
    Ok(Value::from(out))
}

fn join(state: &State, separator: &str, args: &[Value]) -> Result<Value, Error> {
    let args = bind_values(args, &[POSITIONAL])?;
    let list = args
        .value(0)
        .cloned()
        .ok_or_else(|| failed("join needs a list"))?;
    let mut out = String::new();
    for (i, item) in super::sequences::items(state, &list)?.iter().enumerate() {
        let text = item
            .as_str()
            .ok_or_else(|| failed(format!("join needs texts, item {i} is {}", kind(item))))?;
        if i > 0 {
            out.push_str(separator);
        }
        out.push_str(text);
        charge(state, text.len() + separator.len())?;
    }
    Ok(Value::from(out))
}

/// Python's `str.splitlines`.
fn split_lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let mut rest = text;
    let mut lines = Vec::new();
    for line in splitlines(text) {
        let after = rest.get(line.len()..).unwrap_or("");
        let end = if after.starts_with("\r\n") {
            2
        } else {
            after.chars().next().map_or(0, char::len_utf8)
        };
        let (whole, tail) = rest.split_at(line.len() + end);
        lines.push(if keep_ends { whole } else { line });
        rest = tail;
    }
    lines
}

/// The first of each run of ten decimal digits.
const ZEROS: [u32; 58] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
    0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0,
    0x11730, 0x118e0, 0x11c50, 0x16a60, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6,
    0x1e950,
];

fn is_decimal(c: char) -> bool {
    digit(c).is_some()
}

/// The ASCII digit that a decimal digit of any script stands for.
pub(super) fn digit(c: char) -> Option<char> {
    if c.is_ascii_digit() {
        return Some(c);
    }
    let code = u32::from(c);
    let zero = ZEROS
        .iter()
        .find(|zero| (**zero..**zero + 10).contains(&code))?;
    char::from_digit(code - zero, 10)
}

/// Digits beside the decimal ones: raised, lowered, in circles.
fn is_digit(c: char) -> bool {
    is_decimal(c)
        || matches!(c, '²' | '³' | '¹' | '\u{2070}' | '\u{2074}'..='\u{2079}' | '\u{2080}'..='\u{2089}' | '\u{2460}'..='\u{2468}' | '\u{2474}'..='\u{247c}' | '\u{2488}'..='\u{2490}')
}

/// Methods that say yes or no about a text.
fn judge(text: &str, method: &str) -> Option<Value> {
    let flat = |f: fn(char) -> bool| Value::from(!text.is_empty() && text.chars().all(f));
    Some(match method {
        "isdecimal" => flat(is_decimal),
        "isdigit" => flat(is_digit),
        "isspace" => flat(casing::is_space),
        "isprintable" => Value::from(!text.chars().any(crate::model::python::is_unprintable)),
        "isidentifier" => Value::from(
            text.chars()
                .next()
                .is_some_and(|c| c.is_alphabetic() || c == '_')
                && text
                    .chars()
                    .all(|c| c.is_alphabetic() || is_decimal(c) || c == '_'),
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
    let separator = args.string(0)?.map(str::to_owned);
    if separator.as_deref() == Some("") {
        return Err(failed("empty separator"));
    }
    Ok((separator, usize::try_from(args.int(1, -1)?).ok()))
}

fn split(text: &str, args: &[Value]) -> Result<Value, Error> {
    Ok(match split_arguments(args)? {
        (Some(separator), None) => texts(text.split(&*separator)),
        (Some(separator), Some(max)) => texts(text.splitn(max.saturating_add(1), &*separator)),
        (None, None) => texts(text.split(is_space).filter(|word| !word.is_empty())),
        (None, Some(max)) => {
            let mut parts = Vec::new();
            let mut rest = text.trim_start_matches(is_space);
            while parts.len() < max && !rest.is_empty() {
                let (word, tail) = rest.split_once(is_space).unwrap_or((rest, ""));
                parts.push(word);
                rest = tail.trim_start_matches(is_space);
            }
            if !rest.is_empty() {
                parts.push(rest);
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
            let mut rest = text.trim_end_matches(is_space);
            while parts.len() + 1 < limit && !rest.is_empty() {
                let (head, word) = rest.rsplit_once(is_space).unwrap_or(("", rest));
                parts.push(word);
                rest = head.trim_end_matches(is_space);
            }
            if !rest.is_empty() {
                parts.push(rest);
            }
            parts
        }
    };
    parts.reverse();
    Ok(texts(parts.into_iter()))
}

fn partition(text: &str, from_right: bool, args: &[Value]) -> Result<Value, Error> {
    let separator = bind_values(args, &[POSITIONAL])?.needed(0)?.to_owned();
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

fn zfill(text: &str, args: &[Value]) -> Result<Value, Error> {
    let args = bind_values(args, &[POSITIONAL])?;
    args.value(0).ok_or_else(|| failed("zfill needs a width"))?;
    let wide = width(args.int(0, 0)?, WIDTH_MAX)?;
    let sign = text
        .get(..1)
        .filter(|s| *s == "-" || *s == "+")
        .unwrap_or("");
    let digits = text.strip_prefix(sign).unwrap_or(text);
    let missing = wide.saturating_sub(text.chars().count());
    Ok(Value::from(format!(
        "{sign}{}{digits}",
        "0".repeat(missing)
    )))
}

fn pad(state: &State, text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let args = bind_values(args, &[POSITIONAL; 2])?;
    let fill = match args.value(1) {
        None => ' ',
        Some(_) => {
            let mut chars = args.needed(1)?.chars();
            match (chars.next(), chars.next()) {
                (Some(fill), None) => fill,
                _ => return Err(failed(format!("{method} fills with one character"))),
            }
        }
    };
    args.value(0)
        .ok_or_else(|| failed(format!("{method} needs a width")))?;
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
        "copy" if !value.is_tuple() && !View::is(value) => {
            bind_values(args, &[])?;
            Ok(Some(value.clone()))
        }
        _ if View::is(value) && !View::is_range(value) => {
            Err(Error::from(minijinja::ErrorKind::UnknownMethod))
        }
        "index" | "count" => {
            let most = if method == "count" { 1 } else { 3 };
            let args = bind_values(args, [POSITIONAL; 3].get(..most).unwrap_or(&[]))?;
            let wanted = args
                .value(0)
                .ok_or_else(|| failed(format!("{method} needs a value")))?;
            charge(state, value.len().unwrap_or(0).saturating_mul(16))?;
            let items: Vec<Value> = value.try_iter()?.collect();
            if method == "count" {
                let mut count = 0_usize;
                for item in &items {
                    count += usize::from(equal(state, item, wanted)?);
                }
                return Ok(Some(Value::from(count)));
            }
            let bound = |at: usize, default: usize| -> Result<usize, Error> {
                let Some(bound) = args.value(at) else {
                    return Ok(default);
                };
                let bound = integer(bound)?;
                let from_end = i64::try_from(items.len()).unwrap_or(i64::MAX);
                let bound = if bound < 0 {
                    bound.saturating_add(from_end)
                } else {
                    bound
                };
                Ok(usize::try_from(bound.max(0)).unwrap_or(usize::MAX))
            };
            let (start, end) = (bound(1, 0)?, bound(2, usize::MAX)?);
            for (at, item) in items.iter().enumerate().take(end).skip(start) {
                if equal(state, item, wanted)? {
                    return Ok(Some(Value::from(at)));
                }
            }
            Err(failed("the value is not in the list"))
        }
        _ => Ok(None),
    }
}

/// Methods of dicts; keys, values and items print as Python prints them.
fn map(state: &State, value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    if matches!(method, "keys" | "values" | "items") {
        charge(state, value.len().unwrap_or(0).saturating_mul(64))?;
    }
    let pairs = || text::pairs(value);
    let view = match method {
        "copy" => value.clone(),
        "get" => {
            let args = bind_values(args, &[POSITIONAL; 2])?;
            let key = args.value(0).ok_or_else(|| failed("get needs a key"))?;
            super::sequences::hashable(key)?;
            let found = value.get_item(key).unwrap_or_default();
            let default = || args.value(1).cloned().unwrap_or_else(|| Value::from(()));
            return Ok(Some(if found.is_undefined() {
                default()
            } else {
                found
            }));
        }
        "fromkeys" => {
            let args = bind_values(args, &[POSITIONAL; 2])?;
            let keys = args
                .value(0)
                .ok_or_else(|| failed("fromkeys needs a list"))?;
            let item = args.value(1).cloned().unwrap_or_else(|| Value::from(()));
            charge(state, keys.len().unwrap_or(0).saturating_mul(64))?;
            let keys = keys.try_iter()?;
            return Ok(Some(Value::from_pairs(keys.map(|key| (key, item.clone())))));
        }
        "keys" => View::dict("dict_keys", pairs().map(|(key, _)| key).collect()),
        "values" => View::dict("dict_values", pairs().map(|(_, item)| item).collect()),
        "items" => View::dict("dict_items", pairs().map(Value::from).collect()),
        _ => return Ok(None),
    };
    bind_values(args, &[])?;
    Ok(Some(view))
}

fn number(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let Some(number) = Number::of(value) else {
        return Ok(None);
    };
    let result = match (method, &number) {
        ("is_integer", Number::Int(_)) => Value::from(true),
        ("is_integer", Number::Float(float)) => Value::from(float.fract() == 0.0),
        ("bit_length", Number::Int(int)) => Value::from(int.bits()),
        ("bit_count", Number::Int(int)) => {
            let ones = int.magnitude().iter_u64_digits().map(u64::count_ones);
            Value::from(ones.sum::<u32>())
        }
        ("as_integer_ratio", Number::Int(_)) => Value::from((number.value(), 1)),
        ("conjugate", _) => number.value(),
        _ => return Ok(None),
    };
    bind_values(args, &[])?;
    Ok(Some(result))
}
