//! Rows encoded in ggml's formats of 5 to 6 bits and of blocks of 256, byte for byte as ggml encodes them.
//!
//! `ggml_rows.safetensors` holds, of each format, what `ggml_quantize_chunk` made of each row of [`rows`] without an importance
//! matrix, called in the library of the PyPI package `xllamacpp` 2026.10.11549 (llama.cpp b11549). [`DECODED`] are FNV-1a hashes
//! of the bits of what its `dequantize_row_*` makes of those bytes.

use lorakeet_core::formats::Storage;
use lorakeet_core::formats::blocks::decode;
use lorakeet_core::quant::ggml::encode;
use safetensors::SafeTensors;

const COLUMNS: usize = 256;

const DECODED: [(Storage, u64); 5] = [
    (Storage::Q5_0, 0x6040_7b1c_fa36_f831),
    (Storage::Q5_1, 0xf79a_8f75_5637_7d75),
    (Storage::Q4K, 0xb3d4_2eee_4f19_f4b4),
    (Storage::Q5K, 0xb7fd_2077_2caf_feb3),
    (Storage::Q6K, 0x4baa_5654_f5fa_76a4),
];

/// A generator that other languages have in a line, too.
struct Draw(u64);

impl Draw {
    fn bits(&mut self) -> u64 {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 48
    }

    /// Nearly normal, and exact: the sum of twelve even numbers of 16 bits.
    fn normal(&mut self) -> f32 {
        let sum: u64 = (0..12).map(|_| self.bits()).sum();
        (sum as f32 - 393_210.0) / 65_536.0
    }

    fn row(&mut self, number: impl Fn(f32) -> f32) -> [f32; COLUMNS] {
        std::array::from_fn(|_| number(self.normal()))
    }
}

/// Zeros, constants, a ramp; numbers above zero, one that is far out, a start of zeros, numbers near the smallest; and normal
/// ones of ten sizes.
fn rows() -> Vec<[f32; COLUMNS]> {
    let mut rows = vec![[0.0; COLUMNS], [0.75; COLUMNS], [-0.5; COLUMNS]];
    rows.push(std::array::from_fn(|i| (i as f32 - 100.0) / 64.0));
    let mut draw = Draw(1);
    rows.push(draw.row(|x| x.abs() + 2.0));
    let small = 2.0_f32.powi(-10);
    rows.push(std::array::from_fn(
        |i| if i == 77 { 8.0 } else { draw.normal() * small },
    ));
    rows.push(std::array::from_fn(|i| if i < 48 { 0.0 } else { draw.normal() }));
    rows.push(draw.row(|x| x * 2.0_f32.powi(-56)));
    for size in (0..10).map(|i| 2.0_f32.powi(3 * i - 20)) {
        rows.push(draw.row(|x| x * size));
    }
    rows
}

#[test]
fn rows_are_encoded_to_ggmls_bytes_and_these_decode_to_ggmls_numbers() {
    let file = SafeTensors::deserialize(include_bytes!("ggml_rows.safetensors")).unwrap();
    let rows = rows();
    for (storage, hash) in DECODED {
        let wanted = file.tensor(storage.name()).unwrap();
        assert_eq!(wanted.shape()[0], rows.len());
        let mut numbers = Vec::new();
        for (i, (row, wanted)) in rows
            .iter()
            .zip(wanted.data().chunks_exact(wanted.shape()[1]))
            .enumerate()
        {
            let found = encode(storage, row).unwrap();
            assert_eq!(found, wanted, "{storage}, row {i}");
            numbers.extend(decode(storage, &found).unwrap());
        }
        let bytes = numbers.iter().flat_map(|number: &f32| number.to_le_bytes());
        let found = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        assert_eq!(found, hash, "{storage}");
    }
}

#[test]
fn what_is_encoded_comes_back_within_a_step() {
    for (storage, steps) in [
        (Storage::Q4K, 15.0),
        (Storage::Q5K, 31.0),
        (Storage::Q6K, 63.0),
        (Storage::Q5_0, 31.0),
        (Storage::Q5_1, 31.0),
    ] {
        for row in rows() {
            let found = decode(storage, &encode(storage, &row).unwrap()).unwrap();
            // Scales of a part are shares of the largest of a block, so all is measured by the block's range.
            let most = row.iter().copied().fold(0.0, f32::max);
            let least = row.iter().copied().fold(0.0, f32::min);
            let range = 2.0 * most.max(-least);
            // The smallest 16-bit scale may be off by 2⁻²⁵, and stands before codes of up to 4096.
            let allowed = 1.2 * range / steps + 2.0_f32.powi(-13);
            for (x, found) in row.iter().zip(found) {
                assert!((x - found).abs() <= allowed, "{storage}: {x:e} became {found:e}");
            }
        }
    }
}
