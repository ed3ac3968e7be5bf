//! The default templates under `undefined = "error"`: none of them prints what a request has not, whichever part of a
//! sample its sender leaves out.

use super::tests::{default_translator, translate_with};
use super::*;
use crate::model::Request;
use crate::model::http_file;
use bytes::Bytes;
use jiff::Timestamp;

/// Parts of one sample that are left out in turn.
const PARTS_MAX: usize = 60;

/// The objects and lists in a value, as pointers, from the outermost on.
fn parts(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), value)];
    while let Some((pointer, value)) = open.pop() {
        let members: Vec<(String, &Value)> = match value {
            Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), v)).collect(),
            Value::Array(list) => (0..)
                .zip(list)
                .map(|(i, v): (usize, _)| (i.to_string(), v))
                .collect(),
            _ => continue,
        };
        for (key, value) in members {
            let key = key.replace('~', "~0").replace('/', "~1");
            let pointer = format!("{pointer}/{key}");
            if value.is_object() || value.is_array() {
                found.push(pointer.clone());
            }
            open.push((pointer, value));
        }
    }
    found.sort_by_key(|pointer| pointer.matches('/').count());
    found.truncate(PARTS_MAX);
    found
}

/// The value without what a pointer names.
fn without(value: &Value, pointer: &str) -> Value {
    let mut value = value.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/").replace("~0", "~");
    match value.pointer_mut(parent).unwrap() {
        Value::Object(map) => drop(map.remove(&key)),
        Value::Array(list) => drop(list.remove(key.parse().unwrap())),
        other => panic!("{other}"),
    }
    value
}

fn with_body(request: &Request, value: &Value) -> Request {
    let body = Bytes::from(value.to_string());
    Request {
        wire_body: body.clone(),
        body,
        ..request.clone()
    }
}

#[test]
fn no_sample_nor_one_that_lacks_a_part_prints_what_is_not_there() {
    let mut failures = Vec::new();
    let mut count = 0;
    for name in names(None) {
        let provider = load(&name, None).unwrap();
        let translator = default_translator(&provider);
        for sample in samples(&name, None).unwrap() {
            let request = http_file::parse(&sample.request, Timestamp::UNIX_EPOCH).unwrap();
            let mut requests = Vec::new();
            if let Ok(body) = serde_json::from_slice::<Value>(&request.body) {
                let parts = parts(&body);
                requests.extend(parts.iter().map(|part| {
                    (
                        format!(" without {part}"),
                        with_body(&request, &without(&body, part)),
                    )
                }));
            }
            requests.push((String::new(), request));
            count += requests.len();
            // An undefined value that was printed is an error there.
            let wrong = requests.iter().find_map(|(what, request)| {
                let error = translate_with(&translator, &provider, request).err()?;
                Some(format!("{name}/{}{what}: {error}", sample.name))
            });
            failures.extend(wrong);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(count > 1_000, "{count}");
}
