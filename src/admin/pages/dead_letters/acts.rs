//! The forms: retry and discard what a selection finds.

use super::select::{self, Failure, Selected, Selection};
use crate::admin::Admin;
use crate::admin::actor::Actor;
use crate::admin::api::block;
use crate::admin::api::dead_letters::{
    DISCARDS_MAX, REASON_CHARS_MAX, RETRIES_MAX, discard_all, retry_all,
};
use crate::admin::pages::ask::Ask;
use crate::admin::pages::form::see_other;
use crate::admin::problem::ApiError;
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// How long a retry begins new attempts: someone waits for the page.
const RETRY_WITHIN: Duration = Duration::from_secs(20);

/// `POST /dead-letters/retry`: sends again what the plan showed, oldest first.
pub(in crate::admin::pages) async fn retry(
    ask: Ask,
    actor: Actor,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let form = ask.form(&request, payload).await?;
    let selection = Selection::of(|name| form.get(name));
    let mut ids = find(&ask.admin, &selection).await?.ids;
    // Oldest first, so that the order within a sink is kept.
    ids.reverse();
    let all = ids.len();
    ids.truncate(RETRIES_MAX);
    let outcomes = retry_all(&ask.admin, &actor, ids, Some(RETRY_WITHIN)).await;
    let delivered = outcomes.iter().filter(|one| one.result == "delivered");
    let delivered = delivered.count();
    let failed = outcomes.len() - delivered;
    let left = all - outcomes.len();
    // What is refused again may have another reason now: the page shows all of the sink.
    let shown = Selection {
        reason: None,
        code: None,
        ..selection
    };
    let done = [("delivered", delivered), ("failed", failed), ("left", left)];
    Ok(see_other(&shown.url_with(&done)))
}

/// `POST /dead-letters/discard`: forgets a group, for a reason, where the number typed is its number.
pub(in crate::admin::pages) async fn discard(
    ask: Ask,
    actor: Actor,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let form = ask.form(&request, payload).await?;
    let selection = Selection::of(|name| form.get(name));
    let why = form.get("why").map(str::trim).unwrap_or("");
    if why.is_empty() || why.chars().count() > REASON_CHARS_MAX {
        return Err(ApiError::invalid(format!(
            "a discard needs a reason of at most {REASON_CHARS_MAX} characters: go back and give one"
        )));
    }
    let ids = find(&ask.admin, &selection).await?.ids;
    let typed = form.get("count").map(|text| text.trim().replace(',', ""));
    if typed.as_deref() != Some(ids.len().to_string().as_str()) {
        return Err(ApiError::invalid(format!(
            "the number typed is not the number of events, which is {}: nothing was discarded; go back and look again",
            ids.len()
        )));
    }
    let mut discarded = 0;
    for part in ids.chunks(DISCARDS_MAX) {
        let outcomes = discard_all(&ask.admin, &actor, part.to_vec(), Some(why)).await?;
        let done = outcomes.iter().filter(|one| one.result == "discarded");
        discarded += done.count();
    }
    let shown = Selection {
        sink: None,
        reason: None,
        code: None,
        ..selection
    };
    Ok(see_other(&shown.url_with(&[("discarded", discarded)])))
}

async fn find(admin: &Arc<Admin>, selection: &Selection) -> Result<Selected, ApiError> {
    let (admin, selection) = (Arc::clone(admin), selection.clone());
    block(move || {
        select::letters(&admin, &selection, Timestamp::now()).map_err(|failure| match failure {
            Failure::Query(error) => ApiError::query("q", error),
            Failure::Other(error) => error,
        })
    })
    .await
}
