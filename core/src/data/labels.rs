//! What the values of label columns mean: classes, any number of labels, or numbers; and rows with them as examples.

use super::examples::Specials;
use super::form::text;
use super::idx::labels_of;
use super::labelled::{Labelled, LabelledRow};
use super::numeric::Shape;
use super::{Aim, Example, IGNORE};
use crate::error::{Error, Result};
use crate::tokenizer::Tokenizer;
use serde_json::Value;
use std::collections::BTreeSet;

/// What is answered to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelKind {
    /// One class of several.
    Class,
    /// Any number of labels.
    Labels,
    /// Numbers, one a label column (or a list in one).
    Numbers,
    /// One class of several for each word.
    Tags,
}

/// Mean and deviation of the numbers of a regression, one pair a target: a scaled number is (y − mean) / deviation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scaling(pub Vec<(f64, f64)>);

impl Scaling {
    /// Of the targets of `examples`, `width` a row; the deviation of a constant is 1.
    pub fn of(examples: &[Example], width: usize) -> Self {
        let moments = |target: usize| {
            let values = || {
                examples.iter().filter_map(move |example| match &example.aim {
                    Aim::Row(values) => values.get(target).map(|&value| f64::from(value)),
                    _ => None,
                })
            };
            let count = values().count().max(1) as f64;
            let mean = values().sum::<f64>() / count;
            let deviation = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
            (mean, if deviation > 0.0 { deviation } else { 1.0 })
        };
        Self((0..width).map(moments).collect())
    }

    /// Scales the targets of `examples`.
    pub fn apply(&self, examples: &mut [Example]) {
        for example in examples {
            if let Aim::Row(values) = &mut example.aim {
                for (target, value) in values.iter_mut().enumerate() {
                    *value = self.scaled(target, f64::from(*value)) as f32;
                }
            }
        }
    }

    /// A target of column `target`, scaled; as it is where nothing is scaled.
    pub fn scaled(&self, target: usize, value: f64) -> f64 {
        self.0
            .get(target)
            .map_or(value, |(mean, deviation)| (value - mean) / deviation)
    }

    /// The other way.
    pub fn unscaled(&self, target: usize, value: f64) -> f64 {
        self.0
            .get(target)
            .map_or(value, |(mean, deviation)| value * deviation + mean)
    }
}

/// How a run's labels are read: what they are, and the names of the head's outputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What is answered.
    pub kind: LabelKind,
    /// Of classes and labels their names by number; of numbers the columns' names.
    pub names: Vec<String>,
}

impl Labelled {
    /// What the labels look like: several in a row, numbers with a fraction (or in columns that say so), or classes.
    ///
    /// # Errors
    /// No label column.
    pub fn kind(&self) -> Result<LabelKind> {
        let Some(first) = self.labels.first() else {
            return Err(self.without_labels());
        };
        let values = || {
            self.rows
                .iter()
                .flat_map(|row| &row.values)
                .filter(|value| !value.is_null())
        };
        let all = |test: fn(&Value) -> bool| values().all(test);
        if self.labels.len() > 1 {
            return Ok(if all(|value| flag(value).is_some()) {
                LabelKind::Labels
            } else {
                LabelKind::Numbers
            });
        }
        let of_items = |test: fn(&Value) -> bool| {
            values().all(|value| value.as_array().is_some_and(|items| items.iter().all(test)))
        };
        if values().any(Value::is_array) {
            let numbers = of_items(|item| item.is_number()) && !of_items(|item| flag(item).is_some());
            return Ok(if numbers { LabelKind::Numbers } else { LabelKind::Labels });
        }
        let quantities = matches!(first.as_str(), "score" | "similarity");
        let is_number = |value: &Value| number(value).is_some();
        let fractions = || values().any(|value| number(value).is_some_and(|number| number.fract() != 0.0));
        Ok(if all(is_number) && (quantities || fractions()) {
            LabelKind::Numbers
        } else {
            LabelKind::Class
        })
    }

    /// The names of a fresh head's outputs for labels of this kind: classes in the order of numbers where all are numbers,
    /// of letters else.
    ///
    /// # Errors
    /// A row without a label, or with one of another kind; fewer than two classes.
    pub fn names(&self, kind: LabelKind) -> Result<Vec<String>> {
        if self.labels.is_empty() {
            return Err(self.without_labels());
        }
        let by_columns = self.labels.len() > 1;
        match kind {
            LabelKind::Numbers if by_columns => Ok(self.labels.clone()),
            LabelKind::Labels if by_columns => Ok(self.labels.clone()),
            LabelKind::Numbers => {
                let width = |row: &LabelledRow| row.values[0].as_array().map_or(1, Vec::len);
                let width = self.rows.first().map_or(1, width);
                let name = |target: usize| match width {
                    1 => self.labels[0].clone(),
                    _ => format!("{} {}", self.labels[0], target + 1),
                };
                Ok((0..width).map(name).collect())
            }
            LabelKind::Class | LabelKind::Labels | LabelKind::Tags => {
                let mut names = BTreeSet::new();
                for row in &self.rows {
                    let found = match kind {
                        LabelKind::Class => class(&row.values[0]).map(|class| vec![class]),
                        _ => several(&row.values[0]),
                    };
                    names.extend(found.map_err(|error| self.located(error, row, 0))?);
                }
                let mut names: Vec<String> = names.into_iter().collect();
                if names.len() < 2 && kind == LabelKind::Class {
                    let what = format!(
                        "every row has the class '{}', so there is nothing to learn",
                        names.concat()
                    );
                    return Err(Error::data(what).file(&self.file).field(&self.labels[0]));
                }
                let as_number = |name: &String| name.parse::<f64>().ok().filter(|number| number.is_finite());
                if names.iter().all(|name| as_number(name).is_some()) {
                    let value = |name: &String| as_number(name).unwrap_or(0.0);
                    names.sort_by(|a, b| value(a).total_cmp(&value(b)));
                }
                Ok(names)
            }
        }
    }

    fn without_labels(&self) -> Error {
        if let Some(Shape::Image { .. }) = self.shape {
            let error = Error::data("the images came without their labels").file(&self.file);
            return error.remedy(match labels_of(&self.file) {
                Some(labels) => {
                    format!("Give {labels} together with them: choose both files at once, or put one beside the other.")
                }
                None => {
                    "Give the file of their labels (idx1-ubyte) together with them: choose both at once.".to_owned()
                }
            });
        }
        Error::data("no column with labels")
            .file(&self.file)
            .remedy("Name it label, or say which it is with label_columns.")
    }

    fn located(&self, error: Error, row: &LabelledRow, column: usize) -> Error {
        let error = error.file(&self.file).row(row.number);
        match self.labels.get(column) {
            Some(name) => error.field(name),
            None => error,
        }
    }

    /// A row's labels as numbers: a class's number, 0 and 1 for each label, or the targets.
    ///
    /// # Errors
    /// A label that is missing, unknown or of another kind.
    pub fn targets(&self, row: &LabelledRow, answer: &Answer) -> Result<Vec<f32>> {
        if self.labels.is_empty() {
            return Err(self.without_labels());
        }
        let names = &answer.names;
        let place = |name: &str| {
            names.iter().position(|known| known == name).ok_or_else(|| {
                let known: Vec<&str> = names.iter().take(12).map(String::as_str).collect();
                Error::data(format!(
                    "the class '{name}' is none of those learnt: {}",
                    known.join(", ")
                ))
                .remedy("Correct it, or put rows of this class among the training data.")
            })
        };
        let by_columns = self.labels.len() > 1;
        let found = match answer.kind {
            LabelKind::Class => class(&row.values[0])
                .and_then(|name| place(&name))
                .map(|class| vec![class as f32]),
            LabelKind::Labels if by_columns => {
                let mut flags = Vec::with_capacity(row.values.len());
                for (column, value) in row.values.iter().enumerate() {
                    let wrong = || Error::data(format!("must be 0 or 1, got {}", shown(value)));
                    flags.push(flag(value).ok_or_else(|| self.located(wrong(), row, column))?);
                }
                Ok(flags)
            }
            LabelKind::Labels | LabelKind::Tags => several(&row.values[0]).and_then(|applying| {
                let mut flags = vec![0.0; names.len()];
                for name in applying {
                    flags[place(&name)?] = 1.0;
                }
                Ok(flags)
            }),
            LabelKind::Numbers if by_columns => {
                let mut numbers = Vec::with_capacity(row.values.len());
                for (column, value) in row.values.iter().enumerate() {
                    let number = number_or_error(value).map_err(|error| self.located(error, row, column))?;
                    numbers.push(number as f32);
                }
                Ok(numbers)
            }
            LabelKind::Numbers => match row.values[0].as_array() {
                None => number_or_error(&row.values[0]).map(|number| vec![number as f32]),
                Some(items) => items
                    .iter()
                    .map(|item| number_or_error(item).map(|n| n as f32))
                    .collect(),
            },
        };
        let found = found.map_err(|error| self.located(error, row, 0))?;
        let wanted = if answer.kind == LabelKind::Class {
            1
        } else {
            names.len()
        };
        if found.len() != wanted {
            let what = format!("{} numbers, and there are {wanted} targets", found.len());
            return Err(self.located(Error::data(what), row, 0));
        }
        Ok(found)
    }
}

/// A class's name: a text, a number or a truth value. `1` and `1.0` are one class.
fn class(value: &Value) -> Result<String> {
    if value.is_null() {
        return Err(missing());
    }
    if let Some(whole) = value
        .as_f64()
        .filter(|number| number.fract() == 0.0 && number.abs() < 1e15)
    {
        return Ok(format!("{whole:.0}"));
    }
    text(value).map(|text| text.trim().to_owned())
}

/// Several labels in one field: a list, or a text with commas, semicolons or bars between.
fn several(value: &Value) -> Result<Vec<String>> {
    match value {
        // A row to which nothing applies is one.
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => items.iter().map(class).collect(),
        Value::String(text) => {
            let parts = text.split([',', ';', '|']).map(str::trim);
            Ok(parts.filter(|part| !part.is_empty()).map(str::to_owned).collect())
        }
        other => class(other).map(|class| vec![class]),
    }
}

fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

fn number_or_error(value: &Value) -> Result<f64> {
    match value {
        Value::Null => Err(missing()),
        _ => number(value).ok_or_else(|| {
            Error::data(format!("must be a number, got {}", shown(value)))
                .remedy("Correct it, or set task: classification.")
        }),
    }
}

fn flag(value: &Value) -> Option<f32> {
    match value {
        Value::Bool(truth) => Some(f32::from(u8::from(*truth))),
        Value::String(word) if word.eq_ignore_ascii_case("true") => Some(1.0),
        Value::String(word) if word.eq_ignore_ascii_case("false") => Some(0.0),
        other => number(other).filter(|n| *n == 0.0 || *n == 1.0).map(|n| n as f32),
    }
}

fn missing() -> Error {
    Error::data("the label is missing").remedy("Fill it in, or delete the row.")
}

pub(super) fn shown(value: &Value) -> String {
    value.to_string().chars().take(40).collect()
}

/// Tokenizes rows and puts their labels on them; a row keeps the start of its texts, of a pair the longer one is cut first.
///
/// Numbers are as the file has them: [`Scaling`] comes later. Without `answer` the labels are not read: the rows are to be
/// answered. Calls `progress(rows done, rows)` as it goes.
///
/// # Errors
/// As [`Labelled::targets`]; a `cutoff_len` that leaves no room for text.
pub fn labelled_examples(
    labelled: &Labelled,
    answer: Option<&Answer>,
    tokenizer: &Tokenizer,
    cutoff_len: usize,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Example>> {
    let frame = Frame::of(tokenizer)?;
    let total = labelled.rows.len() as u64;
    let mut examples = Vec::with_capacity(labelled.rows.len());
    for (index, row) in labelled.rows.iter().enumerate() {
        progress(index as u64, total);
        let mut example = frame
            .example(tokenizer, &row.text, row.second.as_deref(), cutoff_len)
            .map_err(|error| error.file(&labelled.file).row(row.number))?;
        example.row = row.number;
        if let Some(answer) = answer {
            example.aim = Aim::Row(labelled.targets(row, answer)?);
        }
        examples.push(example);
    }
    progress(total, total);
    Ok(examples)
}

/// What a tokenizer puts around one text, and around and between two.
pub(super) struct Frame {
    alone: Specials,
    before: Vec<u32>,
    between: Vec<u32>,
    after: Vec<u32>,
    /// Segments of what is in front of the second text, and from there on.
    types: (u32, u32),
}

impl Frame {
    pub(super) fn of(tokenizer: &Tokenizer) -> Result<Self> {
        let alone = Specials::of(tokenizer)?;
        let (ids, types) = tokenizer.encode_pair("a", "b")?;
        let (a, b) = (tokenizer.encode("a", false)?, tokenizer.encode("b", false)?);
        let find = |text: &[u32], from: usize| {
            let rest = ids.get(from..).unwrap_or_default();
            rest.windows(text.len().max(1))
                .position(|window| window == text)
                .map(|at| from + at)
        };
        let places = find(&a, 0).and_then(|first| Some((first, find(&b, first + a.len())?)));
        let (before, between, after, types) = match places {
            Some((first, second)) => (
                ids[..first].to_vec(),
                ids[first + a.len()..second].to_vec(),
                ids[second + b.len()..].to_vec(),
                (types[first], types[second]),
            ),
            None => (alone.before.clone(), Vec::new(), alone.after.clone(), (0, 0)),
        };
        // A decoder's tokenizer has nothing between two texts: a line break tells them apart.
        let between = if between.is_empty() {
            tokenizer.encode("\n", false)?
        } else {
            between
        };
        Ok(Self {
            alone,
            before,
            between,
            after,
            types,
        })
    }

    /// One text, or two, as the model reads them, cut at `cutoff_len` tokens.
    pub(super) fn example(
        &self,
        tokenizer: &Tokenizer,
        first: &str,
        second: Option<&str>,
        cutoff_len: usize,
    ) -> Result<Example> {
        let mut a = tokenizer.encode(first, false)?;
        let mut b = second.map(|text| tokenizer.encode(text, false)).transpose()?;
        let frame = match &b {
            None => self.alone.before.len() + self.alone.after.len(),
            Some(_) => self.before.len() + self.between.len() + self.after.len(),
        };
        let room = cutoff_len.saturating_sub(frame);
        if room < 1 + usize::from(b.is_some()) {
            let what = format!("{cutoff_len} tokens leave no room for text beside {frame} of the model's own");
            return Err(Error::config(what).field("cutoff_len"));
        }
        let whole = a.len() + b.as_ref().map_or(0, Vec::len);
        if let Some(b) = &mut b {
            // The longer text gives way until both fit.
            let (short, half) = (a.len().min(b.len()), room / 2);
            let kept = room - short.min(half);
            let (a_kept, b_kept) = match (short <= half, a.len() >= b.len()) {
                (true, true) => (kept, short),
                (true, false) => (short, kept),
                (false, _) => (room - half, half),
            };
            a.truncate(a_kept);
            b.truncate(b_kept);
        } else {
            a.truncate(room);
        }
        let truncated = a.len() + b.as_ref().map_or(0, Vec::len) < whole;
        let mut example = Example {
            truncated,
            ..Example::default()
        };
        match b {
            None => example.input_ids = [&self.alone.before[..], &a, &self.alone.after].concat(),
            Some(b) => {
                let front = [&self.before[..], &a, &self.between].concat();
                let back = [&b[..], &self.after].concat();
                let (of_first, of_second) = self.types;
                if of_first != of_second {
                    example.token_type_ids = vec![of_first; front.len()];
                    example.token_type_ids.resize(front.len() + back.len(), of_second);
                }
                example.input_ids = [front, back].concat();
            }
        }
        example.labels = vec![IGNORE; example.input_ids.len()];
        Ok(example)
    }
}
