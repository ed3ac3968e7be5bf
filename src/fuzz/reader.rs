//! The reader of JSON bodies beside `serde_json`, which is slower and trusted.

use crate::translate::json::{Doc, Kind, Ref, escape_into, is_json};
use serde_json::Value as Json;

/// The reader takes what `serde_json` takes, reads it as the same value, and finds in it what is there.
///
/// # Panics
/// When it does not.
pub fn json(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    check_escape(text);
    let theirs = serde_json::from_str::<Json>(text);
    match (Doc::parse(text.to_owned()), theirs) {
        (Ok(doc), Ok(value)) => {
            assert!(is_json(text), "{text:?}");
            check(doc.root(), &value);
            let compact = doc.root().to_compact();
            let again = Doc::parse(compact.clone()).expect("what it writes it reads");
            assert_eq!(again.root().to_compact(), compact, "{text:?}");
            let read: Json = serde_json::from_str(&compact).expect("what it writes is JSON");
            assert_eq!(read.to_string(), value.to_string(), "{text:?}");
        }
        (Err((back, invalid)), Err(_)) => {
            assert_eq!(back, text);
            assert!(
                invalid.at <= text.len() && !invalid.what.is_empty(),
                "{text:?}"
            );
            assert!(!is_json(text), "{text:?}");
        }
        (Ok(_), Err(theirs)) => panic!("only we take {text:?}: {theirs}"),
        (Err((_, invalid)), Ok(_)) => panic!("only we refuse {text:?}: {invalid:?}"),
    }
}

fn check(ours: Ref<'_>, theirs: &Json) {
    match theirs {
        Json::Null => assert_eq!((ours.kind(), ours.raw()), (Kind::Null, "null")),
        Json::Bool(value) => {
            assert_eq!((ours.kind(), ours.raw()), (Kind::Bool, &*value.to_string()));
        }
        Json::Number(number) => {
            assert_eq!(ours.kind(), Kind::Number);
            // Theirs writes an exponent in one form.
            let read: serde_json::Number = ours.raw().parse().expect("a number");
            assert_eq!(&read, number);
        }
        Json::String(text) => assert_eq!(ours.as_str().as_deref(), Some(text.as_str())),
        Json::Array(items) => {
            assert_eq!((ours.kind(), ours.len()), (Kind::Array, items.len()));
            assert_eq!(ours.items().count(), items.len());
            for (i, (ours_item, item)) in ours.items().zip(items).enumerate() {
                check(ours_item, item);
                let again = ours.item(i).expect("an item has its place");
                assert_eq!(again.position(), ours_item.position());
            }
            assert!(ours.item(items.len()).is_none());
        }
        Json::Object(members) => {
            assert_eq!((ours.kind(), ours.len()), (Kind::Object, members.len()));
            assert_eq!(ours.members().count(), members.len());
            for ((our_key, our_value), (key, value)) in ours.members().zip(members) {
                assert_eq!(&our_key, key);
                check(our_value, value);
                let again = ours.get(key).expect("a key is found");
                assert_eq!(again.position(), our_value.position(), "{key:?}");
            }
            let absent = "\u{0}no such key";
            assert_eq!(ours.get(absent).is_some(), members.contains_key(absent));
        }
    }
}

/// Any text is a JSON string once it is escaped.
fn check_escape(text: &str) {
    let mut json = "\"".to_owned();
    escape_into(&mut json, text);
    json.push('"');
    let doc = Doc::parse(json.clone()).expect("an escaped text is a JSON string");
    assert_eq!(doc.root().as_str().as_deref(), Some(text));
    assert_eq!(
        serde_json::from_str::<String>(&json).ok().as_deref(),
        Some(text)
    );
}
