//! `/dead-letters`: what sinks refused for good, retried or discarded on demand.

use super::parameters::Parameters;
use super::{PageView, block, body, json, page, segment, shared};
use crate::admin::Admin;
use crate::admin::actor::Actor;
use crate::admin::problem::ApiError;
use crate::codes::{self, Code};
use crate::forward::RetryError;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json as object};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Dead letters that one call retries at most: each is an attempt at a sink, one after the other.
pub(crate) const RETRIES_MAX: usize = 100;
/// Dead letters that one call discards at most.
pub(crate) const DISCARDS_MAX: usize = 1_000;
/// Characters of a reason that is given for a discard.
pub(crate) const REASON_CHARS_MAX: usize = 500;
/// Rows of a page where `limit` is not given.
const ROWS_DEFAULT: usize = 50;

/// Body of `retry` and `discard`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ids {
    ids: Vec<i64>,
    /// Of a discard: why, for the audit log.
    #[serde(default)]
    reason: Option<String>,
}

/// What became of one of them.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) id: i64,
    /// `delivered`, `discarded` or `failed`.
    pub(crate) result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

#[derive(Debug, Serialize)]
struct Outcomes {
    data: Vec<Outcome>,
}

/// `GET /dead-letters`: newest first.
pub(super) async fn list(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    let parameters = Parameters::read(request.query_string(), &["sink", "limit", "after"])?;
    let limit = parameters.limit()?.unwrap_or(ROWS_DEFAULT);
    let before = match parameters.get("after") {
        None => None,
        Some(text) => Some(text.parse::<i64>().map_err(|_| {
            ApiError::parameter("after", "must be the `next` of an earlier page", None)
        })?),
    };
    let sink = parameters.get("sink").map(str::to_owned);
    let admin = shared(&admin);
    let mut rows = block(move || {
        Ok(admin
            .state
            .dead_letters(sink.as_deref(), before, limit + 1)?)
    })
    .await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|last| last.id.to_string());
    page(
        &request,
        &PageView {
            data: rows,
            next,
            indexed_to: None,
        },
    )
}

fn id_of(request: &HttpRequest) -> Result<i64, ApiError> {
    let text = segment(request, "id");
    text.parse()
        .map_err(|_| ApiError::not_found(format!("there is no dead letter `{text}`")))
}

/// `GET /dead-letters/{id}`.
pub(super) async fn one(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    Parameters::read(request.query_string(), &[])?;
    let id = id_of(&request)?;
    let admin = shared(&admin);
    let found = block(move || Ok(admin.state.dead_letter(id)?)).await?;
    json(&found.ok_or_else(|| ApiError::not_found(format!("there is no dead letter {id}")))?)
}

/// `POST /dead-letters/retry`: sends each again, now, in the order given; one that is refused stays.
pub(super) async fn retry(
    admin: web::Data<Admin>,
    actor: Actor,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let Ids { ids, .. } = body::read(payload).await?;
    check_number(ids.len(), RETRIES_MAX)?;
    let data = retry_all(&admin, &actor, ids, None).await;
    json(&Outcomes { data })
}

/// Sends each again, in the order given, and records it. Past `within`, no other one is begun: those are not among
/// the outcomes.
pub(crate) async fn retry_all(
    admin: &Admin,
    actor: &Actor,
    ids: Vec<i64>,
    within: Option<Duration>,
) -> Vec<Outcome> {
    let begun = Instant::now();
    let mut data = Vec::with_capacity(ids.len());
    for id in ids {
        if within.is_some_and(|within| begun.elapsed() >= within) {
            break;
        }
        let retried = admin.forwarders.retry(id).await;
        let error = retried.err().map(|error| explain(&error));
        data.push(Outcome {
            id,
            result: if error.is_none() {
                "delivered"
            } else {
                "failed"
            },
            code: error.as_ref().map(|error| error.code),
            detail: error.map(|error| error.detail),
        });
    }
    record(
        admin,
        actor,
        "hookgate.dead_letters.retried",
        &data,
        Value::Null,
    );
    data
}

/// Keeps what was done with dead letters in the audit log: numbers, and how it went.
fn record(admin: &Admin, actor: &Actor, name: &str, data: &[Outcome], reason: Value) {
    let mut results: BTreeMap<&str, usize> = BTreeMap::new();
    for outcome in data {
        *results.entry(outcome.result).or_insert(0) += 1;
    }
    let ids = data.iter().take(RETRIES_MAX).map(|outcome| outcome.id);
    let mut payload = object!({
        "ids": ids.collect::<Vec<_>>(), "count": data.len(), "results": results,
    });
    if let (Some(fields), false) = (payload.as_object_mut(), reason.is_null()) {
        fields.insert("reason".to_owned(), reason);
    }
    let about = ("hookgate.dead_letters", "dead letters");
    actor.record(admin, name, about, payload);
}

/// `POST /dead-letters/{id}/retry`.
pub(super) async fn retry_one(
    request: HttpRequest,
    admin: web::Data<Admin>,
    actor: Actor,
) -> Result<HttpResponse, ApiError> {
    let id = id_of(&request)?;
    let retried = admin.forwarders.retry(id).await;
    let outcome = Outcome {
        id,
        result: if retried.is_ok() {
            "delivered"
        } else {
            "failed"
        },
        code: None,
        detail: None,
    };
    if !matches!(retried, Err(RetryError::Unknown(_))) {
        let done = std::slice::from_ref(&outcome);
        record(
            &admin,
            &actor,
            "hookgate.dead_letters.retried",
            done,
            Value::Null,
        );
    }
    retried.map_err(|error| explain(&error))?;
    json(&outcome)
}

/// `POST /dead-letters/discard`: forgets each for good.
pub(super) async fn discard(
    admin: web::Data<Admin>,
    actor: Actor,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let Ids { ids, reason } = body::read(payload).await?;
    check_number(ids.len(), DISCARDS_MAX)?;
    let data = discard_all(&shared(&admin), &actor, ids, reason.as_deref()).await?;
    json(&Outcomes { data })
}

/// Forgets each for good, and records it with the reason.
///
/// # Errors
/// The reason is too long; the state does not answer.
pub(crate) async fn discard_all(
    admin: &Arc<Admin>,
    actor: &Actor,
    ids: Vec<i64>,
    reason: Option<&str>,
) -> Result<Vec<Outcome>, ApiError> {
    if reason.is_some_and(|reason| reason.chars().count() > REASON_CHARS_MAX) {
        let message = format!("`reason` has at most {REASON_CHARS_MAX} characters");
        return Err(ApiError::invalid(message));
    }
    let asked = Arc::clone(admin);
    let data = block(move || {
        let mut data = Vec::with_capacity(ids.len());
        for id in ids {
            let there = asked.state.dead_letter(id)?.is_some();
            if there {
                asked.state.remove_dead_letter(id)?;
                tracing::info!(dead_letter = id, "a dead letter was discarded");
            }
            data.push(Outcome {
                id,
                result: if there { "discarded" } else { "failed" },
                code: (!there).then_some(codes::API_NOT_FOUND),
                detail: (!there).then(|| format!("there is no dead letter {id}")),
            });
        }
        Ok(data)
    })
    .await?;
    let why = reason.map_or(Value::Null, Into::into);
    record(admin, actor, "hookgate.dead_letters.discarded", &data, why);
    Ok(data)
}

fn check_number(given: usize, max: usize) -> Result<(), ApiError> {
    if (1..=max).contains(&given) {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "`ids` must hold 1 to {max} numbers of dead letters, not {given}"
    )))
}

/// What a failed retry, or a change of a sink, means for the client.
pub(super) fn explain(error: &RetryError) -> ApiError {
    let detail = error.to_string();
    match error {
        RetryError::Unknown(_) => ApiError::not_found(detail),
        RetryError::NoSink(_) => ApiError::new(StatusCode::CONFLICT, codes::API_NOT_FOUND, detail),
        RetryError::Refused(_) => {
            ApiError::new(StatusCode::BAD_GATEWAY, codes::SINK_REFUSED, detail)
        }
        RetryError::State(_) => ApiError::unavailable(detail),
    }
}
