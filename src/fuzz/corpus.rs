//! Templates that print JSON, over requests that want to break it: an event has the keys that the template's text has.

use super::leaves::{self, LEAVES, Texts};
use super::{check_events, check_shown, in_scope, request_of};
use crate::model::limits::EVENT_NAME_CHARS_MAX;
use crate::model::{Event, Request};
use crate::translate::{Failure, Keys, Template, Translated, Translator};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// The cases of templates.
const CASES: &str = include_str!("../../tests/cases/templates.json");
/// Harmless texts: where they give different keys, keys are made of values on purpose.
const TAME: [&str; 3] = ["aa", "zz top, b", "x y;z"];
/// A text that is JSON by itself: printed outside a string it is a value, of whatever type its sender chose.
const WHOLE: &str = r#"{"zqzq":[{"zqzq":1}]}"#;

/// Which template (the first two bytes: 0 is ours, of which every value is known; else one of the cases) and texts,
/// a line each, that take the place of the texts in its request: the event has no key but the template's.
///
/// # Panics
/// When it has.
pub fn template_safe(bytes: &[u8]) {
    let Some(([low, high], rest)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    // `\n` written out is a line break within a text.
    let texts: Vec<String> = text
        .split('\n')
        .map(|line| line.replace("\\n", "\n"))
        .collect();
    let which = usize::from(u16::from_le_bytes([*low, *high]));
    if which == 0 {
        return check_leaves(&texts);
    }
    let cases = cases();
    let case = &cases[which % cases.len()];
    if let Some(safe) = case
        .safe
        .get_or_init(|| Safe::of(&case.template, &case.body))
    {
        safe.check(&case.body, &texts);
    }
}

/// A case of which not much is known yet.
struct Case {
    template: String,
    body: Json,
    safe: OnceLock<Option<Safe>>,
}

fn cases() -> &'static [Case] {
    static ALL: OnceLock<Vec<Case>> = OnceLock::new();
    ALL.get_or_init(|| {
        let all: Vec<Json> = serde_json::from_str(CASES).expect("the cases are JSON");
        let cases = all.iter().filter_map(|case| {
            let body: Json = serde_json::from_str(case["request"]["body"].as_str()?).ok()?;
            Some(Case {
                template: case["template"].as_str()?.to_owned(),
                body,
                safe: OnceLock::new(),
            })
        });
        cases.collect()
    })
}

/// A template whose keys do not depend on the texts of its request.
struct Safe {
    source: String,
    translator: Translator,
    /// Paths of the keys that it gives with harmless texts.
    keys: BTreeSet<String>,
    /// Where a value is printed as JSON, whatever it is.
    open: Vec<String>,
}

impl Safe {
    fn of(source: &str, body: &Json) -> Option<Self> {
        let template = Template::compile("t", source.to_owned()).ok()?;
        let translator = Translator::Template(template);
        let shape = |by: &str| {
            let body = replaced(body, &mut std::iter::repeat(by));
            translate(&translator, &body)
                .ok()
                .map(|t| keys_of(&t.events))
        };
        let keys = shape(TAME[0])?;
        if TAME.iter().any(|by| shape(by).as_ref() != Some(&keys)) {
            return None;
        }
        // One text at a time: where it must be a text, an event may be refused for it.
        let mut open = Vec::new();
        for which in 0..count(body) {
            let mut by = (0..).map(|i| if i == which { WHOLE } else { TAME[0] });
            let Ok(translated) = translate(&translator, &replaced(body, &mut by)) else {
                continue;
            };
            let added = keys_of(&translated.events);
            open.extend(
                added
                    .iter()
                    .filter_map(|path| Some(path.split_once("/zqzq")?.0.to_owned())),
            );
        }
        Some(Self {
            source: source.to_owned(),
            translator,
            open,
            keys,
        })
    }

    fn check(&self, body: &Json, texts: &[String]) {
        let body = replaced(body, &mut texts.iter().map(String::as_str).cycle());
        let translated = match translate(&self.translator, &body) {
            Ok(translated) => translated,
            Err(failure) => return check_shown(&failure.problem),
        };
        check_events(&translated.events);
        for path in keys_of(&translated.events) {
            let name = path.rsplit('/').next().unwrap_or_default();
            // A condition may choose another of the template's own keys.
            let written = ['"', '\'']
                .iter()
                .any(|quote| self.source.contains(&format!("{quote}{name}{quote}")));
            let own = written || self.keys.contains(&path);
            let open = self
                .open
                .iter()
                .any(|open| path.starts_with(&format!("{open}/")));
            assert!(own || open, "{path} is no key of {}: {body}", self.source);
        }
    }
}

/// A value with each of its texts replaced by the next.
fn replaced<'t>(value: &Json, by: &mut impl Iterator<Item = &'t str>) -> Json {
    match value {
        Json::String(_) => Json::from(by.next().unwrap_or_default()),
        Json::Array(items) => items.iter().map(|item| replaced(item, by)).collect(),
        Json::Object(members) => {
            let members = members.iter();
            members
                .map(|(key, item)| (key.clone(), replaced(item, by)))
                .collect()
        }
        other => other.clone(),
    }
}

/// How many texts a value holds.
fn count(value: &Json) -> usize {
    match value {
        Json::String(_) => 1,
        Json::Array(items) => items.iter().map(count).sum(),
        Json::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

fn request(body: &Json) -> Request {
    request_of(body.to_string().as_bytes())
}

fn translate(translator: &Translator, body: &Json) -> Result<Translated, Failure> {
    let request = request(body);
    in_scope(&request, &Keys::None, false, |scope| {
        translator.translate(&crate::translate::Scope {
            default_payload: false,
            ..*scope
        })
    })
}

fn keys_of(events: &[Event]) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for event in events {
        let json = serde_json::to_string(event).expect("an event has JSON");
        let value = serde_json::from_str(&json).expect("an event is JSON");
        keys_into(&value, "", &mut out);
    }
    out
}

fn keys_into(value: &Json, path: &str, out: &mut BTreeSet<String>) {
    match value {
        Json::Object(members) => {
            for (key, item) in members {
                let path = format!("{path}/{}", key.replace('/', "~1"));
                keys_into(item, &path, out);
                out.insert(path);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| keys_into(item, path, out)),
        _ => {}
    }
}

/// Every value of our own template is known.
fn check_leaves(texts: &[String]) {
    static OURS: OnceLock<Translator> = OnceLock::new();
    let translator = OURS.get_or_init(|| {
        let template = Template::compile("leaves", leaves::template());
        Translator::Template(template.expect("it compiles"))
    });
    let text = |i: usize| texts.get(i).map_or("", String::as_str);
    let texts = Texts {
        a: text(0),
        b: text(1),
        list: [text(2), text(3), text(4)],
    };
    let body = texts.body();
    let translated = match translate(translator, &body) {
        Ok(translated) => translated,
        // The name of an event has an end.
        Err(failure) => {
            let long = texts.a.chars().count() + 2 > EVENT_NAME_CHARS_MAX;
            assert!(long, "{:?}: {body}", failure.problem);
            return;
        }
    };
    let [event] = translated.events.as_slice() else {
        panic!("{} events of {body}", translated.events.len());
    };
    assert_eq!(event.event, format!("t.{}", texts.a));
    assert_eq!(event.resource_id(), format!("r.{}", texts.a));
    assert_eq!(event.resource.get("b").map(String::as_str), Some(texts.b));
    assert_eq!(event.resource.len(), 2);
    let payload: Json = serde_json::from_str(event.payload.get()).expect("a payload is JSON");
    let payload = payload.as_object().expect("a payload is an object");
    assert_eq!(payload.len(), LEAVES.len());
    for (i, (source, want)) in LEAVES.iter().enumerate() {
        assert_eq!(
            payload[&format!("v{i}")],
            want(&texts),
            "{source} with {body}"
        );
    }
}
