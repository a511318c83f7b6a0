//! The loss over a vocabulary, forward and backward.

use crate::Kernel;
use crate::launch::{by_row, info_words};
use crate::math::{exp, for_each_row, for_each_row_of, max_of, sum_of};

/// loss = log Σ exp(logits) − logits\[target\] for each row, 0 where the target is not in 0..vocab (−100 means ignored).
/// Inputs logits \[rows, vocab\], targets \[rows\] as f32 (exact up to 2²⁴); output loss \[rows\], nats.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossEntropy {
    /// Rows of logits.
    pub rows: usize,
    /// Classes.
    pub vocab: usize,
}

/// The gradient of [`CrossEntropy`]'s sum: dlogits = scale · (softmax(logits) − onehot(target)), rows of 0 where the target is
/// not in 0..vocab. Inputs logits \[rows, vocab\], targets \[rows\]; output dlogits \[rows, vocab\].
#[derive(Debug, Clone, PartialEq)]
pub struct CrossEntropyBackward {
    /// Rows of logits.
    pub rows: usize,
    /// Classes.
    pub vocab: usize,
    /// Multiplies the gradient: 1 / count of targets for a mean.
    pub scale: f32,
}

/// The class that a target names.
fn class_of(target: f32, vocab: usize) -> Option<usize> {
    (target >= 0.0 && target < vocab as f32).then_some(target as usize)
}

impl Kernel for CrossEntropy {
    by_row!("cross_entropy", |kernel| kernel.rows, "softmax_sums");

    fn info(&self) -> Vec<u32> {
        info_words(&[self.rows as u32, self.vocab as u32])
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.rows * self.vocab, self.rows]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.rows]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (logits, targets) = (inputs[0], inputs[1]);
        for_each_row_of(
            outputs[0],
            1,
            self.vocab,
            #[inline(always)]
            |row, loss| {
                let Some(class) = class_of(targets[row], self.vocab) else {
                    return;
                };
                let logits = &logits[row * self.vocab..][..self.vocab];
                let peak = max_of(logits);
                let total = sum_of(logits, |logit| exp(logit - peak));
                loss[0] = total.ln() - (logits[class] - peak);
            },
        );
    }
}

impl Kernel for CrossEntropyBackward {
    by_row!("cross_entropy_backward", |kernel| kernel.rows, "softmax_sums");

    fn info(&self) -> Vec<u32> {
        info_words(&[self.rows as u32, self.vocab as u32, self.scale.to_bits()])
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.rows * self.vocab, self.rows]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.rows * self.vocab]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (logits, targets) = (inputs[0], inputs[1]);
        for_each_row(
            outputs[0],
            self.vocab,
            #[inline(always)]
            |row, dlogits| {
                let Some(class) = class_of(targets[row], self.vocab) else {
                    return;
                };
                let logits = &logits[row * self.vocab..][..self.vocab];
                let peak = max_of(logits);
                for (dlogit, &logit) in dlogits.iter_mut().zip(logits) {
                    *dlogit = exp(logit - peak);
                }
                let total = sum_of(dlogits, |share| share);
                let factor = self.scale / total;
                for dlogit in dlogits.iter_mut() {
                    *dlogit *= factor;
                }
                dlogits[class] = self.scale * (exp(logits[class] - peak) / total - 1.0);
            },
        );
    }
}
