//! `/sinks` and `/sinks/{name}`: how far each has got, what went wrong last; test, hold, let go.

use super::Ask;
use super::form::see_other;
use super::show::{age, counted, cut, in_path, moment, row_time, size, span, thousands};
use crate::admin::actor::Actor;
use crate::admin::api::{segment, sinks as acts};
use crate::admin::problem::ApiError;
use crate::config::Config;
use crate::forward::{SinkSettings, SinkStatus, StartFrom};
use crate::state::SkippedRange;
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// Skipped ranges that are shown.
const SKIPPED_SHOWN: usize = 20;

#[derive(Debug, Serialize)]
struct SinksPage {
    sinks: Vec<SinkRow>,
    /// What was wrong last, where it still is.
    faults: Vec<Fault>,
}

#[derive(Debug, Serialize)]
struct SinkPage {
    sink: SinkRow,
    fault: Option<Fault>,
    /// Its last error, where it has worked since.
    past: Option<Fault>,
    /// What stands in the configuration.
    settings: Vec<Setting>,
    skipped: Vec<Skipped>,
    batch: String,
    starts: &'static str,
    max_lag: Option<String>,
    /// What a form has just done.
    done: Option<String>,
    feed: String,
}

#[derive(Debug, Serialize)]
struct SinkRow {
    name: String,
    kind: &'static str,
    state: &'static str,
    word: &'static str,
    cursor: String,
    lag: String,
    behind: Option<String>,
    rate: String,
    delivered: String,
    last_success: Option<String>,
    last_success_at: Option<String>,
    dead: u64,
    /// Its `match`, as written.
    takes: Option<String>,
    is_held: bool,
    is_off: bool,
}

#[derive(Debug, Serialize)]
struct Fault {
    sink: String,
    code: String,
    message: String,
    at: String,
    at_full: String,
    again: Option<String>,
    help: String,
}

#[derive(Debug, Serialize)]
struct Setting {
    key: String,
    value: String,
    line: u32,
}

#[derive(Debug, Serialize)]
struct Skipped {
    from: String,
    to: String,
    at: String,
}

/// State and word of a sink's state.
pub(super) fn state_of(state: &str) -> (&'static str, &'static str) {
    match state {
        "running" => ("ok", "ok"),
        "failing" => ("failing", "failing"),
        "misconfigured" => ("misconfigured", "misconfigured"),
        "paused" => ("held", "held"),
        "disabled" => ("off", "off"),
        _ => ("off", "gone"),
    }
}

/// `GET /sinks`.
pub(super) async fn list(ask: Ask) -> Result<HttpResponse, ApiError> {
    ask.parameters(&[])?;
    ask.answer("sinks.html", "sinks", |ask| {
        let (config, now) = (ask.config(), Timestamp::now());
        let status = ask.admin.forwarders.status();
        let ill = status.iter().filter(|sink| is_ill(sink));
        Ok(SinksPage {
            faults: ill.filter_map(|sink| fault(&config, sink, now)).collect(),
            sinks: status.iter().map(|sink| row(&config, sink, now)).collect(),
        })
    })
    .await
}

/// `GET /sinks/{name}`.
pub(super) async fn page(ask: Ask, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let parameters = ask.parameters(&["tested", "took"])?;
    let tested = parameters.get("tested").map(str::to_owned);
    let took = parameters
        .get("took")
        .and_then(|text| text.parse::<u64>().ok());
    let name = segment(&request, "name").to_owned();
    let status = acts::find(&ask.admin, &name).await?;
    ask.answer("sink.html", "sinks", move |ask| {
        let (config, now) = (ask.config(), Timestamp::now());
        let skipped = ask.admin.state.skipped()?;
        let done = tested.map(|event| {
            let took = thousands(took.unwrap_or(0));
            format!("It has the test event `{event}`, after {took} ms.")
        });
        Ok(one(&config, &status, &skipped, now, done))
    })
    .await
}

fn one(
    config: &Config,
    status: &SinkStatus,
    skipped: &[SkippedRange],
    now: Timestamp,
    done: Option<String>,
) -> SinkPage {
    let settings = config.sinks.iter().find(|sink| sink.name == status.name);
    let path = format!("sink.{}.", status.name);
    let written = config.outline.iter().filter_map(|value| {
        Some(Setting {
            key: value.key.strip_prefix(&path)?.to_owned(),
            value: value.value.clone(),
            line: value.line,
        })
    });
    let ranges = skipped
        .iter()
        .rev()
        .filter(|range| range.sink == status.name);
    let ranges = ranges.take(SKIPPED_SHOWN).map(|range| Skipped {
        from: thousands(range.from),
        to: thousands(range.to),
        at: moment(range.at),
    });
    let (fault, past) = match fault(config, status, now) {
        fault if is_ill(status) => (fault, None),
        past => (None, past),
    };
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair(
            "q",
            &format!("sink.\"{}\":(pending,failed,dead)", status.name),
        )
        .finish();
    SinkPage {
        sink: row(config, status, now),
        fault,
        past,
        settings: written.collect(),
        skipped: ranges.collect(),
        batch: settings.map_or_else(String::new, batch),
        starts: match settings.map(|settings| settings.from) {
            Some(StartFrom::Oldest) => "with the oldest event that is kept",
            _ => "with what comes from then on",
        },
        max_lag: settings
            .and_then(|settings| settings.max_lag)
            .map(|lag| span(SignedDuration::try_from(lag).unwrap_or(SignedDuration::MAX))),
        done,
        feed: format!("/?{query}"),
    }
}

fn batch(settings: &SinkSettings) -> String {
    format!(
        "up to {}, {}, after {} ms",
        counted(settings.batch_events as u64, "event"),
        size(settings.batch_bytes as u64),
        thousands(u64::try_from(settings.batch_wait.as_millis()).unwrap_or(u64::MAX))
    )
}

fn is_ill(sink: &SinkStatus) -> bool {
    matches!(sink.state, "failing" | "misconfigured")
}

fn row(config: &Config, sink: &SinkStatus, now: Timestamp) -> SinkRow {
    let (state, word) = state_of(sink.state);
    let path = format!("sink.{}.match", sink.name);
    let takes = config.outline.iter().find(|value| value.key == path);
    let behind = (sink.lag > 0).then(|| SignedDuration::try_from_secs_f64(sink.lag_seconds).ok());
    SinkRow {
        name: sink.name.clone(),
        kind: sink.kind,
        state,
        word,
        cursor: thousands(sink.cursor),
        lag: thousands(sink.lag),
        behind: behind.flatten().map(span),
        rate: rate(sink.rate),
        delivered: thousands(sink.delivered),
        last_success: sink.last_success.map(|at| row_time(at, now)),
        last_success_at: sink.last_success.map(moment),
        dead: sink.dead_letters,
        takes: takes.map(|value| value.value.trim_matches(['"', '\'']).to_owned()),
        is_held: sink.state == "paused",
        is_off: sink.state == "disabled",
    }
}

/// Events a second: `14/s`, `0.3/s`.
fn rate(rate: f64) -> String {
    if rate >= 10.0 {
        format!("{rate:.0}/s")
    } else if rate >= 0.05 {
        format!("{rate:.1}/s")
    } else {
        "0/s".to_owned()
    }
}

fn fault(config: &Config, sink: &SinkStatus, now: Timestamp) -> Option<Fault> {
    let failure = sink.last_error.as_ref()?;
    let again = failure.retry_at.filter(|at| *at > now && is_ill(sink));
    Some(Fault {
        sink: sink.name.clone(),
        code: failure.code.to_string(),
        message: cut(&failure.message, 8_192),
        at: format!("{} ago", age(failure.at, now)),
        at_full: moment(failure.at),
        again: again.map(|at| format!("Next try in {}.", span(at.duration_since(now)))),
        help: super::advice::against(config, &sink.name, failure.code, &failure.message),
    })
}

/// `POST /sinks/{name}/test`: a real round trip.
pub(super) async fn test(
    ask: Ask,
    actor: Actor,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    ask.form(&request, payload).await?;
    let name = segment(&request, "name");
    let tested = acts::test_now(&ask.admin, &actor, name).await?;
    Ok(see_other(&format!(
        "/sinks/{}?tested={}&took={}",
        in_path(name),
        tested.event,
        tested.took_ms
    )))
}

/// `POST /sinks/{name}/hold`.
pub(super) async fn hold(
    ask: Ask,
    actor: Actor,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    set(&ask, &actor, &request, payload, true).await
}

/// `POST /sinks/{name}/resume`.
pub(super) async fn resume(
    ask: Ask,
    actor: Actor,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    set(&ask, &actor, &request, payload, false).await
}

async fn set(
    ask: &Ask,
    actor: &Actor,
    request: &HttpRequest,
    payload: web::Payload,
    paused: bool,
) -> Result<HttpResponse, ApiError> {
    let form = ask.form(request, payload).await?;
    let name = segment(request, "name");
    acts::hold(&ask.admin, actor, name, paused).await?;
    let page = format!("/sinks/{}", in_path(name));
    Ok(see_other(form.get("back").unwrap_or(&page)))
}
