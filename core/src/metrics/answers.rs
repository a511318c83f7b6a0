//! The answers of a run to its validation rows, by task: their metrics by name, and the same of any part of them.

use super::classification::{Average, Confusion};
use super::confidence::Calibration;
use super::multi_label::Labelled;
use super::ranking::{Gain, Query, Ties, over_queries};
use super::slices::Scorer;
use super::{mean, preference, regression};
use crate::error::{Error, Result};
use crate::metrics::bootstrap::{Bootstrap, Comparison, Direction};
use crate::protocol::Metric;
use crate::task::{Task, is_lower_better};
use lorakeet_i18n::messages::metrics as msg;

/// Bins of a calibration.
pub const BINS: usize = 10;

/// Predictions beside what is right. A unit is a row; of lists a query, of preferences a pair.
#[derive(Debug, Clone, PartialEq)]
pub enum Predictions {
    /// One class of several.
    Classes {
        /// How many there are.
        classes: usize,
        /// The right ones.
        truth: Vec<usize>,
        /// The answers.
        predicted: Vec<usize>,
        /// Of each row and class, row-major; empty where the answers have none.
        probabilities: Vec<f64>,
    },
    /// Any number of labels.
    Labels {
        /// How many there are.
        labels: usize,
        /// Which apply, row-major.
        truth: Vec<bool>,
        /// Which were answered.
        predicted: Vec<bool>,
        /// Of each row and label; empty where the answers have none.
        probabilities: Vec<f64>,
    },
    /// Numbers.
    Numbers {
        /// How many a row.
        targets: usize,
        /// The right ones, row-major.
        truth: Vec<f64>,
        /// The answers.
        predicted: Vec<f64>,
    },
    /// Scores and grades of the documents of each query.
    Lists(Vec<(Vec<f64>, Vec<f64>)>),
    /// Rewards of the chosen and of the rejected answer of each pair.
    Pairs(Vec<(f64, f64)>),
}

/// The metrics of an embedding run on pairs that are alike to some degree: cosines are on no scale of their own, so their
/// order and their course come first.
pub const ALIKE: &[&str] = &["pearson", "spearman", "mse", "mae"];

/// Whether more of a metric is better.
pub fn direction(metric: &str) -> Direction {
    match is_lower_better(metric) {
        true => Direction::LowerIsBetter,
        false => Direction::HigherIsBetter,
    }
}

impl Predictions {
    /// How many units there are.
    pub fn units(&self) -> usize {
        match self {
            Self::Classes { truth, .. } => truth.len(),
            Self::Labels { truth, labels, .. } => truth.len() / labels.max(&1),
            Self::Numbers { truth, targets, .. } => truth.len() / targets.max(&1),
            Self::Lists(lists) => lists.len(),
            Self::Pairs(pairs) => pairs.len(),
        }
    }

    /// The answers to these units alone, which may come more than once.
    pub fn pick(&self, units: &[usize]) -> Self {
        fn rows<T: Copy>(values: &[T], width: usize, units: &[usize]) -> Vec<T> {
            if values.is_empty() {
                return Vec::new();
            }
            let row = |unit: &usize| &values[unit * width..(unit + 1) * width];
            units.iter().flat_map(row).copied().collect()
        }
        match self {
            Self::Classes {
                classes,
                truth,
                predicted,
                probabilities,
            } => Self::Classes {
                classes: *classes,
                truth: rows(truth, 1, units),
                predicted: rows(predicted, 1, units),
                probabilities: rows(probabilities, *classes, units),
            },
            Self::Labels {
                labels,
                truth,
                predicted,
                probabilities,
            } => Self::Labels {
                labels: *labels,
                truth: rows(truth, *labels, units),
                predicted: rows(predicted, *labels, units),
                probabilities: rows(probabilities, *labels, units),
            },
            Self::Numbers {
                targets,
                truth,
                predicted,
            } => Self::Numbers {
                targets: *targets,
                truth: rows(truth, *targets, units),
                predicted: rows(predicted, *targets, units),
            },
            Self::Lists(lists) => Self::Lists(units.iter().map(|unit| lists[*unit].clone()).collect()),
            Self::Pairs(pairs) => Self::Pairs(units.iter().map(|unit| pairs[*unit]).collect()),
        }
    }

    /// The metric called `name`; not a number where it has no value for these rows, or is none of this task's.
    pub fn value(&self, name: &str) -> f64 {
        self.metric(name).unwrap_or(f64::NAN)
    }

    /// All metrics of `task` that these answers have.
    pub fn metrics(&self, task: Task) -> Vec<Metric> {
        let names = match self {
            Self::Numbers { .. } if task == Task::Embedding => ALIKE,
            _ => task.metrics(),
        };
        let names = names.iter();
        names
            .filter(|name| **name != "ece" || self.calibration().is_some())
            .map(|name| Metric {
                name: (*name).to_owned(),
                value: self.value(name),
            })
            .collect()
    }

    /// These answers against `before`, on the same units, by the metric `name`.
    ///
    /// # Errors
    /// Other units, or a metric without a value for them.
    pub fn against(&self, before: &Self, name: &str, bootstrap: &Bootstrap) -> Result<Comparison> {
        if self.units() != before.units() {
            return Err(Error::internal(msg::AnswersToOtherRows));
        }
        if let (Some(before), Some(after)) = (before.each(name), self.each(name)) {
            return bootstrap.compare(&before, &after);
        }
        let (before, after) = (before.for_metric(name), self.for_metric(name));
        bootstrap.compare_by(self.units(), |units| {
            (before.pick(units).value(name), after.pick(units).value(name))
        })
    }

    /// The metric `name` of some of the units, by their numbers, which may come more than once.
    pub fn scorer<'a>(&self, name: &'a str) -> Scorer<'a> {
        if let Some(each) = self.each(name) {
            return Box::new(move |units: &[usize]| mean(units.iter().map(|unit| each[*unit])));
        }
        let answers = self.for_metric(name);
        Box::new(move |units: &[usize]| answers.pick(units).value(name))
    }

    /// The metric of each unit alone, where that of all is their mean; `None` where it is not.
    fn each(&self, name: &str) -> Option<Vec<f64>> {
        let alone = || (0..self.units()).map(|unit| self.pick(&[unit]).value(name)).collect();
        match self {
            Self::Lists(_) | Self::Pairs(_) => Some(alone()),
            Self::Classes { truth, predicted, .. } if name == "accuracy" => {
                let pairs = truth.iter().zip(predicted);
                Some(
                    pairs
                        .map(|(truth, answer)| f64::from(u8::from(truth == answer)))
                        .collect(),
                )
            }
            Self::Numbers { .. } if matches!(name, "mse" | "mae") => Some(alone()),
            _ => None,
        }
    }

    /// The same answers without what the metric does not look at.
    fn for_metric(&self, name: &str) -> Self {
        let mut answers = self.clone();
        match &mut answers {
            Self::Classes { probabilities, .. } if name != "ece" => probabilities.clear(),
            Self::Labels { probabilities, .. } => probabilities.clear(),
            _ => {}
        }
        answers
    }

    /// How often each class was taken for each; `None` of other tasks.
    pub fn confusion(&self) -> Option<Confusion> {
        match self {
            Self::Classes {
                classes,
                truth,
                predicted,
                ..
            } => Confusion::new(truth, predicted, *classes).ok(),
            _ => None,
        }
    }

    /// Whether the answers are right as often as they are certain; `None` where they have no probabilities.
    pub fn calibration(&self) -> Option<Calibration> {
        let Self::Classes {
            classes,
            truth,
            predicted,
            probabilities,
        } = self
        else {
            return None;
        };
        if probabilities.is_empty() {
            return None;
        }
        let right: Vec<bool> = truth
            .iter()
            .zip(predicted)
            .map(|(truth, answer)| truth == answer)
            .collect();
        let rows = probabilities.chunks(*classes).zip(predicted);
        let certainty: Vec<f64> = rows.map(|(row, answer)| row[*answer].clamp(0.0, 1.0)).collect();
        Calibration::new(&right, &certainty, BINS).ok()
    }

    fn metric(&self, name: &str) -> Result<f64> {
        Ok(match self {
            Self::Classes { .. } if name == "ece" => self.calibration().map_or(f64::NAN, |found| found.ece()),
            Self::Classes {
                classes,
                truth,
                predicted,
                ..
            } => {
                let confusion = Confusion::new(truth, predicted, *classes)?;
                match name {
                    "accuracy" => confusion.accuracy(),
                    "balanced_accuracy" => confusion.balanced_accuracy(),
                    "f1_macro" => confusion.f1(Average::Macro),
                    "f1_weighted" => confusion.f1(Average::Weighted),
                    "mcc" => confusion.mcc(),
                    _ => f64::NAN,
                }
            }
            Self::Labels {
                labels,
                truth,
                predicted,
                ..
            } => {
                let labelled = Labelled::new(truth.clone(), predicted.clone(), *labels)?;
                match name {
                    "f1_micro" => labelled.f1_micro(),
                    "f1_macro" => labelled.f1_macro(),
                    "f1_of_rows" => labelled.f1_of_rows(),
                    "exact_match" => labelled.exact_match(),
                    _ => f64::NAN,
                }
            }
            Self::Numbers {
                targets,
                truth,
                predicted,
            } => {
                // The mean over targets, as scikit-learn's uniform average.
                let mut sum = 0.0;
                for target in 0..*targets {
                    let column = |values: &[f64]| -> Vec<f64> {
                        values.iter().skip(target).step_by(*targets).copied().collect()
                    };
                    let (truth, predicted) = (column(truth), column(predicted));
                    sum += match name {
                        "mse" => regression::mse(&truth, &predicted)?,
                        "rmse" => regression::rmse(&truth, &predicted)?,
                        "mae" => regression::mae(&truth, &predicted)?,
                        "r2" => regression::r2(&truth, &predicted)?,
                        "pearson" => regression::pearson(&truth, &predicted)?,
                        "spearman" => regression::spearman(&truth, &predicted)?,
                        _ => f64::NAN,
                    };
                }
                sum / *targets as f64
            }
            Self::Lists(lists) => {
                let queries = lists.iter().map(|(scores, grades)| Query::new(scores, grades));
                let queries = queries.collect::<Result<Vec<_>>>()?;
                over_queries(&queries, |query| match name {
                    "ndcg_at_10" => query.ndcg(10, Gain::Exponential, Ties::Averaged),
                    "mrr" => query.reciprocal_rank(),
                    "map" => query.average_precision(),
                    "recall_at_1" => query.recall(1),
                    "recall_at_10" => query.recall(10),
                    _ => f64::NAN,
                })
            }
            Self::Pairs(pairs) => {
                let (chosen, rejected): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
                let scores = preference::preference(&chosen, &rejected)?;
                match name {
                    "preference_accuracy" => scores.accuracy,
                    "reward_margin" => scores.margin,
                    _ => f64::NAN,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(predicted: Vec<usize>) -> Predictions {
        Predictions::Classes {
            classes: 2,
            truth: vec![0, 0, 1, 1],
            predicted,
            probabilities: Vec::new(),
        }
    }

    #[test]
    fn a_part_of_the_answers_is_scored_as_if_it_were_all() {
        let answers = classes(vec![0, 1, 1, 1]);
        assert_eq!(answers.value("accuracy"), 0.75);
        assert_eq!(answers.pick(&[1, 1, 2]).value("accuracy"), 1.0 / 3.0);
        let numbers = Predictions::Numbers {
            targets: 2,
            truth: vec![1.0, 10.0, 2.0, 20.0],
            predicted: vec![1.0, 12.0, 2.0, 20.0],
        };
        assert_eq!((numbers.units(), numbers.value("mse")), (2, 1.0));
        assert_eq!(numbers.pick(&[1]).value("mse"), 0.0);
    }

    #[test]
    fn a_metric_that_is_a_mean_is_compared_unit_by_unit_with_the_same_result() {
        let (before, after) = (classes(vec![0, 1, 0, 0]), classes(vec![0, 0, 1, 0]));
        let bootstrap = Bootstrap::default();
        let by_rule = bootstrap.compare_by(4, |units| {
            (
                before.pick(units).value("accuracy"),
                after.pick(units).value("accuracy"),
            )
        });
        assert_eq!(after.against(&before, "accuracy", &bootstrap), by_rule);
    }

    #[test]
    fn every_metric_of_a_task_has_a_value_and_no_other_has() {
        let answers = classes(vec![0, 1, 1, 1]);
        let metrics = answers.metrics(Task::Classification);
        assert!(metrics.iter().all(|metric| metric.value.is_finite()), "{metrics:?}");
        assert!(
            !metrics.iter().any(|metric| metric.name == "ece"),
            "there are no probabilities"
        );
        assert!(answers.value("rmse").is_nan());
    }
}
