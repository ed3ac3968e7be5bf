//! Braintree: the form fields `bt_signature`, pairs `public key|signature` joined by `&`, and `bt_payload`,
//! signed with HMAC-SHA1 keyed with the SHA-1 of the private key (Braintree's own libraries). The secret is
//! `public key:private key`.

use super::encoding::Encoding;
use super::mac::{Algorithm, Key};
use super::signature::Failure;
use super::special::{Claim, Claims};
use crate::codes;
use crate::model::Request;
use crate::model::limits::SIGNATURES_MAX;
use crate::verify::Source;
use sha1::{Digest, Sha1};
use std::borrow::Cow;

/// Public key and prepared private key of a secret.
pub(super) fn key(secret: &str) -> Option<(String, Key)> {
    let (public, private) = secret.split_once(':')?;
    if public.trim().is_empty() || private.trim().is_empty() {
        return None;
    }
    let key = Key::new(Algorithm::Sha1, &Sha1::digest(private.as_bytes()))?;
    Some((public.to_owned(), key))
}

/// The answer to `?bt_challenge=…`: `public key|signature`.
pub(crate) fn braintree_answer(secret: &str, challenge: &str) -> Option<String> {
    let (public, key) = key(secret)?;
    let mac = key.mac(&[Cow::Borrowed(challenge.as_bytes())]);
    Some(format!("{public}|{}", hex::encode(mac)))
}

/// `signature`: the field `bt_signature`.
pub(super) fn claims<'a>(
    request: &'a Request,
    signature: &[Cow<'a, str>],
) -> Result<Claims<'a>, Failure> {
    let payload = Source::Form("bt_payload".to_owned());
    let mut found = payload.read(request).into_iter();
    let payload = match (found.next(), found.next()) {
        (Some(one), None) => match one {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        },
        (None, _) => {
            let message = "the request has no form field bt_payload".to_owned();
            return Err((codes::CREDENTIAL_MISSING, message));
        }
        _ => {
            let message = "form field bt_payload arrives more than once".to_owned();
            return Err((codes::CREDENTIAL_MALFORMED, message));
        }
    };
    let legal = |b: &u8| b.is_ascii_alphanumeric() | matches!(b, b'+' | b'/' | b'=' | b'\n');
    // Without a way out in between, many bytes are looked at at once.
    if !payload.iter().fold(true, |all, b| all & legal(b)) {
        let message = "form field bt_payload is not base64".to_owned();
        return Err((codes::CREDENTIAL_MALFORMED, message));
    }
    let pairs = signature.iter().flat_map(|field| field.split('&'));
    let signatures = pairs
        .take(SIGNATURES_MAX)
        .filter_map(|pair| {
            let (public, signature) = pair.split_once('|')?;
            let signature = Encoding::Hex.decode(signature)?;
            Some((Some(public.to_owned()), signature))
        })
        .collect();
    // Braintree's library tries a newline behind it, which some form encoders drop.
    let longer = vec![payload.clone(), Cow::Borrowed(b"\n".as_slice())];
    Ok(Claims::one(Claim {
        signatures,
        contents: vec![vec![payload], longer],
    }))
}
