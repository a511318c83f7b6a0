//! Rows of a table by number, forward and backward.

use crate::launch::{Cut, ELEMENTS_A_GROUP, by_element, info_words};
use crate::math::for_each_row;
use crate::{Kernel, Tier};

/// Columns of one row that an element of [`EmbeddingBackward`]'s work owns; `embedding_backward.wgsl`.
const PIECE: usize = 16;

/// y\[t\] = w\[ids\[t\]\], a row of 0 where the id is not in 0..vocab. Inputs ids \[tokens\] as f32 (exact up to 2²⁴),
/// w \[vocab, width\]; output y \[tokens, width\].
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingGather {
    /// Ids.
    pub tokens: usize,
    /// Rows of the table.
    pub vocab: usize,
    /// Length of a row.
    pub width: usize,
}

/// The gradient of [`EmbeddingGather`] for its table: dw\[i\] = Σ of dy\[t\] over the tokens whose id is i, added in their
/// order. Inputs ids \[tokens\], dy \[tokens, width\]; output dw \[vocab, width\]. Its source looks through all ids for each row
/// of the table: made for small vocabularies.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingBackward {
    /// Ids.
    pub tokens: usize,
    /// Rows of the table.
    pub vocab: usize,
    /// Length of a row.
    pub width: usize,
}

/// The row that an id names.
fn row_of(id: f32, vocab: usize) -> Option<usize> {
    (id >= 0.0 && id < vocab as f32).then_some(id as usize)
}

impl Kernel for EmbeddingGather {
    by_element!("embedding_gather", |kernel| kernel.tokens * kernel.width);

    fn info(&self) -> Vec<u32> {
        info_words(&[(self.tokens * self.width) as u32, self.width as u32, self.vocab as u32])
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.tokens, self.vocab * self.width]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.tokens * self.width]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (ids, w) = (inputs[0], inputs[1]);
        for_each_row(outputs[0], self.width, |token, y| {
            if let Some(row) = row_of(ids[token], self.vocab) {
                y.copy_from_slice(&w[row * self.width..][..self.width]);
            }
        });
    }
}

impl EmbeddingBackward {
    fn pieces(&self) -> usize {
        self.width.div_ceil(PIECE)
    }
}

impl Kernel for EmbeddingBackward {
    by_element!("embedding_backward", |kernel| kernel.vocab * kernel.pieces());

    fn info(&self) -> Vec<u32> {
        info_words(&[
            (self.vocab * self.pieces()) as u32,
            self.tokens as u32,
            self.width as u32,
            self.pieces() as u32,
            0,
        ])
    }

    fn cut(&self, _tier: Tier) -> Option<Cut> {
        Some(Cut {
            groups: (self.vocab * self.pieces()).div_ceil(ELEMENTS_A_GROUP),
            word: 4,
            operations: self.operations(),
        })
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.tokens, self.tokens * self.width]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.vocab * self.width]
    }

    /// Each piece looks at all ids.
    fn products(&self) -> u64 {
        self.vocab as u64 * self.pieces() as u64 * self.tokens as u64
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (ids, dy) = (inputs[0], inputs[1]);
        let dw = &mut *outputs[0];
        dw.fill(0.0);
        for (token, &id) in ids.iter().enumerate() {
            if let Some(row) = row_of(id, self.vocab) {
                let dy = &dy[token * self.width..][..self.width];
                for (dw, &dy) in dw[row * self.width..][..self.width].iter_mut().zip(dy) {
                    *dw += dy;
                }
            }
        }
    }
}
