//! The way to one client: a short queue of text, and what happens when nobody takes from it.

use crate::telemetry::Metrics;
use bytes::Bytes;
use futures_util::{Stream, stream};
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// Pieces that wait for the client at most; each holds up to about [`PIECE_BYTES`], or one larger message.
const PIECES: usize = 4;
/// Bytes after which a piece is handed on.
pub(super) const PIECE_BYTES: usize = 64 * 1024;
/// How long a client may take nothing.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// What every stream begins with: how soon to come back.
const PREAMBLE: &str = "retry: 2000\n\n";
const SLOW: &str = "event: slow\ndata: {\"reason\":\"too slow: come back with the last id\"}\n\n";

/// The client is gone, or was let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

/// Counts a client as long as it lives.
struct Client(Arc<Metrics>);

impl Drop for Client {
    fn drop(&mut self) {
        self.0.sse_clients.dec();
    }
}

/// Where a stream's text goes.
pub(super) struct Outlet {
    sender: mpsc::Sender<Bytes>,
    text: String,
    slow: Arc<AtomicBool>,
    patience: Duration,
    _client: Client,
}

impl Outlet {
    /// A way to a client, and the body that it reads.
    pub(super) fn open(
        metrics: &Arc<Metrics>,
        patience: Duration,
    ) -> (Self, impl Stream<Item = Result<Bytes, Infallible>> + use<>) {
        metrics.sse_clients.inc();
        let client = Client(Arc::clone(metrics));
        let (sender, receiver) = mpsc::channel(PIECES);
        let slow = Arc::new(AtomicBool::new(false));
        let outlet = Self {
            sender,
            text: PREAMBLE.to_owned(),
            slow: Arc::clone(&slow),
            patience,
            _client: client,
        };
        let body = stream::unfold((receiver, slow), |(mut receiver, slow)| async move {
            match receiver.recv().await {
                Some(piece) => Some((Ok(piece), (receiver, slow))),
                None if slow.swap(false, Ordering::AcqRel) => {
                    Some((Ok(Bytes::from_static(SLOW.as_bytes())), (receiver, slow)))
                }
                None => None,
            }
        });
        (outlet, body)
    }

    /// Adds a message.
    pub(super) fn message(&mut self, id: Option<&dyn std::fmt::Display>, event: &str, json: &str) {
        use std::fmt::Write as _;
        if let Some(id) = id {
            // Writing into a String cannot fail.
            writeln!(self.text, "id: {id}").ok();
        }
        writeln!(self.text, "event: {event}").ok();
        // A payload is kept as it was written, line breaks among its signs.
        for line in json.split(['\n', '\r']) {
            writeln!(self.text, "data: {line}").ok();
        }
        self.text.push('\n');
    }

    /// Adds a message of a type of ours.
    pub(super) fn typed<T: Serialize>(
        &mut self,
        id: Option<&dyn std::fmt::Display>,
        event: &str,
        value: &T,
    ) {
        if let Ok(json) = serde_json::to_string(value) {
            self.message(id, event, &json);
        }
    }

    /// A sign of life, which says how far was looked.
    pub(super) fn alive(&mut self, id: Option<&dyn std::fmt::Display>) {
        self.text.push_str(": alive\n");
        if let Some(id) = id {
            use std::fmt::Write as _;
            // An id without data moves the client's last id and is no message (WHATWG HTML, 9.2.6).
            write!(self.text, "id: {id}\n\n").ok();
        } else {
            self.text.push('\n');
        }
    }

    /// Whether it is time to hand on.
    pub(super) fn is_full(&self) -> bool {
        self.text.len() >= PIECE_BYTES
    }

    /// Hands on what was added.
    pub(super) async fn flush(&mut self) -> Result<(), Gone> {
        if self.text.is_empty() {
            return if self.sender.is_closed() {
                Err(Gone)
            } else {
                Ok(())
            };
        }
        let piece = Bytes::from(std::mem::take(&mut self.text));
        match self.sender.send_timeout(piece, self.patience).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(Gone),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                self.slow.store(true, Ordering::Release);
                Err(Gone)
            }
        }
    }

    /// Ends when the client is gone.
    pub(super) async fn closed(&self) {
        self.sender.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;

    #[tokio::test]
    async fn who_takes_nothing_is_told_and_let_go() {
        let metrics = Arc::new(Metrics::new());
        let (mut outlet, body) = Outlet::open(&metrics, Duration::from_millis(1));
        assert_eq!(metrics.sse_clients.get(), 1);
        let mut sent = 0;
        loop {
            outlet.message(Some(&"1.0"), "event", "{\n\"a\":1}");
            if outlet.flush().await.is_err() {
                break;
            }
            sent += 1;
        }
        assert_eq!(sent, PIECES);
        drop(outlet);
        assert_eq!(metrics.sse_clients.get(), 0);
        let pieces: Vec<Bytes> = body.map(|piece| piece.unwrap()).collect().await;
        let text = pieces.concat();
        let text = std::str::from_utf8(&text).unwrap();
        let begins = "retry: 2000\n\nid: 1.0\nevent: event\ndata: {\ndata: \"a\":1}\n\n";
        assert!(text.starts_with(begins), "{text}");
        assert!(text.ends_with(SLOW), "{text}");
        assert_eq!(pieces.len(), PIECES + 1);
    }

    #[tokio::test]
    async fn a_client_that_leaves_ends_it() {
        let metrics = Arc::new(Metrics::new());
        let (mut outlet, body) = Outlet::open(&metrics, PATIENCE);
        drop(body);
        outlet.closed().await;
        assert_eq!(outlet.flush().await, Err(Gone));
    }
}
