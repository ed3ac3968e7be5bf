//! Python's two ways to format: `'%05.2f' % x` and `'{:>8}'.format(x)`.

mod spec;

use self::spec::{PRECISION_MAX, Spec, apply, as_float, digits, parse_spec};
use super::args::failed;
use super::cost::{self, walk};
use super::operators::kind;
use crate::translate::marks::Maker;
use crate::translate::number::{self, Number};
use crate::translate::{sink, text};
use minijinja::value::{Value, ValueKind};
use minijinja::{Error, State};
use std::borrow::Cow;

/// One value by a specification of `str.format`.
///
/// # Errors
/// When it does not fit the value.
pub(super) fn format_value(value: &Value, spec: &str) -> Result<String, Error> {
    if spec.is_empty() {
        return Ok(text::printed(value));
    }
    if value.as_str().is_none() && Number::of(value).is_none() {
        return Err(failed(format!(
            "format: `{spec}` does not work on {}",
            kind(value)
        )));
    }
    let parsed = parse_spec(spec)?;
    if parsed.kind == Some('c') && value.as_str().is_some() {
        return Err(failed("format: `c` does not work on text"));
    }
    apply(value, &parsed)
}

fn charge(state: &State, n: usize) -> Result<(), Error> {
    cost::charge(state, n.saturating_add(cost::CALL))
}

/// Python's `str.format`. `safe`: what is put in is escaped for HTML unless it is safe itself.
///
/// # Errors
/// When a field is missing or the format is not understood.
pub(super) fn format(
    state: &State,
    format: &str,
    args: &[Value],
    safe: bool,
) -> Result<String, Error> {
    let (positional, named) = split(args);
    fill(state, format, positional, named, safe)
}

/// Arguments by position, and those by name.
fn split(args: &[Value]) -> (&[Value], Option<&Value>) {
    match args.split_last() {
        Some((last, rest)) if last.is_kwargs() => (rest, Some(last)),
        _ => (args, None),
    }
}

/// [`format`] of a literal that holds quotes: JSON where it is printed as such.
///
/// # Errors
/// As [`format`].
pub(super) fn made_by_format(state: &State, text: &str, args: &[Value]) -> Result<Value, Error> {
    let mut maker = Some(Maker::default());
    let (positional, named) = split(args);
    let text = fill_into(state, text, positional, named, false, &mut maker)?;
    Ok(maker.unwrap_or_default().made(text))
}

/// [`percent`] of a literal that holds quotes: JSON where it is printed as such.
///
/// # Errors
/// As [`percent`].
pub(super) fn made_by_percent(state: &State, text: &str, args: &Value) -> Result<Value, Error> {
    let mut maker = Some(Maker::default());
    let text = percent_into(state, text, args, false, &mut maker)?;
    Ok(maker.unwrap_or_default().made(text))
}

fn literal(out: &mut String, maker: &mut Option<Maker>, text: &str) {
    out.push_str(text);
    if let Some(maker) = maker {
        maker.literal(text);
    }
}

/// Appends a value; `plain`: it is printed as it is, so that outside of quotes it may be any JSON.
fn formatted(
    state: &State,
    out: &mut String,
    maker: &mut Option<Maker>,
    text: &str,
    plain: Option<&Value>,
) -> Result<(), Error> {
    out.push_str(text);
    charge(state, text.len())?;
    match (maker, plain) {
        (Some(maker), Some(value)) => maker.value(state, value)?,
        (Some(maker), None) => maker.formatted(text),
        (None, _) => {}
    }
    Ok(())
}

/// As [`format`], with its arguments apart.
///
/// # Errors
/// As [`format`].
pub(super) fn fill(
    state: &State,
    format: &str,
    positional: &[Value],
    named: Option<&Value>,
    safe: bool,
) -> Result<String, Error> {
    fill_into(state, format, positional, named, safe, &mut None)
}

fn fill_into(
    state: &State,
    format: &str,
    positional: &[Value],
    named: Option<&Value>,
    safe: bool,
    maker: &mut Option<Maker>,
) -> Result<String, Error> {
    let mut out = String::with_capacity(format.len());
    let mut rest = format;
    let mut numbering = Numbering::Open;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        literal(&mut out, maker, before);
        if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
            literal(&mut out, maker, from.get(..1).unwrap_or(""));
            rest = after;
            continue;
        }
        let (field, after) = from
            .strip_prefix('{')
            .and_then(field_end)
            .ok_or_else(|| failed("format: a brace is not closed"))?;
        let (field, spec) = field.split_once(':').unwrap_or((field, ""));
        let (field, conversion) = field
            .split_once('!')
            .map_or((field, None), |(f, c)| (f, Some(c)));
        let value = lookup(field, positional, named, &mut numbering)?;
        walk(state, &value)?;
        let value = match conversion {
            None => value,
            Some("s") => Value::from(text::printed(&value)),
            Some(conversion @ ("r" | "a")) => Value::from(shown(&value, conversion == "a")),
            Some(other) => {
                return Err(failed(format!(
                    "format: the conversion `!{other}` is unknown"
                )));
            }
        };
        let mut spec = Cow::Borrowed(spec);
        // `{:{}}`: a specification may hold fields itself.
        while let Some((head, tail)) = spec.split_once('{') {
            let (inner, tail) = tail
                .split_once('}')
                .ok_or_else(|| failed("format: a brace is not closed"))?;
            let value = lookup(inner, positional, named, &mut numbering)?;
            if value.as_object().is_some() {
                return Err(failed("format: a specification is no list or dict"));
            }
            charge(state, value.as_str().map_or(0, str::len))?;
            spec = Cow::Owned(format!("{head}{}{tail}", text::printed(&value)));
        }
        let mut text = format_value(&value, &spec)?;
        if safe && !value.is_safe() {
            text = sink::html(&text);
        }
        let plain = Some(&value).filter(|_| spec.is_empty());
        formatted(state, &mut out, maker, &text, plain)?;
        rest = after;
    }
    literal(&mut out, maker, rest);
    Ok(out)
}

/// A field up to its closing brace, which fields inside of it do not end; and what follows.
fn field_end(inner: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some((inner.get(..at)?, inner.get(at + 1..)?)),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// A value as `repr` shows it; `ascii`: what is not ASCII as escapes.
fn shown(value: &Value, ascii: bool) -> String {
    let mut shown = String::new();
    text::repr(&mut shown, value, 0);
    if !ascii || shown.is_ascii() {
        return shown;
    }
    let mut out = String::with_capacity(shown.len() * 2);
    for c in shown.chars() {
        match u32::from(c) {
            0..=0x7f => out.push(c),
            code @ 0x80..=0xff => out.push_str(&format!("\\x{code:02x}")),
            code @ 0x100..=0xffff => out.push_str(&format!("\\u{code:04x}")),
            code => out.push_str(&format!("\\U{code:08x}")),
        }
    }
    out
}

/// How the fields of a format are numbered: by themselves or by hand, and never both.
enum Numbering {
    Open,
    Automatic(usize),
    ByHand,
}

impl Numbering {
    /// The number of a field; none where it has a name.
    fn index(&mut self, field: &str) -> Result<Option<usize>, Error> {
        let given = (!field.is_empty() && field.bytes().all(|b| b.is_ascii_digit()))
            .then(|| field.parse().unwrap_or(usize::MAX));
        match (&self, given) {
            _ if given.is_none() && !field.is_empty() => Ok(None),
            (Self::Open | Self::Automatic(_), None) => {
                let next = if let Self::Automatic(last) = self {
                    *last + 1
                } else {
                    0
                };
                *self = Self::Automatic(next);
                Ok(Some(next))
            }
            (Self::Open | Self::ByHand, Some(index)) => {
                *self = Self::ByHand;
                Ok(Some(index))
            }
            _ => Err(failed(
                "format: fields are numbered all by hand or all by themselves",
            )),
        }
    }
}

/// `0`, `name`, `0[key]`, `name.attr`.
fn lookup(
    field: &str,
    positional: &[Value],
    named: Option<&Value>,
    numbering: &mut Numbering,
) -> Result<Value, Error> {
    let end = field.find(['.', '[']).unwrap_or(field.len());
    let (first, mut path) = field.split_at(end);
    let missing = || failed(format!("format: there is no argument `{first}`"));
    let mut value = match numbering.index(first)? {
        Some(index) => positional.get(index).cloned().ok_or_else(missing)?,
        None => named
            .map_or(Ok(Value::UNDEFINED), |n| n.get_attr(first))
            .ok()
            .filter(|value| !value.is_undefined() || named.is_some_and(|n| has(n, first)))
            .ok_or_else(missing)?,
    };
    while !path.is_empty() {
        if let Some(after) = path.strip_prefix('[') {
            let (key, tail) = after
                .split_once(']')
                .ok_or_else(|| failed("format: a bracket is not closed"))?;
            if key.is_empty() || !(tail.is_empty() || tail.starts_with(['.', '['])) {
                return Err(failed("format: a field is not understood"));
            }
            value = match key.parse::<usize>() {
                Ok(index) => value.get_item(&Value::from(index)),
                Err(_) => value.get_attr(key),
            }
            .unwrap_or_default();
            path = tail;
        } else {
            let after = path.strip_prefix('.').unwrap_or(path);
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, tail) = after.split_at(end);
            if key.is_empty() {
                return Err(failed("format: a field is not understood"));
            }
            value = value
                .get_attr(key)
                .ok()
                .filter(|_| !key.starts_with('_'))
                .unwrap_or_default();
            path = tail;
        }
    }
    Ok(value)
}

/// Whether a map has a key, be its value undefined.
fn has(map: &Value, key: &str) -> bool {
    text::pairs(map).any(|(k, _)| k.as_str() == Some(key))
}

/// Python's `%`. `safe`: what is put in is escaped for HTML unless it is safe itself.
///
/// # Errors
/// When the arguments do not fit the format.
pub(super) fn percent(
    state: &State,
    format: &str,
    args: &Value,
    safe: bool,
) -> Result<String, Error> {
    percent_into(state, format, args, safe, &mut None)
}

fn percent_into(
    state: &State,
    format: &str,
    args: &Value,
    safe: bool,
    maker: &mut Option<Maker>,
) -> Result<String, Error> {
    let list: Vec<Value> = if args.is_tuple() {
        args.try_iter()?.collect()
    } else {
        vec![args.clone()]
    };
    let mut list = list.into_iter();
    let mut out = String::with_capacity(format.len());
    let mut rest = format;
    let mut by_name = false;
    while let Some((before, after)) = rest.split_once('%') {
        literal(&mut out, maker, before);
        if let Some(tail) = after.strip_prefix('%') {
            literal(&mut out, maker, "%");
            rest = tail;
            continue;
        }
        let (name, after) = match after
            .strip_prefix('(')
            .and_then(|inner| inner.split_once(')'))
        {
            Some((name, tail)) => (Some(name), tail),
            None => (None, after),
        };
        let end = after
            .find(|c: char| c.is_alphabetic() || c == '%')
            .ok_or_else(|| failed("format: a conversion is cut off"))?;
        let (flags, tail) = after.split_at(end);
        // What C says about sizes means nothing.
        let tail = tail.strip_prefix(['h', 'l', 'L']).unwrap_or(tail);
        let mut flags = Cow::Borrowed(flags);
        while flags.contains('*') {
            let width = list
                .next()
                .filter(|v| v.is_integer())
                .ok_or_else(|| failed("format: `*` needs a whole number"))?;
            flags = Cow::Owned(flags.replacen('*', &text::printed(&width), 1));
        }
        let kind = tail.chars().next().unwrap_or('s');
        rest = tail.get(kind.len_utf8()..).unwrap_or("");
        let value = match name {
            Some(_) if !is_mapping(args) => return Err(failed("format: a dict is needed")),
            Some(name) => {
                by_name = true;
                member(args, name)?
            }
            None => list
                .next()
                .ok_or_else(|| failed("format: there are too few arguments"))?,
        };
        walk(state, &value)?;
        let value = if safe && !value.is_safe() && matches!(kind, 's' | 'r' | 'a') {
            Value::from(sink::html(&convert("", kind, &value)?))
        } else {
            value
        };
        let kind = if safe && matches!(kind, 'r' | 'a') {
            's'
        } else {
            kind
        };
        let text = convert(&flags, kind, &value)?;
        let plain = Some(&value).filter(|_| kind == 's' && flags.is_empty());
        formatted(state, &mut out, maker, &text, plain)?;
    }
    literal(&mut out, maker, rest);
    if !by_name && !is_mapping(args) && list.next().is_some() {
        return Err(failed("format: there are too many arguments"));
    }
    Ok(out)
}

/// What `%(name)s` stands for.
fn member(args: &Value, name: &str) -> Result<Value, Error> {
    let value = args.get_attr(name).unwrap_or_default();
    if value.is_undefined() && args.kind() == ValueKind::Map && !has(args, name) {
        return Err(failed(format!("format: there is no `{name}`")));
    }
    Ok(value)
}

/// Whether `%` may look names up in a value: then it need not use all of it.
fn is_mapping(args: &Value) -> bool {
    !args.is_tuple()
        && (args.is_undefined()
            || matches!(
                args.kind(),
                ValueKind::Map | ValueKind::Seq | ValueKind::Iterable
            ))
}

fn convert(flags: &str, kind: char, value: &Value) -> Result<String, Error> {
    let mut spec = Spec {
        align: Some('>'),
        ..Spec::default()
    };
    let mut chars = flags.chars().peekable();
    while let Some(flag) = chars.next_if(|c| matches!(c, '-' | '+' | ' ' | '#' | '0')) {
        match flag {
            '-' => spec.align = Some('<'),
            '+' | ' ' => spec.sign = Some(flag),
            '#' => spec.alternate = true,
            _ => spec.zero = true,
        }
    }
    spec.width = digits(&mut chars)?.unwrap_or(0);
    if chars.next_if_eq(&'.').is_some() {
        let precision = digits(&mut chars)?.unwrap_or(0);
        if matches!(kind, 'd' | 'i' | 'u' | 'o' | 'x' | 'X') {
            spec.digits = precision;
        } else {
            spec.precision = Some(precision.min(PRECISION_MAX));
        }
    }
    if chars.next().is_some() {
        return Err(failed(format!(
            "format: `%{flags}{kind}` is not understood"
        )));
    }
    // Zeros are put before a number only, never behind it.
    spec.zero &= spec.align == Some('>');
    if spec.zero {
        spec.align = Some('=');
    }
    let numeric = is_numeric(kind);
    let value = converted(kind, value)?;
    if !numeric {
        // Flags of numbers say nothing about text.
        (spec.zero, spec.sign, spec.alternate) = (false, None, false);
        if kind == 'c' {
            spec.precision = None;
        }
        if spec.align == Some('=') {
            spec.align = Some('>');
        }
    }
    spec.kind = Some(match kind {
        'r' | 'a' => 's',
        'i' | 'u' => 'd',
        kind => kind,
    });
    apply(&value, &spec)
}

/// Whether a conversion is one of numbers.
fn is_numeric(kind: char) -> bool {
    matches!(
        kind,
        'd' | 'i' | 'u' | 'o' | 'x' | 'X' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G'
    )
}

/// The value that a conversion prints: text, one character, a number.
fn converted(kind: char, value: &Value) -> Result<Value, Error> {
    Ok(match kind {
        's' => Value::from(text::printed(value)),
        'r' | 'a' => Value::from(shown(value, kind == 'a')),
        'c' if value.as_str().is_some()
            || number::is_integer(value)
            || value.kind() == ValueKind::Bool =>
        {
            value.clone()
        }
        _ if !is_numeric(kind) => {
            return Err(failed(format!(
                "format: `%{kind}` does not work on {}",
                self::kind(value)
            )));
        }
        // A float is cut off at its point.
        'd' | 'i' | 'u' if value.is_number() && !value.is_integer() => {
            let whole = number::whole(as_float(value)?)
                .ok_or_else(|| failed("format: the number is not finite"))?;
            number::int_value(whole)
        }
        _ if Number::of(value).is_none() => {
            return Err(failed(format!(
                "format: a number is needed, not {}",
                self::kind(value)
            )));
        }
        _ => value.clone(),
    })
}
