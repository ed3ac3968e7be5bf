//! What schemes say whose keys are in no configuration: sets of keys, certificates, a public key at a URL; and which
//! schemes need a secret.

use super::certified::{Certified, CertifiedSpec};
use super::claims;
use super::fresh::TimeSpec;
use super::jwks::is_public;
use super::jwt_keys::JwksPlace;
use super::keys::{KeySource, key_url};
use super::public::PublicAlgorithm;
use super::spec::{JwtSpec, RawSpec, Scheme, SchemeName, SchemeSpec, VerifySpec};
use super::value::{OneOrMany, ValueSpec};

/// Places and names that one scheme lists at most.
const ORIGINS_MAX: usize = 16;

/// `public_key = { url = "https://…", json = "/pointer" }`: PEM, or PEM in JSON.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PublicKeyPlace {
    url: String,
    json: Option<String>,
}

impl PublicKeyPlace {
    pub(super) fn source(self, algorithm: PublicAlgorithm) -> Result<KeySource, String> {
        let url = key_url(&self.url).map_err(|why| format!("`public_key`: {why}"))?;
        if let Some(pointer) = self
            .json
            .as_ref()
            .filter(|pointer| !pointer.starts_with('/'))
        {
            return Err(format!(
                "`{pointer}` is no JSON pointer: it begins with `/`"
            ));
        }
        Ok(KeySource::public_key(url, algorithm, self.json))
    }
}

impl RawSpec {
    /// Rules of a token whose keys are a set's, or not.
    pub(super) fn key_set(&self) -> Result<(), String> {
        let expected = [self.issuer.as_ref(), self.audience.as_ref()];
        let claims = self.claims.iter().flat_map(|claims| claims.values());
        let mut expected = expected.into_iter().flatten().chain(claims);
        if let Some(wanted) = &self.claims {
            claims::check(wanted)?;
        }
        if self.jwks.is_none() {
            // There a secret is a key, and who a token is about is another matter.
            return match expected.any(claims::Expected::uses_secret) {
                true => Err("{secret} in a claim is for schemes with `jwks`".to_owned()),
                false => Ok(()),
            };
        }
        let algorithms = self.algorithms.as_deref().unwrap_or_default();
        if !algorithms.iter().copied().all(is_public) {
            return Err("`jwks` holds public keys: no HS algorithm goes with it".to_owned());
        }
        if self.key.is_some() || self.key_prefix.is_some() {
            return Err("`key` and `key_prefix` have no effect with `jwks`".to_owned());
        }
        // Whoever runs the service has it sign tokens for all its customers.
        if self.audience.is_none() && self.claims.is_none() && self.body_hash.is_none() {
            return Err("`jwks` alone says who signed, not for whom: add `audience` or `claims`, or a `body_hash` where the keys are yours alone".to_owned());
        }
        Ok(())
    }

    pub(super) fn certified(self, name: SchemeName, sender: Certified) -> Result<Scheme, String> {
        self.only(name, &["origins", "names", "tolerance"])?;
        let origins = self.origins.unwrap_or_default();
        let names = self.names.unwrap_or_default();
        if origins.is_empty() || origins.len() > ORIGINS_MAX || names.len() > ORIGINS_MAX {
            return Err(format!(
                "`origins` lists 1 to {ORIGINS_MAX} places at which the sender's certificates are, such as \"sns.{{region}}.amazonaws.com\""
            ));
        }
        let (past, place) = match sender {
            // Retries of one message have its one timestamp, and go on for up to an hour.
            Certified::AwsSns => (3_600, "json:/Timestamp"),
            // Retries go on for three days.
            Certified::Paypal => (3 * 86_400, "header:PAYPAL-TRANSMISSION-TIME"),
        };
        let sources = OneOrMany::One(place.to_owned()).sources()?;
        let mut time = TimeSpec::rfc3339(ValueSpec::cut(sources, None, None), past, 300);
        if let Some(limit) = self.tolerance {
            time.limit(limit);
        }
        Ok(Scheme::Certified(Box::new(CertifiedSpec {
            sender,
            origins,
            names,
            time,
        })))
    }
}

impl VerifySpec {
    /// Whether it needs a secret.
    #[must_use]
    pub fn needs_secret(&self) -> bool {
        match self {
            Self::None => false,
            Self::One(scheme) => scheme.needs_secret(),
            Self::Any(specs) | Self::All(specs) | Self::First(specs) => {
                specs.iter().any(Self::needs_secret)
            }
        }
    }

    /// Whether a secret has any effect: some schemes take one in place of a key that they would fetch.
    #[must_use]
    pub fn takes_secret(&self) -> bool {
        match self {
            Self::None => false,
            Self::One(scheme) => scheme.takes_secret(),
            Self::Any(specs) | Self::All(specs) | Self::First(specs) => {
                specs.iter().any(Self::takes_secret)
            }
        }
    }

    /// Whether anybody is verified by it.
    #[must_use]
    pub fn verifies(&self) -> bool {
        match self {
            Self::None => false,
            Self::One(_) => true,
            Self::Any(specs) | Self::All(specs) | Self::First(specs) => {
                specs.iter().any(Self::verifies)
            }
        }
    }

    /// Reads the files that it names, by `read`; what provider data name is never read.
    ///
    /// # Errors
    /// That of `read`.
    pub fn read_files(
        &mut self,
        read: &mut dyn FnMut(&str) -> Result<String, String>,
    ) -> Result<(), String> {
        match self {
            Self::None => Ok(()),
            Self::One(scheme) => scheme.read_files(read),
            Self::Any(specs) | Self::All(specs) | Self::First(specs) => {
                specs.iter_mut().try_for_each(|spec| spec.read_files(read))
            }
        }
    }
}

impl SchemeSpec {
    pub(super) fn needs_secret(&self) -> bool {
        match &self.0 {
            Scheme::Hmac(spec) => spec.source.is_none(),
            Scheme::Jwt(spec) => spec.jwks.is_none() || claims_secret(spec),
            Scheme::Certified(spec) => spec.sender.needs_secret(),
            Scheme::Token(_) | Scheme::BodyToken(_) | Scheme::Special(_) => true,
            Scheme::Address(_) => false,
        }
    }

    pub(super) fn takes_secret(&self) -> bool {
        match &self.0 {
            Scheme::Jwt(_) => self.needs_secret(),
            Scheme::Address(_) => false,
            Scheme::Hmac(_)
            | Scheme::Certified(_)
            | Scheme::Token(_)
            | Scheme::BodyToken(_)
            | Scheme::Special(_) => true,
        }
    }

    pub(super) fn read_files(
        &mut self,
        read: &mut dyn FnMut(&str) -> Result<String, String>,
    ) -> Result<(), String> {
        if let Scheme::Jwt(spec) = &mut self.0
            && let Some(JwksPlace::File(path)) = &spec.jwks
        {
            spec.jwks = Some(JwksPlace::Text(read(path)?.into()));
        }
        Ok(())
    }
}

/// Whether a claim is compared with the secret.
fn claims_secret(spec: &JwtSpec) -> bool {
    let named = [spec.issuer.as_ref(), spec.audience.as_ref()];
    let named = named.into_iter().flatten();
    named
        .chain(spec.claims.values())
        .any(claims::Expected::uses_secret)
}
