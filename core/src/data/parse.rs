//! Text to records: the format by the file's ending, one record a row. What the columns mean is [`super::form`]'s
//! matter.

use super::json::{Broken, json, json_items};
use super::table::{self, TableReader};
use super::text::Text;
use super::value::{Budget, Value};
use crate::error::{Error, Result, shortened};
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::data as msg;
use lorakeet_i18n::{Field, Message};
use std::collections::HashMap;

/// What a file holds.
pub(super) enum Records {
    /// A .txt or .md file: one text.
    Document(Text),
    /// Anything with rows.
    Table(Table),
}

/// Rows with named fields.
#[derive(Debug, PartialEq, Default)]
pub(super) struct Table {
    names: Names,
    /// At least one.
    rows: Vec<Stored>,
    /// Whether the columns have an order of their own (.csv, .tsv).
    pub ordered: bool,
}

/// The columns' names, once for all rows.
#[derive(Debug, PartialEq, Default)]
struct Names {
    /// In the file's order, as the file spells them.
    shown: Vec<String>,
    /// Their places by [`key`].
    places: HashMap<String, u32>,
}

/// A row as it is kept: its number, and of the columns that it has their places, in rising order, with what stands there.
#[derive(Debug, PartialEq)]
struct Stored {
    number: usize,
    cells: Box<[(u32, Value)]>,
}

// What `MAX_FILE_BYTES` reckons a field at.
const _: () = assert!(size_of::<(u32, Value)>() == if cfg!(target_pointer_width = "32") { 24 } else { 40 });

/// One row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    /// Where it stands, from 1.
    pub number: usize,
    /// Its fields by name; names in small letters without space around them.
    pub fields: Fields<'a>,
}

/// The fields of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    names: &'a Names,
    cells: &'a [(u32, Value)],
}

impl<'a> Fields<'a> {
    /// The field of this name.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        let place = *self.names.places.get(name)?;
        let found = match self.cells.get(place as usize) {
            // A row with all columns, as rows of a table are.
            Some((at, _)) if *at == place => place as usize,
            _ => self.cells.binary_search_by_key(&place, |(at, _)| *at).ok()?,
        };
        self.cells.get(found).map(|(_, value)| value)
    }

    /// Whether there is one of this name.
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The columns' places, in rising order, with what stands there.
    pub fn cells(&self) -> &'a [(u32, Value)] {
        self.cells
    }

    /// All fields.
    pub fn values(&self) -> impl Iterator<Item = &'a Value> {
        self.cells.iter().map(|(_, value)| value)
    }
}

impl Table {
    /// Names in the file's order, as the file spells them.
    pub fn columns(&self) -> &[String] {
        &self.names.shown
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows in the file's order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        self.rows.iter().map(|row| Record {
            number: row.number,
            fields: Fields {
                names: &self.names,
                cells: &row.cells,
            },
        })
    }

    /// Keeps the rows whose numbers are kept.
    pub fn retain(&mut self, is_kept: impl Fn(usize) -> bool) {
        self.rows.retain(|row| is_kept(row.number));
    }

    /// Changes fields, each with its column's name as the file spells it; counts the rows in which `change` says that it did.
    pub fn change(&mut self, mut change: impl FnMut(&str, &mut Value) -> bool, count: &mut usize) {
        for row in &mut self.rows {
            let mut is_changed = false;
            for (place, value) in row.cells.iter_mut() {
                is_changed |= change(&self.names.shown[*place as usize], value);
            }
            *count += usize::from(is_changed);
        }
    }

    /// Adds a column of this name, if there is none yet; gives its place.
    pub(super) fn column(&mut self, name: &str) -> u32 {
        let key = key(name);
        if let Some(place) = self.names.places.get(&key) {
            return *place;
        }
        let place = self.names.shown.len() as u32;
        self.names.shown.push(name.trim().to_owned());
        self.names.places.insert(key, place);
        place
    }

    /// Adds a row whose fields are those of all columns.
    pub(super) fn push_whole(&mut self, number: usize, values: impl Iterator<Item = Value>) {
        let cells = (0..).zip(values).collect();
        self.rows.push(Stored { number, cells });
    }

    /// Gives the columns the names of their places, and puts a row with all of them first.
    pub(super) fn put_first(&mut self, number: usize, values: Vec<Value>) {
        self.names = Names::default();
        for name in super::opened::numbered(values.len()) {
            self.column(&name);
        }
        let cells = (0..).zip(values).collect();
        self.rows.insert(0, Stored { number, cells });
    }

    /// Adds a row of JSON: an object, or a string that stands for its text. `alike` gets names that are taken for one.
    fn push(&mut self, number: usize, value: Value, alike: &mut Vec<(String, String)>) -> Result<()> {
        let fields = match value {
            Value::Object(fields) => fields,
            Value::String(text) => vec![("text".into(), Value::String(text))],
            Value::Null => Vec::new(),
            other => {
                let error = Error::data(msg::RowIsNoObject { kind: kind(&other) }).row(number);
                return Err(error.remedy(msg::RowsAreObjects));
            }
        };
        let mut cells = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            let place = self.column(&name);
            let known = &self.names.shown[place as usize];
            let pair = || (known.clone(), name.trim().to_owned());
            if known != name.trim() && alike.len() < MOST_ALIKE && !alike.contains(&pair()) {
                alike.push(pair());
            }
            cells.push((place, value));
        }
        cells.sort_by_key(|(place, _)| *place);
        if let Some(twice) = cells.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let error = Error::data(msg::TwoKeysOfColumn).row(number);
            let error = error.field(&self.names.shown[twice[0].0 as usize]);
            return Err(error.remedy(msg::TakeOneOut));
        }
        let cells = cells.into();
        self.rows.push(Stored { number, cells });
        Ok(())
    }
}

/// Pairs of spellings that a note names.
const MOST_ALIKE: usize = 3;

/// A column's name as it is looked for.
pub(super) fn key(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Names with commas between; of very many, the first.
pub(super) fn listed<T: AsRef<str>>(names: &[T]) -> Field {
    const MOST: usize = 20;
    Field::first(MOST, names.iter().map(|name| start(name.as_ref())))
}

/// A text as an error shows it: of a long one, its start.
pub(super) fn start(text: &str) -> String {
    const MOST: usize = 60;
    shortened(text, MOST)
}

/// What a file's name ends in, in small letters.
pub(super) fn ending(name: &str) -> Option<String> {
    name.rsplit_once('.').map(|(_, ending)| ending.to_lowercase())
}

/// Parses `text` (no byte order mark, `\n` line ends) by the ending of `name`; `header` is what the run says of the
/// first row of a .csv or .tsv.
pub(super) fn parse(name: &str, text: String, header: Option<bool>, notes: &mut Vec<Message>) -> Result<Records> {
    let table = match ending(name).as_deref() {
        Some("txt" | "text" | "md" | "markdown") => return Ok(Records::Document(text.into())),
        Some("jsonl" | "ndjson") => json_lines(&text, notes)?,
        Some("json") => json_text(&text, notes)?,
        Some("csv") => {
            let (reader, skipped) = TableReader::csv(&text, header, notes);
            table_of(reader, text.get(skipped..).unwrap_or_default(), notes)?
        }
        Some("tsv" | "tab") => table_of(TableReader::tsv(header), &text, notes)?,
        _ => {
            return Err(Error::data(msg::UnknownEnding).remedy(msg::RenameFile));
        }
    };
    if table.rows.is_empty() {
        return Err(Error::data(msg::NoRows).remedy(msg::ChooseTwoRows));
    }
    Ok(Records::Table(table))
}

/// Lines of JSON that are read while they come.
#[derive(Default)]
pub(super) struct JsonLines {
    table: Table,
    alike: Vec<(String, String)>,
    blank: Skipped,
    budget: Budget,
    /// The last line that was read.
    number: usize,
    /// Whether the first one that is not blank begins as a list does.
    begins_list: Option<bool>,
}

impl JsonLines {
    /// Reads whole lines, one object each.
    ///
    /// # Errors
    /// A line that is no row, or one too many.
    pub fn read(&mut self, lines: &str) -> Result<()> {
        for line in lines.lines() {
            self.number += 1;
            let number = self.number;
            if line.trim().is_empty() {
                self.blank.push(number);
                continue;
            }
            let begins_list = *self
                .begins_list
                .get_or_insert_with(|| line.trim_start().starts_with('['));
            self.budget.row(0).map_err(|error| error.row(number))?;
            let value = json(line, &mut self.budget).map_err(|broken| {
                if broken.is_json() {
                    return broken.in_line(line).row(number);
                }
                let error = broken.in_line(line).row(number);
                match begins_list {
                    true => error.remedy(msg::RenameToJson),
                    false => error.remedy(msg::LinesAreObjects),
                }
            })?;
            self.table.push(number, value, &mut self.alike)?;
        }
        Ok(())
    }

    /// The rows; what is to be said of them goes into `notes`.
    pub fn finish(self, notes: &mut Vec<Message>) -> Table {
        self.blank.note_lines(notes);
        note_alike(&self.alike, notes);
        self.table
    }
}

fn json_lines(text: &str, notes: &mut Vec<Message>) -> Result<Table> {
    let mut lines = JsonLines::default();
    lines.read(text)?;
    Ok(lines.finish(notes))
}

fn table_of(mut reader: TableReader, text: &str, notes: &mut Vec<Message>) -> Result<Table> {
    reader.read(text, true)?;
    reader.finish(notes)
}

/// An array of objects, an object that holds one such array, or lines of objects under the wrong ending.
fn json_text(text: &str, notes: &mut Vec<Message>) -> Result<Table> {
    let located = |broken: Broken| {
        if broken.is_json() {
            return broken.in_text(text);
        }
        broken.in_text(text).remedy(msg::OneArray)
    };
    let (mut table, mut alike, mut budget) = (Table::default(), Vec::new(), Budget::new());
    if text.trim_start().starts_with('[') {
        let read = json_items(text, &mut budget, &mut |number, item| {
            table.push(number, item, &mut alike)
        });
        read.map_err(|(number, broken)| located(broken).row(number))?;
        note_alike(&alike, notes);
        return Ok(table);
    }
    let value = match json(text, &mut budget) {
        Ok(value) => value,
        Err(broken) => {
            let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            let is_line = json(first, &mut Budget::new()).is_ok_and(|value| value.is_object());
            if is_line && !broken.is_json() {
                notes.push(msg::ReadAsLines.into());
                return json_lines(text, notes);
            }
            return Err(located(broken));
        }
    };
    let Value::Object(mut fields) = value else {
        return Err(Error::data(msg::SingleValue).remedy(msg::OneArray));
    };
    let mut holders = fields.iter().enumerate().filter(|(_, (_, value))| is_rows(value));
    let items = match (holders.next(), holders.next()) {
        // A lone conversation is a list of objects, too, but it is one row.
        (Some((place, (name, _))), None) if !matches!(name.as_ref(), "messages" | "conversations") => {
            notes.push(msg::RowsOfKey { key: name }.into());
            match fields.swap_remove(place).1 {
                Value::Array(items) => items,
                _ => Vec::new(),
            }
        }
        _ => vec![Value::Object(fields)],
    };
    for (index, item) in items.into_iter().enumerate() {
        table.push(index + 1, item, &mut alike)?;
    }
    note_alike(&alike, notes);
    Ok(table)
}

fn is_rows(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().any(Value::is_object))
}

fn note_alike(alike: &[(String, String)], notes: &mut Vec<Message>) {
    for (one, other) in alike {
        let (one, other) = (start(one), start(other));
        notes.push(msg::AlikeColumns { one, other }.into());
    }
}

/// What a value is, with its article.
pub(super) fn kind(value: &Value) -> Message {
    match value {
        Value::Null => common::Nothing.into(),
        Value::Bool(_) => common::TrueOrFalse.into(),
        Value::Number(_) => msg::ANumber.into(),
        Value::String(_) => msg::AText.into(),
        Value::Array(_) => msg::AList.into(),
        Value::Object(_) => msg::AnObject.into(),
    }
}

/// Names the columns that a task does not use, as far as they have names.
pub(super) fn note_unused(columns: &[String], is_used: impl Fn(&String) -> bool, notes: &mut Vec<Message>) {
    let is_other = |name: &&String| {
        let key = key(name);
        !is_used(&key) && !table::is_unnamed(&key)
    };
    let unused: Vec<&String> = columns.iter().filter(is_other).collect();
    if !unused.is_empty() {
        let columns = listed(&unused);
        notes.push(msg::NotUsed { columns }.into());
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

    /// "Row 3 and 2 more have", the beginning of a sentence, where there are any.
    pub fn said(&self) -> Option<Message> {
        let row = self.first;
        match self.count {
            0 => None,
            1 => Some(msg::RowHas { row }.into()),
            count => Some(msg::RowsHave { row, more: count - 1 }.into()),
        }
    }

    /// Adds "3 empty rows were skipped; the first is number 7." where there is something to say.
    pub fn note_rows(&self, notes: &mut Vec<Message>) {
        let first = self.first;
        match self.count {
            0 => {}
            1 => notes.push(msg::EmptyRowSkipped { number: first }.into()),
            count => notes.push(msg::EmptyRowsSkipped { count, first }.into()),
        }
    }

    /// The same of lines.
    pub fn note_lines(&self, notes: &mut Vec<Message>) {
        let first = self.first;
        match self.count {
            0 => {}
            1 => notes.push(msg::EmptyLineSkipped { number: first }.into()),
            count => notes.push(msg::EmptyLinesSkipped { count, first }.into()),
        }
    }
}
