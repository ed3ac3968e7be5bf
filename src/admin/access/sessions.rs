//! Sessions of browsers: a random cookie each, of which the hash is kept.

use crate::admin::actor::Who;
use crate::model::Secret;
use crate::state::tokens::hash;
use actix_web::http::header::{self, HeaderMap};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Name of the cookie where TLS ends before us: browsers take it from this host and over TLS alone.
pub(crate) const COOKIE_SECURE: &str = "__Host-hookgate";
/// Its name on loopback without TLS.
pub(crate) const COOKIE_PLAIN: &str = "hookgate";
/// How long a session lasts after it was last used.
pub(crate) const SESSION_HOURS: u64 = 12;

const LASTS: Duration = Duration::from_secs(SESSION_HOURS * 3_600);
/// Sessions at most; the one that was used longest ago goes first.
const SESSIONS_MAX: usize = 1_000;
/// Bytes of a cookie's text that are looked at.
const COOKIE_BYTES: usize = 32;

#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) who: Who,
    /// Of the token that opened it.
    pub(super) hash: [u8; 32],
    pub(super) seen: Instant,
}

/// All sessions, by the hash of their cookie.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn open(&self, session: Session) -> Secret {
        let cookie = hex::encode(rand::random::<[u8; COOKIE_BYTES]>());
        let mut all = self.lock();
        let now = session.seen;
        all.retain(|_, known| now.saturating_duration_since(known.seen) < LASTS);
        while all.len() >= SESSIONS_MAX {
            let oldest = all.iter().min_by_key(|(_, known)| known.seen);
            let Some(key) = oldest.map(|(key, _)| *key) else {
                break;
            };
            all.remove(&key);
        }
        all.insert(hash(&cookie), session);
        Secret::new(cookie)
    }

    /// The session of a cookie, which lasts longer by that. Looked up by hash, so that time tells nothing about it.
    pub(super) fn see(&self, cookie: &str, now: Instant) -> Option<Session> {
        let mut all = self.lock();
        let key = hash(cookie);
        let session = all.get_mut(&key)?;
        if now.saturating_duration_since(session.seen) >= LASTS {
            all.remove(&key);
            return None;
        }
        session.seen = session.seen.max(now);
        Some(session.clone())
    }

    pub(super) fn close(&self, cookie: &str) {
        self.lock().remove(&hash(cookie));
    }
}

/// The text of a session's cookie in a request. `plain`: the one without TLS counts too.
pub(crate) fn cookie_of(headers: &HeaderMap, plain: bool) -> Option<&str> {
    let named = |name: &str| {
        let values = headers.get_all(header::COOKIE);
        let pairs = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'));
        let mut found = pairs.filter_map(|pair| {
            let (given, value) = pair.trim().split_once('=')?;
            (given == name).then_some(value)
        });
        found.find(|value| value.len() == COOKIE_BYTES * 2)
    };
    named(COOKIE_SECURE).or_else(|| named(COOKIE_PLAIN).filter(|_| plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_slide_end_and_are_bounded() {
        let sessions = Sessions::default();
        let begin = Instant::now();
        let session = |seen| Session {
            who: Who::AdminToken,
            hash: [7; 32],
            seen,
        };
        let cookie = sessions.open(session(begin));
        let cookie = cookie.expose();
        let hours = |n: u64| begin + Duration::from_secs(n * 3_600);
        assert!(sessions.see(cookie, hours(11)).is_some());
        assert!(sessions.see(cookie, hours(22)).is_some(), "it slides");
        assert!(sessions.see("", hours(22)).is_none());
        assert!(sessions.see(cookie, hours(34)).is_none() && sessions.lock().is_empty());
        let first = sessions.open(session(begin));
        for n in 1..2 * SESSIONS_MAX as u64 {
            drop(sessions.open(session(begin + Duration::from_millis(n))));
            assert!(sessions.lock().len() <= SESSIONS_MAX);
        }
        assert!(sessions.see(first.expose(), begin).is_none());
        let last = sessions.open(session(hours(1)));
        sessions.close(last.expose());
        assert!(sessions.see(last.expose(), hours(1)).is_none());
        assert!(
            !sessions
                .lock()
                .keys()
                .any(|key| hex::encode(key) == last.expose())
        );
    }

    #[test]
    fn cookies() {
        let value = "a".repeat(64);
        let of = |text: String, plain| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, text.parse().unwrap());
            cookie_of(&headers, plain).map(str::to_owned)
        };
        assert_eq!(
            of(format!("x=y; hookgate={value}"), true),
            Some(value.clone())
        );
        assert_eq!(of(format!("hookgate={value}"), false), None);
        assert_eq!(
            of(format!("__Host-hookgate={value}"), false),
            Some(value.clone())
        );
        assert_eq!(
            of(format!("hookgate-theme={value}; xhookgate={value}"), true),
            None
        );
        assert_eq!(of("hookgate=short".to_owned(), true), None);
    }
}
