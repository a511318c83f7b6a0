//! 8-bit floats, E4M3 and E5M2, with one scale a tensor, a row or a block.
//!
//! The formats are those of Micikevicius et al., "FP8 Formats for Deep Learning" (2022); torch calls them
//! `float8_e4m3fn` and `float8_e5m2`. Too large numbers saturate: E4M3 has no infinity, and E5M2's has no use in a
//! weight.

use super::{check_finite, check_length, check_matrix, largest};
use crate::{Error, Result};
use lorakeet_i18n::messages::formats as msg;

/// An 8-bit float: a sign, an exponent, a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fp8 {
    /// Exponent 4 bits with bias 7, fraction 3 bits: up to 448, no infinities, one NaN a sign.
    E4M3,
    /// Exponent 5 bits with bias 15, fraction 2 bits: up to 57344, with infinities and NaNs as in IEEE 754.
    E5M2,
}

/// Bits of an f32's fraction, and its exponent's bias.
const F32_FRACTION_BITS: u32 = 23;
const F32_BIAS: u32 = 127;

impl Fp8 {
    /// The largest finite value.
    pub fn largest(self) -> f32 {
        match self {
            Self::E4M3 => 448.0,
            Self::E5M2 => 57344.0,
        }
    }

    /// The scale of numbers of which the largest magnitude is `largest`: largest / the format's largest value, or 1 where
    /// that is 0.
    pub fn scale(self, largest: f32) -> f32 {
        let wanted = largest / self.largest();
        if wanted > 0.0 { wanted } else { 1.0 }
    }

    /// Bits of the fraction.
    pub fn fraction_bits(self) -> u32 {
        match self {
            Self::E4M3 => 3,
            Self::E5M2 => 2,
        }
    }

    fn bias(self) -> u32 {
        match self {
            Self::E4M3 => 7,
            Self::E5M2 => 15,
        }
    }

    /// The smallest value above 0, 2^(1 − bias − fraction bits); all subnormals are its multiples.
    fn smallest(self) -> f32 {
        power_of_two(F32_BIAS + 1 - self.bias() - self.fraction_bits())
    }

    /// The nearest code, ties to an even one; beyond the largest value, infinities included, the largest's. A zero keeps
    /// its sign; NaN is 0x7f or 0xff.
    pub fn encode(self, value: f32) -> u8 {
        let sign = if value.is_sign_negative() { 0x80 } else { 0 };
        if value.is_nan() {
            return sign | 0x7f;
        }
        let size = value.abs().min(self.largest());
        let smallest_normal = power_of_two(F32_BIAS + 1 - self.bias());
        let code = if size < smallest_normal {
            // A multiple of the smallest value; the one past the last subnormal is the first normal's code.
            (size / self.smallest()).round_ties_even() as u32
        } else {
            // Half of the last kept bit, less one where that bit is even: a tie then stays below. A carry goes into the
            // exponent, where it belongs.
            let (bits, dropped) = (size.to_bits(), F32_FRACTION_BITS - self.fraction_bits());
            let rounded = bits + (1 << (dropped - 1)) - 1 + ((bits >> dropped) & 1);
            (rounded >> dropped) - ((F32_BIAS - self.bias()) << self.fraction_bits())
        };
        // The size is at most the largest value, whose code is below 0x7f.
        sign | code as u8
    }

    /// The value of a code.
    pub fn decode(self, code: u8) -> f32 {
        let sign = if code < 0x80 { 1.0 } else { -1.0 };
        let size = u32::from(code & 0x7f);
        let (exponent, fraction) = (size >> self.fraction_bits(), size & ((1 << self.fraction_bits()) - 1));
        let special = match self {
            Self::E4M3 => (size == 0x7f).then_some(f32::NAN),
            Self::E5M2 => match size {
                0x7c => Some(f32::INFINITY),
                _ => (size > 0x7c).then_some(f32::NAN),
            },
        };
        let value = special.unwrap_or_else(|| {
            if exponent == 0 {
                return fraction as f32 * self.smallest();
            }
            let kept = (exponent + F32_BIAS - self.bias()) << F32_FRACTION_BITS;
            f32::from_bits(kept | (fraction << (F32_FRACTION_BITS - self.fraction_bits())))
        });
        sign * value
    }
}

/// The power of two with an f32's (biased) exponent `exponent`.
fn power_of_two(exponent: u32) -> f32 {
    f32::from_bits(exponent << F32_FRACTION_BITS)
}

/// Which numbers of a matrix share a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScaleOf {
    /// All.
    Tensor,
    /// Those of a row.
    Row,
    /// Those of a block of `rows` rows and `columns` columns; at the edges blocks are smaller.
    Block {
        /// Rows of a block.
        rows: usize,
        /// Columns of a block.
        columns: usize,
    },
}

impl ScaleOf {
    /// Rows and columns that share a scale, in a matrix of `rows` × `columns`; at least one each.
    pub fn tile(self, rows: usize, columns: usize) -> (usize, usize) {
        match self {
            // An empty matrix has no scales, and tiles of one number are as good as any.
            Self::Tensor => (rows.max(1), columns.max(1)),
            Self::Row => (1, columns.max(1)),
            Self::Block { rows, columns } => (rows, columns),
        }
    }
}

/// Where the scales of a matrix lie.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Grid {
    block_rows: usize,
    block_columns: usize,
    /// Scales beside one another.
    across: usize,
    /// All scales.
    scales: usize,
}

impl Grid {
    fn new(rows: usize, columns: usize, scale_of: ScaleOf) -> Result<Self> {
        let (block_rows, block_columns) = scale_of.tile(rows, columns);
        if block_rows == 0 || block_columns == 0 {
            let (rows, columns) = (block_rows, block_columns);
            return Err(Error::format(msg::EmptyBlock { rows, columns }).field("block"));
        }
        let across = columns.div_ceil(block_columns);
        Ok(Self {
            block_rows,
            block_columns,
            across,
            // No more than the matrix has numbers, whose count its caller has checked.
            scales: rows.div_ceil(block_rows) * across,
        })
    }

    /// The scale of the number at `row`, `column`.
    fn index(&self, row: usize, column: usize) -> usize {
        row / self.block_rows * self.across + column / self.block_columns
    }
}

/// A row-major matrix of 8-bit floats and their scales: w = value of the code · scale of its part.
#[derive(Debug, Clone, PartialEq)]
pub struct Fp8Matrix {
    format: Fp8,
    columns: usize,
    grid: Grid,
    codes: Vec<u8>,
    scales: Vec<f32>,
}

impl Fp8Matrix {
    /// Encodes `rows` rows of `columns`: scale = max|x| / largest value of the format, code = the nearest to x / scale. A
    /// part whose scale would be 0 has scale 1.
    ///
    /// # Errors
    /// The numbers are not so many, one is not finite, or a block has no size.
    pub fn encode(values: &[f32], rows: usize, columns: usize, format: Fp8, scale_of: ScaleOf) -> Result<Self> {
        check_matrix("values", values.len(), rows, columns)?;
        check_finite("values", values)?;
        let grid = Grid::new(rows, columns, scale_of)?;
        let places: Vec<usize> = places(&grid, rows, columns).collect();
        let mut scales = vec![0.0f32; grid.scales];
        for (value, place) in values.iter().zip(&places) {
            scales[*place] = scales[*place].max(value.abs());
        }
        for scale in &mut scales {
            *scale = format.scale(*scale);
        }
        let codes = values.iter().zip(&places);
        let codes = codes
            .map(|(value, place)| format.encode(value / scales[*place]))
            .collect();
        Ok(Self {
            format,
            columns,
            grid,
            codes,
            scales,
        })
    }

    /// A matrix encoded elsewhere; scales row-major over the parts.
    ///
    /// # Errors
    /// The codes or scales are not so many, a block has no size, or a number could be restored to what is not finite.
    pub fn new(
        rows: usize,
        columns: usize,
        format: Fp8,
        scale_of: ScaleOf,
        codes: Vec<u8>,
        scales: Vec<f32>,
    ) -> Result<Self> {
        check_matrix("weight", codes.len(), rows, columns)?;
        let grid = Grid::new(rows, columns, scale_of)?;
        check_length("scale", scales.len(), grid.scales)?;
        if !(largest(&scales) * format.largest()).is_finite() || scales.iter().any(|scale| scale.is_nan()) {
            return Err(Error::format(msg::UnusableScale).field("scale"));
        }
        if let Some(at) = codes.iter().position(|code| !format.decode(*code).is_finite()) {
            let value = format.decode(codes[at]);
            return Err(Error::format(msg::NoNumberAt { value, at }).field("weight"));
        }
        Ok(Self {
            format,
            columns,
            grid,
            codes,
            scales,
        })
    }

    /// All numbers, row-major.
    pub fn decode(&self) -> Vec<f32> {
        let places = places(&self.grid, self.rows(), self.columns);
        let codes = self.codes.iter().zip(places);
        codes
            .map(|(code, place)| self.format.decode(*code) * self.scales[place])
            .collect()
    }

    /// Rows; 0 where there are no columns.
    pub fn rows(&self) -> usize {
        self.codes.len().checked_div(self.columns).unwrap_or(0)
    }
    /// Columns.
    pub fn columns(&self) -> usize {
        self.columns
    }
    /// The format of the codes.
    pub fn format(&self) -> Fp8 {
        self.format
    }
    /// One code a number, row-major.
    pub fn codes(&self) -> &[u8] {
        &self.codes
    }
    /// One scale a part, row-major over the parts.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }
}

/// The scale of each number, row-major.
fn places(grid: &Grid, rows: usize, columns: usize) -> impl Iterator<Item = usize> {
    (0..rows).flat_map(move |row| (0..columns).map(move |column| grid.index(row, column)))
}
