//! Whether the first row of a table names its columns or is a row like the others.
//!
//! It is taken as names unless it cannot be: all of it is numbers, a value of it comes again below in a column of few values, as
//! labels do, or it holds a sentence (four words or more and a full stop). A row with a name that data sets use is always names.

use super::form::{is_blank, is_column_name};
use super::parse::{Table, key, listed};
use super::roles::is_column_word;
use super::value::Value;
use crate::error::Result;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::data as msg;
use std::collections::HashSet;

/// Rows that are looked at.
const MOST_ROWS: usize = 5000;

/// Different values of a column whose values come again.
const MOST_VALUES: usize = 50;

/// Words of a name, at most, among which one that data sets use says something.
const NAME_WORDS: usize = 3;

/// Words of a sentence, at least.
const SENTENCE_WORDS: usize = 4;

/// Puts the first row of a table, which was read with the names of `named`, in its place: above it, or among its rows. `header` is
/// what the run says; `named` also has what is to be said of those names.
pub(super) fn settle(
    mut table: Table,
    (number, first): (usize, Vec<Value>),
    header: Option<bool>,
    named: Result<Vec<Message>>,
    notes: &mut Vec<Message>,
) -> Result<Table> {
    let is_data = match (header, &named) {
        (Some(header), _) => !header,
        (None, Err(_)) => false,
        (None, Ok(_)) => is_data(&first, &table),
    };
    if !is_data {
        notes.extend(named?);
        return Ok(table);
    }
    table.put_first(number, first);
    if header.is_none() {
        let columns = listed(table.columns());
        notes.push(msg::FirstRowIsData { columns }.into());
    }
    Ok(table)
}

fn is_data(first: &[Value], table: &Table) -> bool {
    let mut names = first.iter().filter_map(text);
    let is_name = |name: &str| {
        let key = key(name);
        is_column_name(&key) || name.split_whitespace().count() <= NAME_WORDS && is_column_word(&key)
    };
    if names.clone().any(is_name) {
        return false;
    }
    if first.len() > 1 && first.iter().all(|value| matches!(value, Value::Number(_))) {
        return true;
    }
    let is_sentence = |text: &str| {
        let ends = text.trim_end().ends_with(['.', '!', '。', '！']);
        ends && text.split_whitespace().count() >= SENTENCE_WORDS
    };
    let mut places = first.iter().zip(table.columns());
    names.any(is_sentence) || places.any(|(value, column)| comes_again(value, table, column))
}

/// Whether a value of the first row stands twice and more among the few of its column.
fn comes_again(value: &Value, table: &Table, column: &str) -> bool {
    let Some(value) = text(value) else {
        return false;
    };
    let (column, mut again) = (key(column), 0);
    let mut known = HashSet::new();
    for record in table.records().take(MOST_ROWS) {
        let Some(other) = record.fields.get(&column).filter(|other| !is_blank(other)) else {
            continue;
        };
        let other = match other {
            Value::String(text) => text.trim().to_owned(),
            other => other.to_string(),
        };
        again += usize::from(other == value);
        known.insert(other);
        if known.len() > MOST_VALUES {
            return false;
        }
    }
    again >= 2
}

/// The text of a value that is one and not blank.
fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text.trim()).filter(|text| !text.is_empty()),
        _ => None,
    }
}
