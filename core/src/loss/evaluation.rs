//! From a run's weighted sum of losses to its value on a batch.

use super::classification::{
    bce, counted, cross_entropy, error_of_classes, error_of_labels, focal, focal_of_labels, weight_of,
};
use super::contrastive::{info_nce, triplet};
use super::preference::dpo;
use super::ranking::{Lists, listnet, margin, ranknet, softmax};
use super::regression::{Penalty, regression};
use super::{Loss, WeightedSum};
use crate::error::{Error, Result};
use burn::tensor::Tensor;
use lorakeet_i18n::messages::metrics as msg;
use std::borrow::Cow;

/// What a head gave for a batch, and what it should have given: one variant a family of tasks.
#[derive(Debug, Clone)]
#[allow(
    clippy::large_enum_variant,
    reason = "one is made for a micro-batch, and tensors are handles"
)]
pub enum Compared<'a> {
    /// One class a row (or a token): logits \[N, C\]; −100 for rows that do not count.
    Classes {
        /// What the head gave.
        logits: Tensor<2>,
        /// The right classes.
        labels: Cow<'a, [i32]>,
    },
    /// Any number of labels a row: logits \[N, C\].
    Labels {
        /// What the head gave.
        logits: Tensor<2>,
        /// Which apply, from 0 to 1, row-major.
        targets: Cow<'a, [f32]>,
    },
    /// A number a row, \[N\].
    Numbers {
        /// What the head gave.
        predicted: Tensor<1>,
        /// The right numbers.
        targets: Cow<'a, [f32]>,
    },
    /// A score an item, \[items\].
    Scores {
        /// What the head gave.
        scores: Tensor<1>,
        /// Grades and lists.
        lists: Lists,
    },
    /// A vector a text, \[N, C\] each; row i of all belongs together.
    Vectors {
        /// Of queries, or anchors.
        queries: Tensor<2>,
        /// Of what belongs to them.
        documents: Tensor<2>,
        /// Of what does not, where the data names such.
        negatives: Option<Tensor<2>>,
    },
    /// Log-probabilities of the chosen and of the rejected answers, \[N\] each.
    Answers {
        /// By the model that is trained.
        policy: [Tensor<1>; 2],
        /// By the model that it started from.
        reference: [Vec<f32>; 2],
    },
}

impl WeightedSum {
    /// What each term's sum over this batch is divided by to be a mean: rows that count, their weights, elements, pairs or
    /// lists. Over the micro-batches of one step these numbers are added up.
    ///
    /// # Errors
    /// A term that these outputs are not made for.
    pub fn counts(&self, compared: &Compared) -> Result<Vec<f64>> {
        self.terms.iter().map(|term| term.loss.count(compared)).collect()
    }

    /// Σ over terms of weight · (the term's sum over this batch) / count: with the counts of this batch, a sum of means;
    /// with the summed counts of all micro-batches of a step, this one's part of it. A count of 0 makes a term 0.
    ///
    /// # Errors
    /// A term that these outputs are not made for, or outputs and targets that do not fit together.
    pub fn evaluate(&self, compared: &Compared, counts: &[f64]) -> Result<Tensor<1>> {
        let mut sum: Option<Tensor<1>> = None;
        for (i, term) in self.terms.iter().enumerate() {
            let count = counts.get(i).copied().unwrap_or(0.0);
            let scale = if count > 0.0 { term.weight / count } else { 0.0 };
            let value = term.loss.value(compared.clone(), scale)?;
            sum = Some(match sum {
                Some(sum) => sum + value,
                None => value,
            });
        }
        sum.ok_or_else(|| Error::internal(msg::NoTermsInside))
    }
}

impl Loss {
    /// The penalty of the losses that are one.
    fn penalty(&self) -> Option<Penalty> {
        match self {
            Self::Mse => Some(Penalty::Square),
            Self::Mae => Some(Penalty::Magnitude),
            Self::Huber { delta } => Some(Penalty::Huber(*delta)),
            Self::SmoothL1 { beta } => Some(Penalty::SmoothL1(*beta)),
            _ => None,
        }
    }

    fn count(&self, compared: &Compared) -> Result<f64> {
        Ok(match (self, compared) {
            (Self::CrossEntropy { class_weights, .. }, Compared::Classes { labels, .. }) => {
                weight_of(labels, class_weights)
            }
            (Self::Focal { .. }, Compared::Classes { labels, .. }) => counted(labels),
            (loss, Compared::Classes { logits, labels }) if loss.penalty().is_some() => {
                counted(labels) * logits.dims()[1] as f64
            }
            (_, Compared::Labels { targets, .. } | Compared::Numbers { targets, .. }) => targets.len() as f64,
            (Self::RankNet { .. } | Self::Margin { .. }, Compared::Scores { lists, .. }) => lists.pairs().len() as f64,
            (Self::ListNet, Compared::Scores { lists, .. }) => lists.count() as f64,
            (Self::Softmax, Compared::Scores { lists, .. }) => lists.with_relevant() as f64,
            (_, Compared::Scores { lists, .. }) => lists.relevance().len() as f64,
            (_, Compared::Vectors { queries, .. }) => queries.dims()[0] as f64,
            (_, Compared::Answers { policy, .. }) => policy[0].dims()[0] as f64,
            _ => return Err(self.not_made_for_this()),
        })
    }

    fn value(&self, compared: Compared, scale: f64) -> Result<Tensor<1>> {
        match compared {
            Compared::Classes { logits, labels } => match self {
                Self::CrossEntropy {
                    label_smoothing,
                    class_weights,
                } => cross_entropy(logits, &labels, class_weights, *label_smoothing, scale),
                Self::Focal { gamma, alpha } => focal(logits, &labels, alpha, *gamma, scale),
                _ => error_of_classes(logits, &labels, self.penalty_or_error()?, scale),
            },
            Compared::Labels { logits, targets } => match self {
                Self::Bce { pos_weight } => bce(logits, &targets, pos_weight, scale),
                Self::Focal { gamma, alpha } => focal_of_labels(logits, &targets, alpha, *gamma, scale),
                _ => error_of_labels(logits, &targets, self.penalty_or_error()?, scale),
            },
            Compared::Numbers { predicted, targets } => {
                regression(predicted, &targets, self.penalty_or_error()?, scale)
            }
            Compared::Scores { scores, lists } => match self {
                Self::RankNet { sigma } => ranknet(scores, &lists.pairs(), *sigma, scale),
                Self::Margin { margin: by } => margin(scores, &lists.pairs(), *by, scale),
                Self::ListNet => listnet(scores, &lists, scale),
                Self::Softmax => softmax(scores, &lists, scale),
                Self::Bce { pos_weight } => {
                    // A grade of 1 or more says relevant, a share of 1 how much so.
                    let targets: Vec<f32> = lists.relevance().iter().map(|grade| grade.min(1.0)).collect();
                    let items = scores.dims()[0];
                    bce(scores.reshape([items, 1]), &targets, pos_weight, scale)
                }
                _ => regression(scores, lists.relevance(), self.penalty_or_error()?, scale),
            },
            Compared::Vectors {
                queries,
                documents,
                negatives,
            } => match (self, negatives) {
                (Self::InfoNce { temperature, symmetric }, negatives) => {
                    info_nce(queries, documents, negatives, *temperature, *symmetric, scale)
                }
                (Self::Triplet { margin, distance }, Some(negatives)) => {
                    triplet(queries, documents, negatives, *margin, *distance, scale)
                }
                (Self::Triplet { .. }, None) => Err(Error::data(msg::TripletWithoutNegative)
                    .field("loss")
                    .remedy(msg::AddNegatives)),
                _ => Err(self.not_made_for_this()),
            },
            Compared::Answers { policy, reference } => match self {
                Self::Dpo { beta, label_smoothing } => {
                    dpo(policy, [&reference[0], &reference[1]], *beta, *label_smoothing, scale)
                }
                _ => Err(self.not_made_for_this()),
            },
        }
    }

    fn penalty_or_error(&self) -> Result<Penalty> {
        self.penalty().ok_or_else(|| self.not_made_for_this())
    }

    fn not_made_for_this(&self) -> Error {
        Error::internal(msg::LossOfOtherHead { loss: self }).field("loss")
    }
}
