//! The golden checkpoints written as llama.cpp's converter writes them, loaded again, and held to the reference's numbers.
//!
//! GGUF leaves two things out that these cases may have and published models do not: T5's largest distance, which is 128
//! there, so that its numbers are held to those of the same weights with 128; and the scale of Gemma's scores, which is written
//! under the key that llama.cpp has for other models.

use burn::tensor::{Device, Tensor};
use lorakeet_core::{
    config::TargetModules,
    data::Batch,
    device,
    formats::{
        ModelFiles, Storage,
        blocks::decode,
        peft::{Adapter, AdapterConfig},
        safetensors::write_f32,
    },
    models::Model,
    protocol::DeviceChoice,
    store::MemoryFile,
};
use lorakeet_tests::{
    ggml,
    gguf::GgufWriter,
    golden::{Case, block_on, words, worst_difference},
    trajectory::whole_batch,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// T5's largest distance in every GGUF file.
const DISTANCE: u64 = 128;

/// The folder's models that are written here: names and numbers of Llama's and GPT-2's change in other ways.
fn models() -> Vec<Case> {
    let mut cases = Case::all("A");
    cases.retain(|case| {
        let model_type = &case.config()["model_type"];
        let kind = case.kind();
        match model_type.as_str().expect("a type") {
            "bert" => true,
            "gemma2" | "gemma3_text" | "qwen2" | "qwen3" => kind == "causal",
            "t5" => kind == "seq2seq",
            _ => false,
        }
    });
    assert!(!cases.is_empty(), "the folder has models");
    cases
}

/// A tensor under Hugging Face's name.
type Numbers = (String, Vec<usize>, Vec<f32>);

/// Hugging Face's parts of names and llama.cpp's, in the order in which they are put in each other's place.
fn parts(architecture: &str) -> Vec<(&'static str, &'static str)> {
    let attention = [
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("self_attn.q_norm", "attn_q_norm"),
        ("self_attn.k_norm", "attn_k_norm"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("model.layers.", "blk."),
        ("input_layernorm", "attn_norm"),
    ];
    match architecture {
        "bert" => vec![
            ("bert.", ""),
            ("embeddings.word_embeddings", "token_embd"),
            ("embeddings.position_embeddings", "position_embd"),
            ("embeddings.token_type_embeddings", "token_types"),
            ("embeddings.LayerNorm", "token_embd_norm"),
            ("encoder.layer.", "blk."),
            ("attention.self.query", "attn_q"),
            ("attention.self.key", "attn_k"),
            ("attention.self.value", "attn_v"),
            ("attention.output.dense", "attn_output"),
            ("attention.output.LayerNorm", "attn_output_norm"),
            ("intermediate.dense", "ffn_up"),
            ("output.dense", "ffn_down"),
            ("output.LayerNorm", "layer_output_norm"),
        ],
        "t5" => vec![
            ("shared", "token_embd"),
            ("lm_head", "output"),
            ("encoder.final_layer_norm", "enc.output_norm"),
            ("decoder.final_layer_norm", "dec.output_norm"),
            ("encoder.block.", "enc.blk."),
            ("decoder.block.", "dec.blk."),
            ("layer.0.SelfAttention.relative_attention_bias", "attn_rel_b"),
            ("layer.0.SelfAttention.", "attn_"),
            ("layer.1.EncDecAttention.", "cross_attn_"),
            ("layer.0.layer_norm", "attn_norm"),
            ("layer.2.layer_norm", "ffn_norm"),
            ("layer.2.DenseReluDense.", "layer.1.DenseReluDense."),
            ("layer.1.DenseReluDense.wi_0", "ffn_gate"),
            ("layer.1.DenseReluDense.wi_1", "ffn_up"),
            ("layer.1.DenseReluDense.wi", "ffn_up"),
            ("layer.1.DenseReluDense.wo", "ffn_down"),
        ],
        "gemma2" | "gemma3" => [
            &attention[..],
            &[
                ("post_attention_layernorm", "post_attention_norm"),
                ("pre_feedforward_layernorm", "ffn_norm"),
                ("post_feedforward_layernorm", "post_ffw_norm"),
            ],
        ]
        .concat(),
        _ => [
            &attention[..],
            &[("post_attention_layernorm", "ffn_norm"), ("lm_head", "output")],
        ]
        .concat(),
    }
}

/// The name that llama.cpp's converter gives; `None` for what it leaves out.
fn gguf_name(architecture: &str, name: &str) -> Option<String> {
    if ["pooler", "classifier", "cls.predictions"]
        .iter()
        .any(|part| name.contains(part))
    {
        return None;
    }
    let mut name = name.to_owned();
    if architecture == "t5" {
        let norm = if name.starts_with("encoder") {
            "ffn_norm"
        } else {
            "cross_attn_norm"
        };
        name = name.replace("layer.1.layer_norm", norm);
    }
    for (from, to) in parts(architecture) {
        name = name.replace(from, to);
    }
    Some(name)
}

/// A case's model in both forms.
struct Both {
    gguf: Vec<u8>,
    safetensors: ModelFiles,
}

impl Both {
    fn of(case: &Case, change: impl Fn(&str, &[usize], &[f32]) -> Written) -> Self {
        let mut config = case.config();
        let model_type = config["model_type"].as_str().expect("a type").to_owned();
        let architecture = model_type.trim_end_matches("_text");
        let mut writer = GgufWriter::new();
        write_metadata(&mut writer, architecture, &config);
        let mut tensors = Vec::new();
        for (name, tensor) in case.tensors("model.safetensors") {
            let mut values: Vec<f32> = tensor.values.iter().map(|&value| value as f32).collect();
            let shape: Vec<u64> = tensor.shape.iter().map(|&size| size as u64).collect();
            if let Some(name) = gguf_name(architecture, &name) {
                let stored: Vec<f32> = match architecture {
                    "gemma2" | "gemma3" if name.ends_with("norm.weight") => values.iter().map(|w| w + 1.0).collect(),
                    _ => values.clone(),
                };
                let written = change(&name, &tensor.shape, &stored);
                writer.tensor(&name, &shape, written.kind, written.bytes);
                if let Some(rounded) = written.rounded {
                    values = rounded;
                }
            }
            tensors.push((name, tensor.shape, values));
        }
        match architecture {
            "bert" => config["architectures"] = json!(["BertModel"]),
            "t5" => config["relative_attention_max_distance"] = json!(DISTANCE),
            _ => (),
        }
        Self {
            gguf: writer.bytes(),
            safetensors: open_safetensors(&config, &tensors),
        }
    }
}

/// A tensor as GGUF stores it.
struct Written {
    kind: u32,
    bytes: Vec<u8>,
    /// The numbers that it holds, where they are others.
    rounded: Option<Vec<f32>>,
}

fn plain(_: &str, _: &[usize], values: &[f32]) -> Written {
    Written {
        kind: 0,
        bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        rounded: None,
    }
}

/// Matrices as Q8_0, or in 16 bits where their rows are no whole blocks, as llama.cpp's tools fall back.
fn packed(name: &str, shape: &[usize], values: &[f32]) -> Written {
    if shape.len() != 2 || name.contains("rel_b") {
        return plain(name, shape, values);
    }
    let storage = packed_as(shape[1]);
    let bytes = ggml::encode(storage, values).expect("whole blocks");
    Written {
        kind: ggml::kind(storage),
        rounded: Some(decode(storage, &bytes).expect("whole blocks")),
        bytes,
    }
}

fn packed_as(columns: usize) -> Storage {
    let is_whole = columns.is_multiple_of(Storage::Q8_0.block_elements());
    if is_whole { Storage::Q8_0 } else { Storage::F16 }
}

fn open_safetensors(config: &Value, tensors: &[Numbers]) -> ModelFiles {
    let files = vec![
        MemoryFile::source("config.json", config.to_string().into_bytes()),
        MemoryFile::source("model.safetensors", write_f32(tensors).expect("shapes fit")),
    ];
    block_on(ModelFiles::open(files)).expect("the model's files open")
}

fn open_gguf(bytes: Vec<u8>) -> ModelFiles {
    block_on(ModelFiles::open(vec![MemoryFile::source("model.gguf", bytes)])).expect("the GGUF file opens")
}

/// What llama.cpp's converter takes from config.json.
fn write_metadata(writer: &mut GgufWriter, architecture: &str, config: &Value) {
    writer.text("general.architecture", architecture);
    let number = |names: &[&str]| names.iter().find_map(|name| config[*name].as_u64()).map(|n| n as u32);
    let real = |name: &str| config[name].as_f64().map(|number| number as f32);
    let key = |name: &str| format!("{architecture}.{name}");
    for (name, from) in [
        ("embedding_length", &["hidden_size", "d_model"][..]),
        ("block_count", &["num_hidden_layers", "num_layers"]),
        ("decoder_block_count", &["num_decoder_layers"]),
        ("context_length", &["max_position_embeddings"]),
        ("attention.head_count", &["num_attention_heads", "num_heads"]),
        ("attention.head_count_kv", &["num_key_value_heads"]),
        ("attention.key_length", &["head_dim", "d_kv"]),
        ("feed_forward_length", &["intermediate_size", "d_ff"]),
        ("attention.relative_buckets_count", &["relative_attention_num_buckets"]),
        ("decoder_start_token_id", &["decoder_start_token_id"]),
        ("attention.sliding_window", &["sliding_window"]),
    ] {
        if let Some(value) = number(from) {
            writer.u32(&key(name), value);
        }
    }
    for (name, from) in [
        ("attention.layer_norm_epsilon", "layer_norm_eps"),
        ("attention.layer_norm_epsilon", "layer_norm_epsilon"),
        ("attention.layer_norm_rms_epsilon", "layer_norm_epsilon"),
        ("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
        ("attn_logit_softcapping", "attn_logit_softcapping"),
        ("final_logit_softcapping", "final_logit_softcapping"),
    ] {
        if let Some(value) = real(from) {
            writer.f32(&key(name), value);
        }
    }
    if let Some(scalar) = config["query_pre_attn_scalar"].as_f64() {
        writer.f32(&key("attention.scale"), scalar.sqrt().recip() as f32);
    }
    let theta = |kind: &Value| kind["rope_theta"].as_f64().map(|theta| theta as f32);
    let rope = &config["rope_parameters"];
    if let Some(theta) = theta(rope).or(theta(&rope["full_attention"])) {
        writer.f32(&key("rope.freq_base"), theta);
    }
    if let Some(theta) = theta(&rope["sliding_attention"]) {
        writer.f32(&key("rope.freq_base_swa"), theta);
    }
    match architecture {
        // Without n_positions in config.json the converter takes 512.
        "t5" => writer.u32("t5.context_length", 512),
        "bert" => {
            writer.bool("bert.attention.causal", false);
            writer.u32("bert.pooling_type", 2);
        }
        "gemma3" => {
            let slides = words(&config["layer_types"]).map(|kind| kind == "sliding_attention");
            writer.bools(
                "gemma3.attention.sliding_window_pattern",
                &slides.collect::<Vec<bool>>(),
            );
        }
        _ => (),
    }
}

fn load(files: &ModelFiles, device: &Device) -> Model {
    block_on(Model::load(files, false, 0, device, &mut |_, _| ())).expect("the model loads")
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = block_on(tensor.into_data_async()).expect("the device answers");
    data.try_into_vec().expect("f32")
}

/// Logits, or an encoder's hidden states, where tokens are no padding.
fn outcome(case: &Case, model: &Model, batch: &Batch) -> Vec<f32> {
    real(case, &values(model.logits(&model.parameters.plain(), batch)), batch)
}

/// An encoder-decoder's rows are an answer's, all of which mean something.
fn real<T: Copy>(case: &Case, numbers: &[T], batch: &Batch) -> Vec<T> {
    if case.kind() == "seq2seq" {
        return numbers.to_vec();
    }
    let width = numbers.len() / (batch.rows * batch.tokens);
    let real = |(i, _): &(usize, &T)| batch.attention_mask[i / width] == 1.0;
    let real = numbers.iter().enumerate().filter(real);
    real.map(|(_, number)| *number).collect()
}

fn widen(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|&number| f64::from(number)).collect()
}

fn open(choice: DeviceChoice) -> Device {
    block_on(device::open(choice)).expect("the device opens").0
}

#[test]
fn checkpoints_written_as_gguf_give_the_references_numbers() {
    let device = open(DeviceChoice::Cpu);
    for case in models() {
        let (name, batch, config) = (&case.name, whole_batch(&case), case.config());
        let model_type = config["model_type"].as_str().expect("a type");
        let Both { gguf, safetensors } = Both::of(&case, plain);
        let found = outcome(&case, &load(&open_gguf(gguf), &device), &batch);
        let tolerance = f64::from(case.tolerance("logits_abs"));
        let wanted = widen(&outcome(&case, &load(&safetensors, &device), &batch));
        let worst = worst_difference(&found, &wanted);
        // But for Gemma's norms, which lose a bit by being stored as 1 + w, all numbers are the same.
        let allowed = if model_type.starts_with("gemma") {
            tolerance
        } else {
            0.0
        };
        assert!(worst <= allowed, "{name}: differs by {worst:e} from safetensors");
        let expected = case.tensors("expected.safetensors");
        let reference = match model_type {
            "t5" if config["relative_attention_max_distance"] != DISTANCE => continue,
            // The converter leaves heads out.
            "bert" => &expected[&format!("hidden.{}", config["num_hidden_layers"])].values,
            _ => &expected["logits"].values,
        };
        let worst = worst_difference(&found, &real(&case, reference, &batch));
        assert!(worst <= tolerance, "{name}: differs by {worst:e}");
    }
}

#[test]
fn quantised_gguf_computes_as_its_numbers_do() {
    for choice in [DeviceChoice::Cpu, DeviceChoice::Gpu] {
        let device = open(choice);
        for case in models() {
            let (name, batch) = (&case.name, whole_batch(&case));
            let mut storages = BTreeSet::new();
            let shapes = case
                .tensors("model.safetensors")
                .into_values()
                .map(|tensor| tensor.shape);
            for shape in shapes.filter(|shape| shape.len() == 2) {
                storages.insert(packed_as(shape[1]).to_string());
            }
            let Both { gguf, safetensors } = Both::of(&case, packed);
            let model = load(&open_gguf(gguf), &device);
            let dense = load(&safetensors, &device);
            for storage in storages {
                assert!(
                    model.info.formats.iter().any(|(name, _)| *name == storage),
                    "{name}: {:?}, without {storage}",
                    model.info.formats
                );
            }
            assert!(model.info.weight_bytes < dense.info.weight_bytes, "{name}");
            let found = outcome(&case, &model, &batch);
            let worst = worst_difference(&found, &widen(&outcome(&case, &dense, &batch)));
            // Both are within the tolerance of the true numbers, which is four times as wide on a GPU.
            let factor = if choice == DeviceChoice::Cpu { 1.0 } else { 4.0 };
            let allowed = 2.0 * f64::from(case.tolerance("logits_abs")) * factor;
            assert!(
                worst <= allowed,
                "{name} on {choice:?}: differs by {worst:e}, allowed {allowed:e}"
            );
        }
    }
}

#[test]
fn adapters_have_the_same_modules_on_gguf_as_on_safetensors() {
    let device = open(DeviceChoice::Cpu);
    for case in models() {
        let Both { gguf, safetensors } = Both::of(&case, plain);
        let mut model = load(&open_gguf(gguf), &device);
        let config = AdapterConfig {
            target_modules: TargetModules::Pattern("all-linear".into()),
            ..AdapterConfig::default()
        };
        let mut names = [&mut model, &mut load(&safetensors, &device)].map(|model| {
            model.attach_lora(&config, 0).expect("the adapter fits");
            let names = model.parameters.iter().map(|parameter| parameter.name.clone());
            names.collect::<Vec<String>>()
        });
        names.iter_mut().for_each(|names| names.sort());
        assert_eq!(names[0], names[1], "{}", case.name);
        // PEFT's own adapters fit on it, and give the reference's numbers where the base does.
        if case.kind() != "causal" {
            continue;
        }
        let batch = whole_batch(&case);
        for adapted in case.below("adapters") {
            let name = &adapted.name;
            let adapter = block_on(Adapter::open_path(&adapted.path)).expect("the adapter opens");
            model
                .load_adapter(&adapter)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let expected = adapted.tensors("expected.safetensors");
            let wanted = real(&case, &expected["logits"].values, &batch);
            let worst = worst_difference(&outcome(&case, &model, &batch), &wanted);
            let tolerance = f64::from(adapted.tolerance("logits_abs"));
            assert!(worst <= tolerance, "{name}: differs by {worst:e}");
        }
    }
}

#[test]
fn gguf_of_another_kin_of_bert_and_missing_keys_are_refused_by_name() {
    const WIDTH: u64 = 32;
    let refused = |architecture: &str, change: &dyn Fn(&mut GgufWriter)| {
        let mut config = json!({
            "hidden_size": WIDTH,
            "num_hidden_layers": 1,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 48,
            "relative_attention_num_buckets": 8,
            "layer_norm_eps": 1e-12,
            "rms_norm_eps": 1e-6,
        });
        if architecture != "t5" {
            config["max_position_embeddings"] = json!(64);
        }
        let mut writer = GgufWriter::new();
        write_metadata(&mut writer, architecture, &config);
        for name in ["token_embd.weight", "token_types.weight", "position_embd.weight"] {
            writer.tensor_f32(name, &[128, WIDTH]);
        }
        change(&mut writer);
        let file = MemoryFile::source("model.gguf", writer.bytes());
        let error = block_on(ModelFiles::open(vec![file]))
            .expect_err("it is refused")
            .to_string();
        assert!(error.contains("model.gguf"), "{error}");
        error
    };
    let bert = |change: &dyn Fn(&mut GgufWriter)| refused("bert", change);
    assert!(bert(&|file| file.text("tokenizer.ggml.model", "gpt2")).contains("RoBERTa"));
    let error = bert(&|file| {
        file.without("token_types.weight");
    });
    assert!(
        error.contains("token_types.weight") && error.contains("DistilBERT"),
        "{error}"
    );
    let error = bert(&|file| {
        file.without("bert.attention.causal")
            .bool("bert.attention.causal", true);
    });
    assert!(error.contains("bert.attention.causal"), "{error}");
    let error = bert(&|file| file.tensor_f32("blk.0.attn_qkv.weight", &[3 * WIDTH, WIDTH]));
    assert!(error.contains("blk.0.attn_qkv.weight"), "{error}");
    let error = refused("t5", &|file| {
        file.without("t5.attention.relative_buckets_count");
    });
    assert!(error.contains("t5.attention.relative_buckets_count"), "{error}");
    let error = refused("gemma2", &|file| {
        file.without("gemma2.attention.layer_norm_rms_epsilon");
    });
    assert!(error.contains("gemma2.attention.layer_norm_rms_epsilon"), "{error}");
}
