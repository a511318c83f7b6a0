//! Rotary position embedding (Su et al. 2021) in the rotate-half layout of Hugging Face's Llama.

use crate::Kernel;
use crate::launch::{by_element, info_words};
use crate::math::for_each_row;

/// Rotates the pairs (i, i + dim/2) of every head of queries and of keys: y1 = x1·cos − x2·sin, y2 = x2·cos + x1·sin. The
/// inverse, which is the backward too, rotates the other way. Inputs q \[rows, heads·dim\], k \[rows, kv_heads·dim\], cos and sin
/// \[tokens, dim/2\]; outputs like q and k.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// Tokens of all examples.
    pub rows: usize,
    /// Tokens an example.
    pub tokens: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys.
    pub kv_heads: usize,
    /// Width of a head; even.
    pub dim: usize,
    /// Rotate back.
    pub inverse: bool,
}

impl Rope {
    /// Pairs of queries and of keys.
    fn pairs(&self) -> [usize; 2] {
        [self.heads, self.kv_heads].map(|heads| self.rows * heads * self.dim / 2)
    }

    fn direction(&self) -> f32 {
        if self.inverse { -1.0 } else { 1.0 }
    }
}

impl Kernel for Rope {
    by_element!("rope", |kernel| kernel.pairs().iter().sum());

    fn info(&self) -> Vec<u32> {
        let [of_q, of_k] = self.pairs();
        info_words(&[
            of_q as u32,
            of_k as u32,
            self.dim as u32 / 2,
            self.tokens as u32,
            self.heads as u32,
            self.kv_heads as u32,
            self.direction().to_bits(),
        ])
    }

    fn input_lens(&self) -> Vec<usize> {
        let [of_q, of_k] = self.pairs();
        let table = self.tokens * self.dim / 2;
        vec![of_q * 2, of_k * 2, table, table]
    }

    fn output_lens(&self) -> Vec<usize> {
        self.pairs().map(|pairs| pairs * 2).into()
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (cosines, sines) = (inputs[2], inputs[3]);
        let half = self.dim / 2;
        let direction = self.direction();
        for (which, heads) in [self.heads, self.kv_heads].into_iter().enumerate() {
            let x = inputs[which];
            for_each_row(outputs[which], self.dim, |row, y| {
                let table = row / heads % self.tokens * half;
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
}
