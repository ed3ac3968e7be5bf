//! Adyen's standard notifications: every item of the body carries its own signature over eight of its fields,
//! and every one must be right (Adyen's own libraries).

use super::encoding::Encoding;
use super::json::{scalars_are, string};
use super::pick::{Pick, Picked, Place};
use super::signature::Failure;
use super::special::{Claim, Claims};
use crate::codes;
use crate::model::Request;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Items of one request at most; Adyen sends one, or a few.
const ITEMS_MAX: usize = crate::model::limits::EVENTS_PER_REQUEST_MAX;

const LIST: &str = "notificationItems";
const ITEM: &str = "NotificationRequestItem";

/// Where the signature is in an item, then the fields in the order in which they are signed.
const PLACES: [Place; 9] = [
    &[ITEM, "additionalData", "hmacSignature"],
    &[ITEM, "pspReference"],
    &[ITEM, "originalReference"],
    &[ITEM, "merchantAccountCode"],
    &[ITEM, "merchantReference"],
    &[ITEM, "amount", "value"],
    &[ITEM, "amount", "currency"],
    &[ITEM, "eventCode"],
    &[ITEM, "success"],
];

pub(super) fn claims(request: &Request) -> Result<Claims<'_>, Failure> {
    let malformed = |message: String| (codes::CREDENTIAL_MALFORMED, message);
    let no_json = || malformed("the body is not JSON".to_owned());
    let items = items(&request.wire_body).ok_or_else(no_json)?;
    if items.is_empty() {
        let message = "the body has no notificationItems".to_owned();
        return Err((codes::CREDENTIAL_MISSING, message));
    }
    if items.len() > ITEMS_MAX {
        return Err(malformed(format!("more than {ITEMS_MAX} items")));
    }
    let mut claims = Vec::with_capacity(items.len());
    let mut failure = None;
    for (number, [signature, fields @ ..]) in (1..).zip(items) {
        let signature = signature
            .filter(|raw| raw.get().starts_with('"'))
            .map_or(Some(Cow::Borrowed("")), |raw| string(raw.get()))
            .ok_or_else(no_json)?;
        if signature.is_empty() && failure.is_none() {
            let message = format!("item {number} has no hmacSignature");
            failure = Some((codes::CREDENTIAL_MISSING, message));
        }
        let signatures = Encoding::Base64.decode(&signature);
        let signed = signed(&fields).ok_or_else(no_json)?;
        claims.push(Claim {
            signatures: signatures.into_iter().map(|bytes| (None, bytes)).collect(),
            contents: vec![vec![Cow::Owned(signed.into_bytes())]],
        });
    }
    Ok(Claims { claims, failure })
}

/// The texts of the fields joined by colons; what is absent, null, a list or an object is empty.
fn signed(fields: &[Option<&RawValue>]) -> Option<String> {
    let mut out = String::with_capacity(128);
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            out.push(':');
        }
        let raw = field.map_or("", RawValue::get);
        match raw.as_bytes().first() {
            Some(b'"') => out.push_str(&string(raw)?),
            None | Some(b'{' | b'[' | b'n') => {}
            Some(_) => out.push_str(raw),
        }
    }
    Some(out)
}

type Item<'de> = Picked<'de, 9>;

/// The items of a body, one more than is taken at most; none where the body is no JSON.
fn items(body: &[u8]) -> Option<Vec<Item<'_>>> {
    // What is skipped is not looked at, and text it must be all the same.
    let body = std::str::from_utf8(body).ok()?;
    let mut deserializer = serde_json::Deserializer::from_str(body);
    let items = Body.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(items)
}

/// The whole body.
struct Body;

/// The list in it.
struct List;

impl<'de> DeserializeSeed<'de> for Body {
    type Value = Vec<Item<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Body {
    type Value = Vec<Item<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            // Of a repeated name the last counts.
            if name == LIST {
                items = map.next_value_seed(List)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(items)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Vec::new())
    }

    scalars_are!(Vec::new());
}

impl<'de> DeserializeSeed<'de> for List {
    type Value = Vec<Item<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for List {
    type Value = Vec<Item<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() <= ITEMS_MAX {
            match seq.next_element_seed(Pick(&PLACES))? {
                Some(item) => items.push(item),
                None => return Ok(items),
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(items)
    }

    scalars_are!(Vec::new());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str) -> Option<Vec<String>> {
        let one = |[signature, fields @ ..]: Item<'_>| {
            let signature = signature.map_or("-", RawValue::get);
            Some(format!("{signature} {}", super::signed(&fields)?))
        };
        items(body.as_bytes())?.into_iter().map(one).collect()
    }

    #[test]
    fn what_each_item_signs() {
        let item = r#"{"NotificationRequestItem":{"pspReference":"p\u00e9","amount":{"value":1130,"currency":"EUR"},
            "originalReference":null,"merchantAccountCode":["x"],"success":true,"eventCode":"A",
            "additionalData":{"hmacSignature":"fake"}}}"#;
        let body = format!(r#"{{"live":"false","notificationItems":[{item},7,{{}}]}}"#);
        let want = ["\"fake\" pé::::1130:EUR:A:true", "- :::::::", "- :::::::"];
        assert_eq!(texts(&body).unwrap(), want);
        // The last of a repeated name counts, as where the body is parsed whole.
        let body = format!(r#"{{"notificationItems":[{item},{item}],"notificationItems":[{{}}]}}"#);
        assert_eq!(texts(&body).unwrap(), ["- :::::::"]);
        for none in [
            "{}",
            "[]",
            "7",
            r#"{"notificationItems":{"*":{}}}"#,
            r#"{"notificationItems":"x"}"#,
        ] {
            assert!(texts(none).unwrap().is_empty(), "{none}");
        }
        for bad in [
            "",
            "{",
            "{}x",
            r#"{"notificationItems":[{]}"#,
            r#"{"notificationItems":[{"NotificationRequestItem":{"success":"\ud800"}}]}"#,
        ] {
            assert!(texts(bad).is_none(), "{bad}");
        }
    }
}
