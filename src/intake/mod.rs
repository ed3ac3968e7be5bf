//! The HTTP edge: reads a request within limits, or refuses it with the right status. Knows nothing of
//! webhooks.toml, signatures or the log; `gateway` joins them.
//!
//! The parts, in the order in which a request meets them: [`listener`] and [`tls`] (settings of actix-web),
//! [`head`] (limits of URL and headers, the slug), [`client`] (who calls), [`rate`], [`body`] with [`budget`] (size,
//! pace, memory of all bodies together), [`coding`] (`Content-Encoding`), [`answer`] (the one table of statuses).

pub mod answer;
pub mod body;
pub mod budget;
pub mod client;
pub mod coding;
pub mod head;
pub mod listener;
pub mod rate;
pub mod tls;

#[cfg(test)]
mod wire_tests;

use ipnet::IpNet;
use std::net::SocketAddr;
use std::time::Duration;

/// Settings of the public listener, from `[server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeSettings {
    /// Public listener.
    pub listen: SocketAddr,
    /// What senders call, such as `https://hooks.example.com`, without a trailing slash.
    pub public_url: Option<String>,
    /// Who may set `X-Forwarded-For` and `Forwarded`.
    pub trusted_proxies: Vec<IpNet>,
    /// Certificate and key in PEM, for TLS on the public listener.
    pub tls: Option<TlsSettings>,
    /// Bytes of a body, also after decompression.
    pub max_body: usize,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Bytes a second that a body must come with on average after its first 5 s.
    pub min_rate: u64,
}

/// Files of the public listener's certificate; reloaded when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// Certificate chain, PEM.
    pub cert: std::path::PathBuf,
    /// Private key, PEM.
    pub key: std::path::PathBuf,
}

/// Deadlines of a request; past them 408.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the first head of a connection, from its start; whoever knows no slug gets no second one.
    pub head: Duration,
    /// Between two pieces of a body.
    pub body_idle: Duration,
    /// For the whole body.
    pub body_total: Duration,
    /// For a graceful stop.
    pub shutdown: Duration,
}
