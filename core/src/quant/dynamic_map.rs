//! Block-wise 8-bit numbers over a dynamic map: the state of 8-bit AdamW, and the scales of double quantization.
//!
//! A code is an index into a table of 256 values in [−1, 1] that are dense near 0 and near 1: a dynamic tree, whose codes
//! trade digits of the exponent for digits of the fraction (Dettmers, "8-Bit Approximations for Parallelism in Deep
//! Learning", 2015; Dettmers et al., "8-bit Optimizers via Block-wise Quantization", 2021). The tables are those of
//! bitsandbytes' `create_dynamic_map`, to the last bit. Its CPU build only approximates the search for the nearest code;
//! here it is exact, as on its GPUs.

use super::{Block, check_finite, check_length, in_units_of, largest, midpoints, nearest};
use crate::{Error, Result};
use lorakeet_i18n::messages::formats as msg;
use std::sync::LazyLock;

/// Which numbers a code can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Map {
    /// From −0.993 to 1, code 127 is 0: first moments, and scales less their mean.
    Signed,
    /// From 0 to 1, code 0 is 0: second moments.
    Unsigned,
}

/// A table and the midpoints between its values.
struct Table {
    values: [f32; 256],
    midpoints: Vec<f32>,
}

static SIGNED: LazyLock<Table> = LazyLock::new(|| Table::new(true));
static UNSIGNED: LazyLock<Table> = LazyLock::new(|| Table::new(false));

/// Decades of the map: 10⁻⁶ to 10⁰.
const DECADES: i32 = 7;

impl Table {
    /// In decade i = 0 … 6, the means of neighbours among 2ⁱ + 1 (signed) or 2ⁱ⁺¹ + 1 (unsigned) even steps from 0.1 to 1,
    /// times 10ⁱ⁻⁶, and, signed, their negatives; beside them 0 and 1.
    fn new(signed: bool) -> Self {
        let mut all = vec![0.0, 1.0];
        for decade in 0..DECADES {
            let scale = 10f64.powi(decade + 1 - DECADES) as f32;
            let steps = even_steps(1 << (decade + i32::from(!signed)));
            for mean in midpoints(&steps) {
                all.push(scale * mean);
                if signed {
                    all.push(-(scale * mean));
                }
            }
        }
        all.sort_by(f32::total_cmp);
        // 2 · (1 + 2 + … + 64) means, or 2 + 4 + … + 128, are 254, and with 0 and 1 there are 256.
        let values = std::array::from_fn(|i| all[i]);
        Self {
            midpoints: midpoints(&values),
            values,
        }
    }
}

/// `count + 1` numbers from 0.1 to 1, as torch's `linspace` computes them: from the nearer end, with one rounding.
fn even_steps(count: usize) -> Vec<f32> {
    let (start, end) = (0.1f32, 1.0f32);
    let step = (end - start) / count as f32;
    let from_the_nearer_end = |i| {
        if i < count.div_ceil(2) {
            step.mul_add(i as f32, start)
        } else {
            (-step).mul_add((count - i) as f32, end)
        }
    };
    (0..=count).map(from_the_nearer_end).collect()
}

impl Map {
    fn parts(self) -> &'static Table {
        match self {
            Self::Signed => &SIGNED,
            Self::Unsigned => &UNSIGNED,
        }
    }

    /// The value of each code, ascending.
    pub fn table(self) -> &'static [f32; 256] {
        &self.parts().values
    }

    /// The code nearest to `value`; a midpoint goes to the lower one.
    fn nearest(self, value: f32) -> u8 {
        // 255 midpoints: the index is at most 255.
        nearest(&self.parts().midpoints, value) as u8
    }
}

/// A flat list of numbers as codes of a [`Map`], one absmax a block: number i = table\[code i\] · absmax\[block of i\].
#[derive(Debug, Clone, PartialEq)]
pub struct Blockwise {
    map: Map,
    block: Block,
    codes: Vec<u8>,
    absmax: Vec<f32>,
}

impl Blockwise {
    /// Encodes: absmax = max|x| of the block, code = the nearest to x · (1 / absmax). A block of zeros has absmax 0.
    ///
    /// # Errors
    /// A number is not finite, or is negative where the map has no sign.
    pub fn encode(values: &[f32], map: Map, block: Block) -> Result<Self> {
        check_finite("values", values)?;
        if map == Map::Unsigned
            && let Some(at) = values.iter().position(|value| *value < 0.0)
        {
            return Err(Error::model(msg::NoNegativeCodes { value: values[at], at }).field("values"));
        }
        let mut codes = Vec::with_capacity(values.len());
        let mut absmax = Vec::with_capacity(block.count(values.len()));
        for part in values.chunks(block.elements()) {
            let scale = largest(part);
            codes.extend(part.iter().map(|value| map.nearest(in_units_of(scale, *value))));
            absmax.push(scale);
        }
        Ok(Self {
            map,
            block,
            codes,
            absmax,
        })
    }

    /// Numbers encoded elsewhere: one code a number, one absmax a block.
    ///
    /// # Errors
    /// `absmax` has another length, or holds what is not finite.
    pub fn new(map: Map, block: Block, codes: Vec<u8>, absmax: Vec<f32>) -> Result<Self> {
        check_length("absmax", absmax.len(), block.count(codes.len()))?;
        check_finite("absmax", &absmax)?;
        Ok(Self {
            map,
            block,
            codes,
            absmax,
        })
    }

    /// All numbers, in order.
    pub fn decode(&self) -> Vec<f32> {
        let table = self.map.table();
        let blocks = self.codes.chunks(self.block.elements()).zip(&self.absmax);
        blocks
            .flat_map(|(codes, absmax)| codes.iter().map(move |code| table[usize::from(*code)] * absmax))
            .collect()
    }

    /// Which numbers a code can be.
    pub fn map(&self) -> Map {
        self.map
    }
    /// How many numbers share an absmax.
    pub fn block(&self) -> Block {
        self.block
    }
    /// One code a number.
    pub fn codes(&self) -> &[u8] {
        &self.codes
    }
    /// One scale a block.
    pub fn absmax(&self) -> &[f32] {
        &self.absmax
    }
}
