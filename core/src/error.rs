//! The one error of the library: what is wrong, where, and what to do about it.
//!
//! It crosses the worker's boundary (see [`crate::protocol`]), so it is data: a front end can show its parts separately.

use lorakeet_i18n::messages::common as msg;
use lorakeet_i18n::{Field, Message};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of thing went wrong; decides which way out a front end offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A run file or a setting.
    Config,
    /// A file could not be read or written.
    File,
    /// A file's bytes are not what its format promises.
    Format,
    /// Training data: a row, a column, an encoding.
    Data,
    /// A model's architecture or tensors.
    Model,
    /// No usable device, or the device was lost.
    Device,
    /// The device or the host ran out of memory.
    OutOfMemory,
    /// The training diverged.
    Diverged,
    /// It was asked to stop; no fault.
    Stopped,
    /// A defect of this program.
    Internal,
}

/// What is wrong (`what`), where (`file`, `row`, `field`), and what to do (`remedy`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// What kind of thing went wrong.
    pub kind: Kind,
    /// What is wrong, as a clause without a full stop.
    pub what: Message,
    /// The file that it concerns.
    pub file: Option<String>,
    /// The row of that file, from 1; of a run file, the line.
    pub row: Option<usize>,
    /// The key, column or tensor that it concerns.
    pub field: Option<Field>,
    /// What the person can do, as a sentence.
    pub remedy: Option<Message>,
}

impl Error {
    /// An error of `kind`; say where with [`Error::file`], [`Error::row`], [`Error::field`], and what to do with [`Error::remedy`].
    pub fn new(kind: Kind, what: impl Into<Message>) -> Self {
        Self {
            kind,
            what: what.into(),
            file: None,
            row: None,
            field: None,
            remedy: None,
        }
    }
    /// A wrong setting.
    pub fn config(what: impl Into<Message>) -> Self {
        Self::new(Kind::Config, what)
    }
    /// A file that cannot be read or written.
    pub fn io(what: impl Into<Message>) -> Self {
        Self::new(Kind::File, what)
    }
    /// A file whose bytes break its format.
    pub fn format(what: impl Into<Message>) -> Self {
        Self::new(Kind::Format, what)
    }
    /// Unusable training data.
    pub fn data(what: impl Into<Message>) -> Self {
        Self::new(Kind::Data, what)
    }
    /// A stop was asked for; `what` says at what.
    pub fn stopped(what: impl Into<Message>) -> Self {
        Self::new(Kind::Stopped, what)
    }
    /// A model that cannot be used.
    pub fn model(what: impl Into<Message>) -> Self {
        Self::new(Kind::Model, what)
    }
    /// A device that cannot be used.
    pub fn device(what: impl Into<Message>) -> Self {
        Self::new(Kind::Device, what)
    }
    /// A defect of this program.
    pub fn internal(what: impl Into<Message>) -> Self {
        Self::new(Kind::Internal, what)
    }
    /// Names the file, unless one is named already.
    pub fn file(mut self, file: impl Into<String>) -> Self {
        self.file.get_or_insert(file.into());
        self
    }
    /// Names the row, from 1.
    pub fn row(mut self, row: usize) -> Self {
        self.row.get_or_insert(row);
        self
    }
    /// Names the key, column or tensor.
    pub fn field(mut self, field: impl Into<Field>) -> Self {
        self.field.get_or_insert(field.into());
        self
    }
    /// Says what to do about it.
    pub fn remedy(mut self, remedy: impl Into<Message>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl Error {
    /// The key, column or tensor that it concerns, where it has a name.
    pub fn field_name(&self) -> Option<&str> {
        match &self.field {
            Some(Field::Text(name)) => Some(name),
            _ => None,
        }
    }

    /// Where it is: file, row (of a run file, line) and field, as far as they are known.
    pub fn place(&self) -> Option<Field> {
        let row = self.row.map(|row| match self.kind {
            Kind::Config => Field::from(msg::Line { line: row }),
            _ => Field::from(msg::Row { row }),
        });
        let places = [self.file.as_ref().map(Field::from), row, self.field.clone()];
        let within = |outer, inner| msg::Within { outer, inner }.into();
        places.into_iter().flatten().reduce(within)
    }

    /// All of it as one message: place, what is wrong, and what to do.
    pub fn message(&self) -> Message {
        let what = self.what.clone();
        let clause = match self.place() {
            None => what,
            Some(place) => msg::At { place, what }.into(),
        };
        let sentence = msg::Sentence { clause }.into();
        match self.remedy.clone() {
            None => sentence,
            Some(second) => msg::Both {
                first: sentence,
                second,
            }
            .into(),
        }
    }
}

impl fmt::Display for Error {
    /// In English: `run.yaml, line 3, learning_rate: must be above 0, got -1. Try 2e-4.`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message().english())
    }
}

impl std::error::Error for Error {}

/// A text as a message shows it: of one with more than `most` letters, the start.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_place_what_remedy() {
        let error = Error::config(Message::verbatim("must be above 0, got -1"))
            .file("run.yaml")
            .field("learning_rate")
            .remedy(lorakeet_i18n::messages::run::TrainFirst);
        assert_eq!(
            error.to_string(),
            "run.yaml, learning_rate: must be above 0, got -1. Train first."
        );
    }

    #[test]
    fn the_innermost_place_wins() {
        let error = Error::data(Message::verbatim("empty row")).file("a.csv").file("b.csv");
        assert_eq!(error.file.as_deref(), Some("a.csv"));
    }

    #[test]
    fn run_files_have_lines_and_data_has_rows() {
        let of = |error: Error| error.row(3).to_string();
        assert_eq!(
            of(Error::config(Message::verbatim("is unknown"))),
            "line 3: is unknown."
        );
        assert_eq!(of(Error::data(Message::verbatim("is empty"))), "row 3: is empty.");
    }
}
