//! Keys that senders publish at a URL: sets of JSON Web Keys, certificates, single keys. Fetched in the background,
//! held in memory, handed to verification, which never waits.
//!
//! - Where is data: URLs of the configuration and of providers, or URLs that a request names at a host that the
//!   provider's data pin. Never what a token says of itself.
//! - How is [`client`]: https alone, no redirect, 64 KiB, addresses checked where they are connected to.
//! - How often is [`table`]: fetches of one URL are at least a minute apart, failures further; a set of URLs that
//!   strangers can name is bounded. Keys are fetched again after an hour, before anyone asks; where that fails, they
//!   go on working for a day after they came.
//! - A request whose key is not at hand may [wait](Keyring::wait) a moment. However many wait, one fetch is made.
//!
//! Nothing is kept over a restart: the first request of a sender then waits for its key.

pub mod address;
pub mod client;
mod table;
#[cfg(test)]
mod tests;

use crate::telemetry::Metrics;
use crate::verify::{Document, Found, KeySource, KeysAtHand};
use client::{Client, FetchError};
use jiff::Timestamp;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use table::{Table, Tuning, Want};
use tokio::sync::{Notify, OnceCell, Semaphore, watch};
use tokio::task::JoinSet;
use url::Url;

/// Calls that confirm something at a service, at once.
const CALLS_MAX: usize = 4;
/// When to come again for a key that is being fetched.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The keys at hand, and what fetches them. One for the process.
pub struct Keyring {
    table: Mutex<Table>,
    tuning: Tuning,
    client: OnceCell<Client>,
    calls: Semaphore,
    metrics: Arc<Metrics>,
    /// Wakes the fetching task.
    wake: Notify,
    /// Counts fetches that ended.
    ended: watch::Sender<u64>,
}

impl Keyring {
    /// An empty one. Nothing is fetched until [`Self::run`] runs.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self::tuned(metrics, Tuning::default(), OnceCell::new())
    }

    fn tuned(metrics: Arc<Metrics>, tuning: Tuning, client: OnceCell<Client>) -> Self {
        Self {
            table: Mutex::new(Table::new(tuning)),
            tuning,
            client,
            calls: Semaphore::new(CALLS_MAX),
            metrics,
            wake: Notify::new(),
            ended: watch::Sender::new(0),
        }
    }

    /// One whose client reaches nothing but a test's server.
    #[cfg(test)]
    pub(crate) fn testing(tuning: Tuning, client: Client) -> Self {
        let cell = OnceCell::new_with(Some(client));
        Self::tuned(Arc::new(Metrics::new()), tuning, cell)
    }

    /// The sources that a configuration names: fetched at once, and held while it names them.
    pub fn configure(&self, sources: impl IntoIterator<Item = KeySource>) {
        self.lock().configure(sources, Instant::now());
        self.wake.notify_one();
    }

    /// Waits until a source was asked, if it can be asked now.
    ///
    /// # Errors
    /// It was not, up to `deadline`: when to come again.
    pub async fn wait(&self, source: &KeySource, deadline: Instant) -> Result<(), Duration> {
        let mut ended = self.ended.subscribe();
        match self.lock().want(source, Instant::now()) {
            Want::Pending => self.wake.notify_one(),
            Want::Later(after) => return Err(after),
        }
        while self.lock().is_pending(source) {
            let change = tokio::time::timeout_at(deadline.into(), ended.changed());
            if change.await.is_err() {
                return Err(RETRY_AFTER);
            }
        }
        Ok(())
    }

    /// Fetches what is due, for ever.
    pub async fn run(self: Arc<Self>) {
        let mut fetches = JoinSet::new();
        loop {
            let due = self.lock().due(Instant::now());
            for source in due {
                fetches.spawn(Arc::clone(&self).fetch(source));
            }
            tokio::select! {
                () = self.wake.notified() => {}
                Some(_) = fetches.join_next() => {}
                () = tokio::time::sleep(self.tuning.tick) => {}
            }
        }
    }

    /// Calls a URL of a service whose answer does not matter but for its success.
    ///
    /// # Errors
    /// What went wrong, or that too many calls are under way.
    pub async fn call(&self, url: &Url) -> Result<(), FetchError> {
        let Ok(_permit) = self.calls.try_acquire() else {
            return Err(FetchError::Busy);
        };
        self.client().await?.get(url).await.map(drop)
    }

    async fn fetch(self: Arc<Self>, source: KeySource) {
        let result = self.document(&source).await;
        let label = if result.is_ok() { "ok" } else { "failed" };
        self.metrics
            .key_fetches
            .get_or_create(&vec![("result", label.to_owned())])
            .inc();
        match &result {
            Ok(_) => tracing::debug!(source = source.label(), "keys were fetched"),
            Err(error) => {
                tracing::warn!(source = source.label(), %error, "keys could not be fetched");
            }
        }
        self.lock().settle(&source, result.ok(), Instant::now());
        self.ended
            .send_modify(|count| *count = count.wrapping_add(1));
        // What could not be begun before for want of room.
        self.wake.notify_one();
    }

    async fn document(&self, source: &KeySource) -> Result<Arc<Document>, FetchError> {
        let client = self.client().await?;
        let bytes = client.get(source.url()).await?;
        let document = source.read(&bytes, Timestamp::now(), client.roots());
        document.map(Arc::new).map_err(FetchError::Content)
    }

    async fn client(&self) -> Result<&Client, FetchError> {
        let make = || async {
            // Reads the system's certificates, which blocks.
            let made = tokio::task::spawn_blocking(Client::new).await;
            made.unwrap_or_else(|_| Err(FetchError::Client("it could not be made".to_owned())))
        };
        self.client.get_or_try_init(make).await
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // The table is whole after every method, whoever panicked.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeysAtHand for Keyring {
    fn find(&self, source: &KeySource) -> Option<Found> {
        self.lock().find(source, Instant::now())
    }
}
