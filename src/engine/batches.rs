//! Batches: a retry may come with other neighbours, so each item's key must be the same in every batch.

use super::tests::{config, webhook};
use super::*;
use crate::model::http_file;
use serde_json::{Value, json};

fn request(body: &str) -> Request {
    let kind = match body.starts_with(['[', '{']) {
        true => "application/json",
        false => "application/x-www-form-urlencoded",
    };
    let text = format!("POST /hooks/x HTTP/1.1\nHost: h\nContent-Type: {kind}\n\n{body}");
    http_file::parse(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap()
}

fn run(lines: &str, body: &str) -> Translation {
    let (config, _folder) = config(&webhook(lines), &[]);
    translate(&config.webhooks[0], &request(body))
}

fn of_provider(provider: &str, body: &str) -> Translation {
    let lines = format!("provider = \"{provider}\"\nsecret = {{ env = \"FAKE\" }}\n");
    let made = run(&lines, body);
    assert_eq!(
        made.outcome,
        Outcome::Accepted,
        "{provider}: {:?}",
        made.error
    );
    made
}

fn each(made: &Translation) -> &[String] {
    match &made.keys {
        Keys::PerEvent(keys) => keys,
        other => panic!("{other:?}: {:?}", made.notes),
    }
}

/// A body around a list of items.
type Wrap = fn(Vec<Value>) -> String;

fn list(items: Vec<Value>) -> String {
    Value::from(items).to_string()
}

fn events(items: Vec<Value>) -> String {
    json!({ "events": items }).to_string()
}

fn form(items: Vec<Value>) -> String {
    let text = list(items);
    form_urlencoded::Serializer::new(String::new())
        .append_pair("mandrill_events", &text)
        .finish()
}

/// A sender, its item number `n`, and how a request holds a list of them.
type Sender = (&'static str, fn(u32) -> Value, Wrap);

#[allow(clippy::too_many_lines, reason = "a table")]
fn senders() -> Vec<Sender> {
    vec![
        (
            "sendgrid",
            |n| json!({"email": "a@example.com", "event": "open", "sg_event_id": format!("sg-{n}"), "sg_message_id": "m"}),
            list,
        ),
        ("hubspot-v1", hubspot, list),
        ("hubspot-v2", hubspot, list),
        ("hubspot-v3", hubspot, list),
        (
            "azure-event-grid",
            |n| json!({"id": format!("{n}"), "topic": "/t", "subject": "/s", "eventType": "T", "eventTime": "2026-01-01T00:00:00Z", "data": {}}),
            list,
        ),
        (
            "microsoft-graph",
            |n| json!({"id": format!("g{n}"), "subscriptionId": "s", "changeType": "updated", "resource": "me/messages/1", "clientState": "fake"}),
            |items| json!({"value": items}).to_string(),
        ),
        (
            "microsoft-graph",
            |n| json!({"subscriptionId": "s", "changeType": "updated", "resource": "me/messages/1", "resourceData": {"@odata.etag": format!("W/{n}")}}),
            |items| json!({"value": items}).to_string(),
        ),
        (
            "auth0",
            |n| json!({"log_id": format!("l{n}"), "data": {"type": "s", "user_id": "u"}}),
            list,
        ),
        (
            "auth0",
            |n| json!({"log_id": format!("l{n}"), "data": {"type": "s", "user_id": "u"}}),
            |items| json!({"logs": items}).to_string(),
        ),
        (
            "xero",
            |n| json!({"resourceId": format!("r{n}"), "tenantId": "t", "eventCategory": "INVOICE", "eventType": "UPDATE", "eventDateUtc": "2026-01-01T00:00:00.001"}),
            events,
        ),
        (
            "adyen",
            |n| json!({"NotificationRequestItem": {"pspReference": format!("P{n}"), "eventCode": "AUTHORISATION", "success": "true", "merchantAccountCode": "M"}}),
            |items| json!({"live": "false", "notificationItems": items}).to_string(),
        ),
        (
            "line",
            |n| json!({"type": "message", "webhookEventId": format!("w{n}"), "source": {"userId": "U"}, "timestamp": 1_767_225_600_000_u64}),
            events,
        ),
        (
            "mandrill",
            |n| json!({"event": "open", "_id": "m", "ts": 1_767_225_600 + n}),
            form,
        ),
        (
            "fastspring",
            |n| json!({"id": format!("f{n}"), "type": "order.completed", "data": {}}),
            events,
        ),
        (
            "gocardless",
            |n| json!({"id": format!("EV{n}"), "resource_type": "payments", "action": "paid_out", "links": {"payment": "PM1"}}),
            events,
        ),
        (
            "klaviyo",
            |n| json!({"topic": "event:klaviyo.opened_email", "payload": {"data": {"type": "event", "id": format!("e{n}")}}}),
            |items| {
                json!({"data": items, "meta": {"timestamp": "2026-01-01T00:00:00Z"}}).to_string()
            },
        ),
        (
            "quickbooks",
            |n| json!({"specversion": "1.0", "id": format!("q{n}"), "type": "qbo.customer.created.v1", "intuitentityid": "1"}),
            list,
        ),
        (
            "quickbooks",
            |n| json!({"name": "Customer", "id": "1", "operation": "Update", "lastUpdated": format!("2026-01-01T00:00:0{n}Z")}),
            |items| {
                json!({"eventNotifications": [{"realmId": "9", "dataChangeEvent": {"entities": items}}]}).to_string()
            },
        ),
        (
            "okta",
            |n| json!({"uuid": format!("u{n}"), "eventType": "user.session.start"}),
            |items| {
                json!({"eventId": format!("call-{}", items.len()), "data": {"events": items}})
                    .to_string()
            },
        ),
        (
            "tailscale",
            |n| json!({"type": "nodeCreated", "tailnet": "t", "timestamp": format!("2026-01-01T00:00:00.00000{n}Z")}),
            list,
        ),
        (
            "pandadoc",
            |n| json!({"event": "document_state_changed", "data": {"id": format!("d{n}")}}),
            list,
        ),
        (
            "asana",
            |n| json!({"action": "changed", "created_at": format!("2026-01-01T00:00:00.00{n}Z"), "resource": {"gid": "1", "resource_type": "task"}}),
            events,
        ),
        (
            "meta",
            |n| json!({"id": "1", "time": 1_767_225_600, "changes": [{"field": "feed", "value": {"post_id": format!("p{n}")}}]}),
            entries,
        ),
        (
            "meta",
            |n| json!({"id": "1", "time": 1_767_225_600, "messaging": [{"sender": {"id": "2"}, "timestamp": 1_767_225_600_000_u64, "message": {"mid": format!("m{n}")}}]}),
            entries,
        ),
        (
            "whatsapp",
            |n| json!({"id": format!("wamid.{n}"), "from": "1", "timestamp": "1767225600", "type": "text"}),
            |messages| whatsapp(&[messages]),
        ),
    ]
}

fn hubspot(n: u32) -> Value {
    json!({"eventId": 100 + n, "subscriptionType": "contact.creation", "objectId": 1, "occurredAt": 1_767_225_600_000_u64, "attemptNumber": 0})
}

fn entries(items: Vec<Value>) -> String {
    json!({"object": "page", "entry": items}).to_string()
}

fn whatsapp(entries: &[Vec<Value>]) -> String {
    let entry = |messages: &Vec<Value>| {
        json!({"id": "7", "changes": [{"field": "messages", "value": {"metadata": {"phone_number_id": "3"},
            "contacts": [{"wa_id": "1", "profile": {"name": "Ada"}}], "messages": messages}}]})
    };
    let list: Vec<Value> = entries.iter().map(entry).collect();
    json!({"object": "whatsapp_business_account", "entry": list}).to_string()
}

#[test]
fn an_item_keeps_its_key_among_other_neighbours() {
    for (provider, item, wrap) in senders() {
        let first = of_provider(provider, &wrap(vec![item(1), item(2)]));
        let second = of_provider(provider, &wrap(vec![item(3), item(2), item(4)]));
        let (a, b) = (each(&first), each(&second));
        assert_eq!((a.len(), b.len()), (2, 3), "{provider}");
        assert_eq!(a[1], b[1], "{provider}");
        let mut all = [a, b].concat();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 4, "{provider}: {all:?}");
        assert_eq!(first.events[1].id, second.events[1].id, "{provider}");
        assert_ne!(first.events[0].id, second.events[0].id, "{provider}");
        let alone = of_provider(provider, &wrap(vec![item(2)]));
        assert_eq!(each(&alone), &a[1..], "{provider}");
        assert_eq!(alone.key.as_deref(), Some(&*a[1]), "{provider}");
        assert_eq!(alone.events[0].id, first.events[1].id, "{provider}");
        // The same item twice in one request is two events.
        let twice = of_provider(provider, &wrap(vec![item(1), item(1)]));
        assert_eq!(each(&twice).len(), 2, "{provider}");
        assert_ne!(twice.events[0].id, twice.events[1].id, "{provider}");
    }
}

#[test]
fn messages_of_whatsapp_in_other_entries() {
    let message = |n| json!({"id": format!("wamid.{n}"), "from": "1", "timestamp": "1767225600"});
    let together = of_provider("whatsapp", &whatsapp(&[vec![message(1), message(2)]]));
    let apart = of_provider("whatsapp", &whatsapp(&[vec![message(2)], vec![message(3)]]));
    assert_eq!(each(&together), ["wamid.1", "wamid.2"]);
    assert_eq!(each(&apart), ["wamid.2", "wamid.3"]);
    assert_eq!(together.events[1].id, apart.events[0].id);
    let status = |s: &str| {
        json!({"object": "whatsapp_business_account", "entry": [{"id": "7", "changes": [{"field": "messages",
            "value": {"statuses": [{"id": "wamid.1", "status": s, "timestamp": "1767225600", "recipient_id": "1"}]}}]}]})
        .to_string()
    };
    let sent = of_provider("whatsapp", &status("sent"));
    let read = of_provider("whatsapp", &status("read"));
    assert_ne!(each(&sent), each(&read));
}

const ITEMS: &str = "provider = \"sendgrid\"\nsecret = { env = \"FAKE\" }\n";

/// A template of the owner's over SendGrid's batches.
fn own(filter: &str, field: &str, body: &str) -> Translation {
    let template = format!(
        "template = {{ inline = \"\"\"[{{% for x in body{filter} %}}{{% for n in range(x.n or 1) %}}{{\"event\": \"e\", \
         \"resource\": {{\"prefect.resource.id\": \"{{{{ x.sg_event_id }}}}\"}}, \"payload\": {{}}{field}}}\
         {{% if not loop.last %}},{{% endif %}}{{% endfor %}}{{% if not loop.last %}},{{% endif %}}{{% endfor %}}]\"\"\" }}\n"
    );
    run(&format!("{ITEMS}{template}"), body)
}

#[test]
fn a_template_that_makes_another_number_of_events() {
    let body = r#"[{"sg_event_id":"a","n":2},{"sg_event_id":"b"},{"sg_event_id":"c"}]"#;
    // One of each: the items' keys are the events'.
    let plain = own("", "", &body.replace(",\"n\":2", ""));
    assert_eq!(each(&plain), ["a", "b", "c"]);
    // Two of one: one key for all of it, and a note; never parked.
    let more = own("", "", body);
    assert_eq!(more.keys, Keys::Delivery("a,b,c".into()));
    assert!(
        more.notes
            .iter()
            .any(|n| n.message.contains("3 items became 4 events")),
        "{:?}",
        more.notes
    );
    // One left out and two of another give the right number, and are found out.
    let swapped = own("[:2]", "", body);
    assert_eq!(swapped.events.len(), 3);
    assert_eq!(
        swapped.keys,
        Keys::Delivery("a,b,c".into()),
        "{:?}",
        swapped.notes
    );
    // What an event carries is right in any case.
    let carried = own("", ", \"delivery_key\": \"{{ x.sg_event_id }}\"", body);
    assert_eq!(each(&carried), ["a", "a\n2", "b", "c"]);
    let some = own(
        "",
        ", \"delivery_key\": \"{{ x.k }}\"",
        &body.replace("\"n\":2", "\"k\":1"),
    );
    assert_eq!(each(&some), ["a", "b", "c"]);
    assert!(
        some.notes
            .iter()
            .any(|n| n.message.contains("only where all do")),
        "{:?}",
        some.notes
    );
}

#[test]
fn an_item_without_a_key_is_never_its_neighbours_double() {
    let a = of_provider("sendgrid", r#"[{"sg_event_id":"a"},{"event":"x"}]"#);
    let b = of_provider("sendgrid", r#"[{"sg_event_id":"a"},{"event":"y"}]"#);
    assert!(matches!((&a.keys, &b.keys), (Keys::Delivery(a), Keys::Delivery(b)) if a != b));
    let lifecycle = r#"{"value":[{"lifecycleEvent":"missed","subscriptionId":"s"}]}"#;
    assert_eq!(of_provider("microsoft-graph", lifecycle).keys, Keys::None);
}

#[test]
fn the_owners_rule_wins() {
    let body = r#"{"object":"page","entry":[{"id":"1","changes":[{"field":"f","value":{}}]}]}"#;
    let with = |key: &str| {
        run(
            &format!("provider = \"meta\"\nsecret = {{ env = \"FAKE\" }}\n{key}"),
            body,
        )
        .keys
    };
    assert!(matches!(with(""), Keys::PerEvent(_)));
    assert_eq!(with("delivery_key = \"none\""), Keys::None);
    assert_eq!(
        with("delivery_key = \"body.object\""),
        Keys::Delivery("page".into())
    );
    // Parked, a batch is known as a whole.
    let broken = format!("{ITEMS}template = {{ inline = \"no json\" }}\n");
    let parked = run(&broken, r#"[{"sg_event_id":"a"},{"sg_event_id":"b"}]"#);
    assert_eq!(
        (parked.outcome, parked.keys),
        (Outcome::Parked, Keys::Delivery("a,b".into()))
    );
}
