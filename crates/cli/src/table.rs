//! Rows in columns, for people.

use std::fmt::Write;

use regraft_tensor::one_line;

/// Columns as wide as what is in them, two spaces apart; those that hold numbers end at one edge.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let on_one_line = |row: &Vec<String>| row.iter().map(|cell| one_line(cell)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(on_one_line).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells
            .chain([header[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let numeric = |column: usize| {
        let number = |text: &str| {
            let mut bytes = text.bytes();
            bytes.next().is_some_and(|first| first.is_ascii_digit())
                && bytes.all(|byte| byte.is_ascii_digit() || b",.".contains(&byte))
        };
        !rows.is_empty()
            && rows
                .iter()
                .all(|row| row[column].is_empty() || number(&row[column]))
    };
    let columns: Vec<(usize, bool)> = (0..header.len())
        .map(|at| (width(at), numeric(at)))
        .collect();
    let mut text = String::new();
    let mut line = |cells: &[&str]| {
        let mut line = String::new();
        for (cell, &(width, numeric)) in cells.iter().zip(&columns) {
            // Writing to a string cannot fail.
            let _ = match numeric {
                true => write!(line, "{cell:>width$}  "),
                false => write!(line, "{cell:<width$}  "),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    };
    line(header);
    for row in &rows {
        line(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_at_one_edge() {
        let rows = [("dense", "1,000"), ("b", "7")];
        let rows = rows.map(|(name, count)| vec![name.to_string(), count.to_string()]);
        assert_eq!(
            table(&["layer", "numbers"], &rows),
            "layer  numbers\ndense    1,000\nb            7\n"
        );
    }
}
