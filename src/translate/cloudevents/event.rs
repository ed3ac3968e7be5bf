//! From a CloudEvent to an event: type, subject or source, time, data, and all attributes in the payload; each of
//! these may be overridden by the webhook.

use super::CloudEvent;
use super::data::Data;
use crate::model::event::RESOURCE_ID;
use crate::model::time::to_rfc3339;
use crate::translate::json::{Kind, Ref, string_into};

/// Fields of an event that come from a CloudEvent.
const MAPPED: [&str; 4] = ["event", "resource", "occurred", "payload"];

/// Appends an event as JSON, without an id.
pub(crate) fn json_into(out: &mut String, event: &CloudEvent) {
    overridden_into(out, event, None);
}

/// As [`json_into`], where the members of `overrides` that are not `null` win.
pub(super) fn overridden_into(out: &mut String, event: &CloudEvent, overrides: Option<Ref<'_>>) {
    out.push('{');
    for name in MAPPED {
        let given = overrides.and_then(|all| present(all, name));
        if given.is_none() && name == "occurred" && event.time.is_none() {
            continue;
        }
        member(out, name);
        match given {
            Some(value) => value.write_compact(out),
            None => mapped_into(out, event, name),
        }
    }
    for (name, value) in overrides.into_iter().flat_map(Ref::members) {
        if !MAPPED.contains(&name.as_ref()) && value.kind() != Kind::Null {
            member(out, &name);
            value.write_compact(out);
        }
    }
    out.push('}');
}

/// A member that is there and not `null`.
pub(super) fn present<'a>(object: Ref<'a>, name: &str) -> Option<Ref<'a>> {
    object.get(name).filter(|value| value.kind() != Kind::Null)
}

fn member(out: &mut String, name: &str) {
    if !out.ends_with('{') {
        out.push(',');
    }
    string_into(out, name);
    out.push(':');
}

fn mapped_into(out: &mut String, event: &CloudEvent, name: &str) {
    match name {
        "event" => string_into(out, &event.kind),
        "resource" => {
            out.push('{');
            member(out, RESOURCE_ID);
            string_into(out, event.subject.as_deref().unwrap_or(&event.source));
            out.push('}');
        }
        "occurred" => string_into(out, &event.time.map_or_else(String::new, to_rfc3339)),
        _ => {
            out.push('{');
            data_into(out, event);
            member(out, "cloudevents");
            out.push('{');
            attributes_into(out, event);
            out.push_str("}}");
        }
    }
}

fn data_into(out: &mut String, event: &CloudEvent) {
    match &event.data {
        Some(Data::Json(json)) => {
            member(out, "data");
            out.push_str(json);
        }
        Some(Data::Base64(text)) => {
            member(out, "data_base64");
            string_into(out, text);
        }
        None => {}
    }
}

fn attributes_into(out: &mut String, event: &CloudEvent) {
    for (name, json) in &event.attributes {
        member(out, name);
        out.push_str(json);
    }
}

/// The CloudEvent itself as JSON: its attributes as sent, `data` or `data_base64`.
pub(super) fn envelope(event: &CloudEvent) -> String {
    let mut out = "{".to_owned();
    attributes_into(&mut out, event);
    data_into(&mut out, event);
    out.push('}');
    out
}
