//! Senders with code of their own: what each claims to be signed is asked of its own file.

use super::schemes::{no_time, spoil, time_of};
use super::{SignError, SignOptions, place};
use crate::model::{Request, Secret};
use crate::verify::encoding::Encoding;
use crate::verify::mac::Key;
use crate::verify::signature::Failure;
use crate::verify::spec::SpecialSpec;
use crate::verify::special::{Claims, Special};
use crate::verify::{Source, ValueSpec, adyen, braintree, contentful, hook0, plivo, twilio};
use serde_json::Value;
use sha2::{Digest, Sha256};

const FORM: &str = "application/x-www-form-urlencoded";

pub(super) fn sign(
    spec: &SpecialSpec,
    secret: &Secret,
    request: &mut Request,
    options: &SignOptions,
) -> Result<(), SignError> {
    let sender = spec.sender;
    let (public, key) = sender
        .key(secret.expose())
        .map_err(|why| SignError::Other(format!("the secret {why}")))?;
    let time = match &spec.time {
        Some(time) => Some(time.text(time_of(time, sender.name(), options)?)),
        None => {
            no_time(sender.name(), options)?;
            None
        }
    };
    match sender {
        Special::Twilio | Special::TwilioSha256 => {
            bind_body(request)?;
            let tag = tag(&key, twilio::claims(request, &[]), options)?;
            write(request, spec, &Encoding::Base64.encode(&tag))
        }
        Special::Braintree => {
            let tag = tag(&key, braintree::claims(request, &[]), options)?;
            let public = public.unwrap_or_default();
            write(request, spec, &format!("{public}|{}", hex::encode(tag)))
        }
        Special::Contentful => {
            place::set_header(request, contentful::TIME, &time.unwrap_or_default());
            if request.headers.get(contentful::LIST).is_none() {
                let list = format!("{},{}", contentful::LIST, contentful::TIME);
                place::set_header(request, contentful::LIST, &list);
            }
            let tag = tag(&key, contentful::claims(request, &[]), options)?;
            write(request, spec, &hex::encode(tag))
        }
        Special::Plivo => {
            place::set_header(request, plivo::NONCE, &super::fresh_key::new_id(""));
            let tag = tag(&key, plivo::claims(request, &[]), options)?;
            write(request, spec, &Encoding::Base64.encode(&tag))
        }
        Special::Hook0 => hook0(spec, &key, &time.unwrap_or_default(), request, options),
        Special::AdyenItems => adyen(&key, request, options),
    }
}

fn write(request: &mut Request, spec: &SpecialSpec, text: &str) -> Result<(), SignError> {
    match &spec.signature {
        Some(value) => place::write(request, value, text),
        None => Err(SignError::place("the signature")),
    }
}

/// The signature of the one claim.
fn tag(
    key: &Key,
    claims: Result<Claims<'_>, Failure>,
    options: &SignOptions,
) -> Result<Vec<u8>, SignError> {
    let claims = claims.map_err(|(_, why)| SignError::Other(why))?;
    let content = claims.claims.first().and_then(|c| c.contents.first());
    let content = content.ok_or_else(|| SignError::Lacks("content".to_owned()))?;
    let mut tag = key.mac(content);
    spoil(&mut tag, options);
    Ok(tag)
}

/// Twilio signs a body that is no form by its hash in the query.
fn bind_body(request: &mut Request) -> Result<(), SignError> {
    if request.wire_body.is_empty() || request.media_type() == FORM {
        return Ok(());
    }
    let hash = hex::encode(Sha256::digest(&request.wire_body));
    let place = ValueSpec::of(Source::Query("bodySHA256".to_owned()));
    place::write(request, &place, &hash)
}

/// The newer form, which covers headers, where there is one to cover.
fn hook0(
    spec: &SpecialSpec,
    key: &Key,
    time: &str,
    request: &mut Request,
    options: &SignOptions,
) -> Result<(), SignError> {
    let covered = request.headers.get("content-type").is_some();
    let head = if covered {
        format!("t={time},h=content-type,v1=")
    } else {
        format!("t={time},v0=")
    };
    let claims = hook0::claims(request, &[head.as_str().into()]);
    let tag = tag(key, claims, options)?;
    write(request, spec, &format!("{head}{}", hex::encode(tag)))
}

/// Every item of the body carries its own signature.
fn adyen(key: &Key, request: &mut Request, options: &SignOptions) -> Result<(), SignError> {
    // What is claimed is asked with something in the signature's place.
    set_signatures(request, &mut std::iter::repeat("AA==".to_owned()))?;
    let claims = adyen::claims(request).map_err(|(_, why)| SignError::Other(why))?;
    let tags: Vec<String> = claims
        .claims
        .iter()
        .filter_map(|claim| {
            let mut tag = key.mac(claim.contents.first()?);
            spoil(&mut tag, options);
            Some(Encoding::Base64.encode(&tag))
        })
        .collect();
    drop(claims);
    set_signatures(request, &mut tags.into_iter())
}

fn set_signatures(
    request: &mut Request,
    texts: &mut dyn Iterator<Item = String>,
) -> Result<(), SignError> {
    let wrong = || SignError::place("body /notificationItems/*/…/hmacSignature");
    let tokens = [
        "notificationItems",
        "*",
        "NotificationRequestItem",
        "additionalData",
        "hmacSignature",
    ]
    .map(str::to_owned);
    let mut body: Value = serde_json::from_slice(&request.wire_body).map_err(|_| wrong())?;
    let mut next = |_: Option<&str>| texts.next().unwrap_or_default();
    if !place::changed_value(&mut body, &tokens, &mut next) {
        return Err(wrong());
    }
    place::set_body(request, body.to_string().into_bytes());
    Ok(())
}
