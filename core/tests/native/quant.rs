//! The packed number formats on random and hostile numbers: what is decoded lies within the format's step, and nothing
//! that cannot be packed is packed. Bytes are compared with the reference libraries' in `tests/tests/golden/quant.rs`.

use lorakeet_core::Error;
use lorakeet_core::quant::{
    Absmax, Block, Blockwise, Code, DoubleAbsmax, FourBit, Fp8, Fp8Matrix, Int8Rows, Map, ScaleOf,
};
use lorakeet_core::random::Generator;

/// Lengths around the ends of bytes and blocks.
const LENGTHS: [usize; 12] = [0, 1, 2, 3, 63, 64, 65, 127, 255, 256, 257, 1000];
const BLOCKS: [Block; 3] = [Block::Of64, Block::Of128, Block::Of256];

/// `count` numbers around 0, of all sizes below `size`.
fn numbers(count: usize, size: f32, seed: u64) -> Vec<f32> {
    let mut random = Generator::new(seed, "quant");
    let one = |_| {
        let value = (random.uniform() * 2.0 - 1.0) as f32 * size;
        if random.below(3) == 0 { value * 1e-3 } else { value }
    };
    (0..count).map(one).collect()
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, value| value.abs().max(most))
}

#[test]
fn four_bits_stay_within_half_the_widest_gap() {
    for (code, widest) in [(Code::Nf4, 1.0 - 0.6961928), (Code::Fp4, 1.0 / 3.0)] {
        for block in BLOCKS {
            for (seed, count) in LENGTHS.into_iter().enumerate() {
                for size in [1e-30, 1e-3, 1.0, 1e30] {
                    let values = numbers(count, size, seed as u64);
                    let packed = FourBit::encode(&values, code, block).unwrap();
                    assert_eq!(packed.packed().len(), count.div_ceil(2));
                    let decoded = packed.decode();
                    assert_eq!(decoded.len(), count);
                    let parts = values.chunks(block.elements()).zip(decoded.chunks(block.elements()));
                    for (values, decoded) in parts {
                        let allowed = largest(values) * (widest / 2.0 + 1e-5);
                        let within = |(a, b): (&f32, &f32)| (a - b).abs() <= allowed;
                        assert!(
                            values.iter().zip(decoded).all(within),
                            "{code:?} {block:?} {count} {size}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn packing_what_was_decoded_changes_nothing() {
    for code in [Code::Nf4, Code::Fp4] {
        let packed = FourBit::encode(&numbers(1000, 2.0, 1), code, Block::Of64).unwrap();
        let again = FourBit::encode(&packed.decode(), code, Block::Of64).unwrap();
        assert_eq!(packed.decode(), again.decode(), "{code:?}");
    }
    let codes = Blockwise::encode(&numbers(1000, 2.0, 2), Map::Signed, Block::Of256).unwrap();
    let again = Blockwise::encode(&codes.decode(), Map::Signed, Block::Of256).unwrap();
    // Where a block's largest number is negative it becomes −0.993 of itself, and the scale changes with it.
    for (a, b) in codes.decode().iter().zip(again.decode()) {
        assert!((a - b).abs() <= 0.02 * a.abs() + 1e-5, "{a} {b}");
    }
}

#[test]
fn double_scales_are_near_the_plain_ones() {
    for count in LENGTHS {
        let plain = FourBit::encode(&numbers(count * 64, 1.0, 3), Code::Nf4, Block::Of64).unwrap();
        let scales = plain.absmax().decode().into_owned();
        let double = plain.with_double_absmax().unwrap();
        let spread = match double.absmax() {
            Absmax::Double(double) => largest(double.codes().absmax()),
            Absmax::Plain(_) => panic!("the scales are still plain"),
        };
        // The widest gap of the signed map is 0.0142 (0.9929 to 0.9788), and below −0.9929 there is nothing.
        for (a, b) in scales.iter().zip(double.absmax().decode().iter()) {
            assert!((a - b).abs() <= 0.0075 * spread + 1e-6, "{a} {b}");
        }
        assert_eq!(double.clone().with_double_absmax().unwrap(), double);
    }
}

#[test]
fn a_block_of_zeros_comes_back_as_zeros() {
    for count in LENGTHS {
        let zeros = vec![0.0; count];
        for code in [Code::Nf4, Code::Fp4] {
            assert_eq!(FourBit::encode(&zeros, code, Block::Of64).unwrap().decode(), zeros);
        }
        for map in [Map::Signed, Map::Unsigned] {
            assert_eq!(Blockwise::encode(&zeros, map, Block::Of256).unwrap().decode(), zeros);
        }
        assert_eq!(Int8Rows::encode(&zeros, 1, count.max(1)).is_ok(), count > 0);
        for format in [Fp8::E4M3, Fp8::E5M2] {
            let packed = Fp8Matrix::encode(&zeros, count, 1, format, ScaleOf::Row).unwrap();
            assert_eq!(
                (packed.decode(), packed.scales()),
                (zeros.clone(), &vec![1.0; count][..])
            );
        }
    }
}

#[test]
fn nothing_is_packed_into_nothing() {
    assert_eq!(Int8Rows::encode(&[], 0, 8).unwrap().decode(), [0.0; 0]);
    for scale_of in [ScaleOf::Tensor, ScaleOf::Row, ScaleOf::Block { rows: 2, columns: 2 }] {
        let packed = Fp8Matrix::encode(&[], 0, 8, Fp8::E4M3, scale_of).unwrap();
        assert_eq!((packed.decode(), packed.rows(), packed.scales()), (vec![], 0, &[][..]));
    }
    assert_eq!(DoubleAbsmax::encode(&[]).unwrap().offset(), 0.0);
}

#[test]
fn no_entry_of_the_dynamic_map_is_nearer_than_the_chosen_one() {
    for map in [Map::Signed, Map::Unsigned] {
        for (seed, count) in LENGTHS.into_iter().enumerate() {
            let mut values = numbers(count, 3.0, seed as u64);
            if map == Map::Unsigned {
                values.iter_mut().for_each(|value| *value *= *value);
            }
            let encoded = Blockwise::encode(&values, map, Block::Of256).unwrap();
            for (i, (value, code)) in values.iter().zip(encoded.codes()).enumerate() {
                let exact = f64::from(*value) / f64::from(encoded.absmax()[i / 256]);
                let distance = |entry: f32| (f64::from(entry) - exact).abs();
                let least = map.table().iter().map(|entry| distance(*entry)).fold(1.0, f64::min);
                assert!(distance(map.table()[usize::from(*code)]) <= least + 1e-7, "{value}");
            }
        }
    }
}

#[test]
fn int8_stays_within_half_a_step() {
    for (rows, columns) in [(1, 1), (3, 7), (5, 33), (64, 2)] {
        for size in [1e-38, 1e-20, 1.0, 1e30] {
            let values = numbers(rows * columns, size, columns as u64);
            let decoded = Int8Rows::encode(&values, rows, columns).unwrap().decode();
            for (values, decoded) in values.chunks(columns).zip(decoded.chunks(columns)) {
                let allowed = largest(values) / 127.0 * 0.501;
                let within = |(a, b): (&f32, &f32)| (a - b).abs() <= allowed;
                assert!(values.iter().zip(decoded).all(within), "{rows} {columns} {size}");
            }
        }
    }
}

#[test]
fn columns_with_outliers_are_left_out_of_int8() {
    let values = [1.0, 9.0, -2.0, 3.0, 1.0, -0.5];
    let (packed, outliers) = Int8Rows::encode_without_outliers(&values, 2, 3, 9.0).unwrap();
    assert_eq!(outliers, [1]);
    // The second row's 1 is no outlier itself, but its column is.
    assert_eq!(
        (packed.codes(), packed.absmax()),
        (&[64, 0, -127, 127, 0, -21][..], &[2.0, 3.0][..])
    );
}

#[test]
fn fp8_stays_within_half_a_step() {
    for (format, step, smallest) in [(Fp8::E4M3, 0.125, 2f32.powi(-9)), (Fp8::E5M2, 0.25, 2f32.powi(-16))] {
        for scale_of in [ScaleOf::Tensor, ScaleOf::Row, ScaleOf::Block { rows: 4, columns: 5 }] {
            for (rows, columns) in [(1, 1), (3, 7), (9, 33), (64, 2)] {
                let values = numbers(rows * columns, 1e-3, rows as u64);
                let packed = Fp8Matrix::encode(&values, rows, columns, format, scale_of).unwrap();
                let most = largest(packed.scales());
                for (a, b) in values.iter().zip(packed.decode()) {
                    let allowed = (a.abs() * step / 2.0 + smallest * most / 2.0) * 1.001;
                    assert!((a - b).abs() <= allowed, "{format:?} {scale_of:?}: {a} became {b}");
                }
            }
        }
    }
}

#[test]
fn every_finite_fp8_code_stands_for_itself() {
    for format in [Fp8::E4M3, Fp8::E5M2] {
        for code in 0..=255 {
            let value = format.decode(code);
            if value.is_finite() {
                assert_eq!(format.encode(value), code, "{format:?} {value}");
            }
        }
        assert_eq!(format.decode(format.encode(f32::INFINITY)), format.largest());
        assert_eq!(format.decode(format.encode(f32::MIN)), -format.largest());
        assert!(format.decode(format.encode(-f32::NAN)).is_nan());
    }
}

/// That the error names the field.
#[track_caller]
fn names<T>(result: Result<T, Error>, field: &str) {
    let error = result.err().expect("this must be refused");
    assert_eq!(error.field_name(), Some(field), "{error}");
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let values = [1.0, bad, 2.0, 3.0];
        names(FourBit::encode(&values, Code::Nf4, Block::Of64), "values");
        names(Blockwise::encode(&values, Map::Signed, Block::Of64), "values");
        names(Int8Rows::encode(&values, 2, 2), "values");
        names(Int8Rows::encode_without_outliers(&values, 2, 2, 6.0), "values");
        names(Fp8Matrix::encode(&values, 2, 2, Fp8::E4M3, ScaleOf::Row), "values");
        names(DoubleAbsmax::encode(&values), "absmax");
        names(
            FourBit::new(Code::Nf4, Block::Of64, 1, vec![0], Absmax::Plain(vec![bad])),
            "absmax",
        );
        names(Blockwise::new(Map::Signed, Block::Of64, vec![0], vec![bad]), "absmax");
        names(Int8Rows::new(1, 1, vec![0], vec![bad]), "absmax");
        names(
            Fp8Matrix::new(1, 1, Fp8::E4M3, ScaleOf::Row, vec![0], vec![bad]),
            "scale",
        );
    }
    names(Blockwise::encode(&[1.0, -1.0], Map::Unsigned, Block::Of64), "values");
    names(
        Fp8Matrix::new(1, 1, Fp8::E4M3, ScaleOf::Row, vec![0x7f], vec![1.0]),
        "weight",
    );
    names(
        Fp8Matrix::new(1, 1, Fp8::E5M2, ScaleOf::Row, vec![0xfc], vec![1.0]),
        "weight",
    );
}

#[test]
fn numbers_too_large_to_be_restored_are_refused() {
    names(Int8Rows::encode(&[f32::MAX], 1, 1), "absmax");
    names(
        Fp8Matrix::new(1, 1, Fp8::E4M3, ScaleOf::Row, vec![1], vec![f32::MAX]),
        "scale",
    );
    let codes = Blockwise::new(Map::Signed, Block::Of256, vec![255], vec![f32::MAX]).unwrap();
    names(DoubleAbsmax::new(codes, f32::MAX), "nested_offset");
    let whole = FourBit::encode(&[f32::MAX, f32::MIN], Code::Nf4, Block::Of64).unwrap();
    assert_eq!(whole.decode(), [f32::MAX, f32::MIN]);
}

#[test]
fn parts_of_the_wrong_length_are_refused() {
    let plain = |count| Absmax::Plain(vec![1.0; count]);
    names(FourBit::new(Code::Nf4, Block::Of64, 3, vec![0], plain(1)), "weight");
    names(FourBit::new(Code::Nf4, Block::Of64, 3, vec![0; 3], plain(1)), "weight");
    names(
        FourBit::new(Code::Nf4, Block::Of64, 65, vec![0; 33], plain(1)),
        "absmax",
    );
    names(
        FourBit::new(Code::Nf4, Block::Of64, usize::MAX, vec![0], plain(1)),
        "weight",
    );
    names(
        Blockwise::new(Map::Signed, Block::Of64, vec![0; 65], vec![1.0]),
        "absmax",
    );
    let codes = Blockwise::new(Map::Unsigned, Block::Of256, vec![0], vec![1.0]).unwrap();
    names(DoubleAbsmax::new(codes, 0.0), "absmax");
    for (rows, columns) in [(2, 2), (3, 0), (usize::MAX, 3), (usize::MAX, 0)] {
        names(Int8Rows::encode(&[1.0; 3], rows, columns), "values");
        names(
            Int8Rows::encode_without_outliers(&[1.0; 3], rows, columns, 6.0),
            "values",
        );
        names(Int8Rows::new(rows, columns, vec![0; 3], vec![]), "weight");
        names(
            Fp8Matrix::encode(&[1.0; 3], rows, columns, Fp8::E5M2, ScaleOf::Tensor),
            "values",
        );
        names(
            Fp8Matrix::new(rows, columns, Fp8::E5M2, ScaleOf::Row, vec![0; 3], vec![]),
            "weight",
        );
    }
    names(Int8Rows::new(1, 3, vec![0; 3], vec![]), "absmax");
    names(
        Fp8Matrix::new(1, 3, Fp8::E5M2, ScaleOf::Row, vec![0; 3], vec![]),
        "scale",
    );
    let no_block = ScaleOf::Block { rows: 0, columns: 1 };
    names(Fp8Matrix::encode(&[1.0; 3], 1, 3, Fp8::E5M2, no_block), "block");
    names(
        Int8Rows::encode_without_outliers(&[1.0; 3], 1, 3, f32::NAN),
        "threshold",
    );
    names(Block::try_from(96), "blocksize");
}
