//! `/render`: what a template or a webhook makes of a request. No side effect.

use super::{block, body, deliveries, json, requests, shared, webhooks};
use crate::admin::Admin;
use crate::admin::problem::{ApiError, Item};
use crate::config::{self, Config, Webhook};
use crate::engine::{self, Translation};
use crate::feed::DeliveryRow;
use crate::model::http_file;
use crate::model::{Event, Headers, Note, Problem, Request};
use crate::translate::{Template, Translator};
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
    Object(Box<RequestObject>),
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
    let templated = call.template.is_some();
    let made = block(move || translate(&admin, call)).await?;
    if let Some(problem) = made.error {
        let pointer = if templated { "/template" } else { "/webhook" };
        return Err(pointing(pointer)(problem));
    }
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

fn translate(admin: &Admin, call: Call) -> Result<Translation, ApiError> {
    let mut subject = subject(admin, call.request, call.delivery_id)?;
    let config = admin.config.current();
    let name = call.webhook.or(subject.webhook.take());
    let known = match name.as_deref() {
        Some(name) => Some(Arc::clone(webhooks::find(&config, name)?)),
        None => None,
    };
    let template = call
        .template
        .map(|text| Template::compile(TEMPLATE_NAME, text));
    let template = template.transpose().map_err(pointing("/template"))?;
    let made = match (known, template) {
        (None, None) => {
            return Err(ApiError::invalid(
                "say what to translate with: `template` or `webhook`",
            ));
        }
        (Some(webhook), None) => {
            let request = subject.received(&webhook, &config)?;
            engine::translate(&webhook, &request)
        }
        // The webhook's own key, so that ids are those that its events would have.
        (Some(webhook), Some(template)) => {
            let request = subject.received(&webhook, &config)?;
            engine::translate_by(&webhook, &Translator::Template(template), &request)
        }
        (None, Some(template)) => {
            let bare = config::bare_webhook(WEBHOOK_NAME, Translator::Template(template));
            let mut bare = bare.ok_or_else(|| ApiError::invalid("`render` is no name"))?;
            bare.max_body = config.edge.max_body;
            let request = subject.received(&bare, &config)?;
            engine::translate(&bare, &request)
        }
    };
    Ok(made)
}

fn pointing(pointer: &'static str) -> impl FnOnce(Problem) -> ApiError {
    move |problem| ApiError::unprocessable(problem, Some(pointer))
}

/// What is to be translated.
#[derive(Clone)]
pub(crate) struct Subject {
    pub(crate) request: Request,
    /// The webhook that it came to.
    webhook: Option<String>,
    /// Whether the body is as it was on the wire; what was written by hand as text is not encoded.
    wire: bool,
}

impl Subject {
    /// The kept request of a delivery.
    ///
    /// # Errors
    /// 500 where what is kept is damaged.
    pub(crate) fn kept(row: &DeliveryRow, bytes: &[u8]) -> Result<Self, ApiError> {
        Ok(Self {
            request: requests::parse(row, bytes)?,
            webhook: row.delivery.webhook.clone(),
            wire: true,
        })
    }

    /// A request that was written by hand.
    pub(crate) fn written(request: Request) -> Self {
        Self {
            request,
            webhook: None,
            wire: false,
        }
    }

    /// A request whose body is as it was sent.
    pub(crate) fn from_wire(request: Request) -> Self {
        Self {
            wire: true,
            ..Self::written(request)
        }
    }

    /// The request as the webhook would have received it.
    ///
    /// # Errors
    /// 422 where its body is not what it says it is.
    pub(crate) fn received(
        mut self,
        webhook: &Webhook,
        config: &Config,
    ) -> Result<Request, ApiError> {
        if self.wire {
            engine::receive(&mut self.request, webhook, Some(&config.edge))
                .map_err(pointing("/request"))?;
        }
        Ok(self.request)
    }
}

fn subject(
    admin: &Admin,
    request: Option<RequestInput>,
    delivery_id: Option<Uuid>,
) -> Result<Subject, ApiError> {
    match (request, delivery_id) {
        (Some(RequestInput::Http(text)), None) => {
            let request = http_file::parse(text.as_bytes(), Timestamp::now());
            request.map(Subject::written).map_err(|error| {
                ApiError::invalid(format!("`request` is not in the .http form: {error}")).with(
                    Item {
                        pointer: Some("/request".to_owned()),
                        detail: error.to_string(),
                        ..Item::default()
                    },
                )
            })
        }
        (Some(RequestInput::Object(object)), None) => {
            let made = match object.body_base64 {
                Some(_) => Subject::from_wire,
                None => Subject::written,
            };
            from_object(*object).map(made)
        }
        (None, Some(id)) => {
            let row = deliveries::find(admin, id)?;
            let bytes = requests::stored(admin, &row)?.ok_or_else(|| requests::gone(&row))?;
            Subject::kept(&row, &bytes)
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
