//! Rows that are made while their file comes, piece by piece, so that neither its bytes nor its text are ever in memory whole: tables
//! (.csv, .tsv) and lines of JSON in UTF-8. All other files are read whole, by [`Dataset::read_by`].

use super::audit::Reading;
use super::encoding::{Utf8Pieces, is_foreign};
use super::parse::{JsonLines, Records, ending};
use super::table::TableReader;
use super::{Dataset, check_size, idx, numeric, opened};
use crate::config::Encoding;
use crate::error::{Error, Result};
use crate::protocol::AuditDropped;
use lorakeet_i18n::Message;

/// A file of which the first pieces are read.
pub struct Incoming<'a> {
    name: &'a str,
    reading: &'a Reading,
    decoder: Utf8Pieces,
    /// Text that came and is no whole row yet.
    text: String,
    rows: Rows,
    notes: Vec<Message>,
}

/// The rows so far.
enum Rows {
    /// Of a table whose first line is still to come.
    Unbegun,
    Lines(Box<JsonLines>),
    Table(Box<TableReader>),
}

impl<'a> Incoming<'a> {
    /// A file of `length` bytes that begins with `first`, its first piece, of which nothing is read yet; `None` where it has to be read
    /// whole, as far as that can be told from so much.
    ///
    /// # Errors
    /// A file that is empty or too large.
    pub fn begin(name: &'a str, length: u64, first: &[u8], reading: &'a Reading) -> Result<Option<Self>> {
        check_size(name, length)?;
        let is_other = idx::is_idx(first) || opened::is_to_open(first) || is_foreign(first);
        let is_in_utf8 = matches!(reading.told.encoding, None | Some(Encoding::Utf8));
        let rows = match ending(name).as_deref() {
            _ if is_other || !is_in_utf8 => return Ok(None),
            Some("jsonl" | "ndjson") => Rows::Lines(Box::default()),
            Some("csv" | "tsv" | "tab") => Rows::Unbegun,
            _ => return Ok(None),
        };
        Ok(Some(Self {
            name,
            reading,
            decoder: Utf8Pieces::default(),
            text: String::new(),
            rows,
            notes: Vec::new(),
        }))
    }

    /// Reads the next piece of the file, the first one first. False where the file is no text in UTF-8 or another one that has to be read
    /// whole; nothing of it is read then.
    ///
    /// # Errors
    /// A row that is wrong, or one too many.
    pub fn push(&mut self, piece: &[u8], is_last: bool) -> Result<bool> {
        let (name, before) = (self.name, self.text.len());
        if !self.decoder.push(piece, is_last, &mut self.text) {
            return Ok(false);
        }
        let located = |error: Error| error.file(name);
        if matches!(self.rows, Rows::Unbegun) {
            match self.table_reader(is_last) {
                Some(reader) => self.rows = Rows::Table(Box::new(reader)),
                None => return Ok(false),
            }
        }
        let read = match &mut self.rows {
            Rows::Unbegun => 0,
            Rows::Lines(lines) => {
                let new = self.text.get(before..).unwrap_or_default();
                let end = match is_last {
                    true => self.text.len(),
                    false => new.rfind('\n').map_or(0, |place| before + place + 1),
                };
                lines.read(self.text.get(..end).unwrap_or_default()).map_err(located)?;
                end
            }
            Rows::Table(reader) => reader.read(&self.text, is_last).map_err(located)?,
        };
        self.text.drain(..read);
        Ok(true)
    }

    /// What reads the table that the text so far begins; `None` of one without names that is nothing but numbers, and where the first
    /// line is longer than a piece.
    fn table_reader(&mut self, is_last: bool) -> Option<TableReader> {
        let begin = self.text.trim_start();
        if !is_last && !begin.contains('\n') {
            return None;
        }
        let told = &self.reading.told;
        if told.header != Some(true) && numeric::begins_with_numbers(self.name, begin).is_some() {
            return None;
        }
        if ending(self.name).as_deref() != Some("csv") {
            return Some(TableReader::tsv(told.header));
        }
        let (reader, skipped) = TableReader::csv(&self.text, told.header, &mut self.notes);
        self.text.drain(..skipped);
        Some(reader)
    }

    /// The rows, as [`Dataset::read_by`] gives them; `None` where there are none: what is wrong is told of the whole file.
    ///
    /// # Errors
    /// As [`Dataset::read_by`].
    pub fn finish(
        mut self,
        trained: Option<&Dataset>,
        is_lenient: bool,
    ) -> Result<Option<(Dataset, Vec<AuditDropped>)>> {
        let located = |error: Error| error.file(self.name);
        let table = match self.rows {
            Rows::Unbegun => return Ok(None),
            Rows::Lines(lines) => lines.finish(&mut self.notes),
            Rows::Table(reader) => reader.finish(&mut self.notes).map_err(located)?,
        };
        if table.len() == 0 {
            return Ok(None);
        }
        let (told, is_whole) = (&self.reading.told, self.reading.knob().is_none());
        // What is left out may be what is wrong.
        let lenient = is_lenient || !is_whole;
        let read = Dataset::of_records(self.name, Records::Table(table), self.notes, told, lenient)?;
        match is_whole {
            true => Ok(Some((read, Vec::new()))),
            false => read.cleared(self.reading, trained, is_lenient).map(Some),
        }
    }
}
