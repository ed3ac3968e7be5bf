//! The templates of `tests/cases/templates.json` with hostile text in place of every text of their bodies: an event has
//! the keys that it has with harmless text, or there is an error.

use super::request;
use crate::model::http_file::Masking;
use crate::translate::{Keys, ParsedBody, Scope, Template, Translator};
use serde_json::Value as Json;
use std::collections::BTreeSet;

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
