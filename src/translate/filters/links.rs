//! `urlize`: addresses in a text become links, by Jinja2's rules.

use super::args::{Args, bind, failed};
use super::codec::charge;
use super::words::cut;
use crate::translate::{sink, text};
use minijinja::value::Value;
use minijinja::{Environment, Error, State};
use regex_lite::Regex;
use std::sync::OnceLock;

/// Registers it.
pub(super) fn register(env: &mut Environment<'static>) {
    env.add_filter("urlize", urlize);
}

/// What an address looks like, and what a mail address.
fn patterns() -> Option<&'static (Regex, Regex)> {
    static PATTERNS: OnceLock<Option<(Regex, Regex)>> = OnceLock::new();
    PATTERNS
        .get_or_init(|| {
            let http = concat!(
                r"(?i)^((https?://|www\.)(([\w%-]+\.)+)?([a-z]{2,63}|xn--[\w%]{2,59})",
                r"|([\w%-]{2,63}\.)+(com|net|int|edu|gov|org|info|mil)",
                r"|https?://(\d{1,3}(\.\d{1,3}){3}|\[([\da-f]{0,4}:){2}([\da-f]{0,4}:?){1,6}\]))",
                r"(:\d{1,5})?([/?#]\S*)?$"
            );
            Some((
                Regex::new(http).ok()?,
                Regex::new(r"^\S+@\w[\w.-]*\.\w+$").ok()?,
            ))
        })
        .as_ref()
}

struct Style {
    limit: Option<usize>,
    /// Beginnings of addresses beside those of the web and of mail, such as `ftp:`.
    schemes: Vec<String>,
    attributes: String,
}

fn urlize(state: &State, value: &Value, args: Args) -> Result<Value, Error> {
    let args = bind(
        args,
        &[
            "trim_url_limit",
            "nofollow",
            "target",
            "rel",
            "extra_schemes",
        ],
    )?;
    let given = |at: usize| args.value(at).filter(|v| v.is_true()).map(text::printed);
    let rel = args
        .value(3)
        .filter(|v| v.is_true())
        .map(|_| args.needed(3));
    let rel = rel.transpose()?.unwrap_or("");
    let mut rel: Vec<&str> = rel.split_whitespace().chain(["noopener"]).collect();
    if args.flag(1, false) {
        rel.push("nofollow");
    }
    rel.sort_unstable();
    rel.dedup();
    let mut attributes = format!(" rel=\"{}\"", sink::html(&rel.join(" ")));
    if let Some(target) = given(2) {
        attributes.push_str(&format!(" target=\"{}\"", sink::html(&target)));
    }
    let limit = match args.value(0) {
        Some(limit) if !limit.is_none() => usize::try_from(args.int(0, 0)?).ok(),
        _ => None,
    };
    let mut schemes = Vec::new();
    if let Some(list) = args.value(4).filter(|list| list.is_true()) {
        for scheme in super::sequences::items(state, list)? {
            let name = text::printed(&scheme);
            if !is_scheme(&name) {
                return Err(failed(format!("urlize: `{name}` begins no address")));
            }
            schemes.push(name);
        }
    }
    let style = Style {
        limit,
        schemes,
        attributes,
    };
    let text = text::printed(value);
    charge(state, text.len().saturating_mul(64))?;
    let text = if value.is_safe() {
        text
    } else {
        sink::html(&text)
    };
    let mut out = String::with_capacity(text.len());
    let mut word_from = 0;
    for (at, c) in text
        .char_indices()
        .filter(|(_, c)| super::casing::is_space(*c))
    {
        out.push_str(&link(text.get(word_from..at).unwrap_or(""), &style));
        out.push(c);
        word_from = at + c.len_utf8();
    }
    out.push_str(&link(text.get(word_from..).unwrap_or(""), &style));
    Ok(super::words::html_of(state, out))
}

/// Brackets and stops at the ends of a word stay outside of its link, unless they belong to the address.
fn split(word: &str) -> (&str, String, String) {
    let mut middle = word;
    while let Some(rest) = ["(", "<", "&lt;"]
        .iter()
        .find_map(|mark| middle.strip_prefix(mark))
    {
        middle = rest;
    }
    let head = word.get(..word.len() - middle.len()).unwrap_or("");
    let body = middle;
    while let Some(rest) = [")", ">", ".", ",", "&gt;"]
        .iter()
        .find_map(|mark| middle.strip_suffix(mark))
    {
        middle = rest;
    }
    let mut tail = body.get(middle.len()..).unwrap_or("").to_owned();
    let mut middle = middle.to_owned();
    for (open, close) in [("(", ")"), ("<", ">"), ("&lt;", "&gt;")] {
        let opened = middle.matches(open).count();
        if opened <= middle.matches(close).count() {
            continue;
        }
        for _ in 0..opened.min(tail.matches(close).count()) {
            if let Some(at) = tail.find(close) {
                let rest = tail.split_off(at + close.len());
                middle.push_str(&tail);
                tail = rest;
            }
        }
    }
    (head, middle, tail)
}

/// Whether a text is the beginning of an address: `tel:`, `ftp://`.
fn is_scheme(text: &str) -> bool {
    let (name, rest) = text.split_once(':').unwrap_or(("", ""));
    let named = name.chars().count() > 1
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || "_.+-".contains(c));
    named && (rest.is_empty() || (rest.len() <= 2 && rest.bytes().all(|b| b == b'/')))
}

fn link(word: &str, style: &Style) -> String {
    let Some((http, mail)) = patterns() else {
        return word.to_owned();
    };
    if !word.contains(['.', ':', '@']) {
        return word.to_owned();
    }
    let (head, middle, tail) = split(word);
    let shown = |text: &str| match style.limit {
        Some(limit) if text.chars().count() > limit => format!("{}...", cut(text, limit).0),
        _ => text.to_owned(),
    };
    let linked = if http.is_match(&middle) {
        let scheme = if middle.starts_with("https://") || middle.starts_with("http://") {
            ""
        } else {
            "https://"
        };
        format!(
            "<a href=\"{scheme}{middle}\"{}>{}</a>",
            style.attributes,
            shown(&middle)
        )
    } else if let Some(address) = middle.strip_prefix("mailto:").filter(|a| mail.is_match(a)) {
        format!("<a href=\"{middle}\">{address}</a>")
    } else if !middle.starts_with("www.") && !middle.contains(':') && mail.is_match(&middle) {
        format!("<a href=\"mailto:{middle}\">{middle}</a>")
    } else if style
        .schemes
        .iter()
        .any(|scheme| middle != *scheme && middle.starts_with(scheme.as_str()))
    {
        format!("<a href=\"{middle}\"{}>{middle}</a>", style.attributes)
    } else {
        middle
    };
    format!("{head}{linked}{tail}")
}
