//! `/providers`: the catalogue of known senders.

use super::parameters::Parameters;
use super::{block, json, segment, shared};
use crate::admin::Admin;
use crate::admin::problem::{ApiError, Item};
use crate::codes;
use crate::providers::{self, Provider, Sample};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use std::path::Path;

/// `GET /providers`: all of them, by name.
pub(super) async fn list(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    Parameters::read(request.query_string(), &[])?;
    let config = shared(&admin).config.current();
    let data = block(move || {
        let beside = config.file.parent();
        let names = providers::names(beside).into_iter();
        // One whose data are damaged is told where it is asked for.
        let loaded = names.filter_map(|name| providers::load(&name, beside).ok());
        Ok(loaded
            .map(|provider| view(&provider, beside))
            .collect::<Vec<_>>())
    })
    .await?;
    json(&json!({ "data": data }))
}

/// `GET /providers/{name}`: one, with its template and its samples.
pub(super) async fn one(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    Parameters::read(request.query_string(), &[])?;
    let name = segment(&request, "name").to_owned();
    let config = shared(&admin).config.current();
    let found = block(move || {
        let beside = config.file.parent();
        let provider = load(&name, beside)?;
        let mut found = view(&provider, beside);
        let samples = providers::samples(&provider.name, beside).unwrap_or_default();
        let samples: Vec<Value> = samples.iter().map(sample).collect();
        if let Some(fields) = found.as_object_mut() {
            let text = provider.template.as_ref().map(|(text, _)| text.as_str());
            fields.insert("template_text".to_owned(), text.into());
            fields.insert("samples".to_owned(), samples.into());
        }
        Ok(found)
    })
    .await?;
    json(&found)
}

/// A provider by its name; blocks.
///
/// # Errors
/// 404 with the nearest name; 422 where its data are damaged.
pub(crate) fn load(name: &str, beside: Option<&Path>) -> Result<Provider, ApiError> {
    providers::load(name, beside).map_err(|problems| {
        let first = problems.into_iter().next();
        match first {
            Some(problem) if problem.code == codes::UNKNOWN_PROVIDER => {
                ApiError::not_found(problem.message).with(Item {
                    detail: problem.help.unwrap_or_default(),
                    ..Item::default()
                })
            }
            Some(problem) => ApiError::unprocessable(problem, None),
            None => ApiError::not_found("there is no such provider"),
        }
    })
}

/// What is known of it, and the names of its samples.
fn view(provider: &Provider, beside: Option<&Path>) -> Value {
    let mut object = provider.describe();
    let samples = providers::samples(&provider.name, beside).unwrap_or_default();
    let names: Vec<String> = samples.into_iter().map(|sample| sample.name).collect();
    if let Some(fields) = object.as_object_mut() {
        fields.insert("samples".to_owned(), names.into());
    }
    object
}

fn sample(sample: &Sample) -> Value {
    let events = sample.events.as_deref();
    let events: Option<Value> = events.and_then(|text| serde_json::from_str(text).ok());
    json!({
        "name": sample.name,
        "request": String::from_utf8_lossy(&sample.request),
        "events": events,
    })
}
