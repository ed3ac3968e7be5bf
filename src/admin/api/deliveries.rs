//! `/deliveries`.

use super::parameters::Parameters;
use super::views::DeliveryView;
use super::{block, id_segment, json, requests, search, shared, to_json};
use crate::admin::Admin;
use crate::admin::problem::ApiError;
use crate::feed::DeliveryRow;
use crate::model::Outcome;
use actix_web::{HttpRequest, HttpResponse, web};
use uuid::Uuid;

/// `GET /deliveries`: a page of deliveries that match, or all of them as lines.
pub(super) async fn list(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    let view = |row: &_| to_json(&DeliveryView::from(row));
    search::list(
        request,
        admin,
        |feed, query, paging| feed.deliveries(query, paging),
        view,
    )
    .await
}

/// `GET /deliveries/{id}`.
pub(super) async fn one(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    Parameters::read(request.query_string(), &[])?;
    let id = id_segment(&request, "delivery")?;
    let admin = shared(&admin);
    let (row, hints, replays) = block(move || {
        let row = find(&admin, id)?;
        let hints = match row.delivery.outcome {
            Outcome::Rejected => {
                let stored = requests::stored(&admin, &row)?;
                requests::hints(&admin.config.current(), &row, stored.as_deref())
            }
            _ => Vec::new(),
        };
        let replays = admin.feed.replays(id)?;
        Ok((row, hints, replays))
    })
    .await?;
    json(
        &DeliveryView::from(&row)
            .with_hints(hints)
            .with_replays(replays),
    )
}

/// A delivery by its id; blocks.
///
/// # Errors
/// 404 where there is none, 503 where the feed does not answer.
pub(crate) fn find(admin: &Admin, id: Uuid) -> Result<DeliveryRow, ApiError> {
    admin
        .feed
        .delivery(id)?
        .ok_or_else(|| ApiError::not_found(format!("there is no delivery {id}")))
}
