//! The filters of jinja2-humanize-extension (humanize 4.17), without localisation. Values come from JSON, so there are no
//! dates, and nothing depends on the clock.

mod spans;

use super::args::{Args, bind, failed};
use super::numbers::{cut, float_of, integer_of, integer_text};
use super::pyformat;
use crate::translate::number::{Number, int_value, true_division};
use crate::translate::text;
use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};
use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive};

/// Registers them.
pub(super) fn register(env: &mut Environment<'static>) {
    env.add_filter("humanize_naturalsize", naturalsize);
    env.add_filter("humanize_intcomma", intcomma);
    env.add_filter("humanize_intword", intword);
    env.add_filter("humanize_ordinal", ordinal);
    env.add_filter("humanize_apnumber", apnumber);
    env.add_filter("humanize_fractional", fractional);
    env.add_filter("humanize_scientific", scientific);
    env.add_filter("humanize_clamp", clamp);
    env.add_filter("humanize_metric", metric);
    spans::register(env);
    env.add_filter("humanize_naturaldate", as_it_is);
    env.add_filter("humanize_naturalday", as_it_is);
    env.add_filter("humanize_abs_timedelta", super::numbers::abs);
    env.add_filter("humanize_thousands_separator", |_: &Value| ",");
    env.add_filter("humanize_decimal_separator", |_: &Value| ".");
    env.add_filter("humanize_deactivate", |_: &Value| Value::from(()));
}

/// Names, for suggestions.
pub(super) const NAMES: &[&str] = &[
    "humanize_abs_timedelta",
    "humanize_apnumber",
    "humanize_clamp",
    "humanize_deactivate",
    "humanize_decimal_separator",
    "humanize_fractional",
    "humanize_intcomma",
    "humanize_intword",
    "humanize_metric",
    "humanize_naturaldate",
    "humanize_naturalday",
    "humanize_naturaldelta",
    "humanize_naturalsize",
    "humanize_naturaltime",
    "humanize_ordinal",
    "humanize_precisedelta",
    "humanize_scientific",
    "humanize_thousands_separator",
];

fn defined(value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(Error::new(
            ErrorKind::UndefinedError,
            "an undefined value cannot be humanized",
        ));
    }
    Ok(())
}

fn as_it_is(value: &Value, _args: Args) -> Result<String, Error> {
    defined(value)?;
    Ok(text::printed(value))
}

fn by_format(state: &State, format: &str, number: f64) -> Result<String, Error> {
    pyformat::percent(state, format, &Value::from(number), false)
}

fn power(base: f64, exponent: usize) -> f64 {
    base.powi(i32::try_from(exponent).unwrap_or(i32::MAX))
}

fn naturalsize(state: &State, value: &Value, args: Args) -> Result<String, Error> {
    defined(value)?;
    let args = bind(args, &["binary", "gnu", "format"])?;
    let (binary, gnu) = (args.flag(0, false), args.flag(1, false));
    let size = float_of(value).ok_or_else(|| failed("humanize_naturalsize: a number is needed"))?;
    let base = if binary || gnu { 1024.0 } else { 1000.0 };
    if size.abs() == 1.0 && !gnu {
        return Ok(format!("{size:.0} Byte"));
    }
    if size.abs() < base {
        return Ok(format!(
            "{:.0}{}",
            size.trunc() + 0.0,
            if gnu { "B" } else { " Bytes" }
        ));
    }
    let letters: Vec<char> = "KMGTPEZYRQ".chars().collect();
    let format = args.text(2, "%.1f");
    let mut exponent = 1;
    while exponent < letters.len() && size.abs() >= power(base, exponent + 1) {
        exponent += 1;
    }
    let mut shown = by_format(state, &format, size / power(base, exponent))?;
    // Rounding may reach the next unit.
    if exponent < letters.len()
        && shown
            .trim()
            .parse::<f64>()
            .is_ok_and(|rounded| rounded.abs() >= base)
    {
        exponent += 1;
        shown = by_format(state, &format, size / power(base, exponent))?;
    }
    let letter = letters.get(exponent - 1).copied().unwrap_or('Q');
    Ok(if gnu {
        format!("{shown}{letter}")
    } else if binary {
        format!("{shown} {letter}iB")
    } else {
        let letter = if letter == 'K' { 'k' } else { letter };
        format!("{shown} {letter}B")
    })
}

/// Commas between thousands of the digits a text begins with.
fn with_commas(text: &str) -> String {
    let (sign, rest) = text
        .strip_prefix('-')
        .map_or(("", text), |rest| ("-", rest));
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (digits, tail) = rest.split_at(end);
    let mut out = String::from(sign);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out + tail
}

fn intcomma(value: &Value, args: Args) -> Result<String, Error> {
    defined(value)?;
    let args = bind(args, &["ndigits"])?;
    let number = match value.kind() {
        ValueKind::String => {
            let plain = text::printed(value).replace(',', "");
            let parsed = if plain.contains('.') {
                plain.trim().parse().ok().map(|f: f64| Value::from(f))
            } else {
                integer_text(&plain)
                    .and_then(|digits| digits.parse().ok())
                    .map(int_value)
            };
            match parsed {
                Some(number) => number,
                None => return Ok(plain),
            }
        }
        ValueKind::Bool => Value::from(i32::from(value.is_true())),
        _ if Number::of(value).is_some() => value.clone(),
        _ => return Ok(text::printed(value)),
    };
    let digits = args
        .value(0)
        .filter(|v| !v.is_none())
        .map(|_| args.int(0, 0))
        .transpose()?;
    let plain = match digits {
        Some(digits) => pyformat::format_value(&number, &format!(".{digits}f"))?,
        None => text::printed(&number),
    };
    Ok(with_commas(&plain))
}

const WORDS: [&str; 12] = [
    "thousand",
    "million",
    "billion",
    "trillion",
    "quadrillion",
    "quintillion",
    "sextillion",
    "septillion",
    "octillion",
    "nonillion",
    "decillion",
    "googol",
];

fn intword(state: &State, value: &Value, args: Args) -> Result<String, Error> {
    defined(value)?;
    let args = bind(args, &["format"])?;
    let format = args.text(0, "%.1f");
    // Python's int() takes no fraction in a text.
    let fraction = value.as_str().is_some_and(|text| text.contains('.'));
    let Some(number) = integer_of(value).filter(|_| !fraction) else {
        return Ok(text::printed(value));
    };
    let size = number.abs().to_f64().unwrap_or(f64::INFINITY);
    if size < 1000.0 {
        return Ok(number.to_string());
    }
    let sign = if number.is_negative() { "-" } else { "" };
    let powers: Vec<f64> = (1..=11).map(|i| power(1000.0, i)).chain([1e100]).collect();
    let mut at = powers.iter().rposition(|power| size >= *power).unwrap_or(0);
    let rounded = |at: usize| {
        // The exact quotient, rounded once.
        let exponent = if at + 1 < WORDS.len() {
            3 * (at + 1)
        } else {
            100
        };
        let here = BigInt::from(10).pow(u32::try_from(exponent).unwrap_or(0));
        let quotient = true_division(&number.abs(), &here).unwrap_or(f64::INFINITY);
        by_format(state, &format, quotient)
    };
    let mut shown = rounded(at)?;
    // Rounding may reach the next word.
    if let (Some(here), Some(next)) = (powers.get(at), powers.get(at + 1))
        && shown
            .trim()
            .parse::<f64>()
            .is_ok_and(|shown| shown == (next / here).round())
    {
        at += 1;
        shown = by_format(state, &format, 1.0)?;
    }
    Ok(format!("{sign}{shown} {}", WORDS.get(at).unwrap_or(&"")))
}

fn whole(value: &Value) -> Option<BigInt> {
    if value
        .as_str()
        .is_some_and(|text| text.contains(['.', 'e', 'E']))
    {
        None
    } else {
        integer_of(value)
    }
}

fn ordinal(value: &Value, args: Args) -> Result<String, Error> {
    defined(value)?;
    bind(args, &["gender"])?;
    let Some(number) = whole(value) else {
        return Ok(text::printed(value));
    };
    let last = ((&number % 100_i32) + 100_i32).to_i32().unwrap_or(0) % 100;
    let suffix = match (last, last % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    Ok(format!("{number}{suffix}"))
}

fn apnumber(value: &Value) -> Result<String, Error> {
    defined(value)?;
    let Some(number) = whole(value) else {
        return Ok(text::printed(value));
    };
    let words = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    ];
    let word = number.to_usize().and_then(|n| words.get(n));
    Ok(word.map_or_else(|| number.to_string(), |word| (*word).to_owned()))
}

/// The nearest fraction with a denominator of at most 1000, for a number below 1 (Python's `Fraction.limit_denominator`).
fn nearest_fraction(number: f64) -> (u64, u64) {
    const MAX: u64 = 1000;
    let (mut p0, mut q0, mut p1, mut q1) = (0_u64, 1_u64, 1_u64, 0_u64);
    let mut rest = number;
    for _ in 0..64 {
        let a = u64::try_from(cut(rest.floor()).unwrap_or(0)).unwrap_or(0);
        let q2 = q0.saturating_add(a.saturating_mul(q1));
        if q2 > MAX {
            break;
        }
        (p0, q0, p1, q1) = (p1, q1, p0 + a * p1, q2);
        let fraction = rest - rest.floor();
        if fraction < 1e-12 {
            return (p1, q1);
        }
        rest = 1.0 / fraction;
    }
    let k = (MAX - q0) / q1.max(1);
    let (p, q) = (p0 + k * p1, q0 + k * q1);
    let value = |p: u64, q: u64| {
        f64::from(u32::try_from(p).unwrap_or(u32::MAX))
            / f64::from(u32::try_from(q).unwrap_or(u32::MAX))
    };
    if (value(p1, q1) - number).abs() <= (value(p, q) - number).abs() {
        (p1, q1)
    } else {
        (p, q)
    }
}

fn fractional(value: &Value) -> Result<String, Error> {
    defined(value)?;
    let Some(number) = float_of(value).filter(|n| n.is_finite()) else {
        return Ok(text::printed(value));
    };
    // Without the sign that a zero may have.
    let whole = number.trunc() + 0.0;
    let (numerator, denominator) = nearest_fraction((number - whole).abs());
    Ok(if numerator == 0 {
        format!("{whole:.0}")
    } else if whole == 0.0 {
        format!(
            "{}{numerator}/{denominator}",
            if number < 0.0 { "-" } else { "" }
        )
    } else {
        format!("{whole:.0} {numerator}/{denominator}")
    })
}

fn in_scientific(number: f64, precision: i64) -> String {
    let precision = usize::try_from(precision).unwrap_or(0).min(100);
    let shown = format!("{number:.precision$e}");
    let (mantissa, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
    let raised: String = exponent
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            c => c
                .to_digit(10)
                .and_then(|d| char::from_u32(0x2070 + d))
                .unwrap_or(c),
        })
        .collect();
    format!("{mantissa} x 10{raised}")
}

fn scientific(value: &Value, args: Args) -> Result<String, Error> {
    defined(value)?;
    let args = bind(args, &["precision"])?;
    match float_of(value) {
        Some(number) => Ok(in_scientific(number, args.int(0, 2)?)),
        None => Ok(text::printed(value)),
    }
}

fn clamp(state: &State, value: &Value, args: Args) -> Result<Value, Error> {
    defined(value)?;
    let args = bind(
        args,
        &["floor", "ceil", "format", "floor_token", "ceil_token"],
    )?;
    if value.is_none() {
        return Ok(Value::from(()));
    }
    let number = float_of(value)
        .filter(|_| value.as_str().is_none())
        .ok_or_else(|| failed("humanize_clamp: a number is needed"))?;
    let bound = |at: usize, beyond: fn(f64, f64) -> bool| {
        args.value(at)
            .filter(|v| float_of(v).is_some_and(|b| beyond(number, b)))
            .cloned()
    };
    let format = args.text(2, "{:}");
    let (shown, token) = if let Some(floor) = bound(0, |n, b| n < b) {
        (floor, args.text(3, "<"))
    } else if let Some(ceiling) = bound(1, |n, b| n > b) {
        (ceiling, args.text(4, ">"))
    } else {
        (value.clone(), String::new())
    };
    Ok(Value::from(
        token + &pyformat::format(state, &format, &[shown], false)?,
    ))
}

fn metric(value: &Value, args: Args) -> Result<String, Error> {
    defined(value)?;
    let args = bind(args, &["unit", "precision"])?;
    let (unit, precision) = (args.text(0, ""), args.int(1, 3)?);
    let number = Number::of(value)
        .and_then(|number| number.float())
        .ok_or_else(|| failed("humanize_metric: a number is needed"))?;
    let exponent = if number == 0.0 {
        0
    } else {
        i64::try_from(cut(number.abs().log10().floor()).unwrap_or(0)).unwrap_or(0)
    };
    if !(-30..33).contains(&exponent) {
        return Ok(in_scientific(number, precision - 1) + &unit);
    }
    let step = exponent.div_euclid(3);
    let scaled = number / 10_f64.powi(i32::try_from(step * 3).unwrap_or(0));
    let at = |letters: &str, n: i64| {
        letters
            .chars()
            .nth(usize::try_from(n).unwrap_or(0))
            .map(String::from)
            .unwrap_or_default()
    };
    let prefix = if exponent >= 3 {
        at("kMGTPEZYRQ", step - 1)
    } else if exponent < 0 {
        at("mμnpfazyrq", -step - 1)
    } else {
        String::new()
    };
    let decimals = usize::try_from((precision - 1 - exponent.rem_euclid(3)).max(0))
        .unwrap_or(0)
        .min(100);
    let space =
        if (unit.is_empty() && prefix.is_empty()) || ["°", "′", "″"].contains(&unit.as_str()) {
            ""
        } else {
            " "
        };
    Ok(format!("{scaled:.decimals$}{space}{prefix}{unit}"))
}
