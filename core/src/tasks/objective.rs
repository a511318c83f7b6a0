//! The training objective: a weighted sum of losses on the model's outputs for a batch.
//!
//! Each term of the sum is a mean of its own over all micro-batches of a step, so that accumulation equals the large batch:
//! [`Objective::counts`] are added up first, and each micro-batch then gives its part of the sum.

use super::{Rules, by_task};
use crate::data::Batch;
use crate::error::{Error, Result};
use crate::loss::{Compared, WeightedSum, usual};
use crate::models::{Leaves, Model};
use crate::ops::VocabularyChunks;
use crate::task::Task;
use burn::tensor::{Int, Tensor, TensorData};
use lorakeet_i18n::messages::run::ModelHasNoHead;

/// A task and its loss.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// The task.
    pub task: Task,
    /// The loss.
    pub loss: WeightedSum,
}

impl Default for Objective {
    /// The next token.
    fn default() -> Self {
        Self {
            task: Task::Generation,
            loss: usual(Task::Generation),
        }
    }
}

impl Objective {
    /// What each term's sum over `batch` is divided by to be a mean; of next tokens, how many there are.
    ///
    /// # Errors
    /// A loss that the task is not made for.
    pub fn counts(&self, model: &Model, batch: &Batch) -> Result<Vec<f64>> {
        if self.learns_texts() {
            return Ok(vec![batch.target_tokens as f64]);
        }
        let rows = match self.is_of_tokens() {
            true => batch.rows * batch.tokens,
            false => batch.rows,
        };
        let width = by_task!(self.task, R => R::width(model));
        let none = Tensor::zeros([rows, width], model.device());
        self.loss.counts(&self.compared(none, batch)?)
    }

    /// [`Objective::counts`] of all `batches` together.
    ///
    /// # Errors
    /// As there.
    pub fn total(&self, model: &Model, batches: &[Batch]) -> Result<Vec<f64>> {
        let mut total = Vec::new();
        for batch in batches {
            let counts = self.counts(model, batch)?;
            total.resize(counts.len(), 0.0);
            total.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
        }
        Ok(total)
    }

    /// What the model gives for `batch`, from which [`Objective::value`] follows: logits \[B, L\] of rows or \[B·T, L\] of
    /// tokens, vectors \[B, C\], or log-probabilities of answers \[B, 1\].
    ///
    /// # Errors
    /// A model without the task's head.
    pub fn outputs(&self, model: &Model, leaves: &Leaves, batch: &Batch, seed: Option<u64>) -> Result<Tensor<2>> {
        let outputs = by_task!(self.task, R => R::outputs(model, leaves, batch, seed));
        outputs.ok_or_else(|| Error::internal(ModelHasNoHead { task: self.task }))
    }

    /// This batch's part of the loss of [`Objective::outputs`]; `counts` are those of the whole step.
    ///
    /// # Errors
    /// Labels that do not fit the outputs.
    pub fn value(&self, outputs: Tensor<2>, batch: &Batch, counts: &[f64]) -> Result<Tensor<1>> {
        self.loss.evaluate(&self.compared(outputs, batch)?, counts)
    }

    /// This batch's part of the loss.
    ///
    /// # Errors
    /// As [`Objective::outputs`] and [`Objective::value`].
    pub fn loss(
        &self,
        model: &Model,
        leaves: &Leaves,
        batch: &Batch,
        counts: &[f64],
        seed: Option<u64>,
    ) -> Result<Tensor<1>> {
        if self.learns_texts() {
            let (weight, targets) = self.of_target(counts);
            return model.loss(leaves, batch, weight as f32 / targets as f32, seed);
        }
        let outputs = self.outputs(model, leaves, batch, seed)?;
        self.value(outputs, batch, counts)
    }

    /// The same on `hidden` states of the model's last layer, a chunk of rows at a time, where that is possible: the chunks, and the
    /// factor of their losses.
    pub(crate) fn loss_in_chunks<'m>(
        &self,
        model: &'m Model,
        leaves: &'m Leaves,
        (hidden, batch): (Tensor<2>, &Batch),
        counts: &[f64],
    ) -> Option<(VocabularyChunks<'m>, f32)> {
        if !self.learns_texts() {
            return None;
        }
        let (weight, targets) = self.of_target(counts);
        let chunks = model.loss_in_chunks(leaves, hidden, batch)?;
        Some((chunks, weight as f32 / targets as f32))
    }

    /// Factor and divisor of a target token's cross-entropy, where the next token is predicted.
    pub(crate) fn of_target(&self, counts: &[f64]) -> (f64, f64) {
        let weight = self.loss.terms().iter().map(|term| term.weight).sum();
        (weight, counts.first().map_or(1.0, |count| count.max(1.0)))
    }

    /// `outputs` beside the batch's labels.
    fn compared<'b>(&self, outputs: Tensor<2>, batch: &'b Batch) -> Result<Compared<'b>> {
        by_task!(self.task, R => R::compared(&self.loss, outputs, batch))
    }

    /// Whether texts themselves are trained on, by the loss over a vocabulary.
    pub(crate) fn learns_texts(&self) -> bool {
        by_task!(self.task, R => R::LEARNS_TEXTS)
    }

    /// Whether there is an output for each token.
    pub(crate) fn is_of_tokens(&self) -> bool {
        by_task!(self.task, R => R::OF_TOKENS)
    }
}

/// Which example of the batch a row is of, and which of its texts.
pub(super) fn member(batch: &Batch, row: usize) -> (usize, usize) {
    batch.members.get(row).copied().unwrap_or((row, 0))
}

/// The rows that are such texts of their examples.
pub(super) fn texts(batch: &Batch, is: impl Fn(usize) -> bool) -> Vec<usize> {
    (0..batch.rows).filter(|&row| is(member(batch, row).1)).collect()
}

/// These rows of the outputs.
pub(super) fn rows_of(outputs: &Tensor<2>, rows: &[usize]) -> Tensor<2> {
    let places: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
    let places = Tensor::<1, Int>::from_data(TensorData::new(places, [rows.len()]), &outputs.device());
    outputs.clone().select(0, places)
}
