//! Parts of a delivery's page: the request as text, tree or bytes, and an error with its source line.

use super::show::thousands;
use super::tree::{self, Tree};
use crate::model::request::{header_text, is_json_type};
use crate::model::{Place, Problem, Request, http_file};
use serde::Serialize;

/// Bytes of a body that a page shows as text.
const BODY_BYTES_SHOWN: usize = 64 * 1024;
/// Lines of 16 bytes that a page shows of a body that is no text.
const HEX_LINES_SHOWN: usize = 16;
#[derive(Debug, Serialize)]
pub(super) struct RequestPart {
    line: String,
    headers: Vec<(String, String)>,
    tree: Option<Tree>,
    text: Option<String>,
    hex: Option<String>,
    cut: bool,
    body_bytes: String,
    content_type: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct ErrorPart {
    code: String,
    message: String,
    help: Option<String>,
    place: Option<PlacePart>,
}

#[derive(Debug, Serialize)]
pub(super) struct PlacePart {
    file: String,
    line: u32,
    column: u32,
    before: String,
    marked: String,
    after: String,
}

pub(super) fn request_part(request: &Request) -> RequestPart {
    let mark = if request.query.is_empty() { "" } else { "?" };
    let line = format!(
        "{} /hooks/{}{}{mark}{}",
        request.method,
        http_file::SLUG_MASK,
        request.path,
        request.query
    );
    let shown = request
        .wire_body
        .get(..BODY_BYTES_SHOWN)
        .unwrap_or(&request.wire_body);
    let content_type = request.headers.text("content-type").map(|t| t.into_owned());
    let json = content_type.is_none() || is_json_type(&request.media_type());
    let tree = (json && !request.wire_body.is_empty())
        .then(|| tree::of_json(&request.wire_body))
        .flatten();
    let text = text_of(shown);
    RequestPart {
        line,
        headers: request
            .headers
            .iter()
            .map(|(name, value)| (name.to_owned(), header_text(value).into_owned()))
            .collect(),
        hex: text.is_none().then(|| hex_dump(shown)),
        text: if tree.is_some() || shown.is_empty() {
            None
        } else {
            text
        },
        tree,
        cut: shown.len() < request.wire_body.len(),
        body_bytes: thousands(request.wire_body.len() as u64),
        content_type,
    }
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

pub(super) fn error_part(problem: &Problem) -> ErrorPart {
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
