//! `/webhooks/{name}/secret/…`: what an owner does with the secret that a sender delivers.
//!
//! - `learn`: waits for one for 15 minutes; `confirm`, `forget`. Each answers with the webhook as `GET
//!   /webhooks/{name}` shows its `learned_secret`.
//! - `reveal`: `{"secret": "…"}`, while it is pending, for a sender who wants it pasted into a form. It is the one
//!   answer of the API with a secret in it, and each is recorded as an own event.

use super::webhooks::find;
use super::{block, json, segment, shared};
use crate::admin::Admin;
use crate::admin::problem::ApiError;
use crate::learn::{LearnError, Learner, Status};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct WebhookSecret {
    name: String,
    learned_secret: Option<Status>,
}

/// No `Debug`: it holds a secret.
#[derive(Serialize)]
struct Revealed<'a> {
    name: &'a str,
    secret: &'a str,
}

/// `POST …/learn`.
pub(super) async fn learn(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    let wait = |learner: &Learner, name: &str| learner.wait(name, Timestamp::now()).map(|_| ());
    change(&request, &admin, wait).await
}

/// `POST …/confirm`.
pub(super) async fn confirm(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    let confirm =
        |learner: &Learner, name: &str| learner.confirm(name, Timestamp::now()).map(|_| ());
    change(&request, &admin, confirm).await
}

/// `POST …/forget`; also of a webhook that is not configured any more.
pub(super) async fn forget(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    change(&request, &admin, Learner::forget).await
}

async fn change(
    request: &HttpRequest,
    admin: &web::Data<Admin>,
    change: impl FnOnce(&Learner, &str) -> Result<(), LearnError> + Send + 'static,
) -> Result<HttpResponse, ApiError> {
    let (asked, name) = (shared(admin), segment(request, "name").to_owned());
    let done = block(move || {
        let changed = change(&asked.learner, &name);
        changed.map_err(|error| explain(&asked, &name, &error))?;
        let learned_secret = asked.learner.status(&name, Timestamp::now());
        Ok(WebhookSecret {
            name,
            learned_secret,
        })
    });
    json(&done.await?)
}

/// `POST …/reveal`.
pub(super) async fn reveal(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    let (asked, name) = (shared(&admin), segment(&request, "name").to_owned());
    let (name, secret) = block(move || {
        let secret = asked.learner.reveal(&name);
        let secret = secret.map_err(|error| explain(&asked, &name, &error))?;
        Ok((name, secret))
    })
    .await?;
    json(&Revealed {
        name: &name,
        secret: secret.expose(),
    })
}

/// A webhook that is not there is missing before anything else is said of it.
fn explain(admin: &Admin, name: &str, error: &LearnError) -> ApiError {
    let status = match error {
        LearnError::LearnsNothing(_) | LearnError::Conflict(_) => {
            if let Err(missing) = find(&admin.config.current(), name) {
                return missing;
            }
            StatusCode::CONFLICT
        }
        LearnError::State(_) | LearnError::Vault(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    ApiError::new(status, error.code(), error.to_string())
}
