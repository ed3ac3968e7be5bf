//! JSON Schemas: of `webhooks.toml`, for editors, and of events.
//!
//! That of the file is draft 4, which is what the editors' TOML servers read (taplo). What each key means comes out of
//! the tables of `docs/configuration.md`, so that it is written once. It says what fits where; what is right beyond
//! that, `hookgate check` says.

use serde_json::{Map, Value, json};

const WEBHOOKS: &str = include_str!("webhooks.json");
const EVENT: &str = include_str!("event.json");
const DOCS: &str = include_str!("../../../docs/configuration.md");

/// Headings of the documentation, and the definition that each is about.
const TABLES: [(&str, &str); 4] = [
    ("## [server]", "server"),
    ("## [store]", "store"),
    ("## [[sink]]", "sink"),
    ("## [[webhook]]", "webhook"),
];

/// The schema of `webhooks.toml`, draft 4, with what each key means for people (`description`, `x-taplo`).
#[must_use]
pub fn webhooks() -> Value {
    // It is compiled in and read by a test.
    let mut schema = serde_json::from_str(WEBHOOKS).unwrap_or(Value::Null);
    for (heading, name) in TABLES {
        let pointer = format!("/definitions/{name}/properties");
        let properties = schema.pointer_mut(&pointer).and_then(Value::as_object_mut);
        if let Some(properties) = properties {
            explain(properties, heading);
        }
    }
    schema
}

/// The schema of an event, draft 7.
#[must_use]
pub fn event() -> Value {
    serde_json::from_str(EVENT).unwrap_or(Value::Null)
}

fn explain(properties: &mut Map<String, Value>, heading: &str) {
    for (keys, meaning) in rows(heading) {
        for key in keys {
            let Some(property) = properties.get_mut(key) else {
                continue;
            };
            // Draft 4 looks at nothing beside a `$ref`.
            let kind = std::mem::take(property);
            *property = json!({
                "description": meaning,
                "x-taplo": { "docs": { "main": meaning } },
                "allOf": [kind],
            });
        }
    }
}

/// The rows of a table: its keys, and what they mean.
fn rows(heading: &str) -> Vec<(Vec<&'static str>, String)> {
    let lines = DOCS.lines().skip_while(|line| *line != heading).skip(1);
    let table = lines.take_while(|line| !line.starts_with("## "));
    let cells = table.filter_map(|line| {
        let line = line.strip_prefix('|')?.strip_suffix('|')?;
        let mut cells = line.splitn(3, '|').map(str::trim);
        let (names, default, meaning) = (cells.next()?, cells.next()?, cells.next()?);
        let keys: Vec<_> = names.split('`').skip(1).step_by(2).collect();
        let default = match default {
            "" | "–" => String::new(),
            "required" => "Required. ".to_owned(),
            default => format!("Default: {default}. "),
        };
        Some((keys, format!("{default}{meaning}").trim().to_owned()))
    });
    cells.filter(|(keys, _)| !keys.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, load_text};

    fn keys(definition: &str) -> Vec<String> {
        let schema = webhooks();
        let pointer = format!("/definitions/{definition}/properties");
        let properties = schema.pointer(&pointer).unwrap().as_object().unwrap();
        properties.keys().cloned().collect()
    }

    #[test]
    fn every_documented_key_is_in_it_and_explained() {
        for (heading, definition) in TABLES {
            let known = keys(definition);
            for (keys, _) in rows(heading) {
                for key in keys {
                    assert!(known.iter().any(|k| k == key), "{definition}.{key}");
                }
            }
            let schema = webhooks();
            for key in known.iter().filter(|key| *key != "test") {
                let property = &schema["definitions"][definition]["properties"][key];
                assert!(property["description"].is_string(), "{definition}.{key}");
            }
        }
    }

    /// A key that the schema allows is one that the file may have.
    #[test]
    fn every_key_in_it_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("webhooks.toml");
        let is_known = |head: &str, key: &str| {
            // The value is wrong everywhere; only the key is asked for.
            let text = format!("{head}\n{key} = 1979-05-27\n");
            let loaded = load_text(&file, text, &Overrides::default());
            let mut found = loaded.findings.iter();
            !found.any(|finding| finding.problem.code == crate::codes::UNKNOWN_KEY)
        };
        let kinds =
            ["prefect", "http", "ndjson"].map(|kind| format!("[[sink]]\nkind = \"{kind}\""));
        let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
        for (heads, definition) in [
            (&["[server]"][..], "server"),
            (&["[store]"], "store"),
            (&kinds, "sink"),
            (&["[[webhook]]"], "webhook"),
        ] {
            for key in keys(definition).iter().filter(|key| *key != "kind") {
                let known = heads.iter().any(|head| is_known(head, key));
                assert!(known, "{definition}.{key}");
            }
        }
    }

    #[test]
    fn it_is_of_the_draft_that_editors_read() {
        let schema = webhooks();
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-04/schema#");
        let text = schema.to_string();
        // Words of later drafts.
        for word in [
            "\"const\"",
            "\"if\"",
            "\"$defs\"",
            "\"examples\"",
            "\"$id\"",
        ] {
            assert!(!text.contains(word), "{word}");
        }
        let listen = &schema["definitions"]["server"]["properties"]["listen"];
        let docs = listen["x-taplo"]["docs"]["main"].as_str().unwrap();
        assert!(docs.starts_with("Default: `127.0.0.1:8080`."), "{docs}");
        assert_eq!(event()["required"].as_array().unwrap().len(), 7);
    }
}
