//! NF4 and FP4: a weight is an index of four bits into sixteen values, one scale for each block of 64, 128 or 256.
//!
//! NF4's values are quantiles of a normal distribution (Dettmers et al., "QLoRA", 2023), FP4's are a sign and a float of
//! three bits. The bytes are those of bitsandbytes (`quantize_4bit`) and of the checkpoints that transformers writes with
//! it. In *double quantization* the scales are 8-bit numbers themselves: 4.127 instead of 4.5 bits a weight.

use super::{Block, Blockwise, Map, check_finite, check_length, in_units_of, largest, midpoints, nearest};
use crate::{Error, Result};
use lorakeet_i18n::messages::formats as msg;
use std::borrow::Cow;

/// Which sixteen values an index stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// Quantiles of a normal distribution.
    Nf4,
    /// A sign bit and a 3-bit magnitude.
    Fp4,
}

/// The values by index, as bitsandbytes has them (`bitsandbytes/functional.py`).
const NF4: [f32; 16] = [
    -1.0,
    -0.6961928,
    -0.52507305,
    -0.3949175,
    -0.28444138,
    -0.18477343,
    -0.091050036,
    0.0,
    0.0795803,
    0.1609302,
    0.2461123,
    0.33791524,
    0.44070983,
    0.562617,
    0.72295684,
    1.0,
];
const FP4: [f32; 16] = [
    0.0,
    1.0 / 192.0,
    2.0 / 3.0,
    1.0,
    1.0 / 3.0,
    0.5,
    1.0 / 6.0,
    0.25,
    -0.0,
    -1.0 / 192.0,
    -2.0 / 3.0,
    -1.0,
    -1.0 / 3.0,
    -0.5,
    -1.0 / 6.0,
    -0.25,
];
/// The indices by ascending value. FP4's −0 (index 8) stands above its 0, as in the reference: there a small positive
/// number becomes −0, and a small negative one 0.
const NF4_ORDER: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const FP4_ORDER: [u8; 16] = [11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3];

/// The least absmax of a short last block; the reference divides there, and keeps off 0.
const LEAST_OF_A_SHORT_BLOCK: f32 = 1e-38;

impl Code {
    /// The value of each index.
    pub fn table(self) -> &'static [f32; 16] {
        match self {
            Self::Nf4 => &NF4,
            Self::Fp4 => &FP4,
        }
    }

    /// The indices by ascending value.
    fn order(self) -> &'static [u8; 16] {
        match self {
            Self::Nf4 => &NF4_ORDER,
            Self::Fp4 => &FP4_ORDER,
        }
    }

    /// The index of 0, which fills the half byte after an odd number of weights.
    fn zero(self) -> u8 {
        match self {
            Self::Nf4 => 7,
            Self::Fp4 => 0,
        }
    }
}

/// The scale of each block.
#[derive(Debug, Clone, PartialEq)]
pub enum Absmax {
    /// As 32-bit floats.
    Plain(Vec<f32>),
    /// As 8-bit numbers.
    Double(DoubleAbsmax),
}

impl Absmax {
    /// The scales as floats.
    pub fn decode(&self) -> Cow<'_, [f32]> {
        match self {
            Self::Plain(absmax) => Cow::Borrowed(absmax),
            Self::Double(double) => Cow::Owned(double.decode()),
        }
    }

    /// How many there are.
    fn len(&self) -> usize {
        match self {
            Self::Plain(absmax) => absmax.len(),
            Self::Double(double) => double.codes.codes().len(),
        }
    }
}

/// Scales in double quantization: scale i = table\[code i\] · absmax₂\[block of i\] + offset, over the signed
/// [`Map`] and blocks of 256 scales.
#[derive(Debug, Clone, PartialEq)]
pub struct DoubleAbsmax {
    codes: Blockwise,
    offset: f32,
}

impl DoubleAbsmax {
    /// Encodes scales around their mean, which is summed in f64; the reference's f32 sum may differ in the last bits.
    ///
    /// # Errors
    /// A scale is not finite, or so large that a restored one would not be.
    pub fn encode(absmax: &[f32]) -> Result<Self> {
        let sum: f64 = absmax.iter().map(|scale| f64::from(*scale)).sum();
        let offset = if absmax.is_empty() {
            0.0
        } else {
            (sum / absmax.len() as f64) as f32
        };
        Self::encode_around(offset, absmax)
    }

    /// Encodes scales around a given offset.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_around(offset: f32, absmax: &[f32]) -> Result<Self> {
        check_finite("absmax", absmax)?;
        let centred: Vec<f32> = absmax.iter().map(|scale| scale - offset).collect();
        Self::new(Blockwise::encode(&centred, Map::Signed, Block::Of256)?, offset)
    }

    /// Scales encoded elsewhere.
    ///
    /// # Errors
    /// The codes are of another map or block than the format's, or a scale could be restored to what is not finite.
    pub fn new(codes: Blockwise, offset: f32) -> Result<Self> {
        if (codes.map(), codes.block()) != (Map::Signed, Block::Of256) {
            let (block, map) = (format!("{:?}", codes.block()), format!("{:?}", codes.map()));
            return Err(Error::format(msg::NotSignedBlocksOf256 { block, map }).field("absmax"));
        }
        if !(largest(codes.absmax()) + offset.abs()).is_finite() {
            return Err(Error::format(msg::OffsetTooLarge { offset }).field("nested_offset"));
        }
        Ok(Self { codes, offset })
    }

    /// The scales as floats.
    pub fn decode(&self) -> Vec<f32> {
        let mut scales = self.codes.decode();
        scales.iter_mut().for_each(|scale| *scale += self.offset);
        scales
    }

    /// The codes and their own scales (absmax₂).
    pub fn codes(&self) -> &Blockwise {
        &self.codes
    }
    /// What is added to every scale.
    pub fn offset(&self) -> f32 {
        self.offset
    }
}

/// A weight in four bits: number i of the flattened (row-major) tensor = table\[index i\] · absmax\[block of i\].
///
/// Byte j holds the index of number 2j in its **high** half and that of number 2j + 1 in its low one. Blocks go over the
/// ends of rows, so the shape is of no account here.
#[derive(Debug, Clone, PartialEq)]
pub struct FourBit {
    code: Code,
    block: Block,
    elements: usize,
    packed: Vec<u8>,
    absmax: Absmax,
}

impl FourBit {
    /// Encodes with plain scales: absmax = max|x| of the block, index = the nearest to x · (1 / absmax), in a short last
    /// block to x / absmax with an absmax of at least 1e-38; a midpoint goes to the lower value.
    ///
    /// # Errors
    /// A number is not finite.
    pub fn encode(values: &[f32], code: Code, block: Block) -> Result<Self> {
        check_finite("values", values)?;
        let order = code.order();
        let midpoints = midpoints(&order.map(|index| code.table()[usize::from(index)]));
        let index_of = |value| order[nearest(&midpoints, value)];
        let mut indices = Vec::with_capacity(values.len().next_multiple_of(2));
        let mut absmax = Vec::with_capacity(block.count(values.len()));
        for part in values.chunks(block.elements()) {
            if part.len() == block.elements() {
                let scale = largest(part);
                indices.extend(part.iter().map(|value| index_of(in_units_of(scale, *value))));
                absmax.push(scale);
            } else {
                let scale = largest(part).max(LEAST_OF_A_SHORT_BLOCK);
                indices.extend(part.iter().map(|value| index_of(value / scale)));
                absmax.push(scale);
            }
        }
        if !indices.len().is_multiple_of(2) {
            indices.push(code.zero());
        }
        let packed = indices.chunks_exact(2).map(|pair| (pair[0] << 4) | pair[1]).collect();
        Ok(Self {
            code,
            block,
            elements: values.len(),
            packed,
            absmax: Absmax::Plain(absmax),
        })
    }

    /// A weight of `elements` numbers encoded elsewhere.
    ///
    /// # Errors
    /// `packed` is not a byte for two numbers, `absmax` not one scale a block, or a plain scale is not finite.
    pub fn new(code: Code, block: Block, elements: usize, packed: Vec<u8>, absmax: Absmax) -> Result<Self> {
        check_length("weight", packed.len(), elements.div_ceil(2))?;
        check_length("absmax", absmax.len(), block.count(elements))?;
        if let Absmax::Plain(absmax) = &absmax {
            check_finite("absmax", absmax)?;
        }
        Ok(Self {
            code,
            block,
            elements,
            packed,
            absmax,
        })
    }

    /// The same weight with its scales in 8 bits; one that has them so already stays as it is.
    ///
    /// # Errors
    /// The scales are too large for it; see [`DoubleAbsmax::encode`].
    pub fn with_double_absmax(self) -> Result<Self> {
        let absmax = match self.absmax {
            Absmax::Plain(absmax) => Absmax::Double(DoubleAbsmax::encode(&absmax)?),
            double @ Absmax::Double(_) => double,
        };
        Ok(Self { absmax, ..self })
    }

    /// All numbers, in order.
    pub fn decode(&self) -> Vec<f32> {
        let (table, scales) = (self.code.table(), self.absmax.decode());
        let indices = self.packed.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        indices
            .take(self.elements)
            .enumerate()
            .map(|(i, index)| table[usize::from(index)] * scales[i / self.block.elements()])
            .collect()
    }

    /// Which values an index stands for.
    pub fn code(&self) -> Code {
        self.code
    }
    /// How many numbers share a scale.
    pub fn block(&self) -> Block {
        self.block
    }
    /// Numbers in the tensor.
    pub fn elements(&self) -> usize {
        self.elements
    }
    /// The indices, two a byte.
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }
    /// The scales, one a block.
    pub fn absmax(&self) -> &Absmax {
        &self.absmax
    }
}
