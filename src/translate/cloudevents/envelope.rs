//! Structured and batched mode: the JSON event format.

use super::attributes::{check_complete, check_name, is_core, set_text};
use super::{CloudEvent, data};
use crate::model::limits;
use crate::translate::json::{Kind, Ref};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Reads one event.
///
/// # Errors
/// The first rule that is broken, naming the attribute.
pub(super) fn read(value: Ref<'_>) -> Result<CloudEvent, String> {
    if value.kind() != Kind::Object {
        return Err("the event is not a JSON object".into());
    }
    let mut event = CloudEvent::default();
    let (mut plain, mut packed) = (None, None);
    for (name, member) in value.members() {
        match name.as_ref() {
            "data" => plain = Some(member),
            "data_base64" => packed = Some(member).filter(|m| m.kind() != Kind::Null),
            _ => attribute(&mut event, &name, member)?,
        }
    }
    check_complete(&event)?;
    let content_type = value
        .get("datacontenttype")
        .and_then(Ref::as_str)
        .filter(|t| !t.is_empty());
    event.data = match (plain, packed) {
        (Some(_), Some(_)) => return Err("`data` and `data_base64` exclude each other".into()),
        (None, Some(packed)) => Some(data::of_base64(packed, content_type.as_deref())?),
        (Some(plain), None) => {
            // Version 0.3 said with an attribute that data is base64.
            let encoding = value.get("datacontentencoding").and_then(Ref::as_str);
            if event.specversion == "0.3"
                && encoding.is_some_and(|e| e.eq_ignore_ascii_case("base64"))
            {
                Some(data::of_base64(plain, content_type.as_deref())?)
            } else {
                Some(data::Data::Json(plain.to_compact()))
            }
        }
        (None, None) => None,
    };
    Ok(event)
}

fn attribute(event: &mut CloudEvent, name: &str, value: Ref<'_>) -> Result<(), String> {
    check_name(name)?;
    match value.kind() {
        Kind::Null => Ok(()),
        Kind::Plain | Kind::Escaped => set_text(event, name, &value.text()),
        _ if is_core(name) => Err(format!("`{name}` is not a string")),
        Kind::Bool => {
            event
                .attributes
                .push((name.to_owned(), value.raw().to_owned()));
            Ok(())
        }
        Kind::Number if !value.raw().contains(['.', 'e', 'E']) => {
            event
                .attributes
                .push((name.to_owned(), value.raw().to_owned()));
            Ok(())
        }
        Kind::Number => Err(format!(
            "`{name}` is a number with a fraction or exponent; attributes are strings, booleans or integers"
        )),
        Kind::Array | Kind::Object => Err(format!(
            "`{name}` is an array or object; attributes are strings, booleans or integers"
        )),
    }
}

/// What a batch holds.
pub(super) struct Batch {
    /// Its events; of those with one source and id the first.
    pub(super) events: Vec<CloudEvent>,
    /// Events that were left out with another content: their place and that of the first, from 1.
    pub(super) differing: Vec<(usize, usize)>,
}

/// Reads a batch: all or nothing.
///
/// # Errors
/// The first event that breaks a rule, with its place.
pub(super) fn read_batch(value: Ref<'_>) -> Result<Batch, String> {
    if value.kind() != Kind::Array {
        return Err("the batch is not a JSON array".into());
    }
    let count = value.len();
    if count > limits::EVENTS_PER_REQUEST_MAX {
        return Err(format!(
            "the batch has {count} events, at most {} are taken",
            limits::EVENTS_PER_REQUEST_MAX
        ));
    }
    let mut events: Vec<CloudEvent> = Vec::with_capacity(count);
    let mut seen: HashMap<(String, String), (usize, usize)> = HashMap::new();
    let mut differing = Vec::new();
    for (i, item) in value.items().enumerate() {
        let place = |reason: String| format!("event {} of {count}: {reason}", i + 1);
        let event = read(item).map_err(place)?;
        if let Some(first) = events.first()
            && first.specversion != event.specversion
        {
            return Err(place(
                "its `specversion` differs from the first event's".into(),
            ));
        }
        match seen.entry((event.source.clone(), event.id.clone())) {
            Entry::Vacant(entry) => {
                entry.insert((events.len(), i + 1));
                events.push(event);
            }
            Entry::Occupied(entry) => {
                let (index, first) = *entry.get();
                let is_same = events
                    .get(index)
                    .is_some_and(|first| first.kind == event.kind && first.data == event.data);
                if !is_same {
                    differing.push((i + 1, first));
                }
            }
        }
    }
    Ok(Batch { events, differing })
}
