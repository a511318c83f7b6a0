//! Where the bits of a packed matrix lie.
//!
//! | format | codes | scales | secondary | offset | codebook | scale codebook |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | F32 | words | | | | | |
//! | F16, Bf16 | halves | | | | | |
//! | FourBit | nibbles | f32 a block | | | 16 f32 | |
//! | FourBit, double | nibbles | a byte a block | f32 for 256 blocks | f32 | 16 f32 | 256 f32 |
//! | Int8 | bytes | f32 a row | | | | |
//! | Fp8 | bytes | f32 a tile, row-major | | | | |
//! | Q4_0 | nibbles | a half a block: d | | | | |
//! | Q4_1 | nibbles | two halves a block: d, m | | | | |
//! | Q5_0 | nibbles | a half a block: d | fifth bits, 32 a word | | | |
//! | Q5_1 | nibbles | two halves a block: d, m | fifth bits, 32 a word | | | |
//! | Q8_0 | bytes | a half a block: d | | | | |
//! | Q4K | nibbles | 4 words a block: d, d_min, 12 bytes as ggml has them | | | | |
//! | Q5K | nibbles | as Q4K | fifth bits, 32 a word | | | |
//! | Q6K | nibbles | a byte for each 16 | high bit pairs, 16 a word | a half a block: d | | |
//!
//! Number i of a plane of b bits lies in word i·b/32 from bit i·b mod 32 on. Each plane ends with a whole word.

use super::{Format, Packed};

/// Where each plane starts, in words; a plane that a format lacks starts where the next one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planes {
    /// Scales; the codes lie before them, from word 0 on.
    pub scales: usize,
    /// Nested scales (the scales of doubly quantised scales), or the high bits of codes.
    pub secondary: usize,
    /// The offset of doubly quantised scales, or Q6_K's d.
    pub offset: usize,
    /// The sixteen values of 4-bit codes.
    pub codebook: usize,
    /// The 256 values of 8-bit codes of scales.
    pub scale_codebook: usize,
    /// Words of the whole.
    pub words: usize,
}

impl Packed {
    /// Where its planes lie.
    pub fn planes(&self) -> Planes {
        let count = self.elements();
        // In 64 bits: a browser's usize has 32.
        let bits = |number: usize, bits: u64| (number as u64 * bits).div_ceil(32) as usize;
        let blocks = |block: usize| count.div_ceil(block);
        // Words of codes, scales, secondary, offset, codebook, scale codebook.
        let [codes, scales, secondary, offset, codebook, scale_codebook] = match self.format {
            Format::F32 => [count, 0, 0, 0, 0, 0],
            Format::F16 | Format::Bf16 => [bits(count, 16), 0, 0, 0, 0, 0],
            Format::FourBit { block, double: false } => [bits(count, 4), blocks(block), 0, 0, 16, 0],
            Format::FourBit { block, double: true } => {
                let scales = blocks(block);
                [bits(count, 4), bits(scales, 8), scales.div_ceil(256), 1, 16, 256]
            }
            Format::Int8 => [bits(count, 8), self.rows, 0, 0, 0, 0],
            Format::Fp8 {
                tile_rows,
                tile_columns,
                ..
            } => {
                let tiles = self.rows.div_ceil(tile_rows) * self.columns.div_ceil(tile_columns);
                [bits(count, 8), tiles, 0, 0, 0, 0]
            }
            Format::Q4_0 => [bits(count, 4), bits(blocks(32), 16), 0, 0, 0, 0],
            Format::Q4_1 => [bits(count, 4), blocks(32), 0, 0, 0, 0],
            Format::Q5_0 => [bits(count, 4), bits(blocks(32), 16), blocks(32), 0, 0, 0],
            Format::Q5_1 => [bits(count, 4), blocks(32), blocks(32), 0, 0, 0],
            Format::Q8_0 => [bits(count, 8), bits(blocks(32), 16), 0, 0, 0, 0],
            Format::Q4K => [bits(count, 4), 4 * blocks(256), 0, 0, 0, 0],
            Format::Q5K => [bits(count, 4), 4 * blocks(256), blocks(32), 0, 0, 0],
            Format::Q6K => [
                bits(count, 4),
                bits(blocks(16), 8),
                bits(count, 2),
                bits(blocks(256), 16),
                0,
                0,
            ],
        };
        let secondary_start = codes + scales;
        let offset_start = secondary_start + secondary;
        let codebook_start = offset_start + offset;
        let scale_codebook_start = codebook_start + codebook;
        Planes {
            scales: codes,
            secondary: secondary_start,
            offset: offset_start,
            codebook: codebook_start,
            scale_codebook: scale_codebook_start,
            words: scale_codebook_start + scale_codebook,
        }
    }
}
