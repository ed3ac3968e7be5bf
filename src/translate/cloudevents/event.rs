//! From a CloudEvent to an event: type, subject or source, time, data, and all attributes in the payload.

use super::CloudEvent;
use super::data::Data;
use crate::model::event::RESOURCE_ID;
use crate::model::time::to_rfc3339;
use crate::translate::json::string_into;

/// Appends an event as JSON, without an id.
pub(crate) fn json_into(out: &mut String, event: &CloudEvent) {
    out.push_str("{\"event\":");
    string_into(out, &event.kind);
    out.push_str(",\"resource\":{");
    string_into(out, RESOURCE_ID);
    out.push(':');
    string_into(out, event.subject.as_deref().unwrap_or(&event.source));
    out.push('}');
    if let Some(time) = event.time {
        out.push_str(",\"occurred\":");
        string_into(out, &to_rfc3339(time));
    }
    out.push_str(",\"payload\":{");
    match &event.data {
        Some(Data::Json(json)) => {
            out.push_str("\"data\":");
            out.push_str(json);
            out.push(',');
        }
        Some(Data::Base64(text)) => {
            out.push_str("\"data_base64\":");
            string_into(out, text);
            out.push(',');
        }
        None => {}
    }
    out.push_str("\"cloudevents\":{");
    for (i, (name, json)) in event.attributes.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        string_into(out, name);
        out.push(':');
        out.push_str(json);
    }
    out.push_str("}}}");
}
