//! Every text against the validator and, run on a software Vulkan driver, against its twin.
//!
//! The driver is the machine's first software adapter, lavapipe as a rule; `VK_ICD_FILENAMES` names another, such as
//! Chromium's SwiftShader.

mod cases;
mod gpu;

use std::collections::HashMap;

use cases::{Case, twin};
use gpu::Gpu;
use lorakeet_shaders::{AdamW8bit, Codes, Tier};

const TIERS: [Tier; 3] = [
    Tier::Software,
    Tier::Gpu { subgroups: false },
    Tier::Gpu { subgroups: true },
];

fn agree_on(gpu: &Gpu, cases: &[Case]) {
    for Case {
        kernel,
        inputs,
        tolerance,
    } in cases
    {
        let expected = twin(kernel.as_ref(), inputs);
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        for tier in TIERS {
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
            capabilities.set(
                naga::valid::Capabilities::SUBGROUP,
                tier == Tier::Gpu { subgroups: true },
            );
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
fn packed_matrices_equal_their_twins() {
    agree_on(&Gpu::open(), &cases::packed());
}

#[test]
fn norms_equal_their_twins() {
    agree_on(&Gpu::open(), &cases::norms());
}

#[test]
fn attention_equals_its_twins() {
    agree_on(&Gpu::open(), &cases::attention());
}

#[test]
fn activations_equal_their_twins() {
    agree_on(&Gpu::open(), &cases::activations());
}

#[test]
fn training_equals_its_twins() {
    agree_on(&Gpu::open(), &cases::training());
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
        for tier in TIERS {
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
