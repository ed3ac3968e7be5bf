//! What is wrong with printed text that is no JSON, in an author's terms: not where a reader stopped, but where the
//! comma, the bracket or the quote is missing.

use super::json::Invalid;

/// A fault: the byte of the output that is to blame, what is wrong there, what to do.
pub(crate) struct Fault {
    /// Byte of the output.
    pub(crate) at: usize,
    /// What is wrong.
    pub(crate) what: String,
    /// What to do.
    pub(crate) help: String,
}

const VALUES: &str = "Print values outside of quotes with `|tojson`, or inside of quotes as they are; see the output with `hookgate render`.";

/// What a reader's complaint comes from.
pub(crate) fn fault(output: &str, invalid: &Invalid) -> Fault {
    let (at, what) = (invalid.at, invalid.what);
    let bytes = output.as_bytes();
    let here = bytes.get(at).copied();
    let last = bytes
        .get(..at)
        .and_then(|before| before.iter().rposition(|b| !b.is_ascii_whitespace()));
    let last_byte = last.and_then(|last| bytes.get(last)).copied();
    let said = |at: usize, what: &str, help: &str| Fault {
        at,
        what: what.to_owned(),
        help: help.to_owned(),
    };
    match (what, here) {
        ("a comma or a closing bracket is missing", Some(byte)) => {
            let at = last.unwrap_or(at);
            match byte {
                b'"' | b'{' | b'[' | b'0'..=b'9' | b'-' | b't' | b'f' | b'n' => said(
                    at,
                    "a comma is missing behind this",
                    "Put a comma between two members. In a loop, `{{ \",\" if not loop.last }}` prints one where another follows.",
                ),
                b'}' | b']' => said(
                    at + 1,
                    "this bracket closes another one than was opened last",
                    "`{` is closed by `}`, `[` by `]`, the inner one first.",
                ),
                _ => said(invalid.at, what, VALUES),
            }
        }
        (_, Some(b'}' | b']')) if last_byte == Some(b',') => said(
            last.unwrap_or(at),
            "a comma stands before the closing bracket",
            "Take it away. In a loop, `{{ \",\" if not loop.last }}` prints one only where another member follows.",
        ),
        ("a key must be a string in double quotes" | "a value is missing", Some(b'\'')) => said(
            at,
            "a text stands in single quotes",
            "JSON knows double quotes alone; a list or an object is printed as JSON by `|tojson`.",
        ),
        ("the text ends too early", _) => match open(bytes) {
            Some((at, bracket)) => {
                let close = if bracket == '{' { '}' } else { ']' };
                said(
                    at,
                    &format!("the text ends before this `{bracket}` is closed"),
                    &format!("Close it with `{close}`."),
                )
            }
            None => said(at, what, VALUES),
        },
        ("a string is not closed", _) => said(
            string(bytes).unwrap_or(at),
            "the text that begins here is not closed",
            "End it with a double quote.",
        ),
        _ => said(at, what, VALUES),
    }
}

/// The innermost bracket that is open at the end.
fn open(bytes: &[u8]) -> Option<(usize, char)> {
    let mut open = Vec::new();
    scan(bytes, |at, byte| match byte {
        b'{' | b'[' => open.push((at, char::from(byte))),
        b'}' | b']' => drop(open.pop()),
        _ => {}
    });
    open.pop()
}

/// The quote that begins the last string.
fn string(bytes: &[u8]) -> Option<usize> {
    let mut last = None;
    scan(bytes, |at, byte| {
        if byte == b'"' {
            last = Some(at);
        }
    });
    last
}

/// Visits the bytes outside of strings, and the quote that begins each.
fn scan(bytes: &[u8], mut visit: impl FnMut(usize, u8)) {
    let (mut inside, mut escaped) = (false, false);
    for (at, byte) in bytes.iter().copied().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' if inside => inside = false,
            b'"' => {
                inside = true;
                visit(at, byte);
            }
            _ if inside => {}
            _ => visit(at, byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::json::Doc;

    #[test]
    fn blame() {
        for (output, at, what) in [
            ("{\"a\": 1\n \"b\": 2}", 6, "a comma is missing"),
            ("{\"a\": {}\n \"b\": 2}", 7, "a comma is missing"),
            ("{\"a\": [1 2]}", 7, "a comma is missing"),
            ("{\"a\": 1,\n}", 7, "a comma stands before"),
            ("[1, 2, ]", 5, "a comma stands before"),
            ("{'a': 1}", 1, "single quotes"),
            ("{\"a\": ['b']}", 7, "single quotes"),
            ("{\"a\": [{\"b\": 1}", 6, "ends before this `[`"),
            ("{\"a\": \"}\\\"", 6, "begins here is not closed"),
            ("{\"a\": [1}", 8, "closes another one"),
            ("nothing", 0, "no JSON value"),
        ] {
            let (_, invalid) = Doc::parse(output.to_owned()).unwrap_err();
            let fault = fault(output, &invalid);
            assert!(
                fault.at == at && fault.what.contains(what),
                "{output}: {} {}",
                fault.at,
                fault.what
            );
        }
    }
}
