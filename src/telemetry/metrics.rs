//! Every metric, registered under its exported name. Label values are bounded: names from the configuration,
//! outcomes, codes; never a slug, path, resource or event id.

use super::process::Process;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry, Unit};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Mutex, PoisonError};

/// Labels of a metric, in the order in which they are exported.
pub type MetricLabels = Vec<(&'static str, String)>;
pub(super) type FloatGauge = Gauge<f64, AtomicU64>;
type IntGauge = Gauge<i64, AtomicI64>;

/// The media type of what [`Metrics::encode`] gives.
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A counter that is exported under its own name as it stands.
///
/// OpenMetrics takes the family of a counter `x_total` to be `x`; where a gauge `x` is there as well, the two would be
/// one family of two types. So this one has a family of its own, of type `unknown`.
#[derive(Debug, Clone, Default)]
pub struct NamedCounter(Counter);

impl std::ops::Deref for NamedCounter {
    type Target = Counter;

    fn deref(&self) -> &Counter {
        &self.0
    }
}

impl TypedMetric for NamedCounter {
    const TYPE: MetricType = MetricType::Unknown;
}

impl EncodeMetric for NamedCounter {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        encoder.encode_gauge(&self.0.get())
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

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
    pub admin_refused: Family<MetricLabels, Counter>,
    pub sign_ins: Family<MetricLabels, Counter>,
    pub verification_failures: Family<MetricLabels, Counter>,
    pub key_fetches: Family<MetricLabels, Counter>,
    pub key_waits: Family<MetricLabels, Counter>,
    pub subscription_confirmations: Family<MetricLabels, Counter>,
    pub duplicates: Family<MetricLabels, Counter>,

    pub other_content: Family<MetricLabels, Counter>,
    pub old_slug: Family<MetricLabels, Counter>,
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
    pub dead_letters_total: Family<MetricLabels, NamedCounter>,
    parked: Family<MetricLabels, IntGauge>,
    pub secret_pending: Family<MetricLabels, IntGauge>,
    parked_names: Mutex<BTreeSet<String>>,
    pub feed_lag: IntGauge,
    pub sse_clients: IntGauge,
    config: Family<MetricLabels, IntGauge>,
    pub config_reload_success: IntGauge,
    pub config_reload_timestamp: FloatGauge,
}

fn register_build(registry: &mut Registry) {
    let labels = vec![
        ("version", env!("CARGO_PKG_VERSION")),
        // Set by whoever builds a release.
        (
            "revision",
            option_env!("HOOKGATE_REVISION").unwrap_or("unknown"),
        ),
        ("rustc", option_env!("HOOKGATE_RUSTC").unwrap_or("unknown")),
    ];
    registry.register("build", "Version of the binary", Info::new(labels));
}

fn histograms(buckets: Buckets) -> HistogramFamily {
    Family::new_with_constructor(buckets)
}

impl Metrics {
    /// Registers every metric.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            request_duration: histograms(LATENCY),
            request_body_bytes: histograms(BYTES),
            requests_in_flight: IntGauge::default(),
            unknown_slug: Counter::default(),
            refused: Family::default(),
            admin_refused: Family::default(),
            sign_ins: Family::default(),
            verification_failures: Family::default(),
            key_fetches: Family::default(),
            key_waits: Family::default(),
            subscription_confirmations: Family::default(),
            duplicates: Family::default(),
            other_content: Family::default(),
            old_slug: Family::default(),
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
            secret_pending: Family::default(),
            parked_names: Mutex::default(),
            feed_lag: IntGauge::default(),
            sse_clients: IntGauge::default(),
            config: Family::default(),
            config_reload_success: IntGauge::default(),
            config_reload_timestamp: FloatGauge::default(),
        };
        let mut root = Registry::default();
        root.register_collector(Box::new(Process));
        let registry = root.sub_registry_with_prefix("hookgate");
        register_build(registry);
        metrics.register_intake(registry);
        metrics.register_keys(registry);
        metrics.register_owners_cares(registry);
        metrics.register_log(registry);
        metrics.register_sinks(registry);
        metrics.register_config(registry);
        metrics.registry = root;
        metrics
    }

    /// Says which configuration is in use (`hookgate_config_info`).
    pub fn set_config_hash(&self, hash: &str) {
        self.config.clear();
        self.config
            .get_or_create(&vec![("hash", hash.to_owned())])
            .set(1);
    }

    /// Sets how many deliveries are parked now, of each webhook that is configured or has some; of one that was
    /// told before and has none, 0.
    pub fn set_parked<'a>(
        &self,
        webhooks: impl Iterator<Item = &'a str>,
        parked: &'a BTreeMap<String, u64>,
    ) {
        let mut names = self
            .parked_names
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for name in webhooks.chain(parked.keys().map(String::as_str)) {
            if !names.contains(name) {
                names.insert(name.to_owned());
            }
        }
        for name in names.iter() {
            let now = parked.get(name).copied().unwrap_or(0);
            let gauge = self
                .parked
                .get_or_create_owned(&vec![("webhook", name.clone())]);
            gauge.set(i64::try_from(now).unwrap_or(i64::MAX));
        }
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
            "admin_refused",
            "Requests that the admin listener refused, by reason",
            self.admin_refused.clone(),
        );
        r.register(
            "sign_ins",
            "Attempts to sign in to the pages, by result",
            self.sign_ins.clone(),
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
        r.register(
            "duplicates_other_content",
            "Requests with a known key and other content",
            self.other_content.clone(),
        );
        self.register_translation(r);
    }

    fn register_translation(&self, r: &mut Registry) {
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
            "Deliveries parked now",
            self.parked.clone(),
        );
    }

    /// What an owner has to do something about: a sender that was not told, a secret to look at.
    fn register_owners_cares(&self, r: &mut Registry) {
        r.register(
            "old_slug",
            "Requests that came by an old slug",
            self.old_slug.clone(),
        );
        r.register(
            "secret_pending",
            "Whether a webhook's learned secret waits to be confirmed",
            self.secret_pending.clone(),
        );
    }

    fn register_keys(&self, r: &mut Registry) {
        r.register(
            "key_fetches",
            "Fetches of senders' keys",
            self.key_fetches.clone(),
        );
        r.register(
            "key_waits",
            "Requests whose key was not at hand",
            self.key_waits.clone(),
        );
        r.register(
            "subscription_confirmations",
            "Subscriptions confirmed at a service, or not",
            self.subscription_confirmations.clone(),
        );
    }

    fn register_log(&self, r: &mut Registry) {
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
            "sse_clients",
            "Clients that watch a stream",
            self.sse_clients.clone(),
        );
    }

    fn register_sinks(&self, r: &mut Registry) {
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
            "dead_letters_total",
            "Dead letters since the start",
            self.dead_letters_total.clone(),
        );
    }

    fn register_config(&self, r: &mut Registry) {
        r.register(
            "config_info",
            "Hash of the configuration in use",
            self.config.clone(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Every exported sample, histograms as one name.
    const NAMES: &str = "
        hookgate_build_info hookgate_config_info hookgate_config_last_reload_success
        hookgate_config_last_reload_timestamp_seconds hookgate_dead_letters hookgate_dead_letters_total
        hookgate_duplicates_other_content_total hookgate_duplicates_total hookgate_events_total hookgate_feed_lag_deliveries
        hookgate_sse_clients
        hookgate_key_fetches_total hookgate_key_waits_total hookgate_subscription_confirmations_total
        hookgate_last_delivery_timestamp_seconds hookgate_log_batch_deliveries
        hookgate_log_commit_duration_seconds hookgate_log_commits_total hookgate_log_head_seq
        hookgate_log_oldest_timestamp_seconds hookgate_log_size_bytes hookgate_old_slug_total
        hookgate_parked_deliveries
        hookgate_refused_total hookgate_admin_refused_total hookgate_sign_ins_total hookgate_request_body_bytes hookgate_request_duration_seconds
        hookgate_requests_in_flight hookgate_requests_total hookgate_secret_pending hookgate_sink_attempt_duration_seconds
        hookgate_sink_attempts_total hookgate_sink_delivered_total hookgate_sink_lag_events
        hookgate_sink_lag_seconds hookgate_sink_paused hookgate_sink_up
        hookgate_translation_duration_seconds hookgate_translation_errors_total
        hookgate_unknown_slug_total hookgate_verification_failures_total
        process_cpu_seconds_total process_max_fds process_open_fds process_resident_memory_bytes
        process_start_time_seconds process_virtual_memory_bytes";

    fn touch_families(m: &Metrics) {
        let labels = vec![("webhook", "orders".to_owned())];
        for counter in [
            &m.requests,
            &m.refused,
            &m.admin_refused,
            &m.sign_ins,
            &m.verification_failures,
            &m.key_fetches,
            &m.key_waits,
            &m.subscription_confirmations,
            &m.duplicates,
            &m.other_content,
            &m.old_slug,
            &m.events,
            &m.translation_errors,
            &m.sink_delivered,
            &m.sink_attempts,
        ] {
            counter.get_or_create(&labels).inc();
        }
        for histogram in [
            &m.request_duration,
            &m.request_body_bytes,
            &m.translation_duration,
            &m.sink_attempt_duration,
        ] {
            histogram.get_or_create(&labels).observe(1.0);
        }
        for gauge in [
            &m.sink_lag_events,
            &m.sink_up,
            &m.sink_paused,
            &m.dead_letters,
            &m.parked,
            &m.secret_pending,
        ] {
            gauge.get_or_create(&labels).set(1);
        }
        m.last_delivery.get_or_create(&labels).set(1.0);
        m.sink_lag_seconds.get_or_create(&labels).set(1.0);
        m.dead_letters_total.get_or_create(&labels).inc();
        m.set_config_hash("old");
        m.set_config_hash("new");
    }

    #[test]
    fn parked_is_what_is_there_now() {
        let metrics = Metrics::new();
        let mut parked = BTreeMap::from([("a".to_owned(), 2), ("gone".to_owned(), 1)]);
        metrics.set_parked(["a", "b"].into_iter(), &parked);
        let said = |webhook: &str| {
            let text = metrics.encode();
            let start = format!("hookgate_parked_deliveries{{webhook=\"{webhook}\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&start));
            line.map(str::to_owned)
        };
        let all = ["a", "b", "gone"].map(said);
        assert_eq!(all.map(Option::unwrap), ["2", "0", "1"]);
        parked.remove("gone");
        metrics.set_parked(["a"].into_iter(), &parked);
        assert_eq!(
            ["a", "b", "gone"].map(said).map(Option::unwrap),
            ["2", "0", "0"]
        );
    }

    #[test]
    fn exported_names() {
        let metrics = Metrics::new();
        touch_families(&metrics);
        let text = metrics.encode();
        let mut names = BTreeSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            let whole = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|part| name.strip_suffix(part));
            names.insert(whole.unwrap_or(name));
        }
        let want: BTreeSet<_> = NAMES.split_whitespace().collect();
        assert_eq!(names, want, "{text}");
        assert!(text.ends_with("# EOF\n"));
        assert!(
            text.contains("hookgate_config_info{hash=\"new\"} 1\n") && !text.contains("\"old\"")
        );
        // A family is one thing only.
        let types: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("# TYPE"))
            .collect();
        let families: BTreeSet<_> = types.iter().map(|line| line.split(' ').nth(2)).collect();
        assert_eq!(types.len(), families.len());
    }
}
