//! Tables with a header: csv as RFC 4180 has it, with what spreadsheets and pandas make of it, and tab-separated values, which
//! know no quotes (IANA, text/tab-separated-values).
//!
//! Rows are counted as records: the header is row 1, and neither a quoted line break nor a blank line starts one.

use super::header::settle;
use super::opened::numbered;
use super::parse::{Skipped, Table, key, listed, start};
use super::value::{Budget, MOST_FIELDS, Value};
use crate::error::{Error, Result};
use csv::{Position, Reader, ReaderBuilder, StringRecord, Terminator};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::data as msg;
use std::collections::{HashMap, HashSet};

const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// Whether a column was given its name because it had none, by us or by pandas: it numbers rows, or it is empty.
pub(super) fn is_unnamed(key: &str) -> bool {
    let number = key.strip_prefix("unnamed: ");
    // A table that was saved twice has an `Unnamed: 0.1`.
    let is_digit = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(is_digit))
}

/// A table in a .csv.
pub(super) fn csv(text: &str, header: Option<bool>, notes: &mut Vec<Message>) -> Result<Table> {
    let (text, first_line, delimiter) = match told_delimiter(text) {
        Some((delimiter, rest)) => {
            notes.push(msg::SepLine.into());
            (rest, 2, delimiter)
        }
        None => (text, 1, guess_delimiter(text, notes)),
    };
    let source = Source {
        text,
        first_line,
        delimiter,
        quotes: true,
    };
    source.check_quotes()?;
    read(source, header, notes)
}

/// A table in a .tsv.
pub(super) fn tsv(text: &str, header: Option<bool>, notes: &mut Vec<Message>) -> Result<Table> {
    let source = Source {
        text,
        first_line: 1,
        delimiter: b'\t',
        quotes: false,
    };
    read(source, header, notes)
}

fn read(source: Source, header: Option<bool>, notes: &mut Vec<Message>) -> Result<Table> {
    source.check_width()?;
    let (mut table, mut budget) = (Table::default(), Budget::new());
    table.ordered = true;
    let mut reader = source.reader();
    let mut record = StringRecord::new();
    if !source.next(&mut reader, &mut record, 1)? {
        return Ok(table);
    }
    budget.row(record.len()).map_err(|error| error.row(1))?;
    let (first, mut said) = (values(&record).collect::<Vec<_>>(), Vec::new());
    let named = match header {
        Some(false) => numbered(record.len()),
        _ => names(&record.iter().collect::<Vec<_>>(), &mut said)?,
    };
    for name in named {
        table.column(&name);
    }
    let columns = table.columns().to_vec();
    let (mut short, mut quoted) = (Skipped::default(), Skipped::default());
    let mut number = 1;
    while source.next(&mut reader, &mut record, number + 1)? {
        number += 1;
        budget.row(columns.len()).map_err(|error| error.row(number))?;
        // A spreadsheet that once had more columns writes their separators in some rows.
        let mut found = record.len();
        while found > columns.len() && record[found - 1].trim().is_empty() {
            found -= 1;
        }
        if found > columns.len() {
            let (line, header) = (source.line_of(&record), columns.len());
            let error = Error::data(msg::TooManyFields { line, found, header }).row(number);
            return Err(match source.quotes {
                true => error.remedy(msg::QuoteFields),
                false => error.remedy(msg::SaveAsCsv),
            });
        }
        if found < columns.len() && !columns[found..].iter().all(|name| is_unnamed(&key(name))) {
            short.push(number);
        }
        let is_quoted = |field: &str| field.len() > 1 && field.starts_with('"') && field.ends_with('"');
        if !source.quotes && record.iter().any(is_quoted) {
            quoted.push(number);
        }
        let empty = std::iter::repeat_with(|| Value::String(String::new()));
        table.push_whole(number, values(&record).chain(empty).take(columns.len()));
    }
    let table = settle(table, (1, first), header, Ok(said), notes)?;
    notes.extend(short.said().map(|rows| msg::FewerFields { rows }.into()));
    notes.extend(quoted.said().map(|rows| msg::QuotedFields { rows }.into()));
    Ok(table)
}

fn values(record: &StringRecord) -> impl Iterator<Item = Value> {
    record.iter().map(|field| Value::String(field.to_owned()))
}

/// The columns' names, each once. As in pandas, columns without one are called `Unnamed: 0` by their places from 0, and the
/// second column called `a` is `a.1`.
pub(super) fn names(header: &[&str], notes: &mut Vec<Message>) -> Result<Vec<String>> {
    if header.iter().all(|name| name.trim().is_empty()) {
        return Err(Error::data(msg::NoColumnNames).row(1).remedy(msg::FirstRowNames));
    }
    let mut taken: HashMap<String, usize> = HashMap::with_capacity(header.len());
    let (mut unnamed, mut renamed) = (Vec::new(), Vec::new());
    let mut names = Vec::with_capacity(header.len());
    let given: HashSet<String> = header.iter().map(|name| key(name)).collect();
    for (place, name) in header.iter().enumerate() {
        let trimmed = name.trim();
        let mut name = match trimmed.is_empty() {
            true => format!("Unnamed: {place}"),
            false => trimmed.to_owned(),
        };
        if is_unnamed(&key(&name)) {
            unnamed.push(name.clone());
        }
        let key_of = key(&name);
        if let Some(times) = taken.get(&key_of).copied() {
            let free = (times..).map(|number| (number, format!("{name}.{number}")));
            let mut free = free.filter(|(_, name)| !taken.contains_key(&key(name)) && !given.contains(&key(name)));
            if let Some((number, other)) = free.next() {
                renamed.push(format!("'{}'", start(&other)));
                taken.insert(key_of, number + 1);
                name = other;
            }
        }
        taken.insert(key(&name), 1);
        names.push(name);
    }
    match unnamed.as_slice() {
        [] => {}
        [column] => notes.push(msg::UnnamedColumn { column }.into()),
        several => {
            let columns = listed(several);
            notes.push(msg::UnnamedColumns { columns }.into());
        }
    }
    if !renamed.is_empty() {
        let columns = listed(&renamed);
        notes.push(msg::SameNames { columns }.into());
    }
    Ok(names)
}

/// The text of a table, and how its fields are told apart.
struct Source<'a> {
    text: &'a str,
    /// The line of the file in which the text begins.
    first_line: usize,
    delimiter: u8,
    /// Whether fields may stand in double quotes.
    quotes: bool,
}

impl<'a> Source<'a> {
    fn reader(&self) -> Reader<&'a [u8]> {
        ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .quoting(self.quotes)
            // Line ends are line feeds by now; a carriage return that is left belongs to a text.
            .terminator(Terminator::Any(b'\n'))
            .from_reader(self.text.as_bytes())
    }

    /// Reads the next row, which will be row `number`, that is no blank line.
    fn next(&self, reader: &mut Reader<&[u8]>, record: &mut StringRecord, number: usize) -> Result<bool> {
        loop {
            let read = reader.read_record(record).map_err(|error| {
                let error = Error::data(msg::TableUnreadable { error });
                error.row(number).remedy(msg::SaveAgainAsCsv)
            })?;
            if !read || !is_blank_line(record) {
                return Ok(read);
            }
        }
    }

    /// The line of the file in which a row begins.
    fn line_of(&self, record: &StringRecord) -> u64 {
        let line = record.position().map_or(1, Position::line);
        line + self.first_line as u64 - 1
    }

    /// Refuses a line of more fields than a table may have in all, before the reader keeps them.
    fn check_width(&self) -> Result<()> {
        for (place, line) in self.text.lines().enumerate() {
            // As many bytes at least.
            if line.len() >= MOST_FIELDS && line.bytes().filter(|byte| *byte == self.delimiter).count() >= MOST_FIELDS {
                Budget::new().row(MOST_FIELDS).map_err(|error| error.row(place + 1))?;
            }
        }
        Ok(())
    }

    /// Refuses quotes that a reader of csv takes otherwise than they were meant: one that is never closed, with which the rest
    /// of the file would be one field, and one that is closed before its field ends.
    fn check_quotes(&self) -> Result<()> {
        let bytes = self.text.as_bytes();
        let (mut at, mut line, mut row, mut column) = (0, self.first_line, 1, 0);
        let mut begins = true;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'"' if begins => {
                    let (opened, close) = (line, closing_quote(bytes, at));
                    let place = |error: Error| self.place(error, row, column);
                    let Some(close) = close else {
                        let error = Error::data(msg::QuoteNeverClosed { line: opened });
                        return Err(place(error.remedy(msg::CloseQuote)));
                    };
                    line += bytes[at..close].iter().filter(|byte| **byte == b'\n').count();
                    let behind = bytes.get(close + 1);
                    if !behind.is_none_or(|byte| *byte == b'\n' || *byte == self.delimiter) {
                        let behind = self.text[close + 1..].lines().next().unwrap_or_default();
                        let (closed, text) = (line, start(behind));
                        let error = Error::data(msg::TextBehindQuote { opened, closed, text });
                        return Err(place(error.remedy(msg::QuoteWhole)));
                    }
                    at = close;
                    begins = false;
                }
                b'\n' => {
                    let is_blank = column == 0 && self.text[..at].rsplit('\n').next().is_some_and(is_blank_text);
                    row += usize::from(!is_blank);
                    (line, column, begins) = (line + 1, 0, true);
                }
                byte if byte == self.delimiter => (column, begins) = (column + 1, true),
                _ => begins = false,
            }
            at += 1;
        }
        Ok(())
    }

    /// Names the row and, behind the header, the column of an error.
    fn place(&self, error: Error, row: usize, column: usize) -> Error {
        let error = error.row(row);
        let mut header = StringRecord::new();
        let is_read = row > 1 && self.next(&mut self.reader(), &mut header, 1).unwrap_or(false);
        let columns = names(&header.iter().collect::<Vec<_>>(), &mut Vec::new()).unwrap_or_default();
        match columns.get(column) {
            Some(name) if is_read => error.field(name),
            _ => error,
        }
    }
}

/// Where the quotes that are opened at `open` are closed; a doubled quote inside quotes is a quote.
fn closing_quote(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == b'"')?;
        match bytes.get(at + 1) {
            Some(b'"') => at += 2,
            _ => return Some(at),
        }
    }
}

/// Whether a row is a line of nothing but blanks; the reader passes over empty lines itself.
fn is_blank_line(record: &StringRecord) -> bool {
    record.len() == 1 && !record[0].is_empty() && is_blank_text(&record[0])
}

fn is_blank_text(text: &str) -> bool {
    text.trim_matches(' ').is_empty()
}

/// The delimiter that a first line like `sep=;` names, as spreadsheets understand it, and the text behind that line.
fn told_delimiter(text: &str) -> Option<(u8, &str)> {
    let (first, rest) = text.split_once('\n')?;
    let first = first.trim_matches(['"', ' ']);
    let (name, delimiter) = first.split_at_checked(4)?;
    match delimiter.as_bytes() {
        [delimiter] if name.eq_ignore_ascii_case("sep=") && delimiter.is_ascii() => Some((*delimiter, rest)),
        _ => None,
    }
}

/// Spreadsheets of many countries write `;` into a .csv: the delimiter that the header has most of, outside of quotes.
fn guess_delimiter(text: &str, notes: &mut Vec<Message>) -> u8 {
    let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let outside = header.split('"').step_by(2);
    let count = |delimiter: u8| -> usize {
        let found = outside
            .clone()
            .map(|part| part.bytes().filter(|byte| *byte == delimiter).count());
        found.sum()
    };
    // Of equal ones `max_by_key` takes the last.
    let most = DELIMITERS.into_iter().rev().max_by_key(|delimiter| count(*delimiter));
    let delimiter = most.unwrap_or(b',');
    match delimiter {
        b';' => notes.push(msg::SeparatedBySemicolons.into()),
        b'\t' => notes.push(msg::SeparatedByTabs.into()),
        _ => {}
    }
    delimiter
}
