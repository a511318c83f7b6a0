//! What a packed base takes on the device, counted by the device's allocator: never a dense copy, forward or backward.
//!
//! A program of its own with a single test, because the allocator's books are the process's.

use burn::tensor::Device;
use lorakeet_core::{
    config::{RunConfig, TargetModules},
    device,
    formats::{ModelFiles, peft::AdapterConfig, safetensors::write_f32},
    models::Model,
    protocol::DeviceChoice,
    quant::Base,
    random::Generator,
    store::{MemoryFile, Source},
};
use lorakeet_tests::{
    golden::block_on,
    trajectory::{batch, take_steps},
};
use serde_json::json;

const WIDTH: usize = 256;
const INNER: usize = 4096;
const LAYERS: usize = 3;
const VOCAB: usize = 2048;

/// A Llama whose matrices are large and whose activations are small.
fn files() -> Vec<Source> {
    let config = json!({
        "model_type": "llama", "hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": LAYERS,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": VOCAB, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true, "hidden_act": "silu"
    });
    let mut generator = Generator::new(3, "init");
    let mut tensors = Vec::new();
    let mut add = |name: String, shape: &[usize]| {
        let count = shape.iter().product();
        let is_norm = name.contains("norm");
        let value = |_| if is_norm { 1.0 } else { generator.normal() as f32 * 0.02 };
        tensors.push((name, shape.to_vec(), (0..count).map(value).collect()));
    };
    add("model.embed_tokens.weight".into(), &[VOCAB, WIDTH]);
    add("model.norm.weight".into(), &[WIDTH]);
    for layer in 0..LAYERS {
        for (part, shape) in [
            ("input_layernorm", vec![WIDTH]),
            ("post_attention_layernorm", vec![WIDTH]),
            ("self_attn.q_proj", vec![WIDTH, WIDTH]),
            ("self_attn.k_proj", vec![WIDTH / 2, WIDTH]),
            ("self_attn.v_proj", vec![WIDTH / 2, WIDTH]),
            ("self_attn.o_proj", vec![WIDTH, WIDTH]),
            ("mlp.gate_proj", vec![INNER, WIDTH]),
            ("mlp.up_proj", vec![INNER, WIDTH]),
            ("mlp.down_proj", vec![WIDTH, INNER]),
        ] {
            add(format!("model.layers.{layer}.{part}.weight"), &shape);
        }
    }
    vec![
        MemoryFile::source("config.json", config.to_string().into_bytes()),
        MemoryFile::source("model.safetensors", write_f32(&tensors).expect("shapes fit")),
    ]
}

/// The largest allocation that the device ever made.
fn largest_allocation(device: &Device) -> u64 {
    let report = device.memory_pool_report().expect("the device tells its pools");
    report.iter().map(|pool| pool.largest_alloc).max().expect("a pool")
}

#[test]
fn training_on_a_packed_base_never_holds_a_dense_matrix() {
    let (device, _) = block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan driver");
    let files = block_on(ModelFiles::open(files())).expect("the files open");
    let config = RunConfig {
        quantization_bit: Some(4),
        max_steps: 2,
        ..RunConfig::default()
    };
    let base = Base::from(&config);
    let mut model = block_on(Model::load_base(&files, (false, base), 0, &device, &mut |_, _| ())).expect("it loads");
    let adapter = AdapterConfig {
        target_modules: TargetModules::Pattern("all-linear".into()),
        ..AdapterConfig::default()
    };
    model.attach_lora(&adapter, 0).expect("all linears");

    let dense = 4 * (INNER * WIDTH) as u64;
    let table = 4 * (VOCAB * WIDTH) as u64;
    let linears = model.info.parameters - (VOCAB * WIDTH) as u64;
    let packed_bits = (model.info.weight_bytes - table) as f64 * 8.0 / linears as f64;
    assert!((4.0..4.5).contains(&packed_bits), "{packed_bits} bits a weight");

    let ids: Vec<f64> = (0..16).map(|i| f64::from(i * 37 % 2000)).collect();
    let ones = vec![1.0; 16];
    let step = |_| vec![batch(16, &ids, &ones, &ids)];
    take_steps(&mut model, &config, step, |_, _, done, _| {
        assert!(done.loss.is_finite())
    });
    // The 32-bit embedding is the largest thing there is; a dense copy of a linear would be twice as large.
    let largest = largest_allocation(&device);
    assert!(
        largest <= table && table < dense,
        "an allocation of {largest} bytes, where a dense matrix takes {dense} and the embedding {table}"
    );
    let in_use = device::memory_bytes(&device).expect("the device counts");
    assert!(
        in_use < model.info.weight_bytes + dense / 2,
        "{in_use} bytes in use for weights of {}",
        model.info.weight_bytes
    );
    // The books do notice: a dense matrix of the same size is the largest allocation from here on.
    let dense_matrix = burn::tensor::Tensor::<2>::ones([INNER, WIDTH], &device);
    assert_eq!(
        block_on(lorakeet_core::models::read(dense_matrix.sum())).expect("the device answers")[0],
        (INNER * WIDTH) as f32
    );
    assert!(largest_allocation(&device) >= dense);
}
