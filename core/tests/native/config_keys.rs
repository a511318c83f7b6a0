//! config.json's keys: each one that transformers' configuration classes have is known, and what is not computed is refused or
//! named.

use crate::common::now;
use burn::tensor::Device;
use lorakeet_core::formats::{ModelFiles, safetensors::write_f32};
use lorakeet_core::models::Model;
use lorakeet_core::models::registry::{ARCHITECTURES, Kind};
use lorakeet_core::store::MemoryFile;
use lorakeet_core::{Error, Result};
use serde_json::{Map, Value, json};

/// The keys of transformers' classes (4.57 and 5.24) with their defaults; `every` has those that are alike in all.
const CLASSES: &str = include_str!("transformers_keys.json");

/// Sizes of a model that is made in no time.
const SMALL: [(&str, usize); 24] = [
    ("hidden_size", 8),
    ("intermediate_size", 12),
    ("num_hidden_layers", 2),
    ("num_attention_heads", 2),
    ("num_key_value_heads", 1),
    ("head_dim", 4),
    ("max_position_embeddings", 16),
    ("vocab_size", 20),
    ("n_embd", 8),
    ("n_layer", 2),
    ("n_head", 2),
    ("n_positions", 16),
    ("dim", 8),
    ("hidden_dim", 12),
    ("n_heads", 2),
    ("n_layers", 2),
    ("d_model", 8),
    ("d_kv", 4),
    ("d_ff", 12),
    ("num_layers", 2),
    ("num_decoder_layers", 1),
    ("num_heads", 2),
    ("pad_token_id", 0),
    ("type_vocab_size", 2),
];

/// The architectures with all keys of their classes, of a small model.
pub fn classes() -> Vec<(String, Map<String, Value>)> {
    let classes: Map<String, Value> = serde_json::from_str(CLASSES).expect("JSON");
    let every = classes["every"].as_object().expect("an object");
    let of = |(kind, own): (&String, &Value)| {
        let mut keys = every.clone();
        keys.extend(own.as_object().expect("an object").clone());
        keys.insert("model_type".into(), json!(kind));
        for (key, size) in SMALL {
            if keys.contains_key(key) {
                keys.insert(key.into(), json!(size));
            }
        }
        // Both classes' forms of one setting are not in one file.
        for key in [
            "rope_theta",
            "rope_scaling",
            "global_rope_theta",
            "local_rope_theta",
            "rope_local_base_freq",
        ] {
            keys.remove(key);
        }
        keys.remove("layer_types");
        (kind.clone(), keys)
    };
    classes.iter().filter(|(kind, _)| *kind != "every").map(of).collect()
}

fn load(keys: Map<String, Value>) -> Result<Model, Error> {
    let files = ModelFiles::from_config("test", Value::Object(keys));
    now(Model::load(&files, false, 0, &Device::flex(), &mut |_, _| ()))
}

#[test]
fn every_key_of_transformers_classes_is_known() {
    let classes = classes();
    assert_eq!(classes.len(), 13);
    for (kind, keys) in classes {
        let model = load(keys.clone()).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert!(
            !model.notes.iter().any(|note| note.english().contains("not known")),
            "{kind}: {:?}",
            model.notes
        );
        // The other class's forms of the rotary embedding.
        let mut older = keys;
        if older.remove("rope_parameters").is_some() {
            let theta = if kind == "modernbert" {
                "global_rope_theta"
            } else {
                "rope_theta"
            };
            older.extend([(theta.to_owned(), json!(5e4)), ("rope_scaling".to_owned(), Value::Null)]);
            let model = load(older).unwrap_or_else(|error| panic!("{kind}: {error}"));
            assert!(
                !model.notes.iter().any(|note| note.english().contains("not known")),
                "{kind}: {:?}",
                model.notes
            );
        }
    }
}

#[test]
fn the_sizes_that_a_text_part_leaves_out_are_those_of_transformers_classes() {
    let classes: Map<String, Value> = serde_json::from_str(CLASSES).expect("JSON");
    for row in ARCHITECTURES.iter().filter(|row| row.kind != Kind::Small) {
        let class = &classes[row.model_type];
        assert!(!row.defaults.is_empty(), "{}", row.model_type);
        for (key, size) in row.defaults {
            assert_eq!(class[*key], *size, "{}: {key}", row.model_type);
        }
    }
}

#[test]
fn a_key_that_nobody_knows_is_named() {
    for (kind, mut keys) in classes() {
        keys.insert("my_scaling_trick".into(), json!(3));
        let notes = load(keys).unwrap_or_else(|error| panic!("{kind}: {error}")).notes;
        assert!(
            notes.iter().any(|note| note.english().contains("my_scaling_trick")),
            "{kind}: {notes:?}"
        );
    }
}

#[test]
fn the_bases_dropout_is_named_where_it_has_one() {
    let notes = |name: &str| {
        let (_, keys) = classes().into_iter().find(|(kind, _)| kind == name).expect("a class");
        load(keys).expect("it loads").notes
    };
    assert!(
        notes("gpt2")
            .iter()
            .any(|note| note.english().contains("attn_pdrop 0.1")),
        "{:?}",
        notes("gpt2")
    );
    assert_eq!(notes("llama"), []);
}

#[test]
fn what_is_not_computed_is_refused_by_name() {
    let all = [
        ("add_cross_attention", json!(true)),
        ("cross_attention_hidden_size", json!(8)),
        ("pruned_heads", json!({"0": [1]})),
        ("tie_encoder_decoder", json!(true)),
        ("quantization_config", json!({"quant_method": "gptq", "bits": 4})),
        ("quantization_config", json!({"quant_method": "fp8"})),
        ("per_layer_config", json!({"0": {"hidden_size": 4}})),
        ("tie_word_embeddings", json!("no")),
        ("architectures", json!("LlamaForCausalLM")),
        ("pad_token_id", json!("none")),
        ("initializer_range", json!(-1)),
    ];
    let some = [
        ("llama mistral qwen2 qwen3", "hidden_act", json!("quick_gelu")),
        ("llama mistral qwen2 qwen3", "hidden_act", json!(5)),
        ("llama", "rope_interleaved", json!(true)),
        ("llama mistral qwen2 qwen3 gemma2", "partial_rotary_factor", json!(0.5)),
        (
            "llama mistral qwen2 qwen3 gemma2 gemma3_text",
            "rms_norm_eps",
            json!(-1e-5),
        ),
        (
            "llama mistral qwen2 qwen3 gemma2 gemma3_text",
            "rms_norm_eps",
            json!("NaN"),
        ),
        (
            "llama mistral qwen2 qwen3 gemma2 gemma3_text",
            "rms_norm_eps",
            json!(1e300),
        ),
        (
            "llama mistral qwen2 qwen3 gemma2 gemma3_text",
            "is_decoder",
            json!(true),
        ),
        (
            "qwen2 qwen3 gemma2 gemma3_text modernbert",
            "layer_types",
            json!(["full_attention"]),
        ),
        (
            "qwen2 qwen3 gemma2 gemma3_text modernbert",
            "layer_types",
            json!(["chunked_attention", "full_attention"]),
        ),
        (
            "qwen2 qwen3 gemma2 gemma3_text modernbert",
            "layer_types",
            json!("full_attention"),
        ),
        (
            "qwen2 qwen3",
            "layer_types",
            json!(["sliding_attention", "full_attention"]),
        ),
        ("qwen2 qwen3", "use_sliding_window", json!(1)),
        ("gemma2 gemma3_text", "sliding_window", json!(null)),
        ("gemma2 gemma3_text", "use_bidirectional_attention", json!(true)),
        ("gemma2 gemma3_text", "query_pre_attn_scalar", json!(0)),
        ("gemma2 gemma3_text", "final_logit_softcapping", json!(-30)),
        ("gemma3_text", "attn_logit_softcapping", json!(50)),
        ("gpt2", "activation_function", json!("mish")),
        ("gpt2", "scale_attn_weights", json!("yes")),
        ("gpt2", "hidden_size", json!(16)),
        (
            "bert roberta xlm-roberta",
            "position_embedding_type",
            json!("relative_key"),
        ),
        ("bert roberta xlm-roberta", "hidden_act", json!("relu6")),
        ("roberta xlm-roberta", "pad_token_id", json!(15)),
        ("distilbert", "sinusoidal_pos_embds", json!(true)),
        ("distilbert", "n_heads", json!(9)),
        ("t5", "dense_act_fn", json!("silu")),
        ("t5", "decoder_start_token_id", json!(20)),
        ("t5", "pad_token_id", json!(4_000_000_000_u32)),
    ];
    for (kind, keys) in classes() {
        let of_kind = some
            .iter()
            .filter(|(kinds, ..)| kinds.split(' ').any(|name| name == kind));
        let of_kind = of_kind.map(|(_, key, value)| (*key, value.clone()));
        for (key, value) in all.iter().cloned().chain(of_kind) {
            let mut keys = keys.clone();
            keys.insert(key.into(), value.clone());
            let error = load(keys)
                .err()
                .unwrap_or_else(|| panic!("{kind}: {key}: {value} is not refused"));
            let named = error.field_name().unwrap_or_default();
            let both = named == key || error.to_string().contains(key);
            assert!(
                both && error.file.as_deref() == Some("config.json"),
                "{kind} {key}: {error}"
            );
        }
    }
}

#[test]
fn numbers_of_the_rotary_embedding_are_refused_by_name() {
    let wrong = [
        ("rope_theta", json!({"rope_theta": 0.0})),
        ("rope_theta", json!({"rope_theta": "10000"})),
        ("rope_theta", json!({"rope_theta": 1e300})),
        ("factor", json!({"rope_type": "linear", "factor": 0.0})),
        ("factor", json!({"rope_type": "linear"})),
        ("factor", json!({"type": "linear", "factor": -2})),
        ("rope_type", json!({"rope_type": "longrope", "factor": 2.0})),
        (
            "beta_fast",
            json!({"rope_type": "yarn", "factor": 2.0, "beta_fast": -1}),
        ),
        (
            "truncate",
            json!({"rope_type": "yarn", "factor": 2.0, "truncate": "no"}),
        ),
        ("rope_type", json!({"rope_type": 3})),
        ("partial_rotary_factor", json!({"partial_rotary_factor": 0.5})),
        ("full_attention", json!({"full_attention": {"rope_theta": 5.0}})),
        (
            "high_freq_factor",
            json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4.0, "high_freq_factor": 4.0}),
        ),
    ];
    let (_, keys) = classes()
        .into_iter()
        .find(|(kind, _)| kind == "llama")
        .expect("a class");
    for (key, value) in wrong {
        for place in ["rope_parameters", "rope_scaling"] {
            let mut keys = keys.clone();
            keys.remove("rope_parameters");
            keys.insert(place.into(), value.clone());
            let error = load(keys)
                .err()
                .unwrap_or_else(|| panic!("{place} {value} is not refused"));
            assert!(error.to_string().contains(key), "{value}: {error}");
        }
    }
    let mut twice = keys.clone();
    twice.insert("rope_scaling".into(), json!({"rope_type": "linear", "factor": 2.0}));
    assert!(
        load(twice)
            .err()
            .expect("it is said twice")
            .to_string()
            .contains("rope_scaling")
    );
    let mut more = keys;
    more.insert(
        "rope_parameters".into(),
        json!({"rope_theta": 1e4, "mrope_section": [1, 1]}),
    );
    let notes = load(more).expect("it loads").notes;
    assert!(
        notes.iter().any(|note| note.english().contains("mrope_section")),
        "{notes:?}"
    );
}

#[test]
fn a_key_by_its_other_name_is_taken() {
    let (_, mut keys) = classes().into_iter().find(|(kind, _)| kind == "gpt2").expect("a class");
    for (key, other) in [
        ("n_embd", "hidden_size"),
        ("n_layer", "num_hidden_layers"),
        ("n_head", "num_attention_heads"),
    ] {
        let value = keys.remove(key).expect("it is there");
        keys.insert(other.into(), value);
    }
    let info = load(keys).expect("it loads").info;
    assert_eq!((info.hidden_size, info.num_hidden_layers), (8, 2));
}

#[test]
fn sizes_are_those_of_the_tensors() {
    let names = ["model.embed_tokens.weight", "one", "two"];
    let tensors: Vec<_> = names.map(|name| (name.to_owned(), vec![20, 8], vec![0.0; 160])).into();
    let (_, keys) = classes()
        .into_iter()
        .find(|(kind, _)| kind == "llama")
        .expect("a class");
    let with = |key: &str, value: Value| {
        let mut keys = keys.clone();
        keys.insert(key.into(), value);
        let config = Value::Object(keys).to_string();
        let files = vec![
            MemoryFile::source("config.json", config.into_bytes()),
            MemoryFile::source("model.safetensors", write_f32(&tensors).expect("shapes fit")),
        ];
        let files = now(ModelFiles::open(files)).expect("they open");
        let loaded = now(Model::load(&files, false, 0, &Device::flex(), &mut |_, _| ()));
        loaded.err().expect("the tensors are not those of a model").to_string()
    };
    assert!(with("num_hidden_layers", json!(9)).contains("num_hidden_layers"));
    assert!(with("num_hidden_layers", json!(1 << 30)).contains("num_hidden_layers"));
    assert!(with("num_attention_heads", json!(9)).contains("num_attention_heads"));
    assert!(with("vocab_size", json!(1 << 20)).contains("[20, 8]"));
    assert!(with("head_dim", json!(1 << 16)).contains("head_dim"));
    assert!(with("intermediate_size", json!(1u64 << 63)).contains("intermediate_size"));
}
