//! Columns beside a task's own in which few different values stand: by them its rows can be told apart.

use super::Dataset;
use super::labelled::{Columns, names_labels};
use super::parse::{Table, key};
use super::value::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Different values of a column above which it parts nothing.
const MOST_VALUES: usize = 12;
/// Columns that are looked at.
const MOST_COLUMNS: usize = 8;
/// Letters of a value above which it is a text.
const MOST_LETTERS: usize = 60;

/// What stands in a column.
#[derive(Debug, Clone, PartialEq)]
pub struct FewValues {
    /// The column's name, as the file spells it.
    pub name: String,
    /// By the numbers of the rows.
    values: BTreeMap<usize, String>,
}

impl FewValues {
    /// What stands in a row; none where that is nothing.
    pub fn of_row(&self, number: usize) -> Option<&str> {
        self.values.get(&number).map(String::as_str)
    }
}

impl Dataset {
    /// The columns with few different values in `rows`, by their numbers, that are neither text nor label of a run with these
    /// `columns`.
    pub fn few_values(&self, columns: &Columns, rows: &BTreeSet<usize>) -> Vec<FewValues> {
        let Some(table) = &self.table else {
            return Vec::new();
        };
        let others = table.columns().iter().filter(|name| !self.is_own(&key(name), columns));
        let found = others.filter_map(|name| few_values(table, name, rows));
        found.take(MOST_COLUMNS).collect()
    }

    /// Whether a column is a text or a label, as the run says it or as its name does.
    fn is_own(&self, column: &str, columns: &Columns) -> bool {
        let mut given = columns.texts.iter().chain(&columns.labels);
        let guessed = self.guess.iter().flat_map(|guess| [&guess.text, &guess.label]);
        let mut known = self.used.iter().chain(&self.answer).chain(guessed);
        given.any(|name| key(name) == column)
            || known.any(|name| name == column)
            || columns.labels.is_empty() && names_labels(column)
    }
}

fn few_values(table: &Table, name: &str, rows: &BTreeSet<usize>) -> Option<FewValues> {
    let column = key(name);
    let (mut values, mut different) = (BTreeMap::new(), BTreeSet::new());
    for record in table.records().filter(|record| rows.contains(&record.number)) {
        let value = match record.fields.get(&column) {
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(is)) => is.to_string(),
            _ => continue,
        };
        if value.is_empty() {
            continue;
        }
        different.insert(value.clone());
        if different.len() > MOST_VALUES || value.chars().count() > MOST_LETTERS {
            return None;
        }
        values.insert(record.number, value);
    }
    let name = name.to_owned();
    (different.len() > 1).then_some(FewValues { name, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_few_values_is_found_and_texts_labels_and_numbers_of_rows_are_not() {
        let rows: String = (0..40)
            .map(|row| format!("text {row},{},{},{row},\n", row % 2, ["web", "mail"][row % 2]))
            .collect();
        let file = format!("text,label,source,id,empty\n{rows}");
        let data = Dataset::parse("rows.csv", file.as_bytes()).expect("a table");
        // The header is row 1.
        let all: BTreeSet<usize> = (2..42).collect();
        let found = data.few_values(&Columns::default(), &all);
        let names: Vec<&str> = found.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["source"]);
        assert_eq!((found[0].of_row(2), found[0].of_row(3)), (Some("web"), Some("mail")));
        assert_eq!(found[0].of_row(42), None);
        // Of the rows that count, all are alike; and where another column is the label, this one parts the rows.
        let alike = data.few_values(&Columns::default(), &BTreeSet::from([2, 4]));
        assert!(alike.iter().all(|column| column.name != "source"), "{alike:?}");
        let other = Columns {
            labels: vec!["Source".into()],
            ..Columns::default()
        };
        let found = data.few_values(&other, &all);
        assert!(found.iter().all(|column| column.name != "source"), "{found:?}");
    }
}
