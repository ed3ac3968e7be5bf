//! Server-sent events (WHATWG HTML, section 9.2), read as they come, taken up again where they were cut.

use super::super::client::{Failure, Server};
use super::super::{Exit, text};
use super::RETRY;
use crate::model::Position;
use bytes::Bytes;
use serde_json::Value;
use std::collections::VecDeque;
use std::time::Duration;

/// Bytes of one event of the stream.
const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What comes.
#[derive(Debug)]
pub(super) enum Message {
    /// An event or a delivery, with its place.
    Row(Option<Position>, Value),
    /// Some are no longer there: a sentence about it.
    Gap(String),
    /// The connection was cut, and is made again: a sentence about it.
    Cut(String),
}

/// A stream that does not end.
pub(super) struct Stream<'a> {
    server: &'a Server,
    what: &'static str,
    query: String,
    /// Behind what it goes on.
    after: String,
    response: Option<reqwest::Response>,
    parser: Parser,
    ready: VecDeque<Event>,
    pause: Duration,
    said: bool,
}

impl<'a> Stream<'a> {
    /// Opens it; what comes after `after` that matches.
    pub(super) async fn open(
        server: &'a Server,
        what: &'static str,
        query: &str,
        after: String,
    ) -> Result<Self, Failure> {
        let mut stream = Self {
            server,
            what,
            query: query.to_owned(),
            after,
            response: None,
            parser: Parser::default(),
            ready: VecDeque::new(),
            pause: RETRY.0,
            said: false,
        };
        stream.response = Some(stream.connect().await?);
        Ok(stream)
    }

    async fn connect(&self) -> Result<reqwest::Response, Failure> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("q", &self.query)
            .append_pair("after", &self.after);
        let path = [self.what, "stream"];
        self.server.stream(&path, &query.finish()).await
    }

    /// What comes next. Dropped while it waits, it loses nothing.
    pub(super) async fn next(&mut self) -> Result<Message, Failure> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                if let Some(message) = self.take(event) {
                    return Ok(message);
                }
                continue;
            }
            let Some(response) = &mut self.response else {
                if let Some(said) = self.again().await? {
                    return Ok(said);
                }
                continue;
            };
            match response.chunk().await {
                Ok(Some(bytes)) => {
                    self.pause = RETRY.0;
                    self.said = false;
                    self.ready.extend(self.parser.read(&bytes)?);
                }
                // Cut in the middle of an event: it comes again.
                Ok(None) | Err(_) => {
                    self.response = None;
                    self.parser = Parser::default();
                }
            }
        }
    }

    /// Connects again after a pause; says once that it is being tried.
    async fn again(&mut self) -> Result<Option<Message>, Failure> {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(RETRY.1);
        match self.connect().await {
            Ok(response) => {
                self.response = Some(response);
                Ok(None)
            }
            Err(failure) if failure.exit == Exit::Unreachable => {
                let first = !std::mem::replace(&mut self.said, true);
                let said = || Message::Cut(format!("… {}; it is tried again", failure.message));
                Ok(first.then(said))
            }
            Err(failure) => Err(failure),
        }
    }

    fn take(&mut self, event: Event) -> Option<Message> {
        let at = event.id.parse::<Position>().ok();
        if !event.id.is_empty() {
            self.after.clone_from(&event.id);
        }
        let data: Value = serde_json::from_str(&event.data).unwrap_or(Value::Null);
        match event.name.as_str() {
            "gap" => {
                let number = |name: &str| {
                    let value = data.get(name).map(Value::to_string);
                    text::shown(value.unwrap_or_default().trim_matches('"')).into_owned()
                };
                let (from, to) = (number("from"), number("to"));
                Some(Message::Gap(format!("… {from} to {to} are no longer kept")))
            }
            "event" | "delivery" | "message" | "" if data.is_object() => {
                Some(Message::Row(at, data))
            }
            // `slow`: the connection is closed, and made again.
            _ => None,
        }
    }
}

/// One event of the stream.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Event {
    name: String,
    id: String,
    data: String,
}

/// Reads lines out of bytes that come in any pieces.
#[derive(Debug, Default)]
struct Parser {
    rest: Vec<u8>,
    event: Event,
}

impl Parser {
    /// The events that are whole now.
    fn read(&mut self, bytes: &Bytes) -> Result<Vec<Event>, Failure> {
        if self.rest.len() + self.event.data.len() + bytes.len() > EVENT_BYTES_MAX {
            let message = "an event of the stream is larger than it may be";
            return Err(Failure::new(Exit::Unreachable, message));
        }
        self.rest.extend_from_slice(bytes);
        let mut whole = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            whole.extend(self.line(line.trim_end_matches(['\r', '\n'])));
        }
        Ok(whole)
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            // A place alone moves us on.
            return (event != Event::default()).then_some(event);
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => self.event.name = value.to_owned(),
            "id" => self.event.id = value.to_owned(),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // A comment has no name; `retry` is ours to decide.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_any_pieces() {
        let text = ": hello\nretry: 2000\n\nid: 12.0\nevent: event\ndata: {\"a\":\ndata: 1}\n\nid: 13.1\r\nevent: delivery\r\ndata:{}\r\n\r\nid: 14.0\n\nid: 15";
        let want = [
            ("event", "12.0", "{\"a\":\n1}"),
            ("delivery", "13.1", "{}"),
            ("", "14.0", ""),
        ];
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let mut events = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                events.extend(parser.read(&Bytes::copy_from_slice(piece)).unwrap());
            }
            let found: Vec<_> = events
                .iter()
                .map(|e| (e.name.as_str(), e.id.as_str(), e.data.as_str()))
                .collect();
            assert_eq!(found, want, "{size}");
        }
    }

    #[test]
    fn what_has_no_end_is_not_kept() {
        let mut parser = Parser::default();
        let part = Bytes::from(vec![b'x'; EVENT_BYTES_MAX / 2]);
        assert!(parser.read(&part).is_ok());
        assert!(parser.read(&part).is_ok());
        assert!(parser.read(&Bytes::from_static(b"x")).is_err());
    }
}
