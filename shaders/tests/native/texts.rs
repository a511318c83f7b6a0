//! Every text against the validator and, run on a software Vulkan driver, against its twin.
//!
//! The driver is the machine's first software adapter, lavapipe as a rule; `VK_ICD_FILENAMES` names another, such as
//! Chromium's SwiftShader.

use std::collections::HashMap;

use crate::cases::{self, Case, twin};
use crate::gpu::Gpu;
use lorakeet_shaders::{
    AdamW8bit, Add, Clip, Codes, EmbeddingBackward, Format, Kernel, LowRank, MatMul, MatMulGroup, Operand, Packed,
    PackedMatMul, PartsOf, ProductParts, Tier,
};

const TIERS: [Tier; 3] = [
    Tier::Software,
    Tier::Gpu {
        subgroups: false,
        f16: false,
    },
    Tier::Gpu {
        subgroups: true,
        f16: true,
    },
];

/// [`TIERS`], without f16 where the driver has none, which is said of SwiftShader only.
fn tiers(gpu: &Gpu) -> [Tier; 3] {
    let [software, plain, full] = TIERS;
    match gpu.tier {
        Tier::Gpu { f16: true, .. } => [software, plain, full],
        _ => {
            assert!(gpu.name.contains("SwiftShader"), "{} has no shader-f16", gpu.name);
            let (subgroups, f16) = (true, false);
            [software, plain, Tier::Gpu { subgroups, f16 }]
        }
    }
}

fn agree_on(gpu: &Gpu, cases: &[Case]) {
    for Case {
        kernel,
        inputs,
        tolerance,
    } in cases
    {
        let expected = twin(kernel.as_ref(), inputs);
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        for tier in tiers(gpu) {
            let actual = gpu.run(&gpu.prepare(kernel.as_ref(), tier, &inputs));
            for (output, (actual, expected)) in actual.iter().zip(&expected).enumerate() {
                assert_eq!(actual.len(), expected.len());
                for (i, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
                    assert!(
                        (actual - expected).abs() <= tolerance * (1.0 + expected.abs()),
                        "{kernel:?} on {tier:?} ({}): output {output}, element {i} is {actual}, the twin says {expected}",
                        gpu.name,
                    );
                }
            }
        }
    }
}

#[test]
fn every_text_passes_naga() {
    let mut texts = HashMap::new();
    for case in cases::all() {
        for tier in TIERS {
            let text = case.kernel.wgsl(tier);
            let module = naga::front::wgsl::parse_str(&text)
                .unwrap_or_else(|error| panic!("{:?}:\n{}", case.kernel, error.emit_to_string(&text)));
            // unpack2x16float: part of WebGPU, and of every adapter but some of OpenGL's.
            let mut capabilities = naga::valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32;
            if let Tier::Gpu { subgroups, f16 } = tier {
                capabilities.set(naga::valid::Capabilities::SUBGROUP, subgroups);
                capabilities.set(naga::valid::Capabilities::SHADER_FLOAT16, f16);
            }
            naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities)
                .validate(&module)
                .unwrap_or_else(|error| panic!("{:?}:\n{}", case.kernel, error.emit_to_string(&text)));
            assert_eq!(module.entry_points[0].name, "main");
            assert_eq!(module.entry_points[0].workgroup_size, case.kernel.workgroup_size(tier));
            let bindings = case.inputs.len() + case.kernel.output_lens().len() + 1;
            let bound = module
                .global_variables
                .iter()
                .filter(|(_, variable)| variable.binding.is_some())
                .count();
            assert_eq!(bound, bindings, "{:?}", case.kernel);
            let known = texts.entry(case.kernel.key(tier)).or_insert_with(|| text.clone());
            assert_eq!(*known, text, "two texts under the key {}", case.kernel.key(tier));
        }
    }
}

#[test]
fn info_is_as_long_as_the_text_says() {
    for case in cases::all() {
        let vectors = case.kernel.info().len() / 4;
        assert_eq!(case.kernel.info().len() % 4, 0);
        let said = format!("array<vec4<u32>, {vectors}>");
        assert!(
            case.kernel.wgsl(TIERS[1]).contains(&said),
            "{:?} has {vectors} vectors of info",
            case.kernel
        );
    }
}

#[test]
fn products_equal_their_twin() {
    agree_on(&Gpu::open(), &cases::products());
}

#[test]
fn groups_of_products_equal_their_twins() {
    agree_on(&Gpu::open(), &cases::groups());
}

#[test]
fn what_adapters_do_in_one_launch_equals_its_twin() {
    agree_on(&Gpu::open(), &cases::adapters::all());
}

#[test]
fn products_in_parts_equal_their_twins() {
    agree_on(&Gpu::open(), &cases::parts::all());
}

fn bits(outputs: &[Vec<f32>]) -> Vec<Vec<u32>> {
    let of_one = |output: &Vec<f32>| output.iter().map(|x| x.to_bits()).collect();
    outputs.iter().map(of_one).collect()
}

#[test]
fn a_launch_some_workgroups_at_a_time_gives_the_bits_of_one() {
    let gpu = Gpu::open();
    let mut cut_in_more = 0;
    let all = [
        cases::products(),
        cases::groups(),
        cases::adapters::all(),
        cases::parts::all(),
        cases::packed(),
        cases::attention::all(),
    ];
    let (tokens, vocab, width) = (40, 700, 20);
    let mut rows = cases::case(EmbeddingBackward { tokens, vocab, width }, 1.0, 0.0);
    let ids = rows.inputs[0].iter_mut().enumerate();
    ids.for_each(|(token, id)| *id = (token * 97 % vocab) as f32);
    // Some of each kind, of all sizes and texts: the number is prime.
    for case in all.into_iter().flatten().step_by(11).chain([rows]) {
        let kernel = case.kernel.as_ref();
        let inputs: Vec<&[f32]> = case.inputs.iter().map(Vec::as_slice).collect();
        for tier in tiers(&gpu) {
            let Some(cut) = kernel.cut(tier) else { continue };
            let [x, y, z] = kernel.workgroups(tier).map(|side| side as usize);
            assert!(cut.groups <= x * y * z && kernel.info()[cut.word] == 0, "{kernel:?}");
            assert!(cut.operations >= kernel.operations(), "{kernel:?} on {tier:?}");
            let whole = bits(&gpu.run(&gpu.prepare(kernel, tier, &inputs)));
            for parts in [2, 3, 7] {
                let most = cut.operations / parts;
                if cut.stretches(most).count() > 1 {
                    cut_in_more += 1;
                    let found = gpu.run_in_stretches(&gpu.prepare(kernel, tier, &inputs), cut, most);
                    assert!(
                        bits(&found) == whole,
                        "{kernel:?} on {tier:?} ({}) in {parts}",
                        gpu.name
                    );
                }
            }
        }
    }
    assert!(cut_in_more > 50, "{cut_in_more} launches were cut");
}

/// Long sums of few outputs: gradients of hidden states over a vocabulary, of an adapter's matrices over many tokens, and a wide
/// linear's.
fn long_products() -> Vec<Case> {
    let mut noise = cases::Noise(29);
    let dense = |m: usize, n: usize, k: usize, a_trans: bool| MatMul {
        alpha: 0.5,
        add: [Add::None, Add::Row, Add::Full][m % 3],
        ..MatMul::new(1, m, n, k, a_trans, false)
    };
    let mut all = vec![
        cases::case(dense(24, 33, 5003, false), 1.0, 0.0),
        cases::case(dense(8, 130, 2048, true), 1.0, 0.0),
        cases::case(dense(130, 8, 3001, true), 1.0, 0.0),
        cases::case(
            MatMul {
                alpha: 1.0,
                low_rank: Some(LowRank {
                    rank: 3,
                    across: false,
                    scale: 1.5,
                }),
                ..dense(40, 70, 4000, false)
            },
            1.0,
            0.0,
        ),
        cases::case(
            MatMulGroup {
                members: [3000, 1100].map(|k| MatMul::new(1, 40, 8, k, false, false)).into(),
                a: Operand::Each,
                b: Operand::Each,
                is_row: true,
            },
            1.0,
            0.0,
        ),
    ];
    for (format, rows, columns, across) in [
        (Format::Q4_1, 4099, 64, true),
        (Format::F16, 3001, 72, true),
        (Format::Q8_0, 70, 2048, false),
        (Format::F16, 67, 2056, false),
    ] {
        let matrix = Packed { format, rows, columns };
        let kernel = PackedMatMul {
            add: Add::Full,
            low_rank: Some(LowRank {
                rank: 5,
                across,
                scale: 0.5,
            }),
            ..PackedMatMul::new(20, matrix, across)
        };
        let mut product = cases::case(kernel, 1.0, 0.0);
        product.inputs[1] = cases::words(&matrix, &mut noise);
        all.push(product);
    }
    all
}

#[test]
fn a_long_product_in_two_launches_is_the_product_and_the_same_bits_each_time() {
    let gpu = Gpu::open();
    for case in long_products() {
        let kernel = case.kernel.as_ref();
        let expected = twin(kernel, &case.inputs).remove(0);
        for tier in tiers(&gpu).into_iter().filter(|tier| *tier != Tier::Software) {
            let split = kernel.split(tier).unwrap_or_else(|| panic!("{kernel:?} is one launch"));
            let (operands, rest) = case.inputs.split_at(split.parts.input_lens().len());
            let run = || {
                let operands: Vec<&[f32]> = operands.iter().map(Vec::as_slice).collect();
                let parts = gpu.run(&gpu.prepare(&split.parts, tier, &operands)).remove(0);
                let inputs = [&parts].into_iter().chain(rest).map(Vec::as_slice);
                gpu.run(&gpu.prepare(&split.sum, tier, &inputs.collect::<Vec<_>>()))
            };
            let found = run();
            assert_eq!(found[0].len(), expected.len());
            for (i, (&found, &expected)) in found[0].iter().zip(&expected).enumerate() {
                // Sums of thousands of terms, of which partial sums are as large as tens.
                let most = 2e-5 * (30.0 + expected.abs());
                assert!(
                    (found - expected).abs() <= most,
                    "{kernel:?} on {tier:?} ({}): element {i} is {found}, the twin of one launch says {expected}",
                    gpu.name
                );
            }
            assert!(
                bits(&found) == bits(&run()),
                "{kernel:?} on {tier:?}: other bits the second time"
            );
            assert_eq!(kernel.split(tier), Some(split), "{kernel:?}");
        }
    }
}

/// To float tolerance, on the twins alone: the parts of a sum are the sum.
#[test]
fn twins_of_parts_come_to_the_twin_of_the_product() {
    for (m, n, k, a_trans, terms) in [(5, 7, 131, false, 64), (9, 20, 300, true, 128), (8, 3, 64, false, 64)] {
        let product = MatMul::new(1, m, n, k, a_trans, false);
        let inputs = cases::case(product.clone(), 1.0, 0.0).inputs;
        let expected = twin(&product, &inputs).remove(0);
        let product = PartsOf::Dense(product);
        let parts = ProductParts { product, terms };
        let made = twin(&parts, &inputs).remove(0);
        assert_eq!(made.len(), parts.count() * m * n);
        for (i, expected) in expected.iter().enumerate() {
            let sum: f32 = made.iter().skip(i).step_by(m * n).sum();
            assert!(
                (sum - expected).abs() <= 2e-5 * (1.0 + expected.abs()),
                "{parts:?}: element {i}"
            );
        }
    }
}

#[test]
fn packed_matrices_equal_their_twins() {
    agree_on(&Gpu::open(), &cases::packed());
}

/// Products whose matrices have tiles in 16 bits where there is f16: every size of tile, edges inside of tiles and slices.
fn products_of_halves() -> impl Iterator<Item = PackedMatMul> {
    let shapes = [
        (5, 33, 24),
        (16, 67, 136),
        (17, 150, 72),
        (40, 70, 200),
        (131, 101, 88),
        (1500, 1411, 24),
        (1500, 21, 1416),
    ];
    shapes.into_iter().enumerate().flat_map(|(i, (m, rows, columns))| {
        [false, true].map(|across| {
            let matrix = Packed {
                format: Format::F16,
                rows,
                columns,
            };
            PackedMatMul {
                add: [Add::None, Add::Row, Add::Full][i % 3],
                low_rank: (i % 2 == 0).then_some(LowRank {
                    rank: 3,
                    across,
                    scale: 0.5,
                }),
                ..PackedMatMul::new(m, matrix, across)
            }
        })
    })
}

#[test]
fn a_tile_of_halves_gives_the_bits_of_a_tile_of_floats() {
    let gpu = Gpu::open();
    let [_, plain, full] = tiers(&gpu);
    for (i, kernel) in products_of_halves().enumerate() {
        let Case { mut inputs, .. } = cases::case(kernel.clone(), 1.0, 0.0);
        let mut noise = cases::Noise(23 + i as u64);
        let ordinary = cases::words(&kernel.matrix, &mut noise);
        // Sign and fraction alone.
        let tiny = ordinary.iter().map(|word| f32::from_bits(word.to_bits() & 0x83ff_83ff));
        let tiny: Vec<f32> = tiny.collect();
        // Some infinite, some not a number, and the largest.
        let wild = ordinary.iter().enumerate().map(|(at, word)| match at % 97 {
            0 => 0x7c00_3c00,
            1 => 0xfc00_7bff,
            2 => 0x3c00_7e00,
            _ => word.to_bits(),
        });
        let wild: Vec<f32> = wild.map(f32::from_bits).collect();
        for (words, factor) in [(ordinary, 1.0), (tiny, 1000.0), (wild, 1.0)] {
            let finite = words.iter().all(|word| is_finite(word.to_bits()));
            inputs[1] = words;
            inputs[0].iter_mut().for_each(|a| *a *= factor);
            let expected = twin(&kernel, &inputs);
            let slices: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
            let run = |tier| gpu.run(&gpu.prepare(&kernel, tier, &slices)).remove(0);
            let (floats, halves) = (run(plain), run(full));
            for (i, (&half, &float)) in halves.iter().zip(&floats).enumerate() {
                assert!(
                    half.to_bits() == float.to_bits() || (half.is_nan() && float.is_nan()),
                    "{kernel:?} ({}): element {i} is {half} of halves, {float} of floats",
                    gpu.name
                );
                // Times a of up to a thousand, a subnormal number that was taken for 0 shows.
                let twin = expected[0][i];
                assert!(
                    !finite || (half - twin).abs() <= 2e-5 * (1.0 + twin.abs()),
                    "{kernel:?} ({}): element {i} is {half}, the twin says {twin}",
                    gpu.name
                );
            }
        }
    }
}

/// Whether both halves of a word are.
fn is_finite(word: u32) -> bool {
    [word, word >> 16].iter().all(|half| half & 0x7c00 != 0x7c00)
}

#[test]
fn only_matrices_stored_in_16_bits_have_tiles_of_halves_and_only_with_f16() {
    let tier = |f16| Tier::Gpu { subgroups: false, f16 };
    let has_halves = |kernel: &PackedMatMul, tier| {
        let text = kernel.wgsl(tier);
        let halves = text.contains("f16>");
        assert_eq!(halves, text.starts_with("enable f16;"), "{kernel:?} on {tier:?}");
        halves
    };
    for kernel in products_of_halves() {
        assert!(has_halves(&kernel, tier(true)), "{kernel:?}");
        assert!(!has_halves(&kernel, tier(false)), "{kernel:?}");
        assert_ne!(kernel.key(tier(true)), kernel.key(tier(false)), "{kernel:?}");
        assert!(!has_halves(&kernel, Tier::Software), "{kernel:?}");
    }
    let others = cases::formats().into_iter().filter(|format| *format != Format::F16);
    let mut matrices: Vec<_> = others.map(|format| (40, format, 70, 256)).collect();
    // One to four rows have texts without tiles; rows of W that start within a piece of eight are read number by number;
    // tiles for up to sixteen columns are too narrow for a vector an invocation.
    matrices.extend([
        (4, Format::F16, 70, 256),
        (40, Format::F16, 70, 250),
        (40, Format::F16, 16, 16),
    ]);
    for (m, format, rows, columns) in matrices {
        for across in [false, true] {
            let matrix = Packed { format, rows, columns };
            let kernel = PackedMatMul::new(m, matrix, across);
            assert_eq!(kernel.wgsl(tier(true)), kernel.wgsl(tier(false)), "{kernel:?}");
            assert!(!has_halves(&kernel, tier(true)), "{kernel:?}");
        }
    }
}

#[test]
fn norms_equal_their_twins() {
    agree_on(&Gpu::open(), &cases::norms());
}

#[test]
fn positions_and_caches_equal_their_twins() {
    agree_on(&Gpu::open(), &cases::positions::all());
}

#[test]
fn attention_equals_its_twins() {
    agree_on(&Gpu::open(), &cases::attention::all());
}

#[test]
fn activations_equal_their_twins() {
    agree_on(&Gpu::open(), &cases::activations());
}

#[test]
fn training_equals_its_twins() {
    agree_on(&Gpu::open(), &cases::training());
}

#[test]
fn clipping_equals_its_twin() {
    let gpu = Gpu::open();
    agree_on(&gpu, &cases::clipping::in_floats());
    // What is no finite number, in the losses and in the squares.
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for numbers in [[bad, 1.0, 1.0], [1.0, 1.0, bad], [1.0, 1.0, 1.0]] {
            let (losses, squares) = numbers.split_at(1);
            let kernel = Clip {
                losses: 1,
                squares: 2,
                last: 2,
                max_norm: 0.5,
            };
            for tier in tiers(&gpu) {
                let found = gpu.run(&gpu.prepare(&kernel, tier, &[losses, squares, &[1.0, 0.0]]));
                let ended = f32::from(numbers.contains(&bad) || numbers.iter().any(|x| x.is_nan()));
                let verdict = &found[0][3..];
                assert_eq!(verdict[1], ended, "{numbers:?} on {tier:?}: {found:?}");
                assert_eq!(verdict[0] == 0.0, ended == 1.0, "{numbers:?} on {tier:?}: {found:?}");
            }
        }
    }
}

/// To the bit: the steps differ only in where the factor is.
#[test]
fn clipped_moments_of_eight_bits_are_those_of_a_factor_that_is_given() {
    let gpu = Gpu::open();
    for (plain, [clipped, ended]) in &cases::clipping::in_eight_bits() {
        let old = [plain.inputs[0].clone(), plain.inputs[2].clone()];
        assert_eq!(
            bits(&twin(clipped.kernel.as_ref(), &clipped.inputs)),
            bits(&twin(plain.kernel.as_ref(), &plain.inputs))
        );
        assert_eq!(bits(&twin(ended.kernel.as_ref(), &ended.inputs)), bits(&old));
        for tier in tiers(&gpu) {
            let label = format!("{:?} on {tier:?} ({})", clipped.kernel, gpu.name);
            let run = |case: &Case| {
                let inputs: Vec<&[f32]> = case.inputs.iter().map(Vec::as_slice).collect();
                bits(&gpu.run(&gpu.prepare(case.kernel.as_ref(), tier, &inputs)))
            };
            assert_eq!(run(clipped), run(plain), "{label}");
            assert_eq!(run(ended), bits(&old), "{label}, after the end");
        }
    }
}

/// A GPU may round a quotient or a root otherwise, and flush what is smaller than a normal number; a value on the border of two
/// codes may then get the other one.
#[test]
fn moments_of_eight_bits_are_within_a_code_of_their_twins() {
    let gpu = Gpu::open();
    let near = |a: f32, b: f32, tolerance: f32| (a - b).abs() <= tolerance * b.abs();
    for Case {
        kernel,
        inputs,
        tolerance,
    } in &cases::eight_bits()
    {
        let len = inputs[0].len();
        let expected = twin(kernel.as_ref(), inputs);
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        for tier in tiers(&gpu) {
            let label = format!("{kernel:?} on {tier:?} ({})", gpu.name);
            let actual = gpu.run(&gpu.prepare(kernel.as_ref(), tier, &inputs));
            for (i, (actual, expected)) in actual[0].iter().zip(&expected[0]).enumerate() {
                let most = tolerance * (1.0 + expected.abs());
                assert!(
                    (actual - expected).abs() <= most,
                    "{label}: element {i} is {actual}, the twin says {expected}"
                );
            }
            let moments = |state: &[f32]| -> [Codes; 2] { AdamW8bit::unpack(state, len).into() };
            let mut moved = 0;
            for (actual, expected) in moments(&actual[1]).iter().zip(&moments(&expected[1])) {
                for (i, (actual, expected)) in actual.0.iter().zip(&expected.0).enumerate() {
                    assert!(
                        actual.abs_diff(*expected) <= 1,
                        "{label}: code {i} is {actual}, the twin says {expected}"
                    );
                    moved += usize::from(actual != expected);
                }
                for (actual, expected) in actual.1.iter().zip(&expected.1) {
                    assert!(
                        near(*actual, *expected, 1e-6),
                        "{label}: absmax {actual}, not {expected}"
                    );
                }
            }
            assert!(moved * 1000 <= 2 * len, "{label}: {moved} of {len} codes are others");
            let unused = |state: &[f32]| state[len.div_ceil(4) - 1].to_bits() >> (8 * ((len - 1) % 4)) >> 8;
            assert_eq!(unused(&actual[1]), 0, "{label}: the last word's unused bytes");
        }
    }
}
