//! Senders with code of their own. What they sign is made of the request first, and so it is in the primitive: by the
//! plainest code that does it.

use crate::families::{Family, KEY, NOW, Signed, family, json, mac};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

pub(crate) fn all() -> Vec<Family> {
    let mut all = vec![
        family(
            "twilio, form",
            "scheme = 'twilio'",
            "x-twilio-signature",
            twilio_form,
        ),
        family(
            "twilio, JSON",
            "scheme = 'twilio'",
            "x-twilio-signature",
            twilio_json,
        ),
        family("adyen-items", "scheme = 'adyen-items'", "", adyen),
        family("braintree", "scheme = 'braintree'", "", braintree),
        family(
            "contentful",
            "scheme = 'contentful'",
            "x-contentful-signature",
            contentful,
        ),
        family("hook0", "scheme = 'hook0'", "x-hook0-signature", |size| {
            let body = json(size);
            let head = format!("{NOW}.x-sender-event.order.created.");
            let (tag, bare) = mac::<Hmac<Sha256>>(&[head.as_bytes(), &body]);
            let text = format!("t={NOW},h=x-sender-event,v1={}", hex::encode(tag));
            Signed::new(body, bare).header("x-hook0-signature", text)
        }),
    ];
    for family in &mut all {
        match family.name {
            "adyen-items" => family.secret = hex::encode(KEY),
            "braintree" => family.secret = format!("public:{KEY}"),
            _ => {}
        }
    }
    all
}

/// The primitive: two MACs, since the sender signs the URL with its port or without; the form is read and sorted.
fn twilio_form(size: usize) -> Signed {
    let mut body = "AccountSid=FAKE".to_owned();
    let mut number = 100;
    while body.len() < size {
        body.push_str(&format!(
            "&Field{number}=A+message+of+some+words%2C+{number}"
        ));
        number += 1;
    }
    let sorted = |body: &str| -> Vec<u8> {
        let mut pairs: Vec<_> = form_urlencoded::parse(body.as_bytes()).collect();
        pairs.sort();
        pairs.dedup();
        let mut out = Vec::new();
        for (name, value) in pairs {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(value.as_bytes());
        }
        out
    };
    let fields = sorted(&body);
    let (tag, check) = mac::<Hmac<Sha1>>(&[b"https://hooks.example.com/hooks/x", &fields]);
    let (_, other) = mac::<Hmac<Sha1>>(&[b"https://hooks.example.com:443/hooks/x", &fields]);
    let copy = body.clone();
    let bare = move || {
        let read = sorted(&copy).len() == fields.len();
        read & check() & other()
    };
    Signed::new(body.into_bytes(), bare)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("x-twilio-signature", BASE64_STANDARD.encode(tag))
}

/// The primitive: two MACs, of the URL with its port and without, and the hash of the body.
fn twilio_json(size: usize) -> Signed {
    let body = json(size);
    let hash = Sha256::digest(&body);
    let query = format!("bodySHA256={}", hex::encode(hash));
    let url = |port: &str| format!("https://hooks.example.com{port}/hooks/x?{query}");
    let (tag, check) = mac::<Hmac<Sha1>>(&[url("").as_bytes()]);
    let (_, other) = mac::<Hmac<Sha1>>(&[url(":443").as_bytes()]);
    let copy = body.clone();
    let bare = move || check() & other() & bool::from(Sha256::digest(&copy).ct_eq(&hash));
    let mut made =
        Signed::new(body, bare).header("x-twilio-signature", BASE64_STANDARD.encode(tag));
    made.query = query;
    made
}

fn contentful(size: usize) -> Signed {
    let body = json(size);
    let time = (NOW * 1_000).to_string();
    let list = "x-contentful-signed-headers,x-contentful-timestamp";
    let head = format!(
        "POST\n/hooks/x\nx-contentful-signed-headers:{list};x-contentful-timestamp:{time}\n"
    );
    let (tag, bare) = mac::<Hmac<Sha256>>(&[head.as_bytes(), &body]);
    Signed::new(body, bare)
        .header("x-contentful-signed-headers", list)
        .header("x-contentful-timestamp", time)
        .header("x-contentful-signature", hex::encode(tag))
}

/// The primitive: the JSON is read, the fields of each item are joined, a MAC an item.
fn adyen(size: usize) -> Signed {
    const FIELDS: [&str; 8] = [
        "/pspReference",
        "/originalReference",
        "/merchantAccountCode",
        "/merchantReference",
        "/amount/value",
        "/amount/currency",
        "/eventCode",
        "/success",
    ];
    let signed = "psp:orig:merchant:reference:1130:EUR:AUTHORISATION:true";
    let (tag, _) = mac::<Hmac<Sha256>>(&[signed.as_bytes()]);
    let item = serde_json::json!({"NotificationRequestItem": {
        "additionalData": {"hmacSignature": BASE64_STANDARD.encode(tag), "note": "FAKE"},
        "amount": {"currency": "EUR", "value": 1130},
        "eventCode": "AUTHORISATION", "eventDate": "2026-01-01T00:00:00+01:00",
        "merchantAccountCode": "merchant", "merchantReference": "reference",
        "originalReference": "orig", "paymentMethod": "visa", "pspReference": "psp",
        "reason": "033899:1111:03/2030", "success": "true",
    }});
    let length = item.to_string().len();
    let items: Vec<_> = std::iter::repeat_n(item, (size / length).clamp(1, 900)).collect();
    let body = serde_json::json!({"live": "false", "notificationItems": items}).to_string();
    let copy = body.clone();
    let key = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    let one = move |item: &Value| {
        let item = &item["NotificationRequestItem"];
        let text = |field: &&str| match item.pointer(field).unwrap() {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let signed = FIELDS.iter().map(text).collect::<Vec<_>>().join(":");
        let received = item["additionalData"]["hmacSignature"].as_str().unwrap();
        let received = BASE64_STANDARD.decode(received).unwrap();
        let mut mac = key.clone();
        mac.update(signed.as_bytes());
        bool::from(mac.finalize().into_bytes().ct_eq(received.as_slice()))
    };
    let bare = move || {
        let read: Value = serde_json::from_str(&copy).unwrap();
        let items = read["notificationItems"].as_array().unwrap().iter();
        items.fold(true, |all, item| all & one(item))
    };
    Signed::new(body.into_bytes(), bare)
}

/// The primitive: two MACs, since a newline may have been lost; the form is read.
fn braintree(size: usize) -> Signed {
    let payload = "RkFLRS".repeat(size / 6 + 1);
    let key = Hmac::<Sha1>::new_from_slice(&Sha1::digest(KEY)).unwrap();
    let over = move |payload: &str, end: &[u8]| {
        let mut mac = key.clone();
        mac.update(payload.as_bytes());
        mac.update(end);
        mac.finalize().into_bytes()
    };
    let tag = over(&payload, b"");
    let signature = format!("public|{}", hex::encode(tag));
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("bt_signature", &signature)
        .append_pair("bt_payload", &payload)
        .finish();
    let copy = body.clone();
    let bare = move || {
        let read = form_urlencoded::parse(copy.as_bytes()).count() == 2;
        let one = over(&payload, b"").ct_eq(&tag);
        let other = over(&payload, b"\n").ct_eq(&tag);
        read & bool::from(one | other)
    };
    Signed::new(body.into_bytes(), bare).header("content-type", "application/x-www-form-urlencoded")
}
