//! How times, sizes, ids and texts look on a page.

use jiff::{SignedDuration, Timestamp};
use minijinja::{Environment, Output, Value};

/// At most `max` characters, with an ellipsis where some were cut.
pub(super) fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or("")),
    }
}

/// Head and tail of an id: `01a20d3a…7f3c`.
pub(super) fn short(id: &str) -> String {
    let chars: Vec<char> = id.chars().collect();
    let (Some(head), Some(tail)) = (chars.get(..8), chars.len().checked_sub(4)) else {
        return id.to_owned();
    };
    if chars.len() <= 16 {
        return id.to_owned();
    }
    let tail = chars.get(tail..).unwrap_or(&[]);
    format!(
        "{}…{}",
        head.iter().collect::<String>(),
        tail.iter().collect::<String>()
    )
}

/// `1204331` as `1,204,331`.
pub(super) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Time of day with milliseconds, UTC.
pub(super) fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S%.3f").to_string()
}

/// `24 Nov 2026, 12:04:31.482 UTC`.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%-d %b %Y, %H:%M:%S%.3f UTC").to_string()
}

/// `12:04:31` today, else with the day.
pub(super) fn row_time(at: Timestamp, now: Timestamp) -> String {
    let day = |t: Timestamp| t.strftime("%Y-%m-%d").to_string();
    let form = if day(at) == day(now) {
        "%H:%M:%S"
    } else {
        "%-d %b %H:%M"
    };
    at.strftime(form).to_string()
}

/// How long ago: `12 s`, `3 min`, `5 h`, `2 d`.
pub(super) fn age(at: Timestamp, now: Timestamp) -> String {
    span(now.duration_since(at))
}

/// A length of time, roughly.
pub(super) fn span(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Microseconds as milliseconds: `0.41 ms`.
pub(super) fn millis(micros: u64) -> String {
    format!("{}.{:02} ms", micros / 1_000, micros % 1_000 / 10)
}

/// `1 event`, `2 events`, `1,204 deliveries`.
pub(super) fn counted(n: u64, word: &str) -> String {
    let number = thousands(n);
    match word.strip_suffix('y') {
        _ if n == 1 => format!("{number} {word}"),
        Some(stem) => format!("{number} {stem}ies"),
        None => format!("{number} {word}s"),
    }
}

/// The same, of what is in memory.
pub(super) fn plural(n: usize, word: &str) -> String {
    counted(n as u64, word)
}

/// `7,412 B`, `7.2 KB`, `1.5 MB`.
pub(super) fn size(bytes: u64) -> String {
    let tenths = |unit: u64| {
        let tenths = bytes.saturating_mul(10) / unit;
        format!("{}.{}", thousands(tenths / 10), tenths % 10)
    };
    match bytes {
        0..10_000 => format!("{} B", thousands(bytes)),
        10_000..1_000_000 => format!("{} KB", tenths(1_000)),
        _ => format!("{} MB", tenths(1_000_000)),
    }
}

/// Text as a segment of a path.
pub(super) fn in_path(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Writes a value as text: what has a meaning in HTML is escaped, in attributes too; what is absent is empty.
///
/// Nothing is left out of the escaping but what a template's own macros made.
pub(super) fn write_escaped(out: &mut Output<'_>, value: &Value) -> Result<(), minijinja::Error> {
    if value.is_none() || value.is_undefined() {
        return Ok(());
    }
    let text = value.to_string();
    if value.is_safe() {
        out.write_str(&text)?;
    } else {
        out.write_str(&escaped(&text))?;
    }
    Ok(())
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(at) = rest.find(['<', '>', '&', '"', '\'']) {
        let (before, special) = rest.split_at(at);
        out.push_str(before);
        let (entity, after) = match special.as_bytes().first() {
            Some(b'<') => ("&lt;", special.get(1..)),
            Some(b'>') => ("&gt;", special.get(1..)),
            Some(b'&') => ("&amp;", special.get(1..)),
            Some(b'"') => ("&quot;", special.get(1..)),
            _ => ("&#39;", special.get(1..)),
        };
        out.push_str(entity);
        rest = after.unwrap_or("");
    }
    out.push_str(rest);
    out
}

/// Text in which what stands between backquotes is code, as in the messages of errors.
fn with_code(text: &str) -> Value {
    let mut html = String::with_capacity(text.len() + 16);
    let pieces: Vec<&str> = text.split('`').collect();
    // An odd backquote at the end is a character like any other.
    let paired = pieces.len() - (pieces.len() + 1) % 2;
    for (n, piece) in pieces.iter().enumerate() {
        match (n < paired, n % 2) {
            (true, 1) => {
                html.push_str("<code>");
                html.push_str(&escaped(piece));
                html.push_str("</code>");
            }
            (true, _) => html.push_str(&escaped(piece)),
            (false, _) => {
                html.push('`');
                html.push_str(&escaped(piece));
            }
        }
    }
    Value::from_safe_string(html)
}

/// Filters that the templates use.
pub(super) fn add_filters(environment: &mut Environment<'static>) {
    environment.add_filter("short", |text: String| short(&text));
    environment.add_filter("thousands", thousands);
    environment.add_filter("code", |text: String| with_code(&text));
    environment.add_filter("in_path", |text: String| in_path(&text));
    environment.add_filter("size", size);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(cut("äö", 2), "äö");
        assert_eq!(
            short("5d0b6f0e-8c1c-5a4e-9d9b-2b9d1c6f7a10"),
            "5d0b6f0e…7a10"
        );
        assert_eq!(short("é"), "é");
        assert_eq!(thousands(1_204_331), "1,204,331");
        assert_eq!(thousands(12), "12");
        let code = |text| with_code(text).to_string();
        assert_eq!(code("a `<b>` c"), "a <code>&lt;b&gt;</code> c");
        assert_eq!(code("a `b` c ` <d>"), "a <code>b</code> c ` &lt;d&gt;");
        assert_eq!(
            (code("`"), code(""), code("a`")),
            ("`".into(), "".into(), "a`".into())
        );
        assert_eq!(millis(412), "0.41 ms");
        assert_eq!(plural(1, "event"), "1 event");
        assert_eq!(counted(1_204, "delivery"), "1,204 deliveries");
        assert_eq!(
            (size(7_412), size(1_550_000)),
            ("7,412 B".into(), "1.5 MB".into())
        );
        assert_eq!(in_path("a/b c"), "a%2Fb%20c");
        let at: Timestamp = "2026-11-24T12:04:31.482Z".parse().unwrap();
        assert_eq!(clock(at), "12:04:31.482");
        assert_eq!(moment(at), "24 Nov 2026, 12:04:31.482 UTC");
        let later = at + SignedDuration::from_secs(7_300);
        assert_eq!(
            (age(at, later).as_str(), row_time(at, later).as_str()),
            ("2 h", "12:04:31")
        );
    }
}
