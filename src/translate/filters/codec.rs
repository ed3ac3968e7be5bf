//! Filters that decode, encode, hash and match: hookgate's own.

use super::cost::{beyond, charge, printed, printed_for};
use crate::model::time;
use crate::translate::marks::Mark;
use crate::translate::{schema, text, value};
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind, State};
use regex_lite::{Regex, RegexBuilder};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use uuid::Uuid;

/// Bytes a compiled regular expression may take.
const REGEX_BYTES_MAX: usize = 256 * 1024;
/// The least that is asked about.
const REGEX_BYTES_LEAST: usize = 512;
/// Bytes of a compiled regular expression for each step that it may take at a byte of text.
const REGEX_BYTES_PER_STEP: usize = 16;
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
    env.add_filter("b64encode", |s: &State, v: &Value| {
        Ok::<_, Error>(STANDARD.encode(bytes(s, v)?))
    });
    env.add_filter("b64decode", b64decode);
    env.add_filter("sha256", |s: &State, v: &Value| {
        Ok::<_, Error>(hex::encode(Sha256::digest(bytes(s, v)?)))
    });
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

fn bytes<'v>(state: &State, value: &'v Value) -> Result<Cow<'v, [u8]>, Error> {
    const WEIGHT: usize = 2;
    Ok(match value.as_bytes() {
        Some(bytes) => {
            charge(state, bytes.len().saturating_mul(WEIGHT))?;
            Cow::Borrowed(bytes)
        }
        None => match printed_for(state, value, WEIGHT)? {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        },
    })
}

/// The value that a JSON text stands for; `default` in place of an error where it is none.
fn from_json(state: &State, text: &Value, default: Option<Value>) -> Result<Value, Error> {
    let or = |error: Error| default.clone().ok_or(error);
    let text = &Mark::plain(text);
    let Some(text) = text.as_str() else {
        return or(failed(format!(
            "fromjson needs a text, not {}",
            text.kind()
        )));
    };
    charge(state, text.len().saturating_mul(2))?;
    value::parse(text.to_owned()).or_else(|invalid| {
        or(failed(format!(
            "fromjson: at byte {}, {}",
            invalid.at, invalid.what
        )))
    })
}

/// What base64 in either alphabet stands for, as text; `default` in place of an error where it is none.
fn b64decode(state: &State, text: &Value, default: Option<Value>) -> Result<Value, Error> {
    let text = printed_for(state, text, 3)?;
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
fn uuid5(state: &State, value: &Value, namespace: Option<&str>) -> Result<Value, Error> {
    let name = printed_for(state, value, 2)?;
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

fn options_of(options: &Kwargs) -> Result<[bool; 2], Error> {
    let flag = |name| Ok::<_, Error>(options.get::<Option<bool>>(name)?.unwrap_or(false));
    let flags = [flag("ignorecase")?, flag("multiline")?];
    options.assert_all_used()?;
    Ok(flags)
}

/// A pattern, compiled, and what each byte of a text costs it in bytes.
struct Pattern {
    regex: Regex,
    weight: usize,
    /// Whether a match may have to look to the end of the text though it is short.
    looks_ahead: bool,
}

/// Compiles a pattern. regex-lite takes time in the product of a text and what it compiles a pattern to, of which it
/// tells only whether it is larger than a limit: so it is tried with one limit after another.
fn compile(state: &State, pattern: &str, flags: [bool; 2]) -> Result<Pattern, Error> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(beyond(format!(
            "a regular expression is longer than {PATTERN_BYTES_MAX} bytes"
        )));
    }
    let mut limit = REGEX_BYTES_LEAST;
    let (regex, size) = loop {
        charge(state, 2 * limit + 8 * pattern.len())?;
        let built = RegexBuilder::new(pattern)
            .case_insensitive(flags[0])
            .multi_line(flags[1])
            .size_limit(limit)
            .build();
        match built {
            Ok(regex) => break (regex, limit),
            Err(error) if limit < REGEX_BYTES_MAX && error.to_string().contains("limit") => {
                limit *= 2;
            }
            Err(error) => return Err(failed(format!("regex: {error}"))),
        }
    };
    let endless = pattern.contains(['*', '+']) || pattern.contains(",}");
    let optional = pattern.contains(['|', '?', '*']) || pattern.contains("{0");
    Ok(Pattern {
        weight: (size / REGEX_BYTES_PER_STEP).max(1) * (1 + regex.captures_len() / 4),
        looks_ahead: endless && optional,
        regex,
    })
}

/// The text that a pattern is to run over, paid for once.
fn searched<'v>(state: &State, value: &'v Value, weight: usize) -> Result<Cow<'v, str>, Error> {
    let text = printed(state, value)?;
    if text.len() > REGEX_TEXT_BYTES_MAX {
        return Err(beyond(format!(
            "a regular expression runs over more than {} KiB of text",
            REGEX_TEXT_BYTES_MAX / 1024
        )));
    }
    charge(state, text.len().saturating_mul(weight))?;
    Ok(text)
}

/// The match: its groups as a list where the pattern has some, else its text; none where nothing matches.
fn regex_search(
    state: &State,
    value: &Value,
    pattern: &str,
    options: Kwargs,
) -> Result<Value, Error> {
    let pattern = compile(state, pattern, options_of(&options)?)?;
    let text = searched(state, value, pattern.weight)?;
    let Some(found) = pattern.regex.captures(&text) else {
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
    let pattern = compile(state, pattern, options_of(&options)?)?;
    let text = searched(state, value, pattern.weight)?;
    // `\1` as Python writes it, `$1` as regex-lite does.
    let replacement = python_groups(replacement);
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for found in pattern.regex.captures_iter(&text) {
        let Some(whole) = found.get(0) else { break };
        let before = out.len();
        out.push_str(text.get(from..whole.start()).unwrap_or(""));
        found.expand(&replacement, &mut out);
        from = whole.end();
        let looked_at = if pattern.looks_ahead {
            text.len() - from
        } else {
            0
        };
        charge(
            state,
            64 + out.len() - before + replacement.len() + looked_at.saturating_mul(pattern.weight),
        )?;
    }
    out.push_str(text.get(from..).unwrap_or(""));
    Ok(Value::from(out))
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
