//! Rows of a packed table by number.

use super::{Packed, WORD_AT, decode};
use crate::launch::{by_element_count, info_words};
use crate::math::for_each_row;
use crate::{Kernel, Tier};

/// y\[t\] = row ids\[t\] − `first_row` of the packed table, a row of 0 where the table has no such row. Inputs ids
/// \[tokens\] as f32 (exact up to 2²⁴) and the table's words; output y \[tokens, columns\].
///
/// A table that is split over several buffers is gathered from each part, and the results are summed.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedGather {
    /// Ids.
    pub tokens: usize,
    /// The table, or a part of it.
    pub table: Packed,
    /// The id of its first row.
    pub first_row: usize,
}

impl PackedGather {
    /// Pieces of eight columns in a row.
    fn pieces(&self) -> usize {
        self.table.columns.div_ceil(8)
    }
}

impl Kernel for PackedGather {
    fn key(&self, _tier: Tier) -> String {
        format!("packed_gather_{}", self.table.key())
    }

    fn wgsl(&self, _tier: Tier) -> String {
        [
            include_str!("../elements.wgsl"),
            include_str!("gather.wgsl"),
            WORD_AT,
            &self.table.wgsl(1),
        ]
        .concat()
    }

    by_element_count!(|kernel: &Self| kernel.tokens * kernel.pieces());

    fn info(&self) -> Vec<u32> {
        let mut words = vec![
            (self.tokens * self.pieces()) as u32,
            self.pieces() as u32,
            self.table.rows as u32,
            self.first_row as u32,
        ];
        words.extend(self.table.info());
        info_words(&words)
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.tokens, self.table.words()]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.tokens * self.table.columns]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (ids, words, width) = (inputs[0], inputs[1], self.table.columns);
        for_each_row(outputs[0], width, |token, y| {
            let row = ids[token] - self.first_row as f32;
            if row >= 0.0 && row < self.table.rows as f32 {
                decode(&self.table, words, row as usize * width, y);
            }
        });
    }
}
