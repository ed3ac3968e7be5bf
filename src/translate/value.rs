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
        Kind::Number => number(value.raw()),
        Kind::Plain => Value::from(value.raw()),
        Kind::Escaped => Value::from(value.text().into_owned()),
        Kind::Array | Kind::Object => Value::from_object(Node {
            doc: Arc::clone(doc),
            at: value.position(),
        }),
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

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        if self.json().kind() == Kind::Array {
            let values = self.json().items().map(|v| self.value(v)).collect();
            Enumerator::Values(values)
        } else {
            let keys = self.json().members().map(|(k, _)| Value::from(k)).collect();
            Enumerator::Values(keys)
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
