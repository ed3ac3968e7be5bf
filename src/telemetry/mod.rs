//! What can be watched from outside: [`metrics`] (every name in one place), [`process`], [`webhook`] (what the way of
//! a request counts, without allocating), [`logs`] (one record is one line) and [`deliveries`] (a line a delivery, or
//! a line a second).
//!
//! Label values and log fields are bounded and public: names from the configuration, outcomes, codes; never a slug,
//! path, header, body or secret.

pub mod deliveries;
pub mod logs;
pub mod metrics;
pub mod process;
pub mod webhook;

pub use deliveries::{DeliveryLine, DeliveryLog};
pub use metrics::{METRICS_CONTENT_TYPE, MetricLabels, Metrics};
pub use webhook::WebhookMetrics;
