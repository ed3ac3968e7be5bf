//! Tables: aligned for people, tab-separated for `cut` and `awk`.

use super::{Global, output, text};

/// Columns that nothing is cut below.
const COLUMN_LEAST: usize = 8;
/// Between two columns.
const GAP: &str = "  ";

/// How a cell looks to people.
pub(super) type Style = fn(&str) -> String;

/// One cell: what a sender wrote is shown as text.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    /// For `--plain`, where that is another.
    plain: Option<String>,
    style: Option<Style>,
}

impl Cell {
    /// As it is.
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        Self {
            text: text::shown(text.as_ref()).into_owned(),
            plain: None,
            style: None,
        }
    }

    /// With a style.
    pub(super) fn styled(text: impl AsRef<str>, style: Option<Style>) -> Self {
        Self {
            style,
            ..Self::new(text)
        }
    }

    /// With another text for machines.
    pub(super) fn or_plain(mut self, plain: impl AsRef<str>) -> Self {
        self.plain = Some(text::shown(plain.as_ref()).into_owned());
        self
    }

    fn of_lines(&self, columns: usize, last: bool) -> String {
        let cut = text::cut(&self.text, columns);
        let padded = if last {
            cut.into_owned()
        } else {
            text::padded(&cut, columns)
        };
        match self.style {
            Some(style) => style(&padded),
            None => padded,
        }
    }
}

/// A column: its name, and whether it is shown whole however narrow the terminal is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column(pub(super) &'static str, pub(super) bool);

/// Prints rows under their columns; nothing where there is no row.
pub(super) fn print(global: &Global, columns: &[Column], rows: &[Vec<Cell>]) {
    if rows.is_empty() {
        return;
    }
    if global.plain() {
        let line = |row: &Vec<Cell>| {
            let cells = row
                .iter()
                .map(|cell| cell.plain.as_deref().unwrap_or(&cell.text));
            format!("{}\n", cells.collect::<Vec<_>>().join("\t"))
        };
        output::out(&rows.iter().map(line).collect::<String>());
        return;
    }
    output::out(&aligned(columns, rows, terminal_columns()));
}

fn aligned(columns: &[Column], rows: &[Vec<Cell>], room: Option<usize>) -> String {
    let mut widths: Vec<usize> = columns.iter().map(|column| text::width(column.0)).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(text::width(&cell.text));
        }
    }
    if let Some(room) = room {
        fit(&mut widths, columns, room);
    }
    let head = columns.iter().zip(&widths);
    let head: Vec<String> = head
        .map(|(column, width)| text::padded(column.0, *width))
        .collect();
    let mut out = format!("{}\n", output::bold(head.join(GAP).trim_end()));
    let end = columns.len().saturating_sub(1);
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(at, (cell, width))| cell.of_lines(*width, at == end));
        out.push_str(cells.collect::<Vec<_>>().join(GAP).trim_end());
        out.push('\n');
    }
    out
}

/// Takes from the widest columns what there is no room for.
fn fit(widths: &mut [usize], columns: &[Column], room: usize) {
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    loop {
        let total: usize = widths.iter().sum::<usize>() + gaps;
        let over = total.saturating_sub(room);
        let may = widths.iter_mut().zip(columns);
        let widest = may
            .filter(|(width, column)| !column.1 && **width > COLUMN_LEAST)
            .max_by_key(|(width, _)| **width);
        let (Some((width, _)), true) = (widest, over > 0) else {
            return;
        };
        *width -= 1;
    }
}

/// How wide the terminal is; none: stdout is none.
fn terminal_columns() -> Option<usize> {
    use std::io::IsTerminal as _;
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns >= 40)
}

/// Facts of one thing, a line each; what is empty is left out.
pub(super) fn facts(title: &str, facts: &[(&str, String)]) -> String {
    let shown: Vec<_> = facts
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let width = shown
        .iter()
        .map(|(name, _)| text::width(name))
        .max()
        .unwrap_or(0);
    let mut out = format!("{}\n", output::bold(title));
    for (name, value) in shown {
        out.push_str(&format!("  {}{GAP}{value}\n", text::padded(name, width)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_is_in_them() {
        let columns = [Column("name", false), Column("n", true), Column("id", true)];
        let row = |name: &str| vec![Cell::new(name), Cell::new("7"), Cell::new("0193c7d0")];
        let rows = [row("日本"), row("e\u{301}x"), row("\u{1b}[31mred\u{202e}")];
        let shown = anstream::adapter::strip_str(&aligned(&columns, &rows, None)).to_string();
        let at = |line: &str| text::width(line.split("0193").next().unwrap());
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(
            lines[1..].iter().all(|line| at(line) == at(lines[1])),
            "{shown}"
        );
        assert!(
            !shown.contains('\u{1b}') && !shown.contains('\u{202e}'),
            "{shown:?}"
        );
        // What is too wide is cut, but for what must stay whole.
        let wide = [vec![
            Cell::new("x".repeat(80)),
            Cell::new("7"),
            Cell::new("0193c7d0"),
        ]];
        let shown = anstream::adapter::strip_str(&aligned(&columns, &wide, Some(40))).to_string();
        let last = shown.lines().last().unwrap();
        assert!(
            text::width(last) <= 40 && last.ends_with("0193c7d0"),
            "{last}"
        );
    }
}
