//! Senders that batch send some items again with other neighbours: what is known is left out, what is new is kept.

use crate::harness::{Gateway, Setup, sign, slug};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

/// The ids of all events, in order of their deliveries.
fn ids(gateway: &Gateway) -> Vec<Value> {
    let events = gateway.all_events(7);
    events.iter().map(|event| event["id"].clone()).collect()
}

#[test]
fn sendgrid_batches_again_otherwise() {
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let pair =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pair.as_ref(), &random).unwrap();
    let key = STANDARD.encode(pair.public_key().as_ref());
    let webhook = format!(
        "[[webhook]]\nname = \"mail\"\nslug = \"{}\"\nprovider = \"sendgrid\"\nsecret = {{ env = \"S\" }}\n",
        slug(1)
    );
    let gateway = Setup::new(webhook).env("S", key).start();
    let send_as = |ids: &[&str], email: &str| {
        let item = |id: &&str| json!({"email": email, "event": "open", "timestamp": 1_767_225_600, "sg_event_id": id, "sg_message_id": "m.1"});
        let body = Value::from_iter(ids.iter().map(item)).to_string();
        let time = sign::now();
        let signed = [time.as_bytes(), body.as_bytes()].concat();
        let signature = STANDARD.encode(pair.sign(&random, &signed).unwrap());
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Twilio-Email-Event-Webhook-Timestamp", &*time),
            ("X-Twilio-Email-Event-Webhook-Signature", &*signature),
        ];
        let reply = gateway.post(&slug(1), &headers, body.as_bytes());
        assert_eq!(reply.status, 200, "{}", reply.text());
        gateway.delivery(&reply)
    };
    let send = |ids: &[&str]| send_as(ids, "ada@example.com");
    let first = send(&["sg-a", "sg-b"]);
    assert_eq!(first["outcome"], "accepted");
    let second = send(&["sg-b", "sg-c"]);
    assert_eq!(second["outcome"], "accepted");
    assert_eq!(second["events"].as_array().unwrap().len(), 1, "{second}");
    assert_eq!(second["events"][0]["payload"]["sg_event_id"], "sg-c");
    let third = send(&["sg-c", "sg-a"]);
    assert_eq!(third["outcome"], "duplicate", "{third}");
    // What is the same in other company is the same; what is not is told.
    assert_eq!(
        (&second["code"], &third["code"]),
        (&Value::Null, &Value::Null)
    );
    let other = send_as(&["sg-c", "sg-a"], "bob@example.com");
    assert_eq!(
        (&other["outcome"], &other["code"]),
        (&json!("duplicate"), &json!("HG0610"))
    );
    assert_eq!(ids(&gateway).len(), 3);
    // Reordered and alone, an item has the same id: what a sink sees of it twice is known there too.
    let fourth = send(&["sg-d"]);
    assert_eq!(fourth["key"], "sg-d");
}

#[test]
fn event_grid_batches_again_otherwise() {
    let webhook = format!(
        "[[webhook]]\nname = \"grid\"\nslug = \"{}\"\nprovider = \"azure-event-grid\"\nsecret = {{ env = \"S\" }}\n",
        slug(1)
    );
    let gateway = Setup::new(webhook)
        .env("S", "fake-azure-event-grid-0001")
        .start();
    let send = |ids: &[&str]| {
        let item = |id: &&str| {
            json!({"id": id, "topic": "/fake/topic", "subject": "/s", "eventType": "Example.Happened",
                "eventTime": "2026-01-01T00:00:00Z", "data": {}, "dataVersion": "", "metadataVersion": "1"})
        };
        let body = Value::from_iter(ids.iter().map(item)).to_string();
        let path = format!("/hooks/{}?code=fake-azure-event-grid-0001", slug(1));
        let headers = [
            ("Content-Type", "application/json"),
            ("aeg-event-type", "Notification"),
        ];
        let reply = gateway.send("POST", &path, &headers, body.as_bytes());
        assert_eq!(reply.status, 200, "{}", reply.text());
        gateway.delivery(&reply)
    };
    send(&["1", "2", "3"]);
    let before = ids(&gateway);
    let second = send(&["3", "4", "1"]);
    assert_eq!(second["events"].as_array().unwrap().len(), 1, "{second}");
    assert_eq!(second["events"][0]["payload"]["id"], "4");
    let notes = second["notes"].to_string();
    assert!(notes.contains("2 of 3 events were left out"), "{notes}");
    assert_eq!(send(&["4", "2"])["outcome"], "duplicate");
    let after = ids(&gateway);
    assert_eq!((before.len(), after.len()), (3, 4));
    assert!(before.iter().all(|id| after.contains(id)));
}
