//! GGUF's blocks of 5, 4 and 6 bits against ggml's dequantization, bit for bit.
//!
//! `gguf_blocks.safetensors` holds, of each format, ten blocks (`Q4_K.bytes`) and their values (`Q4_K.values`) as
//! `gguf.quants.dequantize` of the PyPI package `gguf` 0.19.0 (with numpy 2.4.6) decodes them: all bytes 0; all bytes
//! 0xff, whose scales are NaN; random bytes under scales of every sign, under subnormal ones and under the largest; and
//! all bits of the numbers set or clear under ordinary scales.

use lorakeet_core::formats::blocks::{decode, ggml_storage};
use safetensors::SafeTensors;

#[test]
fn blocks_decode_to_ggmls_values() {
    let file = include_bytes!("gguf_blocks.safetensors");
    let file = SafeTensors::deserialize(file).unwrap();
    for (kind, name) in [(6, "Q5_0"), (7, "Q5_1"), (12, "Q4_K"), (14, "Q6_K")] {
        let storage = ggml_storage(kind).unwrap();
        assert_eq!(storage.name(), name);
        let bytes = file.tensor(&format!("{name}.bytes")).unwrap();
        let values = file.tensor(&format!("{name}.values")).unwrap();
        assert_eq!(bytes.shape(), [10, storage.block_bytes()]);
        assert_eq!(values.shape(), [10, storage.block_elements()]);
        let found = decode(storage, bytes.data()).unwrap();
        assert_eq!(found.len(), values.data().len() / 4);
        for (i, (found, wanted)) in found.iter().zip(values.data().as_chunks::<4>().0).enumerate() {
            let wanted = f32::from_le_bytes(*wanted);
            let same = found.to_bits() == wanted.to_bits() || (found.is_nan() && wanted.is_nan());
            let (block, at) = (i / storage.block_elements(), i % storage.block_elements());
            assert!(same, "{name}, block {block} at {at}: {found:e}, not {wanted:e}");
        }
    }
}

#[test]
fn part_of_a_block_is_refused() {
    for kind in [6, 7, 12, 13, 14] {
        let storage = ggml_storage(kind).unwrap();
        let error = decode(storage, &vec![0; storage.block_bytes() * 2 - 1]).unwrap_err();
        assert!(error.to_string().contains(storage.name()), "{error}");
        assert_eq!(decode(storage, &[]).unwrap(), [0.0; 0]);
    }
}
