//! `/events/{id}`: one event, readable or as JSON.

use super::Ask;
use super::show::{clock, cut, moment, span};
use super::tree::{self, Tree};
use crate::admin::api::{id_segment, views::EventView};
use crate::admin::problem::ApiError;
use crate::feed::EventRow;
use crate::model::event::{RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

#[derive(Debug, Serialize)]
struct EventPage {
    id: String,
    name: String,
    resource_id: String,
    resource_url: String,
    resource: Vec<(String, String)>,
    related: Vec<Related>,
    payload: Option<Tree>,
    payload_bytes: usize,
    /// The whole event as text, for the tab of that name.
    json: Option<String>,
    occurred: String,
    received: String,
    occurred_clock: String,
    received_clock: String,
    later: Option<String>,
    webhook: Option<String>,
    delivery: String,
    place: String,
    follows: Option<String>,
}

#[derive(Debug, Serialize)]
struct Related {
    role: String,
    id: String,
    url: String,
    name: Option<String>,
    labels: Vec<(String, String)>,
}

/// `GET /events/{id}`.
pub(super) async fn page(ask: Ask, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let parameters = ask.parameters(&["as"])?;
    let as_json = parameters.get("as") == Some("json");
    let id = id_segment(&request, "event")?;
    ask.answer("event.html", "feed", move |ask| {
        let found = ask.admin.feed.event(id)?;
        let row = found.ok_or_else(|| ApiError::not_found(format!("there is no event {id}")))?;
        Ok(gather(&row, as_json))
    })
    .await
}

/// Address of the feed with all events of a resource.
fn feed_of(resource: &str) -> String {
    let quoted = resource.replace('\\', "\\\\").replace('"', "\\\"");
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("q", &format!("resource:\"{quoted}\""))
        .finish();
    format!("/?{query}")
}

fn gather(row: &EventRow, as_json: bool) -> EventPage {
    let event = &row.event;
    let json = || {
        let text = serde_json::to_string_pretty(&EventView::from(row)).unwrap_or_default();
        cut(&text, 200_000)
    };
    let gap = row.received.duration_since(event.occurred);
    EventPage {
        id: event.id.to_string(),
        name: event.event.clone(),
        resource_id: event.resource_id().to_owned(),
        resource_url: feed_of(event.resource_id()),
        resource: pairs(event.resource.iter()),
        related: event
            .related
            .iter()
            .map(|labels| {
                let id = labels.get(RESOURCE_ID).cloned().unwrap_or_default();
                let known = [RESOURCE_ID, RESOURCE_ROLE, RESOURCE_NAME];
                Related {
                    role: labels.get(RESOURCE_ROLE).cloned().unwrap_or_default(),
                    url: feed_of(&id),
                    name: labels.get(RESOURCE_NAME).cloned(),
                    labels: pairs(
                        labels
                            .iter()
                            .filter(|(name, _)| !known.contains(&name.as_str())),
                    ),
                    id,
                }
            })
            .collect(),
        payload: tree::of_json(event.payload.get().as_bytes()),
        payload_bytes: event.payload.get().len(),
        json: as_json.then(json),
        occurred: moment(event.occurred),
        received: moment(row.received),
        occurred_clock: clock(event.occurred),
        received_clock: clock(row.received),
        later: (gap.as_secs() > 0).then(|| span(gap)),
        webhook: row.webhook.clone(),
        delivery: row.delivery.to_string(),
        place: row.position.to_string(),
        follows: event.follows.map(|id| id.to_string()),
    }
}

fn pairs<'a>(labels: impl Iterator<Item = (&'a String, &'a String)>) -> Vec<(String, String)> {
    labels
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
