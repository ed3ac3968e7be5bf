//! A handshake that asks to be called back: the URL is in the request, and is called only at the sender's service,
//! for topics that the owner named.

use crate::model::Request;
use crate::verify::{OneOrMany, Origin, Source, pinned};
use serde::{Deserialize, Deserializer, de::Error};
use std::sync::Arc;
use url::Url;

/// Places that one provider names at most.
const ORIGINS_MAX: usize = 16;

/// `confirm = { url = "json:/SubscribeURL", topic = "json:/TopicArn", origins = ["…"] }` of a handshake.
#[derive(Debug, Clone)]
pub(super) struct Confirm {
    url: Source,
    topic: Source,
    origins: Vec<Origin>,
    /// Topics that are confirmed; none are until the owner says so.
    topics: Option<Arc<[String]>>,
}

/// What a handshake asks for, and what is done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// To be called, once the handshake is on record.
    Call {
        /// At the sender's service.
        url: Url,
        /// The topic that is subscribed.
        topic: String,
    },
    /// Not to be called, and why.
    Open(String),
}

impl Confirm {
    pub(super) fn allow(&mut self, topics: &Arc<[String]>) {
        self.topics = Some(Arc::clone(topics));
    }

    pub(super) fn of(&self, request: &Request) -> Confirmation {
        let one = |source: &Source| match source.read(request).as_slice() {
            [one] => Some(one.clone().into_owned()),
            _ => None,
        };
        let (Some(url), Some(topic)) = (one(&self.url), one(&self.topic)) else {
            return Confirmation::Open("it names no URL or no topic".to_owned());
        };
        let Some(topics) = &self.topics else {
            let why = "the webhook has not confirm_subscription = true".to_owned();
            return Confirmation::Open(why);
        };
        if !topics.contains(&topic) {
            return Confirmation::Open("its topic is not in `topics`".to_owned());
        }
        match pinned(&self.origins, &url) {
            Ok(url) => Confirmation::Call { url, topic },
            Err(why) => Confirmation::Open(why),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    url: String,
    topic: String,
    origins: Vec<Origin>,
}

impl<'de> Deserialize<'de> for Confirm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(deserializer)?;
        if raw.origins.is_empty() || raw.origins.len() > ORIGINS_MAX {
            let message = format!("`confirm.origins` lists 1 to {ORIGINS_MAX} places");
            return Err(D::Error::custom(message));
        }
        let source = |text: String| {
            let sources = OneOrMany::One(text).sources().map_err(D::Error::custom)?;
            let first = sources.into_iter().next();
            first.ok_or_else(|| D::Error::custom("`confirm` names no place"))
        };
        Ok(Self {
            url: source(raw.url)?,
            topic: source(raw.topic)?,
            origins: raw.origins,
            topics: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::http_file;
    use jiff::Timestamp;

    const TOPIC: &str = "arn:aws:sns:eu-central-1:000000000000:fake";

    fn of(confirm: &Confirm, url: &str, topic: &str) -> Confirmation {
        let body = serde_json::json!({"u": url, "t": topic});
        let text = format!("POST /hooks/x HTTP/1.1\n\n{body}");
        let request = http_file::parse(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
        confirm.of(&request)
    }

    #[test]
    fn called_only_at_the_service_and_for_the_owners_topics() {
        let mut confirm: Confirm = toml::from_str(
            "url = 'json:/u'\ntopic = 'json:/t'\norigins = ['sns.{region}.amazonaws.com']",
        )
        .unwrap();
        let good = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=fake";
        let open = |found: &Confirmation| matches!(found, Confirmation::Open(_));
        assert!(open(&of(&confirm, good, TOPIC)));
        confirm.allow(&Arc::from([TOPIC.to_owned()]));
        let Confirmation::Call { url, topic } = of(&confirm, good, TOPIC) else {
            panic!()
        };
        assert_eq!((url.as_str(), topic.as_str()), (good, TOPIC));
        for (url, topic) in [
            (good, "arn:aws:sns:eu-central-1:000000000001:fake"),
            ("http://sns.eu-central-1.amazonaws.com/", TOPIC),
            ("https://sns.eu-central-1.amazonaws.com:8443/", TOPIC),
            ("https://evil.example/", TOPIC),
            ("https://169.254.169.254/latest", TOPIC),
            ("", TOPIC),
        ] {
            assert!(open(&of(&confirm, url, topic)), "{url} {topic}");
        }
    }
}
