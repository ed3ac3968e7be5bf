//! Ranges of the numbers of a payload.

use super::lexer::Comparison;

/// A finite number, ordered and equal as its value is; -0 is 0.
#[derive(Debug, Clone, Copy)]
pub struct Number(f64);

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0.total_cmp(&other.0).is_eq()
    }
}

impl Eq for Number {}

impl Number {
    /// A number as JSON writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let starts = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        if !starts || !text.chars().all(plain) {
            return None;
        }
        text.parse().ok().and_then(Self::new)
    }

    /// A number that is finite.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        // Adding 0 makes 0 of -0.
        value.is_finite().then_some(Self(value + 0.0))
    }

    /// Its value.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

/// One end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The number.
    pub number: Number,
    /// Whether it belongs to the range.
    pub inside: bool,
}

/// A range of numbers; one end at least is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amounts {
    /// Where it begins.
    pub from: Option<Bound>,
    /// Where it ends.
    pub to: Option<Bound>,
}

impl Amounts {
    /// `>5`, `<=5`.
    pub(super) fn compared(comparison: Comparison, text: &str) -> Option<Self> {
        let number = Number::parse(text)?;
        let bound = |inside| Some(Bound { number, inside });
        let (from, to) = match comparison {
            Comparison::Greater => (bound(false), None),
            Comparison::GreaterOrEqual => (bound(true), None),
            Comparison::Less => (None, bound(false)),
            Comparison::LessOrEqual => (None, bound(true)),
        };
        Some(Self { from, to })
    }

    /// `1..5`, `1..`, `..5`, where both ends are numbers; anything else is a text.
    pub(super) fn between(text: &str) -> Option<Self> {
        let (a, b) = text.split_once("..")?;
        let bound = |text: &str| {
            if text.is_empty() {
                return Some(None);
            }
            let number = Number::parse(text)?;
            let bound = Bound {
                number,
                inside: true,
            };
            Some(Some(bound))
        };
        let (from, to) = (bound(a)?, bound(b)?);
        (from.is_some() || to.is_some()).then_some(Self { from, to })
    }

    /// Whether a number lies in it.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        let above = self.from.is_none_or(|from| {
            value > from.number.get() || (from.inside && value >= from.number.get())
        });
        let below = self
            .to
            .is_none_or(|to| value < to.number.get() || (to.inside && value <= to.number.get()));
        above && below
    }
}
