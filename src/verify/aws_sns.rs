//! Amazon SNS: some fields of the body, a line with the name and one with the value each, in an order that the type
//! of the message gives (docs.aws.amazon.com, verifying the signatures of Amazon SNS messages; sns-validator).

use super::certified::{Failure, Signed};
use super::encoding::Encoding;
use super::public::PublicAlgorithm;
use super::report::shown;
use crate::codes;
use crate::model::Request;
use serde::Deserialize;

/// What is read of a message. A field that is there twice makes it none: the one that is signed need not be the one
/// that is used.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    #[serde(rename = "Type")]
    kind: String,
    message: String,
    message_id: String,
    subject: Option<String>,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: Option<String>,
    timestamp: String,
    token: Option<String>,
    topic_arn: String,
    signature: Option<String>,
    signature_version: Option<String>,
    #[serde(rename = "SigningCertURL", alias = "SigningCertUrl")]
    certificate: Option<String>,
}

/// Set where a subscription has raw delivery.
const RAW: &str = "x-amz-sns-rawdelivery";

pub(super) fn signed(request: &Request) -> Result<Signed, Failure> {
    let malformed = |message: String| (codes::CREDENTIAL_MALFORMED, message);
    if request.headers.get(RAW).is_some() {
        let message = "the subscription has raw message delivery, which is not signed".to_owned();
        return Err((codes::CREDENTIAL_MISSING, message));
    }
    let message: Message = serde_json::from_slice(&request.wire_body)
        .map_err(|_| malformed("the body is no message of Amazon SNS".to_owned()))?;
    let algorithm = match message.signature_version.as_deref() {
        Some("1") => PublicAlgorithm::RsaSha1,
        Some("2") => PublicAlgorithm::RsaSha256,
        Some(other) => {
            let version = shown(other);
            return Err(malformed(format!(
                "SignatureVersion `{version}` is not known"
            )));
        }
        None => return Err(missing("SignatureVersion")),
    };
    let content = content(&message)?;
    let signature = message.signature.ok_or_else(|| missing("Signature"))?;
    let signature = Encoding::Base64.decode(&signature);
    Ok(Signed {
        url: message
            .certificate
            .ok_or_else(|| missing("SigningCertURL"))?,
        algorithm,
        signature: signature.ok_or_else(|| malformed("Signature is not base64".to_owned()))?,
        contents: vec![content],
        time: message.timestamp,
        topic: Some(message.topic_arn),
    })
}

fn content(message: &Message) -> Result<Vec<u8>, Failure> {
    let mut text = String::with_capacity(message.message.len() + 512);
    let mut line = |name: &str, value: &str| {
        for part in [name, value] {
            text.push_str(part);
            text.push('\n');
        }
    };
    line("Message", &message.message);
    line("MessageId", &message.message_id);
    let confirms = match message.kind.as_str() {
        "Notification" => {
            if let Some(subject) = &message.subject {
                line("Subject", subject);
            }
            false
        }
        "SubscriptionConfirmation" | "UnsubscribeConfirmation" => true,
        other => {
            let message = format!("the type `{}` is not known", shown(other));
            return Err((codes::CREDENTIAL_MALFORMED, message));
        }
    };
    if confirms {
        let url = message.subscribe_url.as_deref();
        line("SubscribeURL", url.ok_or_else(|| missing("SubscribeURL"))?);
    }
    line("Timestamp", &message.timestamp);
    if confirms {
        let token = message.token.as_deref();
        line("Token", token.ok_or_else(|| missing("Token"))?);
    }
    line("TopicArn", &message.topic_arn);
    line("Type", &message.kind);
    Ok(text.into_bytes())
}

fn missing(field: &str) -> Failure {
    let message = format!("the body has no {field}");
    (codes::CREDENTIAL_MISSING, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::http_file;
    use jiff::Timestamp;

    fn read(head: &str, body: &str) -> Result<Signed, Failure> {
        let text = format!("POST /hooks/x HTTP/1.1\n{head}\n\n{body}");
        let request = http_file::parse(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
        signed(&request)
    }

    fn message(kind: &str, more: &str) -> String {
        format!(
            r#"{{"Type":"{kind}","Message":"m","MessageId":"i","TopicArn":"t","Timestamp":"z","Signature":"AA==","SignatureVersion":"2","SigningCertURL":"u"{more}}}"#
        )
    }

    #[test]
    fn fields_in_the_order_of_the_type() {
        let text = |body: &str| {
            let signed = read("A: b", body).unwrap();
            String::from_utf8(signed.contents.concat()).unwrap()
        };
        let plain = "Message\nm\nMessageId\ni\nTimestamp\nz\nTopicArn\nt\nType\nNotification\n";
        assert_eq!(text(&message("Notification", "")), plain);
        assert_eq!(text(&message("Notification", r#","Subject":null"#)), plain);
        assert_eq!(
            text(&message("Notification", r#","Subject":"s","Token":"x""#)),
            plain.replace("Timestamp", "Subject\ns\nTimestamp")
        );
        for kind in ["SubscriptionConfirmation", "UnsubscribeConfirmation"] {
            let more = r#","Subject":"s","Token":"x","SubscribeURL":"y""#;
            let want = format!(
                "Message\nm\nMessageId\ni\nSubscribeURL\ny\nTimestamp\nz\nToken\nx\nTopicArn\nt\nType\n{kind}\n"
            );
            assert_eq!(text(&message(kind, more)), want);
        }
    }

    #[test]
    fn what_is_no_signed_message() {
        let code = |head: &str, body: &str| read(head, body).err().map(|(code, _)| code);
        let good = message("Notification", "");
        let missing = Some(codes::CREDENTIAL_MISSING);
        let malformed = Some(codes::CREDENTIAL_MALFORMED);
        assert_eq!(code("A: b", &good), None);
        assert_eq!(code("x-amz-sns-rawdelivery: true", &good), missing);
        assert_eq!(code("A: b", "plain text"), malformed);
        assert_eq!(code("A: b", &message("Other", "")), malformed);
        assert_eq!(
            code("A: b", &message("SubscriptionConfirmation", "")),
            missing
        );
        for (old, new, want) in [
            (r#","Signature":"AA==""#, "", missing),
            (r#","SignatureVersion":"2""#, "", missing),
            (r#","SigningCertURL":"u""#, "", missing),
            (r#":"2""#, r#":"3""#, malformed),
            (r#":"2""#, ":2", malformed),
            ("AA==", "!", malformed),
            (
                r#""Message":"m""#,
                r#""Message":"m","Message":"n""#,
                malformed,
            ),
            (r#""Message":"m""#, r#""Message":{}"#, malformed),
        ] {
            assert_eq!(code("A: b", &good.replace(old, new)), want, "{old} {new}");
        }
    }
}
