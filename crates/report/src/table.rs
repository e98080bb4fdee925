//! Tables without lines: a heading, columns as wide as they need, the last one wrapped to what is left of the screen.

use crate::style::{Style, width};

/// A space at which no line is broken; shown as a space.
pub const NO_BREAK: &str = "\u{a0}";

/// Rows under headings. A cell may hold escape sequences and, in the last column, several lines.
#[derive(Debug, Clone, Default)]
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
    /// Headings are names, shown as they are.
    names: bool,
}

impl Table {
    /// A table with these headings.
    pub fn new<S: Into<String>>(headings: impl IntoIterator<Item = S>) -> Table {
        Table { headings: headings.into_iter().map(Into::into).collect(), ..Table::default() }
    }

    /// Columns (counted from 0) whose cells are set to the right.
    #[must_use]
    pub fn right(mut self, columns: &[usize]) -> Table {
        self.right = columns.to_vec();
        self
    }

    /// Headings are names of things: shown as they are.
    #[must_use]
    pub fn named(mut self) -> Table {
        self.names = true;
        self
    }

    /// Adds a row; cells that are missing are empty.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The text, each line indented by `indent` and at most `columns` wide where words allow.
    pub fn render(&self, indent: usize, columns: usize) -> String {
        let n = self.headings.len();
        let mut widths: Vec<usize> = self.headings.iter().map(|h| width(h)).collect();
        for row in &self.rows {
            for (i, cell) in row.iter().enumerate().take(n) {
                widths[i] = widths[i].max(cell.lines().map(width).max().unwrap_or(0));
            }
        }
        // A last column without anything in it is not shown.
        let shown = (0..n)
            .rev()
            .find(|i| self.rows.iter().any(|r| r.get(*i).is_some_and(|c| !c.is_empty())))
            .map_or(n, |i| i + 1);
        let before: usize = indent + widths[..shown.saturating_sub(1)].iter().map(|w| w + 3).sum::<usize>();
        let last = columns.saturating_sub(before).max(24);
        let mut out = String::new();
        let headings: Vec<String> =
            self.headings.iter().map(|h| if self.names { h.clone() } else { h.to_uppercase() }).collect();
        self.line(&mut out, indent, &widths[..shown], &headings, last, Some(Style::Dim));
        for row in &self.rows {
            self.line(&mut out, indent, &widths[..shown], row, last, None);
        }
        out
    }

    fn line(
        &self,
        out: &mut String,
        indent: usize,
        widths: &[usize],
        cells: &[String],
        last: usize,
        style: Option<Style>,
    ) {
        let mut line = " ".repeat(indent);
        for (i, w) in widths.iter().enumerate() {
            let cell = cells.get(i).map_or("", String::as_str);
            let paint = |t: &str| style.map_or_else(|| t.to_string(), |s| s.paint(t));
            if i + 1 == widths.len() {
                let before = widths[..i].iter().map(|w| w + 3).sum::<usize>() + indent;
                for (k, part) in cell.lines().flat_map(|l| wrap(l, last)).enumerate() {
                    if k > 0 {
                        out.push_str(&line.trim_end().replace(NO_BREAK, " "));
                        out.push('\n');
                        line = " ".repeat(before);
                    }
                    line.push_str(&if self.right.contains(&i) {
                        format!("{}{}", " ".repeat(w.saturating_sub(width(&part))), paint(&part))
                    } else {
                        paint(&part)
                    });
                }
            } else {
                let pad = " ".repeat(w.saturating_sub(width(cell)));
                line.push_str(&if self.right.contains(&i) {
                    format!("{pad}{}", paint(cell))
                } else {
                    format!("{}{pad}", paint(cell))
                });
                line.push_str("   ");
            }
        }
        out.push_str(&line.trim_end().replace(NO_BREAK, " "));
        out.push('\n');
    }
}

/// `text` in lines of at most `columns`, broken between words.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let w = width(word);
        if used > 0 && used + 1 + w > columns {
            out.push(String::new());
            used = 0;
        }
        if let Some(line) = out.last_mut() {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
        }
        used += w;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_their_colour() {
        let mut t = Table::new(["name", "time", "note"]).right(&[1]);
        t.row(["a", "1 s", "one two three four five six seven eight nine"]);
        t.row([Style::Red.paint("longer"), "10 s".into(), String::new()]);
        let text: String = t.render(2, 40).lines().map(|l| format!("{}\n", strip(l))).collect();
        assert_eq!(
            text,
            "  NAME     TIME   NOTE\n  a         1 s   one two three four five\n                  six seven eight nine\n  longer   10 s\n"
        );
    }

    fn strip(s: &str) -> String {
        anstream::adapter::strip_str(s).to_string()
    }

    #[test]
    fn an_empty_last_column_is_left_out() {
        let mut t = Table::new(["name", "note"]);
        t.row(["a", ""]);
        assert_eq!(strip(&t.render(0, 80)), "NAME\na\n");
    }
}
