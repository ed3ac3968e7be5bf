//! Which request, to where, and how it becomes one that the webhook takes.

use super::{Arguments, Stop};
use crate::cli::client::{Failure, Server};
use crate::cli::{Exit, health, request};
use crate::config::{Config, KeyRule, Webhook, nearest};
use crate::engine;
use crate::intake::head::{self, UrlBase};
use crate::model::{Headers, Problem, Request, Slug};
use crate::providers;
use crate::verify::{SignError, SignOptions, freshen};
use jiff::Timestamp;
use reqwest::Url;
use serde_json::Value;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// Bytes that are read from stdin at most.
const STDIN_BYTES_MAX: u64 = 65 << 20;
/// How long a gateway may take to see a webhook that has just been written.
const RELOAD_PATIENCE: Duration = Duration::from_secs(3);
/// What is sent where neither provider nor test has a request.
const PLAIN: &str = "POST /hooks/x HTTP/1.1\nContent-Type: application/json\nUser-Agent: hookgate-send\n\n{\"hello\":\"from hookgate send\"}";
/// Headers that belong to the connection, not to the request.
const CONNECTION: [&str; 6] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "expect",
    "te",
];

/// A request that could be sent, unsigned.
pub(super) struct Sample {
    pub(super) name: String,
    /// What else could have been chosen, for people.
    pub(super) others: Option<String>,
    pub(super) request: Request,
}

/// Everything that a request is made of.
pub(super) struct Prepared<'a> {
    pub(super) config: &'a Config,
    pub(super) webhook: &'a Webhook,
    pub(super) arguments: &'a Arguments,
    pub(super) sample: Sample,
    pub(super) options: SignOptions,
}

/// The request that is meant: a file, a sample of the provider, a test of the webhook, or a small one.
pub(super) fn sample(
    webhook: &Webhook,
    beside: Option<&Path>,
    event: Option<&str>,
    file: Option<&Path>,
) -> Result<Sample, Stop> {
    if let Some(file) = file {
        let request = read(file)?;
        let name = file.display().to_string();
        return Ok(alone(name, request));
    }
    if let Some(provider) = &webhook.provider {
        let samples = providers::samples(provider, beside)?;
        let names: Vec<&str> = samples.iter().map(|s| s.name.as_str()).collect();
        if let Some(at) = pick(&names, event, provider)? {
            let found = samples.get(at);
            let bytes = found.map_or(&b""[..], |sample| &sample.request);
            let name = names.get(at).copied().unwrap_or_default();
            let label = format!("sample {name} of {provider}");
            let request = engine::parse_request(bytes, Path::new("."), &label)?;
            return Ok(Sample {
                name: name.to_owned(),
                others: others(&names, event),
                request,
            });
        }
    }
    let names: Vec<&str> = webhook.tests.iter().map(|t| t.name.as_str()).collect();
    if let Some(at) = pick(&names, event, &webhook.name)?
        && let Some(test) = webhook.tests.get(at)
    {
        let folder = beside.unwrap_or(Path::new("."));
        let request = engine::read_request(&folder.join(&test.request))?;
        return Ok(Sample {
            name: test.name.clone(),
            others: others(&names, event),
            request,
        });
    }
    let mut request = engine::parse_request(PLAIN.as_bytes(), Path::new("."), "the plain request")?;
    if let Some(method) = webhook.methods.iter().find(|m| *m == "POST") {
        request.method.clone_from(method);
    } else if let Some(first) = webhook.methods.first() {
        request.method.clone_from(first);
    }
    Ok(alone("plain".to_owned(), request))
}

fn alone(name: String, request: Request) -> Sample {
    Sample {
        name,
        others: None,
        request,
    }
}

fn others(names: &[&str], event: Option<&str>) -> Option<String> {
    (event.is_none() && names.len() > 1).then(|| {
        format!(
            "the first of {} (others: {})",
            names.len(),
            names.join(", ")
        )
    })
}

/// Which of these is meant: by name, or by its only beginning; without a wish the first. None: there are none.
fn pick(names: &[&str], event: Option<&str>, of: &str) -> Result<Option<usize>, Stop> {
    let Some(event) = event else {
        return Ok((!names.is_empty()).then_some(0));
    };
    if let Some(at) = names.iter().position(|name| *name == event) {
        return Ok(Some(at));
    }
    let mut near = names
        .iter()
        .enumerate()
        .filter(|(_, name)| name.starts_with(event));
    if let (Some((at, _)), None) = (near.next(), near.next()) {
        return Ok(Some(at));
    }
    let stop = Stop::new(Exit::Missing, format!("{of} has no sample `{event}`"));
    Err(
        match (names.is_empty(), nearest(event, names.iter().copied())) {
            (true, _) => stop.help("--request FILE sends a request of your own"),
            (false, Some(found)) => stop.help(format!(
                "did you mean `{found}`? There are: {}",
                names.join(", ")
            )),
            (false, None) => stop.help(format!("there are: {}", names.join(", "))),
        },
    )
}

fn read(path: &Path) -> Result<Request, Problem> {
    if path != Path::new("-") {
        return engine::read_request(path);
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(STDIN_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|e| {
            let message = format!("stdin cannot be read: {e}");
            Problem::new(crate::codes::FILE_UNREADABLE, message)
        })?;
    engine::parse_request(&bytes, Path::new("."), "stdin")
}

/// The request without what belongs to a connection, its coding undone.
pub(super) fn received(
    mut sample: Sample,
    webhook: &Webhook,
    config: &Config,
) -> Result<Sample, Stop> {
    let mut headers = Headers::new();
    for (name, value) in sample.request.headers.iter() {
        if !CONNECTION.contains(&name) {
            headers.push(name, value);
        }
    }
    sample.request.headers = headers;
    engine::receive(&mut sample.request, webhook, Some(&config.edge))?;
    Ok(sample)
}

impl Prepared<'_> {
    /// The URL to call, without a query.
    pub(super) async fn target(&self, api: &Server) -> Result<Url, Stop> {
        let usage = |text: &str| {
            Stop::new(
                Exit::Usage,
                format!("{text:?} is no URL to send to: http:// or https://"),
            )
        };
        let tail = self.sample.request.path.as_str();
        let hook = |base: &str, slug: &Slug| {
            let base = base.trim_end_matches('/');
            format!("{base}/hooks/{}{tail}", slug.expose())
        };
        let slug = &self.webhook.slug;
        let text = match &self.arguments.to {
            Some(to) => {
                let url = Url::parse(to).map_err(|_| usage(to))?;
                if matches!(url.path(), "" | "/") {
                    hook(to, slug)
                } else {
                    format!("{to}{tail}")
                }
            }
            None => match self.listener(api).await {
                Ok(url) => format!("{url}{tail}"),
                // Without the API the configuration says where it listens.
                Err(failure)
                    if failure.exit == Exit::Unreachable && self.config.edge.listen.port() != 0 =>
                {
                    let address = self.config.edge.listen.to_string();
                    let url = health::listener(Some(&address));
                    let url = match &self.config.edge.tls {
                        Some(_) => url.replacen("http://", "https://", 1),
                        None => url,
                    };
                    hook(&url, slug)
                }
                Err(failure) if failure.exit == Exit::Missing => {
                    let name = &self.webhook.name;
                    let stop = format!("the running gateway has no webhook `{name}`");
                    return Err(Stop::new(Exit::Missing, stop).help(
                        "it runs from another file, or refused this one: its log and `hookgate check` say why",
                    ));
                }
                Err(failure) => return Err(failure.into()),
            },
        };
        let mut url = Url::parse(&text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| usage(self.arguments.to.as_deref().unwrap_or("the listener")))?;
        url.set_fragment(None);
        Ok(url)
    }

    /// The webhook's URL at the running gateway's own listener. One that was just written may need a moment.
    async fn listener(&self, api: &Server) -> Result<String, Failure> {
        let path = ["webhooks", self.webhook.name.as_str()];
        let end = std::time::Instant::now() + RELOAD_PATIENCE;
        loop {
            match api.look(&path, "").await {
                Err(failure)
                    if failure.exit == Exit::Missing && std::time::Instant::now() < end =>
                {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(failure) => return Err(failure),
                Ok(view) => {
                    let url = view.get("local_url").and_then(Value::as_str);
                    let url = url.and_then(|url| Url::parse(url).ok()).ok_or_else(|| {
                        let message = "the gateway does not say where it listens";
                        Failure::new(Exit::Unreachable, message)
                    })?;
                    return Ok(reachable(url));
                }
            }
        }
    }

    /// Refuses to make a signature for a host that is not this machine, unless that is meant.
    pub(super) fn guard(&self, target: &Url) -> Result<(), Stop> {
        if self.arguments.yes || self.arguments.unsigned || self.arguments.dry_run {
            return Ok(());
        }
        let host = target.host_str().unwrap_or_default();
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let here = name == "localhost"
            || name
                .parse::<IpAddr>()
                .is_ok_and(|ip| ip.to_canonical().is_loopback());
        if here {
            return Ok(());
        }
        let message =
            format!("{host} is not this machine: what is signed for it can be used there");
        Err(Stop::new(Exit::Usage, message).help("--yes says that it is meant"))
    }

    /// A request with a delivery key of its own, signed as asked, and the URL to send it to.
    pub(super) fn made(&self, target: &Url, mark: Option<&str>) -> Result<(Request, Url), Stop> {
        let now = Timestamp::now();
        let mut request = self.sample.request.clone();
        self.address(&mut request, target);
        if let KeyRule::Values(keys) = &self.webhook.key {
            freshen(&mut request, keys, now);
        }
        for change in &self.arguments.set {
            request::set(&mut request, change).map_err(|why| Stop::new(Exit::Usage, why))?;
        }
        if !self.arguments.unsigned {
            let options = SignOptions {
                now,
                mark: mark.map(str::to_owned),
                ..self.options.clone()
            };
            let signed = self.webhook.signer.sign(&mut request, &options);
            signed.map_err(|error| self.unsigned(error))?;
        }
        let mut url = target.clone();
        url.set_query((!request.query.is_empty()).then_some(request.query.as_str()));
        Ok((request, url))
    }

    /// The URL of the request is the one that its receiver will take for the one called.
    fn address(&self, request: &mut Request, target: &Url) {
        let mut url = target.clone();
        url.set_query((!request.query.is_empty()).then_some(request.query.as_str()));
        request.query = url.query().unwrap_or_default().to_owned();
        let base = UrlBase {
            webhook: self.webhook.public_url.as_deref(),
            server: self.config.edge.public_url.as_deref(),
            secure: false,
        };
        let public = head::public_url(base, target.path(), &request.path, url.query());
        request.url = public.unwrap_or_else(|| url.to_string());
    }

    fn unsigned(&self, error: SignError) -> Stop {
        let help = match &error {
            SignError::PublicKey(_) => {
                "--unsigned sends it as it is: expect 401. A real delivery, or the sender's own test button, shows whether it verifies"
            }
            SignError::Learned => {
                "`secret` in the file would be used; `hookgate webhooks show NAME` says how it stands with the learned one"
            }
            SignError::Expired => "`hookgate rotate` gives it a new secret",
            SignError::NoTime(_) => "--bad-signature shows that a forged request is refused",
            SignError::AnyAge(_) => {
                "the provider's data set no limit; `verify` with `tolerance` would"
            }
            SignError::Place(_) | SignError::Lacks(_) => {
                "another sample may have it: `hookgate providers NAME` lists them; --request FILE sends your own"
            }
            SignError::Other(_) => "`hookgate check` looks at the secret's form",
        };
        let message = format!("the request cannot be signed: {error}");
        Stop::new(Exit::No, message).help(help)
    }

    /// The variable that holds the secret, as the file names it.
    pub(super) fn variable(&self) -> String {
        let found = crate::cli::toml_file::secret_variable(&self.config.file, &self.webhook.name);
        found.unwrap_or_else(|| "HOOKGATE_SECRET".to_owned())
    }
}

/// A listener on any address is called on loopback.
fn reachable(mut url: Url) -> String {
    let any = url
        .host_str()
        .map(|host| host.trim_start_matches('[').trim_end_matches(']'))
        .and_then(|host| host.parse::<IpAddr>().ok())
        .filter(IpAddr::is_unspecified);
    let loopback = match any {
        Some(IpAddr::V4(_)) => Some(IpAddr::from([127, 0, 0, 1])),
        Some(IpAddr::V6(_)) => Some(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)),
        None => None,
    };
    if let Some(address) = loopback {
        // Only a URL without a host could refuse one.
        url.set_ip_host(address).ok();
    }
    url.to_string()
}
