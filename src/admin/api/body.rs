//! Reads bodies within limits.

use crate::admin::problem::{ApiError, Item};
use crate::codes;
use crate::model::limits;
use actix_web::http::StatusCode;
use actix_web::web;
use bytes::BytesMut;
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Bytes of a body that the API reads at most: the largest default request in base64, and its envelope.
const BODY_BYTES_MAX: usize = limits::BODY_BYTES_DEFAULT / 3 * 4 + 64 * 1024;
/// How long a body may take in all.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// The JSON body as `T`; an empty body is `{}`.
///
/// # Errors
/// 413 past the limit, 408 past the deadline, 400 where it is not the JSON that is wanted, with its place.
pub(super) async fn read<T: DeserializeOwned>(payload: web::Payload) -> Result<T, ApiError> {
    let bytes = bytes(payload, BODY_BYTES_MAX).await?;
    let text: &[u8] = if bytes.trim_ascii().is_empty() {
        b"{}"
    } else {
        &bytes
    };
    serde_json::from_slice(text).map_err(|error| malformed(&error))
}

/// A body of at most so many bytes.
///
/// # Errors
/// 413 past the limit, 408 past the deadline, 400 where it breaks off.
pub(crate) async fn bytes(payload: web::Payload, max: usize) -> Result<BytesMut, ApiError> {
    tokio::time::timeout(BODY_DEADLINE, collect(payload, max))
        .await
        .map_err(|_| {
            ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                codes::API_INVALID,
                "the body did not arrive within 30 s",
            )
        })?
}

async fn collect(mut payload: web::Payload, max: usize) -> Result<BytesMut, ApiError> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|_| ApiError::invalid("the body broke off before it was complete"))?;
        if bytes.len() + chunk.len() > max {
            return Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                codes::API_INVALID,
                format!("the body is larger than {max} bytes"),
            ));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn malformed(error: &serde_json::Error) -> ApiError {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    let what = text.strip_suffix(&place).unwrap_or(&text).to_owned();
    let count = |n: usize| Some(u32::try_from(n).unwrap_or(u32::MAX)).filter(|n| *n > 0);
    let kind = if error.is_data() {
        "the body is not what this call takes"
    } else {
        "the body is not valid JSON"
    };
    ApiError::invalid(format!("{kind}: {text}")).with(Item {
        pointer: Some(String::new()),
        detail: what,
        line: count(error.line()),
        column: count(error.column()),
        ..Item::default()
    })
}
