//! How long a launch takes at most, by its operations, on GPUs that are said to be slow: products and attention are several launches
//! there, to the same bits. And products that are two launches on hardware of many cores.
//!
//! In processes of their own, because rates, tiers and counts are the process's.

use super::{
    launches::{Counts, SMALL, config, open, rows_of},
    operations::{leaf, packed, values},
};
use burn::tensor::{Device, Tensor, TensorData};
use lorakeet_core::{
    config::RunConfig,
    device,
    ops::{self, AttentionMask, AttentionScoring, Positions, VocabularyForm},
    protocol::DeviceChoice,
    random::Generator,
};
use lorakeet_shaders::Tier;
use lorakeet_tests::{alone::alone, golden::block_on, trajectory::take_steps};

/// Operations in a millisecond of a GPU that does a tera in a second.
const FAST: f64 = 1e9;

fn gpu() -> Device {
    block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan driver").0
}

/// What was computed, the launches that it took, and the operations of the longest.
#[derive(Debug)]
struct Computed<T> {
    numbers: T,
    launches: u64,
    longest: u64,
}

/// What `work` gives on a GPU that does so many operations in a millisecond; 0 for one that nothing is known of.
fn computed<T>(rate: f64, work: impl FnOnce() -> T) -> Computed<T> {
    device::assume_rate(rate);
    let count = device::count_launches();
    device::longest_launch();
    let numbers = work();
    Computed {
        numbers,
        launches: count.take().values().sum(),
        longest: device::longest_launch(),
    }
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

#[test]
fn a_slow_gpu_trains_in_launches_of_their_time_to_the_bits_of_a_fast_one() {
    alone(|| {
        let device = gpu();
        for quantization_bit in [None, Some(4)] {
            let config = RunConfig {
                quantization_bit,
                ..config()
            };
            let rows = rows_of(2, 64, SMALL.vocab);
            let run = |rate| {
                let mut model = open(SMALL.llama(), &config, &device);
                computed(rate, || {
                    let mut numbers = Vec::new();
                    take_steps(
                        &mut model,
                        &config,
                        |_| vec![rows.clone()],
                        |_, _, done, _| numbers.push([done.loss, done.grad_norm].map(f64::to_bits)),
                    );
                    numbers
                })
            };
            // What burn fills once is not counted.
            run(FAST);
            let (fast, unknown) = (run(FAST), run(0.0));
            // Less than a product with the vocabulary has, more than the optimizer and what moves logits, which are not cut.
            let slow = run(700_000.0);
            let most = device::most_operations();
            println!("{quantization_bit:?} bits: {most} operations at most: {fast:?}, {slow:?}");
            assert_eq!(fast.numbers.len(), 3);
            assert_eq!(unknown.launches, fast.launches);
            assert!(fast.longest > most && slow.longest <= most);
            assert!(slow.launches > fast.launches);
            assert_eq!(slow.numbers, fast.numbers);
            assert_eq!(unknown.numbers, fast.numbers);
        }
    });
}

/// Values and gradients of linears, dense and packed, of a vocabulary that is trained and of attention with rotated and with biased
/// scores.
fn values_and_gradients(device: &Device) -> Vec<Vec<u32>> {
    let mut generator = Generator::new(5, "launches");
    let [rows, width, outputs, vocab] = [70, 96, 256, 512];
    let x = leaf([rows, width], &mut generator, device);
    let w = leaf([outputs, width], &mut generator, device);
    let bias = leaf([outputs], &mut generator, device);
    let table = leaf([vocab, width], &mut generator, device);
    let frozen = packed(&[outputs], width, &mut generator, device);
    let y = ops::linear(x.clone(), w.clone(), Some(bias.clone()), false);
    let hidden = ops::packed_linear(y, &frozen, None, true);
    let hidden = ops::packed_linear(hidden * 0.01, &frozen, None, false);
    let hidden = ops::packed_linear(hidden, &frozen, None, true) * 0.01;
    let targets: Vec<f32> = (0..rows).map(|row| (row * 31 % vocab) as f32).collect();
    let targets = Tensor::from_data(TensorData::new(targets, [rows]), device);
    let form = VocabularyForm {
        scale: 0.25,
        soft_cap: 0.0,
    };
    let loss = ops::vocabulary_loss(hidden, table.clone(), None, targets, form);

    let [batch, tokens, heads, kv_heads, dim] = [2, 96, 4, 2, 32];
    let q = leaf([batch * tokens, heads * dim], &mut generator, device);
    let k = leaf([batch * tokens, kv_heads * dim], &mut generator, device);
    let v = leaf([batch * tokens, kv_heads * dim], &mut generator, device);
    let distances = leaf([2 * tokens - 1, heads], &mut generator, device);
    let weight = leaf([batch * tokens, heads * dim], &mut generator, device).detach();
    let angles = leaf([tokens, dim / 2], &mut generator, device).detach().inner();
    let rotary = Positions::Rotary(Box::new([angles.clone().cos(), angles.sin()]));
    let mixed = [rotary, Positions::Bias(Box::new(distances.clone()))].map(|positions| {
        let mask = Tensor::from_data(TensorData::new(vec![1.0f32; batch * tokens], [batch, tokens]), device);
        let scoring = AttentionScoring::plain(dim, AttentionMask::Causal);
        let qkv = [q.clone(), k.clone(), v.clone()];
        ops::attention_by(qkv, [heads, kv_heads], positions, mask, scoring)
    });
    let [rotated, biased] = mixed;
    let sum = loss.clone() + (rotated.clone() * weight.clone()).sum() + (biased.clone() * weight).sum();
    let gradients = sum.backward();
    let mut numbers = vec![values(loss.inner()), values(rotated.inner()), values(biased.inner())];
    numbers.push(values(bias.grad(&gradients).expect("a gradient")));
    for leaf in [x, w, table, q, k, v, distances] {
        numbers.push(values(leaf.grad(&gradients).expect("a gradient")));
    }
    numbers.iter().map(|numbers| bits(numbers)).collect()
}

#[test]
fn every_product_and_attention_is_cut_on_a_slow_gpu_forward_and_backward_to_the_same_bits() {
    alone(|| {
        let device = gpu();
        let fast = computed(FAST, || values_and_gradients(&device));
        let slow = computed(100_000.0, || values_and_gradients(&device));
        let most = device::most_operations();
        println!(
            "{} and {} launches, {most} operations at most",
            fast.launches, slow.launches
        );
        assert!(
            fast.longest > most && slow.longest <= most,
            "{} operations",
            slow.longest
        );
        assert!(slow.launches > fast.launches);
        for (i, (slow, fast)) in slow.numbers.iter().zip(&fast.numbers).enumerate() {
            assert!(slow == fast, "tensor {i}");
        }
    });
}

/// The gradients of x and w: of rows over a packed vocabulary, and of a narrow linear over many rows; with what was launched.
fn of_long_sums(device: &Device) -> ([Vec<f32>; 2], Counts) {
    let mut generator = Generator::new(6, "long sums");
    let hidden = leaf([40, 64], &mut generator, device);
    let vocabulary = packed(&[4096], 64, &mut generator, device);
    let of_logits = leaf([40, 4096], &mut generator, device).inner();
    let x = leaf([2500, 24], &mut generator, device).inner();
    let w = leaf([8, 24], &mut generator, device);
    let of_outputs = leaf([2500, 8], &mut generator, device).inner();
    let count = device::count_launches();
    let logits = ops::packed_linear(hidden.clone(), &vocabulary, None, false);
    let outputs = ops::linear(x.autodiff(), w.clone(), None, false);
    let sum = (logits * of_logits.autodiff()).sum() + (outputs * of_outputs.autodiff()).sum();
    let gradients = sum.backward();
    let found = [&hidden, &w].map(|leaf| values(leaf.grad(&gradients).expect("a gradient")));
    (found, count.take())
}

#[test]
fn long_sums_of_few_outputs_are_made_in_parts_on_hardware_and_in_one_launch_elsewhere() {
    alone(|| {
        let cpu = block_on(device::open(DeviceChoice::Cpu)).expect("the CPU").0;
        let (wanted, _) = of_long_sums(&cpu);
        let device = gpu();
        let in_parts = |counts: &Counts, kernel: &str| -> u64 {
            let named = counts.iter().filter(|(name, _)| name.contains(kernel));
            named.map(|(_, count)| count).sum()
        };
        let (_, on_software) = of_long_sums(&device);
        assert_eq!(in_parts(&on_software, "ProductParts"), 0);
        device::assume_tier(Tier::Gpu {
            subgroups: false,
            f16: false,
        });
        let [(found, counts), (again, _)] = [(); 2].map(|()| of_long_sums(&device));
        for kernel in ["ProductParts", "SumOfParts"] {
            assert_eq!(in_parts(&counts, kernel), 2, "{kernel}: {counts:?}");
        }
        for ((found, again), wanted) in found.iter().zip(&again).zip(&wanted) {
            assert!(bits(found) == bits(again));
            for (found, wanted) in found.iter().zip(wanted) {
                assert!(
                    (found - wanted).abs() <= 1e-3 * (1.0 + wanted.abs()),
                    "{found}, not {wanted}"
                );
            }
        }
        // A slow one cuts the parts, too.
        device::assume_rate(300_000.0);
        device::longest_launch();
        let (slow, counts) = of_long_sums(&device);
        assert!(in_parts(&counts, "ProductParts") > 2, "{counts:?}");
        assert!(device::longest_launch() <= device::most_operations());
        for (slow, found) in slow.iter().zip(&found) {
            assert!(bits(slow) == bits(found));
        }
    });
}
