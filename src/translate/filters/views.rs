//! What Python does not print as a list though it is one: `range(3)`, `d.keys()`, `d.items()`.

use crate::translate::text;
use minijinja::value::{Enumerator, Object, ObjectExt, ObjectRepr, Value};
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
    /// What `map` and its like give: printed as a list, since Python's own text is no use to anyone.
    Generator,
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

    /// Items that come one after another. Python takes such a thing for true even where nothing comes.
    pub(super) fn generator(items: Vec<Value>) -> Value {
        let shown = Shown::Generator;
        Value::from_object(Self { items, shown })
    }

    /// Whether a value is a view, and no list for `+` and `*`.
    pub(super) fn is(value: &Value) -> bool {
        value.downcast_object_ref::<Self>().is_some()
    }

    /// Whether a value is a `range`.
    pub(super) fn is_range(value: &Value) -> bool {
        value
            .downcast_object_ref::<Self>()
            .is_some_and(|view| matches!(view.shown, Shown::Range(..)))
    }

    /// Appends Python's text.
    pub(crate) fn repr(&self, out: &mut String, depth: usize) {
        match self.shown {
            Shown::Range(start, stop, 1) => out.push_str(&format!("range({start}, {stop})")),
            Shown::Range(start, stop, step) => {
                out.push_str(&format!("range({start}, {stop}, {step})"));
            }
            Shown::Generator => text::repr(out, &Value::from(self.items.clone()), depth),
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
        if !matches!(self.shown, Shown::Range(..)) {
            return None;
        }
        self.items.get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_enumerator(|this| Box::new(this.items.iter().cloned()))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        matches!(self.shown, Shown::Generator) || !self.items.is_empty()
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.items.len())
    }
}
