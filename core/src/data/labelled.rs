//! Rows of tasks whose answer is not the text itself: which columns hold the text, which hold what is to be answered.
//!
//! Columns are recognised by their names, as data sets call them, or given by the run. What the values of the label columns
//! mean is [`super::label_values`]' matter.

use super::Dataset;
use super::form::{is_blank, required};
use super::label_values;
use super::numeric::Shape;
use super::parse::{Record, Skipped, Table, key, listed, note_unused, start};
use super::table::is_unnamed;
use super::text::Text;
use super::value::Value;
use crate::config::RunConfig;
use crate::error::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::data as msg;
use std::sync::Arc;

/// Columns with a text.
const TEXTS: &[&str] = &[
    "text", "sentence", "content", "review", "comment", "tweet", "document", "title", "question", "query", "abstract",
    "文本", "内容", "评论", "句子", "标题",
];

/// Columns with two texts that are read together.
const PAIRS: &[(&str, &str)] = &[
    ("sentence1", "sentence2"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("sentence_a", "sentence_b"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("question", "answer"),
    ("question", "passage"),
    ("question", "context"),
    ("query", "document"),
    ("query", "passage"),
];

/// Columns with what is to be answered.
const LABELS: &[&str] = &[
    "label",
    "labels",
    "class",
    "classes",
    "category",
    "target",
    "targets",
    "score",
    "similarity",
    "rating",
    "sentiment",
    "标签",
    "类别",
    "分类",
    "情感",
];

/// The columns that a run names; none where they are to be recognised.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Columns {
    /// One with the text, or two with a pair; of numbers, all that go in.
    pub texts: Vec<String>,
    /// With what is to be answered.
    pub labels: Vec<String>,
    /// Of a table whose rows follow each other in time: how many of them go in to tell the next.
    pub window: Option<usize>,
}

impl Columns {
    /// As a run file names them.
    pub fn of(config: &RunConfig) -> Self {
        Self {
            texts: config.text_columns.clone(),
            labels: config.label_columns.clone(),
            window: config.forecast_window,
        }
    }
}

/// Rows with their labels as the file has them.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled {
    /// The file's name, for errors.
    pub file: String,
    /// The names of the columns with the text, or with the numbers.
    pub texts: Vec<String>,
    /// The label columns' names; none where the file has no labels.
    pub labels: Vec<String>,
    /// At least one.
    pub rows: Vec<LabelledRow>,
    /// What was skipped.
    pub notes: Vec<Message>,
    /// How the numbers of a row lie; none of texts.
    pub shape: Option<Shape>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LabelledRow {
    /// Where it stands in the file, from 1.
    pub number: usize,
    /// Never blank; of numbers empty.
    pub text: Text,
    /// What it is read together with.
    pub second: Option<Text>,
    /// One value a label column; null where it is blank.
    pub values: Vec<Value>,
    /// What stands in place of a text.
    pub features: Arc<[f32]>,
}

/// The column of the text among `keys` (in small letters).
pub(super) fn text(keys: &[String]) -> Option<String> {
    find(keys, TEXTS)
}

/// The columns of a pair.
pub(super) fn pair(keys: &[String]) -> Option<(String, String)> {
    let has = |name: &str| keys.iter().any(|key| key == name);
    let found = PAIRS.iter().find(|(first, second)| has(first) && has(second));
    found.map(|(first, second)| ((*first).to_owned(), (*second).to_owned()))
}

/// The column of the label.
pub(super) fn label(keys: &[String]) -> Option<String> {
    find(keys, LABELS)
}

/// Whether columns of this name hold what is to be answered.
pub(super) fn names_labels(key: &str) -> bool {
    LABELS.contains(&key)
}

/// Whether a column's name is known.
pub(super) fn is_known(key: &str) -> bool {
    let is_of_pair = PAIRS.iter().any(|(first, second)| [first, second].contains(&&key));
    is_of_pair || TEXTS.contains(&key) || names_labels(key)
}

/// Whether the second of a pair is the answer to the first.
fn is_prompted((_, second): &(String, String)) -> bool {
    second == "answer"
}

fn find(keys: &[String], names: &[&str]) -> Option<String> {
    let found = names.iter().find(|name| keys.iter().any(|key| key == *name));
    found.map(|name| (*name).to_owned())
}

impl Dataset {
    /// The file's rows as [`Labelled`]; the run's `columns` go before those that are recognised.
    ///
    /// # Errors
    /// A file without columns, or without a column for the text; a column that is not there; a row without text.
    pub fn labelled(&self, columns: &Columns) -> Result<Labelled> {
        let table = self.table()?;
        self.read_labelled(table, columns)
            .map_err(|error| error.file(&self.name))
    }

    /// Whether a label column is there, recognised or given.
    pub fn has_labels(&self, columns: &Columns) -> bool {
        !columns.labels.is_empty() || self.guess.is_some() || self.keys().iter().any(|key| names_labels(key))
    }

    /// Whether rows are two texts that are read together, with a label, by the names of the columns: such as premise, hypothesis and
    /// label. A prompt and its answer are none.
    pub fn has_labelled_pairs(&self) -> bool {
        let keys = self.keys();
        label(&keys).is_some() && pair(&keys).is_some_and(|pair| !is_prompted(&pair))
    }

    /// The columns' names in small letters.
    pub(super) fn keys(&self) -> Vec<String> {
        self.columns.iter().map(|name| key(name)).collect()
    }

    pub(super) fn table(&self) -> Result<&Table> {
        if self.numbers.is_some() {
            return Err(self.only_numbers());
        }
        self.table.as_deref().ok_or_else(|| {
            Error::data(msg::TextWithoutRows)
                .file(&self.name)
                .remedy(msg::TakeTextAndLabel)
        })
    }

    /// What a model that reads texts says to a file of numbers.
    pub(super) fn only_numbers(&self) -> Error {
        let error = Error::data(msg::NumbersForTexts).file(&self.name);
        error.remedy(msg::TakeModelOfNumbers)
    }

    /// A column that the run names, in small letters.
    pub(super) fn given(&self, name: &str, knob: &str) -> Result<String> {
        let key = key(name);
        if self.keys().contains(&key) {
            return Ok(key);
        }
        let (column, columns) = (start(name), listed(&self.columns));
        let error = Error::data(msg::NoSuchColumn { column, columns }).field(name);
        Err(error.remedy(msg::Correct { key: knob }))
    }

    /// The columns with the text and those with the label; `notes` says which were taken without being named.
    pub(super) fn roles(
        &self,
        table: &Table,
        columns: &Columns,
        notes: &mut Vec<Message>,
    ) -> Result<(Vec<String>, Vec<String>)> {
        let keys = self.keys();
        let given = |names: &[String], knob: &str| -> Result<Vec<String>> {
            names.iter().map(|name| self.given(name, knob)).collect()
        };
        let labels = match columns.labels.is_empty() {
            false => given(&columns.labels, "label_columns")?,
            true => label(&keys).into_iter().collect(),
        };
        // What is named, known or given goes before what was guessed.
        let guess = self.guess.as_ref().filter(|_| columns.labels.is_empty());
        let is_guessed = labels.is_empty() && guess.is_some();
        let labels = match guess {
            Some(guess) if labels.is_empty() => vec![guess.label.clone()],
            _ => labels,
        };
        let known = (pair(&keys), text(&keys).filter(|text| !labels.contains(text)));
        let texts = match (columns.texts.as_slice(), known.0, known.1) {
            ([], Some((first, second)), _) => vec![first, second],
            ([], None, Some(text)) => vec![text],
            ([], None, None) => {
                let is_other = |key: &&String| !labels.contains(key) && !is_unnamed(key);
                match keys.iter().filter(is_other).collect::<Vec<_>>().as_slice() {
                    [only] if table.ordered && !labels.is_empty() && !is_guessed => {
                        let place = keys.iter().position(|key| key == *only).unwrap_or(0);
                        let column = start(&self.columns[place]);
                        notes.push(msg::TakenAsText { column }.into());
                        vec![(*only).clone()]
                    }
                    _ => match guess.filter(|guess| labels.contains(&guess.label)) {
                        Some(guess) => vec![guess.text.clone()],
                        None => {
                            let columns = listed(&self.columns);
                            return Err(Error::data(msg::NoTextColumn { columns }).remedy(msg::NameText));
                        }
                    },
                }
            }
            ([_] | [_, _], ..) => given(&columns.texts, "text_columns")?,
            (more, ..) => {
                let got = more.len();
                return Err(Error::config(msg::NotOneOrTwoTexts { got }).field("text_columns"));
            }
        };
        if let Some(both) = texts.iter().find(|name| labels.contains(name)) {
            return Err(Error::config(msg::TextAndLabel).field(both));
        }
        if is_guessed && let (Some(guess), [text]) = (guess, texts.as_slice()) {
            let shown = |of: &str| {
                start(
                    self.columns
                        .iter()
                        .find(|name| key(name) == of)
                        .map_or(of, String::as_str),
                )
            };
            let (text, label) = (shown(text), shown(&guess.label));
            notes.push(match guess.by_name {
                true => msg::LabelledByNames { text, label }.into(),
                false => msg::LabelledByValues { text, label }.into(),
            });
        }
        Ok((texts, labels))
    }

    fn read_labelled(&self, table: &Table, columns: &Columns) -> Result<Labelled> {
        let mut notes = Vec::new();
        let (texts, labels) = self.roles(table, columns, &mut notes)?;
        let used: Vec<&String> = texts.iter().chain(&labels).collect();
        let mut skipped = Skipped::default();
        let mut rows = Vec::with_capacity(table.len());
        for record in table.records() {
            let is_empty = |name: &&String| record.fields.get(name).is_none_or(is_blank);
            if used.iter().all(is_empty) {
                skipped.push(record.number);
                continue;
            }
            let row = read_row(&record, &texts, &labels);
            rows.push(row.map_err(|error| error.row(record.number))?);
        }
        note_unused(
            &self.columns,
            |key| texts.contains(key) || labels.contains(key),
            &mut notes,
        );
        skipped.note_rows(&mut notes);
        if rows.is_empty() {
            return Err(Error::data(msg::EveryRowEmpty).remedy(msg::ChooseRowsOfText));
        }
        Ok(Labelled {
            file: self.name.clone(),
            texts,
            labels,
            rows,
            notes,
            shape: None,
        })
    }
}

fn read_row(record: &Record, texts: &[String], labels: &[String]) -> Result<LabelledRow> {
    let second = texts.get(1).map(|name| required(record, name)).transpose()?;
    Ok(LabelledRow {
        number: record.number,
        text: required(record, &texts[0])?,
        second,
        values: labels
            .iter()
            .map(|name| label_values::of_record(record, name))
            .collect(),
        ..LabelledRow::default()
    })
}
