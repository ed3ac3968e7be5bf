//! Who asks, and hookgate's own events about what they did: the audit log.

use super::Admin;
use super::problem::ApiError;
use crate::log::{Append, own_event};
use crate::model::{Labels, event};
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use serde_json::{Map, Value, json};
use std::future::{Ready, ready};
use std::net::IpAddr;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// Someone who showed no token, and needs none.
    Loopback,
    /// Who has the `admin_token`.
    AdminToken,
    /// Who has a stored token.
    Token {
        /// Its id, which is no secret.
        id: String,
        /// Its name.
        name: String,
    },
}

impl Who {
    /// For people: `token nightly (3f2a…)`.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Loopback => "someone on this machine".to_owned(),
            Self::AdminToken => "admin_token".to_owned(),
            Self::Token { id, name } => format!("token {name} ({id})"),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Loopback => json!({ "kind": "loopback" }),
            Self::AdminToken => json!({ "kind": "admin_token" }),
            Self::Token { id, name } => json!({ "kind": "token", "id": id, "name": name }),
        }
    }
}

/// Who asks, from where.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    pub(crate) who: Who,
    /// The other end of the connection: a proxy's address, where there is one.
    pub(crate) from: Option<IpAddr>,
}

impl FromRequest for Actor {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let found = request.extensions().get::<Self>().cloned();
        ready(found.ok_or_else(|| ApiError::unavailable("nobody knows who asks")))
    }
}

impl Actor {
    /// Keeps what was done as hookgate's own event. What was done stays done where the log does not take it.
    pub(crate) fn record(&self, admin: &Admin, name: &str, resource: (&str, &str), payload: Value) {
        let labels = Labels::from_iter([
            (event::RESOURCE_ID.to_owned(), resource.0.to_owned()),
            (event::RESOURCE_NAME.to_owned(), resource.1.to_owned()),
        ]);
        let payload = match payload {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        self.append(admin, own_event(name, labels, &payload));
    }

    /// Keeps an own event, with who did it and from where.
    pub(crate) fn append(&self, admin: &Admin, mut append: Append) {
        for event in &mut append.delivery.events {
            let fields = serde_json::from_str(event.payload.get());
            let mut fields: Map<String, Value> = fields.unwrap_or_default();
            fields.insert("by".to_owned(), self.who.to_json());
            if let Some(from) = self.from {
                fields.insert("from".to_owned(), from.to_string().into());
            }
            if let Ok(payload) = serde_json::value::to_raw_value(&fields) {
                event.payload = payload;
            }
        }
        if let Err(error) = admin.log.append(append) {
            tracing::warn!(code = %error.code(), %error, "what was done is not recorded as an event");
        }
    }
}
