//! Macros that are called as Python calls functions; the rewrite of a template puts them around the engine's.

use super::args::failed;
use crate::translate::text;
use minijinja::value::{Kwargs, Object, ObjectRepr, Tuple, Value};
use minijinja::{Environment, Error, ErrorKind, State};
use std::fmt;
use std::sync::Arc;

/// Registers them.
pub(super) fn register(env: &mut Environment<'static>) {
    env.add_filter("__macro", wrap);
    env.add_test("__absent", |v: &Value| {
        v.downcast_object_ref::<Absent>().is_some()
    });
}

/// An argument that was not given.
#[derive(Debug)]
struct Absent;

impl Object for Absent {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

/// A macro of the engine's, and how its arguments are bound.
#[derive(Debug)]
struct Macro {
    inner: Value,
    names: Vec<String>,
    /// How many of them have no default.
    required: usize,
    varargs: bool,
    kwargs: bool,
}

fn wrap(inner: Value, names: Vec<String>, required: usize, varargs: bool, kwargs: bool) -> Value {
    Value::from_object(Macro {
        inner,
        names,
        required,
        varargs,
        kwargs,
    })
}

impl Macro {
    fn name(&self) -> String {
        self.inner
            .get_attr("name")
            .map(|name| text::printed(&name))
            .unwrap_or_default()
    }

    fn takes_caller(&self) -> bool {
        self.inner
            .get_attr("caller")
            .is_ok_and(|caller| caller.is_true())
    }
}

impl Object for Macro {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "name" => Value::from(self.name()),
            "arguments" => {
                let names = self.names.iter().map(|name| Value::from(name.as_str()));
                Value::from(Tuple::from(names.collect::<Vec<Value>>()))
            }
            "catch_kwargs" => Value::from(self.kwargs),
            "catch_varargs" => Value::from(self.varargs),
            "caller" => Value::from(self.takes_caller()),
            _ => return None,
        })
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let (positional, named) = match args.split_last() {
            Some((last, rest)) if last.is_kwargs() => (rest, Some(last)),
            _ => (args, None),
        };
        let mut named: Vec<(String, Value)> = named
            .into_iter()
            .flat_map(text::pairs)
            .map(|(name, value)| (text::printed(&name), value))
            .collect();
        let mut take = |wanted: &str| {
            let at = named.iter().position(|(name, _)| name == wanted)?;
            Some(named.remove(at).1)
        };
        let mut bound = Vec::with_capacity(self.names.len() + 3);
        for (i, name) in self.names.iter().enumerate() {
            let given = match positional.get(i) {
                Some(value) => Some(value.clone()),
                None => take(name),
            };
            bound.push(given.unwrap_or_else(|| {
                if i < self.required {
                    Value::UNDEFINED
                } else {
                    Value::from_object(Absent)
                }
            }));
        }
        let caller = if self.takes_caller() {
            take("caller")
        } else {
            None
        };
        let more = positional.get(self.names.len()..).unwrap_or(&[]);
        if self.varargs {
            bound.push(Value::from(Tuple::from(more.to_vec())));
        } else if !more.is_empty() {
            return Err(Error::new(
                ErrorKind::TooManyArguments,
                format!("macro `{}` takes at most {}", self.name(), self.names.len()),
            ));
        }
        if self.kwargs {
            bound.push(Value::from_pairs(named));
        } else if let Some((name, _)) = named.first() {
            return Err(failed(format!(
                "macro `{}` has no parameter `{name}`",
                self.name()
            )));
        }
        if let Some(caller) = caller {
            bound.push(Value::from(
                [("caller", caller)].into_iter().collect::<Kwargs>(),
            ));
        }
        self.inner.call(state, &bound)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<Macro '{}'>", self.name())
    }
}
