//! A request to take along: as a curl line, and as a test of its webhook.

use crate::model::{Delivery, Outcome, Request, request::header_text};
use std::fmt::Write as _;

/// Bytes of a body that a curl line holds; a larger one is downloaded.
const CURL_BODY_BYTES_MAX: usize = 16 * 1024;
/// Events that a test expects by name.
const EXPECTED_MAX: usize = 10;

/// Headers that curl makes itself, or that belonged to one connection.
const NOT_REPEATED: [&str; 7] = [
    "host",
    "content-length",
    "connection",
    "transfer-encoding",
    "expect",
    "accept-encoding",
    "keep-alive",
];

/// The request as a curl line for a POSIX shell; none where its body is no text, or too large for a line.
pub(super) fn curl(request: &Request, url: &str) -> Option<String> {
    if request.wire_body.len() > CURL_BODY_BYTES_MAX || request.wire_body.contains(&0) {
        return None;
    }
    let body = std::str::from_utf8(&request.wire_body).ok()?;
    let mark = if request.query.is_empty() { "" } else { "?" };
    let address = format!("{url}{}{mark}{}", request.path, request.query);
    let mut line = format!("curl -X {} {}", request.method, quoted(&address));
    let headers = request.headers.iter();
    for (name, value) in headers.filter(|(name, _)| !NOT_REPEATED.contains(name)) {
        let header = format!("{name}: {}", header_text(value));
        write!(line, " \\\n  -H {}", quoted(&header)).ok();
    }
    if !body.is_empty() {
        write!(line, " \\\n  --data-binary {}", quoted(body)).ok();
    }
    Some(line)
}

/// A word of a POSIX shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The delivery as `[[webhook.test]]`, which asks for what came of it; none for what no test can ask for.
pub(super) fn test(delivery: &Delivery) -> Option<String> {
    let expectation = match (delivery.outcome, delivery.code) {
        (Outcome::Accepted, _) => format!("expect = [{}]", expected(delivery)),
        (Outcome::Ignored, _) => "expect = []".to_owned(),
        (Outcome::Parked, Some(code)) => format!("expect_error = \"{code}\""),
        _ => return None,
    };
    let id = crate::admin::pages::show::short(&delivery.id.to_string()).replace('…', "-");
    Some(format!(
        "[[webhook.test]]\nname = \"delivery {id}\"\nrequest = \"requests/{id}.http\"\n{expectation}\n"
    ))
}

fn expected(delivery: &Delivery) -> String {
    let events = delivery.events.iter().take(EXPECTED_MAX);
    let events: Vec<String> = events
        .map(|event| {
            format!(
                "{{ event = {}, resource = {{ \"prefect.resource.id\" = {} }} }}",
                toml_text(&event.event),
                toml_text(event.resource_id())
            )
        })
        .collect();
    events.join(", ")
}

/// A basic string of TOML.
fn toml_text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_shell() {
        assert_eq!(quoted("it's $(rm)"), "'it'\\''s $(rm)'");
    }

    #[test]
    fn texts_of_toml() {
        for text in ["a\"b\\", "line\nbreak", "\u{1b}[31m", "it's"] {
            let document = format!("a = {}", toml_text(text));
            let parsed: toml::Table = document.parse().unwrap();
            assert_eq!(parsed["a"].as_str(), Some(text));
        }
    }
}
