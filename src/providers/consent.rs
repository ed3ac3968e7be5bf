//! The handshake of the CloudEvents WebHook specification 1.0.2, section 4: a sender asks by OPTIONS whether
//! it may send, and how often. Consent is the headers of the answer; it proves nothing about the sender.

use super::HandshakeAnswer;
use crate::model::Request;
use crate::model::limits::REFLECTED_BYTES_MAX;
use crate::model::request::header_text;

/// Stands for every origin.
pub(crate) const ANYONE: &str = "*";

/// To whom and how much a webhook consents.
#[derive(Debug, Clone)]
pub(super) struct Consent {
    /// None: anyone.
    origins: Option<Vec<String>>,
    per_minute: Option<u64>,
    /// Methods of deliveries, for the `Allow` header.
    allow: String,
}

impl Consent {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is positive and small; the cast saturates"
    )]
    pub(super) fn new(
        origins: Option<Vec<String>>,
        per_minute: Option<f64>,
        allow: String,
    ) -> Self {
        let per_minute = per_minute.map(|rate| (rate.floor() as u64).max(1));
        Self {
            origins,
            per_minute,
            allow,
        }
    }

    pub(super) fn answer(&self, request: &Request) -> Option<HandshakeAnswer> {
        if request.method != "OPTIONS" {
            return None;
        }
        let mut lines = request.headers.all("webhook-request-origin");
        let origin = header_text(lines.next()?).trim().to_owned();
        let printable = origin.bytes().all(|b| (0x21..0x7f).contains(&b));
        if lines.next().is_some() || origin.is_empty() || !printable {
            return None;
        }
        if origin.len() > REFLECTED_BYTES_MAX || !self.is_allowed(&origin) {
            return None;
        }
        let mut headers = vec![("Allow".to_owned(), self.allow.clone())];
        let Some(rate) = self.rate(request) else {
            return Some(answer(400, headers));
        };
        headers.push(("WebHook-Allowed-Origin".to_owned(), origin));
        headers.push(("WebHook-Allowed-Rate".to_owned(), rate));
        Some(answer(200, headers))
    }

    fn is_allowed(&self, origin: &str) -> bool {
        let origins = self.origins.as_ref();
        origins.is_none_or(|list| {
            list.iter()
                .any(|one| one == ANYONE || one.eq_ignore_ascii_case(origin))
        })
    }

    /// The smaller of what is asked and what is allowed, a minute; none where what is asked is no rate.
    fn rate(&self, request: &Request) -> Option<String> {
        let mut lines = request.headers.all("webhook-request-rate");
        let asked = lines.next().map(header_text);
        if lines.next().is_some() {
            return None;
        }
        let asked = match asked.as_deref().map(str::trim) {
            None | Some("*") => None,
            Some(text) => {
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                let number = digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX));
                Some(number.filter(|n| *n > 0)?)
            }
        };
        let granted = match (asked, self.per_minute) {
            (Some(asked), Some(limit)) => Some(asked.min(limit)),
            (asked, limit) => asked.or(limit),
        };
        Some(granted.map_or_else(|| "*".to_owned(), |n| n.to_string()))
    }
}

fn answer(status: u16, headers: Vec<(String, String)>) -> HandshakeAnswer {
    HandshakeAnswer {
        status,
        headers,
        content_type: None,
        body: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::http_file;
    use jiff::Timestamp;

    fn ask(consent: &Consent, head: &str) -> Option<(u16, Option<String>, Option<String>)> {
        let text = format!("OPTIONS /hooks/x HTTP/1.1\n{head}\n\n");
        let request = http_file::parse(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
        let answer = consent.answer(&request)?;
        let value = |name: &str| {
            let found = answer.headers.iter().find(|(n, _)| n == name);
            found.map(|(_, v)| v.clone())
        };
        assert_eq!(value("Allow").as_deref(), Some("POST"));
        Some((
            answer.status,
            value("WebHook-Allowed-Origin"),
            value("WebHook-Allowed-Rate"),
        ))
    }

    #[test]
    fn consents_to_whom_and_how_much_it_may() {
        let open = Consent::new(None, None, "POST".into());
        let limited = Consent::new(Some(vec!["a.example".into()]), Some(120.0), "POST".into());
        let yes = |origin: &str, rate: &str| Some((200, Some(origin.into()), Some(rate.into())));
        let asked = "WebHook-Request-Origin: a.example";
        let with = |rate: &str| format!("{asked}\nWebHook-Request-Rate: {rate}");
        assert_eq!(ask(&open, asked), yes("a.example", "*"));
        assert_eq!(ask(&open, &with("7")), yes("a.example", "7"));
        assert_eq!(ask(&open, &with("*")), yes("a.example", "*"));
        assert_eq!(ask(&limited, asked), yes("a.example", "120"));
        assert_eq!(ask(&limited, &with("500")), yes("a.example", "120"));
        assert_eq!(ask(&limited, &with("100")), yes("a.example", "100"));
        for wrong in ["0", "-1", "many", "1.5"] {
            assert_eq!(ask(&open, &with(wrong)), Some((400, None, None)), "{wrong}");
        }
        assert_eq!(ask(&limited, "WebHook-Request-Origin: b.example"), None);
        assert_eq!(ask(&open, "Origin: a.example"), None);
        assert_eq!(ask(&open, &format!("{asked}\n{asked}")), None);
        assert_eq!(ask(&open, "WebHook-Request-Origin: a b"), None);
    }
}
