//! The number formats of the packed base against bitsandbytes and torch (golden group D): every byte and every decoded
//! value, bit for bit where case.json sets no tolerance that the order of the reference's own sums needs.

use lorakeet_core::quant::{
    Absmax, Block, Blockwise, Code, DoubleAbsmax, FourBit, Fp8, Fp8Matrix, Int8Rows, Map, ScaleOf,
};
use lorakeet_tests::golden::{Case, Golden, number, words};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

type Tensors = HashMap<String, Golden>;

/// A tensor of floats.
fn floats(tensors: &Tensors, name: &str) -> Vec<f32> {
    let tensor = tensors.get(name).unwrap_or_else(|| panic!("{name} is missing"));
    tensor.values.iter().map(|value| *value as f32).collect()
}

/// A tensor of bytes.
fn bytes(tensors: &Tensors, name: &str) -> Vec<u8> {
    let tensor = tensors.get(name).unwrap_or_else(|| panic!("{name} is missing"));
    tensor.values.iter().map(|value| *value as u8).collect()
}

/// Whether the floats are the same to the last bit, the signs of zeros included.
fn assert_same_bits(found: &[f32], wanted: &[f32], what: &str) {
    assert_eq!(
        found.len(),
        wanted.len(),
        "{what}: as many numbers as the reference has"
    );
    let differs = |i: &usize| found[*i].to_bits() != wanted[*i].to_bits();
    if let Some(i) = (0..found.len()).find(differs) {
        panic!("{what}: {:e} at {i}, the reference has {:e}", found[i], wanted[i]);
    }
}

fn code_of(name: &str) -> Code {
    match name {
        "nf4" => Code::Nf4,
        "fp4" => Code::Fp4,
        other => panic!("{other} is no code of four bits"),
    }
}

fn block_of(elements: &str) -> Block {
    let elements: u64 = elements.parse().expect("a number");
    Block::try_from(elements).expect("a size that is known")
}

/// The case's matrices that the folder holds: a small folder leaves the large ones out of its inputs.
fn four_bit_cases(case: &Case, inputs: &Tensors) -> Vec<(String, String, Code, Block)> {
    let names = case.json["cases"]
        .as_object()
        .expect("case.json lists its cases")
        .keys();
    let all = names.map(|name| {
        let parts: Vec<&str> = name.split('.').collect();
        let [matrix, code, block] = parts[..] else {
            panic!("{name} is not MATRIX.CODE.bSIZE")
        };
        let block = block.strip_prefix('b').expect("bSIZE");
        (name.clone(), matrix.to_string(), code_of(code), block_of(block))
    });
    let cases: Vec<_> = all.filter(|(_, matrix, ..)| inputs.contains_key(matrix)).collect();
    assert!(!cases.is_empty(), "the folder has matrices of four bits");
    cases
}

#[test]
fn four_bit_tables_are_the_references() {
    let expected = Case::open("D/four_bit").tensors("expected.safetensors");
    assert_same_bits(Code::Nf4.table(), &floats(&expected, "code.nf4"), "nf4");
    // The reference's table has a 0 for FP4's −0, its decoder a −0.
    let fp4: Vec<f32> = Code::Fp4.table().iter().map(|value| value + 0.0).collect();
    assert_same_bits(&fp4, &floats(&expected, "code.fp4"), "fp4");
    assert_same_bits(Map::Signed.table(), &floats(&expected, "code.nested"), "nested");
}

#[test]
fn four_bit_bytes_scales_and_values_are_bitsandbytes() {
    let case = Case::open("D/four_bit");
    let (inputs, expected) = (case.tensors("inputs.safetensors"), case.tensors("expected.safetensors"));
    for (name, matrix, code, block) in four_bit_cases(&case, &inputs) {
        let encoded = FourBit::encode(&floats(&inputs, &matrix), code, block).expect("the matrix is finite");
        assert_eq!(encoded.packed(), bytes(&expected, &format!("{name}.packed")), "{name}");
        let absmax = encoded.absmax().decode();
        assert_same_bits(&absmax, &floats(&expected, &format!("{name}.absmax")), &name);
        // The largest matrix has only its doubly quantised values.
        if expected.contains_key(&format!("{name}.dequant")) {
            let wanted = floats(&expected, &format!("{name}.dequant"));
            assert_same_bits(&encoded.decode(), &wanted, &name);
        }
    }
}

#[test]
fn doubly_quantised_scales_follow_the_written_rule() {
    let case = Case::open("D/four_bit");
    let (inputs, expected) = (case.tensors("inputs.safetensors"), case.tensors("expected.safetensors"));
    let mut decoded = 0;
    for (name, matrix, code, block) in four_bit_cases(&case, &inputs) {
        if !expected.contains_key(&format!("{name}.nested.offset")) {
            continue;
        }
        let values = floats(&inputs, &matrix);
        let absmax = floats(&expected, &format!("{name}.absmax"));
        // Around the reference's own mean, whose last bits hang on the order of its sum, all codes are the same.
        let offset = floats(&expected, &format!("{name}.nested.offset"))[0];
        let double = DoubleAbsmax::encode_around(offset, &absmax).expect("scales are finite");
        let codes = double.codes().codes().to_vec();
        assert_eq!(codes, bytes(&expected, &format!("{name}.nested.absmax_q")), "{name}");
        let absmax2 = floats(&expected, &format!("{name}.nested.absmax2"));
        assert_same_bits(double.codes().absmax(), &absmax2, &name);
        let own = DoubleAbsmax::encode(&absmax).expect("scales are finite");
        let difference = (own.offset() - offset).abs();
        assert!(
            difference <= case.tolerance("nested_offset_rel") * offset.abs(),
            "{name}: {difference:e}"
        );
        // Around the own mean only a scale that lies between two codes may go to the other one: as near to their middle as
        // the mean has moved, and with it the unit, absmax₂, and as the last bits of both go.
        for (i, (&found, &wanted)) in own.codes().codes().iter().zip(&codes).enumerate() {
            if found == wanted {
                continue;
            }
            assert_eq!(found.abs_diff(wanted), 1, "{name}: scale {i}");
            let [a, b] = [found, wanted].map(|code| Map::Signed.table()[usize::from(code)]);
            let unit = absmax2[i / Block::Of256.elements()];
            let off = (absmax[i] - offset - (a + b) / 2.0 * unit).abs();
            let allowed = 2.0 * difference + 4.0 * f32::EPSILON * (offset.abs() + unit);
            assert!(
                off <= allowed,
                "{name}: scale {i} is {off:e} from the middle, allowed {allowed:e}"
            );
        }
        if !expected.contains_key(&format!("{name}.nested.dequant")) {
            continue;
        }
        let wanted = floats(&expected, &format!("{name}.nested.dequant"));
        let packed = bytes(&expected, &format!("{name}.packed"));
        let given = FourBit::new(code, block, values.len(), packed, Absmax::Double(double)).expect("lengths fit");
        for (i, (found, wanted)) in given.decode().iter().zip(&wanted).enumerate() {
            assert_eq!(found, wanted, "{name} at {i}");
        }
        let encoded = FourBit::encode(&values, code, block).and_then(FourBit::with_double_absmax);
        let encoded = encoded.expect("the matrix is finite").decode();
        for (i, (found, wanted)) in encoded.iter().zip(&wanted).enumerate() {
            let scale = i / block.elements();
            // A scale is the sum of two numbers of these sizes, either of which has moved by its last bit.
            let sizes = offset.abs() + absmax2[scale / Block::Of256.elements()];
            let allowed = case.tolerance("nested_dequant_rel") * sizes;
            if codes[scale] == own.codes().codes()[scale] {
                assert!(
                    (found - wanted).abs() <= allowed,
                    "{name} at {i}: {found:e}, not {wanted:e}"
                );
            }
        }
        decoded += 1;
    }
    assert!(decoded > 0, "the folder has matrices with double scales");
}

/// The weight `name` of a 4-bit checkpoint as transformers writes it, and its shape.
fn checkpoint_weight(tensors: &Tensors, name: &str) -> (FourBit, Vec<usize>) {
    let prefix = format!("{name}.quant_state.bitsandbytes__");
    let state = tensors.keys().find(|key| key.starts_with(&prefix));
    let state = state.unwrap_or_else(|| panic!("{name} has no quant_state"));
    let json: Value = serde_json::from_slice(&bytes(tensors, state)).expect("the state is JSON");
    let code = code_of(json["quant_type"].as_str().expect("a text"));
    let block = Block::try_from(json["blocksize"].as_u64().expect("a number")).expect("a size that is known");
    let sizes = json["shape"].as_array().expect("a shape").iter();
    let shape: Vec<usize> = sizes.map(|size| number(size) as usize).collect();
    for (found, wanted) in floats(tensors, &format!("{name}.quant_map")).iter().zip(code.table()) {
        assert_eq!(found, wanted, "{name}: the file's table");
    }
    let absmax = match json.get("nested_offset") {
        None => Absmax::Plain(floats(tensors, &format!("{name}.absmax"))),
        Some(offset) => {
            assert_eq!(json["nested_blocksize"], 256, "{name}");
            let table = floats(tensors, &format!("{name}.nested_quant_map"));
            assert_same_bits(Map::Signed.table(), &table, name);
            let codes = bytes(tensors, &format!("{name}.absmax"));
            let absmax2 = floats(tensors, &format!("{name}.nested_absmax"));
            let codes = Blockwise::new(Map::Signed, Block::Of256, codes, absmax2).expect("lengths fit");
            Absmax::Double(DoubleAbsmax::new(codes, number(offset) as f32).expect("the format's map"))
        }
    };
    let elements = shape.iter().product();
    let weight = FourBit::new(code, block, elements, bytes(tensors, name), absmax).expect("lengths fit");
    (weight, shape)
}

#[test]
fn checkpoints_of_four_bits_decode_to_the_references_values() {
    let case = Case::open("D/four_bit");
    let expected = case.tensors("expected.safetensors");
    let serialized = case.tensors("serialized.safetensors");
    let names = serialized.keys().filter_map(|key| key.split_once(".quant_state."));
    let mut checked = 0;
    for (name, _) in names {
        // It is the matrix that has its bytes.
        let (weight, shape) = checkpoint_weight(&serialized, name);
        let code = format!("{:?}", weight.code()).to_lowercase();
        let suffix = format!(".{code}.b{}", weight.block().elements());
        let matrix = expected.keys().find_map(|key| {
            let matrix = key.strip_suffix(".packed")?;
            (matrix.ends_with(&suffix) && bytes(&expected, key) == weight.packed()).then_some(matrix)
        });
        let matrix = matrix.unwrap_or_else(|| panic!("{name} is no matrix of the case"));
        let wanted = match weight.absmax() {
            Absmax::Plain(_) => format!("{matrix}.dequant"),
            Absmax::Double(_) => format!("{matrix}.nested.dequant"),
        };
        assert_eq!(shape, expected[&wanted].shape, "{name}");
        for (i, (found, wanted)) in weight.decode().iter().zip(floats(&expected, &wanted)).enumerate() {
            assert_eq!(*found, wanted, "{name} at {i}");
        }
        checked += 1;
    }
    assert!(checked > 0, "the folder has checkpoints of four bits");
    for case in Case::all_with("D", "bnb4/model.safetensors") {
        let (packed, dense) = (
            case.tensors("bnb4/model.safetensors"),
            case.tensors("dequantized.safetensors"),
        );
        let names = &case.json["quantised_weights"];
        assert_eq!(words(names).count(), dense.len());
        for name in words(names) {
            let (weight, shape) = checkpoint_weight(&packed, name);
            assert_eq!(shape, dense[name].shape, "{name}");
            assert_same_bits(&weight.decode(), &floats(&dense, name), name);
        }
    }
}

#[test]
fn original_weights_become_the_checkpoints_bytes_and_scales_near_its_scales() {
    // A scale in eight bits is the nearest code, so at most half the widest gap of the map off, and what lies below the
    // first code is not farther from it. bitsandbytes' build for CPUs looks the code of the nearest of 65536 places up.
    let table = Map::Signed.table();
    let widest = table.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f32::max);
    let place = 2.0 / 65535.0;
    for case in Case::all_with("D", "bnb4/model.safetensors") {
        let (original, packed) = (
            case.tensors("model.safetensors"),
            case.tensors("bnb4/model.safetensors"),
        );
        for name in words(&case.json["quantised_weights"]) {
            let (wanted, _) = checkpoint_weight(&packed, name);
            let encoded = FourBit::encode(&floats(&original, name), wanted.code(), wanted.block()).expect("finite");
            assert_eq!(encoded.packed(), wanted.packed(), "{name}");
            let scales = encoded.absmax().decode().into_owned();
            let own = encoded.with_double_absmax().expect("finite");
            for (what, weight, rough) in [("own", &own, 0.0), ("the checkpoint's", &wanted, place)] {
                let Absmax::Double(double) = weight.absmax() else {
                    assert_same_bits(&weight.absmax().decode(), &scales, name);
                    continue;
                };
                for (i, (found, scale)) in double.decode().iter().zip(&scales).enumerate() {
                    let unit = double.codes().absmax()[i / Block::Of256.elements()];
                    let last_bits = 4.0 * f32::EPSILON * (double.offset().abs() + unit);
                    let allowed = (widest / 2.0 + rough) * unit + last_bits;
                    let off = (found - scale).abs();
                    assert!(
                        off <= allowed,
                        "{name}: {what} scale {i} is {off:e} off, allowed {allowed:e}"
                    );
                }
            }
        }
    }
}

#[test]
fn int8_codes_scales_and_values_are_bitsandbytes() {
    let case = Case::open("D/int8");
    let (mut inputs, expected) = (case.tensors("inputs.safetensors"), case.tensors("expected.safetensors"));
    let halves = inputs["x"].values.iter().map(|value| half_of(*value)).collect();
    let shape = inputs["x"].shape.clone();
    inputs.insert("x_f16".into(), Golden { shape, values: halves });
    for (name, input) in &inputs {
        let (rows, columns) = (input.shape[0], input.shape[1]);
        let encoded = Int8Rows::encode(&floats(&inputs, name), rows, columns).expect("finite");
        let codes: Vec<f64> = encoded.codes().iter().map(|code| f64::from(*code)).collect();
        assert_eq!(codes, expected[&format!("{name}.q")].values, "{name}");
        assert_same_bits(encoded.absmax(), &floats(&expected, &format!("{name}.absmax")), name);
        assert_same_bits(&encoded.decode(), &floats(&expected, &format!("{name}.dequant")), name);
    }
    let threshold = number(&case.json["threshold"]) as f32;
    let (rows, columns) = (inputs["x"].shape[0], inputs["x"].shape[1]);
    let (encoded, outliers) =
        Int8Rows::encode_without_outliers(&floats(&inputs, "x"), rows, columns, threshold).expect("finite");
    let codes: Vec<f64> = encoded.codes().iter().map(|code| f64::from(*code)).collect();
    assert_eq!(codes, expected["x_outlier.q"].values);
    assert_same_bits(encoded.absmax(), &floats(&expected, "x_outlier.absmax"), "x_outlier");
    let outliers: Vec<f64> = outliers.iter().map(|column| *column as f64).collect();
    assert_eq!(outliers, expected["x_outlier.columns"].values);
}

/// The value rounded to f16.
fn half_of(value: f64) -> f64 {
    half::f16::from_f32(value as f32).to_f64()
}

#[test]
fn dynamic_8_bit_codes_and_values_follow_the_written_rule() {
    let case = Case::open("D/dynamic_8bit");
    let (inputs, expected) = (case.tensors("inputs.safetensors"), case.tensors("expected.safetensors"));
    assert_same_bits(Map::Signed.table(), &floats(&expected, "table.signed"), "signed");
    assert_same_bits(Map::Unsigned.table(), &floats(&expected, "table.unsigned"), "unsigned");
    let zero = |map: Map| map.table().iter().position(|value| *value == 0.0);
    assert_eq!(
        zero(Map::Signed),
        Some(number(&case.json["signed_zero_index"]) as usize)
    );
    assert_eq!(
        zero(Map::Unsigned),
        Some(number(&case.json["unsigned_zero_index"]) as usize)
    );
    let mut compared = BTreeSet::new();
    for name in expected.keys().filter_map(|name| name.strip_suffix(".q")) {
        let parts: Vec<&str> = name.split('.').collect();
        let [input, map, block] = parts[..] else {
            panic!("{name} is not INPUT.MAP.bSIZE")
        };
        let map = if map == "signed" { Map::Signed } else { Map::Unsigned };
        let block = block_of(block.strip_prefix('b').expect("bSIZE"));
        let encoded = Blockwise::encode(&floats(&inputs, input), map, block).expect("finite");
        assert_eq!(encoded.codes(), bytes(&expected, &format!("{name}.q")), "{name}");
        assert_same_bits(encoded.absmax(), &floats(&expected, &format!("{name}.absmax")), name);
        assert_same_bits(&encoded.decode(), &floats(&expected, &format!("{name}.dequant")), name);
        compared.insert(input);
    }
    assert_eq!(compared.len(), inputs.len(), "{compared:?}");
}

const FP8: [(&str, Fp8); 2] = [("e4m3fn", Fp8::E4M3), ("e5m2", Fp8::E5M2)];

#[test]
fn fp8_codes_of_every_sort_of_number_are_torchs() {
    let case = Case::open("D/fp8");
    let (inputs, expected) = (case.tensors("inputs.safetensors"), case.tensors("expected.safetensors"));
    for (name, format) in FP8 {
        let table = floats(&expected, &format!("{name}.table"));
        for code in 0..=255u8 {
            let (found, wanted) = (format.decode(code), table[usize::from(code)]);
            let same = found.to_bits() == wanted.to_bits() || (found.is_nan() && wanted.is_nan());
            assert!(same, "{name}: {code:#x} is {found}, not {wanted}");
        }
        let sweep = floats(&inputs, &format!("{name}.sweep"));
        let saturated = bytes(&expected, &format!("{name}.sweep.saturated_code"));
        let cast = bytes(&expected, &format!("{name}.sweep.code"));
        for ((value, saturated), cast) in sweep.iter().zip(saturated).zip(cast) {
            let code = format.encode(*value);
            if value.is_nan() {
                assert!(format.decode(code).is_nan() && format.decode(saturated).is_nan());
                continue;
            }
            assert_eq!(code, saturated, "{name}: {value:e}");
            // torch's plain cast of what E5M2 cannot hold is infinite; everything else is the same.
            if format.decode(cast).is_finite() {
                assert_eq!(code, cast, "{name}: {value:e}");
            }
        }
    }
}

#[test]
fn fp8_matrices_have_the_references_codes_scales_and_values() {
    let case = Case::open("D/fp8");
    let (inputs, expected) = (case.tensors("inputs.safetensors"), case.tensors("expected.safetensors"));
    let size = |i: usize| number(&case.json["block"][i]) as usize;
    let block = ScaleOf::Block {
        rows: size(0),
        columns: size(1),
    };
    let (rows, columns) = (inputs["x"].shape[0], inputs["x"].shape[1]);
    for (name, format) in FP8 {
        for (part, scale_of) in [("tensor", ScaleOf::Tensor), ("row", ScaleOf::Row), ("block", block)] {
            let name = format!("{name}.{part}");
            let encoded = Fp8Matrix::encode(&floats(&inputs, "x"), rows, columns, format, scale_of).expect("finite");
            assert_eq!(encoded.codes(), bytes(&expected, &format!("{name}.code")), "{name}");
            assert_same_bits(encoded.scales(), &floats(&expected, &format!("{name}.scale")), &name);
            assert_same_bits(&encoded.decode(), &floats(&expected, &format!("{name}.dequant")), &name);
        }
    }
}
