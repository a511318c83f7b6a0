//! What the columns of a table are to a run, for a front end that shows it.

use super::form::HISTORY;
use super::parse::{Table, key};
use super::{Columns, Dataset, Schema};
use crate::protocol::{ColumnRole, ColumnUse};
use crate::task::Task;

/// Columns that are told: a table of more is numbers.
const MOST_COLUMNS: usize = 64;

impl Dataset {
    /// Its columns in the file's order, with what each is to a run of this task that names `columns`; none of numbers, of a text
    /// without columns, and of very many.
    pub fn column_uses(&self, task: Task, columns: &Columns) -> Vec<ColumnUse> {
        let is_shown = self.form != Schema::Numbers && self.columns.len() <= MOST_COLUMNS;
        let Some(table) = self.table.as_deref().filter(|_| is_shown) else {
            return Vec::new();
        };
        let uses = self.columns.iter().map(|column| ColumnUse {
            column: column.clone(),
            role: self.role(&key(column), task, (table, columns)),
        });
        uses.collect()
    }

    fn role(&self, column: &str, task: Task, (table, columns): (&Table, &Columns)) -> ColumnRole {
        let is_in = |names: &[String]| names.iter().any(|name| name == column);
        let named = |is_read: bool| match is_read {
            true => ColumnRole::Named,
            false => ColumnRole::Ignored,
        };
        let is_answered = match task {
            Task::Classification | Task::MultiLabel | Task::Regression => true,
            Task::Embedding => !self.has_ranking() && self.has_labels(columns),
            Task::Generation | Task::TokenClassification | Task::Ranking | Task::Preference => false,
        };
        if is_answered {
            // What is wrong with them is said elsewhere; here it is shown what was asked for.
            let given = || (keys(&columns.texts), keys(&columns.labels));
            let (texts, labels) = self.roles(table, columns, &mut Vec::new()).unwrap_or_else(|_| given());
            return match texts.iter().position(|text| text == column) {
                Some(0) => ColumnRole::Text,
                Some(_) => ColumnRole::SecondText,
                None if is_in(&labels) => ColumnRole::Label,
                None => ColumnRole::Ignored,
            };
        }
        if task == Task::TokenClassification {
            let (words, tags) = self.tag_columns().unzip();
            let given = columns.labels.first().map(|name| key(name));
            return match given.or(tags).as_deref() == Some(column) {
                true => ColumnRole::Label,
                false => named(words.as_deref() == Some(column)),
            };
        }
        if task != Task::Generation && self.has_ranking() {
            return named(self.is_of_ranking(column));
        }
        match (is_in(&self.used), self.answer.as_deref()) {
            (_, Some(answer)) if answer == column => ColumnRole::Completion,
            (true, _) if self.system.as_deref() == Some(column) => ColumnRole::System,
            (true, _) if self.has_rounds && column == HISTORY => ColumnRole::Named,
            (true, _) if matches!(self.form, Schema::Messages | Schema::ShareGpt) => ColumnRole::Conversation,
            (true, Some(_)) if column != "rejected" => ColumnRole::Prompt,
            (true, None) => ColumnRole::Text,
            _ => named(task == Task::Preference && matches!(column, "chosen" | "rejected")),
        }
    }
}

fn keys(names: &[String]) -> Vec<String> {
    names.iter().map(|name| key(name)).collect()
}
