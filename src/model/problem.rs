//! One form for everything that can be wrong with what an owner wrote or a sender sent.

use crate::codes::Code;
use serde::{Deserialize, Serialize};

/// What is wrong, where, why, what to do. Shown to the owner (record, `check`, API), never to a sender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable error code, such as `HG0312`.
    pub code: Code,
    /// What is wrong, one sentence, readable alone.
    pub message: String,
    /// Where, if it has a place in a file.
    #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
    pub place: Option<Place>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub help: Option<String>,
}

/// A range of one line of a file. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Path as the owner knows it, relative to the configuration's folder.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column of the first character, from 1.
    pub column: u32,
    /// Column after the last character.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub end_column: Option<u32>,
    /// The line's text, without its line end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<String>,
}

/// Something worth knowing about a delivery that went through all the same (a dropped field, an undefined value).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Code, where there is a page about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<Code>,
    /// One sentence.
    pub message: String,
}

impl Problem {
    /// A problem without place and help.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            place: None,
            help: None,
        }
    }

    /// With a place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// With what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Place {
    /// The place of the byte range `span` in `text`, cut at the end of its first line.
    #[must_use]
    pub fn of_span(file: &str, text: &str, span: std::ops::Range<usize>) -> Self {
        let start = (0..=span.start.min(text.len()))
            .rev()
            .find(|i| text.is_char_boundary(*i))
            .unwrap_or(0);
        let (before, after) = text.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let head = before.get(line_start..).unwrap_or("");
        let tail = after
            .split('\n')
            .next()
            .unwrap_or("")
            .trim_end_matches('\r');
        let width = span.end.saturating_sub(start);
        let marked = tail.char_indices().take_while(|(i, _)| *i < width).count();
        let column = count(head.chars().count() + 1);
        Self {
            file: file.to_owned(),
            line: count(before.matches('\n').count() + 1),
            column,
            end_column: Some(column + count(marked.max(1))),
            source: Some(format!("{head}{tail}")),
        }
    }
}

impl Note {
    /// A note with a code.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code: Some(code),
            message: message.into(),
        }
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_of_a_span() {
        let text = "a = 1\nnäme = \"x\"\nlast";
        let place = Place::of_span("f.toml", text, 6..11);
        assert_eq!(
            (place.line, place.column, place.end_column),
            (2, 1, Some(5))
        );
        assert_eq!(place.source.as_deref(), Some("näme = \"x\""));
        let end = Place::of_span("f.toml", text, 999..1000);
        assert_eq!((end.line, end.column, end.end_column), (3, 5, Some(6)));
    }
}
