//! `int`, `float` and `range` as Jinja2 has them.

use super::args::{Args, bind, failed, integer};
use crate::model::limits;
use crate::translate::text;
use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};

/// Registers them.
pub(super) fn register(env: &mut Environment<'static>) {
    env.add_filter("int", int);
    env.add_filter("float", float);
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
        ValueKind::Bool => Some(if value.is_true() { 1.0 } else { 0.0 }),
        ValueKind::Number => f64::try_from(value.clone())
            .ok()
            .or_else(|| text::printed(value).parse().ok()),
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
        _ => None,
    }
}

/// A number, a boolean or numeric text as an integer, cut at its point.
pub(super) fn int_of(value: &Value) -> Option<i128> {
    if value.kind() == ValueKind::Bool {
        return Some(i128::from(value.is_true()));
    }
    if value.is_integer() {
        return i128::try_from(value.clone()).ok();
    }
    if let Some(text) = value.as_str()
        && let Ok(number) = text.trim().replace('_', "").parse()
    {
        return Some(number);
    }
    cut(float_of(value)?)
}

/// A double cut at its point.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
pub(super) fn cut(number: f64) -> Option<i128> {
    (number.is_finite() && number.abs() < 1.7e38).then_some(number as i128)
}

fn int(value: &Value, args: Args) -> Result<Value, Error> {
    defined(value)?;
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
            return Ok(Value::from(number));
        }
    }
    // A whole number beyond 128 bits stays what it is.
    if value.is_integer() {
        return Ok(int_of(value).map_or_else(|| value.clone(), Value::from));
    }
    Ok(match int_of(value) {
        Some(number) => i64::try_from(number).map_or_else(|_| Value::from(number), Value::from),
        None => args.value(0).cloned().unwrap_or_else(|| Value::from(0)),
    })
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
    Ok(Value::from(items))
}
