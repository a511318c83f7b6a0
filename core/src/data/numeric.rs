//! Rows of numbers: columns of a table, lists in JSON lines, tables without a header, images (in [`super::idx`]) and time
//! series (in [`super::series`]).
//!
//! Whatever the file, [`Dataset::numeric`] gives rows of one length with their labels beside them, as [`super::labels`] reads
//! those of texts. Every number is finite; [`super::InputScaling`] scales them before a model reads them.

use super::form::is_blank;
use super::label_values::{of_record, shown};
use super::labelled::{Columns, Labelled, LabelledRow, label, names_labels};
use super::parse::{Record, Skipped, Table, ending, key, listed, note_unused, start};
use super::table::is_unnamed;
use super::value::{Budget, Value, list_in};
use super::{Dataset, Example, Target};
use crate::error::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::data as msg;
use std::collections::HashSet;

/// Columns that hold all numbers of a row as one list.
const LISTS: [&str; 5] = ["values", "features", "series", "numbers", "pixels"];

/// Numbers of all windows together at most: half a gigabyte.
const MOST_NUMBERS: usize = 1 << 27;

/// Numbers that take as much memory as a field of a table.
pub(super) const NUMBERS_OF_A_FIELD: usize = 32;

/// How the numbers of a row lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// So many quantities, each of a kind of its own.
    Columns(usize),
    /// A grey image, row after row.
    Image {
        /// Rows of pixels.
        height: usize,
        /// Pixels of a row.
        width: usize,
    },
    /// Steps in time, one after the other.
    Series {
        /// How many.
        steps: usize,
        /// Numbers of a step.
        channels: usize,
    },
}

impl Shape {
    /// How many numbers that are.
    pub fn features(self) -> usize {
        match self {
            Self::Columns(count) => count,
            Self::Image { height, width } => height * width,
            Self::Series { steps, channels } => steps * channels,
        }
    }
}

/// Whether a table of unknown column names is one of numbers: its first row has a list of them, or, in a table whose columns
/// have an order, nothing but numbers beside the label (a column called so, else the last).
pub(super) fn holds_numbers(table: &Table) -> bool {
    let Some(first) = table.records().next() else {
        return false;
    };
    if !table.ordered {
        return LISTS
            .iter()
            .any(|name| first.fields.get(name).is_some_and(Value::is_array));
    }
    let keys: Vec<String> = table.columns().iter().map(|name| key(name)).collect();
    let keys: Vec<String> = keys.into_iter().filter(|key| !is_unnamed(key)).collect();
    let is_number = |key: &&String| first.fields.get(key).is_some_and(|value| number(value).is_ok());
    let beside = match label(&keys) {
        Some(_) => keys.iter().filter(|key| !names_labels(key)).collect::<Vec<_>>(),
        None => {
            let last = keys.len().saturating_sub(1);
            let all = keys.iter().enumerate();
            all.filter(|(place, key)| *place < last || is_number(key))
                .map(|(_, key)| key)
                .collect()
        }
    };
    let is_labelled = label(&keys).is_some();
    beside.len() >= if is_labelled { 1 } else { 2 } && beside.iter().all(is_number)
}

/// The delimiter and the width of a table whose first line is numbers already; `None` of another file.
pub(super) fn begins_with_numbers(name: &str, text: &str) -> Option<(char, usize)> {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let delimiter = match ending(name).as_deref() {
        Some("tsv" | "tab") => '\t',
        Some("csv") if first.contains(',') => ',',
        Some("csv") => ';',
        _ => return None,
    };
    let is_number = |field: &str| field.trim().parse::<f64>().is_ok();
    let width = first.split(delimiter).count();
    (width >= 3 && first.split(delimiter).all(is_number)).then_some((delimiter, width))
}

/// A table whose first line is numbers already, as those of the UCR archive are: each row begins with its label. `None` where
/// the file is another.
pub(super) fn without_header(name: &str, text: &str) -> Result<Option<Labelled>> {
    let Some((delimiter, width)) = begins_with_numbers(name, text) else {
        return Ok(None);
    };
    let (mut rows, mut budget) = (Vec::new(), Budget::new());
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let located = |error: Error| error.row(index + 1);
        budget.row(1 + width / NUMBERS_OF_A_FIELD).map_err(located)?;
        let fields: Vec<&str> = line.split(delimiter).map(str::trim).collect();
        if fields.len() != width {
            let (found, first) = (fields.len(), width);
            let error = Error::data(msg::FieldsUnlikeFirst { found, first });
            return Err(located(error.remedy(msg::RowsOfOneLength)));
        }
        let read = |(place, field): (usize, &&str)| {
            written(field).map_err(|error| located(error.field(msg::InColumn { column: place + 1 })))
        };
        rows.push(LabelledRow {
            number: index + 1,
            values: vec![match fields[0].parse::<f64>() {
                Ok(_) => Value::Number(fields[0].into()),
                Err(_) => Value::String(fields[0].into()),
            }],
            features: fields.iter().enumerate().skip(1).map(read).collect::<Result<_>>()?,
            ..LabelledRow::default()
        });
    }
    Ok(Some(Labelled {
        file: name.to_owned(),
        texts: vec!["values".to_owned()],
        labels: vec!["label".to_owned()],
        rows,
        notes: vec![msg::NoHeader.into()],
        shape: Some(Shape::Series {
            steps: width - 1,
            channels: 1,
        }),
    }))
}

/// A finite number, as a text file writes it.
pub(super) fn written(field: &str) -> Result<f32> {
    let text = field.trim();
    if text.is_empty() || text == "?" {
        return Err(missing());
    }
    finite(text.parse::<f64>().ok(), text)
}

fn number(value: &Value) -> Result<f32> {
    match value {
        Value::String(text) => written(text),
        Value::Null => Err(missing()),
        other => finite(other.as_f64(), &shown(other)),
    }
}

fn finite(number: Option<f64>, written: &str) -> Result<f32> {
    let written: String = written.chars().take(40).collect();
    let number = number.ok_or_else(|| {
        let error = Error::data(msg::NoNumber { got: &written });
        error.remedy(comma(&written).unwrap_or_else(|| msg::CorrectOrLeaveColumnOut.into()))
    })?;
    if (number as f32).is_finite() {
        return Ok(number as f32);
    }
    Err(Error::data(common::NotFinite { got: written }).remedy(msg::CorrectOrDelete))
}

/// What to do about a number with a decimal comma, as spreadsheets of many countries write it: 1,234 may also be a thousand.
pub(super) fn comma(written: &str) -> Option<Message> {
    let is_number = written.contains(',') && written.replacen(',', ".", 1).parse::<f64>().is_ok();
    is_number.then(|| msg::DecimalPoint.into())
}

fn missing() -> Error {
    Error::data(msg::NumberMissing).remedy(msg::FillIn)
}

impl Dataset {
    /// The file's rows as numbers with labels; the run's `columns` go before those that are recognised: of a table all but the
    /// label are the numbers. With a window, its rows are steps in time.
    ///
    /// # Errors
    /// A text; a column that is not there; a row with something else than finite numbers, or with more or fewer of them than
    /// the first.
    pub fn numeric(&self, columns: &Columns) -> Result<Labelled> {
        self.read_numeric(columns).map_err(|error| error.file(&self.name))
    }

    fn read_numeric(&self, columns: &Columns) -> Result<Labelled> {
        let given = |names: &[String], knob: &str| -> Result<Vec<String>> {
            names.iter().map(|name| self.given(name, knob)).collect()
        };
        let labels = given(&columns.labels, "label_columns")?;
        if let Some(read) = &self.numbers {
            if columns.window.is_some() {
                return Err(no_table());
            }
            return Ok(read.as_ref().clone());
        }
        let Some(table) = self.table.as_deref() else {
            return Err(Error::data(msg::TextForNumbers).remedy(msg::TakeNumbers));
        };
        let (mut keys, first) = (self.keys(), table.records().next());
        // Columns without a name number the rows, or are empty.
        keys.retain(|key| !is_unnamed(key));
        let target = labels.first().cloned();
        let labels = match (labels.is_empty(), label(&keys), keys.last()) {
            // The target is one of the columns that go in.
            _ if columns.window.is_some() => Vec::new(),
            (false, ..) => labels,
            (true, Some(label), _) => vec![label],
            (true, None, Some(last))
                if table.ordered
                    && first.is_some_and(|row| row.fields.get(last).is_some_and(|v| number(v).is_err())) =>
            {
                vec![last.clone()]
            }
            _ => Vec::new(),
        };
        let list = LISTS.into_iter().find(|name| keys.iter().any(|key| key == name));
        let numbers: Vec<String> = match (columns.texts.is_empty(), list) {
            (false, _) => given(&columns.texts, "text_columns")?,
            (true, Some(list)) => vec![list.to_owned()],
            (true, None) => keys.into_iter().filter(|key| !labels.contains(key)).collect(),
        };
        if numbers.is_empty() {
            return Err(Error::data(msg::OnlyLabelColumn).remedy(msg::GiveNumberColumns));
        }
        if let Some(both) = numbers.iter().find(|name| labels.contains(name)) {
            return Err(Error::config(msg::NumberAndLabel).field(both));
        }
        let (mut rows, mut shape, mut skipped) = (Vec::with_capacity(table.len()), None, Skipped::default());
        for record in table.records() {
            let is_empty = |name: &String| record.fields.get(name).is_none_or(is_blank);
            if numbers.iter().chain(&labels).all(is_empty) {
                skipped.push(record.number);
                continue;
            }
            let located = |error: Error| error.row(record.number);
            let (found, values) = read_row(&record, &numbers).map_err(located)?;
            let wanted = *shape.get_or_insert(found);
            if found != wanted {
                let (found, first) = (counted(found), counted(wanted));
                let error = Error::data(msg::SizeUnlikeFirst { found, first }).field(&numbers[0]);
                return Err(located(error.remedy(msg::CutOrFillUp)));
            }
            rows.push(LabelledRow {
                number: record.number,
                values: labels.iter().map(|name| of_record(&record, name)).collect(),
                features: values.into(),
                ..LabelledRow::default()
            });
        }
        let mut notes = Vec::new();
        note_unused(
            &self.columns,
            |key| numbers.contains(key) || labels.contains(key),
            &mut notes,
        );
        skipped.note_rows(&mut notes);
        if rows.is_empty() {
            return Err(Error::data(msg::EveryRowEmpty).remedy(msg::ChooseRowsOfNumbers));
        }
        let read = Labelled {
            file: self.name.clone(),
            texts: numbers,
            labels,
            rows,
            notes,
            shape,
        };
        match columns.window {
            Some(length) => windows(read, length, target),
            None => Ok(read),
        }
    }

    /// Whether all `names` are columns of the file.
    pub fn has_columns(&self, names: &[String]) -> bool {
        let keys: HashSet<String> = self.keys().into_iter().collect();
        names.iter().all(|name| keys.contains(&key(name)))
    }
}

/// Each stretch of `length` rows as one row, whose label is what the column `target` (else the last) has in the row that
/// follows.
fn windows(read: Labelled, length: usize, target: Option<String>) -> Result<Labelled> {
    let Some(Shape::Columns(channels)) = read.shape else {
        return Err(no_table());
    };
    let place = match &target {
        Some(target) => read.texts.iter().position(|name| name == target),
        None => channels.checked_sub(1),
    };
    let Some(place) = place else {
        let error = Error::config(msg::TargetGoesIn).field("label_columns");
        let columns = listed(&read.texts);
        return Err(error.remedy(msg::TheyAre { columns }));
    };
    let rows = read.rows.len();
    if rows <= length {
        let error = Error::data(msg::NoWindow { rows, length }).field("forecast_window");
        return Err(error.remedy(msg::ShorterOrMoreRows));
    }
    if (rows - length).saturating_mul(length * channels) > MOST_NUMBERS {
        let error = Error::data(msg::WindowsBeyondMemory { length, rows }).field("forecast_window");
        return Err(error.remedy(msg::ShorterOrFewerRows));
    }
    let row = |end: usize| LabelledRow {
        number: read.rows[end].number,
        values: vec![Value::from(read.rows[end].features[place])],
        features: read.rows[end - length..end]
            .iter()
            .flat_map(|row| row.features.iter().copied())
            .collect(),
        ..LabelledRow::default()
    };
    Ok(Labelled {
        labels: vec![read.texts[place].clone()],
        rows: (length..rows).map(row).collect(),
        shape: Some(Shape::Series {
            steps: length,
            channels,
        }),
        file: read.file,
        texts: read.texts,
        notes: read.notes,
    })
}

fn no_table() -> Error {
    let error = Error::data(msg::NoTimeTable).field("forecast_window");
    error.remedy(msg::TakeTimeTable)
}

fn counted(shape: Shape) -> Message {
    let count = shape.features();
    match shape {
        Shape::Series { steps, channels } if channels > 1 => msg::StepsOfNumbers { steps, channels }.into(),
        _ => msg::Numbers { count }.into(),
    }
}

/// A row's numbers: one a column, or the list in the only one.
fn read_row(record: &Record, columns: &[String]) -> Result<(Shape, Vec<f32>)> {
    if let [column] = columns {
        let parsed;
        let items = match record.fields.get(column) {
            Some(Value::Array(items)) => Some(items),
            Some(Value::String(text)) if text.trim_start().starts_with('[') => {
                let wrong = || Error::data(msg::NoListThough { text: start(text) }).field(column);
                parsed = list_in(text).ok_or_else(wrong)?;
                Some(&parsed)
            }
            _ => None,
        };
        if let Some(items) = items {
            return read_list(items, column);
        }
    }
    let one = |column: &String| {
        let value = record.fields.get(column).unwrap_or(&Value::Null);
        number(value).map_err(|error| error.field(column))
    };
    let values = columns.iter().map(one).collect::<Result<Vec<_>>>()?;
    Ok((Shape::Columns(values.len()), values))
}

/// A list of numbers, or of steps that are lists of them.
fn read_list(items: &[Value], column: &str) -> Result<(Shape, Vec<f32>)> {
    let channels = items.first().and_then(Value::as_array).map_or(1, Vec::len);
    let is_flat = !items.first().is_some_and(Value::is_array);
    let mut values = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let located = |error: Error| error.field(format!("{column}[{place}]"));
        match item.as_array() {
            None if is_flat => values.push(number(item).map_err(located)?),
            Some(step) if !is_flat && step.len() == channels => {
                for value in step {
                    values.push(number(value).map_err(located)?);
                }
            }
            _ => return Err(located(Error::data(msg::UnlikeSteps))),
        }
    }
    if values.is_empty() {
        return Err(Error::data(msg::ListEmpty).field(column).remedy(msg::FillIn));
    }
    let steps = items.len();
    Ok((Shape::Series { steps, channels }, values))
}

/// Rows as examples, with their labels where `answer` says what those mean.
///
/// # Errors
/// As [`Labelled::targets`].
pub fn numeric_examples(labelled: &Labelled, answer: Option<&super::LabelSet>) -> Result<Vec<Example>> {
    let example = |row: &LabelledRow| {
        Ok(Example {
            features: row.features.clone(),
            row: row.number,
            target: match answer {
                Some(answer) => Target::Row(labelled.targets(row, answer)?),
                None => Target::default(),
            },
            ..Example::default()
        })
    };
    labelled.rows.iter().map(example).collect()
}
