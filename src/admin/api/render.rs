//! `/render`: what a template or a webhook makes of a request. No side effect.

use super::{block, body, deliveries, json, requests, shared, webhooks};
use crate::admin::Admin;
use crate::admin::problem::{ApiError, Item};
use crate::config::Webhook;
use crate::engine;
use crate::model::http_file::{self, Masking};
use crate::model::{Event, Headers, Note, Problem, Request};
use crate::translate::{Keys, Scope, Template, Translated, Translator};
use actix_web::{HttpResponse, web};
use base64::Engine as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// Name of a template that came with the call, in errors.
const TEMPLATE_NAME: &str = "template";
/// Name of the webhook that is neither named nor the delivery's.
const WEBHOOK_NAME: &str = "render";

/// Body of the call: what to translate with, and what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    /// Text of a template; none: the webhook's own way.
    template: Option<String>,
    /// Name of a webhook; none: the delivery's.
    webhook: Option<String>,
    /// The request: text in `.http` form, or an object.
    request: Option<RequestInput>,
    /// A kept delivery instead.
    delivery_id: Option<Uuid>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RequestInput {
    Http(String),
    Object(RequestObject),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestObject {
    #[serde(default = "post")]
    method: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    query: String,
    #[serde(default)]
    headers: HeadersInput,
    body: Option<serde_json::Value>,
    body_base64: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum HeadersInput {
    Lines(Vec<(String, String)>),
    Names(indexmap::IndexMap<String, String>),
}

impl Default for HeadersInput {
    fn default() -> Self {
        Self::Lines(Vec::new())
    }
}

fn post() -> String {
    "POST".to_owned()
}

#[derive(Debug, Serialize)]
struct Rendered {
    /// `accepted`, or `ignored` where there is no event.
    outcome: &'static str,
    events: Vec<Event>,
    notes: Vec<Note>,
}

/// `POST /render`.
pub(super) async fn render(
    admin: web::Data<Admin>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let call: Call = body::read(payload).await?;
    let admin = shared(&admin);
    let made = block(move || translate(&admin, call)).await?;
    json(&Rendered {
        outcome: if made.events.is_empty() {
            "ignored"
        } else {
            "accepted"
        },
        events: made.events,
        notes: made.notes,
    })
}

fn translate(admin: &Admin, call: Call) -> Result<Translated, ApiError> {
    let (request, of_delivery) = subject(admin, call.request, call.delivery_id)?;
    let config = admin.config.current();
    let name = call.webhook.or(of_delivery);
    let webhook = match name.as_deref() {
        Some(name) => Some(Arc::clone(webhooks::find(&config, name)?)),
        None => None,
    };
    let pointer = |pointer: &'static str| {
        move |problem: Problem| ApiError::unprocessable(problem, Some(pointer))
    };
    let Some(text) = call.template else {
        let webhook = webhook.ok_or_else(|| {
            ApiError::invalid("say what to translate with: `template` or `webhook`")
        })?;
        return own_way(&webhook, &request).map_err(pointer("/webhook"));
    };
    let template = Template::compile(TEMPLATE_NAME, text).map_err(pointer("/template"))?;
    let masking = webhook
        .as_ref()
        .map_or_else(Masking::default, |webhook| webhook.masking.clone());
    let scope = Scope {
        request: &request,
        webhook: webhook
            .as_ref()
            .map_or(WEBHOOK_NAME, |webhook| &webhook.name),
        masking: &masking,
        keys: &Keys::None,
        default_payload: webhook.as_ref().is_none_or(|w| w.default_payload),
    };
    Translator::Template(template)
        .translate(&scope)
        .map_err(|failure| pointer("/template")(failure.problem))
}

/// The webhook's own way, as `serve` goes it after verification.
fn own_way(webhook: &Webhook, request: &Request) -> Result<Translated, Problem> {
    let made = engine::translate(webhook, request);
    match made.error {
        Some(problem) => Err(problem),
        None => Ok(Translated {
            events: made.events,
            item_keys: None,
            notes: made.notes,
        }),
    }
}

/// The request to translate, and the webhook it came to.
fn subject(
    admin: &Admin,
    request: Option<RequestInput>,
    delivery_id: Option<Uuid>,
) -> Result<(Request, Option<String>), ApiError> {
    match (request, delivery_id) {
        (Some(RequestInput::Http(text)), None) => {
            let request = http_file::parse(text.as_bytes(), Timestamp::now());
            request.map(|request| (request, None)).map_err(|error| {
                ApiError::invalid(format!("`request` is not in the .http form: {error}")).with(
                    Item {
                        pointer: Some("/request".to_owned()),
                        detail: error.to_string(),
                        ..Item::default()
                    },
                )
            })
        }
        (Some(RequestInput::Object(object)), None) => Ok((from_object(object)?, None)),
        (None, Some(id)) => {
            let row = deliveries::find(admin, id)?;
            let bytes = requests::stored(admin, &row)?.ok_or_else(|| requests::gone(&row))?;
            Ok((requests::parse(&row, &bytes)?, row.delivery.webhook))
        }
        _ => Err(ApiError::invalid(
            "say what to translate: either `request` or `delivery_id`",
        )),
    }
}

fn from_object(object: RequestObject) -> Result<Request, ApiError> {
    let mut headers = Headers::new();
    let lines: Vec<(String, String)> = match object.headers {
        HeadersInput::Lines(lines) => lines,
        HeadersInput::Names(names) => names.into_iter().collect(),
    };
    for (name, value) in lines {
        headers.push(&name, value);
    }
    let body: Vec<u8> = match (object.body, object.body_base64) {
        (Some(serde_json::Value::String(text)), None) => text.into_bytes(),
        // Written as JSON: the body is its text, and so is its type where none is given.
        (Some(value), None) => {
            if headers.get("content-type").is_none() {
                headers.push("content-type", "application/json");
            }
            value.to_string().into_bytes()
        }
        (None, Some(text)) => base64::engine::general_purpose::STANDARD
            .decode(text.trim())
            .map_err(|_| ApiError::invalid("`request.body_base64` is not base64"))?,
        (None, None) => Vec::new(),
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(
                "`request` has both `body` and `body_base64`; send one",
            ));
        }
    };
    let body = bytes::Bytes::from(body);
    let host = headers.text("host").unwrap_or_else(|| "localhost".into());
    Ok(Request {
        url: format!(
            "http://{host}/hooks/{}{}",
            http_file::SLUG_MASK,
            object.path
        ),
        method: object.method.to_ascii_uppercase(),
        path: object.path,
        query: object.query,
        wire_body: body.clone(),
        body,
        peer: std::net::Ipv4Addr::LOCALHOST.into(),
        received: Timestamp::now(),
        headers,
    })
}
