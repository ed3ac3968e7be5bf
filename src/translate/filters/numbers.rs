//! `int`, `float` and `range` as Jinja2 has them.

use super::args::{Args, bind, failed, integer};
use crate::model::limits;
use crate::translate::number::{self, Number};
use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};
use num_bigint::BigInt;
use num_traits::Signed;

/// Registers them.
pub(super) fn register(env: &mut Environment<'static>) {
    env.add_filter("int", int);
    env.add_filter("float", float);
    env.add_filter("round", round);
    env.add_filter("abs", abs);
    env.add_function("range", range);
}

fn defined(value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(Error::new(
            ErrorKind::UndefinedError,
            "an undefined value is no number",
        ));
    }
    Ok(())
}

/// A number, a boolean or numeric text as a double.
pub(super) fn float_of(value: &Value) -> Option<f64> {
    match value.kind() {
        ValueKind::String => {
            let text = plain_digits(value.as_str()?)?;
            match text.to_ascii_lowercase().trim_start_matches(['+', '-']) {
                "inf" | "infinity" => Some(if text.starts_with('-') {
                    f64::NEG_INFINITY
                } else {
                    f64::INFINITY
                }),
                "nan" => Some(f64::NAN),
                _ => text
                    .parse()
                    .ok()
                    .filter(|f: &f64| f.is_finite() || text.contains(['e', 'E'])),
            }
        }
        _ => Number::of(value)?.float(),
    }
}

/// A number, a boolean or numeric text as an integer, cut at its point.
pub(super) fn integer_of(value: &Value) -> Option<BigInt> {
    match Number::of(value) {
        Some(Number::Int(int)) => return Some(int),
        Some(Number::Float(float)) => return number::whole(float),
        None => {}
    }
    if let Some(text) = value.as_str()
        && let Some(digits) = integer_text(text)
    {
        return digits.parse().ok();
    }
    number::whole(float_of(value)?)
}

/// The digits of a text that Python's `int` takes: a sign, `_` between digits, white space around.
pub(super) fn integer_text(text: &str) -> Option<String> {
    const DIGITS_MAX: usize = 4_300;
    let text = plain_digits(text)?;
    let bare = text.strip_prefix(['+', '-']).unwrap_or(&text);
    let digits =
        !bare.is_empty() && bare.len() <= DIGITS_MAX && bare.bytes().all(|b| b.is_ascii_digit());
    digits.then_some(text)
}

/// A number's text as Python reads it: white space around it is taken off, digits of any script count, and a `_`
/// stands between two digits. None where one stands elsewhere.
fn plain_digits(text: &str) -> Option<String> {
    let text = super::casing::strip(text, None, true, true);
    if text.is_ascii() && !text.contains('_') {
        return Some(text.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match super::methods::digit(c) {
            Some(digit) => out.push(digit),
            None if c != '_' => out.push(c),
            None => {
                let between = out.ends_with(|c: char| c.is_ascii_alphanumeric())
                    && chars
                        .peek()
                        .is_some_and(|c| c.is_ascii_alphanumeric() || !c.is_ascii());
                if !between {
                    return None;
                }
            }
        }
    }
    Some(out)
}

/// A double cut at its point.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
pub(super) fn cut(number: f64) -> Option<i128> {
    (number.is_finite() && number.abs() < 1.7e38).then_some(number as i128)
}

fn int(value: &Value, args: Args) -> Result<Value, Error> {
    defined(value)?;
    let args = bind(args, &["default", "base"])?;
    let given = args.value(1).filter(|base| Number::of(base).is_some());
    let base = given.map_or(Ok(10), integer)?;
    if base != 10
        && let Some(text) = value.as_str()
        && let Some(number) = in_base(text, base)
    {
        return Ok(number::int_value(number));
    }
    let whole = match value.as_str() {
        // Without a base that reads it, only a number with a point is left.
        Some(_) if base != 10 || (args.value(1).is_some() && given.is_none()) => {
            float_of(value).and_then(number::whole)
        }
        _ => integer_of(value),
    };
    Ok(match whole {
        Some(number) => number::int_value(number),
        None => args.value(0).cloned().unwrap_or_else(|| Value::from(0)),
    })
}

/// A text in a base of 2 to 36; base 0 is what its own beginning says.
fn in_base(text: &str, base: i64) -> Option<BigInt> {
    let text = plain_digits(text)?.to_ascii_lowercase();
    let (negative, bare) = match text.strip_prefix('-') {
        Some(bare) => (true, bare),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let (named, digits) = match bare.get(..2) {
        Some("0x") => (16, bare.get(2..)?),
        Some("0o") => (8, bare.get(2..)?),
        Some("0b") => (2, bare.get(2..)?),
        _ => (10, bare),
    };
    let digits = if base == 0 || base == named {
        digits
    } else {
        bare
    };
    let base = u32::try_from(if base == 0 { named } else { base }).ok()?;
    let zeros = digits.len() > 1 && named == 10 && base == 10 && digits.starts_with('0');
    if !(2..=36).contains(&base) || digits.len() > 4_300 || digits.starts_with(['+', '-']) || zeros
    {
        return None;
    }
    let number = BigInt::parse_bytes(digits.as_bytes(), base)?;
    Some(if negative { -number } else { number })
}

/// Rounds as Python does: an integer stays one, halves go to the even neighbour; `ceil` and `floor` give floats.
fn round(value: Value, args: Args) -> Result<Value, Error> {
    let args = bind(args, &["precision", "method"])?;
    if value.is_undefined() {
        return Err(super::operators::undefined(&value));
    }
    let method = args.text(1, "common");
    let none = args.value(0).is_some_and(Value::is_none) && method == "common";
    if none && Number::of(&value).is_some() {
        return rounded_int(&value);
    }
    let precision =
        i32::try_from(args.int(0, 0)?).map_err(|_| failed("round: the precision is too large"))?;
    let Some(number) = Number::of(&value) else {
        return Err(failed(format!(
            "round needs a number, not {}",
            super::operators::kind(&value)
        )));
    };
    match method.as_str() {
        "common" => match number {
            Number::Int(int) if precision >= 0 || number::is_big(&value) => {
                Ok(number::int_value(int))
            }
            _ if precision > 300 => Ok(value),
            number => {
                let options = [("precision", Value::from(precision))]
                    .into_iter()
                    .collect();
                minijinja::filters::round(number.value(), None, None, options)
            }
        },
        "ceil" | "floor" => {
            if precision.unsigned_abs() > 300 {
                return Err(failed("round: the precision is too large"));
            }
            to_side(&number, precision, method == "ceil")
        }
        _ => Err(failed(format!(
            "round: the method is `common`, `ceil` or `floor`, not `{method}`"
        ))),
    }
}

/// As `round(x, None)`: an integer, halves to the even neighbour.
fn rounded_int(value: &Value) -> Result<Value, Error> {
    match Number::of(value) {
        Some(Number::Float(float)) => number::whole(float.round_ties_even())
            .map(number::int_value)
            .ok_or_else(|| failed("round: the number is not finite")),
        Some(Number::Int(int)) => Ok(number::int_value(int)),
        None => Err(failed("round needs a number")),
    }
}

/// `ceil` and `floor`: the next integer of the number times ten to the precision, divided by that again.
fn to_side(number: &Number, precision: i32, up: bool) -> Result<Value, Error> {
    let too_large = || failed("an integer is too large for a float");
    let shift = BigInt::from(10).pow(precision.unsigned_abs());
    let whole = match number {
        Number::Int(int) if precision >= 0 => int * &shift,
        number => {
            let float = number.float().ok_or_else(too_large)?;
            let shifted = float * format!("1e{precision}").parse().unwrap_or(1.0);
            number::whole(if up { shifted.ceil() } else { shifted.floor() })
                .ok_or_else(|| failed("round: the number is not finite"))?
        }
    };
    let rounded = if precision >= 0 {
        number::true_division(&whole, &shift).ok_or_else(too_large)?
    } else {
        let whole = Number::Int(whole).float().ok_or_else(too_large)?;
        whole / format!("1e{precision}").parse().unwrap_or(1.0)
    };
    Ok(Value::from(rounded))
}

pub(super) fn abs(value: &Value) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(super::operators::undefined(value));
    }
    match Number::of(value) {
        Some(Number::Int(int)) => Ok(number::int_value(int.abs())),
        Some(Number::Float(float)) => Ok(Value::from(float.abs())),
        None => Err(failed(format!(
            "abs needs a number, not {}",
            super::operators::kind(value)
        ))),
    }
}

fn float(value: &Value, args: Args) -> Result<Value, Error> {
    defined(value)?;
    let args = bind(args, &["default"])?;
    Ok(match float_of(value) {
        Some(number) => Value::from(number),
        None => args.value(0).cloned().unwrap_or_else(|| Value::from(0.0)),
    })
}

fn range(args: Args) -> Result<Value, Error> {
    let args = bind(args, &["start", "stop", "step"])?;
    let first = args
        .value(0)
        .ok_or_else(|| failed("range needs at least one number"))?;
    let (start, stop) = match args.value(1) {
        None => (0, integer(first)?),
        Some(stop) => (integer(first)?, integer(stop)?),
    };
    let step = args.int(2, 1)?;
    if step == 0 {
        return Err(failed("range: the step must not be 0"));
    }
    let mut items = Vec::new();
    let mut at = start;
    while (step > 0 && at < stop) || (step < 0 && at > stop) {
        if items.len() >= limits::TEMPLATE_RANGE_MAX {
            return Err(failed(format!(
                "range gives at most {} items",
                limits::TEMPLATE_RANGE_MAX
            )));
        }
        items.push(Value::from(at));
        let Some(next) = at.checked_add(step) else {
            break;
        };
        at = next;
    }
    Ok(super::View::range(start, stop, step, items))
}
