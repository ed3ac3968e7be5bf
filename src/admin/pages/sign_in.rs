//! `/sign-in`: a token is pasted, a cookie stands for it from then on; `/sign-out` ends that.
//!
//! Where TLS ends before us, the browser says so by the `Origin` of the form, which it sends for no other reason
//! than that; the cookie is then `__Host-hookgate`, for this host over TLS alone. Straight from this machine it is
//! `hookgate`. From elsewhere without TLS nobody signs in by a form: the token would go over the wire in clear.

use super::Ask;
use super::form::{local, see_other};
use crate::admin::access::{COOKIE_PLAIN, COOKIE_SECURE, SESSION_HOURS, cookie_of};
use crate::admin::actor::Actor;
use crate::admin::problem::ApiError;
use crate::codes;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::json;

#[derive(Debug, Serialize)]
struct SignInPage {
    back: String,
    wrong: bool,
    left: bool,
    /// Who is signed in already.
    who: Option<String>,
    hours: u64,
}

/// `GET /sign-in`.
pub(super) async fn page(ask: Ask) -> Result<HttpResponse, ApiError> {
    let parameters = ask.parameters(&["back", "wrong", "left"])?;
    let page = SignInPage {
        back: local(parameters.get("back").unwrap_or("/")).to_owned(),
        wrong: parameters.get("wrong").is_some(),
        left: parameters.get("left").is_some(),
        who: ask.who.as_ref().map(|who| who.words()),
        hours: SESSION_HOURS,
    };
    ask.answer("sign-in.html", "", move |_| Ok(page)).await
}

/// `POST /sign-in`.
pub(super) async fn sign_in(
    ask: Ask,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let form = ask.form(&request, payload).await?;
    let origin = request.headers().get(header::ORIGIN);
    let secure = origin.is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    if !secure && !ask.direct {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            codes::API_UNAUTHENTICATED,
            "signing in by a form needs TLS, or a browser on the same machine: put a proxy with TLS in front, or go \
             through an SSH tunnel; programs send `Authorization: Bearer <token>`",
        ));
    }
    let back = local(form.get("back").unwrap_or("/"));
    let settings = ask.config();
    let token = form.get("token").map_or("", str::trim);
    let Some(identity) = ask.admin.access.identify(&settings.admin, token) else {
        count(&ask, "refused");
        tracing::warn!("someone tried to sign in with a token that is not known");
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("wrong", "1")
            .append_pair("back", back)
            .finish();
        return Ok(see_other(&format!("/sign-in?{query}")));
    };
    count(&ask, "signed_in");
    let actor = Actor {
        who: identity.who.clone(),
        from: request.peer_addr().map(|address| address.ip()),
    };
    let about = ("hookgate.admin", "admin listener");
    actor.record(&ask.admin, "hookgate.signed_in", about, json!({}));
    let cookie = ask.admin.access.sign_in(&identity);
    let (name, flag) = if secure {
        (COOKIE_SECURE, "; Secure")
    } else {
        (COOKIE_PLAIN, "")
    };
    // Without an age it goes with the browser; how long it counts is decided here.
    let text = format!(
        "{name}={}; Path=/; HttpOnly; SameSite=Strict{flag}",
        cookie.expose()
    );
    Ok(with_cookie(see_other(back), &text))
}

/// `POST /sign-out`.
pub(super) async fn sign_out(
    ask: Ask,
    actor: Actor,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    ask.form(&request, payload).await?;
    if let Some(cookie) = cookie_of(request.headers(), ask.direct) {
        ask.admin.access.sign_out(cookie);
        let about = ("hookgate.admin", "admin listener");
        actor.record(&ask.admin, "hookgate.signed_out", about, json!({}));
    }
    let mut response = see_other("/sign-in?left=1");
    for (name, flag) in [(COOKIE_SECURE, "; Secure"), (COOKIE_PLAIN, "")] {
        let gone = format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict{flag}");
        response = with_cookie(response, &gone);
    }
    Ok(response)
}

fn with_cookie(mut response: HttpResponse, cookie: &str) -> HttpResponse {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

fn count(ask: &Ask, result: &str) {
    let labels = vec![("result", result.to_owned())];
    ask.admin.metrics.sign_ins.get_or_create(&labels).inc();
}
