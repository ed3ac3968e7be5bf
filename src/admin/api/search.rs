//! What `/events` and `/deliveries` share: a page of what matches, or all of it as lines.

use super::ndjson::{self, Lines};
use super::parameters::{Parameters, SEARCHABLE};
use super::{PageView, accepts, block, link_next, page, shared};
use crate::admin::Admin;
use crate::admin::problem::ApiError;
use crate::feed::{Feed, FeedError, Page, Paging};
use crate::query::Query;
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use serde_json::value::RawValue;
use std::sync::Arc;

/// Asks the feed.
pub(super) type Find<R> = fn(&dyn Feed, &Query, Paging) -> Result<Page<R>, FeedError>;

/// A page of rows that match, or all of them as lines; `view` writes a row as JSON.
pub(super) async fn list<R: Send + 'static>(
    request: HttpRequest,
    admin: web::Data<Admin>,
    find: Find<R>,
    view: fn(&R) -> Result<String, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let parameters = Parameters::read(request.query_string(), SEARCHABLE)?;
    let paging = parameters.paging()?;
    let query = parameters.search(Timestamp::now())?;
    let admin = shared(&admin);
    if accepts(&request, ndjson::MEDIA_TYPE) {
        let read = move |paging| {
            let found = find(&*admin.feed, &query, paging)?;
            let mut text = String::new();
            for row in &found.rows {
                text.push_str(&view(row)?);
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
    let found = block(move || Ok(find(&*admin.feed, &query, paging)?)).await?;
    let data = found.rows.iter().map(|row| raw(view(row)?));
    page(
        &request,
        &PageView {
            data: data.collect::<Result<Vec<_>, ApiError>>()?,
            next: found.next.map(|next| next.to_string()),
            indexed_to: Some(found.indexed_to),
        },
    )
}

/// A page as a bare array of another media type; where the next begins is said by `Link` alone.
pub(super) async fn array<R: Send + 'static>(
    request: HttpRequest,
    admin: web::Data<Admin>,
    find: Find<R>,
    view: fn(&R) -> Result<String, ApiError>,
    media_type: &'static str,
) -> Result<HttpResponse, ApiError> {
    let parameters = Parameters::read(request.query_string(), SEARCHABLE)?;
    let paging = parameters.paging()?;
    let query = parameters.search(Timestamp::now())?;
    let admin = shared(&admin);
    let found = block(move || Ok(find(&*admin.feed, &query, paging)?)).await?;
    let rows = found.rows.iter().map(view);
    let rows = rows.collect::<Result<Vec<_>, ApiError>>()?;
    let mut response = HttpResponse::Ok()
        .content_type(media_type)
        .body(format!("[{}]", rows.join(",")));
    let next = found.next.map(|next| next.to_string());
    link_next(&request, &mut response, next.as_deref());
    Ok(response)
}

fn raw(json: String) -> Result<Box<RawValue>, ApiError> {
    RawValue::from_string(json)
        .map_err(|error| ApiError::unavailable(format!("the answer cannot be written: {error}")))
}
