//! The numbers of a picture as tables, for those who do not see it and for those who want to know exactly.

use crate::format;
use std::fmt::Write;

/// Rows and columns of a table at most; of more cells, every second, third, … is told.
const MOST: usize = 16;

/// Numbers in rows and columns.
pub struct Grid<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// A name a row, HTML.
    pub row_names: Vec<String>,
    /// A name a column, HTML.
    pub column_names: Vec<String>,
}

impl<'a> Grid<'a> {
    /// Rows and columns with these words and their numbers from 1.
    pub fn plain(values: &'a [f32], rows: usize, columns: usize, (row, column): (&str, &str)) -> Self {
        let named = |word: &str, count: usize| (1..=count).map(|place| format!("{word} {place}")).collect();
        Self {
            values,
            rows,
            columns,
            row_names: named(row, rows),
            column_names: named(column, columns),
        }
    }

    /// The table.
    pub fn table(&self, caption: &str) -> String {
        let kept = |count: usize| (0..count).step_by(count.div_ceil(MOST).max(1));
        let mut heads = vec![String::new()];
        heads.extend(kept(self.columns).map(|column| self.column_names[column].clone()));
        let rows: Vec<Vec<String>> = kept(self.rows)
            .map(|row| {
                let cell = |column| {
                    let value = self.values.get(row * self.columns + column);
                    value.map_or("–".to_owned(), |value| format::small(f64::from(*value)))
                };
                let cells = kept(self.columns).map(cell);
                [self.row_names[row].clone()].into_iter().chain(cells).collect()
            })
            .collect();
        numbers(caption, &heads, &rows)
    }
}

/// A table of HTML texts: the first field of each row is its head.
pub fn numbers(caption: &str, heads: &[String], rows: &[Vec<String>]) -> String {
    let mut text = format!("<table part=\"table\"><caption>{caption}</caption><thead><tr>");
    for head in heads {
        let _ = match head.is_empty() {
            true => write!(text, "<td></td>"),
            false => write!(text, "<th scope=\"col\">{head}</th>"),
        };
    }
    text += "</tr></thead><tbody>";
    for row in rows {
        text += "<tr>";
        for (place, field) in row.iter().enumerate() {
            let _ = match place {
                0 => write!(text, "<th scope=\"row\">{field}</th>"),
                _ if field.starts_with(|first: char| first.is_ascii_digit() || "-–".contains(first)) => {
                    write!(text, "<td class=\"number-cell\">{field}</td>")
                }
                _ => write!(text, "<td>{field}</td>"),
            };
        }
        text += "</tr>";
    }
    text + "</tbody></table>"
}

/// At most `most` rows of many, the first and the last among them.
pub fn rows_of<T>(
    items: impl ExactSizeIterator<Item = T>,
    most: usize,
    row: impl Fn(T) -> Vec<String>,
) -> Vec<Vec<String>> {
    let (count, every) = (items.len(), items.len().div_ceil(most).max(1));
    let kept = items
        .enumerate()
        .filter(|(place, _)| place % every == 0 || place + 1 == count);
    kept.map(|(_, item)| row(item)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_grid_is_told_in_few_rows() {
        let values = vec![0.5; 33 * 33];
        let table = Grid::plain(&values, 33, 33, ("output", "input")).table("all");
        assert_eq!(table.matches("<tr>").count(), 12, "head and every third row of 33");
        assert!(table.contains("output 1<") && table.contains("output 31<"));
    }

    #[test]
    fn the_last_row_is_kept() {
        let rows = rows_of(0..100, 12, |place| vec![place.to_string()]);
        assert!(rows.len() <= 13 && rows[0][0] == "0" && rows.last().is_some_and(|row| row[0] == "99"));
    }
}
