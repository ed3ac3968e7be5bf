//! JSON Web Tokens (RFC 7519) that bind a request: signature, issuer, audience, times, and claims with the
//! hash of the body or the URL. The algorithms are the scheme's, never the token's own choice.

use super::digest_text::{HashClaim, HashOf};
use super::encoding::KeyEncoding;
use super::fresh::{self, Limit};
use super::jwt_crypto;
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
        let mut keys = Vec::with_capacity(secrets.len());
        for (index, secret) in (1..).zip(secrets) {
            let text = secret.secret.expose();
            let stripped = spec
                .key_prefix
                .iter()
                .find_map(|p| text.strip_prefix(p.as_str()));
            let key = key(spec, stripped.unwrap_or(text));
            let key = key.map_err(|reason| secret_form(index, reason))?;
            keys.push((key, secret.until));
        }
        let first = spec.algorithms.first().copied().unwrap_or_default();
        let mut validation = Validation::new(first);
        validation.algorithms.clone_from(&spec.algorithms);
        // Claims are checked here, by the clock that is handed in.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        Ok(Self {
            spec: spec.clone(),
            validation,
            keys,
        })
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

    pub(super) fn verify(&self, request: &Request, now: Timestamp) -> Verdict {
        let mut report = Report::new("jwt");
        let token = required(&mut report, &self.spec.token, request);
        let token = token.map(|pieces| pieces.into_iter().next().unwrap_or_default());
        let claims = match &token {
            Ok(token) => self.signature(&mut report, token, now),
            Err(failure) => {
                self.work_for_nothing(b"");
                Err(failure.clone())
            }
        };
        // Hashed whether the token is right or not, so that a refusal takes as long.
        let hashes = Hashes::of(&self.spec, request);
        let checked =
            claims.and_then(|claims| self.claims(&mut report, &claims, request, &hashes, now));
        match checked {
            Ok(()) => report.verified(),
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
    ) -> Result<Claims, Failure> {
        let malformed = |message: &str| (codes::CREDENTIAL_MALFORMED, message.to_owned());
        if token.len() > TOKEN_BYTES_MAX {
            self.work_for_nothing(b"");
            return Err(malformed("the token is too long"));
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

    /// The work of a check by every key.
    fn work_for_nothing(&self, message: &[u8]) {
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
        if let Some(issuer) = &spec.issuer {
            named(report, claims, "iss", issuer)?;
        }
        if let Some(audience) = &spec.audience {
            // The URL that the token is for.
            let url = audience == "{url}";
            let audience = if url { &request.url } else { audience };
            let right = named(report, claims, "aud", audience);
            right.map_err(|(code, message)| match url {
                true => (code, message + &url_note(request)),
                false => (code, message),
            })?;
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

/// Whether a claim is this text, or a list that has it.
fn named(report: &mut Report, claims: &Claims, claim: &str, want: &str) -> Result<(), Failure> {
    let holds = match claims.get(claim) {
        Some(Value::String(text)) => text == want,
        Some(Value::Array(list)) => list.iter().any(|item| item.as_str() == Some(want)),
        _ => false,
    };
    // A URL has the slug in it.
    let plain = |text: &str| match text.contains("://") {
        true => url_shown(text),
        false => shown(text),
    };
    let want = plain(want);
    if holds {
        report.pass(claim, format!("is {want}"));
        return Ok(());
    }
    let found = match claims.get(claim) {
        None => "is absent".to_owned(),
        Some(Value::String(text)) => format!("is `{}`", plain(text)),
        Some(Value::Array(list)) => {
            let texts = list.iter().take(4).filter_map(Value::as_str).map(plain);
            format!("is one of `{}`", texts.collect::<Vec<_>>().join("`, `"))
        }
        Some(_) => "is no text".to_owned(),
    };
    report.fail(claim, format!("{found}, expected {want}"));
    let message = format!("the token's claim `{claim}` {found}, not `{want}`");
    Err((codes::TOKEN_MISMATCH, message))
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
