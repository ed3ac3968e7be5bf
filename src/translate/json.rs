//! JSON read once into a flat index over its own text: validated whole, nothing copied, numbers exact.
//!
//! A webhook body is mostly not looked at. Reading it into a tree of maps costs an allocation per key and
//! value; here a value is 16 bytes that point into the text. Nesting is at most [`limits::JSON_DEPTH_MAX`],
//! of a repeated key the last value wins (RFC 8259 leaves it open; Python and serde_json do so).

mod parser;

use crate::model::limits;
use parser::Parser;
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

/// Objects and arrays with more members than this get an index when all members are asked for.
const LINEAR_MEMBERS: u32 = 24;
/// Objects with at most this many members are looked through for a repeated key; keys of larger ones are hashed.
const FEW_MEMBERS: usize = 8;
/// Objects with more members than this get an index on their first lookup. A GitHub repository has 90;
/// comparing that many keys is quicker than hashing them once.
const LINEAR_LOOKUPS: u32 = 128;
/// Nesting of arrays and objects: serde_json, which reads what we write, stops one below its limit.
const DEPTH_MAX: usize = limits::JSON_DEPTH_MAX - 1;

/// Kind of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool,
    /// A number; its text is kept.
    Number,
    /// A string without escapes.
    Plain,
    /// A string with escapes.
    Escaped,
    /// An array.
    Array,
    /// An object: key, value, key, value …
    Object,
}

/// One value: where its text is, and the entry behind it. `start` and `end` leave out a string's quotes.
#[derive(Debug, Clone, Copy)]
struct Entry {
    kind: Kind,
    start: u32,
    end: u32,
    /// Index behind the last entry inside this one.
    next: u32,
}

/// Why a text is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// Byte where it stops being JSON.
    pub(crate) at: usize,
    /// What is wrong there.
    pub(crate) what: &'static str,
}

/// A whole JSON text.
#[derive(Debug)]
pub(crate) struct Doc {
    text: String,
    entries: Vec<Entry>,
    depth: usize,
    indexes: Mutex<HashMap<u32, Arc<Index>>>,
}

/// Where the members of a large object or array are.
#[derive(Debug)]
struct Index {
    /// Entries of the members in order, each key once: key and last value (twice the item, for an array).
    members: Vec<(u32, u32)>,
    /// Place among the members by key.
    places: HashMap<Box<str>, usize>,
}

/// A value inside a [`Doc`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ref<'a> {
    doc: &'a Doc,
    at: u32,
}

impl Doc {
    /// Reads a text.
    ///
    /// # Errors
    /// Where and why it is no JSON; a text of 4 GiB or more is none.
    pub(crate) fn parse(text: String) -> Result<Self, (String, Invalid)> {
        let mut parser = Parser::new(&text, text.len() / 24 + 4);
        match parser.document() {
            Ok(()) => {
                let (entries, depth) = (parser.entries, parser.depth);
                Ok(Self {
                    text,
                    entries,
                    depth,
                    indexes: Mutex::default(),
                })
            }
            Err(invalid) => Err((text, invalid)),
        }
    }

    /// Bytes of its text.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The outermost value.
    pub(crate) fn root(&self) -> Ref<'_> {
        Ref { doc: self, at: 0 }
    }

    /// How deep arrays and objects are nested: 0 for a scalar.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The value at an entry that [`Ref::position`] gave.
    pub(crate) fn at(&self, at: u32) -> Ref<'_> {
        Ref { doc: self, at }
    }

    fn entry(&self, at: u32) -> Entry {
        self.entries.get(at as usize).copied().unwrap_or(Entry {
            kind: Kind::Null,
            start: 0,
            end: 0,
            next: at.saturating_add(1),
        })
    }

    fn index(&self, at: u32) -> Arc<Index> {
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(
            indexes
                .entry(at)
                .or_insert_with(|| Arc::new(self.build_index(at))),
        )
    }

    fn build_index(&self, at: u32) -> Index {
        let entry = self.entry(at);
        let mut members: Vec<(u32, u32)> = Vec::new();
        let mut places: HashMap<Box<str>, usize> = HashMap::new();
        let mut child = at.saturating_add(1);
        while child < entry.next {
            if entry.kind == Kind::Object {
                let value = child.saturating_add(1);
                let key = self.at(child).text().into_owned().into_boxed_str();
                let place = *places.entry(key).or_insert(members.len());
                match members.get_mut(place) {
                    Some(member) => member.1 = value,
                    None => members.push((child, value)),
                }
                child = self.entry(value).next;
            } else {
                members.push((child, child));
                child = self.entry(child).next;
            }
        }
        Index { members, places }
    }
}

impl<'a> Ref<'a> {
    /// Its entry, to find it again in the same document.
    pub(crate) fn position(self) -> u32 {
        self.at
    }

    /// Its kind.
    pub(crate) fn kind(self) -> Kind {
        self.doc.entry(self.at).kind
    }

    /// Byte of the document's text where it begins; a string's first byte behind the quote.
    pub(crate) fn start(self) -> usize {
        self.doc.entry(self.at).start as usize
    }

    /// Its text as it was sent; a string without its quotes.
    pub(crate) fn raw(self) -> &'a str {
        let entry = self.doc.entry(self.at);
        self.doc
            .text
            .get(entry.start as usize..entry.end as usize)
            .unwrap_or("")
    }

    /// A string's text, escapes undone; of anything else its JSON text.
    pub(crate) fn text(self) -> Cow<'a, str> {
        let raw = self.raw();
        if self.kind() == Kind::Escaped {
            Cow::Owned(unescape(raw))
        } else {
            Cow::Borrowed(raw)
        }
    }

    /// A string's text; none for anything else.
    pub(crate) fn as_str(self) -> Option<Cow<'a, str>> {
        matches!(self.kind(), Kind::Plain | Kind::Escaped).then(|| self.text())
    }

    /// How many members it has; 0 for what is neither array nor object.
    pub(crate) fn len(self) -> usize {
        match self.kind() {
            Kind::Array if self.is_small() => self.items().count(),
            Kind::Object if self.is_small() => self.pairs().len(),
            Kind::Array | Kind::Object => self.doc.index(self.at).members.len(),
            Kind::Null | Kind::Bool | Kind::Number | Kind::Plain | Kind::Escaped => 0,
        }
    }

    /// Whether looking through all members is as quick as an index.
    fn is_small(self) -> bool {
        let mut child = self.at.saturating_add(1);
        let end = self.doc.entry(self.at).next;
        let mut count = 0;
        while child < end && count <= LINEAR_MEMBERS {
            child = self.doc.entry(child).next;
            count += 1;
        }
        count <= LINEAR_MEMBERS
    }

    /// The items of an array in order; of anything else none.
    pub(crate) fn items(self) -> Items<'a> {
        let end = match self.kind() {
            Kind::Array => self.doc.entry(self.at).next,
            _ => 0,
        };
        Items {
            doc: self.doc,
            child: self.at.saturating_add(1),
            end,
        }
    }

    /// The item of an array.
    pub(crate) fn item(self, index: usize) -> Option<Ref<'a>> {
        if self.is_small() {
            return self.items().nth(index);
        }
        let (member, _) = *self.doc.index(self.at).members.get(index)?;
        (self.kind() == Kind::Array).then(|| self.doc.at(member))
    }

    /// The members of an object as entries of key and last value, in order, each key once.
    fn pairs(self) -> Vec<(u32, u32)> {
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        if self.kind() != Kind::Object {
            return pairs;
        }
        let mut child = self.at.saturating_add(1);
        let end = self.doc.entry(self.at).next;
        while child < end {
            let value = child.saturating_add(1);
            pairs.push((child, value));
            child = self.doc.entry(value).next;
        }
        if pairs.len() <= FEW_MEMBERS {
            return self.once(&pairs);
        }
        if self.are_distinct(&pairs) {
            return pairs;
        }
        self.doc.index(self.at).members.clone()
    }

    /// Few members, each key once.
    fn once(self, pairs: &[(u32, u32)]) -> Vec<(u32, u32)> {
        let mut once: Vec<(u32, u32)> = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let name = self.doc.at(*key);
            match once
                .iter_mut()
                .find(|(k, _)| same_key(self.doc.at(*k), name))
            {
                Some(known) => known.1 = *value,
                None => once.push((*key, *value)),
            }
        }
        once
    }

    /// Whether no key repeats. False where that would take a closer look.
    fn are_distinct(self, pairs: &[(u32, u32)]) -> bool {
        let mut prints: Vec<u64> = Vec::with_capacity(pairs.len());
        for (key, _) in pairs {
            let name = self.doc.at(*key);
            if name.kind() != Kind::Plain {
                return false;
            }
            let mut hasher = DefaultHasher::new();
            hasher.write(name.raw().as_bytes());
            prints.push(hasher.finish());
        }
        prints.sort_unstable();
        prints.windows(2).all(|two| two.first() != two.last())
    }

    /// The members of an object in order, each key once with its last value.
    pub(crate) fn members(self) -> impl Iterator<Item = (Cow<'a, str>, Ref<'a>)> {
        let pairs = self.pairs().into_iter();
        pairs.map(move |(key, value)| (self.doc.at(key).text(), self.doc.at(value)))
    }

    /// The value of a key.
    pub(crate) fn get(self, key: &str) -> Option<Ref<'a>> {
        if self.kind() != Kind::Object {
            return None;
        }
        let mut child = self.at.saturating_add(1);
        let end = self.doc.entry(self.at).next;
        let mut found = None;
        let mut count = 0;
        while child < end {
            count += 1;
            if count > LINEAR_LOOKUPS {
                let index = self.doc.index(self.at);
                let place = *index.places.get(key)?;
                let (_, value) = *index.members.get(place)?;
                return Some(self.doc.at(value));
            }
            let name = self.doc.at(child);
            let value = child.saturating_add(1);
            let same = match name.kind() {
                Kind::Plain => name.raw() == key,
                _ => name.text() == key,
            };
            if same {
                found = Some(self.doc.at(value));
            }
            child = self.doc.entry(value).next;
        }
        found
    }

    /// Appends it as JSON without white space between tokens; repeated keys are left out.
    pub(crate) fn write_compact(self, out: &mut String) {
        match self.kind() {
            Kind::Null | Kind::Bool | Kind::Number => out.push_str(self.raw()),
            Kind::Plain | Kind::Escaped => {
                out.push('"');
                out.push_str(self.raw());
                out.push('"');
            }
            Kind::Array => {
                out.push('[');
                for (i, item) in self.items().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write_compact(out);
                }
                out.push(']');
            }
            Kind::Object => {
                out.push('{');
                for (i, (key, value)) in self.pairs().into_iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    self.doc.at(key).write_compact(out);
                    out.push(':');
                    self.doc.at(value).write_compact(out);
                }
                out.push('}');
            }
        }
    }

    /// It as JSON without white space between tokens.
    pub(crate) fn to_compact(self) -> String {
        let mut out = String::with_capacity(self.raw().len());
        self.write_compact(&mut out);
        out
    }
}

fn same_key(a: Ref<'_>, b: Ref<'_>) -> bool {
    match (a.kind(), b.kind()) {
        (Kind::Plain, Kind::Plain) => a.raw() == b.raw(),
        _ => a.text() == b.text(),
    }
}

/// Items of an array.
#[derive(Debug, Clone)]
pub(crate) struct Items<'a> {
    doc: &'a Doc,
    child: u32,
    end: u32,
}

impl<'a> Iterator for Items<'a> {
    type Item = Ref<'a>;

    fn next(&mut self) -> Option<Ref<'a>> {
        if self.child >= self.end {
            return None;
        }
        let item = self.doc.at(self.child);
        self.child = self.doc.entry(self.child).next;
        Some(item)
    }
}

/// Whether a text is one whole JSON value.
pub(crate) fn is_json(text: &str) -> bool {
    let first = text.trim_start_matches([' ', '\n', '\r', '\t']);
    if !first.starts_with([
        '{', '[', '"', '-', 't', 'f', 'n', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9',
    ]) {
        return false;
    }
    let mut parser = Parser::new(text, 0);
    parser.document().is_ok()
}

/// A one in every byte.
const ONES: u64 = 0x0101_0101_0101_0101;

/// Where, from `at` on, the first byte is that ends what may stand in a JSON string as it is: a quote, a backslash, a
/// control character; the length where there is none. Eight bytes at a time.
fn plain_until(bytes: &[u8], mut at: usize) -> usize {
    // The high bit of each byte of `word` that is zero. A byte above one that is zero may be marked too: only the
    // lowest mark counts.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    let every = |byte: u8| ONES.wrapping_mul(u64::from(byte));
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(every(0x20)) & !word;
        let marks = control | zeros(word ^ every(b'"')) | zeros(word ^ every(b'\\'));
        let marks = marks & every(0x80);
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or(&[]);
    let ends = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    at + rest.iter().position(ends).unwrap_or(rest.len())
}

/// Appends a text as the content of a JSON string, without quotes.
pub(crate) fn escape_into(out: &mut String, text: &str) {
    let bytes = text.as_bytes();
    let mut from = 0;
    loop {
        let at = plain_until(bytes, from);
        out.push_str(text.get(from..at).unwrap_or(""));
        let Some(byte) = bytes.get(at).copied() else {
            return;
        };
        from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            _ => {
                out.push_str("\\u00");
                out.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
                out.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
            }
        }
    }
}

/// Appends a text as a JSON string.
pub(crate) fn string_into(out: &mut String, text: &str) {
    out.push('"');
    escape_into(out, text);
    out.push('"');
}

/// Undoes the escapes of a string's content that [`Parser`] has found right.
fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let mut code = four_hex(&mut chars);
                if (0xd800..0xdc00).contains(&code) {
                    chars.next();
                    chars.next();
                    let low = four_hex(&mut chars);
                    code = 0x10000 + ((code - 0xd800) << 10) + (low.saturating_sub(0xdc00) & 0x3ff);
                }
                out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

fn four_hex(chars: &mut std::str::Chars<'_>) -> u32 {
    (0..4).fold(0, |code, _| {
        (code << 4) | chars.next().and_then(|c| c.to_digit(16)).unwrap_or(0)
    })
}

#[cfg(test)]
mod tests;
