//! `/events`, as our own JSON or as CloudEvents, by the `Accept` header.

use super::parameters::Parameters;
use super::views::EventView;
use super::{accepts, block, id_segment, json, search, shared, to_json};
use crate::admin::Admin;
use crate::admin::problem::ApiError;
use crate::feed::EventRow;
use crate::model::cloud_event;
use actix_web::{HttpRequest, HttpResponse, web};

/// `GET /events`: a page of events that match, or all of them as lines.
pub(super) async fn list(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    let batch = accepts(&request, cloud_event::BATCH_MEDIA_TYPE);
    let view = if batch {
        |row: &EventRow| Ok(as_cloud_event(row))
    } else {
        |row: &EventRow| to_json(&EventView::from(row))
    };
    let find: search::Find<EventRow> = |feed, query, paging| feed.events(query, paging);
    if batch {
        search::array(request, admin, find, view, cloud_event::BATCH_MEDIA_TYPE).await
    } else {
        search::list(request, admin, find, view).await
    }
}

fn as_cloud_event(row: &EventRow) -> String {
    cloud_event::to_json(&row.event, row.webhook.as_deref(), row.trace.as_ref())
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
    if accepts(&request, cloud_event::MEDIA_TYPE) {
        return Ok(HttpResponse::Ok()
            .content_type(cloud_event::MEDIA_TYPE)
            .body(as_cloud_event(&row)));
    }
    json(&EventView::from(&row))
}
