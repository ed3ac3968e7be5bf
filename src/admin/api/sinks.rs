//! `/sinks`: what each is doing; hold and let go.

use super::parameters::Parameters;
use super::{block, dead_letters, json, segment, shared};
use crate::admin::Admin;
use crate::admin::actor::Actor;
use crate::admin::problem::ApiError;
use crate::forward::{Parcel, SinkStatus};
use crate::log::{Append, own_event};
use crate::model::{Labels, event};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use std::sync::Arc;
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
    json(&find(&shared(&admin), segment(&request, "name")).await?)
}

/// `POST /sinks/{name}/pause`.
pub(super) async fn pause(
    request: HttpRequest,
    admin: web::Data<Admin>,
    actor: Actor,
) -> Result<HttpResponse, ApiError> {
    json(&hold(&shared(&admin), &actor, segment(&request, "name"), true).await?)
}

/// `POST /sinks/{name}/resume`.
pub(super) async fn resume(
    request: HttpRequest,
    admin: web::Data<Admin>,
    actor: Actor,
) -> Result<HttpResponse, ApiError> {
    json(&hold(&shared(&admin), &actor, segment(&request, "name"), false).await?)
}

/// A test that a sink has.
#[derive(Debug, Serialize)]
pub(crate) struct Tested {
    name: String,
    /// Id of the event that the sink has now.
    pub(crate) event: uuid::Uuid,
    pub(crate) took_ms: u64,
}

/// `POST /sinks/{name}/test`: an event of our own, sent now, past the queue; the answer comes when the sink has it.
pub(super) async fn test(
    request: HttpRequest,
    admin: web::Data<Admin>,
    actor: Actor,
) -> Result<HttpResponse, ApiError> {
    json(&test_now(&shared(&admin), &actor, segment(&request, "name")).await?)
}

/// Sends a sink a test event and waits until it has it.
///
/// # Errors
/// There is no such sink, or it refuses the event.
pub(crate) async fn test_now(
    admin: &Arc<Admin>,
    actor: &Actor,
    name: &str,
) -> Result<Tested, ApiError> {
    find(admin, name).await?;
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
    actor.append(admin, append);
    Ok(Tested {
        name: name.to_owned(),
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

/// Holds a sink or lets it go, and records it.
///
/// # Errors
/// There is no such sink, or the state does not answer.
pub(crate) async fn hold(
    admin: &Arc<Admin>,
    actor: &Actor,
    name: &str,
    paused: bool,
) -> Result<SinkStatus, ApiError> {
    find(admin, name).await?;
    let changed = admin.forwarders.set_paused(name, paused).await;
    changed.map_err(|error| dead_letters::explain(&error))?;
    let what = if paused {
        "hookgate.sink.held"
    } else {
        "hookgate.sink.resumed"
    };
    let id = format!("hookgate.sink.{name}");
    actor.record(admin, what, (&id, name), serde_json::Value::Null);
    find(admin, name).await
}

/// What a sink is doing.
///
/// # Errors
/// There is no such sink.
pub(crate) async fn find(admin: &Arc<Admin>, name: &str) -> Result<SinkStatus, ApiError> {
    let (admin, name) = (Arc::clone(admin), name.to_owned());
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
