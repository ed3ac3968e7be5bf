//! Text of senders in a terminal: shown as text, whatever it holds; how wide it is.

use crate::model::Problem;
use std::borrow::Cow;
use std::fmt::Write as _;
use unicode_width::UnicodeWidthChar;

/// A text without what a terminal would obey or hide: control characters (escape sequences begin with one), marks
/// that turn the direction of writing, and characters without a width that nobody would see. Each is shown by its
/// number, as in `\u{1b}`.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_harmful(c) => write!(out, "{}", c.escape_unicode()).unwrap_or_default(),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// A problem that quotes a sender, to be shown to people. Source lines are made harmless by who draws them.
pub(super) fn harmless(problem: &Problem) -> Problem {
    Problem {
        message: shown(&problem.message).into_owned(),
        help: problem.help.as_deref().map(|help| shown(help).into_owned()),
        ..problem.clone()
    }
}

/// As [`shown`], of a text of several lines.
pub(super) fn shown_lines(text: &str) -> String {
    let lines = text
        .split('\n')
        .map(|line| shown(line.trim_end_matches('\r')));
    lines.collect::<Vec<_>>().join("\n")
}

/// Bidirectional controls are those of Unicode Standard Annex 9, section 2.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Columns that a text takes; that of a style is none.
pub(super) fn width(text: &str) -> usize {
    let plain = anstream::adapter::strip_str(text).to_string();
    plain.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// A text with blanks behind it, up to so many columns.
pub(super) fn padded(text: &str, columns: usize) -> String {
    let blanks = columns.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(blanks))
}

/// The beginning of a plain text, with a mark where it was cut to fit into so many columns.
pub(super) fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    // Every character takes at most two columns: what is short needs no count.
    if text.len() <= columns || width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut taken = 0;
    let fitting = text.chars().take_while(|c| {
        taken += c.width().unwrap_or(0);
        taken < columns
    });
    let mut out: String = fitting.collect();
    out.push('…');
    Cow::Owned(out)
}

/// A text that leads somewhere, where the terminal can show links (OSC 8).
pub(super) fn link(url: &str, text: &str) -> String {
    format!("\u{1b}]8;;{url}\u{1b}\\{text}\u{1b}]8;;\u{1b}\\")
}

/// Bytes for people.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut unit = 0;
    let mut rest = (count, 0);
    while rest.0 >= 1024 && unit + 1 < UNITS.len() {
        rest = (rest.0 / 1024, rest.0 % 1024 * 10 / 1024);
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("B");
    if unit == 0 {
        format!("{} {name}", rest.0)
    } else {
        format!("{}.{} {name}", rest.0, rest.1)
    }
}

/// What a body is, in a word, by its content type; empty: nothing is said.
pub(super) fn kind(content_type: Option<&str>) -> String {
    let media_type = crate::model::request::media_type(content_type.unwrap_or(""));
    if crate::model::request::is_json_type(&media_type) {
        return "json".to_owned();
    }
    match media_type.as_str() {
        "application/x-www-form-urlencoded" => "form".to_owned(),
        "text/plain" => "text".to_owned(),
        "application/octet-stream" => "bytes".to_owned(),
        other if other.starts_with("multipart/") => "multipart".to_owned(),
        other => shown(cut(other, 30).as_ref()).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(shown("plain ä 日本"), "plain ä 日本");
        assert_eq!(
            shown("a\u{1b}[31mb\u{9b}2J\u{7}"),
            "a\\u{1b}[31mb\\u{9b}2J\\u{7}"
        );
        assert_eq!(
            shown("x\u{202e}fdp\u{2066}\n\ty"),
            "x\\u{202e}fdp\\u{2066}\\n\\ty"
        );
        assert_eq!(shown_lines("a\r\nb\u{1b}c"), "a\nb\\u{1b}c");
    }

    #[test]
    fn columns_are_counted() {
        assert_eq!(
            (
                width("日本"),
                width("e\u{301}"),
                width("\u{1b}[1mab\u{1b}[0m")
            ),
            (4, 1, 2)
        );
        assert_eq!(width(&link("http://h/", "ab")), 2);
        assert_eq!(padded("日", 4), "日  ");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("日本語日本語", 5), "日本…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(bytes(21), "21 B");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(kind(Some("application/ld+json; x=y")), "json");
        assert_eq!(kind(Some("application/x-www-form-urlencoded")), "form");
    }
}
