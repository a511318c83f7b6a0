//! Spreadsheets (.xlsx), Parquet files and zip archives as data files: [`open`] makes of their bytes rows of JSON, or the texts
//! that an archive holds, and says what is worth knowing of them.
//!
//! What was opened is plain bytes again ([`Opened::to_bytes`]): a first line of [`MAGIC`], a line of JSON ([`Header`]), and the rows,
//! a line each, or the files behind each other. So it can be opened in one program and read in another, as in the page, where what
//! opens files is loaded only when somebody has such a file. Nothing here knows what rows are for.
//!
//! Input is read without trust: what is inside may take [`MOST_BYTES`] and [`MOST_VALUES`], whatever the file says of itself.

#[cfg(feature = "readers")]
mod archive;
#[cfg(feature = "readers")]
mod cell;
#[cfg(feature = "readers")]
mod columnar;
mod members;
#[cfg(feature = "readers")]
mod sheet;
#[cfg(feature = "readers")]
mod zstd;

pub use members::{Choice, choose};

use lorakeet_i18n::Message;
#[cfg(feature = "readers")]
use lorakeet_i18n::messages::tables as msg;
use serde::{Deserialize, Serialize};

/// The clone that this was compiled in: another one's build is not taken for this one's (`.cargo/config.toml`).
const _: Option<&str> = option_env!("LORAKEET_CLONE");

/// How the bytes of an opened file begin.
pub const MAGIC: &[u8] = b"LORAKEET ROWS 1\n";

/// Bytes of text that a file may open into: what a reader of rows takes.
pub const MOST_BYTES: usize = 250 << 20;

/// Values that it may have, a row counted as two more.
pub const MOST_VALUES: usize = 8_000_000;

/// What stands between a file and what lies in it, as in `book.xlsx › Sheet 2`.
pub const WITHIN: &str = " › ";

/// What is said of an opened file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// What of the file was taken where that is not all: a file of an archive.
    pub part: Option<String>,
    /// What is worth knowing, as sentences.
    pub notes: Vec<Message>,
    /// What follows.
    pub content: Content,
}

/// What follows the header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// The sheets of a workbook behind each other, shown ones first: rows, a line of JSON each, an array of the row's number in the
    /// sheet, from 1, and its values. The first may be the names of the columns. A row may be shorter than others.
    Sheets(Vec<Sheet>),
    /// Such rows of columns with these names.
    Columns(Vec<String>),
    /// Files behind each other: their names, and how many bytes each has.
    Files(Vec<(String, usize)>),
    /// Nothing: the file cannot be read.
    Refused(Refusal),
}

/// A sheet of a workbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sheet {
    /// Its name.
    pub name: String,
    /// What is worth knowing of it.
    pub notes: Vec<Message>,
    /// How many bytes its rows take.
    pub bytes: usize,
    /// Why it cannot be read; it has no rows then.
    pub refusal: Option<Refusal>,
}

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// What is wrong, as a clause.
    pub what: Message,
    /// What to do, as a sentence.
    pub remedy: Message,
    /// The row that it concerns, from 1.
    pub row: Option<usize>,
    /// The sheet, the column or the file within that it concerns.
    pub field: Option<String>,
}

impl Refusal {
    /// A refusal of a whole file.
    pub fn new(what: impl Into<Message>, remedy: impl Into<Message>) -> Self {
        Self {
            what: what.into(),
            remedy: remedy.into(),
            row: None,
            field: None,
        }
    }

    /// Names the row, from 1.
    #[must_use]
    pub fn row(mut self, row: usize) -> Self {
        self.row.get_or_insert(row);
        self
    }

    /// Names the sheet, the column or the file within.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field.get_or_insert(field.into());
        self
    }
}

/// An opened file.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// What is said of it.
    pub header: Header,
    /// What follows.
    pub payload: Vec<u8>,
}

impl Opened {
    /// All of a file as its `content` says.
    pub fn new(content: Content, notes: Vec<Message>, payload: Vec<u8>) -> Self {
        let part = None;
        Self {
            header: Header { part, notes, content },
            payload,
        }
    }

    /// Files behind each other.
    pub fn of_files(files: Vec<(String, Vec<u8>)>, notes: Vec<Message>) -> Self {
        let lengths = files.iter().map(|(name, bytes)| (name.clone(), bytes.len())).collect();
        let payload = files.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>().concat();
        Self::new(Content::Files(lengths), notes, payload)
    }

    /// All of it as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // A header is texts and numbers, none of which JSON lacks.
        let header = serde_json::to_vec(&self.header).unwrap_or_default();
        [MAGIC, &header, b"\n", &self.payload].concat()
    }

    /// Whether these are the bytes of an opened file.
    pub fn is_opened(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// Reads what [`Opened::to_bytes`] wrote; `None` where somebody else did. The payload is lent.
    pub fn parts(bytes: &[u8]) -> Option<(Header, &[u8])> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let header = serde_json::from_slice(&rest[..end]).ok()?;
        Some((header, &rest[end + 1..]))
    }
}

/// Whether a file is one that [`open`] opens: by its first bytes, those of a zip archive (which a .xlsx is) or of a Parquet file.
pub fn is_packed(bytes: &[u8]) -> bool {
    is_zip(bytes) || bytes.starts_with(b"PAR1")
}

fn is_zip(bytes: &[u8]) -> bool {
    // An archive without files has its end alone.
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

/// Opens a spreadsheet, a Parquet file or an archive. What cannot be read is told in the header.
#[cfg(feature = "readers")]
pub fn open(bytes: &[u8]) -> Opened {
    guarded(|| opened(bytes)).unwrap_or_else(|refusal| Opened::new(Content::Refused(refusal), Vec::new(), Vec::new()))
}

#[cfg(feature = "readers")]
fn opened(bytes: &[u8]) -> Result<Opened, Refusal> {
    match is_zip(bytes) {
        true => archive::read(bytes),
        false => columnar::read(bytes),
    }
}

/// How much stack a reader has: the schema of a Parquet file is read by recursion.
#[cfg(all(feature = "readers", not(target_arch = "wasm32")))]
const STACK_BYTES: usize = 512 << 20;

/// Runs a reader in a thread of its own, with which a panic of a library on a broken file ends. (In a browser it is the worker
/// that ends.)
#[cfg(all(feature = "readers", not(target_arch = "wasm32")))]
fn guarded(read: impl FnOnce() -> Result<Opened, Refusal> + Send) -> Result<Opened, Refusal> {
    let broken = || Refusal::new(msg::Damaged { error: "" }, msg::SaveAgain);
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        match thread.spawn_scoped(scope, read) {
            Ok(thread) => thread.join().unwrap_or_else(|_| Err(broken())),
            Err(error) => Err(damaged(error)),
        }
    })
}

#[cfg(all(feature = "readers", target_arch = "wasm32"))]
fn guarded(read: impl FnOnce() -> Result<Opened, Refusal>) -> Result<Opened, Refusal> {
    read()
}

/// What a library says of a file that is not as it should be.
#[cfg(feature = "readers")]
fn damaged(error: impl std::fmt::Display) -> Refusal {
    let error = Message::verbatim(format!(": {error}"));
    Refusal::new(msg::Damaged { error }, msg::SaveAgain)
}

/// More than fits.
#[cfg(feature = "readers")]
fn too_much() -> Refusal {
    let most = MOST_BYTES >> 20;
    Refusal::new(msg::TooMuchInside { most }, lorakeet_i18n::messages::data::ChoosePart)
}
