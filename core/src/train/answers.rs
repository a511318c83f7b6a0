//! What a model's outputs answer to a run's rows, by task.

use super::assignment::Assignment;
use super::retrieval::{Corpus, cosine};
use crate::data::{Aim, Example};
use crate::loss::Loss;
use crate::metrics::answers::Answers;
use crate::task::Task;

impl Assignment {
    /// What the model answered to `examples`, whose labels are right: its outputs, `width` numbers a row.
    pub(crate) fn answers(&self, examples: &[Example], outputs: &[f32], width: usize) -> Option<Answers> {
        let labels = || {
            examples.iter().flat_map(|example| match &example.aim {
                Aim::Row(labels) => labels.as_slice(),
                _ => &[],
            })
        };
        Some(match self.task() {
            Task::Generation => return None,
            Task::Classification => {
                let probabilities = softmax(outputs, width);
                Answers::Classes {
                    classes: width,
                    truth: labels().map(|&class| class as usize).collect(),
                    predicted: probabilities.chunks(width).map(largest).collect(),
                    probabilities,
                }
            }
            Task::MultiLabel => {
                let probabilities: Vec<f64> = outputs.iter().map(|&logit| sigmoid(logit)).collect();
                Answers::Labels {
                    labels: width,
                    truth: labels().map(|&flag| flag > 0.5).collect(),
                    predicted: probabilities.iter().map(|p| *p > 0.5).collect(),
                    probabilities,
                }
            }
            Task::Regression => {
                let unscaled = |(i, value): (usize, f32)| self.scaling.unscaled(i % width, f64::from(value));
                Answers::Numbers {
                    targets: width,
                    truth: labels().copied().enumerate().map(unscaled).collect(),
                    predicted: outputs.iter().copied().enumerate().map(unscaled).collect(),
                }
            }
            Task::TokenClassification => {
                let probabilities = softmax(outputs, width);
                let truth = examples.iter().flat_map(|example| match &example.aim {
                    Aim::Tokens(labels) => labels.as_slice(),
                    _ => &[],
                });
                Answers::Classes {
                    classes: width,
                    truth: truth
                        .filter(|&&label| label >= 0)
                        .map(|&class| class as usize)
                        .collect(),
                    predicted: probabilities.chunks(width).map(largest).collect(),
                    probabilities,
                }
            }
            Task::Ranking => {
                let mut scores = outputs.iter().map(|&score| f64::from(score));
                Answers::Lists(lists(examples, |texts| scores.by_ref().take(texts).collect()))
            }
            Task::Embedding => self.of_vectors(examples, outputs, width),
            Task::Preference => {
                let beta = self.objective.loss.terms().iter().find_map(|term| match term.loss {
                    Loss::Dpo { beta, .. } => Some(beta),
                    _ => None,
                });
                let reference: Vec<f64> = references(examples);
                let reward = |(policy, reference): (&f32, f64)| beta.unwrap_or(0.1) * (f64::from(*policy) - reference);
                let rewards: Vec<f64> = outputs.iter().zip(reference).map(reward).collect();
                Answers::Pairs(rewards.chunks(2).map(|pair| (pair[0], pair[pair.len() - 1])).collect())
            }
        })
    }

    /// What vectors of all texts, `width` numbers each, say: cosines of pairs, or the order of documents.
    pub(crate) fn of_vectors(&self, examples: &[Example], vectors: &[f32], width: usize) -> Answers {
        if !self.objective.loss.is_of_numbers() {
            return Corpus::of(examples).by_vectors(vectors, width);
        }
        let truth = examples.iter().filter_map(|example| match &example.aim {
            Aim::Row(likeness) => likeness.first().map(|&value| f64::from(value)),
            _ => None,
        });
        let pairs = vectors.chunks_exact(2 * width).map(|pair| pair.split_at(width));
        Answers::Numbers {
            targets: 1,
            truth: truth.collect(),
            predicted: pairs.map(|(first, second)| cosine(first, second)).collect(),
        }
    }
}

/// The grades of each query's documents, behind scores that `scores` gives for so many of them.
pub(crate) fn lists(examples: &[Example], mut scores: impl FnMut(usize) -> Vec<f64>) -> Vec<(Vec<f64>, Vec<f64>)> {
    let of = |example: &Example| {
        let documents = std::iter::once(example).chain(&example.others);
        let grades: Vec<f64> = documents
            .flat_map(|document| match &document.aim {
                Aim::Row(grades) => grades.as_slice(),
                _ => &[],
            })
            .map(|&grade| f64::from(grade))
            .collect();
        (scores(grades.len()), grades)
    };
    examples.iter().map(of).collect()
}

/// The log-probabilities by the reference of all answers, chosen and rejected in turn.
pub(crate) fn references(examples: &[Example]) -> Vec<f64> {
    lists(examples, |_| Vec::new())
        .into_iter()
        .flat_map(|(_, both)| both)
        .collect()
}

/// The probabilities of each row's classes.
fn softmax(logits: &[f32], width: usize) -> Vec<f64> {
    let of_row = |row: &[f32]| {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f64> = row.iter().map(|&logit| f64::from(logit - most).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(move |power| power / sum)
    };
    logits.chunks(width).flat_map(of_row).collect()
}

fn sigmoid(logit: f32) -> f64 {
    1.0 / (1.0 + (-f64::from(logit)).exp())
}

/// The place of the largest; of several, the first.
fn largest(row: &[f64]) -> usize {
    (0..row.len()).fold(0, |best, place| if row[place] > row[best] { place } else { best })
}
