//! Schemes that are no list of parts: tokens in the body, JSON Web Tokens, senders with code of their own.

use super::contentful;
use super::fresh::{Limit, TimeSpec};
use super::jwt::LEEWAY_DEFAULT;
use super::spec::{
    BodyTokenSpec, JwtSpec, QueryKey, RawSpec, Scheme, SchemeName, SpecialSpec, header_sources,
};
use super::special::Special;
use super::value::{OneOrMany, Source, ValueSpec};
use jsonwebtoken::Algorithm;

/// Algorithms that a scheme may name.
const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::HS256,
    Algorithm::HS384,
    Algorithm::HS512,
    Algorithm::RS256,
    Algorithm::ES256,
    Algorithm::EdDSA,
];

impl RawSpec {
    pub(super) fn body_token(self, name: SchemeName) -> Result<Scheme, String> {
        self.only(name, &["json", "form"])?;
        let text = match (self.json, self.form) {
            (Some(text), None) => text,
            (None, Some(field)) if !field.is_empty() => {
                return Ok(Scheme::BodyToken(BodyTokenSpec {
                    text: field,
                    tokens: Vec::new(),
                }));
            }
            _ => {
                return Err("say where in the body the token is, once: `json = \"/passcode\"` (a JSON pointer) or `form = \"token\"` (a field)".to_owned());
            }
        };
        let rest = text
            .strip_prefix('/')
            .ok_or_else(|| format!("`{text}` is no JSON pointer: it begins with `/`"))?;
        let tokens = rest
            .split('/')
            .map(|token| token.replace("~1", "/").replace("~0", "~"))
            .collect();
        Ok(Scheme::BodyToken(BodyTokenSpec { text, tokens }))
    }

    pub(super) fn jwt(self, name: SchemeName) -> Result<Scheme, String> {
        self.only(
            name,
            &[
                "header",
                "query",
                "prefix",
                "algorithms",
                "issuer",
                "audience",
                "body_hash",
                "url_hash",
                "leeway",
                "max_age",
                "key",
                "key_prefix",
            ],
        )?;
        let algorithms = self
            .algorithms
            .ok_or("`algorithms` is missing: such as [\"HS256\"]")?;
        let family = algorithms.first().map(|a| a.family());
        let same = algorithms.iter().all(|a| Some(a.family()) == family);
        if family.is_none() || !same || !algorithms.iter().all(|a| ALGORITHMS.contains(a)) {
            return Err(format!(
                "`algorithms` lists algorithms of one family, of {ALGORITHMS:?}"
            ));
        }
        if self
            .body_hash
            .as_ref()
            .is_some_and(|hash| hash.of.is_some())
        {
            return Err("`of` belongs into `url_hash`: a body is hashed as it is".to_owned());
        }
        let token = match (self.header, self.query) {
            (Some(header), None) => {
                let sources = header_sources(header)?;
                let bearer = self.prefix.as_deref().map(str::trim) == Some("Bearer")
                    && sources == [Source::Header("authorization".to_owned())];
                if bearer {
                    ValueSpec::authorization("Bearer")
                } else {
                    ValueSpec::cut(sources, None, self.prefix)
                }
            }
            (None, Some(QueryKey::Name(name))) if !name.is_empty() => {
                ValueSpec::cut(vec![Source::Query(name)], None, self.prefix)
            }
            _ => return Err("say where the token is: `header` or `query`".to_owned()),
        };
        Ok(Scheme::Jwt(Box::new(JwtSpec {
            token,
            algorithms,
            issuer: self.issuer,
            audience: self.audience,
            body_hash: self.body_hash,
            url_hash: self.url_hash,
            leeway: self.leeway.and_then(Limit::get).unwrap_or(LEEWAY_DEFAULT),
            max_age: self.max_age,
            key: self.key.unwrap_or_default(),
            key_prefix: self.key_prefix.map_or_else(Vec::new, OneOrMany::into_vec),
        })))
    }

    pub(super) fn special(self, name: SchemeName, sender: Special) -> Result<Scheme, String> {
        let header = |name: &str| ValueSpec::of(Source::Header(name.to_owned()));
        let timed = matches!(sender, Special::Contentful | Special::Hook0);
        self.only(name, if timed { &["tolerance"] } else { &[] })?;
        let (signature, mut time) = match sender {
            Special::Twilio | Special::TwilioSha256 => (Some(header("x-twilio-signature")), None),
            Special::AdyenItems => (None, None),
            Special::Braintree => {
                let field = Source::Form("bt_signature".to_owned());
                (Some(ValueSpec::of(field)), None)
            }
            Special::Contentful => {
                let time = TimeSpec::fixed(header(contentful::TIME), true, 30, 300);
                (Some(header("x-contentful-signature")), Some(time))
            }
            Special::Plivo => {
                // Subaccounts are signed with the main account's token, too.
                let places = ["x-plivo-signature-v3", "x-plivo-signature-ma-v3"];
                let places = places.map(|name| Source::Header(name.to_owned()));
                let split = Some(",".to_owned());
                (Some(ValueSpec::cut(places.to_vec(), split, None)), None)
            }
            Special::Hook0 => {
                let place = vec![Source::Header("x-hook0-signature".to_owned())];
                let (split, prefix) = (Some(",".to_owned()), Some("t=".to_owned()));
                let value = ValueSpec::cut(place, split, prefix);
                let time = TimeSpec::fixed(value, false, 300, 300);
                (Some(header("x-hook0-signature")), Some(time))
            }
        };
        if let (Some(time), Some(limit)) = (&mut time, self.tolerance) {
            time.limit(limit);
        }
        Ok(Scheme::Special(SpecialSpec {
            sender,
            signature,
            time,
        }))
    }
}
