//! Asks the running gateway through its admin API, as the commands that need one do.

use super::{Exit, Global, health, output, text};
use reqwest::{Method, StatusCode, Url};
use serde_json::{Value, json};
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a token's file.
const TOKEN_BYTES_MAX: u64 = 4 * 1024;

/// Which gateway is asked.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Server {
    /// Admin listener of the gateway [default: that of `HOOKGATE_ADMIN`, else <http://127.0.0.1:8081>]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "HOOKGATE_URL",
        hide_env = true
    )]
    url: Option<String>,
    /// File with the admin token, `-` for standard input [default: `HOOKGATE_TOKEN`]
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How long an answer may take
    #[arg(long, global = true, value_name = "DURATION", default_value = "30s", value_parser = crate::config::parse_duration)]
    pub(super) timeout: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    /// One sentence or two.
    pub(super) message: String,
    /// Its code, where the gateway gave one.
    code: Option<String>,
    /// What to do.
    help: Option<String>,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            code: None,
            help: None,
        }
    }

    /// With what to do.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says it on stderr.
    pub(super) fn report(self, global: &Global) -> Exit {
        if global.json() {
            output::json_error(&json!({
                "code": self.code, "message": self.message, "help": self.help,
            }));
        } else {
            let code = self
                .code
                .map_or_else(String::new, |code| format!("[{code}]"));
            let help = self.help.map_or_else(String::new, |help| {
                format!("  = help: {}\n", text::shown(&help))
            });
            let message = text::shown_lines(&self.message);
            output::err(&format!("error{code}: {message}\n{help}"));
        }
        self.exit
    }
}

/// An answer, read whole.
struct Answer {
    status: StatusCode,
    link: Option<String>,
    body: Vec<u8>,
}

/// A page of a list.
#[derive(Debug)]
pub(super) struct Page {
    /// As answered.
    pub(super) rows: Value,
    /// `after` of the next page; none: this was the last.
    pub(super) next: Option<String>,
}

impl Server {
    /// Asks the listener of a configuration where neither flag nor variable names one.
    pub(super) fn or_listener(&self, admin: SocketAddr) -> Self {
        let given = self.url.as_ref().filter(|url| !url.trim().is_empty());
        let url = match given {
            Some(url) => Some(url.clone()),
            None if admin.port() == 0 => None,
            None => Some(health::listener(Some(&admin.to_string()))),
        };
        Self {
            url,
            ..self.clone()
        }
    }

    /// The URL of a page of the listener, for people; empty where there is no such URL.
    pub(super) fn url_of_page(&self, path: &[&str]) -> String {
        let url = self.base().map(|mut url| {
            if let Ok(mut segments) = url.path_segments_mut() {
                segments.pop_if_empty().extend(path);
            }
            url.to_string()
        });
        url.unwrap_or_default()
    }

    /// As [`Self::get`], for who waits already; `query` is encoded.
    pub(super) async fn look(&self, path: &[&str], query: &str) -> Result<Value, Failure> {
        let mut url = self.address(path)?;
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        self.answer(Method::GET, url, None).await
    }

    /// What a POST of data gives.
    pub(super) fn send(&self, path: &[&str], data: &Value) -> Result<Value, Failure> {
        let url = self.address(path)?;
        block_on(self.answer(Method::POST, url, Some(data)))?
    }

    /// The bytes of an API path in a media type.
    pub(super) fn fetch(&self, path: &[&str], media_type: &str) -> Result<Vec<u8>, Failure> {
        block_on(self.raw(path, media_type))?
    }

    /// As [`Self::fetch`], for who waits already.
    pub(super) async fn raw(&self, path: &[&str], media_type: &str) -> Result<Vec<u8>, Failure> {
        let url = self.address(path)?;
        let asked = self.ask(Method::GET, url, media_type, None).await?;
        if asked.status.is_success() {
            return Ok(asked.body);
        }
        let answer = serde_json::from_slice(&asked.body).unwrap_or(Value::Null);
        Err(refused(asked.status, &answer))
    }

    /// As this, with at least so much time for an answer.
    pub(super) fn patient(&self, least: Duration) -> Self {
        Self {
            timeout: self.timeout.max(least),
            ..self.clone()
        }
    }

    /// One page of a list in another media type, and the query of the next one. An answer that is too large to be
    /// read gives nothing: ask for less.
    pub(super) fn page(
        &self,
        path: &[&str],
        query: &str,
        media_type: &'static str,
    ) -> Result<Option<Page>, Failure> {
        let mut url = self.address(path)?;
        url.set_query(Some(query));
        let answer = block_on(self.ask(Method::GET, url, media_type, None))??;
        if answer.body.len() >= ANSWER_BYTES_MAX {
            return Ok(None);
        }
        let rows: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        if !answer.status.is_success() || rows.is_null() {
            return Err(refused(answer.status, &rows));
        }
        Ok(Some(Page {
            rows,
            next: answer.link.as_deref().and_then(next_after),
        }))
    }

    /// What a GET of an API path gives in another media type, whole.
    pub(super) fn bytes(&self, path: &[&str], media_type: &str) -> Result<Vec<u8>, Failure> {
        let url = self.address(path)?;
        let answer = block_on(self.ask(Method::GET, url, media_type, None))??;
        if answer.body.len() >= ANSWER_BYTES_MAX {
            let why = format!("the answer is larger than {ANSWER_BYTES_MAX} bytes");
            return Err(Failure::new(Exit::Usage, why));
        }
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        let problem = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        Err(refused(answer.status, &problem))
    }

    /// What a GET of an API path gives.
    pub(super) fn get(&self, path: &[&str]) -> Result<Value, Failure> {
        self.call(Method::GET, path)
    }

    /// What a POST without data gives.
    pub(super) fn post(&self, path: &[&str]) -> Result<Value, Failure> {
        self.call(Method::POST, path)
    }

    /// What a DELETE of an API path gives.
    pub(super) fn delete(&self, path: &[&str]) -> Result<Value, Failure> {
        self.call(Method::DELETE, path)
    }

    fn call(&self, method: Method, path: &[&str]) -> Result<Value, Failure> {
        let url = self.address(path)?;
        block_on(self.answer(method, url, None))?
    }

    async fn answer(
        &self,
        method: Method,
        url: Url,
        data: Option<&Value>,
    ) -> Result<Value, Failure> {
        let asked = self.ask(method, url, "application/json", data).await?;
        let answer: Value = serde_json::from_slice(&asked.body).unwrap_or(Value::Null);
        if asked.status.is_success() && !answer.is_null() {
            return Ok(answer);
        }
        Err(refused(asked.status, &answer))
    }

    async fn ask(
        &self,
        method: Method,
        url: Url,
        accept: &str,
        data: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let token = self.token()?;
        install_tls();
        let data = data.map_or_else(|| "{}".to_owned(), Value::to_string);
        let asked = ask(method, url.clone(), token, self.timeout, (accept, data)).await;
        asked.map_err(|error| unreachable(&url, &error))
    }

    /// A stream of the API, open, with the answer's head read: it has no end, so only the connecting is limited in
    /// time.
    pub(super) async fn stream(
        &self,
        path: &[&str],
        query: &str,
    ) -> Result<reqwest::Response, Failure> {
        let mut url = self.address(path)?;
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let token = self.token()?;
        install_tls();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(self.timeout)
            .build();
        let client = client.map_err(|error| unreachable(&url, &error))?;
        let mut request = client
            .get(url.clone())
            .header("accept", "text/event-stream");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let late = Failure::new(
            Exit::Unreachable,
            format!(
                "{} does not answer in time",
                url.origin().ascii_serialization()
            ),
        );
        let answer = tokio::time::timeout(self.timeout, request.send()).await;
        let response = answer
            .map_err(|_| late)?
            .map_err(|error| unreachable(&url, &error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        let answer = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Err(refused(status, &answer))
    }

    fn address(&self, path: &[&str]) -> Result<Url, Failure> {
        let mut url = self.base()?;
        let usage = || Failure::new(Exit::Usage, "--url is no URL of a server");
        url.path_segments_mut()
            .map_err(|()| usage())?
            .pop_if_empty()
            .extend(["api", "v1"])
            .extend(path);
        Ok(url)
    }

    /// The listener's own URL.
    fn base(&self) -> Result<Url, Failure> {
        let given = self.url.as_deref().filter(|url| !url.trim().is_empty());
        let text = given.map_or_else(
            || health::listener(std::env::var("HOOKGATE_ADMIN").ok().as_deref()),
            str::to_owned,
        );
        let usage = |why: &str| Failure::new(Exit::Usage, format!("--url {text:?} {why}"));
        let mut url = Url::parse(text.trim()).map_err(|_| usage("is no URL"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(usage("must begin with http:// or https:// and name a host"));
        }
        url.set_query(None);
        url.set_fragment(None);
        Ok(url)
    }

    /// The token, from its file, else from the variable.
    fn token(&self) -> Result<Option<String>, Failure> {
        let Some(path) = &self.token_file else {
            let token = std::env::var("HOOKGATE_TOKEN").ok();
            return Ok(token.filter(|token| !token.trim().is_empty()));
        };
        let mut text = String::new();
        let read = if path.as_os_str() == "-" {
            std::io::stdin()
                .take(TOKEN_BYTES_MAX)
                .read_to_string(&mut text)
        } else {
            std::fs::File::open(path)
                .and_then(|file| file.take(TOKEN_BYTES_MAX).read_to_string(&mut text))
        };
        let token = text.trim();
        match read {
            Ok(_) if token.is_empty() => Err(Failure::new(
                Exit::Usage,
                format!("--token-file {}: it holds no token", path.display()),
            )),
            Ok(_) => Ok(Some(token.to_owned())),
            Err(error) => Err(Failure::new(
                Exit::Usage,
                format!("--token-file {}: {error}", path.display()),
            )),
        }
    }
}

/// Runs what waits for the network.
///
/// # Errors
/// The system gives no threads or sockets.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Bug, error.to_string()))?;
    Ok(runtime.block_on(work))
}

/// The cryptography of TLS: only the first call in a process can set it; it is the same for all.
pub(super) fn install_tls() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
}

async fn ask(
    method: Method,
    url: Url,
    token: Option<String>,
    timeout: Duration,
    (accept, data): (&str, String),
) -> Result<Answer, reqwest::Error> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(timeout)
        .build()?;
    // The guard of the listener wants to know that a change is no other site's.
    let origin = url.origin().ascii_serialization();
    let mut request = client.request(method.clone(), url).header("accept", accept);
    if method != Method::GET {
        request = request
            .header("origin", origin)
            .header("content-type", "application/json")
            .body(data);
    }
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let mut response = request.send().await?;
    let link = response.headers().get("link");
    let link = link
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await? {
        let left = ANSWER_BYTES_MAX - body.len();
        body.extend_from_slice(part.get(..left).unwrap_or(&part));
        if body.len() >= ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok(Answer {
        status: response.status(),
        link,
        body,
    })
}

fn unreachable(url: &Url, error: &reqwest::Error) -> Failure {
    let why = without_url(error);
    let origin = url.origin().ascii_serialization();
    Failure::new(
        Exit::Unreachable,
        format!("{origin} is not reachable: {why}"),
    )
}

/// `after` in the URL of a `Link` header, which is the only one of its answer.
fn next_after(link: &str) -> Option<String> {
    let url = link.strip_prefix('<')?.split_once('>')?.0;
    let query = url.split_once('?')?.1;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs
        .find(|(name, _)| name == "after")
        .map(|(_, value)| value.into_owned())
}

/// The innermost reason, which names no URL.
pub(super) fn without_url(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

/// What an answer that is no success means to a script.
fn refused(status: StatusCode, answer: &Value) -> Failure {
    let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
    let exit = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST => {
            Exit::Denied
        }
        // Without a code it is another server's, or another path's.
        StatusCode::NOT_FOUND | StatusCode::GONE if text("code").is_some() => Exit::Missing,
        status if status.is_server_error() => Exit::Unreachable,
        StatusCode::GONE => Exit::Missing,
        StatusCode::UNPROCESSABLE_ENTITY => Exit::Invalid,
        StatusCode::CONFLICT => Exit::No,
        _ => Exit::Usage,
    };
    let mut message = text("detail").unwrap_or_else(|| format!("the gateway answered {status}"));
    if status == StatusCode::UNAUTHORIZED {
        message.push_str("; from here by --token-file FILE or the variable HOOKGATE_TOKEN");
    }
    let item = answer.pointer("/errors/0/help").and_then(Value::as_str);
    Failure {
        exit,
        message,
        code: text("code"),
        help: item.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Server {
        Server {
            url: Some(url.to_owned()),
            token_file: None,
            timeout: Duration::from_secs(10),
        }
    }

    #[test]
    fn addresses() {
        for (url, want) in [
            (
                "http://127.0.0.1:1",
                "http://127.0.0.1:1/api/v1/webhooks/a%2Fb",
            ),
            ("https://h/p/?q=1", "https://h/p/api/v1/webhooks/a%2Fb"),
        ] {
            let url = server(url).address(&["webhooks", "a/b"]).unwrap();
            assert_eq!(url.as_str(), want);
        }
        for wrong in ["x", "ftp://h/", "mailto:a@b"] {
            let failure = server(wrong).address(&[]).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn what_answers_mean() {
        let problem = json!({"code": "HG0801", "detail": "there is no webhook `x`"});
        for (status, answer, exit) in [
            (401, &problem, Exit::Denied),
            (403, &problem, Exit::Denied),
            (404, &problem, Exit::Missing),
            (410, &problem, Exit::Missing),
            (404, &Value::Null, Exit::Usage),
            (409, &problem, Exit::No),
            (503, &problem, Exit::Unreachable),
        ] {
            let failure = refused(StatusCode::from_u16(status).unwrap(), answer);
            assert_eq!(failure.exit, exit, "{status}");
        }
        // Port 1 is nobody's.
        let failure = server("http://127.0.0.1:1").get(&["webhooks"]).unwrap_err();
        assert_eq!(failure.exit, Exit::Unreachable);
        assert!(failure.message.contains("127.0.0.1:1"), "{failure:?}");
    }
}
