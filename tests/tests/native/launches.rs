//! How many kernels a step launches: each costs a browser's host ten microseconds, whatever it computes. The bounds are what
//! is measured; they may go down, never up.
//!
//! In processes of their own, because the count is the process's.

use burn::tensor::Device;
use lorakeet_core::{
    config::{RunConfig, TargetModules},
    data::Batch,
    device,
    formats::{ModelFiles, peft::AdapterConfig},
    models::Model,
    protocol::DeviceChoice,
    quant::BaseFormat,
    store::{DiskFile, Source},
};
use lorakeet_tests::{
    alone::alone,
    generated::Decoder,
    golden::block_on,
    trajectory::{batch, take_steps},
};
use std::{cell::RefCell, collections::BTreeMap, path::Path};

/// Of a step of the model that comes with the page, 8 × 128: four layers and 11 beside them.
const MOST_OF_TINY: u64 = 139;
/// Of a layer of a Llama in a step. Forward 11: norm with the first products of q's, k's and v's adapters; q; k and v; rotation;
/// attention; o's adapter; o onto the residual stream; norm with the adapters of gate and up; gate and up; their product with
/// down's adapter; down onto the stream. Backward 21: of down, of gate and up, and of o three each (dB with dh, dA, dx), of q, k and v
/// five (dB, dh, dA, dx of k and v, dx of q), of attention four (notes, queries, keys and values, the rotation back), two norms, one gate.
const MOST_OF_A_LAYER: u64 = 32;
/// And of a token that is generated: as forward, but that one launch rotates, puts keys and values behind those of the cache and
/// attends.
const MOST_OF_A_LAYER_A_TOKEN: u64 = 10;
/// Of all that is not in layers, less what the first layer has not (the gradient of its input: two products and a norm's).
const MOST_BESIDE_LAYERS: u64 = 12;
/// And of a token: the row of the embedding, two rows of the rotation's tables where they begin between what a binding may begin at,
/// the last norm and the product over the vocabulary.
const MOST_BESIDE_LAYERS_A_TOKEN: u64 = 5;

/// A model that is small, in SmolLM2's proportions.
pub(super) const SMALL: Decoder = Decoder {
    layers: 2,
    width: 192,
    inner: 512,
    heads: 3,
    kv_heads: 1,
    vocab: 4096,
    positions: 256,
};

pub(super) type Counts = BTreeMap<&'static str, u64>;

/// A kernel's name without the paths of its types.
fn short(name: &str) -> String {
    let parts = name.split_inclusive(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    parts.map(|part| part.rsplit("::").next().unwrap_or(part)).collect()
}

fn print(what: &str, counts: &Counts) {
    println!("{what}: {} launches", counts.values().sum::<u64>());
    for (name, count) in counts {
        println!("    {count:5} {}", short(name));
    }
}

pub(super) fn open(files: Vec<Source>, config: &RunConfig, device: &Device) -> Model {
    let files = block_on(ModelFiles::open(files)).expect("the files open");
    let kind = (false, BaseFormat::from(config));
    let mut model = block_on(Model::load_base(&files, kind, 0, device, &mut |_, _| ())).expect("it loads");
    let adapter = AdapterConfig {
        r: config.lora_r,
        target_modules: config.target_modules.clone(),
        ..AdapterConfig::default()
    };
    model.attach_lora(&adapter, 0).expect("the modules are there");
    model
}

/// What the third of three steps on rows that are alike launches.
fn of_a_step(model: &mut Model, config: &RunConfig, rows: &Batch) -> Counts {
    let count = device::count_launches();
    let last = RefCell::new(Counts::new());
    take_steps(
        model,
        config,
        |_| vec![rows.clone()],
        |_, _, done, _| {
            assert!(done.loss.is_finite());
            *last.borrow_mut() = count.take();
        },
    );
    last.into_inner()
}

pub(super) fn rows_of(rows: usize, tokens: usize, vocab: usize) -> Batch {
    let ids: Vec<f64> = (0..rows * tokens).map(|i| (i * 37 % vocab) as f64).collect();
    batch(tokens, &ids, &vec![1.0; ids.len()], &ids)
}

pub(super) fn config() -> RunConfig {
    RunConfig {
        target_modules: TargetModules::Pattern("all-linear".into()),
        lora_r: 8,
        lora_dropout: 0.0,
        gradient_accumulation_steps: 1,
        max_steps: 3,
        ..RunConfig::default()
    }
}

/// What the second has more than the first, of each kernel.
fn difference(one: &Counts, two: &Counts) -> Counts {
    let more = two
        .iter()
        .map(|(name, count)| (*name, count - one.get(name).unwrap_or(&0).min(count)));
    more.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn a_step_of_the_bundled_model_launches_no_more_than_it_did() {
    alone(|| {
        let (device, _) = block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan driver");
        let public = Path::new(env!("CARGO_MANIFEST_DIR")).join("../public/model");
        let files = ["config.json", "model.safetensors"]
            .map(|name| DiskFile::source(public.join(name)).unwrap_or_else(|error| panic!("{error}")));
        let mut model = open(files.to_vec(), &config(), &device);
        let step = of_a_step(&mut model, &config(), &rows_of(8, 128, 256));
        print("a step of the bundled model", &step);
        assert!(step.values().sum::<u64>() <= MOST_OF_TINY);
    });
}

#[test]
fn a_layer_launches_no_more_than_it_did() {
    alone(|| {
        let (device, _) = block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan driver");
        for bits in [None, Some(4)] {
            let config = RunConfig {
                quantization_bit: bits,
                ..config()
            };
            let [one, two] = [2, 3].map(|layers| {
                let mut model = open(Decoder { layers, ..SMALL }.llama(), &config, &device);
                let step = of_a_step(&mut model, &config, &rows_of(2, 64, SMALL.vocab));
                let leaves = model.parameters.plain();
                let mut cache = model.new_cache();
                let mut token = |ids: &[u32]| {
                    let count = device::count_launches();
                    let _ = model.next_logits(&leaves, ids, &mut cache, true).into_data();
                    count.take()
                };
                token(&[1, 2, 3, 4]);
                // The first token behind a prompt joins keys and values, once.
                token(&[5]);
                (step, token(&[6]))
            });
            let sum = |counts: &Counts| counts.values().sum::<u64>();
            let layer = difference(&one.0, &two.0);
            print(&format!("a layer in a step, {bits:?} bits"), &layer);
            let of_layer = sum(&two.0) - sum(&one.0);
            let beside = sum(&one.0) - 2 * of_layer;
            println!(
                "{beside} beside layers; SmolLM2 of 30 layers has {}",
                beside + 30 * of_layer
            );
            let token = sum(&two.1) - sum(&one.1);
            print("a layer in a token", &difference(&one.1, &two.1));
            let beside_token = sum(&one.1) - 2 * token;
            println!("a token of SmolLM2 has {}", beside_token + 30 * token);
            assert!(of_layer <= MOST_OF_A_LAYER && beside <= MOST_BESIDE_LAYERS);
            assert!(token <= MOST_OF_A_LAYER_A_TOKEN && beside_token <= MOST_BESIDE_LAYERS_A_TOKEN);
        }
    });
}
