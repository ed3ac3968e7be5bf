//! `/livez`, `/readyz` and `/metrics`.
//!
//! Ready means: the store can be written, a configuration runs, the gateway is not stopping. Sinks are
//! not looked at: intake goes on while they are down. A refused newer configuration is told, not fatal.

use super::{Admin, api, guard::Admitted};
use crate::codes;
use crate::config::reload::ReloadReport;
use crate::config::{Finding, Severity};
use crate::telemetry::Metrics;
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

/// What readiness knows that no store does: whether the gateway is stopping.
#[derive(Debug, Default)]
pub struct Readiness {
    draining: AtomicBool,
}

impl Readiness {
    /// Ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on `/readyz` fails: the gateway is about to stop.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the gateway is stopping.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

/// Why the newest configuration was refused, as one line: `webhooks.toml:14:3: HG0201 unknown key …`
/// and how many more errors there are; none: it was taken. May wait for a reload that is under way.
pub(crate) fn refusal(report: &ReloadReport) -> Option<String> {
    if report.ok {
        return None;
    }
    let mut errors = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error);
    let Some(Finding { problem, .. }) = errors.next() else {
        return Some("no reason is known".to_owned());
    };
    let mut line = String::new();
    if let Some(place) = &problem.place {
        // Writing into a String cannot fail.
        write!(line, "{}:{}:{}: ", place.file, place.line, place.column).ok();
    }
    write!(line, "{} {}", problem.code, problem.message).ok();
    let more = errors.count();
    if more > 0 {
        write!(line, " (and {more} more)").ok();
    }
    Some(line)
}

/// One line of `/readyz?verbose`.
struct HealthCheck {
    name: &'static str,
    passed: bool,
    detail: String,
}

fn checks(admin: &Admin) -> Vec<HealthCheck> {
    let stats = admin.log.stats();
    let check = |name, passed, detail: &str| HealthCheck {
        name,
        passed,
        detail: detail.to_owned(),
    };
    let report = admin.config.last();
    let configuration = refusal(&report).map_or_else(String::new, |line| {
        format!(
            "a newer file was refused at {}, the one before is running: {line}",
            crate::model::time::to_rfc3339(report.time)
        )
    });
    vec![
        check(
            "log",
            stats.writable,
            &if stats.writable {
                String::new()
            } else {
                format!(
                    "{} the last write failed; requests get 503 until the log is reopened",
                    codes::LOG_FAILED
                )
            },
        ),
        check(
            "size",
            !stats.over_size,
            &if stats.over_size {
                format!(
                    "{} the store has reached max_size; requests get 503 until space is made",
                    codes::STORE_OVER_SIZE
                )
            } else {
                String::new()
            },
        ),
        check("configuration", true, &configuration),
        check(
            "draining",
            !admin.readiness.is_draining(),
            if admin.readiness.is_draining() {
                "the gateway is stopping"
            } else {
                ""
            },
        ),
    ]
}

fn plain(status: StatusCode, text: String) -> HttpResponse {
    HttpResponse::build(status)
        .content_type(ContentType::plaintext())
        .body(text)
}

fn is_verbose(request: &HttpRequest) -> bool {
    form_urlencoded::parse(request.query_string().as_bytes())
        .any(|(name, value)| name == "verbose" && value != "false" && value != "0")
}

/// The process answers; nothing else is looked at.
pub(crate) async fn livez(request: HttpRequest) -> HttpResponse {
    let verbose = is_verbose(&request);
    plain(
        StatusCode::OK,
        if verbose {
            "[+] process ok\nlivez check passed\n".to_owned()
        } else {
            "ok\n".to_owned()
        },
    )
}

/// Whether requests can be taken. Details (`?verbose`) only for those who may see the rest too.
pub(crate) async fn readyz(request: HttpRequest, admin: web::Data<Admin>) -> HttpResponse {
    let trusted = request
        .extensions()
        .get::<Admitted>()
        .is_some_and(Admitted::is_trusted);
    let checked = admin.clone();
    let Ok(list) = web::block(move || checks(&checked)).await else {
        return plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "[-] process cannot run checks\n".to_owned(),
        );
    };
    let ready = list.iter().all(|check| check.passed);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    if ready && !is_verbose(&request) {
        return plain(status, "ok\n".to_owned());
    }
    let mut text = String::new();
    for check in list {
        let (mark, word) = if check.passed {
            ('+', "ok")
        } else {
            ('-', "failed")
        };
        let colon = if check.detail.is_empty() || !trusted {
            String::new()
        } else {
            format!(": {}", check.detail)
        };
        writeln!(text, "[{mark}] {} {word}{colon}", check.name).ok();
    }
    let end = if ready { "passed" } else { "failed" };
    writeln!(text, "readyz check {end}").ok();
    plain(status, text)
}

/// All metrics, with those that are read rather than counted brought up to date.
pub(crate) async fn metrics(
    admin: web::Data<Admin>,
) -> Result<HttpResponse, super::problem::ApiError> {
    let text = api::block(move || {
        refresh(&admin);
        Ok(admin.metrics.encode())
    })
    .await?;
    Ok(HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(text))
}

fn gauge(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn refresh(admin: &Admin) {
    let metrics: &Metrics = &admin.metrics;
    let stats = admin.log.stats();
    metrics.log_size.set(gauge(stats.bytes));
    metrics.log_head.set(gauge(stats.head));
    if let Some(oldest) = stats.oldest_received {
        metrics.log_oldest.set(oldest.as_duration().as_secs_f64());
    }
    metrics.set_config_hash(&admin.config.current().hash);
    let report = admin.config.last();
    metrics.config_reload_success.set(i64::from(report.ok));
    metrics
        .config_reload_timestamp
        .set(report.time.as_duration().as_secs_f64());
    let behind = stats.head.saturating_sub(admin.feed.indexed_to());
    metrics.feed_lag.set(gauge(behind));
    // Where the feed cannot tell, the last figures stand.
    if let Ok(parked) = admin.feed.parked() {
        let config = admin.config.current();
        let names = config.webhooks.iter().map(|webhook| webhook.name.as_str());
        metrics.set_parked(names, &parked);
    }
    for sink in admin.forwarders.status() {
        let labels = vec![("sink", sink.name.clone())];
        metrics
            .sink_lag_events
            .get_or_create(&labels)
            .set(gauge(sink.lag));
        metrics
            .sink_lag_seconds
            .get_or_create(&labels)
            .set(sink.lag_seconds);
        metrics
            .dead_letters
            .get_or_create(&labels)
            .set(gauge(sink.dead_letters));
    }
}
