//! Filters that order, group and add up the items of a list as Jinja2 does.

use super::args::{Args, bind, failed};
use super::cost::{charge, equal, walk};
use super::lists::attribute;
use super::operators::{add, kind, order};
use minijinja::value::{Enumerator, Object, ObjectRepr, Value, ValueKind};
use minijinja::{Environment, Error, State};
use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

/// Registers them.
pub(super) fn register(env: &mut Environment<'static>) {
    env.add_filter("sort", sort);
    env.add_filter("unique", unique);
    env.add_filter("min", |s: &State, v: &Value, a: Args| {
        extreme(s, v, a, Ordering::Less)
    });
    env.add_filter("max", |s: &State, v: &Value, a: Args| {
        extreme(s, v, a, Ordering::Greater)
    });
    env.add_filter("sum", sum);
    env.add_filter("groupby", groupby);
    env.add_filter("random", random);
    env.add_filter(
        "zip",
        |s: &State, v: Value, others: minijinja::value::Rest<Value>| {
            let most = v.len().unwrap_or(0).saturating_add(4);
            charge(s, most.saturating_mul(64 * (1 + others.len())))?;
            minijinja::filters::zip(s, v, others)
        },
    );
}

/// The items of a value that a loop could run over.
///
/// # Errors
/// When it is no such value.
pub(super) fn items(state: &State, value: &Value) -> Result<Vec<Value>, Error> {
    if value.is_undefined() {
        return Ok(Vec::new());
    }
    if value.is_none() {
        return Err(failed("None is no list"));
    }
    let mut out = Vec::new();
    for item in value.try_iter()?.checked() {
        charge(state, 16)?;
        out.push(item?);
    }
    Ok(out)
}

fn fold(state: &State, value: Value, case_sensitive: bool) -> Result<Value, Error> {
    Ok(match value.as_str() {
        Some(text) if !case_sensitive => {
            charge(state, text.len().saturating_mul(3))?;
            Value::from(text.to_lowercase())
        }
        _ => value,
    })
}

/// What an item is ordered by: itself, or attributes of it (`age,name` are two).
fn key(
    state: &State,
    item: &Value,
    by: Option<&Value>,
    case_sensitive: bool,
) -> Result<Vec<Value>, Error> {
    charge(state, 128)?;
    let Some(by) = by.filter(|by| !by.is_none()) else {
        return Ok(vec![fold(state, item.clone(), case_sensitive)?]);
    };
    let Some(names) = by.as_str() else {
        return Ok(vec![fold(state, attribute(item, by)?, case_sensitive)?]);
    };
    names
        .split(',')
        .map(|name| fold(state, attribute(item, &Value::from(name))?, case_sensitive))
        .collect()
}

/// Orders keys; as in Python's lists, equal parts are not asked for their order.
fn compare(state: &State, a: &[Value], b: &[Value]) -> Result<Ordering, Error> {
    for (a, b) in a.iter().zip(b) {
        if !equal(state, a, b)? {
            return Ok(order(state, "<", a, b)?.unwrap_or(Ordering::Equal));
        }
    }
    Ok(Ordering::Equal)
}

fn same(state: &State, a: &[Value], b: &[Value]) -> Result<bool, Error> {
    for (a, b) in a.iter().zip(b) {
        if !equal(state, a, b)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Sorts by keys, stable.
///
/// # Errors
/// Keys that have no order among them.
fn sort_by_keys<T>(
    state: &State,
    keyed: &mut [(Vec<Value>, T)],
    reverse: bool,
) -> Result<(), Error> {
    let mut failure = None;
    keyed.sort_by(|(a, _), (b, _)| {
        let ordering = if failure.is_some() {
            Ordering::Equal
        } else {
            charge(state, 48)
                .and_then(|()| compare(state, a, b))
                .unwrap_or_else(|error| {
                    failure = Some(error);
                    Ordering::Equal
                })
        };
        if reverse {
            ordering.reverse()
        } else {
            ordering
        }
    });
    failure.map_or(Ok(()), Err)
}

fn sort(state: &State, value: &Value, args: Args) -> Result<Value, Error> {
    let args = bind(args, &["reverse", "case_sensitive", "attribute"])?;
    let mut keyed = Vec::new();
    for item in items(state, value)? {
        keyed.push((key(state, &item, args.value(2), args.flag(1, false))?, item));
    }
    sort_by_keys(state, &mut keyed, args.switch(0)?)?;
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}

fn unique(state: &State, value: &Value, args: Args) -> Result<Value, Error> {
    let args = bind(args, &["case_sensitive", "attribute"])?;
    let mut seen = HashSet::new();
    let mut out = Vec::new();
    for item in items(state, value)? {
        let key = key(state, &item, args.value(1), args.flag(0, false))?;
        for part in &key {
            hashable(part)?;
            walk(state, part)?;
        }
        if seen.insert(key) {
            out.push(item);
        }
    }
    Ok(super::View::generator(out))
}

/// Refuses what Python takes for no key of a dict.
pub(super) fn hashable(value: &Value) -> Result<(), Error> {
    let list = matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable);
    if value.kind() == ValueKind::Map
        || (list && !value.is_tuple() && !super::View::is_range(value))
    {
        return Err(failed(format!("{} is no key", kind(value))));
    }
    Ok(())
}

fn extreme(state: &State, value: &Value, args: Args, wanted: Ordering) -> Result<Value, Error> {
    let args = bind(args, &["case_sensitive", "attribute"])?;
    let mut best: Option<(Vec<Value>, Value)> = None;
    for item in items(state, value)? {
        let key = key(state, &item, args.value(1), args.flag(0, false))?;
        let better = match &best {
            None => true,
            Some((other, _)) => match (key.first(), other.first()) {
                (Some(key), Some(other)) => order(state, "<", key, other)? == Some(wanted),
                _ => false,
            },
        };
        if better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or(Value::UNDEFINED, |(_, item)| item))
}

fn sum(state: &State, value: &Value, args: Args) -> Result<Value, Error> {
    let args = bind(args, &["attribute", "start"])?;
    let mut total = args.value(1).cloned().unwrap_or_else(|| Value::from(0));
    if total.as_str().is_some() {
        return Err(failed("sum: texts cannot be added up, use join"));
    }
    for item in items(state, value)? {
        let item = match args.value(0).filter(|by| !by.is_none()) {
            Some(by) => {
                charge(state, 48)?;
                attribute(&item, by)?
            }
            None => item,
        };
        charge(state, 16)?;
        total = add(state, &total, &item)?;
    }
    Ok(total)
}

/// Items with an equal attribute, as Python's tuple of `grouper` and `list`.
#[derive(Debug)]
pub(crate) struct Group {
    /// What they have in common.
    pub(crate) grouper: Value,
    /// The items.
    pub(crate) list: Value,
}

impl Object for Group {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match (key.as_str(), key.as_usize()) {
            (Some("grouper"), _) | (_, Some(0)) => Some(self.grouper.clone()),
            (Some("list"), _) | (_, Some(1)) => Some(self.list.clone()),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(2)
    }
}

fn groupby(state: &State, value: &Value, args: Args) -> Result<Value, Error> {
    let args = bind(args, &["attribute", "default", "case_sensitive"])?;
    let sensitive = args.flag(2, false);
    let by = args
        .value(0)
        .ok_or_else(|| failed("groupby needs an attribute"))?;
    let real = |item: &Value| -> Result<Value, Error> {
        let found = attribute(item, by)?;
        let default = args
            .value(1)
            .filter(|d| found.is_undefined() && !d.is_none());
        Ok(default.cloned().unwrap_or(found))
    };
    let mut keyed = Vec::new();
    for item in items(state, value)? {
        keyed.push((vec![fold(state, real(&item)?, sensitive)?], item));
    }
    if let Some((key, _)) = keyed
        .iter()
        .find(|(key, _)| key.iter().any(Value::is_undefined))
        && keyed.len() > 1
        && let Some(key) = key.first()
    {
        return Err(super::operators::undefined(key));
    }
    sort_by_keys(state, &mut keyed, false)?;
    let mut groups: Vec<(Vec<Value>, Vec<Value>)> = Vec::new();
    for (key, item) in keyed {
        match groups.last_mut() {
            Some((last, members)) if same(state, last, &key)? => members.push(item),
            _ => groups.push((key, vec![item])),
        }
    }
    let mut out = Vec::new();
    for (_, members) in groups {
        let grouper = members.first().map_or(Ok(Value::UNDEFINED), real)?;
        let list = Value::from(members);
        out.push(Value::from_object(Group { grouper, list }));
    }
    Ok(Value::from(out))
}

fn random(state: &State, value: &Value) -> Result<Value, Error> {
    if value.kind() == ValueKind::Map {
        return Err(failed(format!("random needs a list, not {}", kind(value))));
    }
    let items = items(state, value)?;
    let at = rand::random::<u64>() % u64::try_from(items.len().max(1)).unwrap_or(1);
    let at = usize::try_from(at).unwrap_or(0);
    Ok(items.get(at).cloned().unwrap_or_default())
}
