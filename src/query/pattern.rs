//! A text to compare with, exactly or with `*` for any characters.

/// A text with or without wildcards. Upper and lower case differ.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// What stands before the first `*`; the whole text where there is none.
    first: String,
    /// What stands after each `*`.
    rest: Vec<String>,
}

impl Pattern {
    /// A text in which `*` means itself.
    #[must_use]
    pub fn exact(text: impl Into<String>) -> Self {
        Self {
            first: text.into(),
            rest: Vec::new(),
        }
    }

    /// A word in which `*` stands for any characters, also none.
    #[must_use]
    pub fn word(text: &str) -> Self {
        let mut parts = text.split('*');
        let first = parts.next().unwrap_or("").to_owned();
        let mut rest: Vec<String> = Vec::new();
        let mut parts = parts.peekable();
        while let Some(part) = parts.next() {
            // `**` is `*`.
            if !part.is_empty() || parts.peek().is_none() {
                rest.push(part.to_owned());
            }
        }
        Self { first, rest }
    }

    /// Whether the text fits.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let Some((last, middle)) = self.rest.split_last() else {
            return self.first == text;
        };
        let Some(mut text) = text.strip_prefix(self.first.as_str()) else {
            return false;
        };
        // The leftmost place for each part leaves the most for the others, so this needs no way back.
        for part in middle {
            let Some((_, after)) = text.split_once(part.as_str()) else {
                return false;
            };
            text = after;
        }
        text.ends_with(last.as_str())
    }

    /// The text, where there is no wildcard.
    #[must_use]
    pub fn as_exact(&self) -> Option<&str> {
        self.rest.is_empty().then_some(self.first.as_str())
    }

    /// What every text that fits starts with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.first
    }

    /// How many wildcards.
    #[must_use]
    pub fn wildcards(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.first.as_str()).chain(self.rest.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wildcards() {
        for (pattern, fits, fails) in [
            ("a", &["a"][..], &["", "ab", "A"][..]),
            (
                "github.*",
                &["github.", "github.push"],
                &["github", "xgithub.a"],
            ),
            ("*", &["", "x"], &[]),
            ("*.push", &["a.push", ".push"], &["a.pushed"]),
            ("a*b*c", &["abc", "aXbXc", "abbcc"], &["acb", "ab"]),
            ("aa*aa", &["aaaa", "aaXaa"], &["aaa"]),
            ("a**c", &["ac", "abc"], &["a"]),
        ] {
            for text in fits {
                assert!(Pattern::word(pattern).matches(text), "{pattern} {text}");
            }
            for text in fails {
                assert!(!Pattern::word(pattern).matches(text), "{pattern} {text}");
            }
        }
        assert!(Pattern::exact("a*").matches("a*"));
        assert!(!Pattern::exact("a*").matches("ab"));
    }

    fn slow(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|i| slow(rest, &text[i..])),
            Some((c, rest)) => text.first() == Some(c) && slow(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn as_a_slow_matcher(pattern in "[ab*]{0,7}", text in "[ab]{0,9}") {
            let p: Vec<char> = pattern.chars().collect();
            let t: Vec<char> = text.chars().collect();
            prop_assert_eq!(Pattern::word(&pattern).matches(&text), slow(&p, &t));
        }
    }
}
