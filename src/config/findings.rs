//! How findings look: for people with the line and a caret, for GitHub as annotations.

use super::{Finding, Severity};
use crate::model::{Place, Problem};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, renderer::DecorStyle};

/// Characters of a source line that are shown at most; the caret stays in sight.
const SOURCE_CHARS_MAX: usize = 400;

/// A finding for people, with ANSI colours; the stream that prints it takes them out where they are not wanted.
#[must_use]
pub fn render(finding: &Finding) -> String {
    render_problem(finding.severity, &finding.problem)
}

/// A problem for people, as [`render`].
#[must_use]
pub fn render_problem(severity: Severity, problem: &Problem) -> String {
    let level = match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let code = problem.code.to_string();
    let mut group = level
        .primary_title(problem.message.as_str())
        .id(code.as_str())
        .elements(None::<annotate_snippets::Origin<'_>>);
    let cut = problem.place.as_ref().map(|place| (place, Cut::of(place)));
    if let Some((place, cut)) = &cut {
        group = with_place(group, place, cut);
    }
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let more = format!("hookgate explain {code}");
    group = group.element(Level::NOTE.with_name(Some("more")).message(more.as_str()));
    Renderer::styled()
        .decor_style(DecorStyle::Unicode)
        .render(&[group])
}

fn with_place<'a>(group: Group<'a>, place: &'a Place, cut: &'a Cut) -> Group<'a> {
    let line = usize::try_from(place.line).unwrap_or(1);
    if cut.source.is_empty() {
        let column = usize::try_from(place.column).unwrap_or(1);
        let origin = annotate_snippets::Origin::path(place.file.as_str())
            .line(line)
            .char_column(column);
        return group.element(origin);
    }
    let annotation = AnnotationKind::Primary.span(cut.span.clone());
    group.element(
        Snippet::source(cut.source.as_str())
            .line_start(line)
            .path(place.file.as_str())
            .annotation(annotation),
    )
}

/// A source line short enough to show, with the marked bytes in it.
struct Cut {
    source: String,
    span: std::ops::Range<usize>,
}

impl Cut {
    fn of(place: &Place) -> Self {
        let source = place.source.as_deref().unwrap_or("");
        let chars: Vec<char> = source.chars().collect();
        let start = usize::try_from(place.column.saturating_sub(1)).unwrap_or(0);
        let end = place.end_column.map_or(start + 1, |c| {
            usize::try_from(c).unwrap_or(1).saturating_sub(1)
        });
        let from = start.saturating_sub(SOURCE_CHARS_MAX / 2);
        // A line that is shown from its middle on would have wrong columns, so it is cut at its end alone
        // when the mark is near enough.
        let from = if start < SOURCE_CHARS_MAX { 0 } else { from };
        let to = chars.len().min(from + SOURCE_CHARS_MAX);
        let bytes = |from: usize, to: usize| {
            chars
                .get(from.min(to)..to)
                .unwrap_or(&[])
                .iter()
                .map(|c| c.len_utf8())
                .sum::<usize>()
        };
        let start = start.clamp(from, to);
        let end = end.clamp(start, to);
        let span_start = bytes(from, start);
        Self {
            source: chars.get(from..to).unwrap_or(&[]).iter().collect(),
            span: span_start..span_start + bytes(start, end),
        }
    }
}

/// A finding as a workflow annotation of GitHub Actions. `folder` is put before the file's name.
#[must_use]
pub fn github(finding: &Finding, folder: &str) -> String {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let problem = &finding.problem;
    let mut properties = Vec::new();
    if let Some(place) = &problem.place {
        properties.push(format!(
            "file={}",
            escape(&format!("{folder}{}", place.file), true)
        ));
        properties.push(format!("line={}", place.line));
        properties.push(format!("col={}", place.column));
        if let Some(end) = place.end_column {
            properties.push(format!("endColumn={end}"));
        }
    }
    properties.push(format!("title={}", problem.code));
    let help = problem
        .help
        .as_ref()
        .map_or_else(String::new, |help| format!("\nhelp: {help}"));
    let message = escape(&format!("{}{help}", problem.message), false);
    format!("::{level} {}::{message}", properties.join(","))
}

/// Escapes as GitHub's toolkit does; properties also lose colons and commas.
fn escape(text: &str, property: bool) -> String {
    let text = text
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A");
    if property {
        text.replace(':', "%3A").replace(',', "%2C")
    } else {
        text
    }
}
