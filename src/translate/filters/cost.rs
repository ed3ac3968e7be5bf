//! What work costs. The engine counts its instructions, and the bytes and items that it sees; what filters and methods
//! do with a text, a large number or a nested value is counted here, before it is done where its size is known.

use crate::model::limits::{TEMPLATE_FUEL, TEMPLATE_OUTPUT_BYTES_MAX};
use crate::translate::marks::Mark;
use crate::translate::number;
use crate::translate::text;
use crate::translate::value::Node;
use minijinja::value::{Object, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that are looked at for one instruction.
const BYTES: usize = 16;
/// What a call costs beside its work, in bytes.
pub(super) const CALL: usize = 4 * BYTES;
/// What a byte of a list's or dict's text costs: it is put together of many values.
const NESTED: usize = 8;
/// What a byte of JSON costs that is written of a value.
const JSON: usize = 3;
/// Values nested deeper than this are not printed or compared further.
const DEPTH_MAX: usize = 256;

/// Fuel for `n` bytes that are looked at closely.
///
/// # Errors
/// When there is not so much left.
pub(crate) fn charge(state: &State, n: usize) -> Result<(), Error> {
    state.consume_fuel(u64::try_from(n / BYTES).unwrap_or(u64::MAX))
}

/// Bytes that can still be paid for.
fn room(state: &State) -> usize {
    let left = state.fuel_levels().map_or(u64::MAX, |(_, left)| left);
    let bytes = left.saturating_mul(u64::try_from(BYTES / NESTED).unwrap_or(1));
    usize::try_from(bytes)
        .unwrap_or(usize::MAX)
        .min(TEMPLATE_OUTPUT_BYTES_MAX)
}

/// About how many bytes the text of a value has, without making it. Stops where it is more than `most`.
fn size(value: &Value, most: usize, depth: usize) -> usize {
    if let Some(text) = value.as_str() {
        return text.len() + 2;
    }
    if let Some(node) = value.downcast_object_ref::<Node>() {
        return node.json().raw().len() + 2;
    }
    let mut total = 2;
    match value.kind() {
        ValueKind::Map if depth < DEPTH_MAX => {
            for (key, item) in text::pairs(value) {
                if total > most {
                    break;
                }
                total += 4 + size(&key, most, depth + 1);
                total += size(&item, most.saturating_sub(total), depth + 1);
            }
        }
        ValueKind::Seq | ValueKind::Iterable if depth < DEPTH_MAX => {
            for item in value.try_iter().into_iter().flatten() {
                if total > most {
                    break;
                }
                total += 2 + size(&item, most.saturating_sub(total), depth + 1);
            }
        }
        ValueKind::Plain => {
            total += number::digits_of(value) + Mark::of(value).map_or(0, Mark::len)
        }
        _ => total += 8,
    }
    total
}

/// Fuel for a walk through the whole of a value.
///
/// # Errors
/// When there is not so much left.
pub(crate) fn walk(state: &State, value: &Value) -> Result<(), Error> {
    if value.as_object().is_none() {
        return charge(state, value.as_str().map_or(0, str::len));
    }
    charge(
        state,
        size(value, room(state), 0).saturating_mul(NESTED) + CALL,
    )
}

/// Fuel for writing a value as JSON, which is quicker than printing it.
///
/// # Errors
/// When there is not so much left.
pub(super) fn json(state: &State, value: &Value) -> Result<(), Error> {
    affordable(state, value)?;
    let most = room(state).saturating_mul(2);
    charge(state, size(value, most, 0).saturating_mul(JSON))
}

/// Whether a value's JSON, which the engine counts once it is written, can be paid for.
///
/// # Errors
/// When there is not enough fuel left.
pub(crate) fn affordable(state: &State, value: &Value) -> Result<(), Error> {
    let most = room(state).saturating_mul(2);
    if value.as_object().is_some() && size(value, most, 0) > most {
        return charge(state, usize::MAX);
    }
    Ok(())
}

/// A value as Jinja prints it, paid for `weight` times.
///
/// # Errors
/// When there is not enough fuel left.
pub(super) fn printed_for<'v>(
    state: &State,
    value: &'v Value,
    weight: usize,
) -> Result<Cow<'v, str>, Error> {
    if let Some(text) = value.as_str() {
        charge(state, text.len().saturating_mul(weight) + CALL)?;
        return Ok(Cow::Borrowed(text));
    }
    walk(state, value)?;
    let text = text::printed(value);
    charge(state, text.len().saturating_mul(weight) + CALL)?;
    Ok(Cow::Owned(text))
}

/// A value as Jinja prints it, paid for.
///
/// # Errors
/// When there is not enough fuel left.
pub(super) fn printed<'v>(state: &State, value: &'v Value) -> Result<Cow<'v, str>, Error> {
    printed_for(state, value, 1)
}

/// Whether two values are equal, paid for by the smaller one.
///
/// # Errors
/// When there is not enough fuel left.
pub(super) fn equal(state: &State, left: &Value, right: &Value) -> Result<bool, Error> {
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        charge(state, a.len().min(b.len()) / 4)?;
        return Ok(a == b);
    }
    if let (Some(_), Some(_)) = (left.as_object(), right.as_object()) {
        let most = room(state);
        let smaller = size(right, size(left, most, 0), 0).min(size(left, most, 0));
        charge(state, smaller.saturating_mul(NESTED) + CALL)?;
    }
    // What a block of the template captured is text to who compares it.
    Ok(match (Mark::of(left), Mark::of(right)) {
        (None, None) => left == right,
        _ => Mark::plain(left) == Mark::plain(right),
    })
}

/// Where the [`Meter`] of a definition lies: no name of a template.
pub(crate) const METER: &str = "\0spent";

/// What the expressions of a definition used together: each has the engine's budget, and all of them that of one render.
#[derive(Debug, Default)]
pub(crate) struct Meter(AtomicU64);

impl Object for Meter {}

impl Meter {
    /// A new one.
    pub(crate) fn value() -> Value {
        Value::from_object(Self::default())
    }
}

/// Registers what the rewrite uses.
pub(super) fn register(env: &mut Environment<'static>) {
    env.add_filter("__spent", |state: &State, value: Value| {
        let Some((used, _)) = state.fuel_levels() else {
            return Ok(value);
        };
        let meter = state.lookup(METER);
        let Some(meter) = meter
            .as_ref()
            .and_then(|v| v.downcast_object_ref::<Meter>())
        else {
            return Ok(value);
        };
        if meter.0.fetch_add(used, Ordering::Relaxed) + used > TEMPLATE_FUEL {
            return Err(beyond(
                "all expressions of a delivery together need more than 500,000 instructions",
            ));
        }
        Ok(value)
    });
}

/// Fuel for reading and printing a number, also one of many digits or a text.
///
/// # Errors
/// When there is not so much left.
pub(super) fn number(state: &State, value: &Value) -> Result<(), Error> {
    const NUMBER: usize = 16 * 16;
    let text = value.as_str().map_or(0, |text| 8 * text.len());
    charge(state, NUMBER + text + 2 * number::digits_of(value))
}

/// The error where something is larger than a limit.
pub(super) fn beyond(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::OutOfFuel, what.into())
}
