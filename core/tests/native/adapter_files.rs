//! Adapters of PEFT, llama.cpp and mlx-lm, recognised by their contents and read without a base.

use crate::common::gguf::GgufWriter;
use crate::common::{golden_folders, now};
use lorakeet_core::formats::adapter_files::{AdapterFiles, AdapterForm, AdapterModules, holds_adapter};
use lorakeet_core::formats::safetensors::write_f32;
use lorakeet_core::store::{DiskFile, MemoryFile, Source};

/// A GGUF adapter on q of the first layer, R = 2, in = 4, out = 3, whose numbers count up.
fn gguf(alpha: Option<f32>) -> GgufWriter {
    let mut writer = GgufWriter::new();
    writer.text("general.type", "adapter");
    writer.text("general.architecture", "qwen2");
    writer.text("adapter.type", "lora");
    if let Some(alpha) = alpha {
        writer.f32("adapter.lora.alpha", alpha);
    }
    writer.tensor_f32("blk.0.attn_q.weight.lora_a", &[2, 4]);
    writer.tensor_f32("blk.0.attn_q.weight.lora_b", &[3, 2]);
    writer
}

fn file(writer: &GgufWriter) -> Vec<Source> {
    vec![MemoryFile::source("any name", writer.bytes())]
}

fn modules(files: Vec<Source>) -> AdapterModules {
    let opened = now(AdapterFiles::open(files)).expect("it is an adapter");
    opened.modules().expect("its modules are whole")
}

fn refused(files: Vec<Source>) -> String {
    now(AdapterFiles::open(files))
        .map(drop)
        .expect_err("it is refused")
        .to_string()
}

#[test]
fn a_gguf_adapter_is_known_by_its_contents_and_scaled_by_alpha() {
    for (alpha, scale) in [(Some(5.0), 2.5), (Some(0.0), 1.0), (None, 1.0)] {
        let files = file(&gguf(alpha));
        assert!(now(holds_adapter(&files)).expect("it is read"));
        let read = modules(files);
        let architecture = "qwen2".to_owned();
        assert_eq!(read.form, AdapterForm::Gguf { architecture });
        let [module] = &read.modules[..] else {
            panic!("{read:?}")
        };
        assert_eq!(
            (module.name.as_str(), module.rank, module.scale()),
            ("blk.0.attn_q.weight", 2, scale)
        );
        assert_eq!((module.inputs(), module.outputs()), (4, 3));
        assert_eq!(module.a, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    }
    let mut table = gguf(None);
    table.tensor_f32("token_embd.weight.lora_a", &[3, 1]);
    table.tensor_f32("token_embd.weight.lora_b", &[2, 1]);
    let read = modules(file(&table));
    assert_eq!((read.modules[1].rank, read.modules[1].inputs()), (1, 3));
}

#[test]
fn what_a_gguf_adapter_says_beside_lora_is_refused_by_name() {
    let mut other = gguf(None);
    other.without("adapter.type").text("adapter.type", "control");
    assert!(refused(file(&other)).contains("control"));
    let mut alora = gguf(None);
    alora.i32s("adapter.alora.invocation_tokens", &[1, 2]);
    assert!(refused(file(&alora)).contains("alora"));
    let mut more = gguf(None);
    more.tensor_f32("output_norm.weight", &[4]);
    assert!(refused(file(&more)).contains("output_norm.weight"));
    let mut half = gguf(None);
    half.tensor_f32("blk.0.attn_k.weight.lora_a", &[2, 4]);
    assert!(refused(file(&half)).contains("blk.0.attn_k.weight.lora_a"));
    let mut ranks = gguf(None);
    ranks
        .without("blk.0.attn_q.weight.lora_b")
        .tensor_f32("blk.0.attn_q.weight.lora_b", &[3, 5]);
    assert!(refused(file(&ranks)).contains("B is [3, 5]"));
    let mut model = GgufWriter::llama(&["a"], &[]);
    model.tensor_f32("output_norm.weight", &[32]);
    assert!(!now(holds_adapter(&file(&model))).expect("it is read"));
    assert!(refused(file(&model)).contains("is a model, not an adapter"));
}

#[test]
fn mlx_lm_has_its_matrices_turned_and_one_scale() {
    let a: Vec<f32> = (0..8).map(|i| i as f32).collect();
    let b: Vec<f32> = (0..6).map(|i| i as f32).collect();
    let path = "model.layers.0.self_attn.q_proj";
    let tensors = [
        (format!("{path}.lora_a"), vec![4, 2], a),
        (format!("{path}.lora_b"), vec![2, 3], b),
    ];
    let files = |config: &str| {
        vec![
            MemoryFile::source("adapter_config.json", config.as_bytes().to_vec()),
            MemoryFile::source("adapters.safetensors", write_f32(&tensors).expect("a file")),
        ]
    };
    let read = modules(files(
        r#"{"fine_tune_type":"lora","num_layers":8,"lora_parameters":{"rank":2,"scale":20.0,"dropout":0.1}}"#,
    ));
    let [module] = &read.modules[..] else {
        panic!("{read:?}")
    };
    assert_eq!((module.name.as_str(), module.scale(), module.alpha), (path, 20.0, 40.0));
    assert_eq!(module.a, [0.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0, 7.0]);
    assert_eq!(module.b, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    for (config, word) in [
        (r#"{"fine_tune_type":"lora"}"#, "lora_parameters"),
        (r#"{"lora_parameters":{"rank":2}}"#, "lora_parameters.scale"),
        (r#"{"lora_parameters":{"scale":1e300}}"#, "lora_parameters.scale"),
        (r#"{"lora_parameters":{"scale":1,"keys":[1]}}"#, "lora_parameters.keys"),
        (r#"{"fine_tune_type":"dora","lora_parameters":{"scale":1}}"#, "q_proj.m"),
    ] {
        assert!(
            refused(files(config)).contains(word),
            "{config}: {}",
            refused(files(config))
        );
    }
    let config = files(r#"{"lora_parameters":{"scale":1}}"#).remove(0);
    assert!(refused(vec![config]).contains("adapters.safetensors"));
}

#[test]
fn pefts_adapters_have_their_modules() {
    for folder in golden_folders("A", "adapter_config.json") {
        let names = ["adapter_config.json", "adapter_model.safetensors"];
        let files = names.map(|name| DiskFile::source(folder.join(name)).expect("it is there"));
        let read = modules(files.to_vec());
        assert_eq!(read.form, AdapterForm::Peft);
        assert!(!read.modules.is_empty(), "{}", folder.display());
    }
}
