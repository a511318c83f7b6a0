//! The softmax of attention scores, with causality or without, padding and sliding windows, forward and backward.

use crate::Kernel;
use crate::launch::{by_row, info_words};
use crate::math::{dot, exp, for_each_row, max_of, sum_of};

/// p = softmax(scale · s) over the keys that a query may see, 0 elsewhere, and 0 throughout a row that may see nothing.
/// Query q sees key j if j ≤ q + offset, j > q + offset − window where `window` is not 0, and mask\[example, j\] is not 0. So an
/// offset of `keys` shows all keys, and an offset h with a window of 2h + 1 the keys within h of the query, on both sides.
/// Inputs: scores \[batch, kv_heads, group · queries, keys\], where row g · queries + q is query q of the group's head g,
/// and mask \[batch, keys\]; output p like the scores.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskedSoftmax {
    /// Examples.
    pub batch: usize,
    /// Heads of keys.
    pub kv_heads: usize,
    /// Query heads for one key head.
    pub group: usize,
    /// Queries an example.
    pub queries: usize,
    /// Keys an example.
    pub keys: usize,
    /// How many keys lie before the first query's own; `keys` or more turns causality off.
    pub offset: usize,
    /// Multiplies the scores.
    pub scale: f32,
    /// How many keys back a query sees, its own included; 0 for all.
    pub window: u32,
}

/// The gradient of [`MaskedSoftmax`]: ds = scale · p · (dp − Σ p·dp) over each row. Inputs p, dp \[rows, keys\]; output ds.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskedSoftmaxBackward {
    /// batch · kv_heads · group · queries.
    pub rows: usize,
    /// Keys an example.
    pub keys: usize,
    /// The forward's scale.
    pub scale: f32,
}

impl MaskedSoftmax {
    fn rows_an_example(&self) -> usize {
        self.kv_heads * self.group * self.queries
    }

    fn rows(&self) -> usize {
        self.batch * self.rows_an_example()
    }

    /// The gradient's kernel.
    pub fn backward(&self) -> MaskedSoftmaxBackward {
        MaskedSoftmaxBackward {
            rows: self.rows(),
            keys: self.keys,
            scale: self.scale,
        }
    }
}

impl Kernel for MaskedSoftmax {
    by_row!("masked_softmax", |kernel| kernel.rows());

    fn info(&self) -> Vec<u32> {
        info_words(&[
            self.rows() as u32,
            self.keys as u32,
            self.queries as u32,
            self.rows_an_example() as u32,
            self.offset as u32,
            self.window,
            self.scale.to_bits(),
        ])
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.rows() * self.keys, self.batch * self.keys]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.rows() * self.keys]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (scores, mask) = (inputs[0], inputs[1]);
        for_each_row(outputs[0], self.keys, |row, p| {
            let last = row % self.queries + self.offset;
            let end = (last + 1).min(self.keys);
            let begin = if self.window > 0 {
                (last + 1).saturating_sub(self.window as usize).min(end)
            } else {
                0
            };
            let mask = &mask[row / self.rows_an_example() * self.keys..][begin..end];
            let scores = &scores[row * self.keys..][begin..end];
            p.fill(0.0);
            let p = &mut p[begin..end];
            for ((p, &score), &mask) in p.iter_mut().zip(scores).zip(mask) {
                *p = if mask == 0.0 {
                    f32::NEG_INFINITY
                } else {
                    score * self.scale
                };
            }
            let peak = max_of(p);
            if peak == f32::NEG_INFINITY {
                p.fill(0.0);
                return;
            }
            for p in p.iter_mut() {
                *p = exp(*p - peak);
            }
            let share = 1.0 / sum_of(p, |p| p);
            for p in p.iter_mut() {
                *p *= share;
            }
        });
    }
}

impl Kernel for MaskedSoftmaxBackward {
    by_row!("masked_softmax_backward", |kernel| kernel.rows);

    fn info(&self) -> Vec<u32> {
        info_words(&[self.rows as u32, self.keys as u32, self.scale.to_bits()])
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.rows * self.keys; 2]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.rows * self.keys]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (p, dp) = (inputs[0], inputs[1]);
        for_each_row(outputs[0], self.keys, |row, ds| {
            let p = &p[row * self.keys..][..self.keys];
            let dp = &dp[row * self.keys..][..self.keys];
            let total = dot(p, dp);
            for ((ds, &p), &dp) in ds.iter_mut().zip(p).zip(dp) {
                *ds = self.scale * p * (dp - total);
            }
        });
    }
}
