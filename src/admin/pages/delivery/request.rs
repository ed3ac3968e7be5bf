//! The request as tree, form, text or bytes, and an error with its source line.

use crate::admin::pages::show::{cut, thousands};
use crate::admin::pages::tree::{self, Tree};
use crate::model::request::{header_text, is_json_type};
use crate::model::{Place, Problem, Request, http_file};
use serde::Serialize;

/// Bytes of a body that a page shows as text.
const BODY_BYTES_SHOWN: usize = 64 * 1024;
/// Lines of 16 bytes that a page shows of a body that is no text.
const HEX_LINES_SHOWN: usize = 256;
/// Pairs of a form or a query that are shown.
const PAIRS_SHOWN: usize = 200;

/// Ways to look at a request, as in the address.
pub(super) const TABS: [&str; 4] = ["pretty", "raw", "headers", "query"];

#[derive(Debug, Serialize)]
pub(in crate::admin::pages) struct RequestPart {
    method: String,
    target: String,
    tab: &'static str,
    headers: Vec<(String, String)>,
    query: Vec<(String, String)>,
    /// Of the pretty tab: a form's fields.
    form: Vec<(String, String)>,
    /// Of the pretty tab: JSON.
    tree: Option<Tree>,
    /// The body as text, where it is shown as that.
    text: Option<String>,
    /// The body as bytes.
    hex: Option<String>,
    is_cut: bool,
    /// Whether the record says that more came than is kept.
    is_shortened: bool,
    body_bytes: String,
    content_type: Option<String>,
}

#[derive(Debug, Serialize)]
pub(in crate::admin::pages) struct ErrorPart {
    code: String,
    message: String,
    help: Option<String>,
    place: Option<PlacePart>,
}

#[derive(Debug, Serialize)]
pub(in crate::admin::pages) struct PlacePart {
    file: String,
    line: u32,
    column: u32,
    before: String,
    marked: String,
    after: String,
}

pub(in crate::admin::pages) fn request_part(
    request: &Request,
    tab: &'static str,
    sent: u64,
) -> RequestPart {
    let mark = if request.query.is_empty() { "" } else { "?" };
    let body = &request.wire_body;
    let shown = body.get(..BODY_BYTES_SHOWN).unwrap_or(body);
    let content_type = request.headers.text("content-type").map(|t| t.into_owned());
    let media_type = request.media_type();
    let pretty = tab == "pretty";
    let json = content_type.is_none() || is_json_type(&media_type);
    let tree = (pretty && json && !body.is_empty())
        .then(|| tree::of_json(body, tree::Paths::Body))
        .flatten();
    let is_form = pretty && media_type == "application/x-www-form-urlencoded";
    let form = if is_form { pairs(body) } else { Vec::new() };
    let raw = tree.is_none() && form.is_empty() && matches!(tab, "pretty" | "raw");
    let text = text_of(shown).filter(|_| raw && !shown.is_empty());
    RequestPart {
        method: request.method.clone(),
        target: format!(
            "/hooks/{}{}{mark}{}",
            http_file::SLUG_MASK,
            request.path,
            request.query
        ),
        tab,
        headers: request
            .headers
            .iter()
            .map(|(name, value)| (name.to_owned(), header_text(value).into_owned()))
            .collect(),
        query: pairs(request.query.as_bytes()),
        hex: (raw && text.is_none() && !shown.is_empty()).then(|| hex_dump(shown)),
        is_cut: raw && shown.len() < body.len(),
        is_shortened: sent > body.len() as u64,
        text,
        form,
        tree,
        body_bytes: thousands(body.len() as u64),
        content_type,
    }
}

fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text)
        .take(PAIRS_SHOWN)
        .map(|(name, value)| (cut(&name, 1_000), cut(&value, 4_000)))
        .collect()
}

/// The bytes as text, if they are; a character cut in two at the end does not count against it.
fn text_of(bytes: &[u8]) -> Option<String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.to_owned()),
        Err(error) if error.error_len().is_none() => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
        Err(_) => None,
    }
}

fn hex_dump(bytes: &[u8]) -> String {
    let lines = bytes.chunks(16).take(HEX_LINES_SHOWN);
    lines
        .map(|line| {
            let pairs: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            let shown = |byte: &u8| match *byte {
                b' '..=b'~' => char::from(*byte),
                _ => '.',
            };
            let text: String = line.iter().map(shown).collect();
            format!("{:<47}  {text}", pairs.join(" "))
        })
        .collect::<Vec<_>>()
        .join("\n")
}

pub(in crate::admin::pages) fn error_part(problem: &Problem) -> ErrorPart {
    ErrorPart {
        code: problem.code.to_string(),
        message: problem.message.clone(),
        help: problem.help.clone(),
        place: problem.place.as_ref().map(place_part),
    }
}

/// The source line in three pieces: what is at fault stands in the middle.
fn place_part(place: &Place) -> PlacePart {
    let source: Vec<char> = place
        .source
        .as_deref()
        .unwrap_or("")
        .chars()
        .take(2_000)
        .collect();
    let index = |column: u32| usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    let start = index(place.column).min(source.len());
    let end = place
        .end_column
        .map_or(start + 1, index)
        .clamp(start, source.len());
    let (before, rest) = source.split_at(start);
    let (marked, after) = rest.split_at(end - start);
    PlacePart {
        file: place.file.clone(),
        line: place.line,
        column: place.column,
        before: before.iter().collect(),
        marked: marked.iter().collect(),
        after: after.iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stays_in_the_line() {
        let place = |column, end_column| {
            place_part(&Place {
                file: "t".into(),
                line: 1,
                column,
                end_column,
                source: Some("aßc".into()),
            })
        };
        assert_eq!(place(2, Some(3)).marked, "ß");
        assert_eq!(place(3, None).marked, "c");
        assert_eq!(place(9, Some(2)).before, "aßc");
        assert_eq!(place(0, Some(0)).marked, "");
    }

    #[test]
    fn text_or_hex() {
        assert_eq!(text_of("aß".as_bytes()).as_deref(), Some("aß"));
        assert!(text_of(&[b'a', 0xc3]).is_some());
        assert!(text_of(&[0xff, 0x00]).is_none());
        assert_eq!(hex_dump(&[0xff, b'a']), format!("{:<47}  .a", "ff 61"));
    }
}
