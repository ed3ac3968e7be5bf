//! `body|from_cloud_event(headers)`: the decoder of the third way of translation, as a filter.

use super::args::failed;
use crate::model::Headers;
use crate::translate::cloudevents::{self, Refusal};
use crate::translate::input::{ORIGINAL, Original};
use crate::translate::{CloudEventsOptions, text, value};
use minijinja::value::Value;
use minijinja::{Environment, Error, State};

/// Registers it.
pub(super) fn register(env: &mut Environment<'static>) {
    env.add_filter("from_cloud_event", from_cloud_event);
}

fn from_cloud_event(state: &State, input: &Value, headers: &Value) -> Result<Value, Error> {
    let mut lines = Headers::new();
    for (name, line) in text::pairs(headers) {
        lines.push(&text::printed(&name), text::printed(&line).into_bytes());
    }
    let bytes = bytes(state, input)?;
    super::cost::charge(state, bytes.len().saturating_mul(3))?;
    let options = CloudEventsOptions::default();
    let decoded =
        cloudevents::decode(&lines, &bytes, &options).map_err(|refusal| match refusal {
            Refusal::Malformed(reason) | Refusal::Unsupported(reason) => {
                failed(format!("from_cloud_event: {reason}"))
            }
        })?;
    let mut json = String::new();
    for (i, event) in decoded.events.iter().enumerate() {
        if i > 0 {
            json.push(',');
        }
        cloudevents::json_into(&mut json, event);
    }
    if decoded.batch {
        json = format!("[{json}]");
    }
    value::parse(json).map_err(|invalid| failed(format!("from_cloud_event: {}", invalid.what)))
}

/// The request's own body comes as it was sent: by now it has been parsed, or turned to text.
fn bytes(state: &State, input: &Value) -> Result<Vec<u8>, Error> {
    if let Some(root) = state.lookup(ORIGINAL)
        && let Some(original) = root.downcast_object_ref::<Original>()
        && original.value == *input
    {
        return Ok(original.body.to_vec());
    }
    match input.as_str() {
        Some(text) => Ok(text.as_bytes().to_vec()),
        None => text::json(input).map(String::into_bytes),
    }
}
