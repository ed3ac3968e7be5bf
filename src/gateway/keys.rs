//! Verification with keys that may have to be fetched: a request waits a moment for its sender's key, and is told to
//! come again when it does not come. Nothing of it was accepted, nothing is lost.

use super::routes::Door;
use super::{Gateway, engine};
use crate::intake::answer::Refusal;
use crate::model::Request;
use crate::verify::Verdict;
use jiff::Timestamp;
use std::time::{Duration, Instant};

/// How long a request waits for keys: senders give up after a few seconds.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// Bounds of what is said in `Retry-After`: the source may be asked again before a longer pause is over.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

impl Gateway {
    /// Checks who sent a request.
    pub(super) async fn verify(&self, door: &Door, request: &Request) -> Result<Verdict, Refusal> {
        let deadline = Instant::now() + WAIT_MAX;
        let check =
            || engine::verify_with(&door.webhook, request, Timestamp::now(), &*self.keyring);
        let mut verdict = check();
        if verdict.needs.is_none() {
            return Ok(verdict);
        }
        // More than one may be needed, one after the other; whatever happens, the time is bounded.
        while let Some(source) = verdict.needs.take() {
            if let Err(after) = self.keyring.wait(&source, deadline).await {
                door.metrics.key_waited(false);
                self.alarms.key_missing(&door.webhook.name, &source);
                let (least, most) = RETRY_AFTER;
                let retry_after = after.clamp(least, most);
                return Err(Refusal::Busy { retry_after });
            }
            verdict = check();
        }
        door.metrics.key_waited(true);
        Ok(verdict)
    }
}
