//! What Python does not print as a list though it is one: `range(3)`, `d.keys()`, `d.items()`.

use crate::translate::text;
use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use std::sync::Arc;

/// A list with Python's own text.
#[derive(Debug)]
pub(crate) struct View {
    items: Vec<Value>,
    shown: Shown,
}

/// How it is printed.
#[derive(Debug)]
enum Shown {
    /// `range(0, 3)`.
    Range(i64, i64, i64),
    /// `dict_keys([…])`.
    Dict(&'static str),
}

impl View {
    /// The items of a `range`.
    pub(super) fn range(start: i64, stop: i64, step: i64, items: Vec<Value>) -> Value {
        let shown = Shown::Range(start, stop, step);
        Value::from_object(Self { items, shown })
    }

    /// Keys, values or items of a dict.
    pub(super) fn dict(name: &'static str, items: Vec<Value>) -> Value {
        let shown = Shown::Dict(name);
        Value::from_object(Self { items, shown })
    }

    /// Appends Python's text.
    pub(crate) fn repr(&self, out: &mut String, depth: usize) {
        match self.shown {
            Shown::Range(start, stop, 1) => out.push_str(&format!("range({start}, {stop})")),
            Shown::Range(start, stop, step) => {
                out.push_str(&format!("range({start}, {stop}, {step})"));
            }
            Shown::Dict(name) => {
                out.push_str(name);
                out.push('(');
                text::repr(out, &Value::from(self.items.clone()), depth);
                out.push(')');
            }
        }
    }
}

impl Object for View {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if matches!(self.shown, Shown::Dict(_)) {
            return None;
        }
        self.items.get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.items.clone())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.items.len())
    }
}
