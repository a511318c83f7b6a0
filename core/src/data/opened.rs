//! Files that hold others or are no text, as `lorakeet-tables` opens them: sheets, Parquet files, archives and folders.

use super::encoding::decode;
use super::header::settle;
use super::json::json;
use super::parse::{Records, Table, listed, start};
use super::table::names;
use super::told::Told;
use super::value::{Budget, Value};
use super::{Dataset, MAX_FILE_BYTES};
use crate::error::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::data as msg;
use lorakeet_i18n::messages::tables as of_tables;
use lorakeet_tables::{Choice, Content, Header, Opened, Refusal, Sheet, WITHIN, choose};
use std::borrow::Cow;

/// Whether a file has to be opened, or was: by its first bytes. Of one that has to be and cannot be, in a browser, more is said
/// where texts are read.
pub(super) fn is_to_open(bytes: &[u8]) -> bool {
    cfg!(not(target_arch = "wasm32")) && lorakeet_tables::is_packed(bytes) || Opened::is_opened(bytes)
}

/// Which of several files, by their names, are the data: one table, or all texts.
///
/// # Errors
/// Several tables; neither a table nor a text.
pub fn chosen(names: &[&str]) -> Result<Choice> {
    choose(names).map_err(refused)
}

/// Chosen files as one.
///
/// # Errors
/// Together they are too large.
pub fn joined(name: &str, files: Vec<(String, Vec<u8>)>, notes: Vec<Message>) -> Result<Vec<u8>> {
    let bytes = Opened::of_files(files, notes).to_bytes();
    super::check_size(name, bytes.len() as u64).map(|()| bytes)
}

/// What several files are called together.
pub fn joint_name(names: &[&str]) -> String {
    const MOST: usize = 3;
    match names {
        [first, others @ ..] if others.len() >= MOST => format!("{first} + {}", others.len()),
        names => names.join(" + "),
    }
}

fn refused(refusal: Refusal) -> Error {
    let mut error = Error::data(refusal.what).remedy(refusal.remedy);
    if let Some(row) = refusal.row {
        error = error.row(row);
    }
    match refusal.field {
        Some(field) => error.field(field),
        None => error,
    }
}

impl Dataset {
    /// Reads an opened file. What lies in a file that lies in another is not opened once more.
    pub(super) fn read_opened(
        name: &str,
        bytes: Cow<[u8]>,
        told: &Told,
        (lenient, inside): (bool, bool),
    ) -> Result<Self> {
        let bytes = match unpacked(&bytes) {
            Some(opened) => {
                drop(bytes);
                Cow::Owned(opened)
            }
            None => bytes,
        };
        let broken = || Error::data(msg::NotAsOpened).file(name).remedy(msg::ChooseTextFile);
        let (Header { part, notes, content }, payload) = Opened::parts(&bytes).ok_or_else(broken)?;
        let part = part.map_or(String::new(), |part| format!("{WITHIN}{part}"));
        let name = &format!("{name}{part}");
        let table = match content {
            Content::Refused(refusal) => Err(refused(refusal)),
            Content::Files(_) if inside => Err(broken()),
            Content::Files(files) => {
                let files = split(&files, payload).ok_or_else(broken)?;
                if let [(inner, bytes)] = files.as_slice() {
                    let inner = format!("{name}{WITHIN}{inner}");
                    let mut read = Self::read_within(&inner, (*bytes).into(), told, (lenient, true))?;
                    read.notes = [notes, read.notes].concat();
                    return Ok(read);
                }
                let mut all = notes;
                let table = documents(name, &files, told, &mut all)?;
                return Self::of_records(name, Records::Table(table), all, told, lenient);
            }
            Content::Sheets(sheets) => return Self::of_sheets(name, (&sheets, payload), notes, told, lenient),
            Content::Columns(columns) => rows(Some(columns), payload, told),
        };
        let (table, more) = table.map_err(|error| error.file(name))?;
        let notes = [notes, more].concat();
        Self::of_records(name, Records::Table(table), notes, told, lenient)
    }

    /// Reads the sheet of a workbook that is told, else the first with rows.
    fn of_sheets(
        name: &str,
        (sheets, mut payload): (&[Sheet], &[u8]),
        mut notes: Vec<Message>,
        told: &Told,
        lenient: bool,
    ) -> Result<Self> {
        let broken = || Error::data(msg::NotAsOpened).file(name).remedy(msg::ChooseTextFile);
        let names: Vec<String> = sheets.iter().map(|sheet| sheet.name.clone()).collect();
        let place = match &told.sheet {
            Some(sheet) => names
                .iter()
                .position(|name| name.trim() == sheet.trim())
                .ok_or_else(|| {
                    let (sheet, sheets) = (start(sheet), listed(&names));
                    let error = Error::data(of_tables::NoSuchSheet { sheet, sheets }).file(name);
                    error.field("sheet").remedy(msg::Correct { key: "sheet" })
                })?,
            None => sheets.iter().position(|sheet| sheet.refusal.is_none()).unwrap_or(0),
        };
        let mut of_sheet = None;
        for (at, sheet) in sheets.iter().enumerate() {
            let (bytes, rest) = payload.split_at_checked(sheet.bytes).ok_or_else(broken)?;
            payload = rest;
            of_sheet = if at == place { Some((sheet, bytes)) } else { of_sheet };
        }
        let (sheet, bytes) = of_sheet.ok_or_else(broken)?;
        let mut others: Vec<&String> = names.iter().collect();
        others.remove(place);
        let name = &match others.is_empty() {
            true => name.to_owned(),
            false => {
                let (sheet, others) = (&sheet.name, listed(&others));
                notes.push(of_tables::SheetTaken { sheet, others }.into());
                format!("{name}{WITHIN}{sheet}")
            }
        };
        if let Some(refusal) = &sheet.refusal {
            return Err(refused(refusal.clone()).file(name));
        }
        notes.extend(sheet.notes.iter().cloned());
        let (table, more) = rows(None, bytes, told).map_err(|error| error.file(name))?;
        notes.extend(more);
        let read = Self::of_records(name, Records::Table(table), notes, told, lenient)?;
        Ok(Self { sheets: names, ..read })
    }
}

/// The file opened, where it is not yet. In a browser another program does that.
#[cfg(not(target_arch = "wasm32"))]
fn unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    lorakeet_tables::is_packed(bytes).then(|| lorakeet_tables::open(bytes).to_bytes())
}

#[cfg(target_arch = "wasm32")]
fn unpacked(_: &[u8]) -> Option<Vec<u8>> {
    None
}

/// The files behind each other; `None` where they are not as their lengths say.
fn split<'a>(files: &'a [(String, usize)], mut payload: &'a [u8]) -> Option<Vec<(&'a str, &'a [u8])>> {
    let mut found = Vec::with_capacity(files.len().min(payload.len() + 1));
    for (name, length) in files {
        let (bytes, rest) = payload.split_at_checked(*length)?;
        found.push((name.as_str(), bytes));
        payload = rest;
    }
    Some(found).filter(|found| !found.is_empty() && payload.is_empty())
}

/// Texts as rows, one a file, with the files' names.
fn documents(name: &str, files: &[(&str, &[u8])], told: &Told, notes: &mut Vec<Message>) -> Result<Table> {
    let (mut table, mut budget) = (Table::default(), Budget::new());
    table.ordered = true;
    for column in ["file", "text"] {
        table.column(column);
    }
    for (number, (file, bytes)) in (1..).zip(files) {
        budget.row(2).map_err(|error| error.file(name).row(number))?;
        let is_blank = bytes.iter().all(u8::is_ascii_whitespace);
        let mut said = Vec::new();
        let text = match is_blank {
            true => String::new(),
            false => decode((*bytes).into(), told.encoding, &mut said)
                .map_err(|error| error.file(format!("{name}{WITHIN}{file}")))?,
        };
        said.retain(|note| !notes.contains(note));
        notes.extend(said);
        let row = [(*file).to_owned(), text].map(|text| Value::String(text.into()));
        table.push_whole(number, row.into_iter());
    }
    Ok(table)
}

/// The rows of a sheet, or those of a file with named columns.
fn rows(columns: Option<Vec<String>>, payload: &[u8], told: &Told) -> Result<(Table, Vec<Message>)> {
    let mut budget = Budget::new();
    let broken = |number: usize| Error::data(msg::NotAsOpened).row(number).remedy(msg::ChooseTextFile);
    let text = std::str::from_utf8(payload).map_err(|_| broken(1))?;
    let mut read: Vec<(usize, Vec<Value>)> = Vec::new();
    for (line, place) in text.lines().zip(1..) {
        budget.row(0).map_err(|error| error.row(place))?;
        let value = json(line, &mut budget).map_err(|wrong| wrong.in_line(line).row(place))?;
        let Value::Array(mut items) = value else {
            return Err(broken(place));
        };
        let number = match items.first() {
            Some(Value::Number(number)) => number.parse::<usize>().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| broken(place))?;
        items.remove(0);
        read.push((number, items));
    }
    let width = read.iter().map(|(_, items)| items.len()).max().unwrap_or(0);
    let mut notes = Vec::new();
    // The first row of a sheet may name the columns.
    let first = match columns {
        Some(_) => None,
        None if read.is_empty() => None,
        None => Some(read.remove(0)),
    };
    let header = match (&columns, &first) {
        (Some(columns), _) => columns.clone(),
        (None, Some((_, items))) => items.iter().map(shown).collect(),
        (None, None) => Vec::new(),
    };
    let given = header.iter().map(String::as_str).chain(std::iter::repeat(""));
    let given: Vec<&str> = given.take(width.max(header.len())).collect();
    let mut said = Vec::new();
    let named = match told.header {
        Some(false) if first.is_some() => Ok(numbered(given.len())),
        _ => names(&given, &mut said),
    };
    let is_list = |value: &Value| value.is_array() || value.is_object();
    let has_lists = read.iter().take(1).any(|(_, items)| items.iter().any(is_list));
    let mut table = Table::default();
    let (columns, named) = match named {
        Ok(columns) => (columns, Ok(said)),
        Err(error) => (numbered(given.len()), Err(error)),
    };
    for column in &columns {
        table.column(column);
    }
    table.ordered = !has_lists;
    for (number, items) in read {
        let empty = std::iter::repeat_with(|| Value::Null);
        // Those that are not there count, too.
        budget
            .take(columns.len() - items.len())
            .map_err(|error| error.row(number))?;
        table.push_whole(number, items.into_iter().chain(empty).take(columns.len()));
    }
    let table = match first {
        Some((number, items)) => {
            let items = items.into_iter().chain(std::iter::repeat_with(|| Value::Null));
            let first = (number, items.take(columns.len()).collect());
            settle(table, first, told.header, named, &mut notes)?
        }
        None => {
            notes.extend(named?);
            table
        }
    };
    if table.len() == 0 {
        return Err(Error::data(msg::NoRows).remedy(msg::ChooseTwoRows));
    }
    Ok((table, notes))
}

/// Names of columns that have none.
pub(super) fn numbered(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("column_{number}")).collect()
}

/// A cell as the name of a column.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

// What is opened has to fit what is read.
const _: () = assert!((lorakeet_tables::MOST_BYTES as u64) < MAX_FILE_BYTES);
