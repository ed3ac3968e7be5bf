//! One request's way on one screen: intake → verify → translate → log → answer.
//!
//! The order of refusals is fixed: 404, 405, 403, 429, 408/413/415, handshake, 401, 400. What is refused before
//! verification is counted, not stored; what is rejected goes to a bounded ring; everything else is in the log
//! before its answer goes out.

mod alarms;
mod confirm;
mod keys;
mod observer;
mod record;
mod routes;
mod teach;

pub use alarms::Alarms;
pub use observer::{Glance, Observer, Refused, Seen};
pub use routes::{Door, Routes};

use crate::codes::{self, Code};
use crate::config::{Response, Webhook};
use crate::engine::{self, Translation};
use crate::feed::Feed;
use crate::intake::answer::{Answer, Challenge, Reflected, Refusal, Reply};
use crate::intake::body::{self, BodyLimits};
use crate::intake::budget::{Budget, Permit};
use crate::intake::client::Client;
use crate::intake::coding;
use crate::intake::head::{self, Head, Target, UrlBase};
use crate::keyring::Keyring;
use crate::learn::Learner;
use crate::log::{Append, Appended, EventLog, LogError};
use crate::model::{Outcome, Request, Slug};
use crate::providers::{Confirmation, HandshakeAnswer};
use crate::telemetry::webhook::InFlight;
use crate::telemetry::{DeliveryLine, DeliveryLog, Metrics};
use crate::translate::{ParsedBody, Scope};
use crate::verify::Verdict;
use actix_web::http::header::HeaderValue;
use actix_web::{HttpRequest, HttpResponse, web};
use arc_swap::ArcSwap;
use bytes::Bytes;
use jiff::Timestamp;
use observer::Told;
use record::Draft;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// When to come again after the log could not take a request for a reason that does not pass by itself at once.
const RETRY_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// What every request needs. One for the process, shared by all workers.
pub struct Gateway {
    /// What the running configuration routes to.
    pub routes: ArcSwap<Routes>,
    /// Where deliveries go.
    pub log: Arc<dyn EventLog>,
    /// Where rejected requests go.
    pub feed: Arc<dyn Feed>,
    /// Secrets that senders deliver.
    pub learner: Arc<Learner>,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// Keys that senders publish.
    pub keyring: Arc<Keyring>,
    /// Memory for bodies.
    pub budget: Budget,
    /// A line for each delivery.
    pub lines: DeliveryLog,
    /// What the owner hears of failures.
    pub alarms: Alarms,
    /// Set when the process is stopping: `/health` then answers 503.
    pub draining: AtomicBool,
    /// `dev`: sees every answer, and has senders told why a request failed.
    pub observer: Option<Arc<dyn Observer>>,
}

/// A request that has been read within its limits.
struct Received {
    request: Request,
    /// By which it came, where it is not the webhook's own any more.
    old_slug: Option<Slug>,
    begun: Instant,
    read: Duration,
    /// The webhook's rate is used up: answered only if it is a handshake.
    over_rate: Option<Refusal>,
    /// Memory that the body holds; given back when the answer is ready.
    _permit: Permit,
}

impl Received {
    fn draft(&self, door: &Door, outcome: Outcome) -> Draft {
        Draft::new(door, &self.request, self.old_slug.as_ref(), outcome)
    }
}

/// How a request ended: refused before anyone asked who sent it, or answered.
type Outgoing = Result<HttpResponse, Refusal>;

/// The public listener's routes.
pub fn configure(gateway: &web::Data<Gateway>) -> impl Fn(&mut web::ServiceConfig) + Clone + use<> {
    let gateway = gateway.clone();
    move |service| {
        service
            .app_data(gateway.clone())
            .route("/health", web::get().to(health))
            .route("/health", web::head().to(health))
            .default_service(web::to(handle));
    }
}

/// A bare 200 or 503. The connection is closed: a stranger gets no second head, which has no deadline.
async fn health(gateway: web::Data<Gateway>) -> HttpResponse {
    let stats = gateway.log.stats();
    let down = gateway.draining.load(Ordering::Relaxed) || !stats.writable || stats.over_size;
    let mut response = if down {
        HttpResponse::ServiceUnavailable()
    } else {
        HttpResponse::Ok()
    };
    response.force_close().finish()
}

async fn handle(
    gateway: web::Data<Gateway>,
    http: HttpRequest,
    mut payload: web::Payload,
) -> HttpResponse {
    let begun = Instant::now();
    let routes = gateway.routes.load_full();
    // The raw path: what is percent-encoded is decoded once, by us.
    let target = Target::parse(http.uri().path());
    let now = Timestamp::now();
    let found = target.and_then(|target| Some((routes.find(&target, now)?, target)));
    let Some(((door, old_slug), target)) = found else {
        gateway.metrics.unknown_slug.inc();
        gateway.refused(None, http.method().as_str(), &Refusal::UnknownSlug);
        return Refusal::UnknownSlug.into_response(payload);
    };
    // Counted until it is answered, or its sender has gone.
    let _in_flight = InFlight::enter(&gateway.metrics);
    let outgoing = gateway
        .serve(
            &routes,
            (door, old_slug),
            &target,
            &http,
            &mut payload,
            begun,
        )
        .await;
    match outgoing {
        Ok(response) => response,
        Err(refusal) => {
            door.metrics.refused(refusal.status().as_u16());
            let name = Some(door.webhook.name.as_str());
            gateway.refused(name, http.method().as_str(), &refusal);
            refusal.into_response(payload)
        }
    }
}

impl Gateway {
    /// From the head to the answer.
    async fn serve(
        &self,
        routes: &Routes,
        (door, old_slug): (&Door, Option<&Slug>),
        target: &Target<'_>,
        http: &HttpRequest,
        payload: &mut web::Payload,
        begun: Instant,
    ) -> Outgoing {
        let mut received = self
            .receive(routes, door, target, http, payload, begun)
            .await?;
        if let Some(slug) = old_slug {
            received.old_slug = Some(slug.clone());
            door.metrics.by_old_slug();
        }
        let webhook = &*door.webhook;
        let shake = webhook
            .handshakes
            .iter()
            .find_map(|h| Some((h, h.answer(&received.request, &webhook.secrets)?)));
        match (received.over_rate.take(), &shake, &door.handshakes) {
            (Some(refusal), None, _) => return Err(refusal),
            // What is over the rate has taken its place among the handshakes already.
            (None, Some(_), Some(limiter)) => limiter.check()?,
            _ => {}
        }
        if let Some((handshake, answer)) = &shake
            && handshake.is_teaching()
        {
            return self.shake_teaching(door, received, handshake, answer).await;
        }
        if let Some((handshake, answer)) = &shake
            && !handshake.signed
        {
            return Ok(self.shake_unsigned(door, &received, answer));
        }
        if !webhook.methods.contains(&received.request.method) && shake.is_none() {
            return Err(Refusal::Method {
                allow: webhook.methods.join(", "),
            });
        }
        let begun = Instant::now();
        let verdict = self.verify(door, &received.request).await?;
        let verified = begun.elapsed();
        if verdict.failure.is_some() {
            return Ok(self.reject(door, &received, verdict, verified));
        }
        if let Some((handshake, answer)) = &shake {
            let confirmation = handshake.confirmation(&received.request);
            return self
                .shake_signed(door, received, verdict, verified, (answer, confirmation))
                .await;
        }
        self.accept(door, received, verdict, verified).await
    }

    /// Reads a request within the limits of server and webhook.
    async fn receive(
        &self,
        routes: &Routes,
        door: &Door,
        target: &Target<'_>,
        http: &HttpRequest,
        payload: &mut web::Payload,
        begun: Instant,
    ) -> Result<Received, Refusal> {
        let (webhook, edge) = (&*door.webhook, &routes.config.edge);
        let received = Timestamp::now();
        if !door
            .methods
            .iter()
            .any(|method| method == http.method().as_str())
        {
            return Err(Refusal::Method {
                allow: webhook.methods.join(", "),
            });
        }
        let headers = http.headers();
        let peer = http
            .peer_addr()
            .map_or(IpAddr::from([0, 0, 0, 0]), |address| address.ip());
        let client = Client::of_request(peer, headers, &edge.trusted_proxies);
        if !client.is_allowed(&webhook.allow) {
            return Err(Refusal::Address);
        }
        let base = UrlBase {
            webhook: webhook.public_url.as_deref(),
            server: edge.public_url.as_deref(),
            secure: head::is_secure(edge.tls.is_some(), peer, headers, &edge.trusted_proxies),
        };
        let (method, uri, from) = (http.method(), http.uri(), client.address);
        let head = || Head::new(method, uri, headers, target, base, from, received);
        let rate = door
            .limiter
            .as_ref()
            .map_or(Ok(()), |limiter| limiter.check());
        let over_rate = rate.err();
        if let Some(refusal) = &over_rate {
            door.keep_handshake(refusal, || head().with_body(Bytes::new(), Bytes::new()))?;
        }
        head::check_limits(uri, headers)?;
        let pace = BodyLimits::new(webhook.max_body, &edge.timeouts, edge.min_rate);
        let mut body = body::read(
            payload,
            head::announced_length(headers),
            &pace,
            &self.budget,
        )
        .await?;
        let codings = headers
            .get_all("content-encoding")
            .map(HeaderValue::as_bytes);
        let decoded = coding::decode(&body.bytes, codings, webhook.max_body, &mut body.permit)?;
        let request = head().with_body(body.bytes, decoded);
        Ok(Received {
            request,
            old_slug: None,
            begun,
            read: begun.elapsed(),
            over_rate,
            _permit: body.permit,
        })
    }

    /// Translates a verified request, has it on disk, and answers.
    async fn accept(
        &self,
        door: &Door,
        received: Received,
        verdict: Verdict,
        verified: Duration,
    ) -> Outgoing {
        let webhook = &*door.webhook;
        let begun = Instant::now();
        let pending = webhook
            .verifier
            .learned()
            .and_then(|slot| slot.pending_note());
        let pending_code = pending.as_ref().and_then(|note| note.code);
        let mut translation = engine::translate(webhook, &received.request);
        let translated = begun.elapsed();
        let refuse = translation.outcome == Outcome::Parked && !webhook.accept_parked;
        let reply = if refuse {
            Reply::no_content()
        } else {
            reply(webhook, &received.request, &mut translation)
        };
        let draft = received
            .draft(door, translation.outcome)
            .verified(verdict.record)
            .noted(pending)
            .timed(received.read, verified, translated);
        let query_token = draft.masked_a_query_token();
        let delivery_id = draft.id();
        let answer = match (refuse, translation.unsupported_type) {
            (true, true) => Answer::ParkedNoCloudEvent {
                delivery: delivery_id,
            },
            (true, false) => Answer::ParkedRefused {
                delivery: delivery_id,
            },
            (false, _) if translation.outcome == Outcome::Parked => Answer::ParkedAccepted {
                delivery: delivery_id,
                reply,
            },
            (false, _) => Answer::Taken {
                delivery: delivery_id,
                reply,
            },
        };
        let glance = self.observed(|| Glance::of_translation(&translation));
        door.metrics.translated(translated);
        if let Some(problem) = &translation.error {
            door.metrics.not_translated(problem.code);
        }
        let append = draft.append(Some(translation), answer.status().as_u16());
        let code = append.delivery.code;
        let appended = self.append(append).await?;
        let answer = match appended.outcome {
            // What was parked before is safe with us: a sender that sends it again hears a success.
            Outcome::Duplicate => success_after_duplicate(answer, delivery_id),
            Outcome::Parked => {
                self.record_failure(door, delivery_id, code);
                answer
            }
            _ => answer,
        };
        let differs = appended.other_content.then_some(codes::OTHER_CONTENT);
        let code = differs.or(code).or(pending_code);
        let told = Told { code, glance };
        self.note(door, &received, delivery_id, &answer, &told, &appended);
        Ok(told.answer(answer.into_response(query_token)))
    }

    /// Looks where somebody watches.
    fn observed(&self, look: impl FnOnce() -> Glance) -> Option<Glance> {
        self.observer.is_some().then(look)
    }

    fn refused(&self, webhook: Option<&str>, method: &str, refusal: &Refusal) {
        if let Some(observer) = &self.observer {
            observer.refused(&Refused {
                webhook,
                method,
                status: refusal.status().as_u16(),
                line: refusal.line().trim_end(),
            });
        }
    }

    /// Hands a delivery to the log and waits for the commit that holds it.
    async fn append(&self, append: Append) -> Result<Appended, Refusal> {
        let appended = match self.log.append(append) {
            Ok(waiting) => waiting.await.unwrap_or(Err(LogError::Closed)),
            Err(error) => Err(error),
        };
        appended.map_err(|error| {
            self.alarms.refused(&error);
            busy(&error)
        })
    }

    /// Keeps an own event about a parked delivery, once in a while. The answer does not wait for it.
    fn record_failure(&self, door: &Door, delivery: Uuid, code: Option<Code>) {
        let event = code.and_then(|code| self.alarms.failed(&door.webhook.name, delivery, code));
        if let Some(Err(error)) = event.map(|event| self.log.append(event)) {
            self.alarms.refused(&error);
        }
    }

    /// Figures and the line of a request that is about to be answered.
    fn note(
        &self,
        door: &Door,
        received: &Received,
        id: Uuid,
        answer: &Answer,
        told: &Told,
        done: &Appended,
    ) {
        let (status, took) = (answer.status().as_u16(), received.begun.elapsed());
        #[allow(clippy::cast_precision_loss, reason = "a date in milliseconds fits")]
        let seconds = received.request.received.as_millisecond() as f64 / 1e3;
        door.metrics.body(received.request.wire_body.len());
        if done.other_content {
            door.metrics.other_content();
        }
        door.metrics
            .answered(done.outcome, status, took, done.events, seconds);
        let line = DeliveryLine {
            webhook: &door.webhook.name,
            delivery: id,
            outcome: done.outcome,
            status,
            events: done.events,
            seq: done.seq,
            code: told.code,
            took,
        };
        self.lines.record(&line);
        if let Some(observer) = &self.observer {
            observer.answered(&Seen {
                line,
                request: &received.request,
                glance: told.glance.as_ref(),
            });
        }
    }

    /// Not verified: a place in the ring, and the same answer for every reason.
    fn reject(
        &self,
        door: &Door,
        received: &Received,
        verdict: Verdict,
        verified: Duration,
    ) -> HttpResponse {
        let answer = match door.webhook.bare_refusals {
            true => Answer::RejectedBare,
            false => Answer::Rejected {
                challenge: Challenge::of_scheme(&door.webhook.verifier.scheme()),
            },
        };
        let status = answer.status().as_u16();
        let code = verdict.failure.as_ref().map(|problem| problem.code);
        let glance = self.observed(|| Glance::of_verdict(&verdict));
        let draft = received
            .draft(door, Outcome::Rejected)
            .verified(verdict.record)
            .timed(received.read, verified, Duration::ZERO);
        let id = draft.id();
        self.feed.keep(draft.ring(verdict.failure, status));
        if let Some(code) = code {
            door.metrics.not_verified(code);
        }
        let done = nowhere(Outcome::Rejected);
        let told = Told { code, glance };
        self.note(door, received, id, &answer, &told, &done);
        told.answer(answer.into_response(false))
    }

    /// A handshake that proves nothing: answered, kept in the ring.
    fn shake_unsigned(
        &self,
        door: &Door,
        received: &Received,
        shake: &HandshakeAnswer,
    ) -> HttpResponse {
        let Some(reflected) = reflected(shake) else {
            return Answer::Rejected { challenge: None }.into_response(false);
        };
        let answer = Answer::Handshake {
            delivery: None,
            reflected,
        };
        let status = answer.status().as_u16();
        let draft = received.draft(door, Outcome::Handshake).timed(
            received.read,
            Duration::ZERO,
            Duration::ZERO,
        );
        let id = draft.id();
        self.feed.keep(draft.ring(None, status));
        let done = nowhere(Outcome::Handshake);
        self.note(door, received, id, &answer, &Told::default(), &done);
        answer.into_response(false)
    }

    /// A handshake whose sender is verified: in the log like a delivery, without events.
    async fn shake_signed(
        &self,
        door: &Door,
        received: Received,
        verdict: Verdict,
        verified: Duration,
        (shake, confirmation): (&HandshakeAnswer, Option<Confirmation>),
    ) -> Outgoing {
        let draft = received
            .draft(door, Outcome::Handshake)
            .verified(verdict.record)
            .noted(confirm::note(confirmation.as_ref()))
            .timed(received.read, verified, Duration::ZERO);
        let id = draft.id();
        let Some(reflected) = reflected(shake) else {
            return Ok(Answer::Rejected { challenge: None }.into_response(false));
        };
        let answer = Answer::Handshake {
            delivery: Some(id),
            reflected,
        };
        let status = answer.status().as_u16();
        let appended = self.append(draft.append(None, status)).await?;
        self.note(door, &received, id, &answer, &Told::default(), &appended);
        if let Some(Confirmation::Call { url, topic }) = confirmation {
            self.confirm(&door.webhook.name, id, url, topic);
        }
        Ok(answer.into_response(false))
    }
}

/// What is said of a request that is not in the log.
fn nowhere(outcome: Outcome) -> Appended {
    Appended {
        seq: 0,
        outcome,
        duplicate_of: None,
        events: 0,
        other_content: false,
    }
}

fn reflected(shake: &HandshakeAnswer) -> Option<Reflected> {
    Reflected::new(
        shake.status,
        &shake.headers,
        shake.content_type.as_deref(),
        shake.body.clone(),
    )
}

/// What the log's refusal means to the sender: nothing was accepted, send it again.
fn busy(error: &LogError) -> Refusal {
    let retry_after = match error {
        LogError::Full { retry_after } => *retry_after,
        LogError::OverSize | LogError::Failed(_) | LogError::Damaged { .. } | LogError::Closed => {
            RETRY_AFTER_FAILURE
        }
    };
    Refusal::Busy { retry_after }
}

fn success_after_duplicate(answer: Answer, delivery: Uuid) -> Answer {
    match answer {
        Answer::ParkedRefused { .. } | Answer::ParkedNoCloudEvent { .. } => Answer::Taken {
            delivery,
            reply: Reply::no_content(),
        },
        Answer::Taken { .. }
        | Answer::ParkedAccepted { .. }
        | Answer::Rejected { .. }
        | Answer::RejectedBare
        | Answer::Handshake { .. } => answer,
    }
}

/// What the webhook says on success. A body that cannot be rendered is left out and noted: the request was taken.
fn reply(webhook: &Webhook, request: &Request, translation: &mut Translation) -> Reply {
    match &webhook.response {
        Response::NoContent => Reply::no_content(),
        Response::Provider(answer) => Reply::new(
            answer.status,
            answer.content_type.clone(),
            answer.body.clone(),
        ),
        Response::Own {
            status,
            content_type,
            body,
        } => {
            let scope = Scope {
                request,
                webhook: &webhook.name,
                masking: &webhook.masking,
                keys: &translation.keys,
                own_keys: false,
                default_payload: webhook.default_payload,
                body: &ParsedBody::default(),
            };
            let text = match body.as_ref().map(|template| template.render_text(&scope)) {
                None => String::new(),
                Some(Ok(text)) => text,
                Some(Err(problem)) => {
                    translation
                        .notes
                        .push(crate::model::Note::new(problem.code, problem.message));
                    String::new()
                }
            };
            Reply::new(*status, content_type.clone(), text)
        }
    }
}
