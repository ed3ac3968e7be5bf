//! Calls a service back that asked, by a signed handshake, whether this URL wants a topic's messages. The answer to
//! the handshake does not wait for it; its outcome is an own event, a line and a metric.

use super::Gateway;
use crate::codes;
use crate::keyring::client::FetchError;
use crate::log::own_event;
use crate::model::{Labels, Note, event};
use crate::providers::Confirmation;
use crate::telemetry::WebhookMetrics;
use serde_json::{Map, json};
use std::sync::Arc;
use url::Url;
use uuid::Uuid;

/// What the owner reads in the record of a handshake that asks for a call.
pub(super) fn note(confirmation: Option<&Confirmation>) -> Option<Note> {
    Some(match confirmation? {
        Confirmation::Call { topic, .. } => Note {
            code: None,
            message: format!("the subscription to {topic} is being confirmed"),
        },
        Confirmation::Open(why) => Note::new(
            codes::SUBSCRIPTION_OPEN,
            format!(
                "the subscription is not confirmed: {why}. List the topic in `topics`, set confirm_subscription = true and request the confirmation again; or open the URL in the body yourself"
            ),
        ),
    })
}

impl Gateway {
    /// Calls the URL in the background.
    pub(super) fn confirm(&self, webhook: &str, delivery: Uuid, url: Url, topic: String) {
        let metrics = WebhookMetrics::new(&self.metrics, webhook);
        let (keyring, log) = (Arc::clone(&self.keyring), Arc::clone(&self.log));
        let webhook = webhook.to_owned();
        actix_web::rt::spawn(async move {
            let result = keyring.call(&url).await;
            metrics.subscription(result.is_ok());
            match &result {
                Ok(()) => tracing::info!(webhook, topic, "the subscription was confirmed"),
                Err(error) => {
                    tracing::warn!(webhook, topic, %error, "the subscription could not be confirmed");
                }
            }
            let append = outcome(&webhook, delivery, &topic, &result);
            if let Err(error) = log.append(append) {
                tracing::warn!(code = %error.code(), %error, "the confirmation is not recorded as an event");
            }
        });
    }
}

/// `hookgate.subscription.confirmed` or `hookgate.subscription.failed`.
fn outcome(
    webhook: &str,
    delivery: Uuid,
    topic: &str,
    result: &Result<(), FetchError>,
) -> crate::log::Append {
    let mut resource = Labels::new();
    let id = format!("hookgate.webhook.{webhook}");
    resource.insert(event::RESOURCE_ID.to_owned(), id);
    resource.insert(event::RESOURCE_NAME.to_owned(), webhook.to_owned());
    let mut payload = Map::from_iter([
        ("delivery".to_owned(), json!(delivery)),
        ("topic".to_owned(), json!(topic)),
    ]);
    let name = match result {
        Ok(()) => "hookgate.subscription.confirmed",
        Err(error) => {
            payload.insert("error".to_owned(), json!(error.to_string()));
            "hookgate.subscription.failed"
        }
    };
    own_event(name, resource, &payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_as_an_event_without_the_url() {
        let said = |result: Result<(), FetchError>| {
            let append = outcome("w", Uuid::nil(), "arn:aws:sns:eu-central-1:0:fake", &result);
            let event = append.delivery.events.into_iter().next().unwrap();
            (event.event.clone(), event.payload.get().to_owned())
        };
        let (name, payload) = said(Ok(()));
        assert_eq!(name, "hookgate.subscription.confirmed");
        assert!(payload.contains("\"topic\":\"arn:aws") && !payload.contains("error"));
        let (name, payload) = said(Err(FetchError::Status(403)));
        assert_eq!(name, "hookgate.subscription.failed");
        assert!(payload.contains("it answers 403"), "{payload}");
    }

    #[test]
    fn an_open_subscription_says_what_to_do() {
        let open = Confirmation::Open("its topic is not in `topics`".to_owned());
        let note = note(Some(&open)).unwrap();
        assert_eq!(note.code, Some(codes::SUBSCRIPTION_OPEN));
        assert!(note.message.contains("not in `topics`") && note.message.contains("again"));
        assert_eq!(super::note(None), None);
    }
}
