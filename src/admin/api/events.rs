//! `/events`.

use super::ndjson::{self, Lines};
use super::parameters::{Parameters, SEARCHABLE};
use super::views::EventView;
use super::{PageView, accepts, block, id_segment, json, page, shared, to_json};
use crate::admin::Admin;
use crate::admin::problem::ApiError;
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use std::sync::Arc;

/// `GET /events`: a page of events that match, or all of them as lines.
pub(super) async fn list(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    let parameters = Parameters::read(request.query_string(), SEARCHABLE)?;
    let paging = parameters.paging()?;
    let query = parameters.search(Timestamp::now())?;
    let admin = shared(&admin);
    if accepts(&request, ndjson::MEDIA_TYPE) {
        let read = move |paging| {
            let found = admin.feed.events(&query, paging)?;
            let mut text = String::new();
            for row in &found.rows {
                text.push_str(&to_json(&EventView::from(row))?);
                text.push('\n');
            }
            Ok(Lines {
                text,
                rows: found.rows.len(),
                next: found.next,
            })
        };
        return ndjson::stream(Arc::new(read), paging, parameters.limit()?).await;
    }
    let found = block(move || Ok(admin.feed.events(&query, paging)?)).await?;
    page(
        &request,
        &PageView {
            data: found.rows.iter().map(EventView::from).collect(),
            next: found.next.map(|next| next.to_string()),
            indexed_to: Some(found.indexed_to),
        },
    )
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
