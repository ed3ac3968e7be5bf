//! The little Markdown that the pages of error codes are written in, as blocks that a template draws:
//! headings, paragraphs, lists, fenced code; inline code, strong, links within the product.

use serde::Serialize;

/// One block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Block {
    /// `## Heading`.
    Heading { spans: Vec<Span> },
    /// Text up to a blank line.
    Paragraph { spans: Vec<Span> },
    /// `- item` or `1. item`.
    List {
        ordered: bool,
        items: Vec<Vec<Span>>,
    },
    /// Between fences, byte for byte.
    Code { text: String },
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Span {
    /// `text`, `code`, `strong`, `code_link` (an error code, which has a page).
    kind: &'static str,
    text: String,
}

/// The blocks of a page; its first line (`# HG0312: …`) is left out, as it is the page's heading.
pub(super) fn parse(text: &str) -> Vec<Block> {
    let mut lines = text.lines().peekable();
    if lines.peek().is_some_and(|line| line.starts_with("# ")) {
        lines.next();
    }
    let mut blocks = Vec::new();
    let mut paragraph = String::new();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            flush(&mut paragraph, &mut blocks);
            let code: Vec<&str> = lines
                .by_ref()
                .take_while(|l| !l.starts_with("```"))
                .collect();
            blocks.push(Block::Code {
                text: code.join("\n"),
            });
        } else if let Some(heading) = line.strip_prefix("## ") {
            flush(&mut paragraph, &mut blocks);
            let spans = spans(heading);
            blocks.push(Block::Heading { spans });
        } else if let Some((ordered, item)) = list_item(line) {
            flush(&mut paragraph, &mut blocks);
            let mut item = item.to_owned();
            while let Some(more) = lines.next_if(|l| l.starts_with("  ")) {
                item.push(' ');
                item.push_str(more.trim());
            }
            match blocks.last_mut() {
                Some(Block::List { ordered: o, items }) if *o == ordered => {
                    items.push(spans(&item));
                }
                _ => blocks.push(Block::List {
                    ordered,
                    items: vec![spans(&item)],
                }),
            }
        } else if line.trim().is_empty() {
            flush(&mut paragraph, &mut blocks);
        } else {
            if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(line.trim());
        }
    }
    flush(&mut paragraph, &mut blocks);
    blocks
}

fn flush(paragraph: &mut String, blocks: &mut Vec<Block>) {
    if !paragraph.is_empty() {
        let spans = spans(paragraph);
        blocks.push(Block::Paragraph { spans });
        paragraph.clear();
    }
}

fn list_item(line: &str) -> Option<(bool, &str)> {
    if let Some(item) = line.strip_prefix("- ") {
        return Some((false, item));
    }
    let (number, item) = line.split_once(". ")?;
    let ordered = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    ordered.then_some((true, item))
}

/// Splits at backquotes and double stars; codes of errors become links.
fn spans(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    for (n, piece) in text.split('`').enumerate() {
        if n % 2 == 1 {
            spans.push(Span {
                kind: "code",
                text: piece.to_owned(),
            });
            continue;
        }
        for (n, piece) in piece.split("**").enumerate() {
            if n % 2 == 1 {
                spans.push(Span {
                    kind: "strong",
                    text: piece.to_owned(),
                });
            } else {
                plain(piece, &mut spans);
            }
        }
    }
    spans.retain(|span| !span.text.is_empty());
    spans
}

fn plain(text: &str, spans: &mut Vec<Span>) {
    let mut rest = text;
    while let Some(at) = rest.find("HG0") {
        let (before, code_on) = rest.split_at(at);
        let (code, after) = code_on.split_at_checked(6).unwrap_or((code_on, ""));
        let known = crate::codes::Code::parse(code).is_some();
        spans.push(Span {
            kind: "text",
            text: before.to_owned(),
        });
        spans.push(Span {
            kind: if known { "code_link" } else { "text" },
            text: code.to_owned(),
        });
        rest = after;
    }
    spans.push(Span {
        kind: "text",
        text: rest.to_owned(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_spans() {
        let blocks = parse(
            "# HG0312: T\n\nOne `a` **b**\nmore, see HG0303.\n\n## Do\n- x\n  y\n- z\n\n```\na  <b>\n```\n",
        );
        assert_eq!(blocks.len(), 4);
        let Block::Paragraph { spans } = &blocks[0] else {
            panic!("{blocks:?}");
        };
        let kinds: Vec<&str> = spans.iter().map(|s| s.kind).collect();
        assert_eq!(
            kinds,
            [
                "text",
                "code",
                "text",
                "strong",
                "text",
                "code_link",
                "text"
            ]
        );
        assert!(matches!(&blocks[2], Block::List { ordered: false, items } if items.len() == 2));
        assert_eq!(
            blocks[3],
            Block::Code {
                text: "a  <b>".into()
            }
        );
    }

    #[test]
    fn every_page_of_a_code_parses() {
        for (code, _) in crate::codes::ALL {
            let blocks = parse(code.text().unwrap());
            assert!(blocks.len() >= 3, "{code}: {blocks:?}");
            assert!(code.text().unwrap().lines().count() <= 45, "{code}");
        }
    }
}
