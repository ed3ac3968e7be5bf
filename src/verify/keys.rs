//! Keys that are in no configuration: what names one, what it looks like once it is here. Nothing is fetched here;
//! whoever verifies hands in what is at hand, as it hands in the clock.

use super::certificate::Certificate;
use super::encoding::KeyEncoding;
use super::jwks::Jwks;
use super::public::{PublicAlgorithm, PublicKey};
use jiff::Timestamp;
use rustls_pki_types::TrustAnchor;
use std::fmt;
use std::sync::Arc;
use url::Url;

/// Bytes of a URL at which a key may be.
const URL_BYTES_MAX: usize = 1024;

/// Where a key is, and in what form: an https URL that provider data or the owner pinned.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeySource {
    url: Url,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Form {
    Jwks,
    /// With the names of which it must have one; none: any name.
    Certificate(Vec<String>),
    /// PEM, or PEM in JSON at a pointer.
    PublicKey(PublicAlgorithm, Option<String>),
}

/// A document that was fetched from a [`KeySource`], read and found good.
pub struct Document(pub(super) Content);

pub(super) enum Content {
    Jwks(Jwks),
    Certificate(Certificate),
    PublicKey(PublicKey),
}

/// What is at hand of a source.
#[derive(Debug, Clone)]
pub struct Found {
    /// The document.
    pub document: Arc<Document>,
    /// It was fetched so short a while ago that what is not in it does not exist.
    pub fresh: bool,
    /// The source was asked so short a while ago, with or without success, that it is not asked again now.
    pub asked: bool,
}

/// Keys at hand. Pure: what is not there is `None`, and nobody waits.
pub trait KeysAtHand: Send + Sync {
    /// The newest document of a source that may still be used.
    fn find(&self, source: &KeySource) -> Option<Found>;
}

/// No keys but those of the configuration: what `render`, `check` and tests have.
#[derive(Debug, Clone, Copy)]
pub struct NoKeys;

impl KeysAtHand for NoKeys {
    fn find(&self, _: &KeySource) -> Option<Found> {
        None
    }
}

impl KeySource {
    pub(super) fn jwks(url: Url) -> Self {
        let form = Form::Jwks;
        Self { url, form }
    }

    pub(super) fn certificate(url: Url, names: &[String]) -> Self {
        let form = Form::Certificate(names.to_vec());
        Self { url, form }
    }

    pub(super) fn public_key(
        url: Url,
        algorithm: PublicAlgorithm,
        pointer: Option<String>,
    ) -> Self {
        let form = Form::PublicKey(algorithm, pointer);
        Self { url, form }
    }

    /// Where to fetch it: https, a host name, no user, no fragment.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// What it is, for people: `keys at https://…`.
    #[must_use]
    pub fn label(&self) -> String {
        let what = match self.form {
            Form::Jwks => "keys",
            Form::Certificate(_) => "certificate",
            Form::PublicKey(..) => "public key",
        };
        format!("{what} at {}", self.url)
    }

    /// Reads what was fetched. `roots`: what the chain of a certificate must lead to, where it comes with one.
    ///
    /// # Errors
    /// Why it is no such document, in words without anything that was in it.
    pub fn read(
        &self,
        bytes: &[u8],
        now: Timestamp,
        roots: &[TrustAnchor<'_>],
    ) -> Result<Document, String> {
        let content = match &self.form {
            Form::Jwks => Content::Jwks(Jwks::read(bytes)?),
            Form::Certificate(names) => {
                Content::Certificate(Certificate::read(bytes, names, now, roots)?)
            }
            Form::PublicKey(algorithm, pointer) => {
                Content::PublicKey(public_key(bytes, *algorithm, pointer.as_deref())?)
            }
        };
        Ok(Document(content))
    }
}

fn public_key(
    bytes: &[u8],
    algorithm: PublicAlgorithm,
    pointer: Option<&str>,
) -> Result<PublicKey, String> {
    let text = match pointer {
        None => std::str::from_utf8(bytes).ok().map(str::to_owned),
        Some(pointer) => {
            let json: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
            let found = json
                .as_ref()
                .and_then(|json| json.pointer(pointer)?.as_str());
            found.map(str::to_owned)
        }
    };
    let text = text.ok_or("it has no text where the key should be")?;
    PublicKey::parse(algorithm, KeyEncoding::Text, &text)
        .ok_or_else(|| format!("it holds no public key for {}", algorithm.name()))
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Document")
    }
}

/// A URL at which a key may be: https, a host name (an address cannot be pinned by a certificate authority), no
/// user, no fragment.
pub(super) fn key_url(text: &str) -> Result<Url, String> {
    if text.len() > URL_BYTES_MAX {
        return Err(format!("the URL has more than {URL_BYTES_MAX} bytes"));
    }
    let url = Url::parse(text).map_err(|error| format!("`{}` is no URL: {error}", shown(text)))?;
    let why = if url.scheme() != "https" {
        "begins not with https://"
    } else if !matches!(url.host(), Some(url::Host::Domain(name)) if name.contains('.')) {
        "has no host name"
    } else if !url.username().is_empty() || url.password().is_some() {
        "has a user"
    } else if url.fragment().is_some() {
        "has a fragment"
    } else {
        return Ok(url);
    };
    Err(format!("`{}` {why}", shown(text)))
}

fn shown(text: &str) -> String {
    super::report::shown(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_urls_of_named_hosts() {
        for good in [
            "https://keys.example.com/jwks",
            "https://KEYS.example.com:8443/a?b=c",
        ] {
            assert!(key_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://keys.example.com/jwks",
            "https://127.0.0.1/jwks",
            "https://[::1]/jwks",
            "https://2130706433/jwks",
            "https://0x7f.1/jwks",
            "https://localhost/jwks",
            "https://u:p@keys.example.com/",
            "https://keys.example.com/#x",
            "file:///etc/passwd",
            "keys.example.com",
            "",
        ] {
            assert!(key_url(bad).is_err(), "{bad}");
        }
        assert!(key_url(&format!("https://a.example/{}", "x".repeat(1100))).is_err());
    }

    #[test]
    fn a_public_key_in_json() {
        let url = key_url("https://a.example/config").unwrap();
        let pointer = Some("/config/key".to_owned());
        let source = KeySource::public_key(url, PublicAlgorithm::Ed25519, pointer);
        let key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let read = |json: &str| source.read(json.as_bytes(), Timestamp::UNIX_EPOCH, &[]);
        assert!(read(&format!(r#"{{"config":{{"key":"{key}"}}}}"#)).is_ok());
        for bad in [
            "",
            "{}",
            r#"{"config":{"key":1}}"#,
            r#"{"config":{"key":"x"}}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
