//! Text to records: the format by the file's ending, one record a row. What the columns mean is [`super::form`]'s
//! matter.

use crate::error::{Error, Result};
use serde_json::{Map, Value};

/// What a file holds.
pub(super) enum Records {
    /// A .txt or .md file: one text.
    Document(String),
    /// Anything with rows.
    Table(Table),
}

/// Rows with named fields.
#[derive(Debug, PartialEq)]
pub(super) struct Table {
    /// Names in the file's order, as the file spells them.
    pub columns: Vec<String>,
    /// At least one.
    pub rows: Vec<Record>,
    /// Whether the columns have an order of their own (.csv, .tsv).
    pub ordered: bool,
}

/// One row.
#[derive(Debug, PartialEq)]
pub(super) struct Record {
    /// Where it stands, from 1.
    pub number: usize,
    /// Its fields by name; names in small letters without space around them.
    pub fields: Map<String, Value>,
}

/// Parses `text` (no byte order mark, `\n` line ends) by the ending of `name`.
pub(super) fn parse(name: &str, text: String, notes: &mut Vec<String>) -> Result<Records> {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
    let table = match ending.as_deref() {
        Some("txt" | "text" | "md" | "markdown") => return Ok(Records::Document(text)),
        Some("jsonl" | "ndjson") => json_lines(&text, notes)?,
        Some("json") => json(&text, notes)?,
        Some("csv") => csv(&text, None, notes)?,
        Some("tsv" | "tab") => csv(&text, Some(b'\t'), notes)?,
        _ => {
            return Err(Error::data("the file's ending is none that is known")
                .remedy("Rename it to .txt, .md, .jsonl, .json, .csv or .tsv, whichever it is."));
        }
    };
    if table.rows.is_empty() {
        return Err(Error::data("the file has no rows").remedy("Choose a file with at least two rows."));
    }
    Ok(Records::Table(table))
}

/// One object a line.
fn json_lines(text: &str, notes: &mut Vec<String>) -> Result<Table> {
    let mut rows = Vec::new();
    let mut blank = Skipped::default();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.trim().is_empty() {
            blank.push(number);
            continue;
        }
        let value = serde_json::from_str(line).map_err(|error| {
            let remedy = if text.trim_start().starts_with('[') {
                "The file looks like one JSON array: rename it to .json."
            } else {
                "Every line must be one whole JSON object, like {\"prompt\": \"…\", \"completion\": \"…\"}."
            };
            json_error(&error).row(number).remedy(remedy)
        })?;
        rows.push(record(number, value)?);
    }
    blank.note("empty line", notes);
    Ok(Table {
        columns: names(&rows),
        rows: lower(rows),
        ordered: false,
    })
}

/// An array of objects, an object that holds one such array, or lines of objects under the wrong ending.
fn json(text: &str, notes: &mut Vec<String>) -> Result<Table> {
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            if serde_json::from_str::<Map<String, Value>>(first).is_ok() {
                notes.push("The file holds one JSON object a line (.jsonl) and was read so.".to_string());
                return json_lines(text, notes);
            }
            let remedy = "The file must be one JSON array of objects: [{…}, {…}].";
            return Err(json_error(&error).row(error.line()).remedy(remedy));
        }
    };
    let items = match value {
        Value::Array(items) => items,
        Value::Object(mut object) => {
            let arrays: Vec<String> = object
                .iter()
                .filter(|(_, value)| is_rows(value))
                .map(|(key, _)| key.clone())
                .collect();
            match arrays.as_slice() {
                // A lone conversation is a list of objects, too, but it is one row.
                [key] if !matches!(key.as_str(), "messages" | "conversations") => {
                    notes.push(format!("The rows are those of the key '{key}'."));
                    match object.remove(key) {
                        Some(Value::Array(items)) => items,
                        _ => Vec::new(),
                    }
                }
                _ => vec![Value::Object(object)],
            }
        }
        _ => {
            return Err(Error::data("the file holds a single value, not rows")
                .remedy("The file must be one JSON array of objects: [{…}, {…}]."));
        }
    };
    let rows = items
        .into_iter()
        .enumerate()
        .map(|(index, item)| record(index + 1, item));
    let rows = rows.collect::<Result<Vec<_>>>()?;
    Ok(Table {
        columns: names(&rows),
        rows: lower(rows),
        ordered: false,
    })
}

fn is_rows(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().any(Value::is_object))
}

fn json_error(error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or_default();
    Error::data(format!("this is not JSON: {reason}, at column {}", error.column()))
}

/// A row of JSON: an object, or a string that stands for its text.
fn record(number: usize, value: Value) -> Result<Record> {
    let fields = match value {
        Value::Object(fields) => fields,
        Value::String(text) => Map::from_iter([("text".to_string(), Value::String(text))]),
        Value::Null => Map::new(),
        other => {
            return Err(Error::data(format!("the row is {}, not an object", kind(&other)))
                .row(number)
                .remedy("Every row must be an object with named fields, like {\"text\": \"…\"}."));
        }
    };
    Ok(Record { number, fields })
}

/// What a value is, with its article.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The keys of all rows, in the order of their first appearance.
fn names(rows: &[Record]) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let keys = rows.iter().flat_map(|row| row.fields.keys());
    keys.filter(|key| seen.insert(key.as_str())).cloned().collect()
}

fn lower(rows: Vec<Record>) -> Vec<Record> {
    let lower_one = |Record { number, fields }| {
        let fields = fields
            .into_iter()
            .map(|(key, value)| (key.trim().to_lowercase(), value));
        Record {
            number,
            fields: fields.collect(),
        }
    };
    rows.into_iter().map(lower_one).collect()
}

/// A table with a header. Rows are counted as a spreadsheet does: the header is row 1, a quoted line break starts none.
fn csv(text: &str, delimiter: Option<u8>, notes: &mut Vec<String>) -> Result<Table> {
    let delimiter = delimiter.unwrap_or_else(|| guess_delimiter(text, notes));
    check_quotes(text, delimiter)?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| csv_error(&error))?.clone();
    let columns: Vec<String> = header.iter().map(|name| name.trim().to_string()).collect();
    let keys: Vec<String> = columns.iter().map(|name| name.to_lowercase()).collect();
    for (index, key) in keys.iter().enumerate() {
        let remedy = "The first row must name the columns, each with a name of its own, like prompt,completion.";
        if key.is_empty() {
            return Err(Error::data(format!("column {} has no name", index + 1))
                .row(1)
                .remedy(remedy));
        }
        if keys[..index].contains(key) {
            let error = Error::data("two columns have this name").row(1);
            return Err(error.field(columns[index].clone()).remedy(remedy));
        }
    }
    let mut rows = Vec::new();
    // The reader passes over blank lines, and so does a person who counts rows: the number is the record's.
    for (index, result) in reader.records().enumerate() {
        let number = index + 2;
        let values = result.map_err(|error| csv_error(&error).row(number))?;
        if values.len() != columns.len() {
            let line = values.position().map_or(0, csv::Position::line);
            let what = format!(
                "the row (line {line}) has {} fields, the header has {}",
                values.len(),
                columns.len()
            );
            return Err(Error::data(what)
                .row(number)
                .remedy("Put texts with commas, quotes or line breaks in double quotes."));
        }
        let values = values.iter().map(|value| Value::String(value.to_string()));
        rows.push(Record {
            number,
            fields: keys.iter().cloned().zip(values).collect(),
        });
    }
    Ok(Table {
        columns,
        rows,
        ordered: true,
    })
}

fn csv_error(error: &csv::Error) -> Error {
    Error::data(format!("the table cannot be read: {error}")).remedy("Save it again as .csv in UTF-8.")
}

/// Spreadsheets of many countries write `;` into a .csv.
fn guess_delimiter(text: &str, notes: &mut Vec<String>) -> u8 {
    let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if header.contains(',') {
        return b',';
    }
    for (delimiter, name) in [(b';', "semicolons"), (b'\t', "tabs")] {
        if header.as_bytes().contains(&delimiter) {
            notes.push(format!("The columns are separated by {name}."));
            return delimiter;
        }
    }
    b','
}

/// Refuses a quote that is never closed: the reader would take the rest of the file as one field.
fn check_quotes(text: &str, delimiter: u8) -> Result<()> {
    let mut line = 1;
    let mut open_since = None;
    let mut at_start_of_field = true;
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        line += usize::from(byte == b'\n');
        match (byte, open_since) {
            // A doubled quote inside quotes is a quote.
            (b'"', Some(_)) if bytes.peek() == Some(&b'"') => drop(bytes.next()),
            (b'"', Some(_)) => open_since = None,
            (b'"', None) if at_start_of_field => open_since = Some(line),
            _ => {}
        }
        at_start_of_field = open_since.is_none() && (byte == delimiter || byte == b'\n');
    }
    match open_since {
        None => Ok(()),
        Some(line) => Err(Error::data(format!("the quote opened in line {line} is never closed"))
            .row(line)
            .remedy("Close it; a quote inside a quoted text is written twice.")),
    }
}

/// Rows that are left out, for a note.
#[derive(Default)]
pub(super) struct Skipped {
    count: usize,
    first: usize,
}

impl Skipped {
    /// Remembers the row `number`.
    pub fn push(&mut self, number: usize) {
        if self.count == 0 {
            self.first = number;
        }
        self.count += 1;
    }

    /// Adds "3 empty rows were skipped, the first is row 7." where there is something to say.
    pub fn note(&self, what: &str, notes: &mut Vec<String>) {
        match self.count {
            0 => {}
            1 => notes.push(format!("One {what} was skipped: number {}.", self.first)),
            count => notes.push(format!(
                "{count} {what}s were skipped; the first is number {}.",
                self.first
            )),
        }
    }
}
