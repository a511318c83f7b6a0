//! The number formats of a packed base, encoded and decoded on the host as the reference libraries do it, bit for bit.
//!
//! This stands between the files ([`crate::formats`]) and the device: kernels read the bytes that are made here, and are
//! held against these functions. One file a family: [`four_bit`] (NF4, FP4), [`int8`], [`fp8`], and [`dynamic_map`] for
//! the state of 8-bit optimizers and for the scales of double quantization. GGUF's blocks are decoded in
//! [`crate::formats::blocks`] and encoded in [`ggml`], and [`packing`] puts the bits of all of them in the order that kernels
//! read; products with packed weights and optimizers are no business of this module.
//!
//! Every format is codes and scales: a number is `code's value · scale`, and many neighbours share a scale. All
//! arithmetic is in f32, in the order that the formulas give, because another order gives other last bits.

mod base;
pub mod dynamic_map;
pub mod four_bit;
pub mod fp8;
pub mod ggml;
mod ggml_k;
pub mod int8;
#[cfg(feature = "engine")]
pub mod packing;
#[cfg(feature = "engine")]
mod part_rows;

use crate::{Error, Result};
use lorakeet_i18n::messages::formats as msg;

pub use base::BaseFormat;
pub use dynamic_map::{Blockwise, Map};
pub use four_bit::{Absmax, Code, DoubleAbsmax, FourBit};
pub use fp8::{Fp8, Fp8Matrix, ScaleOf};
pub use int8::Int8Rows;
#[cfg(feature = "engine")]
pub(crate) use part_rows::PartRows;

/// How many neighbours of the flattened tensor share a scale; the last block may be short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Block {
    /// 64 numbers.
    Of64,
    /// 128 numbers.
    Of128,
    /// 256 numbers.
    Of256,
}

impl Block {
    /// Numbers in a full block.
    pub fn elements(self) -> usize {
        match self {
            Self::Of64 => 64,
            Self::Of128 => 128,
            Self::Of256 => 256,
        }
    }

    /// Blocks of a tensor of `elements` numbers, a short last one included.
    pub fn count(self, elements: usize) -> usize {
        elements.div_ceil(self.elements())
    }
}

impl TryFrom<u64> for Block {
    type Error = Error;

    /// The block of so many numbers, as a checkpoint's `blocksize` gives it.
    fn try_from(elements: u64) -> Result<Self> {
        match elements {
            64 => Ok(Self::Of64),
            128 => Ok(Self::Of128),
            256 => Ok(Self::Of256),
            found => Err(Error::format(msg::WrongBlockSize { found }).field("blocksize")),
        }
    }
}

/// The largest magnitude; 0 where there are no numbers.
fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, value| value.abs().max(most))
}

/// `value / scale` as the reference has it in a full block, value · (1 / scale): not always the same last bit.
///
/// 0 where the scale is 0. Where 1 / scale overflows, the reference's product is infinite or no number; there it is the
/// quotient.
fn in_units_of(scale: f32, value: f32) -> f32 {
    let factor = 1.0 / scale;
    match scale {
        0.0 => 0.0,
        _ if factor.is_finite() => value * factor,
        _ => value / scale,
    }
}

/// Halfway between each value and the next, in f32.
fn midpoints(sorted: &[f32]) -> Vec<f32> {
    sorted.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).collect()
}

/// The index of the value nearest to `value`, by the [`midpoints`] of the values; a midpoint goes to the lower one.
fn nearest(midpoints: &[f32], value: f32) -> usize {
    midpoints.partition_point(|midpoint| *midpoint < value)
}

/// Refuses numbers that are not finite: no format here has a code for them.
fn check_finite(field: &str, values: &[f32]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(Error::model(msg::CannotPack { value: values[at], at }).field(field)),
        None => Ok(()),
    }
}

/// Refuses a part of another length than its format wants.
fn check_length(field: &str, found: usize, wanted: usize) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::format(msg::WrongCount { found, wanted }).field(field))
}

/// Refuses a matrix whose `found` numbers are not `rows` rows of `columns`. Rows without columns are refused too: any
/// number of them would be as good as another.
fn check_matrix(field: &str, found: usize, rows: usize, columns: usize) -> Result<()> {
    if rows.checked_mul(columns) == Some(found) && (columns > 0 || rows == 0) {
        return Ok(());
    }
    Err(Error::format(msg::NotRowsOfColumns { found, rows, columns }).field(field))
}
