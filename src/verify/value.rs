//! A value: where it is in a request, and how to cut it out.

use super::items::{Each, ItemKey};
use super::json::Pointer;
use crate::model::limits::SIGNATURES_MAX;
use crate::model::request::header_text;
use crate::model::{Request, multipart};
use serde::de::{self, Deserialize, Deserializer, value::MapAccessDeserializer};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt;
use thiserror::Error;

/// Places that one value may be read from at most (a header with a number in its name).
const SOURCES_MAX: usize = 100;

/// Where a value is in a request and how to cut it out: `"header:X-Id"`, or
/// `{ from = "header:X-Sig", split = ",", prefix = "v1=" }`: read, split, trim, keep the pieces that begin
/// with the prefix, drop the prefix. The result is a list. `{n}` in a prefix stands for any number.
///
/// `from` is `header:NAME`, `query:NAME`, `form:NAME`, `form:NAME#/pointer` (into the JSON text of a field),
/// `json:/pointer` (`*` for every item of an array),
/// `path`, `hash` (SHA-256 of method, query and body), or a list of these; `header:NAME-{1..9}` is a list too.
/// `{ join = [VALUE, …], with = ":" }` makes one value of several, and is absent when one of them is.
/// `{ each = "json:/items/*", key = "/id" }` (for delivery keys) gives each item of a batch its own;
/// `key = "hash"` is the digest of the item's text. The items are all that is in the body.
#[derive(Debug, Clone)]
pub struct ValueSpec(pub(super) Kind);

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Cut(Cut),
    Join {
        values: Vec<ValueSpec>,
        with: String,
    },
    Each(Box<Each>),
}

#[derive(Debug, Clone)]
pub(super) struct Cut {
    pub(super) from: Vec<Source>,
    pub(super) split: Option<String>,
    pub(super) prefix: Option<String>,
    /// Prefixes such as `Bearer ` are compared without case.
    fold_case: bool,
    /// A header may arrive more than once with different values.
    repeat: bool,
}

/// One place in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Lower-case name.
    Header(String),
    Query(String),
    Form(String),
    /// A value in the JSON text of a form field.
    FormJson(String, Pointer),
    Json(Pointer),
    Path,
    Hash,
}

/// Why a value cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum ValueError {
    #[error("{0} arrives more than once with different values")]
    Ambiguous(String),
    #[error("{0} holds more than {1} values")]
    TooMany(String, usize),
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Pieces<'a> {
    /// Whether there was anything at the place, in the right form or not.
    pub(crate) present: bool,
    /// Pieces in the right form.
    pub(crate) pieces: Vec<Cow<'a, str>>,
}

impl ValueSpec {
    /// All pieces found, in order; empty when the value is absent, blank or ambiguous.
    #[must_use]
    pub fn read(&self, request: &Request) -> Vec<String> {
        self.pieces(request).map_or_else(
            |_| Vec::new(),
            |found| found.pieces.into_iter().map(Cow::into_owned).collect(),
        )
    }

    /// The key of each item, where this is a rule for items and there are any; `None` for an item without.
    #[must_use]
    pub fn items(&self, request: &Request) -> Option<Vec<Option<ItemKey>>> {
        match &self.0 {
            Kind::Each(each) => Some(each.keys(request)).filter(|keys| !keys.is_empty()),
            Kind::Cut(_) | Kind::Join { .. } => None,
        }
    }

    /// Whether it is a rule for the items of a batch, which is no place of a signature.
    #[must_use]
    pub fn is_each(&self) -> bool {
        match &self.0 {
            Kind::Each(_) => true,
            Kind::Join { values, .. } => values.iter().any(Self::is_each),
            Kind::Cut(_) => false,
        }
    }

    /// The value at a place, uncut.
    pub(crate) fn of(source: Source) -> Self {
        Self::cut(vec![source], None, None)
    }

    pub(crate) fn cut(from: Vec<Source>, split: Option<String>, prefix: Option<String>) -> Self {
        Self(Kind::Cut(Cut {
            from,
            split,
            prefix,
            fold_case: false,
            repeat: false,
        }))
    }

    /// The credential after an authentication scheme's name, which has no case.
    pub(crate) fn authorization(scheme: &str) -> Self {
        Self(Kind::Cut(Cut {
            from: vec![Source::Header("authorization".into())],
            split: None,
            prefix: Some(format!("{scheme} ")),
            fold_case: true,
            repeat: false,
        }))
    }

    /// Takes repeated headers with different values as a list, if `repeat`.
    pub(crate) fn repeated(mut self, repeat: bool) -> Self {
        if let Kind::Cut(cut) = &mut self.0 {
            cut.repeat = repeat;
        }
        self
    }

    pub(crate) fn pieces<'a>(&'a self, request: &'a Request) -> Result<Pieces<'a>, ValueError> {
        match &self.0 {
            Kind::Cut(cut) => cut.pieces(request),
            Kind::Join { values, with } => {
                let mut parts = Vec::with_capacity(values.len());
                for value in values {
                    let found = value.pieces(request)?;
                    match found.pieces.into_iter().next() {
                        Some(piece) => parts.push(piece),
                        None => return Ok(Pieces::default()),
                    }
                }
                let pieces = vec![Cow::Owned(parts.join(with.as_str()))];
                Ok(Pieces {
                    present: true,
                    pieces,
                })
            }
            Kind::Each(each) => {
                let keys = each.keys(request);
                Ok(Pieces {
                    present: !keys.is_empty(),
                    pieces: keys.into_iter().flatten().map(|k| k.key.into()).collect(),
                })
            }
        }
    }

    /// The place read, for people: `header x-hub-signature-256`.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.0 {
            Kind::Cut(cut) => cut
                .from
                .first()
                .map_or_else(String::new, |source| source.to_string()),
            Kind::Join { values, .. } => {
                let labels: Vec<_> = values.iter().map(Self::label).collect();
                labels.join(" + ")
            }
            Kind::Each(each) => each.label(),
        }
    }

    /// What a piece begins with.
    pub(crate) fn prefix(&self) -> Option<&str> {
        match &self.0 {
            Kind::Cut(cut) => cut.prefix.as_deref(),
            Kind::Join { .. } | Kind::Each(_) => None,
        }
    }

    /// Whether a header may be repeated with other values.
    #[cfg(test)]
    pub(crate) fn repeats(&self) -> bool {
        matches!(&self.0, Kind::Cut(cut) if cut.repeat)
    }

    /// Every place it is read from.
    pub(crate) fn sources(&self) -> Vec<&Source> {
        match &self.0 {
            Kind::Cut(cut) => cut.from.iter().collect(),
            Kind::Join { values, .. } => values.iter().flat_map(Self::sources).collect(),
            Kind::Each(each) => each.sources().iter().collect(),
        }
    }
}

impl Cut {
    fn pieces<'a>(&'a self, request: &'a Request) -> Result<Pieces<'a>, ValueError> {
        let mut found = Pieces::default();
        for source in &self.from {
            let values = source.read(request);
            found.present |= !values.is_empty();
            if !self.repeat
                && source.is_single()
                && values.windows(2).any(|w| w.first() != w.last())
            {
                return Err(ValueError::Ambiguous(source.to_string()));
            }
            let take = if self.repeat || !source.is_single() {
                usize::MAX
            } else {
                1
            };
            for value in values.into_iter().take(take) {
                self.cut(value, &mut found.pieces);
            }
            let limit = match source {
                Source::Json(_) => usize::MAX, // bounded where it is read
                _ => SIGNATURES_MAX.max(self.from.len()),
            };
            if found.pieces.len() > limit {
                return Err(ValueError::TooMany(source.to_string(), limit));
            }
        }
        Ok(found)
    }

    fn cut<'a>(&self, value: Cow<'a, str>, out: &mut Vec<Cow<'a, str>>) {
        match value {
            Cow::Borrowed(text) => {
                let pieces = self.split(text).filter_map(|piece| self.keep(piece));
                out.extend(pieces.take(SIGNATURES_MAX + 1).map(Cow::Borrowed));
            }
            Cow::Owned(text) => {
                let pieces = self.split(&text).filter_map(|piece| self.keep(piece));
                let owned = pieces.map(|piece| Cow::Owned(piece.to_owned()));
                out.extend(owned.take(SIGNATURES_MAX + 1));
            }
        }
    }

    fn split<'s, 't>(&'s self, text: &'t str) -> impl Iterator<Item = &'t str> + use<'s, 't> {
        let mark = self.split.as_deref();
        // Without a mark the whole text is the one piece.
        let whole = mark.is_none().then_some(text);
        let pieces = mark.map(|mark| text.split(mark));
        whole.into_iter().chain(pieces.into_iter().flatten())
    }

    /// What a piece holds behind the prefix, if it has it.
    pub(super) fn keep<'t>(&self, piece: &'t str) -> Option<&'t str> {
        let piece = piece.trim();
        let rest = match self.prefix.as_deref() {
            None => piece,
            Some(prefix) if self.fold_case => {
                let head = piece.get(..prefix.len())?;
                if !head.eq_ignore_ascii_case(prefix) {
                    return None;
                }
                piece.get(prefix.len()..)?.trim_start()
            }
            Some(prefix) => match prefix.split_once("{n}") {
                None => piece.strip_prefix(prefix)?,
                Some((head, tail)) => {
                    let number = piece.strip_prefix(head)?;
                    let rest = number.trim_start_matches(|c: char| c.is_ascii_digit());
                    let rest = (rest.len() < number.len()).then_some(rest)?;
                    rest.strip_prefix(tail)?
                }
            },
        };
        (!rest.is_empty()).then_some(rest)
    }
}

impl Source {
    pub(super) fn parse(text: &str) -> Result<Vec<Self>, String> {
        let bad = || {
            format!(
                "`{text}` is no place in a request: expected `header:NAME`, `query:NAME`, `form:NAME`, `json:/pointer`, `path` or `hash`"
            )
        };
        match text {
            "path" => return Ok(vec![Self::Path]),
            "hash" => return Ok(vec![Self::Hash]),
            _ => {}
        }
        let (kind, name) = text.split_once(':').ok_or_else(bad)?;
        if kind == "json" {
            return Pointer::parse(name)
                .map(|pointer| vec![Self::Json(pointer)])
                .ok_or_else(|| format!("`{name}` is no JSON pointer: it begins with `/`"));
        }
        if name.is_empty() {
            return Err(bad());
        }
        match kind {
            "header" => {
                let names = numbered(name)?;
                Ok(names
                    .into_iter()
                    .map(|n| Self::Header(n.to_ascii_lowercase()))
                    .collect())
            }
            "query" => Ok(vec![Self::Query(name.to_owned())]),
            "form" => match name.split_once('#') {
                Some((field, pointer)) if !field.is_empty() => Pointer::parse(pointer)
                    .map(|pointer| vec![Self::FormJson(field.to_owned(), pointer)])
                    .ok_or_else(|| format!("`{pointer}` is no JSON pointer: it begins with `/`")),
                _ => Ok(vec![Self::Form(name.to_owned())]),
            },
            _ => Err(bad()),
        }
    }

    /// Whether two different values there cannot both be the sender's.
    pub(super) fn is_single(&self) -> bool {
        !matches!(self, Self::Json(_))
    }

    /// Every value at the place.
    pub(crate) fn read<'a>(&self, request: &'a Request) -> Vec<Cow<'a, str>> {
        match self {
            Self::Header(name) => {
                let lines = request.headers.iter().filter(|(n, _)| n == name);
                lines.map(|(_, value)| header_text(value)).collect()
            }
            Self::Query(name) => {
                let pairs = request.query_pairs().filter(|(n, _)| n == name);
                pairs.map(|(_, value)| value).collect()
            }
            Self::Form(name) => form_fields(request, name),
            Self::FormJson(name, pointer) => {
                let texts = form_fields(request, name).into_iter();
                let values = texts.flat_map(|text| pointer.read(text.as_bytes()));
                values.map(Cow::Owned).collect()
            }
            Self::Json(pointer) => {
                let values = pointer.read(&request.body);
                values.into_iter().map(Cow::Owned).collect()
            }
            Self::Path if request.path.is_empty() => Vec::new(),
            Self::Path => vec![Cow::Borrowed(request.path.as_str())],
            Self::Hash => {
                let mut hash = Sha256::new();
                for part in [request.method.as_bytes(), request.query.as_bytes()] {
                    hash.update(part);
                    hash.update(b"\n");
                }
                hash.update(&request.body);
                vec![Cow::Owned(hex::encode(hash.finalize()))]
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header {name}"),
            Self::Query(name) => write!(f, "query {name}"),
            Self::Form(name) => write!(f, "form field {name}"),
            Self::FormJson(name, pointer) => {
                write!(f, "form field {name}, {}", pointer.as_str())
            }
            Self::Json(pointer) => write!(f, "body {}", pointer.as_str()),
            Self::Path => f.write_str("path"),
            Self::Hash => f.write_str("hash"),
        }
    }
}

/// The values of a form field, of a multipart form as of an ordinary one; a file is none.
pub(super) fn form_fields<'a>(request: &'a Request, name: &str) -> Vec<Cow<'a, str>> {
    match request.media_type().as_str() {
        "application/x-www-form-urlencoded" => urlencoded_values(&request.body, name),
        "multipart/form-data" => {
            let boundary = request.content_type_parameter("boundary");
            let parts = boundary.map(|boundary| multipart::parts(&request.body, &boundary));
            let fields = parts.into_iter().flatten();
            fields
                .filter(|part| part.name == name && part.filename.is_none())
                .map(|part| String::from_utf8_lossy(part.body))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// The values of a name in an urlencoded form. Those of other names are not decoded.
fn urlencoded_values<'a>(form: &'a [u8], name: &str) -> Vec<Cow<'a, str>> {
    let Ok(text) = std::str::from_utf8(form) else {
        let pairs = form_urlencoded::parse(form).filter(|(n, _)| n == name);
        return pairs.map(|(_, value)| value).collect();
    };
    // A text without these stands for itself.
    let is_literal = |text: &str| !text.contains('+') && !text.contains('%');
    let mut values = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
        if is_literal(found) {
            if found != name {
                continue;
            }
            if is_literal(value) {
                values.push(Cow::Borrowed(value));
                continue;
            }
        }
        let decoded = form_urlencoded::parse(pair.as_bytes());
        values.extend(decoded.filter(|(n, _)| n == name).map(|(_, value)| value));
    }
    values
}

/// The names that `X-{1..3}` stands for.
fn numbered(name: &str) -> Result<Vec<String>, String> {
    let Some((head, rest)) = name.split_once('{') else {
        return Ok(vec![name.to_owned()]);
    };
    let range = rest.split_once('}').and_then(|(range, tail)| {
        let (first, last) = range.split_once("..")?;
        Some((first.parse().ok()?, last.parse().ok()?, tail))
    });
    let (first, last, tail): (usize, usize, &str) =
        range.ok_or_else(|| format!("`{name}`: expected a range such as `{{1..9}}`"))?;
    if first > last || last - first >= SOURCES_MAX {
        return Err(format!("`{name}`: a range has 1 to {SOURCES_MAX} numbers"));
    }
    Ok((first..=last).map(|n| format!("{head}{n}{tail}")).collect())
}

/// One text or a list of texts.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(crate) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }

    /// The places named.
    pub(crate) fn sources(self) -> Result<Vec<Source>, String> {
        let mut sources = Vec::new();
        for text in self.into_vec() {
            sources.extend(Source::parse(&text)?);
        }
        if sources.is_empty() || sources.len() > SOURCES_MAX {
            return Err(format!("`from` names 1 to {SOURCES_MAX} places"));
        }
        Ok(sources)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawValueSpec {
    from: Option<OneOrMany>,
    split: Option<String>,
    prefix: Option<String>,
    #[serde(default)]
    repeat: bool,
    join: Option<Vec<ValueSpec>>,
    with: Option<String>,
    each: Option<String>,
    key: Option<OneOrMany>,
}

impl RawValueSpec {
    fn check(self) -> Result<ValueSpec, String> {
        if self.split.as_deref() == Some("") {
            return Err("`split` is empty".to_owned());
        }
        let cut = self.split.is_some() || self.prefix.is_some() || self.repeat;
        if let (Some(each), Some(key)) = (&self.each, self.key.clone()) {
            let other = self.from.is_some() || self.join.is_some() || cut;
            let spec = Each::parse(each, key.into_vec(), self.with)?;
            return if other {
                Err("a value with `each` has `key` (and `with`), nothing else".to_owned())
            } else {
                Ok(ValueSpec(Kind::Each(Box::new(spec))))
            };
        }
        if self.each.is_some() || self.key.is_some() {
            return Err(
                "`each` (the items of a batch) and `key` (where the key is in one) belong together"
                    .to_owned(),
            );
        }
        match (self.from, self.join) {
            (Some(from), None) if self.with.is_none() => Ok(ValueSpec(Kind::Cut(Cut {
                from: from.sources()?,
                split: self.split,
                prefix: self.prefix,
                fold_case: false,
                repeat: self.repeat,
            }))),
            (None, Some(values)) if !cut => {
                if values.is_empty() || values.len() > SIGNATURES_MAX {
                    return Err(format!("`join` names 1 to {SIGNATURES_MAX} values"));
                }
                let with = self.with.unwrap_or_else(|| ":".to_owned());
                Ok(ValueSpec(Kind::Join { values, with }))
            }
            _ => Err(
                "a value has `from` (with `split`, `prefix`, `repeat`), `join` (with `with`) or `each` (with `key`)"
                    .to_owned(),
            ),
        }
    }
}

impl<'de> Deserialize<'de> for ValueSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ValueSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a place such as \"header:X-Id\", or a table with `from`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ValueSpec, E> {
                let sources = Source::parse(text).map_err(E::custom)?;
                Ok(ValueSpec::cut(sources, None, None))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ValueSpec, A::Error> {
                let raw = RawValueSpec::deserialize(MapAccessDeserializer::new(map))?;
                raw.check().map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::http_file;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_of_a_form_are_those_of_its_reader(
            form in "(([ab]|%6[12]|[a+%é]){0,3}=?[a+=%é1]{0,4}&?){0,4}", cut in 0_usize..40
        ) {
            // Cut, it may end within a character.
            let form = form.as_bytes();
            let form = form.get(..cut).unwrap_or(form);
            for name in ["a", "b", "", " "] {
                let pairs = form_urlencoded::parse(form).filter(|(n, _)| n == name);
                let want: Vec<_> = pairs.map(|(_, value)| value).collect();
                prop_assert_eq!(urlencoded_values(form, name), want);
            }
        }
    }

    #[test]
    fn a_number_in_a_prefix() {
        let value: ValueSpec =
            serde_json::from_str(r#"{"from":"header:X-Sig","split":",","prefix":"{n}/SHA256/"}"#)
                .unwrap();
        for (header, want) in [
            ("1/SHA256/ab", &["ab"][..]),
            ("1/SHA256/ab, 27/SHA256/cd", &["ab", "cd"]),
            ("/SHA256/ab", &[]),
            ("x/SHA256/ab", &[]),
            ("1x/SHA256/ab", &[]),
            ("1/SHA1/ab", &[]),
            ("1/SHA256/", &[]),
            ("1", &[]),
            ("{n}/SHA256/ab", &[]),
        ] {
            let text = format!("POST / HTTP/1.1\nHost: h\nX-Sig: {header}\n\n");
            let request = http_file::parse(text.as_bytes(), jiff::Timestamp::UNIX_EPOCH).unwrap();
            assert_eq!(value.read(&request), want, "{header}");
        }
    }
}
