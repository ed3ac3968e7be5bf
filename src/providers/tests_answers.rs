//! What senders want to hear, by their documents: status and body of a success.

use super::*;

#[test]
fn every_sender_hears_what_it_wants() {
    let answer = |name: &str| {
        let answer = load(name, None).unwrap().answer;
        (answer.status, answer.body)
    };
    for name in [
        "dropbox",
        "slack",
        "line",
        "meta",
        "whatsapp",
        "mollie",
        "linear",
        "figma",
        "trello",
        "xero",
        "sendgrid",
        "azure-event-grid",
    ] {
        assert_eq!(
            answer(name),
            (200, String::new()),
            "{name} wants exactly 200, and no body"
        );
    }
    for (name, status, body) in [
        ("dropbox-sign", 200, "Hello API Event Received"),
        ("adyen", 200, "[accepted]"),
        ("discord", 204, ""),
        ("microsoft-graph", 202, ""),
    ] {
        assert_eq!(answer(name), (status, body.to_owned()), "{name}");
    }
    for name in names(None) {
        let (status, body) = answer(&name);
        assert!((200..300).contains(&status), "{name}");
        // Event Grid counts 200 to 204 alone; 205 and 206 mean something else to HTTP itself.
        assert!(status <= 204, "{name}");
        assert!(status != 204 || body.is_empty(), "{name}: 204 has no body");
    }
}
