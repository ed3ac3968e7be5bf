//! Free text: words by Unicode's rules, in lower case.
//!
//! A word is a run of letters and digits; an ideograph or kana is a word of its own, since such text has no blanks.

/// Bytes of a word that count; what is longer is compared by its beginning.
pub(crate) const WORD_BYTES_MAX: usize = 48;
/// Words of one free text at most.
const WORDS_MAX: usize = 32;

/// Words that stand one behind the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Words {
    words: Vec<String>,
    /// Whether the last one is but a beginning.
    prefix: bool,
}

impl Words {
    /// The words of a text; none: it has no word, or too many.
    pub(super) fn new(text: &str, prefix: bool) -> Option<Self> {
        let words: Vec<String> = split(text).take(WORDS_MAX + 1).collect();
        let fits = !words.is_empty() && words.len() <= WORDS_MAX;
        fits.then_some(Self { words, prefix })
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Whether the last word is but a beginning.
    #[must_use]
    pub fn is_prefix(&self) -> bool {
        self.prefix
    }

    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether they stand in a text.
    #[must_use]
    pub fn are_in(&self, text: &str) -> bool {
        let mut window = std::collections::VecDeque::with_capacity(self.words.len() + 1);
        for word in split(text) {
            window.push_back(word);
            if window.len() > self.words.len() {
                window.pop_front();
            }
            if window.len() == self.words.len() && self.equal(&window) {
                return true;
            }
        }
        false
    }

    fn equal(&self, window: &std::collections::VecDeque<String>) -> bool {
        let last = self.words.len().saturating_sub(1);
        self.words
            .iter()
            .zip(window)
            .enumerate()
            .all(|(i, (want, found))| {
                if i == last && self.prefix {
                    found.starts_with(want.as_str())
                } else {
                    want == found
                }
            })
    }
}

/// The words of a text.
pub(crate) fn split(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut rest = text.chars().peekable();
    std::iter::from_fn(move || {
        while rest.peek().is_some_and(|c| !c.is_alphanumeric()) {
            rest.next();
        }
        let first = rest.next()?;
        let mut word = String::new();
        push(&mut word, first);
        if stands_alone(first) {
            return Some(word);
        }
        while let Some(c) = rest.next_if(|c| c.is_alphanumeric() && !stands_alone(*c)) {
            push(&mut word, c);
        }
        Some(word)
    })
}

fn push(word: &mut String, c: char) {
    // Lower case may be several characters, not all of which are letters: those do not count.
    for lower in c.to_lowercase().filter(|lower| lower.is_alphanumeric()) {
        if word.len() + lower.len_utf8() <= WORD_BYTES_MAX {
            word.push(lower);
        }
    }
}

fn stands_alone(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_text() {
        for (text, want) in [
            ("", &[][..]),
            ("--", &[]),
            ("Hello, World-2", &["hello", "world", "2"]),
            ("naïve ÜBER", &["naïve", "über"]),
            ("配達x", &["配", "達", "x"]),
            ("İ", &["i"]),
        ] {
            assert_eq!(split(text).collect::<Vec<_>>(), want, "{text}");
        }
    }

    #[test]
    fn phrases_and_beginnings() {
        let are_in =
            |words: &str, prefix, text: &str| Words::new(words, prefix).unwrap().are_in(text);
        assert!(are_in("cache the", false, "we Cache the token"));
        assert!(!are_in("cache token", false, "we cache the token"));
        assert!(are_in("cache th", true, "we cache the token"));
        assert!(!are_in("cac the", true, "we cache the token"));
        assert!(!are_in("cach", false, "cache"));
        assert!(Words::new("...", false).is_none());
    }
}
