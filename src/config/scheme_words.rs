//! What is wrong with `verify = …`, in words for its owner: the reader of the data speaks of variants and fields.

use super::document::nearest;
use super::value::Value;
use crate::verify::VerifySpec;
use std::ops::Range;

/// A mistake: message, what to do, and where.
pub(super) struct Mistake {
    pub(super) message: String,
    pub(super) help: Option<String>,
    pub(super) span: Range<usize>,
}

/// What the reader of the data said about a table.
pub(super) fn of_data(said: &str, at: Option<Range<usize>>, table: &Value<'_, '_>) -> Mistake {
    let said = said.trim_end();
    let whole = at.as_ref().is_none_or(|at| *at == table.span);
    let span = match at {
        Some(at) if !whole => at,
        // What it speaks of is narrower than the table.
        _ => key_spoken_of(said, table).unwrap_or_else(|| table.span.clone()),
    };
    let (text, help) = reword(said);
    Mistake {
        message: format!("`verify`: {text}"),
        help: help.or_else(|| advice(said)),
        span,
    }
}

/// What to do about a secret that has not the form that the scheme needs. `reason` follows "secret 1".
pub(super) fn of_secret(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "is not base64" | "is not hex" => {
            "`key` says how the secret is written: \"text\" (used as it is), \"base64\" or \"hex\"; `key_prefix` what to cut off before"
        }
        "decodes to nothing" => {
            "every byte of it is zero or blank: take the secret from the sender again"
        }
        "is not `user:password`" => "write user and password with a colon between them",
        "has neither user nor password" => "one of them may be empty, not both",
        "is a key in PEM, and the algorithm needs a shared secret" => {
            "with a public key `algorithms` is [\"RS256\"], [\"ES256\"] or [\"EdDSA\"]: whoever knows a public key could sign HS256 with it"
        }
        _ if reason.contains("public key") || reason.contains("RSA key") => {
            "the secret of this scheme is the sender's public key: PEM, or base64 or hex as `key` says"
        }
        _ => return None,
    })
}

/// The value of the first key that a message names.
fn key_spoken_of(said: &str, table: &Value<'_, '_>) -> Option<Range<usize>> {
    let keys = table.value.as_table()?;
    let words = said.split('`').skip(1).step_by(2);
    words
        .map(|word| word.split_whitespace().next().unwrap_or(""))
        .filter(|word| VerifySpec::KEYS.contains(word))
        .find_map(|word| keys.get(word))
        .map(toml::Spanned::span)
}

fn reword(said: &str) -> (String, Option<String>) {
    if let Some(rest) = said.strip_prefix("unknown variant `")
        && let Some((word, expected)) = rest.split_once("`, expected ")
    {
        return none_of(word, expected);
    }
    if let Some(rest) = said.strip_prefix("unknown field `")
        && let Some((word, expected)) = rest.split_once("`, expected ")
    {
        let known: Vec<_> = quoted(expected);
        return (
            format!("unknown key `{word}`: known here are {}", known.join(", ")),
            near(word, &known),
        );
    }
    if let Some(rest) = said.strip_prefix("invalid value: ")
        && let Some((value, expected)) = rest.split_once(", expected ")
    {
        let value = value.strip_prefix("string ").unwrap_or(value);
        return (format!("{value} is not {expected}"), None);
    }
    if let Some(rest) = said.strip_prefix("invalid type: ")
        && let Some((value, expected)) = rest.split_once(", expected ")
    {
        let value = value.strip_prefix("string ").unwrap_or(value);
        return (format!("expected {expected}, not {value}"), None);
    }
    let said = said.replace("a string or a list of strings", "text or a list of texts");
    (said, None)
}

fn none_of(word: &str, expected: &str) -> (String, Option<String>) {
    let mut known = quoted(expected);
    if known.contains(&"HS256") {
        known = vec!["HS256", "HS384", "HS512", "RS256", "ES256", "EdDSA"];
        if word == "none" {
            let why = "a token with the algorithm `none` is signed by nobody".to_owned();
            return (format!("`none` is none of {}", known.join(", ")), Some(why));
        }
    }
    let help = near(word, &known);
    (format!("\"{word}\" is none of {}", known.join(", ")), help)
}

fn quoted(expected: &str) -> Vec<&str> {
    expected.split('`').skip(1).step_by(2).collect()
}

fn near(word: &str, known: &[&str]) -> Option<String> {
    let near = nearest(word, known.iter().copied())?;
    Some(format!("did you mean \"{near}\"?"))
}

/// What to do, where the message alone does not say it.
fn advice(said: &str) -> Option<String> {
    let text = if said.starts_with("a table has one of") {
        "such as { scheme = \"hmac-sha256\", header = \"X-Signature\", secret = { env = \"NAME\" } }, or { any = [{ scheme = … }, { scheme = … }] }"
    } else if said.contains("does not say where it is") {
        "add timestamp = \"header:X-Timestamp\", or id = \"header:X-Id\", with the sender's name of the header"
    } else if said.contains("has no effect without `timestamp`") {
        "add timestamp = \"header:X-Timestamp\" and {ts} in `signed`; a time that is not signed proves nothing"
    } else if said.contains("is not part of `signed`") {
        "such as signed = \"{ts}.{body}\"; a time that is not signed proves nothing, so leave `timestamp` out if the sender does not sign it"
    } else if said.contains("proves nothing without {secret}") {
        "such as signed = \"{secret}{body}\"; for a keyed hash take \"hmac-sha256\""
    } else if said.contains("is for plain digests") {
        "an HMAC has the secret as its key: leave {secret} out of `signed`"
    } else if said.contains("is every address") {
        "list those of the sender; verify = \"none\" says that anyone may call"
    } else if said.contains("names nothing of the request") {
        "such as signed = \"{body}\" or \"{ts}.{body}\""
    } else if said.contains("lists 1 to") && said.contains("schemes") {
        "a list without schemes would let nobody in; verify = \"none\" lets in everybody"
    } else if said.contains("nested deeper") {
        "a list of lists is as deep as it goes: { any = [{ all = [{ scheme = … }, { scheme = … }] }, { scheme = … }] }"
    } else if said.contains("with scheme `bearer`") {
        "the token is in `Authorization: Bearer …`; for another header take scheme = \"header-token\""
    } else if said.contains("is no part:") {
        "a brace that is meant as text is written twice: {{ or }}"
    } else if said.contains("has no effect with") {
        "remove it, or take the scheme that reads it (docs/verification.md)"
    } else {
        return None;
    };
    Some(text.to_owned())
}
