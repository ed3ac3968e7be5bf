//! `webhooks.toml` to checked, compiled routes. All errors of a file at once, each with file, line,
//! column, and what to do; a file with one error is refused whole.

mod dev;
mod document;
mod expectations;
pub mod findings;
mod handshakes;
mod mask;
mod outline;
pub mod reload;
mod scalars;
pub mod schema;
mod scheme_words;
mod secrets;
mod server;
mod sinks;
mod store;
mod subscriptions;
mod table;
mod translation;
mod value;
mod verify;
mod views;
mod webhooks;

pub(crate) use document::nearest;
pub use outline::Written;
pub use reload::ConfigHandle;
pub use scalars::{parse_duration, parse_size};
pub(crate) use secrets::{read_bytes, read_text};
pub(crate) use server::EXPOSED_HELP;
pub(crate) use verify::secret_variable;
pub use views::SavedView;

use crate::codes;
use crate::forward::SinkSettings;
use crate::intake::EdgeSettings;
use crate::log::StoreSettings;
use crate::model::trace::TraceRule;
use crate::model::{Problem, Secret, Slug, http_file::Masking};
use crate::providers::{Handshake, ProviderAnswer};
use crate::translate::{Expression, Template, Translator};
use crate::verify::{KeySource, Signer, ValueSpec, Verifier};
use ipnet::IpNet;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A whole compiled configuration. Swapped as one.
#[derive(Debug)]
pub struct Config {
    /// Absolute path of `webhooks.toml`.
    pub file: PathBuf,
    /// SHA-256 of the file's text, lower-case hex.
    pub hash: String,
    /// Public listener.
    pub edge: EdgeSettings,
    /// Admin listener.
    pub admin: AdminSettings,
    /// Store.
    pub store: StoreSettings,
    /// `auto`, `json`, `text`.
    pub log_format: LogFormat,
    /// Sinks in file order.
    pub sinks: Vec<SinkSettings>,
    /// Webhooks in file order, disabled ones included.
    pub webhooks: Vec<Arc<Webhook>>,
    /// Enabled webhooks by slug.
    pub routes: HashMap<Slug, Arc<Webhook>>,
    /// Saved searches in file order.
    pub views: Vec<SavedView>,
    /// What stands in the file, value by value, with credentials masked.
    pub outline: Vec<Written>,
    /// Every file that was read: what a reload watches.
    pub files: Vec<PathBuf>,
}

impl Config {
    /// Where its webhooks' keys are fetched from, as far as known before a request comes.
    #[must_use]
    pub fn key_sources(&self) -> Vec<KeySource> {
        let webhooks = self.webhooks.iter().filter(|webhook| webhook.enabled);
        webhooks
            .flat_map(|webhook| webhook.verifier.key_sources())
            .cloned()
            .collect()
    }

    /// Whether the file has not a single byte.
    fn is_of_nothing(&self) -> bool {
        self.hash == hex::encode(Sha256::digest(b""))
    }
}

/// Settings of the admin listener.
#[derive(Debug, Clone)]
pub struct AdminSettings {
    /// Where it listens.
    pub listen: std::net::SocketAddr,
    /// Bearer token with all scopes.
    pub token: Option<Secret>,
    /// Host names it answers to, beside IP literals and `localhost`.
    pub hosts: Vec<String>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// JSON unless stderr is a terminal.
    Auto,
    /// One JSON object a line.
    Json,
    /// Aligned text.
    Text,
}

/// One compiled webhook.
#[derive(Debug)]
pub struct Webhook {
    /// Name: in ids, metrics, records.
    pub name: String,
    /// Slug.
    pub slug: Slug,
    /// Slugs that it had, each taken until its time comes.
    pub old_slugs: Vec<OldSlug>,
    /// Shown on its page.
    pub description: Option<String>,
    /// Name of its provider.
    pub provider: Option<String>,
    /// Who may call.
    pub verifier: Verifier,
    /// Makes what the verifier takes, for requests of our own.
    pub signer: Signer,
    /// Handshakes, tried in order.
    pub handshakes: Vec<Handshake>,
    /// Secrets for handshakes that compute with them.
    pub secrets: Vec<Secret>,
    /// What must not be kept or shown of its requests.
    pub masking: Masking,
    /// Methods, upper case.
    pub methods: Vec<String>,
    /// Whether `/hooks/<slug>/more` is taken too.
    pub subpaths: bool,
    /// URL as registered at the sender, without query.
    pub public_url: Option<String>,
    /// Bytes of a body; at most the server's.
    pub max_body: usize,
    /// Addresses that may call; empty: all.
    pub allow: Vec<IpNet>,
    /// Requests a second.
    pub rate: Option<RateSettings>,
    /// False: ignored.
    pub when: Option<Expression>,
    /// How requests become events.
    pub translator: Translator,
    /// Whether a value that the request has not parks the delivery.
    pub undefined_fails: bool,
    /// How the delivery key is found.
    pub key: KeyRule,
    /// Answer on success.
    pub response: Response,
    /// Whether a 401 has no body.
    pub bare_refusals: bool,
    /// Whether a parked delivery is answered with 2xx.
    pub accept_parked: bool,
    /// Whether an event without payload gets the request.
    pub default_payload: bool,
    /// What is done with the place in a trace that a request brings.
    pub trace: TraceRule,
    /// False: 404.
    pub enabled: bool,
    /// Its tests, for `check`.
    pub tests: Vec<WebhookTest>,
    /// Where it stands in the file (line of `[[webhook]]`); 0: it is not in the file, but built in.
    pub line: u32,
}

/// A slug that a webhook had.
#[derive(Debug, Clone)]
pub struct OldSlug {
    /// The slug.
    pub slug: Slug,
    /// From then on it leads nowhere.
    pub until: jiff::Timestamp,
}

/// `rate` of a webhook.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateSettings {
    /// Requests a second in the long run.
    pub per_second: f64,
    /// Requests at once.
    pub burst: u32,
}

/// How the delivery key is found.
#[derive(Debug)]
pub enum KeyRule {
    /// Never a duplicate.
    None,
    /// The first of these values that is present.
    Values(Vec<ValueSpec>),
    /// The value of an expression; a list as long as the events gives each its own.
    Expression(Expression),
}

/// The answer to the sender on success.
#[derive(Debug)]
pub enum Response {
    /// 204, nothing else.
    NoContent,
    /// As the provider wants it.
    Provider(ProviderAnswer),
    /// As the webhook says.
    Own {
        /// Status, 2xx.
        status: u16,
        /// Content type.
        content_type: Option<String>,
        /// Body.
        body: Option<Box<Template>>,
    },
}

/// `[[webhook.test]]`.
#[derive(Debug, Clone)]
pub struct WebhookTest {
    /// Name.
    pub name: String,
    /// `.http` file, relative to the configuration's folder.
    pub request: PathBuf,
    /// Partial events; empty: ignored. None: nothing is said about events.
    pub expect: Option<Vec<serde_json::Value>>,
    /// Code of the error that must come.
    pub expect_error: Option<crate::codes::Code>,
    /// Whether the signature is checked too.
    pub verify: bool,
    /// Line of `[[webhook.test]]`.
    pub line: u32,
}

/// What stands above the file: flags and `HOOKGATE_*`.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `HOOKGATE_LISTEN`.
    pub listen: Option<String>,
    /// `HOOKGATE_ADMIN`.
    pub admin: Option<String>,
    /// `HOOKGATE_STORE_PATH`, relative to the working directory.
    pub store_path: Option<PathBuf>,
    /// Secrets are not read (`check --no-secrets`): a placeholder stands for each.
    pub no_secrets: bool,
    /// Only this webhook's secrets are read: whoever works with one need not have those of all.
    pub secrets_of: Option<String>,
    /// `dev`: the file may be missing, and a webhook `try` that accepts anything is there without being written.
    pub dev: bool,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// Worth a look.
    Warning,
}

/// One finding about a file.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Code, message, place, help.
    #[serde(flatten)]
    pub problem: Problem,
    /// The webhook it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
}

/// What loading gave.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration; none when there was an error.
    pub config: Option<Config>,
    /// Errors and warnings in file order.
    pub findings: Vec<Finding>,
    /// How many secrets were read.
    pub secrets: usize,
    /// Every file that was read or looked for, those that could not be read included.
    pub files: Vec<PathBuf>,
}

/// Bytes of `webhooks.toml`: a thousand webhooks with long inline templates are 5 MB.
pub(crate) const CONFIG_FILE_BYTES_MAX: u64 = 16 << 20;

impl Overrides {
    /// What `HOOKGATE_LISTEN`, `HOOKGATE_ADMIN` and `HOOKGATE_STORE_PATH` say; empty ones say nothing.
    #[must_use]
    pub fn from_env() -> Self {
        let text = |name| {
            std::env::var(name)
                .ok()
                .filter(|text| !text.trim().is_empty())
        };
        Self {
            listen: text("HOOKGATE_LISTEN"),
            admin: text("HOOKGATE_ADMIN"),
            store_path: text("HOOKGATE_STORE_PATH").map(PathBuf::from),
            no_secrets: false,
            secrets_of: None,
            dev: false,
        }
    }
}

impl Loaded {
    /// Whether the file was refused.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|f| f.severity == Severity::Error)
    }
}

/// Reads and compiles a file. Reads secrets, templates and provider overrides too.
#[must_use]
pub fn load(file: &Path, overrides: &Overrides) -> Loaded {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
    match secrets::read_text(&file, CONFIG_FILE_BYTES_MAX) {
        Ok(text) => compile(&file, text, None, overrides),
        Err(_) if overrides.dev && !file.exists() => compile(&file, String::new(), None, overrides),
        Err(why) => compile(&file, String::new(), Some(why), overrides),
    }
}

/// Compiles a text as if it were the file's: what a command is about to write.
#[must_use]
pub fn load_text(file: &Path, text: String, overrides: &Overrides) -> Loaded {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
    compile(&file, text, None, overrides)
}

fn compile(file: &Path, text: String, unreadable: Option<String>, overrides: &Overrides) -> Loaded {
    let cx = document::Context::new(file, text.clone(), overrides);
    let config = match unreadable {
        Some(why) => {
            let message = format!("{} cannot be read: {why}", file.display());
            let help = "write one: `hookgate explain HG0101` shows the smallest; or name another with -c FILE or HOOKGATE_CONFIG";
            cx.report(
                Severity::Error,
                Problem::new(codes::FILE_UNREADABLE, message).help(help),
            );
            None
        }
        None => read(&cx, file, &text, overrides),
    };
    let (findings, files, secrets) = cx.finish();
    let refused = findings.iter().any(|f| f.severity == Severity::Error);
    Loaded {
        config: config.filter(|_| !refused).map(|config| Config {
            files: files.clone(),
            ..config
        }),
        findings,
        secrets,
        files,
    }
}

fn read(cx: &document::Context, file: &Path, text: &str, over: &Overrides) -> Option<Config> {
    let root = cx.parse(text)?;
    let table = table::Table::new(cx, String::new(), root.get_ref(), root.span());
    let named = |key: &'static str| {
        let mut value = table.get(key)?;
        value.name = key.to_owned();
        Some(value)
    };
    let server = server::read(cx, named("server").as_ref(), over);
    let store = store::read(cx, named("store").as_ref(), over, server.queue);
    let sinks = sinks::read_all(cx, named("sink").as_ref(), jiff::Timestamp::now());
    let mut webhooks = webhooks::read_all(cx, named("webhook").as_ref(), server.edge.max_body);
    if over.dev {
        dev::add(file, &mut webhooks);
    }
    let views = views::read_all(cx, named("view").as_ref(), jiff::Timestamp::now());
    for key in ["emitter", "automation"] {
        table.not_yet(key);
    }
    table.finish();
    let enabled = webhooks.iter().filter(|webhook| webhook.enabled);
    Some(Config {
        file: file.to_path_buf(),
        hash: hex::encode(Sha256::digest(text.as_bytes())),
        edge: server.edge,
        admin: server.admin,
        store,
        log_format: server.log_format,
        sinks,
        routes: enabled
            .map(|webhook| (webhook.slug.clone(), Arc::clone(webhook)))
            .collect(),
        webhooks,
        views,
        outline: outline::of(cx, root.get_ref()),
        files: Vec::new(),
    })
}

/// A webhook that is in no file: it accepts anyone and has only a way to translate. For `render`.
pub(crate) fn bare_webhook(name: &str, translator: Translator) -> Option<Webhook> {
    Some(Webhook {
        name: name.to_owned(),
        slug: Slug::parse(name).ok()?,
        old_slugs: Vec::new(),
        description: None,
        provider: None,
        verifier: Verifier::open(),
        signer: Signer::open(),
        handshakes: Vec::new(),
        secrets: Vec::new(),
        masking: Masking::default(),
        methods: webhooks::METHODS.map(str::to_owned).to_vec(),
        subpaths: false,
        public_url: None,
        max_body: crate::model::limits::BODY_BYTES_DEFAULT,
        allow: Vec::new(),
        rate: None,
        when: None,
        translator,
        undefined_fails: false,
        key: KeyRule::None,
        response: Response::NoContent,
        bare_refusals: false,
        accept_parked: false,
        default_payload: true,
        trace: TraceRule::default(),
        enabled: true,
        tests: Vec::new(),
        line: 1,
    })
}

/// A problem that has no place in the file, such as a variable's.
fn report_plain(cx: &document::Context, code: crate::codes::Code, message: String) {
    cx.report(Severity::Error, Problem::new(code, message));
}

#[cfg(test)]
mod tests;
