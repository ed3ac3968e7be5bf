//! CloudEvents in every mode.

use super::{check_translation, in_scope, request_of};
use crate::model::cloud_event::{BATCH_MEDIA_TYPE, MEDIA_TYPE, to_json, trace};
use crate::model::{Event, Headers, Request};
use crate::translate::{CloudEventsOptions, Failure, Keys, Translated, Translator};
use bytes::Bytes;
use serde_json::Value as Json;
use std::collections::HashSet;

const WEBHOOK: &str = "fuzz";

/// A request as of `.http` files: it is refused, or gives events whose attributes obey the specification, as many as
/// its mode says, with the same ids each time; and each, sent again as hookgate gives it out, is the same event.
///
/// # Panics
/// When it is not.
pub fn cloudevents(bytes: &[u8]) {
    let request = request_of(bytes);
    for percent_decode in [true, false] {
        let result = translate(&request, percent_decode);
        check_translation(&result);
        check_mode(&request, &result);
        let again = translate(&request, percent_decode);
        match (&result, &again) {
            (Ok(first), Ok(again)) => {
                assert_eq!(first.keys, again.keys);
                let ids = |t: &Translated| t.events.iter().map(|e| e.id).collect::<Vec<_>>();
                assert_eq!(ids(first), ids(again));
                check_keys(first);
                first.events.iter().for_each(check_event);
            }
            (Err(first), Err(again)) => {
                assert_eq!(first.problem, again.problem);
                assert_eq!(first.unsupported_type, again.unsupported_type);
            }
            _ => panic!("another answer the second time"),
        }
    }
}

fn translate(request: &Request, percent_decode: bool) -> Result<Translated, Failure> {
    let options = CloudEventsOptions {
        percent_decode,
        ..CloudEventsOptions::default()
    };
    let translator = Translator::CloudEvents(options);
    in_scope(request, &Keys::None, true, |scope| {
        translator.translate(scope)
    })
}

/// The mode is told by the content type, then by the headers.
fn check_mode(request: &Request, result: &Result<Translated, Failure>) {
    let media = request.media_type();
    let required = ["ce-id", "ce-source", "ce-type", "ce-specversion"];
    let marked = required
        .iter()
        .any(|name| request.headers.get(name).is_some());
    let count = result
        .as_ref()
        .ok()
        .map(|translated| translated.events.len());
    let body = serde_json::from_slice::<Json>(&request.body).ok();
    if media == BATCH_MEDIA_TYPE {
        if let Some(count) = count {
            assert_eq!(
                count,
                distinct(body.as_ref()),
                "not the events of the batch"
            );
        }
    } else if media == MEDIA_TYPE {
        assert!(count.is_none_or(|count| count == 1), "not one event");
        assert!(count.is_none() || body.is_some_and(|body| body.is_object()));
    } else if media.starts_with("application/cloudevents") {
        assert!(result.is_err(), "a format that is not known");
    } else if marked {
        match result {
            Ok(_) => assert_eq!(count, Some(1), "not one event"),
            Err(failure) => assert!(!failure.unsupported_type, "it says that it is one"),
        }
    } else if count.is_some() {
        // An envelope without its type.
        let body = body.expect("neither headers nor JSON make an event");
        let first = body.get(0).unwrap_or(&body);
        assert!(first.get("specversion").is_some(), "{body}");
    }
}

/// How many events a batch has, each pair of source and id once.
fn distinct(batch: Option<&Json>) -> usize {
    let items = batch.and_then(Json::as_array).expect("a batch is an array");
    let pairs: HashSet<_> = items
        .iter()
        .map(|item| (item["source"].as_str(), item["id"].as_str()))
        .collect();
    pairs.len()
}

/// A redelivery is recognised by source and id of each event.
fn check_keys(translated: &Translated) {
    let Keys::PerEvent(keys) = &translated.keys else {
        panic!("{:?}", translated.keys);
    };
    assert_eq!(keys.len(), translated.events.len());
    let distinct: HashSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len());
}

fn check_event(event: &Event) {
    let payload = parsed(event);
    let attributes = payload["cloudevents"].as_object().expect("attributes");
    for name in ["id", "source", "type"] {
        assert!(
            attributes[name]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{payload}"
        );
    }
    assert!(
        ["1.0", "0.3"].contains(&attributes["specversion"].as_str().unwrap()),
        "{payload}"
    );
    for (name, value) in attributes {
        let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric());
        assert!(named && name != "data", "{name:?}");
        match value {
            Json::String(text) => assert!(!text.chars().any(char::is_control), "{text:?}"),
            Json::Bool(_) => {}
            Json::Number(number) => assert!(!number.to_string().contains(['.', 'e', 'E'])),
            _ => panic!("`{name}` is {value}"),
        }
    }
    assert!(payload.get("data").is_none() || payload.get("data_base64").is_none());
    assert_eq!(event.event, attributes["type"].as_str().unwrap());
    let about = attributes.get("subject").unwrap_or(&attributes["source"]);
    assert_eq!(Some(event.resource_id()), about.as_str());
    check_out(event, &payload);
    if let Some(trace) = trace(event) {
        assert!(trace.parent.is_ascii());
    }
}

/// What goes out comes in again as the same event.
fn check_out(event: &Event, payload: &Json) {
    let json = to_json(event, Some(WEBHOOK), None);
    let mut headers = Headers::new();
    headers.push("content-type", MEDIA_TYPE);
    let body = Bytes::from(json.clone());
    let request = Request {
        headers,
        wire_body: body.clone(),
        body,
        ..request_of(b"POST /hooks/x HTTP/1.1\n\n")
    };
    let translated = match translate(&request, true) {
        Ok(translated) => translated,
        Err(failure) => panic!("{json} is refused: {:?}", failure.problem),
    };
    let [again] = translated.events.as_slice() else {
        panic!("{json} is not one event");
    };
    assert_eq!(
        (again.id, &again.event, &again.resource),
        (event.id, &event.event, &event.resource)
    );
    assert_eq!(again.occurred, event.occurred, "{json}");
    let mut read = parsed(again);
    // Version 0.3 says so of bytes that came in a body.
    if payload["cloudevents"]["specversion"] == "0.3"
        && payload["cloudevents"].get("datacontentencoding").is_none()
        && let Some(attributes) = read["cloudevents"].as_object_mut()
    {
        attributes.remove("datacontentencoding");
    }
    assert_eq!(&read, payload, "{json}");
}

fn parsed(event: &Event) -> Json {
    serde_json::from_str(event.payload.get()).expect("a payload is JSON")
}
