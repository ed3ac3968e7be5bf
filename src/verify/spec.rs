//! What `verify = …` says, read and checked before secrets are known.

use super::address::AddressSpec;
use super::digest::Hash;
use super::digest_text::HashClaim;
use super::encoding::{Encoding, KeyEncoding};
use super::fresh::{Limit, TimeSpec};
use super::keyed::Method;
use super::mac::Algorithm;
use super::public::PublicAlgorithm;
use super::recipe::Recipe;
use super::special::Special;
use super::value::{OneOrMany, Source, ValueSpec};
use serde::de::{self, Deserialize, Deserializer, value::MapAccessDeserializer};
use std::fmt;

/// What `verify = …` of a webhook or `[verify]` of a provider says, before secrets are known.
///
/// `"none"`, one scheme's table, or `{ any = […] }`, `{ all = […] }`, `{ first = […] }` of these: any may
/// verify; all must; the first whose credential is present decides. The keys are [`VerifySpec::KEYS`].
#[derive(Debug, Clone)]
pub enum VerifySpec {
    /// Accepts anyone.
    None,
    /// One scheme.
    One(SchemeSpec),
    /// One of them must verify.
    Any(Vec<VerifySpec>),
    /// Every one must verify.
    All(Vec<VerifySpec>),
    /// The first whose credential is present decides; there is no falling back.
    First(Vec<VerifySpec>),
}

/// One scheme.
#[derive(Debug, Clone)]
pub struct SchemeSpec(pub(super) Scheme);

#[derive(Debug, Clone)]
pub(super) enum Scheme {
    Address(AddressSpec),
    Hmac(Box<HmacSpec>),
    Token(TokenSpec),
    BodyToken(BodyTokenSpec),
    Jwt(Box<JwtSpec>),
    Special(SpecialSpec),
}

/// A signature over a recipe.
#[derive(Debug, Clone)]
pub(super) struct HmacSpec {
    pub(super) method: Method,
    pub(super) signature: ValueSpec,
    pub(super) encoding: Encoding,
    pub(super) signed: Recipe,
    pub(super) time: Option<TimeSpec>,
    pub(super) id: Option<ValueSpec>,
    pub(super) key: KeyEncoding,
    /// The first of these that a secret begins with is cut off before it is decoded.
    pub(super) key_prefix: Vec<String>,
}

/// Something that must equal the secret.
#[derive(Debug, Clone)]
pub(super) struct TokenSpec {
    pub(super) name: SchemeName,
    /// Where it may be.
    pub(super) places: Vec<ValueSpec>,
}

/// A token in the body that must equal the secret.
#[derive(Debug, Clone)]
pub(super) struct BodyTokenSpec {
    /// The pointer, or the name of a form field.
    pub(super) text: String,
    /// Of a JSON pointer, in which `*` is every item of a list; none: a form field.
    pub(super) tokens: Vec<String>,
}

/// A JSON Web Token that binds the request.
#[derive(Debug, Clone)]
pub(super) struct JwtSpec {
    pub(super) token: ValueSpec,
    /// Of one family.
    pub(super) algorithms: Vec<jsonwebtoken::Algorithm>,
    pub(super) issuer: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) body_hash: Option<HashClaim>,
    pub(super) url_hash: Option<HashClaim>,
    pub(super) leeway: jiff::SignedDuration,
    pub(super) max_age: Option<Limit>,
    pub(super) key: KeyEncoding,
    pub(super) key_prefix: Vec<String>,
}

/// A sender whose signed content needs code.
#[derive(Debug, Clone)]
pub(super) struct SpecialSpec {
    pub(super) sender: Special,
    pub(super) signature: Option<ValueSpec>,
    pub(super) time: Option<TimeSpec>,
}

/// Names of the schemes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SchemeName {
    HmacSha1,
    HmacSha256,
    HmacSha384,
    HmacSha512,
    Ed25519,
    EcdsaP256Sha256,
    RsaSha1,
    RsaSha256,
    Sha1,
    Sha256,
    Jwt,
    BodyToken,
    Twilio,
    TwilioSha256,
    AdyenItems,
    Braintree,
    Contentful,
    Hook0,
    Plivo,
    Bearer,
    Basic,
    HeaderToken,
    QueryToken,
    PathToken,
    Address,
    None,
}

impl SchemeName {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha1 => Algorithm::Sha1.name(),
            Self::HmacSha256 => Algorithm::Sha256.name(),
            Self::HmacSha384 => Algorithm::Sha384.name(),
            Self::HmacSha512 => Algorithm::Sha512.name(),
            Self::Ed25519 => PublicAlgorithm::Ed25519.name(),
            Self::EcdsaP256Sha256 => PublicAlgorithm::EcdsaP256.name(),
            Self::RsaSha1 => PublicAlgorithm::RsaSha1.name(),
            Self::RsaSha256 => PublicAlgorithm::RsaSha256.name(),
            Self::Sha1 => Hash::Sha1.name(),
            Self::Sha256 => Hash::Sha256.name(),
            Self::Jwt => "jwt",
            Self::BodyToken => "body-token",
            Self::Twilio => Special::Twilio.name(),
            Self::TwilioSha256 => Special::TwilioSha256.name(),
            Self::AdyenItems => Special::AdyenItems.name(),
            Self::Braintree => Special::Braintree.name(),
            Self::Contentful => Special::Contentful.name(),
            Self::Hook0 => Special::Hook0.name(),
            Self::Plivo => Special::Plivo.name(),
            Self::Bearer => "bearer",
            Self::Basic => "basic",
            Self::HeaderToken => "header-token",
            Self::QueryToken => "query-token",
            Self::PathToken => "path-token",
            Self::Address => "address",
            Self::None => "none",
        }
    }
}

/// Keys of the schemes whose signature is over a list of parts.
const SIGNATURE_KEYS: &[&str] = &[
    "header",
    "query",
    "signature",
    "prefix",
    "split",
    "repeat",
    "encoding",
    "signed",
    "timestamp",
    "tolerance",
    "id",
    "key",
    "key_prefix",
];

/// Schemes nested deeper than this make no sense.
const DEPTH_MAX: usize = 3;
/// Schemes in one list at most: each costs a MAC.
pub(super) const LIST_MAX: usize = 8;

impl VerifySpec {
    /// Every key that one scheme's table may have (secrets apart), for suggestions.
    pub const KEYS: &'static [&'static str] = &[
        "scheme",
        "header",
        "query",
        "signature",
        "prefix",
        "split",
        "repeat",
        "encoding",
        "signed",
        "timestamp",
        "tolerance",
        "id",
        "key",
        "key_prefix",
        "json",
        "form",
        "networks",
        "algorithms",
        "issuer",
        "audience",
        "body_hash",
        "url_hash",
        "leeway",
        "max_age",
        "any",
        "all",
        "first",
    ];

    /// The keys whose value is a list of schemes, each of which may have secrets of its own.
    pub const LISTS: &'static [&'static str] = &["any", "all", "first"];

    /// Names of all schemes, for suggestions.
    pub const SCHEMES: &'static [&'static str] = &[
        "hmac-sha1",
        "hmac-sha256",
        "hmac-sha384",
        "hmac-sha512",
        "ed25519",
        "ecdsa-p256-sha256",
        "rsa-sha1",
        "rsa-sha256",
        "sha1",
        "sha256",
        "jwt",
        "body-token",
        "twilio",
        "twilio-sha256",
        "adyen-items",
        "braintree",
        "contentful",
        "hook0",
        "plivo",
        "bearer",
        "basic",
        "header-token",
        "query-token",
        "path-token",
        "address",
        "none",
    ];

    /// Whether it needs a secret.
    #[must_use]
    pub fn needs_secret(&self) -> bool {
        match self {
            Self::None | Self::One(SchemeSpec(Scheme::Address(_))) => false,
            Self::One(_) => true,
            Self::Any(specs) | Self::All(specs) | Self::First(specs) => {
                specs.iter().any(Self::needs_secret)
            }
        }
    }

    /// The scheme in one line, for lists: `hmac-sha256 (hex) of {body} in header x-hub-signature-256`.
    #[must_use]
    pub fn summary(&self) -> String {
        let list = |specs: &[Self], word: &str| {
            let all: Vec<_> = specs.iter().map(Self::summary).collect();
            all.join(word)
        };
        match self {
            Self::None => "none".to_owned(),
            Self::Any(specs) => list(specs, ", or "),
            Self::All(specs) => list(specs, ", and "),
            Self::First(specs) => list(specs, ", else "),
            Self::One(scheme) => match &scheme.0 {
                Scheme::Hmac(hmac) => format!(
                    "{} ({}) of {} in {}",
                    hmac.method.name(),
                    hmac.encoding.name(),
                    hmac.signed.as_str(),
                    hmac.signature.label(),
                ),
                Scheme::Token(token) => {
                    let places: Vec<_> = token.places.iter().map(ValueSpec::label).collect();
                    format!("{} in {}", token.name.as_str(), places.join(" or "))
                }
                Scheme::Address(networks) => networks.summary(),
                Scheme::BodyToken(token) => format!("body-token in {}", token.text),
                Scheme::Jwt(jwt) => {
                    format!("jwt ({:?}) in {}", jwt.algorithms, jwt.token.label())
                }
                Scheme::Special(special) => match &special.signature {
                    Some(value) => format!("{} in {}", special.sender.name(), value.label()),
                    None => format!("{} in the body", special.sender.name()),
                },
            },
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::None | Self::One(_) => 1,
            Self::Any(specs) | Self::All(specs) | Self::First(specs) => {
                1 + specs.iter().map(Self::depth).max().unwrap_or(0)
            }
        }
    }
}

impl<'de> Deserialize<'de> for VerifySpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = VerifySpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"none\" or a table with `scheme`, `any`, `all` or `first`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<VerifySpec, E> {
                match text {
                    "none" => Ok(VerifySpec::None),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<VerifySpec, A::Error> {
                let raw = RawSpec::deserialize(MapAccessDeserializer::new(map))?;
                raw.check().map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Name of a query parameter, or whether there is one.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(
    untagged,
    expecting = "expected the name of a query parameter, or `true` with `bearer`"
)]
pub(super) enum QueryKey {
    Also(bool),
    Name(String),
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSpec {
    scheme: Option<SchemeName>,
    pub(super) header: Option<OneOrMany>,
    pub(super) query: Option<QueryKey>,
    pub(super) signature: Option<ValueSpec>,
    pub(super) prefix: Option<String>,
    split: Option<String>,
    repeat: Option<bool>,
    encoding: Option<Encoding>,
    signed: Option<Recipe>,
    timestamp: Option<TimeSpec>,
    pub(super) tolerance: Option<Limit>,
    id: Option<ValueSpec>,
    pub(super) key: Option<KeyEncoding>,
    pub(super) key_prefix: Option<OneOrMany>,
    pub(super) json: Option<String>,
    pub(super) form: Option<String>,
    networks: Option<Vec<String>>,
    pub(super) algorithms: Option<Vec<jsonwebtoken::Algorithm>>,
    pub(super) issuer: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) body_hash: Option<HashClaim>,
    pub(super) url_hash: Option<HashClaim>,
    pub(super) leeway: Option<Limit>,
    pub(super) max_age: Option<Limit>,
    any: Option<Vec<VerifySpec>>,
    all: Option<Vec<VerifySpec>>,
    first: Option<Vec<VerifySpec>>,
}

impl RawSpec {
    fn check(mut self) -> Result<VerifySpec, String> {
        let lists = [
            ("any", self.any.take()),
            ("all", self.all.take()),
            ("first", self.first.take()),
        ];
        let mut lists = lists.into_iter().filter_map(|(k, l)| l.map(|l| (k, l)));
        let one = "a table has one of `scheme`, `any`, `all`, `first`".to_owned();
        let spec = match (self.scheme, lists.next(), lists.next()) {
            (Some(name), None, _) => return self.scheme(name),
            (None, Some((key, list)), None) => {
                self.refuse("a list of schemes", &self.given())?;
                if list.is_empty() || list.len() > LIST_MAX {
                    return Err(format!("`{key}` lists 1 to {LIST_MAX} schemes"));
                }
                match key {
                    "any" => VerifySpec::Any(list),
                    "all" => VerifySpec::All(list),
                    _ => VerifySpec::First(list),
                }
            }
            _ => return Err(one),
        };
        if spec.depth() > DEPTH_MAX {
            return Err(format!("schemes are nested deeper than {DEPTH_MAX}"));
        }
        Ok(spec)
    }

    /// Keys that were given, beside `scheme` and lists.
    fn given(&self) -> Vec<&'static str> {
        let all = [
            ("header", self.header.is_some()),
            ("query", self.query.is_some()),
            ("signature", self.signature.is_some()),
            ("prefix", self.prefix.is_some()),
            ("split", self.split.is_some()),
            ("repeat", self.repeat.is_some()),
            ("encoding", self.encoding.is_some()),
            ("signed", self.signed.is_some()),
            ("timestamp", self.timestamp.is_some()),
            ("tolerance", self.tolerance.is_some()),
            ("id", self.id.is_some()),
            ("key", self.key.is_some()),
            ("key_prefix", self.key_prefix.is_some()),
            ("json", self.json.is_some()),
            ("form", self.form.is_some()),
            ("networks", self.networks.is_some()),
            ("algorithms", self.algorithms.is_some()),
            ("issuer", self.issuer.is_some()),
            ("audience", self.audience.is_some()),
            ("body_hash", self.body_hash.is_some()),
            ("url_hash", self.url_hash.is_some()),
            ("leeway", self.leeway.is_some()),
            ("max_age", self.max_age.is_some()),
        ];
        all.into_iter()
            .filter(|(_, g)| *g)
            .map(|(k, _)| k)
            .collect()
    }

    fn refuse(&self, what: &str, keys: &[&str]) -> Result<(), String> {
        match keys.first() {
            None => Ok(()),
            Some(key) => Err(format!("`{key}` has no effect with {what}")),
        }
    }

    /// Refuses keys that a scheme does not read.
    pub(super) fn only(&self, name: SchemeName, allowed: &[&str]) -> Result<(), String> {
        let mut keys = self.given();
        keys.retain(|key| !allowed.contains(key));
        self.refuse(&format!("scheme `{}`", name.as_str()), &keys)
    }

    fn scheme(self, name: SchemeName) -> Result<VerifySpec, String> {
        let scheme = match name {
            SchemeName::None => {
                self.only(name, &[])?;
                return Ok(VerifySpec::None);
            }
            SchemeName::HmacSha1 => self.hmac(name, Method::Hmac(Algorithm::Sha1))?,
            SchemeName::HmacSha256 => self.hmac(name, Method::Hmac(Algorithm::Sha256))?,
            SchemeName::HmacSha384 => self.hmac(name, Method::Hmac(Algorithm::Sha384))?,
            SchemeName::HmacSha512 => self.hmac(name, Method::Hmac(Algorithm::Sha512))?,
            SchemeName::Ed25519 => self.hmac(name, Method::Public(PublicAlgorithm::Ed25519))?,
            SchemeName::EcdsaP256Sha256 => {
                self.hmac(name, Method::Public(PublicAlgorithm::EcdsaP256))?
            }
            SchemeName::RsaSha1 => self.hmac(name, Method::Public(PublicAlgorithm::RsaSha1))?,
            SchemeName::RsaSha256 => self.hmac(name, Method::Public(PublicAlgorithm::RsaSha256))?,
            SchemeName::Sha1 => self.hmac(name, Method::Digest(Hash::Sha1))?,
            SchemeName::Sha256 => self.hmac(name, Method::Digest(Hash::Sha256))?,
            SchemeName::Jwt => self.jwt(name)?,
            SchemeName::BodyToken => self.body_token(name)?,
            SchemeName::Twilio => self.special(name, Special::Twilio)?,
            SchemeName::TwilioSha256 => self.special(name, Special::TwilioSha256)?,
            SchemeName::AdyenItems => self.special(name, Special::AdyenItems)?,
            SchemeName::Braintree => self.special(name, Special::Braintree)?,
            SchemeName::Contentful => self.special(name, Special::Contentful)?,
            SchemeName::Hook0 => self.special(name, Special::Hook0)?,
            SchemeName::Plivo => self.special(name, Special::Plivo)?,
            SchemeName::Bearer => self.bearer()?,
            SchemeName::Basic => {
                self.only(name, &[])?;
                let places = vec![ValueSpec::authorization("Basic")];
                Scheme::Token(TokenSpec { name, places })
            }
            SchemeName::HeaderToken => self.header_token()?,
            SchemeName::QueryToken => self.query_token()?,
            SchemeName::PathToken => {
                self.only(name, &[])?;
                let place = ValueSpec::cut(vec![Source::Path], None, Some("/".to_owned()));
                Scheme::Token(TokenSpec {
                    name,
                    places: vec![place],
                })
            }
            SchemeName::Address => {
                self.only(name, &["networks"])?;
                Scheme::Address(AddressSpec::parse(self.networks)?)
            }
        };
        Ok(VerifySpec::One(SchemeSpec(scheme)))
    }

    fn bearer(self) -> Result<Scheme, String> {
        let name = SchemeName::Bearer;
        self.only(name, &["query"])?;
        let mut places = vec![ValueSpec::authorization("Bearer")];
        match self.query {
            None | Some(QueryKey::Also(false)) => {}
            Some(QueryKey::Also(true)) => {
                places.push(ValueSpec::of(Source::Query("access_token".into())));
            }
            Some(QueryKey::Name(text)) => places.push(ValueSpec::of(Source::Query(text))),
        }
        Ok(Scheme::Token(TokenSpec { name, places }))
    }

    fn header_token(self) -> Result<Scheme, String> {
        let name = SchemeName::HeaderToken;
        self.only(name, &["header", "prefix"])?;
        let header = self
            .header
            .ok_or("`header` is missing: the header that holds the token")?;
        let sources = header_sources(header)?;
        let places = vec![ValueSpec::cut(sources, None, self.prefix)];
        Ok(Scheme::Token(TokenSpec { name, places }))
    }

    fn query_token(self) -> Result<Scheme, String> {
        let name = SchemeName::QueryToken;
        self.only(name, &["query", "prefix"])?;
        let parameter = match self.query {
            Some(QueryKey::Name(text)) if !text.is_empty() => text,
            None => "token".to_owned(),
            _ => return Err("`query` names the parameter that holds the token".to_owned()),
        };
        let places = vec![ValueSpec::cut(
            vec![Source::Query(parameter)],
            None,
            self.prefix,
        )];
        Ok(Scheme::Token(TokenSpec { name, places }))
    }

    fn hmac(self, name: SchemeName, method: Method) -> Result<Scheme, String> {
        self.only(name, SIGNATURE_KEYS)?;
        let signed = self.signed.unwrap_or_else(Recipe::body);
        let query = match self.query {
            None => None,
            Some(QueryKey::Name(name)) if !name.is_empty() => Some(name),
            Some(_) => {
                return Err("`query` names the parameter that holds the signature".to_owned());
            }
        };
        if self.split.as_deref() == Some("") {
            return Err("`split` is empty".to_owned());
        }
        let cut = |sources| {
            ValueSpec::cut(sources, self.split.clone(), self.prefix.clone())
                .repeated(self.repeat.unwrap_or(false))
        };
        let short = self.split.is_some() || self.prefix.is_some() || self.repeat.is_some();
        let signature = match (self.signature, self.header, query) {
            (Some(_), None, None) if short => {
                return Err("`split`, `prefix` and `repeat` belong into `signature` where it is given".to_owned());
            }
            (Some(signature), None, None) => signature,
            (None, Some(header), None) => cut(header_sources(header)?),
            (None, None, Some(name)) => cut(vec![Source::Query(name)]),
            _ => return Err("say where the signature is, once: `header = \"X-Signature\"`, `query = \"sig\"` or `signature = { from = … }`".to_owned()),
        };
        let values = [Some(&signature), self.id.as_ref()];
        if values.into_iter().flatten().any(ValueSpec::is_each) {
            return Err(
                "`each` is for delivery keys: a signature or an id has one place".to_owned(),
            );
        }
        let mut time = self.timestamp;
        match (&mut time, self.tolerance) {
            (Some(time), Some(limit)) => time.limit(limit),
            (None, Some(_)) => {
                return Err("`tolerance` has no effect without `timestamp`".to_owned());
            }
            _ => {}
        }
        signed_values(&signed, time.as_ref(), self.id.as_ref())?;
        signed_secret(&signed, method)?;
        Ok(Scheme::Hmac(Box::new(HmacSpec {
            method,
            signature,
            encoding: self.encoding.unwrap_or_default(),
            signed,
            time,
            id: self.id,
            key: self.key.unwrap_or_default(),
            key_prefix: self.key_prefix.map_or_else(Vec::new, OneOrMany::into_vec),
        })))
    }
}

/// What the recipe names must be given, and what is given must be signed: an unsigned time proves nothing.
fn signed_values(
    signed: &Recipe,
    time: Option<&TimeSpec>,
    id: Option<&ValueSpec>,
) -> Result<(), String> {
    let covered = |value: &ValueSpec| value.sources().into_iter().all(|s| signed.covers(s));
    match time {
        None if signed.uses_ts() => {
            return Err("`signed` names {ts}, and `timestamp` does not say where it is".to_owned());
        }
        Some(time) if !signed.uses_ts() && !covered(&time.value) => {
            return Err("`timestamp` is not part of `signed`: add {ts} there".to_owned());
        }
        _ => {}
    }
    match id {
        None if signed.uses_id() => {
            Err("`signed` names {id}, and `id` does not say where it is".to_owned())
        }
        Some(_) if !signed.uses_id() => {
            Err("`id` has no effect: `signed` does not name {id}".to_owned())
        }
        _ => Ok(()),
    }
}

/// The secret is among what a plain digest is over, and only there.
fn signed_secret(signed: &Recipe, method: Method) -> Result<(), String> {
    match (method, signed.secret_places().is_empty()) {
        (Method::Digest(_), true) => {
            Err("a plain digest proves nothing without {secret} in `signed`".to_owned())
        }
        (Method::Hmac(_) | Method::Public(_), false) => {
            Err("{secret} in `signed` is for plain digests".to_owned())
        }
        _ => Ok(()),
    }
}

pub(super) fn header_sources(header: OneOrMany) -> Result<Vec<Source>, String> {
    let names = header.into_vec();
    if names.is_empty() || names.iter().any(|name| name.trim().is_empty()) {
        return Err("`header` names no header".to_owned());
    }
    let sources = names.iter().map(|name| format!("header:{name}")).collect();
    OneOrMany::Many(sources).sources()
}
