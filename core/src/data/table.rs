//! Tables with a header: csv as RFC 4180 has it, with what spreadsheets and pandas make of it, and tab-separated values, which
//! know no quotes (IANA, text/tab-separated-values).
//!
//! Rows are counted as records: the header is row 1, and neither a quoted line break nor a blank line starts one.

use super::parse::{Skipped, Table, key, listed, start};
use super::value::{Budget, MOST_FIELDS, Value};
use crate::error::{Error, Result};
use std::borrow::Cow;
use std::collections::HashMap;

const DELIMITERS: [(u8, &str); 3] = [(b',', "commas"), (b';', "semicolons"), (b'\t', "tabs")];

/// Whether a column was given its name because it had none, by us or by pandas: it numbers rows, or it is empty.
pub(super) fn is_unnamed(key: &str) -> bool {
    let number = key.strip_prefix("unnamed: ");
    // A table that was saved twice has an `Unnamed: 0.1`.
    let is_digit = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(is_digit))
}

/// A table in a .csv.
pub(super) fn csv(text: &str, notes: &mut Vec<String>) -> Result<Table> {
    let (text, skipped, delimiter) = match told_delimiter(text) {
        Some((delimiter, rest)) => {
            notes.push("The first line, sep=, says what separates the columns.".to_owned());
            (rest, 1, delimiter)
        }
        None => (text, 0, guess_delimiter(text, notes)),
    };
    let lines = Lines {
        text,
        at: 0,
        line: 1 + skipped,
        delimiter,
        quotes: true,
    };
    read(lines, notes)
}

/// A table in a .tsv.
pub(super) fn tsv(text: &str, notes: &mut Vec<String>) -> Result<Table> {
    let lines = Lines {
        text,
        at: 0,
        line: 1,
        delimiter: b'\t',
        quotes: false,
    };
    read(lines, notes)
}

fn read(mut lines: Lines, notes: &mut Vec<String>) -> Result<Table> {
    let (mut table, mut budget) = (Table::default(), Budget::new());
    table.ordered = true;
    let Some((_, header)) = lines.record(1, &[])? else {
        return Ok(table);
    };
    // A name is kept in several forms.
    budget
        .row(header.len().saturating_mul(4))
        .map_err(|error| error.row(1))?;
    for name in names(&header, notes)? {
        table.column(&name);
    }
    let columns = table.columns().to_vec();
    let (mut short, mut quoted) = (Skipped::default(), Skipped::default());
    let mut number = 1;
    while let Some((line, mut fields)) = lines.record(number + 1, &columns)? {
        number += 1;
        budget.row(columns.len()).map_err(|error| error.row(number))?;
        // A spreadsheet that once had more columns writes their separators in some rows.
        while fields.len() > columns.len() && fields.last().is_some_and(|field| field.trim().is_empty()) {
            fields.pop();
        }
        if fields.len() > columns.len() {
            let found = fields.len();
            let what = format!(
                "the row (line {line}) has {found} fields, the header has {}",
                columns.len()
            );
            let remedy = match lines.quotes {
                true => "Put texts with commas, quotes or line breaks in double quotes.",
                false => "A text cannot hold a tab or a line break here; save the table as .csv.",
            };
            return Err(Error::data(what).row(number).remedy(remedy));
        }
        if fields.len() < columns.len() && !columns[fields.len()..].iter().all(|name| is_unnamed(&key(name))) {
            short.push(number);
        }
        let is_quoted = |field: &Cow<str>| field.len() > 1 && field.starts_with('"') && field.ends_with('"');
        if !lines.quotes && fields.iter().any(is_quoted) {
            quoted.push(number);
        }
        let values = fields.into_iter().map(|field| Value::String(field.into_owned()));
        let empty = std::iter::repeat_with(|| Value::String(String::new()));
        table.push_whole(number, values.chain(empty).take(columns.len()));
    }
    let said = |rows: &Skipped, what: &str| rows.said().map(|rows| format!("{rows} {what}"));
    notes.extend(said(
        &short,
        "fewer fields than the header; those that are missing are empty.",
    ));
    notes.extend(said(
        &quoted,
        "texts in double quotes, which belong to the text in a .tsv; if they only enclose it, rename the file to .csv.",
    ));
    Ok(table)
}

/// The columns' names, each once. As in pandas, columns without one are called `Unnamed: 0` by their places from 0, and the
/// second column called `a` is `a.1`.
fn names(header: &[Cow<str>], notes: &mut Vec<String>) -> Result<Vec<String>> {
    if header.iter().all(|name| name.trim().is_empty()) {
        return Err(Error::data("no column has a name")
            .row(1)
            .remedy("The first row must name the columns, like prompt,completion."));
    }
    let mut taken: HashMap<String, usize> = HashMap::with_capacity(header.len());
    let (mut unnamed, mut renamed) = (Vec::new(), Vec::new());
    let mut names = Vec::with_capacity(header.len());
    let given: std::collections::HashSet<String> = header.iter().map(|name| key(name)).collect();
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
        [one] => notes.push(format!(
            "A column without a name is called '{one}', and is used only where a run names it."
        )),
        several => notes.push(format!(
            "Columns without a name are called {}, and are used only where a run names them.",
            listed(several)
        )),
    }
    if !renamed.is_empty() {
        notes.push(format!(
            "Several columns have the same name, small and capital letters apart: the later ones are called {}.",
            listed(&renamed)
        ));
    }
    Ok(names)
}

/// The rows of a table one after the other.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    /// The line of `at`, from 1.
    line: usize,
    delimiter: u8,
    /// Whether fields may stand in double quotes.
    quotes: bool,
}

impl<'a> Lines<'a> {
    /// The next row that is no blank line, with the line in which it begins.
    ///
    /// # Errors
    /// A quote that is never closed, or text behind the closing one; of the row `number`, and of the one of `columns`.
    fn record(&mut self, number: usize, columns: &[String]) -> Result<Option<(usize, Vec<Cow<'a, str>>)>> {
        loop {
            let rest = &self.text[self.at..];
            let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
            if !line.trim_matches(' ').is_empty() {
                break;
            }
            if rest.len() == line.len() {
                return Ok(None);
            }
            self.at += line.len() + 1;
            self.line += 1;
        }
        let (line, mut fields) = (self.line, Vec::with_capacity(columns.len()));
        loop {
            let field = self.field().map_err(|error| {
                let error = error.row(number);
                match columns.get(fields.len()) {
                    Some(name) => error.field(name),
                    None => error,
                }
            })?;
            fields.push(field);
            if fields.len() == MOST_FIELDS {
                // More than any table may have in all.
                Budget::new().row(MOST_FIELDS).map_err(|error| error.row(number))?;
            }
            match self.text.as_bytes().get(self.at) {
                Some(byte) if *byte == self.delimiter => self.at += 1,
                Some(_) => {
                    self.at += 1;
                    self.line += 1;
                    break;
                }
                None => break,
            }
        }
        Ok(Some((line, fields)))
    }

    /// The field that begins here, up to the delimiter, line break or end behind it.
    fn field(&mut self) -> Result<Cow<'a, str>> {
        let rest = &self.text[self.at..];
        if !(self.quotes && rest.starts_with('"')) {
            let bytes = rest.bytes();
            let length = bytes
                .take_while(|byte| *byte != self.delimiter && *byte != b'\n')
                .count();
            self.at += length;
            return Ok(Cow::Borrowed(&rest[..length]));
        }
        let opened = self.line;
        let bytes = rest.as_bytes();
        let mut doubled = false;
        let mut at = 1;
        let close = loop {
            match bytes.get(at) {
                // A doubled quote inside quotes is a quote.
                Some(b'"') if bytes.get(at + 1) == Some(&b'"') => {
                    doubled = true;
                    at += 2;
                }
                Some(b'"') => break at,
                Some(byte) => {
                    self.line += usize::from(*byte == b'\n');
                    at += 1;
                }
                None => {
                    let what = format!("the quote opened in line {opened} is never closed");
                    return Err(Error::data(what).remedy("Close it; a quote inside a quoted text is written twice."));
                }
            }
        };
        match bytes.get(close + 1) {
            None | Some(b'\n') => {}
            Some(byte) if *byte == self.delimiter => {}
            Some(_) => {
                let behind: String = rest[close + 1..].chars().take_while(|c| *c != '\n').collect();
                let what = format!(
                    "the quote opened in line {opened} is closed in line {}, and text follows: {}",
                    self.line,
                    start(&behind)
                );
                return Err(Error::data(what).remedy(
                    "A text that begins with a quote stands in quotes as a whole, and quotes in it are written twice: \
                     \"\"\"No\"\", she said\".",
                ));
            }
        }
        self.at += close + 1;
        let inside = &rest[1..close];
        Ok(match doubled {
            true => Cow::Owned(inside.replace("\"\"", "\"")),
            false => Cow::Borrowed(inside),
        })
    }
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
fn guess_delimiter(text: &str, notes: &mut Vec<String>) -> u8 {
    let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let outside = header.split('"').step_by(2);
    let count = |delimiter: u8| -> usize {
        let found = outside
            .clone()
            .map(|part| part.bytes().filter(|byte| *byte == delimiter).count());
        found.sum()
    };
    // Of equal ones `max_by_key` takes the last.
    let most = DELIMITERS.iter().rev().max_by_key(|(delimiter, _)| count(*delimiter));
    match most {
        Some((delimiter, name)) if *delimiter != b',' && count(*delimiter) > 0 => {
            notes.push(format!("The columns are separated by {name}."));
            *delimiter
        }
        _ => b',',
    }
}
