//! Tokens whose key is in a set: pinned by URL or file, found by the name in the token's head. The head chooses
//! among these keys and nothing else: where it says keys are (`jku`, `x5u`) or brings one (`jwk`, `x5c`) is not read.

use super::jwks::Jwks;
use super::jwt_crypto;
use super::keys::{Content, Document, Found, KeySource, KeysAtHand, key_url};
use super::report::{Report, shown};
use crate::codes::{self, Code};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Keys of one token that are tried at most.
const TRIED_MAX: usize = 32;

type Failure = (Code, String);

/// `jwks = { url = "https://…" }` or `{ file = "…" }`.
#[derive(Debug, Clone)]
pub(super) enum JwksPlace {
    Url(KeySource),
    /// Relative to the configuration's folder, read when that is.
    File(String),
    /// What was in the file.
    Text(Arc<str>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPlace {
    url: Option<String>,
    file: Option<String>,
}

impl<'de> Deserialize<'de> for JwksPlace {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let raw = RawPlace::deserialize(deserializer)?;
        match (raw.url, raw.file) {
            (Some(url), None) => {
                let url =
                    key_url(&url).map_err(|why| D::Error::custom(format!("`jwks`: {why}")))?;
                Ok(Self::Url(KeySource::jwks(url)))
            }
            (None, Some(file)) if !file.is_empty() => Ok(Self::File(file)),
            _ => Err(D::Error::custom(
                "`jwks` says where the keys are, once: { url = \"https://…\" } or { file = \"…\" }",
            )),
        }
    }
}

/// Where the keys of a scheme are, ready to be asked.
pub(super) enum KeySet {
    Remote(KeySource),
    Local(Jwks),
}

impl KeySet {
    /// # Errors
    /// The file was not read, or holds no keys.
    pub(super) fn new(place: &JwksPlace) -> Result<Self, String> {
        match place {
            JwksPlace::Url(source) => Ok(Self::Remote(source.clone())),
            JwksPlace::Text(text) => Jwks::read(text.as_bytes())
                .map(Self::Local)
                .map_err(|why| format!("`jwks.file`: {why}")),
            JwksPlace::File(_) => Err("`jwks.file` is for webhooks.toml alone".to_owned()),
        }
    }

    pub(super) fn source(&self) -> Option<&KeySource> {
        match self {
            Self::Remote(source) => Some(source),
            Self::Local(_) => None,
        }
    }

    /// The work of a check by one key of the set, if the set is at hand.
    pub(super) fn work_for_nothing(
        &self,
        algorithms: &[Algorithm],
        message: &[u8],
        keys: &dyn KeysAtHand,
    ) {
        match self {
            Self::Local(jwks) => work_for_nothing(jwks, algorithms, message),
            Self::Remote(source) => {
                let found = keys.find(source);
                if let Some(Document(Content::Jwks(jwks))) = found.as_ref().map(|f| &*f.document) {
                    work_for_nothing(jwks, algorithms, message);
                }
            }
        }
    }

    /// The claims of a token that one of the keys signed.
    ///
    /// # Errors
    /// `KEY_NOT_AT_HAND` when the source may have the key and what is here has not.
    pub(super) fn claims(
        &self,
        report: &mut Report,
        token: &str,
        algorithms: &[Algorithm],
        keys: &dyn KeysAtHand,
    ) -> Result<Map<String, Value>, Failure> {
        let header = head(token, algorithms).inspect_err(|_| {
            self.work_for_nothing(algorithms, token.as_bytes(), keys);
        })?;
        match self {
            Self::Local(jwks) => decode(report, token, &header, jwks, (true, true)),
            Self::Remote(source) => {
                let Some(Found {
                    document,
                    fresh,
                    asked,
                }) = keys.find(source)
                else {
                    return Err(not_at_hand(source));
                };
                let Document(Content::Jwks(jwks)) = &*document else {
                    return Err(not_at_hand(source));
                };
                decode(report, token, &header, jwks, (fresh, asked)).map_err(|failure| {
                    if failure.0 == codes::KEY_NOT_AT_HAND {
                        return not_at_hand(source);
                    }
                    failure
                })
            }
        }
    }
}

/// The work of a check by the first key that is for one of the algorithms.
fn work_for_nothing(jwks: &Jwks, algorithms: &[Algorithm], message: &[u8]) {
    let mut keys = algorithms.iter().filter_map(|algorithm| {
        let candidate = jwks.candidates(None, *algorithm).next()?;
        Some((*algorithm, &candidate.key))
    });
    if let Some((algorithm, key)) = keys.next() {
        jwt_crypto::work_for_nothing(algorithm, key, message);
    }
}

/// That a key is not here, and why.
pub(super) fn not_at_hand(source: &KeySource) -> Failure {
    let message = format!("the key is not at hand: {}", source.label());
    (codes::KEY_NOT_AT_HAND, message)
}

/// The token's head, if its algorithm is one that the scheme lists.
fn head(token: &str, algorithms: &[Algorithm]) -> Result<Header, Failure> {
    let malformed = |message: String| (codes::CREDENTIAL_MALFORMED, message);
    let header = jsonwebtoken::decode_header(token)
        .map_err(|_| malformed("the token is no JSON Web Token of a known algorithm".to_owned()))?;
    if !algorithms.contains(&header.alg) {
        return Err(malformed(format!(
            "the token is signed by another algorithm than {algorithms:?}"
        )));
    }
    // RFC 7515, section 4.1.11: what is critical and not understood makes the token invalid.
    if header.crit.is_some() {
        let message = "the token's head has critical extensions, of which none is known";
        return Err(malformed(message.to_owned()));
    }
    Ok(header)
}

fn decode(
    report: &mut Report,
    token: &str,
    header: &Header,
    jwks: &Jwks,
    (fresh, asked): (bool, bool),
) -> Result<Map<String, Value>, Failure> {
    let kid = header.kid.as_deref();
    if let Some(kid) = kid
        && !jwks.has(kid)
    {
        let name = shown(kid);
        if !fresh {
            return Err((codes::KEY_NOT_AT_HAND, String::new()));
        }
        work_for_nothing(jwks, &[header.alg], token.as_bytes());
        report.fail("key", format!("the set has no key `{name}`"));
        let message = format!("the token names the key `{name}`, which the sender does not have");
        return Err((codes::SIGNATURE_MISMATCH, message));
    }
    let validation = validation(header.alg);
    let (mut malformed, mut worked) = (false, false);
    for candidate in jwks.candidates(kid, header.alg).take(TRIED_MAX) {
        match one(token, &candidate.key, &validation) {
            Ok(claims) => {
                let name = candidate.kid.as_deref().map_or_else(
                    || "a key without a name".to_owned(),
                    |kid| format!("key `{}`", shown(kid)),
                );
                report.pass("signature", format!("{:?}, {name}", header.alg));
                return Ok(claims);
            }
            Err(ErrorKind::InvalidSignature | ErrorKind::Provider(_)) => worked = true,
            // Found before the signature was looked at.
            Err(_) => malformed = true,
        }
    }
    if !worked {
        work_for_nothing(jwks, &[header.alg], token.as_bytes());
    }
    if malformed {
        let message = "the token is no JSON Web Token".to_owned();
        return Err((codes::CREDENTIAL_MALFORMED, message));
    }
    // Without a name, a key that came since may be the one.
    if kid.is_none() && !asked {
        return Err((codes::KEY_NOT_AT_HAND, String::new()));
    }
    let message = "no key of the sender has signed the token".to_owned();
    Err((codes::SIGNATURE_MISMATCH, message))
}

fn one(
    token: &str,
    key: &DecodingKey,
    validation: &Validation,
) -> Result<Map<String, Value>, ErrorKind> {
    jsonwebtoken::decode(token, key, validation)
        .map(|data| data.claims)
        .map_err(jsonwebtoken::errors::Error::into_kind)
}

/// Checks the signature by one algorithm; the claims are checked by the clock that is handed in.
pub(super) fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}
