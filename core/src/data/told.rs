//! What a run says of how its data files are read; what it leaves open is told from them.

use crate::config::{Encoding, RunConfig};

/// How a run's data files are to be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// The encoding of texts.
    pub encoding: Option<Encoding>,
    /// Whether the first row of a table names its columns.
    pub header: Option<bool>,
    /// The sheet of a workbook; not given, the first one with rows.
    pub sheet: Option<String>,
    /// Columns of what is given to an answer that is learnt, at most two: what to do, and what with.
    pub prompts: Vec<String>,
    /// The column of that answer; without a prompt, of a text that is continued.
    pub completion: Option<String>,
    /// The column of what the assistant is told about itself.
    pub system: Option<String>,
}

impl Told {
    /// As a run file says it.
    pub fn of(config: &RunConfig) -> Self {
        Self {
            encoding: config.encoding,
            header: config.header,
            sheet: config.sheet.clone(),
            prompts: config.prompt_columns.clone(),
            completion: config.completion_column.clone(),
            system: config.system_column.clone(),
        }
    }
}

impl From<Option<Encoding>> for Told {
    fn from(encoding: Option<Encoding>) -> Self {
        Self {
            encoding,
            ..Self::default()
        }
    }
}
