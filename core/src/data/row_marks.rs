//! Short marks of a file's rows, of bounded size: by them the first row is named that is another one than it was.

use super::Dataset;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write};

/// Marks at most; of more rows, several that follow one another have one together.
const MOST_MARKS: usize = 4096;
/// Hexadecimal digits of a mark.
const DIGITS: usize = 8;

/// The marks of the rows of a file, in their order: 32 bits of FNV-1a each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RowMarks {
    /// How many rows there are.
    rows: usize,
    /// How many of them have a mark together.
    each: usize,
    /// The marks, one behind the other.
    marks: String,
}

/// Where a file is another one, its rows counted as errors count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowDifference {
    /// This row is the first.
    Row(usize),
    /// It is one of these.
    Between(usize, usize),
    /// There are more rows or fewer, and none before differs.
    Count {
        /// How many there are.
        rows: usize,
        /// How many there were.
        were: usize,
    },
    /// No row is another one: the rest of the file is.
    None,
}

impl RowMarks {
    /// The marks of a file as it was read.
    pub(crate) fn of(data: &Dataset) -> Self {
        let rows = rows(data);
        Self::grouped(&rows, rows.len().div_ceil(MOST_MARKS).max(1))
    }

    fn grouped(rows: &[(usize, u32)], each: usize) -> Self {
        let mark = |group: &[(usize, u32)]| match group {
            [(_, mark)] => *mark,
            group => {
                let mut marker = Marker::new();
                group.iter().for_each(|(_, mark)| marker.add(&mark.to_le_bytes()));
                marker.mark()
            }
        };
        Self {
            rows: rows.len(),
            each,
            marks: rows.chunks(each).map(|group| format!("{:08x}", mark(group))).collect(),
        }
    }

    /// Where `data` is another file than that of these marks.
    pub(crate) fn difference(&self, data: &Dataset) -> RowDifference {
        let (rows, each) = (rows(data), self.each.max(1));
        let now = Self::grouped(&rows, each);
        let count = RowDifference::Count {
            rows: now.rows,
            were: self.rows,
        };
        let [before, after] = [self, &now].map(|of| of.marks.as_bytes().chunks(DIGITS));
        let place = before.zip(after).position(|(one, other)| one != other);
        match place {
            Some(place) => {
                let end = (place + 1) * each;
                let last = end.min(now.rows) - 1;
                match now.rows != self.rows && end > now.rows.min(self.rows) {
                    true => count,
                    false if each == 1 => RowDifference::Row(rows[place].0),
                    false => RowDifference::Between(rows[place * each].0, rows[last].0),
                }
            }
            None if now.rows != self.rows => count,
            None => RowDifference::None,
        }
    }
}

/// The number of each row, and its mark.
fn rows(data: &Dataset) -> Vec<(usize, u32)> {
    let marked = |number: usize, write: &dyn Fn(&mut Marker) -> fmt::Result| {
        let mut marker = Marker::new();
        // It takes all that it is given.
        let _ = write(&mut marker);
        (number, marker.mark())
    };
    match (&data.numbers, &data.table) {
        (Some(read), _) => {
            let row = read.rows.iter().map(|row| {
                marked(row.number, &|marker| {
                    row.features
                        .iter()
                        .for_each(|number| marker.add(&number.to_bits().to_le_bytes()));
                    write!(marker, "{:?} {:?} {:?}", row.text, row.second, row.values)
                })
            });
            row.collect()
        }
        (None, Some(table)) => {
            let records = table.records();
            let row = records.map(|row| marked(row.number, &|marker| write!(marker, "{:?}", row.fields.cells())));
            row.collect()
        }
        (None, None) => {
            let row = data.rows.iter();
            let row = row.map(|row| marked(row.number, &|marker| write!(marker, "{:?}", row.content)));
            row.collect()
        }
    }
}

/// FNV-1a of 64 bits, of which both halves make the mark.
struct Marker(u64);

impl Marker {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn mark(&self) -> u32 {
        (self.0 ^ (self.0 >> 32)) as u32
    }
}

impl Write for Marker {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.add(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rows: impl Iterator<Item = String>) -> Dataset {
        let text: String = rows.map(|text| format!("{{\"text\": {text:?}}}\n")).collect();
        Dataset::parse("rows.jsonl", text.as_bytes()).expect("rows")
    }

    fn numbered(count: usize, other: Option<usize>) -> Dataset {
        lines((1..=count).map(|row| match other == Some(row) {
            true => "another".to_owned(),
            false => format!("row {row}"),
        }))
    }

    #[test]
    fn the_first_row_that_differs_is_named() {
        let marks = RowMarks::of(&numbered(40, None));
        assert_eq!(marks.difference(&numbered(40, None)), RowDifference::None);
        assert_eq!(marks.difference(&numbered(40, Some(17))), RowDifference::Row(17));
        // One that is left out moves those behind it.
        let without = lines((1..=40).filter(|row| *row != 5).map(|row| format!("row {row}")));
        assert_eq!(marks.difference(&without), RowDifference::Row(5));
        for rows in [30, 45] {
            let count = RowDifference::Count { rows, were: 40 };
            assert_eq!(marks.difference(&numbered(rows, None)), count);
        }
        // Where the header is a row, rows are counted as a spreadsheet does.
        let table = |label: &str| {
            let text = format!("text,label\na,0\nb,{label}\nc,1\n");
            Dataset::parse("rows.csv", text.as_bytes()).expect("a table")
        };
        let marks = RowMarks::of(&table("0"));
        assert_eq!(marks.difference(&table("1")), RowDifference::Row(3));
    }

    #[test]
    fn of_many_rows_the_marks_stay_few_and_name_where_to_look() {
        let (count, other) = (3 * MOST_MARKS, 7000);
        let marks = RowMarks::of(&numbered(count, None));
        assert_eq!(marks.marks.len(), DIGITS * MOST_MARKS);
        let found = marks.difference(&numbered(count, Some(other)));
        assert_eq!(found, RowDifference::Between(7000, 7002), "of three rows one");
        let fewer = RowDifference::Count {
            rows: count - 1,
            were: count,
        };
        assert_eq!(marks.difference(&numbered(count - 1, None)), fewer);
    }
}
