//! Numbers as GGUF files store them: 32-bit and 16-bit floats, blocks of 32 with a scale, and blocks of 256 (`ggml_k.rs`).
//!
//! Reference: the functions `quantize_row_*_ref` of `ggml/src/ggml-quants.c` in ggml-org/llama.cpp; the bytes are the same.
//! The other direction is [`crate::formats::blocks::decode`].

use super::{check_finite, ggml_k};
use crate::formats::Storage;
use crate::{Error, Result};
use half::{bf16, f16};
use lorakeet_i18n::messages::formats as msg;

/// Numbers that share a scale.
type Block = [f32; 32];

/// Whether [`encode`] writes it.
pub fn is_written(storage: Storage) -> bool {
    matches!(
        storage,
        Storage::F32
            | Storage::F16
            | Storage::BF16
            | Storage::Q8_0
            | Storage::Q6K
            | Storage::Q5K
            | Storage::Q5_1
            | Storage::Q5_0
            | Storage::Q4K
            | Storage::Q4_1
            | Storage::Q4_0
    )
}

/// Whole rows in a storage.
///
/// # Errors
/// A number is not finite or too large for it, the numbers are not whole blocks, or it is not written here.
pub fn encode(storage: Storage, values: &[f32]) -> Result<Vec<u8>> {
    check_finite("", values).map_err(|error| Error { field: None, ..error })?;
    let count = values.len();
    if !is_written(storage) || !count.is_multiple_of(storage.block_elements()) {
        return Err(Error::internal(msg::NotWritten { count, storage }));
    }
    let blocks = values.as_chunks().0.iter();
    let large_blocks = values.as_chunks().0.iter();
    let mut bytes = Vec::with_capacity(count / storage.block_elements() * storage.block_bytes());
    match storage {
        Storage::F16 => {
            for value in values {
                let half = f16::from_f32(*value);
                if half.is_infinite() {
                    return Err(Error::model(msg::TooLargeForHalf { value }).remedy(msg::UseBfloat16));
                }
                bytes.extend(half.to_le_bytes());
            }
        }
        Storage::BF16 => bytes.extend(values.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes())),
        Storage::Q8_0 => blocks.for_each(|block| encode_q8_0(block, &mut bytes)),
        Storage::Q4_0 => blocks.for_each(|block| encode_q4_0(block, &mut bytes)),
        Storage::Q4_1 => blocks.for_each(|block| encode_q4_1(block, &mut bytes)),
        Storage::Q5_0 => blocks.for_each(|block| encode_q5_0(block, &mut bytes)),
        Storage::Q5_1 => blocks.for_each(|block| encode_q5_1(block, &mut bytes)),
        Storage::Q4K => large_blocks.for_each(|block| ggml_k::encode_q4_k(block, &mut bytes)),
        Storage::Q5K => large_blocks.for_each(|block| ggml_k::encode_q5_k(block, &mut bytes)),
        Storage::Q6K => large_blocks.for_each(|block| ggml_k::encode_q6_k(block, &mut bytes)),
        _ => bytes.extend(values.iter().flat_map(|value| value.to_le_bytes())),
    }
    check_scales(storage, values, &bytes)?;
    Ok(bytes)
}

/// Refuses blocks of numbers so large that a scale is no 16-bit float, or that sums of their squares overflow.
fn check_scales(storage: Storage, values: &[f32], bytes: &[u8]) -> Result<()> {
    let places: &[usize] = match storage {
        Storage::Q8_0 | Storage::Q4_0 | Storage::Q5_0 => &[0],
        Storage::Q4_1 | Storage::Q5_1 | Storage::Q4K | Storage::Q5K => &[0, 2],
        Storage::Q6K => &[208],
        _ => return Ok(()),
    };
    /// No block of 256 holds larger numbers.
    const MOST: f32 = 3e8;
    let is_large = storage.block_elements() == 256;
    let blocks = bytes.chunks_exact(storage.block_bytes());
    for (block, values) in blocks.zip(values.chunks_exact(storage.block_elements())) {
        let is_lost = |place: &usize| !f16::from_le_bytes([block[*place], block[place + 1]]).is_finite();
        let value = super::largest(values);
        if places.iter().any(is_lost) || is_large && value > MOST {
            return Err(Error::model(msg::TooLargeForScale { value, storage }).remedy(msg::UseBfloat16));
        }
    }
    Ok(())
}

/// d = max |x| / 127, q = round(x / d), halves away from zero.
fn encode_q8_0(block: &Block, bytes: &mut Vec<u8>) {
    let d = super::largest(block) / 127.0;
    let inverse = inverse(d);
    bytes.extend(f16::from_f32(d).to_le_bytes());
    bytes.extend(block.iter().map(|x| (x * inverse).round() as i8 as u8));
}

/// d = x / −8 of the first number of largest size, q = ⌊x / d + 8.5⌋, at most 15.
fn encode_q4_0(block: &Block, bytes: &mut Vec<u8>) {
    let farther = |most: f32, x: &f32| if x.abs() > most.abs() { *x } else { most };
    let d = block.iter().fold(0.0, farther) / -8.0;
    let inverse = inverse(d);
    bytes.extend(f16::from_f32(d).to_le_bytes());
    nibbles(block, |x| (x * inverse + 8.5) as u8, bytes);
}

/// m = min x, d = (max x − m) / 15, q = ⌊(x − m) / d + 0.5⌋, at most 15.
fn encode_q4_1(block: &Block, bytes: &mut Vec<u8>) {
    let least = block.iter().copied().fold(f32::MAX, f32::min);
    let most = block.iter().copied().fold(-f32::MAX, f32::max);
    let d = (most - least) / 15.0;
    let inverse = inverse(d);
    bytes.extend(f16::from_f32(d).to_le_bytes());
    bytes.extend(f16::from_f32(least).to_le_bytes());
    nibbles(block, |x| ((x - least) * inverse + 0.5) as u8, bytes);
}

/// As Q4_0 with 32 codes: d = x / −16 of the first number of largest size, q = ⌊x / d + 16.5⌋, at most 31.
fn encode_q5_0(block: &Block, bytes: &mut Vec<u8>) {
    let farther = |most: f32, x: &f32| if x.abs() > most.abs() { *x } else { most };
    let d = block.iter().fold(0.0, farther) / -16.0;
    let inverse = inverse(d);
    bytes.extend(f16::from_f32(d).to_le_bytes());
    five_bits(block, |x| (x * inverse + 16.5) as u8, bytes);
}

/// As Q4_1 with 32 codes: m = min x, d = (max x − m) / 31, q = ⌊(x − m) / d + 0.5⌋, at most 31.
fn encode_q5_1(block: &Block, bytes: &mut Vec<u8>) {
    let least = block.iter().copied().fold(f32::MAX, f32::min);
    let most = block.iter().copied().fold(-f32::MAX, f32::max);
    let d = (most - least) / 31.0;
    let inverse = inverse(d);
    bytes.extend(f16::from_f32(d).to_le_bytes());
    bytes.extend(f16::from_f32(least).to_le_bytes());
    five_bits(block, |x| ((x - least) * inverse + 0.5) as u8, bytes);
}

/// The fifth bits of all codes in four bytes, from the lowest on, then the others as [`nibbles`] has them.
fn five_bits(block: &Block, code: impl Fn(f32) -> u8, bytes: &mut Vec<u8>) {
    let codes = block.map(|x| code(x).min(31));
    let fifth = codes.iter().rev();
    let fifth = fifth.fold(0_u32, |bits, code| bits << 1 | u32::from(code >> 4));
    bytes.extend(fifth.to_le_bytes());
    let (low, high) = codes.split_at(16);
    bytes.extend(low.iter().zip(high).map(|(low, high)| (low & 15) | (high & 15) << 4));
}

/// Two codes a byte: those of the first sixteen numbers in the low halves, those of the others in the high ones.
fn nibbles(block: &Block, code: impl Fn(f32) -> u8, bytes: &mut Vec<u8>) {
    let (low, high) = block.split_at(16);
    let pairs = low.iter().zip(high);
    bytes.extend(pairs.map(|(low, high)| code(*low).min(15) | code(*high).min(15) << 4));
}

/// 1/d; 0 of a block without a step.
fn inverse(d: f32) -> f32 {
    if d == 0.0 { 0.0 } else { 1.0 / d }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::blocks::decode;

    #[test]
    fn floats_that_a_storage_holds_come_back_to_the_bit() {
        let values = [0.0, -1.5, 2.0_f32.powi(-14), 65504.0, -0.25];
        for storage in [Storage::F32, Storage::F16, Storage::BF16] {
            let held: Vec<f32> = decode(storage, &encode(storage, &values).unwrap()).unwrap();
            let again = decode(storage, &encode(storage, &held).unwrap()).unwrap();
            assert_eq!(again, held, "{storage}");
        }
        assert_eq!(
            decode(Storage::F16, &encode(Storage::F16, &values).unwrap()).unwrap(),
            values
        );
    }

    #[test]
    fn what_a_storage_cannot_hold_is_refused() {
        let error = encode(Storage::F16, &[1.0, 1e5]).unwrap_err().to_string();
        assert!(error.contains("100000") && error.contains("bfloat16"), "{error}");
        assert!(encode(Storage::BF16, &[1e38]).is_ok());
        assert!(encode(Storage::F32, &[f32::NAN]).is_err());
        assert!(encode(Storage::Q8_0, &[0.0; 33]).is_err());
        assert!(encode(Storage::Q6K, &[0.0; 32]).is_err());
        assert!(encode(Storage::I64, &[0.0; 8]).is_err());
        for storage in [Storage::Q4_0, Storage::Q5_1, Storage::Q8_0, Storage::Q4K, Storage::Q6K] {
            let error = encode(storage, &[-1e30; 256]).unwrap_err().to_string();
            assert!(error.contains(storage.name()) && error.contains("scale"), "{error}");
        }
    }

    /// Blocks that gguf-py's `quants.quantize`, whose rounding is ggml's, was given and what it made of them.
    #[test]
    fn blocks_are_those_of_the_reference() {
        let block: Block = std::array::from_fn(|i| ((i as f32) * 0.37 - 5.0) * if i % 3 == 0 { -1.0 } else { 0.5 });
        for (storage, wanted) in [
            (Storage::Q8_0, Q8_0_BYTES),
            (Storage::Q4_0, Q4_0_BYTES),
            (Storage::Q4_1, Q4_1_BYTES),
        ] {
            let found: String = encode(storage, &block)
                .unwrap()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(found, wanted, "{storage}");
        }
        for storage in [Storage::Q8_0, Storage::Q4_0, Storage::Q4_1] {
            let zeros = encode(storage, &[0.0; 32]).unwrap();
            assert_eq!(decode(storage, &zeros).unwrap(), [0.0; 32], "{storage}");
        }
    }

    const Q8_0_BYTES: &str = "262a68d0d451dbdf3ae7eb23f2f60cfe02f50a0ddd1519c62125af2c3098383c8143";
    const Q4_0_BYTES: &str = "1a3a9f95659da646aca637bab717c9c808c7";
    const Q4_1_BYTES: &str = "ec391ac69f9565aea656acb737bbb728c9c808d8";
}
