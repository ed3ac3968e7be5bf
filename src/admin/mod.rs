//! The admin listener: the API under `/api/v1`, plain pages, health and metrics.
//!
//! Duty: shows what the log, the state and the feed hold, and hands changes to those who own them.
//! Invariants: every request passes [`guard`] first; every error is a problem document (a page where a
//! browser asks); every answer has the security headers; stores are only ever asked from a blocking
//! thread; values of senders reach a page as text alone. Limits: [`api::body`] for bodies, pages of at
//! most 1,000 rows, `application/x-ndjson` by walking pages. It is not reachable through the public
//! listener, and knows nothing of intake.

mod access;
mod actor;
mod api;
mod guard;
mod health;
mod idempotency;
mod pages;
mod problem;
#[cfg(test)]
mod tests;
mod vitals;

pub use access::Access;
pub(crate) use api::views::{DeliveryView, EventView};
pub use health::Readiness;

use crate::config::Config;
use crate::config::reload::{ConfigHandle, ReloadReport};
use crate::feed::Feed;
use crate::forward::Forwarders;
use crate::learn::Learner;
use crate::log::EventLog;
use crate::state::State;
use crate::telemetry::Metrics;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::{Next, from_fn};
use actix_web::{HttpMessage as _, HttpResponse, guard as route_guard, web};
use std::fmt;
use std::sync::Arc;

/// What a page may load: our own style sheet and icons, nothing else; no script runs that is not ours.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Reads the configuration again, hands it to those who run on it, and says what was found.
pub type Reload = Arc<dyn Fn() -> ReloadReport + Send + Sync>;

/// Everything the admin listener shows and hands changes to.
pub struct Admin {
    /// The running configuration.
    pub config: Arc<ConfigHandle>,
    /// Reads it again; blocks.
    pub reload: Reload,
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// The state.
    pub state: Arc<dyn State>,
    /// Secrets that senders deliver.
    pub learner: Arc<Learner>,
    /// Tokens and sessions.
    pub access: Arc<Access>,
    /// The feed.
    pub feed: Arc<dyn Feed>,
    /// The sinks' loops.
    pub forwarders: Arc<Forwarders>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Whether we are stopping.
    pub readiness: Arc<Readiness>,
    /// Where the public listener is bound, such as `http://127.0.0.1:8080`: shown where no `public_url` is set.
    pub public: String,
    /// A folder to read templates and assets of the pages from at every request, instead of those that are
    /// built in: for working on them.
    pub ui_dir: Option<std::path::PathBuf>,
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl Admin {
    /// The URL that a sender calls.
    pub(crate) fn url_of(&self, config: &Config, webhook: &crate::config::Webhook) -> String {
        if let Some(url) = &webhook.public_url {
            return url.clone();
        }
        let base = config.edge.public_url.as_deref().unwrap_or(&self.public);
        format!(
            "{}/hooks/{}",
            base.trim_end_matches('/'),
            webhook.slug.expose()
        )
    }
}

/// The whole listener, for `App::configure`.
pub fn configure(admin: Arc<Admin>) -> impl Fn(&mut web::ServiceConfig) + Clone {
    let pages = Arc::new(pages::Pages::new(admin.ui_dir.clone()));
    let answers = Arc::new(idempotency::Answers::default());
    move |service: &mut web::ServiceConfig| {
        let (guarded, shown) = (Arc::clone(&admin), Arc::clone(&pages));
        let kept = Arc::clone(&answers);
        let wrapper = from_fn(move |request: ServiceRequest, next: Next<BoxBody>| {
            let (admin, pages) = (Arc::clone(&guarded), Arc::clone(&shown));
            handle(admin, pages, Arc::clone(&kept), request, next)
        });
        service.service(
            web::scope("")
                .app_data(web::Data::from(Arc::clone(&admin)))
                .app_data(web::Data::from(Arc::clone(&pages)))
                .wrap(wrapper)
                .service(at("/livez", get().to(health::livez)))
                .service(at("/readyz", get().to(health::readyz)))
                .service(at("/metrics", get().to(health::metrics)))
                .configure(api::configure)
                .configure(pages::configure)
                .default_service(web::to(HttpResponse::NotFound)),
        );
    }
}

/// GET, and HEAD with it.
fn get() -> actix_web::Route {
    web::route().guard(route_guard::Any(route_guard::Get()).or(route_guard::Head()))
}

/// A path with its one route: other methods are told which there are (`Scope::route` would say 404).
fn at(path: &str, route: actix_web::Route) -> actix_web::Resource {
    web::resource(path).route(route)
}

/// One request's way: the rules, the handler, and one form for whatever went wrong.
async fn handle(
    admin: Arc<Admin>,
    pages: Arc<pages::Pages>,
    answers: Arc<idempotency::Answers>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let settings = admin.config.current();
    let verdict = guard::check(
        &settings.admin,
        &admin.access,
        &guard::Facts {
            method: request.method(),
            path: request.path(),
            headers: request.headers(),
            authority: request.uri().authority().map(|a| a.as_str()),
            peer: request.peer_addr().map(|address| address.ip()),
        },
    );
    let response = match verdict {
        Ok(admitted) => {
            let from = request.peer_addr().map(|address| address.ip());
            if let Some(who) = admitted.who.clone() {
                note_use(&admin, &who);
                request.extensions_mut().insert(actor::Actor { who, from });
            }
            request.extensions_mut().insert(admitted);
            idempotency::once(&answers, request, next).await?
        }
        Err(error) => refuse(&admin, request, error),
    };
    let mut response = explain(&pages, response);
    secure(response.headers_mut());
    Ok(response)
}

/// Notes when a token was used, now and then, without anyone waiting for it.
fn note_use(admin: &Arc<Admin>, who: &actor::Who) {
    let now = jiff::Timestamp::now();
    if let Some(id) = admin.access.use_to_note(who, now) {
        let admin = Arc::clone(admin);
        // Not awaited: it is written all the same.
        drop(web::block(move || admin.access.note_use(&id, now)));
    }
}

/// What is refused: a browser without a session is shown where to sign in.
fn refuse(
    admin: &Admin,
    request: ServiceRequest,
    error: problem::ApiError,
) -> ServiceResponse<BoxBody> {
    let reason = match error.code {
        crate::codes::API_UNAUTHENTICATED => "unauthenticated",
        crate::codes::API_SCOPE => "scope",
        crate::codes::API_CROSS_SITE => "cross_site",
        _ => "host",
    };
    let labels = vec![("reason", reason.to_owned())];
    admin.metrics.admin_refused.get_or_create(&labels).inc();
    let wants_page = request.method() == Method::GET
        && !request.path().starts_with("/api/")
        && api::accepts(request.request(), "text/html")
        && !request.headers().contains_key(header::AUTHORIZATION);
    if error.status != StatusCode::UNAUTHORIZED || !wants_page {
        return request.error_response(error);
    }
    let back = request
        .uri()
        .path_and_query()
        .map_or("/", |address| address.as_str());
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("back", back)
        .finish();
    request.into_response(
        HttpResponse::SeeOther()
            .insert_header((header::LOCATION, format!("/sign-in?{query}")))
            .finish(),
    )
}

/// Gives every error its document: a page where a browser asks for a page, else problem+json.
fn explain(
    pages: &pages::Pages,
    mut response: ServiceResponse<BoxBody>,
) -> ServiceResponse<BoxBody> {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || is_health(&response) {
        return response;
    }
    let request = response.request().clone();
    let made;
    let error = match response
        .response()
        .error()
        .and_then(|error| error.as_error::<problem::ApiError>())
    {
        Some(error) => error,
        None => {
            let path = request.path();
            let status = only_get(status, request.method());
            made = problem::ApiError::of_status(status, request.method().as_str(), path);
            &made
        }
    };
    if status.is_server_error() {
        tracing::warn!(code = %error.code, path = request.path(), "{}", error.detail.escape_debug());
    }
    let wants_page = !request.path().starts_with("/api/") && api::accepts(&request, "text/html");
    let (media_type, body) = match wants_page.then(|| pages.error(&request, error)).flatten() {
        Some(html) => ("text/html; charset=utf-8", html),
        None => (problem::MEDIA_TYPE, error.to_json(request.path())),
    };
    let status = error.status;
    *response.response_mut().status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED && !response.headers().contains_key(header::ALLOW) {
        let allow = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.map_body(|_, _| BoxBody::new(body))
}

fn is_health(response: &ServiceResponse<BoxBody>) -> bool {
    matches!(response.request().path(), "/livez" | "/readyz")
        && response.status() == StatusCode::SERVICE_UNAVAILABLE
}

/// A method that nothing here takes at all is refused as such, wherever it is sent.
fn only_get(status: StatusCode, method: &Method) -> StatusCode {
    let known = [Method::GET, Method::HEAD, Method::POST];
    if status == StatusCode::NOT_FOUND && !known.contains(method) {
        return StatusCode::METHOD_NOT_ALLOWED;
    }
    status
}

fn secure(headers: &mut header::HeaderMap) {
    let fixed = [
        ("content-security-policy", CONTENT_SECURITY_POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        // Without a referrer the forms of our own pages would say `Origin: null`.
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}
