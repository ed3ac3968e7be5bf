//! A JSON body as the form that Python's `urlencode` makes of its top-level members: what Monte Carlo signs
//! instead of the body (docs.getmontecarlo.com, webhooks).

use crate::model::python;
use serde_json::{Map, Value};

/// `name=value&…` in the order of the body; values that are no text as Python's `str` shows them. None where
/// the body is no JSON object.
pub(super) fn urlencoded(body: &[u8]) -> Option<Vec<u8>> {
    let members: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let mut form = form_urlencoded::Serializer::new(String::with_capacity(body.len()));
    let mut text = String::new();
    for (name, value) in &members {
        text.clear();
        match value {
            Value::String(value) => text.push_str(value),
            other => repr(&mut text, other),
        }
        form.append_pair(name, &text);
    }
    // Python leaves a tilde alone and escapes an asterisk; browsers, whose rule this is, do the contrary.
    let form = form.finish().replace('*', "%2A").replace("%7E", "~");
    Some(form.into_bytes())
}

/// Bounded by the depth that the parser takes.
fn repr(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => number_text(out, &number.to_string()),
        Value::String(text) => python::repr_text(out, text),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                repr(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (at, (name, item)) in members.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                python::repr_text(out, name);
                out.push_str(": ");
                repr(out, item);
            }
            out.push('}');
        }
    }
}

/// Whole numbers have any length in Python; the others are doubles.
fn number_text(out: &mut String, text: &str) {
    match text {
        "-0" => out.push('0'),
        _ if text.contains(['.', 'e', 'E']) => {
            out.push_str(&python::float(text.parse().unwrap_or(f64::NAN)));
        }
        _ => out.push_str(text),
    }
}

#[cfg(test)]
mod tests {
    use super::urlencoded;

    #[test]
    fn as_python_has_it() {
        for (body, want) in [
            ("{}", Some("")),
            (
                r#"{"a":"x y~*é'","b":[1,2.50,1e5,1e16,true,null],"a":"z"}"#,
                Some("a=z&b=%5B1%2C+2.5%2C+100000.0%2C+1e%2B16%2C+True%2C+None%5D"),
            ),
            (
                r#"{"p":{"k":"it's","l":"\"'\n"},"n":null,"t":"~*"}"#,
                Some(
                    "p=%7B%27k%27%3A+%22it%27s%22%2C+%27l%27%3A+%27%22%5C%27%5Cn%27%7D&n=None&t=~%2A",
                ),
            ),
            ("[1]", None),
            ("", None),
        ] {
            let made = urlencoded(body.as_bytes()).map(|f| String::from_utf8(f).unwrap());
            assert_eq!(made.as_deref(), want, "{body}");
        }
    }
}
