//! Rows on their way through a matrix over the vocabulary, a chunk at a time, so that no \[n, V\] matrix of logits is kept and the
//! device can be waited for in between.

use super::dispatched::Ops;
use super::vocabulary::chunk_rows;
use super::{VocabularyForm, cross_entropy, first_number, scaled_sum};
use burn::{backend::Dispatch, tensor::Tensor};

/// Either scored without a gradient, or their loss with the gradient of the rows, where the matrix is frozen.
///
/// The chunks, and the numbers that come of them, are those of [`super::vocabulary_loss`].
pub(crate) struct VocabularyChunks<'m> {
    /// Rows by the matrix: to logits, or (`true`) gradients of logits back to those of the rows.
    multiply: Box<dyn Fn(Tensor<2>, bool) -> Tensor<2> + 'm>,
    vocab: usize,
    soft_cap: f32,
    x: Tensor<2>,
    /// x without a gradient.
    plain: Tensor<2>,
    targets: Tensor<1>,
    /// Rows that are done.
    done: usize,
    losses: Vec<Tensor<1>>,
    largest: Vec<Tensor<1>>,
    gradients: Vec<Tensor<2>>,
}

impl<'m> VocabularyChunks<'m> {
    /// Of rows x \[n, C\] with their targets \[n\], whole numbers in f32, −100 where there is none.
    pub(crate) fn new(
        (x, targets): (Tensor<2>, Tensor<1>),
        vocab: usize,
        soft_cap: f32,
        multiply: impl Fn(Tensor<2>, bool) -> Tensor<2> + 'm,
    ) -> Self {
        Self {
            multiply: Box::new(multiply),
            vocab,
            soft_cap,
            plain: x.clone().inner(),
            x,
            targets: targets.inner(),
            done: 0,
            losses: Vec::new(),
            largest: Vec::new(),
            gradients: Vec::new(),
        }
    }

    fn next_rows(&mut self) -> Option<(Tensor<2>, Tensor<1>)> {
        let [rows, _] = self.plain.dims();
        let some = self.done..(self.done + chunk_rows(self.vocab)).min(rows);
        self.done = some.end;
        let (x, targets) = (self.plain.clone(), self.targets.clone());
        match some.len() {
            0 => None,
            count if count == rows => Some((x, targets)),
            _ => Some((x.slice([some.clone()]), targets.slice([some]))),
        }
    }

    /// A number of what was asked for last; `None` before anything was.
    pub(crate) fn newest(&self) -> Option<Tensor<1>> {
        match self.gradients.last() {
            Some(gradient) => Some(first_number(gradient)),
            None => Some(self.losses.last()?.clone().narrow(0, 0, 1)),
        }
    }

    /// Scores the next chunk; `false` where none is left.
    pub(crate) fn score_next(&mut self) -> bool {
        let Some((x, targets)) = self.next_rows() else {
            return false;
        };
        let logits = (self.multiply)(x, false);
        // A cap leaves the order of the logits as it is.
        self.largest.push(logits.clone().argmax(1).float().flatten(0, 1));
        self.losses.push(cross_entropy(logits, targets, self.soft_cap));
        true
    }

    /// The cross-entropy of each row against its target → \[n\], and the number of its largest logit → \[n\].
    pub(crate) fn scores(mut self) -> [Tensor<1>; 2] {
        while self.score_next() {}
        [joined(self.losses), joined(self.largest)]
    }

    /// Computes the next chunk's losses and, where x is tracked, the gradient of its rows, of the losses times `scale`; `false` where
    /// none is left.
    pub(crate) fn learn_next(&mut self, scale: f32) -> bool {
        let Some((x, targets)) = self.next_rows() else {
            return false;
        };
        let logits = (self.multiply)(x, false).into_dispatch();
        let logits = match self.soft_cap {
            cap if cap > 0.0 => Dispatch::soft_cap(logits, cap),
            _ => logits,
        };
        let targets = targets.into_dispatch();
        let losses = Dispatch::cross_entropy(logits.clone(), targets.clone());
        self.losses.push(Tensor::from_dispatch(losses));
        if !self.x.is_tracked() {
            return true;
        }
        let form = VocabularyForm {
            scale,
            soft_cap: self.soft_cap,
        };
        let of_logits = Tensor::from_dispatch(Dispatch::cross_entropy_backward(logits, targets, form));
        self.gradients.push((self.multiply)(of_logits, true));
        true
    }

    /// `scale` · Σ of the losses of all rows, in nats → \[1\].
    pub(crate) fn loss(mut self, scale: f32) -> Tensor<1> {
        while self.learn_next(scale) {}
        let loss = scaled_sum(joined(self.losses), scale);
        if !self.x.is_tracked() {
            return loss;
        }
        let gradient = joined(self.gradients);
        Tensor::from_dispatch(Dispatch::given_gradient(
            self.x.into_dispatch(),
            loss.into_dispatch(),
            gradient.into_dispatch(),
        ))
    }
}

/// The rows of all chunks, one after the other; those of a single one as they are, without a copy.
fn joined<const D: usize>(mut chunks: Vec<Tensor<D>>) -> Tensor<D> {
    match chunks.len() {
        1 => chunks.swap_remove(0),
        _ => Tensor::cat(chunks, 0),
    }
}
