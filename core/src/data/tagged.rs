//! Rows of words, each of which has a class: named entities, parts of speech.

use super::form::{is_blank, text};
use super::labelled::Columns;
use super::parse::{Record, Skipped};
use super::{Dataset, IGNORE};
use crate::data::{Aim, Example};
use crate::error::{Error, Result};
use crate::tokenizer::Tokenizer;
use serde_json::Value;
use std::collections::BTreeSet;

/// Columns with the words.
const WORDS: &[&str] = &["tokens", "words"];
/// Columns with their classes.
const TAGS: &[&str] = &["tags", "ner_tags", "pos_tags", "chunk_tags", "labels"];

/// Rows of words with their classes as the file has them.
#[derive(Debug, Clone, PartialEq)]
pub struct Tagged {
    /// The file's name, for errors.
    pub file: String,
    /// The columns of the words and of the classes; the latter only where the file has them.
    pub columns: (String, Option<String>),
    /// At least one.
    pub rows: Vec<TaggedRow>,
    /// What was skipped.
    pub notes: Vec<String>,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct TaggedRow {
    /// Where it stands in the file, from 1.
    pub number: usize,
    /// At least one.
    pub words: Vec<String>,
    /// One for each word; none where the file has no classes.
    pub tags: Vec<String>,
}

/// The column of words among `keys` (in small letters).
pub(super) fn words(keys: &[String]) -> Option<String> {
    find(keys, WORDS)
}

fn find(keys: &[String], names: &[&str]) -> Option<String> {
    let found = names.iter().find(|name| keys.iter().any(|key| key == *name));
    found.map(|name| (*name).to_owned())
}

impl Dataset {
    /// Whether the file has words with classes.
    pub fn has_tags(&self) -> bool {
        let keys = self.keys();
        words(&keys).is_some() && find(&keys, TAGS).is_some()
    }

    /// The file's rows as [`Tagged`]; the run's `columns` go before those that are recognised.
    ///
    /// # Errors
    /// No column of words; a row without words, or with another number of classes than words.
    pub fn tagged(&self, columns: &Columns) -> Result<Tagged> {
        self.read_tagged(columns).map_err(|error| error.file(&self.name))
    }

    fn read_tagged(&self, columns: &Columns) -> Result<Tagged> {
        let (table, keys) = (self.table()?, self.keys());
        let given = |names: &[String], knob: &str| names.first().map(|name| self.given(name, knob)).transpose();
        let of_words = given(&columns.texts, "text_columns")?
            .or_else(|| words(&keys))
            .ok_or_else(|| {
                let what = format!("no column with words among: {}", self.columns.join(", "));
                Error::data(what).remedy("Name it tokens, or say which it is with text_columns.")
            })?;
        let of_tags = given(&columns.labels, "label_columns")?.or_else(|| find(&keys, TAGS));
        let (mut rows, mut skipped) = (Vec::with_capacity(table.rows.len()), Skipped::default());
        for record in &table.rows {
            if record.fields.get(&of_words).is_none_or(is_blank) {
                skipped.push(record.number);
                continue;
            }
            let row = read_row(record, &of_words, of_tags.as_deref());
            rows.push(row.map_err(|error| error.row(record.number))?);
        }
        let mut notes = Vec::new();
        skipped.note("empty row", &mut notes);
        if rows.is_empty() {
            return Err(Error::data("every row is empty").remedy("Choose a file with words in its rows."));
        }
        Ok(Tagged {
            file: self.name.clone(),
            columns: (of_words, of_tags),
            rows,
            notes,
        })
    }
}

fn read_row(record: &Record, of_words: &str, of_tags: Option<&str>) -> Result<TaggedRow> {
    let words = list(record, of_words)?;
    let tags = of_tags
        .map(|column| list(record, column))
        .transpose()?
        .unwrap_or_default();
    if let (Some(column), true) = (of_tags, tags.len() != words.len()) {
        let what = format!("{} classes for {} words", tags.len(), words.len());
        return Err(Error::data(what).field(column).remedy("Give each word one class."));
    }
    Ok(TaggedRow {
        number: record.number,
        words,
        tags,
    })
}

/// A list of texts; in a table, JSON or words with spaces between.
pub(super) fn list(record: &Record, column: &str) -> Result<Vec<String>> {
    let wrong = |what: String| {
        Error::data(what)
            .field(column)
            .remedy("It must be a list, like [\"a\", \"b\"].")
    };
    let parsed;
    let items = match record.fields.get(column) {
        Some(Value::Array(items)) => items,
        Some(Value::String(words)) if words.trim_start().starts_with('[') => {
            parsed = serde_json::from_str::<Vec<Value>>(words).map_err(|_| wrong("is no list of JSON".into()))?;
            &parsed
        }
        Some(Value::String(words)) => return Ok(words.split_whitespace().map(str::to_owned).collect()),
        Some(other) => return Err(wrong(format!("is {}", super::parse::kind(other)))),
        None => return Err(wrong("is missing".into())),
    };
    items
        .iter()
        .map(|item| text(item).map_err(|error| error.field(column)))
        .collect()
}

impl Tagged {
    /// The names of a fresh head's outputs.
    ///
    /// # Errors
    /// No classes, or one only.
    pub fn names(&self) -> Result<Vec<String>> {
        let column = self.column_of_classes()?;
        let names: BTreeSet<&String> = self.rows.iter().flat_map(|row| &row.tags).collect();
        let mut names: Vec<String> = names.into_iter().cloned().collect();
        if names.len() < 2 {
            let what = "every word has the same class, so there is nothing to learn";
            return Err(Error::data(what).file(&self.file).field(column));
        }
        if names.iter().all(|name| name.parse::<u64>().is_ok()) {
            names.sort_by_key(|name| name.parse::<u64>().unwrap_or(0));
        }
        Ok(names)
    }

    /// The column of the words' classes.
    ///
    /// # Errors
    /// The file has none.
    pub fn column_of_classes(&self) -> Result<&String> {
        self.columns.1.as_ref().ok_or_else(|| {
            let error = Error::data("no column with the words' classes").file(&self.file);
            error.remedy("Name it tags, or say which it is with label_columns.")
        })
    }

    /// The number of a row's class in `names`.
    fn class(&self, row: &TaggedRow, tag: &str, names: &[String]) -> Result<i32> {
        let found = names.iter().position(|name| name == tag);
        found.map(|class| class as i32).ok_or_else(|| {
            let error = Error::data(format!(
                "the class '{tag}' is none of those learnt: {}",
                names.join(", ")
            ));
            error
                .file(&self.file)
                .row(row.number)
                .field(self.columns.1.clone().unwrap_or_default())
        })
    }

    /// The numbers of a row's classes in `names`, word by word.
    ///
    /// # Errors
    /// A file without classes; a class that is not in `names`.
    pub fn classes(&self, row: &TaggedRow, names: &[String]) -> Result<Vec<i32>> {
        self.column_of_classes()?;
        row.tags.iter().map(|tag| self.class(row, tag, names)).collect()
    }

    /// Whether every class is in `names`.
    pub fn fits(&self, names: &[String]) -> bool {
        let known = |tag: &String| names.contains(tag);
        self.columns.1.is_some() && self.rows.iter().all(|row| row.tags.iter().all(known))
    }
}

/// Tokenizes rows; a word's class is its first token's, the others have none. Where the file has no classes, every word has
/// the first, so that its place is known.
///
/// # Errors
/// A class that is not in `names`; a `cutoff_len` that leaves no room.
pub fn tagged_examples(
    tagged: &Tagged,
    names: &[String],
    tokenizer: &Tokenizer,
    cutoff_len: usize,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Example>> {
    let frame = super::examples::Specials::of(tokenizer)?;
    let room = cutoff_len.saturating_sub(frame.before.len() + frame.after.len());
    let total = tagged.rows.len() as u64;
    let mut examples = Vec::with_capacity(tagged.rows.len());
    for (index, row) in tagged.rows.iter().enumerate() {
        progress(index as u64, total);
        let text = row.words.join(" ");
        let (ids, places) = tokenizer.encode_with_offsets(&text, false)?;
        let mut labels = vec![IGNORE; ids.len()];
        let (mut start, mut token) = (0, 0);
        for (at, word) in row.words.iter().enumerate() {
            let end = start + word.len();
            // The first token with a part of the word; a space in front of it may belong to it.
            while token < ids.len() && places[token].end <= start {
                token += 1;
            }
            if token < ids.len() && places[token].start < end {
                labels[token] = match row.tags.get(at) {
                    Some(tag) => tagged.class(row, tag, names)?,
                    None => 0,
                };
                token += 1;
            }
            start = end + 1;
        }
        let kept = room.min(ids.len());
        let ignored = |count: usize| vec![IGNORE; count];
        let labels = [
            ignored(frame.before.len()),
            labels[..kept].to_vec(),
            ignored(frame.after.len()),
        ]
        .concat();
        if labels.iter().all(|&label| label == IGNORE) {
            let error = Error::data("no word is left within cutoff_len")
                .file(&tagged.file)
                .row(row.number);
            return Err(error.field(&tagged.columns.0));
        }
        let input_ids = [&frame.before[..], &ids[..kept], &frame.after].concat();
        examples.push(Example {
            labels: ignored(input_ids.len()),
            input_ids,
            row: row.number,
            truncated: kept < ids.len(),
            aim: Aim::Tokens(labels),
            ..Example::default()
        });
    }
    progress(total, total);
    Ok(examples)
}
