//! Filters over lists and dicts, JSON and printing, where the engine's differ from Jinja2's; functions and tests.

use super::args::{Args, bind, failed, width};
use super::cost::{self, charge, equal, printed_for, walk};
use crate::model::limits;
use crate::translate::marks::Mark;
use crate::translate::number;
use crate::translate::text::{self, Layout};
use minijinja::value::{Object, ObjectRepr, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};
use std::cmp::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

/// What a letter must not be.
type Letter = fn(char) -> bool;

/// Columns within which `pprint` stays on one line.
const PPRINT_COLUMNS: usize = 80;
/// Words of `lipsum`.
const LIPSUM: &str = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore magna aliqua.";

/// Registers them.
pub(super) fn register(env: &mut Environment<'static>) {
    env.add_filter("default", default);
    env.add_filter("d", default);
    // Of attributes alone: a dict's members are none.
    env.add_filter("attr", |_: &Value, args: Args| {
        let args = bind(args, &["name"])?;
        args.needed(0).map(|_| Value::UNDEFINED)
    });
    env.add_filter("dictsort", dictsort);
    for name in ["length", "count"] {
        env.add_filter(name, |s: &State, v: &Value| match Mark::of(v) {
            Some(mark) => {
                charge(s, mark.len())?;
                Ok(mark.text().chars().count())
            }
            None => minijinja::filters::length(v),
        });
    }
    env.add_filter("tojson", tojson);
    env.add_filter("pprint", |state: &State, v: &Value| pprint(state, v));
    tests(env);
    env.add_function("dict", dict);
    env.add_function("cycler", cycler);
    env.add_function("joiner", joiner);
    env.add_function("lipsum", lipsum);
}

fn tests(env: &mut Environment<'static>) {
    let named = |names: fn(&str) -> bool| move |v: &Value| v.as_str().is_some_and(names);
    env.add_test("sequence", |v: &Value| {
        matches!(
            v.kind(),
            ValueKind::Undefined | ValueKind::String | ValueKind::Seq | ValueKind::Map
        ) && (!super::View::is(v) || super::View::is_range(v))
    });
    env.add_test("callable", |v: &Value| {
        v.is_undefined() || (v.kind() == ValueKind::Plain && !number::is_big(v))
    });
    env.add_test("escaped", |v: &Value| v.is_undefined() || v.is_safe());
    env.add_test("iterable", |v: &Value| {
        v.is_undefined()
            || matches!(
                v.kind(),
                ValueKind::String | ValueKind::Seq | ValueKind::Iterable | ValueKind::Map
            )
    });
    env.add_test("number", |v: &Value| {
        v.kind() == ValueKind::Bool || number::is_number(v)
    });
    env.add_test("integer", |v: &Value| number::is_integer(v));
    env.add_test(
        "filter",
        named(|name| super::filter_names().contains(&name)),
    );
    env.add_test(
        "test",
        named(|name| {
            super::TESTS.contains(&name) || matches!(name, "==" | "!=" | "<" | "<=" | ">" | ">=")
        }),
    );
    env.add_test("in", |state: &State, v: &Value, list: &Value| {
        super::operators::contains(state, v, list)
    });
    comparisons(env);
    let wrongs: [(&'static str, Letter); 2] =
        [("lower", char::is_uppercase), ("upper", char::is_lowercase)];
    for (name, wrong) in wrongs {
        env.add_test(name, move |s: &State, v: &Value| {
            Ok::<_, Error>(is_cased(&printed_for(s, v, 3)?, wrong))
        });
    }
    for (name, odd) in [("odd", 1), ("even", 0)] {
        env.add_test(name, move |state: &State, v: &Value| {
            rest(state, v, &Value::from(2)).map(|rest| rest == Value::from(odd))
        });
    }
    env.add_test("divisibleby", |state: &State, v: &Value, args: Args| {
        let args = bind(args, &["num"])?;
        let by = args
            .value(0)
            .ok_or_else(|| failed("divisibleby needs a number"))?;
        rest(state, v, by).map(|rest| rest == Value::from(0))
    });
}

/// `is eq(…)`, `is lt(…)` and their other names.
fn comparisons(env: &mut Environment<'static>) {
    for name in ["eq", "equalto", "=="] {
        env.add_test(name, |s: &State, a: &Value, b: &Value| equal(s, a, b));
    }
    for name in ["ne", "!="] {
        env.add_test(name, |s: &State, a: &Value, b: &Value| {
            equal(s, a, b).map(|same| !same)
        });
    }
    for (names, fits) in [
        (["lt", "lessthan", "<"], [Ordering::Less; 2]),
        (["gt", "greaterthan", ">"], [Ordering::Greater; 2]),
        (["le", "<=", "<="], [Ordering::Less, Ordering::Equal]),
        (["ge", ">=", ">="], [Ordering::Greater, Ordering::Equal]),
    ] {
        for name in names {
            env.add_test(name, move |state: &State, a: &Value, b: &Value| {
                let order = super::operators::order(state, names[2], a, b)?;
                Ok::<_, Error>(order.is_some_and(|order| fits.contains(&order)))
            });
        }
    }
}

/// Whether a text has letters, and none of the wrong case.
fn is_cased(text: &str, wrong: fn(char) -> bool) -> bool {
    text.chars().any(|c| c.is_lowercase() || c.is_uppercase()) && !text.chars().any(wrong)
}

fn rest(state: &State, value: &Value, by: &Value) -> Result<Value, Error> {
    super::operators::modulo(state, value, by)
}

/// An attribute such as `user.name` of an item; a whole number counts items.
pub(super) fn attribute(item: &Value, attribute: &Value) -> Result<Value, Error> {
    let Some(path) = attribute.as_str() else {
        return Ok(match attribute {
            none if none.is_none() => item.clone(),
            _ if item.is_undefined() => Value::UNDEFINED,
            at => item.get_item(at).unwrap_or_default(),
        });
    };
    let mut current = item.clone();
    for part in path.split('.') {
        if current.is_undefined() {
            return Ok(current);
        }
        current = match part.parse::<usize>() {
            Ok(index) => current.get_item_by_index(index)?,
            Err(_) => current.get_attr(part)?,
        };
    }
    Ok(current)
}

fn default(value: &Value, args: Args) -> Result<Value, Error> {
    let args = bind(args, &["default_value", "boolean"])?;
    if value.is_undefined() || (args.flag(1, false) && !value.is_true()) {
        return Ok(args.value(0).cloned().unwrap_or_else(|| Value::from("")));
    }
    Ok(value.clone())
}

fn dictsort(state: &State, value: &Value, args: Args) -> Result<Value, Error> {
    let args = bind(args, &["case_sensitive", "by", "reverse"])?;
    if value.kind() != ValueKind::Map {
        return Err(failed(format!(
            "dictsort needs a dict, not {}",
            value.kind()
        )));
    }
    let by_value = match args.text(1, "key").as_str() {
        "key" => false,
        "value" => true,
        other => {
            return Err(failed(format!(
                "dictsort: `by` is `key` or `value`, not `{other}`"
            )));
        }
    };
    charge(state, value.len().unwrap_or(0).saturating_mul(64))?;
    let fold = |v: &Value| match v.as_str() {
        Some(text) if !args.flag(0, false) => Value::from(text.to_lowercase()),
        _ => v.clone(),
    };
    let mut pairs: Vec<(Value, Value, Value)> = text::pairs(value)
        .map(|(k, v)| (fold(if by_value { &v } else { &k }), k, v))
        .collect();
    charge(state, pairs.len().saturating_mul(128))?;
    let reverse = args.flag(2, false);
    let mut failure = None;
    pairs.sort_by(|a, b| {
        let order = super::operators::order(state, "<", &a.0, &b.0).unwrap_or_else(|error| {
            failure.get_or_insert(error);
            None
        });
        let order = order.unwrap_or(Ordering::Equal);
        if reverse { order.reverse() } else { order }
    });
    if let Some(error) = failure {
        return Err(error);
    }
    Ok(pairs
        .into_iter()
        .map(|(_, k, v)| Value::from((k, v)))
        .collect())
}

fn tojson(state: &State, value: &Value, args: Args) -> Result<Value, Error> {
    let args = bind(args, &["indent"])?;
    let deep = value.as_object().is_some() && value.is_true();
    let indent = match args.value(0) {
        Some(value) if deep && !value.is_none() => Some(width(args.int(0, 0)?, 1_000)?),
        _ => None,
    };
    cost::json(state, value)?;
    let mut out = String::new();
    text::json_into(
        &mut out,
        value,
        Layout {
            python: true,
            indent,
        },
        0,
    )?;
    Ok(Value::from_safe_string(out))
}

fn pprint(state: &State, value: &Value) -> Result<String, Error> {
    for _ in 0..4 {
        walk(state, value)?;
    }
    let mut out = String::new();
    pretty(&mut out, value, 0, 0);
    charge(state, out.len() * 4)?;
    Ok(out)
}

/// Python's `pprint` with its defaults: sorted keys, one item a line where it is wider than 80.
fn pretty(out: &mut String, value: &Value, column: usize, depth: usize) {
    if out.len() > limits::TEMPLATE_OUTPUT_BYTES_MAX {
        return;
    }
    let mut line = String::new();
    // What nests is tried in one line only as far as one goes.
    let nests = value.as_object().is_some() && depth <= 64;
    let most = if nests {
        8 * PPRINT_COLUMNS
    } else {
        limits::TEMPLATE_OUTPUT_BYTES_MAX
    };
    one_line(&mut line, value, depth, most);
    if column + line.chars().count() <= PPRINT_COLUMNS || depth > 64 {
        out.push_str(&line);
        return;
    }
    let pad = format!(",\n{}", " ".repeat(column + 1));
    match value.kind() {
        ValueKind::Map => {
            out.push('{');
            for (i, (key, item)) in sorted(value).into_iter().enumerate() {
                if i > 0 {
                    out.push_str(&pad);
                }
                let mut shown = String::new();
                text::repr(&mut shown, &key, 0);
                out.push_str(&shown);
                out.push_str(": ");
                pretty(out, &item, column + 3 + shown.chars().count(), depth + 1);
            }
            out.push('}');
        }
        ValueKind::Seq | ValueKind::Iterable => {
            out.push('[');
            for (i, item) in value.try_iter().into_iter().flatten().enumerate() {
                if out.len() > limits::TEMPLATE_OUTPUT_BYTES_MAX {
                    break;
                }
                if i > 0 {
                    out.push_str(&pad);
                }
                pretty(out, &item, column + 1, depth + 1);
            }
            out.push(']');
        }
        _ => out.push_str(&line),
    }
}

fn sorted(value: &Value) -> Vec<(Value, Value)> {
    let mut pairs: Vec<_> = text::pairs(value).collect();
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    pairs
}

fn one_line(out: &mut String, value: &Value, depth: usize, most: usize) {
    if out.len() > most {
        return;
    }
    match value.kind() {
        _ if super::View::is(value) => text::repr(out, value, depth),
        ValueKind::Map if depth < 64 => {
            out.push('{');
            for (i, (key, item)) in sorted(value).into_iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                text::repr(out, &key, 0);
                out.push_str(": ");
                one_line(out, &item, depth + 1, most);
            }
            out.push('}');
        }
        ValueKind::Seq if depth < 64 && !value.is_tuple() => {
            out.push('[');
            for (i, item) in value.try_iter().into_iter().flatten().enumerate() {
                if out.len() > most {
                    break;
                }
                if i > 0 {
                    out.push_str(", ");
                }
                one_line(out, &item, depth + 1, most);
            }
            out.push(']');
        }
        // Too deep, and too long already for who asks for one line.
        ValueKind::Map | ValueKind::Seq
            if depth >= 64 && most < limits::TEMPLATE_OUTPUT_BYTES_MAX =>
        {
            out.extend(std::iter::repeat_n(' ', most));
        }
        _ => text::repr(out, value, depth),
    }
}

/// The two items of a pair.
///
/// # Errors
/// More items, or less.
pub(super) fn two(pair: &Value) -> Result<(Value, Value), Error> {
    let mut parts = if let Some(text) = pair.as_str() {
        text.chars().map(|c| Value::from(c.to_string())).collect()
    } else {
        pair.try_iter()?.collect::<Vec<_>>()
    };
    match (parts.pop(), parts.pop()) {
        (Some(second), Some(first)) if parts.is_empty() => Ok((first, second)),
        _ => Err(failed("pairs are needed: lists of two items")),
    }
}

fn dict(state: &State, args: Args) -> Result<Value, Error> {
    let args = args.into_values();
    let mut pairs: Vec<(Value, Value)> = Vec::new();
    for (i, arg) in args.iter().enumerate() {
        if arg.kind() == ValueKind::Map && (i == 0 || arg.is_kwargs()) {
            charge(state, arg.len().unwrap_or(0).saturating_mul(64))?;
            pairs.extend(text::pairs(arg));
        } else if arg.is_undefined() {
            return Err(super::operators::undefined(arg));
        } else if i == 0 && !arg.is_none() {
            for pair in arg.try_iter()?.checked() {
                charge(state, 64)?;
                let (key, item) = two(&pair?)?;
                super::sequences::hashable(&key)?;
                pairs.push((key, item));
            }
        } else {
            return Err(Error::new(
                ErrorKind::TooManyArguments,
                "dict takes one list of pairs or one dict, and names",
            ));
        }
    }
    Ok(Value::from_pairs(pairs))
}

/// Gives its items in turn.
#[derive(Debug)]
struct Cycler {
    items: Vec<Value>,
    at: Mutex<usize>,
}

fn cycler(args: Args) -> Result<Value, Error> {
    let items = args.into_values();
    if items.is_empty() {
        return Err(failed("cycler needs at least one item"));
    }
    Ok(Value::from_object(Cycler {
        items,
        at: Mutex::new(0),
    }))
}

impl Object for Cycler {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let at = *self.at.lock().unwrap_or_else(PoisonError::into_inner);
        (key.as_str() == Some("current")).then(|| self.items.get(at).cloned().unwrap_or_default())
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        _: &[Value],
    ) -> Result<Value, Error> {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        match method {
            "next" => {
                let item = self.items.get(*at).cloned().unwrap_or_default();
                *at = (*at + 1) % self.items.len();
                Ok(item)
            }
            "reset" => {
                *at = 0;
                Ok(Value::from(()))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

/// Nothing at the first call, a separator at every other.
#[derive(Debug)]
struct Joiner {
    separator: Value,
    used: Mutex<bool>,
}

fn joiner(separator: Option<Value>) -> Value {
    Value::from_object(Joiner {
        separator: separator.unwrap_or_else(|| Value::from(", ")),
        used: Mutex::new(false),
    })
}

impl Object for Joiner {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, _: &[Value]) -> Result<Value, Error> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(if std::mem::replace(&mut *used, true) {
            self.separator.clone()
        } else {
            Value::from("")
        })
    }
}

fn lipsum(args: Args) -> Result<String, Error> {
    let args = bind(args, &["n", "html", "min", "max"])?;
    let count = width(args.int(0, 5)?, 20)?;
    let paragraph = if args.flag(1, true) {
        format!("<p>{LIPSUM}</p>")
    } else {
        LIPSUM.to_owned()
    };
    Ok(vec![paragraph; count].join("\n"))
}
