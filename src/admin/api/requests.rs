//! `/deliveries/{id}/request`: the request as it was kept, as bytes or as JSON.

use super::parameters::Parameters;
use super::{accepts, block, deliveries, id_segment, json, shared};
use crate::admin::Admin;
use crate::admin::problem::ApiError;
use crate::codes;
use crate::config::Config;
use crate::engine;
use crate::feed::DeliveryRow;
use crate::model::delivery::Check;
use crate::model::request::header_text;
use crate::model::{Outcome, Request, http_file};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use serde::Serialize;

/// A request as JSON: the body as text where it is UTF-8, else in base64.
#[derive(Debug, Serialize)]
struct RequestView {
    method: String,
    /// What follows the slug.
    path: String,
    query: String,
    /// Name and value of each line, in order.
    headers: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl From<&Request> for RequestView {
    fn from(request: &Request) -> Self {
        let body = std::str::from_utf8(&request.wire_body).ok();
        let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        Self {
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            headers: request
                .headers
                .iter()
                .map(|(name, value)| (name.to_owned(), header_text(value).into_owned()))
                .collect(),
            body: body.map(str::to_owned),
            body_base64: body.is_none().then(|| encode(&request.wire_body)),
        }
    }
}

/// `GET /deliveries/{id}/request`.
pub(super) async fn one(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    Parameters::read(request.query_string(), &[])?;
    let id = id_segment(&request, "delivery")?;
    let admin = shared(&admin);
    let (row, stored) = block(move || {
        let row = deliveries::find(&admin, id)?;
        let stored = stored(&admin, &row)?;
        Ok((row, stored))
    })
    .await?;
    let bytes = stored.ok_or_else(|| gone(&row))?;
    if accepts(&request, "application/json") && !accepts(&request, "message/http") {
        let parsed = parse(&row, &bytes)?;
        return json(&RequestView::from(&parsed));
    }
    Ok(HttpResponse::Ok()
        .content_type("message/http")
        .insert_header((
            "content-disposition",
            format!("attachment; filename=\"{id}.http\""),
        ))
        .body(bytes))
}

/// The kept request of a delivery in `.http` form, from the log or the ring; blocks.
///
/// # Errors
/// When a store fails.
pub(crate) fn stored(admin: &Admin, row: &DeliveryRow) -> Result<Option<Vec<u8>>, ApiError> {
    Ok(match row.seq {
        Some(seq) => admin.log.request(seq)?,
        None => admin.feed.ring_request(row.delivery.id)?,
    })
}

/// 410 where retention took the request, 404 where there never was one.
pub(crate) fn gone(row: &DeliveryRow) -> ApiError {
    let id = row.delivery.id;
    if row.delivery.request.is_none() {
        return ApiError::not_found(format!(
            "delivery {id} is hookgate's own: it has no request"
        ));
    }
    ApiError::new(
        StatusCode::GONE,
        codes::API_NOT_FOUND,
        format!(
            "the request of delivery {id} is no longer kept; `requests` in `[store]` says for how long"
        ),
    )
}

/// What would have let a refused request in, by the configuration of now, as checks; none for anything else.
pub(crate) fn hints(config: &Config, row: &DeliveryRow, stored: Option<&[u8]>) -> Vec<Check> {
    let delivery = &row.delivery;
    let name = delivery.webhook.as_deref();
    let webhook = config
        .webhooks
        .iter()
        .find(|w| Some(w.name.as_str()) == name);
    let (Outcome::Rejected, Some(webhook), Some(bytes)) = (delivery.outcome, webhook, stored)
    else {
        return Vec::new();
    };
    let Ok(mut request) = parse(row, bytes) else {
        return Vec::new();
    };
    let whole = delivery
        .request
        .as_ref()
        .is_some_and(|r| r.body_bytes == request.wire_body.len() as u64);
    if !whole || engine::receive(&mut request, webhook, Some(&config.edge)).is_err() {
        return Vec::new();
    }
    let hints = webhook.verifier.hints(&request, delivery.received);
    hints.into_iter().map(engine::hint).collect()
}

/// The kept bytes as a request with the delivery's time and sender.
pub(super) fn parse(row: &DeliveryRow, bytes: &[u8]) -> Result<Request, ApiError> {
    let mut request = http_file::parse(bytes, row.delivery.received).map_err(|error| {
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            codes::RECORD_DAMAGED,
            format!("the kept request cannot be read: {error}"),
        )
    })?;
    if let Some(summary) = &row.delivery.request {
        request.peer = summary.peer;
    }
    Ok(request)
}
