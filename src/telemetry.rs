//! Metric names in one place, and log set-up. Label values are bounded: names from the configuration,
//! outcomes, codes; never a slug, path, resource or event id.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::{AtomicI64, AtomicU64};

/// Labels of a metric, in the order in which they are exported.
pub type MetricLabels = Vec<(&'static str, String)>;
type FloatGauge = Gauge<f64, AtomicU64>;
type IntGauge = Gauge<i64, AtomicI64>;

/// Makes histograms with given bucket edges.
#[derive(Debug, Clone, Copy)]
pub struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

type HistogramFamily = Family<MetricLabels, Histogram, Buckets>;

/// Seconds of whole requests, commits and sink attempts.
const LATENCY: Buckets = Buckets(&[
    0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
]);
/// Seconds of a translation, which takes microseconds.
const FAST: Buckets = Buckets(&[
    1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 2.5e-2, 0.1, 0.5,
]);
/// Bytes of a body.
const BYTES: Buckets = Buckets(&[
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    10_485_760.0,
]);
/// Deliveries in a commit.
const COUNT: Buckets = Buckets(&[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0,
]);

/// Every metric of the product. Cheap to update from any thread.
#[derive(Debug)]
#[allow(
    missing_docs,
    reason = "each field is the metric of that name; the help text says what it is"
)]
pub struct Metrics {
    registry: Registry,
    pub requests: Family<MetricLabels, Counter>,
    pub request_duration: HistogramFamily,
    pub request_body_bytes: HistogramFamily,
    pub requests_in_flight: IntGauge,
    pub unknown_slug: Counter,
    pub refused: Family<MetricLabels, Counter>,
    pub verification_failures: Family<MetricLabels, Counter>,
    pub duplicates: Family<MetricLabels, Counter>,
    pub events: Family<MetricLabels, Counter>,
    pub translation_duration: HistogramFamily,
    pub translation_errors: Family<MetricLabels, Counter>,
    pub last_delivery: Family<MetricLabels, FloatGauge>,
    pub log_commits: Counter,
    pub log_commit_duration: Histogram,
    pub log_batch_deliveries: Histogram,
    pub log_size: IntGauge,
    pub log_oldest: FloatGauge,
    pub log_head: IntGauge,
    pub sink_delivered: Family<MetricLabels, Counter>,
    pub sink_attempts: Family<MetricLabels, Counter>,
    pub sink_attempt_duration: HistogramFamily,
    pub sink_lag_events: Family<MetricLabels, IntGauge>,
    pub sink_lag_seconds: Family<MetricLabels, FloatGauge>,
    pub sink_up: Family<MetricLabels, IntGauge>,
    pub sink_paused: Family<MetricLabels, IntGauge>,
    pub dead_letters: Family<MetricLabels, IntGauge>,
    pub dead_letters_total: Family<MetricLabels, Counter>,
    pub parked: Family<MetricLabels, Counter>,
    pub feed_lag: IntGauge,
    pub config_reload_success: IntGauge,
    pub config_reload_timestamp: FloatGauge,
}

fn histograms(buckets: Buckets) -> HistogramFamily {
    Family::new_with_constructor(buckets)
}

impl Metrics {
    /// Registers every metric.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("hookgate");
        registry.register(
            "build",
            "Version of the binary",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        let mut metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            request_duration: histograms(LATENCY),
            request_body_bytes: histograms(BYTES),
            requests_in_flight: IntGauge::default(),
            unknown_slug: Counter::default(),
            refused: Family::default(),
            verification_failures: Family::default(),
            duplicates: Family::default(),
            events: Family::default(),
            translation_duration: histograms(FAST),
            translation_errors: Family::default(),
            last_delivery: Family::default(),
            log_commits: Counter::default(),
            log_commit_duration: LATENCY.new_metric(),
            log_batch_deliveries: COUNT.new_metric(),
            log_size: IntGauge::default(),
            log_oldest: FloatGauge::default(),
            log_head: IntGauge::default(),
            sink_delivered: Family::default(),
            sink_attempts: Family::default(),
            sink_attempt_duration: histograms(LATENCY),
            sink_lag_events: Family::default(),
            sink_lag_seconds: Family::default(),
            sink_up: Family::default(),
            sink_paused: Family::default(),
            dead_letters: Family::default(),
            dead_letters_total: Family::default(),
            parked: Family::default(),
            feed_lag: IntGauge::default(),
            config_reload_success: IntGauge::default(),
            config_reload_timestamp: FloatGauge::default(),
        };
        metrics.register_intake(&mut registry);
        metrics.register_behind(&mut registry);
        metrics.registry = registry;
        metrics
    }

    fn register_intake(&self, r: &mut Registry) {
        r.register("requests", "Requests to a webhook", self.requests.clone());
        let name = "request_duration";
        r.register_with_unit(
            name,
            "From the head to the answer",
            Unit::Seconds,
            self.request_duration.clone(),
        );
        r.register_with_unit(
            "request_body",
            "Body on the wire",
            Unit::Bytes,
            self.request_body_bytes.clone(),
        );
        r.register(
            "requests_in_flight",
            "Requests being handled",
            self.requests_in_flight.clone(),
        );
        r.register(
            "unknown_slug",
            "Requests to no webhook",
            self.unknown_slug.clone(),
        );
        r.register(
            "refused",
            "Requests refused before verification",
            self.refused.clone(),
        );
        r.register(
            "verification_failures",
            "Requests not verified",
            self.verification_failures.clone(),
        );
        r.register(
            "duplicates",
            "Requests that repeat a delivery",
            self.duplicates.clone(),
        );
        r.register("events", "Events recorded", self.events.clone());
        let name = "translation_duration";
        r.register_with_unit(
            name,
            "Translating a request",
            Unit::Seconds,
            self.translation_duration.clone(),
        );
        r.register(
            "translation_errors",
            "Requests that could not be translated",
            self.translation_errors.clone(),
        );
        let name = "last_delivery_timestamp";
        r.register_with_unit(
            name,
            "When the last delivery came",
            Unit::Seconds,
            self.last_delivery.clone(),
        );
        r.register(
            "parked_deliveries",
            "Deliveries parked since the start",
            self.parked.clone(),
        );
    }

    fn register_behind(&self, r: &mut Registry) {
        r.register(
            "log_commits",
            "Commits of the log",
            self.log_commits.clone(),
        );
        let name = "log_commit_duration";
        r.register_with_unit(
            name,
            "One commit with its sync",
            Unit::Seconds,
            self.log_commit_duration.clone(),
        );
        r.register(
            "log_batch_deliveries",
            "Deliveries in one commit",
            self.log_batch_deliveries.clone(),
        );
        r.register_with_unit(
            "log_size",
            "The log on disk",
            Unit::Bytes,
            self.log_size.clone(),
        );
        let name = "log_oldest_timestamp";
        r.register_with_unit(
            name,
            "When the oldest delivery was received",
            Unit::Seconds,
            self.log_oldest.clone(),
        );
        r.register(
            "log_head_seq",
            "Newest sequence number",
            self.log_head.clone(),
        );
        r.register(
            "feed_lag_deliveries",
            "Deliveries not yet searchable",
            self.feed_lag.clone(),
        );
        r.register(
            "sink_delivered",
            "Events delivered",
            self.sink_delivered.clone(),
        );
        r.register("sink_attempts", "Attempts", self.sink_attempts.clone());
        let name = "sink_attempt_duration";
        r.register_with_unit(
            name,
            "One attempt",
            Unit::Seconds,
            self.sink_attempt_duration.clone(),
        );
        r.register(
            "sink_lag_events",
            "Deliveries after the cursor",
            self.sink_lag_events.clone(),
        );
        let name = "sink_lag";
        r.register_with_unit(
            name,
            "Age of the oldest after the cursor",
            Unit::Seconds,
            self.sink_lag_seconds.clone(),
        );
        r.register(
            "sink_up",
            "Whether the last attempt worked",
            self.sink_up.clone(),
        );
        r.register(
            "sink_paused",
            "Whether the sink is held",
            self.sink_paused.clone(),
        );
        r.register(
            "dead_letters",
            "Dead letters now",
            self.dead_letters.clone(),
        );
        r.register(
            "dead_letters_added",
            "Dead letters since the start",
            self.dead_letters_total.clone(),
        );
        let name = "config_last_reload_success";
        r.register(
            name,
            "Whether the newest file was taken",
            self.config_reload_success.clone(),
        );
        let name = "config_last_reload_timestamp";
        r.register_with_unit(
            name,
            "When it was read",
            Unit::Seconds,
            self.config_reload_timestamp.clone(),
        );
    }

    /// All metrics in the OpenMetrics text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        if encode(&mut text, &self.registry).is_err() {
            text.clear();
        }
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
