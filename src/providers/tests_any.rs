//! The default templates against payloads that nobody has documented: samples with a value replaced, left out or
//! cut, and JSON of any shape. They never fail, and never make an event without a name or a resource.

use super::tests::{default_translator, translate_with};
use super::*;
use crate::model::http_file;
use crate::model::{Headers, Request};
use crate::translate::Translator;
use bytes::Bytes;
use jiff::Timestamp;

/// Numbers that look random and are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(n.max(1)).unwrap()).unwrap()
    }

    fn scalar(&mut self) -> Value {
        let texts = [
            "",
            "a",
            "\"",
            "\\",
            "{{ x }}",
            "null",
            "true",
            "[1]",
            "{\"a\":1}",
            "0",
            "17",
            "1767225600",
            "2026-01-01T00:00:00Z",
            "2026-13-45",
            "x/y:z",
            "\u{0}",
            "\u{1f600}",
            "soon",
        ];
        match self.below(8) {
            0 => Value::Null,
            1 => Value::Bool(self.below(2) == 0),
            2 => json!(self.below(5)),
            3 => json!(-1.5e300),
            4 => json!(u64::MAX),
            _ => json!(texts[self.below(texts.len())]),
        }
    }

    fn value(&mut self, depth: usize) -> Value {
        let keys = [
            "id", "type", "event", "data", "object", "name", "payload", "user", "action", "0",
        ];
        match self.below(if depth == 0 { 1 } else { 3 }) {
            0 => self.scalar(),
            1 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            _ => {
                let pairs = (0..self.below(5)).map(|_| {
                    (
                        keys[self.below(keys.len())].to_owned(),
                        self.value(depth - 1),
                    )
                });
                Value::Object(pairs.collect())
            }
        }
    }

    /// Changes one value somewhere.
    fn mutate(&mut self, value: &mut Value) {
        let inner = match value {
            Value::Object(map) => map.len(),
            Value::Array(list) => list.len(),
            _ => 0,
        };
        if inner == 0 || self.below(4) == 0 {
            *value = self.value(2);
            return;
        }
        let at = self.below(inner);
        let remove = self.below(6) == 0;
        match value {
            Value::Object(map) => {
                let key = map.keys().nth(at).unwrap().clone();
                if remove {
                    map.remove(&key);
                } else {
                    self.mutate(map.get_mut(&key).unwrap());
                }
            }
            Value::Array(list) if remove => drop(list.remove(at)),
            Value::Array(list) => self.mutate(&mut list[at]),
            _ => {}
        }
    }
}

fn with_body(request: &Request, body: Vec<u8>) -> Request {
    let body = Bytes::from(body);
    Request {
        wire_body: body.clone(),
        body,
        ..request.clone()
    }
}

/// A sample changed: a value of its JSON (in a field of a form, too), or its bytes.
fn changed(dice: &mut Dice, request: &Request) -> Request {
    if let Ok(mut value) = serde_json::from_slice::<Value>(&request.body) {
        for _ in 0..=dice.below(3) {
            dice.mutate(&mut value);
        }
        return with_body(request, value.to_string().into_bytes());
    }
    let form = request.media_type() == "application/x-www-form-urlencoded";
    if form && dice.below(4) > 0 {
        let mut out = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(&request.body) {
            let value = match serde_json::from_str::<Value>(&value) {
                _ if dice.below(3) > 0 => value.into_owned(),
                Ok(mut inner) => {
                    dice.mutate(&mut inner);
                    inner.to_string()
                }
                Err(_) => dice.scalar().to_string(),
            };
            if dice.below(6) > 0 {
                out.append_pair(&name, &value);
            }
        }
        return with_body(request, out.finish().into_bytes());
    }
    let mut body = request.body.to_vec();
    body.truncate(dice.below(body.len() + 1));
    with_body(request, body)
}

/// What is wrong with the events of a request.
fn wrong(translator: &Translator, provider: &Provider, request: &Request) -> Option<String> {
    let body = String::from_utf8_lossy(&request.body);
    let events = match translate_with(translator, provider, request) {
        Ok(events) => events,
        Err(error) => return Some(format!("{error}\n{body}")),
    };
    for event in events {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or("");
        let id = text("/resource/prefect.resource.id");
        for text in [text("/event"), id] {
            if text.is_empty() || text.ends_with('.') || text.contains("undefined") {
                return Some(format!("{}: {event}\n{body}", provider.name));
            }
        }
        let related = event["related"].as_array().into_iter().flatten();
        let mut ids = related.filter_map(|r| r["prefect.resource.id"].as_str());
        if !event["payload"].is_object() || ids.any(|id| id.ends_with('.')) {
            return Some(format!("{}: {event}\n{body}", provider.name));
        }
    }
    None
}

#[test]
fn samples_changed_anywhere_still_become_events() {
    let rounds = std::env::var("ROUNDS").ok().and_then(|n| n.parse().ok());
    let rounds = rounds.unwrap_or(6);
    let only = std::env::var("PROVIDER").ok();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut failures = Vec::new();
    for name in names(None) {
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        let provider = load(&name, None).unwrap();
        let translator = default_translator(&provider);
        let mut requests = Vec::new();
        for sample in samples(&name, None).unwrap() {
            let mut request = http_file::parse(&sample.request, Timestamp::UNIX_EPOCH).unwrap();
            requests.extend((0..rounds).map(|_| changed(&mut dice, &request)));
            requests.extend((0..2).map(|_| {
                let body = dice.value(4).to_string();
                with_body(&request, body.into_bytes())
            }));
            request.headers = Headers::new();
            request.headers.push("Content-Type", "application/json");
            let body = dice.value(3).to_string();
            requests.push(with_body(&request, body.into_bytes()));
        }
        let mut wrong = requests
            .iter()
            .filter_map(|request| wrong(&translator, &provider, request));
        failures.extend(wrong.next());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
