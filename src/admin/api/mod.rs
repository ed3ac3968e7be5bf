//! `/api/v1`: handlers, a file per thing, and what they share.

pub(crate) mod body;
mod complete;
mod counts;
pub(crate) mod dead_letters;
pub(crate) mod deliveries;
mod events;
mod ndjson;
pub(crate) mod parameters;
pub(crate) mod providers;
pub(crate) mod render;
pub(crate) mod replays;
pub(crate) mod requests;
mod saved;
mod schemas;
mod search;
mod secrets;
pub(crate) mod sinks;
mod stream;
pub(crate) mod tokens;
pub(crate) mod views;
pub(crate) mod webhooks;

use super::problem::ApiError;
use super::{at, get};
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use std::sync::Arc;

/// Every route of the API.
pub(crate) fn configure(service: &mut web::ServiceConfig) {
    service.service(
        web::scope("/api/v1")
            .app_data(web::Data::new(stream::Tail::default()))
            .service(at("/events", get().to(events::list)))
            .service(at("/events/stream", get().to(stream::events)))
            .service(at("/events/histogram", get().to(counts::event_histogram)))
            .service(at("/events/facets", get().to(counts::event_facets)))
            .service(at("/events/terms", get().to(counts::event_terms)))
            .service(at("/events/{id}", get().to(events::one)))
            .service(at("/deliveries", get().to(deliveries::list)))
            .service(at("/deliveries/stream", get().to(stream::deliveries)))
            .service(at(
                "/deliveries/histogram",
                get().to(counts::delivery_histogram),
            ))
            .service(at("/deliveries/facets", get().to(counts::delivery_facets)))
            .service(at("/deliveries/terms", get().to(counts::delivery_terms)))
            .service(at("/complete", get().to(complete::complete)))
            .service(at("/views", get().to(saved::list)))
            .service(at("/deliveries/{id}", get().to(deliveries::one)))
            .service(at("/deliveries/{id}/request", get().to(requests::one)))
            .service(at("/deliveries/{id}/replay", web::post().to(replays::one)))
            .service(at("/replays", web::post().to(replays::many)))
            .service(at("/dead-letters", get().to(dead_letters::list)))
            .service(at(
                "/dead-letters/retry",
                web::post().to(dead_letters::retry),
            ))
            .service(at(
                "/dead-letters/discard",
                web::post().to(dead_letters::discard),
            ))
            .service(at("/dead-letters/{id}", get().to(dead_letters::one)))
            .service(at(
                "/dead-letters/{id}/retry",
                web::post().to(dead_letters::retry_one),
            ))
            .service(at("/sinks", get().to(sinks::list)))
            .service(at("/sinks/{name}", get().to(sinks::one)))
            .service(at("/sinks/{name}/test", web::post().to(sinks::test)))
            .service(at("/sinks/{name}/pause", web::post().to(sinks::pause)))
            .service(at("/sinks/{name}/resume", web::post().to(sinks::resume)))
            .service(at("/webhooks", get().to(webhooks::list)))
            .service(at("/webhooks/{name}", get().to(webhooks::one)))
            .service(at(
                "/webhooks/{name}/secret/learn",
                web::post().to(secrets::learn),
            ))
            .service(at(
                "/webhooks/{name}/secret/confirm",
                web::post().to(secrets::confirm),
            ))
            .service(at(
                "/webhooks/{name}/secret/forget",
                web::post().to(secrets::forget),
            ))
            .service(at(
                "/webhooks/{name}/secret/reveal",
                web::post().to(secrets::reveal),
            ))
            .service(at("/providers", get().to(providers::list)))
            .service(at("/providers/{name}", get().to(providers::one)))
            .service(at("/tokens", get().to(tokens::list)).route(web::post().to(tokens::create)))
            .service(at("/tokens/{id}", web::delete().to(tokens::revoke)))
            .service(at("/schema/webhooks.json", get().to(schemas::webhooks)))
            .service(at("/schema/event.json", get().to(schemas::event)))
            .service(at("/render", web::post().to(render::render)))
            .service(at("/config/reload", web::post().to(webhooks::reload)))
            .default_service(web::to(HttpResponse::NotFound)),
    );
}

/// Runs what blocks (log, state, feed, files) on a thread that may.
pub(crate) async fn block<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    web::block(work)
        .await
        .map_err(|_| ApiError::unavailable("the request could not be handled"))?
}

/// Whether the `Accept` header names this media type.
pub(crate) fn accepts(request: &HttpRequest, media_type: &str) -> bool {
    request
        .headers()
        .get_all(header::ACCEPT)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|range| crate::model::request::media_type(range) == media_type)
}

/// A part of the path.
pub(crate) fn segment<'a>(request: &'a HttpRequest, name: &str) -> &'a str {
    request.match_info().get(name).unwrap_or("")
}

/// A UUID in the path; anything else names nothing.
pub(crate) fn id_segment(request: &HttpRequest, what: &str) -> Result<uuid::Uuid, ApiError> {
    let text = segment(request, "id");
    uuid::Uuid::try_parse(text)
        .map_err(|_| ApiError::not_found(format!("{what} ids are UUIDs; `{text}` is none")))
}

/// 200 with a JSON body.
fn json<T: Serialize>(value: &T) -> Result<HttpResponse, ApiError> {
    let text = to_json(value)?;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(text))
}

fn to_json<T: Serialize>(value: &T) -> Result<String, ApiError> {
    serde_json::to_string(value)
        .map_err(|error| ApiError::unavailable(format!("the answer cannot be written: {error}")))
}

/// One page: `{data, next, indexed_to}` and `Link: rel="next"`.
#[derive(Serialize)]
struct PageView<T> {
    data: Vec<T>,
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    indexed_to: Option<u64>,
}

/// 200 with a page; `request` is asked again for the next one, with another `after`.
fn page<T: Serialize>(request: &HttpRequest, page: &PageView<T>) -> Result<HttpResponse, ApiError> {
    let mut response = json(page)?;
    link_next(request, &mut response, page.next.as_deref());
    Ok(response)
}

/// Adds `Link: rel="next"` where there is a next page.
fn link_next(request: &HttpRequest, response: &mut HttpResponse, next: Option<&str>) {
    let Some(next) = next else {
        return;
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    let pairs = form_urlencoded::parse(request.query_string().as_bytes());
    for (name, value) in pairs.filter(|(name, _)| name != "after") {
        query.append_pair(&name, &value);
    }
    query.append_pair("after", next);
    let link = format!("<{}?{}>; rel=\"next\"", request.path(), query.finish());
    if let Ok(value) = HeaderValue::from_str(&link) {
        response.headers_mut().insert(header::LINK, value);
    }
}

/// The admin's data as a plain `Arc`, to be moved to a blocking thread.
fn shared(admin: &web::Data<super::Admin>) -> Arc<super::Admin> {
    Arc::clone(admin)
}
