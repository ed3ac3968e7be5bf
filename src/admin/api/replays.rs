//! `/replays` and `/deliveries/{id}/replay`: kept requests translated again, or kept events forwarded again.

use super::{block, body, id_segment, json, shared, sinks};
use crate::admin::Admin;
use crate::admin::actor::Actor;
use crate::admin::problem::ApiError;
use crate::codes;
use crate::forward::Parcel;
use crate::model::Problem;
use crate::query::Query;
use crate::replay::{self, Became, Candidate, Done, Plan, ReplayError, Selected, Stores, Wish};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// Body of a replay of one delivery.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    /// Sinks that its events are forwarded to again; none: its request is translated again.
    #[serde(default)]
    to: Vec<String>,
}

/// Body of a replay of many.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Many {
    /// A query in the search grammar.
    q: Option<String>,
    /// Deliveries by their ids, with or instead of a query.
    ids: Vec<Uuid>,
    /// As in [`One`].
    to: Vec<String>,
    /// Also what was replayed with success before, and replays themselves.
    again: bool,
    /// Only the plan.
    dry_run: bool,
    /// Deliveries at most.
    limit: Option<usize>,
    /// That of a plan: nothing is done where the plan would be another one now.
    etag: Option<String>,
}

#[derive(Debug, Serialize)]
struct Replayed {
    data: Vec<Done>,
    done: usize,
    failed: usize,
}

/// `POST /deliveries/{id}/replay`.
pub(super) async fn one(
    request: HttpRequest,
    admin: web::Data<Admin>,
    actor: Actor,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let id = id_segment(&request, "delivery")?;
    let One { to } = body::read(payload).await?;
    json(&replay_one(&shared(&admin), &actor, id, to).await?)
}

/// Replays one delivery: translates its request again, or forwards its events to sinks again.
///
/// # Errors
/// There is no such delivery or sink, it cannot be replayed, or it fails again.
pub(crate) async fn replay_one(
    admin: &Arc<Admin>,
    actor: &Actor,
    id: Uuid,
    to: Vec<String>,
) -> Result<Done, ApiError> {
    let wish = Wish {
        ids: vec![id],
        to,
        ..Wish::default()
    };
    known_sinks(admin, &wish)?;
    let (selected, wish) = select(admin, wish).await?;
    if let Some((_, reason)) = selected.refused.first() {
        return Err(conflict(reason.message()));
    }
    let done = perform(admin, actor, selected, &wish, None).await?;
    let only = done.into_iter().next();
    let only = only.ok_or_else(|| ApiError::unavailable("nothing was replayed"))?;
    if only.result == Became::Failed {
        return Err(failed(only));
    }
    Ok(only)
}

/// `POST /replays`: the plan, or what became of each.
pub(super) async fn many(
    admin: web::Data<Admin>,
    actor: Actor,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let admin = shared(&admin);
    let call: Many = body::read(payload).await?;
    let wish = wish(&call)?;
    known_sinks(&admin, &wish)?;
    let (selected, wish) = select(&admin, wish).await?;
    if call.dry_run {
        return json(&plan(&admin, selected, wish).await?);
    }
    if selected.more && call.limit.is_none() {
        let max = replay::DELIVERIES_MAX;
        return Err(conflict(format!(
            "the query finds more than {max} deliveries, which is the most that are replayed at once: narrow it, or \
             say `limit`, and ask again for the rest"
        )));
    }
    if let Some(etag) = &call.etag {
        let config = admin.config.current();
        let stores = stores(&admin, &config);
        if *etag != replay::etag(stores, &wish, &selected.candidates) {
            return Err(conflict(
                "what would be replayed is not what the plan says any more: ask for the plan again",
            ));
        }
    }
    let data = perform(&admin, &actor, selected, &wish, call.q.as_deref()).await?;
    let failed = data.iter().filter(|one| one.result == Became::Failed);
    let failed = failed.count();
    json(&Replayed {
        done: data.len() - failed,
        failed,
        data,
    })
}

fn wish(call: &Many) -> Result<Wish, ApiError> {
    let text = call.q.as_deref().filter(|text| !text.trim().is_empty());
    let query = text.map(|text| Query::parse(text, Timestamp::now()));
    let query = query
        .transpose()
        .map_err(|error| ApiError::query("q", error))?;
    if query.is_none() && call.ids.is_empty() {
        return Err(ApiError::invalid("say what to replay: `q` or `ids`"));
    }
    let max = replay::DELIVERIES_MAX;
    if call.ids.len() > max || call.limit.is_some_and(|limit| !(1..=max).contains(&limit)) {
        return Err(ApiError::invalid(format!(
            "`ids` and `limit` are at most {max}"
        )));
    }
    Ok(Wish {
        query,
        ids: call.ids.clone(),
        to: call.to.clone(),
        again: call.again,
        limit: call.limit,
    })
}

/// A sink that is not there is told of before anything is done.
fn known_sinks(admin: &Admin, wish: &Wish) -> Result<(), ApiError> {
    let config = admin.config.current();
    let names: Vec<&str> = config.sinks.iter().map(|sink| sink.name.as_str()).collect();
    match wish.to.iter().find(|name| !names.contains(&name.as_str())) {
        Some(unknown) => Err(sinks::missing("sink", unknown, &names)),
        None => Ok(()),
    }
}

fn stores<'a>(admin: &'a Admin, config: &'a crate::config::Config) -> Stores<'a> {
    Stores {
        config,
        log: &*admin.log,
        feed: &*admin.feed,
    }
}

async fn select(admin: &Arc<Admin>, wish: Wish) -> Result<(Selected, Wish), ApiError> {
    let admin = Arc::clone(admin);
    block(move || {
        let config = admin.config.current();
        let selected = replay::select(stores(&admin, &config), &wish)?;
        Ok((selected, wish))
    })
    .await
}

async fn plan(admin: &Arc<Admin>, selected: Selected, wish: Wish) -> Result<Plan, ApiError> {
    let admin = Arc::clone(admin);
    block(move || {
        let config = admin.config.current();
        Ok(replay::plan(stores(&admin, &config), &wish, &selected)?)
    })
    .await
}

/// Does it, and records that it was done. What was named and cannot be replayed is among the results.
async fn perform(
    admin: &Arc<Admin>,
    actor: &Actor,
    selected: Selected,
    wish: &Wish,
    query: Option<&str>,
) -> Result<Vec<Done>, ApiError> {
    let refused = selected.refused.into_iter();
    let mut done: Vec<Done> = refused.map(|(id, why)| Done::refused(id, why)).collect();
    let candidates = selected.candidates;
    if wish.to.is_empty() {
        let admin = Arc::clone(admin);
        done.extend(
            block(move || {
                let config = admin.config.current();
                let stores = stores(&admin, &config);
                Ok(replay::translate_again(stores, &candidates)?)
            })
            .await?,
        );
    } else {
        for candidate in &candidates {
            done.push(forward(admin, candidate, &wish.to).await?);
        }
    }
    tracing::info!(deliveries = done.len(), to = ?wish.to, "deliveries were replayed");
    actor.append(admin, replay::audit(query, &wish.to, &done));
    Ok(done)
}

/// Sends a delivery's events to each sink; the first that refuses ends it.
async fn forward(
    admin: &Arc<Admin>,
    candidate: &Candidate,
    to: &[String],
) -> Result<Done, ApiError> {
    let (asked, seq) = (Arc::clone(admin), candidate.seq);
    let record = block(move || Ok(asked.log.get(seq)?)).await?;
    let Some(record) = record else {
        let problem = Problem::new(codes::API_NOT_FOUND, "its events are no longer kept");
        return Ok(Done::failed(
            candidate.id,
            Some(&candidate.webhook),
            problem,
        ));
    };
    let count = record.delivery.events.len();
    let hop = record.delivery.trace.filter(|hop| hop.is_continued);
    let trace = hop.map(|hop| hop.trace);
    for sink in to {
        let parcel = Parcel {
            seq,
            webhook: record.delivery.webhook.clone(),
            received: record.delivery.received,
            events: record.delivery.events.clone(),
            trace: trace.clone(),
        };
        if let Err(error) = admin.forwarders.send_stored(sink, parcel).await {
            let message = format!("{sink}: {error}");
            let problem = Problem::new(codes::SINK_REFUSED, message);
            return Ok(Done::failed(
                candidate.id,
                Some(&candidate.webhook),
                problem,
            ));
        }
    }
    Ok(Done::forwarded(candidate, count))
}

fn conflict(detail: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, codes::API_CONFLICT, detail)
}

/// One delivery that could not be replayed, as an error.
fn failed(done: Done) -> ApiError {
    let problem = Problem {
        help: done.help,
        ..Problem::new(
            done.code.unwrap_or(codes::API_CONFLICT),
            done.detail.unwrap_or_default(),
        )
    };
    ApiError::unprocessable(problem, None)
}

impl From<ReplayError> for ApiError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Unknown(_) => Self::not_found(error.to_string()),
            ReplayError::Query(error) => Self::query("q", error),
            ReplayError::Feed(error) => error.into(),
            ReplayError::Log(error) => error.into(),
        }
    }
}
