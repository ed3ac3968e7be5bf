//! What a template sees of JSON: template values that look into a [`Doc`] when they are asked.

use super::json::{Doc, Kind, Ref};
use super::number::int_value;
use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr, Value};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// An array or object of a JSON document as a template value.
#[derive(Clone)]
pub(crate) struct Node {
    doc: Arc<Doc>,
    at: u32,
}

impl Node {
    /// The value itself.
    pub(crate) fn json(&self) -> Ref<'_> {
        self.doc.at(self.at)
    }

    fn value(&self, value: Ref<'_>) -> Value {
        to_value(&self.doc, value)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.json().raw())
    }
}

/// A JSON value as a template value: scalars by value, arrays and objects as a look into the document.
pub(crate) fn to_value(doc: &Arc<Doc>, value: Ref<'_>) -> Value {
    match value.kind() {
        Kind::Null => Value::from(()),
        Kind::Bool => Value::from(value.raw() == "true"),
        // What is long is copied or read once only, however often a template asks for it.
        _ if value.raw().len() > LONG
            && matches!(value.kind(), Kind::Number | Kind::Plain | Kind::Escaped) =>
        {
            doc.made(value.position(), || scalar(value))
        }
        Kind::Number | Kind::Plain | Kind::Escaped => scalar(value),
        Kind::Array | Kind::Object => Value::from_object(Node {
            doc: Arc::clone(doc),
            at: value.position(),
        }),
    }
}

/// Bytes of a text or number that is long.
const LONG: usize = 64;

fn scalar(value: Ref<'_>) -> Value {
    match value.kind() {
        Kind::Number => number(value.raw()),
        Kind::Escaped => Value::from(value.text().into_owned()),
        _ => Value::from(value.raw()),
    }
}

/// Digits of an integer that is a number to a template.
const DIGITS_MAX: usize = 4_300;

/// A JSON number: integers exactly, others as a double; what neither holds stays its text.
pub(crate) fn number(text: &str) -> Value {
    if !text.bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) {
        if let Ok(n) = text.parse::<i64>() {
            return Value::from(n);
        }
        if let Ok(n) = text.parse::<i128>() {
            return Value::from(n);
        }
        // Python reads no longer ones either; as text it is kept.
        if text.len() > DIGITS_MAX {
            return Value::from(text);
        }
        return match text.parse::<num_bigint::BigInt>() {
            Ok(big) => int_value(big),
            Err(_) => Value::from(text),
        };
    }
    match text.parse::<f64>() {
        Ok(n) if n.is_finite() => Value::from(n),
        _ => Value::from(text),
    }
}

/// The items of an array, one after another.
struct Items {
    doc: Arc<Doc>,
    child: u32,
    end: u32,
    left: usize,
}

impl Iterator for Items {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        if self.child >= self.end {
            return None;
        }
        let item = self.doc.at(self.child);
        self.child = item.behind();
        self.left = self.left.saturating_sub(1);
        Some(to_value(&self.doc, item))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl Object for Node {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if self.json().kind() == Kind::Array {
            ObjectRepr::Seq
        } else {
            ObjectRepr::Map
        }
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if self.json().kind() == Kind::Array {
            return self.json().item(key.as_usize()?).map(|v| self.value(v));
        }
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.json().get(key).map(|v| self.value(v))
    }

    // Nothing is collected: a template may ask for the first of a million items again and again.
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let doc = Arc::clone(&self.doc);
        if self.json().kind() == Kind::Array {
            Enumerator::Iter(Box::new(Items {
                child: self.at.saturating_add(1),
                end: self.json().behind(),
                left: self.json().len(),
                doc,
            }))
        } else {
            let members = self.json().by_place();
            Enumerator::KeyValueIter(Box::new((0..members.len()).map(move |place| {
                let (key, value) = members.get(place).unwrap_or_default();
                (to_value(&doc, doc.at(key)), to_value(&doc, doc.at(value)))
            })))
        }
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.json().len())
    }

    fn is_true(self: &Arc<Self>) -> bool {
        self.json().len() > 0
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        (Arc::ptr_eq(&self.doc, &other.doc) && self.at == other.at).then_some(Ordering::Equal)
    }
}

/// Parses a text as JSON into a template value.
pub(crate) fn parse(text: String) -> Result<Value, super::json::Invalid> {
    let doc = Arc::new(Doc::parse(text).map_err(|(_, invalid)| invalid)?);
    Ok(to_value(&doc, doc.root()))
}
