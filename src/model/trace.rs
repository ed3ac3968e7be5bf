//! A place in a trace, as W3C Trace Context 1 writes it: `traceparent` and `tracestate`.
//!
//! There are two, and they stay apart. The request's own headers belong to the hop that brought it. The attributes of
//! a CloudEvent (distributed tracing extension) belong to the event, and tell where its way began.

use super::Headers;
use super::request::header_text;
use serde::{Deserialize, Serialize};

/// Characters of a `tracestate` that is handed on (Trace Context 3.3.1.5 asks for at least these).
const STATE_CHARS_MAX: usize = 512;

/// A place in a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// `traceparent`, by the form of W3C Trace Context.
    #[serde(rename = "traceparent")]
    pub parent: String,
    /// `tracestate`, where there is one that is not blank.
    #[serde(
        rename = "tracestate",
        skip_serializing_if = "Option::is_none",
        default
    )]
    pub state: Option<String>,
}

/// What a webhook does with the place in a trace that a request brings in its headers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TraceRule {
    /// Kept in the delivery; no parent of what goes out.
    #[default]
    Link,
    /// Kept, and the parent of what goes out.
    Continue,
    /// Dropped.
    Ignore,
}

/// The place in a trace that a delivery came with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// The place.
    #[serde(flatten)]
    pub trace: Trace,
    /// Whether it is the parent of what goes out.
    #[serde(
        rename = "continued",
        skip_serializing_if = "std::ops::Not::not",
        default
    )]
    pub is_continued: bool,
}

impl Trace {
    /// Of both texts; none where `traceparent` has not the form. A `tracestate` that has not is left out.
    #[must_use]
    pub fn new(parent: &str, state: Option<&str>) -> Option<Self> {
        let state = state.map(str::trim).filter(|state| {
            !state.is_empty()
                && state.len() <= STATE_CHARS_MAX
                && state.bytes().all(|b| (0x20..0x7f).contains(&b))
        });
        is_parent(parent).then(|| Self {
            parent: parent.to_owned(),
            state: state.map(str::to_owned),
        })
    }

    /// That of a request's headers. Two `traceparent` are none; several `tracestate` are one list (3.3.1.1).
    #[must_use]
    pub fn of_headers(headers: &Headers) -> Option<Self> {
        let mut parents = headers.all("traceparent");
        let parent = header_text(parents.next()?);
        if parents.next().is_some() {
            return None;
        }
        let states: Vec<_> = headers.all("tracestate").map(header_text).collect();
        Self::new(parent.trim(), Some(&states.join(",")))
    }
}

impl TraceRule {
    /// What is kept of a request's place in a trace.
    #[must_use]
    pub fn hop(self, headers: &Headers) -> Option<Hop> {
        if self == Self::Ignore {
            return None;
        }
        Some(Hop {
            trace: Trace::of_headers(headers)?,
            is_continued: self == Self::Continue,
        })
    }
}

/// `version-trace-parent-flags` in lower-case hex; ids of zeros and version ff are invalid (Trace Context 3.2.2).
fn is_parent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, parent, flags, ..] = parts.as_slice() else {
        return false;
    };
    let hex = |part: &str, length: usize| {
        part.len() == length
            && part
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    hex(version, 2)
        && hex(trace, 32)
        && hex(parent, 16)
        && hex(flags, 2)
        && *version != "ff"
        && (parts.len() == 4 || *version != "00")
        && [trace, parent]
            .iter()
            .all(|id| id.bytes().any(|b| b != b'0'))
        && text.len() <= STATE_CHARS_MAX
        && text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn forms() {
        let found = Trace::new(PARENT, Some(" congo=t61rcWkgMzE ")).unwrap();
        assert_eq!(found.parent, PARENT);
        assert_eq!(found.state.as_deref(), Some("congo=t61rcWkgMzE"));
        assert_eq!(Trace::new(PARENT, Some("")).unwrap().state, None);
        assert_eq!(Trace::new(PARENT, Some("é")).unwrap().state, None);
        let long = format!("{PARENT}-more");
        for bad in [
            "",
            "x",
            &long,
            &PARENT.to_uppercase(),
            &PARENT.replacen("00-", "ff-", 1),
            &format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            &format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", "0".repeat(16)),
        ] {
            assert_eq!(Trace::new(bad, None), None, "{bad}");
        }
        assert!(Trace::new(&long.replacen("00", "01", 1), None).is_some());
    }

    #[test]
    fn headers() {
        let mut headers = Headers::new();
        assert_eq!(Trace::of_headers(&headers), None);
        headers.push("Traceparent", PARENT);
        headers.push("tracestate", "a=1");
        headers.push("tracestate", "b=2");
        let found = Trace::of_headers(&headers).unwrap();
        assert_eq!(found.state.as_deref(), Some("a=1,b=2"));
        let hop = TraceRule::Continue.hop(&headers).unwrap();
        assert!(hop.is_continued);
        let json =
            format!(r#"{{"traceparent":"{PARENT}","tracestate":"a=1,b=2","continued":true}}"#);
        assert_eq!(serde_json::to_string(&hop).unwrap(), json);
        assert_eq!(serde_json::from_str::<Hop>(&json).unwrap(), hop);
        assert!(!TraceRule::Link.hop(&headers).unwrap().is_continued);
        assert_eq!(TraceRule::Ignore.hop(&headers), None);
        headers.push("traceparent", PARENT);
        assert_eq!(Trace::of_headers(&headers), None);
    }
}
