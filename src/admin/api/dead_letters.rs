//! `/dead-letters`: what sinks refused for good, retried or discarded on demand.

use super::parameters::Parameters;
use super::{PageView, block, body, json, page, segment, shared};
use crate::admin::Admin;
use crate::admin::problem::ApiError;
use crate::codes::{self, Code};
use crate::forward::RetryError;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

/// Dead letters that one call retries at most: each is an attempt at a sink, one after the other.
const RETRIES_MAX: usize = 100;
/// Dead letters that one call discards at most.
const DISCARDS_MAX: usize = 1_000;
/// Rows of a page where `limit` is not given.
const ROWS_DEFAULT: usize = 50;

/// Body of `retry` and `discard`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ids {
    ids: Vec<i64>,
}

/// What became of one of them.
#[derive(Debug, Serialize)]
struct Outcome {
    id: i64,
    /// `delivered`, `discarded` or `failed`.
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
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
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let Ids { ids } = body::read(payload).await?;
    check_number(ids.len(), RETRIES_MAX)?;
    let mut data = Vec::with_capacity(ids.len());
    for id in ids {
        data.push(match admin.forwarders.retry(id).await {
            Ok(()) => Outcome {
                id,
                result: "delivered",
                code: None,
                detail: None,
            },
            Err(error) => {
                let error = explain(&error);
                Outcome {
                    id,
                    result: "failed",
                    code: Some(error.code),
                    detail: Some(error.detail),
                }
            }
        });
    }
    json(&Outcomes { data })
}

/// `POST /dead-letters/{id}/retry`.
pub(super) async fn retry_one(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    let id = id_of(&request)?;
    admin
        .forwarders
        .retry(id)
        .await
        .map_err(|error| explain(&error))?;
    json(&Outcome {
        id,
        result: "delivered",
        code: None,
        detail: None,
    })
}

/// `POST /dead-letters/discard`: forgets each for good.
pub(super) async fn discard(
    admin: web::Data<Admin>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let Ids { ids } = body::read(payload).await?;
    check_number(ids.len(), DISCARDS_MAX)?;
    let admin = shared(&admin);
    let data = block(move || {
        let mut data = Vec::with_capacity(ids.len());
        for id in ids {
            let there = admin.state.dead_letter(id)?.is_some();
            if there {
                admin.state.remove_dead_letter(id)?;
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
    json(&Outcomes { data })
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
