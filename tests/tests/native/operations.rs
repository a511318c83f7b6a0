//! The engine's composed operations against the same written with burn's own, values and gradients, on odd shapes, on the CPU
//! and on software Vulkan.

use burn::tensor::{Bool, Device, Tensor, TensorData, activation};
use lorakeet_core::{
    device,
    formats::Storage,
    ops::{self, AttentionMask, AttentionScoring, LoraForm, PackedMatrix, VocabularyForm},
    protocol::DeviceChoice,
    quant::packing,
    random::Generator,
};
use lorakeet_tests::golden::block_on;

fn devices() -> [Device; 2] {
    [DeviceChoice::Cpu, DeviceChoice::Gpu].map(|choice| block_on(device::open(choice)).expect("the device opens").0)
}

/// A leaf that gathers gradients.
fn leaf<const D: usize>(shape: [usize; D], generator: &mut Generator, device: &Device) -> Tensor<D> {
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| generator.normal() as f32).collect();
    let values = Tensor::from_data(TensorData::new(values, shape), device);
    values.autodiff().require_grad()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = block_on(tensor.into_data_async()).expect("the device answers");
    data.try_into_vec().expect("f32")
}

fn assert_close<const D: usize>(what: &str, found: Tensor<D>, wanted: Tensor<D>) {
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

#[test]
fn attention_is_the_softmax_of_its_scores_whatever_a_query_sees() {
    let (batch, kv_heads, group, queries, keys, dim) = (2, 2, 3, 3, 5, 4);
    let heads = kv_heads * group;
    let masks = [
        AttentionMask::Causal,
        AttentionMask::SlidingWindow(2),
        AttentionMask::Full,
        AttentionMask::LocalWindow(1),
    ];
    for (device, attention_mask, soft_cap, biased) in devices().into_iter().flat_map(|device| {
        let forms = [(0.0, false), (0.0, true), (1.5, false), (1.5, true)];
        let with = move |attention_mask| forms.map(|(cap, biased)| (attention_mask, cap, biased));
        masks
            .into_iter()
            .flat_map(with)
            .map(move |(attention_mask, cap, biased)| (device.clone(), attention_mask, cap, biased))
    }) {
        let mut generator = Generator::new(1, "attention");
        let q = leaf([batch, heads, queries, dim], &mut generator, &device);
        let k = leaf([batch, kv_heads, keys, dim], &mut generator, &device);
        let v = leaf([batch, kv_heads, keys, dim], &mut generator, &device);
        let bias = leaf([1, heads, queries, keys], &mut generator, &device);
        let weight = leaf([batch, heads, queries, dim], &mut generator, &device).detach();
        let mut mask = vec![1.0f32; batch * keys];
        mask[keys + 2] = 0.0;
        let seen = |example: usize, query: usize, key: usize| {
            let last = query + keys - queries;
            let is_seen = match attention_mask {
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
        let hidden = Tensor::<4, Bool>::from_data(hidden, &device);
        let scores = AttentionScoring {
            scale: 0.7,
            soft_cap,
            mask: attention_mask,
        };
        let mask = Tensor::from_data(TensorData::new(mask, [batch, keys]), &device);
        let given = biased.then(|| bias.clone());
        let found = ops::attention_by(q.clone(), k.clone(), v.clone(), given, mask, scores);

        let spread = |x: Tensor<4>| {
            let wide: Tensor<5> = x.unsqueeze_dim(2);
            wide.repeat_dim(2, group).reshape([batch, heads, keys, dim])
        };
        let product = q.clone().matmul(spread(k.clone()).swap_dims(2, 3));
        let product = if biased { product + bias.clone() } else { product };
        let product = capped(product * scores.scale, soft_cap).mask_fill(hidden.autodiff(), -1e9);
        let wanted = activation::softmax(product, 3).matmul(spread(v.clone()));

        let what = format!("{scores:?}, biased {biased}, on {device:?}");
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
fn packed(parts: &[usize], columns: usize, generator: &mut Generator, device: &Device) -> PackedMatrix {
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

#[test]
fn an_adapter_recorded_with_its_packed_product_is_the_one_on_top_of_it() {
    let ([rows, width, outputs, rank], scale) = ([5, 6, 13, 3], 1.5);
    for device in devices() {
        for (parts, across, biased, dropout) in [
            (vec![13], false, true, 0.0),
            (vec![13], false, false, 0.3),
            (vec![6], true, true, 0.3),
            (vec![6], true, false, 0.0),
            (vec![4, 9], false, true, 0.3),
            (vec![4, 2], true, true, 0.0),
        ] {
            let mut generator = Generator::new(7, "adapted");
            let columns = if across { outputs } else { width };
            let w = packed(&parts, columns, &mut generator, &device);
            let x = leaf([rows, width], &mut generator, &device);
            let (a, b) = (
                leaf([rank, width], &mut generator, &device),
                leaf([outputs, rank], &mut generator, &device),
            );
            let bias = leaf([outputs], &mut generator, &device);
            let given = || biased.then(|| bias.clone());
            let seed = 11;
            let form = LoraForm { scale, dropout, seed };
            let weights = leaf([rows, outputs], &mut generator, &device).inner();
            let found = ops::packed_lora(x.clone(), &w, given(), across, [a.clone(), b.clone()], form);
            let base = ops::packed_linear(x.clone(), &w, given(), across);
            let wanted = ops::lora(base, x.clone(), a.clone(), b.clone(), form);
            let what = format!("{parts:?}, across {across}, biased {biased}, {form:?}, on {device:?}");
            assert_close(&what, found.clone().inner(), wanted.clone().inner());
            let gradients = |y: Tensor<2>| (y * weights.clone()).sum().backward();
            let (of_found, of_wanted) = (gradients(found), gradients(wanted));
            for (name, leaf) in [("x", &x), ("a", &a), ("b", &b)] {
                let (found, wanted) = (leaf.grad(&of_found), leaf.grad(&of_wanted));
                let (found, wanted) = (found.expect("a gradient"), wanted.expect("a gradient"));
                assert_close(&format!("{what}: d{name}"), found, wanted);
            }
            if biased {
                let (found, wanted) = (bias.grad(&of_found), bias.grad(&of_wanted));
                let (found, wanted) = (found.expect("a gradient"), wanted.expect("a gradient"));
                assert_close(&format!("{what}: dbias"), found, wanted);
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
            let wanted = ops::vocabulary_loss(x.clone(), dense, given(), targets, form);
            let what = format!("{form:?}, biased {biased}, on {device:?}");
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
    vocabulary_losses_agree(&cpu, [150, 2, 60_011], 1.5, true);
}
