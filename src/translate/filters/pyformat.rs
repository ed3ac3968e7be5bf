//! Python's two ways to format: `'%05.2f' % x` and `'{:>8}'.format(x)`.

use super::args::{WIDTH_MAX, failed, width};
use super::cost::walk;
use super::operators::kind;
use crate::translate::marks::Maker;
use crate::translate::number::{self, Number};
use crate::translate::{sink, text};
use minijinja::value::{Value, ValueKind};
use minijinja::{Error, State};
use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive};
use std::borrow::Cow;

/// Decimal places that are computed.
const PRECISION_MAX: usize = 300;

/// What stands between `:` and `}`, or after `%`.
#[derive(Debug, Clone, Default)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    zero: bool,
    width: usize,
    group: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

fn digits(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Option<usize>, Error> {
    let mut number: Option<i64> = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        chars.next();
        number = Some(
            number
                .unwrap_or(0)
                .saturating_mul(10)
                .saturating_add(i64::from(digit)),
        );
    }
    number.map(|n| width(n, WIDTH_MAX)).transpose()
}

fn is_align(c: char) -> bool {
    matches!(c, '<' | '>' | '^' | '=')
}

/// Reads a format specification of `str.format`.
fn parse_spec(spec: &str) -> Result<Spec, Error> {
    let mut out = Spec::default();
    let mut chars = spec.chars().peekable();
    let mut ahead = spec.chars();
    match (ahead.next(), ahead.next()) {
        (Some(fill), Some(align)) if is_align(align) => {
            out.fill = Some(fill);
            out.align = Some(align);
            chars.next();
            chars.next();
        }
        (Some(align), _) if is_align(align) => {
            out.align = Some(align);
            chars.next();
        }
        _ => {}
    }
    out.sign = chars.next_if(|c| matches!(c, '+' | '-' | ' '));
    out.alternate = chars.next_if_eq(&'#').is_some();
    out.zero = chars.next_if_eq(&'0').is_some();
    out.width = digits(&mut chars)?.unwrap_or(0);
    out.group = chars.next_if(|c| matches!(c, ',' | '_'));
    if chars.next_if_eq(&'.').is_some() {
        out.precision = Some(
            digits(&mut chars)?
                .ok_or_else(|| failed("format: a precision is missing"))?
                .min(PRECISION_MAX),
        );
    }
    out.kind = chars.next();
    if chars.next().is_some() {
        return Err(failed(format!(
            "format: the specification `{spec}` is not understood"
        )));
    }
    Ok(out)
}

fn as_float(value: &Value) -> Result<f64, Error> {
    Number::of(value)
        .and_then(|number| number.float())
        .ok_or_else(|| failed(format!("format: a number is needed, not {}", kind(value))))
}

fn as_int(value: &Value) -> Result<BigInt, Error> {
    match Number::of(value) {
        Some(Number::Int(int)) => Ok(int),
        _ => Err(failed(format!(
            "format: a whole number is needed, not {}",
            kind(value)
        ))),
    }
}

fn group(digits: &str, separator: char, every: usize) -> String {
    let count = digits.chars().count();
    let mut out = String::with_capacity(count * 4 / 3 + 1);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (count - i).is_multiple_of(every) {
            out.push(separator);
        }
        out.push(c);
    }
    out
}

/// A double in exponent form as Python writes it: at least two digits of exponent.
fn exponent_form(number: f64, precision: usize, upper: bool) -> String {
    let text = format!("{number:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!(
        "{mantissa}{}{sign}{:02}",
        if upper { 'E' } else { 'e' },
        exponent.abs()
    )
}

/// `g`: significant digits, exponent form outside of them, no trailing zeros.
fn general(number: f64, precision: usize, alternate: bool, upper: bool) -> String {
    let precision = precision.max(1);
    let scientific = format!("{number:.*e}", precision - 1);
    let exponent: i32 = scientific
        .split_once('e')
        .and_then(|(_, e)| e.parse().ok())
        .unwrap_or(0);
    let limit = i32::try_from(precision).unwrap_or(i32::MAX);
    let strip = |text: String| {
        if alternate || !text.contains('.') {
            return text;
        }
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    if exponent < -4 || exponent >= limit {
        let text = exponent_form(number, precision - 1, upper);
        let mark = if upper { 'E' } else { 'e' };
        return match text.split_once(mark) {
            Some((mantissa, exponent)) => format!("{}{mark}{exponent}", strip(mantissa.to_owned())),
            None => text,
        };
    }
    let decimals = usize::try_from(limit - 1 - exponent).unwrap_or(0);
    strip(format!("{number:.decimals$}"))
}

/// Digits of a number without its sign, and whether it is negative.
fn number(value: &Value, spec: &Spec) -> Result<(String, bool), Error> {
    let kind = spec.kind.unwrap_or(
        if number::is_integer(value) || value.kind() == ValueKind::Bool {
            'd'
        } else {
            'r'
        },
    );
    let kind = match kind {
        'n' if number::is_integer(value) => 'd',
        'n' => 'g',
        kind => kind,
    };
    match kind {
        'd' | 'i' | 'u' | 'x' | 'X' | 'o' | 'b' => {
            let number = as_int(value)?;
            let size = number.abs();
            let (prefix, digits, every) = match kind {
                'x' => ("0x", size.to_str_radix(16), 4),
                'X' => ("0X", size.to_str_radix(16).to_uppercase(), 4),
                'o' => ("0o", size.to_str_radix(8), 4),
                'b' => ("0b", size.to_str_radix(2), 4),
                _ => ("", size.to_string(), 3),
            };
            let digits = spec.group.map_or_else(
                || digits.clone(),
                |separator| group(&digits, separator, every),
            );
            Ok((
                if spec.alternate {
                    format!("{prefix}{digits}")
                } else {
                    digits
                },
                number.is_negative(),
            ))
        }
        _ => {
            let float = as_float(value)?;
            if !float.is_finite() {
                return Ok((
                    if float.is_nan() {
                        "nan".into()
                    } else {
                        "inf".into()
                    },
                    float < 0.0,
                ));
            }
            let (size, precision) = (float.abs(), spec.precision.unwrap_or(6));
            let text = match kind {
                'f' | 'F' => format!("{size:.precision$}"),
                'e' | 'E' => exponent_form(size, precision, kind == 'E'),
                'g' | 'G' => general(size, precision, spec.alternate, kind == 'G'),
                '%' => format!("{:.precision$}%", size * 100.0),
                'r' if spec.precision.is_none() => text::float(size),
                'r' => general(size, precision, true, false),
                other => return Err(failed(format!("format: the type `{other}` is unknown"))),
            };
            let text = match (spec.group, text.split_once('.')) {
                (Some(separator), Some((whole, rest))) => {
                    format!("{}.{rest}", group(whole, separator, 3))
                }
                (Some(separator), None) => group(&text, separator, 3),
                (None, _) => text,
            };
            Ok((text, float.is_sign_negative()))
        }
    }
}

fn pad(text: String, spec: &Spec, sign: &str, align: char) -> String {
    let length = text.chars().count() + sign.len();
    let missing = spec.width.saturating_sub(length);
    let fill = spec.fill.unwrap_or(if spec.zero { '0' } else { ' ' });
    let run = |n: usize| std::iter::repeat_n(fill, n).collect::<String>();
    match align {
        '<' => format!("{sign}{text}{}", run(missing)),
        '^' => format!(
            "{}{sign}{text}{}",
            run(missing / 2),
            run(missing - missing / 2)
        ),
        '=' => format!("{sign}{}{text}", run(missing)),
        _ => format!("{}{sign}{text}", run(missing)),
    }
}

fn apply(value: &Value, spec: &Spec) -> Result<String, Error> {
    if spec.kind == Some('c') {
        let character = match value.as_str() {
            Some(text) => text.chars().next().filter(|_| text.chars().count() == 1),
            None => as_int(value)?.to_u32().and_then(char::from_u32),
        };
        let character = character.ok_or_else(|| failed("format: `c` needs one character"))?;
        return Ok(pad(
            character.to_string(),
            spec,
            "",
            spec.align.unwrap_or('<'),
        ));
    }
    if matches!(spec.kind, Some('s')) || (spec.kind.is_none() && Number::of(value).is_none()) {
        let mut text = text::printed(value);
        if let Some(precision) = spec.precision {
            text = text.chars().take(precision).collect();
        }
        return Ok(pad(text, spec, "", spec.align.unwrap_or('<')));
    }
    let (digits, negative) = number(value, spec)?;
    let sign = match (negative, spec.sign) {
        (true, _) => "-",
        (false, Some('+')) => "+",
        (false, Some(' ')) => " ",
        _ => "",
    };
    Ok(pad(
        digits,
        spec,
        sign,
        spec.align.unwrap_or(if spec.zero { '=' } else { '>' }),
    ))
}

/// One value by a specification of `str.format`.
///
/// # Errors
/// When it does not fit the value.
pub(super) fn format_value(value: &Value, spec: &str) -> Result<String, Error> {
    if spec.is_empty() {
        return Ok(text::printed(value));
    }
    if value.as_str().is_none() && !value.is_undefined() && Number::of(value).is_none() {
        return Err(failed(format!(
            "format: `{spec}` does not work on {}",
            kind(value)
        )));
    }
    apply(value, &parse_spec(spec)?)
}

fn charge(state: &State, n: usize) -> Result<(), Error> {
    state.consume_fuel(4 + u64::try_from(n / 16).unwrap_or(u64::MAX))
}

/// Python's `str.format`.
///
/// # Errors
/// When a field is missing or the format is not understood.
pub(super) fn format(state: &State, format: &str, args: &[Value]) -> Result<String, Error> {
    format_into(state, format, args, &mut None)
}

/// [`format`] of a literal that holds quotes: JSON where it is printed as such.
///
/// # Errors
/// As [`format`].
pub(super) fn made_by_format(state: &State, text: &str, args: &[Value]) -> Result<Value, Error> {
    let mut maker = Some(Maker::default());
    let text = format_into(state, text, args, &mut maker)?;
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

fn format_into(
    state: &State,
    format: &str,
    args: &[Value],
    maker: &mut Option<Maker>,
) -> Result<String, Error> {
    let (positional, named) = match args.split_last() {
        Some((last, rest)) if last.is_kwargs() => (rest, Some(last)),
        _ => (args, None),
    };
    let mut out = String::with_capacity(format.len());
    let mut rest = format;
    let mut automatic = 0;
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
        let value = lookup(field, positional, named, &mut automatic)?;
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
            let value = lookup(inner, positional, named, &mut automatic)?;
            if value.as_object().is_some() {
                return Err(failed("format: a specification is no list or dict"));
            }
            charge(state, value.as_str().map_or(0, str::len))?;
            spec = Cow::Owned(format!("{head}{}{tail}", text::printed(&value)));
        }
        let text = format_value(&value, &spec)?;
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

/// `0`, `name`, `0[key]`, `name.attr`.
fn lookup(
    field: &str,
    positional: &[Value],
    named: Option<&Value>,
    automatic: &mut usize,
) -> Result<Value, Error> {
    let end = field.find(['.', '[']).unwrap_or(field.len());
    let (first, mut path) = field.split_at(end);
    let missing = || failed(format!("format: there is no argument `{first}`"));
    let mut value = if first.is_empty() {
        *automatic += 1;
        positional
            .get(*automatic - 1)
            .cloned()
            .ok_or_else(missing)?
    } else if let Ok(index) = first.parse::<usize>() {
        positional.get(index).cloned().ok_or_else(missing)?
    } else {
        named.map_or(Ok(Value::UNDEFINED), |n| n.get_attr(first))?
    };
    while !path.is_empty() {
        if let Some(after) = path.strip_prefix('[') {
            let (key, tail) = after
                .split_once(']')
                .ok_or_else(|| failed("format: a bracket is not closed"))?;
            value = match key.parse::<usize>() {
                Ok(index) => value.get_item(&Value::from(index))?,
                Err(_) => value.get_attr(key)?,
            };
            path = tail;
        } else {
            let after = path.trim_start_matches('.');
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, tail) = after.split_at(end);
            if key.starts_with('_') {
                return Err(failed(
                    "format: names that begin with `_` are not reachable",
                ));
            }
            value = value.get_attr(key)?;
            path = tail;
        }
    }
    Ok(value)
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
            Some(name) => {
                by_name = true;
                args.get_attr(name)?
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
        spec.precision = Some(digits(&mut chars)?.unwrap_or(0).min(PRECISION_MAX));
    }
    if chars.next().is_some() {
        return Err(failed(format!(
            "format: `%{flags}{kind}` is not understood"
        )));
    }
    if spec.zero && spec.align == Some('>') {
        spec.align = Some('=');
    }
    let value = match kind {
        's' => Value::from(text::printed(value)),
        'r' | 'a' => Value::from(shown(value, kind == 'a')),
        // A float is cut off at its point.
        'd' | 'i' | 'u' if value.is_number() && !value.is_integer() => {
            let whole = number::whole(as_float(value)?)
                .ok_or_else(|| failed("format: the number is not finite"))?;
            return apply(
                &number::int_value(whole),
                &Spec {
                    kind: Some('d'),
                    ..spec
                },
            );
        }
        _ => value.clone(),
    };
    let kind = if matches!(kind, 'r' | 'a') { 's' } else { kind };
    if kind == 's' {
        spec.zero = false;
        if spec.align == Some('=') {
            spec.align = Some('>');
        }
    }
    spec.kind = Some(kind);
    apply(&value, &spec)
}
