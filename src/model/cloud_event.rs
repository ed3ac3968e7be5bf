//! An event as a CloudEvent, in the JSON event format: what is given to those who ask for CloudEvents.
//!
//! An event that came in as a CloudEvent goes out as it came: `payload.cloudevents` holds its attributes as they
//! were sent, `payload.data` or `payload.data_base64` its data. Any other event gets attributes of ours; what the
//! core has no attribute for stands in extensions as JSON text, so that nothing is lost. See `docs/cloudevents.md`.

use super::event::{Event, RESOURCE_ID, RESOURCE_ROLE};
use super::request::{is_json_type, media_type};
use super::trace::Trace;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::value::RawValue;
use std::fmt::Write as _;

/// Media type of one CloudEvent in JSON (JSON event format 3).
pub const MEDIA_TYPE: &str = "application/cloudevents+json";
/// Media type of a list of them (JSON event format 4).
pub const BATCH_MEDIA_TYPE: &str = "application/cloudevents-batch+json";

/// Sources of events that did not come as CloudEvents begin with this; the webhook's name follows.
const SOURCE: &str = "urn:hookgate:webhook:";
/// Source of hookgate's own events.
const OWN_SOURCE: &str = "urn:hookgate";

/// Members of an object, as JSON text each.
type Members<'a> = IndexMap<String, &'a RawValue>;

/// The event as one CloudEvent in JSON, on one line. `webhook` is the name of the webhook that made it, `trace` the
/// place in a trace that the request came with: an event that came as a CloudEvent has its own, or none.
#[must_use]
pub fn to_json(event: &Event, webhook: Option<&str>, trace: Option<&Trace>) -> String {
    Received::of(event).map_or_else(|| made(event, webhook, trace), |received| received.json())
}

/// The place in a trace that the sender of an event told with it, where it came as a CloudEvent (distributed tracing
/// extension).
#[must_use]
pub fn trace(event: &Event) -> Option<Trace> {
    // Most events have none, and looking for the name costs less than reading the payload.
    if !event.payload.get().contains("\"traceparent\"") {
        return None;
    }
    let received = Received::of(event)?;
    let state = received.text("tracestate");
    Trace::new(&received.text("traceparent")?, state.as_deref())
}

/// What makes a CloudEvent another one than that with the same source and id.
#[derive(Debug)]
pub struct Content<'a> {
    /// `type`.
    pub kind: String,
    data: Option<&'a RawValue>,
    packed: Option<&'a RawValue>,
}

impl<'a> Content<'a> {
    /// That of an event which came as a CloudEvent, and was mapped as it is by default.
    #[must_use]
    pub fn of(event: &'a Event) -> Option<Self> {
        let received = Received::of(event)?;
        Some(Self {
            kind: received.text("type")?,
            data: received.data,
            packed: received.packed,
        })
    }

    /// The bytes of data that stands there as base64.
    fn bytes(&self) -> Option<Vec<u8>> {
        BASE64_STANDARD.decode(text_of(self.packed?)?).ok()
    }

    fn value(&self) -> Option<serde_json::Value> {
        serde_json::from_str(self.data?.get()).ok()
    }
}

/// Whether two CloudEvents have the same data, whatever the modes they came in: members of JSON in any order, text
/// and JSON also where one of them is base64.
#[must_use]
pub fn is_same_data(one: &Content<'_>, other: &Content<'_>) -> bool {
    let text = |raw: Option<&RawValue>| raw.map(|raw| raw.get().to_owned());
    if text(one.data) == text(other.data) && text(one.packed) == text(other.packed) {
        return true;
    }
    match (one.bytes(), other.bytes()) {
        (Some(one), Some(other)) => one == other,
        (Some(bytes), None) => is_made_of(other.value(), &bytes),
        (None, Some(bytes)) => is_made_of(one.value(), &bytes),
        (None, None) => one.value() == other.value(),
    }
}

/// Whether bytes are a text, or JSON of a value.
fn is_made_of(value: Option<serde_json::Value>, bytes: &[u8]) -> bool {
    let is_text = |value: &serde_json::Value| value.as_str().is_some_and(|t| t.as_bytes() == bytes);
    value.is_some_and(|value| is_text(&value) || serde_json::from_slice(bytes).ok() == Some(value))
}

/// What is kept of a CloudEvent that came in.
struct Received<'a> {
    attributes: Members<'a>,
    data: Option<&'a RawValue>,
    packed: Option<&'a RawValue>,
}

impl<'a> Received<'a> {
    /// None where the payload is not the one of a CloudEvent, or holds what no CloudEvent may.
    fn of(event: &'a Event) -> Option<Self> {
        let payload = event.payload.get();
        if !payload.contains("\"cloudevents\"") {
            return None;
        }
        let members: Members<'a> = serde_json::from_str(payload).ok()?;
        if members
            .keys()
            .any(|name| !matches!(name.as_str(), "data" | "data_base64" | "cloudevents"))
        {
            return None;
        }
        let attributes: Members<'a> =
            serde_json::from_str(members.get("cloudevents")?.get()).ok()?;
        let received = Self {
            attributes,
            data: members.get("data").copied(),
            packed: members.get("data_base64").copied(),
        };
        received.is_valid().then_some(received)
    }

    fn is_valid(&self) -> bool {
        let filled = |name| self.text(name).is_some_and(|text| !text.is_empty());
        let version = self.text("specversion");
        ["id", "source", "type"].into_iter().all(filled)
            && version.is_some_and(|version| version == "1.0" || version == "0.3")
            && !(self.data.is_some() && self.packed.is_some())
            && self.packed.is_none_or(|packed| text_of(packed).is_some())
            && self
                .attributes
                .iter()
                .all(|(name, value)| is_attribute(name, value))
    }

    fn text(&self, name: &str) -> Option<String> {
        text_of(self.attributes.get(name)?)
    }

    fn json(&self) -> String {
        let mut out = Writer::new();
        let old = self.text("specversion").as_deref() == Some("0.3");
        let encoded = self
            .text("datacontentencoding")
            .is_some_and(|encoding| encoding.eq_ignore_ascii_case("base64"));
        for (name, value) in &self.attributes {
            out.member(name, value.get());
        }
        match (self.data, self.packed) {
            // Version 0.3 has no `data_base64`; it says with an attribute that data is base64.
            (None, Some(packed)) if old => {
                if !encoded {
                    out.text("datacontentencoding", "base64");
                }
                out.member("data", packed.get());
            }
            (None, Some(packed)) => out.member("data_base64", packed.get()),
            (Some(data), _) if old && encoded => out.text("data", &self.encode(data)),
            (Some(data), _) => out.member("data", data.get()),
            (None, None) => {}
        }
        out.finish()
    }

    /// Undoes the decoding of data that came as base64 under version 0.3.
    fn encode(&self, data: &RawValue) -> String {
        let content_type = self.text("datacontenttype").unwrap_or_default();
        let text = text_of(data).filter(|_| !is_json_type(&media_type(&content_type)));
        let bytes = match text {
            None => data.get().as_bytes().to_vec(),
            Some(text) if content_type.to_ascii_lowercase().contains("iso-8859-1") => text
                .chars()
                .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
                .collect(),
            Some(text) => text.into_bytes(),
        };
        BASE64_STANDARD.encode(bytes)
    }
}

fn text_of(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// Whether a name and value may be an attribute's: letters and digits; text, boolean or integer.
fn is_attribute(name: &str, value: &RawValue) -> bool {
    let json = value.get();
    let scalar = match json.bytes().next() {
        Some(b'"') => text_of(value).is_some_and(|text| !text.contains(is_forbidden)),
        Some(b't' | b'f') => true,
        Some(b'-' | b'0'..=b'9') => !json.contains(['.', 'e', 'E']),
        _ => false,
    };
    scalar && !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Characters that no attribute may hold (core, "Type System"): controls and noncharacters.
fn is_forbidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{fdd0}'..='\u{fdef}') || (u32::from(c) & 0xfffe) == 0xfffe
}

/// An event that did not come as a CloudEvent.
fn made(event: &Event, webhook: Option<&str>, trace: Option<&Trace>) -> String {
    let mut out = Writer::new();
    out.text("specversion", "1.0");
    out.text("id", &event.id.to_string());
    let source = webhook.map_or_else(|| OWN_SOURCE.to_owned(), |name| format!("{SOURCE}{name}"));
    out.text("source", &source);
    out.shown("type", &event.event);
    out.shown("subject", event.resource_id());
    out.text("time", &super::time::to_rfc3339(event.occurred));
    out.text("datacontenttype", "application/json");
    if event.event.contains(is_forbidden) {
        out.packed("hookgateevent", &event.event);
    }
    if event.resource.len() > 1 || event.resource_id().contains(is_forbidden) {
        out.packed("hookgateresource", &event.resource);
    }
    let related = match event.related.split_last() {
        // The source says it.
        Some((last, others)) if is_webhook(last, webhook) => others,
        _ => &event.related,
    };
    if !related.is_empty() {
        out.packed("hookgaterelated", &related);
    }
    if let Some(follows) = event.follows {
        out.text("hookgatefollows", &follows.to_string());
    }
    if let Some(trace) = trace {
        out.text("traceparent", &trace.parent);
        if let Some(state) = &trace.state {
            out.text("tracestate", state);
        }
    }
    out.member("data", event.payload.get());
    out.finish()
}

fn is_webhook(resource: &super::Labels, webhook: Option<&str>) -> bool {
    let id = resource
        .get(RESOURCE_ID)
        .and_then(|id| id.strip_prefix("hookgate.webhook."));
    id.is_some()
        && id == webhook
        && resource.len() == 3
        && resource.get(RESOURCE_ROLE).map(String::as_str) == Some("webhook")
}

/// Writes an object member by member.
struct Writer(String);

impl Writer {
    fn new() -> Self {
        Self("{".to_owned())
    }

    fn member(&mut self, name: &str, json: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&json_of(name));
        self.0.push(':');
        self.0.push_str(json);
    }

    fn text(&mut self, name: &str, text: &str) {
        self.member(name, &json_of(text));
    }

    /// A text of the event's; what no attribute may hold becomes U+FFFD.
    fn shown(&mut self, name: &str, text: &str) {
        self.text(name, &text.replace(is_forbidden, "\u{fffd}"));
    }

    /// JSON text as an attribute, in which what no attribute may hold is escaped.
    fn packed(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        let json = json_of(value);
        let mut text = String::with_capacity(json.len());
        for c in json.chars() {
            if is_forbidden(c) {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    // Writing to a string cannot fail.
                    write!(text, "\\u{unit:04x}").ok();
                }
            } else {
                text.push(c);
            }
        }
        self.text(name, &text);
    }

    fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// Texts and maps of texts always have JSON.
fn json_of(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::RESOURCE_NAME;
    use serde_json::{Value, json};

    fn event(payload: &str) -> Event {
        let labels = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect()
        };
        Event {
            occurred: "2026-11-01T10:00:00.123456Z".parse().unwrap(),
            event: "shop.order\u{7}".into(),
            resource: labels(&[(RESOURCE_ID, "order.1"), ("name", "a\u{85}b")]),
            related: vec![
                labels(&[(RESOURCE_ID, "x"), (RESOURCE_ROLE, "customer")]),
                labels(&[
                    (RESOURCE_ID, "hookgate.webhook.shop"),
                    (RESOURCE_ROLE, "webhook"),
                    (RESOURCE_NAME, "shop"),
                ]),
            ],
            payload: RawValue::from_string(payload.into()).unwrap(),
            id: uuid::Uuid::nil(),
            follows: Some(uuid::Uuid::max()),
        }
    }

    fn out(payload: &str) -> Value {
        serde_json::from_str(&to_json(&event(payload), Some("shop"), None)).unwrap()
    }

    #[test]
    fn an_event_of_ours() {
        let json = r#"{"specversion":"1.0","id":"00000000-0000-0000-0000-000000000000","source":"urn:hookgate:webhook:shop","type":"shop.order�","subject":"order.1","time":"2026-11-01T10:00:00.123456Z","datacontenttype":"application/json","hookgateevent":"\"shop.order\\u0007\"","hookgateresource":"{\"prefect.resource.id\":\"order.1\",\"name\":\"a\\u0085b\"}","hookgaterelated":"[{\"prefect.resource.id\":\"x\",\"prefect.resource.role\":\"customer\"}]","hookgatefollows":"ffffffff-ffff-ffff-ffff-ffffffffffff","data":{"n":1.50}}"#;
        assert_eq!(to_json(&event(r#"{"n":1.50}"#), Some("shop"), None), json);
        // Another webhook's resource is one as any other.
        let other = to_json(&event("{}"), Some("other"), None);
        assert!(other.contains("hookgate.webhook.shop"));
        assert!(to_json(&event("{}"), None, None).contains(r#""source":"urn:hookgate","#));
    }

    #[test]
    fn what_came_as_a_cloudevent_goes_out_as_it_came() {
        let json = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","n":7,"b":true,"time":"2026-01-01t00:00:00z"}"#;
        assert_eq!(
            to_json(
                &event(&format!(r#"{{"cloudevents":{json}}}"#)),
                Some("w"),
                None
            ),
            json
        );
        let payload = format!(r#"{{"data":[1.0,null],"cloudevents":{json}}}"#);
        assert_eq!(out(&payload)["data"], json!([1.0, null]));
        let payload = format!(r#"{{"data_base64":"AA==","cloudevents":{json}}}"#);
        assert_eq!(out(&payload)["data_base64"], "AA==");
    }

    #[test]
    fn version_0_3_says_base64_by_an_attribute() {
        let attributes = r#""specversion":"0.3","id":"1","source":"/s","type":"t""#;
        let got = out(&format!(
            r#"{{"data_base64":"AA==","cloudevents":{{{attributes}}}}}"#
        ));
        assert_eq!(
            (&got["data"], &got["datacontentencoding"]),
            (&json!("AA=="), &json!("base64"))
        );
        let got = out(&format!(
            r#"{{"data":"é","cloudevents":{{{attributes},"datacontenttype":"text/plain;charset=iso-8859-1","datacontentencoding":"Base64"}}}}"#
        ));
        assert_eq!(got["data"], "6Q==");
        let got = out(&format!(
            r#"{{"data":{{"a":1}},"cloudevents":{{{attributes},"datacontenttype":"application/json","datacontentencoding":"base64"}}}}"#
        ));
        assert_eq!(got["data"], "eyJhIjoxfQ==");
    }

    #[test]
    fn a_payload_that_only_looks_like_one() {
        let whole = r#""specversion":"1.0","id":"1","source":"/s","type":"t""#;
        for payload in [
            format!(r#"{{"cloudevents":{{{whole}}},"more":1}}"#),
            format!(r#"{{"cloudevents":{{{whole},"a_b":1}}}}"#),
            format!(r#"{{"cloudevents":{{{whole},"a":1.5}}}}"#),
            format!(r#"{{"cloudevents":{{{whole},"a":{{}}}}}}"#),
            format!(r#"{{"cloudevents":{{{whole},"a":"\u0007"}}}}"#),
            format!(r#"{{"cloudevents":{{{whole}}},"data":1,"data_base64":""}}"#),
            r#"{"cloudevents":{"specversion":"1.0","id":"","source":"/s","type":"t"}}"#.to_owned(),
            r#"{"cloudevents":{"specversion":"2.0","id":"1","source":"/s","type":"t"}}"#.to_owned(),
            r#"{"cloudevents":"x"}"#.to_owned(),
            r#"{"cloudevents":[]}"#.to_owned(),
        ] {
            let want: Value = serde_json::from_str(&payload).unwrap();
            assert_eq!(out(&payload)["data"], want, "{payload}");
        }
    }

    #[test]
    fn traces() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let own = |parent: &str| {
            let attributes = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t",
                "traceparent": parent, "tracestate": "a=1"});
            event(&json!({"cloudevents": attributes}).to_string())
        };
        let found = trace(&own(parent)).unwrap();
        assert_eq!(
            (&*found.parent, found.state.as_deref()),
            (parent, Some("a=1"))
        );
        assert_eq!(trace(&own("nonsense")), None);
        let ours = event(&json!({"traceparent": parent}).to_string());
        assert_eq!(trace(&ours), None);
        // The request's is given to events of ours alone.
        let hop = Trace::new(&parent.replace('b', "c"), None).unwrap();
        let json = to_json(&ours, None, Some(&hop));
        assert!(json.contains(&format!("\"traceparent\":\"{}\"", hop.parent)));
        let json = to_json(&own(parent), None, Some(&hop));
        assert!(json.contains(parent) && !json.contains(&hop.parent));
    }
}
