//! The opaque last part of a webhook's URL. Knowing it is a right, so it never prints.

use super::limits;
use std::fmt;
use thiserror::Error;

/// The opaque last part of a webhook's URL, `/hooks/<slug>`: 1 to 128 of `A-Z a-z 0-9 _ -`.
///
/// It is a secret: `Debug` shows `{slug}`, there is no `Display` and no `Serialize`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slug(String);

/// Why a text is no slug.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SlugError {
    /// Nothing there.
    #[error("a slug cannot be empty")]
    Empty,
    /// Longer than 128 characters.
    #[error("a slug has at most {max} characters, this one has {0}", max = limits::SLUG_CHARS_MAX)]
    TooLong(usize),
    /// A character outside `A-Z a-z 0-9 _ -`, with its position from 1.
    #[error("a slug is made of A-Z a-z 0-9 _ -; character {0} is none of them")]
    Character(usize),
}

impl Slug {
    /// Checks the characters and the length.
    ///
    /// # Errors
    /// Says which rule the text breaks; the text itself is never in the error.
    pub fn parse(text: &str) -> Result<Self, SlugError> {
        if text.is_empty() {
            return Err(SlugError::Empty);
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if let Some(at) = text.chars().position(|c| !allowed(c)) {
            return Err(SlugError::Character(at + 1));
        }
        if text.len() > limits::SLUG_CHARS_MAX {
            return Err(SlugError::TooLong(text.len()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text itself, for routing and for what the owner pastes at the sender.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is long enough for 128 random bits in base62.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.0.len() >= limits::SLUG_CHARS_SAFE
    }
}

impl fmt::Debug for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{slug}")
    }
}

/// So that a routing table is asked with the text of a URL.
impl std::borrow::Borrow<str> for Slug {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        assert!(Slug::parse("AERylZuewzpDx8fcweHQ3k").is_ok_and(|s| s.is_safe()));
        assert_eq!(Slug::parse(""), Err(SlugError::Empty));
        assert_eq!(Slug::parse("a/b"), Err(SlugError::Character(2)));
        assert_eq!(Slug::parse("é"), Err(SlugError::Character(1)));
        assert_eq!(Slug::parse(&"a".repeat(129)), Err(SlugError::TooLong(129)));
        assert!(!format!("{:?}", Slug::parse("hidden-slug").unwrap()).contains("hidden"));
    }
}
