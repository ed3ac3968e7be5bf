//! `/tokens`: make, list and revoke API tokens. A token is shown once, when it is made.

use super::parameters::Parameters;
use super::{block, body, json, segment, shared, to_json};
use crate::admin::Admin;
use crate::admin::actor::Actor;
use crate::admin::problem::{ApiError, Item};
use crate::model::{Secret, time};
use crate::state::{Scope, TokenRow};
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json as object;
use std::sync::Arc;

/// A token as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct TokenView {
    id: String,
    name: String,
    scopes: Vec<Scope>,
    created: String,
    expires: Option<String>,
    /// To about an hour.
    last_used: Option<String>,
    /// Whether it has ended.
    expired: bool,
}

impl From<&TokenRow> for TokenView {
    fn from(row: &TokenRow) -> Self {
        Self {
            id: row.id.clone(),
            name: row.name.clone(),
            scopes: row.scopes.clone(),
            created: time::to_rfc3339(row.created),
            expires: row.expires.map(time::to_rfc3339),
            last_used: row.last_used.map(time::to_rfc3339),
            expired: row.is_over(Timestamp::now()),
        }
    }
}

#[derive(Debug, Serialize)]
struct Tokens {
    data: Vec<TokenView>,
}

/// Body of `POST /tokens`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    scopes: Vec<String>,
    /// Such as `90d`; none: it does not end.
    #[serde(default)]
    expires_in: Option<String>,
}

#[derive(Serialize)]
struct Made<'a> {
    #[serde(flatten)]
    view: TokenView,
    token: &'a str,
}

/// `GET /tokens`.
pub(super) async fn list(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    Parameters::read(request.query_string(), &[])?;
    let data = admin.access.all().iter().map(TokenView::from).collect();
    json(&Tokens { data })
}

/// `POST /tokens`.
pub(super) async fn create(
    admin: web::Data<Admin>,
    actor: Actor,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let New {
        name,
        scopes,
        expires_in,
    } = body::read(payload).await?;
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let made = make(
        &shared(&admin),
        &actor,
        name,
        &scopes,
        expires_in.as_deref(),
    )
    .await;
    let (row, token) = made?;
    let text = to_json(&Made {
        view: TokenView::from(&row),
        token: token.expose(),
    })?;
    Ok(HttpResponse::Created()
        .content_type("application/json")
        .body(text))
}

/// Makes a token and records that; gives what is kept, and the token.
///
/// # Errors
/// A scope is unknown, the name or the time is none, there are too many, or the store fails.
pub(crate) async fn make(
    admin: &Arc<Admin>,
    actor: &Actor,
    name: String,
    scopes: &[&str],
    expires_in: Option<&str>,
) -> Result<(TokenRow, Secret), ApiError> {
    let scopes = scopes.iter().map(|text| Scope::parse(text).ok_or(*text));
    let scopes = scopes.collect::<Result<Vec<_>, _>>().map_err(unknown)?;
    let expires = expires_in.map(end).transpose()?;
    let asked = Arc::clone(admin);
    let (row, token) = block(move || asked.access.create(&name, scopes, expires)).await?;
    tracing::info!(token = row.id, "an API token was made");
    let payload = object!({
        "scopes": row.scopes, "expires": row.expires.map(time::to_rfc3339),
    });
    record(admin, actor, "hookgate.token.created", &row, payload);
    Ok((row, token))
}

fn unknown(scope: &str) -> ApiError {
    ApiError::invalid(format!("there is no scope `{}`", scope.escape_debug())).with(Item {
        pointer: Some("/scopes".to_owned()),
        detail: "is no scope".to_owned(),
        help: Some(format!("there are {}", Scope::list())),
        ..Item::default()
    })
}

/// When a token ends that lasts so long from now.
fn end(text: &str) -> Result<Timestamp, ApiError> {
    let wrong = || ApiError::invalid("`expires_in` is a length of time, such as `90d` or `12h`");
    let lasts = crate::config::parse_duration(text).map_err(|_| wrong())?;
    let lasts = SignedDuration::try_from(lasts).map_err(|_| wrong())?;
    Timestamp::now().checked_add(lasts).map_err(|_| wrong())
}

fn record(admin: &Admin, actor: &Actor, name: &str, row: &TokenRow, payload: serde_json::Value) {
    let id = format!("hookgate.token.{}", row.id);
    actor.record(admin, name, (&id, &row.name), payload);
}

/// `DELETE /tokens/{id}`.
pub(super) async fn revoke(
    request: HttpRequest,
    admin: web::Data<Admin>,
    actor: Actor,
) -> Result<HttpResponse, ApiError> {
    let row = end_now(&shared(&admin), &actor, segment(&request, "id")).await?;
    json(&TokenView::from(&row))
}

/// Revokes a token and records that.
///
/// # Errors
/// There is none of this id, or the store fails.
pub(crate) async fn end_now(
    admin: &Arc<Admin>,
    actor: &Actor,
    id: &str,
) -> Result<TokenRow, ApiError> {
    let (asked, id) = (Arc::clone(admin), id.to_owned());
    let row = block(move || asked.access.revoke(&id)).await?;
    tracing::info!(token = row.id, "an API token was revoked");
    record(
        admin,
        actor,
        "hookgate.token.revoked",
        &row,
        serde_json::Value::Null,
    );
    Ok(row)
}
