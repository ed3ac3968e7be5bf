//! Filters that pick, change or part the items of a list as Jinja2 does, by position or name of their arguments.

use super::View;
use super::args::{Args, bind, failed};
use super::cost::charge;
use super::lists::attribute;
use super::operators::{kind, undefined};
use super::sequences::items;
use crate::translate::number::Number;
use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Environment, Error, State};
use num_traits::ToPrimitive;

/// What looking at an item costs, in bytes.
const ITEM: usize = 48;

/// Registers them.
pub(super) fn register(env: &mut Environment<'static>) {
    env.add_filter("map", map);
    for (name, wanted) in [("select", true), ("reject", false)] {
        env.add_filter(name, move |s: &mut State, v: &Value, a: Args| {
            pick(s, v, None, &a.into_values(), wanted)
        });
    }
    for (name, wanted) in [("selectattr", true), ("rejectattr", false)] {
        env.add_filter(name, move |s: &mut State, v: &Value, a: Args| {
            let args = a.into_values();
            match args.split_first() {
                Some((by, rest)) if !by.is_kwargs() => pick(s, v, Some(by), rest, wanted),
                _ if !v.is_true() => Ok(View::generator(Vec::new())),
                _ => Err(failed("the name of an attribute is missing")),
            }
        });
    }
    env.add_filter("batch", batch);
    env.add_filter("slice", slice);
    env.add_filter("list", |s: &State, v: &Value| {
        let list = items(s, v)?;
        charge(s, list.len().saturating_mul(2 * ITEM))?;
        Ok::<_, Error>(Value::from(list))
    });
    env.add_filter("reverse", reverse);
    env.add_filter("items", pairs);
}

/// The items that pass a test by its name, or are true; the test sees an attribute of them where one is named.
fn pick(
    state: &mut State,
    value: &Value,
    by: Option<&Value>,
    test: &[Value],
    wanted: bool,
) -> Result<Value, Error> {
    let mut out = Vec::new();
    if !value.is_true() {
        return Ok(View::generator(out));
    }
    let test = match test.split_first() {
        Some((name, rest)) if !name.is_kwargs() => match name.as_str() {
            Some(name) => Some((name, rest)),
            None => {
                return Err(failed(format!(
                    "the name of a test is text, not {}",
                    kind(name)
                )));
            }
        },
        _ => None,
    };
    for item in items(state, value)? {
        let looked_at = by.map_or_else(|| Ok(item.clone()), |by| attribute(&item, by))?;
        let passed = match test {
            None => looked_at.is_true(),
            Some((name, rest)) => {
                let mut args = Vec::with_capacity(rest.len() + 1);
                args.push(looked_at);
                args.extend_from_slice(rest);
                charge(state, ITEM)?;
                state.perform_test(name, &args)?
            }
        };
        if passed == wanted {
            out.push(item);
        }
    }
    Ok(View::generator(out))
}

/// An attribute of every item, or what a filter makes of it.
fn map(state: &mut State, value: &Value, args: Args) -> Result<Value, Error> {
    let mut out = Vec::new();
    if !value.is_true() {
        return Ok(View::generator(out));
    }
    let args = args.into_values();
    let filter = args.split_first().filter(|(name, _)| !name.is_kwargs());
    if let Some((name, rest)) = filter {
        let name = name
            .as_str()
            .ok_or_else(|| failed(format!("the name of a filter is text, not {}", kind(name))))?;
        for item in items(state, value)? {
            let mut args = Vec::with_capacity(rest.len() + 1);
            args.push(item);
            args.extend_from_slice(rest);
            charge(state, ITEM)?;
            out.push(state.apply_filter(name, &args)?);
        }
        return Ok(View::generator(out));
    }
    let missing = || failed("map needs the name of a filter, or attribute=…");
    let named = args.first().cloned().ok_or_else(missing)?;
    let named = Kwargs::try_from(named)?;
    if !named.has("attribute") {
        return Err(missing());
    }
    let by: Value = named.get("attribute")?;
    let default: Option<Value> = named.get("default")?;
    named.assert_all_used()?;
    for item in items(state, value)? {
        let found = attribute(&item, &by)?;
        out.push(match &default {
            Some(default) if found.is_undefined() && !default.is_none() => default.clone(),
            _ => found,
        });
    }
    Ok(View::generator(out))
}

/// Lists of so many items, the last filled up where there is something to fill it with.
fn batch(state: &State, value: &Value, args: Args) -> Result<Value, Error> {
    let args = bind(args, &["linecount", "fill_with"])?;
    let count = args
        .value(0)
        .ok_or_else(|| failed("batch needs the number of items of a line"))?
        .clone();
    let size = Number::of(&count).and_then(|number| number.float());
    let mut lines: Vec<Value> = Vec::new();
    let mut line: Vec<Value> = Vec::new();
    for item in items(state, value)? {
        if size == u32::try_from(line.len()).ok().map(f64::from) {
            lines.push(Value::from(std::mem::take(&mut line)));
        }
        line.push(item);
    }
    if !line.is_empty() {
        if let Some(fill) = args.value(1).filter(|fill| !fill.is_none()) {
            let size = size.ok_or_else(|| {
                failed(format!(
                    "batch needs a number of items, not {}",
                    kind(&count)
                ))
            })?;
            if size > super::args::WIDTH_MAX as f64 {
                return Err(failed("batch: a line is too long"));
            }
            while f64::from(u32::try_from(line.len()).unwrap_or(u32::MAX)) < size {
                charge(state, ITEM)?;
                line.push(fill.clone());
            }
        }
        lines.push(Value::from(line));
    }
    Ok(View::generator(lines))
}

/// So many lists of about the same length, the longer ones first.
fn slice(state: &State, value: &Value, args: Args) -> Result<Value, Error> {
    let args = bind(args, &["slices", "fill_with"])?;
    let count = args
        .value(0)
        .ok_or_else(|| failed("slice needs the number of lists"))?;
    let list = items(state, value)?;
    let count = match Number::of(count) {
        Some(Number::Int(count)) => count,
        _ if count.is_undefined() => return Err(undefined(count)),
        _ => {
            return Err(failed(format!(
                "slice needs a whole number, not {}",
                kind(count)
            )));
        }
    };
    let count = match count.to_usize() {
        Some(0) => return Err(failed("division by zero")),
        Some(count) if count <= super::args::WIDTH_MAX => count,
        Some(_) => return Err(failed("slice: there are too many lists")),
        None => return Ok(View::generator(Vec::new())),
    };
    charge(state, count.saturating_mul(32))?;
    let (each, longer) = (list.len() / count, list.len() % count);
    let fill = args.value(1).filter(|fill| !fill.is_none());
    let mut rest = list.into_iter();
    let mut lists = Vec::with_capacity(count);
    for at in 0..count {
        let mut part: Vec<Value> = rest
            .by_ref()
            .take(each + usize::from(at < longer))
            .collect();
        if let Some(fill) = fill.filter(|_| at >= longer) {
            part.push(fill.clone());
        }
        lists.push(Value::from(part));
    }
    Ok(View::generator(lists))
}

fn reverse(state: &State, value: &Value) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        charge(state, text.len())?;
        return Ok(super::casing::like(value, text.chars().rev().collect()));
    }
    let mut list = items(state, value)?;
    list.reverse();
    Ok(View::generator(list))
}

/// The members of a dict as pairs; none of what is undefined.
fn pairs(state: &State, value: &Value) -> Result<Value, Error> {
    if value.is_undefined() {
        return Ok(View::generator(Vec::new()));
    }
    if value.kind() != ValueKind::Map {
        return Err(failed(format!("items needs a dict, not {}", kind(value))));
    }
    let mut out = Vec::new();
    for pair in crate::translate::text::pairs(value) {
        charge(state, 32)?;
        out.push(Value::from(pair));
    }
    Ok(View::generator(out))
}
