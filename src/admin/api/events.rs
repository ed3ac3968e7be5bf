//! `/events`.

use super::parameters::Parameters;
use super::views::EventView;
use super::{block, id_segment, json, search, shared, to_json};
use crate::admin::Admin;
use crate::admin::problem::ApiError;
use actix_web::{HttpRequest, HttpResponse, web};

/// `GET /events`: a page of events that match, or all of them as lines.
pub(super) async fn list(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    let view = |row: &_| to_json(&EventView::from(row));
    search::list(
        request,
        admin,
        |feed, query, paging| feed.events(query, paging),
        view,
    )
    .await
}

/// `GET /events/{id}`.
pub(super) async fn one(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    Parameters::read(request.query_string(), &[])?;
    let id = id_segment(&request, "event")?;
    let admin = shared(&admin);
    let found = block(move || Ok(admin.feed.event(id)?)).await?;
    let row = found.ok_or_else(|| ApiError::not_found(format!("there is no event {id}")))?;
    json(&EventView::from(&row))
}
