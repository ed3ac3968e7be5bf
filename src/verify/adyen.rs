//! Adyen's standard notifications: every item of the body carries its own signature over eight of its fields,
//! and every one must be right (Adyen's own libraries).

use super::encoding::Encoding;
use super::signature::Failure;
use super::special::{Claim, Claims};
use crate::codes;
use crate::model::Request;
use serde_json::Value;
use std::borrow::Cow;

/// Items of one request at most; Adyen sends one, or a few.
const ITEMS_MAX: usize = crate::model::limits::EVENTS_PER_REQUEST_MAX;

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

pub(super) fn claims(request: &Request) -> Result<Claims<'_>, Failure> {
    let malformed = |message: String| (codes::CREDENTIAL_MALFORMED, message);
    let body: Value = serde_json::from_slice(&request.wire_body)
        .map_err(|_| malformed("the body is not JSON".to_owned()))?;
    let items = body.get("notificationItems").and_then(Value::as_array);
    let items = items.map_or(&[][..], Vec::as_slice);
    if items.is_empty() {
        let message = "the body has no notificationItems".to_owned();
        return Err((codes::CREDENTIAL_MISSING, message));
    }
    if items.len() > ITEMS_MAX {
        return Err(malformed(format!("more than {ITEMS_MAX} items")));
    }
    let mut claims = Vec::with_capacity(items.len());
    let mut failure = None;
    for (number, item) in (1..).zip(items) {
        let item = item.get("NotificationRequestItem").unwrap_or(&Value::Null);
        let signature = item.pointer("/additionalData/hmacSignature");
        let signature = signature.and_then(Value::as_str).unwrap_or("");
        if signature.is_empty() && failure.is_none() {
            let message = format!("item {number} has no hmacSignature");
            failure = Some((codes::CREDENTIAL_MISSING, message));
        }
        let texts = FIELDS.iter().map(|field| scalar(item.pointer(field)));
        let signed = texts.collect::<Vec<_>>().join(":");
        let signatures = Encoding::Base64.decode(signature);
        claims.push(Claim {
            signatures: signatures.into_iter().map(|bytes| (None, bytes)).collect(),
            contents: vec![vec![Cow::Owned(signed.into_bytes())]],
        });
    }
    Ok(Claims { claims, failure })
}

fn scalar(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(other @ (Value::Number(_) | Value::Bool(_))) => other.to_string(),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => String::new(),
    }
}
