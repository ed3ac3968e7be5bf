//! A value that must never be printed, logged or serialised.

use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// A configured secret: text from a variable or a file. No `Display`, no `Serialize`; memory is wiped on drop.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes the text as it is.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// The text, for the one place that computes with it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether it holds nothing but white space and NULs: such a secret must never verify anything.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.expose()
            .chars()
            .all(|c| c.is_whitespace() || c == '\0')
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_prints() {
        let secret = Secret::new("fake-secret-0001".into());
        assert_eq!(format!("{secret:?}"), "***");
        assert!(!secret.is_blank());
        assert!(Secret::new(" \0\n".into()).is_blank());
    }
}
