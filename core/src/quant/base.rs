//! Which format a run holds the frozen linears of its base in.

use super::{Block, Code, FourBit, Fp8, Fp8Matrix, Int8Rows, ScaleOf};
use crate::Result;
use crate::config::{Fp8Format, Fp8Scale, QuantType, RunConfig};

/// FP8 scales by block are one for each 128 × 128 numbers, as DeepSeek-V3 has them (arXiv 2412.19437).
const FP8_BLOCK: usize = 128;

/// The format of a base's frozen linears. Embeddings and heads always keep their file's: quantizing them costs the most
/// accuracy, and transformers leaves them alone too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BaseFormat {
    /// The file's own: ggml's blocks and 16-bit floats stay packed, 32-bit floats are what they are.
    #[default]
    AsStored,
    /// NF4 or FP4.
    FourBit {
        /// Which sixteen values.
        code: Code,
        /// Numbers that share a scale.
        block: Block,
        /// Whether scales are 8-bit numbers themselves.
        double: bool,
    },
    /// Signed bytes, a scale a row.
    Int8,
    /// 8-bit floats.
    Fp8 {
        /// Which.
        format: Fp8,
        /// What shares a scale.
        scale_of: ScaleOf,
    },
}

impl From<&RunConfig> for BaseFormat {
    /// `quantization_bit` with its `bnb_4bit_*` knobs, or `fp8` with `fp8_scale`; a run file names one of the two at most.
    fn from(config: &RunConfig) -> Self {
        match (config.quantization_bit, config.fp8) {
            (Some(4), _) => Self::FourBit {
                code: match config.bnb_4bit_quant_type {
                    QuantType::Nf4 => Code::Nf4,
                    QuantType::Fp4 => Code::Fp4,
                },
                block: Block::Of64,
                double: config.bnb_4bit_use_double_quant,
            },
            (Some(_), _) => Self::Int8,
            (None, Some(format)) => Self::Fp8 {
                format: match format {
                    Fp8Format::E4m3 => Fp8::E4M3,
                    Fp8Format::E5m2 => Fp8::E5M2,
                },
                scale_of: match config.fp8_scale {
                    Fp8Scale::Tensor => ScaleOf::Tensor,
                    Fp8Scale::Row => ScaleOf::Row,
                    Fp8Scale::Block => ScaleOf::Block {
                        rows: FP8_BLOCK,
                        columns: FP8_BLOCK,
                    },
                },
            },
            (None, None) => Self::AsStored,
        }
    }
}

impl BaseFormat {
    /// What a linear's matrix \[out, in\] = \[`rows`, `columns`\] is once it was packed in this format.
    ///
    /// # Errors
    /// A number cannot be packed.
    pub fn rounded(self, values: Vec<f32>, rows: usize, columns: usize) -> Result<Vec<f32>> {
        Ok(match self {
            Self::AsStored => values,
            Self::FourBit { code, block, double } => {
                let packed = FourBit::encode(&values, code, block)?;
                match double {
                    true => packed.with_double_absmax()?.decode(),
                    false => packed.decode(),
                }
            }
            Self::Int8 => Int8Rows::encode(&values, rows, columns)?.decode(),
            Self::Fp8 { format, scale_of } => Fp8Matrix::encode(&values, rows, columns, format, scale_of)?.decode(),
        })
    }
}
