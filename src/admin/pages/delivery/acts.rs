//! The forms of a delivery's page: translate its request again, forward its events again.

use crate::admin::actor::Actor;
use crate::admin::api::dead_letters::retry_all;
use crate::admin::api::{block, deliveries, id_segment, replays};
use crate::admin::pages::Ask;
use crate::admin::pages::form::see_other;
use crate::admin::problem::ApiError;
use crate::model::{Delivery, Outcome};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Dead letters of a sink that are looked through.
const LETTERS_SEEN: usize = 1_000;
/// How long new attempts are begun.
const RETRY_WITHIN: Duration = Duration::from_secs(20);

/// `POST /deliveries/{id}/replay`: with `to`, its events go to that sink again, now; else its request is translated
/// again, and the page of what came of it is shown.
pub(in crate::admin::pages) async fn replay(
    ask: Ask,
    actor: Actor,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let form = ask.form(&request, payload).await?;
    let id = id_segment(&request, "delivery")?;
    if let Some(sink) = form.get("to")
        && let dead = dead_letters(&ask, id, sink).await?
        && !dead.is_empty()
    {
        let outcomes = retry_all(&ask.admin, &actor, dead, Some(RETRY_WITHIN)).await;
        let failed = outcomes
            .into_iter()
            .find_map(|one| Some((one.code?, one.detail?)));
        return match failed {
            Some((code, detail)) => Err(ApiError::new(StatusCode::BAD_GATEWAY, code, detail)),
            None => Ok(see_other(&format!(
                "/deliveries/{id}?done=forwarded#forwarded"
            ))),
        };
    }
    let to: Vec<String> = form.get("to").map(str::to_owned).into_iter().collect();
    let forwards = !to.is_empty();
    let done = replays::replay_one(&ask.admin, &actor, id, to).await?;
    Ok(match done.replay {
        Some(replay) => see_other(&format!("/deliveries/{replay}?done=replayed")),
        None if forwards => see_other(&format!("/deliveries/{id}?done=forwarded#forwarded")),
        None => see_other(&format!("/deliveries/{id}?done=nothing")),
    })
}

/// The dead letters that a sink has of a delivery.
async fn dead_letters(ask: &Ask, id: Uuid, sink: &str) -> Result<Vec<i64>, ApiError> {
    let (admin, sink) = (Arc::clone(&ask.admin), sink.to_owned());
    block(move || {
        let row = deliveries::find(&admin, id)?;
        let letters = admin.state.dead_letters(Some(&sink), None, LETTERS_SEEN)?;
        let mut of_it: Vec<_> = letters
            .iter()
            .filter(|dead| Some(dead.seq) == row.seq)
            .collect();
        of_it.sort_by_key(|dead| dead.index);
        Ok(of_it.into_iter().map(|dead| dead.id).collect())
    })
    .await
}

/// What a form has done, in words.
pub(super) fn said(done: Option<&str>) -> Option<&'static str> {
    match done? {
        "replayed" => {
            Some("This is the replay: the kept request, translated with the present configuration.")
        }
        "forwarded" => Some("The sink has the events of this delivery again."),
        "nothing" => Some("It was replayed, and nothing came of it."),
        _ => None,
    }
}

/// Whether its request can be translated again: who sent it was known, and it was a delivery.
pub(super) fn is_replayable(delivery: &Delivery) -> bool {
    let outcome = matches!(
        delivery.outcome,
        Outcome::Accepted | Outcome::Ignored | Outcome::Parked
    );
    outcome && delivery.webhook.is_some()
}
