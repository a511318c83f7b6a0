//! Values as they are written, a row a line, and how many there may be.

use crate::{MOST_BYTES, MOST_VALUES, Refusal, too_much};
use lorakeet_i18n::messages::data as msg;
use std::fmt::Write;

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing.
    Empty,
    /// A truth value.
    Truth(bool),
    /// A number as JSON writes it.
    Number(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Cell>),
    /// Named values.
    Named(Vec<(String, Cell)>),
}

impl Cell {
    /// A number of a float, a whole one without a point; nothing where it is none, which is how tables write what is missing.
    pub fn number(value: f64) -> Self {
        // As JSON cannot write it.
        match value.is_finite() {
            true => Self::Number(value.to_string()),
            false if value.is_nan() => Self::Empty,
            false => Self::Text(value.to_string()),
        }
    }

    /// How many values it counts as.
    fn count(&self) -> usize {
        1 + match self {
            Self::List(items) => items.iter().map(Self::count).sum(),
            Self::Named(items) => items.iter().map(|(_, item)| item.count()).sum::<usize>(),
            Self::Empty | Self::Truth(_) | Self::Number(_) | Self::Text(_) => 0,
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Empty => out.push_str("null"),
            Self::Truth(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Self::Number(number) => out.push_str(number),
            Self::Text(text) => quote(text, out),
            Self::List(items) => {
                out.push('[');
                for (place, item) in items.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Named(items) => {
                out.push('{');
                for (place, (name, item)) in items.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    quote(name, out);
                    out.push(':');
                    item.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// A text as JSON (RFC 8259, section 7).
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Writing to a string does not fail.
            '\0'..='\x1f' => drop(write!(out, "\\u{:04x}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
}

/// Rows under way.
pub struct Rows {
    text: String,
    left: usize,
}

impl Rows {
    /// None yet.
    pub fn new() -> Self {
        Self {
            text: String::new(),
            left: MOST_VALUES,
        }
    }

    /// Counts values before they are made.
    ///
    /// # Errors
    /// They are more than are left.
    pub fn take(&mut self, values: usize) -> Result<(), Refusal> {
        let left = self.left.checked_sub(values);
        self.left = left.ok_or_else(|| {
            let millions = MOST_VALUES / 1_000_000;
            Refusal::new(msg::FieldsBeyondMemory { millions }, msg::ChooseRowsOrColumns)
        })?;
        Ok(())
    }

    /// Adds a row with its number in the file.
    ///
    /// # Errors
    /// There are more values, or more text, than a file may have.
    pub fn push(&mut self, number: usize, cells: &[Cell]) -> Result<(), Refusal> {
        let count = cells.iter().map(Cell::count).sum::<usize>();
        self.take(count + 2).map_err(|refusal| refusal.row(number))?;
        self.text.push('[');
        self.text.push_str(&number.to_string());
        for cell in cells {
            self.text.push(',');
            cell.write(&mut self.text);
        }
        self.text.push_str("]\n");
        match self.text.len() > MOST_BYTES {
            true => Err(too_much().row(number)),
            false => Ok(()),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// All of them.
    pub fn into_bytes(self) -> Vec<u8> {
        self.text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_line_of_json() {
        let mut rows = Rows::new();
        let cells = [
            Cell::Text("a \"b\"\\\n\u{1}é".into()),
            Cell::number(2.0),
            Cell::number(0.1),
            Cell::number(f64::NAN),
            Cell::Truth(true),
            Cell::List(vec![Cell::Empty, Cell::Named(vec![("k".into(), Cell::number(-1.5))])]),
        ];
        rows.push(3, &cells).expect("it fits");
        let line = String::from_utf8(rows.into_bytes()).expect("a text");
        let read: serde_json::Value = serde_json::from_str(&line).expect("it is JSON");
        let want = serde_json::json!([3, "a \"b\"\\\n\u{1}é", 2, 0.1, null, true, [null, {"k": -1.5}]]);
        assert_eq!(read, want, "{line}");
    }

    #[test]
    fn values_are_counted_with_those_inside() {
        let mut rows = Rows::new();
        rows.take(MOST_VALUES - 5).expect("they fit");
        let row = [Cell::List(vec![Cell::Empty, Cell::Empty])];
        rows.push(1, &row).expect("the last ones");
        assert_eq!(rows.push(2, &row).expect_err("no more").row, Some(2));
    }
}
