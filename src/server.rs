//! Composition: opens the stores, starts threads and listeners, and stops them in order.
//!
//! Order of a stop: readiness fails; after a short grace (so that a load balancer can see it) the listeners close and
//! requests under way are finished and committed; sinks stop; the log writes what is queued and closes.

mod audit;

use crate::admin::{self, Access, Admin, Readiness};
use crate::codes::Code;
use crate::config::reload::{ConfigHandle, ReloadReport, Watcher};
use crate::config::{Config, Finding, LogFormat, Overrides, Severity};
use crate::feed::{self, Feed, FeedError};
use crate::forward::Forwarders;
use crate::gateway::{self, Alarms, Gateway, Observer, Routes};
use crate::intake::budget::Budget;
use crate::intake::listener::ListenerSettings;
use crate::intake::rate::RateLimiters;
use crate::intake::tls::{Certificate, TlsError};
use crate::keyring::Keyring;
use crate::learn::{LearnError, Learner};
use crate::log::{self, EventLog, OpenError};
use crate::model::{Position, limits};
use crate::query::SinkView;
use crate::state::{SecretStore, State, Vault};
use crate::telemetry::logs::{self, LineFormat, LogSetupError};
use crate::telemetry::{DeliveryLog, Metrics};
use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpServer, web};
use arc_swap::ArcSwap;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::Notify;

/// Dead letters of a sink that a search sees, and how many are read at once.
const DEAD_PLACES_MAX: usize = 20_000;
const DEAD_PAGE: usize = 500;
/// Share of the shutdown time that readiness fails before the listeners close.
const GRACE_DIVISOR: u32 = 20;

/// How often a summary of deliveries is due at most.
const SUMMARY_EVERY: Duration = Duration::from_secs(1);

/// What `serve` is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// `webhooks.toml`.
    pub file: PathBuf,
    /// What stands above it.
    pub overrides: Overrides,
    /// `HOOKGATE_LOG`.
    pub log_filter: Option<String>,
    /// `dev`: sees what the gateway does. What is found in the configuration is its to say, then.
    pub observer: Option<Arc<dyn Observer>>,
    /// `dev`: a folder that templates and assets of the pages are read from at every request.
    pub ui_dir: Option<PathBuf>,
}

/// Where the listeners are bound.
#[derive(Debug, Clone)]
pub struct Bound {
    /// Such as `http://127.0.0.1:8080`.
    pub public: String,
    /// Such as `http://127.0.0.1:8081`.
    pub admin: String,
}

/// Why the gateway does not start or did not stop as it should.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The file is not valid.
    #[error("the configuration is not valid")]
    Config(Vec<Finding>),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// A webhook's learned secret cannot be opened.
    #[error("the learned secret of the webhook `{webhook}` cannot be had: {error}")]
    Learned {
        /// Its name.
        webhook: String,
        /// Why.
        error: LearnError,
    },
    /// The tokens in the store cannot be read.
    #[error(transparent)]
    State(#[from] crate::state::StateError),
    /// The admin listener is off loopback, and there is no token.
    #[error("the admin listener {address} is reachable from elsewhere, and there is no token: {help}", help = crate::config::EXPOSED_HELP)]
    Exposed {
        /// Where it would listen.
        address: SocketAddr,
    },
    /// The feed cannot be made.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// A listener cannot be bound.
    #[error("{key} = \"{address}\" cannot be bound: {reason}")]
    Listen {
        /// `listen` or `admin`.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        reason: std::io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The log on stderr cannot be set up.
    #[error(transparent)]
    Log(#[from] LogSetupError),
    /// Threads or signals cannot be set up.
    #[error("the process cannot be set up: {0}")]
    Process(#[from] std::io::Error),
}

impl ServeError {
    /// Its code, where it has one.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Store(error) => Some(error.code()),
            Self::Learned { error, .. } => Some(error.code()),
            Self::Exposed { .. } => Some(crate::codes::ADMIN_EXPOSED),
            Self::Config(_)
            | Self::State(_)
            | Self::Feed(_)
            | Self::Listen { .. }
            | Self::Tls(_)
            | Self::Log(_)
            | Self::Process(_) => None,
        }
    }
}

/// Runs until SIGTERM or SIGINT; `ready` is called once both listeners are bound.
///
/// # Errors
/// Why it does not start. Once it runs, nothing ends it but a signal.
pub fn run(options: &Options, ready: impl FnOnce(&Bound)) -> Result<(), ServeError> {
    let loaded = crate::config::load(&options.file, &options.overrides);
    let Some(config) = loaded.config else {
        return Err(ServeError::Config(loaded.findings));
    };
    // Dropped last: waits until the last lines are written.
    let _lines = logs::init(
        line_format(config.log_format),
        options.log_filter.as_deref(),
    )?;
    if options.observer.is_none() {
        tell(&loaded.findings);
    }
    // Only the first call in a process can set it; it is the same for all.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let handle = ConfigHandle::new(config, loaded.findings, options.overrides.clone());
    let system = actix_web::rt::System::new();
    let done = system.block_on(serve(Arc::new(handle), options, ready));
    // Dropping it would wait for every call that blocks, and a write to a pipe that nobody reads never ends. All
    // that must be on disk is; the process ends next.
    std::mem::forget(system);
    done
}

fn line_format(format: LogFormat) -> LineFormat {
    match format {
        LogFormat::Json => LineFormat::Json,
        LogFormat::Text => LineFormat::Text,
        LogFormat::Auto if std::io::stderr().is_terminal() => LineFormat::Text,
        LogFormat::Auto => LineFormat::Json,
    }
}

/// Everything that lives as long as the process.
struct Parts {
    handle: Arc<ConfigHandle>,
    log: Arc<dyn EventLog>,
    state: Arc<dyn State>,
    learner: Arc<Learner>,
    access: Arc<Access>,
    feed: Arc<dyn Feed>,
    forwarders: Arc<Forwarders>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    gateway: web::Data<Gateway>,
    rates: RateLimiters,
    certificate: Option<Arc<Certificate>>,
    sinks_changed: Notify,
    ui_dir: Option<PathBuf>,
}

impl Parts {
    fn open(handle: Arc<ConfigHandle>, options: &Options) -> Result<Self, ServeError> {
        let config = handle.current();
        let metrics = Arc::new(Metrics::new());
        let certificate = config
            .edge
            .tls
            .as_ref()
            .map(Certificate::load)
            .transpose()?;
        let (log, state) = log::open(&config.store, &metrics)?;
        let access = Access::load(Arc::clone(&state))?;
        let address = config.admin.listen;
        if !address.ip().is_loopback() && config.admin.token.is_none() && !access.has_any() {
            return Err(ServeError::Exposed { address });
        }
        let secrets: Arc<dyn SecretStore> = Arc::clone(&state) as _;
        let vault = Vault::new(&config.store.path);
        let learner = Learner::new(secrets, vault, Arc::clone(&log), Arc::clone(&metrics));
        let learner = Arc::new(learner);
        if let Some((webhook, error)) = learner.apply(&config, Timestamp::now()).pop() {
            return Err(ServeError::Learned { webhook, error });
        }
        let feed = feed::open(&config.store.path, Arc::clone(&log))?;
        let forwarders = Arc::new(Forwarders::new(
            Arc::clone(&log),
            Arc::clone(&state),
            Arc::clone(&metrics),
        ));
        feed.set_sinks(sinks_now(&forwarders, &state, &handle));
        let floor = Arc::downgrade(&forwarders);
        log.set_retention_floor(Arc::new(move || {
            floor.upgrade().and_then(|sinks| sinks.retention_floor())
        }));
        let rates = RateLimiters::default();
        let keyring = Arc::new(Keyring::new(Arc::clone(&metrics)));
        keyring.configure(config.key_sources());
        let gateway = web::Data::new(Gateway {
            keyring,
            routes: ArcSwap::from_pointee(Routes::new(config, &rates, &metrics)),
            log: Arc::clone(&log),
            feed: Arc::clone(&feed),
            learner: Arc::clone(&learner),
            metrics: Arc::clone(&metrics),
            budget: Budget::new(limits::BODIES_IN_FLIGHT_BYTES),
            lines: DeliveryLog::default(),
            alarms: Alarms::default(),
            draining: AtomicBool::new(false),
            observer: options.observer.clone(),
        });
        let readiness = Arc::new(Readiness::default());
        let sinks_changed = Notify::new();
        Ok(Self {
            handle,
            log,
            state,
            learner,
            access: Arc::new(access),
            feed,
            forwarders,
            metrics,
            readiness,
            gateway,
            rates,
            certificate,
            sinks_changed,
            ui_dir: options.ui_dir.clone(),
        })
    }

    /// Takes what the handle holds now: routes, certificate, figures. Blocks.
    fn take(&self, findings: &[Finding], ok: bool) {
        if self.gateway.observer.is_none() {
            tell(findings);
        }
        self.record(findings, ok);
        if !ok {
            tracing::error!("the changed configuration was refused, the running one stays");
            return;
        }
        let config = self.handle.current();
        self.gateway.keyring.configure(config.key_sources());
        if let (Some(certificate), Some(settings)) = (&self.certificate, &config.edge.tls)
            && let Err(error) = certificate.reload(settings)
        {
            tracing::error!(%error, "the changed certificate was refused, the old one stays in use");
        }
        for (webhook, error) in self.learner.apply(&config, Timestamp::now()) {
            tracing::error!(code = %error.code(), webhook, %error, "the learned secret cannot be had: nothing is verified");
        }
        self.gateway.routes.store(Arc::new(Routes::new(
            Arc::clone(&config),
            &self.rates,
            &self.metrics,
        )));
        tracing::info!(
            webhooks = config.webhooks.len(),
            sinks = config.sinks.len(),
            "the configuration was taken"
        );
    }
}

impl Parts {
    /// Reads the configuration again and takes it, or keeps the running one. Blocks.
    fn reload(&self) -> ReloadReport {
        let report = self.handle.reload();
        self.take(&report.findings, report.ok);
        self.observe(&report);
        self.sinks_changed.notify_one();
        report
    }

    /// Shows what was found in the configuration to who watches.
    fn observe(&self, report: &ReloadReport) {
        if let Some(observer) = &self.gateway.observer {
            observer.configured(report);
        }
    }

    /// Keeps a reload in the log, as hookgate's own event. The running configuration does not wait for it, and
    /// stands where the log cannot take it.
    fn record(&self, findings: &[Finding], ok: bool) {
        let event = audit::reload(&self.handle.current(), findings, ok);
        if let Err(error) = self.log.append(event) {
            tracing::warn!(code = %error.code(), %error, "the reload is not recorded as an event");
        }
    }
}

fn tell(findings: &[Finding]) {
    for finding in findings {
        let problem = &finding.problem;
        let place = problem
            .place
            .as_ref()
            .map(|place| format!("{}:{}:{}", place.file, place.line, place.column));
        let place = place.unwrap_or_default();
        match finding.severity {
            Severity::Error => tracing::error!(code = %problem.code, place, "{}", problem.message),
            Severity::Warning => tracing::warn!(code = %problem.code, place, "{}", problem.message),
        }
    }
}

async fn serve(
    handle: Arc<ConfigHandle>,
    options: &Options,
    ready: impl FnOnce(&Bound),
) -> Result<(), ServeError> {
    let mut signals = Signals::new()?;
    let parts = Arc::new(Parts::open(handle, options)?);
    let config = parts.handle.current();
    let (public, public_url) = public_listener(&parts, &config)?;
    let (admin, admin_url) = admin_listener(&parts, &config, &public_url)?;
    let (public_handle, admin_handle) = (public.handle(), admin.handle());
    // Before anything can be accepted: a new sink takes what comes from now on.
    parts.forwarders.apply(&config.sinks).await;
    let listeners = [actix_web::rt::spawn(public), actix_web::rt::spawn(admin)];
    let sinks = actix_web::rt::spawn(follow_sinks(Arc::clone(&parts)));
    let lines = actix_web::rt::spawn(say_summaries(parts.gateway.clone()));
    let keys = actix_web::rt::spawn(Arc::clone(&parts.gateway.keyring).run());
    let watched = Arc::clone(&parts);
    let changed = Arc::clone(&parts);
    let watcher = Watcher::start(
        move || watched.handle.files(),
        move || drop(changed.reload()),
    )?;
    ready(&Bound {
        public: public_url,
        admin: admin_url,
    });
    parts.observe(&parts.handle.last());
    tracing::info!(
        webhooks = config.webhooks.len(),
        sinks = config.sinks.len(),
        "hookgate is running"
    );

    while signals.next().await == Signal::Reload {
        let parts = Arc::clone(&parts);
        // Reading files blocks.
        drop(web::block(move || parts.reload()).await);
    }
    let within = config.edge.timeouts.shutdown;
    let stopping = stop(&parts, &public_handle, &admin_handle, within);
    tokio::select! {
        result = tokio::time::timeout(within, stopping) => if result.is_err() {
            tracing::warn!("the stop took too long: what was under way is not answered");
        },
        _ = signals.stop() => tracing::warn!("a second signal: stopped at once"),
    }
    sinks.abort();
    lines.abort();
    keys.abort();
    drop(watcher);
    listeners
        .iter()
        .for_each(actix_web::rt::task::JoinHandle::abort);
    // Commits what is queued; without it the log would do so at the next start.
    parts.log.close();
    parts.feed.close();
    tracing::info!("hookgate has stopped");
    Ok(())
}

/// How far the sinks are, for searches that ask for it.
fn sinks_now(
    forwarders: &Arc<Forwarders>,
    state: &Arc<dyn State>,
    config: &Arc<ConfigHandle>,
) -> feed::SinksNow {
    let (forwarders, state, config) = (
        Arc::downgrade(forwarders),
        Arc::clone(state),
        Arc::clone(config),
    );
    Arc::new(move || {
        let status = forwarders
            .upgrade()
            .map_or_else(Vec::new, |all| all.status());
        let config = config.current();
        let views = status.into_iter().map(|sink| {
            let settings = config.sinks.iter().find(|each| each.name == sink.name);
            SinkView {
                cursor: sink.cursor,
                filter: settings.and_then(|settings| settings.filter.clone()),
                failing: sink.state == "failing",
                dead: dead_places(&*state, &sink.name),
                name: sink.name,
            }
        });
        views.collect()
    })
}

/// Where a sink's dead letters are in the log, the newest of them.
fn dead_places(state: &dyn State, sink: &str) -> BTreeSet<Position> {
    let mut places = BTreeSet::new();
    let mut before = None;
    while places.len() < DEAD_PLACES_MAX {
        let page = state.dead_letters(Some(sink), before, DEAD_PAGE);
        let page = page.unwrap_or_default();
        before = page.last().map(|last| last.id);
        places.extend(page.iter().map(|dead| Position {
            seq: dead.seq,
            index: dead.index,
        }));
        if page.len() < DEAD_PAGE {
            break;
        }
    }
    places
}

/// Readiness fails first, then listeners close and finish what is under way, then sinks.
async fn stop(parts: &Parts, public: &ServerHandle, admin: &ServerHandle, within: Duration) {
    tracing::info!("stopping");
    parts.readiness.drain();
    parts.gateway.draining.store(true, Ordering::Relaxed);
    tokio::time::sleep(within / GRACE_DIVISOR).await;
    public.stop(true).await;
    parts.forwarders.stop(within / 4).await;
    admin.stop(false).await;
}

/// Says the summary of a busy second also when nothing comes after it.
async fn say_summaries(gateway: web::Data<Gateway>) {
    let mut ticks = tokio::time::interval(SUMMARY_EVERY);
    loop {
        ticks.tick().await;
        gateway.lines.tick();
    }
}

/// Lets the sinks' loops follow the configuration.
async fn follow_sinks(parts: Arc<Parts>) {
    loop {
        parts.sinks_changed.notified().await;
        let config = parts.handle.current();
        parts.forwarders.apply(&config.sinks).await;
    }
}

fn public_listener(parts: &Parts, config: &Config) -> Result<(Server, String), ServeError> {
    let settings = ListenerSettings::new(&config.edge.timeouts);
    let gateway = parts.gateway.clone();
    let server = HttpServer::new(move || App::new().configure(gateway::configure(&gateway)))
        .workers(settings.workers)
        .client_request_timeout(settings.head)
        .keep_alive(settings.keep_alive)
        .client_disconnect_timeout(settings.disconnect)
        .tls_handshake_timeout(settings.tls_handshake)
        .max_connections(settings.connections_per_worker)
        .backlog(settings.backlog)
        .shutdown_timeout(settings.shutdown_seconds)
        .disable_signals();
    let address = config.edge.listen;
    let bound = match &parts.certificate {
        Some(certificate) => server.bind_rustls_0_23(address, certificate.server_config()?),
        None => server.bind(address),
    };
    let server = bound.map_err(|reason| ServeError::Listen {
        key: "listen",
        address,
        reason,
    })?;
    let scheme = if parts.certificate.is_some() {
        "https"
    } else {
        "http"
    };
    let url = url_of(scheme, &server.addrs(), address);
    Ok((server.run(), url))
}

fn admin_listener(
    parts: &Arc<Parts>,
    config: &Config,
    public: &str,
) -> Result<(Server, String), ServeError> {
    let reload = Arc::clone(parts);
    let admin = Arc::new(Admin {
        config: Arc::clone(&parts.handle),
        reload: Arc::new(move || reload.reload()),
        log: Arc::clone(&parts.log),
        state: Arc::clone(&parts.state),
        learner: Arc::clone(&parts.learner),
        access: Arc::clone(&parts.access),
        feed: Arc::clone(&parts.feed),
        forwarders: Arc::clone(&parts.forwarders),
        metrics: Arc::clone(&parts.metrics),
        readiness: Arc::clone(&parts.readiness),
        public: public.to_owned(),
        ui_dir: parts.ui_dir.clone(),
    });
    let address = config.admin.listen;
    // Made once: templates are compiled and the forms' token is drawn for all workers.
    let pages_and_api = admin::configure(admin);
    let server = HttpServer::new(move || App::new().configure(pages_and_api.clone()))
        .workers(1)
        .shutdown_timeout(1)
        .disable_signals()
        .bind(address)
        .map_err(|reason| ServeError::Listen {
            key: "admin",
            address,
            reason,
        })?;
    let url = url_of("http", &server.addrs(), address);
    Ok((server.run(), url))
}

fn url_of(scheme: &str, bound: &[SocketAddr], asked: SocketAddr) -> String {
    format!("{scheme}://{}", bound.first().unwrap_or(&asked))
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    Reload,
    Stop,
}

/// SIGXFSZ, the same number on Linux (but for MIPS), macOS and the BSDs.
const FILE_SIZE_EXCEEDED: i32 = 25;

struct Signals {
    hangup: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        // What is listened to no longer kills: a write past the limit of a file's size then fails like one to a full
        // disk, and the log refuses instead of dying in the middle.
        drop(signal(SignalKind::from_raw(FILE_SIZE_EXCEEDED))?);
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.hangup.recv() => Signal::Reload,
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
        }
    }

    async fn stop(&mut self) {
        while self.next().await == Signal::Reload {}
    }
}
