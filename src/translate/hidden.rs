//! What nothing that is made of a body may show: the tokens by which its sender was verified. They stand in it as
//! they came only where the request itself is kept.

use super::body::Content;
use super::json::{Doc, Kind, Ref, string_into};
use std::sync::Arc;

/// Stands for a token.
const MASK: &str = "***";

/// The content with `***` at the places, each the steps of a JSON pointer (`*`: every item) or the name of a form's
/// field. Where a token may be in it and cannot be told from the rest, nothing of it is left; `bytes` are the body.
pub(super) fn hide(content: Content, places: &[Vec<String>], bytes: &[u8]) -> Content {
    let places: Vec<&[String]> = places.iter().map(Vec::as_slice).collect();
    if places.is_empty() || bytes.is_empty() {
        return content;
    }
    if let Content::Json(doc) = &content {
        if let Some(doc) = hidden(doc, &places) {
            return Content::Json(Arc::new(doc));
        }
        // What was read as a form may have been verified as JSON, whatever its sender calls it.
        let text = String::from_utf8_lossy(bytes).into_owned();
        let read_otherwise = Doc::parse(text).ok();
        if read_otherwise.is_none_or(|doc| hidden(&doc, &places).is_none()) {
            return content;
        }
    }
    Content::Text(MASK.to_owned())
}

/// The document with its tokens replaced; none where it has none.
fn hidden(doc: &Doc, places: &[&[String]]) -> Option<Doc> {
    let mut out = String::with_capacity(doc.root().raw().len());
    let found = write(doc.root(), places, &mut out);
    // What was JSON is JSON with other texts in it.
    found.then(|| Doc::parse(out).ok())?
}

/// Appends a value without what is at the places; whether there was any.
fn write(value: Ref<'_>, places: &[&[String]], out: &mut String) -> bool {
    if places.is_empty() {
        value.write_compact(out);
        return false;
    }
    if places.iter().any(|place| place.is_empty()) {
        string_into(out, MASK);
        return true;
    }
    let below = |step: &dyn Fn(&str) -> bool| -> Vec<&[String]> {
        let inner = places.iter().filter_map(|place| place.split_first());
        inner
            .filter(|(first, _)| step(first))
            .map(|(_, rest)| rest)
            .collect()
    };
    let mut found = false;
    match value.kind() {
        Kind::Object => {
            out.push('{');
            for (number, (key, value)) in value.members().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                string_into(out, &key);
                out.push(':');
                found |= write(value, &below(&|step| step == key), out);
            }
            out.push('}');
        }
        Kind::Array => {
            out.push('[');
            for (number, item) in value.items().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                let is_it = |step: &str| step == "*" || step.parse() == Ok(number);
                found |= write(item, &below(&is_it), out);
            }
            out.push(']');
        }
        Kind::Null | Kind::Bool | Kind::Number | Kind::Plain | Kind::Escaped => {
            value.write_compact(out);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::body;
    use super::super::tests::request;
    use super::*;

    fn shown(kind: &str, text: &str, places: &[&str]) -> String {
        let steps = |place: &&str| place.split('/').map(str::to_owned).collect();
        let places: Vec<Vec<String>> = places.iter().map(steps).collect();
        let request = request(&[("content-type", kind)], text.as_bytes());
        let content = hide(body::read(&request).content, &places, &request.body);
        let mut out = String::new();
        content.json_into(&mut out);
        out
    }

    #[test]
    fn a_token_is_not_in_what_is_made_of_the_body() {
        const JSON: &str = "application/json";
        const FORM: &str = "application/x-www-form-urlencoded";
        for (kind, text, place, want) in [
            (
                JSON,
                r#"{"a":1.50,"t":"fake"}"#,
                "t",
                r#"{"a":1.50,"t":"***"}"#,
            ),
            (JSON, r#"{"a":1}"#, "t", r#"{"a":1}"#),
            (JSON, r#"{"t":"fake","t":"fake"}"#, "t", r#"{"t":"***"}"#),
            (JSON, r#"{"\u0074":"fake"}"#, "t", r#"{"t":"***"}"#),
            (
                JSON,
                r#"{"v":[{"t":"fake","n":1},{"t":"fake"}]}"#,
                "v/*/t",
                r#"{"v":[{"t":"***","n":1},{"t":"***"}]}"#,
            ),
            (JSON, r#"["x","fake"]"#, "1", r#"["x","***"]"#),
            (FORM, "t=fake&b=2", "t", r#"{"t":"***","b":"2"}"#),
            // Sent as a form, verified as JSON.
            (FORM, r#"{"t":"fake"}"#, "t", r#""***""#),
            (JSON, "fake", "t", r#""***""#),
            (JSON, "", "t", r#""""#),
        ] {
            assert_eq!(shown(kind, text, &[place]), want, "{kind} {text}");
        }
        assert_eq!(shown(JSON, r#"{"t":"x"}"#, &[]), r#"{"t":"x"}"#);
    }
}
