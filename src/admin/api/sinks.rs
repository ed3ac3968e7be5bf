//! `/sinks`: what each is doing; hold and let go.

use super::parameters::Parameters;
use super::{block, dead_letters, json, segment, shared};
use crate::admin::Admin;
use crate::admin::problem::ApiError;
use crate::forward::{Parcel, SinkStatus};
use crate::log::{Append, own_event};
use crate::model::{Labels, event};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use std::time::Instant;

#[derive(Debug, Serialize)]
struct Sinks {
    data: Vec<SinkStatus>,
}

/// `GET /sinks`.
pub(super) async fn list(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    Parameters::read(request.query_string(), &[])?;
    let admin = shared(&admin);
    let data = block(move || Ok(admin.forwarders.status())).await?;
    json(&Sinks { data })
}

/// `GET /sinks/{name}`.
pub(super) async fn one(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    Parameters::read(request.query_string(), &[])?;
    json(&find(&admin, segment(&request, "name")).await?)
}

/// `POST /sinks/{name}/pause`.
pub(super) async fn pause(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    set_paused(&request, &admin, true).await
}

/// `POST /sinks/{name}/resume`.
pub(super) async fn resume(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    set_paused(&request, &admin, false).await
}

#[derive(Debug, Serialize)]
struct Tested<'a> {
    name: &'a str,
    /// Id of the event that the sink has now.
    event: uuid::Uuid,
    took_ms: u64,
}

/// `POST /sinks/{name}/test`: an event of our own, sent now, past the queue; the answer comes when the sink has it.
pub(super) async fn test(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    let name = segment(&request, "name");
    find(&admin, name).await?;
    let append = test_event(name);
    let events = append.delivery.events.clone();
    let event = events.first().map(|event| event.id).unwrap_or_default();
    let parcel = Parcel {
        seq: 0,
        webhook: None,
        received: append.delivery.received,
        events,
        trace: None,
    };
    let begun = Instant::now();
    let sent = admin.forwarders.send_stored(name, parcel).await;
    sent.map_err(|error| dead_letters::explain(&error))?;
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    if let Err(error) = admin.log.append(append) {
        tracing::warn!(code = %error.code(), %error, "the test of a sink is not recorded as an event");
    }
    json(&Tested {
        name,
        event,
        took_ms,
    })
}

fn test_event(name: &str) -> Append {
    let resource = Labels::from_iter([
        (
            event::RESOURCE_ID.to_owned(),
            format!("hookgate.sink.{name}"),
        ),
        (event::RESOURCE_NAME.to_owned(), name.to_owned()),
    ]);
    let payload = serde_json::Map::from_iter([("test".to_owned(), true.into())]);
    own_event("hookgate.sink.tested", resource, &payload)
}

async fn set_paused(
    request: &HttpRequest,
    admin: &web::Data<Admin>,
    paused: bool,
) -> Result<HttpResponse, ApiError> {
    let name = segment(request, "name");
    find(admin, name).await?;
    let changed = admin.forwarders.set_paused(name, paused).await;
    changed.map_err(|error| dead_letters::explain(&error))?;
    tracing::info!(sink = name, paused, "a sink was held or let go");
    json(&find(admin, name).await?)
}

async fn find(admin: &web::Data<Admin>, name: &str) -> Result<SinkStatus, ApiError> {
    let (admin, name) = (shared(admin), name.to_owned());
    block(move || {
        let all = admin.forwarders.status();
        let names: Vec<&str> = all.iter().map(|sink| sink.name.as_str()).collect();
        let missing = missing("sink", &name, &names);
        all.iter()
            .find(|sink| sink.name == name)
            .cloned()
            .ok_or(missing)
    })
    .await
}

/// 404 with the names that there are.
pub(super) fn missing(what: &str, name: &str, names: &[&str]) -> ApiError {
    let there = if names.is_empty() {
        "none is configured".to_owned()
    } else {
        format!("there are `{}`", names.join("`, `"))
    };
    ApiError::not_found(format!("there is no {what} `{name}`; {there}"))
}
