//! Reads single values out of JSON text by pointer, without building the document.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A JSON pointer (RFC 6901), in which a token `*` stands for every item of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pointer {
    text: String,
    tokens: Vec<String>,
}

/// More than this many values of one pointer are not read: no batch is larger.
const VALUES_MAX: usize = crate::model::limits::EVENTS_PER_REQUEST_MAX;

impl Pointer {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = match text.strip_prefix('/') {
            Some(rest) => rest,
            None if text.is_empty() => {
                return Some(Self {
                    text: String::new(),
                    tokens: Vec::new(),
                });
            }
            None => return None,
        };
        let tokens = rest
            .split('/')
            .map(|token| token.replace("~1", "/").replace("~0", "~"))
            .collect();
        Some(Self {
            text: text.to_owned(),
            tokens,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The pointer of `tail` in what this one points to.
    pub(crate) fn join(&self, tail: &Self) -> Self {
        Self {
            text: format!("{}{}", self.text, tail.text),
            tokens: [self.tokens.as_slice(), tail.tokens.as_slice()].concat(),
        }
    }

    /// Its steps; `*` is every item.
    pub(super) fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// The text of every string, number or boolean there; nothing where the text is no JSON.
    pub(crate) fn read(&self, json: &[u8]) -> Vec<String> {
        let values = self.values(json).into_iter();
        values.filter_map(|raw| scalar(raw.get())).collect()
    }

    /// Every value there, whatever its kind; nothing where the text is no JSON.
    pub(crate) fn values<'j>(&self, json: &'j [u8]) -> Vec<&'j RawValue> {
        let json = json.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(json);
        let mut values = Vec::new();
        match walk(&self.tokens, json, &mut values) {
            Ok(_) => values,
            Err(_) => Vec::new(),
        }
    }
}

/// Why there is no value at every place of a pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotEvery {
    NoJson,
    /// One of the places, or all, have none.
    Absent,
    TooMany,
}

/// The value at every place of a pointer with these steps, whatever its kind.
///
/// # Errors
/// An item of a list on the way lacks the place, or there is no value at all.
pub(super) fn every<'j>(tokens: &[String], json: &'j [u8]) -> Result<Vec<&'j RawValue>, NotEvery> {
    // What is skipped is not looked at, and text it must be all the same.
    if std::str::from_utf8(json).is_err() {
        return Err(NotEvery::NoJson);
    }
    let mut values = Vec::new();
    match walk(tokens, json, &mut values) {
        Ok(true) if !values.is_empty() => Ok(values),
        Ok(_) => Err(NotEvery::Absent),
        Err(_) if values.len() >= VALUES_MAX => Err(NotEvery::TooMany),
        Err(_) => Err(NotEvery::NoJson),
    }
}

/// Collects the values at a pointer; whether no place on its way lacks one.
fn walk<'j>(
    tokens: &[String],
    json: &'j [u8],
    values: &mut Vec<&'j RawValue>,
) -> Result<bool, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let complete = Walk { tokens, values }.deserialize(&mut deserializer)?;
    // A document that breaks off after the value is no JSON, and has no values.
    deserializer.end()?;
    Ok(complete)
}

struct Walk<'a, 'de> {
    tokens: &'a [String],
    values: &'a mut Vec<&'de RawValue>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, 'de> {
    /// Whether every place has a value.
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        if !self.tokens.is_empty() {
            return deserializer.deserialize_any(self);
        }
        let raw = <&RawValue as serde::Deserialize>::deserialize(deserializer)?;
        if self.values.len() >= VALUES_MAX {
            return Err(D::Error::custom("too many values"));
        }
        self.values.push(raw);
        Ok(true)
    }
}

/// The text of a string, number or boolean; `null`, arrays and objects have none.
fn scalar(raw: &str) -> Option<String> {
    match raw.as_bytes().first()? {
        b'"' => string(raw).map(Cow::into_owned),
        b'{' | b'[' | b'n' => None,
        _ => Some(raw.to_owned()),
    }
}

/// The text of a string, read where it stands if nothing in it is escaped.
pub(super) fn string(raw: &str) -> Option<Cow<'_, str>> {
    let text = raw.strip_prefix('"')?.strip_suffix('"')?;
    if text.contains('\\') {
        return serde_json::from_str(raw).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(text))
}

/// What a visitor says of a value that is neither object nor list.
macro_rules! scalars_are {
    ($value:expr) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($value)
        }
    };
}
pub(super) use scalars_are;

impl<'de> Visitor<'de> for Walk<'_, 'de> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let Some((token, tokens)) = self.tokens.split_first() else {
            return Ok(false);
        };
        let before = self.values.len();
        let mut complete = false;
        while let Some(found) = map.next_key_seed(KeyIs(token))? {
            if found {
                // A repeated key: the last wins, as where the body is parsed whole.
                self.values.truncate(before);
                let values = &mut *self.values;
                complete = map.next_value_seed(Walk { tokens, values })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(complete)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        let Some((token, tokens)) = self.tokens.split_first() else {
            return Ok(false);
        };
        let every = token == "*";
        let index = token.parse::<usize>().ok();
        let mut complete = every;
        for at in 0_usize.. {
            if every || index == Some(at) {
                let values = &mut *self.values;
                match seq.next_element_seed(Walk { tokens, values })? {
                    Some(found) => complete = found && (complete || !every),
                    None => break,
                }
            } else if seq.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(complete)
    }

    scalars_are!(false);
}

/// Whether a key is this one, without copying it.
struct KeyIs<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for KeyIs<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeyIs<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pointer: &str, json: &str) -> Vec<String> {
        Pointer::parse(pointer).unwrap().read(json.as_bytes())
    }

    #[test]
    fn values_by_pointer() {
        let json = r#"{"id":"evt_1","n":12345678901234567890123,"f":1.50,"t":true,"z":null,
            "a":{"b/c":[{"d":"x"},{"d":"y","d":"\u00e9"},3]},"id":"evt_2"}"#;
        assert_eq!(read("/id", json), ["evt_2"]);
        assert_eq!(read("/n", json), ["12345678901234567890123"]);
        assert_eq!(read("/f", json), ["1.50"]);
        assert_eq!(read("/t", json), ["true"]);
        assert_eq!(read("/a/b~1c/1/d", json), ["é"]);
        assert_eq!(read("/a/b~1c/*/d", json), ["x", "é"]);
        for absent in ["/z", "/a", "/q", "/n/x", "/a/b~1c/9", "/t/x", "/f/0"] {
            assert!(read(absent, json).is_empty(), "{absent}");
        }
        assert_eq!(read("", "\u{feff}\"x\""), ["x"]);
    }

    #[test]
    fn every_place_has_a_value_or_none_counts() {
        let every = |pointer: &str, json: &str| {
            let pointer = Pointer::parse(pointer).unwrap();
            let values = super::every(pointer.tokens(), json.as_bytes())?;
            Ok(values.iter().map(|raw| raw.get().to_owned()).collect())
        };
        let some = |texts: &[&str]| -> Result<Vec<String>, NotEvery> {
            Ok(texts.iter().map(|text| (*text).to_owned()).collect())
        };
        assert_eq!(every("/a", r#"{"a":"x","b":[1]}"#), some(&[r#""x""#]));
        assert_eq!(every("/a", r#"{"a":"x","a":[1]}"#), some(&["[1]"]));
        assert_eq!(every("/*/a", r#"[{"a":1},{"a":2}]"#), some(&["1", "2"]));
        assert_eq!(every("/*", r#"{"*":null}"#), some(&["null"]));
        assert_eq!(every("/1", "[1,2,3]"), some(&["2"]));
        for (pointer, json) in [
            ("/*/a", r#"[{"a":1},{"b":2}]"#),
            ("/*/a", r#"[{"b":1},{"a":2}]"#),
            ("/*/a", r#"[{"a":1},7]"#),
            ("/*/a", "[]"),
            ("/a/b", r#"{"a":{"b":1},"a":{}}"#),
            ("/a/*/b", r#"{"a":[{"b":1}],"a":[]}"#),
            ("/3", "[1,2,3]"),
            ("/a", "1.5"),
        ] {
            assert_eq!(every(pointer, json), Err(NotEvery::Absent), "{json}");
        }
        assert_eq!(every("/a", r#"{"a":1"#), Err(NotEvery::NoJson));
        let many = format!("[{}0]", "0,".repeat(VALUES_MAX));
        assert_eq!(every("/*", &many), Err(NotEvery::TooMany));
    }

    #[test]
    fn what_is_no_json_has_no_values() {
        for bad in ["", "x", "{\"id\":1", "{\"id\":1}x", "{\"id\":1,}", "[1"] {
            assert!(read("/id", bad).is_empty(), "{bad}");
        }
        let deep = "[".repeat(100_000);
        assert!(read("/0", &deep).is_empty());
        assert!(Pointer::parse("id").is_none());
    }
}
