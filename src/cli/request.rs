//! `--set`: changes to a request before it is translated.

use crate::model::{Headers, Request};
use serde_json::Value;

/// Applies `header.x=…`, `query.x=…` or `body.a.b=…`.
///
/// # Errors
/// Says what is wrong with the text.
pub(super) fn set(request: &mut Request, text: &str) -> Result<(), String> {
    let (path, value) = text
        .split_once('=')
        .ok_or_else(|| format!("--set {text:?}: write NAME=VALUE"))?;
    match path.split_once('.') {
        Some(("header", name)) if !name.is_empty() => set_header(request, name, value),
        Some(("query", name)) if !name.is_empty() => set_query(request, name, value),
        Some(("body", inner)) if !inner.is_empty() => return set_body(request, inner, value),
        _ => {
            return Err(format!(
                "--set {text:?}: the name begins with header., query. or body."
            ));
        }
    }
    Ok(())
}

fn set_header(request: &mut Request, name: &str, value: &str) {
    let name = name.to_ascii_lowercase();
    let mut headers = Headers::new();
    for (other, value) in request.headers.iter().filter(|(other, _)| *other != name) {
        headers.push(other, value);
    }
    headers.push(&name, value);
    request.headers = headers;
}

fn set_query(request: &mut Request, name: &str, value: &str) {
    let pairs: Vec<(String, String)> = request
        .query_pairs()
        .filter(|(other, _)| other != name)
        .map(|(k, v)| (k.into_owned(), v.into_owned()))
        .collect();
    request.query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .append_pair(name, value)
        .finish();
    let base = request.url.split('?').next().unwrap_or("").to_owned();
    request.url = format!("{base}?{}", request.query);
}

fn set_body(request: &mut Request, path: &str, value: &str) -> Result<(), String> {
    let text = if request.media_type() == "application/x-www-form-urlencoded" {
        let pairs: Vec<_> = form_urlencoded::parse(&request.body)
            .filter(|(name, _)| name != path)
            .collect();
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .append_pair(path, value)
            .finish()
    } else {
        let body = if request.body.is_empty() {
            b"{}"
        } else {
            &request.body[..]
        };
        let mut json: Value = serde_json::from_slice(body)
            .map_err(|e| format!("--set body.{path}: the body is not JSON ({e})"))?;
        // `12`, `true`, `{"a":1}` are what they look like; anything else is text.
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        put(&mut json, path, value)?;
        json.to_string()
    };
    request.body = text.into_bytes().into();
    request.wire_body = request.body.clone();
    Ok(())
}

fn put(root: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let mut at = root;
    for step in path.split('.') {
        at = match at {
            Value::Array(items) => {
                let index = step.parse::<usize>().ok();
                index
                    .and_then(|i| items.get_mut(i))
                    .ok_or_else(|| format!("--set body.{path}: the list has no item {step:?}"))?
            }
            other => {
                if !other.is_object() {
                    *other = Value::Object(serde_json::Map::new());
                }
                other
                    .as_object_mut()
                    .ok_or_else(|| format!("--set body.{path}: {step:?} is in no object"))?
                    .entry(step)
                    .or_insert(Value::Null)
            }
        };
    }
    *at = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes() {
        let bytes = b"POST /hooks/x?a=1&b=2 HTTP/1.1\nX-A: 1\nX-A: 2\n\n{\"a\":{\"b\":[1,{}]}}";
        let mut request =
            crate::model::http_file::parse(bytes, jiff::Timestamp::UNIX_EPOCH).unwrap();
        for text in [
            "header.X-a=3",
            "query.a=x y",
            "body.a.b.1.c=7",
            "body.a.s=refs/heads/x",
            "body.n.m=\"7\"",
        ] {
            set(&mut request, text).unwrap();
        }
        assert_eq!(request.headers.all("x-a").collect::<Vec<_>>(), [b"3"]);
        assert_eq!(request.query, "b=2&a=x+y");
        assert_eq!(
            &request.body[..],
            br#"{"a":{"b":[1,{"c":7}],"s":"refs/heads/x"},"n":{"m":"7"}}"#
        );
        for text in [
            "a",
            "a=b",
            "body.=1",
            "cookie.a=1",
            "body.a.b.9=1",
            "body.a.b.x=1",
        ] {
            assert!(set(&mut request, text).is_err(), "{text}");
        }
        request.body = "plain".into();
        assert!(set(&mut request, "body.a=1").is_err());
        set_header(
            &mut request,
            "content-type",
            "application/x-www-form-urlencoded",
        );
        request.body = "a=1&b=2".into();
        set(&mut request, "body.a=x&y").unwrap();
        assert_eq!(&request.body[..], b"b=2&a=x%26y");
    }
}
