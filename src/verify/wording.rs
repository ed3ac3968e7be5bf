//! What an owner reads of a credential that is not right: what was received, what it looks like, what there is instead.

use super::encoding::Encoding;
use super::report::shown;
use super::value::{Source, ValueSpec};
use crate::model::Request;
use jiff::Timestamp;
use std::borrow::Cow;

/// Names of headers that are shown where another was looked for.
const HEADERS_SHOWN: usize = 4;

/// Hashes by the bytes they make.
const LENGTHS: [(usize, &str); 5] = [
    (16, "MD5"),
    (20, "SHA-1"),
    (32, "SHA-256"),
    (48, "SHA-384"),
    (64, "SHA-512"),
];

/// Headers of the request that carry signatures or tokens by their name, for where the one looked for is absent.
pub(super) fn similar_headers(request: &Request, value: &ValueSpec) -> String {
    let looked_for = |name: &str| {
        let sources = value.sources().into_iter();
        sources
            .into_iter()
            .any(|source| matches!(source, Source::Header(n) if n == name))
    };
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in request.headers.iter() {
        let fits = sounds_like_one(name) && !looked_for(name);
        if fits && !names.contains(&name) && names.len() < HEADERS_SHOWN {
            names.push(name);
        }
    }
    match names.as_slice() {
        [] => String::new(),
        names => format!("; what looks like one: {}", names.join(", ")),
    }
}

/// Whether the name of a header has a word in it for a signature or a token. All words are looked for at once: a
/// missing header is refused as fast as a wrong one.
fn sounds_like_one(name: &str) -> bool {
    let name = name.as_bytes();
    (0..name.len()).any(|at| {
        let rest = name.get(at..).unwrap_or_default();
        let words: &[&[u8]] = match rest.first() {
            Some(b's') => &[b"sign", b"secret"],
            Some(b'h') => &[b"hmac"],
            Some(b't') => &[b"token"],
            Some(b'a') => &[b"auth"],
            Some(b'd') => &[b"digest"],
            _ => &[],
        };
        words.iter().any(|word| rest.starts_with(word))
    })
}

/// Whether a value at these places may be shown. `Authorization` may hold a password whatever was expected there,
/// and a body or a path is nobody's business here.
pub(super) fn may_be_shown(value: &ValueSpec) -> bool {
    const HIDDEN: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];
    let sources = value.sources();
    sources.into_iter().all(|source| match source {
        Source::Header(name) => !HIDDEN.contains(&name.as_str()),
        Source::Query(_) | Source::Form(_) | Source::FormJson(..) | Source::Json(_) => true,
        Source::Path | Source::Hash => false,
    })
}

/// Received values, or how long they are where they may not be shown.
pub(super) fn received(texts: &[Cow<'_, str>], value: &ValueSpec) -> String {
    let visible = may_be_shown(value);
    let one = |text: &Cow<'_, str>| match visible {
        true => shown(text),
        false => format!("{} characters", text.chars().count()),
    };
    let all: Vec<_> = texts.iter().map(one).collect();
    all.join(", ")
}

/// What stands at the places of a value, as it came; none where it may not be shown.
pub(super) fn uncut(request: &Request, value: &ValueSpec) -> Option<String> {
    if !may_be_shown(value) {
        return None;
    }
    let sources = value.sources().into_iter();
    let texts: Vec<_> = sources
        .flat_map(|source| source.read(request))
        .take(HEADERS_SHOWN)
        .map(|text| format!("`{}`", shown(&text)))
        .collect();
    Some(texts.join(", "))
}

/// What the form of a received value says: another encoding, or the length of another hash. `bytes`: how many the
/// right signature has, where that is known.
pub(super) fn form_note(
    texts: &[Cow<'_, str>],
    encoding: Encoding,
    bytes: Option<usize>,
) -> String {
    let (Some(text), None) = (texts.first(), texts.get(1)) else {
        return String::new();
    };
    let hash = |length: usize| {
        let known = LENGTHS.iter().find(|(bytes, _)| *bytes == length);
        known.map_or_else(String::new, |(_, name)| format!(", as {name} makes"))
    };
    match (encoding.decode(text), bytes) {
        (Some(found), Some(bytes)) if found.len() != bytes => format!(
            "; what was received has {} byte{}{}, and the right one has {bytes}{}",
            found.len(),
            if found.len() == 1 { "" } else { "s" },
            hash(found.len()),
            hash(bytes)
        ),
        (Some(_), _) => String::new(),
        (None, bytes) => {
            let others = [Encoding::Hex, Encoding::Base64, Encoding::Base64Url];
            let fits = |other: &Encoding| {
                let found = other.decode(text).map(|found| found.len());
                found.is_some() && (bytes.is_none() || found == bytes)
            };
            let other = others.into_iter().filter(|e| *e != encoding).find(fits);
            let name = encoding.name();
            match other {
                Some(other) => format!(
                    "; what was received is not {name}, but it is {}",
                    other.name()
                ),
                None => format!("; what was received is not {name}"),
            }
        }
    }
}

/// A moment for people, to the second.
pub(super) fn moment(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second())
        .unwrap_or(time)
        .to_string()
}

/// The URL that was used, without what is secret in it: the slug, long parts of the path, the values of the query.
pub(super) fn url_shown(url: &str) -> String {
    const PLAIN_CHARS_MAX: usize = 15;
    let start = url.find("://").map_or(0, |at| at + 3);
    let path_at = url
        .get(start..)
        .and_then(|rest| rest.find(['/', '?']))
        .map_or(url.len(), |at| start + at);
    let (origin, target) = url.split_at(path_at);
    let (path, query) = target
        .split_once('?')
        .map_or((target, None), |(p, q)| (p, Some(q)));
    let mut after_hooks = false;
    let parts: Vec<_> = path
        .split('/')
        .map(|part| {
            let slug = std::mem::replace(&mut after_hooks, part == "hooks");
            match part {
                "" => Cow::Borrowed(""),
                _ if slug => Cow::Borrowed("{slug}"),
                _ if part.len() > PLAIN_CHARS_MAX => Cow::Borrowed("…"),
                _ => Cow::Owned(shown(part)),
            }
        })
        .collect();
    let query = query.map_or_else(String::new, |query| {
        let pair = |pair: &str| match pair.split_once('=') {
            Some((name, _)) => format!("{}=…", shown(name)),
            None => "…".to_owned(),
        };
        let pairs: Vec<_> = query.split('&').take(8).map(pair).collect();
        format!("?{}", pairs.join("&"))
    });
    format!("{}{}{query}", shown(origin), parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_without_their_secrets() {
        for (url, want) in [
            (
                "https://h.example/hooks/AERylZuewzpDx8fcweHQ3k",
                "https://h.example/hooks/{slug}",
            ),
            (
                "https://h.example:8443/hooks/short/more?a=1&access_token=fake&b",
                "https://h.example:8443/hooks/{slug}/more?a=…&access_token=…&…",
            ),
            ("http://h/in/a-long-and-secret-part/", "http://h/in/…/"),
            ("http://h", "http://h"),
            ("", ""),
        ] {
            assert_eq!(url_shown(url), want);
        }
    }

    #[test]
    fn forms_of_a_signature() {
        let note = |text: &str, encoding, bytes| form_note(&[Cow::Borrowed(text)], encoding, bytes);
        let sha1 = "00".repeat(20);
        assert_eq!(
            note(&sha1, Encoding::Hex, Some(32)),
            "; what was received has 20 bytes, as SHA-1 makes, and the right one has 32, as SHA-256 makes"
        );
        assert_eq!(
            note("_-8=", Encoding::Base64, Some(2)),
            "; what was received is not base64, but it is base64url"
        );
        assert_eq!(
            note("!!", Encoding::Hex, Some(32)),
            "; what was received is not hex"
        );
        assert_eq!(note("aabb", Encoding::Hex, Some(2)), "");
    }
}
