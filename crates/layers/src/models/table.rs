//! A table of text with lines around its cells, laid out as the Python library `rich` does it for
//! Keras: widths that shrink evenly, words that wrap, and `…` where a word is too long.

use std::fmt;

/// On which side of a cell the text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Center,
    Right,
}

/// A column and the width it would like to have.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub header: &'static str,
    pub align: Align,
    pub width: usize,
}

/// Cells in columns, with a line after each row.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table that is `length` characters wide, unless its columns want less.
    pub fn new(mut columns: Vec<Column>, rows: Vec<Vec<String>>, length: usize) -> Self {
        // Each column has a space on both sides, and there is a line before, between and after them.
        let lines = columns.len() + 1;
        let wanted: usize = columns.iter().map(|column| column.width + 2).sum();
        let mut excess = (wanted + lines).saturating_sub(length);
        let count = columns.len();
        for (position, column) in columns.iter_mut().enumerate() {
            let left = count - position;
            // Halves go to the even number, as Python rounds them.
            let share = (excess as f64 / left as f64).round_ties_even() as usize;
            let share = share.min(column.width + 2);
            column.width = (column.width - share.min(column.width)).max(1);
            excess -= share;
        }
        Table { columns, rows }
    }

    fn rule(
        &self,
        f: &mut fmt::Formatter<'_>,
        [left, fill, middle, right]: [char; 4],
    ) -> fmt::Result {
        write!(f, "{left}")?;
        for (position, column) in self.columns.iter().enumerate() {
            if position > 0 {
                write!(f, "{middle}")?;
            }
            for _ in 0..column.width + 2 {
                write!(f, "{fill}")?;
            }
        }
        writeln!(f, "{right}")
    }

    fn row(&self, f: &mut fmt::Formatter<'_>, cells: &[&str], line: char) -> fmt::Result {
        let wrapped: Vec<Vec<String>> = cells
            .iter()
            .zip(&self.columns)
            .map(|(cell, column)| wrap(cell, column.width))
            .collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
        for index in 0..height {
            write!(f, "{line}")?;
            for (cell, column) in wrapped.iter().zip(&self.columns) {
                let text = cell.get(index).map_or("", String::as_str);
                let width = column.width;
                match column.align {
                    Align::Left => write!(f, " {text:<width$} {line}")?,
                    Align::Right => write!(f, " {text:>width$} {line}")?,
                    Align::Center => write!(f, " {text:^width$} {line}")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// The text in lines of at most `width` characters, broken between words.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split_inclusive(' ') {
        let length = word.trim_end().chars().count();
        if used > 0 && used + length > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        line.push_str(word);
        used += word.chars().count();
    }
    lines.push(line);
    let shorten = |line: String| {
        let line = line.trim_end();
        match line.chars().count() > width {
            true => line.chars().take(width - 1).chain(['…']).collect(),
            false => line.to_string(),
        }
    };
    lines.into_iter().map(shorten).collect()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.columns.iter().map(|column| column.header).collect();
        self.rule(f, ['┏', '━', '┳', '┓'])?;
        self.row(f, &headers, '┃')?;
        if self.rows.is_empty() {
            return self.rule(f, ['┗', '━', '┻', '┛']);
        }
        self.rule(f, ['┡', '━', '╇', '┩'])?;
        for (position, row) in self.rows.iter().enumerate() {
            if position > 0 {
                self.rule(f, ['├', '─', '┼', '┤'])?;
            }
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            self.row(f, &cells, '│')?;
        }
        self.rule(f, ['└', '─', '┴', '┘'])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_wrap_and_long_ones_are_cut() {
        assert_eq!(wrap("dense (Dense)", 20), ["dense (Dense)"]);
        assert_eq!(
            wrap("batch_norm (BatchNorm)", 12),
            ["batch_norm", "(BatchNorm)"]
        );
        assert_eq!(wrap("a_long_name (D)", 8), ["a_long_…", "(D)"]);
        assert_eq!(wrap("", 4), [""]);
    }
}
