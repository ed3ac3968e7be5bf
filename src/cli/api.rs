//! The running gateway as commands see it: its admin API over HTTP.

use super::{Exit, health};
use crate::model::Secret;
use reqwest::{Client, Method, Url};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Bytes of a token's file.
const TOKEN_BYTES_MAX: u64 = 64 * 1024;

/// Which gateway, and how to ask it.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ServerArguments {
    /// Admin listener of the running gateway [default: that of the configuration]
    #[arg(long, value_name = "URL", env = "HOOKGATE_URL", hide_env = true)]
    url: Option<String>,
    /// File with the token for it, or `-` for stdin [default: `HOOKGATE_TOKEN`]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How long an answer may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = crate::config::parse_duration)]
    pub(super) timeout: Duration,
}

/// Why the gateway did not answer as it should.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nobody answers.
    Unreachable(String),
    /// It answers with an error.
    Refused(u16, String),
    /// What was given cannot be used.
    Usage(String),
}

impl Failure {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Unreachable(_) => Exit::Unreachable,
            Self::Refused(401 | 403, _) => Exit::Denied,
            Self::Refused(404, _) => Exit::Missing,
            Self::Refused(..) => Exit::No,
            Self::Usage(_) => Exit::Usage,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(why) | Self::Usage(why) => f.write_str(why),
            Self::Refused(status, why) => write!(f, "the gateway answers {status}: {why}"),
        }
    }
}

/// A client of the admin API.
#[derive(Debug, Clone)]
pub(super) struct Api {
    client: Client,
    base: Url,
    token: Option<Secret>,
}

impl Api {
    /// `admin`: the admin listener by the configuration, if it is known.
    pub(super) fn new(
        arguments: &ServerArguments,
        admin: Option<std::net::SocketAddr>,
    ) -> Result<Self, Failure> {
        let given = arguments
            .url
            .clone()
            .filter(|url| !url.trim().is_empty())
            .unwrap_or_else(|| {
                let address = admin.filter(|a| a.port() != 0).map(|a| a.to_string());
                health::listener(address.as_deref())
            });
        let base = Url::parse(given.trim())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| Failure::Usage(format!("{given:?} is no URL of an admin listener")))?;
        Ok(Self {
            client: client(arguments.timeout, base.scheme() == "https", None)?,
            base,
            token: token(arguments.token_file.as_deref())?,
        })
    }

    /// A page of the admin listener, for people.
    pub(super) fn page(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }

    /// Asks, and reads the JSON of the answer.
    ///
    /// # Errors
    /// Nobody answers, or with an error.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Failure> {
        let request = self.client.request(Method::GET, self.page(path));
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        };
        let response = request.send().await.map_err(|error| {
            Failure::Unreachable(format!(
                "no gateway answers at {}: {}",
                self.base,
                cause(&error)
            ))
        })?;
        let status = response.status().as_u16();
        let bytes = read(response).await?;
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if (200..300).contains(&status) {
            return Ok(value);
        }
        let detail = value.get("detail").and_then(Value::as_str);
        Err(Failure::Refused(
            status,
            detail.unwrap_or("no reason is given").to_owned(),
        ))
    }
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, Failure> {
    let broken = |error: reqwest::Error| {
        Failure::Unreachable(format!("the answer breaks off: {}", cause(&error)))
    };
    let mut bytes = Vec::new();
    while let Some(part) = response.chunk().await.map_err(broken)? {
        if bytes.len() + part.len() > ANSWER_BYTES_MAX {
            return Err(Failure::Unreachable("the answer is endless".to_owned()));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

fn token(file: Option<&std::path::Path>) -> Result<Option<Secret>, Failure> {
    let text = match file {
        None => std::env::var("HOOKGATE_TOKEN").ok(),
        Some(path) if path == std::path::Path::new("-") => {
            let mut text = String::new();
            std::io::Read::read_to_string(
                &mut std::io::Read::take(std::io::stdin().lock(), TOKEN_BYTES_MAX),
                &mut text,
            )
            .map_err(|error| Failure::Usage(format!("stdin cannot be read: {error}")))?;
            Some(text)
        }
        Some(path) => Some(
            crate::config::read_text(path, TOKEN_BYTES_MAX).map_err(|why| {
                Failure::Usage(format!(
                    "the token of {} cannot be read: {why}",
                    path.display()
                ))
            })?,
        ),
    };
    Ok(text
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .map(Secret::new))
}

/// A client that follows nothing and goes through no proxy. `trusted`: a certificate to trust besides, PEM.
///
/// # Errors
/// There is no TLS here.
pub(super) fn client(
    timeout: Duration,
    tls: bool,
    trusted: Option<&[u8]>,
) -> Result<Client, Failure> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Whoever comes second finds the same provider.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
    }
    let mut builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .timeout(timeout);
    if !tls {
        // Plain HTTP needs no certificate authority.
        builder = builder.tls_certs_only([]);
    }
    if let Some(pem) = trusted.filter(|_| tls) {
        let bundle = reqwest::Certificate::from_pem_bundle(pem);
        let bundle = bundle.map_err(|error| {
            Failure::Usage(format!("the certificate cannot be used: {}", cause(&error)))
        })?;
        builder = builder.tls_certs_merge(bundle);
    }
    builder
        .build()
        .map_err(|error| Failure::Usage(format!("no TLS client: {}", cause(&error))))
}

/// The innermost reason, without the URL: it may hold a slug.
pub(super) fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let is_outer = std::ptr::addr_eq(
        std::ptr::from_ref(inner),
        std::ptr::from_ref::<reqwest::Error>(error),
    );
    if is_outer {
        "the request cannot be sent".to_owned()
    } else {
        inner.to_string()
    }
}

/// Runs what waits for the network.
///
/// # Errors
/// The system gives no sockets.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Unreachable(format!("no network: {error}")))?;
    Ok(runtime.block_on(work))
}
