//! What kernels read is what files and encoders hold: words decode to the same numbers, bit for bit.

use lorakeet_core::formats::{Storage, blocks};
use lorakeet_core::quant::packing::{self, PackedWords, Scales};
use lorakeet_core::quant::{Absmax, Block, Code, FourBit, Fp8, Fp8Matrix, Int8Rows, ScaleOf};
use lorakeet_core::random::Generator;
use lorakeet_shaders::decode;

/// The numbers that a kernel's twin reads.
fn decoded(packed: &PackedWords) -> Vec<f32> {
    let words: Vec<f32> = packed.words.iter().copied().map(f32::from_bits).collect();
    let mut numbers = vec![0.0; packed.matrix.elements()];
    decode(&packed.matrix, &words, 0, &mut numbers);
    numbers
}

fn assert_same(found: &[f32], wanted: &[f32], what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (i, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert_eq!(
            found.to_bits(),
            wanted.to_bits(),
            "{what}: number {i} is {found}, not {wanted}"
        );
    }
}

fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut random = Generator::new(seed, "packing");
    (0..count).map(|_| random.normal() as f32).collect()
}

#[test]
fn stored_rows_decode_to_what_the_file_says() {
    let storages = [
        Storage::F16,
        Storage::BF16,
        Storage::Q4_0,
        Storage::Q4_1,
        Storage::Q5_0,
        Storage::Q5_1,
        Storage::Q8_0,
        Storage::Q4K,
        Storage::Q5K,
        Storage::Q6K,
    ];
    for storage in storages {
        let block = storage.block_elements();
        for (rows, blocks_a_row) in [(1, 1), (3, 2), (7, 5)] {
            let columns = if block == 1 {
                7 * blocks_a_row
            } else {
                block * blocks_a_row
            };
            let mut random = Generator::new(rows as u64, "bytes");
            let count = rows * columns / block * storage.block_bytes();
            // Any bytes but halves that are not finite.
            let bytes: Vec<u8> = (0..count).map(|_| random.next_u64() as u8 & 0xbb).collect();
            let packed = packing::stored(storage, rows, columns, &bytes).expect("whole rows");
            assert_eq!(packed.words.len(), packed.matrix.words());
            assert_same(
                &decoded(&packed),
                &blocks::decode(storage, &bytes).expect("blocks"),
                storage.name(),
            );
        }
    }
}

#[test]
fn rows_that_are_no_whole_blocks_are_refused() {
    assert!(packing::stored(Storage::Q4_0, 2, 16, &[0; 18]).is_err());
    assert!(packing::stored(Storage::Q4_0, 1, 32, &[0; 17]).is_err());
    assert!(packing::stored(Storage::F32, 1, 1, &[0; 4]).is_err());
}

#[test]
fn encoded_matrices_decode_to_what_their_encoder_says() {
    for (rows, columns) in [(1, 1), (3, 5), (8, 64), (33, 130), (300, 257)] {
        let values = numbers(rows * columns, columns as u64);
        for code in [Code::Nf4, Code::Fp4] {
            for block in [Block::Of64, Block::Of128, Block::Of256] {
                let plain = FourBit::encode(&values, code, block).expect("finite");
                let double = plain.clone().with_double_absmax().expect("finite");
                for encoded in [plain, double] {
                    let scales = match encoded.absmax() {
                        Absmax::Plain(absmax) => Scales::Plain(absmax),
                        Absmax::Double(double) => Scales::Double {
                            codes: double.codes().codes(),
                            absmax: double.codes().absmax(),
                            offset: double.offset(),
                        },
                    };
                    let shape = (rows, columns);
                    let packed = packing::four_bit(code, block.elements(), shape, encoded.packed(), scales);
                    let what = format!("{code:?} {block:?} {rows}x{columns}");
                    assert_same(&decoded(&packed.expect("it fits")), &encoded.decode(), &what);
                }
            }
        }
        let encoded = Int8Rows::encode(&values, rows, columns).expect("finite");
        let packed = packing::int8((rows, columns), encoded.codes(), encoded.absmax()).expect("it fits");
        assert_same(&decoded(&packed), &encoded.decode(), "int8");
        for format in [Fp8::E4M3, Fp8::E5M2] {
            for scale_of in [ScaleOf::Tensor, ScaleOf::Row, ScaleOf::Block { rows: 2, columns: 3 }] {
                let encoded = Fp8Matrix::encode(&values, rows, columns, format, scale_of).expect("finite");
                let shape = (rows, columns);
                let packed = packing::fp8(format, scale_of, shape, encoded.codes(), encoded.scales());
                assert_same(
                    &decoded(&packed.expect("it fits")),
                    &encoded.decode(),
                    &format!("{format:?} {scale_of:?}"),
                );
            }
        }
    }
}
