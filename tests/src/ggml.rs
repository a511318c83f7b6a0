//! GGUF files written anew in another of ggml's formats, to see what each costs.
//!
//! Numbers are rounded as by ggml's reference, the functions `quantize_row_*_ref` of `ggml/src/ggml-quants.c` in
//! ggml-org/llama.cpp. The formats in blocks of 256 are not written.

use crate::{gguf::GgufWriter, golden::block_on};
use anyhow::{Result, bail, ensure};
use half::{bf16, f16};
use lorakeet_core::{
    formats::{
        Storage,
        blocks::{decode, ggml_storage},
        gguf::read_header,
    },
    store::Source,
};

/// Numbers that share a scale.
type Block = [f32; 32];

/// The bytes of a GGUF file whose tensors in `from` are stored in `to`. All else stays as it is, byte for byte: the metadata
/// with its tokenizer, and tensors in other formats.
///
/// # Errors
/// The file is not GGUF or cannot be read, `from` cannot be decoded, or `to` is not written here.
pub fn rewrite(file: &Source, from: Storage, to: Storage) -> Result<Vec<u8>> {
    let header = block_on(read_header(file))?;
    let bytes = block_on(file.read_at(0, file.len_bytes() as usize))?;
    let mut writer = GgufWriter::with_metadata_of(&bytes);
    for tensor in &header.tensors {
        let stored = &bytes[tensor.offset as usize..][..tensor.bytes as usize];
        let (storage, stored) = if tensor.storage == from {
            (to, encode(to, &decode(from, stored)?)?)
        } else {
            (tensor.storage, stored.to_vec())
        };
        let shape: Vec<u64> = tensor.shape.iter().map(|&size| size as u64).collect();
        writer.tensor(&tensor.name, &shape, kind(storage), stored);
    }
    Ok(writer.bytes())
}

/// ggml's number for a storage.
///
/// # Panics
/// If ggml has none.
pub fn kind(storage: Storage) -> u32 {
    let found = (0..64).find(|&kind| ggml_storage(kind) == Some(storage));
    found.unwrap_or_else(|| panic!("ggml has no {storage}"))
}

/// Whole rows in a format: F16, BF16, Q8_0, or 4 or 5 bits in blocks of 32.
///
/// # Errors
/// Another format; numbers that are not whole blocks.
pub fn encode(storage: Storage, values: &[f32]) -> Result<Vec<u8>> {
    let count = values.len();
    ensure!(
        count.is_multiple_of(storage.block_elements()),
        "{count} numbers are not whole blocks of {storage}"
    );
    let blocks = values.as_chunks().0.iter();
    Ok(match storage {
        Storage::F16 => values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect(),
        Storage::BF16 => values.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect(),
        Storage::Q8_0 => blocks.flat_map(encode_signed).collect(),
        Storage::Q4_0 => blocks.flat_map(|block| encode_about_zero(block, 4)).collect(),
        Storage::Q5_0 => blocks.flat_map(|block| encode_about_zero(block, 5)).collect(),
        Storage::Q4_1 => blocks.flat_map(|block| encode_from_minimum(block, 4)).collect(),
        Storage::Q5_1 => blocks.flat_map(|block| encode_from_minimum(block, 5)).collect(),
        _ => bail!("{storage} is not written here"),
    })
}

/// x ≈ d·q, q from −127 to 127; halves go away from zero.
fn encode_signed(block: &Block) -> Vec<u8> {
    let d = block.iter().fold(0.0, |most: f32, x| most.max(x.abs())) / 127.0;
    let codes = block.iter().map(|x| (x * inverse(d)).round() as i8 as u8);
    half_bytes(d).into_iter().chain(codes).collect()
}

/// x ≈ d·(q − middle). The number of largest size gets the code 0, which lies farthest out, so that d has the sign that this
/// takes; the other side ends one step earlier. Halves of x/d go up.
fn encode_about_zero(block: &Block, bits: u32) -> Vec<u8> {
    let farther = |most: f32, x: &f32| if x.abs() > most.abs() { *x } else { most };
    let middle = (1u8 << (bits - 1)) as f32;
    let d = block.iter().fold(0.0, farther) / -middle;
    let codes = block.map(|x| (x * inverse(d) + (middle + 0.5)) as u8);
    half_bytes(d).into_iter().chain(pack(codes, bits)).collect()
}

/// x ≈ d·q + m, where m is the least number. Halves go up too.
fn encode_from_minimum(block: &Block, bits: u32) -> Vec<u8> {
    let [m, most] = [f32::min, f32::max].map(|pick| block.iter().copied().fold(block[0], pick));
    let d = (most - m) / ((1u8 << bits) - 1) as f32;
    let codes = block.map(|x| ((x - m) * inverse(d) + 0.5) as u8);
    let scales = [half_bytes(d), half_bytes(m)].concat();
    scales.into_iter().chain(pack(codes, bits)).collect()
}

/// Codes of 4 bits, two in a byte: the first sixteen in the low halves, the others in the high ones. A fifth bit goes before
/// them, in 32 bits from the lowest on.
fn pack(codes: [u8; 32], bits: u32) -> Vec<u8> {
    let most = (1 << bits) - 1;
    let codes = codes.map(|code| code.min(most));
    let fifth = codes
        .iter()
        .rev()
        .fold(0, |fifth, code| fifth << 1 | u32::from(code >> 4));
    let (low, high) = codes.split_at(16);
    let nibbles = low.iter().zip(high).map(|(low, high)| low & 15 | high << 4);
    let fifth = fifth.to_le_bytes().into_iter().filter(|_| bits == 5);
    fifth.chain(nibbles).collect()
}

fn half_bytes(x: f32) -> [u8; 2] {
    f16::from_f32(x).to_le_bytes()
}

/// 1/d, by which ggml multiplies; 0 of a block without a step.
fn inverse(d: f32) -> f32 {
    if d == 0.0 { 0.0 } else { 1.0 / d }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lorakeet_core::{formats::ModelFiles, random::Generator, store::MemoryFile};
    use safetensors::SafeTensors;

    const FORMATS: [Storage; 7] = [
        Storage::F16,
        Storage::BF16,
        Storage::Q8_0,
        Storage::Q5_1,
        Storage::Q5_0,
        Storage::Q4_1,
        Storage::Q4_0,
    ];
    /// The share that 11 and 8 significant bits may be wrong by.
    const HALF: f32 = 1.0 / 2048.0;
    const BRAIN_HALF: f32 = 1.0 / 256.0;
    /// What the smallest 16-bit floats may be wrong by.
    const TINY: f32 = 1.0 / (1 << 25) as f32;

    fn random(size: f32) -> Block {
        let mut random = Generator::new(size.to_bits().into(), "ggml");
        std::array::from_fn(|_| random.normal() as f32 * size)
    }

    fn blocks() -> Vec<Block> {
        let one = |at: usize, x: f32| {
            let mut block = random(1e-3);
            block[at] = x;
            block
        };
        let mut blocks = vec![[0.0; 32], [0.75; 32], [-3.3e-3; 32]];
        blocks.extend([one(0, 6e4), one(31, -6e4), one(16, 1.0), one(15, -1.0)]);
        blocks.extend([random(1.0).map(f32::abs), random(1.0).map(|x| -x.abs())]);
        blocks.extend((0..200).map(|i| random((i as f32 / 10.0 - 17.0).exp())));
        blocks
    }

    /// How far `x` may be from what it becomes: half a step, and what the scales lose as 16-bit floats.
    fn allowed(storage: Storage, block: &Block, x: f32) -> f32 {
        let [least, most] = [f32::min, f32::max].map(|pick| block.iter().copied().fold(block[0], pick));
        let size = most.max(-least);
        let about_zero = |middle: f32| {
            let d = size / middle;
            // The side on which the largest number does not lie ends half a step before its own largest code's reach.
            let is_past_the_end = x.signum() != if most > -least { 1.0 } else { -1.0 } && x.abs() > (middle - 0.5) * d;
            d * if is_past_the_end { 1.0 } else { 0.5 } + size * HALF + middle * TINY
        };
        let from_minimum =
            |levels: f32| (most - least) * (0.5 / levels + HALF) + least.abs() * HALF + (levels + 1.0) * TINY;
        let allowed = match storage {
            Storage::F16 => x.abs() * HALF + TINY,
            Storage::BF16 => x.abs() * BRAIN_HALF,
            Storage::Q8_0 => size * (0.5 / 127.0 + HALF) + 127.0 * TINY,
            Storage::Q4_0 => about_zero(8.0),
            Storage::Q5_0 => about_zero(16.0),
            Storage::Q4_1 => from_minimum(15.0),
            Storage::Q5_1 => from_minimum(31.0),
            _ => panic!("{storage}"),
        };
        allowed * 1.0001
    }

    #[test]
    fn every_format_rounds_to_within_half_a_step() {
        for storage in FORMATS {
            for block in blocks() {
                let bytes = encode(storage, &block).expect("a block");
                let found = decode(storage, &bytes).expect("a block");
                assert_eq!(found.len(), 32, "{storage}");
                for (x, found) in block.into_iter().zip(found) {
                    let (wrong, allowed) = ((x - found).abs(), allowed(storage, &block, x));
                    assert!(
                        wrong <= allowed,
                        "{storage}: {x:e} became {found:e}, wrong by {wrong:e}, allowed {allowed:e}: {block:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn halves_go_where_ggml_sends_them() {
        // Numbers with a step of 1, the least of which is the one of largest size but in Q8_0.
        let rounded = |storage, [least, most]: [f32; 2]| {
            let mut block = [0.0; 32];
            block[..6].copy_from_slice(&[0.5, -0.5, 1.5, -1.5, least, most]);
            decode(storage, &encode(storage, &block).expect("a block")).expect("a block")[..6].to_vec()
        };
        for (storage, ends) in [(Storage::Q4_0, [-8.0, 7.5]), (Storage::Q4_1, [-8.0, 7.0])] {
            assert_eq!(rounded(storage, ends), [1.0, 0.0, 2.0, -1.0, -8.0, 7.0], "{storage}");
        }
        for (storage, ends) in [(Storage::Q5_0, [-16.0, 15.5]), (Storage::Q5_1, [-16.0, 15.0])] {
            assert_eq!(rounded(storage, ends), [1.0, 0.0, 2.0, -1.0, -16.0, 15.0], "{storage}");
        }
        let signed = rounded(Storage::Q8_0, [-3.0, 127.0]);
        assert_eq!(signed, [1.0, -1.0, 2.0, -2.0, -3.0, 127.0]);
        // A largest number above zero turns the scale's sign, and with it where halves go.
        let turned = rounded(Storage::Q4_0, [-7.5, 8.0]);
        assert_eq!(turned, [0.0, -1.0, 1.0, -2.0, -7.0, 8.0]);
    }

    fn again(storage: Storage, bytes: &[u8]) -> Vec<u8> {
        encode(storage, &decode(storage, bytes).expect("blocks")).expect("blocks")
    }

    /// The first number has the least code and the last the largest, so that no other scale gives the same numbers.
    #[test]
    fn blocks_that_reach_both_ends_are_found_again_to_the_bit() {
        let mut random = Generator::new(3, "ggml");
        for storage in FORMATS.into_iter().filter(|storage| storage.block_elements() == 32) {
            for _ in 0..100 {
                let mut bytes: Vec<u8> = (0..storage.block_bytes()).map(|_| random.next_u64() as u8).collect();
                let d = f16::from_f32(0.01 + (random.next_u64() % 100) as f32);
                bytes[..2].copy_from_slice(&d.to_le_bytes());
                if matches!(storage, Storage::Q4_1 | Storage::Q5_1) {
                    bytes[2..4].copy_from_slice(&(-d).to_le_bytes());
                }
                let codes = storage.block_bytes() - if storage == Storage::Q8_0 { 32 } else { 16 };
                if storage == Storage::Q8_0 {
                    // −128 is a byte, but no code.
                    bytes[codes..]
                        .iter_mut()
                        .for_each(|code| *code = if *code == 128 { 129 } else { *code });
                    bytes[codes] = 129;
                } else {
                    bytes[codes] &= 0xf0;
                    bytes[codes + 15] |= 0xf0;
                }
                if matches!(storage, Storage::Q5_0 | Storage::Q5_1) {
                    bytes[codes - 4] &= 0xfe;
                    bytes[codes - 1] |= 0x80;
                }
                assert_eq!(again(storage, &bytes), bytes, "{storage}");
            }
        }
    }

    /// `core/tests/native/gguf_blocks.rs` says what they are. Those not named here have a scale that is no number, or one that no
    /// encoder takes for such numbers: too large for codes that do not reach both ends, or below zero before a minimum.
    #[test]
    fn golden_blocks_are_found_again_where_their_scale_is_the_least() {
        let file = include_bytes!("../../core/tests/native/gguf_blocks.safetensors");
        let file = SafeTensors::deserialize(file).expect("golden blocks");
        for (storage, wanted) in [(Storage::Q5_0, &[0, 2, 3, 7, 8, 9][..]), (Storage::Q5_1, &[0, 7, 8, 9])] {
            let golden = file.tensor(&format!("{storage}.bytes")).expect("blocks").data();
            let numbers = |bytes: &[u8]| decode(storage, bytes).expect("a block");
            let golden = golden.chunks_exact(storage.block_bytes()).enumerate();
            let found = golden.filter(|(_, bytes)| numbers(&again(storage, bytes)) == numbers(bytes));
            assert_eq!(found.map(|(i, _)| i).collect::<Vec<_>>(), wanted, "{storage}");
        }
    }

    #[test]
    fn a_file_written_anew_keeps_all_but_the_blocks_that_it_is_to_change() {
        let mut writer = GgufWriter::llama(&["a", "b", "c", "ab", "<end>"], &["a b"]);
        writer.u32("tokenizer.ggml.eos_token_id", 4);
        writer.bool("tokenizer.ggml.add_bos_token", false);
        writer.f32s("tokenizer.ggml.scores", &[0.0, -1.0, -2.0, -3.0, -4.0]);
        let (name, key) = ("blk.0.ffn_down.weight", "model.layers.0.mlp.down_proj.weight");
        let values = [random(1.0), random(2.0)].concat();
        let bytes = encode(Storage::Q4_1, &values).expect("blocks");
        writer.tensor(name, &[1, 64], kind(Storage::Q4_1), bytes);
        writer.tensor_f32("output_norm.weight", &[33]);
        let source = |bytes: Vec<u8>| MemoryFile::source("tiny.gguf", bytes);
        let original = source(writer.bytes());
        let open = |file| block_on(ModelFiles::open(vec![file])).expect("it opens");
        let old = open(original.clone());
        let (shape, wanted) = block_on(old.read_f32(key)).expect("numbers");
        let metadata = block_on(read_header(&original)).expect("a header").metadata;
        for storage in FORMATS {
            let file = source(rewrite(&original, Storage::Q4_1, storage).expect("it can be written"));
            assert_eq!(block_on(read_header(&file)).expect("a header").metadata, metadata);
            let new = open(file);
            assert_eq!(new.entries().len(), old.entries().len());
            for (new_entry, old_entry) in new.entries().iter().zip(old.entries()) {
                let same =
                    block_on(new.read_bytes(&old_entry.name)).ok() == block_on(old.read_bytes(&old_entry.name)).ok();
                assert!(same || old_entry.name == key, "{storage}: {}", old_entry.name);
                assert_eq!(new_entry.shape, old_entry.shape);
            }
            assert_eq!(new.entry(key).expect("it is there").storage, storage);
            let rounded = decode(storage, &encode(storage, &wanted).expect("blocks")).expect("blocks");
            assert_eq!(block_on(new.read_f32(key)).expect("numbers"), (shape.clone(), rounded));
        }
    }

    #[test]
    fn what_is_not_written_is_refused() {
        let error = encode(Storage::Q4K, &[0.0; 256]).expect_err("it is refused");
        assert!(error.to_string().contains("Q4_K"), "{error}");
        let error = encode(Storage::Q5_1, &[0.0; 33]).expect_err("it is refused");
        assert!(error.to_string().contains("33"), "{error}");
    }
}
