//! The templates of `tests/cases/templates.json` with hostile text in place of every text of their bodies: an event has
//! the keys that it has with harmless text, or there is an error.

use super::request;
use crate::model::Request;
use crate::model::http_file::{self, Masking};
use crate::translate::{Keys, ParsedBody, Scope, Template, Translator};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const HOSTILE: &[&str] = &[
    "\"",
    "\\",
    "a\\\"b",
    "x\", \"event\": \"taken\", \"y\": \"",
    "\"}, \"event\": \"taken\", \"resource\": {\"prefect.resource.id\": \"evil\"}, \"z\": {\"q\": \"",
    "line\nbreak\u{0}\u{1f}\u{7f}\u{2028}",
    "{{ body }}{% raw %}",
    "\u{fdd0}\u{fdd1}\u{ffff}\u{feff}",
    "__proto__",
    "'",
    "</script>",
    "\\u0022, \\",
];

fn replaced(value: &Json, by: &str) -> Json {
    match value {
        Json::String(_) => Json::from(by),
        Json::Array(items) => items.iter().map(|item| replaced(item, by)).collect(),
        Json::Object(members) => members
            .iter()
            .map(|(key, item)| (key.clone(), replaced(item, by)))
            .collect(),
        other => other.clone(),
    }
}

/// The paths of keys of an event, its payload's default left out.
fn keys(value: &Json, path: &str, out: &mut BTreeSet<String>) {
    match value {
        Json::Object(members) => {
            for (key, item) in members {
                let path = format!("{path}/{key}");
                keys(item, &path, out);
                out.insert(path);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| keys(item, path, out)),
        _ => {}
    }
}

fn shape(
    translator: &Translator,
    headers: &[(&str, &str)],
    body: &Json,
) -> Option<Vec<BTreeSet<String>>> {
    let request = request(headers, body.to_string().as_bytes());
    let translated = translator
        .translate(&Scope {
            request: &request,
            webhook: "c",
            masking: &Masking::default(),
            keys: &Keys::None,
            own_keys: false,
            default_payload: false,
            body: &ParsedBody::default(),
        })
        .ok()?;
    let shapes = translated.events.iter().map(|event| {
        let mut out = BTreeSet::new();
        keys(&serde_json::to_value(event).unwrap(), "", &mut out);
        out
    });
    Some(shapes.collect())
}

#[test]
fn no_value_adds_a_key() {
    let cases: Vec<Json> =
        serde_json::from_str(include_str!("../../../tests/cases/templates.json")).unwrap();
    let (mut count, mut bad) = (0, Vec::new());
    for case in &cases {
        let source = case["template"].as_str().unwrap();
        let Ok(body) = serde_json::from_str::<Json>(case["request"]["body"].as_str().unwrap_or(""))
        else {
            continue;
        };
        let Ok(template) = Template::compile("t", source.to_owned()) else {
            continue;
        };
        let translator = Translator::Template(template);
        let headers: Vec<(&str, &str)> = vec![("content-type", "application/json")];
        // Where harmless texts already give different keys, keys are made of values on purpose.
        let tame = shape(&translator, &headers, &replaced(&body, "aa"));
        let Some(tame) = tame.filter(|tame| {
            ["zz top, b", "x y;z"].iter().all(|other| {
                shape(&translator, &headers, &replaced(&body, other)).as_ref() == Some(tame)
            })
        }) else {
            continue;
        };
        for hostile in HOSTILE {
            count += 1;
            if let Some(found) = shape(&translator, &headers, &replaced(&body, hostile))
                && found != tame
            {
                bad.push(format!(
                    "{}: {hostile:?} gives {found:?} for {tame:?}",
                    case["name"]
                ));
            }
        }
    }
    assert!(count > 2_000, "{count}");
    assert!(
        bad.is_empty(),
        "{} of {count}:\n{}",
        bad.len(),
        bad.join("\n")
    );
}

/// Every leaf of an event with its path.
fn leaves(value: &Json, path: &str, out: &mut BTreeMap<String, Json>) {
    match value {
        Json::Object(members) if !members.is_empty() => {
            for (key, item) in members {
                leaves(item, &format!("{path}/{key}"), out);
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for (i, item) in items.iter().enumerate() {
                leaves(item, &format!("{path}/{i}"), out);
            }
        }
        other => {
            out.insert(path.to_owned(), other.clone());
        }
    }
}

/// The leaves of the events that a request becomes; none where that is an error.
fn events_of(translator: &Translator, request: &Request) -> Option<BTreeMap<String, Json>> {
    let translated = translator
        .translate(&Scope {
            request,
            webhook: "c",
            masking: &Masking::default(),
            keys: &Keys::None,
            own_keys: false,
            default_payload: false,
            body: &ParsedBody::default(),
        })
        .ok()?;
    let mut out = BTreeMap::new();
    for (i, event) in translated.events.iter().enumerate() {
        let mut event = serde_json::to_value(event).unwrap();
        event.as_object_mut().unwrap().remove("id");
        leaves(&event, &i.to_string(), &mut out);
    }
    Some(out)
}

/// The pointers to the texts of a body.
fn texts(value: &Json, path: &str, out: &mut Vec<String>) {
    match value {
        Json::String(_) => out.push(path.to_owned()),
        Json::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                texts(item, &format!("{path}/{i}"), out);
            }
        }
        Json::Object(members) => {
            for (key, item) in members {
                let key = key.replace('~', "~0").replace('/', "~1");
                texts(item, &format!("{path}/{key}"), out);
            }
        }
        _ => {}
    }
}

/// Texts that are JSON, or a part of a list of it: printed outside of quotes, what they are is theirs to say.
const FRAGMENTS: &[&str] = &[
    "null",
    "1, 2",
    "{\"evil\": 1}",
    "[[1]]",
    ",",
    "-0",
    "1e400",
    "\"q\"",
];
/// What must stay where it is printed.
const BREAKERS: &[&str] = &[
    "x\", \"evil\": \"1",
    "x\"}, {\"evil\": \"",
    "}]}",
    "\\",
    "\\\"",
    "\\u0022, \\u0022evil\\u0022: 1",
    "\u{202e}\u{200b}\u{fdd0}\u{fdd1}\u{ffff}\u{0}",
    "a', 'b",
    "<!-- {{ body }} {% raw %}",
    "1, \"evil\": 2",
];
/// Texts that no one means harm with.
const TAME: &[&str] = &[
    "aa",
    "Zz top b",
    "",
    "2026-01-02T03:04:05Z and a long tail of words, of forty or more letters",
];

/// Puts one hostile text after another in the place of each text of a body: leaves of the event that do not depend on
/// that text stay, and no others come. Gives how many were tried, and what went wrong.
fn others_stay(
    name: &str,
    translator: &Translator,
    request: &Request,
    tries: usize,
) -> (usize, Vec<String>) {
    let Ok(body) = serde_json::from_slice::<Json>(&request.body) else {
        return (0, Vec::new());
    };
    let mut pointers = Vec::new();
    texts(&body, "", &mut pointers);
    let with = |pointer: &str, text: &str| {
        let mut body = body.clone();
        *body.pointer_mut(pointer).unwrap() = Json::from(text);
        let mut request = request.clone();
        request.body = bytes::Bytes::from(body.to_string());
        events_of(translator, &request)
    };
    let (mut count, mut bad) = (0, Vec::new());
    for (i, pointer) in pointers.iter().enumerate() {
        let tame: Option<Vec<_>> = TAME.iter().map(|text| with(pointer, text)).collect();
        let Some(tame) = tame else { continue };
        let Some((first, rest)) = tame.split_first() else {
            continue;
        };
        // Where harmless texts already give other leaves, more than a value depends on this one.
        if rest.iter().any(|other| !other.keys().eq(first.keys())) {
            continue;
        }
        let steady: BTreeMap<_, _> = first
            .iter()
            .filter(|(path, value)| rest.iter().all(|other| other.get(*path) == Some(value)))
            .collect();
        for t in 0..tries {
            let at = i * tries + t;
            let (text, json) = match at % 3 {
                0 => (FRAGMENTS[at / 3 % FRAGMENTS.len()], true),
                _ => (BREAKERS[at % BREAKERS.len()], false),
            };
            count += 1;
            let Some(found) = with(pointer, text) else {
                continue;
            };
            let changed = steady
                .iter()
                .find(|(path, value)| found.get(**path) != Some(**value));
            // A fragment of JSON may be more than one value, at its own place.
            let inside = |path: &str| {
                first
                    .keys()
                    .filter(|own| !steady.contains_key(own))
                    .any(|own| {
                        let place = own.rsplit_once('/').map_or("", |(place, _)| place);
                        path.starts_with(&format!("{own}/"))
                            || path.starts_with(&format!("{place}/"))
                    })
            };
            let stray = found
                .keys()
                .filter(|path| !first.contains_key(*path))
                .find(|path| !json || !inside(path));
            if changed.is_some() || stray.is_some() {
                bad.push(format!(
                    "{name} {pointer} {text:?}: changed {changed:?}, new {stray:?}"
                ));
            }
        }
    }
    (count, bad)
}

fn assert_none(count: usize, least: usize, bad: &[String]) {
    assert!(count > least, "{count}");
    assert!(
        bad.is_empty(),
        "{} of {count}:\n{}",
        bad.len(),
        bad.join("\n")
    );
}

#[test]
fn no_value_changes_another() {
    let cases: Vec<Json> =
        serde_json::from_str(include_str!("../../../tests/cases/templates.json")).unwrap();
    let (mut count, mut bad) = (0, Vec::new());
    // Every so many, since each is rendered dozens of times.
    for case in cases.iter().step_by(7) {
        let source = case["template"].as_str().unwrap();
        let Ok(template) = Template::compile("t", source.to_owned()) else {
            continue;
        };
        let body = case["request"]["body"].as_str().unwrap_or("");
        let request = request(&[("content-type", "application/json")], body.as_bytes());
        let name = case["name"].as_str().unwrap();
        let (tried, wrong) = others_stay(name, &Translator::Template(template), &request, 2);
        count += tried;
        bad.extend(wrong);
    }
    assert_none(count, 500, &bad);
}

#[test]
fn no_value_changes_another_in_a_providers_event() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/providers");
    let (mut count, mut bad) = (0, Vec::new());
    for provider in std::fs::read_dir(folder).unwrap() {
        let provider = provider.unwrap().path();
        let Ok(source) = std::fs::read_to_string(provider.join("event.json.j2")) else {
            continue;
        };
        let translator = Translator::Template(Template::compile("t", source).unwrap());
        let Ok(samples) = std::fs::read_dir(provider.join("samples")) else {
            continue;
        };
        let mut samples: Vec<_> = samples.map(|sample| sample.unwrap().path()).collect();
        samples.sort();
        let http = samples
            .iter()
            .filter(|path| path.extension().is_some_and(|e| e == "http"));
        for sample in http.take(1) {
            let text = std::fs::read(sample).unwrap();
            let Ok(request) = http_file::parse(&text, jiff::Timestamp::UNIX_EPOCH) else {
                continue;
            };
            let name = sample.display().to_string();
            let (tried, wrong) = others_stay(&name, &translator, &request, 1);
            count += tried;
            bad.extend(wrong);
        }
    }
    assert_none(count, 500, &bad);
}

const EVERYWHERE: &str = r#"{"event": "e", "resource": {"prefect.resource.id": "r"}, "payload": {
 "header": "{{ headers['x-h'] }}", "query": "{{ query.q }}", "path": {{ path }}, "field": "{{ body.f }}", "all": [{% if body is mapping %}{% for k in body %}"{{ k }}"{{ "," if not loop.last }}{% endfor %}{% endif %}],
 "text": {{ (body|string)|tojson }}, "keys": { {% for k, v in query.items() %}"{{ k }}": {{ v|tojson }}{{ "," if not loop.last }}{% endfor %} }, "end": 1}}"#;

proptest! {
    #[test]
    fn nothing_of_a_request_breaks_out(bytes in proptest::collection::vec(any::<u8>(), 0..40), at in 0..BREAKERS.len(), kind in 0..4_usize) {
        let translator = Translator::Template(Template::compile("t", EVERYWHERE.to_owned()).unwrap());
        let value = [BREAKERS[at].as_bytes(), &bytes].concat();
        let encoded: String = form_urlencoded::byte_serialize(&value).collect();
        let (kind, body) = match kind {
            0 => ("application/x-www-form-urlencoded", format!("f={encoded}&{encoded}=1").into_bytes()),
            1 => ("text/plain", value.clone()),
            2 => ("application/json", json!({"f": String::from_utf8_lossy(&value), String::from_utf8_lossy(&value).into_owned(): 1}).to_string().into_bytes()),
            _ => {
                let mut body = b"--b\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n".to_vec();
                body.extend_from_slice(&value);
                body.extend_from_slice(b"\r\n--b--\r\n");
                ("multipart/form-data; boundary=b", body)
            }
        };
        let line: String = String::from_utf8_lossy(&value).chars().filter(|c| !c.is_control()).collect();
        let mut request = request(&[("content-type", kind), ("x-h", &line)], &body);
        request.query = format!("q={encoded}&{encoded}=2");
        request.path = format!("/{line}");
        let events = events_of(&translator, &request);
        prop_assert!(events.is_some());
        let events = events.unwrap_or_default();
        prop_assert_eq!(&events["0/payload/end"], &json!(1));
        prop_assert!(events["0/payload/header"].is_string() && events["0/payload/query"].is_string());
        prop_assert!(!events.keys().any(|path| path.contains("/evil") && !path.contains("/keys/")));
        prop_assert_eq!(events["0/event"].as_str(), Some("e"));
    }
}
