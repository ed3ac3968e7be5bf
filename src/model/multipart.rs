//! Parts of `multipart/form-data` (RFC 7578). Nothing is refused: what is no part is left out.

/// Parts of a body that are looked at.
const PARTS_MAX: usize = 1_000;
/// Bytes of one part's header lines.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'a> {
    /// Name of the field.
    pub name: String,
    /// Name of the file, where it is one.
    pub filename: Option<String>,
    /// `Content-Type` of the part.
    pub content_type: Option<String>,
    /// Its bytes.
    pub body: &'a [u8],
}

/// The parts of a body, in order.
#[must_use]
pub fn parts<'a>(bytes: &'a [u8], boundary: &str) -> Vec<Part<'a>> {
    let delimiter = format!("--{boundary}").into_bytes();
    let mut parts = Vec::new();
    let Some(start) = find(bytes, &delimiter) else {
        return parts;
    };
    let mut line_delimiter = b"\n".to_vec();
    line_delimiter.extend_from_slice(&delimiter);
    let mut rest = bytes.get(start + delimiter.len()..).unwrap_or(&[]);
    while parts.len() < PARTS_MAX && !rest.starts_with(b"--") {
        let end = find(rest, &line_delimiter).unwrap_or(rest.len());
        parts.extend(part(rest.get(..end).unwrap_or(&[])));
        rest = rest.get(end + line_delimiter.len()..).unwrap_or(b"--");
    }
    parts
}

fn part(part: &[u8]) -> Option<Part<'_>> {
    let part = part
        .strip_prefix(b"\r\n")
        .or_else(|| part.strip_prefix(b"\n"))?;
    let (head_end, body_start) = find(part, b"\r\n\r\n")
        .map(|at| (at, at + 4))
        .or_else(|| find(part, b"\n\n").map(|at| (at, at + 2)))?;
    if head_end > HEAD_BYTES_MAX {
        return None;
    }
    let head = String::from_utf8_lossy(part.get(..head_end)?);
    let body = part.get(body_start..)?;
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim()
                .eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let disposition = header("content-disposition")?;
    Some(Part {
        name: quoted_parameter(&disposition, "name")?,
        filename: quoted_parameter(&disposition, "filename"),
        content_type: header("content-type"),
        body: body.strip_suffix(b"\r").unwrap_or(body),
    })
}

/// A parameter of a header such as `form-data; name="a"`; browsers write a quote inside as `%22`.
fn quoted_parameter(header: &str, name: &str) -> Option<String> {
    let mut rest = header.split_once(';')?.1;
    loop {
        let (key, tail) = rest.split_once('=')?;
        let tail = tail.trim_start();
        let (value, after) = if let Some(quoted) = tail.strip_prefix('"') {
            quoted.split_once('"')?
        } else {
            tail.split_once(';').map_or((tail, ""), |(value, _)| {
                (value, tail.get(value.len()..).unwrap_or(""))
            })
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value.trim_end().replace("%22", "\""));
        }
        rest = after.trim_start().strip_prefix(';')?;
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() || haystack.len() < needle.len() {
        return None;
    }
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = haystack.get(from..)?.iter().position(|b| *b == first) {
        if haystack.get(from + at..)?.starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_files() {
        let body = b"x\r\n--b\r\nContent-Disposition: form-data; name=\"json\"\r\n\r\n{\"a\":1}\r\n--b\r\nContent-Disposition: form-data; name=f; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b--\r\n";
        let found = parts(body, "b");
        let seen: Vec<_> = found
            .iter()
            .map(|p| (p.name.as_str(), p.filename.as_deref(), p.body))
            .collect();
        let want: [(&str, Option<&str>, &[u8]); 2] =
            [("json", None, b"{\"a\":1}"), ("f", Some("a.txt"), b"hello")];
        assert_eq!(seen, want);
        assert_eq!(found[1].content_type.as_deref(), Some("text/plain"));
        for nothing in [&b""[..], b"--b", b"--b--", b"--b\r\nno head", b"other"] {
            assert!(parts(nothing, "b").is_empty());
        }
    }
}
