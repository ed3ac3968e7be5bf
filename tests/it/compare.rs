//! No secret and no tag is compared with `==`: that ends at the first byte that differs, and its time tells how many
//! were right. Types that hold them cannot be (`src/verify/tests_compare.rs`); this looks at bytes and texts, by name.

use std::fs;
use std::path::{Path, PathBuf};

/// Where secrets are handled.
const FOLDERS: [&str; 7] = [
    "src/verify",
    "src/providers",
    "src/admin",
    "src/intake",
    "src/state",
    "src/config",
    "src/model",
];

/// Parts of a name that say that a value is a secret, or computed with one.
const WORDS: [&str; 22] = [
    "secret",
    "secrets",
    "token",
    "tokens",
    "tag",
    "mac",
    "hmac",
    "digest",
    "hash",
    "password",
    "passcode",
    "pass",
    "signature",
    "signatures",
    "sig",
    "expected",
    "exposed",
    "expose",
    "key",
    "credential",
    "claimed",
    "received",
];

/// What only looks like one: file, comparison, and why it is none.
const KNOWN: &[(&str, &str, &str)] = &[
    (
        "mod.rs",
        "self.hash == hex::encode(Sha256::digest(b\"\"))",
        "of the configuration's file",
    ),
    ("json.rs", "key == self.0", "a key of a JSON object"),
    (
        "idempotency.rs",
        "known != key",
        "the caller's own name of a call",
    ),
    (
        "assets.rs",
        "self.base.strip_prefix(\"\") == Some(hash)",
        "of the pages' assets, in every page",
    ),
    (
        "sinks.rs",
        "value.key == path",
        "where a value of the configuration is written",
    ),
    (
        "advice.rs",
        "value.key == path",
        "where a value of the configuration is written",
    ),
    (
        "settings.rs",
        "value.key == key",
        "where a value of the configuration is written",
    ),
    (
        "source.rs",
        "hex::encode(Sha256::digest(text.as_bytes())) != config.hash",
        "of the configuration's file",
    ),
    (
        "save.rs",
        "base != hash(&there)",
        "of a template's file, which its author sends",
    ),
    (
        "reload.rs",
        "config.hash != running.hash",
        "of the configuration's file",
    ),
    (
        "teaching.rs",
        "window == secret",
        "what a request brings, looked for in the same request",
    ),
];

/// Source without comments, with its strings emptied and its white space made one blank.
fn bare(source: &str) -> String {
    let (mut out, mut rest) = (String::new(), source);
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if rest.starts_with("/*") {
            rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
        } else if let Some(hashes) = raw_string(rest) {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = &rest[hashes + 2..];
            out.push_str("\"\"");
            rest = body
                .find(&close)
                .map_or("", |end| &body[end + close.len()..]);
        } else if c == '"' {
            out.push_str("\"\"");
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            rest = end.map_or("", |end| &rest[end + 2..]);
        } else if let Some(bytes) = character(rest) {
            out.push_str("''");
            rest = &rest[bytes..];
        } else {
            if !(c.is_whitespace() && out.ends_with(' ')) {
                out.push(if c.is_whitespace() { ' ' } else { c });
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// How many `#` a raw string that begins here has.
fn raw_string(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('r')?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

/// Bytes of a character literal that begins here.
fn character(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    let mut chars = body.char_indices();
    let (_, first) = chars.next()?;
    let end = if first == '\\' {
        body[2..].find('\'')? + 2
    } else {
        chars.next()?.0
    };
    body[end..].starts_with('\'').then_some(end + 2)
}

/// How far an operand reaches, in bytes, when read in this order; brackets that it opens it also closes.
fn reach(chars: impl Iterator<Item = char>, open: [char; 2], close: [char; 2]) -> usize {
    let (mut depth, mut bytes) = (0_usize, 0);
    for c in chars {
        if open.contains(&c) {
            depth += 1;
        } else if close.contains(&c) {
            if depth == 0 {
                break;
            }
            depth -= 1;
        } else if depth == 0 && "{};,|&=!?<>".contains(c) {
            // A reference before an operand is part of it.
            if c != '&' || bytes > 1 {
                break;
            }
        }
        bytes += c.len_utf8();
    }
    bytes
}

/// Every comparison of a text: left, operator, right.
fn comparisons(text: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for operator in [" == ", " != ", ".eq(", ".ne("] {
        for (at, _) in text.match_indices(operator) {
            let (before, after) = (&text[..at], &text[at + operator.len()..]);
            let left = reach(before.chars().rev(), [')', ']'], ['(', '[']);
            let right = reach(after.chars(), ['(', '['], [')', ']']);
            let words = ["if", "return", "while", "in", "match", "let"];
            let left = before[before.len() - left..].trim();
            let left = words.iter().fold(left, |left, word| {
                left.strip_prefix(word)
                    .filter(|rest| rest.starts_with(' '))
                    .unwrap_or(left)
                    .trim()
            });
            found.push((
                left.to_owned(),
                operator.to_owned(),
                after[..right].trim().to_owned(),
            ));
        }
    }
    found
}

fn names_a_secret(operand: &str) -> bool {
    let parts = operand.split(|c: char| !c.is_ascii_alphanumeric());
    parts
        .map(str::to_ascii_lowercase)
        .any(|part| WORDS.contains(&part.as_str()))
}

/// A literal, a constant, a variant, a length or the name of a key: nothing that a sender could find out byte by byte.
fn is_harmless(operand: &str) -> bool {
    let mut parts = operand.split(|c: char| !c.is_ascii_alphanumeric());
    if parts.any(|part| ["id", "kid", "name", "family"].contains(&part)) {
        return true;
    }
    let operand = operand.trim_start_matches(['&', '*', ' ']);
    let last = operand.rsplit("::").next().unwrap_or("");
    let constant = last.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit());
    let some = operand
        .strip_prefix("Some(")
        .is_some_and(|inner| is_harmless(inner.trim_end_matches(')')));
    let literal = operand.starts_with(['"', '\'', '[']) || ["true", "false"].contains(&operand);
    let plain = !operand.starts_with("Some(") && constant && !operand.contains('.');
    some || literal || plain || operand.ends_with(".len()")
}

/// Comparisons of what looks like a secret.
fn suspicious(source: &str) -> Vec<String> {
    let text = bare(source.split("#[cfg(test)]\nmod ").next().unwrap_or(""));
    let found = comparisons(&text).into_iter();
    found
        .filter(|(left, _, right)| names_a_secret(left) || names_a_secret(right))
        .filter(|(left, _, right)| !is_harmless(left) && !is_harmless(right))
        .map(|(left, operator, right)| format!("{left}{operator}{right}"))
        .collect()
}

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let tests = name.starts_with("tests") || name == "testing.rs";
        if path.is_dir() && !tests {
            sources(&path, out);
        } else if name.ends_with(".rs") && !tests {
            out.push(path);
        }
    }
}

#[test]
fn no_secret_is_compared_byte_by_byte() {
    let mut files = Vec::new();
    for folder in FOLDERS {
        sources(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut files,
        );
    }
    assert!(files.len() > 80, "{}", files.len());
    let (mut wrong, mut known) = (Vec::new(), Vec::new());
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        for found in suspicious(&fs::read_to_string(&file).unwrap()) {
            let excuse = KNOWN
                .iter()
                .position(|(f, text, _)| *f == name && *text == found);
            match excuse {
                Some(at) => known.push(at),
                None => wrong.push(format!("{}: {found}", file.display())),
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "compare with subtle's ct_eq, or say why not: {wrong:#?}"
    );
    for (at, excuse) in KNOWN.iter().enumerate() {
        assert!(known.contains(&at), "{excuse:?} is no longer there");
    }
}

#[test]
fn the_search_finds_what_it_is_for() {
    for bad in [
        "if tag == received { return true; }",
        "if secret.expose() != text { }",
        "let right = mac.eq(&sent);",
        "self.token == *token",
        "sent.as_bytes() == self.secrets[0].expose().as_bytes()",
        "return hex::encode(mac) == signature_text;",
        "Some(password) == given.as_deref()",
        "texts.iter().any(|text| *text == expected)",
        "if a && b.digest\n    == other\n{",
        "found.filter(|f| f.len() == 3 && key.mac(f) == f[1])",
        "match x { _ if hash != claimed.hash => {} _ => {} }",
        "/* \" */ let s = \"//\"; if s == secret_text {}",
    ] {
        assert!(!suspicious(bad).is_empty(), "{bad}");
    }
    for good in [
        "if token == \"*\" {}",
        "code == codes::SIGNATURE_MISMATCH",
        "tag.len() == 32",
        "// tag == received",
        "let text = \"tag == received\";",
        "let text = r#\"\" tag == received\"#;",
        "keys.is_empty() == false",
        "**part == Part::Secret",
        "signature.first() == Some(&DER_SEQUENCE)",
        "right |= tag.ct_eq(&received);",
        "#[cfg(test)]\nmod tests { fn x() { assert!(tag == received) } }",
        "c == '\\0' || c == 's'",
    ] {
        assert!(
            suspicious(good).is_empty(),
            "{good}: {:?}",
            suspicious(good)
        );
    }
}
