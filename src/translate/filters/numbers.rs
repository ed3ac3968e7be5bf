//! `int`, `float` and `range` as Jinja2 has them.

use super::args::{Args, bind, failed, integer};
use super::cost::{self, charge};
use crate::model::limits;
use crate::translate::number::{self, Number};
use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};
use num_bigint::BigInt;
use num_traits::Signed;

/// Registers them.
pub(super) fn register(env: &mut Environment<'static>) {
    env.add_filter("int", int);
    env.add_filter("float", float);
    env.add_filter("round", round);
    env.add_filter("abs", |s: &State, v: &Value| {
        cost::number(s, v)?;
        abs(v)
    });
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
            let text = value.as_str()?.trim().replace('_', "");
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
    let text = super::casing::strip(text, None, true, true);
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = !bare.is_empty()
        && bare.len() <= DIGITS_MAX
        && bare
            .split('_')
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    digits.then(|| text.replace('_', ""))
}

/// A double cut at its point.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
pub(super) fn cut(number: f64) -> Option<i128> {
    (number.is_finite() && number.abs() < 1.7e38).then_some(number as i128)
}

fn int(state: &State, value: &Value, args: Args) -> Result<Value, Error> {
    defined(value)?;
    cost::number(state, value)?;
    let args = bind(args, &["default", "base"])?;
    let base = u32::try_from(args.int(1, 10)?).unwrap_or(0);
    if let (Some(text), 2..=36) = (value.as_str(), base)
        && base != 10
    {
        let text = text.trim().to_ascii_lowercase().replace('_', "");
        let digits = match base {
            16 => text.strip_prefix("0x"),
            8 => text.strip_prefix("0o"),
            2 => text.strip_prefix("0b"),
            _ => None,
        };
        if let Ok(number) = i128::from_str_radix(digits.unwrap_or(&text), base) {
            return Ok(number::int_value(number.into()));
        }
    }
    Ok(match integer_of(value) {
        Some(number) => number::int_value(number),
        None => args.value(0).cloned().unwrap_or_else(|| Value::from(0)),
    })
}

/// Rounds as Python does: an integer stays one, halves go to the even neighbour; `ceil` and `floor` give floats.
fn round(state: &State, value: Value, args: Args) -> Result<Value, Error> {
    cost::number(state, &value)?;
    let args = bind(args, &["precision", "method"])?;
    let precision =
        i32::try_from(args.int(0, 0)?).map_err(|_| failed("round: the precision is too large"))?;
    let method = args.text(1, "common");
    if value.is_undefined() {
        return Err(super::operators::undefined(&value));
    }
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
            let float = number
                .float()
                .ok_or_else(|| failed("an integer is too large for a float"))?;
            let shift = 10_f64.powi(precision);
            let shifted = float * shift;
            let rounded = if method == "ceil" {
                shifted.ceil()
            } else {
                shifted.floor()
            };
            Ok(Value::from(rounded / shift + 0.0))
        }
        _ => Err(failed(format!(
            "round: the method is `common`, `ceil` or `floor`, not `{method}`"
        ))),
    }
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

fn float(state: &State, value: &Value, args: Args) -> Result<Value, Error> {
    defined(value)?;
    cost::number(state, value)?;
    let args = bind(args, &["default"])?;
    Ok(match float_of(value) {
        Some(number) => Value::from(number),
        None => args.value(0).cloned().unwrap_or_else(|| Value::from(0.0)),
    })
}

fn range(state: &State, args: Args) -> Result<Value, Error> {
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
    charge(state, items.len() * 16)?;
    Ok(super::View::range(start, stop, step, items))
}
