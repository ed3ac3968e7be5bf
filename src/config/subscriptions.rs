//! `topics` and `confirm_subscription`: whose messages of a service with topics a webhook takes, and whether it
//! confirms their subscriptions.

use super::document::Context;
use super::table::Table;
use super::value::Value;
use crate::codes;
use crate::providers::Handshake;
use crate::verify::Verifier;
use std::sync::Arc;

/// Topics that one webhook lists at most.
const TOPICS_MAX: usize = 100;
/// What a topic looks like.
const EXAMPLE: &str = "arn:aws:sns:eu-central-1:123456789012:orders";

/// Limits the verifier to the topics, and lets handshakes confirm theirs. None: the keys could not be read
/// (reported).
pub(super) fn apply(
    cx: &Context,
    table: &Table<'_, '_, '_>,
    verifier: Verifier,
    shakes: &mut [Handshake],
) -> Option<Verifier> {
    let (listed, confirm) = (table.get("topics"), table.get("confirm_subscription"));
    let topics = match listed.as_ref().map(|value| topics(cx, value)) {
        Some(topics) => Some(topics?),
        None => None,
    };
    let wanted = match confirm.as_ref().map(|value| value.bool(cx)) {
        Some(wanted) => wanted?,
        None => false,
    };
    let none: Arc<[String]> = Arc::from([]);
    let limited = verifier.for_topics(topics.as_ref().unwrap_or(&none));
    let Some(limited) = limited else {
        for value in [listed, confirm].iter().flatten() {
            let message = format!(
                "`{}` has no effect: this webhook's messages have no topics that are checked",
                value.name
            );
            cx.warning(
                codes::NO_EFFECT,
                value.key_span.clone(),
                message,
                "remove it",
            );
        }
        return Some(verifier);
    };
    let Some(topics) = topics else {
        if let (Some(value), true) = (&confirm, wanted) {
            value.invalid_help(
                cx,
                "there are no `topics`: anyone's subscription would be confirmed",
                format!("add topics = [\"{EXAMPLE}\"]"),
            );
            return None;
        }
        cx.warning(
            codes::ANY_TOPIC,
            table.span.clone(),
            "every customer of the service can send this webhook signed messages: it lists no `topics`",
            format!("add topics = [\"{EXAMPLE}\"]"),
        );
        return Some(verifier);
    };
    if wanted {
        let calls = |shake: &mut Handshake| shake.confirm_topics(&topics);
        // Each of them, not only the first.
        let called = shakes
            .iter_mut()
            .map(calls)
            .filter(|called| *called)
            .count();
        if let (Some(value), 0) = (&confirm, called) {
            let message =
                "`confirm_subscription` has no effect: no handshake of this webhook asks for it";
            let help = "name the provider, or remove it";
            cx.warning(codes::NO_EFFECT, value.key_span.clone(), message, help);
        }
    }
    Some(limited)
}

fn topics(cx: &Context, value: &Value<'_, '_>) -> Option<Arc<[String]>> {
    let items = value.items(cx)?;
    if items.is_empty() || items.len() > TOPICS_MAX {
        value.invalid(cx, format!("lists 1 to {TOPICS_MAX} topics"));
        return None;
    }
    let all: Vec<Option<String>> = items.iter().map(|item| topic(cx, item)).collect();
    all.into_iter().collect()
}

fn topic(cx: &Context, item: &Value<'_, '_>) -> Option<String> {
    let text = item.filled(cx)?;
    if is_topic(text) {
        return Some(text.to_owned());
    }
    let why = if text.contains(['*', '?']) {
        "a topic is named whole, without `*` or `?`"
    } else {
        "is no ARN of a topic"
    };
    item.invalid_help(cx, why, format!("such as \"{EXAMPLE}\""));
    None
}

/// Whether a text is `arn:PARTITION:sns:REGION:ACCOUNT:NAME` (AWS General Reference, Amazon Resource Names).
fn is_topic(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let [arn, partition, service, region, account, name] = parts.as_slice() else {
        return false;
    };
    let place = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let stem = name.strip_suffix(".fifo").unwrap_or(name);
    *arn == "arn"
        && (*partition == "aws" || partition.starts_with("aws-"))
        && place(partition)
        && *service == "sns"
        && place(region)
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && (1..=256).contains(&name.len())
        && !stem.is_empty()
        && stem
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::is_topic;

    #[test]
    fn whole_names_of_topics() {
        for good in [
            super::EXAMPLE,
            "arn:aws-cn:sns:cn-north-1:123456789012:a_B-1",
            "arn:aws-us-gov:sns:us-gov-west-1:123456789012:a.fifo",
        ] {
            assert!(is_topic(good), "{good}");
        }
        for bad in [
            "orders",
            "arn:aws:sqs:eu-central-1:123456789012:orders",
            "arn:aws:sns::123456789012:orders",
            "arn:aws:sns:eu-central-1:12345678901:orders",
            "arn:aws:sns:eu-central-1:123456789012:",
            "arn:aws:sns:eu-central-1:123456789012:.fifo",
            "arn:aws:sns:eu-central-1:123456789012:*",
            "arn:aws:sns:eu-central-1:123456789012:orders:8f1c",
            "arn:evil:sns:eu-central-1:123456789012:orders",
        ] {
            assert!(!is_topic(bad), "{bad}");
        }
    }
}
