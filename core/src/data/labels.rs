//! What the values of label columns mean: classes, any number of labels, or numbers; and rows with them as examples.

use super::idx::labels_of;
use super::label_values::{
    are_flags, canonical, class, flag, ignored, is_ignored, is_truth, is_whole, meaning, missing, number,
    number_or_error, several, shown,
};
use super::labelled::{Labelled, LabelledRow};
use super::numeric::Shape;
use super::parse::{listed, start};
use super::value::Value;
use crate::error::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::data as msg;
use std::collections::{BTreeSet, HashMap};

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

/// How a run's labels are read: what they are, and the names of the head's outputs.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelSet {
    /// What is answered.
    pub kind: LabelKind,
    /// Of classes and labels their names by number; of numbers the columns' names.
    pub names: Vec<String>,
    /// The numbers by name, as [`class_name`] writes names.
    places: HashMap<String, usize>,
    /// Whether a number can only be an output's own, because none has a number for its name.
    by_number: bool,
}

impl LabelSet {
    /// Outputs of these names.
    pub fn new(kind: LabelKind, names: Vec<String>) -> Self {
        let mut places = HashMap::with_capacity(names.len());
        for (place, name) in names.iter().enumerate() {
            let mut spelled = vec![name.clone(), canonical(name)];
            if is_truth(name) {
                spelled.push(name.to_lowercase());
            }
            for name in spelled {
                places.entry(name).or_insert(place);
            }
        }
        Self {
            by_number: names.iter().all(|name| meaning(name).is_none()),
            kind,
            names,
            places,
        }
    }

    /// The number of the output of this name. Where no name is a number, a whole number is an output's own, as transformers'
    /// label ids are.
    pub fn place(&self, name: &str) -> Option<usize> {
        let by_number = || {
            name.parse()
                .ok()
                .filter(|place| self.by_number && *place < self.names.len())
        };
        self.places.get(name).copied().or_else(by_number)
    }

    pub(super) fn place_or_error(&self, name: &str) -> Result<usize> {
        self.place(name).ok_or_else(|| {
            let (class, known) = (start(name), listed(&self.names));
            Error::data(msg::UnknownClass { class, known }).remedy(msg::CorrectOrTrain)
        })
    }
}

/// Classes, labels or targets at most: each costs a row of the head, and of every answer.
const MOST_CLASSES: usize = 10_000;

/// Rows times labels at most: each is a number in memory.
const MOST_FLAGS: usize = if cfg!(target_pointer_width = "32") {
    1 << 24
} else {
    1 << 26
};

/// Names of classes as they are found, each spelled in one way.
#[derive(Default)]
pub(super) struct Names {
    found: BTreeSet<String>,
    /// By what they mean as numbers or truth values.
    meanings: HashMap<u64, String>,
}

impl Names {
    /// Adds a name.
    ///
    /// # Errors
    /// It means the same as another one, or there are too many.
    pub(super) fn add(&mut self, name: String) -> Result<()> {
        if self.found.contains(&name) {
            return Ok(());
        }
        if let Some(meaning) = meaning(&name) {
            let known = self.meanings.entry(meaning).or_insert_with(|| name.clone());
            if *known != name {
                let (one, other) = (start(known), start(&name));
                return Err(Error::data(msg::TwoSpellings { one, other }).remedy(msg::SpellAlike));
            }
        }
        self.found.insert(name);
        if self.found.len() > MOST_CLASSES {
            return Err(Error::data(msg::TooManyClasses { most: MOST_CLASSES }).remedy(msg::RightColumn));
        }
        Ok(())
    }

    /// In the order of numbers where all are numbers, of letters else.
    pub(super) fn sorted(self) -> Vec<String> {
        let mut names: Vec<String> = self.found.into_iter().collect();
        let as_number = |name: &String| name.parse::<f64>().ok().filter(|number| number.is_finite());
        if names.iter().all(|name| as_number(name).is_some()) {
            let value = |name: &String| as_number(name).unwrap_or(0.0);
            names.sort_by(|a, b| value(a).total_cmp(&value(b)));
        }
        names
    }
}

/// Names that differ in small and capital letters only, which are taken for different classes, as a note.
pub fn note_of_alike(names: &[String]) -> Option<Message> {
    let mut seen: HashMap<String, &String> = HashMap::with_capacity(names.len());
    let pair = names.iter().find_map(|name| {
        let known = *seen.entry(name.to_lowercase()).or_insert(name);
        (known != name).then_some((known, name))
    })?;
    let (one, other) = (start(pair.0), start(pair.1));
    Some(msg::AlikeClasses { one, other }.into())
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
        let all = |test: fn(&Value) -> bool| self.values().all(test);
        if self.labels.len() > 1 {
            return Ok(if all(|value| flag(value).is_some()) {
                LabelKind::Labels
            } else {
                LabelKind::Numbers
            });
        }
        if self.values().any(Value::is_array) {
            let is_number = |value: &Value| matches!(value, Value::Number(_));
            let of_items = |test: fn(&Value) -> bool| {
                self.values()
                    .all(|value| value.as_array().is_some_and(|items| items.iter().all(test)))
            };
            let mut lengths = self.values().map(|value| value.as_array().map_or(1, Vec::len));
            let length = lengths.next();
            // Numbers of labels, as many as apply, are no row of numbers.
            let is_even = lengths.all(|other| Some(other) == length) || !of_items(is_whole);
            // Flags with some marked as not to be learnt are no quantities, and are refused as flags.
            let are_flags = of_items(|item| flag(item).is_some() || is_ignored(item));
            return Ok(match !are_flags && of_items(is_number) && is_even {
                true => LabelKind::Numbers,
                false => LabelKind::Labels,
            });
        }
        let quantities = matches!(first.as_str(), "score" | "similarity");
        let is_number = |value: &Value| number(value).is_some();
        let fractions = || {
            self.values()
                .any(|value| number(value).is_some_and(|number| number.fract() != 0.0))
        };
        Ok(if all(is_number) && (quantities || fractions()) {
            LabelKind::Numbers
        } else {
            LabelKind::Class
        })
    }

    /// All labels that are there.
    fn values(&self) -> impl Iterator<Item = &Value> {
        let values = self.rows.iter().flat_map(|row| &row.values);
        values.filter(|value| !value.is_null())
    }

    /// Whether the only label column holds lists of 0 and 1, or of truth values: a place for each label, as transformers and
    /// scikit-learn have it.
    fn are_flags(&self) -> bool {
        let mut values = self.values().peekable();
        values.peek().is_some() && values.all(|value| value.as_array().is_some_and(|items| are_flags(items)))
    }

    /// Refuses what is no label of this kind, whatever the head: rows that are marked as having none, and rows without one where
    /// the others have a flag for each label.
    ///
    /// # Errors
    /// Those.
    pub fn check(&self, kind: LabelKind) -> Result<()> {
        if !matches!(kind, LabelKind::Class | LabelKind::Labels) || self.labels.is_empty() {
            return Ok(());
        }
        let are_flags = kind == LabelKind::Labels && self.labels.len() == 1 && self.are_flags();
        for row in &self.rows {
            for (column, value) in row.values.iter().enumerate() {
                let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                if items.iter().any(is_ignored) {
                    return Err(self.located(ignored(), row, column));
                }
            }
            if are_flags && row.values[0].is_null() {
                return Err(self.located(missing(), row, 0));
            }
        }
        Ok(())
    }

    /// How many flags each row has.
    ///
    /// # Errors
    /// Rows with more or fewer than the first.
    fn flags(&self) -> Result<usize> {
        let mut first = None;
        for row in &self.rows {
            let found = row.values[0].as_array().map_or(0, Vec::len);
            let wanted = *first.get_or_insert(found);
            if found != wanted {
                let error = Error::data(msg::OtherPlaces { found, first: wanted });
                return Err(self.located(error.remedy(msg::PlacesOrNames), row, 0));
            }
        }
        Ok(first.unwrap_or(0))
    }

    /// The names of a fresh head's outputs for labels of this kind: classes in the order of numbers where all are numbers,
    /// of letters else; `LABEL_0` and so on for lists of 0 and 1.
    ///
    /// # Errors
    /// A row without a label, or with one of another kind; fewer than two classes, or very many.
    pub fn names(&self, kind: LabelKind) -> Result<Vec<String>> {
        if self.labels.is_empty() {
            return Err(self.without_labels());
        }
        self.check(kind)?;
        let by_columns = self.labels.len() > 1;
        let names = match kind {
            LabelKind::Numbers | LabelKind::Labels if by_columns => self.labels.clone(),
            LabelKind::Numbers => {
                let width = |row: &LabelledRow| row.values[0].as_array().map_or(1, Vec::len);
                let width = self.rows.first().map_or(1, width);
                let name = |target: usize| match width {
                    1 => self.labels[0].clone(),
                    _ => format!("{} {}", self.labels[0], target + 1),
                };
                (0..width.min(MOST_CLASSES + 1)).map(name).collect()
            }
            LabelKind::Labels if self.are_flags() => {
                let labels = 0..self.flags()?.min(MOST_CLASSES + 1);
                labels.map(|label| format!("LABEL_{label}")).collect()
            }
            LabelKind::Class | LabelKind::Labels | LabelKind::Tags => {
                let mut names = Names::default();
                for row in &self.rows {
                    let found = match kind {
                        LabelKind::Class => class(&row.values[0]).map(|class| vec![class]),
                        _ => several(&row.values[0]),
                    };
                    let added = found.and_then(|found| found.into_iter().try_for_each(|name| names.add(name)));
                    added.map_err(|error| self.located(error, row, 0))?;
                }
                names.sorted()
            }
        };
        let wrong = |what: Message| Error::data(what).file(&self.file).field(&self.labels[0]);
        let (rows, labels) = (self.rows.len(), names.len());
        if labels < 2 && kind == LabelKind::Class {
            let class = start(&names.concat());
            return Err(wrong(msg::OneClassOnly { class }.into()));
        }
        if labels > MOST_CLASSES {
            return Err(wrong(msg::TooManyInRow { most: MOST_CLASSES }.into()));
        }
        if labels.saturating_mul(rows) > MOST_FLAGS && kind != LabelKind::Class {
            let error = wrong(msg::LabelsBeyondMemory { rows, labels }.into());
            return Err(error.remedy(msg::FewerRowsOrLabels));
        }
        if names.is_empty() {
            return Err(wrong(msg::NoLabels.into()));
        }
        Ok(names)
    }

    fn without_labels(&self) -> Error {
        if let Some(Shape::Image { .. }) = self.shape {
            let error = Error::data(msg::ImagesWithoutLabels).file(&self.file);
            return match labels_of(&self.file) {
                Some(labels) => error.remedy(msg::GiveLabels { labels }),
                None => error.remedy(msg::GiveLabelsFile),
            };
        }
        Error::data(msg::NoLabelColumn).file(&self.file).remedy(msg::NameLabel)
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
    pub fn targets(&self, row: &LabelledRow, answer: &LabelSet) -> Result<Vec<f32>> {
        if self.labels.is_empty() {
            return Err(self.without_labels());
        }
        let names = &answer.names;
        let by_columns = self.labels.len() > 1;
        let found = match answer.kind {
            LabelKind::Class => class(&row.values[0])
                .and_then(|name| answer.place_or_error(&name))
                .map(|class| vec![class as f32]),
            LabelKind::Labels if by_columns => {
                let mut flags = Vec::with_capacity(row.values.len());
                for (column, value) in row.values.iter().enumerate() {
                    let wrong = || Error::data(msg::NoFlag { got: shown(value) });
                    flags.push(flag(value).ok_or_else(|| self.located(wrong(), row, column))?);
                }
                Ok(flags)
            }
            LabelKind::Labels | LabelKind::Tags => match row.values[0].as_array() {
                Some(items) if answer.by_number && !items.is_empty() && are_flags(items) => {
                    Ok(items.iter().filter_map(flag).collect())
                }
                _ => several(&row.values[0]).and_then(|applying| {
                    let mut flags = vec![0.0; names.len()];
                    for name in applying {
                        flags[answer.place_or_error(&name)?] = 1.0;
                    }
                    Ok(flags)
                }),
            },
            LabelKind::Numbers if by_columns => {
                let mut numbers = Vec::with_capacity(row.values.len());
                for (column, value) in row.values.iter().enumerate() {
                    numbers.push(number_or_error(value).map_err(|error| self.located(error, row, column))?);
                }
                Ok(numbers)
            }
            LabelKind::Numbers => match row.values[0].as_array() {
                None => number_or_error(&row.values[0]).map(|number| vec![number]),
                Some(items) => items.iter().map(number_or_error).collect(),
            },
        };
        let found = found.map_err(|error| self.located(error, row, 0))?;
        let wanted = if answer.kind == LabelKind::Class {
            1
        } else {
            names.len()
        };
        if found.len() != wanted {
            let error = match (answer.kind, found.len(), wanted) {
                (LabelKind::Numbers, numbers, targets) => Error::data(msg::NumbersForTargets { numbers, targets }),
                (_, places, labels) => Error::data(msg::PlacesForLabels { places, labels }),
            };
            return Err(self.located(error, row, 0));
        }
        Ok(found)
    }
}
