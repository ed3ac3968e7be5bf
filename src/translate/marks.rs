//! Values that say how they want to be printed: what the rewrite of a template puts around expressions.
//!
//! They are objects of their own and not text, so nothing in a request can forge one.

use super::json;
use super::sink::{self, Place};
use super::text;
use minijinja::value::{Object, ObjectRepr, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};
use std::fmt;
use std::sync::Arc;

/// A marked text.
#[derive(Debug)]
pub(crate) enum Mark {
    /// Printed as it is: a fragment of JSON whose values were escaped where they were printed.
    Fragment(String),
    /// A literal of the template: as it is where it is part of JSON's structure, else as any text.
    Literal(String),
    /// Escaped by hand: kept inside a string if it is right there, outside also if it is the inside of a list or object.
    Kept(String),
    /// A joined list whose separator closes and opens strings.
    Joined(Vec<String>, String),
    /// What `{{ x if y }}` prints where `y` is false: nothing, because the author said so.
    Nothing,
}

/// The name of [`Mark::Nothing`] in templates.
pub(crate) const NOTHING: &str = "__nothing";

impl Object for Mark {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        !self.text().is_empty()
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl Mark {
    /// The text without its mark.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Fragment(text) | Self::Literal(text) | Self::Kept(text) => text.clone(),
            Self::Joined(items, separator) => items.join(separator),
            Self::Nothing => String::new(),
        }
    }

    /// What is printed at a place.
    pub(crate) fn print(&self, place: Place) -> String {
        match self {
            Self::Fragment(text) => text.clone(),
            Self::Literal(text)
                if place.in_string || text.contains(['"', '{', '}', '[', ']', ',', ':']) =>
            {
                text.clone()
            }
            Self::Kept(text) if place.in_string && json::is_json(&format!("\"{text}\"")) => {
                text.clone()
            }
            Self::Kept(text)
                if !place.in_string
                    && (json::is_json(&format!("[{text}]"))
                        || json::is_json(&format!("{{{text}}}"))) =>
            {
                text.clone()
            }
            Self::Joined(items, separator) if place.in_string => {
                let items: Vec<String> = items
                    .iter()
                    .map(|item| sink::string_content(item.into()).into_owned())
                    .collect();
                items.join(separator)
            }
            // As what is undefined.
            Self::Nothing if place.after_colon && !place.in_string => "null".into(),
            Self::Literal(_) | Self::Kept(_) | Self::Joined(..) | Self::Nothing => {
                let text = self.text();
                if place.in_string {
                    sink::string_content(text.into()).into_owned()
                } else {
                    sink::bare_text(place, text.into()).into_owned()
                }
            }
        }
    }
}

/// Registers the filters that the rewrite uses.
pub(crate) fn register(env: &mut Environment<'static>) {
    env.add_global(NOTHING, Value::from_object(Mark::Nothing));
    env.add_filter("__fragment", |v: &Value| {
        if v.is_undefined() || v.downcast_object_ref::<Mark>().is_some() {
            v.clone()
        } else {
            Value::from_object(Mark::Fragment(text::printed(v)))
        }
    });
    env.add_filter("__counted", counted);
    env.add_filter("__literal", |v: &Value| mark(v, Mark::Literal));
    env.add_filter("__kept", |v: &Value| mark(v, Mark::Kept));
    env.add_filter(
        "__place",
        |state: &State, v: &Value, in_string: bool, after_colon: bool, in_list: bool| {
            place(
                state,
                v,
                Place {
                    in_string,
                    after_colon,
                    in_list,
                },
            )
        },
    );
}

/// How often a namespace may be given a list or dict in one render. `{% set ns.x = [ns.x] %}` nests one level each time, and the
/// engine drops values recursively: 20,000 levels are too many for a thread's stack.
const NESTINGS_MAX: usize = 2_000;

#[derive(Default)]
struct Nestings(usize);

fn counted(state: &mut State, value: Value) -> Result<Value, Error> {
    if value.as_object().is_some() {
        let nestings = state.get_or_insert_extension(Nestings::default());
        nestings.0 += 1;
        if nestings.0 > NESTINGS_MAX {
            return Err(Error::new(
                ErrorKind::OutOfFuel,
                format!("a namespace is given lists or dicts more than {NESTINGS_MAX} times"),
            ));
        }
    }
    Ok(value)
}

fn mark(value: &Value, kind: fn(String) -> Mark) -> Value {
    match value.as_str() {
        Some(text) => Value::from_object(kind(text.to_owned())),
        None => value.clone(),
    }
}

/// What is printed at a place known from the template's text, since the output is captured there.
fn place(state: &State, value: &Value, place: Place) -> Result<Value, Error> {
    if value.kind() == ValueKind::Undefined && !place.after_colon {
        return Ok(Value::UNDEFINED);
    }
    let printed = sink::at(place, state, value)?.into_owned();
    Ok(Value::from_object(Mark::Fragment(printed)))
}
