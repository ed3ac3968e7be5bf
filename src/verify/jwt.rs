//! JSON Web Tokens (RFC 7519) that bind a request: signature, issuer, audience, times, and claims with the
//! hash of the body or the URL. The algorithms are the scheme's, never the token's own choice.

use super::claims::Expected;
use super::digest_text::{HashClaim, HashOf};
use super::encoding::KeyEncoding;
use super::fresh::{self, Limit};
use super::jwt_crypto;
use super::jwt_keys::{KeySet, validation};
use super::keys::{KeySource, KeysAtHand};
use super::public::{PublicAlgorithm, PublicKey};
use super::qsh;
use super::report::{self, Report, shown};
use super::signature::{Failure, refuse, required, url_note};
use super::spec::JwtSpec;
use super::value::Source;
use super::wording::url_shown;
use super::{DatedSecret, SchemeError, Verdict, secret_form};
use crate::codes;
use crate::model::Request;
use crate::model::http_file::Masking;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{AlgorithmFamily, DecodingKey, Validation};
use serde_json::{Map, Value};

/// What the clocks of two machines may differ by where nobody says.
pub(super) const LEEWAY_DEFAULT: SignedDuration = SignedDuration::from_secs(5);
/// Bytes of a token that is looked at.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// The scheme with its keys.
pub(super) struct JwtVerifier {
    spec: JwtSpec,
    validation: Validation,
    keys: Vec<(DecodingKey, Option<Timestamp>)>,
    /// In place of those keys.
    set: Option<KeySet>,
    /// What claims are compared with, where the keys are a set's.
    secrets: Vec<DatedSecret>,
}

type Claims = Map<String, Value>;

/// Hashes that a token must name, of the request at hand: one of each list.
struct Hashes {
    body: Vec<Vec<u8>>,
    /// One of these: the URL may be hashed in several forms.
    url: Vec<Vec<u8>>,
}

impl Hashes {
    fn of(spec: &JwtSpec, request: &Request) -> Self {
        let body = |claim: &HashClaim| claim.digest(&request.wire_body);
        let url = |claim: &HashClaim| match claim.of {
            None => vec![claim.digest(request.url.as_bytes())],
            Some(HashOf::AtlassianQsh) => {
                let forms = qsh::canonical(request);
                forms.iter().map(|form| claim.digest(form)).collect()
            }
        };
        Self {
            body: spec.body_hash.iter().map(body).collect(),
            url: spec.url_hash.iter().flat_map(url).collect(),
        }
    }
}

impl JwtVerifier {
    pub(super) fn compile(spec: &JwtSpec, secrets: &[DatedSecret]) -> Result<Self, SchemeError> {
        jwt_crypto::install();
        let first = spec.algorithms.first().copied().unwrap_or_default();
        let mut validation = validation(first);
        validation.algorithms.clone_from(&spec.algorithms);
        let set = spec.jwks.as_ref().map(KeySet::new).transpose();
        let mut verifier = Self {
            spec: spec.clone(),
            validation,
            keys: Vec::new(),
            set: set.map_err(SchemeError::Spec)?,
            secrets: Vec::new(),
        };
        if verifier.set.is_some() {
            verifier.secrets = secrets.to_vec();
            return Ok(verifier);
        }
        for (index, secret) in (1..).zip(secrets) {
            let text = secret.secret.expose();
            let stripped = spec
                .key_prefix
                .iter()
                .find_map(|p| text.strip_prefix(p.as_str()));
            let key = key(spec, stripped.unwrap_or(text));
            let key = key.map_err(|reason| secret_form(index, reason))?;
            verifier.keys.push((key, secret.until));
        }
        Ok(verifier)
    }

    /// Where its keys are fetched from, if they are.
    pub(super) fn source(&self) -> Option<&KeySource> {
        self.set.as_ref().and_then(KeySet::source)
    }

    /// A token that binds no body is a credential by itself.
    pub(super) fn masking(&self, masking: &mut Masking) {
        if self.spec.body_hash.is_some() {
            return;
        }
        for source in self.spec.token.sources() {
            match source {
                Source::Header(name) => masking.headers.push(name.clone()),
                Source::Query(name) => masking.query.push(name.clone()),
                _ => {}
            }
        }
    }

    pub(super) fn verify(
        &self,
        request: &Request,
        now: Timestamp,
        keys: &dyn KeysAtHand,
    ) -> Verdict {
        let mut report = Report::new("jwt");
        let token = required(&mut report, &self.spec.token, request);
        let token = token.map(|pieces| pieces.into_iter().next().unwrap_or_default());
        let claims = match &token {
            Ok(token) => self.signature(&mut report, token, now, keys),
            Err(failure) => {
                self.work_for_nothing(b"", keys);
                Err(failure.clone())
            }
        };
        // Hashed whether the token is right or not, so that a refusal takes as long.
        let hashes = Hashes::of(&self.spec, request);
        let checked =
            claims.and_then(|claims| self.claims(&mut report, &claims, request, &hashes, now));
        match checked {
            Ok(()) => report.verified(),
            Err((codes::KEY_NOT_AT_HAND, message)) => report.wanting(self.source(), message),
            Err((codes::TIMESTAMP_OUTSIDE, message)) => {
                report.fail("timestamp", message.as_str());
                report.refused(codes::TIMESTAMP_OUTSIDE, message, report::HELP_TIME)
            }
            Err((codes::SIGNATURE_MISMATCH, message)) => {
                report.fail("token", message.as_str());
                report.refused(codes::SIGNATURE_MISMATCH, message, report::HELP_MISMATCH)
            }
            // Said at the claim.
            Err((codes::TOKEN_MISMATCH, message)) => {
                report.refused(codes::TOKEN_MISMATCH, message, report::HELP_CLAIM)
            }
            Err((code, message)) => {
                report.fail("token", message.as_str());
                refuse(report, code, message)
            }
        }
    }

    /// The claims of a token that one of the secrets signed.
    fn signature(
        &self,
        report: &mut Report,
        token: &str,
        now: Timestamp,
        keys: &dyn KeysAtHand,
    ) -> Result<Claims, Failure> {
        let malformed = |message: &str| (codes::CREDENTIAL_MALFORMED, message.to_owned());
        if token.len() > TOKEN_BYTES_MAX {
            self.work_for_nothing(b"", keys);
            return Err(malformed("the token is too long"));
        }
        if let Some(set) = &self.set {
            return set.claims(report, token, &self.spec.algorithms, keys);
        }
        let total = self.keys.len();
        let mut found = None;
        let mut failure = None;
        for (number, (key, until)) in (1..).zip(&self.keys) {
            let counts = until.is_none_or(|until| now < until);
            match jsonwebtoken::decode::<Claims>(token, key, &self.validation) {
                Ok(data) if counts => found = found.or(Some((number, data))),
                Ok(_) => {}
                Err(error) => {
                    let kind = error.into_kind();
                    // Any other error was found before the signature was looked at.
                    if !matches!(kind, ErrorKind::InvalidSignature) {
                        self.work_for_nothing_with(key, token.as_bytes());
                    }
                    if counts {
                        failure = Some(kind);
                    }
                }
            }
        }
        if let Some((number, data)) = found {
            // RFC 7515, section 4.1.11: no extension is understood here, and an empty list is none.
            if data.header.crit.is_some() {
                return Err(malformed(
                    "the token has extensions that must be understood",
                ));
            }
            let algorithm = data.header.alg;
            let detail = format!("{algorithm:?}, secret {number} of {total}");
            report.pass("signature", detail);
            return Ok(data.claims);
        }
        Err(match failure {
            None => {
                let message = "no token can match: every secret's `until` has passed";
                (codes::SIGNATURE_MISMATCH, message.to_owned())
            }
            Some(ErrorKind::InvalidSignature | ErrorKind::Provider(_)) => {
                let message = format!("no secret of {total} has signed the token");
                (codes::SIGNATURE_MISMATCH, message)
            }
            Some(ErrorKind::InvalidAlgorithm) => {
                let named = jsonwebtoken::decode_header(token).map(|header| header.alg);
                let named =
                    named.map_or_else(|_| "another algorithm".to_owned(), |a| format!("{a:?}"));
                let message = format!(
                    "the token says it is signed with {named}, and the scheme takes {:?} alone",
                    self.spec.algorithms
                );
                (codes::CREDENTIAL_MALFORMED, message)
            }
            Some(_) => malformed("the token is no JSON Web Token of a known algorithm"),
        })
    }

    /// The work of a check by every key, or by one of the set.
    fn work_for_nothing(&self, message: &[u8], keys: &dyn KeysAtHand) {
        if let Some(set) = &self.set {
            set.work_for_nothing(&self.spec.algorithms, message, keys);
        }
        for (key, _) in &self.keys {
            self.work_for_nothing_with(key, message);
        }
    }

    fn work_for_nothing_with(&self, key: &DecodingKey, message: &[u8]) {
        if let Some(algorithm) = self.spec.algorithms.first() {
            jwt_crypto::work_for_nothing(*algorithm, key, message);
        }
    }

    fn claims(
        &self,
        report: &mut Report,
        claims: &Claims,
        request: &Request,
        hashes: &Hashes,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let spec = &self.spec;
        let named = [("iss", &spec.issuer), ("aud", &spec.audience)];
        let named = named
            .into_iter()
            .filter_map(|(name, e)| Some((name, e.as_ref()?)));
        let more = spec.claims.iter().map(|(name, e)| (name.as_str(), e));
        for (name, expected) in named.chain(more) {
            self.claim(report, claims, (name, expected), request, now)?;
        }
        if let Some(hash) = &spec.body_hash {
            let empty = request.wire_body.is_empty();
            bound(report, claims, hash, ("body", empty), &hashes.body)?;
        }
        if let Some(hash) = &spec.url_hash {
            let url = bound(report, claims, hash, ("url", false), &hashes.url);
            url.map_err(|(code, message)| (code, message + &url_note(request)))?;
        }
        self.times(report, claims, now)
    }

    /// Whether a claim is what it must be.
    fn claim(
        &self,
        report: &mut Report,
        claims: &Claims,
        (name, expected): (&str, &Expected),
        request: &Request,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let want = expected.shown(request);
        if expected.holds(claims.get(name), request, &self.secrets, now) {
            report.pass(name, format!("is {want}"));
            return Ok(());
        }
        // A URL has the slug in it.
        let plain = |text: &str| match text.contains("://") {
            true => url_shown(text),
            false => shown(text),
        };
        let found = match claims.get(name) {
            None => "is absent".to_owned(),
            Some(Value::String(text)) => format!("is `{}`", plain(text)),
            Some(Value::Array(list)) => {
                let texts = list.iter().take(4).filter_map(Value::as_str).map(plain);
                format!("is one of `{}`", texts.collect::<Vec<_>>().join("`, `"))
            }
            Some(Value::Bool(flag)) => format!("is {flag}"),
            Some(_) => "is no text".to_owned(),
        };
        report.fail(name, format!("{found}, expected {want}"));
        let mut message = format!("the token's claim `{name}` {found}, not `{want}`");
        if expected.uses_url() {
            message.push_str(&url_note(request));
        }
        Err((codes::TOKEN_MISMATCH, message))
    }

    fn times(&self, report: &mut Report, claims: &Claims, now: Timestamp) -> Result<(), Failure> {
        let leeway = self.spec.leeway.as_secs_f64();
        #[allow(clippy::cast_precision_loss, reason = "seconds since 1970 fit 53 bits")]
        let now = now.as_second() as f64;
        let outside = |message: String| Err((codes::TIMESTAMP_OUTSIDE, message));
        let (exp, nbf, iat) = (
            seconds(claims, "exp")?,
            seconds(claims, "nbf")?,
            seconds(claims, "iat")?,
        );
        let spec = &self.spec;
        // What binds no request is good for any: it must end by itself.
        let endless = exp.is_none() && spec.max_age.is_none() && spec.body_hash.is_none();
        if endless && self.set.is_some() {
            let message = "the token does not say when it expires (exp)".to_owned();
            return Err((codes::CREDENTIAL_MALFORMED, message));
        }
        if let Some(exp) = exp.filter(|exp| now >= exp + leeway) {
            return outside(format!(
                "the token expired {} ago (leeway {leeway} s)",
                fresh::span(now - exp)
            ));
        }
        if let Some(from) = nbf.filter(|from| now + leeway < *from) {
            let ahead = fresh::span(from - now);
            return outside(format!(
                "the token is not valid before {ahead} from now (leeway {leeway} s)"
            ));
        }
        if let Some(limit) = self.spec.max_age.and_then(Limit::get) {
            let Some(iat) = iat else {
                let message = "the token does not say when it was made (iat)".to_owned();
                return Err((codes::CREDENTIAL_MALFORMED, message));
            };
            let age = now - iat;
            if age.abs() > limit.as_secs_f64() {
                let (age, limit) = (age, limit.as_secs_f64());
                let word = if age < 0.0 { "ahead" } else { "ago" };
                return outside(format!(
                    "the token was made {} {word} (limit {limit} s)",
                    fresh::span(age.abs())
                ));
            }
        }
        let left = exp.map(|exp| format!("expires in {}", fresh::span((exp - now).max(0.0))));
        let age = iat.map(|iat| format!("made {} ago", fresh::span((now - iat).max(0.0))));
        let told: Vec<_> = age.into_iter().chain(left).collect();
        let detail = match told.is_empty() {
            true => "the token names no times".to_owned(),
            false => told.join(", "),
        };
        report.pass("timestamp", detail);
        Ok(())
    }
}

fn key(spec: &JwtSpec, text: &str) -> Result<DecodingKey, &'static str> {
    let family = spec.algorithms.first().map(|a| a.family());
    let public = |algorithm, what| {
        let key = PublicKey::parse(algorithm, spec.key, text);
        key.map(|key| key.bytes()).ok_or(what)
    };
    match family {
        Some(AlgorithmFamily::Rsa) => {
            let bytes = public(PublicAlgorithm::RsaSha256, "is no RSA public key")?;
            Ok(DecodingKey::from_rsa_der(&bytes))
        }
        Some(AlgorithmFamily::Ec) => {
            let bytes = public(PublicAlgorithm::EcdsaP256, "is no P-256 public key")?;
            Ok(DecodingKey::from_ec_der(&bytes))
        }
        Some(AlgorithmFamily::Ed) => {
            let bytes = public(PublicAlgorithm::Ed25519, "is no Ed25519 public key")?;
            Ok(DecodingKey::from_ed_der(&bytes))
        }
        Some(AlgorithmFamily::Hmac) | None => {
            // Whoever has the public key could sign with it.
            if text.contains("-----BEGIN") {
                return Err("is a key in PEM, and the algorithm needs a shared secret");
            }
            let bytes = spec.key.decode(text).ok_or(match spec.key {
                KeyEncoding::Base64 => "is not base64",
                KeyEncoding::Text | KeyEncoding::TextNfkd | KeyEncoding::Hex => "is not hex",
            })?;
            if bytes.iter().all(|b| *b == 0 || b.is_ascii_whitespace()) {
                return Err("decodes to nothing");
            }
            Ok(DecodingKey::from_secret(&bytes))
        }
    }
}

/// Whether a claim is one of these hashes of what is named, which may be empty.
fn bound(
    report: &mut Report,
    claims: &Claims,
    hash: &HashClaim,
    (what, empty): (&str, bool),
    digests: &[Vec<u8>],
) -> Result<(), Failure> {
    let claim = &hash.claim;
    let found = match claims.get(claim) {
        Some(Value::String(text)) => text,
        None if hash.unless_empty && empty => {
            report.pass(what, "empty, and not claimed");
            return Ok(());
        }
        _ => {
            let message = format!("the token has no claim `{claim}` that binds the {what}");
            return Err((codes::CREDENTIAL_MALFORMED, message));
        }
    };
    let right = digests.iter().filter(|digest| hash.holds(found, digest));
    if right.count() == 0 {
        let message = format!("the {what} does not have the hash in the token's `{claim}`");
        return Err((codes::SIGNATURE_MISMATCH, message));
    }
    report.pass(what, format!("has the hash in `{claim}`"));
    Ok(())
}

/// A time claim in seconds; one that is no number is refused.
fn seconds(claims: &Claims, claim: &str) -> Result<Option<f64>, Failure> {
    match claims.get(claim) {
        None => Ok(None),
        Some(value) => match value.as_f64().filter(|number| number.is_finite()) {
            Some(number) => Ok(Some(number)),
            None => {
                let message = format!("the token's claim `{claim}` is no time");
                Err((codes::CREDENTIAL_MALFORMED, message))
            }
        },
    }
}
