//! Any HTTP endpoint: a JSON array, or one event a request; signed by Standard Webhooks if asked for. What
//! came with a place in a trace hands it on in the headers of W3C Trace Context.

use super::super::error::SinkError;
use super::super::window::Item;
use super::super::{HttpOptions, HttpTarget};
use super::client::Caller;
use super::{Proof, Sink, json_array};
use crate::model::Secret;
use crate::model::cloud_event;
use crate::model::trace::Trace;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// An HTTP endpoint.
#[derive(Debug)]
pub(super) struct Http {
    caller: Caller,
    single: bool,
    key: Option<SigningKey>,
}

impl Http {
    /// Checks the target and the key.
    ///
    /// # Errors
    /// `Misconfigured`.
    pub(super) fn new(target: &HttpTarget, options: &HttpOptions) -> Result<Self, SinkError> {
        Ok(Self {
            caller: Caller::new(target)?,
            single: options.single,
            key: options.sign.as_ref().map(SigningKey::new).transpose()?,
        })
    }

    async fn post(&self, batch: &[Arc<Item>]) -> Result<Proof, SinkError> {
        let body = match batch {
            [item] if self.single => item.json.clone().into_bytes(),
            _ => json_array(batch),
        };
        let id = message_id(batch);
        let mut headers = HeaderMap::new();
        insert(&mut headers, "idempotency-key", &id)?;
        if let Some(trace) = trace_of(batch) {
            insert(&mut headers, "traceparent", &trace.parent)?;
            if let Some(state) = &trace.state {
                insert(&mut headers, "tracestate", state)?;
            }
        }
        if let Some(key) = &self.key {
            let timestamp = jiff::Timestamp::now().as_second().to_string();
            insert(&mut headers, "webhook-id", &id)?;
            insert(&mut headers, "webhook-timestamp", &timestamp)?;
            let signature = key.sign(&id, &timestamp, &body)?;
            insert(&mut headers, "webhook-signature", &signature)?;
        }
        let url = self.caller.url();
        self.caller.hand_over(url, body, headers).await?;
        Ok(Proof::Delivered)
    }
}

impl Sink for Http {
    fn events_max(&self) -> usize {
        if self.single { 1 } else { usize::MAX }
    }

    fn send<'a>(&'a self, batch: &'a [Arc<Item>]) -> BoxFuture<'a, Result<Proof, SinkError>> {
        Box::pin(self.post(batch))
    }
}

/// Key of a Standard Webhooks signature (specification 1.0.0, symmetric).
struct SigningKey(Vec<u8>);

impl SigningKey {
    fn new(secret: &Secret) -> Result<Self, SinkError> {
        let text = secret.expose().trim();
        let key = STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text));
        match key {
            Ok(key) if !key.is_empty() => Ok(Self(key)),
            _ => Err(SinkError::misconfigured(
                "`sign` must be a key of the form `whsec_` and base64",
            )),
        }
    }

    /// `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
    fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> Result<String, SinkError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0)
            .map_err(|_| SinkError::misconfigured("`sign` cannot be used as a key"))?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        Ok(format!(
            "v1,{}",
            STANDARD.encode(mac.finalize().into_bytes())
        ))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The place in a trace that all events of a request share: the one their delivery came with, where its webhook
/// continues it, else each one's own.
fn trace_of(batch: &[Arc<Item>]) -> Option<Trace> {
    let of = |item: &Item| {
        item.trace
            .clone()
            .or_else(|| cloud_event::trace(&item.event))
    };
    let (first, others) = batch.split_first()?;
    let trace = of(first)?;
    let shared = others.iter().all(|item| of(item).as_ref() == Some(&trace));
    shared.then_some(trace)
}

/// The same for the same events: a single event's own id, else a hash over all ids in order.
fn message_id(batch: &[Arc<Item>]) -> String {
    if let [item] = batch {
        return item.event.id.to_string();
    }
    let mut hash = Sha256::new();
    for item in batch {
        hash.update(item.event.id.as_bytes());
    }
    let digest = hex::encode(hash.finalize());
    format!("batch_{}", digest.get(..32).unwrap_or(&digest))
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<(), SinkError> {
    let value = HeaderValue::from_str(value)
        .map_err(|_| SinkError::retry("a header of ours cannot be sent"))?;
    headers.insert(HeaderName::from_static(name), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of the Standard Webhooks specification's reference libraries.
    #[test]
    fn signature_of_the_specification() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into());
        let key = SigningKey::new(&secret).unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        assert_eq!(
            signature.unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        assert_eq!(format!("{key:?}"), "***");
    }

    #[test]
    fn keys_that_are_none() {
        for bad in ["", "whsec_", "whsec_not base64"] {
            assert!(SigningKey::new(&Secret::new(bad.into())).is_err(), "{bad}");
        }
    }
}
