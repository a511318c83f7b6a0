//! The sheets of a spreadsheet (.xlsx): formulas by their values, dates as ISO 8601.
//!
//! Cells are read one by one: the range that a sheet says it has is not believed, and never made.

use crate::cell::{Cell, Rows};
use crate::{Content, MOST_BYTES, Opened, Refusal, Sheet, damaged, too_much};
use calamine::{DataRef, Dimensions, ExcelDateTime, Reader, SheetType, SheetVisible, Xlsx};
use lorakeet_i18n::messages::tables as msg;
use lorakeet_i18n::{Field, Message};
use std::io::Cursor;

/// Cells that a note names.
const MOST_CELLS: usize = 5;

/// Columns that a sheet can have.
const MOST_COLUMNS: u32 = 16_384;

/// Sheets that are opened.
const MOST_SHEETS: usize = 100;

/// Opens a spreadsheet: all of its sheets, as far as they fit.
pub fn read(bytes: &[u8]) -> Result<Opened, Refusal> {
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(damaged)?;
    let sheets = book
        .sheets_metadata()
        .iter()
        .filter(|sheet| sheet.typ == SheetType::WorkSheet);
    let (shown, hidden): (Vec<_>, Vec<_>) = sheets.partition(|sheet| sheet.visible == SheetVisible::Visible);
    let names = shown.into_iter().chain(hidden).map(|sheet| sheet.name.clone());
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        return Err(Refusal::new(msg::NoSheet, msg::SaveAsXlsx));
    }
    let mut notes: Vec<Message> = Vec::new();
    if let Some(others) = names.get(MOST_SHEETS..).filter(|others| !others.is_empty()) {
        let others = Field::first(MOST_CELLS, others.iter());
        notes.push(
            msg::SheetsBeyond {
                most: MOST_SHEETS,
                others,
            }
            .into(),
        );
    }
    let (mut sheets, mut payload) = (Vec::new(), Vec::new());
    for name in names.into_iter().take(MOST_SHEETS) {
        let mut notes = Vec::new();
        let read = one(&mut book, &name, &mut notes);
        let fitting = read.and_then(|rows| match payload.len() + rows.len() > MOST_BYTES {
            true => Err(too_much()),
            false => Ok(rows),
        });
        let (rows, refusal) = match fitting {
            Ok(rows) => (rows, None),
            Err(refusal) => (Vec::new(), Some(refusal.field(name.as_str()))),
        };
        payload.extend_from_slice(&rows);
        let bytes = rows.len();
        sheets.push(Sheet {
            name,
            notes,
            bytes,
            refusal,
        });
    }
    Ok(Opened::new(Content::Sheets(sheets), notes, payload))
}

/// The rows of a sheet.
fn one(book: &mut Xlsx<Cursor<&[u8]>>, name: &str, notes: &mut Vec<Message>) -> Result<Vec<u8>, Refusal> {
    let merged = book.merge_cells_by_sheet_name(name).map_err(damaged)?;
    if !merged.is_empty() {
        let cells = Field::first(MOST_CELLS, merged.iter().map(|range| area(*range)));
        notes.push(msg::MergedCells { cells }.into());
    }
    rows(book, name, notes)
}

fn rows(book: &mut Xlsx<Cursor<&[u8]>>, sheet: &str, notes: &mut Vec<Message>) -> Result<Vec<u8>, Refusal> {
    let mut cells = book.worksheet_cells_reader(sheet).map_err(damaged)?;
    let (mut rows, mut row, mut at) = (Rows::new(), Vec::new(), 0);
    let (mut wrong, mut wrongs) = (Vec::new(), 0);
    while let Some(cell) = cells.next_cell().map_err(|error| damaged(error).row(at as usize + 1))? {
        let (line, column) = cell.get_position();
        if line < at || column >= MOST_COLUMNS {
            let cell = place(line, column);
            return Err(Refusal::new(msg::CellOutOfPlace { cell }, msg::SaveAgain));
        }
        if line > at {
            flush(&mut rows, &mut row, at)?;
            at = line;
        }
        let value = match cell.get_value() {
            DataRef::Error(error) => {
                if wrongs < MOST_CELLS {
                    wrong.push(format!("{} {error}", place(line, column)));
                }
                wrongs += 1;
                Cell::Empty
            }
            value => typed(value),
        };
        if value == Cell::Empty {
            continue;
        }
        let column = column as usize;
        if row.len() <= column {
            // Each stands in the line, too.
            rows.take(column - row.len())
                .map_err(|refusal| refusal.row(at as usize + 1))?;
            row.resize(column + 1, Cell::Empty);
        }
        row[column] = value;
    }
    flush(&mut rows, &mut row, at)?;
    if wrongs > 0 {
        let count = wrongs;
        let cells = Field::list(wrong);
        notes.push(msg::ErrorCells { count, cells }.into());
    }
    match rows.is_empty() {
        true => Err(Refusal::new(msg::EmptySheet, msg::FillSheet)),
        false => Ok(rows.into_bytes()),
    }
}

/// Writes a row with something in it.
fn flush(rows: &mut Rows, row: &mut Vec<Cell>, at: u32) -> Result<(), Refusal> {
    let is_blank = |cell: &Cell| match cell {
        Cell::Text(text) => text.trim().is_empty(),
        cell => *cell == Cell::Empty,
    };
    let written = match row.iter().all(is_blank) {
        true => Ok(()),
        false => rows.push(at as usize + 1, row),
    };
    row.clear();
    written
}

fn typed(value: &DataRef) -> Cell {
    match value {
        DataRef::Int(number) => Cell::Number(number.to_string()),
        DataRef::Float(number) => Cell::number(*number),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text_of(text),
        DataRef::SharedString(text) => text_of(text),
        DataRef::Bool(truth) => Cell::Truth(*truth),
        DataRef::DateTime(moment) => Cell::Text(written(moment)),
        DataRef::Error(_) | DataRef::Empty => Cell::Empty,
    }
}

/// A text with line feeds as line ends.
fn text_of(text: &str) -> Cell {
    match text {
        "" => Cell::Empty,
        text if text.contains('\r') => Cell::Text(text.replace("\r\n", "\n").replace('\r', "\n")),
        text => Cell::Text(text.to_owned()),
    }
}

/// A date, a time of day, both, or a span of hours.
fn written(moment: &ExcelDateTime) -> String {
    let days = moment.as_f64();
    if moment.is_duration() {
        let seconds = (days.abs() * 86_400.0).round() as u64;
        let sign = if days < 0.0 { "-" } else { "" };
        return format!("{sign}{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
    let date = format!("{year:04}-{month:02}-{day:02}");
    let time = format!("{hour:02}:{minute:02}:{second:02}");
    match (days < 1.0, days.fract() == 0.0) {
        (true, _) => time,
        (false, true) => date,
        (false, false) => format!("{date}T{time}"),
    }
}

/// A cell as a spreadsheet names it: B7 for row 6 and column 1, both from 0.
fn place(row: u32, column: u32) -> String {
    let mut letters = Vec::new();
    let mut left = column + 1;
    while left > 0 {
        letters.push(char::from(b'A' + ((left - 1) % 26) as u8));
        left = (left - 1) / 26;
    }
    letters.iter().rev().collect::<String>() + &(u64::from(row) + 1).to_string()
}

fn area(range: Dimensions) -> String {
    let ((top, left), (bottom, right)) = (range.start, range.end);
    format!("{}:{}", place(top, left), place(bottom, right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use calamine::ExcelDateTimeType;

    #[test]
    fn cells_have_the_names_of_spreadsheets() {
        for ((row, column), name) in [
            ((0, 0), "A1"),
            ((6, 25), "Z7"),
            ((6, 26), "AA7"),
            ((1_048_575, 16_383), "XFD1048576"),
        ] {
            assert_eq!(place(row, column), name);
        }
    }

    #[test]
    fn dates_are_written_as_iso_8601() {
        let of = |value, kind| written(&ExcelDateTime::new(value, kind, false));
        assert_eq!(of(45_000.0, ExcelDateTimeType::DateTime), "2023-03-15");
        assert_eq!(of(45_000.5, ExcelDateTimeType::DateTime), "2023-03-15T12:00:00");
        assert_eq!(of(0.25, ExcelDateTimeType::DateTime), "06:00:00");
        assert_eq!(of(1.5, ExcelDateTimeType::TimeDelta), "36:00:00");
    }
}
