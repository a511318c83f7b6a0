//! One class of several: everything from the confusion matrix.

use super::{check_rows, harmonic, mean, share};
use crate::error::{Error, Result};
use lorakeet_i18n::messages::metrics as msg;
use std::collections::HashMap;

/// How often each class was taken for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    /// By right class and answer; pairs that do not occur are left out, so that very many classes take no more room than
    /// rows.
    counts: HashMap<(usize, usize), u64>,
    /// Rows for which each class is right.
    support: Vec<u64>,
    /// Rows answered with each class.
    answered: Vec<u64>,
}

/// How numbers of classes become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Average {
    /// The plain mean over classes that occur in the truth or in the answers.
    Macro,
    /// Over all rows at once; with one class a row it is the accuracy.
    Micro,
    /// The mean weighted by how often a class is right.
    Weighted,
}

/// The scores of one class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassScores {
    /// Its number.
    pub class: usize,
    /// Of the rows answered with it, the share for which it is right; 0 where there are none.
    pub precision: f64,
    /// Of the rows for which it is right, the share answered with it; 0 where there are none.
    pub recall: f64,
    /// 2·precision·recall / (precision + recall); 0 where both are.
    pub f1: f64,
    /// Rows for which it is right.
    pub support: u64,
    /// Rows answered with it.
    pub answered: u64,
}

impl Confusion {
    /// Counts the answers `predicted` to rows whose classes are `truth`.
    ///
    /// # Errors
    /// No rows, not as many answers as rows, or a class that is not below `classes`.
    pub fn new(truth: &[usize], predicted: &[usize], classes: usize) -> Result<Self> {
        check_rows(truth.len(), predicted.len())?;
        let mut counts = HashMap::new();
        let (mut support, mut answered) = (vec![0; classes], vec![0; classes]);
        for (row, (right, answer)) in truth.iter().zip(predicted).enumerate() {
            if *right.max(answer) >= classes {
                let class = right.max(answer);
                return Err(Error::data(msg::ClassTooHigh { class, classes }).row(row + 1));
            }
            *counts.entry((*right, *answer)).or_insert(0) += 1;
            support[*right] += 1;
            answered[*answer] += 1;
        }
        Ok(Self {
            counts,
            support,
            answered,
        })
    }

    /// Rows of class `truth` that were answered with `predicted`.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts.get(&(truth, predicted)).copied().unwrap_or(0)
    }

    /// The pairs of right class and answer that occur, in the order of their numbers, with how often they do.
    pub fn pairs(&self) -> Vec<(usize, usize, u64)> {
        let counts = self
            .counts
            .iter()
            .map(|((truth, answer), count)| (*truth, *answer, *count));
        let mut pairs: Vec<_> = counts.collect();
        pairs.sort_unstable();
        pairs
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.support.len()
    }

    /// Every class's scores, those that do not occur included.
    pub fn table(&self) -> Vec<ClassScores> {
        (0..self.classes()).map(|class| self.of(class)).collect()
    }

    /// One class's scores: of the positive class they are the binary precision, recall and F1.
    pub fn of(&self, class: usize) -> ClassScores {
        let hits = self.count(class, class) as f64;
        let of = |counts: &[u64]| counts.get(class).copied().unwrap_or(0);
        let (support, answered) = (of(&self.support), of(&self.answered));
        let (precision, recall) = (share(hits, answered as f64), share(hits, support as f64));
        ClassScores {
            class,
            precision,
            recall,
            f1: harmonic(precision, recall),
            support,
            answered,
        }
    }

    /// The share of rows with the right answer.
    pub fn accuracy(&self) -> f64 {
        self.hits() / self.rows()
    }

    /// The mean recall of the classes that occur in the truth.
    pub fn balanced_accuracy(&self) -> f64 {
        let table = self.table();
        mean(table.iter().filter(|class| class.support > 0).map(|class| class.recall))
    }

    /// Precision, averaged.
    pub fn precision(&self, average: Average) -> f64 {
        self.averaged(average, |class| class.precision)
    }

    /// Recall, averaged.
    pub fn recall(&self, average: Average) -> f64 {
        self.averaged(average, |class| class.recall)
    }

    /// F1, averaged: the macro F1 is the mean of F1s.
    pub fn f1(&self, average: Average) -> f64 {
        self.averaged(average, |class| class.f1)
    }

    /// Matthews' correlation of several classes (Gorodkin, 2004): (c·s − Σ pₖ·tₖ) / √((s² − Σ pₖ²)·(s² − Σ tₖ²)), with s rows,
    /// c right answers, and class k right tₖ times and answered pₖ times. 0 where truth or answers are constant.
    pub fn mcc(&self) -> f64 {
        let rows = self.rows();
        let dot = |a: &[u64], b: &[u64]| a.iter().zip(b).map(|(a, b)| *a as f64 * *b as f64).sum::<f64>();
        let covariance = self.hits() * rows - dot(&self.support, &self.answered);
        let of_answers = rows * rows - dot(&self.answered, &self.answered);
        let of_truth = rows * rows - dot(&self.support, &self.support);
        share(covariance, (of_answers * of_truth).sqrt())
    }

    fn averaged(&self, average: Average, score: fn(&ClassScores) -> f64) -> f64 {
        let table = self.table();
        match average {
            Average::Micro => self.accuracy(),
            Average::Macro => mean(
                table
                    .iter()
                    .filter(|class| class.support + class.answered > 0)
                    .map(score),
            ),
            Average::Weighted => {
                let weighted: f64 = table.iter().map(|class| class.support as f64 * score(class)).sum();
                weighted / self.rows()
            }
        }
    }

    fn hits(&self) -> f64 {
        (0..self.classes()).map(|class| self.count(class, class)).sum::<u64>() as f64
    }

    /// At least 1.
    fn rows(&self) -> f64 {
        self.support.iter().sum::<u64>() as f64
    }
}
