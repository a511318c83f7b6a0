//! A GPU whose buffers hold 128 MiB, WebGPU's floor, and heads that are larger: SmolLM2's vocabulary in 32 bits is just
//! below it, Qwen's is not in any of the formats that checkpoints come in.
//!
//! In a process of its own, because the GPU is opened once a process.

use burn::tensor::wgpu::wgpu;
use lorakeet_core::{
    config::{RunConfig, TargetModules},
    device,
    formats::{ModelFiles, peft::AdapterConfig},
    models::{Model, read},
    protocol::DeviceChoice,
    random::Generator,
    store::{MemoryFile, Source},
};
use lorakeet_tests::{
    alone::alone,
    golden::block_on,
    software_gpu,
    trajectory::{batch, take_steps},
};
use serde_json::{Value, json};

/// WebGPU's default for maxStorageBufferBindingSize.
const LIMIT: u64 = 128 << 20;

/// A model of one thin layer under a vocabulary of `vocab` × `width`, stored in 16 bits (BF16) or 32.
fn files(vocab: usize, width: usize, halves: bool) -> Vec<Source> {
    let inner = 64;
    let config = json!({
        "model_type": "qwen2", "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": vocab, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": true, "hidden_act": "silu"
    });
    let mut generator = Generator::new(5, "init");
    let (mut header, mut data) = (serde_json::Map::new(), Vec::<u8>::new());
    let mut add = |name: String, shape: Vec<usize>| {
        let start = data.len();
        for _ in 0..shape.iter().product::<usize>() {
            let value = if name.contains("norm") {
                1.0
            } else {
                // Cheap noise is noise enough: there are a hundred million of them.
                ((generator.next_u64() >> 40) as f32 / (1 << 23) as f32 - 1.0) * 0.05
            };
            let bytes = value.to_bits().to_le_bytes();
            data.extend_from_slice(if halves { &bytes[2..] } else { &bytes });
        }
        let dtype = if halves { "BF16" } else { "F32" };
        header.insert(
            name,
            json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, data.len()] }),
        );
    };
    add("model.embed_tokens.weight".into(), vec![vocab, width]);
    add("model.norm.weight".into(), vec![width]);
    let at = |part: &str| format!("model.layers.0.{part}");
    add(at("input_layernorm.weight"), vec![width]);
    add(at("post_attention_layernorm.weight"), vec![width]);
    for (name, rows) in [("q_proj", width), ("k_proj", width / 2), ("v_proj", width / 2)] {
        add(at(&format!("self_attn.{name}.weight")), vec![rows, width]);
        add(at(&format!("self_attn.{name}.bias")), vec![rows]);
    }
    add(at("self_attn.o_proj.weight"), vec![width, width]);
    add(at("mlp.gate_proj.weight"), vec![inner, width]);
    add(at("mlp.up_proj.weight"), vec![inner, width]);
    add(at("mlp.down_proj.weight"), vec![width, inner]);
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.append(&mut header);
    file.append(&mut data);
    vec![
        MemoryFile::source("config.json", config.to_string().into_bytes()),
        MemoryFile::source("model.safetensors", file),
    ]
}

/// Losses of two steps, and the logits' sum of squares of one token.
fn trained(files: &[Source], vocab: usize, choice: DeviceChoice) -> Vec<f64> {
    let (device, _) = block_on(device::open(choice)).expect("the device opens");
    let files = block_on(ModelFiles::open(files.to_vec())).expect("the files open");
    let mut model = block_on(Model::load(&files, false, 0, &device, &mut |_, _| ())).expect("the model loads");
    let adapter = AdapterConfig {
        target_modules: TargetModules::Pattern("all-linear".into()),
        ..AdapterConfig::default()
    };
    model.attach_lora(&adapter, 1).expect("all linears");
    // Ids from every part of the vocabulary.
    let ids: Vec<f64> = (0..6).map(|i| (i * (vocab - 1) / 5) as f64).collect();
    let ones = vec![1.0; ids.len()];
    let config = RunConfig {
        max_steps: 2,
        learning_rate: 1e-2,
        ..RunConfig::default()
    };
    let mut numbers = Vec::new();
    take_steps(
        &mut model,
        &config,
        |_| vec![batch(ids.len(), &ids, &ones, &ids)],
        |_, _, done, _| numbers.extend([done.loss, done.grad_norm]),
    );
    let leaves = model.parameters.plain();
    let mut cache = model.new_cache();
    let logits = model.next_logits(&leaves, &[(vocab - 1) as u32], &mut cache, true);
    let sum = block_on(read(logits.powi_scalar(2).sum())).expect("the device answers");
    numbers.push(f64::from(sum[0]));
    numbers
}

#[test]
fn vocabularies_larger_than_a_buffer_train_where_buffers_hold_128_mib() {
    alone(|| {
        let opened = software_gpu::open(|adapter| {
            let limits = wgpu::Limits {
                max_storage_buffer_binding_size: LIMIT,
                max_buffer_size: 2 * LIMIT,
                ..adapter.limits()
            };
            (adapter.features(), limits)
        });
        device::adopt(opened).expect("a GPU");
        let (_, info) = block_on(device::open(DeviceChoice::Gpu)).expect("the GPU");
        assert_eq!(info.max_binding_bytes, LIMIT);
        for (name, vocab, width, halves) in [
            ("SmolLM2's in 16 bits", 49_152, 576, true),
            ("Qwen2.5's in 16 bits", 151_936, 896, true),
            ("one of 138 MB in 32 bits", 60_000, 576, false),
        ] {
            let files = files(vocab, width, halves);
            let (gpu, cpu) = (
                trained(&files, vocab, DeviceChoice::Gpu),
                trained(&files, vocab, DeviceChoice::Cpu),
            );
            assert_eq!(gpu.len(), 5);
            for (gpu, cpu) in gpu.iter().zip(&cpu) {
                assert!(
                    (gpu - cpu).abs() <= 1e-3 * cpu.abs(),
                    "{name}: {gpu} on the GPU, {cpu} on the CPU"
                );
            }
        }
    });
}
