//! `Idempotency-Key`: a change that is asked for twice is made once (draft-ietf-httpapi-idempotency-key-header).
//!
//! The first answer is kept for 24 hours, or until a restart, and given again to the same request with
//! `Idempotency-Replayed: true`. The same key with another request is 422, and 409 while the first is under way.
//! Bounded: [`KEYS_MAX`] keys and [`BYTES_MAX`] bytes of answers; the oldest go first.

use super::problem::ApiError;
use crate::codes;
use crate::model::limits;
use actix_web::body::{BoxBody, to_bytes_limited};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpResponse};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Keys that are remembered.
const KEYS_MAX: usize = 1_000;
/// Bytes of their answers together.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of one answer; a longer one is not kept, and its key is refused.
const ANSWER_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long a key is remembered.
const KEPT: Duration = Duration::from_secs(24 * 3_600);
/// Characters of a key.
const KEY_CHARS_MAX: usize = 255;
/// Bytes of a request with a key: as the API reads at most.
const BODY_BYTES_MAX: usize = limits::BODY_BYTES_DEFAULT / 3 * 4 + 64 * 1024;

/// Answers by their keys.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<String, Entry>,
    /// Keys in the order in which they came.
    order: VecDeque<String>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    print: [u8; 32],
    since: Instant,
    /// None: under way.
    answer: Option<Answer>,
}

#[derive(Debug, Clone)]
struct Answer {
    status: StatusCode,
    content_type: Option<HeaderValue>,
    /// None: too large to be kept.
    body: Option<Bytes>,
}

/// What a key says about a request.
#[derive(Debug)]
enum Found {
    New,
    Again(Answer),
    Running,
    Another,
}

/// Lets a request through, or answers as before.
///
/// # Errors
/// As the handler's.
pub(super) async fn once(
    answers: &Arc<Answers>,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let key = match key(&request) {
        None => return next.call(request).await,
        Some(Ok(key)) => key,
        Some(Err(error)) => return Ok(request.error_response(error)),
    };
    let body = match collect(request.take_payload()).await {
        Ok(body) => body,
        Err(error) => return Ok(request.error_response(error)),
    };
    let print = print(&request, &body);
    match answers.look(&key, print) {
        Found::New => {}
        Found::Again(answer) => return Ok(request.into_response(answer.again())),
        Found::Running => {
            let detail = "a request with this Idempotency-Key is under way: ask again in a moment";
            let error = ApiError::new(StatusCode::CONFLICT, codes::API_CONFLICT, detail);
            return Ok(request.error_response(error));
        }
        Found::Another => {
            let detail = "this Idempotency-Key was used for another request: take a new one";
            let error = ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                codes::API_CONFLICT,
                detail,
            );
            return Ok(request.error_response(error));
        }
    }
    // Dropped in the middle, the request may be made again.
    let running = Running {
        answers,
        key,
        kept: false,
    };
    request.set_payload(payload(body));
    let response = next.call(request).await?;
    running.finish(response).await
}

/// The key of a request that changes something.
fn key(request: &ServiceRequest) -> Option<Result<String, ApiError>> {
    let value = request.headers().get("idempotency-key")?;
    let changes = request.method() == Method::POST && request.path().starts_with("/api/");
    // The answer with a new token is given once, and not kept.
    if !changes || request.path().ends_with("/render") || request.path() == "/api/v1/tokens" {
        return None;
    }
    let text = value.to_str().unwrap_or("").trim();
    // The draft writes it as a string with quotes; most clients do not.
    let text = text.trim_matches('"');
    let fits = (1..=KEY_CHARS_MAX).contains(&text.len());
    Some(if fits {
        Ok(text.to_owned())
    } else {
        Err(ApiError::invalid(format!(
            "`Idempotency-Key` must be 1 to {KEY_CHARS_MAX} visible characters of ASCII"
        )))
    })
}

fn print(request: &ServiceRequest, body: &Bytes) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(request.path());
    hash.update([0]);
    hash.update(request.query_string());
    hash.update([0]);
    hash.update(body);
    hash.finalize().into()
}

async fn collect(mut payload: Payload) -> Result<Bytes, ApiError> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|_| ApiError::invalid("the body broke off before it was complete"))?;
        if bytes.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                codes::API_INVALID,
                format!("the body is larger than {BODY_BYTES_MAX} bytes"),
            ));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn payload(body: Bytes) -> Payload {
    type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>;
    let chunks: Chunks = Box::pin(stream::iter([Ok(body)]));
    Payload::from(chunks)
}

impl Answers {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a key; a new one is under way from now on.
    fn look(&self, key: &str, print: [u8; 32]) -> Found {
        let mut kept = self.lock();
        kept.forget(Instant::now());
        if let Some(entry) = kept.entries.get(key) {
            return match &entry.answer {
                _ if entry.print != print => Found::Another,
                None => Found::Running,
                Some(answer) => Found::Again(answer.clone()),
            };
        }
        let entry = Entry {
            print,
            since: Instant::now(),
            answer: None,
        };
        kept.entries.insert(key.to_owned(), entry);
        kept.order.push_back(key.to_owned());
        Found::New
    }

    fn keep(&self, key: &str, answer: Answer) {
        let mut kept = self.lock();
        kept.bytes += answer.len();
        if let Some(entry) = kept.entries.get_mut(key) {
            entry.answer = Some(answer);
        }
    }

    fn drop_key(&self, key: &str) {
        let mut kept = self.lock();
        kept.entries.remove(key);
        kept.order.retain(|known| known != key);
    }
}

impl Kept {
    fn forget(&mut self, now: Instant) {
        while let Some(oldest) = self.order.front() {
            let entry = self.entries.get(oldest);
            let is_old = entry.is_none_or(|e| now.saturating_duration_since(e.since) >= KEPT);
            if !is_old && self.order.len() < KEYS_MAX && self.bytes <= BYTES_MAX {
                return;
            }
            let Some(key) = self.order.pop_front() else {
                return;
            };
            let gone = self.entries.remove(&key).and_then(|entry| entry.answer);
            self.bytes = self
                .bytes
                .saturating_sub(gone.map_or(0, |answer| answer.len()));
        }
    }
}

impl Answer {
    fn len(&self) -> usize {
        self.body.as_ref().map_or(0, Bytes::len)
    }

    fn again(self) -> HttpResponse {
        let Some(body) = self.body else {
            let detail = "this was done before; its answer was too large to be kept";
            let error = ApiError::new(StatusCode::CONFLICT, codes::API_CONFLICT, detail);
            return HttpResponse::from_error(error);
        };
        let mut response = HttpResponse::build(self.status);
        response.insert_header(("idempotency-replayed", "true"));
        if let Some(content_type) = self.content_type {
            response.insert_header((header::CONTENT_TYPE, content_type));
        }
        response.body(body)
    }
}

/// A key whose request is under way.
struct Running<'a> {
    answers: &'a Arc<Answers>,
    key: String,
    kept: bool,
}

impl Running<'_> {
    /// Keeps the answer. What failed for a reason that may pass is not kept.
    async fn finish(
        mut self,
        response: ServiceResponse<BoxBody>,
    ) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
        let status = response.status();
        if status.is_server_error() || response.response().error().is_some() {
            return Ok(response);
        }
        let content_type = response.headers().get(header::CONTENT_TYPE).cloned();
        let (request, response) = response.into_parts();
        let (head, body) = response.into_parts();
        let bytes = to_bytes_limited(body, ANSWER_BYTES_MAX * 8).await;
        let bytes = bytes
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| ApiError::unavailable("the answer cannot be written"))?;
        let answer = Answer {
            status,
            content_type,
            body: Some(bytes.clone()).filter(|bytes| bytes.len() <= ANSWER_BYTES_MAX),
        };
        self.answers.keep(&self.key, answer);
        self.kept = true;
        let response = head.set_body(BoxBody::new(bytes));
        Ok(ServiceResponse::new(request, response))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.answers.drop_key(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bounded() {
        let answers = Answers::default();
        let answer = |bytes: usize| Answer {
            status: StatusCode::OK,
            content_type: None,
            body: Some(Bytes::from(vec![0; bytes])),
        };
        assert!(matches!(answers.look("a", [1; 32]), Found::New));
        assert!(matches!(answers.look("a", [1; 32]), Found::Running));
        assert!(matches!(answers.look("a", [2; 32]), Found::Another));
        answers.keep("a", answer(1));
        assert!(matches!(answers.look("a", [1; 32]), Found::Again(_)));
        for n in 0..2 * KEYS_MAX {
            let key = format!("key-{n}");
            assert!(matches!(answers.look(&key, [0; 32]), Found::New));
            answers.keep(&key, answer(ANSWER_BYTES_MAX / 100));
            let kept = answers.lock();
            assert!(kept.entries.len() <= KEYS_MAX && kept.order.len() == kept.entries.len());
            assert!(kept.bytes <= BYTES_MAX + ANSWER_BYTES_MAX);
        }
        answers.drop_key("key-1999");
        assert!(matches!(answers.look("key-1999", [9; 32]), Found::New));
    }
}
