//! Tables with a header: csv as RFC 4180 has it, with what spreadsheets and pandas make of it, and tab-separated values, which
//! know no quotes (IANA, text/tab-separated-values).
//!
//! Rows are counted as records: the header is row 1, and neither a quoted line break nor a blank line starts one. They are read while
//! their text comes.

use super::header::settle;
use super::opened::numbered;
use super::parse::{Skipped, Table, key, listed, start};
use super::text::Text;
use super::value::{Budget, MOST_FIELDS, Value};
use crate::error::{Error, Result};
use csv::{Position, Reader, ReaderBuilder, StringRecord, Terminator};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::data as msg;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// Whether a column was given its name because it had none, by us or by pandas: it numbers rows, or it is empty.
pub(super) fn is_unnamed(key: &str) -> bool {
    let number = key.strip_prefix("unnamed: ");
    // A table that was saved twice has an `Unnamed: 0.1`.
    let is_digit = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(is_digit))
}

/// A table that is read from its start on, as much of its text at a time as there is. A quoted field may have line ends, so what is
/// a whole row is told here, before a reader of csv sees it.
pub(super) struct TableReader {
    delimiter: u8,
    /// Whether fields may stand in double quotes.
    quotes: bool,
    /// What the run says of the first row.
    header: Option<bool>,
    /// The line of the file in which the text begins that is not read yet.
    line: usize,
    seen: Seen,
    table: Table,
    budget: Budget,
    /// The first row, and what is to be said of it as names.
    first: Option<(Vec<Value>, Vec<Message>)>,
    columns: Vec<String>,
    /// The last row that was read.
    number: usize,
    short: Skipped,
    quoted: Skipped,
}

/// How far text is looked through for the ends of rows.
struct Seen {
    /// Bytes of the text that is not read yet.
    at: usize,
    /// Where they are in the file, each from 1, and the column from 0.
    line: usize,
    row: usize,
    column: usize,
    /// Whether a field begins here.
    begins: bool,
    /// Inside of quotes: the line in which they were opened.
    opened: Option<usize>,
}

impl TableReader {
    /// A .csv that begins with `start`, of which the first line is whole; and how much of that is no row.
    pub fn csv(start: &str, header: Option<bool>, notes: &mut Vec<Message>) -> (Self, usize) {
        match told_delimiter(start) {
            Some((delimiter, rest)) => {
                notes.push(msg::SepLine.into());
                (Self::new((delimiter, true), 2, header), start.len() - rest.len())
            }
            None => (Self::new((guess_delimiter(start, notes), true), 1, header), 0),
        }
    }

    /// A .tsv.
    pub fn tsv(header: Option<bool>) -> Self {
        Self::new((b'\t', false), 1, header)
    }

    fn new((delimiter, quotes): (u8, bool), line: usize, header: Option<bool>) -> Self {
        let mut table = Table::default();
        table.ordered = true;
        Self {
            delimiter,
            quotes,
            header,
            line,
            seen: Seen {
                at: 0,
                line,
                row: 1,
                column: 0,
                begins: true,
                opened: None,
            },
            table,
            budget: Budget::new(),
            first: None,
            columns: Vec::new(),
            number: 0,
            short: Skipped::default(),
            quoted: Skipped::default(),
        }
    }

    /// Reads the whole rows of a text, which begins where the last one was read to, and gives their bytes. `is_last` says that nothing
    /// comes behind it: then all of it is read.
    ///
    /// # Errors
    /// A row that is wrong, or one too many.
    pub fn read(&mut self, text: &str, is_last: bool) -> Result<usize> {
        let end = self.end_of_rows(text, is_last)?;
        let rows = text.get(..end).unwrap_or_default();
        self.check_width(rows)?;
        let (mut reader, mut record) = (self.reader(rows), StringRecord::new());
        while next(&mut reader, &mut record, self.number + 1)? {
            self.number += 1;
            match self.first {
                None => self.take_first(&record)?,
                Some(_) => self.take(&record)?,
            }
        }
        self.line += line_ends(rows.as_bytes());
        self.seen.at -= end;
        Ok(end)
    }

    /// The table; what is to be said of it goes into `notes`.
    ///
    /// # Errors
    /// A first row that names no columns.
    pub fn finish(self, notes: &mut Vec<Message>) -> Result<Table> {
        let Some((first, said)) = self.first else {
            return Ok(self.table);
        };
        let table = settle(self.table, (1, first), self.header, Ok(said), notes)?;
        notes.extend(self.short.said().map(|rows| msg::FewerFields { rows }.into()));
        notes.extend(self.quoted.said().map(|rows| msg::QuotedFields { rows }.into()));
        Ok(table)
    }

    fn take_first(&mut self, record: &StringRecord) -> Result<()> {
        self.budget.row(record.len()).map_err(|error| error.row(1))?;
        let mut said = Vec::new();
        let named = match self.header {
            Some(false) => numbered(record.len()),
            _ => names(&record.iter().collect::<Vec<_>>(), &mut said)?,
        };
        for name in named {
            self.table.column(&name);
        }
        self.columns = self.table.columns().to_vec();
        self.first = Some((values(record).collect(), said));
        Ok(())
    }

    fn take(&mut self, record: &StringRecord) -> Result<()> {
        let (number, columns) = (self.number, &self.columns);
        self.budget.row(columns.len()).map_err(|error| error.row(number))?;
        // A spreadsheet that once had more columns writes their separators in some rows.
        let mut found = record.len();
        while found > columns.len() && record[found - 1].trim().is_empty() {
            found -= 1;
        }
        if found > columns.len() {
            let (line, header) = (self.line_of(record), columns.len());
            let error = Error::data(msg::TooManyFields { line, found, header }).row(number);
            return Err(match self.quotes {
                true => error.remedy(msg::QuoteFields),
                false => error.remedy(msg::SaveAsCsv),
            });
        }
        if found < columns.len() && !columns[found..].iter().all(|name| is_unnamed(&key(name))) {
            self.short.push(number);
        }
        let is_quoted = |field: &str| field.len() > 1 && field.starts_with('"') && field.ends_with('"');
        if !self.quotes && record.iter().any(is_quoted) {
            self.quoted.push(number);
        }
        let empty = std::iter::repeat_with(|| Value::String(Text::default()));
        let width = columns.len();
        self.table.push_whole(number, values(record).chain(empty).take(width));
        Ok(())
    }

    fn reader<'t>(&self, text: &'t str) -> Reader<&'t [u8]> {
        ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .quoting(self.quotes)
            // Line ends are line feeds by now; a carriage return that is left belongs to a text.
            .terminator(Terminator::Any(b'\n'))
            .from_reader(text.as_bytes())
    }

    /// The line of the file in which a row begins.
    fn line_of(&self, record: &StringRecord) -> u64 {
        let line = record.position().map_or(1, Position::line);
        line + self.line as u64 - 1
    }

    /// Refuses a line of more fields than a table may have in all, before the reader keeps them.
    fn check_width(&self, text: &str) -> Result<()> {
        for (place, line) in text.lines().enumerate() {
            // As many bytes at least.
            if line.len() >= MOST_FIELDS && line.bytes().filter(|byte| *byte == self.delimiter).count() >= MOST_FIELDS {
                let row = self.number + place + 1;
                Budget::new().row(MOST_FIELDS).map_err(|error| error.row(row))?;
            }
        }
        Ok(())
    }

    /// Where the last whole row of a text ends. Refuses quotes that a reader of csv takes otherwise than they were meant: one that is
    /// never closed, with which the rest of the file would be one field, and one that is closed before its field ends.
    fn end_of_rows(&mut self, text: &str, is_last: bool) -> Result<usize> {
        let bytes = text.as_bytes();
        let mut end = 0;
        if !self.quotes {
            let new = bytes.get(self.seen.at..).unwrap_or_default();
            let found = new.iter().rposition(|byte| *byte == b'\n');
            end = found.map_or(0, |place| self.seen.at + place + 1);
            self.seen.at = bytes.len();
        }
        while let Some(&byte) = bytes.get(self.seen.at) {
            let at = self.seen.at;
            match byte {
                _ if self.seen.opened.is_some() => match closing_quote(bytes, at, is_last) {
                    Quotes::Close(close) => {
                        if !self.close_quotes(text, close, is_last)? {
                            break;
                        }
                    }
                    Quotes::GoOn(from) => {
                        self.seen.line += line_ends(&bytes[at..from]);
                        self.seen.at = from;
                        break;
                    }
                },
                b'"' if self.seen.begins => {
                    self.seen.opened = Some(self.seen.line);
                    self.seen.at += 1;
                }
                b'\n' => {
                    let is_blank = self.seen.column == 0 && text.get(end..at).is_some_and(is_blank_text);
                    self.seen.row += usize::from(!is_blank);
                    (self.seen.line, self.seen.column, self.seen.begins) = (self.seen.line + 1, 0, true);
                    self.seen.at += 1;
                    end = self.seen.at;
                }
                byte => {
                    self.seen.begins = byte == self.delimiter;
                    self.seen.column += usize::from(self.seen.begins);
                    self.seen.at += 1;
                }
            }
        }
        if let Some(line) = self.seen.opened.filter(|_| is_last) {
            let error = Error::data(msg::QuoteNeverClosed { line });
            return Err(self.place(error.remedy(msg::CloseQuote), text));
        }
        Ok(if is_last { bytes.len() } else { end })
    }

    /// Goes behind the quote that closes a field. False where what is wrong there is still to come.
    fn close_quotes(&mut self, text: &str, close: usize, is_last: bool) -> Result<bool> {
        let bytes = text.as_bytes();
        self.seen.line += line_ends(&bytes[self.seen.at..close]);
        self.seen.at = close;
        let is_end = |byte: &u8| *byte == b'\n' || *byte == self.delimiter;
        if !bytes.get(close + 1).is_none_or(is_end) {
            let behind = &text[close + 1..];
            if !is_last && !behind.contains('\n') {
                return Ok(false);
            }
            let (opened, closed) = (self.seen.opened.unwrap_or(self.seen.line), self.seen.line);
            let text_behind = start(behind.lines().next().unwrap_or_default());
            let error = Error::data(msg::TextBehindQuote {
                opened,
                closed,
                text: text_behind,
            });
            return Err(self.place(error.remedy(msg::QuoteWhole), text));
        }
        (self.seen.at, self.seen.begins, self.seen.opened) = (close + 1, false, None);
        Ok(true)
    }

    /// Names the row and, behind the header, the column of an error in a text that is not read yet.
    fn place(&self, error: Error, text: &str) -> Error {
        let error = error.row(self.seen.row);
        if self.seen.row == 1 {
            return error;
        }
        let mut header = StringRecord::new();
        let of_text;
        let columns = match self.first {
            Some(_) => &self.columns,
            None => {
                let is_read = next(&mut self.reader(text), &mut header, 1).unwrap_or(false);
                let read = names(&header.iter().collect::<Vec<_>>(), &mut Vec::new()).unwrap_or_default();
                of_text = if is_read { read } else { Vec::new() };
                &of_text
            }
        };
        match columns.get(self.seen.column) {
            Some(name) => error.field(name),
            None => error,
        }
    }
}

/// Reads the next row, which will be row `number`, that is no blank line.
fn next(reader: &mut Reader<&[u8]>, record: &mut StringRecord, number: usize) -> Result<bool> {
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

/// A row's fields, which share its letters.
fn values(record: &StringRecord) -> impl Iterator<Item = Value> {
    let letters: Arc<str> = record.as_slice().into();
    let places = (0..record.len()).filter_map(|place| record.range(place));
    places.map(move |place| Value::String(Text::part(&letters, place)))
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

/// What is found of quotes that are open.
enum Quotes {
    /// Where they are closed.
    Close(usize),
    /// They are not yet: from where on to look once there is more.
    GoOn(usize),
}

/// Looks for the end of quotes from `at` on, which is inside of them; a doubled quote is a quote.
fn closing_quote(bytes: &[u8], mut at: usize, is_last: bool) -> Quotes {
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        match rest.iter().position(|byte| *byte == b'"') {
            Some(found) => at += found,
            None => return Quotes::GoOn(bytes.len()),
        }
        match bytes.get(at + 1) {
            Some(b'"') => at += 2,
            None if !is_last => return Quotes::GoOn(at),
            _ => return Quotes::Close(at),
        }
    }
}

fn line_ends(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
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
