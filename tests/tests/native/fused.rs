//! Operations that a layer has in one launch against those that it has one by one: values and gradients, of matrices of every
//! kind and of sizes that go together and others, on the CPU and on software Vulkan.

use super::operations::{assert_close, devices};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use lorakeet_core::{
    formats::Storage,
    ops::{
        self, AdaptedForm, AdaptedLinear, Addend, AttentionMask, AttentionScoring, BaseForm, LoraForm, PackedMatrix,
        Positions,
    },
    quant::packing,
    random::Generator,
};

/// How a linear of the tests is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// \[out, in\].
    Dense,
    /// \[in, out\].
    Transposed,
    /// 16 bits a number.
    Packed,
}

/// A leaf of numbers that are small, so that rounding stays below what is compared.
fn leaf<const D: usize>(shape: [usize; D], generator: &mut Generator, device: &Device) -> Tensor<D> {
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| 0.3 * generator.normal() as f32).collect();
    let values = Tensor::from_data(TensorData::new(values, shape), device);
    values.autodiff().require_grad()
}

fn linear(
    kind: Kind,
    [inputs, outputs, rank]: [usize; 3],
    generator: &mut Generator,
    device: &Device,
) -> AdaptedLinear {
    let (w, base) = match kind {
        Kind::Dense => (
            leaf([outputs, inputs], generator, device).inner(),
            BaseForm::Dense { transposed: false },
        ),
        Kind::Transposed => (
            leaf([inputs, outputs], generator, device).inner(),
            BaseForm::Dense { transposed: true },
        ),
        Kind::Packed => {
            let numbers = (0..outputs * inputs).map(|_| (0.3 * generator.normal() as f32).to_bits());
            let bytes: Vec<u8> = numbers.flat_map(|bits| ((bits >> 16) as u16).to_le_bytes()).collect();
            let words = packing::stored(Storage::BF16, outputs, inputs, &bytes).expect("whole rows");
            let mut matrix = PackedMatrix::new(inputs);
            matrix.push(words, device);
            matrix.in_one(false).expect("one buffer")
        }
    };
    let lora = LoraForm {
        scale: 1.5,
        dropout: 0.0,
        seed: 0,
    };
    AdaptedLinear {
        w,
        bias: None,
        matrices: [
            leaf([rank, inputs], generator, device),
            leaf([outputs, rank], generator, device),
        ],
        form: AdaptedForm { base, lora },
    }
}

/// A linear by itself, with what is added to it.
fn alone(x: Tensor<2>, linear: &AdaptedLinear, addend: Addend) -> Tensor<2> {
    ops::adapted(x, linear.w.clone(), addend, linear.matrices.clone(), linear.form)
}

/// A number that depends on all of these, of each in another way.
fn loss(ys: &[Tensor<2>], device: &Device) -> Tensor<1> {
    let weighed = ys.iter().enumerate().map(|(i, y)| {
        let [rows, columns] = y.dims();
        let step = 0.7 + i as f32;
        let weights: Vec<f32> = (0..rows * columns).map(|place| (step * place as f32).sin()).collect();
        let weights = Tensor::from_data(TensorData::new(weights, [rows, columns]), device);
        (y.clone() * weights).sum()
    });
    weighed.reduce(|sum, part| sum + part).expect("one at least")
}

fn assert_same_gradients<const D: usize>(what: &str, leaf: &Tensor<D>, [found, wanted]: [&Gradients; 2]) {
    let [found, wanted] = [found, wanted].map(|gradients| leaf.grad(gradients).expect("a gradient"));
    assert_close(what, found, wanted);
}

/// Sizes of three linears; the last two of the first three lists go together in one launch.
const SIZES: [(usize, [[usize; 2]; 3]); 4] = [
    (24, [[40, 3], [16, 2], [16, 2]]),
    (16, [[8, 8], [24, 9], [24, 9]]),
    (64, [[64, 8], [64, 8], [64, 8]]),
    (6, [[13, 3], [7, 2], [6, 3]]),
];

#[test]
fn linears_behind_a_norm_are_the_ones_alone() {
    for device in devices() {
        for (width, sizes) in SIZES {
            for (kind, rows, count) in [
                (Kind::Dense, 5, 2),
                (Kind::Dense, 1, 3),
                (Kind::Transposed, 9, 3),
                (Kind::Packed, 1, 2),
                (Kind::Packed, 40, 3),
            ] {
                let mut generator = Generator::new(5, "normed");
                let x = leaf([rows, width], &mut generator, &device);
                let weight = leaf([width], &mut generator, &device);
                let sizes = &sizes[3 - count..];
                let linears: Vec<_> = sizes
                    .iter()
                    .map(|[outputs, rank]| linear(kind, [width, *outputs, *rank], &mut generator, &device))
                    .collect();
                let norm = (weight.clone(), 1e-5);
                let found = match linears.as_slice() {
                    [l0, l1] => ops::normed_two(x.clone(), norm, [l0.clone(), l1.clone()]).to_vec(),
                    [l0, l1, l2] => ops::normed_three(x.clone(), norm, [l0.clone(), l1.clone(), l2.clone()]).to_vec(),
                    _ => panic!("two or three"),
                };
                let normed = ops::rms_norm(x.clone(), weight.clone(), 1e-5);
                let wanted: Vec<_> = linears
                    .iter()
                    .map(|linear| alone(normed.clone(), linear, Addend::None))
                    .collect();
                let what = format!("{kind:?} {rows} × {width} → {sizes:?} on {device:?}");
                for (found, wanted) in found.iter().zip(&wanted) {
                    assert_close(&what, found.clone().inner(), wanted.clone().inner());
                }
                let (found, wanted) = (loss(&found, &device).backward(), loss(&wanted, &device).backward());
                let both = [&found, &wanted];
                assert_same_gradients(&format!("{what}: dx"), &x, both);
                assert_same_gradients(&format!("{what}: dweight"), &weight, both);
                for (i, linear) in linears.iter().enumerate() {
                    let [a, b] = &linear.matrices;
                    assert_same_gradients(&format!("{what}: da{i}"), a, both);
                    assert_same_gradients(&format!("{what}: db{i}"), b, both);
                }
            }
        }
    }
}

#[test]
fn a_linear_behind_a_gate_is_the_one_alone_added_to_the_rows() {
    for device in devices() {
        for kind in [Kind::Dense, Kind::Transposed, Kind::Packed] {
            for (rows, [inputs, outputs, rank]) in [(1, [40, 16, 8]), (5, [13, 6, 3]), (70, [96, 24, 17])] {
                let mut generator = Generator::new(6, "gated");
                let [gate, up] = [(); 2].map(|()| leaf([rows, inputs], &mut generator, &device));
                let stream = leaf([rows, outputs], &mut generator, &device);
                let linear = linear(kind, [inputs, outputs, rank], &mut generator, &device);
                let found = ops::gated_onto(stream.clone(), [gate.clone(), up.clone()], linear.clone());
                let inner = ops::silu_mul(gate.clone(), up.clone());
                let wanted = alone(inner, &linear, Addend::Rows(stream.clone()));
                let what = format!("{kind:?} {rows} × {inputs} → {outputs} on {device:?}");
                assert_close(&what, found.clone().inner(), wanted.clone().inner());
                let (found, wanted) = (loss(&[found], &device).backward(), loss(&[wanted], &device).backward());
                let both = [&found, &wanted];
                let [a, b] = &linear.matrices;
                for (name, leaf) in [("gate", &gate), ("up", &up), ("rows", &stream), ("a", a), ("b", b)] {
                    assert_same_gradients(&format!("{what}: d{name}"), leaf, both);
                }
            }
        }
    }
}

#[test]
fn the_attention_of_a_generated_token_is_its_rotation_the_longer_cache_and_what_that_mixes() {
    for device in devices() {
        for (heads, dim, tokens, mask, soft_cap) in [
            ([6, 2], 32, 5, AttentionMask::Causal, 0.0),
            ([3, 3], 8, 1, AttentionMask::SlidingWindow(3), 1.5),
            ([8, 1], 64, 300, AttentionMask::SlidingWindow(70), 0.0),
        ] {
            let scoring = AttentionScoring {
                soft_cap,
                ..AttentionScoring::plain(dim, mask)
            };
            let mut generator = Generator::new(7, "cached");
            let mut made = |rows: usize, width: usize| leaf([rows, width], &mut generator, &device).inner();
            let mut kept = [(); 2].map(|()| made(tokens, heads[1] * dim));
            let mut joined = Tensor::cat(kept.to_vec(), 0);
            for tokens in tokens..tokens + 3 {
                let [q, k, v] = [heads[0], heads[1], heads[1]].map(|heads| made(1, heads * dim));
                let angles = (made(1, dim / 2), made(1, dim / 2));
                let form = ops::cached_form(tokens, heads, dim, scoring).expect("one launch");
                let [found, all] =
                    ops::cached_attention([q.clone(), k.clone(), v.clone()], angles.clone(), joined, form);
                let [q, k] = ops::rotate([q, k], angles);
                kept = ops::append(kept, [k, v]);
                let [keys, values] = kept.clone();
                let seen = Tensor::ones([1, tokens + 1], &device);
                let wanted = ops::attention_by([q, keys, values], heads, Positions::None, seen, scoring);
                let what = format!("{heads:?} × {dim}, {tokens} tokens on {device:?}");
                assert_close(&what, found, wanted);
                assert_close(&what, all.clone(), Tensor::cat(kept.to_vec(), 0));
                joined = all;
            }
        }
    }
}

#[test]
fn an_attention_that_takes_several_launches_is_none_in_one() {
    let plain = AttentionScoring::plain(32, AttentionMask::Causal);
    let form = |dim, scoring| ops::cached_form(5, [4, 2], dim, scoring);
    assert!(form(32, plain).is_some());
    // Widths that are no whole vectors or fill too many registers, segments, and keys behind the query.
    for dim in [12, 256] {
        assert!(form(dim, plain).is_none());
    }
    let segmented = true;
    assert!(form(32, AttentionScoring { segmented, ..plain }).is_none());
    let mask = AttentionMask::Full;
    assert!(form(32, AttentionScoring { mask, ..plain }).is_none());
}
