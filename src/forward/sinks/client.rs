//! HTTP calls to a sink: no redirects, no proxies, checked addresses, bounded answers, no secret in an error.

use super::super::error::{SinkError, retry_after};
use super::super::{HttpTarget, error::printable};
use super::address::{CheckedResolver, LinkLocal, is_refused};
use crate::model::limits::SINK_ANSWER_BYTES_MAX;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Client, Response, Url};
use std::error::Error as _;
use std::time::Duration;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a whole call.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Secrets shorter than this are not looked for in answers: they would hide ordinary words.
const SECRET_CHARS_MIN: usize = 4;

/// Values in the query shorter than this are taken for options.
const QUERY_SECRET_BYTES_MIN: usize = 8;
/// Idle connections are closed before the servers that we know close theirs (uvicorn: 5 s).
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// How long an answer's body that nobody needs may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// A target that can be called.
pub(super) struct Caller {
    client: Client,
    url: Url,
    headers: HeaderMap,
    /// What must not be kept of an answer that echoes the request.
    secrets: Vec<String>,
}

impl Caller {
    /// Checks URL, address and headers.
    ///
    /// # Errors
    /// `Misconfigured`, without any secret.
    pub(super) fn new(target: &HttpTarget) -> Result<Self, SinkError> {
        let mut url = Url::parse(target.url.trim())
            .map_err(|e| SinkError::misconfigured(format!("`url` is not a URL: {e}")))?;
        check_literal(&url)?;
        let userinfo = take_userinfo(&mut url);
        let (headers, secrets) = headers(target, userinfo, &url)?;
        Ok(Self {
            client: client(url.scheme() == "https")?,
            url,
            headers,
            secrets,
        })
    }

    /// The target's URL with more path at its end, whether or not it ends in a slash.
    ///
    /// # Errors
    /// `Misconfigured`: the URL has no path.
    pub(super) fn join(&self, path: &[&str]) -> Result<Url, SinkError> {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .map_err(|()| SinkError::misconfigured("`url` has no path"))?
            .pop_if_empty()
            .extend(path);
        Ok(url)
    }

    /// The target's URL itself.
    pub(super) fn url(&self) -> Url {
        self.url.clone()
    }

    /// POSTs JSON; an answer of 2xx is given to read.
    ///
    /// # Errors
    /// By what went wrong on the way or by the answer's status.
    pub(super) async fn post(
        &self,
        url: Url,
        body: Vec<u8>,
        more: HeaderMap,
    ) -> Result<Response, SinkError> {
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .headers(more)
            .headers(self.headers.clone())
            .body(body);
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        if response.status().is_success() {
            return Ok(response);
        }
        let after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| retry_after(value.to_str().ok()?, jiff::Timestamp::now()));
        let answer = self.excerpt(response).await;
        Err(SinkError::of_status(status, answer, after)
            .unwrap_or_else(|| SinkError::retry("the sink gave no answer")))
    }

    /// POSTs JSON; the body of an answer of 2xx does not matter.
    ///
    /// # Errors
    /// As [`Self::post`].
    pub(super) async fn hand_over(
        &self,
        url: Url,
        body: Vec<u8>,
        more: HeaderMap,
    ) -> Result<(), SinkError> {
        let response = self.post(url, body, more).await?;
        // A connection is used again only when its answer was read; whether that works changes nothing.
        let rest = read_up_to(response, SINK_ANSWER_BYTES_MAX);
        drop(tokio::time::timeout(DRAIN_TIMEOUT, rest).await);
        Ok(())
    }

    /// The first bytes of an answer, without what we sent as a secret.
    async fn excerpt(&self, response: Response) -> String {
        let bytes = read_up_to(response, SINK_ANSWER_BYTES_MAX).await;
        let bytes = bytes.unwrap_or_else(|(start, _)| start);
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        for secret in &self.secrets {
            text = text.replace(secret.as_str(), "***");
        }
        text
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller")
            .field("host", &self.url.host_str())
            .finish_non_exhaustive()
    }
}

/// Reads an answer whole, up to `bytes_max`.
///
/// # Errors
/// What was read, and the error: the connection broke, or there is more.
pub(super) async fn read_up_to(
    mut response: Response,
    bytes_max: usize,
) -> Result<Vec<u8>, (Vec<u8>, SinkError)> {
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = bytes_max.saturating_sub(bytes.len());
                bytes.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
                if chunk.len() > room {
                    let error = SinkError::retry("the sink's answer is too long");
                    return Err((bytes, error));
                }
            }
            Ok(None) => return Ok(bytes),
            Err(error) => return Err((bytes, unreachable(error))),
        }
    }
}

fn client(tls: bool) -> Result<Client, SinkError> {
    // reqwest takes the process's provider; a second installation is refused and changes nothing.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
    }
    let mut builder = Client::builder()
        .user_agent(concat!("hookgate/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        // A proxy would connect in our place, past the check of the address.
        .no_proxy()
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT)
        .pool_max_idle_per_host(2)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .dns_resolver(CheckedResolver);
    if !tls {
        // A host without any certificate authority can still have sinks on plain HTTP.
        builder = builder.tls_certs_only([]);
    }
    builder
        .build()
        .map_err(|e| SinkError::misconfigured(format!("no TLS client: {}", cause(e))))
}

fn check_literal(url: &Url) -> Result<(), SinkError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(SinkError::misconfigured(
            "`url` must begin with http:// or https://",
        ));
    }
    let host = url.host_str().unwrap_or("");
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse();
    if literal.is_ok_and(is_refused) {
        return Err(SinkError::misconfigured(format!("`url`: {LinkLocal}")));
    }
    Ok(())
}

/// Takes user and password out of a URL, decoded, so that it can be shown and passed on without them.
fn take_userinfo(url: &mut Url) -> Option<(String, String)> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = decode(url.username());
    let password = decode(url.password().unwrap_or(""));
    // Only a URL without a host has no place for them, and then there are none.
    let is_clean = url.set_username("").is_ok() && url.set_password(None).is_ok();
    (is_clean && (!user.is_empty() || !password.is_empty())).then_some((user, password))
}

fn headers(
    target: &HttpTarget,
    userinfo: Option<(String, String)>,
    url: &Url,
) -> Result<(HeaderMap, Vec<String>), SinkError> {
    let mut headers = HeaderMap::new();
    let mut secrets = Vec::new();
    let configured = target.auth.as_ref();
    let pair = configured.map(|(user, password)| (user.clone(), password.expose().to_owned()));
    let authorization = match (&target.token, pair.or(userinfo)) {
        (Some(token), _) => {
            secrets.push(token.expose().to_owned());
            Some(format!("Bearer {}", token.expose()))
        }
        (None, Some((user, password))) => {
            let pair = STANDARD.encode(format!("{user}:{password}"));
            secrets.extend([password, pair.clone()]);
            Some(format!("Basic {pair}"))
        }
        (None, None) => None,
    };
    if let Some(text) = authorization {
        headers.insert(AUTHORIZATION, header_value("authorization", &text)?);
    }
    for (name, value) in &target.headers {
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
            SinkError::misconfigured(format!("`{}` is no header name", printable(name)))
        })?;
        headers.insert(key, header_value(name, value.expose())?);
        secrets.push(value.expose().to_owned());
    }
    // Some put a key into the query; a short value there is an option, not a key.
    let query = url.query_pairs().map(|(_, value)| value.into_owned());
    secrets.extend(query.filter(|value| value.len() >= QUERY_SECRET_BYTES_MIN));
    secrets.retain(|secret| secret.chars().count() >= SECRET_CHARS_MIN);
    // Longest first, so that one secret inside another does not leave the rest of it.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    Ok((headers, secrets))
}

fn header_value(name: &str, text: &str) -> Result<HeaderValue, SinkError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        SinkError::misconfigured(format!(
            "the value of header `{}` holds characters that no header can",
            printable(name)
        ))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// An error on the way, without the URL, which may hold a password.
fn unreachable(error: reqwest::Error) -> SinkError {
    let link_local = std::iter::successors(error.source(), |e| (*e).source())
        .any(|e| e.downcast_ref::<LinkLocal>().is_some());
    if link_local {
        return SinkError::misconfigured(format!("the sink is not called: {LinkLocal}"));
    }
    let what = if error.is_timeout() {
        "the sink did not answer in time"
    } else if error.is_connect() {
        "the sink cannot be reached"
    } else {
        "the call to the sink broke off"
    };
    SinkError::retry(format!("{what}: {}", cause(error)))
}

/// The innermost cause, which is the one that says something.
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let innermost = std::iter::successors(error.source(), |e| (*e).source()).last();
    printable(&innermost.map_or_else(|| error.to_string(), ToString::to_string))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::dns::{Name, Resolve, Resolving};

    struct OnlyLinkLocal;

    impl Resolve for OnlyLinkLocal {
        fn resolve(&self, _: Name) -> Resolving {
            Box::pin(async { Err(LinkLocal.into()) })
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_link_local_address() {
        drop(client(false));
        let builder = Client::builder().no_proxy().tls_certs_only([]);
        let client = builder.dns_resolver(OnlyLinkLocal).build().unwrap();
        let error = client
            .get("http://metadata.test/")
            .send()
            .await
            .unwrap_err();
        let error = unreachable(error);
        assert_eq!(error.result(), "misconfigured");
        assert!(error.to_string().contains("link-local"), "{error}");
    }

    #[test]
    fn userinfo_leaves_the_url() {
        let target = HttpTarget {
            url: "https://u%40x:fake-p%3Aass-0001@example.com/a?key=fake-key-0001&v=1".into(),
            token: None,
            auth: None,
            headers: Vec::new(),
        };
        let caller = Caller::new(&target).unwrap();
        assert_eq!(
            caller.url().as_str(),
            "https://example.com/a?key=fake-key-0001&v=1"
        );
        let pair = STANDARD.encode("u@x:fake-p:ass-0001");
        assert_eq!(caller.headers[AUTHORIZATION], format!("Basic {pair}"));
        assert_eq!(
            caller.secrets,
            [pair, "fake-p:ass-0001".into(), "fake-key-0001".into()]
        );
        assert!(!format!("{caller:?}").contains("fake"));
    }

    #[test]
    fn joined_with_and_without_a_slash() {
        for (url, joined) in [
            ("http://h:1/api", "http://h:1/api/events/filter"),
            ("http://h:1/api/", "http://h:1/api/events/filter"),
            ("http://h:1", "http://h:1/events/filter"),
        ] {
            let target = HttpTarget {
                url: url.into(),
                token: None,
                auth: None,
                headers: Vec::new(),
            };
            let caller = Caller::new(&target).unwrap();
            assert_eq!(caller.join(&["events", "filter"]).unwrap().as_str(), joined);
        }
    }
}
