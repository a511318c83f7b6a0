//! Rows on their way through a matrix over the vocabulary, a chunk at a time, so that no \[n, V\] matrix of logits is kept and the
//! device can be waited for in between.

use super::dispatched::Ops;
use super::vocabulary::chunk_rows;
use super::{VocabularyForm, cross_entropy};
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

    /// Scores the next chunk; a number of the last that is asked for, or `None` where no chunk is left.
    pub(crate) fn score_next(&mut self) -> Option<Tensor<1>> {
        let (x, targets) = self.next_rows()?;
        let logits = (self.multiply)(x, false);
        // A cap leaves the order of the logits as it is.
        self.largest.push(logits.clone().argmax(1).float().flatten(0, 1));
        let losses = cross_entropy(logits, targets, self.soft_cap);
        self.losses.push(losses.clone());
        Some(losses.slice([0..1]))
    }

    /// The cross-entropy of each row against its target → \[n\], and the number of its largest logit → \[n\].
    pub(crate) fn scores(mut self) -> [Tensor<1>; 2] {
        while self.score_next().is_some() {}
        [Tensor::cat(self.losses, 0), Tensor::cat(self.largest, 0)]
    }

    /// Computes the next chunk's losses and, where x is tracked, the gradient of its rows, of the losses times `scale`; a number of
    /// the last that is asked for, or `None` where no chunk is left.
    pub(crate) fn learn_next(&mut self, scale: f32) -> Option<Tensor<1>> {
        let (x, targets) = self.next_rows()?;
        let logits = (self.multiply)(x, false).into_dispatch();
        let logits = match self.soft_cap {
            cap if cap > 0.0 => Dispatch::soft_cap(logits, cap),
            _ => logits,
        };
        let targets = targets.into_dispatch();
        let losses = Tensor::<1>::from_dispatch(Dispatch::cross_entropy(logits.clone(), targets.clone()));
        self.losses.push(losses.clone());
        if !self.x.is_tracked() {
            return Some(losses.slice([0..1]));
        }
        let form = VocabularyForm {
            scale,
            soft_cap: self.soft_cap,
        };
        let of_logits = Tensor::from_dispatch(Dispatch::cross_entropy_backward(logits, targets, form));
        let gradient = (self.multiply)(of_logits, true);
        self.gradients.push(gradient.clone());
        Some(gradient.slice([0..1, 0..1]).reshape([1]))
    }

    /// `scale` · Σ of the losses of all rows, in nats → \[1\].
    pub(crate) fn loss(mut self, scale: f32) -> Tensor<1> {
        while self.learn_next(scale).is_some() {}
        let loss = Tensor::cat(self.losses, 0).sum().mul_scalar(scale);
        if !self.x.is_tracked() {
            return loss;
        }
        let gradient = Tensor::cat(self.gradients, 0);
        Tensor::from_dispatch(Dispatch::given_gradient(
            self.x.into_dispatch(),
            loss.into_dispatch(),
            gradient.into_dispatch(),
        ))
    }
}
