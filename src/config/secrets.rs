//! Secrets: `{ env = "NAME" }` or `{ file = "path" }`, read when the file is; never a string.

use super::document::Context;
use super::value::Value;
use crate::codes;
use crate::model::Secret;
use crate::verify::DatedSecret;
use jiff::Timestamp;
use std::io::Read;
use std::path::Path;

/// Bytes of a secret's file. A certificate chain with its key is about 10 KB.
const SECRET_FILE_BYTES_MAX: u64 = 256 * 1024;

/// Stands for every secret when they are not read (`check --no-secrets`).
const PLACEHOLDER: &str = "placeholder-for-a-secret-that-was-not-read";

/// A secret without an end date.
pub(super) fn read(cx: &Context, value: &Value<'_, '_>) -> Option<Secret> {
    let table = source(cx, value)?;
    let secret = fetch(cx, value, &table);
    table.finish();
    secret
}

/// One secret or a list of them, each perhaps with `until`.
pub(super) fn read_dated(cx: &Context, value: &Value<'_, '_>) -> Option<Vec<DatedSecret>> {
    let items = value.one_or_many();
    if items.is_empty() {
        value.invalid(cx, "the list is empty");
        return None;
    }
    let one = |item: &Value<'_, '_>| {
        let table = source(cx, item)?;
        let until = table.get("until").map(|until| time(cx, &until));
        let secret = fetch(cx, item, &table);
        table.finish();
        Some(DatedSecret {
            secret: secret?,
            until: match until {
                Some(until) => Some(until?),
                None => None,
            },
        })
    };
    let all: Vec<_> = items.iter().map(one).collect();
    let all: Option<Vec<DatedSecret>> = all.into_iter().collect();
    tell_of_passed(cx, &items, all.as_deref().unwrap_or_default());
    all
}

/// Secrets that count no longer, so that nobody forgets to remove them, or to write a new one.
fn tell_of_passed(cx: &Context, items: &[Value<'_, '_>], secrets: &[DatedSecret]) {
    let now = Timestamp::now();
    let passed = |secret: &DatedSecret| secret.until.is_some_and(|until| until <= now);
    let all = secrets.iter().all(passed);
    for (item, _) in items.iter().zip(secrets).filter(|(_, s)| passed(s)) {
        let (what, help) = match all {
            true => (
                "the secret's time has passed, and there is no other: nobody is verified",
                "write the one that the sender uses now before it, or remove its `until`",
            ),
            false => (
                "the secret's time has passed: it counts no longer",
                "remove it from the list",
            ),
        };
        cx.warning(codes::NO_EFFECT, item.span.clone(), what, help);
    }
}

pub(super) fn time(cx: &Context, value: &Value<'_, '_>) -> Option<Timestamp> {
    let text = match value.value.as_datetime() {
        Some(time) => time.to_string(),
        None => value.text(cx)?.to_owned(),
    };
    let time = text.parse().ok();
    if time.is_none() {
        value.invalid(cx, "must be a time with zone, such as 2026-12-01T00:00:00Z");
    }
    time
}

/// The table that says where the secret is. A secret in plain sight gets its own words.
fn source<'a, 't, 'c>(
    cx: &'c Context,
    value: &Value<'a, 't>,
) -> Option<super::table::Table<'a, 't, 'c>> {
    if value.value.is_str() || value.value.is_integer() {
        cx.error_help(
            codes::WRONG_TYPE,
            value.span.clone(),
            format!("`{}`: a secret is never written into this file", value.name),
            "put it into a variable or a file and write { env = \"NAME\" } or { file = \"path\" }; \
             if this file was shared, change the secret",
        );
        return None;
    }
    value.table(cx)
}

fn fetch(
    cx: &Context,
    value: &Value<'_, '_>,
    table: &super::table::Table<'_, '_, '_>,
) -> Option<Secret> {
    let (env, file) = (table.get("env"), table.get("file"));
    let (from, text) = match (env, file) {
        (Some(env), None) => {
            let name = env.filled(cx)?;
            (format!("variable {name}"), from_env(cx, &env, name))
        }
        (None, Some(file)) => {
            let path = file.filled(cx)?;
            (format!("file {path}"), from_file(cx, &file, path))
        }
        (None, None) | (Some(_), Some(_)) => {
            value.invalid_help(
                cx,
                "must say where the secret is, once",
                "write { env = \"NAME\" } or { file = \"path\" }",
            );
            return None;
        }
    };
    let secret = text?;
    if secret.is_blank() {
        cx.error_help(
            codes::SECRET_BLANK,
            value.span.clone(),
            format!("`{}`: {from} holds nothing", value.name),
            "a blank secret would let anyone in; set it, or remove the key",
        );
        return None;
    }
    cx.count_secret();
    Some(secret)
}

fn from_env(cx: &Context, value: &Value<'_, '_>, name: &str) -> Option<Secret> {
    if cx.hides_secrets() {
        return Some(Secret::new(PLACEHOLDER.to_owned()));
    }
    let (why, help) = match std::env::var(name) {
        Ok(text) => return Some(Secret::new(text)),
        Err(std::env::VarError::NotPresent) => (
            "is not set",
            format!(
                "export {name} before starting hookgate; `check --no-secrets` goes without secrets"
            ),
        ),
        Err(std::env::VarError::NotUnicode(_)) => (
            "is not UTF-8 text",
            "encode it, as base64 for example".to_owned(),
        ),
    };
    cx.error_help(
        codes::SECRET_UNREADABLE,
        value.span.clone(),
        format!("variable {name} {why}"),
        help,
    );
    None
}

fn from_file(cx: &Context, value: &Value<'_, '_>, path: &str) -> Option<Secret> {
    if cx.hides_secrets() {
        return Some(Secret::new(PLACEHOLDER.to_owned()));
    }
    let full = cx.folder.join(path);
    cx.note_file(&full);
    match read_text(&full, SECRET_FILE_BYTES_MAX) {
        Ok(mut text) => {
            // Editors and `echo` end a file with a newline that is not part of the secret.
            if text.ends_with('\n') {
                text.pop();
                if text.ends_with('\r') {
                    text.pop();
                }
            }
            Some(Secret::new(text))
        }
        Err(why) => {
            cx.error_help(
                codes::SECRET_UNREADABLE,
                value.span.clone(),
                format!("file {path} cannot be read: {why}"),
                "a relative path starts at this file's folder",
            );
            None
        }
    }
}

/// Reads a regular file of UTF-8 text, at most `max` bytes.
pub(crate) fn read_text(path: &Path, max: u64) -> Result<String, String> {
    let bytes = read_bytes(path, max)?;
    String::from_utf8(bytes).map_err(|e| {
        let good = e.utf8_error().valid_up_to();
        let line = e.as_bytes().get(..good).unwrap_or(&[]);
        let line = line.iter().filter(|b| **b == b'\n').count() + 1;
        format!("line {line} is not UTF-8 text")
    })
}

/// Reads a regular file, at most `max` bytes. A pipe or device would block or never end.
pub(crate) fn read_bytes(path: &Path, max: u64) -> Result<Vec<u8>, String> {
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err("its name holds a NUL".to_owned());
    }
    let why = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => e.to_string(),
    };
    let metadata = std::fs::metadata(path).map_err(why)?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(why)?;
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes).map_err(why)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > max {
        return Err(format!("it is larger than {max} bytes"));
    }
    Ok(bytes)
}
