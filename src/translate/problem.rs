//! The engine's errors as problems: code, place, what to do.

use super::env;
use crate::codes::{self, Code};
use crate::model::{Place, Problem};
use minijinja::{Error, ErrorKind};
use std::error::Error as _;
use std::ops::Range;

/// How the engine words an undefined value where a number is needed.
const UNDEFINED_OPERAND: &str = "cannot convert undefined to i64";

/// Which code an error of the engine has. `failed` is the code of an ordinary failure.
fn code(error: &Error, failed: Code) -> Code {
    match error.kind() {
        ErrorKind::SyntaxError | ErrorKind::BadEscape | ErrorKind::InvalidDelimiter => {
            codes::TEMPLATE_SYNTAX
        }
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction => {
            codes::TEMPLATE_UNKNOWN_NAME
        }
        ErrorKind::OutOfFuel | ErrorKind::WriteFailure => codes::TEMPLATE_BUDGET,
        ErrorKind::InvalidOperation
            if error
                .detail()
                .is_some_and(|d| d.contains("recursion limit")) =>
        {
            codes::TEMPLATE_BUDGET
        }
        _ => failed,
    }
}

/// An error of the engine as a problem. `source` is the text that was compiled, `file` its name.
pub(crate) fn of(error: &Error, file: &str, source: &str, failed: Code) -> Problem {
    of_rewritten(error, file, source, failed, &|range| range)
}

/// As [`of`], for a template that was rewritten: `original` maps positions back.
pub(crate) fn of_rewritten(
    error: &Error,
    file: &str,
    source: &str,
    failed: Code,
    original: &dyn Fn(Range<usize>) -> Range<usize>,
) -> Problem {
    let inner = innermost(error);
    let code = code(inner, failed);
    let mut problem = Problem::new(code, message(inner, code));
    let place = inner
        .range()
        .map(|range| Place::of_span(file, source, original(range)))
        .or_else(|| {
            let line = inner.line().or_else(|| error.line())?;
            let start: usize = source
                .split_inclusive('\n')
                .take(line.saturating_sub(1))
                .map(str::len)
                .sum();
            let end = source
                .get(start..)
                .and_then(|rest| rest.find('\n'))
                .map_or(source.len(), |len| start + len);
            Some(Place::of_span(file, source, start..end))
        });
    problem.place = place;
    problem.help = help(inner, code);
    problem
}

/// A place in a text that stands in another file, as one of that file. `origin` is where the text begins.
pub(crate) fn situated(place: Place, origin: &Place) -> Place {
    let shift = if place.line == 1 {
        origin.column.saturating_sub(1)
    } else {
        0
    };
    Place {
        file: origin.file.clone(),
        line: place.line + origin.line.saturating_sub(1),
        column: place.column + shift,
        end_column: place.end_column.map(|end| end + shift),
        source: if place.line == 1 {
            origin.source.clone()
        } else {
            place.source
        },
    }
}

/// The error where it began: blocks and recursive loops wrap theirs.
fn innermost(error: &Error) -> &Error {
    let mut current = error;
    while let Some(source) = current.source().and_then(|s| s.downcast_ref::<Error>()) {
        current = source;
    }
    current
}

fn message(error: &Error, code: Code) -> String {
    let detail = error.detail().unwrap_or("");
    if let Some(rest) = detail.strip_prefix(UNDEFINED_OPERAND) {
        let what = rest.trim().trim_matches(['(', ')']);
        return if what.is_empty() {
            "The template uses an undefined value.".into()
        } else {
            format!("The template uses an undefined value: {what}.")
        };
    }
    match error.kind() {
        ErrorKind::OutOfFuel if detail.is_empty() => {
            "The template used up its instruction budget.".into()
        }
        ErrorKind::OutOfFuel => format!("The template used up its budget: {detail}."),
        ErrorKind::WriteFailure => match error.source() {
            Some(source) => format!("The template printed too much: {source}."),
            None => "The template's output could not be written.".into(),
        },
        ErrorKind::UndefinedError if detail.is_empty() => {
            "The template uses an undefined value.".into()
        }
        kind if code == codes::TEMPLATE_SYNTAX => format!(
            "The template does not compile: {}.",
            if detail.is_empty() {
                kind.to_string()
            } else {
                detail.to_owned()
            }
        ),
        kind if detail.is_empty() => format!("The template failed: {kind}."),
        kind => format!("The template failed: {kind}: {detail}."),
    }
}

fn help(error: &Error, code: Code) -> Option<String> {
    if code == codes::TEMPLATE_BUDGET {
        return Some("Loop over less, or print less: a render has a fixed budget of instructions, output and recursion.".into());
    }
    let detail = error.detail().unwrap_or("");
    if error.kind() == ErrorKind::UndefinedError || detail.contains("undefined") {
        return Some("Give it a value where it may be missing: `|default('…')`.".into());
    }
    let name = detail.split_ascii_whitespace().nth(1)?;
    match error.kind() {
        ErrorKind::UnknownMethod => env::suggest_method(detail.rsplit(' ').next()?),
        ErrorKind::UnknownFilter => env::suggest_filter(name),
        ErrorKind::UnknownTest => env::suggest_test(name),
        ErrorKind::UnknownFunction => env::suggest_function(name),
        _ => None,
    }
}
