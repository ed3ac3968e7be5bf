//! The way out for keys and confirmations: https, no redirect, no proxy, a bounded answer, public addresses alone.

use super::address::{NotPublic, PublicResolver, is_public};
use reqwest::dns::Resolve;
use rustls_pki_types::TrustAnchor;
use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;
use thiserror::Error;
use url::{Host, Url};

/// Bytes of an answer. The largest known set of keys has about 25 KB.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for a whole answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Characters of a cause that are kept.
const CAUSE_CHARS_MAX: usize = 200;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FetchError {
    /// The client cannot be made.
    #[error("no client for https: {0}")]
    Client(String),
    /// Not https, or no host name.
    #[error("the URL is not one of a host by https")]
    Url,
    /// The host is not on the public network.
    #[error("the host is not called: {NotPublic}")]
    Address,
    /// Too many calls at once.
    #[error("too many calls are under way")]
    Busy,
    /// No connection, no trust in it, or no answer in time.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// Anything but 200, redirects among it.
    #[error("it answers {0}")]
    Status(u16),
    /// More than [`ANSWER_BYTES_MAX`].
    #[error("its answer has more than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
    /// The answer is not what should be there.
    #[error("its answer is of no use: {0}")]
    Content(String),
}

/// The client with the roots it trusts.
pub struct Client {
    inner: reqwest::Client,
    roots: Vec<TrustAnchor<'static>>,
    is_allowed: fn(IpAddr) -> bool,
}

impl Client {
    /// Reads the system's roots; blocks.
    ///
    /// # Errors
    /// `Client`: there are none.
    pub fn new() -> Result<Self, FetchError> {
        // reqwest takes the process's provider; a second installation is refused and changes nothing.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            rustls::crypto::ring::default_provider()
                .install_default()
                .ok();
        }
        let found = rustls_native_certs::load_native_certs().certs;
        let roots = found.iter().filter_map(|der| {
            let anchor = webpki::anchor_from_trusted_cert(der).ok()?;
            Some(anchor.to_owned())
        });
        Ok(Self {
            roots: roots.collect(),
            inner: build(reqwest::Client::builder(), PublicResolver)?,
            is_allowed: is_public,
        })
    }

    /// What the chain of a fetched certificate must lead to.
    pub(super) fn roots(&self) -> &[TrustAnchor<'static>] {
        &self.roots
    }

    /// The whole answer of 200 to a GET.
    ///
    /// # Errors
    /// Anything else.
    pub async fn get(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        // An address in the URL would pass by the resolver.
        if url.scheme() != "https" || !matches!(url.host(), Some(Host::Domain(_))) {
            return Err(FetchError::Url);
        }
        let response = self.inner.get(url.clone()).send().await;
        let mut response = response.map_err(unreachable)?;
        // Again, of the connection that was made: the resolver's word is one check, this is the other.
        let peer = response.remote_addr().map(|address| address.ip());
        if !peer.is_some_and(self.is_allowed) {
            return Err(FetchError::Address);
        }
        if response.status().as_u16() != 200 {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(FetchError::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// A client that trusts one certificate and finds every host where `resolver` says.
    #[cfg(test)]
    pub(crate) fn testing(
        root: &rustls_pki_types::CertificateDer<'static>,
        resolver: impl Resolve + 'static,
        is_allowed: fn(IpAddr) -> bool,
    ) -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let root_of_client = reqwest::Certificate::from_der(root).unwrap();
        let builder = reqwest::Client::builder().tls_certs_only([root_of_client]);
        Self {
            inner: build(builder, resolver).unwrap(),
            roots: vec![webpki::anchor_from_trusted_cert(root).unwrap().to_owned()],
            is_allowed,
        }
    }
}

fn build(
    builder: reqwest::ClientBuilder,
    resolver: impl Resolve + 'static,
) -> Result<reqwest::Client, FetchError> {
    builder
        .user_agent(concat!("hookgate/", env!("CARGO_PKG_VERSION")))
        .https_only(true)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        // A proxy would connect in our place, past the check of the address.
        .no_proxy()
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT)
        // Fetches are far apart: a connection that waits for the next is one more that a server may have closed.
        .pool_max_idle_per_host(0)
        .dns_resolver(resolver)
        .build()
        .map_err(|error| FetchError::Client(cause(error)))
}

fn unreachable(error: reqwest::Error) -> FetchError {
    let not_public = std::iter::successors(error.source(), |e| (*e).source())
        .any(|e| e.downcast_ref::<NotPublic>().is_some());
    if not_public {
        return FetchError::Address;
    }
    let timeout = error.is_timeout();
    let cause = cause(error);
    FetchError::Unreachable(if timeout {
        "no answer in time".to_owned()
    } else {
        cause
    })
}

/// The innermost cause, which is the one that says something. URLs of confirmations hold a token: none is shown.
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let innermost = std::iter::successors(error.source(), |e| (*e).source()).last();
    let text = innermost.map_or_else(|| error.to_string(), ToString::to_string);
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(CAUSE_CHARS_MAX).collect()
}
