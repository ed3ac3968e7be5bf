//! Values as text: as Python prints them, and as JSON.

use super::filters::{Group, View};
use super::json;
use super::number;
use super::value::Node;
use crate::model::limits::TEMPLATE_OUTPUT_BYTES_MAX;
pub(crate) use crate::model::python::float;
use crate::model::python::repr_text;
use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};

/// Values nested deeper than this are cut off: an object can be built inside itself only so deep.
const DEPTH_MAX: usize = 256;

/// A value as Jinja prints it: text as it is, `None`, `True`, lists and dicts as Python's `repr`.
pub(crate) fn print(out: &mut String, value: &Value) {
    if let Some(text) = value.as_str() {
        out.push_str(text);
    } else if !value.is_undefined() {
        repr(out, value, 0);
    }
}

/// A value as Jinja prints it.
pub(crate) fn printed(value: &Value) -> String {
    let mut out = String::new();
    print(&mut out, value);
    out
}

/// A value as Python's `repr` shows it.
pub(crate) fn repr(out: &mut String, value: &Value, depth: usize) {
    // `[x] * 100000000` is a list the engine makes only while it is read.
    if depth > DEPTH_MAX || out.len() > TEMPLATE_OUTPUT_BYTES_MAX {
        return;
    }
    match value.kind() {
        ValueKind::String if value.is_safe() => {
            out.push_str("Markup(");
            repr_text(out, value.as_str().unwrap_or(""));
            out.push(')');
        }
        ValueKind::String => repr_text(out, value.as_str().unwrap_or("")),
        ValueKind::Number => digits(out, value),
        ValueKind::None => out.push_str("None"),
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::Bool => out.push_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::Map => {
            out.push('{');
            for (i, (key, item)) in pairs(value).enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                repr(out, &key, depth + 1);
                out.push_str(": ");
                repr(out, &item, depth + 1);
            }
            out.push('}');
        }
        ValueKind::Seq | ValueKind::Iterable if value.len().is_some() => {
            if let Some(view) = value.downcast_object_ref::<View>() {
                return view.repr(out, depth);
            }
            let tuple = value.is_tuple() || value.downcast_object_ref::<Group>().is_some();
            let (open, close) = if tuple { ('(', ')') } else { ('[', ']') };
            out.push(open);
            let mut count = 0;
            for item in value.try_iter().into_iter().flatten() {
                if out.len() > TEMPLATE_OUTPUT_BYTES_MAX {
                    break;
                }
                if count > 0 {
                    out.push_str(", ");
                }
                repr(out, &item, depth + 1);
                count += 1;
            }
            if tuple && count == 1 {
                out.push(',');
            }
            out.push(close);
        }
        _ => out.push_str(&value.to_string()),
    }
}

/// The beginning of a value's `repr`, for errors.
pub(crate) fn glance(value: &Value) -> String {
    const CHARACTERS: usize = 60;
    let mut shown = String::new();
    repr(&mut shown, value, DEPTH_MAX - 2);
    match shown.char_indices().nth(CHARACTERS) {
        Some((at, _)) => format!("{}…", shown.get(..at).unwrap_or("")),
        None => shown,
    }
}

/// The members of a map.
pub(crate) fn pairs(value: &Value) -> impl Iterator<Item = (Value, Value)> {
    let object = value.as_object().cloned();
    object
        .and_then(|o| o.try_iter_pairs())
        .into_iter()
        .flatten()
}

/// A number as Python prints it.
pub(crate) fn digits(out: &mut String, value: &Value) {
    if value.is_integer() {
        out.push_str(&value.to_string());
    } else {
        out.push_str(&float(f64::try_from(value.clone()).unwrap_or(f64::NAN)));
    }
}

/// How JSON is laid out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Keys sorted, characters beyond ASCII escaped, as Python's `htmlsafe_json_dumps` does.
    pub(crate) python: bool,
    /// Blanks of one level; none: one line.
    pub(crate) indent: Option<usize>,
}

/// Without white space, text as it is.
pub(crate) const COMPACT: Layout = Layout {
    python: false,
    indent: None,
};

/// Appends a value as JSON.
///
/// # Errors
/// Undefined values inside, and values JSON has no form for.
pub(crate) fn json_into(
    out: &mut String,
    value: &Value,
    layout: Layout,
    depth: usize,
) -> Result<(), Error> {
    if depth > DEPTH_MAX {
        return Err(Error::new(
            ErrorKind::BadSerialization,
            "the value is nested too deep",
        ));
    }
    if out.len() > TEMPLATE_OUTPUT_BYTES_MAX {
        return Err(Error::new(
            ErrorKind::BadSerialization,
            "the JSON is too large",
        ));
    }
    match value.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => {
            let at = out.len();
            digits(out, value);
            if out.get(at..).is_some_and(|text| text.ends_with(['n', 'f'])) {
                out.truncate(at);
                out.push_str("null");
            }
        }
        ValueKind::String => string(out, value.as_str().unwrap_or(""), layout),
        ValueKind::Undefined => {
            return Err(Error::new(
                ErrorKind::UndefinedError,
                "an undefined value has no JSON",
            ));
        }
        ValueKind::Map => {
            if !layout.python
                && let Some(node) = value.downcast_object_ref::<Node>()
            {
                node.json().write_compact(out);
                return Ok(());
            }
            map_into(out, value, layout, depth)?;
        }
        ValueKind::Seq | ValueKind::Iterable => {
            if !layout.python
                && let Some(node) = value.downcast_object_ref::<Node>()
            {
                node.json().write_compact(out);
                return Ok(());
            }
            seq_into(out, value, layout, depth)?;
        }
        _ if number::is_big(value) => out.push_str(&value.to_string()),
        _ => string(out, &value.to_string(), layout),
    }
    Ok(())
}

fn map_into(out: &mut String, value: &Value, layout: Layout, depth: usize) -> Result<(), Error> {
    let mut members: Vec<(String, Value)> = pairs(value).map(|(k, v)| (key_text(&k), v)).collect();
    if layout.python {
        members.sort_by(|a, b| a.0.cmp(&b.0));
    }
    let empty = members.is_empty();
    out.push('{');
    for (i, (key, item)) in members.into_iter().enumerate() {
        separate(out, i, layout, depth + 1);
        string(out, &key, layout);
        out.push_str(if layout.python { ": " } else { ":" });
        json_into(out, &item, layout, depth + 1)?;
    }
    close(out, '}', empty, layout, depth);
    Ok(())
}

fn seq_into(out: &mut String, value: &Value, layout: Layout, depth: usize) -> Result<(), Error> {
    out.push('[');
    let mut empty = true;
    for (i, item) in value.try_iter()?.enumerate() {
        empty = false;
        separate(out, i, layout, depth + 1);
        json_into(out, &item, layout, depth + 1)?;
    }
    close(out, ']', empty, layout, depth);
    Ok(())
}

fn separate(out: &mut String, index: usize, layout: Layout, depth: usize) {
    if index > 0 {
        out.push(',');
    }
    if let Some(indent) = layout.indent {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent * depth));
    } else if index > 0 && layout.python {
        out.push(' ');
    }
}

fn close(out: &mut String, bracket: char, empty: bool, layout: Layout, depth: usize) {
    if let (Some(indent), false) = (layout.indent, empty) {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent * depth));
    }
    out.push(bracket);
}

/// A map's key as JSON's text: Python writes `true`, `null` and numbers so.
fn key_text(key: &Value) -> String {
    match key.kind() {
        ValueKind::Bool => if key.is_true() { "true" } else { "false" }.into(),
        ValueKind::None => "null".into(),
        _ => printed(key),
    }
}

fn string(out: &mut String, text: &str, layout: Layout) {
    let at = out.len();
    json::string_into(out, text);
    if !layout.python {
        return;
    }
    let plain = out.get(at..).is_some_and(|t| {
        t.bytes()
            .all(|b| b.is_ascii() && !matches!(b, b'<' | b'>' | b'&' | b'\'' | 0x7f))
    });
    if plain {
        return;
    }
    let escaped = out.split_off(at);
    for c in escaped.chars() {
        // `<`, `>`, `&` and `'` are what Jinja's tojson escapes for HTML.
        if c.is_ascii() && !matches!(c, '<' | '>' | '&' | '\'' | '\u{7f}') {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
}

/// A value as JSON on one line.
///
/// # Errors
/// As [`json_into`].
pub(crate) fn json(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    json_into(&mut out, value, COMPACT, 0)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_as_in_python() {
        for (number, text) in [
            (3.0, "3.0"),
            (0.1, "0.1"),
            (1e16, "1e+16"),
            (1e-5, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (0.0001, "0.0001"),
            (1e22, "1e+22"),
            (-0.0, "-0.0"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (123456789012345.67, "123456789012345.67"),
            (9999999999999998.0, "9999999999999998.0"),
        ] {
            assert_eq!(float(number), text);
        }
    }

    #[test]
    fn reprs_as_in_python() {
        let value = super::super::value::parse(
            r#"[1, "a", null, true, 1.0, {"k": "it's"}, "\u200b", "'\""]"#.into(),
        )
        .unwrap();
        assert_eq!(
            printed(&value),
            r#"[1, 'a', None, True, 1.0, {'k': "it's"}, '\u200b', '\'"']"#
        );
        assert_eq!(printed(&Value::from("x")), "x");
        assert_eq!(printed(&Value::UNDEFINED), "");
    }
}
