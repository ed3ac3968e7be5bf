//! Reads the values at several places of JSON text in one pass, without building the document.

use super::json::scalars_are;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// A place: the names of the members that lead there. None may lead on from another.
pub(super) type Place = &'static [&'static str];

/// What was found at each of the places; of a repeated name the last counts, as where the body is parsed whole.
pub(super) type Picked<'de, const N: usize> = [Option<&'de RawValue>; N];

/// Reads an object's values at these places; of anything else there are none.
#[derive(Clone, Copy)]
pub(super) struct Pick<const N: usize>(pub(super) &'static [Place; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Pick<N> {
    type Value = Picked<'de, N>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let mut found = [None; N];
        deserializer.deserialize_any(Level {
            places: self.0,
            path: &mut Vec::new(),
            found: &mut found,
        })?;
        Ok(found)
    }
}

/// One object on the way: `path` leads to it.
struct Level<'a, 'de> {
    places: &'a [Place],
    path: &'a mut Vec<&'static str>,
    found: &'a mut [Option<&'de RawValue>],
}

impl<'de> DeserializeSeed<'de> for Level<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (places, depth) = (self.places, self.path.len());
        while let Some(name) = map.next_key_seed(Name(places, self.path))? {
            let Some(name) = name else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            self.path.push(name);
            let mut leaf = None;
            for (at, (place, found)) in places.iter().zip(self.found.iter_mut()).enumerate() {
                if place.starts_with(self.path) {
                    *found = None;
                    leaf = leaf.or((place.len() == self.path.len()).then_some(at));
                }
            }
            match leaf.and_then(|at| self.found.get_mut(at)) {
                Some(found) => *found = Some(map.next_value()?),
                None => map.next_value_seed(Level {
                    places,
                    path: self.path,
                    found: self.found,
                })?,
            }
            self.path.truncate(depth);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    scalars_are!(());
}

/// Which of the names a key is that lead on from a path.
struct Name<'a>(&'a [Place], &'a [&'static str]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        let Self(places, path) = self;
        let names = places.iter().filter_map(|place| {
            let name = place.strip_prefix(path)?.first()?;
            (*name == key).then_some(*name)
        });
        Ok(names.into_iter().next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: [Place; 3] = [&["a"], &["b", "c"], &["b", "d"]];

    fn picked(json: &str) -> Option<[Option<&str>; 3]> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let found = Pick(&PLACES).deserialize(&mut deserializer).ok()?;
        deserializer.end().ok()?;
        Some(found.map(|raw| raw.map(RawValue::get)))
    }

    #[test]
    fn places_of_an_object() {
        for (json, want) in [
            (
                r#"{"x":[{"a":2}],"b":{"d":"y","a":3,"c":1.50},"a":{"b":{}}}"#,
                [Some(r#"{"b":{}}"#), Some("1.50"), Some(r#""y""#)],
            ),
            (r#"{"a":1,"a":null}"#, [Some("null"), None, None]),
            (
                r#"{"b":{"c":1,"d":2},"b":{"d":3}}"#,
                [None, None, Some("3")],
            ),
            (r#"{"b":{"c":1},"b":7}"#, [None, None, None]),
            (r#"{"b":[{"c":1}],"c":1,"d":1}"#, [None, None, None]),
            (r#"{"\u0061":1}"#, [Some("1"), None, None]),
            ("[1]", [None, None, None]),
            ("1.5", [None, None, None]),
            ("\"a\"", [None, None, None]),
            ("null", [None, None, None]),
        ] {
            assert_eq!(picked(json), Some(want), "{json}");
        }
        for bad in [r#"{"a":1"#, r#"{"a":}"#, "", "{}x"] {
            assert_eq!(picked(bad), None, "{bad}");
        }
    }
}
