//! Labels: rows without one, texts with several, classes with few rows.

use super::report::{Findings, Seen};
use super::rows::{AuditRow, AuditRows};
use crate::data::labels::Names;
use crate::protocol::AuditKind;
use std::collections::HashMap;

/// A class with fewer rows is hardly learnt, and one of them may be held out.
const FEWEST_ROWS: u64 = 5;

/// How many times the rows of the smallest class the largest may have.
const MOST_TIMES: u64 = 10;

/// The classes of a file's rows; none where labels are quantities, lists, of words or in several columns.
#[derive(Default)]
pub(super) struct Classes {
    names: Vec<String>,
    /// By row; none of a row without a label.
    of_rows: Vec<Option<usize>>,
    counts: Vec<u64>,
    is_labelled: bool,
}

impl Classes {
    pub fn of(read: &AuditRows) -> Self {
        let unclassed = Self {
            is_labelled: !read.labels.is_empty(),
            ..Self::default()
        };
        let labels = || read.rows.iter().filter_map(|row| row.label.as_deref());
        let [column] = read.labels.as_slice() else {
            return unclassed;
        };
        let number = |label: &str| label.parse::<f64>().ok().filter(|number| number.is_finite());
        let are_numbers = labels().all(|label| number(label).is_some());
        let have_fractions = || labels().any(|label| number(label).is_some_and(|number| number.fract() != 0.0));
        let are_lists = labels().any(|label| label.starts_with('['));
        let are_quantities = are_numbers && (matches!(column.as_str(), "score" | "similarity") || have_fractions());
        let mut names = Names::default();
        // Two spellings of one class, or very many, are no classes: a run says why.
        let are_known = labels().try_for_each(|label| names.add(label.to_owned())).is_ok();
        if read.is_tagged || are_quantities || are_lists || !are_known {
            return unclassed;
        }
        let names = names.sorted();
        let of_rows: Vec<Option<usize>> = {
            let places = names.iter().enumerate().map(|(place, name)| (name.as_str(), place));
            let places: HashMap<&str, usize> = places.collect();
            let class = |row: &AuditRow| places.get(row.label.as_deref()?).copied();
            read.rows.iter().map(class).collect()
        };
        let mut counts = vec![0; names.len()];
        for class in of_rows.iter().flatten() {
            counts[*class] += 1;
        }
        Self {
            of_rows,
            counts,
            names,
            is_labelled: true,
        }
    }

    /// Their names by number; none where the labels are no classes.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The class of each row, where every row has one.
    pub fn of_rows(&self) -> Option<Vec<usize>> {
        match self.names.is_empty() {
            true => None,
            false => self.of_rows.iter().copied().collect(),
        }
    }

    /// Rows by class, the largest first.
    pub fn counted(&self) -> Vec<(String, u64)> {
        let counts = self.names.iter().cloned().zip(self.counts.iter().copied());
        let mut counts: Vec<(String, u64)> = counts.collect();
        counts.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        counts
    }
}

/// Adds what is wrong with labels; `group` has for each row the place of the first one of the same text.
pub(super) fn check(seen: &[Seen], group: &[usize], classes: &Classes, findings: &mut Findings) {
    if !classes.is_labelled {
        return;
    }
    let mut first: HashMap<usize, usize> = HashMap::new();
    for (place, row) in seen.iter().enumerate() {
        let Some(label) = row.label() else {
            findings.add(AuditKind::MissingLabels, row.place(), row.text(), None);
            continue;
        };
        let earlier = &seen[*first.entry(group[place]).or_insert(place)];
        if let Some(other) = earlier.label().filter(|other| *other != label) {
            let told = format!("{other} ≠ {label}: {}", row.text());
            findings.add(AuditKind::ConflictingLabels, row.place(), &told, Some(earlier.number));
        }
    }
    let counted = classes.counted();
    let mut add = |kind, (name, rows): &(String, u64)| {
        let row = seen.iter().find(|row| row.label() == Some(name.as_str()));
        if let Some(row) = row {
            findings.add(kind, row.place(), &format!("{name}: {rows}"), None);
        }
    };
    for class in counted.iter().filter(|(_, rows)| *rows < FEWEST_ROWS) {
        add(AuditKind::RareClasses, class);
    }
    if let (Some(largest), Some(smallest)) = (counted.first(), counted.last())
        && largest.1 >= MOST_TIMES * smallest.1
    {
        add(AuditKind::Imbalance, smallest);
    }
}
