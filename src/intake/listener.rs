//! Settings of actix-web's listener, in one place.

use super::Timeouts;
use std::time::Duration;

/// actix-web measures from a clock that moves every 500 ms, and a deadline that is over before it is set never fires:
/// below this a connection could stay open for good.
const DEADLINE_MIN: Duration = Duration::from_secs(1);

/// What actix-web is to be told, with the reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerSettings {
    /// Threads, each with an event loop: as many as cores.
    pub workers: usize,
    /// `HttpServer::client_request_timeout`: for the first head of a connection; 408 past it. (Later heads have no
    /// deadline of actix-web's: see `Refusal::closes`.)
    pub head: Duration,
    /// `HttpServer::keep_alive`: longer than the 60 s of nginx and most load balancers, so that they are the ones who
    /// close an idle connection, and no request meets a closing one.
    pub keep_alive: Duration,
    /// `HttpServer::client_disconnect_timeout`: how long an answered sender may go on sending what nobody reads. Not
    /// zero: the answer would be lost with a reset.
    pub disconnect: Duration,
    /// `HttpServer::tls_handshake_timeout`.
    pub tls_handshake: Duration,
    /// `HttpServer::max_connections`, of each worker: an idle or slow one holds about 20 KB.
    pub connections_per_worker: usize,
    /// `HttpServer::backlog`: connections the kernel keeps while all workers are busy.
    pub backlog: u32,
    /// `HttpServer::shutdown_timeout`, in seconds: for requests in flight at a graceful stop.
    pub shutdown_seconds: u64,
}

impl ListenerSettings {
    /// For the public listener.
    #[must_use]
    pub fn new(timeouts: &Timeouts) -> Self {
        let cores = std::thread::available_parallelism();
        Self {
            workers: cores.map_or(1, std::num::NonZero::get),
            head: timeouts.head.max(DEADLINE_MIN),
            keep_alive: Duration::from_secs(75),
            disconnect: DEADLINE_MIN,
            tls_handshake: timeouts.head.max(DEADLINE_MIN),
            connections_per_worker: 10_000,
            backlog: 2_048,
            shutdown_seconds: timeouts.shutdown.as_secs().max(1),
        }
    }
}
