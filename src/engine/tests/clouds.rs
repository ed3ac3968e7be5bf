//! CloudEvents from the wire through the log and out again, for any valid event in every mode; and for none.

use super::super::*;
use super::{config, webhook};
use crate::config::Config;
use crate::log::{Append, AppendKeys, EventLog, StoreSettings};
use crate::model::cloud_event;
use crate::model::{Delivery, Headers};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::time::Duration;

const SINGLE: &str = cloud_event::MEDIA_TYPE;
const BATCH: &str = cloud_event::BATCH_MEDIA_TYPE;
/// The mode as a template.
const FILTER: &str = "template = { inline = \"{{ body|from_cloud_event(headers) }}\" }";

fn request(headers: &[(&str, Vec<u8>)], body: &[u8]) -> Request {
    let mut lines = Headers::new();
    for (name, value) in headers {
        lines.push(name, value.clone());
    }
    Request {
        method: "POST".into(),
        path: String::new(),
        query: String::new(),
        headers: lines,
        wire_body: bytes::Bytes::copy_from_slice(body),
        body: bytes::Bytes::copy_from_slice(body),
        peer: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        received: Timestamp::UNIX_EPOCH,
        url: String::new(),
    }
}

fn envelope(kind: &str, body: &Value) -> Request {
    request(
        &[("content-type", kind.as_bytes().to_vec())],
        body.to_string().as_bytes(),
    )
}

/// Text that an attribute may hold.
fn text() -> impl Strategy<Value = String> {
    "[^\u{0}-\u{1f}\u{7f}-\u{9f}\u{fdd0}-\u{fdef}]{1,12}"
        .prop_map(|text| text.replace(|c: char| (u32::from(c) & 0xfffe) == 0xfffe, "-"))
}

fn name() -> impl Strategy<Value = String> {
    "x[a-z0-9]{1,8}"
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::from),
        Just(json!("")),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
    ]
}

fn data() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |f| f.is_finite().then(|| json!(f))),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(".{0,6}", inner, 0..4)
                .prop_map(|map| Value::from(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// What an event holds: nothing, JSON, text, or bytes of a type that says nothing.
fn content() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    use base64::Engine as _;
    let bytes = proptest::collection::vec(any::<u8>(), 1..40);
    prop_oneof![
        Just(Vec::new()),
        data().prop_map(|data| vec![("data", data)]),
        data().prop_map(|data| vec![
            ("datacontenttype", json!("application/vnd.x+json; v=2")),
            ("data", data)
        ]),
        ".{1,20}".prop_map(|text| vec![
            ("datacontenttype", json!("text/plain")),
            ("data", json!(text))
        ]),
        bytes.prop_map(|bytes| vec![
            ("datacontenttype", json!("application/octet-stream")),
            (
                "data_base64",
                json!(base64::prelude::BASE64_STANDARD.encode(bytes))
            ),
        ]),
    ]
}

/// Any valid event in the JSON format.
fn event() -> impl Strategy<Value = Value> {
    let time = (0_i64..4_000_000_000_000_000).prop_map(|micros| {
        let time = Timestamp::from_microsecond(micros).unwrap();
        json!(time.to_string())
    });
    (
        (text(), text(), text()),
        proptest::option::of(text()),
        proptest::option::of(time),
        proptest::collection::btree_map(name(), scalar(), 0..4),
        content(),
    )
        .prop_map(|((id, source, kind), subject, time, extensions, content)| {
            let mut event = Map::new();
            for (name, value) in [
                ("specversion", "1.0"),
                ("id", &id),
                ("source", &source),
                ("type", &kind),
            ] {
                event.insert(name.into(), value.into());
            }
            let subject = subject.map(|subject| ("subject", Value::from(subject)));
            for (name, value) in subject.into_iter().chain(time.map(|time| ("time", time))) {
                event.insert(name.into(), value);
            }
            event.extend(extensions);
            event.extend(content.into_iter().map(|(n, v)| (n.to_owned(), v)));
            event.into()
        })
}

/// Encodes as the HTTP binding demands (3.1.3.2).
fn percent(text: &str) -> Vec<u8> {
    let plain = |b: u8| (0x21..=0x7e).contains(&b) && b != b'"' && b != b'%';
    text.bytes()
        .flat_map(|b| {
            if plain(b) {
                vec![b]
            } else {
                format!("%{b:02x}").into_bytes()
            }
        })
        .collect()
}

/// An event in binary mode; its extensions are texts then.
fn binary(event: &Value) -> (Request, Value) {
    use base64::Engine as _;
    let (mut headers, mut body) = (Vec::new(), Vec::new());
    let mut want = event.clone();
    for (name, value) in event.as_object().unwrap() {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        match name.as_str() {
            "data" if event["datacontenttype"] == "text/plain" => body = text.into_bytes(),
            "data" => body = value.to_string().into_bytes(),
            "data_base64" => {
                body = base64::prelude::BASE64_STANDARD.decode(text).unwrap();
            }
            "datacontenttype" => headers.push(("content-type".to_owned(), text.into_bytes())),
            _ => {
                headers.push((format!("ce-{name}"), percent(&text)));
                want[name] = json!(text);
            }
        }
    }
    let lines: Vec<(&str, Vec<u8>)> = headers.iter().map(|(n, v)| (&**n, v.clone())).collect();
    (request(&lines, &body), want)
}

/// A store, a webhook and the same webhook as a template.
struct World {
    log: std::sync::Arc<dyn EventLog>,
    mode: Config,
    filter: Config,
    _folders: [tempfile::TempDir; 3],
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let day = Duration::from_secs(86_400);
        let settings = StoreSettings {
            path: folder.path().join("data"),
            retention: day * 30,
            requests: day * 30,
            max_size: None,
            dedup: day,
            queue: 64,
        };
        let (log, _) = crate::log::open(&settings, &crate::telemetry::Metrics::new()).unwrap();
        let (mode, one) = config(&webhook("cloudevents = true"), &[]);
        let (filter, two) = config(&webhook(FILTER), &[]);
        Self {
            log,
            mode,
            filter,
            _folders: [folder, one, two],
        }
    }

    /// Translates, appends, reads, and writes out.
    fn round(&self, request: &Request) -> Vec<Value> {
        let made = translate(&self.mode.webhooks[0], request);
        assert_eq!(made.outcome, Outcome::Accepted, "{:?}", made.error);
        let delivery = Delivery {
            id: uuid::Uuid::now_v7(),
            received: request.received,
            webhook: Some("w".to_owned()),
            provider: None,
            outcome: made.outcome,
            code: None,
            status: 204,
            key: None,
            error: None,
            events: made.events,
            notes: Vec::new(),
            duplicate_of: None,
            replay_of: None,
            request: None,
            verification: None,
            masked: Vec::new(),
            timing: None,
            trace: None,
        };
        let append = Append {
            delivery,
            request: None,
            keys: AppendKeys::None,
            contents: Vec::new(),
        };
        let done = self.log.append(append).unwrap().blocking_recv().unwrap();
        let record = self.log.get(done.unwrap().seq).unwrap().unwrap();
        let events = record.delivery.events.iter();
        events
            .map(|event| {
                serde_json::from_str(&cloud_event::to_json(event, Some("w"), None)).unwrap()
            })
            .collect()
    }

    /// The mode and the filter make the same of a request; only the id is the mode's alone.
    fn same(&self, request: &Request) {
        let plain = |config: &Config| {
            let made = translate(&config.webhooks[0], request);
            let mut events = serde_json::to_value(&made.events).unwrap();
            for event in events.as_array_mut().unwrap() {
                event.as_object_mut().unwrap().remove("id");
            }
            (made.outcome, events)
        };
        assert_eq!(plain(&self.mode), plain(&self.filter));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.log.close();
    }
}

#[test]
fn any_valid_event_survives() {
    let world = World::new();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(200));
    let events = proptest::collection::vec(event(), 1..4);
    runner
        .run(&events, |mut events| {
            for (n, event) in events.iter_mut().enumerate() {
                event["id"] = json!(format!("{n}{}", event["id"].as_str().unwrap()));
            }
            let first = &events[0];
            let structured = envelope(SINGLE, first);
            prop_assert_eq!(&world.round(&structured), &events[..1]);
            let batch = envelope(BATCH, &Value::from(events.clone()));
            prop_assert_eq!(&world.round(&batch), &events);
            let (binary, want) = binary(first);
            prop_assert_eq!(world.round(&binary), vec![want]);
            for request in [&structured, &batch, &binary] {
                world.same(request);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn any_other_event_comes_back() {
    let back = r#"cloudevents = { id = "{{ cloudevent.id }}", payload = "{{ cloudevent.data }}", follows = "{{ cloudevent.hookgatefollows }}", event = "{{ cloudevent.hookgateevent|fromjson if cloudevent.hookgateevent else none }}", resource = "{{ cloudevent.hookgateresource|fromjson if cloudevent.hookgateresource else none }}", related = "{{ cloudevent.hookgaterelated|fromjson if cloudevent.hookgaterelated else none }}" }"#;
    let (from, _one) = config(&webhook("template = { inline = \"{{ body }}\" }"), &[]);
    let (to, _two) = config(&webhook(back), &[]);
    let labels = || proptest::collection::btree_map(".{1,6}", ".{0,6}", 0..3);
    let strategy = (
        (
            ".{1,12}",
            ".{1,12}",
            labels(),
            proptest::option::of(labels()),
        ),
        (data(), any::<bool>(), 0_i64..4_000_000_000_000_000),
    );
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(200));
    runner
        .run(
            &strategy,
            |((name, id, labels, related), (data, follows, micros))| {
                let mut event = json!({"event": name, "resource": labels, "payload": {"d": data},
                    "occurred": Timestamp::from_microsecond(micros).unwrap().to_string()});
                event["resource"]["prefect.resource.id"] = json!(id);
                if follows {
                    event["follows"] = json!(uuid::Uuid::now_v7());
                }
                if let Some(mut labels) = related {
                    labels.insert("prefect.resource.id".into(), "r".into());
                    labels.insert("prefect.resource.role".into(), "x".into());
                    event["related"] = json!([labels]);
                }
                let made = translate(&from.webhooks[0], &envelope("application/json", &event));
                prop_assert_eq!(made.outcome, Outcome::Accepted, "{:?}", made.error);
                let out = cloud_event::to_json(&made.events[0], Some("w"), None);
                // Another reader takes it for a CloudEvent too.
                let theirs: cloudevents::Event = serde_json::from_str(&out).unwrap();
                prop_assert_eq!(
                    cloudevents::AttributesReader::id(&theirs),
                    made.events[0].id.to_string()
                );
                let request = request(&[("content-type", SINGLE.into())], out.as_bytes());
                let again = translate(&to.webhooks[0], &request);
                prop_assert_eq!(again.outcome, Outcome::Accepted, "{:?}", again.error);
                prop_assert_eq!(
                    serde_json::to_string(&made.events).unwrap(),
                    serde_json::to_string(&again.events).unwrap()
                );
                Ok(())
            },
        )
        .unwrap();
}

/// Changes bytes of a document: some replaced, some inserted, some taken away, the rest cut off.
fn mutated(mut body: Vec<u8>, changes: &[(u16, u8, u8)]) -> Vec<u8> {
    const BYTES: &[u8] = b"{}[]\",:\\u0dn\xff\xe9 -1.e";
    for (place, how, byte) in changes {
        if body.is_empty() {
            break;
        }
        let at = usize::from(*place) % body.len();
        let new = BYTES[usize::from(*byte) % BYTES.len()];
        match how % 4 {
            0 => body[at] = new,
            1 => body.insert(at, new),
            2 => drop(body.remove(at)),
            _ if how % 16 == 3 => body.truncate(at),
            _ => body.splice(at..at, body[at..].to_vec()).for_each(drop),
        }
        body.truncate(64 * 1024);
    }
    body
}

#[test]
fn any_document_is_judged() {
    let world = World::new();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(400));
    let changes = proptest::collection::vec(any::<(u16, u8, u8)>(), 0..6);
    let kinds = prop_oneof![
        Just(SINGLE),
        Just(BATCH),
        Just("application/json"),
        Just("")
    ];
    runner
        .run(
            &(
                proptest::collection::vec(event(), 1..3),
                any::<bool>(),
                kinds,
                changes,
            ),
            |(events, single, kind, changes)| {
                let body = match single {
                    true => events[0].to_string(),
                    false => Value::from(events).to_string(),
                };
                let body = mutated(body.into_bytes(), &changes);
                let request = request(&[("content-type", kind.into())], &body);
                let made = translate(&world.mode.webhooks[0], &request);
                // All or nothing, and what is taken can be given.
                prop_assert!(made.events.is_empty() || made.error.is_none());
                for event in &made.events {
                    let out = cloud_event::to_json(event, Some("w"), None);
                    prop_assert!(serde_json::from_str::<Value>(&out).is_ok(), "{}", out);
                }
                Ok(())
            },
        )
        .unwrap();
}

#[test]
fn the_mapping_can_be_overridden() {
    let run = |lines: &str, body: &Value| {
        let (config, _folder) = config(&webhook(lines), &[]);
        translate(&config.webhooks[0], &envelope(BATCH, body))
    };
    let lines = r#"cloudevents = { event = "{{ cloudevent.source }}.{{ cloudevent.type }}", resource = { "prefect.resource.id" = "r.{{ cloudevent.data.id }}", "n" = "{{ cloudevent.n }}" }, payload = "{{ cloudevent.data.inner }}", occurred = "{{ cloudevent.data.at }}" }"#;
    let body = json!([
        {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "n": 7, "time": "2026-01-02T00:00:00Z",
            "data": {"id": 5, "inner": {"x": 1}, "at": 1_700_000_000}},
        {"specversion": "1.0", "id": "2", "source": "s", "type": "t", "time": "2026-01-02T00:00:00Z", "data": {"id": 6}},
    ]);
    let made = run(lines, &body);
    let [a, b] = made.events.as_slice() else {
        panic!("{:?}", made.error)
    };
    let plain = run("cloudevents = true", &body);
    assert_eq!((&*a.event, a.resource_id()), ("s.t", "r.5"));
    assert_eq!(a.resource["n"], "7");
    assert_eq!(a.payload.get(), r#"{"x":1}"#);
    assert_eq!(a.occurred.to_string(), "2023-11-14T22:13:20Z");
    // What gives nothing leaves the mapping as it is; ids and keys are not touched.
    assert_eq!(b.resource.get("n"), None);
    assert_eq!(b.payload.get(), plain.events[1].payload.get());
    assert_eq!(b.occurred.to_string(), "2026-01-02T00:00:00Z");
    assert_eq!((a.id, b.id), (plain.events[0].id, plain.events[1].id));
    assert_eq!(made.keys, plain.keys);
    let failed = run(
        "cloudevents = { event = \"{{ 1 / cloudevent.data.id }}\" }",
        &json!([
            {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": {"id": 1}},
            {"specversion": "1.0", "id": "2", "source": "s", "type": "t", "data": {"id": 0}},
        ]),
    );
    let problem = failed.error.unwrap();
    assert_eq!(failed.outcome, Outcome::Parked);
    assert!(
        problem.message.starts_with("Event 1: `event`:"),
        "{problem:?}"
    );
    assert_eq!(problem.place.unwrap().line, 4);
}
