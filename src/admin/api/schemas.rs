//! `/schema/webhooks.json`, `/schema/event.json`: JSON Schemas, as `hookgate schema` prints them.

use super::json;
use super::parameters::Parameters;
use crate::admin::problem::ApiError;
use crate::config::schema;
use actix_web::{HttpRequest, HttpResponse};

/// `GET /schema/webhooks.json`.
pub(super) async fn webhooks(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    Parameters::read(request.query_string(), &[])?;
    json(&schema::webhooks())
}

/// `GET /schema/event.json`.
pub(super) async fn event(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    Parameters::read(request.query_string(), &[])?;
    json(&schema::event())
}
