//! `GET /views`: the saved searches of `webhooks.toml`.

use super::json;
use super::parameters::Parameters;
use crate::admin::Admin;
use crate::admin::problem::ApiError;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

#[derive(Debug, Serialize)]
struct SavedViews<'a> {
    data: Vec<SavedView<'a>>,
}

#[derive(Debug, Serialize)]
struct SavedView<'a> {
    name: &'a str,
    /// As written: relative times stay relative.
    query: &'a str,
}

/// `GET /views`.
pub(super) async fn list(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    Parameters::read(request.query_string(), &[])?;
    let config = admin.config.current();
    let data = config.views.iter().map(|view| SavedView {
        name: &view.name,
        query: &view.query,
    });
    json(&SavedViews {
        data: data.collect(),
    })
}
