//! Numbers as Python has them: integers of any size, doubles, booleans as 0 and 1.

use super::text;
use minijinja::value::{DynObject, Object, ObjectRepr, Value, ValueKind};
use num_bigint::{BigInt, Sign};
use num_traits::{FromPrimitive, Signed, ToPrimitive, Zero};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Bits of an integer. Python prints none of more than 4,300 digits.
pub(crate) const BITS_MAX: u64 = 14_285;

/// An integer that the engine's own do not hold, as a template value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Big(pub(crate) BigInt);

impl Object for Big {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        !self.0.is_zero()
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(self.0.cmp(&other.downcast_ref::<Self>()?.0))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A number.
#[derive(Debug, Clone)]
pub(crate) enum Number {
    /// An integer.
    Int(BigInt),
    /// A double.
    Float(f64),
}

/// Whether a value is an integer beyond the engine's own.
pub(crate) fn is_big(value: &Value) -> bool {
    big(value).is_some()
}

fn big(value: &Value) -> Option<&BigInt> {
    if value.kind() != ValueKind::Plain {
        return None;
    }
    value.downcast_object_ref::<Big>().map(|big| &big.0)
}

/// How long the text of an integer beyond the engine's own is, by what it takes to make it; 0 for anything else.
pub(crate) fn digits_of(value: &Value) -> usize {
    big(value).map_or(0, |big| usize::try_from(big.bits() / 2).unwrap_or(0))
}

/// Whether a value is a number and no boolean.
pub(crate) fn is_number(value: &Value) -> bool {
    value.is_number() || is_big(value)
}

/// Whether a value is an integer and no boolean.
pub(crate) fn is_integer(value: &Value) -> bool {
    value.is_integer() || is_big(value)
}

impl Number {
    /// The number that a value is; a boolean is 0 or 1.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value.kind() {
            ValueKind::Bool => Some(Self::Int(BigInt::from(u8::from(value.is_true())))),
            ValueKind::Number if value.is_integer() => {
                if let Some(small) = value.as_i64() {
                    return Some(Self::Int(small.into()));
                }
                match i128::try_from(value.clone()) {
                    Ok(number) => Some(Self::Int(number.into())),
                    Err(_) => text::printed(value).parse().ok().map(Self::Int),
                }
            }
            ValueKind::Number => f64::try_from(value.clone()).ok().map(Self::Float),
            _ => big(value).map(|big| Self::Int(big.clone())),
        }
    }

    /// As a double; an integer too large for one is none.
    pub(crate) fn float(&self) -> Option<f64> {
        match self {
            Self::Int(int) => int.to_f64().filter(|f| f.is_finite()),
            Self::Float(float) => Some(*float),
        }
    }

    /// As a template value.
    pub(crate) fn value(self) -> Value {
        match self {
            Self::Int(int) => int_value(int),
            Self::Float(float) => Value::from(float),
        }
    }
}

/// An integer as a template value: the engine's own where it fits.
pub(crate) fn int_value(int: BigInt) -> Value {
    if let Some(small) = int.to_i64() {
        return Value::from(small);
    }
    match int.to_i128() {
        Some(number) => Value::from(number),
        None => Value::from_object(Big(int)),
    }
}

/// A double without its fraction; none where it is not finite.
pub(crate) fn whole(float: f64) -> Option<BigInt> {
    BigInt::from_f64(float.trunc())
}

/// How two numbers are ordered; none for NaN.
pub(crate) fn compare(left: &Number, right: &Number) -> Option<Ordering> {
    match (left, right) {
        (Number::Int(a), Number::Int(b)) => Some(a.cmp(b)),
        (Number::Float(a), Number::Float(b)) => a.partial_cmp(b),
        (Number::Int(a), Number::Float(b)) => int_and_float(a, *b),
        (Number::Float(a), Number::Int(b)) => int_and_float(b, *a).map(Ordering::reverse),
    }
}

fn int_and_float(int: &BigInt, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    match whole(float) {
        Some(cut) => Some(int.cmp(&cut).then_with(|| {
            0.0_f64
                .partial_cmp(&float.fract())
                .unwrap_or(Ordering::Equal)
        })),
        None if float > 0.0 => Some(Ordering::Less),
        None => Some(Ordering::Greater),
    }
}

/// Division of integers as Python does it: the nearest double of the exact quotient. None where it is too large, or
/// the divisor 0.
pub(crate) fn true_division(left: &BigInt, right: &BigInt) -> Option<f64> {
    const EXACT: u64 = 53;
    if right.is_zero() {
        return None;
    }
    if left.bits() <= EXACT && right.bits() <= EXACT {
        return Some(left.to_f64()? / right.to_f64()?);
    }
    let negative = (left.sign() == Sign::Minus) != (right.sign() == Sign::Minus);
    let (a, b) = (left.abs(), right.abs());
    let shift = 66 - (i64::try_from(a.bits()).ok()? - i64::try_from(b.bits()).ok()?);
    let places = usize::try_from(shift.unsigned_abs()).ok()?;
    let (a, b) = if shift >= 0 {
        (a << places, b)
    } else {
        (a, b << places)
    };
    let (mut quotient, rest) = (&a / &b, &a % &b);
    if !rest.is_zero() {
        // A sticky bit, so that rounding sees what was cut off.
        quotient |= BigInt::from(1);
    }
    let power = i32::try_from(-shift).ok()?;
    let size =
        quotient.to_u128()?.to_f64()? * 2_f64.powi(power / 2) * 2_f64.powi(power - power / 2);
    size.is_finite()
        .then_some(if negative { -size } else { size })
}
