//! API tokens: how one is made, what it may do, and what the state keeps of it: a hash, never the token.

use super::StateError;
use crate::model::Secret;
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// Tokens that are kept at most.
pub const TOKENS_MAX: usize = 1_000;
/// Characters of a token's name at most.
pub const TOKEN_NAME_CHARS_MAX: usize = 80;

/// What every token begins with, so that scanners for leaks find it.
const PREFIX: &str = "hg_";
const ID_BYTES: usize = 6;
const RANDOM_BYTES: usize = 32;

/// Something that a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Events, their counts and their stream.
    EventsRead,
    /// Deliveries without what their senders sent.
    DeliveriesRead,
    /// Requests as their senders sent them: other people's data.
    DeliveriesRaw,
    /// Replay of deliveries.
    Replay,
    /// The playground's call.
    Render,
    /// Dead letters: see, retry, discard.
    DeadLetters,
    /// Sinks: see, test, hold, let go.
    Sinks,
    /// The configuration and the webhooks.
    ConfigRead,
    /// Reload, and secrets that senders deliver.
    ConfigWrite,
    /// Tokens; and with them everything.
    Admin,
}

impl Scope {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::EventsRead,
        Self::DeliveriesRead,
        Self::DeliveriesRaw,
        Self::Replay,
        Self::Render,
        Self::DeadLetters,
        Self::Sinks,
        Self::ConfigRead,
        Self::ConfigWrite,
        Self::Admin,
    ];

    /// As written: `events:read`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EventsRead => "events:read",
            Self::DeliveriesRead => "deliveries:read",
            Self::DeliveriesRaw => "deliveries:raw",
            Self::Replay => "replay",
            Self::Render => "render",
            Self::DeadLetters => "dead-letters",
            Self::Sinks => "sinks",
            Self::ConfigRead => "config:read",
            Self::ConfigWrite => "config:write",
            Self::Admin => "admin",
        }
    }

    /// From its text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }

    /// All of them, for messages: `events:read`, `admin`…
    #[must_use]
    pub fn list() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

impl Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A token as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Its id: the part of it that is no secret.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// SHA-256 of the token. It has 256 random bits, so that nothing slower is needed.
    pub hash: [u8; 32],
    /// What it allows, in order.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends; none: never.
    pub expires: Option<Timestamp>,
    /// When it was used last, to about an hour.
    pub last_used: Option<Timestamp>,
}

impl TokenRow {
    /// Whether it allows something; `admin` allows everything.
    #[must_use]
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

/// Where tokens are kept. Every call but [`TokenStore::note_use`] is on disk when it returns; calls block.
pub trait TokenStore: Send + Sync {
    /// Every token, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    fn tokens(&self) -> Result<Vec<TokenRow>, StateError>;

    /// Keeps a token, where there are fewer than [`TOKENS_MAX`]; whether it was kept.
    ///
    /// # Errors
    /// When the store fails.
    fn add_token(&self, row: &TokenRow) -> Result<bool, StateError>;

    /// Forgets a token; whether it was there.
    ///
    /// # Errors
    /// When the store fails.
    fn remove_token(&self, id: &str) -> Result<bool, StateError>;

    /// Notes when a token was used.
    ///
    /// # Errors
    /// When the store fails.
    fn note_use(&self, id: &str, at: Timestamp) -> Result<(), StateError>;
}

/// Makes a token: what is kept, and the token itself, which is shown once.
#[must_use]
pub fn new_token(
    name: String,
    mut scopes: Vec<Scope>,
    expires: Option<Timestamp>,
    now: Timestamp,
) -> (TokenRow, Secret) {
    scopes.sort();
    scopes.dedup();
    let id = hex::encode(rand::random::<[u8; ID_BYTES]>());
    let random = hex::encode(rand::random::<[u8; RANDOM_BYTES]>());
    let token = format!("{PREFIX}{id}_{random}");
    let row = TokenRow {
        hash: hash(&token),
        id,
        name,
        scopes,
        created: now,
        expires,
        last_used: None,
    };
    (row, Secret::new(token))
}

/// The hash that is kept of a token.
#[must_use]
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// The id in what looks like a token of ours.
#[must_use]
pub fn id_of(token: &str) -> Option<&str> {
    let (id, random) = token.strip_prefix(PREFIX)?.split_once('_')?;
    let is_hex = |text: &str, bytes: usize| {
        text.len() == bytes * 2 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    (is_hex(id, ID_BYTES) && is_hex(random, RANDOM_BYTES)).then_some(id)
}

/// What is wrong with a token's name, if anything.
#[must_use]
pub fn wrong_name(name: &str) -> Option<String> {
    let fits = (1..=TOKEN_NAME_CHARS_MAX).contains(&name.chars().count());
    let clean = name.trim() == name && !name.chars().any(char::is_control);
    (!fits || !clean).then(|| {
        format!(
            "a token's name has 1 to {TOKEN_NAME_CHARS_MAX} characters, none of them a control character, and no \
             blank at its ends"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_say_their_id_and_nothing_else() {
        let now = Timestamp::UNIX_EPOCH;
        let scopes = vec![Scope::Sinks, Scope::EventsRead, Scope::Sinks];
        let (row, token) = new_token("nightly".to_owned(), scopes, Some(now), now);
        let text = token.expose();
        assert_eq!(id_of(text), Some(row.id.as_str()));
        assert_eq!(hash(text), row.hash);
        assert_eq!(row.scopes, [Scope::EventsRead, Scope::Sinks]);
        assert!(row.allows(Scope::Sinks) && !row.allows(Scope::Replay) && row.is_over(now));
        let secret = text.rsplit('_').next().unwrap();
        assert!(secret.len() == 64 && !format!("{row:?} {token:?}").contains(secret));
        let (other, second) = new_token("nightly".to_owned(), vec![Scope::Admin], None, now);
        assert!(other.id != row.id && second.expose() != text && other.allows(Scope::Replay));
        for wrong in [
            "",
            "hg_",
            "hg__",
            "hg_12_34",
            text.trim_start_matches('h'),
            &format!("{text}0"),
            &text.to_uppercase(),
        ] {
            assert_eq!(id_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn scopes_and_names() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
        }
        assert_eq!(Scope::parse("event:read"), None);
        assert!(wrong_name("nightly job").is_none() && wrong_name("日本").is_none());
        for wrong in ["", " a", "a\u{1b}[1m", &"x".repeat(81)] {
            assert!(wrong_name(wrong).is_some());
        }
    }
}
