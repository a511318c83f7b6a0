//! How a run looks before it starts: its examples token by token, what columns are to it, and what it would do.

use crate::task::Task;
use lorakeet_i18n::Message;
use serde::{Deserialize, Serialize};

/// One example as the model will see it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PreviewExample {
    /// Tokens in order: text, and whether it is trained on.
    pub tokens: Vec<(String, bool)>,
    /// Whether the row was cut at cutoff_len.
    pub truncated: bool,
    /// What is to be answered to the row; empty where the tokens themselves are learnt.
    #[serde(default)]
    pub label: String,
    /// The row of the file that it comes from, or that its first part does; 0 where that is not known.
    #[serde(default)]
    pub row: usize,
    /// How many tokens were cut off, where that is known.
    #[serde(default)]
    pub cut: usize,
    /// The first of them.
    #[serde(default)]
    pub cut_tokens: Vec<String>,
}

/// What a run on the loaded model and data would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunPreview {
    /// What is learnt.
    pub task: Task,
    /// What is made small, as a run file writes it.
    pub loss: String,
    /// The metric by which the run is judged.
    pub metric: String,
    /// What was decided without being asked for, and why.
    pub notes: Vec<Message>,
    /// Rows of each label, the most frequent first; of words with classes, words.
    pub labels: Vec<(String, u64)>,
}

/// A column of the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnUse {
    /// Its name, as the file has it.
    pub column: String,
    /// What it is to a run.
    pub role: ColumnRole,
}

/// What a column is to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnRole {
    /// The text, or the first of two: first of `text_columns`.
    Text,
    /// What it is read together with: second of `text_columns`.
    SecondText,
    /// What is to be answered: of `label_columns`.
    Label,
    /// What is given: of `prompt_columns`.
    Prompt,
    /// What is learnt: of `completion_column`.
    Completion,
    /// What the assistant is told about itself: of `system_column`.
    System,
    /// Turns of a conversation, and what belongs to it.
    Conversation,
    /// Read by the task under this name: the documents of a query, words, the worse answer.
    Named,
    /// Not read.
    Ignored,
}
