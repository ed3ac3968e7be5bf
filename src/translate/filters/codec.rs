//! Filters that decode, encode, hash and match: hookgate's own.

use crate::model::time;
use crate::translate::{schema, text, value};
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind, State};
use regex_lite::{Regex, RegexBuilder};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Bytes a compiled regular expression may take.
const REGEX_BYTES_MAX: usize = 256 * 1024;
/// Bytes of text a regular expression runs over: its time grows with text and pattern.
const REGEX_TEXT_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a pattern.
const PATTERN_BYTES_MAX: usize = 1024;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT);
const ORDINARY: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);

/// Registers them.
pub(super) fn register(env: &mut Environment<'static>) {
    env.add_filter("fromjson", from_json);
    env.add_filter("b64encode", |v: &Value| STANDARD.encode(bytes(v)));
    env.add_filter("b64decode", b64decode);
    env.add_filter("sha256", |v: &Value| hex::encode(Sha256::digest(bytes(v))));
    env.add_filter("iso", iso);
    env.add_filter("uuid5", uuid5);
    env.add_filter("flow_run_id", flow_run_id);
    env.add_filter(
        "regex_match",
        |state: &State, v: &Value, pattern: &str, options: Kwargs| {
            regex_search(state, v, &format!("^(?:{pattern})"), options)
        },
    );
    env.add_filter("regex_search", regex_search);
    env.add_filter("regex_replace", regex_replace);
}

fn failed(detail: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail)
}

fn bytes(value: &Value) -> Vec<u8> {
    match value.as_bytes() {
        Some(bytes) => bytes.to_vec(),
        None => text::printed(value).into_bytes(),
    }
}

/// The value that a JSON text stands for; `default` in place of an error where it is none.
fn from_json(state: &State, text: &Value, default: Option<Value>) -> Result<Value, Error> {
    let or = |error: Error| default.clone().ok_or(error);
    let Some(text) = text.as_str() else {
        return or(failed(format!(
            "fromjson needs a text, not {}",
            text.kind()
        )));
    };
    charge(state, text.len())?;
    value::parse(text.to_owned()).or_else(|invalid| {
        or(failed(format!(
            "fromjson: at byte {}, {}",
            invalid.at, invalid.what
        )))
    })
}

/// Fuel for `n` bytes that are looked at closely.
pub(super) fn charge(state: &State, n: usize) -> Result<(), Error> {
    state.consume_fuel(u64::try_from(n / 16).unwrap_or(u64::MAX))
}

/// What base64 in either alphabet stands for, as text; `default` in place of an error where it is none.
fn b64decode(text: &Value, default: Option<Value>) -> Result<Value, Error> {
    let text = text::printed(text);
    let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let decoded = if packed.contains(['-', '_']) {
        URL_SAFE.decode(&packed)
    } else {
        ORDINARY.decode(&packed)
    };
    let decoded = match (decoded, default) {
        (Ok(decoded), _) => decoded,
        (Err(_), Some(default)) => return Ok(default),
        (Err(_), None) => return Err(failed("b64decode: this is no base64".into())),
    };
    Ok(match String::from_utf8(decoded) {
        Ok(text) => Value::from(text),
        Err(error) => Value::from(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    })
}

/// A time in any accepted form as RFC 3339; `default` in place of an error, or of nothing, where it is none.
fn iso(value: &Value, default: Option<Value>) -> Result<Value, Error> {
    let time = if value.is_number() {
        f64::try_from(value.clone())
            .ok()
            .and_then(time::from_number)
    } else {
        value.as_str().and_then(time::parse)
    };
    match (time, default) {
        (Some(time), _) => Ok(Value::from(time::to_rfc3339(time))),
        (None, Some(default)) => Ok(default),
        (None, None) if value.is_undefined() || value.is_none() => Ok(value.clone()),
        (None, None) => Err(failed(format!("iso: {} is no time", short(value)))),
    }
}

fn short(value: &Value) -> String {
    let mut out = String::new();
    text::repr(&mut out, value, 0);
    out.chars().take(40).collect()
}

/// UUIDv5 of a text; the namespace is a UUID or one of the names of RFC 9562, hookgate's own without.
fn uuid5(value: &Value, namespace: Option<&str>) -> Result<Value, Error> {
    let name = text::printed(value);
    let namespace = match namespace {
        None => return Ok(Value::from(schema::derived_id(&[&name]).to_string())),
        Some("dns") => Uuid::NAMESPACE_DNS,
        Some("url") => Uuid::NAMESPACE_URL,
        Some("oid") => Uuid::NAMESPACE_OID,
        Some("x500") => Uuid::NAMESPACE_X500,
        Some(text) => Uuid::try_parse(text).map_err(|_| {
            failed("uuid5: the namespace is a UUID, or dns, url, oid or x500".into())
        })?,
    };
    Ok(Value::from(
        Uuid::new_v5(&namespace, name.as_bytes()).to_string(),
    ))
}

/// The UUID behind `flow-run/` in a text; none where there is no such thing.
fn flow_run_id(value: &Value) -> Value {
    let Some(text) = value.as_str() else {
        return Value::from(());
    };
    let mut rest = text;
    while let Some((_, tail)) = rest.split_once("flow-run/") {
        if let Some(candidate) = tail.get(..36)
            && candidate.char_indices().all(|(i, c)| match i {
                8 | 13 | 18 | 23 => c == '-',
                _ => matches!(c, '0'..='9' | 'a'..='f'),
            })
        {
            return Value::from(candidate);
        }
        rest = tail;
    }
    Value::from(())
}

fn regex(state: &State, pattern: &str, text: &str, options: &Kwargs) -> Result<Regex, Error> {
    if pattern.len() > PATTERN_BYTES_MAX || text.len() > REGEX_TEXT_BYTES_MAX {
        return Err(failed("regex: the pattern or the text is too long".into()));
    }
    // regex-lite takes time in the product of pattern and text.
    charge(
        state,
        text.len().saturating_mul(1 + pattern.len() / 4) + 16 * 1024,
    )?;
    let regex = RegexBuilder::new(pattern)
        .case_insensitive(options.get::<Option<bool>>("ignorecase")?.unwrap_or(false))
        .multi_line(options.get::<Option<bool>>("multiline")?.unwrap_or(false))
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| failed(format!("regex: {error}")))?;
    options.assert_all_used()?;
    Ok(regex)
}

/// The match: its groups as a list where the pattern has some, else its text; none where nothing matches.
fn regex_search(
    state: &State,
    value: &Value,
    pattern: &str,
    options: Kwargs,
) -> Result<Value, Error> {
    let text = text::printed(value);
    let regex = regex(state, pattern, &text, &options)?;
    let Some(found) = regex.captures(&text) else {
        return Ok(Value::from(()));
    };
    let group = |i: usize| {
        found
            .get(i)
            .map_or_else(|| Value::from(()), |m| Value::from(m.as_str()))
    };
    if found.len() == 1 {
        return Ok(group(0));
    }
    Ok((1..found.len()).map(group).collect())
}

fn regex_replace(
    state: &State,
    value: &Value,
    pattern: &str,
    replacement: &str,
    options: Kwargs,
) -> Result<Value, Error> {
    let text = text::printed(value);
    let regex = regex(state, pattern, &text, &options)?;
    charge(state, text.len().saturating_mul(1 + replacement.len()))?;
    // `\1` as Python writes it, `$1` as regex-lite does.
    let replacement = python_groups(replacement);
    Ok(Value::from(
        regex.replace_all(&text, replacement.as_str()).into_owned(),
    ))
}

fn python_groups(replacement: &str) -> String {
    let mut out = String::with_capacity(replacement.len() + 8);
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek().copied()) {
            ('\\', Some(d)) if d.is_ascii_digit() => {
                chars.next();
                out.push_str("${");
                out.push(d);
                out.push('}');
            }
            _ => out.push(c),
        }
    }
    out
}
