//! GPUs with the limits that WebGPU gives every adapter, and no more.
//!
//! In processes of their own, because the GPU is opened once a process.

use burn::tensor::wgpu::wgpu;
use lorakeet_core::{
    config::{FinetuningType, RunConfig, TargetModules},
    data::Batch,
    device,
    error::{Error, Kind},
    formats::{ModelFiles, peft::AdapterConfig},
    models::Model,
    protocol::DeviceChoice,
    quant::BaseFormat,
    store::{MemoryFile, Source},
};
use lorakeet_tests::{
    alone::alone,
    generated::Decoder,
    golden::block_on,
    software_gpu,
    test_session::{TestSession, failure},
    tiny,
    trajectory::{batch, take_steps},
};
use serde_json::json;

const SHAPE: Decoder = Decoder {
    layers: 2,
    width: 64,
    inner: 160,
    heads: 4,
    kv_heads: 2,
    vocab: 256,
    positions: 64,
};

/// Losses and norms of two steps of `config`.
fn trained(files: &ModelFiles, config: &RunConfig, choice: DeviceChoice) -> Vec<f64> {
    let (device, _) = block_on(device::open(choice)).expect("the device opens");
    let full = config.finetuning_type == FinetuningType::Full;
    let kind = (full, BaseFormat::from(config));
    let mut model = block_on(Model::load_base(files, kind, 0, &device, &mut |_, _| ())).expect("the model loads");
    if !full {
        let adapter = AdapterConfig {
            target_modules: TargetModules::Pattern("all-linear".into()),
            ..AdapterConfig::default()
        };
        model.attach_lora(&adapter, 1).expect("all linears");
    }
    let (rows, tokens) = (2, 24);
    let ids: Vec<f64> = (0..rows * tokens).map(|i| (i * 37 % SHAPE.vocab) as f64).collect();
    let rows = Batch {
        row_labels: vec![1.0; rows],
        ..batch(tokens, &ids, &vec![1.0; ids.len()], &ids)
    };
    let mut numbers = Vec::new();
    take_steps(
        &mut model,
        config,
        |_| vec![rows.clone()],
        |_, _, done, _| numbers.extend([done.loss, done.grad_norm]),
    );
    numbers
}

#[test]
fn every_architecture_trains_with_the_limits_that_all_adapters_have() {
    alone(|| {
        // burn's runtime asks the adapter for its features, whatever the device was opened with; in Chromium, where they can be
        // hidden, `page::gpus` trains without any.
        let setup = software_gpu::open(|adapter| (adapter.features(), wgpu::Limits::default()));
        assert_eq!(setup.device.limits().max_storage_buffers_per_shader_stage, 8);
        assert_eq!(setup.device.limits().max_compute_invocations_per_workgroup, 256);
        device::adopt(setup).expect("a GPU");
        let lora = RunConfig {
            max_steps: 2,
            learning_rate: 1e-3,
            ..RunConfig::default()
        };
        let packed = RunConfig {
            quantization_bit: Some(4),
            ..lora.clone()
        };
        let full = RunConfig {
            finetuning_type: FinetuningType::Full,
            ..lora.clone()
        };
        let open = |files: Vec<Source>| block_on(ModelFiles::open(files)).expect("the files open");
        for (name, files) in [
            ("Llama", open(SHAPE.llama())),
            ("GPT-2", open(SHAPE.gpt2())),
            ("Gemma", SHAPE.gemma2()),
            ("BERT", SHAPE.bert("BertForMaskedLM")),
            ("BERT's classifier", SHAPE.bert("BertForSequenceClassification")),
            ("ModernBERT", SHAPE.modernbert("ModernBertForMaskedLM")),
            ("T5", SHAPE.t5()),
        ] {
            for (kind, config) in [("LoRA", &lora), ("4 bit", &packed), ("full", &full)] {
                let on = |choice| trained(&files, config, choice);
                let (gpu, cpu) = (on(DeviceChoice::Gpu), on(DeviceChoice::Cpu));
                assert_eq!(gpu.len(), 4);
                for (gpu, cpu) in gpu.iter().zip(&cpu) {
                    assert!(
                        (gpu - cpu).abs() <= 1e-3 * cpu.abs(),
                        "{name}, {kind}: {gpu} on the GPU, {cpu} on the CPU"
                    );
                }
            }
        }
    });
}

/// 64 rows of `letters` letters.
fn rows_of(letters: usize) -> Source {
    let row = json!({ "prompt": "say a", "completion": "b".repeat(letters) });
    MemoryFile::source("rows.jsonl", format!("{row}\n").repeat(64).into_bytes())
}

/// A run on rows of the tiny model's longest.
fn run_of(rows: usize) -> RunConfig {
    RunConfig {
        per_device_train_batch_size: rows,
        cutoff_len: 128,
        val_size: 0.0,
        max_steps: 1,
        save_steps: 100.0,
        ..tiny::config()
    }
}

fn refusal(session: &mut TestSession, config: RunConfig) -> Error {
    session.train(config);
    failure(session)
}

#[test]
fn a_run_with_a_tensor_that_no_buffer_can_hold_is_refused_by_its_name_with_what_would_fit() {
    alone(|| {
        let opened = software_gpu::open(|adapter| {
            let limits = wgpu::Limits {
                max_storage_buffer_binding_size: 1 << 20,
                ..adapter.limits()
            };
            (adapter.features(), limits)
        });
        device::adopt(opened).expect("a GPU");
        let open = |letters| TestSession::with(DeviceChoice::Gpu, tiny::model_files(), rows_of(letters));
        // 64 rows of 128 tokens, an MLP of 64: 64 · 128 · 64 numbers take 2 MiB. Scores of attention are no tensor.
        let mut session = open(200);
        let error = refusal(&mut session, run_of(64));
        assert_eq!(error.kind, Kind::OutOfMemory);
        let text = error.to_string();
        for part in [
            "activations [8192, 64]",
            "2 MiB",
            "1 MiB",
            "per_device_train_batch_size to 32",
            "cutoff_len to 64",
        ] {
            assert!(text.contains(part), "{part} is missing: {text}");
        }
        // What it says would fit does.
        session.train(run_of(32));
        session.summary();
        session.train(RunConfig {
            cutoff_len: 64,
            ..run_of(64)
        });
        session.summary();
        // So do rows that are short, whatever cutoff_len allows.
        let mut session = open(40);
        session.train(run_of(64));
        session.summary();
    });
}

#[test]
fn a_run_that_takes_more_than_the_host_allows_is_refused_before_it_begins() {
    alone(|| {
        let mut session = TestSession::open();
        device::limit_memory(100_000);
        let error = refusal(&mut session, tiny::config());
        assert_eq!(error.kind, Kind::OutOfMemory);
        assert!(error.to_string().contains("cutoff_len"), "{error}");
        assert!(session.steps().is_empty());
        device::limit_memory(100_000_000);
        session.train(tiny::config());
        session.summary();
    });
}
