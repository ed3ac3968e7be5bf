//! `/events/stream` and `/deliveries/stream`: what comes, as server-sent events, resumable by place, nothing sampled.
//!
//! The server keeps a place for each client and reads from there, so a slow client costs no memory; one that takes
//! nothing for long is told so and let go, and comes back with its `Last-Event-ID`. Events are read from the log,
//! newest ones once for all clients ([`tail`]); deliveries from the feed, which has those that were not logged too.
//! Limits: [`CLIENTS_MAX`] clients, [`outlet`]'s queue for each.

mod outlet;
mod source;
mod tail;

pub(crate) use tail::Tail;

use super::parameters::Parameters;
use super::shared;
use crate::admin::Admin;
use crate::admin::problem::ApiError;
use crate::feed::What;
use crate::model::Position;
use actix_web::http::Method;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use outlet::Outlet;
use source::{Heads, Source};

/// Clients at once at most.
const CLIENTS_MAX: i64 = 256;

/// What a stream takes.
const TAKES: &[&str] = &[
    "q", "event", "resource", "webhook", "provider", "outcome", "code", "key", "since", "until",
    "after", "heads",
];

/// `GET /events/stream`.
pub(super) async fn events(
    request: HttpRequest,
    admin: web::Data<Admin>,
    tail: web::Data<Tail>,
) -> Result<HttpResponse, ApiError> {
    answer(&request, &admin, tail, What::Events)
}

/// `GET /deliveries/stream`.
pub(super) async fn deliveries(
    request: HttpRequest,
    admin: web::Data<Admin>,
    tail: web::Data<Tail>,
) -> Result<HttpResponse, ApiError> {
    answer(&request, &admin, tail, What::Deliveries)
}

fn answer(
    request: &HttpRequest,
    admin: &web::Data<Admin>,
    tail: web::Data<Tail>,
    what: What,
) -> Result<HttpResponse, ApiError> {
    let parameters = Parameters::read(request.query_string(), TAKES)?;
    let query = parameters.search(Timestamp::now())?;
    let heads = match parameters.get("heads") {
        None | Some("0") => false,
        Some("1") => true,
        Some(_) => return Err(ApiError::parameter("heads", "must be `0` or `1`", None)),
    };
    let after = place(request, &parameters)?;
    let admin = shared(admin);
    if admin.metrics.sse_clients.get() >= CLIENTS_MAX {
        return Err(ApiError::unavailable(format!(
            "{CLIENTS_MAX} streams are open, which is as many as there may be"
        )));
    }
    let mut response = HttpResponse::Ok();
    response
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"));
    if *request.method() == Method::HEAD {
        return Ok(response.finish());
    }
    let (outlet, body) = Outlet::open(&admin.metrics, outlet::PATIENCE);
    actix_web::rt::spawn(async move {
        if heads {
            Heads::new(admin).run(outlet).await;
        } else {
            let source = Source::new(admin, tail.into_inner(), query, what, after);
            source.run(outlet).await;
        }
    });
    Ok(response.streaming(body))
}

/// Where to go on: behind `after`, else `Last-Event-ID`; none: with what comes from now on. A number alone is a
/// whole delivery.
fn place(request: &HttpRequest, parameters: &Parameters) -> Result<Option<Position>, ApiError> {
    let last = request.headers().get("last-event-id");
    let last = last.and_then(|value| value.to_str().ok()).map(str::trim);
    // What a browser resumes with is newer than the address it was given.
    let Some(text) = last.filter(|id| !id.is_empty()).or(parameters.get("after")) else {
        return Ok(None);
    };
    let whole = || {
        let seq = text.parse().ok()?;
        let index = u32::MAX;
        Some(Position { seq, index })
    };
    let found = text.parse::<Position>().ok().or_else(whole);
    found.map(Some).ok_or_else(|| {
        let help = "write after=12 or after=12.0, the `id` of a message".to_owned();
        ApiError::parameter("after", "must be a place in the log", Some(help))
    })
}
