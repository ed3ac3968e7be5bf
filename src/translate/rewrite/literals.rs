//! Literals of text as Python writes them.

/// Whether a literal holds a double quote.
pub(super) fn quotes(text: &str) -> bool {
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or("");
    inner.contains('"') || inner.contains("\\x22") || inner.contains("\\u0022")
}

/// A literal whose escapes the engine does not all know, in those that it knows; none where it knows them.
pub(super) fn known(text: &str) -> Option<String> {
    let unknown = ["\\a", "\\v", "\\N{", "\\\n", "\\\r\n"];
    if !unknown.iter().any(|escape| text.contains(escape)) {
        return None;
    }
    Some(known_escapes(text)).filter(|known| known != text)
}

/// A literal with `\a`, `\v`, `\N{…}` and line ends behind a backslash in other words.
fn known_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let mut chars = after.chars();
        match chars.next() {
            Some('a') => out.push_str("\\u0007"),
            Some('v') => out.push_str("\\u000b"),
            Some('\n') => {}
            Some('\r') if after.starts_with("\r\n") => {
                chars.next();
            }
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out
}
