//! Blocks that are not closed, or closed in the wrong order: the engine says where it noticed, which is at the end of
//! the text; an author wants to know which block it was.

use super::tokens;
use super::tokens::SegmentKind;
use crate::model::{Place, Problem};
use std::ops::Range;

/// A block that is open.
struct Open<'s> {
    keyword: &'s str,
    span: Range<usize>,
}

/// Says of a syntax error which block it comes from, where that is so. `file` is the template's name.
pub(crate) fn explain(problem: Problem, file: &str, source: &str) -> Problem {
    let Some(segments) = tokens::segments(source) else {
        return problem;
    };
    let mut open: Vec<Open<'_>> = Vec::new();
    for segment in segments.iter().filter(|s| s.kind == SegmentKind::Block) {
        let keyword = segment.keyword(source);
        let sign = |sign: u8| segment.tokens.iter().any(|token| token.is(sign));
        if let Some(closed) = keyword.strip_prefix("end") {
            match open.last() {
                Some(last) if last.keyword == closed => drop(open.pop()),
                Some(last) => {
                    // The engine stopped earlier: that is another mistake.
                    if before(&problem, source, segment.span.start) {
                        return problem;
                    }
                    let line = Place::of_span(file, source, last.span.clone()).line;
                    let inner = last.keyword;
                    let mut crossed = problem;
                    crossed.message = format!(
                        "The template does not compile: `{{% {keyword} %}}` comes before the `{{% {inner} %}}` of line {line} is closed."
                    );
                    return crossed
                        .help(format!("Put `{{% end{inner} %}}` before it."))
                        .at(Place::of_span(file, source, segment.span.clone()));
                }
                // What opens it is missing: the engine says so.
                None => return problem,
            }
        } else if opens(keyword) && !(keyword == "set" && sign(b'=')) {
            let span = segment.span.clone();
            open.push(Open { keyword, span });
        }
    }
    let Some(last) = open.pop().filter(|_| at_the_end(&problem)) else {
        return problem;
    };
    let keyword = last.keyword;
    let mut help = format!("Put `{{% end{keyword} %}}` where it ends.");
    if let Some(outer) = open.last() {
        let line = Place::of_span(file, source, outer.span.clone()).line;
        let keyword = outer.keyword;
        help.push_str(&format!(
            " The `{{% {keyword} %}}` of line {line} is not closed either."
        ));
    }
    let mut unclosed = problem;
    unclosed.message =
        format!("The template does not compile: this `{{% {keyword} %}}` is never closed.");
    unclosed
        .help(help)
        .at(Place::of_span(file, source, last.span))
}

/// Statements with an end of their own; `raw` is text.
pub(crate) fn opens(keyword: &str) -> bool {
    matches!(
        keyword,
        "if" | "for" | "macro" | "call" | "filter" | "set" | "with" | "block" | "autoescape"
    )
}

fn at_the_end(problem: &Problem) -> bool {
    problem.message.contains("unexpected end of input")
}

/// Whether the engine stopped before a byte.
fn before(problem: &Problem, source: &str, at: usize) -> bool {
    let here = Place::of_span("", source, at..at + 1);
    let there = problem.place.as_ref();
    there.is_none_or(|place| (place.line, place.column) < (here.line, here.column))
}
