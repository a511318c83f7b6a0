//! The engine's composed operations against the same written with burn's own, values and gradients, on odd shapes, on the CPU
//! and on software Vulkan.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData, activation};
use lorakeet_core::{
    device,
    formats::Storage,
    ops::{
        self, AdaptedForm, AdaptedLinear, Addend, AttentionMask, AttentionScoring, BaseForm, LoraForm, PackedMatrix,
        Positions, VocabularyForm,
    },
    protocol::DeviceChoice,
    quant::packing,
    random::Generator,
};
use lorakeet_tests::golden::block_on;

pub(super) fn devices() -> [Device; 2] {
    [DeviceChoice::Cpu, DeviceChoice::Gpu].map(|choice| block_on(device::open(choice)).expect("the device opens").0)
}

/// A leaf that gathers gradients.
pub(super) fn leaf<const D: usize>(shape: [usize; D], generator: &mut Generator, device: &Device) -> Tensor<D> {
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| generator.normal() as f32).collect();
    let values = Tensor::from_data(TensorData::new(values, shape), device);
    values.autodiff().require_grad()
}

pub(super) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = block_on(tensor.into_data_async()).expect("the device answers");
    data.try_into_vec().expect("f32")
}

pub(super) fn assert_close<const D: usize>(what: &str, found: Tensor<D>, wanted: Tensor<D>) {
    assert_eq!(found.dims(), wanted.dims(), "{what}");
    let (found, wanted) = (values(found), values(wanted));
    for (i, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
        let difference = (found - wanted).abs();
        assert!(
            difference <= 2e-5 * (1.0 + wanted.abs()),
            "{what}: element {i} is {found}, not {wanted}"
        );
    }
}

fn capped<const D: usize>(x: Tensor<D>, cap: f32) -> Tensor<D> {
    if cap > 0.0 { activation::tanh(x / cap) * cap } else { x }
}

/// How an attention of the tests knows where tokens stand.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    None,
    Rotary,
    Bias,
}

/// \[B·T, heads·D\] → \[B, heads, T, D\].
fn split(x: Tensor<2>, [batch, heads]: [usize; 2]) -> Tensor<4> {
    let [rows, width] = x.dims();
    x.reshape([batch, rows / batch, heads, width / heads]).swap_dims(1, 2)
}

/// x \[B, heads, T, D\] rotated by cos and sin \[T, D/2\].
fn rotated(x: Tensor<4>, cos: &Tensor<2>, sin: &Tensor<2>) -> Tensor<4> {
    let [.., dim] = x.dims();
    let (cos, sin): (Tensor<4>, Tensor<4>) = (cos.clone().unsqueeze(), sin.clone().unsqueeze());
    let (left, right) = (x.clone().narrow(3, 0, dim / 2), x.narrow(3, dim / 2, dim / 2));
    let first = left.clone() * cos.clone() - right.clone() * sin.clone();
    Tensor::cat(vec![first, right * cos + left * sin], 3)
}

#[test]
fn attention_is_the_softmax_of_its_scores_whatever_a_query_sees() {
    let masks = [
        AttentionMask::Causal,
        AttentionMask::SlidingWindow(2),
        AttentionMask::Full,
        AttentionMask::LocalWindow(1),
        AttentionMask::LocalWindow(usize::MAX >> 1),
    ];
    for device in devices() {
        for mask in masks {
            for (soft_cap, kind) in [
                (0.0, Kind::None),
                (0.0, Kind::Rotary),
                (0.0, Kind::Bias),
                (1.5, Kind::None),
                (1.5, Kind::Bias),
            ] {
                let scores = AttentionScoring {
                    scale: 0.7,
                    soft_cap,
                    mask,
                    segmented: false,
                };
                attention_agrees(&device, [3, 5, 4], scores, kind);
            }
        }
        // Several tiles of keys, queries and widths.
        for (sizes, kind) in [([70, 70, 36], Kind::Rotary), ([40, 67, 5], Kind::Bias)] {
            attention_agrees(
                &device,
                sizes,
                AttentionScoring::plain(sizes[2], AttentionMask::Causal),
                kind,
            );
        }
    }
}

fn attention_agrees(device: &Device, [queries, keys, dim]: [usize; 3], scores: AttentionScoring, kind: Kind) {
    let (batch, kv_heads, group) = (2, 2, 3);
    let heads = kv_heads * group;
    // A rotation is of as many queries as keys.
    let queries = if kind == Kind::Rotary { keys } else { queries };
    let mut generator = Generator::new(1, "attention");
    let q = leaf([batch * queries, heads * dim], &mut generator, device);
    let k = leaf([batch * keys, kv_heads * dim], &mut generator, device);
    let v = leaf([batch * keys, kv_heads * dim], &mut generator, device);
    let bias = leaf([queries + keys - 1, heads], &mut generator, device);
    let weight = leaf([batch * queries, heads * dim], &mut generator, device).detach();
    let angles = leaf([keys, dim / 2], &mut generator, device).detach().inner();
    let (cos, sin) = (angles.clone().cos(), angles.sin());
    let mut mask = vec![1.0f32; batch * keys];
    mask[keys + 2] = 0.0;
    let seen = |example: usize, query: usize, key: usize| {
        let last = query + keys - queries;
        let is_seen = match scores.mask {
            AttentionMask::Causal => key <= last,
            AttentionMask::SlidingWindow(window) => key <= last && key + window > last,
            AttentionMask::Full => true,
            AttentionMask::LocalWindow(distance) => query.abs_diff(key) <= distance,
        };
        is_seen && mask[example * keys + key] != 0.0
    };
    let hidden: Vec<bool> = (0..batch * heads * queries * keys)
        .map(|place| {
            let (row, key) = (place / keys, place % keys);
            !seen(row / (heads * queries), row % queries, key)
        })
        .collect();
    let hidden = TensorData::new(hidden, [batch, heads, queries, keys]);
    let hidden = Tensor::<4, Bool>::from_data(hidden, device);
    let mask = Tensor::from_data(TensorData::new(mask, [batch, keys]), device);
    let positions = match kind {
        Kind::None => Positions::None,
        Kind::Rotary => Positions::Rotary(Box::new([cos.clone(), sin.clone()])),
        Kind::Bias => Positions::Bias(Box::new(bias.clone())),
    };
    let qkv = [q.clone(), k.clone(), v.clone()];
    let found = ops::attention_by(qkv, [heads, kv_heads], positions, mask, scores);

    let spread = |x: Tensor<4>| {
        let wide: Tensor<5> = x.unsqueeze_dim(2);
        wide.repeat_dim(2, group).reshape([batch, heads, keys, dim])
    };
    let (mut queries_of, mut keys_of) = (split(q.clone(), [batch, heads]), split(k.clone(), [batch, kv_heads]));
    if kind == Kind::Rotary {
        let (cos, sin) = (cos.autodiff(), sin.autodiff());
        (queries_of, keys_of) = (rotated(queries_of, &cos, &sin), rotated(keys_of, &cos, &sin));
    }
    let mut product = queries_of.matmul(spread(keys_of).swap_dims(2, 3));
    if kind == Kind::Bias {
        // Of each pair the row of its distance: [Tq·Tk, H] → [1, H, Tq, Tk]
        let rows = (0..queries * keys).map(|pair| (pair % keys + queries - 1 - pair / keys) as i32);
        let rows = TensorData::new(rows.collect::<Vec<_>>(), [queries * keys]);
        let of_pairs = bias
            .clone()
            .select(0, Tensor::<1, Int>::from_data(rows, device).autodiff());
        product = product + of_pairs.swap_dims(0, 1).reshape([1, heads, queries, keys]);
    }
    let product = capped(product * scores.scale, scores.soft_cap).mask_fill(hidden.autodiff(), -1e9);
    let wanted = activation::softmax(product, 3).matmul(spread(split(v.clone(), [batch, kv_heads])));
    let wanted = wanted.swap_dims(1, 2).reshape([batch * queries, heads * dim]);

    let what = format!("{queries} queries, {keys} keys of {dim}, {scores:?}, {kind:?}, on {device:?}");
    assert_close(&what, found.clone().inner(), wanted.clone().inner());
    let of_found = (found * weight.clone()).sum().backward();
    let of_wanted = (wanted * weight).sum().backward();
    for (name, leaf) in [("q", &q), ("k", &k), ("v", &v), ("bias", &bias)] {
        match (leaf.grad(&of_found), leaf.grad(&of_wanted)) {
            (Some(found), Some(wanted)) => assert_close(&format!("{what}: d{name}"), found, wanted),
            (found, wanted) => assert_eq!(found.is_some(), wanted.is_some(), "{what}: d{name}"),
        }
    }
}

fn vocabulary_losses_agree(device: &Device, [rows, width, vocab]: [usize; 3], soft_cap: f32, biased: bool) {
    let mut generator = Generator::new(2, "vocabulary");
    let x = leaf([rows, width], &mut generator, device);
    let w = leaf([vocab, width], &mut generator, device);
    let bias = leaf([vocab], &mut generator, device);
    let target = |row: usize| {
        if row % 4 == 2 {
            -100.0
        } else {
            (row * 31 % vocab) as f32
        }
    };
    let targets: Vec<f32> = (0..rows).map(target).collect();
    let one_hot: Vec<f32> = targets
        .iter()
        .flat_map(|&target| (0..vocab).map(move |class| if class as f32 == target { 1.0 } else { 0.0 }))
        .collect();
    let targets = Tensor::from_data(TensorData::new(targets, [rows]), device);
    let one_hot = Tensor::<2>::from_data(TensorData::new(one_hot, [rows, vocab]), device).autodiff();
    let form = VocabularyForm { scale: 0.25, soft_cap };
    let given = biased.then(|| bias.clone());
    let found = ops::vocabulary_loss(x.clone(), w.clone(), given, targets, form);

    let logits = x.clone().matmul(w.clone().swap_dims(0, 1));
    let logits = if biased {
        logits + bias.clone().reshape([1, vocab])
    } else {
        logits
    };
    let log_p = activation::log_softmax(capped(logits, soft_cap), 1);
    let wanted = (log_p * one_hot).sum() * -form.scale;
    let what = format!("{rows} × {width} × {vocab}, {form:?}, biased {biased}, on {device:?}");
    assert_close(&what, found.clone().inner(), wanted.clone().inner());
    // An upstream gradient that is not 1.
    let (of_found, of_wanted) = ((found * 3.0).backward(), (wanted * 3.0).backward());
    let grad = |leaf: &Tensor<2>| {
        (
            leaf.grad(&of_found).expect("a gradient"),
            leaf.grad(&of_wanted).expect("a gradient"),
        )
    };
    for (name, leaf) in [("x", &x), ("w", &w)] {
        let (found, wanted) = grad(leaf);
        assert_close(&format!("{what}: d{name}"), found, wanted);
    }
    if biased {
        let (found, wanted) = (bias.grad(&of_found), bias.grad(&of_wanted));
        let (found, wanted) = (found.expect("a gradient"), wanted.expect("a gradient"));
        assert_close(&format!("{what}: dbias"), found, wanted);
    }
}

#[test]
fn the_vocabularys_loss_is_the_cross_entropy_with_and_without_bias_and_cap() {
    for device in devices() {
        for (soft_cap, biased) in [(0.0, false), (0.0, true), (1.5, false), (1.5, true)] {
            vocabulary_losses_agree(&device, [5, 3, 7], soft_cap, biased);
            vocabulary_losses_agree(&device, [17, 9, 130], soft_cap, biased);
        }
    }
}

/// A matrix of noise in 16 bits, cut into stretches of so many rows.
pub(super) fn packed(parts: &[usize], columns: usize, generator: &mut Generator, device: &Device) -> PackedMatrix {
    let mut packed = PackedMatrix::new(columns);
    for &rows in parts {
        let top = |value: f32| ((value.to_bits() >> 16) as u16).to_le_bytes();
        let bytes: Vec<u8> = (0..rows * columns)
            .flat_map(|_| top(generator.normal() as f32))
            .collect();
        packed.push(
            packing::stored(Storage::BF16, rows, columns, &bytes).expect("whole rows"),
            device,
        );
    }
    packed
}

/// What a linear is given besides x, and which linear it is.
struct Case {
    /// Rows of each part of a packed matrix; none of a dense one.
    parts: Vec<usize>,
    across: bool,
    addend: &'static str,
    dropout: f32,
}

#[test]
fn what_is_appended_to_a_cache_lies_behind_what_was_kept() {
    for device in devices() {
        for (kept, added, width) in [(1, 1, 1), (7, 1, 65), (30, 1, 192), (5, 12, 33)] {
            let mut generator = Generator::new(5, "cache");
            let mut rows = |count| leaf([count, width], &mut generator, &device).inner();
            let [kept_k, kept_v] = [kept, kept].map(&mut rows);
            let [k, v] = [added, added].map(&mut rows);
            let [all_k, all_v] = ops::append([kept_k.clone(), kept_v.clone()], [k.clone(), v.clone()]);
            for (all, parts) in [(all_k, [kept_k, k]), (all_v, [kept_v, v])] {
                assert_eq!(all.dims(), [kept + added, width]);
                assert_eq!(values(all), parts.map(values).concat());
            }
        }
    }
}

#[test]
fn an_adapter_made_with_its_linear_is_the_one_on_top_of_it() {
    let ([rows, width, outputs, rank], scale) = ([5, 6, 13, 3], 1.5);
    let cases = [
        (&[][..], false, "", 0.0),
        (&[], false, "bias", 0.3),
        (&[], true, "rows", 0.0),
        (&[], true, "bias", 0.0),
        (&[13], false, "bias", 0.0),
        (&[13], false, "", 0.3),
        (&[13], false, "rows", 0.0),
        (&[6], true, "bias", 0.3),
        (&[6], true, "", 0.0),
        (&[6], true, "rows", 0.3),
        (&[4, 9], false, "bias", 0.3),
        (&[4, 9], false, "rows", 0.0),
        (&[4, 2], true, "bias", 0.0),
    ];
    let cases = cases.map(|(parts, across, addend, dropout)| Case {
        parts: parts.to_vec(),
        across,
        addend,
        dropout,
    });
    for device in devices() {
        for Case {
            parts,
            across,
            addend,
            dropout,
        } in &cases
        {
            let mut generator = Generator::new(7, "adapted");
            let columns = if *across { outputs } else { width };
            let w = packed(parts, columns, &mut generator, &device);
            let dense = leaf(
                if *across { [width, outputs] } else { [outputs, width] },
                &mut generator,
                &device,
            );
            let x = leaf([rows, width], &mut generator, &device);
            let (a, b) = (
                leaf([rank, width], &mut generator, &device),
                leaf([outputs, rank], &mut generator, &device),
            );
            let bias = leaf([outputs], &mut generator, &device);
            let onto = leaf([rows, outputs], &mut generator, &device);
            let lora = LoraForm {
                scale,
                dropout: *dropout,
                seed: 11,
            };
            let weights = leaf([rows, outputs], &mut generator, &device).inner();
            let given = match *addend {
                "bias" => Addend::Bias(bias.clone()),
                "rows" => Addend::Rows(onto.clone()),
                _ => Addend::None,
            };
            let matrices = [a.clone(), b.clone()];
            let of_bias = (*addend == "bias").then(|| bias.clone());
            let (found, base) = match parts.is_empty() {
                true => {
                    let base = BaseForm::Dense { transposed: *across };
                    let form = AdaptedForm { base, lora };
                    (
                        ops::adapted(x.clone(), dense.clone(), given, matrices, form),
                        ops::linear(x.clone(), dense.clone(), of_bias, *across),
                    )
                }
                false => (
                    ops::packed_adapted(x.clone(), &w, given, *across, matrices, lora),
                    ops::packed_linear(x.clone(), &w, of_bias, *across),
                ),
            };
            let wanted = ops::lora(base, x.clone(), a.clone(), b.clone(), lora);
            let wanted = match *addend {
                "rows" => onto.clone() + wanted,
                _ => wanted,
            };
            let what = format!("{parts:?}, across {across}, {addend}, {lora:?}, on {device:?}");
            assert_close(&what, found.clone().inner(), wanted.clone().inner());
            let gradients = |y: Tensor<2>| (y * weights.clone()).sum().backward();
            let (of_found, of_wanted) = (gradients(found), gradients(wanted));
            for (name, leaf) in [("x", &x), ("a", &a), ("b", &b), ("w", &dense), ("rows", &onto)] {
                match (leaf.grad(&of_found), leaf.grad(&of_wanted)) {
                    (Some(found), Some(wanted)) => assert_close(&format!("{what}: d{name}"), found, wanted),
                    (None, None) => assert!(["w", "rows"].contains(&name), "{what}: no d{name}"),
                    _ => panic!("{what}: one d{name} of two"),
                }
            }
            if *addend == "bias" {
                let (found, wanted) = (bias.grad(&of_found), bias.grad(&of_wanted));
                let (found, wanted) = (found.expect("a gradient"), wanted.expect("a gradient"));
                assert_close(&format!("{what}: dbias"), found, wanted);
            }
        }
    }
}

/// Rows go into norms, linears and a residual stream: the gradient that each way adds is the one that it has alone.
#[test]
fn linears_of_the_same_rows_are_the_ones_alone_and_their_gradients_add_up() {
    let [rows, width] = [5, 6];
    let (sizes, scale) = ([(13, 3), (7, 2), (6, 3)], 1.5);
    let lora = LoraForm {
        scale,
        dropout: 0.0,
        seed: 0,
    };
    for device in devices() {
        for (biased, count) in [(false, 2), (true, 2), (false, 3), (true, 3)] {
            let mut generator = Generator::new(9, "group");
            let x = leaf([rows, width], &mut generator, &device);
            let of_norm = leaf([width], &mut generator, &device);
            let linears: Vec<_> = sizes[..count]
                .iter()
                .enumerate()
                .map(|(i, &(outputs, rank))| {
                    let (w, base) = match i {
                        // Packed and dense ones go together.
                        1 => packed(&[outputs], width, &mut generator, &device)
                            .in_one(false)
                            .expect("one buffer"),
                        _ => (
                            leaf([outputs, width], &mut generator, &device).inner(),
                            BaseForm::Dense { transposed: false },
                        ),
                    };
                    AdaptedLinear {
                        w,
                        bias: biased.then(|| leaf([outputs], &mut generator, &device)),
                        matrices: [
                            leaf([rank, width], &mut generator, &device),
                            leaf([outputs, rank], &mut generator, &device),
                        ],
                        form: AdaptedForm { base, lora },
                    }
                })
                .collect();
            let weights: Vec<_> = sizes
                .iter()
                .map(|&(outputs, _)| leaf([rows, outputs], &mut generator, &device).inner())
                .collect();
            // `ways` gives the rows to one reader after the other.
            let loss = |ways: &dyn Fn() -> Tensor<2>, together: bool| {
                let alone = |linear: &AdaptedLinear| {
                    let addend = linear.bias.clone().map_or(Addend::None, Addend::Bias);
                    ops::adapted(ways(), linear.w.clone(), addend, linear.matrices.clone(), linear.form)
                };
                let made = match (together, linears.as_slice()) {
                    (true, [l0, l1]) => ops::adapted_two(ways(), [l0.clone(), l1.clone()]).to_vec(),
                    (true, [l0, l1, l2]) => ops::adapted_three(ways(), [l0.clone(), l1.clone(), l2.clone()]).to_vec(),
                    _ => linears.iter().map(alone).collect(),
                };
                let sum = |y: Tensor<2>, i: usize| (y * weights[i].clone()).sum();
                let parts = made.into_iter().enumerate().map(|(i, y)| sum(y, i));
                let parts = parts.reduce(|sum, part| sum + part).expect("two or three");
                let normed = ops::rms_norm(ways(), of_norm.clone(), 1e-5);
                parts + sum(ops::add(ways(), normed), 2)
            };
            let shared = x.clone() * 1.5;
            let together = loss(&|| shared.clone(), true);
            // Each reader has rows of its own, so that burn adds their gradients.
            let apart = loss(&|| x.clone() * 1.5, false);
            let what = format!("{count}, biased {biased}, on {device:?}");
            assert_close(&what, together.clone().inner(), apart.clone().inner());
            let (found, wanted) = (together.backward(), apart.backward());
            let pair = |name: &str, found: Option<Tensor<2>>, wanted: Option<Tensor<2>>| {
                let (found, wanted) = (found.expect("a gradient"), wanted.expect("a gradient"));
                assert_close(&format!("{what}: d{name}"), found, wanted);
            };
            pair("x", x.grad(&found), x.grad(&wanted));
            for (i, linear) in linears.iter().enumerate() {
                for (name, leaf) in ["a", "b"].iter().zip(&linear.matrices) {
                    pair(&format!("{name}{i}"), leaf.grad(&found), leaf.grad(&wanted));
                }
                if let Some(bias) = &linear.bias {
                    let of = |gradients| bias.grad(gradients).map(|gradient| gradient.unsqueeze());
                    pair(&format!("bias{i}"), of(&found), of(&wanted));
                }
            }
        }
    }
}

/// Numbers that 16 bits hold, so that packed and dense are the same matrix.
#[test]
fn the_vocabularys_loss_of_a_packed_matrix_is_that_of_its_numbers() {
    let [rows, width, vocab] = [5, 6, 40];
    for device in devices() {
        for (soft_cap, biased) in [(0.0, false), (0.0, true), (1.5, false), (1.5, true)] {
            let mut generator = Generator::new(3, "packed");
            let x = leaf([rows, width], &mut generator, &device);
            let bias = leaf([vocab], &mut generator, &device).inner();
            let halves: Vec<u16> = (0..vocab * width)
                .map(|_| ((generator.normal() as f32).to_bits() >> 16) as u16)
                .collect();
            let numbers: Vec<f32> = halves
                .iter()
                .map(|&half| f32::from_bits(u32::from(half) << 16))
                .collect();
            let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
            let words = packing::stored(Storage::BF16, vocab, width, &bytes).expect("whole rows");
            let mut packed = PackedMatrix::new(width);
            packed.push(words, &device);
            let dense = Tensor::from_data(TensorData::new(numbers, [vocab, width]), &device);
            let targets = Tensor::from_data(TensorData::new(vec![3.0f32, -100.0, 39.0, 0.0, 7.0], [rows]), &device);
            let form = VocabularyForm { scale: 0.5, soft_cap };
            let given = || biased.then(|| bias.clone());
            let found = ops::packed_vocabulary_loss(x.clone(), &packed, given(), targets.clone(), form);
            let wanted = ops::vocabulary_loss(x.clone(), dense.clone(), given(), targets.clone(), form);
            let what = format!("{form:?}, biased {biased}, on {device:?}");
            // A pass that begins at such a loss multiplies by no 1, to the same bits; one behind it multiplies by what there is.
            let losses = || {
                let packed = ops::packed_vocabulary_loss(x.clone(), &packed, given(), targets.clone(), form);
                [
                    packed,
                    ops::vocabulary_loss(x.clone(), dense.clone(), given(), targets.clone(), form),
                ]
            };
            for (root, other) in losses().into_iter().zip(losses()) {
                let both = [ops::backward(&root), other.backward()];
                let [found, wanted] = both.map(|gradients| x.grad(&gradients).expect("a gradient").into_data());
                found.assert_eq(&wanted, true);
            }
            assert_close(&what, found.clone().inner(), wanted.clone().inner());
            let (of_found, of_wanted) = ((found * 3.0).backward(), (wanted * 3.0).backward());
            let (found, wanted) = (x.grad(&of_found), x.grad(&of_wanted));
            let (found, wanted) = (found.expect("a gradient"), wanted.expect("a gradient"));
            assert_close(&format!("{what}: dx"), found, wanted);
        }
    }
}

/// More logits than are held at a time.
#[test]
fn the_vocabularys_loss_does_not_change_where_it_goes_through_chunks() {
    let [cpu, _] = devices();
    vocabulary_losses_agree(&cpu, [200, 2, 60_011], 1.5, true);
}
