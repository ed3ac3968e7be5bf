//! Handshakes as data: what a registration or challenge looks like, and what to answer.

use super::confirm::{Confirm, Confirmation};
use super::consent::Consent;
use super::teaching::Teaching;
use crate::model::http_file::Masking;
use crate::model::limits::REFLECTED_BYTES_MAX;
use crate::model::{Request, Secret};
use crate::verify::{OneOrMany, Source, braintree_answer, equal_secret, hmac_text};
use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, de::Error};
use std::sync::Arc;

/// A handshake as data: what it looks like, what to answer.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// What it is, for people.
    pub title: String,
    /// Whether the sender is verified before it is answered.
    pub signed: bool,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Data(Box<Data>),
    /// The CloudEvents WebHook specification's.
    Consent(Consent),
}

#[derive(Debug, Clone)]
struct Data {
    matches: Match,
    answer: Answer,
    /// Where the owner's verify token is.
    token_at: Option<Source>,
    /// That token; without one nothing can match it.
    token: Option<Secret>,
    /// What a value must look like before it is computed with.
    pattern: Option<regex_lite::Regex>,
    /// What it asks to be called.
    confirm: Option<Confirm>,
    /// Where it delivers the secret of later requests.
    teaches: Option<Teaching>,
}

/// Bytes of a value that is computed with.
const COMPUTED_BYTES_MAX: usize = 256;

/// The answer to a handshake. What it reflects is bounded and cannot be HTML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeAnswer {
    /// Status.
    pub status: u16,
    /// Headers besides those every reflecting answer has.
    pub headers: Vec<(String, String)>,
    /// `text/plain` or `application/json`.
    pub content_type: Option<String>,
    /// Body.
    pub body: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHandshake {
    title: String,
    #[serde(default)]
    signed: bool,
    #[serde(rename = "match")]
    matches: Match,
    #[serde(default)]
    answer: Answer,
    /// A place whose value must equal the webhook's `verify_token`.
    verify_token: Option<OneOrMany>,
    /// A regular expression for the values that are computed with.
    pattern: Option<String>,
    /// A URL in it that is called to confirm.
    confirm: Option<Confirm>,
    /// The place of a secret that deliveries are signed with from then on.
    teaches: Option<Teaching>,
}

/// Everything that is given must hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Match {
    method: Option<OneOrMany>,
    /// Headers that must be there, or have this value.
    #[serde(default)]
    header: Names,
    /// Query parameters, likewise.
    #[serde(default)]
    query: Names,
    /// Form fields, likewise.
    #[serde(default)]
    form: Names,
    /// Values by JSON pointer, likewise.
    #[serde(default)]
    json: Names,
    /// The body must be empty.
    #[serde(default)]
    empty_body: bool,
}

/// Names that must be present (`"name"`, a list), or must have a value (a table).
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a name, a list of names, or a table of names and values"
)]
enum Names {
    Present(OneOrMany),
    Equal(IndexMap<String, String>),
}

impl Default for Names {
    fn default() -> Self {
        Self::Equal(IndexMap::new())
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: IndexMap<String, Text>,
    content_type: Option<String>,
    #[serde(default)]
    body: Text,
}

fn ok() -> u16 {
    200
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            status: ok(),
            headers: IndexMap::new(),
            content_type: None,
            body: Text::default(),
        }
    }
}

/// A text with values of the request in it: `{json:/challenge}`, `{query:hub.challenge}`,
/// `{hmac(sha256,hex,json:/payload/plainToken)}`. Other braces stand for themselves.
#[derive(Debug, Clone, Default)]
struct Text(Vec<Piece>);

#[derive(Debug, Clone)]
enum Piece {
    Literal(String),
    Value(Source),
    Hmac {
        algorithm: String,
        encoding: String,
        value: Source,
    },
    /// Braintree's answer to its challenge.
    Braintree(Source),
}

/// How a reflected value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Header,
    Json,
    Plain,
}

impl Handshake {
    /// The answer, if the request is this handshake; pure. A value to be reflected that is absent, longer
    /// than 1 KiB or holds control characters makes it none.
    #[must_use]
    pub fn answer(&self, request: &Request, secrets: &[Secret]) -> Option<HandshakeAnswer> {
        let data = match &self.kind {
            Kind::Consent(consent) => return consent.answer(request),
            Kind::Data(data) => data,
        };
        if !data.matches.holds(request) || !data.token_holds(request) {
            return None;
        }
        // An answer that is computed for anyone must not sign what a delivery could be.
        let guard = Guard {
            open: !self.signed,
            pattern: data.pattern.as_ref(),
        };
        let answer = &data.answer;
        let mut headers = Vec::with_capacity(answer.headers.len());
        for (name, text) in &answer.headers {
            headers.push((
                name.clone(),
                text.fill(request, secrets, Place::Header, &guard)?,
            ));
        }
        let json = answer.content_type.as_deref().is_some_and(is_json);
        let place = if json { Place::Json } else { Place::Plain };
        Some(HandshakeAnswer {
            status: answer.status,
            headers,
            content_type: answer.content_type.clone(),
            body: answer.body.fill(request, secrets, place, &guard)?,
        })
    }

    /// Whether a request could be this handshake, by what is known before its body.
    #[must_use]
    pub fn may_be(&self, head: &Request) -> bool {
        match &self.kind {
            Kind::Consent(consent) => consent.answer(head).is_some(),
            Kind::Data(data) => data.matches.head_holds(head),
        }
    }

    /// Whether it delivers the secret of later requests.
    #[must_use]
    pub fn is_teaching(&self) -> bool {
        self.teaching().is_some()
    }

    /// Where it delivers the secret of later requests: `header x-hook-secret`.
    #[must_use]
    pub fn teaches(&self) -> Option<String> {
        self.teaching().map(Teaching::label)
    }

    /// The secret that a request of this handshake delivers, if it has the form of one.
    #[must_use]
    pub fn taught(&self, request: &Request) -> Option<Secret> {
        self.teaching()?.secret(request)
    }

    /// The request as it may be kept, and what was masked in its body; none where its body holds no secret.
    #[must_use]
    pub fn without_secret(&self, request: &Request) -> Option<(Request, String)> {
        let Kind::Data(data) = &self.kind else {
            return None;
        };
        let teaching = data.teaches.as_ref()?;
        data.matches
            .holds(request)
            .then(|| teaching.without_secret(request))?
    }

    fn teaching(&self) -> Option<&Teaching> {
        match &self.kind {
            Kind::Data(data) => data.teaches.as_ref(),
            Kind::Consent(_) => None,
        }
    }

    /// Methods it comes with; none: any.
    #[must_use]
    pub fn methods(&self) -> Vec<String> {
        match &self.kind {
            Kind::Consent(_) => vec!["OPTIONS".to_owned()],
            Kind::Data(data) => {
                let methods = data.matches.method.clone();
                methods.map_or_else(Vec::new, OneOrMany::into_vec)
            }
        }
    }

    /// Consent to be sent CloudEvents: to anyone or to some origins, at most so many a minute.
    #[must_use]
    pub fn webhook_consent(
        origins: Option<Vec<String>>,
        per_minute: Option<f64>,
        allow: String,
    ) -> Self {
        Self {
            title: "consent to CloudEvents".to_owned(),
            signed: false,
            kind: Kind::Consent(Consent::new(origins, per_minute, allow)),
        }
    }

    /// Whether it compares a token that the owner chose (`verify_token` of a webhook).
    #[must_use]
    pub fn asks_for_token(&self) -> bool {
        matches!(&self.kind, Kind::Data(data) if data.token_at.is_some())
    }

    /// What a request that is this handshake asks to be called, if it does; pure.
    #[must_use]
    pub fn confirmation(&self, request: &Request) -> Option<Confirmation> {
        match &self.kind {
            Kind::Data(data) => data.confirm.as_ref().map(|confirm| confirm.of(request)),
            Kind::Consent(_) => None,
        }
    }

    /// Lets it be called for these topics; false where it asks for no call.
    pub fn confirm_topics(&mut self, topics: &Arc<[String]>) -> bool {
        match &mut self.kind {
            Kind::Data(data) => {
                let confirm = data.confirm.as_mut();
                confirm.map(|confirm| confirm.allow(topics)).is_some()
            }
            Kind::Consent(_) => false,
        }
    }

    /// Sets that token.
    pub fn set_token(&mut self, token: Secret) {
        if let Kind::Data(data) = &mut self.kind {
            data.token = Some(token);
        }
    }

    /// Adds the headers and query parameters that carry a secret of it, which are not kept.
    pub fn mask(&self, masking: &mut Masking) {
        let Kind::Data(data) = &self.kind else { return };
        if let Some(Source::Query(name)) = &data.token_at {
            masking.query.push(name.clone());
        }
        if let Some(teaching) = &data.teaches {
            teaching.mask(masking);
        }
    }
}

impl Data {
    fn token_holds(&self, request: &Request) -> bool {
        let Some(place) = &self.token_at else {
            return true;
        };
        let found = place.read(request);
        match (found.as_slice(), &self.token) {
            ([found], Some(token)) if !token.is_blank() => equal_secret(found, token),
            _ => false,
        }
    }
}

/// What may be computed with.
struct Guard<'a> {
    /// Whether anybody may ask.
    open: bool,
    pattern: Option<&'a regex_lite::Regex>,
}

impl Guard<'_> {
    fn allows(&self, value: &str) -> bool {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~+/=".contains(&b);
        !value.is_empty()
            && value.len() <= COMPUTED_BYTES_MAX
            && (!self.open || value.bytes().all(plain))
            && self.pattern.is_none_or(|pattern| pattern.is_match(value))
    }
}

fn is_json(content_type: &str) -> bool {
    crate::model::request::is_json_type(&crate::model::request::media_type(content_type))
}

impl Match {
    fn holds(&self, request: &Request) -> bool {
        self.head_holds(request)
            && (!self.empty_body || request.body.is_empty())
            && self.form.hold("form", request)
            && self.json.hold("json", request)
    }

    /// Whether what can be seen without the body holds.
    fn head_holds(&self, request: &Request) -> bool {
        let method = match &self.method {
            None => true,
            Some(OneOrMany::One(method)) => *method == request.method,
            Some(OneOrMany::Many(methods)) => methods.contains(&request.method),
        };
        method && self.header.hold("header", request) && self.query.hold("query", request)
    }

    fn check(&self) -> Result<(), String> {
        let groups = [
            ("header", &self.header),
            ("query", &self.query),
            ("form", &self.form),
            ("json", &self.json),
        ];
        let mut any = self.method.is_some() || self.empty_body;
        for (kind, names) in groups {
            for name in names.names() {
                source(kind, name)?;
                any = true;
            }
        }
        if any {
            Ok(())
        } else {
            Err("`match` is empty: every request would be this handshake".to_owned())
        }
    }
}

fn source(kind: &str, name: &str) -> Result<Source, String> {
    let sources = OneOrMany::One(format!("{kind}:{name}")).sources()?;
    sources.into_iter().next().ok_or_else(String::new)
}

impl Names {
    fn names(&self) -> Vec<&String> {
        match self {
            Self::Present(OneOrMany::One(name)) => vec![name],
            Self::Present(OneOrMany::Many(names)) => names.iter().collect(),
            Self::Equal(pairs) => pairs.keys().collect(),
        }
    }

    fn hold(&self, kind: &str, request: &Request) -> bool {
        let first = |name: &str| {
            let source = source(kind, name).ok()?;
            source.read(request).into_iter().next()
        };
        match self {
            Self::Present(_) => self.names().into_iter().all(|name| first(name).is_some()),
            Self::Equal(pairs) => pairs
                .iter()
                .all(|(name, value)| first(name).is_some_and(|found| found == value.as_str())),
        }
    }
}

impl Text {
    fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        let mut literal = String::new();
        while let Some(at) = rest.find('{') {
            let (before, tail) = rest.split_at(at);
            literal.push_str(before);
            let inner = tail.get(1..).unwrap_or("");
            let known = ["json:", "query:", "header:", "form:", "hmac(", "braintree("];
            match inner.split_once('}') {
                Some((name, after)) if known.iter().any(|k| name.starts_with(k)) => {
                    if !literal.is_empty() {
                        pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    }
                    pieces.push(piece(name)?);
                    rest = after;
                }
                _ => {
                    literal.push('{');
                    rest = inner;
                }
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Self(pieces))
    }

    fn fill(
        &self,
        request: &Request,
        secrets: &[Secret],
        place: Place,
        guard: &Guard<'_>,
    ) -> Option<String> {
        let mut out = String::new();
        let mut reflected = 0;
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Value(source) => {
                    let value = source.read(request).into_iter().next()?;
                    reflected += value.len();
                    if reflected > REFLECTED_BYTES_MAX {
                        return None;
                    }
                    push_reflected(&mut out, &value, place)?;
                }
                Piece::Hmac {
                    algorithm,
                    encoding,
                    value,
                } => {
                    let value = value.read(request).into_iter().next()?;
                    if !guard.allows(&value) {
                        return None;
                    }
                    let secret = secrets.first().filter(|s| !s.is_blank())?;
                    let key = secret.expose().as_bytes();
                    out.push_str(&hmac_text(algorithm, encoding, key, &value)?);
                }
                Piece::Braintree(value) => {
                    let value = value.read(request).into_iter().next()?;
                    if !guard.allows(&value) {
                        return None;
                    }
                    let secret = secrets.first().filter(|s| !s.is_blank())?;
                    out.push_str(&braintree_answer(secret.expose(), &value)?);
                }
            }
        }
        Some(out)
    }
}

fn push_reflected(out: &mut String, value: &str, place: Place) -> Option<()> {
    match place {
        Place::Header if !value.bytes().all(|b| matches!(b, b' '..=b'~')) => return None,
        Place::Plain if value.chars().any(char::is_control) => return None,
        Place::Json => {
            let quoted = serde_json::to_string(value).ok()?;
            out.push_str(quoted.get(1..quoted.len() - 1)?);
        }
        Place::Header | Place::Plain => out.push_str(value),
    }
    Some(())
}

fn piece(name: &str) -> Result<Piece, String> {
    let braintree = name.strip_prefix("braintree(");
    if let Some(place) = braintree.and_then(|n| n.strip_suffix(')')) {
        let (kind, value) = place.split_once(':').unwrap_or((place, ""));
        return source(kind, value).map(Piece::Braintree);
    }
    let Some(arguments) = name.strip_prefix("hmac(").and_then(|n| n.strip_suffix(')')) else {
        let (kind, name) = name.split_once(':').unwrap_or((name, ""));
        return source(kind, name).map(Piece::Value);
    };
    let wrong = || format!("`{{{name}}}`: expected `hmac(algorithm,encoding,place)`");
    let mut parts = arguments.splitn(3, ',').map(str::trim);
    let (Some(algorithm), Some(encoding), Some(value)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(wrong());
    };
    let (kind, value) = value.split_once(':').ok_or_else(wrong)?;
    hmac_text(algorithm, encoding, b"x", "").ok_or_else(wrong)?;
    Ok(Piece::Hmac {
        algorithm: algorithm.to_owned(),
        encoding: encoding.to_owned(),
        value: source(kind, value)?,
    })
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Handshake {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawHandshake::deserialize(deserializer)?;
        raw.matches.check().map_err(D::Error::custom)?;
        if !(200..300).contains(&raw.answer.status) && !(400..500).contains(&raw.answer.status) {
            return Err(D::Error::custom(
                "the status of a handshake's answer is 2xx, or 4xx to refuse it",
            ));
        }
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(token);
        if let Some(name) = raw.answer.headers.keys().find(|name| !is_name(name)) {
            return Err(D::Error::custom(format!(
                "`{name:?}` is no name of a header"
            )));
        }
        let token_at = match raw.verify_token.map(OneOrMany::sources).transpose() {
            Ok(sources) => sources.and_then(|sources| sources.into_iter().next()),
            Err(error) => return Err(D::Error::custom(error)),
        };
        let pattern = raw.pattern.as_deref().map(regex_lite::Regex::new);
        let pattern = pattern.transpose().map_err(D::Error::custom)?;
        let reflects = raw
            .answer
            .body
            .0
            .iter()
            .any(|p| !matches!(p, Piece::Literal(_)));
        let safe = match raw.answer.content_type.as_deref() {
            Some(content_type) => {
                is_json(content_type)
                    || crate::model::request::media_type(content_type) == "text/plain"
            }
            None => false,
        };
        if reflects && !safe {
            return Err(D::Error::custom(
                "what a handshake reflects goes out as `text/plain` or JSON: set `content_type`",
            ));
        }
        if raw.confirm.is_some() && !raw.signed {
            return Err(D::Error::custom(
                "a handshake that asks for a call is `signed`: anyone could name the URL",
            ));
        }
        if raw.teaches.is_some() && raw.signed {
            return Err(D::Error::custom(
                "a handshake that `teaches` the secret cannot be `signed` with it",
            ));
        }
        Ok(Self {
            title: raw.title,
            signed: raw.signed,
            kind: Kind::Data(Box::new(Data {
                teaches: raw.teaches,
                matches: raw.matches,
                answer: raw.answer,
                token_at,
                token: None,
                pattern,
                confirm: raw.confirm,
            })),
        })
    }
}

#[cfg(test)]
mod tests;
