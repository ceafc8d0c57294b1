//! Plain text tables for terminals.

use crate::svg::wide;

/// On which side the cells of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// The head of a column.
#[derive(Clone, Debug)]
pub struct Column {
    /// What stands above it.
    pub title: String,
    /// Where its cells and title stand.
    pub align: Align,
}

impl Column {
    /// A column of text.
    pub fn left(title: impl Into<String>) -> Self {
        Self { title: title.into(), align: Align::Left }
    }

    /// A column of numbers.
    pub fn right(title: impl Into<String>) -> Self {
        Self { title: title.into(), align: Align::Right }
    }
}

/// A table with a head, a rule below it, columns two spaces apart, and no trailing spaces.
///
/// A row without cells is a rule; missing cells are empty, cells beyond the last column are left out.
///
/// ```
/// use svertka_report::{Column, table, thousands};
/// let columns = [Column::left("layer"), Column::right("parameters")];
/// let rows = [vec!["conv".into(), "156".into()], vec![], vec!["total".into(), thousands(61_706)]];
/// let text = "\
/// layer  parameters
/// ─────────────────
/// conv          156
/// ─────────────────
/// total      61,706
/// ";
/// assert_eq!(table(&columns, &rows), text);
/// ```
pub fn table(columns: &[Column], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..columns.len())
        .map(|index| {
            let cells = rows.iter().filter_map(|row| row.get(index)).map(String::as_str);
            cells.chain([columns[index].title.as_str()]).map(terminal_width).max().unwrap_or(0)
        })
        .collect();
    let total = widths.iter().sum::<usize>() + 2 * columns.len().saturating_sub(1);
    let rule = "─".repeat(total);
    let head: Vec<String> = columns.iter().map(|column| column.title.clone()).collect();
    let mut lines = vec![line(columns, &widths, &head), rule.clone()];
    lines.extend(
        rows.iter().map(|row| if row.is_empty() { rule.clone() } else { line(columns, &widths, row) }),
    );
    lines.into_iter().map(|line| line + "\n").collect()
}

fn line(columns: &[Column], widths: &[usize], cells: &[String]) -> String {
    let mut text = String::new();
    for (index, (column, &width)) in columns.iter().zip(widths).enumerate() {
        let cell = cells.get(index).map_or("", String::as_str);
        let padding = " ".repeat(width - terminal_width(cell));
        let separator = if index == 0 { "" } else { "  " };
        text += separator;
        text += &match column.align {
            Align::Left => format!("{cell}{padding}"),
            Align::Right => format!("{padding}{cell}"),
        };
    }
    text.truncate(text.trim_end().len());
    text
}

fn terminal_width(text: &str) -> usize {
    text.chars().map(|character| if wide(character) { 2 } else { 1 }).sum()
}

/// A number with a comma between thousands: `61,706`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (61_706, "61,706"), (11_689_512, "11,689,512")];
        for (number, text) in cases {
            assert_eq!(thousands(number), text);
        }
        assert_eq!(thousands(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn ragged_rows_and_wide_characters_stay_aligned() {
        let columns = [Column::left("class"), Column::right("n")];
        let rows =
            [vec!["猫".into(), "7".into()], vec!["кот".into()], vec!["dog".into(), "12".into(), "x".into()]];
        assert_eq!(table(&columns, &rows), "class   n\n─────────\n猫      7\nкот\ndog    12\n");
    }

    #[test]
    fn no_columns_make_no_trouble() {
        assert_eq!(table(&[], &[vec!["lost".into()]]), "\n\n\n");
    }
}
