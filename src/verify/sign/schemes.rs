//! The credential of each scheme, written where the scheme has it.

use super::{Age, BASIC_MARK, SignError, SignOptions, live, place, special};
use crate::model::{Request, Secret};
use crate::verify::digest_text::HashOf;
use crate::verify::encoding::Encoding;
use crate::verify::fresh::TimeSpec;
use crate::verify::keyed::{AnyKey, Method};
use crate::verify::mac::{Algorithm, Key};
use crate::verify::spec::{BodyTokenSpec, HmacSpec, JwtSpec, Scheme, SchemeName, TokenSpec};
use crate::verify::{DatedSecret, Source, qsh};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// How long a token that is made here counts.
const TOKEN_LIFE: SignedDuration = SignedDuration::from_mins(5);
/// How far past its limit an old time is.
const PAST_LIMIT: SignedDuration = SignedDuration::from_mins(1);

/// Signs by one scheme.
pub(super) fn sign(
    scheme: &Scheme,
    secrets: &[DatedSecret],
    request: &mut Request,
    options: &SignOptions,
) -> Result<(), SignError> {
    let secret = || Ok::<_, SignError>(&live(secrets, options.now)?.secret);
    match scheme {
        // Where a request comes from is not ours to write.
        Scheme::Address(_) => no_time("address", options),
        Scheme::Hmac(spec) => keyed(spec, secret()?, request, options),
        Scheme::Token(spec) => token(spec, secret()?, request, options),
        Scheme::BodyToken(spec) => body_token(spec, secret()?, request, options),
        Scheme::Jwt(spec) => jwt(spec, secret()?, request, options),
        Scheme::Special(spec) => special::sign(spec, secret()?, request, options),
    }
}

pub(super) fn name(scheme: &Scheme) -> String {
    match scheme {
        Scheme::Address(_) => "address".to_owned(),
        Scheme::Hmac(spec) => spec.method.name().to_owned(),
        Scheme::Token(spec) => spec.name.as_str().to_owned(),
        Scheme::BodyToken(_) => "body-token".to_owned(),
        Scheme::Jwt(_) => "jwt".to_owned(),
        Scheme::Special(spec) => spec.sender.name().to_owned(),
    }
}

pub(super) fn is_late(scheme: &Scheme) -> bool {
    match scheme {
        Scheme::Hmac(_) | Scheme::Jwt(_) | Scheme::Special(_) => true,
        Scheme::Token(_) | Scheme::BodyToken(_) | Scheme::Address(_) => false,
    }
}

/// The time to sign: now, or an older one.
pub(super) fn time_of(
    time: &TimeSpec,
    name: &str,
    options: &SignOptions,
) -> Result<Timestamp, SignError> {
    let Some(Age {
        age,
        past_the_limit,
    }) = options.age
    else {
        return Ok(options.now);
    };
    let limit = time
        .past()
        .ok_or_else(|| SignError::AnyAge(name.to_owned()))?;
    earlier(options.now, age, past_the_limit.then_some(limit))
}

fn earlier(
    now: Timestamp,
    age: SignedDuration,
    limit: Option<SignedDuration>,
) -> Result<Timestamp, SignError> {
    let past = limit.map_or(age, |limit| {
        age.max(limit.checked_add(PAST_LIMIT).unwrap_or(limit))
    });
    now.checked_sub(past)
        .map_err(|_| SignError::Other("that is longer ago than time goes".to_owned()))
}

pub(super) fn no_time(name: &str, options: &SignOptions) -> Result<(), SignError> {
    match options.age {
        Some(_) => Err(SignError::NoTime(name.to_owned())),
        None => Ok(()),
    }
}

/// Makes a signature wrong by one bit.
pub(super) fn spoil(tag: &mut [u8], options: &SignOptions) {
    if let (true, Some(byte)) = (options.bad, tag.first_mut()) {
        *byte ^= 1;
    }
}

/// A signature over a recipe.
fn keyed(
    spec: &HmacSpec,
    secret: &Secret,
    request: &mut Request,
    options: &SignOptions,
) -> Result<(), SignError> {
    let name = spec.method.name();
    if matches!(spec.method, Method::Public(_)) {
        return Err(SignError::PublicKey(name.to_owned()));
    }
    match &spec.time {
        Some(time) => {
            let text = time.text(time_of(time, name, options)?);
            place::write(request, &time.value, &text)?;
        }
        None => no_time(name, options)?,
    }
    if let Some(id) = &spec.id
        && !place::is_there(request, id)
    {
        place::write(request, id, &super::fresh_key::new_id("msg_"))?;
    }
    let key = AnyKey::new(spec, 1, secret.expose());
    let key = key.map_err(|error| SignError::Other(error.to_string()))?;
    let first = |value: Option<&crate::verify::ValueSpec>| {
        value.and_then(|value| value.read(request).into_iter().next())
    };
    let ts = first(spec.time.as_ref().map(|time| &time.value));
    let id = first(spec.id.as_ref());
    let signed = spec
        .signed
        .resolve(request, ts.as_deref(), id.as_deref())
        .map_err(SignError::Lacks)?;
    let mut tag = key
        .tag(&signed)
        .ok_or_else(|| SignError::PublicKey(name.to_owned()))?;
    drop(signed);
    spoil(&mut tag, options);
    place::write(request, &spec.signature, &spec.encoding.encode(&tag))
}

/// What is sent in place of the secret where the secret itself is the credential.
fn credential(secret: &Secret, options: &SignOptions) -> String {
    if options.bad {
        return super::fresh_key::new_id("not-the-secret-");
    }
    match &options.mark {
        Some(mark) => mark.clone(),
        None => secret.expose().to_owned(),
    }
}

fn token(
    spec: &TokenSpec,
    secret: &Secret,
    request: &mut Request,
    options: &SignOptions,
) -> Result<(), SignError> {
    no_time(spec.name.as_str(), options)?;
    let text = credential(secret, options);
    let text = match (spec.name, &options.mark) {
        (SchemeName::Basic, Some(mark)) if !options.bad => format!("{BASIC_MARK}{mark}"),
        (SchemeName::Basic, _) if options.bad => {
            Encoding::Base64.encode(format!("user:{text}").as_bytes())
        }
        (SchemeName::Basic, _) => Encoding::Base64.encode(text.as_bytes()),
        _ => text,
    };
    let place = spec
        .places
        .first()
        .ok_or_else(|| SignError::place("the token"))?;
    place::write(request, place, &text)
}

fn body_token(
    spec: &BodyTokenSpec,
    secret: &Secret,
    request: &mut Request,
    options: &SignOptions,
) -> Result<(), SignError> {
    no_time("body-token", options)?;
    let wrong = || SignError::place(&format!("body {}", spec.text));
    let text = credential(secret, options);
    if spec.tokens.is_empty() {
        let field = Source::Form(spec.text.clone());
        return place::edit(request, &field, &mut |_| text.clone());
    }
    let mut body: Value = serde_json::from_slice(&request.body).map_err(|_| wrong())?;
    if !place::changed_value(&mut body, &spec.tokens, &mut |_| text.clone()) {
        return Err(wrong());
    }
    place::set_body(request, body.to_string().into_bytes());
    Ok(())
}

/// A token that binds the request, with every claim that the scheme looks at.
fn jwt(
    spec: &JwtSpec,
    secret: &Secret,
    request: &mut Request,
    options: &SignOptions,
) -> Result<(), SignError> {
    use jsonwebtoken::Algorithm as Alg;
    let first = spec.algorithms.first().copied().unwrap_or_default();
    let algorithm = match first {
        Alg::HS256 => Algorithm::Sha256,
        Alg::HS384 => Algorithm::Sha384,
        Alg::HS512 => Algorithm::Sha512,
        _ => return Err(SignError::PublicKey(format!("a JWT with {first:?}"))),
    };
    let made = match options.age {
        Some(age) => earlier(
            options.now,
            age.age,
            age.past_the_limit
                .then_some(TOKEN_LIFE.max(spec.leeway + PAST_LIMIT)),
        )?,
        None => options.now,
    };
    let claims = claims(spec, request, made)?;
    let stripped = spec
        .key_prefix
        .iter()
        .find_map(|prefix| secret.expose().strip_prefix(prefix.as_str()));
    let key = spec
        .key
        .decode(stripped.unwrap_or(secret.expose()))
        .and_then(|bytes| Key::new(algorithm, &bytes))
        .ok_or_else(|| SignError::Other(format!("the secret is not {}", spec.key.name())))?;
    let part = |value: &Value| {
        let text = Encoding::Base64Url.encode(value.to_string().as_bytes());
        text.trim_end_matches('=').to_owned()
    };
    let header = json!({"alg": format!("{first:?}"), "typ": "JWT"});
    let message = format!("{}.{}", part(&header), part(&Value::Object(claims)));
    let mut tag = key.mac(&[Cow::Borrowed(message.as_bytes())]);
    spoil(&mut tag, options);
    let tag = Encoding::Base64Url.encode(&tag);
    let token = format!("{message}.{}", tag.trim_end_matches('='));
    place::write(request, &spec.token, &token)
}

fn claims(
    spec: &JwtSpec,
    request: &Request,
    made: Timestamp,
) -> Result<Map<String, Value>, SignError> {
    let ends = made
        .checked_add(TOKEN_LIFE)
        .map_err(|_| SignError::Other("time ends".to_owned()))?;
    let mut claims = Map::new();
    let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    if let Some(issuer) = &spec.issuer {
        put("iss", json!(issuer));
    }
    if let Some(audience) = &spec.audience {
        let url = audience == "{url}";
        put("aud", json!(if url { &request.url } else { audience }));
    }
    if let Some(hash) = &spec.body_hash {
        put(&hash.claim, json!(hash.text(&request.wire_body)));
    }
    if let Some(hash) = &spec.url_hash {
        let text = match hash.of {
            None => hash.text(request.url.as_bytes()),
            Some(HashOf::AtlassianQsh) => {
                let forms = qsh::canonical(request);
                hash.text(forms.first().map_or(&[][..], Vec::as_slice))
            }
        };
        put(&hash.claim, json!(text));
    }
    put("iat", json!(made.as_second()));
    put("nbf", json!(made.as_second()));
    put("exp", json!(ends.as_second()));
    put("jti", json!(super::fresh_key::new_id("")));
    Ok(claims)
}
