//! Tokens and sessions: who someone is, and what they may do.
//!
//! Tokens are compared by hash in constant time; of a token and of a session's cookie only a hash is in memory.
//! Sessions are in memory alone: a restart ends them, and nothing of them can be taken from a backup.

mod scopes;
mod sessions;

pub(crate) use scopes::{Needs, needs};
pub(crate) use sessions::{COOKIE_PLAIN, COOKIE_SECURE, SESSION_HOURS, cookie_of};

use self::sessions::{Session, Sessions};
use super::actor::Who;
use super::problem::ApiError;
use crate::config::AdminSettings;
use crate::model::Secret;
use crate::state::tokens::{self, TOKENS_MAX};
use crate::state::{Scope, State, StateError, TokenRow};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;
use subtle::ConstantTimeEq as _;

/// How coarse the time of a token's last use is: each note is a write.
const USE_NOTED_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// The stored tokens and the sessions.
pub struct Access {
    state: Arc<dyn State>,
    /// By id. As stored: nobody else writes them while we run.
    tokens: RwLock<HashMap<String, TokenRow>>,
    sessions: Sessions,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

/// Someone who showed something that is known.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) who: Who,
    /// What it allows; none: everything.
    scopes: Option<Vec<Scope>>,
    /// The hash of what was shown.
    hash: [u8; 32],
}

impl Identity {
    /// Someone on this machine, where no token is needed.
    pub(crate) fn loopback() -> Self {
        Self {
            who: Who::Loopback,
            scopes: None,
            hash: [0; 32],
        }
    }

    pub(crate) fn allows(&self, scope: Scope) -> bool {
        let scopes = self.scopes.as_ref();
        scopes.is_none_or(|all| all.contains(&scope) || all.contains(&Scope::Admin))
    }
}

impl Access {
    /// Reads the stored tokens. Blocks.
    ///
    /// # Errors
    /// When the store fails.
    pub fn load(state: Arc<dyn State>) -> Result<Self, StateError> {
        let tokens = state.tokens()?;
        let tokens = tokens
            .into_iter()
            .map(|row| (row.id.clone(), row))
            .collect();
        Ok(Self {
            state,
            tokens: RwLock::new(tokens),
            sessions: Sessions::default(),
        })
    }

    /// Whether there is a stored token that allows everything, ended or not: then nobody is let in without one.
    #[must_use]
    pub fn has_admin(&self) -> bool {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        tokens.values().any(|row| row.allows(Scope::Admin))
    }

    /// Whether there is a stored token.
    #[must_use]
    pub fn has_any(&self) -> bool {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        !tokens.is_empty()
    }

    /// All stored tokens, oldest first.
    pub(crate) fn all(&self) -> Vec<TokenRow> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = tokens.values().cloned().collect();
        all.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        all
    }

    /// Who a token is of; none: it is unknown, or has ended.
    pub(crate) fn identify(&self, settings: &AdminSettings, token: &str) -> Option<Identity> {
        let hash = tokens::hash(token);
        if let Some(known) = settings.token.as_ref().filter(|known| !known.is_blank())
            && bool::from(tokens::hash(known.expose()).ct_eq(&hash))
        {
            return Some(Identity {
                who: Who::AdminToken,
                scopes: None,
                hash,
            });
        }
        self.stored(tokens::id_of(token)?, &hash)
    }

    fn stored(&self, id: &str, hash: &[u8; 32]) -> Option<Identity> {
        let now = Timestamp::now();
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let row = tokens.get(id).filter(|row| !row.is_over(now))?;
        bool::from(row.hash.ct_eq(hash)).then(|| Identity {
            who: Who::Token {
                id: row.id.clone(),
                name: row.name.clone(),
            },
            scopes: Some(row.scopes.clone()),
            hash: row.hash,
        })
    }

    /// The id of the token whose use is to be noted now: it was not for a while.
    pub(crate) fn use_to_note(&self, who: &Who, now: Timestamp) -> Option<String> {
        let Who::Token { id, .. } = who else {
            return None;
        };
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        let row = tokens.get_mut(id)?;
        let noted = row.last_used;
        if noted.is_some_and(|last| now.duration_since(last) < USE_NOTED_EVERY) {
            return None;
        }
        row.last_used = Some(now);
        Some(row.id.clone())
    }

    /// Writes down a token's use. Blocks.
    pub(crate) fn note_use(&self, id: &str, now: Timestamp) {
        if let Err(error) = self.state.note_use(id, now) {
            tracing::warn!(token = id, %error, "the use of a token is not noted");
        }
    }

    /// Makes a token and keeps it. Blocks.
    ///
    /// # Errors
    /// Its name is no name, there are too many, or the store fails.
    pub(crate) fn create(
        &self,
        name: &str,
        scopes: Vec<Scope>,
        expires: Option<Timestamp>,
    ) -> Result<(TokenRow, Secret), ApiError> {
        if let Some(why) = tokens::wrong_name(name) {
            return Err(ApiError::invalid(why));
        }
        if scopes.is_empty() {
            let list = Scope::list();
            return Err(ApiError::invalid(format!("a token needs scopes: {list}")));
        }
        let now = Timestamp::now();
        if expires.is_some_and(|end| end <= now) {
            return Err(ApiError::invalid("the token would have ended already"));
        }
        let (row, token) = tokens::new_token(name.to_owned(), scopes, expires, now);
        if !self.state.add_token(&row)? {
            let text = format!("there are {TOKENS_MAX} tokens, which is the most: revoke one");
            return Err(ApiError::conflict(text));
        }
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(row.id.clone(), row.clone());
        Ok((row, token))
    }

    /// Forgets a token; sessions that were opened with it end. Blocks.
    ///
    /// # Errors
    /// There is none of this id, or the store fails.
    pub(crate) fn revoke(&self, id: &str) -> Result<TokenRow, ApiError> {
        let missing = || ApiError::not_found(format!("there is no token `{id}`"));
        if !self.state.remove_token(id)? {
            return Err(missing());
        }
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        tokens.remove(id).ok_or_else(missing)
    }

    /// Opens a session; gives the text of its cookie.
    pub(crate) fn sign_in(&self, identity: &Identity) -> Secret {
        let session = Session {
            who: identity.who.clone(),
            hash: identity.hash,
            seen: Instant::now(),
        };
        self.sessions.open(session)
    }

    /// Ends a session.
    pub(crate) fn sign_out(&self, cookie: &str) {
        self.sessions.close(cookie);
    }

    /// Who a session is of, as long as what it was opened with still opens one.
    pub(crate) fn session(&self, settings: &AdminSettings, cookie: &str) -> Option<Identity> {
        let session = self.sessions.see(cookie, Instant::now())?;
        let identity = match &session.who {
            Who::Token { id, .. } => self.stored(id, &session.hash),
            _ => {
                let known = settings.token.as_ref().filter(|known| !known.is_blank());
                let same = known
                    .is_some_and(|known| tokens::hash(known.expose()).ct_eq(&session.hash).into());
                same.then_some(Identity {
                    who: Who::AdminToken,
                    scopes: None,
                    hash: session.hash,
                })
            }
        };
        if identity.is_none() {
            self.sessions.close(cookie);
        }
        identity
    }
}
