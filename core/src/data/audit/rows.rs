//! Rows as an audit reads them: the text that a run would read, the label, and what is empty, without refusing a row.

use crate::data::form::is_blank;
use crate::data::label_values;
use crate::data::labelled;
use crate::data::parse::{Record, Table};
use crate::data::table::is_unnamed;
use crate::data::value::Value;
use crate::data::{Columns, Content, Dataset, Schema};
use crate::error::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::audit as msg;
use std::borrow::Cow;

/// A row with something in it.
pub(super) struct AuditRow<'a> {
    pub number: usize,
    /// All that is read, with line ends between fields.
    pub text: Cow<'a, str>,
    /// How many bytes of it stand in front of the first answer; none where all of it is learnt, or a label.
    pub prompt: Option<usize>,
    /// None where there is no label column, or nothing in it.
    pub label: Option<String>,
    /// What a copy has in common with it beside text and label; see [`Roles::fields`].
    pub fields: Option<String>,
}

/// A file's rows.
pub(super) struct AuditRows<'a> {
    pub rows: Vec<AuditRow<'a>>,
    /// The numbers and texts of rows without a text, or without an answer.
    pub empty: Vec<(usize, String)>,
    /// The columns that are read as text, and as labels.
    pub texts: Vec<String>,
    pub labels: Vec<String>,
    /// Whether the labels are of words.
    pub is_tagged: bool,
    /// What was taken without being named.
    pub notes: Vec<Message>,
}

/// What the columns of a table are.
pub(super) struct Roles {
    pub texts: Vec<String>,
    pub labels: Vec<String>,
    answer: Option<String>,
    /// The columns that copies have in common.
    compared: Vec<String>,
    is_tagged: bool,
    notes: Vec<Message>,
}

/// Columns that number rows.
const NUMBERS: [&str; 3] = ["id", "idx", "index"];

impl Roles {
    /// As a run has them that names `columns`: words with their classes, a text with its label where there are both, else what is
    /// continued or answered.
    ///
    /// # Errors
    /// A column that is not there.
    pub fn of(dataset: &Dataset, table: &Table, columns: &Columns) -> Result<Self> {
        let mut roles = Self::read(dataset, table, columns)?;
        // A run takes more of these than a text and a label: other classes of words, negatives, grades, the worse answer.
        roles.compared = match dataset.has_tags() || dataset.has_ranking() || dataset.has_preferences() {
            true => {
                let is_content = |key: &String| !is_unnamed(key) && !NUMBERS.contains(&key.as_str());
                dataset.keys().into_iter().filter(is_content).collect()
            }
            false if roles.labels.is_empty() => {
                let others = dataset.used.iter().filter(|name| !roles.texts.contains(name));
                roles.texts.iter().chain(others).cloned().collect()
            }
            false => roles.texts.clone(),
        };
        Ok(roles)
    }

    fn read(dataset: &Dataset, table: &Table, columns: &Columns) -> Result<Self> {
        let mut notes = Vec::new();
        // A label column beside a text may be that of the text.
        let has_text = labelled::text(&dataset.keys()).is_some();
        let is_of_words = match columns.labels.as_slice() {
            [] => columns.texts.is_empty(),
            [_] => columns.texts.is_empty() && !has_text,
            _ => false,
        };
        if let Some((words, tags)) = dataset.tag_columns().filter(|_| is_of_words) {
            let given = columns.labels.first();
            let given = given.map(|name| dataset.given(name, "label_columns")).transpose()?;
            return Ok(Self {
                texts: vec![words],
                labels: vec![given.unwrap_or(tags)],
                answer: None,
                compared: Vec::new(),
                is_tagged: true,
                notes,
            });
        }
        let by_form = dataset.form == Schema::Text || dataset.has_labelled_pairs();
        if dataset.has_labels(columns) && (by_form || !columns.labels.is_empty()) {
            let (texts, labels) = dataset.roles(table, columns, &mut notes)?;
            return Ok(Self {
                texts,
                labels,
                answer: None,
                compared: Vec::new(),
                is_tagged: false,
                notes,
            });
        }
        let texts = match columns.texts.is_empty() {
            true => dataset.used.clone(),
            false => {
                let given = columns.texts.iter().map(|name| dataset.given(name, "text_columns"));
                given.collect::<Result<Vec<_>>>()?
            }
        };
        notes.extend(dataset.text_notes.iter().cloned());
        Ok(Self {
            answer: dataset.answer.clone().filter(|answer| texts.contains(answer)),
            texts,
            labels: Vec::new(),
            compared: Vec::new(),
            is_tagged: false,
            notes,
        })
    }

    /// What is the same in rows that are copies, beside text and label; none where those are all. Of files with classes of words,
    /// rankings or preferences these are all columns but those that number rows, else all that a run reads.
    pub fn fields(&self, record: &Record) -> Option<String> {
        if let [name] = self.compared.as_slice()
            && self.texts.contains(name)
            && matches!(record.fields.get(name), None | Some(Value::String(_)))
        {
            return None;
        }
        let mut fields = String::new();
        for name in &self.compared {
            // JSON has no line ends of its own.
            fields.push('\n');
            match record.fields.get(name).filter(|value| !is_blank(value)) {
                Some(Value::String(text)) => fields += &Value::String(text.trim().into()).to_string(),
                Some(value) => fields += &value.to_string(),
                None => {}
            }
        }
        Some(fields)
    }

    /// The text of a row, where its first answer begins, and whether there is nothing to read or to learn.
    pub fn text<'a>(&self, record: &Record<'a>) -> (Cow<'a, str>, Option<usize>, bool) {
        let fields: Vec<Option<&'a Value>> = self.texts.iter().map(|name| record.fields.get(name)).collect();
        let is_blank_field = |field: Option<&Value>| field.is_none_or(is_blank);
        let is_empty = match (&self.answer, self.labels.is_empty()) {
            // Both texts of a pair are needed.
            (_, false) => fields.iter().copied().any(is_blank_field),
            (Some(answer), _) => is_blank_field(record.fields.get(answer)),
            (None, _) => fields.iter().copied().all(is_blank_field),
        };
        if let [Some(Value::String(text))] = fields.as_slice() {
            return (Cow::Borrowed(text.as_str()), None, is_empty);
        }
        let (mut text, mut prompt) = (String::new(), None);
        for name in &self.texts {
            if self.answer.as_ref() == Some(name) {
                prompt.get_or_insert(text.len());
            }
            if let Some(value) = record.fields.get(name) {
                add(value, &mut text, &mut prompt);
            }
        }
        let is_empty = is_empty || text.trim().is_empty();
        (Cow::Owned(text), prompt, is_empty)
    }

    /// What stands in the label columns.
    pub fn label(&self, record: &Record) -> Option<String> {
        let names = self.labels.iter().map(|column| {
            let value = label_values::of_record(record, column);
            match value {
                Value::Null => String::new(),
                value => label_values::class_name(&value).unwrap_or_else(|_| value.to_string()),
            }
        });
        let names: Vec<String> = names.collect();
        let is_there = names.iter().any(|name| !name.is_empty());
        is_there.then(|| names.join(", "))
    }
}

/// Reads the rows of a file.
///
/// # Errors
/// A file of numbers; a column that is not there.
pub(super) fn rows<'a>(dataset: &'a Dataset, columns: &Columns) -> Result<AuditRows<'a>> {
    if dataset.form == Schema::Numbers {
        let error = Error::data(msg::NumbersAreNotAudited).file(&dataset.name);
        return Err(error.remedy(msg::AuditTexts));
    }
    let Some(table) = &dataset.table else {
        return Ok(paragraphs(dataset));
    };
    let roles = Roles::of(dataset, table, columns).map_err(|error| error.file(&dataset.name))?;
    let (mut rows, mut empty) = (Vec::with_capacity(table.len()), Vec::new());
    for record in table.records() {
        let (text, prompt, is_empty) = roles.text(&record);
        let number = record.number;
        match is_empty {
            true => empty.push((number, text.into_owned())),
            false => rows.push(AuditRow {
                number,
                text,
                prompt,
                label: roles.label(&record),
                fields: roles.fields(&record),
            }),
        }
    }
    Ok(AuditRows {
        rows,
        empty,
        texts: roles.texts,
        labels: roles.labels,
        is_tagged: roles.is_tagged,
        notes: roles.notes,
    })
}

/// The paragraphs of a text without columns, by the lines in which they begin.
fn paragraphs(dataset: &Dataset) -> AuditRows<'_> {
    let mut rows = Vec::new();
    for row in &dataset.rows {
        let Content::Text(text) = &row.content else { continue };
        let (mut line, mut start, mut at) = (1, None, 0);
        // One blank line more ends the last paragraph.
        for of_line in text.split_inclusive('\n').chain(["\n"]) {
            match (of_line.trim().is_empty(), start) {
                (true, Some((number, from))) => {
                    rows.push(AuditRow {
                        number,
                        text: Cow::Borrowed(&text[from..at]),
                        prompt: None,
                        label: None,
                        fields: None,
                    });
                    start = None;
                }
                (false, None) => start = Some((line, at)),
                _ => {}
            }
            line += 1;
            at = (at + of_line.len()).min(text.len());
        }
    }
    AuditRows {
        rows,
        empty: Vec::new(),
        texts: Vec::new(),
        labels: Vec::new(),
        is_tagged: false,
        notes: Vec::new(),
    }
}

/// Roles of turns that are learnt.
const ANSWERING: [&str; 7] = ["assistant", "gpt", "chatgpt", "bing", "bard", "bot", "model"];

/// Adds the texts in a value; of turns what was said, with the place of the first answer.
fn add(value: &Value, text: &mut String, answer: &mut Option<usize>) {
    match value {
        Value::Null => {}
        Value::String(part) => push(text, part),
        Value::Number(_) | Value::Bool(_) => push(text, &value.to_string()),
        Value::Array(items) => items.iter().for_each(|item| add(item, text, answer)),
        Value::Object(fields) => {
            let named = |names: [&str; 2]| {
                let field = fields.iter().find(|(name, _)| names.contains(&&**name));
                field.map(|(_, value)| value)
            };
            match (named(["role", "from"]), named(["content", "value"])) {
                (Some(Value::String(role)), Some(content)) => {
                    if ANSWERING.contains(&role.trim().to_lowercase().as_str()) {
                        answer.get_or_insert(text.len());
                    }
                    add(content, text, answer);
                }
                _ => {
                    let said = fields.iter().filter(|(name, _)| &**name != "type");
                    said.for_each(|(_, value)| add(value, text, answer));
                }
            }
        }
    }
}

fn push(text: &mut String, part: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(part);
}
