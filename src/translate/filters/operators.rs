//! Operators as Python has them; the rewrite of a template puts them in place of the engine's.

use super::args::{Args, failed};
use super::cost::{beyond, charge, equal, walk};
use super::pyformat;
use crate::model::limits::TEMPLATE_OUTPUT_BYTES_MAX;
use crate::translate::marks::{Maker, Mark};
use crate::translate::number::{self, BITS_MAX, Number};
use crate::translate::{sink, text};
use minijinja::value::{Rest, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State};
use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive, Zero};
use std::cmp::Ordering;

/// What a power costs, in bytes, and a sum or product of integers beyond the engine's own.
const POWER: usize = 16 * 64;
const BIG: usize = 16 * 128;
/// Items of a list that `*` or `+` makes.
const ITEMS_MAX: usize = 250_000;

/// Registers them.
pub(super) fn register(env: &mut Environment<'static>) {
    env.add_filter("__add", |s: &State, a: &Value, b: &Value| add(s, a, b));
    env.add_filter("__sub", |s: &State, a: &Value, b: &Value| {
        paid(s, "-", a, b)
    });
    env.add_filter("__mul", |s: &State, a: &Value, b: &Value| multiply(s, a, b));
    env.add_filter("__div", |s: &State, a: &Value, b: &Value| {
        paid(s, "/", a, b)
    });
    env.add_filter("__floordiv", |s: &State, a: &Value, b: &Value| {
        paid(s, "//", a, b)
    });
    env.add_filter("__mod", |s: &State, a: &Value, b: &Value| modulo(s, a, b));
    env.add_filter("__pow", |s: &State, a: &Value, b: &Value| {
        charge(s, POWER)?;
        let power = paid(s, "**", a, b)?;
        charge(s, number::digits_of(&power))?;
        Ok::<_, Error>(power)
    });
    env.add_filter("__neg", |a: &Value| signed(a, true));
    env.add_filter("__pos", |a: &Value| signed(a, false));
    env.add_filter("__cat", |s: &State, first: &Value, rest: Rest<Value>| {
        concat(s, "", first, &rest)
    });
    of_literals(env);
    env.add_filter("__slice", slice);
    env.add_filter("__in", |s: &State, a: &Value, b: &Value| contains(s, a, b));
    env.add_filter("__notin", |s: &State, a: &Value, b: &Value| {
        contains(s, a, b).map(|found| !found)
    });
    env.add_filter("__chain", chain);
    env.add_filter("__eq", |s: &State, a: &Value, b: &Value| equal(s, a, b));
    env.add_filter("__ne", |s: &State, a: &Value, b: &Value| {
        equal(s, a, b).map(|same| !same)
    });
    // Before a text's character is taken, which is found by counting.
    env.add_filter("__counting", |s: &State, v: Value| {
        charge(s, v.as_str().map_or(0, |text| text.len() / 4))?;
        Ok::<_, Error>(v)
    });
    env.add_filter("__lt", |s: &State, a: &Value, b: &Value| {
        Ok::<_, Error>(order(s, "<", a, b)? == Some(Ordering::Less))
    });
    env.add_filter("__le", |s: &State, a: &Value, b: &Value| {
        Ok::<_, Error>(matches!(
            order(s, "<=", a, b)?,
            Some(Ordering::Less | Ordering::Equal)
        ))
    });
    env.add_filter("__gt", |s: &State, a: &Value, b: &Value| {
        Ok::<_, Error>(order(s, ">", a, b)? == Some(Ordering::Greater))
    });
    env.add_filter("__ge", |s: &State, a: &Value, b: &Value| {
        Ok::<_, Error>(matches!(
            order(s, ">=", a, b)?,
            Some(Ordering::Greater | Ordering::Equal)
        ))
    });
}

/// Those whose text may be JSON: literals of the template that hold quotes are part of it.
fn of_literals(env: &mut Environment<'static>) {
    env.add_filter(
        "__catq",
        |s: &State, first: &Value, literals: &str, rest: Rest<Value>| {
            concat(s, literals, first, &rest)
        },
    );
    env.add_filter(
        "__addq",
        |s: &State, a: &Value, literals: &str, b: &Value| {
            if text_like(a) && text_like(b) {
                concat(s, literals, a, std::slice::from_ref(b))
            } else {
                add(s, a, b)
            }
        },
    );
    env.add_filter("__modq", |s: &State, a: &Value, b: &Value| {
        pyformat::made_by_percent(s, &text::printed(a), b)
    });
    env.add_filter("__fmtq", |s: &State, a: &Value, args: Args| {
        pyformat::made_by_percent(s, &text::printed(a), &operand(args))
    });
    env.add_filter("__formatq", |s: &State, a: &Value, args: Args| {
        pyformat::made_by_format(s, &text::printed(a), &args.into_values())
    });
}

/// A value's kind in the words of people who write templates.
pub(super) fn kind(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Undefined => "an undefined value",
        ValueKind::None => "None",
        ValueKind::Bool => "a boolean",
        ValueKind::Number => "a number",
        ValueKind::String => "text",
        ValueKind::Seq | ValueKind::Iterable => "a list",
        ValueKind::Map => "a dict",
        _ if number::is_big(value) => "a number",
        _ => "such a value",
    }
}

/// The error for an undefined operand; the engine adds which expression it was.
pub(super) fn undefined(value: &Value) -> Error {
    match i64::try_from(value.clone()) {
        Err(error) => error,
        Ok(_) => Error::from(ErrorKind::UndefinedError),
    }
}

fn unfit(operator: &str, left: &Value, right: &Value) -> Error {
    for side in [left, right] {
        if side.is_undefined() {
            return undefined(side);
        }
    }
    failed(format!(
        "`{operator}` does not work on {} and {}: {} {operator} {}",
        kind(left),
        kind(right),
        text::glance(left),
        text::glance(right)
    ))
}

fn like(text: String, safe: bool) -> Value {
    if safe {
        Value::from_safe_string(text)
    } else {
        Value::from(text)
    }
}

/// A value's text for a text that is safe if `safe`: HTML is escaped unless the value is safe too.
fn for_safe(value: &Value, safe: bool) -> String {
    let text = text::printed(value);
    if safe && !value.is_safe() {
        sink::html(&text)
    } else {
        text
    }
}

fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
        && !value.is_tuple()
        && !super::View::is(value)
}

/// The items of lists one after another, `times` times.
fn items(state: &State, values: &[&Value], times: usize) -> Result<Vec<Value>, Error> {
    let too_many = || beyond(format!("a list has more than {ITEMS_MAX} items"));
    let mut once = Vec::new();
    for value in values {
        for item in value.try_iter()?.checked() {
            if once.len() >= ITEMS_MAX {
                return Err(too_many());
            }
            charge(state, 32)?;
            once.push(item?);
        }
    }
    let count = once.len().saturating_mul(times);
    if count > ITEMS_MAX {
        return Err(too_many());
    }
    charge(state, count.saturating_mul(32))?;
    let mut out = Vec::with_capacity(count);
    for _ in 0..times {
        out.extend_from_slice(&once);
    }
    Ok(out)
}

fn as_tuple(items: Vec<Value>) -> Value {
    Value::from(minijinja::value::Tuple::from(items))
}

pub(super) fn add(state: &State, left: &Value, right: &Value) -> Result<Value, Error> {
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        charge(state, a.len() + b.len())?;
        let safe = left.is_safe() || right.is_safe();
        return Ok(like(for_safe(left, safe) + &for_safe(right, safe), safe));
    }
    if text_like(left) && text_like(right) {
        return concat(state, "", left, std::slice::from_ref(right));
    }
    if is_list(left) && is_list(right) {
        return Ok(Value::from(items(state, &[left, right], 1)?));
    }
    if left.is_tuple() && right.is_tuple() {
        return Ok(as_tuple(items(state, &[left, right], 1)?));
    }
    paid(state, "+", left, right)
}

fn too_long() -> Error {
    beyond("a text is larger than 16 MiB")
}

/// [`arithmetic`] that pays for integers of many digits.
fn paid(state: &State, operator: &str, left: &Value, right: &Value) -> Result<Value, Error> {
    if number::is_big(left) || number::is_big(right) {
        charge(state, BIG)?;
    }
    arithmetic(operator, left, right)
}

fn multiply(state: &State, left: &Value, right: &Value) -> Result<Value, Error> {
    let (repeated, count) = if left.as_str().is_some() || is_list(left) || left.is_tuple() {
        (left, right)
    } else {
        (right, left)
    };
    let text = repeated.as_str();
    if text.is_none() && !is_list(repeated) && !repeated.is_tuple() {
        return paid(state, "*", left, right);
    }
    let Some(Number::Int(count)) = Number::of(count) else {
        return Err(unfit("*", left, right));
    };
    let count = count.max(BigInt::zero()).to_usize().unwrap_or(usize::MAX);
    if let Some(text) = text {
        let length = text.len().saturating_mul(count);
        if length > TEMPLATE_OUTPUT_BYTES_MAX {
            return Err(too_long());
        }
        charge(state, length)?;
        return Ok(like(text.repeat(count), repeated.is_safe()));
    }
    if repeated.len() == Some(0) || count == 0 {
        return Ok(if repeated.is_tuple() {
            as_tuple(Vec::new())
        } else {
            Value::from(Vec::<Value>::new())
        });
    }
    let list = items(state, &[repeated], count)?;
    Ok(if repeated.is_tuple() {
        as_tuple(list)
    } else {
        Value::from(list)
    })
}

pub(super) fn modulo(state: &State, left: &Value, right: &Value) -> Result<Value, Error> {
    if let Some(format) = left.as_str() {
        let safe = left.is_safe();
        return Ok(like(pyformat::percent(state, format, right, safe)?, safe));
    }
    paid(state, "%", left, right)
}

/// The right side of `%` that the arguments of `|format` are.
pub(super) fn operand(args: Args) -> Value {
    let args = args.into_values();
    match args.as_slice() {
        [only] if only.is_kwargs() => only.clone(),
        _ => as_tuple(args),
    }
}

fn text_like(value: &Value) -> bool {
    value.as_str().is_some() || Mark::of(value).is_some()
}

/// One text of several values. `literals` says `1` at the place of each that is a literal of the template, where one of
/// them holds a quote; then, and where a piece of JSON is among them, the result is more than text.
fn concat(state: &State, literals: &str, first: &Value, rest: &[Value]) -> Result<Value, Error> {
    let escapes = matches!(state.auto_escape(), AutoEscape::Html)
        && (first.is_safe() || rest.iter().any(Value::is_safe));
    if first.as_object().is_some() {
        walk(state, first)?;
    }
    let mut out = for_safe(first, escapes);
    charge(state, out.len())?;
    for value in rest.iter() {
        if value.as_object().is_some() {
            walk(state, value)?;
        }
        let before = out.len();
        out.push_str(&for_safe(value, escapes));
        charge(state, out.len() - before)?;
        if out.len() > TEMPLATE_OUTPUT_BYTES_MAX {
            return Err(too_long());
        }
    }
    let all = || std::iter::once(first).chain(rest);
    if escapes || (literals.is_empty() && !all().any(|value| Mark::of(value).is_some())) {
        return Ok(like(out, escapes));
    }
    charge(state, out.len() * 2)?;
    let mut maker = Maker::default();
    let mut flags = literals.bytes();
    for value in all() {
        let flag = flags.next();
        match value.as_str() {
            Some(text) if flag == Some(b'1') => maker.literal(text),
            _ => maker.value(state, value)?,
        }
    }
    Ok(maker.made(out))
}

/// The items or characters between two bounds; undefined of what has none.
fn slice(
    state: &State,
    value: &Value,
    start: &Value,
    stop: &Value,
    step: Option<&Value>,
) -> Result<Value, Error> {
    let bound = |bound: &Value| -> Result<Option<i64>, Error> {
        if bound.is_undefined() {
            return Err(undefined(bound));
        }
        if bound.is_none() {
            return Ok(None);
        }
        match Number::of(bound) {
            Some(Number::Int(int)) if int.is_negative() => {
                Ok(Some(int.to_i64().unwrap_or(i64::MIN)))
            }
            Some(Number::Int(int)) => Ok(Some(int.to_i64().unwrap_or(i64::MAX))),
            _ => Err(failed(format!(
                "a bound of a slice is a whole number, not {}",
                kind(bound)
            ))),
        }
    };
    if let Some(mark) = Mark::of(value) {
        charge(state, mark.len())?;
        return slice(state, &Value::from(mark.text()), start, stop, step);
    }
    let step = step.map_or(Ok(None), bound)?.unwrap_or(1);
    if step == 0 {
        return Err(failed("the step of a slice must not be 0"));
    }
    let (start, stop) = (bound(start)?, bound(stop)?);
    if let Some(text) = value.as_str() {
        charge(state, text.len() * 2)?;
        let chars: Vec<char> = text.chars().collect();
        let picked: String = picks(chars.len(), start, stop, step)
            .filter_map(|at| chars.get(at))
            .collect();
        return Ok(like(picked, value.is_safe()));
    }
    if value.is_undefined() {
        return Ok(Value::UNDEFINED);
    }
    if !is_list(value) && !value.is_tuple() && !super::View::is_range(value) {
        return Err(failed(format!("no slice can be taken of {}", kind(value))));
    }
    let list = items(state, &[value], 1)?;
    let picked: Vec<Value> = picks(list.len(), start, stop, step)
        .filter_map(|at| list.get(at).cloned())
        .collect();
    Ok(if value.is_tuple() {
        as_tuple(picked)
    } else {
        Value::from(picked)
    })
}

/// The indexes of a slice, by the rules of Python's `slice.indices`.
fn picks(
    length: usize,
    start: Option<i64>,
    stop: Option<i64>,
    step: i64,
) -> impl Iterator<Item = usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let (least, most) = if step < 0 {
        (-1, length - 1)
    } else {
        (0, length)
    };
    let clamp = |bound: i64| {
        let bound = if bound < 0 {
            bound.saturating_add(length)
        } else {
            bound
        };
        bound.clamp(least, most)
    };
    let (from, to) = if step < 0 {
        (most, least)
    } else {
        (least, most)
    };
    let (mut at, to) = (start.map_or(from, clamp), stop.map_or(to, clamp));
    std::iter::from_fn(move || {
        if (step > 0 && at >= to) || (step < 0 && at <= to) {
            return None;
        }
        let here = usize::try_from(at).ok()?;
        at = at.saturating_add(step);
        Some(here)
    })
}

/// `a < b <= c`: every two neighbours, up to the first that do not fit.
fn chain(state: &State, first: &Value, rest: Rest<Value>) -> Result<bool, Error> {
    let mut left = first;
    for pair in rest.chunks(2) {
        let [sign, right] = pair else { break };
        let sign = sign.as_str().unwrap_or("");
        let ordered = |fits: &[Ordering]| {
            order(state, sign, left, right)
                .map(|found| found.is_some_and(|found| fits.contains(&found)))
        };
        let fits = match sign {
            "==" => equal(state, left, right)?,
            "!=" => !equal(state, left, right)?,
            "in" => contains(state, left, right)?,
            "not in" => !contains(state, left, right)?,
            "<" => ordered(&[Ordering::Less])?,
            "<=" => ordered(&[Ordering::Less, Ordering::Equal])?,
            ">" => ordered(&[Ordering::Greater])?,
            _ => ordered(&[Ordering::Greater, Ordering::Equal])?,
        };
        if !fits {
            return Ok(false);
        }
        left = right;
    }
    Ok(true)
}

/// Whether a value is in another.
pub(super) fn contains(state: &State, value: &Value, container: &Value) -> Result<bool, Error> {
    if let Some(mark) = Mark::of(container) {
        charge(state, mark.len())?;
        return contains(state, value, &Value::from(mark.text()));
    }
    if let Some(text) = container.as_str() {
        charge(state, text.len() + value.as_str().map_or(0, str::len))?;
        return match value.as_str() {
            Some(part) => Ok(text.contains(part)),
            None if value.is_undefined() => Err(undefined(value)),
            None => Err(failed(format!(
                "`in` looks for text in text, not for {}",
                kind(value)
            ))),
        };
    }
    match container.kind() {
        ValueKind::Undefined => Ok(false),
        ValueKind::Map => {
            if let Some(found) = value.as_str().map(|key| container.get_attr(key)) {
                return found.map(|found| !found.is_undefined());
            }
            super::sequences::hashable(value)?;
            for (key, _) in text::pairs(container) {
                charge(state, 16)?;
                if key == *value {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        ValueKind::Seq | ValueKind::Iterable => {
            for item in container.try_iter()?.checked() {
                charge(state, 16)?;
                if equal(state, &item?, value)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        _ => Err(failed(format!(
            "`in` does not look into {}",
            kind(container)
        ))),
    }
}

fn signed(value: &Value, negative: bool) -> Result<Value, Error> {
    let sign = if negative { "-" } else { "+" };
    if value.is_undefined() {
        return Err(undefined(value));
    }
    match Number::of(value) {
        Some(Number::Int(int)) => Ok(number::int_value(if negative { -int } else { int })),
        Some(Number::Float(float)) => Ok(Value::from(if negative { -float } else { float })),
        None => Err(failed(format!("`{sign}` does not work on {}", kind(value)))),
    }
}

/// Python's arithmetic on numbers.
pub(super) fn arithmetic(operator: &str, left: &Value, right: &Value) -> Result<Value, Error> {
    if let (Some(a), Some(b)) = (left.as_i64(), right.as_i64())
        && left.is_integer()
        && right.is_integer()
    {
        let small = match operator {
            "+" => a.checked_add(b),
            "-" => a.checked_sub(b),
            "*" => a.checked_mul(b),
            _ => None,
        };
        if let Some(result) = small {
            return Ok(Value::from(result));
        }
    }
    let (Some(a), Some(b)) = (Number::of(left), Number::of(right)) else {
        return Err(unfit(operator, left, right));
    };
    if let (Number::Int(a), Number::Int(b)) = (&a, &b) {
        return integers(operator, a, b).map(Number::value);
    }
    let (Some(a), Some(b)) = (a.float(), b.float()) else {
        return Err(failed("an integer is too large for a float"));
    };
    floats(operator, a, b).map(Value::from)
}

fn by_zero() -> Error {
    failed("division by zero")
}

fn too_large() -> Error {
    Error::new(
        ErrorKind::OutOfFuel,
        "an integer has more than 4,300 digits",
    )
}

fn integers(operator: &str, a: &BigInt, b: &BigInt) -> Result<Number, Error> {
    let bits = match operator {
        "*" => a.bits() + b.bits(),
        "**" if !b.is_negative() => (a.bits().max(1) - u64::from(a.abs() <= BigInt::from(1)))
            .saturating_mul(b.to_u64().unwrap_or(u64::MAX)),
        _ => 0,
    };
    if bits > BITS_MAX * 2 {
        return Err(too_large());
    }
    let result = match operator {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => {
            return match number::true_division(a, b) {
                Some(float) => Ok(Number::Float(float)),
                None if b.is_zero() => Err(by_zero()),
                None => Err(failed("the result is too large for a float")),
            };
        }
        "**" if b.is_negative() => {
            let (Some(a), Some(b)) = (a.to_f64(), b.to_f64()) else {
                return Err(too_large());
            };
            return floats(operator, a, b).map(Number::Float);
        }
        "**" => power(a, b),
        _ if b.is_zero() => return Err(by_zero()),
        _ => {
            let (mut quotient, mut rest) = (a / b, a % b);
            if !rest.is_zero() && rest.is_negative() != b.is_negative() {
                quotient -= 1;
                rest += b;
            }
            if operator == "%" { rest } else { quotient }
        }
    };
    if result.bits() > BITS_MAX {
        return Err(too_large());
    }
    Ok(Number::Int(result))
}

fn power(a: &BigInt, b: &BigInt) -> BigInt {
    // Larger exponents are left only for 0, 1 and -1.
    match b.to_u32() {
        Some(exponent) => a.pow(exponent),
        None if a.is_negative() && (b % 2u8).is_zero() => -a,
        None => a.clone(),
    }
}

fn floats(operator: &str, a: f64, b: f64) -> Result<f64, Error> {
    Ok(match operator {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "**" if a == 0.0 && b < 0.0 => return Err(by_zero()),
        "**" if a < 0.0 && a.is_finite() && b.is_finite() && b.fract() != 0.0 => {
            return Err(failed("the result is no real number"));
        }
        "**" => {
            let result = a.powf(b);
            if result.is_infinite() && a.is_finite() && b.is_finite() {
                return Err(failed("the result is too large for a float"));
            }
            result
        }
        _ if b == 0.0 => return Err(by_zero()),
        "/" => a / b,
        _ => {
            let mut rest = a % b;
            let mut quotient = (a - rest) / b;
            if rest == 0.0 {
                rest = 0.0_f64.copysign(b);
            } else if (rest < 0.0) != (b < 0.0) {
                rest += b;
                quotient -= 1.0;
            }
            if operator == "%" {
                rest
            } else if quotient == 0.0 {
                0.0_f64.copysign(a / b)
            } else {
                let floor = quotient.floor();
                if quotient - floor > 0.5 {
                    floor + 1.0
                } else {
                    floor
                }
            }
        }
    })
}

/// How two values are ordered; none where no order says so (NaN).
///
/// # Errors
/// Values of different types, as in Python.
pub(super) fn order(
    state: &State,
    operator: &str,
    left: &Value,
    right: &Value,
) -> Result<Option<Ordering>, Error> {
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        charge(state, a.len().min(b.len()) / 4)?;
        return Ok(Some(a.cmp(b)));
    }
    if let (Some(a), Some(b)) = (Number::of(left), Number::of(right)) {
        if number::is_big(left) || number::is_big(right) {
            charge(state, BIG)?;
        }
        return Ok(number::compare(&a, &b));
    }
    let lists = (is_list(left) && is_list(right)) || (left.is_tuple() && right.is_tuple());
    if !lists {
        return Err(unfit(operator, left, right));
    }
    let (mut a, mut b) = (left.try_iter()?, right.try_iter()?);
    loop {
        charge(state, 16)?;
        match (a.next(), b.next()) {
            (None, None) => return Ok(Some(Ordering::Equal)),
            (None, Some(_)) => return Ok(Some(Ordering::Less)),
            (Some(_), None) => return Ok(Some(Ordering::Greater)),
            (Some(a), Some(b)) if equal(state, &a, &b)? => {}
            (Some(a), Some(b)) => return order(state, operator, &a, &b),
        }
    }
}
