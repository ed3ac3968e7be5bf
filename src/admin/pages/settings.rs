//! `/settings`: what runs and where it is written, tokens, storage, version. Read-only but for tokens and a reload.

use super::Ask;
use super::form::see_other;
use super::show::{age, cut, moment, row_time, size, span, thousands};
use crate::admin::actor::Actor;
use crate::admin::api::{block, segment, tokens};
use crate::admin::problem::ApiError;
use crate::config::{Config, Finding, Severity, Written};
use crate::feed::Paging;
use crate::query::Query;
use crate::state::{Scope, TokenRow};
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;

const TABS: [(&str, &str); 4] = [
    ("config", "Running configuration"),
    ("tokens", "Tokens"),
    ("storage", "Storage"),
    ("about", "About"),
];
/// Values, findings and files that are shown.
const VALUES_SHOWN: usize = 2_000;
const FINDINGS_SHOWN: usize = 20;
const FILES_SHOWN: usize = 50;
const RELOADS_SHOWN: usize = 5;

#[derive(Debug, Default, Serialize)]
struct SettingsPage {
    tab: &'static str,
    tabs: [(&'static str, &'static str); 4],
    file: String,
    since: String,
    values: Vec<Value>,
    values_more: usize,
    /// Of the last reading.
    report: Report,
    changes: Vec<Change>,
    reloads: Vec<Reload>,
    tokens: Vec<Token>,
    scopes: Vec<&'static str>,
    /// A token that was just made, and its name: shown this once.
    made: Option<(String, String)>,
    has_admin_token: bool,
    is_open: bool,
    storage: Vec<(&'static str, String)>,
    files: Vec<(String, String)>,
    about: Vec<(&'static str, String)>,
}

#[derive(Debug, Serialize)]
struct Value {
    key: String,
    value: String,
    /// Its line; none: a default.
    line: Option<u32>,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    ok: bool,
    at: String,
    at_full: String,
    findings: Vec<FindingPart>,
    more: usize,
}

#[derive(Debug, Serialize)]
struct FindingPart {
    is_error: bool,
    code: String,
    message: String,
    help: Option<String>,
    place: Option<PlacePart>,
}

#[derive(Debug, Serialize)]
struct PlacePart {
    file: String,
    line: u32,
    source: String,
}

/// What the file on disk says otherwise than what runs.
#[derive(Debug, Serialize)]
struct Change {
    key: String,
    runs: Option<String>,
    written: Option<String>,
}

#[derive(Debug, Serialize)]
struct Reload {
    state: &'static str,
    at: String,
    at_full: String,
    event: String,
}

#[derive(Debug, Serialize)]
struct Token {
    id: String,
    name: String,
    scopes: String,
    created: String,
    last_used: Option<String>,
    expires: Option<String>,
    is_over: bool,
}

/// `GET /settings`.
pub(super) async fn page(ask: Ask) -> Result<HttpResponse, ApiError> {
    let parameters = ask.parameters(&["tab"])?;
    let asked = parameters.get("tab").unwrap_or("config");
    let tab = TABS.iter().find(|(name, _)| *name == asked);
    let tab = tab.map_or("config", |(name, _)| *name);
    ask.answer("settings.html", "settings", move |ask| {
        gather(ask, tab, None)
    })
    .await
}

fn gather(
    ask: &Ask,
    tab: &'static str,
    made: Option<(String, String)>,
) -> Result<SettingsPage, ApiError> {
    let (config, now) = (ask.config(), Timestamp::now());
    let base = SettingsPage {
        tab,
        tabs: TABS,
        file: config.file.display().to_string(),
        since: moment(ask.admin.config.since()),
        made,
        ..SettingsPage::default()
    };
    Ok(match tab {
        "tokens" => SettingsPage {
            tokens: ask
                .admin
                .access
                .all()
                .iter()
                .map(|row| token(row, now))
                .collect(),
            scopes: Scope::ALL.map(Scope::as_str).to_vec(),
            has_admin_token: config.admin.token.is_some(),
            is_open: config.admin.token.is_none() && !ask.admin.access.has_admin(),
            ..base
        },
        "storage" => SettingsPage {
            storage: storage(ask, &config, now),
            files: files(&config),
            ..base
        },
        "about" => SettingsPage {
            about: about(&config),
            ..base
        },
        _ => {
            let (values, values_more) = values(&config);
            SettingsPage {
                values,
                values_more,
                report: report(ask, now),
                changes: changes(&config, &ask.admin.config.on_disk()),
                reloads: reloads(ask, now)?,
                ..base
            }
        }
    })
}

/// What is written, and the defaults of what is asked for most.
fn values(config: &Config) -> (Vec<Value>, usize) {
    let lasts = |lasts| span(SignedDuration::try_from(lasts).unwrap_or(SignedDuration::MAX));
    let defaults = [
        ("server.listen", config.edge.listen.to_string()),
        ("server.admin", config.admin.listen.to_string()),
        ("server.max_body", size(config.edge.max_body as u64)),
        ("store.path", config.store.path.display().to_string()),
        ("store.retention", lasts(config.store.retention)),
        ("store.requests", lasts(config.store.requests)),
        ("store.dedup", lasts(config.store.dedup)),
    ];
    let is_written = |key: &str| config.outline.iter().any(|value| value.key == key);
    let defaults = defaults.into_iter().filter(|(key, _)| !is_written(key));
    let written = config.outline.iter().take(VALUES_SHOWN).map(|value| Value {
        key: value.key.clone(),
        value: value.value.clone(),
        line: Some(value.line),
    });
    let defaults = defaults.map(|(key, value)| Value {
        key: key.to_owned(),
        value,
        line: None,
    });
    let more = config.outline.len().saturating_sub(VALUES_SHOWN);
    (written.chain(defaults).collect(), more)
}

fn report(ask: &Ask, now: Timestamp) -> Report {
    let report = ask.admin.config.last();
    let mut findings = report.findings;
    findings.sort_by_key(|finding| finding.severity != Severity::Error);
    Report {
        ok: report.ok,
        at: format!("{} ago", age(report.time, now)),
        at_full: moment(report.time),
        more: findings.len().saturating_sub(FINDINGS_SHOWN),
        findings: findings.iter().take(FINDINGS_SHOWN).map(finding).collect(),
    }
}

fn finding(finding: &Finding) -> FindingPart {
    let problem = &finding.problem;
    FindingPart {
        is_error: finding.severity == Severity::Error,
        code: problem.code.to_string(),
        message: cut(&problem.message, 2_000),
        help: problem.help.clone(),
        place: problem.place.as_ref().map(|place| PlacePart {
            file: place.file.clone(),
            line: place.line,
            source: cut(place.source.as_deref().unwrap_or(""), 1_000),
        }),
    }
}

/// By key: what runs, and what is written now.
fn changes(running: &Config, disk: &[Written]) -> Vec<Change> {
    if disk.is_empty() {
        return Vec::new();
    }
    let mut both: BTreeMap<&str, (Option<&str>, Option<&str>)> = BTreeMap::new();
    for value in &running.outline {
        both.entry(&value.key).or_default().0 = Some(&value.value);
    }
    for value in disk {
        both.entry(&value.key).or_default().1 = Some(&value.value);
    }
    let differ = both
        .into_iter()
        .filter(|(_, (runs, written))| runs != written);
    let changes = differ
        .take(FINDINGS_SHOWN * 5)
        .map(|(key, (runs, written))| Change {
            key: key.to_owned(),
            runs: runs.map(str::to_owned),
            written: written.map(str::to_owned),
        });
    changes.collect()
}

fn reloads(ask: &Ask, now: Timestamp) -> Result<Vec<Reload>, ApiError> {
    let query = Query::parse("event:hookgate.config.*", now);
    let query = query.map_err(|error| ApiError::query("q", error))?;
    let paging = Paging {
        limit: RELOADS_SHOWN,
        after: None,
        ascending: false,
    };
    let found = ask.admin.feed.events(&query, paging)?;
    let reloads = found.rows.iter().map(|row| Reload {
        state: if row.event.event.ends_with(".refused") {
            "refused"
        } else {
            "ok"
        },
        at: row_time(row.received, now),
        at_full: moment(row.received),
        event: row.event.id.to_string(),
    });
    Ok(reloads.collect())
}

fn token(row: &TokenRow, now: Timestamp) -> Token {
    let scopes: Vec<&str> = row.scopes.iter().map(|scope| scope.as_str()).collect();
    Token {
        id: row.id.clone(),
        name: row.name.clone(),
        scopes: scopes.join(", "),
        created: moment(row.created),
        last_used: row.last_used.map(|at| format!("{} ago", age(at, now))),
        expires: row.expires.map(moment),
        is_over: row.is_over(now),
    }
}

fn storage(ask: &Ask, config: &Config, now: Timestamp) -> Vec<(&'static str, String)> {
    let stats = ask.admin.log.stats();
    let lasts = |lasts| span(SignedDuration::try_from(lasts).unwrap_or(SignedDuration::MAX));
    let oldest = stats.oldest_received.map_or_else(
        || "nothing yet".to_owned(),
        |at| format!("{}, {} ago", moment(at), age(at, now)),
    );
    let limit = config.store.max_size.map_or("none".to_owned(), size);
    let indexed = ask.admin.feed.indexed_to();
    vec![
        ("folder", config.store.path.display().to_string()),
        (
            "log",
            format!(
                "{}, {} to {}",
                size(stats.bytes),
                thousands(stats.oldest),
                thousands(stats.head)
            ),
        ),
        ("oldest", oldest),
        (
            "can be written",
            if stats.writable { "yes" } else { "no" }.to_owned(),
        ),
        ("waiting to be written", thousands(stats.queued as u64)),
        ("searchable up to", thousands(indexed)),
        ("retention", lasts(config.store.retention)),
        ("requests are kept", lasts(config.store.requests)),
        ("keys are remembered", lasts(config.store.dedup)),
        ("limit of size", limit),
    ]
}

/// The store's files and their sizes.
fn files(config: &Config) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(&config.store.path)
        .into_iter()
        .flatten()
        .flatten();
    let files = entries.filter_map(|entry| {
        let metadata = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
        Some((
            entry.file_name().to_string_lossy().into_owned(),
            size(metadata.len()),
        ))
    });
    let mut files: Vec<_> = files.take(FILES_SHOWN).collect();
    files.sort();
    files
}

fn about(config: &Config) -> Vec<(&'static str, String)> {
    vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("licence", env!("CARGO_PKG_LICENSE").to_owned()),
        ("configuration", config.file.display().to_string()),
        ("its SHA-256", config.hash.clone()),
        ("webhooks", thousands(config.webhooks.len() as u64)),
        ("sinks", thousands(config.sinks.len() as u64)),
    ]
}

/// `POST /settings/tokens`: makes a token, and shows it this once.
pub(super) async fn create(
    ask: Ask,
    actor: Actor,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let form = ask.form(&request, payload).await?;
    let name = form.get("name").unwrap_or("").trim().to_owned();
    let scopes = form.all("scope");
    let made = tokens::make(&ask.admin, &actor, name, &scopes, form.get("expires_in")).await;
    let (row, token) = made?;
    let made = (token.expose().to_owned(), row.name);
    ask.answer("settings.html", "settings", move |ask| {
        gather(ask, "tokens", Some(made))
    })
    .await
}

/// `POST /settings/tokens/{id}/revoke`.
pub(super) async fn revoke(
    ask: Ask,
    actor: Actor,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    ask.form(&request, payload).await?;
    tokens::end_now(&ask.admin, &actor, segment(&request, "id")).await?;
    Ok(see_other("/settings?tab=tokens"))
}

/// `POST /settings/reload`: reads the file again; what is wrong with it is on the page.
pub(super) async fn reload(
    ask: Ask,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    ask.form(&request, payload).await?;
    let admin = std::sync::Arc::clone(&ask.admin);
    block(move || Ok((admin.reload)())).await?;
    Ok(see_other("/settings"))
}
