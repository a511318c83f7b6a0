//! Rotary position embedding (Su et al. 2021) in the rotate-half layout of Hugging Face's Llama.

use crate::Kernel;
use crate::launch::{by_element, info_words};
use crate::math::for_each_row;

/// Rotates the pairs (i, i + dim/2) of every head: y1 = x1·cos − x2·sin, y2 = x2·cos + x1·sin. The inverse, which is the
/// backward too, rotates the other way. Inputs x \[batch, heads, tokens, dim\], cos and sin \[tables, tokens, dim/2\];
/// output y like x.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// Examples.
    pub batch: usize,
    /// Heads.
    pub heads: usize,
    /// Tokens an example.
    pub tokens: usize,
    /// Width of a head; even.
    pub dim: usize,
    /// Examples in cos and sin: 1 (shared by all) or `batch`.
    pub tables: usize,
    /// Rotate back.
    pub inverse: bool,
}

impl Rope {
    fn pairs(&self) -> usize {
        self.batch * self.heads * self.tokens * self.dim / 2
    }

    /// Elements between two examples' tables.
    fn table_step(&self) -> usize {
        if self.tables == 1 {
            0
        } else {
            self.tokens * self.dim / 2
        }
    }

    fn direction(&self) -> f32 {
        if self.inverse { -1.0 } else { 1.0 }
    }
}

impl Kernel for Rope {
    by_element!("rope", |kernel| kernel.pairs());

    fn info(&self) -> Vec<u32> {
        info_words(&[
            self.pairs() as u32,
            self.dim as u32 / 2,
            self.tokens as u32,
            (self.tokens * self.heads) as u32,
            self.table_step() as u32,
            self.direction().to_bits(),
        ])
    }

    fn input_lens(&self) -> Vec<usize> {
        let table = self.tables * self.tokens * self.dim / 2;
        vec![self.pairs() * 2, table, table]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.pairs() * 2]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (x, cosines, sines) = (inputs[0], inputs[1], inputs[2]);
        let half = self.dim / 2;
        let direction = self.direction();
        for_each_row(outputs[0], self.dim, |row, y| {
            let example = row / (self.tokens * self.heads);
            let table = example * self.table_step() + row % self.tokens * half;
            let (x1, x2) = x[row * self.dim..][..self.dim].split_at(half);
            let (y1, y2) = y.split_at_mut(half);
            let (cosines, sines) = (&cosines[table..][..half], &sines[table..][..half]);
            for i in 0..half {
                let (c, s) = (cosines[i], sines[i] * direction);
                y1[i] = x1[i] * c - x2[i] * s;
                y2[i] = x2[i] * c + x1[i] * s;
            }
        });
    }
}
