//! The search grammar.

use super::now;
use crate::model::{Delivery, Event};
use crate::query::{CHARS_MAX, KEYS, Query};
use serde_json::json;

/// A query that is read can be printed, and is read again as the same; it gives the same answers then.
///
/// # Panics
/// When it does not.
pub fn query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (delivery, event) = subject();
    match Query::parse(text, now()) {
        Ok(query) => check(&query, &delivery, &event),
        Err(error) => {
            let characters = text.chars().count();
            assert!(error.column >= 1 && !error.message.is_empty(), "{error:?}");
            // Of what is too long the length is told, not the place.
            let inside = error.column <= characters + 1;
            assert!(inside || characters > CHARS_MAX, "{error:?} in {text:?}");
        }
    }
    let values: Vec<&str> = text.split('\n').collect();
    for name in KEYS.into_iter().chain(["since", "until", "no-such"]) {
        // The grammar has no word with both a wildcard and a blank or quote.
        if let (Ok(query), false) = (Query::parameter(name, &values, now()), text.contains('*')) {
            check(&query, &delivery, &event);
        }
    }
}

fn check(query: &Query, delivery: &Delivery, event: &Event) {
    let printed = query.to_string();
    let own = query.names_own_events();
    let answer = query.matches(Some(event), delivery, Some(7));
    let bare = query.matches_delivery(delivery, None);
    // What was short may print as more than a query may have.
    if printed.chars().count() > CHARS_MAX {
        return;
    }
    let again = match Query::parse(&printed, now()) {
        Ok(again) => again,
        Err(error) => panic!("{printed:?} is not read again: {error}"),
    };
    assert_eq!(&again, query, "{printed:?}");
    assert_eq!(again.to_string(), printed);
    assert_eq!(again.names_own_events(), own, "{printed:?}");
    assert_eq!(again.matches_delivery(delivery, None), bare, "{printed:?}");
    assert_eq!(
        again.matches(Some(event), delivery, Some(7)),
        answer,
        "{printed:?}"
    );
}

fn subject() -> (Delivery, Event) {
    let event = json!({
        "occurred": "2026-11-20T10:00:00Z", "event": "github.push", "payload": {}, "follows": null,
        "resource": {"prefect.resource.id": "github.repo.a/b"}, "related": [],
        "id": "00000000-0000-0000-0000-000000000007",
    });
    let delivery = json!({
        "id": "00000000-0000-0000-0000-000000000009", "received": "2026-11-20T10:00:00Z", "webhook": "github",
        "provider": "github", "outcome": "accepted", "status": 204, "key": "k-1",
    });
    let event = serde_json::from_str(&event.to_string()).expect("an event");
    let delivery = serde_json::from_str(&delivery.to_string()).expect("a delivery");
    (delivery, event)
}
