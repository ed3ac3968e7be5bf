//! Arguments by position or name, as Python binds them.

use crate::translate::text;
use minijinja::value::{Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Error, ErrorKind};

/// Arguments of a filter, function or method as they came.
pub(super) type Args = Rest<ValueOrKwargs>;

/// Arguments bound to the parameters of a signature.
pub(super) struct Bound(Vec<Option<Value>>);

pub(super) fn failed(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail.into())
}

/// Binds arguments to parameters.
///
/// # Errors
/// Too many, an unknown name, one given twice.
pub(super) fn bind(args: Args, parameters: &[&str]) -> Result<Bound, Error> {
    bind_values(&args.into_values(), parameters)
}

/// As [`bind`], for methods.
pub(super) fn bind_values(args: &[Value], parameters: &[&str]) -> Result<Bound, Error> {
    let (positional, named) = match args.split_last() {
        Some((last, rest)) if last.is_kwargs() => (rest, Some(last)),
        _ => (args, None),
    };
    if positional.len() > parameters.len() {
        return Err(Error::new(
            ErrorKind::TooManyArguments,
            format!(
                "at most {} are taken, {} were given",
                parameters.len(),
                positional.len()
            ),
        ));
    }
    let mut values: Vec<Option<Value>> = positional.iter().cloned().map(Some).collect();
    values.resize(parameters.len(), None);
    for (name, value) in named.into_iter().flat_map(text::pairs) {
        let name = name.as_str().unwrap_or("").to_owned();
        let slot = parameters
            .iter()
            .position(|p| *p == name)
            .and_then(|at| values.get_mut(at));
        match slot {
            Some(slot @ None) => *slot = Some(value),
            Some(Some(_)) => {
                return Err(Error::new(
                    ErrorKind::TooManyArguments,
                    format!("`{name}` is given twice"),
                ));
            }
            None => {
                return Err(Error::new(
                    ErrorKind::TooManyArguments,
                    format!("there is no parameter `{name}`"),
                ));
            }
        }
    }
    Ok(Bound(values))
}

impl Bound {
    /// An argument, if it was given.
    pub(super) fn value(&self, at: usize) -> Option<&Value> {
        self.0.get(at).and_then(Option::as_ref)
    }

    /// An argument as text.
    pub(super) fn text(&self, at: usize, default: &str) -> String {
        self.value(at)
            .map_or_else(|| default.to_owned(), text::printed)
    }

    /// An argument's truth.
    pub(super) fn flag(&self, at: usize, default: bool) -> bool {
        self.value(at).map_or(default, Value::is_true)
    }

    /// An argument that Python takes for true or false only if it is a whole number or a boolean.
    ///
    /// # Errors
    /// When it is neither.
    pub(super) fn switch(&self, at: usize) -> Result<bool, Error> {
        match self.value(at) {
            None => Ok(false),
            Some(value) if value.kind() == ValueKind::Bool || value.is_integer() => {
                Ok(value.is_true())
            }
            Some(value) => Err(failed(format!(
                "true or false is needed, not {}",
                super::operators::kind(value)
            ))),
        }
    }

    /// An argument that must be text, if it was given and is not `None`.
    ///
    /// # Errors
    /// When it is something else.
    pub(super) fn string(&self, at: usize) -> Result<Option<&str>, Error> {
        match self.value(at).filter(|value| !value.is_none()) {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or_else(|| {
                failed(format!(
                    "text is needed, not {}",
                    super::operators::kind(value)
                ))
            }),
        }
    }

    /// As [`Self::string`], where nothing else stands for it.
    ///
    /// # Errors
    /// When it is not given or something else.
    pub(super) fn needed(&self, at: usize) -> Result<&str, Error> {
        match self.value(at) {
            Some(value) if value.is_none() => Err(failed("text is needed, not None")),
            _ => self
                .string(at)?
                .ok_or_else(|| failed("an argument is missing")),
        }
    }

    /// An argument as a whole number.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn int(&self, at: usize, default: i64) -> Result<i64, Error> {
        match self.value(at) {
            None => Ok(default),
            Some(value) => integer(value),
        }
    }
}

/// A whole number.
///
/// # Errors
/// When it is none.
pub(super) fn integer(value: &Value) -> Result<i64, Error> {
    i64::try_from(value.clone())
        .map_err(|_| failed(format!("a whole number is needed, not {}", value.kind())))
}

/// A length or width from the template, at most `max`.
///
/// # Errors
/// When it is larger: widths buy memory.
pub(super) fn width(value: i64, max: usize) -> Result<usize, Error> {
    let width = usize::try_from(value.max(0)).unwrap_or(usize::MAX);
    if width > max {
        return Err(failed(format!(
            "{width} is too wide, at most {max} are allowed"
        )));
    }
    Ok(width)
}

/// Widths of padding.
pub(super) const WIDTH_MAX: usize = 10_000;
