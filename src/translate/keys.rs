//! Which key each event has, once it is known what a request became.
//!
//! An event may carry its own (`delivery_key`), which is right whatever a template leaves out or makes twice.
//! Otherwise the items' keys are the events' where there is one event for each item. Where that is not so,
//! the whole delivery has one key: it is a duplicate only of one with the very same items, so nothing is lost.

use super::json::{Kind, Ref};
use super::{ItemKey, Keys, Scope};
use crate::codes;
use crate::model::{Note, Problem, limits};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// The field of an event with its own key.
pub(super) const FIELD: &str = "delivery_key";

/// The keys of a list of events.
///
/// # Errors
/// `HG0308` where an expression gave a list of another length: the owner said what cannot be.
pub(super) fn settle(
    events: &[Ref<'_>],
    scope: &Scope<'_>,
    notes: &mut Vec<Note>,
) -> Result<Keys, Problem> {
    if events.is_empty() {
        return Ok(scope.keys.clone());
    }
    if scope.own_keys
        && let Some(keys) = carried(events, notes)
    {
        return Ok(Keys::PerEvent(keys));
    }
    agree(scope.keys, events.len())?;
    Ok(match scope.keys {
        Keys::PerItem(items) => of_items(items, events, notes),
        Keys::None | Keys::Delivery(_) | Keys::PerEvent(_) => scope.keys.clone(),
    })
}

/// Whether a list of keys that an expression gave is as long as the events.
///
/// # Errors
/// `HG0308` where it is not.
pub(super) fn agree(keys: &Keys, count: usize) -> Result<(), Problem> {
    match keys {
        Keys::PerEvent(keys) if keys.len() != count => Err(Problem::new(
            codes::EXPRESSION_FAILED,
            format!("`delivery_key` gave {} keys for {count} events.", keys.len()),
        )
        .help("A list of keys must be as long as the list of events. Give one text for the whole delivery, or one key for each event.")),
        Keys::None | Keys::Delivery(_) | Keys::PerEvent(_) | Keys::PerItem(_) => Ok(()),
    }
}

/// A key as it is remembered: a long one is replaced by its hash.
#[must_use]
pub fn bounded(key: &str) -> String {
    if key.len() > limits::DELIVERY_KEY_BYTES_MAX {
        hex::encode(Sha256::digest(key.as_bytes()))
    } else {
        key.to_owned()
    }
}

/// The one key of a delivery by those of its items.
#[must_use]
pub fn whole(items: &[ItemKey]) -> String {
    let keys: Vec<_> = items.iter().map(|item| item.key.as_str()).collect();
    bounded(&keys.join(","))
}

/// The keys that the events carry, if all do.
fn carried(events: &[Ref<'_>], notes: &mut Vec<Note>) -> Option<Vec<String>> {
    let key = |event: &Ref<'_>| {
        let value = event.get(FIELD)?;
        let scalar = matches!(value.kind(), Kind::Plain | Kind::Escaped | Kind::Number);
        let text = scalar.then(|| value.text())?;
        (!text.trim().is_empty()).then(|| bounded(&text))
    };
    let found: Vec<_> = events.iter().map(key).collect();
    let count = found.iter().flatten().count();
    if count == 0 {
        return None;
    }
    if count < found.len() {
        notes.push(note(format!(
            "{count} of {} events carry a `{FIELD}`: it counts only where all do",
            found.len()
        )));
        return None;
    }
    Some(distinct(found.into_iter().flatten()))
}

/// The items' keys for the events, or one for all.
fn of_items(items: &[ItemKey], events: &[Ref<'_>], notes: &mut Vec<Note>) -> Keys {
    let (had, made) = (items.len(), events.len());
    if had != made {
        if had > 1 {
            notes.push(note(format!(
                "{had} items became {made} events, so the delivery has one key: in a retry with other neighbours its events count as new. Give each event of the template its item's key as `{FIELD}`"
            )));
        }
        return Keys::Delivery(whole(items));
    }
    // Left out here and made twice there gives the right number too. Events that show their item's key give
    // themselves away where some do and some do not.
    let shown = items.iter().zip(events);
    let shown = shown
        .filter(|(item, event)| event.raw().contains(item.witness.as_str()))
        .count();
    if shown != 0 && shown != made {
        notes.push(note(format!(
            "{made} events were made of as many items, but not one of each, so the delivery has one key. Give each event of the template its item's key as `{FIELD}`"
        )));
        return Keys::Delivery(whole(items));
    }
    Keys::PerEvent(distinct(items.iter().map(|item| bounded(&item.key))))
}

/// Two events of one item have its key and a number, so that neither counts as the other's double.
fn distinct(keys: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let number = |key: String| {
        let times = seen.entry(key.clone()).or_default();
        *times += 1;
        match *times {
            1 => key,
            n => format!("{key}\n{n}"),
        }
    };
    keys.map(number).collect()
}

fn note(message: String) -> Note {
    Note {
        code: None,
        message,
    }
}
