//! Writes values to the places of a request that [`ValueSpec`] reads them from: the inverse of `value.rs`.

use super::SignError;
use crate::model::{Headers, Request, multipart};
use crate::verify::Source;
use crate::verify::value::{Cut, Kind, ValueSpec};
use bytes::Bytes;
use serde_json::{Map, Value};

/// What a value becomes, by what it was.
pub(super) type Change<'c> = &'c mut dyn FnMut(Option<&str>) -> String;

/// Writes one piece to the place of a value; pieces of other kinds in the same header stay.
pub(super) fn write(
    request: &mut Request,
    value: &ValueSpec,
    piece: &str,
) -> Result<(), SignError> {
    let Kind::Cut(cut) = &value.0 else {
        return Err(SignError::place(&value.label()));
    };
    let source = choose(request, cut).ok_or_else(|| SignError::place(&value.label()))?;
    let piece = format!("{}{piece}", prefix_of(cut));
    edit(request, source, &mut |old| merged(cut, old, &piece))?;
    // What an older credential left in another place would count as well.
    for other in cut.from.iter().filter(|other| *other != source) {
        if let Source::Header(name) = other {
            let kept = request.headers.iter().filter(|(n, _)| n != name);
            request.headers = copied(kept);
        }
    }
    Ok(())
}

/// Whether the request has something there.
pub(super) fn is_there(request: &Request, value: &ValueSpec) -> bool {
    value.pieces(request).is_ok_and(|found| found.present)
}

/// The prefix as it is written; a number stands where the data have `{n}`.
fn prefix_of(cut: &Cut) -> String {
    cut.prefix.as_deref().unwrap_or("").replace("{n}", "1")
}

/// The text at a place with its pieces of this kind replaced by one.
fn merged(cut: &Cut, old: Option<&str>, piece: &str) -> String {
    let (Some(mark), Some(old)) = (cut.split.as_deref(), old) else {
        return piece.to_owned();
    };
    let others = old.split(mark).map(str::trim);
    let mut pieces: Vec<&str> = others
        .filter(|other| !other.is_empty() && cut.keep(other).is_none())
        // Nothing behind the prefix is kept neither.
        .filter(|other| cut.prefix.as_deref() != Some(other))
        .collect();
    pieces.push(piece);
    pieces.join(mark)
}

/// Where of its places a value is, or could be.
pub(super) fn choose<'s>(request: &Request, cut: &'s Cut) -> Option<&'s Source> {
    let there = cut.from.iter().find(|s| !s.read(request).is_empty());
    there.or_else(|| cut.from.iter().find(|source| fits(request, source)))
}

fn fits(request: &Request, source: &Source) -> bool {
    match source {
        Source::Header(_) | Source::Query(_) => true,
        Source::Form(_) => is_form(request) || request.body.is_empty(),
        Source::FormJson(field, _) => !Source::Form(field.clone()).read(request).is_empty(),
        Source::Json(pointer) => match serde_json::from_slice::<Value>(&request.body) {
            // A list has no place for a value that is not there.
            Ok(value) => value.is_object() && !pointer.tokens().iter().any(|t| t == "*"),
            Err(_) => false,
        },
        Source::Path => true,
        Source::Hash => false,
    }
}

fn is_form(request: &Request) -> bool {
    matches!(
        request.media_type().as_str(),
        "application/x-www-form-urlencoded" | "multipart/form-data"
    )
}

/// Changes what is at a place.
///
/// # Errors
/// Nothing can be written there.
pub(super) fn edit(
    request: &mut Request,
    source: &Source,
    change: Change<'_>,
) -> Result<(), SignError> {
    let wrong = || SignError::place(&source.to_string());
    match source {
        Source::Header(name) => {
            let old = request.headers.text(name).map(|text| text.into_owned());
            set_header(request, name, &change(old.as_deref()));
            Ok(())
        }
        Source::Query(name) => {
            let pairs = owned(form_urlencoded::parse(request.query.as_bytes()));
            let query = replaced(pairs, name, change);
            set_query(request, query);
            Ok(())
        }
        Source::Form(name) => edit_form(request, name, change),
        Source::FormJson(name, pointer) => {
            let mut failed = false;
            edit_form(request, name, &mut |old| {
                let old = old.unwrap_or("{}");
                match changed_json(old.as_bytes(), pointer.tokens(), change) {
                    Some(text) => text,
                    None => {
                        failed = true;
                        old.to_owned()
                    }
                }
            })?;
            if failed { Err(wrong()) } else { Ok(()) }
        }
        Source::Json(pointer) => {
            let text = changed_json(&request.body, pointer.tokens(), change).ok_or_else(wrong)?;
            set_body(request, text.into_bytes());
            Ok(())
        }
        Source::Path => {
            let path = change(Some(&request.path));
            set_path(request, path);
            Ok(())
        }
        Source::Hash => Err(wrong()),
    }
}

type Pairs = Vec<(String, String)>;

fn owned<'a>(
    pairs: impl Iterator<Item = (std::borrow::Cow<'a, str>, std::borrow::Cow<'a, str>)>,
) -> Pairs {
    pairs
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

/// The pairs with every value of a name changed, or with a new one, encoded.
fn replaced(mut pairs: Pairs, name: &str, change: Change<'_>) -> String {
    let mut found = false;
    for (other, value) in &mut pairs {
        if other == name {
            found = true;
            *value = change(Some(value));
        }
    }
    if !found {
        pairs.push((name.to_owned(), change(None)));
    }
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

fn copied<'a>(lines: impl Iterator<Item = (&'a str, &'a [u8])>) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in lines {
        headers.push(name, value);
    }
    headers
}

/// Gives a header (lower-case name) one value, in its place.
pub(super) fn set_header(request: &mut Request, name: &str, value: &str) {
    let mut headers = Headers::new();
    let mut new = Some(value);
    for (other, old) in request.headers.iter() {
        if other != name {
            headers.push(other, old);
        } else if let Some(value) = new.take() {
            headers.push(name, value);
        }
    }
    if let Some(value) = new {
        headers.push(name, value);
    }
    request.headers = headers;
}

/// Gives the request, and the URL that was called, another query.
pub(super) fn set_query(request: &mut Request, query: String) {
    let base = request.url.split('?').next().unwrap_or("").to_owned();
    request.url = if query.is_empty() {
        base
    } else {
        format!("{base}?{query}")
    };
    request.query = query;
}

/// Gives the request, and the URL that was called, another path behind the slug.
fn set_path(request: &mut Request, path: String) {
    let (base, query) = match request.url.split_once('?') {
        Some((base, query)) => (base, format!("?{query}")),
        None => (request.url.as_str(), String::new()),
    };
    let base = base.strip_suffix(request.path.as_str()).unwrap_or(base);
    request.url = format!("{base}{path}{query}");
    request.path = path;
}

/// Gives the request another body, without a coding.
pub(super) fn set_body(request: &mut Request, body: Vec<u8>) {
    request.body = Bytes::from(body);
    request.wire_body = request.body.clone();
    let plain = request.headers.iter();
    request.headers = copied(plain.filter(|(name, _)| *name != "content-encoding"));
}

fn edit_form(request: &mut Request, name: &str, change: Change<'_>) -> Result<(), SignError> {
    if request.media_type() == "multipart/form-data" {
        return edit_multipart(request, name, change);
    }
    let pairs = owned(form_urlencoded::parse(&request.body));
    let body = replaced(pairs, name, change);
    set_body(request, body.into_bytes());
    Ok(())
}

fn edit_multipart(request: &mut Request, name: &str, change: Change<'_>) -> Result<(), SignError> {
    let boundary = request
        .content_type_parameter("boundary")
        .ok_or_else(|| SignError::place(&format!("form field {name}")))?;
    let body = request.body.clone();
    let found = multipart::parts(&body, &boundary)
        .into_iter()
        .find(|part| part.name == name && part.filename.is_none())
        .map(|part| part.body);
    let mut new = Vec::with_capacity(body.len() + 256);
    match found {
        Some(part) => {
            // The part is a slice of the body: its distance from the start is where it begins.
            let start = part.as_ptr().addr().saturating_sub(body.as_ptr().addr());
            let old = String::from_utf8_lossy(part);
            new.extend_from_slice(body.get(..start).unwrap_or(&[]));
            new.extend_from_slice(change(Some(&old)).as_bytes());
            new.extend_from_slice(body.get(start + part.len()..).unwrap_or(&[]));
        }
        None => {
            let value = change(None);
            let head = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
            new.extend_from_slice(head.as_bytes());
            new.extend_from_slice(&body);
        }
    }
    set_body(request, new);
    Ok(())
}

/// JSON text with the values at a pointer changed; none where it is no JSON or has no such place.
fn changed_json(text: &[u8], tokens: &[String], change: Change<'_>) -> Option<String> {
    let mut value: Value = serde_json::from_slice(text).ok()?;
    changed_value(&mut value, tokens, change).then(|| value.to_string())
}

/// Whether there was such a place, or could be one.
pub(super) fn changed_value(value: &mut Value, tokens: &[String], change: Change<'_>) -> bool {
    let Some((token, rest)) = tokens.split_first() else {
        return change_scalar(value, change);
    };
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Array(items) if token == "*" => {
            let mut any = false;
            for item in items {
                any |= changed_value(item, rest, change);
            }
            any
        }
        Value::Array(items) => {
            let item = token.parse().ok().and_then(|at: usize| items.get_mut(at));
            item.is_some_and(|item| changed_value(item, rest, change))
        }
        Value::Object(fields) if token != "*" => {
            let field = fields.entry(token.as_str()).or_insert(Value::Null);
            changed_value(field, rest, change)
        }
        Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            false
        }
    }
}

/// Gives every object at a place in JSON one more field.
///
/// # Errors
/// There is none.
pub(super) fn add_to_items(
    request: &mut Request,
    items: &Source,
    field: &dyn Fn() -> (String, String),
) -> Result<(), SignError> {
    let wrong = || SignError::place(&items.to_string());
    let (text, tokens) = match items {
        Source::Json(pointer) => (request.body.to_vec(), pointer.tokens()),
        Source::FormJson(name, pointer) => {
            let found = Source::Form(name.clone()).read(request);
            let text = found.into_iter().next().ok_or_else(wrong)?;
            (text.into_owned().into_bytes(), pointer.tokens())
        }
        _ => return Err(wrong()),
    };
    let mut value: Value = serde_json::from_slice(&text).map_err(|_| wrong())?;
    if !add_to(&mut value, tokens, field) {
        return Err(wrong());
    }
    let text = value.to_string();
    match items {
        Source::FormJson(name, _) => edit_form(request, name, &mut |_| text.clone()),
        _ => {
            set_body(request, text.into_bytes());
            Ok(())
        }
    }
}

fn add_to(value: &mut Value, tokens: &[String], field: &dyn Fn() -> (String, String)) -> bool {
    let Some((token, rest)) = tokens.split_first() else {
        let Value::Object(fields) = value else {
            return false;
        };
        let (name, text) = field();
        fields.insert(name, Value::String(text));
        return true;
    };
    match value {
        Value::Array(items) if token == "*" => {
            let mut any = false;
            for item in items {
                any |= add_to(item, rest, field);
            }
            any
        }
        Value::Object(fields) => fields
            .get_mut(token)
            .is_some_and(|field_value| add_to(field_value, rest, field)),
        _ => false,
    }
}

/// A number stays one where the new text is one.
fn change_scalar(value: &mut Value, change: Change<'_>) -> bool {
    let number = value.is_number();
    let text = match &*value {
        Value::Null => change(None),
        Value::String(old) => change(Some(old)),
        Value::Number(old) => change(Some(&old.to_string())),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => return false,
    };
    let parsed = number.then(|| serde_json::from_str::<serde_json::Number>(&text).ok());
    *value = match parsed.flatten() {
        Some(number) => Value::Number(number),
        None => Value::String(text),
    };
    true
}
