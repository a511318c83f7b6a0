//! From a dropped file to batches of tokens: [`Incoming`] or [`Dataset::read_by`] → [`Dataset`] → [`examples`] → [`split`] →
//! [`order`] → [`collate`]; rows of numbers go by [`Dataset::numeric`] and [`numeric_examples`] instead.
//!
//! Bytes are parsed once, here, into rows that cannot be wrong: a bad row is an error that names the file, the row and
//! the field. Tokens come from [`crate::tokenizer`], the layout of conversations from [`crate::chat`]. Nothing here
//! knows a tensor; a [`Batch`] is plain numbers that the training loop sends to the device.

pub mod audit;
mod batch;
mod column_roles;
mod encoding;
mod examples;
mod few_values;
mod form;
mod frame;
mod header;
mod idx;
mod incoming;
mod json;
mod label_values;
mod labelled;
mod labels;
mod layout;
mod long_text;
mod numeric;
mod opened;
mod packing;
mod parse;
mod plain;
mod preference;
mod preview;
mod ranking;
mod roles;
mod row_marks;
mod scaling;
mod seq2seq;
mod series;
mod similarity_pairs;
mod table;
mod text;
mod token_classification;
mod told;
mod turns;
mod value;

pub use batch::{
    Batch, Cursor, PaddingSide, TARGET_PARTS, collate, order, split, split_by_class, targets, unshifted_targets,
};
pub use examples::{Example, Examples, Settings, Start, Target, Word, examples};
pub use few_values::FewValues;
pub use frame::labelled_examples;
pub use idx::{is_idx, labels_of};
pub use incoming::Incoming;
pub use labelled::{Columns, Labelled, LabelledRow};
pub use labels::{LabelKind, LabelSet, note_of_alike};
pub use layout::prompt_text;
pub use lorakeet_tables::{Choice, is_packed};
pub use numeric::{Shape, numeric_examples};
pub use opened::{chosen, joined, joint_name};
pub use plain::plain_rows;
pub use preview::preview;
pub use ranking::{Ranked, RankedQuery, embedding_examples, ranking_examples};
pub(crate) use row_marks::{RowDifference, RowMarks};
pub use scaling::{InputScaling, Scaling};
pub use seq2seq::seq2seq_examples;
pub use similarity_pairs::similarity_examples;
pub use text::Text;
pub use token_classification::{Tagged, TaggedRow, token_classification_examples};
pub use told::Told;
pub use value::Value;

use self::audit::Reading;
use crate::chat::Conversation;
use crate::config::Encoding;
use crate::error::{Error, Result};
use crate::protocol::{AuditDropped, DataInfo};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::data as msg;
use std::borrow::Cow;
use std::sync::Arc;

/// The largest file that is read, of which a browser's tab, which has 4 GB, holds the rows and what is made of them.
///
/// Of tables and lines of JSON in UTF-8 ([`Incoming`]) the texts are in memory once. Beside them a row of a table takes about 80 bytes
/// in a browser and 140 natively, and each of its fields 24 and 40; a line of JSON as much, and 20 bytes more a text. Conversations are
/// there twice, as they are read and as they are laid out. Other files are in memory twice while they are read, and texts in other
/// encodings up to two and a half times. Tokens come to that: eight bytes each.
pub const MAX_FILE_BYTES: u64 = 512 << 20;

/// Refuses a file that is empty or too large to be read, from its length alone.
pub fn check_size(name: &str, length: u64) -> Result<()> {
    if length == 0 {
        return Err(Error::data(msg::FileEmpty).file(name).remedy(msg::ChooseFileWithText));
    }
    if length > MAX_FILE_BYTES {
        let error = Error::data(msg::FileTooLarge {
            gigabytes: format!("{:.1}", length as f64 / 1e9),
            most: MAX_FILE_BYTES >> 20,
        });
        return Err(error.file(name).remedy(msg::ChoosePart));
    }
    Ok(())
}

/// A parsed data file.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// File name.
    pub name: String,
    /// How its rows are laid out.
    pub form: Schema,
    /// Its rows as texts, none of them empty; none at all of [`Schema::Numbers`], and where the rows serve other tasks only.
    pub rows: Vec<Row>,
    /// Columns or keys found, in the file's order.
    pub columns: Vec<String>,
    /// The sheets of a workbook, of which one is read; none of another file.
    pub sheets: Vec<String>,
    /// Things worth knowing of how the file was read, as sentences: what was skipped, repaired or renamed.
    pub notes: Vec<Message>,
    /// What else is worth knowing where its rows are texts to be continued or answered: which columns those are.
    pub text_notes: Vec<Message>,
    /// Why its rows are none.
    text_problem: Option<Error>,
    /// The columns of a text and its label, where no name was known.
    guess: Option<roles::Guess>,
    /// The columns of its texts, in small letters.
    used: Vec<String>,
    /// Of these, the one that holds the answer.
    answer: Option<String>,
    /// And the one of what the assistant is told about itself.
    system: Option<String>,
    /// Whether a column `history` has earlier rounds of each row.
    has_rounds: bool,
    /// All fields of a file with columns, for tasks whose rows are not texts alone; see [`Dataset::labelled`].
    table: Option<Arc<parse::Table>>,
    /// The rows of a file that holds nothing but numbers and labels; see [`Dataset::numeric`].
    numbers: Option<Arc<Labelled>>,
}

/// Rows, and the SHA-256 of the file that they were read from.
pub(crate) struct Data {
    pub(crate) rows: Dataset,
    pub(crate) digest: String,
    /// How many rows were left out, by what is wrong with them.
    pub(crate) dropped: Vec<AuditDropped>,
    /// How they were read.
    pub(crate) reading: Reading,
    /// Of validation rows, the digest of the data that they were compared with, where those that leak were left out.
    pub(crate) compared: Option<String>,
}

impl Dataset {
    /// Reads a .txt, .md, .json, .jsonl, .csv, .tsv or .ts file, images in the IDX format, or what `lorakeet-tables` opens: a .xlsx or
    /// .parquet file, or a zip archive of texts or with one table.
    ///
    /// The ending decides the format (of IDX the first bytes do), the columns decide the [`Schema`]. The encoding is told from the
    /// bytes (UTF-8, UTF-16, GB18030 or Windows-1252), and a note says which it is unless it is UTF-8. Errors name the row: the line
    /// of a .jsonl file, the record of a .json array, and the row of a table as a spreadsheet counts it (the header is row 1).
    ///
    /// # Errors
    /// A file that is no text, or not of its format; columns of which nothing is known; a row that is wrong.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        Self::parse_as(name, bytes, None)
    }

    /// The same in an encoding that a person names.
    ///
    /// # Errors
    /// As [`Dataset::parse`]; bytes that are not of this encoding.
    pub fn parse_as(name: &str, bytes: &[u8], encoding: Option<Encoding>) -> Result<Self> {
        Self::read(name, bytes.into(), &Told::from(encoding), false)
    }

    /// With `is_lenient`, rows that no run can use are no error.
    fn read(name: &str, bytes: Cow<[u8]>, told: &Told, is_lenient: bool) -> Result<Self> {
        Self::read_within(name, bytes, told, (is_lenient, false))
    }

    /// The same of a file that may lie in another.
    fn read_within(name: &str, bytes: Cow<[u8]>, told: &Told, (is_lenient, inside): (bool, bool)) -> Result<Self> {
        check_size(name, bytes.len() as u64)?;
        if idx::is_idx(&bytes) {
            return Ok(Self::of_numbers(idx::read((name, &bytes), None)?));
        }
        if opened::is_to_open(&bytes) {
            return Self::read_opened(name, bytes, told, (is_lenient, inside));
        }
        let mut notes = Vec::new();
        let text = encoding::decode(bytes, told.encoding, &mut notes).map_err(|error| error.file(name))?;
        if name.to_lowercase().ends_with(".ts") {
            return series::read(name, &text)
                .map(Self::of_numbers)
                .map_err(|error| error.file(name));
        }
        if told.header != Some(true)
            && let Some(read) = numeric::without_header(name, &text).map_err(|error| error.file(name))?
        {
            return Ok(Self::of_numbers(read));
        }
        let records = parse::parse(name, text, told.header, &mut notes).map_err(|error| error.file(name))?;
        Self::of_records(name, records, notes, told, is_lenient)
    }

    fn of_records(
        name: &str,
        records: parse::Records,
        notes: Vec<Message>,
        told: &Told,
        is_lenient: bool,
    ) -> Result<Self> {
        let texts = form::texts(&records, told, is_lenient).map_err(|error| error.file(name))?;
        let table = match records {
            parse::Records::Document(_) => None,
            parse::Records::Table(table) => Some(Arc::new(table)),
        };
        Ok(Self {
            name: name.to_string(),
            form: texts.form,
            rows: texts.rows,
            columns: table.as_ref().map(|table| table.columns().to_vec()).unwrap_or_default(),
            sheets: Vec::new(),
            notes,
            text_notes: texts.notes,
            text_problem: texts.problem.map(|error| error.file(name)),
            guess: texts.guess,
            used: texts.columns,
            answer: texts.answer,
            system: texts.system,
            has_rounds: texts.has_rounds,
            table,
            numbers: None,
        })
    }

    /// Reads two files in the IDX format, images and their labels, in either order.
    ///
    /// # Errors
    /// Other files; sizes that do not go together.
    pub fn parse_images(one: (&str, &[u8]), other: (&str, &[u8])) -> Result<Self> {
        for (name, bytes) in [one, other] {
            check_size(name, bytes.len() as u64)?;
        }
        if !idx::is_idx(one.1) && !idx::is_idx(other.1) {
            let (one, other) = (one.0, other.0);
            return Err(Error::data(msg::NotImages { one, other }).remedy(msg::OneFileOfRows));
        }
        let (images, labels) = if idx::is_labels(one.1) {
            (other, one)
        } else {
            (one, other)
        };
        idx::read(images, Some(labels)).map(Self::of_numbers)
    }

    fn of_numbers(mut read: Labelled) -> Self {
        Self {
            name: read.file.clone(),
            form: Schema::Numbers,
            rows: Vec::new(),
            columns: [&read.labels[..], &read.texts].concat(),
            sheets: Vec::new(),
            notes: std::mem::take(&mut read.notes),
            text_notes: Vec::new(),
            text_problem: None,
            guess: None,
            used: Vec::new(),
            answer: None,
            system: None,
            has_rounds: false,
            table: None,
            numbers: Some(Arc::new(read)),
        }
    }

    /// The same file as if of its texts there were only `most`, from the one behind `after` others on.
    pub fn part(&self, after: usize, most: usize) -> Self {
        Self {
            name: self.name.clone(),
            form: self.form,
            rows: self.rows.iter().skip(after).take(most).cloned().collect(),
            columns: self.columns.clone(),
            sheets: self.sheets.clone(),
            notes: self.notes.clone(),
            text_notes: self.text_notes.clone(),
            text_problem: self.text_problem.clone(),
            guess: self.guess.clone(),
            used: self.used.clone(),
            answer: self.answer.clone(),
            system: self.system.clone(),
            has_rounds: self.has_rounds,
            table: self.table.clone(),
            numbers: self.numbers.clone(),
        }
    }

    /// Refuses a file whose rows are no texts to be continued or answered.
    fn check_texts(&self) -> Result<()> {
        if self.form == Schema::Numbers {
            return Err(self.only_numbers());
        }
        self.text_problem.clone().map_or(Ok(()), Err)
    }

    /// What a front end shows of it.
    pub fn info(&self) -> DataInfo {
        DataInfo {
            name: self.name.clone(),
            form: self.form.name().to_string(),
            rows: match (&self.numbers, &self.table) {
                (Some(read), _) => read.rows.len(),
                (None, Some(table)) if self.rows.is_empty() => table.len(),
                _ => self.rows.len(),
            },
            columns: self.columns.clone(),
            sheets: self.sheets.clone(),
            notes: self.notes.clone(),
        }
    }
}

/// How the rows of a file are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// Plain text: a whole .txt or .md file, or a column `text` or `content`.
    Text,
    /// `instruction`, `input`, `output` and perhaps `system`, `history`.
    Alpaca,
    /// `messages` of `role` and `content`.
    Messages,
    /// `conversations` of `from` and `value`.
    ShareGpt,
    /// Two columns, such as `prompt` and `completion` or `question` and `answer`.
    PromptCompletion,
    /// A table whose columns have no known names: of texts, its first column is the prompt, the second one the completion, or
    /// the only one the text.
    Table,
    /// Numbers, perhaps with labels, and no text: see [`Dataset::numeric`].
    Numbers,
}

impl Schema {
    /// Its name in [`DataInfo`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Alpaca => "alpaca",
            Self::Messages => "messages",
            Self::ShareGpt => "sharegpt",
            Self::PromptCompletion => "prompt_completion",
            Self::Table => "table",
            Self::Numbers => "numbers",
        }
    }
}

/// One row of a data file.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Where it stands in the file, from 1; see [`Dataset::parse`].
    pub number: usize,
    /// What it says.
    pub content: Content,
}

/// What a row says.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Text to be continued; never blank.
    Text(Text),
    /// A conversation with at least one answer; roles are `system`, `user`, `assistant` or `tool`.
    Messages(Box<Conversation>),
    /// A prompt and the text that should follow it, which is never blank.
    PromptCompletion {
        /// What is given.
        prompt: Text,
        /// What is learnt.
        completion: Text,
    },
    /// Alpaca's columns.
    Instruction(Box<Instruction>),
}

/// A row of Alpaca's columns.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Instruction {
    /// What the model is; may be empty.
    pub system: Text,
    /// Earlier rounds: what was asked, what was answered.
    pub history: Vec<(Text, Text)>,
    /// What to do.
    pub instruction: Text,
    /// What to do it with; may be empty.
    pub input: Text,
    /// What is learnt; never blank.
    pub output: Text,
}
