//! Makes the durable record of a request: masked, summed up, compressed.

use super::routes::Door;
use crate::codes;
use crate::config::Webhook;
use crate::engine::Translation;
use crate::feed::RingEntry;
use crate::log::{Append, AppendKeys, EventContent, compress_request};
use crate::model::delivery::{RequestSummary, Timing, Verification};
use crate::model::http_file::Masked;
use crate::model::{Delivery, Note, Outcome, Problem, Request, Slug, limits};
use crate::translate::Keys;
use std::time::Duration;
use uuid::Uuid;

/// `User-Agent` and `Content-Type` are kept up to this many characters in a record.
const SUMMARY_CHARS: usize = 256;

/// What the owner is told while a sender has not moved to the new slug.
const BY_OLD_SLUG: &str = "came by an old slug: the sender still has the URL from before";

/// A record in the making.
pub(super) struct Draft {
    delivery: Delivery,
    http: Masked,
}

impl Draft {
    /// `old_slug`: the one by which the request came, where it is not the webhook's own.
    pub(super) fn new(
        door: &Door,
        request: &Request,
        old_slug: Option<&Slug>,
        outcome: Outcome,
    ) -> Self {
        let webhook = &door.webhook;
        let http = masked(webhook, request);
        let note = old_slug.map(|_| Note {
            code: None,
            message: BY_OLD_SLUG.to_owned(),
        });
        let summary = RequestSummary {
            method: request.method.clone(),
            path: webhook.masking.path(&request.path).to_owned(),
            content_type: cut(request, "content-type"),
            user_agent: cut(request, "user-agent"),
            peer: request.peer,
            body_bytes: request.wire_body.len() as u64,
            // Known once the request is compressed.
            sha256: String::new(),
        };
        let delivery = Delivery {
            id: Uuid::now_v7(),
            received: request.received,
            webhook: Some(webhook.name.clone()),
            provider: webhook.provider.clone(),
            outcome,
            code: None,
            status: 0,
            key: None,
            error: None,
            events: Vec::new(),
            notes: note.into_iter().collect(),
            duplicate_of: None,
            replay_of: None,
            request: Some(summary),
            verification: None,
            masked: http.masked.clone(),
            timing: None,
            trace: webhook.trace.hop(&request.headers),
        };
        Self { delivery, http }
    }

    pub(super) fn verified(mut self, verification: Verification) -> Self {
        self.delivery.verification = Some(verification);
        self
    }

    pub(super) fn timed(mut self, read: Duration, verify: Duration, translate: Duration) -> Self {
        self.delivery.timing = Some(Timing {
            read_micros: micros(read),
            verify_micros: micros(verify),
            translate_micros: micros(translate),
        });
        self
    }

    /// With what is worth knowing besides.
    pub(super) fn noted(mut self, note: Option<Note>) -> Self {
        self.delivery.notes.extend(note);
        self
    }

    pub(super) fn id(&self) -> Uuid {
        self.delivery.id
    }

    /// Whether a credential stood in the URL.
    pub(super) fn masked_a_query_token(&self) -> bool {
        self.http
            .masked
            .iter()
            .any(|what| what.starts_with("query "))
    }

    /// The record for the log, with what translation made of the request (nothing, for a handshake).
    pub(super) fn append(mut self, translation: Option<Translation>, status: u16) -> Append {
        let (request, sha256) = compress_request(&self.http.bytes);
        if let Some(summary) = &mut self.delivery.request {
            summary.sha256 = sha256;
        }
        self.delivery.status = status;
        let mut keys = AppendKeys::None;
        let mut contents = Vec::new();
        if let Some(translation) = translation {
            self.delivery.code = translation.error.as_ref().map(|problem| problem.code);
            self.delivery.key = translation.key;
            self.delivery.error = translation.error;
            self.delivery.events = translation.events;
            let is_marked = |note: &Note| note.code == Some(codes::OTHER_CONTENT);
            if translation.notes.iter().any(is_marked) {
                self.delivery.code = Some(codes::OTHER_CONTENT);
            }
            self.delivery.notes.extend(translation.notes);
            let made_of = translation.contents.iter();
            contents = made_of
                .map(|content| EventContent::new(&content.kind, &content.data))
                .collect();
            keys = match translation.keys {
                Keys::None | Keys::PerItem(_) => AppendKeys::None,
                Keys::Delivery(key) => AppendKeys::Delivery(key),
                Keys::PerEvent(keys) => AppendKeys::PerEvent(keys),
            };
        }
        Append {
            delivery: self.delivery,
            request: Some(request),
            keys,
            contents,
        }
    }

    /// The record without events, for the ring: the body is cut.
    pub(super) fn ring(mut self, error: Option<Problem>, status: u16) -> RingEntry {
        let body_bytes = self
            .delivery
            .request
            .as_ref()
            .map_or(0, |r| usize::try_from(r.body_bytes).unwrap_or(usize::MAX));
        let head_bytes = self.http.bytes.len().saturating_sub(body_bytes);
        self.http
            .bytes
            .truncate(head_bytes.saturating_add(limits::RING_BODY_BYTES));
        self.delivery.code = error.as_ref().map(|problem| problem.code);
        self.delivery.error = error;
        self.delivery.status = status;
        RingEntry {
            delivery: self.delivery,
            request: self.http.bytes,
        }
    }
}

/// The request as it is kept. Where it delivers a secret in its body, that is masked too.
fn masked(webhook: &Webhook, request: &Request) -> Masked {
    let mut shakes = webhook.handshakes.iter();
    let Some((kept, place)) = shakes.find_map(|shake| shake.without_secret(request)) else {
        return webhook.masking.apply(request, &webhook.slug);
    };
    let mut http = webhook.masking.apply(&kept, &webhook.slug);
    http.masked.push(place);
    http
}

fn cut(request: &Request, header: &str) -> Option<String> {
    Some(
        request
            .headers
            .text(header)?
            .chars()
            .take(SUMMARY_CHARS)
            .collect(),
    )
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
