//! The one table of statuses. What a sender hears is a fixed line: its type cannot hold detail, which is in
//! the delivery's record, for the owner.

use crate::model::limits::REFLECTED_BYTES_MAX;
use actix_web::HttpResponse;
use actix_web::HttpResponseBuilder;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::{StatusCode, header};
use actix_web::web::Payload;
use bytes::Bytes;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use uuid::Uuid;

const TEXT: &str = "text/plain; charset=utf-8";
/// Names the delivery that was recorded, so that sender and owner can speak of the same thing.
const DELIVERY_HEADER: &str = "hookgate-delivery";

/// Why a request was refused before anyone asked who sent it. Nothing is recorded of it but a count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// 400: the body ends before its announced length, or its framing or its coding is broken.
    BadRequest,
    /// 403: `allow` does not hold the client's address.
    Address,
    /// 404: no such slug, or not enabled.
    UnknownSlug,
    /// 405, with the methods that are allowed, such as `POST, PUT`.
    Method {
        /// For the `Allow` header.
        allow: String,
    },
    /// 408: the body came too slowly.
    Timeout,
    /// 413: on the wire or after decompression, or it grows suspiciously when decompressed.
    TooLarge,
    /// 414: path and query together are too long.
    UrlTooLong,
    /// 415: an unknown content coding, or too many of them.
    UnsupportedCoding,
    /// 429: the webhook's `rate`.
    RateLimited {
        /// When to come again.
        retry_after: Duration,
    },
    /// 431: too many header lines, or too many bytes in them.
    HeadersTooLarge,
    /// 503: the log, or the memory for bodies, takes no more now. Nothing was accepted, nothing is lost.
    Busy {
        /// When to come again.
        retry_after: Duration,
    },
}

impl Refusal {
    /// Status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Address => StatusCode::FORBIDDEN,
            Self::UnknownSlug => StatusCode::NOT_FOUND,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UrlTooLong => StatusCode::URI_TOO_LONG,
            Self::UnsupportedCoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The line that the sender reads.
    #[must_use]
    pub fn line(&self) -> &'static str {
        match self {
            Self::BadRequest => "the request is malformed\n",
            Self::Address => "this address may not call here\n",
            Self::UnknownSlug => "there is no such webhook\n",
            Self::Method { .. } => "this method is not allowed here\n",
            Self::Timeout => "the body came too slowly\n",
            Self::TooLarge => "the body is too large\n",
            Self::UrlTooLong => "the URL is too long\n",
            Self::UnsupportedCoding => "this content encoding is not supported\n",
            Self::RateLimited { .. } => "too many requests\n",
            Self::HeadersTooLarge => "the headers are too large\n",
            Self::Busy { .. } => "busy: nothing was accepted, please send it again\n",
        }
    }

    /// Whether the connection ends with this answer.
    ///
    /// It does where the rest of the body cannot be trusted or is not worth reading, and for strangers: actix-web
    /// sets a deadline for the first head of a connection only, so who does not know a slug gets no second one.
    #[must_use]
    pub fn closes(&self) -> bool {
        match self {
            Self::BadRequest
            | Self::UnknownSlug
            | Self::Timeout
            | Self::TooLarge
            | Self::UrlTooLong
            | Self::HeadersTooLarge => true,
            Self::Address
            | Self::Method { .. }
            | Self::UnsupportedCoding
            | Self::RateLimited { .. }
            | Self::Busy { .. } => false,
        }
    }

    /// The answer. `payload` is what may not have been read yet of the body: it is held until the answer is out, so
    /// that actix-web closes the connection within its disconnect timeout, instead of reading chunks without end.
    #[must_use]
    pub fn into_response(self, payload: Payload) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        if self.closes() {
            response.force_close();
        }
        match &self {
            Self::Method { allow } => {
                response.insert_header((header::ALLOW, allow.as_str()));
            }
            Self::RateLimited { retry_after } | Self::Busy { retry_after } => {
                response.insert_header((header::RETRY_AFTER, whole_seconds(*retry_after)));
            }
            Self::BadRequest
            | Self::Address
            | Self::UnknownSlug
            | Self::Timeout
            | Self::TooLarge
            | Self::UrlTooLong
            | Self::UnsupportedCoding
            | Self::HeadersTooLarge => {}
        }
        response.insert_header((header::CONTENT_TYPE, TEXT));
        response.body(BoxBody::new(HoldingLine {
            line: Some(Bytes::from_static(self.line().as_bytes())),
            _unread: payload,
        }))
    }
}

/// Seconds for `Retry-After`, rounded up, at least one.
fn whole_seconds(wait: Duration) -> String {
    let up = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(up).max(1).to_string()
}

/// A line of body that keeps the unread part of the request alive as long as itself.
struct HoldingLine {
    line: Option<Bytes>,
    _unread: Payload,
}

impl MessageBody for HoldingLine {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.line.as_ref().map_or(0, |line| line.len() as u64))
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(self.line.take().map(Ok))
    }
}

/// What became of a request that was read whole, as the sender hears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Accepted, ignored or a duplicate: as the webhook or its provider says.
    Taken {
        /// Id of the delivery.
        delivery: Uuid,
        /// What to say.
        reply: Reply,
    },
    /// Verified, but not translatable now; recorded, and answered as a success (`on_error = "accept"`).
    ParkedAccepted {
        /// Id of the delivery.
        delivery: Uuid,
        /// What to say.
        reply: Reply,
    },
    /// 400: verified, but not translatable now.
    ParkedRefused {
        /// Id of the delivery.
        delivery: Uuid,
    },
    /// 415: the webhook takes CloudEvents, and this is none.
    ParkedNoCloudEvent {
        /// Id of the delivery.
        delivery: Uuid,
    },
    /// 401: not verified. Same body for every reason, and no id.
    Rejected {
        /// Only for the schemes that HTTP itself knows.
        challenge: Option<Challenge>,
    },
    /// 401 without a body, for senders that test their receivers and count one as wrong (Xero).
    RejectedBare,
    /// A registration or challenge, answered.
    Handshake {
        /// Id of the delivery, where it was recorded in the log.
        delivery: Option<Uuid>,
        /// What to say.
        reflected: Reflected,
    },
}

impl Answer {
    /// Status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Taken { reply, .. } | Self::ParkedAccepted { reply, .. } => reply.status,
            Self::ParkedRefused { .. } => StatusCode::BAD_REQUEST,
            Self::ParkedNoCloudEvent { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Rejected { .. } | Self::RejectedBare => StatusCode::UNAUTHORIZED,
            Self::Handshake { reflected, .. } => reflected.status,
        }
    }

    /// The answer. `query_token`: the credential stood in the URL, so that no shared cache may keep the answer
    /// (RFC 6750 section 2.3).
    #[must_use]
    pub fn into_response(self, query_token: bool) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        if query_token {
            response.insert_header((header::CACHE_CONTROL, "private"));
        }
        match self {
            Self::Taken { delivery, reply } | Self::ParkedAccepted { delivery, reply } => {
                name_delivery(&mut response, delivery);
                reply.finish(response)
            }
            Self::ParkedRefused { delivery } => {
                name_delivery(&mut response, delivery);
                line(response, "the request could not be translated\n")
            }
            Self::ParkedNoCloudEvent { delivery } => {
                name_delivery(&mut response, delivery);
                line(response, "the request is no CloudEvent\n")
            }
            Self::Rejected { challenge } => {
                if let Some(challenge) = challenge {
                    response.insert_header((header::WWW_AUTHENTICATE, challenge.text()));
                }
                line(response, "the sender could not be verified\n")
            }
            Self::RejectedBare => response.finish(),
            Self::Handshake {
                delivery,
                reflected,
            } => {
                if let Some(delivery) = delivery {
                    name_delivery(&mut response, delivery);
                }
                reflected.finish(response)
            }
        }
    }
}

fn line(mut response: HttpResponseBuilder, text: &'static str) -> HttpResponse {
    response.insert_header((header::CONTENT_TYPE, TEXT));
    response.body(text)
}

fn name_delivery(response: &mut HttpResponseBuilder, id: Uuid) {
    let mut text = Uuid::encode_buffer();
    let text = id.hyphenated().encode_lower(&mut text);
    if let Ok(value) = header::HeaderValue::from_str(text) {
        response.insert_header((header::HeaderName::from_static(DELIVERY_HEADER), value));
    }
}

/// An authentication scheme of HTTP itself. Clients such as Java's send a password only after being asked for
/// one; signatures have no registered scheme, so a 401 about one carries no challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// RFC 7617.
    Basic,
    /// RFC 6750.
    Bearer,
}

impl Challenge {
    /// The challenge of a verification scheme (`basic`, `bearer`), if HTTP knows it.
    #[must_use]
    pub fn of_scheme(scheme: &str) -> Option<Self> {
        match scheme {
            "basic" => Some(Self::Basic),
            "bearer" => Some(Self::Bearer),
            _ => None,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Basic => "Basic realm=\"hookgate\", charset=\"UTF-8\"",
            Self::Bearer => "Bearer realm=\"hookgate\"",
        }
    }
}

/// What a webhook or its provider says on success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    status: StatusCode,
    content_type: Option<String>,
    body: Bytes,
}

impl Reply {
    /// 204, nothing else.
    #[must_use]
    pub fn no_content() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            content_type: None,
            body: Bytes::new(),
        }
    }

    /// A reply with a body. A status that is no 2xx becomes 200: it says that the request was taken.
    #[must_use]
    pub fn new(status: u16, content_type: Option<String>, body: impl Into<Bytes>) -> Self {
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(StatusCode::is_success);
        Self {
            status: status.unwrap_or(StatusCode::OK),
            content_type,
            body: body.into(),
        }
    }

    fn finish(self, mut response: HttpResponseBuilder) -> HttpResponse {
        // RFC 9110 sections 15.3.5 and 15.3.6: these have no content.
        let bare = matches!(
            self.status,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT
        );
        if bare || self.body.is_empty() {
            return response.finish();
        }
        content_type(&mut response, self.content_type.as_deref());
        response.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        response.body(self.body)
    }
}

fn content_type(response: &mut HttpResponseBuilder, wanted: Option<&str>) {
    let value = wanted.and_then(|text| header::HeaderValue::from_str(text).ok());
    let value = value.unwrap_or(header::HeaderValue::from_static(TEXT));
    response.insert_header((header::CONTENT_TYPE, value));
}

/// What a handshake says, parts of which the caller chose: bounded, and never a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reflected {
    status: StatusCode,
    headers: Vec<(header::HeaderName, header::HeaderValue)>,
    json: bool,
    body: String,
}

impl Reflected {
    /// Checks a handshake's answer: body and header values of at most 1 KiB, headers of printable ASCII, `text/plain`
    /// or `application/json`.
    #[must_use]
    pub fn new(
        status: u16,
        headers: &[(String, String)],
        content_type: Option<&str>,
        body: String,
    ) -> Option<Self> {
        let essence = content_type.map(crate::model::request::media_type);
        let json = match essence.as_deref() {
            None | Some("" | "text/plain") => false,
            Some("application/json") => true,
            Some(_) => return None,
        };
        let headers = headers.iter().map(|(name, value)| {
            let printable = value.bytes().all(|b| (0x20..0x7f).contains(&b));
            if !printable || value.len() > REFLECTED_BYTES_MAX {
                return None;
            }
            let name = header::HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, header::HeaderValue::from_str(value).ok()?))
        });
        let headers = headers.collect::<Option<Vec<_>>>()?;
        let status = StatusCode::from_u16(status).ok()?;
        let allowed = status.is_success() || status.is_client_error();
        (allowed && body.len() <= REFLECTED_BYTES_MAX).then_some(Self {
            status,
            headers,
            json,
            body,
        })
    }

    fn finish(self, mut response: HttpResponseBuilder) -> HttpResponse {
        for (name, value) in self.headers {
            response.append_header((name, value));
        }
        response.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        response.insert_header((header::CONTENT_SECURITY_POLICY, "sandbox"));
        if self.body.is_empty() || self.status == StatusCode::NO_CONTENT {
            return response.finish();
        }
        let kind = if self.json { "application/json" } else { TEXT };
        response.insert_header((header::CONTENT_TYPE, kind));
        response.body(self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::FromRequest;
    use actix_web::body::to_bytes;
    use actix_web::test::TestRequest;

    async fn unread() -> Payload {
        let (request, mut payload) = TestRequest::post().set_payload("rest").to_http_parts();
        Payload::from_request(&request, &mut payload).await.unwrap()
    }

    fn header<'a>(response: &'a HttpResponse, name: &str) -> Option<&'a str> {
        response.headers().get(name).map(|v| v.to_str().unwrap())
    }

    async fn text(response: HttpResponse) -> String {
        let bytes = to_bytes(response.into_body()).await.ok().unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[actix_web::test]
    async fn refusals_as_promised() {
        let wait = Duration::from_millis(1_200);
        let allow = "POST, PUT".to_owned();
        for (refusal, status, named) in [
            (Refusal::BadRequest, 400, None),
            (Refusal::Address, 403, None),
            (Refusal::UnknownSlug, 404, None),
            (Refusal::Method { allow }, 405, Some(("allow", "POST, PUT"))),
            (Refusal::Timeout, 408, None),
            (Refusal::TooLarge, 413, None),
            (Refusal::UrlTooLong, 414, None),
            (Refusal::UnsupportedCoding, 415, None),
            (
                Refusal::RateLimited { retry_after: wait },
                429,
                Some(("retry-after", "2")),
            ),
            (Refusal::HeadersTooLarge, 431, None),
            (
                Refusal::Busy {
                    retry_after: Duration::ZERO,
                },
                503,
                Some(("retry-after", "1")),
            ),
        ] {
            let closes = refusal.closes();
            let response = refusal.clone().into_response(unread().await);
            assert_eq!(response.status().as_u16(), status, "{refusal:?}");
            if let Some((name, value)) = named {
                assert_eq!(header(&response, name), Some(value), "{refusal:?}");
            }
            assert_eq!(header(&response, "content-type"), Some(TEXT));
            assert_eq!(header(&response, DELIVERY_HEADER), None);
            assert_eq!(!response.head().keep_alive(), closes, "{refusal:?}");
            let line = text(response).await;
            assert!(line.ends_with('\n') && line.lines().count() == 1 && line.len() < 80);
        }
    }

    #[actix_web::test]
    async fn outcomes_as_promised() {
        let delivery = Uuid::from_u128(7);
        let id = delivery.to_string();
        let taken = |reply| Answer::Taken { delivery, reply }.into_response(false);
        let response = taken(Reply::no_content());
        assert_eq!(response.status(), 204);
        assert_eq!(header(&response, DELIVERY_HEADER), Some(id.as_str()));
        assert_eq!(header(&response, "content-type"), None);
        assert_eq!(text(response).await, "");

        let response = taken(Reply::new(204, Some("text/plain".into()), "lost"));
        assert_eq!(header(&response, "content-type"), None);
        assert_eq!(text(response).await, "");

        let response = taken(Reply::new(202, Some("application/json".into()), "{}"));
        assert_eq!(response.status(), 202);
        assert_eq!(header(&response, "content-type"), Some("application/json"));
        assert_eq!(text(response).await, "{}");

        let response = taken(Reply::new(200, Some("bad\nvalue".into()), "x"));
        assert_eq!(header(&response, "content-type"), Some(TEXT));
        assert_eq!(Reply::new(500, None, "x").status, 200);

        for (answer, status) in [
            (Answer::ParkedRefused { delivery }, 400),
            (Answer::ParkedNoCloudEvent { delivery }, 415),
            (
                Answer::ParkedAccepted {
                    delivery,
                    reply: Reply::new(200, None, ""),
                },
                200,
            ),
        ] {
            let response = answer.into_response(true);
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(header(&response, DELIVERY_HEADER), Some(id.as_str()));
            assert_eq!(header(&response, "cache-control"), Some("private"));
        }
    }

    #[actix_web::test]
    async fn a_401_tells_nothing() {
        let of = |scheme| {
            let challenge = Challenge::of_scheme(scheme);
            Answer::Rejected { challenge }.into_response(false)
        };
        for (scheme, asks) in [("basic", true), ("bearer", true), ("hmac-sha256", false)] {
            let response = of(scheme);
            assert_eq!(response.status(), 401);
            assert_eq!(header(&response, DELIVERY_HEADER), None);
            assert_eq!(header(&response, "www-authenticate").is_some(), asks);
            assert_eq!(text(response).await, "the sender could not be verified\n");
        }
        let bare = Answer::RejectedBare.into_response(false);
        assert_eq!(
            (bare.status().as_u16(), header(&bare, "content-type")),
            (401, None)
        );
        assert_eq!(text(bare).await, "");
    }

    #[actix_web::test]
    async fn reflections_are_bounded_and_no_page() {
        let pairs = |value: &str| vec![("X-Hook-Secret".to_owned(), value.to_owned())];
        let ok = Reflected::new(200, &pairs("fake-0001"), None, "<b>challenge</b>".into()).unwrap();
        let response = Answer::Handshake {
            delivery: None,
            reflected: ok,
        }
        .into_response(false);
        assert_eq!(header(&response, "x-hook-secret"), Some("fake-0001"));
        assert_eq!(header(&response, "content-type"), Some(TEXT));
        assert_eq!(header(&response, "x-content-type-options"), Some("nosniff"));
        assert_eq!(
            header(&response, "content-security-policy"),
            Some("sandbox")
        );
        assert_eq!(text(response).await, "<b>challenge</b>");
        let json = Some("application/json; charset=utf-8");
        assert!(Reflected::new(200, &[], json, "{}".into()).is_some());
        assert!(Reflected::new(200, &[], Some("text/html"), "x".into()).is_none());
        assert!(Reflected::new(200, &[], None, "x".repeat(1025)).is_none());
        assert!(Reflected::new(200, &pairs("a\r\nb: c"), None, String::new()).is_none());
        assert!(Reflected::new(200, &pairs("é"), None, String::new()).is_none());
        assert!(Reflected::new(302, &[], None, String::new()).is_none());
    }
}
