//! Any number of labels a row.

use super::{check_rows, mean, share};
use crate::error::{Error, Result};
use lorakeet_i18n::messages::metrics as msg;

/// Which labels apply, and which were answered: rows of `labels` flags, row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    labels: usize,
    truth: Vec<bool>,
    predicted: Vec<bool>,
}

/// Flags that agree and that do not: 2·hits / (right + answered) is their F1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hits {
    /// Right and answered.
    pub hits: u64,
    /// Right.
    pub right: u64,
    /// TextPrediction.
    pub answered: u64,
}

impl Hits {
    fn of<'a>(pairs: impl Iterator<Item = (&'a bool, &'a bool)>) -> Self {
        let mut counted = Self {
            hits: 0,
            right: 0,
            answered: 0,
        };
        for (right, answered) in pairs {
            counted.hits += u64::from(*right && *answered);
            counted.right += u64::from(*right);
            counted.answered += u64::from(*answered);
        }
        counted
    }

    /// The share of answered labels that are right; 0 where none was answered.
    pub fn precision(&self) -> f64 {
        share(self.hits as f64, self.answered as f64)
    }

    /// The share of right labels that were answered; 0 where none is right.
    pub fn recall(&self) -> f64 {
        share(self.hits as f64, self.right as f64)
    }

    /// 2·hits / (right + answered); 0 where both are 0.
    pub fn f1(&self) -> f64 {
        share(2.0 * self.hits as f64, (self.right + self.answered) as f64)
    }
}

impl Labelled {
    /// Rows of `labels` labels each.
    ///
    /// # Errors
    /// No rows, not as many answers as rows, or flags that are not whole rows.
    pub fn new(truth: Vec<bool>, predicted: Vec<bool>, labels: usize) -> Result<Self> {
        check_rows(truth.len(), predicted.len())?;
        if labels == 0 || !truth.len().is_multiple_of(labels) {
            let flags = truth.len();
            return Err(Error::data(msg::FlagsNotRows { flags, labels }));
        }
        Ok(Self {
            labels,
            truth,
            predicted,
        })
    }

    /// Each label's counts.
    pub fn table(&self) -> Vec<Hits> {
        let of = |label: usize| Hits::of(self.pairs().skip(label).step_by(self.labels));
        (0..self.labels).map(of).collect()
    }

    /// The mean F1 of labels.
    pub fn f1_macro(&self) -> f64 {
        mean(self.table().iter().map(Hits::f1))
    }

    /// F1 of all flags at once.
    pub fn f1_micro(&self) -> f64 {
        Hits::of(self.pairs()).f1()
    }

    /// The mean F1 of rows; of a row in which nothing applies and nothing was answered it is 0.
    pub fn f1_of_rows(&self) -> f64 {
        mean(
            self.rows()
                .map(|(truth, predicted)| Hits::of(truth.iter().zip(predicted)).f1()),
        )
    }

    /// The share of rows with all flags right.
    pub fn exact_match(&self) -> f64 {
        mean(
            self.rows()
                .map(|(truth, predicted)| f64::from(u8::from(truth == predicted))),
        )
    }

    fn pairs(&self) -> impl Iterator<Item = (&bool, &bool)> {
        self.truth.iter().zip(&self.predicted)
    }

    fn rows(&self) -> impl Iterator<Item = (&[bool], &[bool])> {
        self.truth.chunks(self.labels).zip(self.predicted.chunks(self.labels))
    }
}
