//! What runs are said to take beside what they take, counted by the device's allocator: within a fiftieth, of recurrent
//! networks within a tenth.
//!
//! In a process of its own, because the allocator's books are the process's. The runs differ in what is
//! largest: activations, weights, the vocabulary, long rows, everything that is trained, a score.

use burn::tensor::Device;
use lorakeet_core::{
    config::{FinetuningType, RunConfig, TargetModules},
    data::Batch,
    device,
    estimate::estimate,
    formats::{ModelFiles, peft::AdapterConfig},
    models::{Model, read},
    protocol::DeviceChoice,
    quant::BaseFormat,
    store::Source,
    train::optim::AdamW,
};
use lorakeet_tests::{
    alone::alone,
    generated::{self, Decoder},
    golden::block_on,
    trajectory::{batch, take_steps},
};
use serde_json::{Value, json};

/// How far the count may be from the estimate.
const TOLERANCE: f64 = 0.02;
/// The same of small models, where one activation is a large share.
const SMALL_TOLERANCE: f64 = 0.05;
/// The same of runs with gradient checkpointing, which have many small parts.
const PARTS_TOLERANCE: f64 = 0.1;
/// The same of recurrent networks, which spend their time in burn's own operations.
const RECURRENT_TOLERANCE: f64 = 0.1;

/// A batch of rows that are all text, all trained on.
fn full_batch(rows: usize, tokens: usize, vocab: usize) -> Batch {
    let ids: Vec<f64> = (0..rows * tokens).map(|i| (i * 37 % vocab) as f64).collect();
    Batch {
        row_labels: vec![1.0; rows],
        ..batch(tokens, &ids, &vec![1.0; ids.len()], &ids)
    }
}

fn open(files: Vec<Source>) -> ModelFiles {
    block_on(ModelFiles::open(files)).expect("the files open")
}

/// A batch of rows of `count` numbers, of two classes.
fn rows_of_numbers(rows: usize, count: usize) -> Batch {
    Batch {
        rows,
        tokens: 1,
        features: (0..rows * count).map(|i| (i % 7) as f32 / 7.0).collect(),
        row_labels: vec![1.0; rows],
        target_tokens: rows,
        ..Batch::default()
    }
}

/// [`check_within`] the usual tolerance.
fn check(device: &Device, what: &str, files: &ModelFiles, vocab: usize, config: RunConfig) {
    check_within(TOLERANCE, device, what, (files, vocab), config);
}

/// Runs two steps of `config` and holds the estimate against the most bytes that were in use.
/// Gives that.
fn check_within(
    tolerance: f64,
    device: &Device,
    what: &str,
    (files, vocab): (&ModelFiles, usize),
    config: RunConfig,
) -> u64 {
    let config = RunConfig { max_steps: 2, ..config };
    let limit = device::largest_buffer_bytes(device);
    let said = block_on(estimate(files, &config, None, limit)).expect("an estimate");

    // What the runtime remembers of the run before is among what is in use, and goes when buffers are given back.
    device.memory_cleanup();
    let before = device::memory_bytes(device).expect("the device counts");
    let full = config.finetuning_type == FinetuningType::Full;
    let kind = (full, BaseFormat::from(&config));
    let mut model = block_on(Model::load_base(files, kind, 0, device, &mut |_, _| ())).expect("it loads");
    assert_eq!(said.base_bytes, model.info.weight_bytes, "{what}: the base's bytes");
    if !full {
        let adapter = AdapterConfig {
            r: config.lora_r,
            lora_dropout: config.lora_dropout,
            target_modules: config.target_modules.clone(),
            ..AdapterConfig::default()
        };
        model.attach_lora(&adapter, 0).expect("the modules are there");
    }
    assert_eq!(
        said.trained_parameters,
        model.parameters.weights(),
        "{what}: trained weights"
    );
    let batch_of = |model: &Model, rows: usize| match model.input_features() {
        Some(count) => rows_of_numbers(rows, count),
        None => full_batch(rows, config.cutoff_len, vocab),
    };
    let watch = device::watch_memory();
    if config.val_size > 0.0 {
        // A run has its moments before its first score.
        let _moments = AdamW::new(&model.parameters, &config);
        let rows = batch_of(&model, config.per_device_eval_batch_size);
        let loss = model
            .loss(&model.parameters.plain(), &rows, 1.0, None)
            .expect("labels that fit");
        assert!(block_on(read(loss)).expect("a score")[0].is_finite());
    }
    let rows = batch_of(&model, config.per_device_train_batch_size);
    let step = |_| vec![rows.clone(); config.gradient_accumulation_steps];
    take_steps(&mut model, &config, step, |_, _, done, _| {
        assert!(done.loss.is_finite())
    });
    let counted = watch.peak_bytes() - before;
    drop((watch, model));
    let ratio = said.peak_bytes.expect("a peak") as f64 / counted as f64;
    assert!(
        (ratio - 1.0).abs() <= tolerance,
        "{what}: counted {counted}, said {ratio:.3} times that: {said:?}"
    );
    counted
}

#[test]
fn runs_that_compute_layers_anew_take_what_they_are_said_to_take_and_less_than_others() {
    alone(|| {
        let (device, _) = block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan driver");
        let shape = Decoder {
            layers: 6,
            width: 64,
            inner: 160,
            heads: 4,
            kv_heads: 2,
            vocab: 256,
            positions: 1024,
        };
        let lora = RunConfig {
            target_modules: TargetModules::Pattern("all-linear".into()),
            lora_dropout: 0.0,
            val_size: 0.0,
            gradient_accumulation_steps: 1,
            cutoff_len: 64,
            per_device_train_batch_size: 8,
            lora_r: 4,
            ..RunConfig::default()
        };
        let packed = RunConfig {
            quantization_bit: Some(4),
            lora_dropout: 0.1,
            gradient_accumulation_steps: 2,
            ..lora.clone()
        };
        let full = RunConfig {
            finetuning_type: FinetuningType::Full,
            ..lora.clone()
        };
        let long = RunConfig {
            cutoff_len: 1024,
            per_device_train_batch_size: 1,
            ..packed.clone()
        };
        for (what, files, config) in [
            ("Llama", open(shape.llama()), lora.clone()),
            ("Llama, packed", open(shape.llama()), packed),
            ("Llama, all trained", open(shape.llama()), full.clone()),
            ("Llama, long rows", open(shape.llama()), long),
            ("GPT-2", open(shape.gpt2()), lora.clone()),
            (
                "BERT's classifier",
                shape.bert("BertForSequenceClassification"),
                lora.clone(),
            ),
            ("ModernBERT", shape.modernbert("ModernBertForMaskedLM"), full.clone()),
            ("Gemma", shape.gemma2(), lora.clone()),
            ("T5", shape.t5(), lora),
            ("T5, all trained", shape.t5(), full),
        ] {
            let of = |gradient_checkpointing| {
                let config = RunConfig {
                    gradient_checkpointing,
                    ..config.clone()
                };
                check_within(PARTS_TOLERANCE, &device, what, (&files, shape.vocab), config)
            };
            let (with, without) = (of(true), of(false));
            println!("{what}: {with} bytes, {without} without");
            assert!(with < without, "{what}: {with} bytes, {without} without");
        }
    });
}

/// Which have no linears for adapters.
const RECURRENT: [&str; 3] = ["small_rnn", "small_lstm", "small_gru"];

/// Small models of all kinds, with their vocabularies where they read tokens.
fn small_models() -> Vec<(&'static str, Value, usize)> {
    let texts = json!({"hidden_size": 48, "num_hidden_layers": 2, "vocab_size": 256});
    let mut models = vec![
        (
            "small_mlp",
            json!({"hidden_size": 256, "num_hidden_layers": 3, "input_size": 300}),
            0,
        ),
        ("small_mlp", texts.clone(), 256),
        (
            "small_vit",
            json!({"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "hidden_act": "gelu",
                "image_size": 28, "patch_size": 4}),
            0,
        ),
        (
            "small_series",
            json!({"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "hidden_act": "silu",
                "num_channels": 3, "context_length": 150, "patch_length": 4}),
            0,
        ),
    ];
    models.extend(RECURRENT.map(|kind| (kind, texts.clone(), 256)));
    models
}

#[test]
fn runs_take_what_they_are_said_to_take() {
    alone(|| {
        let (device, _) = block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan driver");
        let small = Decoder {
            layers: 3,
            width: 64,
            inner: 160,
            heads: 4,
            kv_heads: 2,
            vocab: 256,
            positions: 256,
        };
        let lora = RunConfig {
            target_modules: TargetModules::Pattern("all-linear".into()),
            lora_dropout: 0.0,
            val_size: 0.0,
            gradient_accumulation_steps: 1,
            ..RunConfig::default()
        };

        let config = RunConfig {
            cutoff_len: 64,
            per_device_train_batch_size: 8,
            lora_r: 4,
            ..lora.clone()
        };
        check(
            &device,
            "activations",
            &open(small.llama()),
            small.vocab,
            config.clone(),
        );
        let with_dropout = RunConfig {
            lora_dropout: 0.1,
            quantization_bit: Some(8),
            target_modules: TargetModules::Names(vec!["q_proj".into(), "v_proj".into()]),
            gradient_accumulation_steps: 2,
            ..config.clone()
        };
        check(
            &device,
            "two modules, packed",
            &open(small.llama()),
            small.vocab,
            with_dropout,
        );
        check(&device, "GPT-2", &open(small.gpt2()), small.vocab, config.clone());
        let classifier = &small.bert("BertForSequenceClassification");
        check(&device, "BERT's classifier", classifier, small.vocab, config.clone());
        for (name, files) in [
            ("BERT", small.bert("BertForMaskedLM")),
            ("ModernBERT", small.modernbert("ModernBertForMaskedLM")),
            ("Gemma", small.gemma2()),
        ] {
            check(&device, name, &files, small.vocab, config.clone());
            let all_trained = RunConfig {
                finetuning_type: FinetuningType::Full,
                ..config.clone()
            };
            check(
                &device,
                &format!("{name}, all trained"),
                &files,
                small.vocab,
                all_trained,
            );
        }

        let full = RunConfig {
            finetuning_type: FinetuningType::Full,
            ..config.clone()
        };
        check(&device, "T5", &small.t5(), small.vocab, config.clone());
        check(&device, "T5, all trained", &small.t5(), small.vocab, full.clone());
        for (kind, sizes, vocab) in small_models() {
            let files = &generated::small(kind, sizes);
            let what = format!("{kind}, all trained");
            if RECURRENT.contains(&kind) {
                check_within(RECURRENT_TOLERANCE, &device, &what, (files, vocab), full.clone());
            } else {
                check_within(SMALL_TOLERANCE, &device, kind, (files, vocab), config.clone());
                check_within(SMALL_TOLERANCE, &device, &what, (files, vocab), full.clone());
            }
        }

        let wide = Decoder {
            layers: 2,
            width: 256,
            inner: 2048,
            vocab: 512,
            ..small
        };
        let config = RunConfig {
            cutoff_len: 16,
            per_device_train_batch_size: 1,
            gradient_accumulation_steps: 3,
            quantization_bit: Some(4),
            bnb_4bit_use_double_quant: true,
            lora_r: 16,
            ..lora.clone()
        };
        check(
            &device,
            "weights, packed",
            &open(wide.llama()),
            wide.vocab,
            config.clone(),
        );
        let full = RunConfig {
            finetuning_type: FinetuningType::Full,
            quantization_bit: None,
            bnb_4bit_use_double_quant: false,
            ..config
        };
        check(&device, "weights, all trained", &open(wide.llama()), wide.vocab, full);

        let many_tokens = Decoder {
            layers: 1,
            vocab: 40_000,
            ..small
        };
        let config = RunConfig {
            cutoff_len: 128,
            per_device_train_batch_size: 2,
            lora_r: 8,
            ..lora.clone()
        };
        check(
            &device,
            "vocabulary",
            &open(many_tokens.llama()),
            many_tokens.vocab,
            config,
        );

        let config = RunConfig {
            cutoff_len: 256,
            per_device_train_batch_size: 2,
            lora_r: 8,
            ..lora.clone()
        };
        check(&device, "long rows", &open(small.llama()), small.vocab, config);

        let config = RunConfig {
            cutoff_len: 64,
            per_device_train_batch_size: 1,
            per_device_eval_batch_size: 24,
            val_size: 0.1,
            lora_r: 8,
            ..lora
        };
        check(&device, "a score", &open(small.llama()), small.vocab, config);
    });
}
