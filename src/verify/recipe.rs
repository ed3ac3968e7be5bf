//! What is signed: a list of parts, written `"{ts}.{body}"` or `["v0:", "{ts}", ":", "{body}"]`.

use super::json_form;
use super::value::{OneOrMany, Source};
use crate::model::Request;
use serde::{Deserialize, Deserializer, de::Error};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// The signed content as parts, fed to the MAC one by one: the body is never copied.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    text: String,
    parts: Vec<Part>,
}

/// More parts than this make no recipe.
const PARTS_MAX: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The body as on the wire.
    Body,
    /// The timestamp as received, never reformatted.
    Ts,
    /// The delivery id as received.
    Id,
    Method,
    /// The URL as registered at the sender.
    Url,
    /// The same with the percent-encoded characters decoded that HubSpot lists.
    UrlDecoded,
    /// The secret itself, in a plain digest.
    Secret,
    /// Path of that URL.
    UrlPath,
    /// Its query, without the mark.
    UrlQuery,
    /// A value of the request as received.
    Value(Source),
    /// All form fields, names and values joined, sorted by name.
    FormSorted,
    /// CRC-32 of the body, decimal.
    Crc32,
    /// SHA-256 of the body, lower-case hex.
    Sha256Hex,
    /// The members of a JSON body as a form.
    JsonUrlencoded,
}

impl Recipe {
    /// `{body}`.
    pub(super) fn body() -> Self {
        Self {
            text: "{body}".to_owned(),
            parts: vec![Part::Body],
        }
    }

    /// Parses texts with `{…}` for parts; a brace itself is written twice.
    pub(super) fn parse(texts: &[String]) -> Result<Self, String> {
        let mut parts = Vec::new();
        for text in texts {
            parse_text(text, &mut parts)?;
        }
        if parts.is_empty() || parts.len() > PARTS_MAX {
            return Err(format!(
                "`signed` has 1 to {PARTS_MAX} parts, such as {{ts}}.{{body}}"
            ));
        }
        let fixed = |part: &Part| matches!(part, Part::Text(_) | Part::Secret);
        if parts.iter().all(fixed) {
            // One request would then show what signs every other.
            return Err("`signed` names nothing of the request".to_owned());
        }
        let text = texts.concat();
        Ok(Self { text, parts })
    }

    /// As written, for the record.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn uses_ts(&self) -> bool {
        self.parts.contains(&Part::Ts)
    }

    pub(super) fn uses_id(&self) -> bool {
        self.parts.contains(&Part::Id)
    }

    pub(super) fn uses_url(&self) -> bool {
        [Part::Url, Part::UrlDecoded, Part::UrlPath, Part::UrlQuery]
            .iter()
            .any(|part| self.parts.contains(part))
    }

    /// The pieces in whose place the secret stands.
    pub(super) fn secret_places(&self) -> Vec<usize> {
        let parts = self.parts.iter().enumerate();
        parts
            .filter(|(_, part)| **part == Part::Secret)
            .map(|(at, _)| at)
            .collect()
    }

    /// Whether a place of the request is covered by the signature.
    pub(super) fn covers(&self, source: &Source) -> bool {
        let body = self.parts.iter().any(|p| {
            matches!(
                p,
                Part::Body | Part::Sha256Hex | Part::Crc32 | Part::JsonUrlencoded
            )
        });
        match source {
            Source::Json(_) | Source::Form(_) | Source::FormJson(..) if body => true,
            Source::Form(_) if self.parts.contains(&Part::FormSorted) => true,
            Source::Query(_) => {
                [Part::Url, Part::UrlDecoded, Part::UrlQuery]
                    .iter()
                    .any(|part| self.parts.contains(part))
                    || self.parts.contains(&Part::Value(source.clone()))
            }
            _ => self.parts.contains(&Part::Value(source.clone())),
        }
    }

    /// The signed bytes in pieces.
    ///
    /// # Errors
    /// The label of the part that the request lacks.
    pub(super) fn resolve<'a>(
        &'a self,
        request: &'a Request,
        ts: Option<&'a str>,
        id: Option<&'a str>,
    ) -> Result<Vec<Cow<'a, [u8]>>, String> {
        let mut out = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            out.push(match part {
                Part::Text(text) => Cow::Borrowed(text.as_bytes()),
                Part::Body => Cow::Borrowed(request.wire_body.as_ref()),
                Part::Ts => Cow::Borrowed(ts.ok_or("timestamp")?.as_bytes()),
                Part::Id => Cow::Borrowed(id.ok_or("id")?.as_bytes()),
                Part::Method => Cow::Borrowed(request.method.as_bytes()),
                Part::Url => Cow::Borrowed(request.url.as_bytes()),
                Part::UrlDecoded => Cow::Owned(url_decoded(&request.url).into_bytes()),
                Part::UrlPath => Cow::Borrowed(url_parts(&request.url).0.as_bytes()),
                Part::UrlQuery => Cow::Borrowed(url_parts(&request.url).1.as_bytes()),
                // The key puts it there.
                Part::Secret => Cow::Borrowed(b"".as_slice()),
                Part::Value(Source::Header(name)) => {
                    let value = request.headers.get(name);
                    Cow::Borrowed(value.ok_or_else(|| format!("header {name}"))?)
                }
                Part::Value(source) => {
                    let values = source.read(request);
                    // Given twice, the one that is signed need not be the one that is used.
                    if source.is_single() && values.len() > 1 {
                        return Err(source.to_string());
                    }
                    let value = values.into_iter().next();
                    match value.ok_or_else(|| source.to_string())? {
                        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
                    }
                }
                Part::FormSorted => Cow::Owned(form_sorted(&request.body)),
                Part::Crc32 => Cow::Owned(crc32fast::hash(&request.wire_body).to_string().into()),
                Part::JsonUrlencoded => {
                    let form = json_form::urlencoded(&request.wire_body);
                    Cow::Owned(form.ok_or("JSON object in the body")?)
                }
                Part::Sha256Hex => {
                    Cow::Owned(hex::encode(Sha256::digest(&request.wire_body)).into_bytes())
                }
            });
        }
        Ok(out)
    }
}

/// The characters that HubSpot decodes in a URL before it signs (its documents on validating requests, v3).
const DECODED: [(&str, &str); 12] = [
    ("%3A", ":"),
    ("%2F", "/"),
    ("%3F", "?"),
    ("%40", "@"),
    ("%21", "!"),
    ("%24", "$"),
    ("%27", "'"),
    ("%28", "("),
    ("%29", ")"),
    ("%2A", "*"),
    ("%2C", ","),
    ("%3B", ";"),
];

fn url_decoded(url: &str) -> String {
    let mut url = url.to_owned();
    for (encoded, plain) in DECODED {
        if url.contains(encoded) {
            url = url.replace(encoded, plain);
        }
    }
    url
}

/// Path and query of a URL as they were sent.
fn url_parts(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let target = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
    target.split_once('?').unwrap_or((target, ""))
}

fn form_sorted(body: &[u8]) -> Vec<u8> {
    let mut pairs: Vec<_> = form_urlencoded::parse(body).collect();
    pairs.sort();
    let mut out = Vec::with_capacity(body.len());
    for (name, value) in pairs {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    out
}

fn parse_text(text: &str, parts: &mut Vec<Part>) -> Result<(), String> {
    let mut literal = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let doubled = chars.peek().is_some_and(|(_, next)| *next == c);
        match c {
            '{' | '}' if doubled => {
                literal.push(c);
                chars.next();
            }
            '{' => {
                let rest = text.get(at + 1..).unwrap_or("");
                let (name, _) = rest
                    .split_once('}')
                    .ok_or_else(|| format!("`{text}`: a `{{` without its `}}`"))?;
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(part(name)?);
                while chars.next_if(|(i, _)| *i <= at + 1 + name.len()).is_some() {}
            }
            '}' => return Err(format!("`{text}`: a `}}` without its `{{`")),
            _ => literal.push(c),
        }
    }
    if !literal.is_empty() {
        parts.push(Part::Text(literal));
    }
    Ok(())
}

fn part(name: &str) -> Result<Part, String> {
    Ok(match name {
        "body" => Part::Body,
        "ts" | "timestamp" => Part::Ts,
        "id" => Part::Id,
        "method" => Part::Method,
        "url" => Part::Url,
        "url_decoded" => Part::UrlDecoded,
        "secret" => Part::Secret,
        "form_sorted" => Part::FormSorted,
        "crc32" => Part::Crc32,
        "sha256_hex" | "body_sha256" => Part::Sha256Hex,
        "path" => Part::UrlPath,
        "query" => Part::UrlQuery,
        "json_urlencoded" => Part::JsonUrlencoded,
        _ => {
            let sources = OneOrMany::One(name.to_owned()).sources();
            let source = sources.ok().and_then(|s| s.into_iter().next());
            Part::Value(source.ok_or_else(|| {
                format!(
                    "`{{{name}}}` is no part: expected body, ts, id, method, url, url_decoded, path, query, secret, header:NAME, query:NAME, form:NAME, json:/pointer, form_sorted, json_urlencoded, crc32, sha256_hex"
                )
            })?)
        }
    })
}

impl<'de> Deserialize<'de> for Recipe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = OneOrMany::deserialize(deserializer)?.into_vec();
        Self::parse(&texts).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::http_file;
    use jiff::Timestamp;

    fn resolve(texts: &[&str], request: &str) -> Result<String, String> {
        let texts: Vec<_> = texts.iter().map(|t| (*t).to_owned()).collect();
        let request = http_file::parse(request.as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
        let recipe = Recipe::parse(&texts)?;
        let parts = recipe.resolve(&request, Some("17"), None)?;
        Ok(String::from_utf8(parts.concat()).unwrap())
    }

    #[test]
    fn parts_in_order() {
        let request = "POST /hooks/x?q=a%20b HTTP/1.1\nHost: h\nX-A: 1\nContent-Type: application/x-www-form-urlencoded\n\nb=2&a=1";
        for (texts, want) in [
            (&["{ts}.{body}"][..], "17.b=2&a=1"),
            (&["v0:", "{ts}", ":", "{body}"], "v0:17:b=2&a=1"),
            (&["{method} {url}"], "POST http://h/hooks/x?q=a%20b"),
            (&["{path}|{query}"], "/hooks/x|q=a%20b"),
            (&["{header:X-A}|{query:q}|{form:a}"], "1|a b|1"),
            (&["{form_sorted}"], "a1b2"),
            (&["{{{ts}}}"], "{17}"),
        ] {
            assert_eq!(resolve(texts, request).as_deref(), Ok(want), "{texts:?}");
        }
        assert_eq!(resolve(&["{id}"], request), Err("id".into()));
        assert_eq!(
            resolve(&["{header:x-b}"], request),
            Err("header x-b".into())
        );
        for bad in ["{bdy}", "{body", "body}", ""] {
            assert!(resolve(&[bad], request).is_err(), "{bad}");
        }
    }
}
