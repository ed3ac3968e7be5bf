//! A handshake that delivers the secret of later requests: kept, sealed, before it is answered.

use super::{Door, Gateway, Outgoing, RETRY_AFTER_FAILURE, Received, reflected};
use crate::intake::answer::{Answer, Refusal};
use crate::learn::{self, LearnError, Lesson, Taught};
use crate::model::delivery::{Check, Verification};
use crate::model::{Outcome, Problem};
use crate::providers::{Handshake, HandshakeAnswer};
use crate::verify::Verdict;
use actix_web::web;
use std::sync::Arc;
use std::time::Duration;

impl Gateway {
    /// A secret of a request's own: learned and answered, or refused like any other sender that is not verified.
    pub(super) async fn shake_teaching(
        &self,
        door: &Door,
        received: Received,
        handshake: &Handshake,
        answer: &HandshakeAnswer,
    ) -> Outgoing {
        let webhook = &*door.webhook;
        let refuse =
            |problem| Ok(self.reject(door, &received, unverified(door, problem), Duration::ZERO));
        let Some(slot) = webhook.verifier.learned() else {
            // Nothing is verified, so nothing is to be learned; the sender wants its answer all the same.
            if webhook.verifier.is_open() {
                return Ok(self.shake_unsigned(door, &received, answer));
            }
            return refuse(learn::refusal("one is configured"));
        };
        let taught = handshake.taught(&received.request);
        let (Some(secret), Some(reflected)) = (taught, reflected(answer)) else {
            return refuse(learn::refusal("it has not the form of one"));
        };
        let place = handshake.teaches().unwrap_or_default();
        let draft = received
            .draft(door, Outcome::Handshake)
            .verified(learned(door, &place))
            .timed(received.read, Duration::ZERO, Duration::ZERO);
        let id = draft.id();
        let lesson = Lesson {
            delivery: id,
            from: received.request.peer,
            received: received.request.received,
        };
        let (learner, slot) = (Arc::clone(&self.learner), Arc::clone(slot));
        let name = webhook.name.clone();
        // It writes to the state.
        let done = web::block(move || learner.teach(&name, &slot, &secret, &lesson)).await;
        match done {
            Ok(Ok(Taught::Learned | Taught::Again)) => {}
            Ok(Ok(Taught::Refused(problem))) => return refuse(problem),
            Ok(Err(error)) => return Err(not_kept(&webhook.name, Some(&error))),
            Err(_) => return Err(not_kept(&webhook.name, None)),
        }
        let answer = Answer::Handshake {
            delivery: Some(id),
            reflected,
        };
        let pending = webhook
            .verifier
            .learned()
            .and_then(|slot| slot.pending_note());
        let code = pending.as_ref().and_then(|note| note.code);
        let append = draft.noted(pending).append(None, answer.status().as_u16());
        let appended = self.append(append).await?;
        self.note(door, &received, id, &answer, &code.into(), &appended);
        Ok(answer.into_response(false))
    }
}

/// The record of a handshake that taught: it proves nothing about its sender.
fn learned(door: &Door, place: &str) -> Verification {
    Verification {
        scheme: door.webhook.verifier.scheme(),
        verified: false,
        checks: vec![Check {
            name: place.to_owned(),
            passed: true,
            detail: "a secret, learned: deliveries are verified with it from now on".to_owned(),
        }],
    }
}

fn unverified(door: &Door, problem: Problem) -> Verdict {
    Verdict {
        record: Verification {
            scheme: door.webhook.verifier.scheme(),
            verified: false,
            checks: vec![Check {
                name: "secret".to_owned(),
                passed: false,
                detail: problem.message.clone(),
            }],
        },
        failure: Some(problem),
        needs: None,
    }
}

/// The sender is asked to come again: nothing was learned.
fn not_kept(webhook: &str, error: Option<&LearnError>) -> Refusal {
    match error {
        Some(error) => {
            tracing::error!(code = %error.code(), webhook, %error, "a secret could not be learned");
        }
        None => tracing::error!(webhook, "a secret could not be learned"),
    }
    Refusal::Busy {
        retry_after: RETRY_AFTER_FAILURE,
    }
}
