//! One value by one specification: fill, sign, width, grouping, precision, type.

use super::super::args::{WIDTH_MAX, failed, width};
use super::super::operators::kind;
use crate::translate::number::{self, Number};
use crate::translate::text;
use minijinja::Error;
use minijinja::value::{Value, ValueKind};
use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive};

/// Decimal places that are computed.
pub(super) const PRECISION_MAX: usize = 300;

/// What stands between `:` and `}`, or after `%`.
#[derive(Debug, Clone, Default)]
pub(super) struct Spec {
    pub(super) fill: Option<char>,
    pub(super) align: Option<char>,
    pub(super) sign: Option<char>,
    pub(super) alternate: bool,
    pub(super) zero: bool,
    pub(super) width: usize,
    pub(super) group: Option<char>,
    pub(super) precision: Option<usize>,
    pub(super) kind: Option<char>,
    /// Digits that an integer has at least, as `%.5d` asks for.
    pub(super) digits: usize,
}

pub(super) fn digits(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
) -> Result<Option<usize>, Error> {
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
pub(super) fn parse_spec(spec: &str) -> Result<Spec, Error> {
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
    out.zero = out.fill.is_none() && chars.next_if_eq(&'0').is_some();
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
    match (out.group, out.kind) {
        (None, _)
        | (_, None | Some('d' | 'e' | 'f' | 'g' | 'E' | 'F' | 'G' | '%'))
        | (Some('_'), Some('b' | 'o' | 'x' | 'X')) => Ok(out),
        (Some(group), Some(kind)) => Err(failed(format!(
            "format: `{group}` and `{kind}` do not go together"
        ))),
    }
}

pub(super) fn as_float(value: &Value) -> Result<f64, Error> {
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

/// Puts separators between digits. Zeros are put before them until all of it is so wide, and no separator comes first.
fn group(digits: &str, separator: char, every: usize, wide: usize) -> String {
    let mut reversed = String::with_capacity(wide.max(digits.len() * 4 / 3 + 1));
    let mut rest = digits.chars().rev();
    let mut count = 0;
    let mut length = 0;
    loop {
        let next = rest.next();
        if next.is_none() && length >= wide {
            break;
        }
        if count > 0 && count % every == 0 {
            reversed.push(separator);
            length += 1;
        }
        reversed.push(next.unwrap_or('0'));
        count += 1;
        length += 1;
    }
    reversed.chars().rev().collect()
}

/// A double in exponent form as Python writes it: at least two digits of exponent.
fn exponent_form(number: f64, precision: usize, alternate: bool, upper: bool) -> String {
    let text = format!("{number:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    let point = if alternate && precision == 0 { "." } else { "" };
    format!(
        "{mantissa}{point}{}{sign}{:02}",
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
        let text = exponent_form(number, precision - 1, alternate, upper);
        let mark = if upper { 'E' } else { 'e' };
        return match text.split_once(mark) {
            Some((mantissa, exponent)) => format!("{}{mark}{exponent}", strip(mantissa.to_owned())),
            None => text,
        };
    }
    let decimals = usize::try_from(limit - 1 - exponent).unwrap_or(0);
    let text = format!("{number:.decimals$}");
    if alternate && decimals == 0 {
        return text + ".";
    }
    strip(text)
}

/// A number in parts: what comes before its digits (`0x`), the digits, what follows them, whether it is negative.
struct Parts {
    prefix: &'static str,
    digits: String,
    rest: String,
    negative: bool,
    /// Digits between two separators.
    every: usize,
}

fn integer(value: &Value, spec: &Spec, kind: char) -> Result<Parts, Error> {
    let number = as_int(value)?;
    let size = number.abs();
    let (prefix, mut digits, every) = match kind {
        'x' => ("0x", size.to_str_radix(16), 4),
        'X' => ("0X", size.to_str_radix(16).to_uppercase(), 4),
        'o' => ("0o", size.to_str_radix(8), 4),
        'b' => ("0b", size.to_str_radix(2), 4),
        _ => ("", size.to_string(), 3),
    };
    if let Some(missing) = spec.digits.checked_sub(digits.len()) {
        digits.insert_str(0, &"0".repeat(missing));
    }
    Ok(Parts {
        prefix: if spec.alternate { prefix } else { "" },
        digits,
        rest: String::new(),
        negative: number.is_negative(),
        every,
    })
}

fn double(value: &Value, spec: &Spec, kind: char) -> Result<Parts, Error> {
    let float = as_float(value)?;
    let (size, precision) = (float.abs(), spec.precision.unwrap_or(6));
    let text = match kind {
        _ if !float.is_finite() => {
            let text = if float.is_nan() { "nan" } else { "inf" };
            let text = if matches!(kind, 'E' | 'F' | 'G') {
                text.to_uppercase()
            } else {
                text.to_owned()
            };
            if kind == '%' { text + "%" } else { text }
        }
        'f' | 'F' | '%' => {
            let size = if kind == '%' { size * 100.0 } else { size };
            let point = if spec.alternate && precision == 0 {
                "."
            } else {
                ""
            };
            let sign = if kind == '%' { "%" } else { "" };
            format!("{size:.precision$}{point}{sign}")
        }
        'e' | 'E' => exponent_form(size, precision, spec.alternate, kind == 'E'),
        'g' | 'G' => general(size, precision, spec.alternate, kind == 'G'),
        'r' => {
            let text = match spec.precision {
                None => text::float(size),
                Some(precision) => shortest(size, precision, spec.alternate),
            };
            match text.split_once('e') {
                Some((mantissa, exponent)) if spec.alternate && !mantissa.contains('.') => {
                    format!("{mantissa}.e{exponent}")
                }
                _ => text,
            }
        }
        other => return Err(failed(format!("format: the type `{other}` is unknown"))),
    };
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Ok(Parts {
        prefix: "",
        digits: digits.to_owned(),
        rest: rest.to_owned(),
        negative: float.is_sign_negative() && !float.is_nan(),
        every: 3,
    })
}

/// As `g`, but with at least one digit behind the point: `{:.3}`.
fn shortest(size: f64, precision: usize, alternate: bool) -> String {
    let precision = precision.max(1);
    let scientific = format!("{size:.*e}", precision - 1);
    let exponent: i64 = scientific
        .split_once('e')
        .and_then(|(_, e)| e.parse().ok())
        .unwrap_or(0);
    let limit = i64::try_from(precision).unwrap_or(i64::MAX);
    if exponent == limit - 1 {
        // The digits end before the point: then even so many are written with an exponent.
        let text = exponent_form(size, precision - 1, alternate, false);
        return match text.split_once('e') {
            Some((mantissa, exponent)) if mantissa.contains('.') && !alternate => {
                let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
                format!("{mantissa}e{exponent}")
            }
            _ => text,
        };
    }
    let text = general(size, precision, alternate, false);
    if text.contains(['.', 'e']) {
        text
    } else {
        text + ".0"
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

fn character(value: &Value, spec: &Spec) -> Result<String, Error> {
    if spec.sign.is_some() || spec.alternate {
        return Err(failed("format: `c` takes no sign and no `#`"));
    }
    let character = match value.as_str() {
        Some(text) => text.chars().next().filter(|_| text.chars().count() == 1),
        None => as_int(value)?.to_u32().and_then(char::from_u32),
    };
    let character = character.ok_or_else(|| failed("format: `c` needs one character"))?;
    let align = spec.align.unwrap_or(if spec.zero { '=' } else { '>' });
    Ok(pad(character.to_string(), spec, "", align))
}

fn words(value: &Value, spec: &Spec) -> Result<String, Error> {
    if spec.sign.is_some() || spec.alternate || spec.group.is_some() || spec.align == Some('=') {
        return Err(failed(
            "format: text takes no sign, no `#`, no `=` and no separator",
        ));
    }
    let mut text = text::printed(value);
    if let Some(precision) = spec.precision {
        text = text.chars().take(precision).collect();
    }
    Ok(pad(text, spec, "", spec.align.unwrap_or('<')))
}

/// One value by a specification.
///
/// # Errors
/// When it does not fit the value.
pub(super) fn apply(value: &Value, spec: &Spec) -> Result<String, Error> {
    if Number::of(value).is_none() {
        return match spec.kind {
            None | Some('s') => words(value, spec),
            Some('c') => character(value, spec),
            _ => as_int(value).map(|_| String::new()),
        };
    }
    let whole = number::is_integer(value) || value.kind() == ValueKind::Bool;
    let kind = match spec.kind {
        None if whole => 'd',
        None => 'r',
        Some('n') if whole => 'd',
        Some('n') => 'g',
        Some(kind) => kind,
    };
    if whole && spec.precision.is_some() && matches!(kind, 'b' | 'c' | 'd' | 'o' | 'x' | 'X') {
        return Err(failed("format: an integer takes no precision"));
    }
    let parts = match kind {
        'c' => return character(value, spec),
        'd' | 'x' | 'X' | 'o' | 'b' => integer(value, spec, kind)?,
        _ => double(value, spec, kind)?,
    };
    let sign = match (parts.negative, spec.sign) {
        (true, _) => "-",
        (false, Some('+')) => "+",
        (false, Some(' ')) => " ",
        _ => "",
    };
    let sign = format!("{sign}{}", parts.prefix);
    let align = spec.align.unwrap_or(if spec.zero { '=' } else { '>' });
    let digits = match spec.group {
        Some(separator) if !parts.digits.is_empty() => {
            let zeros =
                align == '=' && spec.fill.unwrap_or(if spec.zero { '0' } else { ' ' }) == '0';
            let around = sign.len() + parts.rest.chars().count();
            let wide = if zeros {
                spec.width.saturating_sub(around)
            } else {
                0
            };
            group(&parts.digits, separator, parts.every, wide)
        }
        _ => parts.digits,
    };
    Ok(pad(digits + &parts.rest, spec, &sign, align))
}
