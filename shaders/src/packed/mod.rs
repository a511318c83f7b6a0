//! Matrices that stay packed: 16, 8 or 4 bits a number on the device, decoded where they are multiplied.
//!
//! A packed matrix is one list of 32-bit words, a few planes one after the other: the codes first, so that eight
//! neighbours lie in one word (4 bits), two (8 bits) or four (16 bits), then their scales. Files hold the same bits in
//! another order (ggml interleaves codes and scales in blocks of 18 or 210 bytes, which no GPU can read at once);
//! [`planes`] says which bits go where, [`decode`] and the sources of [`PackedMatMul`] read them, and nothing is rounded
//! on the way. Only the twin of products with few rows rounds, what it multiplies the matrix by (`dots`).
//!
//! Words travel as tensors of f32 whose *bits* are the words, since all of the launcher's buffers are f32; nothing does
//! arithmetic on them.

mod decode;
mod dots;
mod gather;
mod lanes;
mod matmul;
mod pair;
mod planes;

pub use decode::decode;
pub use gather::PackedGather;
pub use matmul::PackedMatMul;
pub use pair::PackedPair;
pub use planes::Planes;

use std::fmt::Debug;

/// How sources read a word of the one matrix that they have, `w: array<u32>`.
const WORD_AT: &str = "\nfn word_at(i: u32) -> u32 {\n    return w[i];\n}\n";

/// How the numbers of a packed matrix are stored. Numbers are counted in row-major order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// IEEE 32-bit: not packed at all, for matrices that have to be split over several buffers.
    F32,
    /// IEEE 16-bit.
    F16,
    /// The upper half of IEEE 32-bit.
    Bf16,
    /// bitsandbytes' NF4 and FP4: an index into sixteen values, which travel with the matrix, times a scale for each
    /// `block` (64, 128 or 256) of numbers. The scales are f32, or, where `double`, indices into 256 values times a scale
    /// for each 256 of them, plus an offset.
    FourBit {
        /// Numbers that share a scale.
        block: usize,
        /// Whether scales are 8-bit numbers themselves.
        double: bool,
    },
    /// Signed bytes: (q · absmax of the row) · (1/127).
    Int8,
    /// 8-bit floats times a scale for each tile of `tile_rows` × `tile_columns`.
    Fp8 {
        /// Bits of the fraction: 3 for E4M3, 2 for E5M2.
        fraction_bits: usize,
        /// Rows of a tile.
        tile_rows: usize,
        /// Columns of a tile.
        tile_columns: usize,
    },
    /// ggml: blocks of 32, d·(q − 8).
    Q4_0,
    /// ggml: blocks of 32, d·q + m.
    Q4_1,
    /// ggml: blocks of 32, d·(q − 16), q of five bits.
    Q5_0,
    /// ggml: blocks of 32, d·q + m, q of five bits.
    Q5_1,
    /// ggml: blocks of 32, d·q, q a signed byte.
    Q8_0,
    /// ggml: blocks of 256, (d·s)·q − d_min·m, a 6-bit s and m for each 32.
    Q4K,
    /// ggml: as Q4K, q of five bits.
    Q5K,
    /// ggml: blocks of 256, (d·s)·(q − 32), q of six bits, a signed byte s for each 16.
    Q6K,
}

impl Format {
    /// Columns are a multiple of this.
    pub fn row_multiple(self) -> usize {
        match self {
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
            _ => 1,
        }
    }

    /// Names the source that decodes it.
    fn key(self) -> String {
        match self {
            Self::FourBit { double, .. } => if double { "four_bit_double" } else { "four_bit" }.to_owned(),
            Self::Fp8 { fraction_bits, .. } => format!("fp8_{fraction_bits}"),
            other => format!("{other:?}").to_lowercase(),
        }
    }

    /// The source of `eight` (eight neighbours from a multiple of eight on) and, for the formats whose rows may have any
    /// length, of `one`.
    fn wgsl(self) -> String {
        let source = match self {
            Self::F32 => include_str!("f32.wgsl"),
            Self::F16 => include_str!("f16.wgsl"),
            Self::Bf16 => include_str!("bf16.wgsl"),
            Self::FourBit { double: false, .. } => {
                concat!(include_str!("four_bit.wgsl"), include_str!("four_bit_plain.wgsl"))
            }
            Self::FourBit { double: true, .. } => {
                concat!(include_str!("four_bit.wgsl"), include_str!("four_bit_double.wgsl"))
            }
            Self::Int8 => include_str!("int8.wgsl"),
            Self::Fp8 { fraction_bits, .. } => {
                return include_str!("fp8.wgsl").replace("$FRACTION_BITS", &fraction_bits.to_string());
            }
            Self::Q4_0 => include_str!("q4_0.wgsl"),
            Self::Q4_1 => include_str!("q4_1.wgsl"),
            Self::Q5_0 => concat!(include_str!("fifth.wgsl"), include_str!("q5_0.wgsl")),
            Self::Q5_1 => concat!(include_str!("fifth.wgsl"), include_str!("q5_1.wgsl")),
            Self::Q8_0 => include_str!("q8_0.wgsl"),
            Self::Q4K => concat!(include_str!("k_scales.wgsl"), include_str!("q4_k.wgsl")),
            Self::Q5K => concat!(
                include_str!("k_scales.wgsl"),
                include_str!("fifth.wgsl"),
                include_str!("q5_k.wgsl")
            ),
            Self::Q6K => include_str!("q6_k.wgsl"),
        };
        source.to_owned()
    }
}

/// A packed matrix's shape and format; its words are a kernel's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Packed {
    /// How its numbers are stored.
    pub format: Format,
    /// Rows.
    pub rows: usize,
    /// Columns, a multiple of [`Format::row_multiple`].
    pub columns: usize,
}

impl Packed {
    /// Numbers.
    pub fn elements(&self) -> usize {
        self.rows * self.columns
    }

    /// Words that it takes.
    pub fn words(&self) -> usize {
        self.planes().words
    }

    /// Whether every row starts at a multiple of eight numbers, so that sources read eight at a time.
    fn aligned(&self) -> bool {
        self.columns.is_multiple_of(8)
    }

    /// Where its planes start, and the format's other numbers: eight words of `info`.
    fn info(&self) -> [u32; 8] {
        let planes = self.planes();
        let (first, second) = match self.format {
            Format::FourBit { block, .. } => (block, 0),
            Format::Fp8 {
                tile_rows,
                tile_columns,
                ..
            } => (tile_rows, tile_columns),
            _ => (0, 0),
        };
        let starts = [
            planes.scales,
            planes.secondary,
            planes.offset,
            planes.codebook,
            planes.scale_codebook,
        ];
        let mut words = [0; 8];
        for (word, start) in words.iter_mut().zip(starts) {
            *word = start as u32;
        }
        words[5] = first as u32;
        words[6] = second as u32;
        words[7] = self.columns as u32;
        words
    }

    /// Names the decoding source of this matrix.
    fn key(&self) -> String {
        let rows = if self.aligned() { "" } else { "_ragged" };
        self.format.key() + rows
    }

    /// `eight(row, column)` for a `word_at(i)` such as [`WORD_AT`]; `first_info` is the first vector of `info` that holds
    /// [`Self::info`].
    fn wgsl(&self, first_info: usize) -> String {
        let gathered = if self.aligned() {
            ""
        } else {
            include_str!("ragged.wgsl")
        };
        let source = [include_str!("packed.wgsl"), &self.format.wgsl(), gathered].concat();
        let eight = if self.aligned() { "eight" } else { "aligned_eight" };
        source
            .replace("$EIGHT", eight)
            .replace("$PLANES", &format!("info[{first_info}]"))
            .replace("$SHAPES", &format!("info[{}]", first_info + 1))
    }
}
