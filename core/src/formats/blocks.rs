//! Number formats of stored tensors: their sizes, and how they become 32-bit floats.
//!
//! The block formats are those of ggml (reference: `ggml-common.h` and `ggml-quants.c` of ggml-org/llama.cpp). The
//! formats that [`decode`] does not read are known by name and size, so that a file's table can still be checked and
//! shown.

use crate::{Error, Result};
use lorakeet_i18n::messages::formats as msg;
use std::fmt;

/// How a tensor's numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Storage {
    /// IEEE 32-bit.
    F32,
    /// IEEE 16-bit.
    F16,
    /// The upper half of IEEE 32-bit.
    BF16,
    /// Signed 64-bit integers.
    I64,
    /// GGUF: blocks of 32, 4-bit, one scale: w = d·(q − 8).
    Q4_0,
    /// GGUF: blocks of 32, 4-bit, scale and minimum: w = d·q + m.
    Q4_1,
    /// GGUF: blocks of 32, 5-bit, one scale: w = d·(q − 16).
    Q5_0,
    /// GGUF: blocks of 32, 5-bit, scale and minimum: w = d·q + m.
    Q5_1,
    /// GGUF: blocks of 32, 8-bit, one scale: w = d·q.
    Q8_0,
    /// GGUF: blocks of 256, 4-bit, each 32 with a 6-bit scale s and minimum m: w = (d·s)·q − d_min·m.
    Q4K,
    /// GGUF: the same with 5 bits.
    Q5K,
    /// GGUF: blocks of 256, 6-bit, each 16 with an 8-bit scale s: w = (d·s)·(q − 32).
    Q6K,
    /// Known by name and size only.
    Other {
        /// Its name in the file's format.
        name: &'static str,
        /// Numbers in a block.
        block_elements: usize,
        /// Bytes in a block.
        block_bytes: usize,
    },
}

impl Storage {
    /// Its name: `Q4_1`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::I64 => "I64",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q8_0 => "Q8_0",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
            Self::Other { name, .. } => name,
        }
    }

    /// Numbers in a block; 1 where there are no blocks.
    pub fn block_elements(&self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 | Self::I64 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
            Self::Other { block_elements, .. } => *block_elements,
        }
    }

    /// Bytes in a block.
    pub fn block_bytes(&self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::I64 => 8,
            Self::Q4_0 => 2 + 16,
            Self::Q4_1 => 2 + 2 + 16,
            Self::Q5_0 => 2 + 4 + 16,
            Self::Q5_1 => 2 + 2 + 4 + 16,
            Self::Q8_0 => 2 + 32,
            Self::Q4K => 2 + 2 + 12 + 128,
            Self::Q5K => 2 + 2 + 12 + 32 + 128,
            Self::Q6K => 128 + 64 + 16 + 2,
            Self::Other { block_bytes, .. } => *block_bytes,
        }
    }

    /// Whether [`decode`] reads it.
    pub fn is_readable(&self) -> bool {
        !matches!(self, Self::I64 | Self::Other { .. })
    }

    /// What a tensor of `shape` takes; `None` where rows are not whole blocks or the size overflows.
    pub fn size_bytes(&self, shape: &[u64]) -> Option<u64> {
        let elements = shape
            .iter()
            .try_fold(1u64, |product, size| product.checked_mul(*size))?;
        let block = self.block_elements() as u64;
        let row = shape.last().copied().unwrap_or(1);
        if !row.is_multiple_of(block) {
            return None;
        }
        (elements / block).checked_mul(self.block_bytes() as u64)
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// All numbers in `bytes`, in order.
///
/// # Errors
/// The storage is not one that is read here, or `bytes` are not whole blocks.
pub fn decode(storage: Storage, bytes: &[u8]) -> Result<Vec<f32>> {
    if !storage.is_readable() {
        return Err(Error::model(msg::StorageNotRead { storage }).remedy(msg::UseReadableFile));
    }
    if !bytes.len().is_multiple_of(storage.block_bytes()) {
        let bytes = bytes.len();
        return Err(Error::format(msg::NotWholeBlocks { bytes, storage }));
    }
    let mut values = Vec::with_capacity(bytes.len() / storage.block_bytes() * storage.block_elements());
    let blocks = bytes.chunks_exact(storage.block_bytes());
    match storage {
        Storage::F32 => values.extend(blocks.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
        Storage::F16 => values.extend(blocks.map(f16_at)),
        Storage::BF16 => {
            values.extend(blocks.map(|b| f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16)))
        }
        Storage::Q8_0 => {
            for block in blocks {
                let d = f16_at(block);
                values.extend(block[2..].iter().map(|q| d * f32::from(*q as i8)));
            }
        }
        // The low nibbles are the block's first sixteen numbers, the high nibbles the other sixteen.
        Storage::Q4_0 => {
            for block in blocks {
                let d = f16_at(block);
                values.extend(block[2..].iter().map(|q| d * (f32::from(q & 15) - 8.0)));
                values.extend(block[2..].iter().map(|q| d * (f32::from(q >> 4) - 8.0)));
            }
        }
        Storage::Q4_1 => {
            for block in blocks {
                let (d, m) = (f16_at(block), f16_at(&block[2..]));
                values.extend(block[4..].iter().map(|q| d * f32::from(q & 15) + m));
                values.extend(block[4..].iter().map(|q| d * f32::from(q >> 4) + m));
            }
        }
        Storage::Q5_0 => {
            for block in blocks {
                let d = f16_at(block);
                values.extend(five_bits(block[2..].split_at(4)).map(|q| d * (q - 16.0)));
            }
        }
        Storage::Q5_1 => {
            for block in blocks {
                let (d, m) = (f16_at(block), f16_at(&block[2..]));
                values.extend(five_bits(block[4..].split_at(4)).map(|q| d * q + m));
            }
        }
        Storage::Q4K => blocks.for_each(|block| decode_q4_k(block, &mut values)),
        Storage::Q5K => blocks.for_each(|block| decode_q5_k(block, &mut values)),
        Storage::Q6K => blocks.for_each(|block| decode_q6_k(block, &mut values)),
        Storage::I64 | Storage::Other { .. } => {}
    }
    Ok(values)
}

/// The 32 numbers of a 5-bit block: their fifth bits, four bytes from the lowest on, and their nibbles as in Q4_0.
fn five_bits<'a>((fifth, nibbles): (&'a [u8], &'a [u8])) -> impl Iterator<Item = f32> + 'a {
    let low = nibbles.iter().map(|q| q & 15);
    let high = nibbles.iter().map(|q| q >> 4);
    low.chain(high)
        .enumerate()
        .map(|(i, q)| f32::from(q | (((fifth[i / 8] >> (i % 8)) & 1) << 4)))
}

/// A block of Q4_K: d, d_min, eight scales and minimums in twelve bytes, and four times 32 bytes whose low nibbles are
/// 32 numbers and whose high nibbles are the next 32.
fn decode_q4_k(block: &[u8], values: &mut Vec<f32>) {
    let (d, d_min) = (f16_at(block), f16_at(&block[2..]));
    let packed = &block[4..16];
    for (i, nibbles) in block[16..].chunks_exact(32).enumerate() {
        for (part, shift) in [(2 * i, 0), (2 * i + 1, 4)] {
            let (scale, minimum) = scale_and_minimum(packed, part);
            let (scale, minimum) = (d * scale, d_min * minimum);
            values.extend(nibbles.iter().map(|q| scale * f32::from((q >> shift) & 15) - minimum));
        }
    }
}

/// A block of Q5_K: as Q4_K, with 32 bytes of fifth bits before the nibbles; number i of part p has its fifth bit in bit p of
/// byte i.
fn decode_q5_k(block: &[u8], values: &mut Vec<f32>) {
    let (d, d_min) = (f16_at(block), f16_at(&block[2..]));
    let (packed, fifth) = (&block[4..16], &block[16..48]);
    for (i, nibbles) in block[48..].chunks_exact(32).enumerate() {
        for (part, shift) in [(2 * i, 0), (2 * i + 1, 4)] {
            let (scale, minimum) = scale_and_minimum(packed, part);
            let (scale, minimum) = (d * scale, d_min * minimum);
            values.extend(nibbles.iter().zip(fifth).map(|(q, fifth)| {
                let q = ((q >> shift) & 15) | (((fifth >> part) & 1) << 4);
                scale * f32::from(q) - minimum
            }));
        }
    }
}

/// Scale and minimum of one of the eight parts of a K block, 6 bits each: those of parts 0 to 3 lie in the low 6 bits of
/// bytes 0 to 3 and 4 to 7; those of parts 4 to 7 have their low 4 bits in the halves of bytes 8 to 11, and their high 2
/// in what is left of bytes 0 to 7.
fn scale_and_minimum(packed: &[u8], part: usize) -> (f32, f32) {
    let (scale, minimum) = if part < 4 {
        (packed[part] & 63, packed[part + 4] & 63)
    } else {
        let low = packed[part + 4];
        (
            (low & 15) | ((packed[part - 4] >> 6) << 4),
            (low >> 4) | ((packed[part] >> 6) << 4),
        )
    };
    (f32::from(scale), f32::from(minimum))
}

/// A block of Q6_K: 128 bytes of low nibbles, 64 of high bit pairs, sixteen signed scales, d. Each half of it has four
/// parts of 32 numbers: the low nibbles of its first and second 32 bytes, then the high nibbles of both; a byte of bit
/// pairs holds those of one number of each part, from the lowest on.
fn decode_q6_k(block: &[u8], values: &mut Vec<f32>) {
    let d = f16_at(&block[208..]);
    for half in 0..2 {
        let (pairs, scales) = (&block[128 + 32 * half..][..32], &block[192 + 8 * half..][..8]);
        for part in 0..4 {
            let nibbles = &block[64 * half + 32 * (part % 2)..][..32];
            values.extend(nibbles.iter().zip(pairs).enumerate().map(|(i, (low, pair))| {
                let q = ((low >> (4 * (part / 2))) & 15) | (((pair >> (2 * part)) & 3) << 4);
                let scale = f32::from(scales[2 * part + i / 16] as i8);
                d * scale * (f32::from(q) - 32.0)
            }));
        }
    }
}

/// The 16-bit float at the start of `bytes`, which hold at least two.
fn f16_at(bytes: &[u8]) -> f32 {
    half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

/// The storage with ggml's number `id` (`enum ggml_type`).
pub fn ggml_storage(id: u32) -> Option<Storage> {
    let other = |name, block_elements, block_bytes| Storage::Other {
        name,
        block_elements,
        block_bytes,
    };
    Some(match id {
        0 => Storage::F32,
        1 => Storage::F16,
        2 => Storage::Q4_0,
        3 => Storage::Q4_1,
        6 => Storage::Q5_0,
        7 => Storage::Q5_1,
        8 => Storage::Q8_0,
        9 => other("Q8_1", 32, 36),
        10 => other("Q2_K", 256, 84),
        11 => other("Q3_K", 256, 110),
        12 => Storage::Q4K,
        13 => Storage::Q5K,
        14 => Storage::Q6K,
        15 => other("Q8_K", 256, 292),
        16 => other("IQ2_XXS", 256, 66),
        17 => other("IQ2_XS", 256, 74),
        18 => other("IQ3_XXS", 256, 98),
        19 => other("IQ1_S", 256, 50),
        20 => other("IQ4_NL", 32, 18),
        21 => other("IQ3_S", 256, 110),
        22 => other("IQ2_S", 256, 82),
        23 => other("IQ4_XS", 256, 136),
        24 => other("I8", 1, 1),
        25 => other("I16", 1, 2),
        26 => other("I32", 1, 4),
        27 => Storage::I64,
        28 => other("F64", 1, 8),
        29 => other("IQ1_M", 256, 56),
        30 => Storage::BF16,
        34 => other("TQ1_0", 256, 54),
        35 => other("TQ2_0", 256, 66),
        39 => other("MXFP4", 32, 17),
        _ => return None,
    })
}

/// ggml's number of a storage; `None` where it has none.
pub fn ggml_kind(storage: Storage) -> Option<u32> {
    const MOST: u32 = 64;
    (0..MOST).find(|kind| ggml_storage(*kind) == Some(storage))
}

/// The storage that safetensors calls `dtype`.
pub fn safetensors_storage(dtype: &str) -> Option<Storage> {
    let other = |name, block_bytes| Storage::Other {
        name,
        block_elements: 1,
        block_bytes,
    };
    Some(match dtype {
        "F32" => Storage::F32,
        "F16" => Storage::F16,
        "BF16" => Storage::BF16,
        "I64" => Storage::I64,
        "F64" => other("F64", 8),
        "U64" => other("U64", 8),
        "C64" => other("C64", 8),
        "I32" => other("I32", 4),
        "U32" => other("U32", 4),
        "I16" => other("I16", 2),
        "U16" => other("U16", 2),
        "I8" => other("I8", 1),
        "U8" => other("U8", 1),
        "BOOL" => other("BOOL", 1),
        "F8_E4M3" => other("F8_E4M3", 1),
        "F8_E5M2" => other("F8_E5M2", 1),
        "F8_E8M0" => other("F8_E8M0", 1),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 16-bit float's bytes.
    fn f16(value: f32) -> [u8; 2] {
        half::f16::from_f32(value).to_le_bytes()
    }

    #[test]
    fn q8_0_multiplies_signed_bytes_by_the_scale() {
        let mut block = f16(0.5).to_vec();
        block.extend((0..32).map(|i| (i as i8 - 16) as u8));
        let expected: Vec<f32> = (0..32).map(|i| 0.5 * (i as f32 - 16.0)).collect();
        assert_eq!(decode(Storage::Q8_0, &block).unwrap(), expected);
    }

    #[test]
    fn q4_0_puts_low_nibbles_first_and_takes_8_off() {
        let mut block = f16(0.25).to_vec();
        block.extend((0..16u8).map(|i| i | ((15 - i) << 4)));
        let low = (0..16).map(|i| 0.25 * (i as f32 - 8.0));
        let high = (0..16).map(|i| 0.25 * (7.0 - i as f32));
        assert_eq!(
            decode(Storage::Q4_0, &block).unwrap(),
            low.chain(high).collect::<Vec<_>>()
        );
    }

    #[test]
    fn q4_1_adds_the_minimum() {
        let mut block = [f16(2.0), f16(-3.0)].concat();
        block.extend((0..16u8).map(|i| i | (7 << 4)));
        let low = (0..16).map(|i| 2.0 * i as f32 - 3.0);
        let expected: Vec<f32> = low.chain(std::iter::repeat_n(11.0, 16)).collect();
        assert_eq!(decode(Storage::Q4_1, &block).unwrap(), expected);
    }

    #[test]
    fn half_floats_keep_their_value() {
        let bf16: Vec<u8> = [1.0f32, -2.5]
            .iter()
            .flat_map(|v| v.to_le_bytes()[2..].to_vec())
            .collect();
        assert_eq!(decode(Storage::BF16, &bf16).unwrap(), [1.0, -2.5]);
        assert_eq!(
            decode(Storage::F16, &[f16(1.5), f16(-0.125)].concat()).unwrap(),
            [1.5, -0.125]
        );
    }

    #[test]
    fn half_a_block_is_refused() {
        assert!(
            decode(Storage::Q4_0, &[0; 17])
                .unwrap_err()
                .to_string()
                .contains("whole blocks")
        );
    }

    #[test]
    fn a_size_that_overflows_is_none() {
        assert_eq!(Storage::F32.size_bytes(&[u64::MAX, 4]), None);
        assert_eq!(Storage::Q4_0.size_bytes(&[4, 33]), None);
        assert_eq!(Storage::Q4_0.size_bytes(&[4, 64]), Some(4 * 2 * 18));
        assert_eq!(Storage::Q4K.size_bytes(&[4, 128]), None);
        assert_eq!(Storage::Q4K.size_bytes(&[4, 512]), Some(4 * 2 * 144));
        assert_eq!(Storage::Q5K.size_bytes(&[4, 512]), Some(4 * 2 * 176));
        assert_eq!(Storage::Q6K.size_bytes(&[u64::MAX - 255, 256]), None);
    }
}
