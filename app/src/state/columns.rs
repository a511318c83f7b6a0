//! What a person says of the data's columns: which are texts, labels, prompt or answer, and whether the first row names them.

use super::PageState;
use leptos::prelude::*;
use lorakeet_core::config::find;
use serde_json::{Value, json};

/// The knob of the first row of a table.
pub const HEADER: &str = "header";

/// The knob of the sheet of a workbook.
pub const SHEET: &str = "sheet";

/// Columns of texts that are written, as a run file names them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WrittenColumns {
    /// What is given, in order; none of a text that is continued.
    pub prompts: Vec<String>,
    /// What is learnt.
    pub completion: String,
    /// What the assistant is told about itself.
    pub system: Option<String>,
}

impl PageState {
    /// Names the columns of texts that are written.
    pub fn name_columns(self, columns: &WrittenColumns) {
        self.loaded.told_columns.set(true);
        self.settings.put(&[
            ("prompt_columns", json!(columns.prompts)),
            ("completion_column", json!(columns.completion)),
            ("system_column", json!(columns.system)),
        ]);
    }

    /// Names the columns of texts that are answered with labels or numbers.
    pub fn name_answered(self, texts: &[String], labels: &[String]) {
        self.loaded.told_columns.set(true);
        self.settings
            .put(&[("text_columns", json!(texts)), ("label_columns", json!(labels))]);
    }

    /// Says whether the first row names the columns; nothing leaves it to be told from the rows.
    pub fn say_header(self, text: &str) {
        if let Some(knob) = find(HEADER) {
            self.loaded.told_columns.set(true);
            self.settings.set(knob, text);
        }
    }

    /// Names the sheet of a workbook.
    pub fn say_sheet(self, name: &str) {
        if let Some(knob) = find(SHEET) {
            self.loaded.told_columns.set(true);
            self.settings.set(knob, name);
        }
    }

    /// Other data have other columns: what was said here is about those before.
    pub(super) fn forget_told_columns(self) {
        if self.loaded.told_columns.get_untracked() {
            self.loaded.told_columns.set(false);
            self.settings.put(&[
                ("text_columns", json!([])),
                ("label_columns", json!([])),
                ("prompt_columns", json!([])),
                ("completion_column", Value::Null),
                ("system_column", Value::Null),
                (HEADER, Value::Null),
                (SHEET, Value::Null),
            ]);
        }
    }
}
