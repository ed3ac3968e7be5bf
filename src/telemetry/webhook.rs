//! What one webhook counts, looked up once: a request on its way allocates nothing for its metrics.

use super::metrics::{FloatGauge, MetricLabels, Metrics};
use crate::model::Outcome;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The metrics of one webhook. Made when a configuration is taken; dropped with it, while the counts stay.
#[derive(Debug)]
pub struct WebhookMetrics {
    all: Arc<Metrics>,
    name: String,
    outcomes: [OnceLock<OfOutcome>; Outcome::ALL.len()],
    body_bytes: Histogram,
    translation: Histogram,
    last_delivery: FloatGauge,
    events: Counter,
    duplicates: Counter,
    other_content: Counter,
    old_slug: Counter,
}

/// The counter of an outcome with the status it had first (nearly always its only one), and its durations.
#[derive(Debug)]
struct OfOutcome {
    status: u16,
    requests: Counter,
    duration: Histogram,
}

impl WebhookMetrics {
    /// For a webhook's name.
    #[must_use]
    pub fn new(all: &Arc<Metrics>, name: &str) -> Self {
        let own = vec![("webhook", name.to_owned())];
        Self {
            name: name.to_owned(),
            outcomes: [const { OnceLock::new() }; Outcome::ALL.len()],
            body_bytes: all.request_body_bytes.get_or_create_owned(&own),
            translation: all.translation_duration.get_or_create_owned(&own),
            last_delivery: all.last_delivery.get_or_create_owned(&own),
            events: all.events.get_or_create_owned(&own),
            duplicates: all.duplicates.get_or_create_owned(&own),
            other_content: all.other_content.get_or_create_owned(&own),
            old_slug: all.old_slug.get_or_create_owned(&own),
            all: Arc::clone(all),
        }
    }

    /// A request was answered: `took` from its head to the answer, `events` recorded, `now` in seconds since the epoch.
    pub fn answered(&self, outcome: Outcome, status: u16, took: Duration, events: usize, now: f64) {
        let slot = self.outcomes.get(outcome as usize);
        let Some(cached) = slot.map(|slot| slot.get_or_init(|| self.of_outcome(outcome, status)))
        else {
            return;
        };
        if cached.status == status {
            cached.requests.inc();
        } else {
            let labels = self.request_labels(outcome, status);
            self.all.requests.get_or_create(&labels).inc();
        }
        cached.duration.observe(took.as_secs_f64());
        if outcome == Outcome::Duplicate {
            self.duplicates.inc();
        }
        // Strangers do not count as a sign of life.
        if outcome != Outcome::Rejected {
            self.last_delivery.set(now);
        }
        self.events.inc_by(events as u64);
    }

    /// A request had a key that was known with other content.
    pub fn other_content(&self) {
        self.other_content.inc();
    }

    /// A request came by a slug that the webhook had.
    pub fn by_old_slug(&self) {
        self.old_slug.inc();
    }

    /// A body was read, bytes on the wire.
    pub fn body(&self, bytes: usize) {
        self.body_bytes.observe(bytes as f64);
    }

    /// A request was translated, or could not be.
    pub fn translated(&self, took: Duration) {
        self.translation.observe(took.as_secs_f64());
    }

    /// A request was refused before verification.
    pub fn refused(&self, status: u16) {
        let labels = self.labels("status", status.to_string());
        self.all.refused.get_or_create(&labels).inc();
    }

    /// A request was not verified; `reason` is a code.
    pub fn not_verified(&self, reason: crate::codes::Code) {
        let labels = self.labels("reason", reason.to_string());
        self.all.verification_failures.get_or_create(&labels).inc();
    }

    /// A request waited for its sender's key, which came or did not.
    pub fn key_waited(&self, came: bool) {
        let result = if came { "came" } else { "missing" };
        let labels = self.labels("result", result.to_owned());
        self.all.key_waits.get_or_create(&labels).inc();
    }

    /// A subscription was confirmed at its service, or could not be.
    pub fn subscription(&self, confirmed: bool) {
        let result = if confirmed { "confirmed" } else { "failed" };
        let labels = self.labels("result", result.to_owned());
        self.all
            .subscription_confirmations
            .get_or_create(&labels)
            .inc();
    }

    /// A request could not be translated.
    pub fn not_translated(&self, code: crate::codes::Code) {
        let labels = self.labels("code", code.to_string());
        self.all.translation_errors.get_or_create(&labels).inc();
    }

    fn labels(&self, key: &'static str, value: String) -> MetricLabels {
        vec![("webhook", self.name.clone()), (key, value)]
    }

    fn request_labels(&self, outcome: Outcome, status: u16) -> MetricLabels {
        let mut labels = self.labels("outcome", outcome.as_str().to_owned());
        labels.push(("status", status.to_string()));
        labels
    }

    fn of_outcome(&self, outcome: Outcome, status: u16) -> OfOutcome {
        let requests = self.request_labels(outcome, status);
        let duration = self.labels("outcome", outcome.as_str().to_owned());
        OfOutcome {
            status,
            requests: self.all.requests.get_or_create_owned(&requests),
            duration: self.all.request_duration.get_or_create_owned(&duration),
        }
    }
}

/// A request in flight, counted until dropped.
#[derive(Debug)]
pub struct InFlight(Gauge);

impl InFlight {
    /// One more.
    #[must_use]
    pub fn enter(metrics: &Metrics) -> Self {
        metrics.requests_in_flight.inc();
        Self(metrics.requests_in_flight.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes;

    #[test]
    fn counted_under_the_right_labels() {
        let all = Arc::new(Metrics::new());
        let orders = WebhookMetrics::new(&all, "orders");
        let millis = Duration::from_millis(3);
        orders.answered(Outcome::Accepted, 204, millis, 2, 1e9);
        orders.answered(Outcome::Accepted, 204, millis, 1, 1e9);
        orders.answered(Outcome::Accepted, 200, millis, 1, 1e9);
        orders.answered(Outcome::Duplicate, 204, millis, 0, 1e9);
        orders.answered(Outcome::Parked, 400, millis, 0, 1e9);
        orders.answered(Outcome::Rejected, 401, millis, 0, 2e9);
        orders.body(7_700);
        orders.translated(Duration::from_micros(40));
        orders.refused(413);
        orders.not_verified(codes::SIGNATURE_MISMATCH);
        orders.not_translated(codes::TEMPLATE_FAILED);
        let in_flight = InFlight::enter(&all);
        let text = all.encode();
        for line in [
            "hookgate_requests_total{webhook=\"orders\",outcome=\"accepted\",status=\"204\"} 2",
            "hookgate_requests_total{webhook=\"orders\",outcome=\"accepted\",status=\"200\"} 1",
            "hookgate_requests_total{webhook=\"orders\",outcome=\"rejected\",status=\"401\"} 1",
            "hookgate_request_duration_seconds_count{webhook=\"orders\",outcome=\"accepted\"} 3",
            "hookgate_request_body_bytes_count{webhook=\"orders\"} 1",
            "hookgate_translation_duration_seconds_count{webhook=\"orders\"} 1",
            "hookgate_events_total{webhook=\"orders\"} 4",
            "hookgate_duplicates_total{webhook=\"orders\"} 1",
            "hookgate_refused_total{webhook=\"orders\",status=\"413\"} 1",
            "hookgate_verification_failures_total{webhook=\"orders\",reason=\"HG0503\"} 1",
            "hookgate_translation_errors_total{webhook=\"orders\",code=\"HG0303\"} 1",
            "hookgate_last_delivery_timestamp_seconds{webhook=\"orders\"} 1000000000.0",
            "hookgate_requests_in_flight 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        drop(in_flight);
        assert!(all.encode().contains("hookgate_requests_in_flight 0\n"));
    }
}
