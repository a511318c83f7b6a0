//! Rows of words, each of which has a class: named entities, parts of speech.

use super::examples::Word;
use super::form::{is_blank, text};
use super::label_values::{IGNORED, class_name};
use super::labelled::Columns;
use super::labels::Names;
use super::parse::{Record, Skipped, kind, listed, note_unused, start};
use super::value::{Value, list_in};
use super::{Dataset, Example, LabelSet, Target};
use crate::error::{Error, Result};
use crate::host::Turns;
use crate::loss::IGNORE_INDEX;
use crate::tokenizer::Tokenizer;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::data as msg;

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
    pub notes: Vec<Message>,
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
        self.tag_columns().is_some()
    }

    /// The columns of words and of their classes, by their names.
    pub(super) fn tag_columns(&self) -> Option<(String, String)> {
        let keys = self.keys();
        words(&keys).zip(find(&keys, TAGS))
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
                let columns = listed(&self.columns);
                Error::data(msg::NoWords { columns }).remedy(msg::NameTokens)
            })?;
        let of_tags = given(&columns.labels, "label_columns")?.or_else(|| find(&keys, TAGS));
        let (mut rows, mut skipped) = (Vec::with_capacity(table.len()), Skipped::default());
        for record in table.records() {
            if record.fields.get(&of_words).is_none_or(is_blank) {
                skipped.push(record.number);
                continue;
            }
            let row = read_row(&record, &of_words, of_tags.as_deref());
            rows.push(row.map_err(|error| error.row(record.number))?);
        }
        let mut notes = Vec::new();
        let is_used = |key: &String| *key == of_words || Some(key) == of_tags.as_ref();
        note_unused(&self.columns, is_used, &mut notes);
        skipped.note_rows(&mut notes);
        if rows.is_empty() {
            return Err(Error::data(msg::EveryRowEmpty).remedy(msg::ChooseRowsOfWords));
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
        .map(|column| items(record, column, class_name))
        .transpose()?
        .unwrap_or_default();
    if let (Some(column), true) = (of_tags, tags.len() != words.len()) {
        let (classes, words) = (tags.len(), words.len());
        let error = Error::data(msg::ClassesForWords { classes, words });
        return Err(error.field(column).remedy(msg::GiveEachWordClass));
    }
    Ok(TaggedRow {
        number: record.number,
        words,
        tags,
    })
}

/// A list of texts; in a table, a list as JSON or Python writes it, or words with spaces between.
pub(super) fn list(record: &Record, column: &str) -> Result<Vec<String>> {
    items(record, column, |item| text(item).map(String::from))
}

fn items(record: &Record, column: &str, of_item: fn(&Value) -> Result<String>) -> Result<Vec<String>> {
    let wrong = |what: Message| Error::data(what).field(column).remedy(msg::NotAList);
    let parsed;
    let items = match record.fields.get(column) {
        Some(Value::Array(items)) => items,
        Some(Value::String(words)) if words.trim_start().starts_with('[') => {
            parsed = list_in(words).ok_or_else(|| wrong(msg::NoListThough { text: start(words) }.into()))?;
            &parsed
        }
        Some(Value::String(words)) => return Ok(words.split_whitespace().map(str::to_owned).collect()),
        Some(other) => return Err(wrong(msg::Is { kind: kind(other) }.into())),
        None => return Err(wrong(common::IsMissing.into())),
    };
    let located = |(place, error): (usize, Error)| error.field(format!("{column}[{place}]"));
    let item = |(place, item)| of_item(item).map_err(|error| located((place, error)));
    items.iter().enumerate().map(item).collect()
}

impl Tagged {
    /// The names of a fresh head's outputs.
    ///
    /// # Errors
    /// No classes, one only, or very many.
    pub fn names(&self) -> Result<Vec<String>> {
        let column = self.column_of_classes()?;
        let located = |error: Error| error.file(&self.file).field(column);
        let mut names = Names::default();
        for row in &self.rows {
            for tag in row.tags.iter().filter(|tag| *tag != IGNORED) {
                names.add(tag.clone()).map_err(|error| located(error.row(row.number)))?;
            }
        }
        let names = names.sorted();
        if names.len() < 2 {
            return Err(located(Error::data(msg::OneClassOfWords)));
        }
        Ok(names)
    }

    /// The column of the words' classes.
    ///
    /// # Errors
    /// The file has none.
    pub fn column_of_classes(&self) -> Result<&String> {
        let missing = || Error::data(msg::NoTags).file(&self.file).remedy(msg::NameTags);
        self.columns.1.as_ref().ok_or_else(missing)
    }

    /// The number of a row's class; [`IGNORE_INDEX`] of a word that is marked so.
    fn class(&self, row: &TaggedRow, tag: &str, answer: &LabelSet) -> Result<i32> {
        if tag == IGNORED {
            return Ok(IGNORE_INDEX);
        }
        answer.place_or_error(tag).map(|class| class as i32).map_err(|error| {
            let error = error.file(&self.file).row(row.number);
            error.field(self.columns.1.clone().unwrap_or_default())
        })
    }

    /// The numbers of a row's classes, word by word; [`IGNORE_INDEX`] of words that are marked so.
    ///
    /// # Errors
    /// A file without classes; a class that is none of the answers.
    pub fn classes(&self, row: &TaggedRow, answer: &LabelSet) -> Result<Vec<i32>> {
        self.column_of_classes()?;
        row.tags.iter().map(|tag| self.class(row, tag, answer)).collect()
    }

    /// The first class that is none of the answers.
    pub fn stranger(&self, answer: &LabelSet) -> Option<&String> {
        let is_known = |tag: &String| tag == IGNORED || answer.place(tag).is_some();
        self.rows.iter().flat_map(|row| &row.tags).find(|tag| !is_known(tag))
    }
}

/// Tokenizes rows; a word's class is its first token's, the others have none. Where the file has no classes, every word has
/// the first, so that its place is known. Unless `keep_all`, rows in which no word is asked for its class are left out; `notes`
/// says how many.
///
/// # Errors
/// A class that is none of the answers; no row is left.
pub async fn token_classification_examples(
    tagged: &Tagged,
    answer: &LabelSet,
    (tokenizer, cutoff_len): (&Tokenizer, usize),
    keep_all: bool,
    notes: &mut Vec<Message>,
    turns: &mut Turns<'_, '_>,
) -> Result<Vec<Example>> {
    let (mut unmarked, mut mute) = (Skipped::default(), Skipped::default());
    let frame = super::examples::SpecialTokens::of(tokenizer)?;
    let room = cutoff_len.saturating_sub(frame.before.len() + frame.after.len());
    let total = tagged.rows.len();
    let mut examples = Vec::with_capacity(tagged.rows.len());
    for (index, row) in tagged.rows.iter().enumerate() {
        turns.at(index, total).await?;
        let text = row.words.join(" ");
        let (ids, places) = tokenizer.encode_with_offsets(&text, false)?;
        let mut labels = vec![IGNORE_INDEX; ids.len()];
        let mut words = Vec::with_capacity(row.words.len());
        let (mut start, mut token) = (0, 0);
        for (at, word) in row.words.iter().enumerate() {
            let end = start + word.len();
            // The first token with a part of the word; a space in front of it may belong to it.
            while token < ids.len() && places[token].end <= start {
                token += 1;
            }
            let class = match row.tags.get(at) {
                Some(tag) => tagged.class(row, tag, answer)?,
                None => 0,
            };
            let has_token = token < ids.len() && places[token].start < end;
            if has_token {
                labels[token] = class;
                token += 1;
            }
            words.push(Word {
                text: word.clone(),
                label: row.tags.get(at).filter(|_| class != IGNORE_INDEX).map(|_| class),
                is_asked: has_token && token <= room && class != IGNORE_INDEX,
            });
            start = end + 1;
        }
        let kept = room.min(ids.len());
        if words.iter().any(|word| !word.is_asked && word.label.is_some()) {
            mute.push(row.number);
        }
        if !keep_all && !words.iter().any(|word| word.is_asked) {
            unmarked.push(row.number);
            continue;
        }
        let ignored = |count: usize| vec![IGNORE_INDEX; count];
        let mut labels = [
            ignored(frame.before.len()),
            labels[..kept].to_vec(),
            ignored(frame.after.len()),
        ]
        .concat();
        let mut input_ids = [&frame.before[..], &ids[..kept], &frame.after].concat();
        if input_ids.is_empty() {
            // Nothing is asked of it; a model reads no empty rows.
            input_ids.push(0);
        }
        labels.resize(input_ids.len(), IGNORE_INDEX);
        examples.push(Example {
            labels: ignored(input_ids.len()),
            input_ids,
            row: row.number,
            truncated: kept < ids.len(),
            target: Target::Tokens(labels),
            words,
            ..Example::default()
        });
    }
    notes.extend(mute.said().map(|rows| msg::WordsBeyond { rows }.into()));
    notes.extend(unmarked.said().map(|rows| msg::RowsWithoutClasses { rows }.into()));
    if examples.is_empty() {
        let error = Error::data(msg::NoWordWithClass).file(&tagged.file);
        return Err(error.field(&tagged.columns.0).remedy(msg::GiveWordsClasses));
    }
    turns.at(total, total).await?;
    Ok(examples)
}
